"""Pursuit: what repeats is found with its places and gains, and nothing of it is left."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods.pursuit import (
    Correlated,
    Repeated,
    averaged,
    distinct,
    onsets,
    pursue,
    without,
)
from tests.strategies import normal, seeds

RATE, LENGTH = 4000, 400


def planted(seed, n_sounds=2, n_hits=6, n=48_000):
    """Bursts of noise that fall by half in 17 ms, where they begin, and their gains."""
    random = np.random.default_rng(seed)
    bursts = [
        0.99 ** np.arange(3 * LENGTH) * random.standard_normal(3 * LENGTH) for _ in range(n_sounds)
    ]
    slots = random.permutation(n // 1500 - 1)[: n_sounds * n_hits].reshape(n_sounds, n_hits)
    places = np.sort(slots, axis=1) * 1500 + random.integers(10, 280, slots.shape)
    gains = random.uniform(0.6, 1, slots.shape)
    x = np.zeros(n)
    for burst, at, gain in zip(bursts, places, gains, strict=True):
        for place, size in zip(at, gain, strict=True):
            x[place : place + burst.size] += size * burst
    return x, places, gains


@pytest.mark.parametrize(("seed", "dtype"), [(0, np.float64), (1, np.float32), (2, np.float64)])
def test_planted_bursts_are_found_with_their_places_and_gains(seed, dtype):
    x, places, gains = planted(seed)
    found = pursue(x.astype(dtype), RATE, length=0.1, most=2, longest=0.3)
    assert len(found) == 2
    for at, gain in zip(places, gains, strict=True):
        lags = [
            each.positions - at if each.count == at.size else np.array([0, 99]) for each in found
        ]
        (same,) = (k for k, lag in enumerate(lags) if np.ptp(lag) == 0)
        assert abs(lags[same][0]) <= 40
        assert found[same].atom.dtype == dtype
        shares = found[same].gains / gain
        np.testing.assert_allclose(shares, shares[0], rtol=1e-2)


def test_nothing_is_left_of_what_was_found():
    x, *_ = planted(0)
    first, second = pursue(x, RATE, most=2, longest=0.3)
    assert first.explained > 0
    left = without(without(x, first), second)
    assert np.sum(left**2) < 1e-3 * np.sum(x**2)


def test_a_silent_atom_takes_nothing_away():
    x = np.ones(50)
    silent = Repeated(np.zeros(10), np.array([5]), np.ones(1), 0.0)
    assert np.array_equal(without(x, silent), x)


def test_it_is_the_same_each_time_whatever_the_threads(monkeypatch):
    from cdlnmf_lit.theory import blocks

    x, *_ = planted(1)
    runs = []
    for threads in (1, 3):
        monkeypatch.setattr(blocks, "n_threads", lambda threads=threads: threads)
        runs.append(pursue(x, RATE, most=2))
    for one, other in zip(*runs, strict=True):
        assert one.atom.tobytes() == other.atom.tobytes()
        assert one.gains.tobytes() == other.gains.tobytes()


def test_noise_repeats_nothing():
    assert pursue(normal(0, 20_000), 10_000) == []


@given(seeds, st.floats(-0.5, 0.5))
def test_an_event_between_two_samples_leaves_hardly_anything(seed, delay):
    random = np.random.default_rng(seed)
    spectrum = np.fft.rfft(np.pad(np.hanning(60) * random.standard_normal(60), (40, 100)))
    f = np.fft.rfftfreq(200)
    spectrum *= np.clip((0.35 - f) / 0.1, 0, 1)  # the taps of an interpolation know no more
    atom = np.fft.irfft(spectrum, 200)
    x = np.fft.irfft(spectrum * np.exp(-2j * np.pi * f * delay), 200)
    whole = Repeated(atom, np.array([0]), np.array([1.0]), 0.0)
    assert np.sum(without(x, whole) ** 2) < 1e-3 * np.sum(x**2)
    if abs(delay) > 0.3:
        assert np.sum(without(x, whole, shifts=0) ** 2) > 1e-2 * np.sum(x**2)


@given(seeds)
def test_correlations_are_those_of_two_loops(seed):
    x = normal(seed, 300)
    atom = x[50:70]
    found = Correlated(x, 20).events_of(atom, 50)
    heard = np.array([x[n : n + 20] @ atom for n in range(281)]) / (atom @ atom)
    like = heard * np.linalg.norm(atom) / [np.linalg.norm(x[n : n + 20]) for n in range(281)]
    inside = found.positions <= 280
    np.testing.assert_allclose(found.gains[inside], heard[found.positions[inside]], atol=1e-9)
    assert np.all(like[found.positions[inside]] >= 0.35 - 1e-9)
    others = found.gains[np.abs(found.positions - 50) > 10]
    np.testing.assert_allclose(found.explained, np.sum(others**2) * (atom @ atom), atol=1e-9)


def test_a_median_passes_over_what_sounds_beside_a_few():
    x, positions = np.tile([2.0, 1.0, 0.0, 0.0], 5), np.arange(0, 20, 4)
    x[9] = 50.0
    found = Repeated(np.ones(1), positions, np.ones(5), 0.0)
    np.testing.assert_array_equal(averaged(x, found, 4), [2, 1, 0, 0])
    assert averaged(x, Repeated(np.ones(1), positions[:4], np.ones(4), 0.0), 4)[1] > 10


def test_the_rest_of_a_sound_is_not_another_but_one_that_often_joins_it_is():
    hat = Repeated(np.ones(1), np.arange(0, 6400, 100), np.ones(64), 1.0)
    rest = Repeated(np.ones(1), hat.positions[::-1][:50] + 7, np.ones(50), 0.1)
    kick = Repeated(np.ones(1), hat.positions[::3] + 2, np.ones(22), 0.5)
    assert list(distinct([hat, rest, kick], 1)) == [hat, kick]


def test_onsets_are_where_it_grows_louder():
    x = np.zeros(2000)
    for at in (300, 900, 1500):
        x[at:] += np.where(np.arange(2000 - at) < 400, 0.98 ** np.arange(2000 - at), 0)
    np.testing.assert_allclose(np.sort(onsets(x, 1000, 3)), [298, 898, 1498], atol=2)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"x": np.ones(150)}, "x must have at least two stretches of 400 samples, got 150"),
        ({"most": 0}, "most must be a whole number of at least 1, got 0"),
        ({"sample_rate": 0}, "sample_rate must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_input_is_refused(options, rule):
    with pytest.raises(ValueError, match=rule):
        pursue(**({"x": np.ones(900), "sample_rate": RATE} | options))
