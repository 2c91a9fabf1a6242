"""Judge one kata in a process of its own, and decide the verdict here, outside of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dojo import events, limits
from dojo.curriculum import Kata
from dojo.family import Family
from dojo.results import Outcome
from dojo.store import open_store

SILENCE = 150.0  # seconds without any event after which the process is taken for stuck
GRACE = 2.0  # seconds beyond a test's own limit, before it is ended from outside
LAST = 0.5  # seconds for a process that has told its verdict to end by itself
LOOK = 0.1  # seconds before the first look at the memory, and between two
# Only the plugins that judging needs: others that happen to be installed cost seconds, and
# each of pytest's own that is left out some milliseconds of import or garbage collection.
UNUSED = (
    "cacheprovider doctest faulthandler junitxml legacypath logging pastebin unittest "
    "unraisableexception"
)
OPTIONS = (
    *("-p", "pytest_timeout", "-p", "dojo.limits"),
    *(word for name in UNUSED.split() for word in ("-p", f"no:{name}")),
)
ENVIRONMENT = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@dataclass
class Judgement:
    """A verdict and the text that pytest printed on the way."""

    outcome: Outcome
    printed: str


class Process(Protocol):
    """A judging process, cold or forked."""

    pid: int

    def ended(self, timeout: float) -> bool: ...
    def status(self) -> int: ...


def environment_of(told: Path) -> dict[str, str]:
    """What a judging process finds; its temporary files go when the judgement is over."""
    return ENVIRONMENT | {events.VARIABLE: str(told), "TMPDIR": str(told.parent)}


class ColdProcess:
    """A new interpreter that runs pytest."""

    def __init__(self, arguments: list[str], kata: Kata, told: Path, printed: Path):
        command = [sys.executable, "-m", "pytest", *arguments]
        environment = os.environ | environment_of(told)
        with printed.open("wb") as out:
            self.popen = subprocess.Popen(
                command, cwd=kata.root, env=environment, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=os.name == "posix",
            )  # fmt: skip
        self.pid = self.popen.pid

    def ended(self, timeout: float) -> bool:
        try:
            self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def status(self) -> int:
        return self.popen.wait()


class Job:
    """A judgement under way; `start` is given a maker of processes, cold unless told.

    With `brief` it is over as soon as the verdict is told: what pytest prints then is not read,
    and `told` has it while the process is still there.
    """

    def __init__(
        self, kata: Kata, options: tuple[str, ...] = (), color: bool = False,
        start: Callable[..., Process] = ColdProcess, brief: bool = False,
    ):  # fmt: skip
        self.kata, self.brief = kata, brief
        self.folder = tempfile.TemporaryDirectory(prefix="kata-")
        told, self.printed = Path(self.folder.name, "events"), Path(self.folder.name, "printed")
        told.touch()
        self.printed.touch()
        self.tail = events.Tail(told)
        self.why = ""  # it was ended from outside
        self.asked = 0
        self.looked = time.monotonic()
        arguments = [str(kata.suite), *options, *OPTIONS, f"--color={'yes' if color else 'no'}"]
        self.process = start(arguments, kata, told, self.printed)
        self.family = Family(self.process.pid)

    def ended(self, timeout: float = 0.0) -> bool:
        """Whether the process ended within `timeout`; one that is over a limit is ended here."""
        if self.process.ended(timeout):
            return True
        self.tail.read()
        self.why = self.why or self._over_limit()
        return bool(self.why) or (self.brief and self._complete())

    def new_events(self) -> list[dict[str, Any]]:
        """What came since this was last asked."""
        new = self.tail.events[self.asked :]
        self.asked += len(new)
        return new

    def _over_limit(self) -> str:
        running = self._running()
        limit = running.get("limit", 0.0) + GRACE if running.get("limit") else SILENCE
        if self.tail.silence() > limit:
            where = running.get("name", "the end of the run")
            return f"ended after {limit:g} s without a result in {where}"
        if time.monotonic() - self.looked > LOOK:
            self.looked = time.monotonic()
            self.family.look()
            if self.family.memory(limits.MEMORY) > limits.MEMORY:
                where = running.get("name", "the run")
                return f"ended in {where}: it used more than {limits.MEMORY / 2**30:g} GB of memory"
        return ""

    def _running(self) -> dict[str, Any]:
        """The test that began last, if nothing came after it."""
        return self._last() if self._last().get("event") == "test" else {}

    def _complete(self) -> bool:
        return self._last().get("event") == "kata"

    def _last(self) -> dict[str, Any]:
        return self.tail.events[-1] if self.tail.events else {}

    def told(self) -> Judgement | None:
        """The judgement, if the process has told all of it; `finish` must still end that."""
        self.tail.read()
        if self.why or not self._complete():
            return None
        return Judgement(events.outcome_of(self.kata.name, self.tail.events)[0], "")

    def finish(self) -> Judgement:
        """Wait, end what is left of the process, and decide."""
        try:
            while not self.ended(0.02):
                pass
            if self.brief and not self.why:
                self.process.ended(LAST)  # by itself, so that it can wait for its own children
        finally:
            self.family.end()
        self.tail.read()
        text = self.printed.read_text(encoding="utf-8", errors="replace")
        outcome, row, running = events.outcome_of(self.kata.name, self.tail.events)
        if running or self.why:
            outcome.ended = self.why or _why(self.process.status(), running)
        elif not outcome.expected:
            outcome.ended = _could_not_start(text)
        if outcome.ended and row:
            _correct_record(self.kata, row, outcome)
        self._close()
        return Judgement(outcome, text)

    def cancel(self) -> None:
        """End it without a verdict: a newer answer is there."""
        self.family.end()
        self._close()

    def _close(self) -> None:
        self.tail.close()
        self.folder.cleanup()


def judge(
    kata: Kata, options: tuple[str, ...] = (), color: bool = False,
    start: Callable[..., Process] = ColdProcess,
) -> Judgement:  # fmt: skip
    """Run the kata's suite; the verdict comes from counted results, never from the exit status."""
    return Job(kata, options, color, start).finish()


def _why(status: int, running: str) -> str:
    if status < 0:
        return f"the process was killed by {signal.Signals(-status).name} in {running}"
    return f"the process ended with exit status {status} in {running}"


def _could_not_start(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    raised = [line.removeprefix("E ").strip() for line in lines if line.startswith("E ")]
    telling = raised or [line for line in lines if "rror" in line] or lines
    why = telling[-1].removeprefix("ERROR: ") if telling else "it printed nothing"
    return f"the suite could not be run: {why}"


def _correct_record(kata: Kata, row: int, outcome: Outcome) -> None:
    store = open_store(kata.root)
    store.finish(row, outcome)
    store.close()
