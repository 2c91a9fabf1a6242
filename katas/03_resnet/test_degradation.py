"""Deeper is worse, until it is residual: the two stacks, the verdict, then the experiment."""

import functools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same, same_value
from dojo.tensors import normal, same_gradients

make_stack, diagnose_depth = answer("make_stack"), answer("diagnose_depth")

KINDS = pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
NAMES = {nn.Conv2d: "convolution", nn.BatchNorm2d: "BN", nn.Linear: "Linear"}


def named(module):
    return next(name for kind, name in NAMES.items() if isinstance(module, kind))


def layers(model, height=9, width=7):
    """The layers with weights in the order in which a call uses them, and the sizes of maps."""
    used, sizes = [], []

    def note(module, args, output):
        used.append(module)
        sizes.extend([tuple(output.shape[2:])] if isinstance(module, nn.BatchNorm2d) else [])

    modules = [module for module in model.modules() if isinstance(module, tuple(NAMES))]
    hooks = [module.register_forward_hook(note) for module in modules]
    with torch.no_grad():
        model.eval()(torch.zeros(2, 1, height, width))
    for hook in hooks:
        hook.remove()
    other = next((size for size in sizes if size != (height, width)), (height, width))
    kept = f"the maps are {other} for images of ({height}, {width}): they keep their size"
    expect(other == (height, width), kept, other)
    return used


def built(depth, width, residual):
    """A stack and its layers, if they are what they should be: conv, BN, conv, BN ... Linear."""
    model = make_stack(depth, width, residual)
    used = layers(model)
    order, wanted = [named(module) for module in used], ["convolution", "BN"] * depth + ["Linear"]
    pairs = zip(order, wanted, strict=False)
    count, at = order.count("convolution"), next((i for i, (a, b) in enumerate(pairs) if a != b), 0)
    behind = order[at - 1] if at else "image"
    got = f"depth {depth}: behind {'an' if behind == 'image' else 'a'} {behind}"
    in_order = order[: len(wanted)] == wanted[: len(order)] or {order[at], wanted[at]} == {
        "convolution",
        "Linear",
    }
    expect(in_order, f"{got} comes a {order[at]}, expected a {wanted[at]}", order)
    expect(count == depth, f"depth {depth}: a call runs {count} convolutions, not {depth}", order)
    expect(order == wanted, f"depth {depth}: {len(order)} layers run, not {len(wanted)}", order)
    different = len({id(module) for module in used})
    own = f"depth {depth}: {len(used)} layers run, {different} different ones: each runs once"
    expect(different == len(used), own, different)
    return model, used


def filled(rng, used):
    """Numbers for every tensor of these layers, such that none is trivial; biases before BN 0."""
    with torch.no_grad():
        for module in used:
            conv = isinstance(module, nn.Conv2d)
            for name in ("weight", "bias", "running_mean", "running_var"):
                tensor = getattr(module, name, None)
                if tensor is not None and not (conv and name == "bias"):
                    numbers = normal(rng, *tensor.shape) / (tensor[0].numel() ** 0.5)
                    tensor.copy_(numbers.abs() + 0.3 if name == "running_var" else numbers)
                elif tensor is not None:
                    tensor.zero_()


def figure(x, used, residual, training=False):
    """The stack written out over its own layers."""

    def unit(x, place):
        conv, bn = used[2 * place : 2 * place + 2]
        x = F.conv2d(x, conv.weight, conv.bias, padding=1)
        mean, var = bn.running_mean.clone(), bn.running_var.clone()
        return F.batch_norm(x, mean, var, bn.weight, bn.bias, training, 0.1, bn.eps)

    x = F.relu(unit(x, 0))
    for place in range(1, len(used) // 2, 2):
        y = unit(F.relu(unit(x, place)), place + 1)
        x = F.relu(x + y if residual else y)
    return F.linear(x.mean((2, 3)), used[-1].weight, used[-1].bias)


@KINDS
@pytest.mark.parametrize("depth", [3, 5, 9])
def test_depth_counts_every_convolution_and_each_has_a_bn(depth, residual):
    """A stem, then pairs: depth convolutions in all, each followed by a BN; one Linear."""
    for place, module in enumerate(m for m in built(depth, 4, residual)[1]
                                   if isinstance(m, nn.Conv2d)):  # fmt: skip
        shape, wanted = tuple(module.weight.shape), (4, 4 if place else 1, 3, 3)
        seen = f"the weight of convolution {place + 1} is {shape}, expected {wanted} for width 4"
        expect(shape == wanted, seen, shape)


@KINDS
@pytest.mark.parametrize(("images", "height", "width"), [(2, 8, 8), (1, 5, 7), (3, 6, 2)])
def test_images_become_logits(residual, images, height, width):
    """(N, 1, H, W) becomes (N, 10), for any H and W."""
    with torch.no_grad():
        logits = make_stack(5, 3, residual).eval()(torch.ones(images, 1, height, width))
    same(logits.new_zeros(logits.shape), torch.zeros(images, 10), what="logits")


@pytest.mark.parametrize("depth", [3, 7])
def test_both_kinds_have_the_same_weights(depth):
    """Same experiment, one variable: the skips bring no tensors, the shapes are the same."""
    plain, residual = (
        [tuple(tensor.shape) for tensor in stack.state_dict().values()]
        for stack in (make_stack(depth, 6, False), make_stack(width=6, depth=depth, residual=True))
    )
    numbers = [sum(torch.Size(shape).numel() for shape in kind) for kind in (plain, residual)]
    seen = f"{len(plain)} tensors with {numbers[0]} numbers in the plain stack"
    other = f"{len(residual)} with {numbers[1]} in the residual one"
    expect(sorted(plain) == sorted(residual), f"{seen}, {other}: the same shapes are wanted",
           (plain, residual))  # fmt: skip


@KINDS
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize(("depth", "images"), [(3, 2), (5, 1), (7, 3)])
def test_the_logits_are_those_of_the_figure(rng, depth, images, training, residual):
    """Stem, pairs with a skip before their last ReLU or without, mean, Linear: as written out."""
    model, used = built(depth, 4, residual)
    filled(rng, used)
    x = normal(rng, images, 1, 6, 7)
    kept, expected = x.clone(), figure(x, used, residual, training)
    same(model.train(training)(x), expected, tolerance=1e-4, what="logits")
    same(x, kept, what="the caller's images after the call")


@KINDS
def test_gradients_flow_through_body_and_skip(rng, residual):
    """The gradient takes both ways back to the images, and reaches every weight."""
    model, used = built(5, 4, residual)
    filled(rng, used)
    model.double().eval()
    x = {"x": normal(rng, 3, 1, 6, 7)}
    same_gradients(lambda x: model(x), lambda x: figure(x, used, residual), x)
    without = [name for name, weight in model.named_parameters() if weight.grad is None]
    expect(not without, f"no gradient reaches {', '.join(without[:3])}", without)


@KINDS
def test_every_bn_begins_with_scale_1_and_shift_0(residual):
    """No pair is switched off at the start: both kinds begin with all their layers at work."""
    for place, module in enumerate(m for m in built(5, 4, residual)[1]
                                   if isinstance(m, nn.BatchNorm2d)):  # fmt: skip
        for name, value in (("weight", 1.0), ("bias", 0.0)):
            got = getattr(module, name)
            expect(got is not None, f"BN {place} of a new stack has no {name}", name)
            got = got.detach()
            same(got, torch.full((4,), value), what=f"the {name} of BN {place} in a new stack")


@KINDS
def test_a_new_stack_trains(residual):
    """It comes in train mode, as every new module does."""
    still = [type(m).__name__ for m in make_stack(5, 4, residual).modules() if not m.training]
    expect(not still, f"a new stack has {len(still)} modules in eval mode: it is to train", still)


@KINDS
def test_a_width_of_1_is_legal(residual):
    """The narrowest stack has one channel."""
    with torch.no_grad():
        logits = make_stack(3, 1, residual).eval()(torch.ones(2, 1, 6, 5))
    same(logits.new_zeros(logits.shape), torch.zeros(2, 10), what="logits")


@KINDS
def test_initial_weights_come_from_torchs_default_generator(rng, residual):
    """Seeded alike two stacks are alike; built one after the other they differ."""
    seed = int(rng.integers(1 << 30))
    torch.manual_seed(seed)
    first, second = (make_stack(5, 4, residual).state_dict() for _ in range(2))
    torch.manual_seed(seed)
    again = make_stack(5, 4, residual).state_dict()
    for name, weight in first.items():
        same(again[name], weight, what=f"{name} of a second stack under the same seed")
    equal = [n for n, w in first.items() if w.dim() == 4 and torch.equal(w, second[n])]
    expect(not equal, f"{', '.join(equal[:2])} is the same in two stacks built one after the "
           "other: the seed is set inside, or nothing is drawn", equal)  # fmt: skip


@KINDS
@pytest.mark.parametrize(
    ("depth", "width"),
    [(2, 4), (4, 4), (10, 4), (1, 4), (0, 4), (-1, 4), (-3, 4), (5, 0), (5, -2)],
)
def test_other_depths_and_widths_are_refused(depth, width, residual):
    """depth is odd and at least 3, a stem and one pair or more; width is at least 1."""
    refuses(make_stack, depth, width, residual, because=f"depth {depth} and width {width}")


@pytest.mark.parametrize(
    ("shallow_train", "deep_train", "shallow_test", "deep_test", "verdict"),
    [(0.2, 0.5, 0.3, 0.6, "degradation"), (0.2, 0.1, 0.3, 0.4, "overfitting"),
     (0.2, 0.1, 0.3, 0.2, "healthy"), (0.2, 0.5, 0.6, 0.3, "degradation"),
     (20.0, 20.0, 30.0, 31.0, "overfitting"), (0.5, 0.5, 0.7, 0.7, "healthy"),
     (0.1, 0.2, 0.3, 0.3, "degradation"), (3, 2, 1, 1, "healthy"), (0.0, 0.0, 0.0, 0.0, "healthy"),
     (0.3, 0.0, 0.1, 0.2, "overfitting"), (5.0, 5.001, 9.0, 2.0, "degradation"),
     (0.1, 0.05, 0.4, 0.4, "healthy"), (0.3, 0.1, 0.4, 0.35, "healthy"),
     (300.0, float("inf"), 0.7, 0.7, "degradation")],
)  # fmt: skip
def test_the_training_errors_are_looked_at_first(
    shallow_train, deep_train, shallow_test, deep_test, verdict
):
    """Worse on its training data: degradation. Only worse on the test: overfitting."""
    same_value(diagnose_depth(shallow_train, deep_train, shallow_test, deep_test), verdict)
    named = {"deep_test": deep_test, "shallow_test": shallow_test,
             "deep_train": deep_train, "shallow_train": shallow_train}  # fmt: skip
    same_value(diagnose_depth(**named), verdict)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("error", [-0.1, float("nan")])
def test_what_is_no_error_is_refused(error, place):
    """Each of the four is a number from 0 on."""
    errors = [0.4, 0.3, 0.2, 0.1]
    errors[place] = error
    refuses(diagnose_depth, *errors, because=f"an error of {error}")


@functools.cache
def digits():
    """The shipped digits, 6x6: the larger they are the slower, and the wider apart the losses."""
    from data import digits as load

    images, labels = load()
    return F.avg_pool2d(torch.from_numpy(images[..., 2:26, 2:26]), 4), torch.from_numpy(labels)


def trained(model, seed):
    """The mean loss of the last 10 of 60 SGD steps: rate 0.1, momentum 0.9, batches of 128."""
    images, labels = digits()
    order = torch.Generator().manual_seed(seed)
    weights = list(model.train().parameters())
    speeds, losses = [torch.zeros_like(weight) for weight in weights], []
    for _ in range(60):  # torch.optim takes seconds to be imported
        batch = torch.randint(len(images), (128,), generator=order)
        loss = F.cross_entropy(model(images[batch]), labels[batch])
        with torch.no_grad():
            gradients = torch.autograd.grad(loss, weights)
            for weight, speed, gradient in zip(weights, speeds, gradients, strict=True):
                weight -= 0.1 * speed.mul_(0.9).add_(gradient)
        losses.append(loss.item())
    return sum(losses[-10:]) / 10


@pytest.mark.timeout(60)
def test_within_the_same_budget_the_residual_stack_learns_far_more(rng):
    """19 layers, 60 steps on the digits, two seeds: the plain stack's loss is over twice as high.

    Measured for 16 seeds: 0.88 to 1.73 plain, 0.11 to 0.39 residual, 3.4 to 10.8 times as high.
    It says what a fixed budget reaches, not where training would end.
    """
    losses = {False: 0.0, True: 0.0}
    for seed in rng.integers(1 << 30, size=2).tolist():
        for residual in losses:
            torch.manual_seed(seed)
            model, used = built(19, 8, residual)
            expected = figure(digits()[0][:3], used, residual, training=True)
            same(model.train()(digits()[0][:3]), expected, tolerance=1e-3, what="logits")
            losses[residual] += trained(model, seed) / 2
    seen = f"the loss after 60 steps is {losses[False]:.2f} plain and {losses[True]:.2f} residual"
    expect(losses[False] > 2 * losses[True], f"{seen}: more than twice as high is expected")
