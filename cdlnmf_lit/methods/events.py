"""When each pattern sounds: a table of events, from the peaks of the activations.

Chapter: ``book/experiments/learn_once.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from cdlnmf_lit.theory.arguments import Array, array, integer, non_negative
from cdlnmf_lit.theory.blocks import placed
from cdlnmf_lit.theory.convolution import synthesize
from cdlnmf_lit.theory.gabor import GaborFrame

if TYPE_CHECKING:
    from cdlnmf_lit.methods.decomposition import Decomposition

FALL = 20.0
"""dB below an event's peak at which it begins and ends."""
VALLEY = 6.0
"""dB below the lower of two peaks to which the activity falls between two events, at least."""
BAND = 0.9
"""Share of a pattern's energy in its band; half of the rest lies below it, half above."""
SMOOTHING = 0.002
"""s, over which the power of an atom is smoothed."""
CONTINUED = 12.0
"""dB below an event that still sounds, at which what begins is a part of it."""
HARDLY = 0.02
"""Share of the recording's energy below which what a component explains of it is no event."""
ATTACK = 0.75
"""Share of the window in which an attack rises from -20 dB to half of its energy, at most."""


@dataclass(frozen=True, eq=False)
class Events:
    """What sounds when: a table with one row an event, in the order of the onsets.

    Parameters
    ----------
    onset, end : array (E,)
        In seconds: where the component comes within 20 dB of the event's peak, and leaves it.
    component : array of int (E,)
        ``k``, which pattern it is.
    level : array (E,)
        The component's largest level in the event, in dB re a full-scale sine.
    lowest, highest : array (E,)
        In Hz: where the pattern holds 90 % of its energy.
    confidence : array (E,)
        Share of the recording's energy between onset and end, and within the band, that the
        component explains, from 0 to 1; not a number where no recording is given.

    Examples
    --------
    >>> table = Events(*np.array([[0.5, 2.0], [0.6, 2.1], [0, 1], [-6, -9], [1e3, 2e3], [2e3, 3e3],
    ...                           [0.9, 0.4]]))
    >>> len(table), table[table.confidence > 0.5].onset
    (2, array([0.5]))
    """

    onset: Array
    end: Array
    component: Array
    level: Array
    lowest: Array
    highest: Array
    confidence: Array

    def __post_init__(self) -> None:
        for each in fields(self):
            kind = np.int64 if each.name == "component" else np.float64
            object.__setattr__(self, each.name, np.asarray(getattr(self, each.name), kind))

    def __len__(self) -> int:
        return self.onset.size

    def __getitem__(self, chosen: Any) -> Events:
        return Events(*(np.atleast_1d(column[chosen]) for column in self.columns))

    @property
    def columns(self) -> list[Array]:
        """The arrays, in the order of the parameters."""
        return [getattr(self, each.name) for each in fields(self)]

    @property
    def rows(self) -> Iterator[tuple[Any, ...]]:
        """One tuple an event."""
        return zip(*(column.tolist() for column in self.columns), strict=True)

    @classmethod
    def joined(cls, parts: Iterable[Events]) -> Events:
        """The events of several tables as one, in the order of their onsets.

        Examples
        --------
        >>> late, soon = (Events(*([[t]] * 7)) for t in (2, 1))
        >>> Events.joined([late, soon]).onset
        array([1., 2.])
        """
        columns = [part.columns for part in parts] or [[np.empty(0)] * len(fields(cls))]
        whole = cls(*map(np.concatenate, zip(*columns, strict=True)))
        return whole[np.lexsort((whole.component, whole.onset))]


# ---- the patterns --------------------------------------------------------------------------------


def band(pattern: ArrayLike, sample_rate: float) -> tuple[float, float]:
    r"""Frequencies between which a pattern holds 90 % of its energy, 5 % being below and above.

    Parameters
    ----------
    pattern : array (T_d,), or (L, F)
        An atom; or the magnitudes of ``L`` spectra, up to half the sampling rate.
    sample_rate
        In Hz.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(4000) / 8000)
    >>> [round(edge) for edge in band(tone, 8000)]
    [999, 1001]
    """
    power, frequencies = _spectrum(pattern, sample_rate)
    below = np.concatenate([[0.0], np.cumsum(power)])
    edges = np.concatenate([frequencies, [frequencies[-1] + frequencies[1]]]) - frequencies[1] / 2
    low, high = np.interp(np.array([1 - BAND, 1 + BAND]) / 2 * below[-1], below, edges)
    return max(float(low), 0.0), min(float(high), sample_rate / 2)


def pitch(pattern: ArrayLike, sample_rate: float) -> float | None:
    r"""The pitch of a pattern in Hz, or None where it has none, as a chirp or a click.

    The shortest lag between 1/2000 and 1/50 s at which the autocorrelation has a peak that is
    nearly its highest, if that is more than half of the energy.

    Parameters
    ----------
    pattern, sample_rate
        See :func:`band`.

    Examples
    --------
    >>> t = np.arange(4000) / 8000
    >>> note = sum(np.sin(2 * np.pi * 220 * n * t) / n for n in range(1, 6))
    >>> round(pitch(note, 8000))
    220
    >>> pitch(np.random.default_rng(0).standard_normal(4000), 8000) is None
    True
    """
    import scipy.signal

    power, frequencies = _spectrum(pattern, sample_rate)
    correlation = np.fft.irfft(power, 8 * power.size)
    rate = frequencies[1] * correlation.size  # lags a second: finer than samples
    shortest, longest = int(rate / 2000), ceil(rate / 50)
    shifted = correlation[shortest : min(longest, correlation.size // 2)] / (correlation[0] or 1.0)
    peaks, _ = scipy.signal.find_peaks(shifted, height=0.5)
    if not peaks.size:
        return None
    n = peaks[shifted[peaks] >= 0.9 * shifted[peaks].max()][0]
    before, at, after = shifted[n - 1 : n + 2]
    return float(rate / (shortest + n + (before - after) / (2 * (before - 2 * at + after))))


def _spectrum(pattern: ArrayLike, sample_rate: float) -> tuple[Array, Array]:
    """Power (F,) of a pattern, and its frequencies in Hz."""
    values = np.asarray(pattern)
    if values.ndim == 1:
        power = np.abs(np.fft.rfft(values, 2 * values.size)) ** 2
    else:
        power = np.sum(values.astype(float) ** 2, axis=0)
    return power, np.linspace(0, sample_rate / 2, power.size)


# ---- one event, of an atom or of spectra ---------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Atom:
    """An atom, and what a run of its activations sounds like."""

    atom: Array
    hop: int
    first_sample: int
    sample_rate: int

    @cached_property
    def width(self) -> int:
        """Activations in half of the time that the atom sounds."""
        begin, end = self.sounding(self.power(self.atom))
        return max(3, ceil((end - begin) / self.hop / 2))

    @cached_property
    def unit(self) -> float:
        """Largest mean square of an activation of 1."""
        return float(self.power(self.atom).max())

    @cached_property
    def band(self) -> tuple[float, float]:
        return band(self.atom, self.sample_rate)

    def energies(self, z: Array) -> Array:
        return np.asarray(z, float) ** 2

    def power(self, sound: Array) -> Array:
        """Mean square of a sound in the atom's band, over 2 ms around each sample."""
        low, high = self.band
        spectrum = scipy.fft.fft(sound, scipy.fft.next_fast_len(2 * sound.size))
        f = scipy.fft.fftfreq(spectrum.size, 1 / self.sample_rate)
        inside = (f > low - 0.5 / SMOOTHING) & (f < high + 0.5 / SMOOTHING) & (f > 0)
        analytic = scipy.fft.ifft(np.where(inside, 2 * spectrum, 0))[: sound.size]
        return _smoothed(np.abs(analytic) ** 2 / 2, SMOOTHING * self.sample_rate)

    def sounding(self, power: Array) -> tuple[float, float]:
        """Where a sound begins and ends, and not the noise that an atom has learnt beside it."""
        return _crossings(np.minimum(power, _smoothed(power, self.atom.size / 100)))

    def sound(self, z: Array) -> Array:
        return synthesize(self.atom[None], np.asarray(z, float)[None], self.hop)

    def measured(self, z: Array, begin: int) -> tuple[float, float, float]:
        """Samples at which a run of activations begins and ends to sound, and its mean square."""
        main = int(np.argmax(np.abs(z)))
        near = slice(max(0, main - self.width // 4), main + self.width // 4 + 1)
        least = 0.1
        if np.sum(z[near] ** 2) >= np.sum(z**2) / 2:  # an attack, and what is little beside it
            begin, z, least = begin + near.start, z[near], 0.5
        power = self.power(self.sound(np.where(np.abs(z) < least * np.abs(z).max(), 0, z)))
        onset, end = self.sounding(power)
        first = self.first_sample + self.hop * begin
        return first + onset, first + end, float(power.max())

    def explained(self, z: Array, onset: float, end: float, x: Array) -> float:
        begin, stop = max(0, round(onset)), min(x.size, round(end) + 1)
        if stop <= begin:
            return 0.0
        first = max(0, (begin - self.first_sample - self.atom.size) // self.hop)
        last = min(z.size, (stop - self.first_sample) // self.hop + 1)
        sound = np.zeros(0) if last <= first else self.sound(z[first:last])
        at = begin - self.first_sample - self.hop * first
        own = placed(sound, -at, stop - begin)
        low, high = self.band
        n = stop - begin
        inside = slice(int(low * n / self.sample_rate), ceil(high * n / self.sample_rate) + 1)
        X, own = (np.fft.rfft(each)[inside] for each in (x[begin:stop], own))
        return _share(X, own)


@dataclass(frozen=True, eq=False)
class _Spectra:
    """Spectra one after another, and the frames that a run of their activations stands for."""

    spectra: Array
    frame: GaborFrame
    exponent: float
    first_sample: int
    sample_rate: int

    @property
    def hop(self) -> int:
        return self.frame.hop

    @cached_property
    def width(self) -> int:
        """Activations in a window."""
        return max(3, ceil(self.frame.window.size / self.hop))

    @cached_property
    def unit(self) -> float:
        """Largest mean square of an activation of 1."""
        return float(self.power(self.magnitudes(np.ones(1))).max())

    @cached_property
    def band(self) -> tuple[float, float]:
        return band(self.spectra, self.sample_rate)

    def energies(self, z: Array) -> Array:
        return np.abs(np.asarray(z, float)) ** (2 / self.exponent)

    def magnitudes(self, z: Array) -> Array:
        """Of each frame, (N + L - 1, F)."""
        L, F = self.spectra.shape
        frames = np.zeros((z.size + L - 1, F))
        for lag, spectrum in enumerate(self.spectra):
            frames[lag : lag + z.size] += np.multiply.outer(np.abs(z), spectrum)
        return frames ** (1 / self.exponent)

    def power(self, magnitudes: Array) -> Array:
        """Mean square of each frame, weighted by its window: Parseval's theorem."""
        frame, twice = self.frame, np.full(magnitudes.shape[1], 2.0)
        twice[0] = 1
        if frame.channels % 2 == 0:
            twice[-1] = 1
        return magnitudes**2 @ twice / (frame.channels * float(np.sum(frame.window**2)))

    def measured(self, z: Array, begin: int) -> tuple[float, float, float]:
        """See :meth:`_Atom.measured`; a frame stands for the middle of its window.

        The window that stands in the middle of an attack has half of its energy before it.
        """
        power = self.power(self.magnitudes(z))
        half, _ = _crossings(power, 10 * np.log10(2))
        onset, end = _crossings(power)
        if (half - onset) * self.hop <= ATTACK * self.frame.window.size:
            onset = half
        middle = self.first_sample + self.hop * begin + (self.frame.window.size - 1) / 2
        return middle + self.hop * onset, middle + self.hop * end, float(power.max())

    def explained(self, z: Array, onset: float, end: float, x: Array) -> float:
        L, T_g, frame = len(self.spectra), self.frame.window.size, self.frame
        of_frame_0 = self.first_sample + (T_g - 1) / 2
        first = round((onset - of_frame_0) / self.hop)
        last = max(first, round((end - of_frame_0) / self.hop)) + 1
        begin = max(0, first - L + 1)
        run = self.magnitudes(placed(z, -begin, last - begin))[first - begin :][: last - first]
        # The recording's frames at the same places: the signal is cut so that they fall on its own.
        before = -(-T_g // self.hop)
        start = self.first_sample + self.hop * (first - before) + frame.origin
        piece = placed(x, -start, self.hop * (last - first + before) + T_g)
        rows = before - frame.first_frame
        X = np.abs(frame.half_analysis(piece))[rows : rows + last - first]
        low, high = self.band
        scale = frame.channels / self.sample_rate
        inside = slice(int(low * scale), ceil(high * scale) + 1)
        return _share(X[:, inside], run[:, inside])


def _smoothed(power: Array, width: float) -> Array:
    """A power averaged under a Hann window of so many samples around each."""
    import scipy.signal

    kernel = np.hanning(2 * round(width / 2) + 3)
    return np.maximum(scipy.signal.oaconvolve(power, kernel / kernel.sum(), "same"), 0)


def _crossings(power: Array, fall: float = FALL) -> tuple[float, float]:
    """Where a power first and last is within so many dB of its peak, between two places."""
    least = power.max() * 10 ** (-fall / 10)
    if least <= 0:
        return 0.0, float(power.size - 1)
    inside = np.flatnonzero(power >= least)
    first, last = int(inside[0]), int(inside[-1])
    begin, end = float(first), float(last)
    if first > 0:
        begin -= (power[first] - least) / (power[first] - power[first - 1])
    if last < power.size - 1:
        end += (power[last] - least) / (power[last] - power[last + 1])
    return begin, end


def _share(X: Array, own: Array) -> float:
    """The share of the energy of ``X`` that ``own`` explains."""
    whole = float(np.sum(np.abs(X) ** 2))
    if whole == 0:
        return 0.0
    return float(np.clip(1 - np.sum(np.abs(X - own) ** 2) / whole, 0, 1))


# ---- from activations to events ------------------------------------------------------------------


def events_in(
    patterns: ArrayLike,
    activations: ArrayLike,
    *,
    sample_rate: int,
    hop: int = 1,
    first_sample: int = 0,
    frame: GaborFrame | None = None,
    power: float = 1.0,
    recording: Array | None = None,
    least: ArrayLike | None = None,
    start: int = 0,
    within: tuple[int, int] | None = None,
) -> Events:
    r"""Find the events in the activations of a recording, or of a stretch of one.

    The energies of the activations, ``z²``, are smoothed over half the length of the atom, or over
    a window. A peak is an event where 6 dB lie between it and any higher one, and the activations
    around it, up to the valleys beside it, are the event's. Where most of their energy stands
    together, it is an
    *attack*, and what is weak beside it is passed over; else they are *sustained*.

    Atoms put an event at a sample. Of spectra, each frame stands for the middle of its window. The
    energy of a sudden sound is half of what it will be when the middle of the window stands on its
    beginning: there, between two frames, is its onset.

    Parameters
    ----------
    patterns : array (K, T_d), (K, F) or (K, L, F)
        Atoms; with a ``frame``, spectra to the ``power``.
    activations : array (K, N)
        Of the stretch.
    sample_rate
        In Hz.
    hop, first_sample
        Of the activations, see :class:`~cdlnmf_lit.methods.decomposition.Decomposition`; counted
        from the first sample of the stretch.
    frame : GaborFrame, optional
        Of the spectra.
    power
        To which the spectra's magnitudes are.
    recording : array (T,), optional
        The samples of the stretch: what the confidence is a share of.
    least : array (K,), optional
        The lowest level of an event of each component, in dB re a full-scale sine. By default
        20 dB below its loudest.
    start
        The sample of the recording at which the stretch begins; times are the recording's.
    within : (int, int), optional
        Samples of the recording: only events whose strongest activation stands in ``[begin, end)``
        are given. Stretches that overlap by more than two patterns thus give each event once.

    Raises
    ------
    ValueError
        If an array has not its shape, or a number is out of its range.

    Examples
    --------
    >>> atom = np.sin(0.5 * np.arange(400.0)) * np.hanning(400)
    >>> z = np.zeros((1, 8000))
    >>> z[0, [1000, 4000]] = 1.0, 0.5
    >>> found = events_in(atom[None], z, sample_rate=8000)
    >>> found.onset.round(3), found.level.round(1)
    (array([0.13 , 0.505]), array([-0., -6.]))

    References
    ----------
    Equation (1) of the paper.
    """
    z = array(activations, "activations", 2)
    rate = integer(sample_rate, "sample_rate")
    kinds: Sequence[_Atom | _Spectra] = _kinds(patterns, hop, first_sample, frame, power, rate)
    if len(kinds) != len(z):
        raise ValueError(f"activations must have {len(kinds)} rows, one a pattern, got {len(z)}")
    limits = None if least is None else array(least, "least", 1)
    if limits is not None and limits.size != len(z):
        raise ValueError(f"least must have {len(z)} levels, one a pattern, got {limits.size}")
    begin, stop = within or (-np.inf, np.inf)
    parts = []
    for k, (kind, row) in enumerate(zip(kinds, z, strict=True)):
        limit, rows = None if limits is None else float(limits[k]), []
        for run in _runs(kind, row, limit, (start + first_sample) // kind.hop):
            onset, end, size = kind.measured(row[run], run.start)
            share = np.nan
            if recording is not None:
                share = kind.explained(row, onset, end, recording)
            main = start + first_sample + kind.hop * (run.start + np.argmax(np.abs(row[run])))
            times = (max(0.0, (start + each) / rate) for each in (onset, end))
            rows.append((*times, k, 10 * np.log10(2 * size), *kind.band, share, main))
        parts.append(_told(rows, limit, begin, stop))
    return Events.joined(parts)


def _told(rows: list[tuple[float, ...]], limit: float | None, begin: float, stop: float) -> Events:
    """The events of one component that are loud enough, explain something, and stand within."""
    told: list[list[float]] = []
    loudest = max((row[3] for row in rows), default=0.0)
    for onset, end, k, level, low, high, share, main in sorted(rows):
        if level < (loudest - FALL if limit is None else limit) or share < HARDLY:
            continue
        if told and onset < told[-1][1] and level < told[-1][3] - CONTINUED:
            told[-1][1] = max(told[-1][1], end)
        else:
            told.append([onset, end, k, level, low, high, share, main])
    return Events.joined(
        Events(*(np.array([each]) for each in row[:-1])) for row in told if begin <= row[-1] < stop
    )


def _kinds(
    patterns: ArrayLike,
    hop: int,
    first_sample: int,
    frame: GaborFrame | None,
    power: float,
    rate: int,
) -> list[_Atom] | list[_Spectra]:
    if frame is None:
        d = array(patterns, "patterns", 2)
        return [_Atom(atom, integer(hop, "hop"), first_sample, rate) for atom in d]
    W = np.asarray(patterns)
    W = array(W, "patterns", 3) if W.ndim == 3 else array(W, "patterns", 2)[:, None]
    exponent = non_negative(power, "power")
    if not exponent:
        raise ValueError("power must be above 0, got 0")
    return [_Spectra(w, frame, exponent, first_sample, rate) for w in W]


def _runs(kind: _Atom | _Spectra, z: Array, limit: float | None, place: int) -> list[slice]:
    """Which activations belong together, one run an event.

    ``place`` is the number of the first activation in the recording: the bins into which the
    energies are summed begin at the same places whatever stretch is looked at.
    """
    import scipy.signal

    energies = kind.energies(z)
    if not energies.any():
        return []
    size = max(1, kind.width // 16)
    before = place % size
    padded = np.pad(energies, (before, -(before + z.size) % size))
    bins = padded.reshape(-1, size).sum(axis=1)
    taps = max(3, 2 * round(kind.width / size / 2) + 1)
    activity = np.convolve(bins, scipy.signal.get_window("hann", taps + 2, fftbins=False)[1:-1])
    activity = np.maximum(activity[taps // 2 : taps // 2 + bins.size], 0)
    most = activity.max() * 10 ** (-(FALL + VALLEY) / 10)
    if limit is not None:
        most = 10 ** ((limit - VALLEY) / 10) / 2 / kind.unit
    floor = most * 10 ** (-2 * VALLEY / 10)
    levels = 10 * np.log10(np.maximum(activity, floor) / floor)
    peaks, _ = scipy.signal.find_peaks(np.pad(levels, 1), height=2 * VALLEY, prominence=VALLEY)
    edges = [0, *(a + int(np.argmin(levels[a:b])) for a, b in pairwise(peaks - 1)), bins.size]
    runs = []
    for first, last in pairwise(edges):
        run = np.clip(np.array([first, last]) * size - before, 0, z.size)
        own = energies[run[0] : run[1]]
        loud = np.flatnonzero(own >= own.max(initial=0) * 10 ** (-FALL / 10))
        if peaks.size and own.any():
            runs.append(slice(int(run[0] + loud[0]), int(run[0] + loud[-1] + 1)))
    return runs


def events_of(
    found: Decomposition,
    sample_rate: int | None = None,
    *,
    least: ArrayLike | None = None,
    start: int = 0,
    within: tuple[int, int] | None = None,
) -> Events:
    """The events of a result, or of one that is a stretch of a recording.

    Parameters
    ----------
    found : Decomposition
    sample_rate
        In Hz. Default: what the result knows.
    least, start, within
        See :func:`events_in`.

    Raises
    ------
    ValueError
        If no rate is known.

    Examples
    --------
    >>> from cdlnmf_lit import CDL
    >>> x = np.zeros(8000)
    >>> x[1000:1400] = x[4000:4400] = np.sin(0.5 * np.arange(400.0)) * np.hanning(400)
    >>> found = CDL(atom_length=400, padding=200, iterations=10).decompose(x, 1)
    >>> events_of(found, 8000).onset.round(2)
    array([0.13, 0.51])
    """
    rate = found.sample_rate if sample_rate is None else sample_rate
    if rate is None:
        raise ValueError("sample_rate must be given where the result does not know it, got None")
    about: dict[str, Any] = {}
    if found.atoms is None:
        about = {
            "frame": GaborFrame.from_parameters(found.parameters["frame"]),
            "power": float(found.parameters.get("power") or 1.0),
        }
    recording = found.residual.astype(float)
    for k in range(found.n_components):
        recording += found.component(k)
    patterns: Any = found.atoms if found.spectra is None else found.spectra
    return events_in(
        patterns,
        found.activations,
        sample_rate=rate,
        hop=found.hop,
        first_sample=found.first_sample,
        recording=recording,
        least=least,
        start=start,
        within=within,
        **about,
    )
