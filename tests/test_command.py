"""The `kata` command, run as its users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.timeout(60)
RIGHT = """def row_sums(grid):
    if grid.ndim != 2:
        raise ValueError("two axes")
    return grid.sum(1)
"""
WRONG = RIGHT.replace("sum(1)", "sum(0)")


def test_bare_kata_says_where_you_are_and_what_to_type(house):
    """The next kata, its file, its verdict, the next command; exit status 0 though it is red."""
    run = house.command()
    assert run.returncode == 0
    for text in ("0 of 3", "next: row_sums", "katas/01_toys/row_sums.py", "not begun", "kata run"):
        assert text in run.stdout


def test_green_leads_to_the_next_kata(house):
    """A green run names the next kata, and the list marks the green one."""
    house.solve("row_sums")
    run = house.command("run", "row_sums")
    assert run.returncode == 0
    assert "row_sums is green: all 4 tests pass" in run.stdout
    assert "next: matrix_product" in run.stdout
    assert "+ row_sums" in house.command("list").stdout
    assert house.command("run").stdout.startswith("matrix_product is not begun")


def test_run_json_is_one_object(house):
    """The object of the design, on stdout alone, also for a red."""
    house.write("row_sums", WRONG)
    run = house.command("run", "row_sums", "--json")
    assert run.returncode == 1
    found = json.loads(run.stdout)
    assert set(found) == {"kata", "verdict", "passed", "total", "seconds", "tests"}
    assert (found["verdict"], found["passed"], found["total"]) == ("red", 1, 4)
    first = found["tests"][0]
    assert set(first) == {"name", "outcome", "message", "diagnosis"}
    assert first["diagnosis"] == "the columns are added up instead of the rows"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "row_sum"), ""),
        (("run", "row_summs"), "did you mean row_sums?"),
        (("run", "zzz"), "`kata list` shows them all"),
        (("hint", "r"), "fits 3 katas"),
        (("new", "nonsense"), "is no CHAPTER/KATA"),
        (("new", "99_none/thing"), "no chapter is called '99_none'"),
        (("new", "01_toys/row_sums"), "there is a kata called 'row_sums' already"),
        (("show", "row_sums"), "still a stub"),
        (("history", "row_sums", "--bring-back", "abc"), "no version"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(house, arguments, said):
    """Unknown names are guessed at, and nothing is a traceback."""
    run = house.command(*arguments)
    if said:
        assert run.returncode == 2
        assert said in run.stderr
        assert len(run.stderr.splitlines()) == 1
    else:
        assert "row_sums is not begun" in run.stdout  # a unique part of a name is enough


def test_each_hint_is_one_rung_more(house):
    """First one, then two, then all, and all again."""
    counts = [house.command("hint", "row_sums").stdout.count("hint ") for _ in range(4)]
    assert counts == [1, 2, 3, 3]
    assert house.json("progress")["katas"][0]["hints"] == 3


def test_the_solution_is_shown_after_green_or_anyway(house):
    """Not before, unless asked for; never its variants."""
    early = house.command("solution", "row_sums")
    assert early.returncode == 1
    assert "grid.sum" not in early.stdout
    shown = house.command("solution", "row_sums", "--anyway")
    assert "grid.sum(1)" in shown.stdout
    assert "@wrong" not in shown.stdout
    assert "HINTS" not in shown.stdout
    house.solve("row_sums")
    house.command("run", "row_sums")
    assert house.command("solution", "row_sums").returncode == 0


def test_reset_keeps_your_version_and_history_brings_it_back(house):
    """Also one that was never judged."""
    house.write("row_sums", WRONG)
    run = house.command("reset", "row_sums")
    assert "NotImplementedError" in house.kata("row_sums").stub.read_text()
    version = run.stdout.split("--bring-back ")[1].split()[0]
    house.command("history", "row_sums", "--bring-back", version)
    assert house.kata("row_sums").stub.read_text() == WRONG
    listed = house.command("history", "row_sums").stdout
    assert version in listed


def test_reset_refuses_to_lose_what_it_cannot_keep(house):
    """With nothing recorded, the learner's file stays as it is."""
    house.write("row_sums", WRONG)
    run = house.command("reset", "row_sums", KATA_NO_RECORD="1")
    assert run.returncode == 2
    assert house.kata("row_sums").stub.read_text() == WRONG


def test_history_shows_every_judgement(house):
    """Verdict, count and what was said, oldest first."""
    house.write("row_sums", WRONG)
    house.command("run", "row_sums")
    house.write("row_sums", RIGHT)
    house.pytest(house.suite("row_sums"))
    lines = house.command("history", "row_sums").stdout.splitlines()
    assert "red" in lines[0]
    assert "columns are added up" in lines[0]
    assert "green" in lines[1]


def test_progress_follows_the_file(house):
    """Green, changed since, red: the records are of a source, not of a name."""

    def verdict() -> str:
        return house.json("progress")["katas"][0]["verdict"]

    assert verdict() == "new"
    house.write("row_sums", RIGHT)
    house.command("run", "row_sums")
    assert verdict() == "green"
    house.write("row_sums", RIGHT + "\n# more\n")
    assert verdict() == "changed"
    house.write("row_sums", WRONG)
    house.command("run", "row_sums")
    assert verdict() == "red"
    assert "was green: row_sums" in house.command("progress").stdout


def test_show_writes_a_picture(house):
    """Of the learner's own function; a wrong answer that can be drawn is drawn."""
    house.write("row_sums", RIGHT)
    run = house.command("show", "row_sums")
    picture = house.root / ".kata" / "pictures" / "row_sums.png"
    assert run.returncode == 0, run.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    house.write("row_sums", "def row_sums(grid):\n    return 1 / 0\n")
    run = house.command("show", "row_sums")
    assert run.returncode == 1
    assert "ZeroDivisionError" in run.stderr
    assert house.command("show", "matrix_product").stderr.startswith("kata: matrix_product has no")


def test_doctor_finds_this_machine_ready(house):
    """And says what is missing where something is."""
    assert house.command("doctor").returncode == 0
    house.kata("row_sums").stub.unlink()
    run = house.command("doctor")
    assert run.returncode == 1
    assert "no stub of row_sums: kata reset row_sums" in run.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("katas = [", "cannot be read"),
        ("", "must be a list of tables"),
        ("[[chapter]]\nname = 'a b'", "a chapter's name is 'a b'"),
        ("[[chapter]]\nname = 'a'\ncolour = 1", "unknown key 'colour'"),
        ("[[chapter]]\nname = 'a'\nkatas = [{ name = '1x' }]", "no Python name"),
        ("[[chapter]]\nname = 'a'\nkatas = [{ name = 'x' }, { name = 'x' }]", "stands there twice"),
        ("[[chapter]]\nname = 'a'\nkatas = [{ name = 'x', needs = ['y'] }]", "needs 'y'"),
        ("[[chapter]]\nname = 'a'\nkatas = [{ name = 'x', concepts = 'y' }]", "not a list"),
        ("[[chapter]]\nname = 'a'\nkatas = [3]", "must be a list of tables"),
        ("[[chapter]]\nname = 'a'", "lists no kata"),
    ],
)
def test_a_broken_curriculum_is_one_clear_line(house, text, said):
    """For the command and for pytest alike."""
    (house.root / "katas" / "curriculum.toml").write_text(text)
    run = house.command("list")
    assert run.returncode == 2
    assert said in run.stderr
    assert len(run.stderr.splitlines()) == 1
    plain = house.pytest()
    assert plain.returncode == pytest.ExitCode.USAGE_ERROR
    assert said in plain.stderr
    assert "Traceback" not in plain.stderr


def test_a_damaged_progress_file_is_kept_aside_and_said(house):
    """The verdict stands, the old file is still there, a new one is begun."""
    house.solve("row_sums")
    (house.root / ".kata").mkdir()
    (house.root / ".kata" / "progress.sqlite3").write_bytes(b"not a database at all" * 100)
    run = house.pytest(house.suite("row_sums"))
    assert run.returncode == 0
    assert "is damaged" in run.stdout
    kept = list((house.root / ".kata").glob("progress.damaged-*.sqlite3"))
    assert kept[0].read_bytes().startswith(b"not a database")
    assert [row["verdict"] for row in house.records("row_sums")] == ["green"]


def test_a_place_that_cannot_be_written_costs_the_record_only(house):
    """One clear line, and the verdict all the same."""
    house.solve("row_sums")
    (house.root / ".kata").write_text("a file where a folder should be")
    run = house.pytest(house.suite("row_sums"))
    assert run.returncode == 0
    assert "progress is not recorded" in run.stdout
    assert house.command("list").returncode == 0


def test_a_newer_progress_file_is_left_alone(house):
    """A file of a later version is not read, not changed, and said."""
    import sqlite3

    house.solve("row_sums")
    house.pytest(house.suite("row_sums"))
    path = house.root / ".kata" / "progress.sqlite3"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    assert "newer version" in house.pytest(house.suite("row_sums")).stdout
    assert len(house.records("row_sums")) == 1


def test_nothing_is_recorded_on_demand(house):
    """KATA_NO_RECORD=1 leaves no trace, nor does judging the references."""
    house.pytest(house.suite("row_sums"), KATA_NO_RECORD="1")
    house.pytest("--solutions")
    assert not (house.root / ".kata").exists()


def test_two_runs_at_once_lose_nothing(house):
    """Four runs side by side, four records."""
    house.solve("row_sums")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", house.suite("row_sums")]
    runs = [
        subprocess.Popen(command, cwd=house.root, env=environment, stdout=subprocess.DEVNULL)
        for _ in range(4)
    ]
    assert [run.wait() for run in runs] == [0] * 4
    assert [row["verdict"] for row in house.records("row_sums")] == ["green"] * 4


def test_a_killed_run_keeps_the_source_it_judged(house):
    """kill -9 in the middle: the file is sound, the version is in the history, not green."""
    text = RIGHT.replace("    return", "    import time\n    time.sleep(30)\n    return")
    house.write("row_sums", text)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-o", "timeout=60", house.suite("row_sums")]
    run = subprocess.Popen(command, cwd=house.root, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.time() + 20
    while time.time() < deadline:
        time.sleep(0.1)
        path = house.root / ".kata" / "progress.sqlite3"
        if path.exists() and path.with_name(path.name + "-wal").exists() and _begun(house):
            break
    run.kill()
    run.wait()
    rows = house.records("row_sums")
    assert [row["verdict"] for row in rows] == ["unfinished"]
    house.command("history", "row_sums", "--bring-back", rows[0]["source"][:12])
    assert house.kata("row_sums").stub.read_text() == text
    house.solve("row_sums")
    assert house.command("run", "row_sums").returncode == 0


def _begun(house) -> bool:
    import sqlite3

    try:
        return bool(house.records("row_sums"))
    except sqlite3.Error:
        return False
