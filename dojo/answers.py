"""Whose answer is under test: decided here and nowhere else.

A suite writes `conv2d = answer("conv2d")` and calls it. What the name stands for is the
learner's file, the reference, or a variant of the bank, whichever the plugin has put in
`current`. An answer that is missing, does not parse or misbehaves becomes one clear `Red`.
"""

from __future__ import annotations

import difflib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, ClassVar

import pytest

from dojo import bank
from dojo.curriculum import Curriculum, Kata
from dojo.explain import Red, call_text, raised_text, signature_of
from dojo.guard import same_grad_mode, untouched_arguments

LEAVING = (SystemExit, pytest.exit.Exception, pytest.skip.Exception, pytest.xfail.Exception)


class FreshLoader(SourceFileLoader):
    """Compiles the source as it is now: two saves within a second share a stale .pyc."""

    compiled: ClassVar[dict[tuple[str, bytes], CodeType]] = {}

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        source = self.get_data(path)
        if (path, source) not in self.compiled:
            self.compiled[path, source] = compile(source, path, "exec", dont_inherit=True)
        return self.compiled[path, source]


@dataclass
class Current:
    """What `answer` proxies look at: the kata, where answers come from; and what they tell: which
    names were asked for, the last call."""

    kata: Kata | None = None
    library: Library | None = None
    override: dict[str, Any] = field(default_factory=dict)
    call: str = ""
    target: Any = None
    asked: set[str] = field(default_factory=set)


current = Current()


class Library(MetaPathFinder):
    """All answers of one side: the learner's files, or the reference's.

    As a finder it also serves `from basic_block import BasicBlock` inside a later kata.
    """

    def __init__(
        self, curriculum: Curriculum, solutions: bool = False, instead: Path | None = None
    ):  # fmt: skip
        self.curriculum = curriculum
        self.solutions = solutions
        self.instead = instead  # a file that is judged as the answer to the kata of its name
        self.names = {kata.name for kata in curriculum.katas}
        self.broken: dict[str, Red] = {}
        self.modules: dict[str, ModuleType] = {}

    def path(self, kata: Kata) -> Path:
        if self.instead is not None and self.instead.stem == kata.name:
            return self.instead
        return kata.solution if self.solutions else kata.stub

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        kata = self.curriculum.get(fullname) if fullname in self.names else None
        if kata is None or not self.path(kata).is_file():
            return None
        loader = FreshLoader(fullname, str(self.path(kata)))
        return importlib.util.spec_from_file_location(fullname, self.path(kata), loader=loader)

    def compile(self, kata: Kata) -> None:
        """Compile the answer beforehand; what is wrong with it is told when it is imported."""
        spec = self.find_spec(kata.name)
        if spec is not None and isinstance(spec.loader, FreshLoader):
            with suppress(SyntaxError, ValueError, OSError):
                spec.loader.get_code(kata.name)

    def module(self, kata: Kata) -> ModuleType:
        """The imported answer to `kata`; `Red` with one line if it cannot be imported."""
        if kata.name in self.broken:
            raise self.broken[kata.name].with_traceback(None)
        try:
            with self.importing():
                return importlib.import_module(kata.name)
        except (Exception, *LEAVING) as error:
            self.broken[kata.name] = _import_failed(kata, self.path(kata), error)
            raise self.broken[kata.name] from error

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Kata names are imported from this side only, and each side keeps its own modules."""
        kept = {name: sys.modules.pop(name) for name in self.names & sys.modules.keys()}
        sys.modules.update(self.modules)
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            sys.meta_path.remove(self)
            found = {name: sys.modules.pop(name) for name in self.names & sys.modules.keys()}
            self.modules.update(found)
            sys.modules.update(kept)

    def bank(self, kata: Kata) -> bank.Bank:
        return bank.read(self.module(kata))


def _import_failed(kata: Kata, path: Path, error: BaseException) -> Red:
    shown = kata.shown(path)
    lines: tuple[str, ...] = ()
    if path == kata.solution and not path.is_file():
        why = "is missing"
    elif not path.is_file():
        why = f"is missing; `kata reset {kata.name}` writes it anew"
    elif isinstance(error, SyntaxError) and error.filename == str(path):
        why, lines = f"line {error.lineno} is no Python: {error.msg}", _marked(error)
    elif isinstance(error, Red):
        why = f"while it is imported: {error.message}"
    elif isinstance(error, LEAVING):
        why = f"leaves the program ({type(error).__name__}) while it is imported: an answer "
        why += "defines, it does not exit"
    else:
        why = f"stops while it is imported: {raised_text(error)}"
    return Red(f"{shown} {why}", lines=lines, cause="import")


def _marked(error: SyntaxError) -> tuple[str, ...]:
    text = (error.text or "").rstrip("\n")
    if not text.strip():
        return ()
    cut = len(text) - len(text.lstrip())
    return (text.strip(), " " * max((error.offset or 1) - 1 - cut, 0) + "^")


class answer:  # noqa: N801 - reads as a verb in a suite: conv2d = answer("conv2d")
    """Stands for one public name of the kata under test; call it as you would call that."""

    def __init__(self, name: str):
        self.__name__ = name

    def resolve(self) -> Any:
        kata, library = current.kata, current.library
        if kata is None or library is None:
            raise RuntimeError("an answer is only to be had inside a test of a kata")
        current.asked.add(self.__name__)
        if self.__name__ in current.override:
            return current.override[self.__name__]
        module = library.module(kata)
        if not hasattr(module, self.__name__):
            raise _no_such_name(kata, library.path(kata), self.__name__, module)
        return getattr(module, self.__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        target, library = self.resolve(), current.library
        assert library is not None  # resolve() saw to it
        current.target = target
        current.call = call_text(self.__name__, target, args, kwargs)
        _accepts(self.__name__, target, args, kwargs)
        try:
            with library.importing(), untouched_arguments(target, args, kwargs), same_grad_mode():
                return target(*args, **kwargs)
        except LEAVING as error:
            raise Red(
                f"{self.__name__} leaves the program ({type(error).__name__}) instead of returning"
            ) from error

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.resolve(), name)


def _no_such_name(kata: Kata, path: Path, name: str, module: ModuleType) -> Red:
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
    near = difflib.get_close_matches(name, own, 1, 0.4)
    meant = f"; did you call it {near[0]}?" if near else ""
    return Red(f"{kata.shown(path)} defines no {name}{meant}", cause="import")


def _accepts(name: str, target: Callable, args: tuple, kwargs: dict) -> None:
    """A call that the answer's own signature does not take is told as that."""
    signature = signature_of(target)
    if signature is None:
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise Red(
            f"{name} cannot be called as the stub says: {error}",
            lines=(f"yours is {name}{signature}",),
        ) from None


@contextmanager
def judging(kata: Kata, library: Library, override: dict[str, Any]) -> Iterator[None]:
    """Within this block the proxies stand for these answers."""
    before = dict(vars(current))
    vars(current).update(
        kata=kata, library=library, override=override, call="", target=None, asked=set()
    )
    try:
        yield
    finally:
        vars(current).update(before)
