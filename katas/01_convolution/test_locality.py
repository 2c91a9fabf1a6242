"""Which outputs see a pixel? What `touched_outputs` must do, easiest first."""

import contextlib

import numpy as np
import pytest

from dojo.checks import answer, expect, refuses, same

touched_outputs = answer("touched_outputs")


def mask(*rows):
    """Outputs drawn as text: # sees the pixel, . does not."""
    return np.array([[cell == "#" for cell in row] for row in rows])


def poked(image_shape, kernel_shape, pixel):
    """The outputs in whose window the pixel stands, found by poking it."""
    image = np.zeros(image_shape, int)
    image[pixel] = 1
    return np.lib.stride_tricks.sliding_window_view(image, kernel_shape).sum((2, 3)) > 0


def test_along_a_row_the_windows_that_cover_the_pixel_see_it():
    """Output j covers the columns j to j + KW - 1, so column 4 is seen by outputs 2, 3 and 4."""
    touched = touched_outputs((3, 9), (1, 3), (1, 4))
    same(touched, mask(".......", "..###..", "......."))


def test_down_a_column_the_windows_that_cover_the_pixel_see_it():
    """What holds along the row holds down the column: row 4 and a kernel three rows tall."""
    touched = touched_outputs((9, 3), (3, 1), (4, 1))
    same(touched, mask(".......", "..###..", ".......").T)


def test_inside_the_image_a_pixel_is_seen_by_as_many_outputs_as_the_kernel_has_cells():
    """Far enough inside, KH * KW outputs see the pixel: its own place and those before it."""
    touched = touched_outputs((7, 11), (3, 5), (3, 5))
    same(touched, mask(".......", ".#####.", ".#####.", ".#####.", "......."))


def test_even_kernels_have_no_centre():
    """An output is named by its window's top-left corner, not by its centre."""
    same(touched_outputs((5, 7), (2, 4), (3, 4)), mask("....", "....", ".###", ".###"))


@pytest.mark.parametrize(("pixel", "output"), [
    ((0, 0), (0, 0)), ((0, 8), (0, 6)), ((5, 0), (4, 0)), ((5, 8), (4, 6)),
])  # fmt: skip
def test_a_corner_is_seen_by_one_output(pixel, output):
    """A corner is seen by one output: what is off by one at the border marks none, or more."""
    expected = np.zeros((5, 7), bool)
    expected[output] = True
    same(touched_outputs((6, 9), (2, 3), pixel), expected)


@pytest.mark.parametrize(
    ("image_shape", "kernel_shape"),
    [((4, 6), (2, 3)), ((6, 4), (3, 2)), ((6, 5), (5, 2)), ((3, 7), (2, 6)), ((2, 5), (1, 1)),
     ((4, 3), (4, 3)), ((5, 4), (5, 1)), ((3, 6), (2, 6)), ((1, 7), (1, 4)), ((6, 1), (2, 1)),
     ((1, 1), (1, 1))],
)  # fmt: skip
def test_every_pixel_is_seen_by_the_outputs_that_change_when_it_is_poked(image_shape, kernel_shape):
    """A bright pixel in a dark image: the windows that are not dark are those that see it."""
    for pixel in np.ndindex(image_shape):
        expected = poked(image_shape, kernel_shape, pixel)
        same(touched_outputs(image_shape, kernel_shape, pixel), expected, what=f"pixel {pixel}")


def test_sizes_that_nobody_has_seen(rng):
    """Any image, any kernel that fits, any pixel."""
    for _ in range(20):
        image_shape = tuple(rng.integers(1, 15, 2).tolist())
        kernel_shape = tuple(int(rng.integers(1, n + 1)) for n in image_shape)
        pixel = tuple(int(rng.integers(0, n)) for n in image_shape)
        expected = poked(image_shape, kernel_shape, pixel)
        same(touched_outputs(image_shape, kernel_shape, pixel), expected, what=f"pixel {pixel}")


def test_every_call_gives_an_array_of_its_own():
    """Writing into a result changes no other one, and nothing is kept from call to call."""
    first = touched_outputs((5, 8), (2, 3), (1, 2))
    with contextlib.suppress(ValueError):  # one that cannot be written into is fine
        first[...] = True
    again = touched_outputs((5, 8), (2, 3), (1, 2))
    same(again, poked((5, 8), (2, 3), (1, 2)), what="the same call again")
    expect(not np.shares_memory(first, again), "two calls return one and the same array")


@pytest.mark.parametrize(
    "pixel", [(-1, 2), (2, -1), (4, 2), (2, 6), (5, 3), (3, 5 + 4), (-1, -1), (4, 6), (-9, 0)]
)
def test_a_pixel_outside_the_image_is_refused(pixel):
    """Rows and columns are counted from 0 and do not wrap: -1 is outside, and so is H or W."""
    refuses(touched_outputs, (4, 6), (2, 3), pixel, because=f"pixel {pixel} of a (4, 6) image")


@pytest.mark.parametrize("kernel_shape", [(5, 2), (2, 7), (5, 7), (9, 1), (1, 30)])
def test_a_kernel_larger_than_the_image_is_refused(kernel_shape):
    """A kernel that fits nowhere, too tall or too wide, has no outputs to speak of."""
    because = f"a kernel {kernel_shape} on a (4, 6) image"
    refuses(touched_outputs, (4, 6), kernel_shape, (1, 2), because=because)
