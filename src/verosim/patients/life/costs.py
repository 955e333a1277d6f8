"""What care costs: a base price for every row of the record, by its code, and what a medication is dispensed for.

A price is exponential about its mode and held within its ends, as the study notes describe; ours are round numbers of
the order of US prices of 2020, the user's `costs/*.csv` (CODE, MIN, MODE, MAX) come by code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from verosim.patients.life.demographics import STATES
from verosim.patients.life.resources import Resources
from verosim.patients.population import DAY, Array, salt
from verosim.patients.record import OPEN

if TYPE_CHECKING:
    from verosim.patients.names import Catalogue
    from verosim.patients.world import World

Price = tuple[float, float, float]  # least, mode, most
DEFAULTS: Final[Mapping[str, float]] = {  # of a code that no file prices, in US dollars
    "encounters": 125.0,
    "medications": 255.0,
    "procedures": 500.0,
    "immunizations": 136.0,
    "reports": 100.0,
    "devices": 0.0,
    "supplies": 0.0,
}
FILES: Final = {
    "encounters": "encounters", "medications": "medications", "procedures": "procedures",
    "immunizations": "immunizations", "devices": "devices", "supplies": "supplies",
}  # fmt: skip
ADJUSTED: Final = {**FILES, "reports": "labs"}  # by state; encounters by their kind too
REFILL: Final = 30 * DAY  # a chronic medication is dispensed anew so often


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices by table and code, and factors by table and state."""

    codes: Mapping[str, Mapping[str, Price]]
    factors: Mapping[str, Mapping[str, float]]

    def of_items(self, catalogue: Catalogue, table: str) -> Array:
        """(3, items) least, mode and most of every item of the catalogue, were it of this table."""
        known, default = self.codes.get(table, {}), DEFAULTS[table]
        first = [item.codes[0].code if item.codes else "" for item in catalogue.items]
        return np.array([known.get(code, (default,) * 3) for code in first]).T.reshape(3, -1)


def price(ends: Array, u: Array) -> Array:
    """Exponential amounts (k,) about the mode, held between the ends (3, k): to the cent.

    >>> price(np.array([[5.0, 5], [10, 10], [20, 20]]), np.array([0.0, 0.5]))
    array([5.  , 6.93])
    """
    least, mode, most = ends
    return np.round(np.clip(-mode * np.log1p(-u), least, most), 2)


def prices(resources: Resources) -> Prices:
    """The user's `costs/`, or none: then every code has its table's default."""
    codes = {table: _read(resources, f"costs/{name}.csv") for table, name in FILES.items()}
    factors = {table: _factors(resources, f"costs/{name}_adjustments.csv") for table, name in ADJUSTED.items()}
    return Prices({k: v for k, v in codes.items() if v}, {k: v for k, v in factors.items() if v})


def _read(resources: Resources, name: str) -> dict[str, Price]:
    rows = resources.table(name, ("CODE", "MIN", "MODE", "MAX"))
    if rows is None:
        return {}
    amounts = rows.select("CODE", *(pl.col(c).cast(pl.Float64) for c in ("MIN", "MODE", "MAX")))
    return {code: (low, mode, high) for code, low, mode, high in amounts.iter_rows()}


def _factors(resources: Resources, name: str) -> dict[str, float]:
    """Factors by state, or by `state kind` where the file has kinds."""
    rows = resources.table(name, ("STATE", "ADJ_FACTOR"))
    if rows is None:
        return {}
    kinds = rows["ENCOUNTER"].str.to_lowercase() if "ENCOUNTER" in rows.columns else pl.Series([""] * len(rows))
    keys = (rows["STATE"] + " " + kinds).str.strip_chars()
    return dict(zip(keys, rows["ADJ_FACTOR"].cast(pl.Float64), strict=True))


class Costs:
    """A `Finisher`: a column `cost` for every priced table, `dispenses` for medications."""

    def __init__(self, resources: Resources) -> None:
        self.prices = prices(resources)

    def finish(self, world: World) -> None:
        for table in DEFAULTS:
            rows = world.record[table]
            patient = rows["patient"]
            ends = self.prices.of_items(world.catalogue, table)[:, rows["item"]]
            u = world.people.chance(patient, salt("cost:" + table), rows["seq"])
            rows.add_column("cost", price(ends, u) * self._factor(world, table))
        rows = world.record["medications"]
        rows.add_column("dispenses", dispenses(world))

    def _factor(self, world: World, table: str) -> Array | float:
        """What the patient's state makes of the price."""
        known = self.prices.factors.get(table)
        if not known or "state" not in world.attributes.number:
            return 1.0
        texts, a = world.attributes.texts.texts, world.attributes.number["state"]
        states = [STATES.get(text, text) for text in texts]
        of_text = np.array([known.get(s, known.get(f"{s} home", 1.0)) for s in states] or [1.0])
        return of_text[world.attributes.value[a, world.record[table]["patient"]].astype(np.int64)]


def dispenses(world: World) -> Array:
    """How often each medication is handed out: once and its refills, or monthly while a chronic one is taken."""
    rows = world.record["medications"]
    refills = np.array([_refills(item.spec) for item in world.catalogue.items] or [0])[rows["item"]]
    end = np.minimum(
        np.where(rows["stop"] == OPEN, world.people.stop[rows["patient"]], rows["stop"]),
        world.people.death[rows["patient"]],
    )
    months = np.maximum((end - rows["start"]) // REFILL, 1)
    return np.where(rows["administered"], 1, np.where(rows["chronic"], months, 1 + refills)).astype(np.int64)


def _refills(spec: Mapping[str, object]) -> int:
    prescription = spec.get("prescription")
    found = prescription.get("refills", 0) if isinstance(prescription, dict) else 0
    return int(found) if isinstance(found, int | float) else 0
