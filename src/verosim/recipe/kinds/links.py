"""What ties tables together: foreign keys, lookups, and what a row's children sum up to.

A key is a function of the row number, so a foreign key is that function of a drawn row number: the other table need
not be made, nor be in memory. A lookup of a row drawn at random needs the looked-up column of the other table, whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import polars as pl

from verosim.draws import permutation
from verosim.errors import DataError, SchemaError, did_you_mean
from verosim.providers.packs import taken
from verosim.recipe.nouns import Column, Floats, Ints, Kind, Maker, Number
from verosim.recipe.quantiles import FAMILIES

if TYPE_CHECKING:
    from verosim.expressions import Expression
    from verosim.recipe.planning import Scope
    from verosim.recipe.running import Block, Run

_FANOUTS: Final = ("uniform", "zipf", "weight")


def linked(column: str) -> str:
    """The hidden column that holds which row of the other table a foreign key is of."""
    return f"\0row of {column}"


def _parts(to: str, scope: Scope) -> tuple[Scope, str]:
    """`customers.id`, or `customers` for its key: the scope of the table, and the column."""
    table, _, column = to.partition(".")
    other = scope.other(table)
    if not column:
        return other, other.key()
    if column not in other:
        raise SchemaError(f"table {table!r} has no column {column!r}; {did_you_mean(column, other)}")
    return other, column


# ------------------------------------------------------------------------------------------------- foreign keys


@dataclass(frozen=True)
class Ref(Kind):
    ABOUT: ClassVar[str] = "a foreign key: the parent's, or of a row drawn from any table (of the own: an earlier one)"

    to: str  # table.column, or a table for its key
    fanout: str | dict[str, Number | str] | None = None  # uniform, {zipf: 1.1}, {weight: column of the other table}
    distinct: bool = False  # no row of the other table twice among the rows of one parent
    same: str | None = None  # a foreign key beside it, of whose row this is another column

    def plan(self, scope: Scope, name: str) -> Maker:
        other, column = _parts(self.to, scope)
        unique = scope.planned.columns[name].unique
        if self.same is not None:
            return self._beside(scope, other, column)
        drawn = self.fanout is not None or unique or self.distinct
        if other.table == scope.planned.parent and not drawn:
            return _of_parent(scope, other, column)
        link = Link(other.table, self.fanout or "uniform", self.distinct, unique)
        scope.hide(linked(name), Column(link, hidden=True), name)
        return _of_linked(scope, other, column, linked(name))

    def _beside(self, scope: Scope, other: Scope, column: str) -> Maker:
        same = self.same or ""
        kind = scope.planned.columns[same].kind if same in scope else None
        if not isinstance(kind, Ref):
            raise SchemaError(f"`same: {same}` is no foreign key of this table; {did_you_mean(same, _refs(scope))}")
        if _parts(kind.to, scope)[0] is not other:
            raise SchemaError(f"{same!r} is a row of another table than {other.table!r}.")
        scope.maker(same)
        if linked(same) not in scope.planned.columns:
            return _of_parent(scope, other, column)
        return _of_linked(scope, other, column, linked(same))


def _refs(scope: Scope) -> list[str]:
    return [name for name in scope if isinstance(scope.planned.columns[name].kind, Ref)]


def _of_parent(scope: Scope, other: Scope, column: str) -> Maker:
    maker = other.maker(column)

    return Maker(maker.dtype, lambda block: taken(block.above[column], block.parents), fixed=True)


def _of_linked(scope: Scope, other: Scope, column: str, link: str) -> Maker:
    """The other table's column at the rows that a link holds."""
    scope.maker(link)
    maker = other.maker(column)
    if other is scope and maker.at is None:
        raise SchemaError(f"a row of the own table is known by its key only; {column!r} is of no kind that gives keys.")
    fixed = scope.maker(link).fixed
    capacity = scope.maker(link).capacity

    def make(block: Block) -> pl.Series:
        rows = block[link]
        known = rows.is_not_null()
        if known.all():
            return block.run.values(other.table, column, rows.to_numpy())
        found = block.run.values(other.table, column, rows.fill_null(0).to_numpy())
        return pl.select(pl.when(known).then(found)).to_series()

    return Maker(maker.dtype, make, fixed=fixed, capacity=capacity)


@dataclass(frozen=True)
class Link(Kind):
    """Which row of another table each row is tied to."""

    ABOUT: ClassVar[str] = "row numbers of another table"

    table: str
    fanout: str | dict[str, Number | str]
    distinct: bool
    unique: bool

    def plan(self, scope: Scope, name: str) -> Maker:
        way, setting = self._way()
        own = self.table == scope.table
        if own and (self.unique or self.distinct or way == "weight"):
            raise SchemaError("a row of the own table is an earlier one: neither unique, distinct nor weighted.")
        if (self.unique or self.distinct) and way != "uniform":
            raise SchemaError("`unique` and `distinct` draw all rows alike: leave out `fanout`.")
        if self.distinct and scope.planned.parent is None:
            raise SchemaError("`distinct` is among the rows of one parent: the table has no `per`.")
        if way == "zipf" and not (isinstance(setting, int | float) and 0 <= setting <= 20):
            raise SchemaError(f"zipf takes an exponent from 0 to 20, not {setting!r}.")
        if way == "weight":
            weights = scope.other(self.table)
            if str(setting) not in weights or not weights[str(setting)].is_numeric():
                raise SchemaError(
                    f"weight: table {self.table!r} has no numbers {setting!r}; {did_you_mean(setting, weights)}"
                )

        def make(block: Block) -> pl.Series:
            total = block.run.rows(self.table)
            if block.n and not total:
                raise DataError(
                    f"table {self.table!r} has no rows to point at.", fix="Give it some, or a `missing: 1`."
                )
            if own:
                return self._earlier(block, name, way, setting)
            return pl.Series(self._rows(block, name, total, way, setting))

        capacity = self.table if self.unique else None  # as many as that table has rows
        return Maker(pl.Int64(), make, fixed=self.unique or self.distinct, capacity=capacity)

    def _way(self) -> tuple[str, Any]:
        if isinstance(self.fanout, dict):
            if len(self.fanout) != 1:
                raise SchemaError("fanout: one of uniform, {zipf: 1.1} and {weight: column} was wanted.")
            ((way, setting),) = self.fanout.items()
        else:
            way, setting = self.fanout, 1.0
        if way not in _FANOUTS:
            raise SchemaError(f"no fanout {way!r}; {did_you_mean(way, _FANOUTS)}")
        return way, setting

    def _rows(self, block: Block, name: str, total: int, way: str, setting: Any) -> Ints:
        seed, key = block.run.seed, ("recipe", block.table, name)
        if self.unique:
            return permutation(block.rows, total, seed, *key)
        if self.distinct:
            if block.n and int(block.position.max()) >= total:
                at = int(np.argmax(block.position))
                raise DataError(
                    f"a parent has {block.position.max() + 1} rows here, and table {self.table!r} has only {total}.",
                    row=at, fix="Give `count` a `max`.",
                )  # fmt: skip
            return permutation(block.position, total, seed, *key, salt=block.above.rows[block.parents])
        u = block.uniform(name)
        if way == "zipf":
            ranks = FAMILIES["zipf"].quantile(u, float(setting), float(total)).astype(np.int64) - 1
            return permutation(ranks, total, seed, *key)
        if way == "weight":
            ends = block.run.once(
                ("weights", self.table, setting), lambda: _running_weights(block.run, self.table, setting)
            )
            return np.minimum(np.searchsorted(ends, u * ends[-1], side="right"), total - 1)
        return np.minimum((u * total).astype(np.int64), total - 1)

    def _earlier(self, block: Block, name: str, way: str, setting: Any) -> pl.Series:
        """A row before each; the first has none. zipf: mostly one of the first."""
        u, rows = block.uniform(name), block.rows
        if way == "zipf":  # of a continuous Zipf law on [1, row + 1), by its inverse
            top, s = rows + 1.0, float(setting)
            share = np.log(top) * u if s == 1 else (1 + u * (top ** (1 - s) - 1)) ** (1 / (1 - s))
            drawn = (np.exp(share) if s == 1 else share).astype(np.int64) - 1
        else:
            drawn = (u * rows).astype(np.int64)
        return pl.Series(np.clip(drawn, 0, np.maximum(rows - 1, 0))).set(pl.Series(rows == 0), None)


def _running_weights(run: Run, table: str, column: str) -> Floats:
    weights = run.whole(table, column).cast(pl.Float64).fill_null(0.0).to_numpy()
    bad = np.flatnonzero(~(weights >= 0) | ~np.isfinite(weights))
    if len(bad) or not weights.sum() > 0:
        at = int(bad[0]) if len(bad) else None
        raise DataError("weights are numbers from 0 up, not all 0.", table=table, column=column, row=at)
    return np.cumsum(weights)


# ------------------------------------------------------------------------------------------------- lookups


@dataclass(frozen=True)
class Lookup(Kind):
    ABOUT: ClassVar[str] = "a column of the parent, of its parent and so on, or of the row that a foreign key is of"

    of: str  # table.column
    through: str | None = None  # the foreign key, where several are of that table

    def plan(self, scope: Scope, name: str) -> Maker:
        if "." not in self.of:
            raise SchemaError(f"table.column was wanted, not {self.of!r}.")
        other, column = _parts(self.of, scope)
        above = scope.plan.ancestors(scope.table)
        if self.through is None and other.table in above:
            return self._above(other, column, above.index(other.table) + 1)
        refs = [n for n in _refs(scope) if self._is_of(scope, n, other)]
        through = self.through or (refs[0] if len(refs) == 1 else None)
        if through is None or through not in refs:
            hint = did_you_mean(self.through, refs) if self.through else f"there are {len(refs)}: say `through` which."
            raise SchemaError(f"a foreign key of table {other.table!r} was wanted; {hint}")
        scope.maker(through)
        if linked(through) not in scope.planned.columns:
            return self._above(other, column, 1)
        maker = _of_linked(scope, other, column, linked(through))
        return Maker(maker.dtype, maker.make, fixed=maker.fixed)

    def _is_of(self, scope: Scope, ref: str, other: Scope) -> bool:
        kind = scope.planned.columns[ref].kind
        return isinstance(kind, Ref) and kind.same is None and kind.to.partition(".")[0] == other.table

    def _above(self, other: Scope, column: str, steps: int) -> Maker:
        dtype = other[column]

        def make(block: Block) -> pl.Series:
            at, places = block.above, block.parents
            for _ in range(steps - 1):
                at, places = at.above, at.parents[places]
            return taken(at[column], places)

        return Maker(dtype, make, fixed=True)


@dataclass(frozen=True)
class Position(Kind):
    ABOUT: ClassVar[str] = "the number of the row among those of its parent; without one, in the table"

    start: int = 1

    def plan(self, scope: Scope, name: str) -> Maker:
        child = scope.planned.parent is not None
        return Maker(
            pl.Int64(), lambda block: pl.Series(self.start + (block.position if child else block.rows)), fixed=True
        )


# ------------------------------------------------------------------------------------------------- children

_SUMS: Final = {"sum": 0, "count": 0, "mean": None, "min": None, "max": None, "first": None, "last": None, "list": None}


@dataclass(frozen=True)
class Children(Kind):
    ABOUT: ClassVar[str] = "what the rows of another table that belong to this row come to: their sum, count, list ..."

    of: str  # table.column; a table alone for `count`, and for `list` all of its columns
    how: str = "sum"
    where: str | None = None  # only rows that meet this condition, over the columns of that table
    through: str | None = None  # the foreign key there, where that table is not `per` this one

    def plan(self, scope: Scope, name: str) -> Maker:
        if self.how not in _SUMS:
            raise SchemaError(f"how {self.how!r}: {did_you_mean(self.how, _SUMS)}")
        table, _, column = self.of.partition(".")
        other = scope.other(table)
        own = other.planned.parent == scope.table and self.through is None
        link = None if own else self._link(scope, other)
        condition = None if self.where is None else other.condition(self.where)
        value, dtype = self._value(other, column)
        return Maker(dtype, lambda block: self._make(block, table, value, dtype, condition, link), across=True)

    def _link(self, scope: Scope, other: Scope) -> str:
        refs = [n for n in _refs(other) if other.planned.columns[n].kind.to.partition(".")[0] == scope.table]  # type: ignore[attr-defined]
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

    def _make(
        self,
        block: Block,
        table: str,
        value: list[str],
        dtype: pl.DataType,
        condition: Expression | None,
        link: str | None,
    ) -> pl.Series:
        if link is None:
            parts = [_rows_below(b, value, condition, b.parents) for b in _blocks_below(block, table)]
            rows = pl.concat(parts) if parts else pl.DataFrame({"\0up": []}, schema={"\0up": pl.Int64})
        else:
            every = block.run.once(
                ("children", table, link, *value, self.where),
                lambda: _all_rows(block.run, table, value, condition, link),
            )
            start = int(block.rows[0]) if block.n else 0
            rows = every.filter(pl.col("\0up").is_between(start, start + block.n, closed="left")).with_columns(
                pl.col("\0up") - start
            )
        return self._summed(rows, value, dtype, block.n)

    def _summed(self, rows: pl.DataFrame, value: list[str], dtype: pl.DataType, n: int) -> pl.Series:
        if self.how == "count":
            way = pl.len()
        elif self.how == "list":
            way = pl.col(value[0]) if "." in self.of else pl.struct(value)
        else:
            way = getattr(pl.col(value[0]), self.how)()
        sums = rows.group_by("\0up", maintain_order=True).agg(way.alias("out"))
        whole = pl.DataFrame({"\0up": np.arange(n)}).join(sums, on="\0up", how="left", maintain_order="left")["out"]
        if self.how == "list":
            return whole.cast(dtype).fill_null(pl.Series([[]], dtype=dtype)) if n else pl.Series([], dtype=dtype)
        return whole.cast(dtype) if _SUMS[self.how] is None else whole.cast(dtype).fill_null(0)


def _blocks_below(block: Block, table: str) -> list[Block]:
    """The blocks of a child table that hold the rows below this block's."""
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
