"""`kata check` proves katas, and fails as soon as one of its proofs does."""

from __future__ import annotations

import pytest

from dojo import kept
from dojo.stub import stub_text

pytestmark = pytest.mark.timeout(120)


def replace(path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_toy_katas_stand(house):
    """One line a kata, exit status 0."""
    run = house.command("check")
    assert run.returncode == 0, run.stdout
    assert run.stdout.count("ok   01_toys/") == 3
    assert "3 of 3 katas stand" in run.stdout
    assert not (house.root / ".kata").exists()


def test_a_weakened_suite_is_found(house):
    """A suite that no longer looks at values lets wrong answers pass: they are named."""
    for old in (
        "same(row_sums(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])), np.array([6.0, 16.0]))",
        'same(row_sums(grid), np.einsum("hw->h", grid))',
    ):
        replace(house.kata("row_sums").suite, old, "row_sums(np.ones((2, 2)))")
    run = house.command("check", "row_sums")
    assert run.returncode == 1
    assert "wrong answer column_sums passes every test" in run.stdout
    assert "wrong answer averaged passes every test" in run.stdout


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("stub", "Give one number", "Give a number", "is not the stub of its solution"),
        ("solution", "return grid.sum(1).", "return grid.sum(0).", "the reference is red"),
        ("solution", "[sum(row) for row in grid]", "[0 for row in grid]", "right answer by_loop"),
        ("solution", "array([ 6, 15])", "array([ 6, 16])", "an example fails"),
        ("solution", '"""the cells are averaged instead of added up"""', "", "has no docstring"),
        ("solution", '"grid.sum(1)"]', "]", "2 hints"),
        ("solution", "HINTS =", "CLUES =", "no HINTS"),
        ("solution", "import numpy as np", "import nummpy as np", "nummpy"),
        ("solution", "@right(row_sums)", "", "0 right answers"),
        ("suite", 'row_sums = answer("row_sums")', "def row_sums(x): return x.sum(1)", "the stub:"),
    ],
)
def test_every_fault_is_said(house, file, old, new, said):
    """One fault, one line, exit status 1."""
    replace(getattr(house.kata("row_sums"), file), old, new)
    run = house.command("check", "row_sums")
    assert run.returncode == 1
    assert said in run.stdout, run.stdout


def test_an_unnamed_mistake_is_a_fault(house):
    """Red is not enough: two mistakes that the suite cannot tell apart leave one unnamed."""
    twin = house.kata("row_sums").solution
    text = twin.read_text()
    start = text.index("@wrong(row_sums)\ndef column_sums")
    copy = text[start : text.index("@wrong(row_sums)\ndef averaged")]
    copy = copy.replace("def column_sums", "def twin").replace("the columns are", "other words")
    twin.write_text(text + "\n\n" + copy)
    run = house.command("check", "row_sums")
    assert run.returncode == 1
    assert "its sentence is not printed" in run.stdout


def test_stray_files_are_found(house):
    """A file that no line of the curriculum names is a fault."""
    (house.root / "katas" / "01_toys" / "leftover.py").write_text("")
    run = house.command("check", "--stubs", "row_sums")
    assert run.returncode == 1
    assert "katas/01_toys/leftover.py belongs to no line" in run.stdout


def test_a_new_kata_in_four_steps(house):
    """`kata new`, the line, `kata reset`, `kata check`: the skeleton lacks only its content."""
    run = house.command("new", "01_toys/doubled")
    assert run.returncode == 0
    line = next(row for row in run.stdout.splitlines() if "name =" in row)
    listed = house.root / "katas" / "curriculum.toml"
    listed.write_text(listed.read_text().replace("\n]", f"\n{line}\n]"))
    assert house.command("reset", "doubled").returncode == 0
    found = house.command("check", "doubled").stdout
    assert "1 wrong answers, at least 3 are wanted" in found
    assert "reference" not in found


def test_texts_are_kept_and_compared(house):
    """The wording counts and that every mistake has its text; numbers may differ by machine."""
    kept = house.root / "tests" / "texts" / "row_sums.txt"
    kept.parent.mkdir(parents=True)
    run = house.command("check", "row_sums", "--kata-seed", "1")
    assert "the text of averaged is not kept yet" in run.stdout
    assert house.command("check", "row_sums", "--renew-texts").returncode == 0
    text = kept.read_text()
    assert "== averaged\n" in text
    assert "looks like: the cells are averaged" in " ".join(text.split())
    kept.write_text(text.replace("expected 6", "expected 7.25"))
    run = house.command("check", "row_sums", "--kata-seed", "1")
    assert run.returncode == 0, run.stdout
    kept.write_text(text.replace("averaged instead", "meant instead") + "\n== lost\n  text\n")
    run = house.command("check", "row_sums", "--kata-seed", "1")
    assert run.returncode == 1
    assert "averaged is told otherwise than before" in run.stdout
    assert "no mistake lost is left" in run.stdout
    assert house.command("check", "row_sums").returncode == 0  # other inputs, other texts


def test_what_the_reference_asked_for_is_read_whole_or_not_at_all(tmp_path, monkeypatch):
    """The reference is judged beside wrong answers, which read it: no file is written in place."""
    monkeypatch.setenv(kept.VARIABLE, str(tmp_path))
    assert kept.concerned("other", ["test_sums"]) == ["test_sums"]
    kept.keep_asked({"test_sums": ["row_sums"]})
    (path,) = tmp_path.iterdir()
    before = path.stat().st_ino
    kept.keep_asked({"test_sums": ["row_sums"]})
    assert path.stat().st_ino != before
    assert kept.concerned("other", ["test_sums"]) == []
    assert [*tmp_path.iterdir()] == [path]


def test_a_mistake_is_named_by_its_first_failure(house):
    """-x is enough where the first failure names it."""
    run = house.command("check", "row_sums", "--texts")
    assert run.returncode == 0, run.stdout
    assert run.stdout.count("looks like:") >= 3


def test_a_mistake_that_is_like_another_at_first_runs_on_until_it_is_named(house):
    """The last test says in a file that it was run: not on the two that are named before it."""
    kata = house.kata("row_sums")
    more = '''@wrong(row_sums)
def averaged_as_floats(grid):
    """the cells are averaged, and integers become floats"""
    return row_sums(grid) / grid.shape[1]


@wrong(row_sums)
def never_refuses'''
    replace(kata.solution, "@wrong(row_sums)\ndef never_refuses", more)
    last = '    refuses(row_sums, np.ones(3), because="a grid of one axis")'
    replace(kata.suite, last, f'    open("ran", "a").write("x")\n{last}')
    run = house.command("check", "row_sums", "--texts", "--kata-seed", "1")
    assert run.returncode == 0, run.stdout
    assert "looks like: the cells are averaged, and integers become floats" in run.stdout
    # stub, reference, by_loop, never_refuses; the other mistakes end before
    assert len((house.root / "ran").read_text()) == 4


def test_minus_x_is_recorded_and_told(house):
    """pytest leaves at the first failure; the kata is judged all the same."""
    house.solve("row_sums")
    kata = house.kata("row_sums")
    kata.stub.write_text(kata.stub.read_text().replace("grid.sum(1)", "grid.mean(1)"))
    run = house.run("pytest", "-x", "katas/01_toys/test_row_sums.py")
    assert "row_sums is red" in run.stdout
    assert [row["verdict"] for row in house.records("row_sums")] == ["red"]


SECOND_NAME = '''def row_count(grid):
    """How many rows there are."""
    return len(grid)


HINTS ='''
OTHERS = '''

@wrong(row_count)
def columns_counted(grid):
    """the columns are counted, not the rows"""
    return len(grid[0])


@right(row_count)
def by_shape(grid):
    return int(grid.shape[0])
'''
SECOND_TEST = '''
import pytest


@pytest.mark.timeout(60)
def test_rows_are_counted():
    """One for each row."""
    open("ran", "a").write("x")
    same_value(answer("row_count")(np.ones((2, 3))), 2)
'''


def test_other_answers_meet_the_tests_that_ask_for_them(house):
    """Of answers to row_sums the second name's test says nothing; it is not run on them."""
    kata = house.kata("row_sums")
    replace(kata.solution, "HINTS =", SECOND_NAME)
    replace(kata.suite, "refuses, same", "refuses, same, same_value")
    for path, more in ((kata.solution, OTHERS), (kata.suite, SECOND_TEST)):
        path.write_text(path.read_text() + more)
    kata.stub.write_text(stub_text(kata))
    run = house.command("check", "row_sums", "--kata-seed", "1")
    # stub, reference, by_shape, columns_counted, and that once more for its name
    assert len((house.root / "ran").read_text()) == 5, run.stdout
    # a diagnosis does not run a slow test again: its own message must name the mistake
    assert "wrong answer columns_counted is red, but its sentence is not printed" in run.stdout
