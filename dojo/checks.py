"""The checking helpers of suites: each says what is wrong in words and numbers.

Only numpy is imported here, so that a kata without torch stays fast. Comparison happens in
float64 (or in integers) on copies; names are bound at import, before any answer runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dojo.answers import answer, current
from dojo.explain import Red, a_kind, apart, describe, is_tensor, raised_text, side_by_side

__all__ = ["Red", "answer", "expect", "refuses", "same", "same_value"]

_abs, _isnan, _argmax, _array = np.abs, np.isnan, np.argmax, np.asarray
_TOLERANCE = {"float16": 1e-2, "bfloat16": 2e-2, "float32": 2e-5, "float64": 1e-9}


def expect(holds: object, message: str, observed: Any = None) -> None:
    """The rule in `message` holds, else red. Say in it what was seen and what was wanted."""
    try:
        fine = bool(holds)
    except Exception as error:  # an array of several truths, or an object of the answer's own
        raise Red(f"{message} (neither true nor false: {raised_text(error)})", observed) from None
    if not fine:
        raise Red(message, observed)


def same_value(got: Any, expected: Any, *, tolerance: float = 0.0) -> None:
    """A plain value: number, bool, string, None, or a tuple or list of these, and of that type.

    numpy scalars are accepted where numbers are wanted; True is no 1 and 3.0 is no 3.
    """
    if _value_fits(got, expected, tolerance):
        return
    unlike = "" if _family(got) == _family(expected) else f" ({a_kind(got)})"
    if got is None:
        unlike = " (is there a return?)"
    raise Red(f"got {describe(got)}{unlike}, expected {describe(expected)}", ("value", got))


def _family(value: Any) -> Any:
    if isinstance(value, (bool, np.bool_)):
        return bool
    if isinstance(value, (int, np.integer)):
        return int
    if isinstance(value, (float, np.floating)):
        return float
    return type(value)


def _value_fits(got: Any, expected: Any, tolerance: float) -> bool:
    if _family(got) != _family(expected):
        return False
    if isinstance(expected, (tuple, list)):
        pairs = zip(got, expected, strict=False)
        return len(got) == len(expected) and all(_value_fits(a, b, tolerance) for a, b in pairs)
    if _family(expected) is float:
        return bool(_abs(got - expected) <= tolerance) or got == expected
    return bool(got == expected)


def same(got: Any, expected: Any, *, tolerance: float | None = None, what: str = "") -> None:
    """Arrays or tensors: kind, shape, dtype, then every cell.

    tolerance is relative to the largest expected magnitude (2e-5 for float32, 1e-9 for
    float64), so that sums in another order, FFT or float64 inside all pass. Integers
    are compared exactly. `what` names the thing compared where it is not the result.
    """
    prefix = f"{what}: " if what else ""
    _returned_something(got, prefix)
    _same_kind(got, expected, prefix)
    if tuple(got.shape) != tuple(expected.shape):
        raise Red(
            f"{prefix}the shape is {tuple(got.shape)}, expected {tuple(expected.shape)}",
            ("shape", tuple(got.shape)),
        )
    if got.dtype != expected.dtype:
        short = [str(v.dtype).removeprefix("torch.") for v in (got, expected)]
        message = f"{prefix}the dtype is {short[0]}, expected {short[1]}"
        raise Red(message, ("dtype", short[0], _cells(got, prefix)))
    _same_cells(_cells(got, prefix), plain(expected), tolerance, str(expected.dtype), prefix)


def plain(value: Any) -> np.ndarray:
    """A tensor or array as a numpy array of its own: float64, or integers as they are."""
    if is_tensor(value):
        value = value.detach().cpu().resolve_conj().resolve_neg()
        value = value.double().numpy() if value.is_floating_point() else value.numpy()
    value = _array(value)
    return value.astype(np.float64) if value.dtype.kind == "f" else value.copy()


def _cells(got: Any, prefix: str) -> np.ndarray:
    try:
        return plain(got)
    except Exception as error:  # a sparse tensor, one on the device meta, a subclass
        message = f"{prefix}the cells of {describe(got)} cannot be read"
        raise Red(message, ("cells", type(error).__name__), (raised_text(error),)) from None


def _returned_something(got: Any, prefix: str) -> None:
    if got is None:
        raise Red(f"{prefix}got None: is there a return?", ("value", None))


def _same_kind(got: Any, expected: Any, prefix: str) -> None:
    if is_tensor(got) != is_tensor(expected) or not _is_array(got):
        wanted = "a torch.Tensor" if is_tensor(expected) else "a numpy array"
        raise Red(
            f"{prefix}got {a_kind(got)} ({describe(got)}), expected {wanted}",
            ("kind", type(got).__name__),
        )


def _is_array(value: Any) -> bool:
    dense = is_tensor(value) and not value.is_nested  # a nested one has no shape to ask for
    return dense or isinstance(value, (np.ndarray, np.generic))


def _same_cells(
    got: np.ndarray, expected: np.ndarray, tolerance: float | None, dtype: str, prefix: str
) -> None:
    if expected.size == 0:
        return
    if expected.dtype.kind == "f":
        share = _TOLERANCE[dtype.removeprefix("torch.")] if tolerance is None else tolerance
        finite = expected[np.isfinite(expected)]
        most = float(_abs(finite).max()) if finite.size else 0.0
        with np.errstate(invalid="ignore"):
            differs = ~(_abs(got - expected) <= share * max(most, 1e-3)) & (got != expected)
        differs &= ~(_isnan(got) & _isnan(expected))
    else:
        differs = _array(got != expected)
    if not differs.any():
        return
    where = tuple(int(i) for i in np.unravel_index(_argmax(differs), differs.shape))
    values = "got {}, expected {}".format(*apart(got[where], expected[where]))
    if differs.size == 1:
        raise Red(f"{prefix}{values}", ("cells", got))
    wrong = int(differs.sum())
    count = f"{wrong} of {differs.size} cells {'is' if wrong == 1 else 'are'} wrong"
    message = f"{prefix}{count}, first at {list(where)}: {values}"
    raise Red(message, ("cells", got), side_by_side(got, expected))


def refuses(call: Callable, *args: Any, because: str, **kwargs: Any) -> None:
    """`call(*args, **kwargs)` raises ValueError. `because` completes "... is refused: "."""
    try:
        got = call(*args, **kwargs)
    except ValueError:
        return
    except (NotImplementedError, Red):
        raise
    except Exception as error:
        raise Red(
            f"raised {raised_text(error)}; a ValueError is wanted, for {because}",
            ("raised", type(error).__name__),
        ) from error
    raise Red(
        f"returned {describe(got)}; a ValueError is wanted, for {because}",
        ("value", _comparable(got)),
    )


def _comparable(value: Any) -> Any:
    """A copy of an array, a plain value, or that there was some object: no two are equal."""
    if _is_array(value):
        return _cells(value, "")
    return "an object" if type(value).__eq__ is object.__eq__ else value


def last_call() -> str:
    """The last call of an answer, with its shapes."""
    return current.call
