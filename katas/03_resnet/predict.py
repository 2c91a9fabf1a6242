"""Ask a network without changing it: classes out, and everything as it was before."""

import torch
from torch import Tensor, nn


def predict(model: nn.Module, x: Tensor) -> Tensor:
    """Say which class the model gives each image, and leave no trace in the model.

    Dropout and batch norm answer differently while they train: the question is put in eval,
    so that an answer does not hang on chance or on the other images of the batch. Each
    submodule may have had a mode of its own (a frozen batch norm in a training network, say),
    and gets that one back, also when the model raises an exception. While it is asked no
    graph is recorded, and afterwards autograd is as the caller had it.

    Shapes:
        model: gives logits (N, C) for x
        x: (N, ...), one image or more
        returns: (N,) int64, the index of the largest logit of each image

    Example:
        >>> model = nn.Linear(2, 3, bias=False)
        >>> _ = model.weight.data.copy_(torch.tensor([[1.0, 0], [0, 1], [-1, -1]]))
        >>> predict(model, torch.tensor([[2.0, 5.0], [3.0, 1.0]]))
        tensor([1, 0])

    Raises:
        whatever the model raises.

    Source: PyTorch documentation, Autograd mechanics, section "Evaluation Mode".
    """
    raise NotImplementedError("predict")
