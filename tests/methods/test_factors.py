"""What an update divides and scales by has no 0/0, and scaling leaves the products alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods import factors
from tests.strategies import dtypes, normal, seeds

shapes = st.sampled_from([(1, 1), (3, 5), (2, 4, 3)])


@given(dtypes, st.integers(-30, 30), seeds)
def test_a_ratio_is_the_quotient_and_one_where_there_is_none(dtype, exponent, seed):
    up, down = (np.abs(normal(seed + n, 20, dtype=dtype)) * dtype(10.0) ** exponent for n in (0, 1))
    found = factors.ratio(up, down)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, up / down)
    np.testing.assert_array_equal(factors.ratio(0 * up, down), 0)
    np.testing.assert_array_equal(factors.ratio(0 * up, 0 * down), 1)
    np.testing.assert_array_equal(factors.ratio(up, 0 * down), 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_ratio_is_a_number_however_small_it_divides(dtype):
    smallest = np.finfo(dtype).tiny
    for up in (0, 1, 1e30):
        for down in (0, smallest / 4, smallest, 2 * smallest):
            with np.errstate(all="raise", under="ignore"):
                assert np.isfinite(factors.ratio(np.array([up], dtype), np.array([down], dtype)))


@given(shapes, dtypes, seeds)
def test_normalised_factors_have_norm_one_and_the_same_products(shape, dtype, seed):
    W, Z = normal(seed, *shape, dtype=dtype), normal(seed + 1, shape[0], 7, dtype=dtype)
    W[-1] = 0
    unit, louder = factors.normalised(W, Z)
    assert unit.dtype == louder.dtype == dtype
    wanted = [np.sqrt(np.sum(w**2)) for w in W[:-1]]
    np.testing.assert_allclose(factors.norms(W), [*wanted, 1], rtol=1e-5)
    np.testing.assert_allclose(factors.norms(unit), 1, rtol=1e-5)
    np.testing.assert_array_equal(unit[-1], 0)
    np.testing.assert_array_equal(louder[-1], Z[-1])
    for k in range(shape[0]):
        product = np.multiply.outer(louder[k], unit[k])
        np.testing.assert_allclose(product, np.multiply.outer(Z[k], W[k]), rtol=1e-5)


def test_patterns_are_divided_by_the_sizes_that_are_given():
    W, Z = factors.normalised(np.ones((2, 3)), np.ones((2, 4)), np.array([2.0, 4.0]))
    np.testing.assert_array_equal(W, np.repeat([[0.5], [0.25]], 3, axis=1))
    np.testing.assert_array_equal(Z, np.repeat([[2.0], [4.0]], 4, axis=1))


@given(dtypes, st.floats(0.01, 3), seeds)
def test_in_the_ball_the_nearest_are_found(dtype, scale, seed):
    patterns = normal(seed, 4, 3, dtype=dtype) * dtype(scale)
    found = factors.in_ball(patterns)
    assert found.dtype == dtype
    for given_one, near in zip(patterns, found, strict=True):
        size = np.linalg.norm(given_one)
        np.testing.assert_allclose(near, given_one / max(size, 1), rtol=1e-5)
    np.testing.assert_array_equal(factors.in_ball(0 * patterns), 0)
