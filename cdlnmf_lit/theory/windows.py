"""Windows that have a name.

Chapter: ``book/theory/gabor.md``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cdlnmf_lit.theory.arguments import Array, integer


def named_window(window: str | tuple[Any, ...], length: int | None, channels: int | None) -> Array:
    """A periodic window of :mod:`scipy.signal`, by its name; as long as the channels by default.

    Raises
    ------
    ValueError
        If there is no length, or no such window.

    Examples
    --------
    >>> named_window("hann", 4, None)
    array([0. , 0.5, 1. , 0.5])
    """
    if length is None and channels is None:
        raise ValueError(f"length or channels must be given with the named window {window!r}")
    T_g = integer(channels if length is None else length, "length")
    if window == "hann" and T_g > 1:  # scipy.signal takes longer to import than all the rest
        return 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, T_g + 1)[:-1])
    import scipy.signal

    try:
        return np.asarray(scipy.signal.get_window(window, T_g))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"window must be an array or a name SciPy knows, got {window!r}"
        ) from error
