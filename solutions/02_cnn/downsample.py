"""Halve the size, by pooling or by stride: two ways to zoom out."""

import torch
from torch import nn

from dojo import right, wrong


def make_downsample(kind: str, in_channels: int, out_channels: int) -> nn.Module:
    """Build a module that halves height and width, in one of two ways.

    "pool" keeps the largest of each 2x2 window and learns nothing; only where the channels
    change a 1x1 convolution follows, which mixes them. "conv" is one 3x3 convolution that moves
    two cells at a time: it learns what to keep. Both give the same size for every input, and an
    odd one is rounded up: no row or column of the input is left unseen. Convolutions may have a
    bias; nothing else has parameters, and there is no activation.

    Shapes:
        kind: "pool" or "conv"; in_channels, out_channels: from 1 on
        the module takes (N, in_channels, H, W) and returns (N, out_channels, ceil(H / 2),
            ceil(W / 2))

    Example:
        >>> make_downsample("pool", 3, 3)(torch.zeros(1, 3, 5, 8)).shape
        torch.Size([1, 3, 3, 4])

    Raises:
        ValueError: kind is another word, or a number of channels is below 1.

    Source: Springenberg, Dosovitskiy, Brox & Riedmiller, Striving for Simplicity: The All
        Convolutional Net, arXiv:1412.6806, section 2.
    """
    if in_channels < 1 or out_channels < 1:
        raise ValueError(f"{in_channels} to {out_channels} channels: both must be at least 1")
    if kind == "conv":
        return nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)
    if kind != "pool":
        raise ValueError(f'kind is {kind!r}, it must be "pool" or "conv"')
    pool = nn.MaxPool2d(2, ceil_mode=True)
    if in_channels == out_channels:
        return pool
    return nn.Sequential(pool, nn.Conv2d(in_channels, out_channels, 1))


HINTS = [
    "An input of 5 rows: how many windows of 2 does pooling take by default, and which row is "
    "never seen? How many places has a 3x3 kernel of stride 2 on 5 rows with a padding of 1?",
    "nn.MaxPool2d has a switch for the last, incomplete window. For the convolution count with "
    "floor((n + 2 * 1 - 3) / 2) + 1, for n even and odd.",
    "nn.MaxPool2d(2, ceil_mode=True), followed by nn.Conv2d(in_channels, out_channels, 1) only if "
    "they differ; nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1).",
]


def _look(kind, in_channels, out_channels):
    if kind not in ("pool", "conv") or min(in_channels, out_channels) < 1:
        raise ValueError("kind or channels")


def _made(kind, in_channels, out_channels, pool=None, conv=None, mix=None):
    """The answer with one part exchanged."""
    _look(kind, in_channels, out_channels)
    if kind == "conv":
        make = conv or (lambda i, o: nn.Conv2d(i, o, 3, stride=2, padding=1))
        return make(in_channels, out_channels)
    pool = pool or nn.MaxPool2d(2, ceil_mode=True)
    make = mix or (lambda i, o: [] if i == o else [nn.Conv2d(i, o, 1)])
    return nn.Sequential(pool, *make(in_channels, out_channels))


class _Halving(nn.Module):
    """Functional: padding with the lowest number, windows by hand, or a strided convolution."""

    def __init__(self, kind, in_channels, out_channels):
        super().__init__()
        self.kind = kind
        size = 3 if kind == "conv" else 1
        self.mixing = None
        if kind == "conv" or in_channels != out_channels:
            self.mixing = nn.Parameter(torch.empty(out_channels, in_channels, size, size))
            nn.init.kaiming_uniform_(self.mixing)

    def forward(self, x):
        if self.kind == "conv":
            return nn.functional.conv2d(x, self.mixing, stride=2, padding=1)
        odd = (0, x.shape[3] % 2, 0, x.shape[2] % 2)
        x = nn.functional.pad(x, odd, value=float("-inf"))
        x = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).amax((3, 5))
        return x if self.mixing is None else nn.functional.conv2d(x, self.mixing)


@right(make_downsample)
def by_hand(kind, in_channels, out_channels):
    _look(kind, in_channels, out_channels)
    return _Halving(kind, in_channels, out_channels)


@right(make_downsample)
def without_biases(kind, in_channels, out_channels):
    return _made(
        kind, in_channels, out_channels,
        conv=lambda i, o: nn.Sequential(nn.Conv2d(i, o, (3, 3), (2, 2), (1, 1), bias=False)),
        mix=lambda i, o: [nn.Identity()] if i == o else [nn.Conv2d(i, o, 1, bias=False)],
    )  # fmt: skip


@right(make_downsample)
def padded_first(kind, in_channels, out_channels):
    """The border is repeated before the strided convolution; pooling pads in its own way."""
    return _made(
        kind, in_channels, out_channels,
        conv=lambda i, o: nn.Sequential(nn.ReplicationPad2d(1), nn.Conv2d(i, o, 3, stride=2)),
        pool=_Window(),
    )  # fmt: skip


@right(make_downsample)
def padded_behind_only(kind, in_channels, out_channels):
    """Padding behind the image only: one cell, or two of an odd side."""
    return _made(
        kind, in_channels, out_channels,
        conv=lambda i, o: nn.Sequential(_Behind(), nn.Conv2d(i, o, 3, stride=2)),
    )  # fmt: skip


class _Behind(nn.Module):
    def forward(self, x):
        return nn.functional.pad(x, (0, 1 + x.shape[3] % 2, 0, 1 + x.shape[2] % 2))


class _Window(nn.Module):
    def forward(self, x):
        size = (-(-x.shape[2] // 2), -(-x.shape[3] // 2))
        x = nn.functional.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2), mode="replicate")
        return nn.functional.adaptive_max_pool2d(x, size)


@wrong(make_downsample)
def odd_row_lost(kind, in_channels, out_channels):
    """pooling drops the last row or column of odd sizes: floor instead of ceil"""
    return _made(kind, in_channels, out_channels, pool=nn.MaxPool2d(2))


@wrong(make_downsample)
def conv_without_padding(kind, in_channels, out_channels):
    """the strided convolution has no padding: one row and column too few"""
    return _made(kind, in_channels, out_channels, conv=lambda i, o: nn.Conv2d(i, o, 3, stride=2))


@wrong(make_downsample)
def one_by_one_stride_two(kind, in_channels, out_channels):
    """the strided convolution is 1x1: three of four pixels are never seen"""
    return _made(
        kind, in_channels, out_channels, conv=lambda i, o: nn.Conv2d(i, o, 1, stride=2)
    )  # fmt: skip


@wrong(make_downsample)
def two_by_two(kind, in_channels, out_channels):
    """the strided convolution is 2x2, not 3x3"""
    return _made(
        kind, in_channels, out_channels,
        conv=lambda i, o: nn.Sequential(_Even(), nn.Conv2d(i, o, 2, stride=2)),
    )  # fmt: skip


class _Even(nn.Module):
    def forward(self, x):
        return nn.functional.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))


@wrong(make_downsample)
def conv_stride_one(kind, in_channels, out_channels):
    """the convolution has stride 1: nothing is halved"""
    return _made(
        kind, in_channels, out_channels, conv=lambda i, o: nn.Conv2d(i, o, 3, padding=1)
    )  # fmt: skip


@wrong(make_downsample)
def pool_stride_one(kind, in_channels, out_channels):
    """the pooling has stride 1: nothing is halved"""
    return _made(kind, in_channels, out_channels, pool=nn.MaxPool2d(2, stride=1))


@wrong(make_downsample)
def halved_one_way(kind, in_channels, out_channels):
    """the convolution strides down only, not across"""
    return _made(
        kind, in_channels, out_channels,
        conv=lambda i, o: nn.Conv2d(i, o, 3, stride=(2, 1), padding=1),
    )  # fmt: skip


@wrong(make_downsample)
def averaged(kind, in_channels, out_channels):
    """the pooling averages, it does not keep the largest"""
    return _made(kind, in_channels, out_channels, pool=nn.AvgPool2d(2, ceil_mode=True))


@wrong(make_downsample)
def windows_of_three(kind, in_channels, out_channels):
    """the pooling window is 3x3, not 2x2"""
    return _made(kind, in_channels, out_channels, pool=nn.MaxPool2d(3, stride=2, padding=1))


@wrong(make_downsample)
def padded_with_zeros(kind, in_channels, out_channels):
    """odd sizes are padded with 0 before pooling: negative maxima at the border become 0"""
    return _made(
        kind, in_channels, out_channels, pool=nn.Sequential(_Even(), nn.MaxPool2d(2))
    )  # fmt: skip


@wrong(make_downsample)
def every_second(kind, in_channels, out_channels):
    """every second pixel is taken, nothing is pooled"""
    return _made(kind, in_channels, out_channels, pool=nn.MaxPool2d(1, stride=2))


@wrong(make_downsample)
def always_mixed(kind, in_channels, out_channels):
    """a 1x1 convolution follows the pooling also where the channels stay"""
    return _made(
        kind, in_channels, out_channels, mix=lambda i, o: [nn.Conv2d(i, o, 1)]
    )  # fmt: skip


@wrong(make_downsample)
def never_mixed(kind, in_channels, out_channels):
    """the channels do not change after pooling"""
    return _made(kind, in_channels, out_channels, mix=lambda i, o: [])


@wrong(make_downsample)
def mixed_first(kind, in_channels, out_channels):
    """the 1x1 convolution comes before the pooling: mixtures are pooled, not the input"""
    down = _made(kind, in_channels, out_channels)
    return nn.Sequential(*reversed(down)) if kind == "pool" else down


@wrong(make_downsample)
def mixed_by_three(kind, in_channels, out_channels):
    """a 3x3 convolution follows the pooling, not a 1x1 one"""
    return _made(
        kind, in_channels, out_channels,
        mix=lambda i, o: [] if i == o else [nn.Conv2d(i, o, 3, padding=1)],
    )  # fmt: skip


@wrong(make_downsample)
def activated(kind, in_channels, out_channels):
    """a ReLU follows: no output is below 0"""
    return nn.Sequential(_made(kind, in_channels, out_channels), nn.ReLU())


@wrong(make_downsample)
def normalised(kind, in_channels, out_channels):
    """a batch norm follows: there are more parameters than those of the convolution"""
    return nn.Sequential(_made(kind, in_channels, out_channels), nn.BatchNorm2d(out_channels))


@wrong(make_downsample)
def pooled_and_strided(kind, in_channels, out_channels):
    """the convolution of "pool" strides too: the size is quartered"""
    return _made(
        kind, in_channels, out_channels,
        mix=lambda i, o: [] if i == o else [nn.Conv2d(i, o, 1, stride=2)],
    )  # fmt: skip


@wrong(make_downsample)
def in_groups(kind, in_channels, out_channels):
    """the convolution treats every channel by itself (groups)"""
    groups = in_channels if out_channels % in_channels == 0 else 1
    return _made(
        kind, in_channels, out_channels,
        conv=lambda i, o: nn.Conv2d(i, o, 3, stride=2, padding=1, groups=groups),
    )  # fmt: skip


@wrong(make_downsample)
def kinds_exchanged(kind, in_channels, out_channels):
    """the two kinds are exchanged"""
    _look(kind, in_channels, out_channels)
    return _made("conv" if kind == "pool" else "pool", in_channels, out_channels)


@wrong(make_downsample)
def anything_else_is_conv(kind, in_channels, out_channels):
    """another word is taken for one of the two kinds instead of being refused"""
    return _made("pool" if kind == "pool" else "conv", in_channels, out_channels)


@wrong(make_downsample)
def channels_not_looked_at(kind, in_channels, out_channels):
    """channels below 1 are not refused"""
    return _made(kind, max(in_channels, 1), max(out_channels, 1))


def show(answer):
    """A photo, halved three times in a row by pooling and by an averaging strided convolution."""
    from data import photo
    from dojo.pictures import signed_maps

    image = torch.from_numpy(photo()).float()[None, None]
    pictures = {"the photo": image}
    for kind in ("pool", "conv"):
        module, x = answer.make_downsample(kind, 1, 1), image
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.fill_(1 / 9 if parameter.dim() == 4 else 0.0)
            for _ in range(3):
                x = module(x)
        pictures[f"{kind}, three times: {x.shape[2]}x{x.shape[3]}"] = x
    return signed_maps(pictures, {})
