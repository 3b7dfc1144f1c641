"""NMF is the literal one and scikit-learn's, never rises, and its masks give the signal back."""

import tracemalloc
import warnings
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import decomposition as sklearn

from cdlnmf_lit.methods import nmf
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.theory import blocks
from cdlnmf_lit.theory.gabor import hann
from tests.strategies import dtypes, frames, normal, seeds

NAMES = list(nmf.DIVERGENCES)
names = st.sampled_from(NAMES)
betas = st.sampled_from([-1.0, 0.0, 0.3, 1.0, 1.5, 2.0, 3.0])
updates = st.sampled_from(["minimise", "full"])
free_or_held = st.sampled_from([None, "patterns", "activations"])


@st.composite
def matrices(draw, *, zeros=False):
    """A positive matrix of awkward sizes, K, and a start; with silent rows and columns on wish."""
    N, F = draw(st.integers(1, 40)), draw(st.integers(1, 17))
    K = draw(st.integers(1, min(N, F, 4)))
    rng = np.random.default_rng(draw(seeds))
    V = rng.gamma(0.5, size=(N, F)) + 1e-3
    if zeros:
        V[rng.random((N, F)) < 0.2] = 0
        V[rng.random(N) < 0.2] = 0
        V[:, rng.random(F) < 0.2] = 0
        V[-1, -1] = 1.0
    return V, K, (0.1 + rng.random((K, F)), 0.1 + rng.random((K, N)))


def factorize(V, K, *, start=None, held=None, rng=0, **options):
    return NMF(**options).factorize(V, K, start=start, held=held, rng=rng)


def literal(V, W, Z, beta, exponent, held=None):
    """The multiplicative updates on dense arrays, from their definition."""
    while True:
        if held != "activations":
            M = Z.T @ W
            Z = Z * ((W @ (V * M ** (beta - 2)).T) / (W @ (M ** (beta - 1)).T)) ** exponent
        if held != "patterns":
            M = Z.T @ W
            W = W * ((Z @ (V * M ** (beta - 2))) / (Z @ M ** (beta - 1))) ** exponent
        yield W, Z


def literal_divergence(v, m, beta):
    """``∫ (m' - v) m'**(β - 2) dm'`` from ``v`` to ``m``, by Gauss-Legendre quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    at = np.exp(np.log(v) + (nodes + 1) / 2 * np.log(m / v))  # evenly in the logarithm
    return np.sum(weights / 2 * np.log(m / v) * at * (at - v) * at ** (beta - 2))


# ---- the divergence and the updates ------------------------------------------------------------


@given(st.floats(0.02, 50), st.floats(0.02, 50), st.floats(-2, 4))
def test_the_divergence_is_the_integral_of_its_slope(v, m, beta):
    assume(min(abs(beta), abs(beta - 1)) > 1e-3 or beta in (0, 1))
    for each in (beta, 0.0, 1.0, 2.0):
        wanted = literal_divergence(v, m, each)
        size = max(v, m) ** each / max(1e-3, min(1.0, abs(each * (each - 1)) or 1.0))
        assert float(nmf.beta_divergence(v, m, each)) == pytest.approx(
            wanted, rel=1e-9, abs=1e-12 * max(1.0, size, min(v, m) ** each)
        )
    assert nmf.beta_divergence(v, v, beta) == pytest.approx(0, abs=1e-8 * max(1, v**beta))


@pytest.mark.parametrize("limit", [0.0, 1.0])
@pytest.mark.parametrize("away", [1.4e-16, -1e-12, 1e-9])
def test_near_its_limits_the_divergence_is_that_of_the_limit(limit, away):
    v, m = np.array([5.0, 1.0, 3.0]), np.array([5.0, 2.0, 0.5])
    wanted = nmf.beta_divergence(v, m, limit)
    np.testing.assert_array_equal(nmf.beta_divergence(v, m, limit + away), wanted)


@given(matrices(), betas, updates, free_or_held)
def test_the_iterates_are_those_of_the_literal_updates(problem, beta, update, held):
    V, K, start = problem
    assume(update == "minimise" or 0 <= beta <= 2)
    exponent = nmf.mm_exponent(beta) if update == "minimise" else 1.0
    states = factorize(V, K, divergence=beta, update=update, start=start, held=held)
    assert next(states).iteration == 0
    wanted_states = literal(V, *start, beta, exponent, held)
    for n, (found, (W, Z)) in enumerate(islice(zip(states, wanted_states, strict=False), 8)):
        assert found.iteration == n + 1
        if held:
            kept = start[0] if held == "patterns" else start[1]
            np.testing.assert_array_equal(getattr(found, held), kept)
        np.testing.assert_allclose(found.patterns, W, rtol=1e-8)
        np.testing.assert_allclose(found.activations, Z, rtol=1e-8)
        wanted = nmf.beta_divergence(V, Z.T @ W, beta).sum()
        assert found.objective == pytest.approx(wanted, rel=1e-8, abs=1e-11 * V.size)


def test_many_blocks_and_shares_are_those_of_the_literal_updates(monkeypatch):
    rng = np.random.default_rng(0)
    V, start = rng.random((700, 11)) + 0.1, (rng.random((3, 11)) + 0.1, rng.random((3, 700)) + 0.1)
    monkeypatch.setattr(nmf, "ONE_THREAD", 11 * 4 * 32)
    monkeypatch.setattr(nmf, "LEAST_BLOCK", 64)
    monkeypatch.setattr(nmf, "LEAST_SHARE", 512)
    for beta in (0.0, 0.5, 1.0, 2.0):
        states = factorize(V, 3, divergence=beta, start=start)
        shares = next(states).problem.shares(3)
        assert len(shares) == 8
        covered = np.concatenate([np.r_[rows] for each in shares for rows in each])
        np.testing.assert_array_equal(covered, np.arange(700))
        for found, (W, Z) in islice(
            zip(states, literal(V, *start, beta, nmf.mm_exponent(beta)), strict=False), 5
        ):
            np.testing.assert_allclose(found.patterns, W, rtol=1e-9)
            np.testing.assert_allclose(found.activations, Z, rtol=1e-9)


@given(
    st.tuples(matrices(), names)
    | st.tuples(matrices(zeros=True), st.sampled_from(["euclidean", "kullback-leibler"]))
)
def test_the_iterates_are_those_of_scikit_learn(problem_and_name):
    (V, K, start), name = problem_and_name
    states = factorize(V, K, divergence=name, start=start)
    loss = {"euclidean": "frobenius"}.get(name, name)
    next(states)
    for found in islice(states, 6):
        peer = sklearn.NMF(K, init="custom", solver="mu", beta_loss=loss, tol=1e-300)
        peer.max_iter = found.iteration
        with warnings.catch_warnings(category=UserWarning, action="ignore"):  # not converged
            Z = peer.fit_transform(V, W=start[1].T.copy(), H=start[0].copy()).T
        W, error = peer.components_, peer.reconstruction_err_**2 / 2
        np.testing.assert_allclose(found.activations, Z, rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(found.patterns, W, rtol=1e-7, atol=1e-12)
        assert found.objective == pytest.approx(error, rel=1e-6, abs=1e-6 * V.sum())


@given(matrices(), betas, updates)
def test_the_majoriser_lies_above_and_the_update_goes_to_its_minimum(problem, beta, update):
    """One frame's activations; the majoriser is Jensen's for the convex part, else a tangent."""
    V, K, (W, Z) = problem
    assume(update == "minimise" or 0 <= beta <= 2)
    assume(beta not in (0, 1))
    v, before = V[0], Z[:, 0]
    M = before @ W

    def first(m):
        return m**beta / beta

    def second(m):
        return -v * m ** (beta - 1) / (beta - 1)

    def objective(z):
        return np.sum(first(z @ W) + second(z @ W))

    def majoriser(z):
        total = 0.0
        shares = before[:, None] * W / M
        for part, convex, slope in (
            (first, beta >= 1, M ** (beta - 1)),
            (second, beta <= 2, -v * M ** (beta - 2)),
        ):
            if convex:
                total += sum(
                    np.sum(s * part(M * r)) for s, r in zip(shares, z / before, strict=True)
                )
            else:
                total += np.sum(part(M)) + np.sum(slope * ((z - before) @ W))
        return total

    size = np.sum(np.abs(first(M)) + np.abs(second(M)))
    assert majoriser(before) == pytest.approx(objective(before), abs=1e-11 * size)
    rng = np.random.default_rng(K)
    for _ in range(5):
        z = before * rng.uniform(0.3, 3, K)
        assert majoriser(z) >= objective(z) - 1e-11 * size * max(1, majoriser(z) / size)
    _, after = nmf.Problem(V, beta, nmf.mm_exponent(beta)).updated(W, Z)
    for k in range(K):
        for factor in (0.99, 1.01):
            moved = after[:, 0].copy()
            moved[k] *= factor
            assert majoriser(moved) >= majoriser(after[:, 0]) - 1e-11 * size
    exponent = nmf.mm_exponent(beta) if update == "minimise" else 1.0
    _, after = nmf.Problem(V, beta, exponent).updated(W, Z)
    assert majoriser(after[:, 0]) <= majoriser(before) + 1e-11 * size


# ---- what the iterations promise ---------------------------------------------------------------


@given(matrices(), betas, updates, free_or_held, dtypes)
def test_the_objective_never_rises(problem, beta, update, held, dtype):
    V, K, start = problem
    assume(update == "minimise" or 0 <= beta <= 2)
    states = factorize(V.astype(dtype), K, divergence=beta, update=update, start=start, held=held)
    size = np.sum(V**beta + V.mean() ** beta)
    tolerance = 20 * np.finfo(dtype).eps * size
    for before, after in pairwise(islice(states, 15)):
        assert after.objective <= before.objective * (1 + 1e-5 * (dtype == np.float32)) + tolerance


@given(matrices(zeros=True), st.sampled_from([0.5, 1.0, 1.5, 2.0]), dtypes)
def test_silent_frames_and_channels_do_no_harm(problem, beta, dtype):
    V, K, start = problem
    states = factorize(V.astype(dtype), K, divergence=beta, start=start)
    found = list(islice(states, 12))
    tolerance = 20 * np.finfo(dtype).eps * V.size * max(1.0, V.max() ** beta)
    for before, after in pairwise(found):
        assert after.objective <= before.objective * (1 + 1e-5 * (dtype == np.float32)) + tolerance
        for factor in (after.patterns, after.activations):
            assert factor.dtype == dtype
            assert np.all(np.isfinite(factor))
    if beta <= 1:
        assert not found[-1].activations[:, ~V.any(axis=1)].any()
        assert not found[-1].patterns[:, ~V.any(axis=0)].any()


@given(matrices(), names)
def test_zeros_stay_zero_and_a_silent_component_stays_silent(problem, name):
    V, K, (W, Z) = problem
    assume(K > 1)
    W, Z = W.copy(), Z.copy()
    W[1], Z[1] = 0, 0
    Z[0, 0] = 0
    *_, last = islice(factorize(V, K, divergence=name, start=(W, Z)), 6)
    assert not last.patterns[1].any()
    assert not last.activations[1].any()
    assert last.activations[0, 0] == 0
    assert np.isfinite(last.objective)
    assert np.all(np.isfinite(last.activations))


@pytest.mark.parametrize("options", [{}, {"acceleration": "extrapolation"}])
@pytest.mark.parametrize("name", NAMES)
def test_no_entry_ends_among_denormal_numbers(name, options):
    """Zeros in the data take entries down by the same factor each time, for ever."""
    V = np.kron(np.eye(2), np.ones((4, 3))).astype(np.float32) + np.float32(1e-6)
    for state in islice(factorize(V, 2, divergence=name, **options), 400):
        for factor in (state.patterns, state.activations):
            least = np.sqrt(np.finfo(np.float32).tiny) * factor.max()
            assert np.all((factor == 0) | (factor >= 0.9 * least / 10))


@given(matrices(), names, dtypes)
def test_a_start_that_explains_nothing_does_no_harm(problem, name, dtype):
    """Where the model is zero and the data are not, the divergence is large, not no number."""
    V, K, (W, Z) = problem
    Z = Z.copy()
    Z[:, 0] = 0
    *_, last = islice(factorize(V.astype(dtype), K, divergence=name, start=(W, Z)), 5)
    assert np.all(np.isfinite(last.patterns))
    assert np.isfinite(last.objective)


@given(st.integers(1, 3), betas, seeds)
def test_an_exact_factorisation_is_a_fixed_point(K, beta, seed):
    rng = np.random.default_rng(seed)
    W, Z = 0.1 + rng.random((K, 9)), 0.1 + rng.random((K, 14))
    *_, last = islice(factorize(Z.T @ W, K, divergence=beta, start=(W, Z)), 4)
    np.testing.assert_allclose(last.patterns, W, rtol=1e-10)
    np.testing.assert_allclose(last.activations, Z, rtol=1e-10)
    assert last.objective == pytest.approx(0, abs=1e-10)


@given(names, seeds)
def test_planted_factors_are_recovered_from_a_near_start(name, seed):
    rng = np.random.default_rng(seed)
    W, Z = np.kron(np.eye(3), np.ones(5)) + 0.01, rng.gamma(0.3, size=(3, 60)) + 1e-3
    near = W * rng.uniform(0.7, 1.4, W.shape), Z * rng.uniform(0.7, 1.4, Z.shape)
    *_, last = islice(factorize(Z.T @ W, 3, divergence=name, start=near), 300)
    start = next(factorize(Z.T @ W, 3, divergence=name, start=near))
    assert last.objective < 1e-3 * start.objective
    for found, true in zip(last.patterns, W, strict=True):
        assert found @ true > 0.999 * np.linalg.norm(found) * np.linalg.norm(true)


@given(matrices(), betas, st.floats(0.01, 100))
def test_louder_data_give_louder_activations(problem, beta, gain):
    V, K, (W, Z) = problem
    *_, one = islice(factorize(V, K, divergence=beta, start=(W, Z)), 4)
    *_, loud = islice(factorize(gain * V, K, divergence=beta, start=(W, gain * Z)), 4)
    *_, other = islice(factorize(V, K, divergence=beta, start=(gain * W, Z / gain)), 4)
    np.testing.assert_allclose(loud.activations, gain * one.activations, rtol=1e-7)
    np.testing.assert_allclose(loud.patterns, one.patterns, rtol=1e-7)
    np.testing.assert_allclose(other.patterns, gain * one.patterns, rtol=1e-7)
    size = 1e-12 * np.sum(V**beta + V.mean() ** beta)
    assert loud.objective == pytest.approx(gain**beta * one.objective, rel=1e-6, abs=size)


@given(matrices(), betas, seeds)
def test_the_order_of_components_frames_and_channels_does_not_matter(problem, beta, seed):
    V, K, (W, Z) = problem
    rng = np.random.default_rng(seed)
    k, n, f = (rng.permutation(size) for size in (K, *V.shape))
    *_, one = islice(factorize(V, K, divergence=beta, start=(W, Z)), 4)
    turned = (W[k][:, f], Z[k][:, n])
    *_, other = islice(factorize(V[n][:, f], K, divergence=beta, start=turned), 4)
    np.testing.assert_allclose(other.patterns, one.patterns[k][:, f], rtol=1e-8)
    np.testing.assert_allclose(other.activations, one.activations[k][:, n], rtol=1e-8)


def test_a_random_start_is_as_loud_as_the_data():
    V = np.random.default_rng(0).gamma(0.5, size=(50, 20)) + 1e-3
    start = next(factorize(V, 3, rng=1))
    assert (start.activations.T @ start.patterns).mean() == pytest.approx(V.mean())
    for single in (V.astype(np.float32), V):
        found = next(factorize(single, 3, rng=1, precision="float32"))
        assert found.patterns.dtype == found.activations.dtype == np.float32
        np.testing.assert_allclose(found.patterns, start.patterns, rtol=1e-6)


def test_patterns_alone_begin_as_loud_as_the_data():
    V, W = (np.random.default_rng(0).random(shape) + 0.1 for shape in ((50, 20), (3, 20)))
    start = next(factorize(V, 3, start=(W, None)))
    np.testing.assert_array_equal(start.activations, start.activations[0, 0])
    assert (start.activations.T @ W).mean() == pytest.approx(V.mean())
    assert np.isfinite(next(factorize(V, 3, start=(0 * W, None))).activations).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_result_does_not_depend_on_the_threads(monkeypatch, name):
    V = np.random.default_rng(0).random((3000, 1000)) + 0.1
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(blocks, "n_threads", lambda threads=threads: threads)
        *_, last = islice(factorize(V, 3, divergence=name, rng=0), 3)
        assert len(last.problem.shares(3)) > 1
        found.append((last.patterns, last.activations, last.objective))
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_follows_double(name):
    V = np.random.default_rng(0).gamma(0.5, size=(400, 65)) + 1e-3
    start = next(factorize(V, 3, rng=0))
    given_start = (start.patterns, start.activations)
    for single, double in islice(
        zip(
            factorize(V.astype(np.float32), 3, divergence=name, start=given_start),
            factorize(V, 3, divergence=name, start=given_start),
            strict=False,
        ),
        20,
    ):
        assert single.objective == pytest.approx(double.objective, rel=1e-4)
        assert single.patterns.dtype == single.activations.dtype == np.float32


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_single_precision_has_no_block_in_double(monkeypatch, beta):
    weighed, seen = nmf.Problem._weighed, []

    def watched(*arguments):
        found = weighed(*arguments)
        seen.extend(each.dtype for each in found if each is not None)
        return found

    monkeypatch.setattr(nmf.Problem, "_weighed", watched)
    list(islice(factorize(np.ones((5, 3), np.float32), 1, divergence=beta, rng=0), 2))
    assert set(seen) == {np.dtype(np.float32)}


# ---- a signal ----------------------------------------------------------------------------------


@st.composite
def signals(draw, *, longest=12):
    raw = draw(frames(longest=longest))
    assume(raw.bounds(200)[0] > 0.1 * raw.bounds(200)[1])
    frame = raw.tight()
    T = draw(st.integers(1, 60))
    K = draw(st.integers(1, min(3, frame.n_frames(T), frame.channels // 2 + 1)))
    x = normal(draw(seeds), T)
    if draw(st.booleans()):
        x[T // 3 : T // 3 + 30] = 0
    assume(np.any(x))
    return frame, x, K


@given(matrices(zeros=True), dtypes)
def test_wiener_masks_are_shares_of_the_model(problem, dtype):
    _, K, (W, Z) = problem
    W, Z = W.astype(dtype), Z.astype(dtype)
    Z[:, 0] = 0
    masks = np.array(list(nmf.wiener_masks(W, Z)))
    np.testing.assert_allclose(masks.sum(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(masks[:, 0], 1 / K, rtol=1e-6)
    for mask, w, z in zip(masks, W, Z, strict=True):
        np.testing.assert_allclose(mask[1:], (np.outer(z, w)[1:] / (Z[:, 1:].T @ W)), rtol=1e-5)
    assert masks.dtype == dtype


@given(signals(), names, seeds)
def test_sounds_are_the_masked_coefficients_and_leave_nothing(problem, name, seed):
    frame, x, K = problem
    found = NMF(frame=frame, divergence=name, iterations=2).decompose(x, K, rng=seed)
    X, tolerance = frame.half_analysis(x), 1e-12 * np.abs(x).max()
    masks = nmf.wiener_masks(found.spectra, found.activations)
    for sound, mask in zip(found.sounds, masks, strict=True):
        wanted = frame.half_synthesis(mask * X, x.size)
        np.testing.assert_allclose(sound, wanted, atol=tolerance)
    np.testing.assert_allclose(found.residual, 0, atol=tolerance)


def test_the_spectrogram_is_that_of_the_power_and_never_below_the_floor():
    x = normal(0, 500)
    x[200:] = 0
    for options, power in [
        ({}, 1),
        ({"divergence": "euclidean"}, 1),
        ({"divergence": "itakura-saito"}, 2),
        ({"divergence": 0.0}, 2),
        ({"divergence": "itakura-saito", "power": 1.0}, 1),
        ({"power": 2}, 2),
    ]:
        method = NMF(frame=hann(64, 16), floor=1e-3, **options)
        state = next(method.iterate(x, 2))
        V = method.frame.spectrogram(x, power)
        np.testing.assert_allclose(state.problem.V, np.maximum(V, 1e-3 * V.mean()))
        np.testing.assert_array_equal(method.spectrogram(x), state.problem.V)
        assert state.decomposition().parameters["power"] == power
    assert V.min() == 0


def two_tones(T=4000):
    t = np.arange(T)
    low, high = np.sin(0.3 * t) * (t % 1000 < 600), np.sin(1.1 * t) * (t % 700 < 300)
    return np.stack([low, 0.6 * high])


def test_two_tones_are_told_apart_and_stay_so_where_itakura_saito_goes_on():
    tones = two_tones()
    x = tones.sum(axis=0) + 1e-3 * normal(0, tones.shape[1])
    euclidean, kl, on_from_kl = (
        NMF(frame=hann(128, 64), divergence=name) for name in ("euclidean", *NAMES[1:])
    )
    for method in (euclidean, kl, kl >> on_from_kl):
        found = method.decompose(x, 2)
        likeness = np.corrcoef(np.concatenate([tones, found.components()]))[:2, 2:]
        assert np.all(likeness.max(axis=1) > 0.95)
        assert len(set(likeness.argmax(axis=1))) == 2


@pytest.mark.parametrize("name", NAMES)
def test_a_run_goes_on_from_its_own_result(name):
    method, x = NMF(frame=hann(64, 32), divergence=name), two_tones().sum(axis=0)
    whole, half = (replace(method, iterations=n).decompose(x, 2) for n in (9, 4))
    rest = replace(method, iterations=5).decompose(x, 2, start=half)
    np.testing.assert_array_equal(rest.spectra, whole.spectra)
    np.testing.assert_array_equal(rest.history["objective"], whole.history["objective"][4:])
    np.testing.assert_array_equal(rest.components(), whole.components())


def test_a_start_of_another_power_is_raised_to_ours():
    method, x = NMF(frame=hann(64, 32), iterations=5), two_tones().sum(axis=0)
    magnitudes = method.decompose(x, 2)
    powers = next(replace(method, divergence="itakura-saito").iterate(x, 2, start=magnitudes))
    np.testing.assert_allclose(powers.patterns, magnitudes.spectra**2)
    np.testing.assert_allclose(powers.activations, magnitudes.activations**2)


# ---- what it takes -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_no_second_array_of_the_size_of_the_matrix_is_held(name, dtype):
    V = np.random.default_rng(0).random((12_000, 400), dtype=dtype) + dtype(0.1)
    states = factorize(V, 4, divergence=name)
    tracemalloc.start()
    for state in islice(states, 3):
        assert state.objective > 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.25 * V.nbytes


@pytest.mark.parametrize(
    ("hop", "T", "K", "divergence"),
    [
        (8, 20_000, 4, "kullback-leibler"),
        (512, 200_000, 4, "kullback-leibler"),
        (8, 20_000, 1, "itakura-saito"),
        (8, 20_000, 1, 0.5),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_is_what_the_estimate_says(hop, T, K, divergence, dtype):
    method = NMF(frame=hann(1024, hop), divergence=divergence, iterations=2)
    x = normal(0, T).astype(dtype)
    needed = method.estimate(T, K, dtype).memory_bytes
    tracemalloc.start()
    method.decompose(x, K)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.35 * needed < peak < needed


# ---- bad input ---------------------------------------------------------------------------------

V = np.random.default_rng(0).random((9, 5)) + 0.1


@pytest.mark.parametrize(
    ("matrix", "K", "options", "message"),
    [
        (np.ones(5), 1, {}, "V must be two-dimensional"),
        (V + 1j, 1, {}, "V must be real"),
        (np.where(V == V.max(), np.nan, V), 1, {}, "V must be finite, got nan"),
        (V - 0.5, 1, {}, "V must not be negative, got -0."),
        (0 * V, 1, {}, "V must not be zero everywhere"),
        (np.where(V == V.max(), 0, V), 1, {"divergence": "itakura-saito"}, "V must be positive"),
        (np.where(V == V.max(), 0, V), 1, {"divergence": -1.0}, "V must be positive for β = -1"),
        (V, 6, {}, "n_components must be a whole number from 1 to 5, got 6"),
        (V, 1, {"start": "tape"}, "start must be one of random, got 'tape'"),
        (V, 1, {"start": (np.ones((1, 4)), np.ones((1, 9)))}, r"patterns must have shape \(1, 5\)"),
        (V, 1, {"start": (np.ones((1, 5)), np.ones((9, 1)))}, r"must have shape \(1, 9\)"),
        (V, 1, {"held": "spectra"}, "held must be one of patterns, activations, got 'spectra'"),
    ],
)
def test_bad_matrices_are_named(matrix, K, options, message):
    with pytest.raises(ValueError, match=message):
        factorize(matrix, K, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"power": 0.0}, "power must be positive, got 0.0"),
        ({"floor": -1.0}, "floor must be a finite number of at least 0, got -1.0"),
        ({"floor": 0.0, "divergence": "itakura-saito"}, "floor must be positive for β = 0, got 0"),
        ({"divergence": True}, "divergence must be one of euclidean, kullback-leibler"),
        ({"divergence": 3.0, "update": "full"}, "update must be minimise for β outside"),
        ({"divergence": -0.1, "update": "full"}, "update must be minimise for β outside"),
    ],
)
def test_options_that_are_no_such_numbers_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        NMF(**options)


@pytest.mark.parametrize("acceleration", ["none", "extrapolation"])
def test_what_one_divergence_takes_down_stays_where_another_can_bring_it_back(acceleration):
    rng = np.random.default_rng(0)
    spectra = np.array([[1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1]]) * rng.uniform(1, 2, (2, 6))
    planted = np.vstack([np.eye(2)[[0, 1] * 3], rng.uniform(0, 1, (12, 2))]) @ spectra + 1e-30
    method = NMF(acceleration=acceleration, precision="float32")
    *_, state = islice(method.factorize(planted, 2), 1200)
    for factor in (state.patterns, state.activations):
        least = np.sqrt(np.finfo(np.float32).tiny) * factor.max()
        assert 0.99 * least < factor.min() < 1e-6 * factor.max()
