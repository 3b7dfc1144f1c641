"""Low-rank time-frequency synthesis is the literal one on all channels, and never loses ground."""

import tracemalloc
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.lrtfs import BACKGROUND, COOLING, LRTFS, posterior_variance, shrunk
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.theory import blocks
from cdlnmf_lit.theory.convolution import synthesize
from cdlnmf_lit.theory.gabor import GaborFrame, hann
from tests import reference
from tests.strategies import dtypes, frames, normal, seeds

ESTIMATIONS = ("marginal", "joint")
estimations = st.sampled_from(ESTIMATIONS)


def positive(seed, *shape):
    return 0.1 + np.random.default_rng(seed).random(shape)


@st.composite
def problems(draw, *, longest=10):
    """A method with any frame and options, a signal with silence in it, and K."""
    frame = draw(frames(longest=longest))
    if draw(st.booleans()):
        assume(frame.bounds(200)[0] > 0.1 * frame.bounds(200)[1])
        frame = frame.tight()
    T = draw(st.integers(2, 40))
    x = normal(draw(seeds), T)
    if draw(st.booleans()):
        x[T // 2 :] = 0
        assume(np.ptp(x) > 0)
    K = draw(st.integers(1, min(3, frame.n_frames(T), frame.channels // 2 + 1)))
    method = LRTFS(
        frame=frame,
        noise=draw(st.sampled_from([1e-4, 1e-2, 1.0])),
        estimation=draw(estimations),
        annealing=draw(st.sampled_from([1.0, 1.5, 30.0])),
        relaxation=draw(st.sampled_from([0.5, 1.0, 1.9])),
    )
    return method, x, K


# ---- the literal algorithm ------------------------------------------------------------------


def mirrored(half, M):
    """Channels 0 to ``M - 1`` of a real, even spectrum, from channels 0 to ``M // 2``."""
    nu = np.arange(M)
    return half[..., np.minimum(nu, M - nu)]


def literal(x, method, W, Z, held=None):
    """Yield ``α (N, M), W (K, M), Z (K, N)`` and the objective: all channels, all at once."""
    Phi = reference.dictionary(method.frame, x.size)
    L = np.linalg.norm(Phi.reshape(x.size, -1), 2) ** 2
    energy = np.sum(np.abs(Phi[:, :, :1]) ** 2, axis=0)
    epsilon, iteration = BACKGROUND * method.noise, 0
    alpha, P = np.zeros(Phi.shape[1:], complex), np.zeros(Phi.shape[1:])
    while True:
        lam = method.noise * max(1, method.annealing * COOLING**iteration)
        if iteration and held != "patterns":
            v = epsilon + Z.T @ W
            W = W * np.sqrt((Z @ (P / v**2)) / (Z @ (1 / v)))
        v = epsilon + Z.T @ W
        z = alpha + np.einsum("tnm,t->nm", Phi.conj(), x - synthesised(Phi, alpha)) / L
        step = v / (v + lam / L) * z - alpha
        alpha = alpha + (method.relaxation if iteration else 1) * step
        s = 1 / (1 / v + energy / lam) if method.estimation == "marginal" else 0 * v
        P = np.abs(alpha) ** 2 + s
        if iteration and held != "activations":
            Z = Z * np.sqrt(((P / v**2) @ W.T) / ((1 / v) @ W.T)).T
        v = epsilon + Z.T @ W
        misfit = np.sum((x - synthesised(Phi, alpha)) ** 2)
        if method.estimation == "marginal":
            misfit += np.sum(energy * s) + lam * np.sum(P / v + np.log(v / s) - 1)
        else:
            misfit += lam * np.sum(P / v + np.log(v / epsilon))
        yield alpha, W, Z, misfit
        iteration += 1


def synthesised(Phi, alpha):
    found = np.einsum("tnm,nm->t", Phi, alpha)
    np.testing.assert_allclose(found.imag, 0, atol=1e-9 * (1 + np.abs(found).max()))
    return found.real


def cut_small(states):
    """The same states, computed in blocks of few frames and pieces of fewer."""
    while True:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cdlnmf_lit.theory.gabor.BLOCK", 64)
            patch.setattr("cdlnmf_lit.methods.lrtfs.SINGLE", 16)
            state = next(states)
        yield state


@given(problems(), st.sampled_from([None, "patterns", "activations"]), seeds)
def test_the_iterates_are_those_of_the_literal_algorithm_on_all_channels(problem, held, seed):
    method, x, K = problem
    M, N = method.frame.channels, method.frame.n_frames(x.size)
    W, Z = positive(seed, K, M // 2 + 1), positive(seed + 1, K, N)
    states = cut_small(method.iterate(x, K, start=(W, Z), held=held))
    expected = literal(x, method, mirrored(W, M), Z, held)
    for state, (alpha, W, Z, objective) in islice(zip(states, expected, strict=False), 12):
        for found, wanted in [
            (state.coefficients, alpha[:, : M // 2 + 1]),
            (state.patterns, W[:, : M // 2 + 1]),
            (state.activations, Z),
            (state.objective, objective),
        ]:
            np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-9 * np.abs(wanted).max())
        signal = reference.synthesis(method.frame, alpha, x.size).real
        np.testing.assert_allclose(state.residual, x - signal, atol=1e-9)


@given(problems(), seeds)
def test_coefficients_that_a_real_signal_has_real_stay_real(problem, seed):
    method, x, K = problem
    *_, state = islice(method.iterate(x, K, rng=seed), 5)
    assert not np.any(state.coefficients[:, 0].imag)
    if method.frame.channels % 2 == 0 and method.frame.phase == "time-invariant":
        assert not np.any(state.coefficients[:, -1].imag)


# ---- it goes down, and why ------------------------------------------------------------------


@given(problems(), dtypes, seeds)
def test_no_iteration_raises_the_objective(problem, dtype, seed):
    method, x, K = problem
    states = method.iterate(x.astype(dtype), K, rng=seed)
    slack = 1e-4 if dtype == np.float32 else 1e-10
    for before, after in pairwise(islice(states, 40)):
        assert 0 <= after.objective <= before.objective * (1 + slack)


@given(frames(longest=8), st.integers(2, 12), seeds)
def test_the_data_term_lies_below_its_majoriser(frame, T, seed):
    rng = np.random.default_rng(seed)
    Phi = reference.dictionary(frame, T).reshape(T, -1)
    L = frame.bounds(T)[1]
    x = rng.standard_normal(T)
    a, b = rng.standard_normal((2, Phi.shape[1], 2)).view(complex)[..., 0]
    z = b + Phi.conj().T @ (x - Phi @ b) / L
    constant = np.linalg.norm(x - Phi @ b) ** 2 - L * np.linalg.norm(b - z) ** 2
    above = L * np.linalg.norm(a - z) ** 2 + constant
    assert np.linalg.norm(x - Phi @ a) ** 2 <= above * (1 + 1e-9) + 1e-9
    np.testing.assert_allclose(
        np.linalg.norm(x - Phi @ b) ** 2, L * np.linalg.norm(b - z) ** 2 + constant
    )


@given(seeds, st.floats(1e-3, 10), st.floats(-1, 1), st.floats(-1, 1))
def test_shrinking_minimises_the_majoriser(seed, threshold, right, up):
    rng = np.random.default_rng(seed)
    z, v = rng.standard_normal(4) + 1j * rng.standard_normal(4), rng.random(4) + 0.01

    def majoriser(alpha):
        return np.abs(alpha - z) ** 2 / threshold + np.abs(alpha) ** 2 / v

    found = shrunk(z, v, threshold)
    assert np.all(majoriser(found) <= majoriser(found + right + 1j * up) + 1e-12)


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.floats(0, 10))
def test_the_posterior_variance_minimises_the_bound(v, noise, energy):
    def bound(s):
        return energy * s / noise + s / v - np.log(s)

    s = posterior_variance(np.array([[v]]), np.array([[energy]]), noise)[0, 0]
    for factor in (0.5, 0.99, 1.01, 2):
        assert bound(s) <= bound(factor * s)


@given(st.integers(1, 3), seeds)
def test_the_prior_term_lies_below_its_majoriser(K, seed):
    """Jensen for ``1/v`` and a tangent for ``log v``, the fixed ``ε`` being one more component."""
    rng = np.random.default_rng(seed)
    P, w, z, other = 2 * rng.random(), rng.random(K), rng.random(K) + 0.01, rng.random(K) + 0.01
    epsilon = 0.1 * rng.random()

    def prior(z):
        v = epsilon + z @ w
        return P / v + np.log(v)

    v = epsilon + z @ w
    above = P / v**2 * (epsilon + np.sum(w * z**2 / other)) + np.log(v)
    above += np.sum(w * (other - z)) / v
    assert prior(other) <= above + 1e-9


def dense_fit(x, state):
    """``-2 log p(x)`` under the factors of a state, all coefficients integrated out."""
    T, frame = x.size, state.problem.method.frame
    v = BACKGROUND * state.problem.method.noise + state.activations.T @ state.patterns
    Phi = reference.dictionary(frame, T).reshape(T, -1)
    S = (Phi * mirrored(v, frame.channels).ravel()) @ Phi.conj().T + state.record["noise"] * np.eye(
        T
    )
    np.testing.assert_allclose(S.imag, 0, atol=1e-9 * np.abs(S).max())
    sign, determinant = np.linalg.slogdet(S.real)
    assert sign == 1
    return T * np.log(2 * np.pi) + determinant + x @ np.linalg.solve(S.real, x)


def bound_of(x, state):
    noise = state.record["noise"]
    return state.objective / noise + x.size * np.log(2 * np.pi * noise)


@given(problems(), seeds)
def test_the_marginal_objective_bounds_the_likelihood(problem, seed):
    method, x, K = problem
    states = replace(method, estimation="marginal").iterate(x, K, rng=seed)
    for state in islice(states, 0, 20, 4):
        exact = dense_fit(x, state)
        assert exact <= bound_of(x, state) + 1e-7 * (1 + abs(exact))


def unitary(M):
    """A Fourier basis of each stretch of ``M`` samples: ``Φ`` is a unitary matrix."""
    return GaborFrame(np.full(M, 1 / np.sqrt(M)), M)


@given(st.integers(2, 9), st.integers(1, 5), seeds)
def test_for_a_basis_the_bound_is_tight_and_the_likelihood_rises(M, N, seed):
    x = normal(seed, M * N)
    states = list(islice(LRTFS(frame=unitary(M), noise=0.1).iterate(x, 1, rng=seed), 15))
    fits = [dense_fit(x, state) for state in states]
    np.testing.assert_allclose(bound_of(x, states[0]), fits[0], rtol=1e-9)
    assert np.all(np.diff(fits) <= 1e-9 * np.abs(fits[0]))


# ---- what it becomes ------------------------------------------------------------------------


@given(st.integers(2, 9), st.integers(1, 3), seeds)
def test_without_noise_and_with_a_basis_it_is_isnmf(M, K, seed):
    frame, N = unitary(M), 6
    assume(M // 2 + 1 >= K)
    x = normal(seed, M * N)
    V = np.abs(frame.analysis(x)) ** 2
    assume(V.min() > 1e-4)
    W, Z = positive(seed, K, M // 2 + 1), positive(seed + 1, K, N)
    states = LRTFS(frame=frame, noise=1e-13, estimation="joint").iterate(x, K, start=(W, Z))
    next(states)
    full = mirrored(W, M)
    for state in islice(states, 10):
        model = Z.T @ full
        full = full * np.sqrt((Z @ (V / model**2)) / (Z @ (1 / model)))
        model = Z.T @ full
        Z = Z * np.sqrt(((V / model**2) @ full.T) / ((1 / model) @ full.T)).T
        np.testing.assert_allclose(state.patterns, full[:, : M // 2 + 1], rtol=1e-6)
        np.testing.assert_allclose(state.activations, Z, rtol=1e-6)


def planted(seed, estimation, noise, M=12, N=15, K=2):
    """A signal over a basis, of which the factors are a fixed point."""
    rng = np.random.default_rng(seed)
    W, Z = rng.random((K, M // 2 + 1)) ** 3 + 0.01, rng.random((K, N)) ** 3 + 0.01
    v = BACKGROUND * noise + Z.T @ W
    size = np.sqrt(v + noise) if estimation == "marginal" else (v + noise) / np.sqrt(v)
    X = size * np.exp(2j * np.pi * rng.random(v.shape))
    X[:, [0, -1]] = size[:, [0, -1]] * rng.choice([-1, 1], (N, 2))
    return unitary(M), unitary(M).half_synthesis(X, M * N), W, Z


@given(estimations, st.sampled_from([1e-3, 0.1, 1.0]), seeds)
def test_planted_factors_are_a_fixed_point(estimation, noise, seed):
    frame, x, W, Z = planted(seed, estimation, noise)
    method = LRTFS(frame=frame, noise=noise, estimation=estimation)
    for state in islice(method.iterate(x, 2, start=(W, Z)), 5):
        np.testing.assert_allclose(state.patterns, W, rtol=1e-8)
        np.testing.assert_allclose(state.activations, Z, rtol=1e-8)


@pytest.mark.parametrize("estimation", ESTIMATIONS)
def test_planted_factors_are_recovered_from_a_near_start(estimation):
    frame, x, W, Z = planted(5, estimation, 1e-3, M=32, N=60)
    near = W * (0.7 + 0.6 * positive(1, *W.shape)), Z * (0.7 + 0.6 * positive(2, *Z.shape))
    method = LRTFS(frame=frame, noise=1e-3, estimation=estimation, iterations=2000)
    found = method.decompose(x, 2, start=near)
    np.testing.assert_allclose(found.activations.T @ found.spectra, Z.T @ W, rtol=0.05)
    for spectrum, true in zip(found.spectra, W, strict=True):
        assert spectrum @ true > 0.999 * np.linalg.norm(spectrum) * np.linalg.norm(true)


# ---- symmetries -----------------------------------------------------------------------------


@given(problems(), seeds, st.floats(1e-3, 1e3))
def test_louder_signals_give_larger_powers(problem, seed, gain):
    method, x, K = problem
    quiet = replace(method, iterations=6)
    louder = replace(quiet, noise=gain**2 * method.noise)
    quiet, loud = quiet.decompose(x, K, rng=seed), louder.decompose(gain * x, K, rng=seed)
    tolerance = 1e-9 * gain * np.abs(x).max()
    np.testing.assert_allclose(
        loud.components(), gain * quiet.components(), rtol=1e-6, atol=tolerance
    )
    np.testing.assert_allclose(
        loud.history["objective"], gain**2 * quiet.history["objective"], rtol=1e-7
    )


@given(seeds, st.sampled_from([0.1, 3.0, 10.0]))
def test_a_louder_window_gives_quieter_coefficients_and_the_same_sounds(seed, gain):
    """But for the background, which does not follow, and does not matter."""
    plain, x = hann(16, 4), normal(seed, 120)
    louder = GaborFrame(gain * plain.window, 4)
    one, other = (LRTFS(frame=each, iterations=10).decompose(x, 2) for each in (plain, louder))
    np.testing.assert_allclose(other.spectra * gain**2, one.spectra, rtol=1e-3)
    np.testing.assert_allclose(other.components(), one.components(), atol=1e-4)


@given(problems(), seeds)
def test_the_order_of_the_components_does_not_matter(problem, seed):
    method, x, K = problem
    W, Z = (positive(seed, *shape) for shape in method.shapes(x.size, K).values())
    one, other = (
        replace(method, iterations=6).decompose(x, K, start=start)
        for start in ((W, Z), (W[::-1], Z[::-1]))
    )
    np.testing.assert_allclose(other.components()[::-1], one.components(), rtol=1e-6, atol=1e-9)


# ---- components, precision, silence ---------------------------------------------------------


@given(problems(), dtypes, seeds)
def test_components_sum_to_the_synthesis_of_any_frame(problem, dtype, seed):
    method, x, K = problem
    found = replace(method, iterations=3).decompose(x.astype(dtype), K, rng=seed)
    tolerance = (1e-5 if dtype == np.float32 else 1e-12) * np.abs(x).max()
    np.testing.assert_allclose(
        found.components().sum(axis=0) + found.residual, x.astype(dtype), atol=tolerance
    )
    assert found.history["relative_residual"][-1] == pytest.approx(
        np.linalg.norm(found.residual) / np.linalg.norm(x), rel=1e-3
    )


@pytest.mark.parametrize("estimation", ESTIMATIONS)
def test_single_precision_follows_double(estimation):
    method = LRTFS(frame=hann(64, 16), estimation=estimation, iterations=50)
    x, start = normal(0, 2000) * np.hanning(2000), (positive(0, 3, 33), positive(1, 3, 128))
    double, single = (method.decompose(x.astype(t), 3, start=start) for t in ("d", "f"))
    np.testing.assert_allclose(single.history["objective"], double.history["objective"], rtol=1e-4)


@given(dtypes, estimations, st.sampled_from([1e-4, 1.0, 1e4]))
def test_silence_and_a_silent_component_do_no_harm(dtype, estimation, gain):
    method, x = LRTFS(frame=hann(16, 4), estimation=estimation, iterations=300), normal(0, 200)
    x[60:140] = 0
    W, Z = gain**2 * positive(0, 2, 9), positive(1, 2, method.frame.n_frames(200))
    W[1], Z[0, 25:29] = 0, 0
    found = method.decompose((gain * x).astype(dtype), 2, start=(W, Z))
    assert np.isfinite(found.components()).all()
    assert np.abs(found.component(1)).max() < 1e-3 * np.abs(found.component(0)).max()
    assert np.abs(found.components()[:, 80:120]).max() < 1e-3 * gain
    slack = 1e-5 if dtype == np.float32 else 1e-10
    assert np.all(np.diff(found.history["objective"]) <= slack * found.history["objective"][0])


# ---- options --------------------------------------------------------------------------------


def test_annealed_noise_falls_to_what_was_asked():
    method = LRTFS(frame=hann(16, 4), noise=0.01, annealing=4.0, iterations=30)
    found = method.decompose(normal(0, 100), 1)
    noise = found.history["noise"]
    np.testing.assert_allclose(noise[:3], 0.01 * 4 * COOLING ** np.arange(3))
    assert noise[-1] == 0.01
    assert np.all(np.diff(noise) <= 0)


# ---- starts ---------------------------------------------------------------------------------


def test_many_blocks_are_summed_in_their_order(monkeypatch):
    method, x, found = LRTFS(frame=hann(64, 1), iterations=2), normal(0, 20_000), []
    assert len(method.frame.blocks(x.size)) > 2
    for threads in (1, 4):
        monkeypatch.setattr(blocks, "n_threads", lambda threads=threads: threads)
        found.append(method.decompose(x, 2))
    np.testing.assert_array_equal(found[0].spectra, found[1].spectra)
    np.testing.assert_array_equal(found[0].history["objective"], found[1].history["objective"])


def test_a_start_from_isnmf_takes_its_factors_as_they_are():
    frame, x = hann(32, 8), normal(0, 400)
    for divergence, power in [("itakura-saito", 2), ("kullback-leibler", 1)]:
        found = NMF(frame=frame, divergence=divergence, iterations=5).decompose(x, 2)
        start = next(LRTFS(frame=frame).iterate(x, 2, start=found))
        np.testing.assert_allclose(start.patterns, found.spectra ** (2 / power))
        np.testing.assert_allclose(start.activations, found.activations ** (2 / power))


def test_a_start_from_another_frame_or_method_is_fitted_to_the_components():
    x = np.sin(0.2 * np.arange(600.0)) * np.hanning(600)
    x[300:] += np.sin(1.1 * np.arange(300.0)) * np.hanning(300)
    fine, atoms, Z = hann(64, 8), normal(1, 2, 32), np.abs(normal(2, 2, 569)) ** 3
    by_hand = Decomposition("by hand", atoms, Z, 1, 0, x - synthesize(atoms, Z))
    for found in (LRTFS(frame=hann(32, 16)).decompose(x, 2), by_hand):
        start = next(LRTFS(frame=fine).iterate(x, 2, start=found))
        for sound, w, z in zip(found.components(), start.patterns, start.activations, strict=True):
            V, sizes = fine.spectrogram(sound), np.linalg.norm(z) * np.linalg.norm(w)
            assert min(w.min(), z.min()) > 0
            assert z @ V @ w == pytest.approx(sizes * np.linalg.norm(V, 2), rel=0.1)
            assert np.outer(z, w).sum() == pytest.approx(V.sum(), rel=0.1)


def test_a_silent_component_of_a_start_may_wake():
    x = normal(0, 200)
    atoms = np.stack([normal(1, 20), np.zeros(20)])
    found = Decomposition("by hand", atoms, np.ones((2, 181)), 1, 0, np.zeros(200))
    *_, state = islice(LRTFS(frame=hann(32, 8)).iterate(x, 2, start=found), 3)
    assert state.patterns.min() > 0
    assert state.activations.min() > 0


def test_a_run_goes_on_from_its_own_factors_and_tells_the_noise_that_it_took():
    method, x = LRTFS(frame=hann(32, 8), iterations=30), normal(0, 400)
    found = method.decompose(x, 2)
    begun = next(method.iterate(x, 2, start=found))
    np.testing.assert_array_equal(begun.patterns, found.spectra)
    assert begun.objective < 1.1 * found.objective
    assert found.parameters["power"] == 2
    assert LRTFS.from_parameters(found.parameters) == replace(method, noise=0.01 * np.mean(x**2))


@given(problems(), seeds)
def test_activations_that_are_to_be_found_begin_with_the_power_of_their_frames(problem, seed):
    method, x, K = problem
    N, F = method.shape(x.size)
    W = positive(seed, K, F)
    W[1:2] = 0
    V = mirrored(method.frame.spectrogram(x), method.frame.channels).sum(axis=1)
    start = next(method.iterate(x, K, start=(W, None)))
    power = mirrored(start.activations.T @ W, method.frame.channels).sum(axis=1)
    share = np.count_nonzero(W.any(axis=1)) / K
    wanted = share * V / method.frame.bounds(x.size)[1] ** 2
    np.testing.assert_allclose(power, wanted, rtol=1e-6, atol=2e-6 * wanted.mean())
    np.testing.assert_array_equal(start.patterns, W)


def test_a_state_that_was_overtaken_says_so():
    states = LRTFS(frame=hann(16, 4)).iterate(normal(0, 100), 1)
    first = next(states)
    first.decomposition()
    next(states)
    for late in (first.decomposition, lambda: first.problem.after(first)):
        with pytest.raises(RuntimeError, match="iteration 0 were overwritten by iteration 1"):
            late()


# ---- before a run ---------------------------------------------------------------------------


@pytest.mark.parametrize("hop", [8, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("estimation", ESTIMATIONS)
def test_memory_is_what_the_estimate_says(hop, dtype, estimation):
    method = LRTFS(frame=hann(512, hop), estimation=estimation, iterations=2)
    x = normal(0, 5000 * hop, dtype=dtype)
    needed = method.estimate(x.size, 4, dtype).memory_bytes
    assert 0.5 * needed < peak_of(method, x) < needed


@pytest.mark.parametrize("estimation", ESTIMATIONS)
def test_memory_is_below_three_spectrograms(monkeypatch, estimation):
    monkeypatch.setattr("cdlnmf_lit.theory.gabor.BLOCK", 2**15)
    method = LRTFS(frame=hann(512, 8), estimation=estimation, iterations=2)
    assert peak_of(method, normal(0, 40_000)) < 3 * 8 * method.frame.n_frames(40_000) * 257


def peak_of(method, x):
    method.decompose(x[:2000], 2)
    tracemalloc.start()
    method.decompose(x, 4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    ("dtype", "options", "message"),
    [
        (float, {"noise": 0.0}, "noise must be at least .* in float64, got 0.0"),
        (np.float32, {"noise": 1e-30}, "noise must be at least .* in float32, got 1e-30"),
        (float, {"annealing": 0.5}, "annealing must be at least 1, got 0.5"),
        (float, {"relaxation": 2.0}, "relaxation must lie between 0 and 2, got 2.0"),
        (float, {"relaxation": 0.0}, "relaxation must lie between 0 and 2, got 0.0"),
    ],
)
def test_bad_options_are_named(dtype, options, message):
    with pytest.raises(ValueError, match=message):
        LRTFS(frame=hann(8, 2), **options).iterate(normal(0, 40, dtype=dtype), 1)


def test_a_constant_is_refused():
    with pytest.raises(ValueError, match="x must not be constant"):
        LRTFS(frame=hann(8, 2)).iterate(np.ones(40), 1)


# ---- beside dictionary learning ----------------------------------------------------------------


def covariance(Phi, W, Z):
    """Of ``Φα`` with independent coefficients of variance ``Σ_k |W_k|² Z_k²``."""
    Phi = Phi.reshape(len(Phi), -1)
    return (Phi * ((Z**2).T @ np.abs(W) ** 2).ravel()) @ Phi.conj().T


@given(frames(phases=["time-invariant"], origins=False, longest=10), st.integers(1, 3), seeds)
def test_random_signs_and_shifts_of_atoms_have_the_covariance_of_lrtfs(frame, K, seed):
    T, M, g = 20, frame.channels, frame.window
    N, w = frame.n_frames(T), normal(seed, K, M)
    Z = positive(seed, K, N)
    wanted = covariance(reference.dictionary(frame, T), np.fft.fft(w) / M, Z)
    made = np.zeros((T, T))
    for k, n, shift in np.ndindex(K, N, M):
        s = np.arange(T) - frame.hop * (n + frame.first_frame)
        inside = (s >= 0) & (s < g.size)
        piece = np.where(inside, g[np.clip(s, 0, g.size - 1)] * w[k, (s - shift) % M], 0)
        made += Z[k, n] ** 2 * np.outer(piece, piece) / M
    np.testing.assert_allclose(wanted, made, atol=1e-12 * np.abs(made).max() + 1e-300)


def test_free_random_phases_have_the_covariance_of_lrtfs():
    """A Monte Carlo estimate closes in at the rate of the number of draws."""
    T, frame, rng = 20, GaborFrame("hamming", 3, 8), np.random.default_rng(0)
    Phi = reference.dictionary(frame, T)
    W, Z = positive(1, 2, 8), positive(2, 2, frame.n_frames(T))
    wanted, errors = covariance(Phi, W, Z), []
    for n_draws in (400, 40_000):
        angles = 2 * np.pi * rng.random((n_draws, 2, *Phi.shape[1:]))
        alpha = np.einsum("rknm,kn,km->rnm", np.exp(1j * angles), Z, W)
        x = alpha.reshape(n_draws, -1) @ Phi.reshape(T, -1).T
        estimate = x.T @ x.conj() / n_draws
        errors.append(np.linalg.norm(estimate - wanted) / np.linalg.norm(wanted))
    assert errors[1] < 0.03
    assert 4 < errors[0] / errors[1] < 25


def test_a_start_from_magnitudes_is_squared():
    x, frame = normal(0, 400), hann(32, 8)
    magnitudes = NMF(frame=frame, power=1.0, iterations=3).decompose(x, 2, rng=0)
    powers = NMF(frame=frame, power=2.0, iterations=3).decompose(x, 2, rng=0)
    for found, exponent in ((magnitudes, 2), (powers, 1)):
        start = next(LRTFS(frame=frame).iterate(x, 2, start=found))
        np.testing.assert_allclose(start.patterns, found.spectra**exponent)
        np.testing.assert_allclose(start.activations, found.activations**exponent)
