"""The whole layer: every filter looks at all channels and writes one map."""

import torch
from torch import Tensor
from torch.nn import functional as F


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0) -> Tensor:
    """Slide every filter over all channels of every image, each filter making one map.

    A filter holds one kernel for each channel. At each place every kernel meets the window of
    its own channel, cell by cell and not turned around, as in correlate2d, and all channels
    together become one number. Filter f has a bias of its own, bias[f], that goes once into
    every number of its map. Padding lays a frame of zeros around each channel, on all four
    sides. Windows start in the frame's corner and move `stride` cells at a time for as long
    as all of the kernel fits; it may be larger than the image if the frame makes room for it.
    torch's own convolution may not be called; all else may, F.unfold and matrix products too.

    Shapes:
        x: (N, C, H, W), float32 or float64
        weight: (F, C, KH, KW), of x's dtype
        bias: (F,), of x's dtype, or None
        stride, padding: an int, or a pair (vertical, horizontal)
        returns: (N, F, OH, OW), of x's dtype, differentiable in x, weight and bias

    Example:
        >>> x = torch.tensor([[[[1.0, 2.0, 3.0]], [[10.0, 20.0, 30.0]]]])
        >>> conv2d(x, torch.tensor([[[[0.0, 1.0]], [[1.0, 0.0]]]]), torch.tensor([0.5]))
        tensor([[[[12.5000, 23.5000]]]])

    Raises:
        ValueError: x has not four axes; x and weight differ in C; a stride below 1; a padding
            below 0; a kernel larger than the padded image. Each of them in either direction.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning,
        arXiv:1603.07285, sections 1.1 and 2.4.
    """
    raise NotImplementedError("conv2d")
