"""The block of ResNet-18 and ResNet-34: two convolutions that only learn what to add to x."""

import torch
from shortcut import make_shortcut
from torch import nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Correct x by what two 3x3 convolutions make of it.

    The body is convolution, batch norm, ReLU, convolution, batch norm. Its result is added to
    x, and only the sum goes through the second ReLU: the body may take away as well as add.
    The convolutions keep the size and have no bias; the first one takes the stride. The batch
    norms have torch's defaults. Beside them stands your make_shortcut, so that x fits.
    State_dicts are exchanged with torchvision's block, hence the names: conv1, bn1, conv2,
    bn2, and downsample (its convolution 0, its batch norm 1); where nothing changes,
    downsample holds no tensors and may be None.

    Shapes:
        stride: a whole number
        x: (N, in_channels, H, W) float32, or as the module was converted; it is not changed
        returns: (N, out_channels, H / stride, W / stride), rounded up

    Example:
        >>> block = BasicBlock(64, 128, stride=2)
        >>> sum(p.numel() for p in block.parameters())
        230144

    Raises:
        ValueError: in_channels, out_channels or stride is below 1, when it is built.

    Source: He et al., Deep residual learning for image recognition, arXiv:1512.03385,
        section 4.1 and figure 5, left.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        raise NotImplementedError("basic_block")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError("basic_block")
