"""The gap of convolutive NMF with held patterns, against a solver that knows nothing of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods import convolutive_nmf
from cdlnmf_lit.methods.convolutive_gap import LeastSquares, Multiplicative, states
from cdlnmf_lit.methods.nmf import beta_divergence
from tests.reference import least
from tests.strategies import positive


@pytest.mark.parametrize(("beta", "penalty"), [(1.0, 0.0), (2.0, 0.0), (1.0, 0.2), (2.0, 0.2)])
@pytest.mark.parametrize("n", [0, 3, 300])
def test_the_bound_of_convolutive_nmf_is_below_the_best_and_near_it(beta, penalty, n):
    K, L, N, F = 2, 3, 7, 5
    W, V = positive(1, K, L, F), positive(2, N, F) + 0.01
    problem = convolutive_nmf.Problem(V, beta, penalty)
    prices = penalty * np.linalg.norm(W, axis=(1, 2))[:, None]

    def objective(flat):
        Z = flat.reshape(K, N + L - 1)
        m = convolutive_nmf.model(W, Z) + 1e-12
        slope = 1 - V / m if beta == 1 else m - V
        back = convolutive_nmf.undelayed((W.reshape(K * L, F) @ slope.T).reshape(K, L, N))
        value = beta_divergence(V, m, beta).sum() + np.sum(prices * Z)
        return value, (back + prices).ravel()

    best = least(objective, K * (N + L - 1))
    Z = np.ones((K, N + L - 1))
    for _ in range(n):
        _, Z = problem.updated_activations(W, Z)
    coding = {1.0: Multiplicative, 2.0: LeastSquares}[beta]
    value, gap = coding(problem, W).gap(Z)
    assert value == pytest.approx(objective(Z.ravel())[0], rel=1e-8)
    assert value - gap <= best * (1 + 1e-6) <= value * (1 + 2e-6)
    if n == 300:
        assert gap <= 0.05 * value


def test_states_know_their_gap_which_falls():
    problem = convolutive_nmf.Problem(positive(2, 7, 5) + 0.01, 1.0)
    told = [
        state for state, _ in zip(states(problem, positive(1, 2, 3, 5)), range(5), strict=False)
    ]
    assert [state.iteration for state in told] == [0, 10, 20, 30, 40]
    gaps = [state.record["coding_gap"] for state in told]
    assert gaps == sorted(gaps, reverse=True)


@pytest.mark.parametrize("penalty", [0.0, 0.2])
@pytest.mark.parametrize("seed", range(20))
def test_the_bound_holds_where_activations_are_few_or_patterns_of_unlike_size(penalty, seed):
    problem, W = euclidean(seed, 2, 3, 6, 4, penalty)
    W[-1] *= 30
    best = next(state for state in states(problem, W) if state.gap < 1e-7)
    rng = np.random.default_rng(seed)
    shape = 2, len(problem.V) + 2
    for share in (0.0, 0.1, 0.5, 1.0):
        Z = rng.exponential(size=shape) * (rng.random(shape) < share) / np.array([[1], [30]])
        value, gap = LeastSquares(problem, W).gap(Z)
        assert value - gap <= best.value * (1 + 1e-9)
        assert gap > 0.1 * value or share > 0


def test_what_cannot_be_certified_ends():
    """In single precision nothing is known of a fit that is perfect."""
    problem, W = euclidean(2, 1, 3, 6, 4, dtype="float32")
    V = convolutive_nmf.model(W, np.eye(1, 11, 4, dtype="float32"))
    *_, last = states(convolutive_nmf.Problem(V, 2.0), W)
    assert 10_000 <= last.iteration <= 12_500


SIZES = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(0, 7), st.integers(1, 4))


def euclidean(seed, K, L, more, F, penalty=0.0, dtype=float):
    """Some frames and patterns, one of which may be silent."""
    W, V = positive(seed, K, L, F), positive(seed + 1, L + more, F)
    W[: seed % 2 * (K - 1)] = 0
    return convolutive_nmf.Problem(V.astype(dtype), 2.0, penalty), W.astype(dtype)


@given(sizes=SIZES, seed=st.integers(0, 99))
def test_what_patterns_say_of_each_other_is_what_their_model_shows(sizes, seed):
    problem, W = euclidean(seed, *sizes)
    Z = positive(seed + 2, len(W), len(problem.V) + W.shape[1] - 1)
    shown = convolutive_nmf.Problem(convolutive_nmf.model(W, Z), 2.0).alike(W)
    found = LeastSquares(problem, W).together(Z)
    np.testing.assert_allclose(found, shown, rtol=1e-9, atol=1e-9 * (1 + shown.max()))


@given(sizes=SIZES, seed=st.integers(0, 99), penalty=st.sampled_from([0.0, 0.3]))
def test_steps_never_raise_the_objective(sizes, seed, penalty):
    problem, W = euclidean(seed, *sizes, penalty=penalty)
    coding = LeastSquares(problem, W)
    iterates = coding.iterates(problem.activations_for(W))
    values = [coding.gap(next(iterates))[0] for _ in range(30)]
    assert np.all(np.diff(values) <= 1e-12 * problem.energy)
    assert all(Z.min() >= 0 for Z, _ in zip(iterates, range(3), strict=False))


@pytest.mark.parametrize("penalty", [0.0, 0.2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_accelerated_steps_come_to_where_multiplicative_ones_crawl(dtype, penalty):
    problem, W = euclidean(2, 3, 5, 40, 6, penalty, dtype)
    few = (state for state in states(problem, W) if state.gap <= 1e-4)
    best = next(few)
    assert best.iteration <= 1000
    assert best.activations.dtype == dtype
    Z = problem.activations_for(W)
    for _ in range(best.iteration):
        _, Z = problem.updated_activations(W, Z)
    assert LeastSquares(problem, W).gap(Z)[0] > best.value * (1 - 1e-4)


def test_planted_activations_are_found_where_two_patterns_are_nearly_the_same():
    problem, W = euclidean(4, 2, 3, 20, 8)
    W = np.stack([W[0], W[0] * (1 + 0.01 * positive(9, 3, 8))])
    V = convolutive_nmf.model(W, np.eye(2, 25, 4))
    problem = convolutive_nmf.Problem(V, 2.0)
    for state in states(problem, W):
        if state.value <= 1e-6 * problem.energy:
            break
        assert state.iteration < 10_000
