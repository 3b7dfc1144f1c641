"""Mixtures of eight kinds, dry and in rooms, from seeds: a rule is made and judged on them.

Chapter: ``book/experiments/choosing.md``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.signal import butter as butterworth
from scipy.signal import lfilter, oaconvolve, resample_poly, sosfilt

from cdlnmf_lit.experiments import signals
from cdlnmf_lit.experiments.scenes import SAMPLE_RATE, call, coloured
from cdlnmf_lit.experiments.signals import Event, Measure, Mixture, Note, Seed, Signal

SECONDS = 10.0
"""How long each mixture is."""
MADE_ON = range(16)
"""Seeds of the first set, one mixture of each kind a seed: the rule is made on them."""
JUDGED_ON = range(1000, 1016)
"""Seeds of the second set: the first form of the rule was judged on them, once."""
ROOMS = range(2000, 2016)
"""Seeds of the third set, all in rooms: the rule is made on them, too."""
JUDGED_AGAIN = range(3000, 3016)
"""Seeds of the fourth set, every other one in a room: the rule as it is is judged on them."""
SETS = {
    "made on": MADE_ON,
    "first judged on": JUDGED_ON,
    "made on, in rooms": ROOMS,
    "judged on, half in rooms": JUDGED_AGAIN,
}
"""All four."""
IN_ROOMS = frozenset([*ROOMS, *JUDGED_AGAIN[::2]])
"""Seeds of the mixtures that are heard in rooms, at other sampling rates."""
RATES = (8000, 11_025, 16_000, 22_050, 32_000, 44_100)
"""Hz, of recordings in rooms."""
UNEVEN = 3.0
"""dB, standard deviation of strikes in rooms."""
Random = np.random.Generator


def notes(rng: Seed = 0, variation: float = 0.5) -> Mixture:
    """Three to five keys of a piano, alone and in chords, each struck twice or more.

    The standard deviation of the strikes' gain is so many dB.

    Examples
    --------
    >>> notes(0).stems.shape[1] / SAMPLE_RATE
    10.0
    """
    random = np.random.default_rng(rng)
    K = int(random.integers(3, 6))
    keys = np.sort(random.choice(np.arange(48, 80), K, replace=False))
    strings = [
        Note(
            f"key {key}",
            440 * 2 ** ((key - 69) / 12),
            random.uniform(2e-4, 8e-4),
            level=random.uniform(-22, -14),
            prompt=random.uniform(15, 30),
            late=random.uniform(6, 10),
        )
        for key in keys.tolist()
    ]
    gap = random.uniform(0.5, 0.9)
    onsets = np.arange(0.1, SECONDS - 0.8, gap)
    onsets = onsets + random.uniform(-0.2, 0.2, onsets.size) * gap * 0.5
    struck = _turns(random, K, onsets.size, alone=0.4)
    measures = [
        Measure(max(0.0, onset), random.uniform(0.5, 0.95) * gap, each)
        for onset, each in zip(onsets.tolist(), struck, strict=True)
    ]
    return signals.piano(
        random, notes=strings, measures=measures, duration=SECONDS, variation=variation
    )


def sustained(rng: Seed = 0) -> Mixture:
    """Three to five blown or bowed tones that recur, each time with other phases and another swell.

    Examples
    --------
    >>> sustained(0).names[-1]
    'noise'
    """
    random = np.random.default_rng(rng)
    K = int(random.integers(3, 6))
    keys = random.choice(np.arange(50, 77), K, replace=False)
    colours = [
        random.uniform(0.2, 1, 20) / np.arange(1, 21) ** random.uniform(0.7, 1.5) for _ in keys
    ]
    onsets = np.arange(0.1, SECONDS - 1.2, random.uniform(0.6, 1.0))
    stems, events = np.zeros((K, _count(SECONDS))), []
    for onset, each in zip(onsets.tolist(), _turns(random, K, onsets.size, alone=0.5), strict=True):
        for k in each:
            seconds = random.uniform(0.5, 1.1)
            tone = _tone(random, 440 * 2 ** ((keys[k] - 69) / 12), seconds, colours[k])
            _add(stems[k], onset, random.uniform(0.6, 1) * tone)
            events.append(Event(onset, seconds, k))
    return _over(random, stems, events, random.uniform(-50, -35))


def calls(rng: Seed = 0) -> Mixture:
    """One to three animals, each with its call of 0.4 to 1.5 s, over wind.

    Examples
    --------
    >>> len(calls(0).sources) in (1, 2, 3)
    True
    """
    random = np.random.default_rng(rng)
    K = int(random.integers(1, 4))
    sounds = []
    for _ in range(K):
        low, high = random.uniform(900, 5500, 2)
        while abs(np.log(high / low)) < 0.2:
            low, high = random.uniform(900, 5500, 2)
        trill = random.uniform(2, 8) if random.random() < 0.4 else 0.0
        sounds.append(call(random.uniform(0.4, 1.5), low, high, trill))
    return _placed(random, sounds, random.uniform(1.4, 2.6, K), random.uniform(-25, -8))


def clicks(rng: Seed = 0) -> Mixture:
    """One to three moving parts of a machine, each with its click of a few ms, over hum and noise.

    Examples
    --------
    >>> len(clicks(0).sources) in (1, 2, 3)
    True
    """
    random = np.random.default_rng(rng)
    K = int(random.integers(1, 4))
    u = np.arange(_count(0.03)) / SAMPLE_RATE
    sounds = [
        _modes(
            u, random.uniform(500, 7000, 4), random.uniform(200, 700, 4), random.uniform(0.4, 1, 4)
        )
        for _ in range(K)
    ]
    return _placed(
        random,
        sounds,
        random.uniform(0.2, 0.5, K),
        random.uniform(-15, -5),
        hum=random.uniform(-15, 0),
    )


def hits(rng: Seed = 0) -> Mixture:
    """A kit of two to four drums: in half of the mixtures every hit of a drum is the same.

    Examples
    --------
    >>> len(hits(0).sources) in (2, 3, 4)
    True
    """
    random = np.random.default_rng(rng)
    K = int(random.integers(2, 5))
    kinds = [_kick, _snare, _hat, _tom][:K]
    unlike = random.random() < 0.5
    step = random.uniform(0.1, 0.16)
    stems, events = np.zeros((K, _count(SECONDS))), []
    for k, make in enumerate(kinds):
        seed = int(random.integers(2**32))
        sound = make(np.random.default_rng(seed), 1.0)
        places = np.flatnonzero(random.random(int((SECONDS - 1) / step)) < (0.2, 0.15, 0.4, 0.1)[k])
        for place in (*places.tolist(), *random.integers(0, int((SECONDS - 1) / step), 3).tolist()):
            onset = 0.1 + place * step + random.normal(0, 0.006)
            if unlike:
                sound = make(np.random.default_rng(seed), random.uniform(0.96, 1.04))
            _add(stems[k], onset, random.uniform(0.5, 1) * sound)
            events.append(Event(max(0.0, onset), sound.size / SAMPLE_RATE, k))
    return _over(random, stems, events, random.uniform(-45, -30))


def speech(rng: Seed = 0) -> Mixture:
    """One or two voices that never say a syllable twice: pulses through formants that glide.

    Examples
    --------
    >>> speech(0).events
    ()
    """
    random = np.random.default_rng(rng)
    stems = np.stack([_voice(random) for _ in range(int(random.integers(1, 3)))])
    return _over(random, stems, [], random.uniform(-45, -25))


def noises(rng: Seed = 0) -> Mixture:
    """Wind, rain or surf: noise whose colour and level wander.

    Examples
    --------
    >>> len(noises(0).sources)
    1
    """
    random = np.random.default_rng(rng)
    n = _count(SECONDS)
    noise = np.zeros(n)
    for low in random.uniform(80, 4000, 4).tolist():
        band = butterworth(
            2, [low, min(1.6 * low, 0.45 * SAMPLE_RATE)], "band", fs=SAMPLE_RATE, output="sos"
        )
        noise += _wander(random, n, random.uniform(0.2, 4)) * sosfilt(
            band, random.standard_normal(n)
        )
    if random.random() < 0.5:  # drops, each another
        for onset in random.uniform(0, SECONDS - 0.1, int(random.uniform(50, 400))).tolist():
            u = np.arange(_count(random.uniform(0.003, 0.02))) / SAMPLE_RATE
            drop = _modes(
                u,
                random.uniform(800, 8000, 2),
                random.uniform(200, 900, 2),
                random.standard_normal(2),
            )
            _add(noise, onset, random.uniform(0.2, 1) * noise.std() * drop)
    return _over(random, noise[None], [], random.uniform(-30, -10))


def melody(rng: Seed = 0) -> Mixture:
    """Two voices of tones that glide, each of another pitch and colour: music that repeats nothing.

    Examples
    --------
    >>> len(melody(0).sources)
    2
    """
    random = np.random.default_rng(rng)
    stems = np.zeros((2, _count(SECONDS)))
    for stem in stems:
        onset = random.uniform(0, 0.3)
        while onset < SECONDS - 0.3:
            seconds = min(random.uniform(0.3, 1.5), SECONDS - onset)
            colour = random.uniform(0, 1, 15) / np.arange(1, 16) ** random.uniform(0.5, 1.5)
            pitch = 110 * 2 ** random.uniform(0, 3)
            _add(stem, onset, _tone(random, pitch, seconds, colour, glide=random.uniform(-3, 3)))
            onset += seconds * random.uniform(0.8, 1.1)
    return _over(random, stems, [], random.uniform(-50, -30))


MIXTURES: dict[str, Callable[[Seed], Mixture]] = {
    "notes": notes,
    "sustained": sustained,
    "calls": calls,
    "clicks": clicks,
    "hits": hits,
    "speech": speech,
    "noises": noises,
    "melody": melody,
}
"""What a mixture is made of, and how."""
KINDS = {
    "notes": "notes",
    "sustained": "notes",
    "calls": "calls",
    "clicks": "clicks",
    "hits": "hits",
    "speech": "nothing",
    "noises": "nothing",
    "melody": "nothing",
}
"""What a rule should say of each."""


# ---- rooms -----------------------------------------------------------------------------------


def mixture(name: str, seed: int) -> Mixture:
    """The mixture of this name and seed, in a room if the seed is one of ``IN_ROOMS``.

    In rooms keys are struck less evenly, too.

    Examples
    --------
    >>> mixture("clicks", 0).sample_rate, mixture("clicks", 2000).sample_rate
    (22050, 44100)
    """
    if seed not in IN_ROOMS:
        return MIXTURES[name](seed)
    dry = notes(seed, variation=UNEVEN) if name == "notes" else MIXTURES[name](seed)
    return in_a_room(dry, [seed, 1])


def in_a_room(mixture: Mixture, rng: Seed = 0) -> Mixture:
    """Each source from its own place in a room, and all of it at one of six sampling rates.

    A room's impulse response is one sample, the direct sound, and noise that decays by 60 dB in 0.2
    to 1.5 s, the higher frequencies faster; direct sound and room differ by -6 to 12 dB in energy.

    Examples
    --------
    >>> dry = clicks(0)
    >>> wet = in_a_room(dry)
    >>> wet.sample_rate, wet.names == dry.names, wet.stems.shape[1] / wet.sample_rate
    (22050, True, 10.0)
    """
    random = np.random.default_rng(rng)
    seconds = random.uniform(0.2, 1.5)
    rate = int(random.choice(RATES))
    stems = []
    for stem, name in zip(mixture.stems, mixture.names, strict=True):
        if name != "noise":
            stem = oaconvolve(stem, _room(random, seconds, random.uniform(-6, 12)))[: stem.size]
        common = math.gcd(rate, mixture.sample_rate)
        stems.append(resample_poly(stem, rate // common, mixture.sample_rate // common))
    every = np.stack(stems)
    every *= 0.7 / np.abs(every.sum(axis=0)).max()
    return Mixture(every, rate, mixture.names, mixture.events)


def _room(random: Random, seconds: float, direct: float) -> Signal:
    """An impulse response: the direct sound is so many dB above the room."""
    u = np.arange(1, _count(seconds)) / SAMPLE_RATE
    later = np.zeros(u.size)
    for low, high, faster in ((50, 1000, 1.0), (1000, 4000, 1.5), (4000, 10_000, 2.5)):
        band = butterworth(2, [low, high], "band", fs=SAMPLE_RATE, output="sos")
        noise = sosfilt(band, random.standard_normal(u.size))
        later += np.exp(-np.log(1000) * faster * u / seconds) * noise
    later *= 10 ** (-direct / 20) / np.linalg.norm(later)
    return np.concatenate([[1.0], later])


# ---- parts -----------------------------------------------------------------------------------


def _count(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def _add(stem: Signal, onset: float, sound: Signal) -> None:
    """Add a sound to a stem, as much of it as fits."""
    first = max(0, _count(onset))
    stem[first : first + sound.size] += sound[: max(0, stem.size - first)]


def _over(random: Random, stems: Signal, events: Sequence[Event], noise: float) -> Mixture:
    """Stems over noise of a level in dB re their sum, at a peak of 0.7."""
    power = np.mean(stems.sum(axis=0) ** 2)
    rest = np.sqrt(power) * 10 ** (noise / 20) * coloured(random, stems.shape[1])
    every = np.vstack([stems, rest])
    names = (*(f"source {k + 1}" for k in range(len(stems))), "noise")
    told = tuple(sorted(events, key=lambda each: each.onset))
    return Mixture(0.7 * every / np.abs(every.sum(axis=0)).max(), SAMPLE_RATE, names, told)


def _placed(
    random: Random, sounds: Sequence[Signal], gaps: Signal, noise: float, hum: float | None = None
) -> Mixture:
    """Each sound again and again, with jitter and gains, over noise and, it may be, a hum."""
    stems, events = np.zeros((len(sounds), _count(SECONDS))), []
    for k, (sound, gap) in enumerate(zip(sounds, gaps.tolist(), strict=True)):
        onset = random.uniform(0.05, gap)
        while onset < SECONDS - sound.size / SAMPLE_RATE:
            _add(stems[k], onset, random.uniform(0.5, 1) * sound)
            events.append(Event(onset, sound.size / SAMPLE_RATE, k))
            onset += max(sound.size / SAMPLE_RATE, gap * random.uniform(0.7, 1.3))
    mixture = _over(random, stems, events, noise)
    if hum is None:
        return mixture
    tone = np.sin(
        2 * np.pi * random.choice([50, 60, 100, 120]) * np.arange(_count(SECONDS)) / SAMPLE_RATE
    )
    tone *= 10 ** (hum / 20) * np.sqrt(2 * np.mean(mixture.sources.sum(axis=0) ** 2))
    return Mixture(
        np.vstack([mixture.sources, mixture.stems[-1] + tone]),
        SAMPLE_RATE,
        mixture.names,
        mixture.events,
    )


def _turns(random: Random, K: int, count: int, alone: float) -> list[tuple[int, ...]]:
    """Which of K sound at each of some moments: all in turn, one alone or with one or two more."""
    order = np.concatenate([random.permutation(K) for _ in range(count // K + 1)])[:count]
    told = []
    for k in order.tolist():
        more = 0 if random.random() < alone else int(random.integers(1, 3))
        others = random.permutation([j for j in range(K) if j != k])[:more]
        told.append((k, *others.tolist()))
    return told


def _tone(
    random: Random, pitch: float, seconds: float, colour: Signal, glide: float = 0.0
) -> Signal:
    """A tone of partials with random phases, a soft attack, vibrato, and semitones of glide."""
    t = np.arange(_count(seconds)) / SAMPLE_RATE
    vibrato = random.uniform(0, 0.1) * np.sin(
        2 * np.pi * random.uniform(4, 6) * t + random.uniform(0, 6)
    )
    f = pitch * 2 ** ((vibrato + glide * t / seconds) / 12)
    phase = 2 * np.pi * np.cumsum(f) / SAMPLE_RATE
    n = np.arange(1, colour.size + 1)
    n = n[n * f.max() < 0.45 * SAMPLE_RATE]
    partials = np.sin(np.outer(n, phase) + random.uniform(0, 2 * np.pi, (n.size, 1)))
    rise, fall = random.uniform(0.02, 0.1), random.uniform(0.05, 0.15)
    swell = np.clip(t / rise, 0, 1) * np.clip((seconds - t) / fall, 0, 1)
    return swell * (colour[: n.size] @ partials)


def _modes(u: Signal, frequencies: Signal, decays: Signal, gains: Signal) -> Signal:
    """Tones that decay, from one blow."""
    return gains @ (np.exp(-np.outer(decays, u)) * np.sin(2 * np.pi * np.outer(frequencies, u)))


def _kick(random: Random, stretch: float) -> Signal:
    u = np.arange(_count(random.uniform(0.2, 0.4))) / SAMPLE_RATE
    end, fall = stretch * random.uniform(45, 70), random.uniform(80, 200)
    phase = end * u + fall * (1 - np.exp(-40 * u)) / 40
    snap = np.exp(-u / 0.002) * random.standard_normal(u.size) * 0.3
    return np.exp(-u * random.uniform(10, 18)) * np.sin(2 * np.pi * phase) + snap


def _snare(random: Random, stretch: float) -> Signal:
    u = np.arange(_count(random.uniform(0.15, 0.25))) / SAMPLE_RATE
    body = _modes(
        u, stretch * random.uniform(170, 400, 3), random.uniform(20, 40, 3), np.full(3, 0.3)
    )
    wires = lfilter([1, -0.7], [1], random.standard_normal(u.size))
    return body + 0.4 * np.exp(-u * random.uniform(18, 30)) * wires


def _hat(random: Random, stretch: float) -> Signal:
    u = np.arange(_count(random.uniform(0.05, 0.12))) / SAMPLE_RATE
    metal = _modes(u, stretch * random.uniform(5000, 10_000, 6), np.full(6, 40.0), np.full(6, 0.15))
    hiss = np.diff(random.standard_normal(u.size + 2), 2)
    return metal + 0.15 * np.exp(-u * random.uniform(40, 80)) * hiss


def _tom(random: Random, stretch: float) -> Signal:
    u = np.arange(_count(random.uniform(0.2, 0.35))) / SAMPLE_RATE
    low = stretch * random.uniform(90, 200)
    ratios = np.array([1, 1.59, 2.14, 2.30])  # of a membrane
    return _modes(u, low * ratios, random.uniform(12, 30, 4), np.array([0.8, 0.4, 0.2, 0.2]))


def _wander(random: Random, n: int, rate: float) -> Signal:
    """A positive level that wanders so many times a second."""
    points = np.exp(0.8 * random.standard_normal(max(4, int(n / SAMPLE_RATE * rate) + 2)))
    return np.interp(np.linspace(0, points.size - 1, n), np.arange(points.size), points)


def _voice(random: Random) -> Signal:
    """Syllables of ever new formants and pitch, with consonants of noise and pauses between."""
    voice, onset, usual = np.zeros(_count(SECONDS)), random.uniform(0, 0.3), random.uniform(90, 220)
    while onset < SECONDS - 0.4:
        seconds = random.uniform(0.1, 0.35)
        n = _count(seconds)
        begin, end = random.normal(0, 3, 2).tolist()
        pitch = usual * 2 ** (np.linspace(begin, end, n) / 12)
        pulses = np.diff(np.floor(np.cumsum(pitch) / SAMPLE_RATE), prepend=0)
        syllable = lfilter([1], [1, -0.95], pulses + 0.01 * random.standard_normal(n))
        for low, high in ((300, 800), (900, 2300), (2400, 3200)):
            syllable = _formant(syllable, *random.uniform(low, high, 2).tolist())
        syllable *= np.hanning(n) / (np.abs(syllable).max() + 1e-12)
        _add(voice, onset, random.uniform(0.4, 1) * syllable)
        if random.random() < 0.6:
            hiss = np.diff(random.standard_normal(_count(random.uniform(0.03, 0.1)) + 1))
            _add(voice, onset - 0.05, random.uniform(0.03, 0.15) * np.hanning(hiss.size) * hiss)
        onset += seconds * random.uniform(0.9, 1.2) + (random.random() < 0.15) * random.uniform(
            0.1, 0.5
        )
    return voice


def _formant(x: Signal, first: float, last: float) -> Signal:
    """A resonance that glides from one frequency to another, in steps of 5 ms."""
    y, state = np.empty_like(x), np.zeros(2)
    step = _count(0.005)
    for begin in range(0, x.size, step):
        f = first + (last - first) * begin / x.size
        r = np.exp(-np.pi * 90 / SAMPLE_RATE)
        poles = [1, -2 * r * np.cos(2 * np.pi * f / SAMPLE_RATE), r * r]
        y[begin : begin + step], state = lfilter(
            [sum(poles)], poles, x[begin : begin + step], zi=state
        )
    return y
