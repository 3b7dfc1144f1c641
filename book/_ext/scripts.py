"""Serve the scripts of the sliders with the book, so that no request of a reader leaves the site.

npm installs what package.json names, as a part of `make book`; the script and its icons are copied
from there. Where npm could not, pages with sliders load the same version from a public server.

They are large, so a page loads them when its first slider comes near (``when_near.js``). Until then
the frame that a slider opens at stands in its place.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import media
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
LATER = "text/when-near"
"""The type of a script that the page's own script loads when it is needed."""
VIEW = re.compile(r'<script type="application/vnd.jupyter.widget-view\+json">(.*?)</script>', re.S)
SLIDER = "height: 32px"
"""What a slider takes, its margins with it."""
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
    config.nb_ipywidgets_js = {"widgets.js": {}, source: {"type": LATER}}
    if source.startswith(SERVER):
        log.info("npm installed no %s: the sliders will load it from %s", PACKAGE, SERVER)


def copy_files(app: Sphinx) -> None:
    source = installed(Path(app.srcdir))
    target = Path(app.outdir, "_static", FOLDER)
    if app.builder.format == "html" and (source / SCRIPT).exists():
        target.mkdir(parents=True, exist_ok=True)
        for file in (source / SCRIPT, *source.glob("*.woff2")):
            shutil.copy2(file, target)


def opening(states: dict[str, Any], model: str) -> str:
    """What stands at first where a widget will: its frames as they open, and room for its sliders.

    Examples
    --------
    >>> chosen = {"children": ["IPY_MODEL_none", "IPY_MODEL_b"], "selected_index": 1}
    >>> stack = {"model_name": "StackModel", "state": chosen}
    >>> frame = {"model_name": "HTMLModel", "state": {"value": "<img>"}}
    >>> opening({"a": stack, "b": frame}, "a")
    '<img>'
    """
    kind, state = states[model]["model_name"], states[model]["state"]
    if kind == "HTMLModel":
        return str(state.get("value", ""))
    if "Slider" in kind or "Toggle" in kind:
        return f'<div style="{SLIDER}"></div>'
    children = [child.removeprefix("IPY_MODEL_") for child in state.get("children", [])]
    if kind == "StackModel":
        children = [children[state.get("selected_index") or 0]]
    return "".join(opening(states, child) for child in children)


def move_frames(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put the frames of the sliders into a file of their own, which no reader waits for.

    Nor does the search, which reads whole pages. The pictures and sounds of the frames are files
    too: only those that are seen or heard are loaded.
    """
    for script in [js for js in context["script_files"] if js.attributes.get("type") == STATE]:
        context["script_files"].remove(script)
        whole = json.loads(script.attributes["body"])
        states = whole["state"]
        folder = Path(app.outdir, media.FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        for model in states.values():
            if isinstance(frame := model["state"].get("value"), str):
                address = context["pathto"](media.FOLDER, 1)
                model["state"]["value"] = media.apart(frame, folder, address)
        file = Path(app.outdir, "_static", FOLDER, f"{page}.js")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(FRAMES % (STATE, json.dumps(whole)), encoding="utf8")
        app.add_js_file(f"{FOLDER}/{page}.js", type=LATER)

        def stand_in(view: re.Match[str], states: dict[str, Any] = states) -> str:
            first = opening(states, json.loads(view[1])["model_id"])
            return f'{view[0]}<div class="stand-in">{first}</div>'

        context["body"] = VIEW.sub(stand_in, context["body"])


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", choose_address)
    app.connect("builder-inited", copy_files)
    app.connect("html-page-context", move_frames, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
