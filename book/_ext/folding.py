"""Say on each fold of a page what is behind it.

Folded are the cells that a chapter tags (``hide-input``, ``hide-cell``), and by what they are:
imports, long checks, and the long code of a table, of players or of an explorer. ``show`` folds the
library's source itself: the call that shows it is left out. A fold is an element of HTML that needs
no script: keys open it, and print opens all of them (``chapters.js``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

IMPORTS = re.compile(r"(?:import|from)\s")
SHOWN = re.compile(r"(?:show\([^()]*\)\s*)+")
MADE = {"<audio": "players", 'class="results"': "table", "widget-view": "explorer"}
"""What a cell's output holds, and what it is called."""
CHECK = re.compile(r"^\s*(?:assert\b|np\.testing\.)", re.MULTILINE)
LONG = 6
"""Lines of code above which a check, or what makes a table, is folded."""


def name_of(
    code: str, outputs: str, *, figure: str = "", whole: bool = False, exercise: bool = False
) -> str:
    """What stands on a fold.

    Parameters
    ----------
    code, outputs
        What is folded away, and what the cell gave, as HTML or text.
    figure
        The name and number of the cell's figure, if it has one.
    whole
        Whether the outputs are folded away too.
    exercise
        Whether the cell stands among the exercises.

    Examples
    --------
    >>> name_of("x = 1", "", whole=True, exercise=True)
    'Show the solution'
    >>> name_of("plot()", "", figure="Fig. 3"), name_of("players(x)", "<audio>")
    ('Code of Fig. 3', 'Code of the players')
    >>> name_of("import numpy as np\\n\\nrng = ...", "")
    'Imports and settings, 3 lines'
    """
    if whole and exercise:
        return "Show the solution"
    if figure:
        return f"Code of {figure}"
    for mark, what in MADE.items():
        if mark in outputs:
            return f"Code of the {what}"
    many = len(code.splitlines())
    lines = f"{many} lines" if many > 1 else "1 line"
    if IMPORTS.match(code):
        return f"Imports and settings, {lines}"
    if CHECK.search(code):
        return f"Code of these results, {lines}" if outputs else f"Checked here, {lines}"
    return f"Code, {lines}"


def is_folded(code: str, outputs: str) -> bool:
    """Whether a cell's code is folded because of what it gives.

    Examples
    --------
    >>> literal, check = "x = d @ z\\n" * 20, "assert x == y\\n" * 20
    >>> is_folded("import numpy as np", ""), is_folded(literal, ""), is_folded(check, "1.5")
    (True, False, True)
    """
    if IMPORTS.match(code) and not outputs:
        return True
    telling = CHECK.search(code) or any(mark in outputs for mark in MADE)
    return bool(telling) and len(code.splitlines()) > LONG


def is_among_exercises(node: nodes.Node) -> bool:
    """Whether a node stands in a section that is called so."""
    while node := node.parent:
        if isinstance(node, nodes.section) and "exercises" in node["ids"]:
            return True
    return False


class Folds(SphinxPostTransform):
    """Fold imports, name all folds, and leave out the calls that show the library's source."""

    default_priority = 198  # just before myst-nb folds
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        for cell in list(self.document.findall(nodes.container)):
            if cell.get("nb_element") != "cell_code" or not cell.children:
                continue
            source = cell.children[0]
            if source.get("nb_element") != "cell_code_source":
                continue
            code = source.astext().strip()
            if SHOWN.fullmatch(code):
                cell.remove(source)
                continue
            outputs = [each for each in cell.children if each is not source]
            given = "".join(each.astext() for each in outputs)
            if is_folded(code, given):
                cell.setdefault("hide_mode", "input")
            if mode := cell.get("hide_mode"):
                name = name_of(
                    code,
                    given,
                    figure=self.figure(outputs),
                    whole=mode == "all",
                    exercise=is_among_exercises(cell),
                )
                cell["prompt_show"] = name
                cell["prompt_hide"] = name.replace("Show", "Hide")

    def figure(self, outputs: list[nodes.Node]) -> str:
        """The name and number of the first figure that a cell gave."""
        numbers = self.env.toc_fignumbers.get(self.env.docname, {}).get("figure", {})
        for output in outputs:
            for figure in output.findall(nodes.figure):
                for name in figure["ids"]:
                    if name in numbers:
                        number = ".".join(map(str, numbers[name]))
                        return str(self.config.numfig_format["figure"] % number)
        return ""


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(Folds)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
