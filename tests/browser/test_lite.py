"""The notebooks in the browser: a kernel boots, a slider is alive, what a cell needs is there."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import lite
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.site_server import HTML, PREFIX, ROOT, serving
from tests.browser.test_live_cells import KEPT
from tests.browser.test_pages import Seen

RUN = """async source => {
  const { commands, shell } = window.jupyterapp;
  const { content: notebook, context } = shell.currentWidget;
  await context.sessionContext.ready;
  notebook.activeCellIndex = notebook.widgets.length - 1;
  await commands.execute("notebook:insert-cell-below");
  notebook.activeCell.model.sharedModel.setSource(source);
  await commands.execute("notebook:run-cell");
}"""
START = """async () => {
  const { commands, shell } = window.jupyterapp;
  const { content: notebook, context } = shell.currentWidget;
  await context.sessionContext.ready;
  notebook.activeCellIndex = notebook.widgets.findIndex(cell => cell.model.type === "code");
  commands.execute("notebook:run-cell");
}"""
OUTPUTS = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells].filter(
  cell => cell.type === "code" && cell.outputs.length
).length"""
CELLS = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells].filter(
  cell => cell.type === "code").length"""
ACTIVE = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
IN_SIGHT = """() => {
  const { content: notebook } = window.jupyterapp.shell.currentWidget;
  const seen = notebook.outerNode.getBoundingClientRect();
  const cell = notebook.activeCell.node.getBoundingClientRect();
  return seen.top <= cell.bottom && cell.top <= seen.bottom;
}"""
SHORT = """async source => {
  const { content: notebook } = window.jupyterapp.shell.currentWidget;
  for (const { model } of notebook.widgets)
    if (model.type === "code") model.sharedModel.setSource(source);
  notebook.activeCellIndex = 5;
  await notebook.scrollToItem(5, "start");
}"""
SLIDER = """
import ipywidgets
slider = ipywidgets.IntSlider(3, description="n")
shown = ipywidgets.interactive_output(lambda n: print("square", n * n), {"n": slider})
display(ipywidgets.VBox([slider, shown]))
"""
COMPILED = ("numpy", "scipy", "openblas", "matplotlib", "contourpy", "kiwisolver", "pillow")


def until(page: Page, text: str) -> None:
    """Wait for what a cell prints. A cell out of sight has its output, but does not draw it."""
    output = page.locator(".jp-OutputArea-output", has_text=text).last
    output.evaluate("output => output.closest('.jp-Cell').scrollIntoView()")
    output.wait_for()


def open_notebook(page: Page, site: str, name: str) -> None:
    page.goto(f"{site}lite/notebooks/index.html?path=book/{name}.ipynb")
    page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.context")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.context.ready")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")


@pytest.fixture(scope="module")
def notebook(browser: Browser, alike: str) -> Iterator[Page]:
    """A chapter's notebook as it opens; its kernel starts."""
    page, asked = browser.new_context().new_page(), []
    page.set_default_timeout(180_000)
    page.on("request", lambda request: asked.append(request.url))
    open_notebook(page, alike, "experiments/piano")
    yield page
    own = alike.removesuffix(PREFIX), "blob:", "data:"
    assert not [address for address in asked if not address.startswith(own)]
    page.context.close()


def test_what_is_compiled_comes_from_pyodides_server() -> None:
    lock = json.loads((HTML / "lite/static/pyodide/pyodide-lock.json").read_text("utf8"))
    addresses = [lock["packages"][name]["file_name"] for name in COMPILED]
    assert all(address.startswith("https://cdn.jsdelivr.net/pyodide/") for address in addresses)


def test_a_notebook_shows_what_the_build_found_and_runs_beside_its_kept_numbers(
    notebook: Page,
) -> None:
    assert notebook.evaluate(OUTPUTS) > 5
    notebook.evaluate(START)
    source = "from pathlib import Path\nprint(Path('kept/piano.json').stat().st_size, 'bytes')"
    notebook.evaluate(RUN, source)
    size = (HTML / "lite/files/book/experiments/kept/piano.json").stat().st_size
    until(notebook, f"{size} bytes")


def test_a_slider_is_alive_and_follows_the_keys(notebook: Page) -> None:
    notebook.evaluate(RUN, SLIDER)
    until(notebook, "square 9")
    handle = notebook.locator(".jp-Notebook [role=slider]").last
    handle.focus()
    active = notebook.evaluate(ACTIVE)
    for key, square in (("ArrowRight", 16), ("ArrowUp", 25), ("ArrowLeft", 16), ("ArrowDown", 9)):
        handle.press(key)
        until(notebook, f"square {square}")
    assert notebook.evaluate(ACTIVE) == active
    expect(handle).to_be_focused()
    notebook.locator(".jp-Notebook .noUi-target").last.click()
    notebook.locator(".jp-OutputArea-output", has_text=re.compile(r"square \d{3,}")).last.wait_for()


def test_what_a_kernel_compiled_is_kept_for_the_next(notebook: Page) -> None:
    notebook.wait_for_function(KEPT)


def test_a_kernel_starts_without_the_store_of_what_was_compiled(
    browser: Browser, alike: str
) -> None:
    page, refused = browser.new_context().new_page(), []
    page.set_default_timeout(180_000)

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.abort()

    page.context.route("**/bytecode.js", refuse)
    open_notebook(page, alike, "theory/gabor")
    page.evaluate(RUN, "print('it is', 6 * 7)")
    until(page, "it is 42")
    assert refused == [f"{alike}_static/bytecode.js"]
    page.context.close()


def test_run_all_keeps_its_place_and_shows_progress(notebook: Page) -> None:
    notebook.evaluate(SHORT, "import time; time.sleep(0.2); print(1)")
    place = notebook.evaluate(ACTIVE)
    notebook.evaluate("window.jupyterapp.commands.execute('runmenu:run-all'), null")
    progress = notebook.locator(".jp-Notebook-ExecutionIndicator [role=progressbar]")
    seen = {progress.get_attribute("aria-valuenow")}
    while (count := notebook.evaluate(OUTPUTS)) < notebook.evaluate(CELLS):
        seen.add(progress.get_attribute("aria-valuenow"))
        notebook.wait_for_timeout(50)
    assert count
    assert len(seen) > 2, seen
    assert notebook.evaluate(ACTIVE) == place
    assert notebook.evaluate(IN_SIGHT)


def test_where_the_server_is_refused_the_notebook_says_what_to_do(
    browser: Browser, site: str
) -> None:
    context = browser.new_context()
    context.set_default_timeout(180_000)
    found = Seen(context.new_page(), site)
    found.watch()
    open_notebook(found.page, site, "theory/gabor")
    found.page.evaluate(START)
    until(found.page, "numpy could not be fetched from cdn.jsdelivr.net: go online, or allow that")
    found.page.evaluate(RUN, "print('and yet it is', 6 * 7)")
    until(found.page, "and yet it is 42")
    assert {urlsplit(address).netloc for address in found.external} == {"cdn.jsdelivr.net"}
    context.close()


def test_a_book_by_itself_asks_no_other_server(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITE", "self")
    wheels = ROOT / "_build" / "lite" / "wheels"
    if wheels.exists():
        shutil.copytree(wheels, tmp_path / "wheels")
    lite.prepare(ROOT, tmp_path)
    with serving(core=tmp_path / "static" / "pyodide") as site:
        context = browser.new_context()
        context.set_default_timeout(180_000)
        found = Seen(context.new_page(), site)
        found.watch()
        open_notebook(found.page, site, "theory/gabor")
        found.page.evaluate(START)
        found.page.evaluate(RUN, "import numpy\nprint('here is', numpy.__name__, 1 + numpy.pi)")
        until(found.page, "here is numpy 4.14")
        context.close()
    assert not found.external
