"""What the properties are tried on, and the one dot-test for every operator."""

import numpy as np
from hypothesis import strategies as st

from cdlnmf_lit.theory.gabor import PHASES, GaborFrame

seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from([np.float32, np.float64])
lengths = st.sampled_from([1, 2, 3, 5, 7, 8, 13, 16, 31, 32, 37, 64, 97, 128])


def normal(seed, *shape, dtype=float):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@st.composite
def frames(draw, *, longest=16, phases=PHASES, origins=True, painless=None):
    """Frames with a window near a bump, any hop, and channels below, at and above its length.

    The window may begin with a zero, as SciPy's periodic ones do.
    """
    T_g = draw(st.integers(1, longest))
    hop = draw(st.integers(1, T_g))
    fewest = T_g if painless else max(1, min(T_g, 2 * hop))
    channels = draw(st.integers(fewest, 2 * T_g + 2))
    bump = np.hanning(T_g + 2)[1:-1] * (1 + 0.2 * np.random.default_rng(draw(seeds)).random(T_g))
    if hop < T_g and draw(st.booleans()):
        bump[0] = 0
    return GaborFrame(
        bump,
        hop,
        channels,
        phase=draw(st.sampled_from(phases)),
        origin=draw(st.integers(0, T_g - 1)) if origins else 0,
    )


def dot_test(operator, seed, tolerance=1e-10):
    """``<A u, v> = <u, A* v>``, linearity, and that the stated norm bounds the operator's."""
    rng = np.random.default_rng(seed)

    def draw(shape):
        values = rng.standard_normal(shape)
        if np.issubdtype(operator.dtype, np.complexfloating):
            values = values + 1j * rng.standard_normal(shape)
        return values.astype(operator.dtype)

    u, v = draw(operator.shape_in), draw(operator.shape_out)
    Au, Av = operator(u), operator.adjoint(v)
    assert Au.shape == operator.shape_out
    assert Av.shape == operator.shape_in
    scale = operator.norm * np.linalg.norm(u) * np.linalg.norm(v)
    assert abs(np.vdot(Au, v) - np.vdot(u, Av)) <= tolerance * scale
    other = draw(operator.shape_in)
    np.testing.assert_allclose(
        operator(u - 2 * other), Au - 2 * operator(other), atol=tolerance * scale
    )
    assert np.linalg.norm(Au) <= (1 + tolerance) * operator.norm * np.linalg.norm(u)
    flat = operator.as_linear_operator()
    np.testing.assert_allclose(flat @ u.ravel(), Au.ravel(), atol=tolerance * scale)
    np.testing.assert_allclose(flat.H @ v.ravel(), Av.ravel(), atol=tolerance * scale)


def positive(seed, *shape, dtype=float):
    return (normal(seed, *shape, dtype=dtype) ** 2).astype(dtype)
