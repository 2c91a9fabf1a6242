"""Progress as one file for another machine: `kata export` and `kata import`."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from dojo.cli import UsageError
from dojo.curriculum import Curriculum
from dojo.desk import lay_down
from dojo.results import PARTIAL
from dojo.review import BACK, FIRST_TRY, GIVEN_UP, GREEN_LATER, WITH_HINTS
from dojo.store import STEPS, Store, content_hash, open_store, source_text
from dojo.stub import StubError, stub_text

FORMAT = "cnn-katas progress"
# columns, and those that tell one row from another: what is here already is not added again
TABLES = {
    "judgements": (
        ("kata", "source", "suite", "started", "seconds", "verdict", "passed", "total",
         "failing", "message", "diagnosis"),
        ("kata", "source", "started"),
    ),
    "hints": (("kata", "rung", "taken"), ("kata", "rung", "taken")),
    "reviews": (("kata", "began", "source", "ended", "grade"), ("kata", "began")),
}  # fmt: skip

GRADES = (FIRST_TRY, GREEN_LATER, WITH_HINTS, GIVEN_UP, BACK)
MAY_LACK = {"seconds", "passed", "total", "failing", "message", "diagnosis", "ended", "grade"}
WHOLE = {"passed", "total", "rung"}
TIMES = {"started", "taken", "began", "ended"}
LATEST = 32e9  # the end of year 2983: later times are no dates on every system


def export(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """Everything that is recorded, written in one step."""
    store = open_store(curriculum.root)
    if store.path is None:
        raise UsageError(store.notice or "KATA_NO_RECORD is set: there is nothing to export")
    rows = store.db.execute("SELECT hash, text FROM sources")
    data: dict[str, Any] = {"format": FORMAT, "schema": len(STEPS)}
    data["sources"] = {row["hash"]: row["text"] for row in rows}
    for table, (columns, _) in TABLES.items():
        sql = f"SELECT {', '.join(columns)} FROM {table} ORDER BY id"
        data[table] = [list(row) for row in store.db.execute(sql)]
    store.close()
    path = Path(options.file)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(data), encoding="utf-8")
    os.replace(fresh, path)
    print(f"wrote {path}: {_counted(data)}")
    return 0


def _counted(data: dict[str, Any]) -> str:
    return ", ".join(f"{len(data[name])} {name}" for name in ("sources", *TABLES))


def take_in(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """Add what is not here yet; all of it or nothing."""
    data = _read(Path(options.file))
    store = open_store(curriculum.root)
    try:
        if store.path is None:
            raise UsageError(store.notice or "KATA_NO_RECORD is set: nothing can be recorded")
        added = _merge(store, data)
        print(f"added {_counted(added)} to what was here")
        _desk(curriculum, store, options.desk)
    finally:
        store.close()
    return 0


def _read(path: Path) -> dict[str, Any]:
    """The file's content, checked before anything is written."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise UsageError(f"{path} is not what `kata export` writes: no JSON") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UsageError(f"{path} is not what `kata export` writes")
    if type(data.get("schema")) is not int or data["schema"] > len(STEPS):
        raise UsageError(f"{path} was written by a newer version of this project: update it")
    fault = _fault(data)
    if fault:
        raise UsageError(f"{path} is damaged: {fault}")
    return data


def _fault(data: dict[str, Any]) -> str:
    sources = data.get("sources")
    if not isinstance(sources, dict):
        return "it has no sources"
    for key, text in sources.items():
        if not isinstance(text, str) or not _plain_text(text) or content_hash(text) != key:
            return f"source {key[:8]!r} is not what its name says"
    for table, (columns, _) in TABLES.items():
        rows = data.setdefault(table, [])
        if not isinstance(rows, list):
            return f"{table} is no list"
        for number, row in enumerate(rows, 1):
            if not isinstance(row, list) or len(row) != len(columns):
                return f"row {number} of {table} has not {len(columns)} columns"
            named = dict(zip(columns, row, strict=True))
            odd = [name for name, value in named.items() if not _fits(name, value)]
            if odd:
                return f"row {number} of {table} has no {odd[0]} that can be used"
            if "source" in named and named["source"] not in sources:
                return f"row {number} of {table} has no source"
    return ""


def _fits(column: str, value: Any) -> bool:
    """What this project writes into a column, and nothing that its commands stumble over."""
    if value is None:
        return column in MAY_LACK
    if column in WHOLE:
        return type(value) is int and 0 <= value < 2**31
    if column == "seconds" or column in TIMES:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and 0 <= value < LATEST  # which no NaN is
    if column == "grade":
        return value in GRADES
    return isinstance(value, str) and _plain_text(value)


def _plain_text(text: str) -> bool:
    """Half a surrogate pair is JSON, but no text that can be stored."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _merge(store: Store, data: dict[str, Any]) -> dict[str, list]:
    added: dict[str, list] = {"sources": []}
    store.db.execute("BEGIN IMMEDIATE")
    try:
        for key, text in data["sources"].items():
            sql = "INSERT OR IGNORE INTO sources VALUES (?, ?)"
            added["sources"] += [key] * store.db.execute(sql, (key, text)).rowcount
        for table, (columns, same) in TABLES.items():
            there = " AND ".join(f"{name} = ?" for name in same)
            marks = ", ".join("?" * len(columns))
            sql = (
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {marks}"
                f" WHERE NOT EXISTS (SELECT 1 FROM {table} WHERE {there})"
            )
            added[table] = []
            for row in data[table]:
                named = dict(zip(columns, row, strict=True))
                values = (*row, *(named[name] for name in same))
                added[table] += [row] * store.db.execute(sql, values).rowcount
        store.db.execute("COMMIT")
    except BaseException:
        store.db.execute("ROLLBACK")
        raise
    return added


def _desk(curriculum: Curriculum, store: Store, lay: bool) -> None:
    """Answers that are recorded, for katas of which only the stub lies here."""
    answers = {}
    for kata in curriculum.katas:
        rows = [row for row in store.judgements(kata.name) if row["verdict"] != PARTIAL]
        try:
            fresh = stub_text(kata)
        except StubError:
            continue
        text = next(filter(None, (_other(store, row, fresh) for row in reversed(rows))), None)
        if text and source_text(kata.stub) in ("", fresh):
            answers[kata] = text
    for kata, text in answers.items() if lay else ():
        print(*lay_down(kata, text), sep="\n")
    if answers and not lay:
        names = ", ".join(kata.name for kata in list(answers)[:5])
        print(f"answers of {len(answers)} katas can be laid on the desk ({names}): "
              "the same command with --desk")  # fmt: skip


def _other(store: Store, row: dict[str, Any], fresh: str) -> str | None:
    """The source of a judgement, but for the untouched stub."""
    text = store.source(row["source"])
    return None if text == fresh else text
