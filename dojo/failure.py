"""From an exception in a test to what the learner reads about it."""

from __future__ import annotations

import re
from types import TracebackType

import pytest

from dojo.answers import current
from dojo.curriculum import Kata
from dojo.explain import Red, learner_line, own_text, raised_text
from dojo.limits import over_limit
from dojo.results import FAILED, STILL_STUB, Result


class Blocked(Exception):
    """An earlier kata that this one is built from is not green; the text says which."""


def is_stub_error(error: BaseException, kata: Kata) -> bool:
    """Whether this is the line that an untouched stub of the kata ends in."""
    return isinstance(error, NotImplementedError) and own_text(error) == kata.name


def explain(error: BaseException, kata: Kata, path: str, result: Result) -> None:
    """Fill `result` from what a test of `kata` raised; `path` is the judged file."""
    result.outcome, result.call = FAILED, current.call
    result.place = _place(error, kata, path)
    check = _line_in(error.__traceback__, str(kata.suite))
    if isinstance(error, Blocked):
        result.message, result.cause = str(error), "blocked"
    elif isinstance(error, Red):
        result.message, result.lines, result.cause = error.message, error.lines, error.cause
        if not error.cause:
            result.observed = (check, "red", error.observed)
    elif is_stub_error(error, kata):
        result.message, result.cause = STILL_STUB, "stub"
    elif isinstance(error, pytest.fail.Exception) and "imeout" in str(error):
        limit = re.search(r"[\d.]+", str(error))
        seconds = f"{float(limit[0]):g} s" if limit else "the time limit"
        result.message = f"no result within {seconds}: an endless loop, or far too slow?"
        result.cause = "timeout"
    elif over_limit(error):
        result.message = over_limit(error)
        result.lines = _raising_line(error, kata, path)
    else:
        result.message = f"the answer raised {raised_text(error)}"
        result.observed = (check, "raised", (type(error).__name__, own_text(error)))
        result.lines = _raising_line(error, kata, path)


def _line_in(trace: TracebackType | None, path: str) -> int:
    """The line of the suite at which the check stands."""
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _raising_line(error: BaseException, kata: Kata, path: str) -> tuple[str, ...]:
    found = learner_line(error, path)
    if found is None and not isinstance(error, AssertionError):
        return (f"raised while {kata.suite.name} used what the answer returned",)
    return (f"in your line: {found[1]}",) if found and found[1] else ()


def _place(error: BaseException, kata: Kata, path: str) -> str:
    """The learner's own line: where it raised, or where the called thing is defined."""
    shown = path.removeprefix(str(kata.root)).lstrip("/\\").replace("\\", "/")
    source = error.__cause__ if isinstance(error, Red) and error.__cause__ else error
    found = learner_line(source, path)
    if found is None:
        code = getattr(current.target, "__code__", None)
        code = code or getattr(getattr(current.target, "__init__", None), "__code__", None)
        if code is None or code.co_filename != path:
            return shown
        found = (code.co_firstlineno, "")
    return f"{shown}:{found[0]}"
