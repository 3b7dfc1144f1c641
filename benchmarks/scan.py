"""Run every method over its settings, on pianos, chirps and a recording.

``python benchmarks/scan.py`` goes on where it was stopped. ``CDLNMF_PIANO=recording.wav`` adds a
recording of the same score, ``WORKERS=2`` takes two processors, ``PARTS="pianos chirps"`` only some
parts of the plan, in that order. What each run gave is a line of
``book/experiments/kept/scan.jsonl``; ``make verdicts`` then writes what follows from them.
"""

import json
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from cdlnmf_lit.experiments import evaluation, signals
from cdlnmf_lit.experiments.places import errors_of_place
from cdlnmf_lit.experiments.scan import Key, Row, method_of, plan, progress, rows_of
from cdlnmf_lit.experiments.signals import PIANO_MEASURES, PIANO_NOTES, Mixture
from cdlnmf_lit.recordings.reading import read

ROWS = Path(__file__).parents[1] / "book" / "experiments" / "kept" / "scan.jsonl"
RECORDING = os.environ.get("CDLNMF_PIANO")
WORKERS = int(os.environ.get("WORKERS", "1"))


@lru_cache(maxsize=4)
def mixture(signal: str, seed: int) -> Mixture:
    if signal == "recording":
        assert RECORDING is not None
        x, sample_rate = read(RECORDING)
        return Mixture(x[None], sample_rate, ("recording",))
    make = signals.piano if signal == "piano" else signals.chirps
    return make(rng=seed)


def ran(key: Key) -> Row:
    signal, _, _, K, seed, start = key
    given, chirping = mixture(signal.split()[0], seed), signal.startswith("chirps")
    score = {} if chirping else {"notes": PIANO_NOTES, "measures": PIANO_MEASURES}
    run = partial(method_of(key).decompose, given.signal, K, rng=start)
    found, seconds = evaluation.timed(run)
    scores = evaluation.judge(found, given, filter_length=1, **score)  # no BSS Eval in a row
    numbers = (
        scores.min_si_sdr if chirping else float(len(scores.notes or ())),
        scores.mean_si_sdr,
        found.history["objective"][-1],
        scores.relative_residual,
        seconds,
    )
    errors = errors_of_place(found, given) if chirping else []
    misplaced = float(np.median(errors)) if errors else None
    iterations = len(found.history["objective"]) - 1
    return Row(*key, *(float(f"{each:.5g}") for each in numbers), iterations, misplaced)


def run(asked: Iterable[Key]) -> None:
    """Run what was not run before."""
    done = {row.key for row in rows_of(ROWS)}
    keys = [key for key in asked if key not in done and (RECORDING or key[0] != "recording")]
    with ProcessPoolExecutor(WORKERS) as pool, ROWS.open("a", encoding="utf8") as file:
        for n, row in enumerate(pool.map(ran, keys), start=1):
            file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
            file.flush()
            print(f"{n}/{len(keys)} {row.key}: {row.found:g}, {row.seconds:.1f} s", flush=True)


def main() -> None:
    ROWS.touch()
    for part in os.environ.get("PARTS", "pianos recording chirps frames starts").split():
        run(plan(rows_of(ROWS))[part])
    for part, (done, asked) in progress(rows_of(ROWS)).items():
        print(f"{part}: {done} of {asked} runs")


if __name__ == "__main__":
    main()
