"""Slide a window over an image: what `correlate2d` must do, easiest first."""

import numpy as np
import pytest

from dojo.checks import answer, expect, refuses, same

correlate2d = answer("correlate2d")

IMAGE = np.array([[1, 2, 0, 3], [9, 1, 5, 2], [0, 3, 1, 6]])
KERNEL = np.array([[1, 2], [-3, 5]])


def windows(image, kernel):
    """Every window of the image in its place: (rows, columns, KH, KW)."""
    return np.lib.stride_tricks.sliding_window_view(image, kernel.shape)


def test_one_window_becomes_the_sum_of_products():
    """Where image and kernel are equally large there is one place, and one number."""
    expected = np.array([[1 * 1 + 2 * 2 + 9 * -3 + 1 * 5]])
    same(correlate2d(IMAGE[:2, :2], KERNEL), expected)


def test_the_window_moves_one_cell_at_a_time():
    """The window moves one cell to the right, and one cell down, until it touches the edge."""
    expected = np.array([
        [1 + 4 - 27 + 5, 2 + 0 - 3 + 25, 0 + 6 - 15 + 10],
        [9 + 2 - 0 + 15, 1 + 10 - 9 + 5, 5 + 4 - 3 + 30],
    ])  # fmt: skip
    same(correlate2d(IMAGE, KERNEL), expected)


@pytest.mark.parametrize("row", range(2))
@pytest.mark.parametrize("column", range(3))
def test_a_kernel_with_a_single_one_copies_a_shifted_crop(rng, row, column):
    """A kernel that is 0 but for a 1 at [i, j] copies the image from [i, j] on."""
    image = rng.integers(1, 100, (5, 7))
    kernel = np.zeros((2, 3), int)
    kernel[row, column] = 1
    same(correlate2d(image, kernel), image[row : row + 4, column : column + 5])


@pytest.mark.parametrize(
    ("image_shape", "kernel_shape"),
    [((6, 9), (3, 2)), ((9, 6), (2, 4)), ((5, 5), (3, 3)), ((4, 7), (4, 7)), ((1, 8), (1, 3)),
     ((8, 1), (3, 1)), ((3, 5), (1, 1)), ((5, 4), (5, 1)), ((2, 40), (1, 25))],
)  # fmt: skip
def test_any_shapes_that_fit(rng, image_shape, kernel_shape):
    """(H, W) and (KH, KW) may be anything that fits, also as large as the image or 1x1."""
    image, kernel = rng.standard_normal(image_shape), rng.standard_normal(kernel_shape)
    same(correlate2d(image, kernel), (windows(image, kernel) * kernel).sum((2, 3)))


def test_images_and_kernels_may_be_views(rng):
    """A transposed array, every second row, a picture read backwards: what counts are the cells."""
    image, kernel = rng.standard_normal((9, 14)), rng.standard_normal((3, 4))
    for one, other in [(image.T, kernel), (image[::2], kernel.T), (image[:, ::-1], kernel[::-1])]:
        same(correlate2d(one, other), (windows(one, other) * other).sum((2, 3)))


def test_it_is_linear_in_the_image_and_in_the_kernel(rng):
    """Twice the image gives twice the map, and the map of a sum is the sum of the maps."""
    one, two = rng.standard_normal((2, 6, 8))
    k, m = rng.standard_normal((2, 3, 2))
    single = correlate2d(one, k)
    same(correlate2d(2.0 * one + two, k), 2.0 * single + correlate2d(two, k))
    same(correlate2d(one, m - 3.0 * k), correlate2d(one, m) - 3.0 * single)


@pytest.mark.parametrize(
    ("image_dtype", "kernel_dtype"),
    [("int64", "float64"), ("float64", "int64"), ("int64", "int64"), ("int32", "int32"),
     ("int16", "int16"), ("float32", "float32"), ("float32", "float64"), ("uint8", "float32"),
     ("float16", "float16")],
)  # fmt: skip
def test_the_dtype_is_what_the_two_become_together(rng, image_dtype, kernel_dtype):
    """The dtype is np.result_type(image, kernel): an integer image does not cut off fractions."""
    image = rng.integers(0, 250, (4, 6)).astype(image_dtype)
    kernel = (rng.integers(1, 30, (2, 3)) / 4).astype(kernel_dtype)
    dtype = np.result_type(image, kernel)
    expected = (windows(image, kernel) * kernel).sum((2, 3)).astype(dtype)
    same(correlate2d(image, kernel), expected, tolerance=1e-2 if dtype == "float16" else 2e-5)


def test_the_result_is_an_array_of_its_own(rng):
    """Writing into the result changes neither the image nor the kernel."""
    image, kernel = rng.standard_normal((3, 4)), np.ones((1, 1))
    result = correlate2d(image, kernel)
    same(result, image)
    shares = np.shares_memory(result, image) or np.shares_memory(result, kernel)
    expect(not shares, "the result is the argument itself, not an array of its own")


@pytest.mark.parametrize("kernel_shape", [(4, 2), (2, 6), (4, 6), (9, 9)])
def test_a_kernel_larger_than_the_image_is_refused(kernel_shape):
    """A kernel that fits nowhere, too tall or too wide, is refused with a ValueError."""
    image, kernel = np.ones((3, 5)), np.ones(kernel_shape)
    refuses(correlate2d, image, kernel, because=f"a kernel {kernel_shape} on an image (3, 5)")
