"""From 18 to 152 layers by one function: what `resnet` must build, easiest first."""

import functools
import math
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import normal, same_state

resnet = answer("resnet")

# by depth: convolutions in a block, blocks in each stage, parameters with 1000 classes
NETS = {
    18: (2, (2, 2, 2, 2), 11_689_512),
    34: (2, (3, 4, 6, 3), 21_797_672),
    50: (3, (3, 4, 6, 3), 25_557_032),
    101: (3, (3, 4, 23, 3), 44_549_160),
    152: (3, (3, 8, 36, 3), 60_192_808),
}
CLASSES = 7
NORM = ("weight", "bias", "running_mean", "running_var")
EACH = pytest.mark.parametrize("depth", NETS)
BOTH_KINDS = pytest.mark.parametrize("depth", [18, 50])


def built(*args, **named):
    """A model without numbers."""
    with torch.device("meta"):
        return resnet(*args, **named)


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def blocks(depth):
    """Of every block: its name, the channels that come in, its width, its stride."""
    channels = 64
    for stage, count in enumerate(NETS[depth][1], 1):
        for block in range(count):
            stride = 2 if stage > 1 and block == 0 else 1
            yield f"layer{stage}.{block}", channels, 32 * 2**stage, stride
            channels = 32 * 2**stage * (1 if NETS[depth][0] == 2 else 4)


def convolutions(depth):
    """The weight's shape of every convolution, and the name of the batch norm behind it."""
    yield "conv1", (64, 3, 7, 7), "bn1"
    for at, channels, width, stride in blocks(depth):
        sizes = [(width, channels, 3, 3), (width, width, 3, 3)]
        if NETS[depth][0] == 3:
            sizes = [(width, channels, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)]
        for number, shape in enumerate(sizes, 1):
            yield f"{at}.conv{number}", shape, f"{at}.bn{number}"
        wide = sizes[-1][0]
        if stride > 1 or channels != wide:
            yield f"{at}.downsample.0", (wide, channels, 1, 1), f"{at}.downsample.1"


@functools.cache
def numbers(depth):
    """Every tensor of torchvision's model; the weights are parts of one supply, none trivial."""
    fresh = torch.Generator().manual_seed(torch.initial_seed())
    supply = torch.empty(3_000_000).uniform_(-0.01, 0.01, generator=fresh)

    def taken(*shape):
        start = int(torch.randint(600_000, (), generator=fresh))
        return supply[start:][: math.prod(shape)].view(shape)

    state = {}
    for conv, shape, norm in convolutions(depth):
        state[f"{conv}.weight"] = taken(*shape)
        size = 0.02 * (math.prod(shape[1:]) / 3) ** 0.5  # of what it gives, twice
        weight, bias, mean, var = torch.empty(4, shape[0]).uniform_(-0.5, 0.5, generator=fresh)
        four = (weight + 1, 3 * bias, mean * size, (var + 1) * size**2)
        state |= {f"{norm}.{kind}": tensor for kind, tensor in zip(NORM, four, strict=True)}
        state[f"{norm}.num_batches_tracked"] = torch.tensor(0)
    return state | {"fc.weight": taken(CLASSES, shape[0]) * 10, "fc.bias": taken(CLASSES) * 100}


def copied(depth):
    """The numbers, statistics and all, as a state that may be trained on."""
    return {name: t if t.dim() > 1 else t.clone() for name, t in numbers(depth).items()}


def checked(model, depth):
    """The model, if its tensors are those of torchvision's."""
    wanted = {name: tuple(tensor.shape) for name, tensor in numbers(depth).items()}
    same_state(model, wanted, f"the state_dict of resnet({depth}, {CLASSES})")
    return model


def filled(depth):
    """The answer's model with these numbers."""
    model = checked(built(depth, CLASSES), depth)
    model.load_state_dict(copied(depth), assign=True)
    if any(buffer.is_meta for buffer in model.buffers()):  # one that no state_dict holds
        model = resnet(depth, CLASSES)
        model.load_state_dict(numbers(depth))
    return model


def network(x, state, depth, training=False):
    """The network written out; in training the statistics in `state` move on."""

    def conv(x, at, norm, stride=1):
        weight, bias, mean, var = (state[f"{norm}.{kind}"] for kind in NORM)
        kernel = state[f"{at}.weight"]
        x = F.conv2d(x, kernel, None, stride, kernel.shape[-1] // 2)
        return F.batch_norm(x, mean, var, weight, bias, training, 0.1, 1e-5)

    x = F.max_pool2d(F.relu(conv(x, "conv1", "bn1", 2)), 3, 2, 1)
    for at, _, _, stride in blocks(depth):
        body, last = x, NETS[depth][0]
        for number in range(1, last + 1):  # the last 3x3 but one, or the only one, has the stride
            strides = stride if number == last - 1 else 1
            body = conv(body, f"{at}.conv{number}", f"{at}.bn{number}", strides)
            body = F.relu(body) if number < last else body
        if f"{at}.downsample.0.weight" in state:
            x = conv(x, f"{at}.downsample.0", f"{at}.downsample.1", stride)
        x = F.relu(body + x)
    return F.linear(x.mean((2, 3)), state["fc.weight"], state["fc.bias"])


@EACH
def test_the_parameters_are_as_many_as_published(depth):
    """With 1000 classes; the depth tells which kind of block makes so many."""
    count, wanted = parameters(built(depth, 1000)), NETS[depth][2]
    seen = f"resnet({depth}) has {count:,} parameters, expected {wanted:,}"
    expect(count == wanted, seen, count)


def test_the_number_of_classes_changes_fc_alone():
    """There are 1000 unless another number is given; each adds a row of weights and a bias."""
    for depth, inputs in ((34, 512), (50, 2048)):
        for given in ((), (1,), (10,)):
            count = parameters(built(depth, *given))
            wanted = NETS[depth][2] - (inputs + 1) * (1000 - (*given, 1000)[0])
            call = f"resnet({', '.join(map(str, (depth, *given)))})"
            seen = f"{call} has {count:,} parameters, expected {wanted:,}"
            expect(count == wanted, seen, (call, count))


def test_every_call_builds_a_model_of_its_own():
    """Models share no layer and no weight, and no call changes what a later one builds."""
    made = [built(18, CLASSES), built(50, CLASSES)]
    made += [built(depth=depth, num_classes=CLASSES) for depth in (18, 50)] + [built(18, CLASSES)]
    held = [{id(thing) for thing in (*m.modules(), *m.parameters())} for m in made]
    for one, two in ((0, 2), (1, 3), (0, 1), (0, 4)):
        shared = len(held[one] & held[two])
        seen = f"two models share {shared} of {len(held[one])} layers and weights"
        expect(not shared, seen, shared)
    for one, two in ((0, 2), (1, 3)):
        first, then = parameters(made[one]), parameters(made[two])
        seen = f"the same call built {first:,} parameters at first, then {then:,}"
        expect(first == then, seen, (first, then))


@BOTH_KINDS
def test_the_tensors_have_the_names_and_shapes_of_torchvisions(depth):
    """conv1, bn1, layer1.0.conv1 and so on to fc: each tensor as in torchvision's model."""
    checked(built(depth, CLASSES), depth)


@BOTH_KINDS
def test_it_is_built_out_of_your_own_blocks(depth):
    """torchvision's own models, or parts of them, are no answer."""
    kinds = {kind for module in built(depth, CLASSES).modules() for kind in type(module).__mro__}
    named = sorted(kind.__name__ for kind in kinds if kind.__module__.startswith("torchvision"))
    expect(not named, f"{', '.join(named)} of torchvision inside: build it yourself", named)


@BOTH_KINDS
def test_each_stage_has_its_width_and_its_size(depth):
    """The stem divides the size by 4, layer1 keeps that, the stages after it halve it again."""
    model, seen = filled(depth).eval(), {}
    parts, wanted = dict(model.named_modules()), {"fc": (1, CLASSES)}
    for at, _, width, _ in blocks(depth):
        size = (math.ceil(side * 64 / width) for side in (9, 18))
        wanted[at] = (1, width * (1 if depth == 18 else 4), *size)
        keep = functools.partial(lambda at, m, a, out: seen.update({at: tuple(out.shape)}), at)
        parts.get(at, nn.Identity()).register_forward_hook(keep)
    with torch.no_grad():
        seen["fc"] = tuple(model(torch.zeros(1, 3, 33, 71)).shape)
    told = [f"{at} gives {seen.get(at, 'nothing')}, expected {shape}"
            for at, shape in wanted.items() if seen.get(at) != shape]  # fmt: skip
    expect(not told, f"resnet({depth}): of an image of 33x71 {'; '.join(told[:2])}", seen)


@EACH
def test_the_logits_are_torchvisions(rng, depth):
    """Same names, weights and statistics, same logits; x belongs to the caller."""
    model, x = filled(depth).eval(), normal(rng, 1, 3, 33, 71)
    before = x.clone()
    with torch.no_grad():
        logits = model(x)
        same(x, before, what="the caller's x after the call")
        same(logits, network(x, numbers(depth), depth))


@BOTH_KINDS
def test_in_training_it_is_torchvisions_too(rng, depth):
    """A fresh model trains: it normalises with the batch's statistics and remembers them."""
    model, state, x = filled(depth), copied(depth), normal(rng, 4, 3, 48, 64)
    with torch.no_grad():
        same(model(x), network(x, state, depth, training=True), tolerance=1e-3)
    got = model.state_dict()
    for name in (name for name in state if "running" in name):
        same(got[name], state[name], tolerance=1e-3, what=f"{name} after a batch")


def test_every_weight_learns(rng):
    """From the logits a gradient reaches every parameter."""
    model = filled(18).eval()
    off = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    seen = f"requires_grad is off for {len(off)} parameters: {', '.join(off[:2])} ..."
    expect(not off, seen, off)
    logits = model(normal(rng, 1, 3, 33, 71))
    expect(logits.requires_grad, "the logits have no gradient: the graph is cut", "cut")
    logits.square().sum().backward()
    dead = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    more = f" and {len(dead) - 2} more" if len(dead) > 2 else ""
    expect(not dead, f"no gradient reaches {', '.join(dead[:2])}{more}", dead)


def test_a_model_in_float64_gives_float64(rng):
    """Converted to float64 it computes in float64."""
    model, x = filled(18).eval().double(), normal(rng, 1, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        dtype = str(model(x).dtype).removeprefix("torch.")
    expect(dtype == "float64", f"the logits are {dtype}, expected float64", dtype)


@pytest.mark.parametrize("depth", [0, -18, 19, 35, 102, 200])
def test_another_depth_is_refused_with_the_list(depth):
    """There are five depths; the message of the ValueError lists them."""
    refuses(built, depth, because=f"depth {depth}")
    with pytest.raises(ValueError) as told:
        built(depth)
    text = str(told.value)
    missing = sorted(NETS.keys() - set(map(int, re.findall(r"\d+", text))))
    expect(not missing, f"the message is {text!r}: it does not list {missing}", missing)


@pytest.mark.parametrize(("depth", "classes"), [(18, 0), (50, 0), (34, -1), (152, -10)])
def test_less_than_one_class_is_refused(depth, classes):
    """num_classes is at least 1: else a ValueError."""
    refuses(built, depth, classes, because=f"num_classes {classes}")
