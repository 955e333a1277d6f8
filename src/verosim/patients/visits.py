"""The visits that belong to no module: regular check-ups, and those that symptoms lead to. Modules share them.

At most one opens in a week, before the modules run, and closes after them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from verosim.patients.hooks import Builtin
from verosim.patients.names import NONE, Coding
from verosim.patients.plan import LAST
from verosim.patients.population import DAY, NEVER, Array
from verosim.patients.record import KINDS
from verosim.patients.world import NOT_AGAIN, World

MONTH: Final = 30 * DAY
YEAR: Final = 365 * DAY
CADENCE: Final = (  # up to this age, in months, a check-up when the last one is so long ago
    (1, MONTH), (5, 2 * MONTH), (17, 3 * MONTH), (47, 6 * MONTH),
    (19 * 12, YEAR), (39 * 12, 3 * YEAR), (49 * 12, 2 * YEAR), (200 * 12, YEAR),
)  # fmt: skip
URGENCY: Final = (("emergency", 500), ("urgentcare", 350), ("outpatient", 300))  # by the sum of symptoms, above
CHILD: Final = Coding("SNOMED-CT", "410620009", "Well child visit (procedure)")
EXAM: Final = Coding("SNOMED-CT", "162673000", "General examination of patient (procedure)")
SYMPTOM: Final = Coding("SNOMED-CT", "185349003", "Encounter for check up (procedure)")
EMERGENCY: Final = Coding("SNOMED-CT", "50849002", "Emergency room admission (procedure)")
URGENT: Final = Coding("SNOMED-CT", "702927004", "Urgent care clinic (environment)")


class Visits:
    """Opens the visit of a week."""

    name: str = "Encounter"
    attributes: Sequence[str] = ()
    _world: World | None = None  # the block whose patients are remembered
    _items: Mapping[Coding, int] | None = None

    def begin(self, world: World, patients: Array) -> Array:
        if self._world is not world:
            self._world = world
            self._enter(world)
        self.last[patients] = -NEVER
        return np.zeros(len(patients), np.int32)

    def _enter(self, world: World) -> None:
        n = world.people.n
        self.last = np.full(n, -NEVER)  # when the last check-up was
        self.total = np.zeros(n, np.int64)  # the sum of symptoms at the last visit
        if self._items is None:
            self._items = {
                code: world.catalogue.item("encounters", (code,), name=self.name, module=self.name)
                for code in (CHILD, EXAM, SYMPTOM, EMERGENCY, URGENT)
            }

    def _item(self, code: Coding) -> int:
        assert self._items is not None
        return self._items[code]

    def run(self, world: World, patients: Array) -> Array:
        free = world.lock[patients] == NONE
        busy = patients[~free]
        world.waits_lock[busy, world.module[busy]] = True
        some = patients[free]
        now = world.people.now[some]
        interval, until = _interval(world, some, now)
        due = now - interval >= self.last[some]
        if due.any():
            self._check_up(world, some[due], now[due])
        total = self._symptoms(world, some)
        felt = (total > URGENCY[-1][1]) & (total != self.total[some])
        seen = felt & ~due
        if seen.any():
            self._see(world, some[seen], now[seen], total[seen])
        again = np.full(len(patients), NOT_AGAIN, np.int32)
        next_time = np.minimum(self.last[some] + np.where(due, _interval(world, some, now)[0], interval), until)
        next_step, next_week = world.step_of(some, next_time), world.people.step[some] + 1
        again[free] = np.where(felt, next_week, np.maximum(next_step, next_week))  # what is left may need another visit
        return again

    def _check_up(self, world: World, patients: Array, now: Array) -> None:
        child = world.people.age(patients, now) < 18
        items = np.where(child, self._item(CHILD), self._item(EXAM))
        self.last[patients] = now
        self._open(world, patients, items, now, np.zeros(len(patients), np.int64))

    def _see(self, world: World, patients: Array, now: Array, total: Array) -> None:
        """A visit for symptoms, which sees to the largest of them."""
        levels = [total > limit for _, limit in URGENCY]
        kinds = np.select(levels, [KINDS.index(kind) for kind, _ in URGENCY])
        items = np.select(levels, [self._item(code) for code in (EMERGENCY, URGENT, SYMPTOM)])
        self._open(world, patients, items, now, kinds)
        self.total[patients] = total
        left = np.where(world.addressed[:, patients], 0, world.symptoms[:, patients])
        world.addressed[left.argmax(axis=0), patients] = True

    def _open(self, world: World, patients: Array, items: Array, now: Array, kinds: Array) -> None:
        rows = world.open_encounter(patients, items, now, kinds, NONE)
        world.visit[patients] = rows
        step = world.people.step[patients]
        world.wake_at(patients, world.plan.slot[LAST], step)
        waiting = world.waits_visit[patients]
        world.wake[patients] = np.where(waiting, np.minimum(world.wake[patients], step[:, None]), world.wake[patients])
        world.waits_visit[patients] = False
        for hook in world.visit_hooks:
            hook(world, patients, rows)

    def _symptoms(self, world: World, patients: Array) -> Array:
        """(k,) the sum over symptoms of the highest value that was not seen to."""
        total = np.zeros(len(patients), np.int64)
        if not world.plan.n_pairs:
            return total
        left = np.where(world.addressed[:, patients], 0, world.symptoms[:, patients])
        starts = [pairs[0] for pairs in world.plan.pairs_of if pairs]
        return np.maximum.reduceat(left, starts, axis=0).sum(axis=0, dtype=np.int64)


class VisitsEnd:
    """Closes the visit of a week."""

    name: str = LAST
    attributes: Sequence[str] = ()

    def begin(self, world: World, patients: Array) -> Array:
        return np.full(len(patients), NOT_AGAIN, np.int32)

    def run(self, world: World, patients: Array) -> Array:
        open_ = patients[world.visit[patients] != NONE]
        world.visit[open_] = NONE
        own = open_[world.lock[open_] == world.plan.slot[Visits.name]]
        world.close_encounter(own, world.people.now[own])
        return np.full(len(patients), NOT_AGAIN, np.int32)


def _interval(world: World, patients: Array, now: Array) -> tuple[Array, Array]:
    """How long after a check-up the next one is due at this age (k,); and until when that holds, if it then shrinks."""
    people = world.people
    years = people.age(patients, now)
    months = np.minimum((now - people.birth[patients]) * 12 // (365.25 * DAY), 47)  # of a child; then by birthdays
    months = np.where(years >= 4, years * 12, months)
    which = np.searchsorted([limit for limit, _ in CADENCE], months, side="left")
    which = np.minimum(which, len(CADENCE) - 1)
    interval = np.array([length for _, length in CADENCE])[which]
    interval = np.where(world.n_chronic[patients] > 0, np.minimum(interval, YEAR), interval)
    until = np.select([years < 40, years < 50], [people.birthdays[patients, 40], people.birthdays[patients, 50]], NEVER)
    return interval, until


def visits() -> list[Builtin]:
    return [Visits(), VisitsEnd()]
