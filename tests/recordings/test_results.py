"""All that was found comes out."""

import io
import json
import re
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal

from cdlnmf_lit.methods import METHODS
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.recordings import results
from cdlnmf_lit.recordings.results import archive, is_shared_out, require_own, write
from cdlnmf_lit.theory.gabor import hann

RATE = 8000
SOUND = np.sin(0.3 * np.arange(2 * RATE)) * (np.arange(2 * RATE) % RATE < RATE / 2)
SCHEMA = json.loads(Path(results.__file__).with_name("summary.schema.json").read_text("utf8"))
SMALL = {"frame": hann(256, 64), "atom_length": 300, "pattern_length": 4}


@pytest.fixture(scope="module")
def found():
    return replace(NMF(iterations=3).decompose(SOUND, 2), sample_rate=RATE)


@pytest.fixture(scope="module")
def with_atoms():
    return replace(CDL(atom_length=99, iterations=3).decompose(SOUND, 2), sample_rate=RATE)


def small(method):
    """The method at options that suit a short sound."""
    names = {each.name for each in fields(method)} & SMALL.keys()
    return method(iterations=2, **{name: SMALL[name] for name in names})


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def timeless(summary):
    return {name: told for name, told in json.loads(summary).items() if name != "times"}


# ---- what is written -----------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_what_is_written_sums_to_the_sound_and_says_what_it_is(method, tmp_path):
    x = SOUND[:4000] + 0.1 * np.random.default_rng(0).standard_normal(4000)
    found = replace(small(method).decompose(x, 2), sample_rate=RATE)
    write(found, tmp_path / "deep" / "out")
    files = contents(tmp_path / "deep" / "out")
    atoms = {f"atoms/atom_0{k}.wav" for k in (1, 2) if found.atoms is not None}
    sounds = {"component_01.wav", "component_02.wav", "residual.wav"}
    assert files.keys() == sounds | atoms | {"decomposition.npz", "events.csv", "summary.json"}
    read = {name: soundfile.read(io.BytesIO(files[name])) for name in sounds | atoms}
    assert {rate for _, rate in read.values()} == {RATE}
    assert_allclose(sum(read[name][0] for name in sounds), x, atol=1e-6)
    for k in range(2):
        assert_allclose(read[f"component_0{k + 1}.wav"][0], found.component(k), atol=1e-6)
        if atoms:
            assert_array_equal(read[f"atoms/atom_0{k + 1}.wav"][0], np.float32(found.atoms[k]))

    summary = json.loads(files["summary.json"])
    jsonschema.validate(summary, SCHEMA)
    assert summary["asked"]["method"] == method().name
    assert summary["fit"]["iterations"] == 2
    told = summary["found"]
    for part in (*told["components"], told["residual"]):
        heard = read[part["file"]][0]
        assert_allclose(part["energy_share"], np.sum(heard**2) / np.sum(x**2), rtol=1e-4, atol=1e-9)
        assert_allclose(part["peak"], np.abs(heard).max(), rtol=1e-6)
    assert [part.get("atom") for part in told["components"]] == (sorted(atoms) or 2 * [None])


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_it_is_known_which_methods_leave_no_residual(method):
    x = SOUND[:4000] + 0.1 * np.random.default_rng(0).standard_normal(4000)
    found = small(method).decompose(x, 2)
    is_zero = np.linalg.norm(found.residual) < 1e-6 * np.linalg.norm(x)
    assert is_shared_out(found) == is_zero


def test_the_summary_tells_what_it_is_given(found, tmp_path):
    about = {"seed": 7, "recipe": "nmf"}
    found = replace(found, parameters=found.parameters | about, status="stopped after 3 iterations")
    found.history["objective"][-1] = np.inf
    write(found, tmp_path / "out", sound="été.wav", seconds=1.5, warnings=["cut"])
    summary = json.loads((tmp_path / "out" / "summary.json").read_text("utf8"))
    jsonschema.validate(summary, SCHEMA)
    asked, fit = summary["asked"], summary["fit"]
    assert (asked["sound"], asked["seed"], asked["recipe"]) == ("été.wav", 7, "nmf")
    assert asked["options"]["divergence"] == "kullback-leibler"
    assert (fit["status"], fit["objective"]) == ("stopped after 3 iterations", None)
    assert (summary["times"]["seconds"], summary["warnings"]) == (1.5, ["cut"])


def test_the_schema_refuses_what_is_no_summary(found, tmp_path):
    write(found, tmp_path / "out")
    whole = json.loads((tmp_path / "out" / "summary.json").read_text("utf8"))
    for name in whole:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({key: whole[key] for key in whole if key != name}, SCHEMA)


def test_the_names_sort_as_the_components_do(tmp_path):
    K = 101
    sounds = np.ones((K, 9)) * np.arange(K)[:, None]
    many = Decomposition(
        "by hand",
        None,
        np.ones((K, 1)),
        1,
        0,
        np.zeros(9),
        spectra=np.ones((K, 1)),
        sounds=sounds,
        history={"objective": np.zeros(1)},
    )
    write(many, tmp_path / "out", RATE)
    paths = sorted((tmp_path / "out").glob("component_*.wav"))
    assert [soundfile.read(path)[0][0] for path in paths] == list(range(K))


def test_a_result_reads_back_knows_its_rate_and_can_be_applied(with_atoms, tmp_path):
    write(replace(with_atoms, sample_rate=None), tmp_path / "out", RATE)
    back = Decomposition.load(tmp_path / "out" / "decomposition.npz")
    assert back.sample_rate == RATE
    assert_array_equal(back.components(), with_atoms.components())
    assert_array_equal(
        back.apply(SOUND[::-1]).activations, with_atoms.apply(SOUND[::-1]).activations
    )


def test_the_same_result_gives_the_same_bytes_but_for_the_time(with_atoms, tmp_path):
    write(with_atoms, tmp_path / "a")
    write(with_atoms, tmp_path / "b", seconds=3.0)
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert timeless(a.pop("summary.json")) == timeless(b.pop("summary.json"))
    assert a == b


def test_the_archive_holds_the_same_files(with_atoms, tmp_path):
    write(with_atoms, tmp_path / "out")
    packed = zipfile.ZipFile(io.BytesIO(archive(with_atoms)))
    files = contents(tmp_path / "out")
    assert packed.namelist() == list(files)
    for name in files:
        if name == "summary.json":
            assert timeless(packed.read(name)) == timeless(files[name])
        else:
            assert packed.read(name) == files[name]


# ---- where it is written -------------------------------------------------------------------


def test_an_earlier_result_is_replaced_whole(found, with_atoms, tmp_path):
    write(with_atoms, tmp_path / "out")
    one = NMF(iterations=1).decompose(SOUND, 1)
    write(one, tmp_path / "out", RATE)
    assert contents(tmp_path / "out").keys() == {
        "component_01.wav",
        "residual.wav",
        "decomposition.npz",
        "events.csv",
        "summary.json",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["thesis.txt", "component_x.wav", "atoms/mine.wav"])
def test_a_folder_with_anything_else_is_refused(found, tmp_path, name):
    mine = tmp_path / "out" / name
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"years of work")
    with pytest.raises(FileExistsError, match=f"which holds {re.escape(name)}"):
        write(found, tmp_path / "out")
    assert contents(tmp_path) == {f"out/{name}": b"years of work"}


def test_every_file_of_a_result_is_one_of_its_own(with_atoms, tmp_path):
    assert not require_own(tmp_path / "out")
    write(with_atoms, tmp_path / "out")
    for name in ("components.png", "events.csv"):
        (tmp_path / "out" / name).write_bytes(b"")
    assert require_own(tmp_path / "out")


@pytest.mark.parametrize("folder", [".", "/"])
def test_a_folder_has_a_name_of_its_own(found, folder):
    with pytest.raises(FileExistsError, match="folder must be one of its own"):
        write(found, folder)


def test_a_link_to_a_folder_stays_one(found, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    write(found, tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "disk" / "residual.wav").exists()


@pytest.mark.parametrize("at", range(8))
def test_a_write_that_fails_anywhere_leaves_what_was_there(with_atoms, tmp_path, monkeypatch, at):
    """The n-th file that is opened for writing, or the n-th folder moved, fails."""
    write(NMF(iterations=1).decompose(SOUND, 1), tmp_path / "out", RATE)
    before, left = contents(tmp_path), [at]

    def failing(name):
        real = getattr(Path, name)

        def call(path, *arguments, **options):
            if "partial" in str(path) and arguments != ("rb",):
                left[0] -= 1
                if left[0] == -1:
                    raise OSError(28, "No space left on device", str(path))
            return real(path, *arguments, **options)

        return call

    monkeypatch.setattr(Path, "open", failing("open"))
    monkeypatch.setattr(Path, "rename", failing("rename"))
    with pytest.raises(OSError, match="No space left") as caught:
        write(with_atoms, tmp_path / "out")
    assert caught.value.filename.startswith(str(tmp_path / "out"))
    assert "partial" not in caught.value.filename
    assert contents(tmp_path) == before


def test_a_rate_is_asked_for_where_it_is_not_known(found, tmp_path):
    unknown = replace(found, sample_rate=None)
    with pytest.raises(ValueError, match="sample_rate must be given, in Hz"):
        write(unknown, tmp_path / "out")
    with pytest.raises(ValueError, match="sample_rate must be a whole number"):
        write(found, tmp_path / "out", 0)
    assert not list(tmp_path.iterdir())


def test_arguments_that_have_changed_places_are_told(found, tmp_path):
    with pytest.raises(ValueError, match="found must be a Decomposition, got str"):
        write(tmp_path.name, found)
