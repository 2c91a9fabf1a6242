"""The convolution as a module: weights that an optimiser finds, a file keeps, a print tells."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dojo import right, wrong


class Conv2d(nn.Module):
    """Convolve images with filters of its own, that can be trained, saved and loaded.

    What the layer computes is torch's F.conv2d, which you may call. What makes it a module is
    the rest: its numbers are parameters, so that parameters(), state_dict() and to() find them.
    They are called `weight` and `bias` and nothing else is kept, as in nn.Conv2d, so that each
    loads what the other saved; without bias there is only `weight`.

    A new layer draws every weight and every bias uniformly, from torch's default generator.
    The range is symmetric around 0 and the same for both: it reaches to 1 / sqrt(fan_in), where
    fan_in is how many numbers of the image one number of the output is computed from. `repr`,
    which print shows, tells the channels and the kernel_size.

    Shapes:
        kernel_size, stride, padding: an int or a (vertical, horizontal) pair
        weight: (out_channels, in_channels, KH, KW), bias: (out_channels,)
        x: (N, in_channels, H, W), float32 or whatever dtype the layer was brought to
        returns: (N, out_channels, OH, OW)

    Example:
        >>> Conv2d(3, 8, 5, padding=2)(torch.zeros(2, 3, 6, 7)).shape
        torch.Size([2, 8, 6, 7])

    Raises:
        ValueError: in __init__, a number of channels or the kernel_size is below 1; in forward,
            x has another number of channels.

    Source: torch documentation, torch.nn.Conv2d.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        bias: bool = True,
    ):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = map(_pair, (kernel_size, stride, padding))
        if min(in_channels, out_channels, *self.kernel_size) < 1:
            raise ValueError(f"{self.extra_repr()}: sizes must be at least 1")
        bound = 1 / math.sqrt(in_channels * math.prod(self.kernel_size))
        shape = (out_channels, in_channels, *self.kernel_size)
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        drawn = torch.empty(out_channels).uniform_(-bound, bound) if bias else None
        self.bias = nn.Parameter(drawn) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != self.in_channels:
            raise ValueError(f"x has {x.shape[1]} channels, the layer takes {self.in_channels}")
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)

    def extra_repr(self) -> str:
        sizes = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        return f"{sizes}, stride={self.stride}, padding={self.padding}"


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


HINTS = [
    "After layer = Conv2d(3, 8, 5): what should list(layer.parameters()) and layer.state_dict() "
    "show? What must a tensor be wrapped in so that it shows up there? One output number is a "
    "sum over how many numbers of the image?",
    "nn.Parameter as an attribute is registered under the attribute's name; a plain tensor or a "
    "list is not seen. torch.empty(shape).uniform_(low, high) draws from the default generator. "
    "nn.Module prints what the method extra_repr returns.",
    "fan_in = in_channels * KH * KW, bound = 1 / math.sqrt(fan_in). self.weight = nn.Parameter("
    "torch.empty(out_channels, in_channels, KH, KW).uniform_(-bound, bound)), the bias alike with "
    "(out_channels,), or None. forward: check x.shape[1], then return F.conv2d(x, self.weight, "
    "self.bias, self.stride, self.padding).",
]


def _bound(sizes):
    """1 / sqrt(fan_in) of (in_channels, out_channels, kernel_size)."""
    return 1 / math.sqrt(sizes[0] * math.prod(_pair(sizes[2])))


@right(Conv2d)
class ByHeritage(nn.Conv2d):
    """torch's own layer draws exactly so; what is left is to refuse."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        kernel_size = _pair(kernel_size)
        if in_channels < 1 or out_channels < 1 or kernel_size[0] < 1 or kernel_size[1] < 1:
            raise ValueError("sizes must be at least 1")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, bias=bias)

    def forward(self, x):
        if x.size(1) != self.weight.size(1):
            raise ValueError("other channels")
        return super().forward(x)


@right(Conv2d)
class ByUnfold(nn.Module):
    """Windows as columns, one matrix product; registered by name, drawn by nn.init."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        kh, kw = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
        for size in (in_channels, out_channels, kh, kw):
            if size <= 0:
                raise ValueError(f"{size} is too small")
        self.settings = {"kernel_size": (kh, kw), "stride": stride, "padding": padding}
        names = [("bias", (out_channels,))] if bias else []
        for name, shape in [*names, ("weight", (out_channels, in_channels, kh, kw))]:
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
            reach = (in_channels * kh * kw) ** -0.5
            nn.init.uniform_(getattr(self, name), -reach, reach)

    def forward(self, x):
        f, c, *kernel_size = self.weight.shape
        if c != x.shape[1]:
            raise ValueError(f"{c} channels wanted")
        columns = F.unfold(x, **self.settings)
        sums = self.weight.flatten(1) @ columns
        if hasattr(self, "bias"):
            sums = sums + self.bias[:, None]
        pairs = zip(x.shape[2:], kernel_size, *map(_pair, (self.settings["stride"],
                    self.settings["padding"])), strict=True)  # fmt: skip
        return sums.reshape(len(x), f, *((n + 2 * p - k) // s + 1 for n, k, s, p in pairs))

    def __repr__(self):
        return f"Conv2d of {list(self.weight.shape)}"


@right(Conv2d)
class ByShifts(nn.Module):
    """One product for each cell of the kernel, summed in float64; kaiming_uniform_ draws."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        sizes = _pair(kernel_size)
        if in_channels * out_channels < 1 or in_channels < 1 or min(sizes) < 1:
            raise ValueError("below 1")
        self.how = _pair(stride), _pair(padding)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, *sizes))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        self.bias = None
        if bias:
            unit = torch.rand(out_channels) * 2 - 1
            self.bias = nn.Parameter(unit / (in_channels * sizes[0] * sizes[1]) ** 0.5)

    def forward(self, x):
        (f, c, kh, kw), (stride, (top, left)) = self.weight.shape, self.how
        if x.shape[1] != c:
            raise ValueError("channels")
        wide = F.pad(x.double(), (left, left, top, top))
        rows, columns = wide.shape[2] - kh + 1, wide.shape[3] - kw + 1
        total = wide.new_zeros(len(x), f, rows, columns)
        for i in range(kh):
            for j in range(kw):
                crop = wide[:, :, i : i + rows, j : j + columns]
                total = total + torch.einsum(
                    "nchw,fc->nfhw", crop, self.weight[:, :, i, j].double()
                )
        total = total[:, :, :: stride[0], :: stride[1]]
        if self.bias is not None:
            total = total + self.bias.double().reshape(1, f, 1, 1)
        return total.to(x.dtype)

    def extra_repr(self):
        return f"weight={tuple(self.weight.shape)}"


class _Redrawn(Conv2d):
    """The reference with other first numbers: `low`, `high` and what `draw` makes of them."""

    def __init__(self, *sizes, **more):
        arguments = _named(*sizes, **more)
        super().__init__(**arguments)
        bound = _bound(tuple(arguments.values()))
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(self.first(name, parameter, bound))

    def first(self, name, parameter, bound):
        return parameter


def _named(in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
    return {"in_channels": in_channels, "out_channels": out_channels, "kernel_size": kernel_size,
            "stride": stride, "padding": padding, "bias": bias}  # fmt: skip


@wrong(Conv2d)
class PlainTensors(Conv2d):
    """weight and bias are plain tensors: no optimiser and no state_dict sees them"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name in ("weight", "bias"):
            value = self._parameters.pop(name)
            object.__setattr__(self, name, value if value is None else value.detach())


@wrong(Conv2d)
class PlainBias(Conv2d):
    """the bias is a plain tensor, not a parameter"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        value = self._parameters.pop("bias")
        object.__setattr__(self, "bias", value if value is None else value.detach())


@wrong(Conv2d)
class InAList(Conv2d):
    """the parameters are kept in a Python list: no optimiser and no state_dict sees them there"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.numbers = [self._parameters.pop("weight"), self._parameters.pop("bias")]

    def forward(self, x):
        return F.conv2d(x, *self.numbers, self.stride, self.padding)


@wrong(Conv2d)
class InAParameterList(Conv2d):
    """the parameters are in a ParameterList: their names are numbers.0 and numbers.1"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        numbers = [self._parameters.pop("weight"), self._parameters.pop("bias")]
        self.numbers = nn.ParameterList([n for n in numbers if n is not None])


@wrong(Conv2d)
class Wrapped(nn.Module):
    """a torch layer is wrapped: its parameters have the names conv.weight and conv.bias"""

    def __init__(self, *args, **kwargs):
        super().__init__()
        self.conv = Conv2d(*args, **kwargs)

    def forward(self, x):
        return self.conv(x)


@wrong(Conv2d)
class Buffers(Conv2d):
    """weight and bias are buffers: saved, but never trained"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name in ("weight", "bias"):
            value = self._parameters.pop(name)
            self.register_buffer(name, value if value is None else value.detach())


@wrong(Conv2d)
class Frozen(Conv2d):
    """weight and bias do not require a gradient"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.requires_grad_(False)


@wrong(Conv2d)
class BiasLikeTheResult(Conv2d):
    """the bias has the shape (out_channels, 1, 1), or another with axes of 1"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.bias is not None:
            self.bias = nn.Parameter(self.bias.detach()[:, None, None])


@wrong(Conv2d)
class BiasPerInput(Conv2d):
    """there is a bias for each channel of the image, not for each filter"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.bias is not None:
            self.bias = nn.Parameter(self.bias.new_zeros(self.in_channels))


@wrong(Conv2d)
class OneBias(Conv2d):
    """there is one bias for all filters together"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.bias is not None:
            self.bias = nn.Parameter(self.bias.detach()[:1])


@wrong(Conv2d)
class InputsFirst(Conv2d):
    """the weight is (in_channels, out_channels, KH, KW): filters come first"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.weight = nn.Parameter(self.weight.detach().transpose(0, 1).clone())


@wrong(Conv2d)
class SquareKernels(Conv2d):
    """the kernel's height is used for its width too"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        wide = self.weight.detach()[..., :1].repeat(1, 1, 1, self.kernel_size[0])
        self.weight = nn.Parameter(wide)


@wrong(Conv2d)
class BiasAlways(Conv2d):
    """bias=False is not looked at: there always is a bias"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args[:5], **{k: v for k, v in kwargs.items() if k != "bias"})


@wrong(Conv2d)
class TorchsArguments(Conv2d):
    """dilation and groups stand before bias, as in torch's layer: False in its place is no bias"""

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1,
        bias=True,
    ):  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, bias)


@wrong(Conv2d)
class BiasOfZeros(Conv2d):
    """bias=False keeps a bias of zeros instead of none"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.bias is None:
            self.bias = nn.Parameter(torch.zeros(self.out_channels))


@wrong(Conv2d)
class KeepsItsSizes(Conv2d):
    """further tensors stand in the state_dict: here the sizes, in a buffer"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("sizes", torch.tensor(self.kernel_size))


@wrong(Conv2d)
class FanOut(_Redrawn):
    """the range comes from fan_out: out_channels instead of in_channels"""

    def first(self, name, parameter, bound):
        return parameter * math.sqrt(self.in_channels / self.out_channels)


@wrong(Conv2d)
class ChannelsOnly(_Redrawn):
    """the range is 1 / sqrt(in_channels): the cells of the kernel are not counted"""

    def first(self, name, parameter, bound):
        return parameter * math.sqrt(math.prod(self.kernel_size))


@wrong(Conv2d)
class NoRoot(_Redrawn):
    """the range is 1 / fan_in: the square root is missing"""

    def first(self, name, parameter, bound):
        return parameter * bound


@wrong(Conv2d)
class KaimingRange(_Redrawn):
    """the weights' range is that of nn.init.kaiming_uniform_ as it is, sqrt(6) times too wide"""

    def first(self, name, parameter, bound):
        return parameter * 6**0.5 if name == "weight" else parameter


@wrong(Conv2d)
class Normal(_Redrawn):
    """the numbers are drawn from a normal distribution, not evenly from a range"""

    def first(self, name, parameter, bound):
        return torch.randn_like(parameter) * bound


@wrong(Conv2d)
class UnitRange(_Redrawn):
    """the numbers are those of torch.rand or randn, whatever the size of the layer"""

    def first(self, name, parameter, bound):
        return torch.rand_like(parameter)


@wrong(Conv2d)
class PositiveOnly(_Redrawn):
    """the numbers are drawn from 0 up: none is negative"""

    def first(self, name, parameter, bound):
        return parameter.abs()


@wrong(Conv2d)
class Zeros(_Redrawn):
    """all numbers begin at 0: every filter is the same as the others"""

    def first(self, name, parameter, bound):
        return torch.zeros_like(parameter)


@wrong(Conv2d)
class BiasBeginsAtZero(_Redrawn):
    """the bias begins at 0: it is drawn from the same range as the weights"""

    def first(self, name, parameter, bound):
        return torch.zeros_like(parameter) if name == "bias" else parameter


@wrong(Conv2d)
class OneFilterRepeated(_Redrawn):
    """all filters begin as copies of one: they stay alike"""

    def first(self, name, parameter, bound):
        return parameter[:1].expand_as(parameter)


@wrong(Conv2d)
class OneChannelRepeated(_Redrawn):
    """the channels of a filter begin as copies of one: they stay alike where the image is grey"""

    def first(self, name, parameter, bound):
        return parameter[:, :1].expand_as(parameter) if name == "weight" else parameter


@wrong(Conv2d)
class AlwaysTheSame(_Redrawn):
    """a seed is set in each layer, torch's or that of a generator of its own: all begin alike"""

    def first(self, name, parameter, bound):
        unit = torch.rand(parameter.shape, generator=torch.Generator().manual_seed(0))
        return (2 * unit - 1) * bound


@wrong(Conv2d)
class DrawnByNumpy(_Redrawn):
    """the numbers come from numpy: torch's seed does not decide them"""

    def first(self, name, parameter, bound):
        return torch.from_numpy(np.random.default_rng().uniform(-bound, bound, parameter.shape))


@wrong(Conv2d)
class DrawnInForward(Conv2d):
    """the numbers are drawn anew in each forward in train mode"""

    def forward(self, x):
        if self.training and x.shape[1] == self.in_channels:
            bound = 1 / math.sqrt(self.weight[0].numel())
            with torch.no_grad():
                for parameter in self.parameters():
                    parameter.uniform_(-bound, bound)
        return super().forward(x)


@wrong(Conv2d)
class StrideIgnored(Conv2d):
    """the stride is ignored"""

    def forward(self, x):
        stride, self.stride = self.stride, 1
        try:
            return super().forward(x)
        finally:
            self.stride = stride


@wrong(Conv2d)
class PaddingIgnored(Conv2d):
    """the padding is ignored"""

    def forward(self, x):
        padding, self.padding = self.padding, 0
        try:
            return super().forward(x)
        finally:
            self.padding = padding


@wrong(Conv2d)
class PairsExchanged(Conv2d):
    """stride and padding are read as (horizontal, vertical)"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.stride, self.padding = self.stride[::-1], self.padding[::-1]


@wrong(Conv2d)
class StrideAndPaddingExchanged(Conv2d):
    """stride and padding change places on their way to the convolution"""

    def forward(self, x):
        if x.shape[1] != self.in_channels:
            raise ValueError("channels")
        stride = tuple(max(p, 1) for p in self.padding)
        return F.conv2d(x, self.weight, self.bias, stride, self.stride)


@wrong(Conv2d)
class Flipped(Conv2d):
    """the kernel is turned around before it slides"""

    def forward(self, x):
        if x.shape[1] != self.in_channels:
            raise ValueError("channels")
        return F.conv2d(x, self.weight.flip(2, 3), self.bias, self.stride, self.padding)


@wrong(Conv2d)
class BiasNotAdded(Conv2d):
    """the bias is kept but not added"""

    def forward(self, x):
        if x.shape[1] != self.in_channels:
            raise ValueError("channels")
        return F.conv2d(x, self.weight, None, self.stride, self.padding)


@wrong(Conv2d)
class GraphCut(Conv2d):
    """weight.data or detach() is used in forward: no gradient reaches the parameters"""

    def forward(self, x):
        if x.shape[1] != self.in_channels:
            raise ValueError("channels")
        bias = None if self.bias is None else self.bias.data
        return F.conv2d(x, self.weight.data, bias, self.stride, self.padding)


@wrong(Conv2d)
class AlwaysFloat32(Conv2d):
    """the result is float32 whatever the layer was brought to"""

    def forward(self, x):
        return super().forward(x).float()


@wrong(Conv2d)
class SilentRepr(Conv2d):
    """repr tells nothing: extra_repr is not written"""

    def extra_repr(self):
        return ""


@wrong(Conv2d)
class ReprWithoutKernel(Conv2d):
    """repr leaves the kernel_size out"""

    def extra_repr(self):
        return f"{self.in_channels}, {self.out_channels}"


@wrong(Conv2d)
class ReprFromDefault(Conv2d):
    """repr shows half of the kernel_size: its width is left out"""

    def extra_repr(self):
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size[0]}"


@wrong(Conv2d)
class ChannelsByTorch(Conv2d):
    """an image of other channels is left to F.conv2d, which raises a RuntimeError"""

    def forward(self, x):
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)


@wrong(Conv2d)
class GreyFitsAll(Conv2d):
    """an image of a single channel is stretched over all the filters' channels"""

    def forward(self, x):
        return super().forward(x.expand(-1, self.in_channels, -1, -1) if x.shape[1] == 1 else x)


@wrong(Conv2d)
class FirstChannels(Conv2d):
    """channels too many are dropped in silence"""

    def forward(self, x):
        return super().forward(x[:, : self.in_channels])


class _Lax(Conv2d):
    """A twin that mends the arguments `mend` knows of before the reference looks at them."""

    def __init__(self, in_channels, out_channels, kernel_size, *args, **kwargs):
        super().__init__(*self.mend(in_channels, out_channels, kernel_size), *args, **kwargs)

    def mend(self, in_channels, out_channels, kernel_size):
        return in_channels, out_channels, kernel_size


@wrong(Conv2d)
class NoSizeRefused(_Lax):
    """sizes below 1 are not refused"""

    def mend(self, in_channels, out_channels, kernel_size):
        sizes = tuple(max(n, 1) for n in _pair(kernel_size))
        return max(in_channels, 1), max(out_channels, 1), sizes


@wrong(Conv2d)
class KernelNotRefused(_Lax):
    """a kernel_size below 1 is not refused, only channels are"""

    def mend(self, in_channels, out_channels, kernel_size):
        return in_channels, out_channels, tuple(max(n, 1) for n in _pair(kernel_size))


@wrong(Conv2d)
class ZeroAccepted(_Lax):
    """sizes of 0 are not refused, only negative ones are"""

    def mend(self, in_channels, out_channels, kernel_size):
        sizes = tuple(n or 1 for n in _pair(kernel_size))
        return in_channels or 1, out_channels or 1, sizes
