r"""Activations of patterns that are held, within a certified gap of the best there are.

Where the patterns stay, what is left to find is often convex: then a feasible point of the dual
problem bounds the best objective from below, and the iterations end once the two are near. Each
method says whether it is of that kind, :attr:`.Method.usual_gap`, and what finds the activations,
:meth:`.Method.applied`: a signal and its atoms (CDL, Algorithm 1), rows of coefficients and their
spectra by least squares (semi-NMF, Euclidean NMF), a spectrogram and its spectra by the
Kullback-Leibler divergence, and both with patterns of several spectra (convolutive NMF). Frames
that do not know of each other end each by itself, so that what is found in one does not depend on
the others.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from cdlnmf_lit.methods.decomposition import Decomposition, Run
from cdlnmf_lit.methods.duality import MOST
from cdlnmf_lit.methods.families import Sparse
from cdlnmf_lit.methods.method import Method, Watch
from cdlnmf_lit.methods.options import positive
from cdlnmf_lit.theory.arguments import Array


@dataclass(frozen=True, eq=False)
class Application:
    """Patterns and what is to be found of them: a function of a signal.

    Parameters
    ----------
    found : Decomposition
        Whose patterns they are.
    method : Method
        That made them, alone.
    patterns : array (K, …)
        As the method's start has them.
    gap : float or None
        Relative, to end within; None where that cannot be known.

    Examples
    --------
    >>> from cdlnmf_lit import CDL
    >>> x = np.array([0.0, 3.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    >>> learnt = CDL(atom_length=2, penalty=1.0, iterations=2).decompose(x, 1)
    >>> application(learnt)(x).status
    'certified after 1 iterations: at most 0 above the best objective'
    """

    found: Decomposition
    method: Method
    patterns: Array
    gap: float | None

    def __call__(self, y: Array, *, rng: Any = 0, watch: Watch | None = None) -> Decomposition:
        """The decomposition of a signal with these patterns."""
        y, _ = self.method.checked(y, len(self.patterns), (self.patterns, None), "patterns")
        method = self.method.resolved(y)
        W, _ = method.arrays_of((self.patterns, None), y.size, len(self.patterns), y.dtype)
        K, held = len(W), "patterns"
        if self.gap is None and not method.IS_FRAMEWISE:
            found = method.decompose(y, K, start=(W, None), held=held, rng=rng, watch=watch)
        else:
            about = {"n_components": K, "held": held, "start": "tuple"}
            states = method.applied(y, W, self.found, self.gap, held=held, about=about)
            if self.gap is None:
                found = _followed(method, states, method.iterations, watch).decomposition()
            else:
                states = states if method.IS_FRAMEWISE else _until(states, self.gap)
                run = _followed(method, states, MOST, watch)
                found = replace(run.decomposition(), status=_said(run, self.gap))
        return replace(found, sample_rate=self.found.sample_rate, **self._as_they_were(found))

    def _as_they_were(self, found: Decomposition) -> dict[str, Any]:
        """The atoms or spectra to the bit, though a method may think of them in other terms."""
        kept = {"atoms": self.found.atoms, "spectra": self.found.spectra}
        return {
            name: each
            for name, each in kept.items()
            if each is not None and each.dtype == found.residual.dtype
        }


def application(
    found: Decomposition, *, share: float | None = None, gap: float | None = None
) -> Application:
    """What finds the patterns of a result in other signals.

    Parameters
    ----------
    found : Decomposition
    share : float, optional
        ``λ`` as a share of the ``lambda_max`` of each signal. Default: the penalty of the result.
    gap : float, optional
        Relative, to end within. Default: :attr:`.Method.usual_gap`.

    Raises
    ------
    ValueError
        If the parameters do not tell what made the result, its patterns are silent, or a share or
        a gap is asked for where there is none.

    Examples
    --------
    See :class:`Application`.

    >>> application(Decomposition("by hand", np.eye(1), np.ones((1, 4)), 1, 0, np.zeros(4)))
    Traceback (most recent call last):
        ...
    ValueError: method must be one of ..., got 'by hand'
    """
    method = Method.from_parameters(found.parameters | {"method": found.method})
    W = method.patterns_of(found)
    if not np.any(W):
        raise ValueError("found must have patterns that sound, got silence in all of them")
    if share is not None:
        if not isinstance(method, Sparse):
            raise ValueError(f"share must be None for {method.name}, got {share!r}")
        method = replace(method, penalty=None, share=share)
    usual = method.usual_gap
    if gap is not None:
        if usual is None:
            raise ValueError(f"gap must be None for {method}, which has no bound, got {gap!r}")
        gap = positive(gap, "gap")
    return Application(found, method, W, usual if gap is None else gap)


def _followed(method: Method, states: Iterator[Any], iterations: int, watch: Watch | None) -> Run:
    if watch is None:
        return Run(states).to(iterations)
    stage = replace(method, start=method.STARTS[0], starts=1, halve_every=0)
    watched: Any = partial(watch, stage)
    return Run(states).to(iterations, 0.0, watched)


def _until(states: Iterator[Any], gap: float) -> Iterator[Any]:
    """States up to the first one within the gap."""
    for state in states:
        yield state
        if state.record["coding_gap"] <= gap:
            return


def _said(run: Run, gap: float) -> str:
    last: Any = run.state
    reached = run.records[-1]["coding_gap"]
    told = f"at most {reached:.2g} above the best objective"
    if reached <= gap:
        return f"certified after {last.iteration} iterations: {told}"
    if last.iteration >= MOST:
        return f"ran all {last.iteration} iterations: {told}"
    return f"{run.status.split(':')[0]}: {told}"
