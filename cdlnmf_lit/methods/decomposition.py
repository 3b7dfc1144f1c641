"""What every method returns, and how its iterations are run to that.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.theory.arguments import Array, integer, non_negative, signal
from cdlnmf_lit.theory.blocks import pieces, placed, segment_energies
from cdlnmf_lit.theory.convolution import synthesize

if TYPE_CHECKING:
    from cdlnmf_lit.methods.certificate import Certificate
    from cdlnmf_lit.methods.events import Events

FORMS = ("atoms", "spectra", "sounds")
ARRAYS = ("activations", "residual", *FORMS)
"""What of a decomposition a file keeps as arrays."""
STRETCH = 2**20
"""Places of a stretch that are compared at a time."""


@dataclass(frozen=True, eq=False, repr=False)
class Decomposition:
    r"""A signal taken apart: ``K`` components in time and a residual, ``x = Σ_k x_k + r``.

    The components are convolutions, ``x_k[t] = Σ_n z_k[n] d_k[t - first_sample - a n]``, where the
    method finds atoms ``d_k``; else it finds spectra, and says what each of them sounds like.

    Parameters
    ----------
    method : str
        The method that made it.
    atoms : array (K, T_d), or None
        ``d_k``, where the components are convolutions.
    activations : array (K, N)
        ``z_k``, of the atoms or of the spectra.
    hop : int
        ``a``, samples between two activations.
    first_sample : int
        Sample at which the atom (or the window) of the first activation starts; negative where
        it begins before the signal does.
    residual : array (T,)
        What the components leave of the signal.
    history : dict of arrays
        One value an iteration: at least ``objective``.
    status : str
        Why the iterations stopped, in a sentence.
    parameters : dict
        What the method was asked; numbers and strings.
    spectra : array (K, F) or (K, L, F), or None
        The spectra ``w_k ≥ 0`` of the components, or patterns of ``L`` spectra, where there are no
        atoms: magnitudes, to the power that ``parameters["power"]`` says (1 if it says none).
    sounds : array (K, T), or None
        With the spectra, the components themselves.
    sample_rate : int, or None
        In Hz, where it is known.

    Raises
    ------
    ValueError
        If there are neither atoms nor spectra with their sounds, or both.

    Examples
    --------
    >>> found = Decomposition("hand", np.eye(1, 2), np.ones((1, 3)), 1, -1, np.zeros(3))
    >>> found.components()
    array([[1., 1., 0.]])
    >>> found
    <Decomposition by hand: 1 component of 3 samples>

    References
    ----------
    Equation (1) of the paper.
    """

    method: str
    atoms: Array | None
    activations: Array
    hop: int
    first_sample: int
    residual: Array
    history: dict[str, Array] = field(default_factory=dict)
    status: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    spectra: Array | None = None
    sounds: Array | None = None
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        given = [name for name in FORMS if getattr(self, name) is not None]
        if given not in (["atoms"], ["spectra", "sounds"]):
            raise ValueError(f"atoms, or spectra and sounds, must be given, got {given}")

    def __repr__(self) -> str:
        plural = "s" if self.n_components > 1 else ""
        told = f"{self.n_components} component{plural} of {self.residual.size} samples"
        rate = f" at {self.sample_rate} Hz" if self.sample_rate else ""
        status = f"; {self.status}" if self.status else ""
        return f"<Decomposition by {self.method}: {told}{rate}{status}>"

    @property
    def n_components(self) -> int:
        """``K``."""
        return len(self.activations)

    @property
    def objective(self) -> float:
        """What the method has lowered, at its end."""
        return float(self.history["objective"][-1])

    @property
    def is_stopped(self) -> bool:
        """Whether the run was ended from outside, before its iterations or its tolerance."""
        return self.status.startswith("stopped")

    def apply(
        self,
        y: ArrayLike,
        *,
        sample_rate: int | None = None,
        share: float | None = None,
        gap: float | None = None,
        strict: bool = False,
        rng: Any = 0,
        watch: Any = None,
    ) -> Decomposition:
        """Find the patterns of this result in another signal: they stay, to the bit.

        The method that made it is run with ``held="patterns"``, at the same penalty. Where that
        makes the problem convex it ends within a certified gap, which the status tells, by the
        solvers of :mod:`cdlnmf_lit.methods.held`; else after the method's iterations. An option
        that the parameters do not tell, as those of an older file may not its ``iterations``, is at
        its default.

        Parameters
        ----------
        y : array (T,)
            The other signal.
        sample_rate : int, optional
            Of ``y``, in Hz. From another rate than that of this result it is resampled, and a
            warning says so.
        share : float, optional
            ``λ`` as a share of the ``lambda_max`` of ``y``, in place of the penalty of this result.
        gap : float, optional
            How far above the best objective to end at most, as a share of it. Default: 1e-3, and
            1e-2 for the Kullback-Leibler divergence.
        strict : bool
            Refuse another rate.
        rng, watch
            See :meth:`~cdlnmf_lit.methods.method.Method.decompose`.

        Raises
        ------
        ValueError
            If the parameters do not tell what made it, its patterns are silent, ``y`` cannot be
            taken, or its rate is refused or not to be compared.
        """
        from cdlnmf_lit.methods.held import application

        y = at_rate(y, sample_rate, self.sample_rate, strict=strict)
        return application(self, share=share, gap=gap)(y, rng=rng, watch=watch)

    def events(self, sample_rate: int | None = None) -> Events:
        """When each pattern sounds, how loud, in which band, and how much of it is explained.

        Parameters
        ----------
        sample_rate
            In Hz. Default: that of the result.

        Raises
        ------
        ValueError
            If no rate is known.
        """
        from cdlnmf_lit.methods.events import events_of

        return events_of(self, sample_rate)

    def certificate(self, *, positions: str = "all", accuracy: float = 1e-3) -> Certificate:
        """Prove how far any other atoms and activations could go below this result.

        Parameters
        ----------
        positions : {"all", "grid"}
            Where the others may stand: at every sample, or on this result's grid of ``hop``.
        accuracy : float
            Of the bound, as a share of it.

        Raises
        ------
        ValueError
            If it has no atoms, or no penalty above 0, without which no bound is.
        """
        from cdlnmf_lit.methods.certificate import certificate_of

        return certificate_of(self, positions=positions, accuracy=accuracy)

    def components(self) -> Array:
        """The K components in time, ``(K, T)``; with the residual they sum to the signal."""
        return np.stack([self.component(k) for k in range(self.n_components)])

    def component(self, k: int) -> Array:
        """Component ``k``, aligned with the signal, ``(T,)``."""
        if self.atoms is None:
            sounds: Array = np.asarray(self.sounds)
            return np.asarray(sounds[k])
        whole = synthesize(self.atoms[k : k + 1], self.activations[k : k + 1], self.hop)
        return placed(whole, self.first_sample, self.residual.size).astype(self.residual.dtype)

    def patterns(self, length: int) -> Array:
        """A waveform of ``length`` samples for each component, to start another method from.

        It is the atom, cut or followed by silence; or else, as there is none, the loudest stretch
        of the component.
        """
        length = integer(length, "length")
        if self.atoms is not None:
            return np.stack([placed(atom, 0, length) for atom in self.atoms])
        return np.stack([_loudest(self.component(k), length) for k in range(self.n_components)])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an ``.npz`` file, aside first: the file is whole or absent.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        text = json.dumps(
            {
                "method": self.method,
                "status": self.status,
                "parameters": self.parameters,
                "hop": self.hop,
                "first_sample": self.first_sample,
                "sample_rate": self.sample_rate,
            }
        )
        arrays: dict[str, Any] = {
            f"history/{name}": values for name, values in self.history.items()
        }
        for name in ARRAYS:
            if getattr(self, name) is not None:
                arrays[name] = getattr(self, name)
        with written_aside(path) as aside, aside.open("wb") as file:
            np.savez(file, about=np.array(text), **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Decomposition:
        """Read what :meth:`save` wrote.

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            If it is no decomposition.
        """
        try:
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                about = json.loads(str(stored["about"]))
                history = {
                    name.removeprefix("history/"): stored[name]
                    for name in stored.files
                    if name.startswith("history/")
                }
                arrays = {name: stored[name] for name in ARRAYS if name in stored.files}
                return cls(**{"atoms": None} | arrays, history=history, **about)
        except OSError:
            raise
        except Exception as error:
            raise ValueError(f"path must be a saved decomposition, got {str(path)!r}") from error


def at_rate(
    y: ArrayLike, sample_rate: int | None, wanted: int | None, *, strict: bool = False
) -> Array:
    """A signal at the rate wanted, resampled with a warning where that is another than its own.

    Raises
    ------
    ValueError
        If its rate is told and that wanted is not known, or it is another one and ``strict``.

    Examples
    --------
    >>> at_rate([0.0, 1.0], 8000, 8000)
    array([0., 1.])
    >>> at_rate([0.0, 1.0], 8000, 22050, strict=True)
    Traceback (most recent call last):
        ...
    ValueError: sample_rate must be that of the patterns, 22050 Hz, got 8000
    """
    x = signal(y, "y")
    if sample_rate is None:
        return x
    up, down = require_rate(sample_rate, wanted, strict=strict)
    if up == down:
        return x
    from scipy.signal import resample_poly

    return np.asarray(resample_poly(x, up, down), x.dtype)


def require_rate(sample_rate: int, wanted: int | None, *, strict: bool = False) -> tuple[int, int]:
    """By what to multiply and to divide a rate for the one wanted; a warning if they differ.

    Raises
    ------
    ValueError
        See :func:`at_rate`.

    Examples
    --------
    >>> require_rate(22050, 22050)
    (1, 1)
    """
    rate = integer(sample_rate, "sample_rate")
    if wanted is None:
        raise ValueError(
            f"sample_rate must be None where that of the patterns is not known, got {rate}"
        )
    if rate == wanted:
        return 1, 1
    if strict:
        raise ValueError(f"sample_rate must be that of the patterns, {wanted} Hz, got {rate}")
    warnings.warn(f"resampled from {rate} to {wanted} Hz, the rate of the patterns", stacklevel=4)
    common = math.gcd(rate, wanted)
    return wanted // common, rate // common


def _loudest(sound: Array, length: int) -> Array:
    """The stretch of ``length`` samples that has the most energy."""
    begin, most = 0, -1.0
    for part in pieces(sound.size - length + 1, STRETCH):
        energies = segment_energies(sound[part.start : part.stop + length - 1], length)
        n = int(energies.argmax())
        if energies[n] > most:
            begin, most = part.start + n, energies[n]
    return placed(sound[begin : begin + length], 0, length)


@contextmanager
def written_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path beside ``path`` to write to; renamed to ``path`` if all went well, else removed.

    What goes wrong in writing is an :class:`OSError` that names ``path``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written_aside(Path(folder, "note.txt")) as aside:
    ...         _ = aside.write_text("whole")
    ...     [found.name for found in Path(folder).iterdir()]
    ['note.txt']
    """
    target = Path(path)
    aside = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        yield aside
        aside.replace(target)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(aside)):
            raise
        raise OSError(error.errno, error.strerror, str(target)) from error
    finally:
        aside.unlink(missing_ok=True)


class State(Protocol):
    """What an iteration shows of itself; methods add their own variables."""

    @property
    def record(self) -> Mapping[str, float]:
        """What the history keeps of it: at least ``objective``, always the same names."""

    def decomposition(self) -> Decomposition: ...


def _left_open(states: Iterator[State]) -> Generator[State]:
    """The same states, whoever closes this."""
    yield from islice(states, None)


@dataclass(frozen=True, eq=False)
class Run:
    """A method's states, as far as they have been followed.

    Parameters
    ----------
    states : iterator of State
        Those to come.
    state : State, or None
        The last of those that were.
    records : tuple of dict
        What the history keeps of each.
    status : str
        Why it went no further, in a sentence.
    place : tuple of int
        Which start it is, of the last method of a chain first, of the one that it begins from next.

    Examples
    --------
    >>> from cdlnmf_lit import NMF
    >>> begun = Run(NMF().iterate(np.sin(0.3 * np.arange(4000.0)), 2)).to(3)
    >>> begun.to(5).objective < begun.objective
    True
    """

    states: Iterator[State]
    state: State | None = None
    records: Sequence[Mapping[str, float]] = ()
    status: str = ""
    place: tuple[int, ...] = ()

    @property
    def objective(self) -> float:
        """What it has come down to."""
        return self.records[-1]["objective"]

    def objective_at(self, iterations: int) -> float:
        """What it had come down to at an iteration, or at its end if it ended before."""
        return self.records[: iterations + 1][-1]["objective"]

    @property
    def is_stopped(self) -> bool:
        """Whether it was ended from outside, before its iterations or its tolerance."""
        return self.status.startswith("stopped")

    def to(
        self,
        iterations: int,
        tolerance: float = 0.0,
        watched: Callable[[Iterator[State]], Generator[State]] = _left_open,
    ) -> Run:
        """The same run at a later iteration; see :func:`run`. Its states stay open."""
        if status := _ended(self.records, iterations, tolerance):
            return replace(self, status=status)
        records, state = [*self.records], self.state
        with closing(watched(_left_open(self.states))) as states:
            for state in states:
                records.append(state.record)
                if status := _ended(records, iterations, tolerance):
                    break
        if state is None:
            raise ValueError("states must hold at least one state, the start")
        status = status or f"stopped after {len(records) - 1} iterations: it was asked to end"
        return replace(self, state=state, records=tuple(records), status=status)

    def decomposition(self) -> Decomposition:
        """What was reached, with its history and status."""
        assert self.state is not None
        history = {
            name: np.array([each[name] for each in self.records]) for name in self.records[0]
        }
        return replace(self.state.decomposition(), history=history, status=self.status)


def _ended(records: Sequence[Mapping[str, float]], iterations: int, tolerance: float) -> str:
    """Why a run ends where it is, in a sentence; empty if it goes on."""
    done = len(records) - 1
    if tolerance and done >= 10:
        before, now = (records[n]["objective"] for n in (-11, -1))
        if before - now <= tolerance * abs(before):
            return (
                f"converged after {done} iterations: the objective fell by less than "
                f"{tolerance:g} of itself in the last 10"
            )
    return f"ran all {iterations} iterations" if done >= iterations else ""


def run(states: Iterable[State], iterations: int, tolerance: float = 0.0) -> Decomposition:
    """Run a method's states to a :class:`Decomposition`, with its history and status.

    Parameters
    ----------
    states : iterable of State
        What a method's ``iterate`` yields, wrapped as you like (in a progress bar, say); its
        first state is the start.
    iterations : int
        How many to run at the most.
    tolerance : float
        Stop once the objective has fallen, over the last ten iterations, by less than this share
        of itself. 0 runs them all.

    Raises
    ------
    ValueError
        If ``iterations`` or ``tolerance`` is negative, or there is no state.

    Examples
    --------
    >>> from cdlnmf_lit import NMF
    >>> found = run(NMF().iterate(np.sin(0.3 * np.arange(4000.0)), 1), iterations=3)
    >>> found.status, found.history["objective"].shape
    ('ran all 3 iterations', (4,))

    References
    ----------
    Algorithm 1 of the paper ("while not converged").
    """
    iterations = integer(iterations, "iterations", at_least=0)
    tolerance = non_negative(tolerance, "tolerance")
    return Run(iter(states)).to(iterations, tolerance).decomposition()
