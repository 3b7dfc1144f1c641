"""Theorem 1 and Corollary 1: both directions, each hypothesis broken, the objectives of (15)."""

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
from hypothesis import assume, given
from hypothesis import strategies as st

from cdlnmf_lit.theory.equivalence import (
    AtomsOfSpectra,
    activations_on_frames,
    atom_of_spectrum,
    conditioning,
    factors_of_model,
    half_spectrum_gains,
    model_of_factors,
    rank_one_factors,
    spectrum_of_atom,
    synthesize_factors,
    window_support,
)
from cdlnmf_lit.theory.gabor import GaborFrame
from tests import reference
from tests.theory.random_models import assert_close, complex_normal, convolution, models

# ---- the literal definitions ---------------------------------------------------------------


def phi_of(alpha, frame, n_samples):
    """Φ(α), equation (4)."""
    return reference.synthesis(frame, alpha, n_samples)


def spread(z, hop):
    """The activations of hop a as activations of hop 1: zeros between them."""
    up = np.zeros(hop * (z.size - 1) + 1)
    up[::hop] = z
    return up


def toeplitz(d, n):
    """The matrix of z -> d * z for n activations."""
    return scipy.linalg.convolution_matrix(d, n)


# ---- Theorem 1, both ways ------------------------------------------------------------------


@given(models())
def test_a_sum_of_convolutions_has_synthesis_coefficients_of_rank_k(m):
    W, Z = factors_of_model(m.atoms, m.activations, m.frame)
    alpha = Z @ W.T
    assert np.linalg.matrix_rank(alpha) <= len(m.atoms)
    wanted = convolution(m.atoms, m.activations, m.frame, m.n_samples)
    scale = np.abs(alpha).sum() * np.abs(m.frame.window).max()
    assert_close(phi_of(alpha, m.frame, m.n_samples), wanted, scale)
    assert_close(synthesize_factors(W, Z, m.frame, m.n_samples), wanted, scale)
    assert_close(m.frame.synthesis(alpha, m.n_samples), wanted, scale)


@given(models(most=1))
def test_one_convolution_has_coefficients_of_rank_exactly_one(m):
    W, Z = factors_of_model(m.atoms, m.activations, m.frame)
    alpha = Z @ W.T
    assume(np.abs(alpha).max() > 0)
    found = rank_one_factors(alpha)
    assert found.distance < 1e-12
    atom = atom_of_spectrum(found.spectrum, m.frame)
    scale = np.abs(m.atoms).max() * np.abs(m.activations).max() * 10
    assert_close(np.outer(found.activations, atom), np.outer(m.activations, m.atoms), scale)


@given(st.one_of(models(), models(enough_channels=False)))
def test_coefficients_of_rank_one_synthesise_a_convolution(m):
    spectrum = complex_normal(m.rng, m.frame.channels)
    z = m.activations[:1]
    atom = atom_of_spectrum(spectrum, m.frame)
    assert atom.shape == m.frame.window.shape
    assert not atom[m.frame.window == 0].any()
    found = phi_of(np.outer(z, spectrum), m.frame, m.n_samples)
    wanted = convolution(atom[None], z, m.frame, m.n_samples)
    assert_close(found, wanted, np.abs(spectrum).sum() * np.abs(z).sum() * 4)
    assert_close(
        synthesize_factors(spectrum[:, None], z.T, m.frame, m.n_samples),
        wanted,
        np.abs(spectrum).sum() * np.abs(z).sum() * 4,
    )


@given(models())
def test_the_spectrum_is_the_printed_sum_over_m(m):
    g, M, o = m.frame.window, m.frame.channels, m.frame.origin
    for d in m.atoms:
        wanted = [
            sum(
                d[s] / g[s] * np.exp(-2j * np.pi * nu * (s - o) / M)
                for s in range(g.size)
                if g[s] != 0
            )
            / M
            for nu in range(M)
        ]
        assert_close(spectrum_of_atom(d, m.frame), wanted, 100)


@given(models())
def test_atom_to_spectrum_and_back(m):
    for d in m.atoms:
        assert_close(atom_of_spectrum(spectrum_of_atom(d, m.frame), m.frame), d, 100)


@given(models(zeros=False))
def test_spectrum_to_atom_and_back_when_there_are_as_many_channels_as_samples(m):
    frame = GaborFrame(m.frame.window, m.frame.hop, origin=m.frame.origin)
    spectrum = spectrum_of_atom(m.rng.standard_normal(frame.channels), frame)
    assert_close(spectrum_of_atom(atom_of_spectrum(spectrum, frame).real, frame), spectrum, 100)


@given(models())
def test_shorter_atoms_are_atoms_that_end_in_zeros(m):
    d = m.atoms[0].copy()
    d[(d.size + 1) // 2 :] = 0
    short = d[: (d.size + 1) // 2]
    np.testing.assert_array_equal(spectrum_of_atom(short, m.frame), spectrum_of_atom(d, m.frame))


@given(models())
def test_factors_and_model_are_inverse(m):
    W, Z = factors_of_model(m.atoms, m.activations, m.frame)
    assert W.shape == (m.frame.channels, len(m.atoms))
    assert Z.shape == (m.frame.n_frames(m.n_samples), len(m.atoms))
    atoms, activations = model_of_factors(W, Z, m.frame)
    assert_close(atoms, m.atoms, 100)
    np.testing.assert_array_equal(activations, m.activations)


@given(models(), st.integers(1, 9))
def test_activations_from_zero_lose_nothing_of_the_convolution(m, T_z):
    frame = GaborFrame(m.frame.window, m.frame.hop, m.frame.channels)
    z = m.rng.standard_normal((len(m.atoms), T_z))
    T = frame.hop * (T_z - 1) + frame.window.size
    W, Z = factors_of_model(m.atoms, activations_on_frames(z, frame), frame)
    assert len(Z) == frame.n_frames(T)
    wanted = sum(np.convolve(d, spread(row, frame.hop)) for d, row in zip(m.atoms, z, strict=True))
    scale = np.abs(W).sum() * np.abs(z).sum() * 2
    assert_close(synthesize_factors(W, Z, frame, T), wanted, scale)
    longer = activations_on_frames(z, frame, T + 7)
    assert longer.shape[1] == frame.n_frames(T + 7)
    assert_close(longer[:, : Z.shape[0]], Z.T)
    assert not longer[:, Z.shape[0] :].any()


# ---- realness ------------------------------------------------------------------------------


@given(models(zeros=False, origins=False), st.integers(1, 8))
def test_a_real_signal_has_a_real_atom_because_linear_convolution_is_injective(m, T_z):
    frame = m.frame
    spectrum = complex_normal(m.rng, frame.channels)
    z = m.rng.uniform(-0.5, 0.5, T_z) / T_z
    z[0] = 1.0
    T = frame.hop * (T_z - 1) + frame.window.size
    placed = activations_on_frames(z[None], frame)
    x = phi_of(np.outer(placed, spectrum), frame, T)
    imaginary = atom_of_spectrum(spectrum, frame).imag
    z_to_x = toeplitz(spread(z, frame.hop), frame.window.size)
    assert scipy.linalg.svdvals(z_to_x).min() > 0.4
    assert_close(z_to_x @ imaginary, x.imag, np.abs(spectrum).sum() * 4)
    assert np.linalg.norm(x.imag) >= 0.4 * np.linalg.norm(imaginary)


def test_circular_convolution_is_not_injective_so_realness_would_fail_there():
    d, z = np.array([1j, 1j]), np.array([1.0, -1.0])
    circular = np.fft.ifft(np.fft.fft(d) * np.fft.fft(z))
    np.testing.assert_allclose(circular, 0, atol=1e-15)
    assert np.abs(np.convolve(d, z)).max() == 1


def test_an_activation_before_the_signal_can_hide_an_imaginary_atom():
    frame = GaborFrame(np.ones(3), hop=1)
    atom = np.array([5j, -2j, 1.0])
    spectrum = np.fft.fft(atom) / 3
    z = np.zeros((frame.n_frames(4), 1))
    z[0] = 1.0
    x = synthesize_factors(spectrum[:, None], z, frame, 4)
    np.testing.assert_allclose(x, [1, 0, 0, 0], atol=1e-14)


def test_complex_activations_reach_signals_that_are_no_real_convolution():
    """(1, i) * (1, -i) = (1, 0, 1): rank 1, a real signal, and no real factors."""
    frame = GaborFrame(np.ones(2), hop=1)
    spectrum = np.fft.fft([1, 1j]) / 2
    alpha = np.outer([0, 1, -1j, 0], spectrum)
    assert np.linalg.matrix_rank(alpha) == 1
    np.testing.assert_allclose(phi_of(alpha, frame, 3), [1, 0, 1], atol=1e-15)
    assert rank_one_factors(alpha).distance == pytest.approx(np.sqrt(0.5))


def test_channels_beyond_the_window_may_hold_anything():
    frame = GaborFrame(np.array([1.0, 2.0]), hop=1, channels=5)
    spectrum = spectrum_of_atom([3.0, 2.0], frame)
    hidden = np.fft.fft([0, 0, 1 + 2j, -3j, 4.0])
    np.testing.assert_allclose(atom_of_spectrum(spectrum + hidden, frame), [3, 2], atol=1e-13)


# ---- a hop larger than 1 -------------------------------------------------------------------


@given(models(origins=False), st.integers(1, 7))
def test_hop_a_is_hop_one_with_activations_on_multiples_of_a(m, T_z):
    coarse = m.frame
    fine = GaborFrame(coarse.window, 1, coarse.channels)
    z = m.rng.standard_normal((1, T_z))
    up = spread(z[0], coarse.hop)[None]
    T = coarse.hop * (T_z - 1) + coarse.window.size
    x_coarse = synthesize_factors(
        *factors_of_model(m.atoms[:1], activations_on_frames(z, coarse), coarse), coarse, T
    )
    x_fine = synthesize_factors(
        *factors_of_model(m.atoms[:1], activations_on_frames(up, fine), fine), fine, T
    )
    assert_close(x_coarse, x_fine, 1000)
    assert set(np.flatnonzero(up[0]) % coarse.hop) <= {0}


@given(st.integers(2, 6), st.integers(1, 12), st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_an_activation_off_the_multiples_of_a_is_out_of_reach(a, T_d, place, seed):
    """All delays of an atom are independent, so those by multiples of a span none of the others."""
    assume(place % a)
    d = np.random.default_rng(seed).uniform(-0.5, 0.5, T_d) / T_d
    d[0] = 1.0
    delays = toeplitz(d, 41)
    wanted, reach = delays[:, place], delays[:, ::a]
    best = np.linalg.lstsq(reach, wanted, rcond=None)[0]
    assert np.linalg.norm(wanted - reach @ best) > 0.4


# ---- the analysis coefficients are another matter ------------------------------------------


@given(models(hops=1))
def test_at_hop_one_analysis_coefficients_have_the_rank_of_the_window(m):
    """Their columns are delays of x, scaled by the window: independent, as x is not zero."""
    x = m.rng.uniform(-0.5, 0.5, m.n_samples) / m.n_samples
    x[0] = 1.0
    X = m.frame.analysis(x)
    assert np.linalg.matrix_rank(X, tol=1e-9) == np.count_nonzero(m.frame.window)


@given(models(zeros=False, origins=False, most=1), st.integers(1, 7))
def test_with_no_overlap_the_analysis_coefficients_factorise_too(m, T_z):
    g = m.frame.window
    frame = GaborFrame(g, g.size, m.frame.channels)
    x = np.convolve(m.atoms[0], spread(m.rng.standard_normal(T_z), g.size))
    assert rank_one_factors(frame.analysis(x)).distance < 1e-12


@given(models(zeros=False, origins=False))
def test_between_the_rank_is_at_least_the_number_of_overlapping_windows(m):
    """Columns of one residue modulo a are delays of one polyphase part of x."""
    a, T_g = m.frame.hop, m.frame.window.size
    T = a * (m.n_samples - 1) + T_g
    x = m.rng.uniform(-0.5, 0.5, T) / T
    x[0] = 1.0
    X = m.frame.analysis(x)
    assert np.linalg.matrix_rank(X, tol=1e-9) >= len(range(0, T_g, a))


def test_analysis_coefficients_of_a_convolution_are_far_from_rank_one():
    rng = np.random.default_rng(0)
    frame = GaborFrame("hann", hop=1, channels=32)
    z = np.zeros((1, 60))
    z[0, [0, 21, 50]] = 1.0, 0.5, 0.8
    atom = rng.standard_normal((1, 32)) * window_support(frame)
    W, Z = factors_of_model(atom, activations_on_frames(z, frame), frame)
    x = synthesize_factors(W, Z, frame, 91).real
    assert rank_one_factors(Z @ W.T).distance < 1e-14
    assert rank_one_factors(frame.analysis(x)).distance > 0.5
    canonical = frame.dual().analysis(x)
    np.testing.assert_allclose(frame.synthesis(canonical, 91).real, x, atol=1e-12)
    assert rank_one_factors(canonical).distance > 0.5


# ---- each hypothesis broken ----------------------------------------------------------------


@given(models(enough_channels=False, zeros=False))
def test_fewer_channels_than_samples_leave_only_periodic_quotients(m):
    g, M = m.frame.window, m.frame.channels
    spectrum = complex_normal(m.rng, M)
    quotient = atom_of_spectrum(spectrum, m.frame) / g
    assert_close(quotient[M:], quotient[:-M], np.abs(spectrum).sum() * 10)
    with pytest.raises(ValueError, match=r"M >= T_g in Theorem 1.*got M = "):
        spectrum_of_atom(m.atoms[0], m.frame)
    reach = np.stack([atom_of_spectrum(row, m.frame) for row in np.eye(M)], axis=1)
    d = m.atoms[0]
    best = np.linalg.lstsq(reach, d.astype(complex), rcond=None)[0]
    folded = np.zeros(g.size)
    for s in range(g.size):
        alike = (np.arange(g.size) - s) % M == 0
        folded[s] = g[s] * (g[alike] @ d[alike]) / (g[alike] @ g[alike])
    assert_close(reach @ best, folded, 100)


@given(models(zeros=False), st.data())
def test_a_zero_of_the_window_loses_that_sample_of_the_atom(m, data):
    g = m.frame.window.copy()
    lost = data.draw(st.integers(0, g.size - 1))
    g[lost] = 0.0
    assume(g.any())
    frame = GaborFrame(g, m.frame.hop, m.frame.channels, origin=m.frame.origin)
    with pytest.raises(
        ValueError, match=rf"zero where the window is zero to rounding.*at sample {lost}"
    ):
        spectrum_of_atom(m.atoms[0], frame)
    reach = np.stack([atom_of_spectrum(row, frame) for row in np.eye(frame.channels)], axis=1)
    d = m.atoms[0]
    best = np.linalg.lstsq(reach, d.astype(complex), rcond=None)[0]
    assert np.linalg.norm(reach @ best - d) == pytest.approx(abs(d[lost]), rel=1e-9)


@given(models(origins=False))
def test_the_other_phase_convention_gives_a_modulation_instead_of_a_convolution(m):
    """There Φ(z ŵᵀ)[t] = (g * z)[t] · M · IDFT(ŵ)[t mod M]."""
    g, a, M = m.frame.window, m.frame.hop, m.frame.channels
    other = GaborFrame(g, a, M, phase="frequency-invariant")
    spectrum = complex_normal(m.rng, M)
    z = m.activations[:1]
    envelope = convolution(g[None], z, m.frame, m.n_samples)
    carrier = M * np.fft.ifft(spectrum)[np.arange(m.n_samples) % M]
    found = phi_of(np.outer(z, spectrum), other, m.n_samples)
    assert_close(found, envelope * carrier, np.abs(spectrum).sum() * np.abs(z).sum() * 4)
    for call in (
        lambda: spectrum_of_atom(m.atoms[0], other),
        lambda: atom_of_spectrum(spectrum, other),
        lambda: synthesize_factors(spectrum[:, None], z.T, other, m.n_samples),
    ):
        with pytest.raises(ValueError, match="the convention of Theorem 1"):
            call()


def test_in_the_other_convention_an_impulse_response_depends_on_its_place():
    other = GaborFrame(np.ones(4), 1, phase="frequency-invariant")
    d = np.array([1.0, 2.0, 3.0, 4.0])
    for place, wanted in ((0, [1, 2, 3, 4]), (1, [2, 3, 4, 1])):
        alpha = np.zeros((other.n_frames(8), 4), complex)
        alpha[place - other.first_frame] = np.fft.fft(d) / 4
        np.testing.assert_allclose(other.synthesis(alpha, 8)[place : place + 4], wanted, atol=1e-14)


# ---- conditioning --------------------------------------------------------------------------


@given(models(), st.floats(1e-8, 1e-2))
def test_conditioning_bounds_the_growth_of_relative_errors(m, size):
    frame, d = m.frame, m.atoms[0]
    error = size * m.rng.standard_normal(d.size) * (d != 0)
    w, dw = spectrum_of_atom(d, frame), spectrum_of_atom(error, frame)
    growth = np.linalg.norm(dw) / np.linalg.norm(w) * np.linalg.norm(d) / np.linalg.norm(error)
    kappa = conditioning(frame, d)
    assert 1 - 1e-9 < kappa + 1e-9
    assert 1 / kappa - 1e-9 <= growth <= kappa + 1e-9
    assert kappa <= conditioning(frame) + 1e-9


def test_conditioning_is_attained():
    frame = GaborFrame(np.array([0.01, 1.0]), hop=1)
    w, dw = spectrum_of_atom([0.0, 1.0], frame), spectrum_of_atom([1.0, 0.0], frame)
    assert np.linalg.norm(dw) / np.linalg.norm(w) == pytest.approx(conditioning(frame))


def test_a_long_hann_window_is_badly_conditioned_at_its_ends_and_well_inside():
    frame = GaborFrame("hann", hop=1, channels=2048)
    assert conditioning(frame) == pytest.approx(1 / np.sin(np.pi / 2048) ** 2)
    inner = np.zeros(2048)
    inner[512:1537] = 1.0
    assert conditioning(frame, inner) == pytest.approx(2.0)


def test_window_ends_at_rounding_level_count_as_zero():
    g = np.blackman(9)
    assert 0 < abs(g[0]) < 1e-15
    frame = GaborFrame(g, hop=1)
    np.testing.assert_array_equal(window_support(frame), [False] + 7 * [True] + [False])
    with pytest.raises(ValueError, match="zero where the window is zero to rounding"):
        spectrum_of_atom(np.ones(9), frame)
    assert atom_of_spectrum(np.ones(9), frame)[0] == 0


# ---- rank-1 factors ------------------------------------------------------------------------


@given(models(), st.floats(0, 1))
def test_rank_one_factors_are_the_nearest_with_real_activations(m, noise):
    N, M = m.frame.n_frames(m.n_samples), m.frame.channels
    z, spectrum = m.rng.standard_normal(N), complex_normal(m.rng, M)
    alpha = np.outer(z, spectrum) + noise * complex_normal(m.rng, N, M)
    found = rank_one_factors(alpha)
    assert np.isrealobj(found.activations)
    assert found.activations[np.argmax(np.abs(found.activations))] == pytest.approx(1)
    values = scipy.linalg.svdvals(np.hstack([alpha.real, alpha.imag]))
    tail = np.linalg.norm(values[1:]) / np.linalg.norm(values)
    assert found.distance == pytest.approx(tail, abs=1e-12)
    near = np.outer(found.activations, found.spectrum)
    assert_close(np.linalg.norm(alpha - near) / np.linalg.norm(alpha), found.distance)
    norm = np.linalg.norm(alpha)
    assert found.distance <= np.linalg.norm(alpha - np.outer(z, spectrum)) / norm + 1e-12


def test_rank_one_factors_are_no_worse_than_a_general_minimiser():
    rng = np.random.default_rng(3)
    alpha = complex_normal(rng, 4, 3)

    def misfit(p):
        return np.linalg.norm(alpha - np.outer(p[:4], p[4:7] + 1j * p[7:])) ** 2

    starts = rng.standard_normal((8, 10))
    best = min(scipy.optimize.minimize(misfit, p, tol=1e-12).fun for p in starts)
    found = rank_one_factors(alpha)
    assert (found.distance * np.linalg.norm(alpha)) ** 2 == pytest.approx(best, rel=1e-6)


# ---- real atoms: half of the spectra, weights of the window -----------------------------------

any_channels = st.one_of(models(), models(enough_channels=False))


def maps(m, dtype=float):
    """The theorem's maps, and as many random weights as there are atoms."""
    T_g, M = m.frame.window.size, m.frame.channels
    weights = m.rng.standard_normal((len(m.atoms), min(T_g, M))).astype(dtype)
    return AtomsOfSpectra(m.frame, dtype), weights


@given(any_channels)
def test_folding_is_the_adjoint_of_unfolding(m):
    theorem, weights = maps(m)
    assert_close(np.vdot(theorem.unfold(weights), m.atoms), np.vdot(weights, theorem.fold(m.atoms)))


@given(any_channels)
def test_weights_make_the_atoms_of_their_spectra(m):
    theorem, weights = maps(m)
    M, place = m.frame.channels, theorem.place
    points = np.zeros((len(weights), M))
    points[:, place] = theorem.unfold(weights)
    spectra = np.fft.fft(points) / M
    wanted = [atom_of_spectrum(spectrum, m.frame).real for spectrum in spectra]
    atoms = theorem.atoms(weights)
    assert_close(atoms, wanted)
    assert_close(theorem.atoms_of(spectra[:, : M // 2 + 1]), wanted)
    assert_close(np.sum(theorem.shares * weights**2, axis=1), np.sum(atoms**2, axis=1), 10)


@given(any_channels)
def test_half_of_the_spectra_are_all_of_real_atoms(m):
    M, K = m.frame.channels, len(m.atoms)
    theorem, full = AtomsOfSpectra(m.frame, float), np.fft.fft(m.rng.standard_normal((K, M)))
    half = full[:, : M // 2 + 1]
    wanted, _ = model_of_factors(full.T, m.activations.T, m.frame)
    assert_close(theorem.atoms_of(half), wanted, np.abs(full).sum())
    gains = half_spectrum_gains(M)
    assert_close(np.linalg.norm(gains * half), np.linalg.norm(full), np.linalg.norm(full))


@given(models())
def test_the_half_spectra_of_atoms_are_those_of_theorem_1(m):
    spectra = AtomsOfSpectra(m.frame, float).spectra_of(m.atoms)
    W, _ = factors_of_model(m.atoms, m.activations, m.frame)
    assert_close(spectra, W.T[:, : m.frame.channels // 2 + 1], 10)


@given(any_channels)
def test_fitted_weights_are_least_squares_of_least_norm(m):
    g, origin = 1e-3 * m.frame.window, m.frame.origin
    m.frame = GaborFrame(g, m.frame.hop, m.frame.channels, origin=origin)
    theorem, weights = maps(m)
    wanted = m.rng.standard_normal(m.atoms.shape)
    columns = [theorem.atoms(row[None])[0] for row in np.eye(weights.shape[1])]
    found = np.linalg.lstsq(np.transpose(columns), wanted.T, rcond=1e-12)[0].T
    assert_close(theorem.fitted(wanted), found, np.abs(found).max())
    nearest = theorem.atoms(theorem.fitted(wanted))
    assert_close(theorem.atoms_of(theorem.spectra_of(wanted)), nearest, 10)


@given(any_channels)
def test_the_maps_keep_single_precision(m):
    theorem, weights = maps(m, np.float32)
    atoms = theorem.atoms(weights)
    spectra = theorem.spectra_of(atoms)
    for found in (atoms, theorem.shares, theorem.fitted(atoms), theorem.atoms_of(spectra)):
        assert found.dtype == np.float32
    assert spectra.dtype == np.complex64
    assert_close(theorem.atoms_of(spectra), atoms, np.abs(atoms).max(), 1e-4)


# ---- memory, precision, arguments ----------------------------------------------------------


def test_float32_stays_float32():
    frame = GaborFrame(np.hamming(8).astype(np.float32), hop=2)
    atoms = np.ones((2, 8), np.float32)
    z = activations_on_frames(np.ones((2, 5), np.float32), frame)
    assert z.dtype == np.float32
    W, Z = factors_of_model(atoms, z, frame)
    assert (W.dtype, Z.dtype) == (np.complex64, np.float32)
    assert synthesize_factors(W, Z, frame, 16).dtype == np.complex64
    back, activations = model_of_factors(W, Z, frame)
    assert (back.dtype, activations.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(back, atoms, rtol=1e-5)
    found = rank_one_factors(np.outer(np.float32([1, 2]), W[:, 0]))
    assert (found.spectrum.dtype, found.activations.dtype) == (np.complex64, np.float32)


FRAME = GaborFrame(np.array([1.0, 2.0, 1.0]), hop=1)
ONES = np.ones((3, 1))
NAN = np.array([1.0, np.nan])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spectrum_of_atom([], FRAME), "atom must not be empty"),
        (lambda: spectrum_of_atom([1, 2], FRAME), "atom must hold floating-point"),
        (lambda: spectrum_of_atom(NAN, FRAME), "atom must be finite, got nan at index 1"),
        (lambda: spectrum_of_atom([1j], FRAME), "atom must be real"),
        (lambda: spectrum_of_atom(np.ones((2, 2)), FRAME), "atom must be one-dimensional"),
        (lambda: spectrum_of_atom(np.ones(4), FRAME), "atom must be no longer than the window"),
        (lambda: atom_of_spectrum(np.ones(4), FRAME), "one value a channel, 3, got 4"),
        (lambda: conditioning(FRAME, np.zeros(3)), "atom must sound somewhere"),
        (lambda: conditioning(FRAME, np.ones(4)), "atom must sound somewhere"),
        (lambda: conditioning(GaborFrame(np.array([0.0, 1.0]), 1), [1.0]), "atom must sound"),
        (lambda: factors_of_model(ONES.T, np.ones((2, 5)), FRAME), "one row an atom, 1, got 2"),
        (lambda: factors_of_model(np.ones(3), np.ones((1, 5)), FRAME), "atoms must be two-dim"),
        (lambda: model_of_factors(1j * ONES, ONES, FRAME), "spectra of real atoms.*in atom 0"),
        (lambda: model_of_factors(ONES, np.ones((5, 2)), FRAME), "one column a component, 1"),
        (lambda: model_of_factors(ONES, 1j * ONES, FRAME), "Z must be real"),
        (lambda: activations_on_frames(np.ones((1, 4)), FRAME, 3), "at most 3 positions"),
        (lambda: activations_on_frames(np.ones((1, 4)), FRAME, 0), "n_samples must be"),
        (lambda: synthesize_factors(ONES, np.ones((4, 1)), FRAME, 3), "Z must have 5 rows"),
        (lambda: rank_one_factors(np.zeros((2, 3))), "coefficients must not all be zero"),
        (lambda: rank_one_factors(np.ones(3)), "coefficients must be two-dimensional"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
