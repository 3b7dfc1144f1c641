"""Dictionary learning never rises, fits atoms as the dense problem does, finds what was sown."""

import tracemalloc
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods import algorithm_1, cdl, resources, sparse_coding
from cdlnmf_lit.methods.cdl import Fitting, atoms_gap, decompose, estimate, iterate
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.sparse_coding import SIGNS, Coding, lambda_max
from cdlnmf_lit.theory import blocks
from cdlnmf_lit.theory.convolution import synthesize
from cdlnmf_lit.theory.gabor import GaborFrame
from tests import reference
from tests.strategies import dtypes, normal, seeds

SOLVERS = list(sparse_coding.SOLVERS)
STARTS = list(cdl.STARTS)
solvers, signs = st.sampled_from(SOLVERS), st.sampled_from(list(SIGNS))


@st.composite
def problems(draw, *, longest=60):
    """A noisy signal, K, and the options."""
    T_d = draw(st.sampled_from([1, 2, 3, 5, 8, 13]))
    T = max(3, T_d + draw(st.integers(0, longest)))
    K = draw(st.integers(1, min(3, T - T_d + 1)))
    x = normal(draw(seeds), T)
    share = draw(st.sampled_from([0.0, 0.02, 0.2, 0.7]))
    options = {
        "atom_length": T_d,
        "penalty": share * lambda_max(x, T_d),
        "activations": draw(signs),
        "recentre_every": draw(st.sampled_from([0, 1, 3])),
        "padding": draw(st.integers(0, T_d - 1)),
    }
    return x, K, options


@st.composite
def fittings(draw):
    """A signal, activations of any density, and atoms in the ball."""
    K, T_d, N = draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(seeds))
    z = rng.standard_normal((K, N)) * (rng.random((K, N)) < draw(st.sampled_from([0.1, 1.0])))
    d = rng.standard_normal((K, T_d))
    d /= np.maximum(np.linalg.norm(d, axis=1, keepdims=True), 1)
    return Fitting(rng.standard_normal(N + T_d - 1), z, T_d), d


def dense(fitting):
    """``C`` with ``C d = Σ d_k ∗ z_k``, one column a sample of an atom."""
    shape = len(fitting.activations), fitting.atom_length
    unit = np.eye(shape[0] * shape[1]).reshape(-1, *shape)
    return np.array([reference.convolve(d, fitting.activations) for d in unit]).T


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
@given(case=fittings())
def test_the_atoms_problem_is_the_dense_one(pairs, sums, case):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cdl, "PAIRS", pairs)
        patch.setattr(cdl, "few", lambda z, T_d: sums == "few")
        fitting, d = case
        C, x = dense(fitting), fitting.x
        r = x - C @ d.ravel()
        gradient = fitting.gradient(d)
        np.testing.assert_allclose(gradient.ravel(), -C.T @ r, atol=1e-9)
        change = 0.5 * r @ r - 0.5 * x @ x
        assert fitting.objective(d, gradient) == pytest.approx(change, abs=1e-9)
        assert fitting.curvature >= np.linalg.norm(C, 2) ** 2 * (1 - 1e-9)


@given(fittings())
def test_the_atoms_gap_bounds_what_is_left(case):
    fitting, d = case
    best = list(islice(cdl.projected_gradient(fitting, d), 500))[-1]
    for found, gradient in [(d, fitting.gradient(d)), best]:
        left = fitting.objective(found, gradient) - fitting.objective(*best)
        assert atoms_gap(found, gradient) >= left - 1e-9


@given(fittings())
def test_both_solvers_fit_the_same_atoms(case):
    fitting, d = case
    one, other = (
        list(islice(solve(fitting, d), 1000))[-1]
        for solve in (cdl.projected_gradient, cdl.admm_atoms)
    )
    scale = 1 + fitting.x @ fitting.x
    assert atoms_gap(*one) <= 1e-4 * scale
    assert fitting.objective(*other) == pytest.approx(fitting.objective(*one), abs=1e-3 * scale)
    for found, _ in (one, other):
        assert np.linalg.norm(found, axis=1).max() <= 1 + 1e-9


# ---- the iterations ------------------------------------------------------------------------------


@given(problems(), st.sampled_from(STARTS), solvers, dtypes, seeds)
def test_the_objective_does_not_rise(problem, start, solver, dtype, seed):
    x, K, options = problem
    states = iterate(x.astype(dtype), K, **options, start=start, solver=solver, rng=seed)
    for before, after in pairwise(islice(states, 12)):
        assert after.iteration == before.iteration + 1
        assert after.objective <= before.objective * (1 + 1e-12)
        assert np.linalg.norm(after.atoms, axis=1).max() <= 1 + 10 * np.finfo(dtype).eps
        assert options["activations"] == "real" or after.activations.min() >= 0
        for part in (after.atoms, after.activations, after.coding.residual):
            assert part.dtype == dtype
            assert np.isfinite(part).all()
        assert all(np.isfinite(value) for value in after.record.values())


@given(problems(), solvers, seeds)
def test_what_a_state_says_of_itself_is_so(problem, solver, seed):
    x, K, options = problem
    state = list(islice(iterate(x, K, **options, solver=solver, rng=seed), 5))[-1]
    found, padded = state.decomposition(), np.pad(x, options["padding"])
    r = padded - reference.convolve(state.atoms, state.activations)
    objective = 0.5 * r @ r + options["penalty"] * np.abs(state.activations).sum()
    assert state.objective == pytest.approx(objective)
    np.testing.assert_allclose(found.components().sum(axis=0) + found.residual, x, atol=1e-9)
    gradient = -reference.correlate_with_activations(state.activations, r)
    assert state.dictionary_gap * objective == pytest.approx(
        atoms_gap(state.atoms, gradient), abs=1e-9
    )
    assert state.coding_gap == state.coding.gap


@given(problems(), st.sampled_from(STARTS), solvers, seeds)
def test_the_same_seed_gives_the_same_result(problem, start, solver, seed):
    x, K, options = problem
    one, two = (
        decompose(x, K, **options, start=start, solver=solver, iterations=3, rng=seed)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.atoms, two.atoms)
    np.testing.assert_array_equal(one.activations, two.activations)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("activations", SIGNS)
@pytest.mark.parametrize("gain", [1e-3, 50.0])
def test_louder_signals_have_the_same_atoms(solver, activations, gain):
    x = sown(T=1500)[0]
    quiet, loud = (
        decompose(
            g * x,
            2,
            atom_length=64,
            penalty=0.3 * g,
            activations=activations,
            solver=solver,
            iterations=5,
            rng=0,
        )
        for g in (1.0, gain)
    )
    np.testing.assert_allclose(loud.atoms, quiet.atoms, atol=1e-6)
    np.testing.assert_allclose(loud.activations, gain * quiet.activations, atol=1e-6 * gain)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_order_of_the_atoms_does_not_matter(solver):
    x, d, _ = sown(T=1500)
    start = d + 0.05 * normal(3, 2, 64)
    one, other = (
        decompose(x, 2, atom_length=64, penalty=0.3, start=s, solver=solver, iterations=8)
        for s in (start, start[::-1])
    )
    np.testing.assert_allclose(other.history["objective"], one.history["objective"], rtol=1e-3)
    np.testing.assert_allclose(other.atoms[::-1], one.atoms, atol=2e-2)


def test_real_activations_change_sign_with_the_signal():
    x, d, _ = sown(T=1500)
    options = {"atom_length": 64, "penalty": 0.3, "activations": "real", "start": d}
    one, other = (decompose(g * x, 2, **options, iterations=5) for g in (1.0, -1.0))
    np.testing.assert_allclose(other.atoms, one.atoms, atol=1e-8)
    np.testing.assert_allclose(other.activations, -one.activations, atol=1e-8)


@pytest.mark.parametrize("solver", SOLVERS)
def test_what_was_sown_is_found_from_near(solver):
    x, d, z = sown()
    near = d + 0.3 * normal(1, *d.shape) / 8
    found = decompose(x, 2, atom_length=64, penalty=0.05, start=near, solver=solver, iterations=60)
    for k in range(2):
        assert found.atoms[k] @ d[k] > 0.998
        np.testing.assert_allclose(found.activations[k], z[k], atol=0.15)
    assert found.history["coding_gap"][-1] < 0.05
    assert found.history["dictionary_gap"][-1] < 0.01


def test_segments_lead_to_what_was_sown():
    x, d, _ = sown()
    found = [
        decompose(x, 2, atom_length=64, penalty=0.1, activations="real", iterations=60, rng=seed)
        for seed in range(5)
    ]
    assert all(min(likeness(each, d)) > 0.95 for each in found)


def test_a_perfect_fit_stays():
    x, d, z = sown(T=600)
    x = synthesize(d, z)
    for solver in SOLVERS:
        found = decompose(
            x, 2, atom_length=64, penalty=0.0, start=(d, z), solver=solver, iterations=3
        )
        assert found.history["objective"].max() < 1e-18
        np.testing.assert_allclose(found.atoms, d, atol=1e-9)
        np.testing.assert_allclose(found.activations, z, atol=1e-9)


def test_both_gaps_close():
    x, d, _ = sown(T=1500)
    found = decompose(x, 2, atom_length=64, penalty=0.3, iterations=150, rng=0)
    assert found.history["coding_gap"][-1] < 1e-4
    assert found.history["dictionary_gap"][-1] < 1e-6


def test_nothing_rises_where_nothing_is_left_but_rounding():
    x = sown(T=1500)[0].astype(np.float32)
    found = decompose(x, 2, atom_length=64, penalty=0.3, iterations=150, rng=0)
    assert np.all(np.diff(found.history["objective"]) <= 0)
    assert found.history["coding_gap"][-1] < 1e-3


@pytest.mark.parametrize("activations", SIGNS)
def test_the_number_of_threads_does_not_matter(activations, monkeypatch):
    x, found = normal(0, 30_000), []
    for n in (1, 2, 5):
        monkeypatch.setattr(blocks, "n_threads", lambda n=n: n)
        found.append(decompose(x, 2, atom_length=100, activations=activations, iterations=3, rng=0))
    for other in found[1:]:
        np.testing.assert_array_equal(other.atoms, found[0].atoms)
        np.testing.assert_array_equal(other.activations, found[0].activations)


# ---- moves ---------------------------------------------------------------------------------------


@given(st.integers(1, 3), st.integers(-20, 20), seeds)
def test_recentring_moves_and_changes_nothing_else(K, shift, seed):
    rng = np.random.default_rng(seed)
    d = np.zeros((K, 80))
    d[:, 30 + shift : 50 + shift] = np.hanning(20) * (0.5 + rng.random((K, 20)))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    z = np.zeros((K, 300))
    z[:, 50:250] = rng.random((K, 200))
    state = sparse_coding.State(0, Coding(normal(seed, 379), d, 0.1, signed=False), z)
    moved = cdl.recentred(state)
    if moved is None:
        assert abs(shift) <= 80 // cdl.NEAR + 4
        return
    assert moved.objective == pytest.approx(state.objective)
    centres = np.sum(moved.coding.atoms**2 * np.arange(80), axis=1)
    assert np.all(np.abs(centres - 39.5) <= 80 // cdl.NEAR + 0.5)
    assert cdl.recentred(moved) is None


def test_recentring_frees_what_is_cut_off():
    x, d, z = sown(T=6000)
    off = np.stack([np.roll(atom, 24) for atom in d])
    off[:, :24] = 0
    ends = [
        decompose(
            x, 2, atom_length=64, penalty=0.1, start=off, recentre_every=every, iterations=40
        ).history["objective"][-1]
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
    options = {"atom_length": 256, "penalty": 0.05, "start": d, "iterations": 12}
    stays, moves = (decompose(x, 1, recentre_every=every, **options) for every in (0, 1))
    assert moves.history["objective"][-1] <= stays.history["objective"][-1] * (1 + 1e-6)
    assert moves.atoms[0] @ d[0] > 0.99


@given(problems(), st.sampled_from([0.05, 0.5]), seeds)
def test_an_atom_is_replaced_where_that_lowers_the_objective(problem, density, seed):
    x, K, options = problem
    rng = np.random.default_rng(seed)
    start = next(iterate(x, K, **options, rng=seed)).coding
    z = rng.random(start.activations.shape) * (rng.random(start.activations.shape) < density)
    state = replace(start, activations=z)

    coding, T_d = start.coding, options["atom_length"]
    weakest = int(np.argmin(np.sum(z**2, axis=1)))
    without = z.copy()
    without[weakest] = 0
    left = coding.x - reference.convolve(coding.atoms, without)
    sizes = [np.linalg.norm(left[n : n + T_d]) for n in range(z.shape[1])]
    dropped = 0.5 * left @ left + coding.penalty * without.sum()
    other = dropped - 0.5 * max(max(sizes) - coding.penalty, 0) ** 2

    found = cdl.replaced(state)
    assert found.objective == pytest.approx(min(state.objective, other))
    assert np.linalg.norm(found.coding.atoms, axis=1).max() <= 1 + 1e-9


def test_an_idle_atom_takes_what_is_left():
    x, d, _ = sown()
    start = np.stack([d[0], np.zeros(64)])
    found = decompose(x, 2, atom_length=64, penalty=0.1, start=start, iterations=40)
    assert min(likeness(found, d)) > 0.95


# ---- starts --------------------------------------------------------------------------------------


@given(problems(), seeds)
def test_a_result_starts_where_it_ended(problem, seed):
    x, K, options = problem
    found = decompose(x, K, **options, iterations=4, rng=seed)
    again = next(iterate(x, K, **options, start=found))
    assert again.objective <= found.history["objective"][-1] * (1 + 1e-9)
    pair = next(iterate(x, K, **options, start=(found.atoms, found.activations)))
    assert pair.objective == pytest.approx(again.objective)


def test_what_given_atoms_lose_their_activations_gain():
    x, d, z = sown(T=600)
    state = next(iterate(x, 2, atom_length=64, start=(np.array([[3.0], [0.5]]) * d, z)))
    np.testing.assert_allclose(state.atoms, d, atol=1e-12)
    np.testing.assert_allclose(state.activations, np.array([[3.0], [0.5]]) * z)


def test_other_methods_results_start_it():
    x, d, _ = sown(T=2000)
    frame = GaborFrame("hann", 4, 64).tight()
    found = algorithm_1.decompose(x, 2, frame, penalty=0.1, start="segments", iterations=20, rng=0)
    state = next(iterate(x, 2, atom_length=64, penalty=0.1, start=found))
    np.testing.assert_allclose(np.linalg.norm(state.atoms, axis=1), 1)
    inside = found.first_sample + 4 * np.arange(found.activations.shape[1]) >= 0
    assert np.count_nonzero(state.activations) <= np.count_nonzero(found.activations[:, inside])
    assert state.coding.relative_residual < 1.05 * found.history["relative_residual"][-1]
    heard = Decomposition(
        "nmf", None, np.ones((2, 5)), 1, 0, x, spectra=np.ones((2, 3)), sounds=np.stack([x, -x])
    )
    state = next(iterate(x, 2, atom_length=64, start=heard))
    assert not state.activations.any()
    np.testing.assert_allclose(state.atoms[0], -state.atoms[1])


def test_the_default_penalty_is_told_in_the_papers_units():
    x = sown()[0]
    found = decompose(x, 2, atom_length=64, iterations=1, rng=0)
    assert found.parameters["penalty"] == pytest.approx(cdl.SHARE * lambda_max(x, 64))
    assert found.parameters["start"] == "segments"
    assert found.parameters["solver"] == "greedy"
    assert set(found.history) == {
        "objective",
        "relative_residual",
        "coding_gap",
        "dictionary_gap",
    }


def test_a_result_is_kept_by_a_file(tmp_path):
    found = decompose(sown()[0], 2, atom_length=64, iterations=2, rng=0)
    found.save(tmp_path / "found.npz")
    again = Decomposition.load(tmp_path / "found.npz")
    np.testing.assert_array_equal(again.components(), found.components())
    assert again.parameters == found.parameters


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("activations", SIGNS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_digital_silence_does_no_harm(solver, activations, dtype):
    x = sown(T=1200)[0].astype(dtype)
    x[300:700], x[-100:] = 0, 0
    found = decompose(
        x, 3, atom_length=64, activations=activations, solver=solver, iterations=5, rng=0
    )
    for part in (found.atoms, found.activations, found.residual, *found.history.values()):
        assert np.isfinite(part).all()
    assert found.atoms.dtype == found.activations.dtype == found.residual.dtype == dtype
    assert not found.activations[:, 301:636].any()


def test_nothing_is_worth_a_penalty_that_large():
    x = sown(T=600)[0]
    found = decompose(x, 2, atom_length=64, penalty=1.01 * lambda_max(x, 64), iterations=4, rng=0)
    assert not found.activations.any()
    np.testing.assert_array_equal(found.residual, x)


# ---- before a run --------------------------------------------------------------------------------


@pytest.mark.parametrize(("T", "K", "T_d"), [(200_000, 4, 2048), (60_000, 2, 12_000)])
def test_memory_is_what_the_estimate_says(T, K, T_d):
    x = normal(0, T) * (np.arange(T) % 5000 < 1000)
    needed = estimate(T, K, atom_length=T_d).memory_bytes
    decompose(x[: T_d + 100], 1, atom_length=T_d, iterations=1)  # loads what is compiled
    tracemalloc.start()
    list(islice(iterate(x, K, atom_length=T_d, penalty=0.3 * lambda_max(x, T_d), rng=0), 5))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.4 * needed < peak < needed


def test_what_cannot_fit_says_so_before_it_starts(monkeypatch):
    monkeypatch.setattr(resources, "available_memory", lambda: 1e5)
    with pytest.raises(MemoryError, match="learning 2 atoms of 64 samples from 5000 samples needs"):
        iterate(normal(0, 5000), 2, atom_length=64)


X = normal(0, 40)
SMALL = {"atom_length": 8}


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([], 1), {}, "x must not be empty"),
        ((np.ones(40), 1), {}, "x must not be constant, got 1.0"),
        ((np.zeros(40), 1), {}, "x must not be constant, got 0.0"),
        ((np.where(X == X.max(), np.nan, X), 1), {}, "x must be finite, got nan"),
        ((np.full(40, np.inf), 1), {}, "x must be finite, got inf"),
        ((np.arange(40), 1), {}, "x must hold floating-point numbers"),
        ((np.ones((40, 2)), 1), {}, "x must be one-dimensional.*average the channels"),
        ((X + 1j, 1), {}, "x must be real"),
        ((X[:5], 1), {}, "x must be at least as long as an atom, 8 samples, got 5"),
        ((X, 0), {}, "n_components must be a whole number from 1 to 33, got 0"),
        ((X, 34), {}, "n_components must be a whole number from 1 to 33, got 34"),
        ((X, 1.5), {}, "n_components must be a whole number"),
        ((X, 1), {"atom_length": 0}, "atom_length must be a whole number of at least 1, got 0"),
        ((X, 1), {"atom_length": 41}, "x must be at least as long as an atom, 41 samples, got 40"),
        ((X, 1), {"penalty": -1.0}, "penalty must be .* at least 0, got -1.0"),
        ((X, 1), {"penalty": np.nan}, "penalty must be a finite number"),
        ((X, 1), {"activations": "loud"}, "activations must be one of nonnegative, real"),
        ((X, 1), {"solver": "guess"}, "solver must be one of greedy, fista, admm, got 'guess'"),
        ((X, 1), {"recentre_every": -1}, "recentre_every must be a whole number of at least 0"),
        ((X, 1), {"padding": 8}, "padding must be a whole number from 0 to 7, got 8"),
        ((X, 1), {"start": "tape"}, "start must be one of segments, random, got 'tape'"),
        ((X, 1), {"start": np.ones((1, 7))}, r"start's atoms must have shape \(1, 8\)"),
        ((X, 1), {"start": np.full((1, 8), np.nan)}, "start's atoms must be finite"),
        ((X, 1), {"start": (np.ones((1, 8)),)}, "start must be a pair"),
        ((X, 1), {"start": (np.ones((1, 8)), np.ones((1, 32)))}, r"must have shape \(1, 33\)"),
        ((X, 1), {"start": (np.ones((1, 8)), -np.ones((1, 33)))}, "must not be negative, got -1"),
        ((X, 2), {"start": decompose(X, 1, **SMALL, iterations=0, rng=0)}, "must have 2 comp"),
        ((X, 1), {"iterations": -1}, "iterations must be a whole number"),
        ((X, 1), {"tolerance": -1.0}, "tolerance must be a finite number"),
    ],
)
def test_bad_input_is_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        decompose(*arguments, **{**SMALL, **options})
