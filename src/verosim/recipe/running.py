"""Rows drawn by plan: a `Run` knows how many rows each table has, a `Block` makes the columns of some of them.

Every draw of a block has a random stream of its own, keyed by table, column, purpose and the block's number. So columns
are made when they are asked for, in any order, once or again, in any process, and are always the same.

The rows of a table with a parent follow their parents, in order. A block of it holds all descendants of `span` rows of
the uppermost table: so all rows of one parent lie in one block, and a block's place is known from counts alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np
import polars as pl

from verosim.draws import scattered, stream
from verosim.errors import ArgumentError, DataError, RuleError
from verosim.expressions import Expression
from verosim.normal import TINY
from verosim.providers.packs import taken
from verosim.recipe.correlation import correlated
from verosim.recipe.nouns import BLOCK, MOST, Floats, Ints, Maker, listed
from verosim.recipe.planning import Plan, counted
from verosim.recipe.sampling import values_of

T = TypeVar("T")
KEPT: Final = 12  # blocks that are kept for others to look at
TRIES: Final = 400  # times that a row is drawn until it holds the rules and has what a share asks of it
FUTILE: Final = 40  # draws after which, if no row of as many does, none is expected to


class Run:
    """A plan with the number of rows and a seed."""

    def __init__(self, plan: Plan, sizes: Mapping[str, int], seed: int) -> None:
        self.plan, self.sizes, self.seed = plan, dict(sizes), seed
        self._blocks: OrderedDict[tuple[str, int], Block] = OrderedDict()
        self._starts: dict[str, list[int]] = {}
        self._known: dict[tuple[Any, ...], Any] = {}
        for name in plan.tables:
            self._check_capacity(name)

    def once(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """What `make` gives, made when first asked for under this key."""
        if key not in self._known:
            self._known[key] = make()
        found: T = self._known[key]
        return found

    def knows(self, key: tuple[Any, ...]) -> bool:
        """Whether `once` was called with this key."""
        return key in self._known

    def _check_capacity(self, name: str) -> None:
        limited = {c: m.capacity for c, m in self.plan.tables[name].makers.items() if m.capacity is not None}
        rows = self.rows(name) if limited else 0
        for column, room in limited.items():
            capacity = self.rows(room) if isinstance(room, str) else room if isinstance(room, int) else room(self)
            if capacity < rows and "\0" not in column:
                raise ArgumentError(
                    f"table {name!r}, column {column!r}: there are {capacity:,} different values, and {rows:,} rows "
                    "are asked. Ask for fewer rows, or widen the pattern, range or pool."
                )

    # --------------------------------------------------------------------------------------------- places

    def rows(self, table: str) -> int:
        """How many rows the table has."""
        if self.plan.tables[table].parent is None:
            return self.sizes[table]
        return self.start(table, self.blocks(table))

    def blocks(self, table: str) -> int:
        """How many blocks; a table without rows has one, without rows."""
        return max(1, -(-self.sizes[self.plan.root(table)] // self.plan.tables[table].span))

    def start(self, table: str, number: int) -> int:
        """How many rows stand before block `number`."""
        if self.plan.tables[table].parent is None:
            return min(number * BLOCK, self.sizes[table])
        starts = self._starts.setdefault(table, [0])
        while len(starts) <= number:
            starts.append(starts[-1] + Block(self, table, len(starts) - 1, placed=False).n)
        return starts[number]

    def block(self, table: str, number: int) -> Block:
        """Block `number`; the last ones asked for are kept."""
        found = self._blocks.get((table, number))
        if found is None:
            found = self._blocks[table, number] = Block(self, table, number)
            if len(self._blocks) > KEPT:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end((table, number))
        return found

    def every(self, table: str) -> Iterator[Block]:
        return (self.block(table, number) for number in range(self.blocks(table)))

    def whole(self, table: str, column: str) -> pl.Series:
        """A column with all of its rows; kept."""
        return self.once(("whole", table, column), lambda: pl.concat([b[column] for b in self.every(table)]))

    def values(self, table: str, column: str, rows: Ints) -> pl.Series:
        """A column's values (n,) at these row numbers: from the numbers alone where that can be."""
        maker = self.plan.tables[table].makers[column]
        return maker.at(self, rows) if maker.at is not None else taken(self.whole(table, column), rows)


class Block:
    """Rows that are drawn together. `block[name]` is a column (n,)."""

    def __init__(
        self, run: Run, table: str, number: int, *, attempt: int = 0, of: Block | None = None, placed: bool = True
    ) -> None:
        self.run, self.table, self.number = run, table, number
        self.attempt, self.of = attempt, of  # of an attempt: the block for which it draws
        self.planned = run.plan.tables[table]
        self._values: dict[str, pl.Series] = {}
        self._shared: dict[tuple[Any, ...], Any] = {}
        parent = self.planned.parent
        if parent is None:
            first, last = (min(i * BLOCK, run.sizes[table]) for i in (number, number + 1))
            self.n, self.root = last - first, np.arange(first, last)
        else:
            self._place(parent)
            first = run.start(table, number) if placed else 0
        self.rows: Ints = first + np.arange(self.n)

    def _place(self, parent: str) -> None:
        """Which rows of the parent's block have rows here, and how many each."""
        span = self.planned.span
        self.above = self.run.block(parent, self.number * span // self.run.plan.tables[parent].span)
        low, high = np.searchsorted(self.above.root, [self.number * span, (self.number + 1) * span])
        counts = self.above.counts(self.table)[low:high]
        self.n = int(counts.sum())
        self.parents: Ints = np.repeat(np.arange(low, high), counts)  # (n,) the place of the parent in its block
        starts = np.cumsum(counts) - counts
        self.position: Ints = np.arange(self.n) - np.repeat(starts, counts)  # (n,) from 0 among the parent's rows
        self.root = self.above.root[self.parents]

    def counts(self, child: str) -> Ints:
        """How many rows each row (n,) has in a table below."""
        values = self[counted(child)]
        counts = values.fill_null(0).cast(pl.Int64).to_numpy()
        if self.n and (counts.min() < 0 or counts.sum() > MOST):
            raise DataError("`count` gives a negative number, or too many rows.", table=child, fix="Correct `count`.")
        return counts

    # --------------------------------------------------------------------------------------------- chance

    def stream(self, column: str, *purpose: str | int) -> np.random.Generator:
        key = (self.number,) if not self.attempt else (self.number, self.attempt)
        return stream(self.run.seed, "recipe", self.table, column, *purpose, *key)

    def uniform(self, column: str, *purpose: str | int) -> Floats:
        """Uniform numbers (n,) inside (0, 1); those of a correlated column go with the others."""
        if not purpose and column in self.planned.correlations:
            block, place = self.planned.correlations[column]
            names = "\0".join(block.columns)
            drawn = self.once(
                ("correlated", names), lambda: correlated(self.stream(names, "correlated"), block.matrix, self.n)
            )
            return np.ascontiguousarray(drawn[:, place])
        return np.maximum(self.stream(column, *purpose).random(self.n), TINY)

    def key_stream(self, column: str, *purpose: str | int) -> np.random.Generator:
        """The stream that all blocks of the table share."""
        return stream(self.run.seed, "recipe", self.table, column, *purpose)

    # --------------------------------------------------------------------------------------------- columns

    def once(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """What `make` gives, made once for this block."""
        if key not in self._shared:
            self._shared[key] = make()
        found: T = self._shared[key]
        return found

    def __getitem__(self, name: str) -> pl.Series:
        if name not in self._values:
            maker = self.planned.makers[name]
            if self.of is not None and maker.fixed:
                self._values[name] = self.of[name]
            elif not self.attempt and name in self.planned.redrawn:
                self._settle()
            else:
                self._values[name] = self._made(name, maker)
        return self._values[name]

    def _made(self, name: str, maker: Maker) -> pl.Series:
        try:
            return maker.make(self)
        except DataError as error:
            if error.column is not None:
                raise
            raise DataError(error.reason, table=self.table, column=name, row=error.row, fix=error.fix) from error

    def frame(self, names: Sequence[str]) -> pl.DataFrame:
        return pl.DataFrame([self[name].alias(name) for name in names])

    def evaluate(self, expression: Expression, column: str, *purpose: str | int) -> pl.Series:
        """An expression over the columns, its random functions drawn for this column."""
        frame = self.frame(expression.columns) if expression.columns else pl.DataFrame({"\0": self.rows})
        for number, draw in enumerate(expression.draws):
            computed = [i for i, constant in enumerate(draw.constants) if constant is None]
            given: list[float | Floats] = [0.0 if c is None else c for c in draw.constants]
            if computed:
                arguments = frame.select(draw.arguments[i].alias(str(i)) for i in computed)
                for i in computed:
                    given[i] = np.broadcast_to(arguments[str(i)].fill_null(np.nan).to_numpy(), self.n)
            key = (*purpose, "draw", number)
            u = self.uniform(column, *key)
            values = values_of(draw.name, given, u, partial(self.stream, column, *key, "shapes"))
            frame = frame.hstack([listed(values, pl.Float64(), draw.column)])
        return expression.evaluate(frame)

    # --------------------------------------------------------------------------------------------- rules

    def _settle(self) -> None:
        """Draw rows until each holds the rules, and meets or not what each share asks of it."""
        names = self.planned.redrawn
        kept: pl.DataFrame | None = None
        todo, why = np.arange(self.n), ""
        for attempt in range(1, TRIES + 1):
            trial = Block(self.run, self.table, self.number, attempt=attempt, of=self)
            frame = trial.frame(names).with_row_index("\0row")
            kept = frame if kept is None else kept.update(frame[todo], on="\0row", include_nulls=True)
            good, why = trial._holds()
            todo = todo[~good[todo]]
            if not len(todo) or (attempt == FUTILE and len(todo) == self.n >= FUTILE):
                break
        if len(todo):
            raise RuleError(
                f"table {self.table!r}: {len(todo):,} of {self.n:,} rows do not hold {why} after {attempt} draws each. "
                "Make it likelier by the columns' own settings, or by a formula."
            )
        assert kept is not None
        self._values.update({name: kept[name] for name in names})

    def _holds(self) -> tuple[np.ndarray, str]:
        """Which rows (n,) are as they should be, and what the others do not hold."""
        good, why = np.ones(self.n, bool), ""
        for rule in self.planned.conditions:
            holds = rule.check(self.frame(rule.columns)).to_numpy()
            why = why if holds.all() else f"the rule `{rule}`"
            good &= holds
        for text, (condition, share) in self.planned.shares.items():
            met = self.evaluate(condition, text).fill_null(False).to_numpy()
            as_asked = met == self._due(text, share)
            why = why if as_asked.all() else f"the share {share} of `{text}`"
            good &= as_asked
        return good, why

    def _due(self, text: str, share: float) -> np.ndarray:
        """Which rows (n,) are of the share: one of each 1 / share rows, so that any number of rows has it."""
        if share in (0.0, 1.0):
            return np.full(self.n, share == 1.0)
        window = np.floor(self.rows * share)
        first = np.ceil(window / share)
        length = np.maximum(np.ceil((window + 1) / share) - first, 1)
        salt = stream(self.run.seed, "recipe", self.table, text, "share").integers(2**62)
        place = (scattered(scattered(window.astype(np.int64)) ^ np.uint64(salt)) >> np.uint64(11)).astype(float) / 2**53
        return np.asarray(self.rows == first + np.floor(place * length))

    def check_late(self) -> None:
        """Raise RuleError where a rule of columns that depend on other rows is broken."""
        for rule in self.planned.late:
            broken = int((~rule.check(self.frame(rule.columns))).sum())
            if broken:
                raise RuleError(
                    f"table {self.table!r}: {broken:,} of {self.n:,} rows break `{rule}`. It is of a column that "
                    "depends on other rows, so they cannot be drawn again: change how the column is made."
                )
