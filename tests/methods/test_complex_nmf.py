"""Complex NMF is Kameoka's algorithm, never rises, and with the mixture's phase is NMF."""

import tracemalloc
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdlnmf_lit.methods import complex_nmf
from cdlnmf_lit.methods.complex_nmf import ComplexNMF, Phases, Problem
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.method import HELD
from cdlnmf_lit.theory.gabor import GaborFrame, hann
from tests.strategies import dtypes, frames, normal, seeds

PHASES = st.sampled_from(complex_nmf.PHASES)


def factorize(X, K, *, phases=None, start=None, held=None, rng=0, **options):
    return ComplexNMF(**options).factorize(X, K, phases=phases, start=start, held=held, rng=rng)


def complex_normal(seed, *shape):
    return normal(seed, *shape) + 1j * normal(seed + 1, *shape)


def factors(seed, K, N, F):
    """Spectra of norm 1, activations and phases, all of them free."""
    rng = np.random.default_rng(seed)
    W, Z = rng.random((K, F)) + 1e-3, rng.random((K, N)) + 1e-3
    return (
        W / np.linalg.norm(W, axis=1, keepdims=True),
        Z,
        np.exp(2j * np.pi * rng.random((K, N, F))),
    )


@st.composite
def problems(draw, *, silent=True):
    """A complex matrix of an awkward shape, perhaps with silent rows and columns, K, penalties."""
    N, F = (draw(st.sampled_from([1, 2, 3, 5, 8, 13])) for _ in range(2))
    seed = draw(seeds)
    X = complex_normal(seed, N, F)
    if silent and min(N, F) > 2:
        X[draw(st.integers(0, N - 1))] = 0
        X[:, draw(st.integers(0, F - 1))] = 0
    options = {
        "penalty": draw(st.sampled_from([0.0, 0.1, 2.0])),
        "exponent": draw(st.sampled_from([0.5, 1.0, 1.5, 2.0])),
    }
    return X, draw(st.integers(1, min(3, N, F))), options


# ---- literal definitions -----------------------------------------------------------------------


def literal_model(W, Z, U):
    """Equation (10), term by term."""
    K, N, F = U.shape
    return np.array(
        [
            [sum(W[k, f] * Z[k, n] * U[k, n, f] for k in range(K)) for f in range(F)]
            for n in range(N)
        ]
    )


def literal_objective(X, W, Z, U, penalty, exponent):
    """The penalty counts activations of spectra scaled to norm 1."""
    sizes = np.linalg.norm(W, axis=1, keepdims=True)
    error = np.sum(np.abs(X - literal_model(W, Z, U)) ** 2)
    return error / 2 + penalty * np.sum((sizes * Z) ** exponent)


def auxiliary(X, W, Z, U, W0, Z0, U0, penalty, exponent):
    """Kameoka's auxiliary function: what lies above the objective and touches it at ``·0``."""
    S, S0 = W[:, None] * Z[:, :, None] * U, W0[:, None] * Z0[:, :, None] * U0
    beta = W0[:, None] * Z0[:, :, None] / (Z0.T @ W0)
    X_bar = S0 + beta * (X - S0.sum(axis=0))
    loud = np.linalg.norm(W, axis=1, keepdims=True) * Z
    loud0 = np.linalg.norm(W0, axis=1, keepdims=True) * Z0
    p = exponent
    paid = p / 2 * loud0 ** (p - 2) * loud**2 + (1 - p / 2) * loud0**p
    return np.sum(np.abs(X_bar - S) ** 2 / beta) / 2 + penalty * np.sum(paid)


def split(X, W, Z, U):
    """The shares ``β_k``, and the magnitudes and phases of what each component is to be."""
    S = W[:, None] * Z[:, :, None] * U
    beta = W[:, None] * Z[:, :, None] / (Z.T @ W)
    X_bar = S + beta * (X - S.sum(axis=0))
    return beta, np.abs(X_bar), X_bar / np.abs(X_bar)


def literal_step(X, W, Z, U, penalty, exponent, held=None):
    """One iteration, with the split of the residual and its shares β written out."""
    if held != "patterns":
        beta, size, U = split(X, W, Z, U)
        down = np.sum(Z[:, :, None] ** 2 / beta, axis=1)
        if held is None:
            down += penalty * exponent * np.sum(Z**exponent, axis=1, keepdims=True)
        W = np.sum(Z[:, :, None] * size / beta, axis=1) / down
        norms = 1 if held else np.linalg.norm(W, axis=1, keepdims=True)
        W, Z = W / norms, Z * norms
    if held != "activations":
        beta, size, U = split(X, W, Z, U)
        down = np.sum(W[:, None] ** 2 / beta, axis=2) + penalty * exponent * Z ** (exponent - 2)
        Z = np.sum(W[:, None] * size / beta, axis=2) / down
    return W, Z, U


# ---- the algorithm -----------------------------------------------------------------------------


@pytest.mark.parametrize("held", [None, *HELD])
@given(problem=problems(silent=False), seed=seeds)
def test_the_iterates_are_those_of_the_literal_algorithm(held, problem, seed):
    X, K, options = problem
    W, Z, U = factors(seed, K, *X.shape)
    if held:  # of any norm, which stays
        W *= np.random.default_rng(seed).uniform(0.1, 5, (K, 1))
    start, before = (W, Z), np.inf
    for found in islice(factorize(X, K, phases=U, start=start, held=held, **options), 8):
        np.testing.assert_allclose(found.patterns, W, atol=1e-9 * W.max())
        np.testing.assert_allclose(found.activations, Z, atol=1e-9 * Z.max())
        np.testing.assert_allclose(
            literal_model(found.patterns, found.activations, found.phases),
            literal_model(W, Z, U),
            atol=1e-8 * Z.max() * W.max(),
        )
        if held:
            factor = HELD.index(held)
            np.testing.assert_array_equal(
                (found.patterns, found.activations)[factor], start[factor]
            )
        error = np.linalg.norm(X - literal_model(W, Z, U))
        paid = options["penalty"] * np.sum(Z ** options["exponent"])
        assert found.objective == pytest.approx(error**2 / 2 + paid, rel=1e-8, abs=1e-10)
        assert found.objective <= before * (1 + 1e-10) + 1e-20
        assert found.relative_residual == pytest.approx(error / np.linalg.norm(X), abs=1e-9)
        before = found.objective
        assume(Z.min() > 1e-100)
        W, Z, U = literal_step(X, W, Z, U, **options, held=held)


@given(problems(), seeds, seeds)
def test_the_auxiliary_function_lies_above_the_objective_and_touches_it(problem, seed, other):
    X, K, options = problem
    here, there = factors(seed, K, *X.shape), factors(other, K, *X.shape)
    there = (3 * normal(other, K, 1) ** 2 * there[0], *there[1:])
    objective = literal_objective(X, *here, **options)
    assert auxiliary(X, *here, *here, **options) == pytest.approx(objective)
    slack = 1e-9 * objective
    assert auxiliary(X, *there, *here, **options) >= (
        literal_objective(X, *there, **options) - slack
    )


@given(problems(silent=False), seeds, seeds)
def test_each_update_minimises_the_auxiliary_function(problem, seed, other):
    X, K, options = problem
    W, Z, U = factors(seed, K, *X.shape)
    problem = Problem(X, K, Phases(U.copy()), **options)
    V, moved = problem.updated_spectra(W, Z), problem.phases.values
    least = auxiliary(X, V, Z, moved, W, Z, U, **options)
    problem = Problem(X, K, Phases(U.copy()), **options)
    Y, again = problem.updated_activations(slice(None), W, Z), problem.phases.values
    lowest = auxiliary(X, W, Y, again, W, Z, U, **options)
    rng = np.random.default_rng(other)
    for size in (1e-3, 0.1, 1.0):
        turn = np.exp(1j * size * rng.standard_normal(U.shape))
        W_near, Z_near = (
            V * np.exp(size * normal(other, *V.shape)),
            Y * np.exp(size * normal(other, *Y.shape)),
        )
        rounding = 1e-9 * abs(least)
        assert auxiliary(X, W_near, Z, moved * turn, W, Z, U, **options) >= least - rounding
        assert auxiliary(X, W, Z_near, again * turn, W, Z, U, **options) >= lowest - rounding


@given(problems(), PHASES, dtypes, seeds)
def test_the_objective_never_rises(problem, phases, dtype, seed):
    X, K, options = problem
    X = X.astype(np.result_type(dtype, np.complex64))
    iterates = factorize(X, K, phases=phases, rng=seed, **options)
    slack, rounding = 100 * np.finfo(dtype).eps, (np.finfo(dtype).eps * np.linalg.norm(X)) ** 2
    for before, after in pairwise(islice(iterates, 40)):
        assert after.objective <= before.objective * (1 + slack) + rounding


@given(problems(), PHASES, seeds)
def test_what_an_iterate_says_of_itself_is_so(problem, phases, seed):
    X, K, options = problem
    for found in islice(factorize(X, K, phases=phases, rng=seed, **options), 5):
        sizes = np.linalg.norm(found.patterns, axis=1)
        np.testing.assert_allclose(sizes[sizes > 0], 1)
        U = found.phases
        if phases == "mixture":
            assert U is None
            U = np.stack(K * [complex_nmf.unit(X)])
        np.testing.assert_allclose(np.abs(U), 1)
        assert found.objective == pytest.approx(
            literal_objective(X, found.patterns, found.activations, U, **options)
        )


# ---- the mixture's phase ------------------------------------------------------------------------


@given(problems(), seeds)
def test_phases_that_start_at_the_mixtures_never_move_and_without_penalty_it_is_nmf(problem, seed):
    X, K, options = problem
    W, Z, _ = factors(seed, K, *X.shape)
    V, U = np.abs(X), np.stack(K * [complex_nmf.unit(X)])
    kept = factorize(X, K, phases=U, start=(W, Z), **options)
    none = factorize(X, K, phases="mixture", start=(W, Z), **options)
    for one, other in zip(islice(kept, 6), none, strict=False):
        np.testing.assert_allclose(one.phases[:, X != 0], U[:, X != 0], atol=1e-9)
        np.testing.assert_allclose(one.patterns, other.patterns, atol=1e-9)
        np.testing.assert_allclose(one.activations, other.activations, atol=1e-9 * V.max())
        assert one.objective == pytest.approx(other.objective)
        if not options["penalty"]:
            np.testing.assert_allclose(one.activations.T @ one.patterns, Z.T @ W, atol=1e-9)
            W = W * (Z @ V) / np.maximum(Z @ Z.T @ W, 1e-300)
            Z = Z * (W @ V.T) / np.maximum(W @ W.T @ Z, 1e-300)


@given(problems(silent=False), seeds)
def test_phases_that_start_elsewhere_do_move(problem, seed):
    X, K, options = problem
    W, Z, U = factors(seed, K, *X.shape)
    states = factorize(X, K, phases=U, start=(W, Z), **options)
    assert np.array_equal(next(states).phases, complex_nmf.unit(U))
    assert np.abs(next(states).phases - U).max() > 1e-6


@given(problems(silent=False), seeds)
def test_one_component_takes_the_mixtures_phase_at_once(problem, seed):
    X, _, options = problem
    found = list(islice(factorize(X, 1, phases="random", rng=seed, **options), 2))[-1]
    np.testing.assert_allclose(found.phases[0], complex_nmf.unit(X), atol=1e-12)


@given(st.integers(2, 5), seeds)
@pytest.mark.long
def test_the_best_phases_leave_the_distance_to_an_interval(K, seed):
    """With the phases free, magnitudes are reached exactly wherever a polygon closes."""
    rng = np.random.default_rng(seed)
    sizes, X = rng.random((K, 1, 1)) + 0.05, 3 * rng.random((1, 1)) + 0j
    total, largest = sizes.sum(), sizes.max()
    distance = max(0, X[0, 0].real - total, 2 * largest - total - X[0, 0].real)
    U = np.exp(2j * np.pi * rng.random((K, 1, 1)))
    ones = np.ones((K, 1))
    for _ in range(3000):
        for k, (_, u) in enumerate(list(complex_nmf.targets(X, ones, sizes[:, :, 0], U))):
            U[k] = u
    left = np.abs(X - complex_nmf.model(ones, sizes[:, :, 0], U))[0, 0]
    assert left >= distance - 1e-9
    assert left <= distance + 1e-2


# ---- what else must hold ------------------------------------------------------------------------


@given(seeds, st.booleans())
def test_planted_factors_are_a_fixed_point(seed, shared):
    W, Z, U = factors(seed, 2, 12, 9)
    if shared:
        U = np.stack(2 * [U[0]])
    X = literal_model(W, Z, U)
    for found in islice(factorize(X, 2, phases="mixture" if shared else U, start=(W, Z)), 4):
        assert found.relative_residual < 1e-12
        np.testing.assert_allclose(found.patterns, W, atol=1e-10)
        np.testing.assert_allclose(found.activations, Z, atol=1e-10)


def test_planted_factors_are_recovered_from_a_near_start():
    W, Z, U = factors(0, 2, 40, 9)
    Z *= np.random.default_rng(3).random(Z.shape) < 0.5  # a scale of its own for each component
    X = literal_model(W, Z, np.stack(2 * [U[0]]))
    rng = np.random.default_rng(1)
    near = W * (1 + 0.3 * rng.random(W.shape)), Z + 0.1 * rng.random(Z.shape)
    *_, found = islice(factorize(X, 2, start=near), 2000)
    assert found.relative_residual < 1e-3
    np.testing.assert_allclose(found.patterns, W, atol=2e-2)


@given(problems(), PHASES, st.floats(1e-3, 1e3), seeds)
def test_louder_data_give_louder_activations(problem, phases, gain, seed):
    X, K, options = problem
    p = options["exponent"]
    louder = options | {"penalty": options["penalty"] * gain ** (2 - p)}
    quiet = factorize(X, K, phases=phases, rng=seed, **options)
    loud = factorize(gain * X, K, phases=phases, rng=seed, **louder)
    for one, other in zip(islice(quiet, 5), loud, strict=False):
        np.testing.assert_allclose(other.patterns, one.patterns, atol=1e-7)
        scale = gain * one.activations.max()
        np.testing.assert_allclose(other.activations, gain * one.activations, atol=1e-7 * scale)


@given(problems(), seeds, seeds)
def test_the_order_of_components_frames_and_channels_does_not_matter(problem, seed, other):
    X, K, options = problem
    W, Z, U = factors(seed, K, *X.shape)
    rng = np.random.default_rng(other)
    k, n, f = (rng.permutation(size) for size in U.shape)
    straight = factorize(X, K, phases=U, start=(W, Z), **options)
    turned = factorize(
        X[n][:, f], K, phases=U[k][:, n][:, :, f], start=(W[k][:, f], Z[k][:, n]), **options
    )
    for one, two in zip(islice(straight, 5), turned, strict=False):
        np.testing.assert_allclose(two.patterns, one.patterns[k][:, f], atol=1e-8)
        np.testing.assert_allclose(
            two.activations, one.activations[k][:, n], atol=1e-8 * np.abs(X).max()
        )


def test_a_penalty_thins_the_activations_and_scales_cannot_escape_it():
    X = complex_normal(0, 30, 20)
    sums = []
    for penalty in (0.0, 0.5, 2.0):
        *_, found = islice(factorize(X, 3, penalty=penalty, rng=0), 300)
        np.testing.assert_allclose(np.linalg.norm(found.patterns, axis=1), 1)
        sums.append(found.activations.sum())
    assert sums[0] > sums[1] > sums[2] > 0


@given(PHASES, dtypes, seeds)
def test_a_component_that_dies_does_no_harm(phases, dtype, seed):
    X = complex_normal(seed, 6, 5).astype(np.result_type(dtype, np.complex64))
    W, Z, _ = factors(seed, 3, 6, 5)
    W[1], Z[2] = 0, 0
    for found in islice(factorize(X, 3, phases=phases, start=(W, Z), penalty=0.1, rng=0), 20):
        assert np.isfinite(found.objective)
        assert np.isfinite(found.patterns).all()
        assert not found.activations[2].any()


@given(PHASES, seeds)
def test_the_smallest_numbers_stay_finite(phases, seed):
    X = complex_normal(seed, 8, 5).astype(np.complex64)
    rng = np.random.default_rng(seed)
    W, Z = rng.random((2, 5)) ** 90, rng.random((2, 8)) ** 90
    for exponent in (0.2, 1.0, 2.0):
        options = {"penalty": 0.5, "exponent": exponent, "phases": phases, "rng": 0}
        for found in islice(factorize(X, 2, start=(W, Z), **options), 30):
            assert np.isfinite(found.patterns).all()
            assert np.isfinite(found.activations).all()


@pytest.mark.long
def test_the_number_of_threads_changes_nothing(monkeypatch):
    X = complex_normal(0, 600, 513)

    def run():
        *_, found = islice(factorize(X, 4, phases="random", rng=0), 3)
        return found

    many = run()
    monkeypatch.setattr("cdlnmf_lit.theory.blocks.n_threads", lambda: 1)
    one = run()
    np.testing.assert_array_equal(one.patterns, many.patterns)
    np.testing.assert_array_equal(one.activations, many.activations)
    np.testing.assert_array_equal(one.phases, many.phases)


def test_blocks_add_up():
    """The same iterates whether the frames are worked on in one block or in many."""
    X, (W, Z, U) = complex_normal(0, 40, 7), factors(0, 3, 40, 7)
    whole = factorize(X, 3, phases=U, start=(W, Z), penalty=0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(complex_nmf, "SINGLE", 3 * 7 * 6)
        blocks = factorize(X, 3, phases=U, start=(W, Z), penalty=0.1)
    for one, other in zip(islice(whole, 4), blocks, strict=False):
        np.testing.assert_allclose(one.patterns, other.patterns, atol=1e-12)
        np.testing.assert_allclose(one.phases, other.phases, atol=1e-9)


# ---- the largest penalty ------------------------------------------------------------------------


@given(frames(longest=9), PHASES, st.floats(0, 3), seeds, seeds)
def test_from_lambda_max_on_silence_is_best_and_below_it_is_not(frame, phases, size, seed, other):
    x = normal(seed, 40)
    X = frame.half_analysis(x)
    sizes = np.linalg.norm(X, axis=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cdlnmf_lit.theory.gabor.BLOCK", 3 * max(frame.channels, frame.window.size))
        largest = ComplexNMF(frame=frame, phases=phases).lambda_max(x)
    assert largest == pytest.approx(sizes.max())
    W, Z, U = factors(other, 2, *X.shape)
    Z *= size * np.random.default_rng(other).exponential(1, Z.shape) ** 3
    silence = np.sum(sizes**2) / 2
    assert literal_objective(X, W, Z, U, largest, 1.0) >= silence * (1 - 1e-12)
    n = np.argmax(sizes)
    W, Z, U = np.abs(X[[n]]) / sizes[n], np.zeros((1, len(X))), complex_nmf.unit(X)[None]
    Z[0, n] = 0.1 * largest
    assert literal_objective(X, W, Z, U, 0.9 * largest, 1.0) < silence


@given(PHASES, seeds)
def test_a_share_is_one_of_the_largest_penalty_for_a_matrix_too(phases, seed):
    x, method = normal(seed, 50), ComplexNMF(frame=FRAME, phases=phases, share=0.3)
    state = next(method.factorize(FRAME.half_analysis(x), 2))
    assert state.problem.penalty == pytest.approx(0.3 * method.lambda_max(x))
    assert state.objective == pytest.approx(next(method.iterate(x, 2)).objective)


# ---- signals ------------------------------------------------------------------------------------

FRAME = hann(16, 4)
X = normal(0, 90)


@given(PHASES, dtypes, st.sampled_from([(4, 16), (16, 16), (3, 17), (8, 32), (1, 5)]), seeds)
def test_components_are_syntheses_of_the_terms_of_equation_10(phases, dtype, sizes, seed):
    hop, channels = sizes
    x, frame = normal(seed, 61, dtype=dtype), GaborFrame("hamming", hop, channels)
    x[20:40] = 0
    *_, state = islice(ComplexNMF(frame=frame, phases=phases, penalty=0.01).iterate(x, 2), 4)
    W, Z, U = state.patterns, state.activations, state.phases
    U = 2 * [complex_nmf.unit(frame.half_analysis(x))] if U is None else U
    synthesis = frame.dual().half_synthesis
    sounds = [synthesis(z[:, None] * w * u, x.size) for w, z, u in zip(W, Z, U, strict=True)]
    found, tolerance = state.decomposition(), 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found.components(), sounds, atol=tolerance)
    np.testing.assert_allclose(found.residual, x - np.sum(sounds, axis=0), atol=tolerance)
    for part in (found.spectra, found.activations, found.components(), found.residual):
        assert part.dtype == dtype
        assert np.isfinite(part).all()


@given(PHASES, seeds)
def test_the_signal_is_the_matrix_of_its_coefficients(phases, seed):
    x = normal(seed, 50)
    asked = ComplexNMF(frame=FRAME, phases=phases, penalty=0.1)
    of_matrix = asked.factorize(FRAME.half_analysis(x), 2, rng=seed)
    for state, found in zip(islice(asked.iterate(x, 2, rng=seed), 4), of_matrix, strict=False):
        np.testing.assert_allclose(state.patterns, found.patterns, atol=1e-10)
        assert state.objective == pytest.approx(found.objective)


def test_single_precision_follows_double():
    x = normal(0, 4000)
    for phases in complex_nmf.PHASES:
        method = ComplexNMF(frame=hann(64, 16), phases=phases, iterations=30)
        one, two = (method.decompose(x.astype(dtype), 3) for dtype in (np.float32, np.float64))
        np.testing.assert_allclose(one.history["objective"], two.history["objective"], rtol=1e-3)


def test_a_run_goes_on_from_its_own_result():
    method = ComplexNMF(frame=FRAME, penalty=0.1, iterations=8)
    whole, half = method.decompose(X, 2), replace(method, iterations=4).decompose(X, 2)
    rest = replace(method, iterations=4).decompose(X, 2, start=half)
    np.testing.assert_allclose(rest.history["objective"], whole.history["objective"][4:])


def test_a_start_from_atoms_at_another_hop_keeps_the_sound():
    n, Z = np.arange(32), np.zeros((2, 435))
    atoms = np.hanning(32) * np.sin(np.outer([0.3, 1.1], n))
    Z[0, :180:8], Z[1, 250::8] = 1, 1
    other = Decomposition("by hand", atoms, Z, 2, 0, np.zeros(900))
    x, method = other.components().sum(axis=0), ComplexNMF(frame=hann(64, 8))
    begun, drawn = next(method.iterate(x, 2, start=other)), next(method.iterate(x, 2))
    assert begun.activations.min() > 0
    assert begun.relative_residual < 0.5 * drawn.relative_residual


@given(PHASES, seeds)
def test_activations_for_given_patterns_are_as_loud_as_fits_best(phases, seed):
    W = factors(seed, 2, 1, 9)[0]
    start, method = (W, None), ComplexNMF(frame=FRAME, phases=phases)
    first = next(method.iterate(X, 2, start=start, held="patterns"))
    V, model = FRAME.spectrogram(X, 1.0), first.activations.T @ W
    assert np.ptp(first.activations) == 0
    assert np.vdot(V - model, model) == pytest.approx(0, abs=1e-9 * np.vdot(V, V))
    silent = next(method.iterate(X, 2, start=(0 * W, None)))
    assert np.isfinite(silent.objective)


def test_a_state_whose_phases_have_been_overwritten_says_so():
    for phases in complex_nmf.PHASES:
        states = ComplexNMF(frame=FRAME, phases=phases).iterate(X, 2)
        first = next(states)
        first.decomposition()
        next(states)
        if phases == "mixture":
            first.decomposition()
            continue
        for ask in (first.decomposition, lambda first=first: first.phases):
            with pytest.raises(RuntimeError, match=r"state 0 must be .* of state 1"):
                ask()


@pytest.mark.parametrize("phases", complex_nmf.PHASES)
@pytest.mark.parametrize(
    ("hop", "channels", "K"), [(8, 512, 4), (64, 512, 4), (256, 1024, 8), (200, 8192, 10)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.long
def test_memory_is_what_the_estimate_says_and_a_few_spectrograms(phases, hop, channels, K, dtype):
    frame, x = hann(channels, hop), normal(0, 60_000, dtype=dtype)
    method = ComplexNMF(frame=frame, phases=phases)
    needed = method.estimate(x.size, K, dtype).memory_bytes
    tracemalloc.start()
    *_, state = islice(method.iterate(x, K), 3)
    iterating = tracemalloc.get_traced_memory()[1]
    state.decomposition()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.4 * needed < peak < needed
    if hop == 8:
        coefficients = frame.n_frames(x.size) * (channels // 2 + 1) * 2 * x.itemsize
        kept = 0 if phases == "mixture" else K
        assert iterating < (kept + 3) * coefficients


def test_free_phases_take_longer_and_more_memory():
    rest, free = (ComplexNMF(phases=p).estimate(345_500, 8) for p in complex_nmf.PHASES)
    assert 0 < rest.seconds_per_iteration < free.seconds_per_iteration
    assert rest.memory_bytes < 8 * 2 * 678 * 1025 * 8 < free.memory_bytes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exponent": 0.0}, "exponent must be above 0 and at most 2, got 0.0"),
        ({"exponent": 2.5}, "exponent must be above 0 and at most 2, got 2.5"),
        ({"share": 0.1, "exponent": 0.5}, "share must be None where the exponent is not 1 but 0.5"),
        ({"share": 0.0, "exponent": 2}, "share must be None where the exponent is not 1 but 2"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ComplexNMF(**options)


ONES = np.ones((3, 2))


@pytest.mark.parametrize(
    ("V", "K", "options", "message"),
    [
        (np.zeros((3, 3)), 1, {}, "X must not be zero everywhere"),
        (np.full((3, 3), np.nan), 1, {}, "X must be finite"),
        (ONES, 3, {}, "n_components must be a whole number from 1 to 2, got 3"),
        (ONES, 1, {"phases": np.ones((1, 2, 3))}, r"phases must be finite, of shape \(1, 3, 2\)"),
        (ONES, 1, {"phases": np.full((1, 3, 2), np.nan)}, "phases must be finite"),
        (ONES, 1, {"phases": "moon"}, "phases must be one of mixture, random, got 'moon'"),
        (ONES, 1, {"start": (ONES.T, ONES.T)}, r"patterns must have shape \(1, 2\), got \(2, 3\)"),
        (ONES, 1, {"start": (-ONES[:1], np.ones((1, 3)))}, "patterns must not be negative"),
    ],
)
def test_bad_matrices_are_named(V, K, options, message):
    with pytest.raises(ValueError, match=message):
        factorize(V, K, **options)
