"""JupyterLite inside the book: each chapter as a notebook that runs in the reader's browser.

The book serves Pyodide's core, which npm installs as package.json says, and every package of pure
Python that the chapters need, this one among them. Pyodide's own lock file is made to name these
files with their digests; what is compiled (NumPy, SciPy, Matplotlib) it leaves to Pyodide's public
server, at the locked versions, or has too where the variable ``LITE`` is ``self``. Without npm or a
network the book has no such notebooks, and no button that leads to them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib.metadata import PathDistribution, version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import official
from execution import executed
from figures import passed_on
from lite_notebooks import Words, chapter_in_browser
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from sphinx.util import logging

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.config import Config
    from sphinx.environment import BuildEnvironment

Entry = dict[str, Any]
"""What the lock file says of one package."""
Fetch = Callable[[Mapping[str, str]], dict[str, Path]]
"""From names and versions to wheels of pure Python, by name."""
Compiled = Callable[[str, str], Path]
"""From the name and the digest of a file of Pyodide to the file."""

SITE = "lite"
"""The folder of JupyterLite in the built book."""
KERNEL = ("micropip", "comm", "ipython", "jedi", "ssl")
"""What the kernel loads by itself."""
BOOTS = ("sqlite3",)
"""Compiled, and with the book all the same: the kernel that says what is missing needs it."""
EXTRAS = ("audio", "plot", "widgets", "experiments")
"""The extras of our own wheel that chapters need."""
ELSEWHERE = ("distributed", "jupyterlab-widgets", "miniaudio", "soundfile", "widgetsnbextension")
"""Required, but not in a browser: a cluster, compiled decoders, a page for widgets."""
LABEXTENSIONS = "share/jupyter/labextensions"
EXTENSIONS = ("@jupyter-widgets/jupyterlab-manager", "@jupyterlite/pyodide-kernel-extension")
KERNEL_SETTINGS = f"{EXTENSIONS[1]}:kernel"
OURS = Path(__file__).parents[1] / "lite"
"""The settings of JupyterLite, and an extension of our own."""
KERNEL_SCRIPT = "kernel.js"
"""What the kernel takes for Pyodide."""
SETTINGS = "jupyter-lite.json"
ICONS = ("favicon-notebook.ico", "favicon-busy-1.ico")
PURE = ("--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none")
BROWSER = {"sys_platform": "emscripten", "platform_system": "Emscripten", "os_name": "posix"}

log = logging.getLogger(__name__)


# ---- what is served: pure functions of the lock file and the wheels ------------------------------


def required(wheel: Path, extras: Iterable[str] = ()) -> list[Requirement]:
    """What a wheel needs in a browser."""
    chosen = [{**BROWSER, "extra": extra} for extra in ("", *extras)]
    needed = map(Requirement, _metadata(wheel).requires or [])
    return [
        each
        for each in needed
        if canonicalize_name(each.name) not in ELSEWHERE
        and (each.marker is None or any(map(each.marker.evaluate, chosen)))
    ]


def entry(wheel: Path, extras: Iterable[str] = ()) -> Entry:
    """What the lock file is to say of a wheel that the book serves."""
    with zipfile.ZipFile(wheel) as archive:
        tops = {Path(name).parts[0] for name in archive.namelist()}
    name, number, _, _ = parse_wheel_filename(wheel.name)
    return {
        "name": name,
        "version": str(number),
        "imports": sorted(Path(top).stem for top in tops if not top.endswith(".dist-info")),
        "depends": sorted({canonicalize_name(each.name) for each in required(wheel, extras)}),
        "package_type": "package",
        "install_dir": "site",
        "unvendored_tests": False,
        **_file(wheel),
    }


def locked(
    lock: Mapping[str, Any],
    server: str,
    own: Path,
    fetch: Fetch,
    build: Fetch,
    compiled: Compiled,
    whole: bool = False,
) -> tuple[dict[str, Any], list[Path]]:
    """The lock file of the book, and the files that it names and the book serves.

    A package that Pyodide has at a version that is asked for is taken at that version, another at
    the one that is installed here. What is compiled is left to the server, unless the book is to
    be ``whole``.
    """
    packages = {
        name: known | {"file_name": server + known["file_name"]}
        for name, known in lock["packages"].items()
    }
    served: dict[str, Path] = {}
    pure: dict[str, str] = {}
    todo = [*map(Requirement, KERNEL), *required(own, EXTRAS)]
    seen: set[str] = set()
    while todo:
        asked = todo.pop()
        name = canonicalize_name(asked.name)
        if name in seen:
            continue
        seen.add(name)
        known = lock["packages"].get(name)
        if known and asked.specifier.contains(known["version"], prereleases=True):
            todo += map(Requirement, known["depends"])
            if known["file_name"].endswith("-none-any.whl"):
                pure[name] = known["version"]
            elif whole or name in BOOTS:
                served[name] = compiled(known["file_name"], known["sha256"])
                packages[name] = known
        else:
            served |= build({name: version(name)})
            packages[name] = entry(served[name])
            todo += required(served[name])
    served |= (found := fetch(pure))
    packages |= {name: packages[name] | _file(wheel) for name, wheel in found.items()}
    ours = entry(own, EXTRAS)
    packages[ours["name"]] = ours
    return {**lock, "packages": packages}, [own, *served.values()]


def _metadata(wheel: Path) -> PathDistribution:
    (folder,) = (f for f in zipfile.Path(wheel).iterdir() if f.name.endswith(".dist-info"))
    return PathDistribution(folder)


def _file(wheel: Path) -> Entry:
    return {"file_name": wheel.name, "sha256": official.digest(wheel)}


# ---- where it comes from -------------------------------------------------------------------------


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--retries=1"]
    subprocess.run([*command, *arguments], check=True)


def wheels_from(folder: Path, *command: str) -> Fetch:
    """Take wheels from a folder, where this command of pip puts those that are missing."""

    def there(versions: Mapping[str, str]) -> dict[str, Path]:
        wheels = {
            parse_wheel_filename(path.name)[:2]: path for path in folder.glob("*-none-any.whl")
        }
        return {
            str(name): path
            for (name, number), path in wheels.items()
            if versions.get(name) == str(number)
        }

    def fetch(versions: Mapping[str, str]) -> dict[str, Path]:
        if missing := versions.keys() - there(versions).keys():
            asked = (f"{name}=={versions[name]}" for name in sorted(missing))
            pip(*command, "--no-deps", *asked)
        return there(versions)

    return fetch


def wheel_of_the_book(root: Path, folder: Path) -> Path:
    """Build the wheel of the package that the book is about.

    Its name has a digest as its build tag: a browser may have kept an earlier one.
    """
    shutil.rmtree(folder, ignore_errors=True)
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", folder, root)
    (wheel,) = folder.glob("*.whl")
    name, number, *tags = wheel.name.split("-")
    tag = f"1{official.digest(wheel)[:12]}"
    return wheel.rename(wheel.with_name("-".join([name, number, tag, *tags])))


def jupyterlite(work: Path, **settings: Any) -> None:
    """Let JupyterLite build from a folder; what it says is shown if it fails."""
    config = work / "jupyter_lite_config.json"
    config.write_text(json.dumps({"LiteBuildConfig": settings}), "utf8")
    command = [sys.executable, "-m", "jupyter", "lite", "build"]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"JupyterLite failed:\n{done.stdout}\n{done.stderr}")


# ---- the build -----------------------------------------------------------------------------------


def prepare(root: Path, work: Path) -> None:
    """Put what JupyterLite serves beside its notebooks into the folder ``static/pyodide``."""
    core, target = root / official.PYODIDE, work / "static" / "pyodide"
    store = work / "wheels"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    lock = official.lock_of(root)
    python = lock["info"]["python"]
    served, files = locked(
        lock,
        official.server(root),
        wheel_of_the_book(root, work / "own"),
        wheels_from(store, "download", f"--dest={store}", *PURE, f"--python-version={python}"),
        wheels_from(store, "wheel", f"--wheel-dir={store}"),
        partial(official.file, root=root),
        by_itself(),
    )
    for file in (*(core / name for name in official.CORE), OURS / KERNEL_SCRIPT, *files):
        shutil.copy2(file, target)
    (target / official.LOCK).write_text(json.dumps(served), "utf8")


def by_itself() -> bool:
    """Whether the book is to need no other server.

    Raises
    ------
    ValueError
        If the variable ``LITE`` is neither empty nor ``self``.
    """
    wish = os.environ.get("LITE", "")
    if wish not in ("", "self"):
        raise ValueError(f"LITE must be self or nothing, got {wish}")
    return wish == "self"


def begin(app: Sphinx, config: Config) -> None:
    """See whether there can be notebooks, before the first page asks."""
    root = Path(app.srcdir)
    if not (core := root / official.PYODIDE).exists():
        return log.info("no notebooks that run in the browser: npm did not install %s", core.name)
    try:
        prepare(root, folder(app))
    except (OSError, subprocess.CalledProcessError) as error:
        return log.info("no notebooks that run in the browser: %s", error)
    config.lite_is_there = True
    app.add_css_file("lite.css")
    app.add_js_file("lite.js")


def folder(app: Sphinx) -> Path:
    """Where JupyterLite is built from."""
    return Path(app.outdir).parent / "lite"


def chapters(app: Sphinx) -> Iterator[str]:
    """The pages that are notebooks."""
    return (page for page in app.env.found_docs if "kernelspec" in app.env.metadata.get(page, {}))


def offer(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put the button above a chapter."""
    if app.config.lite_is_there and page in chapters(app):
        start = context["pathto"](f"{SITE}/notebooks/index.html", 1)
        context["header_buttons"].append(
            {
                "type": "link",
                "url": f"{start}?path={page}.ipynb",
                "text": "Run in the browser",
                "tooltip": "Open this chapter as a notebook that runs in the browser",
                "icon": "fas fa-play",
                "label": "lite-button",
            }
        )


def build(app: Sphinx, error: Exception | None) -> None:
    """Write the notebooks and let JupyterLite make its site of them."""
    if error or not app.config.lite_is_there or app.builder.format != "html":
        return
    work, site = folder(app), Path(app.outdir, SITE)
    commands = macros(app.config)
    words = words_of(app.env)
    root = Path(app.srcdir)
    server = "this book" if by_itself() else urlsplit(official.server(root)).netloc
    versions = official.versions(root)
    for old in (work / "files", site / "static" / "pyodide"):
        shutil.rmtree(old, ignore_errors=True)
    for page in chapters(app):
        source = Path(app.env.doc2path(page))
        text = source.read_text("utf8")
        built = executed(app, page)
        outputs = passed_on(built) if built else None
        notebook = chapter_in_browser(text, words, commands, server, versions, outputs)
        target = work / "files" / f"{page}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        if (kept := source.parent / "kept").is_dir():
            shutil.copytree(kept, target.parent / "kept", dirs_exist_ok=True)
        target.write_text(json.dumps(notebook, indent=1, ensure_ascii=False), "utf8")
    shutil.copy2(OURS / SETTINGS, work)
    installed = (str(Path(sys.prefix, LABEXTENSIONS, each)) for each in EXTENSIONS)
    jupyterlite(
        work,
        output_dir=str(site),
        apps=["notebooks", "tree"],
        ignore_sys_prefix=True,
        federated_extensions=[*installed, str(OURS / "extension")],
        no_sourcemaps=True,
        no_unused_shared_packages=True,
    )
    use_our_kernel(site / SETTINGS)
    for icon in ICONS:  # that it asks for and forgets to copy
        target = site / "static" / "favicons" / icon
        target.parent.mkdir(exist_ok=True)
        shutil.copy2(site / "notebooks" / "favicon.ico", target)


def use_our_kernel(settings: Path) -> None:
    """Let the kernel begin with our script, where JupyterLite has written another."""
    found = json.loads(settings.read_text("utf8"))
    plugins = found["jupyter-config-data"]["litePluginSettings"]
    plugins[KERNEL_SETTINGS]["pyodideUrl"] = f"./static/pyodide/{KERNEL_SCRIPT}"
    settings.write_text(json.dumps(found, indent=2), "utf8")


def macros(config: Config) -> str:
    """The macros of the book's equations, as TeX."""
    return "".join(map(_newcommand, config.mathjax3_config["tex"]["macros"].items()))


def _newcommand(macro: tuple[str, str | list[Any]]) -> str:
    """A macro of MathJax's settings, as TeX."""
    name, meaning = macro
    body, count = meaning if isinstance(meaning, list) else (meaning, 0)
    arguments = f"[{count}]" if count else ""
    return rf"\newcommand{{\{name}}}{arguments}{{{body}}}"


def words_of(env: BuildEnvironment) -> Words:
    """The words that stand for a reference, as this build numbered and titled things."""
    domains: Any = env.domains
    titles = {label: title for label, (_, _, title) in domains["std"].labels.items()}
    numbers = {label: f"({n})" for label, (_, n) in domains["math"].equations.items()}
    boxes = {name: _numbered(env, box) for name, box in getattr(env, "proof_list", {}).items()}
    works = domains["cite"].bibdata.data.entries
    known = titles | numbers | boxes

    def words(kind: str, target: str) -> str:
        if kind.startswith("cite:"):
            form = "{} ({})" if kind.endswith("t") else "({}, {})"
            cited = (works[key.strip()] for key in target.split(","))
            return "; ".join(form.format(_authors(work), work.fields["year"]) for work in cited)
        return known.get(target, target)

    return words


def _numbered(env: BuildEnvironment, box: Entry) -> str:
    """The kind of a theorem or its like, and its number where it has one."""
    numbers = env.toc_fignumbers.get(box["docname"], {}).get(box["countertype"], {})
    number = ".".join(map(str, numbers.get(box["ids"][0], ())))
    return f"{box['realtype'].capitalize()} {number}".rstrip()


def _authors(work: Any) -> str:
    names = [" ".join(person.last_names).strip("{}") for person in work.persons["author"]]
    return " and ".join(names) if len(names) < 3 else f"{names[0]} et al."


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("lite_is_there", False, "html")
    app.connect("config-inited", begin)
    app.connect("html-page-context", offer, priority=502)
    app.connect("build-finished", build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
