"""Separation: how far apart a method brings the sources, in one number.

A trial has all yardsticks; a sweep over many settings keeps what it compares.

Chapter: ``book/experiments/windows.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cdlnmf_lit.experiments import evaluation
from cdlnmf_lit.experiments.signals import Mixture, Signal
from cdlnmf_lit.methods.method import Method


@dataclass(frozen=True)
class Separation:
    """What a run reached, and what it took.

    Parameters
    ----------
    mean_si_sdr
        Over the sources, in dB; a source that is not found counts -30.
    iterations
        Of the last stage.
    seconds
        Of all stages, by the wall clock.

    Examples
    --------
    See :func:`separation`.
    """

    mean_si_sdr: float
    iterations: int
    seconds: float


def separation(method: Method, mixture: Mixture, n_components: int, seed: int) -> Separation:
    """Run a method, group its components to the stems as a trial does, and measure them.

    Examples
    --------
    >>> from cdlnmf_lit.methods.nmf import NMF
    >>> from cdlnmf_lit.theory.gabor import hann
    >>> t = np.arange(16000) / 8000
    >>> tones = np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 990 * t)
    >>> stems = np.stack([tones[0] * (t < 1.2), tones[1] * (t > 0.5)])
    >>> mixture = Mixture(stems, 8000, ("low", "high"))
    >>> found = separation(NMF(frame=hann(512, 256), iterations=50), mixture, 2, seed=0)
    >>> found.iterations, found.mean_si_sdr > 20
    (50, True)
    """
    found, seconds = evaluation.timed(
        lambda: method.decompose(mixture.signal, n_components, rng=seed)
    )
    return Separation(
        mean_si_sdr=mean_si_sdr(np.asarray(found.components(), dtype=float), mixture),
        iterations=len(found.history["objective"]) - 1,
        seconds=seconds,
    )


def mean_si_sdr(components: Signal, mixture: Mixture) -> float:
    """The mean over the sources, in dB, of what components (K, T) are once they are grouped.

    Examples
    --------
    >>> t = np.arange(8000) / 8000
    >>> stems = np.stack([np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 990 * t)])
    >>> mixture = Mixture(stems, 8000, ("low", "high"))
    >>> mean_si_sdr(stems[::-1], mixture), mean_si_sdr(stems[:1], mixture)
    (100.0, 35.0)
    """
    ratios = evaluation.si_sdr(evaluation.sources_in(components, mixture), mixture.sources)
    return float(np.mean(np.maximum(ratios, evaluation.FLOOR)))
