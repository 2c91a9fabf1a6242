"""The warm worker: one collection for many judgements, each as if it were alone."""

from __future__ import annotations

import contextlib
import os
import time

import psutil
import pytest

from dojo.answers import Library
from dojo.judge import ColdProcess, Job
from dojo.worker import CAN_FORK, WarmProcess, Worker, warm_or_cold
from tests.conftest import ROOT

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not CAN_FORK, reason="this system does not fork: spare processes judge"),
]


@pytest.fixture(autouse=True)
def unrecorded(house, monkeypatch):
    monkeypatch.setenv("KATA_NO_RECORD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (house.root / ".kata").mkdir()  # where a shared worker has its socket


@pytest.fixture
def worker(house):
    with Worker(house.root, ("numpy",)) as started:
        yield started


@pytest.fixture
def both(house):
    """As `kata watch` has it: it judges from both ends."""
    with Worker(house.root, ("numpy",), shared=True) as started:
        yield started


def verdict(kata, worker, *options: str) -> str:
    return Job(kata, options, start=worker).finish().outcome.verdict


def test_more_suites_than_are_kept_in_turn(house, worker):
    """A suite that was dropped is collected again; nothing hangs on its closed pipes."""
    for _ in range(3):
        for kata in house.curriculum.katas:
            assert verdict(kata, worker, "--solutions") == "green"
            assert verdict(kata, worker) in ("red", "blocked")


def test_a_number_of_a_process_may_come_again(worker):
    """Systems give them anew after some ten thousand: what the first one's end was is not asked."""

    class Told:
        """A server that tells of two processes with one number; the second one still runs."""

        def lines(self):
            yield from (b'{"pid": 7}', b'{"pid": 7, "status": 0}')
            assert WarmProcess(worker, 7).ended(0.0)
            yield b'{"pid": 7}'
            assert not WarmProcess(worker, 7).ended(0.0)

        def ended(self):
            return 0

    worker._listen(Told())


def test_options_are_those_of_the_judgement(house, worker):
    """Reference, variant and learner by turns, all forks of one template."""
    kata = house.kata("row_sums")
    for _ in range(2):
        assert verdict(kata, worker, "--solutions") == "green"
        assert verdict(kata, worker, "--solutions", "--variant", "averaged", "-x") == "red"
        assert verdict(kata, worker) == "red"
        whole = Job(kata, ("--solutions", "--variant", "averaged"), start=worker).finish()
        assert len(whole.outcome.results) == whole.outcome.total  # -x is not left over


def test_judgements_side_by_side_keep_their_output_apart(house, worker):
    """Both print while they run; each one's text holds its own."""
    house.solve("row_sums")
    kata = house.kata("row_sums")
    text = kata.stub.read_text()
    jobs = []
    for name in ("one", "other"):
        head, _, rest = text.partition("    return grid")
        kata.stub.write_text(f"{head}    print('{name} ' * 50)\n    return -grid{rest}")
        job = Job(kata, start=worker)
        while not job.ended(0.02) and not any(e["event"] == "result" for e in job.tail.events):
            pass  # until the file has been read
        jobs.append(job)
    printed = [job.finish().printed for job in jobs]
    assert "one one" in printed[0]
    assert "other" not in printed[0]
    assert "other other" in printed[1]
    assert "one one" not in printed[1]


def test_an_edited_suite_is_collected_anew(house, worker):
    """One test more, and it counts."""
    kata = house.kata("row_sums")
    before = Job(kata, ("--solutions",), start=worker).finish().outcome.total
    more = "\n\ndef test_one_more():\n    pass\n"
    kata.suite.write_text(kata.suite.read_text() + more)
    assert Job(kata, ("--solutions",), start=worker).finish().outcome.total == before + 1


def test_a_suite_that_cannot_be_collected_says_why(house, worker):
    """As a cold judgement does, as often as it is asked, and the worker goes on."""
    kata = house.kata("row_sums")
    text = kata.suite.read_text()
    kata.suite.write_text("import nummpy\n")
    for _ in range(2):
        outcome = Job(kata, ("--solutions",), start=worker).finish().outcome
        assert "nummpy" in outcome.ended
    kata.suite.write_text(text)
    assert verdict(kata, worker, "--solutions") == "green"


def test_kata_run_uses_a_worker_that_is_there(house):
    """That of `kata watch`; without one, and after it has ended, a cold process."""
    kata = house.kata("row_sums")
    house.solve("row_sums")

    def judged() -> type:
        with warm_or_cold(house.root, [kata]) as start:
            job = Job(kata, start=start)
            assert job.finish().outcome.verdict == "green"
            return type(job.process)

    assert judged() is ColdProcess
    with Worker(house.root, ("numpy",), shared=True) as worker:
        assert verdict(kata, worker) == "green"
        assert judged() is WarmProcess
        assert verdict(kata, worker) == "green"
    assert judged() is ColdProcess
    assert not list((house.root / ".kata").glob("*.sock"))


def told(kata, worker, *options: str) -> list[tuple[str, ...]]:
    """What a judgement tells of every test; the places differ, since files are read anew."""
    outcome = Job(kata, ("--kata-seed", "1", *options), start=worker).finish().outcome
    results = [outcome.results[name] for name in outcome.expected]
    return [(r.name, r.outcome, r.message, r.diagnosis, r.cause, r.printed) for r in results]


@pytest.mark.parametrize("name", ["row_sums", "grand_total", "matrix_product"])
def test_from_both_ends_the_same_is_told(house, worker, both, name):
    """Right, wrong, a stub, blocked: all that is told of every test, the mistake's name as well."""
    kata = house.kata(name)
    bank = Library(house.curriculum, solutions=True).bank(kata)
    judged = [(), ("--solutions",)]
    judged += [("--solutions", "--variant", variant.name) for variant in bank.variants]
    for options in judged:
        assert told(kata, both, *options) == told(kata, worker, *options)


@pytest.mark.skipif(os.cpu_count() == 1, reason="there is no second core to use")
def test_the_second_core_takes_its_share(house, both):
    """Of tests that take their time only some run in the first process; all count, in order."""
    kata = house.kata("row_sums")
    more = "\n\n@pytest.mark.parametrize('n', range(8))\ndef test_slow(n):\n    time.sleep(0.2)\n"
    kata.suite.write_text("import time\n\nimport pytest\n" + kata.suite.read_text() + more)
    job = Job(kata, ("--solutions",), start=both)
    outcome = job.finish().outcome
    assert outcome.verdict == "green"
    assert [*outcome.results] == outcome.expected
    here = [event["name"] for event in job.tail.events if event["event"] == "test"]
    assert "test_slow[0]" in here
    assert "test_slow[7]" not in here


def test_where_the_second_process_is_lost_all_tests_run_in_the_first(house, both):
    """An answer that ends every process but its group's first one changes no verdict."""
    house.solve("row_sums")
    stub = house.kata("row_sums").stub
    ends = "import os\n\nif os.getpgid(0) != os.getpid():\n    os.kill(os.getpid(), 9)\n"
    stub.write_text(ends + stub.read_text())
    job = Job(house.kata("row_sums"), start=both)
    outcome = job.finish().outcome
    assert outcome.verdict == "green"
    assert sum(event["event"] == "test" for event in job.tail.events) == outcome.total


def test_two_wait_for_the_next_answer_and_nothing_is_left_of_them(house):
    """They are forked before it comes; killed ones are replaced; with the worker they end."""
    kata = house.kata("row_sums")

    def two() -> list[psutil.Process]:
        """Those that wait: in one group, and still there a moment later."""
        until, before = time.monotonic() + 10, list[psutil.Process]()
        while time.monotonic() < until:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):  # it just ends
                every = psutil.Process(worker.server.process.pid).children(recursive=True)
                alive = [p for p in every if p.status() != psutil.STATUS_ZOMBIE]
                groups = [os.getpgid(p.pid) for p in alive]
                pair = [p for p, g in zip(alive, groups, strict=True) if groups.count(g) == 2]
                if len(alive) == 3 and len(pair) == 2 and pair == before:  # and the template
                    return pair
                before = pair
            time.sleep(0.05)
        raise AssertionError(f"{len(alive)} processes, {len(pair)} in one group")

    with Worker(house.root, ("numpy",), shared=True) as worker:
        for _ in range(3):
            assert verdict(kata, worker, "--solutions") == "green"
            found = two()
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):  # without the first, the other ends
                process.kill()
        assert not psutil.wait_procs(found, timeout=10)[1]
        assert verdict(kata, worker, "--solutions") == "green"
        found = two()
    psutil.wait_procs(found, timeout=5)
    assert not [p for p in found if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
