"""A suite judged from both ends: while one process begins at the first test, another begins at the
last one.

Where they meet the first takes over what the second has found, but for failures that may have a
name: those it finds and names itself. If the second is lost, all tests run in the first.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from typing import Any

import pytest

from dojo import events, plugin
from dojo.forks import Lines, tell
from dojo.results import from_json, to_json


class OtherEnd:
    """A pytest plugin of the first process: takes over what the second has written to `end`."""

    def __init__(self, end: int):
        os.set_blocking(end, False)
        self.end, self.lines = end, Lines(end)
        self.found: dict[str, Any] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Any:
        """True where nothing is left to do for the item."""
        with contextlib.suppress(OSError):  # nothing new, or closed below
            self.found |= {line["id"]: line for line in self.lines.read() or []}
        if (found := self.found.get(item.nodeid)) is None:
            return None
        with contextlib.suppress(OSError):  # they have met; it ends when it next has something
            os.close(self.end)
        return plugin.take(item, nextitem, from_json(found["result"]), found["asked"]) or None


def backwards(session: pytest.Session, end: int) -> None:
    """In the second process: run the tests from the last one on, tell what needs no diagnosis."""
    os.environ.pop(events.VARIABLE, None)
    os.environ["KATA_NO_RECORD"] = "1"
    plugin.print_to(os.devnull, session.config)
    # but for the first one: it has long begun, and the verdict after the last is not made here
    for before, item in reversed([*itertools.pairwise(session.items)]):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=before)
        found = plugin.found(item)
        if found is None or found[0].cause == "timeout":
            return
        if found[0].observed is None:
            tell(end, id=item.nodeid, result=to_json(found[0]), asked=sorted(found[1]))
