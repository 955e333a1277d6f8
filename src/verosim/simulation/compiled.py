"""The kernel, compiled by numba. Imported only where the engine `fast` is used (see fast.py)."""

from __future__ import annotations

from inspect import getsource
from typing import Any
from zlib import crc32

import numba
from numba.core import types
from numba.experimental import structref
from numba.extending import register_jitable

from verosim.simulation import kernel, queues, recursion
from verosim.simulation import state as marks
from verosim.simulation.state import State

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


def _compiled(version: int) -> Any:
    """`kernel.run` over arrays. version: a checksum of its source, by which numba finds the right code on disk: on its
    own it looks at this file alone.
    """

    @numba.njit(cache=True)
    def run(state: State, horizon: float) -> int:
        reference: Any = Proxy(*state)
        return _run(reference, horizon) if version else 0

    return run


run = _compiled(crc32((getsource(kernel) + getsource(queues) + getsource(marks)).encode()) | 1)
several = numba.njit(cache=True)(recursion.several)
