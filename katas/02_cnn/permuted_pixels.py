"""Shuffle the pixels: a dense layer does not mind, a convolution does."""

import torch
from torch import Tensor, nn


def permute_pixels(x: Tensor, permutation: Tensor) -> Tensor:
    """Shuffle the pixels of every image and channel in the same way.

    Read in rows, place i of the result gets what stood at place permutation[i]. It is one
    permutation for all: images and channels are not exchanged, only the places within each.

    Shapes:
        x: (N, C, H, W), any dtype; permutation: (H * W,) int64, each place once
        returns: (N, C, H, W), a new tensor, differentiable in x

    Example:
        >>> permute_pixels(torch.tensor([[[[10, 20], [30, 40]]]]), torch.tensor([1, 0, 3, 2]))
        tensor([[[[20, 10],
                  [40, 30]]]])

    Raises:
        ValueError: permutation is not an int64 tensor that holds each of 0 to H * W - 1 once.

    Source: Zhang, Bengio, Hardt, Recht & Vinyals, Understanding Deep Learning Requires
        Rethinking Generalization, arXiv:1611.03530, section 2.1 (shuffled pixels).
    """
    raise NotImplementedError("permuted_pixels")


def same_function(dense: nn.Linear, permutation: Tensor) -> nn.Linear:
    """Make the dense layer that gives on shuffled images what `dense` gives on the originals.

    A dense layer has a weight for each input and knows nothing of neighbours. When the inputs
    change places the weights can change places too. It serves images of one channel or of
    several, flattened in (C, H, W) order. The layer handed in is not changed, and the new one
    has weights of its own.

    Shapes:
        dense: C * H * W inputs, with or without bias; permutation: (H * W,) as above
        returns: a new nn.Linear of the same sizes and dtype

    Example:
        >>> dense, shuffle = nn.Linear(6, 2), torch.tensor([2, 0, 1, 5, 3, 4])
        >>> x = torch.rand(4, 1, 2, 3)
        >>> other = same_function(dense, shuffle)(permute_pixels(x, shuffle).flatten(1))
        >>> torch.allclose(other, dense(x.flatten(1)), atol=1e-6)
        True

    Raises:
        ValueError: permutation is none (see above), or dense's inputs are no multiple of its
            length.

    Source: Goodfellow, Bengio & Courville, Deep Learning, 2016, section 9.4 (priors).
    """
    raise NotImplementedError("permuted_pixels")
