"""The image a channel likes best: what `maximize_activation` must do, easiest first."""

from contextlib import suppress

import pytest
import torch
from torch import nn

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import model_left_alone, normal

pytestmark = pytest.mark.timeout(60)  # an answer that uses torch.optim waits for its import
maximize_activation = answer("maximize_activation")


def seeded(rng):
    """Two generators in the same state, not a fresh one: for the answer and for the suite."""
    seed = int(rng.integers(2**31))
    pair = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    for generator in pair:
        torch.rand(4, generator=generator)
    return pair


def network(rng):
    """Two convolutions with all that can go wrong between them, weights drawn from rng."""
    model = nn.Sequential()
    model.add_module("first", nn.Conv2d(2, 3, (2, 3)))
    model.add_module("relu", nn.ReLU(inplace=True))
    model.add_module("body", nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Conv2d(3, 4, 2)))
    model.add_module("end", nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(2), nn.Flatten()))
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(0.5 * normal(rng, *value.shape))
    model.body[0].running_var.copy_(0.5 + normal(rng, 3).abs())
    model.train()
    model.body[1].eval()  # modes differ, and each has to come back
    return model


def climbed(objective, start, steps, lr):
    """Plain gradient ascent, as the stub tells it."""
    image = start
    for _ in range(steps):
        leaf = image.clone().requires_grad_()
        image = image + lr * torch.autograd.grad(objective(leaf), leaf)[0]
    return image


def test_without_a_step_it_is_the_noise(rng):
    """steps = 0: 0.01 times normal noise from the generator, and nothing else."""
    mine, yours = seeded(rng)
    noise = 0.01 * torch.randn((1, 2, 5, 7), generator=mine)
    same(maximize_activation(network(rng), "first", 0, (1, 2, 5, 7), 0, 1.0, 0.0, yours), noise)


def test_one_step_by_hand(rng):
    """A 1x1 filter of weight 3 on 2x3 places: the mean rises by 3 / 6 with every pixel.

    So each pixel p goes to p + lr * (3 / 6 - l2 * 2 * p).
    """
    model = nn.Sequential(nn.Conv2d(1, 1, 1))
    nn.init.constant_(model[0].weight, 3.0)
    mine, yours = seeded(rng)
    p = 0.01 * torch.randn((1, 1, 2, 3), generator=mine)
    got = maximize_activation(model, "0", 0, (1, 1, 2, 3), 1, 0.1, 2.0, yours)
    same(got, p + 0.1 * (3 / 6 - 2.0 * 2 * p))


@pytest.mark.parametrize(("channel", "l2", "lr"), [(2, 0.0, 0.5), (1, 0.3, 0.5), (0, 0.5, 2.5)])
def test_a_few_steps_on_one_convolution(rng, channel, l2, lr):
    """Uphill on the mean of one channel's map, less l2 times the sum of squares.

    Each step is lr times the slope, however steep; with lr = 2.5 it steps over the top.
    """
    conv = nn.Conv2d(2, 3, (2, 3), bias=False)
    with torch.no_grad():
        conv.weight.copy_(10 * normal(rng, 3, 2, 2, 3))
    mine, yours = seeded(rng)
    start = 0.01 * torch.randn((1, 2, 5, 7), generator=mine)
    wanted = climbed(
        lambda x: conv(x)[0, channel].mean() - l2 * (x**2).sum(), start, 4, lr
    )  # fmt: skip
    got = maximize_activation(nn.Sequential(conv), "0", channel, (1, 2, 5, 7), 4, lr, l2, yours)
    same(got, wanted)


@pytest.mark.parametrize("named", [True, False], ids=["by name", "as a module"])
def test_a_layer_before_an_in_place_relu(rng, named):
    """The map is the layer's own output: where it is negative it counts as it is, not as 0."""
    model = network(rng)
    nn.init.constant_(model.first.bias, -9.0)
    mine, yours = seeded(rng)
    start = 0.01 * torch.randn((1, 2, 4, 6), generator=mine)
    wanted = climbed(lambda x: model.first(x)[0, 1].mean() - 0.1 * (x**2).sum(), start, 5, 0.4)
    layer = "first" if named else model.first
    same(maximize_activation(model, layer, 1, (1, 2, 4, 6), 5, 0.4, 0.1, yours), wanted)


@pytest.mark.parametrize("modes", ["mixed", "a part"])
@pytest.mark.parametrize("named", [True, False], ids=["by name", "as a module"])
def test_a_layer_deep_inside_runs_in_eval(rng, named, modes):
    """body.2 stands behind a ReLU, a batch norm and a dropout: all in eval, also a part alone."""
    model = network(rng).train(modes == "mixed")
    model.body[1].train(modes == "a part")
    mine, yours = seeded(rng)
    start = 0.01 * torch.randn((1, 2, 6, 5), generator=mine)
    conv, (bn, _, last) = model.first, model.body

    def objective(x):
        hidden = nn.functional.batch_norm(conv(x).relu(), bn.running_mean, bn.running_var,
                                          bn.weight, bn.bias)  # fmt: skip
        return last(hidden)[0, 3].mean() - 0.02 * (x**2).sum()

    layer = "body.2" if named else last
    got = maximize_activation(model, layer, 3, (1, 2, 6, 5), 6, 0.3, 0.02, yours)
    same(got, climbed(objective, start, 6, 0.3), tolerance=1e-3)


def test_one_filter_likes_its_own_picture_best(rng):
    """On an image of the kernel's size the result points where the filter points."""
    conv = nn.Conv2d(3, 4, (5, 4))
    model = nn.Sequential(conv, nn.ReLU(inplace=True))
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    got = maximize_activation(model, "0", 2, (1, 3, 5, 4), 60, 0.5, 0.01, generator).flatten()
    likeness = nn.functional.cosine_similarity(got, conv.weight[2].flatten(), 0).item()
    expect(likeness > 0.99, f"its cosine to the filter is {likeness:.3f}, expected above 0.99")


def test_l2_holds_the_image_small(rng):
    """The same climb with a larger l2 ends at a smaller image."""
    model, sizes = network(rng), []
    for l2 in (0.0, 0.1, 0.4):
        generator = torch.Generator().manual_seed(3)
        image = maximize_activation(model, "first", 0, (1, 2, 4, 6), 20, 0.5, l2, generator)
        sizes.append(image.norm().item())
    told = ", ".join(f"{size:.3g}" for size in sizes)
    falls = sizes[0] > sizes[1] > sizes[2]
    expect(falls, f"l2 of 0, 0.1 and 0.4 gives norms of {told}: they must fall", told)


def test_the_generator_alone_is_drawn_from(rng):
    """Same state, same image; another seed, another one; torch's global generator stands still."""
    model, before = network(rng), torch.get_rng_state()
    images = [
        maximize_activation(model, "first", 0, (1, 2, 4, 6), 2, 0.1, 0.0,
                            torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)
    ]  # fmt: skip
    same(images[1], images[0], what="the same state again")
    expect(not torch.equal(images[2], images[0]), "another seed gives the same image")
    expect(torch.equal(torch.get_rng_state(), before), "torch's global generator was drawn from")


@pytest.mark.parametrize("frozen", [False, True], ids=["trainable", "frozen"])
def test_the_model_comes_back_as_it_was(rng, frozen):
    """Modes, hooks, weights, statistics, requires_grad and .grad, and no caller's hook is lost."""
    model, calls = network(rng).requires_grad_(not frozen), []
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    model.first.register_forward_hook(lambda *_: calls.append(1))
    with model_left_alone(model):
        generator = torch.Generator().manual_seed(1)
        maximize_activation(model, "body.2", 1, (1, 2, 6, 5), 3, 0.1, 0.1, generator)
    expect(calls, "the caller's own hook on the layer did not run")


def test_the_model_comes_back_after_an_exception(rng):
    """A model that fails half-way is given back in its modes, without a hook of yours."""
    model = network(rng)

    def fail(*_):
        raise ArithmeticError("a layer that fails")

    model.end.register_forward_hook(fail)
    with model_left_alone(model), suppress(ArithmeticError):
        maximize_activation(model, "first", 0, (1, 2, 5, 5), 1, 0.1, 0.0, torch.Generator())


def test_it_works_under_no_grad_and_gives_a_detached_image(rng):
    """A caller may have switched gradients off; the result hangs on no graph."""
    model = network(rng)
    images = []
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled):
            generator = torch.Generator().manual_seed(2)
            images.append(
                maximize_activation(model, "first", 0, (1, 2, 4, 6), 3, 0.2, 0.1, generator)
            )
            kept = torch.is_grad_enabled() == enabled
            expect(kept, "the global grad mode is not as it was before the call")
    same(images[1], images[0], what="under no_grad")
    expect(not images[0].requires_grad, "the result requires a gradient: it is not detached")


@pytest.mark.parametrize("channel", [-1, -3, 3, 10])
def test_a_channel_that_is_not_there_is_refused(rng, channel):
    """The layer has channels 0 to 2: any other index is refused, also one from the end."""
    model = network(rng)
    with model_left_alone(model):
        refuses(maximize_activation, model, "first", channel, (1, 2, 5, 5), 1, 0.1, 0.0,
                torch.Generator(), because=f"channel {channel} of a layer with 3")  # fmt: skip


@pytest.mark.parametrize(
    "layer", ["last", "body.7", "end.1", "end.2", "idle", "a module of another model"]
)
def test_a_layer_without_maps_is_refused(rng, layer):
    """Not in the model, never run, or of other output than (N, C, H, W): a ValueError."""
    model = network(rng)
    model.first.register_module("idle", nn.Conv2d(2, 2, 1))
    asked = {"a module of another model": nn.Conv2d(2, 3, 1), "idle": "first.idle"}.get(
        layer, layer
    )
    with model_left_alone(model):
        refuses(maximize_activation, model, asked, 0, (1, 2, 5, 5), 1, 0.1, 0.0, torch.Generator(),
                because=f"the layer {layer}")  # fmt: skip


@pytest.mark.parametrize("shape", [(2, 2, 5, 5), (2, 5, 5), (1, 2, 5)])
def test_another_shape_is_refused(rng, shape):
    """It is one image: (1, C, H, W)."""
    refuses(maximize_activation, network(rng), "first", 0, shape, 1, 0.1, 0.0, torch.Generator(),
            because=f"shape {shape}")  # fmt: skip


def test_less_than_no_step_is_refused(rng):
    """steps begins at 0."""
    refuses(maximize_activation, network(rng), "first", 0, (1, 2, 5, 5), -1, 0.1, 0.0,
            torch.Generator(), because="-1 steps")  # fmt: skip
