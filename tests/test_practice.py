"""Progress over time: what has slipped, what is due, what moves to another machine."""

from __future__ import annotations

import json
import sqlite3
import time

import pytest

from tests.conftest import House
from tests.test_watching import RIGHT, WRONG

pytestmark = pytest.mark.timeout(90)


def age(house, days):
    """Everything that is recorded happened so many days earlier."""
    with sqlite3.connect(house.root / ".kata" / "progress.sqlite3") as db:
        db.execute("UPDATE judgements SET started = started - ?", (days * 86400,))
        db.execute("UPDATE hints SET taken = taken - ?", (days * 86400,))


def grades(house):
    with sqlite3.connect(house.root / ".kata" / "progress.sqlite3") as db:
        return [row[0] for row in db.execute("SELECT grade FROM reviews ORDER BY id")]


def green(house):
    house.write("row_sums", RIGHT)
    assert house.command("run", "row_sums").returncode == 0


def test_what_was_green_and_is_red_is_told(house):
    """Regressed is more than red: it worked once."""
    green(house)
    house.write("row_sums", WRONG)
    house.command("run", "row_sums")
    state = house.json("progress")["katas"][0]
    assert (state["verdict"], state["regressed"]) == ("red", True)
    assert "! row_sums" in house.command("list").stdout
    assert "was green: row_sums" in house.command("progress").stdout


def test_the_difference_between_two_versions(house):
    """Between two that were judged, and between one and the file."""
    for text in (WRONG, RIGHT):
        house.write("row_sums", text)
        house.command("run", "row_sums")
    old, new = (row["source"][:8] for row in house.records("row_sums"))
    lines = house.command("history", "row_sums", "--diff", old, new).stdout.splitlines()
    assert "-    return grid.sum(0)" in lines
    assert "+    return grid.sum(1)" in lines
    same = house.command("history", "row_sums", "--diff", new)
    assert "are the same" in same.stdout
    run = house.command("history", "row_sums", "--diff", "zz")
    assert (run.returncode, len(run.stderr.splitlines())) == (2, 1)
    assert "failing" not in house.command("history", "row_sums").stdout


def test_nothing_is_due_on_the_day_it_became_green(house):
    """Before anything is green, and just after."""
    assert "nothing is green yet" in house.command("review").stdout
    green(house)
    run = house.command("review")
    assert (run.returncode, "nothing is due; row_sums is next, in" in run.stdout) == (0, True)
    assert "in " in house.command("review", "--list").stdout
    assert "was never green" in house.command("review", "matrix_product").stderr


def test_a_review_is_a_fresh_stub_and_is_graded_by_what_happens(house):
    """At the first try; then, before it is due again, after a wrong try; then after a hint."""
    green(house)
    for grade in ("easy", "good", "hard"):
        if grade == "easy":
            age(house, 400)
        run = house.command("review", *(() if grade == "easy" else ("row_sums",)))
        assert "build it once more" in run.stdout, run.stdout + run.stderr
        assert "NotImplementedError" in house.kata("row_sums").stub.read_text()
        assert house.json("progress")["katas"][0]["reviewed"]
        if grade == "good":
            house.write("row_sums", WRONG)
            house.command("run", "row_sums")
        if grade == "hard":
            house.command("hint", "row_sums")
        green(house)
        assert "nothing is due" in house.command("review").stdout
        assert grades(house)[-1] == grade


def test_a_review_can_be_given_up_or_put_back(house):
    """Either way the old answer lies on the desk again; only giving up counts."""
    green(house)
    for option, grade in (("--back", "back"), ("--give-up", "again")):
        house.command("review", "row_sums")
        assert house.kata("row_sums").stub.read_text() != RIGHT
        assert house.command("review", option).returncode == 0
        assert house.kata("row_sums").stub.read_text() == RIGHT
        assert grades(house)[-1] == grade
    assert house.command("review", "--back").returncode == 2


def test_progress_moves_without_loss_or_doubles(house, tmp_path):
    """Export, import twice elsewhere: all rows once, and the answer on the desk when asked."""
    green(house)
    house.command("hint", "matrix_product")
    house.command("review", "row_sums")
    house.command("review", "--give-up")
    moved = tmp_path / "progress.json"
    assert house.command("export", str(moved)).returncode == 0
    other = House(tmp_path / "other")
    first = other.command("import", str(moved))
    assert "with --desk" in first.stdout, first.stderr
    again = other.command("import", str(moved), "--desk")
    assert "added 0 sources, 0 judgements, 0 hints, 0 reviews" in again.stdout
    assert other.kata("row_sums").stub.read_text() == RIGHT
    assert len(other.records("row_sums")) == len(house.records("row_sums"))
    here, there = (h.json("progress")["katas"] for h in (house, other))
    assert here == there


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda d: "{", "no JSON"),
        (lambda d: [], "is not what `kata export` writes"),
        (lambda d: d | {"schema": 99}, "newer version"),
        (lambda d: d | {"sources": {"0" * 64: "x"}}, "is not what its name says"),
        (lambda d: d | {"judgements": [[1, 2]]}, "row 1 of judgements has not 11 columns"),
        (lambda d: d | {"hints": [["x", [], 1.0]]}, "row 1 of hints has no rung that can be used"),
        (lambda d: d | {"reviews": [["x", 1.0, "y", None, None]]}, "row 1 of reviews has no"),
    ],
)  # fmt: skip
def test_a_damaged_export_changes_nothing(house, tmp_path, damage, said):
    """One line that says what is wrong; what is recorded here stays as it is."""
    green(house)
    moved = tmp_path / "progress.json"
    house.command("export", str(moved))
    damaged = damage(json.loads(moved.read_text()))
    moved.write_text(damaged if isinstance(damaged, str) else json.dumps(damaged))
    before = house.records("row_sums")
    run = house.command("import", str(moved))
    assert (run.returncode, len(run.stderr.splitlines())) == (2, 1)
    assert said in run.stderr
    assert house.records("row_sums") == before


def test_a_missing_export_is_one_line(house):
    """Neither a traceback nor status 0."""
    run = house.command("import", "nowhere.json")
    assert run.returncode in (1, 2)
    assert "nowhere.json" in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_an_older_progress_file_is_taken_over(house):
    """A file of the first schema gets the later steps and keeps its rows."""
    green(house)
    path = house.root / ".kata" / "progress.sqlite3"
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE reviews")
        db.execute("DROP INDEX judgements_by_verdict")
        db.execute("PRAGMA user_version = 1")
    assert house.json("progress")["katas"][0]["verdict"] == "green"
    assert house.command("review", "--list").returncode == 0
    assert time.time() - house.records("row_sums")[0]["started"] < 90
