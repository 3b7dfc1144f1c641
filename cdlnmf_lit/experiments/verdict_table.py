"""The table of verdicts: each sentence with its number, its verdict and what the book corrects.

Chapter: ``book/experiments/claims.md``.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from cdlnmf_lit.experiments.verdicts import SYMBOLS, Verdict

HEADS = ("sentence", "number", "verdict", "what this book corrects", "shown in")


def table(found: Iterable[Verdict]) -> str:
    """Sentences, numbers and verdicts as a table of HTML: a number's details are folded.

    A row is one statement; a sentence that makes several has several rows.

    Examples
    --------
    >>> from cdlnmf_lit.experiments.verdicts import Verdict
    >>> one = Verdict("sure", "p. 1", "It **rains**", "9 of 10; more", "typical", "[Rain](a.md#r)")
    >>> text = table([one])
    >>> "It <strong>rains</strong>" in text, '<a href="a.html#r">Rain</a>' in text
    (True, True)
    """
    found = list(found)
    kinds = {word: sum(each.word == word for each in found) for word in SYMBOLS}
    said = len({each.sentence for each in found})
    counts = " · ".join(f"{_marked(word)} {count}" for word, count in kinds.items() if count)
    heads = HEADS if any(each.corrected for each in found) else [*HEADS[:3], HEADS[4]]
    titles = "".join(f'<th scope="col">{head}</th>' for head in heads)
    rows = "".join(_row(each, heads) for each in found)
    return (
        f'<div class="claims"><table>'
        f"<caption>{len(found)} statements in {said} sentences: {counts}</caption>"
        f"<thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(one: Verdict, heads: Iterable[str]) -> str:
    more = one.number.removeprefix(one.shown).removeprefix("; ")
    details = f"<details><summary>more</summary>{html.escape(more)}</details>" if more else ""
    cells = (
        f"{_markup(one.says)} <small>{one.where}</small>",
        html.escape(one.shown) + details,
        _marked(one.word),
        _markup(one.corrected) or "–",
        _markup(one.page),
    )
    of = dict(zip(HEADS, cells, strict=True))
    row = (f'<td data-head="{head}">{of[head]}</td>' for head in heads)
    return f'<tr id="sentence-{one.name}">{"".join(row)}</tr>'


def _marked(word: str) -> str:
    return f'<span class="verdict {word.replace(" ", "-")}">{SYMBOLS[word]} {word}</span>'


def _markup(text: str) -> str:
    """A text of Markdown, which has bold words and links to pages, as HTML."""
    bold = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", html.escape(text, quote=False))
    return re.sub(r"\[([^]]+)\]\((\w+)\.md(#[\w-]+)\)", r'<a href="\2.html\3">\1</a>', bold)
