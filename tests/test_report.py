"""`kata report`: one page of its own, written in one step or shown on this machine only."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from dojo.gallery import Gallery
from dojo.overview import build
from dojo.page import FILE, replacing
from dojo.store import open_store
from tests.conftest import ROOT, House
from tests.test_watching import RIGHT, WRONG

pytestmark = pytest.mark.timeout(120)
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>&amp;"
RAISES = f"def row_sums(grid):\n    raise FileNotFoundError({MARKUP!r} + '.png')\n"


class Page(HTMLParser):
    """What the tests ask of a page: its elements, and the text outside of styles."""

    def __init__(self, text: str):
        super().__init__()
        self.source = text
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def map(self) -> list[tuple[str, str, bool]]:
        return [
            (each["data-kata"], each["data-verdict"], each["data-regressed"] == "true")
            for each in self.all("details")
            if "data-kata" in each
        ]


def report(house: House, *options: str) -> Page:
    run = house.command("report", *options)
    assert run.returncode == 0, run.stdout + run.stderr
    return Page((house.root / FILE).read_text())


def judge(house: House, text: str, name: str = "row_sums") -> None:
    house.write(name, text)
    house.command("run", name)


def told_map(house: House) -> list[tuple[str, str, bool]]:
    katas = house.json("progress")["katas"]
    return [(each["kata"], each["verdict"], each["regressed"]) for each in katas]


@contextlib.contextmanager
def serving(house: House, *options: str) -> Iterator[str]:
    """The address of a page that is shown live; the command must end well on Ctrl-C."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KATA_", "PYTEST_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "dojo", "report", "--serve", "--port", "0", *options],
        cwd=house.root, env=kept | {"PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), line + process.communicate(timeout=9)[1]
        yield line.split()[0]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert (process.returncode, said) == (0, "")
    finally:
        process.kill()
        process.wait()


def get(address: str, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def until(holds, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_before_anything_is_judged_it_invites_to_begin(house):
    """Every kata is there and new."""
    page = report(house)
    assert "Nothing is judged yet." in page.text
    assert [verdict for _, verdict, _ in page.map()] == ["new"] * 3


def test_the_map_is_what_progress_says(house):
    """Green, changed, regressed and blocked, one after the other."""
    judge(house, RIGHT)
    assert report(house).map() == told_map(house)
    house.write("row_sums", WRONG)
    assert report(house).map() == told_map(house)
    assert ("row_sums", "changed", False) in told_map(house)
    house.command("run", "row_sums")
    judge(house, "grand_total = None\n", "grand_total")
    page = report(house)
    assert page.map() == told_map(house)
    assert ("row_sums", "red", True) in page.map()
    assert ("grand_total", "blocked", False) in page.map()
    assert "the columns are added up instead of the rows" in page.text


def test_what_happened_adds_up(house):
    """Days, the latest judgements, hints, time to green, the last failure, what is due."""
    now, day = time.time(), 86400.0
    house.solve("row_sums")
    kata, store = house.kata("row_sums"), open_store(house.root)
    told = [("red", 20.0), ("unfinished", 19.9), ("partial", 19.8), ("green", 19.5)]
    for verdict, ago in told:
        row = store.begin(kata, 4)
        store.db.execute(
            "UPDATE judgements SET verdict = ?, started = ?, failing = ?, passed = 1 WHERE id = ?",
            (verdict, now - ago * day, "test_any_grid" if verdict == "red" else "", row),
        )
    store.keep_version(house.kata("grand_total"))  # a version that is kept is no judgement
    store.take_hint("row_sums", 3)
    overview = build(house.curriculum, store, Gallery(house.curriculum), now)
    store.close()
    assert (overview.green, overview.judgements, overview.hints) == (1, 3, 1)
    assert len(overview.days) == 21
    assert sum(each.green for each in overview.days) == 1
    assert sum(each.red for each in overview.days) == 2
    assert [each["kind"] for each in overview.latest] == ["green", "red", "red"]
    assert overview.time_to_green == pytest.approx(day / 2, abs=1)
    entry = overview.entries[0]
    assert (entry.strip, entry.state.sign) == ("xx+", "+")
    assert entry.failed["message"] == "the run did not come to its end"
    assert overview.latest[2]["said"] == "any grid"
    assert entry.is_due == (entry in overview.due)
    assert entry.told_due.startswith(("due", "in "))
    assert [concept.green for concept in overview.concepts] == []


def test_without_fsrs_it_says_what_is_not_known(house, tmp_path):
    """All the rest is there."""
    judge(house, RIGHT)
    (tmp_path / "fsrs.py").write_text("raise ImportError\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    run = house.command("report", "--no-pictures", PYTHONPATH=path)
    assert run.returncode == 0, run.stderr
    page = Page((house.root / FILE).read_text())
    assert "What is due for review is not known: kata review needs fsrs" in page.text
    assert ("row_sums", "green", False) in page.map()


def test_the_picture_is_the_learners_and_drawn_once(house):
    """Of green katas only; an unchanged one is not drawn again, a changed one anew."""
    judge(house, RIGHT)
    pictures = [each for each in report(house).all("img") if "row_sums" in each["alt"]]
    assert len(pictures) == 1
    assert pictures[0]["src"].startswith("data:image/webp;base64,UklGR")
    (kept,) = (house.root / ".kata" / "pictures").iterdir()
    kept.write_bytes(b"RIFF, not drawn again")
    assert "base64,UklGRiw" in report(house).all("img")[0]["src"]
    judge(house, RIGHT + "# another way\n")
    assert report(house, "--no-pictures").all("img") == []
    assert len(report(house).all("img")) == 1
    assert [kept] != list((house.root / ".kata" / "pictures").iterdir())
    judge(house, WRONG)
    assert report(house).all("img") == []


@pytest.mark.parametrize(
    ("line", "limit", "said"),
    [
        ("1 / 0", 60, "ZeroDivisionError"),
        ("__import__('time').sleep(60)", 2, "took longer than 2 s"),
        ("__import__('os').kill(__import__('os').getpid(), 9)", 60, "killed by signal 9"),
    ],
)
def test_a_picture_that_cannot_be_had_is_left_out_and_said(house, line, limit, said):
    """Once; the page says it too, and nothing of it goes on running or lies around."""
    only_when_drawn = f"    if __import__('sys').argv[-2:-1] == ['--to']: {line}\n"
    judge(house, RIGHT.replace("    if", only_when_drawn + "    if", 1))
    gallery, kata = Gallery(house.curriculum, limit), house.kata("row_sums")
    assert said in gallery.draw(kata)
    assert said in gallery.kept(kata)[1]
    page = report(house)
    assert said in page.text
    assert page.all("img") == []
    assert len(list(gallery.folder.iterdir())) == 1


def test_what_a_learner_wrote_stays_text(house):
    """A message, a diagnosis, a title, a file's name: none becomes an element."""
    lines = house.root / "katas" / "curriculum.toml"
    lines.write_text(lines.read_text().replace("Add up each row", MARKUP))
    judge(house, RAISES)
    page = report(house)
    assert page.text.count(MARKUP) >= 2
    assert page.all("script") == page.all("img") == []
    assert not [each for _, each in page.elements if any(key.startswith("on") for key in each)]


def test_the_page_needs_nothing_else(house):
    """No script, no address but its own, and a policy that would stop one."""
    judge(house, RIGHT)
    page = report(house)
    addresses = [
        value for _, each in page.elements for key, value in each.items()
        if key in ("src", "href", "srcset", "action", "data", "poster")
    ]  # fmt: skip
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert not re.search(r"https?://|@import|url\((?!#)", page.source)
    policy = next(each["content"] for each in page.all("meta") if "http-equiv" in each)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "script-src" not in policy
    assert page.all("script") == []


def test_it_is_written_in_one_step(house, tmp_path):
    """Until the new one is whole the old one stays, and nothing is left beside it."""
    path = tmp_path / "out" / "report.html"
    path.parent.mkdir()
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as fresh:
            fresh.write_text("ha")
            assert path.read_text() == "old"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert house.command("report", "--to", str(path)).returncode == 0
    assert path.read_text().startswith("<!doctype html>")
    assert list(path.parent.iterdir()) == [path]
    assert not (house.root / FILE).exists()


def spoil(house: House) -> None:
    judge(house, RIGHT)
    for path in (house.root / ".kata").glob("progress.sqlite3*"):
        path.write_bytes(b"not a database at all" * 100)


@pytest.mark.parametrize(
    ("prepare", "arguments", "status", "said"),
    [
        (None, ("--to", "nowhere/report.html"), 1, "nowhere/report.html: No such file"),
        (None, ("--to", "conftest.py/report.html"), 1, "report.html: Not a directory"),
        (None, ("--to", "katas"), 2, "katas is a folder: name a file"),
        (None, ("--port", "1"), 2, "--port is for --serve"),
        (None, ("--serve", "--port", "70000"), 2, "from 0 to 65535"),
        (None, ("--serve", "--to", "x.html"), 2, "--serve writes no file"),
        (spoil, (), 1, "is damaged"),
        (lambda h: (h.root / ".kata").write_text(""), (), 1, "progress is not recorded"),
    ],
)
def test_trouble_is_one_line(house, prepare, arguments, status, said):
    """On stderr, with the status of trouble or of wrong usage; no page is written."""
    if prepare:
        prepare(house)
    run = house.command("report", *arguments)
    assert (run.returncode, len(run.stderr.splitlines())) == (status, 1), run.stderr
    assert run.stderr.startswith("kata: ")
    assert said in run.stderr
    assert not (house.root / FILE).exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write it")
def test_a_folder_that_may_not_be_written(house, tmp_path):
    """One line with the file's name."""
    tmp_path.chmod(0o500)
    run = house.command("report", "--to", str(tmp_path / "report.html"))
    tmp_path.chmod(0o700)
    assert (run.returncode, len(run.stderr.splitlines())) == (1, 1)
    assert "report.html: Permission denied" in run.stderr


def test_without_jinja2_it_says_what_to_install(house, tmp_path):
    """As `kata show` does without matplotlib."""
    (tmp_path / "jinja2.py").write_text("raise ModuleNotFoundError('no', name='jinja2')\n")
    run = house.command("report", PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    assert (run.returncode, run.stderr) == (
        2,
        "kata: kata report needs Jinja2: pip install jinja2\n",
    )


def test_nothing_is_reported_where_nothing_is_recorded(house):
    """KATA_NO_RECORD=1 is said, not taken for an empty history."""
    run = house.command("report", KATA_NO_RECORD="1")
    assert run.returncode == 2
    assert "KATA_NO_RECORD is set" in run.stderr


def test_it_is_served_on_this_machine_only(house):
    """The page, its version, its script; nothing else, and under no other name."""
    judge(house, RIGHT)
    with serving(house, "--no-pictures") as address:
        status, text = get(address)
        assert status == 200
        assert Page(text).map() == told_map(house)
        assert f'data-version="{get(address + "version")[1]}"' in text
        assert get(address + "live.js")[0] == 200
        for path in ("nothing", "../pyproject.toml", ".kata/progress.sqlite3", "live.js/"):
            assert get(address + path)[0] == 404
        port = address.rstrip("/").rsplit(":", 1)[1]
        assert get(address, Host=f"localhost:{port}")[0] == 200
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", ""):
            assert get(address, Host=host)[0] == 403
        with pytest.raises(urllib.error.URLError):
            get(f"http://127.0.0.2:{port}/")


def test_a_new_judgement_is_a_new_version_and_draws_its_picture(house):
    """While nothing happens the version stays; a judgement under way changes nothing yet."""
    with serving(house) as address:
        before = get(address + "version")[1]
        assert [get(address + "version")[1] for _ in range(5)] == [before] * 5
        slow = RIGHT.replace("    if", "    __import__('time').sleep(0.3)\n    if", 1)
        run = threading.Thread(target=judge, args=(house, slow))
        run.start()
        seen = set()
        while run.is_alive():
            seen |= {kata[1] for kata in Page(get(address)[1]).map()}
            time.sleep(0.05)
        assert seen <= {"new", "changed", "green"}
        until(lambda: get(address + "version")[1] != before)
        until(lambda: ("row_sums", "green", False) in Page(get(address)[1]).map())
        until(lambda: len(Page(get(address)[1]).all("img")) == 1)


def test_a_port_in_use_is_one_line(house):
    """And status 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        run = house.command("report", "--serve", "--port", port)
    assert (run.returncode, len(run.stderr.splitlines())) == (1, 1)
    assert f"port {port} cannot be used" in run.stderr
