"""The methods and the recipes in the browser's own Python, which has 32 bits and one thread."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, BrowserContext

from cdlnmf_lit.methods import METHODS
from cdlnmf_lit.methods.recipes import RECIPES
from tests.browser.browsers_python import PROBE, ran

BYTES = 1.5e9
SOUND = """
import numpy as np
from cdlnmf_lit.experiments.signals import piano
from cdlnmf_lit.methods import METHODS
from cdlnmf_lit.methods.recipes import RECIPES

fs = 11_025
x = np.resize(piano(rng=0, sample_rate=fs).signal, {seconds} * fs)


def took_apart(method, K):
    found = method.decompose(x, K)
    rest = x - found.components().sum(axis=0)
    np.testing.assert_allclose(found.residual, rest, atol=1e-5 * np.abs(x).max())
    assert np.isfinite(found.activations).all() and found.activations.any()
    return found
"""
METHOD = """
assert took_apart(METHODS["{}"](iterations=3), 2).status == "ran all 3 iterations"
"""
RECIPE = """
took_apart(RECIPES["{}"](fs), 4)
"""

IMPORTS = [
    """
import sys
import numpy, scipy.fft, scipy.linalg, scipy.ndimage, scipy.optimize, scipy.signal, scipy.sparse
if "cdlnmf_lit" in sys.modules:
    import cdlnmf_lit  # which brings its files here
    raise ImportError
""",
    """
import cdlnmf_lit
there = [getattr(cdlnmf_lit, name) for name in cdlnmf_lit.__all__]
""",
]
IMPORTED = 3
"""Seconds that the package may take beyond what NumPy and SciPy take."""


def test_the_package_is_soon_imported(browser: Browser, alike: str) -> None:
    """By a browser that has kept nothing."""
    answer = ran(browser.new_context(), alike, IMPORTS)
    first, ours = answer["answers"]
    assert not first["error"]
    assert not ours["error"]
    seconds = ours["seconds"] * PROBE / answer["probe"]
    print(f"{ours['seconds']:.1f} s, {seconds:.1f} s on an idle core")
    assert seconds <= IMPORTED


@pytest.mark.parametrize(
    ("seconds", "cell", "names"), [(60, METHOD, METHODS), (10, RECIPE, RECIPES)]
)
def test_each_takes_a_sound_apart(
    seconds: int, cell: str, names: dict[str, object], visit: BrowserContext, alike: str
) -> None:
    """Three iterations of each method on a minute, each recipe whole on ten seconds."""
    cells = [SOUND.format(seconds=seconds), *(cell.format(name) for name in names)]
    answer = ran(visit, alike, cells)
    said = zip(["the sound", *names], answer["answers"], strict=True)
    assert not {name: each["error"] for name, each in said if each["error"]}
    assert answer["bytes"] <= BYTES
