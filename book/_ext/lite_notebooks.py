"""A chapter as a notebook for the browser, with what its cells gave when the book was built.

A cell that cannot run there, or takes too long, has the tag ``not-in-browser``: it is text. One
with the tag ``in-browser`` stands before it and does the same in small; the page hides it. All
others run as they are. Cross-references become words, theorems and proofs paragraphs with bold
heads, and links lead from notebook to notebook.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import jupytext
import nbformat.v4
from nbformat import NotebookNode

TOLD = "not-in-browser"
"""The tag of a cell that is only to be read there."""
VARIANT = "in-browser"
"""The tag of a cell that does in small what the next one does on the page."""
START = "start"
"""The tag of the first cell of code, which no chapter has."""
FOLDED = frozenset({"hide-cell", "hide-input", "remove-input"})
"""Tags of cells whose code the page folds away."""
KERNEL = {"name": "python", "display_name": "Python (Pyodide)", "language": "python"}

Words = Callable[[str, str], str]
"""From the kind of a reference and its target to the words that stand for it."""


# ---- the text ------------------------------------------------------------------------------------

BOX = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{(?:prf:)?(?P<kind>[\w-]+)\}[ ]*(?P<title>[^\n]*)\n"
    r"(?P<options>(?::[\w-]+:[^\n]*\n)*)(?P<body>.*?)^(?P=fence)[ ]*$",
    re.MULTILINE | re.DOTALL,
)
DISPLAYED = re.compile(
    r"^( *)(`{3,}|:{3,})\{math\}\n((?: *:[\w-]+:[^\n]*\n)*)(.*?)^ *\2 *$", re.M | re.S
)
TITLED = ("admonition", "dropdown")
"""Boxes that have a title alone, and no kind."""
LABELLED = re.compile(r"^ *:label: (.*)$", re.MULTILINE)
ROLE = re.compile(r"\{(?P<kind>[\w:]+)\}`(?:(?P<text>[^`<]*?)\s*<(?P<to>[^`>]*)>|(?P<all>[^`]*))`")
LABEL = re.compile(r"^\([\w:.-]+\)=(?:\n|$)", re.MULTILINE)
NUMBERED = re.compile(r"^\$\$ \((?P<label>[\w:.-]+)\)", re.MULTILINE)
LINK = re.compile(r"(\]\([\w./-]+)\.md(?:#[\w-]*)?\)")


def plain(text: str, words: Words) -> str:
    """MyST as the Markdown that a notebook shows.

    Examples
    --------
    >>> print(plain("(here)=\\nBy {eq}`one`, see [it](gabor.md#top).", lambda kind, to: "(1)"))
    By (1), see [it](gabor.ipynb).
    >>> print(plain("```{prf:theorem} Of one\\n\\nIt is one.\\n```", str))
    **Theorem (Of one).** It is one.
    """

    def role(found: re.Match[str]) -> str:
        return found["text"] or words(found["kind"], found["to"] or found["all"])

    def box(found: re.Match[str]) -> str:
        label = LABELLED.search(found["options"])
        head = words("prf:ref", label[1]) if label else found["kind"].capitalize()
        title = f" ({found['title']})" if found["title"] else ""
        bold = found["title"] if found["kind"] in TITLED else head + title
        return f"**{bold}.** {BOX.sub(box, found['body'].strip())}"

    def displayed(found: re.Match[str]) -> str:
        label = LABELLED.search(found[3])
        tag = rf"{found[1]}\tag{{{words('eq', label[1]).strip('()')}}}" + "\n" if label else ""
        return f"{found[1]}$$\n{found[4]}{tag}{found[1]}$$"

    text = DISPLAYED.sub(displayed, text)

    text = NUMBERED.sub(
        lambda found: rf"\tag{{{words('eq', found['label']).strip('()')}}}" + "\n$$", text
    )
    return ROLE.sub(role, LINK.sub(r"\1.ipynb)", LABEL.sub("", BOX.sub(box, text))))


# ---- the notebook --------------------------------------------------------------------------------

NOTE = """\
*This is the chapter as a notebook that runs in your browser: change what you like, nothing leaves
your machine. What stands below a cell was found when the book was built, until you run it. The
first cell fetches what is compiled from {server}, which may take a minute; all else comes from this
book. {versions}. There is one thread and no compiled loop here: a cell takes several times as long
as on the page.*
"""
SMALLER = """\
*{told} of the {all} cells are text, with the sign ▷ above them: they take minutes here, or need
what no browser has. Where another does the same in small, it stands before them.*
"""
FETCH = """\
# Fetches what the cells below need.
try:
    import cdlnmf_lit, matplotlib, numpy, scipy
except ImportError as error:
    raise ImportError(
        f"{{error.name}} could not be fetched from {server}: go online, or allow that address, "
        "and restart the kernel; a book built by `make book LITE=self` needs no other server."
    ) from None
"""


def chapter_in_browser(
    text: str,
    words: Words,
    macros: str = "",
    server: str = "this book",
    versions: str = "",
    executed: NotebookNode | None = None,
) -> NotebookNode:
    """A chapter's MyST Markdown as a notebook.

    ``macros`` are TeX commands for its equations, ``server`` is where what is compiled comes from,
    ``versions`` what that is, and ``executed`` the chapter as the build executed it, whose outputs
    are taken over.
    """
    chapter = jupytext.reads(text, fmt="md:myst")
    code = [cell for cell in chapter.cells if cell.cell_type == "code"]
    built = [cell for cell in executed.cells if cell.cell_type == "code"] if executed else code
    outputs = {id(cell): [*there.outputs] for cell, there in zip(code, built, strict=True)}
    told = sum(TOLD in tags(cell) for cell in code)
    of_chapter = sum(VARIANT not in tags(cell) for cell in code)
    note = NOTE.format(server=server, versions=versions)
    notes = [_markdown(note + (f"\n$${macros}$$" if macros else ""))]
    if told:
        notes.append(_markdown(SMALLER.format(told=told, all=of_chapter)))
    notes.append(_code(FETCH.format(server=server), [], tags=[START]))

    def new(cell: NotebookNode) -> NotebookNode:
        if cell.cell_type != "code":
            return _markdown(plain(cell.source, words))
        if TOLD in tags(cell):
            shown = "\n\n".join(as_markdown(outputs[id(cell)]))
            return _markdown(f"▷\n```python\n{cell.source}\n```\n\n{shown}", tags=tags(cell))
        folded = {"source_hidden": True} if FOLDED & {*tags(cell)} else {}
        return _code(cell.source, outputs[id(cell)], tags=tags(cell), jupyter=folded)

    title, *rest = map(new, chapter.cells)
    cells = [title, *notes, *rest]
    for n, cell in enumerate(cells):
        cell.id = f"cell-{n}"  # nbformat draws lots for them
    widgets = executed.metadata.get("widgets", {}) if executed else {}
    return _make.new_notebook(cells=cells, metadata={"kernelspec": KERNEL, "widgets": widgets})


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return list(cell.metadata.get("tags", []))


def as_markdown(outputs: list[NotebookNode]) -> Iterator[str]:
    """What a cell gave, as parts of a text.

    Examples
    --------
    >>> list(as_markdown([nbformat.v4.new_output("stream", text="1.5\\n")]))
    ['```text\\n1.5\\n```']
    """
    for output in outputs:
        data = output.get("data", {})
        if "image/png" in data:
            yield f"![figure](data:image/png;base64,{data['image/png'].strip()})"
        elif words := data.get("text/markdown") or data.get("text/html"):
            yield words.strip()
        elif printed := (output.get("text") or data.get("text/plain", "")).strip():
            yield f"```text\n{printed}\n```"


_make: Any = nbformat.v4


def _markdown(source: str, **metadata: Any) -> NotebookNode:
    return _make.new_markdown_cell(source, metadata=metadata)


def _code(source: str, outputs: list[NotebookNode], **metadata: Any) -> NotebookNode:
    return _make.new_code_cell(source, outputs=outputs, metadata={"trusted": True, **metadata})
