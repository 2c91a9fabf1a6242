"""Freeze all but the head: what `freeze_backbone` must do, easiest first."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import model_left_alone, normal

freeze_backbone = answer("freeze_backbone")


class Block(nn.Module):
    """Drops in its own forward, as densenet's layers do: no Dropout is to be found in it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return F.dropout(self.conv(x), 0.5, self.training)


class Net(nn.Module):
    """A body with batch norm, dropout and a parameter of its own; the head where it is put."""

    def __init__(self, first=False, norm=True):
        super().__init__()
        if first:
            self.fc = self.made()
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.stem = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3) if norm else nn.ReLU())
        self.deep = nn.Sequential(nn.Sequential(Block(), nn.Dropout(0.5)), nn.Flatten())
        self.fc2 = nn.Sequential(nn.Linear(24, 6), nn.Dropout(0.5))
        if not first:
            self.fc = self.made()

    @staticmethod
    def made():
        return nn.Sequential(
            nn.Linear(6, 5, bias=False), nn.BatchNorm1d(5), nn.Dropout(0.2), nn.Linear(5, 3)
        )

    def forward(self, x):
        return self.fc(self.fc2(self.deep(self.scale * self.stem(x))))


HEADS = pytest.mark.parametrize(
    ("head", "options"),
    [("fc", {}), ("fc", {"first": True}), ("fc", {"norm": False}), ("fc.3", {}), ("fc2", {})],
    ids=["last", "first", "no batch norm", "dotted", "in the middle"],
)


def frozen(head, options):
    """A model, and its state before it was frozen."""
    model = Net(**options)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    freeze_backbone(model, head)
    return model, before


def changed(model, before):
    """The names of what is not as before, to the bit, or not there."""
    now = model.state_dict()
    return [n for n in before | now if n not in before or n not in now
            or not torch.equal(now[n], before[n])]  # fmt: skip


def part(model, head):
    return dict(model.named_modules())[head]


def awake(model):
    return [name for name, p in model.named_parameters() if p.requires_grad]


@HEADS
def test_only_the_head_requires_a_gradient(head, options):
    """Weights and biases outside the head do not learn, those of all its layers do."""
    model, _ = frozen(head, options)
    wanted = [name for name, _ in model.named_parameters() if name.startswith(f"{head}.")]
    got = awake(model)
    extra = [name for name in got if name not in wanted]
    expect(not extra, f"{', '.join(extra[:3])} outside the head requires a gradient", extra)
    missing = [name for name in wanted if name not in got]
    expect(not missing, f"{', '.join(missing[:3])} of the head requires no gradient", missing)


def test_a_head_that_was_frozen_is_woken():
    """A head that was frozen before learns again."""
    model = Net()
    model.requires_grad_(False)
    freeze_backbone(model, "fc")
    got = [name for name in awake(model) if name.startswith("fc.")]
    expect(len(got) == 5, f"{len(got)} of the head's 5 parameters require a gradient", got)


def trained(rng, model):
    """Three steps of plain gradient descent, as a training loop takes them."""
    x, labels = normal(rng, 8, 1, 7, 6), torch.arange(8) % 3
    for _ in range(3):
        model.train()
        loss = F.cross_entropy(model(x), labels)
        expect(loss.requires_grad, "the loss requires no gradient: nothing can learn", "no graph")
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter -= 0.1 * parameter.grad
                    parameter.grad = None


@HEADS
def test_after_three_steps_all_outside_the_head_is_as_before(rng, head, options):
    """Every parameter and buffer to the bit, num_batches_tracked too; the head has learnt."""
    model, before = frozen(head, options)
    other = changed(model, before)
    expect(not other, f"freezing has changed or removed {', '.join(other[:3])}", other)
    trained(rng, model)
    now = changed(model, before)
    moved = [name for name in now if not name.startswith(f"{head}.")]
    expect(not moved, f"{', '.join(moved[:3])} outside the head has changed", moved)
    still = [n for n, p in part(model, head).named_parameters() if f"{head}.{n}" not in now]
    expect(not still, f"{', '.join(still[:3])} of the head has not learnt", still)


@HEADS
@pytest.mark.parametrize("calls", [["train"], ["eval", "train"], ["train", "eval"]], ids=", ".join)
def test_train_and_eval_reach_the_head(rng, head, options, calls):
    """model.train() and eval() set the model's own mode and that of all modules of the head.

    It is looked at after a forward: what a hook does counts too.
    """
    reaches_the_head(rng, frozen(head, options)[0], head, calls)


@pytest.mark.parametrize("heads", [["fc"], ["fc", "fc"], ["fc", "fc.3"]], ids=", then ".join)
def test_whatever_was_before(rng, heads):
    """A model that comes in eval, or frozen already, is frozen like any other."""
    model = Net().eval()
    for head in heads:
        freeze_backbone(model, head)
    wanted = [name for name, _ in model.named_parameters() if name.startswith(f"{heads[-1]}.")]
    got = awake(model)
    expect(got == wanted, f"{', '.join(got) or 'nothing'} requires a gradient, expected "
           f"{', '.join(wanted)}", got)  # fmt: skip
    reaches_the_head(rng, model, heads[-1], ["train"])


def reaches_the_head(rng, model, head, calls):
    for call in calls:
        got = getattr(model, call)()
        expect(got is model, f"model.{call}() returns {type(got).__name__}, not the model", call)
    model(normal(rng, 4, 1, 7, 6))
    wanted = calls[-1] == "train"
    inside = set(part(model, head).modules())
    off = [n for n, m in model.named_modules() if m in inside and m.training != wanted]
    expect(model.training == wanted, f"after {', '.join(calls)} the model's own mode is wrong",
           ("model", off))  # fmt: skip
    expect(not off, f"after {', '.join(calls)} {off[0] if off else ''} of the head is not in that "
           "mode", ("head", off))  # fmt: skip


def test_the_backbone_is_in_eval_at_once(rng):
    """A forward before any train() already leaves the statistics alone, and drops nothing."""
    model = Net().train()
    before = model.stem[1].running_mean.clone()
    freeze_backbone(model, "fc")
    features, dropped = [], []
    model.fc2.register_forward_hook(lambda _m, _i, out: features.append(out.detach()))
    model.deep[0][1].register_forward_hook(lambda _m, i, out: dropped.append((i[0] != out).any()))
    x = normal(rng, 4, 1, 7, 6)
    model(x)
    model(x)
    expect(
        torch.equal(model.stem[1].running_mean, before), "a forward has moved running_mean", "drift"
    )
    expect(not any(dropped), "a Dropout of the backbone drops: it is awake", "dropout")
    expect(torch.equal(*features), "two forwards give two features: a module that asks for its own "
           "mode, self.training, is awake", "another module")  # fmt: skip


@pytest.mark.parametrize("calls", [["train"], ["eval", "train"], ["train", "eval", "train"]],
                         ids=", ".join)  # fmt: skip
def test_features_are_those_of_eval(rng, calls):
    """In train mode the head gets what the backbone gave in eval before it was frozen."""
    model, x, seen = Net(), normal(rng, 5, 1, 7, 6), []
    model.stem[1].running_mean.copy_(normal(rng, 3))
    model.fc2.register_forward_hook(lambda _m, _i, out: seen.append(out.detach()))
    model.eval()(x)
    freeze_backbone(model, "fc")
    for call in calls:
        getattr(model, call)()
    model(x)
    expect(
        torch.allclose(*seen, atol=1e-5), "the frozen backbone gives other features than in eval"
    )


def test_nothing_is_returned():
    """The model itself is changed."""
    got = freeze_backbone(Net(), "fc")
    expect(got is None, f"got {type(got).__name__}, expected None", type(got).__name__)


@pytest.mark.parametrize("head", ["head", "f", "fc.", "fc.9", "stem.fc", "", "scale"])
def test_an_unknown_head_is_refused_and_nothing_changed(head):
    """Only the name of a submodule will do; a refusal leaves the model as it was."""
    model = Net()
    with model_left_alone(model):
        refuses(freeze_backbone, model, head, because=f"the head {head!r}")
    expect(
        all(m.training for m in model.train().modules()), "train() does not wake it any more", head
    )
