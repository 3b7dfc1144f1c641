"""A penalty on atoms: the norm of the matrix of segments, its bound, and what it asks for."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdlnmf_lit.methods.few_atoms import few_atoms_bound, trajectory_norm
from tests import reference
from tests.strategies import normal, seeds


def segments(x, length):
    return np.lib.stride_tricks.sliding_window_view(x, length)


@given(seeds, st.integers(1, 40), st.data())
def test_it_is_the_matrix_norm_of_all_segments(seed, T, data):
    x, length = normal(seed, T), data.draw(st.integers(1, T))
    found = trajectory_norm(x, length)
    assert found == pytest.approx(np.linalg.norm(segments(x, length), 2), rel=1e-7)
    assert found == pytest.approx(trajectory_norm(x, T - length + 1), rel=1e-7)


@given(seeds, st.integers(4, 30), st.integers(1, 4), st.sampled_from([0.1, 0.4, 0.9, 2.0]))
def test_nothing_is_below_the_bound(seed, T, K, share):
    rng, x = np.random.default_rng(seed), normal(seed, T)
    length = int(rng.integers(1, T))
    penalty = share * trajectory_norm(x, length)
    r = x - 0.5 * rng.random() * normal(seed + 1, T)
    assume(r @ x > 0)
    bound, theta = few_atoms_bound(x, r, length, penalty)
    assert np.linalg.norm(segments(theta, length), 2) <= penalty * (1 + 1e-7)
    assert bound <= 0.5 * x @ x * (1 + 1e-12)
    for gain in (1e-3, 0.1, 1.0):
        d, z = rng.standard_normal((K, length)), gain * rng.standard_normal((K, T - length + 1))
        left = x - reference.convolve(d, z)
        sizes = np.linalg.norm(d, axis=1) @ np.linalg.norm(z, axis=1)
        assert 0.5 * left @ left + penalty * sizes >= bound


@pytest.mark.parametrize("seed", [0, 1])
def test_few_atoms_reach_the_convex_optimum(seed):
    """At T = 60 and T_d = 8, by alternating ridge regressions, once there are enough."""
    x, length = normal(seed, 60), 8
    penalty = 0.5 * trajectory_norm(x, length)
    A, value, _ = reference.nuclear_pieces(x, length, penalty, steps=3000)
    places = np.add.outer(*map(np.arange, A.shape)).ravel()
    bound, _ = few_atoms_bound(x, x - np.bincount(places, A.ravel()), length, penalty)
    assert bound == pytest.approx(value, rel=1e-5)
    rank = np.linalg.matrix_rank(A, tol=1e-3 * np.linalg.norm(A, 2))

    def factored(K, rounds=400):
        rows = normal(seed + K, K, length)
        best = np.inf
        for _ in range(rounds):
            width = x.size - rows.shape[1] + 1
            M = np.stack([np.convolve(row, e) for row in rows for e in np.eye(width)])
            other = np.linalg.solve(M @ M.T + penalty * np.eye(len(M)), M @ x)
            r = x - other @ M
            best = 0.5 * r @ r + 0.5 * penalty * (np.sum(rows**2) + np.sum(other**2))
            rows = other.reshape(K, width)
        return best

    assert factored(rank + 1) == pytest.approx(value, rel=1e-4)
    assert factored(1) > value * (1 + 1e-3) or rank == 1


def test_with_atoms_as_long_as_a_circle_it_is_the_sum_of_the_spectrum():
    """Where segments wrap around, the norm of their matrix is the spectrum's largest value."""
    x = normal(3, 24)
    wrapped = segments(np.append(x, x[:-1]), 24)
    assert np.linalg.norm(wrapped, 2) == pytest.approx(np.abs(np.fft.fft(x)).max())


def test_a_start_that_proves_nothing_gives_the_bound_of_silence_or_is_refused():
    x = normal(0, 20)
    assert few_atoms_bound(x, -x, 5, 1.0)[0] == 0
    with pytest.raises(ValueError, match="residual must not be silent"):
        few_atoms_bound(x, np.zeros(20), 5, 1.0)
    with pytest.raises(ValueError, match="residual must have as many samples as x"):
        few_atoms_bound(x, x[1:], 5, 1.0)
    with pytest.raises(ValueError, match="length"):
        trajectory_norm(x, 21)
