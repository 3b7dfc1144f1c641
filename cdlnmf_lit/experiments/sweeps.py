"""Sweeps: one function at many points, in parallel; each result is on disk once it is there.

Chapter: ``book/experiments/sweeps.md``.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import joblib
import numpy as np
from numpy.typing import NDArray

from cdlnmf_lit.experiments.fingerprints import code_alone, fingerprint

Result = TypeVar("Result")
Point = Mapping[str, Any]
"""The keyword arguments of one call."""
Key = tuple[str, str, Any]
"""Name of a function, digest of its file's code, and what the point counts by."""
Call = tuple[Key, Callable[..., Any], Point]

ROOMS = ("theory", "methods", "experiments")
"""The parts of the package that a result depends on."""
VERSIONS = ("numpy", "scipy", "numba", "joblib", "fast-bss-eval", "mir_eval")
"""The distributions whose version a result depends on."""
BROWSER = sys.platform == "emscripten"
"""Where nobody edits a file, to parse all of them takes seconds, and a trial minutes."""


def library_fingerprint(
    package: Path = Path(__file__).parents[1], read: Callable[[Path], bytes] = code_alone
) -> str:
    """Fingerprint the package's code, as it is on disk, and what it computes with.

    What draws and plays (``presentation``) is no part of it, nor are comments and docstrings: to
    change a figure or a sentence repeats no sweep.

    Parameters
    ----------
    package
        The folder of the package.
    read
        What counts of a file.

    Examples
    --------
    >>> library_fingerprint() == library_fingerprint()
    True
    """
    files = [path for room in ROOMS for path in (package / room).rglob("*.py")]
    return fingerprint(files, package, VERSIONS, read)[:16]


LIBRARY = library_fingerprint(read=Path.read_bytes if BROWSER else code_alone)
"""The fingerprint of what this process imported: files may be edited while it runs."""


def sweep(
    function: Callable[..., Result], points: Iterable[Point], *, folder: str | Path | None = None
) -> list[Result]:
    """Call ``function(**point)`` at each point that has no result on disk; return all results.

    Each result is written by the process that computed it, as soon as it is there, whole or not
    at all. Whatever ends a sweep (an error, Ctrl-C, a kill), the next call goes on from there.
    A result is found again as long as the function, the point, the code of the library
    and the versions of its dependencies are the same.

    The points are computed one after the other, unless ``joblib.parallel_config`` says otherwise:
    ``n_jobs=2`` takes two processes, ``backend="dask"`` a cluster, whose workers have to reach the
    same folder.

    Parameters
    ----------
    function
        A function of a module, not of a notebook nor inside another function: where it is, its
        whole source is known.
    points
        The keyword arguments of each call: numbers, strings, arrays, dataclasses, and lists,
        tuples and dictionaries of them. A dataclass counts by its fields. A path counts by its
        name, not by what is in the file.
    folder
        Where the results are kept. By default it is what the environment variable
        ``CDLNMF_SWEEPS`` names, or else a folder of the user's cache.

    Returns
    -------
    list
        One result a point, in their order.

    Raises
    ------
    ValueError
        If the function is not a module's, or its file was edited since it was imported.
    OSError
        If a result cannot be written.
    Exception
        What the function raises; a note names the point. Finished results are kept.

    Examples
    --------
    >>> import tempfile
    >>> from cdlnmf_lit.experiments.signals import chirps
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     once = sweep(chirps, grid(rng=range(2), noise=[0.0]), folder=folder)
    ...     again = sweep(chirps, grid(rng=range(3), noise=[0.0]), folder=folder)  # one is new
    >>> len(once), len(again), (once[1].stems == again[1].stems).all().item()
    (2, 3, True)
    """
    calls = _calls(function, points)
    kept = _kept(folder)
    is_there = [kept.check_call_in_cache(*call) for call in calls]
    missing = (call for call, there in zip(calls, is_there, strict=True) if not there)
    tasks = (joblib.delayed(_compute)(kept, LIBRARY, call) for call in missing)
    computed = iter(joblib.Parallel(batch_size=1)(tasks))
    return [
        kept(*call) if there else next(computed)
        for call, there in zip(calls, is_there, strict=True)
    ]


def finished(
    function: Callable[..., Any], points: Iterable[Point], *, folder: str | Path | None = None
) -> list[bool]:
    """Say of each point whether its result is on disk, also while another process sweeps.

    Parameters
    ----------
    function, points, folder
        See :func:`sweep`.

    Returns
    -------
    list of bool

    Examples
    --------
    >>> import tempfile
    >>> from cdlnmf_lit.experiments.signals import chirps
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = sweep(chirps, grid(rng=[1]), folder=folder)
    ...     finished(chirps, grid(rng=range(3)), folder=folder)
    [False, True, False]
    """
    kept = _kept(folder)
    return [kept.check_call_in_cache(*call) for call in _calls(function, points)]


def grid(**axes: Iterable[Any]) -> list[dict[str, Any]]:
    """Every combination of the axes' values, as points; the last axis runs fastest.

    Examples
    --------
    >>> for point in grid(method=["cdl", "nmf"], rng=range(2)):
    ...     print(point)
    {'method': 'cdl', 'rng': 0}
    {'method': 'cdl', 'rng': 1}
    {'method': 'nmf', 'rng': 0}
    {'method': 'nmf', 'rng': 1}
    """
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


# ---- what a result is kept by --------------------------------------------------------------------


def _kept(folder: str | Path | None) -> Any:
    """:func:`_result`, kept in the folder by its key alone."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = folder or os.environ.get("CDLNMF_SWEEPS") or caches / "cdlnmf_lit" / "sweeps"
    memory = joblib.Memory(Path(place).absolute() / LIBRARY, verbose=0)
    return memory.cache(_result, ignore=["function", "point"])


def _result(key: Key, function: Callable[..., Result], point: Point) -> Result:
    try:
        return function(**point)
    except Exception as error:
        error.add_note(f"at the point {dict(point)} of a sweep of {key[0]}")
        raise


def _compute(kept: Any, library: str, call: Call) -> Any:
    """Compute and keep one result, if this process has the library of the one that asks."""
    if library != LIBRARY:
        raise RuntimeError(
            "the library of this worker differs from its caller's, in source or versions: "
            "start both again"
        )
    result = kept(*call)
    if not kept.check_call_in_cache(*call):
        raise OSError(f"the result of {call[0][0]} at the point {dict(call[2])} was not written")
    return result


def _calls(function: Callable[..., Any], points: Iterable[Point]) -> list[Call]:
    name, source = _identity(function)
    digest = once_an_array(joblib.hash)
    return [((name, source, key_of(point, digest)), function, point) for point in points]


def _identity(function: Callable[..., Any]) -> tuple[str, str]:
    """The dotted name of a module's function, and a digest of the module's file."""
    module = sys.modules.get(getattr(function, "__module__", None) or "__main__")
    name = getattr(function, "__qualname__", repr(function))
    of_module = inspect.isfunction(function) and getattr(module, name, None) is function
    if module is None or module.__name__ == "__main__" or not of_module:
        raise ValueError(f"function must be one that a module defines by that name, got {name}")
    path = Path(inspect.getfile(module))
    code = inspect.unwrap(function).__code__
    if code not in compile(path.read_bytes(), path, "exec", dont_inherit=True).co_consts:
        raise ValueError(f"function must be as its file says, got {name}: import {path.name} anew")
    return f"{module.__name__}.{name}", fingerprint([path], path.parent, [], code_alone)


def key_of(value: Any, of_array: Callable[[NDArray[Any]], Any]) -> Any:
    """What a value counts by: a dataclass by its fields, without what it cached beside them.

    Examples
    --------
    >>> key_of({"seed": 3, "x": [np.ones(2)]}, of_array=lambda array: array.size)
    {'seed': 3, 'x': [2]}
    """
    if isinstance(value, np.ndarray):
        return of_array(value)
    if is_dataclass(value) and not isinstance(value, type):
        own = {field.name: key_of(getattr(value, field.name), of_array) for field in fields(value)}
        return f"{type(value).__module__}.{type(value).__qualname__}", own
    if isinstance(value, Mapping):
        return {name: key_of(each, of_array) for name, each in value.items()}
    if isinstance(value, list):
        return [key_of(each, of_array) for each in value]
    if isinstance(value, tuple):
        return tuple(key_of(each, of_array) for each in value)
    return value


def once_an_array(function: Callable[[NDArray[Any]], Result]) -> Callable[[NDArray[Any]], Result]:
    """The function, called once for each array: points share theirs, and keep them alive.

    Examples
    --------
    >>> x, digest = np.ones(3), once_an_array(joblib.hash)
    >>> digest(x) is digest(x)
    True
    """
    found: dict[int, Result] = {}

    def call(array: NDArray[Any]) -> Result:
        if id(array) not in found:
            found[id(array)] = function(array)
        return found[id(array)]

    return call
