"""The sounds that a command is given: files, folders, standard input, and stretches of them."""

import argparse
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import crowsetta
import numpy as np
import pretty_midi
import pytest
import soundfile
from numpy.testing import assert_allclose

from cdlnmf_lit.__main__ import main
from cdlnmf_lit.commands.sounds import seconds
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.presentation import plotting
from cdlnmf_lit.recordings import writing
from cdlnmf_lit.recordings.events import from_table

RATE = 8000
SMALL = ["-K", "2", "--method", "nmf", "--window-length", "256", "--hop", "64", "--iterations", "3"]


def sound(seconds=0.5):
    t = np.arange(int(seconds * RATE)) / RATE
    x = 0.4 * np.sin(2 * np.pi * 440 * t) * (t < 0.3) + 0.2 * np.sin(2 * np.pi * 660 * t)
    return x - x.mean()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to work in; figures are left empty."""
    monkeypatch.chdir(tmp_path)
    figure = SimpleNamespace(savefig=lambda path: path.write_bytes(b"picture"))
    monkeypatch.setattr(plotting, "components", lambda *_: figure)
    return tmp_path


def decompose(*argv):
    """Run the command as a shell does, where a warning is a line."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        return main(["decompose", *map(str, argv), *SMALL, "--quiet"])


def summed(out):
    return sum(soundfile.read(path)[0] for path in out.glob("*.wav"))


def test_an_offset_is_the_residuals_and_the_components_are_those_without_it(place, capsys):
    writing.write("plain.wav", sound(), RATE)
    writing.write("offset.wav", sound() + 0.3, RATE)
    assert decompose("plain.wav", "-o", "plain") == decompose("offset.wav", "-o", "offset") == 0
    told = capsys.readouterr().err
    assert "offset.wav has an offset of 0.3: it is taken off, and is no component's" in told
    assert "plain.wav has an offset" not in told
    plain, offset = (
        Decomposition.load(place / each / "decomposition.npz") for each in ("plain", "offset")
    )
    assert_allclose(offset.components(), plain.components(), atol=1e-5)
    assert_allclose(offset.residual, plain.residual + 0.3, atol=1e-5)
    assert_allclose(summed(place / "offset"), soundfile.read("offset.wav")[0], atol=1e-6)


def test_two_channels_are_taken_apart_with_a_word(place, capsys):
    soundfile.write("two.wav", np.stack([sound(), -sound()], 1), RATE, "FLOAT")
    assert decompose("two.wav") == 0
    assert "two.wav has 2 channels: channel 0, the loudest, is taken" in capsys.readouterr().err
    assert_allclose(summed(place / "out"), sound(), atol=1e-6)


def test_standard_input_is_taken_apart(place, monkeypatch):
    writing.write("x.wav", sound(), RATE)
    with (place / "x.wav").open("rb") as file:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=file))
        assert decompose("-") == 0
    assert_allclose(summed(place / "out"), sound(), atol=1e-6)


def test_a_standard_input_that_is_closed_is_told(place, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", None)
    assert decompose("-") == 2
    assert capsys.readouterr().err == (
        "cdlnmf-lit: error: standard input must hold sound, but it is closed\n"
    )


@pytest.mark.parametrize("others", [[], ["x.wav"]])
def test_an_empty_name_is_not_the_folder_one_is_in(place, capsys, others):
    """As an unset variable of a shell gives it."""
    writing.write("x.wav", sound(), RATE)
    assert decompose("", *others) == 2
    assert "SOUND must be the name of a file or a folder, got ''" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="no other system has such names")
def test_a_name_that_is_no_text_loses_no_result(place):
    writing.write("x.wav", sound(), RATE)
    name = os.fsdecode(b"sounds/caf\xe9.wav")
    Path("sounds").mkdir()
    Path("x.wav").rename(name)
    assert decompose(name) == 0
    assert decompose("sounds", "-o", "all") == 0
    for out in ("out", f"all/{Path(name).name}"):
        assert json.loads(Path(out, "summary.json").read_text())["asked"]["sound"].endswith("?.wav")


def test_a_stretch_is_taken_apart(place):
    writing.write("x.wav", sound(2.0), RATE)
    assert decompose("x.wav", "--from", "0:00.5", "--to", "1.25") == 0
    x = sound(2.0)[4000:10000]
    assert_allclose(summed(place / "out"), x, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("1:30", 90), ("0:01:30.5", 90.5), ("1.5", 1.5)]
)
def test_a_time_is_seconds_or_minutes_and_seconds(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "a", "1:75", "1:2:3:4", "-1", "nan", "inf", "1:"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="must be a time, as 90 or 1:30"):
        seconds(text)


def test_a_cut_file_is_taken_with_a_word_and_refused_where_strict(place, capsys):
    writing.write("x.wav", sound(), RATE)
    content = (place / "x.wav").read_bytes()
    (place / "x.wav").write_bytes(content[: len(content) // 2])
    assert decompose("x.wav", "--strict") == 2
    assert not (place / "out").exists()
    assert "error: x.wav holds 0.25 s of the 0.50 s" in capsys.readouterr().err
    assert decompose("x.wav") == 0
    assert "warning: x.wav holds 0.25 s of the 0.50 s" in capsys.readouterr().err


def test_a_folder_as_people_have_them(place, capsys):
    """Each sound a result; what is none is named; what fails does not stop the rest."""
    folder = place / "in"
    (folder / "sub").mkdir(parents=True)
    (place / "elsewhere").mkdir()
    for name in ("a.wav", "a.flac", "B.WAV", "-x.wav", "two words.mp3", "звук 音.ogg"):
        writing.write(folder / "w.wav", sound(), RATE)
        writing.write(folder / "tmp.flac", sound(), RATE)
        suffix = name[name.index(".") :].lower()
        writing.write(place / f"plain{suffix}", sound(), RATE)
        (folder / name).write_bytes((place / f"plain{suffix}").read_bytes())
    (folder / "w.wav").unlink()
    (folder / "tmp.flac").unlink()
    writing.write(place / "elsewhere" / "linked.wav", sound(), RATE)
    (folder / "link.wav").symlink_to(place / "elsewhere" / "linked.wav")
    (folder / "folder").symlink_to(place / "elsewhere")
    (folder / "sub" / "loop").symlink_to(folder)
    (folder / "unnamed").write_bytes((folder / "a.wav").read_bytes())
    (folder / "._a.wav").write_bytes(bytes(4096))
    (folder / ".hidden").mkdir()
    writing.write(folder / ".hidden" / "x.wav", sound(), RATE)
    (folder / "notes.txt").write_text("no sound")
    (folder / "broken.wav").write_bytes(b"no sound")

    assert decompose(folder, "-o", folder / "out") == 2
    printed, told = capsys.readouterr()
    assert "passed over, as no sounds: notes.txt" in told
    assert "broken.wav is no sound that can be read" in told
    assert "1 of 10 sounds failed" in told
    done = {
        path.parent.relative_to(folder / "out").as_posix()
        for path in (folder / "out").rglob("decomposition.npz")
    }
    assert done == {
        *("a.wav", "a.flac", "B.WAV", "-x.wav", "two words.mp3", "звук 音.ogg"),
        *("link.wav", "folder/linked.wav", "unnamed"),
    }

    (folder / "broken.wav").write_bytes((folder / "a.wav").read_bytes())
    assert decompose(folder, "-o", folder / "out") == 0
    printed, _ = capsys.readouterr()
    assert printed.count("is done, skipped") == 9
    assert (folder / "out" / "broken.wav" / "decomposition.npz").exists()


@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_events_are_written_for_other_programs(place):
    writing.write("x.wav", sound(), RATE)
    assert decompose("x.wav", "--labels", "audacity,raven,midi") == 0
    table = from_table((place / "out" / "events.csv").read_text())
    read = crowsetta.formats
    heard = read.seq.AudSeq.from_file("out/labels.txt").to_seq()
    assert_allclose(heard.onsets_s, table.onset, atol=6e-4)
    boxes = read.bbox.Raven.from_file("out/selections.txt", annot_col="Annotation").to_bbox()
    assert_allclose([box.low_freq for box in boxes], table.lowest, atol=0.1)
    notes = pretty_midi.PrettyMIDI("out/events.mid").instruments
    assert sum(len(each.notes) for each in notes) == len(table) > 0


def test_labels_are_written_by_a_rerun_and_those_that_are_none_refused(place, capsys):
    (place / "in").mkdir()
    writing.write("in/x.wav", sound(), RATE)
    assert decompose("in") == decompose("in", "--labels", "audacity") == 0
    assert (place / "out" / "x.wav" / "labels.txt").exists()
    assert decompose("in", "--labels", "audacity") == 0
    assert capsys.readouterr().out.count("is done, skipped") == 1
    assert decompose("in", "--labels", "raven,praat") == 2
    assert "--labels: must be of audacity, raven, midi, got 'praat'" in capsys.readouterr().err


def test_a_folder_without_a_sound_is_refused(place, capsys):
    (place / "in").mkdir()
    (place / "in" / "notes.txt").write_text("no sound")
    assert decompose("in") == 2
    assert "SOUND must be a folder that holds sounds outside of out" in capsys.readouterr().err


@pytest.mark.parametrize("options", [SMALL, SMALL[2:], ["-K", "2"], []], ids=str)
def test_the_estimate_of_a_long_sound_does_not_read_its_samples(
    place, capsys, monkeypatch, options
):
    from cdlnmf_lit.commands import decompose as command
    from cdlnmf_lit.recordings.reading import Source

    loud = np.r_[0.1 * sound(9.0), sound(8.0), 0.1 * sound(2.3)]
    writing.write("x.wav", loud + 0.01 * np.random.default_rng(0).standard_normal(loud.size), RATE)
    argv = ["decompose", "x.wav", *options, "--estimate"]
    assert main(argv) == 0
    *chosen, expected = capsys.readouterr().out.splitlines()
    monkeypatch.setattr(command, "AT_HAND", 100)
    monkeypatch.setattr(Source, "samples", lambda self: pytest.fail("read"))
    assert main(argv) == 0
    *again, estimate = capsys.readouterr().out.splitlines()
    assert again == chosen
    assert estimate.split(",")[0] == expected.split(",")[0]
    assert main([*argv, "-K", "100000"]) == 2
    assert "-K must be a whole number from 1 to" in capsys.readouterr().err


@pytest.mark.parametrize("at_hand", [100, 10**6])
def test_an_estimate_is_refused_where_the_run_would_be(place, capsys, monkeypatch, at_hand):
    from cdlnmf_lit.commands import decompose as command
    from cdlnmf_lit.methods import resources
    from cdlnmf_lit.methods.recipes import RECIPES

    writing.write("x.wav", sound(3.0), RATE)
    monkeypatch.setattr(command, "AT_HAND", at_hand)
    needed = RECIPES["notes"](RATE).estimate(3 * RATE, 2, np.float32).memory_bytes
    for there, status in ((needed - 1, 2), (needed + 8 * 3 * RATE, 0)):
        monkeypatch.setattr(resources, "_free", lambda root, there=there: there)
        argv = ["decompose", "x.wav", "--recipe", "notes", "-K", "2"]
        assert main([*argv, "--estimate"]) == status
        if status:
            assert main(argv) == status
            assert " are free" in capsys.readouterr().err


MEASURE = """
import re, sys
from pathlib import Path
from cdlnmf_lit.__main__ import main
assert main(["decompose", "x.wav", "--estimate", *sys.argv[1:]]) == 0
status = Path("/proc/self/status").read_text().expandtabs()
print(1024 * int(re.search("VmHWM: *(\\d+)", status)[1]))
"""
"""The peak is read where that of the process that started this one does not count."""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is told by Linux")
@pytest.mark.parametrize("options", [["--recipe", "notes", "-K", "4"], []], ids=str)
def test_the_estimate_of_twenty_minutes_of_stereo_takes_at_most_250_megabytes(place, options):
    rng = np.random.default_rng(0)
    with soundfile.SoundFile("x.wav", "w", 44_100, 2) as file:
        for _ in range(1200):
            file.write(rng.uniform(-0.1, 0.1, (44_100, 2)))
    argv = [sys.executable, "-c", MEASURE, *options]
    told = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert float(told.splitlines()[-1]) < 250e6
