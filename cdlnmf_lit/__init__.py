"""Take a recording apart into the few sounds that recur in it.

Three names do it::

    import cdlnmf_lit as lit

    x, sample_rate = lit.read("recording.wav")
    found = lit.decompose(x, 4, sample_rate=sample_rate, recipe="notes")
    lit.write(found, "out")

``read`` gives the samples of one channel. ``decompose`` looks for 4 sounds, by
a recipe ("notes", "chirps", "clicks", "hits") or by ``method="nmf"`` or another
of ``lit.METHODS``; what is left out it chooses. ``write`` fills a folder: a
sound for each component and a residual, which sum to the recording, and a
summary. ``found.apply(y)`` finds the same patterns in another recording.

Beneath them is a literate package, from convolutional sparse coding to the
factorisation of time-frequency coefficients: the book beside it shows, runs and
tests every name that is listed below.
"""

from importlib.metadata import version

from cdlnmf_lit.methods import (
    METHODS,
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
    recipes,
    semi_nmf,
    sparse_coding,
)
from cdlnmf_lit.methods.algorithm_1 import Algorithm1
from cdlnmf_lit.methods.algorithm_1_complex import Algorithm1Complex
from cdlnmf_lit.methods.algorithm_1_delays import Algorithm1Delays
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.certificate import Certificate
from cdlnmf_lit.methods.complex_isnmf import ComplexISNMF
from cdlnmf_lit.methods.complex_nmf import ComplexNMF
from cdlnmf_lit.methods.convolutive_nmf import ConvolutiveNMF
from cdlnmf_lit.methods.decomposition import Decomposition, run
from cdlnmf_lit.methods.hits import Hits
from cdlnmf_lit.methods.lrtfs import LRTFS
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.methods.semi_nmf import SemiNMF
from cdlnmf_lit.recordings.decomposing import decompose
from cdlnmf_lit.recordings.reading import read
from cdlnmf_lit.recordings.results import write
from cdlnmf_lit.theory.convolution import (
    Convolution,
    correlate_with_activations,
    correlate_with_atoms,
    operator_in_activations,
    operator_in_atoms,
    synthesize,
)
from cdlnmf_lit.theory.corollary_1 import (
    cdl_objective,
    factorized_objective,
    free_phase_objective,
)
from cdlnmf_lit.theory.equivalence import (
    AtomsOfSpectra,
    activations_on_frames,
    atom_of_spectrum,
    conditioning,
    factors_of_model,
    half_spectrum_gains,
    model_of_factors,
    rank_one_factors,
    spectrum_of_atom,
    synthesize_factors,
    window_support,
)
from cdlnmf_lit.theory.gabor import GaborFrame, hann
from cdlnmf_lit.theory.operators import Operator

__version__ = version("cdlnmf-lit")
__all__ = [
    "CDL",
    "LRTFS",
    "METHODS",
    "NMF",
    "Algorithm1",
    "Algorithm1Complex",
    "Algorithm1Delays",
    "AtomsOfSpectra",
    "Certificate",
    "ComplexISNMF",
    "ComplexNMF",
    "Convolution",
    "ConvolutiveNMF",
    "Decomposition",
    "GaborFrame",
    "Hits",
    "Method",
    "Operator",
    "SemiNMF",
    "activations_on_frames",
    "algorithm_1",
    "algorithm_1_complex",
    "algorithm_1_delays",
    "atom_of_spectrum",
    "cdl",
    "cdl_objective",
    "certificate",
    "complex_isnmf",
    "complex_nmf",
    "conditioning",
    "convolutive_nmf",
    "correlate_with_activations",
    "correlate_with_atoms",
    "decompose",
    "factorized_objective",
    "factors_of_model",
    "free_phase_objective",
    "half_spectrum_gains",
    "hann",
    "hits",
    "lrtfs",
    "model_of_factors",
    "nmf",
    "operator_in_activations",
    "operator_in_atoms",
    "rank_one_factors",
    "read",
    "recipes",
    "run",
    "semi_nmf",
    "sparse_coding",
    "spectrum_of_atom",
    "synthesize",
    "synthesize_factors",
    "window_support",
    "write",
]
