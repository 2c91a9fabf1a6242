"""A learner without git: `kata init` lays a copy, `kata update` keeps their work in it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dojo import cli, house
from dojo.updating import ASIDE, LEFT, NEW, OWN, REMOVED, RENEWED, decide
from tests.conftest import CHAPTER, ROOT, House
from tests.test_watching import RIGHT

pytestmark = pytest.mark.timeout(90)
STUB, SUITE = f"katas/{CHAPTER}/row_sums.py", f"katas/{CHAPTER}/test_row_sums.py"
ANSWER, LIST = f"solutions/{CHAPTER}/row_sums.py", "katas/curriculum.toml"
WORK = "def row_sums(grid):\n    return 'not yet'\n"


class Learner:
    """The toy house as an installed package, and a copy of it that a learner works in."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys):
        self.folder, self.monkeypatch, self.capsys = folder, monkeypatch, capsys
        self.package = House(folder / "package").root
        self.root = folder / "copy"
        (self.package / "CHANGELOG.md").write_text("old news\n")
        monkeypatch.setattr(house, "PACKED", self.package)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        monkeypatch.delenv("KATA_NO_RECORD", raising=False)
        self.go(folder)

    def go(self, folder: Path) -> None:
        self.monkeypatch.chdir(folder)

    def kata(self, *arguments: str) -> tuple[int, str, str]:
        """Status, stdout, stderr."""
        status = cli.main([*arguments])
        return status, *self.capsys.readouterr()

    def init(self) -> None:
        status, _, error = self.kata("init", str(self.root))
        assert (status, error) == (0, "")
        self.go(self.root)

    def update(self, *arguments: str) -> str:
        status, printed, error = self.kata("update", *arguments)
        assert (status, error) == (0, "")
        return printed

    def release(self, version: str, **texts: tuple[str, str]) -> None:
        """A newer package: its version, and in files what is replaced by what."""
        changes = {"pyproject.toml": ('version = "0.1.0"', f'version = "{version}"')}
        names = {"stub": ANSWER, "suite": SUITE, "news": "CHANGELOG.md"}
        for name, (old, new) in {**changes, **{names[k]: v for k, v in texts.items()}}.items():
            path = self.package / name
            assert old in path.read_text()
            path.write_text(path.read_text().replace(old, new))

    def drop(self, name: str) -> None:
        """A newer package without this kata."""
        listed = (self.package / LIST).read_text().splitlines(keepends=True)
        (self.package / LIST).write_text("".join(x for x in listed if f'name = "{name}"' not in x))

    def tree(self) -> dict[str, bytes]:
        """Everything in the copy but what is recorded."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and "sqlite3" not in path.name and "__pycache__" not in path.parts
        }

    def text(self, name: str) -> str:
        return (self.root / name).read_text()

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)


@pytest.fixture
def learner(tmp_path, monkeypatch, capsys) -> Learner:
    return Learner(tmp_path, monkeypatch, capsys)


@pytest.fixture
def copy(learner) -> Learner:
    learner.init()
    return learner


NEWER = {
    "stub": ("grid: np.ndarray)", "grid: np.ndarray, axis=1)"),
    "suite": ("def test_", "# sharper\ndef test_"),
    "news": ("old news", "new news"),
}


# -- init


def test_a_copy_has_fresh_stubs_and_says_what_is_next(learner):
    """The author's own desk is not what a learner begins with."""
    fresh = (learner.package / STUB).read_bytes()
    (learner.package / STUB).write_text(WORK)
    (learner.package / f"katas/{CHAPTER}/scratch.py").write_text("mine")
    assert learner.kata("init", "a copy")[1].splitlines()[-1] == "next: cd 'a copy', then: kata"
    status, printed, _ = learner.kata("init", "copy")
    assert status == 0
    assert printed.splitlines()[-1] == "next: cd copy, then: kata"
    tree = learner.tree()
    assert tree[STUB] == fresh
    assert f"katas/{CHAPTER}/scratch.py" not in tree
    assert {SUITE, ANSWER, LIST, "conftest.py", "pyproject.toml", "CHANGELOG.md"} <= set(tree)
    manifest = json.loads(tree.pop(".kata/house.json"))
    assert manifest["version"] == "0.1.0"
    assert manifest["files"] == {n: hashlib.sha256(d).hexdigest() for n, d in tree.items()}


def test_a_copy_is_no_project_but_has_its_pytest_settings(copy):
    """Nobody installs a copy; plain pytest in it works as in a clone."""
    settings = copy.text("pyproject.toml")
    assert settings.startswith("[tool.pytest.ini_options]")
    assert "timeout_func_only = true" in settings
    assert "ruff" not in settings


def test_without_a_name_it_is_called_after_the_project(learner):
    """`kata init` alone is enough."""
    assert learner.kata("init")[0] == 0
    assert (learner.folder / "cnn-katas" / STUB).is_file()


def test_an_empty_folder_is_filled(learner):
    """Also the current one, which stays the same folder."""
    learner.root.mkdir()
    learner.go(learner.root)
    before = learner.root.stat().st_ino
    _, printed, _ = learner.kata("init", ".")
    assert printed.splitlines()[-1] == "next: kata"
    assert learner.root.stat().st_ino == before
    assert STUB in learner.tree()
    assert not list(learner.root.glob(".kata-init*"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("full", "full is not empty: name a new folder"),
        ("full/file", "full/file is a file: name a new folder"),
        ("nowhere/copy", "there is no folder nowhere to put copy into"),
    ],
)
def test_a_place_that_is_taken_is_refused(learner, name, said):
    """One line, status 2, nothing written."""
    (learner.folder / "full").mkdir()
    (learner.folder / "full" / "file").write_text("mine")
    status, printed, error = learner.kata("init", name)
    assert (status, printed, len(error.splitlines())) == (2, "", 1)
    assert said in error
    assert sorted(os.listdir(learner.folder)) == ["full", "package"]
    assert os.listdir(learner.folder / "full") == ["file"]


@pytest.mark.parametrize("there", [True, False])
def test_a_full_disk_leaves_no_half_copy(tmp_path, there):
    """A real one: no file may be larger than 20 kB, and some are."""
    resource = pytest.importorskip("resource", reason="only POSIX systems have such limits")
    if there:
        (tmp_path / "copy").mkdir()
    run = subprocess.run(
        [sys.executable, "-m", "dojo", "init", "copy"], cwd=tmp_path, text=True,
        capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )  # fmt: skip
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (1, "", 1)
    assert run.stderr.startswith("kata: copy: ")
    assert "nothing was left there" in run.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["copy"] * there


def test_no_permission_to_write_is_one_line(learner, monkeypatch):
    """Named by the folder that was asked for."""

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "a name nobody asked for")

    monkeypatch.setattr(Path, "mkdir", refuse)
    status, printed, error = learner.kata("init", "copy")
    assert (status, printed) == (1, "")
    assert error == "kata: copy: Permission denied; nothing was left there\n"
    assert os.listdir(learner.folder) == ["package"]


def test_a_solution_that_gives_no_stub_is_one_line(learner):
    """An author in the middle of something."""
    (learner.package / ANSWER).write_text("def row_sums(")
    status, _, error = learner.kata("init", "copy")
    assert (status, len(error.splitlines())) == (2, 1)
    assert not learner.root.exists()


def test_elsewhere_the_command_says_how_to_get_a_copy(learner, monkeypatch):
    """An installed wheel has no house beside it."""
    from dojo import curriculum

    monkeypatch.setattr(curriculum, "__file__", str(learner.folder / "dojo" / "curriculum.py"))
    for command in ((), ("list",), ("update",)):
        status, _, error = learner.kata(*command)
        assert (status, len(error.splitlines())) == (2, 1)
        assert "`kata init`" in error


# -- update


def test_what_is_new_comes_and_nothing_else_changes(copy):
    """The copy is then what `kata init` of the newer package lays."""
    copy.release("0.2.0", **NEWER)
    copy.drop("grand_total")
    copy.write("notes.txt", "mine")
    copy.write(f"katas/{CHAPTER}/try.py", "mine")
    (copy.root / "katas" / CHAPTER / "deep").mkdir()
    planned = copy.update("--dry-run")
    assert "would update from 0.1.0 to 0.2.0" in planned
    assert "old news" in copy.text("CHANGELOG.md")
    printed = copy.update()
    assert printed.splitlines()[-1].startswith("updated from 0.1.0 to 0.2.0")
    assert printed.splitlines()[:2] == planned.splitlines()[:2]
    assert (copy.root / "katas" / CHAPTER / "deep").is_dir()
    tree = copy.tree()
    assert tree.pop("notes.txt") == tree.pop(f"katas/{CHAPTER}/try.py") == b"mine"
    shutil.rmtree(copy.root)
    copy.go(copy.folder)
    copy.init()
    assert copy.tree() == tree
    assert "axis=1" in copy.text(STUB)


def test_the_second_time_there_is_nothing_to_do(copy):
    """Neither in a new copy nor after an update; from anywhere inside."""
    copy.go(copy.root / "katas" / CHAPTER)
    assert copy.update() == "already up to date: version 0.1.0\n"
    copy.release("0.2.0", **NEWER)
    copy.write(STUB, WORK)
    copy.update()
    before = copy.tree()
    assert copy.update() == "already up to date: version 0.2.0\n"
    assert copy.tree() == before


def test_work_in_a_stub_stays(copy):
    """A line says so where there is a newer stub; the reset lays it and keeps the work."""
    copy.release("0.2.0", **NEWER)
    copy.write(STUB, WORK)
    printed = copy.update()
    assert copy.text(STUB) == WORK
    assert f"{CHAPTER}/row_sums.py has your work and a newer stub: `kata reset row_sums`" in printed
    _, printed, _ = copy.kata("reset", "row_sums")
    assert "your version is kept" in printed
    assert "axis=1" in copy.text(STUB)
    assert copy.update() == "already up to date: version 0.2.0\n"


def test_work_in_a_stub_that_did_not_change_is_not_spoken_of(copy):
    """Which is what nearly every update is to nearly every kata."""
    copy.release("0.2.0", news=NEWER["news"])
    copy.write(STUB, WORK)
    assert "row_sums" not in copy.update()
    assert copy.text(STUB) == WORK


def test_other_files_with_changes_are_kept_aside(copy):
    """Under a name that is free."""
    copy.release("0.2.0", **NEWER)
    copy.write(SUITE, "mine")
    copy.write("CHANGELOG.md", "mine too")
    copy.write("CHANGELOG.md.yours", "from before")
    printed = copy.update()
    assert "CHANGELOG.md has changes of yours: they are kept as CHANGELOG.md.yours2" in printed
    assert f"{SUITE} has changes of yours: they are kept as test_row_sums.py.yours" in printed
    assert copy.text(f"{SUITE}.yours") == "mine"
    assert copy.text("CHANGELOG.md.yours") == "from before"
    assert copy.text("CHANGELOG.md.yours2") == "mine too"
    assert "# sharper" in copy.text(SUITE)
    assert copy.text("CHANGELOG.md") == "new news\n"


def test_changes_stay_where_the_house_has_nothing_new(copy):
    """There is nothing to put in their place; a file that is gone comes back."""
    copy.release("0.2.0", suite=NEWER["suite"])
    copy.write("CHANGELOG.md", "mine")
    (copy.root / ANSWER).unlink()
    copy.update()
    assert copy.text("CHANGELOG.md") == "mine"
    assert (copy.root / ANSWER).is_file()
    assert not (copy.root / "CHANGELOG.md.yours").exists()


def test_a_kata_that_is_no_more_goes_but_not_the_work(copy):
    """Its suite and solution go, and the stub if it is one."""
    copy.drop("matrix_product")
    copy.drop("grand_total")
    copy.write(f"katas/{CHAPTER}/grand_total.py", WORK)
    copy.write(f"katas/{CHAPTER}/test_grand_total.py", "mine")
    printed = copy.update()
    left = {name.rpartition("/")[2] for name in copy.tree()}
    assert f"katas/{CHAPTER}/grand_total.py has your work and stays" in printed
    assert {"grand_total.py", "test_grand_total.py.yours"} <= left
    assert not {"matrix_product.py", "test_matrix_product.py", "test_grand_total.py"} & left
    assert f"solutions/{CHAPTER}/grand_total.py" not in copy.tree()
    assert "already up to date" in copy.update()


def test_a_file_of_the_learner_where_a_new_kata_comes(copy):
    """They chose the name first: a stub's place stays theirs, any other file goes aside."""
    shutil.rmtree(copy.root)
    copy.go(copy.folder)
    listed = (copy.package / LIST).read_text()
    copy.drop("grand_total")
    copy.init()
    copy.write(f"katas/{CHAPTER}/grand_total.py", "mine")
    copy.write(f"katas/{CHAPTER}/test_grand_total.py", "mine too")
    (copy.root / "solutions" / CHAPTER / "grand_total.py").mkdir()
    (copy.package / LIST).write_text(listed)
    copy.update()
    assert copy.text(f"katas/{CHAPTER}/grand_total.py") == "mine"
    assert copy.text(f"katas/{CHAPTER}/test_grand_total.py.yours") == "mine too"
    assert (copy.root / "solutions" / CHAPTER / "grand_total.py.yours").is_dir()


def test_an_update_that_is_interrupted_ends_the_same(copy, monkeypatch):
    """Wherever it stops, the next one comes to where an undisturbed one ends."""
    copy.release("0.2.0", **NEWER)
    copy.drop("grand_total")
    copy.write(SUITE, "mine")
    copy.write(f"katas/{CHAPTER}/matrix_product.py", WORK)
    begin, ends, replace = copy.folder / "begin", [], os.replace
    shutil.copytree(copy.root, begin)
    for stop in range(8):
        copy.go(copy.folder)
        shutil.rmtree(copy.root)
        shutil.copytree(begin, copy.root)
        copy.go(copy.root)
        calls: list[Path] = []

        def some(old, new, calls=calls, stop=stop):
            calls.append(new)
            if len(calls) > stop:
                raise KeyboardInterrupt
            replace(old, new)

        monkeypatch.setattr(os, "replace", some)
        status, _, _ = copy.kata("update")
        monkeypatch.setattr(os, "replace", replace)
        assert status == (130 if len(calls) > stop else 0)
        copy.update()
        ends.append(copy.tree())
    assert ends[0][f"{SUITE}.yours"] == b"mine"
    assert status == 0, "the last round was to be an undisturbed one"
    assert all(end == ends[0] for end in ends)


def test_a_disk_that_is_full_halfway_says_what_to_do(copy, monkeypatch):
    """One line; the manifest still says what the copy was."""
    copy.release("0.2.0", **NEWER)

    def full(*_):
        raise OSError(28, "No space left on device", "some/name")

    monkeypatch.setattr(os, "replace", full)
    status, _, error = copy.kata("update")
    assert (status, len(error.splitlines())) == (1, 1)
    said = f"{copy.root / 'CHANGELOG.md'}: No space left on device; mend that and run"
    assert error == f"kata: {said} `kata update` again\n"
    assert json.loads(copy.text(".kata/house.json"))["version"] == "0.1.0"
    assert not list((copy.root / ".kata").glob("update*"))


def test_progress_is_kept_and_sharper_suites_show(copy):
    """What was green under another suite is 'changed' until it is judged again."""
    copy.write(STUB, RIGHT)
    assert copy.kata("run", "row_sums")[0] == 0
    database = copy.root / ".kata" / "progress.sqlite3"
    before = database.read_bytes()
    copy.release("0.2.0", suite=NEWER["suite"])
    assert "version 0.2.0 is installed, this copy is of 0.1.0: kata update" in copy.kata()[1]
    before = database.read_bytes()
    assert "show as ? in `kata list`" in copy.update()
    assert database.read_bytes() == before
    state = json.loads(copy.kata("progress", "--json")[1])["katas"][0]
    assert (state["verdict"], state["judgements"]) == ("changed", 1)
    assert copy.kata("run", "row_sums")[0] == 0
    assert "is installed" not in copy.kata()[1]


def test_a_clone_is_not_updated(copy):
    """It has git for that."""
    for place in (copy.package, ROOT, copy.package / "katas" / CHAPTER):
        copy.go(place)
        status, printed, error = copy.kata("update")
        assert (status, printed) == (2, "")
        assert error == "kata: this is no copy made by `kata init`: use `git pull`\n"


def test_an_older_package_is_refused(copy):
    """By the order of versions, not of letters."""
    copy.release("0.10.0", **NEWER)
    copy.update()
    before = copy.tree()
    settings = (copy.package / "pyproject.toml").read_text()
    (copy.package / "pyproject.toml").write_text(settings.replace("0.10.0", "0.9.0"))
    status, _, error = copy.kata("update")
    assert status == 2
    assert error == (
        "kata: this copy is of version 0.10.0, the installed package is 0.9.0: "
        "update the package first\n"
    )
    assert copy.tree() == before


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        '{"version": "0.1.0"}',
        '{"version": 3, "files": {}}',
        '{"version": "what?", "files": {}}',
        '{"version": "0.1.0", "files": {"conftest.py": 5}}',
        '{"version": "0.1.0", "files": {"../package/conftest.py": "x"}}',
        '{"version": "0.1.0", "files": {"/etc/hostname": "x"}}',
        "\udcff",
    ],
)
def test_a_damaged_manifest_loses_nothing(copy, damage):
    """Whatever differs from the house counts as work; then the manifest is whole again."""
    copy.release("0.2.0", **NEWER)
    copy.write(STUB, WORK)
    (copy.root / ".kata/house.json").write_bytes(damage.encode("utf-8", "surrogateescape"))
    old = copy.text(SUITE)
    printed = copy.update()
    assert printed.splitlines()[0].startswith(".kata/house.json is damaged: ")
    assert copy.text(STUB) == WORK
    assert "row_sums.py has your work and a newer stub" in printed
    assert f"{SUITE} has changes of yours" in printed
    assert copy.text(f"{SUITE}.yours") == old
    assert copy.update() == "already up to date: version 0.2.0\n"


def test_other_line_ends_are_no_work(copy):
    """Editors and archives of another system turn them."""
    copy.release("0.2.0", **NEWER)
    (copy.root / STUB).write_bytes((copy.root / STUB).read_bytes().replace(b"\n", b"\r\n"))
    copy.update()
    assert "axis=1" in copy.text(STUB)


@pytest.mark.parametrize(
    ("name", "here", "was", "new", "what"),
    [
        (STUB, None, None, b"n", NEW),
        (STUB, None, b"o", b"n", NEW),
        (STUB, b"o", b"o", b"n", RENEWED),
        (STUB, b"mine", b"o", b"n", OWN),
        (STUB, b"mine", None, b"n", OWN),
        (STUB, b"mine", b"n", b"n", None),
        (STUB, b"n", b"o", b"n", None),
        (STUB, b"o", b"o", None, REMOVED),
        (STUB, b"mine", b"o", None, LEFT),
        (STUB, None, b"o", None, None),
        (SUITE, b"o", b"o", b"n", RENEWED),
        (SUITE, b"mine", b"o", b"n", ASIDE),
        (SUITE, b"mine", None, b"n", ASIDE),
        (SUITE, b"mine", b"n", b"n", None),
        (SUITE, b"mine", b"o", None, ASIDE),
        (SUITE, b"o", b"o", None, REMOVED),
    ],
)
def test_what_happens_to_a_file(name, here, was, new, what):
    """The whole table."""
    laid = None if was is None else hashlib.sha256(was).hexdigest()
    assert decide(name, here, laid, new) == what
