"""Yardsticks: how much of the truth a decomposition found.

A source is heard in one component or in several, which no method names. So components are first
given to sources, by their spectrograms, and summed; then the sums are measured in time. What the
giving alone achieves is measured too, on a truth whose pieces have been dealt out anew.

Chapter: ``book/experiments/evaluation.md``.
"""

from __future__ import annotations

import ctypes
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, pairwise
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import scipy.fft
import scipy.optimize
import scipy.signal
from numpy.typing import ArrayLike, NDArray

from cdlnmf_lit.experiments.signals import Measure, Mixture, Note, Seed, Signal
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.theory import arguments
from cdlnmf_lit.theory.blocks import in_threads
from cdlnmf_lit.theory.gabor import GaborFrame

LIMIT = 100.0
"""dB beyond which rounding decides; no ratio here exceeds it."""
FLOOR = -30.0
"""dB below which a source is as good as lost: no score of a source counts for less."""
FRAME = GaborFrame("hann", 512, 2048)
"""Where spectrograms are compared."""
LEAST_AGREEMENT = 0.1
"""Cosine below which a component belongs to no source: it says less than 1 % of any."""
SHUFFLES = 3
"""How many deals the control of :func:`judge` is the mean of."""

PACE, SPAN = 0.005, 0.02  # s from one level to the next, and s that each is taken over
RISE_TIME, RISE = 0.04, 10.0  # s in which the level rises by so many dB at an onset
REACH_TIME, REACH = 0.5, 15.0  # s after which it is at most so many dB below the loudest
DEPTH = 50.0  # dB below the loudest at which levels end
REST = 0.1  # s from one onset to the next, at least

LOUDEST_PARTIALS = 3000.0  # Hz
HAMMER = 0.1  # s after the onset in which a measure's level is not taken
HELD = 1.0  # s at the most over which it is taken
PITCH, PATTERN = 0.7, 0.8

Result = TypeVar("Result")
Owners = NDArray[np.intp]
Magnitudes = NDArray[np.float32]


# ---- one estimate and one source --------------------------------------------------------------


def si_sdr(estimate: ArrayLike, source: ArrayLike) -> Any:
    r"""Scale-invariant signal-to-distortion ratio, in dB.

    .. math:: 10 \log_{10} \frac{\|β s\|^2}{\|e - β s\|^2}, \quad β = \frac{⟨e, s⟩}{\|s\|^2}

    Parameters
    ----------
    estimate
        e, (T,), or (S, T) for S at once.
    source
        s, of the same shape.

    Returns
    -------
    float, or array (S,)
        From -100 dB (nothing of the source; also a silent estimate) to 100 dB (the source at any
        scale).

    Raises
    ------
    ValueError
        If the shapes differ or a source is silent: nothing is a share of nothing.

    Examples
    --------
    >>> source = np.array([1.0, 0.0, 1.0, 0.0])
    >>> print(round(si_sdr(np.array([3.0, 0.3, 3.0, 0.3]), source), 6))
    20.0
    >>> print(si_sdr(-2 * source, source), si_sdr(0 * source, source))
    100.0 -100.0

    References
    ----------
    J. Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019.
    Chapter: ``book/experiments/evaluation.md``
    """
    e, s = _pair(estimate, source, ("estimate", "source"))
    _audible(s, "source")
    e, s = _unit_peak(e), _unit_peak(s)
    part = np.sum(e * s, axis=-1, keepdims=True) / np.sum(s**2, axis=-1, keepdims=True) * s
    return _decibels(np.sum(part**2, axis=-1), np.sum((e - part) ** 2, axis=-1))


def relative_residual(residual: ArrayLike, x: ArrayLike) -> float:
    r"""What is left over, ``‖r‖ / ‖x‖``: 0 for an exact reconstruction, 1 for silence.

    Parameters
    ----------
    residual
        r, (T,): the signal less all components.
    x
        (T,), the signal.

    Raises
    ------
    ValueError
        If the shapes differ or the signal is silent.

    Examples
    --------
    >>> relative_residual(np.array([0.0, 1.0]), np.array([0.0, 2.0]))
    0.5

    References
    ----------
    Chapter: ``book/experiments/evaluation.md``
    """
    r, x = _pair(residual, x, ("residual", "x"))
    _audible(np.atleast_2d(x), "x")
    scale = np.abs(x).max()
    return float(np.linalg.norm(r / scale) / np.linalg.norm(x / scale))


# ---- all estimates and all sources -------------------------------------------------------------


@dataclass(frozen=True)
class BssEval:
    """What :func:`bss_eval` measures, in dB, one number a source.

    Parameters
    ----------
    sdr
        Source against all else.
    sir
        Source against the other sources.
    sar
        Sources against what is none of them.
    matching
        Which estimate each source was given.

    Examples
    --------
    >>> BssEval((10.0,), (100.0,), (10.0,), (0,)).sdr
    (10.0,)

    References
    ----------
    Chapter: ``book/experiments/evaluation.md``
    """

    sdr: tuple[float, ...]
    sir: tuple[float, ...]
    sar: tuple[float, ...]
    matching: tuple[int, ...]


def bss_eval(estimates: ArrayLike, sources: ArrayLike, filter_length: int = 512) -> BssEval:
    r"""SDR, SIR and SAR of BSS Eval, with the matching that has the highest mean SIR.

    Each source may be filtered before it is compared. With P the projection of an estimate e on
    the delays of its source s, and Q on the delays of all sources,

    .. math::
        \text{SDR} = \frac{\|P e\|^2}{\|e - P e\|^2}, \quad
        \text{SIR} = \frac{\|P e\|^2}{\|Q e - P e\|^2}, \quad
        \text{SAR} = \frac{\|Q e\|^2}{\|e - Q e\|^2}.

    Parameters
    ----------
    estimates
        (S, T), in any order and at any scale.
    sources
        (S, T).
    filter_length
        Delays: 1 allows a factor alone, 512 the usual short filter.

    Returns
    -------
    BssEval
        From -100 to 100 dB; -100 for a silent estimate.

    Raises
    ------
    ValueError
        If the shapes differ, a source is silent, or the filter is longer than the sounds.

    Notes
    -----
    Needs ``fast_bss_eval``. Its switch ``compute_permutation=False`` does not work with NumPy 2,
    so all pairs are compared.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sources = rng.standard_normal((2, 1000))
    >>> found = bss_eval(sources[::-1] + 0.1 * rng.standard_normal((2, 1000)), sources, 1)
    >>> found.matching, np.round(found.sdr)
    ((1, 0), array([20., 20.]))

    References
    ----------
    E. Vincent et al., "Performance measurement in blind audio source separation", IEEE TASLP 14,
    2006. R. Scheibler, "SDR - medium rare with fast computations", ICASSP 2022.
    Chapter: ``book/experiments/evaluation.md``
    """
    sdr, sir, sar = _bss_eval_of_pairs(estimates, sources, filter_length)
    rows, columns = scipy.optimize.linear_sum_assignment(sir, maximize=True)
    best = rows, columns
    return BssEval(_plain(sdr[best]), _plain(sir[best]), _plain(sar[best]), tuple(columns.tolist()))


def bss_eval_in_order(
    estimates: ArrayLike, sources: ArrayLike, filter_length: int = 512
) -> BssEval:
    """Measure as :func:`bss_eval` does, but estimate s against source s, whatever fits better.

    Examples
    --------
    >>> sources = np.eye(2, 8)
    >>> bss_eval_in_order(sources[::-1], sources, 1).sdr
    (-100.0, -100.0)

    References
    ----------
    Chapter: ``book/experiments/evaluation.md``
    """
    sdr, sir, sar = map(np.diagonal, _bss_eval_of_pairs(estimates, sources, filter_length))
    return BssEval(_plain(sdr), _plain(sir), _plain(sar), tuple(range(len(sdr))))


def _bss_eval_of_pairs(
    estimates: ArrayLike, sources: ArrayLike, filter_length: int
) -> tuple[Signal, Signal, Signal]:
    """SDR, SIR and SAR, (S, S): of each source, and each estimate taken for it."""
    from fast_bss_eval.numpy.metrics import square_cosine_metrics

    e, s = _pair(estimates, sources, ("estimates", "sources"), ndim=2)
    _audible(s, "sources")
    length = arguments.integer(filter_length, "filter_length", at_most=s.shape[1])
    heard = np.flatnonzero(e.any(axis=1))
    own, any_source = np.zeros((2, len(s), len(s)))
    if heard.size:
        own[:, heard], any_source[:, heard] = np.clip(
            square_cosine_metrics(
                _unit_peak(s), _unit_peak(e[heard]), filter_length=length, pairwise=True
            ),
            0.0,
            1.0,
        )
    return (
        _decibels(own, 1 - own),
        _decibels(own, np.maximum(any_source - own, 0)),
        _decibels(any_source, 1 - any_source),
    )


# ---- by spectrograms ---------------------------------------------------------------------------


def spectrogram_similarity(estimates: ArrayLike, sources: ArrayLike) -> Signal:
    r"""Cosines between the magnitudes of the estimates' and the sources' spectrograms.

    .. math:: \frac{\sum_{τ,ν} |E_k| \, |S_s|}{\|E_k\| \, \|S_s\|}

    with a Hann window of 2048 samples, moved by 512.

    Parameters
    ----------
    estimates
        (K, T).
    sources
        (S, T).

    Returns
    -------
    array (K, S)
        From 0 (nothing in common; also if either is silent) to 1 (the same up to a factor).

    Raises
    ------
    ValueError
        If the lengths differ.

    Examples
    --------
    >>> t = np.arange(8192)
    >>> low, high = np.sin(0.1 * t), np.sin(1.5 * t)
    >>> spectrogram_similarity([3 * low, low + high], [low, high]).round(2)
    array([[1.  , 0.  ],
           [0.71, 0.71]])

    References
    ----------
    Chapter: ``book/experiments/evaluation.md``
    """
    e = arguments.array(estimates, "estimates", 2)
    s = arguments.array(sources, "sources", 2)
    if e.shape[1] != s.shape[1]:
        raise ValueError(f"estimates must have {s.shape[1]} samples as sources, got {e.shape[1]}")
    return _cosines(_magnitudes(e), _magnitudes(s))


def grouping(components: ArrayLike, sources: ArrayLike) -> Owners:
    """Give each component to the source whose spectrogram its own agrees with the most.

    The agreement is :func:`spectrogram_similarity`. No waveform is compared, and no sum of
    components is tried, so that nothing is given because it would raise a score.

    Parameters
    ----------
    components
        (K, T).
    sources
        (S, T).

    Returns
    -------
    array (K,)
        The owner of each component, or -1 if it is silent or agrees with none by 0.1 or more.

    Raises
    ------
    ValueError
        If the lengths differ.

    Examples
    --------
    >>> t = np.arange(8192)
    >>> low, high = np.sin(0.1 * t), np.sin(1.5 * t)
    >>> grouping([high, 0 * low, low[::-1], 2 * low + high], [low, high])
    array([ 1, -1,  0,  0])

    References
    ----------
    Chapter: ``book/experiments/evaluation.md``
    """
    return _owners(spectrogram_similarity(components, sources))


def _owners(agreement: Signal) -> Owners:
    best = np.argmax(agreement, axis=1)
    return np.where(agreement.max(axis=1) >= LEAST_AGREEMENT, best, -1)


def matching(components: ArrayLike, sources: ArrayLike) -> Owners:
    """Give each source one component at the most, with the highest sum of agreements.

    Parameters
    ----------
    components, sources
        See :func:`grouping`.

    Returns
    -------
    array (K,)
        The owner of each component, or -1 if it is left over or agrees with its owner by less
        than 0.1.

    Raises
    ------
    ValueError
        If the lengths differ.

    Examples
    --------
    >>> t = np.arange(8192)
    >>> low, high = np.sin(0.1 * t), np.sin(1.5 * t)
    >>> matching([low, low + 0.1 * high], [low, high])
    array([0, 1])

    References
    ----------
    Chapter: ``book/experiments/evaluation.md``
    """
    agreement = spectrogram_similarity(components, sources)
    owners = np.full(len(agreement), -1)
    rows, columns = scipy.optimize.linear_sum_assignment(agreement, maximize=True)
    owners[rows] = np.where(agreement[rows, columns] >= LEAST_AGREEMENT, columns, -1)
    return owners


def grouped(components: ArrayLike, owners: ArrayLike, n_sources: int) -> Signal:
    """Sum the components of each owner.

    Parameters
    ----------
    components
        (K, T).
    owners
        (K,) whole numbers: the owner of each component; -1 is nobody.
    n_sources
        S.

    Returns
    -------
    array (S, T)
        Silence for a source that owns nothing.

    Raises
    ------
    ValueError
        If there is not one owner a component, or one that is no source.

    Examples
    --------
    >>> grouped(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), [1, -1, 1], 2)
    array([[0., 0.],
           [6., 8.]])

    References
    ----------
    Chapter: ``book/experiments/evaluation.md``
    """
    components = arguments.array(components, "components", 2)
    n_sources = arguments.integer(n_sources, "n_sources")
    owners = np.asarray(owners)
    if owners.shape != (len(components),):
        raise ValueError(
            f"owners must have shape {(len(components),)}, one a component, got {owners.shape}"
        )
    for owner in owners:
        arguments.integer(owner, "owners", at_least=-1, at_most=n_sources - 1)
    return np.asarray((owners == np.arange(n_sources)[:, None]) @ components, dtype=float)


def shuffled(mixture: Mixture, rng: Seed = 0) -> Signal:
    """Deal the sources' pieces out anew: a truth that sums to the same sound and means nothing.

    Each source is cut where its events start, or, if fewer than two are known, into 2 S pieces of
    equal energy. Its pieces, in random order, go to the S new sources in turn. So each of these
    holds pieces of several sources, and what can still be grouped to it was not found but sorted.

    Parameters
    ----------
    mixture
        Of at least two sources.
    rng
        Seed: anything ``numpy.random.default_rng`` takes.

    Returns
    -------
    array (S, T)
        New sources with the sum of the old ones.

    Raises
    ------
    ValueError
        If there are fewer than two sources, or one is silent.

    Examples
    --------
    >>> mixture = Mixture(np.array([[1.0, 1.0, 1.0, 1.0], [2.0, 2.0, 2.0, 2.0]]), 8, ("a", "b"))
    >>> shuffled(mixture, rng=0).sum(axis=0)
    array([3., 3., 3., 3.])

    References
    ----------
    Chapter: ``book/experiments/evaluation.md``
    """
    sources = mixture.sources
    if len(sources) < 2:
        raise ValueError(f"mixture must have at least two sources, got {len(sources)}")
    _audible(sources, "mixture.sources")
    random = np.random.default_rng(rng)
    dealt, turn = np.zeros_like(sources), count()
    for source, starts in zip(sources, _starts_of_pieces(mixture), strict=True):
        edges = [0, *starts, source.size]
        for i in random.permutation(len(edges) - 1):
            piece = slice(edges[i], edges[i + 1])
            dealt[next(turn) % len(sources), piece] += source[piece]
    return dealt


def bands(x: ArrayLike, n_bands: int) -> Signal:
    """Cut a sound into bands of frequency with equal energies: components that found nothing.

    What :func:`grouping` makes of them, a decomposition into as many components has to surpass.

    Parameters
    ----------
    x
        (T,).
    n_bands
        K, no more than T / 2.

    Returns
    -------
    array (K, T)
        From the lowest band to the highest; they sum to ``x``. A band between two partials may
        be empty.

    Raises
    ------
    ValueError
        If x is no signal, or silent, or K is too large.

    Examples
    --------
    >>> t = np.arange(8000)
    >>> low, high = np.sin(0.1 * t), np.sin(1.5 * t)
    >>> si_sdr(bands(low + high, 2), [low, high]) > 30
    array([ True,  True])

    References
    ----------
    Chapter: ``book/experiments/evaluation.md``
    """
    x = arguments.signal(x).astype(float)
    n_bands = arguments.integer(n_bands, "n_bands", at_most=max(1, x.size // 2))
    _audible(x, "x")
    n = scipy.fft.next_fast_len(x.size, real=True)
    spectrum = scipy.fft.rfft(x, n)
    energy = np.cumsum(np.abs(spectrum / np.abs(spectrum).max()) ** 2)
    inner = np.searchsorted(energy, np.arange(1, n_bands) / n_bands * energy[-1])
    edges = [0, *inner.tolist(), spectrum.size]
    found = np.empty((n_bands, x.size))
    for band, (first, last) in zip(found, pairwise(edges), strict=True):
        cut = np.zeros_like(spectrum)
        cut[first:last] = spectrum[first:last]
        band[:] = scipy.fft.irfft(cut, n)[: x.size]
    return found


def _starts_of_pieces(mixture: Mixture) -> list[list[int]]:
    """Where the second and further pieces of each source begin, in samples."""
    onsets = _onsets_of_sources(mixture)
    n_pieces = 2 * len(mixture.sources)
    starts = []
    for source, seconds in zip(mixture.sources, onsets, strict=True):
        known = sorted({round(t * mixture.sample_rate) for t in seconds})
        if len(known) < 2:
            energy = np.cumsum(_unit_peak(source) ** 2)
            shares = np.arange(n_pieces) / n_pieces
            known = np.unique(np.searchsorted(energy, shares * energy[-1], "right")).tolist()
        starts.append([start for start in known[1:] if 0 < start < source.size])
    return starts


# ---- onsets ------------------------------------------------------------------------------------


def onsets(x: ArrayLike, sample_rate: int) -> Signal:
    """Times at which a sound sets in: its level rises steeply, and far.

    The level is that of 20 ms, taken every 5 ms, and ends 50 dB below the loudest. It must rise by
    10 dB or more within 40 ms, and within half a second come to 15 dB below the loudest. Where
    it rises the fastest, and nowhere faster within 100 ms, an onset is put at the last moment
    before it has risen by 3 dB.

    Parameters
    ----------
    x
        (T,).
    sample_rate
        In Hz.

    Returns
    -------
    array
        Seconds, in order; none if the sound is silent.

    Raises
    ------
    ValueError
        If x is no signal or the sample rate is no whole number of at least 200.

    Examples
    --------
    >>> x = np.zeros(8000)
    >>> x[2000:4000] = x[6000:] = np.sin(np.arange(2000))
    >>> onsets(x, 8000).round(1)
    array([0.2, 0.7])

    References
    ----------
    Chapter: ``book/experiments/evaluation.md``
    """
    x = arguments.signal(x)
    sample_rate = arguments.integer(sample_rate, "sample_rate", at_least=round(1 / PACE))
    if not x.any():
        return np.empty(0)
    step, span = round(PACE * sample_rate), round(SPAN * sample_rate)
    lag, rest, reach = (round(each / PACE) for each in (RISE_TIME, REST, REACH_TIME))
    before = span // 2 + step * lag
    energy = np.concatenate([[0.0], np.cumsum(np.pad(_unit_peak(x) ** 2, (before, before + span)))])
    power = np.maximum(energy[span:] - energy[:-span], 0.0)[::step]
    level = 10 * np.log10(np.maximum(power / power.max(), 10 ** (-DEPTH / 10)))
    rise = level[lag:] - level[:-lag]
    peaks, _ = scipy.signal.find_peaks(np.pad(rise, 1), height=RISE, distance=rest)
    found = []
    for n in peaks - 1:
        if level[n : n + reach].max() < -REACH:
            continue
        last = n + np.flatnonzero(level[n : n + lag] < level[n] + 3)[-1]
        found.append((last * step - before + span // 2) / sample_rate)
    return np.maximum(found, 0.0)


def onset_f_measure(
    x: ArrayLike, sample_rate: int, events: ArrayLike, window: float = 0.05
) -> float:
    r"""F-measure of the :func:`onsets` of a sound.

    .. math:: F = \frac{2 \cdot \text{hits}}{\text{onsets found} + \text{onsets that are}}

    Parameters
    ----------
    x
        (T,).
    sample_rate
        In Hz.
    events
        When something does start, in seconds.
    window
        How many seconds early or late still count as a hit.

    Returns
    -------
    float
        From 0 (no hit) to 1 (all found, and nothing else).

    Raises
    ------
    ValueError
        If there is no event.

    Notes
    -----
    Needs ``mir_eval``.

    Examples
    --------
    >>> x = np.zeros(8000)
    >>> x[2000:4000] = x[6000:] = np.sin(np.arange(2000))
    >>> onset_f_measure(x, 8000, [0.25]), onset_f_measure(x, 8000, [0.25, 0.75])
    (0.6666666666666666, 1.0)

    References
    ----------
    C. Raffel et al., "mir_eval", ISMIR 2014. Chapter: ``book/experiments/evaluation.md``
    """
    import mir_eval

    wanted = np.sort(arguments.array(events, "events", 1))
    window = arguments.non_negative(window, "window")
    found = onsets(x, sample_rate)
    if not found.size:
        return 0.0
    return float(mir_eval.onset.f_measure(wanted, found, window=window)[0])


def _onsets_of_sources(mixture: Mixture) -> list[list[float]]:
    """When each source's events start, in seconds."""
    events = mixture.events
    return [sorted(e.onset for e in events if e.stem == s) for s in mixture.source_numbers]


# ---- notes -------------------------------------------------------------------------------------


def carried(
    components: ArrayLike, sample_rate: int, notes: Sequence[Note], measures: Sequence[Measure]
) -> NDArray[np.bool_]:
    """Whether each component carries each note, by its pitch and by the score.

    *Pitch*: more than 70 % of the energy below 3 kHz lies nearer to a partial of this note than
    to any of another. *Pattern*: the levels in the measures, from 0.1 s after the onset for 1 s or
    as long as the keys are held, correlate by more than 0.8 with the row of ones and zeros that
    says in which of them the note sounds.

    Parameters
    ----------
    components
        (K, T).
    sample_rate
        In Hz.
    notes
        S notes.
    measures
        When they are played. Each note must sound in some and not in others.

    Returns
    -------
    array (K, S) of bool

    Raises
    ------
    ValueError
        If a note sounds in no measure or in all: then it has no pattern; or if a measure begins
        when the components have ended.

    Examples
    --------
    >>> from cdlnmf_lit.experiments.signals import PIANO_MEASURES, PIANO_NOTES, piano
    >>> played = piano(rng=0)
    >>> carried(played.stems[1:3], played.sample_rate, PIANO_NOTES, PIANO_MEASURES)
    array([[False,  True, False, False],
           [False, False,  True, False]])

    References
    ----------
    Chapter: ``book/experiments/evaluation.md``
    """
    components = arguments.array(components, "components", 2)
    sample_rate = arguments.integer(sample_rate, "sample_rate")
    score = np.array([[s in m.notes for m in measures] for s in range(len(notes))], dtype=float)
    if not notes or np.any(score.all(axis=1) | ~score.any(axis=1)):
        raise ValueError("measures must hold each note in some of them and not in others")
    for m in measures:
        if round((m.onset + HAMMER) * sample_rate) >= components.shape[1]:
            raise ValueError(f"measures must begin before the components end, got {m}")
    return (_pitch(components, sample_rate, notes) > PITCH) & (
        _pattern(components, sample_rate, score, measures) > PATTERN
    )


def _pitch(components: Signal, sample_rate: int, notes: Sequence[Note]) -> Signal:
    """The share of a component's energy that lies nearest to each note's partials, (K, S)."""
    n = scipy.fft.next_fast_len(components.shape[1], real=True)
    f = scipy.fft.rfftfreq(n, 1 / sample_rate)
    f = f[f < LOUDEST_PARTIALS]
    distance = [
        np.abs(np.subtract.outer(f, note.partials(below=LOUDEST_PARTIALS))).min(axis=1)
        for note in notes
    ]
    nearest = np.argmin(distance, axis=0) == np.arange(len(notes))[:, None]
    power = np.stack([np.abs(scipy.fft.rfft(c, n)[: f.size]) ** 2 for c in _unit_peak(components)])
    total = power.sum(axis=1, keepdims=True)
    return np.asarray(power @ nearest.T / np.where(total > 0, total, 1))


def _pattern(
    components: Signal, sample_rate: int, score: Signal, measures: Sequence[Measure]
) -> Signal:
    """Correlation of a component's levels in the measures with each note's row, (K, S)."""
    components, levels = _unit_peak(components), []
    for m in measures:
        begin = round((m.onset + HAMMER) * sample_rate)
        length = round(min(HELD, max(m.duration - HAMMER, PACE)) * sample_rate)
        sounding = components[:, begin : begin + max(length, 1)]
        levels.append(np.sqrt(np.mean(sounding**2, axis=1)))
    heard, wanted = (
        rows - rows.mean(axis=1, keepdims=True) for rows in (np.stack(levels, 1), score)
    )
    sizes = np.linalg.norm(heard, axis=1)[:, None] * np.linalg.norm(wanted, axis=1)
    return np.asarray(heard @ wanted.T / np.where(sizes > 0, sizes, 1))


def notes_found(
    components: ArrayLike, sample_rate: int, notes: Sequence[Note], measures: Sequence[Measure]
) -> tuple[str, ...]:
    """The names of the notes that some component carries, see :func:`carried`.

    Examples
    --------
    >>> from cdlnmf_lit.experiments.signals import PIANO_MEASURES, PIANO_NOTES, piano
    >>> played = piano(rng=0)
    >>> notes_found(played.stems[1:], played.sample_rate, PIANO_NOTES, PIANO_MEASURES)
    ('F4', 'A♭4', 'C5')

    References
    ----------
    Chapter: ``book/experiments/evaluation.md``
    """
    heard = carried(components, sample_rate, notes, measures).any(axis=0)
    return tuple(notes[s].name for s in np.flatnonzero(heard).tolist())


# ---- all together ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scores:
    """A decomposition held to its mixture: one number a source, and numbers for the whole.

    Parameters
    ----------
    names
        The sources.
    owners
        The source of each component, by :func:`grouping`; -1 is none, or the noise.
    si_sdr, sdr, sir, sar
        dB, of the grouped components; not below -30.
    mean_si_sdr, min_si_sdr
        Over the sources.
    shuffled_si_sdr
        The control: the mean over the sources of three :func:`shuffled` truths, to which the same
        components were grouped in the same way; nan for a single source.
    bands_si_sdr
        The mean over the sources for as many :func:`bands` of the mixture, grouped likewise.
    similarity
        Of the grouped components' spectrograms.
    onset_f
        F-measure of their onsets; nan for a source with no known events.
    relative_residual
        What all components leave of the mixture.
    notes
        Those carried by some component; None if no score was given.

    Examples
    --------
    See :func:`judge`.

    References
    ----------
    Chapter: ``book/experiments/evaluation.md``
    """

    names: tuple[str, ...]
    owners: tuple[int, ...]
    si_sdr: tuple[float, ...]
    mean_si_sdr: float
    min_si_sdr: float
    shuffled_si_sdr: float
    bands_si_sdr: float
    sdr: tuple[float, ...]
    sir: tuple[float, ...]
    sar: tuple[float, ...]
    similarity: tuple[float, ...]
    onset_f: tuple[float, ...]
    relative_residual: float
    notes: tuple[str, ...] | None = None


def judge(
    decomposition: Decomposition,
    mixture: Mixture,
    *,
    notes: Sequence[Note] = (),
    measures: Sequence[Measure] = (),
    filter_length: int = 512,
    rng: Seed = 0,
) -> Scores:
    """Hold a decomposition to all yardsticks.

    The components are grouped to the stems, the noise among them: what agrees the most with the
    noise belongs to no source.

    Parameters
    ----------
    decomposition
        Of the mixture's signal.
    mixture
        Whose sources are known.
    notes, measures
        The score, where there is one: see :func:`carried`.
    filter_length
        See :func:`bss_eval`.
    rng
        Seed of the control.

    Returns
    -------
    Scores

    Raises
    ------
    ValueError
        If the lengths differ or a source is silent.

    Examples
    --------
    >>> t = np.arange(8000) / 8000
    >>> stems = np.stack([np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 1000 * t)])
    >>> mixture = Mixture(stems, 8000, ("a", "b"))
    >>> found = Decomposition(
    ...     "by hand", None, np.ones((2, 1)), 1, 0, np.zeros(8000), spectra=np.ones((2, 1)),
    ...     sounds=stems[::-1],
    ... )
    >>> scores = judge(found, mixture, filter_length=1)
    >>> scores.owners, scores.mean_si_sdr, scores.relative_residual
    ((1, 0), 100.0, 0.0)

    References
    ----------
    Chapter: ``book/experiments/evaluation.md``
    """
    sources, sample_rate, x = mixture.sources, mixture.sample_rate, mixture.signal
    if decomposition.residual.shape != x.shape:
        raise ValueError(
            f"decomposition must be of the mixture's {x.size} samples, "
            f"got {decomposition.residual.size}"
        )
    _audible(sources, "mixture.sources")
    components = np.asarray(decomposition.components(), dtype=float)
    noise = _magnitudes(np.delete(mixture.stems, mixture.source_numbers, axis=0))
    heard_in, true = _magnitudes(components), _magnitudes(sources)
    owners, estimates = _sorted_to(true, noise, components, heard_in)
    ratios = _floored(si_sdr(estimates, sources))
    bss = bss_eval_in_order(estimates, sources, filter_length)
    filters = bands(x, len(components))
    _, sieved = _sorted_to(true, noise, filters, _magnitudes(filters))
    control = float("nan")
    if len(sources) > 1:
        deals = [shuffled(mixture, each) for each in np.random.default_rng(rng).spawn(SHUFFLES)]
        truth = np.concatenate(deals)
        dealt = [_sorted_to(_magnitudes(d), noise, components, heard_in)[1] for d in deals]
        heard = truth.any(axis=1)
        control = float(_floored(si_sdr(np.concatenate(dealt)[heard], truth[heard])).mean())
    return Scores(
        names=tuple(mixture.names[s] for s in mixture.source_numbers),
        owners=tuple(owners.tolist()),
        si_sdr=_plain(ratios),
        mean_si_sdr=float(ratios.mean()),
        min_si_sdr=float(ratios.min()),
        shuffled_si_sdr=control,
        bands_si_sdr=float(_floored(si_sdr(sieved, sources)).mean()),
        sdr=_plain(_floored(bss.sdr)),
        sir=_plain(_floored(bss.sir)),
        sar=_plain(_floored(bss.sar)),
        similarity=_plain(np.diagonal(_cosines(_magnitudes(estimates), true))),
        onset_f=tuple(
            onset_f_measure(estimate, sample_rate, events) if events else float("nan")
            for estimate, events in zip(estimates, _onsets_of_sources(mixture), strict=True)
        ),
        relative_residual=relative_residual(x - components.sum(axis=0), x),
        notes=notes_found(components, sample_rate, notes, measures) if notes else None,
    )


def _sorted_to(
    sources: Magnitudes, noise: Magnitudes, components: Signal, spectrograms: Magnitudes
) -> tuple[Owners, Signal]:
    """The owner of each component, -1 if it is the noise, and what the sources own."""
    owners = _owners(_cosines(spectrograms, np.concatenate([sources, noise])))
    owners[owners >= len(sources)] = -1
    return owners, grouped(components, owners, len(sources))


def measured(function: Callable[[], Result]) -> tuple[Result, float, int]:
    """Call a function, and measure what it took.

    Parameters
    ----------
    function
        Of no argument.

    Returns
    -------
    result
        The function's.
    seconds : float
        By the wall clock, while the memory of arrays is traced: a loop of very small steps takes
        up to a fifth longer by that.
    peak_bytes : int
        The most that NumPy's arrays held at once beyond what was held before, in any thread of
        this process. What compiled libraries hold by themselves, and other processes, is not
        seen.

    Raises
    ------
    RuntimeError
        If memory is being traced already: two measurements would disturb each other.

    Examples
    --------
    >>> total, seconds, peak_bytes = measured(lambda: float(np.ones(100_000).sum()))
    >>> total, 800_000 <= peak_bytes < 900_000
    (100000.0, True)

    References
    ----------
    Chapter: ``book/experiments/evaluation.md``
    """
    if tracemalloc.is_tracing():
        raise RuntimeError("memory is being traced already: measure one function at a time")
    with _arrays_traced():
        start = perf_counter()
        result = function()
        seconds = perf_counter() - start
        return result, seconds, tracemalloc.get_traced_memory()[1]


class _Allocator(ctypes.Structure):
    """CPython's ``PyMemAllocatorEx``."""

    _fields_ = [
        (name, ctypes.c_void_p) for name in ("context", "malloc", "calloc", "realloc", "free")
    ]


@contextmanager
def _arrays_traced() -> Iterator[None]:
    """Trace the memory that NumPy reports, and no other.

    ``tracemalloc`` puts itself before Python's three allocators too, and looks up a line of the
    source for each small object: up to twice the time. Python's own go back to where they were.
    """
    allocators = [_Allocator() for _ in range(3)]
    for domain, allocator in enumerate(allocators):
        ctypes.pythonapi.PyMem_GetAllocator(domain, ctypes.byref(allocator))
    tracemalloc.start()
    for domain, allocator in enumerate(allocators):
        ctypes.pythonapi.PyMem_SetAllocator(domain, ctypes.byref(allocator))
    try:
        yield
    finally:
        tracemalloc.stop()


# ---- what they share ---------------------------------------------------------------------------


def _pair(
    one: ArrayLike, other: ArrayLike, names: tuple[str, str], ndim: int | None = None
) -> tuple[Signal, Signal]:
    """Two arrays of one shape, of signals in their rows or of one signal."""
    ndim = ndim or min(max(np.ndim(other), 1), 2)
    first, second = (
        arguments.array(each, name, ndim).astype(float)
        for each, name in zip((one, other), names, strict=True)
    )
    if first.shape != second.shape:
        raise ValueError(
            f"{names[0]} must have the shape of {names[1]}, {second.shape}, got {first.shape}"
        )
    return first, second


def _audible(sources: Signal, name: str) -> None:
    peaks = np.abs(np.atleast_2d(sources)).max(axis=1)
    if not np.all(peaks > 0):
        raise ValueError(f"{name} must not be silent, got the peaks {peaks.tolist()}")


def _unit_peak(x: Signal) -> Signal:
    """Each row scaled to a peak of 1, so that no square underflows; silence stays."""
    peak = np.abs(x).max(axis=-1, keepdims=True)
    return np.asarray(x / np.where(peak > 0, peak, 1))


def _decibels(part: ArrayLike, rest: ArrayLike) -> Any:
    """Ratio of energies in dB, from -LIMIT to LIMIT; -LIMIT where both are zero."""
    part, rest = np.asarray(part), np.asarray(rest)
    least = 10 ** (-LIMIT / 10)
    ratio = np.clip(part / np.maximum(rest, least * np.where(part > 0, part, 1)), least, 1 / least)
    return 10 * np.log10(ratio)


def _floored(ratios: ArrayLike) -> Signal:
    return np.maximum(ratios, FLOOR)


def _plain(values: ArrayLike) -> tuple[float, ...]:
    return tuple(np.asarray(values, dtype=float).tolist())


def _magnitudes(signals: Signal) -> Magnitudes:
    """The magnitudes of each signal's spectrogram in a row of norm 1, or 0 if it is silent."""
    size = FRAME.n_frames(signals.shape[1]) * (FRAME.channels // 2 + 1)
    rows = np.zeros((len(signals), size), np.float32)

    def fill(row: Magnitudes, x: Signal) -> None:
        row[:] = FRAME.spectrogram(x.astype(np.float32), power=1).ravel()
        row /= np.linalg.norm(row) or 1

    for _ in in_threads(lambda pair: fill(*pair), zip(rows, _unit_peak(signals), strict=True)):
        pass
    return rows


def _cosines(left: Magnitudes, right: Magnitudes) -> Signal:
    return np.clip((left @ right.T).astype(float), 0, 1)
