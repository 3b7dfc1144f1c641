"""Iterations begun ahead never raise the objective, which their own pass tells, and need fewer."""

import tracemalloc
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods import nmf
from cdlnmf_lit.methods.extrapolation import (
    CoordinateDescent,
    Extrapolated,
    ahead,
    ahead_plainly,
)
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.theory import blocks
from cdlnmf_lit.theory.gabor import hann
from tests.methods.test_nmf import betas, factorize, free_or_held, matrices, two_tones, updates
from tests.strategies import dtypes

EXTRAPOLATED = {"acceleration": "extrapolation"}
some_betas = st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0])


def exact(state):
    return nmf.Problem.objective(state.problem, state.patterns, state.activations)


# ---- the steps, literally ------------------------------------------------------------------------


def literal_step(V, W, Z, beta, exponent, held):
    """An update of the activations, then what spectra these ask for."""
    if held != "activations":
        M = Z.T @ W
        Z = Z * ((W @ (V * M ** (beta - 2)).T) / (W @ (M ** (beta - 1)).T)) ** exponent
    M = Z.T @ W
    asked = W * ((Z @ (V * M ** (beta - 2))) / (Z @ M ** (beta - 1))) ** exponent
    return W, Z, W if held == "patterns" else asked


def literal_descent(V, W, Z, beta, exponent, held):
    def swept(C, G, factor):
        factor = factor.copy()
        for _ in range(4):
            for k in range(len(factor)):
                if G[k, k] > 0:
                    factor[k] = np.maximum(0, factor[k] + (C[k] - G[k] @ factor) / G[k, k])
        return factor

    if held != "activations":
        Z = swept(W @ V.T, W @ W.T, Z)
    return W, Z, W if held == "patterns" else swept(Z @ V, Z @ Z.T, W)


def literal(V, W, Z, beta, exponent, held):
    """All iterates, with the objective of each computed from its definition."""

    def objective(W, Z):
        return nmf.beta_divergence(V, Z.T @ W, beta).sum()

    def pulled(now, before, b):
        if beta == 2:
            return np.maximum(now + b * (now - before), 0)
        there = now * np.clip(now / before, 0.1, 10) ** b
        return np.maximum(there, np.minimum(now, 1e-4 * now.max()))

    step = literal_descent if beta == 2 else literal_step
    asked, asked_before, Z_before, t, last = W, W, Z, 0, np.inf
    if held == "activations":
        _, _, asked = step(V, W, Z, beta, exponent, held)
    while True:
        b = t / (t + 3)
        begin_W = asked if held == "patterns" else pulled(asked, asked_before, b)
        begin_Z = Z if held == "activations" else pulled(Z, Z_before, b)
        found = step(V, begin_W, begin_Z, beta, exponent, held)
        if t and objective(*found[:2]) > last:
            found, t = step(V, asked, Z, beta, exponent, held), 0
        asked_before, Z_before, t = asked, Z, t + 1
        W, Z, asked = found
        last = objective(W, Z)
        yield W, Z


@given(matrices(), some_betas, updates, free_or_held)
def test_the_iterates_are_those_of_the_literal_steps(problem, beta, update, held):
    V, K, start = problem
    exponent = nmf.mm_exponent(beta) if update == "minimise" else 1.0
    states = factorize(V, K, divergence=beta, update=update, start=start, held=held, **EXTRAPOLATED)
    last = next(states).objective
    wanted = literal(V, *start, beta, exponent, held)
    for n, (found, (W, Z)) in enumerate(islice(zip(states, wanted, strict=False), 6)):
        assert found.iteration == n + 1
        objective = nmf.beta_divergence(V, Z.T @ W, beta).sum()
        if n and abs(last - objective) <= 1e-7 * last + 1e-9 * V.size:
            break  # nothing to gain is left: rounding decides whether to begin ahead
        last = objective
        np.testing.assert_allclose(found.patterns, W, rtol=1e-6, atol=1e-9 * W.max())
        np.testing.assert_allclose(found.activations, Z, rtol=1e-6, atol=1e-9 * Z.max())


def test_steps_ahead_are_powers_of_the_change_within_bounds():
    now, before = np.array([2.0, 1.0, 0.0, 5.0, 1e-9]), np.array([1.0, 4.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(ahead(now, before, 0.5), [2 * 2**0.5, 0.5, 0, 5, 1e-9])
    np.testing.assert_array_equal(ahead(now, before, 0.0), now)
    np.testing.assert_allclose(ahead_plainly(now, before, 0.5), [2.5, 0, 0, 7.5, 0])
    for rule in (ahead, ahead_plainly):
        assert rule(now.astype("f4"), before.astype("f4"), 0.5).dtype == np.float32


# ---- what the iterations promise -----------------------------------------------------------------


@given(matrices(), betas, updates, free_or_held, dtypes)
def test_the_objective_never_rises_and_is_that_of_its_definition(
    problem, beta, update, held, dtype
):
    V, K, start = problem
    update = update if 0 <= beta <= 2 else "minimise"
    states = factorize(
        V.astype(dtype), K, divergence=beta, update=update, start=start, held=held, **EXTRAPOLATED
    )
    size = np.sum(V**beta + V.mean() ** beta) * (1 + abs(np.log(V)).max() * (abs(beta) < 1))
    tolerance = 20 * float(np.finfo(dtype).eps * size) / (abs(beta * (beta - 1)) or 1.0)
    found = list(islice(states, 15))
    assert type(found[0].problem) is (CoordinateDescent if beta == 2 else Extrapolated)
    for before, after in pairwise(found):
        assert after.objective <= before.objective * (1 + 1e-5 * (dtype == np.float32)) + tolerance
    for state in found:
        assert state.objective == pytest.approx(exact(state), rel=1e-5, abs=tolerance)
        for factor in (state.patterns, state.activations):
            assert factor.dtype == dtype
            assert np.all(factor >= 0)
            assert np.all(np.isfinite(factor))
        if held:
            np.testing.assert_array_equal(getattr(state, held), getattr(found[0], held))


@given(matrices(zeros=True), st.sampled_from([0.5, 1.0, 1.5, 2.0]), dtypes)
def test_silent_frames_and_channels_do_no_harm(problem, beta, dtype):
    V, K, start = problem
    found = list(
        islice(factorize(V.astype(dtype), K, divergence=beta, start=start, **EXTRAPOLATED), 12)
    )
    tolerance = 200 * float(np.finfo(dtype).eps) * V.size * max(1.0, V.max() ** beta)
    for before, after in pairwise(found):
        assert after.objective <= before.objective * (1 + 1e-5 * (dtype == np.float32)) + tolerance
        assert after.objective == pytest.approx(exact(after), rel=1e-4, abs=tolerance)
    assert not found[-1].activations[:, ~V.any(axis=1)].any()
    assert np.all(np.isfinite(found[-1].patterns))


@given(matrices(), some_betas)
def test_a_start_that_explains_nothing_does_no_harm(problem, beta):
    V, K, (W, Z) = problem
    Z = Z.copy()
    Z[:, 0] = 0
    *_, last = islice(factorize(V, K, divergence=beta, start=(W, Z), **EXTRAPOLATED), 6)
    assert np.all(np.isfinite(last.patterns))
    assert np.isfinite(last.objective)


@given(st.integers(1, 3), some_betas, st.integers(0, 99))
def test_an_exact_factorisation_is_a_fixed_point(K, beta, seed):
    rng = np.random.default_rng(seed)
    W, Z = 0.1 + rng.random((K, 9)), 0.1 + rng.random((K, 14))
    *_, last = islice(factorize(Z.T @ W, K, divergence=beta, start=(W, Z), **EXTRAPOLATED), 5)
    np.testing.assert_allclose(last.patterns, W, rtol=1e-7)
    np.testing.assert_allclose(last.activations, Z, rtol=1e-7)
    assert last.objective == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_objective_of_many_plain_iterations_is_reached_in_half_of_them(beta, dtype):
    rng = np.random.default_rng(0)
    V = (rng.gamma(0.5, size=(80, 3)) + 0.01) @ rng.gamma(0.3, size=(3, 40)) + 1e-2
    V = (V * rng.gamma(20, 1 / 20, V.shape)).astype(dtype)
    *_, plain = islice(factorize(V, 3, divergence=beta, rng=1), 101)
    *_, fast = islice(factorize(V, 3, divergence=beta, rng=1, **EXTRAPOLATED), 51)
    assert fast.objective <= plain.objective


def test_where_the_step_ahead_raises_the_objective_it_is_not_taken(monkeypatch):
    V = np.random.default_rng(0).gamma(0.5, size=(40, 30)) + 1e-3
    tried, lengths = Extrapolated.tried, []

    def watched(problem, state, b):
        lengths.append(b)
        return tried(problem, state, 3 * b)  # too far

    monkeypatch.setattr(Extrapolated, "tried", watched)
    states = list(islice(factorize(V, 3, **EXTRAPOLATED), 80))
    assert lengths.count(0.0) > 2
    assert len(lengths) == 79 + lengths.count(0.0) - 1  # the first of all is no second try
    assert all(after.objective <= before.objective for before, after in pairwise(states[1:]))


# ---- what it takes -------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
def test_the_result_does_not_depend_on_the_threads(monkeypatch, beta):
    V = np.random.default_rng(0).random((3000, 1000), dtype=np.float32) + np.float32(0.1)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(blocks, "n_threads", lambda threads=threads: threads)
        *_, last = islice(factorize(V, 3, divergence=beta, **EXTRAPOLATED), 4)
        assert len(last.problem.shares(3)) > 1
        found.append((last.patterns, last.activations, last.objective))
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
def test_no_second_array_of_the_size_of_the_matrix_is_held(beta):
    V = np.random.default_rng(0).random((12_000, 400), dtype=np.float32) + np.float32(0.1)
    states = factorize(V, 4, divergence=beta, **EXTRAPOLATED)
    tracemalloc.start()
    for state in islice(states, 4):
        assert state.objective > 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.25 * V.nbytes


@pytest.mark.parametrize("divergence", list(nmf.DIVERGENCES))
@pytest.mark.parametrize("hop", [8, 512])
def test_memory_is_what_the_estimate_says(hop, divergence):
    method = NMF(frame=hann(1024, hop), divergence=divergence, iterations=3, **EXTRAPOLATED)
    x = np.random.default_rng(0).standard_normal({8: 20_000, 512: 200_000}[hop])
    needed = method.estimate(x.size, 4).memory_bytes
    method.decompose(x[:5000], 1)  # compiles
    tracemalloc.start()
    method.decompose(x, 4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.35 * needed < peak < needed


@pytest.mark.parametrize("divergence", list(nmf.DIVERGENCES))
def test_a_sound_is_taken_apart_as_without(divergence):
    tones = two_tones()
    x = tones.sum(axis=0) + 1e-3 * np.random.default_rng(0).standard_normal(tones.shape[1])
    method = NMF(frame=hann(128, 64), iterations=60) >> NMF(
        frame=hann(128, 64), divergence=divergence, iterations=40, **EXTRAPOLATED
    )
    found = method.decompose(x, 2)
    assert len(found.history["objective"]) == 41
    assert found.parameters["acceleration"] == "extrapolation"
    likeness = np.corrcoef(np.concatenate([tones, found.components()]))[:2, 2:]
    assert np.all(likeness.max(axis=1) > 0.95)
    again = replace(method, start="random").decompose(x, 2, start=found)
    assert again.objective <= found.objective * (1 + 1e-9)
