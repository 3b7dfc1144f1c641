"""Formats of events, read back by the libraries of those who use them."""

from dataclasses import replace

import crowsetta
import numpy as np
import pretty_midi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.events import Events
from cdlnmf_lit.recordings import events as formats

FS = 8000
times = st.lists(st.floats(0, 1e5), min_size=0, max_size=6)


def planted():
    """Two notes and a noise, at known times."""
    t = np.arange(1600) / FS
    notes = [np.hanning(1600) * np.sin(2 * np.pi * f * t) for f in (440.0, 261.63)]
    noise = np.random.default_rng(0).standard_normal(1600) * np.hanning(1600)
    z = np.zeros((3, 30_000))
    z[0, [1000, 12_000]], z[1, 6000], z[2, 20_000] = (1.0, 0.5), 1.0, 0.3
    residual = 1e-3 * np.random.default_rng(1).standard_normal(31_599)
    return Decomposition("hand", np.stack([*notes, noise]), z, 1, 0, residual, sample_rate=FS)


@given(times, st.integers(0, 40))
def test_a_table_is_read_back(onsets, k):
    n = len(onsets)
    table = Events(
        onsets, np.add(onsets, 0.5), [k] * n, [-3.0] * n, [20.0] * n, [90.0] * n, [0.5] * n
    )
    again = formats.from_table(formats.table(table))
    for one, other in zip(table.columns, again.columns, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_table_of_something_else_is_refused():
    with pytest.raises(ValueError, match="text must have the columns onset_s"):
        formats.from_table("a,b\n1,2\n")


def test_crowsetta_reads_the_labels_of_audacity(tmp_path):
    found = planted()
    table = formats.write(found, tmp_path, ["audacity"])
    labels = crowsetta.formats.seq.AudSeq.from_file(tmp_path / "labels.txt").to_seq()
    np.testing.assert_allclose(labels.onsets_s, table.onset, atol=6e-4)  # it rounds
    np.testing.assert_allclose(labels.offsets_s, table.end, atol=6e-4)
    assert list(labels.labels) == [f"component {k + 1}" for k in table.component]


@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_crowsetta_reads_the_selections_of_raven(tmp_path):
    table = formats.write(planted(), tmp_path, ["raven"])
    boxes = crowsetta.formats.bbox.Raven.from_file(
        tmp_path / "selections.txt", annot_col="Annotation"
    ).to_bbox()
    assert len(boxes) == len(table) == 4
    for box, (onset, end, k, _, low, high, _) in zip(boxes, table.rows, strict=True):
        assert (box.onset, box.offset) == pytest.approx((onset, end), abs=1e-6)
        assert (box.low_freq, box.high_freq) == pytest.approx((low, high), abs=0.1)
        assert box.label == f"component {k + 1}"


def test_pretty_midi_reads_the_notes(tmp_path):
    table = formats.write(planted(), tmp_path, ["midi"])
    heard = pretty_midi.PrettyMIDI(str(tmp_path / "events.mid")).instruments
    assert [(each.is_drum, each.name) for each in heard] == [
        (False, "component 1"),
        (False, "component 2"),
        (True, "component 3"),
    ]
    for k, each in enumerate(heard):
        own = table[table.component == k]
        np.testing.assert_allclose([note.start for note in each.notes], own.onset, atol=2e-3)
        np.testing.assert_allclose([note.end for note in each.notes], own.end, atol=2e-3)
    assert {note.pitch for note in heard[0].notes} == {69}
    assert {note.pitch for note in heard[1].notes} == {60}
    first, second = heard[0].notes
    assert first.velocity > second.velocity


def test_what_is_written_is_what_is_asked_for(tmp_path):
    formats.write(planted(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["events.csv"]
    with pytest.raises(ValueError, match="labels must be one of"):
        formats.write(planted(), tmp_path / "new", ["praat"])


def test_silence_has_a_table_with_a_head_and_a_file_without_notes(tmp_path):
    silent = replace(planted(), activations=np.zeros((3, 30_000)))
    assert len(formats.write(silent, tmp_path, list(formats.LABELS))) == 0
    assert (tmp_path / "events.csv").read_text().startswith("onset_s,end_s,component")
    assert not pretty_midi.PrettyMIDI(str(tmp_path / "events.mid")).instruments
