"""What `kata report` tells: every kata with its record, and what they add up to."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from dojo.cli import UsageError
from dojo.curriculum import Curriculum, Kata
from dojo.gallery import Gallery
from dojo.progress import CHANGED, NEW, SIGNS, State, states
from dojo.results import BLOCKED, GREEN, RED, UNFINISHED
from dojo.review import Due, schedule
from dojo.store import Store

REGRESSED = "regressed"
# kinds of state: in a word, and as the legend says it
WORDS = {
    GREEN: ("green", "green"), RED: ("red", "red"), REGRESSED: ("was green", "was green, now red"),
    CHANGED: ("changed", "changed since its last run"), BLOCKED: ("blocked", "blocked"),
    NEW: ("new", "new"),
}  # fmt: skip
DAYS = 14, 56  # the fewest and the most that the timeline shows
LATEST = 12  # judgements listed one by one
STRIP = 24  # judgements of one kata shown as signs


@dataclass(frozen=True)
class Entry:
    """One kata of the page."""

    state: State
    file: str
    due: Due | None = None
    told_due: str = ""
    is_due: bool = False
    judged: str = ""
    strip: str = ""
    failed: dict[str, Any] = field(default_factory=dict)
    picture: str = ""
    no_picture: str = ""

    @property
    def kata(self) -> Kata:
        return self.state.kata

    @property
    def kind(self) -> str:
        """What the page colours it by: the verdict, or that it was green once."""
        return REGRESSED if self.state.regressed else self.state.verdict

    @property
    def word(self) -> str:
        return WORDS[self.kind][0]


@dataclass(frozen=True)
class Chapter:
    """A chapter and its katas, in learning order."""

    name: str
    title: str
    entries: list[Entry]

    @property
    def green(self) -> int:
        return sum(entry.state.verdict == GREEN for entry in self.entries)


@dataclass(frozen=True)
class Concept:
    """A row of the course's list, and the katas that practise it."""

    number: int
    name: str
    entries: list[Entry]

    @property
    def green(self) -> int:
        return sum(entry.state.verdict == GREEN for entry in self.entries)


@dataclass(frozen=True)
class Day:
    """How many judgements a day saw."""

    date: str
    green: int
    red: int

    @property
    def total(self) -> int:
        return self.green + self.red


@dataclass(frozen=True)
class Overview:
    """All that the page shows, apart from its looks."""

    chapters: list[Chapter]
    concepts: list[Concept]
    days: list[Day]
    latest: list[dict[str, Any]]
    judgements: int
    note: str = ""  # what could not be found out

    @property
    def entries(self) -> list[Entry]:
        return [entry for chapter in self.chapters for entry in chapter.entries]

    @property
    def green(self) -> int:
        return sum(chapter.green for chapter in self.chapters)

    @property
    def counts(self) -> list[tuple[str, str, str, int]]:
        """(kind, sign, what it means, how many) for every state, also where there are none."""
        found = Counter(entry.kind for entry in self.entries)
        signs = SIGNS | {REGRESSED: "!"}
        return [(kind, signs[kind], told, found[kind]) for kind, (_, told) in WORDS.items()]

    @property
    def due(self) -> list[Entry]:
        found = [entry for entry in self.entries if entry.due and entry.is_due]
        return sorted(found, key=lambda entry: entry.due.when if entry.due else 0.0)

    @property
    def next(self) -> Entry | None:
        return next((entry for entry in self.entries if entry.state.verdict != GREEN), None)

    @property
    def practised(self) -> int:
        return sum(concept.green > 0 for concept in self.concepts)

    @property
    def time_to_green(self) -> float | None:
        """The middle one, as `kata progress` tells it by chapter."""
        times = [e.state.seconds_to_green for e in self.entries]
        spent = sorted(seconds for seconds in times if seconds is not None)
        return spent[len(spent) // 2] if spent else None

    @property
    def hints(self) -> int:
        return sum(entry.state.hints for entry in self.entries)


def build(curriculum: Curriculum, store: Store, gallery: Gallery, now: float) -> Overview:
    """Everything as it is recorded and as the files are at this moment."""
    due, note = _due(curriculum, store)
    found = states(curriculum, store)
    rows = [row for row in store.all_judgements() if _is_judgement(row)]
    by_kata: dict[str, list[dict[str, Any]]] = {kata.name: [] for kata in curriculum.katas}
    for row in rows:
        by_kata.setdefault(row["kata"], []).append(row)
    entries = [
        _entry(state, by_kata[state.kata.name], due.get(state.kata.name), gallery, now)
        for state in found
    ]
    chapters = [
        Chapter(name, title, [e for e in entries if e.kata.chapter == name])
        for name, title in curriculum.titles.items()
    ]
    concepts = [
        Concept(number, name, [e for e in entries if number in e.kata.concepts])
        for number, name in curriculum.concepts.items()
    ]
    known = [_said(row) for row in rows if curriculum.get(row["kata"])]
    latest = known[: -LATEST - 1 : -1]
    return Overview(chapters, concepts, _days(rows, now), latest, len(rows), note)


def _due(curriculum: Curriculum, store: Store) -> tuple[dict[str, Due], str]:
    try:
        return {due.kata.name: due for due in schedule(curriculum, store)}, ""
    except UsageError as error:
        return {}, f"What is due for review is not known: {error}"


def _is_judgement(row: dict[str, Any]) -> bool:
    """Not a version that was only kept, nor a run of some tests of a suite."""
    ran = row["verdict"] == UNFINISHED and bool(row["total"])
    return ran or row["verdict"] in (GREEN, RED, BLOCKED)


def _entry(
    state: State, rows: list[dict[str, Any]], due: Due | None, gallery: Gallery, now: float
) -> Entry:
    kata = state.kata
    failed = [row for row in rows if row["verdict"] != GREEN]
    picture, why = gallery.kept(kata) if state.verdict == GREEN else ("", "")
    return Entry(
        state,
        kata.shown(kata.stub),
        due,
        due.told(now) if due else "",
        due is not None and not due.open and due.when <= now,
        _moment(rows[-1]["started"]) if rows else "",
        "".join(_sign(row) for row in rows[-STRIP:]),
        _said(failed[-1]) if failed and state.verdict != NEW else {},
        picture,
        why,
    )


def _sign(row: dict[str, Any]) -> str:
    return SIGNS.get(row["verdict"], SIGNS[RED])


def _said(row: dict[str, Any]) -> dict[str, Any]:
    """A judgement as the page tells it."""
    kind = row["verdict"] if row["verdict"] in (GREEN, BLOCKED) else RED
    ended = "the run did not come to its end" if row["verdict"] == UNFINISHED else ""
    rule = (row["failing"] or "").removeprefix("test_").replace("_", " ")
    message, diagnosis = row["message"] or ended, row["diagnosis"] or ""
    return {
        "kata": row["kata"],
        "when": _moment(row["started"]),
        "kind": kind,
        "sign": SIGNS[kind],
        "passed": row["passed"] or 0,
        "total": row["total"] or 0,
        "rule": rule,
        "message": message,
        "diagnosis": diagnosis,
        "said": message if kind == BLOCKED else diagnosis or rule or message,
    }


def _moment(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))


def _days(rows: list[dict[str, Any]], now: float) -> list[Day]:
    """The last days, at most eight weeks, the oldest first."""
    if not rows:
        return []
    today = date.fromtimestamp(now)
    span = (today - date.fromtimestamp(rows[0]["started"])).days + 1
    fewest, most = DAYS
    green: Counter[date] = Counter()
    red: Counter[date] = Counter()
    for row in rows:
        which = green if row["verdict"] == GREEN else red
        which[date.fromtimestamp(row["started"])] += 1
    shown = [today - timedelta(n) for n in reversed(range(min(max(span, fewest), most)))]
    return [Day(day.isoformat(), green[day], red[day]) for day in shown]
