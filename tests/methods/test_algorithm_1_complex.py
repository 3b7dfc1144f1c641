"""Algorithm 1 with complex NMF is the literal one, never rises, and keeps equal phases equal."""

import tracemalloc
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdlnmf_lit.methods import algorithm_1, algorithm_1_complex, resources
from cdlnmf_lit.methods.algorithm_1_complex import Coefficients, Model, decompose, estimate, iterate
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.theory.gabor import GaborFrame
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
    most = min(frame.n_frames(x.size), frame.channels // 2 + 1)
    options = {
        "penalty": draw(st.sampled_from([0.0, 0.1, 1.0])),
        "phases": draw(st.sampled_from(PHASES)),
        "inner_iterations": draw(st.integers(1, 3)),
    }
    return frame, x, draw(st.integers(1, min(3, most))), options


def whole(half, M):
    """All M channels of a half-spectrum whose other half is its conjugate."""
    return np.concatenate([half, half[..., (M - 1) // 2 : 0 : -1].conj()], axis=-1)


def literal(x, frame, W, Z, U, penalty, inner_iterations, **_):
    """Over all channels, with a phase array for each component, and Kameoka's ``β`` written out."""
    while True:
        alpha = np.sum(W[:, None] * Z[:, :, None] * U, axis=0)
        residual = x - reference.synthesis(frame, alpha, x.size).real
        A = alpha + reference.analysis(frame, residual)
        for _ in range(inner_iterations):
            bar, beta, U = split(A, W, Z, U)
            cost = penalty * Z.sum(axis=1)[:, None]
            up = np.sum(Z[:, :, None] * bar / beta, axis=1)
            W = up / (np.sum(Z[:, :, None] ** 2 / beta, axis=1) + cost)
            sizes = np.linalg.norm(W, axis=1)[:, None]
            W, Z = W / sizes, Z * sizes
            bar, beta, U = split(A, W, Z, U)
            # λ Z ≤ λ (Z²/Z₀ + Z₀) / 2
            up = np.sum(W[:, None] * bar / beta, axis=2)
            Z = up / (np.sum(W[:, None] ** 2 / beta, axis=2) + penalty / Z)
        yield W, Z, U, bar.min()


def split(A, W, Z, U):
    """The optimal shares ``β_k`` and magnitudes and phases of what each component is to be."""
    S = W[:, None] * Z[:, :, None] * U
    beta = np.abs(S) / np.sum(np.abs(S), axis=0)
    bar = S + beta * (A - S.sum(axis=0))
    return np.abs(bar), beta, np.exp(1j * np.angle(bar))


def phases_of(state):
    """All ``exp(iθ_k)`` of a state, over all channels."""
    held, everything = state.coefficients, slice(0, state.activations.shape[1])
    half = np.stack([held.phases(everything, k) for k in range(len(state.spectra))])
    return whole(half, state.model.frame.channels)


@given(problems(lengths=st.integers(1, 24)), seeds)
def test_the_iterates_are_those_of_the_literal_algorithm(problem, seed):
    frame, x, K, options = problem
    assume(np.all(x))
    states = iterate(x, K, frame, **options, rng=seed)
    first = next(states)
    M = frame.channels
    steps = literal(
        x, frame, whole(first.spectra, M), first.activations, phases_of(first), **options
    )
    for state, (W, Z, U, least) in zip(islice(states, 8), steps, strict=False):
        if min(W.min(), Z.min(), least) < 1e-5:  # of nothing there is no phase
            break
        alpha = np.sum(W[:, None] * Z[:, :, None] * U, axis=0)
        close = {"rtol": 0, "atol": 1e-7 * max(1, Z.max())}
        np.testing.assert_allclose(whole(state.spectra, M), W, **close)
        np.testing.assert_allclose(state.activations, Z, **close)
        residual = x - reference.synthesis(frame, alpha, x.size)
        np.testing.assert_allclose(residual.imag, 0, **close)
        np.testing.assert_allclose(state.residual, residual.real, **close)
        objective = np.sum(residual.real**2) / 2 + options["penalty"] * Z.sum()
        assert state.objective == pytest.approx(objective, rel=1e-6, abs=1e-9)
        if options["phases"] == "common":
            mine = np.sum(W, axis=0) * np.ones((Z.shape[1], 1)) > 0
            spread = np.abs(U - U[:1])[:, mine]
            np.testing.assert_allclose(spread, 0, atol=1e-6)


@given(problems(), dtypes, seeds)
def test_the_objective_never_rises(problem, dtype, seed):
    frame, x, K, options = problem
    x = x.astype(dtype)
    rounding = 20 * np.finfo(dtype).eps * np.sum(x**2)
    for before, after in pairwise(islice(iterate(x, K, frame, **options, rng=seed), 20)):
        assert after.objective <= before.objective * (1 + 20 * np.finfo(dtype).eps) + rounding


@given(problems(), seeds)
def test_what_a_state_says_of_itself_is_so(problem, seed):
    frame, x, K, options = problem
    for state in islice(iterate(x, K, frame, **options, rng=seed), 3):
        found = state.decomposition()
        tolerance = 1e-9 * max(1, np.abs(x).max())
        np.testing.assert_allclose(
            found.components().sum(axis=0) + found.residual, x, atol=tolerance
        )
        np.testing.assert_allclose(found.residual, state.residual, atol=tolerance)
        size = np.linalg.norm(found.residual)
        assert state.relative_residual == pytest.approx(size / np.linalg.norm(x), abs=1e-9)
        paid = options["penalty"] * state.activations.sum()
        assert state.objective == pytest.approx(size**2 / 2 + paid, abs=1e-9)
        sizes = np.linalg.norm(whole(state.spectra, frame.channels), axis=1)
        assert np.all(np.isclose(sizes, 1) | (sizes == 0))
        for k in range(K):
            S = state.activations[k][:, None] * whole(state.spectra[k], frame.channels)
            expected = reference.synthesis(frame, S * phases_of(state)[k], x.size)
            np.testing.assert_allclose(expected.imag, 0, atol=tolerance)
            np.testing.assert_allclose(found.component(k), expected.real, atol=tolerance)


@given(problems(tight=True), seeds)
def test_in_a_tight_frame_the_gradient_step_lands_on_coefficients_of_the_signal(problem, seed):
    frame, x, K, options = problem
    states = iterate(x, K, frame, **options, rng=seed)
    state = next(islice(states, 2, None))
    A = state.coefficients.A / state.model.gains
    np.testing.assert_allclose(frame.half_synthesis(A, x.size), x, atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_phases_that_move_fit_what_is_no_convolution(seed):
    """The strictly larger model: one component fits noise, which one atom does not."""
    frame, x = GaborFrame("hann", 4, 32).tight(), normal(seed, 400)
    complex_ = decompose(x, 1, frame, iterations=300, rng=seed)
    atom = algorithm_1.decompose(x, 1, frame, iterations=300, rng=seed, step_rule="accelerated")
    assert complex_.history["relative_residual"][-1] < 0.05
    assert atom.history["relative_residual"][-1] > 0.7


@given(problems(tight=True), seeds)
def test_planted_coefficients_are_a_fixed_point(problem, seed):
    frame, x, K, options = problem
    N, F = frame.n_frames(x.size), frame.channels // 2 + 1
    rng = np.random.default_rng(seed)
    model = Model(x, frame, {**options, "n_components": K, "penalty": 0.0})
    W, Z = rng.random((K, F)) + 0.1, rng.random((K, N)) + 0.1
    W /= np.linalg.norm(W, axis=1)[:, None]
    U = np.exp(2j * np.pi * rng.random((K, N, F)))
    U[..., model.gains == 1] = np.sign(rng.standard_normal((K, N, 1)))
    held = Coefficients(np.zeros((N, F), complex), U, 0)
    if options["phases"] == "common":
        held = Coefficients((Z.T @ W) * U[0], None, 0)
    planted = model.synthesis(lambda rows: held.modelled(rows, W / model.gains, Z))
    model = Model(planted, frame, model.parameters)
    assume(np.linalg.norm(planted) > 0.1)
    state = model.state(W, Z, held)
    for _ in range(3):
        state = model.after(state)
        assert state.relative_residual < 1e-7
        np.testing.assert_allclose(state.spectra * model.gains, W, atol=1e-8)
        np.testing.assert_allclose(state.activations, Z, atol=1e-8 * Z.max())


@given(problems(), st.floats(0.01, 100), seeds)
def test_louder_signals_give_louder_components(problem, gain, seed):
    frame, x, K, options = problem
    assume(options["penalty"] == 0)
    quiet, loud = (
        decompose(sound, K, frame, **options, iterations=4, rng=seed) for sound in (x, gain * x)
    )
    scale = gain * np.abs(x).max()
    np.testing.assert_allclose(loud.components(), gain * quiet.components(), atol=1e-6 * scale)


@given(problems(), seeds)
def test_the_order_of_the_components_does_not_matter(problem, seed):
    frame, x, K, options = problem
    assume(options["phases"] == "common")
    first = next(iterate(x, K, frame, **options, rng=seed))
    one, other = (
        decompose(x, K, frame, **options, start=start, iterations=4)
        for start in (
            (first.spectra, first.activations),
            (first.spectra[::-1], first.activations[::-1]),
        )
    )
    np.testing.assert_allclose(other.components()[::-1], one.components(), atol=1e-7)


@given(problems(), dtypes, seeds)
def test_precision_is_kept_and_silence_is_harmless(problem, dtype, seed):
    frame, x, K, options = problem
    found = decompose(x.astype(dtype), K, frame, **options, iterations=3, rng=seed)
    for part in (found.spectra, found.activations, found.residual, found.sounds):
        assert part.dtype == dtype
        assert np.isfinite(part).all()
    assert min(found.spectra.min(), found.activations.min()) >= 0


@given(problems(), seeds)
def test_the_same_seed_gives_the_same_result(problem, seed):
    frame, x, K, options = problem
    one, two = (decompose(x, K, frame, **options, iterations=3, rng=seed) for _ in range(2))
    np.testing.assert_array_equal(one.sounds, two.sounds)
    np.testing.assert_array_equal(one.activations, two.activations)


@pytest.mark.parametrize("phases", PHASES)
def test_blocks_do_not_show(phases, monkeypatch):
    frame, x = GaborFrame("hann", 4, 32).tight(), normal(0, 300)
    run = {"phases": phases, "iterations": 4, "rng": 0}
    if phases == "free":  # their random start is drawn block by block, in the same order
        run["penalty"] = 0.1
    together = decompose(x, 2, frame, **run)
    monkeypatch.setattr(algorithm_1_complex, "SINGLE", 2 * 17 * 7)
    apart = decompose(x, 2, frame, **run)
    np.testing.assert_allclose(apart.components(), together.components(), atol=1e-9)


def test_a_dead_component_stays_dead():
    frame, x = GaborFrame("hann", 4, 32).tight(), normal(0, 300)
    W, Z = np.abs(normal(1, 2, 17)), np.abs(normal(2, 2, frame.n_frames(300)))
    Z[1] = 0
    for phases in PHASES:
        found = decompose(x, 2, frame, phases=phases, start=(W, Z), iterations=3, rng=0)
        assert not found.component(1).any()
        assert np.isfinite(found.components()).all()


@pytest.mark.parametrize("phases", PHASES)
def test_a_start_of_arrays_is_taken_as_it_is_but_for_the_scale_of_the_spectra(phases):
    frame, x = GaborFrame("hann", 4, 32).tight(), normal(0, 300)
    W, Z = np.abs(normal(1, 2, 17)), np.abs(normal(2, 2, frame.n_frames(300)))
    first = next(iterate(x, 2, frame, phases=phases, start=(W, Z), rng=0))
    sizes = np.linalg.norm(whole(W, 32), axis=1)[:, None]
    np.testing.assert_allclose(first.spectra, W / sizes)
    np.testing.assert_allclose(first.activations, Z * sizes)


def test_a_state_that_has_been_overwritten_says_so():
    states = iterate(normal(0, 300), 2, GaborFrame("hann", 4, 32).tight(), rng=0)
    first = next(states)
    first.decomposition()
    next(states)
    with pytest.raises(RuntimeError, match="state 0 must be made a decomposition before the next"):
        first.decomposition()


def test_a_start_from_another_method_takes_its_magnitudes():
    frame = GaborFrame("hann", 8, 64).tight()
    t = np.arange(800)
    x = np.sin(0.3 * t) * (t < 400) + np.sin(0.8 * t) * (t >= 400)
    other = algorithm_1.decompose(x, 2, frame, start="segments", iterations=20, rng=0)
    start = next(iterate(x, 2, frame, start=other))
    for k in range(2):
        magnitudes = frame.spectrogram(other.component(k), 1.0)
        mine = np.outer(start.activations[k], start.spectra[k])
        cosine = np.sum(mine * magnitudes) / np.linalg.norm(mine) / np.linalg.norm(magnitudes)
        assert cosine > 0.8
    assert start.relative_residual < next(iterate(x, 2, frame, rng=0)).relative_residual


@pytest.mark.parametrize("phases", PHASES)
@pytest.mark.parametrize("hop", [16, 64])
def test_memory_is_what_the_estimate_says(phases, hop):
    frame, x = GaborFrame("hann", hop, 512).tight(), normal(0, 60_000, dtype=np.float32)
    needed = estimate(x.size, 4, frame, phases=phases, dtype=np.float32).memory_bytes
    tracemalloc.start()
    decompose(x, 4, frame, phases=phases, iterations=2, rng=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.4 * needed < peak < needed


def test_one_array_of_coefficients_is_kept_or_one_and_the_phases():
    frame, x = GaborFrame("hann", 2, 256).tight(), normal(0, 30_000, dtype=np.float32)
    array = frame.n_frames(x.size) * 129 * 8
    for phases, most in (("common", 1), ("free", 4)):
        tracemalloc.start()
        states = iterate(x, 3, frame, phases=phases, rng=0)
        for _ in range(3):
            next(states)
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert most * array < kept < (most + 0.2) * array


def test_what_cannot_fit_says_so_before_it_starts(monkeypatch):
    monkeypatch.setattr(resources, "available_memory", lambda: 1e5)
    with pytest.raises(MemoryError, match="with free phases, needs about"):
        iterate(normal(0, 5000), 2, GaborFrame("hann", 1, 64).tight(), phases="free")


def test_results_are_saved_and_loaded(tmp_path):
    x = normal(0, 100)
    found = decompose(x, 2, GaborFrame("hann", 2, 8).tight(), iterations=2, rng=0)
    found.save(tmp_path / "found.npz")
    again = Decomposition.load(tmp_path / "found.npz")
    np.testing.assert_array_equal(again.components(), found.components())
    assert again.method == "algorithm-1-complex"
    assert again.parameters == found.parameters


FRAME = GaborFrame("hann", 2, 8).tight()
X = normal(0, 40)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([], 1, FRAME), {}, "x must not be empty"),
        ((np.zeros(40), 1, FRAME), {}, "x must not be silent"),
        ((np.where(X == X.max(), np.nan, X), 1, FRAME), {}, "x must be finite, got nan"),
        ((np.arange(40), 1, FRAME), {}, "x must hold floating-point numbers"),
        ((np.ones((40, 2)), 1, FRAME), {}, "x must be one-dimensional"),
        ((X + 1j, 1, FRAME), {}, "x must be real"),
        ((X, 0, FRAME), {}, "n_components must be a whole number from 1 to 5, got 0"),
        ((X, 6, FRAME), {}, "n_components must be a whole number from 1 to 5, got 6"),
        ((X, 1, GaborFrame("hann", 2, 8)), {}, "use frame.tight()"),
        ((X, 1, FRAME), {"penalty": -1.0}, "penalty must be .* at least 0, got -1.0"),
        ((X, 1, FRAME), {"phases": "stunned"}, "phases must be one of common, free"),
        ((X, 1, FRAME), {"inner_iterations": 0}, "inner_iterations must be a whole number"),
        ((X, 1, FRAME), {"iterations": -1}, "iterations must be a whole number"),
        ((X, 1, FRAME), {"tolerance": -1.0}, "tolerance must be a finite number"),
        ((X, 1, FRAME), {"start": "tape"}, "start must be one of random"),
        (
            (X, 1, FRAME),
            {"start": (np.ones((1, 5)),)},
            "start must hold spectra, activations, got 1",
        ),
        ((X, 1, FRAME), {"start": (np.ones((1, 4)), np.ones((1, 23)))}, r"shape \(1, 5\)"),
        ((X, 1, FRAME), {"start": (np.ones((1, 5)), np.ones((2, 23)))}, r"shape \(1, 23\)"),
        ((X, 1, FRAME), {"start": (np.ones((1, 5)), -np.ones((1, 23)))}, "not be negative"),
        ((X, 1, FRAME), {"start": (-np.ones((1, 5)), np.ones((1, 23)))}, "not be negative"),
        (
            (X, 2, FRAME),
            {"start": decompose(X, 1, FRAME, iterations=0, rng=0)},
            "start must have 2 components, got 1",
        ),
    ],
)
def test_bad_input_is_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        decompose(*arguments, **options)
