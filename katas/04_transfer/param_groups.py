"""Smaller rates for earlier layers: what is general needs little change."""

from torch import nn


def param_groups(model: nn.Module, head: str, base_lr: float, decay: float) -> list[dict]:
    """Give each part of the model its own learning rate, smaller the farther from the head.

    Early layers see edges that serve any task, late ones what this task needs. So the parts,
    the top-level children, get base_lr * decay^d, where d is the distance from the head: 0 for
    the head itself, 1 for its neighbour, and so on in either direction. Only children that own
    parameters are counted, frozen ones too; a ReLU in between changes nothing.

    There is one group for each child that has something to train. Every trainable parameter
    stands in exactly one group, frozen ones in none. One that two children share goes to the
    nearer. Parameters that belong to no child, the model's own, form one more group, at the
    farthest child's rate. The model is not changed.

    Shapes:
        head: the name of a top-level child
        returns: dicts with "params", a list of parameters, and "lr", as torch's optimizers
            take them, in any order

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> [(len(g["params"]), g["lr"]) for g in param_groups(net, "2", 0.5, 0.1)]
        [(2, 0.05), (2, 0.5)]

    Raises:
        ValueError: the model has no child of this name.

    Source: Howard & Ruder, Universal Language Model Fine-tuning for Text Classification,
        arXiv:1801.06146, section 3.2 (discriminative fine-tuning).
    """
    raise NotImplementedError("param_groups")
