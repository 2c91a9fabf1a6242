"""The asking side of the warm worker: starts `dojo.forkserver` and processes in it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from dojo import events
from dojo.curriculum import Kata
from dojo.forkserver import CAN_FORK, LOST
from dojo.judge import ENVIRONMENT


class WarmProcess:
    """A judging process of the worker."""

    def __init__(self, worker: Worker, pid: int):
        self.worker, self.pid = worker, pid

    def ended(self, timeout: float) -> bool:
        with self.worker.news:
            self.worker.news.wait_for(lambda: self.pid in self.worker.statuses, timeout)
            return self.pid in self.worker.statuses

    def status(self) -> int:
        self.ended(5.0)
        return self.worker.statuses.get(self.pid, LOST)


class Worker:
    """One warm parent; it is started anew when it is gone. Use as a context manager.

    Where a system cannot fork, every process is a spare one that was started beforehand.
    """

    def __init__(self, root: Path, modules: tuple[str, ...]):
        self.root, self.modules = root, modules
        self.news = threading.Condition()
        self.statuses: dict[int, int] = {}
        self.started: list[int] = []
        self.server = self._new_server()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, arguments: list[str], kata: Kata, told: Path, printed: Path) -> WarmProcess:
        """Start a judging process; the form that `dojo.judge.Job` wants."""
        environment = ENVIRONMENT | {events.VARIABLE: str(told)}
        environment |= {k: v for k, v in os.environ.items() if k.startswith("KATA_")}
        request = {"arguments": arguments, "folder": str(kata.root), "printed": str(printed),
                   "environment": environment}  # fmt: skip
        line = (json.dumps(request) + "\n").encode()
        for _ in range(3):
            server, asked = self.server, len(self.started)
            with contextlib.suppress(OSError):
                assert server.stdin is not None
                server.stdin.write(line)
                server.stdin.flush()
                if pid := self._answer(server, asked):
                    if not CAN_FORK:
                        self.server = self._new_server()
                    return WarmProcess(self, pid)
            self.server = self._new_server()
        raise OSError("the warm worker cannot be started: try `kata run`, or `kata doctor`")

    def _answer(self, server: subprocess.Popen[bytes], asked: int) -> int:
        """The pid of the process that was asked for; 0 when the server is gone."""
        with self.news:
            self.news.wait_for(lambda: len(self.started) > asked or server.poll() is not None)
            return self.started[asked] if len(self.started) > asked else 0

    def _new_server(self) -> subprocess.Popen[bytes]:
        server = subprocess.Popen(
            [sys.executable, "-m", "dojo.forkserver", *self.modules], cwd=self.root,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=os.name == "posix",
        )  # fmt: skip
        threading.Thread(target=self._listen, args=(server,), daemon=True).start()
        return server

    def _listen(self, server: subprocess.Popen[bytes]) -> None:
        mine: list[int] = []
        assert server.stdout is not None
        for line in server.stdout:
            said: dict[str, Any] = {}
            with contextlib.suppress(ValueError):  # a library may print while it is imported
                said = json.loads(line)
            with self.news:
                if "status" in said:
                    self.statuses[said["pid"]] = said["status"]
                elif "pid" in said:
                    mine.append(said["pid"])
                    self.started.append(said["pid"])
                self.news.notify_all()
        status = server.wait()
        with self.news:
            for pid in mine:
                self.statuses.setdefault(pid, LOST if CAN_FORK else status)
            self.news.notify_all()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            assert self.server.stdin is not None
            self.server.stdin.close()
        try:
            self.server.wait(5)
        except subprocess.TimeoutExpired:
            self.server.kill()


def needed_imports(katas: list[Kata]) -> tuple[str, ...]:
    """The slow imports of these katas: a torch that nobody asks for costs seconds."""
    files = [path for kata in katas for path in (kata.suite, kata.solution) if path.is_file()]
    text = "".join(path.read_text(encoding="utf-8", errors="replace") for path in files)
    torch = "import torch" in text or "from torch" in text or "dojo.tensors" in text
    vision: tuple[str, ...] = (
        ("dojo.vision", "torchvision") if "from dojo import vision" in text else ()
    )
    vision += ("torchvision.transforms.v2",) if "torchvision.transforms" in text else ()
    suites = "".join(kata.suite.read_text("utf-8") for kata in katas if kata.suite.is_file())
    # the first optimizer imports torch's compiler; suites that train say so by a time limit
    trains = "torch.optim" in suites or "mark.timeout" in suites
    compiler = ("torch._dynamo",) if trains else ()
    return ("numpy", "torch", "dojo.tensors", *vision, *compiler) if torch else ("numpy",)
