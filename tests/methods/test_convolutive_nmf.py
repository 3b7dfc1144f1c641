"""Convolutive NMF is the literal one, never rises, is NMF at length 1, moves with the signal."""

import tracemalloc
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdlnmf_lit.methods import convolutive_nmf, nmf
from cdlnmf_lit.methods.convolutive_nmf import (
    Problem,
    decompose,
    delayed,
    estimate,
    factorize,
    iterate,
    masks,
    model,
    normalised,
    undelayed,
)
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.theory import blocks
from cdlnmf_lit.theory.gabor import GaborFrame
from tests.strategies import dtypes, normal, seeds

BETAS = {"euclidean": 2, "kullback-leibler": 1, "itakura-saito": 0}
divergences = st.sampled_from(list(BETAS))
penalties = st.sampled_from([0.0, 0.1, 3.0])


@st.composite
def problems(draw, *, silence=False):
    """A positive matrix, a start, and their sizes: patterns as short as one frame, or as V."""
    N, F = draw(st.sampled_from([1, 2, 3, 5, 8, 13])), draw(st.sampled_from([1, 2, 3, 7]))
    K, L = draw(st.integers(1, min(3, N, F))), draw(st.integers(1, N))
    rng = np.random.default_rng(draw(seeds))
    V = rng.gamma(0.5, size=(N, F)) + 1e-3
    if silence:
        V[rng.random(N) < 0.3], V[:, rng.random(F) < 0.3] = 0, 0
        assume(V.any())
    W, Z = rng.random((K, L, F)) + 0.01, rng.random((K, N + L - 1)) + 0.01
    return V, W, Z


def states(V, W, Z, **options):
    return factorize(V, len(W), pattern_length=W.shape[1], start=(W, Z), **options)


def last(iterates, iterations):
    return next(islice(iterates, iterations, None))


# ---- the literal model and updates -----------------------------------------------------------


def places(K, L, N):
    """Every (pattern, delay, frame) and the index of the activation that acts there."""
    for k in range(K):
        for delay in range(L):
            for n in range(N):
                yield k, delay, n, n - delay + L - 1


def literal_model(W, Z):
    K, L, F = W.shape
    V = np.zeros((Z.shape[1] - L + 1, F))
    for k, delay, n, m in places(K, L, len(V)):
        V[n] += Z[k, m] * W[k, delay]
    return V


def literal_divergence(V, M, beta):
    total = 0.0
    for v, m in zip(V.ravel(), M.ravel(), strict=True):
        if beta == 2:
            total += (v - m) ** 2 / 2
        elif beta == 1:
            total += (v * np.log(v / m) if v > 0 else 0) - v + m
        else:
            total += v / m - np.log(v / m) - 1
    return total


def sizes(W):
    return np.array([np.sqrt(np.sum(w**2)) for w in W])


def literal_objective(V, W, Z, beta, penalty):
    return literal_divergence(V, literal_model(W, Z), beta) + penalty * sizes(W) @ Z.sum(axis=1)


def gradients(V, W, Z, beta):
    """Both parts of the divergence's gradient, minus and plus, in W and in Z."""
    M = literal_model(W, Z)
    q, p = V * M ** (beta - 2.0), M ** (beta - 1.0)
    in_W, in_Z = np.zeros((2, *W.shape)), np.zeros((2, *Z.shape))
    for k, delay, n, m in places(*W.shape[:2], len(V)):
        for part, weights in enumerate((q, p)):
            in_W[part, k, delay] += Z[k, m] * weights[n]
            in_Z[part, k, m] += W[k, delay] @ weights[n]
    return in_W, in_Z


def literal_step(V, W, Z, beta, penalty):
    """One joint iteration: activations, then patterns, then the norms."""
    gamma = {2: 1, 1: 1, 0: 0.5}[beta]
    _, (up, down) = gradients(V, W, Z, beta)
    Z = Z * (up / (down + penalty * sizes(W)[:, None])) ** gamma
    (up, down), _ = gradients(V, W, Z, beta)
    if not penalty:
        return W * (up / down) ** gamma, Z
    pull = penalty * Z.sum(axis=1) / sizes(W)
    W = W * (up / (down + pull[:, None, None] * W)) ** (1 / (3 - beta))
    return W / sizes(W)[:, None, None], Z * sizes(W)[:, None]


def literal_averaged(V, W, Z, beta):
    """Activations by the mean of the ratios of each delay, over the delays that are seen."""
    M = literal_model(W, Z)
    q, p = V * M ** (beta - 2.0), M ** (beta - 1.0)
    total, count = np.zeros_like(Z), np.zeros_like(Z)
    for k, delay, n, m in places(*W.shape[:2], len(V)):
        total[k, m] += (W[k, delay] @ q[n]) / (W[k, delay] @ p[n])
        count[k, m] += 1
    return Z * (total / count) ** {2: 1, 1: 1, 0: 0.5}[beta]


@given(problems())
def test_the_model_is_the_literal_one(problem):
    _, W, Z = problem
    np.testing.assert_allclose(model(W, Z), literal_model(W, Z), rtol=1e-12)
    N = Z.shape[1] - W.shape[1] + 1
    part = slice(N // 2, N)
    np.testing.assert_allclose(model(W, Z, part), literal_model(W, Z)[part], rtol=1e-12)


@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 7), seeds)
def test_the_sum_over_delays_is_the_adjoint(K, L, n, seed):
    Z, S = normal(seed, K, n + L - 1), normal(seed + 1, K, L, n)
    assert np.sum(delayed(Z, L, slice(0, n)) * S) == pytest.approx(np.sum(Z * undelayed(S)))


@given(problems(), divergences, penalties)
def test_the_iterates_are_the_literal_ones(problem, divergence, penalty):
    V, W, Z = problem
    beta = BETAS[divergence]
    iterates = states(V, W, Z, divergence=divergence, penalty=penalty)
    if penalty:
        W, Z = W / sizes(W)[:, None, None], Z * sizes(W)[:, None]
    for factors in islice(iterates, 5):
        np.testing.assert_allclose(factors.patterns, W, rtol=1e-4, atol=1e-8 * W.max())
        np.testing.assert_allclose(factors.activations, Z, rtol=1e-4, atol=1e-8 * Z.max())
        wanted = literal_objective(V, W, Z, beta, penalty)
        assert factors.objective == pytest.approx(wanted, rel=1e-6, abs=1e-9 * V.sum())
        W, Z = literal_step(V, W, Z, beta, penalty)


@given(problems(), divergences)
def test_averaged_activations_are_the_literal_ones(problem, divergence):
    V, W, Z = problem
    first = Problem(V, float(BETAS[divergence]), 0.0, "averaged")
    _, found = first.updated_activations(W, Z)
    np.testing.assert_allclose(found, literal_averaged(V, W, Z, BETAS[divergence]), rtol=1e-7)


@given(problems(), divergences)
def test_patterns_of_one_frame_are_nmf(problem, divergence):
    V, W, Z = problem
    W, Z = W[:, :1], Z[:, : len(V)]
    ours = states(V, W, Z, divergence=divergence)
    theirs = nmf.factorize(V, len(W), divergence=divergence, start=(W[:, 0], Z))
    for one, other in islice(zip(ours, theirs, strict=False), 10):
        np.testing.assert_allclose(one.patterns[:, 0], other.spectra, rtol=1e-9)
        np.testing.assert_allclose(one.activations, other.activations, rtol=1e-9)
        assert one.objective == pytest.approx(other.objective, rel=1e-9, abs=1e-12 * V.sum())


# ---- why it never rises ----------------------------------------------------------------------


@given(problems(silence=True), divergences, penalties, dtypes)
def test_the_objective_never_rises(problem, divergence, penalty, dtype):
    V, W, Z = (each.astype(dtype) for each in problem)
    if divergence == "itakura-saito":
        V = np.maximum(V, V.dtype.type(1e-5) * V.mean())
    scale = float(V.sum()) if divergence != "itakura-saito" else V.size
    tolerance = 1e-12 if dtype == np.float64 else 2e-5
    iterates = states(V, W, Z, divergence=divergence, penalty=penalty)
    for before, after in pairwise(islice(iterates, 25)):
        assert after.objective <= before.objective * (1 + tolerance) + tolerance * scale
        assert np.isfinite(after.objective)


def auxiliary(V, W, Z, W_old, beta, penalty):
    """The majoriser of the objective in the patterns, term by term as the chapter derives it."""
    K, L, F = W.shape
    M, total = literal_model(W_old, Z), 0.0
    r = W / W_old
    for k, delay, n, m in places(K, L, len(V)):
        for f in range(F):
            part = Z[k, m] * W_old[k, delay, f]
            ratio, v, hat = r[k, delay, f], V[n, f], M[n, f]
            growth = (ratio**2 - 1) / 2 if penalty else ratio - 1
            if beta == 2:
                total += part * (hat * (ratio**2 - 1) / 2 - v * (ratio - 1))
            elif beta == 1:
                total += part * (growth - v / hat * np.log(ratio))
            else:
                total += part * (growth / hat + v / hat**2 * (1 / ratio - 1))
    old = sizes(W_old)
    growth = (sizes(W) ** 2 / old**2 - 1) / 2
    pulled = penalty * (old * Z.sum(axis=1)) @ (1 + growth)
    return literal_divergence(V, M, beta) + total + pulled


@given(problems(), divergences, penalties, seeds)
def test_the_auxiliary_function_lies_above_and_the_update_is_its_minimum(
    problem, divergence, penalty, seed
):
    V, W, Z = problem
    beta, rng = BETAS[divergence], np.random.default_rng(seed)
    touched = auxiliary(V, W, Z, W, beta, penalty)
    assert touched == pytest.approx(literal_objective(V, W, Z, beta, penalty))
    for spread in (0.1, 2.0):
        other = W * np.exp(spread * rng.standard_normal(W.shape))
        above = auxiliary(V, other, Z, W, beta, penalty)
        assert above >= literal_objective(V, other, Z, beta, penalty) * (1 - 1e-9) - 1e-12
    best = Problem(V, float(beta), penalty, "joint").updated_patterns(W, Z)
    lowest = auxiliary(V, best, Z, W, beta, penalty)
    for _ in range(5):
        near = best * np.exp(0.1 * rng.standard_normal(W.shape))
        assert auxiliary(V, near, Z, W, beta, penalty) >= lowest - 1e-9 * (1 + abs(lowest))


@given(problems(), divergences, penalties)
def test_norms_are_moved_between_the_factors_at_no_cost(problem, divergence, penalty):
    V, W, Z = problem
    beta = BETAS[divergence]
    unit, louder = normalised(W, Z)
    np.testing.assert_allclose(sizes(unit), 1)
    np.testing.assert_allclose(
        literal_objective(V, unit, louder, beta, penalty), literal_objective(V, W, Z, beta, penalty)
    )


@given(problems(), divergences, seeds)
def test_with_a_penalty_patterns_have_norm_one(problem, divergence, seed):
    V, W, _ = problem
    options = {"pattern_length": W.shape[1], "divergence": divergence, "penalty": 0.3}
    for factors in islice(factorize(V, len(W), **options, rng=seed), 4):
        np.testing.assert_allclose(sizes(factors.patterns), 1)
        D = literal_divergence(V, model(factors.patterns, factors.activations), BETAS[divergence])
        assert factors.objective == pytest.approx(D + 0.3 * factors.activations.sum(), rel=1e-6)


def test_averaged_activations_leave_a_stationary_point_and_rise():
    """Where all delays together ask for no change, the mean of what each asks for does."""
    rng = np.random.default_rng(0)
    V = rng.gamma(0.5, size=(30, 6)) + 1e-3
    iterates = factorize(V, 2, pattern_length=4, rng=0)
    rested = last(iterates, 3000)
    problem = Problem(V, 1.0, 0.0, "averaged")
    joint = Problem(V, 1.0, 0.0, "joint")
    _, still = joint.updated_activations(rested.patterns, rested.activations)
    _, moved = problem.updated_activations(rested.patterns, rested.activations)
    scale = rested.activations.max()
    assert np.abs(still - rested.activations).max() < 1e-3 * scale
    assert np.abs(moved - rested.activations).max() > 0.1 * scale
    after, _ = joint.updated_activations(rested.patterns, moved)
    assert after > 1.02 * rested.objective
    start = (rested.patterns, rested.activations)
    averaged = factorize(V, 2, pattern_length=4, start=start, activation_update="averaged")
    objectives = [each.objective for each in islice(averaged, 2)]
    assert objectives[1] > objectives[0]


def split_gradient_step(V, W, Z, beta):
    """The patterns of norm 1, by the gradient along the sphere split into its two parts."""
    (up, down), _ = gradients(V, W, Z, beta)
    inner_up, inner_down = ((W * part).sum(axis=(1, 2), keepdims=True) for part in (up, down))
    W = W * (up + W * inner_down) / (down + W * inner_up)
    return W / sizes(W)[:, None, None]


def test_a_split_gradient_rises_along_its_own_way_and_our_steps_do_not():
    """One pattern of two numbers, which begins as the right one."""
    V, W, Z = np.array([[24.0, 7.0]]), np.array([[[0.96, 0.28]]]), np.array([[1.0]])
    ours = [each.objective for each in islice(states(V, W, Z, penalty=100.0), 40)]
    split = []
    for _ in range(40):
        split.append(literal_objective(V, W, Z, 1, 100.0))
        _, (up, down) = gradients(V, W, Z, 1)
        Z = Z * up / (down + 100.0)
        W = split_gradient_step(V, W, Z, 1)
    assert np.sum(np.diff(split) > 0.01) > 10
    assert np.all(np.diff(ours) <= 1e-12 * ours[0])
    assert ours[-1] < min(split)


# ---- factors that are known ------------------------------------------------------------------


def planted(seed, N=60, F=9, K=2, L=5):
    """A matrix that is exactly patterns placed by sparse activations, none cut at the ends."""
    rng = np.random.default_rng(seed)
    W = rng.gamma(0.3, size=(K, L, F)) + 1e-3
    Z = rng.random((K, N + L - 1)) * (rng.random((K, N + L - 1)) < 0.15)
    Z[:, : L - 1], Z[:, N - 1 :] = 0, 0
    return W, Z, literal_model(W, Z)


@given(seeds, divergences)
def test_planted_factors_are_a_fixed_point(seed, divergence):
    W, Z, V = planted(seed)
    if divergence == "itakura-saito":
        Z = Z + 0.01
        V = literal_model(W, Z)
    assume(V.any())
    for factors in islice(states(V, W, Z, divergence=divergence), 4):
        assert factors.objective < 1e-9 * V.sum()
        np.testing.assert_allclose(factors.patterns, W, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(factors.activations, Z, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("divergence", ["kullback-leibler", "euclidean"])
def test_planted_factors_are_recovered_from_a_near_start(seed, divergence):
    W, Z, V = planted(seed)
    rng = np.random.default_rng(seed + 100)
    start = W * np.exp(0.3 * rng.standard_normal(W.shape)), Z + 0.05 * rng.random(Z.shape)
    iterates = states(V, *start, divergence=divergence)
    found = last(iterates, 1500)
    (true, true_Z), (near, near_Z) = normalised(W, Z), normalised(found.patterns, found.activations)
    assert np.all(np.sum(true * near, axis=(1, 2)) > 0.995)
    for k in range(2):
        assert np.corrcoef(true_Z[k], near_Z[k])[0, 1] > 0.995


@given(problems(), divergences, penalties, st.floats(0.01, 100))
def test_louder_data_give_louder_activations(problem, divergence, penalty, gain):
    V, W, Z = problem
    quiet = states(V, W, Z, divergence=divergence, penalty=penalty)
    unit = gain ** (BETAS[divergence] - 1.0)
    loud = states(gain * V, W, gain * Z, divergence=divergence, penalty=penalty * unit)
    for one, other in islice(zip(quiet, loud, strict=False), 5):
        np.testing.assert_allclose(other.patterns, one.patterns, rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(
            other.activations, gain * one.activations, rtol=1e-6, atol=1e-12 * gain
        )


@given(problems(), divergences, penalties)
def test_the_order_of_the_patterns_and_of_the_channels_does_not_matter(
    problem, divergence, penalty
):
    V, W, Z = problem
    options = {"divergence": divergence, "penalty": penalty}
    one = last(states(V, W, Z, **options), 5)
    turned = last(states(V[:, ::-1].copy(), W[::-1, :, ::-1].copy(), Z[::-1].copy(), **options), 5)
    np.testing.assert_allclose(turned.patterns[::-1, :, ::-1], one.patterns, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(turned.activations[::-1], one.activations, rtol=1e-6, atol=1e-12)


@given(st.integers(0, 9), st.sampled_from(["kullback-leibler", "euclidean"]), penalties, seeds)
def test_a_delay_of_the_data_delays_the_activations(delay, divergence, penalty, seed):
    """Where nothing begins before the first frame; else the delay uncovers what was cut off."""
    W, Z, V = planted(seed, N=20)
    assume(V.any())
    rng = np.random.default_rng(seed)
    W, Z = rng.random(W.shape), rng.random(Z.shape)
    Z[:, : W.shape[1] - 1] = 0
    late_V, late_Z = np.pad(V, ((delay, 0), (0, 0))), np.pad(Z, ((0, 0), (delay, 0)))
    early = states(V, W, Z, divergence=divergence, penalty=penalty)
    late = states(late_V, W, late_Z, divergence=divergence, penalty=penalty)
    for one, other in islice(zip(early, late, strict=False), 8):
        np.testing.assert_allclose(other.patterns, one.patterns, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(
            other.activations, np.pad(one.activations, ((0, 0), (delay, 0))), rtol=1e-6, atol=1e-9
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("divergence", list(BETAS))
@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_silence_does_no_harm(dtype, divergence, penalty):
    rng = np.random.default_rng(0)
    V = rng.random((40, 8)).astype(dtype)
    V[10:25], V[:, 3] = 0, 0
    if divergence == "itakura-saito":
        V = np.maximum(V, V.dtype.type(1e-10) * V.mean())
    W, Z = (rng.random(shape).astype(dtype) for shape in ((3, 4, 8), (3, 43)))
    W[1], Z[2] = 0, 0
    iterates = states(V, W, Z, divergence=divergence, penalty=penalty)
    for factors in islice(iterates, 400):
        assert np.isfinite(factors.objective)
    for part in (factors.patterns, factors.activations):
        assert part.dtype == dtype
        assert np.all(np.isfinite(part))
        assert part.min() >= 0
    whole = model(factors.patterns, factors.activations)
    if divergence != "itakura-saito":  # which asks for ratios, not for silence
        assert whole[:, 3].max() < 1e-4
    assert not factors.patterns[1].any()
    assert not factors.activations[2].any()


# ---- blocks, threads, precision --------------------------------------------------------------


@pytest.mark.parametrize("update", convolutive_nmf.ACTIVATION_UPDATES)
@pytest.mark.parametrize("divergence", list(BETAS))
def test_blocks_and_threads_do_not_matter(monkeypatch, divergence, update):
    V = np.random.default_rng(0).random((97, 31)) + 0.1
    options = {"pattern_length": 13, "divergence": divergence, "activation_update": update}

    def found():
        return last(factorize(V, 2, rng=0, **options), 5)

    whole = found()
    monkeypatch.setattr(convolutive_nmf, "ROWS", 7)
    monkeypatch.setattr(convolutive_nmf, "COLUMNS", 5)
    cut = found()
    monkeypatch.setattr(blocks, "n_threads", lambda: 1)
    alone = found()
    monkeypatch.setattr(blocks, "n_threads", lambda: 3)
    three = found()
    assert cut.objective == pytest.approx(whole.objective, rel=1e-10)
    np.testing.assert_allclose(cut.patterns, whole.patterns, rtol=1e-8)
    np.testing.assert_allclose(cut.activations, whole.activations, rtol=1e-8)
    for other in (alone, three):
        assert other.objective == cut.objective
        np.testing.assert_array_equal(other.patterns, cut.patterns)
        np.testing.assert_array_equal(other.activations, cut.activations)


@given(problems(), divergences, penalties)
def test_single_precision_follows_double(problem, divergence, penalty):
    V, W, Z = problem
    options = {"divergence": divergence, "penalty": penalty}
    double = last(states(V, W, Z, **options), 5)
    single = last(states(*(each.astype(np.float32) for each in problem), **options), 5)
    assert single.patterns.dtype == single.activations.dtype == np.float32
    np.testing.assert_allclose(single.patterns, double.patterns, rtol=0.02, atol=1e-4)
    np.testing.assert_allclose(single.activations, double.activations, rtol=0.02, atol=1e-4)


# ---- signals ---------------------------------------------------------------------------------

FRAME = GaborFrame("hann", 8, 32).tight()


def a_sound(T=400):
    t = np.arange(T)
    return np.sin(0.002 * t * (t % 200)) * (t % 200 < 90) * (t < 330)


@given(
    st.integers(1, 32),
    st.integers(1, 3),
    st.sampled_from([33, 64, 101]),
    divergences,
    dtypes,
    seeds,
)
def test_components_sum_to_the_signal(hop, K, T, divergence, dtype, seed):
    frame = GaborFrame(np.ones(32) if hop > 16 else "hann", hop, 32).tight()
    x = normal(seed, T).astype(dtype)
    x[T // 2 : T // 2 + 20] = 0
    L = min(3, frame.n_frames(T))
    K = min(K, frame.n_frames(T))
    found = decompose(x, K, frame, pattern_length=L, divergence=divergence, iterations=2, rng=seed)
    tolerance = (1e-5 if dtype == np.float32 else 1e-12) * np.abs(x).max()
    np.testing.assert_allclose(found.components().sum(axis=0), x, atol=tolerance)
    np.testing.assert_allclose(found.residual, 0, atol=tolerance)
    assert found.components().dtype == found.spectra.dtype == found.activations.dtype == dtype


@given(problems())
def test_masks_are_shares_of_the_model(problem):
    _, W, Z = problem
    rows = slice(0, Z.shape[1] - W.shape[1] + 1)
    whole = literal_model(W, Z)
    found = list(masks(W, Z, rows))
    np.testing.assert_allclose(sum(found), 1)
    for w, z, mask in zip(W, Z, found, strict=True):
        np.testing.assert_allclose(mask, literal_model(w[None], z[None]) / whole, rtol=1e-9)
    np.testing.assert_allclose(next(masks(W, 0 * Z, rows)), 1 / len(W))


def test_an_activation_stands_where_its_pattern_begins():
    """A click: the pattern is as long as the windows that hear it, and begins with the first."""
    x = np.zeros(400)
    x[200] = 1.0
    lead = FRAME.first_frame
    V = FRAME.spectrogram(x, 1.0)
    heard = np.flatnonzero(V.any(axis=1))
    L = heard.size
    W, Z = V[heard][None], np.zeros((1, len(V) + L - 1))
    Z[0, heard[0] + L - 1] = 1.0
    found = decompose(x, 1, FRAME, pattern_length=L, start=(W, Z), iterations=1)
    begins = found.first_sample + found.hop * int(np.argmax(found.activations[0]))
    assert begins == FRAME.hop * (heard[0] + lead)
    assert begins <= 200 < begins + FRAME.window.size
    assert found.history["objective"][0] < 1e-6


def test_a_delay_of_the_signal_delays_the_result():
    x = a_sound()
    late = np.concatenate([np.zeros(5 * FRAME.hop), x])
    W = np.random.default_rng(0).random((2, 6, 17))
    N, more = FRAME.n_frames(x.size), FRAME.n_frames(late.size)
    Z = np.random.default_rng(1).random((2, N + 5))
    Z[:, :5] = 0
    options = {"pattern_length": 6, "iterations": 20, "floor": 0.0}
    one = decompose(x, 2, FRAME, start=(W, Z), **options)
    other = decompose(late, 2, FRAME, start=(W, np.pad(Z, ((0, 0), (more - N, 0)))), **options)
    np.testing.assert_allclose(other.spectra, one.spectra, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(other.components()[:, 5 * FRAME.hop :], one.components(), atol=1e-9)


def test_powers_follow_the_divergence():
    def power(**options):
        return decompose(a_sound(), 1, FRAME, pattern_length=2, iterations=0, **options).parameters[
            "power"
        ]

    assert power() == power(divergence="euclidean") == 1
    assert power(divergence="itakura-saito") == 2
    assert power(divergence="itakura-saito", power=0.5) == 0.5


@given(st.sampled_from([0.0, 0.2]), divergences, seeds)
def test_a_run_goes_on_from_its_own_result(penalty, divergence, seed):
    options = {"pattern_length": 4, "penalty": penalty, "divergence": divergence}
    whole = decompose(a_sound(), 2, FRAME, iterations=6, rng=seed, **options)
    half = decompose(a_sound(), 2, FRAME, iterations=3, rng=seed, **options)
    rest = decompose(a_sound(), 2, FRAME, iterations=3, start=half, **options)
    np.testing.assert_allclose(rest.history["objective"], whole.history["objective"][3:], rtol=1e-8)


def test_the_sound_of_another_result_is_a_start_near_it():
    x = a_sound()
    found = decompose(x, 2, FRAME, pattern_length=10, iterations=100, rng=0)
    other = GaborFrame("hann", 4, 16).tight()
    start = next(iterate(x, 2, other, pattern_length=20, start=found))
    drawn = next(iterate(x, 2, other, pattern_length=20, rng=0))
    assert start.record["objective"] < drawn.record["objective"]
    assert start.factors.patterns.min() > 0
    assert start.factors.activations.min() > 0
    lone = next(iterate(x, 2, other, pattern_length=20, start=found, penalty=0.1))
    np.testing.assert_allclose(sizes(lone.factors.patterns), 1)


def test_the_pattern_of_a_sound_is_what_its_loudest_stretch_looks_like():
    """A tone, which looks the same in all of its frames, and a component that is silent."""
    tone = np.sin(2 * np.pi / 8 * np.arange(400))
    sounds = np.stack([tone, 0 * tone])
    found = Decomposition(
        "by hand", None, np.ones((2, 1)), 8, 0, 0 * tone, spectra=np.ones((2, 17)), sounds=sounds
    )
    start = next(iterate(tone, 2, FRAME, pattern_length=6, start=found)).factors
    np.testing.assert_allclose(start.patterns[0], np.tile(start.patterns[0, :1], (6, 1)), rtol=1e-9)
    assert start.patterns[0, 0].argmax() == 4
    assert start.patterns.min() > 0
    mean = FRAME.spectrogram(tone, 1.0).mean()
    assert model(start.patterns, start.activations).mean() == pytest.approx(mean)


def test_results_are_kept_by_a_file(tmp_path):
    found = decompose(a_sound(), 2, FRAME, pattern_length=4, iterations=3, rng=0)
    found.save(tmp_path / "found.npz")
    again = Decomposition.load(tmp_path / "found.npz")
    assert again.spectra.shape == (2, 4, 17)
    np.testing.assert_array_equal(again.spectra, found.spectra)
    np.testing.assert_array_equal(again.components(), found.components())
    assert (again.first_sample, again.parameters) == (found.first_sample, found.parameters)


def test_memory_is_what_the_estimate_says():
    frame, x = GaborFrame("hann", 64, 512).tight(), normal(0, 60_000)
    for L, K in ((1, 4), (40, 2), (40, 6)):
        needed = estimate(x.size, K, frame, pattern_length=L).memory_bytes
        tracemalloc.start()
        decompose(x, K, frame, pattern_length=L, iterations=2, rng=0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert 0.3 * needed < peak < needed


def test_estimates_need_no_window_of_their_own():
    double, single = (estimate(345_500, 8, dtype=dtype) for dtype in (np.float64, np.float32))
    assert double.memory_bytes == 2 * single.memory_bytes < 10**9
    longer = estimate(345_500, 8, pattern_length=200)
    assert longer.memory_bytes > double.memory_bytes
    assert longer.seconds_per_iteration > 0


# ---- bad input -------------------------------------------------------------------------------

V = np.random.default_rng(0).random((9, 5)) + 0.1
START = np.ones((1, 2, 5)), np.ones((1, 10))


@pytest.mark.parametrize(
    ("matrix", "K", "options", "message"),
    [
        (V[0], 1, {}, "V must be two-dimensional"),
        (V[:0], 1, {}, "V must not be empty"),
        (V + 0j, 1, {}, "V must be real"),
        (np.where(V == V.max(), np.nan, V), 1, {}, "V must be finite, got nan"),
        (np.where(V == V.max(), np.inf, V), 1, {}, "V must be finite, got inf"),
        (V.round().astype(int), 1, {}, "V must hold floating-point numbers, got int64"),
        (-V, 1, {}, "V must not be negative, got -"),
        (0 * V, 1, {}, "V must not be zero everywhere"),
        (
            np.pad(V, 1),
            1,
            {"divergence": "itakura-saito"},
            "V must be positive for the itakura-saito divergence, got 0",
        ),
        (V, 0, {}, "n_components must be a whole number from 1 to 5, got 0"),
        (V, 6, {}, "n_components must be a whole number from 1 to 5, got 6"),
        (V, 1, {"pattern_length": 0}, "pattern_length must be a whole number from 1 to 9, got 0"),
        (V, 1, {"pattern_length": 10}, "pattern_length must be a whole number from 1 to 9"),
        (V, 1, {"pattern_length": 2.0}, "pattern_length must be a whole number"),
        (V, 1, {"divergence": "far"}, "divergence must be one of euclidean, kullback-leibler"),
        (V, 1, {"penalty": -1.0}, "penalty must be .* at least 0, got -1.0"),
        (V, 1, {"penalty": np.nan}, "penalty must be a finite number"),
        (V, 1, {"activation_update": "all"}, "activation_update must be one of joint, averaged"),
        (
            V,
            1,
            {"activation_update": "averaged", "penalty": 1.0},
            "penalty must be 0 with averaged activation updates, got 1.0",
        ),
        (V, 1, {"start": "tape"}, "start must be one of random, got 'tape'"),
        (V, 1, {"start": START[:1]}, "start must hold patterns, activations, got 1"),
        (V, 1, {"start": (START[0][:, :1], START[1])}, r"patterns must have shape \(1, 2, 5\)"),
        (V, 1, {"start": (START[0], START[1][:, 1:])}, r"activations must have shape \(1, 10\)"),
        (V, 1, {"start": (-START[0], START[1])}, "start's patterns must not be negative"),
        (V, 1, {"start": (START[0], -START[1])}, "start's activations must not be negative"),
        (V, 1, {"start": (START[0] * np.nan, START[1])}, "start's patterns must be finite"),
    ],
)
def test_a_bad_matrix_is_named(matrix, K, options, message):
    with pytest.raises(ValueError, match=message):
        factorize(matrix, K, **{"pattern_length": 2, **options})


X = normal(0, 100)


@pytest.mark.parametrize(
    ("x", "K", "frame", "options", "message"),
    [
        (np.zeros(100), 1, FRAME, {}, "x must not be zero everywhere"),
        (X[:, None], 1, FRAME, {}, "x must be one-dimensional"),
        (X, 1, GaborFrame("hann", 8, 32), {}, "frame must be tight with bounds 1.*use frame.tight"),
        (X, 1, None, {}, "pattern_length must be a whole number from 1 to 2, got 3"),
        (X, 1, FRAME, {"pattern_length": 17}, "pattern_length must be .* from 1 to 16, got 17"),
        (X, 17, FRAME, {}, "n_components must be a whole number from 1 to 16, got 17"),
        (X, 1, FRAME, {"power": 0.0}, "power must be positive, got 0.0"),
        (X, 1, FRAME, {"floor": -1.0}, "floor must be a finite number of at least 0, got -1.0"),
        (X, 1, FRAME, {"floor": 0.0, "divergence": "itakura-saito"}, "floor must be positive"),
        (X, 1, FRAME, {"iterations": -1}, "iterations must be a whole number"),
        (
            X,
            1,
            FRAME,
            {"start": (np.ones((1, 3, 17)),)},
            "start must hold patterns, activations, got 1",
        ),
        (
            X,
            2,
            FRAME,
            {"start": decompose(X, 1, FRAME, pattern_length=3, iterations=0, rng=0)},
            "start must have 2 components, got 1",
        ),
    ],
)
def test_a_bad_signal_is_named(x, K, frame, options, message):
    with pytest.raises(ValueError, match=message):
        decompose(x, K, frame, **{"pattern_length": 3, **options})


def test_what_cannot_fit_says_so_before_it_starts(monkeypatch):
    from cdlnmf_lit.methods import resources

    monkeypatch.setattr(resources, "available_memory", lambda: 1e4)
    with pytest.raises(MemoryError, match="100 samples into 1 patterns of 3 frames needs about"):
        iterate(X, 1, FRAME, pattern_length=3)
