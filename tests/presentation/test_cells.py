"""Cells of a page run as those of a notebook, and tell what they give in the order they give it."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

SCRIPT = """
import json, sys
from cdlnmf_lit.presentation import cells
told = []
shell = cells.shell(lambda *output: told.append(output))
moves = json.loads(sys.argv[1])
for name, *values in moves:
    told.clear()
    answer = cells.run(shell, *values) if name == "run" else cells.moved(*values)
    print(json.dumps([answer, told]))
"""
"""There is one shell in a process, so each of these has a process of its own."""
EXPLORER = """
from cdlnmf_lit.presentation.widgets import explorer
explorer(lambda hop: f"<p>hop {hop}</p>", alt="hop {hop}", hop=[1, 2, 4])
"""
CELLS = {
    "printed": "print('a')\n6 * 7",
    "state": "x = 1",
    "quiet": "x + 1;",
    "mixed": "print(x)\nfrom IPython.display import HTML, display\n"
    "display(HTML('<b>1</b>'))\nprint(2)",
    "figure": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nNone",
    "bytes": "class Picture:\n    def _repr_png_(self):\n        return b'\\x89PNG'\n\n\nPicture()",
    "markdown": "from IPython.display import Markdown\nMarkdown('| a |')",
    "equation": "from IPython.display import Math\nMath('x')",
    "cleared": "from IPython.display import clear_output\nclear_output()",
    "error": "def inverse(x):\n    return 1 / x\n\ninverse(0)",
    "syntax": "x ==",
    "after": "x",
    "explorer": EXPLORER,
    "widget": "import ipywidgets\nipywidgets.VBox([ipywidgets.Label('a')])",
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What each cell answered and told; after them the explorer is moved."""
    moves = [*(("run", source) for source in CELLS.values()), ("moved", "0", 0, 2)]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, json.dumps(moves)],
        capture_output=True,
        text=True,
        check=False,
        env={
            "IPYTHONDIR": str(tmp_path_factory.mktemp("ipython")),
            "PYTHONPATH": ":".join(sys.path),
        },
    )
    assert done.returncode == 0, done.stderr
    lines = map(json.loads, done.stdout.splitlines())
    names = [*CELLS, "moved"]
    return {
        name: SimpleNamespace(answer=answer, told=[tuple(each) for each in told])
        for name, (answer, told) in zip(names, lines, strict=True)
    }


def text(cell):
    return "".join(text for kind, text in cell.told if kind == "text")


def test_what_is_printed_comes_before_what_the_last_line_is_worth(ran):
    assert text(ran["printed"]) == "a\n42\n"
    assert ran["quiet"].told == []


def test_outputs_keep_their_order_and_are_told_in_their_richest_form(ran):
    printed, line, html, *_ = ran["mixed"].told
    assert (printed, line, html) == (("text", "1"), ("text", "\n"), ("html", "<b>1</b>"))
    assert text(ran["mixed"]) == "1\n2\n"


def test_a_figure_is_told_when_its_cell_ends(ran):
    ((kind, data),) = ran["figure"].told
    assert kind == "png"
    assert data.startswith("iVBOR")


def test_a_picture_of_bytes_is_told_in_letters(ran):
    assert ran["bytes"].told == [("png", "iVBORw==")]


def test_markdown_and_equations_are_told_as_such(ran):
    assert ran["markdown"].told == [("markdown", "| a |")]
    assert ran["equation"].told == [("markdown", "$\\displaystyle x$")]


def test_a_cell_can_clear_its_outputs(ran):
    assert ran["cleared"].told == [("clear", "")]


def test_an_error_is_answered_in_a_line_and_told_with_its_traceback(ran):
    assert ran["error"].answer == "ZeroDivisionError: division by zero"
    ((kind, trace),) = ran["error"].told
    assert kind == "error"
    assert trace.startswith("ZeroDivisionError")
    assert "inverse(0)" in trace
    assert "return 1 / x" in trace
    assert "\x1b" not in trace
    assert ran["syntax"].answer.startswith("SyntaxError: ")
    assert ran["syntax"].told[0][0] == "error"


def test_cells_after_an_error_find_what_was_there(ran):
    assert all(not ran[name].answer for name in ran if name not in ("error", "syntax", "moved"))
    assert text(ran["after"]) == "1\n"


def test_an_explorer_is_told_as_sliders_and_follows_them(ran):
    ((kind, told),) = ran["explorer"].told
    assert kind == "explorer"
    assert json.loads(told) == {
        "name": "0",
        "sliders": [{"name": "hop", "labels": ["1", "2", "4"], "at": 0}],
        "shown": "<p>hop 1</p>",
    }
    assert ran["moved"].answer == "<p>hop 4</p>"


def test_another_widget_is_told_as_text(ran):
    assert text(ran["widget"]).startswith("VBox(")
