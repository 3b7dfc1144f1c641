"""Signals with known truth: what was asked of them is measured back from the samples."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import scipy.linalg
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cdlnmf_lit.experiments import signals
from cdlnmf_lit.experiments.signals import Event, Measure, Mixture, Note, chirps, piano

SEEDS = (0, 1, 2)
KEYS = range(len(signals.PIANO_NOTES))
MEASURES = signals.PIANO_MEASURES
SHORT = MEASURES[:1]
seeds = st.integers(0, 2**32 - 1)


def short_piano(rng=0, **changes):
    return piano(rng, **{"measures": SHORT, "duration": 2.5, **changes})


def decibels(x):
    return 20 * np.log10(np.maximum(np.abs(x), 1e-12))


def envelope(x, sample_rate, frequency, smooth=0.05):
    """The complex envelope of one partial: heterodyned, then smoothed by a Hann window."""
    window = np.hanning(int(smooth * sample_rate))
    carrier = np.exp(-2j * np.pi * frequency * np.arange(len(x)) / sample_rate)
    return np.convolve(x * carrier, 2 * window / window.sum(), "same")


def first_strike(mixture, key):
    """One strike of a note, from its onset to its release."""
    event = next(event for event in mixture.events if event.stem == key)
    begin, end = (
        round(t * mixture.sample_rate) for t in (event.onset, event.onset + event.duration)
    )
    return mixture.stems[key, begin:end]


def measured_frequency(x, sample_rate, near):
    """From the phase that a partial gains between 0.1 and 0.4 s."""
    phase = np.unwrap(np.angle(envelope(x, sample_rate, near, smooth=0.1)))
    start, stop = int(0.1 * sample_rate), int(0.4 * sample_rate)
    slope = np.polyfit(np.arange(start, stop) / sample_rate, phase[start:stop], 1)[0]
    return near + slope / (2 * np.pi)


# ---- mixtures ----------------------------------------------------------------------------------


@given(
    arrays(float, st.tuples(st.integers(1, 5), st.integers(1, 40)), elements=st.floats(-1e6, 1e6))
)
def test_the_signal_is_the_sum_of_the_stems(stems):
    mixture = Mixture(stems, 22_050, tuple(f"stem {k}" for k in range(len(stems))))
    np.testing.assert_array_equal(mixture.signal, stems.sum(axis=0))
    np.testing.assert_array_equal(mixture.sources, stems)


@pytest.mark.parametrize("make", [piano, chirps])
def test_stems_add_up_to_the_mixture_exactly(make):
    mixture = make(rng=3)
    np.testing.assert_array_equal(mixture.signal, sum(mixture.stems))
    np.testing.assert_array_equal(mixture.sources, mixture.stems[:-1])
    assert mixture.names[-1] == "noise"
    assert mixture.signal.dtype == mixture.stems.dtype == np.float64


def test_a_mixture_cannot_be_changed():
    given_stems = np.zeros((1, 4))
    mixture = Mixture(given_stems, 8000, ("stem",))
    given_stems[:] = 1
    assert not mixture.stems.any()
    with pytest.raises(ValueError, match="read-only"):
        mixture.stems[:] = 1
    with pytest.raises(FrozenInstanceError):
        mixture.sample_rate = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stems": np.zeros(4)}, "stems must be two-dimensional"),
        ({"stems": np.zeros((2, 0))}, "stems must not be empty"),
        ({"stems": np.full((2, 3), np.nan)}, "stems must be finite"),
        ({"stems": np.zeros((2, 3), complex)}, "stems must be real"),
        ({"stems": np.zeros((2, 3), int)}, "stems must hold floating-point numbers"),
        ({"sample_rate": 0}, "sample_rate must be a whole number of at least 1, got 0"),
        ({"names": ("a",)}, "names must be 2 different ones"),
        ({"names": ("a", "a")}, "names must be 2 different ones"),
        ({"events": (Event(0.0, 1.0, stem=2),)}, "event.stem must be a whole number from 0 to 1"),
    ],
)
def test_bad_mixtures_are_refused(changes, message):
    good = {"stems": np.zeros((2, 3)), "sample_rate": 8000, "names": ("a", "b")}
    with pytest.raises(ValueError, match=message):
        Mixture(**(good | changes))


def test_stems_are_read_from_files(tmp_path):
    stems = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 100))
    paths = [tmp_path / "viola.wav", tmp_path / "drum.flac"]
    for path, stem in zip(paths, stems, strict=True):
        soundfile.write(path, stem, 16_000, subtype="PCM_24")
    mixture = Mixture.from_files(paths)
    assert (mixture.names, mixture.sample_rate) == (("viola", "drum"), 16_000)
    np.testing.assert_allclose(mixture.stems, stems, atol=2**-23)
    assert Mixture.from_files(paths, names=["a", "b"]).names == ("a", "b")


def test_bad_stem_files_are_refused(tmp_path):
    def sound(name, samples, sample_rate=8000):
        soundfile.write(tmp_path / name, samples, sample_rate)
        return tmp_path / name

    good = sound("good.wav", np.zeros(10))
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    for paths, error, message in [
        ([], ValueError, "paths must name at least one sound file"),
        ([tmp_path / "absent.wav"], FileNotFoundError, "absent.wav, which is no file"),
        ([tmp_path], FileNotFoundError, "which is no file"),
        ([text], OSError, "text.wav"),
        ([sound("stereo.wav", np.zeros((10, 2)))], ValueError, "pick or average the channels"),
        ([sound("none.wav", np.zeros(0))], ValueError, "must not be empty"),
        ([good, sound("fast.wav", np.zeros(10), 9000)], ValueError, "share one sample rate"),
        ([good, sound("long.wav", np.zeros(11))], ValueError, "share one length"),
        ([good, good], ValueError, "names must be 2 different ones"),
    ]:
        with pytest.raises(error, match=message):
            Mixture.from_files(paths)


# ---- strings ---


@given(
    st.integers(1, 3),
    arrays(float, 3, elements=st.floats(0.999, 1.001)),
    arrays(float, 2, elements=st.floats(10.0, 80.0)),
    arrays(float, 3, elements=st.floats(0.5, 1.5)),
    st.floats(0.0, 1.0),
)
def test_modes_sum_to_the_solution_of_the_strings_equation(n_strings, tuning, prompt, pull, t):
    """Against the matrix exponential, step by step."""
    tuning, pull = tuning[:n_strings], pull[:n_strings]
    frequencies, late = np.array([300.0, 610.0]), prompt / 4
    rates, amplitudes = signals.string_modes(frequencies, tuning, prompt, late, pull)
    bridge = (amplitudes * np.exp(rates * t)).sum(axis=1)
    for k, f in enumerate(frequencies):
        nepers = np.log(10) / 20 * np.array([late[k], prompt[k] - late[k]])
        A = (
            2j * np.pi * f * np.diag(tuning)
            - nepers[0] * np.eye(n_strings)
            - nepers[1] * np.ones((n_strings, n_strings)) / n_strings
        )
        y = scipy.linalg.expm(A * t) @ (pull / pull.sum())
        assert bridge[k] == pytest.approx(y.sum(), abs=1e-6)


# ---- the piano ---------------------------------------------------------------------------------


def test_the_piano_has_the_length_and_the_score_of_the_recording():
    mixture = piano()
    assert mixture.stems.shape == (5, 345_500)
    assert mixture.sample_rate == 22_050
    played = [{e.stem for e in mixture.events if e.onset == m.onset} for m in MEASURES]
    assert played == [{0, 1, 2, 3}, {0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}]


@given(seeds)
def test_the_same_seed_plays_the_same_and_another_does_not(seed):
    once, again, other = (
        short_piano(rng, duration=0.3, sample_rate=8000) for rng in (seed, seed, seed + 1)
    )
    np.testing.assert_array_equal(once.stems, again.stems)
    assert once.events == again.events
    assert np.all(np.any(once.stems != other.stems, axis=1))


@pytest.mark.parametrize("make", [short_piano, chirps])
def test_a_generator_is_a_seed_too(make):
    from_generator = make(np.random.default_rng(5))
    np.testing.assert_array_equal(from_generator.stems, make(5).stems)


@pytest.mark.parametrize("seed", SEEDS)
def test_neither_signal_clips(seed):
    assert 0.3 < np.abs(piano(seed).signal).max() < 1
    assert 0.2 < np.abs(chirps(seed, overlapping=True).signal).max() < 1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("key", KEYS)
def test_frequencies_and_inharmonicity_are_those_of_the_note(key, seed):
    note, strike = signals.PIANO_NOTES[key], first_strike(short_piano(seed), key)
    asked = note.partials(below=11_025)[:6]
    found = np.array([measured_frequency(strike, 22_050, f) for f in asked])
    assert np.all(np.abs(1200 * np.log2(found / asked)) < 3)
    n = np.arange(1, 7)
    slope, intercept = np.polyfit(n**2, (found / n) ** 2, 1)
    assert slope / intercept == pytest.approx(note.inharmonicity, rel=0.2)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("key", KEYS)
def test_levels_are_those_of_the_note(key, seed):
    note = signals.PIANO_NOTES[key]
    strike = first_strike(short_piano(seed, variation=0, knock=0), key)
    at = 0.03
    level = decibels(envelope(strike, 22_050, note.frequency, smooth=0.04))[int(at * 22_050)]
    assert level == pytest.approx(note.level - at * note.prompt, abs=1)


@pytest.mark.parametrize("key", KEYS)
def test_a_note_decays_first_promptly_then_slowly(key):
    """With strings in unison there is the prompt decay alone; out of tune, the late one shows."""
    note = signals.PIANO_NOTES[key]

    def rate(mistuning, begin, end, seed=0):
        strike = first_strike(short_piano(seed, mistuning=mistuning, knock=0), key)
        levels = decibels(envelope(strike, 22_050, note.frequency))
        return (levels[int(begin * 22_050)] - levels[int(end * 22_050)]) / (end - begin)

    assert rate(0.0, 0.1, 0.5) == pytest.approx(note.prompt, abs=0.5)
    assert rate(0.0, 1.1, 1.5) == pytest.approx(note.prompt, abs=0.5)
    assert rate(0.2, 0.1, 0.5) == pytest.approx(note.prompt, abs=2)


def test_strings_out_of_tune_leave_an_aftersound():
    late = Note("A4", 440.0, 4e-4, level=-12.0, prompt=60.0, late=5.0)
    mixture = piano(mistuning=0.5, knock=0, notes=[late], measures=[Measure(0, 4, (0,))])
    levels = decibels(envelope(mixture.stems[0], 22_050, 440.0))
    prompt, aftersound = (
        (levels[int(a * 22_050)] - levels[int((a + 0.3) * 22_050)]) / 0.3 for a in (0.05, 3.0)
    )
    assert 45 < prompt < 65
    assert 4 < aftersound < 12


def test_higher_partials_of_strings_out_of_tune_beat():
    """In unison each partial falls steadily; out of tune its envelope rises again and again."""
    note = signals.PIANO_NOTES[1]

    def rises(mistuning):
        strike = first_strike(short_piano(0, mistuning=mistuning, knock=0), 1)
        partials = note.partials(below=11_025)[1:7]
        levels = [decibels(envelope(strike, 22_050, f))[2205:30_000:441] for f in partials]
        return sum(np.sum(np.diff(level) > 0.05) for level in levels)

    assert rises(0.0) == 0
    assert rises(0.8) > 20


def test_the_strike_point_weakens_the_partial_that_has_a_node_there():
    """Averaged over pianos, since the soundboard lifts or lowers each partial of one."""
    note = replace(signals.PIANO_NOTES[0], strike=1 / 8)
    f = note.partials(below=11_025)[6:9]
    levels = [
        [decibels(envelope(strike, 22_050, near))[2205] for near in f]
        for strike in (
            first_strike(short_piano(seed, notes=[note], measures=[Measure(0, 1, (0,))]), 0)
            for seed in range(8)
        )
    ]
    seventh, eighth, ninth = np.mean(levels, axis=0)
    assert (seventh + ninth) / 2 - eighth > 10


@pytest.mark.parametrize("key", KEYS)
def test_strikes_differ_in_level_as_their_events_say(key):
    mixture, note = piano(rng=1, knock=0), signals.PIANO_NOTES[key]
    events = [event for event in mixture.events if event.stem == key]
    levels = decibels(envelope(mixture.stems[key], 22_050, note.frequency))
    found = np.array([levels[round((event.onset + 0.2) * 22_050)] for event in events])
    asked = np.array([event.gain for event in events])
    np.testing.assert_allclose(found - found.mean(), asked - asked.mean(), atol=0.1)
    assert 0.1 < np.ptp(asked) < 3


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stem_is_silent_until_its_note_and_after_its_release(seed):
    mixture = piano(seed)
    for key in KEYS:
        level = np.abs(mixture.stems[key])
        sounding = np.zeros(len(level), bool)
        for event in (event for event in mixture.events if event.stem == key):
            onset = round(event.onset * 22_050)
            stop = round((event.onset + event.duration + signals.RELEASE) * 22_050)
            sounding[onset : stop + 2] = True
            assert level[onset : onset + 441].max() > 0.01
            released = round((event.onset + event.duration + 0.3) * 22_050)
            assert level[released : released + 1000].max() < 0.01 * level[onset:].max()
        assert not level[~sounding].any()


def test_the_noise_floor_has_its_level_and_lies_below_60_hz():
    mixture = piano(rng=0)
    floor = mixture.stems[-1]
    assert 20 * np.log10(np.sqrt(np.mean(floor**2))) == pytest.approx(-52.5, abs=1e-9)
    power = np.abs(np.fft.rfft(floor)) ** 2
    frequencies = np.fft.rfftfreq(len(floor), 1 / 22_050)
    assert power[frequencies < 60].sum() > 0.75 * power.sum()
    assert not short_piano(noise=0).stems[-1].any()


def test_the_hammer_is_heard_between_the_partials():
    with_knock, without = (first_strike(short_piano(knock=knock), 1) for knock in (1.0, 0.0))
    knock = with_knock - without
    early, late = (np.sqrt(np.mean(knock[a : a + 1102] ** 2)) for a in (0, 11_025))
    assert early > 10 * late
    assert -50 < 20 * np.log10(early) < -20


@pytest.mark.parametrize("sample_rate", [8000, 11_025, 44_100])
def test_no_partial_is_folded_at_another_rate(sample_rate):
    """The same piano, so what lies below both Nyquist frequencies is the same sound."""
    mixture = short_piano(sample_rate=sample_rate, knock=0, noise=0)
    assert mixture.sample_rate == sample_rate
    assert mixture.stems.shape == (5, round(2.5 * sample_rate))
    reference = short_piano(knock=0, noise=0)
    for key, note in enumerate(signals.PIANO_NOTES):
        a, b = first_strike(mixture, key), first_strike(reference, key)
        spectra = [2 * np.abs(np.fft.rfft(x * np.hanning(len(x)))) / len(x) for x in (a, b)]
        bands = [np.fft.rfftfreq(len(x), 1 / r) for x, r in ((a, sample_rate), (b, 22_050))]
        partials = note.partials(below=min(sample_rate, 22_050) / 2 - 100)
        peaks = np.array(
            [
                [s[np.abs(f - p) < 3].max() for p in partials]
                for s, f in zip(spectra, bands, strict=True)
            ]
        )
        np.testing.assert_allclose(peaks[0], peaks[1], rtol=0.05, atol=2e-6)
        far = np.min(np.abs(np.subtract.outer(bands[0], note.partials(sample_rate))), axis=1) > 20
        assert spectra[0][far].max() < 2e-3 * spectra[0].max()


@given(st.floats(-0.5, 2.4, exclude_min=True), st.floats(0.01, 3.0))
def test_notes_may_start_and_end_anywhere_within_the_duration(onset, held):
    if onset < 0:
        with pytest.raises(ValueError, match="measures must start within"):
            short_piano(measures=[Measure(onset, held, (0,))])
        return
    mixture = short_piano(sample_rate=4000, measures=[Measure(onset, held, (0,))], knock=0)
    stem = mixture.stems[0]
    assert np.all(np.isfinite(stem))
    assert not stem[: round(onset * 4000)].any()
    assert stem.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rng": -1}, "rng must be a seed or a Generator, got -1"),
        ({"rng": "zero"}, "rng must be a seed"),
        ({"sample_rate": 0}, "sample_rate must be a whole number of at least 2000, got 0"),
        ({"sample_rate": -22_050}, "sample_rate must be a whole number"),
        ({"sample_rate": 22_050.0}, "sample_rate must be a whole number"),
        ({"duration": 0}, "duration"),
        ({"duration": float("inf")}, "duration must be a finite number"),
        ({"noise": -1e-3}, "noise must be a finite number of at least 0, got -0.001"),
        ({"noise": float("nan")}, "noise must be a finite number"),
        ({"knock": -1}, "knock must be a finite number"),
        ({"mistuning": -1}, "mistuning must be a finite number"),
        ({"variation": -1}, "variation must be a finite number"),
        ({"measures": [Measure(99.0, 1.0, (0,))]}, "measures must start within 0 to"),
        ({"measures": [Measure(0.0, 0.0, (0,))]}, "measures must start within 0 to"),
        ({"measures": [Measure(0.0, 1.0, (4,))]}, "measure.notes must be a whole number from 0 to"),
    ],
)
def test_bad_pianos_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        piano(**arguments)


# ---- the chirps --------------------------------------------------------------------------------


def occurrences(mixture):
    for event in mixture.events:
        start = round(event.onset * mixture.sample_rate)
        yield event, start, start + round(event.duration * mixture.sample_rate)


@given(seeds, st.booleans(), st.integers(1, 3))
def test_chirps_are_one_atom_each_at_positions_that_fit(seed, overlapping, repeats):
    mixture = chirps(seed, overlapping=overlapping, repeats=repeats, sample_rate=11_025)
    rest = mixture.sources.copy()
    atoms = {}
    taken = np.zeros((2, rest.shape[1]), int)
    for event, start, stop in occurrences(mixture):
        assert 0 <= start < stop <= rest.shape[1]
        taken[event.stem, start:stop] += 1
        atom = mixture.stems[event.stem, start:stop] / 10 ** (event.gain / 20)
        np.testing.assert_allclose(atom, atoms.setdefault(event.stem, atom), atol=1e-12)
        rest[event.stem, start:stop] = 0
    assert not rest.any()
    assert taken.max() == 1
    assert (taken.sum(axis=0).max() == 2) == overlapping
    assert [event.stem for event in mixture.events].count(0) == repeats == len(mixture.events) / 2


@pytest.mark.parametrize(("stem", "first", "last"), [(0, 400, 3000), (1, 5000, 1000)])
def test_the_frequency_of_a_chirp_moves_from_one_end_to_the_other(stem, first, last):
    mixture = chirps(noise=0)
    event, start, stop = next(o for o in occurrences(mixture) if o[0].stem == stem)
    atom = mixture.stems[stem, start:stop]
    for t in (0.3, 1.0, 1.7):
        piece = atom[int(t * 22_050) - 256 : int(t * 22_050) + 256] * np.hanning(512)
        peak = np.argmax(np.abs(np.fft.rfft(piece, 2**14))) * 22_050 / 2**14
        assert peak == pytest.approx(first + (last - first) * (t / 2) ** 2, abs=40)
    assert event.duration == 2


def test_chirps_have_the_seed_rate_and_noise_they_are_asked_for():
    mixture = chirps(rng=4, noise=0.01)
    np.testing.assert_array_equal(mixture.stems, chirps(rng=4, noise=0.01).stems)
    assert chirps(rng=5).events != mixture.events
    assert mixture.stems.shape == (3, 330_750)
    assert np.sqrt(np.mean(mixture.stems[-1] ** 2)) == pytest.approx(0.01)
    assert chirps(sample_rate=16_000).stems.shape == (3, 240_000)
    assert not chirps(noise=0).stems[-1].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rng": -1}, "rng must be a seed or a Generator, got -1"),
        ({"sample_rate": 8000}, "sample_rate must be a whole number of at least 11025, got 8000"),
        ({"noise": -1.0}, "noise must be a finite number of at least 0"),
        ({"repeats": 0}, "repeats must be a whole number"),
        ({"duration": 11.0}, "duration must hold 6 chirps of 2 s, got 11.0 s"),
        ({"duration": 5.0, "overlapping": True}, "duration must hold 3 chirps of 2 s"),
        ({"duration": -1.0}, "duration must be a finite number of at least 0"),
    ],
)
def test_bad_chirps_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        chirps(**arguments)
