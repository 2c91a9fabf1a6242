"""The `kata` command: words in, exit status out. 0 green or fine, 1 red, 2 wrong usage."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from dojo import curriculum as curricula


class UsageError(Exception):
    """The command cannot do what was asked; the text is one clear line."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; every expected trouble is one line on stderr."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        if options.anywhere:
            return options.command(options)
        root = curricula.find_root(Path.cwd())
        return options.command(curricula.load(root), options)
    except (curricula.CurriculumError, curricula.UnknownKata, UsageError) as error:
        print(f"kata: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # `kata list | head` is no error
        return 0
    except OSError as error:
        print(f"kata: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("kata: stopped", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """All commands; each imports what it needs only when it runs."""
    parser = argparse.ArgumentParser(
        prog="kata", description="Learn CNNs by making failing test suites pass. "
        "Without a command: where you are and what is next.",
    )  # fmt: skip
    parser.set_defaults(command=_later("desk", "where"), anywhere=False)
    commands = parser.add_subparsers(metavar="COMMAND")

    def add(
        name: str, module: str, function: str, text: str, kata: str | int = ""
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(command=_later(module, function))
        if kata:
            command.add_argument("kata", metavar="KATA", nargs=kata, help="a name or a part of it")
        return command

    add("list", "progress", "list_katas", "all katas and how they stand")
    run = add("run", "desk", "run", "judge a kata (the next one, if none is named)", "?")
    run.add_argument("--json", action="store_true", help="print the verdict as one JSON object")
    run.add_argument("--kata-seed", type=int, metavar="N", help="repeat a run's random inputs")
    add("watch", "screen", "watch", "judge at every save, in one screen", "?")
    add("hint", "desk", "hint", "one hint more each time", "?")
    show = add("show", "desk", "show", "draw what your own code computes", 1)
    show.add_argument("--solutions", action="store_true", help="draw the reference answer")
    show.add_argument("--to", metavar="FILE", help="where to write the picture (PNG)")
    solution = add("solution", "desk", "solution", "the reference answer, once yours is green", 1)
    solution.add_argument("--anyway", action="store_true", help="also while yours is not green")
    history = add("history", "history", "history", "every judgement of a kata", 1)
    history.add_argument("--bring-back", metavar="VERSION", help="put that version on the desk")
    history.add_argument(
        "--diff", metavar="VERSION", nargs="+", help="what is different: from one version to "
        "another, or to the file as it is",
    )  # fmt: skip
    add("reset", "desk", "reset", "a fresh stub; your version stays in history", 1)
    progress = add("progress", "progress", "progress", "how far you are, by chapter")
    progress.add_argument("--json", action="store_true", help="print it as one JSON object")
    review = add("review", "review", "review", "a green kata that is due again", "?")
    review.add_argument("--list", action="store_true", help="only say when which kata is due")
    review.add_argument("--give-up", action="store_true", help="end the review, as not known")
    review.add_argument("--back", action="store_true", help="end it ungraded, as if never begun")
    report = add("report", "page", "report", "progress and pictures as one page for a browser")
    report.add_argument("--to", metavar="FILE", help="where to write it (.kata/report.html)")
    report.add_argument("--open", action="store_true", help="open it in your browser")
    report.add_argument("--no-pictures", action="store_true", help="draw none; show what is kept")
    report.add_argument("--serve", action="store_true", help="show it live, on this machine only")
    report.add_argument("--port", type=int, metavar="N", help="where --serve answers (8765)")
    export = add("export", "moving", "export", "all progress as one file, for another machine")
    export.add_argument("file", metavar="FILE", help="what to write")
    take_in = add("import", "moving", "take_in", "add exported progress to what is here")
    take_in.add_argument("file", metavar="FILE", help="what `kata export` wrote")
    take_in.add_argument(
        "--desk", action="store_true", help="also lay the newest answers where only stubs are"
    )
    init = add("init", "copying", "init", "without git: lay a working copy into a new folder")
    init.add_argument("folder", metavar="DIR", nargs="?", default="cnn-katas")
    init.set_defaults(anywhere=True)
    update = add("update", "updating", "update", "bring what is new into a copy made by init")
    update.add_argument("--dry-run", action="store_true", help="only say what would be done")
    update.set_defaults(anywhere=True)
    add("doctor", "doctor", "doctor", "is this machine ready?")
    check = add("check", "author", "check", "authors: prove stubs, answers and variants", "*")
    check.add_argument("--stubs", action="store_true", help="only the stubs")
    check.add_argument("--kata-seed", type=int, metavar="N", help="the same inputs each time")
    check.add_argument("--texts", action="store_true", help="print what each wrong answer prints")
    check.add_argument("--renew-texts", action="store_true", help="keep them as golden texts")
    add("new", "author", "new", "authors: begin a kata, as CHAPTER/KATA", 1)
    return parser


def _later(module: str, function: str):
    def command(*given: object) -> int:
        import importlib

        return getattr(importlib.import_module(f"dojo.{module}"), function)(*given)

    return command
