"""Verdicts: each sentence of the paper, and of this book, held to what was measured.

All from the rows that are kept; nothing is computed here but counts. Pages, the README among them,
take their words from here: ``make verdicts`` writes them between two marks.

Chapter: ``book/experiments/claims.md``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cdlnmf_lit.experiments import paper
from cdlnmf_lit.experiments.measured import Measured, measured
from cdlnmf_lit.experiments.scan import RANKED, Row

THRESHOLDS = {
    "typical": 0.8,
    "three notes": 3.0,
    "all notes": 4.0,
    "chirps": 20.0,
    "as good": 5.0,
    "robust": 2.0,
    "worse fit": 0.1,
    "huge": 10.0,
    "memory": 16.0,
}
"""The share of signals or starts; notes found; dB of the worse chirp (two fixed filters reach 19);
dB within which two methods are alike; dB that more overlap may bring to what is robust without;
what a compromised fit adds to the relative residual; times the cost of another; GB."""

SYMBOLS = {"typical": "✔", "reached": "◐", "not reached": "✘", "not judged": "○"}
COUNTED = re.compile(r".*?\b[1-9]\d* of \d[^;]*")
"""A number up to the first count above zero, to the end of its clause."""
MARKED = re.compile(r"(<!-- verdict (?P<name>[\w-]+) -->).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Verdict:
    """A sentence and what came of it.

    Parameters
    ----------
    name
        By which pages ask for it.
    where
        It stands.
    says
        The sentence, and in bold what is judged of it.
    number
        What was measured, with its spread.
    word
        ``typical``, ``reached``, ``not reached``, or ``not judged``.
    page
        Where it is shown, as a link.
    corrected
        What this book says instead, or adds.

    Examples
    --------
    >>> one = Verdict("sure", "Section 4", "It rains", "9 of 10 days", "typical", "[Rain](#rain)")
    >>> one.told
    '✔ typical: 9 of 10 days'
    >>> Verdict("so", "", "It **rains** [here], [1].", "0 of 9; 1 of 5; 3 mm", "", "").shown
    '0 of 9; 1 of 5'
    """

    name: str
    where: str
    says: str
    number: str
    word: str
    page: str
    corrected: str = ""

    @property
    def sentence(self) -> str:
        """As the paper has it: without bold, and without the words that this book puts in."""
        return re.sub(r" \[\D[^]]*\]", "", self.says.replace("**", ""))

    @property
    def shown(self) -> str:
        """So much of the number that it shows why: up to the first count above zero, if any."""
        found = COUNTED.match(self.number)
        return found[0] if found else self.number

    @property
    def told(self) -> str:
        """Symbol, word and number."""
        return f"{SYMBOLS[self.word]} {self.word}: {self.number}"


def class_of(judged: Iterable[bool], anywhere: Iterable[bool] = ()) -> str:
    """The class of a sentence: whether what it says happens, by signals or by starts.

    ``typical``: in at least 80 % of those that judge. ``reached``: in one of them, or in any run of
    any setting. ``not reached``: in none. ``not judged``: nothing was run.

    Parameters
    ----------
    judged
        One truth value a signal or start, at the setting that others chose.
    anywhere
        Of all that was run besides.

    Examples
    --------
    >>> class_of([True] * 8 + [False] * 2), class_of([False] * 9, [True]), class_of([False])
    ('typical', 'reached', 'not reached')
    """
    judged, anywhere = list(judged), list(anywhere)
    if not judged:
        return "not judged"
    if np.mean(judged) >= THRESHOLDS["typical"]:
        return "typical"
    return "reached" if any(judged) or any(anywhere) else "not reached"


def spread(values: Sequence[float], form: str = ".1f") -> str:
    """Median, and from the least to the most.

    Examples
    --------
    >>> spread([1.0, 2.0, 4.0])
    '2.0 (1.0 to 4.0)'
    """
    number = format(np.median(values), form)
    return f"{number} ({format(min(values), form)} to {format(max(values), form)})"


def times(happened: Iterable[bool], of: str) -> str:
    """How often something happened.

    Examples
    --------
    >>> times([True, False, True], "pianos")
    '2 of 3 pianos'
    """
    happened = list(happened)
    return f"{sum(happened)} of {len(happened)} {of}"


# ---- sentences about one run -------------------------------------------------------------------


def _of_notes(m: Measured, method: str, wanted: float) -> tuple[str, str]:
    """Number and word of a sentence that a method finds so many notes, of the paper's figure."""
    recorded = [row.found >= wanted for row in m.all_of("recording", method)]
    pianos = [row.found >= wanted for row in m.judged("piano", method)]
    everywhere = [row.found >= wanted for row in m.all_of("piano", method)]
    other = [len(notes) >= wanted for notes in _other_ways(m, method)]
    number = [times(recorded, "starts on the recording")] if recorded else []
    number += [times(pianos, "pianos"), times(everywhere + other, "runs of any setting")]
    return "; ".join(number), class_of(recorded or pianos, pianos + everywhere + other)


def _other_ways(m: Measured, method: str) -> list[Any]:
    """The notes of *Algorithm 1* from segments too, which the scan has not."""
    ways = m.kept.get("piano_ways", {}) if method == "Algorithm 1" else {}
    return [notes for way in ways for notes in m.sweep("piano_ways", way, "notes")]


def _of_chirps(m: Measured, method: str, happens: Callable[[float], bool]) -> tuple[str, str]:
    """Number and word of a sentence about the worse chirp of a method."""
    values = [row.found for row in m.judged("chirps", method)]
    anywhere = [happens(row.found) for row in m.all_of("chirps", method)]
    if not values:
        return "", class_of([])
    number = f"worse chirp {spread(values)} dB; {times(map(happens, values), 'signals')}"
    number += f"; {times(anywhere, 'runs of any setting')}"
    return number, class_of(map(happens, values), anywhere)


def _found(dB: float) -> bool:
    return dB >= THRESHOLDS["chirps"]


def _not_found(dB: float) -> bool:
    return not _found(dB)


# ---- sentences about two runs ------------------------------------------------------------------


def _pairs(m: Measured, signal: str, one: str, other: str) -> list[tuple[Row, Row]]:
    """The runs of two methods on the same signals, or on one signal and another frame of it."""
    ones = {row.seed: row for row in m.judged(signal, one)}
    others = {row.seed: row for row in m.judged(signal, other)}
    return [(ones[seed], others[seed]) for seed in sorted(ones.keys() & others.keys())]


def _frames(m: Measured, signal: str, name: str, method: str) -> list[tuple[Row, Row]]:
    """The runs of a method at its usual frame and at another, from the same start."""
    others = {(row.setting, row.K, row.seed, row.start): row for row in m.all_of(name, method)}
    return [
        (row, others[same])
        for row in m.all_of(signal, method)
        if (same := (row.setting, row.K, row.seed, row.start)) in others
    ]


def _overlap_of_algorithm_1(m: Measured) -> tuple[str, str]:
    pairs = _frames(m, "piano", "piano at hop 1024", "Algorithm 1")
    before, after = ([row.relative_residual for row in rows] for rows in _columns(pairs))
    worse = [b - a > THRESHOLDS["worse fit"] for a, b in zip(before, after, strict=True)]
    if not pairs:
        return "", class_of([])
    number = f"residual {spread(before, '.2f')} at hop 8, {spread(after, '.2f')} at hop 1024"
    return f"{number}; {times(worse, 'pianos')}", class_of(worse)


def _overlap_of_is(m: Measured) -> tuple[str, str]:
    pairs = _frames(m, "piano", "piano at hop 256", "IS-NMF")
    half, more = ([row.si_sdr for row in rows] for rows in _columns(pairs))
    robust = [b - a <= THRESHOLDS["robust"] for a, b in zip(half, more, strict=True)]
    if not pairs:
        return "", class_of([])
    number = f"{spread(half)} dB at 50 % overlap, {spread(more)} dB at 87 %"
    return f"{number}; {times(robust, 'pianos')}", class_of(robust)


def _columns(pairs: Sequence[tuple[Row, Row]]) -> tuple[list[Row], list[Row]]:
    return [one for one, _ in pairs], [other for _, other in pairs]


def _better(m: Measured) -> tuple[str, str]:
    wins = [cdl.found > other.found for cdl, other in _pairs(m, "chirps", "CDL", "Algorithm 1")]
    return f"CDL is better on {times(wins, 'signals')}", class_of(wins)


def _alike(m: Measured) -> tuple[str, str]:
    apart = [lrtfs.found - cdl.found for lrtfs, cdl in _pairs(m, "chirps", "LRTFS", "CDL")]
    alike = [abs(each) <= THRESHOLDS["as good"] for each in apart]
    if not alike:
        return "", class_of([])
    number = f"LRTFS minus CDL, worse chirp: {spread(apart)} dB"
    anywhere = [
        abs(one.found - other.found) <= THRESHOLDS["as good"]
        for one in m.all_of("chirps", "LRTFS")
        for other in m.all_of("chirps", "CDL")
        if one.seed == other.seed
    ]
    counted = f"{times(alike, 'signals')}; {times(anywhere, 'pairs of any settings')}"
    number += f"; within {THRESHOLDS['as good']:g} dB on {counted}"
    return number, class_of(alike, anywhere)


def best_of(m: Measured, signal: str, methods: Iterable[str] = RANKED) -> list[str]:
    """Of each signal that all the methods were run on, the method that is best on it.

    Examples
    --------
    >>> rows = [Row("piano", name, "", 4, seed, seed, 3.0, dB, 1, 0, 1, 9)
    ...         for name, dB in (("CDL", 1.0), ("LRTFS", 2.0)) for seed in (0, 1, 10)]
    >>> best_of(Measured(rows), "piano", ["CDL", "LRTFS"])
    ['LRTFS', 'LRTFS']
    """
    runs = {name: {row.seed: row for row in m.judged(signal, name)} for name in methods}
    seeds = set.intersection(*(set(each) for each in runs.values()))
    return [max(runs, key=lambda name: runs[name][seed].quality) for seed in sorted(seeds)]


def _ranked(m: Measured, signal: str) -> tuple[str, str]:
    """By the runs that judge; and by the best of all runs, which only the truth can pick."""
    best, every = best_of(m, signal), ahead(m, signal).values()
    told = ", ".join(f"{name} on {count}" for name, count in Counter(best).most_common())
    happened, anywhere = ([name in ("LRTFS", "IS-NMF") for name in each] for each in (best, every))
    number = f"best of the four on {times(happened, 'signals')} ({told})"
    number += f"; by the best of all runs on {times(anywhere, 'signals')}"
    return number, class_of(happened, anywhere)


def ahead(m: Measured, signal: str) -> dict[int, str]:
    """By seed, the method of the best of all runs, where all that the paper ranks were run.

    Examples
    --------
    >>> rows = [Row("chirps", each, "", 2, 13, 13, len(each), 0, 1, 0, 1, 9) for each in RANKED]
    >>> ahead(Measured(rows), "chirps"), ahead(Measured(rows[1:]), "chirps")
    ({13: 'Algorithm 1'}, {})
    """
    rows = sorted((r for name in RANKED for r in m.all_of(signal, name)), key=lambda r: r.quality)
    ran = {(row.seed, row.method) for row in rows}
    return {row.seed: row.method for row in rows if all((row.seed, name) in ran for name in RANKED)}


def _cost(m: Measured) -> tuple[str, str]:
    """By the two ways to run it: with the coefficients in memory, as printed, and without."""
    every, fifth = (
        m.sweep("chirps", f"Algorithm 1, {hop}", "seconds") for hop in ("a = 1", "80 %")
    )
    (peak,) = m.sweep("chirps_memory", "Algorithm 1, a = 1", "peak_of_trial")
    formed = 16 * paper.LONG * (15 * 22_050 + paper.LONG - 1)
    longer = np.median(every) > THRESHOLDS["huge"] * np.median(fifth)
    huge = [formed > 1e9 * THRESHOLDS["memory"], bool(longer)]
    number = (
        f"coefficients of {formed / 1e9:.0f} GB as printed; huge in {times(huge, 'ways to run it')}"
        f"; never formed, {peak / 1e6:.0f} MB at the peak of a run and "
        f"{spread(every)} s, against {spread(fifth)} s at 80 % overlap"
    )
    return number, class_of(huge)


def _phase(m: Measured) -> tuple[str, str]:
    masked, learned = (
        m.sweep("chirps_overlapping", name, "min_si_sdr") for name in ("KL-NMF", "our recipe")
    )
    wins = list(np.greater(learned, masked))
    number = (
        f"chirps that overlap: {spread(masked)} dB by masks, {spread(learned)} dB with waveforms"
    )
    return f"{number}; {times(wins, 'signals')}", class_of(wins)


def _time(m: Measured) -> tuple[str, str]:
    """Of the chirps that a method found: is it off by more than CDL is on any signal?"""
    off = {name: _misplaced(m, name) for name in ("CDL", "LRTFS", "IS-NMF")}
    told = ", ".join(
        f"{name} {spread(each)}, {len(each)} signals" for name, each in off.items() if each
    )
    number = f"times between chirps, off by (ms): {told}" if told else ""
    if not off["CDL"]:
        return number, class_of([])
    later = [each > max(off["CDL"]) for name in ("LRTFS", "IS-NMF") for each in off[name]]
    return number, class_of(later)


def _misplaced(m: Measured, method: str) -> list[float]:
    """In ms, of the runs that judge and find both chirps."""
    rows = [row for row in m.judged("chirps", method) if _found(row.found)]
    return [1000 * row.misplaced for row in rows if row.misplaced is not None]


def _split(m: Measured) -> tuple[str, str]:
    of_note = [
        max(np.bincount([k for k in owners if k >= 0], minlength=1))
        for row in ("Algorithm 1", "Algorithm 1, sparse")
        for owners in m.sweep("piano", row, "owners")
    ]
    several = [most > 1 for most in of_note]
    return (
        f"components of one note, K = 8: up to {max(of_note)}; {times(several, 'runs')}",
        class_of(several),
    )


def _small(m: Measured) -> tuple[str, str]:
    values = [row.found for row in m.all_of("chirps at 93 ms", "IS-NMF")]
    values += m.sweep("chirps", "IS-NMF, 93 ms", "min_si_sdr")
    failed = list(map(_not_found, values))
    return f"worse chirp {spread(values)} dB; {times(failed, 'runs')}", class_of(failed)


def _kept_notes(m: Measured, row: str) -> tuple[str, str]:
    found = [len(notes) >= THRESHOLDS["all notes"] for notes in m.sweep("piano", row, "notes")]
    quality = m.sweep("piano", row, "mean_si_sdr")
    return f"{times(found, 'pianos')}; {spread(quality)} dB", class_of(found)


def _kept_chirps(m: Measured, row: str) -> tuple[str, str]:
    values = m.sweep("chirps", row, "min_si_sdr")
    number = f"worse chirp {spread(values)} dB; {times(map(_found, values), 'signals')}"
    return number, class_of(map(_found, values))


# ---- all of them -------------------------------------------------------------------------------

Judge = Callable[[Measured], tuple[str, str]]
EXPERIMENTS = "Section 4, p. 5532"
FURTHER, CONCLUSION = "Section 4, p. 5533", "Section 5, p. 5533"
SENTENCES: tuple[tuple[str, str, str, str, Judge], ...] = (
    (
        "piano-cdl",
        EXPERIMENTS,
        "It can be observed that **the CDL method accurately identifies three of the four "
        "notes**, although the fourth note is somewhat obscured by artifacts.",
        "[Piano](piano.md#piano-cdl)",
        lambda m: _of_notes(m, "CDL", THRESHOLDS["three notes"]),
    ),
    (
        "piano-algorithm-1",
        EXPERIMENTS,
        "Conversely, **the semi-NMF method successfully captures all four notes**, even "
        "though some of them may be separated across multiple motifs.",
        "[Piano](piano.md#piano-algorithm-1)",
        lambda m: _of_notes(m, "Algorithm 1", THRESHOLDS["all notes"]),
    ),
    (
        "piano-split",
        EXPERIMENTS,
        "Conversely, the semi-NMF method successfully captures all four notes, **even though "
        "some of them may be separated across multiple motifs**.",
        "[Piano](piano.md#piano-algorithm-1)",
        _split,
    ),
    (
        "piano-overlap",
        EXPERIMENTS,
        "It is important to note that **reducing the overlap in the semi-NMF methods "
        "significantly compromises the quality of the reconstruction**.",
        "[Piano](piano.md#piano-hop), [Overlap](overlap.md#ov-piano)",
        _overlap_of_algorithm_1,
    ),
    (
        "piano-robust",
        EXPERIMENTS,
        "If there is a need to decrease computational cost by reducing the overlap, "
        "**employing the IS-NMF method proves to be more robust to low time redundancy**, as "
        "illustrated in Fig. 3 (with an overlap of 50%).",
        "[Piano](piano.md#piano-hop), [Overlap](overlap.md#ov-piano)",
        _overlap_of_is,
    ),
    (
        "chirps-nmf",
        EXPERIMENTS,
        "However, it is worth noting that even with the introduction of convolutive NMF, "
        "**the classical NMF** and semi-NMF methods **can still successfully identify the "
        "motifs as long as the Gabor window size exceeds the duration of the motifs**.",
        "[Chirps](chirps.md#chirps-nmf)",
        lambda m: _of_chirps(m, "KL-NMF", _found),
    ),
    (
        "chirps-cdl",
        EXPERIMENTS,
        "While **the CDL approach provided better separation between the two types of "
        "chirps**, the semi-NMF method is struggling to capture both types of elementary "
        "signals.",
        "[Chirps](chirps.md#chirps-cdl)",
        _better,
    ),
    (
        "chirps-struggles",
        EXPERIMENTS,
        "While the CDL approach provided better separation between the two types of chirps, "
        "**the semi-NMF method is struggling to capture both types of elementary signals**.",
        "[Chirps](chirps.md#chirps-cdl)",
        lambda m: _of_chirps(m, "Algorithm 1", _not_found),
    ),
    (
        "chirps-cost",
        EXPERIMENTS,
        "Since Gabor windows are very large, **stretching the overlap towards 100% has a huge "
        "computational cost**.",
        "[Overlap](overlap.md#ov-chirps)",
        _cost,
    ),
    (
        "chirps-is",
        FURTHER,
        "**It** [IS-NMF] **shows very good results with only a 50% overlap** (Fig. 4) but "
        "still with a window size of 2.5 seconds.",
        "[Chirps](chirps.md#chirps-nmf)",
        lambda m: _of_chirps(m, "IS-NMF", _found),
    ),
    (
        "chirps-small",
        FURTHER,
        "**This statement is understandable as regards Fig. 5** [IS-NMF with a small window], "
        "but we have shown that the classical NMF algorithm can still reconstruct this kind "
        "of signals well if the window size is large enough.",
        "[Chirps](chirps.md#chirps-small)",
        _small,
    ),
    (
        "chirps-convolutive",
        FURTHER,
        "In fact, as mentioned earlier in [22], [23], **the convolutive-NMF is presented as "
        "the alternative** to the classical NMF algorithm **to reconstruct non-stationary "
        "elements**.",
        "[Chirps](chirps.md#chirps-small)",
        lambda m: _of_chirps(m, "convolutive NMF", _found),
    ),
    (
        "chirps-lrtfs",
        FURTHER,
        "In practice, **LRTFS gives similar results to CDL**.",
        "[Chirps](chirps.md#chirps-lrtfs)",
        _alike,
    ),
    (
        "best-piano",
        CONCLUSION,
        "In practice, **the LRTFS or IS-NMF type decompositions give the best "
        "decompositions** [piano], although at the cost of a phase loss of the estimated "
        "time-frequency coefficients and a loss of temporal resolution compared to the CDL.",
        "[the ranking](claims.md#claims-ranking)",
        lambda m: _ranked(m, "piano"),
    ),
    (
        "best-chirps",
        CONCLUSION,
        "In practice, **the LRTFS or IS-NMF type decompositions give the best "
        "decompositions** [chirps], although at the cost of a phase loss of the estimated "
        "time-frequency coefficients and a loss of temporal resolution compared to the CDL.",
        "[the ranking](claims.md#claims-ranking)",
        lambda m: _ranked(m, "chirps"),
    ),
    (
        "lost-phase",
        CONCLUSION,
        "In practice, the LRTFS or IS-NMF type decompositions give the best decompositions, "
        "although **at the cost of a phase loss of the estimated time-frequency "
        "coefficients** and a loss of temporal resolution compared to the CDL.",
        "[Chirps](chirps.md#chirps-lost)",
        _phase,
    ),
    (
        "lost-time",
        CONCLUSION,
        "In practice, the LRTFS or IS-NMF type decompositions give the best decompositions, "
        "although at the cost of a phase loss of the estimated time-frequency coefficients "
        "and **a loss of temporal resolution compared to the CDL**.",
        "[Chirps](chirps.md#chirps-lost)",
        _time,
    ),
    (
        "alternative",
        CONCLUSION,
        "**Semi-NMF can be an alternative to CDL when the time-frequency redundancy is high.**",
        "[Initialisation](initialisation.md#initialisation-chirps)",
        lambda m: _kept_chirps(m, "Algorithm 1, a = 1"),
    ),
    (
        "ours-notes",
        "this book",
        "Our recipe for notes finds all four",
        "[Piano](piano.md#piano-found)",
        lambda m: _kept_notes(m, "our recipe"),
    ),
    (
        "ours-chirps",
        "this book",
        "Our recipe for chirps finds both",
        "[Chirps](chirps.md#chirps-found)",
        lambda m: _kept_chirps(m, "our recipe"),
    ),
    (
        "ours-convolutive",
        "this book",
        "Convolutive NMF finds all four notes",
        "[Piano](piano.md#piano-found)",
        lambda m: _of_notes(m, "convolutive NMF", THRESHOLDS["all notes"]),
    ),
    (
        "ours-kl",
        "this book",
        "KL-NMF finds three of the four notes",
        "[Piano](piano.md#piano-found)",
        lambda m: _of_notes(m, "KL-NMF", THRESHOLDS["three notes"]),
    ),
    (
        "ours-start",
        "this book",
        "IS-NMF finds both chirps if it starts from KL-NMF",
        "[Chirps](chirps.md#chirps-nmf)",
        lambda m: _kept_chirps(m, "IS-NMF from KL"),
    ),
)
"""Each with its name, place, words (in bold what is judged), page, and the rule that judges it."""
CORRECTED: dict[str, str] = {
    "piano-cdl": "Not accurately: hardly a note reaches 10 dB. The start and λ are not given.",
    "piano-algorithm-1": "Its start is not given. With a penalty and better steps it finds more.",
    "piano-overlap": "The separation suffers first: at a hop of 128 the sum still fits.",
    "piano-robust": "With eight components. With four it finds too little at any hop.",
    "chirps-nmf": "Judged for KL-NMF. A second condition: their spectra must differ.",
    "chirps-struggles": "Even 99.96 % is too little; at a = 1, from a better start, it finds both.",
    "chirps-cost": "In memory only if the coefficients are formed, and they need not be.",
    "chirps-is": "With four components and the best fit of five starts. With two it mostly fails.",
    "chirps-convolutive": "Where the chirps overlap it is no better than two fixed filters.",
    "chirps-lrtfs": "In pictures. In waveforms it finds both chirps too, and stays far below CDL.",
    "best-piano": "With more components than notes.",
    "alternative": "At a = 1, with a penalty, better steps and a start from KL-NMF.",
}
"""What this book says instead, or adds; without an entry, nothing."""


def verdicts(m: Measured) -> dict[str, Verdict]:
    """All verdicts, by name.

    Examples
    --------
    >>> rows = [Row("recording", "CDL", "", 4, 0, n, 3.0, 1.0, 1, 0, 1, 9) for n in range(4)]
    >>> judge = SENTENCES[0][-1]
    >>> judge(Measured(rows))
    ('4 of 4 starts on the recording; 0 of 0 pianos; 0 of 0 runs of any setting', 'typical')
    """
    return {
        name: Verdict(name, where, says, *judge(m), page, CORRECTED.get(name, ""))
        for name, where, says, page, judge in SENTENCES
    }


def rewritten(text: str, found: Mapping[str, Verdict]) -> str:
    """A page with what it says between two marks written anew.

    Raises
    ------
    KeyError
        If it asks for a verdict that there is not.

    Examples
    --------
    >>> one = Verdict("sure", "Section 4", "It rains", "9 of 10", "typical", "[Rain](#r)")
    >>> rewritten("So: <!-- verdict sure -->?<!-- end -->.", {"sure": one})
    'So: <!-- verdict sure -->✔ typical: 9 of 10<!-- end -->.'
    """
    return MARKED.sub(lambda m: m[1] + found[m["name"]].told + m[3], text)


def pages(root: Path) -> list[Path]:
    """The README and the pages of the book that repeat a verdict.

    Examples
    --------
    >>> pages(Path("no/book"))
    []
    """
    texts = sorted([*root.glob("README.md"), *root.glob("book/**/*.md")])
    return [path for path in texts if MARKED.search(path.read_text("utf8"))]


def write(root: Path) -> list[Path]:
    """Write all pages anew that say something else than what is kept, and tell which.

    Examples
    --------
    >>> write(Path("no/book"))
    []
    """
    changed, asked = [], pages(root)
    found = verdicts(measured(root / "book" / "experiments" / "kept")) if asked else {}
    for path in asked:
        old = path.read_text("utf8")
        new = rewritten(old, found)
        if new != old:
            path.write_text(new, "utf8")
            changed.append(path)
    return changed


if __name__ == "__main__":
    for path in write(Path.cwd()):
        print(f"{path}: written")
