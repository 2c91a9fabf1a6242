"""Judge one kata in a process of its own, and decide the verdict here, outside of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dojo import events
from dojo.curriculum import Kata
from dojo.results import Outcome
from dojo.store import open_store

SILENCE = 150.0  # seconds without any event after which the process is taken for stuck
# Only the plugins that judging needs: others that happen to be installed cost seconds, and
# each of pytest's own that is left out some milliseconds of import or garbage collection.
UNUSED = (
    "cacheprovider doctest faulthandler junitxml legacypath pastebin unittest unraisableexception"
)
OPTIONS = (
    "-p",
    "pytest_timeout",
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


class ColdProcess:
    """A new interpreter that runs pytest."""

    def __init__(self, arguments: list[str], kata: Kata, told: Path, printed: Path):
        command = [sys.executable, "-m", "pytest", *arguments]
        environment = os.environ | ENVIRONMENT | {events.VARIABLE: str(told)}
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


@dataclass
class Job:
    """A judgement under way; `start` is given a class of processes, cold unless told."""

    kata: Kata
    options: tuple[str, ...] = ()
    color: bool = False
    start: Any = ColdProcess
    folder: tempfile.TemporaryDirectory = field(init=False)
    process: Process = field(init=False)
    stuck: bool = False

    def __post_init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="kata-")
        self.told.touch()
        arguments = [str(self.kata.suite), *self.options, *OPTIONS]
        arguments.append(f"--color={'yes' if self.color else 'no'}")
        self.process = self.start(arguments, self.kata, self.told, self.printed)

    @property
    def told(self) -> Path:
        return Path(self.folder.name, "events")

    @property
    def printed(self) -> Path:
        return Path(self.folder.name, "printed")

    def ended(self, timeout: float = 0.0) -> bool:
        """Whether the process ended within `timeout`; one that fell silent is ended here."""
        if self.process.ended(timeout):
            return True
        self.stuck = time.time() - self.told.stat().st_mtime > SILENCE
        return self.stuck

    def finish(self) -> Judgement:
        """Wait, end what is left of the process, and decide."""
        try:
            while not self.ended(0.5):
                pass
        finally:
            _kill_group(self.process)
        text = self.printed.read_text(encoding="utf-8", errors="replace")
        outcome, row, running = events.outcome_of(self.kata.name, events.read(self.told))
        if running or self.stuck:
            outcome.ended = _why(self.process.status(), running, self.stuck)
        elif not outcome.expected:
            outcome.ended = _could_not_start(text)
        if outcome.ended and row:
            _correct_record(self.kata, row, outcome)
        self.folder.cleanup()
        return Judgement(outcome, text)


def judge(kata: Kata, options: tuple[str, ...] = (), color: bool = False) -> Judgement:
    """Run the kata's suite; the verdict comes from counted results, never from the exit status."""
    return Job(kata, options, color).finish()


def _kill_group(process: Process) -> None:
    """Nothing that an answer started outlives its judgement."""
    try:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        elif not process.ended(0):
            os.kill(process.pid, signal.SIGTERM)
    except (ProcessLookupError, PermissionError):
        pass


def _why(status: int, running: str, stuck: bool) -> str:
    if stuck:
        return f"killed after {SILENCE:g} s without a result in {running or 'the end of the run'}"
    if status < 0:
        return f"the process was killed by {signal.Signals(-status).name} in {running}"
    return f"the process ended with exit status {status} in {running}"


def _could_not_start(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "rror" in line] or lines or ["it printed nothing"]
    return f"the suite could not be run: {telling[-1].removeprefix('ERROR: ')}"


def _correct_record(kata: Kata, row: int, outcome: Outcome) -> None:
    store = open_store(kata.root)
    store.finish(row, outcome)
    store.close()
