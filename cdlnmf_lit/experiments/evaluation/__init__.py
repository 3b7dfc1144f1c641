"""Yardsticks: how much of the truth a decomposition found.

A source is heard in one component or in several, which no method names. So components are first
given to sources, by their spectrograms, and summed; then the sums are measured in time. What the
giving alone achieves is measured too, on a truth whose pieces have been dealt out anew.

Chapter: ``book/experiments/evaluation.md``.
"""

from cdlnmf_lit.experiments.evaluation.costs import peak_bytes, timed
from cdlnmf_lit.experiments.evaluation.events import onset_f_measure, onsets
from cdlnmf_lit.experiments.evaluation.groups import (
    FRAME,
    LEAST_AGREEMENT,
    bands,
    grouped,
    grouping,
    matching,
    shuffled,
    sources_in,
    spectrogram_similarity,
)
from cdlnmf_lit.experiments.evaluation.notes import carried, notes_found
from cdlnmf_lit.experiments.evaluation.ratios import (
    FLOOR,
    LIMIT,
    BssEval,
    bss_eval,
    bss_eval_in_order,
    relative_residual,
    si_sdr,
)
from cdlnmf_lit.experiments.evaluation.scores import SHUFFLES, Scores, judge

__all__ = [
    "FLOOR",
    "FRAME",
    "LEAST_AGREEMENT",
    "LIMIT",
    "SHUFFLES",
    "BssEval",
    "Scores",
    "bands",
    "bss_eval",
    "bss_eval_in_order",
    "carried",
    "grouped",
    "grouping",
    "judge",
    "matching",
    "notes_found",
    "onset_f_measure",
    "onsets",
    "peak_bytes",
    "relative_residual",
    "shuffled",
    "si_sdr",
    "sources_in",
    "spectrogram_similarity",
    "timed",
]
