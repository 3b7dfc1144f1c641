"""Sounds that the yardsticks are tried on: tones, a small piano, and components made by hand."""

import itertools

import numpy as np
from hypothesis import strategies as st

from cdlnmf_lit.experiments.signals import piano
from cdlnmf_lit.methods.decomposition import Decomposition
from tests.strategies import normal

RATE = 8000
TWO = normal(0, 2, 40)
factors = st.sampled_from([-1e160, -3.0, -1e-160, 1e-160, 1e-3, 0.7, 2.0, 1e160])


def small_piano(rng=0, **changes):
    return piano(rng, sample_rate=RATE, **changes)


def by_hand(components, x):
    """A decomposition of x into these sounds."""
    ones = np.ones((len(components), 1))
    left = x - np.sum(components, axis=0)
    return Decomposition("by hand", None, ones, 1, 0, left, spectra=ones, sounds=components)


def tones(*frequencies, n_samples=8192, level=1.0):
    """Steady tones at some shares of the sampling rate, one a row."""
    return level * np.sin(2 * np.pi * np.outer(frequencies, np.arange(n_samples)))


def strikes_of(mixture):
    """Each source cut where its events start: one component a strike, and whose it is."""
    pieces, owners = [], []
    for s, source in enumerate(mixture.sources):
        edges = [round(e.onset * mixture.sample_rate) for e in mixture.events if e.stem == s]
        for begin, end in itertools.pairwise([0, *sorted(edges)[1:], source.size]):
            piece = np.zeros_like(source)
            piece[begin:end] = source[begin:end]
            pieces.append(piece)
            owners.append(s)
    return np.array(pieces), owners
