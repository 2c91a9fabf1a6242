"""One filter for every place: what the counts and the matrix must be, easiest first."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn, tensor

from dojo.checks import answer, refuses, same, same_value
from dojo.tensors import normal, same_gradients

conv_parameters = answer("conv_parameters")
dense_parameters = answer("dense_parameters")
conv_as_matrix = answer("conv_as_matrix")


def oracle(weight, height, width):
    """Column p is what the convolution makes of an image with a single 1 at pixel p."""
    channels = weight.shape[1]
    eye = torch.eye(channels * height * width, dtype=weight.dtype)
    return F.conv2d(eye.reshape(-1, channels, height, width), weight).flatten(1).T


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "kernel_size", "count"),
    [(1, 1, 3, 3 * 3), (1, 32, 3, 288), (3, 1, 3, 3 * 9), (1, 1, (2, 5), 2 * 5), (5, 1, 1, 5),
     (3, 64, (4, 2), 64 * 3 * 8)],
)  # fmt: skip
def test_a_filter_has_a_weight_for_every_cell_it_covers(
    in_channels, out_channels, kernel_size, count
):
    """KH * KW weights in each input channel, for each filter; the image's size does not enter."""
    same_value(conv_parameters(in_channels, out_channels, kernel_size, bias=False), count)


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "kernel_size", "count"),
    [(1, 32, 3, 288 + 32), (3, 64, 3, 64 * 28), (32, 64, 3, 18_496), (16, 6, (1, 4), 6 * 65)],
)
def test_a_filter_adds_one_bias(in_channels, out_channels, kernel_size, count):
    """One bias for each filter, not for each input channel or place; by default there is one."""
    same_value(conv_parameters(in_channels, out_channels, kernel_size), count)


@pytest.mark.parametrize(
    ("in_shape", "out_shape", "count"),
    [(784, 32, 25_088), ((3, 2, 4), (5,), 24 * 5), ((28, 28), 32, 25_088), (7, (2, 3), 7 * 6),
     ((28, 28), (32, 26, 26), 784 * 32 * 676), ((2, 1, 3, 2), 1, 12)],
)  # fmt: skip
def test_a_dense_output_has_a_weight_for_every_input(in_shape, out_shape, count):
    """As many weights as there are pairs of an input and an output, whatever their shapes."""
    same_value(dense_parameters(in_shape, out_shape, bias=False), count)


@pytest.mark.parametrize(
    ("in_shape", "out_shape", "count"),
    [(784, 128, 100_480), ((2, 3), (4, 5), 20 * 7), ((4, 2), 3, 3 * 9), (3, (2, 1, 2), 4 * 4)],
)
def test_a_dense_output_has_a_bias_of_its_own(in_shape, out_shape, count):
    """One bias for each output, not for each input; by default there is one."""
    same_value(dense_parameters(in_shape, out_shape), count)


@pytest.mark.parametrize("bias", [True, False])
def test_the_counts_are_those_of_torchs_layers(rng, bias):
    """The numbers in nn.Conv2d's and nn.Linear's weight and bias, whatever the sizes."""
    for _ in range(5):
        channels, filters, height, width, kh, kw = rng.permutation(range(2, 14))[:6].tolist()
        conv = nn.Conv2d(channels, filters, (kh, kw), bias=bias, device="meta")
        count = sum(parameter.numel() for parameter in conv.parameters())
        same_value(conv_parameters(channels, filters, (kh, kw), bias=bias), count)
        dense = nn.Linear(channels * height * width, filters * kh, bias=bias, device="meta")
        count = sum(parameter.numel() for parameter in dense.parameters())
        shapes = (channels, height, width), (filters, kh)
        same_value(dense_parameters(*shapes, bias=bias), count)


def test_each_row_holds_the_filter_under_its_window():
    """The filter stands where its window lies, and no window wraps around at the row end."""
    expected = [[5, 7, 0, 0, 0, 0], [0, 5, 7, 0, 0, 0], [0, 0, 0, 5, 7, 0], [0, 0, 0, 0, 5, 7]]
    same(conv_as_matrix(tensor([[[[5.0, 7.0]]]]), 2, 3), tensor(expected).float())


def test_a_window_of_two_rows_lies_on_two_rows_of_the_image():
    """A 2x2 filter on a 2x3 image: its second row stands three columns on, an image row later."""
    expected = [[1, 2, 0, 3, 4, 0], [0, 1, 2, 0, 3, 4]]
    same(conv_as_matrix(tensor([[[[1.0, 2], [3, 4]]]]), 2, 3), tensor(expected).float())


def test_the_channels_are_blocks_of_columns():
    """Columns go channel by channel, so that the matrix fits x.flatten() of an image (C, H, W)."""
    expected = [[1, 2, 0, 3, 4, 0], [0, 1, 2, 0, 3, 4]]
    same(conv_as_matrix(tensor([[[[1.0, 2]], [[3, 4]]]]), 1, 3), tensor(expected).float())


def test_the_filters_are_blocks_of_rows():
    """Rows go filter by filter: all places of the first, then all places of the second."""
    expected = [[1, 2, 0], [0, 1, 2], [3, 4, 0], [0, 3, 4]]
    same(conv_as_matrix(tensor([[[[1.0, 2]]], [[[3, 4]]]]), 1, 3), tensor(expected).float())


# (F, C, KH, KW), (H, W)
SHAPES = [((2, 3, 2, 4), (3, 6)), ((3, 2, 3, 2), (6, 4)), ((4, 1, 1, 3), (2, 5)),
          ((1, 2, 3, 1), (5, 2)), ((2, 4, 1, 1), (3, 2)), ((3, 2, 4, 3), (4, 3)),
          ((2, 3, 2, 5), (4, 5)), ((2, 3, 3, 1), (3, 4)), ((1, 1, 1, 1), (1, 1))]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("shape", "image"), SHAPES)
def test_the_matrix_times_the_image_is_the_convolution(rng, shape, image, dtype):
    """matrix @ x.flatten() is F.conv2d(x, weight), flattened, and in the weight's own dtype."""
    weight, x = normal(rng, *shape, dtype=dtype), normal(rng, shape[1], *image, dtype=dtype)
    matrix = conv_as_matrix(weight, *image)
    same(matrix, oracle(weight, *image), what="the matrix")
    same(matrix @ x.flatten(), F.conv2d(x[None], weight).flatten(), what="matrix @ x.flatten()")


def test_the_weight_may_be_a_view(rng):
    """Rows and columns exchanged, or some of more filters: what counts are the cells."""
    weight = normal(rng, 5, 2, 2, 3)
    for view in (weight.transpose(2, 3), weight[::2]):
        same(conv_as_matrix(view, 4, 5), oracle(view, 4, 5))


def test_every_row_holds_the_weights_of_its_filter_and_zeros(rng):
    """Weights are shared: the same numbers stand in all rows of a filter, only elsewhere."""
    weight = tensor(rng.permutation(range(1, 49))).reshape(3, 2, 2, 4).float()
    rows = conv_as_matrix(weight, 4, 6).reshape(-1, 2 * 4 * 6)
    for number, row in enumerate(rows):
        held, place = row[row.abs() > 0.5].sort().values, f"row {number}, sorted, without its zeros"
        same(held, weight[number // 9].flatten().sort().values, what=place)


@pytest.mark.parametrize(("shape", "image"), [((2, 3, 2, 4), (3, 6)), ((3, 1, 3, 1), (4, 2))])
def test_gradients_flow_back_to_the_weight(rng, shape, image):
    """One weight stands in many places of the matrix; its gradient gathers what comes from all."""
    same_gradients(
        lambda weight: conv_as_matrix(weight, *image),
        lambda weight: oracle(weight, *image),
        {"weight": normal(rng, *shape)},
    )


@pytest.mark.parametrize("kernel", [(4, 2), (2, 7), (4, 7), (9, 3), (18, 1), (1, 18), (9, 9)])
def test_a_kernel_larger_than_the_image_is_refused(rng, kernel):
    """A kernel that fits nowhere, too tall or too wide, is refused with a ValueError."""
    weight = normal(rng, 2, 3, *kernel)
    refuses(conv_as_matrix, weight, 3, 6, because=f"a kernel {kernel} on an image (3, 6)")


def test_sharing_saves_what_the_matrix_repeats_and_leaves_out():
    """The matrix is a dense layer's: as many cells as that has weights, few of them different."""
    weight = torch.arange(1.0, 1 + 3 * 2 * 2 * 3).reshape(3, 2, 2, 3)
    matrix = conv_as_matrix(weight, 4, 5)
    same_value(dense_parameters((2, 4, 5), (3, 3, 3), bias=False), matrix.numel())
    same_value(conv_parameters(2, 3, (2, 3), bias=False), len(matrix.round().unique()) - 1)
