"""An explorer as a figure: with a number, a caption, and an anchor to link to.

The cell that makes it says both, as one that draws a figure does:

    ---
    explorer:
      name: explorer-gabor-hop
      caption: How the diagonal of the frame operator flattens as the hop falls.
    ---
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docutils import nodes
from figures import LINKS
from sphinx.transforms import SphinxTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def captioned(outputs: list[nodes.Node], name: str, caption: str) -> nodes.figure:
    """A figure of what a cell gave.

    Examples
    --------
    >>> figure = captioned([nodes.Text("sliders")], "explorer-a", "Move it.")
    >>> figure["ids"], figure.children[-1].children[0].astext()
    (['explorer-a'], 'Move it.')
    """
    said = nodes.caption(caption, caption)
    link = nodes.raw("", LINKS.format(name=name, files=""), format="html")
    figure = nodes.figure("", *outputs, said, ids=[name], names=[name], classes=["explorer"])
    said.append(link)
    return figure


class Captions(SphinxTransform):
    """Make a figure of the output of each cell that names an explorer."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        for cell in list(self.document.findall(nodes.container)):
            told = cell.get("cell_metadata", {}).get("explorer")
            if not told or cell.get("nb_element") != "cell_code":
                continue
            output = cell.children[-1]
            figure = captioned(output.children, told["name"], " ".join(told["caption"].split()))
            output.children = []
            output += figure
            self.document.note_explicit_target(figure)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_transform(Captions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
