"""Learn a filter from examples: nobody writes the kernel, gradient descent finds it."""

import torch
from torch import Tensor
from torch.nn import functional as F


def fit_kernel(images: Tensor, targets: Tensor, kernel_size: int, steps: int, lr: float) -> Tensor:
    """Find a kernel that turns the images into the targets, by plain gradient descent.

    The kernel begins with zeros. In each step it slides over all images at once (stride 1, no
    padding, as it is written) and the mean squared error says how far the maps are from the
    targets: one mean over all cells of all maps. Its gradient says in which direction each cell
    of the kernel makes the error grow. The step is `lr` times that gradient and nothing else,
    each time of the present kernel alone, and exactly `steps` of them are made; 0 steps leave
    the zeros. torch's convolution and autograd may be called. Every call begins anew, and
    leaves autograd on or off as it was.

    Shapes:
        images: (N, 1, H, W), float32 or float64
        targets: (N, 1, H - kernel_size + 1, W - kernel_size + 1), of the images' dtype
        kernel_size: an int, not larger than H and W
        returns: (1, 1, kernel_size, kernel_size), of the images' dtype, detached: it requires
            no gradient and holds no graph

    Example:
        >>> fit_kernel(torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[3.0, 6.0]]]]), 1, 1, 0.1)
        tensor([[[[1.5000]]]])

    Raises:
        ValueError: targets has any other shape than the one above.

    Source: LeCun, Bottou, Bengio & Haffner, Gradient-based learning applied to document
        recognition, Proceedings of the IEEE 86(11), 1998, sections I and II.
    """
    raise NotImplementedError("fit_kernel")
