"""What a table and its columns were before they entered, and what every library's door does alike.

A door is a module with `enter(frame, table)` and `leave(frame, shape, table)`, exact inverses. Each column goes through
one of the door's *forms*, a pair of functions in and out; `Origin` says which, and what it needs to come back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from typing import Any, Final, TypeVar

import polars as pl

from verosim.errors import DataError, ModelFileError, did_you_mean
from verosim.frames import cells
from verosim.schema import dtype_name, parse_dtype

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Origin:
    """How a column was held before it entered, enough to hold it so again."""

    form: str  # the pair of functions that it went through, such as "category"
    type: str = ""  # the library's own name of the type; of the levels' type for a category
    detail: str = ""  # what else the form needs
    missing: str = "None"  # object cells: what stood for a missing value
    levels: tuple[str, ...] | None = None  # of a category: all, also those in no row, as `cells.to_text` writes them
    ordered: bool = False  # the levels have an order
    nullable: bool = True  # arrow: the field may hold nulls
    note: str = ""  # what the user should know


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """One column: its name inside, its label outside, its type inside and outside."""

    name: str
    label: str  # as `cells.to_text` writes it
    dtype: str  # inside, as `schema.dtype_name` writes it
    origin: Origin

    def settle(self, series: pl.Series) -> pl.Series:
        """The series in this column's type inside; DataError where that would change a value."""
        wanted = _inside(self.dtype, self.origin.levels or ())
        if series.dtype == wanted:
            return series
        settled = series.cast(wanted, strict=True)
        if wanted.is_integer() and not settled.cast(series.dtype).equals(series):
            raise DataError(f"{series.dtype} values do not fit type {self.dtype}.", fix="Round them first.")
        return settled


@dataclass(frozen=True, slots=True)
class TableShape:
    """One table: the library that held it, its columns in order, and the type of its labels."""

    library: str
    columns: tuple[ColumnShape, ...]
    labels: str = ""  # pandas: the dtype of the column labels
    title: str = "NoneType:"  # pandas: the name of the column labels, as `cells.to_text` writes it
    lazy: bool = False  # polars: a LazyFrame
    notes: tuple[str, ...] = ()  # what the user should know


@lru_cache(maxsize=64)  # rows leave in many blocks, and a category may have 100,000 levels
def _inside(dtype: str, levels: tuple[str, ...]) -> pl.DataType:
    return parse_dtype(dtype, level_names(levels))


# ------------------------------------------------------------------------------------- what doors share


def level_names(levels: Sequence[str]) -> tuple[str, ...]:
    """The levels' names inside, all different, from their coded text.

    >>> level_names(["low", "int:1", "1"])
    ('low', '1 (int)', '1')
    """
    return unique_names([cells.from_text(level) for level in levels])


def unique_names(labels: Sequence[Any]) -> tuple[str, ...]:
    """A text for every label, no two alike; a text label keeps its own.

    >>> unique_names(["a", 1, None, "1"])
    ('a', '1 (int)', 'None', '1')
    """
    taken = {label for label in labels if isinstance(label, str)}
    names = []
    for label in labels:
        name = label if isinstance(label, str) else str(label)
        if not isinstance(label, str) and name in taken:
            name, base, number = f"{name} ({type(label).__name__})", name, 2
            while name in taken:
                name, number = f"{base} ({number})", number + 1
        taken.add(name)
        names.append(name)
    return tuple(names)


def category_series(codes: pl.Series, levels: tuple[str, ...]) -> pl.Series:
    """Codes (null for missing) as an enum of the levels, which are coded text."""
    names = level_names(levels)
    return pl.Series(names, dtype=pl.Enum(names)).gather(codes.cast(pl.UInt32))


def refuse_twins(labels: Iterable[Any], table: str) -> None:
    """DataError that lists the labels that stand twice."""
    seen: set[Any] = set()
    twins = list(dict.fromkeys(repr(x) for x in labels if x in seen or seen.add(x)))  # type: ignore[func-returns-value]
    if twins:
        raise DataError(
            f"column names stand twice: {', '.join(twins[:8])}{' ...' if len(twins) > 8 else ''}.",
            table=table,
            fix="Give each column a name of its own.",
        )


def first_line(error: Exception) -> str:
    """What another library says was wrong, without its advice, which is for its own users."""
    return str(error).strip().split("\n")[0].rstrip(".")


@contextmanager
def at(table: str, label: Any) -> Iterator[None]:
    """Errors from within name the table and the column; those of other libraries become a DataError."""
    column = "None" if label is None else label
    try:
        yield
    except DataError as error:
        raise DataError(error.reason, table=table, column=column, row=error.row, fix=error.fix) from error
    except (ValueError, TypeError, KeyError, OverflowError, NotImplementedError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"its values cannot be converted without loss: {first_line(error)}.",
            table=table,
            column=column,
            fix=cells.OTHERWISE,
        ) from error


def enter_columns(
    table: str, labels: Sequence[Any], columns: Iterable[T], column_in: Callable[[T], tuple[pl.Series, Origin]]
) -> tuple[pl.DataFrame, tuple[ColumnShape, ...]]:
    """All columns through the door: the frame inside, and what each column was."""
    series: dict[str, pl.Series] = {}
    shapes = []
    for label in labels:
        with at(table, label):
            cells.refuse_surrogates([label], "its label")
            if isinstance(label, tuple):
                raise DataError("its label is a tuple.", fix="Name columns by text: frame.columns.map('_'.join).")
    for name, label, column in zip(unique_names(labels), labels, columns, strict=True):
        with at(table, label):
            inside, origin = column_in(column)
            shapes.append(ColumnShape(name, cells.to_text(label), dtype_name(inside.dtype), origin))
            series[name] = inside
    return pl.DataFrame(series), tuple(shapes)


def leave_columns(
    table: str, frame: pl.DataFrame, shape: TableShape, column_out: Callable[[pl.Series, Origin], T]
) -> list[T]:
    """All columns back, in the order in which they came."""
    names = [c.name for c in shape.columns]
    for name in frame.columns:
        if name not in set(names):
            raise DataError(f"no such column came in; {did_you_mean(name, names)}", table=table, column=name)
    out = []
    for column in shape.columns:
        with at(table, cells.from_text(column.label)):
            if column.name not in frame.columns:
                raise DataError("is missing in the data that leave.", fix="Give all columns that came in.")
            series = frame[column.name].alias("")  # Arrow takes no name with a null byte
            out.append(column_out(column.settle(series), column.origin))
    return out


def refuse_type(what: object, way_out: str) -> DataError:
    """The error for a type that has no place in a table of plain values."""
    return DataError(f"type {what} is not supported.", fix=way_out)


# ----------------------------------------------------------------------------------------- to JSON and back

_PLAIN: Final[dict[str, type]] = {"str": str, "bool": bool}


def to_plain(shape: TableShape | ColumnShape | Origin) -> dict[str, Any]:
    """Dicts, lists and scalars; what has its default value is left out."""
    out: dict[str, Any] = {}
    for f in fields(shape):
        value = getattr(shape, f.name)
        if value == f.default and f.default is not MISSING:
            continue
        if isinstance(value, Origin):
            value = to_plain(value)
        elif isinstance(value, tuple):
            value = [to_plain(v) if isinstance(v, ColumnShape) else v for v in value]
        out[f.name] = value
    return out


def from_plain(kind: type[T], data: object) -> T:
    """What `to_plain` wrote; ModelFileError for anything else."""
    if not isinstance(data, Mapping):
        raise ModelFileError(f"the shape of the data: a mapping was wanted, not {type(data).__name__}.")
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    wrong = [k for k in data if k not in known]
    wrong += [n for n, f in known.items() if f.default is MISSING and n not in data]
    if wrong:
        raise ModelFileError(f"the shape of the data: unknown or missing part {wrong[0]!r}.")
    return kind(**{k: _part(str(known[k].type), v, k) for k, v in data.items()})


def _part(wanted: str, value: Any, name: str) -> Any:
    if wanted == "Origin":
        return from_plain(Origin, value)
    if wanted == "tuple[ColumnShape, ...]" and isinstance(value, list):
        return tuple(from_plain(ColumnShape, v) for v in value)
    if wanted.startswith("tuple[str, ...]") and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    if wanted in _PLAIN and isinstance(value, _PLAIN[wanted]):
        return value
    raise ModelFileError(f"the shape of the data: {name} must be {wanted}, not {type(value).__name__}.")
