"""A skip that fits: what `make_shortcut` must build, easiest first."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import normal

make_shortcut = answer("make_shortcut")

CHANGES = [(3, 5, 1), (5, 3, 1), (4, 4, 2), (6, 10, 2), (7, 2, 2), (1, 4, 3), (3, 1, 1), (1, 1, 2),
           (2, 2, 3)]  # fmt: skip
SIZES = ("in_channels", "out_channels", "stride")
KINDS = ("bias", "kernel", "running_mean", "running_var", "weight")


def built(*sizes):
    """A copy of what is built, so that no test can see what another one did to it."""
    module = make_shortcut(*sizes)
    expect(isinstance(module, nn.Module), f"got {module!r:.40}, expected a module", repr(module))
    return copy.deepcopy(module)


def tensors(module):
    """What the module holds: (kind, name, tensor); counters, which have no axes, do not matter."""
    found = [(n.rpartition(".")[2], n, t) for n, t in module.state_dict().items() if t.dim()]
    return [("kernel" if t.dim() == 4 else kind, name, t) for kind, name, t in found]


def listed(module):
    return sorted(f"{kind} {tuple(t.shape)}" for kind, _, t in tensors(module))


def filled(rng, *sizes, dtype=torch.float32):
    """A shortcut with fresh weights and statistics, and copies of these by kind."""
    module, state = built(*sizes).to(dtype), {}
    for kind, _, tensor in tensors(module):
        tensor.copy_(normal(rng, *tensor.shape))
        if kind == "running_var":
            tensor.abs_()[0] = 0.004  # so small that eps can be seen
        state[kind] = tensor.clone()
    changes = sizes[0] != sizes[1] or sizes[2] > 1
    lacks = [kind for kind in KINDS if changes and kind not in state]
    expect(not lacks, f"the projection has no {', '.join(lacks)}", lacks)
    return module, state


def oracle(x, state, stride, training=False):
    """The projection written out; in training the statistics in `state` move on."""
    statistics = state["running_mean"], state["running_var"]
    maps = F.conv2d(x, state["kernel"], None, stride)
    return F.batch_norm(maps, *statistics, state["weight"], state["bias"], training, 0.1, 1e-5)


@pytest.mark.parametrize("channels", [3, 1, 6])
def test_where_nothing_changes_x_comes_out_as_it_went_in(rng, channels):
    """As many channels as before and stride 1: x passes as it is, and nothing is learned."""
    module, x = built(channels, channels, 1), normal(rng, 2, channels, 4, 5)
    expect(not listed(module), f"the identity holds {', '.join(listed(module))}", listed(module))
    same(module(x), x)
    same(module.eval()(x[:1]), x[:1])


@pytest.mark.parametrize("sizes", CHANGES)
def test_the_maps_fit_to_those_of_the_body(rng, sizes):
    """out_channels maps come out, H and W divided by the stride and rounded up."""
    module, (channels, out_channels, stride) = built(*sizes), sizes
    for height, width in [(4, 6), (7, 4), (6, 5), (9, 7)]:
        shape = tuple(module(normal(rng, 2, channels, height, width)).shape)
        wanted = (2, out_channels, -(-height // stride), -(-width // stride))
        expect(
            shape == wanted,
            f"channels {channels} -> {out_channels}, stride {stride}: maps of {height}x{width} "
            f"become {shape}, expected {wanted}",
            shape,
        )


@pytest.mark.parametrize("sizes", CHANGES)
def test_the_projection_is_a_1x1_convolution_and_a_batch_norm(sizes):
    """What changes is projected by one 1x1 kernel for each output, no bias, then batch norm."""
    got, (channels, out_channels, stride) = listed(built(*sizes)), sizes
    wanted = [f"{kind} ({out_channels},)" for kind in KINDS]
    wanted[1] = f"kernel ({out_channels}, {channels}, 1, 1)"
    extra = [name for name in got if name not in wanted or got.count(name) > 1]
    lacks = [name for name in wanted if name not in got]
    told = [f"{word}: {', '.join(dict.fromkeys(names))}"
            for word, names in (("too many", extra), ("missing", lacks)) if names]  # fmt: skip
    how = f"channels {channels} -> {out_channels}, stride {stride}"
    expect(got == wanted, f"{how}: {'; '.join(told)}", got)


@pytest.mark.parametrize("sizes", [(3, 5, 1), (4, 4, 2)])
def test_every_call_builds_a_module_of_its_own(sizes):
    """Two shortcuts of the same sizes share no weight and no statistic."""
    one, named = make_shortcut(*sizes), make_shortcut(**dict(zip(SIZES, sizes, strict=True)))
    places = {tensor.data_ptr() for _, _, tensor in tensors(one)}
    for two in (named, make_shortcut(*sizes)):
        shared = [name for _, name, tensor in tensors(two) if tensor.data_ptr() in places]
        expect(not shared, f"two shortcuts share {', '.join(shared)}", shared)


@pytest.mark.parametrize("sizes", [(3, 5, 1), (4, 4, 2)])
def test_a_fresh_batch_norm_starts_as_torchs(sizes):
    """Scale 1, shift 0, mean 0, variance 1: with a scale of 0 nothing of x would come through."""
    fresh = nn.BatchNorm2d(sizes[1]).state_dict()
    for kind, _, tensor in tensors(built(*sizes)):
        if kind in fresh:
            same(tensor, fresh[kind], what=f"{kind} of a fresh batch norm")


def test_one_pixel_by_hand():
    """Every second pixel times the kernel, less the mean, over the root of the variance."""
    module = built(1, 1, 2).eval()
    numbers = {"kernel": 3.0, "weight": 1.0, "bias": 0.0, "running_mean": 1.0, "running_var": 4.0}
    for kind, _, tensor in tensors(module):
        tensor.fill_(numbers[kind])
    x = torch.tensor([[[[1.0, 9, -5, 9], [9, 9, 9, 9]]]])
    expected = torch.tensor([[[[(3 * 1 - 1) / 4**0.5, (3 * -5 - 1) / 4**0.5]]]])
    same(module(x), expected)


def test_in_eval_the_running_statistics_normalise(rng):
    """Any weights, any statistics, a batch or one image: convolution, then batch norm, no more."""
    for sizes in CHANGES:
        module, state = filled(rng, *sizes)
        x = normal(rng, 3, sizes[0], 7, 6)
        before, expected = x.clone(), oracle(x, state, sizes[2])
        same(module.eval()(x), expected)
        same(module(x[1:2]), expected[1:2])
        same(x, before, what="x after the call")
        for kind, name, tensor in tensors(module):
            same(tensor, state[kind], what=f"{name} after a call in eval")


def test_in_training_the_batch_normalises(rng):
    """A fresh module trains: the batch's statistics normalise, the running ones move on."""
    for sizes in CHANGES[:5]:
        module, state = filled(rng, *sizes)
        for _ in range(2):
            x = normal(rng, 4, sizes[0], 5, 8)
            same(module(x), oracle(x, state, sizes[2], training=True))
        for kind, name, tensor in tensors(module):
            same(tensor, state[kind], what=f"{name} after two batches")


@pytest.mark.parametrize("sizes", [(3, 3, 1), (6, 2, 3)])
def test_gradients_flow_back_to_x_and_to_every_weight(rng, sizes):
    """In float64: the gradients of x, of the kernel and of the norm are those of the formula."""
    module, state = filled(rng, *sizes, dtype=torch.float64)
    x = normal(rng, 2, sizes[0], 7, 6, dtype=torch.float64).requires_grad_()
    weights = {kind: p for kind, p in state.items() if not kind.startswith("running")}
    for tensor in weights.values():
        tensor.requires_grad_()
    expected = oracle(x, state, sizes[2], training=True) if state else x * 1.0
    pull = normal(rng, *expected.shape, dtype=torch.float64)
    wanted = torch.autograd.grad((expected * pull).sum(), [x, *weights.values()])
    got = module(x)
    same(got, expected)
    expect(got.requires_grad, "the result has no gradient: the graph is cut", "cut")
    (got * pull).sum().backward()
    named = dict(module.named_parameters())
    learned = {kind: named.get(name) for kind, name, _ in tensors(module) if kind in weights}
    for (kind, leaf), gradient in zip({"x": x, **learned}.items(), wanted, strict=True):
        reached = leaf is not None and leaf.grad is not None
        expect(reached, f"no gradient reaches the {kind}: it cannot learn", ("none", kind))
        same(leaf.grad, gradient, tolerance=1e-6, what=f"gradient of {kind}")


@pytest.mark.parametrize(
    "sizes",
    [(0, 4, 1), (4, 0, 1), (4, 6, 0), (-1, 4, 1), (4, -2, 2), (4, 6, -1), (0, 0, 1), (-3, -3, 1),
     (4, 4, 0), (4, 4, -2), (0, 3, 2), (3, 0, 2)],
)  # fmt: skip
def test_a_size_below_1_is_refused(sizes):
    """in_channels, out_channels and stride are at least 1, each of them: else a ValueError."""
    because = ", ".join(f"{n} {v}" for n, v in zip(SIZES, sizes, strict=True) if v < 1)
    refuses(make_shortcut, *sizes, because=because)
