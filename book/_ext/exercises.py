"""The exercises of all chapters without their solutions, as notebooks in one file.

Each notebook begins with what its chapter computes above its exercises, in one folded cell: so
the names that an exercise speaks of are there. For a solution that is folded stands an empty cell.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jupytext
import nbformat.v4
from colophon import EXERCISES, FOLDER, stored
from lite import macros, words_of
from lite_notebooks import Words, plain, tags
from nbformat import NotebookNode
from stale import KEPT

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HEAD = re.compile(r"^## Exercises[ ]*\n", re.MULTILINE)
NEXT = re.compile(r"^## ", re.MULTILINE)
SOLUTION = re.compile(r"^(:{3,}|`{3,})\{dropdown\} Solution.*?^\1[ ]*$", re.MULTILINE | re.DOTALL)
FOLDED = frozenset({"hide-cell", "remove-cell"})
NOTE = """\
*The exercises of a chapter of the book, without their solutions, which stand at the end of the
chapter. Run the first cell first: it is what the chapter computes above them.*
"""
YOURS = "# Your solution"
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}

_make: Any = nbformat.v4


def sheet(text: str, words: Words, macros: str = "") -> NotebookNode | None:
    """A chapter's exercises as a notebook; none where it has no exercises.

    Parameters
    ----------
    text
        The chapter, in MyST Markdown.
    words
        What stands for its references.
    macros
        TeX commands that its equations use.
    """
    if not HEAD.search(text):
        return None
    above, asked = apart(jupytext.reads(text, fmt="md:myst").cells)
    title = re.search(r"^# (.*)$", text, re.MULTILINE)
    head = f"# {title[1] if title else 'Exercises'}: exercises\n\n{NOTE}"
    cells = [
        _make.new_markdown_cell(head + (f"\n$${macros}$$" if macros else "")),
        _make.new_code_cell("\n\n".join(above), metadata={"jupyter": {"source_hidden": True}}),
        *exercises(asked, words),
    ]
    for n, cell in enumerate(cells):
        cell.id = f"cell-{n}"  # nbformat draws lots for them
    return _make.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def apart(cells: list[NotebookNode]) -> tuple[list[str], list[NotebookNode]]:
    """The code above the exercises, and the cells of the exercises themselves."""
    above: list[str] = []
    asked: list[NotebookNode] | None = None
    for cell in cells:
        text = cell.source
        if asked is None and cell.cell_type == "code":
            above.append(text)
        elif cell.cell_type == "code":
            asked.append(cell)  # type: ignore[union-attr]
        else:
            if asked is None and (head := HEAD.search(text)):
                text, asked = text[head.end() :], []
            if asked is not None:
                end = NEXT.search(text)
                asked.append(_make.new_markdown_cell(text[: end.start()] if end else text))
                if end:
                    break
    return above, asked or []


def exercises(cells: list[NotebookNode], words: Words) -> Iterator[NotebookNode]:
    """What is asked, with an empty cell for each solution that is left out."""
    empty = False
    for cell in cells:
        if cell.cell_type == "code" and not FOLDED & {*tags(cell)}:
            yield _make.new_code_cell(cell.source)
        elif cell.cell_type == "code":
            if not empty:
                yield _make.new_code_cell(YOURS)
            empty = True
            continue
        elif text := plain(SOLUTION.sub("*Your answer:*", cell.source), words).strip():
            yield _make.new_markdown_cell(text)
        else:
            continue
        empty = False


def build(app: Sphinx, error: Exception | None) -> None:
    """Write the notebooks, and the kept numbers that their chapters read, into one file."""
    if error or app.builder.format != "html":
        return
    words, commands = words_of(app.env), macros(app.config)
    files: dict[str, bytes] = {}
    for page in sorted(app.env.found_docs):
        source = Path(app.env.doc2path(page))
        text = source.read_text("utf8")
        if notebook := sheet(text, words, commands):
            name = Path(page).relative_to("book")
            files[f"{name}.ipynb"] = _make.writes(notebook).encode()
            for kept in KEPT.findall(text):
                if (source.parent / kept).exists():
                    files[f"{name.parent / kept}"] = (source.parent / kept).read_bytes()
    with zipfile.ZipFile(Path(app.outdir, FOLDER, EXERCISES), "w") as archive:
        for path in sorted(files):
            archive.writestr(stored(path), files[path])


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
