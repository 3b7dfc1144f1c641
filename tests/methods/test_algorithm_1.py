"""Algorithm 1 is the literal one, never rises with unit steps, and says what it cannot do."""

import tracemalloc
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdlnmf_lit.methods import algorithm_1, resources
from cdlnmf_lit.methods.algorithm_1 import decompose, estimate, iterate, recentred
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.theory.blocks import placed
from cdlnmf_lit.theory.convolution import synthesize
from cdlnmf_lit.theory.gabor import GaborFrame
from tests import reference
from tests.strategies import dtypes, frames, normal, seeds

RULES = list(algorithm_1.STEP_RULES)
UPDATES = list(algorithm_1.ACTIVATION_UPDATES)


@st.composite
def problems(draw, *, longest=10, penalised=None):
    """A tight frame, a noisy signal of at least its window's length, K and the options."""
    raw = draw(frames(longest=longest, phases=["time-invariant"]))
    assume(raw.bounds(200)[0] > 0.1 * raw.bounds(200)[1])
    frame = raw.tight()
    T = draw(st.integers(max(3, frame.window.size), max(3, frame.window.size) + 30))
    most = min(frame.n_frames(T), frame.channels, frame.window.size)
    K = draw(st.integers(1, min(3, most)))
    penalty = draw(st.sampled_from([0.0, 0.1, 1.0]))
    if penalised is not None:
        penalty = 0.5 if penalised else 0.0
    options = {
        "penalty": penalty,
        "inner_iterations": draw(st.integers(1, 3)),
        "activation_update": draw(st.sampled_from(UPDATES)),
    }
    return frame, normal(draw(seeds), T), K, options


def literal(state, iterations, step=1.0):
    """The dense algorithm from the same start."""
    model, frame = state.model, state.model.frame
    M, T_g = frame.channels, frame.window.size
    w = np.zeros((M, len(state.weights)))
    w[(np.arange(T_g) - frame.origin) % M] = model.unfold(state.weights).T
    return reference.algorithm_1(
        model.x,
        frame,
        np.fft.fft(w, axis=0) / M,
        state.activations.T,
        iterations,
        model.inner_iterations,
        model.penalty,
        step,
        getattr(reference, f"{model.activation_update}_update"),
    )


@given(problems(), seeds)
def test_the_iterates_are_those_of_the_literal_algorithm(problem, seed):
    frame, x, K, options = problem
    states = iterate(x, K, frame, **options, rng=seed)
    first = next(states)
    assume(np.linalg.cond(first.activations @ first.activations.T) < 1e6)
    steps = literal(first, 50)
    next(steps)
    for state, (W, Z, alpha) in zip(states, steps, strict=False):
        if np.linalg.cond(Z.T @ Z) > 1e6:
            break
        close = {"rtol": 0, "atol": 1e-9 * np.abs(Z).max()}
        np.testing.assert_allclose(state.activations, Z.T, **close)
        atoms = reference.atoms(W, frame)
        np.testing.assert_allclose(atoms.imag, 0, atol=1e-9 * np.abs(atoms).max())
        found = state.decomposition().atoms
        np.testing.assert_allclose(found, atoms.real, rtol=0, atol=1e-9 * np.abs(atoms).max())
        residual = x - reference.synthesis(frame, alpha.T, x.size)
        np.testing.assert_allclose(state.residual, residual.real, atol=1e-9 * np.abs(x).max())
        objective = 0.5 * np.sum(np.abs(residual) ** 2) + options["penalty"] * Z.sum()
        np.testing.assert_allclose(state.objective, objective, rtol=1e-9, atol=1e-12)


@given(problems(), st.floats(0.1, 50), seeds)
def test_longer_steps_are_those_of_the_literal_algorithm(problem, step, seed):
    frame, x, K, options = problem
    first = next(iterate(x, K, frame, **options, rng=seed))
    assume(np.linalg.cond(first.activations @ first.activations.T) < 1e6)
    state = first.model.after([(1.0, first)], first, step)
    _, (W, Z, _) = literal(first, 1, step)
    np.testing.assert_allclose(state.activations, Z.T, atol=1e-8 * Z.max())
    atoms = reference.atoms(W, frame).real
    np.testing.assert_allclose(state.decomposition().atoms, atoms, atol=1e-8 * np.abs(atoms).max())


@given(problems(), st.sampled_from(RULES), st.sampled_from(["random", "segments"]), seeds)
def test_no_step_rule_increases_the_objective(problem, rule, start, seed):
    frame, x, K, options = problem
    states = iterate(x, K, frame, start=start, step_rule=rule, **options, rng=seed)
    for before, after in pairwise(islice(states, 25)):
        assert after.objective <= before.objective * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize(("dtype", "quieter"), [(np.float32, 1e4), (np.float64, 1e8)])
@pytest.mark.parametrize("update", UPDATES)
def test_how_a_start_is_scaled_makes_no_difference(dtype, quieter, update):
    frame, x = GaborFrame("hann", 4, 32).tight(), normal(0, 200, dtype=dtype)
    first = next(iterate(x, 2, frame, rng=0))
    w, z = first.weights, first.activations
    scale = np.array([[1], [quieter]], dtype)
    options = {"activation_update": update}
    states = islice(iterate(x, 2, frame, start=(w, z), **options), 20)
    rescaled = list(islice(iterate(x, 2, frame, start=(w * scale, z / scale), **options), 20))
    tolerance = np.finfo(dtype).eps ** 0.5
    for state, other in zip(states, rescaled, strict=True):
        np.testing.assert_allclose(other.objective, state.objective, rtol=tolerance)
    for before, after in pairwise(rescaled):
        assert after.objective <= before.objective * (1 + 10 * np.finfo(dtype).eps)


@given(problems(), st.sampled_from(RULES), st.sampled_from(["random", "segments"]), seeds)
def test_recentring_increases_no_objective_and_counts_on(problem, rule, start, seed):
    frame, x, K, options = problem
    options |= {"start": start, "step_rule": rule, "recentre_every": 1, "rng": seed}
    states = list(islice(iterate(x, K, frame, **options), 15))
    assert [state.iteration for state in states] == list(range(15))
    for before, after in pairwise(states):
        assert after.objective <= before.objective * (1 + 1e-9) + 1e-12


@given(problems(), seeds)
def test_a_recentred_state_is_one_of_the_same_problem(problem, seed):
    frame, x, K, options = problem
    state = next(iterate(x, K, frame, **options, start="segments", rng=seed))
    model, moved = state.model, recentred(state)
    if moved is None:
        return
    assert moved.activations.min() >= 0
    assert (moved.iteration, moved.step) == (state.iteration, state.step)
    atoms = model.atoms(moved.weights)
    sizes = np.linalg.norm(atoms, axis=1)
    if options["penalty"]:
        np.testing.assert_allclose(sizes[sizes > 0], 1)
    whole = placed(synthesize(atoms, moved.activations, frame.hop), -model.lead, x.size)
    np.testing.assert_allclose(moved.residual, x - whole, atol=1e-9 * np.abs(x).max())


@pytest.mark.parametrize("hop", [1, 3])
@pytest.mark.parametrize("penalty", [0.0, 0.1])
def test_recentring_keeps_the_sound_of_an_atom_that_stays_in_its_window(hop, penalty):
    frame = GaborFrame(np.ones(40), hop).tight()
    rng = np.random.default_rng(0)
    weights, Z = np.zeros((3, 40)), np.zeros((3, frame.n_frames(200)))
    weights[0, 1:9], weights[1, 17:23] = rng.standard_normal(8), 1.0
    Z[:, 20:40] = rng.random((3, 20))
    x = normal(0, 200)
    state = next(iterate(x, 3, frame, start=(weights, Z), penalty=penalty))
    moved = recentred(state)
    before, after = state.decomposition(), moved.decomposition()
    np.testing.assert_allclose(after.components(), before.components(), atol=1e-12)
    assert moved.objective == pytest.approx(state.objective)
    energy = np.square(after.atoms)
    assert abs(energy[0] @ np.arange(40) / energy[0].sum() - 19.5) <= hop / 2
    np.testing.assert_allclose(after.atoms[1:], before.atoms[1:], atol=1e-12)
    assert recentred(moved) is None


@pytest.mark.parametrize("seed", range(4))
def test_recentring_frees_a_pattern_that_is_cut_off(seed):
    """A start that holds its second half alone: no step moves an atom inside its window."""
    pattern, spikes = np.hanning(60) * normal(seed, 60), np.zeros((1, 521))
    spikes[0, [60, 190, 330, 440]] = 1.0, 0.8, 0.9, 0.7
    x, loudness = synthesize(pattern[None], spikes), np.linalg.norm(pattern)
    frame = GaborFrame(np.ones(80), 1).tight()
    weights, Z = np.zeros((1, 80)), np.zeros((1, frame.n_frames(x.size)))
    weights[0, :30] = pattern[30:] / frame.window[0]
    Z[0, 30 - frame.first_sample :][:521] = spikes[0]
    options = {
        "start": (weights, Z),
        "penalty": 0.05 * loudness,
        "step_rule": "backtracking",
        "activation_update": "coordinate",
    }
    stuck, freed = (
        list(islice(iterate(x, 1, frame, recentre_every=every, **options), 81)) for every in (0, 3)
    )
    truth = 0.05 * loudness**2 * spikes.sum()
    assert freed[-1].objective < truth < stuck[-1].objective
    assert np.all(np.diff([state.objective for state in freed]) <= 1e-9)
    assert [state.iteration for state in freed] == list(range(81))


@pytest.mark.parametrize("rule", RULES)
def test_a_recentring_that_leads_higher_is_refused(rule):
    """Atoms that fill their window to one side fit as they are, and not when cut."""
    frame, decay = GaborFrame(np.ones(30), 1).tight(), np.exp(-np.arange(30) / 20)
    weights, Z = normal(0, 1, 30) * decay, np.zeros((1, frame.n_frames(300)))
    Z[0, [60, 140, 230]] = 1.0
    x = placed(synthesize(frame.window * weights, Z), frame.first_sample, 300)
    assert recentred(next(iterate(x, 1, frame, start=(weights, Z)))).relative_residual > 0.1
    options = {"start": (weights, Z + 1e-3), "step_rule": rule, "iterations": 9}
    plain, raced = (decompose(x, 1, frame, recentre_every=every, **options) for every in (0, 2))
    np.testing.assert_array_equal(raced.history["objective"], plain.history["objective"])


@given(problems(), st.sampled_from(RULES), seeds)
def test_without_a_move_recentring_changes_nothing(problem, rule, seed):
    frame, x, K, options = problem
    options |= {"step_rule": rule, "rng": seed}
    plain, never = (
        decompose(x, K, frame, **options, iterations=4, recentre_every=every) for every in (0, 9)
    )
    np.testing.assert_array_equal(never.atoms, plain.atoms)
    np.testing.assert_array_equal(never.activations, plain.activations)


@given(problems(penalised=True), st.sampled_from(RULES), seeds)
def test_a_penalty_holds_the_atoms_in_the_unit_ball(problem, rule, seed):
    frame, x, K, options = problem
    states = iterate(x, K, frame, step_rule=rule, **options, rng=seed)
    for state in islice(states, 10):
        assert np.linalg.norm(state.decomposition().atoms, axis=1).max() <= 1 + 1e-9
        assert state.activations.min() >= 0


@given(problems(), st.sampled_from(RULES), seeds)
def test_what_a_state_says_of_itself_is_so(problem, rule, seed):
    frame, x, K, options = problem
    state = list(islice(iterate(x, K, frame, step_rule=rule, **options, rng=seed), 6))[-1]
    found = state.decomposition()
    tolerance = 1e-9 * np.abs(x).max()
    np.testing.assert_allclose(found.components().sum(axis=0) + found.residual, x, atol=tolerance)
    size = np.linalg.norm(found.residual)
    assert state.relative_residual == pytest.approx(size / np.linalg.norm(x))
    assert state.objective == pytest.approx(
        size**2 / 2 + options["penalty"] * found.activations.sum()
    )


@given(problems(), seeds)
def test_components_are_syntheses_of_the_frame(problem, seed):
    frame, x, K, _ = problem
    state = next(iterate(x, K, frame, rng=seed))
    M = frame.channels
    w = np.zeros((M, K))
    w[(np.arange(frame.window.size) - frame.origin) % M] = state.model.unfold(state.weights).T
    alpha = state.activations.T @ (np.fft.fft(w, axis=0) / M).T
    np.testing.assert_allclose(
        x - frame.synthesis(alpha, x.size).real, state.residual, atol=1e-9 * np.abs(x).max()
    )


@given(problems(penalised=False), seeds, st.floats(0.01, 100))
def test_louder_signals_give_louder_atoms(problem, seed, gain):
    frame, x, K, _ = problem
    quiet, loud = (decompose(signal, K, frame, iterations=5, rng=seed) for signal in (x, gain * x))
    scale = np.abs(gain * quiet.atoms).max()
    np.testing.assert_allclose(loud.atoms, gain * quiet.atoms, atol=1e-7 * scale)
    np.testing.assert_allclose(loud.activations, quiet.activations, atol=1e-7)


@given(problems(penalised=False), seeds)
def test_the_order_of_the_components_does_not_matter(problem, seed):
    frame, x, K, _ = problem
    first = next(iterate(x, K, frame, rng=seed))
    assume(np.linalg.cond(first.activations @ first.activations.T) < 1e6)
    turned = (first.weights[::-1], first.activations[::-1])
    one = decompose(x, K, frame, start=(first.weights, first.activations), iterations=5)
    other = decompose(x, K, frame, start=turned, iterations=5)
    np.testing.assert_allclose(
        other.components()[::-1], one.components(), atol=1e-8 * np.abs(x).max()
    )


def planted(frame, T, K, seed):
    """A signal that is exactly ``Σ d_k ∗ z_k`` on the frame's positions."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((K, frame.window.size))
    Z = rng.random((K, frame.n_frames(T))) * (rng.random((K, frame.n_frames(T))) < 0.3)
    whole = synthesize(frame.window * weights, Z, frame.hop)
    lead = -frame.hop * frame.first_frame
    return whole[lead : lead + T], weights, Z


@given(st.integers(1, 3), seeds)
def test_planted_factors_are_a_fixed_point(hop, seed):
    frame = GaborFrame("hann", hop, 12).tight()
    x, weights, Z = planted(frame, 60, 2, seed)
    assume(np.linalg.cond(Z @ Z.T) < 1e4)
    for rule in RULES:
        found = decompose(x, 2, frame, start=(weights, Z), step_rule=rule, iterations=3)
        assert found.history["relative_residual"].max() < 1e-10
        np.testing.assert_allclose(found.activations, Z, atol=1e-8)


def test_planted_factors_are_recovered_from_a_near_start():
    frame = GaborFrame("hann", 4, 32).tight()
    x, weights, Z = planted(frame, 800, 2, 0)
    rng = np.random.default_rng(1)
    near = weights + 0.05 * rng.standard_normal(weights.shape), Z + 0.02 * rng.random(Z.shape)
    found = decompose(x, 2, frame, start=near, step_rule="accelerated", iterations=400)
    residuals = found.history["relative_residual"]
    assert residuals[-1] < 0.1 * residuals[0]
    for atom, weight in zip(found.atoms, weights, strict=True):
        true = frame.window * weight
        assert atom @ true > 0.99 * np.linalg.norm(atom) * np.linalg.norm(true)


def test_longer_steps_reach_further_where_activations_are_sparse():
    rng = np.random.default_rng(0)
    frame = GaborFrame("hann", 1, 64).tight()
    atom, Z = frame.window * rng.standard_normal(64), np.zeros((1, 1063))
    Z[0, [100, 400, 700, 950]] = 1.0
    x = synthesize(atom[None], Z)[63:1063]
    start = (rng.standard_normal((1, 64)), Z + 1e-3)
    reached = {
        rule: decompose(x, 1, frame, start=start, step_rule=rule, iterations=60) for rule in RULES
    }
    unit = reached["unit"].history["objective"][-1]
    assert reached["backtracking"].history["objective"][-1] < 0.1 * unit
    assert reached["accelerated"].history["objective"][-1] < unit
    assert reached["backtracking"].history["step"].max() > 10


@given(problems(), dtypes, st.sampled_from(RULES), seeds)
def test_precision_is_kept(problem, dtype, rule, seed):
    frame, x, K, options = problem
    found = decompose(x.astype(dtype), K, frame, step_rule=rule, **options, iterations=3, rng=seed)
    for part in (found.atoms, found.activations, found.residual, found.components()):
        assert part.dtype == dtype
        assert np.isfinite(part).all()


def test_single_precision_follows_double():
    frame, x = GaborFrame("hann", 4, 64).tight(), normal(0, 2000)
    start = next(iterate(x, 3, frame, rng=0))
    given_start = (start.weights, start.activations)
    for penalty in (0.0, 1.0):
        double, single = (
            decompose(x.astype(dtype), 3, frame, start=given_start, penalty=penalty, iterations=30)
            for dtype in (np.float64, np.float32)
        )
        np.testing.assert_allclose(
            single.history["objective"], double.history["objective"], rtol=1e-4
        )


@given(problems(), st.sampled_from(["random", "segments"]), seeds)
def test_the_same_seed_gives_the_same_result(problem, start, seed):
    frame, x, K, options = problem
    one, two = (
        decompose(x, K, frame, start=start, **options, iterations=3, rng=seed) for _ in range(2)
    )
    np.testing.assert_array_equal(one.atoms, two.atoms)
    np.testing.assert_array_equal(one.activations, two.activations)


@given(problems(), seeds)
def test_a_run_goes_on_from_its_own_result(problem, seed):
    frame, x, K, options = problem
    whole = decompose(x, K, frame, **options, iterations=8, rng=seed)
    assume(np.linalg.cond(whole.activations @ whole.activations.T) < 1e6)
    half = decompose(x, K, frame, **options, iterations=4, rng=seed)
    sizes = np.linalg.norm(half.atoms, axis=1)
    assume(options["penalty"] == 0 or np.allclose(sizes, 1))
    rest = decompose(x, K, frame, **options, start=half, iterations=4)
    np.testing.assert_allclose(
        rest.history["objective"], whole.history["objective"][4:], rtol=1e-6, atol=1e-9
    )


def test_a_start_from_another_hop_and_length_keeps_the_sound():
    x = np.sin(0.2 * np.arange(600.0)) * np.hanning(600)
    coarse = decompose(x, 2, GaborFrame("hann", 8, 32).tight(), iterations=60, rng=0)
    fine = GaborFrame("hann", 4, 48).tight()
    start = next(iterate(x, 2, fine, start=coarse))
    assert start.weights.shape == (2, 48)
    assert start.activations.min() > 0
    assert start.relative_residual < 0.9
    assert next(iterate(x, 2, fine, rng=0)).relative_residual > start.relative_residual


@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_a_start_from_spectra_and_sounds_is_scaled_to_the_signal(penalty):
    """As nmf's results: spectra, activations in units of their own, and the components in time."""
    frame, x, first = GaborFrame("hann", 2, 16).tight(), normal(0, 200), np.arange(200) < 100
    activations = 1e4 * np.random.default_rng(0).random((2, 30))
    spectra = np.ones((2, 9))
    sounds = np.stack([np.where(first, x, 0), np.where(first, 0, x)])
    found = Decomposition("nmf", None, activations, 8, -8, 0 * x, spectra=spectra, sounds=sounds)
    start = next(iterate(x, 2, frame, start=found, penalty=penalty))
    atoms = start.decomposition().atoms
    for atom, pattern in zip(atoms, found.patterns(16), strict=True):
        np.testing.assert_allclose(atom[1:] / pattern[1:], atom[1] / pattern[1])
    fit = x - start.residual
    assert fit @ start.residual == pytest.approx(0, abs=1e-9)
    assert start.relative_residual < 1
    if penalty:
        np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1)
    assert start.activations.min() > 0
    late = decompose(x, 2, frame, start=found, penalty=penalty, iterations=10)
    assert np.all(np.diff(late.history["objective"]) < 0)


@given(st.sampled_from([1, 2, 4]), st.sampled_from(RULES), seeds)
def test_sparse_starts_stay_finite_over_long_steps(hop, rule, seed):
    """Activations fade to the smallest numbers there are, and denominators with them."""
    frame, rng = GaborFrame("hann", hop, 16).tight(), np.random.default_rng(seed)
    x = normal(seed, 120)
    Z = rng.random((2, frame.n_frames(120))) ** 400
    Z[Z < 1e-150] *= 1e-160
    found = decompose(x, 2, frame, start=(normal(seed, 2, 16), Z), step_rule=rule, iterations=40)
    assert np.isfinite(found.atoms).all()
    assert np.isfinite(found.activations).all()
    assert np.all(np.diff(found.history["objective"]) <= 1e-9)


def test_a_step_that_leads_nowhere_is_refused():
    """An objective that is no number is no descent."""
    state = next(iterate(normal(0, 120), 1, GaborFrame("hann", 2, 16).tight(), rng=0))
    model = state.model

    class Overflowing:
        def after(self, point, state, step):
            result = model.after(point, state, step)
            broken = step > 1 or len(point) > 1
            return replace(result, objective=np.nan) if broken else result

    for rule in ("backtracking", "accelerated"):
        steps = algorithm_1.STEP_RULES[rule](Overflowing(), state)
        assert np.isfinite([each.objective for each in islice(steps, 6)]).all()


def test_a_silent_part_and_a_silent_component_do_no_harm():
    frame, x = GaborFrame("hann", 2, 8).tight(), normal(0, 60)
    x[20:50] = 0
    start = next(iterate(x, 2, frame, rng=0))
    weights, Z = start.weights.copy(), start.activations.copy()
    weights[1], Z[1] = 0, 0
    for penalty in (0.0, 0.5):
        found = decompose(x, 2, frame, start=(weights, Z), penalty=penalty, iterations=5)
        assert np.isfinite(found.atoms).all()
        assert not found.component(1).any()
        assert np.all(np.diff(found.history["objective"]) <= 1e-12)


@pytest.mark.parametrize("hop", [1, 8, 64])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("recentre_every", [0, 1])
def test_memory_is_what_the_estimate_says_and_far_below_the_coefficients(hop, rule, recentre_every):
    frame, x = GaborFrame("hann", hop, 512).tight(), normal(0, 40_000)
    needed = estimate(x.size, 4, frame).memory_bytes
    weights = np.pad(normal(0, 4, 150), ((0, 0), (0, 362)))
    start = (weights, np.random.default_rng(0).random((4, frame.n_frames(x.size))))
    options = {"step_rule": rule, "recentre_every": recentre_every, "iterations": 3}
    tracemalloc.start()
    decompose(x, 4, frame, start=start, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.4 * needed < peak < needed
    assert peak < frame.n_frames(x.size) * 512 * 16 / {1: 20, 8: 8, 64: 1}[hop]


def test_estimates_need_no_window_of_their_own():
    default = estimate(345_500, 8)
    assert default.memory_bytes < 10**9
    assert default.seconds_per_iteration > 0
    assert estimate(345_500, 8, dtype=np.float32).memory_bytes == default.memory_bytes // 2


def test_what_cannot_fit_says_so_before_it_starts(monkeypatch):
    monkeypatch.setattr(resources, "available_memory", lambda: 1e5)
    with pytest.raises(MemoryError, match="5000 samples into 2 components at hop 1 needs about"):
        iterate(normal(0, 5000), 2, GaborFrame("hann", 1, 64).tight())


FRAME = GaborFrame("hann", 2, 8).tight()
X = normal(0, 40)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([], 1, FRAME), {}, "x must not be empty"),
        ((np.ones(40), 1, FRAME), {}, "x must not be constant, got 1.0"),
        ((np.zeros(40), 1, FRAME), {}, "x must not be constant, got 0.0"),
        ((np.where(X == X.max(), np.nan, X), 1, FRAME), {}, "x must be finite, got nan"),
        ((np.full(40, np.inf), 1, FRAME), {}, "x must be finite, got inf"),
        ((np.arange(40), 1, FRAME), {}, "x must hold floating-point numbers"),
        ((np.ones((40, 2)), 1, FRAME), {}, "x must be one-dimensional.*average the channels"),
        ((X + 1j, 1, FRAME), {}, "x must be real"),
        ((X[:5], 1, FRAME), {}, "x must be at least as long as the window, 8 samples, got 5"),
        ((X, 0, FRAME), {}, "n_components must be a whole number from 1 to 8, got 0"),
        ((X, 9, FRAME), {}, "n_components must be a whole number from 1 to 8, got 9"),
        ((X, 1.5, FRAME), {}, "n_components must be a whole number"),
        ((X, 1, GaborFrame("hann", 2, 8)), {}, "use frame.tight()"),
        (
            (X, 1, GaborFrame("hann", 2, 8, phase="frequency-invariant").tight()),
            {},
            "frame must count its phase time-invariant",
        ),
        ((X, 1, FRAME), {"penalty": -1.0}, "penalty must be .* at least 0, got -1.0"),
        ((X, 1, FRAME), {"penalty": np.nan}, "penalty must be a finite number"),
        ((X, 1, FRAME), {"start": "tape"}, "start must be one of random, segments, got 'tape'"),
        ((X, 1, FRAME), {"step_rule": "giant"}, "step_rule must be one of unit, backtracking"),
        ((X, 1, FRAME), {"activation_update": "leap"}, "activation_update must be one of multip"),
        ((X, 1, FRAME), {"inner_iterations": 0}, "inner_iterations must be a whole number"),
        ((X, 1, FRAME), {"recentre_every": -1}, "recentre_every must be a whole number"),
        ((X, 1, FRAME), {"iterations": -1}, "iterations must be a whole number"),
        ((X, 1, FRAME), {"tolerance": -1.0}, "tolerance must be a finite number"),
        (
            (X, 1, FRAME),
            {"start": (np.ones((1, 8)),)},
            "start must hold weights, activations, got 1",
        ),
        ((X, 1, FRAME), {"start": (np.ones((1, 7)), np.ones((1, 23)))}, r"shape \(1, 8\)"),
        ((X, 1, FRAME), {"start": (np.ones((1, 8)), np.ones((2, 23)))}, r"shape \(1, 23\)"),
        ((X, 1, FRAME), {"start": (np.ones((1, 8)), -np.ones((1, 23)))}, "not be negative"),
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
