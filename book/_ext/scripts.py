"""Serve the scripts of the sliders with the book, so that no request of a reader leaves the site.

npm installs what package.json names, as a part of `make book`; the script and its icons are copied
from there. Where npm could not, pages with sliders load the same version from a public server.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.util import logging

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.config import Config

PACKAGE = "@jupyter-widgets/html-manager"
SCRIPT = "embed.js"
FOLDER = "widgets"
SERVER = "https://cdn.jsdelivr.net/npm"
STATE = "application/vnd.jupyter.widget-state+json"
# Adds to the page what the script of the sliders looks for when all is loaded.
FRAMES = """document.head.append(
  Object.assign(document.createElement("script"), { type: "%s", text: JSON.stringify(%s) }),
);
"""

log = logging.getLogger(__name__)


def installed(root: Path) -> Path:
    """Where npm puts the script, its icons and nothing else that a page loads."""
    return root / "node_modules" / PACKAGE / "dist"


def address(root: Path) -> str:
    """The script's address, in ``_static`` if npm installed it and else on a public server."""
    if (installed(root) / SCRIPT).exists():
        return f"{FOLDER}/{SCRIPT}"
    version = json.loads((root / "package.json").read_text("utf8"))["dependencies"][PACKAGE]
    return f"{SERVER}/{PACKAGE}@{version}/dist/{SCRIPT}"


def choose_address(app: Sphinx, config: Config) -> None:
    source = address(Path(app.srcdir))
    config.nb_ipywidgets_js = {"widgets.js": {}, source: {"defer": "defer"}}
    if source.startswith(SERVER):
        log.info("npm installed no %s: the sliders will load it from %s", PACKAGE, SERVER)


def copy_files(app: Sphinx) -> None:
    source = installed(Path(app.srcdir))
    target = Path(app.outdir, "_static", FOLDER)
    if app.builder.format == "html" and (source / SCRIPT).exists():
        target.mkdir(parents=True, exist_ok=True)
        for file in (source / SCRIPT, *source.glob("*.woff2")):
            shutil.copy2(file, target)


def move_frames(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put the frames of the sliders into a file of their own, which no reader waits for.

    Nor does the search, which reads whole pages.
    """
    for script in [js for js in context["script_files"] if js.attributes.get("type") == STATE]:
        context["script_files"].remove(script)
        file = Path(app.outdir, "_static", FOLDER, f"{page}.js")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(FRAMES % (STATE, script.attributes["body"]), encoding="utf8")
        app.add_js_file(f"{FOLDER}/{page}.js", loading_method="async")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", choose_address)
    app.connect("builder-inited", copy_files)
    app.connect("html-page-context", move_frames, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
