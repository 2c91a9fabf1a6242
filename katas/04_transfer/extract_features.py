"""Run the backbone once and keep what it says: the body's work is done before training begins."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def extract_features(
    backbone: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Collect what the backbone gives for every image, and the labels beside it.

    A frozen backbone says the same of an image in every epoch, so it is asked once and a head is
    trained on its answers. It is asked in eval: an image's features hang neither on chance nor
    on the other images of its batch. Its outputs are kept as they are, neither flattened nor
    scaled, in the order of the batches; so are the labels. Batches come in any sizes, and can
    be gone through once only: a generator is used up after that.

    The backbone comes back as it was, each submodule in the mode it had, also when it or the
    batches raise an exception. No graph leads from the features back into it; they are ordinary
    tensors, and a head can be trained on them.

    Shapes:
        backbone: images (B, ...) to outputs (B, ...), of any further axes
        batches: pairs of images (B, ...) and labels (B, ...), B of its own in every batch
        returns: features (N, ...) and labels (N, ...), N images in all, dtypes as they came

    Example:
        >>> batches = [(torch.ones(2, 1, 2), torch.tensor([3, 0])),
        ...            (torch.zeros(1, 1, 2), torch.tensor([7]))]
        >>> extract_features(nn.Flatten(), iter(batches))
        (tensor([[1., 1.],
                [1., 1.],
                [0., 0.]]), tensor([3, 0, 7]))

    Raises:
        ValueError: there is no batch at all; and whatever the backbone or the batches raise.

    Source: Donahue et al., DeCAF: A Deep Convolutional Activation Feature for Generic Visual
        Recognition, arXiv:1310.1531, section 3.
    """
    raise NotImplementedError("extract_features")
