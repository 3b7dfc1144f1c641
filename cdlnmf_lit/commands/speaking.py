"""What the command line says."""

from __future__ import annotations

import errno
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

NAME = "cdlnmf-lit"
SYSTEM = {
    errno.ENOENT: "there is no such file or folder",
    errno.EACCES: "this user may not read or write it: change its permissions, or name another",
    errno.EPERM: "this user may not read or write it: change its permissions, or name another",
    errno.EISDIR: "is a folder, not a file",
    errno.ENOTDIR: "cannot be made, as a part of its name is a file, not a folder",
    errno.ENOSPC: "the disk is full: make room, or name a folder on another disk",
    errno.EDQUOT: "the disk quota is used up: make room, or name a folder on another disk",
    errno.EFBIG: "the file would be larger than this system allows: a shorter piece of the sound",
    errno.EROFS: "the disk can only be read: name a folder on another one",
    errno.EBUSY: "is in use and cannot be replaced: name a folder inside of it, or another",
    errno.EMFILE: "too many files are open: close some, or raise the limit (ulimit -n)",
    errno.EIO: "the disk failed to read or write: try another, and look after this one",
    errno.ENAMETOOLONG: "the name is too long: a shorter one",
}
"""What an error of the system means, and what to do."""
OUT_OF_MEMORY = "out of memory: --estimate tells what a run takes; a shorter piece takes less"


def say(kind: str, message: object) -> None:
    """Print one line where errors are printed."""
    print(f"{NAME}: {kind}: {' '.join(str(message).split())}", file=sys.stderr)


def in_words(record: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in record.items())


def error_in_words(error: Exception) -> str:
    """What happened, to which file, what to do."""
    match error:
        case ModuleNotFoundError():
            return f'the package {error.name} is not there: pip install "{NAME}[audio,plot]"'
        case OSError(errno=int(number)):
            told = SYSTEM.get(number, str(error.strerror).lower())
            return f"{error.filename}: {told}" if error.filename else told
        case MemoryError():
            is_ours = str(error) and not str(error).startswith("Unable to allocate")
            return str(error) if is_ours else OUT_OF_MEMORY
    return str(error)


@contextmanager
def warnings_noted() -> Iterator[list[str]]:
    """The warnings of a block, which are shown as before."""
    noted: list[str] = []
    shown = warnings.showwarning

    def note(message: Warning | str, *place: Any, **more: Any) -> None:
        noted.append(str(message))
        shown(message, *place, **more)

    warnings.showwarning = note
    try:
        yield noted
    finally:
        warnings.showwarning = shown
