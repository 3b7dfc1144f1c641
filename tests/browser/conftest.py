"""A browser, a site, and a summary of what was seen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest
from chromium import program
from playwright.sync_api import Browser, sync_playwright

from tests.browser.site_server import HTML, REPORTS, serving


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
def browser() -> Iterator[Browser]:
    arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program(), args=arguments)
        yield started
        started.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
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
    say(f"screenshots: {REPORTS}")
