"""Missing cells of given sequences, drawn given the rest: `Filling`.

As for the rows of plain tables (control/filling.py), but each row sees the row before and the row after it: `impute`
draws each column with gaps in turn, from values between the known ones on. `complete` draws whole columns, from the
first row of each sequence on, given what is known all around and what was drawn before. Both learn from sequences that
the model draws: nothing is looked up in real data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from verosim.control import Controlled, derived
from verosim.control.conditions import MADE
from verosim.control.filling import Gaps, completed, conform, filled_in, known_of, there, whole_rows
from verosim.control.pool import LEARNED, Rows, part_of
from verosim.draws import BLOCK, stream
from verosim.errors import DataError
from verosim.infer.sequences import check_sequence
from verosim.models import Array
from verosim.schema import Column, Table
from verosim.sequences.cases import LENGTH
from verosim.sequences.keyed import Keyed
from verosim.sequences.long import Long
from verosim.sequences.order import Clock, Runs, sequence_of
from verosim.table_model import Given, TableModel, rules_of

POOL: Final = 20_000  # drawn rows that is learned from
DRAWS: Final = 20  # of a short series, at most
TURNS: Final = 6  # times that each gap is filled anew: a row sees further with each
STRETCH: Final = 500  # rows of a sequence that are completed one after the other; longer ones go on in parallel
NEAR: Final = 0.5  # of the spread of a number: what is less apart from the rows beside it is smooth
DIGITS: Final = 7
UNSEEN: Final = ("id", "personal", "empty", "constant", "text", "json")  # kinds that tell a neighbour nothing


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What rows see of the rows beside them in their sequence. table: with those columns too."""

    table: Table
    before: dict[str, str]  # column -> that of the row before ...
    after: dict[str, str]  # ... and after
    passed: str | None  # how long ago the row before was; not of a grid

    @classmethod
    def of(cls, table: Table) -> Neighbours:
        said = sequence_of(table)
        same = {said.key, said.time, *said.statics}
        seen = [c for c in table.columns if c.name not in same and c.kind not in UNSEEN]
        before, after = ({c.name: _free(f"{c.name} {when}", table) for c in seen} for when in ("before", "after"))
        beside = [replace(c, name=names[c.name], unique=False) for names in (before, after) for c in seen]
        passed = _free("time before", table) if said.time and said.step is None else None
        if passed:
            beside.append(Column(passed, "number", "int64"))
        return cls(replace(table, columns=(*table.columns, *beside), sequence=None), before, after, passed)

    def seen(self, frame: pl.DataFrame, new: Array, names: Sequence[str]) -> pl.DataFrame:
        """The frame, rows in order, with what neighbours say of these columns. new: (n,) where a sequence begins."""
        first, last = pl.Series(new, dtype=pl.Boolean), pl.Series(np.append(new[1:], True), dtype=pl.Boolean)
        columns = [(pl.when(~first).then(pl.col(n).shift(1)).alias(self.before[n])) for n in names]
        columns += [(pl.when(~last).then(pl.col(n).shift(-1)).alias(self.after[n])) for n in names]
        return frame.with_columns(columns)

    def all(self, runs: Runs, clock: Clock | None) -> pl.DataFrame:
        """The rows of the runs with all that they see, in the order of the table."""
        frame, time = self.seen(runs.frame, runs.new, list(self.before)), self.table.sequence
        if self.passed:
            assert clock is not None
            ticks = clock.ticks(runs.frame[clock.column.name])
            gaps = pl.Series(np.diff(ticks, prepend=ticks[:1]))
            first = pl.Series(runs.new, dtype=pl.Boolean)
            frame = frame.with_columns(pl.when(~first).then(gaps).alias(self.passed))
        assert time is None
        return frame.select(self.table.names)


def _free(name: str, table: Table) -> str:
    while name in table.names:
        name += "'"
    return name


@dataclass(frozen=True, slots=True)
class Smooth:
    """A number that stays near the rows beside it: learned and drawn as what it is apart from their mean."""

    name: str
    beside: tuple[str, str]  # its columns of the row before and after
    middle: float  # where no row is beside it
    low: float
    high: float
    digits: int | None  # after the point, of all values

    @classmethod
    def of(cls, rows: pl.DataFrame, name: str, beside: tuple[str, str]) -> Smooth | None:
        """None for a number that is nearly as far from the rows beside it as from any."""
        values = rows[name].cast(pl.Float64).fill_nan(None).drop_nulls()
        if len(values) < 2:
            return None
        low, high, middle = (float(v) for v in values.to_frame("v").select(
            pl.min("v").alias("low"), pl.max("v").alias("high"), pl.median("v").alias("middle")).row(0))  # fmt: skip
        digits = next((d for d in range(DIGITS) if ((values - values.round(d)).abs() < 1e-9).all()), None)
        found = cls(name, beside, middle, low, high, digits)
        apart = (rows[name].cast(pl.Float64) - found.between(rows)).fill_nan(None).std()
        return found if isinstance(apart, float) and apart < NEAR * float(np.std(values.to_numpy())) else None

    def between(self, rows: pl.DataFrame) -> pl.Series:
        """(n,) the mean of what the rows beside say, as far as they do."""
        said = [pl.col(n).cast(pl.Float64).fill_nan(None) for n in self.beside]
        return rows.select(pl.mean_horizontal(said).fill_null(self.middle)).to_series()

    def apart(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with what the number is apart, in its place."""
        return rows.with_columns((rows[self.name].cast(pl.Float64) - self.between(rows)).alias(self.name))

    def values(self, drawn: pl.DataFrame, dtype: pl.DataType) -> pl.Series:
        """The numbers (n,) of rows with what they are apart; none beyond those that are known."""
        found = (drawn[self.name] + self.between(drawn)).clip(self.low, self.high)
        return (found if self.digits is None else found.round(self.digits)).cast(dtype)


class SequenceGaps(Gaps):
    """Gaps whose rows see the rows beside them."""

    def __init__(
        self, pool: Rows, frame: pl.DataFrame, columns: Sequence[Column], seen: Neighbours, new: Array
    ) -> None:
        self.seen, self.new = seen, new
        self.place = np.arange(len(new))
        ruled = {n for rule in rules_of(pool.table) for n in rule.columns}
        numbers = (c.name for c in columns if c.kind == "number" and c.name in seen.before and c.name not in ruled)
        found = (Smooth.of(pool.rows, n, (seen.before[n], seen.after[n])) for n in numbers)
        self.smooth = {s.name: s for s in found if s is not None}
        super().__init__(pool, frame, columns)

    def learn(self, rows: pl.DataFrame, name: str) -> TableModel:
        if name not in self.smooth:
            return super().learn(rows, name)
        columns = (Column(name, "number", "float64") if c.name == name else c for c in self.pool.table.columns)
        table = replace(self.pool.table, columns=tuple(columns))
        return Rows(table, lambda: rows, self.pool.seed).learn_column(
            self.smooth[name].apart(rows), name, "impute", name
        )

    def read(self, drawn: pl.DataFrame, name: str) -> pl.Series:
        smooth = self.smooth.get(name)
        return smooth.values(drawn, self.frame.schema[name]) if smooth else super().read(drawn, name)

    @property
    def rounds(self) -> int:
        return TURNS

    def apart(self, rows: Array) -> list[Array]:
        """Rows that stand side by side are not filled at once."""
        parts = (rows[self.place[rows] % 2 == odd] for odd in (0, 1))
        return [part for part in parts if len(part)]

    def begun(self, seed: int) -> pl.DataFrame:
        """Between the values that are known; where a sequence has none, any value."""
        frame, number = super().begun(seed), pl.Series("sequence", np.cumsum(self.new))
        for name, gaps in self.gaps.items():
            known = self.frame[name].fill_nan(None) if self.frame[name].dtype.is_float() else self.frame[name]
            column = pl.col(name).interpolate() if known.dtype.is_numeric() else pl.col(name)
            near = pl.DataFrame([known, number]).select(column.forward_fill().backward_fill().over("sequence"))
            values = near.to_series().cast(known.dtype) if not known.dtype.is_integer() else _rounded(near, known.dtype)
            some = gaps[there(values).to_numpy()[gaps]]
            frame = self.put(frame, name, some, values[some])
        return frame

    def put(self, frame: pl.DataFrame, name: str, rows: Array, values: pl.Series) -> pl.DataFrame:
        frame = super().put(frame, name, rows, values)
        return self.seen.seen(frame, self.new, [name]) if name in self.seen.before else frame


def _rounded(near: pl.DataFrame, dtype: pl.DataType) -> pl.Series:
    return near.to_series().cast(pl.Float64).round().cast(dtype)


class Filling:
    """Fills given sequences by what a fitted form draws."""

    def __init__(self, form: Keyed | Long, seed: int) -> None:
        self.form, self.table, self.seed = form, form.table, derived(seed, "filling")
        self.seen = Neighbours.of(self.table)
        self.pool = Rows(self.seen.table, self._drawn, self.seed)
        said = sequence_of(self.table)
        self.changing = [c for c in self.table.columns if c.name not in (said.key, said.time, *said.statics)]
        self._models: dict[tuple[str, ...], TableModel] = {}

    def _drawn(self) -> pl.DataFrame:
        """Sequences in order, with what their rows see; of a long series several, each of the time of the real one."""
        rows = POOL if isinstance(self.form, Keyed) else min(POOL, self.form.rows)
        parts = list[pl.DataFrame]()
        for number in range(min(DRAWS, -(-POOL // max(rows, 1)))):
            drawn = pl.concat(self.form.blocks(rows, derived(self.seed, "pool", number)))
            parts.append(self.seen.all(Runs.of(drawn, self.table), self.form.clock))
        return pl.concat(parts)

    # ---------------------------------------------------------------------------------------------- cells

    def impute(self, frame: pl.DataFrame, seed: int, m: int) -> list[pl.DataFrame]:
        """The frame with its missing cells filled, m times. Raises DataError."""
        known = self._placed(whole_rows(frame, self.table))
        out = list[pl.DataFrame]()
        for number in range(m):
            own = derived(seed, "impute", number)
            runs = Runs.of(self._with_statics(known, own), self.table)
            gaps = SequenceGaps(self.pool, self.seen.all(runs, self.form.clock), self.changing, self.seen, runs.new)
            filled = gaps.filled(own)[np.argsort(runs.order)]
            holes = {name: np.flatnonzero(~there(known[name]).to_numpy()) for name in self.table.names}
            made = [
                n for n, rows in holes.items() if len(rows) and (n in gaps.gaps or n in sequence_of(self.table).statics)
            ]
            out.append(frame.with_columns(filled_in(frame[n], filled[n], holes[n]) for n in made))
        return out

    def _placed(self, known: pl.DataFrame) -> pl.DataFrame:
        """The same rows. Raises DataError where a row has no place: no key, or no time."""
        said = sequence_of(self.table)
        check_sequence(replace(self.table, sequence=replace(said, statics=(), step=None, activity=None)), known)
        return known

    def _with_statics(self, known: pl.DataFrame, seed: int) -> pl.DataFrame:
        """The rows with what is the same in a sequence: as another of its rows says, or else drawn."""
        said = sequence_of(self.table)
        there_ = [n for n in said.statics if n in known.columns]
        frame = known.with_columns(pl.col(there_).forward_fill().backward_fill().over(said.key)) if there_ else known
        lacking = [n for n in said.statics if n not in there_ or frame[n].null_count()]
        if not lacking:
            return frame
        drawn = frame.select(str(said.key)).join(self._cases(frame, lacking, seed), on=said.key, how="left")
        new = [drawn[n] if n not in there_ else frame[n].fill_null(drawn[n]) for n in lacking]
        return frame.with_columns(new)

    def _cases(self, frame: pl.DataFrame, lacking: list[str], seed: int) -> pl.DataFrame:
        """A row a key, with a value in each of the lacking statics."""
        assert isinstance(self.form, Keyed)
        key, runs = str(sequence_of(self.table).key), Runs.of(frame, self.table)
        first = runs.frame.filter(pl.Series(runs.new)).with_columns(pl.Series(LENGTH, runs.lengths))
        if self.form.roster is not None:
            roster, some = self.form.roster, stream(seed, self.table.name, "roster")
            other = roster[some.integers(roster.height, size=first.height)].select(lacking)
            known = first.select(key).join(roster.select(key, *lacking), on=key, how="left", maintain_order="left")
            return known.with_columns(pl.col(n).fill_null(other[n]) for n in lacking)
        assert self.form.cases is not None
        names = [n for n in self.form.cases.table.names if n in first.columns]
        filler = Controlled(self.form.cases, self.seed)
        if len(names) == len(self.form.cases.table.names):
            return filler.impute(first.select(names), seed, 1)[0].select(key, *lacking)
        return filler.complete(first.select(n for n in names if n not in lacking), seed).select(key, *lacking)

    # ---------------------------------------------------------------------------------------------- whole columns

    def complete(self, frame: pl.DataFrame, seed: int) -> pl.DataFrame:
        """The rows of a frame that has some of the columns, with the others drawn. Raises DataError."""
        known, said = conform(frame, self.table), sequence_of(self.table)
        names = known_of(known, self.table)
        for name in (said.key, said.time):
            if name is not None and name not in names:
                fix = "Give it for each row, or draw whole sequences by sample(course=Course(given=...))."
                raise DataError("the rows of sequences cannot be placed.", table=self.table.name, column=name, fix=fix)
        rows = self._with_statics(self._placed(known), seed)
        lacking = [c.name for c in self.changing if c.name not in names]
        made = [n for n in lacking if self.table[n].kind in MADE]
        walked = [n for n in lacking if n not in made]
        runs = Runs.of(rows.with_columns(self.pool.rows[n].clear().extend_constant(None, rows.height) for n in lacking),
                       self.table)  # fmt: skip
        if walked:
            runs = replace(runs, frame=self._walked(runs, walked, made, seed))
        if made:
            model, shown = self._rest_of(made, [])
            given = self.seen.all(runs, self.form.clock).select(shown)
            drawn = completed(model, given, derived(seed, "made"))
            runs = replace(runs, frame=runs.frame.with_columns(drawn.select(made).get_columns()))
        full = runs.frame[np.argsort(runs.order)].select(self.table.names)
        return full.with_columns(frame.get_columns())

    def _walked(self, runs: Runs, lacking: list[str], made: list[str], seed: int) -> pl.DataFrame:
        """The rows with the lacking columns, drawn from the first row of each stretch on, all stretches at once.

        made: columns that are made anew for each row, later.
        """
        model, shown = self._rest_of(lacking, made)
        place = runs.place % STRETCH
        empty = self.pool.rows.select(lacking).clear()
        given = self.seen.all(runs, self.form.clock).select(shown)
        drawn, last, parts = empty, np.zeros(0, np.int64), [empty]
        order = np.argsort(place, kind="stable")
        for step, now in enumerate(np.split(order, np.cumsum(np.bincount(place))[:-1])):
            known = given[now]
            if step:
                before = drawn[np.searchsorted(last, now - 1)]
                known = known.with_columns(
                    before[n].alias(self.seen.before[n]) for n in lacking if n in self.seen.before
                )
            drawn, last = self._step(model, known, step, seed).select(lacking), now
            parts.append(drawn)
        return runs.frame.with_columns(pl.concat(parts)[np.argsort(order)].get_columns())

    def _step(self, model: TableModel, known: pl.DataFrame, step: int, seed: int) -> pl.DataFrame:
        own = derived(seed, "complete", step)
        blocks = [
            model.block(i, own, BLOCK, known[i * BLOCK : (i + 1) * BLOCK]) for i in range(-(-known.height // BLOCK))
        ]
        return pl.concat(blocks)

    def _rest_of(self, lacking: list[str], hidden: list[str]) -> tuple[TableModel, list[str]]:
        """The lacking columns of a row given all others and the row before, and the names of what is given."""
        later = [self.seen.after[n] for n in lacking if n in self.seen.after]
        table = self.seen.table
        shown = [n for n in table.names if n not in (*lacking, *later, *hidden)]
        if tuple(lacking) not in self._models:
            rows = self.pool.rows[self.pool.some(self.pool.rows, LEARNED, "complete", *lacking)]
            own = replace(part_of(table, [*lacking, *shown]), rules=table.rules)
            given = Given(rows.select(shown), part_of(table, shown))
            self._models[tuple(lacking)] = self.pool.learn(
                rows.select(own.names), given, "complete", *lacking, table=own
            )
        return self._models[tuple(lacking)], shown
