"""Columns that sum up the rows which name a row: the total of an order is the sum of its lines.

A total is held from below. An order is drawn with one, its lines are drawn given it, and what they come to then stands
in its place. Such a rule is written `total = sum(lines.price * lines.amount)`, or found where it holds in the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.errors import DataError, SchemaError, VerosimError, did_you_mean
from verosim.expressions import kind_of
from verosim.keys import Ints, parent_rows
from verosim.models import Floats
from verosim.relational.graph import Frames, name_of, resolved
from verosim.relational.signals import as_numbers
from verosim.rules import Aggregate, FixedSum, Rule, aggregates, parse
from verosim.schema import ForeignKey, Schema, Table, parse_dtype

SEVERAL: Final = 20  # parents with two children or more by which a total is believed
REPEATED: Final = 0.55  # share of the children that have their parent's value, from which they are thought to repeat it
COLUMNS: Final = 20  # columns of a table that are looked at, at most
_NUMBERS: Final = ("integer", "decimal", "float")
_TIMES: Final = ("date", "datetime")


def with_totals(dataset: Frames, schema: Schema, names: Iterable[str]) -> Schema:
    """The schema with the rules about totals that hold in these data, for the tables of these names."""
    try:
        whole, wanted = resolved(schema, dataset), {*names}
    except VerosimError:
        return schema  # said where the keys are settled
    for child, table in whole.items():
        for key in table.foreign_keys:
            if key.parent in wanted and key.parent != child and not whole[key.parent].keep:
                found = tuple(rule.spec() for rule in _found(dataset, whole, child, key))
                parent = schema[key.parent]
                schema = schema.with_table(replace(parent, rules=(*parent.rules, *found)))
                whole = whole.with_table(replace(whole[key.parent], rules=(*whole[key.parent].rules, *found)))
    return schema


def totals_of(table: Table, schema: Schema) -> dict[Aggregate, str]:
    """The rules about totals of a table, and the name of the key by which the rows come that each sums up.

    Raises SchemaError for one of tables, columns or keys that there are not.
    """
    out = dict[Aggregate, str]()
    for rule in aggregates(table):
        where = f"table {table.name!r}, rule `{rule}`"
        if rule.table not in schema:
            raise SchemaError(f"{where}: there is no table {rule.table!r}; {did_you_mean(rule.table, schema)}")
        child = schema[rule.table]
        for name in rule.of:
            if name not in child.names:
                raise SchemaError(f"{where}: no column {name!r} in {child.name!r}; {did_you_mean(name, child.names)}")
        keys = [key for key in child.foreign_keys if key.parent == table.name and child.name != table.name]
        if len(keys) != 1:
            raise SchemaError(f"{where}: {child.name!r} must name {table.name!r} by one key, not by {len(keys)}.")
        out[rule] = name_of(child.name, keys[0])
    return out


def check_totals(rule: Aggregate, frame: pl.DataFrame, children: pl.DataFrame, rows: Ints, table: str) -> None:
    """Raise DataError where the real rows break a rule about totals."""
    wrong = ~_agrees(frame[rule.column], Sums(rule, frame.height).add(children, rows))
    wrong &= np.bincount(rows[rows >= 0], minlength=frame.height) > 0
    if wrong.any():
        raise DataError(
            f"{int(wrong.sum()):,} of {frame.height:,} rows break the rule `{rule}`; the first is this one.",
            table=table, column=rule.column, row=int(wrong.argmax()), fix="Correct the rule, or leave it out.",
        )  # fmt: skip


class Sums:
    """What the children of each of n parents come to, added up block by block."""

    def __init__(self, rule: Aggregate, n: int) -> None:
        self.how, self.of = rule.how, rule.of
        self.rows = np.zeros(n, np.int64)  # children of each parent, but for those that say nothing
        self.values = np.full(n, {"min": np.inf, "max": -np.inf}.get(rule.how, 0.0))

    def add(self, children: pl.DataFrame, rows: Ints) -> Sums:
        """children: of the rule's columns at least; rows: (n,) the parent of each, below 0 for none."""
        own, n = _product(children, self.of, len(rows)), len(self.rows)
        there = (rows >= 0) & np.isfinite(own)
        own, at = own[there], rows[there]
        self.rows += np.bincount(at, minlength=n)
        if self.how in ("min", "max"):
            (np.minimum if self.how == "min" else np.maximum).at(self.values, at, own)
        else:
            self.values += np.bincount(at, own, minlength=n)
        return self

    @property
    def found(self) -> Floats:
        """(n,) NaN for parents without children."""
        values = self.rows.astype(float) if self.how == "count" else self.values
        values = values / np.maximum(self.rows, 1) if self.how == "mean" else values
        return np.where(self.rows > 0, values, np.nan)


def put(frame: pl.DataFrame, rule: Aggregate, sums: Sums, table: Table) -> pl.DataFrame:
    """The frame with the totals in their column, and in the sums of the row that it is a part of.

    Of rows without children a count is 0 and a total stays as it was drawn.
    """
    column, found = table[rule.column], sums.found
    old = frame[column.name]
    found = np.where(np.isnan(found), 0.0, found) if rule.how == "count" else found
    values = pl.Series(column.name, np.nan_to_num(found))
    dtype = parse_dtype(column.dtype, column.levels)
    if dtype.is_float():
        values = values.round(column.digits) if column.digits is not None else values
    elif dtype.is_decimal():
        values = values.round(getattr(dtype, "scale", 0))
    else:
        values = values.round().cast(pl.Int64).cast(old.to_physical().dtype)
    new = values.cast(dtype).zip_with(pl.Series(~np.isnan(found)), old)
    frame = frame.with_columns(new)
    for other in _alone(table):
        if isinstance(other, FixedSum) and column.name in (*other.plus, *other.minus):
            types = {name: frame.schema[name] for name in other.columns}
            total = other.sum(types, {kind_of(t) for t in types.values()})
            frame = frame.with_columns(total.cast(frame.schema[other.total]).alias(other.total))
    return frame


# ------------------------------------------------------------------------------------------------- found in data


def _found(dataset: Frames, schema: Schema, child: str, key: ForeignKey) -> Iterator[Aggregate]:
    parent, frame = schema[key.parent], dataset[key.parent]
    try:
        rows = parent_rows(dataset[child], frame, key, child)
    except VerosimError:
        return  # said where the keys are settled
    counts = np.bincount(rows[rows >= 0], minlength=frame.height)
    several = counts >= 2
    if several.sum() < SEVERAL:
        return
    keys = {n for k in parent.foreign_keys for n in k.columns} | {*parent.primary_key}
    taken, ways = keys | _ruled(parent), list(_ways(dataset[child], schema[child]))
    for column in [c for c in parent.columns if c.name not in taken][:COLUMNS]:
        kind = kind_of(frame.schema[column.name])
        for how, of, same in ways:
            if kind not in same or frame[column.name].n_unique() < 3:
                continue
            rule = Aggregate(column=column.name, how=how, table=child, of=of)
            if _holds(rule, frame[column.name], dataset[child], rows, several) and _telling(
                rule, frame, dataset[child], rows
            ):
                yield replace(rule, reason=f"so in all {int((counts > 0).sum()):,} rows that have any")
                break


def _ways(frame: pl.DataFrame, table: Table) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """How rows may be summed up, of which columns, and of what kind the total is."""
    keys = {n for key in table.foreign_keys for n in key.columns} | {*table.primary_key}
    kinds = {c.name: kind_of(frame.schema[c.name]) for c in table.columns if c.name not in keys}
    numbers = [n for n, kind in kinds.items() if kind in _NUMBERS][:COLUMNS]
    yield "count", (), ("integer",)
    yield from (("sum", (name,), _NUMBERS) for name in numbers)
    yield from (("sum", pair, _NUMBERS) for pair in combinations(numbers, 2))
    for name, kind in kinds.items():
        for how in ("min", "max", "mean"):
            if kind in _NUMBERS or (kind in _TIMES and how != "mean"):
                yield how, (name,), _NUMBERS if kind in _NUMBERS else (kind,)


def _ruled(table: Table) -> set[str]:
    """Columns of which rules say more than that they are a part of a sum."""
    rules = _alone(table)
    parts = {n for rule in rules if isinstance(rule, FixedSum) for n in (*rule.plus, *rule.minus)}
    return {n for rule in rules for n in rule.columns if not (isinstance(rule, FixedSum) and n in parts)}


def _alone(table: Table) -> list[Rule]:
    """The rules of a table that name its own columns only."""
    out = list[Rule]()
    for spec in table.rules:
        with suppress(SchemaError):
            out += parse([spec], table)
    return out


def _holds(rule: Aggregate, column: pl.Series, children: pl.DataFrame, rows: Ints, several: np.ndarray) -> bool:
    """Whether all parents with children have the total; some with several are looked at first."""
    some = np.flatnonzero(several)[:SEVERAL]
    mine = np.isin(rows, some)
    n = len(column)
    if not _agrees(column, Sums(rule, n).add(children.filter(pl.Series(mine)), rows[mine]))[some].all():
        return False
    sums = Sums(rule, n).add(children, rows)
    return bool(_agrees(column, sums)[sums.rows > 0].all())


def _telling(rule: Aggregate, frame: pl.DataFrame, children: pl.DataFrame, rows: Ints) -> bool:
    """Whether it says more than that the children repeat their parent's value, all of them or most."""
    if rule.how in ("count", "sum"):
        return True
    low, high = (Sums(replace(rule, how=how), frame.height).add(children, rows).found for how in ("min", "max"))
    mine = np.flatnonzero((rows >= 0) & (low < high)[np.maximum(rows, 0)])
    same = as_numbers(children[rule.of[0]])[mine] == as_numbers(frame[rule.column])[rows[mine]]
    return int((low < high).sum()) >= SEVERAL and bool(same.mean() <= REPEATED)


def _agrees(column: pl.Series, sums: Sums) -> npt.NDArray[np.bool_]:
    """(n,) whether each value is the total, to the rounding of its type; a missing one is not."""
    found, real = np.nan_to_num(sums.found), as_numbers(column)
    whole = column.dtype.is_integer()
    step = 0.0 if sums.how != "mean" else 0.5 if whole else min(5e-3, 0.01 * float(np.nanstd(real)))  # as rounded
    size = np.maximum(np.abs(found), np.abs(np.nan_to_num(real)))
    return np.abs(real - found) <= 1e-9 * size + 1e-6 * (not whole) + step


def _product(children: pl.DataFrame, names: Sequence[str], n: int) -> Floats:
    """(n,) the product of the columns; NaN where one is missing; 1 for none."""
    out = np.ones(n)
    for name in names:
        out = out * as_numbers(children[name])
    return out
