"""Sparse coding solves the literal problem, says how far off it is, and by all solvers alike."""

from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods import sparse_coding
from cdlnmf_lit.methods.sparse_coding import (
    SIGNS,
    Dictionary,
    Problem,
    decompose,
    iterate,
    lambda_max,
)
from tests import reference
from tests.strategies import dtypes, normal, seeds

SOLVERS = list(sparse_coding.SOLVERS)
solvers, signs = st.sampled_from(SOLVERS), st.sampled_from(list(SIGNS))


@st.composite
def problems(draw, *, longest=60):
    """A noisy signal, atoms of any norm, and a penalty below the largest."""
    K, T_d = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 3, 5, 8, 13]))
    T = max(2, T_d + draw(st.integers(0, longest)))
    seed, activations = draw(seeds), draw(signs)
    x, d = normal(seed, T), normal(seed + 1, K, T_d)
    penalty = draw(st.sampled_from([0.05, 0.3, 0.8])) * lambda_max(x, d, activations)
    return x, d, {"penalty": penalty, "activations": activations}


def dictionary(d, N):
    """``D`` with ``D z = Σ d_k ∗ z_k``, one column an activation."""
    K, T_d = d.shape
    unit = np.eye(K * N).reshape(K * N, K, N)
    return np.array([reference.convolve(d, z) for z in unit]).T


def literal(x, d, penalty, activations, sweeps=20_000):
    """Cyclic coordinate descent on the dense problem, to rounding."""
    K, T_d = d.shape
    N = x.size - T_d + 1
    D = dictionary(d, N)
    G, c, z = D.T @ D, D.T @ x, np.zeros(K * N)
    for _ in range(sweeps):
        largest = 0.0
        for i in range(z.size):
            v = c[i] - G[i] @ z + G[i, i] * z[i]
            new = max(v - penalty, 0.0)
            if activations == "real":
                new += min(v + penalty, 0.0)
            new /= G[i, i]
            largest, z[i] = max(largest, abs(new - z[i])), new
        if largest < 1e-12:
            break
    r = x - D @ z
    return z.reshape(K, N), 0.5 * r @ r + penalty * np.abs(z).sum()


# ---- the problem ---------------------------------------------------------------------------------


@given(problems(), seeds)
def test_what_a_state_says_of_itself_is_so(problem, seed):
    x, d, options = problem
    N = x.size - d.shape[1] + 1
    rng = np.random.default_rng(seed)
    z = rng.random((len(d), N)) * (rng.random((len(d), N)) < 0.4)
    state = next(iterate(x, d, **options, start=z))
    r = x - reference.convolve(d, z)
    np.testing.assert_allclose(state.residual, r, atol=1e-10)
    np.testing.assert_allclose(state.correlation, reference.correlate_with_atoms(d, r), atol=1e-9)
    assert state.objective == pytest.approx(0.5 * r @ r + options["penalty"] * z.sum())
    assert state.relative_residual == pytest.approx(np.linalg.norm(r) / np.linalg.norm(x))
    assert list(state.record) == ["objective", "relative_residual", "gap"]
    assert list(state.record.values()) == [state.objective, state.relative_residual, state.gap]


@given(problems())
def test_the_gram_is_the_dictionary_with_itself(problem):
    x, d, options = problem
    K, T_d = d.shape
    gram = Dictionary(d, x.size - T_d + 1).gram
    whole = np.array([[np.correlate(d[k], d[j], mode="full") for k in range(K)] for j in range(K)])
    np.testing.assert_allclose(gram, whole, atol=1e-10)


@given(st.integers(1, 3), st.sampled_from([1, 5, 40]), seeds)
def test_few_and_many_activations_sound_the_same(K, T_d, seed):
    d, N = normal(seed, K, T_d), 301 - T_d
    D, z = Dictionary(d, N), normal(seed, K, N)
    z[:, ::3] = 0
    np.testing.assert_allclose(D.synthesis(z), reference.convolve(d, z), atol=1e-9)
    z[:, 10:] = 0
    np.testing.assert_allclose(D.synthesis(z), reference.convolve(d, z), atol=1e-9)


@given(problems())
def test_lambda_max_is_the_largest_correlation(problem):
    x, d, options = problem
    c = reference.correlate_with_atoms(d, x)
    assert lambda_max(x, d) == pytest.approx(max(c.max(), 0))
    assert lambda_max(x, d, "real") == pytest.approx(np.abs(c).max())
    T_d = d.shape[1]
    energies = [x[n : n + T_d] @ x[n : n + T_d] for n in range(x.size - T_d + 1)]
    bound = lambda_max(x, T_d)
    assert bound == pytest.approx(np.sqrt(max(energies)))
    units = d / np.linalg.norm(d, axis=1, keepdims=True)
    assert lambda_max(x, units, "real") <= bound * (1 + 1e-9)
    loudest = int(np.argmax(energies))
    assert lambda_max(x, x[None, loudest : loudest + T_d] / bound) == pytest.approx(bound)


@given(problems(), solvers)
@pytest.mark.long
def test_from_lambda_max_on_all_activations_are_zero(problem, solver):
    x, d, options = problem
    largest = lambda_max(x, d, options["activations"])
    for factor, any_sound in ((1 + 1e-9, False), (2.0, False), (0.9, largest > 0)):
        options["penalty"] = factor * largest
        found = decompose(x, d, **options, solver=solver, iterations=100)
        assert found.activations.any() == any_sound


# ---- the solvers ---------------------------------------------------------------------------------


@given(problems(longest=12))
@pytest.mark.long
def test_it_is_the_literal_problem_that_is_solved(problem):
    x, d, options = problem
    z, least = literal(x, d, **options)
    found = decompose(x, d, **options, iterations=300)
    assert found.objective == pytest.approx(least, rel=1e-7)
    assert found.history["gap"][-1] < 1e-5
    np.testing.assert_allclose(
        reference.convolve(d, found.activations), reference.convolve(d, z), atol=1e-3
    )


@given(problems(longest=25), solvers)
@pytest.mark.long
def test_the_gap_bounds_what_is_left(problem, solver):
    x, d, options = problem
    least = decompose(x, d, **options, iterations=300).objective
    for state in islice(iterate(x, d, **options, solver=solver), 15):
        left = (state.objective - least) / state.objective
        assert left - 1e-9 <= state.gap <= 1


@given(problems(longest=25))
@pytest.mark.long
def test_all_solvers_find_the_same(problem):
    x, d, options = problem
    least = decompose(x, d, **options, iterations=300).objective
    for solver in ("fista", "admm"):
        found = decompose(x, d, **options, solver=solver, iterations=3000, tolerance=1e-12)
        assert found.objective == pytest.approx(least, rel=1e-3)


@given(problems(), solvers, dtypes)
def test_the_objective_does_not_rise(problem, solver, dtype):
    x, d, options = problem
    states = iterate(x.astype(dtype), d.astype(dtype), **options, solver=solver)
    rounding = 20 * np.finfo(dtype).eps
    for before, after in pairwise(islice(states, 25)):
        assert after.iteration == before.iteration + 1
        assert after.objective <= before.objective * (1 + rounding)
        assert options["activations"] == "real" or after.activations.min() >= 0


@given(problems(), solvers, st.sampled_from([1e-3, 7.0, 1e4]))
def test_louder_signals_have_louder_activations(problem, solver, gain):
    x, d, options = problem
    quiet = decompose(x, d, **options, solver=solver, iterations=10)
    louder = options | {"penalty": gain * options["penalty"]}
    loud = decompose(gain * x, d, **louder, solver=solver, iterations=10)
    np.testing.assert_allclose(
        loud.history["objective"], gain**2 * quiet.history["objective"], rtol=1e-6
    )


@given(problems(), solvers)
@pytest.mark.long
def test_the_order_of_the_atoms_does_not_matter(problem, solver):
    x, d, options = problem
    iterations = 300 if solver == "greedy" else 5
    one = decompose(x, d, **options, solver=solver, iterations=iterations)
    other = decompose(x, d[::-1], **options, solver=solver, iterations=iterations)
    assert other.objective == pytest.approx(one.objective, rel=1e-6)
    if solver != "greedy":
        np.testing.assert_allclose(other.activations[::-1], one.activations, atol=1e-9)


@given(problems(), solvers)
def test_real_activations_change_sign_with_the_signal(problem, solver):
    x, d, options = problem
    options["activations"] = "real"
    one = decompose(x, d, **options, solver=solver, iterations=5)
    other = decompose(-x, d, **options, solver=solver, iterations=5)
    np.testing.assert_allclose(other.activations, -one.activations, atol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_planted_activations_are_found(solver):
    rng = np.random.default_rng(0)
    d = rng.standard_normal((3, 40))
    z = np.where(rng.random((3, 2000)) < 0.005, 1 + rng.random((3, 2000)), 0.0)
    x = reference.convolve(d, z) + 1e-3 * rng.standard_normal(2039)
    found = decompose(x, d, penalty=0.05, solver=solver, iterations=400)
    np.testing.assert_allclose(found.activations, z, atol=0.02)
    assert found.history["gap"][-1] < 1e-3


def test_silent_atoms_and_stretches_do_no_harm():
    x, d = normal(0, 500), normal(1, 3, 20)
    x[100:300], d[1] = 0, 0
    for solver in SOLVERS:
        for dtype in (np.float32, np.float64):
            found = decompose(x.astype(dtype), d.astype(dtype), penalty=1.0, solver=solver)
            assert not found.activations[1].any()
            assert not found.activations[:, 101:279].any()
            assert found.activations.any()
            for part in (found.activations, found.residual, found.components()):
                assert part.dtype == dtype
                assert np.isfinite(part).all()
    silent = decompose(x, np.zeros((2, 20)), penalty=1.0, iterations=3)
    assert not silent.activations.any()


def test_single_precision_does_not_drift():
    x, d = normal(0, 20_000).astype(np.float32), normal(1, 2, 64).astype(np.float32)
    found = decompose(x, d, penalty=2.0, iterations=60)
    double = decompose(x.astype(float), d.astype(float), penalty=2.0, iterations=60)
    assert found.objective == pytest.approx(double.objective, rel=1e-5)
    assert found.history["gap"][-1] < 1e-3


@given(problems(), st.integers(0, 12), solvers)
def test_padding_is_silence_around_the_signal(problem, padding, solver):
    x, d, options = problem
    padding = min(padding, d.shape[1] - 1)
    padded = decompose(x, d, **options, padding=padding, solver=solver, iterations=5)
    by_hand = decompose(np.pad(x, padding), d, **options, solver=solver, iterations=5)
    np.testing.assert_array_equal(padded.activations, by_hand.activations)
    assert padded.first_sample == -padding
    assert padded.residual.shape == x.shape
    np.testing.assert_allclose(
        padded.components().sum(axis=0) + padded.residual, x, atol=1e-9 * np.abs(x).max()
    )


def test_padding_lets_patterns_begin_before_the_signal():
    d = np.hanning(32)[None] * np.sin(np.arange(32.0))
    x = np.pad(2 * d[0], (0, 100))[10:] + 2 * np.pad(d[0], (90, 0))
    cut, padded = (decompose(x, d, penalty=0.1, padding=p, iterations=50) for p in (0, 31))
    assert padded.activations[0, 21] > 1.5
    assert padded.history["relative_residual"][-1] < 0.5 * cut.history["relative_residual"][-1]


def test_a_result_says_what_was_asked_and_starts_the_next():
    x, d = normal(0, 60), normal(1, 2, 6)
    found = decompose(x, d, penalty=0.5, activations="real", iterations=4)
    assert found.parameters == {
        "n_components": 2,
        "atom_length": 6,
        "penalty": 0.5,
        "activations": "real",
        "padding": 0,
    }
    rest = next(iterate(x, d, penalty=0.5, activations="real", start=found.activations))
    assert rest.objective == pytest.approx(found.objective)


def test_a_perfect_fit_is_told():
    x, d = np.array([0.0, 3.0, 0.0]), np.array([[1.0, 0.0]])
    z = np.array([[0.0, 3.0]])
    assert Problem(2, 0.0, False, x=x).state(0, d, z).gap == 0
    assert Problem(2, 1.0, False, x=x).state(0, d, z).gap == 1


def test_a_pass_may_make_ten_changes_an_activation(monkeypatch):
    """A bound that no sound problem meets: it ends a pass that rounding would not."""
    asked = []

    def descend(z, c, gram, limits, signed, begin, end, width, most):
        asked.append((most, len(z) * (end - begin)))
        return 0

    monkeypatch.setattr(sparse_coding, "descend", descend)
    decompose(X, D, penalty=0.1, iterations=1)
    assert asked == [(10 * n, n) for _, n in asked]


X, D = normal(0, 40), normal(1, 2, 8)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.ones(40), D), {}, "x must not be constant, got 1.0"),
        ((np.where(X == X.max(), np.nan, X), D), {}, "x must be finite, got nan"),
        ((X, D[0]), {}, "atoms must be two-dimensional"),
        ((X[:7], D), {}, "x must be at least as long as an atom, 8 samples, got 7"),
        ((X, D), {"penalty": -1.0}, "penalty must be .* at least 0, got -1.0"),
        ((X, D), {"activations": "loud"}, "activations must be one of nonnegative, real"),
        ((X, D), {"solver": "guess"}, "solver must be one of greedy, fista, admm, got 'guess'"),
        ((X, D), {"padding": 8}, "padding must be a whole number from 0 to 7, got 8"),
        ((X, D), {"padding": -1}, "padding must be a whole number"),
        ((X, D), {"start": np.ones((2, 32))}, r"start's activations must have shape \(2, 33\)"),
        ((X, D), {"start": -np.ones((2, 33))}, "start's activations must not be negative, got -1"),
    ],
)
def test_bad_input_is_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        decompose(*arguments, **{"penalty": 1.0, **options})


def test_lambda_max_names_bad_input():
    with pytest.raises(ValueError, match="x must be at least as long as an atom, 41 samples"):
        lambda_max(X, 41)
    with pytest.raises(ValueError, match="atoms must be a whole number"):
        lambda_max(X, 0)
    with pytest.raises(ValueError, match="activations must be one of"):
        lambda_max(X, D, "loud")
