"""LeNet-5: the network that read cheques in the nineties, in today's words."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LeNet5(nn.Module):
    """Read images of 32x32 by two convolutions and three dense layers, 61,706 parameters.

    Each convolution is 5x5, unpadded, and followed by a sigmoid and then by the mean over 2x2
    blocks: 6 maps of 28x28 become 14x14, 16 maps of 10x10 become 5x5. What nn.Flatten makes
    of these goes through dense layers of 120, 84 and num_classes units. The first two have
    a sigmoid; the last one gives logits, as they are. Train and eval mode do the same. Layers
    have biases; their names, and modules or functions for the rest, are up to you (the layer
    of 120 may also be a 5x5 convolution: on 5x5 maps that is the same). Weights made by hand
    are those of nn.Conv2d, and (units, inputs) or (inputs, units); biases are vectors. Initial
    weights are random, from torch's default generator.

    The original of 1998 had trainable pooling, scaled tanh, a second layer that saw chosen maps
    only and distances at its end: sigmoid, plain mean and logits are today's simplification.

    Shapes:
        num_classes: K, from 1 on
        x: (N, 1, 32, 32), float32; float64 after double()
        returns: logits (N, K), differentiable in x and in all parameters

    Example:
        >>> sum(parameter.numel() for parameter in LeNet5().parameters())
        61706

    Raises:
        ValueError: num_classes is below 1.

    Source: LeCun, Bottou, Bengio & Haffner, Gradient-Based Learning Applied to Document
        Recognition, Proceedings of the IEEE 86 (1998), section II.B.
    """

    def __init__(self, num_classes: int = 10):
        super().__init__()
        raise NotImplementedError("lenet5")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("lenet5")
