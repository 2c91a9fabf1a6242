"""Wake the later stages: which parameters `unfreeze_from` lets learn, and what it leaves alone."""

import pytest
import torch
from torch import nn

from dojo.checks import answer, expect
from dojo.tensors import model_left_alone, normal

unfreeze_from = answer("unfreeze_from")


class Gain(nn.Module):
    """A layer whose parameter is called neither weight nor bias."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.gain * x


def block(inside):
    """Layers two levels deep, one of them called `inside`."""
    unit = nn.Sequential()
    unit.add_module("conv", nn.Conv2d(2, 2, 3, padding=1))
    unit.add_module(inside, nn.BatchNorm2d(2))
    return nn.Sequential(unit, nn.ReLU(), Gain())


class Network(nn.Module):
    """Children whose names neither stand in the alphabet's order nor begin differently."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3, padding=1)
        self.layer10 = block("layer2")
        self.my_layer1 = block("norm")
        self.layer1 = block("head")
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.layer2 = block("norm")
        self.flatten = nn.Flatten()
        self.head = nn.Linear(2, 3)
        self.aux = nn.Linear(3, 2)
        self.scale = nn.Parameter(torch.ones(1))
        self.shift = nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, x):
        x = self.my_layer1(self.layer10(self.stem(x)))
        x = self.flatten(self.pool(self.layer2(self.layer1(x))))
        return self.aux(self.head(x)) * self.scale + self.shift


CHILDREN = [name for name, _ in Network().named_children()]
OWN = ["scale", "shift"]
PARAMETERS = [name for name, _ in Network().named_parameters() if name not in OWN]


def learning(model):
    """The names of parameters in children that require a gradient."""
    return [n for n, p in model.named_parameters() if p.requires_grad and n not in OWN]


def from_on(stage):
    """Which ones should."""
    return [n for n in PARAMETERS if CHILDREN.index(n.split(".")[0]) >= CHILDREN.index(stage)]


def check(model, stage):
    got, wanted = learning(model), from_on(stage)
    told = [f"{n} learns, it should sleep" for n in PARAMETERS if n in got and n not in wanted]
    told += [f"{n} sleeps, it should learn" for n in PARAMETERS if n in wanted and n not in got]
    more = f", and {len(told) - 2} more are wrong" if len(told) > 2 else ""
    expect(not told, f"from {stage} on: {'; '.join(told[:2])}{more}", got)


@pytest.mark.parametrize("stage", ["2", "0", "4"])
def test_a_stage_and_all_after_it_learn(stage):
    """Five layers in a row: from the named one on they learn, those before it do not."""
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(5)))
    unfreeze_from(model, stage)
    got = [str(place) for place, layer in enumerate(model) if layer.weight.requires_grad]
    wanted = [str(place) for place in range(int(stage), 5)]
    expect(got == wanted, f"from {stage} on layers {', '.join(got) or 'none'} learn, expected "
           f"{', '.join(wanted)}", got)  # fmt: skip


@pytest.mark.parametrize("before", [True, False], ids=["all learnt", "none learnt"])
@pytest.mark.parametrize("stage", ["layer2", "head", "aux", "layer10", "stem"])
def test_every_parameter_inside_a_child_is_set(stage, before):
    """Weights, biases and others, of any layer, however deep, whatever they were before."""
    model = Network().requires_grad_(before)
    unfreeze_from(model, stage)
    check(model, stage)


@pytest.mark.parametrize("stage", ["layer1", "my_layer1"])
def test_a_name_is_meant_exactly(stage):
    """layer1 is neither layer10 nor my_layer1; parts inside a child have names of their own."""
    model = Network()
    unfreeze_from(model, stage)
    check(model, stage)


def test_of_ten_layers_and_more_1_is_1():
    """In a row of twelve, "1" is the second one, not the eleventh."""
    for stage in ("10", "1", "2"):
        model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(12)))
        unfreeze_from(model, stage)
        got = [place for place, layer in enumerate(model) if layer.bias.requires_grad]
        wanted = list(range(int(stage), 12))
        expect(got == wanted, f"from {stage} on layers {got} learn, expected {wanted}", got)


@pytest.mark.parametrize("stage", ["pool", "flatten"])
def test_a_stage_without_parameters(stage):
    """It has nothing to wake itself; what comes after it learns."""
    model = Network().requires_grad_(False)
    unfreeze_from(model, stage)
    check(model, stage)


@pytest.mark.parametrize(
    "stages", [["layer1"] * 2, ["layer1"] * 3, ["stem", "head"], ["aux", "layer10", "layer2"]]
)
def test_only_the_last_call_counts(stages):
    """Called again it changes nothing; called with another stage that one is the first."""
    model = Network()
    for stage in stages:
        unfreeze_from(model, stage)
    check(model, stages[-1])


def test_parameters_of_the_model_itself_stay_as_they_are():
    """Outside every child: one that learns still learns, a frozen one stays frozen."""
    model = Network()
    unfreeze_from(model, "layer1")
    got = [name for name, p in model.named_parameters() if p.requires_grad and name in OWN]
    expect(got == ["scale"], f"of the model's own parameters {' and '.join(got) or 'none'} learn; "
           "scale did before, shift did not", got)  # fmt: skip


@pytest.mark.parametrize("mode", ["train", "eval", "mixed"])
def test_nothing_else_changes(rng, mode):
    """Modes, weights, statistics, hooks and .grad are as they were; nothing comes back."""
    model = Network()
    model(normal(rng, 4, 1, 5, 6)).square().sum().backward()
    model.train(mode == "train")
    if mode == "mixed":
        for place, module in enumerate(model.modules()):
            module.training = place % 2 == 0
    for module in model.modules():
        module.register_forward_hook(lambda *_: None)
    with model_left_alone(model, but=("requires_grad",)):
        got = unfreeze_from(model, "layer1")
    kind = type(got).__name__
    expect(got is None, f"returned a {kind}, expected None: the model itself is changed", kind)


def test_the_gradient_ends_at_the_stage(rng):
    """A backward pass fills .grad from the stage on, and nowhere before it."""
    model = Network()
    unfreeze_from(model, "layer2")
    model(normal(rng, 4, 1, 5, 6)).square().sum().backward()
    got = [n for n, p in model.named_parameters() if p.grad is not None and n not in OWN]
    expect(got == from_on("layer2"), f"a gradient reaches {len(got)} parameters, expected the "
           f"{len(from_on('layer2'))} from layer2 on", got)  # fmt: skip


@pytest.mark.parametrize(
    "stage", ["layer3", "layer", "Layer1", "", "layer1.0", "norm", "scale", "head.weight", "0"]
)
def test_an_unknown_stage_is_refused(stage):
    """Refused with a ValueError that names it and all children; the model is as it was."""
    model, got = Network(), "no exception"
    model.layer10.requires_grad_(False)
    with model_left_alone(model):
        try:
            unfreeze_from(model, stage)
        except (ValueError, KeyError, AttributeError, IndexError) as error:
            got, text = type(error).__name__, str(error)
    expect(got == "ValueError", f"{got} for a stage {stage!r}, which no child is called: a "
           "ValueError is wanted", got)  # fmt: skip
    lacks = [name for name in [stage, *CHILDREN] if name not in text]
    expect(not lacks, f"the refusal of {stage!r} does not say {', '.join(lacks)}: it should name "
           "the stage and list the children", lacks)  # fmt: skip
