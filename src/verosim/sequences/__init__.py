"""Tables whose rows follow each other: `SequenceModel` learns them and draws new ones, whatever their form.

order.py      the rows in their order; times as whole numbers; the hold-out
measures.py   columns of a long series on linear scales
long.py       one long series
cases.py      keyed sequences: a row each, with what is the same in all of it
timing.py     when the next step comes
parts.py      the other columns of a step, and how models see them
steps.py      what a step is drawn given
engine.py     what draws it: trees, a network that remembers, or both
activities.py what happens next in an event log
contest.py    which of them is least told from unseen sequences
walk.py       how sequences advance together
wholes.py     which of them stay, so that whole ones come as the real ones do
rows.py       their rows
keyed.py      many sequences, event logs among them
control.py    what a call asks: how many, how long, from when, going on from what
anomalies.py  anomalies put into what was drawn, with labels
choosing.py   sequences of the kinds asked for: where, balance, edges, fair
filling.py    missing cells of given sequences: complete, impute
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, Self

import polars as pl

from verosim.control import Control
from verosim.errors import ArgumentError
from verosim.infer.sequences import check_sequence
from verosim.models import Array, Progress, State, silent
from verosim.schema import Table
from verosim.sequences.anomalies import Anomaly, Spoiler, anomalies_of
from verosim.sequences.choosing import Choosing
from verosim.sequences.control import Course, asked_of, begun
from verosim.sequences.filling import Filling
from verosim.sequences.keyed import Keyed
from verosim.sequences.long import Long
from verosim.sequences.order import Runs, cuts_of, held_out
from verosim.table_model import Options

__all__ = ["Anomaly", "Course", "Runs", "SequenceModel", "cuts_of", "held_out"]

SEED: Final = 0  # of what is drawn to learn from how cells are filled: the same for every call
USUAL: Final = 4_000  # drawn rows that show how far a column spreads, where anomalies are asked


class SequenceModel:
    """One table of sequences, learned."""

    def __init__(self, table: Table, form: Long | Keyed) -> None:
        self.table, self.form, self.rows, self.control = table, form, form.rows, Control()
        self.choosing = Choosing(form) if isinstance(form, Keyed) else None

    @classmethod
    def fit(cls, frame: pl.DataFrame, table: Table, options: Options, seed: int, progress: Progress = silent) -> Self:
        """frame: all rows; those that `held_out` says are not learned. Raises DataError."""
        check_sequence(table, frame)
        assert table.sequence is not None
        if table.sequence.key is None:
            return cls(table, Long.fit(frame, table, options, seed))
        return cls(table, Keyed.fit(frame, table, options, seed, progress))

    @property
    def sequences(self) -> int:
        """How many the real data had."""
        return self.form.sequences if isinstance(self.form, Keyed) else 1

    @property
    def notes(self) -> list[str]:
        return self.form.notes

    def explain(self) -> dict[str, str]:
        return self.form.explain()

    @property
    def effects(self) -> tuple[str, ...]:
        """What the last draw that was asked for fairness did, a sentence each."""
        return self.choosing.effects if self.choosing is not None else ()

    def directed(self, control: Control) -> Self:
        """The same model, that draws what is asked. Raises ArgumentError for what a long series cannot be asked."""
        if control.any and self.choosing is None:
            raise ArgumentError(
                f"table {self.table.name!r} is one long series: where, balance, edges and fair have no sequences "
                "to choose among. Say when it begins with Course(start=...), or from what with Course(begin=...)."
            )
        new = copy(self)
        new.control = control
        return new

    def blocks(self, rows: int, seed: int) -> Iterator[pl.DataFrame]:
        """The first `rows` rows, block by block; for 0 rows one frame without any."""
        if not rows:
            return (frame.head(0) for frame in self.blocks(1, seed))
        return self.course(Course(), rows, seed)

    def course(self, course: Course, rows: int | None, seed: int) -> Iterator[pl.DataFrame]:
        """Rows as asked: so many rows, or so many whole sequences of this length; with anomalies, where some are."""
        drawn = self._drawn(course, rows, seed)
        asked = anomalies_of(course.anomalies)
        if not asked:
            return drawn
        usual = pl.concat(self.form.blocks(USUAL, 0))
        return Spoiler(self.table, self.form.clock, asked, usual).frames(drawn, seed)

    def _drawn(self, course: Course, rows: int | None, seed: int) -> Iterator[pl.DataFrame]:
        if isinstance(self.form, Long):
            if course.sequences not in (None, 1):
                raise ArgumentError(
                    f"table {self.table.name!r} is one long series: ask for its `length`, "
                    f"not for {course.sequences} sequences."
                )
            begin, ticks, first = begun(course, self.form)
            length = course.length or rows or self.rows
            return self.form.blocks(length, seed, begin, ticks, first, self.control.temperature)
        asked = replace(asked_of(course, self.form, seed), temperature=self.control.temperature)
        wanted = course.sequences
        if asked.cases is not None:
            wanted = asked.cases.height
        if wanted is None and course.length is not None and rows is None:
            wanted = self.sequences
        if self.control.any and self.choosing is not None:
            if asked.cases is not None:
                raise ArgumentError("sequences are given (`given`, `begin`) or chosen (where, balance, edges, fair).")
            return self.choosing.draw(self.control, asked, wanted, rows, seed)
        if wanted is None:
            return self.form.blocks(rows or self.rows, seed, asked)
        return self.form.whole(wanted, seed, asked)

    def complete(self, frame: pl.DataFrame, seed: int) -> pl.DataFrame:
        """The rows of a frame that has some of the columns, with the others drawn. Raises DataError."""
        return self._filling.complete(frame, seed)

    def impute(self, frame: pl.DataFrame, seed: int, m: int) -> list[pl.DataFrame]:
        """The frame with its missing cells filled, m times. Raises DataError."""
        return self._filling.impute(frame, seed, m)

    @cached_property
    def _filling(self) -> Filling:
        return Filling(self.form, SEED)

    def trial(self, seed: int) -> pl.DataFrame:
        """A few rows."""
        return pl.concat(self.blocks(min(16, max(1, self.rows)), seed))

    def state(self) -> State:
        return self.form.state()

    @classmethod
    def restore(cls, engine: str, table: Table, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        assert table.sequence is not None
        if table.sequence.key is None:
            return cls(table, Long.restore(table, meta, arrays))
        return cls(table, Keyed.restore(engine, table, meta, arrays))
