"""The decompositions by name; each module has ``iterate``, ``decompose`` and ``estimate``."""

from types import ModuleType

from cdlnmf_lit.methods import (
    algorithm_1,
    algorithm_1_complex,
    cdl,
    complex_isnmf,
    complex_nmf,
    convolutive_nmf,
    lrtfs,
    nmf,
    semi_nmf,
)

METHODS: dict[str, ModuleType] = {
    "cdl": cdl,
    "nmf": nmf,
    "semi-nmf": semi_nmf,
    "complex-nmf": complex_nmf,
    "complex-isnmf": complex_isnmf,
    "convolutive-nmf": convolutive_nmf,
    "lrtfs": lrtfs,
    "algorithm-1": algorithm_1,
    "algorithm-1-complex": algorithm_1_complex,
}
