"""The command line: ``cdlnmf-lit decompose SOUND -K 8 -o out/``.

Chapter: ``book/experiments/your_own_sound.md``.
"""

from __future__ import annotations

import argparse
import inspect
import io
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from cdlnmf_lit import __version__
from cdlnmf_lit.commands import apply, decompose, learn
from cdlnmf_lit.commands.running import (
    INTERRUPTED,
    algebra_in_one_thread,
    ended_by_signals,
    unbroken_streams,
)
from cdlnmf_lit.commands.sounds import EXAMPLES, LABELS_ARE, labels, seconds
from cdlnmf_lit.commands.speaking import FRAME, NAME, error_in_words, option_named, say
from cdlnmf_lit.methods import METHODS
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.methods.options import OneOf
from cdlnmf_lit.methods.recipes import RECIPES, SAMPLE_RATE
from cdlnmf_lit.recordings.decomposing import AUTO

LEFT_OUT = "left out"
"""What the library calls ``None``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 after an error, 130 where interrupted.

    Parameters
    ----------
    argv
        What follows the program's name. By default what this process was given.

    Examples
    --------
    >>> main(["methods"])
    recipes (--recipe), ...
    0
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what an encoding lacks, as λ, is a question mark
    with unbroken_streams(), warnings.catch_warnings():
        warnings.filterwarnings("default", category=UserWarning)
        warnings.showwarning = lambda message, *_, **__: say("warning", message)
        try:
            options = _parser().parse_args(argv)
            command: Callable[[argparse.Namespace], int] = options.command
            with ended_by_signals(), algebra_in_one_thread():
                return command(options)
        except (ModuleNotFoundError, ValueError, OSError, MemoryError) as error:
            say("error", error_in_words(error))
        except KeyboardInterrupt as interrupted:
            say("error", f"interrupted: {str(interrupted) or 'no result was written'}")
            return INTERRUPTED
    return 2


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {self.prog} --help)")


class _ListMethods(argparse.Action):
    """Print the methods and end, as ``--help`` prints the options."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        methods()
        parser.exit()


def methods() -> int:
    """List the recipes and the methods, each with the first line of its documentation.

    Examples
    --------
    >>> methods()
    recipes (--recipe), ...
    0
    """
    print("recipes (--recipe), the settings that proved best for a kind of sound:")
    _list(RECIPES)
    print(
        "\nmethods (--method), at their defaults; decompose --help --method NAME has the options:"
    )
    _list(dict(sorted(METHODS.items())))
    return 0


def _list(named: Mapping[str, object]) -> None:
    for name, each in named.items():
        words = (inspect.getdoc(each) or "").splitlines()[0].replace("``", "")
        print(f"  {name:{max(map(len, METHODS))}}  {words}")


# ---- what can be asked -----------------------------------------------------------------------


def _parser() -> _Parser:
    parser = _Parser(
        prog=NAME,
        description="Take a recording apart into the few sounds that recur in it.",
        epilog=f"To see it at work on a piano computed here: {NAME} decompose example:piano",
    )
    parser.add_argument("--version", action="version", version=f"{NAME} {__version__}")
    parser.add_argument(
        "--list-methods", action=_ListMethods, help="list recipes and methods, and end"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listed = commands.add_parser("methods", help="list recipes and methods")
    listed.set_defaults(command=lambda options: methods())
    decomposed = commands.add_parser(
        "decompose",
        help="take a recording apart, or a folder of them",
        description="Take a recording apart into K components. Writes a folder: one sound for each "
        "component, what they leave (the residual), a figure, a summary and the numbers (.npz).",
        epilog="Ctrl-C ends after the current iteration and keeps what was reached, in every stage "
        "of a recipe. A run that is stopped or killed leaves OUT.checkpoint.npz, from which the "
        "same command goes on. CDLNMF_THREADS=2 has two threads compute; results do not depend on "
        "it.",
        allow_abbrev=False,
        add_help=False,
    )
    _add_options_of_the_run(decomposed)
    _add_options_of_methods(decomposed, [kind() for kind in METHODS.values()])

    def command(options: argparse.Namespace) -> int:
        if options.help:
            options.recipe = None if options.recipe == AUTO else options.recipe
            return _help(decomposed, decompose.method_of(options, SAMPLE_RATE))
        return decompose.decompose(options)

    decomposed.set_defaults(command=command)
    apply.add_to(commands)
    learn.add_to(commands, _add_options_of_methods)
    return parser


def _add_options_of_the_run(parser: argparse.ArgumentParser) -> None:
    examples = " or ".join(f"example:{each}" for each in EXAMPLES)
    add = parser.add_argument
    add(
        "sounds",
        metavar="SOUND",
        nargs="*",
        help=f"a sound file, - for standard input, or {examples}; several, or a folder of them, "
        "get a folder each in OUT, and a rerun skips those that are done with the same K, recipe "
        "or method, and seed",
    )
    add("-h", "--help", action="store_true", help="show the options of --recipe or --method")
    add(
        "-K",
        "--n-components",
        type=_count,
        metavar="K",
        help="how many sounds to look for, as the notes of a piece that has few (default: auto, as "
        "many as the sound tells of)",
    )
    add("-o", "--out", type=Path, default=Path("out"), help="the folder to write (default: out)")
    add("--force", action="store_true", help="replace an earlier result there")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--recipe",
        help=f"the settings that proved best for {', for '.join(RECIPES)} (default: {AUTO}, the "
        "ones that fit the sound)",
    )
    what.add_argument(
        "--method", help=f"in place of a recipe, one method at its defaults: {', '.join(METHODS)}"
    )
    add("--list-methods", action=_ListMethods, help="list recipes and methods, and end")
    add(
        "--channel",
        help="which channel of several: 0, 1, ... or mean (default: the mean of those that are not "
        "silent, or the loudest where their mean would lose more than 3/4 of the energy)",
    )
    add("--from", dest="begin", type=seconds, metavar="TIME", help="begin there, as 90 or 1:30")
    add("--to", dest="end", type=seconds, metavar="TIME", help="end there")
    add("--strict", action="store_true", help="refuse a file that is cut or damaged")
    add(
        "--holes",
        action="store_true",
        help="samples that are not numbers (NaN) are missing: they are filled",
    )
    add("--estimate", action="store_true", help="tell what memory and time it takes, and end")
    add(
        "--seed",
        type=_whole_number,
        default=0,
        help="of the random start: the same gives the same, another may do better (default: 0)",
    )
    add("--labels", type=labels, default=(), metavar="FORMATS", help=LABELS_ARE)
    add("--quiet", action="store_true", help="show no progress bar")
    add(
        "--checkpoint-every",
        type=_number,
        default=30,
        metavar="SECONDS",
        help="how much of a killed run is lost at the most (default: 30)",
    )


def _add_options_of_methods(
    parser: argparse.ArgumentParser, asked: Sequence[Method]
) -> argparse._ArgumentGroup:
    """Add every field of the methods as an option, once by its name."""
    group = parser.add_argument_group("options of the method")
    there: set[str] = set()
    for method in asked:
        for name, (metavar, words, default) in _options_of(method).items():
            if name not in there:
                there.add(name)
                group.add_argument(
                    option_named(name),
                    dest=name,
                    type=_number_or_text,
                    default=argparse.SUPPRESS,
                    metavar=metavar,
                    help=f"{words} (default: {default})".replace("%", "%%"),
                )
    return group


def _options_of(method: Method) -> dict[str, tuple[str, str, Any]]:
    """Each option's values, what it says, and its default."""
    told: dict[str, tuple[str, str, Any]] = {}
    for each in fields(method):
        words, rule = each.metadata["words"].replace("``", ""), each.metadata["rule"]
        words = words.replace("None takes", f"{LEFT_OUT}, it takes").replace("None", LEFT_OUT)
        default = getattr(method, each.name)
        if each.name == "frame":
            told |= {
                name: ("VALUE", words, usual)
                for name, (words, usual) in _frame_options(default).items()
            }
        elif each.name == "start":
            found = f"what {default} finds" if isinstance(default, Method) else default
            told["start"] = ("|".join((*method.STARTS, "FILE.npz")), words, found)
        else:
            metavar = "|".join(rule.names) if isinstance(rule, OneOf) else "VALUE"
            told[each.name] = (metavar, words, LEFT_OUT if default is None else default)
    return told


def _frame_options(frame: Any) -> dict[str, tuple[str, Any]]:
    usual = {name: frame.parameters[name] for name in FRAME}
    words = {
        "window": "a window of scipy.signal, as hann or kaiser:8.6",
        "window_length": "samples",
        "hop": "samples",
        "channels": "points of the Fourier transform",
    }
    return {name: (words[name], usual[name]) for name in FRAME}


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from error


def _count(text: str) -> int | None:
    """A whole number, or nothing for ``auto``."""
    if text == AUTO:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be a whole number or {AUTO}, got {text!r}"
        ) from error


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from error


def _number_or_text(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _help(parser: argparse.ArgumentParser, method: Method) -> int:
    """Print the options with those of one method, at its own defaults."""
    shown = _Parser(
        prog=parser.prog, description=parser.description, epilog=parser.epilog, add_help=False
    )
    _add_options_of_the_run(shown)
    group = _add_options_of_methods(shown, [method])
    group.title = f"options of {method.name}"
    group.description = (
        f"Now: {method}. Samples are told for {SAMPLE_RATE} Hz; at another rate recipes keep the "
        "seconds."
    )
    shown.print_help()
    return 0


if __name__ == "__main__":
    sys.exit(main())
