"""Weights: what is missing is filled by the model, and the weighted objective never rises."""

from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.nmf import DIVERGENCES, NMF, beta_divergence
from cdlnmf_lit.methods.weighted import factorize, iterate
from tests.strategies import dtypes, normal, positive, seeds

METHOD = CDL(atom_length=8, share=0.1)


def weights_of(seed, *shape):
    """A third of them 0, a third 1."""
    return np.clip(3 * np.random.default_rng(seed).random(shape) - 1, 0, 1)


@given(seeds, dtypes)
def test_a_signals_weighted_objective_never_rises(seed, dtype):
    x, w = normal(seed, 60, dtype=dtype), weights_of(seed + 1, 60)
    states = list(islice(iterate(METHOD, x, 2, w), 6))
    values = [state.objective for state in states]
    assert all(after <= before for before, after in pairwise(values))
    last = states[-1]
    r = np.where(w > 0, x, 0) - sum(map(np.convolve, last.patterns, last.activations))
    literal = 0.5 * np.sum(w * r**2) + last.problem.penalty * last.activations.sum()
    assert last.objective == pytest.approx(literal, rel=1e-4 if dtype == np.float32 else 1e-9)
    assert last.patterns.dtype == dtype


@given(seeds, st.sampled_from(list(DIVERGENCES)))
def test_a_matrix_weighted_objective_never_rises(seed, divergence):
    method, V, w = NMF(divergence=divergence), positive(seed, 9, 7) + 1e-3, weights_of(seed, 9, 7)
    states = list(islice(factorize(method, V, 2, w), 8))
    values = [state.objective for state in states]
    assert all(after <= before * (1 + 1e-12) for before, after in pairwise(values))
    model = states[-1].activations.T @ states[-1].patterns
    literal = np.sum(w * beta_divergence(V, model, method.beta))
    assert values[-1] == pytest.approx(literal, rel=1e-6)


def test_weights_of_one_change_no_bit():
    x, V = normal(0, 80), positive(1, 9, 7) + 1e-3
    pairs = [(iterate(METHOD, x, 2, np.ones(80)), METHOD.iterate(x, 2))]
    for divergence in DIVERGENCES:
        method = NMF(divergence=divergence)
        pairs.append((factorize(method, V, 2, np.ones((9, 7))), method.factorize(V, 2)))
    for weighted, plain in pairs:
        for one, other in islice(zip(weighted, plain, strict=False), 6):
            np.testing.assert_array_equal(one.patterns, other.patterns)
            np.testing.assert_array_equal(one.activations, other.activations)
            assert one.objective == other.objective


def test_what_has_no_weight_does_not_matter():
    x, w = normal(0, 80), np.ones(80)
    w[30:35] = 0
    V, u = positive(1, 9, 7) + 1e-3, weights_of(2, 9, 7)
    for run, data, weights in (
        (lambda x: iterate(METHOD, x, 2, w), x, w),
        (lambda V: factorize(NMF(), V, 2, u), V, u),
    ):
        other = np.where(weights > 0, data, 100.0)
        for one, two in islice(zip(run(data), run(other), strict=False), 5):
            np.testing.assert_array_equal(one.patterns, two.patterns)
            np.testing.assert_array_equal(one.activations, two.activations)


def test_weights_that_do_not_fit_are_named():
    x = normal(0, 80)
    for w, words in [
        (np.ones(79), r"weights must have shape \(80,\), got \(79,\)"),
        (-np.ones(80), "weights must be from 0 to 1, got -1"),
        (np.zeros(80), "weights must not be 0 everywhere"),
    ]:
        with pytest.raises(ValueError, match=words):
            iterate(METHOD, x, 2, w)
