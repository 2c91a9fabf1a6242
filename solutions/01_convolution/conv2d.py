"""The whole layer: every filter looks at all channels and writes one map."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dojo import right, wrong


def _pair(value):
    """(vertical, horizontal)."""
    return (value, value) if isinstance(value, int) else tuple(value)


def _refuse_what_makes_no_map(x, weight, stride, padding):
    if x.dim() != 4:
        raise ValueError(f"x has shape {tuple(x.shape)}, it must be (N, C, H, W)")
    if x.shape[1] != weight.shape[1]:
        raise ValueError(f"x has {x.shape[1]} channels, the filters look at {weight.shape[1]}")
    for size, kernel, s, p in zip(x.shape[2:], weight.shape[2:], stride, padding, strict=True):
        if s < 1 or p < 0:
            raise ValueError(f"stride {s} must be at least 1, padding {p} at least 0")
        if kernel > size + 2 * p:
            raise ValueError(f"kernel {kernel} does not fit into {size} cells padded by {p}")


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0) -> Tensor:
    """Slide every filter over all channels of every image, each filter making one map.

    A filter holds one kernel for each channel. At each place every kernel meets the window of
    its own channel, cell by cell and not turned around, as in correlate2d, and all channels
    together become one number. Filter f has a bias of its own, bias[f], that goes once into
    every number of its map. Padding lays a frame of zeros around each channel, on all four
    sides. Windows start in the frame's corner and move `stride` cells at a time for as long
    as all of the kernel fits; it may be larger than the image if the frame makes room for it.
    torch's own convolution may not be called; all else may, F.unfold and matrix products too.

    Shapes:
        x: (N, C, H, W), float32 or float64
        weight: (F, C, KH, KW), of x's dtype
        bias: (F,), of x's dtype, or None
        stride, padding: an int, or a pair (vertical, horizontal)
        returns: (N, F, OH, OW), of x's dtype, differentiable in x, weight and bias

    Example:
        >>> x = torch.tensor([[[[1.0, 2.0, 3.0]], [[10.0, 20.0, 30.0]]]])
        >>> conv2d(x, torch.tensor([[[[0.0, 1.0]], [[1.0, 0.0]]]]), torch.tensor([0.5]))
        tensor([[[[12.5000, 23.5000]]]])

    Raises:
        ValueError: x has not four axes; x and weight differ in C; a stride below 1; a padding
            below 0; a kernel larger than the padded image. Each of them in either direction.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning,
        arXiv:1603.07285, sections 1.1 and 2.4.
    """
    stride, (vertical, horizontal) = _pair(stride), _pair(padding)
    _refuse_what_makes_no_map(x, weight, stride, (vertical, horizontal))
    padded = F.pad(x, (horizontal, horizontal, vertical, vertical))
    windows = padded.unfold(2, weight.shape[2], stride[0])
    windows = windows.unfold(3, weight.shape[3], stride[1])  # (N, C, OH, OW, KH, KW)
    maps = torch.einsum("nchwij,fcij->nfhw", windows, weight)
    return maps if bias is None else maps + bias[:, None, None]


HINTS = [
    "Take one image of two channels and one filter. How many kernels does the filter hold, how "
    "many products are there at one place, and how many numbers are left of them? Now think of a "
    "second filter: what can it reuse?",
    "Make pairs of stride and padding, refuse what is illegal, lay the frame of zeros. Then either "
    "loop over the places (OH, OW), or over the kernel's cells (KH, KW), or collect all windows "
    "with unfold. Each time the channels are added up and the filters stay apart.",
    "At one place: window = padded[:, :, top : top + KH, left : left + KW] is (N, C, KH, KW) with "
    "top = row * SH and left = column * SW, and torch.einsum('ncij,fcij->nf', window, weight) is "
    "the number of every image and filter there. The bias joins as bias[:, None, None] at the end.",
]


def _settings(x, weight, stride, padding):
    """Both pairs, after what is illegal was refused."""
    stride, padding = _pair(stride), _pair(padding)
    _refuse_what_makes_no_map(x, weight, stride, padding)
    return stride, padding


def _framed(x, padding, **how):
    return F.pad(x, (padding[1], padding[1], padding[0], padding[0]), **how)


def _sizes(padded, weight, stride):
    """(OH, OW)."""
    sides = zip(padded.shape[2:], weight.shape[2:], stride, strict=True)
    return [(size - kernel) // s + 1 for size, kernel, s in sides]


@right(conv2d)
def by_loops_over_places(x, weight, bias=None, stride=1, padding=0):
    stride, padding = _settings(x, weight, stride, padding)
    padded, (kh, kw) = _framed(x, padding), weight.shape[2:]
    rows, columns = _sizes(padded, weight, stride)
    result = x.new_zeros(x.shape[0], weight.shape[0], rows, columns)
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride[0], column * stride[1]
            window = padded[:, None, :, top : top + kh, left : left + kw]  # (N, 1, C, KH, KW)
            result[:, :, row, column] = (window * weight).sum((2, 3, 4))
    return result if bias is None else result + bias.reshape(1, -1, 1, 1)


@right(conv2d)
def by_shifted_images(x, weight, bias=None, stride=1, padding=0):
    """Cell (i, j) of every kernel at once: one matrix product over the channels for each."""
    stride, padding = _settings(x, weight, stride, padding)
    padded = _framed(x, padding)
    rows, columns = _sizes(padded, weight, stride)
    result = 0 if bias is None else bias[:, None, None]
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            cells = padded[:, :, i :: stride[0], j :: stride[1]][:, :, :rows, :columns]
            result = result + torch.tensordot(cells, weight[:, :, i, j], ([1], [1])).movedim(3, 1)
    return result


@right(conv2d)
def by_columns(x, weight, bias=None, stride=1, padding=0):
    """F.unfold writes every window as a column, the layer becomes one matrix product."""
    stride, padding = _settings(x, weight, stride, padding)
    sizes = _sizes(_framed(x, padding), weight, stride)
    columns = F.unfold(x, weight.shape[2:], padding=padding, stride=stride)  # (N, C*KH*KW, OH*OW)
    maps = (weight.flatten(1) @ columns).unflatten(2, sizes)
    return maps if bias is None else maps + bias.view(-1, 1, 1)


@right(conv2d)
def by_fft(x, weight, bias=None, stride=1, padding=0):
    """In the frequency domain every place is computed at once; the stride picks afterwards."""
    stride, padding = _settings(x, weight, stride, padding)
    padded = _framed(x.double(), padding)
    size = padded.shape[2:]
    rows, columns = (n - k + 1 for n, k in zip(size, weight.shape[2:], strict=True))
    filters = torch.fft.rfft2(weight.double(), s=size).conj()
    spectrum = torch.einsum("nchw,fchw->nfhw", torch.fft.rfft2(padded), filters)
    maps = torch.fft.irfft2(spectrum, s=size)[:, :, :rows, :columns].to(x.dtype)
    maps = maps[:, :, :: stride[0], :: stride[1]]
    return maps if bias is None else maps + bias[:, None, None]


@right(conv2d)
def by_one_large_matrix(x, weight, bias=None, stride=1, padding=0):
    """A convolution is a dense layer with most weights at zero, here kept sparse."""
    stride, padding = _settings(x, weight, stride, padding)
    padded = _framed(x, padding)
    rows, columns = _sizes(padded, weight, stride)
    cells = torch.arange(padded[0].numel()).view(1, *padded.shape[1:])
    seen = cells.unfold(2, weight.shape[2], stride[0]).unfold(3, weight.shape[3], stride[1])
    seen = seen.permute(0, 2, 3, 1, 4, 5).reshape(1, rows * columns, -1)
    seen = seen.expand(weight.shape[0], -1, -1)  # (F, OH*OW, C*KH*KW)
    matrix = x.new_zeros(weight.shape[0], rows * columns, cells.numel())
    matrix = matrix.scatter(2, seen, weight.flatten(1)[:, None].expand_as(seen))
    maps = (matrix.flatten(0, 1) @ padded.flatten(1).T).T.reshape(len(x), -1, rows, columns)
    return maps if bias is None else maps + bias[:, None, None]


@wrong(conv2d)
def flipped(x, weight, bias=None, stride=1, padding=0):
    """every kernel is flipped in both directions before it slides"""
    return conv2d(x, weight.flip(2, 3), bias, stride, padding)


@wrong(conv2d)
def upside_down(x, weight, bias=None, stride=1, padding=0):
    """every kernel is turned upside down before it slides"""
    return conv2d(x, weight.flip(2), bias, stride, padding)


@wrong(conv2d)
def mirrored(x, weight, bias=None, stride=1, padding=0):
    """every kernel is mirrored left to right before it slides"""
    return conv2d(x, weight.flip(3), bias, stride, padding)


@wrong(conv2d)
def transposed_kernels(x, weight, bias=None, stride=1, padding=0):
    """every kernel is transposed: its rows are used as columns"""
    _settings(x, weight, stride, padding)
    return conv2d(x, weight.transpose(2, 3), bias, stride, padding)


@wrong(conv2d)
def cells_scrambled(x, weight, bias=None, stride=1, padding=0):
    """the filter's cells meet the wrong cells: windows are flattened as (KH, KW, C)"""
    shuffled = weight.flatten(1).unflatten(1, (*weight.shape[2:], weight.shape[1]))
    return conv2d(x, shuffled.movedim(3, 1), bias, stride, padding)


@wrong(conv2d)
def averaged(x, weight, bias=None, stride=1, padding=0):
    """the products of a place are averaged instead of added up"""
    return conv2d(x, weight / weight[0].numel(), bias, stride, padding)


@wrong(conv2d)
def negatives_dropped(x, weight, bias=None, stride=1, padding=0):
    """negative results are set to 0: that is the ReLU, which is a layer of its own"""
    return conv2d(x, weight, bias, stride, padding).relu()


@wrong(conv2d)
def first_channel_only(x, weight, bias=None, stride=1, padding=0):
    """only the first channel is looked at"""
    _settings(x, weight, stride, padding)
    return conv2d(x[:, :1], weight[:, :1], bias, stride, padding)


@wrong(conv2d)
def last_channel_only(x, weight, bias=None, stride=1, padding=0):
    """only the last channel is left: each one overwrites the one before"""
    _settings(x, weight, stride, padding)
    return conv2d(x[:, -1:], weight[:, -1:], bias, stride, padding)


@wrong(conv2d)
def channels_averaged(x, weight, bias=None, stride=1, padding=0):
    """the channels are averaged instead of added up"""
    return conv2d(x, weight / weight.shape[1], bias, stride, padding)


@wrong(conv2d)
def one_kernel_for_all_channels(x, weight, bias=None, stride=1, padding=0):
    """a filter's first kernel is used for all channels"""
    return conv2d(x, weight[:, :1].expand_as(weight), bias, stride, padding)


@wrong(conv2d)
def channels_kept_apart(x, weight, bias=None, stride=1, padding=0):
    """the channels are not added up: there is a map for each channel of each filter"""
    _settings(x, weight, stride, padding)
    apart = [conv2d(x[:, c : c + 1], weight[:, c : c + 1], bias, stride, padding)
             for c in range(x.shape[1])]  # fmt: skip
    return torch.stack(apart, 2).flatten(1, 2)


@wrong(conv2d)
def first_filter_only(x, weight, bias=None, stride=1, padding=0):
    """the first filter makes all maps"""
    return conv2d(x, weight[:1].expand_as(weight), bias, stride, padding)


@wrong(conv2d)
def filters_added_up(x, weight, bias=None, stride=1, padding=0):
    """the maps of all filters are added up into one"""
    return conv2d(x, weight, bias, stride, padding).sum(1, keepdim=True)


@wrong(conv2d)
def filters_mixed(x, weight, bias=None, stride=1, padding=0):
    """the maps are mixed up: (OH, OW, F) is reshaped to (F, OH, OW), not permuted"""
    maps = conv2d(x, weight, bias, stride, padding)
    return maps.permute(0, 2, 3, 1).reshape(maps.shape)


@wrong(conv2d)
def filters_last(x, weight, bias=None, stride=1, padding=0):
    """the filters stand on the last axis: (N, OH, OW, F)"""
    return conv2d(x, weight, bias, stride, padding).permute(0, 2, 3, 1)


@wrong(conv2d)
def maps_transposed(x, weight, bias=None, stride=1, padding=0):
    """the maps are transposed: what belongs to [row, column] stands at [column, row]"""
    return conv2d(x, weight, bias, stride, padding).transpose(2, 3)


@wrong(conv2d)
def first_image_only(x, weight, bias=None, stride=1, padding=0):
    """every image of the batch gets the maps of the first one"""
    return conv2d(x[:1].expand_as(x), weight, bias, stride, padding)


@wrong(conv2d)
def batch_dropped(x, weight, bias=None, stride=1, padding=0):
    """a batch of one loses its first axis"""
    return conv2d(x, weight, bias, stride, padding).squeeze(0)


@wrong(conv2d)
def one_short(x, weight, bias=None, stride=1, padding=0):
    """the last row and column of places are missing: the + 1 is forgotten"""
    return conv2d(x, weight, bias, stride, padding)[:, :, :-1, :-1]


@wrong(conv2d)
def rounded_up(x, weight, bias=None, stride=1, padding=0):
    """what is left over at the end gets a place too: the size is rounded up, not down"""
    stride, padding = _settings(x, weight, stride, padding)
    padded = _framed(x, padding)
    sides = zip(padded.shape[2:], weight.shape[2:], stride, strict=True)
    down, right_ = (-(n - k) % s for n, k, s in sides)
    return conv2d(F.pad(padded, (0, right_, 0, down)), weight, bias, stride)


@wrong(conv2d)
def square_kernels_only(x, weight, bias=None, stride=1, padding=0):
    """the kernel's height is used for its width too"""
    _settings(x, weight, stride, padding)
    side = weight.shape[2]
    square = F.pad(weight, (0, max(side - weight.shape[3], 0)))[..., :side]
    return conv2d(x, square, bias, stride, padding)


@wrong(conv2d)
def stride_ignored(x, weight, bias=None, stride=1, padding=0):
    """the stride is ignored: windows always move by 1"""
    _settings(x, weight, stride, padding)
    return conv2d(x, weight, bias, 1, padding)


@wrong(conv2d)
def stride_ignored_across(x, weight, bias=None, stride=1, padding=0):
    """the stride is ignored across the width: windows move by 1 there"""
    stride, padding = _settings(x, weight, stride, padding)
    return conv2d(x, weight, bias, (stride[0], 1), padding)


@wrong(conv2d)
def stride_ignored_down(x, weight, bias=None, stride=1, padding=0):
    """the stride is ignored down the height: windows move by 1 there"""
    stride, padding = _settings(x, weight, stride, padding)
    return conv2d(x, weight, bias, (1, stride[1]), padding)


@wrong(conv2d)
def one_stride_for_both(x, weight, bias=None, stride=1, padding=0):
    """the vertical stride is used for both directions"""
    stride, padding = _settings(x, weight, stride, padding)
    return conv2d(x, weight, bias, stride[0], padding)


@wrong(conv2d)
def stride_exchanged(x, weight, bias=None, stride=1, padding=0):
    """the stride is read as (horizontal, vertical)"""
    stride, padding = _settings(x, weight, stride, padding)
    return conv2d(x, weight, bias, stride[::-1], padding)


@wrong(conv2d)
def side_by_side(x, weight, bias=None, stride=1, padding=0):
    """the windows stand side by side: they move by the kernel's size, not by the stride"""
    _settings(x, weight, stride, padding)
    return conv2d(x, weight, bias, tuple(weight.shape[2:]), padding)


@wrong(conv2d)
def padding_ignored(x, weight, bias=None, stride=1, padding=0):
    """the padding is ignored"""
    _settings(x, weight, stride, padding)
    if weight.shape[2] > x.shape[2] or weight.shape[3] > x.shape[3]:
        return x.new_zeros(len(x), len(weight), 0, 0)
    return conv2d(x, weight, bias, stride)


@wrong(conv2d)
def padded_once(x, weight, bias=None, stride=1, padding=0):
    """the image is padded once: above and to the left only, not on all four sides"""
    stride, (vertical, horizontal) = _settings(x, weight, stride, padding)
    return conv2d(F.pad(x, (horizontal, 0, vertical, 0)), weight, bias, stride)


@wrong(conv2d)
def padded_at_the_end(x, weight, bias=None, stride=1, padding=0):
    """the image is padded once: below and to the right only, not on all four sides"""
    stride, (vertical, horizontal) = _settings(x, weight, stride, padding)
    return conv2d(F.pad(x, (0, horizontal, 0, vertical)), weight, bias, stride)


@wrong(conv2d)
def padded_twice(x, weight, bias=None, stride=1, padding=0):
    """the frame is laid twice: it is 2 * padding thick"""
    stride, padding = _settings(x, weight, stride, padding)
    return conv2d(_framed(x, padding), weight, bias, stride, padding)


@wrong(conv2d)
def padded_by_replication(x, weight, bias=None, stride=1, padding=0):
    """the frame repeats the border cells (replication) instead of holding zeros"""
    stride, padding = _settings(x, weight, stride, padding)
    return conv2d(_framed(x, padding, mode="replicate"), weight, bias, stride)


@wrong(conv2d)
def padded_by_wrapping(x, weight, bias=None, stride=1, padding=0):
    """the frame holds the cells of the opposite border (wrap-around) instead of zeros"""
    stride, (vertical, horizontal) = _settings(x, weight, stride, padding)
    rows = torch.arange(-vertical, x.shape[2] + vertical) % x.shape[2]
    columns = torch.arange(-horizontal, x.shape[3] + horizontal) % x.shape[3]
    return conv2d(x[:, :, rows][:, :, :, columns], weight, bias, stride)


@wrong(conv2d)
def one_padding_for_both(x, weight, bias=None, stride=1, padding=0):
    """the vertical padding is used for both directions"""
    stride, padding = _settings(x, weight, stride, padding)
    return conv2d(_framed(x, (padding[0], padding[0])), weight, bias, stride)


@wrong(conv2d)
def padding_exchanged(x, weight, bias=None, stride=1, padding=0):
    """the padding is read as (horizontal, vertical): F.pad wants the horizontal one first"""
    stride, padding = _settings(x, weight, stride, padding)
    return conv2d(_framed(x, padding[::-1]), weight, bias, stride)


@wrong(conv2d)
def bias_omitted(x, weight, bias=None, stride=1, padding=0):
    """the bias is omitted"""
    return conv2d(x, weight, None, stride, padding)


@wrong(conv2d)
def bias_once_per_channel(x, weight, bias=None, stride=1, padding=0):
    """the bias is added once per channel: C times instead of once"""
    bias = None if bias is None else bias * x.shape[1]
    return conv2d(x, weight, bias, stride, padding)


@wrong(conv2d)
def bias_once_per_cell(x, weight, bias=None, stride=1, padding=0):
    """the bias is added once per cell of the kernel: KH * KW times instead of once"""
    bias = None if bias is None else bias * weight[0, 0].numel()
    return conv2d(x, weight, bias, stride, padding)


@wrong(conv2d)
def bias_inside_the_sum(x, weight, bias=None, stride=1, padding=0):
    """the bias is added to every single product: C * KH * KW times instead of once"""
    bias = None if bias is None else bias * weight[0].numel()
    return conv2d(x, weight, bias, stride, padding)


@wrong(conv2d)
def one_bias_for_all(x, weight, bias=None, stride=1, padding=0):
    """the first filter's bias is added to all maps"""
    bias = None if bias is None else bias[:1].expand_as(bias)
    return conv2d(x, weight, bias, stride, padding)


@wrong(conv2d)
def bias_along_the_width(x, weight, bias=None, stride=1, padding=0):
    """the bias is added along the width: without [:, None, None] it meets the last axis"""
    maps = conv2d(x, weight, None, stride, padding)
    return maps if bias is None else maps + bias


@wrong(conv2d)
def by_view(x, weight, bias=None, stride=1, padding=0):
    """.view stops where weight or x is itself a view, as a transposed one: reshape does not"""
    weight.view(-1), x.view(-1)
    return conv2d(x, weight, bias, stride, padding)


@wrong(conv2d)
def by_memory(x, weight, bias=None, stride=1, padding=0):
    """x is read as it lies in memory, row after row, though it may be a view (as_strided)"""
    lies = torch.as_strided(x, x.shape, torch.empty(x.shape, device="meta").stride())
    return conv2d(lies, weight, bias, stride, padding)


@wrong(conv2d)
def always_float32(x, weight, bias=None, stride=1, padding=0):
    """the result is float32 whatever came in"""
    bias = None if bias is None else bias.float()
    return conv2d(x.float(), weight.float(), bias, stride, padding)


@wrong(conv2d)
def float32_inside(x, weight, bias=None, stride=1, padding=0):
    """digits are lost: float64 is computed in float32 and turned back"""
    return always_float32(x, weight, bias, stride, padding).to(x.dtype)


@wrong(conv2d)
def graph_cut(x, weight, bias=None, stride=1, padding=0):
    """the graph is cut: no gradient flows back from the result"""
    return conv2d(x, weight, bias, stride, padding).detach()


@wrong(conv2d)
def graph_cut_at_x(x, weight, bias=None, stride=1, padding=0):
    """the graph is cut at x: no layer before this one could learn"""
    return conv2d(x.detach(), weight, bias, stride, padding)


@wrong(conv2d)
def graph_cut_at_weight(x, weight, bias=None, stride=1, padding=0):
    """the graph is cut at weight: the filters could never learn"""
    return conv2d(x, weight.detach(), bias, stride, padding)


@wrong(conv2d)
def graph_cut_at_bias(x, weight, bias=None, stride=1, padding=0):
    """the graph is cut at bias: it could never learn"""
    return conv2d(x, weight, None if bias is None else bias.detach(), stride, padding)


@wrong(conv2d)
def by_torch(x, weight, bias=None, stride=1, padding=0):
    """torch's own convolution does the work"""
    _settings(x, weight, stride, padding)
    return F.conv2d(x, weight, bias, stride, padding)


@wrong(conv2d)
def other_channels_accepted(x, weight, bias=None, stride=1, padding=0):
    """other channel counts are not refused: the surplus ones are left out"""
    if x.dim() == 4:
        least = min(x.shape[1], weight.shape[1])
        x, weight = x[:, :least], weight[:, :least]
    return conv2d(x, weight, bias, stride, padding)


@wrong(conv2d)
def one_channel_repeated(x, weight, bias=None, stride=1, padding=0):
    """other channel counts are not refused where one of them is 1: it is repeated"""
    if x.dim() == 4 and 1 in (x.shape[1], weight.shape[1]):
        most = max(x.shape[1], weight.shape[1])
        x, weight = x.expand(-1, most, -1, -1), weight.expand(-1, most, -1, -1)
    return conv2d(x, weight, bias, stride, padding)


@wrong(conv2d)
def too_large_kernel_accepted(x, weight, bias=None, stride=1, padding=0):
    """a kernel that fits nowhere is not refused: the maps have no cells"""
    if x.dim() == 4 and x.shape[1] == weight.shape[1]:
        stride, padding = _settings(x, weight[:, :, :1, :1], stride, padding)
        if min(_sizes(_framed(x, padding), weight, stride)) < 1:
            return x.new_zeros(len(x), len(weight), 0, 0)
    return conv2d(x, weight, bias, stride, padding)


@wrong(conv2d)
def too_wide_kernel_accepted(x, weight, bias=None, stride=1, padding=0):
    """only a too tall kernel is refused, not one that is too wide"""
    if x.dim() == 4 and x.shape[1] == weight.shape[1]:
        stride, padding = _settings(x, weight[..., :1], stride, padding)
        if _sizes(_framed(x, padding), weight, stride)[1] < 1:
            return x.new_zeros(len(x), len(weight), 1, 0)
    return conv2d(x, weight, bias, stride, padding)


@wrong(conv2d)
def too_large_without_its_frame(x, weight, bias=None, stride=1, padding=0):
    """a kernel larger than the image is refused although the frame makes room for it"""
    if x.dim() == 4 and (weight.shape[2] > x.shape[2] or weight.shape[3] > x.shape[3]):
        raise ValueError(f"kernel {tuple(weight.shape[2:])} is larger than {tuple(x.shape[2:])}")
    return conv2d(x, weight, bias, stride, padding)


@wrong(conv2d)
def exact_fit_refused(x, weight, bias=None, stride=1, padding=0):
    """a kernel exactly as large as the padded image is refused, though one place is there"""
    _, (vertical, horizontal) = _settings(x, weight, stride, padding)
    size = (x.shape[2] + 2 * vertical, x.shape[3] + 2 * horizontal)
    if weight.shape[2] == size[0] or weight.shape[3] == size[1]:
        raise ValueError(f"kernel {tuple(weight.shape[2:])} must be smaller than {size}")
    return conv2d(x, weight, bias, stride, padding)


@wrong(conv2d)
def zero_stride_accepted(x, weight, bias=None, stride=1, padding=0):
    """a stride of 0 is not refused: it is taken for 1"""
    return conv2d(x, weight, bias, tuple(s or 1 for s in _pair(stride)), padding)


@wrong(conv2d)
def negative_stride_accepted(x, weight, bias=None, stride=1, padding=0):
    """a negative stride is not refused: its sign is dropped"""
    return conv2d(x, weight, bias, tuple(abs(s) for s in _pair(stride)), padding)


@wrong(conv2d)
def negative_padding_accepted(x, weight, bias=None, stride=1, padding=0):
    """a negative padding is not refused: it cuts the border away"""
    if x.dim() == 4 and min(_pair(padding)) < 0:
        return conv2d(_framed(x, _pair(padding)), weight, bias, stride)
    return conv2d(x, weight, bias, stride, padding)


@wrong(conv2d)
def one_image_accepted(x, weight, bias=None, stride=1, padding=0):
    """an x of three axes is not refused: it is taken for one image without its batch"""
    if x.dim() == 3:
        return conv2d(x[None], weight, bias, stride, padding)[0]
    return conv2d(x, weight, bias, stride, padding)


@wrong(conv2d)
def nothing_refused(x, weight, bias=None, stride=1, padding=0):
    """nothing is refused: torch stops somewhere inside with an error of its own"""
    stride, padding = _pair(stride), _pair(padding)
    padded = _framed(x, padding)
    windows = padded.unfold(2, weight.shape[2], stride[0]).unfold(3, weight.shape[3], stride[1])
    maps = torch.einsum("nchwij,fcij->nfhw", windows, weight)
    return maps if bias is None else maps + bias[:, None, None]


def show(answer):
    """Two filters on a photo, whole and in steps, and one filter across two channels."""
    from data import photo
    from dojo.pictures import signed_maps

    grey = torch.from_numpy(photo()).float()
    x = torch.stack([grey, grey.roll(6, 1)])[None]  # the second channel: 6 cells to the right
    edges = torch.zeros(3, 2, 3, 3)
    edges[0, 0] = torch.tensor([[-1.0, 0.0, 1.0]] * 3)
    edges[1, 0] = edges[0, 0].T
    edges[2, :, 1, 1] = torch.tensor([1.0, -1.0])
    bias = torch.tensor([0.0, 0.0, 0.0])
    whole = answer.conv2d(x, edges, bias)[0]
    coarse = answer.conv2d(x, edges, bias, stride=(4, 2), padding=(3, 20))[0]
    return signed_maps(
        {"channel 0": x[0, 0], "channel 1: moved to the right": x[0, 1]},
        {"filter 0: edges that stand": whole[0], "filter 1: edges that lie": whole[1],
         "filter 2: channel 0 - channel 1": whole[2],
         "filter 0, stride (4, 2), padding (3, 20)": coarse[0]},
    )  # fmt: skip
