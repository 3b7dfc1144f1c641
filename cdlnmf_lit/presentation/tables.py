"""Results as tables: numbers under their units, the best of a column in bold."""

from __future__ import annotations

import html
import numbers
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from IPython.display import HTML

MINUS = re.compile(r"(?<![\w.-])-(?=\d)")
"""What stands before a negative number in a text, and not within a word or a range."""


def table(
    rows: Sequence[Mapping[str, Any]],
    *,
    form: str | Mapping[str, str] = "",
    best: Mapping[str, Callable[..., Any]] | None = None,
    caption: str = "",
) -> HTML:
    """Return rows of results as a table, whose numbers stand one below the other.

    Parameters
    ----------
    rows
        Each a mapping from the heads of the columns, with their units, to a text, a number, or
        ``None`` where there is nothing. The first row has all the heads.
    form
        How numbers are written (``".1f"``): all of them, or those under a head. By default whole
        numbers are written in full, and others with three digits.
    best
        Head of a column to ``max`` or ``min``: those of its values are in bold.
    caption
        What the table shows, above it.

    Raises
    ------
    ValueError
        If there is no row, a row has a head that the first has not, or ``best`` names no column.

    Examples
    --------
    >>> rows = [{"hop": 8, "SI-SDR (dB)": 12.34}, {"hop": 2048, "SI-SDR (dB)": -3.0}]
    >>> text = table(rows, form={"SI-SDR (dB)": ".1f"}, best={"SI-SDR (dB)": max}).data
    >>> "<strong>12.3</strong>" in text, "2,048" in text, "−3.0" in text
    (True, True, True)

    References
    ----------
    Chapter: ``book/theory/gabor.md``.
    """
    if not rows:
        raise ValueError("rows must hold at least one row, got none")
    heads = list(rows[0])
    for row in rows:
        if unknown := [head for head in row if head not in heads]:
            raise ValueError(f"rows must have the heads {heads}, got {unknown}")
    chosen = dict(best or {})
    if unknown := [head for head in chosen if head not in heads]:
        raise ValueError(f"best must name heads of {heads}, got {unknown}")
    forms = dict.fromkeys(heads, form) if isinstance(form, str) else dict(form)
    columns = {head: [row.get(head) for row in rows] for head in heads}
    ends = {head: end(filter(_is_number, columns[head])) for head, end in chosen.items()}

    def cell(head: str, value: Any) -> str:
        text = html.escape(_written(value, forms.get(head, "")))
        if head in ends and _is_number(value) and value == ends[head]:
            text = f"<strong>{text}</strong>"
        return f'<td class="number">{text}</td>' if _is_number(value) else f"<td>{text}</td>"

    def title(head: str) -> str:
        kind = ' class="number"' if any(map(_is_number, columns[head])) else ""
        return f'<th scope="col"{kind}>{html.escape(head)}</th>'

    says = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    lines = ("".join(cell(head, row.get(head)) for head in heads) for row in rows)
    return _shown(
        f'<div class="results"><table>{says}<thead><tr>{"".join(map(title, heads))}</tr></thead>'
        f"<tbody>{''.join(f'<tr>{line}</tr>' for line in lines)}</tbody></table></div>"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def _written(value: Any, form: str) -> str:
    """Return a value as a reader expects it: thousands apart, a minus that is one."""
    if value is None:
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if not _is_number(value):
        return MINUS.sub("−", str(value))
    usual = "," if isinstance(value, numbers.Integral) else ".3g"
    return format(value, form or usual).replace("-", "−")


def _shown(text: str) -> HTML:
    from IPython.display import HTML

    return HTML(text)  # type: ignore[no-untyped-call]
