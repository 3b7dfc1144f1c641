"""Cells of code in the browser's own Python: a Pyodide of its own in a worker of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import official
from playwright.sync_api import Browser, BrowserContext

WORKER = (Path(__file__).parent / "chapter.js").read_text("utf8")
MOST = 300
"""Seconds after which a run is given up: one that hangs would keep all others waiting."""
WORK = """() => {
  const x = new Float64Array(4096);
  for (let n = 0; n < 3e8; n++) x[n & 4095] = 0.5 * x[((n & 4095) * 7 + 1) & 4095] + 1;
  return x[0];
}"""
STANDARD = 0.4
"""The seconds in which a processor does the WORK on which all else keeps its limits of time."""
PROBE = 0.025
"""Seconds that the worker's probe takes on the idle machine for which limits are set."""
RUN = """([source, work, most]) => new Promise((resolve, reject) => {
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(address, { type: "module" });
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = ({ message }) => reject(new Error(message));
  worker.postMessage(work);
  setTimeout(() => {
    worker.terminate();
    reject(new Error(`it has not ended within ${most} s`));
  }, 1000 * most);
})"""


def ran(
    visit: BrowserContext,
    site: str,
    cells: Sequence[str],
    folder: str = "/drive",
    files: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What each cell answered, and the seconds and bytes that all took.

    What Python compiles is kept for all runs of a ``visit``, as for a reader who goes from chapter
    to chapter.
    ``site`` serves the files of Pyodide too; ``files`` are put into the folder, from addresses.
    """
    core = f"{site}lite/static/pyodide/"
    work = {
        "core": core,
        "lock": core + official.LOCK,
        "folder": folder,
        "files": dict(files or {}),
        "cells": list(cells),
    }
    browser, page = visit.browser, visit.new_page()
    assert browser
    try:
        page.goto(site + "lite/manifest.webmanifest")
        begun = processor_seconds(browser)
        answer: dict[str, Any] = page.evaluate(RUN, [WORKER, work, MOST])
        answer["processor"] = processor_seconds(browser) - begun
    finally:
        page.close()
    assert "failed" not in answer, answer["failed"]
    return answer


def slowness(browser: Browser) -> float:
    """What limits of time are multiplied by: the processor's time for the WORK, in STANDARDs."""
    page = browser.new_page()
    begun = processor_seconds(browser)
    page.evaluate(WORK)
    taken = processor_seconds(browser) - begun
    page.close()
    return max(1.0, taken / STANDARD)


def processor_seconds(browser: Browser) -> float:
    """What the open pages of the browser have had of the processor so far."""
    found = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
    return sum(each["cpuTime"] for each in found["processInfo"] if each["type"] == "renderer")
