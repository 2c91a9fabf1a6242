"""The progress store: every judgement and every judged source, in one SQLite file."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dojo.curriculum import Kata
from dojo.results import GREEN, PARTIAL, UNFINISHED, Outcome

FILE = Path(".kata") / "progress.sqlite3"


def _first_tables(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE sources (hash TEXT PRIMARY KEY, text TEXT NOT NULL)")
    db.execute(
        "CREATE TABLE judgements (id INTEGER PRIMARY KEY, kata TEXT NOT NULL, source TEXT NOT NULL"
        " REFERENCES sources(hash), suite TEXT NOT NULL, started REAL NOT NULL, seconds REAL,"
        " verdict TEXT NOT NULL, passed INTEGER, total INTEGER, failing TEXT, message TEXT,"
        " diagnosis TEXT)"
    )
    db.execute("CREATE INDEX judgements_of_kata ON judgements (kata, id)")
    db.execute(
        "CREATE TABLE hints (id INTEGER PRIMARY KEY, kata TEXT NOT NULL, rung INTEGER NOT NULL,"
        " taken REAL NOT NULL)"
    )


def _reviews(db: sqlite3.Connection) -> None:
    db.execute(
        "CREATE TABLE reviews (id INTEGER PRIMARY KEY, kata TEXT NOT NULL, began REAL NOT NULL,"
        " source TEXT NOT NULL REFERENCES sources(hash), ended REAL, grade TEXT)"
    )
    # progress asks for the newest and the first of each kata: without these it reads every row
    db.execute("CREATE INDEX judgements_by_verdict ON judgements (kata, verdict, id, started)")


# The schema's history: step n takes a file from version n to n + 1. Only ever append.
STEPS: list[Callable[[sqlite3.Connection], None]] = [_first_tables, _reviews]


class StoreError(Exception):
    """The progress file cannot be used; the text is one clear line."""


class Store:
    """One open progress file. `notice` holds a line for the learner, if there is one."""

    def __init__(self, path: Path | None, notice: str = ""):
        self.path = path
        self.notice = notice
        self.db = sqlite3.connect(path or ":memory:", timeout=20.0, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        try:
            self._prepare()
        except BaseException:
            self.db.close()
            raise

    def _prepare(self) -> None:
        if self.path is not None:
            self.db.execute("PRAGMA journal_mode = WAL")
            self.db.execute("PRAGMA synchronous = NORMAL")
        self._upgrade()
        self.db.execute("SELECT kata, verdict FROM judgements ORDER BY id DESC LIMIT 1")

    def _upgrade(self) -> None:
        if self._version() == len(STEPS):
            return
        self.db.execute("BEGIN IMMEDIATE")
        version = self._version()
        if version > len(STEPS):
            self.db.execute("ROLLBACK")
            raise StoreError(
                f"{FILE.as_posix()} was written by a newer version of this project "
                f"(schema {version}, known {len(STEPS)}): update the project"
            )
        for step in STEPS[version:]:
            step(self.db)
        self.db.execute(f"PRAGMA user_version = {len(STEPS)}")
        self.db.execute("COMMIT")

    def _version(self) -> int:
        return self.db.execute("PRAGMA user_version").fetchone()[0]

    def close(self) -> None:
        self.db.close()

    # -- writing

    def keep_source(self, text: str) -> str:
        """Store a source once, by its content; returns its hash."""
        key = content_hash(text)
        self.db.execute("INSERT OR IGNORE INTO sources VALUES (?, ?)", (key, text))
        return key

    def keep_version(self, kata: Kata) -> None:
        """Put the file as it is into the history, unless it is its newest version already."""
        source = self.keep_source(source_text(kata.stub))
        sql = "SELECT source FROM judgements WHERE kata = ? ORDER BY started DESC LIMIT 1"
        newest = self.db.execute(sql, (kata.name,)).fetchone()
        if newest is None or newest["source"] != source:
            self.begin(kata, 0)

    def begin(self, kata: Kata, total: int) -> int:
        """A judgement starts: its source is safe from here on, whatever happens."""
        source = self.keep_source(source_text(kata.stub))
        row = (kata.name, source, suite_hash(kata), time.time(), UNFINISHED, total)
        sql = (
            "INSERT INTO judgements (kata, source, suite, started, verdict, total)"
            " VALUES (?, ?, ?, ?, ?, ?)"
        )
        return int(self.db.execute(sql, row).lastrowid or 0)

    def finish(self, judgement: int, outcome: Outcome) -> None:
        first = outcome.first
        self.db.execute(
            "UPDATE judgements SET verdict = ?, seconds = ?, passed = ?, total = ?, failing = ?,"
            " message = ?, diagnosis = ? WHERE id = ?",
            (
                outcome.verdict,
                outcome.seconds,
                outcome.passed,
                outcome.total,
                first.name if first else "",
                outcome.ended or (first.message if first else ""),
                first.diagnosis if first else "",
                judgement,
            ),
        )

    def take_hint(self, kata: str, rungs: int) -> int:
        """Climb one rung; returns how many hints are open now."""
        rung = min(self.hints_taken(kata) + 1, rungs)
        sql = "INSERT INTO hints (kata, rung, taken) VALUES (?, ?, ?)"
        self.db.execute(sql, (kata, rung, time.time()))
        return rung

    def begin_review(self, kata: Kata) -> None:
        source = self.keep_source(source_text(kata.stub))
        sql = "INSERT INTO reviews (kata, began, source) VALUES (?, ?, ?)"
        self.db.execute(sql, (kata.name, time.time(), source))

    def end_review(self, review: int, ended: float, grade: str) -> None:
        sql = "UPDATE reviews SET ended = ?, grade = ? WHERE id = ?"
        self.db.execute(sql, (ended, grade, review))

    # -- reading

    def all_hints_taken(self) -> dict[str, int]:
        rows = self.db.execute("SELECT kata, max(rung) AS rung FROM hints GROUP BY kata")
        return {row["kata"]: row["rung"] for row in rows}

    def hints_taken(self, kata: str) -> int:
        sql = "SELECT max(rung) FROM hints WHERE kata = ?"
        return self.db.execute(sql, (kata,)).fetchone()[0] or 0

    def reviews(self) -> list[dict[str, Any]]:
        """All reviews, oldest first; one that is open has not ended."""
        return [dict(row) for row in self.db.execute("SELECT * FROM reviews ORDER BY began")]

    def hints_between(self, kata: str, began: float, ended: float) -> int:
        sql = "SELECT count(*) FROM hints WHERE kata = ? AND taken BETWEEN ? AND ?"
        return self.db.execute(sql, (kata, began, ended)).fetchone()[0]

    def judgements(self, kata: str) -> list[dict[str, Any]]:
        """All judgements of a kata, oldest first."""
        rows = self.db.execute("SELECT * FROM judgements WHERE kata = ? ORDER BY started", (kata,))
        return [dict(row) for row in rows]

    def all_judgements(self) -> list[dict[str, Any]]:
        """Every judgement of every kata, oldest first."""
        rows = self.db.execute("SELECT * FROM judgements ORDER BY started")
        return [dict(row) for row in rows]

    def source(self, key: str) -> str | None:
        """The source whose hash starts with `key`, if exactly one does."""
        sql = "SELECT text FROM sources WHERE substr(hash, 1, ?) = ?"
        rows = self.db.execute(sql, (len(key), key)).fetchall()
        return rows[0]["text"] if len(rows) == 1 else None

    def latest(self) -> dict[str, dict[str, Any]]:
        """The newest whole judgement of every kata that has one."""
        # with max(), SQLite takes the other columns from the row that holds it
        sql = "SELECT *, max(started) FROM judgements WHERE verdict != ? GROUP BY kata"
        return {row["kata"]: dict(row) for row in self.db.execute(sql, (PARTIAL,))}

    def tallies(self) -> dict[str, dict[str, Any]]:
        """Per kata: how many judgements, the first of all, the first green one."""
        sql = (
            "SELECT kata, count(*) AS runs, min(started) AS first,"
            " min(CASE WHEN verdict = ? THEN started END) AS green"
            " FROM judgements GROUP BY kata"
        )
        return {row["kata"]: dict(row) for row in self.db.execute(sql, (GREEN,))}

    def known(self, kata: Kata) -> dict[str, Any] | None:
        """The newest whole judgement of exactly this source by exactly this suite."""
        sql = (
            "SELECT * FROM judgements WHERE kata = ? AND source = ? AND suite = ?"
            " AND verdict NOT IN (?, ?) ORDER BY started DESC LIMIT 1"
        )
        key = content_hash(source_text(kata.stub))
        values = (kata.name, key, suite_hash(kata), PARTIAL, UNFINISHED)
        row = self.db.execute(sql, values).fetchone()
        return dict(row) if row else None


def source_text(path: Path) -> str:
    """A file's text for the store; '' where there is none, odd bytes replaced."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def content_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def suite_hash(kata: Kata) -> str:
    return content_hash(source_text(kata.suite))


def open_store(root: Path) -> Store:
    """The progress file of the project at `root`; a damaged one is kept aside.

    With KATA_NO_RECORD=1, or where nothing can be written, a store in memory that
    forgets; in the second case `notice` says so.
    """
    if os.environ.get("KATA_NO_RECORD", "") not in ("", "0"):
        return Store(None)
    path = root / FILE
    try:
        path.parent.mkdir(exist_ok=True)
        return Store(path)
    except StoreError as error:
        return Store(None, f"progress is not recorded: {error}")
    except sqlite3.OperationalError as error:
        return Store(None, f"progress is not recorded: {FILE.as_posix()}: {error}")
    except OSError as error:
        return Store(None, f"progress is not recorded: {FILE.as_posix()}: {error.strerror}")
    except sqlite3.DatabaseError as error:
        return _set_aside(path, error)


def _set_aside(path: Path, error: Exception) -> Store:
    kept = path.with_name(f"progress.damaged-{time.strftime('%Y%m%d-%H%M%S')}.sqlite3")
    try:
        path.rename(kept)
        for suffix in ("-wal", "-shm"):
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                beside.rename(kept.with_name(kept.name + suffix))
        notice = f"{FILE.as_posix()} is damaged ({error}); kept as {kept.name}, a new one is begun"
        return Store(path, notice)
    except (OSError, sqlite3.Error) as second:
        return Store(None, f"progress is not recorded: {FILE.as_posix()}: {second}")
