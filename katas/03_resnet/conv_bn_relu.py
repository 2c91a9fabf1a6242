"""Convolution, batch norm, ReLU: the unit that residual networks are made of."""

from torch import nn


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
    raise NotImplementedError("conv_bn_relu")
