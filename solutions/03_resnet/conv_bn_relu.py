"""Convolution, batch norm, ReLU: the unit that residual networks are made of."""

from collections import OrderedDict

from torch import nn
from torch.nn import functional as F

from dojo import right, wrong


def conv_bn_relu(
    in_channels: int,
    out_channels: int,
    kernel_size: int | tuple[int, int] = 3,
    stride: int = 1,
) -> nn.Sequential:
    """Line up a convolution, a batch norm and a ReLU.

    The convolution is padded so that stride 1 keeps the size, whatever the kernel; stride 2
    leaves every second place, rounded up. What the batch norm does to a constant that is added
    to a whole channel makes one of the convolution's usual parameters useless: leave it out.
    The batch norm has torch's defaults.

    Shapes:
        kernel_size: odd, one number or (vertical, horizontal)
        the unit: (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride), rounded up

    Example:
        >>> import torch
        >>> unit = conv_bn_relu(3, 8, kernel_size=(1, 5), stride=2)
        >>> unit(torch.ones(2, 3, 7, 6)).shape
        torch.Size([2, 8, 4, 3])

    Raises:
        ValueError: a kernel_size is even or below 1; in_channels, out_channels or stride is
            below 1.

    Source: Ioffe & Szegedy, Batch Normalization, arXiv:1502.03167, section 3.2.
    """
    sizes = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
    if any(size < 1 or size % 2 == 0 for size in sizes):
        raise ValueError(f"kernel_size is {kernel_size}, it must be odd")
    if min(in_channels, out_channels, stride) < 1:
        raise ValueError(f"channels and stride begin at 1: {in_channels, out_channels, stride}")
    padding = tuple(size // 2 for size in sizes)
    conv = nn.Conv2d(in_channels, out_channels, sizes, stride, padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU())


HINTS = [
    "How many cells of padding keep the size for a kernel of 3, of 5, of 1? And what is left of "
    "a bias once the channel's mean has been taken away?",
    "Three modules in an nn.Sequential. The padding is half the kernel, rounded down, for each "
    "axis by itself. The batch norm counts the channels that come out of the convolution.",
    "padding = (KH // 2, KW // 2); nn.Conv2d(..., bias=False), nn.BatchNorm2d(out_channels), "
    "nn.ReLU(). Before that, refuse what is even or below 1.",
]


@right(conv_bn_relu)
def with_names(in_channels, out_channels, kernel_size=3, stride=1):
    """Named layers, a ReLU that writes in place, zero padding as a layer of its own."""
    if isinstance(kernel_size, int):
        kernel_size = (kernel_size, kernel_size)
    height, width = kernel_size
    if not (height % 2 and width % 2 and height > 0 and width > 0):
        raise ValueError("even")
    for size in (in_channels, out_channels, stride):
        if size <= 0:
            raise ValueError(f"{size} is below 1")
    layers = OrderedDict()
    layers["pad"] = nn.ZeroPad2d((width // 2, width // 2, height // 2, height // 2))
    layers["conv"] = nn.Conv2d(in_channels, out_channels, kernel_size, stride, bias=False)
    layers["norm"] = nn.BatchNorm2d(out_channels)
    layers["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


@right(conv_bn_relu)
def nested(in_channels, out_channels, kernel_size=3, stride=1):
    """A Sequential in a Sequential, "same" padding where torch allows it."""
    pair = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
    if min(in_channels, out_channels, stride, *pair) < 1 or pair[0] * pair[1] % 2 == 0:
        raise ValueError("a size is below 1 or even")
    padding = "same" if stride == 1 else ((pair[0] - 1) // 2, (pair[1] - 1) // 2)
    conv = nn.Conv2d(in_channels, out_channels, pair, stride, padding, bias=False)
    return nn.Sequential(nn.Sequential(conv, nn.BatchNorm2d(out_channels)), nn.ReLU())


class _Named(nn.Sequential):
    """A class of its own, with the ReLU as a function in forward."""

    def __init__(self, in_channels, out_channels, kernel_size, stride):
        padding = [size // 2 for size in kernel_size]
        conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False)
        super().__init__()
        self.conv, self.norm = conv, nn.BatchNorm2d(out_channels)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))


@right(conv_bn_relu)
def a_class_of_its_own(in_channels, out_channels, kernel_size=3, stride=1):
    both = kernel_size if isinstance(kernel_size, tuple) else (kernel_size,) * 2
    if any(size % 2 != 1 or size < 0 for size in both):
        raise ValueError(f"kernel_size {kernel_size}")
    if in_channels < 1 or out_channels < 1 or stride < 1:
        raise ValueError("a size below 1")
    return _Named(in_channels, out_channels, both, stride)


@right(conv_bn_relu)
def one_by_one(in_channels, out_channels, kernel_size=3, stride=1):
    """Layers appended in a loop, a frame for each axis, a threshold for a ReLU."""
    unit = nn.Sequential()
    sizes = [kernel_size, kernel_size] if isinstance(kernel_size, int) else list(kernel_size)
    for axis, size in enumerate(sizes):
        if size not in range(1, max(sizes) + 1, 2):
            raise ValueError(f"{size} is not odd")
        half = size // 2
        frame = (half, half, 0, 0) if axis else (0, 0, half, half)  # above and below come last
        unit.append(nn.ConstantPad2d(frame, 0.0))
    if not all(n > 0 for n in (in_channels, out_channels, stride)):
        raise ValueError("a size below 1")
    unit.append(nn.Conv2d(in_channels, out_channels, sizes, (stride, stride), bias=False))
    unit.extend([nn.BatchNorm2d(out_channels, eps=1e-5, momentum=0.1), nn.Threshold(0.0, 0.0)])
    return unit


def _pair(kernel_size):
    return kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)


def _unit(in_channels, out_channels, kernel_size=3, stride=1, norm=True, relu=True, **settings):
    """The parts that mistakes are made with."""
    conv_bn_relu(in_channels, out_channels, kernel_size, stride)  # refuses
    padding = tuple(size // 2 for size in _pair(kernel_size))
    settings = {"padding": padding, "bias": False, "stride": stride} | settings
    layers = [nn.Conv2d(in_channels, out_channels, kernel_size, **settings)]
    layers += [nn.BatchNorm2d(out_channels)] if norm else []
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


@wrong(conv_bn_relu)
def with_bias(in_channels, out_channels, kernel_size=3, stride=1):
    """the convolution has a bias: batch norm takes it away again"""
    return _unit(in_channels, out_channels, kernel_size, stride, bias=True)


@wrong(conv_bn_relu)
def relu_before_bn(in_channels, out_channels, kernel_size=3, stride=1):
    """the ReLU stands before the batch norm (BN)"""
    conv, norm, relu = _unit(in_channels, out_channels, kernel_size, stride)
    return nn.Sequential(conv, relu, norm)


@wrong(conv_bn_relu)
def bn_first(in_channels, out_channels, kernel_size=3, stride=1):
    """the batch norm stands before the convolution, over in_channels"""
    conv, _, relu = _unit(in_channels, out_channels, kernel_size, stride)
    return nn.Sequential(nn.BatchNorm2d(in_channels), conv, relu)


@wrong(conv_bn_relu)
def no_padding(in_channels, out_channels, kernel_size=3, stride=1):
    """there is no padding: the maps shrink"""
    return _unit(in_channels, out_channels, kernel_size, stride, padding=0)


@wrong(conv_bn_relu)
def padded_by_one(in_channels, out_channels, kernel_size=3, stride=1):
    """padding by one for all kernels: only a kernel of 3 keeps the size"""
    return _unit(in_channels, out_channels, kernel_size, stride, padding=1)


@wrong(conv_bn_relu)
def padded_by_the_kernel(in_channels, out_channels, kernel_size=3, stride=1):
    """padding by the whole kernel, not by half of it"""
    return _unit(in_channels, out_channels, kernel_size, stride, padding=_pair(kernel_size))


@wrong(conv_bn_relu)
def padded_the_other_way(in_channels, out_channels, kernel_size=3, stride=1):
    """the padding's axes are exchanged: the kernel's width pads the height"""
    padding = tuple(size // 2 for size in reversed(_pair(kernel_size)))
    return _unit(in_channels, out_channels, kernel_size, stride, padding=padding)


@wrong(conv_bn_relu)
def padded_by_repetition(in_channels, out_channels, kernel_size=3, stride=1):
    """the padding repeats the border cells, it has to be zeros"""
    return _unit(in_channels, out_channels, kernel_size, stride, padding_mode="replicate")


@wrong(conv_bn_relu)
def bn_over_in_channels(in_channels, out_channels, kernel_size=3, stride=1):
    """the batch norm (BN) counts in_channels: out_channels come out of the convolution"""
    conv, _, relu = _unit(in_channels, out_channels, kernel_size, stride)
    return nn.Sequential(conv, nn.BatchNorm2d(in_channels), relu)


@wrong(conv_bn_relu)
def no_bn(in_channels, out_channels, kernel_size=3, stride=1):
    """there is no batch norm"""
    return _unit(in_channels, out_channels, kernel_size, stride, norm=False)


@wrong(conv_bn_relu)
def no_relu(in_channels, out_channels, kernel_size=3, stride=1):
    """there is no ReLU"""
    return _unit(in_channels, out_channels, kernel_size, stride, relu=False)


@wrong(conv_bn_relu)
def leaky(in_channels, out_channels, kernel_size=3, stride=1):
    """the ReLU leaks: a part of what is negative comes through"""
    return _unit(in_channels, out_channels, kernel_size, stride, relu=False).append(nn.LeakyReLU())


@wrong(conv_bn_relu)
def sigmoid(in_channels, out_channels, kernel_size=3, stride=1):
    """a sigmoid stands in the place of the ReLU"""
    return _unit(in_channels, out_channels, kernel_size, stride, relu=False).append(nn.Sigmoid())


def _with_norm(in_channels, out_channels, kernel_size, stride, **settings):
    conv, _, relu = _unit(in_channels, out_channels, kernel_size, stride)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels, **settings), relu)


@wrong(conv_bn_relu)
def no_statistics(in_channels, out_channels, kernel_size=3, stride=1):
    """the batch norm keeps no running statistics: eval measures its batch"""
    return _with_norm(in_channels, out_channels, kernel_size, stride, track_running_stats=False)


@wrong(conv_bn_relu)
def no_affine(in_channels, out_channels, kernel_size=3, stride=1):
    """the batch norm has no weight and bias of its own"""
    return _with_norm(in_channels, out_channels, kernel_size, stride, affine=False)


@wrong(conv_bn_relu)
def coarse_eps(in_channels, out_channels, kernel_size=3, stride=1):
    """the batch norm has an eps of 1e-3, as in other libraries: torch's default is 1e-5"""
    return _with_norm(in_channels, out_channels, kernel_size, stride, eps=1e-3)


@wrong(conv_bn_relu)
def momentum_of_the_old(in_channels, out_channels, kernel_size=3, stride=1):
    """the batch norm has a momentum of 0.9, the share of the old: 0.1, of the new, is torch's"""
    return _with_norm(in_channels, out_channels, kernel_size, stride, momentum=0.9)


@wrong(conv_bn_relu)
def slow_momentum(in_channels, out_channels, kernel_size=3, stride=1):
    """the batch norm has a momentum of 0.01: torch's default is 0.1"""
    return _with_norm(in_channels, out_channels, kernel_size, stride, momentum=0.01)


@wrong(conv_bn_relu)
def plain_mean(in_channels, out_channels, kernel_size=3, stride=1):
    """the batch norm has no momentum (None): it keeps the plain mean of all batches"""
    return _with_norm(in_channels, out_channels, kernel_size, stride, momentum=None)


@wrong(conv_bn_relu)
def stride_ignored(in_channels, out_channels, kernel_size=3, stride=1):
    """the stride is ignored"""
    return _unit(in_channels, out_channels, kernel_size, stride, **{"stride": 1})


@wrong(conv_bn_relu)
def pooled(in_channels, out_channels, kernel_size=3, stride=1):
    """a pooling layer takes the stride, not the convolution"""
    unit = _unit(in_channels, out_channels, kernel_size, 1)
    return unit.append(nn.MaxPool2d(stride, ceil_mode=True)) if stride > 1 else unit


@wrong(conv_bn_relu)
def square_kernel(in_channels, out_channels, kernel_size=3, stride=1):
    """only the kernel's height is used: a pair becomes a square"""
    conv_bn_relu(in_channels, out_channels, kernel_size, stride)
    return _unit(in_channels, out_channels, _pair(kernel_size)[0], stride)


@wrong(conv_bn_relu)
def kernel_ignored(in_channels, out_channels, kernel_size=3, stride=1):
    """kernel_size is ignored: every kernel is 3x3"""
    conv_bn_relu(in_channels, out_channels, kernel_size, stride)
    return _unit(in_channels, out_channels, 3, stride)


@wrong(conv_bn_relu)
def channels_exchanged(in_channels, out_channels, kernel_size=3, stride=1):
    """in_channels and out_channels are exchanged"""
    return _unit(out_channels, in_channels, kernel_size, stride)


@wrong(conv_bn_relu)
def even_accepted(in_channels, out_channels, kernel_size=3, stride=1):
    """an even kernel_size is not refused: no padding keeps the size on both sides"""
    odd = tuple(size + (size % 2 == 0) for size in _pair(kernel_size))
    return conv_bn_relu(in_channels, out_channels, odd, stride)


@wrong(conv_bn_relu)
def only_height_checked(in_channels, out_channels, kernel_size=3, stride=1):
    """only the kernel's height is checked: an even width is not refused"""
    height, width = _pair(kernel_size)
    odd = (height, width + (width % 2 == 0))
    return conv_bn_relu(in_channels, out_channels, odd, stride)


@wrong(conv_bn_relu)
def sizes_unchecked(in_channels, out_channels, kernel_size=3, stride=1):
    """channels or a stride below 1 are not refused"""
    return conv_bn_relu(max(in_channels, 1), max(out_channels, 1), kernel_size, max(stride, 1))


class _NoSequential(nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        self.layers = conv_bn_relu(*sizes)

    def forward(self, x):
        return F.relu(self.layers(x))


@wrong(conv_bn_relu)
def a_module_of_its_own(in_channels, out_channels, kernel_size=3, stride=1):
    """what is returned is no nn.Sequential"""
    return _NoSequential(in_channels, out_channels, kernel_size, stride)
