"""Windows: each method at windows that are shorter than the atom, as long, and longer.

Chapter: ``book/experiments/windows.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cdlnmf_lit.experiments import paper
from cdlnmf_lit.experiments.signals import Mixture, Signal, chirps, piano
from cdlnmf_lit.methods.algorithm_1 import Algorithm1
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.convolutive_nmf import ConvolutiveNMF
from cdlnmf_lit.methods.lrtfs import LRTFS
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.methods.semi_nmf import SemiNMF
from cdlnmf_lit.theory.arguments import choice, integer
from cdlnmf_lit.theory.gabor import GaborFrame, hann

RATIOS = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0)
"""``T_g / T_d``, the window's length over the atom's."""
LEAST = 64
"""Atoms are a multiple of so many samples: an eighth of the shortest window is a whole number."""
CONVERGED: Any = {"tolerance": 1e-4, "precision": "float32"}


@dataclass(frozen=True)
class Reference:
    """A sound, and the atom that windows are held against.

    Parameters
    ----------
    sound : str
        ``chirps`` or ``piano``.
    atom : int
        ``T_d``, in samples.
    n_components : int
        ``K``, of every method.
    seeds : range
        Of the sounds and of the starts.

    Examples
    --------
    >>> REFERENCES["chirps"].windows
    (5520, 11040, 22080, 44160, 88320, 176640)
    """

    sound: str
    atom: int
    n_components: int
    seeds: range

    @property
    def windows(self) -> tuple[int, ...]:
        """``T_g`` at each of the ratios."""
        return tuple(window_at(self.atom, ratio) for ratio in RATIOS)


REFERENCES = {
    "chirps": Reference("chirps", 44_160, 2, range(0, 8, 2)),
    "piano, 93 ms": Reference("piano", 2048, 8, range(1, 8, 2)),
    "piano, 1.5 s": Reference("piano", 32_768, 8, range(1, 8, 2)),
}
"""A chirp lasts 44,100 samples; the next multiple of 64 is 44,160. The paper's atoms of the piano
last 2048 samples, and a note is held for about 1.5 s."""


def window_at(atom: int, ratio: float) -> int:
    """``T_g`` for an atom of ``T_d`` samples and one of the ratios.

    Raises
    ------
    ValueError
        If the atom is no multiple of 64, or the ratio none of ``RATIOS``.

    Examples
    --------
    >>> window_at(2048, 1 / 8)
    256
    """
    if integer(atom, "atom") % LEAST:
        raise ValueError(f"atom must be a multiple of {LEAST} samples, got {atom}")
    if ratio not in RATIOS:
        raise ValueError(f"ratio must be one of {RATIOS}, got {ratio!r}")
    return int(atom * ratio)


def pattern_length(atom: int, window: int) -> int:
    """Frames at half overlap that span an atom: ``L`` with ``(L - 1) T_g / 2 + T_g = T_d``.

    One frame, from ``T_g = T_d`` on: the pattern is a spectrum, and convolutive NMF is NMF.

    Examples
    --------
    >>> [pattern_length(2048, window) for window in (256, 1024, 2048, 8192)]
    [15, 3, 1, 1]
    """
    return max(1, 2 * atom // window - 1)


def methods_at(sound: str, window: int, atom: int) -> dict[str, Method]:
    """The methods of the comparison, with windows of ``T_g`` samples and atoms of ``T_d``.

    Those that see spectrograms move by half a window, semi-NMF by an eighth. Algorithm 1 never
    forms its coefficients, and keeps its hop: one sample on the chirps, eight on the piano.

    Parameters
    ----------
    sound : str
        ``chirps`` or ``piano``: Algorithm 1 and CDL have the settings of that chapter.
    window, atom : int

    Raises
    ------
    ValueError
        If there is no such sound.

    Examples
    --------
    >>> methods = methods_at("piano", window=512, atom=2048)
    >>> methods["LRTFS"].frame.hop, methods["Algorithm 1"].frame.hop, methods["CDL"].atom_length
    (256, 8, 2048)
    """
    learning, placing = PLACING[choice(sound, "sound", PLACING)](window, atom)
    half = hann(window, window // 2)
    spectra = NMF(frame=half, iterations=500, **CONVERGED)
    return {
        "CDL": learning,
        "Algorithm 1": placing,
        "semi-NMF": SemiNMF(frame=hann(window, window // 8), iterations=200, **CONVERGED),
        "IS-NMF": replace(spectra, divergence="itakura-saito", update="full", iterations=1000),
        "KL-NMF": spectra,
        "LRTFS": LRTFS(frame=half, iterations=100, **CONVERGED),
        "convolutive NMF": ConvolutiveNMF(
            frame=half, pattern_length=pattern_length(atom, window), iterations=300, **CONVERGED
        ),
    }


def _on_chirps(window: int, atom: int) -> tuple[Method, Method]:
    """As in the chapter on chirps, but for the lengths: there both are 2.5 s."""
    learning = replace(paper.LEARNING, atom_length=window, padding=window // 2, iterations=1)
    placing = replace(  # type: ignore[call-arg]
        paper.CHIRPS["Algorithm 1, a = 1"].method,
        start=replace(paper.WIDE, frame=hann(window, window // 2)) >> learning,
        frame=GaborFrame("boxcar", 1, window).tight(),
    )
    whole = replace(learning, atom_length=atom, padding=atom // 2, iterations=40, tolerance=1e-3)
    return whole, placing


def _on_the_piano(window: int, atom: int) -> tuple[Method, Method]:
    """As in the chapter on the piano, where both are 2048 samples, and until they converge."""
    learning = CDL(atom_length=atom, iterations=30, share=0.02, tolerance=1e-3, precision="float32")
    placing = Algorithm1(
        frame=hann(window, 8),
        iterations=100,
        step_rule="accelerated",
        activation_update="coordinate",
        share=0.02,
        **CONVERGED,
    )
    return learning, placing


PLACING = {"chirps": _on_chirps, "piano": _on_the_piano}
"""Of each sound, the two methods that place waveforms, for a window and an atom."""


def label_of(name: str, window: int, atom: int) -> tuple[Any, ...]:
    """What a run is of: CDL has no window, and only patterns know of the atom.

    Examples
    --------
    >>> label_of("CDL", 256, 2048), label_of("LRTFS", 256, 2048)
    (('CDL', 2048), ('LRTFS', 256))
    >>> label_of("convolutive NMF", 256, 2048), label_of("convolutive NMF", 4096, 2048)
    (('convolutive NMF', 256, 2048), ('KL-NMF', 4096))
    """
    if name == "CDL":
        return name, atom
    if name != "convolutive NMF":
        return name, window
    return (name, window, atom) if window < atom else ("KL-NMF", window)


def points(reference: Reference) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """The points of a sweep of :func:`.separation`, by what they are of.

    A method is left out where it has fewer frames than components.

    Examples
    --------
    >>> labelled = points(REFERENCES["chirps"])
    >>> len(labelled), [point["seed"] for point in labelled["CDL", 44160]]
    (34, [0, 2, 4, 6])
    """
    K, make = reference.n_components, chirps if reference.sound == "chirps" else piano
    mixtures = {seed: make(seed) for seed in reference.seeds}
    (length,) = {mixture.signal.size for mixture in mixtures.values()}
    found = {}
    for window in reference.windows:
        for name, method in methods_at(reference.sound, window, reference.atom).items():
            label = label_of(name, window, reference.atom)
            if label[0] == name and method.most_components(length) >= K:
                asked = {"method": method, "n_components": K}
                found[label] = [
                    asked | {"mixture": each, "seed": seed} for seed, each in mixtures.items()
                ]
    return found


def by_true_masks(mixture: Mixture, window: int, rank: int | None = None) -> Signal:
    r"""The sources as masks of the true magnitudes give them: a guide, for other masks do better.

    .. math:: \hat s_j = Φ \Big( \frac{V_j}{\sum_i V_i} \, Φ^* x \Big), \qquad V_j = |Φ^* s_j|

    with a Hann window that moves by half its length. The sum runs over all stems, also the noise.
    With a rank, each ``V_j`` is the best matrix of that rank, in the sum of squares, with zeros
    where that is negative: masks of the model. Where all ``V_i`` are 0 the mask is even.

    Parameters
    ----------
    mixture : Mixture
    window : int
        In samples.
    rank : int, optional
        As large as the spectrogram, or larger, it changes nothing.

    Returns
    -------
    array (S, T)
        Without the noise.

    Raises
    ------
    ValueError
        If the rank is less than 1.

    Examples
    --------
    >>> t = np.arange(8000) / 8000
    >>> stems = np.stack([np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 990 * t)])
    >>> mixture = Mixture(stems, 8000, ("low", "high"))
    >>> from cdlnmf_lit.experiments.evaluation import si_sdr
    >>> for T_g in (16, 512):
    ...     print(min(si_sdr(by_true_masks(mixture, T_g), stems)) > 30)
    False
    True
    """
    frame, x = hann(window, window // 2), mixture.signal
    V = np.stack([np.abs(frame.half_analysis(stem)) for stem in mixture.stems])
    if rank is not None:
        kept = integer(rank, "rank")
        V = np.stack([_of_rank(each, kept) for each in V])
    V[:, V.sum(axis=0) == 0] = 1
    coefficients = frame.half_analysis(x) / V.sum(axis=0)
    sources = V[mixture.source_numbers]
    return np.stack([frame.half_synthesis(each * coefficients, x.size) for each in sources])


def _of_rank(V: Signal, rank: int) -> Signal:
    """The nearest matrix of this rank, clipped at 0: from the eigenvectors of the smaller side."""
    tall = V if V.shape[0] >= V.shape[1] else V.T
    _, vectors = np.linalg.eigh(tall.T @ tall)
    basis = vectors[:, -rank:]
    near = np.maximum((tall @ basis) @ basis.T, 0)
    return near if tall is V else near.T
