"""For all tests: examples are the same in every run, and none fails for being slow, on a slow or a busy machine.

To look for new examples: HUNT=1 pytest tests/test_random_frames.py
"""

import os

from hypothesis import HealthCheck, settings

slow = [HealthCheck.too_slow]
settings.register_profile("verosim", deadline=None, suppress_health_check=slow, derandomize=True, database=None)
settings.register_profile("hunt", deadline=None, suppress_health_check=slow)
settings.load_profile("hunt" if "HUNT" in os.environ else "verosim")
