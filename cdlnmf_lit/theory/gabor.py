"""Gabor frames: analysis, synthesis, frame bounds, dual and tight windows.

Equations (3)-(6) of the paper. Chapter: ``book/theory/gabor.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from cdlnmf_lit.theory.arguments import Array, array, choice, integer, non_negative, signal
from cdlnmf_lit.theory.blocks import frames, in_threads, overlap_add, pieces, placed
from cdlnmf_lit.theory.frame_operator import FrameOperator
from cdlnmf_lit.theory.operators import Operator
from cdlnmf_lit.theory.windows import named_window

PHASES = ("time-invariant", "frequency-invariant")
BLOCK = 2**17  # numbers in one block: enough for quick transforms, few enough to stay cached


@dataclass(frozen=True, eq=False, repr=False)
class GaborFrame:
    r"""A Gabor dictionary ``φ[τ, ν]``: a window, moved by a hop and modulated by channels.

    .. math:: φ_{τ,ν}[t] = g[t - aτ] \, e^{2iπν(t - aτ)/M}, \qquad 0 ≤ ν < M.

    *Boundary rule.* The signal of ``T`` samples is zero outside ``[0, T)``, and every position
    ``τ`` whose window meets ``[0, T)`` is used: ``τ`` runs from ``first_frame ≤ 0`` to
    ``(T - 1 + origin) // a``. So each sample, the first and the last included, is covered like
    those a multiple of ``a`` from it.

    Parameters
    ----------
    window : array (T_g,), or name of a window
        The window ``g``, real; or what :func:`scipy.signal.get_window` takes (a *periodic* window).
    hop : int
        ``a``, samples between two positions, from 1 to ``T_g``.
    channels : int, optional
        ``M``, points of the Fourier transform: below, at or above ``T_g``. Default: ``T_g``.
    length : int, optional
        ``T_g`` where ``window`` is a name. Default: ``channels``.
    phase : {"time-invariant", "frequency-invariant"}
        Where the phase is counted from: the window's place ``t - aτ`` as in the paper, or the
        signal's first sample (``e^{2iπνt/M}``). Theorem 1 needs the first.
    origin : int
        The sample of the window that stands at ``t = aτ``; 0 in the paper.

    Raises
    ------
    ValueError
        For a window that is silent, empty, complex or unknown, a hop beyond it, fewer than one
        channel.

    Examples
    --------
    >>> frame = GaborFrame("hann", hop=2, channels=8)
    >>> x = np.arange(5.0)
    >>> X = frame.analysis(x)
    >>> X.shape
    (6, 8)
    >>> np.round(frame.dual().synthesis(X, 5).real, 12)
    array([0., 1., 2., 3., 4.])
    >>> frame.tight()
    GaborFrame('hann', 2, 8).tight()

    References
    ----------
    Equations (3)-(6) of the paper.
    """

    window: Array
    hop: int
    channels: int
    phase: str
    origin: int
    _reach: tuple[int, int] = field(repr=False)
    _name: str | tuple[Any, ...] | None = field(repr=False)
    _source: tuple[GaborFrame, str] | None = field(repr=False)

    def __init__(
        self,
        window: ArrayLike | str | tuple[Any, ...],
        hop: int,
        channels: int | None = None,
        *,
        length: int | None = None,
        phase: str = "time-invariant",
        origin: int = 0,
        _reach: tuple[int, int] | None = None,
        _source: tuple[GaborFrame, str] | None = None,
    ) -> None:
        if channels is not None:
            channels = integer(channels, "channels")
        name = None
        if isinstance(window, str) or (
            isinstance(window, tuple) and any(isinstance(part, str) for part in window)
        ):
            name, g = window, named_window(window, length, channels)
        else:
            g = array(window, "window", 1).copy()
        if length is not None and length != g.size:
            raise ValueError(f"length must be that of the window, {g.size}, got {length!r}")
        if not np.any(g):
            raise ValueError("window must not be zero everywhere")
        g.flags.writeable = False
        origin = integer(origin, "origin", at_least=0, at_most=g.size - 1)
        values = {
            "window": g,
            "hop": integer(hop, "hop", at_most=g.size),
            "channels": g.size if channels is None else channels,
            "phase": choice(phase, "phase", PHASES),
            "origin": origin,
            "_reach": _reach or (g.size - 1 - origin, origin),
            "_name": name,
            "_source": _source,
        }
        for field_name, value in values.items():
            object.__setattr__(self, field_name, value)

    # ---- as a value ------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GaborFrame) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @cached_property
    def _key(self) -> tuple[Any, ...]:
        g = self.window
        return g.tobytes(), g.dtype, self.hop, self.channels, self.phase, self.origin, self._reach

    def __repr__(self) -> str:
        if self._source is not None:
            return f"{self._source[0]!r}.{self._source[1]}()"
        window = repr(self._name or self.window.tolist())
        if self.window.dtype == np.float32:
            window = f"np.float32({window})"
        asked = [window, str(self.hop), str(self.channels)]
        length = self.channels if self._name is None else self.window.size
        others = {"length": (length, self.channels), "phase": (self.phase, PHASES[0])}
        for name, (value, usual) in (others | {"origin": (self.origin, 0)}).items():
            asked += [f"{name}={value!r}"] if value != usual else []
        return f"GaborFrame({', '.join(asked)})"

    @property
    def parameters(self) -> dict[str, Any]:
        """What makes this frame anew, in numbers, strings and lists.

        A window is kept by its name, or else by its values.

        Examples
        --------
        >>> GaborFrame("hann", 2, 8).tight().parameters["made"]
        ['tight']
        """
        if self._source is not None:
            source, step = self._source
            parameters = source.parameters
            return parameters | {"made": [*parameters["made"], step]}
        window = self.window.tolist() if self._name is None else self._name
        single = self.window.dtype == np.float32
        return ({"precision": "float32"} if single else {}) | {
            "window": list(window) if isinstance(window, tuple) else window,
            "window_length": self.window.size,
            "hop": self.hop,
            "channels": self.channels,
            "phase": self.phase,
            "origin": self.origin,
            "made": [],
        }

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> GaborFrame:
        """The frame of these :attr:`parameters`; a ``ValueError`` says which one is missing.

        Examples
        --------
        >>> frame = GaborFrame(("kaiser", 8.6), 2, 8).tight()
        >>> GaborFrame.from_parameters(frame.parameters) == frame
        True
        """
        wanted = ("window", "hop", "channels", "window_length", "phase", "origin", "made")
        if missing := [name for name in wanted if name not in parameters]:
            raise ValueError(f"parameters must tell a frame's {missing[0]}, which is not there")
        window = parameters["window"]
        if isinstance(window, list):
            named = any(isinstance(part, str) for part in window)
            precision = parameters.get("precision", "float64")
            window = tuple(window) if named else np.array(window, precision)
        others = {name: parameters[name] for name in ("hop", "channels", "phase", "origin")}
        frame = cls(window, length=parameters["window_length"], **others)
        for step in parameters["made"]:
            frame = getattr(frame, choice(step, "made", ("tight", "dual")))()
        return frame

    # ---- positions -----------------------------------------------------------------------

    @property
    def first_frame(self) -> int:
        """``τ`` of the first row of the coefficients, at most 0: the first window to meet sample 0.

        Examples
        --------
        >>> GaborFrame("hann", hop=2, channels=8).first_frame
        -3
        """
        return -(self._reach[0] // self.hop)

    @property
    def first_sample(self) -> int:
        """The sample at which the first window begins, at most 0.

        Examples
        --------
        >>> GaborFrame("hann", hop=2, channels=8).first_sample
        -6
        """
        return self.hop * self.first_frame - self.origin

    def n_frames(self, n_samples: int) -> int:
        """``N``, the number of positions for a signal of ``n_samples``.

        Examples
        --------
        >>> GaborFrame("hann", hop=1, channels=8).n_frames(100)
        107
        """
        n_samples = integer(n_samples, "n_samples")
        return (n_samples - 1 + self._reach[1]) // self.hop - self.first_frame + 1

    # ---- analysis and synthesis ------------------------------------------------------------

    def analysis(self, x: ArrayLike) -> Array:
        r"""Analysis coefficients ``Φ* x`` (eq. 3, 6), the short-time Fourier transform.

        .. math:: X[τ, ν] = \sum_t x[t] \, \bar φ_{τ,ν}[t]

        Parameters
        ----------
        x : array (T,), real or complex

        Returns
        -------
        complex array (N, M)
            Row ``n`` is ``τ = first_frame + n``; no normalisation, as in the paper.

        Raises
        ------
        ValueError
            If ``x`` is not one-dimensional, empty, not finite or of integers.

        Examples
        --------
        >>> GaborFrame(np.ones(2), hop=2).analysis([1.0, 2.0]).real
        array([[ 3., -1.]])

        References
        ----------
        Equations (3) and (6) of the paper.
        """
        return self._analysis(array(x, "x", 1, allow_complex=True), half=False)

    def half_analysis(self, x: ArrayLike) -> Array:
        """Channels 0 to ``M // 2`` of :meth:`analysis`: all there is to know of a real signal.

        Examples
        --------
        >>> GaborFrame("hann", hop=2, channels=8).half_analysis(np.ones(9)).shape
        (8, 5)

        References
        ----------
        Equations (3) and (6) of the paper.
        """
        return self._analysis(signal(x), half=True)

    def synthesis(self, alpha: ArrayLike, n_samples: int) -> Array:
        r"""Synthesise ``Φ α`` (eq. 4, 5), the signal that has ``α`` as synthesis coefficients.

        .. math:: x[t] = \sum_τ \sum_ν α[τ, ν] \, φ_{τ,ν}[t], \qquad 0 ≤ t < T

        Parameters
        ----------
        alpha : array (N, M)
            ``N`` must be ``n_frames(n_samples)``.
        n_samples : int
            ``T``.

        Returns
        -------
        complex array (T,)

        Raises
        ------
        ValueError
            If ``alpha`` has another shape or is not finite.

        Examples
        --------
        >>> GaborFrame(np.ones(2), hop=2).synthesis([[3.0, -1.0]], 2).real
        array([2., 4.])

        References
        ----------
        Equations (4)-(5) of the paper.
        """
        return self._synthesis(alpha, n_samples, half=False)

    def half_synthesis(self, alpha: ArrayLike, n_samples: int) -> Array:
        """Real signal whose channels 0 to ``M // 2`` are ``alpha``, the others their conjugates.

        Examples
        --------
        >>> GaborFrame(np.ones(2), hop=2).half_synthesis([[3.0, -1.0]], 2)
        array([2., 4.])

        References
        ----------
        Equations (4)-(5) of the paper.
        """
        return self._synthesis(alpha, n_samples, half=True)

    # ---- block by block --------------------------------------------------------------------

    def blocks(self, n_samples: int) -> list[slice]:
        """Rows of the coefficients that are worked on together, one thread's work each.

        Examples
        --------
        >>> GaborFrame("hann", hop=8, channels=2048).blocks(4000)
        [slice(0, 64, None), slice(64, 128, None), ..., slice(704, 755, None)]
        """
        size = max(1, BLOCK // max(self.channels, self.window.size))
        return pieces(self.n_frames(n_samples), size)

    def lazy_half_analysis(self, x: ArrayLike) -> Callable[[slice], Array]:
        """What computes any rows of :meth:`half_analysis`, for those who need no array of all.

        Examples
        --------
        >>> rows_of = GaborFrame("hann", hop=2, channels=8).lazy_half_analysis(np.ones(9))
        >>> rows_of(slice(2, 4)).shape
        (2, 5)

        References
        ----------
        Equations (3) and (6) of the paper.
        """
        return self._rows_of(signal(x), half=True)

    def half_syntheses(
        self, rows_of: Callable[[slice], Array], n_signals: int, n_samples: int, dtype: Any
    ) -> Array:
        """Real signals of coefficients that are computed block by block and never kept.

        Parameters
        ----------
        rows_of : callable
            From the rows of a block (a slice) to their coefficients ``(n_signals, rows, M // 2 +
            1)``; see :meth:`half_synthesis`. It is called from several threads.
        n_signals, n_samples : int
        dtype : dtype
            Of the coefficients, or of their real part.

        Returns
        -------
        array (n_signals, T)

        Examples
        --------
        A Gabor multiplier: the low and the high half of a signal, which sum to it.

        >>> x = np.random.default_rng(0).standard_normal(50)
        >>> frame = GaborFrame("hann", hop=2, channels=8).tight()
        >>> X, low = frame.lazy_half_analysis(x), np.arange(5) < 2
        >>> masks = np.stack([low, ~low])[:, None, :]
        >>> halves = frame.half_syntheses(lambda rows: masks * X(rows), 2, 50, float)
        >>> np.allclose(halves.sum(axis=0), x)
        True

        References
        ----------
        Equations (4)-(5) of the paper.
        """
        return self._syntheses(rows_of, n_signals, integer(n_samples, "n_samples"), dtype, True)

    def spectrogram(self, x: ArrayLike, power: float = 2.0) -> Array:
        r"""Magnitudes of the analysis coefficients of a real signal to a power (eq. 7).

        .. math:: V[τ, ν] = |X[τ, ν]|^p, \qquad 0 ≤ ν ≤ M / 2

        Parameters
        ----------
        x : array (T,)
        power : float
            ``p``: 1 for magnitudes, 2 for powers.

        Returns
        -------
        array (N, M // 2 + 1)
            Of the precision of ``x``; the complex coefficients are never held as a whole.

        Examples
        --------
        >>> GaborFrame(np.ones(2), hop=2).spectrogram([1.0, 2.0])
        array([[9., 1.]])

        References
        ----------
        Equation (7) of the paper.
        """
        x, p = signal(x), non_negative(power, "power")
        rows_of = self.lazy_half_analysis(x)
        V = np.empty((self.n_frames(x.size), self.channels // 2 + 1), x.dtype)

        def fill(rows: slice) -> None:
            X = rows_of(rows)
            V[rows] = X.real**2 + X.imag**2 if p == 2 else np.abs(X) ** x.dtype.type(p)

        for _ in in_threads(fill, self.blocks(x.size)):
            pass
        return V

    def synthesis_operator(self, n_samples: int) -> Operator:
        """``Φ`` for signals of ``n_samples``, with ``Φ*`` as its adjoint and its norm.

        The norm is as exact as :meth:`bounds`.

        Examples
        --------
        >>> Phi = GaborFrame("hann", hop=2, channels=8).tight().synthesis_operator(20)
        >>> Phi.shape_in, Phi.shape_out, round(Phi.norm, 12)
        ((13, 8), (20,), 1.0)

        References
        ----------
        Equations (5)-(6) of the paper.
        """
        shapes = (self.n_frames(n_samples), self.channels), (n_samples,)
        dtype = np.result_type(self.window.dtype, np.complex64)
        norm = float(np.sqrt(self.bounds(n_samples)[1]))
        return Operator(
            lambda alpha: self.synthesis(alpha, n_samples), self.analysis, *shapes, dtype, norm
        )

    def _analysis(self, x: Array, *, half: bool) -> Array:
        rows_of = self._rows_of(x, half=half)
        shape = self.n_frames(x.size), self.channels // 2 + 1 if half else self.channels
        X = np.empty(shape, np.result_type(x.dtype, np.complex64))

        def fill(rows: slice) -> None:
            X[rows] = rows_of(rows)

        for _ in in_threads(fill, self.blocks(x.size)):
            pass
        return X

    def _rows_of(self, x: Array, *, half: bool) -> Callable[[slice], Array]:
        """What computes any rows of the analysis coefficients."""
        g, a, M = self.window.astype(x.real.dtype, copy=False), self.hop, self.channels
        padded = placed(x, -self.first_sample, a * (self.n_frames(x.size) - 1) + g.size)

        def transform(rows: slice) -> Array:
            under_window = frames(padded[a * rows.start : a * (rows.stop - 1) + g.size], g.size, a)
            folded = np.zeros((rows.stop - rows.start, M), x.dtype)
            for inside, outside in self._folds():
                folded[:, outside] += under_window[:, inside] * g[inside]
            spectra = scipy.fft.rfft(folded) if half else scipy.fft.fft(folded, overwrite_x=True)
            if self.phase == "frequency-invariant":
                spectra *= self._turn(rows, spectra.shape[1], spectra.dtype)
            return np.asarray(spectra)

        return transform

    def _synthesis(self, alpha: ArrayLike, n_samples: int, *, half: bool) -> Array:
        alpha = array(alpha, "alpha", 2, allow_complex=True)
        wanted = self.n_frames(n_samples), self.channels // 2 + 1 if half else self.channels
        if alpha.shape != wanted:
            raise ValueError(
                f"alpha must have shape {wanted} for {n_samples} samples, got {alpha.shape}"
            )
        return self._syntheses(lambda rows: alpha[None, rows], 1, n_samples, alpha.dtype, half)[0]

    def _syntheses(
        self,
        rows_of: Callable[[slice], Array],
        n_signals: int,
        n_samples: int,
        dtype: Any,
        half: bool,
    ) -> Array:
        a, M, N = self.hop, self.channels, self.n_frames(n_samples)
        real = np.zeros(0, dtype).real.dtype
        g = self.window.astype(real, copy=False)
        dtype = real if half else np.result_type(real, np.complex64)
        padded = np.zeros((n_signals, a * (N - 1) + g.size), dtype)

        def transform(rows: slice) -> list[Array]:
            return [windowed(rows, spectra) for spectra in rows_of(rows)]

        def windowed(rows: slice, spectra: Array) -> Array:
            if self.phase == "frequency-invariant":
                spectra = spectra * self._turn(rows, spectra.shape[1], dtype).conj()
            invert = scipy.fft.irfft if half else scipy.fft.ifft
            folded = invert(spectra, M, norm="forward")
            frames = np.empty((len(folded), g.size), dtype)
            for inside, outside in self._folds():
                frames[:, inside] = folded[:, outside] * g[inside]
            return overlap_add(frames, a)

        blocks = self.blocks(n_samples)
        for rows, found in zip(blocks, in_threads(transform, blocks), strict=True):
            for signal_k, piece in zip(padded, found, strict=True):
                signal_k[a * rows.start : a * rows.start + piece.size] += piece
        return padded[:, -self.first_sample : n_samples - self.first_sample]

    def _folds(self) -> list[tuple[slice, slice]]:
        """Pieces of the window and the channels' samples that each falls on, modulo ``M``."""
        T_g, M = self.window.size, self.channels
        starts = [0, *range(self.origin % M or M, T_g, M)]
        pieces = zip(starts, [*starts[1:], T_g], strict=True)
        return [
            (slice(s, e), slice((s - self.origin) % M, (s - self.origin) % M + e - s))
            for s, e in pieces
        ]

    def _turn(self, rows: slice, n_channels: int, dtype: np.dtype) -> Array:
        """``exp(-2iπνaτ/M)``, exact for any τ: the product is reduced modulo ``M`` as integers."""
        tau = self.first_frame + np.arange(rows.start, rows.stop)
        steps = (self.hop * tau[:, None] * np.arange(n_channels)) % self.channels
        turn = np.exp(-2j * np.pi * np.arange(self.channels) / self.channels)
        turned: Array = turn.astype(np.result_type(dtype, np.complex64))[steps]
        return turned

    # ---- frame bounds, dual and tight windows ---------------------------------------------

    def bounds(self, n_samples: int) -> tuple[float, float]:
        r"""Frame bounds ``A ≤ B`` for signals of ``n_samples``.

        .. math:: A \|x\|^2 ≤ \sum_{τ,ν} |X[τ,ν]|^2 ≤ B \|x\|^2

        The frame operator ``S = ΦΦ*`` couples only samples that are a multiple of ``M`` apart.
        With ``M ≥ T_g`` it is diagonal, ``M Σ_τ g²[t - aτ]``; below, it falls apart into ``M``
        banded matrices whose extreme eigenvalues are computed. So the bounds are exact, except for
        the dual of a frame with ``M < T_g``, which keeps the positions of its frame.

        Returns
        -------
        A, B : float
            ``A`` is 0 to rounding where the windows leave a gap: then this is no frame.

        Examples
        --------
        >>> GaborFrame(np.ones(4), hop=2, channels=4).bounds(100)
        (8.0, 8.0)

        References
        ----------
        Section 2.2.1 of the paper (where the dictionary is assumed to be a frame).
        """
        return self._operator.bounds(integer(n_samples, "n_samples"))

    def dual(self) -> GaborFrame:
        """The canonical dual frame: ``dual().synthesis(analysis(x), T) == x``, and in turn.

        With ``M ≥ T_g`` its window is ``g / S`` on the same support. With fewer channels it has a
        longer window, cut where it has decayed below the rounding of the window's precision.

        Raises
        ------
        ValueError
            If this is no frame, or one so near to none that its dual does not decay.

        Examples
        --------
        >>> frame = GaborFrame(np.ones(4), hop=2, channels=4)
        >>> frame.dual().window
        array([0.125, 0.125, 0.125, 0.125])

        References
        ----------
        Section 2.2.1 of the paper.
        """
        return self._with_window("dual", *self._operator.window_to(-1.0), self._reach)

    def tight(self) -> GaborFrame:
        """The canonical tight frame, of bounds 1: ``Φ Φ* = identity`` and ``‖Φ‖ = 1``.

        Raises
        ------
        ValueError
            See :meth:`dual`.

        Examples
        --------
        >>> A, B = GaborFrame("hann", hop=3, channels=16).tight().bounds(50)
        >>> round(A, 12), round(B, 12)
        (1.0, 1.0)

        References
        ----------
        Needed by Algorithm 1's unit step.
        """
        return self._with_window("tight", *self._operator.window_to(-0.5), None)

    def _with_window(
        self, step: str, window: Array, origin: int, reach: tuple[int, int] | None
    ) -> GaborFrame:
        return GaborFrame(
            window,
            self.hop,
            self.channels,
            phase=self.phase,
            origin=origin,
            _reach=reach,
            _source=(self, step),
        )

    @cached_property
    def _operator(self) -> FrameOperator:
        return FrameOperator(self.window, self.hop, self.channels, self.origin)


def hann(length: int, hop: int) -> GaborFrame:
    """The tight frame of a Hann window: what most methods here are given.

    Parameters
    ----------
    length : int
        ``T_g``, and the number of channels.
    hop : int
        ``a``.

    Examples
    --------
    >>> hann(2048, 1024)
    GaborFrame('hann', 1024, 2048).tight()

    References
    ----------
    Section 4 of the paper.
    """
    return GaborFrame("hann", hop, length).tight()
