"""``cdlnmf-lit decompose``: one sound or many, whole or not at all.

Chapter: ``book/experiments/your_own_sound.md``.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import fields, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from cdlnmf_lit.commands.running import (
    INTERRUPTED,
    bar,
    checkpoint_of,
    clear_stale,
    refuse_taken,
    refuse_unwritable,
    stopped_gently,
)
from cdlnmf_lit.commands.sounds import heard, sounds_by_name
from cdlnmf_lit.commands.speaking import (
    FRAME,
    error_in_words,
    error_of,
    in_words,
    option_named,
    say,
    warnings_noted,
)
from cdlnmf_lit.methods import METHODS, weighted
from cdlnmf_lit.methods.checkpoints import Kept, identity, load, save, saving
from cdlnmf_lit.methods.choosing import EXCERPT, loudest
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.methods.progress import where
from cdlnmf_lit.methods.recipes import RECIPES, SAMPLE_RATE
from cdlnmf_lit.methods.resources import Estimate, require_memory
from cdlnmf_lit.methods.watchers import all_of, until
from cdlnmf_lit.recordings.decomposing import (
    AUTO,
    RECIPE,
    chosen,
    recipe_in_errors,
    recipe_of,
    told,
)
from cdlnmf_lit.recordings.events import LABELS
from cdlnmf_lit.recordings.reading import Source
from cdlnmf_lit.recordings.stretches import from_sample
from cdlnmf_lit.theory import arguments
from cdlnmf_lit.theory.arguments import Array
from cdlnmf_lit.theory.gabor import GaborFrame

AT_HAND = 2**21
"""Samples that are read even where only an estimate is asked for, so that they are checked."""
CERTIFIED = ("cdl", "algorithm-1")
"""The methods that lower what a certificate bounds."""


def decompose(options: argparse.Namespace) -> int:
    """Decompose one sound, or all of many."""
    if not options.sounds:
        raise ValueError("the following arguments are required: SOUND")
    _check(options)
    if len(options.sounds) == 1 and not Path(options.sounds[0]).is_dir():
        return decompose_one(options, options.sounds[0])
    return decompose_all(options)


def _check(options: argparse.Namespace) -> None:
    """Refuse, before any sound is read, what no sound could make right."""
    arguments.integer(options.seed, "seed", at_least=0)
    arguments.non_negative(options.checkpoint_every, "checkpoint_every")
    if options.n_components is not None:
        arguments.integer(options.n_components, "n_components")
    if options.method is not None:
        method_of(options, SAMPLE_RATE)
    elif options.recipe is not None:
        arguments.choice(options.recipe, "recipe", (AUTO, *RECIPES))


def decompose_all(options: argparse.Namespace) -> int:
    """Decompose each sound into a folder of its own; what fails is told, and the rest goes on."""
    sounds, failures = sounds_by_name(options.sounds, options.out), 0
    clear_stale(options.out / name for name in sounds)
    for number, (name, sound) in enumerate(sounds.items(), start=1):
        out = options.out / name
        print(f"{number}/{len(sounds)} {sound}", flush=True)
        try:
            if not options.estimate and not options.force and _is_done(out, options):
                checkpoint_of(out).unlink(missing_ok=True)
                print("is done, skipped")
                continue
            there = (out / "decomposition.npz").exists()
            one = argparse.Namespace(**vars(options) | {"out": out})
            one.force = options.force or there
            with redirect_stdout(io.StringIO()) as printed:
                status = decompose_one(one, sound)
        except (ValueError, OSError, MemoryError) as error:
            failures += 1
            say("error", error_of(sound, error))
            continue
        print(printed.getvalue().splitlines()[-1], flush=True)
        if status == INTERRUPTED:
            return status
    if failures:
        say("error", f"{failures} of {len(sounds)} sounds failed")
    return 2 if failures else 0


def decompose_one(options: argparse.Namespace, sound: str) -> int:
    """Decompose a sound and write the result, whole or not at all.

    A run that was killed, or stopped, goes on from what it has kept, if this is the same one.
    """
    with warnings_noted() as noted:
        return _decompose_one(options, sound, noted)


def _decompose_one(options: argparse.Namespace, sound: str, noted: list[str]) -> int:
    from cdlnmf_lit.presentation import plotting
    from cdlnmf_lit.recordings import results
    from cdlnmf_lit.recordings.writing import folder_aside

    out, begin = options.out, time.monotonic()
    clear_stale([out])
    checkpoint = checkpoint_of(out)
    refuse_unwritable(out)
    refuse_taken(out, options.force or checkpoint.exists())
    with heard(sound, options) as source:
        if options.estimate and source.n_samples > AT_HAND:
            return _estimate_by_length(options, source)
        x, sample_rate = source.samples(), source.sample_rate
    known = np.isfinite(x)
    if not known.all():
        lost = f"{np.sum(~known) / sample_rate:.3g} s of {x.size / sample_rate:.3g} s"
        warnings.warn(f"{sound}: {lost} are missing, and are filled", stacklevel=2)
        x, _ = weighted.without_holes(x, known)
    options, because = _chosen(options, x, sample_rate)
    with recipe_in_errors(_asked_for(options), x.size / sample_rate):
        method, start = method_of(options, sample_rate), _start_of(options, sample_rate)
        x, K = method.checked(x, options.n_components, start)
    recipe = told(_asked_for(options), because)
    about_run = {"seed": options.seed, "recipe": recipe, "sample_rate": sample_rate}
    run: Any = method.decompose
    if not known.all():
        run = partial(weighted.decompose, method, weights=known)
    about = identity(x, method, K, **about_run, start=_told_of(start))
    kept = _kept(checkpoint, about)
    refuse_taken(out, options.force or bool(kept))
    estimate = _affordable(method, x.size, K, x.dtype, x)
    if options.estimate:
        print(f"estimate: {estimate}")
        return 0
    if kept:
        say("note", f"goes on from {checkpoint}: {where(method, kept)}")

    with (
        stopped_gently() as stop,
        _going_on_later(checkpoint),
        bar(method, kept, options.quiet) as seen,
    ):
        watch = all_of(
            until(stop), seen, saving(checkpoint, options.checkpoint_every, kept, about, stop)
        )
        with recipe_in_errors(_asked_for(options), x.size / sample_rate):
            found = run(x, K, start=start, rng=options.seed, watch=watch, kept=kept)
        found = replace(found, sample_rate=sample_rate, parameters=found.parameters | about_run)
        if source.offset:
            found = replace(
                found, residual=found.residual + found.residual.dtype.type(source.offset)
            )
        try:
            with folder_aside(out) as aside:
                seconds = round(time.monotonic() - begin, 3)
                summary = results.fill(
                    found,
                    aside,
                    labels=options.labels,
                    sound=sound,
                    seconds=seconds,
                    warnings=noted,
                )
                plotting.components(found, sample_rate).savefig(aside / "components.png")
        except BaseException:
            if not found.is_stopped:
                with suppress(OSError):
                    save(checkpoint, kept, about)
            raise
        if not found.is_stopped:
            checkpoint.unlink(missing_ok=True)
    last = {name: each[-1] for name, each in found.history.items()}
    status = found.status.partition(":")[0] if found.is_stopped else found.status
    print(f"{status}; {in_words(last)}")
    if found.is_stopped:
        say("note", f"the same command goes on from {checkpoint}")
    is_certified = found.method in CERTIFIED and known.all()
    if is_certified and found.parameters["penalty"] and not stop.is_set():
        with suppress(KeyboardInterrupt):
            print("; ".join(_certified(found)))
    for line in summary["advice"]:
        say("advice", line)
    print(f"{out}: {_written(summary, out)}")
    return INTERRUPTED if stop.is_set() else 0


def _estimate_by_length(options: argparse.Namespace, source: Source) -> int:
    """Say what a sound will take that is too long to be read for that alone."""
    T, stretch = source.n_samples, _loudest(source)
    if _is_open(options):
        options, _ = _chosen(options, stretch, source.sample_rate)
    with recipe_in_errors(_asked_for(options), T / source.sample_rate):
        method, K = method_of(options, source.sample_rate), options.n_components
        for stage in method.stages:
            arguments.integer(K, "n_components", at_most=stage.most_components(T))
        dtype = np.dtype(method.precision or source.dtype)
        unread = T * np.dtype(source.dtype).itemsize
        print(f"estimate: {_affordable(method, T, K, dtype, stretch, unread)}")
    return 0


def _affordable(
    method: Method, T: int, K: int, dtype: Any, like: Array, unread: int = 0
) -> Estimate:
    """What a run takes; refused where that, and what is not yet read, is not there."""
    estimate = method.estimate(T, K, dtype, like)
    task = f"{method.name} of {T} samples into {K} components"
    require_memory(estimate.memory_bytes + unread, task)
    return estimate


def _loudest(source: Source) -> Array:
    """The stretch of a long sound that a choice looks at, without the rest in memory."""
    length, step = round(EXCERPT * source.sample_rate), source.sample_rate // 2
    energies = [np.nansum(np.square(block, dtype=float)) for block in source.blocks(step)]
    begin = min(loudest(energies, length // step) * step, source.n_samples - length)
    stretch = np.concatenate([*islice(from_sample(source.blocks(length), begin), 2)])[:length]
    return np.nan_to_num(stretch, copy=False)


@contextmanager
def _going_on_later(checkpoint: Path) -> Iterator[None]:
    """Say, where a run ends without its result, that what it has kept is there to go on from."""
    try:
        yield
    except (OSError, MemoryError, KeyboardInterrupt) as error:
        if not checkpoint.exists():
            raise
        words = error_in_words(error) if isinstance(error, Exception) else str(error)
        kept = f"the same command goes on from {checkpoint}"
        raise type(error)(f"{words or 'no result was written'}; {kept}") from error


def _written(summary: Mapping[str, Any], out: Path) -> str:
    """What a folder holds, and where to begin to listen."""
    parts, residual = summary["found"]["components"], summary["found"]["residual"]
    if residual["is_zero_by_construction"]:
        but = ", but for the offset" if residual["energy_share"] > 1e-9 else ""
        left = f"zero by construction{but}: {summary['asked']['method']} shares the whole sound out"
    else:
        left = f"{residual['energy_share']:.2%} of the energy"
    loudest = max(parts, key=lambda part: float(part["energy_share"]))
    plural = "s" if len(parts) > 1 else ""
    return (
        f"{len(parts)} component{plural}, residual ({left}), figure, summary; "
        f"listen first to {out / loudest['file']}, the loudest"
    )


# ---- what is asked ---------------------------------------------------------------------------


def _is_open(options: argparse.Namespace) -> bool:
    """Whether the recipe, or how many components, is to be chosen from the sound."""
    is_any = options.method is None and options.recipe in (None, AUTO)
    return is_any or options.n_components is None


def _chosen(
    options: argparse.Namespace, x: Array, sample_rate: int
) -> tuple[argparse.Namespace, dict[str, str]]:
    """The options, with what was left open chosen from the sound, and why; says it, too."""
    if not _is_open(options):
        return options, {}
    asked = options.method or options.recipe or AUTO
    recipe, K, because = chosen(x, sample_rate, asked, options.n_components)
    print(*because.values(), sep="\n", flush=True)
    changed = {"n_components": K} | ({} if options.method else {"recipe": recipe})
    return argparse.Namespace(**vars(options) | changed), because


def method_of(options: argparse.Namespace, sample_rate: int) -> Method:
    """The method that the options describe: a recipe, or a method at its defaults, and its changes.

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
        if name not in known:
            raise ValueError(f"{option_named(name)} is no option of {method.name}, {_home(name)}")
    if str(changes.get("start")).endswith(".npz"):
        del changes["start"]
    elif changes.get("start", method.STARTS[0]) not in method.STARTS:
        names = ", ".join(method.STARTS)
        raise ValueError(f"start must be {names} or the .npz of a result, got {changes['start']!r}")
    for one, other in (("penalty", "share"), ("share", "penalty")):
        if one in changes and other in known:
            changes.setdefault(other, None)
    frame = {name: changes.pop(name) for name in FRAME if on_frames and name in changes}
    if frame:
        changes["frame"] = _frame(method.frame.parameters | frame, "channels" in frame)  # type: ignore
    return replace(method, **changes)


def _home(name: str) -> str:
    """The methods that an option belongs to."""
    wanted = {name, "frame"} if name in FRAME else {name}
    homes = [each for each, kind in METHODS.items() if wanted & {f.name for f in fields(kind)}]
    return f"but of {', '.join(homes)}"


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


def _start_of(options: argparse.Namespace, sample_rate: int) -> Decomposition | None:
    """The result in the file that is to be started from, of a sound of the same rate."""
    start = str(getattr(options, "start", ""))
    if not start.endswith(".npz"):
        return None
    found = Decomposition.load(start)
    if found.sample_rate not in (None, sample_rate):
        raise ValueError(
            f"start must be of a sound at {sample_rate} Hz, got {start!r} at {found.sample_rate} Hz"
        )
    return found


def _told_of(start: Decomposition | None) -> str | None:
    """What tells one start from another: a sum of all its numbers' bytes."""
    if start is None:
        return None
    found = hashlib.sha256()
    for each in (start.atoms, start.spectra, start.sounds, start.activations):
        found.update(b"" if each is None else np.ascontiguousarray(each).data)
    return found.hexdigest()


# ---- what is there already -------------------------------------------------------------------


def _is_done(out: Path, options: argparse.Namespace) -> bool:
    """Whether there is a whole result of what is asked."""
    result = out / "decomposition.npz"
    labels = [out / LABELS[each][0] for each in options.labels]
    if not all(path.exists() for path in (result, *labels)):
        return False
    found = Decomposition.load(result)
    return _is_asked_for(found, options) and not found.is_stopped


def _is_asked_for(found: Decomposition, options: argparse.Namespace) -> bool:
    """Whether a result is of as many components, the same recipe and seed, or chosen as now."""
    recipe, because = recipe_of(found)
    kept = (
        None if "n_components" in because else found.n_components,
        AUTO if "recipe" in because else recipe,
        found.parameters.get("seed"),
    )
    asked = options.method or options.recipe or AUTO
    return kept == (options.n_components, asked, options.seed)


def _kept(checkpoint: Path, about: Mapping[str, Any]) -> Kept:
    """What a run has kept; nothing, and a word, where that is of another one."""
    if not checkpoint.exists():
        return {}
    try:
        return load(checkpoint, about)
    except ValueError as error:
        say("note", f"{checkpoint} is not gone on from, but started anew: {error}")
        return {}


def _certified(found: Decomposition) -> Iterator[str]:
    """How far from the best dictionary the result is at most, and from the best on its grid."""
    yield f"{found.certificate()} of atoms as long"
    if found.hop > 1:
        yield f"{found.certificate(positions='grid')} on its grid of {found.hop} samples"
