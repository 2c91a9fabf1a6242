"""The pictures of `kata report`: what `kata show` draws, each drawn once and kept.

Drawing runs the learner's code, so it happens in a process of its own, with a time limit.
A picture is kept under a name that stands for everything it was made from.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dojo.curriculum import Curriculum, Kata
from dojo.family import Family
from dojo.progress import State
from dojo.results import GREEN
from dojo.store import content_hash, source_text
from dojo.watching import needed_katas

FOLDER = Path(".kata") / "pictures"
LIMIT = 300.0  # seconds that one picture may take
LOOK = 0.05  # seconds between two looks whether it is there
PRINTED = 10 * 2**20  # bytes that drawing may print
SAID = 300  # characters kept of why there is no picture


class Gallery:
    """The kept pictures of one project."""

    def __init__(self, curriculum: Curriculum, limit: float = LIMIT):
        self.curriculum = curriculum
        self.folder = curriculum.root / FOLDER
        self.limit = limit
        self.stopped = False

    def kept(self, kata: Kata) -> tuple[str, str]:
        """The picture as a data address, or why there is none; both empty: not drawn yet."""
        if not has_picture(kata):
            return "", ""
        place = self.place(kata)
        try:
            data = base64.b64encode(place.read_bytes()).decode()
            return f"data:image/webp;base64,{data}", ""
        except OSError:
            return "", source_text(place.with_suffix(".txt"))

    def place(self, kata: Kata) -> Path:
        """Where the picture of the kata as it is now lies, or will lie."""
        texts = []
        for each in needed_katas(self.curriculum, kata):
            texts += [each.name, source_text(each.stub), source_text(each.solution)]
        key = content_hash("\0".join(texts))[:16]
        return self.folder / f"{kata.name}-{key}.webp"

    def missing(self, found: list[State]) -> list[Kata]:
        """The green katas whose picture has not been tried yet."""
        green = [state.kata for state in found if state.verdict == GREEN]
        return [kata for kata in green if has_picture(kata) and self.kept(kata) == ("", "")]

    def draw_all(self, katas: list[Kata]) -> None:
        """Draw one after the other, telling on a terminal which, and always which failed."""
        for number, kata in enumerate(katas, 1):
            if sys.stderr.isatty():
                print(f"drawing {kata.name} ({number} of {len(katas)})", file=sys.stderr)
            why = self.draw(kata)
            if why:
                print(f"no picture of {kata.name}: {why}", file=sys.stderr)

    def draw(self, kata: Kata) -> str:
        """Draw and keep one; returns why not, which is kept too unless it can mend itself."""
        place = self.place(kata)
        fresh = self.folder / f".{kata.name}.{os.getpid()}.webp"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            status, said = self._run(kata, fresh)
            if self.stopped or self.place(kata) != place:
                return "it changed while it was drawn" * (not self.stopped)
            if status == 2:  # something is not installed, or the project is not whole
                return said
            for old in self.folder.glob(f"{kata.name}-*"):
                old.unlink(missing_ok=True)
            if status == 0:
                os.replace(fresh, place)
                return ""
            place.with_suffix(".txt").write_text(said, encoding="utf-8")
            return said
        except OSError as error:
            return f"{error.filename or self.folder}: {error.strerror}"
        finally:
            fresh.unlink(missing_ok=True)

    def stop(self) -> None:
        """End the drawing that is under way, soon."""
        self.stopped = True

    def _run(self, kata: Kata, to: Path) -> tuple[int, str]:
        """`kata show` in a process of its own: its exit status and its last word."""
        command = [sys.executable, "-m", "dojo", "show", kata.name, "--to", str(to)]
        with tempfile.TemporaryFile() as printed:
            process = subprocess.Popen(
                command, cwd=kata.root, stdin=subprocess.DEVNULL, stdout=printed,
                stderr=subprocess.STDOUT, start_new_session=os.name == "posix",
            )  # fmt: skip
            family = Family(process.pid)
            try:
                why = self._wait(process, family, printed.fileno())
            finally:
                family.end()
                status = process.wait()
            printed.seek(max(0, os.fstat(printed.fileno()).st_size - 4 * SAID))
            text = printed.read().decode("utf-8", "replace")
        if why or status < 0:
            return 1, why or f"drawing was killed by signal {-status}"
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return status, lines[-1].removeprefix("kata: ")[:SAID] if lines else "it printed nothing"

    def _wait(self, process: subprocess.Popen, family: Family, printed: int) -> str:
        began = time.monotonic()
        while process.poll() is None and not self.stopped:
            if time.monotonic() - began > self.limit:
                return f"drawing took longer than {self.limit:g} s; kata show has no such limit"
            if os.fstat(printed).st_size > PRINTED:
                return f"drawing printed more than {PRINTED // 2**20} MB"
            family.look()
            time.sleep(LOOK)
        return ""


def has_picture(kata: Kata) -> bool:
    """Whether the solution says what to draw."""
    return re.search(r"^def show\(", source_text(kata.solution), re.MULTILINE) is not None
