"""The scan: every method that the paper compares, over the settings that it leaves open.

Some signals choose each method's setting, others judge it, and its start is chosen by its own
objective: no choice knows the truth that it is judged by.

Chapter: ``book/experiments/claims.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cdlnmf_lit.experiments import paper
from cdlnmf_lit.methods.algorithm_1 import Algorithm1
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.complex_nmf import ComplexNMF
from cdlnmf_lit.methods.convolutive_nmf import ConvolutiveNMF
from cdlnmf_lit.methods.lrtfs import LRTFS
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.methods.semi_nmf import SemiNMF
from cdlnmf_lit.theory.gabor import GaborFrame, hann

JUDGE, CHOOSE = range(10), range(10, 20)
"""Seeds of the pianos and chirps that judge a method, and of those that choose its setting."""
STARTS, EACH, FEW = 10, 5, 3
"""Starts of each chosen setting on the recording, and on each signal that judges; and signals on
which other frames are tried."""
PICTURED = ("Algorithm 1", "IS-NMF", "CDL")
"""The methods of the paper's Fig. 3, which is of the recording."""
RANKED = (*PICTURED, "LRTFS")
"""What Section 5 of the paper ranks: run first, so that what is stopped has it."""
COMPONENTS = {"piano": (4, 6, 8), "chirps": (2, 4)}

Key = tuple[str, str, str, int, int, int]
"""What a run is of: signal, method, setting, K, seed of the signal, seed of the start."""
Choice = tuple[str, int]
"""A setting, and K."""

SHARES = (0.01, 0.02, 0.05)
SPARSE: Any = {"step_rule": "accelerated", "activation_update": "coordinate"}
FULL: Any = {"divergence": "itakura-saito", "update": "full", "iterations": 1000}
CONVERGED: Any = {"tolerance": 1e-4}


def _shares(method: Method, shares: Iterable[float] = SHARES) -> dict[str, Method]:
    """A method at each share of the largest penalty that is of use."""
    return {f"λ/λmax {share:g}": replace(method, share=share) for share in shares}  # type: ignore[call-arg]


def _of(
    short: Any, dense: Any, learning: CDL, printed: Algorithm1, lrtfs: LRTFS, patterns: int
) -> dict[str, dict[str, Method]]:
    return {
        "CDL": _shares(learning, SHARES[1:]),
        "Algorithm 1": {"λ = 0": printed} | _shares(replace(printed, **SPARSE)),
        "semi-NMF": {"": SemiNMF(frame=dense, iterations=40, precision="float32", **CONVERGED)},
        "IS-NMF": {"": NMF(frame=short, **FULL, **CONVERGED)},
        "KL-NMF": {"": NMF(frame=short, iterations=500, **CONVERGED)},
        "LRTFS": {"": lrtfs},
        "complex NMF": {"": ComplexNMF(frame=short, iterations=300, **CONVERGED)},
        "convolutive NMF": {
            "": ConvolutiveNMF(
                frame=paper.SHORT, pattern_length=patterns, iterations=300, **CONVERGED
            )
        },
    }


SETTINGS: dict[str, dict[str, dict[str, Method]]] = {
    "piano": _of(
        paper.SHORT,
        paper.DENSE,
        CDL(iterations=30, tolerance=1e-3, precision="float32"),
        replace(paper.PRINTED, iterations=100, **CONVERGED),
        LRTFS(frame=paper.SHORT, iterations=300, **CONVERGED),
        8,
    ),
    "chirps": _of(
        paper.HALF,
        paper.FIFTH,
        replace(paper.LEARNING, iterations=20, tolerance=1e-3),
        Algorithm1(frame=paper.FIFTH, iterations=100, precision="float32", **CONVERGED),
        LRTFS(frame=paper.HALF, iterations=200, precision="float32", **CONVERGED),
        44,
    ),
}
"""By signal and method, its settings by what tells them apart."""

OTHER_FRAMES: dict[str, tuple[str, GaborFrame]] = {
    "piano at hop 1024": ("Algorithm 1", paper.SHORT),
    "piano at hop 256": ("IS-NMF", hann(2048, 256)),
    "chirps at 93 ms": ("IS-NMF", paper.SHORT),
}
"""What the paper says of less overlap, of more, and of a small window: by the signal's name in a
row, a method and its frame. The settings are those that the signals choose with the usual frame."""


@dataclass(frozen=True)
class Row:
    """One run of the scan.

    Parameters
    ----------
    signal : str
        ``piano``, ``chirps`` or ``recording``.
    method, setting : str
        See ``SETTINGS``.
    K, seed, start : int
        Components; of the signal; of the start.
    found : float
        Notes; or the SI-SDR of the worse chirp, in dB.
    si_sdr : float
        Mean over the sources, in dB.
    objective, relative_residual, seconds : float
    iterations : int
    misplaced : float or None
        The error of the times between a chirp's occurrences, the median, in seconds.

    Examples
    --------
    >>> Row("piano", "CDL", "λ/λmax 0.02", 4, 0, 0, 3.0, 5.1, 2.0, 0.2, 4.0, 30).found
    3.0
    """

    signal: str
    method: str
    setting: str
    K: int
    seed: int
    start: int
    found: float
    si_sdr: float
    objective: float
    relative_residual: float
    seconds: float
    iterations: int
    misplaced: float | None = None

    @property
    def key(self) -> Key:
        """What was run."""
        return self.signal, self.method, self.setting, self.K, self.seed, self.start

    @property
    def quality(self) -> float:
        """Mean SI-SDR of a piano, or the worse chirp's, in dB."""
        return self.found if self.signal.startswith("chirps") else self.si_sdr


def rows_of(path: str | Path) -> list[Row]:
    """What was run, from the file that ``benchmarks/scan.py`` writes.

    Examples
    --------
    >>> rows_of("/dev/null")
    []
    """
    return [Row(**json.loads(line)) for line in Path(path).read_text("utf8").splitlines()]


def chosen(rows: Iterable[Row], signal: str) -> dict[str, Choice]:
    """Of each method the setting and K of the highest median quality, over the signals that choose.

    A setting is in the choice once it was run on half as many signals as the method's others.

    Parameters
    ----------
    rows
        Of any signals.
    signal
        ``piano`` or ``chirps``.

    Examples
    --------
    >>> rows = [Row("piano", "NMF", "", K, 10, 10, 3.0, float(K), 1, 0, 1, 9) for K in (4, 6, 8)]
    >>> chosen(rows, "piano")
    {'NMF': ('', 8)}
    """
    found: dict[str, dict[Choice, list[float]]] = {}
    for row in rows:
        if row.signal == signal and row.seed in CHOOSE:
            settings = found.setdefault(row.method, {})
            settings.setdefault((row.setting, row.K), []).append(row.quality)
    return {method: _best(settings) for method, settings in found.items()}


def _best(settings: dict[Choice, list[float]]) -> Choice:
    most = max(map(len, settings.values()))
    often = {each: values for each, values in settings.items() if 2 * len(values) >= most}
    return max(often, key=lambda each: float(np.median(often[each])))


def at_its_choice(rows: Sequence[Row], signal: str, method: str) -> list[Row]:
    """A method's run on each signal that judges, at the setting that the others chose; of several
    starts that of the lowest objective.

    Examples
    --------
    >>> rows = [Row("piano", "NMF", "", K, seed, seed, 3.0, float(K), 1, 0, 1, 9)
    ...         for K in (4, 8) for seed in (0, 1, 10)]
    >>> [(row.seed, row.K) for row in at_its_choice(rows, "piano", "NMF")]
    [(0, 8), (1, 8)]
    """
    asked = (signal, method, chosen(rows, signal).get(method))
    return by_objective(
        row
        for row in rows
        if (row.signal, row.method, (row.setting, row.K)) == asked and row.seed in JUDGE
    )


def by_objective(rows: Iterable[Row]) -> list[Row]:
    """Of each signal's runs from several starts the one of the lowest objective.

    Examples
    --------
    >>> runs = [Row("piano", "NMF", "", 8, 0, n, 3.0, n, -n, 0, 1, 9) for n in (0, 1, 2)]
    >>> [row.start for row in by_objective(runs)]
    [2]
    """
    best: dict[int, Row] = {}
    for row in rows:
        if row.seed not in best or row.objective < best[row.seed].objective:
            best[row.seed] = row
    return [best[seed] for seed in sorted(best)]


def everywhere(signal: str) -> Iterator[Key]:
    """All settings on all seeded signals, one start each: of each K the ranked methods first."""
    for K in COMPONENTS[signal]:
        for method in dict.fromkeys((*RANKED, *SETTINGS[signal])):
            for seed in (*CHOOSE, *JUDGE):
                for setting in SETTINGS[signal][method]:
                    yield signal, method, setting, K, seed, seed


def on_the_recording(there: Iterable[Row]) -> Iterator[Key]:
    """The pictured methods from several starts, at the setting that the pianos choose."""
    choice = chosen(there, "piano")
    for start in range(STARTS):
        for method in filter(choice.get, PICTURED):
            yield "recording", method, *choice[method], 0, start


def on_other_frames(there: Iterable[Row]) -> Iterator[Key]:
    """The settings that the signals choose, on another frame, on the first of the signals."""
    rows = list(there)
    for name, (method, _) in OTHER_FRAMES.items():
        choice = chosen(rows, name.split()[0]).get(method)
        if choice:
            yield from ((name, method, *choice, seed, seed) for seed in JUDGE[:FEW])


def method_of(key: Key) -> Method:
    """What a run of the scan runs.

    Examples
    --------
    >>> method_of(("chirps at 93 ms", "IS-NMF", "", 2, 0, 0)).frame.window.size
    2048
    """
    signal, method, setting = key[:3]
    scanned = SETTINGS["chirps" if signal.startswith("chirps") else "piano"][method][setting]
    _, frame = OTHER_FRAMES.get(signal, ("", None))
    return replace(scanned, frame=frame) if frame else scanned  # type: ignore[call-arg]


def from_more_starts(there: Iterable[Row]) -> Iterator[Key]:
    """The chosen settings again, on each signal that judges."""
    rows = list(there)
    for number in range(1, EACH):
        for signal in SETTINGS:
            for method, choice in chosen(rows, signal).items():
                for seed in JUDGE:
                    yield signal, method, *choice, seed, 100 * seed + 100 + number


def plan(there: Iterable[Row]) -> dict[str, list[Key]]:
    """What is to be run, by part; what was run says which settings are chosen.

    Examples
    --------
    >>> {part: len(keys) for part, keys in plan([]).items()}
    {'pianos': 720, 'recording': 0, 'chirps': 480, 'frames': 0, 'starts': 0}
    """
    rows = list(there)
    return {
        "pianos": list(everywhere("piano")),
        "recording": list(on_the_recording(rows)),
        "chirps": list(everywhere("chirps")),
        "frames": list(on_other_frames(rows)),
        "starts": list(from_more_starts(rows)),
    }


def progress(there: Iterable[Row]) -> dict[str, tuple[int, int]]:
    """Of each part of the plan: how many runs there are, and how many it asks for.

    Examples
    --------
    >>> progress([])["pianos"]
    (0, 720)
    """
    rows = list(there)
    done = {row.key for row in rows}
    return {part: (len(done.intersection(keys)), len(keys)) for part, keys in plan(rows).items()}
