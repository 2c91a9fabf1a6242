"""Shift the image: does the answer shift along, stay as it is, or change?"""

from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def equivariance_gap(fn: Callable[[Tensor], Tensor], x: Tensor, shift: tuple[int, int]) -> float:
    """Measure how far `fn` is from commuting with a shift of the image.

    Two ways lead to the same place if fn is equivariant: shift the image and apply fn, or apply
    fn and shift what comes out. The gap is the largest absolute difference between the two.

    The image moves by `shift` (rows, columns), down and to the right where positive, and zeros
    come in. Maps that fn shrinks move by less: by the shift over their stride, which on each
    axis is the input's size over the output's, rounded to the nearest whole number, at least 1.
    The border of a map is no fair judge, as it sees zeros that were not there before: on both
    axes only the cells i with ceil(n / 4) <= i < n - ceil(n / 4) count, and only those whose
    source lies inside the map. If no cell is left the gap is 0.

    Outputs without places, (N, F) or maps of 1x1, are compared as they are: there the gap says
    whether fn is invariant. A module runs in eval and comes back in its modes.

    Shapes:
        x: (N, C, H, W), not changed; fn(x): (N, F) or (N, C', H', W')
        returns: a float, at least 0

    Example:
        >>> equivariance_gap(nn.MaxPool2d(2), torch.rand(1, 1, 16, 16), (2, -4))
        0.0

    Raises:
        ValueError: the shift is no multiple of a map's stride.

    Source: Goodfellow, Bengio & Courville, Deep Learning, 2016, section 9.2.
    """
    raise NotImplementedError("equivariance")
