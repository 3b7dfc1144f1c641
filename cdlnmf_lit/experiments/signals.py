"""Signals whose truth is known: a seeded piano, seeded chirps, and anyone's stems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cdlnmf_lit.theory import arguments

Signal = NDArray[np.float64]
Seed = Any
"""Whatever ``numpy.random.default_rng`` takes."""

NEPERS_PER_DECIBEL = np.log(10) / 20


@dataclass(frozen=True)
class Event:
    """One sound of a stem: when it starts and how long it is held (seconds), and its gain (dB).

    Examples
    --------
    >>> Event(onset=0.5, duration=2.0, stem=0)
    Event(onset=0.5, duration=2.0, stem=0, gain=0.0)

    References
    ----------
    Chapter: ``book/experiments/signals.md``
    """

    onset: float
    duration: float
    stem: int
    gain: float = 0.0


@dataclass(frozen=True, eq=False)
class Mixture:
    """Stems (S, T), one a source, whose sum is the recording one hears.

    Parameters
    ----------
    stems
        (S, T) samples, kept as read-only float64.
    sample_rate
        Samples per second.
    names
        One name a stem. A stem called ``"noise"`` is no source.
    events
        What sounds when, where this is known.

    Raises
    ------
    ValueError
        If the stems are no finite real matrix, the names are not S different ones, the
        sample rate is not positive, or an event names a stem that is not there.

    Examples
    --------
    >>> mixture = Mixture(np.array([[1.0, 2.0], [0.5, -0.5]]), 8000, ("bell", "noise"))
    >>> mixture.signal
    array([1.5, 1.5])
    >>> mixture.sources
    array([[1., 2.]])

    References
    ----------
    Chapter: ``book/experiments/signals.md``
    """

    stems: Signal
    sample_rate: int
    names: tuple[str, ...]
    events: tuple[Event, ...] = ()

    def __post_init__(self) -> None:
        stems = np.array(arguments.array(self.stems, "stems", 2), dtype=np.float64)
        arguments.integer(self.sample_rate, "sample_rate")
        names = tuple(self.names)
        if len(set(names)) != len(stems) or len(names) != len(stems):
            raise ValueError(f"names must be {len(stems)} different ones, got {names}")
        for event in self.events:
            arguments.integer(event.stem, "event.stem", at_least=0, at_most=len(stems) - 1)
        stems.flags.writeable = False
        object.__setattr__(self, "stems", stems)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "events", tuple(self.events))

    @property
    def signal(self) -> Signal:
        """The sum of the stems, (T,)."""
        return self.stems.sum(axis=0)

    @property
    def source_numbers(self) -> list[int]:
        """Which stems are sources: all but the noise."""
        return [s for s, name in enumerate(self.names) if name != "noise"]

    @property
    def sources(self) -> Signal:
        """The stems but for the noise."""
        return self.stems[self.source_numbers]

    @classmethod
    def from_files(
        cls, paths: Sequence[str | PathLike[str]], names: Sequence[str] | None = None
    ) -> Mixture:
        """Read one stem a sound file (WAV, FLAC, MP3, OGG), each mono and of the same length.

        Names default to the files' names without their endings. Needs ``soundfile``.

        Raises
        ------
        OSError
            If a file is missing or is no sound file.
        ValueError
            If there is no file, one is not mono, or their rates or lengths differ.

        Examples
        --------
        >>> Mixture.from_files([])
        Traceback (most recent call last):
            ...
        ValueError: paths must name at least one sound file, got none
        """
        files = [Path(path) for path in paths]
        if not files:
            raise ValueError("paths must name at least one sound file, got none")
        read = [_read_mono(path) for path in files]
        rates = {str(path): rate for path, (_, rate) in zip(files, read, strict=True)}
        if len(set(rates.values())) > 1:
            raise ValueError(f"paths must share one sample rate, got {rates}")
        lengths = {str(path): len(x) for path, (x, _) in zip(files, read, strict=True)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"paths must share one length, got {lengths} samples")
        stems = np.stack([x for x, _ in read])
        return cls(stems, read[0][1], tuple(names or [path.stem for path in files]))


def _read_mono(path: Path) -> tuple[Signal, int]:
    import soundfile

    if not path.is_file():
        raise FileNotFoundError(f"paths must name sound files, got {path}, which is no file")
    try:
        x, sample_rate = soundfile.read(path, dtype="float64")
    except soundfile.SoundFileError as error:
        raise OSError(f"paths must name sound files, got {path}: {error}") from error
    return arguments.signal(x, str(path)), int(sample_rate)


@dataclass(frozen=True)
class Note:
    """The strings of one piano key.

    Parameters
    ----------
    name
        What the score calls it.
    frequency
        First partial, Hz.
    inharmonicity
        B, by which stiffness sharpens partial n to n f₀ √((1 + B n²) / (1 + B)).
    level
        Amplitude of the first partial when struck, dB below full scale.
    prompt, late
        Decay rates of the first partial, dB/s: while the strings move together, and after.
    strike
        Where the hammer strikes, as a fraction of the string.

    Examples
    --------
    >>> note = PIANO_NOTES[0]
    >>> note.partials(below=1200.0).round(1)
    array([ 276.8,  553.9,  831.6, 1110.1])

    References
    ----------
    Chapter: ``book/experiments/signals.md``
    """

    name: str
    frequency: float
    inharmonicity: float
    level: float
    prompt: float
    late: float
    strike: float = 1 / 8

    def partials(self, below: float) -> Signal:
        """Frequencies of the partials below a limit, in Hz."""
        n = np.arange(1, int(below / self.frequency) + 2)
        stretch = np.sqrt((1 + self.inharmonicity * n**2) / (1 + self.inharmonicity))
        frequencies = n * self.frequency * stretch
        return frequencies[frequencies < below]


@dataclass(frozen=True)
class Measure:
    """Keys pressed together: when and for how long (seconds), and which notes.

    Examples
    --------
    >>> PIANO_MEASURES[0].notes
    (0, 1, 2, 3)

    References
    ----------
    Fig. 1 of the paper. Chapter: ``book/experiments/signals.md``
    """

    onset: float
    duration: float
    notes: tuple[int, ...]


PIANO_NOTES = (
    Note("D♭4", 276.83, 3.32e-4, level=-20.3, prompt=20.0, late=8.0, strike=0.124),
    Note("F4", 348.75, 4.66e-4, level=-12.5, prompt=16.0, late=8.0, strike=0.120),
    Note("A♭4", 414.85, 6.01e-4, level=-13.5, prompt=27.0, late=10.0, strike=0.115),
    Note("C5", 524.10, 8.80e-4, level=-21.5, prompt=26.0, late=6.0, strike=0.122),
)
PIANO_MEASURES = (
    Measure(0.082, 1.78, (0, 1, 2, 3)),
    Measure(2.245, 1.80, (0, 1)),
    Measure(5.258, 1.42, (0, 2)),
    Measure(7.180, 1.47, (0, 3)),
    Measure(9.170, 1.65, (1, 2)),
    Measure(11.328, 1.75, (1, 3)),
    Measure(13.677, 1.58, (2, 3)),
)

# Power densities, dB below full scale per Hz, at frequencies in Hz.
FLOOR = ((10, 40, 50, 400, 600, 1200, 2400, 5000), (-70, -69, -82, -86, -100, -109, -116, -119))
# Hammer and key just after the strike; damper and key just after the release.
KNOCK = ((20, 100, 800, 1300, 3000, 6000), (-54, -56, -64, -84, -95, -115))
DAMPER_KNOCK = ((20, 100, 800, 1300, 3000, 6000), (-68, -70, -80, -108, -120, -140))

# Amplitude, dB below full scale, of an overtone struck at its crest, at frequencies in Hz.
OVERTONES = ((500, 1500, 2500, 4000, 6000, 9000, 20000), (-26, -33, -44, -64, -88, -110, -140))
RESONANCES = 7.0  # dB at the most by which the soundboard lifts or lowers an overtone

LOWEST_RATE = 2000
STRINGS = 3
MAX_PARTIALS = 128
DAMPING = 4.0  # dB/s per kHz by which higher partials decay faster
BRIGHTNESS = 0.15  # dB per partial and dB of gain: harder strikes are brighter
RISE = 0.006  # s, in which a struck note reaches its level
KNOCK_DECAY = 100.0  # dB/s
DAMPER = 120.0  # dB/s after the key is released
RELEASE = 0.6  # s kept of a note after its key is released

CHIRP_SECONDS = 2
CHIRP_ENDS = ((400.0, 3000.0), (5000.0, 1000.0))  # Hz


def string_modes(
    frequencies: Signal, tuning: Signal, prompt: Signal, late: Signal, pull: Signal
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    r"""Take each partial of one key's strings, coupled by their bridge, apart into modes.

    .. math::
        \dot y = \left[2πi f \operatorname{diag}(c) - σ I - \frac{κ}{S} 1 1^T\right] y,
        \quad y(0) = \frac{p}{\sum_s p_s},
        \quad \sum_s y_s(t) = \sum_m A_m e^{λ_m t}

    Strings that move together lose σ + κ, the prompt rate; those that cancel at the bridge lose
    only σ, the late one.

    Parameters
    ----------
    frequencies
        (P,) f of each partial, Hz.
    tuning
        (S,) c, near 1: the strings' frequencies as multiples of f.
    prompt, late
        (P,) σ + κ and σ, in dB/s.
    pull
        (S,) p, how hard the hammer moves each string.

    Returns
    -------
    rates, amplitudes
        (P, S) λ in 1/s, and A; the amplitudes of a partial sum to 1.

    Examples
    --------
    >>> rates, amplitudes = string_modes(
    ...     np.array([440.0]), np.ones(2), np.array([20.0]), np.array([5.0]), np.ones(2)
    ... )
    >>> sorted((-20 / np.log(10) * rates[0].real).round(6).tolist())
    [5.0, 20.0]

    References
    ----------
    G. Weinreich, "Coupled piano strings", J. Acoust. Soc. Am. 62, 1977.
    Chapter: ``book/experiments/signals.md``
    """
    n_strings = len(tuning)
    loss = NEPERS_PER_DECIBEL * late[:, None]
    coupling = NEPERS_PER_DECIBEL * (prompt - late)[:, None, None] / n_strings
    alone = 2j * np.pi * frequencies[:, None] * tuning - loss
    rates, shapes = np.linalg.eig(alone[:, :, None] * np.eye(n_strings) - coupling)
    start = np.broadcast_to((pull / pull.sum())[:, None], (len(frequencies), n_strings, 1))
    return rates, shapes.sum(axis=1) * np.linalg.solve(shapes, start)[..., 0]


def piano(
    rng: Seed = 0,
    *,
    sample_rate: int = 22_050,
    notes: Sequence[Note] = PIANO_NOTES,
    measures: Sequence[Measure] = PIANO_MEASURES,
    duration: float = 345_500 / 22_050,
    noise: float = 10 ** (-52.5 / 20),
    knock: float = 1.0,
    mistuning: float = 0.8,
    variation: float = 0.5,
) -> Mixture:
    """Strike the notes of Fig. 1 on a piano built from a seed.

    Each partial is the motion of a bridge that three strings drive, slightly out of tune with
    each other: see :func:`string_modes`. It decays fast while the strings move together, slowly
    once they do not, and beats. The seed chooses the tuning, the soundboard, the force of each
    strike, the noise of hammers and dampers, and the room's.

    Parameters
    ----------
    rng
        Seed: anything ``numpy.random.default_rng`` takes.
    sample_rate
        Samples per second. Partials above its half are left out, never folded.
    notes, measures
        The strings and the score.
    duration
        Length in seconds.
    noise
        Root mean square of the noise floor (full scale is 1), mostly below 60 Hz.
    knock
        Gain of the noise of hammers and dampers.
    mistuning
        Standard deviation of the three strings' tuning, in cents.
    variation
        Standard deviation of the strikes' gain, in dB.

    Returns
    -------
    Mixture
        A stem for each note and one for the noise floor.

    Raises
    ------
    ValueError
        If the sample rate is below 2000 Hz, the duration is not positive, an amount is negative,
        a measure lies outside the duration, or it holds a note that is not there.

    Examples
    --------
    >>> mixture = piano(rng=0)
    >>> mixture.names, mixture.stems.shape
    (('D♭4', 'F4', 'A♭4', 'C5', 'noise'), (5, 345500))
    >>> bool(np.abs(mixture.signal).max() < 1)
    True

    References
    ----------
    The sequence: Fig. 1 of the paper. Chapter: ``book/experiments/signals.md``
    """
    sample_rate = arguments.integer(sample_rate, "sample_rate", at_least=LOWEST_RATE)
    noise = arguments.non_negative(noise, "noise")
    knock = arguments.non_negative(knock, "knock")
    mistuning = arguments.non_negative(mistuning, "mistuning")
    variation = arguments.non_negative(variation, "variation")
    n_samples = _n_samples(duration, sample_rate)
    for measure in measures:
        if not (0 <= measure.onset < duration and 0 < measure.duration):
            raise ValueError(f"measures must start within 0 to {duration} s, got {measure}")
        for k in measure.notes:
            arguments.integer(k, "measure.notes", at_least=0, at_most=len(notes) - 1)

    strings, strikes, knocks, floor = _generators(rng, 4)
    keys = [_key(note, sample_rate / 2, mistuning, strings) for note in notes]
    events = tuple(
        Event(measure.onset, measure.duration, k, float(variation * strikes.standard_normal()))
        for measure in measures
        for k in measure.notes
    )
    stems = np.zeros((len(notes) + 1, n_samples))
    for event in events:
        tone = _struck(*keys[event.stem], event, sample_rate)
        thump = knock * 10 ** (event.gain / 20) * _knocks(event, sample_rate, knocks)
        start = round(event.onset * sample_rate)
        stop = min(start + len(tone), n_samples)
        stems[event.stem, start:stop] += (tone + thump)[: stop - start]
    stems[-1] = noise * _unit(_shaped_noise(FLOOR, n_samples, sample_rate, floor))
    return Mixture(stems, sample_rate, (*(note.name for note in notes), "noise"), events)


def chirps(
    rng: Seed = 0,
    *,
    sample_rate: int = 22_050,
    duration: float = 15.0,
    repeats: int = 3,
    overlapping: bool = False,
    noise: float = 1e-3,
) -> Mixture:
    """Place two non-stationary chirps of 2 s at seeded positions with seeded gains.

    The first rises from 400 to 3000 Hz, the second falls from 5000 to 1000 Hz, both
    quadratically in time, under a Hann window. Each stem is an atom convolved with
    ``repeats`` positive spikes, as in eq. (1).

    Parameters
    ----------
    rng
        Seed: anything ``numpy.random.default_rng`` takes.
    sample_rate
        Samples per second: at least 11,025, so that no chirp is folded.
    duration
        Length in seconds.
    repeats
        Occurrences of each chirp.
    overlapping
        Whether a chirp may sound while the other does: then at least one does. A chirp never
        overlaps itself.
    noise
        Root mean square of the white noise (full scale is 1).

    Returns
    -------
    Mixture
        A stem for each chirp and one for the noise.

    Raises
    ------
    ValueError
        If the sample rate is too low, the chirps do not fit in the duration, or the noise is
        negative.

    Examples
    --------
    >>> mixture = chirps(rng=0)
    >>> mixture.names, mixture.stems.shape
    (('rising chirp', 'falling chirp', 'noise'), (3, 330750))
    >>> sorted(event.stem for event in mixture.events)
    [0, 0, 0, 1, 1, 1]

    References
    ----------
    The signal: Figs. 2, 4 and 5. Chapter: ``book/experiments/signals.md``
    """
    sample_rate = arguments.integer(sample_rate, "sample_rate", at_least=11_025)
    repeats = arguments.integer(repeats, "repeats")
    noise = arguments.non_negative(noise, "noise")
    n_samples = _n_samples(duration, sample_rate)
    n_atom = CHIRP_SECONDS * sample_rate
    n_slots = repeats if overlapping else 2 * repeats
    if n_slots * n_atom > n_samples:
        raise ValueError(
            f"duration must hold {n_slots} chirps of {CHIRP_SECONDS} s, got {duration} s"
        )

    positions, gains, floor = _generators(rng, 3)
    if overlapping:
        starts = np.stack([_places(repeats, n_atom, n_samples, positions) for _ in range(2)])
        while np.abs(np.subtract.outer(*starts)).min() >= n_atom:
            starts[1] = _places(repeats, n_atom, n_samples, positions)
    else:
        order = positions.permutation(n_slots)
        starts = _places(n_slots, n_atom, n_samples, positions)[order].reshape(2, repeats)
    decibels = gains.uniform(-6.0, 0.0, size=starts.shape)

    t = np.arange(n_atom) / sample_rate
    window = 0.5 * np.sin(np.pi * t / CHIRP_SECONDS) ** 2
    atoms = [window * np.sin(2 * np.pi * _chirp_phase(t, *ends)) for ends in CHIRP_ENDS]
    stems = np.zeros((3, n_samples))
    for k, atom in enumerate(atoms):
        for start, gain in zip(starts[k], decibels[k], strict=True):
            stems[k, start : start + n_atom] += 10 ** (gain / 20) * atom
    stems[-1] = noise * _unit(floor.standard_normal(n_samples))
    events = [
        Event(float(starts[k, i] / sample_rate), float(CHIRP_SECONDS), k, float(decibels[k, i]))
        for k, i in np.ndindex(2, repeats)
    ]
    names = ("rising chirp", "falling chirp", "noise")
    return Mixture(stems, sample_rate, names, tuple(sorted(events, key=lambda e: e.onset)))


def _generators(rng: Seed, count: int) -> list[np.random.Generator]:
    """Independent streams, so that what one part draws does not move another."""
    try:
        return np.random.default_rng(rng).spawn(count)
    except (TypeError, ValueError) as error:
        raise ValueError(f"rng must be a seed or a Generator, got {rng!r}") from error


def _chirp_phase(t: Signal, first: float, last: float) -> Signal:
    """Cycles up to time t of a frequency that goes from first to last as t²."""
    return first * t + (last - first) * t**3 / (3 * CHIRP_SECONDS**2)


def _places(count: int, length: int, n_samples: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Random starts, in order, of ``count`` intervals that do not overlap."""
    gaps = np.sort(rng.integers(0, n_samples - count * length + 1, size=count))
    return gaps + length * np.arange(count)


def _n_samples(duration: float, sample_rate: int) -> int:
    return arguments.integer(
        round(arguments.non_negative(duration, "duration") * sample_rate), "duration * sample_rate"
    )


def _unit(x: Signal) -> Signal:
    """Scale to a root mean square of 1."""
    return x / np.sqrt(np.mean(x**2))


def _shaped_noise(
    spectrum: ArrayLike, n_samples: int, sample_rate: int, rng: np.random.Generator
) -> Signal:
    """Gaussian noise of a power density given in dB per Hz at some frequencies."""
    frequencies, decibels = np.asarray(spectrum, dtype=float)
    white = np.fft.rfft(rng.standard_normal(n_samples)) * np.sqrt(sample_rate / 2)
    at = np.log(np.maximum(np.fft.rfftfreq(n_samples, 1 / sample_rate), frequencies[0]))
    gain = 10 ** (np.interp(at, np.log(frequencies), decibels) / 20)
    return np.fft.irfft(white * gain, n_samples)


def _key(
    note: Note, below: float, mistuning: float, rng: np.random.Generator
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Rates (P, 3) in 1/s and amplitudes (P, 3) of the modes of a note's partials.

    The draws do not depend on how many partials lie below the limit.
    """
    cents = mistuning * rng.standard_normal(STRINGS)
    pull = 1 + 0.1 * rng.standard_normal(STRINGS)
    resonance = RESONANCES * rng.uniform(-1, 1, MAX_PARTIALS)
    phase = rng.uniform(0, 2 * np.pi, MAX_PARTIALS)
    loss = rng.lognormal(sigma=0.3, size=MAX_PARTIALS)
    tuning = 2 ** ((cents - cents.mean()) / 1200)

    f = note.partials(below / tuning.max())[:MAX_PARTIALS]
    n = np.arange(1, len(f) + 1)
    crest = np.abs(np.sin(np.pi * n * note.strike)) + 0.1
    overtone = crest * 10 ** ((np.interp(f, *OVERTONES) + resonance[: len(f)]) / 20)
    size = np.where(n == 1, 10 ** (note.level / 20), overtone)
    loss = np.where(n == 1, 1.0, loss[: len(f)])
    above = DAMPING * (f - note.frequency) / 1000
    prompt, late = loss * (note.prompt + above), loss * (note.late + above / 3)
    rates, amplitudes = string_modes(f, tuning, prompt, late, pull)
    return rates, (size * np.exp(1j * phase[: len(f)]))[:, None] * amplitudes


def _struck(
    rates: NDArray[np.complex128],
    amplitudes: NDArray[np.complex128],
    event: Event,
    sample_rate: int,
) -> Signal:
    """One strike of a note, held for the event's duration and then damped."""
    n = np.arange(len(rates))
    gain = 10 ** (event.gain * (1 + BRIGHTNESS * n) / 20)
    c, rate = (gain[:, None] * amplitudes).ravel(), rates.ravel()
    held = round(event.duration * sample_rate)
    sounding = _exponentials(c, rate / sample_rate, held)
    damped = rate - NEPERS_PER_DECIBEL * DAMPER
    tail = _exponentials(
        c * np.exp(rate * held / sample_rate), damped / sample_rate, round(RELEASE * sample_rate)
    )
    tone = np.concatenate([sounding, tail])
    rise = round(RISE * sample_rate)
    tone[:rise] *= (0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / rise))[: len(tone)]
    return tone


def _exponentials(
    amplitudes: NDArray[np.complex128], rates: NDArray[np.complex128], n_samples: int
) -> Signal:
    """Re Σ c exp(λ t), t = 0 … n − 1, as one matrix product: exp λ(bL + j) = exp λbL · exp λj."""
    block = int(np.sqrt(n_samples)) + 1
    steps = np.arange(block)
    coarse = amplitudes * np.exp(np.outer(steps * block, rates))
    fine = np.exp(np.outer(rates, steps))
    product = coarse.real @ fine.real - coarse.imag @ fine.imag
    return product.ravel()[:n_samples]


def _knocks(event: Event, sample_rate: int, rng: np.random.Generator) -> Signal:
    """The noise of one key: the hammer's knock when it strikes, the damper's when it returns."""
    held, tail = (round(s * sample_rate) for s in (event.duration, RELEASE))
    noise = np.zeros(held + tail)
    fade = np.exp(-NEPERS_PER_DECIBEL * KNOCK_DECAY * np.arange(tail) / sample_rate)
    for start, spectrum in ((0, KNOCK), (held, DAMPER_KNOCK)):
        knock = fade * _shaped_noise(spectrum, tail, sample_rate, rng)
        noise[start : start + tail] += knock[: len(noise) - start]
    return noise
