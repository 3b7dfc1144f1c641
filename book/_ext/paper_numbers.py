r"""Set the paper's equation numbers apart from the book's: the paper's (15) is (P15) on a page.

Chapters write ``(eq-15)=`` above an equation of the paper, ``\tag{15}`` in it, and
``[(15)](#eq-15)`` where they name it; where one equation has several numbers, ``(\text{P11})``
stands at the end of a line. On the page a number is a link to the equation map, and has a style of
its own. No key leads into an equation, so a second link stands behind it, which is seen when it has
the focus. A docstring says ``equation (15)`` or ``of (15)``: what stands for it on the page of the
package is the role ``paper``, of which ``paper_roles`` makes one for each number.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxRole

if TYPE_CHECKING:
    from docutils.nodes import Node, system_message
    from sphinx.application import Sphinx

MAP = "book/reference/equation_map"
TAG, OF_LINE = re.compile(r"\\tag\{(\d+)\}"), re.compile(r"\(\\text\{P(\d+)\}\)")
LINKED = re.compile(r"\beq-(\d+)$")
NUMBER = re.compile(r"\((\d+)\)")
SAID = re.compile(
    r"\b(?:[Ee]quations?|eq\.|of|in)\s+\(\d+\)(?:(?:-|,?\s+and\s+|,\s+)\(\d+\))*"
    r"|^References\n-+\n(?:.+\n?)*",
    re.MULTILINE,
)
"""Where a docstring names equations of the paper: behind such a word, and in its references."""
ENVIRONMENT = "\\begin{{equation}}\n{}\n\\end{{equation}}"
BEHIND = (
    '<a class="visually-hidden-focusable" href="{address}#map-eq-{number}">'
    "P{number} in the equation map</a>"
)


def tagged(latex: str, address: str) -> str:
    r"""An equation whose numbers are the paper's, and lead to the map.

    Examples
    --------
    >>> print(tagged(r"V = WZ^T \tag{8}", "map.html"))
    V = WZ^T \tag{$\href{map.html#map-eq-8}{\class{of-paper}{\text{P8}}}$}
    >>> print(tagged(r"x &= y && (\text{P11})", "map.html"))
    x &= y && (\href{map.html#map-eq-11}{\class{of-paper}{\text{P11}}})
    """
    link = rf"\\href{{{address}#map-eq-\1}}{{\\class{{of-paper}}{{\\text{{P\1}}}}}}"
    return OF_LINE.sub(rf"({link})", TAG.sub(rf"\\tag{{${link}$}}", latex))


def paper_roles(text: str, role: str = r":paper:`\1`") -> str:
    """A docstring whose numbers of the paper are roles.

    Examples
    --------
    >>> paper_roles("Equations (7) and (8) of the paper; f(3).")
    'Equations :paper:`7` and :paper:`8` of the paper; f(3).'
    >>> paper_roles("Corollary 1: both sides of (15).", r"(P\\1)")
    'Corollary 1: both sides of (P15).'
    """
    return SAID.sub(lambda found: NUMBER.sub(role, found[0]), text)


class OfPaper(SphinxRole):
    """A number of the paper, as chapters name it."""

    def run(self) -> tuple[list[Node], list[system_message]]:
        return [nodes.reference("", f"({self.text})", refuri=f"#eq-{self.text}")], []


class PaperNumbers(SphinxPostTransform):
    """Mark the paper's numbers, in equations and in the links to them."""

    default_priority = 800
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        address = self.app.builder.get_relative_uri(self.env.docname, MAP)
        for block in list(self.document.findall(nodes.math_block)):
            text = block.astext()
            tags = TAG.findall(text)
            if numbers := tags + OF_LINE.findall(text):
                linked = tagged(text, address)
                if tags and not block.get("nowrap"):
                    linked = ENVIRONMENT.format(linked)
                    block["nowrap"] = True  # Sphinx's frame of several lines may not have a tag
                block.children = [nodes.Text(linked)]
                links = "".join(BEHIND.format(address=address, number=each) for each in numbers)
                block.parent.insert(
                    block.parent.index(block) + 1, nodes.raw("", links, format="html")
                )
        for link in self.document.findall(nodes.reference):
            target = link.get("refuri", "") or link.get("refid", "")
            if (found := LINKED.search(target)) and NUMBER.search(link.astext()):
                link["classes"].append("of-paper")
                link.attributes.pop("refid", None)
                link["refuri"], link["internal"] = f"{address}#map-eq-{found[1]}", True
                for words in list(link.findall(nodes.Text)):
                    words.parent.replace(words, nodes.Text(NUMBER.sub(r"(P\1)", words)))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_role("paper", OfPaper())
    app.add_post_transform(PaperNumbers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
