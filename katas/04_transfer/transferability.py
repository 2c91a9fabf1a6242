"""How alike do two networks see? One number for two sets of features, one for every layer."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def linear_cka(x: Tensor, y: Tensor) -> float:
    """Compare two sets of features of the same images: how alike do they arrange them?

    Features cannot be compared one by one: networks number them as they like, and need not
    have equally many. What can be compared is which images each network finds alike. Centred
    first, so that every feature's mean over the images is 0, a set of features makes a table
    of dot products: every image with every image. Linear CKA is the cosine between the two
    tables, each taken as one long vector. It is 1 where they differ by a factor only, and
    0 where nothing that one sees is of use to the other.

    Shapes:
        x: (N, F), y: (N, G), row n of both belongs to image n; float32 or float64 (all of
            whose digits count)
        returns: a plain float, from 0 to 1 but for rounding

    Example:
        >>> x, y = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[0.0], [3.0], [3.0]])
        >>> round(linear_cka(x, y), 4)
        0.75

    Raises:
        ValueError: x and y have different N; all rows of x are equal, or all of y, as they
            also are where N is 1: features that never change have no direction.

    Source: Kornblith, Norouzi, Lee & Hinton, Similarity of neural network representations
        revisited, arXiv:1905.00414, section 3.
    """
    raise NotImplementedError("transferability")


def transfer_profile(
    model_a: nn.Module, model_b: nn.Module, x: Tensor, layers: Sequence[str]
) -> list[float]:
    """Compare two networks layer by layer: the CKA of what both make of the same images.

    Early layers of networks tend to agree, whatever they were trained for; late ones are of
    their own task. Where the numbers fall, transfer ends. Both networks run in eval mode. An
    image's output at a layer, channels and places, is one row of features: as the layer
    returned it, also where the next one goes on in place.

    Both come back as they were, also after an exception: each submodule's own mode, statistics,
    weights, .grad and hooks. Autograd stays as the caller had it.

    Shapes:
        x: (N, ...), images that both models take
        layers: dotted names of submodules, as "layer1.0.conv2", of both models; what they
            return has N in front, the rest may differ between the models
        returns: a list of plain floats, one a name and in the order of the names

    Example:
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
        >>> [round(cka, 4) for cka in transfer_profile(net, net, torch.eye(4), ["0", "1"])]
        [1.0, 1.0]

    Raises:
        ValueError: a name is no submodule of one of the models; a layer's outputs are the
            same for all images.

    Source: Kornblith et al., as above, section 6; Yosinski et al., How transferable are
        features in deep neural networks?, arXiv:1411.1792.
    """
    raise NotImplementedError("transferability")
