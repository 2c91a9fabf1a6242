"""The one ordered list of katas: read, checked, searched."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

FILE = Path("katas") / "curriculum.toml"
CHAPTER_KEYS = {"name", "title", "katas"}
KATA_KEYS = {"name", "title", "concepts", "needs", "extra"}


class CurriculumError(Exception):
    """The curriculum cannot be used; the text is one clear line."""


class UnknownKata(Exception):
    """No kata, or more than one, answers to a name; the text is one clear line."""


@dataclass(frozen=True)
class Kata:
    """One line of the curriculum and where its files are."""

    root: Path
    chapter: str
    name: str
    title: str
    concepts: tuple[int, ...] = ()
    needs: tuple[str, ...] = ()
    extra: bool = False

    @property
    def key(self) -> str:
        return f"{self.chapter}/{self.name}"

    @property
    def stub(self) -> Path:
        return self.root / "katas" / self.chapter / f"{self.name}.py"

    @property
    def suite(self) -> Path:
        return self.root / "katas" / self.chapter / f"test_{self.name}.py"

    @property
    def solution(self) -> Path:
        return self.root / "solutions" / self.chapter / f"{self.name}.py"

    def shown(self, path: Path) -> str:
        """`path` as a learner types it, from the root, with forward slashes."""
        inside = path.is_relative_to(self.root)  # an answer that stands in may be anywhere
        return path.relative_to(self.root).as_posix() if inside else str(path)


@dataclass(frozen=True)
class Curriculum:
    """All katas in learning order."""

    root: Path
    titles: dict[str, str]
    katas: tuple[Kata, ...]
    concepts: dict[int, str] = field(default_factory=dict)

    @cached_property
    def _suites(self) -> dict[Path, Kata]:
        return {kata.suite: kata for kata in self.katas}

    def get(self, name: str) -> Kata | None:
        return next((kata for kata in self.katas if kata.name == name), None)

    def by_suite(self, path: Path) -> Kata | None:
        return self._suites.get(path)

    def in_chapter(self, chapter: str) -> list[Kata]:
        return [kata for kata in self.katas if kata.chapter == chapter]

    def find(self, text: str) -> Kata:
        """The kata with this name, this file, or this unique part of a name."""
        wanted = re.sub(r"\.py$", "", text.replace("\\", "/"))
        wanted = re.sub(r"^(.*/)?(katas|solutions)/", "", wanted)
        wanted = re.sub(r"(^|/)test_", r"\1", wanted)
        exact = [kata for kata in self.katas if wanted in (kata.name, kata.key)]
        found = exact or [kata for kata in self.katas if wanted and wanted in kata.key]
        if len(found) == 1:
            return found[0]
        if found:
            raise UnknownKata(
                f"{text!r} fits {len(found)} katas: {', '.join(kata.name for kata in found[:8])}"
            )
        near = difflib.get_close_matches(wanted, [kata.name for kata in self.katas], 3)
        meant = f"; did you mean {' or '.join(near)}?" if near else "; `kata list` shows them all"
        raise UnknownKata(f"no kata is called {text!r}{meant}")


def find_root(start: Path) -> Path:
    """The nearest folder at or above `start` that holds a curriculum."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    beside = Path(__file__).resolve().parent.parent
    if (beside / FILE).is_file():
        return beside
    raise CurriculumError(
        f"no {FILE.as_posix()} in {start} or above: run this inside the project, "
        "or lay a copy here with `kata init`"
    )


def load(root: Path) -> Curriculum:
    """Read and check `katas/curriculum.toml` below `root`."""
    path, shown = root / FILE, FILE.as_posix()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CurriculumError(f"{shown} is missing") from None
    except RecursionError:
        raise CurriculumError(f"{shown} cannot be read: it is nested too deeply") from None
    except (OSError, ValueError) as error:  # a number of 5000 digits is a plain ValueError
        raise CurriculumError(f"{shown} cannot be read: {error}") from None
    try:
        return _build(root, table)
    except CurriculumError as error:
        raise CurriculumError(f"{shown}: {error}") from None


def _build(root: Path, table: dict) -> Curriculum:
    titles: dict[str, str] = {}
    katas: list[Kata] = []
    _only(table, {"chapter", "concepts"}, "the file")
    for entry in _rows(table.get("chapter"), "[[chapter]]"):
        _only(entry, CHAPTER_KEYS, f"chapter {entry.get('name')!r}")
        chapter = _word(entry.get("name"), "a chapter's name")
        if chapter in titles:
            raise CurriculumError(f"chapter {chapter!r} stands there twice")
        titles[chapter] = str(entry.get("title", chapter))
        for line in _rows(entry.get("katas", []), f"katas of {chapter}"):
            katas.append(_kata(root, chapter, line, {kata.name for kata in katas}))
    if not katas:
        raise CurriculumError("it lists no kata")
    return Curriculum(root, titles, tuple(katas), _concepts(table.get("concepts", {}), katas))


def _concepts(table: object, katas: list[Kata]) -> dict[int, str]:
    """Names by number; where there are names, a kata may use no other number."""
    if not isinstance(table, dict) or not all(
        key.isdecimal() and isinstance(name, str) for key, name in table.items()
    ):
        raise CurriculumError("[concepts] must be lines like 1 = 'Convolution'")
    names = {int(key): name for key, name in table.items()}
    for kata in katas:
        unknown = [number for number in kata.concepts if names and number not in names]
        if unknown:
            raise CurriculumError(f"kata {kata.name!r}: concept {unknown[0]} is not in [concepts]")
    return names


def _kata(root: Path, chapter: str, line: dict, before: set[str]) -> Kata:
    name = _word(line.get("name"), f"a kata's name in {chapter}")
    if not name.isidentifier():
        raise CurriculumError(f"kata {name!r} is no Python name, so no file can be imported by it")
    if name in before:
        raise CurriculumError(f"kata {name!r} stands there twice")
    _only(line, KATA_KEYS, f"kata {name!r}")
    concepts, needs = line.get("concepts", []), line.get("needs", [])
    if not isinstance(concepts, list) or not all(type(number) is int for number in concepts):
        raise CurriculumError(f"kata {name!r}: concepts is {concepts!r}, not a list of numbers")
    if not isinstance(needs, list) or not all(isinstance(need, str) for need in needs):
        raise CurriculumError(f"kata {name!r}: needs is {needs!r}, not a list of names")
    for need in needs:
        if need not in before:
            raise CurriculumError(f"kata {name!r} needs {need!r}, which no earlier line names")
    title = str(line.get("title", name.replace("_", " ")))
    extra = line.get("extra", False) is True
    return Kata(root, chapter, name, title, tuple(concepts), tuple(needs), extra)


def _rows(value: object, what: str) -> list[dict]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise CurriculumError(f"{what} must be a list of tables, like {{ name = '...' }}")
    return value


def _word(value: object, what: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"\w+", value):
        raise CurriculumError(f"{what} is {value!r}: letters, digits and _ only")
    return value


def _only(table: dict, allowed: set[str], what: str) -> None:
    for key in table:
        if key not in allowed:
            raise CurriculumError(
                f"{what} has the unknown key {key!r}; known: {', '.join(sorted(allowed))}"
            )
