"""Drum kits whose truth is known: membranes, bursts of noise and metal, played with a human hand.

Nothing is recorded: a drum is a sum of decaying modes, a burst of noise in a band, and partials
of metal. A kick's modes glide down as its skin relaxes, a cymbal's partials are many and lie close.

Chapter: ``book/methods/pursuit.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cdlnmf_lit.experiments.signals import Event, Mixture, Seed, Signal

SAMPLE_RATE = 22_050
"""Hz."""
SECONDS = 1.5
"""That a stroke sounds at the most."""
MEMBRANE = (1.0, 1.59, 2.14, 2.30, 2.65, 2.92)
"""Frequencies of a circular membrane's modes, in those of its first: zeros of Bessel functions."""
BARS, STEPS, TEMPO = 8, 16, 100
"""Of a pattern: sixteenths in a bar, quarters a minute."""
HAND, STRENGTH = 0.004, 4.0
"""Standard deviation of a hit in seconds, and dB by which it may be weaker."""
MARGIN = 32
"""Samples around a stroke into which a delay of less than one may ring."""


@dataclass(frozen=True)
class Drum:
    """A drum: what vibrates, what rattles, and how loud.

    Parameters
    ----------
    name
        What it is called.
    pitch
        Hz, of the first mode of its membrane; 0 if it has none.
    decay
        Seconds in which the membrane falls by 60 dB.
    glide
        By which share of itself the pitch begins higher.
    noise
        Level of the burst, re the membrane.
    band
        Hz from which and to which the burst reaches.
    rattle
        Seconds in which the burst falls by 60 dB.
    metal
        Partials of metal, from ``band`` too, as long as the burst.
    level
        Peak of its loudest stroke.

    Examples
    --------
    >>> drum = Drum("kick", pitch=52, decay=0.4, glide=1.5, noise=0.05)
    >>> drum.stroke(np.random.default_rng(0)).size / SAMPLE_RATE
    1.5
    """

    name: str
    pitch: float = 0.0
    decay: float = 0.3
    glide: float = 0.0
    noise: float = 1.0
    band: tuple[float, float] = (1000.0, 9000.0)
    rattle: float = 0.2
    metal: int = 0
    level: float = 0.5

    def stroke(self, random: np.random.Generator) -> Signal:
        """What a hit of it sounds like, for 1.5 s; its peak is 1."""
        t = np.arange(round(SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
        x = np.zeros(t.size)
        if self.pitch:
            bent = t + self.glide * 0.03 * (1 - np.exp(-t / 0.03))
            for n, ratio in enumerate(MEMBRANE):
                fall = np.exp(-6.9 * t * (1 + 0.8 * n) / self.decay)
                phase = 2 * np.pi * self.pitch * ratio * bent
                x += fall * np.sin(phase + random.uniform(0, 0.5)) / (1 + n) ** 1.5
        fall = np.exp(-6.9 * t / self.rattle)
        burst = in_band(random.standard_normal(t.size), self.band)
        if self.metal:
            low, high = np.log(self.band).tolist()
            partials = np.exp(random.uniform(low, high, self.metal))
            phases = random.uniform(0, 2 * np.pi, self.metal)
            ring = np.sin(2 * np.pi * np.outer(partials, t) + phases[:, None]).sum(axis=0)
            burst = burst / burst.std() + ring / ring.std()
        x += self.noise * fall * burst / np.abs(burst).max()
        x *= np.minimum(1, t / 0.0005) * np.minimum(1, (t[-1] - t) / 0.05)
        return np.asarray(x / np.abs(x).max())


def in_band(noise: Signal, band: tuple[float, float]) -> Signal:
    """A noise with nothing outside a band, but for skirts of a tenth of its edges.

    Examples
    --------
    >>> x = in_band(np.random.default_rng(0).standard_normal(4096), (1000.0, 2000.0))
    >>> spectrum = np.abs(np.fft.rfft(x))
    >>> bool(spectrum[:100].max() < 0.01 * spectrum.max())
    True
    """
    f = np.fft.rfftfreq(noise.size, 1 / SAMPLE_RATE)
    low, high = band
    up, down = (np.clip((f / edge - 0.9) / 0.2, 0, 1) for edge in band)
    return np.asarray(np.fft.irfft(np.fft.rfft(noise) * up * (1 - down), noise.size))


KICK = Drum("kick", pitch=52, decay=0.45, glide=1.6, noise=0.1, rattle=0.03, level=0.8)
SNARE = Drum("snare", pitch=185, decay=0.16, noise=0.9, band=(800, 9500), rattle=0.25, level=0.6)
HAT = Drum("hi-hat", noise=1, band=(5500, 10_500), rattle=0.14, metal=12, level=0.4)
TOM = Drum("tom", pitch=110, decay=0.6, glide=0.3, noise=0.08, rattle=0.08, level=0.5)
KIT = (KICK, SNARE, HAT, TOM)
"""What the method was made with."""

UNSEEN: tuple[tuple[Drum, ...], ...] = (
    (  # an 808: a long low sine, a snap, a square-wave hat
        Drum("kick", pitch=47, decay=1.2, glide=0.8, noise=0.02, rattle=0.01, level=0.9),
        Drum("snare", pitch=240, decay=0.12, noise=0.7, band=(1500, 9000), rattle=0.15, level=0.5),
        Drum("hi-hat", noise=1, band=(6500, 10_000), rattle=0.06, metal=6, level=0.3),
    ),
    (  # a ride cymbal in place of the hat
        replace(KICK, pitch=62, decay=0.3),
        replace(SNARE, pitch=210, rattle=0.18),
        Drum("ride", noise=1, band=(2500, 10_000), rattle=1.2, metal=40, level=0.3),
    ),
    (  # brushes: nothing has a sharp onset but the kick
        replace(KICK, pitch=45, decay=0.6, level=0.7),
        Drum("snare", pitch=160, decay=0.1, noise=1.5, band=(2000, 10_000), rattle=0.3, level=0.4),
        replace(HAT, band=(4000, 9000), rattle=0.3, metal=0, level=0.3),
    ),
    (  # a tight kit
        replace(KICK, decay=0.2, glide=3.0),
        replace(SNARE, rattle=0.1, pitch=230),
        replace(HAT, rattle=0.05, level=0.5),
    ),
    (  # a quiet hat
        replace(KICK, pitch=58),
        replace(SNARE, band=(400, 6000)),
        replace(HAT, level=0.12),
    ),
    (  # wood and skin
        Drum("kick", pitch=75, decay=0.3, noise=0.3, band=(200, 2000), rattle=0.05, level=0.7),
        Drum("clap", noise=1, band=(900, 3500), rattle=0.2, level=0.6),
        Drum("shaker", noise=1, band=(4500, 9500), rattle=0.1, level=0.35),
    ),
    (  # four, in a large room
        replace(KICK, decay=0.7),
        replace(SNARE, rattle=0.5),
        replace(HAT, rattle=0.25),
        replace(TOM, decay=0.9, pitch=95),
    ),
    (  # four, small
        replace(KICK, pitch=70, decay=0.25, glide=0.8),
        replace(SNARE, pitch=260, decay=0.1, rattle=0.12),
        replace(HAT, band=(7000, 10_500), metal=20, rattle=0.09),
        replace(TOM, pitch=150, decay=0.35),
    ),
    (  # four, with metal
        replace(KICK, glide=0.5),
        replace(SNARE, noise=1.4),
        Drum("crash", noise=1, band=(1800, 10_000), rattle=0.9, metal=60, level=0.35),
        Drum("cowbell", noise=1, band=(540, 3000), rattle=0.25, metal=4, level=0.4),
    ),
    (  # four machines
        Drum("thump", pitch=90, decay=0.2, noise=0.5, band=(100, 800), rattle=0.1, level=0.7),
        Drum("hiss", noise=1, band=(3000, 10_000), rattle=0.4, level=0.4),
        Drum("tick", noise=1, band=(2000, 6000), rattle=0.04, metal=8, level=0.5),
        Drum("clank", pitch=420, decay=0.3, noise=0.6, band=(900, 7000), metal=15, level=0.5),
    ),
)
"""Ten kits that it was not: other pitches, decays, bands and levels."""


def drums(
    rng: Seed = 0,
    kit: Sequence[Drum] = KIT[:3],
    *,
    are_alike: bool = True,
    is_between_samples: bool = True,
    noise: float = -40.0,
) -> Mixture:
    """Play eight bars on a kit of three or four: 20 s, the stems and the hits known.

    The first drum sounds on steps 0, 8 and, in every second bar, 6; the next on 4 and 12; the third
    on every second step; the fourth once or twice a bar. Each hit is moved by a normal 4 ms, and is
    up to 4 dB weaker.

    Parameters
    ----------
    rng
        Seed of the strokes and of the hits.
    kit
        Three drums or four.
    are_alike
        Whether all hits of a drum are the same stroke; else each is coloured and damped anew.
    is_between_samples
        Whether hits begin between samples.
    noise
        White, in dB re the mixture.

    Examples
    --------
    >>> mixture = drums(rng=0)
    >>> mixture.names, len(mixture.events)
    (('kick', 'snare', 'hi-hat', 'noise'), 100)
    """
    random = np.random.default_rng(rng)
    strokes = [drum.stroke(each) for drum, each in zip(kit, random.spawn(len(kit)), strict=True)]
    levels, names = [drum.level for drum in kit], [drum.name for drum in kit]
    options: dict[str, Any] = {
        "are_alike": are_alike,
        "is_between_samples": is_between_samples,
        "noise": noise,
    }
    return played(strokes, levels, names, random, **options)


def played(
    strokes: Sequence[Signal],
    levels: Sequence[float],
    names: Sequence[str],
    rng: Seed = 0,
    *,
    are_alike: bool = True,
    is_between_samples: bool = True,
    noise: float = -40.0,
) -> Mixture:
    """The pattern of :func:`drums` on any strokes, of 22,050 Hz: the first of each is its sound.

    Examples
    --------
    >>> click = np.eye(1, 200)[0]
    >>> played([click] * 3, [1, 1, 1], ["low", "middle", "high"]).sources.shape
    (3, 457538)
    """
    import scipy.signal

    random = np.random.default_rng(rng)
    step = 60 / TEMPO / 4
    stems = np.zeros((len(strokes), round((BARS * STEPS * step + SECONDS + 0.05) * SAMPLE_RATE)))
    events = []
    for number, drum in sounding(len(strokes)):
        onset = max(0.0, 0.05 + number * step + random.normal(0, HAND))
        gain, x = -STRENGTH * random.uniform(), strokes[drum]
        if not are_alike:
            damped = np.exp(-random.uniform(0, 4) * np.arange(x.size) / SAMPLE_RATE)
            x = damped * scipy.signal.lfilter([1, random.uniform(-0.25, 0.25)], [1], x)
        at = onset * SAMPLE_RATE
        if not is_between_samples:
            at = round(at)
        add_delayed(stems[drum], levels[drum] * 10 ** (gain / 20) * x, at)
        events.append(Event(at / SAMPLE_RATE, x.size / SAMPLE_RATE, drum, gain))
    white = random.standard_normal(stems.shape[1])
    white *= 10 ** (noise / 20) * np.sqrt(np.mean(stems.sum(axis=0) ** 2))
    return Mixture(np.vstack([stems, white]), SAMPLE_RATE, (*names, "noise"), tuple(events))


def sounding(n_drums: int) -> Iterator[tuple[int, int]]:
    """The steps on which each drum sounds: pairs of a step and a drum.

    Examples
    --------
    >>> [drum for step, drum in sounding(3) if step == 8]
    [0, 2]
    """
    for bar in range(BARS):
        steps = (
            (0, 6, 8) if bar % 2 else (0, 8),
            (4, 12),
            range(0, STEPS, 2),
            (10, 14) if bar % 4 == 3 else (7,),
        )
        for drum in range(n_drums):
            yield from ((bar * STEPS + step, drum) for step in steps[drum])


def add_delayed(stem: Signal, x: Signal, at: float) -> None:
    """Add a sound from a place on that may lie between two samples, by a shift of its phases.

    Examples
    --------
    >>> stem = np.zeros(100)
    >>> add_delayed(stem, np.eye(1, 9, 4)[0], 40.0)
    >>> int(np.argmax(stem)), round(float(stem.sum()), 6)
    (44, 1.0)
    """
    whole = int(np.floor(at))
    padded = np.pad(x, (MARGIN, 2 * MARGIN))
    turns = np.fft.rfftfreq(padded.size) * (at - whole)
    moved = np.fft.irfft(np.fft.rfft(padded) * np.exp(-2j * np.pi * turns), padded.size)
    begin = whole - MARGIN
    first, last = max(0, begin), min(stem.size, begin + moved.size)
    stem[first:last] += moved[first - begin : last - begin]
