"""Scenes whose truth is known: a machine, a field, and a field for as long as one likes.

Chapter: ``book/experiments/learn_once.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.experiments.signals import Event, Mixture, Seed, Signal
from cdlnmf_lit.theory import arguments

SAMPLE_RATE = 22_050
"""Hz."""
CLICKS = ((1300, 2900, 5200), (700, 1900, 3700))
"""Hz, of the tones of each click."""
DECAYS = (250, 400, 600)
"""1/s, of the tones."""
CALLS = ((1.2, 2500, 4500, 0), (0.9, 3600, 2400, 3))
"""Seconds of each call, the Hz that it begins and ends at, and how far it trills."""
OTHERS = ((1.1, 4500, 2500, 0), (0.8, 3000, 3000, 8))
"""The same of the birds that are only in the long field: a mirror of the first call, and a buzz."""
NAMES = ("rising call", "trill")
PACE = 3.4
"""Seconds from one call of a bird to its next, in the mean."""
BLOCK = 2**18
"""Samples of noise that are drawn together."""


def machine(rng: Seed = 0) -> Mixture:
    """Two kinds of clicks, with jitter, over a hum (-3 dB) and noise (-6 dB), for 10 s.

    Examples
    --------
    >>> machine(rng=0).names
    ('ratchet', 'valve', 'noise')
    """
    random = np.random.default_rng(rng)
    u, t = np.arange(551) / SAMPLE_RATE, np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE
    clicks = [
        np.asarray(
            sum(
                np.exp(-decay * u) * np.sin(2 * np.pi * f * u)
                for f, decay in zip(tones, DECAYS, strict=True)
            )
        )
        for tones in CLICKS
    ]
    starts = [
        0.1 + np.cumsum(random.normal(1 / rate, 0.02 / rate, int(9.6 * rate)))
        for rate in (4.0, 2.3)
    ]
    gains = [random.uniform(0.6, 1, each.size) for each in starts]
    hum = np.sqrt(2) * np.sin(2 * np.pi * 50 * t)
    rest = 10 ** (-3 / 20) * hum + 10 ** (-6 / 20) * coloured(random, t.size)
    return _recording(("ratchet", "valve"), clicks, starts, gains, rest)


def field(rng: Seed = 0) -> Mixture:
    """Two birds, each with its call, over noise (-10 dB), for 20 s.

    Examples
    --------
    >>> field(rng=0).names, len(field(rng=0).events)
    (('rising call', 'trill', 'noise'), 10)
    """
    random, calls = np.random.default_rng(rng), [call(*each) for each in CALLS]
    starts = [1 + 1.6 * s + 3.4 * np.arange(5) + random.uniform(0, 0.6, 5) for s in range(2)]
    gains = random.uniform(0.5, 1, (2, 5))
    rest = 10 ** (-10 / 20) * coloured(random, 20 * SAMPLE_RATE)
    return _recording(NAMES, calls, starts, gains, rest)


def call(seconds: float, low: float, high: float, trill: float) -> Signal:
    """A bird's call: a sweep from one frequency to another, with a trill of 18 Hz.

    Examples
    --------
    >>> call(1.2, 2500, 4500, 0).size
    26460
    """
    u = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * (low * u + (high - low) * u**2 / seconds / 2)
    swell = np.sqrt(np.sin(np.pi * u / seconds))
    return np.asarray(swell * np.sin(phase + trill * np.sin(2 * np.pi * 18 * u)))


def coloured(random: np.random.Generator, n_samples: int) -> Signal:
    """Noise of one power in each octave, of standard deviation 1.

    Examples
    --------
    >>> round(float(coloured(np.random.default_rng(0), 1000).std()), 6)
    1.0
    """
    f = np.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE)
    white = random.standard_normal(f.size) + 1j * random.standard_normal(f.size)
    noise = np.fft.irfft(white / np.sqrt(np.maximum(f, 50)), n_samples)
    return noise / noise.std()


@dataclass(frozen=True)
class Field:
    """The field of :func:`field` for as long as one likes, with two more birds; never held whole.

    Each of the four birds calls every 3.4 s in the mean, whatever the others do, so that calls
    overlap. The noise is so many dB above or below the mean power of the two calls that are known.

    Parameters
    ----------
    seed
        Of the calls' times and levels, and of the noise.
    seconds
        How long it is.
    noise
        Its level, in dB re the two calls.

    Raises
    ------
    ValueError
        If it is shorter than a call.

    Examples
    --------
    >>> day = Field(seed=0, seconds=86_400.0)
    >>> day.n_samples, day.stretch(10**9, 10**9 + 4).shape, len(day.events)
    (1905120000, (4,), 101644)
    """

    seed: int
    seconds: float
    noise: float = -10.0

    def __post_init__(self) -> None:
        arguments.integer(self.seed, "seed", at_least=0)
        if not self.seconds >= 2:
            raise ValueError(f"seconds must be at least 2, got {self.seconds}")

    @property
    def n_samples(self) -> int:
        """``T``."""
        return round(self.seconds * SAMPLE_RATE)

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """All calls in the order of their onsets: stems 0 and 1 are those of :func:`field`."""
        random, told = np.random.default_rng([self.seed, 0]), []
        for stem, (seconds, *_) in enumerate((*CALLS, *OTHERS)):
            count = max(1, int((self.seconds - 2) / PACE))
            gaps = random.uniform(-0.8, 0.8, count)
            onsets = 1 + PACE * np.arange(count) + gaps + random.uniform(0, 1)
            gains = 20 * np.log10(random.uniform(0.5, 1, count))
            for onset, gain in zip(onsets.tolist(), gains.tolist(), strict=True):
                first = round(onset * SAMPLE_RATE)
                if first + seconds * SAMPLE_RATE <= self.n_samples:
                    told.append(Event(first / SAMPLE_RATE, seconds, stem, gain))
        return tuple(sorted(told, key=lambda each: each.onset))

    def stretch(self, begin: int, end: int) -> Signal:
        """The samples from ``begin`` to ``end``, the same whatever else is asked for."""
        x = np.zeros(end - begin)
        calls = [call(*each) for each in (*CALLS, *OTHERS)]
        first = np.searchsorted(self._onsets, begin / SAMPLE_RATE - 3)
        for event in self.events[first:]:
            start = round(event.onset * SAMPLE_RATE) - begin
            if start >= x.size:
                break
            sound = 10 ** (event.gain / 20) * calls[event.stem]
            low, high = max(0, start), min(x.size, start + sound.size)
            if low < high:
                x[low:high] += sound[low - start : high - start]
        for number in range(begin // BLOCK, -(-end // BLOCK)):
            noise = self._noise * coloured(np.random.default_rng([self.seed, 1, number]), BLOCK)
            low, high = max(begin, number * BLOCK), min(end, (number + 1) * BLOCK)
            x[low - begin : high - begin] += noise[low - number * BLOCK : high - number * BLOCK]
        return x

    def blocks(self, size: int = BLOCK) -> Iterator[Signal]:
        """The whole of it, block after block.

        Examples
        --------
        >>> sum(block.size for block in Field(0, 30.0).blocks())
        661500
        """
        for begin in range(0, self.n_samples, size):
            yield self.stretch(begin, min(begin + size, self.n_samples))

    @cached_property
    def _onsets(self) -> list[float]:
        return [event.onset for event in self.events]

    @cached_property
    def _noise(self) -> float:
        """Standard deviation of the noise: the calls' gains lie evenly from 0.5 to 1."""
        power = sum(float(np.sum(call(*each) ** 2)) for each in CALLS) * 7 / 12
        return float(10 ** (self.noise / 20) * np.sqrt(power / (PACE * SAMPLE_RATE)))


def _recording(
    names: Sequence[str],
    patterns: Sequence[Signal],
    starts: Sequence[ArrayLike],
    gains: ArrayLike | Sequence[ArrayLike],
    rest: Signal,
) -> Mixture:
    """Patterns where they start, each with its gain, and the rest (called noise) beside them."""
    stems, events = np.zeros((len(patterns), rest.size)), []
    for s, pattern in enumerate(patterns):
        for start, gain in zip(np.asarray(starts[s]), np.asarray(gains[s]), strict=True):  # type: ignore[index]
            first = round(start * SAMPLE_RATE)
            stems[s, first : first + pattern.size] += gain * pattern
            events.append(Event(first / SAMPLE_RATE, pattern.size / SAMPLE_RATE, s))
    rest = rest * np.sqrt(np.mean(stems.sum(axis=0) ** 2))
    return Mixture(np.vstack([stems, rest]), SAMPLE_RATE, (*names, "noise"), tuple(events))
