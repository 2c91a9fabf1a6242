"""VGG, a network from a list of numbers: what is judged, easiest first.

VGG-16 is built on torch's meta device, and called in parts, with dense layers of a few units
that are brought along: none of its 138 million weights is allocated.
"""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import normal, same_gradients, same_state

vgg_features, vgg16 = answer("vgg_features"), answer("vgg16")

CLASSES = 12
VGG16 = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]
CONFIGS = [
    [5],
    ["M"],
    [4, 6, 6, 6],
    [4, "M"],
    [6, 4, "M"],
    ["M", 3],
    [7, 2, "M", 6, "M", 4],
    ["M", 1, "M", "M", 3],
]


def shapes(config, channels):
    """The shapes of weights and biases, in order."""
    found = []
    for filters in (entry for entry in config if entry != "M"):
        found += [(filters, channels, 3, 3), (filters,)]
        channels = filters
    return found


def filled(rng, config, channels, dtype=torch.float32):
    """The answer's features with fresh numbers, and these, if it has what the config demands."""
    features = vgg_features([*config], channels)
    kind = type(features).__name__
    expect(isinstance(features, nn.Sequential), f"got a {kind}, expected an nn.Sequential", kind)
    got, wanted = [tuple(p.shape) for p in features.parameters()], shapes(config, channels)
    seen = f"{config} on {channels} channels: the parameters are {got}, expected {wanted}"
    expect(got == wanted, seen, got)
    numbers = [normal(rng, *s, dtype=dtype) / math.prod(s[1:]) ** 0.5 for s in wanted]
    features.to(dtype)
    with torch.no_grad():
        for parameter, number in zip(features.parameters(), numbers, strict=True):
            parameter.copy_(number)
    return features, numbers


def oracle(x, config, numbers):
    """The plan followed step by step."""
    numbers = iter(numbers)
    for entry in config:
        if entry == "M":
            x = F.max_pool2d(x, 2, 2)
        else:
            x = F.relu(F.conv2d(x, next(numbers), next(numbers), 1, 1))
    return x


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_each_m_halves_the_size_and_each_number_gives_the_channels(config):
    """Of an image of 13x22, odd sizes rounded down; 3 channels by default; tuples are plans too."""
    shape = tuple(vgg_features((*config,))(torch.zeros(2, 3, 13, 22)).shape)
    halved = 2 ** config.count("M")
    channels = [3, *(entry for entry in config if entry != "M")][-1]
    wanted = (2, channels, 13 // halved, 22 // halved)
    expect(shape == wanted, f"{config} makes {shape} of (2, 3, 13, 22), expected {wanted}", shape)


@pytest.mark.parametrize("channels", [3, 1, 4])
def test_every_convolution_starts_from_the_channels_of_the_one_before(rng, channels):
    """Weights of 3x3 and biases, one convolution a number, and no other parameters."""
    for config in CONFIGS:
        filled(rng, config, channels)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_it_is_convolution_and_relu_for_a_number_and_max_pool_for_an_m(rng, config, training):
    """In the order of the plan, for one image or more: 3x3 padded by 1, ReLU; largest of 2x2."""
    features, numbers = filled(rng, config, 2)
    for images, height, width in [(1, 12, 9), (3, 9, 14)]:
        x = 10 * normal(rng, images, 2, height, width)
        kept = x.clone()
        same(features.train(training)(x), oracle(kept, config, numbers), tolerance=1e-4)
        same(x, kept, what="the images after the call")


def test_gradients_are_those_of_the_plan(rng):
    """In float64: the gradient reaches the image and every weight."""
    config = [4, "M", 3, 5]
    features, numbers = filled(rng, config, 2, torch.float64)
    x = {"x": normal(rng, 2, 2, 6, 9)}
    same_gradients(lambda x: features(x), lambda x: oracle(x, config, numbers), x)
    lacking = [name for name, p in features.named_parameters() if p.grad is None]
    expect(not lacking, f"no gradient reaches {', '.join(lacking)}", lacking)


@pytest.mark.parametrize("entry", [0, -1, 8.0, "m", "8", "A", "", None], ids=repr)
def test_other_entries_are_refused(entry):
    """ "M" and whole numbers from 1 on are known: all else is a ValueError, wherever it stands."""
    for config in ([entry], [4, "M", entry], [entry, 4]):
        refuses(vgg_features, config, because=f"the entry {entry!r}")


@pytest.mark.parametrize("channels", [0, -1])
def test_less_than_one_channel_is_refused(channels):
    """in_channels is at least 1: else a ValueError."""
    for config in ([4, "M"], ["M"]):
        refuses(vgg_features, config, channels, because=f"in_channels {channels} of {config}")


def built(*args):
    """VGG-16 without numbers."""
    with torch.device("meta"):
        return vgg16(*args)


def checked(model, classes=CLASSES):
    """The model, if its tensors are those of torchvision's."""
    places = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    layers = dict(zip((f"features.{n}" for n in places), shapes(VGG16, 3)[::2], strict=True))
    layers |= {"classifier.0": (4096, 25088), "classifier.3": (4096, 4096)}
    wanted = {}
    for name, shape in (layers | {"classifier.6": (classes, 4096)}).items():
        wanted |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    same_state(model, wanted, "the state_dict of vgg16")
    return model


def dense(rng, units, dtype=torch.float32, classes=CLASSES):
    """Fresh numbers for the three dense layers, with so many units in place of 4096."""
    sizes = zip((0, 3, 6), (25088, units, units), (units, units, classes), strict=True)
    return {f"classifier.{place}.{kind}": normal(rng, *shape, dtype=dtype) / inputs**0.5
            for place, inputs, outputs in sizes
            for kind, shape in (("weight", (outputs, inputs)), ("bias", (outputs,)))}  # fmt: skip


class Gives(nn.Module):
    """Stands in for the convolutions: whatever comes in is kept, these maps come out."""

    def __init__(self, maps):
        super().__init__()
        self.maps = maps

    def forward(self, x):
        self.got = x
        return self.maps


def behind(model, maps, numbers):
    """What the model makes of maps that its features gave."""
    gives, x = Gives(maps), torch.linspace(-2, 9, len(maps) * 3 * 224 * 224, dtype=maps.dtype)
    model.features, x = nn.Sequential(gives), x.view(-1, 3, 224, 224)
    result = functional_call(model, numbers, (x,))
    same(gives.got, x, what="what the features get of the images")
    return result


@pytest.mark.parametrize("given", [(), (5,), (1,)], ids=["1000", "5", "1"])
def test_the_parameters_of_vgg16_are_counted(given):
    """138,357,544 with 1000 classes, as many as there are by default; 4097 a class."""
    count = sum(parameter.numel() for parameter in built(*given).parameters())
    wanted = 134_260_544 + 4097 * (*given, 1000)[0]
    seen = f"{count:,} parameters with {(*given, 1000)[0]} classes, expected {wanted:,}"
    expect(count == wanted, seen, count)


def test_its_tensors_have_the_names_and_shapes_of_torchvisions():
    """features.0 to features.28 and classifier.0, .3 and .6: torchvision's weights fit."""
    checked(built(CLASSES))


def test_its_features_are_those_of_the_plan(rng):
    """Blocks of two, two, three, three and three convolutions, with a pool behind each."""
    supply, numbers = 0.03 * normal(rng, 3_000_000), {}
    features, x = checked(built(CLASSES)).features, normal(rng, 1, 3, 37, 64)
    for name, parameter in features.named_parameters():  # parts of one supply, as they are
        start, size = int(rng.integers(600_000)), parameter.numel()
        numbers[name] = supply[start : start + size].view(parameter.shape)
    with torch.no_grad():
        same(functional_call(features, numbers, (x,)), oracle(x, VGG16, numbers.values()))


@pytest.mark.parametrize(("images", "classes"), [(1, CLASSES), (2, CLASSES), (2, 1)])
def test_maps_of_7x7_become_logits(rng, images, classes):
    """Flattened channel by channel; a ReLU follows the first two dense layers, none the third."""
    model, maps = checked(built(classes), classes).eval(), 10 * normal(rng, images, 512, 7, 7).abs()
    numbers = dense(rng, 24, classes=classes)
    weights = list(numbers.values())
    x = F.relu(F.linear(maps.flatten(1), *weights[:2]))
    x = F.linear(F.relu(F.linear(x, *weights[2:4])), *weights[4:])
    same(behind(model, maps, numbers), x, tolerance=1e-4, what="logits")


@pytest.mark.parametrize(("layer", "passed"), [(2, [0, 2]), (1, [0, 4])])
def test_dropout_takes_half_of_what_the_first_two_dense_layers_give(layer, passed):
    """In training 0 is left of a number, or twice the number."""
    model = checked(built(CLASSES))
    expect(model.training, "a fresh model is in eval mode, in which no dropout works", "eval")
    first = torch.zeros(512, 25088)
    first[range(512), range(0, 25088, 49)] = 1
    numbers = {}
    for place, weight in ((0, first), (3, torch.eye(512)), (6, torch.eye(512))):
        blind = place == 3 and layer == 2  # its weights are 0, it gives its biases
        numbers[f"classifier.{place}.weight"] = weight * (not blind)
        numbers[f"classifier.{place}.bias"] = torch.full((512,), float(blind))
    with torch.no_grad():
        out = behind(model, torch.ones(2, 512, 7, 7), numbers).round(decimals=3)
    values, share = [round(v, 3) for v in out.unique().tolist()], (out == 0).float().mean().item()
    seen = f"of ones that dense layer {layer} of 3 gives come out {values[:5]} in training"
    expect(values == passed, f"{seen}, expected {passed}", (layer, values))
    wanted = 1 - 1 / max(passed)
    expect(abs(share - wanted) < 0.1, f"{seen}, {share:.0%} are 0, expected {wanted:.0%}", share)
    expect(not torch.equal(out[0], out[1]), "dropout takes the same of both images", "images")


def test_the_gradient_flows_back_to_the_maps(rng):
    """In float64: through the classifier to what the features gave."""
    model = checked(built(CLASSES)).double().eval()
    off = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    expect(not off, f"requires_grad is off for {', '.join(off[:3])}", off)
    maps = normal(rng, 1, 512, 7, 7, dtype=torch.float64).abs().requires_grad_()
    logits = behind(model, maps, dense(rng, 24, torch.float64))
    expect(logits.dtype == torch.float64, f"of float64 maps come {logits.dtype}", "dtype")
    expect(logits.requires_grad, "the logits have no gradient: the graph is cut", "cut")


def test_it_is_built_by_yourself():
    """torchvision's own model, or parts of it, are no answer."""
    kinds = {kind for module in built(CLASSES).modules() for kind in type(module).__mro__}
    named = sorted(kind.__name__ for kind in kinds if kind.__module__.startswith("torchvision"))
    expect(not named, f"{', '.join(named)} of torchvision inside: build it yourself", named)


@pytest.mark.parametrize("classes", [0, -1])
def test_less_than_one_class_is_refused(classes):
    """num_classes is at least 1: else a ValueError."""
    refuses(built, classes, because=f"num_classes {classes}")
