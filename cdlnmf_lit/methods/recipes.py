"""Recipes: a method, what it is asked, and the recipe that it starts from.

Chapter: ``book/experiments/initialisation.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods import METHODS
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.sparse_coding import lambda_max
from cdlnmf_lit.theory.arguments import Array, choice, integer
from cdlnmf_lit.theory.arguments import signal as checked
from cdlnmf_lit.theory.gabor import GaborFrame


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
    starts : int
        How often to run all of this, from seeds drawn by the one that is given. The result of
        the lowest objective is kept; no truth is needed for that.

    Raises
    ------
    ValueError
        If there is no such method or precision, the method has no such option or, for a
        ``share``, no penalty, or ``starts`` is not positive.

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
    starts: int = 1

    def __post_init__(self) -> None:
        choice(self.method, "method", METHODS)
        if self.precision is not None:
            choice(self.precision, "precision", ("float64", "float32"))
        integer(self.starts, "starts")
        asked = signature(METHODS[self.method].decompose).parameters
        known = [name for name in asked if name not in ("x", "n_components", "rng")]
        for name in self.options:
            choice(name, f"an option of {self.method}", known)
        if self.share is not None and "penalty" not in known:
            raise ValueError(
                f"share must be None for {self.method}, which has no penalty, got {self.share!r}"
            )

    def decompose(self, x: ArrayLike, n_components: int, rng: Any = 0) -> Decomposition:
        """Run the recipe; the same seed gives the same result.

        Raises
        ------
        ValueError, MemoryError
            What the method refuses.
        """
        x = checked(x)
        x = x.astype(self.precision or x.dtype, copy=False)
        if self.starts == 1:
            return self._from_one_start(x, n_components, rng)
        seeds = np.random.default_rng(rng).integers(2**32, size=self.starts).tolist()
        tried = (self._from_one_start(x, n_components, seed) for seed in seeds)
        return min(tried, key=lambda found: found.history["objective"][-1])

    def _from_one_start(self, x: Array, n_components: int, rng: Any) -> Decomposition:
        options = self.asked_of(x)
        if self.start is not None:
            options["start"] = self.start.decompose(x, n_components, rng)
        return METHODS[self.method].decompose(x, n_components, **options, rng=rng)

    def asked_of(self, x: ArrayLike) -> dict[str, Any]:
        """The method's options for a signal: with the penalty, where the recipe gives its share."""
        if self.share is None:
            return dict(self.options)
        module = METHODS[self.method]
        if "frame" in signature(module.decompose).parameters:
            length = (self.options.get("frame") or module.default_frame()).window.size
        else:
            usual = signature(module.decompose).parameters["atom_length"].default
            length = self.options.get("atom_length", usual)
        return {**self.options, "penalty": self.share * lambda_max(x, length)}

    @property
    def iterations(self) -> int:
        """How many its own method runs at the most."""
        usual = signature(METHODS[self.method].decompose).parameters["iterations"].default
        return int(self.options.get("iterations", usual))

    def estimate(
        self, n_samples: int, n_components: int, dtype: Any = np.float64
    ) -> tuple[int, float]:
        """Bytes of memory and seconds that all of it will take, without running it.

        From the estimates of the methods, which time a little of an iteration on this machine. A
        tolerance may end a method sooner.
        """
        module = METHODS[self.method]
        dtype = np.dtype(self.precision or dtype)
        known = {"dtype": dtype, **self.options}
        asked = {name: known[name] for name in signature(module.estimate).parameters & known.keys()}
        own = module.estimate(n_samples, n_components, **asked)
        seconds = self.iterations * own.seconds_per_iteration
        memory, before = own.memory_bytes, 0.0
        if self.start is not None:
            start_memory, before = self.start.estimate(n_samples, n_components, dtype)
            memory = max(memory, start_memory)
        return memory, self.starts * (before + seconds)

    def __str__(self) -> str:
        words = dict(self.options)
        if frame := words.pop("frame", None):
            words = {"hop": frame.hop, "window": frame.window.size} | words
        if self.share is not None:
            words["λ/λmax"] = self.share
        told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in words.items())
        before = f"{self.start} → " if self.start else ""
        after = f", best of {self.starts}" if self.starts > 1 else ""
        return f"{before}{self.method}" + (f" ({told})" if told else "") + after


SAMPLE_RATE = 22_050
"""Hz, of the paper's sounds."""


def notes(sample_rate: int = SAMPLE_RATE) -> Recipe:
    """For notes that recur, alone or together: NMF, then patterns, the best of several starts.

    Parameters
    ----------
    sample_rate
        In Hz: the windows last 93 ms, and 186 ms in the end, at any rate.

    Examples
    --------
    >>> recipe = notes(44_100)
    >>> print(recipe.start.start)
    nmf (hop 2048, window 4096, iterations 100)
    >>> print(recipe.start)
    nmf (...) → convolutive-nmf (hop 2048, window 4096, pattern length 8, ...), best of 8

    References
    ----------
    Chapter: ``book/experiments/initialisation.md``.
    """
    hop = max(1, round(1024 * integer(sample_rate, "sample_rate") / SAMPLE_RATE))
    frame, longer = (GaborFrame("hann", hop, length).tight() for length in (2 * hop, 4 * hop))
    alike = Recipe("nmf", {"frame": frame, "iterations": 100})
    options = {"frame": frame, "pattern_length": 8, "iterations": 50}
    patterns = Recipe("convolutive-nmf", options, start=alike, starts=8)
    options = {"frame": longer, "pattern_length": 20, "iterations": 40, "divergence": "euclidean"}
    return Recipe("convolutive-nmf", options, start=patterns)


def chirps(sample_rate: int = SAMPLE_RATE) -> Recipe:
    """For sounds of up to 2.5 s that recur as they are: dictionary learning, from an NMF.

    Parameters
    ----------
    sample_rate
        In Hz: atoms and windows last 2.5 s at any rate.

    Examples
    --------
    >>> print(chirps().start.start)
    nmf (hop 27562, window 55125, iterations 60)
    >>> print(chirps())
    nmf (...) → cdl (..., λ/λmax 0.05) → cdl (..., λ/λmax 0.01)

    References
    ----------
    Chapter: ``book/experiments/initialisation.md``.
    """
    length = max(2, round(2.5 * integer(sample_rate, "sample_rate")))
    frame = GaborFrame("hann", length // 2, length).tight()
    wide = Recipe("nmf", {"frame": frame, "iterations": 60}, precision="float32")
    asked = {"atom_length": length, "padding": length // 2, "tolerance": 1e-3}
    sparse = Recipe("cdl", asked | {"iterations": 30}, 0.05, "float32", start=wide)
    return Recipe("cdl", asked | {"iterations": 10}, 0.01, "float32", start=sparse)


def clicks(sample_rate: int = SAMPLE_RATE) -> Recipe:
    """For short sounds that recur as they are, as of a machine: dictionary learning, best of four.

    Parameters
    ----------
    sample_rate
        In Hz: atoms last 30 ms at any rate.

    Examples
    --------
    >>> print(clicks(44_100).start)
    cdl (atom length 1323, padding 661, iterations 20, λ/λmax 0.2), best of 4
    >>> print(clicks())
    cdl (...), best of 4 → cdl (..., λ/λmax 0.1)

    References
    ----------
    Chapter: ``book/experiments/your_own_sound.md``.
    """
    length = max(2, round(0.03 * integer(sample_rate, "sample_rate")))
    asked = {"atom_length": length, "padding": length // 2, "iterations": 20}
    sparse = Recipe("cdl", asked, 0.2, "float32", starts=4)
    return Recipe("cdl", asked | {"tolerance": 1e-3}, 0.1, "float32", start=sparse)


RECIPES: dict[str, Callable[[int], Recipe]] = {
    "notes": notes,
    "chirps": chirps,
    "clicks": clicks,
}
