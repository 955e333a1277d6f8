"""The kernel, compiled by numba. Imported only where the engine `fast` is used (see fast.py)."""

from __future__ import annotations

from typing import Any

import numba
from numba.core import types
from numba.experimental import structref
from numba.extending import register_jitable

from verosim.simulation import kernel, recursion
from verosim.simulation.kernel import State

# The state goes in as one reference: handed on by value, its eighty arrays would make each function slow to compile.


@structref.register
class Reference(types.StructRef):
    """The state as a structure of numba's, with the same names."""

    def preprocess_fields(self, fields: tuple[tuple[str, types.Type], ...]) -> tuple[tuple[str, types.Type], ...]:
        return tuple((name, types.unliteral(kind)) for name, kind in fields)


class Proxy(structref.StructRefProxy):
    """How Python, and compiled code, make one."""


structref.define_proxy(Proxy, Reference, list(State._fields))
for helper in kernel.HELPERS:
    register_jitable(helper)
_run = register_jitable(kernel.run)


@numba.njit(cache=True)
def run(state: State, horizon: float) -> int:
    """`kernel.run` over arrays."""
    reference: Any = Proxy(*state)
    return _run(reference, horizon)


several = numba.njit(cache=True)(recursion.several)
