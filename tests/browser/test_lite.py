"""The notebooks in the browser: a kernel boots, a slider is alive, what a cell needs is there."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import lite
import pytest
from playwright.sync_api import Browser, Page

from tests.browser.site_server import HTML, PREFIX, ROOT, serving
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
  await commands.execute("notebook:run-cell");
}"""
OUTPUTS = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells].filter(
  cell => cell.type === "code" && cell.outputs.length
).length"""
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


def test_a_kernel_boots_and_a_slider_is_alive(browser: Browser, alike: str) -> None:
    folder = HTML / "lite"
    assert folder.is_dir(), (
        "the book was built without its notebooks: npm could not install Pyodide"
    )
    page, asked = browser.new_context().new_page(), []
    page.set_default_timeout(180_000)
    page.on("request", lambda request: asked.append(request.url))
    open_notebook(page, alike, "theory/gabor")
    page.evaluate(RUN, "print('six times seven is', 6 * 7)")
    until(page, "six times seven is 42")

    page.evaluate(RUN, SLIDER)
    until(page, "square 9")
    page.locator(".jp-Notebook .noUi-target").last.click()
    moved = page.locator(".jp-OutputArea-output", has_text=re.compile(r"square \d{3,}"))
    moved.last.wait_for()
    own = alike.removesuffix(PREFIX), "blob:", "data:"
    assert not [address for address in asked if not address.startswith(own)]
    page.context.close()

    lock = json.loads((folder / "static" / "pyodide" / "pyodide-lock.json").read_text("utf8"))
    addresses = [lock["packages"][name]["file_name"] for name in COMPILED]
    assert all(address.startswith("https://cdn.jsdelivr.net/pyodide/") for address in addresses)


def test_a_notebook_shows_what_the_build_found_and_runs_beside_its_kept_numbers(
    browser: Browser, alike: str
) -> None:
    page = browser.new_context().new_page()
    page.set_default_timeout(180_000)
    open_notebook(page, alike, "experiments/piano")
    assert page.evaluate(OUTPUTS) > 5
    page.evaluate(START)
    source = "from pathlib import Path\nprint(Path('kept/piano.json').stat().st_size, 'bytes')"
    page.evaluate(RUN, source)
    size = (HTML / "lite/files/book/experiments/kept/piano.json").stat().st_size
    until(page, f"{size} bytes")
    page.context.close()


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
