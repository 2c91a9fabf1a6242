"""Add up a whole grid, out of its row sums."""

import numpy as np
from row_sums import row_sums

from dojo import right, wrong


def grand_total(grid: np.ndarray) -> float:
    """Add up all cells of `grid` with the help of your own row_sums.

    Example:
        >>> grand_total(np.ones((2, 3)))
        6.0
    """
    return float(row_sums(grid).sum())


HINTS = ["What is left to add?", "The sums of the rows.", "row_sums(grid).sum()"]


@right(grand_total)
def directly(grid):
    return float(grid.sum())


@wrong(grand_total)
def first_row(grid):
    """only the first row is counted"""
    return float(row_sums(grid)[0])


@wrong(grand_total)
def mean(grid):
    """the mean of the cells, not their sum"""
    return float(grid.mean())


@wrong(grand_total)
def as_array(grid):
    """an array is returned, not a number"""
    return row_sums(grid)
