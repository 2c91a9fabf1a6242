"""CONTRIBUTING's example is followed to the letter, and gives what is shown there."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT, Project

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLE = TEXT.partition("## The four steps, on a small kata\n")[2].partition("\n## ")[0]
# (what was said before it, its language, its content)
BLOCKS = re.findall(r"([^\n]*)\n\n```(\w+)\n(.*?)```", EXAMPLE, re.DOTALL)
SHOWN = [content for _, language, content in BLOCKS if language == "text"]


def seen(project: Project, shown: str) -> str:
    """What the command of a block prints, with the block's own time in seconds."""
    line, _, expected = shown.partition("\n")
    run = project.command(*line.removeprefix("$ kata ").split())
    times = iter(re.findall(r"\d+\.\d s", expected))
    printed = re.sub(r"\d+\.\d s", lambda match: next(times, match[0]), run.stdout)
    return f"{line}\n{printed}{run.stderr}"


def code(path: str) -> str:
    """The Python block below the line that names its file."""
    return next(text for said, kind, text in BLOCKS if kind == "python" and f"`{path}`:" in said)


@pytest.mark.timeout(120)
def test_the_example_gives_what_is_shown(copied):
    """New, the two files and the line, reset, check; then a gap in the suite is found."""
    begin, reset, stands, gap = SHOWN
    assert seen(copied, begin) == begin
    kata = "01_convolution/channel_means.py"
    suite = copied.root / "katas/01_convolution/test_channel_means.py"
    (copied.root / "solutions" / kata).write_text(code(f"solutions/{kata}"))
    suite.write_text(code("katas/01_convolution/test_channel_means.py"))
    line = next(text for _, language, text in BLOCKS if language == "toml")
    listed = copied.root / "katas" / "curriculum.toml"
    listed.write_text(listed.read_text().replace("\n]", f"\n{line}]", 1))
    assert seen(copied, reset) == reset
    assert seen(copied, stands) == stands
    suite.write_text(suite.read_text().partition('\n\n@pytest.mark.parametrize("shape", [(6')[0])
    assert seen(copied, gap) == gap


def test_the_examples_code_is_formatted():
    """As the files of the repository are."""
    for _, language, text in BLOCKS:
        assert all(len(row) <= 100 for row in text.splitlines()), language
        assert "raises(RuntimeError" not in text


def test_no_suite_waits_for_a_runtime_error():
    """NotImplementedError is one: an untouched stub would pass."""
    for suite in ROOT.glob("katas/*/test_*.py"):
        assert not re.search(r"raises\(\(?[^)]*\b(RuntimeError|Exception)\b", suite.read_text())
