"""Holes in a recording, from the command line."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

import cdlnmf_lit as lit
from cdlnmf_lit.__main__ import main
from cdlnmf_lit.presentation import plotting
from cdlnmf_lit.recordings.writing import write

RATE = 8000
HOLE = slice(6300, 6700)
METHODS = {
    "clicks": ["--recipe", "clicks"],
    "notes": ["--recipe", "notes", "--iterations", "5"],
    "cdl": ["--method", "cdl", "--atom-length", "240", "--share", "0.05", "--iterations", "20"],
}


def sound(seconds=2):
    """Clicks over a hum."""
    click = np.hanning(200) * np.random.default_rng(0).standard_normal(200)
    x = 0.02 * np.sin(0.05 * np.arange(seconds * RATE))
    for n in (500, 3000, 6200, 9100, 13_000):
        x[n : n + 200] += 0.3 * (click - click.mean())
    return x - x.mean()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the sound, with holes in it and without, to work in; figures are left empty."""
    monkeypatch.chdir(tmp_path)
    picture = SimpleNamespace(savefig=lambda path: path.write_bytes(b"picture"))
    monkeypatch.setattr(plotting, "components", lambda *_: picture)
    x = sound()
    write("whole.wav", x, RATE)
    x[HOLE] = np.nan
    soundfile.write("holes.wav", x, RATE, "FLOAT")
    return tmp_path


def run(name, *options):
    return main(["decompose", name, *options, "--quiet", "--force"])


@pytest.mark.parametrize("options", METHODS.values(), ids=METHODS)
def test_holes_are_filled_and_parts_sum_to_the_sound(place, options, capsys):
    assert run("holes.wav", "-K", "1", "--holes", *options) == 0
    said = capsys.readouterr()
    assert "holes.wav: 0.05 s of 2 s are missing, and are filled" in said.err
    assert "of any dictionary" not in said.out
    parts = [soundfile.read(path)[0] for path in place.glob("out/*.wav")]
    filled, x = sum(parts), sound()
    known = np.delete(np.arange(x.size), np.r_[HOLE])
    np.testing.assert_allclose(filled[known], x[known], atol=1e-6)
    assert np.isfinite(filled).all()
    told = json.loads((place / "out" / "summary.json").read_text("utf8"))["warnings"]
    assert any("are missing" in each for each in told)
    if options != METHODS["notes"]:  # whose waveform is the prediction's
        assert np.linalg.norm((filled - x)[HOLE]) < 0.5 * np.linalg.norm(x[HOLE])


def test_what_is_left_open_is_chosen_from_what_is_known(place, capsys):
    assert run("holes.wav", "--recipe", "clicks", "--holes", "--estimate") == 0
    assert re.match(r"K = \d+ ", capsys.readouterr().out)


def test_holes_are_not_taken_unasked_and_the_line_says_how(place, capsys):
    assert run("holes.wav", "-K", "1", *METHODS["cdl"]) == 2
    said = capsys.readouterr().err
    assert "must be finite, got nan at index 6300: the command takes it for a hole with" in said


def test_without_a_hole_it_is_the_plain_run_to_the_bit(place):
    found = []
    for options in ([], ["--holes"]):
        assert run("whole.wav", "-K", "1", *METHODS["cdl"], *options) == 0
        found.append(lit.Decomposition.load("out/decomposition.npz"))
    np.testing.assert_array_equal(found[0].activations, found[1].activations)
    assert found[0].parameters == found[1].parameters


def test_it_is_what_python_gives(place):
    assert run("holes.wav", "-K", "1", "--holes", *METHODS["clicks"]) == 0
    x, rate = lit.read("holes.wav", holes=True)
    asked = {"sample_rate": rate, "recipe": "clicks", "weights": np.isfinite(x)}
    found, written = lit.decompose(x, 1, **asked), lit.Decomposition.load("out/decomposition.npz")
    np.testing.assert_array_equal(found.activations, written.activations)
    np.testing.assert_array_equal(found.residual, written.residual)
