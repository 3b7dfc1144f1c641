"""Bounds by duality, against solvers that know nothing of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from cdlnmf_lit.methods.duality import frame_by_frame, kullback_leibler, least_squares
from cdlnmf_lit.methods.nmf import beta_divergence
from tests.reference import least
from tests.strategies import dtypes, normal, positive, seeds

steps = st.sampled_from([0, 1, 5, 40])


@given(seeds, st.integers(1, 4), steps, st.sampled_from([1e-6, 1.0, 1e6]))
def test_the_bound_of_a_divergence_is_below_the_best_and_near_it(seed, K, n, scale):
    W, V = positive(seed, K, 12), scale * positive(seed + 1, 1, 12)

    def objective(z):
        m = z @ W + 1e-300
        return beta_divergence(V[0] / scale, m, 1.0).sum(), W @ (1 - V[0] / scale / m)

    best = scale * least(objective, K)
    z, (value,), (gap,) = kullback_leibler(V, W)(np.array([0]), np.full((K, 1), scale), n)
    direct = beta_divergence(V, z.T @ W, 1.0).sum()
    assert value == pytest.approx(direct, rel=1e-9, abs=1e-9 * scale)
    assert value - gap <= best * (1 + 1e-6) <= value * (1 + 2e-6)
    if n == 40:
        assert gap <= 0.3 * value


@given(seeds, st.integers(1, 4), steps, st.sampled_from([0.0, 0.3, 5.0]), st.booleans())
def test_the_bound_of_least_squares_is_below_the_best_and_near_it(seed, K, n, penalty, signed):
    W, a = normal(seed, K, 9), normal(seed + 1, 9)
    if not signed:
        W, a = np.abs(W), np.abs(a)
    # ½‖a - Wᵀz‖² + λΣz = ½‖a' - Wᵀz‖² + a constant, where W a' = W a - λ
    shifted = a - np.linalg.lstsq(W, np.full(K, penalty), rcond=None)[0]
    z, _ = nnls(W.T, shifted)
    best = 0.5 * np.sum((a - z @ W) ** 2) + penalty * z.sum()
    solver = least_squares(W @ W.T, (W @ a)[:, None], np.array([a @ a]), penalty)
    found, (value,), (gap,) = solver(slice(0, 1), np.zeros((K, 1)), n)
    direct = 0.5 * np.sum((a - found[:, 0] @ W) ** 2) + penalty * found.sum()
    assert value == pytest.approx(direct, abs=1e-9)
    assert value - gap <= best + 1e-9
    assert best <= value + 1e-9
    if n == 40 and np.linalg.cond(W) < 5:
        assert gap <= 1e-6 * value


def test_two_spectra_that_are_the_same_are_bounded_too():
    W = np.array([[1.0, 0.5], [1.0, 0.5]])
    solver = least_squares(W @ W.T, W @ np.array([[2.0], [1.0]]), np.array([5.0]), 0.0)
    _, (value,), (gap,) = solver(slice(0, 1), np.zeros((2, 1)), 60)
    assert value == pytest.approx(0.0, abs=1e-12)
    assert gap == pytest.approx(0.0, abs=1e-9)


@given(seeds, dtypes)
def test_what_is_found_in_a_frame_does_not_depend_on_the_others(seed, dtype):
    W, V = positive(seed, 3, 16, dtype=dtype), positive(seed + 1, 9, 16, dtype=dtype)
    nothing, Z = np.zeros(9), np.ones((3, 9), dtype)

    def found(rows):
        *_, (_, z, _, _) = frame_by_frame(
            kullback_leibler(V[rows], W), Z[:, rows], 1e-3, nothing[rows]
        )
        return z

    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    whole = found(slice(0, 9))
    assert whole.dtype == dtype
    for rows in (slice(0, 4), slice(4, 9)):
        np.testing.assert_allclose(found(rows), whole[:, rows], rtol=tolerance, atol=tolerance)
