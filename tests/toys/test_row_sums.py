"""Add up each row of a grid: what `row_sums` must do."""

import numpy as np

from dojo.checks import answer, refuses, same

row_sums = answer("row_sums")


def test_two_rows_by_hand():
    """Each row becomes the sum of its cells."""
    same(row_sums(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])), np.array([6.0, 16.0]))


def test_any_grid(rng):
    """(H, W) may be anything."""
    grid = rng.standard_normal((3, 5))
    same(row_sums(grid), np.einsum("hw->h", grid))


def test_integers_stay_integers(rng):
    """The dtype is the grid's."""
    grid = rng.integers(0, 9, (4, 2))
    same(row_sums(grid), np.einsum("hw->h", grid))


def test_other_than_two_axes_are_refused():
    """A grid of one axis is refused with a ValueError."""
    refuses(row_sums, np.ones(3), because="a grid of one axis")
