"""Make a map smaller: of every window one number survives, the largest or the mean."""

import torch
from torch import Tensor
from torch.nn import functional as F


def max_pool2d(x: Tensor, kernel_size, stride=None, padding=0) -> Tensor:
    """Keep the largest cell of every window, in each channel by itself.

    A window of kernel_size slides over every map, `stride` cells at a time; where no stride
    is given, windows stand side by side. Rows and columns at the end that fill no whole
    window are dropped. Padding lays a frame around each map so that windows may start
    outside of it, but a cell of the frame is never the largest, whatever numbers are in x.
    torch's own pooling may not be called; all its other operations may.

    Shapes:
        x: (N, C, H, W), float32 or float64
        kernel_size, stride, padding: an int, or a pair (vertical, horizontal)
        returns: (N, C, OH, OW), of x's dtype, differentiable in x

    Example:
        >>> max_pool2d(torch.tensor([[[[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 7.0, 1.0]]]]), 2)
        tensor([[[[5., 7.]]]])

    Raises:
        ValueError: a kernel or stride below 1 (0 is not "no stride"); a padding below 0 or
            above half the kernel, where exactly half is allowed; a kernel larger than the
            padded map. Each of them in either direction.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning,
        arXiv:1603.07285, section 3.
    """
    raise NotImplementedError("pooling")


def avg_pool2d(x: Tensor, kernel_size, stride=None, padding=0) -> Tensor:
    """Keep the mean of every window, in each channel by itself.

    Windows stand, and are refused, as those of max_pool2d. Padding lays a frame of zeros
    around each map, and its cells count: the mean is always over as many cells as the kernel
    has, also at the border, as torch does it unless told otherwise.
    torch's own pooling may not be called; all its other operations may.

    Shapes:
        x: (N, C, H, W), float32 or float64
        kernel_size, stride, padding: an int, or a pair (vertical, horizontal)
        returns: (N, C, OH, OW), of x's dtype, differentiable in x

    Example:
        >>> avg_pool2d(torch.tensor([[[[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 7.0, 1.0]]]]), 2)
        tensor([[[[3.2500, 2.5000]]]])

    Raises:
        ValueError: as max_pool2d.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning,
        arXiv:1603.07285, section 3.
    """
    raise NotImplementedError("pooling")
