"""The whole layer: what `conv2d` must do, easiest first."""

import pytest
import torch
from torch.nn import functional as F

from dojo.checks import answer, refuses, same
from dojo.tensors import calls_none_of, normal, same_gradients

conv2d = answer("conv2d")

# a bare "conv" also stands in the name of an operator that converts sparse matrices
TORCHS_OWN = ("convolution", "conv1d", "conv2d", "conv3d", "conv_")

X = torch.tensor([[[[1.0, 2, 0, 3], [4, 1, 5, 2], [0, 3, 1, 6]]]])
WEIGHT = torch.tensor([[[[1.0, 2, -1], [0, -3, 5]]]])


def test_one_window_becomes_the_sum_of_products():
    """Where image and kernel are equally large there is one place, and one number."""
    expected = 1.0 * 1 + 2 * 2 + 0 * -1 + 4 * 0 + 1 * -3 + 5 * 5
    same(conv2d(X[..., :2, :3].contiguous(), WEIGHT), torch.tensor([[[[expected]]]]))


def test_the_window_moves_one_cell_at_a_time():
    """Without a stride the window moves by one cell, without padding it stays inside."""
    same(conv2d(X, WEIGHT), torch.tensor([[[
        [1.0 + 4 - 0 + 0 - 3 + 25, 2 + 0 - 3 + 0 - 15 + 10],
        [4 + 2 - 5 + 0 - 9 + 5, 1 + 10 - 2 + 0 - 3 + 30],
    ]]]))  # fmt: skip


def test_the_channels_are_added_up():
    """A filter has a kernel for each channel, and one number at each place for all of them."""
    x = torch.tensor([[[[1.0, 2], [3, 4]], [[10, 20], [30, 5]]]])
    expected = torch.tensor([[[[1.0 - 2 + 20 - 60], [3 - 4 + 60 - 15]]]])
    same(conv2d(x, torch.tensor([[[[1.0, -1]], [[2, -3]]]])), expected)


def test_each_filter_makes_a_map_of_its_own(rng):
    """A filter that is 0 but for a 1 at [c, i, j] copies channel c from cell [i, j] on."""
    x, weight = normal(rng, 2, 3, 5, 8), torch.zeros(4, 3, 2, 3)
    ones = rng.permutation(torch.ones(3, 2, 3).nonzero().numpy())[:4].tolist()
    for f, (c, i, j) in enumerate(ones):
        weight[f, c, i, j] = 1
    same(conv2d(x, weight), torch.stack([x[:, c, i : i + 4, j : j + 6] for c, i, j in ones], 1))


@pytest.mark.parametrize("channels", [3, 1])
def test_each_map_gets_its_own_bias_once(rng, channels):
    """Filters that are all 0 leave nothing but the bias: map f is full of bias[f]."""
    x, bias = normal(rng, 2, channels, 4, 6), normal(rng, 5)
    maps = conv2d(x, torch.zeros(5, channels, 2, 2), bias)
    same(maps, bias[:, None, None].expand(2, 5, 3, 5))


@pytest.mark.parametrize("stride", [2, 3, (1, 2), (2, 1), (3, 2), (6, 9)])
def test_the_stride_says_how_far_the_window_moves(rng, stride):
    """Stride 2 with a 1x1 kernel copies every second row and column; (3, 2) means 3 down."""
    x = normal(rng, 2, 1, 5, 8)
    down, across = (stride, stride) if isinstance(stride, int) else stride
    same(conv2d(x, torch.ones(1, 1, 1, 1), stride=stride), x[:, :, ::down, ::across])


def test_the_first_window_stands_in_the_corner_of_the_frame():
    """With padding 1 the first window begins above and left of the image, the next a stride on."""
    x = torch.tensor([[[[2.0, 1, 4, 0, 3, 5], [7, 1, 2, 6, 4, 1], [1, 8, 3, 2, 9, 2]]]])
    weight = torch.tensor([[[[1.0, 2], [-3, 5]]]])
    expected = torch.tensor([[[[0.0 + 0 + 0 + 2 * 5, 0 + 0 + 3 * -3 + 5 * 5]]]])
    same(conv2d(x, weight, stride=(4, 5), padding=1), expected)


@pytest.mark.parametrize("padding", [1, 2, (2, 0), (0, 3), (3, 1)])
def test_the_padding_is_a_frame_of_zeros_on_all_four_sides(rng, padding):
    """A 1x1 kernel copies the image and the zeros around it; (3, 1) means 3 rows above."""
    x = normal(rng, 2, 1, 4, 6)
    above, beside = (padding, padding) if isinstance(padding, int) else padding
    expected = F.pad(x, (beside, beside, above, above))
    same(conv2d(x, torch.ones(1, 1, 1, 1), padding=padding), expected)


@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "stride", "padding"),
    [((2, 3, 7, 9), (4, 3, 3, 2), 1, 0), ((1, 3, 8, 6), (2, 3, 2, 3), 2, 1),
     ((3, 4, 9, 8), (2, 4, 3, 3), (2, 3), (1, 2)), ((1, 1, 6, 9), (1, 1, 2, 4), (3, 1), (0, 1)),
     ((4, 2, 5, 9), (3, 2, 1, 5), (1, 2), (2, 0)), ((2, 5, 7, 6), (1, 5, 4, 1), (2, 1), 1),
     ((2, 1, 4, 7), (5, 1, 4, 7), 3, 0), ((1, 6, 5, 1), (7, 6, 2, 1), 2, (1, 0)),
     ((3, 3, 4, 5), (3, 3, 3, 3), 1, 1), ((1, 2, 3, 4), (3, 2, 2, 3), (2, 1), (5, 4))],
)  # fmt: skip
def test_any_sizes_that_fit(rng, x_shape, weight_shape, stride, padding):
    """All at once, each size a number or a pair; leftovers that fill no window are dropped."""
    for _ in range(2):
        x, weight = normal(rng, *x_shape), normal(rng, *weight_shape)
        bias = normal(rng, weight_shape[0])
        expected = F.conv2d(x, weight, bias, stride, padding)
        same(conv2d(x, weight, bias, stride, padding), expected)


@pytest.mark.parametrize(
    ("size", "kernel", "padding"),
    [((2, 6), (4, 3), (1, 0)), ((5, 2), (3, 5), (0, 2)), ((3, 1), (7, 6), (2, 3))],
)
def test_a_kernel_larger_than_the_image_fits_where_the_frame_makes_room(rng, size, kernel, padding):
    """The kernel must fit into the image with its frame, not into the image alone."""
    x, weight = normal(rng, 2, 3, *size), normal(rng, 2, 3, *kernel)
    same(conv2d(x, weight, padding=padding), F.conv2d(x, weight, padding=padding))


def test_a_batch_is_the_stack_of_its_images(rng):
    """Each image has the maps that it has alone, whatever else is in the batch."""
    x, weight, bias = normal(rng, 3, 2, 6, 5), normal(rng, 4, 2, 3, 2), normal(rng, 4)
    alone = [conv2d(image[None], weight, bias, (1, 2), (2, 1)) for image in x]
    same(conv2d(x, weight, bias, (1, 2), (2, 1)), torch.cat(alone))


def test_x_and_weight_may_be_views(rng):
    """Transposed, or a part of something larger: what counts are the cells."""
    x, weight = normal(rng, 3, 2, 9, 7), normal(rng, 4, 2, 2, 3)
    for one, other in [(x.transpose(2, 3), weight), (x, weight.transpose(2, 3)),
                       (x[:, :, 1:, ::2], weight.flip(0)[1:])]:  # fmt: skip
        for padding in ((1, 0), 0):
            expected = F.conv2d(one, other, padding=padding)
            same(conv2d(one, other, padding=padding), expected)


def test_float64_stays_float64(rng):
    """The result has the dtype of x, with all its digits."""
    tensors = [normal(rng, *shape).double() / 3 for shape in [(2, 3, 6, 7), (4, 3, 2, 3), (4,)]]
    same(conv2d(*tensors, 2, 1), F.conv2d(*tensors, 2, 1))


@pytest.mark.parametrize("names", [("x", "weight"), ("x", "weight", "bias")], ids=", ".join)
def test_gradients_flow_back_into_every_argument(rng, names):
    """x, weight and bias each get the gradient that torch's own layer gives them."""
    shapes = {"x": (2, 3, 6, 7), "weight": (4, 3, 3, 2), "bias": (4,)}
    inputs = {name: normal(rng, *shapes[name]) for name in names}
    how = {"stride": (2, 1), "padding": (1, 2)}
    same_gradients(lambda **t: conv2d(**t, **how), lambda **t: F.conv2d(**t, **how), inputs)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), ((1, 3), (2, 0))])
def test_torch_does_not_do_the_convolution(rng, stride, padding):
    """The sums are your own: no convolution of torch runs inside."""
    x, weight, bias = normal(rng, 2, 3, 6, 7), normal(rng, 4, 3, 2, 3), normal(rng, 4)
    why = "write the sums yourself, F.unfold and @ are allowed"
    for given in (None, bias):
        calls_none_of(TORCHS_OWN, why, conv2d, x, weight, given, stride, padding)


@pytest.mark.parametrize(("has", "wants"), [(3, 2), (2, 3), (3, 1), (1, 3), (6, 3)])
def test_other_channels_than_the_filters_look_at_are_refused(has, wants):
    """x and weight must agree in C: a ValueError, also where torch could repeat or drop one."""
    x, weight = torch.ones(2, has, 5, 6), torch.ones(4, wants, 2, 3)
    refuses(conv2d, x, weight, because=f"x of {has} channels, filters for {wants}")


@pytest.mark.parametrize(
    ("kernel", "padding"),
    [((5, 2), 0), ((2, 7), 0), ((9, 9), 0), ((7, 2), 1), ((3, 9), 1), ((5, 1), (0, 2)),
     ((1, 7), (2, 0))],
)  # fmt: skip
def test_a_kernel_that_fits_nowhere_is_refused(kernel, padding):
    """A kernel taller or wider than the image with its frame is refused with a ValueError."""
    because = f"a kernel {kernel} on 4 rows, 6 columns, padding {padding}"
    x, weight = torch.ones(2, 3, 4, 6), torch.ones(2, 3, *kernel)
    refuses(conv2d, x, weight, padding=padding, because=because)


@pytest.mark.parametrize(
    ("stride", "padding"),
    [(0, 0), ((0, 1), 0), ((1, 0), 0), (-1, 0), ((-2, 1), 0), ((2, -1), 0), (1, -1), (1, (-1, 0)),
     (1, (0, -1)), (2, (3, -2))],
)  # fmt: skip
def test_a_stride_below_1_and_a_padding_below_0_are_refused(stride, padding):
    """A stride below 1 or a padding below 0, in either direction, is refused: ValueError."""
    x, weight = torch.ones(2, 3, 5, 8), torch.ones(4, 3, 2, 2)
    refuses(conv2d, x, weight, None, stride, padding, because=f"stride {stride}, padding {padding}")


@pytest.mark.parametrize(
    "shape", [(3, 6, 7), (5, 3, 7), (6, 7), (2, 3, 6, 7, 4), (2, 3, 3, 6, 7), (3,)]
)
def test_an_x_of_other_than_four_axes_is_refused(shape):
    """x is a batch, (N, C, H, W), also of one image: all else is refused with a ValueError."""
    refuses(conv2d, torch.ones(shape), torch.ones(4, 3, 2, 2), because=f"an x of shape {shape}")
