"""``cdlnmf-lit apply``: what was learnt from one sound is found in others, of any length.

Chapter: ``book/experiments/learn_once.md``.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cdlnmf_lit.commands.running import INTERRUPTED, refuse_taken, refuse_unwritable, stopped_gently
from cdlnmf_lit.commands.sounds import LABELS_ARE, channel_of, labels, sounds_by_name
from cdlnmf_lit.commands.speaking import error_of, say
from cdlnmf_lit.methods.decomposition import Decomposition


def add_to(commands: Any) -> None:
    """Add the command to a parser's commands."""
    parser = commands.add_parser(
        "apply",
        help="find what was learnt from one recording in others",
        description="Find the patterns of a result in other recordings, of any length. Writes a "
        "folder for each: when they sound (events.csv) and, one file for each, what they sound "
        "like there.",
        epilog="Ctrl-C ends after the current block. A run that ended before its recording did "
        "goes on when the same is asked again.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("result", metavar="RESULT", type=Path, help="the decomposition.npz of a result")
    add(
        "sounds",
        metavar="SOUND",
        nargs="+",
        help="a sound file, - for standard input, or a folder of them",
    )
    add("-o", "--out", type=Path, required=True, help="the folder to write")
    add(
        "--write",
        choices=("sounds", "events"),
        default="sounds",
        help="one sound for each component, what they leave, and the events; or the events alone "
        "(default: sounds)",
    )
    add("--labels", type=labels, default=(), metavar="FORMATS", help=LABELS_ARE)
    add(
        "--share",
        type=float,
        metavar="SHARE",
        help="how sparse: λ as a share of the largest that the recording could need, in place of "
        "the λ of the result; takes a first pass",
    )
    add("--channel", help="which channel of several: 0, 1, ... or mean; by default as in decompose")
    add(
        "--strict",
        action="store_true",
        help="refuse a file that is cut, damaged, or of another rate",
    )
    add("--force", action="store_true", help="replace an earlier result there")
    add("--quiet", action="store_true", help="show no progress bar")
    add(
        "--checkpoint-every",
        type=float,
        default=30,
        metavar="SECONDS",
        help="how much of a killed run is lost at the most (default: 30)",
    )
    parser.set_defaults(command=apply)


def apply(options: argparse.Namespace) -> int:
    """Apply a result to one sound, or to all of many."""
    found = Decomposition.load(options.result)
    if len(options.sounds) == 1 and not Path(options.sounds[0]).is_dir():
        return apply_to_one(options, found, options.sounds[0], options.out)
    sounds, failures = sounds_by_name(options.sounds, options.out), 0
    for number, (name, sound) in enumerate(sounds.items(), start=1):
        print(f"{number}/{len(sounds)} {sound}", flush=True)
        try:
            out = options.out / name
            if not options.force and (out / "events.csv").exists():
                print("is done, skipped", flush=True)
            elif apply_to_one(options, found, sound, out) == INTERRUPTED:
                return INTERRUPTED
        except (ValueError, OSError, MemoryError) as error:
            failures += 1
            say("error", error_of(sound, error))
    if failures:
        say("error", f"{failures} of {len(sounds)} sounds failed")
    return 2 if failures else 0


def apply_to_one(options: argparse.Namespace, found: Decomposition, sound: str, out: Path) -> int:
    """Apply a result to a sound; what is found is written as it is found."""
    from cdlnmf_lit.recordings import applied
    from cdlnmf_lit.recordings.reading import opened

    refuse_unwritable(out)
    refuse_taken(out, options.force)
    if options.force:
        shutil.rmtree(out.with_name(f"{out.name}.partial"), ignore_errors=True)
    with (
        opened(sound, channel_of(options), strict=options.strict) as source,
        stopped_gently() as stop,
        _bar(options.quiet, found.sample_rate or source.sample_rate) as report,
    ):
        done = applied.apply(
            found,
            source,
            out,
            write=options.write,
            labels=options.labels,
            share=options.share,
            strict=options.strict,
            checkpoint_every=options.checkpoint_every,
            report=report,
            is_stopped=stop.is_set,
        )
    print(f"{out}: {done}", flush=True)
    return 0 if done.is_whole else INTERRUPTED


@contextmanager
def _bar(quiet: bool, sample_rate: int) -> Iterator[Any]:
    """A bar of the seconds that are done."""
    from tqdm import tqdm

    with tqdm(disable=quiet, unit=" s", unit_scale=True) as bar:

        def report(done: int, whole: int | None) -> None:
            bar.total = None if whole is None else whole / sample_rate
            bar.update(done / sample_rate - bar.n)

        yield report
