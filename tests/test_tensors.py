"""The checking helpers for torch: what they excuse, and what they say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dojo.explain import Red
from dojo.tensors import model_left_alone, same_state

CHANGES = {
    "mode": lambda model: model.eval(),
    "settings": lambda model: setattr(model, "momentum", 0.5),
    "hooks": lambda model: model.register_forward_hook(print),
    "weight": lambda model: model.weight.data.add_(1.0),
    "requires_grad": lambda model: model.weight.requires_grad_(False),
    ".grad": lambda model: setattr(model.weight, "grad", torch.ones(3)),
    "buffer": lambda model: model.running_mean.add_(1.0),
}


@pytest.mark.parametrize("excused", CHANGES)
@pytest.mark.parametrize("changed", CHANGES)
def test_only_the_kind_that_is_named_may_change(changed, excused):
    """`but` excuses its own kind, and no other."""
    model = nn.BatchNorm2d(3)
    seen = ""
    try:
        with model_left_alone(model, but=(excused,)):
            CHANGES[changed](model)
    except Red as red:
        seen = red.message
    told = seen.startswith(f"changed by the call: the {changed} of model")
    assert told == (changed != excused), seen


def test_a_state_dict_is_told_by_what_is_amiss():
    """Shapes first, then what is missing, then what is not wanted."""
    with pytest.raises(Red) as red:
        same_state(nn.Linear(2, 3), {"weight": (3, 4), "scale": (3,)}, "the state_dict")
    assert red.value.message == (
        "the state_dict: weight is (3, 2), expected (3, 4); scale is missing; bias is not wanted"
    )
