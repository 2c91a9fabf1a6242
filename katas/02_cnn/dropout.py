"""Switch units off at random, so that no unit can rely on another one."""

import torch
from torch import Tensor


def dropout(
    x: Tensor, p: float, training: bool, generator: torch.Generator | None = None
) -> Tensor:
    """Set each number of `x` to 0 with probability `p` while training; else hand `x` through.

    Every number has a coin of its own, whatever image, channel or place it belongs to. What
    survives is enlarged, so that the mean over many draws is x again: evaluation then needs
    neither coins nor scaling. At p = 0 all survive, at p = 1 none does. The gradient goes back
    through the survivors only, by the same coins, enlarged alike. Torch functions may be used.

    Shapes:
        x: any shape, float32 or float64
        p: the probability to be dropped, from 0 to 1, both legal
        training: with False the result equals x, whatever p is
        generator: the coins come from it, and no other random state is touched; with None
            they come from torch's default generator
        returns: x's shape and dtype, differentiable in x

    Example:
        >>> dropout(torch.tensor([[3.0, -1.0]]), 0.5, training=False)
        tensor([[ 3., -1.]])

    Raises:
        ValueError: p is below 0 or above 1, in training or not.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov, Dropout, JMLR 15 (2014),
        section 4; there the numbers shrink in evaluation instead of growing in training.
    """
    raise NotImplementedError("dropout")
