"""Ratios beside their definitions, mir_eval and hand-made cases."""

import itertools
import warnings

import mir_eval
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.experiments.evaluation.ratios import (
    LIMIT,
    bss_eval,
    bss_eval_in_order,
    relative_residual,
    si_sdr,
)
from cdlnmf_lit.experiments.signals import PIANO_MEASURES
from tests.experiments.evaluation.sounds import TWO, factors, small_piano
from tests.strategies import normal, seeds

# ---- SI-SDR ------------------------------------------------------------------------------------


def literal_si_sdr(e, s):
    part = (e @ s) / (s @ s) * s
    return 10 * np.log10(np.sum(part**2) / np.sum((e - part) ** 2))


@given(seeds, st.integers(2, 50), st.floats(0.01, 100))
def test_si_sdr_is_its_definition(seed, n_samples, noise):
    s, n = normal(seed, 2, n_samples)
    np.testing.assert_allclose(si_sdr(s + noise * n, s), literal_si_sdr(s + noise * n, s))


@given(seeds, st.integers(1, 5), factors, factors)
def test_si_sdr_does_not_see_scale(seed, n_sources, one, other):
    e, s = normal(seed, 2, n_sources, 30)
    ratios = si_sdr(e, s)
    assert np.all((-LIMIT <= ratios) & (ratios <= LIMIT))
    np.testing.assert_allclose(si_sdr(one * e, other * s), ratios, atol=1e-9)


@given(seeds, factors)
def test_the_source_at_any_scale_is_perfect_and_silence_is_nothing(seed, factor):
    s = normal(seed, 3, 20)
    np.testing.assert_array_equal(si_sdr(factor * s, s), LIMIT)
    np.testing.assert_array_equal(si_sdr(0 * s, s), -LIMIT)


def test_si_sdr_of_known_cases():
    a, b = np.eye(2, 10)
    assert si_sdr(b, a) == -LIMIT  # swapped
    np.testing.assert_allclose(si_sdr(a + b, a), 0, atol=1e-9)  # the mixture of two alike
    np.testing.assert_allclose(si_sdr(a + 0.1 * b, a), 20)
    np.testing.assert_allclose(si_sdr(np.stack([a, a + b]), np.stack([a, b])), [LIMIT, 0])


@given(seeds, st.integers(1, 4))
def test_si_sdr_is_bss_evals_sdr_without_delays(seed, n_sources):
    s, n = normal(seed, 2, n_sources, 200)
    found = bss_eval_in_order(s + 0.5 * n, s, 1)
    np.testing.assert_allclose(found.sdr, si_sdr(s + 0.5 * n, s))


# ---- BSS Eval ----------------------------------------------------------------------------------


@given(seeds, st.integers(1, 3), st.sampled_from([1, 2, 9]))
def test_bss_eval_is_its_definition(seed, n_sources, filter_length):
    rng = np.random.default_rng(seed)
    s = rng.standard_normal((n_sources, 300))
    e = rng.standard_normal((n_sources, n_sources)) @ s + 0.3 * rng.standard_normal(s.shape)
    found, in_order = bss_eval(e, s, filter_length), bss_eval_in_order(e, s, filter_length)
    for each, order in ((found, found.matching), (in_order, range(n_sources))):
        for j, k in enumerate(order):
            expected = literal_bss_eval(e[k], s, j, filter_length)
            np.testing.assert_allclose((each.sdr[j], each.sir[j], each.sar[j]), expected, atol=1e-6)
    # No other matching has a higher mean SIR.
    pairs = np.array([[literal_bss_eval(e[k], s, j, filter_length)[1] for k in range(n_sources)]
                      for j in range(n_sources)])  # fmt: skip
    best = max(
        pairs[range(n_sources), order].sum() for order in itertools.permutations(range(n_sources))
    )
    np.testing.assert_allclose(sum(found.sir), best, atol=1e-6)


def literal_bss_eval(e, sources, j, filter_length):
    """Projections on delayed sources by least squares, the sounds followed by silence."""
    padding = filter_length - 1

    def projected(these):
        delays = [np.pad(s, (lag, padding - lag)) for s in these for lag in range(filter_length)]
        A = np.array(delays).T
        return A @ np.linalg.lstsq(A, np.pad(e, (0, padding)))[0]

    own, any_source = projected(sources[j : j + 1]), projected(sources)
    e = np.pad(e, (0, padding))
    pairs = ((own, e - own), (own, any_source - own), (any_source, e - any_source))
    ratios = [np.sum(a**2) / max(np.sum(b**2), 1e-30) for a, b in pairs]
    return np.clip(10 * np.log10(ratios), -LIMIT, LIMIT)


def test_bss_eval_agrees_with_mir_eval_on_a_piano():
    played = small_piano(duration=5.0, measures=PIANO_MEASURES[:2])
    sources = played.sources[:2]
    estimates = sources[::-1] + 0.1 * sources + played.stems[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        *expected, order = mir_eval.separation.bss_eval_sources(sources, estimates)
    found = bss_eval(estimates, sources)
    assert found.matching == tuple(order) == (1, 0)
    np.testing.assert_allclose((found.sdr, found.sir, found.sar), expected, atol=1e-3)


@given(seeds, factors, st.permutations(range(3)))
def test_bss_eval_follows_the_order_and_not_the_scale(seed, factor, order):
    s, n = normal(seed, 2, 3, 100)
    e = s + 0.3 * n
    found, again = bss_eval(e, s, 2), bss_eval(factor * e[order], s, 2)
    np.testing.assert_allclose(again.sdr, found.sdr, atol=1e-6)
    np.testing.assert_allclose(again.sar, found.sar, atol=1e-6)
    assert tuple(order[k] for k in again.matching) == found.matching


def test_a_filtered_source_is_perfect_to_bss_eval_and_not_to_si_sdr():
    s = normal(0, 2, 4000)
    late = np.stack([np.convolve(each, [0.0, 0.5, 1.0])[:4000] for each in s])
    found = bss_eval(late, s, 3)
    assert min(found.sdr) > 30
    assert np.all(si_sdr(late, s) < 0)
    assert max(bss_eval(late, s, 1).sdr) < 0


def test_a_silent_estimate_has_nothing():
    s = normal(0, 3, 50)
    e = s.copy()
    e[1] = 0
    found = bss_eval_in_order(e, s, 2)
    assert found.sdr[1] == found.sir[1] == found.sar[1] == -LIMIT
    assert found.sdr[0] == found.sdr[2] == pytest.approx(LIMIT)
    assert set(bss_eval(0 * s, s, 1).sdr) == {-LIMIT}


def test_an_estimate_of_another_source_has_no_sir_and_all_the_sar():
    s = normal(0, 2, 4000)
    swapped = bss_eval_in_order(s[::-1], s, 1)
    assert max(swapped.sir) < -20
    assert min(swapped.sar) == pytest.approx(LIMIT)
    assert bss_eval(s[::-1], s, 1).matching == (1, 0)


# ---- the rest ----------------------------------------------------------------------------------


@given(seeds, factors)
def test_relative_residual(seed, factor):
    r, x = normal(seed, 2, 9)
    expected = np.linalg.norm(r) / np.linalg.norm(x)
    assert relative_residual(factor * r, factor * x) == pytest.approx(expected)
    assert relative_residual(0 * x, x) == 0
    assert relative_residual(x, x) == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: si_sdr(TWO[0], TWO[0, :5]), r"estimate must have the shape of source, \(5,\)"),
        (lambda: si_sdr(TWO, 0 * TWO), r"source must not be silent, got the peaks \[0.0, 0.0\]"),
        (lambda: si_sdr(TWO + 1j, TWO), "estimate must be real"),
        (lambda: si_sdr(np.nan * TWO, TWO), "estimate must be finite"),
        (lambda: relative_residual(TWO[0], 0 * TWO[0]), "x must not be silent"),
        (lambda: relative_residual(TWO[0], TWO[0, 1:]), "residual must have the shape of x"),
        (lambda: bss_eval(TWO[:1], TWO), "estimates must have the shape of sources"),
        (lambda: bss_eval(TWO, 0 * TWO), "sources must not be silent"),
        (lambda: bss_eval(TWO[0], TWO[0]), "estimates must be two-dimensional"),
        (lambda: bss_eval(TWO, TWO, 0), "filter_length must be a whole number from 1 to 40"),
        (lambda: bss_eval_in_order(TWO, TWO, 41), "filter_length must be a whole number"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
