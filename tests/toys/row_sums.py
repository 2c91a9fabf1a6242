"""Add up each row of a grid."""

import numpy as np

from dojo import right, wrong


def row_sums(grid: np.ndarray) -> np.ndarray:
    """Give one number for every row of `grid`: all its cells together.

    Shapes:
        grid: (H, W), any real dtype
        returns: (H,), the dtype of `grid`

    Example:
        >>> row_sums(np.array([[1, 2, 3], [4, 5, 6]]))
        array([ 6, 15])

    Raises:
        ValueError: the grid has other than two axes.
    """
    if grid.ndim != 2:
        raise ValueError(f"grid has {grid.ndim} axes, 2 are wanted")
    return grid.sum(1).astype(grid.dtype)


HINTS = ["Which axis is a row?", "The second axis runs along a row.", "grid.sum(1)"]


@right(row_sums)
def by_loop(grid):
    if grid.ndim != 2:
        raise ValueError("two axes, please")
    return np.array([sum(row) for row in grid], grid.dtype)


@wrong(row_sums)
def column_sums(grid):
    """the columns are added up instead of the rows"""
    return row_sums(grid.T if grid.ndim == 2 else grid)


@wrong(row_sums)
def averaged(grid):
    """the cells are averaged instead of added up"""
    return (row_sums(grid) / grid.shape[1]).astype(grid.dtype)


@wrong(row_sums)
def never_refuses(grid):
    """a grid with other than two axes is not refused"""
    return grid.sum(-1).astype(grid.dtype)


def show(answer):
    from dojo.pictures import signed_maps

    grid = np.arange(6.0).reshape(2, 3)
    return signed_maps({"grid": grid}, {"sums": answer.row_sums(grid)[:, None]})
