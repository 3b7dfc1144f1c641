"""Sounds are written to files, whole or not at all.

Chapter: ``book/experiments/your_own_sound.md``.
"""

from __future__ import annotations

import io
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cdlnmf_lit.methods.decomposition import written_aside
from cdlnmf_lit.theory import arguments
from cdlnmf_lit.theory.blocks import pieces

SUBTYPES = {".flac": "PCM_24", ".mp3": "MPEG_LAYER_III", ".ogg": "VORBIS"}
SUFFIXES = (".wav", *SUBTYPES)
BLOCK = 2**18
"""Samples that are converted at a time."""
ELSEWHERE = 2**32 - 1
"""What the size fields of a header hold where a ``ds64`` chunk states the sizes."""
LARGEST_RIFF = ELSEWHERE - 1
"""Bytes, after its first eight, of the largest file that is no RF64."""
FORM = struct.Struct("<4sI4s 36s 4sIHHIIHHH 4sII 4sI")
"""Of the header of a WAV file, with room for the ``ds64`` chunk of an RF64."""
HIGHEST_RATE = ELSEWHERE // 4
"""Hz, of which a header can still state the bytes a second."""


def write(path: str | os.PathLike[str], x: ArrayLike, sample_rate: int) -> None:
    """Write a sound in the format that the suffix names, whole or not at all.

    The samples are never scaled. ``.wav`` holds 32-bit floats and so any level, the same bytes
    for the same sound. ``.flac`` (24 bits), ``.mp3`` and ``.ogg`` hold levels up to 1.

    Parameters
    ----------
    path
        The file to write; one that is there is replaced at the end.
    x : (T,) float
        The samples.
    sample_rate
        In Hz.

    Raises
    ------
    ValueError
        If ``x`` is no signal, exceeds full scale where the format cannot hold it, or the suffix
        or the rate is none that can be written.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> write("loud.mp3", np.array([0.0, 1.5]), 22050)
    Traceback (most recent call last):
        ...
    ValueError: x must lie within [-1, 1] for .mp3, got a peak of 1.5: scale it or write .wav
    """
    path = Path(path)
    suffix = arguments.choice(path.suffix.lower(), "the suffix of path", SUFFIXES)
    x = arguments.signal(x)
    if suffix == ".wav":
        with streamed(path, sample_rate) as append:
            for part in pieces(x.size, BLOCK):
                append(x[part])
        return
    sample_rate = arguments.integer(sample_rate, "sample_rate")
    if (peak := np.max(np.abs(x))) > 1:
        raise ValueError(
            f"x must lie within [-1, 1] for {suffix}, got a peak of {peak:.3g}: "
            "scale it or write .wav"
        )
    content = encoded(x, sample_rate, suffix)
    with written_aside(path) as aside:
        aside.write_bytes(content)


@contextmanager
def streamed(
    path: str | os.PathLike[str], sample_rate: int
) -> Iterator[Callable[[ArrayLike], None]]:
    """Give a function that appends a block of samples to a WAV file, whole at the end or absent.

    The file has one channel of 32-bit floats, and the same bytes for the same samples, however
    they are cut into blocks. One of more than 4 GiB is written as RF64.

    Parameters
    ----------
    path
        The file to write, a ``.wav``; one that is there is replaced at the end.
    sample_rate
        In Hz.

    Raises
    ------
    ValueError
        If the suffix or the rate is none that can be written; for a block that is no signal; at
        the end, if there was none.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from cdlnmf_lit.recordings.reading import read
    >>> with TemporaryDirectory() as folder:
    ...     with streamed(f"{folder}/tone.wav", 22050) as append:
    ...         append(np.array([0.0, 0.5]))
    ...         append(np.array([-0.5]))
    ...     read(f"{folder}/tone.wav")
    (array([ 0. ,  0.5, -0.5]), 22050)
    """
    path = Path(path)
    arguments.choice(path.suffix.lower(), "the suffix of path", (".wav",))
    arguments.integer(sample_rate, "sample_rate", at_most=HIGHEST_RATE)
    with written_aside(path) as aside, continued(aside, sample_rate) as append:
        yield append
        if aside.stat().st_size == FORM.size:
            raise ValueError(f"path={path} must be given a block at least, got none")


@contextmanager
def continued(
    path: str | os.PathLike[str], sample_rate: int, n_samples: int = 0
) -> Iterator[Callable[[ArrayLike], None]]:
    """Give a function that appends blocks to a WAV file that stays, whole only at the end.

    For files that take long: one that was left can be gone on with. Each block is in the file when
    the function returns.

    Parameters
    ----------
    path
        The file.
    sample_rate
        In Hz.
    n_samples
        How many samples of the file are kept; those after them are cut off.

    Raises
    ------
    OSError
        If the file cannot be written, or has not as many samples.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from cdlnmf_lit.recordings.reading import read
    >>> with TemporaryDirectory() as folder:
    ...     for kept, block in ((0, [0.25, -0.25]), (1, [-0.5, 0.25])):
    ...         with continued(f"{folder}/x.wav", 8000, kept) as append:
    ...             append(np.array(block))
    ...     read(f"{folder}/x.wav")[0]
    array([ 0.25, -0.5 ,  0.25])
    """
    path = Path(path)
    with path.open("r+b" if n_samples else "wb") as file:
        start = FORM.size + 4 * n_samples
        if n_samples and path.stat().st_size < start:
            raise OSError(f"{path} must hold the {n_samples} samples to go on after, but is cut")
        file.seek(start)
        file.truncate(start)

        def append(block: ArrayLike) -> None:
            file.write(_float32(arguments.signal(block, "block")).data)
            file.flush()

        yield append
        written = (file.tell() - FORM.size) // 4
        file.seek(0)
        file.write(_header(written, sample_rate))


@contextmanager
def folder_aside(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder beside ``folder`` to fill; it takes its place if all went well, else it is removed.

    What goes wrong in writing is an :class:`OSError` that names the file in ``folder``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     with folder_aside(f"{place}/out") as aside:
    ...         write(aside / "x.wav", np.array([0.0, 0.5]), 22050)
    ...     [path.name for path in Path(place).rglob("*")]
    ['out', 'x.wav']
    """
    target = Path(folder).resolve()
    aside, old = (target.with_name(f".{target.name}.{os.getpid()}.{e}") for e in ("partial", "old"))
    try:
        aside.mkdir(parents=True)
        yield aside
        if target.exists():
            target.rename(old)
        aside.rename(target)
    except OSError as error:
        where = Path(str(error.filename))
        if error.errno is None or not where.is_relative_to(aside):
            raise
        name = Path(folder) / where.relative_to(aside)
        raise OSError(error.errno, error.strerror, str(name)) from error
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        for each in (aside, old):
            shutil.rmtree(each, ignore_errors=True)


def encoded(x: NDArray[Any], sample_rate: int, suffix: str, **options: Any) -> bytes:
    """Return ``x`` as a sound file; a WAV without the date that libsndfile would add."""
    if suffix == ".wav":
        return _header(x.size, sample_rate) + _float32(x).tobytes()
    import soundfile

    buffer = io.BytesIO()
    try:
        format_ = suffix.removeprefix(".").upper()
        soundfile.write(buffer, x, sample_rate, SUBTYPES[suffix], format=format_, **options)
    except soundfile.SoundFileError as error:
        raise ValueError(
            f"sample_rate must be one that {suffix} can hold, got {sample_rate}: write .wav"
        ) from error
    return buffer.getvalue()


def _float32(x: NDArray[Any]) -> NDArray[np.float32]:
    """The samples as a WAV file holds them."""
    with np.errstate(over="ignore"):
        samples = np.ascontiguousarray(x, dtype="<f4")
    if not np.all(np.isfinite(samples)):
        raise ValueError(f"x must be at most 3.4e+38, got a peak of {np.max(np.abs(x)):.3g}")
    return samples


def _header(n_samples: int, sample_rate: int) -> bytes:
    """The bytes before the samples, always as many: a long file takes the place kept by JUNK."""
    size = 4 * n_samples
    whole = FORM.size - 8 + size
    kind, sizes = b"RIFF", (whole, n_samples, size)
    room = struct.pack("<4sI28x", b"JUNK", 28)
    if whole > LARGEST_RIFF:
        kind, sizes = b"RF64", 3 * (ELSEWHERE,)
        room = struct.pack("<4sIQQQI", b"ds64", 28, whole, size, n_samples, 0)
    floats = 18, 3, 1, sample_rate, 4 * sample_rate, 4, 32, 0
    return FORM.pack(
        kind, sizes[0], b"WAVE", room, b"fmt ", *floats, b"fact", 4, sizes[1], b"data", sizes[2]
    )
