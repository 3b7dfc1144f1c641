"""The notebooks that run in the browser: a kernel boots and a slider is alive."""

from __future__ import annotations

import json
import time

from playwright.sync_api import Page

from tests.browser.site_server import HTML
from tests.browser.test_pages import Seen, seen

__all__ = ["seen"]

RUN = """async source => {
  const { commands, shell } = window.jupyterapp;
  const { content: notebook, context } = shell.currentWidget;
  await context.sessionContext.ready;
  notebook.activeCellIndex = notebook.widgets.length - 1;
  await commands.execute("notebook:insert-cell-below");
  notebook.activeCell.model.sharedModel.setSource(source);
  await commands.execute("notebook:run-cell");
}"""
SLIDER = """
import ipywidgets
slider = ipywidgets.IntSlider(3, description="n")
shown = ipywidgets.interactive_output(lambda n: print("square", n * n), {"n": slider})
display(ipywidgets.VBox([slider, shown]))
"""
COMPILED = ("numpy", "scipy", "matplotlib", "contourpy", "kiwisolver", "pillow")


def until(page: Page, text: str) -> None:
    """Wait for what a cell prints. A cell out of sight has its output, but does not draw it."""
    output = page.locator(".jp-OutputArea-output", has_text=text).last
    output.evaluate("output => output.closest('.jp-Cell').scrollIntoView()")
    output.wait_for()


def test_a_kernel_boots_and_a_slider_is_alive(seen: Seen) -> None:
    page, lite = seen.page, HTML / "lite"
    assert lite.is_dir(), "the book was built without its notebooks: npm could not install Pyodide"
    page.goto(seen.site + "lite/notebooks/index.html?path=book/theory/gabor.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_function("window.jupyterapp?.shell?.currentWidget")
    page.evaluate(RUN, "print('six times seven is', 6 * 7)")
    until(page, "six times seven is 42")

    page.evaluate(RUN, SLIDER)
    until(page, "square 9")
    page.locator(".jp-Notebook [role=slider]").last.focus()
    page.keyboard.press("ArrowRight")
    until(page, "square 16")
    assert not seen.external
    assert not [each for each in seen.complaints if not each.startswith("console: ")]

    page.evaluate(RUN, "import cdlnmf_lit")
    packages = json.loads((lite / "static" / "pyodide" / "pyodide-lock.json").read_text("utf8"))[
        "packages"
    ]
    expected = {packages[name]["file_name"] for name in COMPILED}
    assert all(address.startswith("https://cdn.jsdelivr.net/pyodide/") for address in expected)
    end = time.monotonic() + 180
    while set(seen.external) != expected and time.monotonic() < end:
        page.wait_for_timeout(200)
    assert set(seen.external) == expected
