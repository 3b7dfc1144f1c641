"""Pages load the book's own scripts; without npm the sliders ask a public server for the same."""

import json
import re
from pathlib import Path

import pytest
import scripts
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
WIDGET = "f" * 32
NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "widgets": {scripts.STATE: {"state": {WIDGET: {"model_name": "IntSliderModel"}}}},
    },
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# A slider\n\nText."}
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
    assert WIDGET not in page
    assert re.search(r'<script async="async" src="_static/widgets/index.js', page)
    text = (html / "_static" / "widgets" / "index.js").read_text("utf8")
    state = json.loads(text[text.index("JSON.stringify(") + 15 : text.rindex(") })")])
    assert state == NOTEBOOK["metadata"]["widgets"][scripts.STATE]


def test_every_version_is_pinned():
    manifest = json.loads((ROOT / "package.json").read_text("utf8"))
    for version in {**manifest["dependencies"], **manifest["devDependencies"]}.values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
