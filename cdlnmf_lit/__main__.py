"""The command line: ``cdlnmf-lit decompose SOUND -K 8 -o out/``.

Chapter: ``book/experiments/your_own_sound.md``.
"""

from __future__ import annotations

import argparse
import inspect
import io
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from cdlnmf_lit import __version__
from cdlnmf_lit.methods import METHODS
from cdlnmf_lit.methods.decomposition import Decomposition, State, run
from cdlnmf_lit.methods.recipes import RECIPES, SAMPLE_RATE, Recipe
from cdlnmf_lit.theory import arguments
from cdlnmf_lit.theory.gabor import GaborFrame

NAME = "cdlnmf-lit"
EXAMPLES = ("piano", "chirps")
RECIPE = "notes"
OWN_FILES = re.compile(r"component_\d+\.wav|residual\.wav|components\.png|decomposition\.npz")
INTERRUPTED = 128 + signal.SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 after an error, 130 where interrupted.

    Parameters
    ----------
    argv
        What follows the program's name. By default what this process was given.

    Examples
    --------
    >>> main(["methods"])
    algorithm-1   Algorithm 1 of the paper...
    0
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    _print_what_can_be_printed()
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: _say("warning", message)
        try:
            options = _parser(argv).parse_args(argv)
            command: Callable[[argparse.Namespace], int] = options.command
            return command(options)
        except ModuleNotFoundError as error:
            _say("error", f'{error}: pip install "{NAME}[audio,plot]"')
        except (ValueError, OSError, MemoryError) as error:
            _say("error", str(error) or "out of memory")
        except KeyboardInterrupt:
            _say("error", "interrupted: no result was written")
            return INTERRUPTED
    return 2


def _print_what_can_be_printed() -> None:
    """Show what a terminal's encoding lacks, as λ, by a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _say(kind: str, message: object) -> None:
    print(f"{NAME}: {kind}: {' '.join(str(message).split())}", file=sys.stderr)


# ---- what can be asked -----------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


class _ListMethods(argparse.Action):
    """Print the methods and end, as ``--help`` prints the options."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        methods()
        parser.exit()


def _parser(argv: list[str]) -> argparse.ArgumentParser:
    """Return the parser for ``argv``: its options are those of the method that it names."""
    parser = _Parser(prog=NAME, description="Take a sound apart into repeated patterns.")
    parser.add_argument("--version", action="version", version=f"{NAME} {__version__}")
    parser.add_argument("--list-methods", action=_ListMethods, help="list the methods, and end")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listed = commands.add_parser("methods", help="list the methods")
    listed.set_defaults(command=lambda options: methods())
    decomposed = commands.add_parser(
        "decompose",
        help="decompose a sound",
        description="Write one sound a component, the residual, a figure and the result (.npz).",
        epilog="Ctrl-C ends after the current iteration and keeps what was reached. A run that is "
        "killed leaves OUT.checkpoint.npz, from which --start OUT.checkpoint.npz continues. Both "
        "hold for the last method of a recipe: while its start runs, nothing is kept yet.",
        allow_abbrev=False,
    )
    decomposed.set_defaults(command=decompose)
    _add_decompose_options(decomposed, *_recipe_named_in(argv))
    return parser


def _recipe_named_in(argv: list[str]) -> tuple[str, Recipe]:
    """Return what is asked for by its name: a recipe, or a method as it comes."""
    early = _Parser(add_help=False, allow_abbrev=False)
    asked = early.add_mutually_exclusive_group()
    asked.add_argument("--method")
    asked.add_argument("--recipe")
    options = early.parse_known_args(argv)[0]
    return _name(options), _recipe(options, SAMPLE_RATE)


def _name(options: argparse.Namespace) -> str:
    return str(options.method or options.recipe or RECIPE)


def _recipe(options: argparse.Namespace, sample_rate: int) -> Recipe:
    """Return the recipe that the options name, or the method as it comes."""
    if options.method is not None:
        return Recipe(options.method)
    return RECIPES[arguments.choice(options.recipe or RECIPE, "recipe", RECIPES)](sample_rate)


def _add_decompose_options(parser: argparse.ArgumentParser, name: str, recipe: Recipe) -> None:
    parser.add_argument(
        "sounds",
        metavar="SOUND",
        nargs="+",
        help="a WAV, FLAC, MP3 or OGG file, or "
        + " or ".join(f"example:{e}" for e in EXAMPLES)
        + "; several, or a folder of them, get a folder each in OUT, and a rerun goes on with "
        "those that have none, or one of another K, recipe, method or seed",
    )
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("out"), help="the folder to write (default: out)"
    )
    parser.add_argument("--force", action="store_true", help="replace an earlier result there")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--recipe",
        help=f"what has proved best for {', for '.join(RECIPES)}; now {name}: {recipe}",
    )
    what.add_argument("--method", help=f"{', '.join(METHODS)}, each as it comes")
    parser.add_argument("--list-methods", action=_ListMethods, help="list the methods, and end")
    parser.add_argument("--channel", help="which channel of a stereo file: 0, 1, ... or mean")
    parser.add_argument(
        "--estimate", action="store_true", help="tell what memory and time it takes, and end"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    parser.add_argument(
        "--checkpoint-every",
        type=float,
        default=30,
        metavar="SECONDS",
        help="how much of a killed run is lost at the most (default: 30)",
    )
    method, module = recipe.method, METHODS[recipe.method]
    group = parser.add_argument_group(
        f"options of {method}",
        f"Samples are told for {SAMPLE_RATE} Hz; at another rate recipes keep the seconds.",
    )
    group.add_argument("-K", "--n-components", type=int, required=True, help="components")
    if frame := _frame_of(recipe):
        _add_frame_options(group, frame)
    helps = _documented(run) | _documented(module.iterate) | _documented(module.decompose)
    for option, default in {**_keywords(module.decompose), **recipe.options}.items():
        if option == "rng":
            group.add_argument("--seed", type=int, default=0, help="of the start (default: 0)")
        elif option != "frame":
            values, words = helps.get(option, ("VALUE", ""))
            told = f"what {recipe.start} finds" if option == "start" and recipe.start else default
            group.add_argument(
                "--" + option.replace("_", "-"),
                type=float if default is None else type(default),
                default=argparse.SUPPRESS,
                metavar=values,
                help=f"{words} (default: {told})".replace("%", "%%"),
            )


def _frame_of(recipe: Recipe) -> GaborFrame | None:
    """Return the frame that a recipe has, if its method wants one."""
    module = METHODS[recipe.method]
    wanted = "frame" in inspect.signature(module.decompose).parameters
    return recipe.options.get("frame") or module.default_frame() if wanted else None


def _add_frame_options(group: argparse._ArgumentGroup, frame: GaborFrame) -> None:
    group.add_argument(
        "--window", default="hann", help="a window of scipy.signal, as hann or kaiser:8.6"
    )
    for name, default in {"window-length": frame.window.size, "hop": frame.hop}.items():
        group.add_argument(f"--{name}", type=int, help=f"samples (default: {default})")
    group.add_argument("--channels", type=int, help="default: the length of the window")


def _keywords(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the keyword-only parameters of a function and their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}


def _documented(function: Callable[..., Any]) -> dict[str, tuple[str, str]]:
    """Return what the docstring says of each parameter: its values, and what it is."""
    entries = re.findall(r"^(\w+) : (.*)\n((?:    .*\n)+)", inspect.getdoc(function) or "", re.M)
    return {name: (_values(kind), " ".join(_plain(text).split())) for name, kind, text in entries}


def _values(kind: str) -> str:
    """Return the values of a parameter, from its type in a docstring."""
    choices = re.findall(r'"(.*?)"', kind)
    files = ["FILE.npz"] if "Decomposition" in kind else []
    return "|".join(choices + files) or kind.split(",")[0].upper()


def _plain(text: str) -> str:
    """Return a docstring's text without its marks."""
    return re.sub(r"(?::\w+)*:?`+(?:[\w.]*\.)?(.*?)`+", r"\1", text)


# ---- commands --------------------------------------------------------------------------------


def methods() -> int:
    """List the methods, each with the first line of its documentation.

    Examples
    --------
    >>> methods()
    algorithm-1 ...
    0
    """
    width = max(map(len, METHODS))
    for name, module in METHODS.items():
        print(f"{name:{width}}  {(inspect.getdoc(module) or '').splitlines()[0]}")
    return 0


def decompose(options: argparse.Namespace) -> int:
    """Decompose one sound, or all of many."""
    if len(options.sounds) == 1 and not Path(options.sounds[0]).is_dir():
        return decompose_one(options, options.sounds[0])
    return decompose_all(options)


def decompose_all(options: argparse.Namespace) -> int:
    """Decompose each sound into a folder of its own; what fails is told, and the rest goes on."""
    sounds, failures = _named_apart(options.sounds, options.out), 0
    for number, (name, sound) in enumerate(sounds.items(), start=1):
        out = options.out / name
        print(f"{number}/{len(sounds)} {sound}: ", end="", flush=True)
        try:
            if not options.estimate and not options.force and _is_done(out, options):
                print("is done, skipped")
                continue
            with redirect_stdout(io.StringIO()) as told:
                one = options if options.estimate else _continued(options, out)
                status = decompose_one(one, sound)
        except (ValueError, OSError, MemoryError) as error:
            failures += 1
            print("failed", flush=True)
            _say("error", f"{sound}: {error or 'out of memory'}")
            continue
        print(told.getvalue().splitlines()[-1], flush=True)
        if status == INTERRUPTED:
            return status
    if failures:
        _say("error", f"{failures} of {len(sounds)} sounds failed")
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
    with _recipe_named_in_errors(options, x.size / sample_rate):
        found = _found(x, sample_rate, options, checkpoint, every)
    if found is None:
        return 0

    with _folder_aside(out) as aside:
        your_own_sound.write(found, aside, sample_rate)
        plotting.components(found, sample_rate).savefig(aside / "components.png")
    checkpoint.unlink(missing_ok=True)
    print(f"{found.status}; {_told({name: each[-1] for name, each in found.history.items()})}")
    print(f"{out}: {found.n_components} components, residual, figure, decomposition.npz")
    return INTERRUPTED if _is_interrupted(found) else 0


def _found(
    x: NDArray[np.float64],
    sample_rate: int,
    options: argparse.Namespace,
    checkpoint: Path,
    every: float,
) -> Decomposition | None:
    """Tell what a decomposition takes, and return it unless only that was asked."""
    recipe = _recipe(options, sample_rate)
    module, x = METHODS[recipe.method], x.astype(recipe.precision or x.dtype, copy=False)
    asked = _asked_of(recipe, x, options)
    at_the_end = {name: asked.pop(name) for name in set(asked) - set(_keywords(module.iterate))}
    model = [options.n_components, *_frames(recipe, options)]

    known = {"dtype": x.dtype, **asked}
    relevant = {name: known[name] for name in _keywords(module.estimate) if name in known}
    estimate = module.estimate(len(x), *model, **relevant)
    seconds = at_the_end["iterations"] * estimate.seconds_per_iteration
    if recipe.start and "start" not in options:
        seconds += recipe.start.estimate(len(x), options.n_components, x.dtype)[1]
    print(f"estimate: {estimate}, {seconds:.2g} s in all", flush=True)
    if options.estimate:
        return None

    if recipe.start and "start" not in options:
        module.iterate(x, *model, **asked)  # refuses now what it would refuse after the start
        print(f"start: {recipe.start}", flush=True)
        asked["start"] = recipe.start.decompose(x, options.n_components, options.seed)
    begin = partial(module.iterate, x, *model, **asked)
    progress = _progress(at_the_end.get("iterations"), options.quiet)
    with (
        _stopped_gently() as stop,
        closing(_watched(begin, progress, checkpoint, every, stop)) as watched,
    ):
        found = run(watched, **at_the_end)
    about = {"sample_rate": sample_rate, "seed": options.seed, "recipe": _name(options)}
    found = replace(found, parameters=found.parameters | about)
    if stop.is_set():
        reached = len(found.history["objective"]) - 1
        found = replace(found, status=f"interrupted at iteration {reached}")
    return found


@contextmanager
def _recipe_named_in_errors(options: argparse.Namespace, seconds: float) -> Iterator[None]:
    """Say which recipe chose what is refused, and for how long a sound."""
    try:
        yield
    except ValueError as error:
        if options.method is not None:
            raise
        raise ValueError(f"recipe {_name(options)}, {seconds:.3g} s of sound: {error}") from error


# ---- what goes in ----------------------------------------------------------------------------


def _named_apart(given: Sequence[str], out: Path) -> dict[str, str]:
    """Return all sounds that are given, those of folders too, by what tells them apart."""
    sounds: list[str] = []
    for each in given:
        sounds += _sounds_in(Path(each), out) if Path(each).is_dir() else [each]
    examples = {each.replace(":", "_"): each for each in sounds if each.startswith("example:")}
    others = [each for each in dict.fromkeys(sounds) if each not in examples.values()]
    files = [str(Path(each).absolute()) for each in others]
    common = os.path.commonpath([Path(each).parent for each in files]) if files else ""
    return examples | {os.path.relpath(each, common): os.path.relpath(each) for each in files}


def _sounds_in(folder: Path, out: Path) -> list[str]:
    """Return the sound files of a folder, without those that were written to ``out``."""
    from cdlnmf_lit.presentation.audio import SUFFIXES

    written = folder / os.path.relpath(out.resolve(), folder.resolve())
    files = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    given = sorted(path for path in files if path.is_file() and not path.is_relative_to(written))
    if not given:
        raise ValueError(
            f"SOUND must be a folder that holds {', '.join(SUFFIXES)} outside of out, got {folder}"
        )
    return list(map(str, given))


def _is_done(out: Path, options: argparse.Namespace) -> bool:
    """Tell whether there is a whole result of as many components, the same recipe and seed."""
    result = out / "decomposition.npz"
    if not result.exists():
        return False
    found = Decomposition.load(result)
    kept = (found.n_components, found.parameters.get("recipe"), found.parameters.get("seed"))
    asked = (options.n_components, _name(options), options.seed)
    return kept == asked and not _is_interrupted(found)


def _is_interrupted(found: Decomposition) -> bool:
    return found.status.startswith("interrupted")


def _checkpoint_of(out: Path) -> Path:
    """Return where a run into ``out`` keeps what it has reached."""
    return out.parent / f"{out.name}.checkpoint.npz"


def _continued(options: argparse.Namespace, out: Path) -> argparse.Namespace:
    """Return the options of one of many sounds: it goes on from what a killed run has left."""
    one = argparse.Namespace(**vars(options) | {"out": out})
    one.force = options.force or (out / "decomposition.npz").exists()
    checkpoint = _checkpoint_of(out)
    if checkpoint.exists() and not options.force:
        one.start = str(checkpoint)
    return one


def _sound(name: str, channel: str | None) -> tuple[NDArray[np.float64], int]:
    """Return the samples and the sampling rate of a file, or of an example by its name."""
    kind, _, example = name.partition(":")
    if kind != "example":
        from cdlnmf_lit.presentation import audio

        number = channel is not None and channel.lstrip("-").isdigit()
        return audio.read(name, int(channel) if channel and number else channel)
    from cdlnmf_lit.experiments import signals

    mixture = getattr(signals, arguments.choice(example, "example", EXAMPLES))()
    return mixture.signal, mixture.sample_rate


def _asked_of(recipe: Recipe, x: NDArray[Any], options: argparse.Namespace) -> dict[str, Any]:
    """Return the method's own options; a text that names an .npz file is the result in it."""
    keywords = _keywords(METHODS[recipe.method].decompose)
    given = {
        name: Decomposition.load(value) if str(value).endswith(".npz") else value
        for name, value in vars(options).items()
        if name in keywords
    }
    changed = replace(
        recipe,
        options={**recipe.options, **given},
        share=None if "penalty" in given else recipe.share,
    )
    asked = {**keywords, **changed.asked_of(x), "rng": options.seed}
    return {name: asked[name] for name in keywords}


def _frames(recipe: Recipe, options: argparse.Namespace) -> list[GaborFrame]:
    """Return the tight frame that the options describe, if the method wants one."""
    usual = _frame_of(recipe)
    if usual is None:
        return []
    name, *numbers = options.window.split(":")
    try:
        window = (name, *map(float, numbers)) if numbers else name
    except ValueError as error:
        raise ValueError(
            f"window must be a name and numbers, as kaiser:8.6, got {options.window!r}"
        ) from error
    hop = usual.hop if options.hop is None else options.hop
    length = usual.window.size if options.window_length is None else options.window_length
    return [GaborFrame(window, hop, options.channels, length=length).tight()]


# ---- while it runs ---------------------------------------------------------------------------


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


def _progress(total: int | None, quiet: bool) -> Callable[[], AbstractContextManager[Any]]:
    """Return what opens the progress bar."""
    from tqdm import tqdm

    return partial(tqdm, total=total, disable=quiet, unit=" iterations")


def _told(record: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in record.items())


def _watched(
    begin: Callable[[], Iterable[Any]],
    progress: Callable[[], AbstractContextManager[Any]],
    checkpoint: Path,
    every: float,
    stop: threading.Event,
) -> Generator[State, None, None]:
    """Hand the states on: show them, save one now and then, end when asked to."""
    states = begin()
    saved = time.monotonic()
    with progress() as bar:
        for number, state in enumerate(states):
            bar.update(number - bar.n)
            bar.set_postfix_str(_told(state.record))
            yield state
            if stop.is_set():
                return
            if time.monotonic() - saved >= every:
                checkpoint.parent.mkdir(parents=True, exist_ok=True)
                state.decomposition().save(checkpoint)
                saved = time.monotonic()


# ---- what comes out --------------------------------------------------------------------------


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


if __name__ == "__main__":
    sys.exit(main())
