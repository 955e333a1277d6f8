"""Rows of the kinds that a call asks for: `KindsOfRows`.

Where a kind is common, rows are drawn from the engine until they are of it. Where it is rare that would take long: then
a chain learns rows given their kind, and draws them so; the few that are of another kind are drawn again.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from verosim.control.pool import LEARNED, Pool, label_column
from verosim.control.strata import Agrees, Strata
from verosim.draws import BLOCK
from verosim.models import Array
from verosim.schema import Table
from verosim.table_model import Given, TableModel

CHEAP: Final = 3.0  # rows drawn for one that is kept, up to which nothing is learned


class KindsOfRows:
    """Where rows of given strata come from: which model draws each block, and given what."""

    def __init__(self, pool: Pool, strata: Strata) -> None:
        self.pool, self.strata = pool, strata
        self.column = label_column(pool.table)
        self.wish = Agrees(strata, self.column.name)
        self.labels = pl.DataFrame({self.column.name: strata.assigned()})

    @cached_property
    def first(self) -> float:
        """The block from which on rows are drawn from what was learned: before it, as many cost no more than a pool.

        By number of block, not of rows asked: so fewer rows are the head of more.
        """
        wanted = self.strata.shares > 0
        _, _, shares = self._found
        cost = float((self.strata.shares[wanted] / shares[wanted]).sum())
        return np.inf if cost <= CHEAP else self.pool.rows.height / cost // BLOCK

    def model(self, number: int, temperature: float) -> TableModel:
        """The model that draws block `number`, its rows given `labels`."""
        model = self.pool.model if number < self.first else self.learned
        return model.directed(self.wish, temperature=temperature)

    @cached_property
    def _found(self) -> tuple[pl.DataFrame, Array, Array]:
        wanted = np.flatnonzero(self.strata.shares > 0)
        place = np.full(len(self.strata.shares) + 1, -1)
        place[wanted] = np.arange(len(wanted))
        frame, kinds, found = self.pool.of_each(
            lambda frame: place[self.strata.split(frame)],
            [self.strata.names[i] for i in wanted],
            self.strata.shares[wanted],
        )
        shares = np.zeros(len(self.strata.shares))
        shares[wanted] = found
        return frame, np.append(wanted, -1)[kinds], shares

    @cached_property
    def learned(self) -> TableModel:
        """Rows given their stratum, of each as many as it has, or its part of those that are learned."""
        frame, kinds, _ = self._found
        wanted = np.flatnonzero(self.strata.shares > 0)
        rows = []
        for kind in wanted.tolist():
            mine = np.flatnonzero(kinds == kind)
            rows.append(mine[self.pool.some(frame[mine], LEARNED // len(wanted), self.strata.text, str(kind))])
        chosen = np.sort(np.concatenate(rows))
        given = Given(pl.DataFrame({self.column.name: kinds[chosen]}), Table("kinds", (self.column,)))
        return self.pool.learn(frame[chosen], given, self.strata.text)
