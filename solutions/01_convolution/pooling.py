"""Make a map smaller: of every window one number survives, the largest or the mean."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dojo import right, wrong


def _pair(value):
    """(vertical, horizontal)."""
    return (value, value) if isinstance(value, int) else tuple(value)


def _windows(x, kernel_size, stride, padding, fill):
    """Every window in its place: (N, C, OH, OW, KH, KW). Cells of the padding hold `fill`."""
    kernel, padding = _pair(kernel_size), _pair(padding)
    stride = kernel if stride is None else _pair(stride)
    for size, k, s, p in zip(x.shape[2:], kernel, stride, padding, strict=True):
        if k < 1 or s < 1:
            raise ValueError(f"kernel {k} and stride {s} must be at least 1")
        if not 0 <= 2 * p <= k:
            raise ValueError(f"padding {p} must lie between 0 and half the kernel, {k} / 2")
        if k > size + 2 * p:
            raise ValueError(f"kernel {k} does not fit into {size} cells padded by {p}")
    vertical, horizontal = padding
    padded = F.pad(x, (horizontal, horizontal, vertical, vertical), value=fill)
    return padded.unfold(2, kernel[0], stride[0]).unfold(3, kernel[1], stride[1])


def max_pool2d(x: Tensor, kernel_size, stride=None, padding=0) -> Tensor:
    """Keep the largest cell of every window, in each channel by itself.

    A window of kernel_size slides over every map, `stride` cells at a time; where no stride
    is given, windows stand side by side. Rows and columns at the end that fill no whole
    window are dropped. Padding lays a frame around each map so that windows may start
    outside of it, but a cell of the frame is never the largest, whatever numbers are in x.
    torch's own pooling may not be called; all its other operations may.

    Shapes:
        x: (N, C, H, W), float32 or float64
        kernel_size, stride, padding: an int, or a pair (vertical, horizontal)
        returns: (N, C, OH, OW), of x's dtype, differentiable in x

    Example:
        >>> max_pool2d(torch.tensor([[[[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 7.0, 1.0]]]]), 2)
        tensor([[[[5., 7.]]]])

    Raises:
        ValueError: a kernel or stride below 1 (0 is not "no stride"); a padding below 0 or
            above half the kernel, where exactly half is allowed; a kernel larger than the
            padded map. Each of them in either direction.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning,
        arXiv:1603.07285, section 3.
    """
    return _windows(x, kernel_size, stride, padding, fill=-torch.inf).amax((-2, -1))


def avg_pool2d(x: Tensor, kernel_size, stride=None, padding=0) -> Tensor:
    """Keep the mean of every window, in each channel by itself.

    Windows stand, and are refused, as those of max_pool2d. Padding lays a frame of zeros
    around each map, and its cells count: the mean is always over as many cells as the kernel
    has, also at the border, as torch does it unless told otherwise.
    torch's own pooling may not be called; all its other operations may.

    Shapes:
        x: (N, C, H, W), float32 or float64
        kernel_size, stride, padding: an int, or a pair (vertical, horizontal)
        returns: (N, C, OH, OW), of x's dtype, differentiable in x

    Example:
        >>> avg_pool2d(torch.tensor([[[[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 7.0, 1.0]]]]), 2)
        tensor([[[[3.2500, 2.5000]]]])

    Raises:
        ValueError: as max_pool2d.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning,
        arXiv:1603.07285, section 3.
    """
    return _windows(x, kernel_size, stride, padding, fill=0.0).mean((-2, -1))


HINTS = [
    "A map has 7 columns, the kernel 3, the stride 2. At which columns do windows start? What if "
    "a frame of one cell is added on either side? And which value can never win a maximum?",
    "Write the sizes as pairs first, refuse what is illegal, pad, then collect the windows: two "
    "loops over OH and OW, or Tensor.unfold once for the rows and once for the columns. Frame "
    "cells hold 0 for the mean and minus infinity for the maximum.",
    "x.unfold(2, KH, SH).unfold(3, KW, SW) has shape (N, C, OH, OW, KH, KW): what is left to do is "
    "amax or mean over the last two axes. F.pad(x, (PW, PW, PH, PH), value=...) makes the frame, "
    "the horizontal one first.",
]


def _settings(x, kernel_size, stride, padding):
    """The three pairs, after the reference has refused what is illegal."""
    _windows(x.detach(), kernel_size, stride, padding, 0.0)
    kernel = _pair(kernel_size)
    return kernel, kernel if stride is None else _pair(stride), _pair(padding)


def _framed(x, padding, fill):
    return F.pad(x, (padding[1], padding[1], padding[0], padding[0]), value=fill)


def _places(x, kernel, stride):
    """Window slices of a padded map, row by row."""
    for top in range(0, x.shape[2] - kernel[0] + 1, stride[0]):
        yield [
            x[:, :, top : top + kernel[0], left : left + kernel[1]]
            for left in range(0, x.shape[3] - kernel[1] + 1, stride[1])
        ]


@right(max_pool2d)
def max_by_loops(x, kernel_size, stride=None, padding=0):
    kernel, stride, padding = _settings(x, kernel_size, stride, padding)
    rows = _places(_framed(x, padding, -torch.inf), kernel, stride)
    return torch.stack([torch.stack([w.amax((2, 3)) for w in row], -1) for row in rows], 2)


@right(max_pool2d)
def max_by_repeated_edges(x, kernel_size, stride=None, padding=0):
    """A copy of an edge cell can win only where the edge cell itself wins."""
    kernel, stride, padding = _settings(x, kernel_size, stride, padding)
    frame = (padding[1], padding[1], padding[0], padding[0])
    padded = F.pad(x, frame, mode="replicate")
    return max_pool2d(padded, kernel, stride)


@right(max_pool2d)
def max_by_shifted_maps(x, kernel_size, stride=None, padding=0):
    """Cell (i, j) of all windows at once, the smallest number of the dtype as the frame."""
    kernel, stride, padding = _settings(x, kernel_size, stride, padding)
    padded = _framed(x, padding, torch.finfo(x.dtype).min)
    ends = [size - k + 1 for size, k in zip(padded.shape[2:], kernel, strict=True)]
    best = None
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            cells = padded[:, :, i : i + ends[0] : stride[0], j : j + ends[1] : stride[1]]
            best = cells.clone() if best is None else torch.maximum(best, cells)
    return best


@right(max_pool2d)
def max_by_columns(x, kernel_size, stride=None, padding=0):
    """F.unfold pads with zeros, so the frame is made before."""
    kernel, stride, padding = _settings(x, kernel_size, stride, padding)
    padded = _framed(x, padding, -torch.inf)
    sizes = [(n - k) // s + 1 for n, k, s in zip(padded.shape[2:], kernel, stride, strict=True)]
    columns = F.unfold(padded, kernel, stride=stride)
    columns = columns.reshape(x.shape[0], x.shape[1], kernel[0] * kernel[1], *sizes)
    return columns.max(2).values


@right(avg_pool2d)
def avg_by_convolution(x, kernel_size, stride=None, padding=0):
    """A mean is a convolution whose weights are all alike, each channel a group."""
    kernel, stride, padding = _settings(x, kernel_size, stride, padding)
    weight = x.new_full((x.shape[1], 1, *kernel), 1 / (kernel[0] * kernel[1]))
    return F.conv2d(x, weight, stride=stride, padding=padding, groups=x.shape[1])


@right(avg_pool2d)
def avg_by_running_sums(x, kernel_size, stride=None, padding=0):
    """The sum over a window is a difference of running sums; float64 keeps it exact enough."""
    (kh, kw), (sh, sw), padding = _settings(x, kernel_size, stride, padding)
    sums = F.pad(_framed(x.double(), padding, 0.0).cumsum(2).cumsum(3), (1, 0, 1, 0))
    height, width = sums.shape[2] - kh, sums.shape[3] - kw
    total = sums[:, :, kh:, kw:] - sums[:, :, :height, kw:] - sums[:, :, kh:, :width]
    total = total + sums[:, :, :height, :width]
    return (total[:, :, ::sh, ::sw] / (kh * kw)).to(x.dtype)


@right(avg_pool2d)
def avg_by_rows_then_columns(x, kernel_size, stride=None, padding=0):
    kernel, stride, padding = _settings(x, kernel_size, stride, padding)
    rows = _framed(x, padding, 0.0).unfold(2, kernel[0], stride[0]).mean(-1)
    return rows.unfold(3, kernel[1], stride[1]).mean(-1)


def _room_for_leftovers(x, kernel_size, stride, padding, fill):
    """x, longer at its ends so that leftovers get a window, but none that begins in the frame."""
    more = []
    settings = _settings(x, kernel_size, stride, padding)
    for n, k, s, p in zip(x.shape[2:], *settings, strict=True):
        missing = -(n + 2 * p - k) % s
        more.append(missing if n + 2 * p + missing - k < n + p else 0)
    return F.pad(x, (0, more[1], 0, more[0]), value=fill)


def _first_of(value):
    return _pair(value)[0]


def _exchanged(value):
    return None if value is None else _pair(value)[::-1]


@wrong(max_pool2d)
def max_frame_of_zeros(x, kernel_size, stride=None, padding=0):
    """the maximum is padded with 0: the frame wins wherever a window is all negative"""
    kernel, stride, padding = _settings(x, kernel_size, stride, padding)
    return max_pool2d(_framed(x, padding, 0.0), kernel, stride)


@wrong(max_pool2d)
def max_starts_at_zero(x, kernel_size, stride=None, padding=0):
    """the search for the largest starts at 0: a window of negative numbers gives 0"""
    return max_pool2d(x, kernel_size, stride, padding).clamp(min=0)


@wrong(max_pool2d)
def max_frame_of_a_fixed_number(x, kernel_size, stride=None, padding=0):
    """the frame holds a fixed number such as -1e9: smaller numbers lose against it"""
    kernel, stride, padding = _settings(x, kernel_size, stride, padding)
    return max_pool2d(_framed(x, padding, -1e9), kernel, stride)


@wrong(max_pool2d)
def max_moves_by_one(x, kernel_size, stride=1, padding=0):
    """max_pool2d without a stride moves by 1, not by the kernel's size"""
    return max_pool2d(x, kernel_size, stride, padding)


@wrong(max_pool2d)
def max_rounds_up(x, kernel_size, stride=None, padding=0):
    """the maximum of leftovers is kept too: the size is rounded up (ceil), not down"""
    x = _room_for_leftovers(x, kernel_size, stride, padding, -torch.inf)
    return max_pool2d(x, kernel_size, stride, padding)


@wrong(max_pool2d)
def max_last_cell(x, kernel_size, stride=None, padding=0):
    """the last cell of each window is kept, not the largest"""
    return _windows(x, kernel_size, stride, padding, 0.0)[..., -1, -1]


@wrong(max_pool2d)
def max_first_cell(x, kernel_size, stride=None, padding=0):
    """the first cell of each window is kept, not the largest"""
    return _windows(x, kernel_size, stride, padding, 0.0)[..., 0, 0]


@wrong(max_pool2d)
def max_smallest(x, kernel_size, stride=None, padding=0):
    """the smallest cell of each window is kept, not the largest"""
    return -max_pool2d(-x, kernel_size, stride, padding)


@wrong(max_pool2d)
def max_is_the_mean(x, kernel_size, stride=None, padding=0):
    """max_pool2d gives the mean of each window"""
    return avg_pool2d(x, kernel_size, stride, padding)


@wrong(max_pool2d)
def max_strongest(x, kernel_size, stride=None, padding=0):
    """the cell farthest from 0 is kept: a large negative one beats the largest"""
    return max_pool2d(x.abs(), kernel_size, stride, padding)


@wrong(max_pool2d)
def max_of_last_row(x, kernel_size, stride=None, padding=0):
    """only the last row of each window is searched for the largest"""
    return _windows(x, kernel_size, stride, padding, -torch.inf)[..., -1, :].amax(-1)


@wrong(max_pool2d)
def max_square_only(x, kernel_size, stride=None, padding=0):
    """max_pool2d takes the kernel's height for its width too"""
    kernel, stride, padding = _settings(x, kernel_size, stride, padding)
    sizes = [(n + 2 * p - k) // s + 1
             for n, k, s, p in zip(x.shape[2:], kernel, stride, padding, strict=True)]  # fmt: skip
    more = max(kernel[0] - kernel[1], 0)
    padded = F.pad(_framed(x, padding, -torch.inf), (0, more), value=-torch.inf)
    result = max_pool2d(padded, (kernel[0], kernel[0]), stride)
    return result[:, :, : sizes[0], : sizes[1]] if more else result


@wrong(max_pool2d)
def max_kernel_exchanged(x, kernel_size, stride=None, padding=0):
    """max_pool2d reads the kernel's pair as (horizontal, vertical)"""
    return max_pool2d(x, _exchanged(kernel_size), stride, padding)


@wrong(max_pool2d)
def max_one_stride(x, kernel_size, stride=None, padding=0):
    """max_pool2d takes the vertical stride for both directions"""
    stride = kernel_size if stride is None else stride
    _settings(x, kernel_size, stride, padding)
    return max_pool2d(x, kernel_size, _first_of(stride), padding)


@wrong(max_pool2d)
def max_stride_exchanged(x, kernel_size, stride=None, padding=0):
    """max_pool2d reads the stride's pair as (horizontal, vertical)"""
    return max_pool2d(x, kernel_size, _exchanged(stride), padding)


@wrong(max_pool2d)
def max_stride_ignored(x, kernel_size, stride=None, padding=0):
    """max_pool2d always moves by the kernel's size: the stride is ignored"""
    _settings(x, kernel_size, stride, padding)
    return max_pool2d(x, kernel_size, None, padding)


@wrong(max_pool2d)
def max_padding_exchanged(x, kernel_size, stride=None, padding=0):
    """max_pool2d reads the padding's pair as (horizontal, vertical)"""
    kernel, stride, padding = _settings(x, kernel_size, stride, padding)
    return max_pool2d(_framed(x, padding[::-1], -torch.inf), kernel, stride)


@wrong(max_pool2d)
def max_padding_ignored(x, kernel_size, stride=None, padding=0):
    """max_pool2d ignores the padding"""
    _settings(x, kernel_size, stride, padding)
    return max_pool2d(x, kernel_size, stride)


@wrong(max_pool2d)
def max_padded_once(x, kernel_size, stride=None, padding=0):
    """max_pool2d pads only above and to the left, not on all four sides"""
    kernel, stride, (vertical, horizontal) = _settings(x, kernel_size, stride, padding)
    padded = F.pad(x, (horizontal, 0, vertical, 0), value=-torch.inf)
    return max_pool2d(padded, kernel, stride)


@wrong(max_pool2d)
def max_mirrored_frame(x, kernel_size, stride=None, padding=0):
    """the frame mirrors the map: a cell from outside the window can win"""
    kernel, stride, (vertical, horizontal) = _settings(x, kernel_size, stride, padding)
    rows = torch.arange(-vertical, x.shape[2] + vertical).abs()
    columns = torch.arange(-horizontal, x.shape[3] + horizontal).abs()
    rows = torch.minimum(rows, 2 * x.shape[2] - 2 - rows).clamp(0)
    columns = torch.minimum(columns, 2 * x.shape[3] - 2 - columns).clamp(0)
    return max_pool2d(x[:, :, rows][:, :, :, columns], kernel, stride)


@wrong(max_pool2d)
def max_over_channels(x, kernel_size, stride=None, padding=0):
    """the largest is taken over all channels together"""
    best = max_pool2d(x, kernel_size, stride, padding)
    return best.amax(1, keepdim=True).expand_as(best)


@wrong(max_pool2d)
def max_first_image(x, kernel_size, stride=None, padding=0):
    """every image of the batch gets the maxima of the first one"""
    best = max_pool2d(x, kernel_size, stride, padding)
    return best[:1].expand_as(best)


@wrong(max_pool2d)
def max_by_view(x, kernel_size, stride=None, padding=0):
    """x.view stops where x is itself a view, as a transposed one: reshape does not (maximum)"""
    return max_pool2d(x.view(x.shape[0], -1).reshape(x.shape), kernel_size, stride, padding)


@wrong(max_pool2d)
def max_always_float32(x, kernel_size, stride=None, padding=0):
    """max_pool2d gives float32 whatever came in"""
    return max_pool2d(x.float(), kernel_size, stride, padding)


@wrong(max_pool2d)
def max_graph_cut(x, kernel_size, stride=None, padding=0):
    """max_pool2d cuts the graph: no gradient reaches x"""
    return max_pool2d(x.detach(), kernel_size, stride, padding)


@wrong(max_pool2d)
def max_by_torch(x, kernel_size, stride=None, padding=0):
    """max_pool2d calls torch's own pooling"""
    _settings(x, kernel_size, stride, padding)
    return F.max_pool2d(x, kernel_size, stride, padding)


@wrong(max_pool2d)
def max_any_padding(x, kernel_size, stride=None, padding=0):
    """max_pool2d accepts a padding above half the kernel: windows see nothing but frame"""
    kernel, padding = _pair(kernel_size), _pair(padding)
    if min(padding) < 0:
        raise ValueError(f"padding {padding} must be at least 0")
    return max_pool2d(_framed(x, padding, -torch.inf), kernel, stride)


@wrong(max_pool2d)
def max_half_refused(x, kernel_size, stride=None, padding=0):
    """max_pool2d refuses a padding of exactly half the kernel, which is allowed"""
    if any(p and 2 * p >= k for p, k in zip(_pair(padding), _pair(kernel_size), strict=True)):
        raise ValueError(f"padding {padding} must be less than half the kernel {kernel_size}")
    return max_pool2d(x, kernel_size, stride, padding)


@wrong(max_pool2d)
def max_half_of_the_larger_side(x, kernel_size, stride=None, padding=0):
    """max_pool2d allows half the kernel's longer side in both directions"""
    kernel, padding = _pair(kernel_size), _pair(padding)
    if 2 * max(padding) > max(kernel) or min(padding) < 0:
        raise ValueError(f"padding {padding} must lie between 0 and half the kernel {kernel}")
    return max_pool2d(_framed(x, padding, -torch.inf), kernel, stride)


@wrong(max_pool2d)
def max_half_rounded_up(x, kernel_size, stride=None, padding=0):
    """half of an odd kernel is rounded up: padding 2 passes for kernel 3"""
    kernel, padding = _pair(kernel_size), _pair(padding)
    if min(padding) < 0 or any(2 * p > k + 1 for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(f"padding {padding} must lie between 0 and half the kernel {kernel}")
    return max_pool2d(_framed(x, padding, -torch.inf), kernel, stride)


@wrong(max_pool2d)
def max_zero_stride_accepted(x, kernel_size, stride=None, padding=0):
    """max_pool2d takes a stride of 0 for no stride at all (`stride or kernel_size`)"""
    return max_pool2d(x, kernel_size, stride or kernel_size, padding)


@wrong(max_pool2d)
def max_negative_padding(x, kernel_size, stride=None, padding=0):
    """max_pool2d accepts a negative padding, which cuts the map"""
    kernel, padding = _pair(kernel_size), _pair(padding)
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(f"padding {padding} must not be above half the kernel {kernel}")
    return max_pool2d(_framed(x, padding, -torch.inf), kernel, stride)


@wrong(max_pool2d)
def max_empty_result(x, kernel_size, stride=None, padding=0):
    """max_pool2d gives an empty map where the kernel does not fit, and does not refuse"""
    sizes = zip(x.shape[2:], _pair(kernel_size), _pair(padding), strict=True)
    if any(k > n + 2 * p >= 3 * p >= 0 for n, k, p in sizes):
        return x.new_zeros(*x.shape[:2], 0, 0)
    return max_pool2d(x, kernel_size, stride, padding)


@wrong(avg_pool2d)
def avg_valid_cells_only(x, kernel_size, stride=None, padding=0):
    """means at the border are divided by the valid cells: the frame does not count"""
    share = avg_pool2d(torch.ones_like(x), kernel_size, stride, padding)
    return avg_pool2d(x, kernel_size, stride, padding) / share


@wrong(avg_pool2d)
def avg_divided_by_height(x, kernel_size, stride=None, padding=0):
    """the sum is divided by the kernel's height k, not by its number of cells"""
    return avg_pool2d(x, kernel_size, stride, padding) * _pair(kernel_size)[1]


@wrong(avg_pool2d)
def avg_divided_by_width(x, kernel_size, stride=None, padding=0):
    """the sum is divided by the kernel's width k, not by its number of cells"""
    return avg_pool2d(x, kernel_size, stride, padding) * _pair(kernel_size)[0]


@wrong(avg_pool2d)
def avg_divided_by_height_squared(x, kernel_size, stride=None, padding=0):
    """the sum is divided by the height squared: right only for square kernels"""
    kernel = _pair(kernel_size)
    return avg_pool2d(x, kernel_size, stride, padding) * (kernel[1] / kernel[0])


@wrong(avg_pool2d)
def avg_is_the_sum(x, kernel_size, stride=None, padding=0):
    """the window is added up and not divided"""
    kernel = _pair(kernel_size)
    return avg_pool2d(x, kernel_size, stride, padding) * (kernel[0] * kernel[1])


@wrong(avg_pool2d)
def avg_is_the_maximum(x, kernel_size, stride=None, padding=0):
    """avg_pool2d gives the largest cell of each window"""
    return max_pool2d(x, kernel_size, stride, padding)


@wrong(avg_pool2d)
def avg_last_cell(x, kernel_size, stride=None, padding=0):
    """avg_pool2d keeps the last cell of each window"""
    return _windows(x, kernel_size, stride, padding, 0.0)[..., -1, -1]


@wrong(avg_pool2d)
def avg_is_the_median(x, kernel_size, stride=None, padding=0):
    """the middle one of the sorted cells is kept (median), not the mean"""
    return _windows(x, kernel_size, stride, padding, 0.0).flatten(-2).median(-1).values


@wrong(avg_pool2d)
def avg_frame_of_edges(x, kernel_size, stride=None, padding=0):
    """the frame of the mean repeats the edge cells, it does not hold zeros"""
    kernel, stride, padding = _settings(x, kernel_size, stride, padding)
    padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0]), mode="replicate")
    return avg_pool2d(padded, kernel, stride)


@wrong(avg_pool2d)
def avg_frame_of_minus_infinity(x, kernel_size, stride=None, padding=0):
    """the mean is padded with minus infinity, which is right for the maximum only"""
    return _windows(x, kernel_size, stride, padding, -torch.inf).mean((-2, -1))


@wrong(avg_pool2d)
def avg_padding_ignored(x, kernel_size, stride=None, padding=0):
    """avg_pool2d ignores the padding"""
    _settings(x, kernel_size, stride, padding)
    return avg_pool2d(x, kernel_size, stride)


@wrong(avg_pool2d)
def avg_padding_exchanged(x, kernel_size, stride=None, padding=0):
    """avg_pool2d reads the padding's pair as (horizontal, vertical)"""
    kernel, stride, padding = _settings(x, kernel_size, stride, padding)
    return avg_pool2d(_framed(x, padding[::-1], 0.0), kernel, stride)


@wrong(avg_pool2d)
def avg_moves_by_one(x, kernel_size, stride=1, padding=0):
    """avg_pool2d without a stride moves by 1, not by the kernel's size"""
    return avg_pool2d(x, kernel_size, stride, padding)


@wrong(avg_pool2d)
def avg_stride_ignored(x, kernel_size, stride=None, padding=0):
    """avg_pool2d always moves by the kernel's size: the stride is ignored"""
    _settings(x, kernel_size, stride, padding)
    return avg_pool2d(x, kernel_size, None, padding)


@wrong(avg_pool2d)
def avg_stride_exchanged(x, kernel_size, stride=None, padding=0):
    """avg_pool2d reads the stride's pair as (horizontal, vertical)"""
    return avg_pool2d(x, kernel_size, _exchanged(stride), padding)


@wrong(avg_pool2d)
def avg_kernel_exchanged(x, kernel_size, stride=None, padding=0):
    """avg_pool2d reads the kernel's pair as (horizontal, vertical)"""
    return avg_pool2d(x, _exchanged(kernel_size), stride, padding)


@wrong(avg_pool2d)
def avg_rounds_up(x, kernel_size, stride=None, padding=0):
    """leftovers are averaged too: the size is rounded up (ceil), not down"""
    x = _room_for_leftovers(x, kernel_size, stride, padding, 0.0)
    return avg_pool2d(x, kernel_size, stride, padding)


@wrong(avg_pool2d)
def avg_over_channels(x, kernel_size, stride=None, padding=0):
    """the mean is taken over all channels together"""
    means = avg_pool2d(x, kernel_size, stride, padding)
    return means.mean(1, keepdim=True).expand_as(means)


@wrong(avg_pool2d)
def avg_by_view(x, kernel_size, stride=None, padding=0):
    """x.view stops where x is itself a view, as a transposed one: reshape does not (mean)"""
    return avg_pool2d(x.view(x.shape[0], -1).reshape(x.shape), kernel_size, stride, padding)


@wrong(avg_pool2d)
def avg_always_float32(x, kernel_size, stride=None, padding=0):
    """avg_pool2d gives float32 whatever came in"""
    return avg_pool2d(x.float(), kernel_size, stride, padding)


@wrong(avg_pool2d)
def avg_graph_cut(x, kernel_size, stride=None, padding=0):
    """avg_pool2d cuts the graph: no gradient reaches x"""
    return avg_pool2d(x.detach(), kernel_size, stride, padding)


@wrong(avg_pool2d)
def avg_by_torch(x, kernel_size, stride=None, padding=0):
    """avg_pool2d calls torch's own pooling"""
    _settings(x, kernel_size, stride, padding)
    return F.avg_pool2d(x, kernel_size, stride, padding)


@wrong(avg_pool2d)
def avg_any_padding(x, kernel_size, stride=None, padding=0):
    """avg_pool2d accepts a padding above half the kernel"""
    kernel, padding = _pair(kernel_size), _pair(padding)
    if min(padding) < 0:
        raise ValueError(f"padding {padding} must be at least 0")
    return avg_pool2d(_framed(x, padding, 0.0), kernel, stride)


@wrong(avg_pool2d)
def avg_half_refused(x, kernel_size, stride=None, padding=0):
    """avg_pool2d refuses a padding of exactly half the kernel, which is allowed"""
    if any(p and 2 * p >= k for p, k in zip(_pair(padding), _pair(kernel_size), strict=True)):
        raise ValueError(f"padding {padding} must be less than half the kernel {kernel_size}")
    return avg_pool2d(x, kernel_size, stride, padding)


def show(answer):
    """A map of vertical edges, pooled both ways: the maximum keeps thin lines, the mean fades."""
    from data import photo
    from dojo.pictures import signed_maps

    image = torch.from_numpy(photo())[None, None]
    kernel = torch.tensor([[-1.0, 0.0, 1.0]] * 3, dtype=image.dtype)[None, None]
    edges = F.conv2d(image, kernel).relu()
    return signed_maps(
        {"photo": image},
        {"edges, dark to bright": edges, "largest of 8x8": answer.max_pool2d(edges, 8),
         "mean of 8x8": answer.avg_pool2d(edges, 8)},
    )  # fmt: skip
