"""Smaller rates for earlier layers: what `param_groups` must do, easiest first."""

from collections import Counter

import pytest
import torch
from torch import nn

from dojo.checks import answer, expect, refuses
from dojo.tensors import model_left_alone

param_groups = answer("param_groups")


def net(**children):
    model = nn.Sequential()
    for name, child in children.items():
        model.add_module(name, child)
    return model


class Gain(nn.Module):
    """A layer whose parameter is called neither weight nor bias."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))


def body():
    """Five children with parameters, two without, head last."""
    return net(stem=nn.Conv2d(1, 2, 3), relu=nn.ReLU(), one=nn.Linear(2, 3), two=nn.Linear(3, 4),
               pool=nn.MaxPool2d(2), three=nn.BatchNorm1d(4), head=nn.Linear(4, 2))  # fmt: skip


def named(model, groups):
    """Each group as (the names of its parameters, its rate), checked to be what torch takes."""
    names = {id(p): name for name, p in model.named_parameters(remove_duplicate=True)}
    fine = isinstance(groups, list) and all(
        isinstance(g, dict) and {"params", "lr"} <= set(g) for g in groups
    )
    expect(fine, f"got {type(groups).__name__}, expected a list of dicts with params and lr")
    once = {type(g["params"]).__name__ for g in groups if not hasattr(g["params"], "__len__")}
    expect(not once, f"params is a {' and a '.join(sorted(once))}, expected a list", "no list")
    lists = [(list(g["params"]), g["lr"]) for g in groups]
    empty = sum(not params for params, _ in lists)
    expect(not empty, f"{empty} of {len(lists)} groups hold no parameter", ("empty", len(lists)))
    strange = sum(id(p) not in names for params, _ in lists for p in params)
    expect(not strange, f"{strange} entries are no parameters of the model", "strange")
    return [(sorted(names[id(p)] for p in params), lr) for params, lr in lists]


def rated(model, head, base_lr, decay):
    """The rate of each parameter by name; each stands in one group."""
    groups = named(model, param_groups(model, head, base_lr, decay))
    count = Counter(name for names, _ in groups for name in names)
    double = [name for name, times in count.items() if times > 1]
    times = max(count.values(), default=0)
    expect(not double, f"up to {times} times in the groups: {', '.join(double[:3])}", double)
    return {name: lr for names, lr in groups for name in names}


def agree(got, wanted):
    """The same names at the same rates."""
    missing, extra = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted))
    expect(not missing, f"in no group: {', '.join(missing[:3])}", got)
    expect(not extra, f"frozen, yet in a group: {', '.join(extra[:3])}", got)
    for name, lr in wanted.items():
        fine = abs(got[name] - lr) <= 1e-9 * abs(lr)
        expect(fine, f"{name} has the rate {got[name]:.4g}, expected {lr:.4g}", got)


def of(model, rates):
    """Rates by child, spread to the children's parameters."""
    return {name: rates[name.split(".")[0]] for name, p in model.named_parameters()
            if p.requires_grad and name.split(".")[0] in rates}  # fmt: skip


def test_two_layers_by_hand():
    """The head has base_lr, what stands before it base_lr * decay; the ReLU does not count."""
    model = net(first=nn.Linear(2, 3), relu=nn.ReLU(), head=nn.Linear(3, 1))
    wanted = {"first.weight": 0.05, "first.bias": 0.05, "head.weight": 0.5, "head.bias": 0.5}
    agree(rated(model, "head", 0.5, 0.1), wanted)


def test_a_name_may_begin_with_another_or_hold_it():
    """layer1 is not layer10, and an own parameter called head_scale is not of the head."""
    model = net(layer10=nn.Linear(2, 3), layer1=nn.Linear(3, 4), head=nn.Linear(4, 1))
    model.head_scale = nn.Parameter(torch.ones(1))
    rates = {"layer10": 0.25, "layer1": 0.5, "head": 1.0}
    wanted = of(model, rates) | {"head_scale": 0.25}
    agree(rated(model, "head", 1.0, 0.5), wanted)


@pytest.mark.parametrize(("base_lr", "decay"), [(0.1, 0.5), (1e-3, 0.3), (2.0, 1.0)])
def test_each_step_away_multiplies_by_decay(base_lr, decay):
    """Only children that own parameters are counted."""
    model, owners = body(), ["head", "three", "two", "one", "stem"]
    rates = {name: base_lr * decay**d for d, name in enumerate(owners)}
    agree(rated(model, "head", base_lr, decay), of(model, rates))


def test_one_group_a_child():
    """Each child that has something to train has one group, with all its parameters."""
    model = body()
    groups = named(model, param_groups(model, "head", 0.1, 0.5))
    got = sorted(tuple(names) for names, _ in groups)
    owners = [(n, child) for n, child in model.named_children() if list(child.parameters())]
    wanted = sorted(
        tuple(sorted(f"{name}.{n}" for n, _ in child.named_parameters())) for name, child in owners
    )
    expect(got == wanted, f"there are {len(got)} groups for {len(wanted)} children", got)


@pytest.mark.parametrize(
    ("head", "distances"),
    [("two", {"stem": 2, "one": 1, "two": 0, "three": 1, "head": 2}),
     ("stem", {"stem": 0, "one": 1, "two": 2, "three": 3, "head": 4}),
     ("one", {"stem": 1, "one": 0, "two": 1, "three": 2, "head": 3})],
)  # fmt: skip
def test_the_head_may_stand_anywhere(head, distances):
    """Distance is counted in either direction, and two children may have the same."""
    model = body()
    agree(rated(model, head, 0.8, 0.5), of(model, {n: 0.8 * 0.5**d for n, d in distances.items()}))
    groups = len(param_groups(model, head, 0.8, 0.5))
    expect(groups == 5, f"there are {groups} groups for 5 children", groups)


def test_frozen_parameters_are_left_out():
    """They stand in no group and stay frozen; a wholly frozen child counts for the distance."""
    model = body()
    model.two.requires_grad_(False)
    model.stem.bias.requires_grad_(False)
    model.one.eval().weight.grad = torch.ones(3, 2)
    rates = {"head": 1.0, "three": 0.1, "one": 0.001, "stem": 0.0001}
    with model_left_alone(model):
        agree(rated(model, "head", 1.0, 0.1), of(model, rates))
    groups = len(param_groups(model, "head", 1.0, 0.1))
    expect(groups == 4, f"there are {groups} groups for 4 children with something to train", groups)


def test_where_nothing_is_to_be_trained_there_is_no_group():
    """All frozen: the list is empty."""
    got = param_groups(body().requires_grad_(False), "head", 1.0, 0.1)
    expect(got == [], f"a frozen model has {len(got)} groups, expected none", len(got))


def test_a_head_alone_has_the_base_rate():
    """One child, and nothing outside it: one group."""
    model = net(head=nn.Linear(2, 3))
    agree(rated(model, "head", 0.3, 0.1), {"head.weight": 0.3, "head.bias": 0.3})


@pytest.mark.parametrize("head", ["head", "first"])
def test_a_shared_parameter_goes_to_the_nearer_child(head):
    """One weight in two children is trained once, at the higher of both rates."""
    model = net(first=nn.Linear(3, 3), middle=nn.Linear(3, 3), last=nn.Linear(3, 3),
                head=nn.Linear(3, 2))  # fmt: skip
    model.last.weight = model.first.weight
    got = rated(model, head, 1.0, 0.5)
    wanted = {"first": (0.5, 0.125), "last": (0.5, 0.5)} if head == "head" else {
        "first": (1.0, 1.0), "last": (1.0, 0.25)}  # fmt: skip
    agree({name: got.get(name, 0.0) for name in ("first.weight", "first.bias", "last.bias")},
          {"first.weight": wanted["first"][0], "first.bias": wanted["first"][1],
           "last.bias": wanted["last"][1]})  # fmt: skip


def test_what_stands_twice_in_a_child_is_trained_once():
    """One weight in two layers of a child, and in the model itself too: it is of this child."""
    model = net(first=nn.Linear(3, 3), last=nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)),
                head=nn.Linear(3, 2))  # fmt: skip
    model.last[1].weight = model.tied = model.last[0].weight
    got = rated(model, "head", 1.0, 0.5)
    wanted = {"tied": 0.5, "last.0.bias": 0.5, "last.1.bias": 0.5, "first.weight": 0.25}
    agree({name: got[name] for name in wanted if name in got}, wanted)


class WithOwn(nn.Module):
    """Parameters of its own beside its children's."""

    def __init__(self):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(3)), nn.Parameter(torch.zeros(3))
        self.first, self.second, self.head = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)
        self.shift.requires_grad_(False)
        self.gain = nn.Parameter(torch.tensor(1.0))


@pytest.mark.parametrize(("head", "far", "frozen"), [
    ("head", 2, ""), ("second", 1, ""), ("first", 2, ""), ("head", 2, "first"),
])  # fmt: skip
def test_parameters_outside_every_child_learn_at_the_farthest_rate(head, far, frozen):
    """They form one more group; the farthest child counts wherever it stands, frozen or not."""
    model, names = WithOwn(), ["first", "second", "head"]
    for parameter in getattr(model, frozen).parameters() if frozen else ():
        parameter.requires_grad_(False)
    rates = {n: 0.2 * 0.5 ** abs(names.index(n) - names.index(head)) for n in names}
    own = 0.2 * 0.5**far
    agree(rated(model, head, 0.2, 0.5), of(model, rates) | dict.fromkeys(("scale", "gain"), own))
    groups = len(param_groups(model, head, 0.2, 0.5))
    count = 3 - bool(frozen)
    seen = f"there are {groups} groups for {count} children that learn and what is outside"
    expect(groups == count + 1, seen, groups)


def test_as_in_a_resnet18():
    """conv1 bn1 relu maxpool layer1..4 avgpool fc: layer4 is one step from fc, conv1 six."""
    stages = {
        f"layer{i}": nn.Sequential(nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2)), Gain())
        for i in range(1, 5)
    }
    model = net(conv1=nn.Conv2d(3, 2, 7), bn1=nn.BatchNorm2d(2), relu=nn.ReLU(),
                maxpool=nn.MaxPool2d(3), **stages, avgpool=nn.AdaptiveAvgPool2d(1),
                fc=nn.Linear(2, 5))  # fmt: skip
    owners = ["fc", "layer4", "layer3", "layer2", "layer1", "bn1", "conv1"]
    agree(
        rated(model, "fc", 1e-3, 0.1), of(model, {n: 1e-3 * 0.1**d for d, n in enumerate(owners)})
    )


def test_one_step_moves_each_by_its_rate():
    """torch.optim.SGD takes the groups; with gradients of 1 each moves by just its rate."""
    model = body()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD(param_groups(model, "head", 0.1, 0.5), lr=9.0)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    moved = {
        name: (before[name] - p.detach()).mean().item() for name, p in model.named_parameters()
    }
    for d, name in enumerate(["head", "three", "two", "one", "stem"]):
        got, lr = moved[f"{name}.weight"], 0.1 * 0.5**d
        expect(abs(got - lr) < 1e-5, f"{name} moved by {got:.4g}, expected {lr:.4g}", moved)


@pytest.mark.parametrize(
    "head", ["fc", "Classifier", "", "body.weight", "class", "classifier.1", "classifier.1.weight"]
)
def test_an_unknown_head_is_refused(head):
    """It must be the name of a top-level child, whole, and nothing inside of one."""
    model = net(body=nn.Linear(2, 3), classifier=nn.Sequential(nn.ReLU(), nn.Linear(3, 2)))
    refuses(param_groups, model, head, 0.1, 0.5, because=f"the head {head!r}")
