"""Telemedicine: visits that are held at a distance, because their module says that they always are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from verosim.patients.record import KINDS

if TYPE_CHECKING:
    from verosim.patients.world import World

VIRTUAL: Final = KINDS.index("virtual")


class Virtual:
    """A `Finisher`: the kind of encounters whose state has `telemedicine_possibility: always` becomes virtual."""

    def finish(self, world: World) -> None:
        rows = world.record["encounters"]
        always = [item.spec.get("telemedicine_possibility") == "always" for item in world.catalogue.items]
        if any(always):
            rows["kind"][np.array(always)[rows["item"]]] = VIRTUAL
