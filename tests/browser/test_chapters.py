"""Every chapter's notebook, run in the browser's own Python as the book ships it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import lite_notebooks
import official
import pytest
from playwright.sync_api import BrowserContext

from tests.browser.browsers_python import PROBE, ran
from tests.browser.site_server import CHAPTERS, HTML, ROOT

FILES = HTML / "lite" / "files"
SECONDS, BYTES, SHARE = 90, 1.5e9, 0.9
TOGETHER = 1.4
"""How many times longer a chapter takes on an idle machine when two run at a time."""


def names() -> list[str]:
    """The notebooks of the book."""
    found = (path.relative_to(FILES).with_suffix("") for path in FILES.rglob("*.ipynb"))
    return sorted(name.as_posix() for name in found)


def tagged(cells: list[Any], tag: str) -> list[int]:
    """The numbers of the cells that have a tag."""
    return [n for n, cell in enumerate(cells) if tag in cell["metadata"].get("tags", [])]


def test_the_files_are_those_that_pyodide_published() -> None:
    files = official.folder(ROOT)
    assert not [*official.differing(files, ROOT)]
    assert {"numpy", "scipy", "matplotlib"} <= {name.name.split("-")[0] for name in files.iterdir()}


def test_the_book_says_which_versions_it_ships() -> None:
    assert official.versions(ROOT) in " ".join(
        (ROOT / "book" / "intro.md").read_text("utf8").split()
    )


@pytest.mark.parametrize("name", names())
def test_no_role_or_directive_is_left_in_a_notebook(name: str) -> None:
    """With the words that the build gave for references, and what cells gave that are text."""
    cells = json.loads((FILES / f"{name}.ipynb").read_text("utf8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    text = re.sub(r"```(python|text)\n.*?\n```", "", text, flags=re.DOTALL)
    assert not re.findall(r"\{[\w:]+\}`[^`]|^ *[`:]{3,}\{.*|^\([\w:.-]+\)=$|\.md[#)]", text, re.M)


@pytest.mark.parametrize("name", names())
def test_a_chapter_runs(name: str, visit: BrowserContext, alike: str) -> None:
    notebook = json.loads((FILES / f"{name}.ipynb").read_text("utf8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    room = Path(name).parent
    there = (path.relative_to(FILES / room) for path in (FILES / room).glob("kept/*"))
    site = f"{alike}lite/files/{room}/"
    kept = {path.as_posix(): site + path.as_posix() for path in there}
    cells = ["".join(cell["source"]) for cell in code]
    answer = ran(visit, alike, cells, f"/drive/{room}", kept)
    told = len(tagged(notebook["cells"], lite_notebooks.TOLD))
    smaller = len(tagged(code, lite_notebooks.VARIANT))
    unaltered = len(code) - smaller - len(tagged(code, lite_notebooks.START))
    errors = {n: each["error"] for n, each in enumerate(answer["answers"]) if each["error"]}
    report = {
        "chapter": name.removeprefix("book/"),
        "cells": unaltered + told,
        "text": told,
        "smaller": smaller,
        "share": unaltered / (unaltered + told),
        "seconds": answer["seconds"],
        "processor": answer["processor"],
        "bytes": answer["bytes"],
        "errors": len(errors),
        "said": errors,
        "slowest": max((each["seconds"], n) for n, each in enumerate(answer["answers"])),
    }
    CHAPTERS.mkdir(parents=True, exist_ok=True)
    (CHAPTERS / f"{name.replace('/', '-')}.json").write_text(json.dumps(report), "utf8")
    assert not errors, {n: (error, cells[n][:400]) for n, error in errors.items()}
    assert report["share"] >= SHARE
    assert report["bytes"] <= BYTES
    assert report["seconds"] * PROBE / answer["probe"] <= SECONDS * TOGETHER
