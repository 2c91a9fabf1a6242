"""Batch normalisation: the layer that lives one life in training and another after it."""

import torch
from torch import Tensor, nn


class BatchNorm2d(nn.Module):
    """Give every channel mean 0 and variance 1, then let it learn its own scale and shift.

    In training a channel is measured over the whole batch: all images, all rows, all columns.
    These measures normalise the batch, and a moving average of them is kept for later. In eval
    the kept ones are used instead, so that an image's result does not depend on its batch.
    The variance has two faces: divided by the count to normalise, by the count less 1 to
    remember. `momentum` is the share of the new batch in what is kept; eps joins the variance
    under the root. What is kept is saved with the model, but takes no part in gradients.
    None of torch's own batch norms may run inside.

    State_dicts are exchanged with torch's layer, hence the names. Parameters: weight (ones)
    and bias (zeros). Buffers: running_mean (zeros), running_var (ones) and
    num_batches_tracked (int64, counts the batches seen in training).

    Shapes:
        all but the counter: (C,) with C = num_features
        x: (N, C, H, W); in training more than one value a channel; it is not changed
        returns: as x

    Example:
        >>> layer = BatchNorm2d(1)
        >>> layer(torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1)).flatten().tolist()
        [-0.9999949932098389, 0.9999949932098389]

    Raises:
        ValueError: x has not 4 axes, or not num_features channels, or in training only one
            value a channel.

    Source: Ioffe & Szegedy, Batch Normalization, arXiv:1502.03167, algorithms 1 and 2.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__()
        raise NotImplementedError("batch_norm")

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError("batch_norm")
