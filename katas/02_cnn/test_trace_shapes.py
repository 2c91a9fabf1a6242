"""Follow the shapes through a network: what `trace_shapes` must do, easiest first."""

import re
from numbers import Integral

import pytest
import torch
from torch import nn

from dojo.checks import answer, expect, refuses
from dojo.tensors import calls_none_of, model_left_alone

trace_shapes = answer("trace_shapes")

POOLS = pytest.mark.parametrize("pool", [nn.MaxPool2d, nn.AvgPool2d])


class Mystery(nn.Module):
    """A layer of the suite's own, which nobody can know."""

    def forward(self, x):
        return x


def seen(layers, in_shape):
    """What a hook on each layer sees when two images really run through."""
    shapes, x = [], torch.zeros(2, *in_shape)
    with torch.no_grad():
        for layer in layers:
            x = layer.eval()(x)
            shapes.append(tuple(x.shape[1:]))
    return shapes


def follows(layers, in_shape, expected=None):
    """trace_shapes gives one tuple of ints a layer: those expected, or those of a real run."""
    expected = seen(layers, in_shape) if expected is None else expected
    got = trace_shapes(layers, in_shape)
    tuples = isinstance(got, list) and all(isinstance(shape, tuple) for shape in got)
    expect(tuples, f"got {got!r:.60}, expected a list of tuples", ("kind", got))
    got = [tuple(shape) for shape in got]
    count = f"{len(got)} shapes for {len(layers)} layers: {got!r:.60}"
    expect(len(got) == len(expected), count, got)
    for index, layer in enumerate(layers):
        came = f"after layer {index}, {layer}: {got[index]}, expected"
        expect(got[index] == expected[index], f"{came} {expected[index]}", got)
        expect(all(isinstance(n, Integral) for n in got[index]), f"{came} ints", ("no int", got))


def kind(layer):
    return type(layer).__name__


BEHIND = (nn.ReLU(), nn.Dropout())


def refused(layer, in_shape, because, after=(), behind=BEHIND):
    """A ValueError that names the layer's index; nine ReLUs before it bring it to 9 or more."""
    layers = [*[nn.ReLU() for _ in range(9)], *after, layer, *behind]
    index = 9 + len(after)
    refuses(
        lambda: trace_shapes(layers, in_shape)[index : index + 1],
        because=f"{because}, met by layer {index}: {layer}",
    )
    try:
        trace_shapes(layers, in_shape)
    except ValueError as error:
        named = {int(n) for n in re.findall(r"\d+", str(error))}
        text = f"the refusal names no index {index}, counted from 0: {str(error)!r:.90}"
        others = [n in named for n in (index - 1, index + 1, len(layers) - 1)]
        expect(index in named, text, ("index", others))


def test_a_convolution_sets_the_channels_and_trims_the_rest():
    """Eight filters of 5x5 on 10 rows and 13 columns: 8 maps of 10-5+1 by 13-5+1."""
    follows([nn.Conv2d(3, 8, 5)], (3, 10, 13), [(8, 6, 9)])
    follows([nn.Conv2d(2, 5, (3, 4))], (2, 3, 4), [(5, 1, 1)])


def test_layers_that_keep_the_shape_have_an_entry_too():
    """One tuple for each layer, in order; none for the image itself; no layers, no tuples."""
    follows([], (3, 6, 7), [])
    follows([nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.3)], (3, 6, 7), [(3, 6, 7)] * 3)
    follows([nn.Flatten(), nn.ReLU(), nn.Dropout(), nn.Flatten()], (3, 6, 7), [(3 * 6 * 7,)] * 4)


@POOLS
def test_a_pooling_moves_by_its_own_size(pool):
    """Windows of 2 or 3 that do not overlap; leftovers are dropped, channels stay."""
    follows([pool(2), pool(3)], (5, 12, 21), [(5, 6, 10), (5, 2, 3)])
    follows([pool((2, 3))], (5, 8, 11), [(5, 4, 3)])


def test_the_network_for_digits():
    """28x28 shrinks to 7x7 while 1 channel becomes 64; then 3136 values, 128, and 10."""
    layers = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
              nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
              nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10)]  # fmt: skip
    expected = [(32, 28, 28)] * 2 + [(32, 14, 14)] + [(64, 14, 14)] * 2 + [(64, 7, 7)]
    follows(layers, (1, 28, 28), [*expected, (3136,), (128,), (128,), (10,)])


@pytest.mark.parametrize(
    "settings",
    [{"stride": 3}, {"padding": 2}, {"dilation": 2}, {"stride": (1, 2)}, {"stride": (3, 1)},
     {"padding": (0, 2)}, {"padding": (3, 1)}, {"dilation": (1, 3)}, {"dilation": (2, 1)},
     {"kernel_size": (5, 2)}, {"padding": 4, "stride": 2}, {"groups": 2},
     {"groups": 4, "out_channels": 8}, {"padding": (1, 2), "padding_mode": "reflect"},
     {"padding": "same", "kernel_size": (15, 3), "groups": 2},
     {"padding": "same", "kernel_size": (1, 19)}],
    ids=str,
)  # fmt: skip
def test_every_setting_of_a_convolution_counts(settings):
    """Each by itself: an int for both axes, or a (vertical, horizontal) pair."""
    follows([nn.Conv2d(4, **{"out_channels": 6, "kernel_size": 3, **settings})], (4, 13, 18))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel_size", [3, 4, (1, 5), (2, 3)])
@pytest.mark.parametrize("dilation", [1, (2, 3)])
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_padding_by_name(padding, kernel_size, dilation):
    """ "same" keeps rows and columns, for even kernels and dilated ones too; "valid" adds none."""
    layer = nn.Conv2d(2, 5, kernel_size, padding=padding, dilation=dilation)
    follows([layer, nn.Conv2d(5, 3, 2, stride=2, padding="valid")], (2, 14, 17))


@pytest.mark.parametrize(
    "settings",
    [{"stride": 2}, {"stride": (1, 3)}, {"padding": 1}, {"padding": (0, 1)}, {"stride": 5},
     {"kernel_size": (2, 4)}, {"kernel_size": (5, 2), "padding": (2, 1), "stride": (3, 2)}],
    ids=str,
)  # fmt: skip
@POOLS
def test_every_setting_of_a_pooling_counts(pool, settings):
    """A stride and a padding of its own, ints or pairs, count as in a convolution."""
    follows([pool(**{"kernel_size": 3, **settings})], (4, 13, 18))


@pytest.mark.parametrize("dilation", [2, (1, 4), (3, 2)])
def test_a_dilated_max_pooling(dilation):
    """A max pooling can be dilated as a convolution can."""
    follows([nn.MaxPool2d(3, stride=1, dilation=dilation)], (4, 13, 18))


@POOLS
def test_ceil_mode_lets_a_last_window_hang_over(pool):
    """One window more where cells are left over, none where all of them are used."""
    follows([pool(2, ceil_mode=True)], (3, 7, 10), [(3, 4, 5)])
    follows([pool(3, 2, ceil_mode=True)], (3, 8, 9), [(3, 4, 4)])
    follows([pool((2, 4), ceil_mode=True)], (3, 3, 9), [(3, 2, 3)])


@POOLS
def test_a_window_that_would_start_behind_the_image_is_none(pool):
    """With ceil_mode the last window starts in the image or before it, never behind it."""
    follows([pool(2, 3, ceil_mode=True)], (3, 6, 7), [(3, 2, 3)])
    follows([pool(2, 2, padding=1, ceil_mode=True)], (3, 5, 6), [(3, 3, 4)])
    follows([pool(3, 4, padding=1, ceil_mode=True)], (3, 7, 8), [(3, 2, 3)])


@POOLS
def test_ceil_mode_for_all_small_sizes(pool):
    """Windows, strides and paddings of 1 to 5 on all widths from 5 to 9, as torch counts them."""
    for kernel_size in range(1, 6):
        for stride in range(1, 6):
            for padding in range(kernel_size // 2 + 1):
                layer = pool((1, kernel_size), (1, stride), (0, padding), ceil_mode=True)
                for width in range(5, 10):
                    follows([layer], (1, 2, width))


@pytest.mark.parametrize("size", [1, 4, (2, 5), (None, 3), (4, None), (None, None), (9, 13)])
def test_an_adaptive_pooling_brings_its_own_size(size):
    """Rows and columns as told, smaller or larger than before; None keeps that axis."""
    follows([nn.AdaptiveAvgPool2d(size), nn.ReLU()], (5, 6, 11))


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_any_network(rng):
    """Networks with settings drawn afresh, two dense layers at their end."""

    def pair(low, high):
        return tuple(int(n) for n in rng.integers(low, high + 1, 2))

    for _ in range(15):
        in_shape, kernel_size, dilation = (4, *pair(40, 70)), pair(1, 3), pair(1, 3)
        maps, pads, coin = 4 * int(rng.integers(1, 5)), [n // 2 for n in kernel_size], rng.random()
        layers = [
            nn.Conv2d(4, maps, pair(1, 4), pair(1, 3), pair(0, 3), pair(1, 2), 1 + (coin < 0.5)),
            nn.BatchNorm2d(maps),
            nn.MaxPool2d(kernel_size, pair(1, 3), pads, dilation, ceil_mode=coin < 0.7)
            if coin > 0.3 else nn.AvgPool2d(kernel_size, pair(1, 3), pads, ceil_mode=coin > 0.1),
            nn.AdaptiveAvgPool2d((None, 7) if coin > 0.6 else (6, None)),
            nn.Conv2d(maps, 3, pair(1, 2), padding="same" if coin < 0.4 else "valid"),
            nn.Flatten(),
        ]  # fmt: skip
        values = seen(layers, in_shape)[-1][0]
        follows([*layers, nn.Linear(values, 7), nn.ReLU(), nn.Linear(7, 2)], in_shape)


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(4, 5, 3), nn.Conv2d(1, 5, 3), nn.Conv2d(2, 5, 3), nn.BatchNorm2d(4),
              nn.BatchNorm2d(1), nn.Conv2d(18, 6, 1, groups=6)], ids=kind,
)  # fmt: skip
def test_a_layer_for_other_channels_is_refused(layer):
    """What a Conv2d or BatchNorm2d expects must be there; the ValueError names its index."""
    refused(layer, (3, 6, 7), "3 channels")
    after = (nn.Conv2d(4, 3, 2, padding=1), nn.MaxPool2d(2))
    refused(layer, (4, 6, 7), "3 channels made of 4", after)


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(30, 5, 1), nn.MaxPool2d(1), nn.AvgPool2d(1), nn.AdaptiveAvgPool2d(1),
              nn.BatchNorm2d(30)], ids=kind,
)  # fmt: skip
def test_a_layer_for_maps_is_refused_after_flatten(layer):
    """Rows and columns are gone for good, also behind a Linear, ReLU or Dropout."""
    refused(layer, (3, 2, 5), "30 flattened values", (nn.Flatten(),))
    after = (nn.Flatten(), nn.ReLU(), nn.Linear(30, 30))
    refused(layer, (3, 2, 5), "30 values of a Linear", after)


def test_a_linear_for_another_number_of_values_is_refused():
    """It takes as many values as are flattened: C * H * W, not one more or less."""
    for values in (29, 31, 3, 5, 2, 60):
        refused(nn.Linear(values, 4), (3, 2, 5), "30 values", (nn.Flatten(),))
    refused(nn.Linear(30, 4), (3, 2, 5), "4", (nn.Flatten(), nn.Linear(30, 4)))


@pytest.mark.parametrize("values", [5, 30, 3, 2])
def test_a_linear_before_flatten_is_refused(values):
    """torch would run over the last axis if that fits; a network that does so lost its Flatten."""
    refused(nn.Linear(values, 4), (3, 2, 5), "maps (3, 2, 5) that are not flattened")
    refused(nn.Linear(values, 4), (values, 6, 7), f"maps ({values}, 1, 1) that are not flattened",
            (nn.AdaptiveAvgPool2d(1),))  # fmt: skip


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(2, 5, (4, 1)), nn.Conv2d(2, 5, (1, 6)), nn.Conv2d(2, 5, (6, 1), padding=1),
     nn.Conv2d(2, 5, (4, 2), stride=3), nn.Conv2d(2, 5, (2, 3), dilation=3),
     nn.Conv2d(2, 5, 7, padding="valid"), nn.MaxPool2d((4, 1)), nn.MaxPool2d((1, 6)),
     nn.AvgPool2d((4, 2), 3), nn.AvgPool2d((2, 6), 4), nn.MaxPool2d(2, 1, dilation=3),
     nn.AvgPool2d((6, 2), 2, ceil_mode=True), nn.MaxPool2d((6, 2), 2, ceil_mode=True)], ids=kind,
)  # fmt: skip
def test_a_layer_that_leaves_nothing_is_refused(layer):
    """Less than one row or column cannot be: a kernel must fit, dilated as it is."""
    refused(layer, (2, 3, 5), "3 rows and 5 columns")


def test_the_first_layer_that_cannot_follow_counts():
    """What stands behind it mends nothing: no padding brings lost rows back."""
    behind = (nn.Conv2d(2, 2, 3, padding=3), nn.ReLU())
    refused(nn.MaxPool2d((4, 1)), (2, 3, 5), "3 rows, padded later", behind=behind)
    behind = (nn.ReLU(), nn.Linear(7, 2))
    refused(nn.Conv2d(4, 3, 1), (3, 6, 7), "3 channels, before a Linear on maps", behind=behind)
    refused(nn.MaxPool2d((4, 1)), (2, 3, 5), "3 rows, before a Linear on maps", behind=behind)


def test_the_place_in_the_list_counts_not_the_layer():
    """One pooling may stand at three places: the third finds no row to pool, that is refused."""
    pool = nn.MaxPool2d((2, 1))
    follows([pool, nn.ReLU(), pool], (3, 6, 7), [(3, 3, 7), (3, 3, 7), (3, 1, 7)])
    refused(pool, (3, 6, 7), "a single row", (pool, pool))


@pytest.mark.parametrize("layer", [Mystery(), nn.ConvTranspose2d(3, 4, 2)], ids=kind)
def test_a_layer_that_is_not_known_is_refused(layer):
    """Nothing is guessed, not even that the shape stays, before and after Flatten."""
    refused(layer, (3, 6, 7), "a layer of which nothing is known")
    refused(layer, (3, 1, 1), "a layer of which nothing is known", (nn.Flatten(),))


def test_no_layer_runs(rng):
    """The settings tell it all: nothing is computed, and statistics and modes stay as they are."""
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2), nn.MaxPool2d(2),
              nn.AdaptiveAvgPool2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(16, 5)]  # fmt: skip
    words = ("conv", "pool", "norm", "relu", "dropout", "addmm", "linear")
    with model_left_alone(nn.Sequential(*layers)):
        calls_none_of(words, "shapes follow from the settings", trace_shapes, layers, (3, 19, 23))
