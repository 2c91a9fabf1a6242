"""What a judgement consists of: results of tests, the outcome of a kata."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"
GREEN, RED, BLOCKED, PARTIAL, UNFINISHED = "green", "red", "blocked", "partial", "unfinished"
STILL_STUB = "still the stub: it raises NotImplementedError"


@dataclass(eq=False)  # observations may be arrays, which have no plain equality
class Result:
    """One test of a suite on one answer."""

    name: str
    outcome: str = NOT_RUN
    rule: str = ""
    message: str = ""
    lines: tuple[str, ...] = ()
    call: str = ""
    place: str = ""
    printed: str = ""
    diagnosis: str = ""
    seconds: float = 0.0
    slow: bool = False  # as training is: a diagnosis does not run it again
    cause: str = ""  # "stub", "import" and "blocked" stand for the whole kata, not for a rule
    observed: Any = field(default=None, repr=False)

    def public(self) -> dict[str, Any]:
        """The fields of `kata run --json`."""
        kept = ("name", "outcome", "message", "diagnosis")
        return {key: value for key, value in asdict_shallow(self).items() if key in kept}


def asdict_shallow(result: Result) -> dict[str, Any]:
    return {key: getattr(result, key) for key in Result.__dataclass_fields__}


@dataclass
class Outcome:
    """One kata judged: what was expected to run, what did run and how it ended."""

    kata: str
    expected: list[str] = field(default_factory=list)
    results: dict[str, Result] = field(default_factory=dict)
    seconds: float = 0.0
    ended: str = ""  # why the process ended before its time, if it did
    notice: str = ""  # something the learner should know that is no part of the verdict

    @property
    def total(self) -> int:
        return len(self.expected)

    @property
    def passed(self) -> int:
        return sum(result.outcome == PASSED for result in self.results.values())

    @property
    def failures(self) -> list[Result]:
        return [result for result in self.results.values() if result.outcome != PASSED]

    @property
    def verdict(self) -> str:
        if any(result.cause == "blocked" for result in self.failures):
            return BLOCKED
        if self.failures or self.ended:
            return RED
        complete = self.total > 0 and set(self.expected) == set(self.results)
        return GREEN if complete else PARTIAL

    @property
    def first(self) -> Result | None:
        return next(iter(self.failures), None)

    def as_json(self) -> dict[str, Any]:
        """The object of `kata run --json`."""
        return {
            "kata": self.kata,
            "verdict": RED if self.verdict == PARTIAL else self.verdict,
            "passed": self.passed,
            "total": self.total,
            "seconds": round(self.seconds, 3),
            "tests": [self._test(name).public() for name in self.expected],
        }

    def _test(self, name: str) -> Result:
        reason = self.ended or "was not run"
        return self.results.get(name) or Result(name, message=f"not run: {reason}")


def from_json(data: dict[str, Any]) -> Result:
    """A result as it came through the event stream."""
    known = {key: value for key, value in data.items() if key in Result.__dataclass_fields__}
    return Result(**known | {"lines": tuple(known.get("lines", ()))})


def to_json(result: Result) -> dict[str, Any]:
    """A result for the event stream; what it observed stays in the judging process."""
    return {key: value for key, value in asdict_shallow(result).items() if key != "observed"}
