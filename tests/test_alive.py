"""What depends on the build in the page of one's own sound."""

import re
from pathlib import Path
from types import SimpleNamespace

import alive
import jinja2

from cdlnmf_lit.methods.recipes import RECIPES

ROOT = Path(__file__).parents[1]
FILES = ROOT / "book" / "_static" / "own_sound"


def page(server=""):
    template = jinja2.Template((FILES / "index.html.jinja").read_text("utf8"))
    return template.render(own_sound_recipes=alive.recipes(), own_sound_server=server)


def test_every_recipe_can_be_chosen_and_says_what_it_is_for():
    options = dict(re.findall(r'<option value="(\w+)">\w+: ([^<]+)</option>', page()))
    assert options.keys() == RECIPES.keys()
    assert all(len(words) > 10 and not words.endswith(".") for words in options.values())


def test_a_book_by_itself_asks_no_other_server(monkeypatch, tmp_path):
    monkeypatch.setenv("LITE", "self")
    assert alive.other_server(ROOT) == ""
    monkeypatch.delenv("LITE")
    assert alive.other_server(tmp_path) == ""  # npm put no Pyodide there
    lock = tmp_path / "node_modules" / "pyodide" / "pyodide-lock.json"
    lock.parent.mkdir(parents=True)
    lock.write_text('{"info": {"version": "0.27.7"}}', "utf8")
    assert alive.other_server(tmp_path) == " https://cdn.jsdelivr.net"


def test_the_policy_allows_no_other_origin_and_no_script_in_the_text():
    policy = re.search(r'content="(default-src[^"]+)"', page())[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert rules["connect-src"] == "'self'"
    assert "http" not in policy
    assert re.search(r"connect-src 'self' https://there;", page(" https://there"))
    assert not re.search(r"<script>|<style|\son\w+=|\sstyle=", page())


def test_cells_can_be_run_where_there_is_a_notebook_that_is_run():
    def added(page, is_there):
        files = []
        app = SimpleNamespace(
            config=SimpleNamespace(lite_is_there=is_there),
            env=SimpleNamespace(found_docs={"a", "b"}, metadata={"a": {"kernelspec": {}}, "b": {}}),
            add_css_file=files.append,
            add_js_file=lambda name, **attributes: files.append((name, attributes)),
        )
        alive.offer_cells(app, page, "page.html", {}, None)
        return files

    style, script = added("a", True)
    assert script == ("live_cells/live_cells.js", {"data-page": "a"})
    for file in (style, script[0]):
        assert (ROOT / "book" / "_static" / file).is_file()
    assert added("a", False) == added("b", True) == []
