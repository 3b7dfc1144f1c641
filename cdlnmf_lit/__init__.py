"""From convolutional sparse coding to the factorisation of time-frequency coefficients.

A literate package: the book beside it shows, runs and tests every name that it exports.
"""

from importlib.metadata import version

from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.theory.convolution import (
    correlate_with_activations,
    correlate_with_atoms,
    synthesize,
)
from cdlnmf_lit.theory.gabor import GaborFrame

__version__ = version("cdlnmf-lit")
__all__ = [
    "Decomposition",
    "GaborFrame",
    "correlate_with_activations",
    "correlate_with_atoms",
    "synthesize",
]
