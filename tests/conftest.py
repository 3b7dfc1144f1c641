"""How hard the properties are tried: `--hypothesis-profile=nightly`, or HYPOTHESIS_PROFILE."""

import os

from hypothesis import HealthCheck, settings

slow_machine = [HealthCheck.too_slow]
settings.register_profile(
    "quick", max_examples=25, derandomize=True, deadline=None, suppress_health_check=slow_machine
)
settings.register_profile(
    "nightly", max_examples=250, deadline=None, print_blob=True, suppress_health_check=slow_machine
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
