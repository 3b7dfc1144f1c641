"""Scores of the truth, of parts of it and of what has nothing to do with it."""

import itertools
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from cdlnmf_lit.experiments.evaluation.groups import bands
from cdlnmf_lit.experiments.evaluation.ratios import FLOOR, LIMIT
from cdlnmf_lit.experiments.evaluation.scores import judge
from cdlnmf_lit.experiments.signals import PIANO_MEASURES, PIANO_NOTES, Event, Mixture, chirps
from tests.experiments.evaluation.sounds import RATE, TWO, by_hand, small_piano, strikes_of, tones
from tests.strategies import normal


def test_the_truth_gets_the_best_of_everything():
    played = small_piano(0)
    order = [2, 4, 0, 3, 1]
    found = judge(
        by_hand(played.stems[order], played.signal),
        played, notes=PIANO_NOTES, measures=PIANO_MEASURES,
    )  # fmt: skip
    assert found.names == tuple(note.name for note in PIANO_NOTES)
    assert found.owners == (2, -1, 0, 3, 1)  # the noise is nobody's
    assert found.notes == found.names
    np.testing.assert_allclose(found.si_sdr, LIMIT)
    np.testing.assert_allclose((found.mean_si_sdr, found.min_si_sdr), LIMIT)
    assert min(found.sdr) > 90
    np.testing.assert_allclose(found.similarity, 1, atol=1e-5)
    assert min(found.onset_f) > 0.85
    assert found.relative_residual < 1e-12
    assert found.shuffled_si_sdr < 0


def test_a_note_in_pieces_scores_like_the_whole():
    played = small_piano(0)
    x, notes = played.signal, played.sources
    pieces = np.concatenate([0.3 * notes, [bands(notes[1], 3)[k] * 0.7 for k in range(3)],
                             0.7 * notes[[0, 2, 3]], played.stems[-1:]])  # fmt: skip
    found = judge(by_hand(pieces, x), played, filter_length=1)
    assert found.owners == (0, 1, 2, 3, 1, 1, 1, 0, 2, 3, -1)
    np.testing.assert_allclose(found.si_sdr, LIMIT)


def test_the_mixture_taken_for_everything_loses_all_but_one():
    played = small_piano(0)
    x = played.signal
    found = judge(
        by_hand(np.tile(x / 4, (4, 1)), x),
        played, notes=PIANO_NOTES, measures=PIANO_MEASURES, filter_length=1,
    )  # fmt: skip
    assert len(set(found.owners)) == 1
    assert found.notes == ()
    assert sorted(found.si_sdr)[:3] == [FLOOR] * 3
    assert found.min_si_sdr == FLOOR
    assert sum(value > 0 for value in found.similarity) == 1
    assert found.relative_residual < 1e-12  # the reconstruction says nothing of it


def test_silence_is_lost():
    played = small_piano(0)
    found = judge(by_hand(np.zeros((2, played.signal.size)), played.signal), played)
    assert found.owners == (-1, -1)
    assert found.mean_si_sdr == found.min_si_sdr == found.shuffled_si_sdr == FLOOR
    assert set(found.sdr) == set(found.sir) == set(found.sar) == {FLOOR}
    assert set(found.similarity) == set(found.onset_f) == {0.0}
    assert found.relative_residual == 1


def test_scores_are_plain_frozen_and_repeat():
    mixture = chirps(0, duration=13.0)
    decomposition = by_hand(0.5 * mixture.stems[[1, 0]], mixture.signal)
    found = judge(decomposition, mixture, filter_length=1)
    assert pickle.loads(pickle.dumps(found)) == found
    assert judge(decomposition, mixture, filter_length=1) == found
    assert judge(decomposition, mixture, filter_length=1, rng=1) != found
    assert found.notes is None
    assert found.relative_residual == pytest.approx(0.5, abs=0.01)
    assert "np.float" not in repr(found)
    assert "array" not in repr(found)
    with pytest.raises(FrozenInstanceError):
        found.mean_si_sdr = 0.0  # type: ignore[misc]


def test_a_mixture_without_noise_events_or_a_second_source():
    tone = tones(0.02)
    alone = Mixture(tone, RATE, ("tone",))
    found = judge(by_hand(tone, alone.signal), alone, filter_length=1)
    assert np.isnan(found.shuffled_si_sdr)
    assert np.all(np.isnan(found.onset_f))
    assert found.mean_si_sdr == LIMIT
    clicks = Mixture(np.eye(2, 8192), RATE, ("a", "b"))
    assert judge(by_hand(clicks.stems, clicks.signal), clicks, filter_length=1).owners


def test_events_of_a_source_that_is_silent_then_are_no_trouble():
    stems = np.zeros((2, 4000))
    stems[:, :1000] = normal(0, 2, 1000)
    events = [Event(0.0, 0.1, 0), Event(0.4, 0.1, 0), Event(0.0, 0.1, 1), Event(0.4, 0.1, 1)]
    mixture = Mixture(stems, RATE, ("a", "b"), tuple(events))
    found = judge(by_hand(stems, mixture.signal), mixture, filter_length=1)
    assert np.isfinite(found.shuffled_si_sdr)
    assert replace(found, shuffled_si_sdr=0.0).mean_si_sdr == LIMIT


# ---- controls ----------------------------------------------------------------------------------


def test_the_control_unmasks_a_grouping_that_does_all_the_work():
    """Single strikes group perfectly, to any truth; whole notes group to the real one alone."""
    played = small_piano(1)
    x, noise = played.signal, played.stems[-1:]
    strikes = judge(by_hand(strikes_of(played)[0], x), played, filter_length=1)
    notes = judge(by_hand(np.concatenate([played.sources, noise]), x), played, filter_length=1)
    assert strikes.mean_si_sdr == notes.mean_si_sdr == pytest.approx(LIMIT)
    assert strikes.shuffled_si_sdr == pytest.approx(LIMIT)
    assert notes.shuffled_si_sdr < 0


@pytest.mark.parametrize("seed", range(3))
def test_slices_of_the_mixture_group_to_a_shuffled_truth_as_well_as_to_the_truth(seed):
    played = small_piano(seed)
    x = played.signal
    slices = np.zeros((24, x.size))
    for row, (begin, end) in zip(
        slices, itertools.pairwise(np.linspace(0, x.size, 25).astype(int)), strict=True
    ):
        row[begin:end] = x[begin:end]
    found = judge(by_hand(slices, x), played, filter_length=1)
    assert found.mean_si_sdr < found.shuffled_si_sdr + 5


@pytest.mark.parametrize("seed", range(3))
def test_noise_has_no_owner_or_no_score(seed):
    played = small_piano(seed)
    noise = bands(normal(seed, played.signal.size), 24)
    found = judge(by_hand(noise, played.signal), played, filter_length=1)
    assert found.mean_si_sdr < FLOOR + 3
    assert found.shuffled_si_sdr < FLOOR + 3


def test_the_bands_of_the_mixture_score_what_the_scores_say_of_them():
    played = small_piano(0)
    filters = by_hand(bands(played.signal, 6), played.signal)
    found = judge(filters, played, filter_length=1)
    assert found.mean_si_sdr == pytest.approx(found.bands_si_sdr, abs=1e-9)
    truth = judge(by_hand(played.stems, played.signal), played, filter_length=1)
    assert truth.bands_si_sdr < truth.mean_si_sdr


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: judge(by_hand(TWO, TWO.sum(axis=0)), small_piano(0)),
            "decomposition must be of the mixture's 125351 samples, got 40",
        ),
        (
            lambda: judge(by_hand(TWO, TWO[0]), Mixture(0 * TWO, RATE, ("a", "b"))),
            "mixture.sources must not be silent",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
