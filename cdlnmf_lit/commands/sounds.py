"""The sounds that a command is given: files, folders, standard input, examples."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cdlnmf_lit.commands.speaking import say
from cdlnmf_lit.recordings import decoders
from cdlnmf_lit.recordings.events import LABELS
from cdlnmf_lit.recordings.reading import STANDARD_INPUT, Source, opened
from cdlnmf_lit.theory import arguments

EXAMPLES = ("piano", "chirps")
LABELS_ARE = (
    "write the events for other programs too: audacity, raven, midi, or several, as raven,midi"
)
NAME_OF_INPUT = "standard-input"
"""What the result of standard input is called, where there are several."""


def sounds_by_name(given: Sequence[str], out: Path) -> dict[str, str]:
    """All sounds that are given, those of folders too, by what tells them apart."""
    sounds: list[str] = []
    for each in given:
        if not each:
            raise ValueError("SOUND must be the name of a file or a folder, got ''")
        is_folder = each != STANDARD_INPUT and Path(each).is_dir()
        sounds += _sounds_in(Path(each), out) if is_folder else [each]
    named = {each.replace(":", "_"): each for each in sounds if each.startswith("example:")}
    if STANDARD_INPUT in sounds:
        named[NAME_OF_INPUT] = STANDARD_INPUT
    others = [each for each in dict.fromkeys(sounds) if each not in named.values()]
    files = [str(Path(each).absolute()) for each in others]
    common = os.path.commonpath([Path(each).parent for each in files]) if files else ""
    return named | {os.path.relpath(each, common): _relative(each) for each in files}


def _relative(file: str) -> str:
    """A file as seen from here; one that is called as standard input is, by its folder too."""
    path = os.path.relpath(file)
    return os.path.join(os.curdir, path) if path == STANDARD_INPUT else path  # noqa: PTH118


def _sounds_in(folder: Path, out: Path) -> list[str]:
    """The sounds of a folder but those that were written to ``out``; what is none is named."""
    given: list[Path] = []
    others: list[Path] = []
    for path in sorted(_files_in(folder, Path(os.path.realpath(out)))):
        (given if decoders.is_sound(path) else others).append(path)
    if not given:
        raise ValueError(f"SOUND must be a folder that holds sounds outside of out, got {folder}")
    if others:
        named = ", ".join(str(path.relative_to(folder)) for path in others)
        say("note", f"{folder}: passed over, as no sounds: {named}")
    return list(map(str, given))


def _files_in(folder: Path, out: Path) -> Iterator[Path]:
    """All files but hidden ones, through links to folders too, each folder once."""
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen or Path(real).is_relative_to(out):
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in files if not name.startswith("."))


def channel_of(options: argparse.Namespace) -> int | str | None:
    """The channel that is asked for, by its number or its name."""
    channel: str | None = options.channel
    is_number = channel is not None and channel.lstrip("-").isdigit()
    return int(channel) if channel and is_number else channel


@contextmanager
def heard(name: str, options: argparse.Namespace) -> Iterator[Source]:
    """The sound that is asked for, a file's or an example's; its samples are not yet read."""
    kind, _, example = name.partition(":")
    start, stop = options.begin or 0.0, options.end
    if kind != "example":
        channel = channel_of(options)
        asked = {"strict": options.strict, "holes": options.holes}
        with opened(name, channel, start=start, stop=stop, **asked) as source:
            yield source
        return
    from cdlnmf_lit.experiments import signals

    mixture = getattr(signals, arguments.choice(example, "example", EXAMPLES))()
    rate = mixture.sample_rate
    x = mixture.signal[round(start * rate) : None if stop is None else round(stop * rate)]
    arguments.signal(x, f"the stretch of {name}")
    yield Source(rate, x.size, 0.0, x.dtype.name, lambda: iter([x]))


def labels(text: str) -> list[str]:
    """Formats of labels, with commas between."""
    names = text.split(",")
    if others := [name for name in names if name not in LABELS]:
        raise argparse.ArgumentTypeError(f"must be of {', '.join(LABELS)}, got {others[0]!r}")
    if "midi" in names:
        import mido  # noqa: F401  what is missing is told before any work
    return names


def seconds(text: str) -> float:
    """A time as ``90``, ``1:30`` or ``0:01:30`` in seconds."""
    parts = text.split(":")
    try:
        if len(parts) > 3 or any(not 0 <= float(part) < float("inf") for part in parts):
            raise ValueError
        if any(float(part) >= 60 for part in parts[1:]):
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a time, as 90 or 1:30, got {text!r}") from None
    return float(sum(60**n * float(part) for n, part in enumerate(reversed(parts))))
