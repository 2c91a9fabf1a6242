"""The figures of the proofs as a table in CONTRIBUTING: `python -m mutants` writes it."""

from __future__ import annotations

import re
from collections.abc import Callable

from dojo import golden
from dojo.curriculum import Curriculum, Kata

BEGIN, END = "<!-- proofs: written by `nox -s mutants` -->", "<!-- end of proofs -->"
HEAD = [
    "| chapter | katas | other right answers | wrong answers, each with its text kept "
    "| mutants | killed | lowest of a kata |",
    "|---|---|---|---|---|---|---|",
]


def proof_table(
    curriculum: Curriculum, shares: Callable[[str], tuple[int, int, list[str]]]
) -> str:  # fmt: skip
    """One row a chapter; `shares` gives a kata's mutants, those that are killed, the others."""
    rows = [_row(title, katas, shares) for title, katas in _chapters(curriculum)]
    return "\n".join([*HEAD, *rows, _row("**all**", list(curriculum.katas), shares)])


def _chapters(curriculum: Curriculum) -> list[tuple[str, list[Kata]]]:
    return [(chapter, curriculum.in_chapter(chapter)) for chapter in curriculum.titles]


def _row(title: str, katas: list[Kata], shares: Callable) -> str:
    rights = [_marked("right", kata) for kata in katas]
    wrongs, texts = sum(_marked("wrong", k) for k in katas), sum(len(golden.read(k)) for k in katas)
    counts = {kata.name: shares(kata.name)[:2] for kata in katas}
    lowest = min(counts, key=lambda name: counts[name][1] / counts[name][0])
    mutants, killed = (sum(column) for column in zip(*counts.values(), strict=True))
    least = f"{lowest} {100 * counts[lowest][1] / counts[lowest][0]:.1f} %"
    told = f"{wrongs}" if wrongs == texts else f"{wrongs}, {texts} kept"
    return (
        f"| {title} | {len(katas)} | {sum(rights)}, at least {min(rights)} a kata | {told} "
        f"| {mutants} | {100 * killed / mutants:.1f} % | {least} |"
    )


def _marked(kind: str, kata: Kata) -> int:
    return len(re.findall(rf"^@{kind}\(", kata.solution.read_text("utf-8"), flags=re.MULTILINE))


def with_table(text: str, table: str) -> str:
    """CONTRIBUTING's text with the table as it should be."""
    between = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", flags=re.DOTALL)
    return between.sub(lambda _: f"{BEGIN}\n{table}\n{END}", text)
