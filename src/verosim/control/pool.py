"""What a fitted model knows, as rows that it drew itself: from them is learned what it was not fitted to tell.

The real rows are gone when a model is fitted, and an engine draws its columns in one order only. So p(these columns |
those), or p(row | kind of row), is learned when first asked for, by a chain, from rows of the model's own: one way for
every engine, and nothing is looked up in real data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from verosim.draws import BLOCK, stream
from verosim.errors import RuleError
from verosim.models import Array, Floats, silent
from verosim.schema import Column, Table
from verosim.table_model import Given, Options, TableModel, rules_of

ROWS: Final = 8 * BLOCK  # drawn at first, and as many as show which kinds of rows there are ...
CELLS: Final = 2**23  # ... but no more cells than these
FURTHER: Final = 16  # times as many are drawn where a kind of rows is rare
ENOUGH: Final = 3_000  # rows of the kind most asked for: no more are looked for
FEW: Final = 200  # rows of any kind
FEWEST: Final = 20  # rows of a kind: from fewer nothing can be learned
LEARNED: Final = 12_000  # rows that a chain learns from
OPTIONS: Final = Options("chain", {"min_leaf": 10}, k=1)  # drawn rows are nobody's: there is no more to protect


class Rows:
    """Drawn rows of a table, and what is learned from them."""

    def __init__(self, table: Table, draw: Callable[[], pl.DataFrame], seed: int) -> None:
        self.table, self.seed, self._draw = table, seed, draw

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The rows, which are kept."""
        return self._draw()

    def learn(self, frame: pl.DataFrame, given: Given, *key: str, table: Table | None = None) -> TableModel:
        """A table's rows given others, learned from drawn rows. key: says what for."""
        seed = derived(self.seed, *key)
        return TableModel.fit(frame, table or self.table, OPTIONS, seed, frame.height, silent, given)

    def learn_column(self, frame: pl.DataFrame, name: str, *key: str) -> TableModel:
        """One column given all others, learned from some of these drawn rows; of the rules it holds those about it."""
        rows = frame[self.some(frame, LEARNED, *key)]
        others = [n for n in self.table.names if n != name]
        rules = tuple(rule.spec() for rule in rules_of(self.table) if name in rule.columns)
        given = Given(rows.select(others), part_of(self.table, others))
        return self.learn(rows, given, *key, table=replace(self.table, rules=rules, primary_key=()))

    def some(self, frame: pl.DataFrame, most: int, *key: str) -> Array:
        """The places of at most so many rows, ascending."""
        if frame.height <= most:
            return np.arange(frame.height)
        return np.sort(stream(self.seed, "some", *key).choice(frame.height, most, replace=False))


class Pool(Rows):
    """Rows drawn from a model, by streams of their own. model: fitted; seed: that of its fit."""

    def __init__(self, model: TableModel, seed: int) -> None:
        super().__init__(_pinned(model), self._first, derived(seed, "pool"))
        self.model = model
        self.n_blocks = max(1, min(ROWS, CELLS // max(1, len(self.table.columns))) // BLOCK)

    def _first(self) -> pl.DataFrame:
        return pl.concat([self.model.block(number, self.seed) for number in range(self.n_blocks)])

    def of_each(
        self, split: Callable[[pl.DataFrame], Array], names: Sequence[str], wanted: Floats
    ) -> tuple[pl.DataFrame, Array, Floats]:
        """Rows with enough of each kind to learn from, the kind of each, and the share that each kind has of all rows.

        split: (n,) the kind of each row, -1 for none. names: of the kinds, for messages. wanted: how often each will be
        drawn. Only rows of rare kinds are added to the first ones. Raises RuleError for a kind that is too rare.
        """
        kinds = split(self.rows)
        frames, labels, looked = [self.rows], [kinds], self.rows.height
        counts = np.bincount(kinds[kinds >= 0], minlength=len(names))
        enough = np.maximum(min(ENOUGH, LEARNED // len(names)) * wanted / wanted.max(), FEW)
        shares, rare = counts / looked, counts < enough
        self._refuse(counts == 0, counts, names, looked)
        for number in range(self.n_blocks, self.n_blocks * FURTHER):
            if (counts >= enough).all():
                break
            block = self.model.block(number, self.seed)
            kinds, looked = split(block), looked + block.height
            mine = np.flatnonzero((kinds >= 0) & rare[kinds])
            frames.append(block[mine])
            labels.append(kinds[mine])
            counts = counts + np.bincount(kinds[mine], minlength=len(names))
            shares = np.where(rare, counts / looked, shares)
        self._refuse(counts < FEWEST, counts, names, looked)
        return pl.concat(frames), np.concatenate(labels), shares

    def _refuse(self, lacking: Array, counts: Array, names: Sequence[str], looked: int) -> None:
        if lacking.any():
            kind = int(np.flatnonzero(lacking)[0])
            said = f"{counts[kind]} in {looked:,}" if counts[kind] else f"fewer than 1 in {looked:,}"
            raise RuleError(
                f"table {self.table.name!r}: {said} of the rows that the model draws are `{names[kind]}`: too few to "
                "learn from. Ask for less at once, or for a wider range."
            )


def derived(seed: int, *key: str | int) -> int:
    """Another seed, of its own for each key."""
    return int(stream(seed, "derived", *key).integers(2**62))


def part_of(table: Table, names: Sequence[str]) -> Table:
    """The table of these columns only."""
    columns = tuple(c for c in table.columns if c.name in names)
    return Table(table.name, columns)


def label_column(table: Table) -> Column:
    """A column for the kinds of rows, beside those of a table."""
    name = "kind of row"
    while name in table.names:
        name += "'"
    return Column(name, "category", "int64")


def _pinned(model: TableModel) -> Table:
    """The model's table with the patterns of its ids, which drawn ids may not show."""
    patterns = model.codec.patterns
    return replace(
        model.table, columns=tuple(replace(c, pattern=patterns.get(c.name, c.pattern)) for c in model.table.columns)
    )
