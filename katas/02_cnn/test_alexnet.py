"""AlexNet, and where its parameters sit: what is judged, easiest first.

No weight of the dense layers is ever allocated: models are built on torch's meta device, and
called with numbers that are brought along, of dense layers with a few units only.
"""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same, same_value
from dojo.tensors import model_left_alone, normal

AlexNet, parameter_share = answer("AlexNet"), answer("parameter_share")

CLASSES = 5
CONVS = [(64, 3, 11, 11), (192, 64, 5, 5), (384, 192, 3, 3), (256, 384, 3, 3), (256, 256, 3, 3)]
DENSE = [(4096, 9216), (4096, 4096)]  # and a third one for the classes
SIDES = [(224, 55), (27, 27), (13, 13), (13, 13), (13, 13)]  # what each conv gets and gives
ONES = torch.ones(2, 3, 224, 224)


def built(*args):
    """A model without numbers."""
    with torch.device("meta"):
        return AlexNet(*args)


def checked(model, classes=CLASSES):
    """The names of the layers, if each child holds those that it should."""
    names = []
    for child, shapes in (("features", CONVS), ("classifier", [*DENSE, (classes, 4096)])):
        inside = getattr(model, child, None)
        expect(isinstance(inside, nn.Module), f"the model has no child {child}", "no child")
        got = {f"{child}.{name}": tuple(p.shape) for name, p in inside.named_parameters()}
        wanted = sorted([*shapes, *(shape[:1] for shape in shapes)])
        seen = f"{child} holds {', '.join(map(str, got.values()))}"
        expect(sorted(got.values()) == wanted, f"{seen}; expected {wanted}", (child, got))
        names += [next(n for n, s in got.items() if s == shape)[:-7] for shape in shapes]
    count, held = len(list(model.parameters())), 2 * len(names)
    expect(count == held, f"{count - held} parameters are outside of features and classifier")
    return names


def called(model, x, numbers, classes=CLASSES):
    """The result of the model with other numbers in its layers."""
    tensors, mode = {}, model.training
    for name, (weight, bias) in zip(checked(model, classes), numbers, strict=True):
        tensors |= {f"{name}.weight": weight, f"{name}.bias": bias}
    result = functional_call(model, tensors, (x,))
    left = "train" if model.training else "eval"
    expect(
        model.training == mode,
        f"the call leaves the model in {left} mode, in which it was not",
        left,
    )
    return result


def fresh(rng, dtype=torch.float32, classes=CLASSES):
    """Weights and biases of the eight layers, of 24 and 16 dense units in place of 4096."""
    numbers = []
    for shape in [*CONVS, (24, 9216), (16, 24), (classes, 16)]:
        weight = 2 * normal(rng, *shape, dtype=dtype) / math.prod(shape[1:]) ** 0.5
        numbers.append((weight, 0.3 * normal(rng, shape[0], dtype=dtype)))
    return numbers


def passing(places, blind=0):
    """Numbers that hand ones on as ones: from these places of the 9216, and no others.

    The first `blind` dense layers see nothing and give 1 for each.
    """
    numbers, units = [], len(places)
    for shape in CONVS:
        weight = torch.zeros(shape)
        weight[:, :, shape[2] // 2, shape[3] // 2] = 1 / shape[1]
        numbers.append((weight, torch.zeros(shape[0])))
    first = torch.zeros(units, 9216)
    first[range(units), places] = 1
    for place, weight in enumerate((first, torch.eye(units), torch.eye(units))):
        numbers.append((weight * (place >= blind), torch.full((units,), float(place < blind))))
    return numbers


def network(x, numbers):
    """AlexNet written out, without dropout."""
    for place, (weight, bias) in enumerate(numbers[:5]):
        stride, padding = (4, 2) if place == 0 else (1, weight.shape[-1] // 2)
        x = F.relu(F.conv2d(x, weight, bias, stride, padding))
        x = x if place in (2, 3) else F.max_pool2d(x, 3, 2)
    x = x.flatten(1)
    for weight, bias in numbers[5:7]:
        x = F.relu(F.linear(x, weight, bias))
    return F.linear(x, *numbers[7])


@pytest.mark.parametrize("given", [(), (5,), (1,)], ids=["1000", "5", "1"])
def test_the_parameters_are_counted(given):
    """61,100,840 parameters with 1000 classes, as many as there are by default; 4097 a class."""
    count = sum(parameter.numel() for parameter in built(*given).parameters())
    wanted = 57_003_840 + 4097 * (*given, 1000)[0]
    seen = f"{count:,} parameters with {(*given, 1000)[0]} classes, expected {wanted:,}"
    expect(count == wanted, seen, count)


def test_the_children_features_and_classifier_hold_the_layers():
    """Five convolutions and three dense layers with these shapes, and biases."""
    checked(built(CLASSES))


def test_maps_of_55_27_13_and_then_9216_numbers():
    """Of images of 224x224: what each convolution gives, what the pools leave for the next."""
    model, seen, stopped = built(CLASSES).eval(), [], ""

    def note(text, value):
        seen.append(f"{text} {tuple(value.shape)}")

    for number, name in enumerate(checked(model)[:6], 1):
        layer = model.get_submodule(name)
        layer.register_forward_pre_hook(lambda m, args, n=number: note(f"layer {n} gets", args[0]))
        layer.register_forward_hook(lambda m, a, out, n=number: note(f"layer {n} gives", out))
    try:
        called(model, ONES, passing([0, 1]))
    except RuntimeError as error:
        stopped = f"; then torch stops: {error}"
    wanted = []
    for number, (shape, (gets, gives)) in enumerate(zip(CONVS, SIDES, strict=True), 1):
        wanted.append(f"layer {number} gets (2, {shape[1]}, {gets}, {gets})")
        wanted.append(f"layer {number} gives (2, {shape[0]}, {gives}, {gives})")
    wanted += ["layer 6 gets (2, 9216)", "layer 6 gives (2, 2)"]
    told = {text[:7] for text in seen}  # a layer whose weights go to a function tells nothing
    wanted = [text for text in wanted if stopped or text[:7] in told]
    at = next((i for i, text in enumerate(wanted) if seen[i : i + 1] != [text]), 0)
    expect(seen == wanted, f"{(*seen, 'nothing more')[at]}, expected: {[*wanted, ''][at]}{stopped}",
           (seen, stopped))  # fmt: skip


@pytest.mark.parametrize(("images", "classes"), [(2, CLASSES), (1, 1)])
def test_the_logits_are_those_of_the_figure(rng, images, classes):
    """In eval: ReLU after seven layers, 3x3 pools with stride 2 after convolutions 1, 2 and 5."""
    numbers, x = fresh(rng, classes=classes), normal(rng, images, 3, 224, 224)
    kept, model = x.clone(), built(classes).eval()
    with torch.no_grad():
        same(called(model, x, numbers, classes), network(kept, numbers), tolerance=1e-4)
    same(x, kept, what="the images after the call")


@pytest.mark.parametrize(("layer", "passed"), [(3, [1]), (2, [0, 2]), (1, [0, 4])])
def test_dropout_takes_half_of_what_enters_the_first_two_dense_layers(layer, passed):
    """In training 0 is left of a number, or twice the number; nothing is lost elsewhere."""
    model = built(CLASSES)
    expect(model.training, "a fresh model is in eval mode, in which no dropout works", "eval")
    with torch.no_grad():
        out = called(model, ONES, passing(range(0, 9216, 18), layer - 1)).round(decimals=3)
    values, share = [round(v, 3) for v in out.unique().tolist()], (out == 0).float().mean().item()
    seen = f"of ones that enter dense layer {layer} of 3 come out {values[:5]} in training"
    expect(values == passed, f"{seen}, expected {passed}", (layer, values))
    wanted = 1 - 1 / max(passed)
    expect(abs(share - wanted) < 0.1, f"{seen}, {share:.0%} are 0, expected {wanted:.0%}", share)


def test_each_number_is_dropped_by_itself():
    """Neither two numbers of a map nor two images share their fate."""
    pairs = [place for start in range(0, 9216, 288) for place in (start, start + 1)]
    with torch.no_grad():
        out = called(built(CLASSES), ONES, passing([place for place in pairs for _ in range(8)]))
    kept = out.reshape(2, 32, 2, 8).amax(3) > 0  # by the second dropout one of eight, nearly always
    for pair, what, shared in (
        (kept.unbind(2), "numbers of one map", "whole maps, not single numbers"),
        (kept.unbind(0), "numbers at one place of two images", "the same of all images"),
    ):
        alike = int((pair[0] == pair[1]).sum())
        seen = f"{alike} of 64 pairs of {what} are both dropped or both kept, expected about 32"
        expect(alike < 56, f"{seen}: dropout takes {shared}", what)


def test_every_weight_learns(rng):
    """In training a gradient reaches the weights and biases of all eight layers."""
    model = built(CLASSES)
    off = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    expect(not off, f"requires_grad is off for {', '.join(off[:3])}", off)
    leaves = [[tensor.requires_grad_() for tensor in layer] for layer in fresh(rng)]
    logits = called(model, normal(rng, 1, 3, 224, 224), leaves)
    expect(logits.requires_grad, "the logits have no gradient: the graph is cut", "cut")
    logits.square().sum().backward()
    places = [place + 1 for place, layer in enumerate(leaves) if any(t.grad is None for t in layer)]
    expect(not places, f"no gradient reaches layers {places} of 8", places)


def test_a_model_in_float64_gives_float64(rng):
    """Converted to float64 it computes in float64; in eval too a gradient reaches layer 1."""
    numbers, x = fresh(rng, torch.float64), normal(rng, 1, 3, 224, 224, dtype=torch.float64)
    bias = numbers[0][1].requires_grad_()
    logits = called(built(CLASSES).eval().double(), x, numbers)
    expect(logits.dtype == torch.float64, f"the logits are {logits.dtype}", str(logits.dtype))
    expect(logits.requires_grad, "in eval the logits have no gradient: the graph is cut", "cut")
    (gradient,) = torch.autograd.grad(logits.sum(), bias, allow_unused=True)
    expect(gradient is not None, "in eval no gradient reaches layer 1 of 8", "eval")


def test_it_is_built_by_yourself():
    """torchvision's own model, or parts of it, are no answer."""
    kinds = {kind for module in built(CLASSES).modules() for kind in type(module).__mro__}
    named = sorted(kind.__name__ for kind in kinds if kind.__module__.startswith("torchvision"))
    expect(not named, f"{', '.join(named)} of torchvision inside: build it yourself", named)


@pytest.mark.parametrize("classes", [0, -1, -10])
def test_less_than_one_class_is_refused(classes):
    """num_classes is at least 1: else a ValueError."""
    refuses(built, classes, because=f"num_classes {classes}")


def shared(model, wanted):
    """parameter_share gives these, and leaves the model alone."""
    with model_left_alone(model):
        got = parameter_share(model)
    expect(isinstance(got, dict), f"got a {type(got).__name__}, expected a dict", str(type(got)))
    names = f"the keys are {list(got)}, expected {list(wanted)}"
    expect(got.keys() == wanted.keys(), names, got)
    same_value([got[name] for name in wanted], list(wanted.values()), tolerance=1e-6)


def test_shares_by_hand():
    """Of 23 numbers 12 are in the first child and 11 in the third; each child is named once."""
    inner = nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.Tanh()))
    inner.scale = nn.Parameter(torch.ones(3))
    shared(nn.Sequential(nn.Linear(3, 3), nn.ReLU(), inner), {"0": 12 / 23, "1": 0.0, "2": 11 / 23})


def test_frozen_parameters_count_and_buffers_do_not():
    """A frozen layer has its share; running statistics have none; norm is not norm2 or norm_by."""
    model = nn.Module()
    model.norm_by = nn.Parameter(torch.ones(10))
    model.frozen = nn.Conv2d(1, 2, (3, 2)).requires_grad_(False)
    model.norm = nn.BatchNorm1d(3)
    model.norm2 = nn.BatchNorm1d(5)
    model.nothing = nn.BatchNorm1d(8, affine=False)
    shared(model, {"frozen": 14 / 40, "norm": 6 / 40, "norm2": 10 / 40, "nothing": 0.0})


def test_the_dense_layers_hold_96_percent_of_alexnet():
    """features 0.0404, classifier 0.9596, whatever else stands beside them 0.0."""
    got = parameter_share(built())
    parts = {"features": 0.0404, "classifier": 0.9596}
    seen = ", ".join(f"{name} {share:.4f}" for name, share in got.items())
    held = {name: round(share, 4) for name, share in got.items() if share}
    expect(held == parts, f"the shares are {seen}; expected {parts}", held)
    expect(abs(sum(got.values()) - 1) < 1e-6, f"the shares sum to {sum(got.values())}, not 1")
