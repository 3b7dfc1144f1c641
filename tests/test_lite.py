"""Chapters in the browser: what is served, what runs there, and what is only told."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import lite
import lite_notebooks
import nbformat
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


# ---- what runs -----------------------------------------------------------------------------------


def runs(*sources):
    return [runs for runs, _ in lite_notebooks.split(list(sources))]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["x = trial(1)", "y = 2", "z = x + y"], ["", "y = 2", ""]),
        (["a = 1\nx = trial(a)\nb = 2", "a", "b"], ["a = 1", "a", ""]),  # the rest goes with it
        (["def f():\n    return trial(1)", "f", "trial_of = 1"], ["", "", "trial_of = 1"]),
        (["x = trial(1)", "x = 1", "x"], ["", "x = 1", "x"]),  # given anew
        (["d = {}", "d[0] = trial(1)", "d"], ["d = {}", "", ""]),
        (["l = []", "l.append(trial(1))", "l"], ["l = []", "", ""]),
        (["l = []\nl.append(trial(1))", "l"], ["l = []", ""]),
        (["import np", "np.use(trial)", "np.one"], ["import np", "", "np.one"]),  # a module stays
        (
            ["for n in 1, 2:\n    trial(n)", "for n in 1, 2:\n    print(n)"],
            ["", "for n in 1, 2:\n    print(n)"],
        ),
        (["x = trial(1)", "def f(x):\n    return x"], ["", "def f(x):\n    return x"]),  # its own
        (["show(trial)", "show(sources_apart)"], ["show(trial)", "show(sources_apart)"]),
        (["from distributed import Client\nimport os", "Client()", "os"], ["import os", "", "os"]),
        (["%matplotlib inline\nx = 1", "x"], ["%matplotlib inline\nx = 1", "x"]),
        (["@trial\ndef f():\n    pass"], [""]),
    ],
)
def test_what_needs_a_sweep_or_an_absent_package_is_only_read(sources, expected):
    assert runs(*sources) == expected


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_is_a_notebook_of_the_browser_kernel(chapter):
    notebook = in_browser(chapter)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python"
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    for name in lite_notebooks.ABSENT:
        assert not any(re.search(rf"^\s*(import|from) {name}\b", cell, re.M) for cell in code)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"```python\n.*?\n```", "", text, flags=re.DOTALL)
    assert not re.findall(r"\{[\w:]+\}`|^[`:]{3,}\{.*|^\([\w:.-]+\)=$|\.md[#)]", text, re.M)


def test_a_cell_that_is_tagged_is_only_read():
    cell = "```{{code-cell}} ipython3\n{}x = 1\n```\n"
    for tags, only_read in (("", False), (":tags: [not-in-browser]\n", True)):
        text = "---\njupytext:\n  text_representation:\n    format_name: myst\n---\n# A\n\n"
        notebook = lite_notebooks.chapter_in_browser(text + cell.format(tags), lambda kind, to: to)
        shown = [cell for cell in notebook.cells if "x = 1" in cell.source]
        assert [cell.cell_type for cell in shown] == ["markdown" if only_read else "code"]


def test_a_long_chapter_says_so_and_one_that_sweeps_has_a_small_variant():
    path = ROOT / "book" / "experiments" / "piano.md"
    shown = lite_notebooks.chapter_in_browser(path.read_text("utf8"), lambda kind, to: to, "", 47.3)
    title, note, long, told, variant, first, *_ = shown.cells
    assert title.source.startswith("# ")
    assert "runs in your browser" in note.source
    assert "took 47 s" in long.source
    assert re.match(r"\*\d+ of the \d+ cells are text", told.source)
    assert (variant.cell_type, first.cell_type) == ("code", "code")
    assert 'piano_trials("KL-NMF", [0])' in variant.source
    assert first.source.startswith("import os")


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


POOR = """
import sys, threading

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(name)

def no_thread(self):
    raise RuntimeError("can't start new thread")

import importlib.util, IPython, numpy, scipy.fft, scipy.signal
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name in {absent} else find_spec(name, *a)
sys.meta_path.insert(0, Absent())
threading.Thread.start = no_thread
sys.platform = "emscripten"
{code}
assert "data:audio/wav" in players.data
"""


@pytest.mark.parametrize("sound", ["piano", "chirps"])
@pytest.mark.long
def test_small_variants_run_without_threads_processes_and_compiled_packages(sound, tmp_path):
    (variant,) = lite_notebooks.variants([f"sweep(trial, {sound}_trials('CDL', SEEDS))"])
    *lines, last = variant.rstrip().splitlines()
    absent = {"numba", "soundfile", "tqdm", "_multiprocessing", *lite_notebooks.ABSENT}
    code = "\n".join([*lines, f"players = {last}"])
    program = POOR.format(absent=absent, code=code)
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


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
    lock, wheels = lite.locked(pyodide, server, own, fetch, fetch)
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
        assert entry["sha256"] == lite.hashlib.sha256(path.read_bytes()).hexdigest()


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
    """The kernel of JupyterLite is made for one version of Pyodide: the one that npm installs."""
    from jupyterlite_pyodide_kernel.constants import PYODIDE_VERSION

    package = json.loads((ROOT / "package.json").read_text("utf8"))
    assert package["dependencies"]["pyodide"] == PYODIDE_VERSION
    for extension in lite.EXTENSIONS:
        assert Path(sys.prefix, lite.LABEXTENSIONS, extension, "package.json").exists()


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
    (tmp_path / lite.PYODIDE).mkdir(parents=True)
    app = SimpleNamespace(srcdir=tmp_path, outdir=tmp_path / "_build" / "html")
    config = SimpleNamespace(lite_is_there=False)
    said = []
    monkeypatch.setattr(lite.log, "info", lambda text, *values: said.append(text % values))

    def unreachable(root, work):
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(lite, "prepare", unreachable)
    lite.begin(app, config)
    shutil.rmtree(tmp_path / lite.PYODIDE)
    lite.begin(app, config)
    assert not config.lite_is_there
    assert len(said) == 2
    assert all(line.startswith("no notebooks that run in the browser") for line in said)
