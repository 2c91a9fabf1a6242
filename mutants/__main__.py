"""Judge every small change of the reference answers: `python -m mutants [KATA...]`.

Prints the share killed for each kata. What a change measured stands in `measured.json`, with
the answer and suite it was measured on, so that a second run judges only what is new. A change
that is another way to write the same stands in `equivalent.toml`, with the reason.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.progress import Progress, TimeElapsedColumn

from dojo.curriculum import Curriculum, Kata, UnknownKata, load
from dojo.results import GREEN
from dojo.stub import answer_text
from dojo.worker import Worker, judgements, needed_imports
from mutants.operators import Mutant, mutants
from mutants.table import proof_table, with_table

HERE = Path(__file__).resolve().parent
MEASURED, EQUIVALENT = HERE / "measured.json", HERE / "equivalent.toml"
# the first failure decides, and nobody asks for its name
OPTIONS = ("--solutions", "--kata-seed", "1", "-x", "--no-diagnosis")
OVERALL, EACH = 97.0, 90.0  # percent that must be killed


def fingerprint(kata: Kata, changes: list[Mutant]) -> str:
    """Of what the figures depend on: the changed answers and the suite."""
    parts = [kata.suite.read_text("utf-8"), *(mutant.text for mutant in changes)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def survivors(kata: Kata, waiting: list[Mutant], worker: Worker) -> Iterator[str | None]:
    """For each mutant, as it is decided: its name when it survives, None when it is killed."""
    with tempfile.TemporaryDirectory(prefix="kata-mutants-") as folder:
        jobs = []
        for number, mutant in enumerate(waiting):
            place = Path(folder, str(number), f"{kata.name}.py")
            place.parent.mkdir()
            place.write_text(mutant.text, encoding="utf-8")
            jobs.append((*OPTIONS, "--answer", str(place)))
        for mutant, judgement in zip(waiting, judgements(kata, jobs, worker), strict=True):
            yield mutant.name if judgement.outcome.verdict == GREEN else None


def measure(curriculum: Curriculum, katas: list[Kata], again: bool) -> dict[str, Any]:
    """What `measured.json` should say, with the katas in question judged where needed."""
    known: dict[str, Any] = json.loads(MEASURED.read_text("utf-8")) if MEASURED.is_file() else {}
    changes = {kata: list(mutants(answer_text(kata))) for kata in katas}
    for kata in katas:
        if not again and known.get(kata.name, {}).get("of") == fingerprint(kata, changes[kata]):
            del changes[kata]
    os.environ.update(KATA_NO_RECORD="1", OMP_NUM_THREADS="1")
    columns = (*Progress.get_default_columns(), TimeElapsedColumn())
    with (
        Worker(curriculum.root, needed_imports(list(changes))) as worker,
        Progress(*columns) as bar,
    ):
        task = bar.add_task("mutants", total=sum(map(len, changes.values())))
        for kata, some in changes.items():
            bar.update(task, description=f"{kata.name:<22}")
            alive = []
            for name in survivors(kata, some, worker):
                alive += [name] if name else []
                bar.advance(task)
            known[kata.name] = {"of": fingerprint(kata, some), "mutants": len(some),
                                "survivors": sorted(alive)}  # fmt: skip
            save(curriculum, known)
    return known


def save(curriculum: Curriculum, known: dict[str, Any]) -> None:
    ordered = {kata.name: known[kata.name] for kata in curriculum.katas if kata.name in known}
    MEASURED.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


def shares(known: dict[str, Any], name: str) -> tuple[int, int, int]:
    """Of one kata: how many changes there are, how many are killed, how many explained."""
    measured = known[name]
    return (
        measured["mutants"],
        measured["mutants"] - len(measured["survivors"]),
        len(measured["survivors"]) - len(unexplained(known, name)),
    )


def unexplained(known: dict[str, Any], name: str) -> list[str]:
    """The survivors without a reason in equivalent.toml."""
    why = tomllib.loads(EQUIVALENT.read_text("utf-8")).get(name, {})
    return [survivor for survivor in known[name]["survivors"] if not explained(survivor, why)]


def explained(survivor: str, why: dict[str, str]) -> bool:
    """Whether a reason is given: for this one, or for all that begin as a key does before `*`."""
    return survivor in why or any(
        key.endswith("*") and survivor.startswith(key[:-1]) for key in why
    )


def report(known: dict[str, Any], katas: list[Kata]) -> bool:
    """Print the table; whether everything is as it should be."""
    good, all_, all_killed = True, 0, 0
    for kata in katas:
        count, dead, free = shares(known, kata.name)
        others, alive = count - free, unexplained(known, kata.name)
        all_, all_killed = all_ + others, all_killed + dead
        share = 100 * dead / max(others, 1)
        print(f"{kata.name:<24} {dead:4} of {others:4} killed  {share:5.1f} %")
        for name in alive:
            print(f"    survives: {name}")
        good = good and not alive and share >= EACH
    share = 100 * all_killed / max(all_, 1)
    print(f"{'all':<24} {all_killed:4} of {all_:4} killed  {share:5.1f} %")
    return good and share >= OVERALL


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m mutants")
    parser.add_argument("katas", nargs="*", metavar="KATA")
    parser.add_argument("--again", action="store_true", help="judge also what is unchanged")
    options = parser.parse_args()
    curriculum = load(HERE.parent)
    try:
        katas = [curriculum.find(name) for name in options.katas] or list(curriculum.katas)
    except UnknownKata as error:
        parser.error(str(error))
    known = measure(curriculum, katas, options.again)
    if len(known) == len(curriculum.katas):
        table = proof_table(curriculum, lambda name: shares(known, name))
        file = curriculum.root / "CONTRIBUTING.md"
        file.write_text(with_table(file.read_text("utf-8"), table), encoding="utf-8")
    return 0 if report(known, katas) else 1


if __name__ == "__main__":
    sys.exit(main())
