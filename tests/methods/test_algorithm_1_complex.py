"""Algorithm 1 with complex NMF is the literal one, never rises, and keeps equal phases equal."""

import tracemalloc
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdlnmf_lit.methods import algorithm_1, algorithm_1_complex, complex_nmf
from cdlnmf_lit.methods.algorithm_1_complex import Algorithm1Complex
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.method import HELD
from cdlnmf_lit.theory.gabor import GaborFrame, hann
from tests import reference
from tests.strategies import dtypes, frames, lengths, normal, seeds

PHASES = algorithm_1_complex.PHASES


@st.composite
def problems(draw, *, tight=None, lengths=lengths):
    """A frame of norm 1, tight or not, a signal with or without silence, K and the options."""
    frame = draw(frames(longest=10))
    A, B = frame.bounds(200)
    if draw(st.booleans()) if tight is None else tight:
        assume(A > 0.1 * B)
        frame = frame.tight()
    else:
        window = frame.window / np.sqrt(B)
        frame = GaborFrame(
            window, frame.hop, frame.channels, phase=frame.phase, origin=frame.origin
        )
        assume(frame.bounds(200)[0] > 0.01)
    x = normal(draw(seeds), draw(lengths))
    if draw(st.booleans()):
        x[x.size // 3 : 2 * x.size // 3] = 0
    assume(x.any())
    method = Algorithm1Complex(
        frame=frame,
        penalty=draw(st.sampled_from([0.0, 0.1, 1.0])),
        phases=draw(st.sampled_from(PHASES)),
        inner_iterations=draw(st.integers(1, 3)),
    )
    return method, x, draw(st.integers(1, min(3, method.most_components(x.size))))


def whole(half, M):
    """All M channels of a half-spectrum whose other half is its conjugate."""
    return np.concatenate([half, half[..., (M - 1) // 2 : 0 : -1].conj()], axis=-1)


def literal(x, method, W, Z, U, held=None):
    """Over all channels, with a phase array for each component, and Kameoka's ``β`` written out."""
    frame, penalty = method.frame, method.penalty
    while True:
        alpha = np.sum(W[:, None] * Z[:, :, None] * U, axis=0)
        residual = x - reference.synthesis(frame, alpha, x.size).real
        A, least = alpha + reference.analysis(frame, residual), np.inf
        for _ in range(method.inner_iterations):
            if held != "patterns":
                bar, beta, U = split(A, W, Z, U)
                cost = 0 if held else penalty * Z.sum(axis=1)[:, None]
                up = np.sum(Z[:, :, None] * bar / beta, axis=1)
                W = up / (np.sum(Z[:, :, None] ** 2 / beta, axis=1) + cost)
                sizes = 1 if held else np.linalg.norm(W, axis=1)[:, None]
                W, Z = W / sizes, Z * sizes
            if held != "activations":
                bar, beta, U = split(A, W, Z, U)
                # λ Z ≤ λ (Z²/Z₀ + Z₀) / 2
                up = np.sum(W[:, None] * bar / beta, axis=2)
                Z = up / (np.sum(W[:, None] ** 2 / beta, axis=2) + penalty / Z)
            least = min(least, bar.min())
        yield W, Z, U, least


def split(A, W, Z, U):
    """The optimal shares ``β_k`` and magnitudes and phases of what each component is to be."""
    S = W[:, None] * Z[:, :, None] * U
    beta = np.abs(S) / np.sum(np.abs(S), axis=0)
    bar = S + beta * (A - S.sum(axis=0))
    return np.abs(bar), beta, np.exp(1j * np.angle(bar))


def phases_of(state):
    """All ``exp(iθ_k)`` of a state, over all channels."""
    problem, everything = state.problem, slice(0, state.activations.shape[1])
    half = np.stack([problem.phases(k, everything) for k in range(len(state.patterns))])
    return whole(half, problem.method.frame.channels)


@pytest.mark.parametrize("held", [None, *HELD])
@given(problem=problems(lengths=st.integers(1, 24)), seed=seeds)
def test_the_iterates_are_those_of_the_literal_algorithm(held, problem, seed):
    method, x, K = problem
    M = method.frame.channels
    assume(np.all(x))
    start = None
    if held:  # of any norm, which stays
        rng = np.random.default_rng(seed)
        shapes = method.shapes(x.size, K).values()
        start = tuple(rng.uniform(0.1, 2, (K, 1)) * rng.random(shape) + 1e-3 for shape in shapes)
    states = method.iterate(x, K, start=start, held=held, rng=seed)
    first = next(states)
    steps = literal(x, method, whole(first.patterns, M), first.activations, phases_of(first), held)
    for state, (W, Z, U, least) in zip(islice(states, 8), steps, strict=False):
        if held:
            np.testing.assert_array_equal(getattr(state, held), start[HELD.index(held)])
        if min(W.min(), Z.min(), least) < 1e-4:  # of nothing there is no phase
            break
        alpha = np.sum(W[:, None] * Z[:, :, None] * U, axis=0)
        close = {"rtol": 0, "atol": 1e-7 * max(1, Z.max(), W.max())}
        np.testing.assert_allclose(whole(state.patterns, M), W, **close)
        np.testing.assert_allclose(state.activations, Z, **close)
        residual = x - reference.synthesis(method.frame, alpha, x.size)
        np.testing.assert_allclose(residual.imag, 0, **close)
        np.testing.assert_allclose(state.residual, residual.real, **close)
        objective = np.sum(residual.real**2) / 2 + method.penalty * Z.sum()
        assert state.objective == pytest.approx(objective, rel=1e-6, abs=1e-9)
        if method.phases == "common":
            mine = np.sum(W, axis=0) * np.ones((Z.shape[1], 1)) > 0
            spread = np.abs(U - U[:1])[:, mine]
            np.testing.assert_allclose(spread, 0, atol=1e-6)


@given(problems(), st.floats(0, 3), seeds)
def test_from_lambda_max_on_silence_is_best_and_below_it_is_not(problem, size, seed):
    method, x, K = problem
    frame = method.frame
    correlations = reference.analysis(frame, x)
    sizes = np.linalg.norm(correlations, axis=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cdlnmf_lit.theory.gabor.BLOCK", 3 * max(frame.channels, frame.window.size))
        largest = method.lambda_max(x)
    assert largest == pytest.approx(sizes.max())

    def objective(W, Z, U, penalty):
        alpha = np.sum(W[:, None] * Z[:, :, None] * U, axis=0)
        left = x - reference.synthesis(frame, alpha, x.size)
        return np.sum(np.abs(left) ** 2) / 2 + penalty * Z.sum()

    rng = np.random.default_rng(seed)
    W = rng.random((K, frame.channels))
    U = np.exp(2j * np.pi * rng.random((K, *correlations.shape)))
    Z = size * rng.exponential(1, (K, len(sizes))) ** 3
    W, silence = W / np.linalg.norm(W, axis=1)[:, None], np.sum(x**2) / 2
    assert objective(W, Z, U, largest) >= silence * (1 - 1e-12)
    n = np.argmax(sizes)
    W, Z = np.abs(correlations[[n]]) / sizes[n], np.zeros((1, len(sizes)))
    Z[0, n] = 0.1 * largest
    assert objective(W, Z, np.exp(1j * np.angle(correlations))[None], 0.9 * largest) < silence


@given(problems(), st.sampled_from([None, *HELD]), dtypes, seeds)
def test_the_objective_never_rises(problem, held, dtype, seed):
    method, x, K = problem
    x = x.astype(dtype)
    rounding = 20 * np.finfo(dtype).eps * np.sum(x**2)
    for before, after in pairwise(islice(method.iterate(x, K, held=held, rng=seed), 20)):
        assert after.objective <= before.objective * (1 + 20 * np.finfo(dtype).eps) + rounding


@given(problems(), seeds)
def test_what_a_state_says_of_itself_is_so(problem, seed):
    method, x, K = problem
    M = method.frame.channels
    for state in islice(method.iterate(x, K, rng=seed), 3):
        found = state.decomposition()
        tolerance = 1e-9 * max(1, np.abs(x).max())
        np.testing.assert_allclose(found.residual, state.residual, atol=tolerance)
        size = np.linalg.norm(found.residual)
        assert state.relative_residual == pytest.approx(size / np.linalg.norm(x), abs=1e-9)
        paid = method.penalty * state.activations.sum()
        assert state.objective == pytest.approx(size**2 / 2 + paid, abs=1e-9)
        sizes = np.linalg.norm(whole(state.patterns, M), axis=1)
        assert np.all(np.isclose(sizes, 1) | (sizes == 0))
        for k in range(K):
            S = state.activations[k][:, None] * whole(state.patterns[k], M)
            expected = reference.synthesis(method.frame, S * phases_of(state)[k], x.size)
            np.testing.assert_allclose(expected.imag, 0, atol=tolerance)
            np.testing.assert_allclose(found.component(k), expected.real, atol=tolerance)


@given(problems(tight=True), seeds)
def test_in_a_tight_frame_the_gradient_step_lands_on_coefficients_of_the_signal(problem, seed):
    method, x, K = problem
    state = next(islice(method.iterate(x, K, rng=seed), 2, None))
    A = state.problem.A / state.problem.gains
    np.testing.assert_allclose(method.frame.half_synthesis(A, x.size), x, atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_phases_that_move_fit_what_is_no_convolution(seed):
    """The strictly larger model: one component fits noise, which one atom does not."""
    run, x = {"frame": hann(32, 4), "iterations": 300}, normal(seed, 400)
    complex_ = Algorithm1Complex(**run).decompose(x, 1, rng=seed)
    atom = algorithm_1.Algorithm1(step_rule="accelerated", **run).decompose(x, 1, rng=seed)
    assert complex_.history["relative_residual"][-1] < 0.05
    assert atom.history["relative_residual"][-1] > 0.7


@given(problems(tight=True), seeds)
def test_planted_coefficients_are_a_fixed_point(problem, seed):
    method, x, K = problem
    method = replace(method, penalty=0.0)
    rng = np.random.default_rng(seed)
    problem = method.problem(x, K)
    (N, F), gains = problem.A.shape, problem.gains
    W, Z = rng.random((K, F)) + 0.1, rng.random((K, N)) + 0.1
    W /= np.linalg.norm(W, axis=1)[:, None]
    U = np.exp(2j * np.pi * rng.random((K, N, F)))
    U[..., gains == 1] = np.sign(rng.standard_normal((K, N, 1)))
    problem.A[:] = (Z.T @ W) * U[0]
    if method.phases == "free":
        problem.factorisation.phases.values = U
    planted = -replace(problem, x=np.zeros_like(x)).residual(W / gains, Z)
    problem = replace(problem, x=planted)
    assume(np.linalg.norm(planted) > 0.1)
    for state in islice(problem.states(problem.first(W / gains, Z)), 4):
        assert state.relative_residual < 1e-7
        np.testing.assert_allclose(state.patterns * gains, W, atol=1e-8)
        np.testing.assert_allclose(state.activations, Z, atol=1e-8 * Z.max())


@given(problems(), st.floats(0.01, 100), seeds)
def test_louder_signals_give_louder_components(problem, gain, seed):
    method, x, K = problem
    method = replace(method, penalty=0.0, iterations=4)
    quiet, loud = (method.decompose(sound, K, rng=seed) for sound in (x, gain * x))
    scale = gain * np.abs(x).max()
    np.testing.assert_allclose(loud.components(), gain * quiet.components(), atol=1e-6 * scale)


@given(problems(), seeds)
def test_the_order_of_the_components_does_not_matter(problem, seed):
    method, x, K = problem
    method = replace(method, phases="common", iterations=4)
    first = next(method.iterate(x, K, rng=seed))
    starts = [(first.patterns[::step], first.activations[::step]) for step in (1, -1)]
    one, other = (method.decompose(x, K, start=start) for start in starts)
    np.testing.assert_allclose(other.components()[::-1], one.components(), atol=1e-7)


X = normal(0, 300)


def test_blocks_do_not_show(monkeypatch):
    method = Algorithm1Complex(frame=hann(32, 4), penalty=0.1, iterations=4)
    together = method.decompose(X, 2)
    for module in (algorithm_1_complex, complex_nmf):
        monkeypatch.setattr(module, "SINGLE", 2 * 17 * 7)
    apart = method.decompose(X, 2)
    np.testing.assert_allclose(apart.components(), together.components(), atol=1e-9)


@pytest.mark.parametrize("phases", PHASES)
def test_a_start_of_arrays_is_taken_as_it_is_but_for_the_scale_of_the_spectra(phases):
    method = Algorithm1Complex(frame=hann(32, 4), phases=phases, iterations=3)
    W, Z = np.abs(normal(1, 2, 17)), np.abs(normal(2, 2, method.frame.n_frames(300)))
    Z[1] = 0
    first = next(method.iterate(X, 2, start=(W, Z)))
    sizes = np.linalg.norm(whole(W, 32), axis=1)[:, None]
    np.testing.assert_allclose(first.patterns, W / sizes)
    np.testing.assert_allclose(first.activations, Z * sizes)
    found = method.decompose(X, 2, start=(W, Z))
    assert not found.component(1).any()  # what is dead stays so
    assert np.isfinite(found.components()).all()


@pytest.mark.parametrize("phases", PHASES)
def test_activations_for_given_patterns_are_as_loud_as_fits_best(phases):
    method = Algorithm1Complex(frame=hann(32, 4), phases=phases)
    W = np.abs(normal(1, 2, 17))
    first = next(method.iterate(X, 2, start=(W, None), held="patterns"))
    V, model = np.abs(reference.analysis(method.frame, X)), first.activations.T @ whole(W, 32)
    assert np.ptp(first.activations) == 0
    assert np.vdot(V - model, model) == pytest.approx(0, abs=1e-9 * np.vdot(V, V))


@pytest.mark.parametrize("phases", PHASES)
def test_a_state_that_has_been_overwritten_says_so(phases):
    states = Algorithm1Complex(frame=hann(32, 4), phases=phases).iterate(X, 2)
    first = next(states)
    first.decomposition()
    next(states)
    with pytest.raises(RuntimeError, match="state 0 must be made a decomposition before the next"):
        first.decomposition()


def test_a_start_from_another_method_takes_its_magnitudes():
    n, Z = np.arange(64), np.zeros((2, 108))
    atoms = np.hanning(64) * np.sin(np.outer([0.3, 0.8], n))
    Z[0, :50:3], Z[1, 58::3] = 1, 1
    other = Decomposition("by hand", atoms, Z, 8, -56, np.zeros(800))
    x, frame = other.components().sum(axis=0), hann(64, 8)
    method = Algorithm1Complex(frame=frame)
    start = next(method.iterate(x, 2, start=other))
    for k in range(2):
        magnitudes = frame.spectrogram(other.component(k), 1.0)
        mine = np.outer(start.activations[k], start.patterns[k])
        cosine = np.sum(mine * magnitudes) / np.linalg.norm(mine) / np.linalg.norm(magnitudes)
        assert cosine > 0.8
    assert start.relative_residual < next(method.iterate(x, 2)).relative_residual


@pytest.mark.parametrize("phases", PHASES)
@pytest.mark.parametrize("hop", [16, 64])
def test_memory_is_what_the_estimate_says(phases, hop):
    method, x = Algorithm1Complex(frame=hann(512, hop), phases=phases), normal(0, 60_000)
    x = x.astype(np.float32)
    needed = method.estimate(x.size, 4, np.float32).memory_bytes
    tracemalloc.start()
    replace(method, iterations=2).decompose(x, 4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.4 * needed < peak < needed


def test_one_array_of_coefficients_is_kept_or_one_and_the_phases():
    frame, x = hann(256, 2), normal(0, 30_000, dtype=np.float32)
    array = frame.n_frames(x.size) * 129 * 8
    for phases, most in (("common", 1), ("free", 4)):
        tracemalloc.start()
        states = Algorithm1Complex(frame=frame, phases=phases).iterate(x, 3)
        for _ in range(3):
            next(states)
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert most * array < kept < (most + 0.2) * array


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame": GaborFrame("hann", 2, 8)}, "use frame.tight()"),
        ({"inner_iterations": 0}, "inner_iterations must be a whole number"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Algorithm1Complex(**options).decompose(X, 1)
