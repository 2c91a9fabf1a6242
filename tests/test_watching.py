"""From a save to a verdict: however an editor saves, one verdict, of the newest content."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from dojo.screen import WatchApp
from dojo.watching import Watching
from tests.conftest import ROOT

pytestmark = pytest.mark.timeout(60)
RIGHT = """def row_sums(grid):
    if grid.ndim != 2:
        raise ValueError("two axes")
    return grid.sum(1)
"""
WRONG = RIGHT.replace("sum(1)", "sum(0)")
SLOW = RIGHT.replace("    if", "    import time; time.sleep(0.4)\n    if", 1)


@pytest.fixture(autouse=True)
def _own_dojo(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def in_place(path, text):
    path.write_text(text)


def rename_over(path, text):
    fresh = path.with_suffix(".swp")
    fresh.write_text(text)
    fresh.replace(path)


def delete_and_create(path, text):
    path.unlink()
    path.write_text(text)


async def truncate_then_write(path, text):
    with path.open("w") as file:
        file.flush()
        await asyncio.sleep(0.1)
        file.write(text)


async def two_saves(path, text):
    path.write_text(WRONG + "# not the last\n")
    await asyncio.sleep(0.05)
    path.write_text(text)


async def save_during_a_run(path, text):
    path.write_text(SLOW)
    await asyncio.sleep(0.5)
    path.write_text(text)


async def while_watching(house, name, steps, saved=()):
    """Let it judge once, take the steps, and give all verdicts after the first."""
    verdicts: list = []
    began: list = []
    watching = Watching(
        house.curriculum, house.kata(name), began.append, lambda *_: None, lambda _: None,
        verdicts.append,
    )  # fmt: skip
    task = asyncio.create_task(watching.run())
    while not verdicts:
        await asyncio.sleep(0.01)
    for step in steps:
        count = len(verdicts)
        result = step()
        if asyncio.iscoroutine(result):
            await result
        for _ in range(600):
            await asyncio.sleep(0.01)
            if len(verdicts) > count:
                break
        await asyncio.sleep(1.2)  # would a second one come?
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return [v.outcome for v in verdicts[1:]]


@pytest.mark.parametrize(
    "save",
    [in_place, rename_over, delete_and_create, truncate_then_write, two_saves, save_during_a_run],
)
def test_each_way_of_saving_gives_one_verdict_of_the_newest_content(house, save):
    """Two saves, first a wrong answer, then a right one: a red and a green, and no more."""
    path = house.kata("row_sums").stub
    steps = [lambda: save(path, WRONG), lambda: save(path, RIGHT)]
    found = asyncio.run(while_watching(house, "row_sums", steps))
    assert [o.verdict for o in found] == ["red", "green"]
    assert len(house.records("row_sums")) >= 3


def test_without_events_looking_does(house, monkeypatch):
    """Where a folder sends no events, as over a network, the save is found all the same."""
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    path = house.kata("row_sums").stub
    found = asyncio.run(while_watching(house, "row_sums", [lambda: path.write_text(RIGHT)]))
    assert [o.verdict for o in found] == ["green"]


def test_an_edit_to_a_needed_kata_counts(house):
    """grand_total is built from row_sums: mending that one judges this one again."""
    house.solve("grand_total")
    house.write("row_sums", WRONG)
    steps = [lambda: house.write("row_sums", RIGHT)]
    found = asyncio.run(while_watching(house, "grand_total", steps))
    assert [o.verdict for o in found] == ["green"]


def test_a_save_without_a_change_judges_nothing(house):
    """Content counts, not the time of a file."""
    house.write("row_sums", RIGHT)
    path = house.kata("row_sums").stub
    found = asyncio.run(while_watching(house, "row_sums", [path.touch]))
    assert found == []


def screen_text(app):
    texts = [str(app.query_one(f"#{name}").content) for name in ("head", "text", "foot")]
    return "\n".join(texts)


async def until(app, pilot, text):
    for _ in range(500):
        await pilot.pause(0.02)
        if text in screen_text(app):
            return screen_text(app)
    raise AssertionError(f"'{text}' is not on the screen:\n{screen_text(app)}")


async def sitting(house):
    app = WatchApp(house.curriculum, house.kata("row_sums"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(app, pilot, "row_sums is not begun")
        await pilot.press("n")
        await until(app, pilot, "not green yet")
        await pilot.press("s")
        await until(app, pilot, "is for after green")
        await pilot.press("h")
        await until(app, pilot, "hint 1 of 3")
        await pilot.press("t")
        await until(app, pilot, "def row_sums")
        house.write("row_sums", WRONG)
        seen = await until(app, pilot, "looks like: the columns are added up")
        assert "red: 1 of 4" in seen
        house.write("row_sums", RIGHT)
        seen = await until(app, pilot, "row_sums is green")
        assert "n goes on to the next kata" in seen
        assert "[+oo] 1 of 3 green" in seen
        await pilot.press("s")
        await until(app, pilot, "return")
        await pilot.press("escape", "0")
        await until(app, pilot, "Press 0 again")
        await pilot.press("0")
        await until(app, pilot, "row_sums is not begun")
        await pilot.press("l", "down", "enter")
        await until(app, pilot, "matrix_product is not begun")
        await pilot.press("p")
        await until(app, pilot, "matrix_product")
        await pilot.press("q")
        await pilot.pause(0.1)
    return app


def test_a_sitting(house):
    """Every key, from the untouched stub to green and back to a fresh one."""
    app = asyncio.run(sitting(house))
    assert app.return_code == 0
    assert "NotImplementedError" in house.kata("row_sums").stub.read_text()
    assert any(row["verdict"] == "green" for row in house.records("row_sums"))


def test_where_there_is_no_terminal_it_says_what_to_do(house):
    """One line, and the status of wrong usage."""
    run = house.command("watch")
    assert run.returncode == 2
    assert run.stderr == (
        "kata: kata watch draws on a terminal, and this is none: kata run row_sums judges once\n"
    )


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX")
@pytest.mark.parametrize("colour", ["NO_COLOR", "COLORTERM"])
def test_it_draws_on_a_terminal_of_80_columns_and_24_rows(house, colour):
    """With and without colour; q ends it with status 0."""
    import pty
    import select

    controller, terminal = pty.openpty()
    os.set_blocking(controller, False)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KATA_")}
    environment |= {"TERM": "xterm-256color", colour: "1", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen(
        [sys.executable, "-m", "dojo", "watch"], cwd=house.root, env=environment,
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    drawn, pressed = b"", False
    while process.poll() is None:
        if select.select([controller], [], [], 0.1)[0]:
            try:
                drawn += os.read(controller, 65536)
            except OSError:
                break
        if b"begun" in drawn and not pressed:
            os.write(controller, b"q")
            pressed = True
    os.close(controller)
    assert process.wait(10) == 0
    assert b"begun" in drawn
    assert (b"\x1b[38;" in drawn or b"\x1b[31" in drawn) == (colour != "NO_COLOR")
