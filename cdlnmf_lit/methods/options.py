"""Options of a method: each said once, with its default, its words and its rule.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from typing import Any

from cdlnmf_lit.theory.arguments import choice, integer, non_negative

Rule = Callable[[Any, str], Any]


@dataclass(frozen=True)
class OneOf:
    """The rule that an option is one of some names.

    Examples
    --------
    >>> OneOf("minimise", "full")("leap", "update")
    Traceback (most recent call last):
        ...
    ValueError: update must be one of minimise, full, got 'leap'
    """

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)

    def __call__(self, value: Any, name: str) -> str:
        return choice(value, name, self.names)


def option(default: Any, words: str, rule: Rule) -> Any:
    """A field of a method: its default, what it says, and the rule that its value has to meet.

    Parameters
    ----------
    default : object
    words : str
        For the documentation and the command line.
    rule : callable
        From a value and its name to the value as it is kept; raises where it does not fit.

    Examples
    --------
    >>> option(1, "How many.", integer).metadata["words"]
    'How many.'
    """
    return field(default=default, metadata={"words": words, "rule": rule})


def at_least(least: int) -> Rule:
    """The rule that an option is a whole number, not below another one.

    Examples
    --------
    >>> at_least(0)(-1, "iterations")
    Traceback (most recent call last):
        ...
    ValueError: iterations must be a whole number of at least 0, got -1
    """
    return lambda value, name: integer(value, name, at_least=least)


def positive(value: Any, name: str) -> float:
    """The rule that an option is a number above 0.

    Examples
    --------
    >>> positive(0.0, "power")
    Traceback (most recent call last):
        ...
    ValueError: power must be positive, got 0.0
    """
    if non_negative(value, name) == 0:
        raise ValueError(f"{name} must be positive, got {value!r}")
    return float(value)


def anything(value: Any, name: str) -> Any:
    """The rule of an option that is looked at elsewhere.

    Examples
    --------
    >>> anything("random", "start")
    'random'
    """
    return value


def optional(rule: Rule) -> Rule:
    """The rule that an option is None, or meets another rule.

    Examples
    --------
    >>> optional(positive)(None, "power")
    """
    return lambda value, name: None if value is None else rule(value, name)


@dataclass(frozen=True, kw_only=True, repr=False)
class Options:
    """A frozen value whose fields are options: each meets its rule, or there is no such value.

    Raises
    ------
    ValueError
        When the value is made, if an option does not meet its rule.
    TypeError
        If a field is no :func:`option`.

    Examples
    --------
    >>> from cdlnmf_lit import NMF
    >>> NMF(iterations=20)
    NMF(iterations=20)
    """

    def __post_init__(self) -> None:
        for each in fields(self):
            if "rule" not in each.metadata:
                raise TypeError(
                    f"{type(self).__name__}.{each.name} must be made by options.option, "
                    "with its default, its words and its rule"
                )
            value = each.metadata["rule"](getattr(self, each.name), each.name)
            object.__setattr__(self, each.name, value)

    @property
    def parameters(self) -> dict[str, Any]:
        """All options, in numbers, strings, lists and dictionaries."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: getattr(value, "parameters", value) for name, value in values.items()}

    @property
    def changed(self) -> dict[str, Any]:
        """The options that are not at their defaults."""
        values = {each.name: (getattr(self, each.name), each.default) for each in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}

    def __repr__(self) -> str:
        told = [f"{name}={value!r}" for name, value in self.changed.items()]
        return f"{type(self).__name__}({', '.join(told)})"


def with_options(kind: type[Any]) -> str:
    """The docstring of a class of methods with its options, which are said where they stand.

    Examples
    --------
    >>> from cdlnmf_lit import NMF
    >>> "divergence : str | float" in with_options(NMF)
    True
    """
    own = {name: value for name, value in vars(kind).items() if isinstance(value, Field)}
    annotations = {n: t for each in reversed(kind.__mro__) for n, t in _annotated(each).items()}
    options = {each.name: each for each in fields(kind)} | own
    lines = ["Parameters", "----------"]
    for name, each in options.items():
        rule = each.metadata["rule"]
        values = f"{{{', '.join(map(repr, rule.names))}}}" if isinstance(rule, OneOf) else ""
        lines += [f"{name} : {values or annotations[name]}", f"    {each.metadata['words']}"]
        lines[-1] += f" Default: ``{each.default!r}``."
    before, heading, after = (kind.__doc__ or "").partition("    Raises\n")
    told = "\n".join(f"    {line}" for line in lines)
    return f"{before.rstrip()}\n\n{told}\n\n{heading}{after}"


def _annotated(kind: type) -> dict[str, str]:
    return {name: str(told) for name, told in vars(kind).get("__annotations__", {}).items()}
