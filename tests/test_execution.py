"""Chapters run side by side, what they give is kept, and what fails is still reported."""

import os
import subprocess
import sys
from pathlib import Path

import execution
import pytest

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
FAILS = "```{code-cell} ipython3\nraise ValueError('on purpose')\n```\n"
CONFIG = f"""
import sys

sys.path.insert(0, {str(ROOT / "book" / "_ext")!r})
extensions = ["myst_nb", "execution"]
nb_execution_mode = "cache"
nb_execution_timeout = 60
"""


def build(folder):
    command = [sys.executable, "-m", "sphinx", "-b", "html", folder, folder / "_build"]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def book(folder, **pages):
    (folder / "conf.py").write_text(CONFIG)
    toctree = "".join(f"{name}\n" for name in pages)
    (folder / "index.md").write_text(f"# Book\n\n```{{toctree}}\n{toctree}```\n")
    for name, cells in pages.items():
        (folder / f"{name}.md").write_text(HEADER + cells)
    return folder


@pytest.mark.skipif(
    execution.joblib.cpu_count() < 2, reason="one processor runs one page at a time"
)
def test_two_pages_run_side_by_side_and_once(tmp_path):
    one, two = WAITS.format(own="one", other="two"), WAITS.format(own="two", other="one")
    folder = book(tmp_path, one=one, two=two)
    build(folder)
    for own, other in (("one", "two"), ("two", "one")):
        assert f"met {other}" in (folder / "_build" / f"{own}.html").read_text("utf8")
        assert (folder / f"{own}.log").read_text() == "run "
    (folder / "two.md").write_text(HEADER + "More words.\n\n" + two)
    build(folder)
    assert (folder / "two.log").read_text() == "run "


def test_a_page_that_fails_is_reported_and_not_kept(tmp_path):
    folder = book(tmp_path, bad=FAILS)
    for _ in range(2):
        told = build(folder).stderr
        assert "Executing notebook failed: CellExecutionError" in told
        (folder / "bad.md").touch()


def test_the_longest_chapters_come_first_and_exist():
    pages = [path.with_suffix("").as_posix() for path in (ROOT / "book").rglob("*.md")]
    first = execution.in_order(["book/intro", *(f"book/experiments/{n}" for n in "ba")])
    assert first == ["book/intro", "book/experiments/b", "book/experiments/a"]
    assert [Path(p).stem for p in execution.in_order(pages)[: len(execution.LONGEST)]] == [
        *execution.LONGEST
    ]


def test_processors_are_those_of_this_process():
    assert 1 <= execution.joblib.cpu_count() <= os.cpu_count()
