"""The figures and tables of the book: how to point to one, take one along, make one again.

Under each figure of a page stand its link and its files: picture, lines, numbers. ``make figure
NAME=fig-gabor-phase`` computes them again: it runs the chapter as far as that figure, and writes
the picture and its numbers. A table is made again as lines of values with commas between.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import csv
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import colophon
import jupytext
import numpy as np
from execution import executed

from cdlnmf_lit.presentation.figures import FORMS, numbers, saved

if TYPE_CHECKING:
    from docutils import nodes
    from matplotlib.figure import Figure
    from nbformat import NotebookNode
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
TARGET = Path("_build/figures")
DRAWN = "\nSVG("
"""In a cell whose figure consists of lines from the start: a score."""
NUMBERED = re.compile(
    r'<figure [^>]*id="(?P<name>[\w-]+)">\s*(?:<a [^>]*>)?<img [^>]*src="(?P<source>[^":]+)"[^>]*>'
    r"(?:(?!</figure>).)*?(?=</p>\s*(?:</figcaption>))",
    re.DOTALL,
)
"""A figure with a name, as far as its caption's last word."""
PNG = re.compile(r'<img (?=[^>]*?src="[^":]*/(?P<digest>[0-9a-f]{64})\.png")(?P<rest>[^>]*>)')
"""A picture that a cell gave, which is named by its digest."""
LINKS = ' <span class="figure-links d-print-none"><a href="#{name}">Link</a>{files}</span>'
FILE = ' · <a href="{address}" download="{name}.{ending}">{what}</a>'
WORDS = {"svg": "SVG", "npz": "Numbers"}
"""What is said of a file that stands beside a picture, by its ending."""
FOLDER = "_static/figures"


# ---- on a page -----------------------------------------------------------------------------------


def linked(
    body: str, beside: Mapping[str, Mapping[str, str]] | None = None, licence: str = ""
) -> str:
    """A page's text with links after the caption of each figure: to it, and to its files.

    ``beside`` tells the addresses of the files by their endings, by the digest of the picture, and
    ``licence`` where the licence is.

    Examples
    --------
    >>> page = linked('<figure id="fig-a"><img src="b.png"><figcaption><p>It.</p></figcaption>')
    >>> page.partition("It. ")[2].partition("</span>")[0].count("<a ")
    2
    """

    def links(found: re.Match[str]) -> str:
        name, source = found["name"], found["source"]
        picture = Path(source)
        files = FILE.format(address=source, name=name, ending=picture.suffix[1:], what="Picture")
        there = (beside or {}).get(picture.stem, {})
        for ending, what in WORDS.items():
            if ending in there:
                files += FILE.format(address=there[ending], name=name, ending=ending, what=what)
        if licence:
            files += f' · <a href="{licence}">Licence</a>'
        return found[0] + LINKS.format(name=name, files=files)

    return NUMBERED.sub(links, body)


def on_dark(body: str, beside: Mapping[str, Mapping[str, str]]) -> str:
    """A page's text in which a picture that is also there for a dark page is there twice.

    Examples
    --------
    >>> digest = 64 * "a"
    >>> page = on_dark(f'<img alt="" src="i/{digest}.png">', {digest: {"dark.png": "d.png"}})
    >>> page.replace(digest, "a")
    '<img class="on-light" alt="" src="i/a.png"><img class="on-dark" hidden alt="" src="d.png">'
    """

    def both(found: re.Match[str]) -> str:
        dark = beside.get(found["digest"], {}).get("dark.png")
        if dark is None:
            return found[0]
        other = re.sub(r'(?<=src=")[^"]*', dark, found["rest"])
        return f'<img class="on-light" {found["rest"]}<img class="on-dark" hidden {other}'

    return PNG.sub(both, body)


def forms_of(notebook: NotebookNode) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The digest of each picture of an executed chapter, and what stands beside it, by endings."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if forms := output.get("metadata", {}).get(FORMS):
                picture = base64.b64decode(output.data["image/png"])
                files = {ending: base64.b64decode(content) for ending, content in forms.items()}
                yield hashlib.sha256(picture).hexdigest(), files


def passed_on(notebook: NotebookNode) -> NotebookNode:
    """A notebook without what only a page has beside its pictures.

    Examples
    --------
    >>> import nbformat
    >>> output = nbformat.v4.new_output("display_data", metadata={FORMS: {}, "width": 3})
    >>> cell = nbformat.v4.new_code_cell(outputs=[output])
    >>> passed_on(nbformat.v4.new_notebook(cells=[cell])).cells[0].outputs[0].metadata
    {'width': 3}
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("metadata", {}).pop(FORMS, None)
    return notebook


def settle(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    body, folder = context.get("body", ""), Path(app.outdir, FOLDER)
    if "<img" not in body or (notebook := executed(app, page)) is None:
        return
    address, beside = context["pathto"](FOLDER, 1), {}
    folder.mkdir(parents=True, exist_ok=True)
    for digest, files in forms_of(notebook):
        beside[digest] = {ending: f"{address}/{digest[:16]}.{ending}" for ending in files}
        for ending, content in files.items():
            (folder / f"{digest[:16]}.{ending}").write_bytes(content)
    licence = context["pathto"](f"{colophon.FOLDER}/LICENSE.txt", 1)
    context["body"] = on_dark(linked(body, beside, licence), beside)


# ---- made again ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """A figure or a table of a chapter, and the cell that makes it."""

    name: str
    page: Path
    caption: str
    cells: tuple[str, ...]
    """The code of the chapter as far as this result, cell by cell."""

    @property
    def file(self) -> str:
        """What it is written as.

        Examples
        --------
        >>> Result("fig-a", Path("a.md"), "It.", ("draw()",)).file
        'fig-a.png'
        """
        if "-table-" in self.name:
            return f"{self.name}.csv"
        return f"{self.name}.{'svg' if DRAWN in self.cells[-1] else 'png'}"


def is_table(code: str) -> bool:
    """Whether a cell ends with a table of results.

    Examples
    --------
    >>> is_table("x = 1\\ntable([{'x': x}])"), is_table("table = 1"), is_table("")
    (True, False, False)
    """
    try:
        *_, last = ast.parse(code).body
    except (SyntaxError, ValueError):  # IPython's own commands; nothing
        return False
    if not isinstance(last, ast.Expr) or not isinstance(last.value, ast.Call):
        return False
    function = last.value.func
    return isinstance(function, ast.Name) and function.id == "table"


def results(page: Path) -> Iterator[Result]:
    """The numbered figures and the tables of a chapter, in its order."""
    code: list[str] = []
    tables = 0
    for cell in jupytext.reads(page.read_text("utf8"), fmt="md:myst").cells:
        if cell.cell_type != "code":
            continue
        code.append(cell.source)
        if figure := cell.metadata.get("mystnb", {}).get("figure"):
            caption = " ".join(figure["caption"].split())
            yield Result(figure["name"], page, caption, tuple(code))
        elif is_table(cell.source):
            tables += 1
            caption = f"Table {tables} of {page.stem}"
            yield Result(f"{page.stem}-table-{tables}", page, caption, tuple(code))


def of_book(root: Path) -> dict[str, Result]:
    """All of them, by name."""
    pages = sorted((root / "book").rglob("*.md"))
    return {each.name: each for page in pages for each in results(page)}


def computed(result: Result) -> tuple[Any, dict[str, Any]]:
    """What the cell gives that makes it, once those before it have run, and how it is shown."""
    import matplotlib as mpl
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from matplotlib import pyplot
    from traitlets.config import Config

    mpl.use("agg")
    shell: Any = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    given: list[Any] = []
    shell.display_trap.hook = given.append  # before anything is drawn: a picture is drawn once
    with contextlib.chdir(result.page.parent), capture_output():
        for cell in result.cells:
            shell.run_cell(cell).raise_error()
        last = pyplot.gcf() if given[-1] is None else given[-1]
        return last, shell.display_formatter.format(last)[0]


def write(result: Result, folder: Path) -> list[Path]:
    """Make a result again and write it: a table as CSV, a figure as a picture with its numbers."""
    from bs4 import BeautifulSoup
    from front import rows_of_markup

    given, shown = computed(result)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / result.file
    if target.suffix == ".svg":
        target.write_text(shown["image/svg+xml"], encoding="utf8")
    elif target.suffix == ".csv":
        (table, *_) = BeautifulSoup(shown["text/html"], "html.parser").find_all("table")
        with target.open("w", newline="", encoding="utf8") as file:
            csv.writer(file).writerows(rows_of_markup(table))
    else:
        return [target, *drawn(given, shown["image/png"], target)]
    return [target]


def drawn(figure: Figure, picture: bytes, target: Path) -> list[Path]:
    """Write the picture of a figure, and beside it its numbers, and its lines where it has no more.

    A figure that is drawn again sets its panels a little differently: the picture is the first.
    """
    target.write_bytes(picture)
    beside = [target.with_suffix(".npz"), target.with_suffix(".svg")]
    np.savez(beside[0], **numbers(figure))  # type: ignore[arg-type]
    if any(ax.images for ax in figure.axes):
        return beside[:1]
    beside[1].write_bytes(saved(figure, "svg"))
    return beside


def main(name: str) -> None:
    known = of_book(ROOT)
    if name not in known:
        sys.exit(f"NAME must be one of {', '.join(known)}; got {name!r}")
    sys.path.insert(0, str(ROOT))  # the chapter runs on the package beside it
    for path in write(known[name], ROOT / TARGET):
        print(f"{known[name].page.stem}: {path.relative_to(ROOT)} is written")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", settle, priority=960)  # after pictures know their sizes
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    main(sys.argv[1])
