"""Commands for authors: prove katas, begin a new one."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator

from dojo import golden
from dojo.check import Proof
from dojo.check import check as prove
from dojo.cli import UsageError
from dojo.curriculum import FILE, Curriculum, Kata

SOLUTION = '''"""TITLE: what it is, in one line."""

from dojo import right, wrong


def NAME(x):
    """Say in one line what it does.

    Two or three sentences of mechanism, never the formula that is the exercise.

    Shapes:
        x: letters, dtype, unit
        returns: letters, dtype, unit

    Example:
        >>> NAME(2)
        2

    Raises:
        ValueError: what is refused.

    Source: author, title, identifier, section.
    """
    return x


HINTS = [
    "A question.",
    "A direction.",
    "Almost there.",
]


@right(NAME)
def another_way(x):
    return +x


@wrong(NAME)
def a_mistake(x):
    """the sentence that a learner who made this mistake gets"""
    return -x
'''

SUITE = '''"""TITLE: what `NAME` must do, easiest first."""

from dojo.checks import answer, same_value

NAME = answer("NAME")


def test_the_rule_as_a_sentence():
    """What the learner reads when this rule does not hold."""
    same_value(NAME(2), 2)
'''


def check(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """One line a kata, the faults below it; 1 if there are any.

    With the seed of the golden texts, the texts are compared with those.
    """
    katas = _chosen(curriculum, options.kata)
    faulty = 0
    seed = golden.SEED if options.renew_texts else options.kata_seed
    for proof in _with_a_bar(prove(curriculum, katas, options.stubs, seed), len(katas)):
        if options.renew_texts:
            golden.write(proof.kata, proof.texts)
        elif seed == golden.SEED and not options.stubs and not proof.faults:
            proof.faults += golden.faults(proof.kata, proof.texts)
        print(proof.line(), flush=True)
        for fault in proof.faults:
            print(f"     {fault}", flush=True)
        if options.texts:
            for name, text in proof.texts.items():
                print(f"--- {proof.kata.key} {name}\n{text}", flush=True)
        faulty += bool(proof.faults)
    strays = _strays(curriculum)
    for stray in strays:
        print(f"FAIL {stray} belongs to no line of {FILE.as_posix()}")
    print(f"{len(katas) - faulty} of {len(katas)} katas stand")
    return 1 if faulty or strays else 0


def _with_a_bar(proofs: Iterator[Proof], total: int) -> Iterator[Proof]:
    """On a terminal a bar below the lines shows how far it is."""
    try:
        from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
    except ImportError:
        yield from proofs
        return
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, disable=not sys.stdout.isatty(), transient=True) as bar:
        yield from bar.track(proofs, total, description="katas")


def _chosen(curriculum: Curriculum, names: list[str]) -> list[Kata]:
    chosen: list[Kata] = []
    for name in names:
        chapter = curriculum.in_chapter(name.rstrip("/").removeprefix("katas/"))
        chosen += chapter or [curriculum.find(name)]
    return chosen or list(curriculum.katas)


def _strays(curriculum: Curriculum) -> list[str]:
    """Files that look like part of a kata and are not listed."""
    known = {path for kata in curriculum.katas for path in (kata.stub, kata.suite, kata.solution)}
    found = [p for top in ("katas", "solutions") for p in (curriculum.root / top).rglob("*.py")]
    return sorted(p.relative_to(curriculum.root).as_posix() for p in found if p not in known)


def new(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """Write a suite and a solution to begin with, and say the line and the steps that are left."""
    match = re.fullmatch(r"(\w+)/([A-Za-z_]\w*)", options.kata[0])
    if not match:
        raise UsageError(f"'{options.kata[0]}' is no CHAPTER/KATA, like 01_convolution/correlate2d")
    chapter, name = match.groups()
    if chapter not in curriculum.titles:
        raise UsageError(f"no chapter is called '{chapter}': {', '.join(curriculum.titles)}")
    kata = Kata(curriculum.root, chapter, name, name.replace("_", " "))
    if curriculum.get(name) or kata.solution.exists() or kata.suite.exists():
        raise UsageError(f"there is a kata called '{name}' already")
    for path, text in ((kata.solution, SOLUTION), (kata.suite, SUITE)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("TITLE", kata.title).replace("NAME", name), encoding="utf-8")
        print(f"wrote {kata.shown(path)}")
    print(f"add to {FILE.as_posix()}, below [[chapter]] {chapter}:")
    print(f'    {{ name = "{name}", title = "{kata.title}", concepts = [] }},')
    print(f"then: kata reset {name} (writes the stub), kata check {name}")
    return 0
