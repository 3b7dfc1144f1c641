"""Every page of the built book, in a browser, light and dark, wide and narrow."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, Response, Route

from tests.browser.site_server import FRONT, HTML, REPORTS, ROOT, pages

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
LARGEST_PAGE = 5e6
SHOWN = """area => [...area.querySelectorAll(".widget-html")]
  .filter(each => each.offsetParent).map(each => each.innerHTML).join()"""
SETTLED = """() => { window.settled = new Promise(done =>
  addEventListener("resize", () => setTimeout(done, 400), { once: true })); }"""
"""The theme looks for what scrolls 300 ms after a change of width."""
SHAPES = """() => [...document.querySelectorAll("article .cell_output figure img")]
  .filter(e => e.checkVisibility())
  .map(e => [e.clientWidth / e.clientHeight, e.naturalWidth / e.naturalHeight])"""
PRELOADS = "() => [...document.querySelectorAll('audio')].map(audio => audio.preload)"
TAKEN = """() => [...document.querySelectorAll(".sounds audio")]
  .every(audio => audio.src.startsWith("blob:") && audio.readyState > 0)"""
SILENT = "() => [...document.querySelectorAll('.sounds audio')].every(audio => audio.paused)"
PLACED = """() => {
  const { currentTime, duration } = document.querySelectorAll(".sounds audio")[1];
  return Math.abs(currentTime / duration - 0.25) < 0.05;
}"""
ANNOUNCED = """area => {
  const shown = [...area.querySelectorAll("img[alt]")].find(each => each.checkVisibility());
  return !shown || document.querySelector("body > [role=status]").textContent === shown.alt;
}"""
CLEAR = """() => {
  const faded = [...document.querySelectorAll(".output.goes-on > .sounds > .transport")];
  for (const transport of faded) {
    const output = transport.closest(".output");
    const { maskImage, maskSize } = getComputedStyle(output);
    const [, high] = maskSize.split(",")[0].trim().split(" ").map(parseFloat);
    const needed = transport.getBoundingClientRect().bottom - output.getBoundingClientRect().top;
    if (!maskImage.startsWith("linear-gradient(rgb(0, 0, 0)") || !(high >= needed)) return 0;
  }
  return faded.length;
}"""
"""How many transports stand in what goes on, all of them in the part that does not fade."""
BUTTONS = ".widget-toggle-buttons"
PLAYS_ALONE = """n => [...document.querySelectorAll(".sounds audio")]
  .every((audio, at) => audio.paused === (at !== n))"""
UNREACHED = """() => {
  const scrolls = e => e && ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
  const box = e => e.getBoundingClientRect();
  return [...document.querySelectorAll("article .math:has(mjx-math)")]
    .filter(e => e.checkVisibility())
    .filter(e => {
      const [all, set, table] =
        [e.querySelector("mjx-math"), e.querySelector("mjx-container"), e.closest("table")];
      const beyond = box(all).right > box(e).right + 2;
      const moves = [e, set, table?.parentElement].some(scrolls);
      return box(all).left < box(e).left - 2 || (beyond && !moves);
    })
    .map(e => e.textContent.slice(0, 60));
}"""
"""The formulas that begin before their own box, or go on beyond one that cannot be moved."""
LONGEST_PICTURE = 65_000  # rows of a JPEG
WIDE, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
NARROW = {"width": 320, "height": 844}  # what WCAG 1.4.10 asks of a page that scrolls one way


@dataclass
class Seen:
    """What a page asked for and what it complained of."""

    page: Page
    site: str
    requests: int = 0
    loaded: int = 0
    external: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.context.route("**/*", self._route)  # workers, too
        self.page.context.on("response", self._response)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("console", self._console)

    def _route(self, route: Route, request: Request) -> None:
        self.requests += 1
        if request.url.startswith(self.site) or request.url.startswith("data:"):
            route.continue_()
        else:
            self.external.append(request.url)
            route.abort()

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status}: {response.url}")
        self.loaded += int(response.headers.get("content-length", 0))

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(f"console: {message.text}")

    def open(self, address: str) -> None:
        self.page.goto(self.site + address, wait_until="load")
        self.page.evaluate("() => window.MathJax?.startup?.promise.then(() => true)")
        if self.page.locator(".stand-in").count():
            place = self.page.locator(".stand-in").first
            place.evaluate("place => place.scrollIntoView()")  # it may go as soon as it is near
            self.page.wait_for_selector(f".widget-subarea :is([role=slider], {BUTTONS})")


@pytest.fixture
def seen(browser: Browser, site: str) -> Iterator[Seen]:
    context = browser.new_context(viewport=WIDE, color_scheme="light")
    context.set_default_timeout(180_000)
    found = Seen(context.new_page(), site)
    found.watch()
    yield found
    context.close()


def violations(page: Page, *ignored: str) -> list[str]:
    """What axe-core finds, one line a rule and element."""
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=AXE)
    options = {
        "runOnly": {"type": "tag", "values": WCAG},
        "rules": {rule: {"enabled": False} for rule in ignored},
        "resultTypes": ["violations"],
    }
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['html'][:120]}"
        for rule in found
        for node in rule["nodes"]
    ]


def durations(page: Page) -> list[float]:
    page.evaluate(
        "() => document.querySelectorAll('audio').forEach(a => { a.preload = 'auto'; a.load(); })"
    )
    page.wait_for_function(
        "() => [...document.querySelectorAll('audio')].every(a => a.readyState > 0 || a.error)"
    )
    return page.evaluate("() => [...document.querySelectorAll('audio')].map(a => a.duration || 0)")


def moved_sliders(page: Page) -> int:
    """Move every slider by the keyboard; each must change what is shown, and have a name."""
    sliders = page.locator(".widget-subarea [role=slider]")
    for n in range(sliders.count()):
        slider = sliders.nth(n)
        assert slider.get_attribute("aria-label"), "a slider has no name"
        area = slider.locator("xpath=ancestor::*[contains(@class, 'widget-subarea')]")
        before = area.evaluate(SHOWN)
        value = slider.get_attribute("aria-valuetext")
        slider.focus()
        at, most = (slider.get_attribute(f"aria-value{which}") for which in ("now", "max"))
        key = "ArrowLeft" if float(at or 0) == float(most or 1) else "ArrowRight"
        for pause in [50, 100, 200, 400] + 16 * [1000]:  # a slow machine draws late
            page.keyboard.press(key)
            page.wait_for_timeout(pause)
            if area.evaluate(SHOWN) != before:
                break
        else:
            raise AssertionError(f"{slider.get_attribute('aria-label')} changes nothing")
        assert slider.get_attribute("aria-valuetext") != value
        page.wait_for_function(ANNOUNCED, arg=area.element_handle())
    return sliders.count()


def pressed_buttons(page: Page) -> int:
    """Choose another of each group of buttons by the keyboard; it must change what is shown."""
    groups = page.locator(f".widget-subarea {BUTTONS}")
    for n in range(groups.count()):
        group = groups.nth(n)
        assert group.get_attribute("aria-label"), "a group of buttons has no name"
        area = group.locator("xpath=ancestor::*[contains(@class, 'widget-subarea')]")
        before = area.evaluate(SHOWN)
        chosen = group.locator("[aria-pressed=true]").inner_text()
        group.locator("[aria-pressed=false]").first.press("Enter")
        page.wait_for_function(
            "([area, before]) => (" + SHOWN + ")(area) !== before",
            arg=[area.element_handle(), before],
        )
        assert group.locator("[aria-pressed=true]").inner_text() != chosen
    return groups.count()


def brightness(page: Page) -> float:
    colour = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 765


def picture(page: Page, name: str) -> None:
    """Take the whole page where ``PICTURES=1`` asks for it: it is for people to look at.

    It is taken from its top: what sticks to the window is at its head.
    """
    if os.environ.get("PICTURES") != "1":
        return
    page.evaluate("() => scrollTo(0, 0)")
    height = page.evaluate("() => document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": WIDE["width"], "height": min(height, LONGEST_PICTURE)}
    path = REPORTS / f"{name}.jpg"
    page.screenshot(path=path, quality=60, type="jpeg", full_page=True, clip=clip)
    assert path.stat().st_size


@pytest.mark.parametrize("address", pages())
def test_a_page(seen: Seen, address: str) -> None:
    page = seen.page
    seen.open(address)
    loaded = seen.loaded
    page.add_style_tag(content="* { transition: none !important }")  # colours are final at once
    name = address.removesuffix(".html").replace("/", "-")

    text = page.locator("main").inner_text()
    for raw in ("{eq}", "{ref}", "{cite", "{doc}", "??", "\\(", "\\["):
        assert raw not in text, f"{raw} is not rendered"
    assert page.locator("mjx-merror").count() == 0

    lengths = durations(page)
    assert all(0 < length < math.inf for length in lengths), lengths
    unnamed = "() => [...document.querySelectorAll('audio')].filter(a => !a.ariaLabel).length"
    assert page.evaluate(unnamed) == 0
    sliders = moved_sliders(page) + pressed_buttons(page)

    assert brightness(page) > 0.9
    found = violations(page)
    picture(page, f"{name}-light")
    page.evaluate(
        "() => Object.assign(document.documentElement.dataset, {theme: 'dark', mode: 'dark'})"
    )
    page.wait_for_timeout(300)
    assert brightness(page) < 0.2
    found += violations(page)
    picture(page, f"{name}-dark")
    page.evaluate(SETTLED)
    page.set_viewport_size(PHONE)
    page.evaluate("() => settled")
    page.screenshot(path=REPORTS / f"{name}-phone.jpg", quality=60, type="jpeg")
    found += violations(page, "color-contrast")  # which width does not change
    unreached = page.evaluate(UNREACHED)
    page.set_viewport_size(NARROW)
    width = page.evaluate("() => document.documentElement.scrollWidth")

    report = {
        "page": address,
        "requests": seen.requests,
        "external": len(seen.external),
        "violations": len(found),
        "sliders": sliders,
        "players": len(lengths),
        "html": (HTML / address).stat().st_size,
        "loaded": loaded,
    }
    (REPORTS / f"{name}.json").write_text(json.dumps(report), encoding="utf8")
    assert not seen.external
    assert not seen.complaints
    assert width <= NARROW["width"], "the page is wider than a narrow screen"
    assert not unreached
    assert not found, "\n".join(found)
    assert report["html"] <= LARGEST_PAGE


def test_search_finds(seen: Seen) -> None:
    seen.open(FRONT)
    seen.page.keyboard.press("Control+k")
    seen.page.keyboard.type("semi-NMF")
    seen.page.keyboard.press("Enter")
    seen.page.get_by_text("Search finished").wait_for()  # results are listed one by one
    results = seen.page.locator("#search-results li a").all_inner_texts()
    assert any("Semi" in result for result in results), results
    assert not seen.external
    assert not seen.complaints


@pytest.mark.parametrize(
    ("words", "chapter"),
    [
        ("convolution", "theory/convolution"),
        ("NMF", "methods/nmf"),
        ("certificate", "methods/certificate"),
        ("pursuit", "methods/pursuit"),
        ("sparse coding", "methods/sparse_coding"),
        ("piano", "experiments/piano"),
    ],
)
def test_search_finds_the_chapter_first(words: str, chapter: str, seen: Seen) -> None:
    seen.open(f"search.html?q={words}")
    seen.page.get_by_text("Search finished").wait_for()
    links = seen.page.locator("#search-results li > a")
    found = [str(each.get_attribute("href")) for each in links.all()]
    assert found[0].split("#")[0] == f"book/{chapter}.html", found[:5]
    of_package = ["reference/api" in each for each in found]
    assert of_package == sorted(of_package), "the package stands before a chapter"


def test_the_front_page_plays_the_notes_apart_and_together(seen: Seen) -> None:
    """One click starts a sound; a second one goes on with another where the first one was."""
    seen.open(FRONT)
    page, players = seen.page, seen.page.locator(".sounds audio")
    assert players.count() >= 5
    assert set(page.evaluate(PRELOADS)) == {"none"}, "sounds are loaded before they are asked for"
    page.locator(".sounds .scope").first.hover()
    page.wait_for_function(TAKEN)
    players.nth(0).evaluate("audio => audio.play()")
    page.wait_for_function("() => document.querySelector('.sounds audio').currentTime > 1")
    page.locator(".sounds .scope").nth(2).scroll_into_view_if_needed()
    players.nth(2).evaluate("audio => audio.play()")
    page.wait_for_function(PLAYS_ALONE, arg=2)
    assert players.nth(2).evaluate("audio => audio.currentTime") > 1
    scope = page.locator(".sounds .scope").nth(3)
    box = scope.bounding_box()
    assert box
    players.nth(3).evaluate(
        "audio => audio.addEventListener('seeked', () => { audio.dataset.at = audio.currentTime; })"
    )
    scope.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    page.wait_for_function("() => document.querySelectorAll('.sounds audio')[3].dataset.at")
    page.wait_for_function(PLAYS_ALONE, arg=3)
    at, length = players.nth(3).evaluate("audio => [+audio.dataset.at, audio.duration]")
    assert abs(at / length - 0.5) < 0.05

    page.locator(".sounds .scope").nth(1).press("Enter")
    page.wait_for_function(PLAYS_ALONE, arg=1)
    transport = page.locator(".sounds .transport")
    transport.get_by_role("button", name="Pause").click()
    page.wait_for_function(SILENT)
    transport.get_by_role("slider").fill("0.25")
    page.wait_for_function(PLACED)
    transport.get_by_role("button", name="Play").press("Enter")
    page.wait_for_function(PLAYS_ALONE, arg=1)


def test_the_address_of_the_book_is_the_front_page(seen: Seen) -> None:
    """It is no detour: what stands there is the page itself, and its links lead on."""
    seen.page.goto(seen.site)
    title = seen.page.title()
    seen.page.get_by_role("link", name="Learn", exact=True).click()
    seen.page.wait_for_url(f"{seen.site}book/theory/convolution.html")
    seen.open(FRONT)
    assert seen.page.title() == title
    assert not seen.external
    assert not seen.complaints


def test_the_first_lesson_is_next(seen: Seen) -> None:
    seen.open(FRONT)
    seen.page.locator(".prev-next-area a.right-next").click()
    seen.page.wait_for_url(f"{seen.site}book/theory/convolution.html")


def test_what_is_sought_stands_beside_the_sign(seen: Seen) -> None:
    seen.open(FRONT)
    seen.page.keyboard.press("Control+k")
    field = seen.page.locator("#pst-search-dialog input")
    sign = seen.page.locator("#pst-search-dialog .fa-magnifying-glass").bounding_box()
    box = field.bounding_box()
    assert sign
    assert box
    begins = box["x"] + float(field.evaluate("e => parseFloat(getComputedStyle(e).paddingLeft)"))
    assert sign["x"] + sign["width"] <= begins


@pytest.mark.parametrize("address", ["book/experiments/claims.html", "book/reference/api.html"])
def test_the_sidebar_shows_where_one_is(address: str, seen: Seen) -> None:
    seen.open(address)
    here = seen.page.locator(".bd-sidebar-primary li.current.active > a").bounding_box()
    assert here
    assert 0 < here["y"] < WIDE["height"] - 50


def test_a_link_opens_what_is_folded_away(seen: Seen) -> None:
    name = "cdlnmf_lit.theory.gabor.GaborFrame"
    seen.open(f"book/reference/api_theory.html#{name}")
    place = seen.page.locator(f"[id='{name}']")
    place.wait_for(state="visible")
    box = place.bounding_box()
    assert box
    assert 0 <= box["y"] < WIDE["height"]


def test_pictures_keep_their_shape(seen: Seen) -> None:
    seen.open(FRONT)
    shapes = seen.page.evaluate(SHAPES)
    assert shapes
    assert all(abs(shown / own - 1) < 0.02 for shown, own in shapes)


def test_a_link_shows_what_it_leads_to(seen: Seen) -> None:
    seen.open("book/methods/semi_nmf.html")
    link = seen.page.locator("article a.internal[href*='#equation-']").first
    link.hover()
    card = seen.page.locator(".hover-card")
    card.locator("mjx-container").first.wait_for()
    seen.page.keyboard.press("Escape")
    assert card.count() == 0
    assert not seen.external
    assert not seen.complaints


@pytest.mark.parametrize("address", ["book/methods/nmf.html", "book/reference/api_theory.html"])
def test_a_number_of_the_paper_shows_its_equation(address: str, seen: Seen) -> None:
    seen.open(address)
    if closed := seen.page.locator("details:has(a.of-paper):not([open]) > summary").all():
        closed[0].click()
    link = seen.page.locator("article a.internal.of-paper[href*='#map-eq-']:visible").first
    link.hover()
    card = seen.page.locator(".hover-card")
    card.locator("mjx-container").first.wait_for(timeout=30_000)
    assert card.locator("tr").count() == 0, "the whole map is shown"
    assert not seen.complaints


@pytest.mark.parametrize("address", [FRONT, "book/methods/pursuit.html"])
def test_no_transport_fades_on_a_phone(address: str, seen: Seen) -> None:
    seen.page.set_viewport_size(PHONE)
    seen.open(address)
    seen.page.locator(".output.goes-on > .sounds > .transport").first.wait_for()
    assert seen.page.evaluate(CLEAR) > 0


def test_no_table_of_the_course_goes_on_beyond_a_phone(seen: Seen) -> None:
    seen.page.set_viewport_size(PHONE)
    seen.open("book/reference/course.html")
    edges = (
        "() => [...document.querySelectorAll('article td')].map(e => [e, ...e.children])"
        ".flat().map(e => e.getBoundingClientRect().right)"
    )
    assert max(seen.page.evaluate(edges)) <= PHONE["width"]


def test_every_page_is_reached_from_the_front_page(seen: Seen) -> None:
    seen.open(FRONT)
    links = seen.page.evaluate("() => [...document.querySelectorAll('nav a')].map(a => a.href)")
    reached = {link.removeprefix(seen.site).partition("#")[0] for link in links}
    assert {page for page in pages() if page.startswith("book/") and "intro" not in page} <= reached
