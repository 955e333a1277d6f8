"""The kernel, compiled by numba. Imported only where it is used, for numba takes a second to load."""

from __future__ import annotations

from inspect import getsource
from typing import Any
from zlib import crc32

import numba
from numba.core import types
from numba.experimental import structref
from numba.extending import register_jitable

from verosim.patients import care, forms, hooks, population, record, steady
from verosim.patients import world as worlds
from verosim.patients.kernel import acts, choices, lives, signs, state
from verosim.patients.kernel.state import Arrays

# The arrays go in as one reference: handed on by value, they would make each function slow to compile.


@structref.register
class Reference(types.StructRef):
    """The arrays as a structure of numba's, with the same names."""

    def preprocess_fields(self, fields: tuple[tuple[str, types.Type], ...]) -> tuple[tuple[str, types.Type], ...]:
        return tuple((name, types.unliteral(kind)) for name, kind in fields)


class Proxy(structref.StructRefProxy):
    """How Python, and compiled code, make one."""


structref.define_proxy(Proxy, Reference, list(Arrays._fields))
for module in (choices, acts, signs, lives):
    for helper in module.HELPERS:
        register_jitable(helper)
_live = register_jitable(lives.live)


def _compiled(version: int) -> Any:
    """`lives.live`. version: a checksum of its source, by which numba finds the right code on disk."""

    @numba.njit(cache=True, error_model="numpy")
    def live(reference: Any, patients: Any, first: int) -> Any:
        return _live(reference, patients, first) if version else (0, 0)

    return live


@numba.njit(cache=True)
def referring(arrays: Arrays) -> Any:
    """One reference to all arrays: to hand each of them over costs as much as a patient's whole year."""
    return Proxy(*arrays)


_SOURCES = (acts, choices, lives, signs, state, care, forms, hooks, population, record, steady, worlds)
live = _compiled(crc32("".join(map(getsource, _SOURCES)).encode()) | 1)
