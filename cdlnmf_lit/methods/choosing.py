"""What kind of sound it is: short repeats, calls, notes, or nothing that repeats.

Chapter: ``book/experiments/choosing.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike
from scipy.signal import resample_poly

from cdlnmf_lit.methods.whitening import prediction_filter, whitened
from cdlnmf_lit.theory.arguments import Array, integer, signal
from cdlnmf_lit.theory.blocks import frames

RATE = 22_050
"""Hz, about which a sound is looked at."""
EXCERPT = 10.0
"""s of a sound that are looked at, at the most: the loudest."""
SHORTEST = 2.5
"""s that a sound must last for anything to be told of it."""
SEGMENTS = 20
"""How many segments are looked for again."""
SHORT, LONG = 0.03, 0.3
"""s, the two lengths of segments."""
NEAR = (0.002, 0.025)
"""s from its best match at which a segment that matches sharply matches no more."""
BIN = 0.005
"""s, in which the length of what repeats is told."""
LATER = 0.12
"""s from one look at a spectrum to the next, which tells whether it moves."""

TONAL = 0.1
"""Spectral flatness below which a sound is one of tones."""
STEADY = 0.8
"""Cosine of a spectrum with a later one above which tones stay where they are; calls move."""
REPEATS, TONES_REPEAT = 0.285, 0.42
"""Correlation from which long segments come again, and those of tones, which are more alike."""
SHARP = 0.48
"""Sharpness below which short segments of calls match, which are parts of a sweep."""
CLICK = 0.0275
"""s that a click lasts, at most, until it has died away to a quarter."""
FADED = 0.25
"""Share of the most energy in 5 ms below which what two stretches have in common has ended.

What a room adds to a click is below it, mostly.
"""


RECIPE_OF = {
    "nothing": "notes",
    "notes": "notes",
    "calls": "chirps",
    "clicks": "clicks",
    "hits": "hits",
}
"""The recipe for each kind."""
KIND_OF = {"notes": "notes", "chirps": "calls", "clicks": "clicks", "hits": "hits"}
"""The kind that each recipe is for."""


@dataclass(frozen=True)
class Features:
    """What is measured of a sound to tell its kind.

    Parameters
    ----------
    again : float
        Correlation with their best match of segments of 0.3 s, which begin where something begins:
        that of the better quarter.
    sharp : float
        By how much that of segments of 0.03 s is less some milliseconds away.
    steady : float
        How alike the spectra of what begins are 0.12 s apart: see :func:`steadiness`.
    flatness : float
        From 0, a few tones, to 0.56, noise: see :func:`flatness`.
    seconds : float
        How long what comes again stays the same, until it has faded: see :func:`common_seconds`.

    Examples
    --------
    >>> kind_of(Features(again=0.8, sharp=0.7, steady=0.9, flatness=0.06, seconds=0.3))
    'notes'
    """

    again: float
    sharp: float
    steady: float
    flatness: float
    seconds: float


def ratios(found: Features) -> dict[str, float]:
    """How far a sound is on the side of each kind, in the order of the rule: above 1 it is on it.

    Examples
    --------
    >>> ratios(Features(again=0.6, sharp=0.8, steady=0.4, flatness=0.2, seconds=0.11))
    {'nothing': 0.475, 'notes': 0.5, 'calls': 0.6, 'clicks': 0.25, 'hits': inf}
    """
    least = TONES_REPEAT if found.flatness < TONAL else REPEATS
    return {
        "nothing": least / max(found.again, 1e-9),
        "notes": min(TONAL / max(found.flatness, 1e-9), found.steady / STEADY),
        "calls": SHARP / max(found.sharp, 1e-9),
        "clicks": CLICK / max(found.seconds, 1e-9),
        "hits": np.inf,
    }


def kind_of(found: Features) -> str:
    """The kind of a sound: the first of :func:`ratios` that is above 1.

    Returns
    -------
    {"nothing", "calls", "notes", "clicks", "hits"}

    Examples
    --------
    >>> kind_of(Features(again=0.1, sharp=0.1, steady=0.2, flatness=0.3, seconds=0.0))
    'nothing'
    """
    return next(kind for kind, ratio in ratios(found).items() if ratio > 1)


def runner_up(found: Features) -> str:
    """The kind that a sound would be of if the nearest threshold were crossed.

    Of kinds that have one recipe only the first is looked at.

    Examples
    --------
    >>> runner_up(Features(again=0.8, sharp=0.8, steady=0.4, flatness=0.2, seconds=0.03))
    'clicks'
    """
    of, kind = ratios(found), kind_of(found)
    order = [*of]
    place = order.index(kind)
    nearest = {each: -np.log(max(of[each], 1e-9)) for each in order[:place]}
    later = [each for each in order[place + 1 :] if of[each] > 1]
    nearest |= {each: np.log(of[kind]) for each in later}
    others = [each for each in nearest if RECIPE_OF[each] != RECIPE_OF[kind]]
    return min(others, key=lambda each: nearest[each])


@dataclass(frozen=True)
class Choice:
    """The recipe for a sound, why, and the one that would have been taken next.

    Parameters
    ----------
    kind : {"nothing", "calls", "notes", "clicks", "hits"}
    recipe : str
    why : str
        In words.
    other : str
        The next recipe.
    features : Features or None
        None where the sound is too short to be looked at.

    Examples
    --------
    >>> print(choose(np.ones(100), 8000))
    recipe notes: the sound is shorter than 2.5 s, too short to tell what comes again
    next to try: --recipe clicks
    """

    kind: str
    recipe: str
    why: str
    other: str
    features: Features | None = None

    def __str__(self) -> str:
        return f"recipe {self.recipe}: {self.why}\nnext to try: --recipe {self.other}"


def choose(x: ArrayLike, sample_rate: int) -> Choice:
    """Choose the recipe for a sound, from its loudest 10 s.

    Examples
    --------
    >>> choose(np.random.default_rng(0).standard_normal(30_000), 8000).kind
    'nothing'
    """
    x = signal(x)
    if x.size < SHORTEST * integer(sample_rate, "sample_rate"):
        why = f"the sound is shorter than {SHORTEST:g} s, too short to tell what comes again"
        return Choice("nothing", RECIPE_OF["nothing"], why, RECIPE_OF["clicks"])
    if not x.any():
        return Choice("nothing", RECIPE_OF["nothing"], "the sound is silent", RECIPE_OF["clicks"])
    found = features_of(x, sample_rate)
    kind = kind_of(found)
    again, tones = f"correlation {found.again:.2f}", f"flatness {found.flatness:.2g}"
    stay, lasts = f"steadiness {found.steady:.2f}", f"{found.seconds:.2g} s"
    reasons = {
        "nothing": f"no stretch of 0.3 s comes again ({again}); expect little of any recipe",
        "notes": f"stretches come again ({again}) and are tones ({tones}) that stay ({stay})",
        "calls": f"sounds of {lasts} and more come again ({again}) and move ({stay})",
        "clicks": f"sounds of {lasts} come again ({again}) and are no tones ({tones})",
        "hits": f"sounds of {lasts} come again ({again}) and are no tones ({tones})",
    }
    return Choice(kind, RECIPE_OF[kind], reasons[kind], RECIPE_OF[runner_up(found)], found)


def features_of(x: ArrayLike, sample_rate: int) -> Features:
    """Measure a sound of at least 2.5 s, in its loudest 10 s.

    Raises
    ------
    ValueError
        If it is shorter, or silent.

    Examples
    --------
    >>> click = np.exp(-np.arange(200) / 30) * np.random.default_rng(0).standard_normal(200)
    >>> x = 1e-3 * np.random.default_rng(1).standard_normal(40_000)
    >>> for begin in (1000, 7000, 15_500, 22_000, 30_100):
    ...     x[begin : begin + 200] += click
    >>> features_of(x, 8000).seconds
    0.02
    """
    x = signal(x)
    if x.size < SHORTEST * integer(sample_rate, "sample_rate"):
        raise ValueError(f"x must last {SHORTEST:g} s or more, got {x.size / sample_rate:.3g} s")
    if not x.any():
        raise ValueError("x must not be silent, got zeros alone")
    x, rate = excerpt(x, sample_rate)
    w = whitened(x, prediction_filter(x))
    begins = beginnings(w, rate)
    again, _, places = matches(w, begins, round(LONG * rate), rate)
    _, sharp, _ = matches(w, begins, round(SHORT * rate), rate)
    well = again >= np.median(again)
    return Features(
        again=float(np.percentile(again, 75)),
        sharp=float(np.percentile(sharp, 75)),
        steady=steadiness(x, begins, rate),
        flatness=flatness(w, rate),
        seconds=common_seconds(w, begins[well], places[well], rate),
    )


def excerpt(x: Array, sample_rate: int) -> tuple[Array, float]:
    """The loudest 10 s of a sound, at about 22,050 Hz if its rate is far above that.

    Examples
    --------
    >>> part, rate = excerpt(np.sin(0.1 * np.arange(30 * 44_100)), 44_100)
    >>> part.size / rate, rate
    (10.0, 22050.0)
    """
    rate = integer(sample_rate, "sample_rate")
    length = round(EXCERPT * rate)
    if x.size > length:
        step = rate // 2 or 1
        energies = np.add.reduceat(np.square(x, dtype=np.float64), np.arange(0, x.size, step))
        begin = min(loudest(energies, length // step) * step, x.size - length)
        x = x[begin : begin + length]
    down = max(1, round(rate / RATE))
    return np.asarray(resample_poly(x, 1, down) if down > 1 else x), rate / down


def loudest(energies: ArrayLike, length: int) -> int:
    """The first of so many parts that have the most energy together.

    Examples
    --------
    >>> loudest([1.0, 3.0, 2.0, 0.0], 2)
    1
    """
    return int(np.convolve(np.asarray(energies, float), np.ones(length), "valid").argmax())


def beginnings(w: Array, rate: float) -> Array:
    """The samples of the 20 moments at which most begins, 50 ms apart or more, in order.

    What begins is what the square root of the spectrogram gains within 23 ms. Where nothing does,
    it is the first sample.

    Examples
    --------
    >>> w = np.zeros(8000)
    >>> w[4000:4100] = 1
    >>> bool(abs(beginnings(w, 8000)[0] - 4000) < 100)
    True
    """
    hop, width = max(1, round(0.006 * rate)), max(2, round(0.023 * rate))
    padded = np.pad(w.astype(np.float32), (width, width))
    windowed = frames(padded, width, hop) * np.hanning(width).astype(np.float32)
    spectra = np.sqrt(np.abs(scipy.fft.rfft(windowed, axis=1)))
    gain = np.maximum(spectra[4:] - spectra[:-4], 0).sum(axis=1)
    places = (np.arange(gain.size) + 4) * hop - width
    gain[(places < 0) | (places > w.size - round(LONG * rate))] = 0
    found: list[int] = []
    near = max(1, round(0.05 * rate / hop))
    while len(found) < SEGMENTS and gain.any():
        n = int(gain.argmax())
        found.append(int(places[n]))
        gain[max(0, n - near) : n + near + 1] = 0
    return np.array(sorted(found) or [0], int)


def matches(w: Array, begins: Array, length: int, rate: float) -> tuple[Array, Array, Array]:
    """Where in a sound segments of it come again, how well, and how sharply.

    Parameters
    ----------
    w : array (T,)
    begins : array of int (N,)
        Where each segment begins.
    length : int
        Of the segments.
    rate : float
        In Hz.

    Returns
    -------
    best, sharp, places : arrays (N,)
        The largest normalised correlation with what does not overlap the segment; by how much it
        is larger than any 2 to 25 ms away; and where it is.

    Examples
    --------
    >>> w = np.random.default_rng(0).standard_normal(4000)
    >>> w[3000:3100] = 2 * w[500:600]
    >>> best, sharp, places = matches(w, np.array([500]), 100, 8000)
    >>> best.round(3), places
    (array([1.], dtype=float32), array([3000]))
    """
    n = scipy.fft.next_fast_len(w.size + length, real=True)
    W = scipy.fft.rfft(w.astype(np.float32), n)
    sums = np.concatenate([[0.0], np.cumsum(np.square(w, dtype=np.float64))])
    norms = np.sqrt(np.maximum(sums[length:] - sums[:-length], 1e-9 * sums[-1] * length / w.size))
    scale = (1 / norms).astype(np.float32)
    inner, outer = (max(1, round(seconds * rate)) for seconds in NEAR)
    found = []
    for begin in begins.tolist():
        segment = w[begin : begin + length].astype(np.float32)
        spectrum = W * scipy.fft.rfft(segment, n).conj()
        c = scipy.fft.irfft(spectrum, n)[: scale.size] * scale * scale[begin]
        c[max(0, begin - length) : begin + length] = -1
        place = int(c.argmax())
        around = (
            c[max(0, place - outer) : max(0, place - inner)],
            c[place + inner : place + outer],
        )
        found.append((c[place], c[place] - np.concatenate([*around, [-1]]).max(), place))
    best, sharp, places = zip(*found, strict=True)
    return np.array(best), np.array(sharp), np.array(places, int)


def common_seconds(w: Array, begins: Array, places: Array, rate: float) -> float:
    """How long two stretches of a sound stay alike from where each begins, in steps of 5 ms.

    What they have in common in each step is averaged over the pairs; it ends before the first two
    steps in a row with less than a quarter of the most.

    Examples
    --------
    >>> w = 0.1 * np.random.default_rng(0).standard_normal(40_000)
    >>> w[24_000:26_000] = w[4000:6000] = 10 * w[4000:6000]
    >>> common_seconds(w, np.array([4000]), np.array([24_000]), 8000)
    0.25
    """
    step = max(1, round(BIN * rate))
    common = np.zeros(round(EXCERPT / BIN))
    for begin, place in zip(begins.tolist(), places.tolist(), strict=True):
        count = min((w.size - max(begin, place)) // step, common.size)
        one, other = w[begin : begin + count * step], w[place : place + count * step]
        common[:count] += (one * other).reshape(count, step).sum(axis=1)
    low = common < FADED * common.max()
    ended = np.flatnonzero(low & np.roll(low, -1))
    ended = ended[ended > int(common.argmax())]
    return float(round((ended[0] if ended.size else common.size) * BIN, 6))


def steadiness(x: Array, begins: Array, rate: float) -> float:
    """How alike two magnitude spectra of 0.1 s are, 0.12 s apart, after what begins: the median.

    Their cosine is near 1 for tones that are held or die away, whatever their level and the room,
    and small for a sweep, which has moved on.

    Examples
    --------
    >>> t = np.arange(8000) / 8000
    >>> [round(steadiness(np.sin(f * t), np.array([0, 3000]), 8000), 1) for f in (900, 900 * t)]
    [1.0, 0.1]
    """
    width, later = 2 ** max(4, round(np.log2(0.093 * rate))), round(LATER * rate)
    first = begins + round(0.02 * rate)
    first = first[first + later + width <= x.size]
    places = np.stack([first, first + later])[..., None] + np.arange(width)
    spectra = np.abs(scipy.fft.rfft(x[places].astype(np.float64) * np.hanning(width)))
    spectra /= np.maximum(np.linalg.norm(spectra, axis=-1, keepdims=True), 1e-30)
    return float(np.median((spectra[0] * spectra[1]).sum(axis=-1)))


def flatness(w: Array, rate: float) -> float:
    """Spectral flatness in frames of about 0.2 s, the median: small for tones, 0.56 for noise.

    The ratio of the geometric mean of a frame's power spectrum to the arithmetic one; 0 where all
    whole frames are silent.

    Examples
    --------
    >>> flatness(np.sin(np.arange(20_000.0)), 8000) < 1e-4
    True
    """
    width = min(w.size, 2 ** max(4, round(np.log2(0.186 * rate))))
    windowed = w[: w.size // width * width].reshape(-1, width) * np.hanning(width)
    power = np.square(np.abs(scipy.fft.rfft(windowed, axis=1)))
    power = power[power.any(axis=1)]
    if not power.size:
        return 0.0
    power += 1e-20 * power.max()
    return float(np.median(np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)))
