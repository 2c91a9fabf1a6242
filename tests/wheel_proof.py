"""What a learner without git goes through, in an empty environment: `nox -s wheel`.

python -m tests.wheel_proof ENVIRONMENT, where ENVIRONMENT is an empty virtual one. Builds sdist
and wheel, installs the wheel, makes a copy, solves its first kata, installs a newer wheel,
updates the copy. Installing torch takes most of the time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from dojo import curriculum as curricula
from dojo.house import settings

ROOT = Path(__file__).resolve().parent.parent
OLD, NEW = "0.1.0", "99.0.0"
LINE = "A line that only the newer lesson has."
RULE = '''

def test_a_rule_that_only_the_newer_suite_has():
    """Nothing is asked."""
'''


class Learner:
    """Someone with an environment and a folder, and nothing of this repository."""

    def __init__(self, environment: Path, folder: Path):
        self.bin = environment / ("Scripts" if os.name == "nt" else "bin")
        self.folder = folder

    def run(self, program: str, *arguments: str, status: int = 0) -> str:
        """What it prints; another status than the expected one ends the proof."""
        mine = ("KATA_", "PYTEST_", "PYTHONPATH", "VIRTUAL_ENV")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(mine)}
        run = subprocess.run(
            [self.bin / program, *arguments], cwd=self.folder, env=kept, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        print(f"$ {program} {' '.join(arguments)}\n{run.stdout[:2000]}", flush=True)
        holds(run.returncode == status, f"status {run.returncode}, expected {status}")
        return run.stdout

    def state(self) -> dict[str, Any]:
        """How the first kata stands."""
        return json.loads(self.run("kata", "progress", "--json"))["katas"][0]


def holds(fact: bool, otherwise: str) -> None:
    if not fact:
        sys.exit(f"the wheel's proof failed: {otherwise}")


def build(tree: Path, to: Path, *what: str) -> None:
    command = [sys.executable, "-m", "build", *what, "--outdir", str(to), str(tree)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    holds(run.returncode == 0, f"{tree} cannot be built:\n{run.stdout}{run.stderr}")


def packed(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def build_both(folder: Path) -> tuple[Path, Path]:
    """This tree's wheel, built by way of the sdist, and a newer one."""
    build(ROOT, folder / "dist")
    build(ROOT, folder / "straight", "--wheel")
    wheel, straight = (next((folder / d).glob("*.whl")) for d in ("dist", "straight"))
    found = packed(wheel)
    holds(found == packed(straight), "the sdist builds another wheel than the tree")
    places = {name.split("/")[0] for name in found}
    holds(len(places) == 3 and {"dojo", "data"} < places, f"the wheel lays {places}")
    strange = [name for name in found if "__pycache__" in name or ".kata/" in name]
    holds(not strange, f"the wheel carries {strange}")
    print(f"{wheel.name}: {len(found)} files, {wheel.stat().st_size:,} bytes")

    with tarfile.open(next((folder / "dist").glob("*.tar.gz"))) as archive:
        archive.extractall(folder / "newer", filter="data")
    tree = next((folder / "newer").iterdir())
    first, second = curricula.load(tree).katas[:2]
    change(tree / "pyproject.toml", f'version = "{OLD}"', f'version = "{NEW}"')
    change(first.stub.parent / "README.md", "\n", f"\n{LINE}\n", once=True)
    with first.suite.open("a") as suite:
        suite.write(RULE)
    change(second.solution, '"""', '"""Newly said: ', once=True)
    build(tree, folder / "newer-dist", "--wheel")
    return wheel, next((folder / "newer-dist").glob("*.whl"))


def change(path: Path, old: str, new: str, once: bool = False) -> None:
    text = path.read_text(encoding="utf-8")
    holds(old in text, f"{path.name} has no {old!r}")
    path.write_text(text.replace(old, new, 1 if once else -1), encoding="utf-8")


def learn(learner: Learner, wheel: Path, newer: Path) -> None:
    """From `pip install` to the first green kata, and through an update."""
    learner.run("python", "-m", "pip", "install", "--quiet", str(wheel))
    holds("`kata init`" in learner.run("kata", status=2), "nothing tells of `kata init`")
    learner.run("kata", "init")
    learner.run("kata", "init", status=2)
    learner.folder /= "cnn-katas"
    copied = (learner.folder / "pyproject.toml").read_text(encoding="utf-8")
    holds(copied == settings((ROOT / "pyproject.toml").read_text()), "other pytest settings")

    listed = curricula.load(learner.folder)
    first, second = listed.katas[:2]
    suite = first.shown(first.suite)
    holds("is not begun" in learner.run("kata"), "the first stub is not fresh")
    answer = first.solution.read_text(encoding="utf-8").split("HINTS =")[0]
    work = "".join(x for x in answer.splitlines(keepends=True) if "from dojo" not in x)
    first.stub.write_text(work, encoding="utf-8")
    learner.run("kata", "run", first.name)
    learner.run("pytest", suite)
    learner.run("python", "-c", "import data; print(data.photo().shape, data.digits()[0].shape)")

    learner.run("python", "-m", "pip", "install", "--quiet", str(newer))
    holds("kata update" in learner.run("kata"), "nothing tells of the newer version")
    before = learner.state()
    holds(before["verdict"] == "green", f"progress is {before}")
    learner.run("kata", "update", "--dry-run")
    holds(LINE not in (first.stub.parent / "README.md").read_text(), "a dry run has written")
    learner.run("kata", "update")
    holds(first.stub.read_text(encoding="utf-8") == work, "the learner's work was touched")
    holds(LINE in (first.stub.parent / "README.md").read_text(), "the lesson is the old one")
    holds("Newly said" in second.stub.read_text(), "an untouched stub is the old one")
    after = learner.state()
    holds(after == before | {"verdict": "changed"}, f"progress is {after}, was {before}")
    learner.run("kata", "run", first.name)
    learner.run("pytest", suite)
    after = learner.state()
    holds(after["verdict"] == "green", f"progress is {after}")
    holds(after["total"] == before["total"] + 1, "the suite is the old one")
    holds("already up to date" in learner.run("kata", "update"), "the update is never done")


def main(environment: Path) -> None:
    """Build, install, learn, update; exit status 0 only if all of it holds."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        home.mkdir()
        wheel, newer = build_both(Path(folder))
        learn(Learner(environment, home), wheel, newer)
    print(f"the wheel holds, after {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
