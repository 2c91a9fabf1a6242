"""How alike do two networks see? What `linear_cka` and `transfer_profile` must say."""

import copy
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn, tensor

from dojo.checks import answer, expect, refuses, same_value
from dojo.tensors import model_left_alone, normal

linear_cka = answer("linear_cka")
transfer_profile = answer("transfer_profile")


def cka(x, y):
    """The cosine of the two tables of dot products between centred rows."""
    x, y = (features.double() - features.double().mean(0) for features in (x, y))
    x, y = x @ x.T, y @ y.T
    return float((x * y).sum() / (x.norm() * y.norm()))


def features(rng, count, width, dtype=torch.float32):
    """Fresh features, none centred, some louder than others, some of them akin."""
    mix = normal(rng, width, width, dtype=dtype)
    return normal(rng, count, width, dtype=dtype) @ mix + 3 * normal(rng, width, dtype=dtype)


def test_one_feature_each_by_hand():
    """0, 1, 2 is -1, 0, 1 when centred, and 0, 3, 3 is -2, 1, 1: overlap 3, sizes 2 and 6.

    With one feature each it is their squared correlation: 3 * 3 / (2 * 6).
    """
    x, y = tensor([[0.0], [1.0], [2.0]]), tensor([[0.0], [3.0], [3.0]])
    same_value(linear_cka(x, y), 0.75, tolerance=1e-5)
    same_value(linear_cka(x, -5 * y), 0.75, tolerance=1e-5)


def test_two_features_against_one_by_hand():
    """Four images on a cross; y tells only the first two from the rest: 4 / (sqrt(8) * 2)."""
    x = tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]) + tensor([5.0, -2.0])
    y = tensor([[1.0], [-1.0], [0.0], [0.0]]) + 4
    same_value(linear_cka(x, y), 4 / (8**0.5 * 2), tolerance=1e-5)


@pytest.mark.parametrize(
    ("count", "f", "g"),
    [(9, 3, 5), (2, 4, 3), (5, 8, 2), (40, 1, 6), (6, 20, 31), (7, 4, 4), (200, 3, 4)],
)
def test_any_number_of_images_and_features(rng, count, f, g):
    """F and G need not be equal, and either may be larger than N."""
    y = features(rng, count, g)
    x = torch.tanh(y @ normal(rng, g, f) / 3) + features(rng, count, f)
    same_value(linear_cka(x, y), cka(x, y), tolerance=1e-4)
    same_value(linear_cka(y, x), cka(x, y), tolerance=1e-4)


def test_features_are_like_themselves(rng):
    """With itself a set of features gives 1."""
    x = features(rng, 12, 5)
    same_value(linear_cka(x, x.clone()), 1.0, tolerance=1e-4)


def test_rotation_order_scale_and_offset_do_not_matter(rng):
    """Features may be turned, renumbered, scaled as a whole, and shifted by a constant each."""
    x, y = features(rng, 15, 4), features(rng, 15, 6)
    turn = torch.linalg.qr(normal(rng, 6, 6))[0]
    for other in (y @ turn, y[:, torch.from_numpy(rng.permutation(6))], y * 250, y - 20):
        same_value(linear_cka(x, other), cka(x, y), tolerance=1e-4)
    same_value(linear_cka(y @ turn, y), 1.0, tolerance=1e-4)


@pytest.mark.parametrize(("factor", "dtype"), [(1e-3, torch.float32), (1e-6, torch.float64)])
def test_weak_features_are_compared_like_strong_ones(rng, factor, dtype):
    """Both a thousand or a million times smaller: the same number comes out."""
    x, y = features(rng, 10, 3, dtype), features(rng, 10, 4, dtype)
    same_value(linear_cka(x * factor, y * factor), cka(x, y), tolerance=1e-4)


def test_other_linear_maps_do_matter(rng):
    """A feature made a hundred times louder counts more: this is no canonical correlation."""
    x = normal(rng, 30, 4)
    louder = x * tensor([100.0, 1.0, 1.0, 1.0])
    same_value(linear_cka(x, louder), cka(x, louder), tolerance=1e-4)


def test_independent_features_have_little_in_common(rng):
    """With 1,000 images the chance overlap of a few features is below 0.05."""
    got = linear_cka(features(rng, 1000, 3) + 5, features(rng, 1000, 4) - 5)
    expect(got < 0.05, f"two independent sets of features give {got:.4f}, expected < 0.05", got)


def test_features_in_float64_count_with_all_their_digits(rng):
    """float64 is not rounded to float32 on the way."""
    x, y = features(rng, 8, 3, torch.float64), features(rng, 8, 5, torch.float64)
    got, expected = linear_cka(x, y), cka(x, y)
    expect(abs(got - expected) < 1e-11, f"got {got!r}, expected {expected!r}", got)


def test_a_feature_that_never_changes_is_harmless_beside_others(rng):
    """Dead units among living ones change nothing, nor do two images with the same features."""
    x, y = features(rng, 9, 3), features(rng, 9, 4)
    x[-1], y[1] = x[0], y[0]
    x[:, 1], y[:, 2] = 0.0, 4.0
    same_value(linear_cka(x, y), cka(x, y), tolerance=1e-4)


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("row", [(0.0, 0.0, 0.0), (2.0, 2.0, 2.0), (3.0, -1.0, 4.0),
                                 (0.1, 0.2, 0.7)])  # fmt: skip
def test_features_that_never_change_are_refused(rng, row, count):
    """All rows equal, zeros or not, in x or in y: there is nothing to compare, a ValueError.

    The mean of seven times 0.1 is not quite 0.1, so centred features need not be quite 0.
    """
    for dtype in (torch.float32, torch.float64):
        constant, y = tensor([row] * count, dtype=dtype), features(rng, count, 2, dtype)
        refuses(linear_cka, constant, y, because=f"an x of {count} times the row {row}")
        refuses(linear_cka, y, constant, because=f"a y of {count} times the row {row}")


@pytest.mark.parametrize(("n", "m"), [(5, 4), (4, 5), (6, 3)])
def test_different_numbers_of_images_are_refused(rng, n, m):
    """Row n of both must be the same image: different N is refused with a ValueError."""
    because = f"{n} rows against {m}"
    refuses(linear_cka, features(rng, n, 3), features(rng, m, 3), because=because)


class Broken(Exception):
    """No answer can mean this one."""


class Breaks(nn.Module):
    def forward(self, x):
        raise Broken("this layer breaks")


LAYERS = ["conv", "bn", "relu", "block", "block.0", "block.1", "block.2", "flat", "head"]


def network(width, *more):
    """Convolution, batch norm, layers in place, a nested part, 4 logits of (N, 2, 6, 5)."""
    block = nn.Sequential(nn.Conv2d(width, 3, (3, 2)), nn.ELU(inplace=True), nn.Dropout(0.4), *more)
    layers = OrderedDict(
        conv=nn.Conv2d(2, width, 3), bn=nn.BatchNorm2d(width), relu=nn.ReLU(inplace=True),
        block=block, flat=nn.Flatten(), head=nn.Linear(12, 4),
    )  # fmt: skip
    return nn.Sequential(layers)


def lived(rng, model):
    """With running statistics and gradients that are not those of a fresh model."""
    model(normal(rng, 8, 2, 6, 5) * 2 + 1).square().sum().backward()
    return model


def outputs(model, x):
    """Every layer's output in eval mode, by its name."""
    found = {}
    for name, layer in copy.deepcopy(model).eval().named_children():
        for inner, part in layer.named_children():
            found[f"{name}.{inner}"] = (x := part(x)).detach().clone()
        x = x if name == "block" else layer(x)
        found[name] = x.detach().clone()  # the next one may work in place
    return {name: output.flatten(1) for name, output in found.items()}


def test_a_number_for_every_layer_in_the_order_of_the_names(rng):
    """The CKA of what both networks make of x, at any layer, nested ones too, in any order."""
    a, b, x = lived(rng, network(4)), lived(rng, network(6)), normal(rng, 7, 2, 6, 5)
    one, other = outputs(a, x), outputs(b, x)
    for layers in (["conv"], ["head", "conv"], ["head", "block.0", "bn"], LAYERS, ["bn"] * 2):
        profile = transfer_profile(a, b, x, layers)
        kind = type(profile).__name__
        expect(kind == "list", f"the result is a {kind}, expected a list of floats", kind)
        count = f"{len(layers)} names gave {len(profile)} numbers"
        expect(len(profile) == len(layers), count, len(profile))
        for place, (name, got) in enumerate(zip(layers, profile, strict=True)):
            expected = cka(one[name], other[name])
            plain = isinstance(got, (float, np.floating))
            seen = f"{got:.5f}" if plain else f"{got!r}, no float"
            message = f"at [{place}], layer '{name}': got {seen}, expected {expected:.5f}"
            near = plain and abs(got - expected) < 1e-4
            expect(near, message, (name, got, profile))


def test_networks_that_share_early_layers_part_further_up(rng):
    """1 at the layers with common weights and statistics, less as soon as those are their own."""
    a, x = lived(rng, network(4)), normal(rng, 9, 2, 6, 5)
    b = copy.deepcopy(a)
    b.block, b.head = network(4).block, nn.Linear(12, 4)
    profile = transfer_profile(a, b, x, ["conv", "bn", "relu", "block", "head"])
    shared, own = min(profile[:3]), max(profile[3:])
    seen = ", ".join(f"{value:.4f}" for value in profile)
    expect(shared > 0.999, f"shared layers must give 1; the profile is {seen}", profile)
    expect(own < 0.99, f"layers of their own must give less; the profile is {seen}", profile)


def test_a_network_compared_with_itself(rng):
    """The same object may be handed in twice: 1 everywhere, in eval without dropout.

    It comes back as it was, in train mode.
    """
    model = lived(rng, network(5))
    with model_left_alone(model):
        profile = transfer_profile(model, model, normal(rng, 6, 2, 6, 5), LAYERS)
    same_value(profile, [1.0] * len(LAYERS), tolerance=1e-4)


@pytest.mark.parametrize("name", ["nowhere", "block.7", "conv.weight", "lock", "Conv"])
def test_a_name_that_is_no_layer_is_refused(rng, name):
    """A name without a submodule, in one of the models or in both, is refused: ValueError."""
    x, plain = normal(rng, 4, 2, 6, 5), network(4)
    because = f"layers ['bn', '{name}'], the second of which is no submodule"
    refuses(transfer_profile, plain, network(3), x, ["bn", name], because=because)


def test_a_layer_must_be_in_both_models(rng):
    """A layer that only one of the two has cannot be compared: a ValueError."""
    x, plain, longer = normal(rng, 4, 2, 6, 5), network(4), network(4, nn.Tanh())
    because = "layer 'block.3', which is only in the one model"
    refuses(transfer_profile, longer, plain, x, ["block.3"], because=because)
    refuses(transfer_profile, plain, longer, x, ["block.3"], because=because)


@pytest.mark.parametrize("modes", ["train", "eval", "mixed"])
@pytest.mark.parametrize("ending", ["well", "in an exception", "at an unknown layer", "constant"])
def test_both_models_come_back_as_they_were(rng, ending, modes):
    """Each submodule's own mode, statistics, weights, .grad, hooks, whatever happens inside."""
    a, b = lived(rng, network(4)), lived(rng, network(6))
    x, layers = normal(rng, 5, 2, 6, 5), ["head", "block.1"]
    for model in (a, b):
        model.block.append(Breaks() if ending == "in an exception" else nn.Identity())
        model.train(modes == "train")
        for place, module in enumerate(model.modules()):
            module.training = place % 3 == 0 if modes == "mixed" else module.training
        model.bn.register_forward_hook(lambda *args: None)
    layers += ["nowhere"] if ending == "at an unknown layer" else []
    x = x[:1] if ending == "constant" else x
    said = ""
    with model_left_alone(a), model_left_alone(b):
        try:
            transfer_profile(a, b, x, layers)
        except (Broken, ValueError) as error:
            said = type(error).__name__
    wanted = {"well": "", "in an exception": "Broken"}.get(ending, "ValueError")
    seen = f"ending {ending} it raised {said or 'nothing'}, expected {wanted or 'nothing'}"
    expect(said == wanted, seen, said)


@pytest.mark.parametrize("enabled", [True, False], ids=["on", "off"])
def test_autograd_is_as_the_caller_had_it(rng, enabled):
    """On stays on, off stays off."""
    torch.set_grad_enabled(enabled)
    transfer_profile(network(4), network(3), normal(rng, 4, 2, 6, 5), ["conv"])
    after = torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    expect(after == enabled, f"autograd enabled was {enabled}, after the call {after}", after)
