"""Requests as lines of JSON in pipes, and a process that becomes a fork for each of them."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
from typing import Any

LOST = -9  # the status of a process that nobody waits for any more

Request = dict[str, Any]


class Lines:
    """Whole lines of JSON from a pipe."""

    def __init__(self, end: int):
        self.end, self.cut = end, b""

    def read(self) -> list[Request] | None:
        """What came; None when the other side has closed the pipe."""
        data = os.read(self.end, 65536)
        *lines, self.cut = (self.cut + data).split(b"\n")
        return [json.loads(line) for line in lines] if data else None


def tell(end: int, **what: object) -> None:
    os.write(end, (json.dumps(what) + "\n").encode())


class Listener:
    """Of a template: forks for every request from `source`, and tells how the forks end."""

    def __init__(self, source: int, told: int):
        self.source, self.told = source, told
        self.running: set[int] = set()
        self.woken, self.wake = os.pipe()
        os.set_blocking(self.wake, False)
        signal.set_wakeup_fd(self.wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def forked(self) -> Request | None:
        """In every fork: its request. Here: None, when no more will come and all have ended."""
        requests = Lines(self.source)
        with selectors.DefaultSelector() as selector:
            selector.register(self.source, selectors.EVENT_READ)
            selector.register(self.woken, selectors.EVENT_READ)
            while True:
                for found, _ in selector.select():
                    if found.fd == self.woken:
                        os.read(self.woken, 4096)
                        self.reap(os.WNOHANG)
                        continue
                    if (asked := requests.read()) is None:
                        self.reap(0)
                        return None
                    for request in asked:
                        if (mine := self.fork(request)) is not None:
                            return mine

    def fork(self, request: Request) -> Request | None:
        """In a fork: its request. With `both_ends` there are two, in one process group: the
        second one, of which nothing is told, writes into a pipe that the first one reads."""
        ends = os.pipe() if request.get("both_ends") else (0,)
        first = 0
        for name, end in zip(("reads", "writes"), ends, strict=False):
            if (pid := os.fork()) == 0:
                self.leave(first)
                for other in {*ends} - {end}:
                    os.close(other)
                return request | {name: end}
            with contextlib.suppress(OSError):  # it may have done so itself, and have ended
                os.setpgid(pid, first or pid)
            if not first:
                first = pid
                self.running.add(pid)
                tell(self.told, pid=pid)
        for end in filter(None, ends):
            os.close(end)
        return None

    def leave(self, group: int) -> None:
        """A fork neither listens nor tells; it is in a group of its own, or in the one named."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with contextlib.suppress(OSError):
            os.setpgid(0, group)
        for end in (self.source, self.told, self.woken, self.wake):
            os.close(end)

    def reap(self, options: int) -> None:
        """Tell how forks ended; with options 0, wait for all of them."""
        while True:
            try:
                pid, status = os.waitpid(-1, options)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.running:
                self.running.remove(pid)
                tell(self.told, pid=pid, status=os.waitstatus_to_exitcode(status))
