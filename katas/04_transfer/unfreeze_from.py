"""Wake the later stages: the nearer to the head, the more a layer has to learn anew."""

from torch import nn


def unfreeze_from(model: nn.Module, stage: str) -> None:
    """Let `stage` and every later child of the model learn, and no earlier one.

    Early layers see edges and colours, which serve any task; late ones see what the old task
    was about. So the late ones are woken, from one stage on up to the head. A stage is a
    top-level child of the model, called by its name exactly; children come in the order of
    model.named_children(). A parameter learns if its requires_grad is True: in earlier children
    it becomes False, in the others True, however deep inside it lies and whatever it was.

    Nothing else changes: neither modes nor weights, statistics, hooks or a .grad that is there,
    nor a parameter that stands in the model itself, outside every child.

    Shapes:
        stage: a name from model.named_children(), also of a child without parameters
        returns: None, the model itself is changed

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4, bias=False))
        >>> unfreeze_from(model, "1")
        >>> [(name, weight.requires_grad) for name, weight in model.named_parameters()]
        [('0.weight', False), ('0.bias', False), ('2.weight', True)]

    Raises:
        ValueError: no child has this name. The message names the stage and all children, and
            the model is as it was.

    Source: Yosinski, Clune, Bengio & Lipson, How transferable are features in deep neural
        networks?, arXiv:1411.1792, section 4.
    """
    raise NotImplementedError("unfreeze_from")
