"""ResNet-18 out of your own blocks: what `resnet18` must build, easiest first."""

import copy
import functools

import pytest
import torch

from dojo import vision  # without it torchvision cannot be imported everywhere
from dojo.checks import answer, expect, refuses, same
from dojo.tensors import normal, own_work, same_state

# isort: split
from torchvision import models

resnet18 = answer("resnet18")

CLASSES = 7
SHAPES = {
    "conv1": (2, 64, 16, 36),
    "layer1.0": (2, 64, 8, 18),
    "layer1.1": (2, 64, 8, 18),
    "layer2.1": (2, 128, 4, 9),
    "layer3.1": (2, 256, 2, 5),
    "layer4.1": (2, 512, 1, 3),
}


def built(*args):
    """A model without numbers, a copy: what one test does to it is not seen in the next."""
    with torch.device("meta"):
        return copy.deepcopy(resnet18(*args))


@functools.cache
def theirs():
    with torch.device("meta"):
        return models.resnet18(num_classes=CLASSES)


@functools.cache
def numbers():
    """Fresh weights of the right size for each tensor of torchvision's, no statistic trivial."""
    fresh = torch.Generator().manual_seed(torch.initial_seed())
    state = {name: torch.empty(tensor.shape) for name, tensor in theirs().state_dict().items()}
    for name, tensor in state.items():
        if tensor.dim() > 1:
            tensor.uniform_(-1, 1, generator=fresh).mul_((6 / tensor[0].numel()) ** 0.5)
        elif name.endswith(("var", "weight")):
            tensor.uniform_(0.5, 1.5, generator=fresh)
        else:
            tensor.uniform_(-0.5, 0.5, generator=fresh)
    return state


def checked(model):
    """The model, if its tensors are those of torchvision's."""
    wanted = {name: tuple(tensor.shape) for name, tensor in theirs().state_dict().items()}
    same_state(model, wanted, "the state_dict")
    return model


def loaded(model):
    """The model with the numbers: big weights are taken as they are, statistics are copied."""
    state = {n: t.clone() if t.dim() < 2 else t.detach() for n, t in numbers().items()}
    state = {n: t.long() if n.endswith("tracked") else t for n, t in state.items()}
    model.load_state_dict(state, assign=True)
    return model


def filled():
    model = loaded(checked(built(CLASSES)))
    if any(buffer.is_meta for buffer in model.buffers()):  # one that no state_dict holds
        model = loaded(resnet18(CLASSES))
    return model


def test_each_stage_has_its_width_and_its_size():
    """The stem divides the size by 4, layer1 keeps that, the stages after it halve it again."""
    model, seen = built(CLASSES).to_empty(device="cpu").eval(), {}
    parts = dict(model.named_modules())
    lacks = [name for name in SHAPES if name not in parts]
    expect(not lacks, f"the model has no {', '.join(lacks)}", lacks)
    for name in SHAPES:
        keep = functools.partial(lambda n, m, a, out: seen.update({n: tuple(out.shape)}), name)
        parts[name].register_forward_hook(keep)
    with torch.no_grad():
        logits = tuple(model(torch.zeros(2, 3, 32, 72)).shape)
    told = [f"{name} gives {seen.get(name, 'nothing')}, expected {shape}"
            for name, shape in SHAPES.items() if seen.get(name) != shape]  # fmt: skip
    expect(not told, f"of images of 32x72 {'; '.join(told[:2])}", seen)
    expect(logits == (2, CLASSES), f"the logits are {logits}, expected (2, {CLASSES})", logits)


@pytest.mark.parametrize("classes", [1000, 10, 1])
def test_the_parameters_are_counted(classes):
    """11,689,512 parameters with 1000 classes; 513 more or less for each class."""
    count = sum(parameter.numel() for parameter in built(classes).parameters())
    wanted = 11_176_512 + 513 * classes
    seen = f"{count:,} parameters for {classes} classes, expected {wanted:,}"
    expect(count == wanted, seen, count)


def test_without_an_argument_there_are_1000_classes():
    """num_classes is 1000 unless another number is given."""
    count = sum(parameter.numel() for parameter in built().parameters())
    expect(count == 11_689_512, f"resnet18() has {count:,} parameters, expected 11,689,512", count)


def test_the_tensors_have_the_names_and_shapes_of_torchvisions():
    """conv1, bn1, layer1.0.conv1 ... layer4.1.bn2, fc: each tensor as in torchvision's model."""
    checked(built(CLASSES))


def test_it_is_built_out_of_your_own_blocks():
    """torchvision's own model, or parts of it, are no answer."""
    own_work(built(CLASSES))


def test_every_call_builds_a_model_of_its_own():
    """Two models share no layer and no weight."""
    with torch.device("meta"):
        made = resnet18(CLASSES), resnet18(CLASSES), resnet18(num_classes=CLASSES)
    held = [{id(thing) for thing in (*m.modules(), *m.parameters())} for m in made]
    shared = max(len(held[0] & held[1]), len(held[0] & held[2]))
    expect(not shared, f"two models share {shared} of {len(held[0])} layers and weights", shared)


def test_the_logits_are_torchvisions(rng):
    """Same weights and statistics, same logits: in eval for any size, then in training."""
    model, oracle = filled(), loaded(theirs())
    with torch.no_grad():
        for images, height, width in [(1, 32, 40), (2, 64, 48)]:
            x = normal(rng, images, 3, height, width)
            expected, before = oracle.eval()(x), x.clone()
            same(model.eval()(x), expected, tolerance=1e-4)
            same(x, before, what="the caller's x after the call")
        same(model(x[1:]), expected[1:], tolerance=1e-4)
        model, x = filled(), normal(rng, 4, 3, 64, 64)  # a fresh model trains
        same(model(x), oracle.train()(x), tolerance=1e-3)
    got, wanted = model.state_dict(), oracle.state_dict()
    for name in (name for name in wanted if "running" in name):
        same(got[name], wanted[name], tolerance=1e-3, what=f"{name} after a batch")


def test_every_weight_learns(rng):
    """From the logits a gradient reaches every parameter."""
    model = filled().eval()
    off = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    expect(
        not off, f"requires_grad is off for {len(off)} parameters: {', '.join(off[:2])} ...", off
    )
    logits = model(normal(rng, 1, 3, 32, 32))
    expect(logits.requires_grad, "the logits have no gradient: the graph is cut", "cut")
    logits.square().sum().backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None]
    more = f" and {len(dead) - 2} more" if len(dead) > 2 else ""
    expect(not dead, f"no gradient reaches {', '.join(dead[:2])}{more}", dead)


def test_a_model_in_float64_gives_float64(rng):
    """Converted to float64 it computes in float64."""
    model, x = filled().eval().double(), normal(rng, 1, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        dtype = str(model(x).dtype).removeprefix("torch.")
    expect(dtype == "float64", f"the logits are {dtype}, expected float64", dtype)


def test_an_image_of_224_pixels(rng):
    """The size that it was made for."""
    with torch.no_grad():
        logits = filled().eval()(normal(rng, 1, 3, 224, 224))
    shape = tuple(logits.shape)
    expect(shape == (1, CLASSES), f"the logits are {shape}, expected (1, {CLASSES})", shape)


@pytest.mark.parametrize("classes", [0, -1, -10])
def test_less_than_one_class_is_refused(classes):
    """num_classes is at least 1: else a ValueError."""
    refuses(built, classes, because=f"num_classes {classes}")
