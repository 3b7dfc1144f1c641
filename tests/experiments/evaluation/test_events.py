"""Onsets where they are known, and the F-measure of known cases."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdlnmf_lit.experiments.evaluation.events import onset_f_measure, onsets
from cdlnmf_lit.experiments.signals import chirps, piano
from tests.experiments.evaluation.sounds import RATE, TWO, small_piano


def struck(times, n_samples=2 * RATE, decay=8.0):
    t = np.arange(n_samples) / RATE
    x = np.zeros(n_samples)
    for begin in times:
        after = np.maximum(t - begin, 0)
        x += (t >= begin) * np.exp(-decay * after) * np.sin(2 * np.pi * 500 * after)
    return x


@given(
    st.lists(st.floats(0, 1.7), min_size=1, max_size=4).map(sorted),
    st.sampled_from([1e-170, 1.0, 1e170]),
)
def test_strikes_are_found_where_they_are(times, factor):
    assume(np.all(np.diff(times) > 0.4))
    found = onsets(factor * struck(times), RATE)
    assert found.shape == (len(times),)
    np.testing.assert_allclose(found, times, atol=0.02)
    assert onset_f_measure(factor * struck(times), RATE, times) == 1


def test_f_measure_of_known_cases():
    x = struck([0.2, 0.8, 1.4])
    assert onset_f_measure(x, RATE, [0.2, 0.8, 1.4]) == 1
    assert onset_f_measure(x, RATE, [1.4, 0.8, 0.2]) == 1  # in any order
    assert onset_f_measure(x, RATE, [0.2, 0.8]) == pytest.approx(4 / 5)  # one too many
    assert onset_f_measure(x, RATE, [0.2, 0.5, 0.8, 1.1, 1.4]) == pytest.approx(6 / 8)
    assert onset_f_measure(x, RATE, [0.5, 1.1]) == 0
    assert onset_f_measure(x, RATE, [0.26], window=0.05) == 0
    assert onset_f_measure(x, RATE, [0.26], window=0.09) == pytest.approx(2 / 4)
    assert onset_f_measure(0 * x, RATE, [0.2]) == 0
    steady = np.sin(np.arange(2.0 * RATE))
    np.testing.assert_allclose(onsets(steady, RATE), [0], atol=0.02)


def test_a_faint_strike_is_no_onset():
    x = struck([0.2]) + 0.1 * struck([1.0])
    assert onsets(x, RATE).size == 1
    assert onsets(struck([0.2]) + 0.3 * struck([1.0]), RATE).size == 2


@pytest.mark.parametrize("make", [small_piano, piano, chirps])
@pytest.mark.parametrize("seed", range(3))
def test_the_sources_start_when_their_events_do(make, seed):
    mixture = make(seed)
    for s, source in enumerate(mixture.sources):
        events = [event.onset for event in mixture.events if event.stem == s]
        found = onsets(source, mixture.sample_rate)
        # A damper or a beat may now and then pass for a strike; no strike is missed.
        assert found.size <= len(events) + 1
        assert np.abs(np.subtract.outer(found, events)).min(axis=0).max() <= 0.05
        expected = 2 * len(events) / (found.size + len(events))
        assert onset_f_measure(source, mixture.sample_rate, events) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: onsets(TWO, RATE), "x must be one-dimensional"),
        (lambda: onsets(TWO[0], 100), "sample_rate must be a whole number of at least 200"),
        (lambda: onset_f_measure(TWO[0], RATE, []), "events must not be empty"),
        (lambda: onset_f_measure(TWO[0], RATE, [0.1], -1), "window must be a finite number"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
