"""Ten images a class are enough, where the backbone has learnt to see already."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def few_shot_classifier(
    backbone: nn.Module, images: Tensor, labels: Tensor, num_classes: int,
    generator: torch.Generator,
) -> nn.Module:  # fmt: skip
    """Build a classifier from a trained backbone and a few labelled images.

    Only a head learns: it gets the features that the backbone in eval gives for the images,
    and finds out which of them speak for which class. A linear head is enough, trained as you
    like; it must sort planted, well separated classes and beat untrained features by far.
    What the backbone does not see, the classifier does not see either.

    The backbone comes back as it was: weights, statistics, requires_grad, .grad and each
    submodule's mode. The classifier holds it, or a copy, and the head; it is put into eval
    before it is asked, as any model. A class without an image keeps its logit all the same.
    All randomness comes from `generator` as it stands, not from its initial_seed(): torch's
    global seed has no influence on the logits and is not set. Beware: nn.Linear draws its first
    weights from the global random numbers.

    Shapes:
        backbone: images (N, ...) to features (N, F), for any F
        images: (N, ...), float32 or float64; labels: (N,) int64, 0 to num_classes - 1, in
            any order, one image a class or more
        generator: the source of all random numbers
        returns: a module, images (M, ...) to logits (M, num_classes) of the images' dtype

    Example:
        >>> images = torch.tensor([[-1.0], [1.0], [-2.0], [2.0]])
        >>> labels = torch.tensor([2, 0, 2, 0])
        >>> chance = torch.Generator().manual_seed(0)
        >>> classifier = few_shot_classifier(nn.Flatten(), images, labels, 3, chance)
        >>> classifier.eval()(torch.tensor([[3.0], [-1.5]])).argmax(1)
        tensor([0, 2])

    Raises:
        ValueError: a label is below 0 or not below num_classes; there are not as many labels
            as images.

    Source: Chen et al., A Closer Look at Few-shot Classification, arXiv:1904.04232, section 3.2.
    """
    raise NotImplementedError("few_shot")
