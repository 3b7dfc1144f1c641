"""Scores: all yardsticks together, of a decomposition whose sources are known.

Chapter: ``book/experiments/evaluation.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cdlnmf_lit.experiments.evaluation.events import onset_f_measure, source_onsets
from cdlnmf_lit.experiments.evaluation.groups import (
    Magnitudes,
    Owners,
    bands,
    cosines,
    grouped,
    magnitudes,
    most_similar,
    shuffled,
)
from cdlnmf_lit.experiments.evaluation.notes import notes_found
from cdlnmf_lit.experiments.evaluation.ratios import (
    as_floats,
    bss_eval_in_order,
    floored,
    relative_residual,
    require_audible,
    si_sdr,
    si_sdr_of_products,
)
from cdlnmf_lit.experiments.signals import Measure, Mixture, Note, Seed, Signal
from cdlnmf_lit.methods.decomposition import Decomposition

SHUFFLES = 3
"""How many deals the control of :func:`judge` is the mean of."""


@dataclass(frozen=True)
class Scores:
    """A decomposition held to its mixture: one number a source, and numbers for the whole.

    Parameters
    ----------
    names
        The sources.
    owners
        The source of each component, by :func:`.grouping`; -1 is none, or the noise.
    si_sdr, sdr, sir, sar
        dB, of the grouped components; not below -30.
    mean_si_sdr, min_si_sdr
        Over the sources.
    shuffled_si_sdr
        The control: the mean over the sources of three :func:`.shuffled` truths, to which the same
        components were grouped in the same way; nan for a single source.
    bands_si_sdr
        The mean over the sources for as many :func:`.bands` of the mixture, grouped likewise.
    similarity
        Of the grouped components' spectrograms.
    onset_f
        F-measure of their onsets; nan for a source with no known events.
    relative_residual
        What all components leave of the mixture.
    notes
        Those carried by some component; None if no score was given.

    Examples
    --------
    See :func:`judge`.
    """

    names: tuple[str, ...]
    owners: tuple[int, ...]
    si_sdr: tuple[float, ...]
    mean_si_sdr: float
    min_si_sdr: float
    shuffled_si_sdr: float
    bands_si_sdr: float
    sdr: tuple[float, ...]
    sir: tuple[float, ...]
    sar: tuple[float, ...]
    similarity: tuple[float, ...]
    onset_f: tuple[float, ...]
    relative_residual: float
    notes: tuple[str, ...] | None = None


def judge(
    decomposition: Decomposition,
    mixture: Mixture,
    *,
    notes: Sequence[Note] = (),
    measures: Sequence[Measure] = (),
    filter_length: int = 512,
    rng: Seed = 0,
) -> Scores:
    """Hold a decomposition to all yardsticks.

    The components are grouped to the stems, the noise among them: what agrees the most with the
    noise belongs to no source.

    Parameters
    ----------
    decomposition
        Of the mixture's signal.
    mixture
        Whose sources are known.
    notes, measures
        The score, where there is one: see :func:`.carried`.
    filter_length
        See :func:`.bss_eval`.
    rng
        Seed of the control.

    Returns
    -------
    Scores

    Raises
    ------
    ValueError
        If the lengths differ or a source is silent.

    Examples
    --------
    >>> t = np.arange(8000) / 8000
    >>> stems = np.stack([np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 1000 * t)])
    >>> mixture = Mixture(stems, 8000, ("a", "b"))
    >>> found = Decomposition(
    ...     "by hand", None, np.ones((2, 1)), 1, 0, np.zeros(8000), spectra=np.ones((2, 1)),
    ...     sounds=stems[::-1],
    ... )
    >>> scores = judge(found, mixture, filter_length=1)
    >>> scores.owners, scores.mean_si_sdr, scores.relative_residual
    ((1, 0), 100.0, 0.0)
    """
    sources, sample_rate, x = mixture.sources, mixture.sample_rate, mixture.signal
    if decomposition.residual.shape != x.shape:
        raise ValueError(
            f"decomposition must be of the mixture's {x.size} samples, "
            f"got {decomposition.residual.size}"
        )
    require_audible(sources, "mixture.sources")
    components = np.asarray(decomposition.components(), dtype=float)
    noise, true = _noise(mixture), magnitudes(sources)
    heard_in = magnitudes(components)
    owners = _owners(true, noise, heard_in)
    estimates = grouped(components, owners, len(sources))
    ratios = floored(si_sdr(estimates, sources))
    bss = bss_eval_in_order(estimates, sources, filter_length)
    control = float("nan")
    if len(sources) > 1:
        products = components @ components.T
        deals = [shuffled(mixture, each) for each in np.random.default_rng(rng).spawn(SHUFFLES)]
        dealt = [
            _ratios(_owners(magnitudes(deal), noise, heard_in), components, products, deal)
            for deal in deals
        ]
        control = float(np.concatenate(dealt).mean())
    return Scores(
        names=tuple(mixture.names[s] for s in mixture.source_numbers),
        owners=tuple(owners.tolist()),
        si_sdr=as_floats(ratios),
        mean_si_sdr=float(ratios.mean()),
        min_si_sdr=float(ratios.min()),
        shuffled_si_sdr=control,
        bands_si_sdr=_bands_si_sdr(mixture, len(components)),
        sdr=as_floats(floored(bss.sdr)),
        sir=as_floats(floored(bss.sir)),
        sar=as_floats(floored(bss.sar)),
        similarity=as_floats(np.diagonal(cosines(magnitudes(estimates), true))),
        onset_f=tuple(
            onset_f_measure(estimate, sample_rate, events) if events else float("nan")
            for estimate, events in zip(estimates, source_onsets(mixture), strict=True)
        ),
        relative_residual=relative_residual(x - components.sum(axis=0), x),
        notes=notes_found(components, sample_rate, notes, measures) if notes else None,
    )


def _noise(mixture: Mixture) -> Magnitudes:
    return magnitudes(np.delete(mixture.stems, mixture.source_numbers, axis=0))


def _owners(sources: Magnitudes, noise: Magnitudes, components: Magnitudes) -> Owners:
    """The owner of each component, -1 if it is the noise."""
    owners = most_similar(cosines(components, np.concatenate([sources, noise])))
    owners[owners >= len(sources)] = -1
    return owners


def _ratios(owners: Owners, components: Signal, products: Signal, sources: Signal) -> Signal:
    """Floored SI-SDR of the components, grouped, to each source that is heard.

    From inner products alone (those of the components are given), so that no sum is formed.
    """
    owned = np.asarray(owners == np.arange(len(sources))[:, None], dtype=float)
    energies = np.sum((owned @ products) * owned, axis=1)
    common = np.sum(owned * (sources @ components.T), axis=1)
    sizes = np.einsum("st,st->s", sources, sources)
    heard = sizes > 0
    return floored(si_sdr_of_products(common[heard], energies[heard], sizes[heard]))


@lru_cache(maxsize=10)
def _bands_si_sdr(mixture: Mixture, n_bands: int) -> float:
    """The mean over the sources, once for all decompositions of a mixture into as many."""
    filters, sources = bands(mixture.signal, n_bands), mixture.sources
    owners = _owners(magnitudes(sources), _noise(mixture), magnitudes(filters))
    return float(_ratios(owners, filters, filters @ filters.T, sources).mean())
