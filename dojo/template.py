"""A process that has collected a suite and waits: each judgement is a fork of it.

Starting pytest and collecting a suite takes longer than most suites run. Here it is done once for
a suite; what differs between judgements (whose answer, which seed) is told to the fork.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dojo import plugin
from dojo.ends import OtherEnd, backwards


def split(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """What differs between judgements, and what all of a suite have in common."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--solutions", action="store_true")
    parser.add_argument("--variant")
    parser.add_argument("--answer")
    parser.add_argument("--begin-with")
    parser.add_argument("--among")
    parser.add_argument("--kata-seed", type=int)
    parser.add_argument("--no-diagnosis", action="store_true")
    parser.add_argument("-x", dest="maxfail", action="store_const", const=1, default=0)
    return parser.parse_known_args(arguments)


def key(arguments: list[str]) -> tuple[Any, ...]:
    """Judgements with the same key can be forks of one template."""
    common = split(arguments)[1]
    stamps = []
    for path in map(Path, common[:1]):  # the suite; it may be edited while the worker runs
        with contextlib.suppress(OSError):
            status = path.stat()
            stamps.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return (*common, *stamps)


class Template:
    """A pytest plugin: where the tests would begin, it waits, and they begin in every fork."""

    def __init__(self, forked: Callable[[], dict[str, Any] | None]):
        self.forked = forked  # gives a request in every fork, None here when no more will come

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        sys.stdout.flush()
        plugin.warm(session.config, session.items)
        gc.collect()
        gc.freeze()  # a collection in a fork would copy every page it shares with this process
        request = self.forked()
        if request is None:
            os._exit(0)
        os.environ.update(request["environment"])
        tempfile.tempdir = None  # the environment names another one
        plugin.print_to(request["printed"], session.config)
        vars(session.config.option).update(vars(split(request["arguments"])[0]))
        plugin.begin_anew(session.config)
        plugin.arrange(session.config, session.items)
        if request.get("reads"):
            session.config.pluginmanager.register(OtherEnd(request["reads"]))
        if request.get("writes"):
            with contextlib.suppress(BrokenPipeError):
                backwards(session, request["writes"])
            os._exit(0)

    def run(self, arguments: list[str]) -> int:
        """Collect what `arguments` name; returns in the forks, or where that fails."""
        with tempfile.TemporaryFile() as out, open(os.devnull) as null:
            for stream, file in ((0, null), (1, out), (2, out)):
                os.dup2(file.fileno(), stream)
        if torch := sys.modules.get("torch"):
            # a pool of threads that a suite starts while it is collected does not live in a fork
            torch.set_num_threads(1)
        return int(pytest.main(split(arguments)[1], plugins=[self]))
