"""Fold batch norm into the convolution before it: one layer does the work of two."""

import torch
from torch import nn


def fold_bn(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> nn.Conv2d:
    """Make one convolution that gives what conv and then bn give in eval.

    In eval a batch norm multiplies each channel by one number and adds another. A convolution
    can do that by itself, with other weights and another bias. What you make is new: conv and
    bn stay as they are, their modes too, and share no weights with it. Whatever else conv was
    told (stride, padding and how to pad, dilation, groups) holds for the new one, as do its
    dtype and device. A conv without bias counts as one with a bias of 0, and a batch norm
    with affine=False as one with weights of 1 and biases of 0.

    Shapes:
        conv: any nn.Conv2d, with or without a bias
        bn: nn.BatchNorm2d over conv's out_channels, in any mode, of any dtype
        returns: an nn.Conv2d with a bias

    Example:
        >>> conv, bn = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
        >>> fold_bn(conv, bn).bias.shape
        torch.Size([8])

    Raises:
        ValueError: bn has no running statistics, or other channels than conv gives.

    Source: Jacob et al., Quantization and Training of Neural Networks for Efficient
        Integer-Arithmetic-Only Inference, arXiv:1712.05877, section 3.2.
    """
    raise NotImplementedError("fold_bn")
