"""How hard the properties are tried, `--hypothesis-profile=nightly` or HYPOTHESIS_PROFILE; and how
large views are.
"""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

slow_machine = [HealthCheck.too_slow]
settings.register_profile(
    "quick", max_examples=25, derandomize=True, deadline=None, suppress_health_check=slow_machine
)
settings.register_profile(
    "nightly", max_examples=250, deadline=None, print_blob=True, suppress_health_check=slow_machine
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

VIEWS = {
    np.lib.stride_tricks: ("as_strided", "sliding_window_view"),
    np: ("broadcast_to", "empty", "zeros"),
}


@pytest.fixture
def virtual_bytes(monkeypatch):
    """The bytes of each array that is made, and of each view as if all its numbers were in memory.

    A Python of 32 bits refuses arrays of 2 GB, and views that overlap in memory are no exception.
    """
    sizes = []

    def recorded(make):
        def made(*arguments, **options):
            view = make(*arguments, **options)
            sizes.append(view.nbytes)
            return view

        return made

    for module, names in VIEWS.items():
        for name in names:
            monkeypatch.setattr(module, name, recorded(getattr(module, name)))
    return sizes
