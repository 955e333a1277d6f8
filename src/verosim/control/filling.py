"""Missing cells, drawn given those that are there: whole columns (`complete`), or cells here and there (`impute`).

`impute` draws by chained equations (van Buuren and Groothuis-Oudshoorn, mice, 2011): each column with gaps is drawn
given all others, in turn and several times over, beginning with values drawn from the column alone. What is learned of
a column is learned from rows in which it has a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import polars as pl

from verosim.control.conditions import MADE
from verosim.control.pool import FEWEST, LEARNED, Rows, derived, part_of
from verosim.draws import BLOCK, stream
from verosim.errors import DataError, did_you_mean
from verosim.models import Array
from verosim.rules import Implication, parse
from verosim.rules.parsing import types_of
from verosim.schema import Column, Table
from verosim.table_model import Given, TableModel, blocks

ROUNDS: Final = 5  # times that each column with gaps is drawn again, where several have gaps


def conform(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The frame with its columns in the types of the table. Raises DataError for a column unknown, or a value lost."""
    types, out = types_of(table), []
    for series in frame.get_columns():
        name = series.name
        if name not in types:
            fix = did_you_mean(name, table.names)
            raise DataError("no such column was learned.", table=table.name, column=name, fix=fix)
        cast = series.cast(types[name], strict=False)
        back = cast.cast(series.dtype, strict=False) if cast.dtype != series.dtype else series
        lost = np.flatnonzero(~back.eq_missing(series).to_numpy())
        if len(lost):
            row = int(lost[0])
            reason = f"{series[row]!r} is no value of {types[name]}, which was learned."
            raise DataError(reason, table=table.name, column=name, row=row, fix="Cast the column.")
        out.append(cast)
    return pl.DataFrame(out)


def whole_rows(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The frame as `conform` gives it, with all columns. Raises DataError for one that is missing."""
    known = conform(frame, table)
    missing = [n for n in table.names if n not in known.columns]
    if missing:
        fix = "Complete the frame first: complete(frame) draws whole columns."
        raise DataError("the column is missing.", table=table.name, column=missing[0], fix=fix)
    return known.select(table.names)


def known_of(frame: pl.DataFrame, table: Table) -> list[str]:
    """The columns that a frame to be completed has, in the order of the table. Raises DataError for none, or all."""
    names = [n for n in table.names if n in frame.columns]
    if not names or not frame.height:
        raise DataError("there is nothing given.", table=table.name, fix="Give some columns and rows.")
    if len(names) == len(table.names):
        raise DataError("all columns are given.", table=table.name, fix="To fill missing cells, impute.")
    return names


def filled_in(series: pl.Series, filled: pl.Series, rows: Array) -> pl.Series:
    """A column as it came in, with the cells of these rows filled."""
    return series.clone().scatter(rows, filled[rows].cast(series.dtype))


def rest_of(pool: Rows, names: Sequence[str]) -> TableModel:
    """The columns of a table but these, given these."""
    rows = pool.rows[pool.some(pool.rows, LEARNED, "complete", *names)]
    return pool.learn(rows, Given(rows.select(names), part_of(pool.table, names)), "complete", *names)


def in_chunks(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    for start in range(0, frame.height, BLOCK):
        yield frame[start : start + BLOCK]


def completed(model: TableModel, frame: pl.DataFrame, seed: int) -> pl.DataFrame:
    """All columns of the rows of a frame, whose columns are those that `model` was given."""
    chunks = list(in_chunks(frame))
    return pl.concat(blocks(lambda number: model, frame.height, seed, given=chunks.__getitem__))


# ------------------------------------------------------------------------------------------------------- impute


class Gaps:
    """Which cells of a frame are to be filled, and the models that fill them, one a column, the fullest first."""

    def __init__(self, pool: Rows, frame: pl.DataFrame, columns: Sequence[Column] | None = None) -> None:
        """columns: those whose gaps are filled; by default all."""
        self.pool, self.frame = pool, frame
        columns = pool.table.columns if columns is None else columns
        gaps = {c.name: gaps_of(frame, pool.table, c.name) for c in columns if c.kind not in (*MADE, "empty")}
        self.gaps = dict(sorted(((n, g) for n, g in gaps.items() if len(g)), key=lambda item: len(item[1])))
        self.models = {name: self._learned(name) for name in self.gaps}

    def _learned(self, name: str) -> TableModel:
        rows = self.pool.rows.filter(there(self.pool.rows[name]))
        if rows.height < FEWEST:
            reason = (
                f"only {rows.height:,} of {self.pool.rows.height:,} drawn rows have a value here: too few to learn."
            )
            fix = "Fill it by hand, or leave the column out."
            raise DataError(reason, table=self.pool.table.name, column=name, fix=fix)
        return self.learn(rows, name)

    def learn(self, rows: pl.DataFrame, name: str) -> TableModel:
        """The column given all others, from rows that have a value in it."""
        return self.pool.learn_column(rows, name, "impute", name)

    def filled(self, seed: int) -> pl.DataFrame:
        """The frame with its gaps filled, the same for the same seed."""
        frame, last = self.begun(seed), self.rounds - 1
        for turn in range(self.rounds):
            for name, gaps in self.gaps.items():
                model = self.models[name] if turn == last else self.models[name].unruled()  # others may not fit yet
                for rows in self.apart(gaps):
                    drawn = completed(model, frame[rows].drop(name), derived(seed, "impute", turn, name))
                    frame = self.put(frame, name, rows, self.read(drawn, name))
        return frame

    def read(self, drawn: pl.DataFrame, name: str) -> pl.Series:
        """What was drawn of a column, as its values."""
        return drawn[name]

    @property
    def rounds(self) -> int:
        """How often each gap is filled."""
        return ROUNDS if len(self.gaps) > 1 else 1

    def apart(self, rows: Array) -> list[Array]:
        """Rows of which none tells of another, and so may be filled at once."""
        return [rows]

    def begun(self, seed: int) -> pl.DataFrame:
        """To begin with, any value that the column has stands in each gap."""
        frame = self.frame
        for name, gaps in self.gaps.items():
            values = self.pool.rows[name].filter(there(self.pool.rows[name]))
            rng = stream(seed, self.pool.table.name, "impute", name)
            frame = self.put(frame, name, gaps, values[rng.integers(len(values), size=len(gaps))])
        return frame

    def put(self, frame: pl.DataFrame, name: str, rows: Array, values: pl.Series) -> pl.DataFrame:
        """The frame with these values in these rows of a column."""
        return frame.with_columns(frame[name].clone().scatter(rows, values).alias(name))


def there(series: pl.Series) -> pl.Series:
    there = series.is_not_null()
    return there & series.is_not_nan().fill_null(True) if series.dtype.is_float() else there


def gaps_of(frame: pl.DataFrame, table: Table, name: str) -> Array:
    """The rows with no value in a column, but where a rule says that there is none.

    A rule says so by values: where a cell that it looks at is itself missing, that one will be filled, and so both are.
    """
    open_ = ~there(frame[name])
    for rule in parse(table.rules, table):
        if isinstance(rule, Implication) and rule.emptied == name:
            empty = rule.when.evaluate(frame).fill_null(False)
            for column in rule.when.columns:
                empty &= there(frame[column])
            open_ &= ~empty
    return np.flatnonzero(open_.to_numpy())
