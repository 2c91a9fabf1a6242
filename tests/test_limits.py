"""Answers that hang, eat, fork, crash or flood: a red with the reason, and nothing left over."""

from __future__ import annotations

import os
import time

import psutil
import pytest

from dojo.judge import ColdProcess, Job
from dojo.worker import Worker
from tests.conftest import ROOT

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.name != "posix", reason="what is done here, only POSIX systems can"),
]
HEAD = "import ctypes, os, subprocess, sys, time\nimport numpy as np\n\n\ndef row_sums(grid):\n"
RETURN = "    return grid.sum(1)\n"
SLEEPER = "import time; time.sleep(77.7)"
EATER = "x = bytearray(400 * 2**20); import time; time.sleep(77.7)"
HOSTILE = {
    # what it does, what the learner reads
    "python loop": ("    while True:\n        pass\n", "no result within 1 s"),
    "hangs in C": ("    ctypes.CDLL(None).sigprocmask\n    import signal\n"
                   "    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\n"
                   "    time.sleep(77.7)\n", "ended after 3 s without a result in test_"),
    "eats memory": ("    return np.ones(2**31)\n", "asked for more than 0.5 GB of memory"),
    "its children eat memory": (
        f"    for _ in range(3):\n        subprocess.Popen([sys.executable, '-c', {EATER!r}])\n"
        "    time.sleep(0.9)\n", "it used more than 0.5 GB of memory"),
    "forks": ("    os.fork()\n" + RETURN, "the answer called os.fork() and doubled the process"),
    "leaves a child behind": (
        f"    subprocess.Popen([sys.executable, '-c', {SLEEPER!r}], start_new_session=True)\n"
        "    time.sleep(0.2)\n    raise ValueError\n", "the answer raised ValueError"),
    "exits": ("    os._exit(0)\n", "the answer called os._exit(0) instead of returning"),
    "exits in C": ("    ctypes.CDLL(None)._exit(0)\n", "ended with exit status 0 in test_"),
    "segfault": ("    ctypes.string_at(1)\n", "the process was killed by SIGSEGV in test_"),
    "kills itself": ("    os.kill(os.getpid(), 9)\n", "the process was killed by SIGKILL in test_"),
    "prints a gigabyte": ("    for _ in range(1000):\n        print('x' * 2**20)\n",
                          "printed or wrote more than 128 MB"),
    "closes sys.stdout": ("    sys.stdout.close()\n" + RETURN, "the answer closed sys.stdout"),
    "closes the descriptor": ("    os.close(1)\n" + RETURN, "closed file descriptor 1"),
}  # fmt: skip


@pytest.fixture(params=["cold", "warm", "from both ends", "spare"])
def start(request, house, monkeypatch):
    """The kinds of judging processes."""
    monkeypatch.setenv("KATA_MEMORY_GB", "0.5")
    monkeypatch.setattr("dojo.limits.MEMORY", 2**29)
    monkeypatch.setenv("KATA_NO_RECORD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    if request.param == "cold":
        yield ColdProcess
        return
    if request.param == "spare":
        monkeypatch.setenv("KATA_NO_FORK", "1")
        monkeypatch.setattr("dojo.worker.CAN_FORK", False)
    with Worker(house.root, ("numpy",), shared=request.param == "from both ends") as worker:
        yield worker


def left_over(house) -> list[str]:
    """Sleepers that were started in this house."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        line = " ".join(process.info["cmdline"] or [])
        if "time.sleep(77.7)" in line and process.info["cwd"] == str(house.root):
            found.append(line)
    return found


@pytest.mark.parametrize("deed", HOSTILE)
def test_a_hostile_answer_is_red_with_the_reason(house, start, deed, monkeypatch):
    """Whatever it does: a red that says why, in time, and nothing that goes on running."""
    body, reason = HOSTILE[deed]
    if deed == "prints a gigabyte":  # what was printed is read: in two processes, twice 128 MB
        monkeypatch.setattr("dojo.limits.MEMORY", 2**30)
    house.write("row_sums", HEAD + body)
    began = time.monotonic()
    judgement = Job(house.kata("row_sums"), start=start).finish()
    assert time.monotonic() - began < 30
    outcome = judgement.outcome
    assert outcome.verdict == "red"
    first = outcome.first
    assert reason in outcome.ended + (first.message if first else ""), (outcome, judgement.printed)
    assert not left_over(house)
    house.solve("row_sums")  # whoever judged it can judge the next
    assert Job(house.kata("row_sums"), start=start).finish().outcome.verdict == "green"


def test_an_answer_that_kills_the_server_is_red_and_a_new_one_is_started(house, monkeypatch):
    """The asking side lives on."""
    monkeypatch.setenv("KATA_NO_RECORD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    house.write("row_sums", HEAD + "    os.kill(os.getppid(), 9)\n    time.sleep(0.5)\n")
    with Worker(house.root, ("numpy",)) as worker:
        outcome = Job(house.kata("row_sums"), start=worker).finish().outcome
        assert outcome.verdict == "red"
        house.solve("row_sums")
        assert Job(house.kata("row_sums"), start=worker).finish().outcome.verdict == "green"
