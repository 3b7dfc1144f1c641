"""Weights: what is missing is filled by the model, and the weighted objective never rises."""

from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods.bridging import bridged
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.checkpoints import load, save
from cdlnmf_lit.methods.convolutive_nmf import ConvolutiveNMF
from cdlnmf_lit.methods.hits import Hits
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.methods.nmf import DIVERGENCES, NMF, beta_divergence
from cdlnmf_lit.methods.weighted import decompose, factorize, iterate, weighing
from cdlnmf_lit.theory.gabor import hann
from tests.strategies import dtypes, normal, positive, seeds

METHOD = CDL(atom_length=8, share=0.1)
SPECTRA = NMF(frame=hann(16, 8), iterations=8)
PATTERNS = ConvolutiveNMF(frame=hann(16, 8), pattern_length=2, iterations=4)
RUNS = {
    "cdl": CDL(atom_length=8, share=0.1, padding=4, iterations=6),
    "cdl, refitted": CDL(atom_length=8, share=0.1, iterations=6, refit=3),
    "best of two": CDL(atom_length=8, share=0.1, starts=2, halve_every=2, iterations=6),
    "nmf, then cdl": SPECTRA >> METHOD,
    "patterns": SPECTRA >> PATTERNS,
    "hits": Hits(atom_length=20, iterations=3),
} | {name: NMF(frame=hann(16, 8), divergence=name, iterations=8) for name in DIVERGENCES}


def weights_of(seed, *shape):
    """A third of them 0, a third 1."""
    return np.clip(3 * np.random.default_rng(seed).random(shape) - 1, 0, 1)


@given(seeds, dtypes)
def test_a_signals_weighted_objective_never_rises(seed, dtype):
    x, w = normal(seed, 60, dtype=dtype), weights_of(seed + 1, 60)
    states = list(islice(iterate(METHOD, x, 2, w), 6))
    values = [state.objective for state in states]
    assert all(after <= before for before, after in pairwise(values))
    last = states[-1]
    r = np.where(w > 0, x, 0) - sum(map(np.convolve, last.patterns, last.activations))
    literal = 0.5 * np.sum(w * r**2) + last.problem.penalty * last.activations.sum()
    assert last.objective == pytest.approx(literal, rel=1e-4 if dtype == np.float32 else 1e-9)
    assert last.patterns.dtype == dtype


@given(seeds, st.sampled_from(list(DIVERGENCES)))
def test_a_matrix_weighted_objective_never_rises(seed, divergence):
    method, V, w = NMF(divergence=divergence), positive(seed, 9, 7) + 1e-3, weights_of(seed, 9, 7)
    states = list(islice(factorize(method, V, 2, w), 8))
    values = [state.objective for state in states]
    assert all(after <= before * (1 + 1e-12) for before, after in pairwise(values))
    model = states[-1].activations.T @ states[-1].patterns
    literal = np.sum(w * beta_divergence(V, model, method.beta))
    assert values[-1] == pytest.approx(literal, rel=1e-6)


def test_weights_of_one_change_no_bit():
    x, V = normal(0, 80), positive(1, 9, 7) + 1e-3
    pairs = [(iterate(METHOD, x, 2, np.ones(80)), METHOD.iterate(x, 2))]
    for divergence in DIVERGENCES:
        method = NMF(divergence=divergence)
        pairs.append((factorize(method, V, 2, np.ones((9, 7))), method.factorize(V, 2)))
    for weighted, plain in pairs:
        for one, other in islice(zip(weighted, plain, strict=False), 6):
            np.testing.assert_array_equal(one.patterns, other.patterns)
            np.testing.assert_array_equal(one.activations, other.activations)
            assert one.objective == other.objective


def test_what_has_no_weight_does_not_matter():
    x, w = normal(0, 80), np.ones(80)
    w[30:35] = 0
    V, u = positive(1, 9, 7) + 1e-3, weights_of(2, 9, 7)
    for run, data, weights in (
        (lambda x: iterate(METHOD, x, 2, w), x, w),
        (lambda V: factorize(NMF(), V, 2, u), V, u),
    ):
        other = np.where(weights > 0, data, 100.0)
        for one, two in islice(zip(run(data), run(other), strict=False), 5):
            np.testing.assert_array_equal(one.patterns, two.patterns)
            np.testing.assert_array_equal(one.activations, two.activations)


def test_weights_that_do_not_fit_are_named():
    x = normal(0, 80)
    for w, words in [
        (np.ones(79), r"weights must have shape \(80,\), got \(79,\)"),
        (-np.ones(80), "weights must be from 0 to 1, got -1"),
        (np.zeros(80), "weights must not be 0 everywhere"),
    ]:
        with pytest.raises(ValueError, match=words):
            iterate(METHOD, x, 2, w)


@given(seeds)
def test_a_weighted_refit_fits_no_worse(seed):
    x, w = normal(seed, 60), weights_of(seed + 1, 60)
    *_, last = islice(iterate(METHOD, x, 2, w), 6)
    problem = replace(last.problem, method=replace(METHOD, refit=3))
    r, refitted = last.residual, problem.refitted(last).residual
    assert np.sum(w * refitted**2) <= np.sum(w * r**2) * (1 + 1e-12)


# ---- whole runs ----------------------------------------------------------------------------------

HOLES = np.ones(160)
HOLES[40:50] = HOLES[100:103] = 0


@pytest.mark.parametrize("method", RUNS.values(), ids=RUNS)
def test_a_run_with_weights_of_one_is_the_plain_run_to_the_bit(method):
    x = normal(3, 160)
    found, plain = decompose(method, x, 2, np.ones(160), rng=1), method.decompose(x, 2, rng=1)
    for one, other in (
        (found.activations, plain.activations),
        (found.components(), plain.components()),
        (found.residual, plain.residual),
        (found.history["objective"], plain.history["objective"]),
    ):
        np.testing.assert_array_equal(one, other)
    assert found.parameters == plain.parameters
    assert Method.from_parameters(found.parameters) == Method.from_parameters(plain.parameters)


@pytest.mark.parametrize("method", RUNS.values(), ids=RUNS)
def test_a_run_does_not_look_into_holes(method):
    x = normal(3, 160)
    found, other = (decompose(method, np.where(HOLES, x, y), 2, HOLES) for y in (np.nan, 100.0))
    np.testing.assert_array_equal(found.components(), other.components())
    np.testing.assert_array_equal(found.residual, other.residual)


@given(seeds, st.sampled_from([name for name in RUNS if name not in ("patterns", "hits")]))
def test_no_run_raises_its_objective_and_all_sum_to_the_sound_that_is_filled(seed, name):
    x, w = normal(seed, 160), weights_of(seed + 1, 160)
    found = decompose(RUNS[name], x, 2, w)
    values = found.history["objective"]
    assert np.all(np.diff(values) <= 1e-12 * values[0])
    whole = found.components().sum(axis=0) + found.residual
    np.testing.assert_allclose(whole[w > 0], x[w > 0], atol=1e-9)
    left = np.where(w > 0, found.residual, np.nan)
    np.testing.assert_allclose(found.residual, bridged(left, w == 0), atol=1e-9)


def test_what_repeats_is_filled_and_so_is_what_goes_on_beside_it():
    """Clicks of noise, one of them with a third of it in a hole, over a hum."""
    click = np.hanning(30) * normal(1, 30)
    x, hum, w = np.zeros(1200), 0.2 * np.sin(0.05 * np.arange(1200)), np.ones(1200)
    for n in (50, 230, 470, 640, 900):
        x[n : n + 30] += click
    w[650:660] = 0
    method = CDL(atom_length=40, share=0.05, iterations=60)
    found = decompose(method, np.where(w, x + hum, np.nan), 1, w)
    hole = w == 0
    rest = found.components()[0] + found.residual - x - hum
    by_prediction = bridged(x + hum, hole) - x - hum
    assert np.linalg.norm(rest[hole]) < 0.25 * np.linalg.norm((x + hum)[hole])
    assert np.linalg.norm(rest[hole]) < 0.4 * np.linalg.norm(by_prediction[hole])


def test_an_entry_that_is_held_out_is_not_looked_at():
    x = normal(4, 160)
    w = weights_of(5, *SPECTRA.shape(160))
    found = decompose(SPECTRA, x, 2, w)
    V = SPECTRA.spectrogram(x)
    plain = factorize(SPECTRA, np.where(w > 0, V, 7.0), 2, w)
    last = next(islice(plain, SPECTRA.iterations, None))
    np.testing.assert_allclose(found.spectra, last.patterns, rtol=1e-12)
    np.testing.assert_allclose(found.components().sum(axis=0), x, atol=1e-12)


def test_a_frame_counts_as_much_as_is_known_of_it():
    w = np.ones(160)
    w[72:88] = 0  # the whole window of one frame
    V = np.ones(SPECTRA.shape(160))
    (weights,) = {tuple(row) for row in weighing(SPECTRA, w).problem_of(V).weights.T}
    power = np.square(SPECTRA.frame.window)
    half = power[:8].sum() / power.sum()
    (least,) = np.flatnonzero(np.isclose(weights, 0.1))
    np.testing.assert_allclose(weights[least - 2 : least + 3], [1, half, 0.1, 1 - half, 1])


def test_weights_that_a_method_cannot_have_are_refused():
    x, half = normal(3, 160), np.full(160, 0.5)
    fast = NMF(frame=hann(16, 8), acceleration="extrapolation")
    for method, w, words in [
        (RUNS["hits"], half, "weights must be 0 or 1 for hits: cdl and nmf take others"),
        (fast, half, "acceleration must be none with weights, got 'extrapolation'"),
        (METHOD, np.ones((3, 4)), r"weights must be \(T,\) for all but an NMF alone, got \(3, 4\)"),
        (SPECTRA, np.ones((3, 4)), r"weights must have shape \(\d+, 9\), got \(3, 4\)"),
    ]:
        with pytest.raises(ValueError, match=words):
            decompose(method, x, 2, w)


@pytest.mark.parametrize("name", ["best of two", "nmf, then cdl"])
def test_a_run_that_is_killed_goes_on_to_the_same_bytes(name, tmp_path):
    x, method, path = normal(3, 160), RUNS[name], tmp_path / "reached.npz"
    whole, kept = decompose(method, x, 2, HOLES, rng=1), {}

    def killed(stage, states):
        for state in states:
            yield state
            if stage.name == "cdl" and state.iteration == 3:
                save(path, kept, {})
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decompose(method, x, 2, HOLES, rng=1, watch=killed, kept=kept)
    again = decompose(method, x, 2, HOLES, rng=1, kept=load(path, {}))
    np.testing.assert_array_equal(again.activations, whole.activations)
    np.testing.assert_array_equal(again.residual, whole.residual)
