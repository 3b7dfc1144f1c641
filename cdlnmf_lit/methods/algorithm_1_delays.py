r"""Algorithm 1 with the phases that are needed: one delay an activation.

At a hop ``a > 1`` the synthesis coefficients of a sum of convolutions have a rank above ``K``, so
that semi-NMF cannot hold them. One whole number an activation repairs that: a delay, below ``a``,
of its atom within a flat window. The phase of a component is then a straight line in frequency.

Chapter: ``book/methods/algorithm_1_delays.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy.fft

from cdlnmf_lit.methods import method, sparse_coding
from cdlnmf_lit.methods.algorithm_1 import STEP_RULES, recentring_steps
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.factors import in_ball, normalised, shifts_to_middle
from cdlnmf_lit.methods.families import Sparse, require_change, require_length
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.methods.options import OneOf, at_least, option
from cdlnmf_lit.methods.starts import activations_of, segments
from cdlnmf_lit.theory.arguments import Array
from cdlnmf_lit.theory.blocks import pieces, placed
from cdlnmf_lit.theory.convolution import Convolution
from cdlnmf_lit.theory.gabor import GaborFrame

CHUNK = 2**16
"""Numbers that are moved to their delays at a time."""

Point = list[tuple[float, "State"]]
"""Coefficients as a combination of those of iterates: ``Σ c_i α_i``."""


@dataclass(frozen=True, eq=False)
class Problem(method.Problem):
    r"""A signal, and one outer iteration: a gradient step, then atoms, delays and activations.

    .. math::
        d_k &← \sum_τ z_k[τ] \, S^{-p_k[τ]} (A_τ - O_{kτ}) \, / \, \|z_k\|^2 \\
        p_k[τ] &← \argmax_{0 ≤ p < a} ⟨S^p d_k, A_τ - O_{kτ}⟩, \qquad
        z_k[τ] ← \max\big(⟨S^{p_k[τ]} d_k, A_τ - O_{kτ}⟩ - \tfrac{μ}{R} λ, 0\big)
        \, / \, \|d_k\|^2

    ``S`` delays by one sample. ``A_τ = Σ_k z_k[τ] S^{p_k[τ]} d_k + (μ/R) r_τ`` is taken before the
    iteration, with the residual under the window that begins at ``aτ``; ``R`` such windows overlap.
    ``O_kτ`` is what the other components are now. Activations are kept at the samples
    ``aτ + p_k[τ]``: at most one in each block of ``a``.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0)) * np.hanning(200)
    >>> start = next(Algorithm1Delays(atom_length=32, hop=8).iterate(x, 1))
    >>> start.problem.after(start).objective < start.objective
    True

    References
    ----------
    Departs from Algorithm 1 and equation (15) of the paper by the delays.
    """

    def updated(self, state: State, step: float, point: Point) -> tuple[Array, Array, Array]:
        """Atoms, activations and the atoms' spectra after a step of length ``step``."""
        d, z, plan = state.patterns, state.activations, self.plan
        share = step / self.method.overlap
        r = self.signal_spectra(np.asarray(sum(c * other.residual for c, other in point)))
        before = [each for c, other in point for each in self.components(other, c)]
        if self.held != "patterns":
            correlations = share * plan.correlation_with_activations(r, state.spectra)
            d = self.atoms_step(d, z, correlations, before)
        atom_spectra = plan.atom_spectra(d)
        if self.held != "activations":
            correlations = share * plan.correlation_with_atoms(r, atom_spectra)
            z = self.activations_step(d, z, correlations, before, share * self.method.penalty)
        return d, z, atom_spectra

    def atoms_step(self, d: Array, z: Array, sums: Array, before: list[_Delayed]) -> Array:
        """Atom by atom, the least squares; with a penalty the nearest in the unit ball."""
        d, now = d.copy(), self.delayed(d, z, -1.0)
        for k, mine in enumerate(now):
            size = np.sum(mine.values**2)
            if size == 0:
                continue
            terms = [*before, *now[:k], *now[k + 1 :]]
            spectrum = np.asarray(sum(each.spectrum * self.lags(mine, each) for each in terms))
            sums[k] += scipy.fft.irfft(spectrum, self.points)[: d.shape[1]]
            d[k] = sums[k] / size
            if self.method.penalty:
                d[k : k + 1] = in_ball(d[k : k + 1])
            now[k] = mine._replace(spectrum=-scipy.fft.rfft(d[k], self.points))
        return d

    def activations_step(
        self, d: Array, z: Array, agreements: Array, before: list[_Delayed], penalty: float
    ) -> Array:
        """Component by component, the delay that agrees best with what is left to it."""
        z, a, now = z.copy(), self.method.hop, self.delayed(d, z, -1.0)
        for k, mine in enumerate(now):
            blocks = agreements[k].reshape(-1, a)
            for each in [*before, *now[:k], *now[k + 1 :]]:
                self.add(blocks, each, -mine.spectrum * each.spectrum.conj())
            delays = np.argmax(blocks, axis=1)
            heard = np.maximum(np.max(blocks, axis=1) - penalty, 0)
            size = np.sum(d[k] ** 2)
            heard = heard / size if size > 0 else 0 * heard
            z[k] = 0
            z[k].reshape(-1, a)[np.arange(len(blocks)), delays] = heard
            now[k] = mine._replace(delays=delays, values=heard)
        return z

    # ---- delays ----------------------------------------------------------------------------------

    def components(self, state: State, c: float) -> list[_Delayed]:
        """``c α`` of an iterate, a component at a time."""
        return self.delayed(state.patterns, state.activations, c)

    def delayed(self, d: Array, z: Array, c: float) -> list[_Delayed]:
        """The same of atoms and activations."""
        blocks = z.reshape(len(z), -1, self.method.hop)
        delays, values = np.argmax(blocks, axis=2), np.max(blocks, axis=2)
        spectra = d.dtype.type(c) * scipy.fft.rfft(d, self.points)
        return [_Delayed(*each) for each in zip(spectra, delays, values, strict=True)]

    def lags(self, mine: _Delayed, other: _Delayed) -> Array:
        """The spectrum of ``Σ_τ z_k[τ] z_j[τ]``, sorted by ``p_j[τ] - p_k[τ]``."""
        lags = (other.delays - mine.delays) % self.points
        sums = np.bincount(lags, mine.values * other.values, self.points)
        return np.asarray(scipy.fft.rfft(sums.astype(mine.values.dtype)))

    def add(self, blocks: Array, other: _Delayed, spectrum: Array) -> None:
        """Add ``z_j[τ] ⟨S^p d_k, S^{p_j[τ]} d_j⟩`` at all ``p``, from the spectrum of ``⟨…⟩``."""
        a = self.method.hop
        rising = np.roll(scipy.fft.irfft(spectrum, self.points), a - 1)[2 * a - 2 :: -1]
        (active,) = np.nonzero(other.values)
        for part in pieces(len(active), max(1, CHUNK // a)):
            frames = active[part]
            places = (a - 1 - other.delays[frames])[:, None] + np.arange(a)
            blocks[frames] += other.values[frames, None] * rising[places]

    @cached_property
    def points(self) -> int:
        """Of transforms so long that each lag has a place, and no delayed atom wraps around."""
        longest = max(self.method.atom_length, self.method.hop) + self.method.hop - 1
        return int(scipy.fft.next_fast_len(longest, real=True))

    @cached_property
    def plan(self) -> Convolution:
        """The convolutions at hop 1, beyond both ends of the signal."""
        return self.method.plan(self.x.size)

    def signal_spectra(self, values: Array) -> list[Array]:
        """Spectra of a signal ``(T,)`` among the windows, which reach beyond both its ends."""
        return self.plan.signal_spectra(
            placed(values, -self.method.frame.first_sample, self.plan.length)
        )

    def residual(self, atom_spectra: Array, spectra: list[Array]) -> Array:
        """``x - Σ d_k ∗ z_k``, from the spectra of atoms and activations."""
        whole = self.plan.synthesis(atom_spectra, spectra)
        return self.x - placed(whole, self.method.frame.first_sample, self.x.size)

    # ---- starts and states ---------------------------------------------------------------------

    def drawn(self, K: int, start: str, rng: np.random.Generator) -> tuple[Array, Array]:
        """Segments of the signal, drawn by energy, or noise; no activations."""
        x, T_d = self.x, self.method.atom_length
        noise = start == "random"
        d = rng.standard_normal((K, T_d)).astype(x.dtype) if noise else segments(x, K, T_d, rng)
        return normalised(d, self.activations_for(d))

    def activations_for(self, W: Array) -> Array:
        """All zero."""
        return np.zeros((len(W), self.plan.n_activations), self.x.dtype)

    def taken(self, found: Decomposition) -> tuple[Array, Array]:
        """Waveforms of the components; where they are atoms, their activations too."""
        d = found.patterns(self.method.atom_length).astype(self.x.dtype)
        z = self.activations_for(d)
        if found.atoms is not None:
            z = activations_of(found, 1, self.method.frame.first_sample, z.shape[1])
        return normalised(d, self.loudest(z.astype(self.x.dtype)))

    def loudest(self, z: Array) -> Array:
        """The loudest activation of each block; the others are zero."""
        blocks = z.reshape(len(z), -1, self.method.hop)
        places, found = blocks.argmax(axis=2)[..., None], np.zeros_like(blocks)
        np.put_along_axis(found, places, np.take_along_axis(blocks, places, axis=2), axis=2)
        return found.reshape(z.shape)

    def first(self, W: Array, Z: Array) -> State:
        """The iterate of a start; with a penalty its atoms have norm 1, or are in the unit ball.

        What the atoms lose the activations gain, unless they are held; held atoms stay as they are.
        """
        if self.method.penalty and self.held != "patterns":
            W, Z = (in_ball(W), Z) if self.held else normalised(W, Z)
        return self._state(0, W, Z, self.plan.atom_spectra(W), 1.0)

    def _state(self, iteration: int, d: Array, z: Array, atom_spectra: Array, step: float) -> State:
        """An iterate, with its residual."""
        spectra = self.plan.activation_spectra(z)
        return State(iteration, d, z, self, self.residual(atom_spectra, spectra), step, spectra)

    def after(self, state: State, step: float = 1.0, point: Point | None = None) -> State:
        """One outer iteration: from the state's own coefficients, or from those of ``point``."""
        return self._state(
            state.iteration + 1, *self.updated(state, step, point or [(1.0, state)]), step
        )

    def states(self, state: Any) -> Iterator[State]:
        """All iterates, by the method's step rule; nothing is recentred where a factor is held."""
        problem: Any = self
        steps, every = STEP_RULES[self.method.step_rule], self.method.recentre_every
        if every and self.held is None:
            return recentring_steps(steps, problem, state, every)  # type: ignore[return-value]
        return steps(problem, state)  # type: ignore[return-value]

    def recentred(self, state: State) -> State | None:
        r"""Each atom with its energy in the middle of its support, its activations moved back.

        .. math:: d_k[s] ← d_k[s - m_k], \quad z_k[n] ← z_k[n + m_k]

        By :func:`~cdlnmf_lit.methods.factors.shifts_to_middle`. What is shifted past an end is
        lost, and so is the quieter of two activations that meet in a block. ``None`` where no atom
        is to be shifted.
        """
        d, z, shifts = state.patterns, state.activations, shifts_to_middle(state.patterns)
        if not shifts.any():
            return None
        d = np.stack([placed(atom, m, atom.size) for atom, m in zip(d, shifts, strict=True)])
        z = np.stack([placed(row, -m, row.size) for row, m in zip(z, shifts, strict=True)])
        return replace(self.first(d, self.loudest(z)), iteration=state.iteration, step=state.step)

    def record(self, state: State) -> dict[str, float]:
        """``½‖x - Σ d_k ∗ z_k‖² + λ‖z‖₁``, the residual's share of the signal, and ``μ``."""
        size = float(np.sqrt(np.sum(np.square(state.residual), dtype=float)))
        cost = self.method.penalty * float(state.activations.sum(dtype=float))
        return {
            "objective": 0.5 * size**2 + cost,
            "relative_residual": size / float(np.linalg.norm(self.x)),
            "step": state.step,
        }

    def result(self, state: State) -> dict[str, Any]:
        return {
            "atoms": state.patterns,
            "residual": state.residual,
            "hop": 1,
            "first_sample": self.method.frame.first_sample,
        }


class _Delayed(NamedTuple):
    """A component with its delays.

    Parameters
    ----------
    spectrum : complex array (F',)
        Of ``d_k``.
    delays : array of int (N,)
        ``p_k``.
    values : array (N,)
        ``z_k``.
    """

    spectrum: Array
    delays: Array
    values: Array


@dataclass(frozen=True, eq=False)
class State(method.State):
    """One iterate of Algorithm 1 with delays; its activations stand at hop 1, one a block.

    ``residual`` is ``x - Σ d_k ∗ z_k``, ``step`` the ``μ`` of the gradient step that led here, and
    ``spectra`` are those of the activations, for the next iteration.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> start = next(Algorithm1Delays(atom_length=32, hop=8).iterate(x, 1))
    >>> start.iteration, start.patterns.shape, start.activations.shape
    (0, (1, 32), (1, 232))

    References
    ----------
    Algorithm 1 of the paper.
    """

    residual: Array
    step: float
    spectra: list[Array]


# ---- options ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, repr=False)
class Algorithm1Delays(Sparse, Method, name="algorithm-1-delays"):
    r"""Atoms and activations by steps on coefficients at a hop, each activation with its delay.

    .. math::
        \min_{d, z ≥ 0} \; ½ \Big\|x - \sum_k d_k ∗ z_k\Big\|^2 + λ \sum_k \|z_k\|_1
        \quad\text{with at most one activation an atom and block of } a \text{ samples},

    and ``‖d_k‖ ≤ 1`` if ``λ > 0``. The window is flat and ``T_d + a - 1`` samples long, so that an
    atom fits into it at every delay; it takes as many channels. Its height is such that
    ``‖Φ‖ ≤ 1``.

    Of a start the loudest activation of each block is taken; one that is given as arrays must have
    no more. Patterns that are held keep their norms, even above 1 with a penalty. With a factor
    held nothing is recentred.

    Raises
    ------
    ValueError
        For an option that does not meet its rule.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0)) * np.hanning(200)
    >>> found = Algorithm1Delays(atom_length=32, hop=8, iterations=5).decompose(x, 1)
    >>> np.allclose(found.components().sum(axis=0) + found.residual, x)
    True

    References
    ----------
    Departs from Algorithm 1 and equation (15) of the paper by the delays.
    """

    atom_length: int = option(2048, "``T_d``.", at_least(1))
    hop: int = option(512, "``a``: samples of a block, which has one activation.", at_least(1))
    step_rule: str = option(
        "unit",
        "The paper's ``μ = 1``, which never raises the objective; steps as long as the objective "
        "allows; or such steps from an extrapolated point, with restarts.",
        OneOf(*STEP_RULES),
    )
    recentre_every: int = option(
        0,
        "Iterations after which to see whether shifting each atom's energy to the middle of its "
        "support would have led lower; 0 never does.",
        at_least(0),
    )

    STARTS = ("segments", "random")
    SIGNED = ("patterns",)

    def lambda_max(self, x: Array) -> float:
        r"""The smallest penalty with which no atoms of norm 1 are used at all.

        As in dictionary learning: the norm of the loudest segment as long as an atom.
        """
        return sparse_coding.lambda_max(x, self.atom_length)

    @cached_property
    def frame(self) -> GaborFrame:
        """The flat window, ``T_d + a - 1`` samples long, with as many channels."""
        T_g = self.atom_length + self.hop - 1
        return GaborFrame(np.full(T_g, (T_g * -(-T_g // self.hop)) ** -0.5), self.hop)

    @property
    def overlap(self) -> int:
        """``R = ⌈T_g / a⌉``: windows that overlap at a sample, at the most."""
        return -(-self.frame.channels // self.hop)

    def plan(self, n_samples: int) -> Convolution:
        """Of the convolutions: whole blocks."""
        return Convolution(self.atom_length, self.hop * self.frame.n_frames(n_samples))

    def check(self, x: Array) -> None:
        require_change(x)
        require_length(x.size, self.atom_length)

    def most_components(self, n_samples: int) -> int:
        return n_samples

    def shapes(self, n_samples: int, K: int) -> dict[str, tuple[int, ...]]:
        N = self.plan(n_samples).n_activations
        return {"patterns": (K, self.atom_length), "activations": (K, N)}

    def arrays_of(
        self, start: Any, n_samples: int, K: int, dtype: Any
    ) -> tuple[Array, Array | None]:
        d, z = super().arrays_of(start, n_samples, K, dtype)
        if z is not None:
            most = int(np.count_nonzero(z.reshape(K, -1, self.hop), axis=2).max())
            if most > 1:
                raise ValueError(
                    f"start's activations must have at most one in each block of {self.hop} "
                    f"samples that is not zero, got {most}"
                )
        return d, z

    def problem(self, x: Array, K: int, **asked: Any) -> Problem:
        return Problem(method=self, x=x, **asked)

    def bytes_needed(self, n_samples: int, K: int, dtype: np.dtype) -> int:
        """The arrays of the step rule that needs most."""
        plan = self.plan(n_samples)
        blocks = plan.n_blocks * plan.fft_length
        signals = 5 * plan.length + 3 * n_samples + 2 * blocks
        activations = 8 * K * plan.n_activations + 4 * K * blocks
        atoms = 12 * (K + 1) * (plan.fft_length + 2 * self.frame.channels)
        return int((signals + activations + atoms) * dtype.itemsize) + 24 * min(
            CHUNK, plan.n_activations
        )
