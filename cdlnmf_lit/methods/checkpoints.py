"""Checkpoints: what a run has reached, in a file, so that the same run goes on from there.

Each start of each stage is a :class:`~cdlnmf_lit.methods.decomposition.Run` with a place. A run
that goes on finds those that were there at their places, to the bit, and skips what led to them.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib import import_module
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cdlnmf_lit.methods.decomposition import Decomposition, Run, State, written_aside
from cdlnmf_lit.theory.arguments import Array

if TYPE_CHECKING:
    from cdlnmf_lit.methods.method import Method, Watch

ROOM = "cdlnmf_lit.methods."
"""Where the classes of what is saved come from, and no others."""


@dataclass(frozen=True, eq=False)
class Saved:
    """A run as its file has it, until there is a problem for it to go on with.

    Parameters
    ----------
    packed : object
        Its iterate and what the problem keeps beside it, as plain values; None if it was given up.
    arrays : list of arrays
        What the plain values refer to.
    records, status, place
        See :class:`~cdlnmf_lit.methods.decomposition.Run`.

    Examples
    --------
    >>> Saved(None, [], [{"objective": 2.0}], "", (0,)).run(None).objective
    2.0
    """

    packed: Any
    arrays: list[Array]
    records: Sequence[Mapping[str, float]]
    status: str
    place: tuple[int, ...]

    def run(self, problem: Any) -> Run:
        """The run, to go on from its iterate."""
        told = self.records, self.status, self.place
        if self.packed is None:
            return Run(iter(()), None, *told)
        problem = problem.keeping(_unpacked(self.packed["kept"], self.arrays, None))
        state = _unpacked(self.packed["state"], self.arrays, problem)
        return Run(islice(problem.states(state), 1, None), state, *told)


Kept = dict[tuple[int, ...], Run | Saved | Decomposition]
"""Runs by their place, each as far as it is; or what the run there is to begin from."""


def settle(kept: Kept, place: tuple[int, ...], value: Run | Decomposition) -> None:
    """Keep a value at its place, and nothing any more of what led to it.

    Examples
    --------
    >>> kept = {(0, 0): Run(iter(())), (0, 1): Run(iter(())), (1, 0): Run(iter(()))}
    >>> settle(kept, (0,), Run(iter(())))
    >>> list(kept)
    [(1, 0), (0,)]
    """
    for each in [other for other in kept if other[: len(place)] == place]:
        del kept[each]
    kept[place] = value


def noted(kept: Kept, run: Run, states: Iterator[State]) -> Iterator[State]:
    """The same states, each of which is kept as what its run has reached.

    Examples
    --------
    >>> from cdlnmf_lit import NMF
    >>> kept, states = {}, NMF().iterate(np.sin(0.3 * np.arange(4000.0)), 1)
    >>> _ = Run(states, place=(0,)).to(3, watched=lambda states: noted(kept, Run(states), states))
    >>> len(kept[()].records)
    4
    """
    records = [*run.records]
    for state in states:
        records.append(state.record)
        settle(kept, run.place, replace(run, state=state, records=records))
        yield state


def identity(x: Array, method: Method, n_components: int, **asked: Any) -> dict[str, Any]:
    """What a run is: two of the same identity give the same bytes.

    Parameters
    ----------
    x : array (T,)
    method : Method
    n_components : int
        ``K``.
    asked
        What else the result depends on, in numbers and strings: a seed, a start.

    Examples
    --------
    >>> from cdlnmf_lit import NMF
    >>> one, other = (identity(np.ones(4), NMF(), 2, seed=seed) for seed in (0, 1))
    >>> one == other, one["sound"] == other["sound"]
    (False, True)
    """
    sound = hashlib.sha256(np.ascontiguousarray(x).data).hexdigest()
    told = {
        "sound": f"{x.dtype} {sound}",
        "method": method.parameters,
        "version": version("cdlnmf-lit"),
    }
    plain: dict[str, Any] = json.loads(json.dumps(told | {"K": n_components} | asked))
    return plain


def save(path: Path, kept: Kept, about: Mapping[str, Any]) -> None:
    """Write what is kept, and of which run it is, whole or not at all.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(Path(folder, "reached.npz"), {(0,): Run(iter(()))}, {"seed": 3})
    ...     list(load(Path(folder, "reached.npz"), {"seed": 3}))
    [(0,)]
    """
    arrays: list[Any] = []
    runs = [[list(place), _packed_run(value, arrays)] for place, value in kept.items()]
    text = json.dumps({"about": about, "runs": runs})
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez(file, **{str(n): each for n, each in enumerate(arrays)}, about=np.array(text))


def load(path: Path, about: Mapping[str, Any]) -> Kept:
    """Read what :func:`save` wrote.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is of another run, or no checkpoint.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(Path(folder, "reached.npz"), {}, {"seed": 3})
    ...     load(Path(folder, "reached.npz"), {"seed": 4})
    Traceback (most recent call last):
        ...
    ValueError: it is of a run with another seed
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            told = json.loads(str(stored["about"]))
            others = [name for name in about if told["about"].get(name) != about[name]]
            arrays = [] if others else [stored[str(n)] for n in range(len(stored.files) - 1)]
        kept: Kept = {}
        for place, packed in [] if others else told["runs"]:
            kept[tuple(place)] = _unpacked_run(packed, arrays, tuple(place))
    except OSError:
        raise
    except Exception as error:
        raise ValueError("it is damaged") from error
    if others:
        raise ValueError(f"it is of a run with another {', another '.join(others)}")
    return kept


def saving(
    path: Path,
    seconds: float,
    kept: Kept,
    about: Mapping[str, Any],
    stop: threading.Event | None = None,
) -> Watch:
    """A watcher that saves what is kept so often, and once more where the run is asked to end.

    After that it saves nothing: what follows is no more than a result of what was reached. It must
    be the last of :func:`~cdlnmf_lit.methods.watchers.all_of`. A checkpoint that cannot be written
    does not end the run, but is left out.

    Examples
    --------
    >>> import tempfile
    >>> from cdlnmf_lit import NMF
    >>> x, kept = np.sin(0.3 * np.arange(4000.0)), {}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "reached.npz")
    ...     _ = NMF().decompose(x, 1, kept=kept, watch=saving(path, 0, kept, {}))
    ...     path.exists()
    True
    """
    saved, ended = time.monotonic(), False

    def watch(method: Method, states: Iterator[Any]) -> Iterator[Any]:
        nonlocal saved, ended
        for state in states:
            yield state
            if not ended and time.monotonic() - saved >= seconds:
                with suppress(OSError):
                    save(path, kept, about)
                saved = time.monotonic()
        if stop is not None and stop.is_set() and not ended:
            with suppress(OSError):
                save(path, kept, about)
            ended = True

    return watch


# ---- as plain values and arrays ------------------------------------------------------------------


def _packed_run(value: Any, arrays: list[Any]) -> dict[str, Any]:
    """A run, or what one is to begin from."""
    if isinstance(value, Decomposition):
        return {"found": _packed(value, None, arrays, {})}
    records, packed = value.records, None
    columns = {name: np.array([each[name] for each in records]) for name in (records or [{}])[0]}
    if value.state is not None:
        problem, seen = value.state.problem, dict[int, int]()
        packed = {
            "kept": _packed(problem.kept(), None, arrays, seen),
            "state": _packed(value.state, problem, arrays, seen),
        }
    columns = _packed(columns, None, arrays, {})
    return {"run": packed, "records": columns, "status": value.status}


def _unpacked_run(told: dict[str, Any], arrays: list[Any], place: tuple[int, ...]) -> Any:
    if "found" in told:
        return _unpacked(told["found"], arrays, None)
    columns = _unpacked(told["records"], arrays, None)
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return Saved(told["run"], arrays, records, told["status"], place)


def _packed(value: Any, problem: Any, arrays: list[Any], seen: dict[int, int]) -> Any:
    """A value with its arrays put aside; one that is met twice is put there once."""

    def again(each: Any) -> Any:
        return _packed(each, problem, arrays, seen)

    if isinstance(value, np.ndarray | np.generic):
        number = seen.setdefault(id(value), len(arrays))
        if number == len(arrays):
            arrays.append(value)
        return {"array" if isinstance(value, np.ndarray) else "number": number}
    if problem is not None and value is problem:
        return {"problem": True}
    if is_dataclass(value):
        told = {each.name: again(getattr(value, each.name)) for each in fields(value)}
        kind = type(value)
        return {"kind": [kind.__module__.removeprefix(ROOM), kind.__name__], "fields": told}
    if isinstance(value, Mapping):
        return {"mapping": {name: again(each) for name, each in value.items()}}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [again(each) for each in value]}
    return value


def _unpacked(told: Any, arrays: list[Any], problem: Any) -> Any:
    """The value that :func:`_packed` told."""

    def again(each: Any) -> Any:
        return _unpacked(each, arrays, problem)

    match told:
        case {"array": number}:
            return arrays[number]
        case {"number": number}:
            return arrays[number][()]
        case {"problem": True}:
            return problem
        case {"kind": [module, name], "fields": values}:
            kind = getattr(import_module(ROOM + module), name)
            return kind(**{each: again(value) for each, value in values.items()})
        case {"mapping": values}:
            return {name: again(each) for name, each in values.items()}
        case {"list": values}:
            return [again(each) for each in values]
        case {"tuple": values}:
            return tuple(again(each) for each in values)
    return told
