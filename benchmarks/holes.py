"""Fill ten holes of 50 ms in each of three seeded sounds: by lines, prediction, and a recipe.

``python benchmarks/holes.py`` keeps for each sound and seed the SNR in the holes, in dB, a line of
``book/experiments/kept/holes.jsonl``, and the processor seconds that the recipe took. Noise is in
the sounds, so that no filling can be perfect.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cdlnmf_lit.experiments import scenes, signals
from cdlnmf_lit.methods import weighted
from cdlnmf_lit.methods.bridging import bridged
from cdlnmf_lit.methods.recipes import RECIPES

ROWS = Path(__file__).parents[1] / "book" / "experiments" / "kept" / "holes.jsonl"
SOUNDS = {
    "piano": (signals.piano, "notes"),
    "field": (scenes.field, "chirps"),
    "machine": (scenes.machine, "clicks"),
}
HOLES, SECONDS, SEEDS = 10, 0.05, range(10)


def main() -> None:
    with ROWS.open("w", encoding="utf8") as file:
        for sound in SOUNDS:
            for seed in SEEDS:
                row = json.dumps({"sound": sound, "seed": seed, **measured(sound, seed)})
                file.write(f"{row}\n")
                print(row, flush=True)


def measured(sound: str, seed: int) -> dict[str, float | str]:
    """The SNR in the holes of one sound by each way to fill them."""
    make, recipe = SOUNDS[sound]
    whole = make(rng=seed)
    x, known = whole.signal, np.ones(whole.signal.size, bool)
    for hole in holes(x.size, whole.sample_rate, seed):
        known[hole] = False
    cut = np.where(known, x, np.nan)
    lines = np.interp(np.arange(x.size), np.flatnonzero(known), x[known])
    begin = time.process_time()
    method = RECIPES[recipe](whole.sample_rate)
    found = weighted.decompose(method, cut, len(whole.sources), known)
    seconds = time.process_time() - begin
    filled = {
        "lines": lines,
        "prediction": bridged(cut, ~known),
        "recipe": found.components().sum(axis=0) + found.residual,
    }
    told = {name: round(snr(x[~known], y[~known]), 1) for name, y in filled.items()}
    return told | {"seconds": round(seconds, 1)}


def holes(n_samples: int, sample_rate: int, seed: int) -> Iterator[slice]:
    """One at random in each tenth of the sound."""
    length = round(SECONDS * sample_rate)
    for n, place in enumerate(np.random.default_rng([seed, 50]).uniform(0.1, 0.9, HOLES)):
        begin = int((n + place) * (n_samples - length) / HOLES)
        yield slice(begin, begin + length)


def snr(wanted: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """In dB."""
    return float(10 * np.log10(np.sum(wanted**2) / np.sum((wanted - found) ** 2)))


if __name__ == "__main__":
    main()
