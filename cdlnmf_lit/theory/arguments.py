"""What every public function asks of its arguments, before it does any work."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
"""A NumPy array; each docstring states its shape and dtype."""


def array(value: ArrayLike, name: str, ndim: int, *, allow_complex: bool = False) -> Array:
    """Return ``value`` as a non-empty, finite, floating-point array of ``ndim`` dimensions.

    float32 and complex64 are kept, in this machine's byte order; nothing else is converted in
    silence.

    Raises
    ------
    ValueError
        If the array is empty, has another number of dimensions, holds integers, NaN or
        infinities, or is complex where only real numbers are meant; if it is no array, but a
        list of several of them, or one that is sparse or has masked entries.

    Examples
    --------
    >>> array([1.0, 2.0], "x", 1)
    array([1., 2.])
    >>> array([1, 2], "x", 1)
    Traceback (most recent call last):
        ...
    ValueError: x must hold floating-point numbers, got int64: convert it, e.g. x.astype(float)
    """
    if type(value).__module__.startswith("scipy.sparse"):  # which is not imported for that alone
        raise ValueError(f"{name} must be a dense array, got a sparse one: pass {name}.toarray()")
    if np.ma.is_masked(value):
        raise ValueError(f"{name} must have no masked entries: fill or leave them out first")
    try:
        found = np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"{name} must be one array, got a list of parts that differ in shape"
        ) from error
    if found.ndim != ndim:
        rule = {1: "one-dimensional", 2: "two-dimensional"}.get(ndim, f"{ndim}-dimensional")
        remedy = ": pick or average the channels first" if (ndim, found.ndim) == (1, 2) else ""
        raise ValueError(f"{name} must be {rule}, got shape {found.shape}{remedy}")
    if found.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {found.shape}")
    if np.iscomplexobj(found) and not allow_complex:
        raise ValueError(f"{name} must be real, got {found.dtype}")
    found = found.astype(found.dtype.newbyteorder("="), copy=False)
    if found.dtype not in (np.float32, np.float64, np.complex64, np.complex128):
        raise ValueError(
            f"{name} must hold floating-point numbers, got {found.dtype}: "
            f"convert it, e.g. {name}.astype(float)"
        )
    if not np.all(np.isfinite(found)):
        position = tuple(int(i) for i in np.argwhere(~np.isfinite(found))[0])
        where = position[0] if ndim == 1 else position
        raise ValueError(f"{name} must be finite, got {found[position]} at index {where}")
    return found


def signal(value: ArrayLike, name: str = "x") -> Array:
    """Return ``value`` as a real, finite, non-empty one-dimensional float array.

    Raises
    ------
    ValueError
        See :func:`array`.

    Examples
    --------
    >>> signal([0.0, float("nan")])
    Traceback (most recent call last):
        ...
    ValueError: x must be finite, got nan at index 1
    """
    return array(value, name, 1)


def require_range(x: Array, dtype: Any) -> None:
    """Refuse a signal whose fourth powers the precision cannot hold; silence passes.

    The square of a power spectrogram is one.

    Raises
    ------
    ValueError
        If it is too large or too small.

    Examples
    --------
    >>> require_range(np.array([0.0, 1e-12]), "float32")
    Traceback (most recent call last):
        ...
    ValueError: x must be at its largest from 3.3e-10 to 4.3e+09 in float32, got 1e-12: scale it
    """
    limits, largest = np.finfo(dtype), float(np.abs(x).max())
    least, most = float(limits.tiny) ** 0.25, float(limits.max) ** 0.25
    if largest and not least <= largest <= most:
        bounds = f"from {least:.2g} to {most:.2g} in {np.dtype(dtype)}"
        raise ValueError(f"x must be at its largest {bounds}, got {largest:.4g}: scale it")


def integer(value: Any, name: str, *, at_least: int = 1, at_most: int | None = None) -> int:
    """Return ``value`` as an ``int`` between ``at_least`` and ``at_most``.

    Raises
    ------
    ValueError
        If it is no whole number or lies outside.

    Examples
    --------
    >>> integer(0, "hop", at_most=8)
    Traceback (most recent call last):
        ...
    ValueError: hop must be a whole number from 1 to 8, got 0
    """
    bounds = f"from {at_least} to {at_most}" if at_most is not None else f"of at least {at_least}"
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < at_least or (at_most is not None and value > at_most):
        raise ValueError(f"{name} must be a whole number {bounds}, got {value!r}")
    return int(value)


def non_negative(value: Any, name: str) -> float:
    """Return ``value`` as a finite float of at least 0.

    Raises
    ------
    ValueError
        If it is no such number.

    Examples
    --------
    >>> non_negative(-1.0, "penalty")
    Traceback (most recent call last):
        ...
    ValueError: penalty must be a finite number of at least 0, got -1.0
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 <= float(value) < float("inf"):
        raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}")
    return float(value)


def choice(value: Any, name: str, options: Any) -> str:
    """Return ``value`` if it is one of the ``options``.

    Raises
    ------
    ValueError
        If it is none of them; the message lists them.

    Examples
    --------
    >>> choice("tape", "start", ["random", "segments"])
    Traceback (most recent call last):
        ...
    ValueError: start must be one of random, segments, got 'tape'
    """
    if not isinstance(value, str) or value not in options:
        is_short = value is None or isinstance(value, str | Real)
        got = repr(value) if is_short else type(value).__name__
        raise ValueError(f"{name} must be one of {', '.join(options)}, got {got}")
    return str(value)
