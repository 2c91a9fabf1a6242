"""Halve the size, by pooling or by stride: two ways to zoom out."""

from torch import nn


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
    raise NotImplementedError("downsample")
