"""The learner's commands: where am I, run, hint, show, solution, history, reset."""

from __future__ import annotations

import argparse
import ast
import json
import sys
from pathlib import Path

from dojo.cli import UsageError
from dojo.copying import news
from dojo.curriculum import Curriculum, Kata
from dojo.judge import Judgement, judge
from dojo.needs import needed_katas
from dojo.progress import next_kata, states
from dojo.results import GREEN
from dojo.store import content_hash, open_store, source_text
from dojo.stub import WITHOUT, StubError, answer_text, parse, stub_text
from dojo.worker import warm_or_cold


def where(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """The next kata: what it is, which file to open, how it stands, what to type."""
    kata, told = next_kata(curriculum), news(curriculum.root)
    if told:
        print(told)
    done = sum(state.verdict == GREEN for state in states(curriculum))
    print(f"{done} of {len(curriculum.katas)} katas are green")
    if kata is None:
        print("all green: `kata list` shows them, `kata reset KATA` begins one anew")
        return 0
    print(f"next: {kata.name} - {kata.title}  ({curriculum.titles[kata.chapter]})")
    print(f"open: {kata.shown(kata.stub)}")
    _print_verdict(judge(kata, color=sys.stdout.isatty()))
    print(f"edit the file, then: kata run   (stuck? kata hint; the lesson: {_lesson(kata)})")
    return 0


def _lesson(kata: Kata) -> str:
    return f"katas/{kata.chapter}/README.md"


def run(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """Judge one kata; exit status 0 only when it is green."""
    kata = named_or_next(curriculum, options.kata)
    seed = () if options.kata_seed is None else ("--kata-seed", str(options.kata_seed))
    with warm_or_cold(curriculum.root, needed_katas(curriculum, kata)) as start:
        judgement = judge(kata, seed, not options.json and sys.stdout.isatty(), start)
    if options.json:
        print(json.dumps(judgement.outcome.as_json()))
    else:
        _print_verdict(judgement)
        if judgement.outcome.verdict == GREEN:
            following = next_kata(curriculum)
            print(f"  next: {following.name}" if following else "  all katas are green")
    return 0 if judgement.outcome.verdict == GREEN else 1


def _print_verdict(judgement: Judgement) -> None:
    """What pytest printed, without its dots and counts; and what it could not print."""
    outcome = judgement.outcome
    if outcome.ended:
        print(f"{outcome.kata} is red: {outcome.passed} of {outcome.total} tests passed, then")
        print(f"  {outcome.ended}")
        return
    lines = judgement.printed.splitlines()
    start = next((i for i, line in enumerate(lines) if f"{outcome.kata} is " in line), 0)
    print("\n".join(lines[start:-1] if len(lines) > 1 else lines))


def hint(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """All hints taken so far and one more."""
    kata = named_or_next(curriculum, options.kata)
    every = hints(kata)
    store = open_store(curriculum.root)
    rung = store.take_hint(kata.name, len(every))
    store.close()
    for number, text in enumerate(every[:rung], 1):
        print(f"{kata.name}, hint {number} of {len(every)}: {text}")
    if rung == len(every):
        print(f"that was the last one; `kata solution {kata.name} --anyway` shows an answer")
    return 0


def hints(kata: Kata) -> list[str]:
    try:
        tree = parse(kata)[1]
    except StubError as error:
        raise UsageError(str(error)) from None
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "HINTS":
            return list(ast.literal_eval(node.value))
    raise UsageError(f"{kata.shown(kata.solution)} has no hints")


def show(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """Draw with the learner's own functions; the picture is written, its path printed."""
    from dojo.answers import Library
    from dojo.explain import Red, raised_text

    kata = curriculum.find(options.kata[0])
    reference = Library(curriculum, solutions=True)
    library = reference if options.solutions else Library(curriculum)
    path = Path(options.to or curriculum.root / ".kata" / "pictures" / f"{kata.name}.png")
    sys.path.insert(0, str(curriculum.root))
    try:
        if not kata.solution.is_file():
            raise UsageError(f"{kata.shown(kata.solution)} is missing: {WITHOUT}")
        draw = getattr(reference.module(kata), "show", None)
        if draw is None:
            raise UsageError(f"{kata.name} has no picture")
        answer = library.module(kata)
        with library.importing():
            figure = draw(answer)
    except NotImplementedError:
        raise UsageError(f"{kata.name} is still a stub: there is nothing to draw yet") from None
    except ModuleNotFoundError as error:
        raise UsageError(f"pictures need {error.name}: pip install {error.name}") from None
    except UsageError:
        raise
    except (Red, Exception) as error:
        text = error.message if isinstance(error, Red) else raised_text(error)
        print(f"kata: your {kata.name} cannot be drawn: {text}", file=sys.stderr)
        return 1
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    print(f"wrote {path}")
    return 0


def solution(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """The reference answer, as a reward or on demand."""
    kata = curriculum.find(options.kata[0])
    state = next(state for state in states(curriculum) if state.kata == kata)
    if state.verdict != GREEN and not options.anyway:
        print(f"{kata.name} is not green yet; `kata hint {kata.name}` helps, "
              f"`kata solution {kata.name} --anyway` shows it all the same")  # fmt: skip
        return 1
    try:
        print(answer_text(kata), end="")
    except StubError as error:
        raise UsageError(str(error)) from None
    return 0


def reset(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """Write the stub anew; what stood there is in the history first."""
    kata = curriculum.find(options.kata[0])
    try:
        print(*lay_down(kata, stub_text(kata)), sep="\n")
    except StubError as error:
        raise UsageError(str(error)) from None
    return 0


def task_text(kata: Kata) -> str:
    """What is to be built: the stub's title, its signatures and docstrings."""
    source, tree = stub_text(kata), ast.parse(stub_text(kata))
    body = [n for n in tree.body[1:] if not isinstance(n, ast.Import | ast.ImportFrom)]
    lines = source.splitlines()[body[0].lineno - 1 if body else 0 :]
    left_out = ("raise NotImplementedError", "super().__init__()")
    kept: list[str] = [""]
    for line in lines:
        indent = line[: len(line) - len(line.lstrip())]
        if line.strip().startswith(left_out):
            continue
        if len(kept[-1]) > 75 and line.strip() and indent == kept[-1][: len(indent)]:
            kept[-1] += " " + line.strip()  # it was broken at the width of a file, not of a screen
        else:
            kept.append(line)
    return f"{ast.get_docstring(tree) or kata.title}\n" + "\n".join(kept)


def lay_down(kata: Kata, text: str) -> list[str]:
    """Replace the learner's file in one step, after keeping what it holds; what to tell."""
    told = []
    before = source_text(kata.stub)
    if before and before != text:
        store = open_store(kata.root)
        if store.path is None:
            store.close()
            raise UsageError(f"{kata.shown(kata.stub)} is left as it is: {_why_not(store.notice)}")
        store.keep_version(kata)
        store.close()
        old = content_hash(before)[:8]
        told.append(f"your version is kept: kata history {kata.name} --bring-back {old}")
    fresh = kata.stub.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(kata.stub)
    return [*told, f"wrote {kata.shown(kata.stub)}"]


def _why_not(notice: str) -> str:
    return notice or "KATA_NO_RECORD is set, so your version could not be kept"


def named_or_next(curriculum: Curriculum, name: str | None) -> Kata:
    if name:
        return curriculum.find(name)
    kata = next_kata(curriculum)
    if kata is None:
        raise UsageError("all katas are green: name one")
    return kata
