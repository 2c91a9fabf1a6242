"""Which outputs see a pixel? A convolution only ever looks at a neighbourhood."""

import functools

import numpy as np

from dojo import right, wrong


def touched_outputs(
    image_shape: tuple[int, int], kernel_shape: tuple[int, int], pixel: tuple[int, int]
) -> np.ndarray:
    """Mark the outputs of a convolution that change when one pixel of the image changes.

    The kernel moves over the image one cell at a time, without padding, and every output
    looks at one window only. Seen from the pixel: the few windows that cover it carry it into
    the output, and all other outputs know nothing of it. An output is named by its place among
    the outputs, which is where its window's top-left corner lies in the image.

    Shapes:
        image_shape: (H, W)
        kernel_shape: (KH, KW), not larger than the image
        pixel: (row, column) in the image, each counted from 0
        returns: (H - KH + 1, W - KW + 1), bool, True where the output sees the pixel; a new array

    Example:
        >>> touched_outputs((3, 4), (2, 2), (0, 1))
        array([[ True,  True, False],
               [False, False, False]])

    Raises:
        ValueError: the pixel lies outside the image, negative row or column included, or the
            kernel is larger than the image in either direction.

    Source: Goodfellow, Bengio & Courville, Deep Learning (MIT Press, 2016), section 9.2.
    """
    (height, width), (kernel_height, kernel_width), (row, column) = image_shape, kernel_shape, pixel
    rows, columns = height - kernel_height + 1, width - kernel_width + 1
    if rows < 1 or columns < 1:
        raise ValueError(f"kernel {kernel_shape} does not fit into an image {image_shape}")
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(f"pixel {pixel} lies outside of an image {image_shape}")
    touched = np.zeros((rows, columns), bool)
    top, left = max(row - kernel_height + 1, 0), max(column - kernel_width + 1, 0)
    touched[top : row + 1, left : column + 1] = True
    return touched


HINTS = [
    "Take one row of six pixels and a kernel of three. Write down for every output which pixels "
    "it looks at. In which of these lists does pixel 3 stand? And pixel 0?",
    "The window of output [i, j] covers the rows i to i + KH - 1. Turn that around: for which i "
    "does it cover `row`? Then cut off what lies outside of the outputs.",
    "i runs from row - KH + 1, but not from below 0, to row; j does the same with column and KW. "
    "Set that slice of np.zeros((H - KH + 1, W - KW + 1), bool) to True. A slice may end behind "
    "the array, but a negative start counts from the end.",
]


def _checked(image_shape, kernel_shape, pixel):
    """Numbers of output rows and columns, after all refusals."""
    return touched_outputs(image_shape, kernel_shape, pixel).shape


@right(touched_outputs)
def by_definition(image_shape, kernel_shape, pixel):
    rows, columns = _checked(image_shape, kernel_shape, pixel)
    (kernel_height, kernel_width), (row, column) = kernel_shape, pixel
    return np.array([
        [i <= row < i + kernel_height and j <= column < j + kernel_width for j in range(columns)]
        for i in range(rows)
    ])  # fmt: skip


@right(touched_outputs)
def by_poking(image_shape, kernel_shape, pixel):
    """An image that is dark but for the pixel: the windows that are not dark hold it."""
    _checked(image_shape, kernel_shape, pixel)
    image = np.zeros(image_shape)
    image[pixel] = 1
    return np.lib.stride_tricks.sliding_window_view(image, kernel_shape).any((2, 3))


@right(touched_outputs)
def by_two_axes(image_shape, kernel_shape, pixel):
    """A window covers the pixel when it does so on both axes."""
    _checked(image_shape, kernel_shape, pixel)
    axes = []
    for n, kernel_size, at in zip(image_shape, kernel_shape, pixel, strict=True):
        distance = at - np.arange(n - kernel_size + 1)
        axes.append((distance >= 0) & (distance < kernel_size))
    return np.outer(*axes)


def _slice(image_shape, kernel_shape, pixel, first, last):
    """All outputs from `first` to `last`, cut to what there is."""
    touched = np.zeros(_checked(image_shape, kernel_shape, pixel), bool)
    (top, left), (bottom, right_most) = np.maximum(first, 0), np.maximum(last, -1)
    touched[top : bottom + 1, left : right_most + 1] = True
    return touched


def _from(kernel_shape, pixel, more=0):
    return np.subtract(pixel, kernel_shape) + 1 + more


@wrong(touched_outputs)
def one_too_many_before(image_shape, kernel_shape, pixel):
    """off by one: one row and one column of outputs too many above and left of the pixel"""
    return _slice(image_shape, kernel_shape, pixel, _from(kernel_shape, pixel, -1), pixel)


@wrong(touched_outputs)
def first_missing(image_shape, kernel_shape, pixel):
    """off by one: the first row and column of the outputs that see the pixel are missing"""
    return _slice(image_shape, kernel_shape, pixel, _from(kernel_shape, pixel, 1), pixel)


@wrong(touched_outputs)
def one_too_many_behind(image_shape, kernel_shape, pixel):
    """off by one: outputs whose windows begin right after the pixel count as well"""
    return _slice(image_shape, kernel_shape, pixel, _from(kernel_shape, pixel), np.add(pixel, 1))


@wrong(touched_outputs)
def last_missing(image_shape, kernel_shape, pixel):
    """off by one: the slice ends before the output at the pixel's own row and column"""
    return _slice(image_shape, kernel_shape, pixel, _from(kernel_shape, pixel), np.add(pixel, -1))


@wrong(touched_outputs)
def one_row_too_many(image_shape, kernel_shape, pixel):
    """off by one: one row of outputs too many above those that see the pixel"""
    first = np.subtract(_from(kernel_shape, pixel), (1, 0))
    return _slice(image_shape, kernel_shape, pixel, first, pixel)


@wrong(touched_outputs)
def one_column_too_many(image_shape, kernel_shape, pixel):
    """off by one: one column of outputs too many left of those that see the pixel"""
    first = np.subtract(_from(kernel_shape, pixel), (0, 1))
    return _slice(image_shape, kernel_shape, pixel, first, pixel)


@wrong(touched_outputs)
def last_row_missing(image_shape, kernel_shape, pixel):
    """off by one: the slice ends before the pixel's own row"""
    last = np.subtract(pixel, (1, 0))
    return _slice(image_shape, kernel_shape, pixel, _from(kernel_shape, pixel), last)


@wrong(touched_outputs)
def last_column_missing(image_shape, kernel_shape, pixel):
    """off by one: the slice ends before the pixel's own column"""
    last = np.subtract(pixel, (0, 1))
    return _slice(image_shape, kernel_shape, pixel, _from(kernel_shape, pixel), last)


@wrong(touched_outputs)
def cut_one_early(image_shape, kernel_shape, pixel):
    """border off by one: the last row and column of outputs are never marked"""
    touched = touched_outputs(image_shape, kernel_shape, pixel)
    touched[-1], touched[:, -1] = False, False
    return touched


@wrong(touched_outputs)
def begins_at_one(image_shape, kernel_shape, pixel):
    """border off by one: the first row and column of outputs are never marked"""
    touched = touched_outputs(image_shape, kernel_shape, pixel)
    touched[0], touched[:, 0] = False, False
    return touched


@wrong(touched_outputs)
def one_row_and_column_short(image_shape, kernel_shape, pixel):
    """the result is one row and column short: N - F outputs instead of N - F + 1"""
    return touched_outputs(image_shape, kernel_shape, pixel)[:-1, :-1]


@wrong(touched_outputs)
def start_below_zero(image_shape, kernel_shape, pixel):
    """the border is not cut off: a slice that starts below 0 counts from the end"""
    touched = np.zeros(_checked(image_shape, kernel_shape, pixel), bool)
    top, left = _from(kernel_shape, pixel)
    touched[top : pixel[0] + 1, left : pixel[1] + 1] = True
    return touched


@wrong(touched_outputs)
def indices_below_zero(image_shape, kernel_shape, pixel):
    """the border is not cut off: indices below 0 mark outputs at the other end"""
    touched = np.zeros(_checked(image_shape, kernel_shape, pixel), bool)
    for i in range(pixel[0] - kernel_shape[0] + 1, pixel[0] + 1):
        for j in range(pixel[1] - kernel_shape[1] + 1, pixel[1] + 1):
            if i < touched.shape[0] and j < touched.shape[1]:
                touched[i, j] = True
    return touched


@wrong(touched_outputs)
def inside_only(image_shape, kernel_shape, pixel):
    """KH * KW outputs are marked near the border too: they are moved inside, not cut off"""
    touched = np.zeros(_checked(image_shape, kernel_shape, pixel), bool)
    top = np.clip(_from(kernel_shape, pixel), 0, np.subtract(image_shape, kernel_shape))
    bottom = top + kernel_shape
    touched[top[0] : bottom[0], top[1] : bottom[1]] = True
    return touched


@wrong(touched_outputs)
def square_kernel_of_its_height(image_shape, kernel_shape, pixel):
    """the kernel is taken for square: its height is used for its width too"""
    first = _from((kernel_shape[0], kernel_shape[0]), pixel)
    return _slice(image_shape, kernel_shape, pixel, first, pixel)


@wrong(touched_outputs)
def square_kernel_of_its_width(image_shape, kernel_shape, pixel):
    """the kernel is taken for square: its width is used for its height too"""
    first = _from((kernel_shape[1], kernel_shape[1]), pixel)
    return _slice(image_shape, kernel_shape, pixel, first, pixel)


@wrong(touched_outputs)
def square_kernel_of_its_longer_side(image_shape, kernel_shape, pixel):
    """the kernel is taken for square: its longer side is used for both"""
    first = _from((max(kernel_shape), max(kernel_shape)), pixel)
    return _slice(image_shape, kernel_shape, pixel, first, pixel)


@wrong(touched_outputs)
def square_in_all(image_shape, kernel_shape, pixel):
    """the kernel is taken for square, its height used as its width in the result's shape too"""
    _checked(image_shape, kernel_shape, pixel)
    side = (kernel_shape[0], kernel_shape[0])
    shape = np.maximum(np.subtract(image_shape, side) + 1, 0)
    touched = np.zeros(shape, bool)
    top, left = np.maximum(_from(side, pixel), 0)
    touched[top : pixel[0] + 1, left : pixel[1] + 1] = True
    return touched


@wrong(touched_outputs)
def kernel_transposed(image_shape, kernel_shape, pixel):
    """the kernel's height and width are exchanged"""
    first = _from(kernel_shape[::-1], pixel)
    return _slice(image_shape, kernel_shape, pixel, first, pixel)


@wrong(touched_outputs)
def square_image(image_shape, kernel_shape, pixel):
    """the image is taken for square: its height is used for its width too"""
    _checked(image_shape, kernel_shape, pixel)
    columns = max(image_shape[0] - kernel_shape[1] + 1, 0)
    touched = np.zeros((image_shape[0] - kernel_shape[0] + 1, columns), bool)
    top, left = np.maximum(_from(kernel_shape, pixel), 0)
    touched[top : pixel[0] + 1, left : pixel[1] + 1] = True
    return touched


@wrong(touched_outputs)
def column_row(image_shape, kernel_shape, pixel):
    """the pixel is read as (column, row)"""
    _checked(image_shape, kernel_shape, pixel)
    touched = np.zeros(np.subtract(image_shape, kernel_shape) + 1, bool)
    top, left = np.maximum(_from(kernel_shape, pixel[::-1]), 0)
    touched[top : pixel[1] + 1, left : pixel[0] + 1] = True
    return touched


@wrong(touched_outputs)
def transposed(image_shape, kernel_shape, pixel):
    """the result is transposed: entry [row, column] stands at [column, row]"""
    return touched_outputs(image_shape, kernel_shape, pixel).T


@wrong(touched_outputs)
def in_input_coordinates(image_shape, kernel_shape, pixel):
    """the result is in input coordinates: as large as the image, a window centred on each pixel"""
    touched = touched_outputs(image_shape, kernel_shape, pixel)
    return np.pad(touched, [(0, n - m) for n, m in zip(image_shape, touched.shape, strict=True)])


@wrong(touched_outputs)
def pixel_itself(image_shape, kernel_shape, pixel):
    """input coordinates: only the output at the pixel's own row and column is marked"""
    return _slice(image_shape, kernel_shape, pixel, pixel, pixel)


@wrong(touched_outputs)
def window_from_the_pixel(image_shape, kernel_shape, pixel):
    """input coordinates: the window that begins at the pixel is marked, as if it were outputs"""
    last = np.add(pixel, kernel_shape) - 1
    return _slice(image_shape, kernel_shape, pixel, pixel, last)


@wrong(touched_outputs)
def neighbours(image_shape, kernel_shape, pixel):
    """input coordinates: the pixels that share a window with this one are marked, as if outputs"""
    last = np.add(pixel, kernel_shape) - 1
    return _slice(image_shape, kernel_shape, pixel, _from(kernel_shape, pixel), last)


@wrong(touched_outputs)
def centred_window(image_shape, kernel_shape, pixel):
    """the window is centred: an output is taken to lie at its window's centre, not its corner"""
    half = np.array(kernel_shape) // 2
    return _slice(image_shape, kernel_shape, pixel, np.subtract(pixel, half), np.add(pixel, half))


@wrong(touched_outputs)
def centred_corner(image_shape, kernel_shape, pixel):
    """the window is centred on the pixel: the outputs inside the image's window are marked"""
    half = np.array(kernel_shape) // 2
    first = np.subtract(pixel, half)
    return _slice(image_shape, kernel_shape, pixel, first, first + kernel_shape - 1)


@wrong(touched_outputs)
def complement(image_shape, kernel_shape, pixel):
    """the outputs that do not see the pixel are marked"""
    return ~touched_outputs(image_shape, kernel_shape, pixel)


@wrong(touched_outputs)
def either_axis(image_shape, kernel_shape, pixel):
    """one axis is enough: whole rows and columns are marked, both axes must cover the pixel"""
    (height, width), (row, column) = _checked(image_shape, kernel_shape, pixel), pixel
    over = (row - np.arange(height) >= 0) & (row - np.arange(height) < kernel_shape[0])
    along = (column - np.arange(width) >= 0) & (column - np.arange(width) < kernel_shape[1])
    return over[:, None] | along


@wrong(touched_outputs)
def corners_everywhere(image_shape, kernel_shape, pixel):
    """all outputs up to the pixel are marked, however far away their windows begin"""
    return _slice(image_shape, kernel_shape, pixel, (0, 0), pixel)


@wrong(touched_outputs)
def all_outputs(image_shape, kernel_shape, pixel):
    """every output is marked, as in a dense layer"""
    return np.ones(_checked(image_shape, kernel_shape, pixel), bool)


@wrong(touched_outputs)
def ints(image_shape, kernel_shape, pixel):
    """the marks are numbers, 0 and 1, not bool"""
    return touched_outputs(image_shape, kernel_shape, pixel).astype(int)


@wrong(touched_outputs)
def floats(image_shape, kernel_shape, pixel):
    """the marks are floats, 0.0 and 1.0, not bool"""
    return touched_outputs(image_shape, kernel_shape, pixel).astype(float)


_BUFFERS = {}


@wrong(touched_outputs)
def one_buffer(image_shape, kernel_shape, pixel):
    """one array is used for every result of its shape: a later call changes an earlier result"""
    touched = touched_outputs(image_shape, kernel_shape, pixel)
    buffer = _BUFFERS.setdefault(touched.shape, touched)
    buffer[...] = touched
    return buffer


_remembered = functools.cache(touched_outputs)


@wrong(touched_outputs)
def remembered(image_shape, kernel_shape, pixel):
    """results are remembered and given out again: what was written into one stays there"""
    return _remembered(image_shape, kernel_shape, pixel)


@wrong(touched_outputs)
def negative_from_the_end(image_shape, kernel_shape, pixel):
    """a negative pixel is not refused: it counts from the end"""
    if not all(-n <= at < n for n, at in zip(image_shape, pixel, strict=True)):
        raise ValueError("outside")
    return touched_outputs(image_shape, kernel_shape, tuple(np.mod(pixel, image_shape).tolist()))


@wrong(touched_outputs)
def outside_touches_nothing(image_shape, kernel_shape, pixel):
    """a pixel outside the image is not refused: nothing is marked, or what is nearest"""
    _checked(image_shape, kernel_shape, (0, 0))
    touched = np.zeros(np.subtract(image_shape, kernel_shape) + 1, bool)
    top, left = np.maximum(_from(kernel_shape, pixel), 0)
    bottom, right_most = np.maximum(pixel, -1)
    touched[top : bottom + 1, left : right_most + 1] = True
    return touched


@wrong(touched_outputs)
def one_past_the_end(image_shape, kernel_shape, pixel):
    """a pixel one past the last row or column is not refused: they are counted from 0"""
    nearest = np.minimum(pixel, np.subtract(image_shape, 1))
    if (np.subtract(pixel, nearest) > 1).any():
        raise ValueError("outside")
    _checked(image_shape, kernel_shape, tuple(nearest.tolist()))
    touched = np.zeros(np.subtract(image_shape, kernel_shape) + 1, bool)
    top, left = np.maximum(_from(kernel_shape, pixel), 0)
    touched[top : pixel[0] + 1, left : pixel[1] + 1] = True
    return touched


@wrong(touched_outputs)
def negative_unchecked(image_shape, kernel_shape, pixel):
    """a negative row or column is not refused, only one that is too large"""
    if min(pixel) >= 0 or pixel[0] >= image_shape[0] or pixel[1] >= image_shape[1]:
        return touched_outputs(image_shape, kernel_shape, pixel)
    return outside_touches_nothing(image_shape, kernel_shape, pixel)


@wrong(touched_outputs)
def end_unchecked(image_shape, kernel_shape, pixel):
    """a row or column beyond the image's end is not refused, only a negative one"""
    if min(pixel) < 0:
        raise ValueError("outside")
    return outside_touches_nothing(image_shape, kernel_shape, pixel)


@wrong(touched_outputs)
def outside_of_the_outputs(image_shape, kernel_shape, pixel):
    """a pixel is refused where no output begins: it is held against the output's shape"""
    rows, columns = _checked(image_shape, kernel_shape, pixel)
    if pixel[0] >= rows or pixel[1] >= columns:
        raise ValueError("outside")
    return touched_outputs(image_shape, kernel_shape, pixel)


@wrong(touched_outputs)
def last_pixel_refused(image_shape, kernel_shape, pixel):
    """a pixel in the last row or column is refused, as if it lay outside"""
    if pixel[0] == image_shape[0] - 1 or pixel[1] == image_shape[1] - 1:
        raise ValueError("outside")
    return touched_outputs(image_shape, kernel_shape, pixel)


@wrong(touched_outputs)
def exact_fit_refused(image_shape, kernel_shape, pixel):
    """a kernel as tall or as wide as the image is refused: it has one place there"""
    if 1 in _checked(image_shape, kernel_shape, pixel):
        raise ValueError("kernel does not fit")
    return touched_outputs(image_shape, kernel_shape, pixel)


@wrong(touched_outputs)
def large_kernel_accepted(image_shape, kernel_shape, pixel):
    """a kernel larger than the image is not refused: an empty result comes back"""
    shape = np.maximum(np.subtract(image_shape, kernel_shape) + 1, 0)
    if shape.all():
        return touched_outputs(image_shape, kernel_shape, pixel)
    touched_outputs(image_shape, (1, 1), pixel)
    return np.zeros(shape, bool)


@wrong(touched_outputs)
def only_the_height_checked(image_shape, kernel_shape, pixel):
    """a kernel wider than the image is not refused, only one that is taller"""
    touched_outputs(image_shape, (kernel_shape[0], 1), pixel)
    return large_kernel_accepted(image_shape, kernel_shape, pixel)


@wrong(touched_outputs)
def only_the_width_checked(image_shape, kernel_shape, pixel):
    """a kernel taller than the image is not refused, only one that is wider"""
    touched_outputs(image_shape, (1, kernel_shape[1]), pixel)
    return large_kernel_accepted(image_shape, kernel_shape, pixel)


@wrong(touched_outputs)
def large_kernel_stops_in_numpy(image_shape, kernel_shape, pixel):
    """a kernel larger than the image is refused only where the result has a negative size"""
    touched_outputs(image_shape, (1, 1), pixel)
    shape = np.subtract(image_shape, kernel_shape) + 1
    touched = np.zeros(shape, bool)
    top, left = np.maximum(_from(kernel_shape, pixel), 0)
    touched[top : pixel[0] + 1, left : pixel[1] + 1] = True
    return touched


def show(answer):
    """What three pixels reach, and how many outputs see each pixel of a small image."""
    from dojo.pictures import signed_maps

    image_shape, kernel_shape = (12, 18), (3, 5)
    pixels = {"corner": (0, 0), "edge": (6, 17), "inside": (6, 8)}
    seen = {
        f"{name} pixel {pixel}": answer.touched_outputs(image_shape, kernel_shape, pixel)
        for name, pixel in pixels.items()
    }
    counts = np.zeros(image_shape)
    for pixel in np.ndindex(image_shape):
        counts[pixel] = answer.touched_outputs(image_shape, kernel_shape, pixel).sum()
    return signed_maps(seen, {"outputs that see each pixel": counts})
