"""Sparse coding of events that are apart from each other: each joins at its place, at once.

Chapter: ``book/experiments/learn_once.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from cdlnmf_lit.methods import sparse_coding
from cdlnmf_lit.methods.grid import OnGrid
from cdlnmf_lit.theory.arguments import Array
from cdlnmf_lit.theory.blocks import placed

REST = 0.25
"""Activations that would still join, as a share of those that are in: with more, events overlap."""


@dataclass(frozen=True, eq=False)
class Joining(OnGrid):
    r"""Sparse coding by an active set that all events of a signal enter together.

    The slope of the objective in an activation that is zero is ``λ - c``, or ``λ - |c|`` where
    activations may be negative. In each atom's length of the signal the activation of the steepest
    descent joins those that are in,

    .. math:: (k, n) = \arg\max_{z_k[n] = 0} c_k[n] > λ, \qquad c_k = (x - Σ_j d_j ∗ z_j) ⋆ d_k,

    and those in that touch each other go to their best together: see :func:`.within_signs`. Events
    that are apart take one such step, and a few a second one. A step after which too many touch
    each other, or would still join, is not taken: descent goes on from before it, as on any grid,
    one activation after the other.

    Examples
    --------
    >>> x = np.array([0.0, 3.0, 1.0, 0.0, 5.0, 0.0])
    >>> problem = Joining(2, 1.0, signed=False, x=x, positions=5)
    >>> start = problem.state(0, np.array([[1.0, 0.0]]), np.zeros((1, 5)))
    >>> next(problem.greedy(start)).activations
    array([[0., 2., 0., 0., 4.]])

    References
    ----------
    Equation (2) of the paper, by the active set of Lawson and Hanson's *Solving least squares
    problems*.
    """

    def greedy(self, state: sparse_coding.State) -> Iterator[sparse_coding.State]:
        """All iterates after one; a trace of what joins makes it one of those that are settled."""
        trace = np.finfo(state.activations.dtype).tiny
        signs = self.joining(state)
        while signs.any():
            z = state.activations + trace * signs
            joined = self.settled(replace(state, activations=z))
            crowded = np.any(np.abs(joined.activations) == trace)
            if crowded or np.array_equal(joined.activations, state.activations):
                break
            signs = self.joining(joined)
            most = max(1, REST * np.count_nonzero(joined.activations))
            if np.count_nonzero(signs) > most:
                break
            state = replace(joined, iteration=state.iteration + 1)
            yield state
        yield from super().greedy(state)

    def joining(self, state: sparse_coding.State) -> Array:
        """The signs ``(K, N)`` of the activations that join: in each atom's length one at the most.

        Examples
        --------
        >>> x = np.array([0.0, 3.0, 1.0, 0.0, -5.0, 0.0])
        >>> problem = Joining(2, 1.0, signed=True, x=x, positions=5)
        >>> problem.joining(problem.state(0, np.array([[1.0, 0.0]]), np.zeros((1, 5))))
        array([[ 0.,  1.,  0.,  0., -1.]])
        """
        c, width = state.correlation, -(-self.atom_length // self.hop)
        slopes = np.where(state.activations == 0, np.abs(c) if self.signed else c, 0) - self.penalty
        k = slopes.argmax(axis=0)
        steepest = np.take_along_axis(slopes, k[None], axis=0)[0]
        lengths = placed(steepest, 0, -(-steepest.size // width) * width).reshape(-1, width)
        n = lengths.argmax(axis=1) + width * np.arange(len(lengths))
        n = n[lengths.max(axis=1) > self.rounding]
        signs = np.zeros_like(c)
        signs[k[n], n] = np.sign(c[k[n], n])
        return signs
