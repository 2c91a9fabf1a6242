"""Freeze all but the head: the weights, and what batch norm remembers as well."""

from torch import nn


def freeze_backbone(model: nn.Module, head: str) -> None:
    """Make everything outside the head stay exactly as it is, whatever training does.

    Two things move in training. Parameters move by their gradients, so those outside the head
    must not require one. Buffers move by themselves: in train mode a batch norm updates its
    running statistics and counts its batches with every forward, gradient or not, and a dropout
    drops. So whatever is outside the head has to work as in eval, also when somebody calls
    model.train() later; that call must still put all of the head into train mode, and the model
    itself.

    The head learns: all of its parameters require a gradient, also if they were frozen before.
    The model handed in is changed; nothing is returned. No weight and no buffer changes value,
    and none goes.

    Shapes:
        head: the name of a submodule, dotted where it lies deeper, as in "classifier.2"

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
        >>> freeze_backbone(model, "1")
        >>> [p.requires_grad for p in model.parameters()]
        [False, False, True, True]
        >>> [m.training for m in model.train()]
        [False, True]

    Raises:
        ValueError: the model has no submodule of this name; then nothing is changed.

    Source: torch's notes on nn.Module.train and nn.BatchNorm2d; Kornblith, Shlens & Le, Do
        Better ImageNet Models Transfer Better?, arXiv:1805.08974, section 3.
    """
    raise NotImplementedError("freeze_backbone")
