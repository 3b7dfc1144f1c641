"""A small book: what is executed again, by whom, and that a failure stays a failure."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHAPTER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
# Chapter {name}

```{{code-cell}} ipython3
from cdlnmf_lit import {name}
assert {name}() == 1
```
"""
FILES = {
    "_toc.yml": "format: jb-book\nroot: book/one\nchapters:\n- file: book/two\n",
    "book/one.md": CHAPTER.format(name="one"),
    "book/two.md": CHAPTER.format(name="two"),
    "book/reference/references.bib": "",
    "cdlnmf_lit/__init__.py": "from cdlnmf_lit.a import one\nfrom cdlnmf_lit.b import two\n",
    "cdlnmf_lit/a.py": "def one():\n    return 1\n",
    "cdlnmf_lit/b.py": "def two():\n    return 1\n",
    "cdlnmf_lit/methods/__init__.py": "",
    "cdlnmf_lit/methods/recipes.py": "RECIPES = {}\n",
}

COPIED = (
    "CITATION.cff",
    "LICENSE",
    "Makefile",
    "README.md",
    "_config.yml",
    "package.json",
    "pyproject.toml",
)


@pytest.fixture
def small_book(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for name in COPIED:
        shutil.copy(ROOT / name, tmp_path)
    for room, module in (("experiments", "fingerprints"), ("presentation", "figures")):
        shutil.copytree(
            ROOT / "cdlnmf_lit" / room,
            tmp_path / "cdlnmf_lit" / room,
            ignore=lambda folder, names, kept=f"{module}.py": {*names} - {"__init__.py", kept},
        )
    for name in ("book/_ext", "book/_static", "book/_templates"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def make(target, folder):
    """Run make with this environment: did it succeed, and which pages were executed?"""
    environment = [f"BIN={Path(sys.executable).parent}", "READY=pyproject.toml", "SCRIPTS="]
    done = subprocess.run(
        ["make", target, *environment], cwd=folder, capture_output=True, text=True, check=False
    )
    executed = re.findall(r"chapter \d of \d: book/(\w+), \d+ s; about", done.stdout)
    return done.returncode == 0, set(executed), done.stdout


@pytest.mark.long
def test_what_tests_or_book_execute_the_other_finds_and_no_failure_is_forgotten(small_book):
    assert make("chapters", small_book)[:2] == (True, {"one", "two"})
    done, executed, said = make("book", small_book)
    assert (done, executed) == (True, set())
    assert "Executing notebook" not in said
    assert (small_book / "_build" / "html" / "index.html").exists()

    (small_book / "cdlnmf_lit" / "a.py").write_text("def one():\n    return 2 - 1\n")
    assert make("chapters", small_book)[:2] == (True, {"one"})
    _, executed, said = make("book", small_book)
    assert executed == set()
    assert re.search(r"reading sources.*book/one", said)
    assert not re.search(r"reading sources.*book/two", said)

    (small_book / "cdlnmf_lit" / "b.py").write_text("def two():\n    return 3\n")
    for target in ("chapters", "book", "book"):
        done, executed, said = make(target, small_book)
        assert (done, executed) == (False, set())
        assert "assert two() == 1" in said

    (small_book / "cdlnmf_lit" / "b.py").write_text("def two():\n    return 1\n")
    assert make("book", small_book)[:2] == (True, {"two"})
    assert make("chapters", small_book)[:2] == (True, set())
