"""Atoms on a grid: an operator, its adjoint, and activations that are certified."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods import sparse_coding
from cdlnmf_lit.methods.grid import Grid, OnGrid, gap_of, within_signs
from tests import reference
from tests.strategies import dtypes, normal, seeds

places = st.tuples(st.integers(1, 4), st.integers(-5, 5), st.integers(1, 30))


@given(st.integers(1, 7), st.integers(1, 12), places, seeds, dtypes)
def test_a_grid_is_a_convolution_cut_to_the_signal_and_its_adjoint(T_d, N, place, seed, dtype):
    hop, begin, length = place
    d, z = normal(seed, 2, T_d, dtype=dtype), normal(seed + 1, 2, N, dtype=dtype)
    grid = Grid(d, N, hop, begin, length)
    whole = reference.convolve(d, z, hop)
    wanted = [whole[t - begin] if 0 <= t - begin < len(whole) else 0.0 for t in range(length)]
    tolerance = 1e-3 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(grid.synthesis(z), wanted, atol=tolerance)
    r = normal(seed + 2, length, dtype=dtype)
    inner = np.sum(grid.correlation(r) * z), r @ grid.synthesis(z)
    assert inner[0] == pytest.approx(inner[1], abs=100 * tolerance)


@given(seeds, st.integers(1, 4), st.sampled_from([0.0, 0.5, 3.0]))
def test_the_best_within_signs_is_that_of_all_subsets(seed, n, penalty):
    """It never rises, and is the best where the signs are those of the best."""
    A, b = normal(seed, n + 2, n), normal(seed + 1, n)
    G = A.T @ A + 0.1 * np.eye(n)

    def value(z):
        return z @ G @ z / 2 - b @ z + penalty * np.abs(z).sum()

    start = np.abs(normal(seed + 2, n)) + 0.1
    found = within_signs(G, b, start, penalty)
    assert value(found) <= value(start) + 1e-12
    assert found.min() >= 0
    best = np.zeros(n)
    for kept in product([False, True], repeat=n):
        free = np.flatnonzero(kept)
        z = np.zeros(n)
        z[free] = np.linalg.solve(G[np.ix_(free, free)], b[free] - penalty)
        if z.min(initial=0) >= 0 and value(z) < value(best):
            best = z
    if (best > 0).all():
        np.testing.assert_allclose(found, best, atol=1e-9)


def test_shifts_that_are_much_alike_are_told_apart_in_a_few_passes():
    t = np.arange(200)
    d = (np.sin(0.4 * t) * np.hanning(200))[None]
    d /= np.linalg.norm(d)
    z = np.zeros((1, 2801))
    z[0, [100, 900, 1000, 2000]] = 1.0, 2.0, 1.5, 1.0
    x = np.convolve(d[0], z[0]) + 1e-3 * normal(0, 3000)
    problem = OnGrid(200, 0.1, signed=False, x=x, positions=2801)
    for state in problem.states(problem.state(0, d, np.zeros_like(z))):
        if state.gap < 1e-9:
            break
    assert state.iteration <= 12


@given(seeds, st.sampled_from([0, 1, 5, 40]))
def test_without_a_penalty_none_of_twice_the_sum_is_better_than_the_gap_says(seed, n):
    x, d = normal(seed, 30), normal(seed + 1, 2, 5)
    states = sparse_coding.iterate(x, d, penalty=0.0)
    for _ in range(n + 1):
        state = next(states)
    gap = gap_of(state) * state.objective
    rng = np.random.default_rng(seed)
    for _ in range(20):
        other = rng.exponential(size=state.activations.shape)
        other *= rng.random() * 2 * state.activations.sum() / other.sum()
        value = 0.5 * np.sum((x - sum(map(np.convolve, d, other))) ** 2)
        assert value >= state.objective - gap - 1e-9
