"""Values, calls and places in words: what a learner reads when an answer is wrong."""

from __future__ import annotations

import functools
import inspect
import itertools
import os
import reprlib
import sys
import traceback
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import numpy as np

WIDTH = 80
_REPR = reprlib.Repr()  # repr() of what holds itself many times has no end
_REPR.maxlevel, _REPR.maxother, _REPR.maxstring = 3, 200, 200


class Red(AssertionError):
    """A rule does not hold.

    message: one line, what is wrong in words and numbers. lines: at most a few more.
    observed: what the answer gave, compared with what each known mistake gives.
    cause: "import" where no answer could be called at all, which stands for the whole kata.
    """

    def __init__(
        self, message: str, observed: Any = None, lines: tuple[str, ...] = (), cause: str = ""
    ):
        super().__init__(message)
        self.message = message
        self.observed = message if observed is None else observed
        self.lines = lines
        self.cause = cause


def is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def apart(one: Any, other: Any) -> tuple[str, str]:
    """Two different numbers, with as many digits as it takes to see that they differ."""
    texts = number(one), number(other)
    for digits in range(6, 18):
        if texts[0] != texts[1]:
            break
        texts = number(one, digits), number(other, digits)
    return texts


def number(value: Any, digits: int = 5) -> str:
    """A number as a person writes it: five digits are mostly enough to see a difference."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (int, np.integer)):
        bits = int(value).bit_length()
        return str(int(value)) if bits < 200 else f"an int of {bits} bits"
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.{digits}g}"
    return _short(str(value))


def describe(value: Any, depth: int = 3) -> str:
    """A value in a few words: shape and dtype of arrays, the text of small things.

    Never raises, whatever an answer returned; lists are told `depth` levels deep.
    """
    try:
        return _describe(value, depth)
    except Exception:
        return a_kind(value)


def _describe(value: Any, depth: int) -> str:
    if isinstance(value, np.ndarray) or is_tensor(value):
        usual = "float64" if isinstance(value, np.ndarray) else "float32"
        dtype = str(value.dtype).removeprefix("torch.")
        if value.ndim == 0 and str(getattr(value, "device", "")) != "meta":
            return f"{'array' if usual == 'float64' else 'tensor'}({number(value.item())})"
        return str(tuple(value.shape)) + ("" if dtype == usual else f" {dtype}")
    if isinstance(value, (bool, int, float, np.generic)):
        return number(value)
    if isinstance(value, (list, tuple)):
        return _describe_items(value, depth) if depth else "..."
    if isinstance(value, dict):
        return _describe_dict(value, depth) if depth else "..."
    if isinstance(value, str):
        path = os.path.isabs(value) and os.path.basename(value)
        return _short(repr(f".../{path}" if path else value))
    if value is None:
        return "None"
    if isinstance(value, PurePath):
        return value.name
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.nn.Module):
        return a_kind(value)
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    told = _REPR.repr(value)
    return a_kind(value) if " at 0x" in told else _short(told)  # an address says nothing


def _describe_items(value: list | tuple, depth: int) -> str:
    items = [describe(item, depth - 1) for item in value[:6]] + (["..."] if len(value) > 6 else [])
    inside = ", ".join(items) + ("," if len(value) == 1 and isinstance(value, tuple) else "")
    return f"[{inside}]" if isinstance(value, list) else f"({inside})"


def _describe_dict(value: dict, depth: int) -> str:
    some = itertools.islice(value.items(), 6)
    items = [f"{describe(key, depth - 1)}: {describe(item, depth - 1)}" for key, item in some]
    return f"{{{', '.join(items + ['...'] * (len(value) > 6))}}}"


def _short(text: str, most: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 3] + "..."


def a_kind(value: Any) -> str:
    """Its type, with an article."""
    name = type(value).__name__
    return f"{'an' if name[:1] in 'AEIOaeiou' else 'a'} {name}"


@functools.lru_cache(maxsize=256)
def signature_of(function: Callable) -> inspect.Signature | None:
    """The signature, or None for what has none; asked for several times a call."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def call_text(name: str, function: Callable, args: tuple, kwargs: dict) -> str:
    """`conv2d(x (2, 3, 7, 5), weight (4, 3, 2, 3), stride=2)`: a call with its shapes."""
    signature = signature_of(function)
    names = list(signature.parameters) if signature else []
    parts = []
    for index, value in enumerate(args):
        text = describe(value)
        named = index < len(names) and text.startswith(("(", "["))
        shaped = isinstance(value, np.ndarray) or is_tensor(value)
        parts.append(f"{names[index]} {text}" if named and shaped else text)
    for key, value in kwargs.items():
        shaped = isinstance(value, np.ndarray) or is_tensor(value)
        parts.append(f"{key} {describe(value)}" if shaped else f"{key}={describe(value)}")
    return f"{name}({', '.join(parts)})"


def side_by_side(got: np.ndarray, expected: np.ndarray) -> tuple[str, ...]:
    """Two small grids next to each other, or nothing where they would not fit a screen."""
    if got.ndim != 2 or got.shape != expected.shape or not 0 < got.shape[0] <= 4:
        return ()
    left, right = _grid(got), _grid(expected)
    width = max(len(left[0]), len("got"))
    if width + len(right[0]) + 10 > WIDTH - 4:
        return ()
    rows = [f"{'got':<{width}}   expected"]
    rows += [f"{a:<{width}}   {b}" for a, b in zip(left, right, strict=True)]
    return tuple(rows)


def _grid(array: np.ndarray) -> list[str]:
    cells = [[number(cell) for cell in row] for row in array.tolist()]
    width = max(len(cell) for row in cells for cell in row)
    return [" ".join(f"{cell:>{width}}" for cell in row) for row in cells]


def learner_line(error: BaseException, path: str) -> tuple[int, str] | None:
    """Line number and text of the innermost frame of `error` that stands in `path`."""
    if isinstance(error, SyntaxError) and error.filename == path and error.lineno:
        return error.lineno, (error.text or "").strip()
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    return (frames[-1].lineno or 0, (frames[-1].line or "").strip()) if frames else None


def raised_text(error: BaseException) -> str:
    """`ValueError: text` in one line."""
    return _short(f"{type(error).__name__}: {own_text(error)}".removesuffix(": "), 150)


def own_text(error: BaseException) -> str:
    """str(error), or '' where that raises itself."""
    try:
        return str(error)
    except Exception:
        return ""
