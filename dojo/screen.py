"""`kata watch`: one screen for the whole sitting."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
from typing import ClassVar

from dojo.cli import UsageError
from dojo.curriculum import Curriculum, Kata
from dojo.desk import hints, lay_down, named_or_next, task_text
from dojo.judge import Judgement
from dojo.progress import NEW, State, states
from dojo.report import verdict_lines
from dojo.results import GREEN, Outcome
from dojo.store import open_store
from dojo.stub import StubError, answer_text, stub_text
from dojo.watching import Watching

os.environ.setdefault("TEXTUAL_FPS", "200")  # a verdict is not held until the next 60th of a second

try:
    from rich.text import Text
    from textual.app import App, ComposeResult
    from textual.binding import Binding
    from textual.containers import VerticalScroll
    from textual.screen import ModalScreen
    from textual.widgets import OptionList, Static
    from textual.widgets.option_list import Option
except ImportError as error:
    raise UsageError(
        f"kata watch needs {error.name}: pip install {error.name} (kata run judges without it)"
    ) from None

STYLES = {"red": "bold red", "green": "bold green", "bold": "bold", "": ""}
KEYS = "h hint  t task  p picture  s solution  l list  r run  0 reset  n next  q quit"
READING = "up and down scroll, escape goes back to the verdict"


def watch(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """Judge at every save until `q`."""
    kata = named_or_next(curriculum, options.kata)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            f"kata watch draws on a terminal, and this is none: kata run {kata.name} judges once"
        )
    WatchApp(curriculum, kata).run()
    return 0


class Jump(ModalScreen[str]):
    """All katas; Enter goes to one."""

    BINDINGS: ClassVar = [Binding("escape,l,q", "dismiss('')", "back")]
    CSS = "Jump { align: center middle; } OptionList { width: 74; height: 90%; }"

    def __init__(self, found: list[State], current: str):
        super().__init__()
        self.found, self.current = found, current

    def compose(self) -> ComposeResult:
        rows = [
            Option(Text(f"{s.sign} {s.kata.name:<20}{s.kata.title}"[:68]), id=s.kata.name)
            for s in self.found
        ]
        yield OptionList(*rows)

    def on_mount(self) -> None:
        names = [state.kata.name for state in self.found]
        self.query_one(OptionList).highlighted = names.index(self.current)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)


class WatchApp(App[None]):
    """What is the task, how does it stand, what now."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head { height: auto; padding: 0 1; border-bottom: solid; }
    #body { padding: 0 1; }
    #text { height: auto; }
    #foot { height: auto; padding: 0 1; border-top: solid; }
    """
    BINDINGS: ClassVar = [
        Binding(key, action)
        for key, action in {
            "h": "hint", "t": "task", "p": "picture", "s": "solution", "l": "list", "r": "rerun",
            "0": "reset", "n": "next", "q": "quit", "escape": "verdict",
        }.items()
    ]  # fmt: skip

    def __init__(self, curriculum: Curriculum, kata: Kata):
        super().__init__(ansi_color=True)  # the terminal's own colours, light or dark
        self.curriculum = curriculum
        self.watching = Watching(curriculum, kata, self.began, self.told, self.judged, self.verdict)
        self.outcome: Outcome | None = None
        self.state = self.place = ""
        self.asked_reset = False

    @property
    def kata(self) -> Kata:
        return self.watching.kata

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        with VerticalScroll(id="body"):
            yield Static(id="text")
        yield Static(id="foot")

    def on_mount(self) -> None:
        self.loop = asyncio.create_task(self.watching.run())
        self.loop.add_done_callback(self._watching_ended)
        self.began(self.kata)

    def _watching_ended(self, task: asyncio.Task) -> None:
        """Watching goes on until the end; when it cannot, say why instead of standing still."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.exit(return_code=1, message=f"kata: watching stopped: {error}")

    async def on_unmount(self) -> None:
        self.loop.cancel()
        await asyncio.gather(self.loop, return_exceptions=True)

    # -- what watching tells

    def began(self, kata: Kata) -> None:
        other = self.outcome is None or self.outcome.kata != kata.name
        self._head("judging ...", self._place() if other else "")
        if other:
            self._say(Text(task_line(kata)))

    def told(self, passed: int, total: int) -> None:
        self._head(f"judging ... {passed} of {total} pass")

    def judged(self, outcome: Outcome) -> None:
        """Red, but which mistake it is takes a moment longer."""
        self.verdict(outcome, "\n  which mistake is it? ...\n")

    def verdict(self, found: Judgement | Outcome, more: str = "") -> None:
        outcome = found.outcome if isinstance(found, Judgement) else found
        self.outcome = outcome
        state = f"{outcome.verdict}: {outcome.passed} of {outcome.total} in {outcome.seconds:.2f} s"
        self._head(state)
        self.action_verdict(more)
        self.call_after_refresh(self._placed, state)  # a query that the verdict does not wait for

    # -- drawing

    def _place(self) -> str:
        """The chapter in one line, as it is recorded now."""
        here = [s for s in states(self.curriculum) if s.kata.chapter == self.kata.chapter]
        signs = "".join("o" if s.verdict == NEW else s.sign for s in here)
        green = sum(s.verdict == GREEN for s in here)
        return f"{self.kata.chapter} [{signs}] {green} of {len(here)} green"

    def _placed(self, state: str) -> None:
        if state == self.state:
            self._head(state, self._place())

    def _head(self, state: str, place: str = "") -> None:
        self.state, self.place = state, place or self.place
        head = Text(f"{self.kata.name}", style="bold")
        head.append(f"  {state}\n", style="not bold")
        lines = (self.kata.title, f"open: {self.kata.shown(self.kata.stub)}", self.place)
        head.append("\n".join(lines), style="not bold")
        self.query_one("#head", Static).update(head)

    def _say(self, text: Text, foot: str = KEYS) -> None:
        self.asked_reset = False
        self.query_one("#text", Static).update(text)
        self.query_one("#body").scroll_home(animate=False)
        self.query_one("#foot", Static).update(Text(foot))

    # -- keys

    def action_verdict(self, more: str = "") -> None:
        if self.outcome is None:
            return
        outcome, text = self.outcome, Text()
        for line, style in verdict_lines(self.kata, outcome, None):
            text.append(line + "\n", STYLES[style])
        if not outcome.passed and all(r.cause == "stub" for r in outcome.failures):
            text.append(f"\n{task_text(self.kata)}")
        if outcome.verdict == GREEN:
            text.append(
                "\nSave again whenever you like: break it on purpose, try another way,\n"
                "press p to see what it computes. n goes on to the next kata.\n"
            )
        text.append(more)
        self._say(text)

    def action_task(self) -> None:
        self._say(Text(task_text(self.kata)), READING)

    def action_hint(self) -> None:
        store = open_store(self.curriculum.root)
        try:
            every = hints(self.kata)
            rung = store.take_hint(self.kata.name, len(every))
        except UsageError as error:
            self._say(Text(str(error)))
            return
        finally:
            store.close()
        text = [f"hint {n} of {len(every)}: {t}" for n, t in enumerate(every[:rung], 1)]
        self._say(Text("\n\n".join(text)), f"h one more  {READING}")

    def action_solution(self) -> None:
        if self.outcome is None or self.outcome.verdict != GREEN:
            self._say(Text("The reference answer is for after green; h gives a hint."))
            return
        try:
            self._say(Text(answer_text(self.kata)), READING)
        except StubError as error:
            self._say(Text(str(error)))

    async def action_picture(self) -> None:
        """In a process of its own: drawing runs the learner's code."""
        self._say(Text("drawing ..."))
        command = [sys.executable, "-m", "dojo", "show", self.kata.name]
        run = await asyncio.to_thread(
            subprocess.run, command, cwd=self.curriculum.root, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        self._say(Text((run.stdout + run.stderr).strip()), READING)

    def action_list(self) -> None:
        def jump(name: str | None) -> None:
            kata = self.curriculum.get(name or "")
            if kata is not None:
                self._go(kata)

        self.push_screen(Jump(states(self.curriculum), self.kata.name), jump)

    def action_rerun(self) -> None:
        self.watching.choose(self.kata)

    def action_reset(self) -> None:
        if not self.asked_reset:
            self._say(Text("Press 0 again for a fresh stub; your version stays in the history."))
            self.asked_reset = True
            return
        try:
            self._say(Text("\n".join(lay_down(self.kata, stub_text(self.kata)))))
        except (StubError, UsageError) as error:
            self._say(Text(str(error)))

    def action_next(self) -> None:
        if self.outcome is None or self.outcome.verdict != GREEN:
            self._say(Text(f"{self.kata.name} is not green yet; l goes to any other kata."))
            return
        left = [s.kata for s in states(self.curriculum) if s.verdict != GREEN]
        every = self.curriculum.katas
        later = [kata for kata in left if every.index(kata) > every.index(self.kata)]
        if left:
            self._go((later or left)[0])
        else:
            self._say(Text("All katas are green. kata review keeps them so."))

    def _go(self, kata: Kata) -> None:
        self.outcome = None
        self.watching.choose(kata)
        self.began(kata)


def task_line(kata: Kata) -> str:
    return f"{task_text(kata).splitlines()[0]}\n\nt shows the whole task."
