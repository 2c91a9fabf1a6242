"""Multiply two matrices."""

import torch

from dojo import right, wrong


def matrix_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Multiply `a` and `b` without torch's own matrix product.

    Shapes:
        a: (N, K); b: (K, M)
        returns: (N, M)

    Example:
        >>> matrix_product(torch.ones(1, 2), torch.ones(2, 1))
        tensor([[2.]])
    """
    return (a[:, :, None] * b[None]).sum(1)


HINTS = ["One cell?", "A row meets a column.", "Broadcast, multiply, sum."]


@right(matrix_product)
def by_loop(a, b):
    return torch.stack([torch.stack([(row * column).sum() for column in b.T]) for row in a])


@wrong(matrix_product)
def transposed(a, b):
    """the result is transposed"""
    return matrix_product(a, b).T


@wrong(matrix_product)
def graph_cut(a, b):
    """the result is detached: no gradient flows back"""
    return matrix_product(a, b).detach()


@wrong(matrix_product)
def averaged(a, b):
    """the products are averaged instead of added up"""
    return (a[:, :, None] * b[None]).mean(1)
