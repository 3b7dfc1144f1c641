"""Ratios of energies: how much of an estimate is its source, in time.

Chapter: ``book/experiments/evaluation.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import ArrayLike

from cdlnmf_lit.experiments.signals import Signal
from cdlnmf_lit.theory import arguments

LIMIT = 100.0
"""dB beyond which rounding decides; no ratio here exceeds it."""
FLOOR = -30.0
"""dB below which a source is as good as lost: no score of a source counts for less."""


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
    """
    e, s = checked_pair(estimate, source, ("estimate", "source"))
    require_audible(s, "source")
    e, s = unit_peak(e), unit_peak(s)
    es, ee, ss = (np.einsum("...t,...t->...", *pair) for pair in ((e, s), (e, e), (s, s)))
    return si_sdr_of_products(es, ee, ss)


def si_sdr_of_products(es: ArrayLike, ee: ArrayLike, ss: ArrayLike) -> Any:
    """The same from the inner products ⟨e, s⟩, ‖e‖² and ‖s‖².

    ``‖e - β s‖² = ‖e‖² - β² ‖s‖²``: at 100 dB the difference still has six digits.

    Examples
    --------
    >>> print(round(si_sdr_of_products(2.0, 2.02, 2.0), 6))
    20.0
    """
    part = np.square(es) / np.asarray(ss)
    return decibels(part, np.maximum(np.asarray(ee) - part, 0))


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
    """
    r, x = checked_pair(residual, x, ("residual", "x"))
    require_audible(np.atleast_2d(x), "x")
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
    Delays need ``fast_bss_eval``. Its switch ``compute_permutation=False`` does not work with
    NumPy 2, so all pairs are compared.

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
    """
    sdr, sir, sar = _bss_eval_of_pairs(estimates, sources, filter_length)
    best = scipy.optimize.linear_sum_assignment(sir, maximize=True)
    return BssEval(
        as_floats(sdr[best]), as_floats(sir[best]), as_floats(sar[best]), tuple(best[1].tolist())
    )


def bss_eval_in_order(
    estimates: ArrayLike, sources: ArrayLike, filter_length: int = 512
) -> BssEval:
    """Measure as :func:`bss_eval` does, but estimate s against source s, whatever fits better.

    Examples
    --------
    >>> sources = np.eye(2, 8)
    >>> bss_eval_in_order(sources[::-1], sources, 1).sdr
    (-100.0, -100.0)
    """
    sdr, sir, sar = map(np.diagonal, _bss_eval_of_pairs(estimates, sources, filter_length))
    return BssEval(as_floats(sdr), as_floats(sir), as_floats(sar), tuple(range(len(sdr))))


def _bss_eval_of_pairs(
    estimates: ArrayLike, sources: ArrayLike, filter_length: int
) -> tuple[Signal, Signal, Signal]:
    """SDR, SIR and SAR, (S, S): of each source, and each estimate taken for it."""
    e, s = checked_pair(estimates, sources, ("estimates", "sources"), ndim=2)
    require_audible(s, "sources")
    length = arguments.integer(filter_length, "filter_length", at_most=s.shape[1])
    heard = np.flatnonzero(e.any(axis=1))
    own, any_source = np.zeros((2, len(s), len(s)))
    if heard.size:
        cosines = _square_cosines if length == 1 else _square_cosines_of_delays
        shares = cosines(unit_peak(s), unit_peak(e[heard]), length)
        own[:, heard], any_source[:, heard] = np.clip(shares, 0.0, 1.0)
    return (
        decibels(own, 1 - own),
        decibels(own, np.maximum(any_source - own, 0)),
        decibels(any_source, 1 - any_source),
    )


def _square_cosines(s: Signal, e: Signal, _: int) -> tuple[Signal, Signal]:
    """Of each estimate with each source, and with the span of all, without delays, (S, E)."""
    s, e = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (s, e))
    pairs = s @ e.T
    span = np.sum(pairs * np.linalg.solve(s @ s.T, pairs), axis=0)
    return pairs**2, np.broadcast_to(span, pairs.shape)


def _square_cosines_of_delays(s: Signal, e: Signal, length: int) -> tuple[Signal, Signal]:
    from fast_bss_eval.numpy.metrics import square_cosine_metrics

    own, span = square_cosine_metrics(s, e, filter_length=length, pairwise=True)
    return own, span


# ---- what the yardsticks share ------------------------------------------------------------------


def checked_pair(
    one: ArrayLike, other: ArrayLike, names: tuple[str, str], ndim: int | None = None
) -> tuple[Signal, Signal]:
    """Both as finite real arrays of the same shape: one signal, or one in each row."""
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


def require_audible(sources: Signal, name: str) -> None:
    """Refuse signals of which one is silent throughout."""
    peaks = np.abs(np.atleast_2d(sources)).max(axis=1)
    if not np.all(peaks > 0):
        raise ValueError(f"{name} must not be silent, got the peaks {peaks.tolist()}")


def unit_peak(x: Signal) -> Signal:
    """Each row scaled to a peak of 1, so that squares neither underflow nor overflow.

    Silence stays silence.
    """
    peak = np.abs(x).max(axis=-1, keepdims=True)
    return np.asarray(x / np.where(peak > 0, peak, 1))


def decibels(part: ArrayLike, rest: ArrayLike) -> Any:
    """A ratio of energies in dB, from -100 to 100; -100 where both are zero."""
    part, rest = np.asarray(part), np.asarray(rest)
    least = 10 ** (-LIMIT / 10)
    ratio = np.clip(part / np.maximum(rest, least * np.where(part > 0, part, 1)), least, 1 / least)
    return 10 * np.log10(ratio)


def floored(ratios: ArrayLike) -> Signal:
    """Ratios in dB, each raised to -30 dB where it is lower."""
    return np.maximum(ratios, FLOOR)


def as_floats(values: ArrayLike) -> tuple[float, ...]:
    """A row of numbers as Python's own, which compare and print plainly."""
    return tuple(np.asarray(values, dtype=float).tolist())
