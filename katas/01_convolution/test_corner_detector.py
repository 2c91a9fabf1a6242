"""Two layers make a corner of edges: what `corner_detector` must do, easiest first.

All pictures here hold bright blocks so far apart that no window sees two. How strongly a
window fires is free; what counts is where it gives 0 and where it gives more.
"""

from itertools import product

import numpy as np
import pytest

from dojo.checks import answer, expect, refuses

corner_detector = answer("corner_detector")

NOISE = 1e-6  # what rounding may leave of a 0
OTHERS = {"top-right": (4, 0, 8, 4), "bottom-left": (0, 4, 4, 8), "bottom-right": (0, 0, 4, 4)}


def picture(shape, *blocks):
    """Dark, but for bright blocks (top, left, bottom, right), the last two not included."""
    image = np.zeros(shape, int)
    for top, left, bottom, right in blocks:
        image[top:bottom, left:right] = 1
    return image


def holds_a_corner(image):
    """The definition: whether the cells 0 0 / 0 1 stand anywhere in each 5x5 window."""
    dark, found = image == 0, image == 1
    found = found[1:, 1:] & dark[:-1, :-1] & dark[:-1, 1:] & dark[1:, :-1]
    return np.lib.stride_tricks.sliding_window_view(found, (4, 4)).any((2, 3))


def judge(what, image):
    """Every window of the image fires where it should; `what` tells what the image shows."""
    got = corner_detector(image)
    expect(isinstance(got, np.ndarray), f"got a {type(got).__name__}, expected a numpy array")
    shape = (image.shape[0] - 4, image.shape[1] - 4)
    expect(got.shape == shape, f"the shape is {got.shape}, expected {shape}: one number for "
           f"every 5x5 window of an image {image.shape}", ("shape", got.shape))  # fmt: skip
    got, wanted = got.astype(float), holds_a_corner(image)
    fires = np.where(np.abs(got) <= NOISE, 0.0, np.sign(got))  # nan stays nan
    bad = fires != wanted
    row, column = np.unravel_index(bad.argmax(), bad.shape)
    rule = "it holds the corner: more than 0" if wanted[row, column] else "no corner is in it: 0"
    expect(not bad.any(), f"{what}: the window at [{row}, {column}] gives "
           f"{got[row, column]:.3g}, but {rule} is wanted", ("fires", fires))  # fmt: skip


def test_the_top_left_corner_of_a_block_fires():
    """Where dark meets bright both from the left and from above, the window fires."""
    judge("a block from [2, 2] on", picture((5, 5), (2, 2, 5, 5)))


@pytest.mark.parametrize("brightness", [0, 1])
def test_a_flat_area_gives_0(brightness):
    """Where all cells are equal, dark or bright, there is no corner."""
    judge(f"all cells are {brightness}", np.full((5, 6), brightness))


@pytest.mark.parametrize("side", ["right", "left", "lower", "upper"])
def test_a_lone_edge_gives_0(side):
    """An edge alone is no corner, however long: both edges are required, at one place."""
    image = picture((6, 8), (0, 4, 6, 8) if side in ("right", "lower") else (0, 0, 6, 4))
    image = image if side in ("right", "left") else image.T
    judge(f"a lone edge, the {side} half bright", image)


@pytest.mark.parametrize("corner", OTHERS)
def test_the_other_corners_of_a_block_give_0(corner):
    """Only the top-left corner counts: an edge has a sign, an absolute value would lose it."""
    judge(f"the {corner} corner of a block", picture((8, 8), OTHERS[corner]))


def test_it_fires_in_any_place_of_the_window():
    """A 5x5 window has 4x4 places for the corner, and in the last ones sees little of the block."""
    judge("a block from [4, 4] on", picture((8, 8), (4, 4, 8, 8)))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 4), (4, 1), (2, 1), (3, 2)])
def test_a_small_block_fires(height, width):
    """One bright cell is enough: a threshold on all edges added up would miss short ones."""
    judge(f"a {height}x{width} block at [4, 5]", picture((9, 10), (4, 5, 4 + height, 5 + width)))


@pytest.mark.parametrize("top", range(5))
def test_every_window_that_one_block_can_fill(top):
    """All that a 5x5 window can hold of one block: it fires for 0 0 / 0 1 and for nothing else."""
    for bottom, left in product(range(top + 1, 6), range(5)):
        for right in range(left + 1, 6):
            where = f"a block in rows {top} to {bottom - 1}, columns {left} to {right - 1}"
            judge(where, picture((5, 5), (top, left, bottom, right)))


@pytest.mark.parametrize("height", range(1, 8))
def test_every_window_of_a_larger_picture_is_judged_by_itself(rng, height):
    """(H, W) gives (H - 4, W - 4): each window sees its own 25 cells, no border beyond them."""
    for width in range(1, 8):
        top, left = (int(v) for v in rng.integers(0, (11 - height, 14 - width)))
        image = picture((10, 13), (top, left, top + height, left + width))
        judge(f"a {height}x{width} block at [{top}, {left}] in (10, 13)", image)
        judge(f"a {width}x{height} block at [{left}, {top}] in (13, 10)", image.T)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 2), (7, 9)])
def test_a_dark_block_has_no_corner(height, width):
    """Dark inside bright is no corner: of the four cells three are dark, not one."""
    image = 1 - picture((9, 11), (1, 1, 1 + height, 1 + width))
    judge(f"a dark {height}x{width} block in a bright picture", image)


@pytest.mark.parametrize("turned", [False, True], ids=["as it is", "turned"])
def test_the_edges_of_two_blocks_make_no_corner(turned):
    """The left edge of one, the upper edge of another: in one window, but at no one place."""
    image = picture((5, 6), (0, 4, 2, 6), (4, 0, 5, 2))
    judge("two blocks whose corners lie outside", image.T if turned else image)


@pytest.mark.parametrize("second", [(0, 3, 1, 4), (3, 1, 4, 2), (4, 4, 5, 5)])
def test_two_corners_in_one_window(second):
    """One is enough, two are no less: a window counts no corners."""
    judge("two single bright cells", picture((5, 6), (1, 1, 2, 2), second))


@pytest.mark.parametrize("dtype", ["int64", "int32", "float32", "float64"])
def test_two_blocks_far_apart_in_integers_or_floats(dtype):
    """Each block has its corner; cells of 0 and 1 may be integers or floats."""
    image = picture((9, 16), (1, 2, 4, 5), (3, 11, 8, 13)).astype(dtype)
    judge(f"two blocks, {dtype}", image)


@pytest.mark.parametrize("shape", [(5, 9), (8, 5), (5, 5)])
def test_an_image_of_5_rows_or_columns_is_the_smallest(shape):
    """Five rows or five columns hold a window, so they are legal."""
    judge(f"one bright cell in {shape}", picture(shape, (3, 2, 4, 3)))


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (4, 4), (4, 5), (5, 4), (1, 7)])
def test_an_image_below_5x5_is_refused(shape):
    """An image that holds no 5x5 window, too low or too narrow, is refused with a ValueError."""
    refuses(corner_detector, picture(shape, (1, 1, 3, 3)), because=f"an image {shape}")
