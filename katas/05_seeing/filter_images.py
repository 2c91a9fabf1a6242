"""Filters as pictures: what the first layer looks for, seen with your own eyes."""

import torch
from torch import Tensor


def filters_to_images(weight: Tensor) -> Tensor:
    """Turn the filters of a first layer into pictures that can be looked at.

    A weight may be negative, a pixel may not. So zero becomes the grey in the middle, 0.5, and
    brighter is more positive: the largest magnitude of a filter, whatever its sign and channel,
    is drawn to an end of 0 to 1, and all else of that filter in proportion. Every filter has a
    scale of its own, so that weak ones can be seen too; a filter of zeros is grey all over.

    Filters of three channels become coloured pictures, with the colours where plotting wants
    them: last. Filters of one channel become grey ones, in the same form.

    Shapes:
        weight: (K, C, h, w), float32 or float64, C is 3 or 1; it is not changed
        returns: (K, h, w, 3) of weight's dtype, from 0 to 1, detached

    Example:
        >>> filters_to_images(torch.tensor([[[[0.0, 2.0, -1.0]]]]))[0, 0, :, 0]
        tensor([0.5000, 1.0000, 0.2500])

    Raises:
        ValueError: weight has not four axes, or C is neither 1 nor 3: deeper filters look at
            channels that are no colours.

    Source: Zeiler & Fergus, Visualizing and Understanding Convolutional Networks,
        arXiv:1311.2901, section 4.
    """
    raise NotImplementedError("filter_images")
