"""A chapter as a notebook for the browser: what cannot run there is told, not tried.

Cross-references become words, theorems and proofs paragraphs with bold heads, and links lead from
notebook to notebook.
"""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Callable, Container, Iterator
from typing import Any

import jupytext
import nbformat.v4
from nbformat import NotebookNode
from stale import MAGIC

ABSENT = ("distributed", "verovio")
"""Packages that no browser has."""
HEAVY = frozenset({"kept", "sources_apart", "trial"})
"""What an experiment sweeps: it takes minutes where it has threads and compiled loops."""
TOLD_TAG = "not-in-browser"
"""The tag of a cell of which the chapter knows that it is only to be read there."""
FOLDED = frozenset({"hide-cell", "hide-input", "remove-input"})
"""Tags of cells whose code the page folds away."""
KERNEL = {"name": "python", "display_name": "Python (Pyodide)", "language": "python"}

Words = Callable[[str, str], str]
"""From the kind of a reference and its target to the words that stand for it."""


# ---- which cells can run -------------------------------------------------------------------------


def split(sources: list[str], elsewhere: Container[int] = frozenset()) -> list[tuple[str, str]]:
    """Each cell in two: the statements that run, and those that can only be read.

    The latter begin with the first that takes too long or needs what is not there. What they would
    have defined is not there for the cells that follow. Cells whose number is in ``elsewhere`` are
    only read too.

    Examples
    --------
    >>> split(["import verovio", "n = 1\\nscore = verovio.toolkit()", "print(n)", "print(score)"])
    [('', ''), ('n = 1', 'score = verovio.toolkit()'), ('print(n)', ''), ('', 'print(score)')]
    """
    known, lost, answer = set[str](), set(HEAVY), list[tuple[str, str]]()
    for number, source in enumerate(sources):
        body = ast.parse(MAGIC.sub("", source)).body
        lost |= {name for node in body for name in _absent(node)}
        n = 0
        while n < len(body) and number not in elsewhere:
            if (_needed(body[n]) - _looped(body[n])) & lost:
                break
            lost -= _assigned(body[n])
            n += 1
        known.update(*map(_assigned, body))
        lost.update(*map(_assigned, body[n:]), _changed(body[n:]) & known)
        lines = source.splitlines()
        here = _start(body[n]) if n < len(body) else len(lines)
        runs, read = "\n".join(lines[:here]).rstrip(), "\n".join(lines[here:])
        answer.append((without_absent(runs), read))
    return answer


def _start(node: ast.stmt) -> int:
    """The number of lines before a statement."""
    return min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1


def without_absent(source: str) -> str:
    """A source without its imports of packages that no browser has.

    Examples
    --------
    >>> without_absent("import numpy as np\\nimport verovio")
    'import numpy as np'
    """
    lines = source.splitlines()
    for node in reversed(ast.parse(MAGIC.sub("", source)).body):
        if _absent(node):
            del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines)


def _absent(node: ast.stmt) -> list[str]:
    """The names that an import of an absent package would have given."""
    if isinstance(node, ast.Import):
        return [a.asname or a.name for a in node.names if a.name.partition(".")[0] in ABSENT]
    if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ABSENT:
        return [a.asname or a.name for a in node.names]
    return []


def _needed(node: ast.stmt) -> set[str]:
    """The global names that a statement looks up, in functions too; none if it prints a source."""

    def scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
        yield table
        for child in table.get_children():
            yield from scopes(child)

    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id="show"))):
            return set()
    return {
        symbol.get_name()
        for table in scopes(symtable.symtable(ast.unparse(node), "cell", "exec"))
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global())
    }


def _assigned(node: ast.stmt) -> set[str]:
    symbols = symtable.symtable(ast.unparse(node), "cell", "exec").get_symbols()
    return {s.get_name() for s in symbols if s.is_assigned() and not s.is_imported()}


def _looped(node: ast.stmt) -> set[str]:
    """The names that a loop gives a value before its body looks them up."""
    return _names(node.target) if isinstance(node, ast.For) else set()


def _names(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _changed(body: list[ast.stmt]) -> set[str]:
    """The names of which a part is assigned, as in ``x[0] = 1``, or that may change themselves."""
    names = set()
    for node in (inner for statement in body for inner in ast.walk(statement)):
        match node:
            case (
                ast.Subscript(value=ast.Name(id=name), ctx=ast.Store())
                | ast.Attribute(value=ast.Name(id=name), ctx=ast.Store())
                | ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name))))
            ):
                names.add(name)
    return names


# ---- the text ------------------------------------------------------------------------------------

BOX = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{(?:prf:)?(?P<kind>[\w-]+)\}[ ]*(?P<title>[^\n]*)\n"
    r"(?P<options>(?::[\w-]+:[^\n]*\n)*)(?P<body>.*?)^(?P=fence)[ ]*$",
    re.MULTILINE | re.DOTALL,
)
LABELLED = re.compile(r"^:label: (.*)$", re.MULTILINE)
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
        return f"**{head}{title}.** {BOX.sub(box, found['body'].strip())}"

    text = NUMBERED.sub(
        lambda found: rf"\tag{{{words('eq', found['label']).strip('()')}}}" + "\n$$", text
    )
    return ROLE.sub(role, LINK.sub(r"\1.ipynb)", LABEL.sub("", BOX.sub(box, text))))


# ---- the notebook --------------------------------------------------------------------------------

NOTE = """\
*This is the chapter as a notebook that runs in your browser: change what you like, nothing leaves
your machine. The first import fetches NumPy, SciPy and Matplotlib from Pyodide's server, which may
take a minute; all else comes from this book. There is one thread and no compiled loop here: a cell
takes several times as long as on the page.*
"""
TOLD = """\
*{told} of the {all} cells are text, as a whole or from the sign ▷ on: they sweep over many sounds,
which takes hours here, or need what no browser has. What they give is on the book's page.*
"""
LONG = 20.0
"""Seconds from which on a chapter says that it is a long one."""
LASTS = """\
*It is one of the long ones: its cells took {seconds:.0f} s where the book was built, and take
minutes here. Run those you want, rather than all.*
"""
VARIANT = """\
# A small variant of the sweeps: one sound, one start, the fastest method.
from cdlnmf_lit.experiments.paper import {sound}_trials
from cdlnmf_lit.experiments.trials import sources_apart, trial, without_score
from cdlnmf_lit.presentation import audio

(point,) = {sound}_trials("KL-NMF", [0])
print(trial(**point).scores)
mixture = point["mixture"]
heard = sources_apart(**without_score(point))
names = [mixture.names[n] for n in mixture.source_numbers]
audio.players(dict(zip(names, heard, strict=True)), mixture.sample_rate)
"""


def variants(code: list[str]) -> Iterator[str]:
    """Code that stands for the sweeps of a chapter."""
    for sound in ("piano", "chirps"):
        if any(f"{sound}_trials(" in source for source in code):
            yield VARIANT.format(sound=sound)


def chapter_in_browser(
    text: str, words: Words, macros: str = "", seconds: float = 0.0
) -> NotebookNode:
    """A chapter's MyST Markdown as a notebook, unexecuted.

    ``macros`` are TeX commands for its equations, ``seconds`` what its page took.
    """
    chapter = jupytext.reads(text, fmt="md:myst")
    code = [cell for cell in chapter.cells if cell.cell_type == "code"]
    tagged = {n for n, cell in enumerate(code) if TOLD_TAG in cell.metadata.get("tags", [])}
    parts = split([cell.source for cell in code], tagged)
    read = [only_read for _, only_read in parts if only_read]
    notes = [_markdown(NOTE + (f"\n$${macros}$$" if macros else ""))]
    if seconds > LONG:
        notes.append(_markdown(LASTS.format(seconds=seconds)))
    if read:
        notes.append(_markdown(TOLD.format(told=len(read), all=len(parts))))
        notes += map(_code, variants(read))
    answers = iter(parts)

    def cells_of(cell: NotebookNode) -> Iterator[NotebookNode]:
        if cell.cell_type != "code":
            yield _markdown(plain(cell.source, words))
            return
        runs, only_read = next(answers)
        if runs:
            folded = FOLDED & set(cell.metadata.get("tags", []))
            yield _code(runs, jupyter={"source_hidden": True} if folded else {})
        if only_read:
            yield _markdown(f"▷\n```python\n{only_read}\n```")

    title, *rest = (new for cell in chapter.cells for new in cells_of(cell))
    cells = [title, *notes, *rest]
    for n, cell in enumerate(cells):
        cell.id = f"cell-{n}"  # nbformat draws lots for them
    return _make.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


_make: Any = nbformat.v4


def _markdown(source: str) -> NotebookNode:
    return _make.new_markdown_cell(source)


def _code(source: str, **metadata: Any) -> NotebookNode:
    return _make.new_code_cell(source, metadata=metadata)
