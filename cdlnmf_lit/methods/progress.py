"""How far a run is: the iterations of all its stages and starts, and where it is among them.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

from cdlnmf_lit.methods.checkpoints import Kept
from cdlnmf_lit.methods.method import Method


def iterations_of(method: Method) -> int:
    """How many iterations all stages and starts of a run have together, at the most.

    Examples
    --------
    >>> from cdlnmf_lit.methods.recipes import clicks
    >>> iterations_of(clicks())  # 4 starts for 2, 2 of them for 2 more, 1 for 6; then 10
    28
    """
    total, done = 0, 0
    for n, iterations in method.rounds:
        total, done = total + n * (iterations - done), iterations
    before = iterations_of(method.start) if isinstance(method.start, Method) else 0
    return total + method.starts * before


def iterations_before(method: Method, place: tuple[int, ...]) -> int:
    """How many iterations led to the start of the run at a place, at the most.

    Examples
    --------
    >>> from cdlnmf_lit.methods.recipes import clicks
    >>> iterations_before(clicks(), (0, 3)), iterations_before(clicks(), (0,))
    (0, 18)
    """
    stages = method.stages[: -len(place)]
    return iterations_of(stages[-1]) if stages else 0


def where(method: Method, kept: Kept) -> str:
    """The stage and the start that were noted last, in words.

    Examples
    --------
    >>> from cdlnmf_lit.methods.decomposition import Run
    >>> from cdlnmf_lit.methods.recipes import clicks
    >>> where(clicks(), {(0, 2): Run(iter(()))})
    '1/2 cdl, start 3/4'
    """
    place = next(reversed(kept))
    stages = method.stages
    number = len(stages) - len(place) + 1
    words = stages[number - 1].name
    if len(stages) > 1:
        words = f"{number}/{len(stages)} {words}"
    for stage, start in zip(reversed(stages), place, strict=False):
        if stage.starts > 1:
            words += f", start {start + 1}/{stage.starts}"
    return words
