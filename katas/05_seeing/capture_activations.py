"""Hooks: read what goes on inside a network, without changing a line of it."""

import torch
from torch import Tensor, nn


def capture_activations(model: nn.Module, x: Tensor, names: list[str]) -> dict[str, Tensor]:
    """Run the model on `x` once and return what the named submodules gave on the way.

    A hook is a function that a module calls as soon as it has computed its output; so a
    network can be read from inside. What comes back is the output at that moment: some
    later layers, an in-place ReLU for one, write into the tensor they are handed. Each
    activation is therefore a tensor of its own, outside of any graph.

    Names are dotted, "layer1.conv2" for a submodule of a submodule. One module may stand in
    the model under two names: either is good, and so are both. One that runs several times
    gives its last output. The model runs in eval. It comes back as it was, also after an
    exception: each submodule's mode and hooks (the caller's own run as always), all numbers.

    Shapes:
        x: what the model takes; the named submodules give tensors of any shape
        returns: one entry for each of `names` and no other, of the outputs' dtype, detached

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(inplace=True))
        >>> _ = model[0].weight.data.copy_(torch.tensor([[3.0], [-2.0]]))
        >>> capture_activations(model, torch.ones(1, 1), ["0"])
        {'0': tensor([[ 3., -2.]])}

    Raises:
        ValueError: the model has no submodule of that name, or it did not run.
        whatever the model raises.

    Source: PyTorch documentation, torch.nn.Module, register_forward_hook.
    """
    raise NotImplementedError("capture_activations")
