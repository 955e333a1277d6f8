"""Columns of a long series as a model moves through them: measures on a linear scale, all else by the codec.

Ranks, which models of tables see, would bend a straight line where values are rare; a linear scale keeps it straight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
import polars as pl

from verosim.codec import TableCodec
from verosim.errors import ModelFileError
from verosim.forms import Form
from verosim.infer.measures import decimals
from verosim.models import Array, Codes, Field, State
from verosim.schema import Column, Table
from verosim.timeline import times_of

EXACT: Final = 2.0**53  # whole numbers below are exact as floats
_MARKS: Final = ("null", "nan", "inf", "-inf")


@dataclass(frozen=True, slots=True)
class Scale:
    """One measure <-> positions in [0, 1) that lie as its values do. low, high: the extremes that may come out."""

    column: Column
    dtype: str  # of the numbers, which may be held in text
    low: float
    high: float
    marks: tuple[str, ...]
    digits: int | None = None  # decimals: values that come back as they were are exact

    @classmethod
    def of(cls, column: Column, series: pl.Series, guarded: pl.Series) -> Self | None:
        """guarded: the values as the codec gives them back, without single extremes. None: not to be measured so."""
        numbers, inside = times_of(series, column), times_of(guarded, column).cast(pl.Float64, strict=False)
        plain = numbers.drop_nulls()
        inside = inside.filter(inside.is_finite())
        if column.kind not in ("number", "geo") or not (numbers.dtype.is_float() or numbers.dtype.is_integer()):
            return None
        if not len(plain) or not len(inside) or float(inside.abs().max()) >= EXACT:  # type: ignore[arg-type]
            return None
        low, high = float(inside.min()), float(inside.max())  # type: ignore[arg-type]
        if not low < high or not np.isfinite(high - low):
            return None
        marked = {"null": numbers.null_count() > 0}
        if numbers.dtype.is_float():
            marked |= {"nan": plain.is_nan().any(), "inf": (plain == np.inf).any(), "-inf": (plain == -np.inf).any()}
        digits = decimals(numbers) if column.digits is None and numbers.dtype.is_float() else column.digits
        return cls(column, str(numbers.dtype), low, high, tuple(m for m in _MARKS if marked.get(m)), digits)

    @property
    def field(self) -> Field:
        return Field(self.column.name, marks=len(self.marks))

    def encode(self, series: pl.Series) -> Array:
        numbers = times_of(series, self.column)
        values = numbers.cast(pl.Float64).fill_null(np.nan).to_numpy()
        whole = np.nan_to_num(values, nan=self.low, posinf=self.high, neginf=self.low)
        out = np.clip((whole - self.low) / (self.high - self.low), 0.0, 1.0) * (1 - 1e-9)
        null = numbers.is_null().to_numpy()
        found = {"null": null, "nan": np.isnan(values) & ~null, "inf": values == np.inf, "-inf": values == -np.inf}
        for i, mark in enumerate(self.marks):
            out = np.where(found[mark], -1.0 - i, out)
        return np.asarray(out)

    def decode(self, codes: Array) -> pl.Series:
        dtype = pl.Float32() if self.dtype == "Float32" else pl.Float64()
        values = self.low + np.maximum(codes, 0.0) / (1 - 1e-9) * (self.high - self.low)
        whole = not self.dtype.startswith("Float")
        if whole:
            step = self.column.step or 1
            values = np.clip(np.rint(values / step) * step, self.low, self.high)
        elif self.digits is not None:
            values = np.clip(np.round(values, self.digits), self.low, self.high)
        for i, mark in enumerate(self.marks):
            values = np.where(
                codes == -1.0 - i, {"null": 0.0, "nan": np.nan, "inf": np.inf, "-inf": -np.inf}[mark], values
            )
        out = pl.Series(self.column.name, values)
        out = out.cast(getattr(pl, self.dtype)) if whole else out.cast(dtype)
        if "null" in self.marks:
            there = pl.Series(codes != -1.0 - self.marks.index("null"))
            out = pl.select(pl.when(there).then(out)).to_series().alias(self.column.name)
        if self.column.dtype == "str" and self.column.format:
            out = Form.of(self.column.format).format(out)
        return out.alias(self.column.name)

    def to_dict(self) -> dict[str, Any]:
        ends, marks = [self.low, self.high], list(self.marks)
        return {"name": self.column.name, "dtype": self.dtype, "ends": ends, "marks": marks, "digits": self.digits}


class Measures:
    """A table's frames <-> codes: measures by their `Scale`, the other columns by the codec."""

    def __init__(self, table: Table, codec: TableCodec, scales: Mapping[str, Scale]) -> None:
        self.table, self.codec, self.scales = table, codec, scales

    @classmethod
    def fit(cls, frame: pl.DataFrame, table: Table, k: int, rng: np.random.Generator) -> Self:
        full = TableCodec(table, k).fit(frame)
        guarded = full.decode(full.encode(frame), np.arange(frame.height), rng, 0)
        found = ((c, Scale.of(c, frame[c.name], guarded[c.name])) for c in table.columns)
        scales = {c.name: scale for c, scale in found if scale is not None}
        codec = TableCodec(_rest(table, scales), k).fit(frame.select(n for n in table.names if n not in scales))
        return cls(table, codec, scales)

    @property
    def notes(self) -> list[str]:
        return list(self.codec.notes)

    def encode(self, frame: pl.DataFrame) -> Codes:
        rest = self.codec.encode(frame.select(self.codec.table.names))
        fields = tuple(scale.field for scale in self.scales.values())
        arrays = tuple(scale.encode(frame[name]) for name, scale in self.scales.items())
        return Codes(fields + rest.fields, arrays + rest.arrays, frame.height)

    def decode(self, codes: Codes, rows: Array, rng: np.random.Generator, seed: int) -> pl.DataFrame:
        n = len(self.scales)
        measured = [scale.decode(a) for scale, a in zip(self.scales.values(), codes.arrays, strict=False)]
        rest = self.codec.decode(Codes(codes.fields[n:], codes.arrays[n:], codes.n), rows, rng, seed)
        return pl.DataFrame([*measured, *rest.get_columns()]).select(self.table.names)

    def state(self) -> State:
        meta, arrays = self.codec.state()
        return {"codec": meta, "scales": [scale.to_dict() for scale in self.scales.values()]}, arrays

    @classmethod
    def restore(cls, table: Table, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """What `state` gave, checked. Raises ModelFileError."""
        scales = dict[str, Scale]()
        for said in meta["scales"]:
            column, (low, high) = table[str(said["name"])], map(float, said["ends"])
            marks = tuple(m for m in _MARKS if m in said["marks"])
            if not low < high or not np.isfinite(high - low) or not hasattr(pl, str(said["dtype"])):
                raise ModelFileError(f"the saved scale of {column.name!r} is damaged.")
            digits = None if said["digits"] is None else int(said["digits"])
            scales[column.name] = Scale(column, str(said["dtype"]), low, high, marks, digits)
        codec = TableCodec.restore(meta["codec"], arrays)
        if codec.table.names != _rest(table, scales).names:
            raise ModelFileError("the parts of the series do not fit each other.")
        return cls(table, codec, scales)


def _rest(table: Table, scales: Mapping[str, Scale]) -> Table:
    columns = tuple(c for c in table.columns if c.name not in scales)
    return replace(table, columns=columns, primary_key=(), rules=(), order=(), foreign_keys=(), sequence=None)
