"""Claims: what of each visit and prescription the patient pays, what the insurers pay.

A claim is an encounter with its procedures, reports, immunisations, devices and supplies, or a medication. Its lines
are paid in the order of time within a year of insurance: a copay, then the deductible while it lasts, then the
coinsurance, until the patient has paid the year's most; a supplement pays the patient's part of the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from verosim.patients.life.insurance import NOBODY, PUBLIC, Plans
from verosim.patients.names import NONE
from verosim.patients.population import Array

if TYPE_CHECKING:
    from verosim.patients.world import World

PARTS: Final = ("procedures", "reports", "immunizations", "devices", "supplies")  # of an encounter's claim
TABLES: Final = ("encounters", "medications", *PARTS)  # a line's table is a place in this


def running(values: Array, group: Array) -> Array:
    """Sums (k,) up to and with each value, within runs of equal `group` (k,).

    >>> running(np.array([1.0, 2, 3, 4]), np.array([0, 0, 1, 1]))
    array([1., 3., 3., 7.])
    """
    total = np.cumsum(values)
    first = np.flatnonzero(np.diff(group, prepend=group[0] - 1 if len(group) else 0))
    before = np.concatenate([[0.0], total])[first]
    return total - np.repeat(before, np.diff(np.append(first, len(values))))


def split(cost: Array, year: Array, copay: Array, deductible: Array, share: Array, cap: Array) -> dict[str, Array]:
    """The patient's copay, deductible and coinsurance, and the payer's `covered`, of lines (k,) in the order of time.

    year: (k,) lines of one patient and year stand together. share: what the patient bears beyond the deductible.
    All are settled at once: a deductible that is used up is min(D, sum), line by line its difference.
    """
    first = np.minimum(cost, copay)
    rest = cost - first
    so_far = running(rest, year)
    own = np.minimum(so_far, deductible) - np.minimum(so_far - rest, deductible)
    coinsurance = (rest - own) * share
    wanted = first + own + coinsurance
    total = running(wanted, year)
    paid = np.minimum(total, cap) - np.minimum(total - wanted, cap)  # nothing more once the year's most is paid
    part = np.divide(paid, wanted, out=np.zeros_like(wanted), where=wanted > 0)
    return {
        "copay": first * part,
        "deductible": own * part,
        "coinsurance": coinsurance * part,
        "covered": cost - paid,
    }


class Claims:
    """A `Finisher`: `extra["claims"]` and `["claim_lines"]`; columns `payer`, `covered`, `total_cost` of the record."""

    def __init__(self, plans: Plans) -> None:
        self.plans = plans

    def finish(self, world: World) -> None:
        lines = self._lines(world)
        world.extra["claim_lines"] = lines
        money = ("cost", "copay", "deductible", "coinsurance", "covered", "secondary_paid", "patient_paid")
        claims = lines.group_by("claim", maintain_order=True).agg(
            pl.first("patient", "start", "payer", "secondary", "claim_table", "claim_row"),
            pl.len().alias("n_lines"),
            *(pl.sum(c).round(2) for c in money),
        )
        world.extra["claims"] = claims
        self._back(world, lines, claims)
        self._offers(world)

    def _offers(self, world: World) -> None:
        """Payers and plans by their numbers, and who was covered by which, year by year."""
        p, rows = self.plans, world.record["coverage"]
        public = [bool(np.isin(np.array(p.rule)[p.payer == i], PUBLIC).any()) for i in range(len(p.payers))]
        owners = [*("GOVERNMENT" if flag else "PRIVATE" for flag in public), NOBODY]
        names = [*p.payers, NOBODY]
        world.extra["payers"] = pl.DataFrame({"payer": range(len(names)), "name": names, "ownership": owners})
        world.extra["plans"] = pl.DataFrame(
            {"plan": range(len(p.name)), "payer": p.payer, "name": p.name, "premium": p.premium}
        )
        end = np.minimum(world.people.stop, world.people.death)[rows["patient"]]
        none, second = rows["plan"] == NONE, rows["secondary"] == NONE
        world.extra["coverage"] = pl.DataFrame({
            "patient": rows["patient"],
            "start": rows["start"],
            "stop": np.minimum(rows["stop"], end),
            "payer": np.where(none, len(p.payers), p.payer[rows["plan"]]),
            "plan": rows["plan"],
            "secondary": np.where(second, NONE, p.payer[rows["secondary"]]),
            "premium": rows["premium"],
        }).sort("patient", "start")  # fmt: skip

    def _lines(self, world: World) -> pl.DataFrame:
        """Every priced row of the record as a line, with what is paid for it and by whom."""
        parts = []
        for place, table in enumerate(TABLES):
            rows = world.record[table]
            own = table in ("encounters", "medications")
            row = np.arange(len(rows), dtype=np.int64)
            parts.append(pl.DataFrame({
                "patient": rows["patient"].astype(np.int64),
                "start": rows["start"],
                "claim_table": np.full(len(rows), 1 if table == "medications" else 0, np.int8),
                "claim_row": row if own else rows["encounter"].astype(np.int64),
                "table": np.full(len(rows), place, np.int8),
                "row": row,
                "seq": rows["seq"].astype(np.int64),
                "cost": rows["cost"],
            }))  # fmt: skip
        lines = pl.concat(parts).filter(pl.col("claim_row") != NONE).sort("patient", "start", "seq")
        claim = (pl.col("claim_row") * 2 + pl.col("claim_table")).alias("claim")
        return self._paid(world, lines.with_columns(claim))

    def _paid(self, world: World, lines: pl.DataFrame) -> pl.DataFrame:
        patient, start = lines["patient"].to_numpy(), lines["start"].to_numpy()
        which = covering(world, patient, start)
        coverage = world.record["coverage"]
        plan = np.where(which == NONE, NONE, coverage["plan"][which])
        secondary = np.where(which == NONE, NONE, coverage["secondary"][which])
        p, insured = self.plans, plan != NONE
        share = np.where(p.coinsurance > 0, 1 - p.coinsurance, 0.0)[plan]
        cost = lines["cost"].to_numpy()
        year = np.where(which == NONE, -1 - patient, which)  # a year of insurance is a row of `coverage`
        of_claim = (
            lines["table"].to_numpy() == lines["claim_table"].to_numpy()
        )  # the copay is the claim's, not the line's
        paid = split(
            cost, year,
            np.where(insured & of_claim, p.copay[plan], 0.0),
            np.where(insured, p.deductible[plan], np.inf),
            np.where(insured, share, 1.0),
            np.where(insured, p.cap[plan], np.inf),
        )  # fmt: skip
        left = cost - paid["covered"]
        more = np.where(secondary != NONE, left, 0.0)
        payer = np.where(insured, p.payer[plan], len(p.payers))
        return lines.with_columns(
            *(pl.Series(name, np.round(values, 2)) for name, values in paid.items()),
            pl.Series("secondary_paid", np.round(more, 2)),
            pl.Series("patient_paid", np.round(left - more, 2)),
            pl.Series("payer", payer),
            pl.Series("secondary", np.where(secondary != NONE, p.payer[secondary], NONE)),
        )

    def _back(self, world: World, lines: pl.DataFrame, claims: pl.DataFrame) -> None:
        """What the exports of the record need, as columns beside its rows."""
        for place, table in enumerate(TABLES):
            own = lines.filter(pl.col("table") == place)
            covered = np.zeros(len(world.record[table]))
            covered[own["row"].to_numpy()] = own["covered"].to_numpy() + own["secondary_paid"].to_numpy()
            world.record[table].add_column("covered", covered)
        for number, table in enumerate(("encounters", "medications")):
            own = claims.filter(pl.col("claim_table") == number)
            row, n = own["claim_row"].to_numpy(), len(world.record[table])
            for column, values, empty in (
                ("payer", own["payer"].to_numpy(), len(self.plans.payers)),
                ("total_cost", own["cost"].to_numpy(), 0.0),
                ("claim_covered", (own["covered"] + own["secondary_paid"]).to_numpy(), 0.0),
            ):
                full = np.full(n, empty, dtype=values.dtype)
                full[row] = values
                world.record[table].add_column(column, full)


def covering(world: World, patient: Array, time: Array) -> Array:
    """The row (k,) of `coverage` that holds for each patient at each time, NONE where none does."""
    rows = world.record["coverage"]
    if not len(rows):
        return np.full(len(patient), NONE)
    order = np.lexsort((rows["start"], rows["patient"]))
    key = _key(rows["patient"][order], rows["start"][order], world)
    place = np.searchsorted(key, _key(patient, time, world), side="right") - 1
    found = order[np.maximum(place, 0)]
    good = (place >= 0) & (rows["patient"][found] == patient)
    return np.where(good, found, NONE)


def _key(patient: Array, time: Array, world: World) -> Array:
    """One ascending number for patient and time: weeks of life fit in 13 bits, seconds of them in 20."""
    return patient.astype(np.int64) * 2**34 + np.maximum(time - world.people.birth[patient], 0) // 1000
