"""How well the book's piano is taken apart: the recipe for notes against each method alone.

``python benchmarks/piano.py`` prints the table of the README, over ten pianos; ``--pianos 1``
over fewer. The settings are those of ``book/experiments/piano.md``, which has the whole story.
"""

from __future__ import annotations

import argparse

from measure import table

NAMED = {
    "our recipe": "recipe `notes`",
    "convolutive NMF": "`convolutive-nmf`",
    "KL-NMF": "`nmf`",
    "complex NMF": "`complex-nmf`",
    "Algorithm 1, sparse": "`algorithm-1`, sparse",
    "LRTFS": "`lrtfs`",
    "CDL": "`cdl`",
    "IS-NMF": "`nmf`, Itakura-Saito",
}
"""The settings of the chapter, as the command line calls them."""


def row(setting: str, pianos: int) -> dict[str, str]:
    """What one method finds in pianos of other strikes and noise, each from a start of its own."""
    from cdlnmf_lit.experiments.paper import piano_trials
    from cdlnmf_lit.experiments.trials import trial

    scores = [trial(**point).scores for point in piano_trials(setting, range(pianos))]
    notes = sum(len(each.notes or ()) for each in scores) / pianos
    mean = sum(each.mean_si_sdr for each in scores) / pianos
    return {
        "": NAMED[setting],
        "notes found, of 4": f"{notes:.1f}",
        "SI-SDR": f"{mean:.1f} dB",
        "its worst note": f"{min(each.min_si_sdr for each in scores):.1f} dB",
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pianos", type=int, default=10)
    asked = parser.parse_args()
    print(table([row(setting, asked.pianos) for setting in NAMED]))
