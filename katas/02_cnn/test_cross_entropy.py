"""Cross-entropy: what the loss of a batch of logits must be, easiest first."""

import math

import pytest
import torch
from torch import tensor
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import calls_none_of, normal, same_gradients

cross_entropy = answer("cross_entropy")


def classes(rng, images, count):
    """As many targets as images, from 0 to count - 1."""
    return torch.from_numpy(rng.integers(0, count, images))


def same_loss(got, logits, targets):
    """Small losses are differences of large logits: rounding is measured by these."""
    expected = F.cross_entropy(logits, targets)
    size = max(logits.abs().max().item(), 1.0)
    same(got, expected, tolerance=2e-6 * size / max(expected.item(), 1e-3))


def test_one_image_by_hand():
    """Softmax makes probabilities; the loss is minus the natural logarithm of the right one."""
    probability = math.exp(1.0) / (math.exp(2.0) + math.exp(1.0) + math.exp(0.5))
    same(cross_entropy(tensor([[2.0, 1.0, 0.5]]), tensor([1])), tensor(-math.log(probability)))


def test_the_loss_of_a_batch_is_the_mean_over_its_images():
    """Every image has its own logits and its own target; each counts as much as the others."""
    logits = tensor([[0.5, -2.0, 1.0, 3.0], [2.0, 1.5, -1.0, 0.0], [-3.0, 0.5, 1.0, -0.5]])
    ways = logits.exp().sum(1)
    losses = [math.log(ways[0]) - 1.0, math.log(ways[1]) - 2.0, math.log(ways[2]) - -0.5]
    same(cross_entropy(logits, tensor([2, 0, 3])), tensor(sum(losses) / 3))


@pytest.mark.parametrize("count", [1, 2, 10, 1000])
def test_who_knows_nothing_loses_ln_c(rng, count):
    """With equal logits each of the C classes has probability 1/C: the loss is ln C, 0 for one."""
    logits = torch.full((3, count), float(rng.normal()))
    same(cross_entropy(logits, classes(rng, 3, count)), tensor(math.log(count)), tolerance=1e-4)


@pytest.mark.parametrize(
    ("images", "count"), [(1, 1), (4, 1), (1, 2), (1, 7), (6, 3), (3, 6), (5, 5), (40, 10), (2, 90)]
)
@pytest.mark.parametrize("scale", [0.1, 1, 6])
def test_any_number_of_images_and_classes(rng, images, count, scale):
    """N and C may be any from 1 on; what comes back has no axes."""
    logits, targets = scale * normal(rng, images, count), classes(rng, images, count)
    same_loss(cross_entropy(logits, targets), logits, targets)


def test_every_class_may_be_the_right_one(rng):
    """The first class and the last are classes like all others; logits may be a transposed view."""
    logits = normal(rng, 4, 4).T
    for targets in (tensor([0, 1, 2, 3]), tensor([3, 3, 3, 3]), tensor([0, 0, 0, 0])):
        same_loss(cross_entropy(logits, targets), logits, targets)


def test_float64_stays_float64(rng):
    """The loss has the dtype of the logits, with all its digits."""
    logits, targets = 3 * normal(rng, 6, 5, dtype=torch.float64), classes(rng, 6, 5)
    same(cross_entropy(logits, targets), F.cross_entropy(logits, targets))


def test_only_differences_of_logits_count(rng):
    """A number added to all logits of an image changes nothing, another one for each image."""
    logits, targets = normal(rng, 5, 4, dtype=torch.float64), classes(rng, 5, 4)
    moved = logits + 50 * normal(rng, 5, 1, dtype=torch.float64)
    same(cross_entropy(moved, targets), cross_entropy(logits, targets), tolerance=1e-7)


def test_the_gradient_is_probability_minus_one_hot(rng):
    """Each logit's gradient: (its probability, less 1 for the right class) / N."""
    logits, targets = normal(rng, 5, 4), classes(rng, 5, 4)
    same_gradients(
        lambda logits: cross_entropy(logits, targets),
        lambda logits: F.cross_entropy(logits, targets),
        {"logits": logits},
    )
    leaf = logits.clone().requires_grad_()
    cross_entropy(leaf, targets).backward()
    expected = (logits.softmax(1) - F.one_hot(targets, 4)) / 5
    same(leaf.grad, expected, what="gradient of logits")


@pytest.mark.parametrize(
    ("rows", "targets", "loss"),
    [([[1e4, 0.0]], [0], 0.0), ([[-1e4, 0.0]], [0], 1e4), ([[0.0, -1e4, 1e4]], [0], 1e4),
     ([[1e4, -1e4]], [1], 2e4), ([[1e4, 9999.0]], [0], math.log1p(math.exp(-1))),
     ([[-1e4, -1e4, -1e4]], [2], math.log(3)), ([[1e4, 1e4], [-1e4, -1e4]], [0, 1], math.log(2)),
     ([[30.0, 0.0]], [1], 30.0), ([[0.0, 200.0]], [0], 200.0)],
)  # fmt: skip
def test_large_logits_stay_finite_and_right(rows, targets, loss):
    """exp(10000) is inf in any float and exp(-10000) is 0: the loss must not pass through them."""
    got, expected = cross_entropy(tensor(rows), tensor(targets)), tensor(loss)
    same(got, expected, tolerance=max(1e-3 / max(loss, 1e-3), 1e-7))


def test_large_logits_have_gradients(rng):
    """Also where a probability is 0 in float the gradient is a number, neither inf nor nan."""
    logits = tensor([[1e4, 0.0, -1e4], [-1e4, 1e4, 0.0]], requires_grad=True)
    cross_entropy(logits, tensor([2, 1])).backward()
    expected = tensor([[0.5, 0.0, -0.5], [0.0, 0.0, 0.0]])
    same(logits.grad, expected, tolerance=2e-3, what="gradient of logits")


@pytest.mark.parametrize("images", [1, 5])
def test_torch_does_not_do_the_work(rng, images):
    """The loss is your own: none of torch's losses and log-softmaxes runs inside."""
    logits, targets = normal(rng, images, 4).requires_grad_(), classes(rng, images, 4)
    why = "build the loss from exp, log and sums; softmax and logsumexp are allowed"
    for words in (("loss", "cross_entropy"), ("log_softmax",)):
        calls_none_of(words, why, cross_entropy, logits, targets)


@pytest.mark.parametrize("bad", [-1, -3, -100, 3, 4, 255])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_targets_outside_are_refused(rng, place, bad):
    """Classes are 0 to C - 1, wherever in the batch: -1 is not the last one, C is none."""
    targets = tensor([2, 0, 1, 2])
    targets[place] = bad
    because = f"target {bad} with 3 classes"
    refuses(cross_entropy, normal(rng, 4, 3), targets, because=because)


@pytest.mark.parametrize(("count", "bad"), [(1, 1), (1, -1), (7, 7), (7, -7), (2, 2)])
def test_a_batch_of_one_is_checked_too(count, bad):
    """What is allowed hangs on the number of classes."""
    because = f"target {bad} with {count} class{'es'[: 2 * (count > 1)]}"
    refuses(cross_entropy, torch.zeros(1, count), tensor([bad]), because=because)


def test_every_call_stands_alone(rng):
    """The same logits give the same loss again, whatever was asked in between."""
    logits, targets = normal(rng, 4, 3), classes(rng, 4, 3)
    first = cross_entropy(logits, targets)
    kept = first.clone()
    cross_entropy(5 * logits.flip(0), targets)
    same(cross_entropy(logits, targets), kept, what="the second time")
    expect(torch.equal(first, kept), f"the first loss was {kept:.4f} and became {first:.4f}")
