"""Conv, pool, conv, pool, dense: what `SmallCNN` must be, easiest first."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dojo.checks import answer, expect, same
from dojo.tensors import normal

SmallCNN = answer("SmallCNN")


def weights(model):
    """The parameters by shape; of equal shapes none are wanted."""
    return {tuple(p.shape): p for p in model.parameters()}


def wanted_shapes(classes):
    return [(32, 1, 3, 3), (32,), (64, 32, 3, 3), (64,), (128, 3136), (128,), (classes, 128),
            (classes,)]  # fmt: skip


def settled(rng, classes=10):
    """A model with fresh numbers in it, and what it must compute."""
    model = SmallCNN(classes)
    by_shape = weights(model)
    shapes = wanted_shapes(classes)
    missing = [s for s in shapes if s not in by_shape]
    expect(not missing, f"there is no parameter of shape {missing[:2]}", sorted(by_shape))
    with torch.no_grad():
        for shape, parameter in by_shape.items():
            fan_in = parameter[0].numel() if parameter.dim() > 1 else 4
            parameter.copy_(normal(rng, *shape) * (2 / fan_in) ** 0.5)
    w1, b1, w2, b2, w3, b3, w4, b4 = (by_shape[shape] for shape in shapes)
    given = []  # to the first dense layer
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.in_features == 3136:
            module.register_forward_hook(lambda _m, args, _o: given.append(args[0].detach()))

    def wanted(x):
        x = F.max_pool2d(F.conv2d(x, w1, b1, padding=1).relu(), 2)
        x = F.max_pool2d(F.conv2d(x, w2, b2, padding=1).relu(), 2).flatten(1).detach()
        x = given[-1] if given and in_another_order(given[-1], x) else x
        return F.linear(F.linear(x, w3, b3).relu(), w4, b4).detach()

    return model, wanted


def in_another_order(got, flat):
    """Whether each image has the same numbers: the order in which they stand is free."""
    if got.shape != flat.shape or got.dtype != flat.dtype:
        return False
    close = (1e-4 if got.dtype == torch.float32 else 1e-9) * flat.max()
    return bool(((got.sort(1).values - flat.sort(1).values).abs() <= close).all())


@pytest.mark.parametrize("classes", [10, 3, 1])
@pytest.mark.parametrize("count", [1, 4])
def test_one_logit_a_class(rng, classes, count):
    """(N, 1, 28, 28) becomes (N, num_classes), for one image and for many."""
    got = tuple(SmallCNN(classes)(normal(rng, count, 1, 28, 28)).shape)
    expect(got == (count, classes), f"{count} images give {got}, expected {(count, classes)}", got)


def test_ten_classes_are_the_default(rng):
    """SmallCNN() gives ten logits."""
    got = tuple(SmallCNN()(normal(rng, 2, 1, 28, 28)).shape)
    expect(got == (2, 10), f"2 images give {got}, expected (2, 10)", got)


@pytest.mark.parametrize("classes", [10, 7])
def test_it_has_four_layers_with_weights_and_biases(classes):
    """421,642 parameters for ten classes: 320 + 18,496 + 401,536 + 1,290, all of them trainable."""
    model = SmallCNN(classes)
    got, wanted = [tuple(p.shape) for p in model.parameters()], wanted_shapes(classes)
    message = f"the parameters are {got[:4]}{' ...' if len(got) > 4 else ''}"
    expect(sorted(got, key=str) == sorted(wanted, key=str), f"{message}, expected {wanted}", got)
    others = [tuple(b.shape) for b in model.buffers()]
    expect(not others, f"it has buffers of {others}: nothing is to be remembered", others)
    frozen = [tuple(p.shape) for p in model.parameters() if not p.requires_grad]
    expect(not frozen, f"parameters of {frozen} are frozen", frozen)


def test_the_layers_work_at_these_sizes(rng):
    """32 maps of 28x28, 64 of 14x14, 3136 numbers, 128 numbers: seen by hooks on the layers."""
    model, seen = SmallCNN(), []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _m, _i, out: seen.append(tuple(out.shape[1:])))
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda _m, given, _o: seen.append(given[0].shape[-1]))
    model(normal(rng, 2, 1, 28, 28))
    wanted = [(32, 28, 28), (64, 14, 14), 3136, 128]
    expect(seen == wanted, f"the layers saw {seen}, expected {wanted}", seen)


def test_every_model_has_weights_of_its_own():
    """Two models share nothing and begin differently: no seed is set, no layer used twice."""
    one, two = list(SmallCNN().parameters()), list(SmallCNN().parameters())
    shared = len({id(p) for p in one} & {id(p) for p in two})
    expect(not shared, f"two models share {shared} of their {len(one)} parameters", "shared")
    differ = any(not torch.equal(a, b) for a, b in zip(one, two, strict=True))
    values = torch.cat([p.detach().flatten() for p in one]).unique().numel()
    expect(differ, f"two models begin with the same weights ({values} distinct values): the seed "
           "is set inside, or nothing is drawn", ("alike", values < 9))  # fmt: skip


def test_the_images_are_left_alone(rng):
    """What is handed in is only read."""
    x = normal(rng, 2, 1, 28, 28)
    kept = x.clone()
    SmallCNN()(x)
    same(x, kept, what="the images after the call")


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_it_computes_what_it_is_made_of(rng, training):
    """Convolution, ReLU, largest of 2x2, twice; flattened; dense, ReLU, dense; and no more."""
    model, wanted = settled(rng)
    x = normal(rng, 3, 1, 28, 28)
    same(model.train(training)(x), wanted(x), tolerance=1e-4)
    x = x.double()
    same(model.double()(x), wanted(x), tolerance=1e-9, what="in float64")


def test_logits_have_no_bounds(rng):
    """Ten times the image gives large logits of both signs, and they do not add up to 1."""
    model, wanted = settled(rng)
    with torch.no_grad():
        weights(model)[10, 128][1] = -weights(model)[10, 128][0]  # where one is large, one is low
    x = 100 * normal(rng, 4, 1, 28, 28)
    got = model(x).detach()
    low, high = got.min().item(), got.max().item()
    expect(low < -1 and high > 1, f"the logits lie between {low:.3g} and {high:.3g}", (low, high))
    same(got, wanted(x), tolerance=1e-4)


def test_images_of_a_batch_do_not_touch(rng):
    """Alone an image gives what it gives among others, in any order."""
    model, x = SmallCNN(), normal(rng, 4, 1, 28, 28)
    together = model(x).detach()
    alone = torch.cat([model(image).detach() for image in x.split(1)])
    same(together, alone, tolerance=1e-4, what="four images together")
    same(model(x.flip(0)).detach(), together.flip(0), tolerance=1e-4, what="in another order")


def test_the_first_layer_looks_at_a_3x3_window(rng):
    """One pixel changes nine places of each of the first maps, and no others."""
    model, seen = SmallCNN(), []
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d) and m.in_channels == 1)
    first.register_forward_hook(lambda _m, _i, out: seen.append(out.detach().clone()))
    x = normal(rng, 1, 1, 28, 28)
    model(x)
    x[0, 0, 9, 17] += 5
    model(x)
    offset = 0 if seen[0].shape[2] == 28 else -1
    changed = (seen[0] != seen[1]).any(1)[0].nonzero().tolist()
    wanted = [[i + offset, j + offset] for i in range(8, 11) for j in range(16, 19)]
    expect(changed == wanted, f"pixel (9, 17) changes {len(changed)} places, first {changed[:1]}, "
           f"expected 9 from (8, 16) on", changed)  # fmt: skip


def bars(rng, count):
    """A bright bar across noise, lying (0) or standing (1), anywhere."""
    x, labels = 0.1 * normal(rng, count, 1, 28, 28), torch.arange(count) % 2
    for image, label in zip(x[:, 0], labels, strict=True):
        (image.T if label else image)[int(rng.integers(2, 26))] += 1
    return x, labels


@pytest.mark.timeout(60)
def test_it_learns_to_tell_bars_apart(rng):
    """Lying or standing: after 20 steps of Adam it is right for 85 % of bars it has not seen.

    Measured over 40 seeds: 92 % or more.
    """
    model = SmallCNN(2)
    (x, labels), weights = bars(rng, 64), list(model.parameters())
    means, squares = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    for step in range(1, 21):
        slopes = torch.autograd.grad(F.cross_entropy(model(x), labels), weights)
        with torch.no_grad():
            for weight, mean, square, slope in zip(weights, means, squares, slopes, strict=True):
                mean.lerp_(slope, 0.1)
                square.lerp_(slope**2, 0.01)
                size = (square / (1 - 0.99**step)).sqrt() + 1e-8
                weight -= 3e-3 * mean / (1 - 0.9**step) / size
    x, labels = bars(rng, 60)
    with torch.no_grad():
        right = (model(x).argmax(1) == labels).float().mean().item()
    expect(right >= 0.85, f"it is right for {right:.0%} of new bars, expected 85 %", right > 0.6)
