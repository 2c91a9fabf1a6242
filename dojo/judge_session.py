"""One pytest session's judging: answers, seeds, guards, results, diagnosis, records."""

from __future__ import annotations

import functools
import inspect
import random
import sqlite3
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dojo import events
from dojo.answers import Library, current, judging
from dojo.bank import Bank, Variant, first_line
from dojo.curriculum import Curriculum, Kata
from dojo.diagnose import Replay, name_mistakes
from dojo.explain import Red
from dojo.failure import Blocked, explain, is_stub_error
from dojo.guard import ToolGuard, no_way_out
from dojo.kept import concerned, keep, keep_asked, kept
from dojo.needs import blocked_by
from dojo.report import verdict_lines
from dojo.results import GREEN, PASSED, Outcome, Result
from dojo.store import Store, open_store

PRINTED = 4000  # characters of what a test printed that are kept


class JudgeSession:
    """State of one run; the plugin's hooks call in here."""

    def __init__(
        self, curriculum: Curriculum, seed: int, solutions: bool = False,
        variant: str | None = None, instead: Path | None = None, diagnosis: bool = True,
        among: frozenset[str] = frozenset(),
    ):  # fmt: skip
        self.curriculum = curriculum
        self.seed = seed
        self.solutions = solutions
        self.variant = variant
        self.diagnosis = diagnosis
        self.among = among  # the mistakes that a diagnosis looks at; none: all of them
        self.library = Library(curriculum, solutions, instead)
        plain = solutions and instead is None
        self.answers = self.library if plain else Library(curriculum, solutions=True)
        self.guard = ToolGuard()
        self.outcomes: dict[str, Outcome] = {}
        self.replays: dict[str, list[Replay]] = {}
        self.begun: dict[str, int] = {}
        self.finished: set[str] = set()
        self.blocks: dict[str, str] = {}
        self.stopped: dict[str, str] = {}
        self._last: tuple[str, Any] = ("", None)
        self._asked: set[str] = set()
        self._raised: Exception | None = None  # by the running test itself, not by a guard
        self._store: Store | None = None

    @property
    def store(self) -> Store:
        if self._store is None:
            self._store = Store(None) if self.solutions else open_store(self.curriculum.root)
        return self._store

    def outcome(self, kata: Kata) -> Outcome:
        return self.outcomes.setdefault(kata.name, Outcome(kata.name))

    def rng(self, test: str) -> Any:
        import numpy as np

        return np.random.default_rng([self.seed, zlib.crc32(test.encode())])

    # -- one test

    @contextmanager
    def judged(self, kata: Kata, item: pytest.Function, limit: float = 0.0) -> Iterator[None]:
        """Around the call of one test: whose answer, which seeds, what is watched."""
        self._begin(kata)
        events.send("test", kata=kata.name, name=item.name, limit=limit)
        self.guard.remember(item.module)
        self._same_start()
        self._last, self._raised = ("", None), None
        with judging(kata, self.library, self._override(kata)):
            if kata.name in self.stopped:
                raise Red(self.stopped[kata.name])
            try:
                with no_way_out():
                    yield
            except Exception as error:
                self._raised = error
                raise
            finally:
                self._last, self._asked = (current.call, current.target), current.asked
                self.guard.check()

    def _or_blocked(self, error: BaseException, kata: Kata) -> BaseException:
        """A failure of a kata that is built from a red one says that, but for an untouched stub.

        What passes all the same was built without the red one, and is right. Asked after the
        test, so that judging the needed kata takes none of the test's time.
        """
        if error is not self._raised or self.solutions or is_stub_error(error, kata):
            return error
        if kata.name not in self.blocks:
            self.blocks[kata.name] = blocked_by(kata, self)
        return Blocked(self.blocks[kata.name]) if self.blocks[kata.name] else error

    def _begin(self, kata: Kata) -> None:
        if kata.name in self.begun:
            return
        outcome = self.outcome(kata)
        self.begun[kata.name] = self._record("begin", kata, outcome.total) or 0
        events.send("begin", kata=kata.name, expected=outcome.expected, row=self.begun[kata.name])

    def _override(self, kata: Kata) -> dict[str, Any]:
        if not self.variant:
            return {}
        chosen = self.library.bank(kata).named(self.variant)
        return {chosen.target: chosen.obj}

    def concerned(self, kata: Kata, tests: list[str]) -> list[str]:
        """Those of a kata's tests that have something to say about the judged variant."""
        for target in self._override(kata):
            tests = concerned(target, tests)
        return tests

    def _same_start(self) -> None:
        """Every test and every replay begins with the same seeds, and with autograd on."""
        random.seed(self.seed)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(self.seed)
        if "torch" in sys.modules:
            # torch.manual_seed also queues a call, with a stack trace, for a GPU to come: 3 ms
            sys.modules["torch"].default_generator.manual_seed(self.seed)
            sys.modules["torch"].set_grad_enabled(True)
            # the tensors are small: threads that wait for each other would only take time
            sys.modules["torch"].set_num_threads(1)

    def result(
        self, kata: Kata, item: pytest.Function, error: BaseException | None, report: Any
    ) -> Result:
        """What one test found, kept and sent."""
        result = Result(item.name, PASSED, rule=first_line(item.function))
        result.seconds, result.slow = report.duration, may_be_slow(item)
        result.printed = _beginning(report.capstdout)
        if error is not None:
            error = self._or_blocked(error, kata)
            with judging(kata, self.library, {}):
                current.call, current.target = self._last
                explain(error, kata, str(self.library.path(kata)), result)
            if result.cause == "timeout":
                self.stopped[kata.name] = "not run: an earlier test ran into the time limit"
        if self.variant:
            keep(item.name, self.variant, result)
        arguments = {n: v for n, v in item.funcargs.items() if n in _names(item.function)}
        self._found(kata, item, result, arguments, frozenset(self._asked))
        return result

    def take(
        self, kata: Kata, item: pytest.Function, result: Result, asked: frozenset[str]
    ) -> bool:  # fmt: skip
        """What another process found; not of tests with arguments that are unknown here."""
        arguments = dict(item.callspec.params) if hasattr(item, "callspec") else {}
        if _names(item.function) - arguments.keys() - {"rng"}:
            return False
        self._begin(kata)
        self._found(kata, item, result, arguments, asked)
        return True

    def _found(
        self, kata: Kata, item: pytest.Function, result: Result, arguments: dict[str, Any],
        asked: frozenset[str],
    ) -> None:  # fmt: skip
        self.outcome(kata).results[item.name] = result
        again = self._replayer(kata, item, arguments)
        self.replays.setdefault(kata.name, []).append(Replay(result, again, asked))
        events.send("result", later=True, kata=kata.name, result=result)

    # -- the same test on another answer

    def _replayer(self, kata: Kata, item: pytest.Function, arguments: dict[str, Any]) -> Any:
        function, name = item.function, item.name

        def again(variant: Variant) -> Result:
            return kept(name, variant.name, lambda: judged_again(variant))

        def judged_again(variant: Variant) -> Result:
            fresh = dict(arguments)
            if "rng" in _names(function):
                fresh["rng"] = self.rng(name)
            self._same_start()
            result = Result(name, PASSED)
            with judging(kata, self.answers, {variant.target: variant.obj}):
                try:
                    function(**fresh)
                except (Exception, pytest.fail.Exception) as error:
                    explain(error, kata, str(kata.solution), result)
            return result

        return again

    # -- one kata

    def named(self, kata: Kata) -> bool:
        """Whether the diagnosis so far is what the judged variant does wrong."""
        replays, bank = self.replays[kata.name], self._bank(kata)
        if bank is None:
            return False
        name_mistakes(replays, bank)
        sentence = bank.named(self.variant or "").sentence
        return any(replay.result.diagnosis == sentence for replay in replays)

    def finish(self, kata: Kata) -> None:
        """All tests of the kata that were asked for have run: diagnose, decide, record."""
        outcome = self.outcome(kata)
        outcome.seconds = sum(result.seconds for result in outcome.results.values())
        replays = self.replays.pop(kata.name, [])
        if self.solutions and not self.variant:
            keep_asked({replay.result.name: sorted(replay.asked) for replay in replays})
        if self.diagnosis and any(replay.result.observed is not None for replay in replays):
            events.send("judged", kata=kata.name, outcome=outcome)  # the name may take a while
            bank = self._bank(kata)
            if bank is not None:
                name_mistakes(replays, bank)
        self.finished.add(kata.name)
        self._record("finish", self.begun.get(kata.name, 0), outcome)
        events.send("kata", kata=kata.name, verdict=outcome.verdict, outcome=outcome)

    def finish_all(self) -> None:
        """What was begun and not ended."""
        for kata in self.curriculum.katas:
            if kata.name in self.begun.keys() - self.finished:
                self.finish(kata)

    def _bank(self, kata: Kata) -> Bank | None:
        """No bank, no diagnosis: a broken solution file must not break a learner's run."""
        try:
            return self.answers.bank(kata).of(self.among)
        except Red as broken:
            self.outcome(kata).notice = f"no diagnosis: {broken.message}"
            return None

    def _record(self, what: str, *values: Any) -> Any:
        """A full disk or a locked file costs the record, never the verdict."""
        try:
            return getattr(self.store, what)(*values)
        except sqlite3.Error as error:
            self.store.notice = f"progress is not recorded: {error}"
            return None

    def green(self, name: str) -> bool | None:
        """Whether a kata is green in this run; None when it has not been judged in it."""
        outcome = self.outcomes.get(name)
        return None if outcome is None or not outcome.results else outcome.verdict == GREEN

    def lines(self) -> list[tuple[str, str]]:
        """What the learner reads at the end of the run."""
        lines: list[tuple[str, str]] = []
        judged = [kata for kata in self.curriculum.katas if kata.name in self.begun]
        for kata in judged:
            outcome = self.outcome(kata)
            lines += verdict_lines(kata, outcome, self.seed)
            lines += [(f"  {outcome.notice}", "")] if outcome.notice else []
        if judged and self.store.notice:
            lines.append((self.store.notice, "red"))
        return lines

    def close(self) -> None:
        if self._store is not None:
            self._store.close()


def _beginning(printed: str) -> str:
    """What an answer printed, as far as anybody reads it."""
    lines = printed[:PRINTED].splitlines()
    left = printed.count("\n") + 1 - len(lines) if len(printed) > PRINTED else 0
    return "\n".join(lines) + (f"\n... and {left} lines more" if left > 0 else "")


def may_be_slow(item: pytest.Item) -> bool:
    """Its own mark, not one of the whole suite, gives it more time than tests have."""
    usual = float(item.config.getini("timeout") or 0)
    marks = [mark for mark in item.own_markers if mark.name == "timeout" and mark.args]
    return any(float(mark.args[0]) > usual for mark in marks)


@functools.cache
def _names(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters)
