"""The pytest plugin: judges katas, explains failures, records progress.

`pytest katas/...` judges the learner's files, `pytest --solutions` the references, and
`--variant NAME` beside it one answer of the bank. Other tests are left alone.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from dojo import curriculum as curricula
from dojo.curriculum import Kata
from dojo.judge_session import JudgeSession, may_be_slow
from dojo.results import Outcome, Result

STASH = pytest.StashKey[JudgeSession]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("katas")
    group.addoption("--solutions", action="store_true", help="judge the reference answers")
    group.addoption("--variant", metavar="NAME", help="with --solutions: judge this other answer")
    group.addoption("--answer", metavar="FILE", help="with --solutions: judge this file, named "
                    "as its kata is, in place of the reference")  # fmt: skip
    group.addoption("--no-diagnosis", action="store_true", help="do not look for the mistake")
    group.addoption("--begin-with", metavar="TEST", help="begin with this test and run those "
                    "before it at the end; spaces in its name do not matter")  # fmt: skip
    group.addoption("--among", metavar="NAMES", help="with --variant: find out which of these "
                    "mistakes it is, without slow tests, and stop there")  # fmt: skip
    group.addoption("--kata-seed", type=int, metavar="N", help="repeat a run's random inputs")


def pytest_configure(config: pytest.Config) -> None:
    option = config.option
    if option.variant and not option.solutions:
        raise pytest.UsageError("--variant needs --solutions: variants stand in solution files")
    instead = Path(option.answer).resolve() if option.answer else None
    if instead and not (option.solutions and instead.is_file()):
        raise pytest.UsageError("--answer needs --solutions and a file that exists")
    seed = secrets.randbits(31) if option.kata_seed is None else option.kata_seed
    before = config.stash.get(STASH, None)
    try:
        listed = (
            before.curriculum if before else curricula.load(curricula.find_root(config.rootpath))
        )
    except curricula.CurriculumError as error:
        raise pytest.UsageError(str(error)) from None
    session = JudgeSession(
        listed, seed, option.solutions, option.variant, instead, not option.no_diagnosis,
        frozenset(filter(None, (option.among or "").split(","))),
    )  # fmt: skip
    config.stash[STASH] = session
    config.add_cleanup(session.close)


def warm(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What every judgement of these suites needs: their solutions compiled, the tools known."""
    session = config.stash[STASH]
    for item in items:
        item.location  # noqa: B018 - pytest looks it up once
        if isinstance(item, pytest.Function):
            session.guard.remember(item.module)
    for kata in session.curriculum.katas:
        if kata.name in session.outcomes:
            session.answers.compile(kata)


def begin_anew(config: pytest.Config) -> None:
    """Judge with the options as they are now what was collected before."""
    before = config.stash[STASH]
    pytest_configure(config)
    config.stash[STASH].guard = before.guard
    for name, outcome in before.outcomes.items():
        config.stash[STASH].outcomes[name] = Outcome(name, outcome.expected)


def arrange(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of a proof's other answers: without tests that never ask for what they stand in for, and
    in a circle from the one that is asked for."""
    session = config.stash[STASH]
    if session.variant:  # in a learner's run there is nothing to look for
        for name, outcome in session.outcomes.items():
            kata = session.curriculum.find(name)
            outcome.expected = session.concerned(kata, outcome.expected)
            items[:] = [i for i in items if i.path != kata.suite or i.name in outcome.expected]
    begin = "".join((config.option.begin_with or "").split())
    at = next((n for n, i in enumerate(items) if "".join(i.name.split()) == begin), 0)
    items[:] = items[at:] + items[:at]
    if session.among:
        items[1:] = [i for i in items[1:] if not may_be_slow(i)]


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> Any:
    """Fresh numpy random numbers, the same ones under the same --kata-seed."""
    return request.config.stash[STASH].rng(request.node.name)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, Any, pytest.CollectReport]:
    """Here the whole of a suite is seen, before -k, -m or a node id leave tests out.

    pytest_collectreport is not called for the file that a node id names.
    """
    report = yield
    session = collector.config.stash[STASH]
    kata = session.curriculum.by_suite(collector.path)
    if kata is not None:
        expected = session.outcome(kata).expected
        names = [node.name for node in report.result if isinstance(node, pytest.Function)]
        expected += [name for name in names if name not in expected]
    return report


def pytest_make_parametrize_id(val: object) -> str | None:
    """Shapes and sizes read as what they are: test_any_shape[(3, 5)-(2, 2)]."""
    return str(val) if isinstance(val, (tuple, list)) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Learning order; other tests keep their place after the katas."""
    listed = config.stash[STASH].curriculum
    order = {kata.suite: place for place, kata in enumerate(listed.katas)}
    items.sort(key=lambda item: order.get(item.path, len(order)))
    arrange(config, items)
    for item in items:
        if item.path in order:  # pytest's own traceback costs 40 ms a failure and is not shown
            item.repr_failure = _no_traceback  # type: ignore[method-assign]


def _no_traceback(excinfo: object, style: object = None) -> str:
    return ""


def _judged(item: pytest.Item) -> tuple[JudgeSession, Kata | None]:
    """The session, and the kata whose suite the item is of; None for other tests."""
    session = item.config.stash[STASH]
    return session, session.curriculum.by_suite(item.path)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Only the call is judged: it is where proxies resolve, so also where files are imported.

    Innermost, so that sys.stdout is the one that the answer sees.
    """
    session, kata = _judged(item)
    if kata is None or not isinstance(item, pytest.Function):
        return (yield)
    with session.judged(kata, item, _limit(item)):
        return (yield)


def _limit(item: pytest.Item) -> float:
    """Seconds that pytest-timeout gives the test; 0 where none are set."""
    marker = item.get_closest_marker("timeout")
    if marker is not None and marker.args:
        return float(marker.args[0])
    option = getattr(item.config.option, "timeout", None)
    return float(option or item.config.getini("timeout") or 0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, pytest.TestReport]:
    """The report carries our text; pytest's traceback is not for learners."""
    report = yield
    session, kata = _judged(item)
    if kata is None or not isinstance(item, pytest.Function):
        return report
    if call.when == "call" or call.excinfo is not None:
        error = call.excinfo.value if call.excinfo else None
        result = session.result(kata, item, error, report)
        if call.excinfo is not None:
            report.outcome = "failed"  # a skip or xfail raised by an answer is no pass
            report.longrepr = result.message
            report.kata = kata.key
            if session.among and session.named(kata):
                item.session.shouldstop = "the mistake is named"
    return report


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """After the last test of a kata its verdict is made and recorded, before the next begins."""
    session, kata = _judged(item)
    if kata is not None and (nextitem is None or nextitem.path != item.path):
        session.finish(kata)


def found(item: pytest.Item) -> tuple[Result, frozenset[str]] | None:
    """What the test that ran last gave, and which names it asked for."""
    session, kata = _judged(item)
    if kata is None or not session.replays.get(kata.name):
        return None
    replay = session.replays[kata.name][-1]
    return (replay.result, replay.asked) if replay.result.name == item.name else None


def take(item: pytest.Item, nextitem: pytest.Item | None, result: Result, asked: list[str]) -> bool:
    """What was found in another process; False where the test has to run here."""
    session, kata = _judged(item)
    if kata is None or not isinstance(item, pytest.Function):
        return False
    taken = session.take(kata, item, result, frozenset(asked))
    if taken:
        pytest_runtest_teardown(item, nextitem)
    return taken


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Also a kata that pytest left at a failure, by -x or by Ctrl-C, is told and recorded."""
    judged = session.config.stash.get(STASH, None)
    if judged is not None:
        judged.finish_all()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: Any, config: pytest.Config
) -> Generator[None, Any, Any]:
    """Our text instead of pytest's FAILURES section, for katas only."""
    stats = terminalreporter.stats
    failed = stats.get("failed", [])
    stats["failed"] = [report for report in failed if not hasattr(report, "kata")]
    try:
        return (yield)
    finally:
        stats["failed"] = failed
        if not failed:
            del stats["failed"]
        for line, style in config.stash[STASH].lines():
            terminalreporter.write_line(line, **_markup(style))


def _markup(style: str) -> dict[str, bool]:
    return {style: True} if style else {}


def print_to(path: str, config: pytest.Config) -> None:
    """Standard output into `path`, and a capture of its own: the old one's file is shared."""
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(out, stream)
    os.close(out)
    capture.start_global_capturing()
    capture.suspend_global_capture()
