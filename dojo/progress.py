"""How far the learner is: every kata's state, from the records and the files as they are."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import Any

from dojo.curriculum import Curriculum, Kata
from dojo.results import BLOCKED, GREEN, RED
from dojo.store import Store, content_hash, open_store, source_text, suite_hash
from dojo.stub import StubError, stub_text

NEW, CHANGED = "new", "changed"
SIGNS = {GREEN: "+", RED: "x", BLOCKED: "-", NEW: " ", CHANGED: "?"}


@dataclass(frozen=True)
class State:
    """One kata: `verdict` is green, red, blocked, new, or changed (not judged since)."""

    kata: Kata
    verdict: str
    passed: int = 0
    total: int = 0
    judgements: int = 0
    hints: int = 0
    seconds_to_green: float | None = None

    def as_json(self) -> dict[str, Any]:
        public = {key: getattr(self, key) for key in State.__dataclass_fields__ if key != "kata"}
        return {"kata": self.kata.name, "chapter": self.kata.chapter} | public


def states(curriculum: Curriculum, store: Store | None = None) -> list[State]:
    """The state of every kata, in learning order."""
    opened = store or open_store(curriculum.root)
    try:
        latest, tallies = opened.latest(), opened.tallies()
        hints = {kata.name: opened.hints_taken(kata.name) for kata in curriculum.katas}
    finally:
        if store is None:
            opened.close()
    if opened.notice and store is None:
        print(opened.notice)
    return [
        _state(kata, latest.get(kata.name), tallies.get(kata.name, {}), hints[kata.name])
        for kata in curriculum.katas
    ]


def _state(kata: Kata, row: dict | None, tally: dict, hints: int) -> State:
    spent = None
    if tally.get("green") is not None:
        spent = round(tally["green"] - tally["first"], 1)
    runs = tally.get("runs", 0)
    if row is None or _is_stub(kata):
        return State(kata, NEW, judgements=runs, hints=hints, seconds_to_green=spent)
    verdict = row["verdict"] if row["verdict"] in (GREEN, BLOCKED) else RED
    same_suite = row["suite"] == suite_hash(kata)
    if row["source"] != content_hash(source_text(kata.stub)) or not same_suite:
        verdict = CHANGED
    passed, total = row["passed"] or 0, row["total"] or 0
    return State(kata, verdict, passed, total, runs, hints, spent)


def _is_stub(kata: Kata) -> bool:
    source = source_text(kata.stub)
    if "NotImplementedError" not in source:  # making the stub takes longer than this look
        return False
    try:
        return source == stub_text(kata)
    except StubError:
        return False


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
        print(f"  {SIGNS[state.verdict]} {state.kata.name:<22} {state.kata.title}{extra}")
    print("+ green   x red   ? changed since its last run   - blocked")
    return 0


def progress(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """Per chapter: green, begun, all; as JSON every kata."""
    found = states(curriculum)
    if options.json:
        print(json.dumps({"katas": [state.as_json() for state in found]}))
        return 0
    for chapter, title in curriculum.titles.items():
        here = [state for state in found if state.kata.chapter == chapter]
        green = sum(state.verdict == GREEN for state in here)
        begun = [s.kata.name for s in here if s.verdict not in (GREEN, NEW)]
        bar = "#" * green + "." * (len(here) - green)
        text = f"{chapter:<16} [{bar}] {green} of {len(here)}  {title}"
        print(text + (f"; begun: {', '.join(begun)}" if begun else ""))
    return 0
