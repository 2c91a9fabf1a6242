"""Limits that a judging process puts on itself: memory and the size of files it writes.

A pytest plugin (`-p dojo.limits`). Over a limit the answer gets an exception of its own, which
is told as any other; what cannot be stopped from inside is ended from outside (`dojo.judge`).
"""

from __future__ import annotations

import errno
import os

MEMORY = int(float(os.environ.get("KATA_MEMORY_GB", "2")) * 2**30)  # bytes a judgement may use
FILE = 128 * 2**20  # bytes a file may have, what is printed included
LIBRARIES = 2**29  # torch's own data, before any answer runs


def pytest_configure() -> None:
    """Where the system knows such limits (not on Windows)."""
    try:
        import resource
    except ImportError:
        return
    for kind, most in (("RLIMIT_DATA", MEMORY + LIBRARIES), ("RLIMIT_FSIZE", FILE)):
        _lower(resource, getattr(resource, kind), most)
    _lower(resource, resource.RLIMIT_CORE, 0)


def _lower(resource, kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(kind, (most, hard))


def over_limit(error: BaseException) -> str:
    """What to tell when `error` comes from one of the limits, else ''."""
    from dojo.explain import own_text

    text = own_text(error)
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return f"the answer asked for more than {MEMORY / 2**30:g} GB of memory"
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return f"the answer printed or wrote more than {FILE // 2**20} MB into one file"
    return ""
