"""Filters that see edges, blur and sharpen: judged by their response, easiest first.

A step is a picture that is 0 on one side and 1 on the other. What a filter does to steps of
both orientations and to flat areas decides; its scale and its exact cells do not.
"""

import contextlib

import numpy as np
import pytest

from dojo.checks import answer, expect, refuses

TURN = {"vertical_edge": ("left", "right", "horizontal"),
        "horizontal_edge": ("above", "below", "vertical")}  # fmt: skip
STEP = np.repeat([[0.0, 0, 0, 0, 1, 1, 1]], 5, axis=0)  # (5, 7), its edge is vertical
edge_filters = pytest.mark.parametrize("name", TURN)


def kernel_of(name, *args, size=3):
    """The filter as floats, after its kind and shape were looked at."""
    kernel = answer(name)(*args)
    call = f"{name}({', '.join(map(str, args))})"
    kind = "None" if kernel is None else f"a {type(kernel).__name__}"
    expect(isinstance(kernel, np.ndarray), f"{call} gives {kind}, expected a numpy array")
    expect(kernel.shape == (size, size),
           f"{call} has the shape {kernel.shape}, expected {(size, size)}")  # fmt: skip
    numbers = kernel.dtype.kind in "iuf" and np.isfinite(kernel).all()
    expect(numbers, f"{call} holds {kernel.dtype} cells, expected finite integers or floats")
    return kernel.astype(float)


def response(image, kernel):
    """The kernel slid over the image; rounding errors of the kernel's own size become 0."""
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    result = (windows * kernel).sum((2, 3))
    return np.where(np.abs(result) > 1e-5 * np.abs(kernel).max(), result, 0.0)


def turned(name, image):
    """The image as `name` sees it: for horizontal edges rows take the place of columns."""
    return image if name == "vertical_edge" else image.T


def character(kernel):
    """Which signs it gives on each step and on a flat area: the same for every scale."""
    pictures = (STEP, STEP.T, np.ones((3, 3)))
    return [sorted(set(np.sign(response(picture, kernel)).ravel())) for picture in pictures]


def overshoots(kernel):
    """What becomes of the 0 and the 1 beside a vertical edge: dark on the left, on the right."""
    rising, falling = response(STEP, kernel)[0], response(1 - STEP, kernel)[0]
    return [(rising[2], rising[3]), (falling[3], falling[2])]


@pytest.mark.parametrize("name", [*TURN, "sharpen"])
def test_each_filter_is_an_array_of_3x3(name):
    """The edge filters and sharpen are numpy arrays of shape (3, 3), of integers or floats."""
    kernel_of(name)


@edge_filters
def test_an_edge_from_dark_to_bright_gives_a_positive_response(name):
    """Bright on the right of a vertical edge, or below a horizontal one, is positive."""
    kernel = kernel_of(name)
    dark, bright, _ = TURN[name]
    edge = response(turned(name, STEP), kernel)
    low, high = edge.min(), edge.max()
    expect(low >= 0 < high,
           f"{name} gives {low:.3g} to {high:.3g} on an edge from dark ({dark}) to bright "
           f"({bright}): above 0 is wanted, nowhere below", character(kernel))  # fmt: skip


@edge_filters
def test_an_edge_filter_gives_0_on_a_flat_area(rng, name):
    """Where all pixels are equal there is no edge: the cells of the filter add up to 0."""
    kernel, grey = kernel_of(name), rng.uniform(0.2, 1.0)
    flat = response(np.full((4, 6), grey), kernel)[0, 0]
    expect(flat == 0, f"{name} gives {flat:.3g} on a flat area of {grey:.3g}, expected 0",
           character(kernel))  # fmt: skip


@edge_filters
def test_an_edge_filter_does_not_see_the_other_orientation(rng, name):
    """A picture of stripes along the other direction gives 0 everywhere."""
    kernel, other = kernel_of(name), TURN[name][2]
    stripes = np.repeat(rng.random((8, 1)), 5, axis=1)  # each row of one brightness
    for picture in (STEP.T, 1 - STEP.T, stripes):
        seen = response(turned(name, picture), kernel)
        most = seen.flat[np.abs(seen).argmax()]
        expect(most == 0, f"{name} gives {most:.3g} on {other} edges, expected 0",
               character(kernel))  # fmt: skip


@pytest.mark.parametrize("size", [3, 1, 2, 4, 5, 8])
def test_a_blur_is_a_mean_over_its_square(size):
    """(size, size) equal cells that add up to 1, for even sizes too."""
    kernel = kernel_of("box_blur", size, size=size)
    low, high, total = kernel.min(), kernel.max(), kernel.sum()
    peak = bool(kernel[size // 2, size // 2] == high)
    expect(high - low <= 1e-5 * abs(high),
           f"the cells of box_blur({size}) run from {low:.3g} to {high:.3g}: all are to be equal",
           ("peak", peak))  # fmt: skip
    expect(abs(total - 1) <= 1e-5,
           f"the cells of box_blur({size}) add up to {total:.5g}, expected 1",
           ("cells", kernel))  # fmt: skip


@pytest.mark.parametrize("size", [2, 3])
def test_a_blur_is_the_same_each_time(size):
    """Asked twice it gives the same cells, also after somebody wrote into the first ones."""
    first = answer("box_blur")(size)
    with contextlib.suppress(ValueError):  # one that cannot be written into is fine
        first[:] = 7.0
    total = kernel_of("box_blur", size, size=size).sum()
    message = f"the second box_blur({size}) adds up to {total:.5g}, expected 1"
    expect(abs(total - 1) <= 1e-5, message, total)


@pytest.mark.parametrize("size", [0, -1, -3])
def test_a_blur_without_cells_is_refused(size):
    """The smallest blur has size 1; anything below is refused with a ValueError."""
    refuses(answer("box_blur"), size, because=f"size {size}")


def test_sharpen_keeps_a_flat_area(rng):
    """Where all pixels are equal, sharpening changes nothing: the filter's cells add up to 1."""
    kernel, grey = kernel_of("sharpen"), rng.uniform(0.2, 1.0)
    flat = response(np.full((5, 4), grey), kernel)[0, 0]
    message = f"sharpen makes {flat:.3g} of a flat area of {grey:.3g}: it is to stay as it is"
    expect(abs(flat - grey) <= 1e-5 * np.abs(kernel).max(), message, round(flat / grey, 4))


@pytest.mark.parametrize("kind", ["vertical", "horizontal"])
def test_sharpen_overshoots_both_sides_of_an_edge(kind):
    """Beside an edge from 0 to 1 the dark side goes below 0 and the bright side above 1."""
    kernel = kernel_of("sharpen")
    flat = kernel.sum()  # what becomes of 1 away from the edge: 1, or an earlier rule is broken
    sides = {"vertical": overshoots(kernel), "horizontal": overshoots(kernel.T)}
    signs = [np.sign(np.round([dark, bright - flat, bright - dark], 6))
             for pairs in sides.values() for dark, bright in pairs]  # fmt: skip
    for dark, bright in sides[kind]:
        expect(dark < 0 and bright > flat + 1e-5,
               f"at a {kind} edge sharpen makes {dark:.3g} of the dark side's 0 and {bright:.3g} "
               f"of the bright side's 1: below 0 and above {flat:.3g} are wanted",
               (signs, np.count_nonzero(kernel) == 1))  # fmt: skip
