"""The same functions, compiled: the kernel of the event calendar and the closed recursion, by numba (extra `fast`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from verosim.errors import MissingExtraError
from verosim.simulation import kernel, recursion
from verosim.simulation.kernel import State


def available() -> bool:
    """Whether numba can be imported."""
    from importlib.util import find_spec

    return find_spec("numba") is not None


@cache
def calendar() -> Callable[[State, float], int]:
    """`kernel.run`, compiled; its first call takes some seconds, later ones and those of other runs find it on disk."""
    numba, extending = _numba()
    for helper in kernel.HELPERS:
        extending.register_jitable(helper)
    compiled: Callable[[State, float], int] = numba.njit(cache=True)(kernel.run)
    return compiled


@cache
def workload() -> Callable[..., None]:
    """`recursion.several`, compiled."""
    numba, _ = _numba()
    compiled: Callable[..., None] = numba.njit(cache=True)(recursion.several)
    return compiled


def _numba() -> tuple[Any, Any]:
    try:
        import numba
        from numba import extending
    except ImportError as error:
        raise MissingExtraError("the engine `fast` needs numba: pip install 'verosim[fast]'.") from error
    return numba, extending
