"""The box at the top of a chapter: what it asks, what it answers, how long it takes to read.

A chapter writes ``{summary}`` with a few paragraphs in it. The minutes are counted: 200 words each,
half a minute for each displayed equation and each figure, and nothing for what is folded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

WORDS_A_MINUTE = 200
MINUTES_A_DISPLAY = 0.5


class minutes(nodes.inline):  # type: ignore[misc]
    """Where the minutes stand, once the whole page is read."""


class Summary(SphinxDirective):
    """The box, with the minutes in a last line."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        box = nodes.container(classes=["summary"])
        self.state.nested_parse(self.content, self.content_offset, box)
        box += nodes.paragraph("", "", minutes(), classes=["minutes"])
        return [box]


def count(document: nodes.document) -> int:
    """Minutes that a page takes to read."""
    words = sum(len(each.astext().split()) for each in document.findall(nodes.paragraph))
    shown = sum(1 for kind in (nodes.math_block, nodes.figure) for _ in document.findall(kind))
    return max(1, round(words / WORDS_A_MINUTE + shown * MINUTES_A_DISPLAY))


def tell(app: Sphinx, document: nodes.document) -> None:
    for place in list(document.findall(minutes)):
        words = f"{count(document)} minutes to read, without what is folded away."
        place.parent.replace(place, nodes.Text(words))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("summary", Summary)
    app.connect("doctree-read", tell)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
