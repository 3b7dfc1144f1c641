"""The settings of the paper's Section 4, method by method, and those it leaves to the reader."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from cdlnmf_lit.experiments.signals import PIANO_MEASURES, PIANO_NOTES, Mixture, chirps, piano
from cdlnmf_lit.methods import recipes
from cdlnmf_lit.methods.algorithm_1 import Algorithm1
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.complex_nmf import ComplexNMF
from cdlnmf_lit.methods.convolutive_nmf import ConvolutiveNMF
from cdlnmf_lit.methods.lrtfs import LRTFS
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.theory import arguments
from cdlnmf_lit.theory.gabor import GaborFrame, hann


@dataclass(frozen=True)
class Setting:
    """A method and the number of components asked of it.

    Examples
    --------
    >>> PIANO["IS-NMF"].n_components
    4

    References
    ----------
    Section 4 of the paper. Chapter: ``book/experiments/piano.md``
    """

    method: Method
    n_components: int

    def __str__(self) -> str:
        return f"K = {self.n_components}, {self.method}"


SHORT = hann(2048, 1024)
DENSE = hann(2048, 8)
PRINTED = Algorithm1(frame=DENSE, iterations=40, precision="float32")

PIANO = {
    "CDL": Setting(CDL(iterations=30, share=0.02, precision="float32"), 4),
    "Algorithm 1": Setting(PRINTED, 8),
    "Algorithm 1, sparse": Setting(
        replace(PRINTED, step_rule="accelerated", activation_update="coordinate", share=0.02), 8
    ),
    "IS-NMF": Setting(NMF(frame=SHORT, divergence="itakura-saito"), 4),
    "KL-NMF": Setting(NMF(frame=SHORT), 4),
    "LRTFS": Setting(LRTFS(frame=SHORT, iterations=100), 4),
    "complex NMF": Setting(ComplexNMF(frame=SHORT, iterations=100), 4),
    "convolutive NMF": Setting(ConvolutiveNMF(frame=SHORT, pattern_length=8, iterations=100), 4),
    "our recipe": Setting(recipes.notes(), 4),
}
"""Of the piano (Figs. 1 and 3): windows and atoms of 93 ms."""

LONG = 55_125
HALF = hann(LONG, LONG // 2)
FIFTH = hann(LONG, LONG // 5)
EVERY = GaborFrame("boxcar", 1, LONG).tight()
WIDE = NMF(frame=HALF, iterations=60, precision="float32")
LEARNING = CDL(atom_length=LONG, padding=LONG // 2, share=0.05, precision="float32")
CHIRPS = {
    "CDL": Setting(replace(LEARNING, iterations=40, tolerance=1e-3), 2),
    "Algorithm 1, 80 %": Setting(Algorithm1(frame=FIFTH, iterations=100, precision="float32"), 2),
    "Algorithm 1, a = 1": Setting(
        WIDE
        >> replace(LEARNING, iterations=1)
        >> Algorithm1(
            frame=EVERY,
            iterations=80,
            step_rule="backtracking",
            activation_update="coordinate",
            recentre_every=5,
            share=0.05,
            precision="float32",
        ),
        2,
    ),
    "IS-NMF": Setting(NMF(frame=HALF, divergence="itakura-saito", precision="float32"), 2),
    "KL-NMF": Setting(WIDE, 2),
    "IS-NMF, 93 ms": Setting(NMF(frame=SHORT, divergence="itakura-saito"), 2),
    "convolutive NMF, 93 ms": Setting(
        ConvolutiveNMF(frame=SHORT, pattern_length=44, iterations=100), 2
    ),
    "LRTFS": Setting(LRTFS(frame=HALF, precision="float32"), 2),
    "our recipe": Setting(recipes.chirps(), 2),
}
"""Of the chirps (Figs. 2, 4 and 5): windows and atoms of 2.5 s, but where it says 93 ms."""


def piano_trials(name: str, seeds: Iterable[int]) -> list[dict[str, Any]]:
    """The points of a sweep of trials: a setting on one piano a seed, from a start of that seed.

    Raises
    ------
    ValueError
        If there is no such setting.

    Examples
    --------
    >>> (point,) = piano_trials("KL-NMF", [3])
    >>> point["n_components"], point["seed"]
    (4, 3)

    References
    ----------
    Fig. 3 of the paper. Chapter: ``book/experiments/piano.md``
    """
    setting = PIANO[arguments.choice(name, "name", PIANO)]
    score = {"notes": PIANO_NOTES, "measures": PIANO_MEASURES}
    return [_point(setting, _piano(seed), seed) | score for seed in seeds]


def chirps_trials(
    name: str, seeds: Iterable[int], *, overlapping: bool = False
) -> list[dict[str, Any]]:
    """The points of a sweep of trials: a setting on one pair of chirps a seed, likewise.

    Raises
    ------
    ValueError
        If there is no such setting.

    Examples
    --------
    >>> (point,) = chirps_trials("LRTFS", [3])
    >>> point["n_components"], point["seed"]
    (2, 3)

    References
    ----------
    Figs. 4 and 5 of the paper. Chapter: ``book/experiments/chirps.md``
    """
    setting = CHIRPS[arguments.choice(name, "name", CHIRPS)]
    return [_point(setting, _chirps(seed, overlapping), seed) for seed in seeds]


@lru_cache(maxsize=10)
def _piano(seed: int) -> Mixture:
    """Make each sound once, for all settings: its samples are shared."""
    return piano(rng=seed)


@lru_cache(maxsize=10)
def _chirps(seed: int, overlapping: bool) -> Mixture:
    return chirps(rng=seed, overlapping=overlapping)


def _point(setting: Setting, mixture: Mixture, seed: int) -> dict[str, Any]:
    return {
        "method": setting.method,
        "mixture": mixture,
        "n_components": setting.n_components,
        "seed": seed,
    }
