"""Requests as lines of JSON in pipes, and a process that becomes a fork for each of them."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
from typing import Any

LOST = -9  # the status of a process that nobody waits for any more

NOBODY: tuple[int, list[int]] = (0, [])

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
        self.pairs = False  # whether any request wanted two
        self.spare = NOBODY  # two that wait: the first one's pid, a pipe to each
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
                        ended = self.reap(os.WNOHANG)
                        idle = self.pairs and self.spare is NOBODY and not self.running
                        if ended and idle and (mine := self.prepare()) is not None:
                            return mine
                        continue
                    if (asked := requests.read()) is None:
                        self.close_spare()
                        self.reap(0)
                        return None
                    for request in asked:
                        if (mine := self.fork(request)) is not None:
                            return mine

    def fork(self, request: Request) -> Request | None:
        """In a fork: its request. With `both_ends` there are two, in one process group: the
        second one, of which nothing is told, writes into a pipe that the first one reads."""
        if request.get("both_ends"):
            self.pairs = True
            while not (first := self.hand_over(request)):
                if (mine := self.prepare()) is not None:
                    return mine
        elif (first := os.fork()) == 0:
            self.leave(0)
            return request
        self.running.add(first)
        tell(self.told, pid=first)
        return None

    def hand_over(self, request: Request) -> int:
        """To the two that wait: the pid of the first; 0 where none wait, or that one is gone."""
        (first, gates), self.spare = self.spare, NOBODY
        for gate in reversed(gates):
            try:
                os.write(gate, json.dumps(request).encode())
            except BrokenPipeError:
                first = 0 if gate == gates[0] else first
            os.close(gate)
        return first

    def prepare(self) -> Request | None:
        """Two forks for the next request that wants two: in them, that request, when it comes."""
        reads, writes = os.pipe()
        first, gates = 0, list[int]()
        for name, end, other in (("reads", reads, writes), ("writes", writes, reads)):
            opened, gate = os.pipe()
            if (pid := os.fork()) == 0:
                self.leave(first)
                for close in (other, gate, *gates):
                    os.close(close)
                with open(opened, "rb") as request:
                    line = request.read()
                return json.loads(line) | {name: end} if line else os._exit(0)
            with contextlib.suppress(OSError):  # it may have done so itself, and have ended
                os.setpgid(pid, first or pid)
            first = first or pid
            os.close(opened)
            gates.append(gate)
        os.close(reads)
        os.close(writes)
        self.spare = first, gates
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
        self.close_spare()

    def close_spare(self) -> None:
        """Those that wait for a request end when no more can come."""
        for gate in self.spare[1]:
            os.close(gate)
        self.spare = NOBODY

    def reap(self, options: int) -> bool:
        """Tell how forks ended, and whether any had a request; with options 0, wait for all."""
        before = len(self.running)
        while True:
            try:
                pid, status = os.waitpid(-1, options)
            except ChildProcessError:
                pid = 0
            if pid == 0:
                return len(self.running) < before
            if pid == self.spare[0]:
                self.close_spare()
            if pid in self.running:
                self.running.remove(pid)
                tell(self.told, pid=pid, status=os.waitstatus_to_exitcode(status))
