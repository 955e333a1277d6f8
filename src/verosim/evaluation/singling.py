"""Singling out: descriptions learned from synthetic rows, such as "over 87 and a widow", that fit one real person.

A description singles out a record of train if it fits that one and no other real record, seen or unseen. (One that fits
unseen people too tells of no one: Cohen and Nissim, Towards formalizing the GDPR's notion of singling out, 2020, ask
for a negligible weight.) Had the synthetic rows nothing of train in them, the single record that a description fits
would be one of train or one of the hold-out as their sizes have it. So the control is exact for groups of any sizes:
descriptions that single out an unseen record, times train's rows over the hold-out's.

Two kinds, after Giomi et al., 2022. Of one column: a value, and all up to the lowest or from the highest value. Of
several columns: a synthetic row's levels, and its numbers or further out (up to it below the median, from it above),
where no different synthetic row fits. Unlike there, rows and values count once: who is copied twice is at no less risk.

Descriptions are intervals of codes: no text is ever evaluated, and a column may have any name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from verosim.evaluation.columns import Column, Comparison, Levels, Rows
from verosim.evaluation.disclosure import distinct
from verosim.evaluation.trials import Trial, crowding, surprise

ATTEMPTS: Final = 3_000  # at descriptions of several columns
ENOUGH: Final = 4  # descriptions of each synthetic row, at most


@dataclass(frozen=True, slots=True)
class Singled:
    """How many descriptions of one kind were tried, and whom those that fit a single real record single out."""

    tried: int
    records: Rows  # their place among train and, after it, hold-out

    def trial(self, c: Comparison, naive: float | None = None) -> Trial:
        """Raises ZeroDivisionError without descriptions or hold-out rows: ask first."""
        in_train = self.records < len(c.train)
        n, m = len(c.train), len(c.holdout)
        found, others = (len(np.unique(self.records[mask])) for mask in (in_train, ~in_train))
        return Trial(
            successes=int(in_train.sum()),
            attacks=self.tried,
            control_successes=int((~in_train).sum()),
            control_attacks=self.tried,
            chance=surprise(found, n, others, m),
            naive=naive,
            scale=n / m,
            crowding=crowding(self.records),
        )


# --------------------------------------------------------------------------------------------------- of one column


def by_one_column(c: Comparison) -> dict[str, Singled]:
    """What descriptions of each single column single out."""
    return {column.name: _of_column(column, c) for column in c.columns}


def _of_column(column: Column, c: Comparison) -> Singled:
    in_real = np.bincount(column.codes[c.real], minlength=column.size)
    described = np.bincount(column.codes[c.synthetic], minlength=column.size) > 0
    records = np.flatnonzero((described & (in_real == 1))[column.codes[c.real]])
    ends = list(_beyond(column, c))
    beyond = [r for r in ends if len(r) == 1]
    return Singled(int(described.sum()) + len(ends), np.concatenate([records, *beyond]))


def _beyond(column: Column, c: Comparison) -> Iterator[Rows]:
    """The real rows up to the lowest synthetic value, and those from the highest on."""
    if isinstance(column, Levels):
        return
    synthetic, real = column.codes[c.synthetic], column.codes[c.real]
    values = synthetic[synthetic < column.n_values]
    if len(values):
        yield np.flatnonzero(real <= values.min())
        yield np.flatnonzero((real >= values.max()) & (real < column.n_values))


def together(parts: Sequence[Singled]) -> Singled:
    """The descriptions of all parts as one kind."""
    return Singled(sum(p.tried for p in parts), np.concatenate([p.records for p in parts]))


# ----------------------------------------------------------------------------------------------- of several columns

Condition = tuple[int, int, int]  # the number of a column, and the lowest and the highest code that fit


@dataclass(frozen=True, slots=True)
class _Crowd:
    """A set of rows by the codes of their columns: who of them fits?"""

    codes: list[npt.NDArray[np.int32]]

    @classmethod
    def of(cls, columns: Sequence[Column], rows: Rows) -> _Crowd:
        return cls([column.codes[rows] for column in columns])

    def fitting(self, description: Sequence[Condition], rows: Rows | None = None) -> Rows:
        """Those of the rows, or of all, that fit all conditions."""
        for j, low, high in description:
            codes = self.codes[j] if rows is None else self.codes[j][rows]
            fit = np.flatnonzero((codes - low).view(np.uint32) <= high - low)  # below `low` wraps around
            rows = fit if rows is None else rows[fit]
        return rows if rows is not None else np.arange(len(self.codes[0]))

    def single(self, description: Sequence[Condition]) -> int:
        """The only row that fits, or -1."""
        rows = self.fitting(description)
        return int(rows[0]) if len(rows) == 1 else -1


def by_several_columns(c: Comparison, columns: Sequence[Column], rng: np.random.Generator) -> tuple[Singled, float]:
    """What descriptions of several of these columns single out, and the share that guesses single out of train.

    A guess is a description whose conditions come each from another synthetic row.
    """
    synthetic, real = _Crowd.of(columns, distinct(columns, c.synthetic)), _Crowd.of(columns, c.real)
    medians = [_median(column, codes) for column, codes in zip(columns, synthetic.codes, strict=True)]

    def condition(j: int, row: int) -> Condition:
        return _condition(j, columns[j], int(synthetic.codes[j][row]), medians[j])

    tried, records, guessed, n = 0, [], 0, len(synthetic.codes[0])
    for row in rng.integers(n, size=min(ATTEMPTS, ENOUGH * n)):
        whole = [condition(j, row) for j in rng.permutation(len(columns))]
        description = _shortest(whole, synthetic)
        if not description:
            continue
        tried += 1
        records.append(real.single(description))
        guess = [
            condition(j, other)
            for (j, _, _), other in zip(description, rng.integers(n, size=len(description)), strict=True)
        ]
        guessed += 0 <= real.single(guess) < len(c.train)
    return Singled(tried, np.array([r for r in records if r >= 0], np.int64)), guessed / max(tried, 1)


def _shortest(whole: Sequence[Condition], crowd: _Crowd) -> Sequence[Condition]:
    """The first conditions that one row alone fits; none if others fit to the end."""
    rows = None
    for k, condition in enumerate(whole, 1):
        rows = crowd.fitting([condition], rows)
        if len(rows) == 1:
            return whole[:k]
    return []


def _median(column: Column, codes: npt.NDArray[np.int32]) -> float:
    """The code in the middle of the values; of levels, none."""
    if isinstance(column, Levels):
        return np.nan
    values = codes[codes < column.n_values]
    return float(np.median(values)) if len(values) else np.nan


def _condition(j: int, column: Column, code: int, median: float) -> Condition:
    if isinstance(column, Levels) or code >= column.n_values:  # a level, or a mark such as missing
        return j, code, code
    return (j, code, column.n_values - 1) if code > median else (j, 0, code)
