"""``cdlnmf-lit learn`` writes the patterns of all recordings, whole or not at all."""

import numpy as np
import pytest

from cdlnmf_lit.__main__ import main
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.recordings.writing import write

RATE = 2000
ASKED = ["-K", "2", "--quiet", "--recipe", "clicks"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A working folder with two recordings in one of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for seed in range(2):
        rng = np.random.default_rng(seed)
        z = np.zeros(3000)
        z[rng.integers(100, 2800, 12)] = 1
        x = np.convolve(z, np.hanning(60) * np.sin(np.arange(60)))[:3000]
        x += 0.003 * rng.standard_normal(3000)
        write(tmp_path / "in" / f"{seed}.wav", x - x.mean(), RATE)
    return tmp_path


def test_patterns_are_written_and_applied(home, capsys):
    assert main(["learn", "in", *ASKED, "-o", "patterns.npz"]) == 0
    told = capsys.readouterr().out
    assert "patterns.npz: 2 patterns, learnt from 2 pieces of 2 sounds" in told
    found = Decomposition.load("patterns.npz")
    assert found.sample_rate == RATE
    assert found.parameters["recipe"] == "clicks"
    assert found.apply(np.sin(0.3 * np.arange(500.0))).atoms.tobytes() == found.atoms.tobytes()
    first = (home / "patterns.npz").read_bytes()
    assert main(["learn", "in", *ASKED, "-o", "patterns.npz", "--force"]) == 0
    assert (home / "patterns.npz").read_bytes() == first
    assert sorted(each.name for each in home.iterdir()) == ["in", "patterns.npz"]


@pytest.mark.parametrize("method", ["nmf", "cdl"])
def test_what_was_learnt_is_applied_by_the_next_command(home, capsys, method):
    of_method = ["--fft-length", "256"] if method == "nmf" else ["--atom-length", "60"]
    frame = ["--window-length", "256", "--hop", "128"] if method == "nmf" else ["--share", "0.1"]
    asked = ["-K", "2", "--quiet", "--method", method, *of_method, *frame, "-o", "patterns.npz"]
    assert main(["learn", "in", *asked]) == 0
    assert main(["apply", "patterns.npz", "in/0.wav", "-o", "found", "--quiet"]) == 0
    assert "found: " in capsys.readouterr().out
    lines = (home / "found" / "events.csv").read_text("utf8").splitlines()
    assert lines[0].startswith("onset_s,")
    assert len(lines) > 2


def test_excerpts_and_cuts_are_told_as_one_says_them(home, capsys):
    asked = ["learn", "in/0.wav", "in/1.wav", *ASKED, "-o", "p.npz"]
    assert main([*asked, "--longest", "0.5s"]) == 0
    assert "from 6 pieces of 2 sounds" in capsys.readouterr().out
    assert main([*asked, "--excerpts", "0.05min", "--force"]) == 0


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["in", "-K", "0"], "-K must be a whole number of at least 1, got 0"),
        (["in", "-K", "2", "-o", "patterns"], "out must be a file that ends in .npz"),
        (["in", "-K", "2", "-o", "nowhere/p.npz"], "nowhere"),
        (["in", "-K", "2", "--excerpts", "soon"], "excerpts must be a duration above 0"),
        (["in", "-K", "2", "--longest", "0"], "longest must be a duration above 0"),
        (["in", "-K", "2", "--jobs", "0"], "jobs must be a whole number"),
        (
            ["in", "-K", "2", "--method", "lrtfs"],
            "several recordings can be taken by cdl, convolutive-nmf, nmf",
        ),
        (["missing.wav", "-K", "2"], "missing.wav"),
        (["empty", "-K", "2"], "empty"),
    ],
)
def test_what_cannot_be_is_told_in_a_line_and_nothing_is_written(home, capsys, asked, told):
    (home / "empty").mkdir()
    assert main(["learn", "--quiet", *asked]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert sorted(each.name for each in home.iterdir()) == ["empty", "in"]


def test_patterns_that_are_there_are_not_replaced(home, capsys):
    (home / "patterns.npz").write_text("mine")
    assert main(["learn", "in", *ASKED]) == 2
    assert "pass --force to replace it" in capsys.readouterr().err
    assert (home / "patterns.npz").read_text() == "mine"
