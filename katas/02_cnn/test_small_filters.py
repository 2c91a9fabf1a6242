"""Many small filters against one large one: what the three functions must do, easiest first."""

import pytest
import torch
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same, same_value
from dojo.tensors import normal, same_gradients

stacked_receptive_field = answer("stacked_receptive_field")
stack_parameters = answer("stack_parameters")
merge_kernels = answer("merge_kernels")


@pytest.mark.parametrize(
    ("n", "kernel_size", "wanted"),
    [(1, 3, 3), (2, 3, 5), (3, 3, 7), (1, 5, 5), (2, 5, 9), (4, 7, 25), (3, 2, 4), (5, 1, 1),
     (2, 4, 7), (13, 3, 27)],
)  # fmt: skip
def test_each_layer_adds_all_but_one_of_a_kernel(n, kernel_size, wanted):
    """Fields of neighbours overlap: two layers of 3 see 5 pixels, three see 7."""
    same_value(stacked_receptive_field(n, kernel_size), wanted)


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("kernel_size", [2, 3, 5])
def test_that_many_pixels_leave_one_output(n, kernel_size):
    """An image as wide as the field shrinks to one place; one pixel less leaves none."""
    field = stacked_receptive_field(n, kernel_size)
    x = torch.zeros(1, 1, field, field)
    for _ in range(n):
        fits = x.shape[2] >= kernel_size
        expect(fits, f"{field} pixels are too few for {n} kernels of {kernel_size}", field)
        x = F.conv2d(x, torch.ones(1, 1, kernel_size, kernel_size))
    expect(x.shape[2] == 1, f"{field} pixels leave {x.shape[2]} places, expected 1", field)


@pytest.mark.parametrize(
    ("channels", "kernel_size", "n", "wanted"),
    [(1, 3, 1, 9), (2, 3, 1, 36), (1, 5, 2, 50), (64, 3, 2, 18 * 64**2), (64, 5, 1, 25 * 64**2),
     (7, 1, 3, 147), (10, 3, 3, 2700), (10, 7, 1, 4900), (3, 2, 4, 144)],
)  # fmt: skip
def test_every_filter_looks_at_every_channel(channels, kernel_size, n, wanted):
    """n layers of C filters of C squares: 18 C^2 against 25 C^2 for the same field. No biases."""
    same_value(stack_parameters(channels, kernel_size, n), wanted)


@pytest.mark.parametrize(("n", "kernel_size"), [(0, 3), (-1, 3), (2, 0), (2, -3)])
def test_no_field_below_one_layer_and_one_cell(n, kernel_size):
    """n and kernel_size begin at 1, each of them."""
    refuses(stacked_receptive_field, n, kernel_size, because=f"n {n}, kernel_size {kernel_size}")


@pytest.mark.parametrize(
    "sizes", [(0, 3, 2), (4, 0, 2), (4, 3, 0), (-1, 3, 2), (4, -1, 2), (4, 3, -1)]
)
def test_no_count_below_one(sizes):
    """channels, kernel_size and n begin at 1, each of them."""
    refuses(stack_parameters, *sizes, because="channels {}, kernel_size {}, n {}".format(*sizes))


def test_one_cell_by_hand():
    """Only row 0, column 2 of the first and row 1, column 0 of the second: they meet at 1, 2."""
    first, second, wanted = (
        torch.zeros(1, 1, 3, 3),
        torch.zeros(1, 1, 3, 3),
        torch.zeros(1, 1, 5, 5),
    )
    first[0, 0, 0, 2], second[0, 0, 1, 0], wanted[0, 0, 1, 2] = 2.0, 5.0, 10.0
    same(merge_kernels(first, second), wanted)


def test_the_way_through_the_channels_by_hand():
    """Centres only: the merged one is the matrix product second @ first of the channels."""
    first, second, wanted = (torch.zeros(2, 2, k, k) for k in (3, 3, 5))
    first[:, :, 1, 1] = torch.tensor([[1.0, 2], [0, 3]])
    second[:, :, 1, 1] = torch.tensor([[4.0, 0], [5, 6]])
    wanted[:, :, 2, 2] = torch.tensor([[4.0 * 1, 4 * 2], [5 * 1, 5 * 2 + 6 * 3]])
    same(merge_kernels(first, second), wanted)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_one_kernel_does_what_two_do(rng, channels):
    """On any image the 5x5 gives what the two 3x3 give, one after the other."""
    first, second = (normal(rng, channels, channels, 3, 3).transpose(2, 3) for _ in range(2))
    x = normal(rng, 2, channels, 9, 7)
    merged = merge_kernels(first, second)
    same(merged, impulses(first, second), tolerance=1e-5, what="the kernel")
    wanted = F.conv2d(F.conv2d(x, first), second)
    same(F.conv2d(x, merged), wanted, tolerance=1e-4, what="its output")


def impulses(first, second):
    """The merged kernel, read off at single bright pixels."""
    pixels = torch.eye(len(first), dtype=first.dtype)[:, :, None, None]
    seen = F.conv2d(F.conv2d(F.pad(pixels, (4, 4, 4, 4)), first), second)
    return seen.flip(2, 3).transpose(0, 1)


def test_a_relu_between_them_cannot_be_merged(rng):
    """The lesson: on some image the merged kernel and the stack with a ReLU must differ."""
    first, second = (normal(rng, 3, 3, 3, 3) for _ in range(2))
    x = normal(rng, 1, 3, 8, 8)
    bent = F.conv2d(F.conv2d(x, first).relu(), second)
    far = (F.conv2d(x, merge_kernels(first, second)) - bent).abs().max().item()
    expect(far > 0.1, f"the merged kernel does what a stack with a ReLU does, up to {far:.2g}")


def test_float64_stays_float64(rng):
    """The result has the dtype of the kernels, with all digits."""
    first, second = (normal(rng, 3, 3, 3, 3, dtype=torch.float64) for _ in range(2))
    same(merge_kernels(first, second), impulses(first, second))


def test_gradients_reach_both_kernels(rng):
    """The merged kernel is differentiable in both."""
    inputs = {"first": normal(rng, 2, 2, 3, 3), "second": normal(rng, 2, 2, 3, 3)}
    same_gradients(lambda first, second: merge_kernels(first, second), impulses, inputs)


@pytest.mark.parametrize(
    ("first", "second"),
    [((2, 2, 3, 3), (3, 3, 3, 3)), ((2, 3, 3, 3), (2, 2, 3, 3)), ((3, 3, 3, 3), (2, 3, 3, 3)),
     ((2, 2, 5, 5), (2, 2, 3, 3)), ((2, 2, 3, 3), (2, 2, 3, 2)), ((2, 3, 3, 3), (2, 3, 3, 3)),
     ((2, 2, 3, 4), (2, 2, 3, 3)), ((2, 2, 4, 3), (2, 2, 3, 3)), ((2, 2, 3, 3), (2, 2, 4, 3)),
     ((2, 2, 3, 4), (2, 2, 3, 4)), ((2, 2, 4, 3), (2, 2, 4, 3)), ((2, 2, 2, 3), (2, 2, 2, 3)),
     ((2, 2, 3, 3), (2, 2, 5, 5)), ((2, 2, 5, 5), (2, 2, 5, 5)), ((2, 3, 3), (2, 3, 3)),
     ((2, 2, 1, 3, 3), (2, 2, 3, 3)), ((2, 2, 3, 3), (2, 2, 1, 3, 3)),
     ((9,), (9,)), ((2, 2, 3, 3), (3,)), ((2, 2), (2, 2))],
)  # fmt: skip
def test_other_shapes_are_refused(first, second):
    """Both are (C, C, 3, 3) with the same C: anything else is a ValueError."""
    refuses(merge_kernels, torch.ones(first), torch.ones(second),
            because=f"first {first} and second {second}")  # fmt: skip
