"""The block of ResNet-18: what `BasicBlock` must do, easiest first."""

import functools

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import normal, own_work, same_gradients, same_state

BasicBlock = answer("BasicBlock")

# in_channels, out_channels and the stride, left out where it is 1 of itself
KINDS = [(6, 6), (6, 10, 2), (6, 10), (10, 6, 1), (4, 4, 2), (1, 1), (3, 2, 3)]
NORM = ("weight", "bias", "running_mean", "running_var")
MODES = pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])


@functools.cache
def tensors(channels, out_channels, stride=1):
    """Every tensor of torchvision's block by name, its numbers as yet without meaning."""
    layers = nn.ModuleDict(
        {"bn1": nn.BatchNorm2d(out_channels), "bn2": nn.BatchNorm2d(out_channels)}
    )
    layers["conv1"] = nn.Conv2d(channels, out_channels, 3, bias=False)
    layers["conv2"] = nn.Conv2d(out_channels, out_channels, 3, bias=False)
    if channels != out_channels or stride > 1:
        projection = nn.Conv2d(channels, out_channels, 1, bias=False)
        layers["downsample"] = nn.Sequential(projection, nn.BatchNorm2d(out_channels))
    return layers.state_dict()


def built(*sizes):
    """A block, if its tensors are those of torchvision's."""
    block = BasicBlock(*sizes)
    wanted = {name: tuple(tensor.shape) for name, tensor in tensors(*sizes).items()}
    same_state(block, wanted, f"BasicBlock{sizes}")
    return block


def filled(rng, *sizes, dtype=torch.float32):
    """A block with fresh weights and statistics, and copies of these by name."""
    block, state = built(*sizes).to(dtype), dict(tensors(*sizes))
    for name in (name for name, tensor in state.items() if tensor.dim()):
        state[name] = normal(rng, *state[name].shape, dtype=dtype)
        if name.endswith("running_var"):
            state[name] = state[name].abs() + 0.02
            state[name][0] = 0.004  # so small that eps can be seen
    block.load_state_dict(state)
    return block, state


def oracle(x, state, stride=1, training=False):
    """The block written out; in training the statistics in `state` move on."""

    def norm(maps, name):
        weight, bias, mean, var = (state[f"{name}.{kind}"] for kind in NORM)
        return F.batch_norm(maps, mean, var, weight, bias, training, 0.1, 1e-5)

    skip = x
    if "downsample.0.weight" in state:
        skip = norm(F.conv2d(x, state["downsample.0.weight"], None, stride), "downsample.1")
    body = F.relu(norm(F.conv2d(x, state["conv1.weight"], None, stride, 1), "bn1"))
    return F.relu(norm(F.conv2d(body, state["conv2.weight"], None, 1, 1), "bn2") + skip)


def test_the_layers_have_the_names_and_shapes_of_torchvisions():
    """conv1, bn1, conv2, bn2, and downsample.0 and .1 where x must be projected; no biases."""
    for sizes in KINDS:
        built(*sizes)


def test_it_is_a_block_of_your_own():
    """torchvision's block, also one that inherits from it, is no answer."""
    own_work(BasicBlock(in_channels=6, out_channels=10, stride=2))


@pytest.mark.parametrize("sizes", KINDS)
def test_the_size_is_divided_by_the_stride_and_rounded_up(rng, sizes):
    """(N, out_channels, H / stride, W / stride), one image or several, odd sizes and even."""
    block, (channels, out_channels, stride) = BasicBlock(*sizes), (*sizes, 1)[:3]
    for images, height, width in [(1, 8, 6), (3, 9, 7), (2, 4, 9)]:
        shape = tuple(block(normal(rng, images, channels, height, width)).shape)
        wanted = (images, out_channels, -(-height // stride), -(-width // stride))
        came = f"stride {stride}: {shape} comes out of maps of {height}x{width}"
        expect(shape == wanted, f"{came}, expected {wanted}", (stride, shape))


@MODES
def test_x_is_not_changed(rng, training):
    """x belongs to the caller: no ReLU and no sum may work on it in place."""
    for sizes in KINDS[:2]:
        block, x = filled(rng, *sizes)[0].train(training), normal(rng, 2, sizes[0], 5, 4)
        before = x.clone()
        with torch.set_grad_enabled(training):
            result = block(x)
        changed = int((x != before).sum())
        seen = f"{changed} of {x.numel()} cells of the caller's x are changed in place"
        expect(not changed, seen, torch.cat([x.flatten(), result.detach().flatten()]))


def test_one_pixel_by_hand():
    """relu(bn2(conv2(relu(bn1(conv1(x))))) + x), for five images of a single pixel."""
    block = built(1, 1).eval()
    numbers = {name: torch.full_like(t, 9) for name, t in tensors(1, 1).items()}
    for name, centre in (("conv1", 3.0), ("conv2", -1.0)):
        numbers[f"{name}.weight"][0, 0, 1, 1] = centre  # the rest sees padding alone
    for name, *four in (("bn1", 1.0, 0.0, 1.0, 4.0), ("bn2", 4.0, 3.0, -1.0, 4.0)):
        for kind, number in zip(NORM, four, strict=True):
            numbers[f"{name}.{kind}"].fill_(number)
    block.load_state_dict(numbers)
    x = torch.tensor([-1.0, -7, 1, 3, 0]).reshape(5, 1, 1, 1)
    # bn1 makes (3x - 1) / 2 of x, bn2 makes 3 + 2 (1 - h) of the h that the inner ReLU leaves
    expected = torch.tensor([5.0 - 1, 0, 5 - 2 * 1 + 1, 5 - 2 * 4 + 3, 5 - 2 * 0 + 0])
    same(block(x), expected.reshape(5, 1, 1, 1))


@MODES
def test_a_body_of_zeros_leaves_relu_of_x(rng, training):
    """Where bn2 has weight 0 and bias 0 the body adds nothing: the block is relu(x)."""
    block, state = filled(rng, 6, 6)
    block.load_state_dict(state | {"bn2.weight": torch.zeros(6), "bn2.bias": torch.zeros(6)})
    x = normal(rng, 2, 6, 5, 4)
    same(block.train(training)(x), F.relu(x))


@MODES
def test_it_gives_what_torchvisions_block_gives(rng, training):
    """Any weights, any statistics, one image or several; only in training the statistics move."""
    for sizes in KINDS[:5]:
        block, state = filled(rng, *sizes)
        block = block if training else block.eval()  # a fresh block trains
        for images in (3, 1):
            x = normal(rng, images, sizes[0], 9, 7)
            same(block(x), oracle(x, state, *sizes[2:], training=training), tolerance=1e-4)
        got = block.state_dict()
        for name in (name for name in state if not name.endswith("tracked")):
            told = f"BasicBlock{sizes}: {name} after two calls"
            same(got[name], state[name], tolerance=1e-4, what=told)


@pytest.mark.parametrize("sizes", [(6, 6), (2, 3, 2)])
def test_gradients_flow_back_to_x_and_to_every_weight(rng, sizes):
    """In float64: the gradients of x and of all weights are those of the formula."""
    block, state = filled(rng, *sizes, dtype=torch.float64)
    weights = {name: state[name] for name in state if name.endswith(("weight", "bias"))}
    learn = {name for name, parameter in block.named_parameters() if parameter.requires_grad}
    idle = [name for name in weights if name not in learn]
    expect(not idle, f"{len(idle)} of {len(weights)} weights cannot learn: {idle[:2]}", idle)
    same_gradients(
        lambda x, **weights: functional_call(block, weights, (x,)),
        lambda x, **weights: oracle(x, state | weights, *sizes[2:], training=True),
        {"x": normal(rng, 2, sizes[0], 5, 7)} | weights,
    )


@pytest.mark.parametrize(
    "sizes", [(0, 4, 1), (4, 0, 1), (4, 6, 0), (-1, 4, 1), (4, -2, 2), (4, 6, -1), (0, 0, 1)]
)
def test_a_size_below_1_is_refused(sizes):
    """in_channels, out_channels and stride are at least 1, each of them: else a ValueError."""
    names = ("in_channels", "out_channels", "stride")
    because = ", ".join(f"{n} {v}" for n, v in zip(names, sizes, strict=True) if v < 1)
    refuses(BasicBlock, *sizes, because=because)
