"""The table of katas in the README, written from the curriculum: `python -m dojo.table`."""

from __future__ import annotations

import re
from pathlib import Path

from dojo.curriculum import Curriculum, find_root, load

BEGIN, END = "<!-- katas: written by `nox -s readme` -->", "<!-- end of katas -->"


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


def with_table(text: str, curriculum: Curriculum) -> str:
    """A README's text with the table as it should be."""
    block = f"{BEGIN}\n{kata_table(curriculum)}\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: block, text, flags=re.DOTALL)


if __name__ == "__main__":
    found = load(find_root(Path.cwd()))
    readme = found.root / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8"), found), encoding="utf-8")
