"""A new head on an old body: find the last Linear where torchvision keeps it, and exchange it."""

from torch import nn


def replace_head(model: nn.Module, num_classes: int) -> nn.Module:
    """Exchange the head of a model for a new Linear with `num_classes` outputs.

    The body of a pretrained network gives features that are good for many tasks; only its last
    layer knows the old classes. torchvision has two places for it: the attribute `fc` (resnet),
    or the last Linear in the attribute `classifier`. That may be one layer of several, with
    layers before it that belong to the body (vgg), with layers without parameters behind it, or
    `classifier` is the Linear itself (densenet). Where a layer stands in the order of
    declaration says nothing.

    The new Linear takes the features that the old one took, on the same device and in the same
    dtype. It has a bias where the old one had one; where that had none, it may. It begins with
    numbers of its own, also where there are as many classes as before: they are other classes.
    It can learn, also if all the model is frozen. Everything else is left as it was: the very
    same layers and tensors, modes, requires_grad.

    Shapes:
        model: gives logits (N, old number of classes); it is changed
        returns: the same model, gives logits (N, num_classes)

    Example:
        >>> model = nn.Sequential()
        >>> model.classifier = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 1000))
        >>> replace_head(model, 3).classifier[2]
        Linear(in_features=6, out_features=3, bias=True)

    Raises:
        ValueError: the model has neither an `fc` that is a Linear nor a Linear in `classifier`,
            or num_classes is below 1; the model is then left as it was.

    Source: torchvision documentation, Models and pre-trained weights.
    """
    raise NotImplementedError("replace_head")
