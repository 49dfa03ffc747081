"""The Chromium of this machine, driven by Playwright. `scripts/chromium` installs one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")


def chromium() -> str | None:
    """Its path, $CHROMIUM before all others; None where there is none."""
    given = os.environ.get("CHROMIUM")
    return next((found for name in ([given] if given else _NAMES) if (found := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """A running Chromium without a window.

    Raises:
        LookupError: there is none on this machine.
    """
    path = chromium()
    if path is None:
        raise LookupError("no Chromium on this machine: scripts/chromium installs one")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        running = started.chromium.launch(executable_path=path, args=_FLAGS)
        try:
            yield running
        finally:
            running.close()
