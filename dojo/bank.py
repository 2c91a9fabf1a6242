"""The bank of a kata: its reference answer, other right answers, known wrong ones, hints.

All of it stands in one solution file. `@right(conv2d)` and `@wrong(conv2d)` mark a
function or class that takes the place of `conv2d`; the first line of a wrong one's
docstring is the sentence that a learner who made this mistake gets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

MARK = "__kata_variant__"


@dataclass(frozen=True)
class Variant:
    """Another answer: `target` is the public name it stands in for."""

    name: str
    kind: str
    target: str
    sentence: str
    obj: Any


@dataclass(frozen=True)
class Bank:
    """What one solution file holds."""

    module: ModuleType
    hints: tuple[str, ...]
    variants: tuple[Variant, ...]

    def of_kind(self, kind: str) -> list[Variant]:
        return [variant for variant in self.variants if variant.kind == kind]

    def of(self, names: Collection[str]) -> Bank:
        """With these variants only; with all of them where no names are given."""
        chosen = tuple(v for v in self.variants if v.name in names)
        return replace(self, variants=chosen) if names else self

    def named(self, name: str) -> Variant:
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise LookupError(f"no variant is called '{name}' in {self.module.__file__}")


def _marker(kind: str, target: Any) -> Callable[[Any], Any]:
    def mark(obj: Any) -> Any:
        setattr(obj, MARK, (kind, target.__name__))
        return obj

    return mark


def right(target: Any) -> Callable[[Any], Any]:
    """Mark another correct way to write `target`; the suite must accept it."""
    return _marker("right", target)


def wrong(target: Any) -> Callable[[Any], Any]:
    """Mark a known mistake in `target`; the suite must reject it and print its sentence."""
    return _marker("wrong", target)


def first_line(obj: Any) -> str:
    """The first line of an object's docstring, or ''."""
    return (getattr(obj, "__doc__", None) or "").strip().partition("\n")[0].strip()


def read(module: ModuleType) -> Bank:
    """The bank that an imported solution module holds, in the order it is written."""
    variants = []
    for name, obj in vars(module).items():
        mark = getattr(obj, "__dict__", {}).get(MARK)
        if mark and getattr(obj, "__module__", None) == module.__name__:
            variants.append(Variant(name, mark[0], mark[1], first_line(obj), obj))
    return Bank(module, tuple(getattr(module, "HINTS", ())), tuple(variants))
