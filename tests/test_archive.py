"""The archive: what it says of itself is true, and what it holds makes the book's figures again."""

import json
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import archive
import colophon
import figures
import pytest
import yaml

from cdlnmf_lit.experiments import verdicts

ROOT = Path(__file__).parents[1]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf8"))


def test_the_same_files_are_the_same_bytes_in_any_order(tmp_path):
    one, other = tmp_path / "one.zip", tmp_path / "new" / "other.zip"
    archive.pack({"a": b"1", "b/c": b"2"}, one)
    archive.pack({"b/c": b"2", "a": b"1"}, other)
    assert one.read_bytes() == other.read_bytes()
    assert [path.name for path in other.parent.iterdir()] == ["other.zip"]
    with zipfile.ZipFile(one) as packed:
        assert {name: packed.read(name) for name in packed.namelist()} == {"a": b"1", "b/c": b"2"}


def test_an_archive_of_no_book_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="no built book"):
        archive.gathered(tmp_path)


def installed(folder, **contents):
    """A distribution in a folder, with the hashes that its record has."""
    info = folder / "one_two-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: one-two\nVersion: 1.0\n")
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nTag: py2-none-any\nTag: py3-none-any\n")
    record = "".join(f"{path},sha256={known},3\n" for path, known in contents.items())
    (info / "RECORD").write_text(f"{record}one/__pycache__/a.pyc,,\n")
    return Distribution.at(info)


def test_what_is_installed_has_one_hash_whatever_the_machine(tmp_path):
    wheel = installed(tmp_path / "a", **{"one/a.py": "ab", "../../bin/one": "here"})
    same = installed(tmp_path / "b", **{"../../bin/one": "there", "one/a.py": "ab"})
    other = installed(tmp_path / "c", **{"one/a.py": "cd"})
    assert archive.digest(wheel) == archive.digest(same) != archive.digest(other)
    assert archive.wheels([wheel]) == f"{archive.digest(wheel)}  one_two-1.0-py2.py3-none-any.whl\n"


def test_the_environment_names_no_server_and_no_folder():
    lines = archive.wheels(archive.distributions()).splitlines()
    assert any("  numpy-" in line for line in lines)
    assert not [line for line in lines if "/" in line or "://" in line]
    assert not [line for line in lines if "cdlnmf" in line]


def test_claims_are_those_of_the_pages_with_the_code_that_judges_them():
    record = archive.record(ROOT / "book" / "experiments" / "kept")
    claims = {each["name"]: each for each in record["claims"]}
    assert list(claims) == [name for name, *_ in verdicts.SENTENCES]
    readme = (ROOT / "README.md").read_text("utf8")
    for found in verdicts.MARKED.finditer(readme):
        claim = claims[found["name"]]
        assert f"{claim['verdict']}: {claim['number']}" in found[0]
    assert claims["piano-cdl"]["rule"] == 'lambda m: _of_notes(m, "CDL", THRESHOLDS["three notes"])'
    assert claims["chirps-small"]["rule"].startswith("def _small(m: Measured)")
    assert record["thresholds"]["typical"] == 0.8
    json.dumps(record)


def test_each_figure_and_table_is_named_with_what_makes_it():
    known = figures.of_book(ROOT)
    told = yaml.safe_load(archive.codecheck(CITATION, known.values(), ROOT))
    assert told["version"].startswith("https://codecheck.org.uk/")
    assert told["paper"]["authors"][1] == {"name": "Matthieu Kowalski"}
    names = [Path(each["file"]).stem for each in told["manifest"]]
    assert names == list(known)
    phase = told["manifest"][names.index("fig-gabor-phase")]
    assert phase["file"] == "_build/figures/fig-gabor-phase.png"
    assert phase["comment"].startswith("book/theory/gabor.md: The phase of one channel")
    assert phase["comment"].endswith("make figure NAME=fig-gabor-phase")
    assert "_build/figures/fig-piano-score.svg" in {each["file"] for each in told["manifest"]}


def test_the_crate_describes_what_is_there():
    files = {"source/a.py": b"1", "book/index.html": b"2", "claims.json": b"{}"}
    graph = json.loads(archive.crate(CITATION, "It is a book.", files))["@graph"]
    entities = {each["@id"]: each for each in graph}
    assert len(entities) == len(graph)
    descriptor, root = entities["ro-crate-metadata.json"], entities["./"]
    assert descriptor["conformsTo"]["@id"] == "https://w3id.org/ro/crate/1.1"
    assert descriptor["about"] == {"@id": "./"}
    assert {"name", "description", "datePublished", "license"} <= root.keys()
    named = [each["@id"] for key in ("hasPart", "author") for each in root[key]]
    assert {*named, root["license"]["@id"], root["citation"]["@id"]} <= entities.keys()
    assert [each["@id"] for each in root["hasPart"]] == ["source/", "book/", "claims.json"]
    assert entities["claims.json"]["contentSize"] == "2"


MAKE = "import figures, sys; figures.main(sys.argv[1])"
FIGURE = "fig-convolution-sum"


@pytest.mark.long
def test_the_source_in_the_archive_makes_a_figure_again(tmp_path):
    """What is unpacked is all that is used; the tree that it was packed from makes the same."""
    made, packed = tmp_path / "made", tmp_path / "it.zip"
    html = made / archive.HTML
    for name in ("CITATION.cff", "pyproject.toml", "book"):
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).symlink_to(ROOT / name)
    colophon.distribute(ROOT, html / colophon.FOLDER)
    (html / "index.html").write_text("<h1>The book</h1>")
    archive.pack(archive.gathered(made), packed)

    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(packed) as files:
        assert files.read("book/index.html") == b"<h1>The book</h1>"
        manifest = yaml.safe_load(files.read("codecheck.yml"))["manifest"]
        files.extractall(unpacked)
    (asked,) = [each["file"] for each in manifest if Path(each["file"]).stem == FIGURE]
    pictures = []
    for tree in (unpacked / "source", ROOT):
        command = [sys.executable, "-c", MAKE, FIGURE]
        path = {"PYTHONPATH": f"{tree}:{tree / 'book' / '_ext'}"}
        subprocess.run(command, check=True, cwd=tmp_path, env=path, capture_output=True)
        pictures.append((tree / asked).read_bytes())
    assert pictures[0].startswith(b"\x89PNG")
    assert pictures[0] == pictures[1]


def test_the_source_is_unpacked_without_the_folder_around_it(tmp_path):
    sdist = tmp_path / "it.tar.gz"
    (tmp_path / "a.py").write_text("x = 1")
    with tarfile.open(sdist, "w:gz") as packed:
        packed.add(tmp_path / "a.py", "it-1.0/it/a.py")
    assert dict(archive.source(sdist.read_bytes())) == {"it/a.py": b"x = 1"}
