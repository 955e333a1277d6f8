"""The last finisher: what each patient spent and was covered for, added to the table of people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from verosim.patients.life.persons import lived

if TYPE_CHECKING:
    from verosim.patients.world import World


class Totals:
    """A `Finisher`: `expenses` (all that the patient's care cost them) and `coverage` (what insurers paid)."""

    def finish(self, world: World) -> None:
        lines = world.extra["claim_lines"]
        patient = lines["patient"].to_numpy()
        paid, covered = (np.bincount(patient, weights, len(lived(world.people))) for weights in (
            lines["patient_paid"].to_numpy(), (lines["covered"] + lines["secondary_paid"]).to_numpy(),
        ))  # fmt: skip
        world.extra["people"] = world.extra["people"].with_columns(
            pl.Series("expenses", np.round(paid, 2)), pl.Series("coverage", np.round(covered, 2))
        )
