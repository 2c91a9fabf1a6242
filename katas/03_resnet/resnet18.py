"""ResNet-18: a stem, eight of your own blocks in four stages, and a small head."""

import torch
from basic_block import BasicBlock
from torch import nn
from torch.nn import functional as F


def resnet18(num_classes: int = 1000) -> nn.Module:
    """Build ResNet-18 out of your own BasicBlock, so that torchvision's weights fit into it.

    The stem makes maps of a quarter of the size: a 7x7 convolution to 64 channels with stride
    2, batch norm, ReLU, and a 3x3 max pool with stride 2, both padded so that even sizes are
    halved. Then come four stages of two blocks with 64, 128, 256 and 512 channels. The first
    stage keeps the size; in the others the first block halves it. At the end each map becomes
    its mean, and a linear layer makes the logits of that. No convolution has a bias, and the
    batch norms have torch's defaults. State_dicts are exchanged with torchvision's resnet18,
    hence the names: conv1, bn1, then layer1 to layer4 with their blocks 0 and 1, and fc.
    Initial weights are up to you. The model can also be built on torch's "meta" device.
    torchvision's own model is no answer.

    Shapes:
        of the model: x (N, 3, H, W), any size from 32 on, which is not changed
            -> logits (N, num_classes)

    Example:
        >>> sum(p.numel() for p in resnet18().parameters())
        11689512

    Raises:
        ValueError: num_classes is below 1.

    Source: He et al., Deep residual learning for image recognition, arXiv:1512.03385,
        table 1, column "18-layer".
    """
    raise NotImplementedError("resnet18")
