"""`make book` on a small book: what it executes again, and that a failure stays a failure."""

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
    "pyproject.toml": "",
    "_toc.yml": "format: jb-book\nroot: book/one\nchapters:\n- file: book/two\n",
    "book/one.md": CHAPTER.format(name="one"),
    "book/two.md": CHAPTER.format(name="two"),
    "book/reference/references.bib": "",
    "cdlnmf_lit/__init__.py": "from cdlnmf_lit.a import one\nfrom cdlnmf_lit.b import two\n",
    "cdlnmf_lit/a.py": "def one():\n    return 1\n",
    "cdlnmf_lit/b.py": "def two():\n    return 1\n",
}


@pytest.fixture
def small_book(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for name in ("Makefile", "_config.yml", "package.json"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(
        ROOT / "cdlnmf_lit" / "experiments",
        tmp_path / "cdlnmf_lit" / "experiments",
        ignore=lambda folder, names: {*names} - {"__init__.py", "fingerprints.py"},
    )
    for name in ("book/_ext", "book/_static"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def make_book(folder):
    """Run `make book` with this environment: did it succeed, and which pages were executed?"""
    environment = [f"BIN={Path(sys.executable).parent}", "READY=pyproject.toml", "SCRIPTS="]
    done = subprocess.run(
        ["make", "book", *environment], cwd=folder, capture_output=True, text=True, check=False
    )
    executed = re.findall(r"(\w+)\.md: Executed notebook", done.stdout + done.stderr)
    return done.returncode == 0, set(executed)


def test_a_build_executes_what_changed_and_never_forgets_a_failure(small_book):
    assert make_book(small_book) == (True, {"one", "two"})
    assert (small_book / "_build" / "html" / "index.html").exists()

    (small_book / "cdlnmf_lit" / "a.py").write_text("def one():\n    return 2 - 1\n")
    assert make_book(small_book) == (True, {"one"})

    (small_book / "cdlnmf_lit" / "b.py").write_text("def two():\n    return 3\n")
    assert make_book(small_book) == (False, set())
    assert make_book(small_book) == (False, set())

    (small_book / "cdlnmf_lit" / "b.py").write_text("def two():\n    return 1\n")
    assert make_book(small_book) == (True, {"two"})
    assert make_book(small_book) == (True, set())
