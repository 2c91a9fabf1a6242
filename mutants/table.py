"""The figures of the proofs as a table in CONTRIBUTING: `python -m mutants` writes it."""

from __future__ import annotations

import re
from collections.abc import Callable

from dojo import golden
from dojo.curriculum import Curriculum, Kata

BEGIN, END = "<!-- proofs: written by `nox -s mutants` -->", "<!-- end of proofs -->"
HEAD = [
    "| chapter | katas | other right answers | wrong answers, each with its text kept "
    "| mutants | killed | the same or free | lowest share of a kata |",
    "|---|---|---|---|---|---|---|---|",
]


def proof_table(
    curriculum: Curriculum, shares: Callable[[str], tuple[int, int, int]]
) -> str:  # fmt: skip
    """One row a chapter; `shares` gives of a kata the mutants, the killed, the explained ones."""
    rows = [_row(title, katas, shares) for title, katas in _chapters(curriculum)]
    return "\n".join([*HEAD, *rows, _row("**all**", list(curriculum.katas), shares)])


def _chapters(curriculum: Curriculum) -> list[tuple[str, list[Kata]]]:
    return [(chapter, curriculum.in_chapter(chapter)) for chapter in curriculum.titles]


def _row(title: str, katas: list[Kata], shares: Callable) -> str:
    rights = [_marked("right", kata) for kata in katas]
    wrongs, texts = sum(_marked("wrong", k) for k in katas), sum(len(golden.read(k)) for k in katas)
    counts = {kata.name: shares(kata.name) for kata in katas}
    share = {name: killed / (all_ - free) for name, (all_, killed, free) in counts.items()}
    lowest = min(share, key=share.__getitem__)
    mutants, killed, free = (sum(column) for column in zip(*counts.values(), strict=True))
    least = f"{lowest} {100 * share[lowest]:.1f} %" if share[lowest] < 1 else "100 %"
    told = f"{wrongs}" if wrongs == texts else f"{wrongs}, {texts} kept"
    return (
        f"| {title} | {len(katas)} | {sum(rights)}, at least {min(rights)} a kata | {told} "
        f"| {mutants} | {killed} | {free} | {least} |"
    )


def _marked(kind: str, kata: Kata) -> int:
    return len(re.findall(rf"^@{kind}\(", kata.solution.read_text("utf-8"), flags=re.MULTILINE))


def with_table(text: str, table: str) -> str:
    """CONTRIBUTING's text with the table as it should be."""
    between = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", flags=re.DOTALL)
    return between.sub(lambda _: f"{BEGIN}\n{table}\n{END}", text)
