"""Multiply two matrices: what `matrix_product` must do."""

from dojo.checks import answer, same
from dojo.tensors import calls_none_of, normal, same_gradients

matrix_product = answer("matrix_product")


def test_the_product(rng):
    """Row meets column."""
    a, b = normal(rng, 2, 3), normal(rng, 3, 4)
    same(matrix_product(a, b), a @ b)


def test_built_by_hand(rng):
    """torch's own product does not count."""
    why = "multiply and add yourself"
    calls_none_of(("mm", "dot"), why, matrix_product, normal(rng, 2, 3), normal(rng, 3, 4))


def test_gradients(rng):
    """Gradients reach both factors."""
    inputs = {"a": normal(rng, 2, 3), "b": normal(rng, 3, 4)}
    same_gradients(matrix_product, lambda a, b: a @ b, inputs)
