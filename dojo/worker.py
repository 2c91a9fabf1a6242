"""Judging processes forked from this one: torch and pytest are imported once, not each time."""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import os
import sys
from pathlib import Path

from dojo import events
from dojo.curriculum import Kata
from dojo.judge import ENVIRONMENT, ColdProcess

CAN_FORK = "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"


class ForkedProcess:
    """A child of this process that runs pytest; the child never returns."""

    def __init__(self, arguments: list[str], kata: Kata, told: Path, printed: Path):
        context = multiprocessing.get_context("fork")
        self.child = context.Process(target=_child, args=(arguments, kata, told, printed))
        self.child.start()
        self.pid = self.child.pid or 0

    def ended(self, timeout: float) -> bool:
        self.child.join(timeout)
        return self.child.exitcode is not None

    def status(self) -> int:
        self.child.join()
        return self.child.exitcode or 0


def _child(arguments: list[str], kata: Kata, told: Path, printed: Path) -> None:
    import pytest

    os.setsid()
    out = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(out, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(kata.root)
    os.environ.update(ENVIRONMENT | {events.VARIABLE: str(told)})
    status = pytest.main([*arguments, "-W", "ignore::pytest.PytestAssertRewriteWarning"])
    sys.stdout.flush()
    os._exit(int(status))


def warm_up(modules: tuple[str, ...]) -> type:
    """Import what judging needs, and give the class of processes to start with.

    Where a process cannot fork safely, that is the cold one.
    """
    if not CAN_FORK:
        return ColdProcess
    for name in (*modules, "pytest", "pytest_timeout", "dojo.plugin", "dojo.checks"):
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
    return ForkedProcess
