"""The warm parent of judging processes: `python -m dojo.forkserver MODULE...`.

It imports what judging needs and then only forks: a line of JSON on stdin asks for a process,
lines on stdout tell its pid and later its exit status. For each suite it keeps a process that has
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
import sys
from typing import Any

# macOS has fork, but its own libraries may not be used in a forked child
CAN_FORK = hasattr(os, "fork") and sys.platform != "darwin" and "KATA_NO_FORK" not in os.environ
JUDGING = ("pytest", "pytest_timeout", "_pytest.python", "_pytest.capture", "dojo.plugin",
           "dojo.limits", "dojo.checks", "dojo.kept", "dojo.judge", "dojo.template")  # fmt: skip
KEPT = 2  # suites that stay collected
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
                        if (pid := os.fork()) == 0:
                            self.leave()
                            return request
                        tell(self.told, pid=pid)

    def leave(self) -> None:
        """A fork is a process of its own, which neither listens nor tells."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
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
            tell(self.told, pid=pid, status=os.waitstatus_to_exitcode(status))


class Collected:
    """The server's side of one template."""

    def __init__(self, ask: int, answers: int):
        self.ask, self.answers = ask, Lines(answers)
        self.unanswered = 0
        self.running: set[int] = set()

    def request(self, line: bytes) -> None:
        os.write(self.ask, line)
        self.unanswered += 1

    def pass_on(self) -> bool:
        """Tell what it told; False when it is gone, and then what became of its forks."""
        told = self.answers.read()
        for line in told or []:
            if "status" in line:
                self.running.discard(line["pid"])
            else:
                self.running.add(line["pid"])
                self.unanswered -= 1
            tell(1, **line)
        if told is None:
            os.close(self.answers.end)
            for pid in self.running:
                tell(1, pid=pid, status=LOST)
            for _ in range(self.unanswered):
                tell(1, pid=0)
        return told is not None


class Server:
    """Hands every request to the template of its suite."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.templates: dict[tuple[Any, ...], Collected] = {}  # oldest first

    def serve(self) -> None:
        """Until stdin ends; then what still runs is ended by whoever asked for it."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # templates need not be waited for
        requests = Lines(0)
        self.selector.register(0, selectors.EVENT_READ)
        tell(1, ready=os.getpid())
        while True:
            for found, _ in self.selector.select():
                if found.fd != 0:
                    if not found.data.pass_on():
                        self.selector.unregister(found.fd)
                elif (asked := requests.read()) is None:
                    return
                else:
                    for request in asked:
                        self.hand_over(request)

    def hand_over(self, request: Request) -> None:
        from dojo.template import key

        suite = key(request["arguments"])
        line = (json.dumps(request) + "\n").encode()
        known = self.templates.pop(suite, None)
        if known is not None:
            with contextlib.suppress(BrokenPipeError):
                known.request(line)
                self.templates[suite] = known
                return
        while len(self.templates) >= KEPT:
            os.close(self.templates.pop(next(iter(self.templates))).ask)
        self.templates[suite] = self.new_template(request)
        self.templates[suite].request(line)

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


def be_template(listener: Listener, request: Request) -> int:
    """Collect, and return the exit status of a judgement in every fork."""
    from dojo.template import Template

    os.chdir(request["folder"])
    os.environ.update(request["environment"])
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


def main(modules: list[str]) -> None:
    for name in (*modules, *JUDGING):
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page it shares with this process
    if CAN_FORK:
        return Server().serve()
    tell(1, ready=os.getpid())
    if line := sys.stdin.readline():
        tell(1, pid=os.getpid())
        sys.exit(run(json.loads(line)))
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
