"""A frozen backbone and a head that learns, in one module that cannot be woken by accident."""

import torch
from torch import Tensor, nn


class FrozenBackboneClassifier(nn.Module):
    """Put a new linear head on a backbone that stays exactly as it is.

    The backbone gives features; one dense layer of them gives the logits, and only that layer
    learns. The backbone is taken over as it is handed in, not copied, and part of the module:
    to() moves it, state_dict() holds it. It is frozen for good: none of its parameters requires
    a gradient, it always runs in eval, each submodule of it, also after train() was called on
    the classifier, so that no statistic drifts and no dropout drops. train() and eval() reach
    the head as ever. No graph is built through the backbone: nothing flows back into it, nor
    through it into the image.

    Shapes:
        backbone: takes (N, ...) and gives (N, num_features)
        returns: logits (N, num_classes), differentiable in the head's parameters only

    Example:
        >>> classifier = FrozenBackboneClassifier(nn.Flatten(), num_features=4, num_classes=3)
        >>> [tuple(p.shape) for p in classifier.parameters() if p.requires_grad]
        [(3, 4), (3,)]

    Source: Donahue et al., DeCAF: A Deep Convolutional Activation Feature for Generic Visual
        Recognition, arXiv:1310.1531.
    """

    def __init__(self, backbone: nn.Module, num_features: int, num_classes: int):
        super().__init__()
        raise NotImplementedError("frozen_classifier")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("frozen_classifier")
