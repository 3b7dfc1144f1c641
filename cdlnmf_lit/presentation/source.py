"""The package's own source, shown live in a page."""

from __future__ import annotations

import ast
import html
import inspect
import re
from functools import cached_property, partial
from itertools import takewhile
from textwrap import dedent
from typing import Any


def listing(shown: Any, *, docstring: bool = False) -> str:
    """Return the source of ``shown`` as Markdown: its dotted name, then a block of code.

    Parameters
    ----------
    shown
        A function, method, class method, static method, property, class or module.
    docstring
        Whether the docstrings are listed too. The page explains the code, and the API page
        prints the docstrings, so by default they are left out.

    Raises
    ------
    ValueError
        If ``shown`` has no Python source: a value, a compiled function.

    Examples
    --------
    >>> from cdlnmf_lit.theory.arguments import signal
    >>> print(listing(signal))
    **`cdlnmf_lit.theory.arguments.signal`**
    <BLANKLINE>
    ```python
    def signal(value: ArrayLike, name: str = "x") -> Array:
        return array(value, name, 1)
    ```
    """
    target = _unwrapped(shown)
    try:
        source = dedent(inspect.getsource(target))
        source = source if docstring else _without_docstrings(source)
    except (TypeError, OSError, SyntaxError) as error:
        raise ValueError(f"shown must have Python source of its own, got {shown!r}") from error
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", source)), default=0))
    return f"**`{_dotted_name(target)}`**\n\n{fence}python\n{source.strip()}\n{fence}"


def show(*shown: Any, docstring: bool = False) -> None:
    """Display the source of each object as it is installed, so that a page cannot lag behind it.

    Each listing is folded away behind its name and its number of lines.

    Parameters
    ----------
    *shown
        Functions, methods, properties, classes or modules, see :func:`listing`.
    docstring
        Whether the docstrings are listed too.

    Raises
    ------
    ValueError
        If nothing is given, or an object has no Python source.
    """
    if not shown:
        raise ValueError("shown must name at least one object, got none")
    from IPython.display import display

    listings = [listing(each, docstring=docstring) for each in shown]
    folded = "\n\n".join(map(_folded, shown, listings))
    plain = "\n\n".join(listings)
    display({"text/markdown": folded, "text/plain": plain}, raw=True)  # type: ignore[no-untyped-call]


def _folded(shown: Any, text: str) -> str:
    """Return a listing behind one line, as Markdown with the HTML element that opens it."""
    target = _unwrapped(shown)
    name = html.escape(getattr(target, "__qualname__", None) or target.__name__)
    lines = len(text.splitlines()) - 4  # its name, a blank line, two fences
    summary = f"<summary>Source of <code>{name}</code>, {lines} lines</summary>"
    return f'<details class="listing">\n{summary}\n\n{text}\n\n</details>'


def _unwrapped(shown: Any) -> Any:
    """Return the function that a property, class method, partial or decorator wraps."""
    match shown:
        case property(fget=inner) | cached_property(func=inner) | partial(func=inner):
            return _unwrapped(inner)
        case classmethod(__func__=inner) | staticmethod(__func__=inner):
            return _unwrapped(inner)
    return inspect.unwrap(shown)


def _dotted_name(target: Any) -> str:
    if inspect.ismodule(target):
        return target.__name__
    return f"{target.__module__}.{target.__qualname__}"


def _without_docstrings(source: str) -> str:
    """Return ``source`` without its bare strings, save where a body holds nothing else."""
    lines = source.splitlines()
    dropped: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            strings = [statement for statement in node.body if _is_bare_string(statement)]
            if len(strings) < len(node.body):
                for string in strings:
                    after = string.end_lineno or string.lineno
                    if string is node.body[0]:
                        after += sum(1 for _ in takewhile(_is_blank, lines[after:]))
                    dropped.update(range(string.lineno - 1, after))
    return "\n".join(line for number, line in enumerate(lines) if number not in dropped)


def _is_blank(line: str) -> bool:
    return not line.strip()


def _is_bare_string(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
    return False
