"""The door to compiled code (extra `fast`): it is imported where it is used, for numba takes a second to load.

The first call on a machine compiles for some seconds; later ones, also of other processes, find the result on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

from verosim.errors import MissingExtraError
from verosim.simulation.state import State


def available() -> bool:
    """Whether numba can be imported."""
    return find_spec("numba") is not None


def calendar() -> Callable[[State, float], int]:
    """`kernel.run`, compiled."""
    run: Callable[[State, float], int] = _compiled().run
    return run


def workload() -> Callable[..., None]:
    """`recursion.several`, compiled."""
    several: Callable[..., None] = _compiled().several
    return several


@cache
def _compiled() -> Any:
    if not available():
        raise MissingExtraError("the engine `fast` needs numba: pip install 'verosim[fast]'.")
    from verosim.simulation import compiled

    return compiled
