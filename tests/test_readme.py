"""The README is true: its commands exist, its outputs are what is printed, its links lead."""

from __future__ import annotations

import argparse
import re

import pytest

from dojo.cli import build_parser
from tests.conftest import ROOT

pytestmark = pytest.mark.timeout(120)
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    *ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("katas/*/README.md"),
    ROOT / "data" / "README.md",
]  # fmt: skip
FLIPPED = """    kernel = kernel[::-1, ::-1]
    (height, width), (kh, kw) = image.shape, kernel.shape
    if kh > height or kw > width:
        raise ValueError("the kernel does not fit into the image")
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return (windows * kernel).sum((2, 3)).astype(np.result_type(image, kernel))
"""


def commands() -> dict[str, argparse.ArgumentParser]:
    """What the `kata` command knows, by name."""
    actions = build_parser()._actions
    return next(a.choices for a in actions if isinstance(a, argparse._SubParsersAction))


def section(title: str) -> str:
    return README.partition(f"## {title}\n")[2].partition("\n## ")[0]


def rows() -> list[tuple[list[str], str]]:
    """(the commands of a row, the whole row) of the table of commands."""
    lines = [line for line in section("The commands").splitlines() if line.startswith("| `kata")]
    return [(re.findall(r"`(kata[^`]*)`", line.split("|")[1]), line) for line in lines]


def test_a_fresh_clone_says_what_is_next(copied):
    """As told below the first command: what it is, which file, how it stands, what to type."""
    run = copied.command()
    assert run.returncode == 0, run.stderr
    for said in (
        "0 of 64 katas are green", "next: correlate2d - Slide a window over an image",
        "open: katas/01_convolution/correlate2d.py", "correlate2d is not begun",
        "edit the file, then: kata run",
    ):  # fmt: skip
        assert said in run.stdout


def test_what_it_looks_like_is_what_is_printed(copied):
    """The kernel is turned around in the stub; the block is the whole output."""
    stub = copied.kata("correlate2d").stub.read_text()
    text = stub.replace('    raise NotImplementedError("correlate2d")\n', FLIPPED)
    assert text != stub
    copied.write("correlate2d", text)
    block = re.findall(r"```text\n(.*?)```", section("What it looks like"), re.DOTALL)[0]
    line, _, shown = block.partition("\n")
    run = copied.command(*line.removeprefix("$ kata ").split())
    assert (run.returncode, run.stderr) == (1, "")
    assert run.stdout == shown


def test_every_command_is_in_the_table_and_the_other_way_round():
    """Also its options, and whether a kata must be named."""
    known, listed = commands(), set()
    for told, row in rows():
        names = [words.split()[1] for words in told if " " in words]
        listed |= set(names)
        options = set(re.findall(r"`(--[\w-]+)`", row))
        have = {word for name in names for a in known[name]._actions for word in a.option_strings}
        assert options <= have, row
        for words in told:
            _, *rest = words.split()
            if "KATA" in words and rest[0] in known:
                kata = next(a for a in known[rest[0]]._actions if a.dest == "kata")
                assert (kata.nargs in ("?", "*")) == rest[1].startswith("["), words
    assert listed == set(known)
    assert rows()[0][0] == ["kata"]  # the bare command comes first


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_that_a_page_names_exists(page):
    """`kata show edge_filters` in a sentence, `$ kata ...` in a block."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"(?:`|^\$ |^)kata ([a-z]+)\b", text, re.MULTILINE)
    assert set(named) <= set(commands())


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_and_picture_leads_somewhere(page):
    """Within the repository; others cannot be tried without a network."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", link):
            assert (page.parent / link.partition("#")[0]).exists(), link


def test_every_session_that_is_named_exists():
    """`nox -s ...` in the README, in CONTRIBUTING and in the workflows."""
    sessions = set(re.findall(r"@nox.session.*\ndef (\w+)", (ROOT / "noxfile.py").read_text()))
    texts = [*PAGES, *ROOT.glob(".github/**/*.yml"), *ROOT.glob(".github/*.md"), ROOT / ".ci/run"]
    for path in texts:
        for names in re.findall(r"nox -s ((?:[a-z]+ ?)+)", path.read_text(encoding="utf-8")):
            assert set(names.split()) <= sessions, path
