"""The exercises to hand out: nothing of their solutions is in them, and all they speak of is."""

import re
from pathlib import Path

import exercises
import jupytext
import pytest

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted(
    path for path in (ROOT / "book").rglob("*.md") if "\n## Exercises" in path.read_text("utf8")
)
CHAPTER = """---
jupytext:
  text_representation:
    format_name: myst
kernelspec:
  display_name: Python 3
  name: python3
---
# One

```{code-cell} ipython3
import math
```

## In short

Words.

(one-exercises)=
## Exercises

**1.** *Twice* {eq}`two`. What is it?

```{code-cell} ipython3
:tags: [hide-cell]
secret = 1
```

```{code-cell} ipython3
:tags: [hide-cell]
secret = 2
```

**2.** In words, with this:

```{code-cell} ipython3
given = math.pi
```

:::{dropdown} Solution
The secret.
:::

## Where this is tested

Elsewhere.
"""


def said(notebook):
    return [cell.source for cell in notebook.cells]


def test_a_sheet_has_what_is_asked_and_no_solution():
    sheet = exercises.sheet(CHAPTER, lambda kind, to: "(2)", r"\newcommand{\R}{R}")
    head, above, *asked = said(sheet)
    assert head.startswith("# One: exercises")
    assert r"$$\newcommand{\R}{R}$$" in head
    assert above == "import math"
    assert asked == [
        "**1.** *Twice* (2). What is it?",
        exercises.YOURS,
        "**2.** In words, with this:",
        "given = math.pi",
        "*Your answer:*",
    ]
    assert sheet == exercises.sheet(CHAPTER, lambda kind, to: "(2)", r"\newcommand{\R}{R}")


def test_a_page_without_exercises_has_no_sheet():
    assert exercises.sheet("# One\n\n## In short\n", str) is None


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_book_keeps_its_solutions(path):
    text = path.read_text("utf8")
    sheet = exercises.sheet(text, lambda kind, to: to)
    asked = "\n".join(said(sheet)[2:])
    part = text[re.search(r"^## Exercises", text, re.MULTILINE).start() :]
    numbers = re.findall(r"^\*\*(\d+)\.\*\*", part, re.MULTILINE)
    assert re.findall(r"^\*\*(\d+)\.\*\*", asked, re.MULTILINE) == numbers != []
    hidden = [
        cell.source
        for cell in jupytext.reads(part, fmt="md:myst").cells
        if "hide-cell" in cell.metadata.get("tags", [])
    ]
    assert not [code for code in hidden if code in asked]
    assert "Solution" not in asked
    assert "Where this is tested" not in asked
    compile(said(sheet)[1], str(path), "exec")
