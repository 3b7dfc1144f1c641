"""How sparse: calls and clicks of the first and third set, at six penalties of the last stage.

``python benchmarks/shares.py`` prints the mean SI-SDR, in dB, for each share of ``lambda_max``.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from cdlnmf_lit.experiments.evaluation import grouped, matching, si_sdr
from cdlnmf_lit.experiments.mixtures import MADE_ON, ROOMS, mixture
from cdlnmf_lit.methods.recipes import RECIPES

SECONDS, SEEDS = 8, (*MADE_ON[:4], *ROOMS[:4])
SHARES = (0.003, 0.01, 0.02, 0.05, 0.1, 0.2)


def main() -> None:
    for name, recipe in (("clicks", "clicks"), ("calls", "chirps")):
        for seed in SEEDS:
            found = {share: round(value, 1) for share, value in measured(name, seed, recipe)}
            print(name, seed, found, flush=True)


def measured(name: str, seed: int, recipe: str) -> Iterator[tuple[float, float]]:
    """The mean over the sources for each share, all from the same first stage."""
    whole = mixture(name, seed)
    length = SECONDS * whole.sample_rate
    x, sources = whole.signal[:length], whole.sources[:, :length]
    sources = sources[np.abs(sources).max(axis=1) > 0]
    last = RECIPES[recipe](whole.sample_rate)
    begun = last.start.decompose(x, len(sources))
    for share in SHARES:
        method = replace(last, start="segments", share=share)
        components = method.decompose(x, len(sources), start=begun).components()
        parts = grouped(components, matching(components, sources), len(sources))
        yield share, float(np.mean(np.maximum(si_sdr(parts, sources), -40)))


if __name__ == "__main__":
    main()
