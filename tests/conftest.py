"""A small house of toy katas, in which the tooling is tried as its users use it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dojo import curriculum as curricula
from dojo.stub import answer_text, stub_text

ROOT = Path(__file__).resolve().parent.parent
TOYS = ROOT / "tests" / "toys"
CHAPTER = "01_toys"
collect_ignore = ["toys", "browser"]  # katas of the house below; what `nox -s page` runs

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell begins what it runs behind (&)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what tests start can be ended again


class Project:
    """A folder with katas, and the ways in which its users use it."""

    def __init__(self, root: Path):
        self.root = root
        self.curriculum = curricula.load(root)

    def kata(self, name: str) -> curricula.Kata:
        found = self.curriculum.get(name)
        assert found is not None
        return found

    def write(self, name: str, text: str) -> None:
        """Lay an answer on the desk."""
        self.kata(name).stub.write_text(text)

    def solve(self, name: str) -> None:
        """Lay the reference answer on the desk, without its tooling."""
        self.write(name, answer_text(self.kata(name)))

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KATA_", "PYTEST_"))}
        return subprocess.run(
            [sys.executable, "-m", *command], cwd=self.root, capture_output=True, text=True,
            env=kept | {"PYTHONPATH": str(ROOT)} | environment, timeout=120, check=False,
        )  # fmt: skip

    def pytest(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        arguments = arguments or ("katas",)
        return self.run("pytest", *arguments, "--kata-seed", "1", **environment)

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The `kata` command, through its own entry point."""
        return self.run("dojo", *arguments, **environment)

    def json(self, *arguments: str, **environment: str) -> dict:
        return json.loads(self.command(*arguments, "--json", **environment).stdout)

    def suite(self, name: str) -> str:
        return str(self.kata(name).suite.relative_to(self.root))

    def records(self, name: str) -> list[dict]:
        with sqlite3.connect(self.root / ".kata" / "progress.sqlite3") as db:
            db.row_factory = sqlite3.Row
            sql = "SELECT * FROM judgements WHERE kata = ? ORDER BY id"
            return [dict(row) for row in db.execute(sql, (name,))]


class House(Project):
    """A project with three toy katas in a folder of its own."""

    def __init__(self, root: Path):
        desk, answers = root / "katas" / CHAPTER, root / "solutions" / CHAPTER
        desk.mkdir(parents=True)
        answers.mkdir(parents=True)
        for path in TOYS.glob("*.py"):
            shutil.copy(path, desk if path.name.startswith("test_") else answers)
        shutil.copy(TOYS / "curriculum.toml", root / "katas")
        shutil.copy(ROOT / "conftest.py", root)
        settings = (ROOT / "pyproject.toml").read_text().replace("timeout = 10", "timeout = 1")
        (root / "pyproject.toml").write_text(settings)
        super().__init__(root)
        for kata in self.curriculum.katas:
            kata.stub.write_text(stub_text(kata))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "house")


@pytest.fixture
def copied(tmp_path: Path) -> Project:
    """A clean copy of this repository's katas; the stubs are as nobody has touched them."""
    root = tmp_path / "copied"
    for folder in ("katas", "solutions"):
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, root / folder, ignore=leave)
    for file in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / file, root)
    return Project(root)
