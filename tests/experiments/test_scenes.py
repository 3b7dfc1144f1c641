"""Scenes: their truth is in their samples, and a long field is the same however it is cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.experiments.scenes import BLOCK, SAMPLE_RATE, Field, call, field, machine


@pytest.mark.parametrize("scene", [machine, field])
def test_stems_hold_their_events_and_nothing_else(scene):
    mixture = scene(3)
    for s, stem in enumerate(mixture.sources):
        spans = np.zeros(stem.size, bool)
        for event in mixture.events:
            if event.stem == s:
                begin = round(event.onset * SAMPLE_RATE)
                spans[begin : begin + round(event.duration * SAMPLE_RATE)] = True
                assert np.abs(stem[begin : begin + 40]).max() > 0
        assert not stem[~spans].any()


@pytest.mark.parametrize(("scene", "decibels"), [(field, -10.0), (machine, -1.2)])
def test_the_noise_has_its_level(scene, decibels):
    *calls, noise = scene(1).stems
    level = 10 * np.log10(np.mean(noise**2) / np.mean(np.sum(calls, axis=0) ** 2))
    assert level == pytest.approx(decibels, abs=0.3)


@given(st.integers(0, 6 * SAMPLE_RATE), st.integers(1, 3 * SAMPLE_RATE))
def test_a_stretch_is_that_of_the_whole(begin, length):
    place = Field(seed=0, seconds=20.0)
    begin += BLOCK - 3 * SAMPLE_RATE
    whole = place.stretch(0, place.n_samples)[begin : begin + length]
    np.testing.assert_array_equal(place.stretch(begin, begin + whole.size), whole)


def test_the_long_field_holds_its_calls_at_their_samples():
    place = Field(seed=1, seconds=30.0, noise=-200.0)
    x = place.stretch(0, place.n_samples)
    for event in place.events:
        begin = round(event.onset * SAMPLE_RATE)
        x[begin : begin + round(event.duration * SAMPLE_RATE)] -= 10 ** (event.gain / 20) * call(
            *(
                (1.2, 2500, 4500, 0),
                (0.9, 3600, 2400, 3),
                (1.1, 4500, 2500, 0),
                (0.8, 3000, 3000, 8),
            )[event.stem]
        )
    assert np.abs(x).max() < 1e-6
    assert {event.stem for event in place.events} == {0, 1, 2, 3}


def test_a_field_shorter_than_a_call_is_refused():
    with pytest.raises(ValueError, match="seconds must be at least 2"):
        Field(seed=0, seconds=1.0)
