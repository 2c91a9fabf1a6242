"""Pictures of one filled shape each, on crops of two photographs: what the backbone learns from.

A kind is a list of outlines around the origin, about 1 in radius, x to the right and y down;
the first is filled, every further one is a hole. Needs scikit-learn and Pillow.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from PIL import Image, ImageDraw

SIZE = 32  # pixels a side
FINE = 3  # drawn that many times as large, then reduced: soft edges

Points = list[tuple[float, float]]


def arc(radius: float, start: float, end: float, x: float = 0.0, y: float = 0.0) -> Points:
    """Points on a circle around (x, y), between two angles in degrees."""
    angles = np.linspace(math.radians(start), math.radians(end), 40)
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]


def star(points: int, inner: float) -> Points:
    """Tips at radius 1, dents at radius `inner`."""
    angles = np.arange(2 * points) * math.pi / points - math.pi / 2
    radii = [1.0, inner] * points
    return [(r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]


def regular(corners: int) -> Points:
    return star(corners, math.cos(math.pi / corners))


def cells(*rows: str) -> Points:
    """The outline of a figure that is written in squares: the letters."""
    filled = {(x, y) for y, row in enumerate(rows) for x, cell in enumerate(row) if cell == "#"}
    follows = {}  # each edge with the figure on its right hand
    for x, y in filled:
        corners = [(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)]
        beyond = [(x, y - 1), (x + 1, y), (x, y + 1), (x - 1, y)]
        for i, neighbour in enumerate(beyond):
            if neighbour not in filled:
                follows[corners[i]] = corners[(i + 1) % 4]
    start = at = min(follows)
    path = []
    while not path or at != start:
        path.append(at)
        at = follows[at]
    width, height = len(rows[0]), len(rows)
    scale = 2 / math.hypot(width, height)
    return [((x - width / 2) * scale, (y - height / 2) * scale) for x, y in path]


def heart() -> Points:
    angles = np.linspace(0, 2 * math.pi, 60, endpoint=False)
    x = 16 * np.sin(angles) ** 3
    y = 13 * np.cos(angles) - 5 * np.cos(2 * angles) - 2 * np.cos(3 * angles) - np.cos(4 * angles)
    return [(float(a), float(b)) for a, b in zip(x / 17, -(y + 2.5) / 17, strict=True)]


SOURCE: dict[str, list[Points]] = {
    "disc": [arc(0.85, 0, 360)],
    "half disc": [arc(1.0, 0, 180, y=-0.4)],
    "crescent": [arc(1.0, 40, 320) + arc(0.8, 292, 68, x=0.46)],
    "drop": [[(0.0, -1.1), *arc(0.62, -30, 210, y=0.35)]],
    "triangle": [regular(3)],
    "right triangle": [[(-0.75, -0.9), (0.85, 0.7), (-0.75, 0.7)]],
    "square": [regular(4)],
    "pentagon": [regular(5)],
    "five-pointed star": [star(5, 0.42)],
    "eight-pointed star": [star(8, 0.55)],
    "frame": [regular(4), [(0.58 * x, 0.58 * y) for x, y in regular(4)]],
    "cross": [cells(".#.", "###", ".#.")],
    "arrow": [[(0.0, -1.0), (0.8, -0.1), (0.28, -0.1), (0.28, 0.95),
               (-0.28, 0.95), (-0.28, -0.1), (-0.8, -0.1)]],
    "chevron": [[(0.0, -0.8), (0.95, 0.3), (0.95, 0.95), (0.0, -0.1),
                 (-0.95, 0.95), (-0.95, 0.3)]],
    "hourglass": [[(-0.7, -0.9), (0.7, -0.9), (0.16, 0.0), (0.7, 0.9),
                   (-0.7, 0.9), (-0.16, 0.0)]],
    "lightning": [[(0.2, -1.0), (-0.6, 0.15), (-0.05, 0.15), (-0.3, 1.0),
                   (0.6, -0.25), (0.05, -0.25), (0.55, -1.0)]],
    "L": [cells("#..", "#..", "#..", "###")],
    "U": [cells("#.#", "#.#", "#.#", "###")],
    "Z": [cells("##.", ".#.", ".#.", ".##")],
    "H": [cells("#.#", "#.#", "###", "#.#", "#.#")],
    "E": [cells("###", "#..", "###", "#..", "###")],
    "F": [cells("###", "#..", "###", "#..", "#..")],
}  # fmt: skip
TARGET: dict[str, list[Points]] = {
    "heart": [heart()],
    "four-pointed star": [star(4, 0.36)],
    "T": [cells("###", ".#.", ".#.", ".#.")],
    "ring": [arc(0.95, 0, 360), arc(0.52, 0, 360)],
    "open disc": [[(0.0, 0.0), *arc(0.95, 40, 320)]],
}


@functools.cache
def photographs() -> tuple[Image.Image, ...]:
    """scikit-learn's china.jpg and flower.jpg."""
    from sklearn.datasets import load_sample_image

    return tuple(Image.fromarray(load_sample_image(n)) for n in ("china.jpg", "flower.jpg"))


def background(rng: np.random.Generator) -> np.ndarray:
    """A square piece of a photograph, with red, green and blue in any order."""
    photograph = photographs()[rng.integers(2)]
    side = int(rng.integers(48, 200))
    left, top = (int(rng.integers(length - side)) for length in photograph.size)
    piece = photograph.resize((SIZE * FINE,) * 2, Image.BILINEAR,
                              (left, top, left + side, top + side))  # fmt: skip
    return np.asarray(piece)[..., rng.permutation(3)].astype(np.float64)


def mask(outlines: list[Points], rng: np.random.Generator) -> np.ndarray:
    """Where the shape covers the picture: turned, stretched, enlarged and put somewhere."""
    angle, stretch = rng.uniform(0, 2 * math.pi), math.exp(rng.uniform(-0.25, 0.25))
    radius = rng.uniform(8.0, 13.0) * FINE
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = radius * turn @ np.diag([stretch, 1 / stretch])
    room = SIZE * FINE / 2 - 0.8 * radius
    middle = SIZE * FINE / 2 + rng.uniform(-room, room, 2)
    picture = Image.new("L", (SIZE * FINE,) * 2)
    for hole, outline in enumerate(outlines):
        points = np.array(outline) @ matrix.T + middle
        ImageDraw.Draw(picture).polygon(
            [tuple(p) for p in points.tolist()], fill=0 if hole else 255
        )
    return np.asarray(picture)[..., None] / 255.0


def colour(behind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Any colour that stands out from the mean of what is behind it."""
    while True:
        candidate = rng.uniform(0, 255, 3)
        if np.linalg.norm(candidate - behind.mean((0, 1))) > 90:
            return candidate


def picture(outlines: list[Points], rng: np.random.Generator) -> np.ndarray:
    """(SIZE, SIZE, 3) uint8."""
    behind, covered = background(rng), mask(outlines, rng)
    large = behind + covered * (colour(behind, rng) - behind)
    small = large.reshape(SIZE, FINE, SIZE, FINE, 3).mean((1, 3))
    noisy = small + rng.normal(0, 8, small.shape)
    return np.rint(noisy).clip(0, 255).astype(np.uint8)


def pictures(kinds: dict[str, list[Points]], each: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`each` pictures of every kind, kind by kind: (N, SIZE, SIZE, 3) uint8 and labels (N,)."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(kinds)), each).astype(np.uint8)
    outlines = list(kinds.values())
    return np.stack([picture(outlines[label], rng) for label in labels]), labels
