"""Semi-NMF is the literal one, never rises, is the real one on real data, and keeps the sound."""

import os
import subprocess
import sys
import tracemalloc
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdlnmf_lit.methods import semi_nmf
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.factors import coordinate_update, multiplicative_update
from cdlnmf_lit.methods.semi_nmf import SemiNMF
from cdlnmf_lit.theory.gabor import GaborFrame, hann
from tests import reference
from tests.strategies import frames, lengths, normal, seeds

UPDATES = list(semi_nmf.ACTIVATION_UPDATES)
kinds = st.sampled_from([np.float64, np.complex128])
helds = st.sampled_from([None, "patterns", "activations"])
every_kind = st.sampled_from([np.float32, np.float64, np.complex64, np.complex128])
penalties = st.sampled_from([0.0, 0.1, 1.0])


def factorize(X, K, *, start=None, held=None, rng=0, **options):
    return SemiNMF(**options).factorize(X, K, start=start, held=held, rng=rng)


def last(states, iterations):
    return next(islice(states, iterations, None))


def matrix(seed, N, F, dtype):
    real, imaginary = normal(seed, 2, N, F)
    return (real + 1j * imaginary if np.issubdtype(dtype, complex) else real).astype(dtype)


@st.composite
def matrices(draw, kinds=kinds):
    """A matrix of noise, some of its rows and columns silent, and a rank it can have."""
    N, F = draw(st.integers(1, 40)), draw(st.integers(1, 20))
    X = matrix(draw(seeds), N, F, draw(kinds))
    if draw(st.booleans()):
        X[draw(st.integers(0, N - 1)) :: 3] = 0
        X[:, draw(st.integers(0, F - 1)) :: 4] = 0
    assume(X.any())
    return X, draw(st.integers(1, min(3, N, F)))


@st.composite
def options(draw):
    return {"penalty": draw(penalties), "activation_update": draw(st.sampled_from(UPDATES))}


def literal(X, W, Z, penalty, update, held=None):
    """The alternating updates, dense, in the paper's orientation: ``X.T ≈ W Zᵀ``."""
    A, W, Z = X.T, W.T, Z.T
    while True:
        if held != "activations":
            Z = getattr(reference, f"{update}_update")(A, W, Z, penalty)
        if held != "patterns":
            W = literal_spectra(A, W.copy(), Z, penalty)
        yield W.T, Z.T


def literal_spectra(A, W, Z, penalty):
    if not penalty:
        return np.linalg.lstsq(Z.astype(A.dtype), A.T, rcond=None)[0].T
    for k in range(Z.shape[1]):
        rest = A - W @ Z.T + np.outer(W[:, k], Z[:, k])
        if Z[:, k].any():
            W[:, k] = rest @ Z[:, k] / (Z[:, k] @ Z[:, k])
        W[:, k] /= max(1, np.linalg.norm(W[:, k]))
    return W


def objective(X, W, Z, penalty):
    return np.sum(np.abs(X - Z.T @ W) ** 2) / 2 + penalty * Z.sum()


# ---- the matrix ----------------------------------------------------------------------------------


@given(matrices(), options(), helds, seeds)
def test_the_iterates_are_those_of_the_literal_alternation(problem, options, held, seed):
    X, K = problem
    states = factorize(X, K, **options, held=held, rng=seed)
    first = next(states)
    steps = literal(X, first.patterns, first.activations, *options.values(), held)
    for found, (W, Z) in zip(islice(states, 30), steps, strict=False):
        if np.linalg.cond(Z @ Z.T) > 1e6:
            break
        scale = np.abs(W).max()
        np.testing.assert_allclose(found.activations, Z, atol=1e-8 * max(1, Z.max()))
        np.testing.assert_allclose(found.patterns, W, atol=1e-8 * scale)


@given(matrices(every_kind), options(), helds, seeds)
def test_the_objective_is_that_of_the_factors_and_never_rises(problem, options, held, seed):
    X, K = problem
    eps, energy = float(np.finfo(X.dtype).eps), float(np.linalg.norm(X) ** 2)
    lowest = np.inf
    for found in islice(factorize(X, K, **options, held=held, rng=seed), 30):
        W, Z = found.patterns, found.activations
        assert (W.dtype, Z.dtype) == (X.dtype, X.real.dtype)
        assert np.isfinite(W).all()
        assert np.isfinite(Z).all()
        assert Z.min() >= 0
        if options["penalty"] and held != "patterns":
            assert np.linalg.norm(W, axis=1).max() <= 1 + 10 * eps
        expected = objective(X.astype(complex), W, Z.astype(float), options["penalty"])
        assert found.objective == pytest.approx(expected, abs=5000 * eps * energy)
        left = np.linalg.norm(X - Z.T @ W) ** 2 / energy
        assert found.relative_residual**2 == pytest.approx(left, abs=10_000 * eps)
        assert found.objective <= lowest * (1 + 1e-7) + 20 * eps * energy
        lowest = found.objective


@given(matrices(every_kind), options(), seeds)
def test_held_spectra_keep_any_norm_and_spectra_of_held_activations_are_moved_into_the_ball(
    problem, options, seed
):
    X, K = problem
    W, Z = 3 * matrix(seed, K, X.shape[1], X.dtype), 3 * np.abs(normal(seed, K, len(X)))
    for state in islice(factorize(X, K, **options, start=(W, Z), held="patterns"), 3):
        np.testing.assert_array_equal(state.patterns, W)
    first = next(factorize(X, K, **options, start=(W, Z), held="activations"))
    np.testing.assert_array_equal(first.activations, Z.astype(W.real.dtype))
    sizes = np.linalg.norm(W, axis=1, keepdims=True)
    scale = np.minimum(1, 1 / sizes) if options["penalty"] else 1
    np.testing.assert_allclose(first.patterns, scale * W, rtol=1e-5)


@pytest.mark.parametrize("held", ["patterns", "activations"])
def test_with_a_held_factor_the_data_are_read_once(held, monkeypatch):
    W, Z = matrix(0, 2, 5, complex), np.abs(normal(1, 2, 23))
    states = SemiNMF(frame=FRAME).iterate(X, 2, start=(W, Z), held=held)
    monkeypatch.delattr(semi_nmf.Problem, "_blocks")
    wanted = {"patterns": W, "activations": Z}[held]
    np.testing.assert_array_equal(getattr(last(states, 3), held), wanted)


@given(matrices(), seeds)
def test_activations_that_are_not_given_are_those_of_each_spectrum_alone(problem, seed):
    X, K = problem
    W = matrix(seed, K, X.shape[1], X.dtype)
    V = (W.conj() @ X.T).real / np.sum(np.abs(W) ** 2, axis=1)[:, None]
    for held in (None, "patterns"):
        first = next(factorize(X, K, start=(W, None), held=held))
        expected = np.maximum(V, 1e-6 * max(0, V.max()))
        np.testing.assert_allclose(first.activations, expected, atol=1e-12 * np.abs(V).max())


@given(matrices(st.just(np.float64)), options(), seeds)
def test_it_is_the_real_semi_nmf_on_real_data(problem, options, seed):
    X, K = problem
    pair = zip(
        factorize(X, K, **options, rng=seed),
        factorize(X.astype(complex), K, **options, rng=seed),
        strict=True,
    )
    for real, other in islice(pair, 10):
        if np.linalg.cond(real.activations @ real.activations.T) > 1e8:
            break
        assert not other.patterns.imag.any()
        scale = np.abs(real.patterns).max()
        np.testing.assert_allclose(other.patterns.real, real.patterns, atol=1e-9 * scale)
        np.testing.assert_allclose(other.activations, real.activations, atol=1e-9)
        assert other.objective == pytest.approx(real.objective)


@given(matrices(), st.sampled_from(UPDATES), seeds)
def test_planted_factors_are_a_fixed_point(problem, update, seed):
    X, K = problem
    rng = np.random.default_rng(seed)
    W, Z = matrix(seed, K, X.shape[1], X.dtype), rng.random((K, len(X)))
    assume(np.linalg.cond(Z) < 1e3)
    assume(np.linalg.cond(W) < 1e3)
    states = factorize(Z.T @ W, K, activation_update=update, start=(W, Z))
    for found in islice(states, 4):
        assert found.relative_residual < 1e-6
        np.testing.assert_allclose(found.activations, Z, atol=1e-9)
        np.testing.assert_allclose(found.patterns, W, atol=1e-9 * np.abs(W).max())


@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("update", UPDATES)
def test_planted_factors_are_recovered_from_a_near_start(kind, update):
    rng = np.random.default_rng(0)
    W = matrix(1, 3, 40, kind)
    Z = np.where(rng.random((3, 300)) < 0.3, rng.random((3, 300)), 0)
    near = W + 0.5 * matrix(2, 3, 40, kind), Z + 0.05
    states = factorize(Z.T @ W, 3, activation_update=update, start=near)
    found = last(states, 2000)
    assert found.relative_residual < 2e-3
    assert likeness(near[0], W).max() < 0.95
    assert likeness(found.patterns, W).min() > 0.99


def likeness(spectra, others):
    """Cosines of each spectrum with its counterpart."""
    sizes = np.linalg.norm(spectra, axis=1) * np.linalg.norm(others, axis=1)
    return np.abs(np.sum(spectra.conj() * others, axis=1)) / sizes


@given(matrices(), st.sampled_from(UPDATES), st.floats(1e-3, 1e3), seeds)
def test_louder_data_give_louder_spectra(problem, update, gain, seed):
    X, K = problem
    quiet, loud = (
        last(factorize(data, K, activation_update=update, rng=seed), 4) for data in (X, gain * X)
    )
    assume(np.linalg.cond(quiet.activations @ quiet.activations.T) < 1e6)
    scale = np.abs(gain * quiet.patterns).max()
    np.testing.assert_allclose(loud.patterns, gain * quiet.patterns, atol=1e-8 * scale)
    np.testing.assert_allclose(loud.activations, quiet.activations, atol=1e-8)


@given(matrices(), st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3), seeds)
def test_the_order_and_the_scale_of_the_components_do_not_matter(problem, scales, seed):
    """What a spectrum is louder by, its activations may be softer by: the product is the same."""
    X, K = problem
    first, s = next(factorize(X, K, rng=seed)), np.array(scales[:K])[:, None]
    W, Z = first.patterns, first.activations
    one = last(factorize(X, K, start=(W, Z)), 5)
    other = last(factorize(X, K, start=(W[::-1] / s, Z[::-1] * s)), 5)
    assume(np.linalg.cond(one.activations @ one.activations.T) < 1e6)
    for each, same in zip(parts_of(one), parts_of(other)[::-1], strict=True):
        np.testing.assert_allclose(same, each, atol=1e-8 * max(1, np.abs(each).max()))


def parts_of(state):
    return np.einsum("kn,kf->knf", state.activations, state.patterns)


@pytest.mark.parametrize("width", [1, 5, 24, 100])
def test_blocks_do_not_show(width, monkeypatch):
    X = matrix(0, 50, 12, complex)
    whole = last(factorize(X, 3, rng=0), 6)
    monkeypatch.setattr(semi_nmf, "PASS", 7 * 24)
    monkeypatch.setattr(semi_nmf, "ROWS", 3)
    monkeypatch.setattr(semi_nmf, "ONE_THREAD", 3 * 2 * width)
    monkeypatch.setattr(semi_nmf, "LEAST_ROWS", 2)
    monkeypatch.setattr(semi_nmf, "_tiles", semi_nmf._tiles.__wrapped__)
    pieces = last(factorize(X, 3, rng=0), 6)
    assert len(pieces.problem.parts) == 8
    np.testing.assert_allclose(pieces.activations, whole.activations, atol=1e-10)
    V, _ = pieces.problem.correlations(pieces.real_spectra)
    np.testing.assert_allclose(V, (pieces.patterns.conj() @ X.T).real, atol=1e-10)
    assert pieces.objective == pytest.approx(whole.objective)


@pytest.mark.long
def test_the_number_of_threads_does_not_show():
    """Of ours and of BLAS; each process has one thread more than the one before."""
    code = (
        "import hashlib, numpy as np\n"
        "from itertools import islice\n"
        "from cdlnmf_lit.methods import semi_nmf\n"
        "rng = np.random.default_rng(0)\n"
        "for K, dtype in ((8, np.complex64), (17, complex)):\n"
        "    X = (rng.standard_normal((700, 400)) * (1 + 1j)).astype(dtype)\n"
        "    found = next(islice(semi_nmf.SemiNMF().factorize(X, K), 4, None))\n"
        "    print(hashlib.sha256(found.patterns.tobytes()).hexdigest())\n"
    )
    printed = set()
    for threads in (1, 2, 3):
        variables = {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        ours = f"import os; os.sched_getaffinity = lambda _: range({threads})\n"
        command, env = [sys.executable, "-c", ours + code], os.environ | variables
        printed.add(subprocess.check_output(command, text=True, env=env))
    assert len(printed) == 1


def test_any_layout_of_the_data_and_the_start_gives_the_same():
    X, W = matrix(0, 30, 12, complex), matrix(1, 12, 2, complex)
    Z, wide = np.abs(normal(2, 30, 2)), np.zeros((60, 24), complex)
    wide[::2, ::2] = X
    wanted = last(factorize(X, 2, start=(W.T.copy(), Z.T.copy())), 3)
    for other in (np.asfortranarray(X), wide[::2, ::2]):
        found = last(factorize(other, 2, start=(W.T, Z.T)), 3)
        np.testing.assert_array_equal(found.patterns, wanted.patterns)


def test_a_dead_component_stays_and_harms_no_other():
    X = matrix(0, 30, 12, complex)
    W, Z = matrix(1, 2, 12, complex), np.abs(normal(2, 2, 30))
    Z[1] = 0
    alone = last(factorize(X, 1, start=(W[:1], Z[:1])), 5)
    found = last(factorize(X, 2, start=(W, Z)), 5)
    assert not found.activations[1].any()
    np.testing.assert_array_equal(found.patterns[1], W[1])
    np.testing.assert_allclose(found.activations[0], alone.activations[0], atol=1e-10)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("update", UPDATES)
def test_equal_and_vanishing_activations_stay_finite(dtype, update):
    """Least squares for activations of rank 1, and with one 30 orders of magnitude below."""
    X, rounding = matrix(0, 30, 12, dtype), 20 * np.finfo(dtype).eps * 30 * 12 * 2
    W, z = matrix(1, 3, 12, dtype), np.abs(normal(2, 30))
    for Z in (np.stack([z, z, z]), np.stack([z, 1e-30 * z, z[::-1]]), np.zeros((3, 30))):
        states = islice(factorize(X, 3, activation_update=update, start=(W, Z)), 40)
        for before, after in pairwise(states):
            assert np.isfinite(after.patterns).all()
            assert np.isfinite(after.activations).all()
            assert after.objective <= before.objective * (1 + 1e-6) + rounding


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_spectra_of_activations_so_small_that_their_norm_would_overflow_stay(dtype):
    z, W = np.abs(normal(0, 2, 30)), normal(1, 2, 12, dtype=dtype)
    Z = np.stack([z[0], np.finfo(dtype).tiny ** 0.4 * z[1]])
    fitted = semi_nmf._least_squares(W, Z @ normal(2, 30, 12), Z @ Z.T)
    np.testing.assert_array_equal(fitted[1], W[1])
    Z[1] *= np.finfo(dtype).tiny ** -0.2  # now there is room for the square
    fitted = semi_nmf._least_squares(W, Z @ normal(2, 30, 12), Z @ Z.T)
    expected = np.linalg.lstsq(Z.T / Z.max(axis=1), normal(2, 30, 12), rcond=None)[0]
    np.testing.assert_allclose(fitted * Z.max(axis=1)[:, None], expected, rtol=1e-4)


def test_single_precision_follows_double():
    X = matrix(0, 200, 60, complex)
    first = next(factorize(X, 4, rng=0))
    start = first.patterns, first.activations
    double, single = (
        [f.objective for f in islice(factorize(data, 4, start=start), 40)]
        for data in (X, X.astype(np.complex64))
    )
    np.testing.assert_allclose(single, double, rtol=1e-5)


@pytest.mark.parametrize(("dtype", "floor"), [(np.complex128, 1e-7), (np.complex64, 2e-4)])
def test_the_residual_of_a_perfect_fit_is_as_small_as_the_docstring_says(dtype, floor):
    W = matrix(0, 3, 300, dtype)
    Z = np.abs(normal(1, 3, 8000)).astype(W.real.dtype)
    found = last(factorize(Z.T @ W, 3, start=(W, Z)), 3)
    assert found.relative_residual < floor


@pytest.mark.parametrize("held", [None, "patterns"])
def test_the_misfit_of_nearly_dependent_components_keeps_its_digits(held):
    """Two activations alike but for a millionth: their spectra are large and nearly cancel."""
    rng = np.random.default_rng(0)
    z, X = rng.random(400), matrix(1, 400, 30, complex)
    Z = np.stack([z, z + 1e-6 * rng.random(400)])
    W = np.linalg.lstsq(Z.T.astype(complex), X, rcond=None)[0]
    found = next(factorize(X, 2, start=(W, Z), held=held))
    wanted = np.linalg.norm(X - found.activations.T @ found.patterns) ** 2 / 2
    assert found.objective == pytest.approx(wanted, rel=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_sums_over_many_blocks_are_in_double_precision(seed, monkeypatch):
    monkeypatch.setattr(semi_nmf, "ROWS", 8)
    W = matrix(seed, 3, 300, np.complex64)
    Z = np.abs(normal(seed + 1, 3, 8000)).astype(np.float32)
    X = Z.T @ W + np.complex64(1e-3) * matrix(seed + 2, 8000, 300, np.complex64)
    found = next(factorize(X, 3, start=(W, Z))).relative_residual
    wide = X.astype(complex)
    true = np.linalg.norm(wide - Z.T.astype(float) @ W) / np.linalg.norm(wide)
    assert found == pytest.approx(true, rel=5e-4)


@given(st.integers(1, 4), st.integers(1, 5), penalties, seeds)
@pytest.mark.long
def test_the_updates_of_the_activations_lower_their_quadratic(K, n, penalty, seed):
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((6, K)) + 1j * rng.standard_normal((6, K))
    V, G, z = rng.standard_normal((K, n)), (W.conj().T @ W).real, rng.random((K, n))

    def quadratic(z):
        return np.sum(z * (G @ z)) / 2 - np.sum(V * z) + penalty * z.sum()

    reached = {}
    for name, update in semi_nmf.ACTIVATION_UPDATES.items():
        before = z.copy()
        reached[name] = update(z, V, G, penalty)
        np.testing.assert_array_equal(z, before)
        assert reached[name].min() >= 0
        assert quadratic(reached[name]) <= quadratic(z) + 1e-12
        np.testing.assert_array_equal(update(z, 0 * V, 0 * G, 0.0), z)  # nothing is asked
    for update in semi_nmf.ACTIVATION_UPDATES.values():
        stopped = reached["coordinate"]
        for _ in range(3000):
            stopped = coordinate = coordinate_update(stopped, V, G, penalty)
        np.testing.assert_allclose(update(stopped, V, G, penalty), coordinate, atol=1e-6)


@given(st.integers(1, 4), penalties, seeds)
def test_the_multiplicative_update_minimises_a_majoriser(K, penalty, seed):
    """The five inequalities of the chapter, summed: above everywhere, touching where we stand."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((5, K)) + 1j * rng.standard_normal((5, K))
    G, v = (W.conj().T @ W).real, rng.standard_normal(K)
    here, there = rng.random(K) + 1e-3, rng.random(K) + 1e-3

    def f(z):
        return z @ G @ z / 2 - v @ z + penalty * z.sum()

    def majoriser(z):
        plus, minus = np.maximum(G, 0), np.maximum(-G, 0)
        up, down = np.maximum(v, 0), np.maximum(-v, 0)
        ratio = z / here
        pairs = np.outer(here, here) * (1 + np.log(np.outer(ratio, ratio)))
        return (
            np.sum(plus @ here * z**2 / here) / 2
            - np.sum(minus * pairs) / 2
            - np.sum(up * here * (1 + np.log(ratio)))
            + np.sum((down + penalty) * (z**2 + here**2) / (2 * here))
        )

    assert majoriser(here) == pytest.approx(f(here))
    assert majoriser(there) >= f(there) - 1e-9
    best = multiplicative_update(here[:, None], v[:, None], G, penalty)[:, 0]
    for factor in (0.9, 1.1):
        for k in range(K):
            moved = best.copy()
            moved[k] *= factor
            assert best.min() == 0 or majoriser(moved) >= majoriser(best) - 1e-12


# ---- the signal ----------------------------------------------------------------------------------


@st.composite
def problems(draw, longest=10):
    """A frame, not always tight, a signal of any length and K."""
    frame = draw(frames(longest=longest, phases=["time-invariant"]))
    assume(frame.bounds(200)[0] > 0.1 * frame.bounds(200)[1])
    if draw(st.booleans()):
        frame = frame.tight()
    T = draw(lengths)
    most = min(frame.n_frames(T), frame.channels, frame.window.size)
    x = normal(draw(seeds), T)
    if draw(st.booleans()):
        x[T // 3 : 2 * T // 3] = 0
    assume(x.any())
    return frame, x, draw(st.integers(1, min(3, most)))


def whole_spectrum(W, M):
    """All M channels from the half that is kept."""
    return np.fft.fft(np.fft.irfft(W, M), axis=1) if M > 1 else W


@given(problems(), options(), helds, seeds)
def test_it_factorises_all_channels_of_the_analysis_coefficients(problem, options, held, seed):
    frame, x, K = problem
    X = reference.analysis(frame, x)
    states = SemiNMF(frame=frame, **options).iterate(x, K, held=held, rng=seed)
    first = next(states)
    M = frame.channels
    W = whole_spectrum(first.patterns, M)
    steps = literal(X, W, first.activations, *options.values(), held)
    value = objective(X, W, first.activations, options["penalty"])
    assert first.objective == pytest.approx(value, abs=1e-9 * np.sum(np.abs(X) ** 2))
    for found, (W, Z) in zip(islice(states, 10), steps, strict=False):
        if np.linalg.cond(Z @ Z.T) > 1e6:
            break
        np.testing.assert_allclose(found.activations, Z, atol=1e-7 * max(1, Z.max()))
        spectra = whole_spectrum(found.patterns, M)
        np.testing.assert_allclose(spectra, W, atol=1e-7 * np.abs(W).max())


@given(problems(), seeds)
def test_components_are_syntheses_of_the_dual_frame(problem, seed):
    """In a tight frame the residual in time is no larger than that of the coefficients."""
    frame, x, K = problem
    state = last(SemiNMF(frame=frame).iterate(x, K, rng=seed), 2)
    found = state.decomposition()
    tolerance = 1e-8 * max(1, np.abs(x).max())
    for k in range(K):
        coefficients = np.outer(state.activations[k], state.patterns[k])
        expected = frame.dual().half_synthesis(coefficients, x.size)
        np.testing.assert_allclose(found.component(k), expected, atol=tolerance)
    np.testing.assert_allclose(found.components().sum(axis=0) + found.residual, x, atol=tolerance)
    if frame.bounds(x.size) == pytest.approx((1, 1)):
        most = state.relative_residual * np.linalg.norm(x)
        assert np.linalg.norm(found.residual) <= most * (1 + 1e-6) + 1e-6


@given(problems(), seeds)
def test_a_run_goes_on_from_its_own_result(problem, seed):
    frame, x, K = problem
    whole = SemiNMF(frame=frame, iterations=8).decompose(x, K, rng=seed)
    half = SemiNMF(frame=frame, iterations=4).decompose(x, K, rng=seed)
    assume(np.linalg.cond(half.activations @ half.activations.T) < 1e6)
    window = np.abs(frame.dual().window)
    assume(np.all((window == 0) | (window > 1e-4 * window.max())))
    rest = SemiNMF(frame=frame, iterations=4).decompose(x, K, start=half)
    np.testing.assert_allclose(
        rest.history["objective"], whole.history["objective"][4:], rtol=1e-5, atol=1e-9
    )


def test_a_start_from_another_hop_keeps_the_sound():
    x = np.sin(0.2 * np.arange(600.0)) * np.hanning(600)
    coarse = SemiNMF(frame=hann(32, 8), iterations=60).decompose(x, 2)
    fine = hann(48, 4)
    start = next(SemiNMF(frame=fine).iterate(x, 2, start=coarse))
    assert start.activations.shape == (2, fine.n_frames(600))
    assert start.activations.min() > 0
    np.testing.assert_allclose(start.decomposition().residual, coarse.residual, atol=1e-4)


def test_a_start_from_spectra_and_sounds_takes_their_loudest_stretches_where_they_fit():
    frame, x = hann(16, 2), normal(0, 200)
    sounds = np.where([np.arange(200) < 100, np.arange(200) >= 100], x, 0)
    activations = 1e4 * np.random.default_rng(0).random((2, frame.n_frames(200)))
    spectra = np.ones((2, 9))
    found = Decomposition(
        "by hand", None, activations, 2, frame.first_sample, 0 * x, spectra=spectra, sounds=sounds
    )
    first = next(SemiNMF(frame=frame).iterate(x, 2, start=found))
    fitting = first.problem.activations_for(first.patterns)
    np.testing.assert_allclose(first.activations, fitting, rtol=1e-9)
    start = first.decomposition()
    seen = frame.window > 0
    for atom, pattern in zip(start.atoms, found.patterns(16), strict=True):
        ratio = atom[seen] / pattern[seen]
        np.testing.assert_allclose(ratio, ratio[0])


def test_planted_signals_with_no_overlap_are_found():
    """Without overlap each window sees one atom alone, and the coefficients factorise."""
    frame = GaborFrame(np.ones(32), 32).tight()
    rng = np.random.default_rng(0)
    atoms, Z = rng.standard_normal((2, 32)), rng.random((2, 40))
    x = (Z.T @ atoms).ravel()
    method = SemiNMF(frame=frame, iterations=500, activation_update="coordinate")
    near = method.decompose(x, 2, rng=3)
    assert near.history["relative_residual"][-1] < 1e-6


@pytest.mark.parametrize("hop", [4, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("held", [None, "patterns", "activations"])
def test_memory_is_what_the_estimate_says(hop, dtype, held):
    method, x = SemiNMF(frame=hann(512, hop), iterations=3), normal(0, 60_000, dtype=dtype)
    needed = method.estimate(x.size, 4, dtype).memory_bytes
    coefficients = method.frame.n_frames(x.size) * 257 * 2 * x.itemsize
    tracemalloc.start()
    method.decompose(x, 4, held=held)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.4 * needed < peak < needed
    if hop == 4:
        assert peak < 1.5 * coefficients


@pytest.mark.parametrize("held", [None, "patterns", "activations"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_matrix_beyond_a_python_of_32_bits_is_never_formed(
    dtype, held, monkeypatch, virtual_bytes
):
    monkeypatch.setattr(semi_nmf, "PASS", 2**14)  # several parts
    x, method = normal(0, 4000).astype(dtype), SemiNMF(frame=hann(64, 1), iterations=3)
    start = method.decompose(x, 2) if held else "random"
    formed = method.decompose(x, 2, start=start, held=held)
    needed, matrix = method.estimate(x.size, 2, dtype).memory_bytes, max(virtual_bytes)
    assert matrix == method.frame.n_frames(x.size) * 33 * 2 * x.itemsize
    virtual_bytes.clear()
    monkeypatch.setattr(semi_nmf, "LARGEST", matrix - 1)
    assert method.estimate(x.size, 2, dtype).memory_bytes == needed - matrix
    rows = method.decompose(x, 2, start=start, held=held)
    assert max(virtual_bytes) < matrix
    for name in ("atoms", "activations", "residual"):
        np.testing.assert_array_equal(getattr(rows, name), getattr(formed, name))


@given(problems(), seeds)
def test_from_lambda_max_on_no_spectra_are_used(problem, seed):
    frame, x, K = problem
    X = reference.analysis(frame, x)
    assert SemiNMF(frame=frame).lambda_max(x) == pytest.approx(np.linalg.norm(X, axis=1).max())
    start = spectra_of_the_largest_row(X, K, frame.channels // 2 + 1, seed)
    for share, used in ((1 + 1e-9, False), (1 - 1e-6, True)):
        method = SemiNMF(frame=frame, share=share, activation_update="coordinate")
        assert last(method.iterate(x, K, start=start), 1).activations.any() == used


@given(matrices(every_kind), seeds)
def test_from_lambda_max_on_no_spectra_of_a_matrix_are_used(problem, seed):
    X, K = problem
    start = spectra_of_the_largest_row(X, K, X.shape[1], seed)
    for share, used in ((1 + 1e-5, False), (1 - 1e-4, True)):
        states = factorize(X, K, start=start, share=share, activation_update="coordinate")
        assert last(states, 1).activations.any() == used


def spectra_of_the_largest_row(X, K, F, seed):
    """With activations of zero, which are the minimum if they do not move."""
    largest = X[np.linalg.norm(X, axis=1).argmax(), :F]
    return np.stack([largest, *matrix(seed, K - 1, F, X.dtype)]), np.zeros((K, len(X)))


FRAME, X = hann(8, 2), normal(0, 40)


@pytest.mark.parametrize(
    ("K", "frame", "message"),
    [
        (9, FRAME, "n_components must be a whole number from 1 to 8, got 9"),
        (1, GaborFrame(np.r_[np.ones(3), 0.0], 4, 8), "must make a well-conditioned"),
        (1, GaborFrame("hann", 2, 8, phase="frequency-invariant"), "must count its phase time-inv"),
    ],
)
def test_bad_input_is_named(K, frame, message):
    with pytest.raises(ValueError, match=message):
        SemiNMF(frame=frame).iterate(X, K)


@pytest.mark.parametrize(
    ("X", "K", "options", "message"),
    [
        (np.zeros((4, 3)), 1, {}, "X must not be zero everywhere"),
        (np.full((4, 3), 1j * np.inf), 1, {}, "X must be finite"),
        (np.ones((4, 3)), 4, {}, "n_components must be a whole number from 1 to 3, got 4"),
        (np.ones((4, 3)) * 1j, 5, {}, "n_components must be a whole number from 1 to 4, got 5"),
        (np.ones((4, 3)), 1, {"start": (np.ones((1, 3)) * 1j, np.ones((1, 4)))}, "must be real"),
        (np.ones((4, 3)), 1, {"start": (np.ones((1, 3)), np.ones((1, 3)))}, r"shape \(1, 4\)"),
    ],
)
def test_bad_matrices_are_named(X, K, options, message):
    with pytest.raises(ValueError, match=message):
        factorize(X, K, **options)
