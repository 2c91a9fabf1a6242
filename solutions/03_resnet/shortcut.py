"""A skip that fits: the path beside a block's body, so that the two can be added."""

import functools

import torch
from torch import nn
from torch.nn import functional as F

from dojo import right, wrong


def make_shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Build the path that leads x around a block's body, to be added to what the body gives.

    The body may change how many channels there are, and its stride how large the maps are.
    Where it changes neither, the path passes x on as it is, and there is nothing to learn.
    Where it changes one of them, or both, x is projected: a 1x1 convolution without a bias
    that does both at once, then batch normalisation with torch's defaults, and nothing after
    it. In an nn.Sequential the two have the names that later katas want, 0 and 1.

    Shapes:
        stride: a whole number
        weight of the convolution: (out_channels, in_channels, 1, 1)
        of the module: (N, in_channels, H, W) -> (N, out_channels, H', W'), H' = H / stride,
            rounded up, and W' likewise; float32, or what the module was converted to

    Example:
        >>> make_shortcut(64, 64, 1)
        Identity()
        >>> [tuple(p.shape) for p in make_shortcut(64, 128, 2).parameters()]
        [(128, 64, 1, 1), (128,), (128,)]

    Raises:
        ValueError: in_channels, out_channels or stride is below 1.

    Source: He et al., Deep residual learning for image recognition, arXiv:1512.03385,
        sections 3.2 and 3.3, option B.
    """
    if min(in_channels, out_channels, stride) < 1:
        raise ValueError(
            f"in_channels, out_channels and stride must be at least 1, "
            f"got {in_channels}, {out_channels} and {stride}"
        )
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
    )


HINTS = [
    "The body turns (N, 6, 9, 7) into (N, 10, 5, 4). What would x + body(x) say? Which of its "
    "arguments can tell make_shortcut that this will happen, and is one of them enough?",
    "Nothing changes only if the channels are equal and the stride is 1: nn.Identity(). In every "
    "other case two modules in a row. Does a 1x1 window need padding?",
    "nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), "
    "nn.BatchNorm2d(out_channels)). Before that, a ValueError for each size below 1.",
]


def _check(*sizes):
    if min(sizes) < 1:
        raise ValueError(f"sizes below 1 in {sizes}")


def _alike(in_channels, out_channels, stride):
    _check(in_channels, out_channels, stride)
    return in_channels == out_channels and stride == 1


class _Projection(nn.Module):
    """Written out: a matrix for every pixel that stays, and statistics of its own."""

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.stride = stride
        self.kernel = nn.Parameter(torch.randn(out_channels, in_channels, 1, 1) * 0.1)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        kept = x[:, :, :: self.stride, :: self.stride]
        return self.norm(torch.einsum("nchw,fc->nfhw", kept, self.kernel[:, :, 0, 0]))


@right(make_shortcut)
def written_out(in_channels, out_channels, stride):
    if _alike(in_channels, out_channels, stride):
        return nn.Sequential()
    return _Projection(in_channels, out_channels, stride)


@right(make_shortcut)
def thinned_out_first(in_channels, out_channels, stride):
    """A max-pool over one pixel keeps every stride-th; the convolution follows."""
    if _alike(in_channels, out_channels, stride):
        return nn.Identity()
    conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    return nn.Sequential(nn.MaxPool2d(1, stride), conv, nn.BatchNorm2d(out_channels))


@right(make_shortcut)
def named_steps(in_channels, out_channels, stride):
    _check(in_channels, out_channels, stride)
    steps = nn.Sequential()
    if stride > 1 or in_channels != out_channels:
        one_by_one = nn.Conv2d(in_channels, out_channels, (1, 1), (stride, stride), bias=False)
        steps.add_module("project", one_by_one)
        steps.add_module("norm", nn.BatchNorm2d(out_channels))
    return steps


@wrong(make_shortcut)
def stride_only(in_channels, out_channels, stride):
    """only the stride is asked: other channels at stride 1 get an identity that cannot fit"""
    _check(in_channels, out_channels, stride)
    return nn.Identity() if stride == 1 else make_shortcut(in_channels, out_channels, stride)


@wrong(make_shortcut)
def channels_only(in_channels, out_channels, stride):
    """only the channels are asked: a stride with equal channels gets an identity, too large"""
    _check(in_channels, out_channels, stride)
    if in_channels == out_channels:
        return nn.Identity()
    return make_shortcut(in_channels, out_channels, stride)


@wrong(make_shortcut)
def only_where_both_change(in_channels, out_channels, stride):
    """x is projected only where channels and stride both change: one of them is enough"""
    _check(in_channels, out_channels, stride)
    return nn.Identity() if stride == 1 else channels_only(in_channels, out_channels, stride)


@wrong(make_shortcut)
def only_where_it_widens(in_channels, out_channels, stride):
    """fewer channels are taken for no change: x is projected only where their number grows"""
    _check(in_channels, out_channels, stride)
    if stride == 1 and in_channels > out_channels:
        return nn.Identity()
    return make_shortcut(in_channels, out_channels, stride)


@wrong(make_shortcut)
def always_identity(in_channels, out_channels, stride):
    """x is never projected: the skip is the identity whatever the body changes"""
    _check(in_channels, out_channels, stride)
    return nn.Identity()


@wrong(make_shortcut)
def always_projection(in_channels, out_channels, stride):
    """x is projected even where nothing changes: there the skip should be the identity"""
    _check(in_channels, out_channels, stride)
    conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


@wrong(make_shortcut)
def nothing_where_nothing_changes(in_channels, out_channels, stride):
    """None is returned where nothing changes: a module that gives x back is wanted"""
    if _alike(in_channels, out_channels, stride):
        return None
    return make_shortcut(in_channels, out_channels, stride)


@wrong(make_shortcut)
def rectified_identity(in_channels, out_channels, stride):
    """a ReLU stands on the identity: x has to come through as it is, negative numbers too"""
    if _alike(in_channels, out_channels, stride):
        return nn.ReLU()
    return make_shortcut(in_channels, out_channels, stride)


@wrong(make_shortcut)
def normalised_identity(in_channels, out_channels, stride):
    """the identity is normalised: where nothing changes there is nothing to learn"""
    if _alike(in_channels, out_channels, stride):
        return nn.BatchNorm2d(out_channels)
    return make_shortcut(in_channels, out_channels, stride)


def _changed(in_channels, out_channels, stride, steps):
    """An identity where that is right, else the steps that `steps` builds."""
    if _alike(in_channels, out_channels, stride):
        return nn.Identity()
    return nn.Sequential(*steps(in_channels, out_channels, stride))


def _steps(*changed, kernel_size=1, **how):
    """The right two steps but for what the convolution is told."""

    def steps(in_channels, out_channels, stride):
        told = {"stride": stride, "bias": False} | how
        conv = nn.Conv2d(in_channels, out_channels, kernel_size, **told)
        return conv, nn.BatchNorm2d(out_channels), *changed

    return steps


@wrong(make_shortcut)
def three_by_three(in_channels, out_channels, stride):
    """the projection is a 3x3 convolution: it should be 1x1, one pixel at a time"""
    return _changed(in_channels, out_channels, stride, _steps(kernel_size=3, padding=1))


@wrong(make_shortcut)
def three_by_three_not_padded(in_channels, out_channels, stride):
    """the projection is a 3x3 convolution without padding: it should be 1x1, and keep the border"""
    return _changed(in_channels, out_channels, stride, _steps(kernel_size=3))


@wrong(make_shortcut)
def kernel_as_large_as_the_stride(in_channels, out_channels, stride):
    """the kernel is as large as the stride: it should be 1x1 whatever the stride"""
    return _changed(in_channels, out_channels, stride, _steps(kernel_size=stride))


@wrong(make_shortcut)
def padded(in_channels, out_channels, stride):
    """the 1x1 convolution is padded: a frame of zeros grows around the maps"""
    return _changed(in_channels, out_channels, stride, _steps(padding=1))


@wrong(make_shortcut)
def stride_ignored(in_channels, out_channels, stride):
    """the stride is ignored by the projection: the maps stay as large as they were"""
    return _changed(in_channels, out_channels, stride, _steps(stride=1))


@wrong(make_shortcut)
def stride_two_for_all(in_channels, out_channels, stride):
    """every projection has stride 2, whatever stride is asked for"""
    return _changed(in_channels, out_channels, stride, _steps(stride=2))


@wrong(make_shortcut)
def at_most_two(in_channels, out_channels, stride):
    """a stride above 2 is taken for 2"""
    return _changed(in_channels, out_channels, stride, _steps(stride=min(stride, 2)))


@wrong(make_shortcut)
def one_axis(in_channels, out_channels, stride):
    """the stride is ignored across the width: only rows are left out"""
    return _changed(in_channels, out_channels, stride, _steps(stride=(stride, 1)))


@wrong(make_shortcut)
def with_bias(in_channels, out_channels, stride):
    """the convolution has a bias, which the batch norm behind it takes away again"""
    return _changed(in_channels, out_channels, stride, _steps(bias=True))


@wrong(make_shortcut)
def grouped(in_channels, out_channels, stride):
    """the channels are not mixed: with groups each sees only its own part of x"""
    _check(in_channels, out_channels, stride)
    groups = in_channels if out_channels % in_channels == 0 else 1
    return _changed(in_channels, out_channels, stride, _steps(groups=groups))


@wrong(make_shortcut)
def relu_at_the_end(in_channels, out_channels, stride):
    """a ReLU follows the projection: the skip cannot be negative any more"""
    return _changed(in_channels, out_channels, stride, _steps(nn.ReLU()))


@wrong(make_shortcut)
def relu_inside(in_channels, out_channels, stride):
    """a ReLU stands between the convolution and its batch norm"""

    def steps(*sizes):
        conv, norm = _steps()(*sizes)
        return conv, nn.ReLU(), norm

    return _changed(in_channels, out_channels, stride, steps)


@wrong(make_shortcut)
def relu_first(in_channels, out_channels, stride):
    """a ReLU stands before the projection: what is negative in x is lost"""
    steps = _steps()
    return _changed(in_channels, out_channels, stride, lambda *sizes: (nn.ReLU(), *steps(*sizes)))


@wrong(make_shortcut)
def not_normalised(in_channels, out_channels, stride):
    """the batch norm is missing: the projection is the convolution alone"""
    return _changed(in_channels, out_channels, stride, lambda *sizes: _steps()(*sizes)[:1])


@wrong(make_shortcut)
def normalised_first(in_channels, out_channels, stride):
    """the batch norm stands before the convolution, over in_channels"""

    def steps(*sizes):
        return nn.BatchNorm2d(in_channels), _steps()(*sizes)[0]

    return _changed(in_channels, out_channels, stride, steps)


@wrong(make_shortcut)
def starts_with_scale_0(in_channels, out_channels, stride):
    """the batch norm begins with a scale of 0: nothing of x comes through at first"""
    module = make_shortcut(in_channels, out_channels, stride)
    for norm in list(module.children())[1:]:
        nn.init.zeros_(norm.weight)
    return module


@wrong(make_shortcut)
def normalised_over_in_channels(in_channels, out_channels, stride):
    """the batch norm is made for in_channels, though out_channels reach it"""

    def steps(*sizes):
        return _steps()(*sizes)[0], nn.BatchNorm2d(in_channels)

    return _changed(in_channels, out_channels, stride, steps)


@wrong(make_shortcut)
def nothing_to_learn_in_the_norm(in_channels, out_channels, stride):
    """the batch norm has no weight and bias of its own: affine is switched off"""

    def steps(*sizes):
        return _steps()(*sizes)[0], nn.BatchNorm2d(out_channels, affine=False)

    return _changed(in_channels, out_channels, stride, steps)


@wrong(make_shortcut)
def other_eps(in_channels, out_channels, stride):
    """the batch norm has another eps than torch's 1e-5"""

    def steps(*sizes):
        return _steps()(*sizes)[0], nn.BatchNorm2d(out_channels, eps=1e-3)

    return _changed(in_channels, out_channels, stride, steps)


@wrong(make_shortcut)
def other_momentum(in_channels, out_channels, stride):
    """the batch norm has another momentum than torch's 0.1"""

    def steps(*sizes):
        return _steps()(*sizes)[0], nn.BatchNorm2d(out_channels, momentum=0.01)

    return _changed(in_channels, out_channels, stride, steps)


@wrong(make_shortcut)
def batch_statistics_only(in_channels, out_channels, stride):
    """the norm keeps no running statistics: a batch norm needs them in eval"""

    def steps(*sizes):
        return _steps()(*sizes)[0], nn.BatchNorm2d(out_channels, track_running_stats=False)

    return _changed(in_channels, out_channels, stride, steps)


def _pooled(pool, ceil_mode=True):
    def steps(in_channels, out_channels, stride):
        conv, norm = _steps(stride=1)(in_channels, out_channels, stride)
        return pool(stride, ceil_mode=ceil_mode), conv, norm

    return steps


@wrong(make_shortcut)
def average_pooled(in_channels, out_channels, stride):
    """average pooling makes the maps smaller, not the stride of the 1x1 convolution"""
    return _changed(in_channels, out_channels, stride, _pooled(nn.AvgPool2d))


@wrong(make_shortcut)
def max_pooled(in_channels, out_channels, stride):
    """max pooling makes the maps smaller, not the stride of the 1x1 convolution"""
    return _changed(in_channels, out_channels, stride, _pooled(nn.MaxPool2d))


@wrong(make_shortcut)
def average_pooled_and_cut(in_channels, out_channels, stride):
    """average pooling makes the maps smaller, and drops what fills no whole window"""
    return _changed(in_channels, out_channels, stride, _pooled(nn.AvgPool2d, ceil_mode=False))


@wrong(make_shortcut)
def max_pooled_and_cut(in_channels, out_channels, stride):
    """max pooling makes the maps smaller, and drops what fills no whole window"""
    return _changed(in_channels, out_channels, stride, _pooled(nn.MaxPool2d, ceil_mode=False))


@wrong(make_shortcut)
def pooled_where_channels_stay(in_channels, out_channels, stride):
    """pooling stands in for the projection where only the stride changes"""
    if in_channels == out_channels and not _alike(in_channels, out_channels, stride):
        return nn.AvgPool2d(stride, ceil_mode=True)
    return make_shortcut(in_channels, out_channels, stride)


class _Leftovers(nn.Module):
    """Drops the rows and columns that fill no whole step of the stride."""

    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        height, width = (n // self.stride * self.stride for n in x.shape[2:])
        return x[:, :, :height, :width]


@wrong(make_shortcut)
def rounded_down(in_channels, out_channels, stride):
    """odd sizes are rounded down: the last row and column are dropped before the stride"""
    steps = _steps()
    return _changed(
        in_channels, out_channels, stride, lambda *sizes: (_Leftovers(stride), *steps(*sizes))
    )


class _Filled(nn.Module):
    """Every stride-th pixel, and channels of zeros: the paper's option A."""

    def __init__(self, out_channels, stride):
        super().__init__()
        self.out_channels, self.stride = out_channels, stride

    def forward(self, x):
        kept = x[:, : self.out_channels, :: self.stride, :: self.stride]
        return F.pad(kept, (0, 0, 0, 0, 0, self.out_channels - kept.shape[1]))


@wrong(make_shortcut)
def filled_with_zeros(in_channels, out_channels, stride):
    """nothing is learned: pixels are left out, and new channels filled with zeros"""
    return _changed(
        in_channels, out_channels, stride, lambda *sizes: [_Filled(out_channels, stride)]
    )


@wrong(make_shortcut)
def frozen(in_channels, out_channels, stride):
    """the projection is frozen: requires_grad of its weights is off"""
    return make_shortcut(in_channels, out_channels, stride).requires_grad_(False)


class _Cut(nn.Module):
    def forward(self, x):
        return x.detach()


@wrong(make_shortcut)
def detached(in_channels, out_channels, stride):
    """the skip is detached: no gradient flows back through it to x"""
    return nn.Sequential(_Cut(), *make_shortcut(in_channels, out_channels, stride).children())


@wrong(make_shortcut)
def in_eval_mode(in_channels, out_channels, stride):
    """the module comes in eval mode: a fresh module trains"""
    return make_shortcut(in_channels, out_channels, stride).eval()


@wrong(make_shortcut)
def remembered(in_channels, out_channels, stride):
    """two calls return the same module: two blocks would share one projection's weights"""
    return _once(in_channels, out_channels, stride)


_once = functools.cache(make_shortcut)


@wrong(make_shortcut)
def never_refuses(in_channels, out_channels, stride):
    """a size below 1 is not refused, or only by some error of torch's own"""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(*_steps()(in_channels, out_channels, stride))


@wrong(make_shortcut)
def zero_accepted(in_channels, out_channels, stride):
    """a size of 0 is not refused: only negative ones are"""
    if min(in_channels, out_channels, stride) < 0:
        raise ValueError("negative")
    if 0 in (in_channels, out_channels, stride):
        return nn.Identity()
    return make_shortcut(in_channels, out_channels, stride)


@wrong(make_shortcut)
def identity_refuses_nothing(in_channels, out_channels, stride):
    """sizes are looked at only where x is projected: an identity for 0 channels is not refused"""
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return make_shortcut(in_channels, out_channels, stride)


@wrong(make_shortcut)
def any_stride_accepted(in_channels, out_channels, stride):
    """a stride below 1 is not refused: it is taken for 1"""
    return make_shortcut(in_channels, out_channels, max(stride, 1))
