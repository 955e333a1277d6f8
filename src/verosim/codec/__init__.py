"""`TableCodec`: the one border between frames and arrays. Models see what it encodes; what they draw, it decodes.

    codec = TableCodec(table).fit(frame)
    codes = codec.encode(frame)                              -> models.Codes
    codec.decode(codes, rows, rng, seed)                     -> a frame with the columns, order and dtypes of the table

Each kind of column has a class where encode and decode stand side by side; `CODECS` says which:

    axis.py, grid.py   one ordered field: values <-> positions, atoms and marks
    ordered.py         numbers, times of day, durations, ordinals, places; values held in text
    times.py           dates and datetimes: day or week, weekday, time of day
    categories.py      categories, truth values, constants
    words.py           free text
    documents.py       JSON in cells, by its parts
    made.py            ids and personal data, made anew; empty columns

What is learned holds no level that fewer than k people have, no single rare value, and no extreme.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Self

import numpy as np
import polars as pl

from verosim.codec.categories import Category
from verosim.codec.column import ColumnCodec, Draw, Guard, Kind
from verosim.codec.documents import Document
from verosim.codec.grid import Ints
from verosim.codec.made import Empty, Id, Personal, check_providers, make_personal
from verosim.codec.ordered import Coordinate, InText, Number, Ordinal, Place
from verosim.codec.saved import Saved
from verosim.codec.times import Calendar
from verosim.codec.words import Text
from verosim.errors import ArgumentError, DataError, ModelFileError, NotFittedError, VerosimError
from verosim.models import Array, Codes, Field, State
from verosim.schema import Column, Schema, Table, parse_dtype

__all__ = ["CODECS", "TableCodec"]

VERSION: Final = 1

CODECS: Final[dict[str, type[Kind]]] = {
    "number": Number,
    "time": Number,
    "duration": Number,
    "ordinal": Ordinal,
    "date": Calendar,
    "datetime": Calendar,
    "category": Category,
    "boolean": Category,
    "constant": Category,
    "geo": Coordinate,
    "text": Text,
    "json": Document,
    "id": Id,
    "personal": Personal,
    "empty": Empty,
}
_IN_TEXT: Final = {"number", "time", "duration", "date", "datetime"}  # kinds that a form can write as text


class TableCodec:
    """One table's frames <-> `Codes`.

    table: what the columns mean. k: how many people must hold a value for it to be kept.

    >>> table = Table("t", (Column("age", "number", "int64"), Column("sex", "category", "str")))
    >>> frame = pl.DataFrame({"age": [30] * 5 + [40] * 5, "sex": ["f", "m"] * 5})
    >>> codec = TableCodec(table).fit(frame)
    >>> codec.decode(codec.encode(frame), np.arange(10), np.random.default_rng(0), seed=0).equals(frame)
    True
    """

    def __init__(self, table: Table, k: int = 5) -> None:
        self.table, self.k = table, k
        self.notes: list[str] = []
        self._dtypes = [parse_dtype(column.dtype, column.levels) for column in table.columns]
        self._codecs: dict[str, ColumnCodec] | None = None
        self._fields: tuple[Field, ...] = ()

    def fit(self, frame: pl.DataFrame, unit: pl.Series | None = None) -> Self:
        """Learn what the columns hold. unit: (n,) whom each row belongs to; by default each is its own person.

        Raises DataError where the frame is not what the table says, SchemaError where a column contradicts itself.
        """
        if self.k < 1:
            raise ArgumentError(f"k is how many people must hold a value: 1 or more, not {self.k}.")
        for name in frame.columns:
            if name not in self.table.names:
                fix = "Add it to the schema, or take it out of the data."
                raise DataError("the schema has no such column.", table=self.table.name, column=name, fix=fix)
        check_providers(self.table)
        guard = Guard(_people(unit, frame.height), self.k)
        pairs = zip(self.table.columns, self._series(frame), strict=True)
        self._set({column.name: self._fit(column, series, guard) for column, series in pairs})
        self.notes = [f"{name}: {codec.note}" for name, codec in self._fitted.items() if codec.note]
        return self

    def _fit(self, column: Column, series: pl.Series, guard: Guard) -> ColumnCodec:
        try:
            if _held_in_text(column):
                return InText.fit_kind(CODECS[column.kind], column, series, guard)
            return _codec_of(column).fit(column, series, guard)
        except DataError as e:
            raise DataError(e.reason, table=self.table.name, column=e.column, row=e.row, fix=e.fix) from e

    def _series(self, frame: pl.DataFrame) -> list[pl.Series]:
        """The table's columns of a frame, in the table's order, of the dtypes that the table says."""
        out = []
        for column, wanted in zip(self.table.columns, self._dtypes, strict=True):
            if column.name not in frame.columns:
                fix = "Give all columns of the schema."
                raise DataError("the column is missing.", table=self.table.name, column=column.name, fix=fix)
            series = frame.get_column(column.name)
            if series.dtype != wanted:
                reason, fix = f"{wanted} was wanted, not {series.dtype}.", "Cast it, or edit the schema."
                raise DataError(reason, table=self.table.name, column=column.name, fix=fix)
            out.append(series)
        return out

    @property
    def _fitted(self) -> dict[str, ColumnCodec]:
        if self._codecs is None:
            raise NotFittedError("this codec has learned nothing yet: call `fit` first.")
        return self._codecs

    def _set(self, codecs: dict[str, ColumnCodec]) -> None:
        self._codecs, named = codecs, dict[str, Field]()
        for codec in codecs.values():
            for field in codec.fields:
                name = field.name
                while name in named:
                    name += "'"
                named[name] = replace(field, name=name)
        self._fields = tuple(named.values())

    @property
    def fields(self) -> tuple[Field, ...]:
        """What models see: the fields of all columns in order, none, one or several a column; names are unique."""
        return self._fields if self._fitted else ()

    @property
    def owners(self) -> tuple[str, ...]:
        """The column that each field is of."""
        return tuple(name for name, codec in self._fitted.items() for _ in codec.fields)

    @property
    def rooms(self) -> dict[str, int]:
        """How many rows each column of ids has different ones for; past that they repeat."""
        return {name: codec.room for name, codec in self._fitted.items() if isinstance(codec, Id)}

    @property
    def patterns(self) -> dict[str, str]:
        """By which pattern each column of ids is made."""
        return {name: codec.pattern for name, codec in self._fitted.items() if isinstance(codec, Id) and codec.pattern}

    def encode(self, frame: pl.DataFrame) -> Codes:
        """Arrays of the frame's rows, in the order of `fields`. What was not seen in `fit` takes the nearest code."""
        series = self._series(frame)
        arrays = [a for codec, s in zip(self._fitted.values(), series, strict=True) for a in codec.encode(s)]
        return Codes(self.fields, tuple(arrays), frame.height)

    def decode(self, codes: Codes, rows: Ints, rng: np.random.Generator, seed: int) -> pl.DataFrame:
        """The frame of these codes. rows: (n,) absolute row numbers, by which ids and people are told apart.

        rng: draws what codes leave open (in place of rare levels, words, people). seed: that of the whole run.
        """
        draw = Draw(self.table.name, rows, rng, seed, make_personal(self.table, rows, rng, seed))
        arrays, columns = iter(codes.arrays), dict[str, pl.Series]()
        for name, codec in self._fitted.items():
            own = [next(arrays) for _ in codec.fields]
            try:
                columns[name] = codec.decode(own, draw)
            except pl.exceptions.PolarsError as error:  # only what a forged file says can be past the dtype
                raise ModelFileError(f"column {name!r}: the model holds no values of its dtype ({error}).") from error
        return pl.DataFrame(columns)

    # ------------------------------------------------------------------------------------------- files

    def state(self) -> State:
        """JSON and arrays, of which `restore` makes the same codec."""
        states = [codec.state() for codec in self._fitted.values()]
        table = replace(self.table, columns=tuple(replace(c, reason="") for c in self.table.columns))
        schema = json.loads(json.dumps(Schema({table.name: table}).to_dict(), default=str))
        meta = {
            "version": VERSION,
            "k": self.k,
            "schema": schema,
            "notes": self.notes,
            "columns": [m for m, _ in states],
        }
        return meta, {f"{i}/{key}": array for i, (_, arrays) in enumerate(states) for key, array in arrays.items()}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """The codec that `state` wrote. Raises ModelFileError for anything that it cannot have written."""
        saved = Saved("codec", meta, arrays)
        version = saved.whole("version", 1, 10**6)
        if version > VERSION:
            raise ModelFileError(
                f"the model was made by a newer verosim (codec {version}; this reads {VERSION}): update it."
            )
        try:
            (table,) = Schema.from_dict(meta.get("schema")).values()
            codec = cls(table, saved.whole("k", 1, 2**31))
            codec.notes = saved.texts("notes")
            check_providers(table)
            parts = meta.get("columns")
            saved.need(isinstance(parts, list) and len(parts) == len(table.columns), "columns do not fit the schema")
            codec._set({c.name: _restore(c, i, saved) for i, c in enumerate(table.columns)})
        except ModelFileError:
            raise
        except (VerosimError, pl.exceptions.PolarsError, ValueError, TypeError, OverflowError, MemoryError) as error:
            raise ModelFileError(f"the model file is damaged ({error}); fit and save it again.") from error
        return codec


def _restore(column: Column, i: int, saved: Saved) -> ColumnCodec:
    own = {key.split("/", 1)[1]: array for key, array in saved.arrays.items() if key.startswith(f"{i}/")}
    part = Saved(f"column {column.name!r}", saved.meta["columns"][i], own)
    part.need(isinstance(part.meta, Mapping), "it is no mapping")
    if _held_in_text(column):
        return InText.restore_kind(CODECS[column.kind], column, part)
    return _codec_of(column).restore(column, part)


def _held_in_text(column: Column) -> bool:
    return column.dtype == "str" and column.kind in _IN_TEXT and column.format is not None


def _codec_of(column: Column) -> type[Kind]:
    return Place if column.kind == "geo" and column.dtype == "str" else CODECS[column.kind]


def _people(unit: pl.Series | None, n: int) -> Ints | None:
    """Numbers of the people that rows belong to, (n,); None: each row is another's. Rows of nobody are one person's."""
    if unit is None:
        return None
    if len(unit) != n:
        raise ArgumentError(f"`unit` says whom each row belongs to: {n:,} values were wanted, not {len(unit):,}.")
    text = unit.cast(pl.String) if isinstance(unit.dtype, pl.Categorical | pl.Enum) else unit
    people = text.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    return people if unit.n_unique() < n else None
