"""Where a Chromium is, or why none can be used: `python -m tests.browser.finding`."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW = "apt install chromium (Debian), or playwright install chromium (elsewhere)"


def chromium() -> tuple[str, str]:
    """(path, '') or ('', what is missing and how to get it)."""
    if importlib.util.find_spec("playwright") is None:
        return "", "not run: playwright is not installed: pip install -e '.[dev]'"
    wanted = os.environ.get("KATA_CHROMIUM", "")
    if wanted:
        found = shutil.which(wanted)
        return (found, "") if found else ("", f"not run: KATA_CHROMIUM={wanted} is no program")
    found = next(filter(None, map(shutil.which, NAMES)), None) or _of_playwright()
    return (found, "") if found else ("", f"not run: there is no Chromium: {HOW}")


def _of_playwright() -> str:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else ""


if __name__ == "__main__":
    print(chromium()[1])
