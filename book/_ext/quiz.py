"""A question with answers to choose from: each says at once why it is right or wrong.

A chapter writes ``{quiz}`` with a question and a list of answers::

    ```{quiz}
    What is 1 + 1?

    - [ ] Three.

      You have counted one of them twice.
    - [x] Two.

      One, and one more.
    ```

An answer is a fold of HTML, which opens by a click or a key and needs no script. In a notebook the
list stands as it is written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

BOX = re.compile(r"\[([ x])\] ")
JUDGED = {"x": ("right", "✔ Right. "), " ": ("wrong", "✘ No. ")}
"""What stands in an answer's box: how it is drawn, and the words before what is said of it."""


class answer(nodes.Part, nodes.Element):  # type: ignore[misc]
    """A fold with what is said of an answer."""


class answer_head(nodes.Part, nodes.TextElement):  # type: ignore[misc]
    """The answer itself."""


class Quiz(SphinxDirective):
    """The question and its answers."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        box = nodes.container(classes=["quiz"])
        self.state.nested_parse(self.content, self.content_offset, box)
        *_, items = box.findall(nodes.bullet_list)
        answers = [folded(item) for item in items]
        if sum("right" in each["classes"] for each in answers) != 1:
            raise self.error("a quiz has exactly one answer that is right: - [x]")
        items.replace_self(answers)
        box.insert(0, nodes.paragraph("", "Question", classes=["quiz-head"]))
        return [box]


def folded(item: nodes.list_item) -> answer:
    """An item of the list as a fold.

    Raises
    ------
    ValueError
        If it does not begin with a box, or says nothing of its answer.
    """
    head, *says = item.children
    words = next(iter(head.findall(nodes.Text)), nodes.Text(""))
    found = BOX.match(words)
    if not found or not says:
        raise ValueError(f"an answer has a box and a paragraph of its own, got {item.astext()!r}")
    words.parent.replace(words, nodes.Text(words[found.end() :]))
    name, judgement = JUDGED[found[1]]
    says[0].insert(0, nodes.strong("", judgement))
    return answer("", answer_head("", "", *head.children), *says, classes=[name])


def visit_answer(self: Any, node: answer) -> None:
    self.body.append(self.starttag(node, "details", CLASS="answer"))


def depart_answer(self: Any, node: answer) -> None:
    self.body.append("</details>\n")


def visit_head(self: Any, node: answer_head) -> None:
    self.body.append("<summary>")


def depart_head(self: Any, node: answer_head) -> None:
    self.body.append("</summary>\n")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_node(answer, html=(visit_answer, depart_answer))
    app.add_node(answer_head, html=(visit_head, depart_head))
    app.add_directive("quiz", Quiz)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
