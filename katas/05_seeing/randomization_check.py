"""Does an explanation depend on the model? Draw all weights anew and see whether it notices."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

Explainer = Callable[[nn.Module, Tensor, object], Tensor]


def randomization_check(
    explainer: Explainer, model: nn.Module, x: Tensor, target: object, generator: torch.Generator
) -> float:
    """Say how much an explanation stays the same when the model forgets all it has learnt.

    An edge detector draws a convincing map of any image, and knows nothing of the model. So the
    map of the model is compared with that of the same network after every one of its parameters
    was drawn anew, whatever layer it is in, frozen or not: an honest explainer then gives
    another map. The comparison is the correlation of the two maps of an image over its pixels,
    Pearson's or Spearman's, averaged over the images.

    A map that is the same in all pixels correlates with nothing: 0. Otherwise neither the scale
    nor the offset of a map counts, however small. The new parameters come from `generator`
    alone, normal or uniform. The model handed in keeps its weights, also where the explainer
    fails half-way; the explainer is called with (model, x, target), and finds torch's grad mode
    as the caller has set it, and the network in the model's modes.

    Shapes:
        x: (N, C, H, W); explainer(model, x, target) returns maps (N, H, W)
        returns: a float from -1 to 1; 1 when all maps stay the same

    Example:
        >>> def edges(model, x, target):
        ...     return x.diff(dim=3)[:, 0].abs()
        >>> x = torch.rand(2, 1, 8, 8)
        >>> round(randomization_check(edges, nn.Conv2d(1, 2, 3), x, 0, torch.Generator()), 3)
        1.0

    Source: Adebayo et al., Sanity Checks for Saliency Maps, arXiv:1810.03292, section 3.
    """
    raise NotImplementedError("randomization_check")
