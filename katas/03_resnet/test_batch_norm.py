"""Batch normalisation: what a channel becomes in training, what is kept, what eval does with it."""

import io

import pytest
import torch
from torch import nn, tensor

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import calls_none_of, normal, same_state

BatchNorm2d = answer("BatchNorm2d")

# N, C, H, W: all different, one with W = C and one with H = C, one image, one channel
SHAPES = [(2, 3, 4, 5), (3, 4, 2, 4), (2, 3, 3, 1), (1, 5, 2, 3), (4, 1, 3, 2)]
KEPT = ("running_mean", "running_var")


def checked(layer, channels):
    """The layer, if its state_dict holds what torch's layer holds."""
    torchs = nn.BatchNorm2d(channels).state_dict()
    same_state(layer, {name: tuple(t.shape) for name, t in torchs.items()}, "the state_dict")
    return layer


def twins(rng, channels, dtype=torch.float32, **settings):
    """The answer's layer and torch's, with the same fresh numbers in every tensor."""
    oracle = nn.BatchNorm2d(channels, **settings).to(dtype)
    with torch.no_grad():
        for name, kept in oracle.state_dict().items():
            if name != "num_batches_tracked":
                kept.copy_(normal(rng, channels, dtype=dtype))
        oracle.running_var.abs_().add_(0.2)
    layer = checked(BatchNorm2d(channels, **settings), channels).to(dtype)
    layer.load_state_dict(oracle.state_dict())
    return layer, oracle


def spread(rng, *shape, dtype=torch.float32):
    """Every channel with a mean and a deviation of its own, the first one hardly varying."""
    deviation = torch.linspace(1.0, 3.0, shape[1], dtype=dtype)
    deviation[0] = 0.05
    mean = normal(rng, shape[1], dtype=dtype)
    mean[0] *= 0.2  # else mean(x * x) - mean(x) ** 2 is left without digits, and by luck
    return normal(rng, *shape, dtype=dtype) * deviation[:, None, None] + mean[:, None, None]


def kept_as(layer, oracle, when, tolerance=1e-4):
    for name in (*KEPT, "num_batches_tracked"):
        got, wanted = getattr(layer, name).detach(), getattr(oracle, name)
        same(got, wanted, tolerance=tolerance, what=f"{name} {when}")


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_torchs_own_batch_norm_stays_out(rng, training):
    """The layer is yours: means, variances and sums are free, a ready batch norm is not."""
    layer = BatchNorm2d(3).train(training)
    why = "write out what it does, with means and variances"
    calls_none_of(("batch_norm",), why, layer, spread(rng, 2, 3, 4, 5))


def test_two_channels_by_hand():
    """Channel 0 holds 1 and 3: mean 2, variance 1. Channel 1 holds 0 and 8: mean 4, variance 16."""
    x = tensor([1.0, 0, 3, 8]).reshape(2, 2, 1, 1)
    result = BatchNorm2d(2, eps=0.0)(x)
    same(result.detach(), tensor([-1.0, -1, 1, 1]).reshape(2, 2, 1, 1))


def test_what_is_kept_by_hand():
    """Mean 0 and variance 1 at first: a quarter of what each batch has, unbiased, goes in."""
    layer = BatchNorm2d(1, momentum=0.25)
    layer(tensor([5.0, 11]).reshape(2, 1, 1, 1))  # mean 8, unbiased variance 18
    layer(tensor([1.0, 3]).reshape(2, 1, 1, 1))  # mean 2, unbiased variance 2
    mean, variance = 0.25 * 8, 0.75 * 1 + 0.25 * 18
    mean, variance = 0.75 * mean + 0.25 * 2, 0.75 * variance + 0.25 * 2
    same(layer.running_mean.detach(), tensor([mean]), what="running_mean after two batches")
    same(layer.running_var.detach(), tensor([variance]), what="running_var after two batches")


def test_the_state_dict_is_torchs():
    """weight, bias, running_mean, running_var, num_batches_tracked: (C,) but the counter."""
    layer = checked(BatchNorm2d(3), 3)
    for name, wanted in nn.BatchNorm2d(3).state_dict().items():
        same(layer.state_dict()[name], wanted, what=f"{name} of a fresh layer")
    trained = sorted(name for name, _ in layer.named_parameters())
    expect(trained == ["bias", "weight"], f"the parameters are {', '.join(trained) or 'none'}, "
           "expected bias and weight", trained)  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_training_gives_what_torch_gives(rng, shape):
    """Measured over images, rows and columns; divided by the count; then weight and bias."""
    layer, oracle = twins(rng, shape[1])
    x = spread(rng, *shape)
    same(layer(x).detach(), oracle(x).detach(), tolerance=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_eval_gives_what_torch_gives(rng, shape):
    """The running statistics normalise, whatever the batch holds; nothing is updated."""
    layer, oracle = twins(rng, shape[1])
    x = spread(rng, *shape)
    same(layer.eval()(x).detach(), oracle.eval()(x).detach(), tolerance=1e-4)
    kept_as(layer, oracle, "after a call in eval")


@pytest.mark.parametrize("momentum", [0.1, 0.7, 0.0])
def test_several_batches_are_remembered(rng, momentum):
    """Old values fade by 1 - momentum, the batch's mean and unbiased variance enter by momentum."""
    layer, oracle = twins(rng, 3, momentum=momentum)
    for batch, size in enumerate([(2, 3, 2, 2), (5, 3, 1, 3), (1, 3, 4, 1)], 1):
        x = spread(rng, *size)
        layer.train()(x), oracle.train()(x)
        kept_as(layer, oracle, f"after batch {batch}")
        got, expected = layer.eval()(x).detach(), oracle.eval()(x).detach()
        same(got, expected, tolerance=1e-4, what=f"eval after batch {batch}")
    kept_as(layer, oracle, "after batches and evals in turn")


def test_eps_comes_before_momentum():
    """BatchNorm2d(1, 3.0, 0.25) has an eps of 3 and a momentum of 0.25, as torch's would."""
    layer = BatchNorm2d(1, 3.0, 0.25)
    result = layer(tensor([1.0, 3]).reshape(2, 1, 1, 1)).detach().flatten()
    same(result, tensor([-0.5, 0.5]), what="with eps 3.0 and momentum 0.25 told by place")
    same(layer.running_mean.detach(), tensor([0.25 * 2]), what="running_mean")


def test_eps_is_not_remembered(rng):
    """It steadies the division alone: the running variance is that of the numbers."""
    layer, oracle = twins(rng, 3, eps=0.5)
    x = spread(rng, 4, 3, 2, 5)
    layer(x), oracle(x)
    kept_as(layer, oracle, "after a batch with eps 0.5")


@pytest.mark.parametrize("frozen", [False, True], ids=["no_grad", "frozen"])
def test_statistics_are_kept_without_a_graph_too(rng, frozen):
    """Under no_grad, or with weight and bias frozen, train measures and remembers, in float64."""
    layer, oracle = twins(rng, 3, torch.float64)
    x = spread(rng, 4, 3, 2, 5, dtype=torch.float64)
    with torch.set_grad_enabled(frozen):
        same(layer.requires_grad_(not frozen)(x).detach(), oracle(x).detach(), tolerance=1e-4)
    kept_as(layer, oracle, f"after a batch {'with frozen weights' if frozen else 'under no_grad'}")


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("eps", [1e-5, 1e-3, 0.5, 0.0])
def test_eps_joins_the_variance_under_the_root(rng, eps, training):
    """1 / sqrt(variance + eps), with the eps that was given: it shows where little varies."""
    layer, oracle = twins(rng, 2, torch.float64, eps=eps)
    oracle.eps = max(eps, 1e-30)  # torch's own training refuses 0
    with torch.no_grad():
        for kept in (layer, oracle):
            kept.running_var.copy_(tensor([1e-4, 3.0]))
    x = spread(rng, 3, 2, 4, 1, dtype=torch.float64)
    same(layer.train(training)(x).detach(), oracle.train(training)(x).detach(), tolerance=1e-7)


def test_a_channel_that_does_not_vary_becomes_the_bias(rng):
    """x - mean is 0 there, and eps keeps the division from 0 / 0."""
    layer, _ = twins(rng, 2, torch.float64)  # in float32 x * 300 - mean * 300 leaves a rest
    x = torch.full((2, 2, 3, 2), 0.5, dtype=torch.float64)
    bias = layer.bias.detach()[:, None, None]
    same(layer(x).detach(), bias.expand(2, 2, 3, 2).clone())


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_gradients_are_torchs(rng, training):
    """Of x, weight and bias, in float64: in training also through mean and variance."""
    layer, oracle = (twin.train(training) for twin in twins(rng, 3, torch.float64))
    x = spread(rng, 2, 3, 4, 2, dtype=torch.float64)
    pull = normal(rng, *x.shape, dtype=torch.float64)
    gradients = {}
    for who, twin in (("got", layer), ("wanted", oracle)):
        leaf = x.clone().requires_grad_()
        result = twin(leaf)
        expect(result.requires_grad, "the result has no gradient: the graph is cut", ("graph",))
        (result * pull).sum().backward()
        gradients[who] = {"x": leaf.grad, "weight": twin.weight.grad, "bias": twin.bias.grad}
    for name, wanted in gradients["wanted"].items():
        got = gradients["got"][name]
        expect(got is not None, f"no gradient reaches {name}", ("none", name))
        same(got, wanted, tolerance=1e-6, what=f"gradient of {name}")


def test_what_is_kept_takes_no_part_in_gradients(rng):
    """Two batches, one backward pass after each: no graph is kept from the first."""
    layer, _ = twins(rng, 3)
    for _ in range(2):
        layer(spread(rng, 2, 3, 2, 2).requires_grad_()).square().sum().backward()
        for name in KEPT:
            held = getattr(layer, name).requires_grad
            expect(not held, f"{name} is part of a graph after a batch: it needs no gradient", name)


def test_a_saved_layer_comes_back(rng):
    """What was remembered is in the state_dict, and a new layer goes on from there."""
    layer, oracle = twins(rng, 3)
    x = spread(rng, 2, 3, 3, 2)
    layer(x), oracle(x)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    again = BatchNorm2d(3)
    again.load_state_dict(torch.load(file))
    same(again.eval()(x).detach(), oracle.eval()(x).detach(), tolerance=1e-4)
    torchs = nn.BatchNorm2d(3)
    torchs.load_state_dict(layer.state_dict())
    kept_as(torchs, oracle, "in the state_dict after a batch")


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_x_may_be_a_view(rng, training):
    """Rows and columns exchanged, or a part of larger maps: what counts are the numbers."""
    layer, oracle = (twin.train(training) for twin in twins(rng, 3))
    x = spread(rng, 2, 3, 5, 8)
    for view in (x.transpose(2, 3), x[:, :, 1:, ::2]):
        same(layer(view).detach(), oracle(view).detach(), tolerance=1e-4)


def test_layers_do_not_share_what_they_keep(rng):
    """A batch through one layer leaves another one as it was."""
    first, second = BatchNorm2d(2), BatchNorm2d(2)
    first(spread(rng, 3, 2, 2, 2))
    kept_as(second, nn.BatchNorm2d(2), "of another layer")


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_x_is_not_changed(rng, training):
    """x belongs to the caller."""
    layer, _ = twins(rng, 3)
    x = spread(rng, 2, 3, 2, 4)
    before = x.clone()
    layer.train(training)(x)
    same(x, before, what="x after the call")


def test_eval_takes_one_value():
    """In eval nothing is measured: one image of one pixel is enough."""
    layer = BatchNorm2d(2).eval()
    x = tensor([2.0, -1]).reshape(1, 2, 1, 1)
    same(layer(x).detach(), x / (1 + 1e-5) ** 0.5)


def test_one_image_is_a_batch(rng):
    """A channel of one image has as many values as pixels: that can be measured."""
    layer, oracle = twins(rng, 2)
    x = spread(rng, 1, 2, 3, 4)
    same(layer(x).detach(), oracle(x).detach(), tolerance=1e-4)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("shape", [(4,), (2, 4), (4, 3, 2), (2, 4, 3, 2, 2)])
def test_x_without_four_axes_is_refused(shape, training):
    """x is (N, C, H, W)."""
    refuses(BatchNorm2d(4).train(training), torch.ones(shape), because=f"x of shape {shape}")


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_other_channels_are_refused(channels, training):
    """x has num_features channels; a single one would spread over all by broadcasting."""
    layer = BatchNorm2d(4).train(training)
    refuses(layer, torch.ones(2, channels, 3, 2), because=f"{channels} channels, not 4")
    kept_as(layer, nn.BatchNorm2d(4), "after a refusal")


def test_one_value_a_channel_is_refused_in_training():
    """One value has no variance."""
    layer = BatchNorm2d(3)
    refuses(layer, torch.ones(1, 3, 1, 1), because="one value a channel in training")
    kept_as(layer, nn.BatchNorm2d(3), "after a refusal")
