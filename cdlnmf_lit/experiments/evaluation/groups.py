"""Groups: which component belongs to which source, by spectrograms, and what that alone is worth.

Chapter: ``book/experiments/evaluation.md``.
"""

from __future__ import annotations

from itertools import count, pairwise

import numpy as np
import scipy.fft
import scipy.optimize
from numpy.typing import ArrayLike, NDArray

from cdlnmf_lit.experiments.evaluation.events import source_onsets
from cdlnmf_lit.experiments.evaluation.ratios import require_audible, unit_peak
from cdlnmf_lit.experiments.signals import Mixture, Seed, Signal
from cdlnmf_lit.theory import arguments
from cdlnmf_lit.theory.blocks import in_threads
from cdlnmf_lit.theory.gabor import GaborFrame

FRAME = GaborFrame("hann", 512, 2048)
"""Where spectrograms are compared."""
LEAST_AGREEMENT = 0.1
"""Cosine below which a component belongs to no source: it says less than 1 % of any."""
Owners = NDArray[np.intp]
Magnitudes = NDArray[np.float32]


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
    """
    e = arguments.array(estimates, "estimates", 2)
    s = arguments.array(sources, "sources", 2)
    if e.shape[1] != s.shape[1]:
        raise ValueError(f"estimates must have {s.shape[1]} samples as sources, got {e.shape[1]}")
    return cosines(magnitudes(e), magnitudes(s))


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
    """
    return most_similar(spectrogram_similarity(components, sources))


def most_similar(agreement: Signal) -> Owners:
    """The source that each component, a row, agrees with the most; -1 if that is too little."""
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


def sources_in(components: ArrayLike, mixture: Mixture) -> Signal:
    """The sources of a mixture as components hold them: grouped to the stems, its noise among them.

    Parameters
    ----------
    components
        (K, T).
    mixture
        Whose sources are known.

    Returns
    -------
    array (S, T)
        Silence for a source that no component agrees with.

    Examples
    --------
    >>> t = np.arange(8000) / 8000
    >>> stems = np.stack([np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 990 * t)])
    >>> found = sources_in(stems[::-1], Mixture(stems, 8000, ("low", "high")))
    >>> np.array_equal(found, stems)
    True
    """
    owners = grouping(components, mixture.stems)
    return grouped(components, owners, len(mixture.stems))[mixture.source_numbers]


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
    """
    sources = mixture.sources
    if len(sources) < 2:
        raise ValueError(f"mixture must have at least two sources, got {len(sources)}")
    require_audible(sources, "mixture.sources")
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
    >>> from cdlnmf_lit.experiments.evaluation import si_sdr
    >>> si_sdr(bands(low + high, 2), [low, high]) > 30
    array([ True,  True])
    """
    x = arguments.signal(x).astype(float)
    n_bands = arguments.integer(n_bands, "n_bands", at_most=max(1, x.size // 2))
    require_audible(x, "x")
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
    onsets = source_onsets(mixture)
    n_pieces = 2 * len(mixture.sources)
    starts = []
    for source, seconds in zip(mixture.sources, onsets, strict=True):
        known = sorted({round(t * mixture.sample_rate) for t in seconds})
        if len(known) < 2:
            energy = np.cumsum(unit_peak(source) ** 2)
            shares = np.arange(n_pieces) / n_pieces
            known = np.unique(np.searchsorted(energy, shares * energy[-1], "right")).tolist()
        starts.append([start for start in known[1:] if 0 < start < source.size])
    return starts


def magnitudes(signals: Signal) -> Magnitudes:
    """The magnitudes of each signal's spectrogram in a row of norm 1, or 0 if it is silent."""
    size = FRAME.n_frames(signals.shape[1]) * (FRAME.channels // 2 + 1)
    rows = np.zeros((len(signals), size), np.float32)

    def fill(row: Magnitudes, x: Signal) -> None:
        row[:] = FRAME.spectrogram(x.astype(np.float32), power=1).ravel()
        row /= np.linalg.norm(row) or 1

    for _ in in_threads(lambda pair: fill(*pair), zip(rows, unit_peak(signals), strict=True)):
        pass
    return rows


def cosines(left: Magnitudes, right: Magnitudes) -> Signal:
    """Of each row of the one and each row of the other, both as :func:`magnitudes` gives them."""
    return np.clip((left @ right.T).astype(float), 0, 1)
