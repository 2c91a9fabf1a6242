"""Add up a whole grid: what `grand_total` must do."""

from dojo.checks import answer, same_value

grand_total = answer("grand_total")


def test_any_grid(rng):
    """All cells together."""
    grid = rng.standard_normal((3, 5))
    same_value(grand_total(grid), float(grid.sum()), tolerance=1e-9)
