"""How sparse: calls and clicks, at twelve penalties of the last stage; and what its refit gains.

``python benchmarks/shares.py`` prints the mean SI-SDR, in dB, for each share of ``lambda_max``, and
what each loses against the best of the twelve, which only who knows the truth can take. The share
of a recipe is chosen on the first and third set of mixtures, and judged on the second and fourth.
``--refit`` prints instead what the refit of clicks gains over the same recipe without one.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from cdlnmf_lit.experiments.evaluation import grouped, matching, si_sdr
from cdlnmf_lit.experiments.mixtures import JUDGED_AGAIN, JUDGED_ON, MADE_ON, ROOMS, mixture
from cdlnmf_lit.methods.recipes import RECIPES, SAMPLE_RATE

SECONDS = 8
SEEDS = {"chosen on": (*MADE_ON[:8], *ROOMS[:8]), "judged on": (*JUDGED_ON[:8], *JUDGED_AGAIN[:8])}
SHARES = (0.002, 0.004, 0.007, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--refit", action="store_true")
    if parser.parse_args().refit:
        refits()
    else:
        shares()


def refits() -> None:
    usual = RECIPES["clicks"](SAMPLE_RATE).refit
    for words, seeds in SEEDS.items():
        gains = []
        for seed in seeds:
            before, after = measured("clicks", seed, "clicks", "refit", (0, usual))
            gains.append(after - before)
            print("clicks", seed, f"{before:.1f} dB, with a refit {after:.1f} dB", flush=True)
        told = f"{np.median(gains):.1f} dB in the median, {min(gains):.1f} to {max(gains):.1f}"
        print(f"clicks, {words}, gained by the refit: {told}")


def shares() -> None:
    for name, recipe in (("clicks", "clicks"), ("calls", "chirps")):
        for words, seeds in SEEDS.items():
            rows = []
            for seed in seeds:
                rows.append([*measured(name, seed, recipe, "share", SHARES)])
                print(name, seed, np.round(rows[-1], 1).tolist(), flush=True)
            lost = np.max(rows, axis=1, keepdims=True) - rows
            for share, each in zip(SHARES, lost.T, strict=True):
                told = f"{np.median(each):.1f} dB lost in the median, {each.max():.1f} at most"
                print(f"{name}, {words}, share {share}: {told}")


def measured(
    name: str, seed: int, recipe: str, option: str, values: tuple[float, ...]
) -> Iterator[float]:
    """The mean over the sources for each value of an option, all from the same first stage."""
    whole = mixture(name, seed)
    length = SECONDS * whole.sample_rate
    x, sources = whole.signal[:length], whole.sources[:, :length]
    sources = sources[np.abs(sources).max(axis=1) > 0]
    last = RECIPES[recipe](whole.sample_rate)
    begun = last.start.decompose(x, len(sources))
    for value in values:
        asked: dict[str, Any] = {option: value}
        method = replace(last, start="segments", **asked)
        components = method.decompose(x, len(sources), start=begun).components()
        parts = grouped(components, matching(components, sources), len(sources))
        yield float(np.mean(np.maximum(si_sdr(parts, sources), -40)))


if __name__ == "__main__":
    main()
