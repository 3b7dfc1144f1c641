"""Docstrings on the page of the package: no more than functions and classes, and with links."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from paper_numbers import paper_roles

if TYPE_CHECKING:
    from sphinx.application import Sphinx

CHAPTER = re.compile(r"``/?(book/[\w/]+)\.md``")


def link_chapters(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    lines[:] = [CHAPTER.sub(r":doc:`/\1`", line) for line in lines]


def link_equations(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    lines[:] = paper_roles("\n".join(lines)).split("\n")


def keep_first_line(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Napoleon takes what stands before a colon in a property's first line for a type."""
    if what == "property" and lines:
        lines[0] = lines[0].replace(": ", " – ")


def leave_out(app: Sphinx, what: str, name: str, value: Any, skip: bool, options: Any) -> bool:
    function_or_class = inspect.isroutine(value) or inspect.isclass(value)
    return skip or (what == "module" and not function_or_class)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", link_chapters)
    app.connect("autodoc-process-docstring", keep_first_line, priority=400)
    app.connect("autodoc-process-docstring", link_equations, priority=400)
    app.connect("autodoc-skip-member", leave_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
