"""What was judged: every version of a kata, the difference between two, the way back."""

from __future__ import annotations

import argparse
import difflib
import time

from dojo.cli import UsageError
from dojo.curriculum import Curriculum, Kata
from dojo.desk import lay_down
from dojo.store import Store, open_store, source_text

WIDTH = 120


def history(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """Every judgement, oldest first; a version is named by the start of its hash."""
    kata = curriculum.find(options.kata[0])
    store = open_store(curriculum.root)
    try:
        if options.bring_back:
            text = _version(store, kata, options.bring_back)
            print(*lay_down(kata, text), sep="\n")
        elif options.diff:
            print("\n".join(_difference(store, kata, options.diff)))
        else:
            _list(store, kata)
    finally:
        store.close()
    return 0


def _list(store: Store, kata: Kata) -> None:
    rows = store.judgements(kata.name)
    if not rows:
        print(f"{kata.name} was never judged: kata run {kata.name}")
    for row in rows:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["started"]))
        count = f"{row['passed'] or 0}/{row['total']}"
        said = row["diagnosis"] or row["message"] or ""
        rule = f"{row['failing']}: " if row["failing"] else ""
        line = f"{row['source'][:8]}  {when}  {row['verdict']:<10} {count:<7} {rule}{said}"
        print(line[:WIDTH].rstrip())


def _version(store: Store, kata: Kata, key: str) -> str:
    """The source of this kata whose hash starts with `key`."""
    found = {row["source"] for row in store.judgements(kata.name)}
    fits = [source for source in found if source.startswith(key)]
    if len(fits) != 1:
        count = "no version" if not fits else f"{len(fits)} versions"
        raise UsageError(
            f"{count} of {kata.name} starts with {key}: kata history {kata.name} lists them"
        )
    return store.source(fits[0]) or ""


def _difference(store: Store, kata: Kata, keys: list[str]) -> list[str]:
    if len(keys) > 2:
        raise UsageError("--diff takes one version, or two")
    old = _version(store, kata, keys[0])
    new = _version(store, kata, keys[1]) if len(keys) > 1 else source_text(kata.stub)
    names = (keys[0], keys[1] if len(keys) > 1 else kata.shown(kata.stub))
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), *names, lineterm="")
    return list(lines) or [f"{names[0]} and {names[1]} are the same"]
