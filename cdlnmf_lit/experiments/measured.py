"""What was measured: the rows of the scan, and those kept sweeps that verdicts rest on.

Chapter: ``book/experiments/claims.md``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cdlnmf_lit.experiments.scan import SEEDS, Row, at_its_choice, rows_of

FILES = ("piano", "piano_ways", "chirps", "chirps_memory", "chirps_overlapping")
"""Of the kept sweeps those whose settings no scan has: the paper's own, and this book's."""
PAGES = {
    "CDL": "CDL",
    "Algorithm 1, 80 %": "Algorithm 1",
    "IS-NMF": "IS-NMF",
    "KL-NMF": "KL-NMF",
    "convolutive NMF, 93 ms": "convolutive NMF",
    "LRTFS": "LRTFS",
}
"""Rows of the page on the chirps that are of the scan's methods too, with two components."""


@dataclass(frozen=True)
class Measured:
    """What was measured: the scan, and by file and row the outcomes of kept sweeps, seed by seed.

    Examples
    --------
    >>> Measured((), {}).sweep("chirps", "CDL", "min_si_sdr")
    []
    """

    scan: Sequence[Row]
    kept: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]] = field(default_factory=dict)

    def sweep(self, file: str, row: str, column: str) -> list[Any]:
        """A column of a row of a kept sweep, of its outcomes or of their scores."""
        outcomes = self.kept.get(file, {}).get(row, ())
        return [({**each, **each.get("scores", {})})[column] for each in outcomes]

    @cached_property
    def rows(self) -> list[Row]:
        """All runs: the scan's, and those that the page on the chirps has of the same methods."""
        return [*self.scan, *(row for name in PAGES for row in self._of_page(name))]

    def _of_page(self, name: str) -> Iterator[Row]:
        columns = ("min_si_sdr", "mean_si_sdr", "objective", "relative_residual", "seconds")
        asked = (self.sweep("chirps", name, each) for each in (*columns, "iterations"))
        for seed, numbers in enumerate(zip(*asked, strict=True)):
            yield Row("chirps", PAGES[name], "as on its page", 2, seed, seed, *numbers)

    def all_of(self, signal: str, method: str) -> list[Row]:
        """All runs of a method on a signal, at any setting."""
        return [row for row in self.rows if (row.signal, row.method) == (signal, method)]

    def scanned(self, method: str) -> bool:
        """Whether two settings of it or more were run on half of the chirps."""
        settings = Counter((row.setting, row.K) for row in self.all_of("chirps", method))
        return sum(2 * count >= len(SEEDS) for count in settings.values()) >= 2

    def judged(self, signal: str, method: str) -> list[Row]:
        """One run a signal, see :func:`~cdlnmf_lit.experiments.scan.at_its_choice`."""
        return at_its_choice(self.rows, signal, method)


def measured(folder: str | Path) -> Measured:
    """What a folder of kept numbers holds: ``scan.jsonl`` and the sweeps.

    Raises
    ------
    FileNotFoundError
        If one of ``FILES`` or the scan is not there.

    Examples
    --------
    >>> measured("no/folder")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'no/folder/piano.json'
    """
    folder = Path(folder)
    kept: dict[str, dict[str, list[Any]]] = {}
    for file in FILES:
        for each in json.loads((folder / f"{file}.json").read_text("utf8"))["results"]:
            kept.setdefault(file, {}).setdefault(each["row"], []).append(each["result"])
    return Measured(rows_of(folder / "scan.jsonl"), kept)
