"""Four filters that people wrote by hand, before networks learned their own."""

import functools

import numpy as np

from dojo import right, wrong


def vertical_edge() -> np.ndarray:
    """Give a filter that answers where the picture turns from dark (left) to bright (right).

    Slid over a picture as in correlate2d, it gives 0 on every area of one brightness and on
    every horizontal edge. At a vertical edge from dark to bright its response is positive,
    nowhere negative; the other way round it is the same with a minus. Any positive scale
    will do, and the rows need not weigh the same.

    Shapes:
        returns: (3, 3), integers or floats

    Example:
        >>> bright_on_the_right = np.array([[0, 0, 1]] * 3)
        >>> bool((vertical_edge() * bright_on_the_right).sum() > 0)
        True

    Source: Szeliski, Computer Vision: Algorithms and Applications, section 3.2.
    """
    return np.array([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]])


def horizontal_edge() -> np.ndarray:
    """Give a filter that answers where the picture turns from dark (above) to bright (below).

    It is to rows what vertical_edge is to columns: 0 on every area of one brightness and on
    every vertical edge, positive and nowhere negative at a horizontal edge from dark to
    bright. Any positive scale will do, and the columns need not weigh the same.

    Shapes:
        returns: (3, 3), integers or floats

    Example:
        >>> bright_below = np.array([[0, 0, 0], [0, 0, 0], [1, 1, 1]])
        >>> bool((horizontal_edge() * bright_below).sum() > 0)
        True

    Source: Szeliski, Computer Vision: Algorithms and Applications, section 3.2.
    """
    return np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]])


def box_blur(size: int) -> np.ndarray:
    """Give a filter that replaces every pixel by the mean of the square around it.

    All its cells are equal. A picture of one brightness keeps it: blurring makes nothing
    brighter or darker on the whole.

    Shapes:
        size: 1 or more, odd or even
        returns: (size, size), floats; a new array

    Example:
        >>> (box_blur(2) + box_blur(2)).tolist()
        [[0.5, 0.5], [0.5, 0.5]]

    Raises:
        ValueError: size is below 1.

    Source: Szeliski, Computer Vision: Algorithms and Applications, section 3.2.
    """
    if size < 1:
        raise ValueError(f"size is {size}; a blur needs at least 1 cell a side")
    return np.full((size, size), 1 / size**2)


def sharpen() -> np.ndarray:
    """Give a filter that makes edges stand out and leaves flat areas as they are.

    A picture of one brightness keeps it. Along an edge, vertical or horizontal, whichever
    side is the bright one, the response overshoots: right beside the edge the bright side
    becomes brighter than it was, and the dark side darker.

    Shapes:
        returns: (3, 3), integers or floats

    Example:
        >>> grey = np.full((3, 3), 0.5)
        >>> print(round(float((sharpen() * grey).sum()), 6))
        0.5

    Source: Szeliski, Computer Vision: Algorithms and Applications, section 3.2.
    """
    return np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])


HINTS = [
    "Write down the 3x3 window that stands on a vertical edge: two dark columns, one bright. "
    "Which signs must the filter's columns have to give a positive sum here, and 0 when all "
    "nine cells are equal? And which sum must the cells of a filter have that keeps a grey area?",
    "An edge filter is a difference: bright side minus dark side, so its cells add up to 0, "
    "and those of each row do so too if the edge is vertical. A blur is a mean: its cells add "
    "up to 1. A sharpened pixel is itself plus what sets it apart from its neighbours.",
    "Vertical: -1, 0, 1 in every row; horizontal: the same in every column. The blur divides "
    "by the number of cells, size * size. Sharpen: the four neighbours count -1 each, and the "
    "middle as much as makes the sum 1.",
]


@right(vertical_edge)
def sobel_vertical():
    return np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8


@right(vertical_edge)
def one_sided_vertical():
    """The right neighbour minus the pixel itself, in float32, the rows weighed unevenly."""
    return np.outer([0.1, 0.7, 0.3], [0, -1, 1]).astype(np.float32)


@right(horizontal_edge)
def scharr_horizontal():
    return np.outer([-1, 0, 1], [3, 10, 3])


@right(horizontal_edge)
def middle_column_only():
    return np.array([[0, -1, 0], [0, 0, 0], [0, 1, 0]], dtype=np.int8)


@right(box_blur)
def ones_over_their_sum(size):
    if size <= 0:
        raise ValueError(f"size is {size}, expected 1 or more")
    ones = np.ones((size, size))
    return ones / ones.sum()


@right(box_blur)
def two_passes(size):
    """A mean over rows after a mean over columns."""
    if size < 1:
        raise ValueError(f"size is {size}, expected 1 or more")
    line = np.full(size, 1 / size)
    return np.outer(line, line)


@right(sharpen)
def all_eight_neighbours():
    kernel = np.full((3, 3), -1.0)
    kernel[1, 1] = 9.0
    return kernel


@right(sharpen)
def unsharp_mask():
    """The picture plus a share of what a blur takes away."""
    identity = np.zeros((3, 3))
    identity[1, 1] = 1
    return identity + 0.3 * (identity - box_blur(3))


@wrong(vertical_edge)
def vertical_exchanged():
    """vertical_edge has its orientation exchanged: it answers to horizontal edges"""
    return horizontal_edge()


@wrong(vertical_edge)
def vertical_sign():
    """vertical_edge has the wrong sign: it is positive from bright to dark"""
    return -vertical_edge()


@wrong(vertical_edge)
def vertical_exchanged_and_sign():
    """vertical_edge has its orientation exchanged and the wrong sign too"""
    return -horizontal_edge()


@wrong(vertical_edge)
def vertical_unbalanced():
    """vertical_edge is unbalanced: its cells do not add up to 0, so flat areas light up"""
    return np.array([[-1, 0, 2]] * 3)


@wrong(vertical_edge)
def vertical_diagonal():
    """vertical_edge is a diagonal filter: it answers to horizontal edges as well"""
    return np.array([[-2, -1, 0], [-1, 0, 1], [0, 1, 2]])


@wrong(vertical_edge)
def vertical_line():
    """vertical_edge finds lines: it is negative on one side of an edge, positive on the other"""
    return np.array([[-1, 2, -1]] * 3)


@wrong(vertical_edge)
def vertical_corner():
    """vertical_edge cancels along a straight edge: each of its columns adds up to 0"""
    return np.outer([-1, 0, 1], [-1, 0, 1])


@wrong(vertical_edge)
def vertical_laplacian():
    """vertical_edge is a Laplacian: it answers to edges of every orientation, with both signs"""
    return np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])


@wrong(horizontal_edge)
def horizontal_exchanged():
    """horizontal_edge has its orientation exchanged: it answers to vertical edges"""
    return vertical_edge()


@wrong(horizontal_edge)
def horizontal_sign():
    """horizontal_edge has the wrong sign: it is positive from bright to dark"""
    return -horizontal_edge()


@wrong(horizontal_edge)
def horizontal_exchanged_and_sign():
    """horizontal_edge has its orientation exchanged and the wrong sign too"""
    return -vertical_edge()


@wrong(horizontal_edge)
def horizontal_unbalanced():
    """horizontal_edge is unbalanced: its cells do not add up to 0, so flat areas light up"""
    return np.array([[-1, 0, 2]] * 3).T


@wrong(horizontal_edge)
def horizontal_diagonal():
    """horizontal_edge is a diagonal filter: it answers to vertical edges as well"""
    return np.array([[-2, -1, 0], [-1, 0, 1], [0, 1, 2]])


@wrong(horizontal_edge)
def horizontal_line():
    """horizontal_edge finds lines: it is negative on one side of an edge, positive on the other"""
    return np.array([[-1, 2, -1]] * 3).T


@wrong(horizontal_edge)
def horizontal_corner():
    """horizontal_edge cancels along a straight edge: each of its rows adds up to 0"""
    return np.outer([-1, 0, 1], [-1, 0, 1])


@wrong(horizontal_edge)
def horizontal_laplacian():
    """horizontal_edge is a Laplacian: it answers to edges of every orientation, with both signs"""
    return np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])


@wrong(box_blur)
def blur_unnormalised(size):
    """the blur is unnormalised: its cells are ones that nobody divided by their number"""
    return box_blur(size) * size**2


@wrong(box_blur)
def blur_divided_by_size(size):
    """the blur is divided by size, not by the number of its cells, size times size"""
    return box_blur(size) * size


@wrong(box_blur)
def blur_divided_by_nine(size):
    """the blur is divided by 9 whatever its size: only the 3x3 one is a mean"""
    return box_blur(size) * size**2 / 9


@wrong(box_blur)
def blur_in_integers(size):
    """the blur divides whole numbers with //: above size 1 nothing is left but 0"""
    return np.full(box_blur(size).shape, 1 // size**2)


@wrong(box_blur)
def blur_weighted(size):
    """the blur weighs the middle more than the border: its cells are not all equal"""
    distance = np.arange(len(box_blur(size))) - (size - 1) / 2
    line = np.exp(-((distance / size) ** 2))
    return np.outer(line, line) / line.sum() ** 2


@wrong(box_blur)
def blur_one_row(size):
    """the blur is a single row of cells: it blurs in one direction only"""
    return box_blur(size).sum(0, keepdims=True)


@wrong(box_blur)
def blur_made_odd(size):
    """an even size is rounded up to the next odd one"""
    return box_blur(size if size < 1 else size | 1)


@wrong(box_blur)
def blur_always_three(size):
    """the size is ignored: every blur is 3x3"""
    return box_blur(3 if size > 0 else size)


@wrong(box_blur)
def blur_refuses_even(size):
    """an even size is refused although a blur may have one"""
    if size % 2 == 0:
        raise ValueError(f"size is {size}, expected an odd one")
    return box_blur(size)


@wrong(box_blur)
def blur_never_refuses(size):
    """a size below 1 is not refused"""
    return box_blur(size) if size > 0 else np.zeros((0, 0))


@wrong(box_blur)
def blur_of_nothing(size):
    """size 0 divides by 0 instead of being refused"""
    return np.full((size, size), 1 / size**2)


@functools.cache
def _remembered(size):
    return box_blur(size)


@wrong(box_blur)
def blur_remembered(size):
    """the blur is remembered and given out again: what was written into one stays there"""
    return _remembered(size)


@wrong(sharpen)
def sharpen_sums_to_zero():
    """sharpen sums to 0: what is left are the edges alone, flat areas turn black"""
    return np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]])


@wrong(sharpen)
def sharpen_sums_to_two():
    """sharpen sums to 2: flat areas become twice as bright"""
    return np.array([[0, -1, 0], [-1, 6, -1], [0, -1, 0]])


@wrong(sharpen)
def sharpen_changes_nothing():
    """sharpen copies the picture: a single 1 in the middle makes no edge stronger"""
    return np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]])


@wrong(sharpen)
def sharpen_blurs():
    """sharpen blurs: its neighbours count with the sign of the middle"""
    return np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 8


@wrong(sharpen)
def sharpen_vertical_only():
    """sharpen overshoots vertical edges only: the neighbours above and below do not count"""
    return np.array([[0, 0, 0], [-1, 3, -1], [0, 0, 0]])


@wrong(sharpen)
def sharpen_horizontal_only():
    """sharpen overshoots horizontal edges only: the neighbours left and right do not count"""
    return np.array([[0, -1, 0], [0, 3, 0], [0, -1, 0]])


@wrong(sharpen)
def sharpen_turned():
    """sharpen has its signs turned: the bright side of an edge darkens, the dark one brightens"""
    return np.array([[0, 2, 0], [2, -7, 2], [0, 2, 0]])


@wrong(sharpen)
def sharpen_embosses():
    """sharpen embosses: one side of a picture's bumps is lit, the other lies in shadow"""
    return np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])


def show(answer):
    """A real photo, and what the four filters make of it."""
    from data import photo
    from dojo.pictures import signed_maps

    image = photo()
    image = image - image.mean()

    def filtered(kernel):
        windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
        return np.einsum("ijkl,kl->ij", windows, kernel)

    return signed_maps(
        {"photo": image},
        {"vertical_edge": filtered(answer.vertical_edge()),
         "horizontal_edge": filtered(answer.horizontal_edge()),
         "box_blur(7)": filtered(answer.box_blur(7)),
         "sharpen": filtered(answer.sharpen())},
    )  # fmt: skip
