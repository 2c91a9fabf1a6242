"""The convolution as a module: weights that an optimiser finds, a file keeps, a print tells."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
        raise NotImplementedError("conv_module")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("conv_module")
