"""Saliency, averaged over noise: what `smooth_grad` must do, easiest first."""

import copy
from contextlib import suppress

import pytest
import torch
from torch import nn, tensor

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import model_left_alone, normal

pytestmark = pytest.mark.timeout(60)  # an answer that uses torch.func waits for its import
smooth_grad = answer("smooth_grad")


def seeded(rng):
    return torch.Generator().manual_seed(int(rng.integers(2**31)))


def linear(weight):
    """A model whose logits are weighted sums of all values: weight is (K, C, H, W)."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(weight[0].numel(), len(weight)))
    with torch.no_grad():
        model[1].weight.copy_(weight.flatten(1))
        model[1].bias.zero_()
    return model.to(weight.dtype)


class Shaped(nn.Module):
    """Logit k is the sum of weight[k] * shape(x), so its slopes change with x."""

    def __init__(self, weight, shape):
        super().__init__()
        self.weight, self.shape = nn.Parameter(weight), shape

    def forward(self, x):
        return torch.einsum("kchw,nchw->nk", self.weight, self.shape(x))


class Loud(nn.Module):
    """A layer of the caller's own that minds its mode."""

    def forward(self, x):
        return 3 * x if self.training else x


def network(rng, *more):
    """Convolutions, batch norm, dropout, ReLU in place, 4 classes; modes mixed, all fresh."""
    body = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5))
    end = nn.Sequential(nn.Conv2d(4, 5, 2), nn.ReLU(inplace=True), Loud(), *more, nn.Flatten())
    model = nn.Sequential(nn.Conv2d(3, 4, (2, 3)), body, end, nn.Linear(5 * 3 * 4, 4)).double()
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(normal(rng, *value.shape))
    body[0].running_var.abs_().add_(0.5)
    model[1][0].eval()
    return model


def images(rng, count):
    return normal(rng, count, 3, 5, 7, dtype=torch.float64)


def slopes(model, x, targets):
    """|d logit / d x| of each image by itself, the largest of its channels."""
    model, maps = copy.deepcopy(model).eval(), []
    for image, target in zip(x, targets, strict=True):
        leaf = image[None].clone().requires_grad_()
        (slope,) = torch.autograd.grad(model(leaf)[0, target], leaf)
        maps.append(slope[0].abs().amax(0))
    return torch.stack(maps)


def far_apart(rng, count, *shape):
    """Images of which each lies around a level of its own, so that a copy shows its origin."""
    levels = 50.0 * torch.arange(count, dtype=torch.float64)
    return levels[:, None, None, None] + normal(rng, count, *shape, dtype=torch.float64)


def watched(model):
    """The list that all images land in which the model is asked about."""
    seen = []
    model.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].detach().clone()))
    return seen


def noisy_copies(seen, x):
    """The different copies of each image that the model was asked about, without the image."""
    expect(seen, "the caller's own hook on the model did not run: was model(x) called?", "no hook")
    rows = torch.unique(torch.cat(seen), dim=0)
    rows = rows[[not any(torch.equal(row, image) for image in x) for row in rows]]
    nearest = (rows.flatten(1).mean(1)[:, None] - x.flatten(1).mean(1)).abs().argmin(1)
    return [rows[nearest == place] for place in range(len(x))]


def test_on_a_weighted_sum_noise_changes_nothing(rng):
    """Class 0 weighs two channels by 1, -5, 2 and 3, 4, -6: every copy says 3, 5 and 6."""
    model = linear(tensor([[[[1.0, -5, 2]], [[3, 4, -6]]], [[[0, 1, 0]], [[0, 0, 2]]]]))
    x = tensor([[[[0.2, 0.1, -0.1]], [[0.1, 0.3, 0.2]]]])
    same(smooth_grad(model, x, 0, 4, 0.2, seeded(rng)), tensor([[[3.0, 5, 6]]]))


@pytest.mark.parametrize("n", [1, 2, 7])
def test_more_copies_give_no_larger_map(rng, n):
    """The mean over 1, 2 or 7 copies that agree is what each of them says."""
    weight = normal(rng, 3, 2, 4, 5)
    got = smooth_grad(linear(weight), normal(rng, 2, 2, 4, 5), 1, n, 0.5, seeded(rng))
    same(got, weight[[1, 1]].abs().amax(1))


@pytest.mark.parametrize("n", [1, 3])
def test_without_noise_it_is_the_saliency(rng, n):
    """sigma = 0: what the image itself says, in eval, for each image's target."""
    model, x = network(rng), images(rng, 3)
    got = smooth_grad(model, x, tensor([3, 0, 1]), n, 0.0, seeded(rng))
    same(got, slopes(model, x, [3, 0, 1]), tolerance=1e-6)


def test_slopes_that_contradict_each_other_cancel(rng):
    """At the kink of |x| half the copies say +w, half say -w: their mean is near 0."""
    weight = normal(rng, 2, 3, 2, 3).abs() + 0.5
    got = smooth_grad(Shaped(weight, torch.abs), torch.zeros(1, 3, 2, 3), 1, 80, 0.5, seeded(rng))
    most = (got[0] / weight[1].amax(0)).max().item()
    message = f"where copies say +w and -w in turn the map is {most:.3g} of w, expected below 0.7"
    expect(most < 0.7, message, ("share of w", most))


@pytest.mark.parametrize(("count", "n"), [(1, 5), (3, 4), (2, 1), (1, 61)])
def test_every_copy_has_noise_of_its_own(rng, count, n):
    """Each image is asked about in n copies that differ, not more and not less."""
    weight = normal(rng, 2, 2, 3, 4, dtype=torch.float64)
    model, x = Shaped(weight, torch.cos), far_apart(rng, count, 2, 3, 4)
    seen = watched(model)
    smooth_grad(model, x, 1, n, 0.8, seeded(rng))
    counts = [len(copies) for copies in noisy_copies(seen, x)]
    message = f"of {count} images the model saw {counts} different noisy copies, expected {n} each"
    asked = len(torch.cat(seen))
    expect(counts == [n] * count, f"{message} ({asked} images in all)", (counts, asked))


@pytest.mark.parametrize(("count", "n"), [(1, 3), (3, 4), (2, 1), (1, 61)])
def test_the_signed_slopes_of_all_copies_are_averaged(rng, count, n):
    """The mean over the copies first, then abs, then the largest of the channels."""
    weight = normal(rng, 4, 2, 3, 5, dtype=torch.float64)
    model, x = Shaped(weight, torch.cos), far_apart(rng, count, 2, 3, 5)
    seen, targets = watched(model), tensor([2, 0, 3])[:count]
    got = smooth_grad(model, x, targets, n, 1.5, seeded(rng))
    means = [
        (-weight[target] * copies.sin()).mean(0)
        for target, copies in zip(targets, noisy_copies(seen, x), strict=True)
    ]
    same(got, torch.stack(means).abs().amax(1))


@pytest.mark.parametrize("sigma", [0.25, 3.0])
def test_the_noise_is_normal_with_a_deviation_of_sigma(rng, sigma):
    """In the units of x, around 0, and different for every pixel, channel and image."""
    weight = normal(rng, 2, 2, 20, 30, dtype=torch.float64)
    model, x = Shaped(weight, torch.cos), far_apart(rng, 3, 2, 20, 30)
    seen = watched(model)
    smooth_grad(model, x, 0, 6, sigma, seeded(rng))
    noise = [copies - image for copies, image in zip(noisy_copies(seen, x), x, strict=True)]
    noise = torch.cat(noise).flatten() / sigma
    mean, deviation = noise.mean().item(), noise.std().item()
    message = f"the noise's deviation is {deviation * sigma:.3g}, expected {sigma}"
    expect(abs(deviation - 1) < 0.06, message, ("deviation", round(deviation, 2)))
    message = f"the noise's mean is {mean * sigma:.3g}, expected about 0"
    expect(abs(mean) < 0.06, message, ("mean", round(mean, 2)))
    inside = (noise.abs() < 1).double().mean().item()
    message = f"{inside:.0%} of the noise are within one sigma, expected 68 % as normal noise has"
    expect(abs(inside - 0.683) < 0.03, message, ("inside", round(inside, 2)))
    most = noise.abs().max().item()  # without a cut 30 of them lie beyond 3.2
    message = f"none of {noise.numel()} noise numbers is beyond {most:.3g} sigma: they are cut"
    expect(most > 3.2, message, ("most", round(most, 2)))
    kinds = len(noise.float().mul(1e5).round().unique()) / noise.numel()
    message = f"only {kinds:.0%} of the noise's numbers differ: it is shared by pixels or images"
    expect(kinds > 0.8, message, ("kinds", round(kinds, 2)))
    sizes = len(noise.float().abs().mul(1e5).round().unique()) / noise.numel()
    message = f"only {sizes:.0%} of the noise differs in size: some is other noise with its sign"
    expect(sizes > 0.8, f"{message} turned", ("sizes", round(sizes, 2)))


def test_the_generator_alone_decides(rng):
    """Same state, same map; a state further on, another; torch's global one stands still."""
    model, x, generator = network(rng), images(rng, 2), seeded(rng)
    state, before = generator.get_state(), torch.get_rng_state()
    first = smooth_grad(model, x, 1, 3, 0.7, generator)
    second = smooth_grad(model, x, 1, 3, 0.7, generator)
    expect(torch.equal(torch.get_rng_state(), before), "torch's global generator was drawn from")
    expect(not torch.equal(first, second), "asked again, the generator further on, the map is "
           "the same: the noise is not drawn from it anew", "same")  # fmt: skip
    generator.set_state(state)
    same(smooth_grad(model, x, 1, 3, 0.7, generator), first, tolerance=1e-6, what="same state")


@pytest.mark.parametrize("target", [0, 1, 2])
def test_the_target_says_which_class(rng, target):
    """One class for all images: the map belongs to its logit, whatever is predicted."""
    weight = normal(rng, 3, 2, 4, 5)
    got = smooth_grad(linear(weight), normal(rng, 3, 2, 4, 5), target, 2, 0.1, seeded(rng))
    same(got, weight[[target] * 3].abs().amax(1))


def test_without_a_target_the_clean_image_is_predicted(rng):
    """The largest logit without noise, be another far below 0; noise of 5 would turn it."""
    weight = normal(rng, 3, 1, 2, 3, dtype=torch.float64)
    logits = torch.from_numpy(rng.permuted([[0.1, -0.6, 0.3]] * 12, axis=1))
    x = torch.linalg.lstsq(weight.flatten(1), logits.T).solution.T.reshape(12, 1, 2, 3)
    got = smooth_grad(linear(weight), x, None, 12, 5.0, seeded(rng))
    same(got, weight[logits.argmax(1)].abs().amax(1), tolerance=1e-6)


def test_the_prediction_is_made_in_eval(rng):
    """Asked with the model in train, which comes back as it was."""
    model, x = network(rng).train(), images(rng, 16)
    with model_left_alone(model):
        got = smooth_grad(model, x, None, 2, 0.0, seeded(rng))
    predicted = copy.deepcopy(model).eval()(x).argmax(1)
    same(got, slopes(model, x, predicted), tolerance=1e-6)


def test_float32_stays_float32(rng):
    """The map has the dtype of x."""
    weight = normal(rng, 2, 3, 4, 5)
    got = smooth_grad(linear(weight), normal(rng, 1, 3, 4, 5), 1, 2, 0.3, seeded(rng))
    same(got, weight[[1]].abs().amax(1))


@pytest.mark.parametrize("modes", ["eval", "train", "mixed", "a part"])
@pytest.mark.parametrize("frozen", [False, True], ids=["trainable", "frozen"])
def test_the_model_comes_back_as_it_was(rng, frozen, modes):
    """Each submodule's mode, numbers, requires_grad, .grad and hooks; the caller's hooks run."""
    model, x, calls = network(rng).requires_grad_(not frozen), images(rng, 2), []
    model = model if modes == "mixed" else model.train(modes == "train")
    model[1][2].train(modes != "eval")  # of "a part" it is all that trains, the root does not
    model[3].requires_grad_(modes == "train" and not frozen)
    model[0].weight.grad = torch.ones_like(model[0].weight)
    model[2].register_forward_hook(lambda *_: calls.append("a layer"))
    model.register_forward_hook(lambda *_: calls.append("the model"))
    with model_left_alone(model):
        smooth_grad(model, x, 0, 2, 0.3, seeded(rng))
        got = smooth_grad(model, x, 0, 2, 0.0, seeded(rng))
    same(got, slopes(model, x, [0, 0]), tolerance=1e-6)
    for place in ("a layer", "the model"):
        expect(place in calls, f"the caller's own hook on {place} did not run", calls)


@pytest.mark.parametrize("enabled", [True, False], ids=["grad on", "grad off"])
@pytest.mark.parametrize("marked", [True, False], ids=["x marked", "x plain"])
def test_gradients_may_be_switched_off(rng, enabled, marked):
    """A caller under no_grad gets the same map; autograd and x with its .grad are as before."""
    model, x = network(rng), images(rng, 2).requires_grad_(marked)
    x.grad = torch.ones_like(x) if marked else None
    with torch.set_grad_enabled(enabled):
        got, kept = smooth_grad(model, x, 2, 2, 0.0, seeded(rng)), torch.is_grad_enabled()
    same(got, slopes(model, x.detach(), [2, 2]), tolerance=1e-6)
    expect(not got.requires_grad, "the map requires a gradient: it is not detached")
    words = {True: "on", False: "off"}
    expect(kept == enabled, f"autograd was {words[enabled]} and is {words[kept]} after it", kept)


@pytest.mark.parametrize("marked", [True, False], ids=["x marked", "x plain"])
def test_gradients_may_be_switched_off_with_noise_too(rng, marked):
    """Under no_grad noisy copies have slopes as well."""
    weight = normal(rng, 3, 2, 4, 5)
    x = normal(rng, 2, 2, 4, 5).requires_grad_(marked)
    with torch.no_grad():
        got = smooth_grad(linear(weight), x, 1, 3, 0.4, seeded(rng))
    same(got, weight[[1, 1]].abs().amax(1))


class Breaks(nn.Module):
    def forward(self, x):
        raise ArithmeticError("this layer fails")


def test_an_exception_of_the_model_leaves_no_trace(rng):
    """A model that fails half-way: its exception reaches the caller, all modes are back."""
    model, got = network(rng, Breaks()), "it returned a map"
    with model_left_alone(model):
        try:
            smooth_grad(model, images(rng, 2), 0, 2, 0.1, seeded(rng))
        except ArithmeticError as error:
            got = str(error)
    expect(got == "this layer fails", f"a layer raised ArithmeticError, and {got}", got)


class BreaksLater(nn.Module):
    """Lets a clean image through, but nothing that a slope is asked of."""

    def forward(self, x):
        if x.requires_grad:
            raise ArithmeticError("this layer fails")
        return x


@pytest.mark.parametrize("target", [0, None])
def test_an_exception_at_a_noisy_copy_leaves_no_trace(rng, target):
    """A model that fails after the clean image went through: all modes are back."""
    model = network(rng, BreaksLater()).requires_grad_(False)
    with model_left_alone(model), suppress(ArithmeticError):
        smooth_grad(model, images(rng, 2), target, 2, 0.1, seeded(rng))


@pytest.mark.parametrize("sigma", [0.1, 0.0])
@pytest.mark.parametrize("n", [0, -1, -3])
def test_less_than_one_copy_is_refused(rng, n, sigma):
    """n begins at 1, with noise or without; the model is as it was."""
    model = network(rng)
    with model_left_alone(model):
        refuses(smooth_grad, model, images(rng, 2), 0, n, sigma, seeded(rng), because=f"n = {n}")


@pytest.mark.parametrize("sigma", [-0.1, -2.0])
def test_a_negative_sigma_is_refused(rng, sigma):
    """sigma begins at 0."""
    model = network(rng)
    with model_left_alone(model):
        refuses(smooth_grad, model, images(rng, 2), 0, 2, sigma, seeded(rng),
                because=f"sigma = {sigma}")  # fmt: skip


@pytest.mark.parametrize("target", [-1, 4, -4, 9, [1, -1], [-1, 1], [0, 4], [17, 1]], ids=str)
def test_a_target_out_of_range_is_refused(rng, target):
    """There are classes 0 to 3: -1 is none, nor is 4, be it for all images or for one."""
    model = network(rng)
    with model_left_alone(model):
        refuses(smooth_grad, model, images(rng, 2),
                tensor(target) if isinstance(target, list) else target, 2, 0.1, seeded(rng),
                because=f"target {target} of 4 classes")  # fmt: skip
