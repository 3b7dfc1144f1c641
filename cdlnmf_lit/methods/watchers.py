"""Watchers of a run: they see every stage and its states, and may end it.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from cdlnmf_lit.methods.method import Method, State, Watch


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


def saving(path: Path, seconds: float, **facts: Any) -> Watch:
    """A watcher that saves what is reached so often, whole or not at all, with facts of the run.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from cdlnmf_lit import NMF
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "reached.npz")
    ...     _ = NMF().decompose(np.sin(0.3 * np.arange(4000.0)), 1, watch=saving(path, 0))
    ...     path.exists()
    True
    """
    saved = time.monotonic()

    def watch(method: Method, states: Iterator[State]) -> Iterator[State]:
        nonlocal saved
        for state in states:
            yield state
            if time.monotonic() - saved >= seconds:
                path.parent.mkdir(parents=True, exist_ok=True)
                found = state.decomposition()
                replace(found, parameters=found.parameters | facts).save(path)
                saved = time.monotonic()

    return watch
