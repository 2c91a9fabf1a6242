"""Halve the size, by pooling or by stride: what `make_downsample` must do, easiest first."""

import pytest
import torch
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import normal

make_downsample = answer("make_downsample")
KINDS = pytest.mark.parametrize("kind", ["pool", "conv"])


def test_pooling_by_hand():
    """The largest of each 2x2 window; of an odd row or column there is half a window."""
    grid = torch.tensor([[1.0, 3, 0, -2, 7], [4, 6, 1, 0, 2], [-5, -2, -8, -3, -1]])
    wanted = torch.tensor([[6.0, 1, 7], [-2, -3, -1]])
    same(make_downsample("pool", 1, 1)(grid[None, None]), wanted[None, None])


@KINDS
@pytest.mark.parametrize("size", [(6, 8), (7, 5), (4, 9), (9, 2), (1, 3), (2, 1)])
@pytest.mark.parametrize("channels", [(3, 3), (2, 5)])
def test_both_halve_and_round_up(rng, kind, size, channels):
    """(N, C, H, W) becomes (N, C', ceil(H / 2), ceil(W / 2)), for even and odd sizes."""
    module = make_downsample(kind, *channels)
    got = tuple(module(normal(rng, 2, channels[0], *size)).shape)
    wanted = (2, channels[1], -(-size[0] // 2), -(-size[1] // 2))
    expect(got == wanted, f'"{kind}" turns {size} into {got}, expected {wanted}', got)


@pytest.mark.parametrize("channels", [(2, 5), (4, 3), (1, 1), (3, 3), (2, 4)])
@KINDS
def test_the_weights_are_those_of_one_convolution(kind, channels):
    """conv: 9 weights for each pair of channels; pool: 1, and none where the channels stay."""
    weights = [tuple(p.shape) for p in make_downsample(kind, *channels).parameters() if p.dim() > 1]
    size = 3 if kind == "conv" else 1
    wanted = [] if size == 1 and channels[0] == channels[1] else [(*channels[::-1], size, size)]
    message = f'"{kind}" from {channels[0]} to {channels[1]} channels has the weights {weights}'
    expect(weights == wanted, f"{message}, expected {wanted}", weights)


@pytest.mark.parametrize("channels", [(2, 5), (4, 3), (3, 3)])
@KINDS
def test_besides_there_may_be_one_bias(kind, channels):
    """A bias for each channel that goes out is free to be there; all else is too much."""
    module = make_downsample(kind, *channels)
    others = [tuple(p.shape) for p in module.parameters() if p.dim() < 2]
    others += [tuple(b.shape) for b in module.buffers()]
    may = [[]] if kind == "pool" and channels[0] == channels[1] else [[], [(channels[1],)]]
    expect(others in may, f'"{kind}" has {others} besides its weights, a bias at most', others)


def settled(rng, module):
    """The module with numbers of the suite in it; its weight and its bias."""
    weight = bias = None
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(normal(rng, *parameter.shape))
            weight = parameter.clone() if parameter.dim() == 4 else weight
            bias = parameter.clone() if parameter.dim() == 1 else bias
    return weight, bias


# cells added before and behind an even side, an odd one: so every pixel is seen, none left over
PADS = [[(1, 0), (0, 1)], [(1, 1), (0, 2), (2, 0)]]


def same_inside(got, x, weight, bias):
    """A strided convolution, but for the outermost places, which see what lies around."""
    ways = [F.pad(x, (*across, *down)) for down in PADS[x.shape[2] % 2]
            for across in PADS[x.shape[3] % 2]]  # fmt: skip
    maps = [F.conv2d(padded, weight, bias, stride=2)[:, :, 1:-1, 1:-1] for padded in ways]
    inside = got[:, :, 1:-1, 1:-1]
    fits = [m for m in maps if m.shape == inside.shape and torch.allclose(inside, m, atol=1e-3)]
    same(inside, [*fits, *maps][0], tolerance=1e-4)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("shape", [(3, 2, 7, 6), (1, 2, 8, 9), (2, 2, 5, 5)])
def test_pool_takes_maxima_then_mixes_channels(rng, shape, training):
    """Maxima of each channel, also where all are below 0; then one 1x1 convolution, no ReLU."""
    module, x = make_downsample("pool", 2, 5).train(training), normal(rng, *shape) - 1
    weight, bias = settled(rng, module)
    wanted = F.conv2d(F.max_pool2d(x, 2, ceil_mode=True), weight, bias)
    same(module(x), wanted, tolerance=1e-4)


@KINDS
def test_without_a_change_of_channels(rng, kind):
    """3 to 3: pooling is maxima and nothing else; the convolution is one all the same."""
    module, x = make_downsample(kind, 3, 3), normal(rng, 2, 3, 7, 8) - 1
    weight, bias = settled(rng, module)
    pooled = F.max_pool2d(x, 2, ceil_mode=True)
    if kind == "pool":
        same(module(x), pooled, tolerance=1e-4)
    else:
        same_inside(module(x), x, weight, bias)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("shape", [(3, 2, 7, 6), (1, 2, 8, 9), (2, 2, 5, 5)])
def test_conv_is_one_strided_convolution(rng, shape, training):
    """3x3, stride 2, and nothing after it; what lies around the image is yours to choose."""
    module, x = make_downsample("conv", 2, 4).train(training), normal(rng, *shape)
    weight, bias = settled(rng, module)
    same_inside(module(x), x, weight, bias)


def test_conv_can_be_set_to_average():
    """All weights 1/9: away from the border each output is the mean of a 3x3 window."""
    module = make_downsample("conv", 1, 1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1 / 9 if parameter.dim() == 4 else 0.0)
    x = torch.arange(49.0).reshape(1, 1, 7, 7)
    same_inside(module(x), x, torch.full((1, 1, 3, 3), 1 / 9), None)


@KINDS
@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
def test_every_pixel_is_seen(rng, kind, size):
    """Each pixel of the input, made large by itself, changes something in the output."""
    module = make_downsample(kind, 1, 2)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1.0)
        unseen = []
        for place in range(size[0] * size[1]):
            x = torch.zeros(1, 1, *size)
            x.view(-1)[place] = 5.0
            if torch.equal(module(x), module(torch.zeros_like(x))):
                unseen.append(divmod(place, size[1]))
    expect(not unseen, f'"{kind}" does not see {len(unseen)} pixels, first {unseen[:1]}', unseen)


@KINDS
def test_modules_are_new_and_can_be_trained(rng, kind):
    """Two calls share nothing; gradients reach the input and every parameter."""
    one, two = make_downsample(kind, 2, 3), make_downsample(kind, 2, 3)
    shared = {id(p) for p in one.parameters()} & {id(p) for p in two.parameters()}
    expect(not shared, f"two modules share {len(shared)} parameters", "shared")
    pairs = zip(one.parameters(), two.parameters(), strict=True)
    alike = all(torch.equal(a, b) for a, b in pairs if a.dim() > 1)
    expect(not alike, "two modules begin with the same weights: nothing is drawn, or the seed is "
           "set inside", "alike")  # fmt: skip
    x = normal(rng, 2, 2, 5, 6).requires_grad_()
    one(x).square().sum().backward()
    without = [tuple(p.shape) for p in [x, *one.parameters()] if p.grad is None]
    expect(not without, f"no gradient reaches {without}", without)


@pytest.mark.parametrize(
    "kind", ["max", "stride", "", "Pool", "CONV", "pooling", "conv2d", None, 2]
)
def test_another_kind_is_refused(kind):
    """There are "pool" and "conv", written like this."""
    refuses(make_downsample, kind, 2, 3, because=f"kind {kind!r}")


@KINDS
@pytest.mark.parametrize("channels", [(0, 3), (3, 0), (-1, 3), (3, -2), (0, 0)])
def test_less_than_one_channel_is_refused(kind, channels):
    """in_channels and out_channels begin at 1."""
    refuses(make_downsample, kind, *channels, because=f"{channels[0]} to {channels[1]} channels")
