"""Times between occurrences are right where the activations are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.experiments.places import errors_of_place, loudest_peaks
from cdlnmf_lit.experiments.signals import chirps
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.theory.gabor import hann


@given(
    gaps=st.lists(st.integers(5, 30), min_size=1, max_size=5),
    heights=st.lists(st.floats(1, 2), min_size=6, max_size=6),
    tail=st.floats(0.1, 0.9),
)
def test_peaks_are_found_beside_what_rings_after_them(gaps, heights, tail):
    places = np.cumsum([3, *gaps])
    z = np.zeros(places[-1] + 10)
    for place, height in zip(places, heights, strict=False):
        z[place : place + 4] = height * tail ** np.arange(4)
    assert loudest_peaks(z, len(places), apart=5).tolist() == places.tolist()


def test_an_atom_that_is_placed_to_the_sample_is_so_measured():
    mixture = chirps(rng=1)
    method = CDL(atom_length=55_125, padding=27_562, share=0.05, precision="float32", iterations=3)
    spectral = NMF(frame=hann(55_125, 27_562), iterations=30, precision="float32")
    learned = (spectral >> method).decompose(mixture.signal, 2, rng=1)
    assert max(errors_of_place(learned, mixture)) < 0.002
    coarse = errors_of_place(spectral.decompose(mixture.signal, 2, rng=1), mixture)
    assert 0.01 < max(coarse) < 2 * 27_562 / 22_050
