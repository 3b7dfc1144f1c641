"""The decompositions by name; each module has ``iterate``, ``decompose`` and ``estimate``."""

from types import ModuleType

from cdlnmf_lit.methods import algorithm_1

METHODS: dict[str, ModuleType] = {"algorithm-1": algorithm_1}
