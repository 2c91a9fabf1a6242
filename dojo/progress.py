"""How far the learner is: every kata's state, from the records and the files as they are."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import Any

from dojo.curriculum import Curriculum, Kata
from dojo.results import BLOCKED, GREEN, RED, STILL_STUB
from dojo.store import Store, content_hash, open_store, source_text, suite_hash
from dojo.stub import StubError, stub_text

NEW, CHANGED = "new", "changed"
SIGNS = {GREEN: "+", RED: "x", BLOCKED: "-", NEW: " ", CHANGED: "?"}
LEGEND = "+ green   x red   ! was green, now red   ? changed since its last run   - blocked"


@dataclass(frozen=True)
class State:
    """One kata: `verdict` is green, red, blocked, new, or changed (not judged since).

    `regressed`: it was green and is red or blocked now; not while its review is open.
    """

    kata: Kata
    verdict: str
    passed: int = 0
    total: int = 0
    judgements: int = 0
    hints: int = 0
    seconds_to_green: float | None = None
    regressed: bool = False
    reviewed: bool = False

    @property
    def sign(self) -> str:
        return "!" if self.regressed else SIGNS[self.verdict]

    def as_json(self) -> dict[str, Any]:
        public = {key: getattr(self, key) for key in State.__dataclass_fields__ if key != "kata"}
        return {"kata": self.kata.name, "chapter": self.kata.chapter} | public


def states(curriculum: Curriculum, store: Store | None = None) -> list[State]:
    """The state of every kata, in learning order."""
    opened = store or open_store(curriculum.root)
    try:
        latest, tallies = opened.latest(), opened.tallies()
        hints = opened.all_hints_taken()
        reviewed = {row["kata"] for row in opened.reviews() if row["ended"] is None}
    finally:
        if store is None:
            opened.close()
    if opened.notice and store is None:
        print(opened.notice)
    return [
        _state(
            kata,
            latest.get(kata.name),
            tallies.get(kata.name, {}),
            hints.get(kata.name, 0),
            kata.name in reviewed,
        )
        for kata in curriculum.katas
    ]


def _state(kata: Kata, row: dict | None, tally: dict, hints: int, reviewed: bool) -> State:
    spent = None
    if tally.get("green") is not None:
        spent = round(tally["green"] - tally["first"], 1)
    runs = tally.get("runs", 0)
    if row is None or _is_stub(kata, row):
        return State(kata, NEW, 0, 0, runs, hints, spent, reviewed=reviewed)
    verdict = row["verdict"] if row["verdict"] in (GREEN, BLOCKED) else RED
    same_suite = row["suite"] == suite_hash(kata)
    if row["source"] != content_hash(source_text(kata.stub)) or not same_suite:
        verdict = CHANGED
    passed, total = row["passed"] or 0, row["total"] or 0
    regressed = spent is not None and verdict in (RED, BLOCKED) and not reviewed
    return State(kata, verdict, passed, total, runs, hints, spent, regressed, reviewed)


def _is_stub(kata: Kata, row: dict) -> bool:
    source = source_text(kata.stub)
    if "NotImplementedError" not in source:  # making the stub takes longer than this look
        return False
    try:
        return source == stub_text(kata)
    except StubError:  # without the solutions: as the newest judgement of this text told it
        told = row["message"] == STILL_STUB and not row["passed"]
        return told and row["source"] == content_hash(source)


def next_kata(curriculum: Curriculum) -> Kata | None:
    """The first kata that is not green."""
    return next((s.kata for s in states(curriculum) if s.verdict != GREEN), None)


def list_katas(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """All katas: + green, x red, ? changed since the last run, - blocked."""
    chapter = ""
    for state in states(curriculum):
        if state.kata.chapter != chapter:
            chapter = state.kata.chapter
            print(f"{chapter}  {curriculum.titles[chapter]}")
        extra = "  (extra)" if state.kata.extra else ""
        print(f"  {state.sign} {state.kata.name:<22} {state.kata.title}{extra}")
    print(LEGEND)
    return 0


def progress(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """Per chapter how many are green, red, blocked, regressed; as JSON every kata."""
    found = states(curriculum)
    if options.json:
        print(json.dumps({"katas": [state.as_json() for state in found]}))
        return 0
    for chapter, title in curriculum.titles.items():
        here = [state for state in found if state.kata.chapter == chapter]
        bar = "".join(state.sign.replace(" ", ".") for state in here)
        green = sum(state.verdict == GREEN for state in here)
        print(f"{chapter:<16} [{bar}] {green} of {len(here)}  {title}")
        for line in _facts(here):
            print(f"{'':<16} {line}")
    print(LEGEND)
    return 0


def _facts(here: list[State]) -> list[str]:
    """What stands out in a chapter: names by state, time to green, hints."""
    groups = {
        "red": [s for s in here if s.verdict == RED and not s.regressed],
        "changed": [s for s in here if s.verdict == CHANGED],
        "blocked": [s for s in here if s.verdict == BLOCKED and not s.regressed],
        "was green": [s for s in here if s.regressed],
        "in review": [s for s in here if s.reviewed],
    }
    lines = [
        f"{k}: {', '.join(s.kata.name for s in group)}" for k, group in groups.items() if group
    ]
    times = sorted(s.seconds_to_green for s in here if s.seconds_to_green is not None)
    hints = sum(s.hints for s in here)
    if times or hints:
        middle = f"time to green {told_time(times[len(times) // 2])} (middle), " if times else ""
        lines.append(f"{middle}{hints} hints")
    return lines


def told_time(seconds: float) -> str:
    """A span as a person says it."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
