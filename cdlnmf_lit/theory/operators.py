"""Linear operators that keep the shapes of their arrays, with their adjoint and their norm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cdlnmf_lit.theory.arguments import Array

if TYPE_CHECKING:
    import scipy.sparse.linalg


@dataclass(frozen=True)
class Operator:
    """A linear map between arrays, with its adjoint: ``<A u, v> = <u, A* v>``.

    Parameters
    ----------
    forward, adjoint : callable
        The map ``A`` and its adjoint ``A*``.
    shape_in, shape_out : tuple of int
        Shapes of ``u`` and of ``A u``.
    dtype : numpy.dtype
        Of the arrays it maps.
    norm : float
        An upper bound of the operator norm; each maker of operators says how tight it is.

    Examples
    --------
    >>> double = Operator(lambda u: 2 * u, lambda v: 2 * v, (3,), (3,), np.dtype(float), 2.0)
    >>> double(np.ones(3))
    array([2., 2., 2.])
    >>> double.as_linear_operator() @ np.ones(3)
    array([2., 2., 2.])

    References
    ----------
    Equation (1) and equations (5)-(6) of the paper are such maps.
    Chapter: ``book/theory/convolution.md``.
    """

    forward: Callable[[Array], Array]
    adjoint: Callable[[Array], Array]
    shape_in: tuple[int, ...]
    shape_out: tuple[int, ...]
    dtype: np.dtype
    norm: float

    def __call__(self, u: Array) -> Array:
        return self.forward(u)

    def as_linear_operator(self) -> scipy.sparse.linalg.LinearOperator:
        """The same map between flattened arrays, for SciPy's solvers."""
        import scipy.sparse.linalg

        return scipy.sparse.linalg.LinearOperator(
            (int(np.prod(self.shape_out)), int(np.prod(self.shape_in))),
            matvec=lambda u: self(u.reshape(self.shape_in)).ravel(),
            rmatvec=lambda v: self.adjoint(v.reshape(self.shape_out)).ravel(),
            dtype=self.dtype,
        )
