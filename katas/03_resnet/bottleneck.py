"""The block of ResNet-50, 101 and 152: squeeze the channels, look around, widen again."""

import torch
from shortcut import make_shortcut
from torch import nn
from torch.nn import functional as F


class Bottleneck(nn.Module):
    """Correct x by what a narrow path makes of it.

    A 3x3 convolution on many channels is dear. So a 1x1 convolution first brings them down to
    `channels`, the 3x3 one works there and takes the stride, and a second 1x1 one brings them
    up to four times as many. A batch norm with torch's defaults stands behind each; a ReLU
    behind the first two, and behind the sum. No convolution has a bias, and all keep the size
    but for the stride. Beside them stands your make_shortcut. State_dicts are exchanged with
    torchvision's block, hence the names: conv1, bn1, conv2, bn2, conv3, bn3, and downsample
    (its convolution 0, its batch norm 1); where nothing changes, downsample holds no tensors
    and may be None.

    Shapes:
        stride: a whole number
        x: (N, in_channels, H, W) float32, or as the module was converted; it is not changed
        returns: (N, 4 * channels, H / stride, W / stride), rounded up

    Example:
        >>> block = Bottleneck(256, 64)
        >>> sum(p.numel() for p in block.parameters())
        70400

    Raises:
        ValueError: in_channels, channels or stride is below 1, when it is built.

    Source: He et al., Deep residual learning for image recognition, arXiv:1512.03385,
        section 4.1 and figure 5, right; the stride on the 3x3 as in torchvision ("v1.5").
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1):
        super().__init__()
        raise NotImplementedError("bottleneck")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError("bottleneck")
