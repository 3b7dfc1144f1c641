"""Random sums of convolutions on random frames, for the theorem and its corollary."""

from dataclasses import dataclass

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from cdlnmf_lit.theory.gabor import GaborFrame

LENGTHS = [1, 2, 3, 5, 7, 8, 12, 13]


@dataclass
class Drawn:
    frame: GaborFrame
    atoms: np.ndarray
    activations: np.ndarray
    n_samples: int
    rng: np.random.Generator


@st.composite
def models(draw, hops=None, enough_channels=True, zeros=True, origins=True, most=3):
    """A frame, atoms inside its window and activations on all its positions."""
    T_g = draw(st.sampled_from(LENGTHS))
    if enough_channels:
        M = T_g + draw(st.sampled_from([0, 1, 4, 60]))
    else:
        assume(T_g > 1)
        M = draw(st.integers(1, T_g - 1))
    a = hops or draw(st.integers(1, T_g))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    g = rng.uniform(0.2, 2.0, T_g) * rng.choice([-1.0, 1.0], T_g)
    if zeros and draw(st.booleans()):
        g[1::3] = 0.0
    origin = draw(st.integers(0, T_g - 1)) if origins else 0
    frame = GaborFrame(g, a, M, origin=origin)
    n_samples = draw(st.integers(1, 25))
    K = draw(st.integers(1, most))
    atoms = rng.standard_normal((K, T_g)) * (g != 0)
    activations = rng.standard_normal((K, frame.n_frames(n_samples)))
    activations *= rng.random(activations.shape) < draw(st.sampled_from([0.3, 1.0]))
    return Drawn(frame, atoms, activations, n_samples, rng)


def assert_close(found, wanted, scale=1.0, tolerance=1e-11):
    __tracebackhide__ = True
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * max(float(scale), 1e-300))


def complex_normal(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def convolution(atoms, activations, frame, n_samples):
    """Σ_k Σ_τ z_k[τ] d_k[t - aτ] for 0 <= t < T, sample by sample."""
    x = np.zeros(n_samples, np.result_type(atoms, activations))
    for d, z in zip(atoms, activations, strict=True):
        for n, value in enumerate(z):
            for s, sample in enumerate(d):
                t = frame.hop * (frame.first_frame + n) + s - frame.origin
                if 0 <= t < n_samples:
                    x[t] += value * sample
    return x
