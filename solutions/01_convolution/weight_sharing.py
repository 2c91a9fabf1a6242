"""One filter for every place: what sharing weights saves, and which dense layer it is."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dojo import right, wrong


def conv_parameters(
    in_channels: int, out_channels: int, kernel_size: int | tuple[int, int], bias: bool = True
) -> int:
    """Count what a convolution layer learns.

    A filter looks at a window in all channels of its input at once and gives one map. It has
    a weight for every number in that window and, if wanted, one bias, and it takes the same
    ones to every place. So the count is the same for an image of any size.

    Shapes:
        in_channels: channels of the input
        out_channels: filters, one for each map of the output
        kernel_size: KH = KW as one int, or (KH, KW)
        bias: whether every filter adds a bias
        returns: the number of weights and biases together

    Example:
        >>> conv_parameters(3, 8, 5)
        608

    Source: Goodfellow, Bengio & Courville, Deep Learning (MIT Press, 2016), section 9.2.
    """
    height, width = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
    return out_channels * (in_channels * height * width + bias)


def dense_parameters(
    in_shape: int | tuple[int, ...], out_shape: int | tuple[int, ...], bias: bool = True
) -> int:
    """Count what a dense layer learns that maps one array of numbers to another.

    Every number that comes out is a weighted sum of all numbers that come in, with weights of
    its own and, if wanted, a bias of its own. Where a number stands in its array is all the
    same to the layer: only how many there are counts.

    Shapes:
        in_shape: how many numbers come in, as one int or as the shape of their array
        out_shape: how many come out, given in the same way
        bias: whether every output adds a bias
        returns: the number of weights and biases together

    Example:
        >>> dense_parameters((2, 3), 4)
        28

    Source: Goodfellow, Bengio & Courville, Deep Learning (MIT Press, 2016), section 9.2.
    """
    inputs, outputs = _numel(in_shape), _numel(out_shape)
    return outputs * (inputs + bias)


def conv_as_matrix(weight: Tensor, height: int, width: int) -> Tensor:
    """Write a convolution as the one big matrix by which a dense layer would do the same.

    For an image x of height x width (stride 1, no padding, no bias) the matrix times
    x.flatten() is the convolution's result, flattened. Each row makes one output: the weights
    of its filter stand under the pixels of its window, and zeros stand under all others.
    Rows go filter by filter, and within a filter as the places of its map are read; columns go
    channel by channel, and within a channel as the pixels are read: row after row.

    Shapes:
        weight: (F, C, KH, KW), as in nn.Conv2d: filters, channels, size of the kernel
        height, width: H and W of the image
        returns: (F * OH * OW, C * H * W) with OH = H - KH + 1 and OW = W - KW + 1, the dtype
            of the weight; gradients flow back to the weight

    Example:
        >>> conv_as_matrix(torch.tensor([[[[1.0, 2.0]]]]), 1, 3)
        tensor([[1., 2., 0.],
                [0., 1., 2.]])

    Raises:
        ValueError: the kernel is larger than the image in either direction.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning,
        arXiv:1603.07285, section 4.1.
    """
    filters, channels, kernel_height, kernel_width = weight.shape
    rows, columns = height - kernel_height + 1, width - kernel_width + 1
    if rows < 1 or columns < 1:
        kernel = (kernel_height, kernel_width)
        raise ValueError(f"kernel {kernel} does not fit into an image {(height, width)}")
    matrix = weight.new_zeros(filters, rows, columns, channels, height, width)
    for row in range(rows):
        for column in range(columns):
            down, along = slice(row, row + kernel_height), slice(column, column + kernel_width)
            matrix[:, row, column, :, down, along] = weight
    return matrix.reshape(filters * rows * columns, channels * height * width)


def _numel(shape):
    return math.prod(shape) if isinstance(shape, tuple) else shape


HINTS = [
    "How many numbers does one filter multiply at one place of an RGB image? Does it need others "
    "at the next place? For the matrix: draw an image of 1x3 and a kernel of 1x2. Which two of "
    "the three pixels does each output use, and with which weights?",
    "A filter has in_channels * KH * KW weights, a dense output as many as there are inputs; a "
    "bias is one more each. Build the matrix with six axes, (F, OH, OW, C, H, W): fixing an "
    "output (f, i, j) leaves an array as large as the image. Where in it does the filter lie?",
    "Begin with zeros made by weight.new_zeros(F, OH, OW, C, H, W). For every place (i, j) put "
    "the whole weight into [:, i, j, :, i : i + KH, j : j + KW], and reshape to two axes last. "
    "Assigning the tensor itself, not numbers taken out of it, lets gradients flow.",
]


@right(conv_parameters)
def by_layer(in_channels, out_channels, kernel_size, bias=True):
    """Ask torch's own layer, without memory for its weights."""
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, bias=bias, device="meta")
    return sum(parameter.numel() for parameter in layer.parameters())


@right(dense_parameters)
def by_linear(in_shape, out_shape, bias=True):
    layer = nn.Linear(_numel(in_shape), _numel(out_shape), bias=bias, device="meta")
    return sum(parameter.numel() for parameter in layer.parameters())


@right(conv_as_matrix)
def by_unit_images(weight, height, width):
    """Column p of a matrix is what it makes of the p-th unit vector, here an image."""
    conv_as_matrix(weight, height, width)
    channels = weight.shape[1]
    eye = torch.eye(channels * height * width, dtype=weight.dtype)
    return F.conv2d(eye.reshape(-1, channels, height, width), weight).flatten(1).T


@right(conv_as_matrix)
def by_kronecker(weight, height, width):
    """A matrix that shifts along each axis, for every cell of the kernel."""
    conv_as_matrix(weight, height, width)
    rows, columns = height - weight.shape[2] + 1, width - weight.shape[3] + 1
    down, along = torch.eye(height, dtype=weight.dtype), torch.eye(width, dtype=weight.dtype)
    return sum(
        torch.kron(
            weight[:, :, i, j], torch.kron(down[i : i + rows], along[j : j + columns])
        )
        for i in range(weight.shape[2])
        for j in range(weight.shape[3])
    )  # fmt: skip


@right(conv_as_matrix)
def by_looking_up(weight, height, width):
    """Every cell of the matrix is a weight, or the zero appended to them."""
    conv_as_matrix(weight, height, width)
    filters, channels, kernel_height, kernel_width = weight.shape
    i = torch.arange(height)[None] - torch.arange(height - kernel_height + 1)[:, None]
    j = torch.arange(width)[None] - torch.arange(width - kernel_width + 1)[:, None]
    covered = (i >= 0) & (i < kernel_height)
    covered = covered[:, None, :, None] & ((j >= 0) & (j < kernel_width))[None, :, None, :]
    cell = (i * kernel_width)[:, None, :, None] + j[None, :, None, :]
    block = torch.arange(filters * channels).reshape(filters, 1, 1, channels, 1, 1)
    cell = cell[None, :, :, None] + block * kernel_height * kernel_width
    cell = torch.where(covered[None, :, :, None], cell, weight.numel())
    padded = torch.cat([weight.flatten(), weight.new_zeros(1)])
    return padded[cell].flatten(3).flatten(0, 2)


@right(conv_as_matrix)
def row_by_row(weight, height, width):
    """One row of the matrix at a time: the filter padded to the image's size."""
    conv_as_matrix(weight, height, width)
    down, along = height - weight.shape[2], width - weight.shape[3]
    return torch.stack([
        F.pad(kernel, (j, along - j, i, down - i)).flatten()
        for kernel in weight for i in range(down + 1) for j in range(along + 1)
    ])  # fmt: skip


def _pair(kernel_size):
    return kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)


@wrong(conv_parameters)
def in_channels_forgotten(in_channels, out_channels, kernel_size, bias=True):
    """in_channels is forgotten: a filter has weights for every channel of its input"""
    return out_channels * (math.prod(_pair(kernel_size)) + bias)


@wrong(conv_parameters)
def out_channels_forgotten(in_channels, out_channels, kernel_size, bias=True):
    """out_channels is forgotten: every filter has weights of its own"""
    return in_channels * math.prod(_pair(kernel_size)) + bias


@wrong(conv_parameters)
def channels_added(in_channels, out_channels, kernel_size, bias=True):
    """the channels are added up: each of the filters looks at each of the input's channels"""
    return (in_channels + out_channels) * math.prod(_pair(kernel_size)) + out_channels * bias


@wrong(conv_parameters)
def kernel_not_squared(in_channels, out_channels, kernel_size, bias=True):
    """the kernel is not squared: it has kernel_size rows and as many columns"""
    return out_channels * (in_channels * _pair(kernel_size)[0] + bias)


@wrong(conv_parameters)
def int_not_squared(in_channels, out_channels, kernel_size, bias=True):
    """an int is not squared: it stands for KH and KW, and only a pair is multiplied out"""
    cells = math.prod(kernel_size) if isinstance(kernel_size, tuple) else kernel_size
    return out_channels * (in_channels * cells + bias)


@wrong(conv_parameters)
def height_squared(in_channels, out_channels, kernel_size, bias=True):
    """the kernel's height is squared: (KH, KW) need not be square"""
    return out_channels * (in_channels * _pair(kernel_size)[0] ** 2 + bias)


@wrong(conv_parameters)
def width_squared(in_channels, out_channels, kernel_size, bias=True):
    """the kernel's width is squared: (KH, KW) need not be square"""
    return out_channels * (in_channels * _pair(kernel_size)[1] ** 2 + bias)


@wrong(conv_parameters)
def sides_added(in_channels, out_channels, kernel_size, bias=True):
    """the kernel's height and width are added, not multiplied"""
    return out_channels * (in_channels * sum(_pair(kernel_size)) + bias)


@wrong(conv_parameters)
def int_only(in_channels, out_channels, kernel_size, bias=True):
    """kernel_size is taken for an int, a pair is not unpacked"""
    return out_channels * (in_channels * kernel_size**2 + bias)


@wrong(conv_parameters)
def pair_only(in_channels, out_channels, kernel_size, bias=True):
    """kernel_size is taken for a pair, an int is not made one"""
    height, width = kernel_size
    return out_channels * (in_channels * height * width + bias)


@wrong(conv_parameters)
def bias_per_input(in_channels, out_channels, kernel_size, bias=True):
    """the biases are counted per input channel: there is one for each filter"""
    return out_channels * in_channels * math.prod(_pair(kernel_size)) + in_channels * bias


@wrong(conv_parameters)
def bias_per_channel_and_filter(in_channels, out_channels, kernel_size, bias=True):
    """a bias is counted for every input channel of every filter: a filter adds one in all"""
    return out_channels * in_channels * (math.prod(_pair(kernel_size)) + bias)


@wrong(conv_parameters)
def single_bias(in_channels, out_channels, kernel_size, bias=True):
    """one bias is counted for the whole layer: there is one for each filter"""
    return out_channels * in_channels * math.prod(_pair(kernel_size)) + bias


@wrong(conv_parameters)
def bias_per_cell(in_channels, out_channels, kernel_size, bias=True):
    """a bias is counted for every weight"""
    return out_channels * in_channels * math.prod(_pair(kernel_size)) * (1 + bias)


@wrong(conv_parameters)
def bias_left_out(in_channels, out_channels, kernel_size, bias=True):
    """the biases are left out of the convolution's count"""
    return out_channels * in_channels * math.prod(_pair(kernel_size))


@wrong(conv_parameters)
def bias_always(in_channels, out_channels, kernel_size, bias=True):
    """the biases are counted although bias is False"""
    return out_channels * (in_channels * math.prod(_pair(kernel_size)) + 1)


@wrong(conv_parameters)
def bias_off_unless_asked(in_channels, out_channels, kernel_size, bias=False):
    """bias is False unless asked for: the layer has one unless told otherwise"""
    return out_channels * (in_channels * math.prod(_pair(kernel_size)) + bias)


@wrong(conv_parameters)
def image_size_in_the_count(in_channels, out_channels, kernel_size, bias=True):
    """the image's size is in the count: weights for each place of a 28x28 image, not shared"""
    height, width = _pair(kernel_size)
    places = (28 - height + 1) * (28 - width + 1)
    return out_channels * places * (in_channels * height * width + bias)


@wrong(conv_parameters)
def weight_for_every_pixel(in_channels, out_channels, kernel_size, bias=True):
    """the image's size is in the count: a weight for each pixel of it, not of the window"""
    return out_channels * (in_channels * 28 * 28 + bias)


@wrong(conv_parameters)
def pixels_in_the_count(in_channels, out_channels, kernel_size, bias=True):
    """the image's size is in the count: the weights are multiplied by the pixels of the image"""
    return out_channels * (in_channels * math.prod(_pair(kernel_size)) * 28 * 28 + bias)


@wrong(conv_parameters)
def float_count(in_channels, out_channels, kernel_size, bias=True):
    """the convolution's count is a float: weights are counted in ints"""
    return float(conv_parameters(in_channels, out_channels, kernel_size, bias))


@wrong(dense_parameters)
def shared_after_all(in_shape, out_shape, bias=True):
    """every output takes the same weights: that is sharing, a dense layer has none"""
    return _numel(in_shape) + _numel(out_shape) * bias


@wrong(dense_parameters)
def axes_added(in_shape, out_shape, bias=True):
    """the axes of a shape are added up: the numbers in an array are their product"""
    inputs, outputs = (sum(s) if isinstance(s, tuple) else s for s in (in_shape, out_shape))
    return outputs * (inputs + bias)


@wrong(dense_parameters)
def first_axis_only(in_shape, out_shape, bias=True):
    """only the first axis of a shape counts"""
    inputs, outputs = (s[0] if isinstance(s, tuple) else s for s in (in_shape, out_shape))
    return outputs * (inputs + bias)


@wrong(dense_parameters)
def ints_only(in_shape, out_shape, bias=True):
    """the shapes are taken for ints, tuples are not multiplied out"""
    return out_shape * in_shape + out_shape * bias


@wrong(dense_parameters)
def tuples_only(in_shape, out_shape, bias=True):
    """the shapes are taken for tuples, an int is not allowed for"""
    return math.prod(out_shape) * (math.prod(in_shape) + bias)


@wrong(dense_parameters)
def pairs_only(in_shape, out_shape, bias=True):
    """the shapes are taken for pairs: arrays with one axis or three have a shape as well"""
    inputs, outputs = (s[0] * s[1] if isinstance(s, tuple) else s for s in (in_shape, out_shape))
    return outputs * (inputs + bias)


@wrong(dense_parameters)
def dense_bias_per_input(in_shape, out_shape, bias=True):
    """the biases of the dense layer are counted per input: there is one for each output"""
    return _numel(in_shape) * (_numel(out_shape) + bias)


@wrong(dense_parameters)
def dense_bias_per_channel(in_shape, out_shape, bias=True):
    """the dense layer shares its biases: one is counted for each channel of the output"""
    biases = out_shape[0] if isinstance(out_shape, tuple) else out_shape
    return _numel(in_shape) * _numel(out_shape) + biases * bias


@wrong(dense_parameters)
def dense_single_bias(in_shape, out_shape, bias=True):
    """one bias is counted for the whole dense layer: there is one for each output"""
    return _numel(in_shape) * _numel(out_shape) + bias


@wrong(dense_parameters)
def dense_bias_left_out(in_shape, out_shape, bias=True):
    """the biases are left out of the dense layer's count"""
    return _numel(in_shape) * _numel(out_shape)


@wrong(dense_parameters)
def dense_bias_always(in_shape, out_shape, bias=True):
    """the biases of the dense layer are counted although bias is False"""
    return _numel(out_shape) * (_numel(in_shape) + 1)


@wrong(dense_parameters)
def dense_float_count(in_shape, out_shape, bias=True):
    """the dense layer's count is a float: weights are counted in ints"""
    return float(dense_parameters(in_shape, out_shape, bias))


def _axes(weight, height, width):
    """The matrix with its six axes (F, OH, OW, C, H, W), after all refusals."""
    filters, channels, kernel_height, kernel_width = weight.shape
    rows, columns = height - kernel_height + 1, width - kernel_width + 1
    return conv_as_matrix(weight, height, width).reshape(
        filters, rows, columns, channels, height, width
    )


@wrong(conv_as_matrix)
def flipped(weight, height, width):
    """the kernel is turned around: that is the mathematician's convolution"""
    return conv_as_matrix(weight.flip(2, 3), height, width)


@wrong(conv_as_matrix)
def transposed(weight, height, width):
    """the matrix is transposed: pixels stand for rows and outputs for columns"""
    return conv_as_matrix(weight, height, width).T


@wrong(conv_as_matrix)
def kernel_transposed(weight, height, width):
    """the kernel is transposed: its rows are used as columns"""
    conv_as_matrix(weight, height, width)
    return conv_as_matrix(weight.transpose(2, 3), height, width)


@wrong(conv_as_matrix)
def wrap_around(weight, height, width):
    """windows wrap around at the row end: each place moves the filter by one column more"""
    axes = _axes(weight, height, width)
    first, places = axes[:, 0, 0].flatten(2), axes[0, :, :, 0, 0, 0].numel()
    moved = [first.roll(place, 2).flatten(1) for place in range(places)]
    return torch.stack(moved, 1).flatten(0, 1)


@wrong(conv_as_matrix)
def wrapped_rows(weight, height, width):
    """windows wrap around at the row end: there is a place for every pixel, as in a circle"""
    conv_as_matrix(weight, height, width)
    bottom, behind = weight.shape[2] - 1, weight.shape[3] - 1
    single = F.pad(weight, (0, width - behind - 1, 0, height - bottom - 1))
    moved = [single.roll((i, j), (2, 3)).flatten(1) for i in range(height) for j in range(width)]
    return torch.stack(moved, 1).flatten(0, 1)


@wrong(conv_as_matrix)
def wrapped_columns(weight, height, width):
    """windows wrap around at the row end: one for each column, its end comes back in front"""
    conv_as_matrix(weight, height, width)
    circle = F.pad(weight, (0, width - weight.shape[3]))
    moved = [conv_as_matrix(circle.roll(j, 3), height, width) for j in range(width)]
    parts = [matrix.reshape(weight.shape[0], -1, matrix.shape[1]) for matrix in moved]
    return torch.stack(parts, 2).flatten(0, 2)


@wrong(conv_as_matrix)
def unbroken_rows(weight, height, width):
    """the filter's rows are laid end to end: the next row of a window is a whole image row on"""
    filters, channels, kernel_height, kernel_width = weight.shape
    rows, columns = height - kernel_height + 1, width - kernel_width + 1
    conv_as_matrix(weight, height, width)
    matrix = weight.new_zeros(filters, rows, columns, channels, height * width)
    size = kernel_height * kernel_width
    for row in range(rows):
        for column in range(columns):
            start = row * width + column
            space = matrix[:, row, column, :, start : start + size]
            space.copy_(weight.flatten(2)[:, :, : space.shape[-1]])
    return matrix.flatten(3).flatten(0, 2)


@wrong(conv_as_matrix)
def channel_blocks_exchanged(weight, height, width):
    """the channel blocks are exchanged: the filter's last channel stands under the first"""
    return conv_as_matrix(weight.flip(1), height, width)


@wrong(conv_as_matrix)
def channels_last(weight, height, width):
    """the columns go pixel by pixel, not channel by channel: the channel blocks are mixed"""
    return _axes(weight, height, width).permute(0, 1, 2, 4, 5, 3).flatten(3).flatten(0, 2)


@wrong(conv_as_matrix)
def filters_as_channels(weight, height, width):
    """filters and channels are exchanged: the weight is read as (C, F, KH, KW)"""
    return conv_as_matrix(weight.transpose(0, 1), height, width)


@wrong(conv_as_matrix)
def filters_last(weight, height, width):
    """the rows go place by place, not filter by filter"""
    return _axes(weight, height, width).permute(1, 2, 0, 3, 4, 5).flatten(3).flatten(0, 2)


@wrong(conv_as_matrix)
def filters_exchanged(weight, height, width):
    """the filters are exchanged: the rows of the last one come first"""
    return conv_as_matrix(weight.flip(0), height, width)


@wrong(conv_as_matrix)
def places_down_the_columns(weight, height, width):
    """the places are read column by column: one row of the map after the other is wanted"""
    return _axes(weight, height, width).transpose(1, 2).flatten(3).flatten(0, 2)


@wrong(conv_as_matrix)
def pixels_down_the_columns(weight, height, width):
    """the pixels are read column by column: x.flatten() reads row after row"""
    return _axes(weight, height, width).transpose(4, 5).flatten(3).flatten(0, 2)


@wrong(conv_as_matrix)
def height_and_width_exchanged(weight, height, width):
    """height and width of the image are exchanged"""
    conv_as_matrix(weight, height, width)
    return conv_as_matrix(weight, width, height)


@wrong(conv_as_matrix)
def first_channel_only(weight, height, width):
    """only the first channel is used: the columns of all others are 0"""
    axes = _axes(weight, height, width)
    first = torch.arange(weight.shape[1]).reshape(-1, 1, 1) == 0
    return (axes * first).flatten(3).flatten(0, 2)


@wrong(conv_as_matrix)
def first_filter_for_all(weight, height, width):
    """the first filter's weights stand in the rows of all filters"""
    return conv_as_matrix(weight[:1].expand_as(weight), height, width)


@wrong(conv_as_matrix)
def channels_summed(weight, height, width):
    """the channels are added up: their blocks are one, as if the image had one channel"""
    return conv_as_matrix(weight.sum(1, keepdim=True), height, width)


@wrong(conv_as_matrix)
def one_short(weight, height, width):
    """the last row and column of places are missing: N - F places instead of N - F + 1"""
    return _axes(weight, height, width)[:, :-1, :-1].flatten(3).flatten(0, 2)


@wrong(conv_as_matrix)
def padded(weight, height, width):
    """the image is padded: every pixel has an output"""
    above, left = (weight.shape[2] - 1) // 2, (weight.shape[3] - 1) // 2
    conv_as_matrix(weight, height, width)
    axes = _axes(weight, height + weight.shape[2] - 1, width + weight.shape[3] - 1)
    kept = axes[..., above : above + height, left : left + width]
    return kept.flatten(3).flatten(0, 2)


@wrong(conv_as_matrix)
def square_kernel(weight, height, width):
    """the kernel is taken for square: of each of its rows as many cells as it has rows are used"""
    within = torch.arange(weight.shape[3]) < weight.shape[2]
    return conv_as_matrix(weight * within, height, width)


@wrong(conv_as_matrix)
def graph_cut(weight, height, width):
    """the graph is cut: the matrix holds numbers, and no gradient reaches the weight"""
    return conv_as_matrix(weight.detach(), height, width)


@wrong(conv_as_matrix)
def own_leaf(weight, height, width):
    """the graph is cut: the matrix is made a parameter of its own"""
    return conv_as_matrix(weight.detach(), height, width).requires_grad_()


@wrong(conv_as_matrix)
def gradient_of_the_first_place(weight, height, width):
    """the gradient comes from the first place only: shared weights gather it from all places"""
    axes = _axes(weight, height, width)
    first = torch.zeros(axes.shape[1:3], dtype=torch.bool)
    first[0, 0] = True
    first = first[:, :, None, None, None]
    return torch.where(first, axes, axes.detach()).flatten(3).flatten(0, 2)


@wrong(conv_as_matrix)
def always_float32(weight, height, width):
    """the matrix is float32 whatever the weight is: torch.zeros makes that unless told otherwise"""
    return conv_as_matrix(weight, height, width).float()


@wrong(conv_as_matrix)
def rounded_to_float32(weight, height, width):
    """the weights pass through float32: half of the digits of float64 are lost"""
    return conv_as_matrix(weight.float(), height, width).to(weight.dtype)


@wrong(conv_as_matrix)
def never_refuses(weight, height, width):
    """a kernel larger than the image is not refused: the matrix has no rows"""
    if weight.shape[2] > height or weight.shape[3] > width:
        return weight.new_zeros(0, weight.shape[1] * height * width)
    return conv_as_matrix(weight, height, width)


@wrong(conv_as_matrix)
def one_side_checked(weight, height, width):
    """a kernel is refused only where it has more cells than the image has pixels"""
    if weight.shape[2] * weight.shape[3] > height * width:
        raise ValueError("kernel does not fit")
    return never_refuses(weight, height, width)


@wrong(conv_as_matrix)
def only_the_height_checked(weight, height, width):
    """a kernel wider than the image is not refused, only one that is taller"""
    conv_as_matrix(weight[..., :1], height, width)
    return never_refuses(weight, height, width)


@wrong(conv_as_matrix)
def only_the_width_checked(weight, height, width):
    """a kernel taller than the image is not refused, only one that is wider"""
    conv_as_matrix(weight[:, :, :1], height, width)
    return never_refuses(weight, height, width)


@wrong(conv_as_matrix)
def both_sides_needed(weight, height, width):
    """a kernel is refused only where it is too tall and too wide: one of them is enough"""
    if weight.shape[2] > height and weight.shape[3] > width:
        raise ValueError("kernel does not fit")
    return never_refuses(weight, height, width)


@wrong(conv_as_matrix)
def by_view(weight, height, width):
    """.view stops where the weight is itself a view, as a transposed one: reshape does not"""
    weight.view(-1)
    return conv_as_matrix(weight, height, width)


@wrong(conv_as_matrix)
def exact_fit_refused(weight, height, width):
    """a kernel as tall or as wide as the image is refused: it has one place there"""
    if weight.shape[2] == height or weight.shape[3] == width:
        raise ValueError("kernel does not fit")
    return conv_as_matrix(weight, height, width)


def show(answer):
    """The matrix of one small filter beside that of a dense layer, and what each of them learns."""
    from dojo.pictures import signed_maps

    generator = torch.Generator().manual_seed(0)
    height, width, kernel = 6, 7, torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    conv = answer.conv_as_matrix(kernel[None, None], height, width)
    dense = torch.randn(conv.shape, generator=generator)
    shared = answer.conv_parameters(1, 1, 3, bias=False)
    free = answer.dense_parameters((height, width), tuple(conv.shape[:1]), bias=False)
    titles = f"convolution: {shared} weights", f"dense layer: {free} weights"
    return signed_maps({}, dict(zip(titles, (conv, dense), strict=True)))
