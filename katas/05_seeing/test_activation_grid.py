"""All maps of a layer on one sheet: what `to_grid` must do, easiest first."""

import pytest
import torch

from dojo.checks import answer, expect, refuses, same
from dojo.tensors import normal

to_grid = answer("to_grid")


def laid_out(maps, columns, pad):
    """As the stub tells it, cell by cell."""
    count, height, width = maps.shape
    rows = (count + columns - 1) // columns
    sheet = torch.zeros(rows * height + (rows - 1) * pad, columns * width + (columns - 1) * pad,
                        dtype=maps.dtype)  # fmt: skip
    for place in range(count):
        low, high = maps[place].min(), maps[place].max()
        for i in range(height):
            for j in range(width):
                value = (maps[place, i, j] - low) / (high - low) if high > low else 0.0
                row, column = place // columns, place % columns
                sheet[row * (height + pad) + i, column * (width + pad) + j] = value
    return sheet


def test_one_map_by_hand():
    """The smallest value, -2, becomes 0, the largest, 6, becomes 1, and 0 becomes 0.25."""
    maps = torch.tensor([[[-2.0, 6, 0], [2, 4, -1]]])
    same(to_grid(maps, 1), torch.tensor([[0, 1, 0.25], [0.5, 0.75, 0.125]]))


def test_three_maps_in_two_columns_by_hand():
    """Reading order, one cell of 0 between neighbours, 0 where no map is left, no frame."""
    maps = torch.tensor([[[1.0, 3]], [[5, 4]], [[2, 6]]])
    same(to_grid(maps, 2), torch.tensor([[0.0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]]))


@pytest.mark.parametrize(
    ("shape", "columns", "pad"),
    [((7, 2, 3), 3, 1), ((6, 3, 2), 3, 2), ((5, 2, 4), 2, 0), ((2, 3, 2), 5, 1), ((4, 2, 3), 1, 3),
     ((4, 3, 2), 4, 1), ((1, 2, 3), 3, 2), ((9, 2, 1), 4, 1), ((3, 1, 4), 2, 2), ((8, 3, 2), 3, 1),
     ((2, 1, 3), 3, 1)],
)  # fmt: skip
def test_any_number_of_maps(rng, shape, columns, pad):
    """Full and open last rows, more columns than maps, any pad."""
    maps = normal(rng, *shape[::-1]).permute(2, 1, 0)  # as a slice of (N, H, W, K) has them
    same(to_grid(maps, columns, pad), laid_out(maps, columns, pad))


def test_pad_is_one_where_it_is_not_said(rng):
    """to_grid(maps, columns) leaves one cell between the tiles."""
    maps = normal(rng, 5, 3, 2)
    same(to_grid(maps, columns=3), laid_out(maps, 3, 1))


def test_every_map_has_its_own_range(rng):
    """Loud, quiet, all above 0, all below 0: each goes from 0 to 1."""
    maps = normal(rng, 4, 3, 4)
    maps /= maps.amax((1, 2), keepdim=True) - maps.amin((1, 2), keepdim=True)
    scale = torch.tensor([1e4, 5e-8, 4, 4])[:, None, None]
    maps = maps * scale + torch.tensor([0.0, 0, 50, -50])[:, None, None]
    same(to_grid(maps, 3, 2), laid_out(maps, 3, 2), tolerance=1e-4)


@pytest.mark.parametrize("value", [0.0, 3.0, -2.5])
def test_a_map_without_range_is_black(rng, value):
    """One value everywhere: there is nothing to stretch, it becomes 0."""
    maps = normal(rng, 3, 2, 3)
    maps[1] = value
    same(to_grid(maps, 2), laid_out(maps, 2, 1))


def test_a_small_range_is_a_range():
    """64 and a few ten-thousandths more is not constant; nor is a map whose largest value is 0."""
    maps = torch.tensor([[[0.0, 1, 2, 4]], [[0, -1, -2, -4]]]) * 2**-14
    maps[0] += 64
    same(to_grid(maps, 1, 0), torch.tensor([[0, 0.25, 0.5, 1], [1, 0.75, 0.5, 0]]))


def test_float64_stays_float64(rng):
    """The sheet has the dtype of the maps."""
    maps = normal(rng, 3, 2, 4, dtype=torch.float64)
    same(to_grid(maps, 2), laid_out(maps, 2, 1))


def test_maps_of_a_graph_are_left_alone(rng):
    """The sheet hangs on no graph, and writing into it does not reach the maps."""
    maps = normal(rng, 2, 3, 2).requires_grad_()
    kept = maps.detach().clone()
    sheet = to_grid(maps, 2)
    same(sheet, laid_out(kept, 2, 1))
    expect(not sheet.requires_grad, "the sheet requires a gradient: it is not detached")
    sheet.zero_()
    same(maps.detach(), kept, what="the maps after the sheet was written into")


@pytest.mark.parametrize("columns", [0, -1, -3])
def test_less_than_one_column_is_refused(columns):
    """columns is at least 1."""
    refuses(to_grid, torch.ones(3, 2, 2), columns, because=f"columns {columns}")


@pytest.mark.parametrize(("pad", "columns"), [(-1, 2), (-2, 2), (-1, 1)])
def test_a_pad_below_0_is_refused(pad, columns):
    """Tiles touch at pad 0 and never overlap."""
    refuses(to_grid, torch.ones(3, 4, 4), columns, pad, because=f"pad {pad}")


@pytest.mark.parametrize("shape", [(4, 4), (1, 3, 4, 4), (5,)])
def test_other_than_three_axes_are_refused(shape):
    """Maps are (K, H, W), of one image."""
    refuses(to_grid, torch.ones(shape), 2, because=f"maps of shape {shape}")
