"""The house rules: who imports whom, what a docstring holds, what the project's files promise."""

import ast
import inspect
import re
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import reference
import stale
import yaml

import cdlnmf_lit
from cdlnmf_lit.experiments.fingerprints import imports
from cdlnmf_lit.methods.method import Method, State

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cdlnmf_lit"
CHAPTERS = sorted(
    path for path in (ROOT / "book").rglob("*.md") if "{code-cell}" in path.read_text("utf8")
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf8"), re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def modules(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (PACKAGE / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The modules and names that a file imports, dotted."""
    package = ".".join(path.relative_to(ROOT).parent.parts)
    found = imports(path.read_text("utf8"), package)
    return {f"{module}.{name}" if name else module for module, name in found}


# ---- rooms -------------------------------------------------------------------------------------

ALLOWED = {
    "theory": {"theory"},
    "methods": {"theory", "methods"},
    "recordings": {"theory", "methods", "recordings"},
    "experiments": {"theory", "methods", "recordings", "experiments"},
    "presentation": {"theory", "methods", "recordings", "presentation"},
    "commands": {"theory", "methods", "recordings", "experiments", "presentation", "commands"},
}
FLOORS = [room for room in ALLOWED if room != "commands"]
"""The rooms that readers import from; commands are run, and tested by tests/test_main.py."""
LONGEST = 650
"""Lines of a file of the package, at the most."""


@pytest.mark.parametrize("room", ALLOWED)
def test_imports_flow_one_way(room):
    for path in modules(room):
        rooms = {name.split(".")[1] for name in imported(path) if name.startswith("cdlnmf_lit.")}
        assert rooms <= ALLOWED[room], f"{relative(path)} imports {rooms - ALLOWED[room]}"
        assert "cdlnmf_lit" not in imported(path), f"{relative(path)} imports the whole package"


@pytest.mark.parametrize("path", modules("theory", "methods"), ids=module_name)
def test_theory_and_methods_need_numpy_and_scipy_alone(path):
    outside = {name.split(".")[0] for name in imported(path)} - {"cdlnmf_lit"}
    if path.name == "kernels.py":  # compiles where it can: tests/methods/test_kernels.py
        outside.discard("numba")
    assert {name for name in outside if stale.distributions(name)} <= {"numpy", "scipy"}


@pytest.mark.parametrize("path", modules(""), ids=module_name)
def test_a_file_can_be_read_at_a_sitting(path):
    assert len(path.read_text("utf8").splitlines()) <= LONGEST


def test_every_module_has_a_test_on_its_floor():
    for path in modules(*FLOORS):
        source = path.read_text("utf8")
        defined = any(isinstance(n, ast.FunctionDef | ast.ClassDef) for n in ast.parse(source).body)
        test = ROOT / "tests" / path.relative_to(PACKAGE).with_name(f"test_{path.name}")
        assert test.exists() or not defined, f"{relative(path)} is not tested by {relative(test)}"


# ---- names, their docstrings and their chapters ------------------------------------------------


def public(path: Path):
    """The functions and classes that a module defines, and the public methods of the classes."""
    module = import_module(module_name(path))
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if getattr(value, "_is_protocol", False):
            continue
        if inspect.isfunction(value) or inspect.isclass(value):
            yield f"{module.__name__}.{name}", value


@pytest.mark.parametrize("path", modules("theory", "methods"), ids=module_name)
def test_public_names_have_examples_and_their_chapter_exists(path):
    for name, value in public(path):
        text = inspect.getdoc(value) or ""
        assert re.search(r"^Examples\n-+\n", text, re.MULTILINE), f"{name} has no example"
        assert ">>> " in text, f"{name} has no example that runs"
        for chapter in re.findall(r"book/[\w/]+\.md", text):
            assert (ROOT / chapter) in CHAPTERS, f"{name} names {chapter}"


def shown(chapter: Path) -> set[str]:
    """The dotted names of the package's functions and classes whose source a chapter shows."""
    tree = ast.parse(stale.code(chapter.read_text("utf8")))
    names: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) and "cdlnmf_lit" in ast.unparse(node):
            exec(ast.unparse(node), names)
    calls = (n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "show")
    found = set()
    for argument in (argument for call in calls for argument in call.args):
        value = eval(ast.unparse(argument), names)
        value = inspect.unwrap(getattr(value, "fget", None) or getattr(value, "func", value))
        found.add(f"{value.__module__}.{value.__qualname__.split('.')[0]}")
    return found


def exported():
    """The functions and classes of theory and methods that the package exports, each once."""
    found: dict[str, object] = {}
    for name in cdlnmf_lit.__all__:
        value = getattr(cdlnmf_lit, name)
        if inspect.ismodule(value):
            found |= public(Path(inspect.getfile(value)))
        elif inspect.isfunction(value) or inspect.isclass(value):
            found[f"{value.__module__}.{name}"] = value
    return found


def chapters_named(value) -> list[str]:
    """The chapter that a docstring names, or else the docstring of its module."""
    texts = (value.__doc__, import_module(value.__module__).__doc__)
    found = (re.findall(r"Chapter: ``(.*?)``", text or "") for text in texts)
    return next(filter(None, found), [])


def is_only_called(value) -> bool:
    """Whether a name is one of many of a kind, which method.md explains: options, states, bases."""
    bases = (Method, State)
    is_a_kind = inspect.isclass(value) and issubclass(value, bases)
    has_heirs = inspect.isclass(value) and bool(value.__subclasses__())
    return (is_a_kind or has_heirs) and value not in bases


@pytest.fixture(scope="module")
def shown_in():
    """The chapters that show each name."""
    found: dict[str, list[str]] = {}
    for chapter in CHAPTERS:
        for name in shown(chapter):
            found.setdefault(name, []).append(relative(chapter))
    return found


def test_every_exported_name_is_shown_in_the_one_chapter_that_it_names(shown_in):
    wrong = []
    for name, value in exported().items():
        chapters, named = shown_in.get(name, []), chapters_named(value)
        if len(named) != 1 or (chapters != named and (chapters or not is_only_called(value))):
            wrong.append(f"{name} is shown in {chapters}, its docstring names {named}")
    assert not wrong, "\n".join(wrong)


def test_what_all_methods_share_is_shown_where_methods_are_explained(shown_in):
    for value in (Method, cdlnmf_lit.Decomposition, cdlnmf_lit.run):
        assert shown_in[f"{value.__module__}.{value.__name__}"] == ["book/methods/method.md"]


def reference_of(room: str) -> list[ModuleType]:
    return list(reference.modules(ROOT, room))


def test_the_reference_lists_every_module_that_readers_use():
    listed = {module.__name__ for room in FLOORS for module in reference_of(room)}
    assert set(reference.ROOMS) == set(FLOORS)
    assert listed == {module_name(path) for path in modules(*FLOORS) if any(public(path))} - set(
        reference.HELPERS
    )
    for room in FLOORS:
        page = (ROOT / "book" / "reference" / f"api_{room}.md").read_text("utf8")
        assert reference.MODULES.findall(page) == [room]


def test_the_reference_prints_every_public_name():
    """Of the modules that it lists it prints what has a docstring; the data it names itself."""
    text = (ROOT / "book" / "reference" / "api.md").read_text("utf8")
    listed = [module for room in FLOORS for module in reference_of(room)]
    for module in listed:
        assert reference.summary(module), f"{module.__name__} does not say what it is"
        for name, value in public(Path(inspect.getfile(module))):
            assert inspect.getdoc(value), f"{name} has no docstring"
            methods = vars(value).items() if inspect.isclass(value) else ()
            for method, each in methods:
                if not method.startswith("_") and inspect.isfunction(each):
                    assert inspect.getdoc(each), f"{name}.{method} has no docstring"
    names = {module.__name__ for module in listed}
    for name in cdlnmf_lit.__all__:
        value = getattr(cdlnmf_lit, name)
        module = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", "")
        assert module in names or f"`{name}`" in text, name


def test_the_version_is_said_once_and_cited():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf8"))
    assert citation["version"] == PROJECT["project"]["version"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", citation["date-released"])


def test_the_notation_names_what_there_is():
    text = (ROOT / "book" / "notation.md").read_text("utf8")
    trees = [ast.parse(path.read_text("utf8")) for path in modules(*ALLOWED)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    known = {
        getattr(node, key)
        for node in nodes
        for key in ("name", "id", "attr", "arg")
        if hasattr(node, key)
    }
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| $")]
    columns = [row[2] for row in rows if len(row) > 5]
    identifiers = {
        w
        for code in re.findall(r"`(.*?)`", " ".join(columns))
        for w in re.findall(r"[a-zA-Z_]\w+", code)
    }
    assert len(identifiers) > 30
    assert identifiers <= known, identifiers - known


def test_the_bibliography_has_the_papers_23_references():
    text = (ROOT / "book" / "reference" / "bibliography.md").read_text("utf8")
    works = (ROOT / "book" / "reference" / "references.bib").read_text("utf8")
    numbered = re.findall(r"\[(\d+)\] \| {cite:t}`(\w+)`", text)
    assert sorted(int(number) for number, _ in numbered) == list(range(1, 24))
    entries = {
        entry.split(",", 1)[0]: entry for entry in re.split(r"^@\w+{", works, flags=re.M)[1:]
    }
    assert {key for _, key in numbered} <= {*entries}
    for key, entry in entries.items():
        fields = set(re.findall(r"(\w+) = {", entry))
        assert {"author", "title", "year"} <= fields, key
        assert fields & {"journal", "booktitle", "publisher"}, key


def test_every_work_in_the_bibliography_is_cited():
    works = (ROOT / "book" / "reference" / "references.bib").read_text("utf8")
    pages = "".join(path.read_text("utf8") for path in (ROOT / "book").rglob("*.md"))
    cited = re.findall(r"{cite:\w}`([\w, ]+)`", pages)
    assert set(re.findall(r"^@\w+{(\w+),", works, re.MULTILINE)) == set(
        re.findall(r"\w+", " ".join(cited))
    )


@pytest.mark.parametrize("chapter", CHAPTERS, ids=relative)
def test_chapters_are_in_the_table_of_contents(chapter):
    toc = (ROOT / "_toc.yml").read_text("utf8")
    assert relative(chapter).removesuffix(".md") in re.findall(r"(?:root|file): (\S+)", toc)


@pytest.mark.parametrize(
    "chapter", [path for path in CHAPTERS if path.parent.name != "book"], ids=relative
)
def test_chapters_have_exercises_with_folded_solutions(chapter):
    text = chapter.read_text("utf8")
    (section,) = re.findall(r"^## Exercises\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    exercises = re.split(r"^\*\*\d+\.\*\* ", section, flags=re.MULTILINE)[1:]
    assert len(exercises) >= 2
    for exercise in exercises:
        cells = re.findall(
            r"^```{code-cell} ipython3\n:tags: \[hide-cell[^\n]*\]\n(.*?)^```",
            exercise,
            re.MULTILINE | re.DOTALL,
        )
        folded = ":::{dropdown} Solution" in exercise or any("assert" in cell for cell in cells)
        assert folded, f"no folded solution that asserts: {exercise.splitlines()[0]}"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=relative)
def test_links_to_the_tests_lead_somewhere(chapter):
    for path in re.findall(r"tests/[\w/]+\.py", chapter.read_text("utf8")):
        assert (ROOT / path).exists(), path


# ---- the project's files -----------------------------------------------------------------------


def test_environment_serves_what_pyproject_says():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf8"))
    python, pip, packages = environment["dependencies"]
    assert python.removeprefix("python=") in pythons()
    assert pip == "pip"
    assert packages == {"pip": ["--editable .[dev]"]}


def pythons() -> list[str]:
    prefix = "Programming Language :: Python :: 3."
    return ["3." + c.removeprefix(prefix) for c in PROJECT["project"]["classifiers"] if prefix in c]


def test_every_dependency_says_what_it_is_for():
    lines = (ROOT / "pyproject.toml").read_text("utf8").splitlines()
    start, end = lines.index("[project.optional-dependencies]"), lines.index("[project.scripts]")
    for before, line in zip(lines[start:end], lines[start + 1 : end], strict=False):
        if re.match(r"\w+ = \[", line):
            assert before.startswith("# "), f"the extra {line} has no comment"
        if line.startswith('    "') and "cdlnmf-lit[" not in line:
            assert re.search(r'", # \w', line), f"{line} does not say what it is for"


def test_dev_is_all_the_extras_but_the_peers():
    extras = PROJECT["project"]["optional-dependencies"]
    (everything,) = extras["dev"]
    named = set(re.findall(r"\w+", everything)) - {"cdlnmf", "lit"}
    assert named == set(extras) - {"dev", "peers"}


def test_workflows_run_targets_of_the_makefile():
    assert {path.stem for path in WORKFLOWS} == {"tests", "book", "nightly"}
    for path in WORKFLOWS:
        jobs = yaml.safe_load(path.read_text("utf8"))["jobs"]
        commands = [s["run"] for job in jobs.values() for s in job["steps"] if "run" in s]
        assert commands
        for command in commands:
            assert re.fullmatch(r"make ([a-z-]+) PYTHON=python", command), command
            assert command.split()[1] in TARGETS


def test_matrix_and_classifiers_name_the_same_pythons():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text("utf8"))
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == pythons()
    assert PROJECT["project"]["requires-python"] == f">={pythons()[0]}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "book/intro.md", ".ci/run"])
def test_commands_that_pages_name_exist(page):
    text = (ROOT / page).read_text("utf8")
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    assert named
    assert named <= TARGETS


def test_the_command_line_is_a_console_script():
    assert PROJECT["project"]["scripts"] == {"cdlnmf-lit": "cdlnmf_lit.__main__:main"}
    assert callable(import_module("cdlnmf_lit.__main__").main)


def test_make_takes_a_sound_apart():
    """With the environment that is there (READY=): what it would run."""

    def make(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "READY=", "BIN=the/environment", *words]
        return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)

    planned = make("--dry-run", "decompose", "SOUND=a b.wav", "K=3", "OUT=c").stdout
    assert 'the/environment/cdlnmf-lit decompose "a b.wav" -K 3 -o "c"' in planned
    unnamed = make("--dry-run", "decompose").stdout
    assert 'the/environment/cdlnmf-lit decompose "example:piano" -K auto -o "out"' in unnamed


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def test_no_sound_file_is_kept():
    sounds = {".wav", ".flac", ".mp3", ".ogg", ".aiff"}
    assert not [relative(path) for path in tracked() if path.suffix.lower() in sounds]


def test_no_file_names_a_folder_of_one_machine():
    folder = re.compile(r"(?<![\w.])/(?:root|work|home)/\w")
    for path in tracked():
        if path.suffix not in {".png", ".svg", ".webp", ".ico", ".woff2"}:
            assert not folder.search(path.read_text("utf8")), relative(path)


def test_properties_follow_the_profile():
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        assert "max_examples=" not in path.read_text("utf8").replace('"max_examples="', ""), path
