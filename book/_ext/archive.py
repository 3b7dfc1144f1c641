"""Put the book, its source and what it says of itself into one file, to be kept or handed in.

Run by ``make archive``, once the book is built. The file holds the source, the pages, the PDF if
it was printed, what was installed, the claims as a record, and two descriptions for machines: an
RO-Crate of it all, and a ``codecheck.yml`` that names each figure and table with the command that
makes it again. All is computed from the tree: the same tree gives the same bytes.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import sys
import tarfile
import textwrap
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import figures
import yaml
from colophon import FOLDER, name, stored

from cdlnmf_lit.experiments import verdicts
from cdlnmf_lit.experiments.measured import measured

ROOT = Path(__file__).parents[2]
HTML, PDF = Path("_build/html"), Path("_build/pdf/cdlnmf_lit.pdf")
TARGET = Path("_build/archive")
CODECHECK = "https://codecheck.org.uk/spec/config/1.0/"
CRATE = "https://w3id.org/ro/crate/1.1"
PARTS = {
    "source/": ("The source of the book and of its package", None),
    "book/": ("The book as built: open index.html", None),
    "book.pdf": ("The book on paper", "application/pdf"),
    "wheels.txt": ("What was installed when the book was built, with hashes", "text/plain"),
    "claims.json": ("The paper's claims: sentence, rule, number, verdict", "application/json"),
    "codecheck.yml": ("Each figure and table, and how it is made again", "text/yaml"),
}
"""What an archive may hold, what each is, and of what type."""

Files = dict[str, bytes]


# ---- what it says of itself ----------------------------------------------------------------------


def digest(installed: Distribution) -> str:
    """One hash for the files of an installed wheel, of those that its ``RECORD`` has.

    Left out is what the machine adds: compiled files have no hash there, scripts begin with a path.
    """
    own = ("INSTALLER", "REQUESTED", "direct_url.json")
    lines = sorted(
        f"{each}={each.hash.value}"
        for each in installed.files or []
        if each.hash and each.parts[0] != ".." and each.name not in own
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def wheel(installed: Distribution) -> str:
    """The file that a distribution was installed from, as its tags name it."""
    tags = (installed.read_text("WHEEL") or "").splitlines()
    found = [line.partition(": ")[2].split("-") for line in tags if line.startswith("Tag: ")]
    parts = (".".join(sorted({*each})) for each in zip(*found, strict=True))
    stem = installed.metadata["Name"].replace("-", "_")
    return "-".join([stem, installed.version, *parts]) + ".whl"


def wheels(environment: Iterable[Distribution]) -> str:
    """A line for each installed wheel: a hash of what it put there, and its name."""
    others = (each for each in environment if each.metadata["Name"] != "cdlnmf-lit")
    lines = {f"{digest(each)}  {wheel(each)}" for each in others if each.read_text("WHEEL")}
    return "".join(f"{line}\n" for line in sorted(lines, key=lambda line: line[66:].lower()))


def rule(judge: verdicts.Judge) -> str:
    """The code that judges a sentence, as it stands."""
    return textwrap.dedent(inspect.getsource(judge)).strip().rstrip(",")


def record(kept: Path) -> dict[str, Any]:
    """The claims: what is said where, by which rule it is judged, what was measured."""
    found = verdicts.verdicts(measured(kept))
    rules = {name: rule(judge) for name, *_, judge in verdicts.SENTENCES}
    says = inspect.getdoc(verdicts.class_of) or ""
    return {
        "classes": says.partition("\n\nParameters")[0],
        "thresholds": verdicts.THRESHOLDS,
        "claims": [
            {
                "name": each.name,
                "where": each.where,
                "sentence": each.says,
                "corrected": each.corrected,
                "rule": rules[each.name],
                "number": each.number,
                "verdict": each.word,
            }
            for each in found.values()
        ],
    }


def codecheck(work: Mapping[str, Any], results: Iterable[figures.Result], root: Path) -> str:
    """Each figure and table of the book: the file, what it shows, and what makes it again."""
    manifest = [
        {
            "file": (figures.TARGET / each.file).as_posix(),
            "comment": f"{each.page.relative_to(root).as_posix()}: {each.caption.rstrip('.')}. "
            f"Made again by: make figure NAME={each.name}",
        }
        for each in results
    ]
    (paper,) = work["references"]
    told = {
        "version": CODECHECK,
        "paper": {
            "title": paper["title"],
            "authors": [{"name": name(each)} for each in paper["authors"]],
            "reference": f"https://doi.org/{paper['doi']}",
        },
        "manifest": manifest,
    }
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=100)


def crate(work: Mapping[str, Any], says: str, files: Files) -> str:
    """What the archive holds and says of itself, as RO-Crate 1.1.

    That is JSON-LD which repositories of research data read.
    """
    (paper,) = work["references"]
    there = [part for part in PARTS if any(file.startswith(part) for file in files)]
    article = f"https://doi.org/{paper['doi']}"
    licence = f"https://spdx.org/licenses/{work['license']}"

    def part(path: str) -> dict[str, Any]:
        says, kind = PARTS[path]
        told = {"@id": path, "@type": "Dataset" if path.endswith("/") else "File", "name": says}
        if kind is None:
            return told
        sizes = {"contentSize": str(len(files[path])), "encodingFormat": kind}
        return told | sizes | {"sha256": hashlib.sha256(files[path]).hexdigest()}

    def people(authors: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
        return [
            {"@type": "Organization" if "name" in each else "Person", "name": name(each)}
            | {"@id": f"#{name(each).replace(' ', '-')}"}
            for each in authors
        ]

    def links(entities: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
        return [{"@id": each["@id"]} for each in entities]

    own, theirs, parts = people(work["authors"]), people(paper["authors"]), [*map(part, there)]
    graph = [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": CRATE},
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": work["title"],
            "description": says,
            "version": str(work["version"]),
            "datePublished": str(work["date-released"]),
            "license": {"@id": licence},
            "author": links(own),
            "citation": {"@id": article},
            "hasPart": links(parts),
        },
        {"@id": licence, "@type": "CreativeWork", "name": work["license"]},
        {
            "@id": article,
            "@type": "ScholarlyArticle",
            "name": paper["title"],
            "author": links(theirs),
        },
        *own,
        *theirs,
        *parts,
    ]
    terms = {"sha256": "https://schema.org/sha256"}
    return json.dumps({"@context": [f"{CRATE}/context", terms], "@graph": graph}, indent=1) + "\n"


# ---- the file ------------------------------------------------------------------------------------


def source(sdist: bytes) -> Iterator[tuple[str, bytes]]:
    """The files of a source distribution, without the folder that they lie in."""
    with tarfile.open(fileobj=io.BytesIO(sdist)) as packed:
        for member in packed.getmembers():
            if (file := packed.extractfile(member)) is not None:
                yield member.name.partition("/")[2], file.read()


def gathered(root: Path) -> Files:
    """All that the archive of a built book holds.

    Raises
    ------
    SystemExit
        If the book is not built.
    """
    html = root / HTML
    if not (sdists := [*(html / FOLDER).glob("*.tar.gz")]):
        sys.exit(f"there is no built book in {html}: make archive builds it")
    work = yaml.safe_load((root / "CITATION.cff").read_text("utf8"))
    files = {f"source/{path}": data for path, data in source(sdists[0].read_bytes())}
    pages = (path for path in html.rglob("*") if path.is_file())
    files |= {f"book/{path.relative_to(html).as_posix()}": path.read_bytes() for path in pages}
    if (root / PDF).exists():
        files["book.pdf"] = (root / PDF).read_bytes()
    claims = json.dumps(record(root / "book/experiments/kept"), indent=1, ensure_ascii=False)
    texts = {
        "wheels.txt": wheels(distributions()),
        "claims.json": f"{claims}\n",
        "codecheck.yml": codecheck(work, figures.of_book(root).values(), root),
    }
    files |= {path: text.encode() for path, text in texts.items()}
    project = tomllib.loads((root / "pyproject.toml").read_text("utf8"))["project"]
    return files | {"ro-crate-metadata.json": crate(work, project["description"], files).encode()}


def pack(files: Files, target: Path) -> None:
    """Write files into one, in order and without the time: it is there whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            archive.writestr(stored(path), files[path])
    partial.replace(target)


def main() -> None:
    files = gathered(ROOT)
    version = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf8"))["version"]
    target = ROOT / TARGET / f"cdlnmf_lit-{version}.zip"
    pack(files, target)
    print(f"{target.relative_to(ROOT)}: {len(files)} files, {target.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
