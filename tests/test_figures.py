"""Figures and tables: their links on a page, and that the book's own code makes them again."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import figures
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
PAGE = """---
jupytext:
  text_representation:
    format_name: myst
kernelspec:
  display_name: Python 3
  name: python3
---
# A page

```{code-cell} ipython3
from matplotlib.figure import Figure

from cdlnmf_lit.presentation.plotting import Card
from cdlnmf_lit.presentation.tables import table

rows = [{"hop": 8, "dB": 1.5}]
```

```{code-cell} ipython3
---
mystnb:
  figure:
    name: fig-page
    caption: |
      A line,
      and no more.
---
figure = Card(figsize=(3, 2))
_ = figure.subplots().plot([0, 2, 1])
figure
```

```{code-cell} ipython3
table(rows, caption="hops")
```
"""


def test_examples():
    result = doctest.testmod(figures)
    assert result.attempted
    assert not result.failed


def test_a_figure_with_a_name_gets_its_links_and_no_other():
    caption = '<figcaption>\n<p><span class="caption-text">It <i>is</i>.</span></p>\n</figcaption>'
    picture = '<img alt="a" width="3" src="../_images/a.png"/>'
    named = f'<figure class="x" id="fig-a">\n{picture}\n{caption}\n</figure>'
    other = f"<figure>{picture}{caption}</figure>"
    results = f'<figure class="players">{picture}</figure>'
    page = figures.linked(results + named + other)
    assert page.count("figure-links") == 1
    links = page.partition("It <i>is</i>.</span>")[2]
    assert 'href="#fig-a"' in links
    assert 'href="../_images/a.png" download="fig-a.png"' in links
    assert figures.linked("<p>no figure</p>") == "<p>no figure</p>"


def test_the_files_of_a_figure_stand_in_one_order():
    picture = '<img alt="a" src="../_images/a.png"/>'
    page = f'<figure id="fig-a">{picture}<figcaption><p>It.</p></figcaption></figure>'
    files = {"a": {"npz": "a.npz", "dark.png": "d.png", "svg": "a.svg"}}
    found = re.findall(r'<a href="([^"]*)"', figures.linked(page, files, "LICENSE.txt"))
    assert found == ["#fig-a", "../_images/a.png", "a.svg", "a.npz", "LICENSE.txt"]


def test_every_figure_of_the_book_has_a_name_of_its_own():
    pages = sorted((ROOT / "book").rglob("*.md"))
    named = [
        found
        for page in pages
        for found in re.findall(r"^    name: ([\w-]+)$", page.read_text("utf8"), re.MULTILINE)
    ]
    known = [each for each in figures.of_book(ROOT) if "-table-" not in each]
    assert sorted(known) == sorted(named)
    assert len(known) > 50


@pytest.mark.long
def test_a_figure_and_a_table_are_made_again(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "page.md").write_text(PAGE)
    code = (
        "import sys, figures; from pathlib import Path; root = Path(sys.argv[1]);"
        "[figures.write(each, root) for each in figures.of_book(root).values()]"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'book' / '_ext'}"}
    subprocess.run(command, check=True, env=path)
    with Image.open(tmp_path / "fig-page.png") as picture:
        assert picture.size[0] > 200
    assert "<svg" in (tmp_path / "fig-page.svg").read_text()
    with np.load(tmp_path / "fig-page.npz") as found:
        np.testing.assert_array_equal(found["panel_1.line_1"], [[0, 1, 2], [0, 2, 1]])
    assert (tmp_path / "page-table-1.csv").read_text().split() == ["hop,dB", "8,1.5"]


def test_a_name_that_there_is_not_is_refused():
    with pytest.raises(SystemExit, match=r"NAME must be one of .*fig-gabor-phase.*; got 'fig-9'"):
        figures.main("fig-9")
