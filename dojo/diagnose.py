"""Name the mistake: run the failed test on every known mistake and compare what they give.

A mistake is named when, in the same test, at the same check, it gives exactly what the
learner's answer gave (values, shapes, exceptions), and when it passes every test that the
learner's answer passes. Otherwise silence.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dojo.bank import Bank, Variant
from dojo.explain import is_tensor
from dojo.results import FAILED, PASSED, Result

# in seconds of processor time: a busy machine must not cost a mistake its name
BUDGET = 15.0  # a kata's diagnosis may take this at the most


@dataclass
class Replay:
    """One test that was run, and how to run it again on another answer."""

    result: Result
    again: Callable[[Variant], Result]
    asked: frozenset[str] = frozenset()  # the public names that it used

    def concerns(self, variant: Variant) -> bool:
        """Whether a mistake in the variant's name can show: elsewhere it is the reference."""
        return not self.result.slow and variant.target in self.asked


def alike(a: Any, b: Any) -> bool:
    """The same observation, but for the order of float operations; never raises."""
    try:
        return _alike(a, b, set())
    except Exception:
        return False


def _alike(a: Any, b: Any, seen: set[tuple[int, int]]) -> bool:
    """`seen`: pairs of containers that are under way; a list may hold itself, or one list often."""
    if is_tensor(a) or is_tensor(b) or isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return _is_array(a) and _is_array(b) and _arrays_alike(a, b)
    if isinstance(a, (bool, str, type(None))) or isinstance(b, (bool, str, type(None))):
        return type(a) is type(b) and a == b
    if isinstance(a, (int, float, np.number)) and isinstance(b, (int, float, np.number)):
        kinds = isinstance(a, (int, np.integer)) == isinstance(b, (int, np.integer))
        return kinds and bool(np.isclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=True))
    if (id(a), id(b)) in seen:
        return True
    seen.add((id(a), id(b)))
    if isinstance(a, (list, tuple)) and type(a) is type(b):
        return len(a) == len(b) and all(_alike(*pair, seen) for pair in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_alike(a[key], b[key], seen) for key in a)
    return type(a) is type(b) and bool(a == b)


def _is_array(value: Any) -> bool:
    return is_tensor(value) or isinstance(value, (np.ndarray, np.generic))


def _arrays_alike(a: Any, b: Any) -> bool:
    a, b = (np.asarray(v.detach().cpu() if is_tensor(v) else v) for v in (a, b))
    if a.shape != b.shape:
        return False
    if a.dtype.kind not in "fiub" or b.dtype.kind not in "fiub":
        return bool((a == b).all())
    size = float(np.abs(b[np.isfinite(b)]).max(initial=0.0))
    return bool(np.allclose(a, b, rtol=1e-5, atol=1e-5 * size + 1e-12, equal_nan=True))


def name_mistakes(replays: list[Replay], bank: Bank) -> None:
    """Write the sentence of the matching mistake into every failed result that has one.

    A failure is compared with the mistakes already found first, and with the others only where
    none of those explains it: one mistake makes many failures.
    """
    deadline = time.process_time() + BUDGET
    failed = [r for r in replays if r.result.outcome == FAILED and r.result.observed is not None]
    passed = [r for r in replays if r.result.outcome == PASSED]
    suspects: list[Variant] = []
    others = bank.of_kind("wrong")
    matches: dict[str, list[Variant]] = {}
    for replay in failed:
        found = _matching(replay, suspects, deadline)
        if not found:
            new = _matching(replay, others, deadline)
            others = [variant for variant in others if variant not in new]
            found = [v for v in new if not _fails_where_passed(passed, v, deadline)]
            suspects += found
        matches[replay.result.name] = found
    tallies = Counter(variant.name for found in matches.values() for variant in found)
    for replay in failed:
        found = matches[replay.result.name]
        if found:  # a mistake that also shows in other failures is the likelier one
            replay.result.diagnosis = max(found, key=lambda v: tallies[v.name]).sentence


def _matching(replay: Replay, variants: list[Variant], deadline: float) -> list[Variant]:
    concerned = [variant for variant in variants if replay.concerns(variant)]
    return [v for v in concerned if time.process_time() < deadline and _matches(replay, v)]


def _matches(replay: Replay, variant: Variant) -> bool:
    other = replay.again(variant)
    return other.outcome == FAILED and alike(other.observed, replay.result.observed)


def _fails_where_passed(passed: list[Replay], variant: Variant, deadline: float) -> bool:
    for replay in passed:
        if time.process_time() > deadline or not replay.concerns(variant):
            continue
        if replay.again(variant).outcome == FAILED:
            return True
    return False
