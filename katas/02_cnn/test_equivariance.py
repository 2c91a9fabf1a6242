"""Shift the image: what `equivariance_gap` must measure, easiest first."""

from contextlib import suppress

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dojo.checks import answer, expect, refuses, same_value
from dojo.tensors import model_left_alone, normal

equivariance_gap = answer("equivariance_gap")


def measured(fn, x, shift):
    """As the stub tells it, cell by cell, for maps."""
    moved = torch.zeros_like(x)
    height, width = x.shape[2:]
    for i in range(height):
        for j in range(width):
            a, b = i - shift[0], j - shift[1]
            if 0 <= a < height and 0 <= b < width:
                moved[:, :, i, j] = x[:, :, a, b]
    before, after, most = fn(x), fn(moved), 0.0
    rows, columns = before.shape[2:]
    step = [s // max(1, round(n / m)) for s, n, m in zip(shift, x.shape[2:], (rows, columns),
                                                         strict=True)]  # fmt: skip
    for i in range(-(-rows // 4), rows + -rows // 4):
        for j in range(-(-columns // 4), columns + -columns // 4):
            a, b = i - step[0], j - step[1]
            if 0 <= a < rows and 0 <= b < columns:
                most = max(most, (after[:, :, i, j] - before[:, :, a, b]).abs().max().item())
    return most


def test_a_position_dependent_map_by_hand():
    """fn multiplies column j by j. Shifted by one column, 1 at column 3 gives 4 at column 4.

    Moved along it would be 3 there: a gap of 1. Only columns 2 to 5 of 8 count.
    """
    x = torch.zeros(1, 1, 4, 8)
    x[0, 0, 1, 3] = 1.0
    same_value(equivariance_gap(lambda x: x * torch.arange(8.0), x, (0, 1)), 1.0)
    same_value(equivariance_gap(lambda x: x * torch.arange(8.0), x, (0, 3)), 0.0)


SHIFTS = [(0, 1), (1, 0), (2, -1), (-1, 3), (-2, -2), (3, 5), (0, 0)]


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("size", [(12, 16), (9, 11), (10, 7)])
def test_the_gap_of_a_map_that_depends_on_the_place(rng, size, shift):
    """The largest absolute difference over images, channels and the cells that count."""
    x, weight = normal(rng, 3, 2, *size), normal(rng, 2, *size)
    wanted = measured(lambda x: x * weight, x, shift)
    same_value(equivariance_gap(lambda x: x * weight, x, shift), wanted, tolerance=1e-5)


@pytest.mark.parametrize(
    ("stride", "shift"),
    [((2, 2), (2, 4)), ((2, 2), (-4, 2)), ((2, 3), (4, -3)), ((3, 1), (-3, 1)), ((4, 2), (4, -6))],
)
@pytest.mark.parametrize("size", [(24, 36), (25, 37)])
def test_shrunken_maps_move_by_the_shift_over_the_stride(rng, stride, shift, size):
    """A map of half the size moves half as far, on each axis by itself."""
    x, weight = normal(rng, 2, 2, *size), normal(rng, 2, *size)

    def fn(x):
        return F.avg_pool2d(x * weight, stride)

    same_value(equivariance_gap(fn, x, shift), measured(fn, x, shift), tolerance=1e-5)


def test_the_stride_is_rounded_to_the_nearest(rng):
    """Unpadded convolutions shrink maps a little: 22 to 18 is a stride of 1, 20 to 11 one of 2."""
    x, weight = normal(rng, 2, 2, 22, 20), normal(rng, 2, 22, 20)

    def fn(x):
        return (x * weight)[:, :, 2:20, :]

    same_value(equivariance_gap(fn, x, (1, 1)), measured(fn, x, (1, 1)), tolerance=1e-5)

    def wider(x):
        return F.pad(x * weight, (1, 1))[:, :, ::2, ::2]

    same_value(equivariance_gap(wider, x, (2, 4)), measured(wider, x, (2, 4)), tolerance=1e-5)


@pytest.mark.parametrize("shift", [(0, 2), (2, -2), (-4, 2)])
@pytest.mark.parametrize("kind", ["conv", "conv, relu, conv", "max pooling", "stride 2"])
def test_convolution_and_pooling_have_no_gap(rng, kind, shift):
    """They do the same everywhere: shifted by multiples of their stride they shift along."""
    fn = {
        "conv": nn.Conv2d(2, 3, 3, padding=1), "max pooling": nn.MaxPool2d(2),
        "conv, relu, conv": nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(),
                                          nn.Conv2d(4, 2, 3, padding=1)),
        "stride 2": nn.Conv2d(2, 3, 3, stride=2, padding=1),
    }[kind]  # fmt: skip
    gap = equivariance_gap(fn, normal(rng, 2, 2, 24, 28), shift)
    expect(isinstance(gap, float) and gap < 1e-5, f"got {gap!r}, expected a float of about 0", gap)


def test_a_dense_layer_has_one(rng):
    """It has a weight for every place: the shifted image is another one to it."""
    fn = nn.Sequential(nn.Flatten(), nn.Linear(2 * 8 * 9, 5))
    gap = equivariance_gap(fn, normal(rng, 2, 2, 8, 9), (1, 0))
    expect(gap > 0.1, f"got {gap:.3g}, expected more than 0.1", gap)


@pytest.mark.parametrize("keepdim", [False, True], ids=["(N, F)", "1x1 maps"])
@pytest.mark.parametrize("shift", [(1, 0), (-2, 3), (0, -5)])
def test_outputs_without_places_are_compared_as_they_are(rng, shift, keepdim):
    """The mean of noise changes, because zeros come in where the shift makes room."""
    x = normal(rng, 3, 2, 8, 10)
    moved = torch.zeros_like(x)
    rows = slice(max(shift[0], 0), 8 + min(shift[0], 0))
    columns = slice(max(shift[1], 0), 10 + min(shift[1], 0))
    moved[:, :, rows, columns] = x.roll(shift, (2, 3))[:, :, rows, columns]
    wanted = (moved.mean((2, 3)) - x.mean((2, 3))).abs().max().item()
    got = equivariance_gap(lambda x: x.mean((2, 3), keepdim=keepdim), x, shift)
    same_value(got, wanted, tolerance=1e-6)


def test_a_global_mean_does_not_mind_where_a_pattern_lies(rng):
    """A bright pattern well inside, moved about: the mean stays, the gap is 0."""
    x = torch.zeros(2, 1, 12, 14)
    x[:, :, 4:7, 5:9] = normal(rng, 2, 1, 3, 4).abs()
    gap = equivariance_gap(lambda x: x.mean((2, 3)), x, (2, -3))
    expect(gap < 1e-6, f"got {gap:.3g}, expected 0", gap)


@pytest.mark.parametrize("shift", [(1, 2), (-2, 1)])
def test_the_stride_of_an_enlarged_map_is_1(rng, shift):
    """3 cells for each pixel: the input over the output rounds to 0, the stride is at least 1."""
    x, weight = normal(rng, 2, 2, 5, 7), normal(rng, 2, 5, 7)

    def fn(x):
        return F.interpolate(x * weight, scale_factor=3.0)

    same_value(equivariance_gap(fn, x, shift), measured(fn, x, shift), tolerance=1e-5)


@pytest.mark.parametrize("shift", [(-7, 1), (6, -9), (1, 8), (-2, -8)])
def test_sources_beyond_the_map_do_not_count(rng, shift):
    """A large shift brings zeros into the middle, from any side: cells without a source count
    for nothing."""
    x, weight = normal(rng, 2, 2, 16, 20), normal(rng, 2, 16, 20)
    wanted = measured(lambda x: x * weight + 1, x, shift)
    same_value(equivariance_gap(lambda x: x * weight + 1, x, shift), wanted, tolerance=1e-5)


@pytest.mark.parametrize("shift", [(6, 0), (-9, 1), (1, 8), (0, -11), (-7, -9)])
def test_a_shift_beyond_the_image_leaves_zeros(rng, shift):
    """Moved by as much as the image is large, or more, nothing of it is left."""
    x = normal(rng, 3, 2, 6, 8)
    wanted = x.mean((2, 3)).abs().max().item()
    same_value(equivariance_gap(lambda x: x.mean((2, 3)), x, shift), wanted, tolerance=1e-6)


def test_a_shift_that_leaves_no_cell_has_no_gap(rng):
    """Moved by as much as the map is wide, every source lies outside: 0.0."""
    same_value(equivariance_gap(lambda x: x + 1, normal(rng, 1, 1, 8, 8), (0, 8)), 0.0)


@pytest.mark.parametrize("axis", [2, 3], ids=["one row", "one column"])
def test_a_map_of_one_row_or_column_is_all_border(rng, axis):
    """Of one row none is left between the borders: no cell counts, the gap is 0.0."""
    x = normal(rng, 2, 3, 9, 12)
    same_value(equivariance_gap(lambda x: x.mean(axis, keepdim=True), x, (9, 12)), 0.0)


@pytest.mark.parametrize("shift", [(1, 2), (2, 1), (-3, 2), (2, -1), (1, 1)])
def test_no_multiple_of_the_stride_is_refused(rng, shift):
    """A map of stride 2 cannot move by half a cell, on neither axis."""
    refuses(equivariance_gap, nn.MaxPool2d(2), normal(rng, 1, 1, 16, 20), shift,
            because=f"a shift of {shift} at stride 2")  # fmt: skip


def restless():
    inner = nn.Sequential(nn.Dropout(0.5))
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), inner)
    model[1].eval()
    return model


def test_a_module_runs_in_eval_and_comes_back_as_it_was(rng):
    """Dropout and batch statistics would make a gap of their own; every mode comes back."""
    model = restless()
    with model_left_alone(model):
        gap = equivariance_gap(model, normal(rng, 2, 2, 12, 12), (1, 1))
    expect(gap < 1e-5, f"got {gap:.3g}, expected 0: the module has to run in eval", gap)


def test_the_module_comes_back_after_an_exception(rng):
    """A module that fails is given back in its modes."""
    model = restless()

    def fail(*_):
        raise ArithmeticError("a layer that fails")

    model[2].register_forward_hook(fail)
    with model_left_alone(model), suppress(ArithmeticError):
        equivariance_gap(model, normal(rng, 1, 2, 12, 12), (1, 1))
