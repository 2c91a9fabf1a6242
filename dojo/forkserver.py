"""The warm parent of judging processes: `python -m dojo.forkserver ADDRESS MODULE...`.

It imports what judging needs and then only forks: a line of JSON on stdin asks for a process,
lines on stdout tell its pid and later its exit status; others may ask the same at the socket
ADDRESS. For each suite it keeps a process that has
collected it (`dojo.template`), of which the judging ones are forks. None of them runs threads
or answers, so every fork is clean. Where a system cannot fork, it judges the first request
itself and ends: a spare process, started before it is needed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from dojo.forks import LOST, Lines, Listener, Request, tell

# macOS has fork, but its own libraries may not be used in a forked child
CAN_FORK = hasattr(os, "fork") and sys.platform != "darwin" and "KATA_NO_FORK" not in os.environ
JUDGING = ("pytest", "pytest_timeout", "_pytest.python", "_pytest.capture", "dojo.plugin",
           "dojo.limits", "dojo.checks", "dojo.kept", "dojo.judge", "dojo.template")  # fmt: skip
KEPT = 2  # suites that stay collected


class Asker:
    """Who sends requests: the process that started this one, or a guest on its socket."""

    def __init__(self, requests: int, told: int):
        self.requests, self.told = Lines(requests), told

    def tell(self, **what: object) -> None:
        with contextlib.suppress(OSError):  # it may have left
            tell(self.told, **what)


class Collected:
    """The server's side of one template."""

    def __init__(self, ask: int, answers: int):
        self.ask, self.answers = ask, Lines(answers)
        self.unanswered: list[Asker] = []
        self.running: dict[int, Asker] = {}

    def request(self, line: bytes, asker: Asker) -> None:
        os.write(self.ask, line)
        self.unanswered.append(asker)

    def pass_on(self) -> bool:
        """Tell what it told; False when it is gone, and then what became of its forks."""
        told = self.answers.read()
        for line in told or []:
            if "status" in line:
                asker = self.running.pop(line["pid"])
            else:
                asker = self.running[line["pid"]] = self.unanswered.pop(0)
            asker.tell(**line)
        if told is None:
            for pid, asker in self.running.items():
                asker.tell(pid=pid, status=LOST)
            for asker in self.unanswered:
                asker.tell(pid=0)
        return told is not None


class Server:
    """Hands every request to the template of its suite."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.templates: dict[tuple[Any, ...], Collected] = {}  # oldest first

    def serve(self, address: str) -> None:
        """Until stdin ends; then what still runs is ended by whoever asked for it."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # templates need not be waited for
        owner = Asker(0, 1)
        self.selector.register(0, selectors.EVENT_READ, owner)
        with guests(address) as door:
            if door is not None:
                self.selector.register(door, selectors.EVENT_READ, door)
            owner.tell(ready=os.getpid())
            while self.answer(owner):
                pass

    def answer(self, owner: Asker) -> bool:
        """Deal with what has come; False when the owner is gone."""
        for found, _ in self.selector.select():
            other = found.data
            if isinstance(other, Collected):
                if not other.pass_on():
                    self.leave(found.fd)
                    self.forget(other)
            elif isinstance(other, Asker):
                asked = other.requests.read()
                for request in asked or []:
                    self.hand_over(request, other)
                if asked is None and other is owner:
                    return False
                if asked is None:
                    self.leave(found.fd)
            else:
                guest = other.accept()[0].detach()
                self.selector.register(guest, selectors.EVENT_READ, Asker(guest, guest))
        return True

    def leave(self, end: int) -> None:
        """In this order: a fork may keep `end` open, and then closing it here ends no watch."""
        self.selector.unregister(end)
        os.close(end)

    def forget(self, gone: Collected) -> None:
        """It takes no more requests, though for a moment its pipe may still take bytes."""
        for suite in [suite for suite, known in self.templates.items() if known is gone]:
            os.close(self.templates.pop(suite).ask)

    def hand_over(self, request: Request, asker: Asker) -> None:
        from dojo.template import key

        suite = key(request["arguments"])
        line = (json.dumps(request) + "\n").encode()
        known = self.templates.pop(suite, None)
        if known is not None:
            with contextlib.suppress(BrokenPipeError):
                known.request(line, asker)
                self.templates[suite] = known
                return
        while len(self.templates) >= KEPT:
            os.close(self.templates.pop(next(iter(self.templates))).ask)
        self.templates[suite] = self.new_template(request)
        self.templates[suite].request(line, asker)

    def new_template(self, request: Request) -> Collected:
        (asked, ask), (answers, answer) = os.pipe(), os.pipe()
        if os.fork() != 0:
            os.close(asked)
            os.close(answer)
            new = Collected(ask, answers)
            self.selector.register(answers, selectors.EVENT_READ, new)
            return new
        status = 70
        try:
            os.setsid()
            self.selector.close()
            for end in (ask, *(template.ask for template in self.templates.values())):
                os.close(end)
            status = be_template(Listener(asked, answer), request)
        finally:
            os._exit(status)


@contextlib.contextmanager
def guests(address: str) -> Iterator[socket.socket | None]:
    """A socket at which others may ask as well, where one can be had."""
    if not address:
        yield None
        return
    door = socket.socket(socket.AF_UNIX)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(address)
        door.bind(address)
        os.chmod(address, 0o600)
        door.listen()
    except OSError:  # an address that is too long, no permission
        door.close()
        yield None
        return
    try:
        yield door
    finally:
        door.close()
        with contextlib.suppress(OSError):
            os.unlink(address)


def be_template(listener: Listener, request: Request) -> int:
    """Collect, and return the exit status of a judgement in every fork."""
    from dojo.template import Template

    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    bring(request["modules"])
    here = os.getpid()
    status = Template(listener.forked).run([*request["arguments"], *QUIET])
    if os.getpid() == here:  # it could not be collected: every judgement says why
        asked = listener.forked()
        return 0 if asked is None else run(asked)
    sys.stdout.flush()
    return status


QUIET = ("-W", "ignore::pytest.PytestAssertRewriteWarning")


def run(request: Request) -> int:
    """Become the judging process that `request` describes, without a template."""
    import pytest

    out = os.open(request["printed"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    for stream, file in ((0, null), (1, out), (2, out)):
        os.dup2(file, stream)
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    status = int(pytest.main([*request["arguments"], *QUIET]))
    sys.stdout.flush()
    return status


def bring(modules: Iterable[str]) -> None:
    """Import what is installed of them."""
    for name in modules:
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            importlib.import_module(name)


def main(address: str, *modules: str) -> None:
    bring((*modules, *JUDGING))
    if "dojo.tensors" in modules:
        sys.modules["dojo.tensors"].warm_up()
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page it shares with this process
    if CAN_FORK:
        return Server().serve(address)
    tell(1, ready=os.getpid())
    if line := sys.stdin.readline():
        tell(1, pid=os.getpid())
        sys.exit(run(json.loads(line)))
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
