"""A finished block of patients, ready to be shown: which rows, in which order, under which ids and names.

Ids are fixed by seed, patient and place in the patient's record: the same for any chunking and any form of export.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from verosim.draws import scattered
from verosim.patients.names import NONE
from verosim.patients.population import NEVER, Array
from verosim.patients.record import OPEN, TABLES, Rows
from verosim.providers.ids import uuids

if TYPE_CHECKING:
    from verosim.patients.world import World

PERSON: Final = 200  # kinds of ids beside those of the record's tables
CLAIM, CHARGE, MEMBER, TOTAL = range(201, 205)
PLACES: Final = ("organizations", "providers", "payers")  # tables beside the record
MOMENT: Final = pl.Datetime("ms", "UTC")
_TABLES: Final = list(TABLES)


class Block:
    """What of a world is shown. kept: (n,) bool, the patients that are wanted; by default all."""

    def __init__(self, world: World, kept: Array | None = None) -> None:
        self.world, self.people, self.record, self.catalogue = world, world.people, world.record, world.catalogue
        self.extra: dict[str, pl.DataFrame] = getattr(world, "extra", {})
        self.kept = np.ones(self.people.n, bool) if kept is None else kept
        order = np.lexsort((self.people.attempt, self.people.slot))
        self.patients = order[self.kept[order]]  # row numbers, in the order in which they are shown
        self.rank = np.full(self.people.n, NONE, np.int64)
        self.rank[self.patients] = np.arange(len(self.patients))
        self._shown = {name: self._within(name) for name in _TABLES}
        self._shown["encounters"] |= self._holding()

    # ------------------------------------------------------------------------------------------ which rows

    def _within(self, table: str) -> Array:
        """(rows,) bool: of wanted patients, begun by the end or death, not over before the years that are shown."""
        rows = self.record[table]
        patient, since = rows["patient"], self.record.since[rows["patient"]]
        lasting = (rows["start"] > since) | (rows["stop"] > since)
        return (
            self.kept[patient] & lasting & (rows["start"] <= np.minimum(self.people.stop, self.people.death)[patient])
        )

    def _holding(self) -> Array:
        """(encounters,) bool: encounters, however old, at which something shown began."""
        held = np.zeros(len(self.record["encounters"]), bool)
        for name in _TABLES:
            if name != "encounters":
                at = self.record[name]["encounter"][self._shown[name]]
                held[at[at != NONE]] = True
        return held

    def shown(self, table: str) -> Array:
        """(rows,) bool: whether each row of a table of the record is shown."""
        return self._shown.get(table, np.zeros(0, bool))

    def rows(self, table: str, also: Array | None = None) -> Array:
        """Numbers (k,) of the rows to show, patient by patient in the order of their record. also: (rows,) bool."""
        shown = self._shown[table] if also is None else self._shown[table] & also
        rows = np.flatnonzero(shown)
        key = self.rank[self.record[table]["patient"][rows]] << 32 | self.record[table]["seq"][rows]
        return rows[np.argsort(key, kind="stable")]

    def __getitem__(self, table: str) -> Rows:
        return self.record[table]

    def own(self, table: str, column: str, rows: Array, otherwise: Any) -> Array:
        """A column that is added after the run, such as a cost; `otherwise` where nobody did."""
        found = self.record[table]
        return found[column][rows] if column in found.columns else np.full(len(rows), otherwise)

    # ------------------------------------------------------------------------------------------ ids

    def made_ids(self, kind: int, patients: Array, numbers: Array | int) -> pl.Series:
        """Uuids (k,) for things of patients (k,): those of one patient begin alike, as Synthea's do."""
        key = self.people.key[patients]
        inside = np.broadcast_to(numbers, len(patients)).astype(np.uint64) | np.uint64(kind << 48)
        return uuids((scattered(key ^ scattered(inside)) >> np.uint64(2)).astype(np.int64), key)

    @cached_property
    def person_ids(self) -> pl.Series:
        """(n,) of all patients of the block."""
        return self.made_ids(PERSON, np.arange(self.people.n), 0)

    def ids(self, table: str, rows: Array) -> pl.Series:
        """Uuids (k,) of rows of the record; null for NONE."""
        found = self.record[table]
        if (rows == NONE).any():
            known = rows != NONE
            out = pl.Series([None], dtype=pl.String).new_from_index(0, len(rows))
            return out.scatter(np.flatnonzero(known), self.ids(table, rows[known])) if known.any() else out
        return self.made_ids(_TABLES.index(table), found["patient"][rows], found["seq"][rows])

    def person_of(self, table: str, rows: Array) -> pl.Series:
        return self.person_ids.gather(self.record[table]["patient"][rows])

    @cached_property
    def _encounter_ids(self) -> pl.Series:
        return self.ids("encounters", np.arange(len(self.record["encounters"]))).extend_constant(None, 1)

    def encounter_of(self, table: str, rows: Array) -> pl.Series:
        return self.encounter_ids(self.record[table]["encounter"][rows])

    def encounter_ids(self, encounters: Array) -> pl.Series:
        """Ids (k,) of encounters; null for NONE, and for those that are not shown."""
        last = len(self.record["encounters"])
        shown = (encounters != NONE) & np.append(self._shown["encounters"], False)[encounters]
        return self._encounter_ids.gather(np.where(shown, encounters, last))

    def linked(self, table: str, numbers: Array) -> pl.Series:
        """Ids (k,) of rows beside the record by their numbers: payers, organizations, providers; null for NONE."""
        found = place_ids(table, self.extra[table].height if table in self.extra else 0)
        return found.extend_constant(None, 1).gather(np.where(numbers == NONE, len(found), numbers))

    # ------------------------------------------------------------------------------------------ names and times

    @cached_property
    def codes(self) -> pl.DataFrame:
        """system, code, display by the number of a code; a last row of nulls stands for NONE."""
        found = [(c.system, c.code, c.display) for c in self.catalogue.codes.codings]
        return _coded([*found, (None, None, None)])

    @cached_property
    def items(self) -> pl.DataFrame:
        """system, code, display, unit, category by the number of an item."""
        leading = [item.codes[0] if item.codes else None for item in self.catalogue.items]
        frame = _coded([(c.system, c.code, c.display) if c else (None, None, None) for c in leading])
        units = pl.Series("unit", [item.unit for item in self.catalogue.items], pl.String)
        return frame.with_columns(units, pl.Series("category", [i.category for i in self.catalogue.items], pl.String))

    def item(self, table: str, rows: Array, column: str) -> pl.Series:
        """system, code, display, unit or category (k,) of what rows say."""
        return self.items[column].gather(self.record[table]["item"][rows])

    def reason(self, table: str, rows: Array, column: str) -> pl.Series:
        """system, code or display (k,) of the reasons of rows; null where there is none."""
        return self.codes[column].gather(_from_end(self.record[table]["reason"][rows], self.codes.height))

    def code(self, numbers: Array, column: str) -> pl.Series:
        return self.codes[column].gather(_from_end(numbers, self.codes.height))

    def start(self, table: str, rows: Array) -> pl.Series:
        return pl.Series(self.record[table]["start"][rows]).cast(MOMENT)

    def stop(self, table: str, rows: Array) -> pl.Series:
        """(k,) null where it has not come by the end of the simulation."""
        found = self.record[table]
        stop, end = found["stop"][rows], self.people.stop[found["patient"][rows]]
        never = (stop == OPEN) | (stop > end) & (found["start"][rows] <= end)
        return pl.Series(np.where(never, 0, stop)).cast(MOMENT).set(pl.Series(never), None)

    @cached_property
    def died(self) -> Array:
        """(n,) bool: whether a patient died by the end of the simulation."""
        return (self.people.death != NEVER) & (self.people.death <= self.people.stop)


def place_ids(table: str, height: int) -> pl.Series:
    """Ids of the rows of a table that is the same for all blocks, by their places in it."""
    rows = np.arange(height)
    return uuids(rows, np.full(height, PLACES.index(table), np.uint64))


def _coded(rows: list[tuple[str | None, str | None, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(("system", "code", "display"), pl.String), orient="row")


def _from_end(numbers: Array, height: int) -> Array:
    return np.where(numbers == NONE, height - 1, numbers)
