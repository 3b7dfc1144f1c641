"""What the front page says of other pages is read off them."""

import re

import pytest
from sphinx.application import Sphinx

CLAIMS = """---
orphan: true
---
# Claims

(claim-1)=
One.

(claim-2)=
Two.

"""
TABLE = """| says | verdict |
| --- | --- |
| a | [**holds**](#claim-1) |
| b | [**does not hold** as printed](#claim-2) |

"""
MARKUP = """<table><tr><th>says</th><th>verdict</th></tr>
<tr><td>c</td><td><b>✘</b> <a href="#claim-2">does not hold</a></td></tr></table>"""
ROLES = "{verdicts}`Some hold <claims>`. It takes {minutes}`a while <claims>`."


def build(folder, claims):
    (folder / "index.md").write_text(f"# Front\n\n{ROLES}\n")
    (folder / "claims.md").write_text(claims)
    options = {"extensions": ["myst_nb", "front"]}
    app = Sphinx(folder, None, folder / "html", folder / "trees", "html", options, None, None)
    app.build()
    page = (folder / "html" / "index.html").read_text("utf8")
    return re.search(r"<p>(Of .*?)</p>", page)[1]


def test_verdicts_are_counted_where_they_stand(tmp_path):
    said = build(tmp_path, CLAIMS + TABLE + 450 * "word " + "\n")
    assert said == "Of 2 statements on experiments 1 holds and 1 does not. It takes 2 min."


def test_a_table_in_markup_counts_as_well_and_the_first_one_alone(tmp_path):
    said = build(tmp_path, f"{CLAIMS}```{{raw}} html\n{MARKUP}\n```\n\n{TABLE}")
    assert said.startswith("Of 1 statements on experiments 1 does not.")


def test_a_page_without_verdicts_ends_the_build(tmp_path):
    with pytest.raises(Exception, match="has none"):
        build(tmp_path, "---\norphan: true\n---\n# Claims\n\nNone yet.\n")
