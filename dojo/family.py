"""A judging process and all that it started: how much memory they hold, and their end."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Any

try:
    import psutil
except ImportError:  # judging does without; only what left the process group is not found then
    psutil = None


class Family:
    """Remembers every descendant, and everything in its group, that was ever seen."""

    def __init__(self, pid: int):
        self.pid = pid
        self.seen: dict[int, Any] = {}

    def look(self) -> None:
        """Find new descendants."""
        if psutil is None:
            return
        below: set[int] = set()  # members that need no search of their own
        for pid in (self.pid, *(pid for pid in psutil.pids() if _group(pid) == self.pid)):
            if pid in below:
                continue
            with contextlib.suppress(psutil.Error):
                member = self.seen.setdefault(pid, psutil.Process(pid))
                found = member.children(recursive=True)
                below |= {pid, *(process.pid for process in found)}
                for process in found:
                    self.seen.setdefault(process.pid, process)

    def memory(self, limit: int) -> int:
        """Bytes that the family holds for itself; exact only where they may exceed `limit`.

        Pages shared with a warm parent are counted by rss, which is quick, not by uss.
        """
        return total if (total := self._sum("memory_info", "rss")) <= limit else self._sum(
            "memory_full_info", "uss"
        )  # fmt: skip

    def _sum(self, method: str, field: str) -> int:
        total = 0
        for process in self.seen.values():
            with contextlib.suppress(psutil.Error):
                total += getattr(getattr(process, method)(), field)
        return total

    def end(self) -> None:
        """Nothing that an answer started outlives its judgement."""
        self.look()
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        for process in self.seen.values():
            with contextlib.suppress(psutil.Error):
                process.kill()
        others = [p for p in self.seen.values() if p.pid != self.pid]  # that one is waited for
        until = time.monotonic() + 3
        while any(map(_runs, others)) and time.monotonic() < until:
            time.sleep(0.005)
        if os.name != "posix" and psutil is None:
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGTERM)


def _group(pid: int) -> int:
    if os.name != "posix":
        return 0
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


def _runs(process: Any) -> bool:
    """A zombie does not, though nobody may ever ask for its status."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
