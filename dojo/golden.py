"""Golden texts: the first failure that each known mistake shows, kept for readers and proofs.

They are kept with one seed. Numbers may differ between machines by a rounding, or by a training
run; what is compared is the wording, and which rule fails.
"""

from __future__ import annotations

import re
from pathlib import Path

from dojo.curriculum import Kata
from dojo.report import failure_lines
from dojo.results import Result

FOLDER = Path("tests", "texts")
SEED = 1
NUMBER = re.compile(r"[-+]?\d[\d,.]*(?:e[-+]?\d+)?|\b(?:nan|inf)\b")


def path(kata: Kata) -> Path:
    return kata.root / FOLDER / f"{kata.name}.txt"


def text_of(result: Result) -> str:
    """A failure as the learner reads it, but for the place in the answer's file."""
    lines = [line for line, _ in failure_lines(result)]
    return "\n".join(line for line in lines if not line.startswith("  at: "))


def read(kata: Kata) -> dict[str, str]:
    """Mistake and text; empty where none are kept."""
    if not path(kata).is_file():
        return {}
    parts = re.split(r"^== (\w+)\n", path(kata).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: text.rstrip("\n") for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def caught_by(kata: Kata) -> dict[str, str]:
    """Mistake and the test that first failed with it, without spaces: texts are wrapped."""
    squeezed = {name: "".join(text.split()) for name, text in read(kata).items()}
    return {
        name: text[text.rindex("(test_") + 1 : -1]
        for name, text in squeezed.items()
        if "(test_" in text
    }


def write(kata: Kata, texts: dict[str, str]) -> None:
    path(kata).parent.mkdir(parents=True, exist_ok=True)
    blocks = [f"== {name}\n{text}\n" for name, text in texts.items()]
    path(kata).write_text("\n".join(blocks), encoding="utf-8")


def _wording(text: str) -> str:
    return " ".join(NUMBER.sub("#", text).split())


def faults(kata: Kata, texts: dict[str, str]) -> list[str]:
    """Which texts are not those that are kept; nothing where a project keeps none."""
    if not path(kata).parent.is_dir():
        return []
    kept = read(kata)
    again = f"kata check {kata.name} --renew-texts"
    lost = [f"no mistake {name} is left: {again}" for name in kept.keys() - texts.keys()]
    new = [f"the text of {name} is not kept yet: {again}" for name in texts.keys() - kept.keys()]
    changed = [
        f"{name} is told otherwise than before; read it, then {again}:\n{text}"
        for name, text in texts.items()
        if name in kept and _wording(text) != _wording(kept[name])
    ]
    return sorted(lost) + sorted(new) + changed
