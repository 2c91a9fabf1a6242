"""Replays kept for the other processes of one proof: each test runs once on each answer."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path

from dojo.results import Result

VARIABLE = "KATA_REPLAYS"  # the folder; unset, nothing is kept


def kept(test: str, variant: str, make: Callable[[], Result]) -> Result:
    """The result of `variant` in `test`, from the folder or by `make`.

    All processes that share a folder judge the same kata with the same seed.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        return make()
    path = Path(folder, hashlib.sha256(f"{test}\n{variant}".encode()).hexdigest())
    with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):
        return pickle.loads(path.read_bytes())
    result = make()
    with contextlib.suppress(Exception):  # an observation that cannot be pickled is not kept
        data = pickle.dumps(result)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(data)
        os.replace(file.name, path)
    return result
