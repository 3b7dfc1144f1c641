"""Mixtures are the same from the same seed, and hold what they say."""

import numpy as np
import pytest

from cdlnmf_lit.experiments import mixtures
from cdlnmf_lit.experiments.mixtures import (
    IN_ROOMS,
    JUDGED_AGAIN,
    KINDS,
    MIXTURES,
    RATES,
    ROOMS,
    SETS,
    in_a_room,
    mixture,
)
from cdlnmf_lit.experiments.signals import Mixture
from cdlnmf_lit.methods.choosing import RECIPE_OF


def test_the_sets_have_a_hundred_mixtures_each_and_no_seed_in_common():
    assert all(len(seeds) * len(MIXTURES) >= 100 for seeds in SETS.values())
    assert len(set().union(*SETS.values())) == sum(map(len, SETS.values()))
    assert set(ROOMS) <= IN_ROOMS
    assert 2 * len(IN_ROOMS & {*JUDGED_AGAIN}) == len(JUDGED_AGAIN)
    assert MIXTURES.keys() == KINDS.keys()
    assert set(KINDS.values()) == set(RECIPE_OF)


@pytest.mark.parametrize("name", MIXTURES)
def test_a_mixture_is_ten_seconds_and_no_louder_than_full_scale(name):
    one, again, other = MIXTURES[name](5), MIXTURES[name](5), MIXTURES[name](6)
    np.testing.assert_array_equal(one.stems, again.stems)
    assert not np.array_equal(one.signal, other.signal)
    assert one.signal.size == 10 * one.sample_rate
    assert 0.01 < np.abs(one.signal).max() <= 1.5
    assert np.isfinite(one.stems).all()
    assert one.names[-1] == "noise"


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind != "nothing"])
def test_every_source_of_what_repeats_sounds_twice_or_more(name):
    for seed in range(3):
        mixture = MIXTURES[name](seed)
        counts = np.bincount([event.stem for event in mixture.events])
        assert counts.size == len(mixture.sources)
        assert counts.min() >= 2


@pytest.mark.parametrize("name", ["clicks", "calls"])
def test_what_is_placed_comes_again_as_it_is(name):
    mixture = MIXTURES[name](2)
    for s, stem in enumerate(mixture.sources):
        begins = [round(e.onset * mixture.sample_rate) for e in mixture.events if e.stem == s]
        n = min(round(e.duration * mixture.sample_rate) for e in mixture.events if e.stem == s)
        one, other = (stem[begin : begin + n] for begin in begins[:2])
        c = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
        assert c > 0.999


# ---- rooms -----------------------------------------------------------------------------------


def clap(seconds=2.0):
    """A click of one sample, at 22,050 Hz, and a noise that is nothing."""
    stems = np.zeros((2, round(seconds * 22_050)))
    stems[0, 1000], stems[1, 0] = 1.0, 1e-9
    return Mixture(stems, 22_050, ("clap", "noise"))


def response(seed):
    """What a room makes of a clap, at any rate, from the direct sound on."""
    wet = in_a_room(clap(), seed)
    x = wet.sources[0]
    return x[round(1000 * wet.sample_rate / 22_050) :], wet.sample_rate


@pytest.mark.parametrize("seed", range(6))
def test_a_room_sounds_after_the_direct_sound_and_dies_away(seed):
    x, rate = response(seed)
    direct, room = np.sum(x[: round(0.001 * rate)] ** 2), np.sum(x[round(0.001 * rate) :] ** 2)
    assert -9 < 10 * np.log10(direct / room) < 15
    energy = np.cumsum(x[::-1] ** 2)[::-1]
    seconds = np.flatnonzero(energy > 1e-6 * room)[-1] / rate
    assert 0.1 < seconds < 1.6
    assert energy[round(0.5 * seconds * rate)] < 0.02 * room


def test_rooms_are_heard_at_every_rate_and_are_the_same_from_the_same_seed():
    assert {response(seed)[1] for seed in range(40)} == {*RATES}
    one, again, other = in_a_room(clap(), 1), in_a_room(clap(), 1), in_a_room(clap(), 2)
    np.testing.assert_array_equal(one.stems, again.stems)
    assert one.stems.shape != other.stems.shape or not np.array_equal(one.stems, other.stems)
    assert one.stems.shape[1] == 2 * one.sample_rate


def test_sources_are_at_places_of_their_own_and_the_noise_is_everywhere():
    stems = np.zeros((3, 22_050))
    stems[:2, 1000] = 1.0
    stems[2] = 1e-2 * np.sin(0.05 * np.arange(22_050))
    wet = in_a_room(Mixture(stems, 22_050, ("left", "right", "noise")), 7)
    left, right = wet.sources
    assert np.abs(left - right).max() > 0.01 * np.abs(left).max()
    middle = wet.stems[2][wet.sample_rate // 4 : wet.sample_rate // 2]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size)))
    assert np.sort(spectrum)[-6:].sum() > 0.99 * spectrum.sum()


def test_the_seed_says_whether_a_mixture_is_in_a_room():
    np.testing.assert_array_equal(mixture("hits", 1000).stems, MIXTURES["hits"](1000).stems)
    wet = mixture("hits", JUDGED_AGAIN[0])
    assert wet.signal.size == mixtures.SECONDS * wet.sample_rate
    assert wet.events == MIXTURES["hits"](JUDGED_AGAIN[0]).events
    gains = [{e.gain for e in mixture("notes", seed).events} for seed in (0, ROOMS[0])]
    assert np.std([*gains[1]]) > 2 * np.std([*gains[0]])
