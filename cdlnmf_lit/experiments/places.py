"""Places: when a method says that a sound begins, held to when it does.

Chapter: ``book/experiments/chirps.md``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cdlnmf_lit.experiments import evaluation
from cdlnmf_lit.experiments.signals import Mixture
from cdlnmf_lit.methods.decomposition import Decomposition


def loudest_peaks(z: NDArray[np.floating], count: int, apart: int) -> NDArray[np.intp]:
    """Where the highest values of a row of activations are, no two nearer than ``apart``.

    Examples
    --------
    >>> loudest_peaks(np.array([0.0, 3.0, 2.0, 0.0, 1.0]), 2, apart=2)
    array([1, 4])
    """
    z, peaks = np.array(z, dtype=float), []
    for _ in range(count):
        peak = int(np.argmax(z))
        peaks.append(peak)
        z[max(0, peak - apart + 1) : peak + apart] = -np.inf
    return np.sort(peaks)


def errors_of_place(found: Decomposition, mixture: Mixture, *, apart: float = 1.0) -> list[float]:
    """How wrong the times between a source's occurrences are, as the activations have them.

    Only times *between* occurrences tell: where in its atom or window a sound lies is free. Of the
    components that a source has it is the most active one, at its highest peaks.

    Parameters
    ----------
    found
        Of a mixture whose events are known.
    mixture
        Each of its sources occurs twice or more.
    apart : float
        In seconds: two occurrences are no nearer.

    Returns
    -------
    list of float
        In seconds, one a pair of neighbours; nothing of a source that no component has.

    Examples
    --------
    >>> from cdlnmf_lit.experiments.paper import CHIRPS
    >>> from cdlnmf_lit.experiments.signals import chirps
    >>> mixture = chirps(rng=0)
    >>> errors = errors_of_place(CHIRPS["KL-NMF"].method.decompose(mixture.signal, 2), mixture)
    >>> len(errors), max(errors) < 1.25
    (4, True)
    """
    owners = evaluation.grouping(found.components(), mixture.stems)
    step, errors = found.hop / mixture.sample_rate, list[float]()
    for source in range(len(mixture.sources)):
        rows = found.activations[owners == source]
        if len(rows):
            onsets = _onsets(mixture, source)
            z = rows[np.argmax(rows.sum(axis=1))]
            peaks = loudest_peaks(z, len(onsets), round(apart / step) or 1)
            errors += np.abs(np.diff(peaks * step) - np.diff(onsets)).tolist()
    return errors


def _onsets(mixture: Mixture, source: int) -> Sequence[float]:
    return sorted(event.onset for event in mixture.events if event.stem == source)
