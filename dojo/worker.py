"""The asking side of the warm worker: starts `dojo.forkserver` and processes in it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from dojo.curriculum import Kata
from dojo.forks import LOST
from dojo.forkserver import CAN_FORK
from dojo.judge import ColdProcess, Judgement, Process, environment_of, judge

PARALLEL = min(4, os.cpu_count() or 1)  # judgements at a time, where there are many


class Line(Protocol):
    """To a server: requests there, lines back."""

    def send(self, line: bytes) -> None: ...
    def lines(self) -> Iterable[bytes]: ...
    def gone(self) -> bool: ...
    def ended(self) -> int: ...
    def close(self) -> None: ...


class OwnServer:
    """A server that this process has started, and that ends with it."""

    def __init__(self, root: Path, modules: tuple[str, ...], door: str):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dojo.forkserver", door, *modules], cwd=root,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=os.name == "posix",
        )  # fmt: skip

    def send(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def lines(self) -> Iterable[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def gone(self) -> bool:
        return self.process.poll() is not None

    def ended(self) -> int:
        return self.process.wait()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            assert self.process.stdin is not None
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()


class OthersServer:
    """The server of another process, at its socket."""

    def __init__(self, root: Path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(address(root))
        self.over = False

    def send(self, line: bytes) -> None:
        self.socket.sendall(line)

    def lines(self) -> Iterable[bytes]:
        with self.socket.makefile("rb") as answers, contextlib.suppress(OSError):
            yield from answers
        self.over = True

    def gone(self) -> bool:
        return self.over

    def ended(self) -> int:
        return LOST

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def address(root: Path) -> str:
    """Where a server listens for others: one for each interpreter, which has its own torch."""
    key = hashlib.sha256(f"{sys.executable} {sys.version}".encode()).hexdigest()[:8]
    return str(root / ".kata" / f"worker-{key}.sock")


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

    def __init__(self, root: Path, modules: tuple[str, ...], shared: bool = False):
        self.root, self.modules = root, modules
        # of `kata watch`: `kata run` may use it as well, and a second core judges as well
        self.shared = shared
        self.asking = threading.Lock()  # one request at a time: answers come in their order
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
        environment = environment_of(told)
        environment |= {k: v for k, v in os.environ.items() if k.startswith("KATA_")}
        request = {"arguments": arguments, "folder": str(kata.root), "printed": str(printed),
                   "environment": environment, "modules": self.modules,
                   "both_ends": self.shared and (os.cpu_count() or 1) > 1}  # fmt: skip
        line = (json.dumps(request) + "\n").encode()
        with self.asking:
            for _ in range(3):
                server, asked = self.server, len(self.started)
                with contextlib.suppress(OSError):
                    server.send(line)
                    if pid := self._answer(server, asked):
                        if not CAN_FORK:
                            self.server = self._new_server()
                        return WarmProcess(self, pid)
                self.server = self._new_server()
        raise OSError("the warm worker cannot be started: try `kata run`, or `kata doctor`")

    def _answer(self, server: Line, asked: int) -> int:
        """The pid of the process that was asked for; 0 when the server is gone."""
        with self.news:
            self.news.wait_for(lambda: len(self.started) > asked or server.gone())
            return self.started[asked] if len(self.started) > asked else 0

    def _new_server(self) -> Line:
        server = self.connect()
        threading.Thread(target=self._listen, args=(server,), daemon=True).start()
        return server

    def connect(self) -> Line:
        """A server of its own."""
        return OwnServer(self.root, self.modules, address(self.root) if self.shared else "")

    def _listen(self, server: Line) -> None:
        mine: list[int] = []
        for line in server.lines():
            said: dict[str, Any] = {}
            with contextlib.suppress(ValueError):  # a library may print while it is imported
                said = json.loads(line)
            with self.news:
                if "status" in said:
                    self.statuses[said["pid"]] = said["status"]
                elif "pid" in said:
                    self.statuses.pop(said["pid"], None)  # of one that ended long ago
                    mine.append(said["pid"])
                    self.started.append(said["pid"])
                self.news.notify_all()
        status = server.ended()
        with self.news:
            for pid in mine:
                self.statuses.setdefault(pid, LOST if CAN_FORK else status)
            self.news.notify_all()

    def close(self) -> None:
        self.server.close()


def judgements(
    kata: Kata, jobs: Iterable[tuple[str, ...]], worker: Worker
) -> Iterator[Judgement]:  # fmt: skip
    """Of jobs, each told by its options: a few at a time, in their order."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        try:
            yield from pool.map(lambda options: judge(kata, options, start=worker), jobs)
        except BaseException:  # Ctrl-C: nobody waits for what is under way
            worker.close()
            raise


class Guest(Worker):
    """Uses the worker that somebody else, `kata watch`, has started; OSError where none is."""

    def connect(self) -> Line:
        return OthersServer(self.root)


@contextlib.contextmanager
def warm_or_cold(root: Path, katas: list[Kata]) -> Iterator[Callable[..., Process]]:
    """How to start a judging process: in the worker of `kata watch`, if that runs here."""
    guest = None
    if CAN_FORK:
        with contextlib.suppress(OSError):
            guest = Guest(root, needed_imports(katas))

    def start(*asked: Any) -> Process:
        if guest is not None:
            with contextlib.suppress(OSError):  # it has ended in between
                return guest(*asked)
        return ColdProcess(*asked)

    yield start
    if guest is not None:
        guest.close()


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
    numpy = ("numpy", "numpy.random")
    return (*numpy, "torch", "dojo.tensors", *vision, *compiler) if torch else numpy
