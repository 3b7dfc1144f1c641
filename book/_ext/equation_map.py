"""The equation map: what the paper has, where the book shows it, what computes and tests it.

The map is read off the docstrings of the package. Their ``References`` name what of the paper a
function or class computes; they or the module's name the chapter that shows it; the chapters mark
the places with labels such as ``(eq-7)=`` or ``(theorem-1)=``; the tests are those of the module's
own floor that call it.
An entry of the paper that lacks one of the three is a warning, and so is a link without a target.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PACKAGE = "cdlnmf_lit"
BOOK = "book"
PAPER = {
    "eq-1": "a signal is a sum of convolutions",
    "eq-2": "convolutional dictionary learning",
    "eq-3": "the Gabor transform",
    "eq-4": "a signal from its coefficients",
    "eq-5": "the synthesis operator",
    "eq-6": "the analysis operator, its adjoint",
    "eq-7": "the spectrogram",
    "eq-8": "nonnegative matrix factorization",
    "eq-9": "semi-NMF",
    "eq-10": "complex NMF",
    "theorem-1": "a convolution has coefficients of rank 1",
    "eq-11": "its proof: the atom is window times weights",
    "eq-12": "its proof: the weights by their spectrum",
    "eq-13": "its proof: the sums change places",
    "eq-14": "its proof: coefficients appear",
    "corollary-1": "dictionary learning is a factorization",
    "eq-15": "both problems of the corollary",
    "eq-16": "its proof: one component",
    "eq-17": "its proof: the theorem, component by component",
    "eq-18": "its proof: moduli and phases",
    "algorithm-1": "projected gradient and semi-NMF",
    "figure-1": "the piano's score",
    "figure-2": "the spectrogram of the chirps",
    "figure-3": "the notes that three methods find",
    "figure-4": "the chirps that three methods find",
    "figure-5": "IS-NMF with a small window",
}
"""What the paper has, in its order: a label, and a name for it."""

NUMBERS = re.compile(r"\((\d+)\)(?:-\((\d+)\))?")
NAMED = re.compile(r"\b(Theorem|Corollary|Algorithm) (\d+)")
FIGURES = re.compile(r"\bFig(?:ure)?s?\.? (\d+(?:(?:, | and )\d+)*)")
REFERENCES = re.compile(r"^References\n-+\n(.*)", re.MULTILINE | re.DOTALL)
CHAPTER = re.compile(r"Chapter: ``book/([\w/]+)\.md``")
LABEL = re.compile(r"^\(([\w-]+)\)=$", re.MULTILINE)
TITLE = re.compile(r"^# ([^:\n]+)", re.MULTILINE)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Code:
    """A function, class or method, and what its docstring says of the paper and the book."""

    name: str
    mentions: frozenset[str]
    chapter: str
    test: str


@dataclass(frozen=True)
class Entry:
    """One line of the map."""

    label: str
    says: str
    places: tuple[str, ...]
    chapters: tuple[str, ...]
    code: tuple[str, ...]
    tests: tuple[str, ...]


def title(label: str) -> str:
    """What the paper calls it.

    >>> title("eq-7"), title("theorem-1")
    ('(7)', 'Theorem 1')
    """
    kind, number = label.split("-")
    return f"({number})" if kind == "eq" else f"{kind.capitalize()} {number}"


def mentions(references: str) -> frozenset[str]:
    """The labels of what a docstring names.

    >>> sorted(mentions("Theorem 1 of the paper, equations (12)-(14), reference [16]."))
    ['eq-12', 'eq-13', 'eq-14', 'theorem-1']
    """
    found = {f"{kind.lower()}-{number}" for kind, number in NAMED.findall(references)}
    for first, last in NUMBERS.findall(references):
        found.update(f"eq-{n}" for n in range(int(first), int(last or first) + 1))
    for figures in FIGURES.findall(references):
        found.update(f"figure-{n}" for n in re.findall(r"\d+", figures))
    return frozenset(found)


def documented(body: Iterable[ast.stmt], prefix: str) -> Iterator[tuple[str, str]]:
    """The dotted names of public functions, classes and methods, each with its docstring."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            name = f"{prefix}.{node.name}"
            yield name, ast.get_docstring(node) or ""
            if isinstance(node, ast.ClassDef):
                yield from documented(node.body, name)


def package(root: Path) -> Iterator[Code]:
    """What of the package names something of the paper, in the order of the source."""
    for path in sorted(root.glob(f"{PACKAGE}/*/*.py")):
        module = path.relative_to(root).with_suffix("")
        test = Path("tests", *module.parts[1:-1], f"test_{module.name}.py").as_posix()
        tree = ast.parse(path.read_text("utf8"))
        of_module = CHAPTER.findall(ast.get_docstring(tree) or "")
        for name, text in documented(tree.body, ".".join(module.parts)):
            references = REFERENCES.search(text)
            if references and (found := mentions(references[1])):
                (chapter,) = CHAPTER.findall(references[1]) or of_module or ("",)
                yield Code(name, found, chapter, test)


def calls(path: Path, code: Iterable[Code]) -> bool:
    """Whether a test names any of this code."""
    return path.exists() and not {each.name.split(".")[-1] for each in code}.isdisjoint(
        re.findall(r"\w+", path.read_text("utf8"))
    )


def pages(root: Path) -> dict[str, str]:
    """The text of each page of the book, by its name in the book."""
    paths = sorted(root.glob(f"{BOOK}/*/*.md"))
    return {
        p.relative_to(root / BOOK).with_suffix("").as_posix(): p.read_text("utf8") for p in paths
    }


def entries(root: Path, paper: dict[str, str] = PAPER) -> list[Entry]:
    """The map, in the order of the paper."""
    labels = [(name, label) for name, text in pages(root).items() for label in LABEL.findall(text)]
    whole = list(package(root))
    found = []
    for label, says in paper.items():
        code = [each for each in whole if label in each.mentions]
        paths = dict.fromkeys(each.test for each in code)
        found.append(
            Entry(
                label,
                says,
                places=tuple(name for name, each in labels if each == label),
                chapters=tuple(dict.fromkeys(each.chapter for each in code)),
                code=tuple(each.name for each in code),
                tests=tuple(
                    path
                    for path in paths
                    if calls(root / path, (c for c in code if c.test == path))
                ),
            )
        )
    return found


def problems(root: Path, paper: dict[str, str] = PAPER) -> list[str]:
    """What is missing, a sentence each."""
    known = pages(root)
    said = []
    for entry in entries(root, paper):
        of_it = title(entry.label)
        if len(entry.places) != 1:
            said.append(f"{of_it} must stand at one label ({entry.label})=, got {entry.places}")
        if not entry.code:
            said.append(f"{of_it} must be named by the References of a docstring, got none")
        if not entry.tests:
            said.append(f"{of_it} must be tested by the test of a module that names it, got none")
        said.extend(
            f"{of_it} must be shown in a chapter, but a docstring names {BOOK}/{name}.md"
            for name in entry.chapters
            if name not in known
        )
    named = {label for code in package(root) for label in code.mentions}
    said.extend(
        f"a docstring names {title(label)}, which the paper lacks" for label in named - {*paper}
    )
    return said


def row(entry: Entry, titles: dict[str, str]) -> str:
    """A line of the table, in Markdown."""
    chapters = [f"{{ref}}`{titles[name]} <{entry.label}>`" for name in entry.places]
    chapters += [
        f"{{doc}}`{titles[name]} </{BOOK}/{name}>`"
        for name in entry.chapters
        if name in titles and name not in entry.places
    ]
    tests = [f"{{download}}`{path.removeprefix('tests/')} </{path}>`" for path in entry.tests]
    number = title(entry.label).replace("(", "(P")
    first = f'<span id="map-{entry.label}"></span>**{number}** {entry.says}'
    cells = (first, ", ".join(chapters), "; ".join(by_module(entry.code)), ", ".join(tests))
    return f"| {' | '.join(cells)} |"


def by_module(names: Iterable[str]) -> Iterator[str]:
    """Links to the reference of the package, those of a module behind its name."""
    for module, group in groupby(names, key=lambda name: ".".join(name.split(".")[:3])):
        links = (f"{{py:obj}}`{name.removeprefix(module + '.')} <{name}>`" for name in group)
        yield f"{module.rpartition('.')[2]}: {', '.join(links)}"


def table(root: Path) -> list[str]:
    """The map as lines of Markdown."""
    titles = {name: TITLE.findall(text)[0].strip() for name, text in pages(root).items()}
    head = ["| In the paper | Chapter | Code | Tests |", "| --- | --- | --- | --- |"]
    return head + [row(entry, titles) for entry in entries(root)]


class EquationMap(SphinxDirective):
    """The table, where a page asks for it with ``{equation-map}``."""

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        for problem in problems(root):
            logger.warning("the equation map: %s", problem, location=self.get_location())
        for pattern in (f"{PACKAGE}/*/*.py", f"{BOOK}/*/*.md", "tests/*/test_*.py"):
            for path in root.glob(pattern):
                self.env.note_dependency(str(path))
        holder = nodes.container(classes=["equation-map"])
        self.state.nested_parse(StringList(table(root), self.env.docname), 0, holder)
        return [holder]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("equation-map", EquationMap)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
