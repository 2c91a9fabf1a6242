"""Deeper is worse, until it is residual: the two stacks of the experiment, and its verdict."""

import math

from torch import Tensor, nn
from torch.nn import functional as F


def make_stack(depth: int, width: int, residual: bool) -> nn.Module:
    """Build a network of `depth` 3x3 convolutions whose pairs have a skip, or have none.

    Same experiment, one variable: the two kinds differ in nothing but the skips. A stem, that
    is convolution, BN, ReLU, makes `width` channels. Pairs follow: convolution, BN, ReLU,
    convolution, BN, ReLU. In a residual stack what went into the pair joins the sum just
    before the pair's last ReLU. At the end stand the mean over all places of each channel and
    one Linear. Maps keep their size all the way.

    All convolutions, the stem's too, count towards the depth, each has a BN of its own, and
    the skips bring no weights: the tensors in the state_dict of either kind have the same
    shapes. The layers are nn.Conv2d (a bias is up to you), nn.BatchNorm2d and nn.Linear, their
    names are free. Every BN begins with scale 1 and shift 0, and the other weights as torch
    makes them, or in another usual way. They come from torch's default generator, which goes on
    from where it stands: seeded alike two stacks are alike, one after the other they differ.

    Shapes:
        depth: odd, from 3 on; width: from 1 on
        the stack: (N, 1, H, W) to (N, 10) logits, for any H and W

    Example:
        >>> stack = make_stack(depth=5, width=4, residual=True)
        >>> stack(torch.zeros(2, 1, 7, 6)).shape
        torch.Size([2, 10])

    Raises:
        ValueError: depth is even or below 3; width is below 1.

    Source: He, Zhang, Ren & Sun, Deep Residual Learning for Image Recognition,
        arXiv:1512.03385, sections 3.1 and 4.2.
    """
    raise NotImplementedError("degradation")


def diagnose_depth(
    shallow_train: float, deep_train: float, shallow_test: float, deep_test: float
) -> str:
    """Say what more depth did to a network, from the errors of a shallow and a deep one.

    A deep network that has learnt its training data less well than the shallow one suffers
    from "degradation", whatever the test errors are: its further layers had only to hand on
    what they get. Where training went no worse but the test did, it is "overfitting". All
    else is "healthy". An error that stays the same is not worse.

    Shapes:
        all four: errors, the lower the better: shares, percent or losses, from 0 on
        returns: "degradation", "overfitting" or "healthy"

    Example:
        >>> diagnose_depth(0.02, 0.01, 0.08, 0.11)
        'overfitting'

    Raises:
        ValueError: one of the errors is negative or NaN.

    Source: He, Zhang, Ren & Sun, Deep Residual Learning for Image Recognition,
        arXiv:1512.03385, section 1 and figure 1.
    """
    raise NotImplementedError("degradation")
