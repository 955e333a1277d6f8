"""Sequences that rows of another table own: the visits of a patient, drawn given the patient's row. `Owned`.

How many rows an owner has is decided elsewhere. When they begin is learned as a row an owner, given the owner's; then
all sequences go on together, as those of one table do (keyed.py). Rules between columns of a row hold by construction
where they can; sequences with a row that breaks another one are drawn again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Self

import numpy as np
import polars as pl

from verosim.draws import stream
from verosim.errors import ModelFileError, RuleError, SchemaError
from verosim.keys import Ints
from verosim.models import Array, Progress, State
from verosim.rules import Reduction, Rule, Unique, reduce
from verosim.schema import Column, Schema, Table
from verosim.schema import Sequence as Ordered
from verosim.sequences.cases import LENGTH, case_table, cases_of
from verosim.sequences.derived import Derived, Happened
from verosim.sequences.keyed import Keyed
from verosim.sequences.order import Runs, sequence_of
from verosim.sequences.parts import Moving
from verosim.sequences.walk import Asked
from verosim.table_model import Given, Options, TableModel, rules_of

KEY: Final = "number of the owner"
TRIES: Final = 100  # times that sequences which break a rule are drawn again ...
HOPE: Final = 20  # ... and those that pass the end of all times


class _Told(Keyed):
    """Keyed sequences of which the length, and columns that are given, are told and not drawn."""

    given: Table  # what is told of a sequence
    rules: tuple[str | dict[str, Any], ...] = ()  # what its first time, and all that stays the same in it, must hold
    persons: pl.Series  # (n,) whom each real row belongs to

    def _people(self, runs: Runs) -> pl.Series:
        return self.persons[runs.order]

    def _apart(self, runs: Runs, timed: tuple[Ints, Ints] | None) -> Array:
        return np.zeros(len(runs.new), bool)  # whole sequences are held out

    def _derived(self, cases: pl.DataFrame, happened: Happened, k: int) -> Derived:
        said = sequence_of(self.table)
        own = tuple(n for n in said.statics if n not in self.given.names)
        return Derived.of(cases, happened, replace(self.table, sequence=replace(said, statics=own)), k)

    def _fit_cases(
        self, whole: Runs, runs: Runs, moving: tuple[Moving, ...], options: Options, seed: int, progress: Progress
    ) -> None:
        table = replace(case_table(self.table, moving), rules=self.rules)
        frame = cases_of(runs, table)
        told = Given(frame.select(self.given.names), self.given)
        people = self._people(runs).filter(pl.Series(runs.new))
        plain = replace(options, unit=None)
        self.cases = TableModel.fit(frame, table, plain, seed, frame.height, progress, told, people=people)


class Owned:
    """One table of such sequences, learned; it stands where a `TableModel` does.

    distinct: columns by which the rows of one sequence are told apart, as by the time in the key (account, time).
    """

    def __init__(
        self, table: Table, rows: int, form: _Told, reduction: Reduction, distinct: Sequence[str] = ()
    ) -> None:
        self.table, self.rows, self.form, self.reduction, self.distinct = table, rows, form, reduction, distinct
        self.row_rules: tuple[Rule, ...] = reduction.remaining

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, table: Table, order: Ordered, owners: Ints, given: Given, options: Options, seed: int,
        real_rows: int, progress: Progress, people: pl.Series, distinct: Sequence[str] = (),
    ) -> Self:  # fmt: skip
        """frame: rows (n,) of the table's columns, and of those given. order: the time of the rows, and what stays the
        same in a sequence. owners: (n,) whose each is, below 0 for nobody's. given: what is known of the owner of each
        row; the same for all rows of one. people: (n,). Raises SchemaError for a rule that sequences cannot hold."""
        rules = rules_of(table)
        _check(table, rules)
        same = (*(n for n in order.statics if n in table.names), *given.table.names)
        reduced, reduction = reduce(frame, rules, table, k=options.k, keep={*same, str(order.time)})
        form_table = _sequence_table(
            reduction.table, given.table, replace(order, key=KEY, statics=same, activity=None, resource=None)
        )
        key = pl.Series(KEY, np.where(owners < 0, owners.max(initial=0) + 1 + np.arange(len(owners)), owners))
        parts = reduced.select(n for n in reduced.columns if n in form_table.names and n not in given.table.names)
        form = _Told(form_table, None, real_rows, 0)
        form.given, form.persons = _with_length(given.table), people
        first = {*same, *([order.time] if order.time else [])}
        form.rules = tuple(r.spec() for r in reduction.remaining if {*r.columns} <= first)
        runs = Runs.of(parts.with_columns(key, *given.frame.get_columns()).select(form_table.names), form_table)
        form.sequences = int(runs.new.sum())
        form._learn(runs, runs, replace(options, unit=None), seed, progress)
        return cls(table, real_rows, form, reduction, distinct)

    @property
    def notes(self) -> list[str]:
        """What was protected or made up."""
        return [note for note in self.form.notes if not note.startswith(f"{KEY}:")]  # it is nobody's column

    def explain(self) -> dict[str, str]:
        """For each field, how it is drawn."""
        return self.form.explain()

    # ------------------------------------------------------------------------------------------------ drawing

    def draw(self, owners: Ints, context: pl.DataFrame, seed: int, number: int, first: int) -> pl.DataFrame:
        """Rows (n,) of these owners, side by side, in their order. context: what is given of each. number: of the
        block; first: of its first row. Raises RuleError where no sequences are found that hold the rules."""
        new = (owners < 0) | np.append(True, owners[1:] != owners[:-1])
        starts, number_of = np.flatnonzero(new), np.cumsum(new) - 1
        lengths = np.diff(np.append(starts, len(owners)))
        frame = whole = self._walked(context[starts], lengths, seed, number, first)
        for attempt in range(TRIES):
            bad = self._broken(frame, number_of, late=attempt < HOPE)
            if not len(bad):
                break
            again = int(stream(seed, self.table.name, number, "again", attempt).integers(2**62))
            other = self._walked(context[starts[bad]], lengths[bad], again, number, first)
            order = np.arange(frame.height)
            order[np.isin(number_of, bad)] = frame.height + np.arange(other.height)
            frame = pl.concat([frame, other])[order]
        ids = [c.name for c in self.table.columns if c.kind == "id" and c.name in whole.columns]
        return self._settled(frame, number_of).with_columns(whole[name] for name in ids).select(self.table.names)

    def _walked(self, context: pl.DataFrame, lengths: Ints, seed: int, number: int, first: int) -> pl.DataFrame:
        """The rows of sequences of these lengths (s,), whatever rules they break."""
        form = self.form
        assert form.cases is not None
        told = context.with_columns(pl.Series(LENGTH, lengths, pl.Int64)).select(form.given.names)
        cases = self._timed(form.cases.block(number, seed, told.height, told, first))
        cases = cases.with_columns(pl.Series(KEY, np.arange(cases.height)))
        frame, _ = form._advance(cases, first, seed, (number, 0), Asked(cases=cases, exact=True))
        known = frame.select(n for n in frame.columns if n in context.columns).get_columns()
        return self.reduction.restore(frame).with_columns(known)

    def _timed(self, cases: pl.DataFrame) -> pl.DataFrame:
        """A row a sequence, all with a time to begin at: where one follows from that of an owner who is unknown, and so
        is missing, that of another sequence."""
        clock, time = self.form.clock, sequence_of(self.form.table).time
        if clock is None or time is None or not cases[time].null_count():
            return cases
        first = clock.series(np.array([self.form.first]))
        return cases.with_columns(pl.col(time).forward_fill().backward_fill().fill_null(first[0]))

    def _broken(self, frame: pl.DataFrame, number: Ints, late: bool) -> Ints:
        """The numbers of the sequences of which a row breaks a rule. late: or comes after all that there was."""
        wrong = self._late(frame) if late else np.zeros(frame.height, bool)
        for rule in self.row_rules:
            wrong |= ~rule.check(frame).fill_null(True).to_numpy()
        return np.unique(number[wrong | self._again(frame, number)])

    def _again(self, frame: pl.DataFrame, number: Ints) -> Array:
        """(n,) whether a row has what tells it apart from one before it in its sequence."""
        if not self.distinct:
            return np.zeros(frame.height, bool)
        keys = frame.select(pl.Series(KEY, number), *self.distinct)
        return ~keys.select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()

    def _late(self, frame: pl.DataFrame) -> Array:
        clock, time = self.form.clock, sequence_of(self.form.table).time
        if clock is None or time is None:
            return np.zeros(frame.height, bool)
        return np.asarray(clock.ticks(frame[time]) > self.form.end)

    def _settled(self, frame: pl.DataFrame, number: Ints) -> pl.DataFrame:
        """The rows, sequences that end too late made earlier where rules let them. Raises RuleError."""
        clock, time = self.form.clock, sequence_of(self.form.table).time
        if clock is not None and time is not None and self._late(frame).any():
            ticks = _earlier(clock.ticks(frame[time]), number, self.form.end, clock.grid is not None)
            earlier = frame.with_columns(clock.series(ticks).alias(time))
            frame = frame if len(self._broken(earlier, number, late=False)) else earlier
        broken = {str(rule): rule.count(frame) for rule in self.row_rules}
        broken |= {f"unique {', '.join(self.distinct)} within a sequence": int(self._again(frame, number).sum())}
        for rule, n in broken.items():
            if n:
                raise RuleError(
                    f"table {self.table.name!r}: the rule `{rule}` cannot be held in sequences: {n:,} of "
                    f"{frame.height:,} rows still break it after {TRIES} tries. Loosen it, or take the `sequence` out "
                    "of the schema."
                )
        return frame

    # ------------------------------------------------------------------------------------------------ model file

    def state(self) -> State:
        form, arrays = self.form.state()
        tables = {"form": self.form.table, "given": self.form.given}
        meta: dict[str, Any] = {name: Schema().with_table(table).to_dict() for name, table in tables.items()}
        meta |= {"rows": self.rows, "reduction": self.reduction.to_dict(), "distinct": list(self.distinct)}
        return {**meta, "sequences": form}, arrays

    @classmethod
    def restore(cls, engine: str, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        reduction = Reduction.from_dict(meta["reduction"])
        table, given = (next(iter(Schema.from_dict(meta[n]).values())) for n in ("form", "given"))
        form = _Told.restore(engine, table, meta["sequences"], arrays)
        form.given = given
        known = form.cases.known.table.names if form.cases is not None and form.cases.known else []
        if [*known] != [*given.names]:
            raise ModelFileError(
                f"the parts of the sequences of table {reduction.original.name!r} do not fit each other."
            )
        return cls(reduction.original, int(meta["rows"]), form, reduction, [str(n) for n in meta["distinct"]])


def _check(table: Table, rules: Sequence[Rule]) -> None:
    """Raise SchemaError for what is unique across sequences and is not made anew, as ids are."""
    alone = next((rule for rule in rules if isinstance(rule, Unique)), None)
    if alone is not None:
        raise SchemaError(
            f"table {table.name!r}: the rule `{alone}` cannot be held where rows are sequences of their owners. Take "
            "`unique`, or the `sequence`, out of the schema; or say `kind: id` of the column, which is then made anew."
        )


def _with_length(given: Table) -> Table:
    return replace(given, columns=(*given.columns, Column(LENGTH, "number", "int64", minimum=1)))


def _sequence_table(drawn: Table, given: Table, order: Ordered) -> Table:
    """The columns of sequences: the number of the owner, those that are drawn, and those that are told."""
    own = tuple(c for c in drawn.columns if c.name not in given.names)
    return Table(drawn.name, (Column(KEY, "id", "int64"), *own, *given.columns), sequence=order)


def _earlier(ticks: Ints, number: Ints, end: int, regular: bool) -> Ints:
    """The times (n,), those of sequences that end too late with shorter gaps; regular: with all so much earlier."""
    s = int(number.max(initial=-1)) + 1
    first, last = np.full(s, np.iinfo(np.int64).max), np.full(s, np.iinfo(np.int64).min)
    np.minimum.at(first, number, ticks)
    np.maximum.at(last, number, ticks)
    late = np.maximum(last - end, 0)[number]
    if regular:
        return ticks - late
    begin = np.minimum(first, end)
    share = np.clip((end - begin) / np.maximum(last - first, 1), 0.0, 1.0)[number]
    return np.where(late > 0, begin[number] + ((ticks - first[number]) * share).astype(np.int64), ticks)
