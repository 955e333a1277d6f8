"""What ties tables together: foreign keys, and lookups of what they point at.

A key is a function of the row number, so a foreign key is that function of a drawn row number: the other table need
not be made, nor be in memory. A lookup of a row drawn at random needs the looked-up column of the other table, whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import polars as pl

from verosim.draws import permutation, scattered
from verosim.errors import DataError, SchemaError, did_you_mean
from verosim.providers.packs import taken
from verosim.recipe.nouns import Column, Floats, Ints, Kind, Maker, Number
from verosim.recipe.quantiles import FAMILIES

if TYPE_CHECKING:
    from verosim.recipe.planning import Scope
    from verosim.recipe.running import Block, Run

_FANOUTS: Final = ("uniform", "zipf", "weight")


def linked(column: str) -> str:
    """The hidden column that holds which row of the other table a foreign key is of."""
    return f"\0row of {column}"


def parts_of(to: str, scope: Scope) -> tuple[Scope, str]:
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
        other, column = parts_of(self.to, scope)
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
            raise SchemaError(f"`same: {same}` is no foreign key of this table; {did_you_mean(same, refs_of(scope))}")
        if parts_of(kind.to, scope)[0] is not other:
            raise SchemaError(f"{same!r} is a row of another table than {other.table!r}.")
        scope.maker(same)
        if linked(same) not in scope.planned.columns:
            return _of_parent(scope, other, column)
        return _of_linked(scope, other, column, linked(same))


def refs_of(scope: Scope) -> list[str]:
    """The foreign keys of a table."""
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
        if self.unique and way != "uniform":
            raise SchemaError("`unique` gives each row once at most, so all alike: leave out `fanout`.")
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
            _check_room(block, self.table, total)
        if self.distinct and way == "uniform":
            return permutation(block.position, total, seed, *key, salt=block.above.rows[block.parents])
        if way == "zipf":
            s = float(setting)
            ranks = self._drawn(
                block, name, lambda u: FAMILIES["zipf"].quantile(u, s, float(total)).astype(np.int64) - 1,
                lambda: np.arange(1.0, total + 1) ** -s,
            )  # fmt: skip
            return permutation(ranks, total, seed, *key)
        if way == "weight":
            ends = block.run.once(
                ("weights", self.table, setting), lambda: _running_weights(block.run, self.table, setting)
            )
            return self._drawn(
                block, name, lambda u: np.minimum(np.searchsorted(ends, u * ends[-1], side="right"), total - 1),
                lambda: np.diff(ends, prepend=0.0),
            )  # fmt: skip
        return np.minimum((block.uniform(name) * total).astype(np.int64), total - 1)

    def _drawn(self, block: Block, name: str, draw: Callable[[Floats], Ints], weights: Callable[[], Floats]) -> Ints:
        """Places (n,) by weight; of `distinct` ones, none twice for one parent.

        A place that a parent has already is passed over, as if drawn one by one; where that does not end soon, the
        rest go by which of exponential clocks ring first, which is the same (Efraimidis and Spirakis, 2006).
        """
        places = draw(block.uniform(name))
        if not self.distinct:
            return places
        for attempt in range(ROUNDS):
            again = _repeated(block.parents, places)
            if not len(again):
                return places
            places[again] = draw(block.uniform(name, "again", attempt))[again]
        every = weights()
        _check_room(block, self.table, int((every > 0).sum()))
        salt = int(block.key_stream(name, "clocks").integers(2**62))
        again = _repeated(block.parents, places)
        for parent in np.unique(block.parents[again]):
            rows = np.arange(*np.searchsorted(block.parents, [parent, parent + 1]))
            mine = np.intersect1d(rows, again)
            left = every.copy()
            left[places[np.setdiff1d(rows, mine)]] = 0.0
            places[mine] = _first_to_ring(left, len(mine), salt ^ int(block.above.rows[parent]))
        return places

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


ROUNDS: Final = 24  # in which what stands twice is drawn again


def _check_room(block: Block, table: str, total: int) -> None:
    if block.n and int(block.position.max()) >= total:
        raise DataError(
            f"a parent has {block.position.max() + 1} rows here, and table {table!r} has only {total} for it.",
            row=int(np.argmax(block.position)), fix="Give `count` a `max`.",
        )  # fmt: skip


def _repeated(parents: Ints, places: Ints) -> Ints:
    """The rows whose place an earlier row of the same parent has."""
    order = np.lexsort((places, parents))
    same = (np.diff(parents[order]) == 0) & (np.diff(places[order]) == 0)
    return np.sort(order[1:][same])


def _first_to_ring(rates: Floats, n: int, key: int) -> Ints:
    """Of exponential clocks, which n ring first; the key alone decides, so it is the same wherever a row stands."""
    u = (scattered(scattered(np.arange(len(rates))) ^ scattered(np.array([key]))) >> np.uint64(11)) / 2**53
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.argsort(np.where(rates > 0, -np.log1p(-u) / rates, np.inf), kind="stable")[:n]


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
        other, column = parts_of(self.of, scope)
        above = scope.plan.ancestors(scope.table)
        if self.through is None and other.table in above:
            return self._above(other, column, above.index(other.table) + 1)
        refs = [n for n in refs_of(scope) if self._is_of(scope, n, other)]
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
        maker = other.maker(column)

        def make(block: Block) -> pl.Series:
            at, places = block.above, block.parents
            for _ in range(steps - 1):
                at, places = at.above, at.parents[places]
            return taken(at[column], places)

        return Maker(maker.dtype, make, fixed=True, across=maker.across)


@dataclass(frozen=True)
class Position(Kind):
    ABOUT: ClassVar[str] = "the number of the row among those of its parent; without one, in the table"

    start: int = 1

    def plan(self, scope: Scope, name: str) -> Maker:
        child = scope.planned.parent is not None
        return Maker(
            pl.Int64(), lambda block: pl.Series(self.start + (block.position if child else block.rows)), fixed=True
        )
