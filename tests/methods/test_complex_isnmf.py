"""Complex ISNMF is EM for its model, is IS-NMF without phases, and follows partials that ring."""

import tracemalloc
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods.complex_isnmf import (
    Anisotropy,
    ComplexISNMF,
    ExpectedPhases,
    Posterior,
    onsets,
    peak_frequencies,
    root_of_change,
)
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.theory.gabor import GaborFrame, hann
from tests.strategies import dtypes, normal, seeds

CONCENTRATIONS = st.sampled_from([0.0, 0.1, 1.0, 5.0, 50.0])


def complex_normal(seed, *shape):
    return normal(seed, *shape) + 1j * normal(seed + 1, *shape)


def factors(seed, K, N, F):
    """Spectra of sum 1, activations and phases."""
    rng = np.random.default_rng(seed)
    W, Z = rng.random((K, F)) + 1e-2, rng.random((K, N)) + 1e-2
    return W / W.sum(axis=1, keepdims=True), Z, np.exp(2j * np.pi * rng.random((K, N, F)))


@st.composite
def problems(draw):
    """A complex matrix of an awkward shape, perhaps with silence, K and a concentration."""
    N, F = (draw(st.sampled_from([1, 2, 3, 5, 8])) for _ in range(2))
    X = complex_normal(draw(seeds), N, F)
    if min(N, F) > 2 and draw(st.booleans()):
        X[draw(st.integers(0, N - 1))] = 0
        X[:, draw(st.integers(0, F - 1))] = 0
    return X, draw(st.integers(1, min(3, N, F))), draw(CONCENTRATIONS)


def factorize(X, K, *, start=None, phases=None, hop_ratio=0.25, held=None, rng=0, **options):
    run = {"start": start, "phases": phases, "hop_ratio": hop_ratio, "held": held, "rng": rng}
    return ComplexISNMF(**options).factorize(X, K, **run)


def posterior_of(state):
    return state.problem.posterior(
        state.patterns, state.activations, slice(0, len(state.problem.X))
    )


# ---- literal definitions: 2 × 2 real covariance matrices, bin by bin -----------------------------


def rotation(u):
    return np.array([[u.real, -u.imag], [u.imag, u.real]])


def literal_bin(x, v, u, prior, noise):
    """Mean and covariance of each ``s_k / (√v_k u_k)`` given ``x``, and the surprise."""
    S = np.diag([prior.along, prior.across])
    maps = [np.sqrt(power) * rotation(phase) for power, phase in zip(v, u, strict=True)]
    expected = np.array([prior.mean, 0.0])
    C = noise / 2 * np.eye(2) + sum(A @ S @ A.T for A in maps)
    delta = np.array([x.real, x.imag]) - sum(A @ expected for A in maps)
    means = [expected + S @ A.T @ np.linalg.solve(C, delta) for A in maps]
    covariances = [S - S @ A.T @ np.linalg.solve(C, A @ S) for A in maps]
    density = np.log(2 * np.pi) + np.log(np.linalg.det(C)) / 2
    density += delta @ np.linalg.solve(C, delta) / 2
    return means, covariances, density - np.log(np.pi)


def literal_expectations(X, W, Z, U, prior, noise):
    """Posterior means of the components, the moments ``p, q`` and the surprise."""
    K, (N, F) = len(W), X.shape
    s, p, q, surprise = np.zeros((K, N, F), complex), np.zeros((K, N, F)), np.zeros((K, N, F)), 0.0
    for n in range(N):
        for f in range(F):
            v = W[:, f] * Z[:, n]
            means, covariances, density = literal_bin(X[n, f], v, U[:, n, f], prior, noise)
            surprise += density
            for k, (m, C) in enumerate(zip(means, covariances, strict=True)):
                s[k, n, f] = np.sqrt(v[k]) * U[k, n, f] * (m[0] + 1j * m[1])
                second = m**2 + np.diag(C)
                p[k, n, f] = (second[0] / prior.along + second[1] / prior.across) / 2
                q[k, n, f] = prior.mean * m[0] / prior.along
    return s, p, q, surprise


def expected_cost(r, p, q):
    """Expected negative log-likelihood of the components, in ``r = √(v / v')``."""
    return np.sum(-2 * np.log(r) + p * r**2 - q * r)


# ---- the model ---------------------------------------------------------------------------------


@given(st.sampled_from([0.0, 0.3, 1.0, 3.0, 20.0, 700.0, 2000.0]))
def test_the_moments_are_those_of_rayleigh_magnitudes_and_von_mises_phases(kappa):
    angle = np.linspace(-np.pi, np.pi, 100_000, endpoint=False)
    weight = np.exp(kappa * (np.cos(angle) - 1))
    weight /= weight.sum()
    prior = Anisotropy.of(kappa)
    mean = np.sqrt(np.pi) / 2 * np.sum(weight * np.cos(angle))
    along, across = np.sum(weight * np.cos(angle) ** 2), np.sum(weight * np.sin(angle) ** 2)
    assert prior.mean == pytest.approx(mean, abs=1e-9)
    assert prior.along == pytest.approx(along - mean**2, abs=1e-9)
    assert prior.across == pytest.approx(across, abs=1e-9)
    assert min(prior.along, prior.across) > 0
    assert prior.mean**2 + prior.along + prior.across == pytest.approx(1)


@given(problems(), seeds, st.sampled_from([1e-3, 1.0]))
def test_the_posterior_is_the_literal_one(problem, seed, noise):
    X, K, kappa = problem
    (W, Z, U), prior = factors(seed, K, *X.shape), Anisotropy.of(kappa)
    found = Posterior.of(X, W, Z, U, prior, noise)
    s, p, q, surprise = literal_expectations(X, W, Z, U, prior, noise)
    assert found.surprise == pytest.approx(surprise, rel=1e-9, abs=1e-9)
    for k in range(K):
        np.testing.assert_allclose(found.mean(k), s[k], atol=1e-9)
        for moment, literal in zip(found.moments(k), (p[k], q[k]), strict=True):
            np.testing.assert_allclose(moment, literal, rtol=1e-7, atol=1e-9)


@given(problems(), seeds, st.sampled_from([1e-6, 0.1]))
def test_components_and_noise_sum_to_the_mixture(problem, seed, noise):
    X, K, kappa = problem
    W, Z, U = factors(seed, K, *X.shape)
    found = Posterior.of(X, W, Z, U, Anisotropy.of(kappa), noise)
    whole = sum(found.mean(k) for k in range(K)) + noise * found.whitened
    np.testing.assert_allclose(whole, X, atol=1e-9)


@given(problems(), seeds, seeds)
def test_the_expected_cost_lies_above_the_surprise(problem, seed, other):
    """What EM rests on: whatever lowers the expected cost lowers the surprise as much or more."""
    X, K, kappa = problem
    (W, Z, U), prior = factors(seed, K, *X.shape), Anisotropy.of(kappa)
    V, Y, _ = factors(other, K, *X.shape)
    _, p, q, before = literal_expectations(X, W, Z, U, prior, 0.01)
    r = np.sqrt((W[:, None] * Z[:, :, None]) / (V[:, None] * Y[:, :, None]))
    *_, after = literal_expectations(X, V, Y, U, prior, 0.01)
    assert after - before <= expected_cost(r, p, q) - expected_cost(np.ones_like(r), p, q) + 1e-8


@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3), st.integers(1, 50))
def test_the_root_is_the_minimum(p, q, count):
    r = root_of_change(np.array(p), np.array(q), count)

    def cost(r):
        return -2 * count * np.log(r) + p * r**2 - q * r

    for near in (0.5 * r, 0.99 * r, 1.01 * r, 2 * r):
        assert cost(r) <= cost(near)


# ---- the algorithm -----------------------------------------------------------------------------


@given(problems(), st.sampled_from([None, "patterns", "activations"]), seeds)
def test_the_iterates_are_those_of_the_literal_algorithm(problem, held, seed):
    X, K, kappa = problem
    (W, Z, U), prior = factors(seed, K, *X.shape), Anisotropy.of(kappa)
    noise = 1e-2 * np.mean(np.abs(X) ** 2)
    if held:
        W = 3 * W
    options = {"concentration": kappa, "noise_floor": 1e-2, "phases": U, "start": (W, Z)}
    for found in islice(factorize(X, K, held=held, **options), 4):
        np.testing.assert_allclose(found.patterns, W, rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(found.activations, Z, rtol=1e-6, atol=1e-12)
        _, p, q, surprise = literal_expectations(X, W, Z, U, prior, noise)
        assert found.objective == pytest.approx(surprise, rel=1e-7, abs=1e-7)
        r = np.ones_like(Z)
        if held != "activations":
            r = root_of_change(p.sum(axis=2), q.sum(axis=2), X.shape[1])
            Z = Z / r**2
        P, Q = np.sum(r[:, :, None] ** 2 * p, axis=1), np.sum(r[:, :, None] * q, axis=1)
        if held != "patterns":
            W = W / root_of_change(P, Q, len(X)) ** 2
        sizes = 1 if held else W.sum(axis=1, keepdims=True)
        W, Z = W / sizes, Z * sizes


@given(problems(), st.sampled_from(ComplexISNMF.STARTS), dtypes, seeds)
def test_the_likelihood_never_falls_and_precision_is_kept(problem, start, dtype, seed):
    X, K, kappa = problem
    X = X.astype(np.result_type(dtype, np.complex64))
    options = {"concentration": kappa, "start": start, "rng": seed}
    rounding = 100 * np.finfo(dtype).eps * X.size
    for before, after in pairwise(islice(factorize(X, K, **options), 40)):
        assert after.objective <= before.objective + rounding * (1 + abs(before.objective) / X.size)
    for part in (after.patterns, after.activations, *map(posterior_of(after).mean, range(K))):
        assert part.real.dtype == dtype
        assert np.isfinite(part).all()


@given(problems(), seeds)
def test_without_phases_it_is_is_nmf_with_wiener_filters(problem, seed):
    X, K, _ = problem
    (W, Z, U), V = factors(seed, K, *X.shape), np.abs(X) ** 2
    noise = 1e-2 * V.mean()
    options = {"concentration": 0.0, "noise_floor": 1e-2, "start": (W, Z)}
    with_phases = factorize(X, K, phases=U, **options)
    for found, other in zip(islice(factorize(X, K, **options), 4), with_phases, strict=False):
        assert found.objective == other.objective
        v = W[:, None] * Z[:, :, None]
        model = v.sum(axis=0) + noise
        np.testing.assert_allclose(found.activations, Z, rtol=1e-7)
        assert found.objective == pytest.approx(np.sum(np.log(model) + V / model))
        if V.min() > 0:
            divergence = np.sum(V / model - np.log(V / model) - 1)
            assert found.objective == pytest.approx(divergence + np.sum(np.log(V) + 1))
        posterior = posterior_of(found)
        for k in range(K):
            np.testing.assert_allclose(posterior.mean(k), v[k] / model * X, atol=1e-10)
        power = (v / model * np.abs(X)) ** 2 + v * (1 - v / model)
        Z = np.mean(power / W[:, None], axis=2)
        W = np.mean(power / Z[:, :, None], axis=1)
        sizes = W.sum(axis=1, keepdims=True)
        W, Z = W / sizes, Z * sizes


@given(CONCENTRATIONS, seeds)
def test_planted_factors_are_a_fixed_point(kappa, seed):
    """One component: coefficients in whose middle the likelihood has nothing to move."""
    W, Z, U = factors(seed, 1, 7, 5)
    prior = Anisotropy.of(kappa)
    size = (prior.mean + np.sqrt(prior.mean**2 + 8 * prior.along)) / 2
    X = size * np.sqrt(Z.T @ W) * U[0]
    options = {"phases": U, "start": (W, Z), "noise_floor": 1e-13}
    for found in islice(factorize(X, 1, concentration=kappa, **options), 5):
        np.testing.assert_allclose(found.patterns, W, rtol=1e-6)
        np.testing.assert_allclose(found.activations, Z, rtol=1e-6)


def planted(seed, N):
    rng = np.random.default_rng(seed)
    W, Z = rng.random((2, 12)) ** 4 + 1e-4, rng.random((2, N)) + 1e-4
    Z[0, : N // 3] = Z[1, N // 3 : 2 * N // 3] = 1e-4
    W /= W.sum(axis=1, keepdims=True)
    near = W * (0.5 + rng.random(W.shape)), Z * (0.5 + rng.random(Z.shape))
    return W, Z, near, rng


def distance(spectra, W):
    return np.abs(spectra / spectra.sum(axis=1, keepdims=True) - W).sum()


def test_planted_powers_are_recovered_from_a_near_start():
    W, Z, near, rng = planted(0, 60)
    X = np.sqrt(Z.T @ W) * np.exp(2j * np.pi * rng.random((60, 12)))
    *_, found = islice(factorize(X, 2, concentration=0.0, start=near), 500)
    assert distance(found.patterns, W) < 0.05 * distance(near[0], W)


def test_spectra_are_recovered_from_what_the_model_draws():
    W, Z, near, rng = planted(0, 2000)
    U = np.exp(2j * np.pi * rng.random((2, 2000, 12)))
    turned = np.exp(1j * rng.vonmises(0, 2.0, U.shape))
    powers = W[:, None] * Z[:, :, None] * rng.exponential(size=U.shape)
    X = np.sum(np.sqrt(powers) * turned * U, axis=0)
    *_, found = islice(factorize(X, 2, concentration=2.0, phases=U, start=near), 100)
    assert distance(found.patterns, W) < 0.5 * distance(near[0], W)


def error_of(state, true):
    means = [posterior_of(state).mean(k) for k in range(len(true))]
    return np.sum(np.abs(means - true) ** 2)


def test_true_phases_help_and_wrong_ones_are_told_by_the_likelihood():
    """Two sources in the same channels, which a magnitude cannot tell apart."""
    rng = np.random.default_rng(1)
    W, Z, U = factors(3, 2, 60, 20)
    s = np.sqrt(W[:, None] * Z[:, :, None] * rng.exponential(size=U.shape)) * U
    X = s.sum(axis=0)
    errors, objectives = {}, {}
    wrong = np.exp(2j * np.pi * rng.random(U.shape))
    for name, kappa, phases in (("none", 0.0, U), ("true", 10.0, U), ("wrong", 10.0, wrong)):
        found = next(factorize(X, 2, concentration=kappa, phases=phases, start=(W, Z)))
        errors[name] = error_of(found, s)
        objectives[name] = found.objective
    assert errors["true"] < 0.5 * errors["none"] < errors["wrong"]
    assert objectives["true"] < objectives["none"] < objectives["wrong"]


@given(problems(), st.floats(1e-3, 1e3), seeds)
def test_louder_data_give_louder_activations(problem, gain, seed):
    X, K, kappa = problem
    W, Z, U = factors(seed, K, *X.shape)
    options = {"concentration": kappa, "phases": U}
    quiet = factorize(X, K, start=(W, Z), **options)
    loud = factorize(gain * X, K, start=(W, gain**2 * Z), **options)
    for one, other in zip(islice(quiet, 4), loud, strict=False):
        np.testing.assert_allclose(other.patterns, one.patterns, rtol=1e-5, atol=1e-12)
        np.testing.assert_allclose(other.activations, gain**2 * one.activations, rtol=1e-5)
        shift = 2 * X.size * np.log(gain)
        assert other.objective == pytest.approx(one.objective + shift, rel=1e-6, abs=1e-5)


@given(problems(), seeds, seeds)
def test_the_order_of_components_frames_and_channels_does_not_matter(problem, seed, other):
    X, K, kappa = problem
    W, Z, U = factors(seed, K, *X.shape)
    rng = np.random.default_rng(other)
    k, n, f = (rng.permutation(size) for size in U.shape)
    straight = factorize(X, K, concentration=kappa, phases=U, start=(W, Z))
    options = {"phases": U[k][:, n][:, :, f], "start": (W[k][:, f], Z[k][:, n])}
    turned = factorize(X[n][:, f], K, concentration=kappa, **options)
    for one, two in zip(islice(straight, 4), turned, strict=False):
        np.testing.assert_allclose(two.patterns, one.patterns[k][:, f], rtol=1e-5, atol=1e-12)
        np.testing.assert_allclose(two.activations, one.activations[k][:, n], rtol=1e-5)
        assert two.objective == pytest.approx(one.objective, rel=1e-7, abs=1e-6)


@given(CONCENTRATIONS, dtypes, seeds)
def test_silence_where_the_start_is_loud_fades_to_the_noise(kappa, dtype, seed):
    """There the posterior is all but certain, and its variance lost to rounding."""
    X = complex_normal(seed, 6, 5).astype(np.result_type(dtype, np.complex64))
    X[2:4] = 0
    W, Z, U = factors(seed, 1, 6, 5)
    options = {"concentration": kappa, "noise_floor": 1e-14, "phases": U, "start": (W, 1e3 * Z)}
    *_, found = islice(factorize(X, 1, **options), 30)
    assert np.isfinite(found.activations).all()
    assert found.activations[0, 2:4].max() < 1e-2 * found.activations.max()


@given(CONCENTRATIONS, dtypes, seeds)
def test_a_component_that_dies_does_no_harm(kappa, dtype, seed):
    X = complex_normal(seed, 6, 5).astype(np.result_type(dtype, np.complex64))
    W, Z, _ = factors(seed, 3, 6, 5)
    W[1], Z[2] = 0, 0
    for found in islice(factorize(X, 3, concentration=kappa, start=(W, Z)), 20):
        assert np.isfinite(found.objective)
        assert np.isfinite(found.patterns).all()
        assert not found.activations[2].any()


def test_one_pass_gives_the_objective_and_the_next_iterate(monkeypatch):
    passes, once = [], Posterior.of
    monkeypatch.setattr(Posterior, "of", lambda *all: passes.append(1) or once(*all))
    for state in islice(factorize(complex_normal(0, 6, 5), 2), 4):
        assert state.objective == state.record["objective"]
        assert len(passes) == state.iteration + 1


def test_activations_that_are_to_be_found_are_those_of_nmf_for_the_same_spectra():
    W, Z, _ = factors(0, 2, 40, 9)
    X = np.sqrt(Z.T @ W) * np.exp(2j * np.pi * np.random.default_rng(1).random((40, 9)))
    start = next(factorize(X, 2, start=(3 * W, None), held="patterns"))
    np.testing.assert_array_equal(start.patterns, 3 * W)
    wanted = NMF().factorize(np.abs(X), 2, start=(np.sqrt(3 * W), None), held="patterns")
    wanted = next(islice(wanted, 50, None)).activations ** 2
    np.testing.assert_allclose(start.activations, wanted, atol=1e-6 * wanted.max())
    free = next(factorize(X, 2, start=(3 * W, None)))
    np.testing.assert_allclose(free.activations, 3 * start.activations)


def test_phases_are_expected_from_the_start_alone():
    X, (W, Z, _) = complex_normal(0, 12, 9), factors(1, 2, 12, 9)
    for held in (None, "patterns", "activations"):
        first, *_, last = islice(factorize(X, 2, start=(W, Z), held=held, hop_ratio=0.3), 5)
        phases = last.problem.phases
        assert phases is first.problem.phases
        np.testing.assert_allclose(phases.advance, 0.6 * np.pi * peak_frequencies(W))
        np.testing.assert_array_equal(phases.onsets, onsets(Z))
    assert next(factorize(X, 2, concentration=0.0)).problem.phases is None


def test_the_number_of_threads_changes_nothing(monkeypatch):
    X, last = complex_normal(0, 300, 513), []
    for threads in (1, 3):
        monkeypatch.setattr("cdlnmf_lit.theory.blocks.n_threads", lambda threads=threads: threads)
        last.append(next(islice(factorize(X, 4), 2, None)))
    np.testing.assert_array_equal(last[0].patterns, last[1].patterns)
    np.testing.assert_array_equal(last[0].activations, last[1].activations)


# ---- phases that are expected ------------------------------------------------------------------


@given(st.floats(4, 27), st.floats(0, 6), seeds)
def test_a_tone_is_where_its_peak_is(place, angle, seed):
    frame = GaborFrame("hann", 16, 64)
    x = np.cos(2 * np.pi * place / 64 * np.arange(64 * 8) + angle)
    V = frame.spectrogram(x)[10:20].mean(axis=0)
    assert peak_frequencies(V[None])[0, round(place)] == pytest.approx(place, abs=0.06)
    louder = peak_frequencies(1000 * V[None])
    np.testing.assert_allclose(louder, peak_frequencies(V[None]), atol=1e-6)


def test_each_channel_belongs_to_the_partial_on_its_side_of_the_valley():
    W = np.array([[0.1, 2.0, 8.0, 2.0, 1.0, 0.5, 3.0, 9.0, 3.0, 0.2, 4.0, 4.0, 0.3]])
    wanted = 5 * [2.0] + 4 * [7.0] + 4 * [10.5]
    np.testing.assert_allclose(peak_frequencies(W)[0], wanted)


def test_a_spectrum_without_a_peak_has_its_own_channels():
    flat = peak_frequencies(np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [3.0, 2.0, 1.0]]))
    np.testing.assert_array_equal(flat, 3 * [[0, 1, 2]])
    assert peak_frequencies(np.ones((1, 1))).shape == (1, 1)
    assert peak_frequencies(np.ones((1, 2), np.float32)).dtype == np.float32


@given(st.integers(1, 40), seeds)
def test_onsets_are_where_the_power_grows(N, seed):
    Z = np.random.default_rng(seed).random((2, N)) ** 4
    found = onsets(Z)
    for z, last in zip(Z, found, strict=True):
        for n in range(N):
            struck = [m for m in range(1, n + 1) if z[m] > 1.1 * z[m - 1] and z[m] > 1e-3 * z.max()]
            assert last[n] == max([0, *struck])


@given(st.integers(1, 30), st.integers(0, 29), dtypes, seeds)
def test_expected_phases_are_the_formula_in_any_block(N, first, dtype, seed):
    rng = np.random.default_rng(seed)
    X = complex_normal(seed, N, 4).astype(np.result_type(dtype, np.complex64))
    X[rng.integers(N)] = 0
    advance, begun = rng.random((2, 4)) * 6, onsets(rng.random((2, N)) ** 3)
    phases = ExpectedPhases(X, advance.astype(dtype), begun)
    rows = slice(min(first, N - 1), N)
    U = phases(rows)
    assert U.dtype == X.dtype
    for k in range(2):
        for i, n in enumerate(range(rows.start, N)):
            n_0 = begun[k, n]
            angle = np.angle(X[n_0]) + advance[k] * (n - n_0)
            tolerance = 1e-4 if dtype == np.float32 else 1e-10
            np.testing.assert_allclose(U[k, i], np.exp(1j * angle), atol=tolerance)


def test_partials_that_ring_are_followed():
    """Two notes of steady partials, the second struck while the first sounds."""
    frame, t = GaborFrame("hann", 64, 512, length=256).tight(), np.arange(6000)
    one = np.sin(2 * np.pi * 20.3 / 256 * t) * np.exp(-t / 4000)
    two = np.where(t > 2000, np.sin(2 * np.pi * 26.6 / 256 * t) * np.exp(-(t - 2000) / 4000), 0.0)
    true = np.stack([frame.half_analysis(s) for s in (one, two)])
    X = true.sum(axis=0)
    power = np.abs(true) ** 2
    W, Z = power.mean(axis=1), power.mean(axis=2)
    expected = ExpectedPhases(X, 2 * np.pi * 64 / 512 * peak_frequencies(W), onsets(Z))
    U = expected(slice(0, len(X)))
    likeness = np.sum((U * true.conj()).real * np.abs(true), axis=(1, 2))
    assert np.all(likeness > 0.95 * power.sum(axis=(1, 2)))
    blind, followed = (
        next(factorize(X, 2, concentration=kappa, hop_ratio=64 / 512, start=(W, Z)))
        for kappa in (0.0, 5.0)
    )
    assert error_of(followed, true) < error_of(blind, true)


# ---- signals ------------------------------------------------------------------------------------

FRAME = hann(16, 4)


@given(
    CONCENTRATIONS, dtypes, st.sampled_from([(4, 16), (16, 16), (3, 17), (8, 32), (1, 5)]), seeds
)
def test_components_and_residual_of_any_frame_sum_to_the_signal(kappa, dtype, sizes, seed):
    x = normal(seed, 61, dtype=dtype)
    x[20:40] = 0
    method = ComplexISNMF(frame=GaborFrame("hamming", *sizes), concentration=kappa, iterations=4)
    found = method.decompose(x, 2, rng=seed)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found.components().sum(axis=0) + found.residual, x, atol=tolerance)
    assert np.linalg.norm(found.residual) < 0.1 * np.linalg.norm(x)


@given(CONCENTRATIONS, seeds)
def test_the_signal_is_the_matrix_of_its_coefficients(kappa, seed):
    x, frame = normal(seed, 90), GaborFrame("hann", 4, 32, length=16).tight()
    method = ComplexISNMF(frame=frame, concentration=kappa)
    of_matrix = method.factorize(frame.half_analysis(x), 2, hop_ratio=4 / 32, rng=seed)
    for state, found in zip(islice(method.iterate(x, 2, rng=seed), 3), of_matrix, strict=False):
        np.testing.assert_allclose(state.patterns, found.patterns, atol=1e-10)
        assert state.objective == pytest.approx(found.objective)


def test_single_precision_follows_double():
    method, x = ComplexISNMF(frame=hann(64, 16), iterations=20), normal(0, 4000)
    single, double = (method.decompose(x.astype(t), 3).history["objective"] for t in ("f", "d"))
    np.testing.assert_allclose(single, double, rtol=1e-3)


def test_without_phases_a_run_goes_on_from_its_own_result():
    method, x = ComplexISNMF(frame=FRAME, concentration=0.0, iterations=4), normal(0, 90)
    whole = replace(method, iterations=8).decompose(x, 2)
    half = method.decompose(x, 2)
    assert half.parameters["power"] == 2
    rest = method.decompose(x, 2, start=half)
    np.testing.assert_allclose(rest.history["objective"], whole.history["objective"][4:])


def test_a_start_from_another_method_is_better_than_chance():
    t = np.arange(900.0)
    x = np.sin(0.3 * t) * (t < 400) + np.sin(1.1 * t) * (t > 500)
    other = NMF(frame=hann(32, 4), iterations=60).decompose(x, 2)
    method = ComplexISNMF(frame=hann(64, 8))
    begun, drawn, warm = (
        next(method.iterate(x, 2, start=start)).objective for start in (other, "random", "nmf")
    )
    assert max(begun, warm) < drawn


@pytest.mark.parametrize(
    ("hop", "channels", "K", "dtype"),
    [(8, 512, 4, np.float32), (64, 512, 4, np.float64), (256, 1024, 8, np.float32)],
)
@pytest.mark.long
def test_memory_is_what_the_estimate_says_and_three_spectrograms(hop, channels, K, dtype):
    method, x = ComplexISNMF(frame=hann(channels, hop)), normal(0, 60_000, dtype=dtype)
    needed = method.estimate(x.size, K, dtype).memory_bytes
    tracemalloc.start()
    for state in islice(method.iterate(x, K), 3):
        assert np.isfinite(state.objective)
    iterating = tracemalloc.get_traced_memory()[1]
    state.decomposition()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.4 * needed < peak < needed
    if hop == 8:
        assert iterating < 3 * np.prod(method.shape(x.size)) * 2 * x.itemsize


def test_an_iteration_keeps_no_sums_of_each_block(monkeypatch):
    monkeypatch.setattr("cdlnmf_lit.theory.blocks.n_threads", lambda: 1)
    X, (W, Z, _) = complex_normal(0, 400, 4097), factors(0, 10, 400, 1)
    states = factorize(X, 10, concentration=0.0, start=(np.tile(W, 4097), Z))
    tracemalloc.start()
    assert np.isfinite(next(states).objective)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes / 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame": GaborFrame("hann", 4, 16, phase="frequency-invariant")}, "time-invariant"),
        ({"noise_floor": 0.0}, "noise_floor must be positive, got 0.0"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ComplexISNMF(**options).iterate(normal(0, 90), 1)


@pytest.mark.parametrize(
    ("matrix", "options", "message"),
    [
        (np.zeros((3, 3)), {}, "X must not be zero everywhere"),
        (np.full((3, 3), np.nan), {}, "X must be finite"),
        (np.ones((3, 1)), {}, "n_components must be a whole number from 1 to 1, got 2"),
        (np.ones((3, 2)), {"hop_ratio": 0.0}, "hop_ratio must be positive, got 0.0"),
        (np.ones((3, 2)), {"phases": np.ones((2, 2, 3))}, r"phases must be .* of shape \(2, 3, 2"),
        (np.ones((3, 2)), {"phases": np.full((2, 3, 2), np.nan)}, "phases must be finite"),
        (np.ones((3, 2)), {"held": "phases"}, "held must be one of patterns, activations"),
    ],
)
def test_bad_matrices_are_named(matrix, options, message):
    with pytest.raises(ValueError, match=message):
        factorize(matrix, 2, **options)


@pytest.mark.parametrize(("dtype", "most"), [(np.float32, 1e6), (np.float64, 1e8)])
def test_a_concentration_beyond_the_precision_is_refused(dtype, most):
    x, X = normal(0, 200, dtype=dtype), complex_normal(0, 6, 5).astype(np.result_type(dtype, "F"))
    for found in islice(factorize(X, 2, concentration=most, rng=0), 10):
        assert np.isfinite(found.objective)
    message = rf"concentration must be at most 1e\+0\d in {np.dtype(dtype)}, got"
    with pytest.raises(ValueError, match=message):
        factorize(X, 2, concentration=1.1 * most)
    with pytest.raises(ValueError, match=message):
        ComplexISNMF(frame=FRAME, concentration=1.1 * most).iterate(x, 2)
