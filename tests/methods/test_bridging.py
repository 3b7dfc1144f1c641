"""Holes are bridged by what predicts their surroundings, and nothing else is touched."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods.bridging import bridged
from cdlnmf_lit.methods.whitening import prediction_filter
from tests.strategies import dtypes, normal, seeds

T = np.arange(4000.0)
TONES = np.sin(0.1 * T) + 0.5 * np.sin(0.37 * T + 1)


def hidden(*stretches, size=T.size):
    holes = np.zeros(size, bool)
    for begin, end in stretches:
        holes[begin:end] = True
    return holes


@given(seeds, dtypes, st.floats(0.05, 0.5))
def test_what_is_known_stays_to_the_bit_and_what_is_not_does_not_matter(seed, dtype, share):
    x = normal(seed, 90, dtype=dtype)
    holes = np.random.default_rng(seed).random(90) < share
    found = bridged(x, holes)
    np.testing.assert_array_equal(found[~holes], x[~holes])
    np.testing.assert_array_equal(bridged(np.where(holes, np.nan, x), holes), found)
    assert found.dtype == dtype
    assert np.isfinite(found).all()


@given(seeds)
def test_it_is_the_least_squares_of_the_prediction(seed):
    """One hole, and the filter of the second round, as a dense matrix."""
    x, holes = normal(seed, 200), hidden((90, 96), (101, 103), size=200)
    once = bridged(x, holes, order=8)
    y = once.copy()
    y[holes] = 0
    around = slice(90 - 64, 103 + 64)
    best = None
    for _ in range(2):
        a = prediction_filter(y[around], 8)
        rows = np.stack([np.convolve(a, unit) for unit in np.eye(around.stop - around.start)])
        part, inside = y[around].copy(), holes[around]
        best = np.linalg.lstsq(rows[inside].T, -part[~inside] @ rows[~inside], rcond=None)[0]
        part[inside] = best
        y[around] = part
    np.testing.assert_allclose(once[holes], best, atol=1e-8)


def test_tones_go_on_through_their_holes():
    holes = hidden((700, 900), (950, 960), (2500, 2750))
    assert np.abs(bridged(TONES, holes) - TONES).max() < 0.02


@pytest.mark.parametrize("stretch", [(0, 30), (3970, 4000)])
def test_a_hole_may_be_at_an_end(stretch):
    found = bridged(TONES, hidden(stretch))
    assert np.abs(found).max() < 2


def test_silence_is_bridged_by_silence():
    assert not bridged(np.where(T == 50, np.nan, 0.0), T == 50).any()
    assert not bridged(np.full(5, np.nan), np.ones(5, bool)).any()


def test_holes_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"holes must have shape \(4000,\), got \(3,\)"):
        bridged(TONES, np.zeros(3, bool))
