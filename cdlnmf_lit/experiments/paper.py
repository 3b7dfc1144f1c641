"""The settings of the paper's Section 4, method by method, and those it leaves to the reader."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cdlnmf_lit.experiments.signals import PIANO_MEASURES, PIANO_NOTES, Mixture, chirps, piano
from cdlnmf_lit.methods import recipes
from cdlnmf_lit.methods.recipes import Recipe
from cdlnmf_lit.theory import arguments
from cdlnmf_lit.theory.gabor import GaborFrame


@dataclass(frozen=True)
class Setting:
    """A recipe and the number of components asked of it.

    Examples
    --------
    >>> PIANO["IS-NMF"].n_components
    4

    References
    ----------
    Section 4 of the paper. Chapter: ``book/experiments/piano.md``
    """

    recipe: Recipe
    n_components: int

    def __str__(self) -> str:
        return f"K = {self.n_components}, {self.recipe}"


SHORT = GaborFrame("hann", 1024, 2048).tight()
DENSE = GaborFrame("hann", 8, 2048).tight()
FASTER = {"step_rule": "accelerated", "activation_update": "coordinate"}
IS = {"divergence": "itakura-saito"}

PIANO = {
    "CDL": Setting(Recipe("cdl", {"iterations": 30}, 0.02, "float32"), 4),
    "Algorithm 1": Setting(
        Recipe("algorithm-1", {"frame": DENSE, "iterations": 40}, precision="float32"), 8
    ),
    "Algorithm 1, sparse": Setting(
        Recipe("algorithm-1", {"frame": DENSE, "iterations": 40, **FASTER}, 0.02, "float32"), 8
    ),
    "IS-NMF": Setting(Recipe("nmf", {"frame": SHORT, **IS}), 4),
    "KL-NMF": Setting(Recipe("nmf", {"frame": SHORT}), 4),
    "LRTFS": Setting(Recipe("lrtfs", {"frame": SHORT, "iterations": 100}), 4),
    "complex NMF": Setting(Recipe("complex-nmf", {"frame": SHORT, "iterations": 100}), 4),
    "convolutive NMF": Setting(
        Recipe("convolutive-nmf", {"frame": SHORT, "pattern_length": 8, "iterations": 100}), 4
    ),
    "our recipe": Setting(recipes.notes(), 4),
}
"""Of the piano (Figs. 1 and 3): windows and atoms of 93 ms."""

LONG = 55_125
HALF = GaborFrame("hann", LONG // 2, LONG).tight()
FIFTH = GaborFrame("hann", LONG // 5, LONG).tight()
EVERY = GaborFrame("boxcar", 1, LONG).tight()
WIDE = Recipe("nmf", {"frame": HALF, "iterations": 60}, precision="float32")
CHIRPS = {
    "CDL": Setting(
        Recipe(
            "cdl",
            {"atom_length": LONG, "padding": LONG // 2, "iterations": 40, "tolerance": 1e-3},
            0.05,
            "float32",
        ),
        2,
    ),
    "Algorithm 1, 80 %": Setting(
        Recipe("algorithm-1", {"frame": FIFTH, "iterations": 100}, precision="float32"), 2
    ),
    "Algorithm 1, a = 1": Setting(
        Recipe(
            "algorithm-1",
            {
                "frame": EVERY,
                "iterations": 80,
                "step_rule": "backtracking",
                "activation_update": "coordinate",
                "recentre_every": 5,
            },
            0.05,
            "float32",
            start=Recipe(
                "cdl",
                {"atom_length": LONG, "padding": LONG // 2, "iterations": 1},
                0.05,
                "float32",
                start=WIDE,
            ),
        ),
        2,
    ),
    "IS-NMF": Setting(Recipe("nmf", {"frame": HALF, **IS}, precision="float32"), 2),
    "KL-NMF": Setting(WIDE, 2),
    "IS-NMF, 93 ms": Setting(Recipe("nmf", {"frame": SHORT, **IS}), 2),
    "convolutive NMF, 93 ms": Setting(
        Recipe("convolutive-nmf", {"frame": SHORT, "pattern_length": 44, "iterations": 100}), 2
    ),
    "LRTFS": Setting(Recipe("lrtfs", {"frame": HALF}, precision="float32"), 2),
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
    return [_point(setting, chirps(rng=seed, overlapping=overlapping), seed) for seed in seeds]


@lru_cache(maxsize=10)
def _piano(seed: int) -> Mixture:
    """Make each piano once, for all settings."""
    return piano(rng=seed)


def _point(setting: Setting, mixture: Mixture, seed: int) -> dict[str, Any]:
    return {
        "recipe": setting.recipe,
        "mixture": mixture,
        "n_components": setting.n_components,
        "seed": seed,
    }
