"""A learner's copy of the house, for those without git: `kata init`, and what it was made of."""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from packaging.version import InvalidVersion, Version

from dojo import house
from dojo.cli import UsageError
from dojo.curriculum import CurriculumError
from dojo.stub import StubError

FILE = Path(".kata") / "house.json"  # tells a copy from a clone


@dataclass(frozen=True)
class Manifest:
    """The version a copy is of, and the hash of each file as it was laid there."""

    version: str = ""
    files: dict[str, str] = field(default_factory=dict)


def init(options: argparse.Namespace) -> int:
    """Lay the house into a folder; all of it or nothing."""
    target = Path(options.folder)
    _refuse(target)
    source = house.source()
    try:
        files = house.files(source)
    except StubError as error:
        raise UsageError(str(error)) from None
    version = house.version(source)
    try:
        _lay(target, files, version)
    except OSError as error:
        text = f"{error.strerror or error}; nothing was left there"
        raise OSError(error.errno, text, str(target)) from None
    katas = sum(map(house.is_stub, files))
    print(f"laid {katas} katas of version {version} into {target}")
    here = target.resolve() == Path.cwd()
    print("next: kata" if here else f"next: cd {shlex.quote(str(target))}, then: kata")
    return 0


def _refuse(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file: name a new folder")
    if target.is_dir() and any(target.iterdir()):
        raise UsageError(f"{target} is not empty: name a new folder (in a copy: kata update)")
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {target.parent} to put {target.name} into")


def _lay(target: Path, files: dict[str, bytes], version: str) -> None:
    """Everything into a folder with another name first, so that no half copy is ever there."""
    inside = target.is_dir()  # it may be someone's current folder, so it is filled, not replaced
    fresh = (target if inside else target.parent) / f".kata-init-{secrets.token_hex(4)}"
    try:
        for name, data in files.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        (fresh / FILE).parent.mkdir()
        (fresh / FILE).write_text(manifest_text(version, files), encoding="utf-8")
        if inside:
            for path in sorted(fresh.iterdir()):
                path.rename(target / path.name)
            fresh.rmdir()
        else:
            fresh.rename(target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def fingerprint(data: bytes) -> str:
    """What tells one content from another."""
    return hashlib.sha256(data).hexdigest()


def manifest_text(version: str, files: dict[str, bytes]) -> str:
    """A copy's manifest, as it is written."""
    hashes = {name: fingerprint(files[name]) for name in sorted(files)}
    return json.dumps({"version": version, "files": hashes}, indent=1) + "\n"


def read_manifest(root: Path) -> Manifest | None:
    """The manifest of the copy at `root`; None if it is damaged."""
    try:
        data = json.loads((root / FILE).read_text(encoding="utf-8"))
        Version(data["version"])
        files = data["files"]
        whole = all(_inside(name) and isinstance(files[name], str) for name in files)
        return Manifest(data["version"], dict(files)) if whole else None
    except (ValueError, KeyError, TypeError, AttributeError, InvalidVersion):
        return None


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def news(root: Path) -> str:
    """A line for who is in a copy that is older than the installed package; mostly ''."""
    manifest = read_manifest(root) if (root / FILE).is_file() else None
    if manifest is None:
        return ""
    try:
        installed = house.version(house.source())
    except (CurriculumError, OSError):
        return ""
    if Version(installed) <= Version(manifest.version):
        return ""
    return f"version {installed} is installed, this copy is of {manifest.version}: kata update"
