"""Recipes: chains of methods, with the settings that proved best for a kind of sound.

Chapter: ``book/experiments/initialisation.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.convolutive_nmf import ConvolutiveNMF
from cdlnmf_lit.methods.hits import Hits
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.theory.arguments import integer
from cdlnmf_lit.theory.gabor import hann

SAMPLE_RATE = 22_050
"""Hz, of the paper's sounds."""


def notes(sample_rate: int = SAMPLE_RATE) -> Method:
    """For notes that recur, alone or together: NMF, then patterns, the best of several starts.

    Parameters
    ----------
    sample_rate
        In Hz: the windows last 93 ms, and 186 ms in the end, at any rate.

    Examples
    --------
    >>> for stage in notes(44_100).stages:
    ...     print(stage.name, stage.frame.window.size, stage.iterations, stage.starts)
    nmf 4096 20 1
    convolutive-nmf 4096 30 8
    convolutive-nmf 8192 20 1
    """
    hop = max(1, round(1024 * integer(sample_rate, "sample_rate") / SAMPLE_RATE))
    short, long = hann(2 * hop, hop), hann(4 * hop, hop)
    single: dict[str, Any] = {"precision": "float32"}
    spectra = NMF(frame=short, iterations=20, **single)
    patterns = ConvolutiveNMF(
        frame=short, pattern_length=8, iterations=30, starts=8, halve_every=5, **single
    )
    resolved = ConvolutiveNMF(
        frame=long, pattern_length=20, iterations=20, divergence="euclidean", **single
    )
    return spectra >> patterns >> resolved


def chirps(sample_rate: int = SAMPLE_RATE) -> Method:
    """For sounds of up to 2.5 s that recur as they are: dictionary learning, from an NMF.

    Parameters
    ----------
    sample_rate
        In Hz: atoms and windows last 2.5 s at any rate.

    Examples
    --------
    >>> print(chirps())
    nmf (hop 27562, window 55125, iterations 60) → cdl (..., λ/λmax 0.05) → cdl (..., λ/λmax 0.01)
    """
    length = max(2, round(2.5 * integer(sample_rate, "sample_rate")))
    spectra = NMF(frame=hann(length, length // 2), iterations=60, precision="float32")

    sparse = CDL(
        atom_length=length,
        padding=length // 2,
        share=0.05,
        iterations=30,
        tolerance=1e-3,
        precision="float32",
    )
    return spectra >> sparse >> replace(sparse, share=0.01, iterations=10)


def clicks(sample_rate: int = SAMPLE_RATE) -> Method:
    """For short sounds that recur as they are, as of a machine: dictionary learning, best of four.

    Parameters
    ----------
    sample_rate
        In Hz: atoms last 30 ms at any rate.

    Examples
    --------
    >>> print(clicks())
    cdl (..., λ/λmax 0.2), best of 4 → cdl (..., refit 3, λ/λmax 0.1)

    References
    ----------
    Chapter: ``book/experiments/your_own_sound.md``.
    """
    length = max(2, round(0.03 * integer(sample_rate, "sample_rate")))
    sparse = CDL(
        atom_length=length, padding=length // 2, share=0.2, iterations=10, precision="float32"
    )
    return replace(sparse, starts=4, halve_every=2) >> replace(sparse, share=0.1, refit=3)


def hits(sample_rate: int = SAMPLE_RATE) -> Method:
    """For drums, samples and strokes of 50 to 500 ms that recur: pursuit, then least squares.

    Parameters
    ----------
    sample_rate
        In Hz: atoms last 0.75 s at any rate.

    Examples
    --------
    >>> print(hits())
    hits (iterations 6, taps 1) → hits (iterations 12)

    References
    ----------
    Chapter: ``book/methods/pursuit.md``.
    """
    length = max(2, round(0.75 * integer(sample_rate, "sample_rate")))
    whole = Hits(atom_length=length, taps=1, iterations=6, precision="float32")
    return whole >> replace(whole, taps=7, iterations=12)


RECIPES: dict[str, Callable[[int], Method]] = {
    "notes": notes,
    "chirps": chirps,
    "clicks": clicks,
    "hits": hits,
}
