"""The gap of convolutive NMF with held patterns, against a solver that knows nothing of it."""

import numpy as np
import pytest

from cdlnmf_lit.methods import convolutive_nmf
from cdlnmf_lit.methods.convolutive_gap import convolutive_gap, states
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
    value, gap = convolutive_gap(problem, W, Z)
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
