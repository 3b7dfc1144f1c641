"""Stretches: every sample is in one block, whatever blocks a recording comes in."""

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.recordings import stretches as module
from cdlnmf_lit.recordings.stretches import from_sample, resampled, stretches
from tests.strategies import dtypes, normal, seeds


def cut(x, seed):
    """The same signal in blocks of random lengths, some of them empty."""
    places = np.sort(np.random.default_rng(seed).integers(0, x.size + 1, 4))
    return np.split(x, places)


around = st.integers(0, 9)


@given(st.integers(1, 60), st.integers(1, 20), around, around, seeds)
def test_stretches_are_the_same_whatever_blocks_come(n, size, before, after, seed):
    x = normal(seed, n)
    found = list(stretches(cut(x, seed), size, before, after))
    np.testing.assert_array_equal(
        np.concatenate([e.samples[e.begin - e.start : e.end - e.start] for e in found]), x
    )
    for each, begin in zip(found, range(0, n, size), strict=True):
        assert (each.begin, each.end) == (begin, min(begin + size, n))
        first, stop = max(0, each.begin - before), min(each.end + after, n)
        assert each.start == first
        np.testing.assert_array_equal(each.samples, x[first:stop])
        assert (each.is_last, each.is_end) == (each.end == n, stop == n)


@given(st.integers(1, 60), st.integers(1, 20), around, around, seeds, st.integers(1, 3))
def test_stretches_go_on_where_they_were_left(n, size, before, after, seed, done):
    x = normal(seed, n)
    whole = list(stretches([x], size, before, after))[done:]
    begin = done * size
    start = max(0, begin - before)
    rest = list(stretches(from_sample(cut(x, seed), start), size, before, after, begin, start))
    for one, other in zip(whole, rest, strict=True):
        assert (one.begin, one.end, one.start) == (other.begin, other.end, other.start)
        np.testing.assert_array_equal(one.samples, other.samples)


@given(st.integers(1, 400), st.sampled_from([(1, 2), (2, 1), (2, 3), (7, 5)]), seeds, dtypes)
def test_resampling_by_blocks_is_that_of_the_whole(n, ratio, seed, dtype):
    x = normal(seed, n, dtype=dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RESAMPLED", 64)
        found = np.concatenate(list(resampled(cut(x, seed), *ratio)))
    wanted = scipy.signal.resample_poly(x, *ratio)
    assert found.dtype == dtype
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found, wanted, atol=tolerance)
