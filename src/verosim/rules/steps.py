"""The steps of a reduction: each takes columns out of a frame, puts others in their place, and can undo it.

A step computes what it restores from columns that are there, or that other steps have restored before, so each column
gets its value once. Whatever the new columns hold, the restored ones hold the rule. Steps are data: flat fields that
JSON holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any, ClassVar, Final, Protocol

import numpy as np
import polars as pl

from verosim import expressions
from verosim.expressions import kind_of
from verosim.rules.difference import MEASURES, Difference, digits_of, fresh, from_exact, rounded
from verosim.rules.kinds import FixedSum, decode, encode
from verosim.rules.parsing import types_of
from verosim.schema import Column, Table


class Step(Protocol):
    """table: the original one, of which the step takes columns out."""

    KIND: ClassVar[str]

    @property
    def removes(self) -> tuple[str, ...]: ...
    @property
    def needs(self) -> tuple[str, ...]:
        """Columns of the original frame that `restore` reads: they must be there, or restored before."""

    def columns(self, table: Table) -> list[Column]:
        """What the new columns mean."""

    def reduce(self, frame: pl.DataFrame, table: Table) -> pl.DataFrame:
        """The new columns, from the original ones."""

    def restore(self, frame: pl.DataFrame, table: Table) -> pl.DataFrame:
        """The removed columns, from a frame that has the new and the needed ones."""


# ------------------------------------------------------------------------------------------------- sums


@dataclass(frozen=True, slots=True)
class Total:
    """`total` = plus - minus: left out, and computed again. Where a part is missing it is kept in an extra column."""

    KIND: ClassVar[str] = "total"

    total: str
    plus: tuple[str, ...]
    minus: tuple[str, ...]
    rest: str = ""  # an extra column: the total where a part is missing
    missing: str = ""  # an extra column: whether the total is missing where its parts are not
    digits: int | None = None  # floats: most decimals of all columns

    @classmethod
    def make(cls, frame: pl.DataFrame, table: Table, rule: FixedSum) -> Total | None:
        """None where sums of values that stand in the data may be too large for the total's type."""
        if any(table[c].kind != "number" for c in rule.columns) or not cls._fits(frame, rule):
            return None
        taken = {*table.names, *frame.columns}
        digits = [digits_of(table[c], frame[c]) for c in rule.columns]
        step = cls(
            rule.total, rule.plus, rule.minus, digits=max(d or 0 for d in digits) if None not in digits else None
        )
        total, no_sum = frame[rule.total], frame.select(step._sum(table).is_null().alias("null"))["null"]
        if (no_sum & total.is_not_null()).any():
            step = replace(step, rest=fresh(f"{rule.total} alone", taken))
        lost = ~no_sum & total.is_null()
        if total.dtype.is_float() and (~no_sum & ~total.is_finite().fill_null(True)).any():
            return None  # NaN or infinite beside a plain sum
        return replace(step, missing=fresh(f"{rule.total} missing", taken)) if lost.any() else step

    @staticmethod
    def _fits(frame: pl.DataFrame, rule: FixedSum) -> bool:
        dtype = frame.schema[rule.total]
        if dtype.is_float():
            return True
        if any(frame.schema[c].is_float() for c in rule.columns):
            return False
        edges = frame.select(pl.col(c).min().alias(f"min {c}") for c in rule.columns)
        edges = edges.hstack(frame.select(pl.col(c).max().alias(f"max {c}") for c in rule.columns))
        ends = [[edges[f"{end} {c}"].item() or 0 for c in rule.plus] for end in ("min", "max")]
        less = [[edges[f"{end} {c}"].item() or 0 for c in rule.minus] for end in ("max", "min")]
        low, high = (sum(plus) - sum(minus) for plus, minus in zip(ends, less, strict=True))
        if isinstance(dtype, pl.Decimal):
            finer = any(getattr(frame.schema[c], "scale", 0) > dtype.scale for c in rule.columns)
            return not finer and max(abs(low), abs(high)) < Decimal(10) ** (int(dtype.precision or 38) - dtype.scale)
        if any(isinstance(frame.schema[c], pl.Decimal) for c in rule.columns):
            return False
        least, most = pl.select(dtype.min().alias("min"), dtype.max().alias("max")).row(0)  # type: ignore[attr-defined]
        return bool(least <= low and high <= most)

    @property
    def removes(self) -> tuple[str, ...]:
        return (self.total,)

    @property
    def needs(self) -> tuple[str, ...]:
        return (*self.plus, *self.minus)

    def _sum(self, table: Table) -> pl.Expr:
        types = types_of(table)
        kinds = {kind_of(types[c]) for c in (self.total, *self.needs)}
        return FixedSum(self.total, self.plus, self.minus).sum(types, kinds)

    def columns(self, table: Table) -> list[Column]:
        out = [replace(table[self.total], name=self.rest, unique=False)] if self.rest else []
        reason = f"whether {self.total} is missing where its parts are not"
        return [*out, Column(self.missing, "boolean", "bool", reason=reason)] if self.missing else out

    def reduce(self, frame: pl.DataFrame, table: Table) -> pl.DataFrame:
        total, no_sum = pl.col(self.total), self._sum(table).is_null()
        new = [pl.when(no_sum).then(total).alias(self.rest)] if self.rest else []
        new += [(~no_sum & total.is_null()).alias(self.missing)] if self.missing else []
        return frame.select(new)

    def restore(self, frame: pl.DataFrame, table: Table) -> pl.DataFrame:
        dtype, value = types_of(table)[self.total], self._sum(table)
        rest = pl.col(self.rest) if self.rest else pl.lit(None, dtype=dtype)
        whole = rounded(value, self.digits) if dtype.is_float() and self.digits is not None else value
        out = pl.when(value.is_null()).then(rest).otherwise(whole.cast(dtype, strict=False))
        kept = pl.when(~pl.col(self.missing)).then(out) if self.missing else out
        return frame.select(kept.alias(self.total))


# ------------------------------------------------------------------------------------------------- increments


@dataclass(frozen=True, slots=True)
class Multiple:
    """A float or decimal that is a multiple of `step`: in its place, which multiple."""

    KIND: ClassVar[str] = "multiple"

    column: str
    step: float
    name: str

    @classmethod
    def make(cls, frame: pl.DataFrame, table: Table, column: str, step: float) -> Multiple | None:
        values = frame[column]
        if table[column].kind != "number" or (values.dtype.is_float() and not values.is_finite().fill_null(True).all()):
            return None
        size = values.cast(pl.Float64).abs().max()
        small = size is None or float(size) / step < 2**53  # type: ignore[arg-type]
        return cls(column, step, fresh(f"{column} / {step}", {*table.names, *frame.columns})) if small else None

    @property
    def removes(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def needs(self) -> tuple[str, ...]:
        return ()

    def columns(self, table: Table) -> list[Column]:
        old, step = table[self.column], Decimal(str(self.step))
        low, high = (None if b is None else Decimal(str(b)) / step for b in (old.minimum, old.maximum))
        reason = f"{self.column} in steps of {self.step}"
        low_step, high_step = None if low is None else -int(-low // 1), None if high is None else int(high // 1)
        return [
            Column(
                self.name, "number", "int64", low_step, high_step, unique=old.unique, protect=old.protect, reason=reason
            )
        ]

    def reduce(self, frame: pl.DataFrame, table: Table) -> pl.DataFrame:
        return frame.select((pl.col(self.column).cast(pl.Float64) / self.step).round().cast(pl.Int64).alias(self.name))

    def restore(self, frame: pl.DataFrame, table: Table) -> pl.DataFrame:
        dtype, step = types_of(table)[self.column], Decimal(str(self.step))
        if isinstance(dtype, pl.Decimal):
            units = pl.col(self.name).cast(pl.Int128) * int(step.scaleb(int(dtype.scale)))
            return frame.select(from_exact(units, dtype).alias(self.column))
        digits = max(0, -int(step.normalize().as_tuple().exponent))
        return frame.select(rounded(pl.col(self.name) * self.step, digits).cast(dtype).alias(self.column))


# ------------------------------------------------------------------------------------------------- combinations


@dataclass(frozen=True, slots=True)
class Joint:
    """Columns of which only some combinations exist: in their place one column that says which.

    Only combinations of at least `k` rows are kept, for they stand here in the clear; a rarer one becomes the kept one
    that agrees with it in most columns.
    """

    KIND: ClassVar[str] = "joint"

    of: tuple[str, ...]
    name: str
    combinations: tuple[tuple[Any, ...], ...]  # plain values; the label of a combination is its number
    ordered: bool = False  # by the first column that is ordered and tells the combinations apart

    @classmethod
    def make(
        cls, frame: pl.DataFrame, table: Table, of: tuple[str, ...], k: int, allowed: pl.Series | None = None
    ) -> Joint | None:
        """None where no combination is held by k rows."""
        rows = frame.select(of) if allowed is None else frame.select(of).filter(allowed)
        count = fresh("rows", of)
        counted = rows.group_by(of, maintain_order=True).len(count)
        kept = counted.filter(pl.col(count) >= k).sort(count, descending=True, maintain_order=True).select(of)
        if not kept.height:
            return None
        ordering = next((c for c in of if _orders(table[c], kept[c])), None)
        kept = kept.sort(ordering, nulls_last=True) if ordering else kept
        name = fresh(" | ".join(of[:4]) + (" ..." if len(of) > 4 else ""), {*table.names, *frame.columns})
        return cls(of, name, tuple(map(tuple, encode(kept))), ordering is not None)

    @property
    def removes(self) -> tuple[str, ...]:
        return self.of

    @property
    def needs(self) -> tuple[str, ...]:
        return ()

    def _known(self, table: Table) -> pl.DataFrame:
        types = types_of(table)
        known = decode(self.combinations, {c: types[c] for c in self.of})
        return known.with_columns(pl.Series(self.name, self._labels()))

    def _labels(self) -> list[str]:
        return [str(i) for i in range(len(self.combinations))]

    def columns(self, table: Table) -> list[Column]:
        kind, levels = ("ordinal", tuple(self._labels())) if self.ordered else ("category", None)
        return [Column(self.name, kind, "str", levels=levels, reason=f"which combination of {', '.join(self.of)}")]

    def reduce(self, frame: pl.DataFrame, table: Table) -> pl.DataFrame:
        known, of = self._known(table), list(self.of)
        rows = frame.select(of).join(known, on=of, how="left", nulls_equal=True, maintain_order="left")
        rare = rows.filter(pl.col(self.name).is_null()).select(of).unique(maintain_order=True)
        if not rare.height:
            return rows.select(self.name)
        instead = fresh("near", rows.columns)
        near = rare.with_columns(known[self.name].gather(_nearest(rare, known.select(of))).alias(instead))
        rows = rows.join(near, on=of, how="left", nulls_equal=True, maintain_order="left")
        return rows.select(pl.coalesce(self.name, instead).alias(self.name))

    def restore(self, frame: pl.DataFrame, table: Table) -> pl.DataFrame:
        labels = frame.select(pl.col(self.name).cast(pl.String).fill_null("0"))
        return labels.join(self._known(table), on=self.name, how="left", maintain_order="left").select(self.of)


def _orders(column: Column, values: pl.Series) -> bool:
    """Whether a column of the combinations is one of measures that differ in each."""
    return column.kind in MEASURES and values.n_unique() == len(values)


def _nearest(rare: pl.DataFrame, known: pl.DataFrame) -> list[int]:
    """For each row the number of the known row that agrees with it in most columns; the first of them."""
    both = pl.concat([rare, known])
    codes = np.column_stack([c.rank("dense").fill_null(0).to_numpy() for c in both.cast(pl.String).get_columns()])
    out: list[int] = []
    for part in np.array_split(codes[: rare.height], rare.height // 1000 + 1):  # in parts, for memory
        agree = sum((part[:, None, j] == codes[None, rare.height :, j]).astype(np.int16) for j in range(codes.shape[1]))
        out += np.argmax(agree, axis=1).tolist()
    return out


# ------------------------------------------------------------------------------------------------- missing values


@dataclass(frozen=True, slots=True)
class Missing:
    """`column` is missing where one of the conditions is true: the column stays, and is emptied there."""

    KIND: ClassVar[str] = "missing"

    column: str
    conditions: tuple[str, ...]
    reads: tuple[str, ...]

    @property
    def removes(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def needs(self) -> tuple[str, ...]:
        return self.reads

    def columns(self, table: Table) -> list[Column]:
        return [table[self.column]]

    def reduce(self, frame: pl.DataFrame, table: Table) -> pl.DataFrame:
        return frame.select(self.column)

    def restore(self, frame: pl.DataFrame, table: Table) -> pl.DataFrame:
        types = types_of(table)
        empty = [expressions.compile(text, types).expr.fill_null(False) for text in self.conditions]
        return frame.select(pl.when(~reduce(or_, empty)).then(pl.col(self.column)).alias(self.column))


STEPS: Final[dict[str, Callable[..., Step]]] = {
    step.KIND: step for step in (Difference, Total, Multiple, Joint, Missing)
}
