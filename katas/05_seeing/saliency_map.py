"""Which pixels move the score? The gradient, not of the weights, but of the image."""

import torch
from torch import Tensor, nn


def saliency_map(model: nn.Module, x: Tensor, target: int | Tensor | None = None) -> Tensor:
    """Say for every pixel how strongly the class's score reacts when the pixel is changed.

    The score is the logit, the number before any softmax: a sure network's probabilities
    hardly move any more, its logits do. Brighter or darker, either counts alike, and of a
    pixel's channels the one that reacts most speaks for it. The numbers are left as they are,
    on no scale of their own. Nothing is learnt here: it is the image that is asked about.

    The model runs in eval and comes back as it was, also after an exception: each submodule's
    mode, all numbers, `requires_grad`, `.grad` and hooks. It may be frozen, and the caller may
    have gradients switched off. `x` is neither marked nor given a `.grad`.

    Shapes:
        x: (N, C, H, W); the model gives logits (N, K)
        target: one class for all images, or (N,) int64, one for each, or None: the class
            that the model predicts for each image
        returns: (N, H, W), of x's dtype, detached

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(3, 1, bias=False))
        >>> _ = model[1].weight.data.copy_(torch.tensor([[2.0, -7.0, 0.0]]))
        >>> saliency_map(model, torch.ones(1, 1, 1, 3))
        tensor([[[2., 7., 0.]]])

    Raises:
        ValueError: a target is below 0 (-1 is no class) or not below K.
        whatever the model raises.

    Source: Simonyan, Vedaldi & Zisserman, Deep Inside Convolutional Networks,
        arXiv:1312.6034, section 3.
    """
    raise NotImplementedError("saliency_map")
