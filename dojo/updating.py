"""`kata update`: what the installed package has into a copy, around the learner's work."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from packaging.version import Version

from dojo import curriculum as curricula
from dojo import house
from dojo.cli import UsageError
from dojo.copying import FILE, Manifest, fingerprint, manifest_text, read_manifest
from dojo.stub import StubError

NEW, RENEWED, REMOVED = "new", "renewed", "removed"
ASIDE, OWN, LEFT = "aside", "own", "left"
SHOWN = 6  # names a line


def update(options: argparse.Namespace) -> int:
    """Bring a copy to the installed version; say what was done, or would be."""
    root = _copy(Path.cwd())
    source = house.source()
    version, laid = house.version(source), read_manifest(root)
    if laid is None:
        print(f"{FILE.as_posix()} is damaged: whatever differs from version {version} "
              "is taken for your work")  # fmt: skip
    elif Version(version) < Version(laid.version):
        raise UsageError(
            f"this copy is of version {laid.version}, the installed package is {version}: "
            "update the package first"
        )
    try:
        files = house.files(source)
    except StubError as error:
        raise UsageError(str(error)) from None
    try:
        done = _bring(root, laid or Manifest(), files, options.dry_run)
        manifest = manifest_text(version, files)
        if not options.dry_run and (root / FILE).read_bytes() != manifest.encode():
            _write(root, FILE.as_posix(), manifest.encode())
    except OSError as error:
        text = f"{error.strerror or error}; mend that and run `kata update` again"
        raise OSError(error.errno, text, error.filename or str(root)) from None
    print("\n".join(_told(done, laid, version, options.dry_run)))
    return 0


def _copy(start: Path) -> Path:
    """The copy that `start` is in."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
        if (folder / curricula.FILE).is_file():
            break
    else:
        curricula.find_root(start)
    raise UsageError("this is no copy made by `kata init`: use `git pull`")


def _bring(
    root: Path, laid: Manifest, files: dict[str, bytes], dry_run: bool
) -> dict[str, list[str]]:
    """Each file is looked at just before it is replaced; those that are done say nothing again."""
    done: dict[str, list[str]] = defaultdict(list)
    for name in sorted({*files, *laid.files}):
        what = decide(name, _content(root / name), laid.files.get(name), files.get(name))
        if what is None:
            continue
        if what == ASIDE:  # said at once: who is interrupted later must know of it too
            kept = _aside(root / name, dry_run)
            print(f"{name} has changes of yours: they are kept as {kept}")
        if not dry_run:
            if what in (NEW, RENEWED) or (what == ASIDE and name in files):
                _write(root, name, files[name])
            elif what == REMOVED:
                _remove(root, name)
        done[what].append(name)
    return done


def decide(name: str, here: bytes | None, was: str | None, new: bytes | None) -> str | None:
    """What an update does with a file: as it is here, as it was laid, as it is in the house.

    None: nothing. ASIDE: the learner's goes aside. OWN: a stub with work in it stays, though
    there is a newer stub. LEFT: it stays, though the house has it no more.
    """
    if here is None:
        return None if new is None else NEW
    untouched = was is not None and _same(here, was)
    if new is None:
        return REMOVED if untouched else LEFT if house.is_stub(name) else ASIDE
    if _same(here, fingerprint(new)):
        return None
    if untouched:
        return RENEWED
    if was == fingerprint(new):
        return None
    return OWN if house.is_stub(name) else ASIDE


def _same(data: bytes, wanted: str) -> bool:
    """Line ends of another system are no change."""
    return wanted in (fingerprint(data), fingerprint(data.replace(b"\r\n", b"\n")))


def _content(path: Path) -> bytes | None:
    if path.is_dir():
        return b""  # it is none of the house's files, whatever its name
    return path.read_bytes() if path.exists() else None


def _aside(path: Path, dry_run: bool) -> str:
    """Give the learner's file a name that is free; returns that name."""
    kept, number = path.with_name(f"{path.name}.yours"), 1
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.name}.yours{number}")
    if not dry_run:
        path.rename(kept)
    return kept.name


def _write(root: Path, name: str, data: bytes) -> None:
    """In one step: whoever reads the file finds it old or new, never half."""
    path, fresh = root / name, root / ".kata" / f"update-{os.getpid()}.new"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(data)
        os.replace(fresh, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        with contextlib.suppress(OSError):  # it is there only if something went wrong
            fresh.unlink()


def _remove(root: Path, name: str) -> None:
    (root / name).unlink()
    with contextlib.suppress(OSError):  # a folder with something in it stays
        (root / name).parent.rmdir()


def _told(
    done: dict[str, list[str]], laid: Manifest | None, version: str, dry_run: bool
) -> Iterator[str]:
    for what in (NEW, RENEWED, REMOVED):
        names = done[what]
        shown = names if dry_run else names[:SHOWN]
        more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
        if names:
            yield f"{what}: {', '.join(shown)}{more}"
    for name in done[OWN]:
        key, kata = name.removeprefix("katas/"), Path(name).stem
        yield (
            f"{key} has your work and a newer stub: `kata reset {kata}` lays it, "
            "your version stays in the history"
        )
    for name in done[LEFT]:
        yield f"{name} has your work and stays: there is no such kata any more"
    if any(Path(name).name.startswith("test_") for name in done[RENEWED]):
        yield "answers to a renewed suite show as ? in `kata list` until their next run"
    before = laid.version if laid else "an unknown version"
    if before == version and not any(done.values()):
        yield f"already up to date: version {version}"
    else:
        yield f"{'would update' if dry_run else 'updated'} from {before} to {version}" + (
            "; CHANGELOG.md says what is new" if "CHANGELOG.md" in done[RENEWED] else ""
        )
