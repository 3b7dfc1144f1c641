"""``cdlnmf-lit decompose``: one sound or many, whole or not at all.

Chapter: ``book/experiments/your_own_sound.md``.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import fields, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cdlnmf_lit.methods import METHODS
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.method import Method, State, Watch
from cdlnmf_lit.methods.recipes import RECIPES
from cdlnmf_lit.methods.watchers import all_of, saving, until
from cdlnmf_lit.theory import arguments
from cdlnmf_lit.theory.gabor import GaborFrame

NAME = "cdlnmf-lit"
EXAMPLES = ("piano", "chirps")
RECIPE = "notes"
FRAME = ("window", "window_length", "hop", "channels")
"""The options that make a frame."""
CERTIFIED = ("cdl", "algorithm-1")
"""The methods that lower what a certificate bounds."""
OWN_FILES = re.compile(r"component_\d+\.wav|residual\.wav|components\.png|decomposition\.npz")
INTERRUPTED = 128 + signal.SIGINT


def say(kind: str, message: object) -> None:
    """Print one line where errors are printed."""
    print(f"{NAME}: {kind}: {' '.join(str(message).split())}", file=sys.stderr)


def decompose(options: argparse.Namespace) -> int:
    """Decompose one sound, or all of many."""
    asked = {"SOUND": options.sounds or None, "-K/--n-components": options.n_components}
    if missing := [name for name, value in asked.items() if value is None]:
        raise ValueError(f"the following arguments are required: {', '.join(missing)}")
    if len(options.sounds) == 1 and not Path(options.sounds[0]).is_dir():
        return decompose_one(options, options.sounds[0])
    return decompose_all(options)


def decompose_all(options: argparse.Namespace) -> int:
    """Decompose each sound into a folder of its own; what fails is told, and the rest goes on."""
    sounds, failures = _sounds_by_name(options.sounds, options.out), 0
    for number, (name, sound) in enumerate(sounds.items(), start=1):
        out = options.out / name
        print(f"{number}/{len(sounds)} {sound}: ", end="", flush=True)
        try:
            if not options.estimate and not options.force and _is_done(out, options):
                print("is done, skipped")
                continue
            with redirect_stdout(io.StringIO()) as printed:
                one = options if options.estimate else _continued(options, out)
                status = decompose_one(one, sound)
        except (ValueError, OSError, MemoryError) as error:
            failures += 1
            print("failed", flush=True)
            say("error", f"{sound}: {error or 'out of memory'}")
            continue
        print(printed.getvalue().splitlines()[-1], flush=True)
        if status == INTERRUPTED:
            return status
    if failures:
        say("error", f"{failures} of {len(sounds)} sounds failed")
    return 2 if failures else 0


def decompose_one(options: argparse.Namespace, sound: str) -> int:
    """Decompose a sound and write the result, whole or not at all."""
    from cdlnmf_lit.presentation import plotting, your_own_sound

    out = options.out
    checkpoint = _checkpoint_of(out)
    arguments.integer(options.seed, "seed", at_least=0)
    every = arguments.non_negative(options.checkpoint_every, "checkpoint_every")
    if not options.estimate:
        _refuse_unwritable(out, options.force)
        _refuse_overwritten(checkpoint, options)
    x, sample_rate = _sound(sound, options.channel)
    with _recipe_in_errors(options, x.size / sample_rate):
        method = method_of(options, sample_rate)
        x, K = method.checked(x, options.n_components)
        print(f"estimate: {method.estimate(x.size, K, x.dtype)}", flush=True)
        if options.estimate:
            return 0
        about = {"seed": options.seed, "recipe": _asked_for(options), "sample_rate": sample_rate}
        found = _found(method, x, options, saving(checkpoint, every, **about))
    found = replace(found, sample_rate=sample_rate, parameters=found.parameters | about)

    with _folder_aside(out) as aside:
        your_own_sound.write(found, aside, sample_rate)
        plotting.components(found, sample_rate).savefig(aside / "components.png")
    checkpoint.unlink(missing_ok=True)
    last = {name: each[-1] for name, each in found.history.items()}
    print(f"{found.status}; {_in_words(last)}")
    if found.method in CERTIFIED and found.parameters["penalty"]:
        print("; ".join(_certified(found)))
    print(f"{out}: {found.n_components} components, residual, figure, decomposition.npz")
    return INTERRUPTED if found.is_stopped else 0


def _found(
    method: Method, x: NDArray[Any], options: argparse.Namespace, checkpoints: Watch
) -> Decomposition:
    """Run all stages, or those from the one on that a given result was reached by."""
    start = _start_of(options)
    stages = (method,) if start is None else _stages_from(start, method)
    with _stopped_gently() as stop:
        runs = sum(stage.runs for stage in stages)
        watch = all_of(checkpoints, _bars(runs, options.quiet), until(stop))
        for stage in stages:
            start = stage.decompose(
                x, options.n_components, start=start, rng=options.seed, watch=watch
            )
    assert start is not None
    return start


# ---- what is asked ---------------------------------------------------------------------------


def method_of(options: argparse.Namespace, sample_rate: int) -> Method:
    """The method that the options describe: a recipe, or a method as it comes, and its changes.

    Raises
    ------
    ValueError
        If there is no such recipe or method, or it has no such option.
    """
    if options.method is not None:
        method = METHODS[arguments.choice(options.method, "method", METHODS)]()
    else:
        recipe = arguments.choice(options.recipe or RECIPE, "recipe", RECIPES)
        method = RECIPES[recipe](sample_rate)
    known = [each.name for each in fields(method)]
    on_frames = "frame" in known
    if on_frames:
        known = [name for name in known if name != "frame"] + list(FRAME)
    every = {each.name for kind in METHODS.values() for each in fields(kind)} | set(FRAME)
    changes = {name: value for name, value in vars(options).items() if name in every}
    for name in changes:
        arguments.choice(name, f"an option of {method.name}", known)
    if "start" in changes and str(changes["start"]).endswith(".npz"):
        del changes["start"]
    for one, other in (("penalty", "share"), ("share", "penalty")):
        if one in changes and other in known:
            changes.setdefault(other, None)
    frame = {name: changes.pop(name) for name in FRAME if on_frames and name in changes}
    if frame:
        changes["frame"] = _frame(method.frame.parameters | frame, "channels" in frame)  # type: ignore
    return replace(method, **changes)


def _frame(asked: Mapping[str, Any], has_channels: bool) -> GaborFrame:
    """The tight frame that the options describe."""
    window = asked["window"]
    name, *numbers = str(window).split(":")
    try:
        shape: Any = (name, *map(float, numbers)) if numbers else name
    except ValueError as error:
        raise ValueError(
            f"window must be a name and numbers, as kaiser:8.6, got {window!r}"
        ) from error
    channels = asked["channels"] if has_channels else None
    return GaborFrame(shape, asked["hop"], channels, length=asked["window_length"]).tight()


def _asked_for(options: argparse.Namespace) -> str:
    return str(options.method or options.recipe or RECIPE)


def _start_of(options: argparse.Namespace) -> Decomposition | None:
    """The result in the file that is to be started from."""
    start = str(getattr(options, "start", ""))
    return Decomposition.load(start) if start.endswith(".npz") else None


def _stages_from(reached: Decomposition, method: Method) -> tuple[Method, ...]:
    """The stage that has reached a result, if it is one of the method's, and those after it."""
    told_by_the_run = {"start", "starts", "penalty", "share", "power", "noise"}
    *before, last = method.stages
    for n, stage in enumerate(before):
        asked = {k: v for k, v in stage.parameters.items() if k not in told_by_the_run}
        if asked.items() <= reached.parameters.items():
            return method.stages[n:]
    return (last,)


@contextmanager
def _recipe_in_errors(options: argparse.Namespace, seconds: float) -> Iterator[None]:
    """Say which recipe chose what is refused, and for how long a sound."""
    try:
        yield
    except ValueError as error:
        if options.method is not None:
            raise
        raise ValueError(
            f"recipe {_asked_for(options)}, {seconds:.3g} s of sound: {error}"
        ) from error


# ---- what goes in ----------------------------------------------------------------------------


def _sounds_by_name(given: Sequence[str], out: Path) -> dict[str, str]:
    """All sounds that are given, those of folders too, by what tells them apart."""
    sounds: list[str] = []
    for each in given:
        sounds += _sounds_in(Path(each), out) if Path(each).is_dir() else [each]
    examples = {each.replace(":", "_"): each for each in sounds if each.startswith("example:")}
    others = [each for each in dict.fromkeys(sounds) if each not in examples.values()]
    files = [str(Path(each).absolute()) for each in others]
    common = os.path.commonpath([Path(each).parent for each in files]) if files else ""
    return examples | {os.path.relpath(each, common): os.path.relpath(each) for each in files}


def _sounds_in(folder: Path, out: Path) -> list[str]:
    """The sound files of a folder, without those that were written to ``out``."""
    from cdlnmf_lit.presentation.audio import SUFFIXES

    written = folder / os.path.relpath(out.resolve(), folder.resolve())
    files = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    given = sorted(path for path in files if path.is_file() and not path.is_relative_to(written))
    if not given:
        raise ValueError(
            f"SOUND must be a folder that holds {', '.join(SUFFIXES)} outside of out, got {folder}"
        )
    return list(map(str, given))


def _sound(name: str, channel: str | None) -> tuple[NDArray[np.float64], int]:
    """The samples and the sampling rate of a file, or of an example by its name."""
    kind, _, example = name.partition(":")
    if kind != "example":
        from cdlnmf_lit.presentation import audio

        number = channel is not None and channel.lstrip("-").isdigit()
        return audio.read(name, int(channel) if channel and number else channel)
    from cdlnmf_lit.experiments import signals

    mixture = getattr(signals, arguments.choice(example, "example", EXAMPLES))()
    return mixture.signal, mixture.sample_rate


# ---- what is there already -------------------------------------------------------------------


def _is_done(out: Path, options: argparse.Namespace) -> bool:
    """Whether there is a whole result of what is asked."""
    result = out / "decomposition.npz"
    if not result.exists():
        return False
    found = Decomposition.load(result)
    return _is_asked_for(found, options) and not found.is_stopped


def _is_asked_for(found: Decomposition, options: argparse.Namespace) -> bool:
    """Whether a result is of as many components, the same recipe and seed."""
    kept = (found.n_components, found.parameters.get("recipe"), found.parameters.get("seed"))
    return kept == (options.n_components, _asked_for(options), options.seed)


def _checkpoint_of(out: Path) -> Path:
    """Where a run into ``out`` keeps what it has reached."""
    return out.parent / f"{out.name}.checkpoint.npz"


def _continued(options: argparse.Namespace, out: Path) -> argparse.Namespace:
    """The options of one of many sounds: it goes on from what a killed run of it has left."""
    one = argparse.Namespace(**vars(options) | {"out": out})
    one.force = options.force or (out / "decomposition.npz").exists()
    checkpoint = _checkpoint_of(out)
    if checkpoint.exists() and not options.force:
        if _is_asked_for(Decomposition.load(checkpoint), options):
            one.start = str(checkpoint)
        else:
            one.force = True
    return one


def _refuse_unwritable(out: Path, force: bool) -> None:
    """Make sure, before any work, that the result will have its place."""
    if not out.name:
        raise ValueError(f"out must name a folder of its own, got {str(out)!r}")
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"out must be a folder, got the file {str(out)!r}")
    found = [entry.name for entry in out.iterdir()] if out.exists() else []
    if foreign := [name for name in found if not OWN_FILES.fullmatch(name)]:
        raise FileExistsError(
            f"out must be a new or empty folder, or an earlier result, got {str(out)!r}, "
            f"which holds {foreign[0]}"
        )
    if found and not force:
        raise FileExistsError(
            f"out must be a new or empty folder, got {str(out)!r}, which holds an earlier result: "
            "pass --force to replace it"
        )
    there = next(parent for parent in out.parents if parent.exists())
    tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=there).cleanup()


def _refuse_overwritten(checkpoint: Path, options: argparse.Namespace) -> None:
    """Keep what a killed run has left, unless it is what this one starts from."""
    start = getattr(options, "start", None)
    continued = isinstance(start, str) and Path(start).resolve() == checkpoint.resolve()
    if checkpoint.exists() and not continued and not options.force:
        raise FileExistsError(
            f"{checkpoint} is left of a run that did not end: continue it with "
            f"--start {checkpoint}, or pass --force to discard it"
        )


# ---- while it runs, and after ----------------------------------------------------------------


@contextmanager
def _stopped_gently() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C (or SIGTERM) into a flag; a second one stops at once."""
    stop = threading.Event()

    def ask(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    before = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _bars(runs: int, quiet: bool) -> Watch:
    """A watcher that shows a bar for each stage and start of a run; the last one stays."""
    from tqdm import tqdm

    numbers = count(1)

    def watch(method: Method, states: Iterator[State]) -> Iterator[State]:
        number = next(numbers)
        label = f"{number}/{runs} {method.name}" if runs > 1 else method.name
        with tqdm(
            desc=label,
            total=method.iterations,
            disable=quiet,
            leave=number >= runs,
            unit=" iterations",
        ) as bar:
            for state in states:
                bar.update(state.iteration - bar.n)
                bar.set_postfix_str(_in_words(state.record))
                yield state

    return watch


def _in_words(record: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in record.items())


def _certified(found: Decomposition) -> Iterator[str]:
    """How far from the best dictionary the result is at most, and from the best on its grid."""
    yield f"{found.certificate()} of atoms as long"
    if found.hop > 1:
        yield f"{found.certificate(positions='grid')} on its grid of {found.hop} samples"


@contextmanager
def _folder_aside(out: Path) -> Iterator[Path]:
    """Make a folder beside ``out`` that takes its place when the block ends well."""
    aside, old = (out.with_name(f".{out.name}.{os.getpid()}.{end}") for end in ("partial", "old"))
    aside.mkdir(parents=True)
    try:
        yield aside
        if out.exists():
            out.rename(old)
        aside.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
