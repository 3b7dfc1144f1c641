"""``cdlnmf-lit learn``: patterns that many recordings have in common.

Chapter: ``book/experiments/learn_once.md``.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from cdlnmf_lit.commands.decompose import method_of
from cdlnmf_lit.commands.running import INTERRUPTED, bar, stopped_gently
from cdlnmf_lit.commands.sounds import channel_of, sounds_by_name
from cdlnmf_lit.commands.speaking import in_words
from cdlnmf_lit.methods import METHODS
from cdlnmf_lit.methods.checkpoints import Kept
from cdlnmf_lit.methods.method import Method, State, Watch
from cdlnmf_lit.methods.recipes import RECIPES
from cdlnmf_lit.methods.watchers import until
from cdlnmf_lit.recordings.decomposing import RECIPE
from cdlnmf_lit.theory import arguments

UNITS = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}
"""Seconds."""


def learn(options: argparse.Namespace) -> int:
    """Learn from all recordings and write the patterns, whole or not at all."""
    from cdlnmf_lit.recordings import learning

    out: Path = options.out
    arguments.integer(options.n_components, "n_components")
    arguments.integer(options.jobs, "jobs")
    arguments.integer(options.seed, "seed", at_least=0)
    excerpts = None if options.excerpts is None else seconds(options.excerpts, "excerpts")
    longest = seconds(options.longest, "longest")
    _refuse_unwritable(out, options.force)
    sounds = [*sounds_by_name(options.sounds, out).values()]
    kept: Kept = {}
    seen: list[Watch] = []

    with (
        stopped_gently() as stop,
        learning.workers(options.jobs, options.scheduler),
        ExitStack() as shown,
    ):

        def asked(rate: int) -> Method:
            method = method_of(options, rate)
            seen.append(shown.enter_context(bar(method, kept, options.quiet)))
            return method

        def watch(stage: Method, states: Iterator[State]) -> Iterator[State]:
            return seen[0](stage, until(stop)(stage, states))

        found = learning.learn(
            asked,
            sounds,
            options.n_components,
            channel=channel_of(options),
            excerpts=excerpts,
            longest=longest,
            rng=options.seed,
            watch=watch,
            kept=kept,
            folder=out.parent,
        )
    about = {"seed": options.seed, "recipe": str(options.method or options.recipe or RECIPE)}
    found = replace(found, parameters=found.parameters | about | {"sample_rate": found.sample_rate})
    found.save(out)
    last = {name: each[-1] for name, each in found.history.items()}
    print(f"{found.status}; {in_words(last)}")
    count = found.parameters["n_recordings"]
    print(
        f"{out}: {found.n_components} patterns, learnt from {count} pieces of {len(sounds)} sounds"
    )
    return INTERRUPTED if found.is_stopped else 0


def seconds(text: str, name: str) -> float:
    """A duration as one says it: 90, 90s, 10min or 2h."""
    told = re.fullmatch(r"(\d+\.?\d*|\.\d+) ?(s|min|h|)", str(text))
    if told is None or float(told[1]) == 0:
        raise ValueError(f"{name} must be a duration above 0, as 90s, 10min or 2h, got {text!r}")
    return float(told[1]) * UNITS[told[2]]


def _refuse_unwritable(out: Path, force: bool) -> None:
    """Make sure, before any work, that the patterns will have their place."""
    if out.suffix != ".npz":
        raise ValueError(f"out must be a file that ends in .npz, got {str(out)!r}")
    if out.exists() and (out.is_dir() or not force):
        what = "which is a folder" if out.is_dir() else "which is there: pass --force to replace it"
        raise FileExistsError(f"out must be a new file, got {str(out)!r}, {what}")
    tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent).cleanup()


def add_to(commands: Any, add_options_of_methods: Callable[[Any, Sequence[Any]], Any]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "learn",
        help="learn patterns that many recordings have in common",
        description="Write the patterns (.npz) that all recordings have in common, for apply. By "
        "nmf, convolutive-nmf, cdl, and recipes of them.",
        epilog="Ctrl-C ends after the current iteration and keeps what was reached.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("sounds", metavar="RECORDING", nargs="+", help="sound files, and folders of them")
    add("-K", "--n-components", type=int, required=True, help="how many patterns")
    add(
        "-o",
        "--out",
        type=Path,
        default=Path("patterns.npz"),
        help="the file to write (default: patterns.npz)",
    )
    add("--force", action="store_true", help="replace the file if it is there")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--recipe", help=f"{', '.join(RECIPES)} (default: {RECIPE})")
    what.add_argument("--method", help=f"one of {', '.join(METHODS)}")
    add("--channel", help="which channel of several: 0, 1, ... or mean; by default as in decompose")
    add(
        "--excerpts",
        metavar="DURATION",
        help="learn from excerpts that last so long in all, as 10min, drawn by energy: a first "
        "answer; what is soft or rare may be in none",
    )
    add(
        "--longest",
        metavar="DURATION",
        default="5min",
        help="longer recordings are cut, and no pattern reaches over a cut (default: 5min)",
    )
    add("--jobs", type=int, default=1, help="how many processes (default: 1)")
    add(
        "--scheduler",
        metavar="ADDRESS",
        help="of a Dask cluster, whose workers reach the folder of OUT by the same path",
    )
    add(
        "--seed",
        type=int,
        default=0,
        help="of the random start and excerpts: the same gives the same (default: 0)",
    )
    add("--quiet", action="store_true", help="show no progress bar")
    add_options_of_methods(parser, [METHODS[name]() for name in ("nmf", "convolutive-nmf", "cdl")])
    parser.set_defaults(command=learn)
