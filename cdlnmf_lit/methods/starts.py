"""What a method starts from: arrays, which are checked, and the results of other methods.

Chapter: ``book/methods/nmf.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import methodcaller
from typing import Any

import numpy as np

from cdlnmf_lit.methods.decomposition import Decomposition, Run
from cdlnmf_lit.theory.arguments import Array, array
from cdlnmf_lit.theory.blocks import in_threads, placed, segment_energies
from cdlnmf_lit.theory.gabor import GaborFrame

LEAST = 1e-3
"""What patterns and activations from a sound have in place of zeros, relative to the largest."""


def checked_start(
    start: tuple[Any, ...],
    shapes: Mapping[str, tuple[int, ...]],
    dtype: Any,
    *,
    signed: tuple[str, ...] = (),
) -> Any:
    """The arrays of a start, copied in the precision wanted; None for activations to be found.

    ``shapes`` has their names and shapes in order. Those that ``signed`` names may be negative,
    and complex if ``dtype`` is; the others are real and not negative.

    Raises
    ------
    ValueError
        If there are more or fewer arrays, or one has another shape, is not finite or is negative.

    Examples
    --------
    >>> shapes = {"patterns": (1, 2), "activations": (1, 1)}
    >>> W, Z = checked_start(([[1.0, 2.0]], [[3.0]]), shapes, float)
    >>> Z
    array([[3.]])
    >>> checked_start(([[1.0, -2.0]],), {"patterns": (1, 2)}, float)
    Traceback (most recent call last):
        ...
    ValueError: start's patterns must not be negative, got -2.0
    """
    if len(start) != len(shapes):
        raise ValueError(f"start must hold {', '.join(shapes)}, got {len(start)} values")
    wide = np.issubdtype(dtype, np.complexfloating)
    found: list[Array | None] = []
    for value, (name, shape) in zip(start, shapes.items(), strict=True):
        if value is None and name == "activations":
            found.append(None)
            continue
        free = name in signed
        values = array(value, f"start's {name}", len(shape), allow_complex=wide and free)
        if values.shape != shape:
            raise ValueError(f"start's {name} must have shape {shape}, got {values.shape}")
        if not free and values.min() < 0:
            raise ValueError(f"start's {name} must not be negative, got {values.min()}")
        found.append(np.array(values, dtype if free else np.zeros(0, dtype).real.dtype, order="C"))
    return tuple(found)


def rounds(starts: int, iterations: int, halve_every: int) -> list[tuple[int, int]]:
    """How many starts run up to which iteration, where the worse half is given up so often.

    The last that is left runs to the end; without halving all do, in one round.

    Examples
    --------
    >>> rounds(8, iterations=50, halve_every=5)
    [(8, 5), (4, 10), (2, 15), (1, 50)]
    >>> rounds(8, iterations=50, halve_every=0)
    [(8, 50)]

    References
    ----------
    K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification and hyperparameter
    optimization", AISTATS 2016: successive halving.
    """
    found = [(starts, 0)]
    while halve_every and found[-1][0] > 1 and found[-1][1] + halve_every < iterations:
        n, done = found[-1]
        found[-1:] = [(n, done + halve_every), (-(-n // 2), done + halve_every)]
    return [*found[:-1], (found[-1][0], iterations)]


def best_of(
    runs: Iterator[Run],
    rounds: Sequence[tuple[int, int]],
    follow: Callable[[Run, int], Run],
    give_up: Callable[[Run], Any] = lambda run: None,
) -> Run:
    """The run of the lowest objective, where the better ones of each round are in the next.

    A run that is in no further round is handed to ``give_up``.

    Examples
    --------
    >>> from cdlnmf_lit import NMF
    >>> x = np.sin(0.3 * np.arange(4000.0))
    >>> runs = [Run(NMF().iterate(x, 1, rng=seed)) for seed in range(4)]
    >>> best_of(iter(runs), [(4, 2), (2, 5)], Run.to).status
    'ran all 5 iterations'
    """
    kept: list[Run] = []
    for (n, iterations), most in zip(rounds, [*(n for n, _ in rounds[1:]), 1], strict=True):
        kept = []
        for number, run in enumerate(runs, start=1):
            reached = follow(run, iterations)
            kept = sorted([*kept, reached], key=methodcaller("objective_at", iterations))
            if reached.is_stopped:
                status = f"stopped in start {number} of {n}; the best: {kept[0].status}"
                return replace(kept[0], status=status)
            for worse in kept[most:]:
                give_up(worse)
            del kept[most:]
        runs = _taken_out(kept)
    return kept[0]


def _taken_out(runs: list[Run]) -> Iterator[Run]:
    """One run after the other, of which the list then keeps nothing."""
    while runs:
        yield runs.pop(0)


def opened(factor: Array, share: float = 1e-6) -> Array:
    """A factor without zeros, which a multiplicative update would keep for ever.

    In their place stands a ``share`` of its largest number.

    Examples
    --------
    >>> opened(np.array([0.0, 2.0]), 0.1)
    array([0.2, 2. ])
    """
    return np.asarray(np.maximum(factor, share * factor.max()))


def loudness(x: Array, model: Array) -> Any:
    """The factor by which a model fits a signal best, in the precision of the model.

    Examples
    --------
    >>> print(loudness(np.array([2.0, 2.0]), np.array([1.0, 1.0])))
    2.0
    """
    smallest = np.finfo(model.dtype).tiny
    return model.dtype.type(float(model @ x) / max(float(model @ model), smallest))


def segments(x: Array, K: int, length: int, rng: np.random.Generator) -> Array:
    """Segments ``(K, length)`` of a signal, drawn by their energy, apart from each other.

    Examples
    --------
    >>> segments(np.array([0.0, 0.0, 3.0, 4.0, 0.0]), 1, 2, np.random.default_rng(1))
    array([[3., 4.]])
    """
    chances, found = segment_energies(x, length), np.empty((K, length), x.dtype)
    for k in range(K):
        total = chances.sum()
        begin = int(rng.choice(chances.size, p=chances / total if total > 0 else None))
        found[k] = x[begin : begin + length]
        chances[max(0, begin - length // 2) : begin + length // 2 + 1] = 0
    return found


def require_components(found: Decomposition, n_components: int) -> Decomposition:
    """The same result, refused if it has another number of components.

    Raises
    ------
    ValueError
        If it has.

    Examples
    --------
    >>> found = Decomposition("by hand", np.eye(1), np.ones((1, 4)), 1, 0, np.zeros(4))
    >>> require_components(found, 2)
    Traceback (most recent call last):
        ...
    ValueError: start must have 2 components, got 1
    """
    if found.n_components != n_components:
        raise ValueError(f"start must have {n_components} components, got {found.n_components}")
    return found


def activations_of(found: Decomposition, hop: int, first_sample: int, n_activations: int) -> Array:
    """A result's activations ``(K, N)``, moved to the nearest of the positions wanted.

    What falls outside is lost, and negative ones count as zero. Where they have to move they are
    :func:`opened`.

    Examples
    --------
    >>> found = Decomposition("by hand", np.eye(1), np.ones((1, 4)), 1, 0, np.zeros(4))
    >>> activations_of(found, hop=3, first_sample=0, n_activations=2)
    array([[2., 2.]])
    """
    samples = found.first_sample + found.hop * np.arange(found.activations.shape[1])
    positions = np.round((samples - first_sample) / hop).astype(int)
    inside = (positions >= 0) & (positions < n_activations)
    Z = np.zeros((found.n_components, n_activations), found.activations.dtype)
    for moved, z in zip(Z, found.activations, strict=True):
        np.add.at(moved, positions[inside], np.maximum(z[inside], 0))
    if (found.hop, found.first_sample) != (hop, first_sample):
        Z = opened(Z)
    return Z


def own_activations(
    found: Decomposition, n_samples: int, hop: int, first_sample: int, n_activations: int
) -> Array | None:
    """A result's activations as :func:`activations_of`, if they may stand there; else None.

    They may where they are of atoms, each on one of the positions wanted, and of a signal as long.
    Activations of spectra tell where a window begins, not where a sound does; and those of a
    shorter signal are silent where it ended.

    Examples
    --------
    >>> found = Decomposition("by hand", np.eye(1), np.ones((1, 4)), 2, 0, np.zeros(8))
    >>> own_activations(found, 8, 2, 0, 4), own_activations(found, 16, 2, 0, 8)
    (array([[1., 1., 1., 1.]]), None)
    """
    is_on_grid = found.hop % hop == 0 and (found.first_sample - first_sample) % hop == 0
    if found.atoms is None or not is_on_grid or found.residual.size < n_samples:
        return None
    return activations_of(found, hop, first_sample, n_activations)


def factors_of(
    found: Decomposition, frame: GaborFrame, n_samples: int, power: float, dtype: Any
) -> tuple[Array, Array]:
    """Spectra ``(K, F)`` and activations ``(K, N)`` of a result's components, to a power ``p``.

    Its own where it has them on the same frames; else, of each component's spectrogram, the
    margins: the product of rank one that is nearest in the Kullback-Leibler divergence. Components
    that do not last ``n_samples`` go on at their mean activation, longer ones are cut.

    Examples
    --------
    >>> found = Decomposition("by hand", np.eye(1), np.ones((1, 8)), 1, 0, np.zeros(8))
    >>> frame = GaborFrame(np.ones(2), hop=2)
    >>> W, Z = factors_of(found, frame, 8, 2.0, float)
    >>> np.allclose(Z.T @ W, frame.spectrogram(np.ones(8)), atol=1e-5)
    True

    References
    ----------
    Equations (7) and (8) of the paper.
    """
    own = own_factors(found, frame, n_samples, power, dtype)
    if own is not None:
        return own
    K, N, F = found.n_components, frame.n_frames(n_samples), frame.channels // 2 + 1
    W, Z = np.empty((K, F), dtype), np.empty((K, N), dtype)
    for k in range(K):
        W[k], Z[k] = _margins(placed(found.component(k), 0, n_samples), frame, power)
    return opened(W), opened(continued(Z, found.residual.size, frame))


def continued(activations: Array, n_samples: int, frame: GaborFrame) -> Array:
    """Activations at the mean of each component in frames that begin after ``n_samples``.

    Silence there would hardly ever be left.

    Examples
    --------
    >>> frame = GaborFrame(np.ones(2), hop=2)
    >>> continued(np.array([[3.0, 1.0, 0.0, 0.0]]), 4, frame)
    array([[3., 1., 2., 2.]])
    """
    begins = frame.first_sample + frame.hop * np.arange(activations.shape[1])
    known = begins < n_samples
    means = activations[:, known].mean(axis=1, keepdims=True)
    return np.where(known, activations, means).astype(activations.dtype)


def own_factors(
    found: Decomposition, frame: GaborFrame, n_samples: int, power: float, dtype: Any
) -> tuple[Array, Array] | None:
    """A result's own spectra and activations, to a power; None where it has none on these frames.

    Examples
    --------
    >>> found = Decomposition("by hand", np.eye(1), np.ones((1, 8)), 1, 0, np.zeros(8))
    >>> own_factors(found, GaborFrame(np.ones(2), hop=2), 8, 2.0, float)

    References
    ----------
    Equations (7) and (8) of the paper.
    """
    K, N, F = found.n_components, frame.n_frames(n_samples), frame.channels // 2 + 1
    if (
        found.spectra is None
        or (found.hop, found.first_sample) != (frame.hop, frame.first_sample)
        or (found.spectra.shape, found.activations.shape) != ((K, F), (K, N))
    ):
        return None
    exponent = power / found.parameters.get("power", 1)
    W, Z = ((each**exponent).astype(dtype) for each in (found.spectra, found.activations))
    return W, Z


def _margins(sound: Array, frame: GaborFrame, power: float) -> tuple[Array, Array]:
    """Sums of a spectrogram over its frames and over its channels, with its own sum in common."""
    rows_of = frame.lazy_half_analysis(sound)

    def sums(rows: slice) -> tuple[Array, Array]:
        V = np.abs(rows_of(rows)) ** power
        return V.sum(axis=0, dtype=float), V.sum(axis=1, dtype=float)

    spectrum, over_channels = np.zeros(frame.channels // 2 + 1), []
    for of_channels, of_frames in in_threads(sums, frame.blocks(sound.size)):
        spectrum += of_channels
        over_channels.append(of_frames)
    activations = np.concatenate(over_channels)
    scale = np.sqrt(spectrum.sum()) or 1.0
    return spectrum / scale, activations / scale
