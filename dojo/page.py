"""`kata report`: progress and pictures as one self-contained HTML page."""

from __future__ import annotations

import argparse
import contextlib
import os
import sqlite3
import sys
import time
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dojo.cli import UsageError
from dojo.curriculum import Curriculum
from dojo.gallery import Gallery
from dojo.overview import Overview, build
from dojo.progress import states, told_time
from dojo.store import Store, content_hash, open_store

FILE = Path(".kata") / "report.html"
TEMPLATES = Path(__file__).parent / "templates"
PORT = 8765
# the page needs nothing from anywhere, and nothing that a text brings along may run
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"
LIVE_POLICY = f"{POLICY}; script-src 'self'; connect-src 'self'"


class ReportError(Exception):
    """There is nothing to be told; the text is one clear line."""


def report(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """Write the page, or show it at 127.0.0.1 until Ctrl-C."""
    if options.serve and options.to:
        raise UsageError("--serve writes no file: leave --to out")
    if options.port is not None and not options.serve:
        raise UsageError("--port is for --serve")
    if not 0 <= (options.port or 0) < 2**16:
        raise UsageError("--port is a number from 0 to 65535")
    _jinja()
    gallery = Gallery(curriculum)
    try:
        if options.serve:
            from dojo.serving import serve

            port = PORT if options.port is None else options.port
            return serve(curriculum, gallery, port, not options.no_pictures, options.open)
        return _write(curriculum, gallery, options)
    except ReportError as error:
        print(f"kata: {error}", file=sys.stderr)
        return 1


def _write(curriculum: Curriculum, gallery: Gallery, options: argparse.Namespace) -> int:
    path = Path(options.to) if options.to else curriculum.root / FILE
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file")
    with opened(curriculum) as store, replacing(path) as fresh:
        if not options.no_pictures:
            gallery.draw_all(gallery.missing(states(curriculum, store)))
        overview = build(curriculum, store, gallery, time.time())
        fresh.write_text(html(overview), encoding="utf-8")
    print(f"wrote {path}: {overview.green} of {len(overview.entries)} katas are green")
    return show_in_browser(path.resolve().as_uri()) if options.open else 0


def show_in_browser(address: str) -> int:
    """Open the learner's browser; exit status 1 where there is none."""
    if webbrowser.open(address):
        return 0
    print(f"kata: no browser could be opened for {address}", file=sys.stderr)
    return 1


@contextlib.contextmanager
def opened(curriculum: Curriculum) -> Iterator[Store]:
    """The progress file; whatever is wrong with it is one line."""
    store = open_store(curriculum.root)
    try:
        if store.notice:
            raise ReportError(store.notice)
        if store.path is None:
            raise UsageError("KATA_NO_RECORD is set: there is nothing to report")
        yield store
    except sqlite3.Error as error:
        raise ReportError(f"the progress file cannot be read: {error}") from None
    finally:
        store.close()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path`, which takes its place in one step when the block ends well."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        fresh.touch()
        yield fresh
        os.replace(fresh, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


def html(overview: Overview, live: bool = False) -> str:
    """The whole page as text; one that is shown live carries the version it was made from."""
    template = _jinja().get_template("page.html.j2")
    return template.render(
        overview=overview,
        live=live,
        version=version(overview) if live else "",
        policy=LIVE_POLICY if live else POLICY,
        written="" if live else time.strftime("%Y-%m-%d %H:%M"),
    )


def version(overview: Overview) -> str:
    """Stands for everything that the page shows: another one, another page."""
    return content_hash(repr(overview))[:16]


def _jinja() -> Any:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ModuleNotFoundError:
        raise UsageError("kata report needs Jinja2: pip install jinja2") from None
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["told_time"] = told_time
    return environment
