"""What was measured: the rows of the scan, and those kept sweeps that verdicts rest on.

Chapter: ``book/experiments/claims.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cdlnmf_lit.experiments.scan import Row, at_its_choice, rows_of

FILES = ("piano", "piano_ways", "chirps", "chirps_memory", "chirps_overlapping")
"""Of the kept sweeps those whose settings no scan has: the paper's own, and this book's."""


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

    def all_of(self, signal: str, method: str) -> list[Row]:
        """All runs of a method on a signal, at any setting."""
        return [row for row in self.scan if (row.signal, row.method) == (signal, method)]

    def judged(self, signal: str, method: str) -> list[Row]:
        """One run a signal, see :func:`~cdlnmf_lit.experiments.scan.at_its_choice`."""
        return at_its_choice(self.scan, signal, method)


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
