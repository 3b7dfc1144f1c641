"""What the command line says."""

from __future__ import annotations

import errno
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from cdlnmf_lit.methods import METHODS

NAME = "cdlnmf-lit"
FRAME = ("window", "window_length", "hop", "channels")
"""The options that make a frame."""
CALLED = {
    "n_components": "-K",
    "channels": "--fft-length",  # `--channels` stands too near `--channel`
    "length": "--window-length",
    "stop": "--to",
    "x": "the sound",
    "path": "the file",
    "found": "the result",
    "sample_rate": "the sample rate",
}
"""What the command line calls otherwise than the library."""
SPOKEN = {
    "path=": "",
    r"start=(?=\d)": "--from ",
    "stop=": "--to ",
    "must be None": "must be left out",
}
"""What else it says otherwise, as patterns."""
OPTIONS = {"seed", "recipe", "method", "channel", "out", "checkpoint_every", "excerpts", "longest"}
SYSTEM = {
    errno.ENOENT: "there is no such file or folder",
    errno.EACCES: "this user may not read or write it: change its permissions, or name another",
    errno.EPERM: "this user may not read or write it: change its permissions, or name another",
    errno.EISDIR: "is a folder, not a file",
    errno.ENOTDIR: "a part of its name is a file, not a folder",
    errno.ENOTEMPTY: "another run has written it meanwhile: name a folder for each run",
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
    print(f"{NAME}: {kind}: {' '.join(spoken(message).split())}", file=sys.stderr)


def option_named(name: str) -> str:
    """What an argument is called on the command line."""
    return CALLED.get(name, "--" + name.replace("_", "-"))


def spoken(message: object) -> str:
    """What the library says of its arguments, in the names of the command line."""
    of_methods = {each.name for kind in METHODS.values() for each in fields(kind)} - {"frame"}
    names = "|".join({*of_methods, *FRAME, *CALLED, *OPTIONS})
    told = re.sub(
        rf"(^|: |and )({names})(?= must )", lambda at: at[1] + option_named(at[2]), str(message)
    )
    for name, called in SPOKEN.items():
        told = re.sub(rf"\b{name}", called, told)
    return told


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
            return spoken(error) if is_ours else OUT_OF_MEMORY
    return spoken(error)


def error_of(sound: str, error: Exception) -> str:
    """An error of one sound of many, which it names."""
    told = error_in_words(error)
    return told if told.startswith(sound) else f"{sound}: {told}"


@contextmanager
def warnings_noted() -> Iterator[list[str]]:
    """The warnings of a block, which are shown as before."""
    noted: list[str] = []
    shown = warnings.showwarning

    def note(message: Warning | str, *place: Any, **more: Any) -> None:
        noted.append(spoken(message))
        shown(message, *place, **more)

    warnings.showwarning = note
    try:
        yield noted
    finally:
        warnings.showwarning = shown
