"""What the processes of one proof keep for each other.

Each test runs once on each answer, and only on answers to a name that it asks for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path

from dojo.results import Result

VARIABLE = "KATA_REPLAYS"  # the folder; unset, nothing is kept


def kept(test: str, variant: str, make: Callable[[], Result]) -> Result:
    """The result of `variant` in `test`, from the folder or by `make`.

    All processes that share a folder judge the same kata with the same seed.
    """
    result = found(test, variant)
    if result is None:
        result = make()
        keep(test, variant, result)
    return result


def keep(test: str, variant: str, result: Result) -> None:
    """Put it into the folder, if there is one."""
    if path := _path(test, variant):
        with contextlib.suppress(Exception):  # an observation that cannot be pickled is not kept
            _put(path, pickle.dumps(result))


def found(test: str, variant: str) -> Result | None:
    """What the folder has of it."""
    path = _path(test, variant)
    if path is not None:
        with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):
            return pickle.loads(path.read_bytes())
    return None


def keep_asked(asked: dict[str, list[str]]) -> None:
    """Which names each test asked for, of the reference."""
    if folder := os.environ.get(VARIABLE):
        _put(Path(folder, "asked.json"), json.dumps(asked).encode())


def concerned(target: str, tests: list[str]) -> list[str]:
    """Those tests in which another `target` can show: in the rest it is the reference again."""
    folder = os.environ.get(VARIABLE)
    path = Path(folder, "asked.json") if folder else None
    if path is None or not path.is_file():
        return tests
    asked = json.loads(path.read_text(encoding="utf-8"))
    return [test for test in tests if target in asked.get(test, [target])]


def _put(path: Path, data: bytes) -> None:
    """Whole or not at all: others read beside this."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    os.replace(file.name, path)


def _path(test: str, variant: str) -> Path | None:
    folder = os.environ.get(VARIABLE)
    name = hashlib.sha256(f"{test}\n{variant}".encode()).hexdigest()
    return Path(folder, name) if folder else None
