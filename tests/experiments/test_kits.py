"""Seeded kits: their truth is in their samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.experiments.kits import (
    KIT,
    SAMPLE_RATE,
    UNSEEN,
    add_delayed,
    drums,
    in_band,
    played,
    sounding,
)


def test_the_pattern_is_the_one_that_is_told():
    steps = [[step for step, drum in sounding(4) if drum == each] for each in range(4)]
    assert [len(each) for each in steps] == [20, 16, 64, 10]
    assert [step for step in steps[0] if 16 <= step < 32] == [16, 22, 24]
    assert [step for step in steps[3] if step >= 112] == [122, 126]


def test_the_same_seed_plays_the_same():
    one, same, other = (drums(rng=seed) for seed in (1, 1, 2))
    assert one.stems.tobytes() == same.stems.tobytes()
    assert not np.array_equal(one.stems, other.stems)


def test_stems_hold_their_events_and_the_noise_its_level():
    mixture = drums(rng=3, kit=KIT)
    assert mixture.names == ("kick", "snare", "hi-hat", "tom", "noise")
    for s, stem in enumerate(mixture.sources):
        first = min(event.onset for event in mixture.events if event.stem == s)
        before = stem[: int(first * SAMPLE_RATE) - 33]
        assert not before.any()
        assert np.abs(stem).max() <= 2 * KIT[s].level
    *sources, noise = mixture.stems
    level = 10 * np.log10(np.mean(noise**2) / np.mean(np.sum(sources, axis=0) ** 2))
    assert level == pytest.approx(-40, abs=0.1)


def test_hits_are_alike_or_not():
    for are_alike in (True, False):
        mixture = drums(rng=0, are_alike=are_alike, is_between_samples=False, noise=-200)
        kicks = [event for event in mixture.events if event.stem == 1]
        pieces = []
        for event in kicks:
            n = round(event.onset * SAMPLE_RATE)
            pieces.append(mixture.stems[1, n : n + 2000] / 10 ** (event.gain / 20))
        spread = np.linalg.norm(pieces[0] - pieces[1]) / np.linalg.norm(pieces[0])
        assert (spread < 1e-3) == are_alike


@given(st.floats(40, 60))
def test_a_delay_moves_the_centre_by_itself(at):
    x, stem = np.hanning(21), np.zeros(160)
    add_delayed(stem, x, at)
    assert np.sum(stem * np.arange(160)) / np.sum(stem) == pytest.approx(at + 10, abs=1e-3)


def test_a_burst_stays_in_its_band():
    x = in_band(np.random.default_rng(0).standard_normal(20_000), (2000, 4000))
    power, f = np.abs(np.fft.rfft(x)) ** 2, np.fft.rfftfreq(x.size, 1 / SAMPLE_RATE)
    assert power[(f < 1700) | (f > 4500)].sum() < 1e-3 * power.sum()


def test_ten_kits_were_not_seen_and_every_stroke_begins_and_ends_in_silence():
    assert len(UNSEEN) == 10
    for kit in (KIT, *UNSEEN):
        assert len(kit) in (3, 4)
        assert len({drum.name for drum in kit}) == len(kit)
        for drum in kit:
            assert drum not in KIT or kit is KIT
            x = drum.stroke(np.random.default_rng(0))
            assert np.abs(x).max() == pytest.approx(1)
            assert max(abs(x[0]), abs(x[-1])) < 1e-9


def test_any_strokes_are_played():
    mixture = played([np.ones(50)] * 3, [1, 2, 3], ["a", "b", "c"], 0, noise=-200)
    assert np.abs(mixture.stems[2]).max() > np.abs(mixture.stems[0]).max()
