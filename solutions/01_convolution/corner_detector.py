"""Two layers make a corner of edges: a network built by hand, no training."""

import numpy as np

from dojo import right, wrong


def corner_detector(image: np.ndarray) -> np.ndarray:
    """Find, in every 5x5 window of a picture of 0 and 1, the top-left corner of a bright block.

    A corner is these four cells, bright at the bottom right and dark in the other three:
    0 0 above 0 1. A window fires where it holds them in any place, and gives exactly 0 where
    it does not: on flat areas, on an edge alone, on the three other corners of a block, and
    where the block runs out of the window before its corner is seen.

    Build it as a network of two layers, each a correlation and a ReLU. The first one looks
    at small windows, the second one at what the first one found: no single filter over 25
    pixels can do it, because a corner anywhere in the window must do and any number of edges
    must not.

    Shapes:
        image: (H, W), cells 0 and 1, signed integers or floats, H and W at least 5
        returns: (H - 4, W - 4), one number for every 5x5 window: 0, or any positive number
            where the window holds a corner

    Example:
        >>> image = np.zeros((5, 6))
        >>> image[3:, 2:4] = 1
        >>> (corner_detector(image) > 0).tolist()
        [[True, True]]

    Raises:
        ValueError: the image is below 5 in height or width.

    Source: Zeiler & Fergus, Visualizing and Understanding Convolutional Networks,
        arXiv:1311.2901, section 4.
    """
    if min(image.shape) < 5:
        raise ValueError(f"the image is {image.shape}; 5x5 is the smallest that has a window")
    # one bright cell among the other three takes away what the bottom right one gives
    pattern = np.array([[-1, -1], [-1, 1]])
    corners = np.maximum(_correlate(image, pattern), 0)  # (H - 1, W - 1)
    # a 5x5 window has 4x4 places for a 2x2 pattern
    return np.maximum(_correlate(corners, np.ones((4, 4))), 0)  # (H - 4, W - 4)


def _correlate(image, kernel):
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.einsum("ijkl,kl->ij", windows, kernel)


HINTS = [
    "Which weights for the four cells make a sum that is above 0 for 0 0 / 0 1 and not above 0 "
    "for any other four cells of 0 and 1? Try it on an edge: 0 1 / 0 1.",
    "Layer 1 is a correlation with such a 2x2 kernel, then ReLU: it fires only on the corner "
    "itself. Layer 2 asks whether it fired anywhere inside the 5x5 window.",
    "The 2x2 kernel: 1 at the bottom right, -1 in the other three. A 5x5 window holds 4x4 "
    "places for it, so layer 2 correlates the map of layer 1 with 4x4 ones.",
]


def _checked(image):
    if image.shape[0] < 5 or image.shape[1] < 5:
        raise ValueError(f"the image is {image.shape}, expected 5x5 or more")


def _edges(image):
    """Cells that are brighter than their left neighbour, than their upper one: (H-1, W-1)."""
    here, left, above = image[1:, 1:], image[1:, :-1], image[:-1, 1:]
    return here - left, here - above


def _gathered(found, size=4):
    return _correlate(found, np.ones((size, size)))


def _relu(values):
    return np.maximum(values, 0)


@right(corner_detector)
def edge_and_edge(image):
    """Both edges at the same cell: their sum must exceed what one of them alone reaches."""
    _checked(image)
    vertical, horizontal = _edges(image)
    both = _relu(_relu(vertical) + _relu(horizontal) - 1)
    return _relu(_gathered(both) - 0.5)


@right(corner_detector)
def by_definition(image):
    """Loops, no network: every window is searched for the four cells; the strongest is kept."""
    _checked(image)
    height, width = image.shape
    result = np.zeros((height - 4, width - 4), dtype=np.float32)
    for row, column in np.ndindex(height - 1, width - 1):
        if image[row : row + 2, column : column + 2].tolist() == [[0, 0], [0, 1]]:
            top, left = max(row - 3, 0), max(column - 3, 0)
            result[top : row + 1, left : column + 1] = 0.25
    return result


@right(corner_detector)
def by_products(image):
    """A soft AND: dark times dark times dark times bright, then the maximum."""
    _checked(image)
    dark = 1 - image
    found = dark[:-1, :-1] * dark[:-1, 1:] * dark[1:, :-1] * image[1:, 1:]
    return np.lib.stride_tricks.sliding_window_view(found, (4, 4)).max((2, 3))


@wrong(corner_detector)
def edges_added(image):
    """the edges are added instead of both required: one lone edge is enough to fire"""
    _checked(image)
    vertical, horizontal = _edges(image)
    return _gathered(_relu(vertical) + _relu(horizontal))


@wrong(corner_detector)
def vertical_edge_only(image):
    """only vertical edges are looked for: the edge above the block is never required"""
    _checked(image)
    return _gathered(_relu(_edges(image)[0]))


@wrong(corner_detector)
def horizontal_edge_only(image):
    """only horizontal edges are looked for: the edge left of the block is never required"""
    _checked(image)
    return _gathered(_relu(_edges(image)[1]))


@wrong(corner_detector)
def one_threshold(image):
    """one threshold on all edges of a window added up: short corners do not reach it"""
    _checked(image)
    vertical, horizontal = _edges(image)
    return _relu(_gathered(_relu(vertical) + _relu(horizontal)) - 4)


@wrong(corner_detector)
def no_relu_between(image):
    """no threshold after layer 1: what is negative elsewhere cancels the corner in the sum"""
    _checked(image)
    return _relu(_gathered(_correlate(image, np.array([[-1, -1], [-1, 1]]))))


@wrong(corner_detector)
def signed_corner(image):
    """no threshold: the plain difference of diagonals is added up over the window"""
    _checked(image)
    return _relu(_gathered(_correlate(image, np.array([[1, -1], [-1, 1]]))))


@wrong(corner_detector)
def absolute(image):
    """the absolute value stands in place of the ReLU: bright areas and all edges fire"""
    _checked(image)
    return _gathered(np.abs(_correlate(image, np.array([[-1, -1], [-1, 1]]))))


@wrong(corner_detector)
def unsigned_edges(image):
    """the edges have lost their sign: an absolute value makes all four corners fire"""
    _checked(image)
    vertical, horizontal = np.abs(np.diff(image, axis=1)), np.abs(np.diff(image, axis=0))
    beside = np.maximum(vertical[1:], vertical[:-1])
    below = np.maximum(horizontal[:, 1:], horizontal[:, :-1])
    return _gathered(_relu(beside + below - 1))


@wrong(corner_detector)
def top_right(image):
    """another corner is found: the top-right one"""
    return corner_detector(image[:, ::-1])[:, ::-1]


@wrong(corner_detector)
def bottom_left(image):
    """another corner is found: the bottom-left one"""
    return corner_detector(image[::-1])[::-1]


@wrong(corner_detector)
def bottom_right(image):
    """another corner is found: the bottom-right one, the kernel is turned around"""
    return corner_detector(image[::-1, ::-1])[::-1, ::-1]


@wrong(corner_detector)
def dark_corner(image):
    """bright and dark are exchanged: the corner of a dark block in bright surroundings fires"""
    return corner_detector(1 - image)


@wrong(corner_detector)
def nothing_fires(image):
    """no window ever fires: a threshold is too high, or a small mean became 0 as an integer"""
    return 0 * corner_detector(image)


@wrong(corner_detector)
def one_place_short(image):
    """the window is one short: only 3x3 places of the pattern are gathered, a 4x4 window"""
    _checked(image)
    return _gathered(_relu(_correlate(image, np.array([[-1, -1], [-1, 1]]))), 3)[:-1, :-1]


@wrong(corner_detector)
def one_place_late(image):
    """the window is one short at its top and left: it begins one row and column too late"""
    _checked(image)
    return _gathered(_relu(_correlate(image, np.array([[-1, -1], [-1, 1]]))), 3)[1:, 1:]


@wrong(corner_detector)
def map_too_large(image):
    """the window is one short and the map too large: 3x3 places are gathered instead of 4x4"""
    _checked(image)
    return _gathered(_relu(_correlate(image, np.array([[-1, -1], [-1, 1]]))), 3)


@wrong(corner_detector)
def map_too_small(image):
    """the map is one short: 5x5 places of the pattern are gathered, a 6x6 window"""
    _checked(image)
    found = _relu(_correlate(image, np.array([[-1, -1], [-1, 1]])))
    if min(found.shape) < 5:
        return np.zeros((max(len(found) - 4, 0), max(found.shape[1] - 4, 0)))
    return _gathered(found, 5)


@wrong(corner_detector)
def not_gathered(image):
    """layer 2 is missing: the map of single corners is returned, not one number a window"""
    _checked(image)
    return _relu(_correlate(image, np.array([[-1, -1], [-1, 1]])))


@wrong(corner_detector)
def centre_only(image):
    """only a corner in the middle of the window fires, not one anywhere in it"""
    _checked(image)
    return _relu(_correlate(image, np.array([[-1, -1], [-1, 1]])))[1:-2, 1:-2]


@wrong(corner_detector)
def padded(image):
    """the border of the window counts as dark: a block that runs out of it has a corner there"""
    _checked(image)
    windows = np.lib.stride_tricks.sliding_window_view(image, (5, 5))
    found = np.pad(windows, ((0, 0), (0, 0), (1, 0), (1, 0)))
    dark = 1 - found
    both = dark[..., :-1, :-1] * dark[..., :-1, 1:] * dark[..., 1:, :-1] * found[..., 1:, 1:]
    return both.sum((2, 3))


@wrong(corner_detector)
def thick_blocks_only(image):
    """the corner must belong to a block of 2x2 or more: lines one cell wide are missed"""
    _checked(image)
    pattern = np.array([[-9, -9, -9], [-9, 1, 1], [-9, 1, 1]])
    return _gathered(_relu(_correlate(image, pattern) - 3), 3)


@wrong(corner_detector)
def any_light(image):
    """everything that is not flat fires: light and dark in one window"""
    _checked(image)
    windows = np.lib.stride_tricks.sliding_window_view(image, (5, 5))
    return windows.max((2, 3)) - windows.min((2, 3))


@wrong(corner_detector)
def below_zero(image):
    """the last ReLU is missing: a window without a corner gives a negative number, not 0"""
    return corner_detector(image) - 0.5


@wrong(corner_detector)
def transposed(image):
    """the result is transposed: the window at [row, column] stands at [column, row]"""
    return corner_detector(image).T


@wrong(corner_detector)
def square_images_only(image):
    """the height is used for the width too: only square images get all their windows"""
    result = corner_detector(image)
    side = min(result.shape)
    return result[:side, :side]


@wrong(corner_detector)
def never_refuses(image):
    """an image below 5x5 is not refused: it has no window at all"""
    if min(image.shape) >= 5:
        return corner_detector(image)
    return np.zeros((max(image.shape[0] - 4, 0), max(image.shape[1] - 4, 0)))


@wrong(corner_detector)
def refuses_five(image):
    """an image of exactly 5 rows or columns is refused although it holds a window"""
    if min(image.shape) <= 5:
        raise ValueError(f"the image is {image.shape}, expected more than 5x5")
    return corner_detector(image)
