"""Make a map smaller: what `max_pool2d` and `avg_pool2d` must do, easiest first."""

import pytest
import torch
from torch.nn import functional as F

from dojo.checks import answer, refuses, same
from dojo.tensors import calls_none_of, normal, same_gradients

max_pool2d, avg_pool2d = answer("max_pool2d"), answer("avg_pool2d")
both = pytest.mark.parametrize("pool", [max_pool2d, avg_pool2d], ids=["max", "avg"])
ORACLES = {max_pool2d: F.max_pool2d, avg_pool2d: F.avg_pool2d}

GRID = torch.tensor([[[
    [3, 1, 8, 2, 0, 4],
    [7, 5, 1, 0, 2, 9],
    [0, 2, 5, 3, 6, 1],
    [1, 0, 4, 7, 3, 2],
]]], dtype=torch.float32)  # fmt: skip


def test_the_largest_cell_of_a_window_is_kept():
    """One window becomes one number: its largest cell."""
    same(max_pool2d(GRID[..., :2, :2].contiguous(), 2), torch.tensor([[[[7.0]]]]))


def test_the_mean_of_a_window_is_kept():
    """One window becomes one number: the sum of its cells over their count."""
    same(avg_pool2d(GRID[..., :2, :2].contiguous(), 2), torch.tensor([[[[(3 + 1 + 7 + 5) / 4]]]]))


def test_windows_of_the_maximum_stand_side_by_side():
    """Where no stride is given the next window begins where the last one ends."""
    same(max_pool2d(GRID, 2), torch.tensor([[[[7.0, 8.0, 9.0], [2.0, 7.0, 6.0]]]]))


def test_windows_of_the_mean_stand_side_by_side():
    """Where no stride is given the next window begins where the last one ends."""
    sums = [[3 + 1 + 7 + 5, 8 + 2 + 1 + 0, 0 + 4 + 2 + 9], [3, 5 + 3 + 4 + 7, 6 + 1 + 3 + 2]]
    same(avg_pool2d(GRID, 2), torch.tensor([[sums]]) / 4)


@pytest.mark.parametrize("row", range(2))
@pytest.mark.parametrize("column", range(3))
def test_the_largest_may_stand_anywhere_in_its_window(rng, row, column):
    """A window's largest cell is found in every corner, also where all numbers are negative."""
    x = -9 + normal(rng, 2, 3, 4, 9).clamp(-2, 2)
    x[:, :, row::2, column::3] += 5
    same(max_pool2d(x, (2, 3)), x[:, :, row::2, column::3])


@both
@pytest.mark.parametrize(
    ("size", "kernel_size", "stride"),
    [((6, 8), (3, 2), None), ((6, 7), 3, 1), ((7, 9), 3, 2), ((5, 8), 2, 3),
     ((5, 9), (1, 3), (2, 3)), ((7, 7), (3, 2), (2, 1)), ((8, 7), (2, 3), (3, 1))],
)  # fmt: skip
def test_windows_overlap_or_leave_gaps_as_the_stride_says(rng, pool, size, kernel_size, stride):
    """Steps are as long as the stride says, or as the kernel where it is None: (down, right)."""
    x = normal(rng, 2, 3, *size)
    same(pool(x, kernel_size, stride), ORACLES[pool](x, kernel_size, stride))


@both
@pytest.mark.parametrize(
    ("size", "kernel_size", "stride"),
    [((5, 6), 2, None), ((4, 7), (2, 3), None), ((6, 9), 3, 2), ((8, 7), (3, 3), (3, 2))],
)
def test_leftovers_are_dropped(rng, pool, size, kernel_size, stride):
    """Rows and columns at the end that fill no whole window are in no result."""
    x = normal(rng, 3, 2, *size)
    same(pool(x, kernel_size, stride), ORACLES[pool](x, kernel_size, stride))


@pytest.mark.parametrize("scale", [1.0, 1e12])
def test_the_frame_never_wins_the_maximum(rng, scale):
    """Where all numbers are negative, however small, a cell of the padding is not the largest."""
    x = -scale * (1 + normal(rng, 2, 3, 5, 8).abs())
    same(max_pool2d(x, (2, 4), (1, 2), (1, 2)), F.max_pool2d(x, (2, 4), (1, 2), (1, 2)))


def test_zeros_may_be_the_largest():
    """What a ReLU leaves: windows of zeros alone, and of zeros among negative numbers."""
    x = torch.tensor([[0.0, 0.0, -1.0, -2.0], [0.0, 0.0, 0.0, -3.0]])[None, None]
    same(max_pool2d(x, 2), torch.tensor([[[[0.0, 0.0]]]]))
    same(max_pool2d(x, 2, 1, 1)[..., 1, :], torch.tensor([[[0.0, 0.0, 0.0, 0.0, -2.0]]]))


def test_small_and_large_numbers_in_one_image():
    """The frame stays below what is far below the rest."""
    x = torch.tensor([[-1e30, -2e30, 0.25], [-3e30, -4e30, 0.5]])[None, None]
    same(max_pool2d(x, 2, 2, 1), torch.tensor([[[[-1e30, 0.25], [-3e30, 0.5]]]]))


def test_the_frame_counts_in_the_mean():
    """At the border the zeros of the padding are cells like all others: 4 in a 2x2 window."""
    expected = torch.tensor([[[[3, 1 + 8, 2 + 0, 4], [7 + 0, 5 + 1 + 2 + 5, 0 + 2 + 3 + 6, 9 + 1],
                               [1, 0 + 4, 7 + 3, 2]]]]) / 4  # fmt: skip
    same(avg_pool2d(GRID, 2, padding=1), expected)


@both
@pytest.mark.parametrize(
    ("shape", "kernel_size", "stride", "padding"),
    [((2, 3, 6, 9), 3, 2, 1), ((1, 1, 7, 5), 3, 1, 1), ((3, 2, 8, 7), (3, 5), (2, 3), (1, 2)),
     ((1, 4, 7, 10), (5, 4), (1, 2), (2, 0)), ((2, 1, 9, 6), (2, 3), (3, 1), (0, 1)),
     ((4, 2, 5, 6), (4, 2), None, (1, 1)), ((2, 3, 4, 7), (4, 7), None, 0),
     ((3, 1, 1, 6), (1, 2), (1, 2), 0), ((2, 3, 5, 4), 1, None, 0),
     ((1, 2, 2, 3), (4, 5), 1, (1, 1)), ((2, 2, 1, 2), (3, 6), (1, 2), (1, 3))],
)  # fmt: skip
def test_any_sizes_that_fit(rng, pool, shape, kernel_size, stride, padding):
    """Kernel, stride and padding may each be a number or a (vertical, horizontal) pair."""
    for _ in range(2):
        x = normal(rng, *shape)
        same(pool(x, kernel_size, stride, padding), ORACLES[pool](x, kernel_size, stride, padding))


@both
@pytest.mark.parametrize(
    ("kernel_size", "padding"), [(2, 1), (4, 2), ((2, 5), (1, 2)), ((6, 3), (3, 1)), (1, 0)]
)
def test_a_padding_of_exactly_half_the_kernel_is_allowed(rng, pool, kernel_size, padding):
    """In each direction the padding may be as large as half the kernel there."""
    x = normal(rng, 2, 3, 7, 8)
    same(pool(x, kernel_size, 2, padding), ORACLES[pool](x, kernel_size, 2, padding))


@both
def test_x_may_be_a_view(rng, pool):
    """Rows and columns exchanged, or a part of larger maps: what counts are the cells."""
    x = normal(rng, 2, 3, 9, 7)
    for view in (x.transpose(2, 3), x[:, :, 1:, ::2]):
        same(pool(view, (3, 2), None, (1, 0)), ORACLES[pool](view, (3, 2), None, (1, 0)))


@both
def test_every_call_begins_anew(rng, pool):
    """A later call on another x of the same shape leaves the first result as it was."""
    x = normal(rng, 2, 3, 6, 7)
    first = pool(x, 3, 2, 1)
    pool(-x, 3, 2, 1)
    same(first, ORACLES[pool](x, 3, 2, 1), what="first result after a later call")


@both
def test_float64_stays_float64(rng, pool):
    """The result has the dtype of x, with all its digits."""
    for scale in (1, 1e270):  # float32 ends at 3.4e38
        x = scale * normal(rng, 2, 3, 6, 7, dtype=torch.float64)
        same(pool(x, 3, 2, 1), ORACLES[pool](x, 3, 2, 1))


@both
def test_the_gradient_flows_back_into_x(rng, pool):
    """The maximum sends its gradient to the largest cell, the mean shares it out."""
    inputs, settings = {"x": normal(rng, 2, 3, 6, 7)}, ((3, 2), (2, 1), (1, 0))
    same_gradients(lambda x: pool(x, *settings), lambda x: ORACLES[pool](x, *settings), inputs)


@both
def test_torch_does_not_do_the_pooling(rng, pool):
    """The windows are your own: no pooling operator of torch runs inside."""
    for settings in ((2,), (3, 2, 1), ((1, 3), 1, 0)):
        x = normal(rng, 2, 3, 6, 8)
        calls_none_of(("pool",), "collect the windows yourself", pool, x, *settings)


@both
@pytest.mark.parametrize(
    ("kernel_size", "padding"),
    [(2, 2), (3, 2), (4, 3), (1, 1), ((2, 5), (2, 1)), ((5, 2), (1, 2)), ((3, 4), (2, 2)),
     ((4, 3), (2, 2))],
)  # fmt: skip
def test_a_padding_above_half_the_kernel_is_refused(pool, kernel_size, padding):
    """More padding than half the kernel, in either direction, is refused with a ValueError."""
    because = f"padding {padding}, more than half the kernel {kernel_size}"
    refuses(pool, torch.ones(1, 2, 7, 8), kernel_size, 1, padding, because=because)


@both
@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding"),
    [((5, 1), 1, 0), ((1, 7), 1, 0), ((7, 2), 1, (1, 0)), ((2, 9), 1, (0, 1)), (2, 0, 0),
     (2, (0, 1), 0), (2, (1, 0), 0), (2, -1, 0), (2, 1, -1), (2, 1, (-1, 0)), (2, 1, (0, -1)),
     ((0, 2), 1, 0), ((2, 0), 1, 0), (-1, 1, 0)],
)  # fmt: skip
def test_what_makes_no_windows_is_refused(pool, kernel_size, stride, padding):
    """A kernel that does not fit or is below 1, a stride below 1, a padding below 0: ValueError."""
    because = f"kernel {kernel_size}, stride {stride}, padding {padding} on 4 rows, 6 columns"
    x = torch.ones(1, 2, 4, 6)
    refuses(pool, x, kernel_size, stride, padding, because=because)
