"""Trials: one method on one mixture from one seed, held to the true sources.

Chapter: ``book/experiments/sweeps.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cdlnmf_lit.experiments import evaluation
from cdlnmf_lit.experiments.evaluation import Scores
from cdlnmf_lit.experiments.signals import Measure, Mixture, Note
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.method import Method


@dataclass(frozen=True)
class Outcome:
    """What a trial gave and what it took.

    Parameters
    ----------
    scores
        The yardsticks.
    objective
        Of the last stage, at its end; each method has its own.
    iterations
        Of that stage.
    seconds
        Of all stages, by the wall clock.

    Examples
    --------
    See :func:`trial`.
    """

    scores: Scores
    objective: float
    iterations: int
    seconds: float


def trial(
    method: Method,
    mixture: Mixture,
    n_components: int,
    seed: int,
    *,
    notes: Sequence[Note] = (),
    measures: Sequence[Measure] = (),
    filter_length: int = 1,
) -> Outcome:
    """Run a method on a mixture's signal and hold what it finds to the stems.

    Parameters
    ----------
    method
        What to run, with all its stages.
    mixture
        Whose sources are known.
    n_components
        K.
    seed
        Of its start.
    notes, measures
        The score, where there is one: see :func:`~cdlnmf_lit.experiments.evaluation.notes.carried`.
    filter_length
        See :func:`~cdlnmf_lit.experiments.evaluation.ratios.bss_eval`: 512 takes seconds a trial.

    Raises
    ------
    ValueError, MemoryError
        What the method or the yardsticks refuse.

    Examples
    --------
    >>> from cdlnmf_lit.methods.nmf import NMF
    >>> from cdlnmf_lit.theory.gabor import hann
    >>> t = np.arange(16000) / 8000
    >>> tones = np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 990 * t)
    >>> stems = np.stack([tones[0] * (t < 1.2), tones[1] * (t > 0.5)])
    >>> mixture = Mixture(stems, 8000, ("low", "high"))
    >>> method = NMF(frame=hann(512, 256), iterations=50)
    >>> outcome = trial(method, mixture, 2, seed=0)
    >>> outcome.iterations, outcome.scores.min_si_sdr > 20
    (50, True)
    """
    run = partial(method.decompose, mixture.signal, n_components, rng=seed)
    found, seconds = evaluation.timed(run)
    return Outcome(
        scores=evaluation.judge(
            found, mixture, notes=notes, measures=measures, filter_length=filter_length
        ),
        objective=float(found.history["objective"][-1]),
        iterations=len(found.history["objective"]) - 1,
        seconds=seconds,
    )


def peak_of_trial(method: Method, mixture: Mixture, n_components: int, seed: int) -> int:
    """The most memory, in bytes, that a method holds at once on a mixture's signal.

    See :func:`~cdlnmf_lit.experiments.evaluation.costs.peak_bytes`.

    Examples
    --------
    >>> from cdlnmf_lit.methods.nmf import NMF
    >>> mixture = Mixture(np.sin(0.3 * np.arange(16000.0))[None], 8000, ("tone",))
    >>> peak_of_trial(NMF(iterations=1), mixture, 1, seed=0) > 8 * 16000
    True
    """
    return evaluation.peak_bytes(partial(method.decompose, mixture.signal, n_components, rng=seed))


def decomposition_of(
    method: Method, x: NDArray[np.floating], n_components: int, seed: int
) -> Decomposition:
    """What a method finds in a sound of which no truth is known.

    The same as ``method.decompose``, as a module's function, which alone can be swept.

    Examples
    --------
    >>> from cdlnmf_lit.experiments.sweeps import grid
    >>> from cdlnmf_lit.methods.nmf import NMF
    >>> x = np.sin(0.3 * np.arange(8000.0))
    >>> points = grid(method=[NMF(iterations=3)], x=[x], n_components=[1], seed=[0])
    >>> [decomposition_of(**point).status for point in points]
    ['ran all 3 iterations']
    """
    return method.decompose(x, n_components, rng=seed)


def without_score(point: Mapping[str, Any]) -> dict[str, Any]:
    """The point of a :func:`trial` as one of :func:`sources_apart`, which asks for no score.

    Examples
    --------
    >>> from cdlnmf_lit.experiments.paper import piano_trials
    >>> (point,) = piano_trials("KL-NMF", [3])
    >>> list(without_score(point))
    ['method', 'mixture', 'n_components', 'seed']
    """
    return {name: point[name] for name in signature(sources_apart).parameters}


def sources_apart(
    method: Method, mixture: Mixture, n_components: int, seed: int
) -> NDArray[np.float32]:
    """The sources as a method finds them: its components, grouped to the stems.

    Returns
    -------
    array (S, T), float32
        Silence for a source that no component agrees with.

    Examples
    --------
    >>> from cdlnmf_lit.methods.nmf import NMF
    >>> from cdlnmf_lit.theory.gabor import hann
    >>> t = np.arange(16000) / 8000
    >>> tones = np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 990 * t)
    >>> stems = np.stack([tones[0] * (t < 1.2), tones[1] * (t > 0.5)])
    >>> mixture = Mixture(stems, 8000, ("low", "high"))
    >>> method = NMF(frame=hann(512, 256), iterations=50)
    >>> sources_apart(method, mixture, 2, seed=0).shape
    (2, 16000)
    """
    components = method.decompose(mixture.signal, n_components, rng=seed).components()
    return evaluation.sources_in(components, mixture).astype(np.float32)
