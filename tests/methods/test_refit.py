"""Refit: gains, places and waveforms by least squares, as dense matrices say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods.refit import RIDGE, changed_atoms, changed_taps, nudged, pooled, support
from cdlnmf_lit.methods.sparse_coding import Dictionary
from tests.strategies import normal, seeds


def shifted(atoms, components, positions, size):
    """A column a tap: its atom at its place."""
    columns = np.zeros((size, positions.size))
    for u, (k, n) in enumerate(zip(components, positions, strict=True)):
        columns[n : n + atoms.shape[1], u] = atoms[k]
    return columns


@given(seeds, st.integers(1, 3), st.integers(2, 9), st.integers(1, 30))
def test_taps_are_those_of_the_dense_problem(seed, K, T_d, n_taps):
    random = np.random.default_rng(seed)
    atoms, N = random.standard_normal((K, T_d)), 60
    allowed = np.zeros((N, K), bool)
    allowed.ravel()[random.choice(N * K, n_taps, replace=False)] = True
    positions, components = np.nonzero(allowed)
    r = random.standard_normal(N + T_d - 1)
    D = shifted(atoms, components, positions, r.size)
    ridge = RIDGE * np.max(np.sum(atoms**2, axis=1))
    wanted = np.linalg.solve(D.T @ D + ridge * np.eye(n_taps), D.T @ r)
    gram = Dictionary(atoms, N).gram
    np.testing.assert_allclose(
        changed_taps(gram, D.T @ r, components, positions), wanted, atol=1e-6 * np.abs(wanted).max()
    )


@given(seeds)
def test_atoms_are_those_of_the_dense_problem(seed):
    random = np.random.default_rng(seed)
    z, T_d = np.zeros((2, 80)), 6
    z[0, [3, 40, 61]], z[1, [10, 42, 70]] = random.uniform(0.5, 1, (2, 3))
    r = random.standard_normal(85)
    columns = [np.convolve(row, np.eye(T_d)[s]) for row in z for s in range(T_d)]
    wanted, *_ = np.linalg.lstsq(np.stack(columns, axis=1), r, rcond=None)
    found = changed_atoms(r, z, T_d, steps=100)
    np.testing.assert_allclose(found.ravel(), wanted, atol=1e-6)


@given(seeds, st.integers(0, 15))
def test_any_number_of_steps_on_the_atoms_lowers_the_residual(seed, steps):
    r, z = normal(seed, 100), np.zeros((1, 91))
    z[0, [4, 30, 33]] = 1.0, 0.5, 0.7
    change = changed_atoms(r, z, 10, steps)
    left = r - np.convolve(z[0], change[0])
    assert np.sum(left**2) <= np.sum(r**2) * (1 + 1e-12)


def test_a_hit_has_its_taps_around_it_and_keeps_them():
    z = np.zeros((2, 40))
    z[0, 20], z[1, 5:12] = 1.0, 0.3
    components, positions = support(z, 7)
    np.testing.assert_array_equal(positions[components == 0], np.arange(17, 24))
    np.testing.assert_array_equal(positions[components == 1], np.arange(5, 12))
    again = np.zeros_like(z)
    again[components, positions] = 1
    for one, other in zip(support(again, 7), (components, positions), strict=True):
        np.testing.assert_array_equal(one, other)
    assert support(z, 1)[1].size == 8


def test_taps_beyond_the_ends_are_not_there():
    z = np.zeros((1, 10))
    z[0, [0, 9]] = 1.0
    np.testing.assert_array_equal(support(z, 5)[1], [0, 1, 2, 7, 8, 9])


@given(seeds)
def test_pooling_keeps_one_within_reach_and_what_stands_together(seed):
    random = np.random.default_rng(seed)
    z = np.where(random.uniform(size=(2, 200)) < 0.1, random.uniform(1, 2, (2, 200)), 0)
    found = pooled(z, 5, least=0.0)
    for row, one in zip(z, found, strict=True):
        at = np.flatnonzero(one)
        assert np.all(np.diff(at) > 5)
        for n in at:
            assert one[n] >= row[max(0, n - 5) : n + 6].sum() - 1e-9
        for n in np.flatnonzero(row):
            assert np.abs(at - n).min() <= 5


def test_a_hit_is_nudged_to_where_its_atom_fits():
    atoms = normal(0, 1, 12)
    x = np.zeros(71)
    x[33:45] = 2 * atoms[0]
    z = np.zeros((1, 60))
    z[0, 30] = 2.0
    dictionary = Dictionary(atoms, 60)
    c = dictionary.correlation(x - dictionary.synthesis(z))
    assert np.flatnonzero(nudged(c, dictionary.gram, z, 4)[0]) == [33]
    assert np.flatnonzero(nudged(c, dictionary.gram, z, 2)[0]) != [33]
