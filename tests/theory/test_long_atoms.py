"""Atoms longer than the window are convolutive products of their pieces' spectra."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.theory.equivalence import spectrum_of_atom
from cdlnmf_lit.theory.gabor import GaborFrame
from cdlnmf_lit.theory.long_atoms import (
    convolved_spectra,
    long_atom_of_spectra,
    spectra_of_long_atom,
)
from tests import reference
from tests.strategies import seeds


@st.composite
def long_models(draw):
    """A frame whose hop divides its window, an atom of any length, activations and a signal's."""
    step, hop = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    T_g, rng = step * hop, np.random.default_rng(draw(seeds))
    g = rng.uniform(0.2, 2.0, T_g) * rng.choice([-1.0, 1.0], T_g)
    origin = draw(st.integers(0, T_g - 1))
    frame = GaborFrame(g, hop, T_g + draw(st.integers(0, 5)), origin=origin)
    d = rng.standard_normal(draw(st.integers(1, 5 * T_g)))
    T, L = draw(st.integers(1, 40)), -(-d.size // T_g)
    z = rng.standard_normal(frame.n_frames(T) + (L - 1) * step)
    return frame, d, z, T, L


@given(long_models())
def test_the_coefficients_synthesise_the_convolution(model):
    frame, d, z, T, L = model
    spectra = spectra_of_long_atom(d, frame)
    alpha = convolved_spectra(spectra, z, frame)
    assert spectra.shape == (L, frame.channels)
    first = frame.first_sample - (L - 1) * frame.window.size
    whole = reference.convolve(d[None], z[None], frame.hop)
    t = np.arange(T) - first
    wanted = np.where(t < whole.size, whole[np.minimum(t, whole.size - 1)], 0.0)
    scale = np.abs(d).max() * np.abs(z).sum() / np.abs(frame.window).min()
    found = reference.synthesis(frame, alpha, T)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-14 * scale + 1e-300)


@given(long_models())
def test_the_maps_are_inverse_to_each_other(model):
    frame, d, *_ = model
    back = long_atom_of_spectra(spectra_of_long_atom(d, frame), frame)
    np.testing.assert_allclose(back[: d.size], d, atol=1e-12)
    np.testing.assert_allclose(back[d.size :], 0, atol=1e-12)


@given(long_models())
def test_what_fits_the_window_is_of_rank_one(model):
    frame, d, z, *_ = model
    d = d[: frame.window.size]
    alpha = convolved_spectra(spectra_of_long_atom(d, frame), z, frame)
    np.testing.assert_allclose(alpha, np.outer(z, spectrum_of_atom(d, frame)), atol=1e-13)


def test_a_long_atom_is_of_rank_one_no_more_but_of_as_many_as_its_pieces():
    rng, frame = np.random.default_rng(0), GaborFrame(np.ones(8), 2, 8)
    spectra = spectra_of_long_atom(rng.standard_normal(24), frame)
    alpha = convolved_spectra(spectra, rng.standard_normal(40), frame)
    assert np.linalg.matrix_rank(alpha) == 3


def test_what_the_theorem_does_not_cover_is_refused():
    with pytest.raises(ValueError, match="hop that divides its window's length, 8, got 3"):
        spectra_of_long_atom(np.ones(20), GaborFrame(np.ones(8), 3, 8))
    with pytest.raises(ValueError, match="atom must be zero where the window is zero"):
        spectra_of_long_atom(np.ones(20), GaborFrame("hann", 2, 8))
    with pytest.raises(ValueError, match="activations must be more than"):
        convolved_spectra(np.ones((3, 8)), np.ones(8), GaborFrame(np.ones(8), 2, 8))
