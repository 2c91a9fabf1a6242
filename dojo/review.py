"""Katas are repeated practice: which green ones are due, and how a repetition went.

When a kata is due is left to FSRS, a memory model with published and fitted parameters (the
package `fsrs`). It is fed with what happened and nothing else, so the schedule is worked out
anew each time from the records: the first green, then every review that ended.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dojo.cli import UsageError
from dojo.curriculum import Curriculum, Kata
from dojo.desk import lay_down
from dojo.results import GREEN, PARTIAL, UNFINISHED
from dojo.store import Store, open_store
from dojo.stub import StubError, stub_text

FIRST_TRY, GREEN_LATER, WITH_HINTS, GIVEN_UP = "easy", "good", "hard", "again"
BACK = "back"  # put back ungraded
DAY = 86400.0


@dataclass(frozen=True)
class Due:
    """When a kata that was green should be built once more."""

    kata: Kata
    when: float
    open: bool = False

    def told(self, now: float) -> str:
        days = (self.when - now) / DAY
        if self.open:
            return "its review is open"
        return f"in {days:.0f} days" if days >= 0.5 else "due" if days > -0.5 else (
            f"due for {-days:.0f} days"
        )  # fmt: skip


def schedule(curriculum: Curriculum, store: Store) -> list[Due]:
    """Every kata that was green, the most urgent first."""
    settle(store)
    tallies, reviews = store.tallies(), store.reviews()
    found = []
    for kata in curriculum.katas:
        green = tallies.get(kata.name, {}).get("green")
        if green is None:
            continue
        mine = [row for row in reviews if row["kata"] == kata.name]
        is_open = any(row["ended"] is None for row in mine)
        ended = [r for r in mine if r["ended"] is not None and r["grade"] != BACK]
        first = _grade(store, kata.name, tallies[kata.name]["first"], green)
        events = [(green, first), *((r["ended"], r["grade"]) for r in ended)]
        found.append(Due(kata, _due(events), is_open))
    return sorted(found, key=lambda due: (not due.open, due.when))


def _due(events: list[tuple[float, str]]) -> float:
    try:
        from fsrs import Card, Rating, Scheduler
    except ImportError:
        raise UsageError("kata review needs fsrs: pip install fsrs") from None
    # steps of minutes are for cards with a question; a kata is next seen on another day
    scheduler = Scheduler(learning_steps=(), relearning_steps=(), enable_fuzzing=False)
    card = Card()
    for when, grade in sorted(events):
        rating = Rating[grade.capitalize()]
        card, _ = scheduler.review_card(card, rating, datetime.fromtimestamp(when, UTC))
    return card.due.timestamp()


def settle(store: Store) -> None:
    """End every open review whose kata has become green, graded by what happened."""
    for review in store.reviews():
        if review["ended"] is not None:
            continue
        green = [
            row for row in store.judgements(review["kata"])
            if row["started"] > review["began"] and row["verdict"] == GREEN
        ]  # fmt: skip
        if green:
            ended = green[0]["started"]
            grade = _grade(store, review["kata"], review["began"], ended)
            store.end_review(review["id"], ended, grade)


def _grade(store: Store, kata: str, began: float, green: float) -> str:
    """Green at the first try, after some, or after hints."""
    if store.hints_between(kata, began, green):
        return WITH_HINTS
    tries = [
        row for row in store.judgements(kata)
        if began <= row["started"] < green and row["verdict"] not in (PARTIAL, UNFINISHED)
        and row["passed"]  # an untouched stub is no try
    ]  # fmt: skip
    return GREEN_LATER if tries else FIRST_TRY


def review(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """Lay a fresh stub of what is due; or end the review that is open."""
    store = open_store(curriculum.root)
    try:
        due = schedule(curriculum, store)
        if options.give_up or options.back:
            return _end(curriculum, store, options)
        if options.list:
            for entry in due:
                print(f"{entry.kata.name:<22} {entry.told(time.time())}")
            print(f"{len(due)} katas were green" if due else _nothing(due))
            return 0
        return _begin(curriculum, store, due, options.kata)
    finally:
        store.close()


def _begin(curriculum: Curriculum, store: Store, due: list[Due], name: str | None) -> int:
    entry = _chosen(curriculum, due, name)
    if entry is None:
        print(_nothing(due))
        return 0
    kata = entry.kata
    if not entry.open:
        if store.path is None:
            raise UsageError("nothing is recorded here, so your answer could not be kept")
        try:
            text = stub_text(kata)
        except StubError as error:
            raise UsageError(str(error)) from None
        store.begin_review(kata)
        print(*lay_down(kata, text), sep="\n")
    print(f"{kata.name} - {kata.title}: build it once more, from the stub")
    print("then kata run, or kata watch; it is graded when it is green")
    print(f"given up: kata review {kata.name} --give-up; put all back: kata review --back")
    return 0


def _chosen(curriculum: Curriculum, due: list[Due], name: str | None) -> Due | None:
    if name:
        kata = curriculum.find(name)
        found = [entry for entry in due if entry.kata == kata]
        if not found:
            raise UsageError(f"{kata.name} was never green: kata run {kata.name}")
        return found[0]
    return next((e for e in due if e.open or e.when <= time.time()), None)


def _nothing(due: list[Due]) -> str:
    if not due:
        return "nothing is green yet: kata run"
    return f"nothing is due; {due[0].kata.name} is next, {due[0].told(time.time())}"


def _end(curriculum: Curriculum, store: Store, options: argparse.Namespace) -> int:
    """Given up or put back: either way the old answer lies on the desk again."""
    wanted = curriculum.find(options.kata).name if options.kata else None
    rows: list[dict[str, Any]] = [
        row for row in store.reviews()
        if row["ended"] is None and row["kata"] == (wanted or row["kata"])
    ]  # fmt: skip
    if not rows:
        raise UsageError("no review is open" + (f" of {wanted}" if wanted else ""))
    for row in rows:
        kata = curriculum.find(row["kata"])
        print(*lay_down(kata, store.source(row["source"]) or ""), sep="\n")
        store.end_review(row["id"], time.time(), GIVEN_UP if options.give_up else BACK)
        print(f"the review of {kata.name} is ended" + (", as not known" * options.give_up))
    return 0
