"""Sums of pieces are those of the whole; tests/methods/test_pieces.py has what comes of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods import convolutive_nmf, nmf
from cdlnmf_lit.methods.common_spectra import _columns, _that_skips
from cdlnmf_lit.methods.pieces import totals


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_sums_of_spectra_add_up(lengths, beta):
    rng, ends = np.random.default_rng(0), np.cumsum(lengths)
    V, W, Z = (0.1 + rng.random(shape) for shape in ((ends[-1], 7), (2, 7), (2, ends[-1])))
    exponent = nmf.mm_exponent(beta)
    whole, Z_of_whole = nmf.Problem(V, beta, exponent).updated(W, Z)
    parts = [slice(end - n, end) for n, end in zip(lengths, ends, strict=True)]
    problems = [nmf.Problem(V[part], beta, exponent) for part in parts]
    moved, told = zip(
        *(each.sums(W, Z[:, part]) for each, part in zip(problems, parts, strict=True)), strict=True
    )
    np.testing.assert_allclose(problems[0].patterns_from(W, *totals(told)), whole, rtol=1e-10)
    np.testing.assert_allclose(np.concatenate(moved, axis=1), Z_of_whole, rtol=1e-10)


@pytest.mark.parametrize("penalty", [0.0, 0.3])
@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
def test_patterns_are_the_sums_of_frames_that_nothing_reaches_over(beta, penalty):
    """Two matrices side by side, as channels do not know of each other, are twice the sums."""
    rng = np.random.default_rng(0)
    V, W, Z = (0.1 + rng.random(shape) for shape in ((9, 7), (2, 3, 7), (2, 11)))
    problem = convolutive_nmf.Problem(V, beta, penalty)
    once = problem.sums(W, Z)
    twice = totals([once, once])
    for one, two in zip(once, twice, strict=True):
        np.testing.assert_array_equal(2 * one, two)
    found = problem.patterns_from(W, *twice)
    np.testing.assert_allclose(found, problem.updated_patterns(W, Z), rtol=1e-10)


@given(st.integers(1, 3), st.integers(1, 30), st.integers(0, 2**32))
def test_columns_are_those_of_one_draw(K, N, seed):
    whole = 0.1 + np.random.default_rng(seed).random((K, N))
    for begin in range(0, N, 7):
        n, rng = min(7, N - begin), np.random.default_rng(seed)
        part = _columns(_that_skips(rng), K, N, np.dtype(float), None, begin, n)
        np.testing.assert_array_equal(part, whole[:, begin : begin + n])
