"""How right the times of events are, against the truth of ten seeds.

For the clicks of a machine, two birds, two chirps and a piano (at two hops): the F-measure of the
onsets within 50 ms (mir_eval), the mean over the seeds and the lowest, and the median error of the
onsets that are hits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from cdlnmf_lit.experiments import evaluation
from cdlnmf_lit.experiments.finding import onset_errors
from cdlnmf_lit.experiments.scenes import field, machine
from cdlnmf_lit.experiments.signals import Mixture, chirps, piano
from cdlnmf_lit.methods import recipes
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.theory.gabor import hann

SWELL = 2 * np.arcsin(10 ** (-20 / 40)) / np.pi
"""s, after which a Hann window of 2 s is 20 dB below its peak."""
SEEDS = range(10)


def notes(hop: int) -> Method:
    """The recipe for notes with another hop, and windows and patterns that go with it."""
    found: Any = recipes.notes()
    ratio, chain = hop / 1024, []
    for stage in found.stages:
        frame = hann(round(stage.frame.window.size * ratio), hop)
        changed: dict[str, Any] = {"frame": frame, "start": "random"}
        if hasattr(stage, "pattern_length"):
            changed["pattern_length"] = round(stage.pattern_length / ratio)
        chain.append(replace(stage, **changed))
    return chain[0] >> chain[1] >> chain[2]


CASES: dict[str, tuple[Callable[[int], Mixture], Method, int, float]] = {
    "clicks": (machine, recipes.clicks(), 2, 0.0),
    "birds": (field, recipes.chirps(), 2, 0.0),
    "chirps": (chirps, recipes.chirps(), 2, SWELL),
    "piano, hop 512": (piano, notes(512), 4, 0.0),
    "piano, hop 1024": (piano, notes(1024), 4, 0.0),
}


def main() -> None:
    print("sound               F mean   lowest   median error (ms)")
    for name, (signal_of, method, K, swell) in CASES.items():
        scores, errors = [], []
        for seed in SEEDS:
            mixture = signal_of(seed)
            found = method.decompose(mixture.signal, K, rng=seed)
            owners = evaluation.grouping(found.components(), mixture.stems)
            events, of_seed = found.events(mixture.sample_rate), []
            for s in mixture.source_numbers:
                truth = [replace(e, onset=e.onset + swell) for e in mixture.events if e.stem == s]
                own = events[np.isin(events.component, np.flatnonzero(np.asarray(owners) == s))]
                wrong, f = onset_errors(own, truth)
                of_seed.append(f)
                errors.extend(np.abs(wrong))
            scores.append(np.mean(of_seed))
        told = f"{np.mean(scores):8.3f} {min(scores):8.3f} {np.median(errors):12.1f}"
        print(f"{name:18}{told}", flush=True)


if __name__ == "__main__":
    main()
