"""Dictionary learning never rises, fits atoms as the dense problem does, finds what was sown."""

import tracemalloc
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods import cdl, factors, sparse_coding
from cdlnmf_lit.methods.cdl import CDL, Problem, Quadratic
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.sparse_coding import SIGNS
from cdlnmf_lit.theory import blocks
from cdlnmf_lit.theory.convolution import synthesize
from tests import reference
from tests.strategies import dtypes, normal, seeds

SOLVERS = list(sparse_coding.SOLVERS)
solvers, signs = st.sampled_from(SOLVERS), st.sampled_from(list(SIGNS))


@st.composite
def problems(draw, *, longest=60):
    """A noisy signal with a silence, K, and the method."""
    T_d = draw(st.sampled_from([1, 2, 3, 5, 8, 13]))
    T = max(3, T_d + draw(st.integers(0, longest)))
    K = draw(st.integers(1, min(3, T - T_d + 1)))
    x = normal(draw(seeds), T)
    x[T // 3 : draw(st.sampled_from([0, T // 2, T]))] = 0
    method = CDL(
        atom_length=T_d,
        share=draw(st.sampled_from([0.0, 0.02, 0.2, 0.7])),
        start=draw(st.sampled_from(CDL.STARTS)),
        activations=draw(signs),
        solver=draw(solvers),
        recentre_every=draw(st.sampled_from([0, 1, 3])),
        padding=draw(st.integers(0, T_d - 1)),
    )
    return x, K, method


@st.composite
def quadratics(draw):
    """A signal, activations of any density, and atoms in the ball."""
    K, T_d, N = draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(seeds))
    z = rng.standard_normal((K, N)) * (rng.random((K, N)) < draw(st.sampled_from([0.1, 1.0])))
    d = rng.standard_normal((K, T_d))
    d /= np.maximum(np.linalg.norm(d, axis=1, keepdims=True), 1)
    return Quadratic(rng.standard_normal(N + T_d - 1), z, T_d), d


def dense(quadratic):
    """``C`` with ``C d = Σ d_k ∗ z_k``, one column a sample of an atom."""
    shape = len(quadratic.activations), quadratic.atom_length
    unit = np.eye(shape[0] * shape[1]).reshape(-1, *shape)
    return np.array([reference.convolve(d, quadratic.activations) for d in unit]).T


def sown(seed=0, K=2, T=4000, T_d=64, repeats=8):
    """Atoms in the middle of their support, where they sound, and the signal."""
    rng = np.random.default_rng(seed)
    d = np.hanning(T_d) * rng.standard_normal((K, T_d))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    z = np.zeros((K, T - T_d + 1))
    for row in z:
        row[rng.choice(row.size, repeats, replace=False)] = 1 + rng.random(repeats)
    x = synthesize(d, z) + 1e-2 * rng.standard_normal(T)
    return x, d, z


def likeness(found, d):
    """For each sown atom, the largest correlation that a found one has with it at any shift."""
    return [max(np.abs(np.correlate(f, atom, "full")).max() for f in found.atoms) for atom in d]


# ---- the atoms -----------------------------------------------------------------------------------


@pytest.mark.parametrize("pairs", [0, cdl.PAIRS])
@pytest.mark.parametrize("sums", ["few", "transforms"])
@given(case=quadratics())
def test_the_atoms_problem_is_the_dense_one(pairs, sums, case):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cdl, "PAIRS", pairs)
        patch.setattr(cdl, "is_sparse", lambda z, T_d: sums == "few")
        quadratic, d = case
        C, x = dense(quadratic), quadratic.x
        r = x - C @ d.ravel()
        gradient = quadratic.gradient(d)
        np.testing.assert_allclose(gradient.ravel(), -C.T @ r, atol=1e-9)
        change = 0.5 * r @ r - 0.5 * x @ x
        assert quadratic.objective(d, gradient) == pytest.approx(change, abs=1e-9)
        assert quadratic.curvature >= np.linalg.norm(C, 2) ** 2 * (1 - 1e-9)


@given(quadratics())
def test_the_atoms_gap_bounds_what_is_left(case):
    quadratic, d = case
    best = list(islice(quadratic.projected_gradient(d), 500))[-1]
    for found, gradient in [(d, quadratic.gradient(d)), best]:
        left = quadratic.objective(found, gradient) - quadratic.objective(*best)
        assert quadratic.gap(found, gradient) >= left - 1e-9


@given(quadratics())
@pytest.mark.long
def test_both_solvers_fit_the_same_atoms(case):
    quadratic, d = case
    one, other = (
        list(islice(solve(d), 1000))[-1] for solve in (quadratic.projected_gradient, quadratic.admm)
    )
    scale = 1 + quadratic.x @ quadratic.x
    assert quadratic.gap(*one) <= 1e-4 * scale
    assert quadratic.objective(*other) == pytest.approx(quadratic.objective(*one), abs=1e-3 * scale)
    for found, _ in (one, other):
        assert np.linalg.norm(found, axis=1).max() <= 1 + 1e-9


# ---- the iterations ------------------------------------------------------------------------------


@given(problems(), dtypes, seeds)
@pytest.mark.long
def test_the_objective_does_not_rise(problem, dtype, seed):
    x, K, method = problem
    states = method.iterate(x.astype(dtype), K, rng=seed)
    for before, after in pairwise(islice(states, 12)):
        assert after.iteration == before.iteration + 1
        assert after.objective <= before.objective * (1 + 1e-12)
        assert np.linalg.norm(after.patterns, axis=1).max() <= 1 + 10 * np.finfo(dtype).eps
        assert method.activations == "real" or after.activations.min() >= 0
        for part in (after.patterns, after.activations, after.residual):
            assert part.dtype == dtype
            assert np.isfinite(part).all()
        assert all(np.isfinite(value) for value in after.record.values())


@given(problems(), seeds)
def test_what_a_state_says_of_itself_is_so(problem, seed):
    x, K, method = problem
    state = list(islice(method.iterate(x, K, rng=seed), 5))[-1]
    found, padded = state.decomposition(), np.pad(x, method.padding)
    r = padded - reference.convolve(state.patterns, state.activations)
    penalty = method.share * method.lambda_max(x)
    objective = 0.5 * r @ r + penalty * np.abs(state.activations).sum()
    assert state.objective == pytest.approx(objective)
    np.testing.assert_allclose(found.components().sum(axis=0) + found.residual, x, atol=1e-9)
    gradient = -reference.correlate_with_activations(state.activations, r)
    sizes = np.linalg.norm(gradient, axis=1).sum()
    other_atoms = np.sum(gradient * state.patterns) + sizes
    record = state.record
    assert list(record) == ["objective", "relative_residual", "coding_gap", "dictionary_gap"]
    assert record["dictionary_gap"] * objective == pytest.approx(max(other_atoms, 0), abs=1e-9)
    assert record["coding_gap"] == state.gap


def test_an_iterate_by_another_number_keeps_what_it_has_computed():
    state = next(CDL(atom_length=8).iterate(X, 1))
    again = state.numbered(7)
    assert (state.iteration, again.iteration) == (0, 7)
    assert again.correlation is state.correlation


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_update_does_not_depend_on_the_number_of_its_iterate(solver, dtype):
    method = CDL(atom_length=64, penalty=0.3, solver=solver)
    *_, state = islice(method.iterate(sown(T=1500)[0].astype(dtype), 2), 3)
    one, other = (each.problem.updated(each, 15) for each in (state, state.numbered(7)))
    np.testing.assert_array_equal(other.patterns, one.patterns)
    np.testing.assert_array_equal(other.activations, one.activations)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_that_is_refused_is_not_tried_again(solver, dtype, monkeypatch):
    tried, updated = [], cdl.Problem.updated

    def counted(problem, state, steps):
        tried.append((state.patterns.tobytes(), state.activations.tobytes(), steps))
        return updated(problem, state, steps)

    monkeypatch.setattr(cdl.Problem, "updated", counted)
    method = CDL(atom_length=64, penalty=0.3, solver=solver, iterations=80)
    found = method.decompose(sown(T=1500)[0].astype(dtype), 2)
    assert np.sum(np.diff(found.history["objective"]) == 0) > 10
    assert len(tried) <= len(set(tried)) + 1  # where the momentum turns out to move nothing


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("activations", SIGNS)
@pytest.mark.parametrize("gain", [1e-3, 50.0])
def test_louder_signals_have_the_same_atoms(solver, activations, gain):
    x = sown(T=1500)[0]
    options = {"activations": activations, "solver": solver, "iterations": 5}
    quiet, loud = (
        CDL(atom_length=64, penalty=0.3 * g, **options).decompose(g * x, 2) for g in (1.0, gain)
    )
    np.testing.assert_allclose(loud.atoms, quiet.atoms, atol=1e-6)
    np.testing.assert_allclose(loud.activations, gain * quiet.activations, atol=1e-6 * gain)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_order_of_the_atoms_does_not_matter(solver):
    x, d, _ = sown(T=1500)
    start = d + 0.05 * normal(3, 2, 64)
    method = CDL(atom_length=64, penalty=0.3, solver=solver, iterations=8)
    one, other = (method.decompose(x, 2, start=(d, None)) for d in (start, start[::-1]))
    np.testing.assert_allclose(other.history["objective"], one.history["objective"], rtol=1e-3)
    np.testing.assert_allclose(other.atoms[::-1], one.atoms, atol=2e-2)


def test_real_activations_change_sign_with_the_signal():
    x, d, _ = sown(T=1500)
    method = CDL(atom_length=64, penalty=0.3, activations="real", iterations=5)
    one, other = (method.decompose(g * x, 2, start=(d, None)) for g in (1.0, -1.0))
    np.testing.assert_allclose(other.atoms, one.atoms, atol=1e-8)
    np.testing.assert_allclose(other.activations, -one.activations, atol=1e-8)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.long
def test_what_was_sown_is_found_from_near(solver):
    x, d, z = sown()
    near = d + 0.3 * normal(1, *d.shape) / 8
    method = CDL(atom_length=64, penalty=0.05, solver=solver, iterations=60)
    found = method.decompose(x, 2, start=(near, None))
    for k in range(2):
        assert found.atoms[k] @ d[k] > 0.998
        np.testing.assert_allclose(found.activations[k], z[k], atol=0.15)
    assert found.history["coding_gap"][-1] < 0.05
    assert found.history["dictionary_gap"][-1] < 0.01


def test_segments_lead_to_what_was_sown():
    x, d, _ = sown()
    method = CDL(atom_length=64, penalty=0.1, activations="real", iterations=60)
    found = [method.decompose(x, 2, rng=seed) for seed in range(5)]
    assert all(min(likeness(each, d)) > 0.95 for each in found)


def test_a_perfect_fit_stays():
    x, d, z = sown(T=600)
    x = synthesize(d, z)
    for solver in SOLVERS:
        method = CDL(atom_length=64, penalty=0.0, solver=solver, iterations=3)
        found = method.decompose(x, 2, start=(d, z))
        assert found.history["objective"].max() < 1e-18
        np.testing.assert_allclose(found.atoms, d, atol=1e-9)
        np.testing.assert_allclose(found.activations, z, atol=1e-9)


@pytest.mark.parametrize(
    ("dtype", "coding", "dictionary"), [(np.float64, 1e-4, 1e-6), (np.float32, 1e-3, 1e-3)]
)
def test_both_gaps_close_and_nothing_rises_where_only_rounding_is_left(dtype, coding, dictionary):
    x = sown(T=1500)[0].astype(dtype)
    found = CDL(atom_length=64, penalty=0.3, iterations=150).decompose(x, 2)
    assert np.all(np.diff(found.history["objective"]) <= 0)
    assert found.history["coding_gap"][-1] < coding
    assert found.history["dictionary_gap"][-1] < dictionary


def test_as_many_threads_as_segments_do_not_matter(monkeypatch):
    x, found = normal(0, 4 * sparse_coding.SEGMENT), []
    for n in (1, 4):
        monkeypatch.setattr(blocks, "n_threads", lambda n=n: n)
        found.append(CDL(atom_length=100, iterations=3).decompose(x, 2))
    np.testing.assert_array_equal(found[1].atoms, found[0].atoms)
    np.testing.assert_array_equal(found[1].activations, found[0].activations)


# ---- a factor that is held -----------------------------------------------------------------------


@given(problems(), st.sampled_from([0.3, 1.0, 4.0]), seeds)
def test_with_atoms_held_it_is_sparse_coding(problem, norm, seed):
    x, K, method = problem
    d = norm * normal(seed, K, method.atom_length)
    penalty = (0.05 + method.share) * sparse_coding.lambda_max(x, d, "real")
    asked = {"penalty": penalty, "activations": method.activations, "padding": method.padding}
    states = sparse_coding.iterate(x, d, **asked)
    coded = next(s for s in states if s.gap < 1e-8 or s.iteration == 60)
    held = replace(method, share=None, penalty=penalty, solver="greedy")
    states = held.iterate(x, K, start=(d, None), held="patterns")
    found = next(s for s in states if s.gap <= coded.gap or s.iteration == 60)
    assert found.objective == pytest.approx(coded.objective, rel=1e-6)
    assert list(found.record) == ["objective", "relative_residual", "coding_gap"]
    np.testing.assert_array_equal(found.patterns, d)


@given(problems(), dtypes, seeds)
def test_what_is_held_stays_and_the_other_factor_gets_better(problem, dtype, seed):
    x, K, method = problem
    rng = np.random.default_rng(seed)
    x, d = x.astype(dtype), 3 * rng.random((K, method.atom_length)).astype(dtype)
    shape = method.shapes(x.size, K)["activations"]
    z = (rng.random(shape) * (rng.random(shape) < 0.3)).astype(dtype)
    d[0] = 0
    for held, kept in {"patterns": d, "activations": z}.items():
        states = list(islice(method.iterate(x, K, start=(d, z), held=held), 6))
        for before, after in pairwise(states):
            assert after.iteration == before.iteration + 1
            assert after.objective <= before.objective * (1 + 10 * np.finfo(dtype).eps)
            np.testing.assert_array_equal(getattr(after, held), kept)
        if held == "activations":
            norms = [np.linalg.norm(state.patterns, axis=1).max() for state in states]
            assert max(norms) <= 1 + 10 * np.finfo(dtype).eps
            assert "coding_gap" not in states[-1].record


@pytest.mark.parametrize(("held", "most"), [(None, 2113), ("patterns", 3380)])
def test_a_pass_ends_where_two_atoms_are_nearly_the_same(monkeypatch, held, most):
    """All is in the second, and the first is right: each change hands over a little of it.

    There are 169 activations an atom of 32 samples. A pass makes 200 changes for each 32 of them,
    or ten for each of them where atoms do not move.
    """
    changes = []

    def counted(*arguments):
        changes.append(descend(*arguments))
        return changes[-1]

    descend = sparse_coding.descend
    monkeypatch.setattr(sparse_coding, "descend", counted)
    d = np.array([normal(1, 32), normal(1, 32) + 0.01 * normal(2, 32)])
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    x, z = np.zeros(200), np.zeros((2, 169))
    x[80:112], z[1, 80] = 5 * d[0], 5
    problem = CDL(atom_length=32, penalty=0.01).problem(x, 2, held=held)
    states = list(islice(problem.states(problem.state(0, d, z)), 4))
    coded = list(islice(problem.greedy(problem.state(0, d, z)), 4))
    assert max(changes) == most
    for several in (states, coded):
        assert all(b.objective < a.objective for a, b in pairwise(several))


@pytest.mark.parametrize("solver", SOLVERS)
def test_with_activations_held_the_best_atoms_are_found(solver):
    x, d, z = sown(T=1500)
    method = CDL(atom_length=64, penalty=0.3, solver=solver, iterations=60)
    found = method.decompose(x, 2, start=(normal(0, 2, 64), z), held="activations")
    assert found.history["dictionary_gap"][-1] < 1e-5
    assert np.all(np.sum(found.atoms * d, axis=1) > 0.99)


# ---- moves ---------------------------------------------------------------------------------------


@given(st.integers(1, 3), st.integers(-20, 20), seeds)
def test_recentring_moves_and_changes_nothing_else(K, shift, seed):
    rng = np.random.default_rng(seed)
    d = np.zeros((K, 80))
    d[:, 30 + shift : 50 + shift] = np.hanning(20) * (0.5 + rng.random((K, 20)))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    z = np.zeros((K, 300))
    z[:, 50:250] = rng.random((K, 200))
    problem = Problem(80, 0.1, signed=False, x=normal(seed, 379))
    state = problem.state(0, d, z)
    moved = problem.recentred(state)
    if moved is None:
        assert abs(shift) <= 80 // factors.NEAR + 4
        return
    assert moved.objective == pytest.approx(state.objective)
    centres = np.sum(moved.patterns**2 * np.arange(80), axis=1)
    assert np.all(np.abs(centres - 39.5) <= 80 // factors.NEAR + 0.5)
    assert problem.recentred(moved) is None


def test_recentring_frees_what_is_cut_off():
    x, d, z = sown(T=6000)
    off = np.stack([np.roll(atom, 24) for atom in d])
    off[:, :24] = 0
    ends = [
        CDL(atom_length=64, penalty=0.1, recentre_every=every, iterations=40)
        .decompose(x, 2, start=(off, None))
        .objective
        for every in (0, 3)
    ]
    assert ends[1] < 0.8 * ends[0]


def test_recentring_is_left_where_it_raises_the_objective():
    """A struck string starts at once: its energy is no reason to move it."""
    rng = np.random.default_rng(0)
    t = np.arange(256)
    d = (np.exp(-t / 40) * np.sin(0.5 * t))[None]
    d /= np.linalg.norm(d)
    z = np.zeros((1, 4000))
    z[0, rng.choice(4000, 12, replace=False)] = 1 + rng.random(12)
    x = synthesize(d, z)
    method = CDL(atom_length=256, penalty=0.05, iterations=12)
    stays, moves = (
        replace(method, recentre_every=every).decompose(x, 1, start=(d, None)) for every in (0, 1)
    )
    assert moves.objective <= stays.objective * (1 + 1e-6)
    assert moves.atoms[0] @ d[0] > 0.99


@given(problems(), st.sampled_from([0.05, 0.5]), seeds)
def test_an_atom_is_replaced_where_that_lowers_the_objective(problem, density, seed):
    x, K, method = problem
    rng = np.random.default_rng(seed)
    start = next(method.iterate(x, K, rng=seed))
    z = rng.random(start.activations.shape) * (rng.random(start.activations.shape) < density)
    state = replace(start, activations=z)

    problem, T_d = start.problem, method.atom_length
    weakest = int(np.argmin(np.sum(z**2, axis=1)))
    without = z.copy()
    without[weakest] = 0
    left = problem.x - reference.convolve(start.patterns, without)
    sizes = [np.linalg.norm(left[n : n + T_d]) for n in range(z.shape[1])]
    dropped = 0.5 * left @ left + problem.penalty * without.sum()
    other = dropped - 0.5 * max(max(sizes) - problem.penalty, 0) ** 2

    found = problem.replaced(state)
    assert found.objective == pytest.approx(min(state.objective, other))
    assert np.linalg.norm(found.patterns, axis=1).max() <= 1 + 1e-9


def test_an_idle_atom_takes_what_is_left():
    x, d, _ = sown()
    start = np.stack([d[0], np.zeros(64)])
    found = CDL(atom_length=64, penalty=0.1, iterations=40).decompose(x, 2, start=(start, None))
    assert min(likeness(found, d)) > 0.95


# ---- starts --------------------------------------------------------------------------------------


@given(problems(), seeds)
def test_a_result_starts_where_it_ended(problem, seed):
    x, K, method = problem
    found = replace(method, iterations=4).decompose(x, K, rng=seed)
    again = next(method.iterate(x, K, start=found))
    rounding = len(x) * (np.finfo(float).eps * np.abs(x).max()) ** 2  # where nothing is left
    assert again.objective <= found.objective * (1 + 1e-9) + rounding
    pair = next(method.iterate(x, K, start=(found.atoms, found.activations)))
    assert pair.objective == pytest.approx(again.objective, abs=rounding)


def test_what_given_atoms_lose_their_activations_gain():
    x, d, z = sown(T=600)
    state = next(CDL(atom_length=64).iterate(x, 2, start=(np.array([[3.0], [0.5]]) * d, z)))
    np.testing.assert_allclose(state.patterns, d, atol=1e-12)
    np.testing.assert_allclose(state.activations, np.array([[3.0], [0.5]]) * z)
    silent = next(CDL(atom_length=64).iterate(x, 2, start=(0 * d, z)))
    assert not silent.patterns.any()
    assert not silent.activations.any()


@pytest.mark.parametrize("padding", [0, 10])
def test_other_methods_results_start_it(padding):
    x, d, _ = sown(T=2000)
    positions, coarse = np.arange(-6, 1980, 4), np.zeros((2, 497))
    coarse[:, [0, 2, 100, 496]] = [[1.0, 2.0, -3.0, 4.0], [0.0, 1.0, 2.0, 3.0]]
    found = Decomposition("by hand", d, coarse, 4, -6, x)
    for signs in SIGNS:
        method = CDL(atom_length=64, activations=signs, padding=padding)
        state = next(method.iterate(x, 2, start=found))
        np.testing.assert_allclose(state.patterns, d)
        expected = np.zeros_like(state.activations)
        for n, values in zip(positions + padding, coarse.T, strict=True):
            if 0 <= n < expected.shape[1]:
                expected[:, n] = values if signs == "real" else np.maximum(values, 0)
        np.testing.assert_allclose(state.activations, expected)
    heard = Decomposition(
        "nmf", None, np.ones((2, 5)), 1, 0, x, spectra=np.ones((2, 3)), sounds=np.stack([x, -x])
    )
    state = next(CDL(atom_length=64).iterate(x, 2, start=heard))
    assert not state.activations.any()
    np.testing.assert_allclose(state.patterns[0], -state.patterns[1])


@given(problems(), seeds)
def test_from_the_largest_penalty_on_nothing_is_active(problem, seed):
    x, K, method = problem
    largest, T_d = method.lambda_max(x), method.atom_length
    assert largest == sparse_coding.lambda_max(x, T_d)  # whose own test proves the bound
    found = replace(method, share=1.001, iterations=4).decompose(x, K, rng=seed)
    assert not found.activations.any()
    assert CDL(atom_length=T_d).resolved(x).penalty == pytest.approx(0.05 * largest)


# ---- before a run --------------------------------------------------------------------------------


@pytest.mark.parametrize(("T", "K", "T_d"), [(200_000, 4, 2048), (60_000, 2, 12_000)])
def test_memory_is_what_the_estimate_says(T, K, T_d):
    x = normal(0, T) * (np.arange(T) % 5000 < 1000)
    method = CDL(atom_length=T_d, share=0.3, iterations=4)
    needed = method.estimate(T, K).memory_bytes
    replace(method, iterations=1).decompose(x[: T_d + 100], 1)  # loads what is compiled
    tracemalloc.start()
    list(islice(method.iterate(x, K), 5))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.4 * needed < peak < needed


X = normal(0, 40)
ONE = np.ones((1, 8))


@pytest.mark.parametrize(
    ("x", "options", "start", "message"),
    [
        (np.ones(40), {}, None, "x must not be constant, got 1.0"),
        (X[:5], {}, None, "x must be at least as long as an atom, 8 samples, got 5"),
        (X, {"atom_length": 0}, None, "atom_length must be a whole number of at least 1, got 0"),
        (X, {"activations": "loud"}, None, "activations must be one of nonnegative, real"),
        (X, {"solver": "guess"}, None, "solver must be one of greedy, fista, admm, got 'guess'"),
        (X, {"recentre_every": -1}, None, "recentre_every must be a whole number of at least 0"),
        (X, {"padding": 8}, None, "padding must be a whole number from 0 to 7, got 8"),
        (X, {}, (ONE, np.ones((1, 32))), r"start's activations must have shape \(1, 33\)"),
        (X, {"padding": 1}, (ONE, np.ones((1, 33))), r"must have shape \(1, 35\)"),
    ],
)
def test_bad_input_is_named(x, options, start, message):
    with pytest.raises(ValueError, match=message):
        CDL(**{"atom_length": 8} | options).decompose(x, 1, start=start)


def test_as_many_components_as_positions_are_taken():
    with pytest.raises(ValueError, match="n_components must be a whole number from 1 to 35, got"):
        CDL(atom_length=8, padding=1).iterate(X, 36)
    with pytest.raises(ValueError, match="x must be at least as long as an atom, 8 samples, got 7"):
        CDL(atom_length=8).estimate(7, 1)
    negative = next(
        CDL(atom_length=8, activations="real").iterate(X, 1, start=(-ONE, -np.ones((1, 33))))
    )
    assert negative.activations.max() < 0


# ---- the refit -------------------------------------------------------------------------------


def misfit(found):
    return float(np.sum(np.square(found.residual, dtype=float)))


@given(problems(), st.integers(1, 8), dtypes)
def test_a_refit_fits_no_worse_and_keeps_signs_support_atoms_and_history(problem, steps, dtype):
    x, K, method = problem
    plain, refitted = (
        replace(method, iterations=4, refit=each).decompose(x.astype(dtype), K)
        for each in (0, steps)
    )
    assert np.array_equal(plain.atoms, refitted.atoms)
    assert np.array_equal(plain.history["objective"], refitted.history["objective"])
    assert np.isin(np.sign(refitted.activations) * np.sign(plain.activations), (0, 1)).all()
    assert not refitted.activations[plain.activations == 0].any()
    assert refitted.activations.dtype == refitted.residual.dtype == dtype
    whole = refitted.components().sum(axis=0) + refitted.residual
    assert np.allclose(whole, x, atol=1e-4 if dtype == np.float32 else 1e-9)
    if method.padding == 0:
        assert misfit(refitted) <= misfit(plain) * (1 + 1e-5)


def test_a_refit_is_least_squares_where_activations_are():
    d, rng = np.random.default_rng(0).standard_normal((2, 16)), np.random.default_rng(1)
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    z = np.zeros((2, 285))
    z[[0, 1, 0, 1], [20, 27, 150, 220]] = 3.0, 2.0, 4.0, 5.0
    x = synthesize(d, z, 1) + 0.01 * rng.standard_normal(300)
    start = np.where(z > 0, 0.5, 0)
    found = CDL(atom_length=16, penalty=1.0, iterations=0, refit=20).decompose(
        x, 2, start=(d, start)
    )
    k, n = np.nonzero(z)
    shifted = np.array([np.pad(d[j], (m, 284 - m)) for j, m in zip(k, n, strict=True)])
    assert np.allclose(found.activations[k, n], np.linalg.lstsq(shifted.T, x)[0])


def test_a_refit_undoes_the_shrinkage_of_planted_clicks():
    u, rng = np.arange(60), np.random.default_rng(0)
    clicks = [np.exp(-u / 12) * np.sin(w * u) for w in (0.4, 1.3)]
    sources = np.zeros((2, 6000))
    for source, click in zip(sources, clicks, strict=True):
        for at in rng.choice(np.arange(0, 5900, 70), 20, replace=False):
            source[at : at + 60] += rng.uniform(0.5, 1) * click
    x = sources.sum(axis=0) + 0.02 * rng.standard_normal(6000)
    method = CDL(atom_length=80, share=0.2, iterations=30)
    left = [np.linalg.norm(replace(method, refit=n).decompose(x, 2).residual) for n in (0, 3)]
    assert left[1] < 0.7 * left[0]


@pytest.mark.parametrize("held", ["patterns", "activations"])
def test_what_is_held_is_not_refitted(held):
    x, d = normal(0, 200), normal(1, 2, 9)
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    z = np.maximum(normal(2, 2, 192) - 1, 0)
    method = CDL(atom_length=9, share=0.2, iterations=3, refit=3)
    found = method.decompose(x, 2, start=(d, z), held=held)
    same = {"patterns": (found.atoms, d), "activations": (found.activations, z)}
    assert np.array_equal(*same[held])


def test_what_is_applied_stays_within_its_certified_gap_without_a_refit():
    x = normal(0, 400)
    plain = CDL(atom_length=13, share=0.2, iterations=5).decompose(x, 2)
    refitted = CDL(atom_length=13, share=0.2, iterations=5, refit=3).decompose(x, 2)
    assert not np.array_equal(plain.activations, refitted.activations)
    one, other = plain.apply(x[:300]), refitted.apply(x[:300])
    assert np.array_equal(one.activations, other.activations)
    assert other.parameters["refit"] == 0


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_a_refit_needs_no_more_memory_than_the_estimate(share):
    method, x = CDL(atom_length=300, share=share, iterations=2, refit=3), normal(0, 100_000)
    method.decompose(x[:20_000], 2)
    tracemalloc.start()
    method.decompose(x, 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < method.estimate(x.size, 2).memory_bytes
