"""Onsets: where something starts.

Chapter: ``book/experiments/evaluation.md``.
"""

from __future__ import annotations

import numpy as np
import scipy.signal
from numpy.typing import ArrayLike

from cdlnmf_lit.experiments.evaluation.ratios import unit_peak
from cdlnmf_lit.experiments.signals import Mixture, Signal
from cdlnmf_lit.theory import arguments

PACE, SPAN = 0.005, 0.02  # s from one level to the next, and s that each is taken over
RISE_TIME, RISE = 0.04, 10.0  # s in which the level rises by so many dB at an onset
REACH_TIME, REACH = 0.5, 15.0  # s after which it is at most so many dB below the loudest
DEPTH = 50.0  # dB below the loudest at which levels end
REST = 0.1  # s from one onset to the next, at least


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
    """
    x = arguments.signal(x)
    sample_rate = arguments.integer(sample_rate, "sample_rate", at_least=round(1 / PACE))
    if not x.any():
        return np.empty(0)
    step, span = round(PACE * sample_rate), round(SPAN * sample_rate)
    lag, rest, reach = (round(each / PACE) for each in (RISE_TIME, REST, REACH_TIME))
    before = span // 2 + step * lag
    energy = np.concatenate([[0.0], np.cumsum(np.pad(unit_peak(x) ** 2, (before, before + span)))])
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
    C. Raffel et al., "mir_eval", ISMIR 2014.
    """
    import mir_eval

    wanted = np.sort(arguments.array(events, "events", 1))
    window = arguments.non_negative(window, "window")
    found = onsets(x, sample_rate)
    if not found.size:
        return 0.0
    return float(mir_eval.onset.f_measure(wanted, found, window=window)[0])


def source_onsets(mixture: Mixture) -> list[list[float]]:
    """When each source's events start, in seconds."""
    events = mixture.events
    return [sorted(e.onset for e in events if e.stem == s) for s in mixture.source_numbers]
