"""Kept sweeps: their numbers lie beside the chapter, and a tenth of them is computed again.

Chapter: ``book/experiments/sweeps.md``.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

import joblib
import numpy as np
from numpy.typing import NDArray

from cdlnmf_lit.experiments.fingerprints import installed, source_digest
from cdlnmf_lit.experiments.sweeps import (
    BROWSER,
    LIBRARY,
    VERSIONS,
    Point,
    key_of,
    once_an_array,
    sweep,
)
from cdlnmf_lit.theory import arguments

Label = TypeVar("Label", bound=Hashable)
Result = TypeVar("Result")
Call = tuple[Hashable, Point]
Row = dict[str, Any]
"""One result as the file has it: its label, seed, digests of point and source, and numbers."""

DIGITS = 5
"""Significant ones, of each number that is kept."""
TENTHS = 10
WISHES = ("", "check", "renew")
DECIBELS = (0.5, 0.0)
TOLERANCES: Mapping[str, tuple[float, float]] = {
    "si_sdr": DECIBELS,
    "mean_si_sdr": DECIBELS,
    "min_si_sdr": DECIBELS,
    "shuffled_si_sdr": DECIBELS,
    "bands_si_sdr": DECIBELS,
    "sdr": DECIBELS,
    "sir": DECIBELS,
    "sar": DECIBELS,
    "similarity": (0.02, 0.0),
    "onset_f": (0.1, 0.0),
    "relative_residual": (0.001, 0.0),
    "objective": (0.0, 0.001),
    "iterations": (1.0, 0.0),
    "seconds": (math.inf, 0.0),
    "peak_of_trial": (0.0, 0.5),
}
"""By how much a number may differ when it is computed again, in itself and as a share of it.

Any other column must be equal.
"""


def kept(
    path: str | Path,
    function: Callable[..., Result],
    points: Mapping[Label, Iterable[Point]],
) -> dict[Label, list[Result]]:
    """The results of a sweep from the file beside the chapter, held to those of one seed in ten.

    Which seed is computed again, the hash of the commit's tree says, so that each has its turn. In
    a browser none is, and the code is taken to be that of the file.
    The variable ``CDLNMF_KEPT`` asks for more: ``check`` computes all of them again; ``renew``
    computes what is missing or stale, and writes the file. Where the file's folder is not there,
    all is computed and nothing written.

    A result is stale when its point differs or the code that the function and the point's
    dataclasses reach by their imports, see :func:`.source_digest`. Versions stand in
    the file beside the numbers, and count for nothing.

    Parameters
    ----------
    path
        Of a JSON file, one result a line.
    function
        Of a module, see :func:`.sweep`. It returns a number, or a dataclass of numbers.
    points
        By label; each has a ``seed``.

    Returns
    -------
    dict
        By label, one result a point.

    Raises
    ------
    ValueError
        If a result is missing or stale, or differs from what is computed again by more than
        ``TOLERANCES`` allows its column.

    Examples
    --------
    >>> from cdlnmf_lit.experiments.paper import piano_trials
    >>> from cdlnmf_lit.experiments.trials import peak_of_trial, without_score
    >>> points = {"KL-NMF": map(without_score, piano_trials("KL-NMF", [0]))}
    >>> found = kept("no/folder.json", peak_of_trial, points)
    folder.json: 1 results, computed now
    >>> len(found["KL-NMF"])
    1
    """
    path = Path(path)
    wish = arguments.choice(os.environ.get("CDLNMF_KEPT", ""), "CDLNMF_KEPT", WISHES)
    calls = [(label, point) for label, each in points.items() for point in each]
    if wish == "renew" or path.parent.is_dir():
        rows = _rows(path, function, calls, renew=wish == "renew")
        _hold(path, function, calls, rows, everything=wish == "check")
        kind = get_type_hints(function)["return"]
        results = [_typed(kind, row["result"]) for row in rows]
    else:
        results = sweep(function, [point for _, point in calls])
        print(f"{path.name}: {len(results)} results, computed now")
    found: dict[Label, list[Result]] = {label: [] for label in points}
    for (label, _), result in zip(calls, results, strict=True):
        found[label].append(result)
    return found


@cache
def drawn() -> int:
    """Which seed in ten is computed again: a digit of the commit's tree, or of the library.

    Examples
    --------
    >>> 0 <= drawn() <= 9
    True
    """
    try:
        asked = ["git", "rev-parse", "HEAD^{tree}"]
        tree = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        tree = LIBRARY
    return int(tree, 16) % TENTHS


# ---- the file ------------------------------------------------------------------------------------


def _rows(
    path: Path, function: Callable[..., Any], calls: Sequence[Call], *, renew: bool
) -> list[Row]:
    """The file's row of each call, all of the code as it is; those that are not, computed anew."""
    rows = _headings(function, calls)
    old = json.loads(path.read_text("utf8"))["results"] if path.exists() else []
    there = {_name(row): row for row in old}
    missing = [n for n, row in enumerate(rows) if _name(row) not in there]
    if missing and not renew:
        raise ValueError(
            f"{path.name} must hold the results of the code as it is, but {len(missing)} of "
            f"{len(rows)} are missing or stale: `make sweeps` computes them"
        )
    with joblib.parallel_config(n_jobs=joblib.cpu_count()):
        computed = sweep(function, [calls[n][1] for n in missing])
    for n, result in zip(missing, computed, strict=True):
        there[_name(rows[n])] = rows[n] | {"result": _numbers(function, result)}
    rows = [there[_name(row)] for row in rows]
    if renew and (rows != old or not path.exists()):
        _write(path, function, calls, rows)
    return rows


def _write(
    path: Path, function: Callable[..., Any], calls: Sequence[Call], rows: Sequence[Row]
) -> None:
    head = {
        "function": f"{function.__module__}.{function.__qualname__}",
        "versions": {name: installed(name) for name in VERSIONS},
        "sources": {
            row["source"]: " ".join(_modules(function, point))
            for row, (_, point) in zip(rows, calls, strict=True)
        },
    }
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    text = json.dumps(head, indent=1)[:-2] + ',\n "results": [\n' + ",\n".join(lines) + "\n]}\n"
    path.parent.mkdir(exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(text, "utf8")
    beside.replace(path)


def _headings(function: Callable[..., Any], calls: Iterable[Call]) -> list[Row]:
    of_array, of_source = once_an_array(_digits), cache(source_digest)
    return [
        {
            "row": ", ".join(map(str, label if isinstance(label, tuple) else (label,))),
            "seed": int(point["seed"]),
            "point": _digest(json.dumps(key_of(point, of_array), sort_keys=True).encode()),
            "source": "" if BROWSER else of_source(tuple(_modules(function, point))),
        }
        for label, point in calls
    ]


def _digits(array: NDArray[Any]) -> tuple[Any, ...]:
    """An array to a millionth of its peak: elsewhere the last digits may be computed otherwise."""
    peak = float(np.abs(array).max(initial=0)) or 1.0
    whole = np.rint(array / peak * 1e6).astype("<i4")
    return array.dtype.str, array.shape, f"{peak:.5g}", _digest(whole.tobytes())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _name(row: Row) -> tuple[str, str, str]:
    return row["row"], row["point"], "" if BROWSER else row["source"]


def _modules(function: Callable[..., Any], point: Point) -> list[str]:
    """Where the function is defined, and the dataclasses that it is given."""
    return sorted({function.__module__, *_homes(point)})


def _homes(value: Any) -> Iterator[str]:
    if is_dataclass(value):
        yield type(value).__module__
        value = [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _homes(each)


# ---- numbers -------------------------------------------------------------------------------------


def _numbers(function: Callable[..., Any], result: Any) -> Any:
    """A result as the file has it: numbers and words, by column."""
    whole = is_dataclass(result) and not isinstance(result, type)
    return _rounded(asdict(result) if whole else {function.__name__: result})


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _typed(kind: Any, value: Any) -> Any:
    """What :func:`_numbers` was given, of the type that the function returns."""
    if is_dataclass(kind):
        hints, kind = get_type_hints(kind), cast(Any, kind)
        return kind(**{name: _typed(hints[name], each) for name, each in value.items()})
    if isinstance(value, dict):
        (value,) = value.values()
    return tuple(value) if isinstance(value, list) else value


def _hold(
    path: Path,
    function: Callable[..., Any],
    calls: Sequence[Call],
    rows: Sequence[Row],
    *,
    everything: bool,
) -> None:
    """Compute again what is due, and say so; refuse numbers that are not those of the file."""
    again = [
        n
        for n, row in enumerate(rows)
        if everything or (not BROWSER and row["seed"] % TENTHS == drawn())
    ]
    for n, result in zip(again, sweep(function, [calls[n][1] for n in again]), strict=True):
        row = rows[n]
        for column, one, other in _apart(row["result"], _numbers(function, result)):
            raise ValueError(
                f"{path.name}, {row['row']}, seed {row['seed']}: {column} must be as computed now, "
                f"{other}, to within its tolerance, got {one}"
            )
    print(f"{path.name}: {len(rows)} results kept, {len(again)} of them computed again")


def _apart(one: Any, other: Any, column: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The columns in which two results differ by more than they may."""
    if isinstance(one, dict):
        for name in one:
            yield from _apart(one[name], other[name], name)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for pair in zip(one, other, strict=True):
            yield from _apart(*pair, column)
    elif isinstance(one, float | int) and isinstance(other, float | int):
        absolute, relative = TOLERANCES.get(column, (0.0, 0.0))
        undefined = math.isnan(one) and math.isnan(other)
        if not undefined and not math.isclose(one, other, abs_tol=absolute, rel_tol=relative):
            yield column, one, other
    elif one != other:
        yield column, one, other
