"""Stationary partials from pulses at a long hop: the count of positions is sharp."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize

from cdlnmf_lit.theory.pulse_trains import positions_needed, pulse_train, resonance
from tests.strategies import seeds

CLEAR = 1e5
"""The largest condition number of sets that are clear of a resonance."""


def partials(seed, H, harmonic):
    """Frequencies, amplitudes and a hop of at least 2H samples."""
    rng = np.random.default_rng(seed)
    hop = int(rng.integers(2 * H, 64))
    f0 = rng.uniform(60, 900) / 16_000
    f = f0 * np.arange(1, H + 1) if harmonic else rng.uniform(0.005, 0.495, H)
    return f, rng.standard_normal(H) + 1j * rng.standard_normal(H), hop


def is_clear(f, hop):
    return resonance(f, hop, 2 * f.size + 1) < CLEAR


def placed_residual(f, A, hop, R, N=60):
    """What the literal sum of placed atoms misses of the partials."""
    d, z = pulse_train(f, A, hop, R, N)
    assert z.min() >= 0
    assert d.shape == (R * hop,)
    x = np.zeros(hop * (N + R - 1))
    for n, z_n in enumerate(z):
        x[hop * n : hop * n + d.size] += z_n * d
    t = np.arange(hop * (R - 1), hop * N)
    wanted = np.real(A @ np.exp(2j * np.pi * np.outer(f, t)))
    return np.linalg.norm(x[t] - wanted) / np.linalg.norm(wanted)


def half_space_residual(f, hop, starts=4, N=1000):
    """What any ``2H`` pieces leave, at least, of equally loud partials that go on for ever.

    ``2H`` vectors lie in a half space ``⟨w, y⟩ ≥ 0``; a point outside it is no nearer to them than
    to its edge. The best half space is sought. ``N`` blocks stand for a million.
    """
    angles = 2 * np.pi * hop * f * np.random.default_rng(1).integers(1_000_000, size=(N, 1))
    y, H = np.concatenate([np.cos(angles), np.sin(angles)], axis=1), f.size
    rng = np.random.default_rng(0)

    def missed(w):
        size = np.linalg.norm(w)
        outside = np.minimum(y @ w / size, 0)
        slope = 2 * y.T @ outside / N
        return outside @ outside / N, (slope - (slope @ w) * w / size**2) / size

    runs = (
        minimize(missed, rng.standard_normal(2 * H), jac=True, options={"maxiter": 60})
        for _ in range(starts)
    )
    return np.sqrt(min(run.fun for run in runs) / H)


def a_priori(H):
    """The proposition's bound, for equally loud partials with any phases."""
    return 0.5 / np.sqrt(H * (H + 0.5))


@given(seeds, st.integers(1, 6), st.booleans())
def test_the_count_is_enough_and_one_fewer_is_not(seed, H, harmonic):
    f, A, hop = partials(seed, H, harmonic)
    assume(is_clear(f, hop))
    assert placed_residual(f, A, hop, positions_needed(H, hop)) <= 1e-8
    assert half_space_residual(f, hop, starts=2) >= 0.97 * a_priori(H)
    with pytest.raises(ValueError, match="positions must be at least"):
        pulse_train(f, A, hop, 2 * H, 10)


@pytest.mark.long
@pytest.mark.parametrize(("harmonic", "sets"), [(False, 200), (True, 50)])
def test_the_count_is_sharp_over_many_sets(harmonic, sets):
    drawn = (partials(seed, 1 + seed % 6, harmonic) for seed in range(10_000))
    chosen = [each for each in drawn if is_clear(each[0], each[2])][:sets]
    assert len(chosen) == sets
    at_the_count = [placed_residual(f, A, hop, 2 * f.size + 1) for f, A, hop in chosen]
    one_below = [half_space_residual(f, hop) for f, _, hop in chosen]
    assert max(at_the_count) <= 1e-8
    assert min(one_below) >= 0.1


@given(seeds, st.integers(1, 4), st.integers(0, 5))
def test_more_positions_reproduce_too_with_a_quieter_atom(seed, H, more):
    f, A, hop = partials(seed, H, harmonic=False)
    assume(is_clear(f, hop))
    R = 2 * H + 1
    assert placed_residual(f, A, hop, R + more) <= 1e-8
    quiet, loud = (np.linalg.norm(pulse_train(f, A, hop, r, 1)[0]) for r in (R + more, R))
    assert quiet <= loud * (1 + 1e-9)


def test_any_two_components_share_the_count():
    """``K R ≥ 2H + 1`` in all, though no single component has as many positions."""
    rng = np.random.default_rng(3)
    f, A, hop, K, R, H = np.array([0.071, 0.193, 0.31]), np.ones(3), 20, 2, 4, 3
    turns = np.exp(-2j * np.pi * hop * f)
    weights = rng.standard_normal((K, H)) + 1j * rng.standard_normal((K, H))
    weights /= 2 * np.abs(weights).sum(axis=1, keepdims=True)
    rows = np.concatenate(
        [weights[k][:, None] * turns[:, None] ** np.arange(R) for k in range(K)], axis=1
    )
    system = np.concatenate([np.ones((1, K * R)), rows.real, rows.imag])
    block = A[:, None] * np.exp(2j * np.pi * f[:, None] * np.arange(hop))
    wanted = np.concatenate([np.zeros((1, hop)), block.real, block.imag])
    pieces = np.linalg.lstsq(system, wanted)[0].reshape(K, R, hop)
    n = np.arange(50)
    z = 1 + np.real(weights @ turns.conj()[:, None] ** n)
    assert z.min() >= 0
    assert np.linalg.matrix_rank(system) == 2 * H + 1
    made = sum(z[k, R - 1 - r : 50 - r, None] * pieces[k, r] for k in range(K) for r in range(R))
    true = np.real(A @ np.exp(2j * np.pi * np.outer(f, np.arange(hop * (R - 1), hop * 50))))
    np.testing.assert_allclose(made.ravel(), true, atol=1e-9)


def test_resonance_is_least_for_turns_spread_evenly():
    assert np.isclose(resonance([1 / 12], 4, 3), 1)
    near = [resonance([0.125 + gap], 4, 3) for gap in (1e-2, 1e-3, 1e-4)]
    np.testing.assert_allclose(np.diff(np.log10(near)), 1, atol=0.05)  # one over the distance


def test_a_hop_at_which_phases_stand_still_is_refused():
    for f in ([0.125], [0.25], [0.1, 0.15]):  # half a turn, a whole one, two that coincide
        with pytest.raises(ValueError, match="hop must turn each partial"):
            pulse_train(f, np.ones(len(f)), 4 if len(f) == 1 else 20, 5, 10)
    with pytest.raises(ValueError, match="amplitudes must be as many"):
        pulse_train([0.1], np.ones(2), 4, 5, 10)
    with pytest.raises(ValueError, match="n_partials"):
        positions_needed(0, 4)


def test_short_hops_need_no_more_than_the_hop_and_one():
    """At hop 1 two positions make anything without a mean: ``d = (1, -1)``."""
    assert [positions_needed(3, a) for a in (1, 2, 6, 100)] == [2, 3, 7, 7]
    x = np.cos(0.3 * np.arange(200)) + np.sin(1.1 * np.arange(200))
    z = np.cumsum(x) - np.cumsum(x).min()
    np.testing.assert_allclose(np.convolve(z, [1, -1], "valid"), x[1:], atol=1e-12)
