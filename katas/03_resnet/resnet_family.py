"""ResNet-18 to ResNet-152: one plan, five depths, two kinds of block."""

import torch
from basic_block import BasicBlock
from bottleneck import Bottleneck
from torch import nn
from torch.nn import functional as F


def resnet(depth: int, num_classes: int = 1000) -> nn.Module:
    """Build the ResNet of this depth out of your own BasicBlock and Bottleneck.

    All five have the stem, the four stages and the head of resnet18, with the same strides
    and without biases before a batch norm. Only the blocks differ: their number in each stage,

         18:  2, 2, 2, 2        34:  3, 4, 6, 3        50:  3, 4, 6, 3
        101:  3, 4, 23, 3      152:  3, 8, 36, 3

    and their kind, the same all through a network. The depth tells which, for it counts the
    stem's convolution, those in the bodies of the blocks and the last linear layer. The widths
    64, 128, 256 and 512 are what a BasicBlock gives and what a Bottleneck squeezes to.
    State_dicts are exchanged with torchvision's models, hence the names: conv1, bn1, then
    layer1 to layer4 with their blocks 0, 1, 2 ..., and fc. Initial weights are up to you. The
    models can also be built on torch's "meta" device. torchvision's own are no answer.

    Shapes:
        of the model: x (N, 3, H, W), any size from 32 on, which is not changed
            -> logits (N, num_classes)

    Example:
        >>> with torch.device("meta"):
        ...     deep = resnet(50)
        >>> sum(p.numel() for p in deep.parameters())
        25557032

    Raises:
        ValueError: depth is none of the five, which the message lists; num_classes is below 1.

    Source: He et al., Deep residual learning for image recognition, arXiv:1512.03385, table 1.
    """
    raise NotImplementedError("resnet_family")
