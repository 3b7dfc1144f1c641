"""Watchers of a run: they see every stage and its states, and may end it.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cdlnmf_lit.methods.method import Method, State, Watch
from cdlnmf_lit.theory.arguments import non_negative


def all_of(*watchers: Watch) -> Watch:
    """Several watchers as one; the first is nearest to the method.

    Examples
    --------
    >>> import numpy as np
    >>> from cdlnmf_lit import NMF
    >>> seen, stop = [], threading.Event()
    >>> watch = all_of(reporting(lambda method, state: seen.append(state.iteration)), until(stop))
    >>> found = NMF(iterations=3).decompose(np.sin(0.3 * np.arange(4000.0)), 1, watch=watch)
    >>> seen
    [0, 1, 2, 3]
    """

    def watch(method: Method, states: Iterator[State]) -> Iterator[State]:
        for each in watchers:
            states = each(method, states)
        return states

    return watch


def reporting(report: Callable[[Method, State], Any]) -> Watch:
    """A watcher that hands every state to a function, as a progress bar wants it.

    Examples
    --------
    See :func:`all_of`.

    >>> watch = reporting(print)
    """

    def watch(method: Method, states: Iterator[State]) -> Iterator[State]:
        for state in states:
            report(method, state)
            yield state

    return watch


def until(stop: threading.Event) -> Watch:
    """A watcher that ends the run after the iteration in which it is asked to.

    Examples
    --------
    >>> import numpy as np
    >>> from cdlnmf_lit import NMF
    >>> stop = threading.Event()
    >>> stop.set()
    >>> found = NMF().decompose(np.sin(0.3 * np.arange(4000.0)), 1, watch=until(stop))
    >>> found.is_stopped
    True
    """

    def watch(method: Method, states: Iterator[State]) -> Iterator[State]:
        for state in states:
            yield state
            if stop.is_set():
                return

    return watch


def until_certified(share: float) -> Watch:
    """A watcher that ends a run once no dictionary can be better by more than a share.

    The bound is computed once a stage, from its signal. Stages that have no atoms or no penalty run
    as they are.

    Examples
    --------
    >>> import numpy as np
    >>> from cdlnmf_lit import CDL
    >>> x = np.sin(0.3 * np.arange(200.0)) * np.hanning(200)
    >>> found = CDL(atom_length=32, share=0.5).decompose(x, 1, watch=until_certified(0.2))
    >>> found.is_stopped, found.certificate().ratio < 1.2
    (True, True)
    """
    enough = 1 + non_negative(share, "share")

    def watch(method: Method, states: Iterator[State]) -> Iterator[State]:
        bound = None
        for state in states:
            yield state
            if bound is None:
                found = state.decomposition()
                can_be_certified = found.atoms is not None and found.parameters.get("penalty")
                bound = found.certificate().bound if can_be_certified else -np.inf
            if state.objective <= enough * bound:
                return

    return watch
