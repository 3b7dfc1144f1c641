"""Equation (1) and its two adjoints, held to the literal sums."""

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.theory.convolution import (
    Convolution,
    correlate_with_activations,
    correlate_with_atoms,
    operator_in_activations,
    operator_in_atoms,
    synthesize,
)
from tests import reference
from tests.strategies import dot_test, dtypes, lengths, normal, seeds

hops = st.sampled_from([1, 2, 3, 5, 8, 50])
few = st.integers(1, 4)


@given(few, lengths, lengths, hops, seeds)
def test_synthesis_and_both_adjoints_are_the_literal_sums(K, T_d, N, hop, seed):
    d, z = normal(seed, K, T_d), normal(seed + 1, K, N)
    x = synthesize(d, z, hop)
    r = normal(seed + 2, x.size)
    np.testing.assert_allclose(x, reference.convolve(d, z, hop), atol=1e-11)
    np.testing.assert_allclose(
        correlate_with_atoms(d, r, hop), reference.correlate_with_atoms(d, r, hop), atol=1e-11
    )
    np.testing.assert_allclose(
        correlate_with_activations(z, r, hop),
        reference.correlate_with_activations(z, r, hop),
        atol=1e-11,
    )


@given(few, lengths, lengths, hops, seeds)
def test_the_operators_pass_the_dot_test(K, T_d, N, hop, seed):
    dot_test(operator_in_activations(normal(seed, K, T_d), N, hop), seed)
    dot_test(operator_in_atoms(normal(seed, K, N), T_d, hop), seed)


@given(lengths, seeds)
def test_the_norm_of_one_atom_is_reached(T_d, seed):
    d = normal(seed, 1, T_d)
    operator = operator_in_activations(d, 4096)
    spectrum = np.fft.rfft(d[0], 4096)
    loudest = np.argmax(np.abs(spectrum))
    z = np.cos(2 * np.pi * loudest * np.arange(4096) / 4096)[None]
    assert np.linalg.norm(operator(z)) >= 0.9 * operator.norm * np.linalg.norm(z)


@given(few, lengths, lengths, dtypes, dtypes, seeds)
def test_precision_is_kept(K, T_d, N, of_atoms, of_activations, seed):
    d, z = normal(seed, K, T_d, dtype=of_atoms), normal(seed + 1, K, N, dtype=of_activations)
    wanted = np.result_type(of_atoms, of_activations)
    x = synthesize(d, z)
    assert x.dtype == wanted
    assert correlate_with_atoms(d, x).dtype == wanted
    assert correlate_with_activations(z, x).dtype == wanted
    exact = synthesize(d.astype(float), z.astype(float))
    np.testing.assert_allclose(x, exact, atol=1e-5 * np.abs(exact).max())


@pytest.mark.parametrize(
    ("K", "T_d", "N", "hop"),
    [(4, 16, 40_000, 1), (2, 2048, 40_000, 1), (8, 2048, 5_000, 8), (1, 20_000, 30_000, 1)],
)
def test_real_sizes_agree_with_scipy(K, T_d, N, hop):
    d, z = normal(0, K, T_d), normal(1, K, N)
    dense = np.zeros((K, hop * (N - 1) + 1))
    dense[:, ::hop] = z
    by_scipy = sum(scipy.signal.fftconvolve(atom, row) for atom, row in zip(d, dense, strict=True))
    np.testing.assert_allclose(synthesize(d, z, hop), by_scipy, atol=1e-9)
    r = normal(2, by_scipy.size)
    correlations = [scipy.signal.correlate(r, atom, "valid", "fft")[::hop] for atom in d]
    np.testing.assert_allclose(correlate_with_atoms(d, r, hop), correlations, atol=1e-9)
    correlations = [scipy.signal.correlate(r, row, "valid", "fft") for row in dense]
    np.testing.assert_allclose(correlate_with_activations(z, r, hop), correlations, atol=1e-9)


@given(lengths, st.integers(1, 300_000), hops)
def test_the_plan_covers_every_activation_without_wrapping_around(T_d, N, hop):
    plan = Convolution(T_d, N, hop)
    assert plan.fft_length >= plan.block + plan.taps - 1
    assert plan.block * plan.n_blocks >= N > plan.block * (plan.n_blocks - 1)
    assert [g.start for g in plan.groups[1:]] == [g.stop for g in plan.groups[:-1]]
    assert (plan.groups[0].start, plan.groups[-1].stop) == (0, plan.n_blocks)


def test_short_atoms_are_convolved_in_many_blocks_and_long_ones_in_few_or_at_once():
    assert Convolution(16, 345_500).fft_length < 1024
    assert Convolution(2048, 345_500).n_blocks > 10
    assert 1 < Convolution(55_125, 385_874).n_blocks < 5
    assert Convolution(220_500, 385_874).n_blocks == 1
    hour = Convolution(2048, 79_380_000)
    assert hour.fft_length < 2**16


def test_silence_gives_silence():
    assert not synthesize(np.zeros((1, 3)), np.zeros((1, 4))).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: synthesize(np.ones(3), np.ones((1, 3))), "atoms must be two-dimensional"),
        (lambda: synthesize(np.ones((2, 3)), np.ones((1, 3))), "activations must have a row"),
        (lambda: synthesize(np.ones((1, 3)), np.ones((1, 3)), 0), "hop must be a whole number"),
        (lambda: synthesize(np.ones((1, 3)), np.ones((1, 0))), "activations must not be empty"),
        (lambda: synthesize(np.ones((1, 3)), 1j * np.ones((1, 3))), "activations must be real"),
        (lambda: correlate_with_atoms(np.ones((1, 3)), np.ones(2)), "x must be longer"),
        (lambda: correlate_with_atoms(np.ones((1, 3)), np.ones(6), 2), "multiple of the hop 2"),
        (lambda: correlate_with_activations(np.ones((1, 3)), np.ones(2)), "more than hop"),
        (lambda: Convolution(0, 1), "atom_length must be a whole number"),
        (lambda: Convolution(1, 1.5), "n_activations must be a whole number"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
