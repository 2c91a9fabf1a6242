"""Grad-CAM: where in the image a network has seen what speaks for a class."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def grad_cam(
    model: nn.Module, layer: nn.Module | str, x: Tensor, target: int | Tensor | None = None
) -> Tensor:
    """Draw where the maps of one layer hold what raises the logit of a class.

    How much a channel matters to the class is one number: how the logit (no probability)
    reacts to the channel's map, averaged over all its places. The channels are added up by
    these numbers; what is then below zero speaks for other classes and is cut off. The small
    map is enlarged to the image, bilinearly, not aligned at the corners
    (`F.interpolate(..., align_corners=False)`). Last, each image's map is divided by its own
    maximum, however faint it is; a map of zeros stays as it is.

    The maps are the layer's own output, also where an in-place ReLU that follows it writes into
    them. The model runs in eval and comes back as it was, also after an exception: each
    submodule's mode and hooks (the caller's own run as always), all numbers, `requires_grad`,
    `.grad`. It may be frozen, the caller may have gradients off, and `x` is not marked.

    Shapes:
        layer: a submodule of `model` or its dotted name; x: (N, C, H, W)
        target: one class for all images, or (N,) int64, one for each, or None: the class
            that the model predicts for each image
        returns: (N, H, W) in 0..1, of x's dtype, detached

    Example:
        >>> model = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> x = torch.tensor([[[[4.0, 1.0]], [[0.0, 8.0]]]])
        >>> grad_cam(model, "0", x, 0), grad_cam(model, "0", x, 1)
        (tensor([[[1.0000, 0.2500]]]), tensor([[[0., 1.]]]))

    Raises:
        ValueError: the layer is not in the model, does not run or gives no (N, C, H, W) maps;
            a target is below 0 (-1 is no class) or not below the number of classes.
        whatever the model raises.

    Source: Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via
        Gradient-based Localization, arXiv:1610.02391, section 3.
    """
    raise NotImplementedError("grad_cam")
