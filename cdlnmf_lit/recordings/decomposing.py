"""A recording is taken apart by a recipe, or by a method, that has a name.

Chapter: ``book/experiments/your_own_sound.md``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods import METHODS, weighted
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.method import Method, Watch
from cdlnmf_lit.methods.recipes import RECIPES
from cdlnmf_lit.theory import arguments

RECIPE = "notes"
"""What is learnt by where none is named."""
AUTO = "auto"
"""The name for whatever recipe fits the sound."""


def decompose(
    x: ArrayLike,
    n_components: int | None = None,
    *,
    sample_rate: int,
    recipe: str | None = None,
    method: str | Method | None = None,
    weights: ArrayLike | None = None,
    rng: Any = 0,
    watch: Watch | None = None,
) -> Decomposition:
    """Take a sound apart into components that recur; with a residual they sum to it.

    Parameters
    ----------
    x : array (T,)
        The samples, of one channel.
    n_components : int, optional
        ``K``: how many sounds to look for. By default as many as the sound tells of: see
        :func:`~cdlnmf_lit.methods.choosing_number.number_of`.
    sample_rate : int
        In Hz.
    recipe : {"auto", "notes", "chirps", "clicks", "hits"}, optional
        The settings that proved best for a kind of sound: notes that recur, alone or together;
        calls of up to 2.5 s; clicks of a few milliseconds; drums and samples. By default
        ``"auto"``, the one that fits: see :func:`~cdlnmf_lit.methods.choosing.choose`.
    method : str or Method, optional
        In place of a recipe: the name of a method, at its defaults, or any method.
    weights : array (T,), optional
        From 0 to 1, how much each sample counts: 0 where it is missing; it may be NaN there.
        Holes are filled: see :func:`~cdlnmf_lit.methods.weighted.decompose`.
    rng : seed or numpy.random.Generator
        Of the start; the same seed gives the same bytes.
    watch : callable, optional
        See :meth:`~cdlnmf_lit.methods.method.Method.decompose`.

    Raises
    ------
    ValueError
        If there is no such recipe or method, both are given, or the sound does not fit.
    MemoryError
        If it needs more memory than there is.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(8000) / 8000
    >>> x = np.sin(2 * np.pi * 440 * t) * (t < 0.5) + np.sin(2 * np.pi * 660 * t) * (t > 0.4)
    >>> decompose(x, 2, sample_rate=8000, method="nmf")
    <Decomposition by nmf: 2 components of 8000 samples at 8000 Hz; ran all 200 iterations>
    """
    _require_samples(x)
    rate = arguments.integer(sample_rate, "sample_rate")
    if isinstance(rng, Integral):
        arguments.integer(rng, "rng", at_least=0)
    if recipe is not None and method is not None:
        raise ValueError(f"recipe and method must not both be given, got {recipe!r} and {method!r}")
    if isinstance(method, Method):
        name = method.name
    elif method is not None:
        name = arguments.choice(method, "method", METHODS)
    else:
        name = arguments.choice(AUTO if recipe is None else recipe, "recipe", (AUTO, *RECIPES))
    because: dict[str, str] = {}
    if name == AUTO or n_components is None:
        whole = x if weights is None else weighted.without_holes(x, weights)[0]
        name, n_components, because = chosen(whole, rate, name, n_components)
    if not isinstance(method, Method):
        method = method_named(name, rate)
    asked: dict[str, Any] = {"rng": rng, "watch": watch}
    with recipe_in_errors(name, np.size(x) / rate):
        if weights is None:
            found = method.decompose(x, n_components, **asked)
        else:
            found = weighted.decompose(method, x, n_components, weights, **asked)
    about: dict[str, Any] = {"recipe": told(name, because), "sample_rate": rate}
    if isinstance(rng, Integral):
        about["seed"] = int(rng)
    return replace(found, sample_rate=rate, parameters=found.parameters | about)


def _require_samples(x: Any) -> None:
    """Refuse a file that is not read yet, and what reading gives beside the samples."""
    if isinstance(x, (str, os.PathLike)):
        remedy = f"read it first: x, sample_rate = lit.read({os.fspath(x)!r})"
        raise ValueError(f"x must be samples, got {x!r}: {remedy}")
    if isinstance(x, tuple) and len(x) == 2 and np.ndim(x[0]) == 1 and isinstance(x[1], Integral):
        raise ValueError(
            "x must be samples, got two values, as lit.read gives them: pass the first as x, the "
            "second as sample_rate"
        )


@contextmanager
def recipe_in_errors(name: str, seconds: float) -> Iterator[None]:
    """Say which recipe chose what is refused, and for how long a sound.

    Examples
    --------
    >>> with recipe_in_errors("notes", 0.1):
    ...     raise ValueError("pattern_length must be 6, got 20")
    Traceback (most recent call last):
        ...
    ValueError: recipe notes, 0.1 s of sound: pattern_length must be 6, got 20
    """
    try:
        yield
    except ValueError as error:
        if name not in RECIPES:
            raise
        raise ValueError(f"recipe {name}, {seconds:.3g} s of sound: {error}") from error


def told(name: str, because: Mapping[str, str]) -> str | dict[str, Any]:
    """Return what the parameters of a result tell of its recipe.

    Parameters
    ----------
    name
        Of the recipe or method.
    because
        Why, see :func:`chosen`; nothing where recipe and ``K`` were given.

    Examples
    --------
    >>> told("clicks", {}), told("clicks", {"n_components": "K = 2: two repeat"})
    ('clicks', {'name': 'clicks', 'because': {'n_components': 'K = 2: two repeat'}})
    """
    return {"name": name, "because": dict(because)} if because else name


def recipe_of(found: Decomposition) -> tuple[str | None, dict[str, str]]:
    """Return the recipe of a result, if its parameters tell one, and why it was chosen.

    Examples
    --------
    >>> recipe_of(decompose([1.0, 2.0, 3.0, 4.0], 1, sample_rate=8000, method="semi-nmf"))
    ('semi-nmf', {})
    """
    recipe = found.parameters.get("recipe")
    return (recipe["name"], recipe["because"]) if isinstance(recipe, Mapping) else (recipe, {})


def chosen(
    x: ArrayLike, sample_rate: int, name: str = AUTO, n_components: int | None = None
) -> tuple[str, int, dict[str, str]]:
    """Choose the recipe for a sound if ``name`` is ``"auto"``, and ``K`` if it is not given.

    Returns
    -------
    name : str
    n_components : int
    because : dict of str
        Why, in words: of ``recipe`` and ``n_components``, what was chosen.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).standard_normal(30_000)
    >>> name, K, because = chosen(noise, 8000, n_components=2)
    >>> name, K, list(because)
    ('notes', 2, ['recipe'])
    """
    from cdlnmf_lit.methods.choosing import KIND_OF, choose
    from cdlnmf_lit.methods.choosing_number import number_of

    kind, because = KIND_OF.get(name, "notes"), {}
    if name == AUTO:
        choice = choose(x, sample_rate)
        name, kind, because["recipe"] = choice.recipe, choice.kind, str(choice)
    if n_components is None:
        number = number_of(x, sample_rate, kind)
        n_components, because["n_components"] = number.n_components, str(number)
    return name, n_components, because


def method_named(name: str, sample_rate: int) -> Method:
    """Return a recipe by its name, for sounds of this rate, or a method at its defaults.

    Raises
    ------
    ValueError
        If there is neither.

    Examples
    --------
    >>> print(method_named("nmf", 22050), "|", method_named("chirps", 22050).name)
    nmf | cdl
    """
    if name in RECIPES:
        return RECIPES[name](sample_rate)
    return METHODS[arguments.choice(name, "name", (*RECIPES, *METHODS))]()
