"""Is this machine ready? Each line says what was found and, where it fails, what to type."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator

from dojo.curriculum import Curriculum
from dojo.store import FILE, open_store

NEEDED = ("numpy", "torch", "torchvision", "pytest", "pytest-timeout")
OPTIONAL = {
    "matplotlib": "kata show",
    "textual": "kata watch",
    "watchfiles": "kata watch at once, not within half a second,",
    "psutil": "the limit on what an answer's own processes use",
    "fsrs": "kata review",
    "jinja2": "kata report",
}
PAIRS = {"2.13": "0.28"}  # torch and the torchvision that is compiled against it


def doctor(curriculum: Curriculum, options: argparse.Namespace) -> int:
    """0 when katas can be judged and recorded here."""
    ready = True
    for fine, text in examine(curriculum):
        print(f"{'ok   ' if fine else 'LOOK '}{text}")
        ready &= fine
    return 0 if ready else 1


def examine(curriculum: Curriculum) -> Iterator[tuple[bool, str]]:
    """(is it fine, what was found) for everything that judging depends on."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield sys.version_info >= (3, 11), f"Python {version} (3.11 or newer is needed)"
    versions = {name: _version(name) for name in (*NEEDED, *OPTIONAL)}
    for name in NEEDED:
        found = versions[name]
        yield found is not None, f"{name} {found or f'is missing: pip install {name}'}"
    for name, use in OPTIONAL.items():
        found = versions[name]
        mend = f"is missing; only {use} needs it: pip install {name}"
        yield True, f"{name} {found or mend}"
    if versions["torch"] and versions["torchvision"]:
        yield _pair(versions["torch"], versions["torchvision"])
        yield _torchvision()
    yield _records(curriculum)
    missing = [kata.name for kata in curriculum.katas if not kata.stub.is_file()]
    if missing:
        yield False, f"no stub of {', '.join(missing)}: kata reset {missing[0]}"
    else:
        yield True, f"stubs of all {len(curriculum.katas)} katas"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _pair(torch: str, torchvision: str) -> tuple[bool, str]:
    wanted = PAIRS.get(".".join(torch.split(".")[:2]))
    if wanted is None:
        return True, f"torch {torch} is not one of the tested versions: {', '.join(PAIRS)}"
    fits = torchvision.startswith(wanted + ".")
    return fits, f"torch {torch} goes with torchvision {wanted}" + (
        "" if fits else f", not {torchvision}: pip install 'torchvision~={wanted}.0'"
    )


def _torchvision() -> tuple[bool, str]:
    """Torchvision's compiled half loads, or the known stand-in makes the rest work."""
    if _imports("import torchvision"):
        return True, "torchvision imports"
    if _imports("from dojo import vision; import torchvision.models"):
        return True, (
            "torchvision's compiled half does not load beside this torch (operator "
            "torchvision::nms does not exist): they come from different builds, CPU and CUDA. "
            "No kata needs that half; to mend it install both from one index."
        )
    return False, "torchvision does not import: pip install --force-reinstall torch torchvision"


def _imports(code: str) -> bool:
    run = [sys.executable, "-c", code]
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return subprocess.run(run, capture_output=True, cwd=root, check=False).returncode == 0


def _records(curriculum: Curriculum) -> tuple[bool, str]:
    store = open_store(curriculum.root)
    store.close()
    if store.notice:
        return False, store.notice
    where = FILE.as_posix() if store.path else "nowhere: KATA_NO_RECORD is set"
    return True, f"progress is recorded in {where}"
