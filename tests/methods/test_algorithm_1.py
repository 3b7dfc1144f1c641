"""Algorithm 1 is the literal one, never rises with unit steps, and says what it cannot do."""

import tracemalloc
from dataclasses import replace
from itertools import islice, pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdlnmf_lit.experiments.evaluation import judge
from cdlnmf_lit.experiments.signals import piano
from cdlnmf_lit.methods import algorithm_1, kernels, recipes
from cdlnmf_lit.methods.algorithm_1 import Algorithm1, within_ball
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.theory.blocks import placed, segment_energies
from cdlnmf_lit.theory.convolution import synthesize
from cdlnmf_lit.theory.gabor import GaborFrame, hann
from tests import reference
from tests.strategies import frames, normal, seeds

RULES = list(algorithm_1.STEP_RULES)
UPDATES = list(algorithm_1.ACTIVATION_UPDATES)
rules, starts = st.sampled_from(RULES), st.sampled_from(Algorithm1.STARTS)


@st.composite
def problems(draw, *, penalised=True):
    """The algorithm on a tight frame, a noisy signal of at least its window's length, and K."""
    raw = draw(frames(longest=10, phases=["time-invariant"]))
    assume(raw.bounds(200)[0] > 0.1 * raw.bounds(200)[1])
    frame = raw.tight()
    T = draw(st.integers(max(3, frame.window.size), max(3, frame.window.size) + 30))
    penalty = draw(st.sampled_from([0.0, 0.1, 1.0] if penalised else [0.0]))
    asked = Algorithm1(
        frame=frame,
        penalty=penalty,
        inner_iterations=draw(st.integers(1, 3)),
        activation_update=draw(st.sampled_from(UPDATES)),
    )
    K = draw(st.integers(1, min(3, asked.most_components(T))))
    return asked, normal(draw(seeds), T), K


def spectra_of(state):
    """``W (M, K)``, from the weights at the window's samples."""
    theorem, frame = state.problem.theorem, state.problem.method.frame
    w = np.zeros((frame.channels, len(state.patterns)))
    w[theorem.place] = theorem.unfold(state.patterns).T
    return np.fft.fft(w, axis=0) / frame.channels


def literal(state, iterations, step=1.0):
    """The dense algorithm from the same start."""
    asked, W, Z = state.problem.method, spectra_of(state), state.activations.T
    update = getattr(reference, f"{asked.activation_update}_update")
    options = asked.inner_iterations, asked.penalty, step, update
    return reference.algorithm_1(state.problem.x, asked.frame, W, Z, iterations, *options)


def solvable(activations):
    return np.linalg.cond(activations @ activations.T) < 1e6


def never_rising(states, slack=1e-9):
    """The states, whose objectives are looked at."""
    found = list(states)
    for before, after in pairwise(found):
        assert after.objective <= before.objective * (1 + slack) + 1e-12
    return found


@given(problems(), seeds)
@pytest.mark.long
def test_the_iterates_are_those_of_the_literal_algorithm(problem, seed):
    asked, x, K = problem
    first = next(asked.iterate(x, K, rng=seed))
    assume(solvable(first.activations))
    states = islice(asked.iterate(x, K, rng=seed), 51)
    for state, (W, Z, alpha) in zip(states, literal(first, 50), strict=True):
        if not solvable(Z.T):
            break
        close = {"rtol": 0, "atol": 1e-9 * np.abs(Z).max()}
        np.testing.assert_allclose(state.activations, Z.T, **close)
        atoms = reference.atoms(W, asked.frame)
        np.testing.assert_allclose(atoms.imag, 0, atol=1e-9 * np.abs(atoms).max())
        found = state.decomposition().atoms
        np.testing.assert_allclose(found, atoms.real, rtol=0, atol=1e-9 * np.abs(atoms).max())
        residual = x - reference.synthesis(asked.frame, alpha.T, x.size)
        np.testing.assert_allclose(state.residual, residual.real, atol=1e-9 * np.abs(x).max())
        objective = 0.5 * np.sum(np.abs(residual) ** 2) + asked.penalty * Z.sum()
        np.testing.assert_allclose(state.objective, objective, rtol=1e-9, atol=1e-12)


@given(problems(), st.floats(0.1, 50), seeds)
def test_longer_steps_are_those_of_the_literal_algorithm(problem, step, seed):
    asked, x, K = problem
    first = next(asked.iterate(x, K, rng=seed))
    assume(solvable(first.activations))
    state = first.problem.after(first, step)
    _, (W, Z, _) = literal(first, 1, step)
    np.testing.assert_allclose(state.activations, Z.T, atol=1e-8 * Z.max())
    atoms = reference.atoms(W, asked.frame).real
    np.testing.assert_allclose(state.decomposition().atoms, atoms, atol=1e-8 * np.abs(atoms).max())


@given(problems(), rules, starts, st.sampled_from([0, 1]), seeds)
def test_no_rule_nor_recentring_increases_the_objective(problem, rule, start, every, seed):
    asked, x, K = problem
    asked = replace(asked, start=start, step_rule=rule, recentre_every=every)
    states = never_rising(islice(asked.iterate(x, K, rng=seed), 20))
    assert [state.iteration for state in states] == list(range(20))
    if asked.penalty:
        sizes = [np.linalg.norm(state.decomposition().atoms, axis=1).max() for state in states]
        assert max(sizes) <= 1 + 1e-9
    assert states[-1].activations.min() >= 0
    share = np.linalg.norm(states[-1].residual) / np.linalg.norm(x)
    assert states[-1].relative_residual == pytest.approx(share)


@given(seeds, st.integers(1, 9), st.floats(0.01, 100), st.floats(0.01, 100))
def test_the_step_within_the_ball_is_that_of_a_bisection(seed, P, c, loudness):
    b, shares = loudness * normal(seed, P), np.abs(normal(seed + 1, P))
    wanted = reference.within_ball(b, c, shares)
    np.testing.assert_allclose(within_ball(b, c, shares), wanted, atol=1e-9 * np.abs(wanted).max())


@given(seeds, st.integers(1, 9), st.integers(2, 20))
def test_below_lambda_max_the_loudest_segment_is_worth_its_penalty(seed, T_g, more):
    x, frame = normal(seed, T_g + more), GaborFrame(np.ones(T_g), 1).tight()
    largest = np.sqrt(segment_energies(x, T_g).max())
    at, Z = int(np.argmax(segment_energies(x, T_g))), np.zeros((1, frame.n_frames(x.size)))
    Z[0, at - frame.first_sample] = 0.01 * largest
    start = x[None, at : at + T_g] / largest / frame.window, Z
    below, above = (
        next(Algorithm1(frame=frame, share=share).iterate(x, 1, start=start)).objective
        for share in (0.98, 1.0)
    )
    assert below < x @ x / 2 < above


@given(problems(), seeds, st.floats(1, 3))
def test_from_lambda_max_on_no_atoms_in_the_ball_are_used(problem, seed, factor):
    asked, x, K = problem
    penalty, rng = factor * asked.lambda_max(x), np.random.default_rng(seed)
    shapes = asked.shapes(x.size, K)
    start = rng.standard_normal(shapes["patterns"]), rng.random(shapes["activations"])
    state = next(replace(asked, penalty=penalty).iterate(x, K, start=start))
    assert state.objective >= x @ x / 2 * (1 - 1e-12)


@pytest.mark.parametrize("held", ["patterns", "activations"])
@given(problem=problems(), rule=rules, start=starts, seed=seeds)
def test_what_is_held_stays_and_the_objective_falls(held, problem, rule, start, seed):
    asked, x, K = problem
    asked = replace(asked, step_rule=rule, start=start, recentre_every=2)
    w = 3 * normal(seed, *asked.shapes(x.size, K)["patterns"])
    Z = np.random.default_rng(seed).random(asked.shapes(x.size, K)["activations"])
    for begin in (None, (w, Z)):
        first, *states = never_rising(islice(asked.iterate(x, K, start=begin, held=held), 8))
        kept = getattr(first, held)
        if begin:
            np.testing.assert_array_equal(kept, w if held == "patterns" else Z)
        assert all(np.array_equal(getattr(state, held), kept) for state in states)
        if asked.penalty and held == "activations":
            sizes = np.linalg.norm(states[-1].decomposition().atoms, axis=1)
            assert sizes.max() <= 1 + 1e-9


@given(problems(), seeds)
def test_held_atoms_get_the_activations_of_the_literal_semi_nmf(problem, seed):
    asked, x, K = problem
    asked = replace(asked, inner_iterations=1)
    first, second = islice(asked.iterate(x, K, held="patterns", rng=seed), 2)
    W, Z = spectra_of(first), first.activations.T
    A = W @ Z.T + reference.analysis(asked.frame, first.residual).T
    update = getattr(reference, f"{asked.activation_update}_update")
    wanted = update(A, W, Z, asked.penalty).T
    np.testing.assert_allclose(second.activations, wanted, atol=1e-9 * np.abs(wanted).max())


@given(problems(penalised=False), seeds)
def test_patterns_alone_begin_with_their_positive_correlations(problem, seed):
    asked, x, K = problem
    w, frame = normal(seed, *asked.shapes(x.size, K)["patterns"]), asked.frame
    state = next(asked.iterate(x, K, start=(w, None)))
    fit, length = x - state.residual, frame.hop * (state.activations.shape[1] - 1)
    padded = placed(x, -frame.first_sample, length + frame.window.size)
    wanted = reference.correlate_with_atoms(state.decomposition().atoms, padded, frame.hop)
    wanted = np.maximum(wanted, 1e-3 * np.abs(wanted).max())
    np.testing.assert_allclose(
        state.activations / state.activations.max(), wanted / wanted.max(), atol=1e-9
    )
    assert abs(fit @ x) == pytest.approx(fit @ fit)


@pytest.mark.parametrize(("dtype", "quieter"), [(np.float32, 1e4), (np.float64, 1e8)])
@pytest.mark.parametrize("update", UPDATES)
def test_how_a_start_is_scaled_makes_no_difference(dtype, quieter, update):
    asked, x = Algorithm1(frame=hann(32, 4), activation_update=update), normal(0, 200, dtype=dtype)
    first = next(asked.iterate(x, 2))
    w, z = first.patterns, first.activations
    scale = np.array([[1], [quieter]], dtype)
    states = islice(asked.iterate(x, 2, start=(w, z)), 20)
    rescaled = islice(asked.iterate(x, 2, start=(w * scale, z / scale)), 20)
    rescaled = never_rising(rescaled, 10 * np.finfo(dtype).eps)
    tolerance = np.finfo(dtype).eps ** 0.5
    for state, other in zip(states, rescaled, strict=True):
        np.testing.assert_allclose(other.objective, state.objective, rtol=tolerance)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("hop", "update"), [(1, "multiplicative"), (8, "coordinate")])
def test_threads_do_not_show_to_the_byte(monkeypatch, compiled, dtype, hop, update):
    """With numba and without, each for itself."""
    if compiled:
        pytest.importorskip("numba")
    else:
        for kernel in (kernels.multiply, kernels.spectral_product):
            monkeypatch.setitem(vars(kernel), "form", kernel.twin)
    monkeypatch.setattr("cdlnmf_lit.theory.convolution.GROUP", 2**11)
    asked = Algorithm1(
        frame=hann(256, hop), penalty=0.1, activation_update=update, step_rule="accelerated"
    )
    found = set()
    for threads in (1, 2, 3):
        monkeypatch.setattr("cdlnmf_lit.theory.blocks.n_threads", lambda n=threads: n)
        state = next(islice(asked.iterate(normal(0, 6000, dtype=dtype), 3), 5, None))
        assert len(state.spectra) > 1
        parts = state.patterns, state.activations, state.residual
        found.add(b"".join(part.tobytes() for part in parts))
    assert len(found) == 1


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 700), st.booleans(), seeds)
def test_loops_and_twin_update_as_the_formula_says(K, blocks, width, silent, seed):
    rng = np.random.default_rng(seed)
    N = int(rng.integers(width * (blocks - 1) + 1, width * blocks + 1))
    V, z = rng.standard_normal((blocks, K, width + 5)), rng.random((K, N + 3))
    w, mixed = normal(seed, K, 5), normal(seed + 1, K, K)
    if silent:
        w[0], z[0], mixed[0], V[:, 0] = 0, 0, 0, 0
    G, penalty = w @ w.T, 0.0 if silent else 0.1
    joined = V[:, :, :width].swapaxes(0, 1).reshape(K, -1)[:, :N]
    now = z[:, 3:]
    U = joined + mixed @ now
    up = np.maximum(U, 0) + np.maximum(-G, 0) @ now
    down = np.maximum(-U, 0) + np.maximum(G, 0) @ now + penalty
    wanted = now * np.sqrt(np.divide(up, down, out=np.ones_like(up), where=down > 0))
    for update in (kernels.multiply, kernels.multiply.twin):
        rows, out = V.copy(), np.full_like(z, 7.0)
        update(rows, out, z, mixed, G, np.array([penalty, np.finfo(float).tiny]), 3, width)
        np.testing.assert_allclose(out[:, 3:], wanted, rtol=1e-9, atol=1e-12)
        assert np.all(out[:, :3] == 7)
        found = rows[:, :, :width].swapaxes(0, 1).reshape(K, -1)
        np.testing.assert_array_equal(found[:, :N], out[:, 3:])
        assert not found[:, N:].any()
        assert not rows[:, :, width:].any()


@given(*3 * [st.integers(1, 9)], st.integers(1, 600), st.booleans(), seeds)
def test_products_of_spectra_are_those_of_matrices(rows, middle, columns, F, single, seed):
    dtype = np.complex64 if single else np.complex128
    left, right = (
        (normal(seed, *shape) + 1j * normal(seed + 1, *shape)).astype(dtype)
        for shape in ((rows, middle, F), (middle, columns, F))
    )
    wanted = np.einsum("ijf,jkf->ikf", left, right)
    for multiply in (kernels.spectral_product, kernels.spectral_product.twin):
        found = multiply(left, right)
        assert found.dtype == left.dtype
        np.testing.assert_allclose(found, wanted, atol=1e-4 if single else 1e-12)


@given(problems(penalised=False), seeds, st.floats(0.01, 100))
def test_louder_signals_give_louder_atoms_in_any_order(problem, seed, gain):
    asked, x, K = problem
    asked = Algorithm1(frame=asked.frame, iterations=5)
    quiet, loud = (next(asked.iterate(each, K, rng=seed)) for each in (x, gain * x))
    assume(solvable(quiet.activations))
    np.testing.assert_array_equal(loud.activations, quiet.activations)
    one = asked.decompose(x, K, start=(quiet.patterns, quiet.activations))
    other = asked.decompose(gain * x, K, start=(loud.patterns[::-1], loud.activations[::-1]))
    np.testing.assert_allclose(
        other.components()[::-1], gain * one.components(), atol=1e-7 * gain * np.abs(x).max()
    )


@given(problems(), seeds)
def test_a_recentred_state_is_one_of_the_same_problem(problem, seed):
    asked, x, K = problem
    shapes = asked.shapes(x.size, K)
    w = normal(seed, *shapes["patterns"]) * 0.3 ** np.arange(shapes["patterns"][1])
    state = next(asked.iterate(x, K, start=(w, np.ones(shapes["activations"]))))
    moved = state.problem.recentred(replace(state, iteration=5, step=2.5))
    if moved is None:
        return
    assert (moved.iteration, moved.step) == (5, 2.5)
    atoms = moved.decomposition().atoms
    sizes = np.linalg.norm(atoms, axis=1)
    if asked.penalty:
        np.testing.assert_allclose(sizes[sizes > 0], 1)
    whole = synthesize(atoms, moved.activations, asked.frame.hop)
    whole = placed(whole, asked.frame.first_sample, x.size)
    np.testing.assert_allclose(moved.residual, x - whole, atol=1e-9 * np.abs(x).max())


@pytest.mark.parametrize("hop", [1, 3])
@pytest.mark.parametrize("penalty", [0.0, 0.1])
def test_recentring_keeps_the_sound_of_an_atom_that_stays_in_its_window(hop, penalty):
    frame, x = GaborFrame(np.ones(40), hop).tight(), normal(0, 200)
    rng = np.random.default_rng(0)
    weights, Z = np.zeros((3, 40)), np.zeros((3, frame.n_frames(200)))
    weights[0, 1:9], weights[1, 17:23] = rng.standard_normal(8), 1.0
    Z[:, 20:40] = rng.random((3, 20))
    state = next(Algorithm1(frame=frame, penalty=penalty).iterate(x, 3, start=(weights, Z)))
    moved = state.problem.recentred(state)
    before, after = state.decomposition(), moved.decomposition()
    np.testing.assert_allclose(after.components(), before.components(), atol=1e-12)
    assert moved.objective == pytest.approx(state.objective)
    energy = np.square(after.atoms)
    assert abs(energy[0] @ np.arange(40) / energy[0].sum() - 19.5) <= hop / 2
    np.testing.assert_allclose(after.atoms[1:], before.atoms[1:], atol=1e-12)
    assert state.problem.recentred(moved) is None


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
    options = {"step_rule": "backtracking", "activation_update": "coordinate"}
    asked = Algorithm1(frame=frame, penalty=0.05 * loudness, **options)
    stuck, freed = (
        list(islice(replace(asked, recentre_every=n).iterate(x, 1, start=(weights, Z)), 81))
        for n in (0, 3)
    )
    truth = 0.05 * loudness**2 * spikes.sum()
    assert freed[-1].objective < truth < stuck[-1].objective
    assert [state.iteration for state in never_rising(freed)] == list(range(81))


@pytest.mark.parametrize("rule", RULES)
def test_a_recentring_that_leads_higher_is_refused(rule):
    """Atoms that fill their window to one side fit as they are, and not when cut."""
    frame, decay = GaborFrame(np.ones(30), 1).tight(), np.exp(-np.arange(30) / 20)
    weights, Z = normal(0, 1, 30) * decay, np.zeros((1, frame.n_frames(300)))
    Z[0, [60, 140, 230]] = 1.0
    x = placed(synthesize(frame.window * weights, Z), frame.first_sample, 300)
    asked = Algorithm1(frame=frame, step_rule=rule, iterations=9)
    start = next(asked.iterate(x, 1, start=(weights, Z)))
    assert start.problem.recentred(start).relative_residual > 0.1
    plain, raced = (
        replace(asked, recentre_every=every).decompose(x, 1, start=(weights, Z + 1e-3))
        for every in (0, 2)
    )
    np.testing.assert_array_equal(raced.history["objective"], plain.history["objective"])


def planted(frame, T, K, seed):
    """A signal that is exactly ``Σ d_k ∗ z_k`` on the frame's positions."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((K, frame.window.size))
    Z = rng.random((K, frame.n_frames(T))) * (rng.random((K, frame.n_frames(T))) < 0.3)
    whole = synthesize(frame.window * weights, Z, frame.hop)
    return placed(whole, frame.first_sample, T), weights, Z


@given(st.integers(1, 3), seeds)
def test_planted_factors_are_a_fixed_point(hop, seed):
    x, weights, Z = planted(hann(12, hop), 60, 2, seed)
    assume(np.linalg.cond(Z @ Z.T) < 1e4)
    for rule in RULES:
        asked = Algorithm1(frame=hann(12, hop), step_rule=rule, iterations=3)
        found = asked.decompose(x, 2, start=(weights, Z))
        assert found.history["relative_residual"].max() < 1e-10
        np.testing.assert_allclose(found.activations, Z, atol=1e-8)


def test_planted_factors_are_recovered_from_a_near_start():
    frame = hann(32, 4)
    x, weights, Z = planted(frame, 800, 2, 0)
    rng = np.random.default_rng(1)
    near = weights + 0.05 * rng.standard_normal(weights.shape), Z + 0.02 * rng.random(Z.shape)
    asked = Algorithm1(frame=frame, step_rule="accelerated", iterations=400)
    found = asked.decompose(x, 2, start=near)
    residuals = found.history["relative_residual"]
    assert residuals[-1] < 0.1 * residuals[0]
    for atom, weight in zip(found.atoms, weights, strict=True):
        true = frame.window * weight
        assert atom @ true > 0.99 * np.linalg.norm(atom) * np.linalg.norm(true)


def test_longer_steps_reach_further_where_activations_are_sparse():
    rng, frame = np.random.default_rng(0), hann(64, 1)
    atom, Z = frame.window * rng.standard_normal(64), np.zeros((1, 1063))
    Z[0, [100, 400, 700, 950]] = 1.0
    x = synthesize(atom[None], Z)[63:1063]
    start = (rng.standard_normal((1, 64)), Z + 1e-3)
    reached = {
        rule: Algorithm1(frame=frame, step_rule=rule, iterations=60).decompose(x, 1, start=start)
        for rule in RULES
    }
    unit = reached["unit"].objective
    assert reached["backtracking"].objective < 0.1 * unit
    assert reached["accelerated"].objective < unit
    assert reached["backtracking"].history["step"].max() > 10


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("rule", RULES)
def test_single_precision_stays_single_and_follows_double(penalty, rule):
    x, asked = normal(0, 2000), Algorithm1(frame=hann(64, 4), penalty=penalty, iterations=30)
    first = next(asked.iterate(x, 3))
    asked = replace(asked, step_rule=rule, recentre_every=4, iterations=30 if rule == "unit" else 3)
    double, single = (
        asked.decompose(x.astype(dtype), 3, start=(first.patterns, first.activations))
        for dtype in (np.float64, np.float32)
    )
    for part in (single.atoms, single.activations, single.residual, single.components()):
        assert part.dtype == np.float32
    np.testing.assert_allclose(single.history["objective"], double.history["objective"], rtol=1e-4)


@given(problems(), seeds)
def test_a_run_goes_on_from_its_own_result(problem, seed):
    asked, x, K = problem
    whole = replace(asked, iterations=8).decompose(x, K, rng=seed)
    assume(solvable(whole.activations))
    half = replace(asked, iterations=4).decompose(x, K, rng=seed)
    assume(asked.penalty == 0 or np.allclose(np.linalg.norm(half.atoms, axis=1), 1))
    rest = replace(asked, iterations=4).decompose(x, K, start=half)
    np.testing.assert_allclose(
        rest.history["objective"], whole.history["objective"][4:], rtol=1e-6, atol=1e-9
    )


def test_a_start_from_another_hop_and_length_keeps_the_sound():
    x = np.sin(0.2 * np.arange(600.0)) * np.hanning(600)
    coarse = Algorithm1(frame=hann(32, 8), iterations=60).decompose(x, 2)
    fine = Algorithm1(frame=hann(48, 4))
    start = next(fine.iterate(x, 2, start=coarse))
    assert start.patterns.shape == (2, 48)
    assert start.activations.min() > 0
    assert start.relative_residual < 0.9
    assert next(fine.iterate(x, 2)).relative_residual > start.relative_residual


@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_a_start_from_spectra_and_sounds_is_scaled_to_the_signal(penalty):
    """As nmf's results: spectra, activations in units of their own, and the components in time."""
    asked, x = Algorithm1(frame=hann(16, 2), penalty=penalty, iterations=10), normal(0, 200)
    activations = 1e4 * np.random.default_rng(0).random((2, 30))
    spectra, early = np.ones((2, 9)), np.arange(200) < 100
    sounds = np.stack([np.where(early, x, 0), np.where(early, 0, x)])
    found = Decomposition("nmf", None, activations, 8, -8, 0 * x, spectra=spectra, sounds=sounds)
    start = next(asked.iterate(x, 2, start=found))
    atoms = start.decomposition().atoms
    for atom, pattern in zip(atoms, found.patterns(16), strict=True):
        np.testing.assert_allclose(atom[1:] / pattern[1:], atom[1] / pattern[1])
    assert (x - start.residual) @ start.residual == pytest.approx(0, abs=1e-9)
    assert start.relative_residual < 1
    if penalty:
        np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1)
    assert start.activations.min() > 0
    assert np.all(np.diff(asked.decompose(x, 2, start=found).history["objective"]) < 0)


@given(st.sampled_from([1, 2, 4]), rules, seeds)
def test_sparse_starts_stay_finite_over_long_steps(hop, rule, seed):
    """Activations fade to the smallest numbers there are, and denominators with them."""
    asked = Algorithm1(frame=hann(16, hop), step_rule=rule, iterations=40)
    Z = np.random.default_rng(seed).random((2, asked.frame.n_frames(120))) ** 400
    Z[Z < 1e-150] *= 1e-160
    found = asked.decompose(normal(seed, 120), 2, start=(normal(seed, 2, 16), Z))
    assert np.isfinite(found.atoms).all()
    assert np.isfinite(found.activations).all()
    assert np.all(np.diff(found.history["objective"]) <= 1e-9)


@pytest.mark.parametrize("rule", ["backtracking", "accelerated"])
def test_a_step_that_leads_nowhere_is_refused(rule):
    """An objective that is no number is no descent."""
    state = next(Algorithm1(frame=hann(16, 2)).iterate(normal(0, 120), 1))
    nowhere = SimpleNamespace(record=lambda state: {"objective": np.nan})

    def after(now, step, point=None):
        found = state.problem.after(now, step, point)
        return replace(found, problem=nowhere) if step > 1 or point else found

    steps = algorithm_1.STEP_RULES[rule](SimpleNamespace(after=after), state)
    assert np.isfinite([each.objective for each in islice(steps, 6)]).all()


@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_a_silent_component_does_no_harm(penalty):
    asked, x = Algorithm1(frame=hann(8, 2), penalty=penalty, iterations=5), normal(0, 60)
    first = next(asked.iterate(x, 2))
    weights, Z = first.patterns.copy(), first.activations.copy()
    weights[1], Z[1] = 0, 0
    found = asked.decompose(x, 2, start=(weights, Z))
    assert np.isfinite(found.atoms).all()
    assert not found.component(1).any()
    assert np.all(np.diff(found.history["objective"]) <= 1e-12)


@pytest.mark.parametrize("hop", [1, 8, 64])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("recentre_every", [0, 1])
def test_memory_is_what_the_estimate_says_and_far_below_the_coefficients(hop, rule, recentre_every):
    asked, x = Algorithm1(frame=hann(512, hop), step_rule=rule, iterations=3), normal(0, 40_000)
    asked = replace(asked, recentre_every=recentre_every)
    needed = asked.estimate(x.size, 4).memory_bytes
    weights = np.pad(normal(0, 4, 150), ((0, 0), (0, 362)))
    N = asked.frame.n_frames(x.size)
    start = (weights, np.random.default_rng(0).random((4, N)))
    next(islice(asked.iterate(x, 4, start=start), 1, None))  # imports and compiles
    tracemalloc.start()
    asked.decompose(x, 4, start=start)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.4 * needed < peak < needed
    assert peak < N * 512 * 16 / {1: 20, 8: 8, 64: 1}[hop]


X = normal(0, 40)
LOUD = GaborFrame(np.sqrt(1.5) * hann(8, 2).window, 2)
OTHER = GaborFrame("hann", 2, 8, phase="frequency-invariant").tight()


@pytest.mark.parametrize(
    ("x", "K", "options", "message"),
    [
        (np.ones(40), 1, {}, "x must not be constant, got 1.0"),
        (X[:5], 1, {}, "x must be at least as long as an atom, 8 samples, got 5"),
        (X, 9, {}, "n_components must be a whole number from 1 to 8, got 9"),
        (X, 1, {"frame": LOUD}, r"frame must have ‖Φ‖² ≤ 1, got 1.5: use frame.tight\(\)"),
        (X, 1, {"frame": OTHER}, "frame must count its phase time-invariant"),
        (X, 1, {"inner_iterations": 0}, "inner_iterations must be a whole number"),
        (X, 1, {"recentre_every": -1}, "recentre_every must be a whole number"),
    ],
)
def test_bad_input_is_named(x, K, options, message):
    with pytest.raises(ValueError, match=message):
        Algorithm1(**{"frame": hann(8, 2)} | options).iterate(x, K)


def test_a_result_of_the_recipe_for_notes_is_a_start_worth_having():
    """It keeps every note, where a start from noise loses two, whatever the objective says."""
    mixture = piano(rng=0)
    asked = Algorithm1(iterations=20, precision="float32")
    found = recipes.notes().decompose(mixture.signal, 4)
    from_notes, from_noise = (
        judge(asked.decompose(mixture.signal, 4, start=start), mixture, filter_length=1)
        for start in (found, None)
    )
    assert from_notes.min_si_sdr > 2
    assert from_noise.min_si_sdr < 0
