"""The text of a verdict: one failure in full, the rest one line each."""

from __future__ import annotations

import textwrap

from dojo.curriculum import Kata
from dojo.explain import WIDTH
from dojo.results import BLOCKED, GREEN, PARTIAL, Outcome, Result

PRINTED_LINES = 6
MOST_LINES = 12


def verdict_lines(kata: Kata, outcome: Outcome, seed: int | None) -> list[tuple[str, str]]:
    """(line, style) pairs; style is "red", "green", "bold" or ""."""
    verdict = outcome.verdict
    if verdict == GREEN:
        return [(f"{kata.name} is green: all {outcome.total} tests pass", "green")]
    if verdict == PARTIAL:
        line = f"{kata.name}: {outcome.passed} of {outcome.total} tests ran and pass"
        return [(f"{line}; only a full run can make it green", "")]
    if _untouched(outcome):
        shown = kata.shown(kata.stub)
        return [(f"{kata.name} is not begun: write it in {shown}", "red")]
    if verdict == BLOCKED and outcome.first:
        return [(f"{kata.name} is {outcome.first.message}", "red")]
    return _red(kata, outcome, seed)


def _untouched(outcome: Outcome) -> bool:
    whole = bool(outcome.failures) and not outcome.ended
    return whole and not outcome.passed and all(r.cause == "stub" for r in outcome.failures)


def _red(kata: Kata, outcome: Outcome, seed: int | None) -> list[tuple[str, str]]:
    count = f"{outcome.passed} of {outcome.total} tests pass"
    lines = [(f"{kata.name} is red: {count}", "red")]
    first = outcome.first
    if outcome.ended:
        lines += [(line, "bold") for line in _wrap(outcome.ended, "  ")]
    if first is None:
        return lines
    lines += failure_lines(first)
    lines += [(line, "") for line in _others(outcome.failures[1:], first)]
    again = f"; same inputs again: --kata-seed {seed}" if seed is not None else ""
    return [*lines, (f"  next: kata hint {kata.name}{again}", "")]


def failure_lines(result: Result) -> list[tuple[str, str]]:
    """One failure in full, at most 12 lines of 80 columns without what the answer printed."""
    said = [result.message] + ([f"looks like: {result.diagnosis}"] if result.diagnosis else [])
    head = [(line, "bold") for text in said for line in _wrap(text, "  ")[:3]]
    tail = _wrap(f"call: {result.call}", "  ")[:2] if result.call else []
    if result.cause != "import":  # no rule was reached
        tail += _wrap(f"rule: {result.rule} ({result.name})", "  ")[:3]
    tail.append(f"  at: {result.place}")
    more = [f"    {line}"[:WIDTH] for line in result.lines]
    if len(head) + len(more) + len(tail) > MOST_LINES:
        more = []
    return head + [(line, "") for line in more + tail + _printed(result)]


def _printed(result: Result) -> list[str]:
    lines = result.printed.splitlines()
    if not lines:
        return []
    shown = [f"    {line}"[:WIDTH] for line in lines[:PRINTED_LINES]]
    left = len(lines) - PRINTED_LINES
    return ["  it printed:", *shown] + ([f"    ... and {left} lines more"] if left > 0 else [])


def _others(failures: list[Result], first: Result) -> list[str]:
    """The remaining failures, one line a test function."""
    groups: dict[str, list[Result]] = {}
    alike = [r for r in failures if r.message == first.message and not r.diagnosis]
    for result in failures:
        if result in alike:
            continue
        groups.setdefault(result.name.partition("[")[0], []).append(result)
    lines = []
    for name, results in groups.items():
        result = next((r for r in results if r.diagnosis not in ("", first.diagnosis)), results[0])
        other = result.diagnosis and result.diagnosis != first.diagnosis
        said = f"looks like: {result.diagnosis}" if other else result.message
        times = f" ({len(results)} times)" if len(results) > 1 else ""
        text = f"  also: {name}{times}: {said}"
        lines.append(_shortened(text))
    if alike:
        lines.append(
            f"  {len(alike)} more {'tests say' if len(alike) > 1 else 'test says'} the same"
        )
    return lines


def _shortened(text: str) -> str:
    """At a space, but for one so early that little would be left."""
    if len(text) <= WIDTH:
        return text
    cut = text[: WIDTH - 3]
    return (cut[: cut.rindex(" ")] if " " in cut[WIDTH // 2 :] else cut[:-1]) + " ..."


def _wrap(text: str, indent: str) -> list[str]:
    wrapped = textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ",
        break_long_words=True, break_on_hyphens=False,
    )  # fmt: skip
    return wrapped or [indent]
