"""The kernel: patients one by one, through all that needs no Python; compiled by numba (extra `fast`), where installed.

Without it the engine moves groups of patients by numpy: the same lives, more slowly. The first block on a machine
compiles for a while; later ones, also of other processes, find the result on disk.
"""

from __future__ import annotations

from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from verosim.errors import DataError, MissingExtraError
from verosim.patients.record import TABLES

if TYPE_CHECKING:
    from verosim.patients.engine import Engine
    from verosim.patients.kernel.program import Program
    from verosim.patients.plan import Plan
    from verosim.patients.population import Array

DONE, ROOM, ENDLESS, FAILED = range(4)  # why the kernel stops
ALONE = 256  # patients at one state whose vital signs are read apart
MORE = 4096  # rows of room that every table has when the kernel starts


def available() -> bool:
    """Whether numba can be imported."""
    return find_spec("numba") is not None


class Kernel:
    """A plan, compiled."""

    def __init__(self, plan: Plan) -> None:
        """Raises MissingExtraError where numba is missing."""
        if not available():
            raise MissingExtraError("compiled patients need numba: pip install 'verosim[fast]'.")
        self.plan = plan
        self._engine: Engine | None = None  # the block whose arrays are at hand
        self._arrays: Any = None
        self._reference: Any = None  # to these, as compiled code knows them

    def live(self, engine: Engine, patients: Array) -> int | None:
        """Let patients go on until they need Python; one who is caught in an endless loop. Raises SchemaError."""
        from verosim.patients.kernel.compiled import live

        why, first = ROOM, 0
        while why == ROOM:
            self._ready(engine)
            why, first = live(self._reference, patients, first)
            for rows, n in zip(self._tables(engine), self._arrays.sizes.tolist(), strict=True):
                rows.n = n
        if why == FAILED:
            self._fail(engine, patients[first : first + 1])
        return int(patients[first]) if why == ENDLESS else None

    @cached_property
    def _program(self) -> Program:
        from verosim.patients.kernel.program import Program

        return Program(self.plan)

    @cached_property
    def asking(self) -> Array:
        """(actions,) bool: the states before which vital signs may have to be read."""
        return np.asarray(self._program.signs.any(axis=1))

    def tell(self, engine: Engine, patients: Array) -> None:
        """Read the vital signs that patients (k,) wait for: state by state where many wait, else all in one go."""
        states = engine.action[patients]
        many = np.bincount(states)[states] >= ALONE
        groups = [patients[~many], *(patients[states == state] for state in np.unique(states[many]))]
        for group in groups:
            if len(group):
                self._read(engine, group)
        engine.told[patients] = states

    def _read(self, engine: Engine, patients: Array) -> None:
        """Read the vital signs that one of these patients waits for, for all of them."""
        wanted = np.asarray(self._program.signs[engine.action[patients]].any(axis=0))
        signs = {name: number for name, number in self.plan.signs.items() if wanted[number]}
        values = self.plan.life.vitals.reads(engine.world, patients, list(signs), engine.world.at[patients])
        for number, value in zip(signs.values(), values, strict=True):
            engine.given[number, patients] = value

    def _fail(self, engine: Engine, patient: Array) -> None:
        """A lookup table asks for what a patient does not have: the transition itself says which."""
        state, world = self.plan.states[engine.action[patient[0]]], engine.world
        state.transition.choose(world, patient, world.people.now[patient], np.zeros(1))
        raise DataError(f"{state.module}.json: a lookup table asks for an attribute that a patient does not have.")

    def _tables(self, engine: Engine) -> list[Any]:
        return [engine.world.record.tables[name] for name in TABLES]

    def _ready(self, engine: Engine) -> None:
        """Have the arrays of a block at hand: new ones where one had to grow, here or since the kernel was left."""
        from verosim.patients.kernel.compiled import referring

        tables = self._tables(engine)
        for rows in tables:
            rows.make_room(MORE)
        now = [*(rows.data for rows in tables), engine.world.visits]
        held = [getattr(self._arrays, name) for name in (*TABLES, "visits")] if engine is self._engine else []
        if not held or any(new is not old for new, old in zip(now, held, strict=True)):
            self._engine, self._arrays = engine, self._gathered(engine)
            self._reference = referring(self._arrays)
        self._arrays.sizes[:] = [rows.n for rows in tables]

    def _gathered(self, engine: Engine) -> Any:
        from verosim.patients.kernel.state import Arrays

        world, record = engine.world, engine.world.record
        found: dict[str, Array] = dict(self._program.arrays)
        for source in (engine, record, world.people, world):
            found |= {name: value for name, value in vars(source).items() if name in Arrays._fields}
        tables = {name: record.tables[name].data for name in TABLES}
        rooms = np.array([len(data) for data in tables.values()], np.int64)
        found |= tables | {
            "kinds": world.attributes.kind, "values": world.attributes.value, "rooms": rooms,
            "sizes": np.zeros(len(rooms), np.int64), "failed": np.zeros(1, np.int64),
        }  # fmt: skip
        return Arrays(**found)
