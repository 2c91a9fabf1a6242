"""The line from a judging process to whoever started it: JSON lines in a file.

Who started it decides the verdict from these lines, not from the exit status: an answer
can end its process at any moment and with any status.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from dojo.results import Outcome, Result, from_json, to_json

VARIABLE = "KATA_EVENTS"


_waiting: list[str] = []


def send(event: str, later: bool = False, **fields: Any) -> None:
    """Append one event, if somebody listens; with `later` together with the next one."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    plain = {key: _plain(value) for key, value in fields.items()}
    _waiting.append(json.dumps({"event": event, **plain}) + "\n")
    if not later:
        with open(path, "ab") as file:
            file.write("".join(_waiting).encode())
        _waiting.clear()


def _plain(value: Any) -> Any:
    if isinstance(value, Result):
        return to_json(value)
    if isinstance(value, Outcome):
        return [to_json(result) for result in value.results.values()]
    return value


class Tail:
    """Reads what was added to the file; a line cut by a killed process is left out."""

    def __init__(self, path: Path):
        self.path = path
        self.events: list[dict[str, Any]] = []
        self.latest = time.monotonic()
        self._file = path.open("rb")
        self._cut = b""

    def read(self) -> list[dict[str, Any]]:
        """The events that came since the last call."""
        *lines, self._cut = (self._cut + self._file.read()).split(b"\n")
        new = []
        for line in lines:
            with contextlib.suppress(ValueError):  # an answer may write here too
                new.append(json.loads(line))
        self.events += new
        self.latest = time.monotonic() if lines else self.latest
        return new

    def silence(self) -> float:
        """Seconds since something came."""
        return time.monotonic() - self.latest

    def close(self) -> None:
        self._file.close()


def outcome_of(kata: str, events: list[dict[str, Any]]) -> tuple[Outcome, int, str]:
    """From events: the outcome as far as it went, the record's row, the running test if any.

    A finished kata has no running test.
    """
    outcome, row, running = Outcome(kata), 0, ""
    for event in events:
        if event.get("kata") != kata:
            continue
        if event["event"] == "begin":
            outcome.expected, row = event["expected"], event["row"]
            running = "the first test"
        elif event["event"] == "test":
            running = event["name"]
        elif event["event"] == "result":
            result = from_json(event["result"])
            outcome.results[result.name] = result
        elif event["event"] in ("judged", "kata"):
            outcome.results = {r["name"]: from_json(r) for r in event["outcome"]}
            running = "" if event["event"] == "kata" else "the diagnosis"
    outcome.seconds = sum(result.seconds for result in outcome.results.values())
    return outcome, row, running
