"""Events: planted ones come out where they are, whatever finds them and however they are cut."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.convolutive_nmf import ConvolutiveNMF
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.events import FALL, Events, band, events_in, events_of, pitch
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.theory.convolution import synthesize
from cdlnmf_lit.theory.gabor import hann
from tests.strategies import seeds

FS = 8000


def click(length=200, frequency=1500.0, decay=120.0):
    t = np.arange(length) / FS
    return np.exp(-decay * t) * np.sin(2 * np.pi * frequency * t + 0.3)


def planted(atoms, places, n, gains=1.0):
    """Activations of atoms at the places of each."""
    z = np.zeros((len(atoms), n))
    for row, each in zip(z, places, strict=True):
        row[list(each)] = gains
    return z


def notes(onsets, seconds=0.6, frequency=440.0, duration=4.0):
    """Struck notes of four partials that die away, with random phases."""
    rng, x = np.random.default_rng(0), np.zeros(int(duration * FS))
    t = np.arange(int(seconds * FS)) / FS
    for onset in onsets:
        begin = round(onset * FS)
        for n in range(1, 5):
            tone = np.sin(2 * np.pi * (n * frequency * t + rng.random())) / n
            x[begin : begin + t.size] += np.exp(-12 * t) * tone
    return x


# ---- patterns ------------------------------------------------------------------------------------


@given(st.floats(200, 3500), st.integers(400, 2000))
def test_a_tone_has_its_band_and_pitch(frequency, length):
    tone = np.sin(2 * np.pi * frequency * np.arange(length) / FS) * np.hanning(length)
    low, high = band(tone, FS)
    assert low < frequency < high
    assert high - low < 4 * FS / length
    if frequency < 1900:
        assert pitch(tone, FS) == pytest.approx(frequency, rel=0.02)


@given(seeds)
def test_the_band_holds_nine_tenths_of_the_energy(seed):
    spectrum = np.random.default_rng(seed).random((3, 129)) ** 4
    low, high = band(spectrum, FS)
    power, f = np.sum(spectrum**2, axis=0), np.linspace(0, FS / 2, 129)
    half = f[1] / 2
    assert power[(f > low + half) & (f < high - half)].sum() <= 0.9 * power.sum() + 1e-12
    assert power[(f > low - half) & (f < high + half)].sum() >= 0.9 * power.sum() - 1e-12


def test_chirps_and_noise_have_no_pitch():
    t = np.arange(4000) / FS
    assert pitch(np.sin(2 * np.pi * (300 * t + 2000 * t**2)), FS) is None


# ---- atoms: a sample -----------------------------------------------------------------------------


@given(st.integers(0, 3000), st.floats(0.3, 3))
def test_an_atom_sounds_from_its_sample_on_at_its_level(place, gain):
    atom = click()
    z = planted([atom], [[place]], 6000, gain)
    found = events_in(atom[None], z, sample_rate=FS, first_sample=-50)
    assert len(found) == 1
    true = max(0, place - 50) / FS
    assert found.onset[0] == pytest.approx(true, abs=0.0015)
    # exp(-120 t) has fallen by 20 dB after ln(10) / 120 s
    assert found.end[0] == pytest.approx((place - 50) / FS + np.log(10) / 120, abs=0.0025)
    assert found.level[0] == pytest.approx(20 * np.log10(gain), abs=2.5)


@given(seeds)
def test_shifted_and_scaled_activations_give_shifted_and_scaled_events(seed):
    rng = np.random.default_rng(seed)
    atoms = np.stack([click(300), click(300, 700, 60)])
    places = [np.sort(rng.choice(np.arange(2, 18), 5, replace=False)) * 500 for _ in atoms]
    z = planted(atoms, places, 10_000, rng.uniform(0.5, 1, 5))
    one = events_in(atoms, z, sample_rate=FS)
    other = events_in(atoms, 0.1 * z, sample_rate=FS, start=FS)
    assert len(one) == len(other) == 10
    np.testing.assert_allclose(other.onset, one.onset + 1)
    np.testing.assert_allclose(other.end, one.end + 1)
    np.testing.assert_allclose(other.level, one.level - 20)


def test_a_weak_activation_beside_an_attack_does_not_move_it():
    atom = click()
    z = planted([atom], [[2000]], 6000)
    z[0, [1985, 2012]] = 0.3, -0.2
    assert events_in(atom[None], z, sample_rate=FS).onset[0] == pytest.approx(0.25, abs=0.0015)


def test_a_sustained_sound_is_one_event_as_long_as_it_lasts():
    atom = np.hanning(256) * np.sin(0.6 * np.arange(256))
    z = np.zeros((1, 200))
    z[0, 60:140] = 1 + 0.2 * np.random.default_rng(0).standard_normal(80)
    found = events_in(atom[None], z, sample_rate=FS, hop=64)
    assert len(found) == 1
    assert found.onset[0] == pytest.approx(60 * 64 / FS, abs=0.015)
    assert found.end[0] == pytest.approx((139 * 64 + 256) / FS, abs=0.015)


def test_a_call_of_syllables_is_one_event():
    syllables = np.sin(0.9 * np.arange(2400)) * (np.arange(2400) // 400 % 2 == 0)
    z = planted([syllables], [[4000, 12_000]], 20_000)
    found = events_in(syllables[None], z, sample_rate=FS)
    np.testing.assert_allclose(found.onset, [0.5, 1.5], atol=0.005)
    np.testing.assert_allclose(found.end - found.onset, 2000 / FS, atol=0.01)


def test_an_atom_that_has_learnt_noise_begins_where_its_sound_does():
    rng = np.random.default_rng(0)
    atom = 0.03 * rng.standard_normal(8000)
    atom[3000:5000] += np.sin(1.1 * np.arange(2000))
    z = planted([atom], [[2000]], 12_000)
    found = events_in(atom[None], z, sample_rate=FS)
    assert found.onset[0] == pytest.approx(5000 / FS, abs=0.005)
    assert found.end[0] == pytest.approx(7000 / FS, abs=0.005)


# ---- spectra: better than a hop ------------------------------------------------------------------


@pytest.mark.parametrize("hop", [64, 128, 256])
@pytest.mark.parametrize("length", [1, 4])
def test_sudden_sounds_are_found_within_a_hop_and_alike_within_a_fraction(hop, length):
    onsets = 0.5 + np.arange(4) * 0.8 + np.array([0.0, 0.011, 0.023, 0.037])
    x = notes(onsets) + 1e-4 * np.random.default_rng(1).standard_normal(4 * FS)
    frame = hann(4 * hop, hop)
    method = (
        NMF(frame=frame, iterations=30)
        if length == 1
        else ConvolutiveNMF(frame=frame, pattern_length=length, iterations=30)
    )
    found = method.decompose(x, 1).events(FS)
    assert len(found) == 4
    errors = (found.onset - onsets) * FS / hop
    assert np.abs(errors).max() < 0.9
    assert np.std(errors) < 0.15
    assert np.ptp(found.level) < 2
    assert np.all(found.confidence > 0.6)
    assert np.all((found.lowest < 440) & (found.highest > 880))


def test_the_power_of_the_spectra_changes_no_onset_by_a_hop():
    x = notes([0.5, 1.6])
    method = NMF(frame=hann(512, 128), iterations=40)
    one = method.decompose(x, 1).events(FS)
    other = replace(method, power=2.0).decompose(x, 1).events(FS)
    np.testing.assert_allclose(one.onset, other.onset, atol=0.9 * 128 / FS)
    np.testing.assert_allclose(one.level, other.level, atol=4)


def test_a_slow_swell_begins_where_it_is_20_db_below_its_peak():
    t = np.arange(3 * FS) / FS
    swell = np.clip((t - 0.5) / 1.5, 0, 1) * np.clip((2.6 - t) / 0.2, 0, 1)
    x = swell * np.sin(2 * np.pi * 700 * t)
    found = NMF(frame=hann(512, 128), iterations=40).decompose(x, 1).events(FS)
    assert len(found) == 1
    assert found.onset[0] == pytest.approx(0.5 + 1.5 * 10 ** (-FALL / 20), abs=0.03)


# ---- confidence ----------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3, 1.0])
def test_confidence_is_the_share_that_the_component_explains(noise):
    atom = np.sin(0.6 * np.arange(2000)) * np.hanning(2000)
    z = planted([atom], [[3000]], 9000)
    sound = synthesize(atom[None], z)
    x = sound + noise * np.random.default_rng(0).standard_normal(sound.size)
    found = events_in(atom[None], z, sample_rate=FS, recording=x)
    begin, end = round(found.onset[0] * FS), round(found.end[0] * FS) + 1
    low, high = np.array([found.lowest[0], found.highest[0]]) * (end - begin) / FS
    X, R = np.fft.rfft(x[begin:end]), np.fft.rfft((x - sound)[begin:end])
    inside = slice(int(low), int(np.ceil(high)) + 1)
    share = 1 - np.sum(np.abs(R[inside]) ** 2) / np.sum(np.abs(X[inside]) ** 2)
    assert found.confidence[0] == pytest.approx(share, abs=1e-6)
    assert (found.confidence[0] > 1 - 1e-9) == (noise == 0)


def test_what_a_component_hardly_explains_is_no_event():
    atom = click()
    z = planted([atom], [[2000, 4000]], 6000)
    x = synthesize(atom[None], planted([atom], [[2000]], 6000))
    x[4000:4400] += np.random.default_rng(0).standard_normal(400) * 20
    both = events_in(atom[None], z, sample_rate=FS)
    assert len(both) == 2
    assert np.all(np.isnan(both.confidence))
    assert events_in(atom[None], z, sample_rate=FS, recording=x).onset == pytest.approx(
        0.25, abs=2e-3
    )


# ---- a stretch at a time -------------------------------------------------------------------------


@given(seeds, st.integers(700, 4000))
def test_stretches_give_the_events_of_the_whole(seed, size):
    rng = np.random.default_rng(seed)
    atoms = np.stack([click(300), click(300, 700, 60)])
    z = planted(atoms, [np.sort(rng.integers(0, 11_500, 12)) for _ in atoms], 11_700)
    x = synthesize(atoms, z)
    x += 0.01 * rng.standard_normal(x.size)
    least = np.full(2, -15.0)
    asked = {"sample_rate": FS, "least": least}
    whole = events_in(atoms, z, recording=x, **asked)
    margin, parts = 4 * 300, []
    for begin in range(0, z.shape[1], size):
        start, stop = max(0, begin - margin), min(z.shape[1], begin + size + margin)
        piece = x[start : stop + 299]
        parts.append(
            events_in(
                atoms, z[:, start:stop], recording=piece, start=start,
                within=(begin, begin + size), **asked,
            )
        )  # fmt: skip
    joined = Events.joined(parts)
    assert len(joined) == len(whole)
    np.testing.assert_allclose(joined.onset, whole.onset, atol=1e-9)
    np.testing.assert_array_equal(joined.component, whole.component)


# ---- results and refusals ------------------------------------------------------------------------


def test_silence_has_no_events():
    found = Decomposition("hand", np.ones((1, 8)), np.zeros((1, 93)), 1, 0, np.zeros(100))
    assert len(found.events(FS)) == 0
    assert len(Events.joined([])) == 0


def test_events_need_a_rate_and_arrays_that_fit():
    found = CDL(atom_length=40, iterations=2).decompose(np.sin(0.3 * np.arange(400.0)), 1)
    with pytest.raises(ValueError, match="sample_rate must be given"):
        events_of(found)
    with pytest.raises(ValueError, match="activations must have 2 rows"):
        events_in(np.ones((2, 8)), np.ones((1, 9)), sample_rate=FS)
    with pytest.raises(ValueError, match="least must have 1 levels"):
        events_in(np.ones((1, 8)), np.ones((1, 9)), sample_rate=FS, least=[1.0, 2.0])
    with pytest.raises(ValueError, match="power must be above 0"):
        events_in(np.ones((1, 9)), np.ones((1, 9)), sample_rate=FS, frame=hann(16, 4), power=0)


def test_events_can_be_chosen():
    table = Events(
        [0.0, 1, 2], [1.0, 2, 3], [0, 1, 0], [0, 0, 0], [0, 0, 0], [9, 9, 9], [1, 0.5, 0.2]
    )
    assert table[table.component == 0].onset.tolist() == [0, 2]
    assert len(table[1]) == 1
    assert len(list(table.rows)) == 3
