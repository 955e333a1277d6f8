"""The kernel, compiled by numba. Imported only where the engine `fast` is used (see fast.py)."""

from __future__ import annotations

from inspect import getmembers, getsource, isfunction
from typing import Any
from zlib import crc32

import numba
from numba.core import types
from numba.experimental import structref
from numba.extending import register_jitable

from verosim.simulation import kernel, moves, queues, recursion, service
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
PARTS = (queues, moves, service, kernel)
for part in PARTS:
    for _, helper in getmembers(part, isfunction):
        if helper.__module__ == part.__name__:
            register_jitable(helper)


def _compiled(version: int) -> Any:
    """`kernel.run` over arrays. version: a checksum of its source, by which numba finds the right code on disk: on its
    own it looks at this file alone.
    """

    @numba.njit(cache=True)
    def run(state: State, horizon: float) -> int:
        reference: Any = Proxy(*state)
        return kernel.run(reference, horizon) if version else 0

    return run


run = _compiled(crc32("".join(map(getsource, (*PARTS, marks))).encode()) | 1)
several = numba.njit(cache=True)(recursion.several)
