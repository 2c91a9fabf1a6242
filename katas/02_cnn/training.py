"""Training: one epoch of steps, and how often the network is right afterwards."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


def train_epoch(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
) -> float:
    """Take one step of the optimizer for every batch, and say how large the loss was.

    Each step follows the gradient of its own batch's loss and of nothing before, not even of
    what .grad held when the epoch began. The model trains in train mode, all of it, and is
    asked once a batch. What comes back is the mean loss over all examples of the epoch, each
    batch's loss taken before its step: a small last batch counts for no more examples than it
    has.

    Afterwards every submodule has the mode it had before, also when the model, the loss or
    the batches raise an exception. The batches can be gone through once only: a generator is
    used up after that, and has no length.

    Shapes:
        batches: pairs of inputs (B, ...) and targets (B, ...), B of its own in every batch
        loss_fn: (outputs, targets) to the mean loss of the batch, a tensor without axes
        returns: a float

    Example:
        >>> layer = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.ones_(layer.weight)
        >>> batches = [(torch.tensor([[2.0]]), torch.tensor([[5.0]]))]
        >>> optimizer = torch.optim.SGD(layer.parameters(), lr=0.25)
        >>> train_epoch(layer, batches, nn.MSELoss(), optimizer), layer.weight.item()
        (9.0, 4.0)

    Raises:
        ValueError: there is no batch at all; and whatever model, loss or batches raise.

    Source: Goodfellow, Bengio & Courville, Deep Learning, MIT Press 2016, section 8.1.3.
    """
    raise NotImplementedError("training")


def evaluate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Say which share of the examples the model gets right, and change nothing in it.

    The class with the largest logit is what the model says. It is asked in eval, so that an
    answer hangs neither on chance nor on the other examples of its batch, and with autograd
    off while it runs. Afterwards each submodule is in the mode it had, and autograd is as the
    caller had it, also when the model or the batches raise an exception.

    Shapes:
        model: inputs (B, ...) to logits (B, C)
        batches: pairs of inputs (B, ...) and labels (B,) int64, to be gone through once
        returns: a float, 0 to 1

    Example:
        >>> logits = torch.tensor([[0.1, 0.9], [2.0, 1.0], [-1.0, 3.0]])
        >>> evaluate(nn.Identity(), [(logits, torch.tensor([1, 1, 1]))])
        0.6666666666666666

    Raises:
        ValueError: there is no batch at all; and whatever model or batches raise.

    Source: PyTorch documentation, Autograd mechanics, section "Evaluation Mode".
    """
    raise NotImplementedError("training")
