"""Pages load the book's own scripts; without npm the sliders ask a public server for the same."""

import base64
import copy
import json
import re
from pathlib import Path

import pytest
import scripts
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
WIDGET, FRAME, SLIDER, STACK = "f" * 32, "a" * 32, "b" * 32, "c" * 32
VIEW = {"model_id": WIDGET, "version_major": 2, "version_minor": 0}
STATES = {
    WIDGET: {
        "model_name": "VBoxModel",
        "state": {"children": [f"IPY_MODEL_{SLIDER}", f"IPY_MODEL_{STACK}"]},
    },
    SLIDER: {"model_name": "SelectionSliderModel", "state": {}},
    STACK: {
        "model_name": "StackModel",
        "state": {"children": ["IPY_MODEL_none", f"IPY_MODEL_{FRAME}"], "selected_index": 1},
    },
    FRAME: {"model_name": "HTMLModel", "state": {"value": "<b>the frame</b>"}},
}
NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "widgets": {scripts.STATE: {"state": STATES}},
    },
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# A slider\n\nText."},
        {
            "cell_type": "code",
            "execution_count": 1,
            "id": "b",
            "metadata": {},
            "outputs": [
                {
                    "output_type": "display_data",
                    "data": {"application/vnd.jupyter.widget-view+json": VIEW},
                    "metadata": {},
                }
            ],
            "source": "slider",
        },
    ],
}
PLAIN = "# Only text\n\nNothing moves.\n"


@pytest.fixture
def folder(tmp_path):
    """The source of a book of two pages, one of which has a slider."""
    (tmp_path / "index.ipynb").write_text(json.dumps(NOTEBOOK))
    (tmp_path / "plain.md").write_text(f"---\norphan: true\n---\n{PLAIN}")
    (tmp_path / "package.json").write_text((ROOT / "package.json").read_text("utf8"))
    return tmp_path


@pytest.fixture
def packages(folder):
    """What npm leaves behind."""
    target = scripts.installed(folder)
    target.mkdir(parents=True)
    for name in ("embed.js", "embed-amd.js", "icons.woff2", "icons.eot"):
        (target / name).write_text(name)
    return target


def build(folder):
    options = {
        "extensions": ["myst_nb", "scripts"],
        "nb_execution_mode": "off",
        "exclude_patterns": ["node_modules"],
    }
    app = Sphinx(folder, None, folder / "html", folder / "trees", "html", options, None, None)
    app.build()
    return folder / "html"


def sources(page):
    return re.findall(r'<script[^>]* src="([^"?]+)', page.read_text("utf8"))


def test_a_page_with_a_slider_loads_nothing_from_elsewhere(folder, packages):
    html = build(folder)
    assert "_static/widgets/embed.js" in sources(html / "index.html")
    assert not [source for source in sources(html / "index.html") if "://" in source]
    copied = {path.name for path in (html / "_static" / "widgets").iterdir()}
    assert copied == {"embed.js", "icons.woff2", "index.js"}


def test_the_pinned_version_comes_from_a_server_where_npm_was_not_to_be_had(folder):
    html = build(folder)
    version = json.loads((folder / "package.json").read_text())["dependencies"][scripts.PACKAGE]
    (away,) = [source for source in sources(html / "index.html") if "://" in source]
    assert away.endswith(f"{scripts.PACKAGE}@{version}/dist/embed.js")
    assert not (html / "_static" / "widgets" / "embed.js").exists()


def test_a_page_without_sliders_loads_no_script_for_them(folder, packages):
    html = build(folder)
    assert not [source for source in sources(html / "plain.html") if "widgets" in source]


def test_the_frames_are_in_a_file_that_the_page_does_not_wait_for(folder, packages):
    html = build(folder)
    page = (html / "index.html").read_text("utf8")
    assert SLIDER not in page
    for late in ("embed.js", "index.js"):
        tag = rf'<script type="{scripts.LATER}" src="_static/widgets/{late}'
        assert re.search(tag, page)
    text = (html / "_static" / "widgets" / "index.js").read_text("utf8")
    state = json.loads(text[text.index("JSON.stringify(") + 15 : text.rindex(") })")])
    assert state == NOTEBOOK["metadata"]["widgets"][scripts.STATE]


def test_the_frame_that_a_slider_opens_at_stands_in_its_place(folder, packages):
    page = (build(folder) / "index.html").read_text("utf8")
    place = f'<div class="stand-in"><div style="{scripts.SLIDER}"></div><b>the frame</b></div>'
    assert page.count(place) == 1


def test_the_pictures_of_the_frames_are_files(folder, packages):
    picture = bytes(900)
    data = base64.b64encode(picture).decode()
    notebook = copy.deepcopy(NOTEBOOK)
    states = notebook["metadata"]["widgets"][scripts.STATE]["state"]
    states[FRAME]["state"]["value"] = f'<img alt="x" src="data:image/webp;base64,{data}">'
    (folder / "index.ipynb").write_text(json.dumps(notebook))
    html = build(folder)
    (file,) = (html / "_static" / "media").iterdir()
    assert file.read_bytes() == picture
    for place in (html / "index.html", html / "_static" / "widgets" / "index.js"):
        assert f"_static/media/{file.name}" in place.read_text("utf8")
        assert data not in place.read_text("utf8")


def test_every_version_is_pinned():
    manifest = json.loads((ROOT / "package.json").read_text("utf8"))
    for version in {**manifest["dependencies"], **manifest["devDependencies"]}.values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
