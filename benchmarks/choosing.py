"""Measure the four sets of mixtures, and count them: what the rule of choosing a recipe says.

``python benchmarks/choosing.py`` goes on where it was stopped, one set after the other.
What was measured of each, from which the rule tells a kind, is a line of
``book/experiments/kept/choosing.jsonl``. A fifth set, every other mixture of it in a room, has
results alone: the advice is judged on it. ``--numbers 2`` counts the components, too, of the
mixtures of the first two seeds of each set. ``--results 6`` takes 8 s of those of the first six
seeds that repeat apart, by the recipe that is chosen, that for notes and their own, and keeps how
well that went, what is advised, and the processor seconds.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cdlnmf_lit.experiments.evaluation import grouped, matching, si_sdr
from cdlnmf_lit.experiments.mixtures import KINDS, MIXTURES, SETS, in_a_room, mixture
from cdlnmf_lit.experiments.signals import Mixture
from cdlnmf_lit.methods.choosing import RECIPE_OF, choose, features_of
from cdlnmf_lit.methods.choosing_number import number_of
from cdlnmf_lit.methods.recipes import RECIPES
from cdlnmf_lit.recordings.advice import advice, traits_of

ROWS = Path(__file__).parents[1] / "book" / "experiments" / "kept" / "choosing.jsonl"
SECONDS = 8
ADVISED_ON = range(4000, 4016)
"""Seeds of the fifth set, which the advice was not made on."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", type=int, default=0)
    parser.add_argument("--results", type=int, default=0)
    parser.add_argument("--set", type=int, choices=(1, 2, 3, 4, 5))
    asked = parser.parse_args()
    ROWS.touch()
    there = [json.loads(line) for line in ROWS.read_text("utf8").splitlines()]
    done = {(row["what"], row["mixture"], row["seed"]) for row in there}
    sets = [*SETS.values(), ADVISED_ON]
    for seeds in sets[asked.set - 1 : asked.set] if asked.set else sets:
        for n, seed in enumerate(seeds):
            for name in MIXTURES:
                is_fresh = seed in ADVISED_ON
                if not is_fresh and ("kind", name, seed) not in done:
                    whole = mixture(name, seed)
                    found = asdict(features_of(whole.signal, whole.sample_rate))
                    measured = {key: float(f"{value:.3g}") for key, value in found.items()}
                    keep("kind", name, seed, **measured)
                counted = n < asked.numbers and KINDS[name] != "nothing" and not is_fresh
                if counted and ("number", name, seed) not in done:
                    whole = mixture(name, seed)
                    told = number_of(whole.signal, whole.sample_rate, KINDS[name])
                    keep(
                        "number",
                        name,
                        seed,
                        sources=len(whole.sources),
                        n_components=told.n_components,
                        interval=[told.low, told.high],
                        evidence=[float(f"{each:.3g}") for each in told.evidence],
                    )

                taken = n < asked.results and KINDS[name] != "nothing"
                if taken and ("result", name, seed) not in done:
                    for measured in results(heard(name, seed), KINDS[name]):
                        keep("result", name, seed, **measured)


def heard(name: str, seed: int) -> Mixture:
    """A mixture of any of the five sets."""
    if seed not in ADVISED_ON or seed % 2:
        return mixture(name, seed)
    return in_a_room(mixture(name, seed), [seed, 1])


def results(whole: Mixture, kind: str) -> Iterator[dict[str, Any]]:
    """What comes of the recipe that is chosen, of the one for notes, and of its kind's own."""
    rate = whole.sample_rate
    x, sources = whole.signal[: SECONDS * rate], whole.sources[:, : SECONDS * rate]
    sources = sources[np.abs(sources).max(axis=1) > 0]
    begin = time.process_time()
    chosen = choose(x, rate).recipe
    choosing = time.process_time() - begin
    for recipe in dict.fromkeys((chosen, "notes", RECIPE_OF[kind])):
        begin = time.process_time()
        found = RECIPES[recipe](rate).decompose(x, len(sources))
        components = found.components()
        seconds = time.process_time() - begin
        parts = grouped(components, matching(components, sources), len(sources))
        traits = [traits_of(each, rate) for each in components]
        atom_seconds = None if found.atoms is None else found.atoms.shape[1] / rate
        yield {
            "chosen": recipe == chosen,
            "recipe": recipe,
            "dB": [round(float(each), 1) for each in np.maximum(si_sdr(parts, sources), -40)],
            "advice": advice(traits, float(np.sum(x**2, dtype=float)), atom_seconds),
            "choosing": round(choosing, 2),
            "seconds": round(seconds, 2),
        }


def keep(what: str, name: str, seed: int, **measured: object) -> None:
    row = {"what": what, "mixture": name, "seed": seed, **measured}
    with ROWS.open("a", encoding="utf8") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
