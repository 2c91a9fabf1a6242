"""The convolution as a module: what `Conv2d` must do, easiest first."""

import copy
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import normal, same_gradients, same_state

Conv2d = answer("Conv2d")

# in_channels, out_channels, kernel_size, stride, padding
SIZES = [(1, 1, 1), (2, 3, 2), (3, 5, (2, 4)), (5, 2, 3, 2), (2, 4, 3, (1, 3)),
         (4, 3, (3, 1), 2, 1), (3, 6, (2, 3), (3, 2), (0, 2)), (6, 1, 4, 1, (3, 1))]  # fmt: skip


def built(*sizes, bias=True):
    """A fresh layer, once it is seen that its state_dict is that of torch's layer."""
    layer = Conv2d(*sizes) if bias else Conv2d(*sizes, bias=False)
    wanted = {name: tuple(t.shape) for name, t in nn.Conv2d(*sizes, bias=bias).state_dict().items()}
    same_state(layer, wanted, f"the state_dict of Conv2d{sizes}{'' if bias else ', bias=False'}")
    return layer


def filled(rng, layer, dtype=torch.float32):
    """The layer, in that dtype, after loading fresh numbers."""
    layer = layer.to(dtype)
    state = {name: normal(rng, *t.shape, dtype=dtype) for name, t in layer.state_dict().items()}
    layer.load_state_dict(state)
    return layer, state


def test_the_state_is_a_weight_and_a_bias():
    """weight (out_channels, in_channels, KH, KW) and bias (out_channels,): no more, no less."""
    for sizes in SIZES:
        built(*sizes)


def test_without_bias_there_is_only_a_weight(rng):
    """bias=False leaves it away: it is not in the state_dict, and nothing is added."""
    for sizes in SIZES:
        layer, state = filled(rng, built(*sizes, bias=False))
        x = normal(rng, 2, sizes[0], 9, 11)
        same(layer(x), F.conv2d(x, state["weight"], None, *sizes[3:]))


def test_one_place_by_hand():
    """A 1x2 kernel on a row of two cells, in two channels: products summed, and the bias."""
    layer = built(2, 1, (1, 2))
    layer.load_state_dict({"weight": torch.tensor([[[[1.0, -2]], [[3, 5]]]]),
                           "bias": torch.tensor([7.0])})  # fmt: skip
    x = torch.tensor([[[[2.0, 3]], [[10, -1]]]])
    same(layer(x), torch.tensor([[[[1 * 2 - 2 * 3 + 3 * 10 + 5 * -1 + 7.0]]]]))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_it_computes_what_torchs_layer_computes(rng, sizes):
    """Any sizes, strides and paddings, ints or pairs, one image or several, float32 or float64."""
    for dtype in (torch.float32, torch.float64):
        layer, state = filled(rng, built(*sizes), dtype)
        for n, height, width in [(3, 9, 11), (1, 8, 7)]:
            x = normal(rng, n, sizes[0], height, width, dtype=dtype)
            expected = F.conv2d(x, state["weight"], state["bias"], *sizes[3:])
            same(layer(x), expected)
            same(layer.eval()(x), expected, what="in eval mode")


def test_arguments_by_name(rng):
    """The arguments have the names of torch's layer and mean the same."""
    sizes = {"kernel_size": (2, 3), "in_channels": 3, "padding": (2, 0), "out_channels": 4}
    x = normal(rng, 2, 3, 8, 9)
    for more in ({"stride": (1, 2)}, {"bias": False}):
        mine, torchs = Conv2d(**sizes, **more), nn.Conv2d(**sizes, **more)
        mine.load_state_dict(torchs.state_dict())
        same(mine(x), torchs(x))


@pytest.mark.parametrize("bias", [True, False])
def test_arguments_in_a_row(rng, bias):
    """stride, padding and bias are the last three, in this order: there are no others."""
    layer, x = Conv2d(3, 4, (2, 3), (1, 2), (2, 0), bias), normal(rng, 2, 3, 8, 9)
    names = sorted(layer.state_dict())
    wanted = ["bias", "weight"][not bias :]
    told = f"Conv2d(3, 4, (2, 3), (1, 2), (2, 0), {bias}) has {names}, expected {wanted}"
    expect(names == wanted, told, names)
    state = layer.state_dict()
    same(layer(x), F.conv2d(x, state["weight"], state.get("bias"), (1, 2), (2, 0)))


def test_what_one_saves_the_other_loads(rng):
    """Each layer loads the other's state_dict, and then both compute the same."""
    mine, torchs, x = built(3, 4, (2, 5)), nn.Conv2d(3, 4, (2, 5)), normal(rng, 2, 3, 6, 9)
    mine.load_state_dict(torchs.state_dict())
    same(mine(x), torchs(x))
    fresh = built(3, 4, (2, 5))
    before = fresh(x)
    torchs.load_state_dict(fresh.state_dict())
    same(torchs(x), before, what="torch's layer with the state of a fresh Conv2d")
    same(copy.deepcopy(fresh)(x), before, what="a deep copy of the layer")


def test_all_its_numbers_are_parameters():
    """parameters() gives weight and bias, and an optimiser may change both."""
    for bias in (True, False):
        layer = built(2, 3, 4, bias=bias)
        names = [name for name, p in layer.named_parameters() if p.requires_grad]
        wanted = ["bias", "weight"][not bias :]
        expect(sorted(names) == wanted, f"{names} can be trained, expected {wanted}", names)


@pytest.mark.parametrize("sizes", SIZES[2::2], ids=str)
def test_gradients_reach_the_image_the_weight_and_the_bias(rng, sizes):
    """In float64: all three gradients are those of torch's own convolution."""
    layer, state = filled(rng, built(*sizes), torch.float64)
    same_gradients(
        lambda x, **state: functional_call(layer, state, (x,)),
        lambda x, weight, bias: F.conv2d(x, weight, bias, *sizes[3:]),
        {"x": normal(rng, 2, sizes[0], 8, 9)} | state,
    )


def test_it_learns_a_filter_from_examples(rng):
    """Gradient descent over parameters() brings the layer to what another one computes."""
    layer, (wanted, _) = built(2, 3, (2, 3)), filled(rng, built(2, 3, (2, 3)))
    x = normal(rng, 16, 2, 6, 7)
    expected, parameters, losses = wanted(x).detach(), list(layer.parameters()), []
    for _ in range(60):
        losses.append((layer(x) - expected).square().mean())
        slopes = torch.autograd.grad(losses[-1], parameters)
        with torch.no_grad():
            for parameter, slope in zip(parameters, slopes, strict=True):
                parameter -= 0.1 * slope
    first, last = losses[0].item(), losses[-1].item()
    told = f"the squared error falls from {first:.3g} to {last:.3g} only, in 60 steps"
    expect(last < 0.05 * first, told, (first, last))


@pytest.mark.parametrize("name", ["weight", "bias"])
@pytest.mark.parametrize("sizes", [(2, 3000, (3, 2)), (3, 4000, (1, 2)), (5, 2000, 1)], ids=str)
def test_a_fresh_layer_fills_its_range_evenly(rng, name, sizes):
    """Weights and biases are uniform between -1 and 1 over the root of fan_in."""
    fan_in = sizes[0] * (sizes[2][0] * sizes[2][1] if isinstance(sizes[2], tuple) else 1)
    torch.default_generator.manual_seed(int(rng.integers(2**31)))
    shares = built(*sizes).state_dict()[name].flatten().double() * fan_in**0.5
    low, high = shares.min().item(), shares.max().item()
    many = {"weight": "weights", "bias": "biases"}[name]
    range_ = f"{many} reach from {low:.3f} to {high:.3f} times 1/sqrt(fan_in), expected -1 to 1"
    expect(max(abs(low + 1), abs(high - 1)) < 0.02, range_, (f"{low:.2f}", f"{high:.2f}"))
    counts = torch.histc(shares, 8, -1, 1)
    least, most = (counts.min() / counts.mean()).item(), (counts.max() / counts.mean()).item()
    even = f"eighths of the range of {many} hold {least:.0%} to {most:.0%} of their even share"
    expect(least > 0.6 and most < 1.5, even, (f"{least:.1f}", f"{most:.1f}"))


def test_two_layers_begin_differently():
    """Each layer draws numbers of its own, and weight and bias are not the same numbers."""
    one, two = built(2, 3, 4), built(2, 3, 4)
    for name in ("weight", "bias"):
        a, b = (layer.state_dict()[name] for layer in (one, two))
        expect(not torch.equal(a, b), f"two fresh layers have the same {name}", name)
    spread = one.state_dict()["bias"].unique().numel()
    expect(spread == 3, f"the three biases of a fresh layer are {spread} different numbers", spread)
    kinds = one.state_dict()["weight"].unique().numel()  # of 96 two may fall together
    expect(kinds > 90, f"the 96 weights of a fresh layer are {kinds} different numbers", kinds)


def test_torchs_seed_decides_and_nothing_else():
    """The same seed of torch's default generator gives the same layer; it is not set anew."""
    states = []
    for seed in (5, 6, 5):
        torch.default_generator.manual_seed(seed)
        states.append(built(2, 3, 4).state_dict())
        after = torch.rand(1).item()
        states[-1]["next"] = after
    for name in ("weight", "bias"):
        again = torch.equal(states[0][name], states[2][name])
        expect(again, f"the same seed gives another {name}: it does not come from torch's default "
               "generator", ("again", name))  # fmt: skip
        other = not torch.equal(states[0][name], states[1][name])
        expect(other, f"seeds 5 and 6 give the same {name}", ("other", name))
    moved = states[0]["next"] != states[1]["next"]
    expect(moved, "the default generator is seeded inside: what is drawn next is always the same")


def test_forward_draws_nothing(rng):
    """Two calls give the same, in train mode too: the numbers are drawn once, in __init__."""
    layer, x = built(2, 3, 4), normal(rng, 2, 2, 6, 7)
    same(layer(x), layer(x).detach(), what="the second call")
    expect(layer(x).grad_fn is not None, "the result has no gradient: the graph is cut")


@pytest.mark.parametrize("kernel_size", [(3, 5), 9])
def test_repr_tells_the_sizes(kernel_size):
    """A printed network shows in_channels, out_channels and kernel_size of each layer."""
    sizes = {13, 17, *(kernel_size if isinstance(kernel_size, tuple) else [kernel_size])}
    text = repr(Conv2d(13, 17, kernel_size))
    missing = sorted(sizes - {int(n) for n in re.findall(r"\d+", text)})
    expect(not missing, f"repr gives {text!r:.60}, without {missing}", ("repr", missing))


@pytest.mark.parametrize(
    ("sizes", "because"),
    [((0, 4, 3), "in_channels 0"), ((-2, 4, 3), "in_channels -2"), ((4, 0, 3), "out_channels 0"),
     ((4, -1, 3), "out_channels -1"), ((4, 5, 0), "kernel_size 0"), ((4, 5, -3), "kernel_size -3"),
     ((4, 5, (0, 3)), "kernel_size (0, 3)"), ((4, 5, (3, 0)), "kernel_size (3, 0)")],
)  # fmt: skip
def test_a_size_below_1_is_refused(sizes, because):
    """Channels and kernel sizes are at least 1, each of them: a ValueError at construction."""
    refuses(Conv2d, *sizes, because=because)


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_an_image_of_other_channels_is_refused(rng, channels):
    """x must have the channels that the layer was built for: a ValueError in forward."""
    layer, because = built(3, 5, 2), f"{channels} channels instead of 3"
    refuses(layer, normal(rng, 2, channels, 6, 7), because=because)
    refuses(layer.eval(), normal(rng, 2, channels, 6, 7), because=f"{because}, in eval mode")
    layer(normal(rng, 2, 3, 6, 7))
