"""What some methods share: a frame, a penalty, what they refuse.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from cdlnmf_lit.methods.method import HELD, Method
from cdlnmf_lit.methods.options import option, optional
from cdlnmf_lit.methods.starts import checked_start
from cdlnmf_lit.theory.arguments import Array, choice, non_negative
from cdlnmf_lit.theory.blocks import in_threads
from cdlnmf_lit.theory.gabor import GaborFrame


def _frame(value: Any, name: str) -> GaborFrame:
    if not isinstance(value, GaborFrame):
        raise ValueError(f"{name} must be a GaborFrame, got {value!r}")
    return value


@dataclass(frozen=True, kw_only=True, repr=False)
class OnFrames(Method):
    """A method on the coefficients of a Gabor frame.

    Examples
    --------
    >>> from cdlnmf_lit import NMF
    >>> NMF().frame
    GaborFrame('hann', 1024, 2048).tight()
    """

    frame: GaborFrame = field(metadata={"words": "The Gabor frame.", "rule": _frame})

    def shape(self, n_samples: int) -> tuple[int, int]:
        """Frames ``N`` and channels ``F = M // 2 + 1`` of a real signal."""
        return self.frame.n_frames(n_samples), self.frame.channels // 2 + 1

    def most_components(self, n_samples: int) -> int:
        return min(self.shape(n_samples))

    def shapes(self, n_samples: int, K: int) -> dict[str, tuple[int, ...]]:
        return self.shapes_of(K, *self.shape(n_samples))

    def shapes_of(self, K: int, N: int, F: int) -> dict[str, tuple[int, ...]]:
        """Of ``patterns`` and ``activations``, for coefficients ``(N, F)``."""
        return {"patterns": (K, F), "activations": (K, N)}

    def states_of(
        self, problem: Any, shapes: Mapping[str, tuple[int, ...]], dtype: Any, start: Any, rng: Any
    ) -> Iterator[Any]:
        """All iterates of a problem that is no signal's, but a matrix's."""
        if problem.held is not None:
            choice(problem.held, "held", HELD)
        begin = self.start if start is None else start
        if isinstance(begin, tuple):
            begin = checked_start(begin, shapes, dtype, signed=self.SIGNED)
        else:
            choice(begin, "start", self.STARTS)
        K = shapes["activations"][0]
        return problem.states(problem.begin(K, begin, np.random.default_rng(rng)))

    def bytes_waiting(self, n_samples: int, K: int, dtype: np.dtype) -> int:
        """The coefficients too, which the starts share."""
        N, F = self.shape(n_samples)
        return 2 * N * F * dtype.itemsize + super().bytes_waiting(n_samples, K, dtype)

    def require_tight(self, n_samples: int) -> None:
        """Refuse a frame whose components would not sum to the signal."""
        lower, upper = self.frame.bounds(n_samples)
        if abs(lower - 1) > 1e-6 or abs(upper - 1) > 1e-6:
            raise ValueError(
                f"frame must be tight with bounds 1, got {lower:.4g} and {upper:.4g}: "
                "use frame.tight()"
            )

    def require_contraction(self, n_samples: int) -> None:
        """Refuse a frame in which a unit step could raise the objective."""
        upper = self.frame.bounds(n_samples)[1]
        if upper > 1 + 1e-6:
            raise ValueError(f"frame must have ‖Φ‖² ≤ 1, got {upper:.4g}: use frame.tight()")

    def require_time_invariance(self) -> None:
        """Refuse a frame that counts its phase from the signal's first sample."""
        if self.frame.phase != "time-invariant":
            raise ValueError(f"frame must count its phase time-invariant, got {self.frame.phase!r}")


@dataclass(frozen=True, kw_only=True, repr=False)
class Sparse(Method):
    """A method whose objective has a penalty ``λ`` on the activations.

    Raises
    ------
    ValueError
        If both the penalty and its share are given.

    Examples
    --------
    >>> from cdlnmf_lit import CDL
    >>> CDL(atom_length=2, share=0.5).resolved(np.array([0.0, 3.0, 4.0, 0.0])).penalty
    2.5

    References
    ----------
    Equation (2) of the paper.
    """

    penalty: float | None = option(
        None, "``λ``, in the paper's units; None takes the share.", optional(non_negative)
    )
    share: float | None = option(
        None,
        "``λ`` as a share of ``lambda_max``, the largest that any patterns of norm 1 could need.",
        optional(non_negative),
    )

    USUAL_SHARE: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.penalty is not None and self.share is not None:
            raise ValueError(
                f"share must be None where a penalty is given, {self.penalty}, got {self.share}"
            )

    def lambda_max(self, x: Array) -> float:
        """The smallest penalty with which no patterns of norm 1 are used at all."""
        raise NotImplementedError

    def resolved(self, x: Array) -> Self:
        if self.penalty is not None:
            return self
        share = self.USUAL_SHARE if self.share is None else self.share
        penalty = share * self.lambda_max(x) if share else 0.0
        return replace(self, penalty=penalty, share=None)


def on(frame: GaborFrame) -> Any:
    """The option ``frame`` of a method, with its default.

    Examples
    --------
    >>> from cdlnmf_lit.theory.gabor import hann
    >>> on(hann(64, 16)).default
    GaborFrame('hann', 16, 64).tight()
    """
    return option(frame, "The Gabor frame.", _frame)


def largest_norm(rows_of: Callable[[slice], Array], blocks: list[slice]) -> float:
    """The largest norm of a row of an array, from the function that gives a block of its rows.

    Examples
    --------
    >>> largest_norm(np.array([[3.0, 4.0], [1.0, 0.0]]).__getitem__, [slice(0, 1), slice(1, 2)])
    5.0
    """

    def largest(rows: slice) -> float:
        return float(np.linalg.norm(rows_of(rows), axis=1).max())

    return max(in_threads(largest, blocks))


def spectra_and_sounds(
    frame: GaborFrame, spectra: Array, sounds: Array, residual: Array
) -> dict[str, Any]:
    """What a ``Decomposition`` holds of components that have spectra, beside their activations.

    Examples
    --------
    >>> from cdlnmf_lit.theory.gabor import hann
    >>> parts = spectra_and_sounds(hann(32, 8), np.ones((1, 17)), np.ones((1, 50)), np.zeros(50))
    >>> parts["hop"], parts["first_sample"]
    (8, -24)
    """
    return {
        "atoms": None,
        "spectra": spectra,
        "sounds": sounds,
        "residual": residual,
        "hop": frame.hop,
        "first_sample": frame.first_sample,
    }


def require_sound(x: Array) -> None:
    """Refuse a signal that is silent throughout.

    Examples
    --------
    >>> require_sound(np.zeros(3))
    Traceback (most recent call last):
        ...
    ValueError: x must not be silent, got 0.0 at every sample
    """
    if not x.any():
        raise ValueError("x must not be silent, got 0.0 at every sample")


def require_change(x: Array) -> None:
    """Refuse a signal that is the same at every sample.

    Examples
    --------
    >>> require_change(np.ones(3))
    Traceback (most recent call last):
        ...
    ValueError: x must not be constant, got 1.0 at every sample
    """
    if np.ptp(x) == 0:
        raise ValueError(f"x must not be constant, got {x[0]} at every sample")


def require_length(n_samples: int, atom_length: int) -> None:
    """Refuse a signal that is shorter than an atom.

    Examples
    --------
    >>> require_length(7, 8)
    Traceback (most recent call last):
        ...
    ValueError: x must be at least as long as an atom, 8 samples, got 7
    """
    if n_samples < atom_length:
        raise ValueError(
            f"x must be at least as long as an atom, {atom_length} samples, got {n_samples}"
        )
