"""Saliency, averaged over noise: what only one exact image shows cancels out."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def smooth_grad(
    model: nn.Module, x: Tensor, target: int | Tensor | None, n: int, sigma: float,
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Ask for the saliency of `n` noisy copies of each image, and show what they agree on.

    The slope of a network jumps from image to image, even between two that no eye can tell
    apart. So each image is copied n times, each copy gets fresh normal noise of standard
    deviation `sigma` (in the units of x, not a share of its range), on every pixel and channel,
    and the slopes of the target's logit are averaged with their signs: where they contradict
    each other they cancel. Only then it goes on as in `saliency_map`: of a pixel's channels the
    one whose averaged slope is largest in size speaks for it.

    Without a target it is the class predicted for the image without noise, for all its copies.
    All noise comes from `generator`, in any order. The model runs in eval and comes back as it
    was, also after an exception; it may be frozen, the caller may have gradients off, and `x` is
    neither marked nor given a `.grad`.

    Shapes:
        x: (N, C, H, W); the model gives logits (N, K); n: from 1 on; sigma: from 0 on
        target: one class for all images, or (N,) int64, one for each, or None
        returns: (N, H, W), of x's dtype, detached

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(3, 1, bias=False))
        >>> _ = model[1].weight.data.copy_(torch.tensor([[2.0, -7.0, 0.0]]))
        >>> smooth_grad(model, torch.ones(1, 1, 1, 3), 0, 4, 0.5, torch.Generator())
        tensor([[[2., 7., 0.]]])

    Raises:
        ValueError: n is below 1, sigma below 0, a target below 0 (-1 is no class) or not below K.
        whatever the model raises.

    Source: Smilkov et al., SmoothGrad: removing noise by adding noise, arXiv:1706.03825,
        section 3.
    """
    raise NotImplementedError("smooth_grad")
