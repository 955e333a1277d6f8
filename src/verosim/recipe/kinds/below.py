"""What goes on between a row and the rows below it: what these come to, and a number that is dealt out to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
import polars as pl

from verosim.errors import DataError, SchemaError, did_you_mean
from verosim.recipe.kinds.links import Lookup, linked, parts_of, refs_of
from verosim.recipe.kinds.numbers import Distribution
from verosim.recipe.nouns import Column, Floats, Ints, Kind, Maker

if TYPE_CHECKING:
    from verosim.expressions import Expression
    from verosim.recipe.planning import Scope
    from verosim.recipe.running import Block, Run

SUMS: Final = {"sum": 0, "count": 0, "mean": None, "min": None, "max": None, "first": None, "last": None, "list": None}


@dataclass(frozen=True)
class Children(Kind):
    ABOUT: ClassVar[str] = "what the rows of another table that belong to this row come to: their sum, count, list ..."

    of: str  # table.column; a table alone for `count`, and for `list` all of its columns
    how: str = "sum"
    where: str | None = None  # only rows that meet this condition, over the columns of that table
    through: str | None = None  # the foreign key there, where that table is not `per` this one

    def plan(self, scope: Scope, name: str) -> Maker:
        if self.how not in SUMS:
            raise SchemaError(f"how {self.how!r}: {did_you_mean(self.how, SUMS)}")
        table, _, column = self.of.partition(".")
        other = scope.other(table)
        own = other.planned.parent == scope.table and self.through is None
        link = None if own else self._link(scope, other)
        condition = None if self.where is None else other.condition(self.where)
        value, dtype = self._value(other, column)
        digits = other.planned.columns[column].digits if column in other else None

        def make(block: Block) -> pl.Series:
            return self._summed(
                self._rows(block, table, value, condition, link), self._way(value, digits), dtype, block.n
            )

        return Maker(dtype, make, across=True)

    def _link(self, scope: Scope, other: Scope) -> str:
        refs = [n for n in refs_of(other) if other.planned.columns[n].kind.to.partition(".")[0] == scope.table]  # type: ignore[attr-defined]
        through = self.through or (refs[0] if len(refs) == 1 else None)
        if through is None or through not in refs:
            raise SchemaError(
                f"table {other.table!r} is not `per` {scope.table!r}: say `through` which foreign key; "
                f"{did_you_mean(self.through, refs)}"
            )
        other.maker(through)
        return linked(through)

    def _value(self, other: Scope, column: str) -> tuple[list[str], pl.DataType]:
        """The columns that are summed up, and the type of what they come to."""
        if self.how == "count":
            return [], pl.Int64()
        if not column and self.how == "list":
            names = other.planned.visible
            return names, pl.List(pl.Struct({n: other[n] for n in names}))
        if column not in other:
            raise SchemaError(f"table {other.table!r} has no column {column!r}; {did_you_mean(column, other)}")
        dtype = other[column]
        if self.how in ("sum", "mean") and not dtype.is_numeric():
            raise SchemaError(f"{self.how} is of numbers; {self.of!r} is {dtype}.")
        if self.how == "sum":
            return [column], pl.Int64() if dtype.is_integer() else dtype
        return [column], pl.List(dtype) if self.how == "list" else pl.Float64() if self.how == "mean" else dtype

    def _rows(
        self, block: Block, table: str, value: list[str], condition: Expression | None, link: str | None
    ) -> pl.DataFrame:
        """The rows below, each with the place in this block of the row that it belongs to."""
        if link is None:
            parts = [_rows_below(b, value, condition, b.parents) for b in blocks_below(block, table)]
            return pl.concat(parts) if parts else pl.DataFrame({"\0up": []}, schema={"\0up": pl.Int64})
        every = block.run.once(
            ("children", table, link, *value, self.where),
            lambda: _all_rows(block.run, table, value, condition, link),
        )
        start = int(block.rows[0]) if block.n else 0
        mine = every.filter(pl.col("\0up").is_between(start, start + block.n, closed="left"))
        return mine.with_columns(pl.col("\0up") - start)

    def _way(self, value: list[str], digits: int | None) -> pl.Expr:
        """How values are summed up; a sum of decimals has their decimals, without the noise of adding them."""
        if self.how == "count":
            return pl.len()
        if self.how == "list":
            return pl.col(value[0]) if "." in self.of else pl.struct(value)
        way: pl.Expr = getattr(pl.col(value[0]), self.how)()
        return way.round(digits, mode="half_away_from_zero") if digits and self.how == "sum" else way

    def _summed(self, rows: pl.DataFrame, way: pl.Expr, dtype: pl.DataType, n: int) -> pl.Series:
        sums = rows.group_by("\0up", maintain_order=True).agg(way.alias("out"))
        whole = pl.DataFrame({"\0up": np.arange(n)}).join(sums, on="\0up", how="left", maintain_order="left")["out"]
        if self.how == "list":
            return whole.cast(dtype).fill_null(pl.Series([[]], dtype=dtype)) if n else pl.Series([], dtype=dtype)
        return whole.cast(dtype) if SUMS[self.how] is None else whole.cast(dtype).fill_null(0)


def blocks_below(block: Block, table: str) -> list[Block]:
    """The blocks of a table below that hold the rows which belong to this block's."""
    planned = block.run.plan.tables[table]
    ratio = block.planned.span // planned.span
    numbers = range(block.number * ratio, min((block.number + 1) * ratio, block.run.blocks(table)))
    return [block.run.block(table, number) for number in numbers]


def _rows_below(block: Block, value: list[str], condition: Expression | None, up: Ints) -> pl.DataFrame:
    frame = pl.DataFrame({"\0up": up}).hstack(block.frame(value)) if value else pl.DataFrame({"\0up": up})
    if condition is None:
        return frame
    return frame.filter(block.evaluate(condition, "\0where").fill_null(False))


def _all_rows(run: Run, table: str, value: list[str], condition: Expression | None, link: str) -> pl.DataFrame:
    parts = [_rows_below(b, value, condition, b[link].fill_null(-1).to_numpy()) for b in run.every(table)]
    return pl.concat(parts).sort("\0up", maintain_order=True)


# ------------------------------------------------------------------------------------------------- parts


@dataclass(frozen=True)
class Part(Kind):
    ABOUT: ClassVar[str] = "a part of a number of the parent; those of all its rows come to that number exactly"

    of: str  # table.column
    weight: Column | None = None  # how large the part is beside the others; by default any parts are alike likely

    def plan(self, scope: Scope, name: str) -> Maker:
        other, column = parts_of(self.of, scope)
        if other.table != scope.planned.parent:
            raise SchemaError(
                f"a number of the parent was wanted, not {self.of!r}; the table is `per` {scope.planned.parent}."
            )
        dtype, above = other[column], other.planned.columns[column].digits
        if not (dtype.is_integer() or dtype.is_float()):
            raise SchemaError(f"a number was wanted; {self.of!r} is {dtype}.")
        digits = 0 if dtype.is_integer() else scope.planned.columns[name].digits
        digits = above if digits is None else digits
        if digits is not None and dtype.is_float() and (above is None or digits < above):
            raise SchemaError(f"the parts have {digits} decimals, so {self.of!r} needs `digits: {digits}` or fewer.")
        scope.planned.columns[name] = replace(scope.planned.columns[name], digits=digits)  # which its sums have too
        total, weight = f"\0whole of {name}", f"\0weight of {name}"
        scope.hide(total, Column(Lookup(self.of)), name)
        scope.maker(total)
        scope.hide(weight, self.weight or Column(Distribution("exponential", 1)), name)
        if not scope[weight].is_numeric():
            raise SchemaError(f"`weight` is a number, not {scope[weight]}.")

        def make(block: Block) -> pl.Series:
            whole, shares = block[total], _shares(block[weight], block)
            if digits is None:
                return whole * pl.Series(shares)
            units = (whole.cast(pl.Float64) * 10**digits).round().fill_null(0).to_numpy()
            dealt = _dealt(units, shares, block)
            out = pl.Series(dealt / 10**digits if dtype.is_float() else dealt).cast(dtype)  # polars' own / is not exact
            return pl.select(pl.when(whole.is_not_null()).then(out)).to_series()

        return Maker(dtype, make, across=True)


def _shares(weights: pl.Series, block: Block) -> Floats:
    """The weights (n,) as shares of their sum over the rows of the parent; all alike where they are all 0."""
    values = weights.cast(pl.Float64).fill_null(0.0).to_numpy()
    bad = np.flatnonzero(~(values >= 0) | np.isinf(values))
    if len(bad):
        raise DataError(f"a weight is a number from 0 up, not {values[bad[0]]}.", row=int(bad[0]))
    sums = np.bincount(block.parents, values)[block.parents] if block.n else values
    counts = np.bincount(block.parents)[block.parents] if block.n else values
    return np.divide(values, sums, out=1 / np.maximum(counts, 1), where=sums > 0)


def _dealt(units: Floats, shares: Floats, block: Block) -> Ints:
    """Whole numbers (n,) in about these shares, which come to each parent's units: largest rests first."""
    if not block.n:
        return np.zeros(0, np.int64)
    if np.abs(units).max() > 2**53:
        raise DataError(
            "the number of the parent has too many digits to be dealt out.", row=int(np.argmax(np.abs(units)))
        )
    base = np.floor(units * shares)
    left = (units - np.bincount(block.parents, base)[block.parents]).astype(np.int64)
    rank, count = np.empty(block.n, np.int64), np.bincount(block.parents)[block.parents]
    rank[np.lexsort((base - units * shares, block.parents))] = block.position
    return base.astype(np.int64) + left // count + (rank < left % count)
