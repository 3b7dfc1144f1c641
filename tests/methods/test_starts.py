"""Given starts are checked and copied; any method's result becomes spectra and activations."""

import tracemalloc
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit import METHODS, NMF
from cdlnmf_lit.methods import starts
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.theory.gabor import GaborFrame, hann
from tests.strategies import dtypes, frames, normal, seeds

SHAPES = {"patterns": (2, 3), "activations": (2, 4)}
powers = st.sampled_from([1.0, 2.0])


def of_spectra(frame, T, seed, power, dtype=float):
    shape = frame.channels // 2 + 1, frame.n_frames(T)
    W, Z = (normal(seed + n, 2, size, dtype=dtype) ** 2 for n, size in enumerate(shape))
    return Decomposition(
        "by hand",
        None,
        Z,
        frame.hop,
        frame.first_sample,
        np.zeros(T, dtype),
        spectra=W,
        sounds=normal(seed, 2, T, dtype=dtype),
        parameters={"power": power},
    )


@given(dtypes, seeds)
def test_given_arrays_are_contiguous_copies_in_the_precision_wanted(dtype, seed):
    W, Z = normal(seed, 3, 2).T ** 2, normal(seed, 2, 4) ** 2
    found = starts.checked_start((W, Z), SHAPES, dtype)
    for values, wanted in zip(found, (W, Z), strict=True):
        assert values.dtype == dtype
        assert values.flags.c_contiguous
        assert not np.shares_memory(values, wanted)
        np.testing.assert_array_equal(values, wanted.astype(dtype))


def test_patterns_may_be_complex_where_the_data_are():
    W = normal(0, 2, 3) + 1j * normal(1, 2, 3)
    found, Z = starts.checked_start(
        (W, np.ones((2, 4))), SHAPES, np.complex64, signed=("patterns",)
    )
    assert (found.dtype, Z.dtype) == (np.complex64, np.float32)
    with pytest.raises(ValueError, match="start's patterns must be real"):
        starts.checked_start((W, np.ones((2, 4))), SHAPES, np.float32, signed=("patterns",))


def test_activations_may_be_left_open_and_patterns_may_not():
    W, Z = starts.checked_start((np.ones((2, 3)), None), SHAPES, float)
    assert Z is None
    np.testing.assert_array_equal(W, 1)
    with pytest.raises(ValueError, match="start's patterns must"):
        starts.checked_start((None, np.ones((2, 4))), SHAPES, float)


@pytest.mark.parametrize(
    ("start", "rule"),
    [
        ((np.ones((2, 3)),), "start must hold patterns, activations, got 1 values"),
        ((np.ones((2, 3)), np.ones((2, 5))), r"activations must have shape \(2, 4\), got \(2, 5\)"),
        ((np.ones(3), np.ones((2, 4))), "start's patterns must be two-dimensional"),
        ((-np.ones((2, 3)), np.ones((2, 4))), "start's patterns must not be negative, got -1.0"),
        ((np.ones((2, 3)), np.full((2, 4), np.nan)), "start's activations must be finite"),
        ((1j * np.ones((2, 3)), np.ones((2, 4))), "start's patterns must be real"),
    ],
)
def test_a_bad_start_is_refused(start, rule):
    with pytest.raises(ValueError, match=rule):
        starts.checked_start(start, SHAPES, float)


@given(frames(), st.integers(1, 60), seeds, powers, powers, dtypes)
def test_factors_on_the_same_frames_are_kept(frame, T, seed, power, own, dtype):
    found = of_spectra(frame, T, seed, own, dtype)
    W, Z = starts.factors_of(found, frame, T, power, dtype)
    assert (W.dtype, Z.dtype) == (dtype, dtype)
    np.testing.assert_allclose(W, found.spectra ** (power / own), rtol=1e-5)
    np.testing.assert_allclose(Z, found.activations ** (power / own), rtol=1e-5)


@given(frames(longest=12), st.integers(20, 60), seeds, powers, dtypes)
def test_factors_elsewhere_are_the_margins_of_each_spectrogram(frame, T, seed, power, dtype):
    found = of_spectra(GaborFrame("hann", 5, 14), T, seed, power, dtype)
    W, Z = starts.factors_of(found, frame, T, power, dtype)
    assert (W.dtype, Z.dtype) == (dtype, dtype)
    assert W.min() > 0
    assert Z.min() > 0
    for k in range(2):
        V = frame.spectrogram(found.component(k), power)
        nearest = np.outer(V.sum(axis=1), V.sum(axis=0)) / V.sum()
        np.testing.assert_allclose(np.outer(Z[k], W[k]), nearest, atol=2e-5 * V.max() * V.shape[0])


@given(st.integers(1, 30), st.integers(1, 30), seeds)
def test_components_of_another_length_are_cut_or_go_on_at_their_mean(T, wanted, seed):
    frame = GaborFrame(np.ones(1), 1)
    found = Decomposition("by hand", np.ones((1, 1)), normal(seed, 1, T), 1, 0, np.zeros(T))
    _, Z = starts.factors_of(found, frame, wanted, 2.0, float)
    kept = min(T, wanted)
    power = found.component(0)[:kept] ** 2
    power = np.append(power, np.full(wanted - kept, power.mean()))
    np.testing.assert_allclose(Z[0] / Z[0].max(), np.maximum(power / power.max(), 1e-6))


def test_the_margins_are_summed_as_they_come():
    T, frame = 2**17, GaborFrame("hann", hop=32, channels=2**14)
    sound = np.random.default_rng(0).standard_normal(T)
    tracemalloc.start()
    starts._margins(sound, frame, 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(frame.blocks(T)) * (frame.channels // 2 + 1) * 8 / 2  # one array a block


def test_a_silent_component_stays_nearly_silent():
    found = Decomposition("by hand", np.eye(2), np.eye(2, 9), 1, 0, np.zeros(9))
    found.activations[1] = 0
    W, Z = starts.factors_of(found, GaborFrame("hann", 2, 4), 9, 1.0, float)
    assert np.isfinite(W).all()
    assert min(W.min(), Z.min()) > 0  # so that an update can move it
    assert Z[1].max() < 1e-5 * Z[0].max()


@given(st.integers(1, 4), st.integers(-9, 9), st.integers(1, 30), st.integers(1, 4), seeds)
def test_activations_go_to_the_nearest_positions(hop, first, n_activations, own_hop, seed):
    found = Decomposition("by hand", np.eye(2), normal(seed, 2, 20), own_hop, 0, np.zeros(40))
    Z = starts.activations_of(found, hop, first, n_activations)
    places = first + hop * np.arange(n_activations)
    moved = np.zeros_like(Z)
    for n, values in enumerate(found.activations.T):
        distance = np.abs(places - own_hop * n)
        if distance.min() <= hop / 2 and np.sum(distance == distance.min()) == 1:
            moved[:, np.argmin(distance)] += np.maximum(values, 0)
    assert Z.shape == (2, n_activations)
    if hop % 2:  # else two positions may be as near
        np.testing.assert_allclose(Z, np.maximum(moved, Z.min()), atol=2e-6 * max(1, Z.max()))
    if (hop, first) != (own_hop, 0) and Z.max() > 0:
        assert Z.min() > 0


@given(dtypes, st.sampled_from([1e-6, 0.1]), seeds)
def test_an_opened_factor_has_no_zeros_and_keeps_the_rest(dtype, share, seed):
    factor = np.maximum(normal(seed, 3, 9, dtype=dtype), 0)
    found = starts.opened(factor, share)
    assert found.dtype == dtype
    least = share * factor.max()
    np.testing.assert_array_equal(found[factor > least], factor[factor > least])
    np.testing.assert_allclose(found[factor <= least], least, rtol=1e-6)
    np.testing.assert_array_equal(starts.opened(0 * factor), 0)


@given(dtypes, seeds)
def test_loudness_is_that_of_the_best_fit(dtype, seed):
    x, model = normal(seed, 40, dtype=dtype), normal(seed + 1, 40, dtype=dtype)
    found = starts.loudness(x, model)
    assert found.dtype == dtype
    wanted = np.linalg.lstsq(model[:, None].astype(float), x, rcond=None)[0][0]
    assert found == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    assert starts.loudness(x, 0 * model) == 0


@given(st.integers(1, 4), st.integers(1, 9), dtypes, seeds)
def test_segments_are_of_the_signal_and_half_a_length_apart(K, length, dtype, seed):
    x = normal(seed, 90, dtype=dtype)
    found = starts.segments(x, K, length, np.random.default_rng(seed))
    assert (found.shape, found.dtype) == ((K, length), dtype)
    windows = np.lib.stride_tricks.sliding_window_view(x, length)
    begins = [int(np.flatnonzero(np.all(windows == segment, axis=1))[0]) for segment in found]
    for k, begin in enumerate(begins):
        assert all(abs(begin - other) > length // 2 for other in begins[:k])


def test_segments_are_drawn_by_their_energy():
    x = np.zeros(60)
    x[20:24], x[50] = 1.0, 1e-3
    for seed in range(20):
        (found,) = starts.segments(x, 1, 4, np.random.default_rng(seed))
        assert found.max() == 1
    shares = [
        starts.segments(np.repeat([1.0, 2.0], 20), 1, 1, np.random.default_rng(seed)).max() == 2
        for seed in range(400)
    ]
    assert 0.73 < np.mean(shares) < 0.87
    assert not starts.segments(0 * x, 2, 4, np.random.default_rng(0)).any()


# ---- several starts ------------------------------------------------------------------------------


@given(st.integers(1, 20), st.integers(0, 60), st.integers(0, 20))
def test_each_round_has_the_better_half_and_the_last_runs_to_the_end(n, iterations, every):
    found = starts.rounds(n, iterations, every)
    assert found[0][0] == n
    assert found[-1][1] == iterations
    for (before, reached), (after, beyond) in pairwise(found):
        assert after == -(-before // 2)
        assert reached < beyond
    assert [reached for _, reached in found[:-1]] == [
        every * (i + 1) for i in range(len(found) - 1)
    ]
    assert every or len(found) == 1
    assert not every or found[-1][0] == 1 or iterations <= every * len(found)


# ---- a result of any method, of another length -------------------------------------------------


def notes_that_recur(n_samples):
    """Two notes in turn, each with its own decay, and a little noise."""
    x = 0.005 * normal(0, n_samples)
    for pitch, step, begin in ((0.3, 1600, 100), (0.83, 1500, 900)):
        for n in range(begin, n_samples, step):
            length = min(900, n_samples - n)
            t = np.arange(length)
            x[n : n + length] += np.sin(pitch * t) * np.exp(-t / 300)
    return x


SIZES = {"frame": hann(256, 64), "atom_length": 400, "pattern_length": 8, "iterations": 30}


def sized(name, **options):
    kind = METHODS[name]
    known = {each.name for each in fields(kind)}
    return kind(**{key: value for key, value in (SIZES | options).items() if key in known})


@pytest.mark.parametrize("name", ["algorithm-1", "semi-nmf", "lrtfs", "nmf", "complex-nmf"])
def test_a_result_on_the_first_half_is_as_good_a_start_for_the_whole_as_noise(name):
    x, method = notes_that_recur(6000), sized(name)
    noise = max(method.decompose(x, 2, start="random", rng=seed).objective for seed in range(2))
    found = method.decompose(x, 2, start=method.decompose(x[:3000], 2))
    assert found.objective <= 1.02 * noise
    later = np.sum(found.components()[:, 4000:] ** 2)
    assert later > 0.5 * np.sum(x[4000:] ** 2)


@pytest.mark.parametrize("name", ["algorithm-1", "semi-nmf"])
@pytest.mark.parametrize("before", ["nmf", "convolutive-nmf", "complex-isnmf", "cdl"])
def test_activations_of_other_positions_are_found_anew(name, before):
    """What begins where a window begins, or at every sample, is in the wrong place on a grid."""
    x, method = notes_that_recur(6000), sized(name)
    found = sized(before).decompose(x, 2)
    first = next(method.iterate(x, 2, start=found))
    assert first.objective <= np.sum(x**2) / 2 * (1 + 1e-3)  # that of silence
    wanted = first.problem.activations_for(first.problem.taken(found)[0])
    np.testing.assert_array_equal(first.problem.taken(found)[1], wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("acceleration", ["none", "extrapolation"])
def test_zeros_in_a_start_are_refused_where_their_divergence_overflows(dtype, acceleration):
    x = notes_that_recur(2000).astype(dtype)
    method = NMF(frame=hann(128, 32), divergence=-1.0, iterations=5, acceleration=acceleration)
    W, Z = (np.random.default_rng(0).random(shape) for shape in method.shapes(2000, 2).values())
    assert np.isfinite(method.decompose(x, 2, start=(W, Z)).objective)
    holes = W.copy()
    holes[:, 3] = 0
    with pytest.raises(ValueError, match=r"start's patterns must be positive for β = -1, got 0"):
        method.decompose(x, 2, start=(holes, None))
    V = method.frame.spectrogram(x) + 1
    Z[:, 5] = 0
    with pytest.raises(ValueError, match="start's activations must be positive"):
        method.factorize(V, 2, start=(W, Z))
    euclidean = replace(method, divergence="euclidean", acceleration="extrapolation")
    found = replace(method, start=euclidean).decompose(x, 2)
    assert np.isfinite(found.objective)
