"""A louder or quieter signal has the same components, louder or quieter; or it is refused."""

from dataclasses import replace

import numpy as np
import pytest

from cdlnmf_lit import METHODS
from tests.methods.test_checkpoints import EVERY_KIND
from tests.methods.test_method import a_sound, small

SCALES = {
    np.float32: ((1e-15, 1e-9, 1e9, 1e12), 1e-4),
    np.float64: ((1e-21, 1e-9, 1e12), 1e-9),
}
SOME = list({name: (name, options) for name, options in EVERY_KIND}.values())
"""Of each method the last of its kinds."""


def louder(method, scale):
    """The method with its penalty for a signal that is so much louder.

    A divergence grows with the power ``pβ`` of the scale, the activations with ``p``.
    """
    penalty, beta = getattr(method, "penalty", None), getattr(method, "beta", 2.0)
    return replace(method, penalty=penalty * scale ** (beta - 1)) if penalty else method


def required_to_scale(method, dtype, scales, tolerance):
    x = a_sound(dtype, n_samples=900)
    wanted = method.decompose(x, 2).components().astype(float)
    taken = []
    for scale in scales:
        try:
            found = louder(method, scale).decompose(x * dtype(scale), 2).components()
        except ValueError as error:
            if "x must be at its largest from" in str(error):
                continue
            raise
        assert found.dtype == dtype
        difference = np.linalg.norm(found.astype(float) / scale - wanted)
        assert difference <= tolerance * np.linalg.norm(wanted), scale
        taken.append(scale)
    return taken


@pytest.mark.parametrize("dtype", SCALES)
@pytest.mark.parametrize(("name", "options"), SOME, ids=str)
def test_components_scale_with_the_signal_or_it_is_refused(name, options, dtype):
    scales, tolerance = SCALES[dtype]
    taken = required_to_scale(small(name, iterations=5, **options), dtype, scales, tolerance)
    assert taken == ([1e-9, 1e9] if dtype == np.float32 else list(scales))


@pytest.mark.parametrize("dtype", SCALES)
@pytest.mark.parametrize(("name", "options"), EVERY_KIND, ids=str)
@pytest.mark.long
def test_every_kind_of_method_scales(name, options, dtype):
    scales, tolerance = SCALES[dtype]
    required_to_scale(small(name, iterations=5, **options), dtype, scales, tolerance)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("power", [-29, 29])
def test_a_power_of_two_changes_no_bit_but_the_scale(name, power):
    """Iterations that are long may part after roundings; where none differ, nothing does."""
    x, method = a_sound(np.float32, n_samples=900), small(name, iterations=20)
    wanted, found = (method.decompose(each, 2).components() for each in (x, np.ldexp(x, power)))
    np.testing.assert_allclose(np.ldexp(found, -power), wanted, rtol=1e-4, atol=1e-6)
