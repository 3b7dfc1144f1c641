"""Corollary 1: both sides of (15), at what corresponds, as they hold and as they are printed."""

import tracemalloc

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.theory.corollary_1 import (
    cdl_objective,
    factorized_objective,
    free_phase_objective,
)
from cdlnmf_lit.theory.equivalence import atom_of_spectrum, factors_of_model
from cdlnmf_lit.theory.gabor import GaborFrame
from tests import reference
from tests.theory.random_models import complex_normal, convolution, models


def phi_of(alpha, frame, n_samples):
    """Φ(α), equation (4)."""
    return reference.synthesis(frame, alpha, n_samples)


@given(models(), st.floats(0, 3))
def test_the_two_objectives_agree(m, penalty):
    x = m.rng.standard_normal(m.n_samples)
    W, Z = factors_of_model(m.atoms, m.activations, m.frame)
    start = m.frame.hop * m.frame.first_frame - m.frame.origin
    literal = 0.5 * np.sum((x - convolution(m.atoms, m.activations, m.frame, x.size)) ** 2)
    literal += penalty * np.abs(m.activations).sum()
    left = cdl_objective(x, m.atoms, m.activations, penalty, hop=m.frame.hop, start=start)
    right = factorized_objective(x, W, Z, m.frame, penalty)
    assert left == pytest.approx(literal, rel=1e-10)
    assert right == pytest.approx(literal, rel=1e-9, abs=1e-9)


@given(models(), st.floats(0, 3))
def test_complex_atoms_never_fit_a_real_signal_better_than_their_real_parts(m, penalty):
    x = m.rng.standard_normal(m.n_samples)
    W = complex_normal(m.rng, m.frame.channels, len(m.atoms))
    atoms = np.stack([atom_of_spectrum(w_hat, m.frame) for w_hat in W.T])
    W_real, Z = factors_of_model(atoms.real, m.activations, m.frame)
    imaginary = convolution(atoms.imag, m.activations, m.frame, x.size)
    found = factorized_objective(x, W, Z, m.frame, penalty)
    wanted = factorized_objective(x, W_real, Z, m.frame, penalty) + 0.5 * imaginary @ imaginary
    assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9)
    assert np.all(np.linalg.norm(atoms.real, axis=1) <= np.linalg.norm(atoms, axis=1))


@given(models(), st.floats(0, 3))
def test_the_printed_phases_describe_signed_activations(m, penalty):
    x = m.rng.standard_normal(m.n_samples)
    W, Z = factors_of_model(m.atoms, m.activations, m.frame)
    theta = np.angle(W).T[:, None, :] + np.pi * (Z.T < 0)[:, :, None]
    printed = free_phase_objective(x, np.abs(W), np.abs(Z), theta, m.frame, penalty)
    signed = factorized_objective(x, W, Z, m.frame, penalty)
    assert printed == pytest.approx(signed, rel=1e-9, abs=1e-9)


@given(models(), st.floats(0, 3))
def test_the_free_phase_objective_is_that_of_its_coefficients(m, penalty):
    x = m.rng.standard_normal(m.n_samples)
    N, M, K = m.frame.n_frames(m.n_samples), m.frame.channels, len(m.atoms)
    W, Z = m.rng.random((M, K)), m.rng.random((N, K))
    theta = m.rng.uniform(-np.pi, np.pi, (K, N, M))
    alpha = np.zeros((N, M), complex)
    for k in range(K):
        for n in range(N):
            for nu in range(M):
                alpha[n, nu] += W[nu, k] * Z[n, k] * np.exp(1j * theta[k, n, nu])
    literal = 0.5 * np.linalg.norm(x - phi_of(alpha, m.frame, x.size)) ** 2 + penalty * Z.sum()
    found = free_phase_objective(x, W, Z, theta, m.frame, penalty)
    assert found == pytest.approx(literal, rel=1e-9, abs=1e-9)


def counter_example():
    """T_g = M = 2, a = 1, g = (1, 1), x = (1, 0, 1): free phases fit it exactly."""
    frame = GaborFrame(np.ones(2), hop=1)
    theta = np.zeros((1, 4, 2))
    theta[0, 2, 1] = np.pi
    Z = np.array([[0.0], [1.0], [1.0], [0.0]])
    return np.array([1.0, 0.0, 1.0]), frame, np.array([[0.5], [0.5]]), Z, theta


def test_free_phases_fit_what_no_convolution_fits():
    x, frame, W, Z, theta = counter_example()
    assert free_phase_objective(x, W, Z, theta, frame, 0.0) < 1e-30

    def cdl(p):
        return cdl_objective(x, p[None, :2], p[None, 2:], 0.0)

    found = scipy.optimize.differential_evolution(cdl, [(-2, 2)] * 4, rng=0, tol=1e-10, maxiter=400)
    assert found.fun == pytest.approx(0.5, abs=1e-8)
    for angle in np.linspace(0, np.pi, 181):
        c, s = np.cos(angle), np.sin(angle)
        best = np.linalg.lstsq(scipy.linalg.convolution_matrix([c, s], 2), x, rcond=None)[0]
        value = cdl_objective(x, [[c, s]], best[None], 0.0)
        assert value == pytest.approx(0.5 / (1 - (c * s) ** 2))


def test_a_sign_hides_in_the_phase():
    frame = GaborFrame(np.ones(1), hop=1)
    x, theta = np.array([1.0, -1.0]), np.array([[[0.0], [np.pi]]])
    assert free_phase_objective(x, [[1.0]], np.ones((2, 1)), theta, frame, 0.0) < 1e-30
    for d in (1.0, -1.0):
        best, residual = scipy.optimize.nnls(scipy.linalg.convolution_matrix([d], 2), x)
        assert cdl_objective(x, [[d]], best[None], 0.0) == pytest.approx(0.5)
        assert residual == pytest.approx(1.0)


@given(models(), st.floats(0.01, 3), st.floats(1, 1e6))
def test_without_a_norm_constraint_the_penalty_scales_away(m, penalty, c):
    x = m.rng.standard_normal(m.n_samples)
    start = m.frame.hop * m.frame.first_frame - m.frame.origin
    at = {"hop": m.frame.hop, "start": start}
    fit = cdl_objective(x, m.atoms, m.activations, 0.0, **at)
    scaled = cdl_objective(x, c * m.atoms, m.activations / c, penalty, **at)
    cost = penalty * np.abs(m.activations).sum() / c
    assert scaled == pytest.approx(fit + cost, rel=1e-9)
    W, Z = factors_of_model(c * m.atoms, m.activations / c, m.frame)
    assert factorized_objective(x, W, Z, m.frame, penalty) == pytest.approx(scaled, rel=1e-9)


def minimised(objective, start, n_free):
    """A local minimum: the first numbers are free, the others are activations."""
    bounds = [(None, None)] * n_free + [(0, None)] * (start.size - n_free)
    options = {"ftol": 1e-13, "gtol": 1e-9, "maxfun": 30_000}
    return scipy.optimize.minimize(objective, start, bounds=bounds, options=options)


@pytest.mark.long
@pytest.mark.parametrize(("seed", "hop"), [(0, 1), (1, 2), (2, 1)])
def test_the_minima_of_both_sides_agree(seed, hop):
    """Each side is minimised in its own coordinates; no minimum of one can be left in the other."""
    rng = np.random.default_rng(seed)
    frame, T, K, penalty = GaborFrame(rng.uniform(0.5, 1.5, 2), hop, 3), 4, 2, 0.2
    x, N = rng.standard_normal(T), frame.n_frames(T)
    at = {"hop": hop, "start": hop * frame.first_frame}

    def unit(d):
        return d / np.linalg.norm(d, axis=1, keepdims=True)

    def spectra(p):
        W = (p[: 3 * K] + 1j * p[3 * K : 6 * K]).reshape(3, K)
        return W / [np.linalg.norm(atom_of_spectrum(w, frame)) for w in W.T]

    def left(p):
        d, z = unit(p[: 2 * K].reshape(K, 2)), p[2 * K :].reshape(K, N)
        return cdl_objective(x, d, z, penalty, **at)

    def right(p):
        return factorized_objective(x, spectra(p), p[6 * K :].reshape(N, K), frame, penalty)

    def to_right(p):
        W, Z = factors_of_model(unit(p[: 2 * K].reshape(K, 2)), p[2 * K :].reshape(K, N), frame)
        return np.concatenate([W.real.ravel(), W.imag.ravel(), Z.ravel()])

    def to_left(p):
        atoms = np.stack([atom_of_spectrum(w, frame).real for w in spectra(p).T])
        return np.concatenate([atoms.ravel(), p[6 * K :].reshape(N, K).T.ravel()])

    least = []
    for _ in range(4):
        start = np.concatenate([rng.standard_normal(2 * K), rng.random(K * N)])
        one = minimised(left, start, 2 * K)
        other = minimised(right, to_right(start), 6 * K)
        assert right(to_right(one.x)) == pytest.approx(one.fun, rel=1e-9)
        assert minimised(right, to_right(one.x), 6 * K).fun >= one.fun * (1 - 1e-6)
        assert minimised(left, to_left(other.x), 2 * K).fun >= other.fun * (1 - 1e-6)
        least.append([one.fun, other.fun])
    best = np.min(least, axis=0)
    assert best[0] == pytest.approx(best[1], rel=1e-6)
    assert best.max() < 0.5 * x @ x


def test_the_coefficients_are_never_made():
    """α would take 4 GiB."""
    M = T = 2**14
    frame = GaborFrame("hamming", hop=1, channels=M)
    rng = np.random.default_rng(0)
    W, Z = factors_of_model(
        rng.standard_normal((1, M)), rng.standard_normal((1, frame.n_frames(T))), frame
    )
    x = rng.standard_normal(T)
    tracemalloc.start()
    factorized_objective(x, W, Z, frame, 0.1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * M * len(Z) / 200


FRAME = GaborFrame(np.array([1.0, 2.0, 1.0]), hop=1)
ONES = np.ones((3, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cdl_objective(np.ones(3), ONES.T, ONES.T, -1.0), "penalty must be"),
        (lambda: cdl_objective(np.ones(3), ONES.T, ONES.T, 0.0, start=3), "start must be"),
        (lambda: cdl_objective(np.ones(3), ONES.T, ONES.T, 0.0, start=-5), "start must be"),
        (lambda: cdl_objective(np.ones(3), ONES.T, ONES.T, 0.0, hop=0), "hop must be"),
        (
            lambda: factorized_objective(np.ones(3), ONES, np.ones((5, 1)), FRAME, np.nan),
            "penalty must be",
        ),
        (
            lambda: free_phase_objective(
                np.ones(3), -ONES, np.ones((5, 1)), np.zeros((1, 5, 3)), FRAME, 0.0
            ),
            "magnitudes must be real and at least 0, got -1",
        ),
        (
            lambda: free_phase_objective(
                np.ones(3), ONES, -np.ones((5, 1)), np.zeros((1, 5, 3)), FRAME, 0.0
            ),
            "Z must be real and at least 0, got -1",
        ),
        (
            lambda: free_phase_objective(
                np.ones(3), ONES, np.ones((5, 1)), np.zeros((1, 3, 5)), FRAME, 0.0
            ),
            r"phases must have shape \(1, 5, 3\)",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_model_that_starts_inside_or_before_the_signal_is_cut_at_its_ends():
    x = np.zeros(3)
    for start, wanted in ((-2, [3, 0, 0]), (-1, [2, 3, 0]), (0, [1, 2, 3]), (2, [0, 0, 1])):
        found = cdl_objective(x, [[1.0, 2.0, 3.0]], [[1.0]], 0.0, start=start)
        assert found == pytest.approx(0.5 * np.sum(np.square(wanted)))
