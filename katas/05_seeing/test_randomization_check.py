"""Does an explanation depend on the model? What `randomization_check` must do, easiest first."""

from contextlib import suppress

import pytest
import torch
from torch import nn

from dojo.checks import answer, expect, same_value
from dojo.tensors import model_left_alone, normal

randomization_check = answer("randomization_check")


def seeded(rng):
    return torch.Generator().manual_seed(int(rng.integers(2**31)))


class Network(nn.Module):
    """Parameters of 400 numbers in every kind of place, none of them constant."""

    def __init__(self, rng):
        super().__init__()
        self.conv = nn.Conv2d(4, 400, 1)
        self.norm = nn.BatchNorm2d(400)
        self.bare = nn.Parameter(torch.zeros(20, 20))
        self.drop = nn.Dropout(0.5)
        self.dense = nn.Linear(100, 400)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(normal(rng, *parameter.shape))
        self.conv.requires_grad_(False)  # frozen parameters are parameters
        self.eval()
        self.norm.train()  # modes differ


def planted(before, after):
    """An explainer of fixed maps: `before` for the weights it meets first, else `after`."""
    first = []

    def explainer(model, x, target):
        weights = torch.cat([p.detach().flatten() for p in model.parameters()])
        first[:] = first or [weights.clone()]
        return (before if torch.equal(weights, first[0]) else after).clone()

    return explainer


def compared(before, after, rng):
    """What is said of fixed maps, one for each image."""
    x = torch.zeros(len(before), 1, *before.shape[1:])
    return randomization_check(planted(before, after), Network(rng), x, 0, seeded(rng))


def checked(explainer, model, generator, x=None):
    x = torch.zeros(3, 1, 20, 20) if x is None else x
    return randomization_check(explainer, model, x, 0, generator)


def test_an_explainer_that_ignores_the_model_gets_1(rng):
    """Edges of the image are edges, whatever the weights: all maps stay the same."""
    x = normal(rng, 4, 2, 9, 7)

    def edges(model, x, target):
        return x.diff(dim=2).abs().sum(1)

    got = randomization_check(edges, Network(rng), x, 0, seeded(rng))
    same_value(got, 1.0, tolerance=1e-6)


def test_opposite_maps_get_minus_1(rng):
    """Where the map was high it is low now, and the other way round."""
    maps = 3 + normal(rng, 3, 6, 5)
    same_value(compared(maps, 20 - 2 * maps, rng), -1.0, tolerance=1e-6)


@pytest.mark.parametrize(
    ("after", "wanted"),
    [("constant", 0.0), ("zero", 0.0), ("same", 1.0), ("four", 0.25)],
)
def test_each_image_counts_by_itself(rng, after, wanted):
    """The mean over the images; a constant map counts 0, before as well as after."""
    a = normal(rng, 4, 7, 6) + torch.tensor([5.0, 20, 35, 70])[:, None, None]
    b = {
        "constant": torch.full_like(a, 0.1), "zero": torch.zeros_like(a), "same": a,
        "four": torch.stack([2 * a[0] + 30, -a[1] + 50, torch.full_like(a[2], 0.3), 7 * a[3]]),
    }[after]  # fmt: skip
    same_value(compared(a, b, rng), wanted, tolerance=1e-6)
    same_value(compared(b, a, rng), wanted, tolerance=1e-6)


def test_of_a_single_image_all_pixels_are_compared_at_once(rng):
    """Each row is turned around, each column agrees: together 15/17, or 0.6 of ranks."""
    a, b = torch.tensor([[[0.0, 1], [4, 5]]]), torch.tensor([[[1.0, 0], [5, 4]]])
    got = compared(a, b, rng)
    fits = min(abs(got - 15 / 17), abs(got - 0.6)) < 1e-6
    expect(fits, f"got {got:.3f}, expected 0.882 (Pearson) or 0.6 (Spearman)", got)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_scale_of_a_map_does_not_count(rng, scale):
    """Maps of 1e-12 are as good as any: the gradients of a network are often that faint."""
    a = normal(rng, 3, 6, 8)
    b = torch.stack([3 * a[0], -a[1], a[2]])
    same_value(compared(scale * a, scale * b, rng), 1 / 3, tolerance=1e-5)


NAMES = ["conv.weight", "conv.bias", "norm.weight", "norm.bias", "bare", "dense.weight",
         "dense.bias"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_drawn_anew(rng, name):
    """A map made of one parameter must not look like its old self: by chance at most 0.3."""

    def explainer(model, x, target):
        numbers = dict(model.named_parameters())[name].detach().flatten()[:400]
        return numbers.reshape(1, 20, 20).repeat(len(x), 1, 1)

    got = checked(explainer, Network(rng), seeded(rng))
    message = f"{name} and what became of it correlate by {got:.3f}: it was not drawn anew"
    expect(abs(got) < 0.3, message, (name, got > 0.999))


def test_a_parameter_of_equal_numbers_is_drawn_too(rng):
    """A fresh batch norm has weights of 1 and biases of 0, a PReLU has one slope: all change."""
    model, seen = nn.Sequential(nn.BatchNorm2d(3), nn.PReLU()), []

    def explainer(model, x, target):
        seen.append({name: p.detach().clone() for name, p in model.named_parameters()})
        return x[:, 0]

    old = {name: p.detach().clone() for name, p in model.named_parameters()}
    randomization_check(explainer, model, normal(rng, 2, 3, 4, 5), 0, seeded(rng))
    drawn = [{n for n, p in now.items() if (p != old[n]).all() and p.isfinite().all()}
             for now in seen]  # fmt: skip
    kept = sorted(old.keys() - set().union(*drawn))
    message = f"{', '.join(kept)}: the numbers are all equal, and were not drawn anew"
    expect(not kept, message, kept)


def saliency(model, x, target):
    """The slope of the summed first outputs; it relies on the caller's grad mode."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(model(x)[:, target].sum(), x)[0].abs().amax(1)


@pytest.mark.parametrize("run", range(3))
def test_the_saliency_of_a_small_network_notices(rng, run):
    """Its maps change, and the batch norm still works: the mean over 6 images is below 0.4."""
    x = normal(rng, 6, 3, 16, 16)
    around = {"padding": 1, "padding_mode": "circular"}  # a border would leave its mark on both
    model = nn.Sequential(nn.Conv2d(3, 8, 3, **around), nn.ReLU(), nn.Conv2d(8, 8, 3, **around),
                          nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
                          nn.Linear(2048, 4))  # fmt: skip
    got = randomization_check(saliency, model.eval(), x, run, seeded(rng))
    expect(got < 0.4, f"the saliency of two unlike networks correlates by {got:.3f}", got > 0.999)


def test_the_generator_decides(rng):
    """Same state, same number; another seed or further on, another; the global one stands still."""
    model, state = Network(rng), torch.get_rng_state()

    def explainer(model, x, target):
        return model.bare.detach().repeat(len(x), 1, 1)

    got = [checked(explainer, model, torch.Generator().manual_seed(seed)) for seed in (4, 4, 5)]
    expect(got[0] == got[1], f"the same state gives {got[0]:.4f} and {got[1]:.4f}", "unrepeatable")
    expect(got[0] != got[2], f"two seeds give the same {got[0]:.4f}: what was drawn?", "fixed")
    generator = torch.Generator().manual_seed(4)
    first, second = (checked(explainer, model, generator) for _ in range(2))
    message = f"asked again, the generator further on, it is the same {first:.4f}: drawn from what?"
    expect(first != second, message, "stands still")
    still = torch.equal(torch.get_rng_state(), state)
    expect(still, "torch's global generator was drawn from", "global")


@pytest.mark.parametrize("fails", [False, True], ids=["green", "the explainer fails"])
def test_the_model_keeps_its_weights(rng, fails):
    """Weights, modes, statistics, .grad and hooks are as before, also when the explainer fails."""
    model, calls = Network(rng), []
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)

    def explainer(model, x, target):
        calls.append(1)
        if fails and len(calls) > 1:
            raise ArithmeticError("half-way")
        return x[:, 0] + model.bare.detach()

    with model_left_alone(model), suppress(ArithmeticError):
        checked(explainer, model, seeded(rng), x=normal(rng, 3, 1, 20, 20))


@pytest.mark.parametrize("enabled", [True, False], ids=["gradients on", "no_grad"])
@pytest.mark.parametrize("target", [7, None, "any"])
def test_the_explainer_gets_model_x_and_target(rng, target, enabled):
    """Each call: x and target as they came, the model's own modes, the caller's grad mode."""
    x, model, seen = normal(rng, 2, 1, 20, 20), Network(rng), []
    modes = [module.training for module in model.modules()]

    def explainer(model, given, asked):
        same_modes = [module.training for module in model.modules()] == modes
        seen.append((torch.equal(given, x), asked == target, same_modes,
                     torch.is_grad_enabled() == enabled))  # fmt: skip
        return given[:, 0] * model.bare.detach()

    with torch.set_grad_enabled(enabled):
        randomization_check(explainer, model, x, target, seeded(rng))
    told = ("x", "the target", "the model's modes", "torch's grad mode")
    wrong = [name for name, *fine in zip(told, *seen, strict=True) if not all(fine)]
    expect(not wrong, f"{', '.join(wrong)} did not reach the explainer as handed in", wrong)
    expect(len(seen) >= 2, f"the explainer was called {len(seen)} times, twice is the least")
