"""Many small filters against one large one: how far they see, what they cost, what they are."""

import torch
from torch import Tensor
from torch.nn import functional as F


def stacked_receptive_field(n: int, kernel_size: int) -> int:
    """Say how many pixels across one unit sees through `n` stacked convolutions of stride 1.

    The first layer sees a kernel's width. Every further one looks at units whose fields lie
    next to each other and overlap, so it adds less than a whole kernel.

    Shapes:
        n: number of layers; kernel_size: their width in cells; both from 1 on
        returns: pixels

    Example:
        >>> stacked_receptive_field(2, 3)
        5

    Raises:
        ValueError: n or kernel_size is below 1.

    Source: Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image
        Recognition, arXiv:1409.1556, section 2.3.
    """
    raise NotImplementedError("small_filters")


def stack_parameters(channels: int, kernel_size: int, n: int) -> int:
    """Count the weights of `n` stacked square convolutions that keep the number of channels.

    Each filter of a layer has a square of weights for every channel that comes in, and there is
    one filter for every channel that goes out. Biases are not counted.

    Shapes:
        channels: in and out of every layer; kernel_size, n: as above; all from 1 on
        returns: weights

    Example:
        >>> stack_parameters(64, 3, 2), stack_parameters(64, 5, 1)
        (73728, 102400)

    Raises:
        ValueError: channels, kernel_size or n is below 1.

    Source: Simonyan & Zisserman, arXiv:1409.1556, section 2.3.
    """
    raise NotImplementedError("small_filters")


def merge_kernels(first: Tensor, second: Tensor) -> Tensor:
    """Make the one 5x5 convolution that does what two 3x3 ones do, one after the other.

    As long as nothing stands between them: no ReLU, no bias, no padding. Then a chain of two
    linear layers is one linear layer. With a ReLU between them no single kernel can do the
    same: that is what a stack gains besides having fewer weights.

    Shapes:
        first, second: (C, C, 3, 3) weights as nn.Conv2d has them, output channel first; `first`
            is applied to the image, `second` to what comes out of it
        returns: (C, C, 5, 5) of their dtype, differentiable in both

    Example:
        >>> ones = torch.ones(1, 1, 3, 3)
        >>> merge_kernels(ones, ones)[0, 0, 2]
        tensor([3., 6., 9., 6., 3.])

    Raises:
        ValueError: a weight is not (C, C, 3, 3), or the two have different C.

    Source: the composition of linear maps; Simonyan & Zisserman, arXiv:1409.1556, section 2.3.
    """
    raise NotImplementedError("small_filters")
