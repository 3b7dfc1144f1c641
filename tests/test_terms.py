"""Pages link the first mention of each term of the glossary, and nothing else."""

import re

import pytest
from sphinx.application import Sphinx

GLOSSARY = """---
orphan: true
---
# Glossary

```{glossary}
hop
  A distance. A dual window is none.

dual window
  Another one.

nonnegative matrix factorization (NMF)
  A product.
```
"""
PAGE = """# Hops

Two hops, a *dual window*, and a hop once more; `hop` and a hopper.
A [hop](https://example.org) of nonnegative matrix factorization.

| hop |
| --- |
| hop |
"""


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    (folder / "index.md").write_text(PAGE)
    (folder / "glossary.md").write_text(GLOSSARY)
    options = {"extensions": ["myst_nb", "terms"]}
    app = Sphinx(folder, None, folder / "html", folder / "trees", "html", options, None, None)
    app.build()
    return folder / "html"


def linked(page):
    return re.findall(
        r'<a class="[^"]*term[^"]*" href="([^"]+)"[^>]*><span>([^<]+)', page.read_text("utf8")
    )


def test_the_first_mention_in_prose_is_a_link(html):
    assert linked(html / "index.html") == [
        ("glossary.html#term-hop", "hop"),
        ("glossary.html#term-dual-window", "dual window"),
        (
            "glossary.html#term-nonnegative-matrix-factorization-NMF",
            "nonnegative matrix factorization",
        ),
    ]


def test_the_glossary_does_not_link_to_itself(html):
    assert linked(html / "glossary.html") == []
