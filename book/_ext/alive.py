"""Python in the pages, in the reader's browser: one's own sound, and cells that run in their place.

Both run the Pyodide and the wheel of the notebooks (``lite.py``); nothing is uploaded.

The page of one's own sound is a page of its own, which the chapter shows in a frame: so it can have
a policy as strict as Pyodide allows, where the pages of the book have scripts of their theme in
their text. Its files are in ``book/_static/own_sound``. What depends on the build is filled in
here: the recipes there are, and the one other server that is asked for NumPy and SciPy, unless the
book has them.

The cells of a chapter run what its notebook for the browser has. A page loads the buttons alone, of
``book/_static/live_cells``, and the rest when one is pressed.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import lite
import official

from cdlnmf_lit.methods.recipes import RECIPES

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.config import Config


def recipes() -> dict[str, str]:
    """What each recipe is for, in the words of its first line."""
    lines = {name: (inspect.getdoc(of) or "").splitlines()[0] for name, of in RECIPES.items()}
    return {
        name: line.partition(":")[0].removeprefix("For ").rstrip(".")
        for name, line in lines.items()
    }


def other_server(root: Path) -> str:
    """The address that the page may ask beside its own, with a space before it; or nothing."""
    if lite.by_itself() or not (root / official.PYODIDE).exists():
        return ""
    parts = urlsplit(official.server(root))
    return f" {parts.scheme}://{parts.netloc}"


def fill_in(app: Sphinx, config: Config) -> None:
    """Tell the template what this build has."""
    config.html_context |= {
        "own_sound_recipes": recipes(),
        "own_sound_server": other_server(Path(app.srcdir)),
    }


def offer_cells(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Let the cells of a chapter be run in its page."""
    if app.config.lite_is_there and page in lite.chapters(app):
        attributes: dict[str, Any] = {"data-page": page}
        app.add_css_file("live_cells/live_cells.css")
        app.add_js_file("live_cells/live_cells.js", **attributes)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", fill_in)
    app.connect("html-page-context", offer_cells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
