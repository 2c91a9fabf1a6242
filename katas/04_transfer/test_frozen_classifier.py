"""A frozen backbone and a head that learns: what the classifier must do, easiest first."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dojo.checks import answer, expect, same
from dojo.tensors import normal

FrozenBackboneClassifier = answer("FrozenBackboneClassifier")


def body(rng):
    """(N, 2, 6, 7) to (N, 5): batch norms, a dropout, nested; awake, with modes that differ."""
    inner = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Dropout(0.5))
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3), inner, nn.Flatten(), nn.Linear(60, 5), nn.BatchNorm1d(5)
    )
    for value in net.state_dict().values():
        if value.is_floating_point():
            value.copy_(normal(rng, *value.shape) / 2)
    inner[0].running_var.copy_(0.5 + normal(rng, 3).abs())
    net[4].running_var.copy_(0.5 + normal(rng, 5).abs())
    inner[2].eval()
    return net


def features(net, x):
    """What the backbone gives in eval, worked out without touching its modes."""
    conv, (bn, _, _), _, dense, last = net
    with torch.no_grad():
        x = F.batch_norm(conv(x), bn.running_mean, bn.running_var, bn.weight, bn.bias)
        x = dense(x.relu().flatten(1))
        return F.batch_norm(x, last.running_mean, last.running_var, last.weight, last.bias)


def learning(classifier):
    return {name: p for name, p in classifier.named_parameters() if p.requires_grad}


def settled(rng, net, classes=4):
    """The classifier with fresh numbers in its head, and these numbers."""
    classifier = FrozenBackboneClassifier(net, 5, classes)
    own = sorted(learning(classifier).values(), key=lambda p: -p.dim())
    shapes = [tuple(p.shape) for p in own]
    wanted = [(classes, 5), (classes,)]
    expect(shapes == wanted, f"{shapes} require a gradient, expected the head's {wanted}", shapes)
    with torch.no_grad():
        for parameter in own:
            parameter.copy_(normal(rng, *parameter.shape))
    return classifier, *(p.detach().clone() for p in own)


@pytest.mark.parametrize("classes", [4, 1, 7])
def test_only_the_head_requires_a_gradient(rng, classes):
    """Of all parameters only a weight (num_classes, num_features) and a bias are to learn."""
    net = body(rng)
    classifier, *_ = settled(rng, net, classes)
    shape = tuple(classifier(normal(rng, 2, 2, 6, 7)).shape)
    wanted = (2, classes)
    expect(shape == wanted, f"the logits of 2 images are {shape}, expected {wanted}", shape)
    awake = [name for name, p in net.named_parameters() if p.requires_grad]
    expect(not awake, f"{len(awake)} parameters of the backbone require a gradient", awake)


@pytest.mark.parametrize("mode", ["as built", "train", "eval", "eval, then train"])
@pytest.mark.parametrize("count", [1, 4])
def test_logits_are_the_head_on_the_backbones_features(rng, mode, count):
    """Whatever mode was asked for, the backbone runs in eval, a single image too."""
    net, x = body(rng), normal(rng, count, 2, 6, 7)
    wanted = features(net, x)
    classifier, weight, bias = settled(rng, net)
    for step in mode.split(", then ") if mode != "as built" else ():
        getattr(classifier, step)()
    same(classifier(x).detach(), wanted @ weight.T + bias, tolerance=1e-4)


def test_each_batch_is_looked_at_anew(rng):
    """Two batches of one size give two results, and the first again its own."""
    net = body(rng)
    one, two = normal(rng, 3, 2, 6, 7), normal(rng, 3, 2, 6, 7)
    wanted = [features(net, x) for x in (one, two, one)]
    classifier, weight, bias = settled(rng, net)
    for x, known in zip((one, two, one), wanted, strict=True):
        same(classifier(x).detach(), known @ weight.T + bias, tolerance=1e-4)


@pytest.mark.parametrize("call", ["train", "train(False)", "eval"])
def test_train_reaches_the_head_and_not_the_backbone(rng, call):
    """The classifier has the mode that was asked for; every module of the backbone is in eval."""
    net = body(rng)
    classifier = FrozenBackboneClassifier(net, 5, 3)
    classifier.train()
    got = classifier.train(False) if call == "train(False)" else getattr(classifier, call)()
    expect(got is classifier, f"{call} returned {type(got).__name__}, expected the module itself")
    mine, wanted = {id(m) for m in net.modules()}, call == "train"
    others = [m.training for m in classifier.modules() if id(m) not in mine]
    expect(all(mode == wanted for mode in others),
           f"after {call} the classifier and its head are not in that mode", others)  # fmt: skip
    for when in (call, f"{call} and a forward"):
        woken = sum(module.training for module in net.modules())
        expect(not woken, f"after {when} {woken} modules of the backbone are awake",
               ("woken", woken))  # fmt: skip
        classifier(normal(rng, 2, 2, 6, 7))


def test_three_steps_of_training_change_the_head_alone(rng):
    """Every parameter and buffer of the backbone is the same to the bit, the counters too."""
    net, x, labels = body(rng), normal(rng, 6, 2, 6, 7), torch.arange(6) % 4
    before = {name: value.clone() for name, value in net.state_dict().items()}
    classifier, weight, _ = settled(rng, net)
    head = learning(classifier)
    for _ in range(3):
        loss = F.cross_entropy(classifier.train()(x), labels)
        expect(
            loss.requires_grad, "the loss requires no gradient: the head cannot learn", "no graph"
        )
        for parameter in head.values():
            parameter.grad = None
        loss.backward()
        with torch.no_grad():
            for name, parameter in head.items():
                expect(parameter.grad is not None, f"no gradient reaches {name}", name)
                parameter -= 0.1 * parameter.grad
    changed = [n for n, value in net.state_dict().items() if not torch.equal(value, before[n])]
    expect(not changed, f"in the backbone {', '.join(changed[:3])} has changed", changed)
    now = next(p for p in head.values() if p.dim() == 2)
    expect(not torch.equal(now, weight), "the head has not learnt anything", "still")


BODIES = {
    "trained": (body, 5),
    "without batch norm": (lambda rng: nn.Sequential(nn.Flatten(), nn.Linear(84, 5)), 5),
    "without parameters": (lambda rng: nn.Flatten(), 84),
}


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("kind", BODIES)
def test_no_graph_goes_through_the_backbone(rng, kind, mode):
    """Neither the image nor the backbone's parameters get a gradient; the head's do."""
    made, count = BODIES[kind]
    net = made(rng)
    classifier = FrozenBackboneClassifier(backbone=net, num_features=count, num_classes=3)
    classifier.train(mode == "train")
    x = normal(rng, 2, 2, 6, 7).requires_grad_()
    logits = classifier(x)
    expect(x.requires_grad, "the image handed in requires no gradient any more", "x")
    logits.square().sum().backward()
    expect(x.grad is None, "a gradient flows through the backbone into the image", "x.grad")
    got = [name for name, p in net.named_parameters() if p.grad is not None]
    expect(not got, f"{', '.join(got[:3])} of the backbone has a gradient", got)
    without = [name for name, p in learning(classifier).items() if p.grad is None]
    expect(not without, f"no gradient reaches {', '.join(without)} of the head", without)


def test_torchs_grad_mode_is_left_as_it_was(rng):
    """Only the backbone runs without gradients; after the call the mode is the caller's."""
    classifier = FrozenBackboneClassifier(body(rng), 5, 3)
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled):
            logits = classifier(normal(rng, 2, 2, 6, 7))
            kept = torch.is_grad_enabled() == enabled
        expect(kept, "the grad mode is not as it was before the call", "grad mode")
        fine = logits.requires_grad == enabled
        expect(fine, f"with gradients {enabled} the logits require one: {not enabled}", "logits")


def test_the_backbone_is_taken_over_and_part_of_the_module(rng):
    """Its own modules are inside, not copies: state_dict holds them, to() reaches them."""
    net = body(rng)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    handed_in = net.state_dict()  # kept, so that its memory is given to nobody else
    classifier = FrozenBackboneClassifier(net, 5, 3)
    changed = [n for n, value in net.state_dict().items() if not torch.equal(value, before[n])]
    expect(not changed, f"building it has changed the backbone's {', '.join(changed[:3])}", changed)
    inside = any(module is net for module in classifier.modules())
    expect(inside, "the backbone handed in is not among the classifier's modules", "not inside")
    held = {value.data_ptr() for value in classifier.state_dict().values()}
    missing = [name for name, value in handed_in.items() if value.data_ptr() not in held]
    expect(not missing, f"state_dict lacks the backbone's {', '.join(missing[:3])}", missing)
    got = classifier.to(torch.float64)(normal(rng, 2, 2, 6, 7, dtype=torch.float64)).dtype
    expect(got == torch.float64, f"after to(float64) the logits are {got}", got)


def test_two_classifiers_have_heads_of_their_own(rng):
    """One backbone may serve two tasks: the heads share nothing."""
    net = body(rng)
    one, two = FrozenBackboneClassifier(net, 5, 3), FrozenBackboneClassifier(net, 5, 3)
    shared = {id(p) for p in learning(one).values()} & {id(p) for p in learning(two).values()}
    expect(not shared, f"two classifiers share {len(shared)} parameters that learn", "shared")
