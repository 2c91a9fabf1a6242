"""A skip that fits: the path beside a block's body, so that the two can be added."""

from torch import nn


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
    raise NotImplementedError("shortcut")
