"""Convolutive NMF is the literal one, never rises, is NMF at length 1, moves with the signal."""

import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdlnmf_lit.methods import convolutive_nmf
from cdlnmf_lit.methods.convolutive_nmf import (
    ConvolutiveNMF,
    Problem,
    delayed,
    masks,
    model,
    undelayed,
)
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.factors import normalised
from cdlnmf_lit.methods.nmf import DIVERGENCES, NMF, beta_divergence, mm_exponent
from cdlnmf_lit.theory import blocks
from cdlnmf_lit.theory.gabor import hann
from tests.strategies import dtypes, normal, seeds

divergences = st.sampled_from(list(DIVERGENCES))
penalties = st.sampled_from([0.0, 0.1, 3.0])
free_or_held = st.sampled_from([None, "patterns", "activations"])


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


def states(V, W, Z, held=None, **options):
    method = ConvolutiveNMF(pattern_length=W.shape[1], **options)
    return method.factorize(V, len(W), start=(W, Z), held=held)


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


def sizes(W):
    return np.array([np.sqrt(np.sum(w**2)) for w in W])


def literal_objective(V, W, Z, beta, penalty):
    fit = beta_divergence(V, literal_model(W, Z), beta).sum()
    return fit + penalty * sizes(W) @ Z.sum(axis=1)


def gradients(V, W, Z, beta):
    """Both parts of the divergence's gradient, minus and plus, in W and in Z."""
    M = literal_model(W, Z)
    q, p = V * M ** (beta - 2), M ** (beta - 1)
    in_W, in_Z = np.zeros((2, *W.shape)), np.zeros((2, *Z.shape))
    for k, delay, n, m in places(*W.shape[:2], len(V)):
        for part, weights in enumerate((q, p)):
            in_W[part, k, delay] += Z[k, m] * weights[n]
            in_Z[part, k, m] += W[k, delay] @ weights[n]
    return in_W, in_Z


def literal_step(V, W, Z, beta, penalty, held=None):
    """One joint iteration: activations, then patterns, then the norms."""
    gamma = mm_exponent(beta)
    if held != "activations":
        _, (up, down) = gradients(V, W, Z, beta)
        Z = Z * (up / (down + penalty * sizes(W)[:, None])) ** gamma
    if held != "patterns":
        (up, down), _ = gradients(V, W, Z, beta)
        pull = (penalty * Z.sum(axis=1) / sizes(W))[:, None, None]
        W = W * (up / (down + pull * W)) ** (1 / (3 - beta) if penalty else gamma)
    if held or not penalty:
        return W, Z
    return W / sizes(W)[:, None, None], Z * sizes(W)[:, None]


def literal_averaged(V, W, Z, beta):
    """Activations by the mean of the ratios of each delay, over the delays that are seen."""
    M = literal_model(W, Z)
    q, p = V * M ** (beta - 2), M ** (beta - 1)
    total, count = np.zeros_like(Z), np.zeros_like(Z)
    for k, delay, n, m in places(*W.shape[:2], len(V)):
        total[k, m] += (W[k, delay] @ q[n]) / (W[k, delay] @ p[n])
        count[k, m] += 1
    return Z * (total / count) ** mm_exponent(beta)


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
    assert np.sum(delayed(Z, L) * S) == pytest.approx(np.sum(Z * undelayed(S)))


@given(problems(), divergences, penalties, free_or_held)
def test_the_iterates_are_the_literal_ones(problem, divergence, penalty, held):
    """A factor that is held stays to the bit, and is not scaled to norm 1 either."""
    V, W, Z = problem
    beta = DIVERGENCES[divergence]
    iterates = states(V, W, Z, held, divergence=divergence, penalty=penalty)
    if penalty and not held:
        W, Z = W / sizes(W)[:, None, None], Z * sizes(W)[:, None]
    for iteration, factors in enumerate(islice(iterates, 5)):
        assert factors.iteration == iteration
        if held:
            kept = W if held == "patterns" else Z
            np.testing.assert_array_equal(getattr(factors, held), kept)
        np.testing.assert_allclose(factors.patterns, W, rtol=1e-4, atol=1e-8 * W.max())
        np.testing.assert_allclose(factors.activations, Z, rtol=1e-4, atol=1e-8 * Z.max())
        wanted = literal_objective(V, W, Z, beta, penalty)
        assert factors.objective == pytest.approx(wanted, rel=1e-6, abs=1e-9 * V.sum())
        W, Z = literal_step(V, W, Z, beta, penalty, held)


@given(problems(), divergences)
def test_averaged_activations_are_the_literal_ones(problem, divergence):
    V, W, Z = problem
    problem = Problem(V, DIVERGENCES[divergence], activation_update="averaged")
    _, found = problem.updated_activations(W, Z)
    np.testing.assert_allclose(found, literal_averaged(V, W, Z, DIVERGENCES[divergence]), rtol=1e-7)


@given(problems(), divergences)
def test_patterns_of_one_frame_are_nmf(problem, divergence):
    V, W, Z = problem
    W, Z = W[:, :1], Z[:, : len(V)]
    ours = states(V, W, Z, divergence=divergence)
    theirs = NMF(divergence=divergence).factorize(V, len(W), start=(W[:, 0], Z))
    for one, other in islice(zip(ours, theirs, strict=False), 10):
        np.testing.assert_allclose(one.patterns[:, 0], other.patterns, rtol=1e-9)
        np.testing.assert_allclose(one.activations, other.activations, rtol=1e-9)
        assert one.objective == pytest.approx(other.objective, rel=1e-9, abs=1e-12 * V.sum())


# ---- why it never rises ----------------------------------------------------------------------


@given(problems(silence=True), divergences, penalties, free_or_held, dtypes)
def test_the_objective_never_rises(problem, divergence, penalty, held, dtype):
    V, W, Z = (each.astype(dtype) for each in problem)
    if divergence == "itakura-saito":
        V = np.maximum(V, V.dtype.type(1e-5) * V.mean())
    scale = float(V.sum()) if divergence != "itakura-saito" else V.size
    tolerance = 1e-12 if dtype == np.float64 else 2e-5
    iterates = states(V, W, Z, held, divergence=divergence, penalty=penalty)
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
    return beta_divergence(V, M, beta).sum() + total + pulled


@given(problems(), divergences, penalties, seeds)
def test_the_auxiliary_function_lies_above_and_the_update_is_its_minimum(
    problem, divergence, penalty, seed
):
    V, W, Z = problem
    beta, rng = DIVERGENCES[divergence], np.random.default_rng(seed)
    touched = auxiliary(V, W, Z, W, beta, penalty)
    assert touched == pytest.approx(literal_objective(V, W, Z, beta, penalty))
    for spread in (0.1, 2.0):
        other = W * np.exp(spread * rng.standard_normal(W.shape))
        above = auxiliary(V, other, Z, W, beta, penalty)
        assert above >= literal_objective(V, other, Z, beta, penalty) * (1 - 1e-9) - 1e-12
    best = Problem(V, beta, penalty).updated_patterns(W, Z)
    lowest = auxiliary(V, best, Z, W, beta, penalty)
    for _ in range(5):
        near = best * np.exp(0.1 * rng.standard_normal(W.shape))
        assert auxiliary(V, near, Z, W, beta, penalty) >= lowest - 1e-9 * (1 + abs(lowest))


def test_averaged_activations_leave_a_stationary_point_and_rise():
    """Where all delays together ask for no change, the mean of what each asks for does."""
    rng = np.random.default_rng(0)
    V = rng.gamma(0.5, size=(30, 6)) + 1e-3
    rested = last(ConvolutiveNMF(pattern_length=4).factorize(V, 2, rng=0), 3000)
    start = rested.patterns, rested.activations
    joint, averaged = (
        Problem(V, 1.0, activation_update=update) for update in ("joint", "averaged")
    )
    _, still = joint.updated_activations(*start)
    _, moved = averaged.updated_activations(*start)
    scale = rested.activations.max()
    assert np.abs(still - rested.activations).max() < 1e-3 * scale
    assert np.abs(moved - rested.activations).max() > 0.1 * scale
    after, _ = joint.updated_activations(rested.patterns, moved)
    assert after > 1.02 * rested.objective
    one, other = islice(states(V, *start, activation_update="averaged"), 2)
    assert other.objective > one.objective


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
    unit = gain ** (DIVERGENCES[divergence] - 1.0)
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
@pytest.mark.parametrize("divergence", list(DIVERGENCES))
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


@pytest.mark.parametrize("update", ["joint", "averaged"])
@pytest.mark.parametrize("divergence", list(DIVERGENCES))
def test_blocks_and_threads_do_not_matter(monkeypatch, divergence, update):
    V = np.random.default_rng(0).random((97, 31)) + 0.1
    method = ConvolutiveNMF(pattern_length=13, divergence=divergence, activation_update=update)

    def found():
        return last(method.factorize(V, 2, rng=0), 5)

    whole = found()
    small = {"ROWS": 7, "COLUMNS": 5, "WORTH": 0, "SHORTEST": 3, "SHORT": 4, "ONE_THREAD": 60}
    for name, size in small.items():
        of = convolutive_nmf if hasattr(convolutive_nmf, name) else blocks
        monkeypatch.setattr(of, name, size)
    monkeypatch.setattr(blocks, "_tiles", blocks._tiles.__wrapped__)
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


def test_no_view_of_a_days_activations_is_beyond_a_browsers_python(virtual_bytes):
    """Its addresses have 32 bits; 24 hours are 1.9 million frames of the usual frame."""
    K, L, N, F = 8, 44, 1_860_469, 2
    problem = convolutive_nmf.Problem(np.broadcast_to(np.ones(()), (N, F)), 1.0)
    W, Z = np.ones((K, L, F)), np.broadcast_to(np.ones(()), (K, N + L - 1))
    virtual_bytes.clear()
    np.testing.assert_array_equal(problem.heard(Z), np.full((K, L), N))
    assert convolutive_nmf.model(W, Z, slice(N - 2, N)).max() == K * L
    assert 0 < max(virtual_bytes) < 2**31


def test_a_start_from_a_sound_is_the_same_whatever_the_threads_of_blas():
    program = (
        "import hashlib, numpy as np; from cdlnmf_lit.methods import convolutive_nmf as cnmf;"
        "rng = np.random.default_rng(0); V, W = rng.random((129, 1025)), rng.random((8, 44, 1025));"
        "problem, Z = cnmf.Problem(V, 1.0), rng.random((8, 172));"
        "found = problem.alike(W), *problem.updated_activations(W, Z);"
        "print(*(hashlib.sha256(np.asarray(each).tobytes()).hexdigest() for each in found))"
    )

    def found(threads):
        variables = {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        told = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | variables,
            capture_output=True,
            check=True,
        )
        return told.stdout

    assert found(1) == found(2)


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

FRAME = hann(32, 8)
SMALL = ConvolutiveNMF(frame=FRAME, pattern_length=6, iterations=20)


def a_sound(T=400):
    t = np.arange(T)
    return np.sin(0.002 * t * (t % 200)) * (t % 200 < 90) * (t < 330)


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
    method = ConvolutiveNMF(frame=FRAME, pattern_length=L, iterations=1)
    found = method.decompose(x, 1, start=(W, Z))
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
    method = replace(SMALL, floor=0.0)
    one = method.decompose(x, 2, start=(W, Z))
    other = method.decompose(late, 2, start=(W, np.pad(Z, ((0, 0), (more - N, 0)))))
    np.testing.assert_allclose(other.spectra, one.spectra, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(other.components()[:, 5 * FRAME.hop :], one.components(), atol=1e-9)


@given(st.sampled_from([0.0, 0.2]), divergences, seeds)
def test_a_run_goes_on_from_its_own_result(penalty, divergence, seed):
    method = replace(SMALL, penalty=penalty, divergence=divergence, iterations=3)
    whole = replace(method, iterations=6).decompose(a_sound(), 2, rng=seed)
    half = method.decompose(a_sound(), 2, rng=seed)
    rest = method.decompose(a_sound(), 2, start=half)
    np.testing.assert_allclose(rest.history["objective"], whole.history["objective"][3:], rtol=1e-8)
    np.testing.assert_allclose(rest.spectra, whole.spectra, rtol=1e-6, atol=1e-9)


def test_the_sound_of_another_result_is_a_start_near_it():
    x = a_sound()
    found = replace(SMALL, pattern_length=10, iterations=100).decompose(x, 2, rng=0)
    method = ConvolutiveNMF(frame=hann(16, 4), pattern_length=20)
    start, drawn = next(method.iterate(x, 2, start=found)), next(method.iterate(x, 2, rng=0))
    assert start.objective < drawn.objective
    assert start.patterns.min() > 0
    assert start.activations.min() > 0
    lone = next(replace(method, penalty=0.1).iterate(x, 2, start=found))
    np.testing.assert_allclose(sizes(lone.patterns), 1)


@pytest.mark.parametrize("changed", [{"power": 2.0}, {"pattern_length": 7}, {"frame": hann(32, 4)}])
def test_factors_of_another_spectrogram_are_not_taken(changed):
    """Where power, length or frames differ the start is what the components sound like."""
    found = SMALL.decompose(a_sound(), 2, rng=0)
    own = next(SMALL.iterate(a_sound(), 2, start=found))
    np.testing.assert_array_equal(own.patterns, found.spectra)
    np.testing.assert_array_equal(own.activations, found.activations)
    late = replace(found, first_sample=found.first_sample + FRAME.hop)
    for method, given_start in ((replace(SMALL, **changed), found), (SMALL, late)):
        start = next(method.iterate(a_sound(), 2, start=given_start))
        assert not np.isin(start.patterns, found.spectra).any()


def test_the_pattern_of_a_sound_is_what_its_loudest_stretch_looks_like(monkeypatch):
    """A tone, which looks the same in all of its frames, and a component that is silent."""
    tone = np.sin(2 * np.pi / 8 * np.arange(400))
    sounds = np.stack([tone, 0 * tone])
    found = Decomposition(
        "by hand", None, np.ones((2, 1)), 8, 0, 0 * tone, spectra=np.ones((2, 17)), sounds=sounds
    )
    start = next(SMALL.iterate(tone, 2, start=found))
    np.testing.assert_allclose(start.patterns[0], np.tile(start.patterns[0, :1], (6, 1)), rtol=1e-9)
    assert start.patterns[0, 0].argmax() == 4
    assert start.patterns.min() > 0
    V = FRAME.spectrogram(tone, 1.0)
    assert model(start.patterns, start.activations).mean() == pytest.approx(V.mean())
    alike = undelayed(np.einsum("klf,nf->kln", start.patterns, V))
    wanted = np.maximum(alike, 1e-3 * alike.max())
    scale = start.activations.max() / wanted.max()
    np.testing.assert_allclose(start.activations, scale * wanted)
    monkeypatch.setattr(convolutive_nmf, "ROWS", 5)
    cut = next(SMALL.iterate(tone, 2, start=found))
    np.testing.assert_allclose(cut.activations, start.activations)


def test_patterns_alone_begin_as_loud_as_the_signal():
    W = np.random.default_rng(0).random((2, 6, 17))
    for patterns in (W, 0 * W):
        start = next(SMALL.iterate(a_sound(), 2, start=(patterns, None), held="patterns"))
        np.testing.assert_array_equal(start.activations, start.activations[0, 0])
        assert np.isfinite(start.objective)
    start = next(SMALL.iterate(a_sound(), 2, start=(W, None)))
    V = FRAME.spectrogram(a_sound(), 1.0)
    assert model(W, start.activations).mean() == pytest.approx(V.mean())


@pytest.mark.parametrize(
    ("channels", "hop", "L", "K"),
    [(512, 64, 1, 4), (512, 64, 40, 2), (512, 64, 40, 6), (64, 16, 150, 8)],
)
@pytest.mark.long
def test_memory_is_what_the_estimate_says(channels, hop, L, K):
    """With the patterns longer than the window has channels too, and from another's sounds."""
    method = ConvolutiveNMF(frame=hann(channels, hop), pattern_length=L, iterations=2)
    x = normal(0, 60_000)
    needed = method.estimate(x.size, K).memory_bytes
    sounds = NMF(frame=hann(400, 100), iterations=0).decompose(x, K)
    for start in (None, sounds):
        tracemalloc.start()
        method.decompose(x, K, start=start)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert 0.3 * needed < peak < needed


def test_longer_patterns_need_more():
    usual, longer = (
        ConvolutiveNMF(pattern_length=L).estimate(345_500, 8, np.float32) for L in (44, 200)
    )
    assert usual.memory_bytes < longer.memory_bytes < 5 * 10**8


# ---- bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern_length": 0}, "pattern_length must be a whole number of at least 1, got 0"),
        ({"divergence": 1.0}, "divergence must be one of euclidean, kullback-leibler"),
        ({"penalty": -1.0}, "penalty must be .* at least 0, got -1.0"),
        ({"activation_update": "averaged", "penalty": 1.0}, "penalty must be 0 .*, got 1.0"),
    ],
)
def test_options_that_do_not_fit_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ConvolutiveNMF(**options)


def test_a_matrix_or_a_signal_shorter_than_the_patterns_is_refused():
    with pytest.raises(ValueError, match="pattern_length must be a whole number from 1 to 9"):
        ConvolutiveNMF(pattern_length=10).factorize(np.ones((9, 5)), 1)
    with pytest.raises(ValueError, match="pattern_length must be a whole number from 1 to 16"):
        replace(SMALL, pattern_length=17).iterate(normal(0, 100), 1)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ((np.ones((1, 1, 5)), np.ones((1, 10))), r"patterns must have shape \(1, 2, 5\)"),
        ((np.ones((1, 2, 5)), np.ones((1, 9))), r"activations must have shape \(1, 10\)"),
    ],
)
def test_the_start_of_a_matrix_has_the_shapes_of_its_patterns(start, message):
    with pytest.raises(ValueError, match=message):
        ConvolutiveNMF(pattern_length=2).factorize(np.ones((9, 5)), 1, start=start)
