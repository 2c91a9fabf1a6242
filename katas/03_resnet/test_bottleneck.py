"""The block of ResNet-50: what `Bottleneck` must do, easiest first."""

import math

import pytest
import torch
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import normal, own_work, same_state

Bottleneck = answer("Bottleneck")

KINDS = [(12, 3, 1), (6, 3, 2), (6, 3, 1), (3, 3, 1), (8, 2, 2), (4, 1, 1), (5, 2, 3)]
NORM = ("weight", "bias", "running_mean", "running_var")


def shapes(in_channels, channels, stride):
    """Every tensor of torchvision's block and its shape."""
    wide = 4 * channels
    found = {
        "conv1.weight": (channels, in_channels, 1, 1),
        "conv2.weight": (channels, channels, 3, 3),
        "conv3.weight": (wide, channels, 1, 1),
    }
    norms = {"bn1": channels, "bn2": channels, "bn3": wide}
    if in_channels != wide or stride > 1:
        found["downsample.0.weight"] = (wide, in_channels, 1, 1)
        norms["downsample.1"] = wide
    for norm, width in norms.items():
        found |= {f"{norm}.{kind}": (width,) for kind in NORM}
        found[f"{norm}.num_batches_tracked"] = ()
    return found


def checked(block, sizes):
    """The block, if its tensors are those of torchvision's."""
    how = f"in_channels {sizes[0]}, channels {sizes[1]}, stride {sizes[2]}"
    same_state(block, shapes(*sizes), how)
    return block


def filled(rng, *sizes, dtype=torch.float32):
    """A block with fresh weights and statistics, and copies of these by name."""
    block, state = checked(Bottleneck(*sizes), sizes).to(dtype), {}
    for name, shape in shapes(*sizes).items():
        state[name] = normal(rng, *shape, dtype=dtype)
        if len(shape) == 4:
            state[name] /= math.prod(shape[1:]) ** 0.5
        elif name.endswith("running_var"):
            state[name] = state[name].abs() + 0.02
            state[name][0] = 0.004  # so small that eps can be seen
        elif name.endswith("tracked"):
            state[name] = torch.tensor(0)
    block.load_state_dict(state)
    return block, state


def oracle(x, state, stride, training=False):
    """The block written out; in training the statistics in `state` move on."""

    def norm(maps, name):
        weight, bias, mean, var = (state[f"{name}.{kind}"] for kind in NORM)
        return F.batch_norm(maps, mean, var, weight, bias, training, 0.1, 1e-5)

    skip = x
    if "downsample.0.weight" in state:
        skip = norm(F.conv2d(x, state["downsample.0.weight"], None, stride), "downsample.1")
    body = F.relu(norm(F.conv2d(x, state["conv1.weight"]), "bn1"))
    body = F.relu(norm(F.conv2d(body, state["conv2.weight"], None, stride, 1), "bn2"))
    return F.relu(norm(F.conv2d(body, state["conv3.weight"]), "bn3") + skip)


def test_the_layers_have_the_names_and_shapes_of_torchvisions():
    """1x1 to channels, 3x3, 1x1 to 4 * channels, and downsample where x must be projected."""
    for sizes in KINDS:
        checked(Bottleneck(*sizes), sizes)


def test_without_a_stride_the_size_stays():
    """The stride is 1 unless another is given."""
    shape = tuple(Bottleneck(6, 3)(torch.ones(2, 6, 5, 8)).shape)
    expect(shape == (2, 12, 5, 8), f"{shape} comes out of (2, 6, 5, 8), expected (2, 12, 5, 8)")


def test_it_is_a_block_of_your_own():
    """torchvision's block, also one that inherits from it, is no answer."""
    own_work(Bottleneck(in_channels=6, channels=3, stride=2))


def test_the_size_is_divided_by_the_stride_and_rounded_up(rng):
    """(N, 4 * channels, H / stride, W / stride), one image or several, odd sizes and even."""
    for in_channels, channels, stride in KINDS:
        block = Bottleneck(in_channels, channels, stride)
        for images, height, width in [(1, 8, 6), (3, 9, 7), (2, 4, 9)]:
            shape = tuple(block(normal(rng, images, in_channels, height, width)).shape)
            wanted = (images, 4 * channels, -(-height // stride), -(-width // stride))
            came = f"stride {stride}: {shape} comes out of maps of {height}x{width}"
            expect(shape == wanted, f"{came}, expected {wanted}", (stride, shape))


@pytest.mark.parametrize("sizes", [(12, 3, 1), (6, 3, 2)])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_x_is_not_changed(rng, sizes, training):
    """x belongs to the caller: no ReLU and no sum may work on it in place."""
    block, x = filled(rng, *sizes)[0].train(training), normal(rng, 2, sizes[0], 5, 4)
    before = x.clone()
    with torch.set_grad_enabled(training):
        result = block(x)
    changed = int((x != before).sum())
    seen = f"{changed} of {x.numel()} cells of the caller's x are changed in place"
    expect(not changed, seen, torch.cat([x.flatten(), result.detach().flatten()]))


def test_one_pixel_by_hand():
    """Three images of a single pixel with four channels, one channel inside."""
    block = checked(Bottleneck(4, 1), (4, 1, 1)).eval()
    numbers = {name: torch.full(shape, 9.0) for name, shape in shapes(4, 1, 1).items()}
    numbers["conv1.weight"] = torch.tensor([[1.0, 1, 0, -1]]).reshape(1, 4, 1, 1)
    numbers["conv2.weight"][0, 0, 1, 1] = -1.0  # padding is all that the rest can see
    numbers["conv3.weight"] = torch.tensor([1, -1, 2, 0.5]).reshape(4, 1, 1, 1)
    for name, *four in (("bn1", 1, 0, 1, 4), ("bn2", 4, 3, -1, 4), ("bn3", 6, 4, 3, 9)):
        for kind, number in zip(NORM, four, strict=True):
            numbers[f"{name}.{kind}"].fill_(number)
    block.load_state_dict(numbers)
    x = torch.tensor([[-1.0, 2, 0, 1], [7, -3, 1, 0], [3, 1, -2, -8]])
    # conv1 makes 0, 4 and 12 of them, bn1 and ReLU 0, 1.5 and 5.5, conv2 minus that,
    # bn2 and ReLU 5, 2 and 0; conv3 spreads these over four channels, bn3 makes 2c - 2 of c
    expected = torch.tensor([[10.0 - 2 - 1, 0, 20 - 2 + 0, 5 - 2 + 1],
                             [4.0 - 2 + 7, 0, 8 - 2 + 1, 2 - 2 + 0],
                             [0.0 - 2 + 3, 0, 0, 0]])  # fmt: skip
    same(block(x.reshape(3, 4, 1, 1)), expected.reshape(3, 4, 1, 1))


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_body_of_zeros_leaves_relu_of_x(rng, training):
    """Where bn3 has weight 0 and bias 0 the body adds nothing: the block is relu(x)."""
    block, state = filled(rng, 12, 3, 1)
    block.load_state_dict(state | {"bn3.weight": torch.zeros(12), "bn3.bias": torch.zeros(12)})
    x = normal(rng, 2, 12, 5, 4)
    same(block.train(training)(x), F.relu(x))


def test_in_eval_it_is_torchvisions_block(rng):
    """Any weights, any statistics: the block's formula, for a batch and for one image of it."""
    for sizes in KINDS[:5]:
        block, state = filled(rng, *sizes)
        x = normal(rng, 3, sizes[0], 9, 7)
        expected = oracle(x, state, sizes[2])
        same(block.eval()(x), expected)
        same(block(x[1:2]), expected[1:2])
        for name, tensor in block.state_dict().items():
            same(tensor, state[name], what=f"{name} after a call in eval")


def test_in_training_it_is_torchvisions_block(rng):
    """A fresh block trains: the batch's statistics normalise, the running ones move on."""
    for sizes in KINDS[:4]:
        block, state = filled(rng, *sizes)
        for _ in range(2):
            x = normal(rng, 4, sizes[0], 9, 7)
            same(block(x), oracle(x, state, sizes[2], training=True), tolerance=1e-4)
        for name in (name for name in state if "running" in name):
            moved = block.state_dict()[name]
            same(moved, state[name], tolerance=1e-4, what=f"{name} after two batches")


@pytest.mark.parametrize("sizes", [(12, 3, 1), (3, 2, 2)])
def test_gradients_flow_back_to_x_and_to_every_weight(rng, sizes):
    """In float64: the gradients of x and of all weights are those of the formula."""
    block, state = filled(rng, *sizes, dtype=torch.float64)
    x = normal(rng, 2, sizes[0], 5, 7, dtype=torch.float64).requires_grad_()
    names = [name for name in state if name.endswith(("weight", "bias"))]
    leaves = [x, *(state[name].requires_grad_() for name in names)]
    expected = oracle(x, state, sizes[2], training=True)
    pull = normal(rng, *expected.shape, dtype=torch.float64)
    wanted = torch.autograd.grad((expected * pull).sum(), leaves)
    got = block(x)
    same(got, expected)
    (got * pull).sum().backward()
    learned = {"x": x} | {name: dict(block.named_parameters()).get(name) for name in names}
    for (name, leaf), gradient in zip(learned.items(), wanted, strict=True):
        reached = leaf is not None and leaf.grad is not None
        expect(reached, f"no gradient reaches {name}: it cannot learn", ("none", name))
        same(leaf.grad, gradient, tolerance=1e-6, what=f"gradient of {name}")


def test_every_block_has_tensors_of_its_own():
    """Two blocks of the same sizes share nothing, nor do two layers of one block."""
    blocks = [Bottleneck(4, 2, 2), Bottleneck(4, 2, 2)]
    tensors = [t for b in blocks for t in b.state_dict().values() if t.dim()]
    places = {tensor.data_ptr() for tensor in tensors}
    seen = f"of the {len(tensors)} tensors of two blocks only {len(places)} are different ones"
    expect(len(places) == len(tensors), seen, len(places))


@pytest.mark.parametrize(
    "sizes", [(0, 4, 1), (4, 0, 1), (4, 6, 0), (-1, 4, 1), (4, -2, 2), (8, 2, -1), (0, 0, 1)]
)
def test_a_size_below_1_is_refused(sizes):
    """in_channels, channels and stride are at least 1, each of them: else a ValueError."""
    names = ("in_channels", "channels", "stride")
    because = ", ".join(f"{n} {v}" for n, v in zip(names, sizes, strict=True) if v < 1)
    refuses(Bottleneck, *sizes, because=because)
