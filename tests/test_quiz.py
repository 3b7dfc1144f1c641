"""A quiz: its answers are folds, exactly one of them is right, and each says why."""

import io
import re
from pathlib import Path

import pytest
import quiz
from docutils import nodes
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
QUIZ = """# Page

```{{quiz}}
What is *1* + 1?

- [ ] Three.

  One is counted *twice*.

  Really.
- [{box}] Two.

  One, and one more.
```
"""


def build(folder, box="x"):
    (folder / "index.md").write_text(QUIZ.format(box=box))
    options = {"extensions": ["myst_nb", "quiz"]}
    said = io.StringIO()
    app = Sphinx(folder, None, folder / "html", folder / "trees", "html", options, None, said)
    app.build()
    return said.getvalue(), (folder / "html" / "index.html").read_text("utf8")


def test_answers_are_folds_that_say_why(tmp_path):
    _, page = build(tmp_path)
    wrong, right = re.findall(r"<details[^>]*>.*?</details>", page, re.DOTALL)
    assert 'class="answer wrong"' in wrong or 'class="wrong answer"' in wrong
    assert "right" in right.partition(">")[0]
    assert re.search(r"<summary>Three\.</summary>", wrong)
    assert re.search(r"<strong>✘ No\. </strong>One is counted <em>twice</em>", wrong)
    assert "Really." in wrong
    assert "<strong>✔ Right. </strong>One, and one more." in right
    assert "[x]" not in page


def test_a_quiz_without_a_right_answer_is_refused(tmp_path):
    said, page = build(tmp_path, box=" ")
    assert "<details" not in page
    assert "exactly one answer that is right" in said


@pytest.mark.parametrize("words", [["Two."], ["Two.", "One more."], ["[x] Two."]])
def test_an_answer_has_a_box_and_a_reason(words):
    item = nodes.list_item("", *(nodes.paragraph("", text) for text in words))
    with pytest.raises(ValueError, match=r"a box and a paragraph.*Two"):
        quiz.folded(item)


def quizzes():
    return [
        (path, each)
        for path in sorted((ROOT / "book").rglob("*.md"))
        for each in re.findall(r"^```\{quiz\}\n(.*?)^```", path.read_text("utf8"), re.M | re.S)
    ]


def test_five_chapters_ask():
    assert len({path for path, _ in quizzes()}) >= 5


@pytest.mark.parametrize(("path", "asked"), quizzes(), ids=lambda value: getattr(value, "stem", ""))
def test_each_answer_of_the_book_says_why(path, asked):
    answers = re.findall(r"^- \[([ x])\] (.+)\n\n  (.+)$", asked, re.MULTILINE)
    assert len(answers) >= 3
    assert [box for box, *_ in answers].count("x") == 1
    assert "?" in asked.partition("\n- ")[0]
    course = (ROOT / "book" / "reference" / "course.md").read_text("utf8")
    assert path.name in course.partition("Questions with answers")[2]
