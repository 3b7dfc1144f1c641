"""Algorithm 1 with delays: see ``cdlnmf_lit/methods/algorithm_1_delays.py``."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit import CDL, Algorithm1, Algorithm1Delays
from cdlnmf_lit.methods.algorithm_1 import STEP_RULES
from cdlnmf_lit.theory.convolution import synthesize
from cdlnmf_lit.theory.equivalence import atom_of_spectrum, spectrum_of_atom
from tests.strategies import normal, seeds

lengths = st.integers(2, 12)


def delayed_spectra(d, delays, frame):
    """``ŵ_k[ν] exp(-2iπ ν p_k[τ] / M)``, ``(K, N, M)``, from the theorem."""
    nu = np.arange(frame.channels) / frame.channels
    turns = np.exp(-2j * np.pi * nu * delays[..., None])
    return np.stack([spectrum_of_atom(atom, frame) for atom in d])[:, None] * turns


def as_blocks(z, a):
    """Values and delays of activations at hop 1."""
    blocks = z.reshape(len(z), -1, a)
    return blocks.max(axis=2), blocks.argmax(axis=2)


def dense_iteration(x, d, z, asked, step=1.0):
    """A gradient step on all coefficients, then the semi-NMF with delays, as one would write it."""
    frame, a, K = asked.frame, asked.hop, len(d)
    values, delays = as_blocks(z, a)
    terms = values[..., None] * delayed_spectra(d, delays, frame)
    alpha = terms.sum(axis=0)
    A = alpha + step * frame.analysis(x - frame.synthesis(alpha, x.size).real)
    for k in range(K):
        if not values[k].any():
            continue
        rest = A - terms.sum(axis=0) + terms[k]
        turns = np.exp(2j * np.pi * np.arange(frame.channels) * delays[k][:, None] / frame.channels)
        w = (values[k][:, None] * turns * rest).sum(axis=0) / np.sum(values[k] ** 2)
        d[k] = atom_of_spectrum(w, frame).real[: asked.atom_length]
        if asked.penalty:
            d[k] /= max(1.0, np.linalg.norm(d[k]))
        terms[k] = values[k][:, None] * delayed_spectra(d[k : k + 1], delays[k : k + 1], frame)[0]
    for k in range(K):
        rest = A - terms.sum(axis=0) + terms[k]
        every = delayed_spectra(np.tile(d[k], (a, 1)), np.arange(a)[:, None], frame)[:, 0]
        agreement = (every.conj() @ rest.T).real
        delays[k] = agreement.argmax(axis=0)
        size = np.sum(np.abs(every[0]) ** 2)
        values[k] = np.maximum(agreement.max(axis=0) - step * asked.penalty, 0)
        values[k] = values[k] / size if size else 0
        terms[k] = values[k][:, None] * every[delays[k]]
    z = np.zeros((K, values.shape[1], a))
    np.put_along_axis(z, delays[..., None], values[..., None], axis=2)
    return d, z.reshape(K, -1)


@given(lengths, st.integers(1, 6), st.integers(1, 3), st.sampled_from([0.0, 0.3]), seeds)
def test_the_iterates_are_those_of_the_dense_algorithm(T_d, a, K, penalty, seed):
    asked = Algorithm1Delays(atom_length=T_d, hop=a, penalty=penalty)
    x = normal(seed, T_d + 17)
    state, *others = islice(asked.iterate(x, K, start="random", rng=seed), 5)
    d, z = state.patterns.copy(), state.activations.copy()
    for other in others:
        d, z = dense_iteration(x, d, z, asked)
        np.testing.assert_allclose(other.patterns, d, atol=1e-9)
        np.testing.assert_allclose(other.activations, z, atol=1e-9)


@given(lengths, st.integers(1, 6), st.sampled_from(list(STEP_RULES)), st.booleans(), seeds)
def test_the_objective_never_rises_by_any_step_rule(T_d, a, rule, recentred, seed):
    asked = Algorithm1Delays(atom_length=T_d, hop=a, step_rule=rule, recentre_every=2 * recentred)
    x = normal(seed, T_d + 30)
    states = list(islice(replace(asked, share=0.1).iterate(x, 2, rng=seed), 12))
    objectives = np.array([state.objective for state in states])
    assert np.all(np.diff(objectives) <= 1e-9 * objectives[0])
    for state in states:
        values = state.activations.reshape(2, -1, a)
        assert np.all(np.count_nonzero(values, axis=2) <= 1)
        sizes = np.linalg.norm(state.patterns, axis=1)
        assert np.all(sizes <= 1 + 1e-12)
        whole = synthesize(state.patterns, state.activations)[-asked.frame.first_sample :]
        np.testing.assert_allclose(state.residual, x - whole[: x.size], atol=1e-10)


@given(lengths, st.integers(1, 6), seeds)
def test_every_such_sum_of_convolutions_has_coefficients_of_this_form(T_d, a, seed):
    """The frame's own synthesis of spectra with delays is the sum of convolutions."""
    asked, n_samples = Algorithm1Delays(atom_length=T_d, hop=a), T_d + 23
    rng, frame = np.random.default_rng(seed), asked.frame
    N = frame.n_frames(n_samples)
    d, values = rng.standard_normal((2, T_d)), rng.random((2, N))
    delays = rng.integers(a, size=(2, N))
    alpha = (values[..., None] * delayed_spectra(d, delays, frame)).sum(axis=0)
    z = np.zeros((2, N, a))
    np.put_along_axis(z, delays[..., None], values[..., None], axis=2)
    whole = synthesize(d, z.reshape(2, -1))[-frame.first_sample :][:n_samples]
    np.testing.assert_allclose(frame.synthesis(alpha, n_samples), whole, atol=1e-12)


def planted(seed=0, hop=16):
    """Two atoms, each a few times, at samples of no grid."""
    rng = np.random.default_rng(seed)
    atoms = np.hanning(60) * rng.standard_normal((2, 60))
    z = np.zeros((2, 941))
    z[0, [40, 333, 711]], z[1, [150, 507, 845]] = [1.0, 0.7, 0.9], [0.8, 1.0, 0.6]
    return synthesize(atoms, z), atoms, z


@pytest.mark.parametrize("seed", range(4))
def test_planted_atoms_fit_with_delays_and_not_without(seed):
    x, atoms, z = planted(seed)
    asked = Algorithm1Delays(atom_length=60, hop=16, step_rule="backtracking", iterations=60)
    rows = np.zeros((2, asked.plan(x.size).n_activations))
    rows[:, -asked.frame.first_sample :][:, : z.shape[1]] = z
    atoms = atoms + 0.1 * normal(seed, 2, 60)
    found = asked.decompose(x, 2, start=(atoms, rows))
    without = Algorithm1(frame=asked.frame, step_rule="backtracking", iterations=60)
    weights = np.pad(atoms, ((0, 0), (0, 15))) / asked.frame.window
    on_grid = rows.reshape(2, -1, 16).max(axis=2)
    stuck = without.decompose(x, 2, start=(weights, on_grid))
    assert found.history["relative_residual"][-1] < 0.01
    assert stuck.history["relative_residual"][-1] > 0.3


def test_at_hop_1_there_is_no_delay_and_the_problem_is_that_of_dictionary_learning():
    x, atoms, _ = planted()
    asked = Algorithm1Delays(atom_length=60, hop=1, penalty=0.05, step_rule="backtracking")
    held = replace(asked, iterations=400).decompose(x, 2, start=(atoms, None), held="patterns")
    coded = CDL(atom_length=60, padding=59, penalty=0.05, iterations=400).decompose(
        x, 2, start=(atoms, None), held="patterns"
    )
    assert held.objective == pytest.approx(coded.objective, rel=1e-3)


def test_a_start_with_two_activations_in_a_block_is_refused():
    asked = Algorithm1Delays(atom_length=10, hop=4)
    shape = asked.shapes(50, 1)["activations"]
    with pytest.raises(ValueError, match=r"at most one in each block of 4 samples .* got 4"):
        asked.iterate(normal(0, 50), 1, start=(np.ones((1, 10)), np.ones(shape)))


def test_of_a_result_the_loudest_activation_of_each_block_is_taken():
    x, _, _ = planted()
    found = CDL(atom_length=60, padding=59, share=0.1, iterations=10).decompose(x, 2)
    start = next(Algorithm1Delays(atom_length=60, hop=16).iterate(x, 2, start=found))
    blocks = start.activations.reshape(2, -1, 16)
    assert np.all(np.count_nonzero(blocks, axis=2) <= 1)
    assert start.activations.max() == pytest.approx(found.activations.max())


def test_recentring_moves_atoms_and_activations_against_each_other():
    d, z = np.zeros((1, 33)), np.zeros((1, 200))
    d[0, 1:4], z[0, [100, 150]] = [1.0, 2.0, 1.0], [1.0, 0.5]
    x = synthesize(d, z)[:200]
    asked = Algorithm1Delays(atom_length=33, hop=8)
    rows = np.zeros(asked.shapes(200, 1)["activations"])
    rows[0, -asked.frame.first_sample :][:200] = z
    state = next(asked.iterate(x, 1, start=(d, rows[:, : rows.shape[1]])))
    moved = state.problem.recentred(state)
    assert np.argmax(moved.patterns) == 16
    np.testing.assert_allclose(moved.residual, state.residual, atol=1e-12)
    assert state.problem.recentred(moved) is None
