"""Is a kata blocked? Katas are built from earlier ones; those must be green first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dojo.curriculum import Curriculum, Kata
from dojo.results import GREEN

if TYPE_CHECKING:
    from dojo.judge_session import JudgeSession


def needed_katas(curriculum: Curriculum, kata: Kata) -> list[Kata]:
    """The kata and all earlier ones it is built from, also by way of others."""
    found = {kata.name: kata}
    for name in kata.needs:
        needed = curriculum.get(name)
        if needed is not None:
            found |= {other.name: other for other in needed_katas(curriculum, needed)}
    return list(found.values())


def blocked_by(kata: Kata, session: JudgeSession) -> str:
    """One line naming the first needed kata that is not green, or ''."""
    for name in kata.needs:
        needed = session.curriculum.get(name)
        if needed is not None and not _is_green(needed, session):
            return f"blocked by {name}: it is built from it; next: kata run {name}"
    return ""


def _is_green(needed: Kata, session: JudgeSession) -> bool:
    """As judged in this run, as recorded for exactly this source, or by judging it now."""
    here = session.green(needed.name)
    if here is not None:
        return here
    known = session.store.known(needed)
    if known is not None and known["verdict"] == GREEN:
        return True
    from dojo.judge import judge

    return judge(needed).outcome.verdict == GREEN
