"""The rules of a page that shows before it tells: what each page of the built book is held to.

A page's first screen has something to see, hear or move; it is not long, little of it is code,
nothing is cut or covered, each equation is set, and nothing moves while it loads. It is light, does
not keep the reader waiting, and says to others what it is.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response

from tests.browser.browsers_python import slowness
from tests.browser.site_server import REPORTS, pages

SIZE = {"width": 1400, "height": 900}
FIRST = 750
"""Pixels from the top, in which a picture, a sound or a slider begins."""
SCREENS = {"experiments": 18}
OTHER_SCREENS = 15
CODE = 0.25
"""The share of a page's height that is code or a listing, at the most."""
SHIFT = 0.05
WEIGHT = 1.5e6
"""Bytes, compressed as a server sends them, until a page that is not touched is at rest."""
BLOCKED = 1000
"""Milliseconds in which the page cannot answer: what its long tasks take beyond 50 ms each.

It is the processor's time, which stays the same when the machine does other things as well, and in
units of what the machine can do.
"""
LOOKS = 3
"""How often a page is looked at whose tasks are long: what else the processor does adds to them."""
QUIET = 600
"""Milliseconds without a response, after which a page that has loaded is at rest.

Playwright's own ``networkidle`` never comes to some pages with a frame in them.
"""
TASK, TASKS = "ThreadControllerImpl::RunTask", ["toplevel"]

WATCH = """
window.shift = 0;
new PerformanceObserver(list => {
  for (const each of list.getEntries()) if (!each.hadRecentInput) window.shift += each.value;
}).observe({ type: "layout-shift", buffered: true });
"""
LOOK = """() => {
  const article = document.querySelector("article");
  const all = (selector) => [...article.querySelectorAll(selector)]
    .filter(e => e.getClientRects().length && e.checkVisibility({ visibilityProperty: true }));
  const box = e => e.getBoundingClientRect();
  const top = (selector, fits = () => true) => {
    const found = all(selector).find(e => fits(box(e)));
    return found ? box(found).top + scrollY : Infinity;
  };
  const height = selector => all(selector).reduce((sum, e) => sum + box(e).height, 0);
  const wider = e => e.scrollWidth > e.clientWidth + 2;
  const cutEquation = e => {
    const set = e.querySelector("mjx-container");
    return set && (wider(e) || wider(set));
  };
  const cut = [
    ...all("div.math").filter(cutEquation),
    ...all(".cell_output pre").filter(wider),
    ...all("table").filter(e => wider(e.parentElement)),
  ];
  const page = document.documentElement.scrollHeight;
  return {
    height: page,
    first: Math.min(
      top("figure img, .cell_output img, svg", r => r.width >= 300 && r.height >= 150),
      top("audio"),
      top(".jupyter-widgets, [role=slider], input[type=range], iframe"),
    ),
    table: top("table"),
    code: height(".cell_input, .cell_output div.highlight") / page,
    cut: cut.map(e => e.innerText.slice(0, 60)),
    unset: all("mjx-merror, mjx-container [style*='color: red']").map(e => e.textContent),
    covered: all(".sounds tbody tr:first-child img")
      .filter(e => box(e.closest("table").querySelector("th")).bottom > box(e).top + 2).length,
    shift: window.shift,
  };
}"""
NAMED = ("description", "og:title", "og:description", "og:image")
META = """names => names.filter(
  name => !document.querySelector(`meta[name="${name}"], meta[property="${name}"]`)?.content
).concat(document.querySelector("link[rel=canonical]")?.href ? [] : ["canonical"])"""


def weight(response: Response) -> int:
    """The bytes of a response, those of a text compressed."""
    kind = response.headers.get("content-type", "")
    text = any(word in kind for word in ("text", "javascript", "json", "svg"))
    return len(gzip.compress(response.body(), 6) if text else response.body())


def blocked(events: list[dict[str, Any]]) -> float:
    """The milliseconds that long tasks of the thread take which draws the page, but 50 ms each."""
    names = [event for event in events if event["name"] == "thread_name"]
    mains = {(e["pid"], e["tid"]) for e in names if e["args"]["name"] == "CrRendererMain"}
    tasks = [
        event["tdur"] / 1000
        for event in events
        if event["name"] == TASK and (event["pid"], event["tid"]) in mains and "tdur" in event
    ]
    assert tasks, "the browser has told of no tasks"
    return sum(max(0, task - 50) for task in tasks)


def at_rest(page: Page, address: str) -> list[Response]:
    """What a page has taken when it has loaded and set all that it does by itself."""
    taken: list[Response] = []
    page.on("response", lambda response: taken.append(response))
    page.goto(address, wait_until="load", timeout=180_000)
    page.evaluate("() => window.MathJax?.startup?.promise.then(() => true)")
    before = -1
    while before < len(taken):
        before = len(taken)
        page.wait_for_timeout(QUIET)
    return taken


@contextmanager
def traced(browser: Browser, page: Page) -> Iterator[list[dict[str, Any]]]:
    """The events of what a page does meanwhile: there once it has ended, and ended in any case."""
    events: list[dict[str, Any]] = []
    browser.start_tracing(page=page, categories=TASKS)
    try:
        yield events
    finally:
        events += json.loads(browser.stop_tracing())["traceEvents"]


def measured(browser: Browser, address: str) -> dict[str, Any]:
    """What a reader meets who opens a page and does nothing."""
    with browser.new_context(viewport=SIZE) as context:
        page = context.new_page()
        page.add_init_script(WATCH)
        with traced(browser, page) as events:
            taken = at_rest(page, address)
        found: dict[str, Any] = page.evaluate(LOOK)
        found["missing"] = page.evaluate(META, NAMED)
        found["weight"] = sum(weight(each) for each in taken if each.ok)
    found["blocked"] = blocked(events) / slowness(browser)
    return found


def broken(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """The rules that a page breaks, and by how much."""
    room = name.split("/")[1]
    shows = room != "reference" and "notation" not in name
    first = min(found["first"], found["table"] if "claims" in name else float("inf"))
    screens = found["height"] / SIZE["height"]
    rules = {
        "first": (shows and first > FIRST, first),
        "screens": (screens > SCREENS.get(room, OTHER_SCREENS), screens),
        "code": (found["code"] > CODE, found["code"]),
        "cut": (found["cut"], found["cut"]),
        "unset": (found["unset"], found["unset"]),
        "covered": (found["covered"], found["covered"]),
        "shift": (found["shift"] > SHIFT, found["shift"]),
        "weight": (found["weight"] > WEIGHT, found["weight"]),
        "blocked": (found["blocked"] > BLOCKED, found["blocked"]),
        "missing": (found["missing"], found["missing"]),
    }
    return {rule: value for rule, (breaks, value) in rules.items() if breaks}


@pytest.mark.parametrize("address", [page for page in pages() if page.startswith("book/")])
def test_a_page_shows_first_and_keeps_the_rules(address: str, browser: Browser, site: str) -> None:
    name = address.removesuffix(".html")
    found = measured(browser, site + address)
    for _ in range(LOOKS - 1):
        if found["blocked"] <= BLOCKED:
            break
        found["blocked"] = min(found["blocked"], measured(browser, site + address)["blocked"])
    (REPORTS / "rules").mkdir(parents=True, exist_ok=True)
    (REPORTS / "rules" / f"{name.replace('/', '-')}.json").write_text(json.dumps(found), "utf8")
    breaks = broken(name, found)
    assert not breaks
