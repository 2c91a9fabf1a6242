"""Many small filters against one large one: how far they see, what they cost, what they are."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dojo import right, wrong


def stacked_receptive_field(n: int, kernel_size: int) -> int:
    """Say how many pixels across one unit sees through `n` stacked convolutions of stride 1.

    The first layer sees a kernel's width. Every further one looks at units whose fields lie
    next to each other and overlap, so it adds less than a whole kernel.

    Shapes:
        n: number of layers; kernel_size: their width in cells; both from 1 on
        returns: pixels

    Example:
        >>> stacked_receptive_field(2, 3)
        5

    Raises:
        ValueError: n or kernel_size is below 1.

    Source: Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image
        Recognition, arXiv:1409.1556, section 2.3.
    """
    _at_least_1(n=n, kernel_size=kernel_size)
    return n * (kernel_size - 1) + 1


def stack_parameters(channels: int, kernel_size: int, n: int) -> int:
    """Count the weights of `n` stacked square convolutions that keep the number of channels.

    Each filter of a layer has a square of weights for every channel that comes in, and there is
    one filter for every channel that goes out. Biases are not counted.

    Shapes:
        channels: in and out of every layer; kernel_size, n: as above; all from 1 on
        returns: weights

    Example:
        >>> stack_parameters(64, 3, 2), stack_parameters(64, 5, 1)
        (73728, 102400)

    Raises:
        ValueError: channels, kernel_size or n is below 1.

    Source: Simonyan & Zisserman, arXiv:1409.1556, section 2.3.
    """
    _at_least_1(channels=channels, kernel_size=kernel_size, n=n)
    return n * channels * channels * kernel_size * kernel_size


def merge_kernels(first: Tensor, second: Tensor) -> Tensor:
    """Make the one 5x5 convolution that does what two 3x3 ones do, one after the other.

    As long as nothing stands between them: no ReLU, no bias, no padding. Then a chain of two
    linear layers is one linear layer. With a ReLU between them no single kernel can do the
    same: that is what a stack gains besides having fewer weights.

    Shapes:
        first, second: (C, C, 3, 3) weights as nn.Conv2d has them, output channel first; `first`
            is applied to the image, `second` to what comes out of it
        returns: (C, C, 5, 5) of their dtype, differentiable in both

    Example:
        >>> ones = torch.ones(1, 1, 3, 3)
        >>> merge_kernels(ones, ones)[0, 0, 2]
        tensor([3., 6., 9., 6., 3.])

    Raises:
        ValueError: a weight is not (C, C, 3, 3), or the two have different C.

    Source: the composition of linear maps; Simonyan & Zisserman, arXiv:1409.1556, section 2.3.
    """
    channels = first.shape[0] if first.dim() else 0
    for name, weight in (("first", first), ("second", second)):
        if weight.shape != (channels, channels, 3, 3):
            raise ValueError(f"{name} has shape {tuple(weight.shape)}, it must be (C, C, 3, 3)")
    merged = first.new_zeros(channels, channels, 5, 5)
    for row in range(3):
        for column in range(3):
            # o, m, i: the channel that goes out, the one in between, the one that comes in
            part = torch.einsum("om,mihw->oihw", second[:, :, row, column], first)
            merged = merged + F.pad(part, (column, 2 - column, row, 2 - row))
    return merged


def _at_least_1(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} is {size}, it must be at least 1")


HINTS = [
    "How many pixels more does a unit see when one more 3x3 layer is put below it? How many "
    "weights has one filter that looks at C channels, and how many filters are there? What does "
    "a single bright pixel become after the first layer, and after the second?",
    "n * (k - 1) + 1 and n * C * C * k * k. For the merged kernel: output channel o, input "
    "channel i get contributions from every channel m in between, and offsets add up: row a of "
    "the first and row b of the second meet at row a + b.",
    "Begin with zeros (C, C, 5, 5). For each a, b in 0..2: result[:, :, a:a + 3, b:b + 3] += "
    "einsum('om,mihw->oihw', second[:, :, a, b], first).",
]


def _checked(first, second):
    channels = first.shape[0] if first.dim() else 0
    if any(w.shape != (channels, channels, 3, 3) for w in (first, second)):
        raise ValueError("shape")


def _merged(first, second, equation="om,mihw->oihw"):
    _checked(first, second)
    result = first.new_zeros(*first.shape[:2], 5, 5)
    for a in range(3):
        for b in range(3):
            part = torch.einsum(equation, second[:, :, a, b], first)
            result = result + F.pad(part, (b, 2 - b, a, 2 - a))
    return result


@right(stacked_receptive_field)
def by_walking(n, kernel_size):
    _at_least_1(n=n, kernel_size=kernel_size)
    field = 1
    for _ in range(n):
        field += kernel_size - 1
    return field


@right(stacked_receptive_field)
def by_shrinking(n, kernel_size):
    """The size of the image of which exactly one output is left."""
    _at_least_1(n=n, kernel_size=kernel_size)
    return max(size for size in range(1, n * kernel_size + 1) if size - n * (kernel_size - 1) == 1)


@right(stack_parameters)
def by_counting(channels, kernel_size, n):
    _at_least_1(channels=channels, kernel_size=kernel_size, n=n)
    with torch.device("meta"):
        layer = torch.nn.Conv2d(channels, channels, kernel_size, bias=False)
    return sum(layer.weight.numel() for _ in range(n))


@right(merge_kernels)
def by_one_convolution(first, second):
    """The first kernel is the image; the second one turned around, since torch correlates."""
    _checked(first, second)
    return F.conv2d(first.transpose(0, 1), second.flip(2, 3), padding=2).transpose(0, 1)


@right(merge_kernels)
def by_impulses(first, second):
    """What the two layers make of a single bright pixel, channel by channel, in float64."""
    _checked(first, second)
    channels = len(first)
    pixel = torch.zeros(channels, channels, 9, 9, dtype=torch.float64)
    for channel in range(channels):
        pixel[channel, channel, 4, 4] = 1
    seen = F.conv2d(F.conv2d(pixel, first.double()), second.double())
    return seen.flip(2, 3).transpose(0, 1).to(first.dtype)


@right(merge_kernels)
def by_transposed_convolution(first, second):
    """Channels in between are the batch's business of a transposed convolution."""
    _checked(first, second)
    return F.conv_transpose2d(second, first)


@wrong(stacked_receptive_field)
def kernels_side_by_side(n, kernel_size):
    """the kernels' widths are added up (n * k): the fields overlap"""
    _at_least_1(n=n, kernel_size=kernel_size)
    return n * kernel_size


@wrong(stacked_receptive_field)
def centre_forgotten(n, kernel_size):
    """the 1 is forgotten: n * (k - 1)"""
    _at_least_1(n=n, kernel_size=kernel_size)
    return n * (kernel_size - 1)


@wrong(stacked_receptive_field)
def always_three_wide(n, kernel_size):
    """kernels are always taken for 3 wide"""
    _at_least_1(n=n, kernel_size=kernel_size)
    return 2 * n + 1


@wrong(stacked_receptive_field)
def half_widths(n, kernel_size):
    """half widths are rounded down: wrong for even kernels"""
    _at_least_1(n=n, kernel_size=kernel_size)
    return 2 * n * (kernel_size // 2) + 1


@wrong(stacked_receptive_field)
def kernel_to_the_power(n, kernel_size):
    """the widths are multiplied: k to the power of n"""
    _at_least_1(n=n, kernel_size=kernel_size)
    return kernel_size**n


@wrong(stacked_receptive_field)
def one_layer_less(n, kernel_size):
    """one layer is not counted"""
    _at_least_1(n=n, kernel_size=kernel_size)
    return (n - 1) * (kernel_size - 1) + 1


@wrong(stacked_receptive_field)
def no_look_at_the_layers(n, kernel_size):
    """n below 1 is not refused"""
    _at_least_1(kernel_size=kernel_size)
    return n * (kernel_size - 1) + 1


@wrong(stacked_receptive_field)
def no_look_at_the_kernel(n, kernel_size):
    """a kernel_size below 1 is not refused by the receptive field"""
    _at_least_1(n=n)
    return n * (kernel_size - 1) + 1


@wrong(stacked_receptive_field)
def field_as_float(n, kernel_size):
    """the receptive field is a float"""
    return float(stacked_receptive_field(n, kernel_size))


@wrong(stack_parameters)
def channels_once(channels, kernel_size, n):
    """channels count once: a filter looks at every channel, and there is one for each"""
    _at_least_1(channels=channels, kernel_size=kernel_size, n=n)
    return n * channels * kernel_size**2


@wrong(stack_parameters)
def kernel_not_squared(channels, kernel_size, n):
    """the kernel is not squared"""
    _at_least_1(channels=channels, kernel_size=kernel_size, n=n)
    return n * channels**2 * kernel_size


@wrong(stack_parameters)
def with_biases(channels, kernel_size, n):
    """biases are counted too"""
    _at_least_1(channels=channels, kernel_size=kernel_size, n=n)
    return n * (channels**2 * kernel_size**2 + channels)


@wrong(stack_parameters)
def one_layer(channels, kernel_size, n):
    """only one layer is counted"""
    _at_least_1(channels=channels, kernel_size=kernel_size, n=n)
    return channels**2 * kernel_size**2


@wrong(stack_parameters)
def nothing_refused(channels, kernel_size, n):
    """sizes below 1 are not refused by the count"""
    return n * channels**2 * kernel_size**2


@wrong(stack_parameters)
def kernels_of_one_refused(channels, kernel_size, n):
    """a kernel_size of 1 is refused by the count, though it is legal"""
    _at_least_1(channels=channels, kernel_size=kernel_size - 1, n=n)
    return stack_parameters(channels, kernel_size, n)


@wrong(stack_parameters)
def channels_not_refused(channels, kernel_size, n):
    """channels below 1 are not refused"""
    _at_least_1(kernel_size=kernel_size, n=n)
    return n * channels**2 * kernel_size**2


@wrong(merge_kernels)
def correlated(first, second):
    """the kernels are correlated, one of them the wrong way round (flipped)"""
    return _merged(first, second.flip(2, 3))


@wrong(merge_kernels)
def turned_around(first, second):
    """the result is turned around (flipped)"""
    return _merged(first, second).flip(2, 3)


@wrong(merge_kernels)
def other_order(first, second):
    """the channels are combined in the other order: second first"""
    return _merged(second, first)


@wrong(merge_kernels)
def first_transposed(first, second):
    """the input and output channels of the first kernel are exchanged"""
    return _merged(first, second, "om,imhw->oihw")


@wrong(merge_kernels)
def second_transposed(first, second):
    """the input and output channels of the second kernel are exchanged"""
    return _merged(first, second, "mo,mihw->oihw")


@wrong(merge_kernels)
def result_transposed(first, second):
    """the result has its input channels first"""
    return _merged(first, second).transpose(0, 1)


@wrong(merge_kernels)
def channel_by_channel(first, second):
    """channels are not mixed: each pair of channels is merged by itself, with none in between"""
    return _merged(first, second, "oi,oihw->oihw")


@wrong(merge_kernels)
def rows_and_columns(first, second):
    """rows and columns are exchanged"""
    return _merged(first, second).mT


@wrong(merge_kernels)
def cut_to_three(first, second):
    """the result is cut to 3x3: the border is lost"""
    return _merged(first, second)[:, :, 1:4, 1:4]


@wrong(merge_kernels)
def graph_cut(first, second):
    """the graph is cut: no gradient reaches the kernels"""
    return _merged(first, second).detach()


@wrong(merge_kernels)
def always_float32(first, second):
    """the result is float32 whatever came in"""
    return _merged(first, second).float()


@wrong(merge_kernels)
def shapes_not_looked_at(first, second):
    """shapes are not looked at: other kernels are merged, or torch raises its own error"""
    if first.dim() != 4 or second.dim() != 4 or second.shape[1] != first.shape[0]:
        raise RuntimeError("einsum")
    result = first.new_zeros(second.shape[0], first.shape[1], 5, 5)
    rows, columns = min(3, second.shape[2]), min(3, second.shape[3])
    for a in range(rows):
        for b in range(columns):
            part = torch.einsum("om,mihw->oihw", second[:, :, a, b], first[:, :, :3, :3])
            result[:, :, a : a + part.shape[2], b : b + part.shape[3]] += part
    return result


def _any_size(first, second):
    """Kernels of any sizes, merged."""
    height, width = second.shape[2:]
    turned, swapped = second.flip(2, 3), first.transpose(0, 1)
    return F.conv2d(swapped, turned, padding=(height - 1, width - 1)).transpose(0, 1)


@wrong(merge_kernels)
def channels_looked_at_only(first, second):
    """only channels are looked at: kernels of any size are merged"""
    channels = first.shape[0]
    if any(w.dim() != 4 or w.shape[:2] != (channels, channels) for w in (first, second)):
        raise ValueError("channels")
    return _any_size(first, second)


@wrong(merge_kernels)
def alike_and_square(first, second):
    """two square kernels of the same size are taken, whatever that size is"""
    if first.dim() != 4 or first.shape != second.shape or first.shape[0] != first.shape[1]:
        raise ValueError("shapes")
    if first.shape[2] != first.shape[3]:
        raise ValueError("shapes")
    return _any_size(first, second)


@wrong(merge_kernels)
def only_equal_shapes(first, second):
    """it is only compared whether both have the same shape"""
    if first.shape != second.shape or first.dim() != 4 or first.shape[2] != 3:
        raise ValueError("shape")
    return shapes_not_looked_at(first, second) if first.shape[0] == first.shape[1] else first


@wrong(merge_kernels)
def five_axes_taken(first, second):
    """axes between channels and rows are not refused: only the ends of the shape count"""
    first, second = (w.squeeze(2) if w.dim() == 5 else w for w in (first, second))
    return merge_kernels(first, second)


@wrong(merge_kernels)
def one_row_in_memory(first, second):
    """view() runs weights into rows: of transposed kernels torch gives no such view"""
    merged = merge_kernels(first, second)
    first.view(first.shape[0], -1)
    return merged
