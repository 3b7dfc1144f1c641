"""Whitening: the least error of a prediction, by a filter that has a stable inverse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods.whitening import coloured, prediction_filter, whitened
from tests.strategies import normal, seeds


def a_coloured_sound(seed, n=4000):
    return coloured(normal(seed, n), np.array([1.0, -1.2, 0.6]))


@given(seeds, st.integers(1, 12), st.sampled_from([np.float32, np.float64]))
def test_what_was_whitened_is_coloured_again(seed, order, dtype):
    x = a_coloured_sound(seed, 500).astype(dtype)
    a = prediction_filter(x, order)
    back = coloured(whitened(x, a), a)
    assert a.dtype == back.dtype == dtype
    tolerance = (1e-3 if dtype == np.float32 else 1e-10) * np.abs(x).max()
    np.testing.assert_allclose(back, x, atol=tolerance)


@given(seeds, st.integers(1, 12))
def test_the_inverse_is_stable(seed, order):
    assert np.abs(np.roots(prediction_filter(normal(seed, 200), order))).max() < 1


@given(seeds, st.integers(1, 8))
def test_no_other_filter_leaves_less(seed, order):
    x = a_coloured_sound(seed, 300)
    a = prediction_filter(x, order)
    lags = np.stack([np.convolve(x, np.eye(order + 1)[p]) for p in range(order + 1)])
    weights, *_ = np.linalg.lstsq(lags[1:].T, -lags[0], rcond=None)
    np.testing.assert_allclose(a[1:], weights, atol=1e-6)


def test_the_filter_of_a_known_process_is_found_and_its_output_is_white():
    x = a_coloured_sound(0, 50_000)
    np.testing.assert_allclose(prediction_filter(x, 2), [1, -1.2, 0.6], atol=0.02)
    bands = [
        np.abs(np.fft.rfft(y)).reshape(-1)[:25_000] for y in (x, whitened(x, prediction_filter(x)))
    ]
    ratios = [np.mean(b[:5000] ** 2) / np.mean(b[-5000:] ** 2) for b in bands]
    assert ratios[0] > 5
    assert 0.9 < ratios[1] < 1.1


def test_convolution_and_whitening_may_change_places():
    d, z, a = normal(0, 30), normal(1, 50), np.array([1.0, -0.9, 0.3])
    one, other = (
        np.convolve(whitened(np.pad(d, (0, 9)), a), z),
        whitened(np.convolve(np.pad(d, (0, 9)), z), a),
    )
    np.testing.assert_allclose(one[:30], other[:30], atol=1e-12)


@pytest.mark.parametrize(
    ("x", "order", "rule"),
    [
        (np.zeros(9), 2, "x must not be silent"),
        (np.ones(9), 0, "order must be a whole number of at least 1, got 0"),
        (np.ones((2, 9)), 2, "x must be one-dimensional"),
    ],
)
def test_bad_input_is_refused(x, order, rule):
    with pytest.raises(ValueError, match=rule):
        prediction_filter(x, order)
