"""What the front page says of other pages, read off them: so it cannot lag.

The role ``verdicts`` counts the verdicts of a chapter, ``minutes`` tells how long a page takes to
read, or several together. Both name pages as a link does: ``{minutes}`a few minutes
<experiments/claims>` ``. The words before it are those that a notebook shows, which has no other
pages to count in.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from sphinx.util.docutils import SphinxRole
from summary import count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from docutils.nodes import Node, system_message
    from sphinx.application import Sphinx

TARGET = re.compile(r"<(.+)>$")
SAID = {
    "holds": ("holds", "hold"),
    "does not hold": ("does not", "do not"),
    "holds in part": ("holds in part", "hold in part"),
    "typical": ("holds as a rule", "hold as a rule"),
    "reached": ("holds at times", "hold at times"),
    "not reached": ("never holds", "never hold"),
    "not judged": ("is not judged", "are not judged"),
}
"""The words that a verdict may begin with, and what is said of one and of several."""


class Counted(SphinxRole):
    """A place for words about another page, which has been read only when all have."""

    def run(self) -> tuple[list[Node], list[system_message]]:
        found = TARGET.search(self.text)
        if not found:
            message = self.inliner.reporter.error(f"{self.name} names no page: {self.text}")
            return [], [message]
        here = posixpath.dirname(self.env.docname)
        pages = [posixpath.normpath(posixpath.join(here, page)) for page in found[1].split()]
        return [nodes.inline(asked=self.name, pages=pages)], []


def minutes(*documents: nodes.document) -> str:
    """How long pages take to read, as their summaries say."""
    return f"{sum(map(count, documents))} min"


def verdicts(document: nodes.document) -> str:
    """How many statements of the paper hold and how many do not, by a page's first such table."""
    tables: list[list[list[str]]] = []
    for node in document.findall():
        if isinstance(node, nodes.table):
            tables.append(rows(node))
        elif isinstance(node, nodes.raw):
            markup = BeautifulSoup(node.astext(), "html.parser")
            tables += map(rows_of_markup, markup.find_all("table"))
    counted = (column(table, "verdict") for table in tables)
    return in_words(next(filter(None, counted), []))


def rows(table: nodes.table) -> list[list[str]]:
    """The texts of a table, its head first."""
    return [
        [entry.astext() for entry in row.findall(nodes.entry)] for row in table.findall(nodes.row)
    ]


def rows_of_markup(table: Tag) -> list[list[str]]:
    """The same of a table that is HTML already."""
    lines = table.find_all("tr")
    return [[cell.get_text() for cell in line.find_all(["th", "td"])] for line in lines]


def column(table: list[list[str]], name: str) -> list[str]:
    """The texts below a head; none where the table has no such head.

    Examples
    --------
    >>> column([["a", "verdict"], ["1", "holds"], ["2", "does not hold"]], "verdict")
    ['holds', 'does not hold']
    """
    head, *lines = table
    names = [each.strip().lower() for each in head]
    return [line[names.index(name)] for line in lines] if name in names else []


def in_words(found: Iterable[str]) -> str:
    """Verdicts, counted.

    Raises
    ------
    LookupError
        If there is none.

    Examples
    --------
    >>> in_words(["holds", "✘ does not hold", "holds (with w / M)", "holds in 9 of 10 seeds"])
    'Of 4 statements on experiments 2 hold, 1 does not and 1 holds in part'
    >>> in_words(["✔ typical", "✔ typical", "◐ reached", "✘ not reached"])
    'Of 4 statements on experiments 2 hold as a rule, 1 holds at times and 1 never holds'
    """
    kinds = Counter(map(kind, found))
    if not kinds:
        raise LookupError("the page that the front page counts verdicts on has none")
    *most, last = [f"{kinds[each]} {SAID[each][kinds[each] > 1]}" for each in SAID if kinds[each]]
    told = f"{', '.join(most)}{' and ' * bool(most)}{last}"
    return f"Of {kinds.total()} statements on experiments {told}"


def kind(verdict: str) -> str:
    """What a verdict comes to, whatever sign stands before it.

    Examples
    --------
    >>> kind("✘ does not hold as printed"), kind("holds"), kind("holds for where, not for how many")
    ('does not hold', 'holds', 'holds in part')
    """
    words = re.sub(r"^\W+|\s+$", "", verdict)
    if found := [each for each in SAID if each != "holds" and words.startswith(each)]:
        return found[0]
    return "holds" if re.fullmatch(r"holds( \(.*)?", words) else "holds in part"


COUNTS = {"minutes": minutes, "verdicts": verdicts}


def fill(app: Sphinx, document: nodes.document, page: str) -> None:
    """Put the words into their places."""
    for place in [each for each in document.findall(nodes.inline) if "asked" in each]:
        others = map(app.env.get_doctree, place["pages"])
        place.replace_self(nodes.Text(COUNTS[place["asked"]](*others)))


def setup(app: Sphinx) -> dict[str, Any]:
    for name in COUNTS:
        app.add_role(name, Counted())
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
