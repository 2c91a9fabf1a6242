"""Stubs are what is left of a solution without bodies, hints and variants."""

from __future__ import annotations

import ast

import pytest

from dojo.curriculum import Kata
from dojo.stub import StubError, answer_text, stub_text

SOLUTION = '''"""Title."""

from __future__ import annotations

import enum
import random

import numpy as np
import torch
from torch import nn

from dojo import right, wrong

LARGE = 5_000
_SECRET = 3


class Kind(enum.Enum):
    """Two kinds."""

    A = "a"
    B = "b"


def _helper(x):
    return x + _SECRET


@torch.no_grad()
def scale(
    x: torch.Tensor,
    factor: float = 2.0,  # why two
) -> torch.Tensor:
    """Scale it.

    Example:
        >>> 1
    """
    return _helper(x) * factor


class Net(nn.Module):
    """A net."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width

    def forward(self, x):
        """Do it."""
        return x * self.width

    def _inner(self):
        return 1


HINTS = ["a", "b", "c"]


@right(scale)
def other(x, factor=2.0):
    return np.multiply(x, random.random())
'''

STUB = '''"""Title."""

from __future__ import annotations

import enum

import torch
from torch import nn

LARGE = 5_000


class Kind(enum.Enum):
    """Two kinds."""

    A = "a"
    B = "b"


@torch.no_grad()
def scale(
    x: torch.Tensor,
    factor: float = 2.0,  # why two
) -> torch.Tensor:
    """Scale it.

    Example:
        >>> 1
    """
    raise NotImplementedError("thing")


class Net(nn.Module):
    """A net."""

    def __init__(self, width: int):
        super().__init__()
        raise NotImplementedError("thing")

    def forward(self, x):
        """Do it."""
        raise NotImplementedError("thing")
'''


@pytest.fixture
def kata(tmp_path) -> Kata:
    found = Kata(tmp_path, "01_toys", "thing", "Thing")
    found.solution.parent.mkdir(parents=True)
    found.solution.write_text(SOLUTION)
    return found


def test_the_stub_keeps_what_the_learner_needs(kata):
    """Signatures, docstrings, constants, enums, super().__init__() and the imports in use."""
    assert stub_text(kata) == STUB


def test_the_answer_text_has_no_variants(kata):
    """`kata solution` prints the reference with its helpers, nothing else."""
    text = answer_text(kata)
    ast.parse(text)
    assert "_helper(x) * factor" in text
    assert "HINTS" not in text
    assert "dojo" not in text


@pytest.mark.parametrize("text", ["def (:\n", "x = 1\n", ""])
def test_a_solution_without_hints_gives_no_stub(kata, text):
    """One clear error instead of a stub made from half a file."""
    kata.solution.write_text(text)
    with pytest.raises(StubError):
        stub_text(kata)
