"""LeNet-5 in today's words: what `LeNet5` must do, easiest first."""

import pytest
import torch
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import model_left_alone, normal, same_gradients

LeNet5 = answer("LeNet5")

CLASSES = [10, 2, 1, 37]
SHARES = [0.4, 0.3, 0.2, 0.3, 1.5]  # how large the weights are drawn: no sigmoid is saturated


def sizes(num_classes):
    """(units, inputs of each) of the five layers, from the image to the logits."""
    return [(6, 25), (16, 150), (120, 400), (84, 120), (num_classes, 84)]


def layers(tensors, num_classes):
    """Weight and bias of the five layers, found by their sizes: names and order are free.

    Weights of (inputs, units) are seen the other way round.
    """
    tensors = list(tensors)
    flat = {(len(t), t[0].numel()): t for t in tensors if t.dim() > 1}
    flat |= {size[::-1]: flat[size].T for size in [*flat] if size[::-1] in sizes(num_classes)}
    biases = {len(t): t for t in tensors if t.dim() == 1}
    return [(flat[size], biases[size[0]]) for size in sizes(num_classes)]


def logits(x, parts):
    """What LeNet-5 computes with these weights and biases."""
    for (weight, bias), channels in zip(parts[:2], (1, 6), strict=True):
        kernels = weight.reshape(-1, channels, 5, 5).to(x)
        x = F.avg_pool2d(torch.sigmoid(F.conv2d(x, kernels, bias.to(x))), 2)
    x = x.flatten(1)
    for weight, bias in parts[2:]:
        x = x @ weight.flatten(1).to(x).T + bias.to(x)
        x = x if weight is parts[-1][0] else torch.sigmoid(x)
    return x


def settled(rng, num_classes=10, blind=0):
    """A model with fresh numbers in it and its parts; the first `blind` layers see nothing."""
    model = LeNet5(num_classes)
    parts = layers(model.parameters(), num_classes)
    with torch.no_grad():
        for place, (weight, bias) in enumerate(parts):
            weight.copy_(SHARES[place] * normal(rng, *weight.shape) * (place >= blind))
            bias.copy_(normal(rng, *bias.shape))
    return model, [(weight.detach().clone(), bias.detach().clone()) for weight, bias in parts]


def photos(rng, images):
    """Images of different brightness and contrast."""
    numbers = normal(rng, images, 1, 32, 32)
    return numbers * (0.5 + numbers[:, :, :1, :1].abs()) + numbers[:, :, -1:, -1:].abs() + 0.5


def test_it_has_61706_parameters():
    """156 + 2,416 + 48,120 + 10,164 + 850, all of them found by parameters()."""
    count = sum(p.numel() for p in LeNet5().parameters())
    shapes = [tuple(p.shape) for p in LeNet5().parameters()]
    told = ", ".join(map(str, shapes)) or "none"
    expect(count == 61_706, f"{count:,} parameters, expected 61,706; yours are {told}", shapes)


@pytest.mark.parametrize("num_classes", CLASSES)
def test_five_layers_of_6_16_120_84_and_num_classes_units(num_classes):
    """Each has a weight for every unit and input (25, 150, 400, 120, 84), and a bias a unit."""
    model = LeNet5(num_classes)
    shapes = [tuple(p.shape) for p in model.parameters()]
    wanted = sorted([*sizes(num_classes), *((units, 1) for units, _ in sizes(num_classes))])
    got = [(len(p), p.numel() // len(p), p.dim()) for p in model.parameters()]
    turned = [size[::-1] for size in sizes(num_classes)]  # weights of (inputs, units)
    got = sorted((a, b)[:: -1 if dim == 2 and (a, b) in turned else 1] for a, b, dim in got)
    seen = f"with {num_classes} classes the parameters are {', '.join(map(str, shapes))}"
    expect(got == wanted, f"{seen}, expected weights of {sizes(num_classes)} and biases", shapes)
    frozen = [tuple(p.shape) for p in model.parameters() if not p.requires_grad]
    told = f"{len(frozen)} of the {len(shapes)} parameters are frozen: requires_grad is off"
    expect(not frozen, told, sorted(frozen))


@pytest.mark.parametrize("num_classes", CLASSES)
@pytest.mark.parametrize("images", [1, 4])
def test_images_become_logits(rng, images, num_classes):
    """(N, 1, 32, 32) becomes (N, num_classes), also for one image or one class."""
    result = LeNet5(num_classes=num_classes)(photos(rng, images))
    same(torch.zeros_like(result), torch.zeros(images, num_classes), what="logits")


def test_logits_are_not_squashed(rng):
    """Where the last layer sees nothing (its weights are 0), the logits are its biases."""
    model, parts = settled(rng, blind=5)
    parts[4][1].mul_(20)
    layers(model.parameters(), 10)[4][1].data.copy_(parts[4][1])
    same(model(photos(rng, 3)), parts[4][1].expand(3, 10), what="logits")


@pytest.mark.parametrize("blind", [4, 3, 2, 1])
def test_a_sigmoid_follows_each_layer_but_the_last(rng, blind):
    """A layer whose weights are 0 gives its biases; the next one sees the sigmoids of these."""
    model, parts = settled(rng, blind=blind)
    name = ["6 maps", "16 maps", "120 units", "84 units"][blind - 1]
    what = f"logits, with weights 0 up to the layer of {name}"
    x = photos(rng, 2)
    same(model(x), logits(x, parts), tolerance=1e-4, what=what)


@pytest.mark.parametrize("mode", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("num_classes", CLASSES)
def test_convolution_sigmoid_mean_twice_then_dense_layers(rng, num_classes, mode):
    """With any weights, in both modes: 5x5 unpadded, sigmoid, then the mean over 2x2 blocks."""
    model, parts = settled(rng, num_classes)
    x = photos(rng, 3)
    same(model.train(mode)(x), logits(x, parts), tolerance=1e-4, what="logits")


def test_bright_images_have_logits_too(rng):
    """Pixels up to 255 drive the first sigmoids to 0 and 1: what comes out are numbers still."""
    model, parts = settled(rng)
    x = 255 * photos(rng, 2)
    same(model(x), logits(x, parts), tolerance=1e-3, what="logits of pixels up to 255")


def test_a_batch_is_the_stack_of_its_images(rng):
    """Each image has the logits that it has alone; neither a call nor its neighbours matter."""
    model, parts = settled(rng)
    x = photos(rng, 4)
    kept = x.clone()
    for image in (slice(0, 1), slice(1, 4), slice(2, 3), slice(0, 4)):
        same(model(x[image]), logits(kept[image], parts), tolerance=1e-4, what="logits")
        same(x, kept, what="the images after the call")


@pytest.mark.parametrize("mode", [False, True], ids=["eval", "train"])
def test_the_gradient_reaches_the_image(rng, mode):
    """The gradient of the image is right, in float64 and both modes."""
    model, parts = settled(rng)
    model.double().train(mode)
    same_gradients(lambda x: model(x), lambda x: logits(x, parts), {"x": photos(rng, 2)})


@pytest.mark.parametrize("mode", [False, True], ids=["eval", "train"])
def test_the_gradient_reaches_every_parameter(rng, mode):
    """Gradients are right, in float64 and both modes, and no parameter of the ten is left out."""
    model, parts = settled(rng)
    model.double().train(mode)
    parts = [[p.double().requires_grad_() for p in part] for part in parts]
    x, upstream = photos(rng, 2).double(), normal(rng, 2, 10, dtype=torch.float64)
    result = model(x)
    expect(result.requires_grad, "the result has no gradient: the graph is cut", "cut")
    for output in (result, logits(x, parts)):
        (output * upstream).sum().backward()
    without = sum(p.grad is None or not p.grad.any() for p in model.parameters())
    expect(not without, f"no gradient reaches {without} of the 10 parameters", without)
    gradients = layers((p.grad for p in model.parameters()), 10)
    for place, pair in enumerate(zip(gradients, parts, strict=True)):
        for name, own, twin in zip(("weight", "bias"), *pair, strict=True):
            what = f"gradient of the {name} of layer {place + 1} of 5"
            same(own, twin.grad, tolerance=1e-6, what=what)


@pytest.mark.parametrize("mode", [False, True], ids=["eval", "train"])
def test_a_call_changes_nothing(rng, mode):
    """Mode, hooks, weights, buffers and gradients are as before, torch's random state too."""
    model, _ = settled(rng)
    model.train(mode)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = torch.default_generator.get_state()
    with model_left_alone(model):
        model(photos(rng, 3))
    kept = bool((torch.default_generator.get_state() == before).all())
    expect(kept, "the call changed the state of torch's random numbers", "random state")


def test_initial_weights_are_random():
    """Each network begins with other weights; the same seed of torch gives the same ones."""
    draws = []
    for seed in (11, None, None, 11):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        draws.append([weight.detach().clone() for weight, _ in layers(LeNet5().parameters(), 10)])
    for place, (first, second, third, again) in enumerate(zip(*draws, strict=True)):
        layer = f"the weights of layer {place + 1} of 5"
        rows = len({tuple(row.flatten().tolist()) for row in first})
        expect(
            rows == len(first), f"{layer}: only {rows} of {len(first)} units differ", (place, rows)
        )
        differ = bool((first != second).any())
        expect(differ, f"{layer} are the same in every new network", "the same")
        differ = bool((second != third).any())
        expect(differ, f"{layer} are the same in the second and the third network", "alike")
        expect(bool((first == again).all()), f"{layer} do not follow torch's seed", "not seeded")


@pytest.mark.parametrize("num_classes", [0, -1])
def test_less_than_one_class_is_refused(num_classes):
    """num_classes is at least 1: else a ValueError."""
    refuses(LeNet5, num_classes, because=f"num_classes {num_classes}")
