"""The decompositions by name: values of a class each, which :class:`Method` says how to run."""

from cdlnmf_lit.methods import (
    algorithm_1,
    algorithm_1_complex,
    algorithm_1_delays,
    cdl,
    certificate,
    complex_isnmf,
    complex_nmf,
    convolutive_nmf,
    hits,
    lrtfs,
    nmf,
    semi_nmf,
)
from cdlnmf_lit.methods.method import METHODS

__all__ = [
    "METHODS",
    "algorithm_1",
    "algorithm_1_complex",
    "algorithm_1_delays",
    "cdl",
    "certificate",
    "complex_isnmf",
    "complex_nmf",
    "convolutive_nmf",
    "hits",
    "lrtfs",
    "nmf",
    "semi_nmf",
]
