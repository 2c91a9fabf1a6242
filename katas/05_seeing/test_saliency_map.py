"""Which pixels move the score: what `saliency_map` must do, easiest first."""

import copy

import pytest
import torch
from torch import nn, tensor

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import model_left_alone, normal

pytestmark = pytest.mark.timeout(60)  # an answer that uses torch.func waits for its import
saliency_map = answer("saliency_map")


def linear(weight):
    """A model whose logits are weighted sums of all values: weight is (K, C, H, W)."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(weight[0].numel(), len(weight)))
    with torch.no_grad():
        model[1].weight.copy_(weight.flatten(1))
        model[1].bias.zero_()
    return model


def network(rng, *more):
    """Convolutions, batch norm, dropout, one ReLU in place for all; modes mixed, all fresh."""
    relu = nn.ReLU(inplace=True)
    body = nn.Sequential(nn.BatchNorm2d(4), relu, nn.Dropout(0.5))
    end = nn.Sequential(nn.Conv2d(4, 5, 2), relu, *more, nn.Flatten())
    model = nn.Sequential(nn.Conv2d(3, 4, (2, 3)), body, end, nn.Linear(5 * 3 * 4, 4)).double()
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(normal(rng, *value.shape))
    body[0].running_var.abs_().add_(0.5)
    model[1][0].eval(), relu.eval()
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


def predicted(model, x):
    with torch.no_grad():
        return copy.deepcopy(model).eval()(x).argmax(1)


def test_a_weighted_sum_reacts_by_its_weights():
    """Class 1 weighs two channels by 1, -5, 2 and 3, 4, -6: the largest in size are 3, 5 and 6."""
    model = linear(tensor([[[[9.0, 8, 0]], [[0, 8, 9]]], [[[1, -5, 2]], [[3, 4, -6]]]]))
    x = tensor([[[[0.2, 0.1, -0.1]], [[0.1, 0.3, 0.2]]]])
    same(saliency_map(model, x, 1), tensor([[[3.0, 5, 6]]]))


@pytest.mark.parametrize("target", [1, 2, 0])
def test_the_target_says_which_class(rng, target):
    """One class for all images: the map belongs to its logit, whatever is predicted."""
    weight = normal(rng, 3, 2, 4, 5)
    wanted = weight[target].abs().amax(0).expand(2, 4, 5)
    same(saliency_map(linear(weight), normal(rng, 2, 2, 4, 5), target), wanted)


@pytest.mark.parametrize("targets", [[2, 0, 3, 0], [1, 1, 2, 3], [3, 2, 0, 1]])
def test_every_image_may_have_a_target_of_its_own(rng, targets):
    """(N,) targets: one for each image."""
    weight = normal(rng, 4, 3, 2, 5)
    got = saliency_map(linear(weight), normal(rng, 4, 3, 2, 5), tensor(targets))
    same(got, weight[targets].abs().amax(1))


def test_without_a_target_it_is_the_predicted_class(rng):
    """Each image's largest logit: here class 2, 0 and 1, and -9 is not large."""
    weight = normal(rng, 3, 1, 2, 3).abs() + 0.5
    logits = tensor([[1.0, -9, 5], [3, 1, 2], [-2, -1, -8]])
    x = torch.linalg.lstsq(weight.flatten(1), logits.T).solution.T.reshape(3, 1, 2, 3)
    same(saliency_map(linear(weight), x), weight[[2, 0, 1]].abs().amax(1))


def test_a_single_class_and_a_single_pixel():
    """One image of one pixel, one channel, one class: still (N, H, W)."""
    same(saliency_map(linear(tensor([[[[-3.0]]]])), tensor([[[[2.0]]]])), tensor([[[3.0]]]))


def test_a_sure_network_has_a_map_all_the_same(rng):
    """With logits of 500 and more apart probabilities stand still. The logit does not."""
    weight = normal(rng, 3, 2, 4, 5)
    weight[1] = weight[1].abs() + 1
    x = torch.full((2, 2, 4, 5), 100.0)
    same(saliency_map(linear(weight), x), weight[[1, 1]].abs().amax(1), tolerance=1e-4)


def test_a_network_asked_in_eval(rng):
    """The gradient runs through all layers; no unit is dropped, running statistics are used."""
    model, x = network(rng), images(rng, 3)
    wanted = slopes(model, x, [3, 0, 1])
    same(saliency_map(model, x, tensor([3, 0, 1])), wanted, tolerance=1e-6)
    same(saliency_map(model, x), slopes(model, x, predicted(model, x)), tolerance=1e-6)


def test_batch_norm_runs_in_eval_whatever_its_mode(rng):
    """All submodules are in eval, wherever they are: batch norm does not look at the batch."""
    model, x = network(rng).train(), images(rng, 4)
    model[1][2].eval()
    same(saliency_map(model, x, 2), slopes(model, x, [2] * 4), tolerance=1e-6)


def test_the_prediction_is_made_in_eval(rng):
    """Without a target the model says in eval what it sees, and comes back as it was."""
    model, x = network(rng).train(), images(rng, 16)
    with model_left_alone(model):
        got = saliency_map(model, x)
    same(got, slopes(model, x, predicted(model, x)), tolerance=1e-6)


def test_alone_as_in_a_batch(rng):
    """An image's map does not hang on the other images, and is as strong as alone."""
    model, x = network(rng), images(rng, 5)
    alone = torch.cat([saliency_map(model, image, 1) for image in x.split(1)])
    same(saliency_map(model, x, 1), alone, tolerance=1e-6)


def test_asked_again_it_says_the_same(rng):
    """Nothing adds up from one call to the next."""
    model, x = network(rng), images(rng, 2)
    first = saliency_map(model, x, 3).clone()
    same(saliency_map(model, x, 3), first, tolerance=1e-6, what="asked again")


def test_float32_stays_float32(rng):
    """The map has the dtype of x."""
    model, x = network(rng), images(rng, 2)
    wanted = slopes(model, x, [1, 2])
    got = saliency_map(model.float(), x.float(), tensor([1, 2]))
    expect(got.dtype == torch.float32, f"the dtype is {got.dtype}, expected float32", got.dtype)
    same(saliency_map(model.double(), x, tensor([1, 2])), wanted, tolerance=1e-6)


@pytest.mark.parametrize("modes", ["eval", "train", "mixed", "a part"])
@pytest.mark.parametrize("frozen", [False, True], ids=["trainable", "frozen"])
def test_the_model_comes_back_as_it_was(rng, frozen, modes):
    """Each submodule's mode, numbers, requires_grad, .grad and hooks; frozen models work too."""
    model, x = network(rng).requires_grad_(not frozen), images(rng, 2)
    model = model if modes == "mixed" else model.train(modes == "train")
    model[1][2].train(modes != "eval")  # of "a part" it is all that trains, the root does not
    model[0].weight.grad = torch.ones_like(model[0].weight)
    with model_left_alone(model):
        got = saliency_map(model, x, 0)
    same(got, slopes(model, x, [0, 0]), tolerance=1e-6)


def test_the_callers_hooks_run(rng):
    """Hooks that the caller has put on a layer stay and do their work."""
    model, calls = network(rng), []
    model[2].register_forward_hook(lambda *_: calls.append("a layer"))
    model.register_forward_hook(lambda *_: calls.append("the model"))
    with model_left_alone(model):
        saliency_map(model, images(rng, 2))
    for place in ("a layer", "the model"):
        expect(place in calls, f"the caller's own hook on {place} did not run", calls)


def test_x_keeps_its_own_gradient(rng):
    """An x that the caller has marked, with a .grad, comes back just so."""
    model, x = network(rng), images(rng, 2).requires_grad_()
    x.grad = torch.ones_like(x)
    same(saliency_map(model, x, 1), slopes(model, x.detach(), [1, 1]), tolerance=1e-6)


@pytest.mark.parametrize("enabled", [True, False], ids=["grad on", "grad off"])
def test_gradients_may_be_switched_off(rng, enabled):
    """A caller under no_grad gets the same map, and finds autograd as it was."""
    model, x = network(rng), images(rng, 2)
    wanted = slopes(model, x, [2, 2])
    with torch.set_grad_enabled(enabled):
        got, kept = saliency_map(model, x, 2), torch.is_grad_enabled()
    same(got, wanted, tolerance=1e-6)
    expect(not got.requires_grad, "the map requires a gradient: it is not detached")
    words = {True: "on", False: "off"}
    expect(kept == enabled, f"autograd was {words[enabled]} and is {words[kept]} after it", kept)


class Breaks(nn.Module):
    def forward(self, x):
        raise ArithmeticError("this layer fails")


@pytest.mark.parametrize("enabled", [True, False], ids=["grad on", "grad off"])
def test_an_exception_of_the_model_leaves_no_trace(rng, enabled):
    """A model that fails half-way: its exception reaches the caller, all modes are back."""
    model, got = network(rng, Breaks()), "it returned a map"
    with model_left_alone(model), torch.set_grad_enabled(enabled):
        try:
            saliency_map(model, images(rng, 2), 0)
        except ArithmeticError as error:
            got = str(error)
        kept = torch.is_grad_enabled()
    expect(got == "this layer fails", f"a layer raised ArithmeticError, and {got}", got)
    expect(kept == enabled, "autograd is not as it was before the exception", kept)


@pytest.mark.parametrize(
    "target", [-1, 4, -4, 9, [1, -1], [-4, 1], [0, 4], [4, 0], [17, 1]], ids=str
)
def test_a_target_out_of_range_is_refused(rng, target):
    """There are classes 0 to 3: -1 is none, nor is 4, be it for all images or for one."""
    model = network(rng)
    with model_left_alone(model):
        refuses(saliency_map, model, images(rng, 2),
                tensor(target) if isinstance(target, list) else target,
                because=f"target {target} of 4 classes")  # fmt: skip
