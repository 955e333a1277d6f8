"""Telemedicine: visits that are held at a distance, where their module says that they may be, or always are.

Before 2016 none may; 13 to 17 % of visits were since April 2020, 38 times as many as before (McKinsey, 2021).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from verosim.patients.population import Array, instant, salt
from verosim.patients.record import KINDS

if TYPE_CHECKING:
    from verosim.patients.world import World

VIRTUAL: Final = KINDS.index("virtual")
BEGINS, SPREADS = instant(2016), instant(2020, 4)
CHANCE: Final = (0.15 / 38, 0.15)  # of a visit that may be at a distance, before April 2020 and since


class Virtual:
    """A `Finisher`: visits become virtual whose state has `telemedicine_possibility` always, and some with possible."""

    def finish(self, world: World) -> None:
        rows = world.record["encounters"]
        may = np.array([item.spec.get("telemedicine_possibility") for item in world.catalogue.items], object)
        if not len(rows) or not set(may) & {"possible", "always"}:
            return
        possible = np.flatnonzero((may == "possible")[rows["item"]])
        chosen = possible[_chosen(world, possible)]
        rows["kind"][chosen] = rows["kind"][(may == "always")[rows["item"]]] = VIRTUAL


def _chosen(world: World, rows: Array) -> Array:
    """Which (k,) of the encounters that may be at a distance are."""
    found = world.record["encounters"]
    patient, start = found["patient"][rows], found["start"][rows]
    share = np.select([start < BEGINS, start < SPREADS], [0.0, CHANCE[0]], CHANCE[1])
    return world.people.chance(patient, salt("virtual"), found["seq"][rows]) < share
