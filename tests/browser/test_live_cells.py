"""The cells of a chapter, run and edited in their place: Chromium, and the Pyodide readers get."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser.browsers_python import processor_seconds, slowness
from tests.browser.site_server import HTML, PREFIX, REPORTS
from tests.browser.test_chapters import names
from tests.browser.test_pages import AXE, NARROW, PHONE, SETTLED, WIDE, Seen, violations
from tests.browser.test_pages_rules import at_rest

CHAPTER = "book/theory/corollary_1"
NEXT = "book/theory/gabor"
FIRST, SECOND, STOPPED = 30, 5, 2
"""Seconds of the processor to the first picture, to that of a second chapter, and to what a stop
leaves, at the most."""
WEIGHT = 3_000
"""Bytes, compressed, that a page loads more before a button is pressed."""
RICH = """
import matplotlib.pyplot as plt
from IPython.display import HTML, Audio, display
display(HTML("<table><tr><td>own</td></tr></table>"))
plt.plot([1, 2])
display(Audio([0, 1, 0, -1] * 2000, rate=8000))
print("printed")
"""
EXPLORER = """
from cdlnmf_lit.presentation.widgets import explorer
explorer(lambda hop: f"<p>hop {hop}</p>", alt="hop", live={"hop": range(1, 9)}, hop=[1, 2, 4])
"""
SAID = """status => {
  const said = [];
  const hear = new MutationObserver(() => said.push(status.textContent));
  hear.observe(status, { childList: true });
  return said;
}"""
KEPT = f"async () => (await (await caches.open('bytecode {PREFIX}')).keys()).length === 1"
COMPILED = """
import sys
from importlib.machinery import SourceFileLoader
compiled = SourceFileLoader.get_code.__globals__["compiled"]
print(any("/scipy/optimize/" in path for path in compiled), "scipy.optimize" in sys.modules)
print("fonts" if "matplotlib.font_manager" in compiled else "no fonts")
"""
MARKDOWN = """
from IPython.display import Markdown
from cdlnmf_lit.presentation.source import show
from cdlnmf_lit.theory.arguments import signal
show(signal)
table = "| $K$ | *score* |\\n|---|---|\\n| 2 | **1.5** |"
Markdown(table + "\\n\\nSee [it](corollary_1.md#top): `a < b`.")
"""
RENDERED = [
    ("a *b* **c** `*d*`", "<p>a <em>b</em> <strong>c</strong> <code>*d*</code></p>"),
    ("a < b & <i>c</i>", "<p>a &lt; b &amp; &lt;i&gt;c&lt;/i&gt;</p>"),
    ("<b>own</b>\n\nnext\nline", "<b>own</b>\n<p>next\nline</p>"),
    ("## of\n- one\n- two", "<h2>of</h2>\n<ul><li>one</li><li>two</li></ul>"),
    ("```python\nx = 1 < 2\n\n| a |\n```\nend", "<pre>x = 1 &lt; 2\n\n| a |</pre>\n<p>end</p>"),
    ("[a](b.md#c) [d](https://e)", '<p><a href="b.html#c">a</a> <a href="https://e">d</a></p>'),
    ("[a](javascript:b)", "<p>[a](javascript:b)</p>"),
    ('[a](b"onclick="c)', '<p><a href="b&quot;onclick=&quot;c">a</a></p>'),
    ("| a |", "<p>| a |</p>"),
    ("costs 5 $ or 6 $", "<p>costs 5 $ or 6 $</p>"),
    ("$a_1*b*$", '<p><span class="math notranslate nohighlight">\\(a_1*b*\\)</span></p>'),
]
MATCHED = """async ([site, pages]) => {
  const { notebook, sources } = await import(site + "_static/live_cells/notebook.js");
  const plain = (text) => text.trim();
  const told = {};
  for (const page of pages) {
    const answer = await fetch(`${site}${page}.html`);
    const there = new DOMParser().parseFromString(await answer.text(), "text/html");
    const cells = [...there.querySelectorAll("article div.cell")];
    const found = sources(await notebook(page));
    const code = (cell) => cell.querySelector(".cell_input pre")?.textContent;
    const differs = cells.map(code).filter((shown, n) =>
      shown !== undefined && !found[n]?.inSmall && plain(shown) !== plain(found[n]?.code ?? ""));
    told[page] = { cells: cells.length, found: found.length, differs,
      inSmall: found.filter(each => each.inSmall).length };
  }
  return told;
}"""


def opened(browser: Browser, alike: str) -> Seen:
    """The chapter, at whose origin Pyodide's files are, too; its folds are open."""
    context = browser.new_context(viewport=WIDE, color_scheme="light")
    context.set_default_timeout(300_000)
    context.add_init_script(path=AXE)
    seen = Seen(context.new_page(), alike.removesuffix(PREFIX))
    seen.watch()
    at_rest(seen.page, f"{alike}{CHAPTER}.html")
    seen.page.evaluate(
        "document.querySelectorAll('article details').forEach(e => { e.open = true; })"
    )
    return seen


@pytest.fixture
def fresh(browser: Browser, alike: str) -> Iterator[Seen]:
    seen = opened(browser, alike)
    yield seen
    seen.page.context.close()


@pytest.fixture(scope="module")
def chapter(browser: Browser, alike: str) -> Iterator[Seen]:
    """A chapter that stays open, with its Python."""
    seen = opened(browser, alike)
    yield seen
    assert not seen.external
    assert not seen.complaints
    seen.page.context.close()


def cell(page: Page, n: int) -> Locator:
    """The cell with a number, from one."""
    return page.locator("article div.cell").nth(n - 1)


def told(place: Locator, words: str | re.Pattern[str]) -> None:
    status = place.locator(".live-status")
    settled = status.filter(has_text=words).or_(status.locator("strong")).first  # or an error
    expect(settled).to_be_visible(timeout=300_000)
    expect(status).to_contain_text(words)


def begin(place: Locator, code: str) -> None:
    """Edit a cell, and let it run."""
    place.locator(".live-edit").click()
    place.locator("textarea").fill(code)
    place.locator("textarea").press("Control+Enter")


def run_as(place: Locator, code: str, words: str = "Done in") -> Locator:
    """Edit a cell, run it to its end, and return what it gave."""
    begin(place, code)
    expect(place.locator(".live-stop")).to_be_hidden(timeout=300_000)
    told(place, words)
    return place.locator(".live-output")


def test_a_page_loads_little_until_a_button_is_pressed(fresh: Seen, alike: str) -> None:
    page, asked = fresh.page, []
    page.on("request", lambda request: asked.append(request.url.removeprefix(alike)))
    page.reload(wait_until="networkidle")
    ours = [url for url in asked if "live_cells" in url]
    assert {url.partition("?")[0].rpartition("/")[2] for url in ours} == {
        "live_cells.js",
        "live_cells.css",
    }
    assert not [url for url in asked if url.startswith("lite/")]
    files = [HTML / url.partition("?")[0] for url in ours]
    weight = sum(len(gzip.compress(file.read_bytes())) for file in files)
    print(f"{weight} bytes on the first view")
    assert weight < WEIGHT


def test_what_runs_is_what_the_page_shows(fresh: Seen, alike: str) -> None:
    """In every chapter, but for the cells that are only told in a browser."""
    found = fresh.page.evaluate(MATCHED, [alike, names()])
    for name, page in found.items():
        assert page["cells"] == page["found"], name
        assert not page["differs"], name
        notebook = json.loads((HTML / "lite" / "files" / f"{name}.ipynb").read_text("utf8"))
        tags = [cell["metadata"].get("tags", []) for cell in notebook["cells"]]
        assert page["inSmall"] == sum("not-in-browser" in each for each in tags), name
    assert len(found) > 20


def test_a_cell_that_is_only_told_says_so(fresh: Seen) -> None:
    def tagged(route: Route) -> None:
        notebook = json.loads(route.fetch().text())
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        code[1]["metadata"]["tags"] = ["not-in-browser"]
        route.fulfill(json=notebook)

    fresh.page.context.route("**/corollary_1.ipynb", tagged)
    cell(fresh.page, 1).locator(".live-run").click()
    told(cell(fresh.page, 1), "the result of the build stays")
    expect(cell(fresh.page, 1).locator(".live-output")).to_have_count(0)


def test_what_cannot_be_fetched_is_told(fresh: Seen) -> None:
    place = cell(fresh.page, 1)
    fresh.page.context.route("**/corollary_1.ipynb", lambda route: route.abort())
    place.locator(".live-run").click()
    told(place, "this copy of the book lacks the chapter's notebook")
    fresh.page.context.unroute("**/corollary_1.ipynb")
    fresh.page.context.route("**/numpy-*.whl", lambda route: route.abort())
    place.locator(".live-run").click()
    told(place, re.compile(r"NumPy.* could not be fetched from 127.0.0.1.*go online"))
    expect(place.locator(".live-run")).to_be_enabled()


def test_a_cell_gives_its_picture_again(chapter: Seen, browser: Browser) -> None:
    """From nothing: Python starts, and what stands above runs first, by the keyboard alone."""
    page, place = chapter.page, cell(chapter.page, 2)
    built = place.locator(".cell_output img").first
    expect(built).to_be_visible()
    begun = processor_seconds(browser)
    place.locator(".live-run").focus()
    page.keyboard.press("Enter")
    told(place, "Python starts")
    told(place, "Cell 1 of 2")
    started = processor_seconds(browser) - begun
    told(place, "Done in")
    took = processor_seconds(browser) - begun
    print(f"{started:.1f} s of the processor until Python is there, {took:.1f} s to the picture")
    output = place.locator(".live-output")
    expect(output).to_contain_text("Your result")
    assert output.locator("img").first.evaluate("img => img.naturalWidth") > 100
    expect(built).to_be_hidden()
    expect(cell(page, 1).locator(".live-output")).to_have_count(0)
    assert took < FIRST * slowness(browser)


def test_what_python_has_compiled_is_kept_for_the_next_page(
    chapter: Seen, browser: Browser, alike: str
) -> None:
    run_as(cell(chapter.page, 1), "import scipy.optimize")
    chapter.page.wait_for_function(KEPT, timeout=60_000)
    page = chapter.page.context.new_page()
    at_rest(page, f"{alike}book/theory/convolution.html")
    page.evaluate("document.querySelectorAll('article details').forEach(e => { e.open = true; })")
    begun = processor_seconds(browser)
    output = run_as(cell(page, 1), COMPILED)
    print(f"{processor_seconds(browser) - begun:.1f} s of the processor in the second chapter")
    expect(output.locator("pre")).to_have_text("True False\nfonts\n")
    page.close()


def test_keys_alone_edit_run_and_reset(chapter: Seen) -> None:
    page, place = chapter.page, cell(chapter.page, 2)
    original = place.locator(".cell_input pre").inner_text()
    place.locator(".live-run").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    editor = place.locator("textarea")
    expect(editor).to_be_focused()
    assert editor.input_value().strip() == original.strip()
    page.keyboard.press("Control+a")
    page.keyboard.type("own = 6 * 7")
    page.keyboard.press("Enter")
    page.keyboard.type("own, np.float64(1.5) + 1")
    page.keyboard.press("Shift+Enter")
    told(place, "Done in")
    expect(place.locator(".live-output pre")).to_have_text("(42, np.float64(2.5))\n")
    page.keyboard.press("Escape")
    expect(place.locator(".live-run")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    told(place, "are back")
    expect(place.locator(".live-run")).to_be_focused()
    expect(editor).to_have_count(0)
    expect(place.locator(".live-output")).to_have_count(0)
    expect(place.locator(".cell_input pre")).to_be_visible()
    expect(place.locator(".cell_output img").first).to_be_visible()


def test_html_pictures_sounds_and_text_are_shown(chapter: Seen) -> None:
    output = run_as(cell(chapter.page, 1), RICH)
    expect(output.locator("td")).to_have_text("own")
    assert output.locator("img").evaluate("img => img.naturalWidth") > 100
    audio = output.locator("audio")
    audio.evaluate("audio => { audio.preload = 'auto'; }")
    chapter.page.wait_for_function("audio => audio.duration === 1", arg=audio.element_handle())
    expect(output.locator("pre")).to_have_text("printed\n")


def test_markdown_is_shown_as_a_page_shows_it(fresh: Seen, alike: str) -> None:
    module = alike + "_static/live_cells/markdown.js"
    shown = "async ([module, texts]) => texts.map((await import(module)).markdown)"
    texts, wanted = zip(*RENDERED, strict=True)
    assert tuple(fresh.page.evaluate(shown, [module, texts])) == wanted


def test_tables_listings_and_equations_of_markdown_are_shown(chapter: Seen) -> None:
    output = run_as(cell(chapter.page, 1), MARKDOWN)
    expect(output.locator("details summary")).to_contain_text("Source of signal")
    expect(output.locator("details pre")).to_contain_text("def signal(value: ArrayLike")
    expect(output.locator("th")).to_have_count(2)
    expect(output.locator("th mjx-container")).to_have_count(1)
    expect(output.locator("td").last).to_have_text("1.5")
    expect(output.locator("p code").last).to_have_text("a < b")
    link = output.locator("a", has_text="it")
    assert link.evaluate("link => link.href").endswith("/theory/corollary_1.html#top")


def test_sliders_compute_anew_between_their_frames(chapter: Seen) -> None:
    output = run_as(cell(chapter.page, 1), EXPLORER)
    slider = output.get_by_role("slider", name="hop")
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    expect(output.locator("p").last).to_have_text("hop 3")
    expect(slider).to_have_attribute("aria-valuetext", "3")


def test_what_stands_above_has_run_as_it_stands(chapter: Seen) -> None:
    one, two, three = (cell(chapter.page, n) for n in (1, 2, 3))
    run_as(one, "own = 1")
    run_as(two, "total = own + 1")
    expect(run_as(three, "total").locator("pre")).to_have_text("2\n")
    run_as(one, "own = 5")
    three.locator(".live-run").click()
    expect(three.locator(".live-stop")).to_be_hidden(timeout=300_000)
    expect(three.locator(".live-output pre")).to_have_text("6\n")
    for place in (two, three):
        place.locator(".live-reset").click()


def test_what_an_error_has_changed_is_computed_again(chapter: Seen) -> None:
    one, two, three = (cell(chapter.page, n) for n in (1, 2, 3))
    run_as(one, "own = 1")
    run_as(two, "total = own + 1")
    begin(one, "own = 5\n1 / 0")
    told(one, "ZeroDivisionError")
    one.locator("textarea").fill("own = 1")
    expect(run_as(three, "own").locator("pre")).to_have_text("1\n")
    for place in (two, three):
        place.locator(".live-reset").click()


def test_a_second_click_begins_nothing_and_says_nothing(chapter: Seen) -> None:
    page, place = chapter.page, cell(chapter.page, 1)
    place.locator(".live-edit").click()
    place.locator("textarea").fill("1")
    said = place.locator(".live-status").evaluate_handle(SAID)
    place.locator(".live-run").dblclick()
    told(place, "Done in")
    assert not [words for words in said.json_value() if "Another" in words]
    page.wait_for_timeout(100)
    place.locator(".live-reset").click()


def test_an_error_is_shown_with_its_traceback_and_stops_what_follows(chapter: Seen) -> None:
    page = chapter.page
    output = run_as(cell(page, 1), "def inverse(x):\n    return 1 / x\n\ninverse(0)", "division")
    expect(output.locator(".live-error")).to_contain_text("----> 4 inverse(0)")
    told(cell(page, 1), "ZeroDivisionError: division by zero")
    cell(page, 2).locator(".live-run").click()
    told(cell(page, 2), "A cell above this one ends in an error. ZeroDivisionError")


def test_what_is_shown_can_be_used_by_all(chapter: Seen) -> None:
    """An editor, an error and sliders are open."""
    page, found = chapter.page, []
    page.add_style_tag(content="* { transition: none !important }")
    page.locator(".stand-in").first.evaluate("place => place.scrollIntoView()")
    page.wait_for_selector(".widget-subarea [role=slider]")
    cell(page, 2).locator(".live-edit").click()
    for theme in ("light", "dark"):
        page.evaluate(
            "theme => Object.assign(document.documentElement.dataset, { theme, mode: theme })",
            theme,
        )
        page.wait_for_timeout(300)
        found += violations(page)
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=REPORTS / f"live-cells-{theme}.png")
    page.evaluate(SETTLED)
    page.set_viewport_size(PHONE)
    page.evaluate("() => settled")
    found += violations(page)
    cell(page, 1).scroll_into_view_if_needed()
    page.screenshot(path=REPORTS / "live-cells-phone.png")
    page.set_viewport_size(NARROW)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= NARROW["width"]
    page.set_viewport_size(WIDE)
    assert not found, "\n".join(found)


def test_a_stop_ends_a_cell_and_says_what_is_lost(chapter: Seen, browser: Browser) -> None:
    page, place = chapter.page, cell(chapter.page, 1)
    begin(place, "own = 1\nwhile True:\n    pass")
    told(place, "Cell 1 of 1")
    cell(page, 2).locator(".live-run").click()
    told(cell(page, 2), "Another cell runs")
    begun = processor_seconds(browser)
    place.locator(".live-stop").press("Enter")
    told(place, "Stopped. What the cells had computed is lost")
    assert processor_seconds(browser) - begun < STOPPED * slowness(browser)
    expect(place.locator(".live-run")).to_be_focused()
    output = run_as(place, "'own' in globals()")
    expect(output.locator("pre")).to_have_text("False\n")


def test_the_next_chapter_finds_python_started(chapter: Seen, browser: Browser, alike: str) -> None:
    """Where a cell was run before: it starts by itself, while the page is read."""
    page = chapter.page
    at_rest(page, f"{alike}{NEXT}.html")
    page.evaluate("document.querySelectorAll('article details').forEach(e => { e.open = true; })")
    page.wait_for_selector("body[data-python=started]")
    begun = processor_seconds(browser)
    place = cell(page, 2)
    place.locator(".live-run").click()
    told(place, "Done in")
    took = processor_seconds(browser) - begun
    print(f"{took:.1f} s of the processor to the first output in the second chapter")
    assert took < SECOND * slowness(browser)
