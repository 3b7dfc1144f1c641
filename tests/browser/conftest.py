"""A browser, a site, and a summary of what was seen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from statistics import fmean

import official
import pytest
from chromium import program
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.site_server import CHAPTERS, HTML, REPORTS, ROOT, serving


def pytest_configure(config: pytest.Config) -> None:
    if not (HTML / "index.html").exists():
        pytest.exit(f"there is no book in {HTML}: make test-browser builds it", returncode=2)
    if not hasattr(config, "workerinput"):
        shutil.rmtree(REPORTS, ignore_errors=True)
        REPORTS.mkdir(parents=True)


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(scope="session")
def alike() -> Iterator[str]:
    """The same beside a server that has the files of Pyodide, as readers meet it."""
    with serving(official.folder(ROOT)) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program(), args=arguments)
        yield started
        started.close()


@pytest.fixture(scope="session")
def visit(browser: Browser) -> BrowserContext:
    """What one reader's browser keeps from page to page."""
    return browser.new_context()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    _chapters(terminalreporter)
    reports = [json.loads(path.read_text("utf8")) for path in sorted(REPORTS.glob("*.json"))]
    if not reports:
        return

    def total(name: str) -> int:
        return sum(report[name] for report in reports)

    def largest(name: str) -> str:
        report = max(reports, key=lambda each: each[name])
        return f"{report[name] / 1e6:.2f} MB ({report['page']})"

    say = terminalreporter.write_line
    terminalreporter.section("the book in a browser")
    say(
        f"{len(reports)} pages, {total('requests')} requests, {total('external')} of them elsewhere"
    )
    say(f"{total('violations')} violations of WCAG A/AA (axe-core), light, dark and narrow")
    say(
        f"{total('sliders')} sliders moved by keys, {total('players')} players with their durations"
    )
    say(f"largest page {largest('html')}, heaviest first view {largest('loaded')}")
    say(f"pictures, whole ones with PICTURES=1: {REPORTS}")


HEADS = (
    "chapter",
    "cells",
    "unaltered",
    "text",
    "in small",
    "seconds",
    "processor",
    "slowest cell",
    "MB",
    "errors",
)
ROW = "{:32} {:>6} {:>9} {:>5} {:>8} {:>8} {:>9} {:>14} {:>6} {:>6}"


def _chapters(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of the chapters that ran."""
    reports = [json.loads(path.read_text("utf8")) for path in sorted(CHAPTERS.glob("*.json"))]
    if not reports:
        return
    say = terminalreporter.write_line
    terminalreporter.section("the chapters in the browser's Python")
    say(ROW.format(*HEADS))
    for each in reports:
        times = (f"{each[name]:.1f}" for name in ("seconds", "processor"))
        numbers = (each[name] for name in ("text", "smaller"))
        share, memory = f"{each['share']:.0%}", f"{each['bytes'] / 1e6:.0f}"
        slowest = "no. {1}: {0:.1f} s".format(*each["slowest"])
        last = slowest, memory, each["errors"]
        say(ROW.format(each["chapter"], each["cells"], share, *numbers, *times, *last))
    mean, longest = (f([each["processor"] for each in reports]) for f in (fmean, max))
    cells, altered = (sum(each[name] for each in reports) for name in ("cells", "text"))
    say(
        f"{len(reports)} chapters, {cells} cells, {cells - altered} of them unaltered; "
        f"{mean:.1f} s of the processor on average, {longest:.1f} s at most"
    )
