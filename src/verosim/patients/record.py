"""The record: what happened to the patients of a block, as tables that only grow, columns of numbers.

Each table has the columns of COMMON and its own. A row's `item` says what it is (`Catalogue.items`: codes, unit, ...),
`encounter` is a row of the table `encounters` (NONE: none; of an encounter, the one before it), times are milliseconds
since 1970 UTC, `reason` is the number of a code (`Catalogue.codes`). Rows come in the order in which work was done; of
one patient they are in the order of `seq`: sort by (patient, seq) before writing, and the same seed gives the same rows
in blocks of any size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from verosim.patients.names import NONE

Ints = np.ndarray[Any, np.dtype[Any]]
OPEN: Final = np.iinfo(np.int64).max  # a stop that has not come, a death that is not foreseen

COMMON: Final[Mapping[str, type]] = {
    "patient": np.int32, "seq": np.int32, "encounter": np.int32, "item": np.int32,
    "start": np.int64, "stop": np.int64, "reason": np.int32,
}  # fmt: skip
NUMBER, CODE, TEXT, PANEL, FLAG = range(5)  # kinds of an observation's value; of PANEL and DOCUMENT there is none
TABLES: Final[Mapping[str, Mapping[str, type]]] = {
    # kind: of KINDS; module: the owner's place in the order of modules; wellness: a visit that modules share
    "encounters": {"kind": np.int8, "module": np.int16, "discharge": np.int32},
    "conditions": {},
    "allergies": {"severity": np.int64},  # three bits for each reaction: 0 none, 1 mild, 2 moderate, 3 severe
    "medications": {"administered": np.bool_, "chronic": np.bool_, "ended": np.int32},  # ended: why, a code
    "procedures": {},
    # value: the number, the number of a code or text, or nothing; report, panel: the rows that this one is a part of
    "observations": {"value": np.float64, "kind": np.int8, "report": np.int32, "panel": np.int32},
    "reports": {},
    "careplans": {},
    "devices": {"udi": np.uint64},  # chance to write a unique device identifier from
    "supplies": {"quantity": np.int32},
    "immunizations": {"series": np.int16},
    "imaging": {"procedure": np.int32, "uid": np.uint64},  # chance to write identifiers from
}
KINDS: Final = (
    "wellness", "ambulatory", "outpatient", "inpatient", "emergency", "urgentcare", "hospice", "home", "snf", "virtual",
)  # fmt: skip
ALWAYS: Final = {"encounters", "conditions", "allergies", "medications", "careplans", "devices"}  # kept however old

POINTS: Final = (  # table and column that hold rows of another table, which began at the same time
    ("observations", "report", "reports"), ("observations", "panel", "observations"),
    ("imaging", "procedure", "procedures"),
)  # fmt: skip


class Rows:
    """One table that grows. `rows[column]` is (n,), a view: write into it, but do not keep it.

    data (room,): the rows as structures, of which the first n are in use.
    """

    def __init__(self, columns: Mapping[str, type]) -> None:
        self.n = 0
        self.data = np.empty(256, [(name, np.dtype(dtype)) for name, dtype in columns.items()])
        self._added: dict[str, Ints] = {}

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, column: str) -> Ints:
        return self._added[column] if column in self._added else self.data[column][: self.n]

    @property
    def columns(self) -> list[str]:
        return [*(self.data.dtype.names or ()), *self._added]

    def add_column(self, name: str, values: Ints) -> None:
        """A further column (n,), once the table has all of its rows."""
        self._added[name] = values

    def append(self, n: int, **values: Any) -> Ints:
        """Add n rows, of arrays (n,) or single values for every column; their numbers (n,)."""
        first, self.n = self.n, self.n + n
        self.make_room(0)
        for name in self.data.dtype.names or ():
            self.data[name][first : self.n] = values[name]
        return np.arange(first, self.n)

    def make_room(self, more: int) -> None:
        """Have room for so many more rows at least."""
        if self.n + more > len(self.data):
            wider = np.empty(max(self.n + more, 2 * len(self.data)), self.data.dtype)
            wider[: len(self.data)] = self.data
            self.data = wider

    def keep(self, kept: Ints) -> None:
        """Let only these rows (n,) bool be left, with new numbers."""
        self.n, n = int(np.count_nonzero(kept)), self.n
        self.data[: self.n] = self.data[:n][kept]


class Record:
    """The tables of a block's patients. `since` (patients,): from when on their history is told in full."""

    def __init__(self, patients: int) -> None:
        self.tables = {name: Rows({**COMMON, **own}) for name, own in TABLES.items()}
        self.since = np.full(patients, np.iinfo(np.int64).min)
        self.seq = np.zeros(patients, np.int32)  # rows so far, kept or not
        self.latest = np.full(patients, NONE, np.int32)  # row of each patient's latest encounter

    def __getitem__(self, table: str) -> Rows:
        return self.tables[table]

    def add(
        self, table: str, patients: Ints, item: Ints | int, start: Ints, *, stop: Ints | int = OPEN,
        encounter: Ints | None = None, reason: Ints | int = NONE, each: int = 1, **own: Any,
    ) -> Ints:  # fmt: skip
        """Add rows for `patients` (k,); their numbers (k,), which hold until older rows are forgotten.

        The patients are all different, or each stands `each` times in a row. encounter: by default the latest one.
        """
        seq = self.seq[patients]
        if each > 1:
            seq = seq + np.tile(np.arange(each, dtype=np.int32), len(patients) // each)
        self.seq[patients] = seq + 1  # of several, the last one stays
        if encounter is None:
            encounter = self.encounter_at(patients, start)
        values = {"patient": patients, "seq": seq, "encounter": encounter, "item": item,
                  "start": start, "stop": stop, "reason": reason, **own}  # fmt: skip
        return self.tables[table].append(len(patients), **values)

    @property
    def passing(self) -> int:
        """How many rows the tables have that are not in ALWAYS."""
        return sum(len(rows) for name, rows in self.tables.items() if name not in ALWAYS)

    def forget(self, before: Ints) -> None:
        """Drop what began before a time (patients,), of tables not in ALWAYS: nothing else points to their rows."""
        number = {}  # the new number of each old row
        for name, rows in self.tables.items():
            if name not in ALWAYS:
                kept = rows["start"] >= before[rows["patient"]]
                number[name] = np.append(np.where(kept, np.cumsum(kept) - 1, NONE), NONE)  # the last one: of NONE
                rows.keep(kept)
        for name, column, target in POINTS:
            self.tables[name][column][:] = number[target][self.tables[name][column]]

    def open_encounter(
        self, patients: Ints, item: Ints | int, start: Ints, kind: Ints | int, module: Ints | int,
        reason: Ints | int = NONE,
    ) -> Ints:  # fmt: skip
        """An encounter for each of `patients` (k,), all different; rows (k,). It is the latest one from now on."""
        before = self.latest[patients]
        rows = self.add("encounters", patients, item, start, encounter=before, reason=reason,
                        kind=kind, module=module, discharge=NONE)  # fmt: skip
        self.latest[patients] = rows
        return rows

    def encounter_at(self, patients: Ints, time: Ints) -> Ints:
        """The latest encounter (k,) of each patient that began by `time`; the first one where none had; NONE: none."""
        rows = self.latest[patients]
        if not self.tables["encounters"].n:
            return rows
        start, before = self.tables["encounters"]["start"], self.tables["encounters"]["encounter"]
        while True:
            late = (rows != NONE) & (start[rows] > time)
            late &= before[rows] != NONE
            if not late.any():
                return rows
            rows = np.where(late, before[rows], rows)
