"""What a learner reads, held in golden files (renewed by `pytest tests --force-regen`).

Every answer here is wrong in some way. None may be green: not in plain pytest, not in
`kata run`, not in the records.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

NUMPY_ANSWERS = {
    "untouched stub": None,
    "syntax error": "def row_sums(grid):\n    return grid.sum(1\n",
    "missing function": "def row_sum(grid):\n    return grid.sum(1)\n",
    "wrong signature": "def row_sums(grid, axis):\n    return grid.sum(axis)\n",
    "none returned": "def row_sums(grid):\n    grid.sum(1)\n",
    "wrong shape": "def row_sums(grid):\n    return grid.sum(1, keepdims=True)\n",
    "known mistake in other words": (
        "import numpy as np\n\n\ndef row_sums(grid):\n    if grid.ndim != 2:\n"
        "        raise ValueError('no')\n    return np.einsum('hw->w', grid)\n"
    ),
    "unknown mistake": (
        "def row_sums(grid):\n    if grid.ndim != 2:\n        raise ValueError('no')\n"
        "    return grid.max(1)\n"
    ),
    "exception": "def row_sums(grid):\n    total = grid[99]\n    return total\n",
    "wrong exception": (
        "def row_sums(grid):\n    if grid.ndim != 2:\n        raise TypeError('no')\n"
        "    return grid.sum(1)\n"
    ),
    "endless loop": "def row_sums(grid):\n    while True:\n        pass\n",
    "argument changed": (
        "def row_sums(grid):\n    if grid.ndim != 2:\n        raise ValueError('no')\n"
        "    grid *= 1.5\n    return (grid / 1.5).sum(1)\n"
    ),
    "argument changed before refusing": (
        "def row_sums(grid):\n    if grid.ndim != 2:\n        grid += 1\n"
        "        raise ValueError('no')\n    return grid.sum(1)\n"
    ),
    "prints": "def row_sums(grid):\n    print('shape', grid.shape)\n    return grid.sum(0)\n",
    "unknown module": "import nummpy\n\n\ndef row_sums(grid):\n    return grid.sum(1)\n",
    "not text": b"\xff\xfe\x00def row_sums(grid): pass\n",
    "sys.exit at import": "import sys\n\nsys.exit(0)\n",
    "sys.exit in a call": "import sys\n\n\ndef row_sums(grid):\n    sys.exit(0)\n",
    "os._exit at import": "import os\n\nos._exit(0)\n",
    "os._exit in a call": "import os\n\n\ndef row_sums(grid):\n    os._exit(0)\n",
    "pytest.exit": "import pytest\n\n\ndef row_sums(grid):\n    pytest.exit('x', returncode=0)\n",
    "pytest.skip": "import pytest\n\n\ndef row_sums(grid):\n    pytest.skip('no')\n",
    "numpy.allclose replaced": (
        "import numpy\n\nnumpy.allclose = lambda *a, **k: True\n\n\ndef row_sums(grid):\n"
        "    return grid.sum(0)\n"
    ),
    "checks replaced": (
        "import dojo.checks\n\ndojo.checks.same = dojo.checks._same_cells = lambda *a, **k: None\n"
        "\n\ndef row_sums(grid):\n    return grid.sum(0)\n"
    ),
    "equal to everything": (
        "import numpy as np\n\n\nclass Yes(np.ndarray):\n    __eq__ = lambda s, o: True\n"
        "    __ne__ = lambda s, o: False\n\n\ndef row_sums(grid):\n"
        "    return grid.sum(0).view(Yes)\n"
    ),
}
TORCH_ANSWERS = {
    "forbidden operation": "def matrix_product(a, b):\n    return a @ b\n",
    "torch.allclose replaced": (
        "import torch\n\ntorch.allclose = torch.equal = lambda *a, **k: True\n\n\n"
        "def matrix_product(a, b):\n    return (a @ b).T\n"
    ),
    "exception in torch": "def matrix_product(a, b):\n    return a * b\n",
}


def settled(text: str) -> str:
    """Without what differs from run to run, and with paths as everywhere."""
    text = re.sub(r"in \d+\.\d+s", "in N s", text)
    return re.sub(r"\n +$", "\n", text)


def file_name(case: str) -> str:
    return re.sub(r"\W+", "_", case) + ".txt"


def lay_down(house, name: str, answer: str | bytes | None) -> None:
    if isinstance(answer, bytes):
        house.kata(name).stub.write_bytes(answer)
    elif answer is not None:
        house.write(name, answer)


def judged_everywhere(house, name: str, file_regression, text: Path) -> None:
    plain = house.pytest(house.suite(name))
    verdict = house.json("run", name)
    assert plain.returncode == 1, plain.stdout
    assert "Traceback" not in plain.stdout
    assert "INTERNALERROR" not in plain.stdout
    assert verdict["verdict"] == "red"
    assert verdict["passed"] < verdict["total"]
    rows = house.records(name)
    assert [row["verdict"] for row in rows] == ["red", "red"]
    assert rows[0]["message"] == rows[1]["message"]
    for line in plain.stdout.splitlines():
        assert len(line) <= 80, line
    file_regression.check(settled(plain.stdout), fullpath=text)


@pytest.fixture
def golden() -> Path:
    """Where golden texts stand."""
    return Path(__file__).parent / "golden"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", NUMPY_ANSWERS)
def test_a_wrong_answer_is_red_and_says_why(house, file_regression, golden, case):
    """Red in plain pytest, in `kata run` and in the records, in the words of the golden file."""
    lay_down(house, "row_sums", NUMPY_ANSWERS[case])
    judged_everywhere(house, "row_sums", file_regression, golden / file_name(case))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", TORCH_ANSWERS)
def test_a_wrong_torch_answer_is_red_and_says_why(house, file_regression, golden, case):
    """The same for a kata with torch, whose dispatcher is watched."""
    lay_down(house, "matrix_product", TORCH_ANSWERS[case])
    judged_everywhere(house, "matrix_product", file_regression, golden / file_name(case))


@pytest.mark.timeout(60)
def test_a_missing_file_is_red(house, file_regression, golden):
    """No skip and no fallback on the reference where the learner's file is gone."""
    house.kata("row_sums").stub.unlink()
    judged_everywhere(house, "row_sums", file_regression, golden / "missing_file.txt")


@pytest.mark.timeout(60)
def test_a_process_that_dies_behind_the_guards_is_red(house):
    """An exit that no Python guard sees is decided by the parent, and the record corrected."""
    house.write("row_sums", "import ctypes\n\n\ndef row_sums(g):\n    ctypes.CDLL(None)._exit(0)\n")
    verdict = house.json("run", "row_sums")
    assert verdict["verdict"] == "red"
    assert house.command("run", "row_sums").returncode == 1
    assert "exit status 0 in test_two_rows_by_hand" in house.records("row_sums")[0]["message"]
    house.pytest(house.suite("row_sums"))
    assert [row["verdict"] for row in house.records("row_sums")] == ["red", "red", "unfinished"]


@pytest.mark.timeout(60)
def test_a_right_answer_is_green_everywhere(house):
    """Exit status 0, all tests counted, and the record says so."""
    house.solve("row_sums")
    plain, verdict = house.pytest(house.suite("row_sums")), house.json("run", "row_sums")
    assert plain.returncode == 0
    assert "row_sums is green: all 4 tests pass" in plain.stdout
    assert (verdict["verdict"], verdict["passed"], verdict["total"]) == ("green", 4, 4)
    assert [test["outcome"] for test in verdict["tests"]] == ["passed"] * 4
    assert [row["verdict"] for row in house.records("row_sums")] == ["green", "green"]


@pytest.mark.timeout(60)
def test_tests_left_out_make_no_green(house):
    """-k leaves tests out: what ran is said, green it is not, and no whole record is made."""
    house.solve("row_sums")
    run = house.pytest(house.suite("row_sums"), "-k", "hand")
    assert "1 of 4 tests ran and pass" in run.stdout.replace("row_sums: ", "")
    assert [row["verdict"] for row in house.records("row_sums")] == ["partial"]


@pytest.mark.timeout(60)
def test_a_mistake_beside_a_slow_needed_kata_is_named(house):
    """Judging what a kata is built from takes nothing of the time that its own tests took."""
    slow = "    import time; time.sleep(0.6)\n    return"
    house.solve("row_sums")
    house.write("row_sums", house.kata("row_sums").stub.read_text().replace("    return", slow))
    house.write("grand_total", "def grand_total(grid):\n    return float(grid.mean())\n")
    run = house.pytest(house.suite("grand_total"))
    first = run.stdout.split("  call:")[0]
    assert "looks like: the mean of the cells, not their sum" in first, run.stdout


@pytest.mark.timeout(60)
def test_a_kata_built_from_a_red_one_is_blocked(house):
    """The later kata says in one line what to do first; the untouched stub stays a stub."""
    house.solve("grand_total")
    run = house.pytest(house.suite("grand_total"))
    assert "grand_total is blocked by row_sums" in run.stdout
    assert house.json("run", "grand_total")["verdict"] == "blocked"
    house.solve("row_sums")
    assert house.json("run", "grand_total")["verdict"] == "green"
    assert house.pytest("katas/01_toys", "-k", "sums or total").returncode == 0


@pytest.mark.timeout(60)
def test_whole_chapter_in_learning_order(house, file_regression, golden):
    """One failure in full a kata, an untouched stub in one line."""
    house.write("row_sums", NUMPY_ANSWERS["unknown mistake"])
    run = house.pytest("katas")
    file_regression.check(settled(run.stdout), fullpath=golden / "whole_chapter.txt")
