"""Fingerprints follow what a file computes, where it is and which versions there are."""

from pathlib import Path

import pytest

from cdlnmf_lit.experiments import fingerprints
from cdlnmf_lit.experiments.fingerprints import (
    code_alone,
    fingerprint,
    installed,
    reached,
    source_digest,
)
from cdlnmf_lit.methods.method import METHODS
from tests.experiments.test_sweeps import copy_of_the_package

SOURCE = '''"""A module."""
NOTE = """not a docstring"""


def half(x):
    """Of x."""
    return x / 2  # a comment
'''


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(SOURCE, "utf8")
    return path


def of(*files, distributions=(), read=Path.read_bytes):
    return fingerprint(files, files[0].parent, distributions, read)


def test_files_count_by_content_and_place_and_not_by_order(tmp_path, module):
    other = tmp_path / "other.py"
    other.write_text("x = 1\n")
    both = of(module, other)
    assert both == of(other, module)
    assert len(both) == 64
    assert both not in (of(module), of(other))
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in (module, other):
        (moved / path.name).write_bytes(path.read_bytes())
    assert of(moved / module.name, moved / other.name) == both
    other.rename(tmp_path / "another.py")
    assert of(module, tmp_path / "another.py") != both


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("A module.", "Another one."),
        ("Of x.", "Half of x."),
        ("a comment", "another comment"),
        ('    """Of x."""\n', ""),
        ("\n\n\n", "\n\n\n# what follows\n"),
    ],
)
def test_prose_is_no_code(module, old, new):
    code, everything = of(module, read=code_alone), of(module)
    module.write_text(SOURCE.replace(old, new, 1), "utf8")
    assert module.read_text("utf8") != SOURCE
    assert of(module, read=code_alone) == code
    assert of(module) != everything


@pytest.mark.parametrize(
    ("old", "new"),
    [("x / 2", "x // 2"), ("half", "part"), ("not a docstring", "nor a comment"), ("2", "2.0")],
)
def test_code_is(module, old, new):
    code = of(module, read=code_alone)
    module.write_text(SOURCE.replace(old, new, 1), "utf8")
    assert of(module, read=code_alone) != code


def test_versions_count_and_not_their_order(module, monkeypatch):
    assert installed("pytest") == pytest.__version__
    assert installed("no-such-distribution") is None
    there = of(module, distributions=["numpy", "scipy"])
    assert there == of(module, distributions=["scipy", "numpy"])
    assert there not in (of(module), of(module, distributions=["numpy", "no-such-distribution"]))
    monkeypatch.setattr(fingerprints, "version", lambda name: "0.0")
    assert of(module, distributions=["numpy", "scipy"]) != there
    monkeypatch.undo()
    monkeypatch.setattr(fingerprints.sys, "version_info", (3, 0, 0))
    assert of(module, distributions=["numpy", "scipy"]) != there


# ---- what a method's results count by ------------------------------------------------------------

APART = [
    ("nmf", "cdl"),
    ("nmf", "convolutive_nmf"),
    ("nmf", "semi_nmf"),
    ("semi_nmf", "sparse_coding"),
    ("cdl", "nmf"),
    ("cdl", "grid"),
    ("algorithm_1", "cdl"),
    ("algorithm_1", "nmf"),
]


@pytest.mark.parametrize(("method", "other"), APART, ids=" and ".join)
def test_a_method_does_not_count_by_the_code_of_another(tmp_path, method, other):
    root = copy_of_the_package(tmp_path).parent
    digests = {
        name: source_digest([f"cdlnmf_lit.methods.{name}"], root) for name in (method, other)
    }
    assert digests[method] != digests[other]
    path = root / "cdlnmf_lit" / "methods" / f"{other}.py"
    path.write_text(path.read_text("utf8") + "\nMORE = 1\n", "utf8")
    assert source_digest([f"cdlnmf_lit.methods.{method}"], root) == digests[method]
    assert source_digest([f"cdlnmf_lit.methods.{other}"], root) != digests[other]


@pytest.mark.parametrize("name", ["method", "decomposition", "pieces", "held", "duality"])
def test_what_all_methods_share_names_none_of_them(name):
    files, _ = reached(f"import cdlnmf_lit.methods.{name}\n", fingerprints.PACKAGE.parent)
    methods = {kind.__module__.rpartition(".")[2] for kind in METHODS.values()}
    assert not methods & {path.stem for path in files}
