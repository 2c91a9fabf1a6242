"""The house that copies are made of: where the installed package has it, what it holds."""

from __future__ import annotations

import tomllib
from pathlib import Path

from dojo.curriculum import FILE, CurriculumError, load
from dojo.stub import stub_text

PACKED = Path(__file__).resolve().parent / "_house"  # what the wheel carries
SETTINGS = "pyproject.toml"
PAPERS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "conftest.py",
          "data/README.md")  # fmt: skip


def source() -> Path:
    """The house of the installed package: packed in a wheel, or the checkout it runs from."""
    for folder in (PACKED, PACKED.parent.parent):
        if (folder / FILE).is_file():
            return folder
    raise CurriculumError("the installed package carries no katas: install it anew")


def version(root: Path) -> str:
    """The version of the house at `root`."""
    return tomllib.loads(_text(root / SETTINGS))["project"]["version"]


def carried(root: Path) -> list[str]:
    """What a wheel packs of the house at `root`. Stubs are not packed: they are generated."""
    listed = load(root)
    paths = [root / name for name in (*PAPERS, SETTINGS)] + [root / FILE]
    for chapter in listed.titles:
        folder = root / "katas" / chapter
        paths += [folder / "README.md", *sorted(folder.glob("*.png"))]
    for kata in listed.katas:
        paths += [kata.suite, kata.solution]
    return [path.relative_to(root).as_posix() for path in paths if path.is_file()]


def files(root: Path) -> dict[str, bytes]:
    """What a copy of the house at `root` holds, by path; the stubs are fresh ones."""
    found = {name: (root / name).read_bytes() for name in carried(root)}
    found[SETTINGS] = settings(_text(root / SETTINGS)).encode()
    for kata in load(root).katas:
        found[kata.shown(kata.stub)] = stub_text(kata).encode()
    return found


def settings(text: str) -> str:
    """Of the project's pyproject.toml what a copy needs: how pytest runs there."""
    section = text.partition("[tool.pytest.ini_options]\n")[1:]
    return "".join(section).split("\n[tool.")[0].rstrip() + "\n"


def is_stub(path: str) -> bool:
    """Whether a path of a copy is a learner's desk."""
    folder, _, name = path.rpartition("/")
    return folder.startswith("katas/") and name.endswith(".py") and not name.startswith("test_")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
