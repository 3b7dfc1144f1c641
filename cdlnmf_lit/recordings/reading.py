"""Sounds are read from files: whole, a stretch, or block by block.

Chapter: ``book/experiments/your_own_sound.md``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cdlnmf_lit.recordings import decoders
from cdlnmf_lit.recordings.decoders import Encoded
from cdlnmf_lit.theory import arguments

STANDARD_INPUT = "-"
OFFSET = 10 ** (-50 / 20)
"""A mean that is larger, against the root mean square, is an offset."""
HEARD = 2.0**-24
"""Of full scale; a smaller mean is none: 24 bits do not hold it."""
SILENT = 10 ** (-80 / 10)
"""A channel with less energy, against the loudest, is silent."""
MOST_LOST = 0.75
"""A mean of channels that loses more of their energy is not taken."""


@dataclass(frozen=True)
class Source:
    """One channel of a sound, or of a stretch of it, that has been listened to once.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    n_samples : int
        Of what was asked.
    offset : float
        What is taken off each sample.
    dtype : str
        ``"float64"`` or ``"float32"``.
    decoded : callable
        Gives its samples, as they are in the file, in blocks of any size.
    """

    sample_rate: int
    n_samples: int
    offset: float
    dtype: str
    decoded: Callable[[], Iterator[NDArray[Any]]]

    def blocks(self, size: int) -> Iterator[NDArray[Any]]:
        """The samples in blocks (size,), the last one shorter; from the start each time."""
        size = arguments.integer(size, "size")
        waiting: list[NDArray[Any]] = []
        count = 0
        for block in self.decoded():
            block = block - block.dtype.type(self.offset) if self.offset else block
            while count + block.size >= size:
                head, block = np.split(block, [size - count])
                yield np.concatenate([*waiting, head])
                waiting, count = [], 0
            waiting.append(block)
            count += block.size
        if count:
            yield np.concatenate(waiting)

    def samples(self) -> NDArray[Any]:
        """All samples, (n_samples,)."""
        x, first = np.empty(self.n_samples, self.dtype), 0
        for block in self.decoded():
            x[first : first + block.size] = block
            first += block.size
        if self.offset:
            x -= x.dtype.type(self.offset)
        return x


def read(
    path: str | os.PathLike[str],
    channel: int | str | None = None,
    *,
    start: float = 0.0,
    stop: float | None = None,
    precision: str = "float64",
    strict: bool = False,
    holes: bool = False,
) -> tuple[NDArray[Any], int]:
    """Read a sound as one channel of real numbers.

    WAV, RF64, AIFF, CAF, FLAC, MP3, Ogg and other formats; those of FFmpeg, as M4A, where PyAV is
    installed. What is remarkable is told by a warning: a file that was cut, the channels that it
    has, an offset, which is taken off.

    Parameters
    ----------
    path
        The sound file; ``"-"`` is standard input.
    channel
        Which channel of a file with several: 0, 1, ... or ``"mean"``, their average. By default
        the average of those that are not silent; where it would lose more than 3/4 of their
        energy, as channels in antiphase do, the loudest.
    start, stop
        The stretch to read, in seconds; by default all.
    precision
        ``"float64"`` or ``"float32"``.
    strict
        Whether a sound that was cut is refused.
    holes
        Whether samples that are not numbers (NaN) mark what is missing, and are read as such.

    Returns
    -------
    x : (T,) array
        The samples; full scale is 1.
    sample_rate : int
        In Hz.

    Raises
    ------
    OSError
        If the file is missing, is no sound, or, where ``strict``, ends before the length that it
        states.
    ValueError
        If it holds no sample or one that is not finite, but for ``holes``, or if ``channel`` does
        not choose one of its channels.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from cdlnmf_lit.recordings.writing import write
    >>> with TemporaryDirectory() as folder:
    ...     write(f"{folder}/tone.wav", np.array([0.0, 0.5, -0.5]), 22050)
    ...     read(f"{folder}/tone.wav")
    (array([ 0. ,  0.5, -0.5]), 22050)
    """
    asked: dict[str, Any] = {"start": start, "stop": stop, "precision": precision}
    with opened(path, channel, strict=strict, holes=holes, **asked) as source:
        return source.samples(), source.sample_rate


@contextlib.contextmanager
def opened(
    path: str | os.PathLike[str],
    channel: int | str | None = None,
    *,
    start: float = 0.0,
    stop: float | None = None,
    precision: str = "float64",
    strict: bool = False,
    holes: bool = False,
) -> Iterator[Source]:
    """Open a sound to be read block by block; its arguments are those of :func:`read`.

    It is decoded once when it is opened, so that its length, its offset and the share of each
    channel are known, and once more for its blocks: it is never in memory as a whole.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from cdlnmf_lit.recordings.writing import write
    >>> with TemporaryDirectory() as folder:
    ...     write(f"{folder}/tone.wav", np.array([0.0, 0.5, -0.5]), 22050)
    ...     with opened(f"{folder}/tone.wav") as source:
    ...         print(source.n_samples, *source.blocks(2))
    3 [0.  0.5] [-0.5]
    """
    dtype = arguments.choice(precision, "precision", ("float64", "float32"))
    start = arguments.non_negative(start, "start")
    if stop is not None and arguments.non_negative(stop, "stop") <= start:
        raise ValueError(f"stop must lie after start={start:g}, got {stop!r}")
    with TemporaryDirectory() as folder:
        file, name = _as_file(path, Path(folder))
        encoded = decoders.recognized(file, name, Path(folder))
        yield _listened_to(encoded, name, channel, (start, stop), dtype, strict, holes)


def _as_file(path: str | os.PathLike[str], folder: Path) -> tuple[Path, str]:
    """The file that libraries can open by its name, and what it is called."""
    if os.fspath(path) == STANDARD_INPUT:
        if sys.stdin is None:
            raise OSError("standard input must hold sound, but it is closed")
        with (folder / "input").open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        path, name = folder / "input", "standard input"
    else:
        path = Path(path)
        name = f"path={str(path).encode(errors='replace').decode()}"
        with path.open("rb") as file:
            if not path.is_file() or not _is_encodable(path):
                copied = folder / f"input{path.suffix if _is_encodable(path) else ''}"
                with copied.open("wb") as copy:
                    shutil.copyfileobj(file, copy)
                path = copied
    if path.stat().st_size == 0:
        raise ValueError(f"{name} must hold sound, but the file is empty")
    return path, name


def _is_encodable(path: Path) -> bool:
    try:
        return bool(str(path).encode())
    except UnicodeEncodeError:
        return False


# ---- the first time through --------------------------------------------------------------------


def _listened_to(
    encoded: Encoded,
    name: str,
    channel: int | str | None,
    stretch: tuple[float, float | None],
    dtype: str,
    strict: bool,
    holes: bool,
) -> Source:
    """Find the length, the channels to take and the offset, and say what is remarkable."""
    rate, first = encoded.sample_rate, round(stretch[0] * encoded.sample_rate)
    last = inf if stretch[1] is None else round(stretch[1] * rate)
    channels = _channels(channel, encoded.n_channels, name)

    def decoded(channels: Sequence[int], end: float) -> Iterator[NDArray[Any]]:
        return _until(encoded.blocks(first, dtype), channels, end - first)

    n, missing, fault, count = 0, 0, encoded.fault, len(channels)
    sums, products = np.zeros(count), np.zeros((count, count))
    try:
        for block in decoded(channels, last):
            if holes:
                lost = np.isnan(block).any(axis=1)
                missing += int(lost.sum())
                block = np.where(lost[:, None], 0, block)
            _require_finite(block, n + first, name)
            sums += block.sum(axis=0, dtype=float)
            products += block.T.astype(float) @ block
            n += len(block)
    except OSError as error:
        fault = f"it is damaged, {error}"
    if encoded.stated is not None and 0 < first + n - encoded.stated <= encoded.padding:
        n = round(encoded.stated) - first
    if last == inf or n < last - first:
        _tell_what_is_missing(encoded, first + n, fault, name, strict)
    if n <= 0:
        raise ValueError(f"{name} must hold sound, but it has no samples" + _behind(first, rate))
    known = n - missing
    if not known:
        raise ValueError(f"{name} must hold sound, but all of its samples are NaN")
    if isfinite(last) and n < last - first:
        _say(f"{name} ends at {(first + n) / rate:.2f} s, before stop={stretch[1]:g}")

    weights = np.full(count, 1 / count)
    if channel is None and count > 1:
        weights = _chosen(products - np.outer(sums, sums) / known, name)
    used = [channels[c] for c in np.flatnonzero(weights)]
    mean, rms = float(weights @ sums / known), float(np.sqrt(weights @ products @ weights / known))
    offset = mean if abs(mean) > max(OFFSET * rms, HEARD) else 0.0
    if offset:
        _say(f"{name} has an offset of {offset:.3g}: it is taken off, and is no component's")

    def samples() -> Iterator[NDArray[Any]]:
        for block in decoded(used, first + n):
            yield block.mean(axis=1) if len(used) > 1 else block[:, 0]

    return Source(rate, n, offset, dtype, samples)


def _channels(channel: int | str | None, count: int, name: str) -> list[int]:
    """The columns that may be needed."""
    choices = [*range(count), "mean"]
    if channel is None or channel == "mean":
        return list(range(count))
    if isinstance(channel, bool) or channel not in choices:
        raise ValueError(
            f"channel must be one of {', '.join(map(str, choices))} for {name}, got {channel!r}"
        )
    return [int(channel)]


def _chosen(covariance: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """The weight of each channel: the mean of those that sound, or the loudest; and say which."""
    energies = np.diag(covariance)
    sound = energies > SILENT * energies.max()
    weights = sound / max(sound.sum(), 1)
    lost = 1 - sound.sum() * (weights @ covariance @ weights) / max(energies[sound].sum(), 1e-300)
    count, silent = energies.size, energies.size - sound.sum()
    among = f"{count} channels" + (f", {silent} of them silent" if silent else "")
    share = f"{100 * abs(lost):.0f} % of their energy"
    loudest = int(energies.argmax())
    if sound.sum() > 1 and lost <= MOST_LOST:
        _say(f"{name} has {among}: their mean is taken, which loses {share}")
        return weights
    why = f", as their mean would lose {share}" if sound.sum() > 1 else ""
    _say(f"{name} has {among}: channel {loudest}, the loudest, is taken{why}")
    return np.eye(count)[loudest]


def _tell_what_is_missing(
    encoded: Encoded, found: int, fault: str, name: str, strict: bool
) -> None:
    """Warn, or refuse, where a file ends before it should."""
    rate, stated = encoded.sample_rate, encoded.stated
    says = ""
    if stated is not None and found < stated - encoded.tolerance:
        says, fault = (
            f" of the {stated / rate:.2f} s that it states",
            fault or "it is cut or damaged",
        )
    if not fault:
        return
    told = f"{name} holds {found / rate:.2f} s{says}: {fault}"
    if strict:
        raise OSError(told)
    _say(told)


def _until(
    blocks: Iterator[NDArray[Any]], channels: Sequence[int], count: float
) -> Iterator[NDArray[Any]]:
    """At most ``count`` samples of the chosen channels."""
    for block in blocks:
        yield block[: int(min(count, len(block))), channels]
        count -= len(block)
        if count <= 0:
            return


def _require_finite(block: NDArray[Any], first: int, name: str) -> None:
    if not np.all(np.isfinite(block)):
        t, c = np.argwhere(~np.isfinite(block))[0]
        remedy = ": the command takes it for a hole with --holes, Python with holes=True"
        told = f"{name} must be finite, got {block[t, c]} at index {first + t}"
        raise ValueError(told + remedy * bool(np.isnan(block[t, c])))


def _behind(first: int, rate: int) -> str:
    return f" from start={first / rate:g} s on" if first else ""


def _say(words: str) -> None:
    """Warn at the line that asked for the sound."""
    here = {__file__, contextlib.__file__}
    frames = enumerate(traceback.walk_stack(sys._getframe()), start=1)
    level = next((n for n, (frame, _) in frames if frame.f_code.co_filename not in here), 1)
    warnings.warn(words, stacklevel=level)
