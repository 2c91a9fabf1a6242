"""Compare what a learner waits for with what the bare tools take, in one run.

`python -m benchmarks [--saves N] [--every N] [PART...]`; parts: cold, saves, bank, progress.
Every row is measured on both sides in turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dojo.answers import Library
from dojo.check import FIRST
from dojo.curriculum import Curriculum, Kata, load
from dojo.judge import ColdProcess, Job
from dojo.store import Store
from dojo.stub import answer_text
from dojo.worker import Worker, needed_imports

ROOT = Path(__file__).resolve().parent.parent
# one kata for each weight of import, where the curriculum has it
COLD = {
    "correlate2d": "import numpy, pytest",
    "conv2d": "import numpy, pytest, torch",
    "resnet18": "import numpy, pytest; from dojo import vision; import torchvision",
}


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def row(what: str, ours: float, theirs: float, name: str, times: str = "slower") -> None:
    ratio = ours / theirs if times == "slower" else theirs / ours
    print(f"{what:<44} {ours:8.3f} s   {name:<24} {theirs:8.3f} s   {ratio:6.1f} x {times}")


def cold(curriculum: Curriculum, options: argparse.Namespace) -> None:
    """Plain pytest on the reference answer against the bare imports, the median of five."""
    environment = os.environ | {"KATA_NO_RECORD": "1"}
    for name, imports in COLD.items():
        kata = curriculum.get(name)
        if kata is None:
            continue
        judged = [sys.executable, "-m", "pytest", kata.shown(kata.suite), "--solutions"]
        bare = [sys.executable, "-c", imports]
        pairs = []
        for _ in range(5):
            pairs.append([
                timed(lambda c=command: subprocess.run(
                    c, cwd=curriculum.root, env=environment, capture_output=True, check=True))
                for command in (judged, bare)
            ])  # fmt: skip
        ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
        row(f"cold pytest, {name}", ours, theirs, "its bare imports")


@contextmanager
def desk_copy(curriculum: Curriculum) -> Iterator[Curriculum]:
    """A copy of the project to work in: no learner's file is touched."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "project")
        left_out = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")
        shutil.copytree(curriculum.root, root, ignore=left_out)
        yield load(root)


@contextmanager
def on_a_terminal(command: list[str], root: Path) -> Iterator[Callable[[str], None]]:
    """Run `command` on a pseudo-terminal; gives a function that waits for a text on it."""
    import pty
    import select

    controller, terminal = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    environment["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    process = subprocess.Popen(
        command, cwd=root, env=environment | {"PYTHONPATH": str(ROOT)}, stdin=terminal,
        stdout=terminal, stderr=terminal, start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    drawn = ""

    def wait_for(pattern: str) -> None:
        nonlocal drawn
        until = time.monotonic() + 120
        while not (found := re.search(pattern, drawn)):
            if time.monotonic() > until:
                raise TimeoutError(f"{pattern} never came from {' '.join(command)}: {drawn[-500:]}")
            if select.select([controller], [], [], 1.0)[0]:
                data = os.read(controller, 65536).decode(errors="replace")
                drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn + data)
        drawn = drawn[found.end() :]

    try:
        yield wait_for
    finally:
        os.killpg(process.pid, 9)
        process.wait()
        os.close(controller)


def saves(curriculum: Curriculum, options: argparse.Namespace) -> None:
    """From a save to its verdict on the screen: kata watch against pytest-watcher."""
    kata = curriculum.find("conv2d")
    with desk_copy(curriculum) as copy:
        kata = copy.find(kata.name)
        right = answer_text(kata)
        body = timed(lambda: Job(kata, ("--solutions",)).finish())
        outcome = Job(kata, ("--solutions",)).finish().outcome
        print(f"{kata.name}: {outcome.total} tests, their bodies take {outcome.seconds:.3f} s, "
              f"a cold judgement {body:.2f} s")  # fmt: skip
        watch = [sys.executable, "-m", "dojo", "watch", kata.name]
        watcher = [sys.executable, "-m", "pytest_watcher", "--now", "--patterns", "**/*.py"]
        watcher += [str(kata.stub.parent), kata.shown(kata.suite)]
        # what stands there when it waits for a save, for a red one, for a green one
        ours_says = ("", r"red: 0 of", r"all \d+ tests pass")
        theirs_says = (r"Press w", r"\d+ failed in", r"\d+ passed in")
        found = []
        for command, (idle, red, green) in ((watch, ours_says), (watcher, theirs_says)):
            with on_a_terminal(command, copy.root) as wait_for:
                wait_for(red)
                times = []
                for number in range(options.saves):
                    wait_for(idle)  # pytest-watcher drops what is saved while it still runs
                    time.sleep(0.3)
                    broken = number % 2  # every other save is a red one, so that each is seen
                    began = time.perf_counter()
                    kata.stub.write_text("raise ValueError\n" if broken else right)
                    wait_for(red if broken else green)
                    times.append(time.perf_counter() - began)
            found.append(times)
            kata.stub.write_text("raise ValueError\n")
        ours, theirs = (statistics.median(times) for times in found)
        row(f"save to verdict, p50 of {options.saves}", ours, theirs, "pytest-watcher", "faster")
        worst = sorted(found[0])[int(len(found[0]) * 0.9)]
        print(f"  p90 {worst:.3f} s; p50 beyond the bodies {ours - outcome.seconds:.3f} s")


def bank(curriculum: Curriculum, options: argparse.Namespace) -> None:
    """Every n-th answer of chapter 01's bank, judged as the proof does, two at a time."""
    library = Library(curriculum, solutions=True)
    jobs: list[tuple[Kata, tuple[str, ...]]] = []
    katas = curriculum.in_chapter(curriculum.katas[0].chapter)
    for kata in katas:
        for variant in library.bank(kata).variants:
            first = FIRST if variant.kind == "wrong" else ()
            jobs.append((kata, ("--solutions", "--variant", variant.name, *first)))
    chosen = jobs[:: options.every]
    os.environ |= {"KATA_NO_RECORD": "1", "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    with Worker(curriculum.root, needed_imports(katas)) as worker:
        judge_all(chosen, worker)
    ours = time.perf_counter() - began
    theirs = timed(lambda: judge_all(chosen, ColdProcess))
    what = f"{len(chosen)} of {len(jobs)} answers of the bank"
    row(what, ours, theirs, "cold processes", "faster")


def judge_all(jobs: list[tuple[Kata, tuple[str, ...]]], start: Callable) -> None:
    waiting, running = list(jobs), []
    while waiting or running:
        while waiting and len(running) < 2:
            kata, options = waiting.pop()
            running.append(Job(kata, options, start=start))
        for job in list(running):
            if job.ended(0.01):
                job.finish()
                running.remove(job)


def progress(curriculum: Curriculum, options: argparse.Namespace) -> None:
    """`kata progress` over 100,000 stored judgements against an empty one."""
    with desk_copy(curriculum) as copy:
        command = [sys.executable, "-m", "dojo", "progress"]
        run = lambda: subprocess.run(command, cwd=copy.root, capture_output=True, check=True)  # noqa: E731
        run()
        theirs = statistics.median(timed(run) for _ in range(5))
        (copy.root / ".kata").mkdir(exist_ok=True)
        store = Store(copy.root / ".kata" / "progress.sqlite3")
        store.db.execute("BEGIN")
        source = store.keep_source("x = 1\n")
        names = [kata.name for kata in copy.katas]
        sql = (
            "INSERT INTO judgements (kata, source, suite, started, seconds, verdict, passed, total)"
            " VALUES (?, ?, 's', ?, 0.1, ?, 3, 4)"
        )
        verdicts = ("red", "red", "green", "partial")
        rows = ((names[n % len(names)], source, float(n), verdicts[n % 4]) for n in range(100_000))
        store.db.executemany(sql, rows)
        store.db.execute("COMMIT")
        store.close()
        ours = statistics.median(timed(run) for _ in range(5))
        row("kata progress, 100,000 judgements", ours, theirs, "none stored")


PARTS = {"cold": cold, "saves": saves, "bank": bank, "progress": progress}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--saves", type=int, default=30, help="how many saves are timed")
    parser.add_argument("--every", type=int, default=3, help="every n-th answer of the bank")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"no part is called {unknown[0]}: {', '.join(PARTS)}")
    curriculum = load(ROOT)
    for part in options.parts or PARTS:
        print(f"-- {part}: {(PARTS[part].__doc__ or '').strip()}")
        PARTS[part](curriculum, options)


if __name__ == "__main__":
    main()
