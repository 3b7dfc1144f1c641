"""Link the first mention of each term of the glossary, on each page, to what it means.

A term is found as it is written in the glossary, or with an s; what stands in brackets after it
there, an abbreviation, is a name of its own. Headings, links, code and formulas are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

if TYPE_CHECKING:
    from sphinx.application import Sphinx

COMMON = {
    "analysis",
    "channel",
    "component",
    "frame",
    "method",
    "patterns",
    "recipe",
    "seed",
    "synthesis",
    "window",
}
"""Words that mean other things, too: who wants them linked writes so."""
UNTOUCHED = (
    nodes.title,
    nodes.reference,
    nodes.literal,
    nodes.literal_block,
    nodes.math,
    nodes.math_block,
    nodes.raw,
    nodes.caption,
    nodes.term,
    nodes.table,
)
BRACKETS = re.compile(r"^(?P<term>.*?)(?: \((?P<short>[\w-]+)\))?$")


def names(terms: Iterable[str]) -> dict[str, str]:
    """What each term may be called in a text, in small letters, to the term.

    Examples
    --------
    >>> names(["nonnegative matrix factorization (NMF)", "hop", "frame"])
    {'nonnegative matrix factorization': 'nonnegative matrix factorization (NMF)', 'hop': 'hop'}
    """
    found = {}
    for term in terms:
        parts = BRACKETS.fullmatch(term)
        if parts and parts["term"].lower() not in COMMON:
            found[parts["term"].lower()] = term
    return found


def mention(known: Mapping[str, Any]) -> re.Pattern[str]:
    """The pattern of any of the terms, the longest first.

    Examples
    --------
    >>> mention({"hop": 1, "dual window": 2}).findall("Two hops, dual windows and a hopper.")
    ['hop', 'dual window']
    """
    longest_first = sorted(known, key=len, reverse=True)
    return re.compile(
        rf"(?<![\w-])({'|'.join(map(re.escape, longest_first))})(?=s?(?![\w-]))", re.I
    )


class Terms(SphinxPostTransform):
    """Make the first mention of each term a link."""

    default_priority = 950
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        objects = self.env.get_domain("std").get_objects()
        places = {
            name: (page, anchor) for name, _, kind, page, anchor, _ in objects if kind == "term"
        }
        known = names(places)
        here = self.env.docname
        if not known or here in {page for page, _ in places.values()}:
            return
        for text in list(self.document.findall(nodes.Text)):
            if self._is_prose(text) and known:
                self._link(text, known, places, here)

    def _is_prose(self, text: nodes.Text) -> bool:
        parent, prose = text.parent, False
        while parent is not None:
            if isinstance(parent, UNTOUCHED) or "desc" in type(parent).__name__:
                return False
            prose = prose or isinstance(parent, nodes.paragraph)
            parent = parent.parent
        return prose

    def _link(
        self,
        text: nodes.Text,
        known: dict[str, str],
        places: Mapping[str, tuple[str, str]],
        here: str,
    ) -> None:
        parts: list[nodes.Node] = []
        rest = str(text)
        while known and (found := mention(known).search(rest)):
            page, anchor = places[known.pop(found[1].lower())]
            link = make_refnode(self.app.builder, here, page, anchor, nodes.inline("", found[0]))
            link["classes"].append("term")
            parts += [nodes.Text(rest[: found.start()]), link]
            rest = rest[found.end() :]
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(rest)])


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(Terms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
