"""The door for data in memory: any frame becomes a dataset of polars frames, and leaves as what it was.

>>> frame = pl.DataFrame({"age": [39, None], "sex": ["f", "m"]})
>>> dataset, shape = enter(frame)
>>> dataset["table"]["age"].to_list()
[39, None]
>>> leave(dataset, shape).equals(frame)
True

polars (DataFrame, LazyFrame), pandas and pyarrow are taken in with every type of plain values, and a mapping of table
names to them; other objects with an Arrow stream come back as polars. Nothing is retyped or dropped in silence: a value
comes back as it was, or a DataError names table, column and the way out, or `Shape.notes` says what changes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from types import ModuleType
from typing import Any, Final

import polars as pl

from verosim.errors import ArgumentError, DataError, MissingExtraError, ModelFileError, SchemaError, did_you_mean
from verosim.frames import cells, from_arrow, from_pandas, from_polars, loose
from verosim.frames.columns import TableShape, first_line, from_plain, to_plain
from verosim.schema import parse_dtype

__all__ = ["Shape", "enter", "leave", "leave_completed", "loosen"]

_DOORS: Final[dict[str, ModuleType]] = {"polars": from_polars, "pandas": from_pandas, "pyarrow": from_arrow}


@dataclass(frozen=True, slots=True)
class Shape:
    """What data were when they entered: one frame or a mapping, and for each table its library, labels and types."""

    tables: Mapping[str, TableShape]
    one: bool = False  # one frame came in, not a mapping

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how the data came in and come back: a sentence each."""
        return tuple(note for name, table in self.tables.items() for note in _table_notes(name, table))

    def tell(self, rare: Callable[[str, str], pl.Series]) -> Shape:
        """The shape without the levels of categories that rare(table, column) gives; see loose.py."""
        tables = {name: loose.tell(table, partial(rare, name)) for name, table in self.tables.items()}
        return replace(self, tables=tables)

    def leave_table(self, name: str, frame: pl.DataFrame) -> Any:
        """One table, or some of its rows, as the kind of frame that came in.

        Raises DataError for columns missing or unknown, and values that the types of the columns cannot hold.
        """
        if name not in self.tables:
            raise ArgumentError(f"no table {name!r} came in; {did_you_mean(name, self.tables)}")
        table = self.tables[name]
        try:
            return _DOORS[table.library].leave(frame, table, name)
        except ImportError as error:
            raise MissingExtraError(
                f"table {name!r} came from {table.library}, and {error.name or table.library} is not installed here: "
                f"pip install {error.name or table.library}"
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """Dicts, lists and scalars, for JSON."""
        return {"one": self.one, "tables": {name: to_plain(table) for name, table in self.tables.items()}}

    @classmethod
    def from_dict(cls, data: object) -> Shape:
        """What `to_dict` wrote; ModelFileError for anything else."""
        if not isinstance(data, Mapping) or set(data) != {"one", "tables"} or not isinstance(data["tables"], Mapping):
            raise ModelFileError("the shape of the data: a mapping of `one` and `tables` was wanted.")
        tables = {str(name): from_plain(TableShape, table) for name, table in data["tables"].items()}
        if not isinstance(data["one"], bool) or (data["one"] and len(tables) != 1):
            raise ModelFileError("the shape of the data: `one` must be true or false, and true for one table only.")
        for name, table in tables.items():
            if table.library not in _DOORS:
                raise ModelFileError(f"the shape of table {name!r}: unknown library {table.library!r}.")
            try:
                [parse_dtype(column.dtype) for column in table.columns]
            except SchemaError as error:
                raise ModelFileError(f"the shape of table {name!r}: {error}") from error
        return cls(tables, data["one"])


def _table_notes(name: str, table: TableShape) -> Iterable[str]:
    yield from (f"table {name!r}: {note}" for note in table.notes)
    for column in table.columns:
        if column.origin.note:
            yield f"table {name!r}, column {cells.from_text(column.label)!r}: {column.origin.note}"


_ACCEPTED: Final = "a polars DataFrame or LazyFrame, a pandas DataFrame or a pyarrow Table"


def _enter_table(frame: Any, table: str, one: bool) -> tuple[pl.DataFrame, TableShape]:
    if isinstance(frame, pl.DataFrame | pl.LazyFrame):
        return from_polars.enter(frame, table)
    for library, kind in (("pandas", "DataFrame"), ("pyarrow", "Table")):
        if (module := sys.modules.get(library)) and isinstance(frame, getattr(module, kind, ())):
            entered: tuple[pl.DataFrame, TableShape] = _DOORS[library].enter(frame, table)
            return entered
    if hasattr(frame, "__arrow_c_stream__") and type(frame).__name__ != "Series":
        return _enter_stream(frame, table)
    wanted = f"{_ACCEPTED}, or a mapping of table names to them," if one else f"table {table!r}: {_ACCEPTED}"
    raise ArgumentError(f"{wanted} was wanted, not {_type_name(frame)}. {_way_out(frame, one)}")


def _enter_stream(frame: Any, table: str) -> tuple[pl.DataFrame, TableShape]:
    """An object of another library that can be read through the Arrow C stream interface."""
    try:
        inside, shape = from_polars.enter(pl.DataFrame(frame), table)
    except pl.exceptions.PolarsError as error:
        reason = f"{_type_name(frame)} cannot be read as a table: {first_line(error)}."
        raise DataError(reason, table=table, fix="Make a frame of it with names all different.") from error
    return inside, replace(shape, notes=(f"came as {_type_name(frame)} and comes back as a polars DataFrame.",))


def _type_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def _way_out(frame: Any, one: bool) -> str:
    if isinstance(frame, str | PathLike):
        return "A path is not data in memory: read the file first."
    if type(frame).__name__ == "Series":
        return "Make a frame of it: series.to_frame()."
    if not one:
        return "Columns given as lists must be of one length: make a frame of them first, pl.DataFrame(columns)."
    return "Make a frame of it first: pl.DataFrame(data), or the object's own .to_arrow() or .to_pandas()."


def _table_name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise ArgumentError(f"a table's name must be text, not {name!r}. Name each table: {{'customers': frame}}.")
    cells.refuse_surrogates([name], "the table's name")
    return name


def _refuse_empty(dataset: Mapping[str, pl.DataFrame]) -> None:
    """A table among others may have no rows; a dataset must have some, and every table columns."""
    for table, frame in dataset.items():
        if not frame.width:
            raise DataError("has no columns.", table=table, fix="Give a frame with at least one column and one row.")
    if not any(frame.height for frame in dataset.values()):
        names = ", ".join(dataset)
        raise DataError("there are no rows.", table=names, fix="Give a frame with at least one row.")


def enter(data: Any, name: str = "table") -> tuple[dict[str, pl.DataFrame], Shape]:
    """Frames of any library as polars frames, and the shape by which they can leave again.

    data: a polars DataFrame or LazyFrame, a pandas DataFrame, a pyarrow Table, any object with an Arrow stream, or a
    mapping of table names to them. One frame becomes the table called `name`. The caller's objects are never changed,
    and changing them later changes nothing here. Raises ArgumentError for other objects, DataError for data that cannot
    be held.
    """
    one = not isinstance(data, Mapping)
    frames = {name: data} if one else dict(data)
    if not frames:
        raise DataError("the mapping holds no tables.", fix="Give at least one: {'table': frame}.")
    entered = {table: _enter_table(frame, _table_name(table), one) for table, frame in frames.items()}
    dataset = {table: inside for table, (inside, _) in entered.items()}
    _refuse_empty(dataset)
    return dataset, Shape({table: shape for table, (_, shape) in entered.items()}, one)


def loosen(dataset: Mapping[str, pl.DataFrame], shape: Shape) -> tuple[dict[str, pl.DataFrame], Shape]:
    """The dataset with categories that were made from the data as Categorical, in place of Enum; see loose.py."""
    tables = {name: loose.loosen(dataset[name], table) for name, table in shape.tables.items()}
    return {n: frame for n, (frame, _) in tables.items()}, replace(shape, tables={n: t for n, (_, t) in tables.items()})


def leave_completed(frame: pl.DataFrame, given: TableShape, learned: TableShape | None, table: str) -> Any:
    """Rows of which some columns came in as `given`, and the others are made: as the kind of frame that came in.

    learned: the table that the others are like. Where it was of another library, or none is known, columns that the
    given library cannot hold as they are make it a polars frame.
    """
    known = {c.name: c for c in given.columns}
    made = frame.select(n for n in frame.columns if n not in known)
    if learned is None or learned.library != given.library:
        learned = from_polars.enter(made, table)[1]
    known = {c.name: c for c in learned.columns} | (known if learned.library == given.library else {})
    plain = {c.name: c for c in from_polars.enter(frame, table)[1].columns}
    columns = tuple(known.get(name, plain[name]) for name in frame.columns)
    shape = replace(learned, columns=columns, labels=given.labels, title=given.title, lazy=given.lazy)
    return Shape({table: shape}, True).leave_table(table, frame)


def with_beside(frame: Any, columns: pl.DataFrame) -> Any:
    """A frame of any kind that we take, with more columns of text behind its own."""
    if isinstance(frame, pl.DataFrame | pl.LazyFrame):
        return frame.with_columns(columns.get_columns())
    if hasattr(frame, "append_column"):  # of pyarrow
        for series in columns.get_columns():
            frame = frame.append_column(series.name, [series.to_arrow().cast("string")])
        return frame
    return frame.assign(**{series.name: series.to_list() for series in columns.get_columns()})


def leave(dataset: Mapping[str, pl.DataFrame], shape: Shape) -> Any:
    """The tables as what came in: one frame, or a dict of them, with the same labels, types and order of columns."""
    for name in shape.tables:
        if name not in dataset:
            raise DataError("came in, but is missing in what leaves.", table=name, fix="Give all tables that came in.")
    frames = {name: shape.leave_table(name, frame) for name, frame in dataset.items()}
    return frames.popitem()[1] if shape.one else frames
