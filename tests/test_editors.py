"""What editors and classrooms do with a clone: collect, run one test, take the folders apart."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import textwrap

import pytest

from dojo.cli import build_parser
from tests.conftest import ROOT

pytestmark = pytest.mark.timeout(120)


def test_the_test_panel_collects_and_records_nothing(copied):
    """All suites, without an error and without a trace."""
    settings = json.loads((ROOT / ".vscode" / "settings.json").read_text())
    assert settings["python.testing.pytestEnabled"]
    run = copied.run("pytest", "--collect-only", *settings["python.testing.pytestArgs"])
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr
    assert "ERROR" not in run.stdout
    for kata in copied.curriculum.katas:
        assert f"{kata.shown(kata.suite)}::test_" in run.stdout
    assert not (copied.root / ".kata").exists()


@pytest.mark.parametrize("twice", [False, True])
def test_one_test_by_its_id_is_no_whole_judgement(house, twice):
    """As the panel's button runs it: recorded as partial, never as green; red on a stub."""
    house.solve("row_sums")
    suite = house.suite("row_sums")
    first = re.search(r"def (test_\w+)", house.kata("row_sums").suite.read_text())
    assert first
    one = f"{suite}::{first[1]}"
    run = house.pytest(*[one] * (1 + twice))
    assert run.returncode == 0, run.stdout
    assert "only a full run can make it green" in run.stdout
    assert [row["verdict"] for row in house.records("row_sums")] == ["partial"]
    assert house.json("progress")["katas"][0]["verdict"] != "green"
    house.command("reset", "row_sums")
    run = house.pytest(one)
    assert run.returncode == 1
    assert "row_sums is not begun" in run.stdout


def test_the_tasks_commands_exist_and_take_the_open_file(house):
    """A task hands over the path of the open file: stub, suite or solution."""
    tasks = json.loads((ROOT / ".vscode" / "tasks.json").read_text())["tasks"]
    for task in tasks:
        words = [word.replace("${relativeFile}", "x") for word in task["args"]]
        assert words[:2] == ["-m", "dojo"]
        assert build_parser().parse_args(words[2:])
    kata = house.kata("row_sums")
    for path in (kata.stub, kata.suite, kata.solution):
        shown = kata.shown(path)
        assert "row_sums is not begun" in house.command("run", shown).stdout
    assert "row_sums is not begun" in house.command("run", "test_row_sums").stdout
    run = house.command("run", "katas/01_toys/README.md")
    assert (run.returncode, len(run.stderr.splitlines())) == (2, 1)


def test_the_container_and_the_extensions_are_json():
    """An editor that finds a fault in them says nothing and does nothing."""
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    wanted = json.loads((ROOT / ".vscode" / "extensions.json").read_text())["recommendations"]
    assert container["customizations"]["vscode"]["extensions"] == wanted
    assert "[dev]" in container["postCreateCommand"]


def test_without_solutions_the_suites_still_judge(house):
    """No diagnosis, and a line that says why; commands that need the folder say so in one line."""
    shutil.rmtree(house.root / "solutions")
    assert "row_sums is not begun" in house.command("run", "row_sums").stdout
    assert house.json("progress")["katas"][0]["verdict"] == "new"
    house.write("row_sums", "def row_sums(grid):\n    return grid.sum(0)\n")
    run = house.command("run", "row_sums")
    assert run.returncode == 1
    assert "row_sums is red: " in run.stdout
    assert "looks like" not in run.stdout
    assert "no diagnosis: solutions/01_toys/row_sums.py is missing\n" in run.stdout
    for command in ("hint", "show", "reset"):
        run = house.command(command, "row_sums")
        assert (run.returncode, len(run.stderr.splitlines())) == (2, 1), run.stderr
        assert "solutions/01_toys/row_sums.py is missing" in run.stderr
    right = "def row_sums(grid):\n    if grid.ndim != 2:\n        raise ValueError\n"
    house.write("row_sums", right + "    return grid.sum(1)\n")
    run = house.command("run", "row_sums")
    assert (run.returncode, "row_sums is green" in run.stdout) == (0, True), run.stdout
    run = house.command("solution", "row_sums")
    assert "solutions/01_toys/row_sums.py is missing" in run.stderr
    assert house.command("list").returncode == 0


def test_the_classroom_workflow_names_katas_that_exist():
    """And each graded step is reported."""
    text = (ROOT / "docs" / "classroom.yml").read_text()
    ids = re.findall(r"- id: (\w+)", text)
    assert re.findall(r"kata run (\w+)", text) == ids
    assert re.findall(r"(\w+)_RESULTS: \$\{\{ steps\.(\w+)\.outputs", text) == [
        (name.upper(), name) for name in ids
    ]
    assert f"runners: {','.join(ids)}" in text
    for name in ids:
        assert list(ROOT.glob(f"katas/*/test_{name}.py"))


def test_the_classroom_takes_answers_and_nothing_else(tmp_path):
    """The workflow's own step: a student's suite stays outside, a missing answer is missing."""
    text = (ROOT / "docs" / "classroom.yml").read_text()
    step = text.partition("        run: |\n")[2].partition("      - id:")[0]
    for side in ("judge", "student"):
        folder = tmp_path / side / "katas" / "01_toys"
        folder.mkdir(parents=True)
        for name in ("one.py", "test_one.py", "two.py", "test_two.py", "conftest.py"):
            (folder / name).write_text(side)
    (tmp_path / "student" / "katas" / "01_toys" / "two.py").unlink()
    code = textwrap.dedent(step)
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    found = {path.name: path.read_text() for path in (tmp_path / "judge/katas/01_toys").iterdir()}
    assert found == {
        "one.py": "student", "test_one.py": "judge", "test_two.py": "judge",
        "conftest.py": "judge",
    }  # fmt: skip
