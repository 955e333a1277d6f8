"""For all tests: no example fails for being slow, on a slow or a busy machine."""

from hypothesis import HealthCheck, settings

settings.register_profile("verosim", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("verosim")
