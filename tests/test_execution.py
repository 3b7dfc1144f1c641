"""Chapters run side by side, what they give is kept, and what fails is still reported."""

import doctest
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import execution
import pytest
from jupyter_cache import get_cache

ROOT = Path(__file__).parents[1]

HEADER = """---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# A page

"""
WAITS = """```{{code-cell}} ipython3
import time
from pathlib import Path

Path("{own}").touch()
with open("{own}.log", "a") as log:
    log.write("run ")
for _ in range(300):
    if Path("{other}").exists():
        break
    time.sleep(0.1)
else:
    raise TimeoutError("the other page did not run beside this one")
print("met", "{other}")
```
"""
FAILS = '```{code-cell} ipython3\nraise ValueError("on purpose")\n```\n'
PASSES = """```{code-cell} ipython3
import sys

sys.path.insert(0, "..")
from cdlnmf_lit import one
```
"""
CONFIG = "execute: {timeout: 60}\nparse: {myst_enable_extensions: [colon_fence]}\n"


def book(folder, **pages):
    (folder / "_config.yml").write_text(CONFIG)
    (folder / "cdlnmf_lit").mkdir()
    (folder / "cdlnmf_lit" / "__init__.py").write_text("one = 1\n")
    (folder / "book").mkdir()
    for name, cells in pages.items():
        (folder / "book" / f"{name}.md").write_text(HEADER + cells)
    return folder


def execute(root, terminal=False):
    """Did it succeed, and what was printed, without colours?"""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, ROOT / "book" / "_ext" / "execution.py"],
        cwd=root,
        stdout=theirs if terminal else subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    os.close(theirs)
    said = os.read(ours, 100_000) if terminal else done.stdout
    os.close(ours)
    return done.returncode == 0, re.sub(r"\x1b\[[0-9;]*m", "", said.decode())


@pytest.mark.skipif(
    execution.joblib.cpu_count() < 2, reason="one processor runs one page at a time"
)
@pytest.mark.long
def test_two_pages_run_side_by_side_and_once(tmp_path):
    one, two = WAITS.format(own="one", other="two"), WAITS.format(own="two", other="one")
    root = book(tmp_path, one=one, two=two)
    done, said = execute(root)
    assert done
    assert re.fullmatch(  # and no kernel says anything
        r"Chapters to execute: 2, \d+ at a time\n"
        r"chapter 1 of 2: book/(one|two), \d+ s; about \d+ s left\n"
        r"chapter 2 of 2: book/(one|two), \d+ s; about 0 s left\n"
        r"Executed 2 chapters in \d+ s\n",
        said,
    )
    kept = get_cache(root / "_build" / ".jupyter_cache").list_cache_records()
    assert {Path(record.uri).name for record in kept} == {"one.md", "two.md"}
    (root / "book" / "two.md").write_text(HEADER + "More words.\n\n" + two)
    assert execute(root) == (True, "No chapter changed since it was executed.\n")

    env = SimpleNamespace(doc2path=lambda page: root / f"{page}.md")
    config = SimpleNamespace(myst_enable_extensions=["colon_fence"])
    app = SimpleNamespace(env=env, srcdir=root, config=config)
    text, code = execution.executed(app, "book/one").cells
    assert text.source == "# A page"
    assert code.outputs[0].text.startswith("met ")
    assert execution.executed(app, "book/none") is None
    for name in ("one", "two"):
        assert (root / "book" / f"{name}.log").read_text() == "run "


@pytest.mark.long
def test_a_page_that_fails_is_named_with_its_cell_and_never_kept(tmp_path):
    root = book(tmp_path, bad=FAILS, good=PASSES)
    done, said = execute(root)
    assert not done
    assert 'raise ValueError("on purpose")' in said
    assert "ValueError: on purpose" in said
    assert said.endswith("; failed: book/bad\n")
    slow = FAILS.replace("raise", "import time\n\ntime.sleep(2)\nraise")
    (root / "book" / "bad.md").write_text(HEADER + slow)
    done, said = execute(root, terminal=True)
    assert not done
    assert "good" not in said
    assert "\r\x1b[2K0 of 1 chapters; no pace yet; now book/bad" in said
    (root / "cdlnmf_lit" / "__init__.py").write_text("two = 1\n")
    assert re.search("; failed: book/(bad|good), book/(bad|good)\n", execute(root)[1])
    assert get_cache(root / "_build" / ".jupyter_cache").list_cache_records() == []


@pytest.mark.long
def test_a_kernel_that_dies_is_a_failure_of_its_page(tmp_path):
    dies = "```{code-cell} ipython3\nimport os\nos._exit(1)\n```\n"
    done, said = execute(book(tmp_path, dies=dies))
    assert not done
    assert "Kernel died" in said


def test_the_longest_chapters_come_first_and_exist():
    first = execution.in_order(Path(name) for name in ("intro.md", "b.md", "piano.md", "a.md"))
    assert [path.stem for path in first] == ["piano", "a", "b", "intro"]
    longest = execution.in_order((ROOT / "book").rglob("*.md"))[: len(execution.SECONDS)]
    assert [path.stem for path in longest] == [*execution.SECONDS]


def test_the_examples_run():
    assert doctest.testmod(execution).failed == 0


def test_processors_are_those_of_this_process():
    assert 1 <= execution.joblib.cpu_count() <= os.cpu_count()
