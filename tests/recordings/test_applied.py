"""From a source to a folder: whole, resumed, or refused with a line that says why."""

import errno
import json
import os
import resource
from collections import namedtuple
from dataclasses import dataclass, field, replace

import crowsetta
import numpy as np
import pretty_midi
import pytest

from cdlnmf_lit.__main__ import main
from cdlnmf_lit.commands.speaking import error_in_words
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.recordings import applied
from cdlnmf_lit.recordings.events import from_table
from cdlnmf_lit.recordings.reading import read
from cdlnmf_lit.recordings.writing import write
from cdlnmf_lit.theory.gabor import hann

RATE = 8000
ATOMS = np.stack([np.sin(2 * np.pi * f * np.arange(240) / RATE) for f in (1000, 2500)])
ATOMS *= np.hanning(240)
ATOMS /= np.linalg.norm(ATOMS, axis=1, keepdims=True)


@dataclass(frozen=True)
class Computed:
    """A sound with one event a second, computed as it is read and never held."""

    seconds: int
    atoms: np.ndarray = field(default_factory=ATOMS.copy)
    sample_rate: int = RATE
    noise: float = 0.1

    @property
    def n_samples(self):
        return self.seconds * self.sample_rate

    def blocks(self, size):
        rate, length = self.sample_rate, self.atoms.shape[1]
        for second in range(self.seconds):
            rng = np.random.default_rng(second)
            x = np.sqrt(self.noise / rate) * rng.standard_normal(rate)
            begin = rng.integers(rate - length)
            x[begin : begin + length] += self.atoms[rng.integers(len(self.atoms))]
            yield x


def learnt(precision="float64", penalty=0.1, atoms=ATOMS, rate=RATE):
    method = CDL(atom_length=atoms.shape[1], penalty=penalty, precision=precision, padding=120)
    shapes = np.ones((2, 1)), 1, 0, np.zeros(1)
    found = Decomposition("cdl", atoms.astype(precision), *shapes, sample_rate=rate)
    return replace(found, parameters=method.parameters)


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_files_sum_to_the_sound_and_the_events_are_where_they_were_put(tmp_path):
    sound = Computed(20)
    done = applied.apply(learnt(), sound, tmp_path / "out", size=30_000)
    assert (done.n_events, done.is_whole, done.n_samples) == (20, True, sound.n_samples)
    assert done.gap <= 1e-4
    names = ["component_01.wav", "component_02.wav", "residual.wav"]
    parts = [read(tmp_path / "out" / name)[0] for name in names]
    x = np.concatenate(list(sound.blocks(0)))
    np.testing.assert_allclose(sum(parts), x, atol=1e-6)
    onsets = from_table((tmp_path / "out" / "events.csv").read_text()).onset
    begins = [np.random.default_rng(second) for second in range(20)]
    for second, rng in enumerate(begins):
        rng.standard_normal(RATE)
        middle = second + (rng.integers(RATE - 240) + 120) / RATE
        assert np.abs(onsets - middle).min() < 0.015
    assert not (tmp_path / "out.partial").exists()
    assert json.loads((tmp_path / "out" / "applied.json").read_text())["events"] == 20


@pytest.mark.parametrize("kind", ["atoms", "spectra"])
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(kind, tmp_path):
    sound = Computed(12)
    found = learnt()
    if kind == "spectra":
        x = np.concatenate(list(Computed(4).blocks(0)))
        method = NMF(frame=hann(256, 128), iterations=10)
        found = replace(method.decompose(x, 2), sample_rate=RATE)
    whole = applied.apply(found, sound, tmp_path / "whole", size=20_000)
    for _ in range(9):
        done = applied.apply(found, sound, tmp_path / "out", size=20_000, is_stopped=lambda: True)
        assert (tmp_path / "out").exists() == done.is_whole
        if done.is_whole:
            break
    assert done == whole
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_what_another_run_has_left_is_kept(tmp_path):
    sound, stopped = Computed(12), lambda: True
    applied.apply(learnt(), sound, tmp_path / "out", size=20_000, is_stopped=stopped)
    with pytest.raises(FileExistsError, match=r"out\.partial is left of a run of something else"):
        applied.apply(learnt(penalty=0.2), sound, tmp_path / "out", size=20_000)


def test_a_disk_that_fills_says_so_and_the_run_goes_on_when_there_is_room(tmp_path, monkeypatch):
    sound, found = Computed(12), learnt()
    whole = applied.apply(found, sound, tmp_path / "whole", size=20_000)
    real, written = applied.continued, []

    def filling(path, *place):
        class Full:
            def __enter__(self):
                self.file = real(path, *place)
                append = self.file.__enter__()

                def limited(block):
                    written.append(block)
                    if len(written) > 7:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    append(block)

                return limited

            def __exit__(self, *error):
                return self.file.__exit__(*error)

        return Full()

    monkeypatch.setattr(applied, "continued", filling)
    with pytest.raises(OSError, match=r"No space left on device: .*out'"):
        applied.apply(found, sound, tmp_path / "out", size=20_000, checkpoint_every=0)
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(applied, "continued", real)
    done = applied.apply(found, sound, tmp_path / "out", size=20_000)
    assert done == whole
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_too_little_room_is_said_before_any_work(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(applied.shutil, "disk_usage", lambda path: usage(10**9, 10**9, 10**6))
    with pytest.raises(OSError, match=r"1\.2 MB of sounds need more than the 1 MB") as refused:
        applied.apply(learnt(), Computed(12), tmp_path / "out")
    assert error_in_words(refused.value).startswith(f"{tmp_path / 'out'}: 1.2 MB of sounds need")
    assert not any(tmp_path.iterdir())
    done = applied.apply(learnt(), Computed(12), tmp_path / "out", write="events")
    assert done.n_events == 12
    assert sorted(content(tmp_path / "out")) == ["applied.json", "events.csv"]


def test_another_rate_is_resampled_and_said_or_refused(tmp_path):
    sound = replace(Computed(6), sample_rate=2 * RATE, atoms=np.repeat(ATOMS, 2, axis=1) / 2)
    with pytest.raises(ValueError, match="sample_rate must be that of the patterns, 8000 Hz"):
        applied.apply(learnt(), sound, tmp_path / "out", strict=True)
    with pytest.warns(UserWarning, match="resampled from 16000 to 8000 Hz"):
        done = applied.apply(learnt(), sound, tmp_path / "out")
    assert (done.n_samples, done.n_events) == (6 * RATE, 6)


def test_what_cannot_be_applied_is_refused_before_any_work(tmp_path):
    sound = Computed(6)
    with pytest.raises(ValueError, match="found must know its sample_rate, got None"):
        applied.apply(replace(learnt(), sample_rate=None), sound, tmp_path / "out")
    with pytest.raises(ValueError, match="write must be one of sounds, events, got 'all'"):
        applied.apply(learnt(), sound, tmp_path / "out", write="all")
    with pytest.raises(ValueError, match="labels must be one of audacity, raven, midi, got 'x'"):
        applied.apply(learnt(), sound, tmp_path / "out", labels=["x"])
    with pytest.raises(ValueError, match="found must have patterns that sound"):
        applied.apply(learnt(atoms=np.zeros_like(ATOMS)), sound, tmp_path / "out")
    with pytest.raises(ValueError, match="size must be at least a pattern's 240 samples"):
        applied.apply(learnt(), sound, tmp_path / "out", size=100)
    assert not any(tmp_path.iterdir())


# ---- the command ---------------------------------------------------------------------------------


def test_the_command_applies_a_result_to_files_and_folders(tmp_path, capsys):
    learnt("float32").save(tmp_path / "learnt.npz")
    (tmp_path / "sounds").mkdir()
    for n in (3, 5):
        write(tmp_path / "sounds" / f"{n}.wav", np.concatenate(list(Computed(n).blocks(0))), RATE)
    one = [str(tmp_path / "learnt.npz"), str(tmp_path / "sounds" / "3.wav"), "--quiet"]
    assert main(["apply", *one, "-o", str(tmp_path / "one")]) == 0
    assert "3 events in 3 s; at most" in capsys.readouterr().out
    assert main(["apply", *one, "-o", str(tmp_path / "one")]) == 2
    assert "pass --force to replace it" in capsys.readouterr().err
    assert main(["apply", *one, "-o", str(tmp_path / "one"), "--force", "--write", "events"]) == 0
    assert sorted(content(tmp_path / "one")) == ["applied.json", "events.csv"]
    labels = ["--write", "events", "--labels", "audacity,raven,midi"]
    assert main(["apply", *one, "-o", str(tmp_path / "two"), *labels]) == 0
    table = from_table((tmp_path / "two" / "events.csv").read_text())
    heard = crowsetta.formats.seq.AudSeq.from_file(tmp_path / "two" / "labels.txt").to_seq()
    np.testing.assert_allclose(heard.onsets_s, table.onset, atol=6e-4)
    assert (tmp_path / "two" / "selections.txt").read_text().count("\n") == 4
    notes = pretty_midi.PrettyMIDI(str(tmp_path / "two" / "events.mid")).instruments
    assert sum(len(each.notes) for each in notes) == len(table) == 3
    both = [one[0], str(tmp_path / "sounds"), "-o", str(tmp_path / "both"), "--quiet"]
    assert main(["apply", *both, "--write", "events"]) == 0
    assert "5 events in 5 s" in capsys.readouterr().out
    assert main(["apply", *both, "--write", "events"]) == 0
    assert capsys.readouterr().out.count("is done, skipped") == 2


def test_the_bar_of_a_resampled_sound_ends_full_at_its_seconds(tmp_path, capsys):
    learnt().save(tmp_path / "learnt.npz")
    sound = replace(Computed(1), sample_rate=2 * RATE, atoms=np.repeat(ATOMS, 2, axis=1) / 2)
    x = np.concatenate(list(sound.blocks(0)))
    write(tmp_path / "x.wav", np.concatenate([x, x[: RATE // 2]]), 2 * RATE)
    asked = [str(tmp_path / "learnt.npz"), str(tmp_path / "x.wav"), "-o", str(tmp_path / "out")]
    assert main(["apply", *asked]) == 0
    told = capsys.readouterr()
    assert "1 event in 1.25 s" in told.out
    last = told.err.split("\r")[-1]
    assert "100%" in last
    assert "1.25/1.25" in last


def test_the_command_says_in_a_line_what_cannot_be_applied(tmp_path, capsys):
    write(tmp_path / "x.wav", np.concatenate(list(Computed(2).blocks(0))), RATE)
    write(tmp_path / "short.wav", ATOMS[0][:-1], RATE)
    (tmp_path / "empty").mkdir()
    learnt().save(tmp_path / "learnt.npz")
    replace(learnt(), method="by hand").save(tmp_path / "other.npz")
    for result, sound, told in (
        ("none.npz", "x.wav", "none.npz"),
        ("x.wav", "x.wav", "the file must be a saved decomposition"),
        ("other.npz", "x.wav", "method must be one of"),
        ("learnt.npz", "empty", "must be a folder that holds"),
        ("learnt.npz", "short.wav", "the sound must have at least 240 samples, got 239"),
    ):
        asked = [str(tmp_path / result), str(tmp_path / sound), "-o", str(tmp_path / "out")]
        assert main(["apply", *asked, "--quiet"]) == 2
        error = capsys.readouterr().err
        assert told in error
        assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


# ---- long sounds ---------------------------------------------------------------------------------


def long_sound(seconds):
    atoms = np.stack([np.sin(2 * np.pi * f * np.arange(662) / 22_050) for f in (1500, 4000)])
    atoms *= np.hanning(662)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    return Computed(seconds, atoms, 22_050), learnt("float32", 0.1, atoms, 22_050)


@pytest.mark.long
def test_ten_minutes_are_gone_through_in_constant_memory(tmp_path):
    sound, found = long_sound(60)
    applied.apply(found, sound, tmp_path / "short", write="events")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sound, _ = long_sound(600)
    done = applied.apply(found, sound, tmp_path / "out", write="events")
    assert (done.n_events, done.is_whole) == (600, True)
    assert done.gap <= 1e-3
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown <= 50  # MB: the sound as a whole takes 106


@pytest.mark.skipif(
    os.environ.get("HYPOTHESIS_PROFILE") != "nightly", reason="an hour of sound takes minutes"
)
def test_an_hour_is_gone_through_with_its_sounds(tmp_path):
    sound, found = long_sound(3600)
    done = applied.apply(found, sound, tmp_path / "out")
    assert (done.n_events, done.is_whole) == (3600, True)
    size = (tmp_path / "out" / "component_01.wav").stat().st_size
    assert size == pytest.approx(4 * sound.n_samples, abs=200)
