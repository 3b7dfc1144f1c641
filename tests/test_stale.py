"""A changed library module makes stale the chapters that use it, and no others."""

import os
import shutil
import subprocess
from pathlib import Path

import stale

from cdlnmf_lit.experiments.fingerprints import imports

ROOT = Path(__file__).parents[1]

TREE = {
    "lib/__init__.py": "from lib.room.one import one\nfrom .room import two_of\n",
    "lib/room/__init__.py": "from .two import two as two_of\nLIMIT = 3\n",
    "lib/room/one.py": "import json\nfrom . import base\n\ndef one():\n    return base.unit()\n",
    "lib/room/two.py": "def two():\n    from ..other import helper\n    return helper()\n",
    "lib/room/base.py": "import numpy as np\n\ndef unit():\n    return np.ones(1)\n",
    "lib/other.py": "import lib.room.two\n\ndef helper():\n    return 2\n",
    "lib/unused.py": "",
}


def tree(tmp_path):
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def files(source, root):
    return {path.relative_to(root).as_posix() for path in stale.reached(source, root)[0]}


INITS = {"lib/__init__.py", "lib/room/__init__.py"}


def test_an_exported_name_leads_to_its_module_alone(tmp_path):
    root = tree(tmp_path)
    assert files("from lib import one", root) == INITS | {"lib/room/one.py", "lib/room/base.py"}
    assert files("from lib import two_of", root) == INITS | {"lib/room/two.py", "lib/other.py"}


def test_a_module_leads_to_what_it_imports_anywhere_inside(tmp_path):
    root = tree(tmp_path)
    assert files("from lib.room import two", root) == INITS | {"lib/room/two.py", "lib/other.py"}
    assert files("import lib.room.base as b", root) == INITS | {"lib/room/base.py"}


def test_a_name_that_a_package_defines_itself_leads_to_all_it_imports(tmp_path):
    root = tree(tmp_path)
    for source in ("from lib.room import LIMIT", "from lib.room import *", "import lib.room"):
        assert files(source, root) == INITS | {"lib/room/two.py", "lib/other.py"}


def test_what_is_outside_the_package_is_named(tmp_path):
    root = tree(tmp_path)
    assert stale.reached("from lib import one\nimport scipy.fft", root)[1] == {
        "json",
        "numpy",
        "scipy",
    }
    assert stale.distributions("numpy") == {"numpy"}
    assert stale.distributions("json") == set()


def test_the_fingerprint_changes_with_what_is_reached_only(tmp_path):
    root = tree(tmp_path)
    before = stale.fingerprint("from lib import one", root)
    (root / "lib/unused.py").write_text("x = 1\n")
    (root / "lib/other.py").write_text("def helper():\n    return 3\n")
    assert stale.fingerprint("from lib import one", root) == before
    (root / "lib/room/base.py").write_text("def unit():\n    return 1\n")
    assert stale.fingerprint("from lib import one", root) != before


def test_the_fingerprint_changes_with_the_variables_that_are_read_only(tmp_path, monkeypatch):
    root = tree(tmp_path)
    (root / "lib/other.py").write_text('import os\n\nKEPT = os.environ.get("CDLNMF_KEPT")\n')
    recording = tmp_path / "recording"
    recording.write_bytes(b"one")
    sources = "from lib import one", "from lib import two_of", 'print(os.environ["CDLNMF_PIANO"])'

    def fingerprints(**variables):
        with monkeypatch.context() as patch:
            for name in stale.VARIABLES:
                patch.delenv(name, raising=False)
            for name, value in variables.items():
                patch.setenv(name, str(value))
            return [stale.fingerprint(source, root) for source in sources]

    def differ(one, other):
        return [a != b for a, b in zip(one, other, strict=True)]

    unset = fingerprints()
    assert differ(fingerprints(CDLNMF_KEPT="", CDLNMF_PIANO=""), unset) == [False, False, False]
    assert differ(fingerprints(CDLNMF_KEPT=1), unset) == [False, True, False]
    assert differ(fingerprints(CDLNMF_KEPT=1), fingerprints(CDLNMF_KEPT=0))[1]
    before = fingerprints(CDLNMF_PIANO=recording)
    assert differ(before, unset) == [False, False, True]
    recording.write_bytes(b"two")
    assert differ(fingerprints(CDLNMF_PIANO=recording), before) == [False, False, True]
    assert differ(fingerprints(CDLNMF_PIANO=root / "missing"), unset) == [False, False, True]


def test_chapters_are_the_pages_with_code_and_what_they_reach(tmp_path):
    root = tree(tmp_path)
    (root / "book" / "theory").mkdir(parents=True)
    (root / "book" / "words.md").write_text("# Words\n")
    chapter = root / "book" / "theory" / "one.md"
    chapter.write_text("# One\n\n```{code-cell} ipython3\nfrom lib import one\n```\n")
    assert stale.chapters(root) == {chapter: stale.fingerprint("from lib import one", root)}


def test_code_is_the_python_of_the_cells():
    chapter = """# A page, `import this`

```{code-cell} ipython3
:tags: [hide-input]
%matplotlib inline
import lib
```

```python
import elsewhere
```

````{code-cell} ipython3
---
mystnb:
  figure: {caption: A line}
---
from lib import one
````
"""
    assert list(imports(stale.code(chapter))) == [("lib", None), ("lib", "one")]


def test_make_says_where_sweeps_are_kept_and_what_is_computed_again(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)

    def told(*arguments, **variables):
        recipe = 'told: ; @echo "$$CDLNMF_SWEEPS $$CDLNMF_KEPT"'
        command = ["make", "--no-print-directory", f"--eval={recipe}", "told", *arguments]
        outer = ("CDLNMF", "MAKE", "MFLAGS")  # this test may run under make
        kept = {name: os.environ[name] for name in os.environ if not name.startswith(outer)}
        done = subprocess.run(
            command, cwd=tmp_path, env=kept | variables, capture_output=True, text=True, check=True
        )
        return done.stdout.rstrip("\n")

    sweeps = tmp_path / "_build" / "sweeps"
    assert told() == f"{sweeps} "
    assert told("FRESH=1") == f"{sweeps} check"
    assert told("FRESH=0") == f"{sweeps} "
    assert told(CDLNMF_KEPT="renew", CDLNMF_SWEEPS="elsewhere") == "elsewhere renew"
