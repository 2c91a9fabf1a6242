"""The warm parent of judging processes: `python -m dojo.forkserver MODULE...`.

It imports what judging needs and then only forks: a line of JSON on stdin asks for a process,
lines on stdout tell its pid and later its exit status. It runs no threads and no answers, so
every fork is clean. Where a system cannot fork, it judges the first request itself and ends:
a spare process, started before it is needed.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import selectors
import signal
import sys

# macOS has fork, but its own libraries may not be used in a forked child
CAN_FORK = hasattr(os, "fork") and sys.platform != "darwin" and "KATA_NO_FORK" not in os.environ
JUDGING = ("pytest", "pytest_timeout", "_pytest.python", "_pytest.capture", "dojo.plugin",
           "dojo.limits", "dojo.checks", "dojo.kept", "dojo.judge")  # fmt: skip


def tell(**what: object) -> None:
    os.write(1, (json.dumps(what) + "\n").encode())


def run(request: dict) -> int:
    """Become the judging process that `request` describes."""
    import pytest

    out = os.open(request["printed"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    for stream, file in ((0, null), (1, out), (2, out)):
        os.dup2(file, stream)
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    warned = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
    status = int(pytest.main([*request["arguments"], *warned]))
    sys.stdout.flush()
    return status


def fork(request: dict) -> None:
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            status = run(request)
        finally:
            os._exit(status)
    tell(pid=pid)


def reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        tell(pid=pid, status=os.waitstatus_to_exitcode(status))


def serve() -> None:
    """Until stdin ends; then everything that still runs is ended by whoever asked for it."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    selector, cut = selectors.DefaultSelector(), b""
    selector.register(0, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            data = os.read(key.fd, 65536)
            if key.fd == woken:
                reap()
                continue
            if not data:
                return
            *lines, cut = (cut + data).split(b"\n")
            for line in lines:
                fork(json.loads(line))


def main(modules: list[str]) -> None:
    for name in (*modules, *JUDGING):
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page it shares with this process
    tell(ready=os.getpid())
    if CAN_FORK:
        serve()
    elif line := sys.stdin.readline():
        tell(pid=os.getpid())
        sys.exit(run(json.loads(line)))


if __name__ == "__main__":
    main(sys.argv[1:])
