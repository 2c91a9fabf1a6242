"""From a save to a verdict: judges a kata whenever its content changes, and the newest wins."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from dojo import events
from dojo.curriculum import Curriculum, Kata
from dojo.judge import Job, Judgement
from dojo.needs import needed_katas
from dojo.results import PASSED, Outcome
from dojo.worker import Worker, needed_imports

POLL = 0.5  # seconds between looks where no events arrive: network folders, some mounts
TICK = 0.003  # seconds between looks while a judgement runs
SHOWN = 0.07  # seconds a content stays before its verdict is shown: of two quick saves the last
QUICK = 0.15  # seconds within which nobody needs to be told how far it is
BLANK = 0.3  # seconds that a missing or empty file may be an editor in the middle of saving


class Watching:
    """Judges `kata`, now and after each change, and tells by the three calls it is given.

    began(kata), told(passed, total) while it runs, judged(outcome) where a mistake is still being
    named, and verdict(judgement): exactly once for a content that stays. What an editor does on
    its way (an empty file, none, an older text) is never shown, nor is a judgement of anything
    but the newest content.
    """

    def __init__(
        self, curriculum: Curriculum, kata: Kata, began: Callable[[Kata], None],
        told: Callable[[int, int], None], judged: Callable[[Outcome], None],
        verdict: Callable[[Judgement], None],
    ):  # fmt: skip
        self.curriculum, self.kata = curriculum, kata
        self.began, self.told, self.found, self.verdict = began, told, judged, verdict
        self.judged: object = None
        self.passed = self.total = 0
        self.worker: Worker | None = None
        self.warm_for: Kata | None = None
        self.woken = asyncio.Event()

    def choose(self, kata: Kata) -> None:
        """Go on with another kata, or judge the same one again."""
        self.kata, self.judged = kata, None
        self.woken.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        woken_by = asyncio.create_task(self._events())
        try:
            while True:
                await self._next()
        finally:
            woken_by.cancel()
            if self.worker is not None:
                self.worker.close()

    async def _next(self) -> None:
        content = self._content()
        if content == self.judged:
            await self._wait(POLL)
        elif b"" in content and not await self._stays(content, BLANK):
            return
        else:
            await self._judge(content)

    async def _judge(self, content: tuple) -> None:
        kata, since = self.kata, asyncio.get_running_loop().time()
        self.began(kata)
        job = await asyncio.to_thread(self._start, kata)
        while not job.ended(0):
            self._tell(job.new_events(), kata, since)
            await asyncio.sleep(TICK)
            if self._content() != content:
                job.cancel()
                return
        judgement = job.told()
        ending = asyncio.create_task(asyncio.to_thread(job.finish))
        if judgement is None:
            judgement = await ending
        early = since + SHOWN - asyncio.get_running_loop().time()
        stays = early <= 0 or await self._stays(content, early)
        if stays and self._content() == content and self.kata == kata:
            self.judged = content
            self.verdict(judgement)
        await ending

    def _start(self, kata: Kata) -> Job:
        return Job(kata, start=self._warm(kata), brief=True)

    def _tell(self, new: list[dict], kata: Kata, since: float) -> None:
        for event in new:
            if event["event"] == "begin":
                self.passed, self.total = 0, len(event["expected"])
            elif event["event"] == "result":
                self.passed += event["result"]["outcome"] == PASSED
            elif event["event"] == "judged":
                self.found(events.outcome_of(kata.name, [event])[0])
        if new and asyncio.get_running_loop().time() - since > QUICK:
            self.told(self.passed, self.total)

    def _warm(self, kata: Kata) -> Worker:
        """The worker, with the imports that this kata needs."""
        if self.worker is not None and kata == self.warm_for:
            return self.worker
        self.warm_for = kata
        wanted = needed_imports(needed_katas(self.curriculum, kata))
        if self.worker is None or not set(wanted) <= set(self.worker.modules):
            if self.worker is not None:
                self.worker.close()
            self.worker = Worker(self.curriculum.root, wanted, shared=True)
        return self.worker

    def _files(self) -> list[Path]:
        return [kata.stub for kata in needed_katas(self.curriculum, self.kata)]

    def _content(self) -> tuple:
        """What is judged: the texts themselves; b"" for a file that cannot be read."""
        texts = []
        for path in self._files():
            try:
                texts.append(path.read_bytes())
            except OSError:
                texts.append(b"")
        return (self.kata.name, *texts)

    async def _stays(self, content: tuple, seconds: float) -> bool:
        """Whether nothing changes for so long; looked at often, for an editor's own moment."""
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(TICK)
            if self._content() != content:
                return False
        return True

    async def _wait(self, seconds: float) -> None:
        """Until something happens in a folder of the watched files, or for so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.woken.wait(), seconds)
        self.woken.clear()

    async def _events(self) -> None:
        """Directory events, where watchfiles is installed and the folder sends them."""
        try:
            from watchfiles import awatch
        except ImportError:
            return
        with contextlib.suppress(OSError, RuntimeError):  # too many watches: looking must do
            folder = self.curriculum.root / "katas"
            async for _ in awatch(folder, debounce=20, step=2, watch_filter=None):
                self.woken.set()
