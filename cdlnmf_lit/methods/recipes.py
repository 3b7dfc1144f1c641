"""Recipes: a method, what it is asked, and the recipe that it starts from.

Chapter: ``book/experiments/initialisation.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import ArrayLike

from cdlnmf_lit.methods import METHODS
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.sparse_coding import lambda_max
from cdlnmf_lit.theory.arguments import choice, signal


@dataclass(frozen=True, eq=False)
class Recipe:
    """A method, its options, and what it starts from.

    Parameters
    ----------
    method : str
        One of ``METHODS``.
    options : dict
        Keyword arguments of the method's ``decompose``.
    share : float, or None
        The penalty ``λ``, as a share of the largest that any atom of norm 1 could need:
        :func:`~cdlnmf_lit.methods.sparse_coding.lambda_max` of the length of the atoms.
    precision : {"float64", "float32"}, or None
        Of the computation. By default that of the signal.
    start : Recipe, or None
        Run first; the method starts from what it finds.

    Raises
    ------
    ValueError
        If there is no such method or precision.

    Examples
    --------
    >>> import numpy as np
    >>> from cdlnmf_lit.theory.gabor import GaborFrame
    >>> small = {"frame": GaborFrame("hann", 16, 32).tight(), "iterations": 5}
    >>> recipe = Recipe("lrtfs", small, start=Recipe("nmf", small))
    >>> print(recipe)
    nmf (hop 16, window 32, iterations 5) → lrtfs (hop 16, window 32, iterations 5)
    >>> recipe.decompose(np.sin(0.3 * np.arange(400.0)), 2, rng=0).method
    'lrtfs'

    References
    ----------
    Chapter: ``book/experiments/initialisation.md``.
    """

    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    share: float | None = None
    precision: str | None = None
    start: Recipe | None = None

    def __post_init__(self) -> None:
        choice(self.method, "method", METHODS)
        if self.precision is not None:
            choice(self.precision, "precision", ("float64", "float32"))

    def decompose(self, x: ArrayLike, n_components: int, rng: Any = 0) -> Decomposition:
        """Run the recipe; the same seed gives the same result.

        Raises
        ------
        ValueError, MemoryError
            What the method refuses.
        """
        x = signal(x)
        x = x.astype(self.precision or x.dtype, copy=False)
        options = self.asked_of(x)
        if self.start is not None:
            options["start"] = self.start.decompose(x, n_components, rng)
        return METHODS[self.method].decompose(x, n_components, **options, rng=rng)

    def asked_of(self, x: ArrayLike) -> dict[str, Any]:
        """The method's options for a signal: with the penalty, where the recipe gives its share."""
        if self.share is None:
            return dict(self.options)
        frame = self.options.get("frame")
        length = frame.window.size if frame else self.options["atom_length"]
        return {**self.options, "penalty": self.share * lambda_max(x, length)}

    def __str__(self) -> str:
        words = dict(self.options)
        if frame := words.pop("frame", None):
            words = {"hop": frame.hop, "window": frame.window.size} | words
        if self.share is not None:
            words["λ/λmax"] = self.share
        told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in words.items())
        before = f"{self.start} → " if self.start else ""
        return f"{before}{self.method}" + (f" ({told})" if told else "")
