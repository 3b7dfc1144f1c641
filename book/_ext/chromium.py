"""The browser that prints the book and looks at it: one that is there, or one that is installed.

``python book/_ext/chromium.py`` sees to it that there is one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")


def program() -> str | None:
    """What ``CHROMIUM`` names, else an installed one, else None."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def install() -> None:
    """Install Debian's package where that may be done, else Playwright's own browser."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        for command in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", "--quiet=2", *command], check=True)
    else:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


if __name__ == "__main__" and not program():
    print("no Chromium is there (CHROMIUM=/path/to/it names one): it is installed", flush=True)
    install()
