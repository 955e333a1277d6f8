"""Who follows whom: a block's lives in broods, so that many live at once and few are lived in vain.

Whoever dies before the end is followed by another, until one lives on; of those who would be very old by now that takes
many. Were each waited for, the last ones would live alone, and numpy needs many to be quick. So as many follow as died
before: one, one, two, four. Those behind the first who lives on were not needed, and are not told of.

Who lives in a block hangs on no schedule: a generation comes while others still live only where it is certain to find
room in whole, and else when nobody has anything left to do, slot by slot.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from verosim.patients.population import Array

DEEPEST: Final = 40  # generations, which double


class Following:
    """The families of a block, a slot each; a brood is those of one family who live at once, in rows side by side."""

    def __init__(self, slot: Array, attempt: Array, rows: int) -> None:
        """slot, attempt (families,): who is first to live in each slot. rows: room for so many lives."""
        order = np.argsort(slot)
        self.slot, self.first, self.rows = slot[order], attempt[order].astype(np.int64), rows
        self.next = self.first.copy()  # the attempt that begins the next brood
        self.generation = np.zeros(len(slot), np.int64)  # of the brood that lives, or is to come
        self.start = np.zeros(len(slot), np.int64)  # the first row of the latest brood, ...
        self.size = np.zeros(len(slot), np.int64)  # ... and its lives
        self.waits = np.ones(len(slot), bool)  # for the next brood: all before are dead
        self.over = np.zeros(len(slot), bool)  # somebody lives on
        self._brood = np.zeros(rows, np.int64)  # the first row of each row's brood

    @property
    def left(self) -> tuple[Array, Array]:
        """Slots and attempts (k,) of those who still have to live."""
        return self.slot[self.waits], self.next[self.waits].astype(np.int32)

    def births(self, used: int, idle: bool) -> tuple[Array, Array, Array]:
        """Slot, attempt, and whether it may prove needless (k,), of the lives to begin in rows from `used` on.

        idle: nobody has anything left to do.
        """
        waiting = np.flatnonzero(self.waits)
        size = np.maximum(self.next[waiting], 1)
        comes = self._certain()[self.generation[waiting]]
        if idle and not comes.any():
            comes = np.cumsum(size) <= self.rows - used
        some, size = waiting[comes], size[comes]
        before = np.cumsum(size) - size
        nth = np.arange(size.sum()) - np.repeat(before, size)
        attempt = np.repeat(self.next[some], size) + nth
        self.start[some], self.size[some], self.waits[some] = used + before, size, False
        self.next[some] += size
        self._brood[used : used + len(nth)] = np.repeat(self.start[some], size)
        return np.repeat(self.slot[some], size), attempt, nth > 0

    def _certain(self) -> Array:
        """(generations,) bool: whether all lives of families up to a generation find room, whoever may yet die."""
        certain, following = np.zeros(DEEPEST, bool), self.first.astype(np.float64)
        for generation in range(DEEPEST):
            comes = ~self.over | (self.generation >= generation)
            following += np.where(comes, np.maximum(following, 1), 0)
            certain[generation] = (following - self.first).sum() <= self.rows
        return certain

    def look(self, done: Array, survived: Array) -> None:
        """See which broods are over. done, survived: (used,) whose life is over, and who of these lived on."""
        living = np.flatnonzero(~self.waits & ~self.over)
        first, last = self.start[living], self.start[living] + self.size[living]
        n_done, n_survived = (np.append(0, np.cumsum(x)) for x in (done, survived))
        ended = n_done[last] - n_done[first] == self.size[living]
        lives_on = n_survived[last] > n_survived[first]
        self.over[living[ended & lives_on]] = True
        dead = living[ended & ~lives_on]
        self.waits[dead] = True
        self.generation[dead] += 1

    def needed(self, survived: Array) -> Array:
        """(used,) bool: whose life is told of: nobody before it in its brood lived on."""
        before = np.cumsum(survived) - survived
        return np.asarray(before == before[self._brood[: len(survived)]])
