"""The tables of the README, written from the curriculum: `python -m dojo.table`."""

from __future__ import annotations

import re
from pathlib import Path

from dojo.curriculum import Curriculum, find_root, load

KATAS = "<!-- katas: written by `nox -s readme` -->", "<!-- end of katas -->"
CONCEPTS = "<!-- concepts: written by `nox -s readme` -->", "<!-- end of concepts -->"


def kata_table(curriculum: Curriculum) -> str:
    """One row a kata, in learning order."""
    rows = ["| # | kata | what you build | concepts |", "|---|---|---|---|"]
    chapter = ""
    for number, kata in enumerate(curriculum.katas, 1):
        if kata.chapter != chapter:
            chapter = kata.chapter
            lesson = f"[{chapter}](katas/{chapter}/README.md)"
            rows.append(f"| | **{lesson}** | **{curriculum.titles[chapter]}** | |")
        concepts = ", ".join(map(str, kata.concepts))
        stub = f"[{kata.name}]({kata.shown(kata.stub)})"
        rows.append(f"| {number} | {stub} | {kata.title} | {concepts} |")
    return "\n".join(rows)


def concept_table(curriculum: Curriculum) -> str:
    """One row a concept, with the katas that judge it by value."""
    rows = ["| # | concept | katas |", "|---|---|---|"]
    for number, name in curriculum.concepts.items():
        katas = [kata.name for kata in curriculum.katas if number in kata.concepts]
        rows.append(f"| {number} | {name} | {', '.join(katas) or 'none yet'} |")
    return "\n".join(rows)


def with_table(text: str, curriculum: Curriculum) -> str:
    """A README's text with the tables as they should be."""
    for (begin, end), table in ((KATAS, kata_table), (CONCEPTS, concept_table)):
        block = f"{begin}\n{table(curriculum)}\n{end}"
        between = f"{re.escape(begin)}.*?{re.escape(end)}"
        text = re.sub(between, block.replace("\\", r"\\"), text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    found = load(find_root(Path.cwd()))
    readme = found.root / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8"), found), encoding="utf-8")
