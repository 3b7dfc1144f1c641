"""The foot of every page: where the code is, whose it is, how to cite it, what to download.

All of it is read off ``CITATION.cff``. The links to the source and to its tracker are there when
the book is built for a repository, which ``BOOK_REPOSITORY`` tells.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pdf
import yaml

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

FOLDER = "downloads"
NOTEBOOKS = "notebooks.zip"
EXERCISES = "exercises.zip"
"""What ``exercises.py`` writes."""
MIDNIGHT = (1980, 1, 1, 0, 0, 0)
"""The date of all files in an archive, so that the same book gives the same bytes."""
NAMES = {
    ".whl": "the package (wheel)",
    ".gz": "the source",
    ".pdf": "the book on paper (PDF)",
    NOTEBOOKS: "all notebooks",
    EXERCISES: "the exercises, without solutions",
}
"""What is said of a download, by its name or its ending."""


def name(person: Mapping[str, str]) -> str:
    """An author as ``CITATION.cff`` has them: a person, or a group.

    Examples
    --------
    >>> name({"family-names": "Fourier", "given-names": "Joseph"}), name({"name": "the authors"})
    ('Joseph Fourier', 'the authors')
    """
    return person.get("name") or f"{person['given-names']} {person['family-names']}"


def bibtex(work: Mapping[str, Any], key: str, url: str = "") -> str:
    """A work of ``CITATION.cff`` as BibTeX.

    Examples
    --------
    >>> work = {"type": "software", "title": "It", "authors": [{"name": "the authors"}],
    ...         "version": "1.0", "date-released": "2024-05-06"}
    >>> print(bibtex(work, "it"))
    @software{it,
      title = {It},
      author = {{the authors}},
      version = {1.0},
      year = {2024},
    }
    """
    authors = [
        f"{each['family-names']}, {each['given-names']}"
        if "name" not in each
        else f"{{{each['name']}}}"
        for each in work["authors"]
    ]
    pages = f"{work['start']}--{work['end']}" if "start" in work else None
    fields = {
        "title": work["title"],
        "author": " and ".join(authors),
        "booktitle": work.get("collection-title"),
        "version": work.get("version"),
        "year": work.get("year") or str(work["date-released"])[:4],
        "pages": pages,
        "doi": work.get("doi"),
        "url": url or None,
    }
    lines = [f"  {field} = {{{value}}}," for field, value in fields.items() if value]
    kind = {"conference-paper": "inproceedings"}.get(work["type"], work["type"])
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def links(repository: str, page: str, source: str, title: str) -> dict[str, str]:
    """Where a page's source is shown and edited, and where its mistakes are told.

    A page that is made without a source has none to edit.

    Examples
    --------
    >>> links("https://github.com/you/it", "book/a", "book/a.md", "A & B")["mistake"]
    'https://github.com/you/it/issues/new?title=A%20%26%20B%3A%20'
    >>> links("", "book/a", "book/a.md", "A")
    {}
    """
    if not repository:
        return {}
    edit = {"edit": f"{repository}/edit/main/{source}"} if source else {}
    mistake = f"{repository}/issues/new?title={quote(f'{title}: ')}"
    return {"repository": repository, **edit, "mistake": mistake}


def stored(path: str) -> zipfile.ZipInfo:
    """The entry of a file in an archive, which is the same whenever it is written."""
    entry = zipfile.ZipInfo(path, MIDNIGHT)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def distribute(root: Path, folder: Path) -> list[str]:
    """Build the wheel and the source distribution of the package; their names."""
    with tempfile.TemporaryDirectory() as built:
        command = [sys.executable, "-m", "hatchling", "build", "-d", built]
        subprocess.run(command, cwd=root, check=True, capture_output=True)
        folder.mkdir(parents=True, exist_ok=True)
        files = sorted(Path(built).iterdir())
        for file in files:
            shutil.copy2(file, folder)
    return [file.name for file in files]


def printed(root: Path, folder: Path) -> list[str]:
    """Take over what ``make pdf`` has printed, if it has; its name."""
    if not (book := root / pdf.PDF).exists():
        return []
    shutil.copy2(book, folder)
    return [book.name]


def begin(app: Sphinx) -> None:
    """Read what there is to say, and build what there is to download."""
    if app.builder.format != "html":
        return
    root, folder = Path(app.srcdir), Path(app.outdir, FOLDER)
    work = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf8"))
    (paper,) = work["references"]
    here = os.environ.get("BOOK_REPOSITORY", "") or app.config.html_baseurl
    shutil.rmtree(folder, ignore_errors=True)
    packages = distribute(root, folder) + printed(root, folder)
    shutil.copy2(root / "LICENSE", folder / "LICENSE.txt")
    app.config.html_context["colophon"] = {
        "version": work["version"],
        "date": work["date-released"],
        "licence": work["license"],
        "authors": ", ".join(map(name, work["authors"])),
        "bibtex": f"{bibtex(work, 'cdlnmf_lit', here)}\n\n{bibtex(paper, 'malagnoux2024')}",
        "downloads": {
            f"{FOLDER}/{file}": NAMES.get(file) or NAMES[Path(file).suffix]
            for file in (*packages, NOTEBOOKS, EXERCISES)
        },
    }


def tell(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Give a page the links that are its own."""
    source, title = "", page
    if page in app.env.found_docs:
        source = Path(app.env.doc2path(page)).relative_to(app.srcdir).as_posix()
        title = app.env.titles[page].astext()
    repository = os.environ.get("BOOK_REPOSITORY", "").rstrip("/")
    context["own_links"] = links(repository, page, source, title)


def finish(app: Sphinx, error: Exception | None) -> None:
    """Put all notebooks, as they were executed, into one archive."""
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    target = out / FOLDER / NOTEBOOKS
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for notebook in sorted((out / "_sources").rglob("*.ipynb")):
            path = notebook.relative_to(out / "_sources").as_posix()
            archive.writestr(stored(path), notebook.read_bytes())


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", begin)
    app.connect("html-page-context", tell)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
