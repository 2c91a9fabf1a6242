"""Slide a window over an image: the one operation that everything later is built from."""

import numpy as np

from dojo import right, wrong


def correlate2d(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Slide `kernel` over `image` and write down one number for every place it fits.

    At each place the kernel covers a window of the image as large as itself. How well the
    two agree there becomes one number: cell meets cell, and all the products are collected.
    The kernel is used as it is written. Mathematicians call this cross-correlation and turn
    the kernel around for what they call convolution; deep learning says "convolution" and
    does not turn it.

    Shapes:
        image: (H, W), any real dtype
        kernel: (KH, KW), any real dtype, not larger than the image
        returns: (H - KH + 1, W - KW + 1), dtype np.result_type(image, kernel)

    Example:
        >>> correlate2d(np.array([[1, 2, 3], [4, 5, 6]]), np.array([[0, 1]]))
        array([[2, 3],
               [5, 6]])

    Raises:
        ValueError: the kernel is larger than the image in either direction.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning,
        arXiv:1603.07285, section 2.1.
    """
    (height, width), (kernel_height, kernel_width) = image.shape, kernel.shape
    rows, columns = height - kernel_height + 1, width - kernel_width + 1
    if rows < 1 or columns < 1:
        raise ValueError(f"kernel {kernel.shape} does not fit into image {image.shape}")
    result = np.zeros((rows, columns), np.result_type(image, kernel))
    for row in range(rows):
        for column in range(columns):
            window = image[row : row + kernel_height, column : column + kernel_width]
            result[row, column] = (window * kernel).sum()
    return result


HINTS = [
    "Put a 2x2 kernel on the top-left corner of a 3x4 image. How far can you push it to the "
    "right before it hangs over? How far down? How many places is that?",
    "Two loops, over the row and the column of the window's top-left corner. The window is a "
    "slice of the image as large as the kernel; the window and the kernel then become one number.",
    "The slice is image[row : row + KH, column : column + KW]. Multiply it with the kernel cell "
    "by cell, add everything up, and store it at [row, column] of an array that was made with "
    "the dtype np.result_type(image, kernel).",
]


def _windows(image, kernel):
    """Every window of the image: (rows, columns, KH, KW)."""
    if kernel.shape[0] > image.shape[0] or kernel.shape[1] > image.shape[1]:
        raise ValueError(f"kernel {kernel.shape} does not fit into image {image.shape}")
    return np.lib.stride_tricks.sliding_window_view(image, kernel.shape)


@right(correlate2d)
def by_einsum(image, kernel):
    return np.einsum("ijkl,kl->ij", _windows(image, kernel), kernel)


@right(correlate2d)
def by_shifted_crops(image, kernel):
    rows, columns = _windows(image, kernel).shape[:2]
    result = np.zeros((rows, columns), np.result_type(image, kernel))
    for (i, j), weight in np.ndenumerate(kernel):
        result += (weight * image[i : i + rows, j : j + columns]).astype(result.dtype)
    return result


@right(correlate2d)
def by_fft(image, kernel):
    """In the frequency domain correlation is a product; integers are rounded back."""
    dtype = np.result_type(image, kernel)
    rows, columns = _windows(image, kernel).shape[:2]
    spectrum = np.fft.rfft2(image) * np.conj(np.fft.rfft2(kernel, image.shape))
    result = np.fft.irfft2(spectrum, image.shape)[:rows, :columns]
    return (np.rint(result) if dtype.kind in "iu" else result).astype(dtype)


@wrong(correlate2d)
def flipped(image, kernel):
    """the kernel is turned around before it slides: that is the mathematician's convolution"""
    return correlate2d(image, kernel[::-1, ::-1])


@wrong(correlate2d)
def flipped_rows(image, kernel):
    """the kernel is turned upside down before it slides"""
    return correlate2d(image, kernel[::-1])


@wrong(correlate2d)
def flipped_columns(image, kernel):
    """the kernel is mirrored left to right before it slides"""
    return correlate2d(image, kernel[:, ::-1])


@wrong(correlate2d)
def transposed_kernel(image, kernel):
    """the kernel is transposed: its rows are used as columns"""
    return correlate2d(image, kernel.T)


@wrong(correlate2d)
def transposed_result(image, kernel):
    """the result is transposed: entry [row, column] stands at [column, row]"""
    return correlate2d(image, kernel).T


@wrong(correlate2d)
def axes_exchanged(image, kernel):
    """rows and columns are exchanged: the window's corner is taken at [column, row]"""
    rows, columns = _windows(image, kernel).shape[:2]
    height, width = kernel.shape
    result = np.zeros((rows, columns), np.result_type(image, kernel))
    for row in range(rows):
        for column in range(columns):
            window = image[column : column + height, row : row + width]
            result[row, column] = (window * kernel[: window.shape[0], : window.shape[1]]).sum()
    return result


@wrong(correlate2d)
def one_short(image, kernel):
    """the last row and column are missing: N - F places instead of N - F + 1"""
    return correlate2d(image, kernel)[:-1, :-1]


@wrong(correlate2d)
def padded_to_size(image, kernel):
    """the image is padded: the result is as large as the image, not N - F + 1"""
    kernel_height, kernel_width = kernel.shape
    _windows(image, kernel)
    above, left = (kernel_height - 1) // 2, (kernel_width - 1) // 2
    padding = ((above, kernel_height - 1 - above), (left, kernel_width - 1 - left))
    return correlate2d(np.pad(image, padding), kernel)


@wrong(correlate2d)
def averaged(image, kernel):
    """the products are averaged instead of added up"""
    result = correlate2d(image, kernel) / kernel.size
    return result.astype(np.result_type(image, kernel))


@wrong(correlate2d)
def not_multiplied(image, kernel):
    """the window is added up without its kernel: every cell counts the same"""
    return correlate2d(image, np.ones_like(kernel)).astype(np.result_type(image, kernel))


@wrong(correlate2d)
def normalised(image, kernel):
    """the result is divided by the kernel's sum: that is no longer a plain sum of products"""
    total = np.abs(kernel).sum() or 1
    return (correlate2d(image, kernel) / total).astype(np.result_type(image, kernel))


@wrong(correlate2d)
def one_stride_for_all(image, kernel):
    """the windows do not overlap: each starts where the last one ended instead of one cell on"""
    return correlate2d(image, kernel)[:: kernel.shape[0], :: kernel.shape[1]]


@wrong(correlate2d)
def integer_truncation(image, kernel):
    """the result takes the image's dtype: an integer image cuts off the fractions"""
    return correlate2d(image, kernel).astype(image.dtype)


@wrong(correlate2d)
def always_float(image, kernel):
    """the result is float64 whatever came in: np.zeros makes floats unless told otherwise"""
    return correlate2d(image, kernel).astype(np.float64)


@wrong(correlate2d)
def square_kernels_only(image, kernel):
    """the kernel's height is used for its width too: only square kernels come out right"""
    side = kernel.shape[0]
    rows, columns = _windows(image, kernel).shape[:2]
    result = np.zeros((rows, columns), np.result_type(image, kernel))
    for row in range(rows):
        for column in range(columns):
            window = image[row : row + side, column : column + side]
            result[row, column] = (window * kernel[:, : window.shape[1]]).sum()
    return result


@wrong(correlate2d)
def never_refuses(image, kernel):
    """a kernel larger than the image is not refused: no place is left where it fits"""
    rows = max(image.shape[0] - kernel.shape[0] + 1, 0)
    columns = max(image.shape[1] - kernel.shape[1] + 1, 0)
    if rows and columns:
        return correlate2d(image, kernel)
    return np.zeros((rows, columns), np.result_type(image, kernel))


def show(answer):
    """The same kernel on a real photo, and on a picture of one step in brightness."""
    from data import photo
    from dojo.pictures import signed_maps

    image = photo()
    vertical = np.array([[-1, 0, 1]] * 3)
    step = np.zeros((40, 60))
    step[:, 30:] = 1
    return signed_maps(
        {"photo": image - image.mean(), "one step": step},
        {"vertical edge, photo": answer.correlate2d(image, vertical),
         "vertical edge, one step": answer.correlate2d(step, vertical)},
    )  # fmt: skip
