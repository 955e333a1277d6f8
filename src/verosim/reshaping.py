"""Sequences in other shapes, there and back: `reshape`.

    rows   sensor, at, heat, wet             a row for each key and time: what is learned as sequences
    wide   sensor, 2024-01, 2024-02 ...      a row for each key, a column for each time (heat_2024-01 ... for several
                                             variables; also t1 ... t24, day_1 ... day_7)
    long   sensor, at, variable, value       a row for each value

Which of them data are is seen by the names of their columns (`shape_of`), or said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Final

import numpy as np
import polars as pl

from verosim.errors import ArgumentError, DataError, did_you_mean
from verosim.frames import enter
from verosim.infer import infer
from verosim.keys import Ints

ROWS, WIDE, LONG = SHAPES = ("rows", "wide", "long")
LEAST: Final = 3  # columns of times that make a table wide
VALUE: Final = "value"
_UNITS: Final = frozenset({
    "t", "time", "step", "tick", "d", "day", "w", "week", "m", "month", "q", "quarter", "y", "year", "h", "hour",
    "minute", "second", "period", "visit", "wave", "round", "v",
})  # fmt: skip  # what stands before the number of a time, and is no name of a variable
_VARIABLES: Final = frozenset({
    "variable", "metric", "measure", "measurement", "parameter", "channel", "sensor", "tag", "attribute", "feature",
    "signal", "indicator", "quantity", "test", "item",
})  # fmt: skip
_VALUES: Final = frozenset({"value", "val", "reading", "result", "measured_value", "amount"})
_Name = tuple[str, Any]  # variable and time that a column's name says


def _day(text: str) -> date:
    return date.fromisoformat(text)


def _month(text: str) -> date:
    return date(int(text[:4]), int(text[-2:]), 1)


def _quarter(text: str) -> date:
    return date(int(text[:4]), 3 * int(text[-1]) - 2, 1)


_TIMES: Final[Mapping[str, Callable[[str], Any]]] = {  # how a time is written in a name -> what it is
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?": datetime.fromisoformat,
    r"\d{4}-\d\d-\d\d": _day,
    r"\d{4}-(?:0[1-9]|1[0-2])": _month,
    r"\d{4}[-_ ]?[qQ][1-4]": _quarter,
    r"\d{1,9}": int,
}


@dataclass(frozen=True, slots=True)
class Form:
    """The shape of a table: what its columns are. wide: {column: (variable, time)}."""

    shape: str
    key: str | None = None
    time: str | None = None
    variable: str | None = None
    value: str | None = None
    wide: Mapping[str, _Name] = field(default_factory=dict)
    reason: str = ""


def reshape(
    data: Any,
    to: str = ROWS,
    *,
    key: str | None = None,
    time: str | None = None,
    variable: str | None = None,
    value: str | None = None,
) -> Any:
    """A table of sequences in another shape: "rows", "wide" or "long"; as a polars frame.

    data: one frame of any kind. key, time, variable, value: names of columns, where they are not found; of wide data,
    `time` names the new column. Raises ArgumentError where a column is not found, DataError for two values of one time.

    >>> wide = pl.DataFrame({"sensor": ["a", "b"], "2024-01": [1, 2], "2024-02": [1, None], "2024-03": [2, 3]})
    >>> reshape(wide).shape
    (5, 3)
    >>> reshape(reshape(wide), "wide", key="sensor", time="time").columns
    ['sensor', '2024-01-01', '2024-02-01', '2024-03-01']
    """
    if to not in SHAPES:
        raise ArgumentError(f"to: {did_you_mean(to, SHAPES)}")
    (frame,) = enter(data)[0].values()
    for name in (key, None if shape_of(frame).shape == WIDE else time, variable, value):
        if name is not None and name not in frame.columns:
            raise ArgumentError(f"there is no column {name!r}; {did_you_mean(name, frame.columns)}")
    told = Form(ROWS, key, time, variable, value)
    found = shape_of(frame, told)
    if found.shape == to:
        return frame
    frame, found = _to_rows(frame, found)
    if to == ROWS:
        return frame
    return _widened(frame, _keyed(frame, found)) if to == WIDE else _lengthened(frame, _keyed(frame, found))


def shape_of(frame: pl.DataFrame, told: Form | None = None) -> Form:
    """The shape that a table is seen to have. told: names of columns that are known.

    >>> shape_of(pl.DataFrame({"id": ["x"], "day_1": [3], "day_2": [4], "day_3": [4]})).reason
    'day_1 to day_3 are 3 times'
    """
    told = told or Form(ROWS)
    if told.variable or told.value:
        return _long_form(frame, told)
    wide = _wide_names(frame)
    if wide:
        names = list(wide)
        times = len({time for _, time in wide.values()})
        unit = _unit(names[0])
        why = f"{names[0]} to {names[-1]} are {times:,} times"
        others = (n for n in frame.columns if n not in wide and not frame.schema[n].is_float())
        key = told.key or next((n for n in others if frame[n].is_unique().all()), None)
        return Form(WIDE, key, told.time or unit or "time", wide=wide, reason=why)
    lower = {name.lower(): name for name in reversed(frame.columns)}
    variable, value = (next((lower[n] for n in lower if n in names), None) for names in (_VARIABLES, _VALUES))
    if variable and value:
        found = _long_form(frame, replace(told, variable=variable, value=value))
        keys = [n for n in (found.key, found.time) if n]
        if keys and frame.select(keys).is_duplicated().any() and found.time:
            return replace(found, reason=f"{variable} names what {value} is of, at each {found.time}")
    return told


def notes_on(dataset: Mapping[str, pl.DataFrame]) -> list[str]:
    """A sentence on each table that would rather be learned as rows of sequences.

    Counts at the end of names (item1, item2) prove nothing by themselves: of wide tables there must be a key, and a
    calendar or a unit such as day_1.
    """
    out = []
    for name, frame in dataset.items():
        found = shape_of(frame)
        dated = any(isinstance(t, date) for _, t in found.wide.values()) or found.time != "time"
        if found.shape == LONG or (found.shape == WIDE and found.key and dated):
            out.append(
                f"table {name!r} looks {found.shape} ({found.reason}): `verosim reshape` makes rows of it, which are "
                "learned as sequences"
            )
    return out


# ------------------------------------------------------------------------------------------------- what is what


def _wide_names(frame: pl.DataFrame) -> dict[str, _Name]:
    """The columns whose names say times, by (variable, time), in their order; none where they are too few."""
    for pattern, parsed in _TIMES.items():
        found = dict[str, _Name]()
        for name in frame.columns:
            if match := re.fullmatch(rf"(.*?)[ _.:-]?({pattern})", name):
                try:
                    found[name] = ("" if _unit(name) is not None else match[1], parsed(match[2]))
                except ValueError:
                    continue
        if whole := _whole(found, frame):
            return whole
    return {}


def _whole(found: Mapping[str, _Name], frame: pl.DataFrame) -> dict[str, _Name]:
    """Those whose variables have all the same times, several, and values of one kind."""
    times: dict[str, list[Any]] = {}
    for variable, time in found.values():
        times.setdefault(variable, []).append(time)
    most = max(times.values(), key=len, default=[])
    if len({*most}) < LEAST:
        return {}
    kept = {v for v, own in times.items() if sorted(own) == sorted(most) and len({*own}) == len(own)}
    kinds = {(v, _kind(frame.schema[name])) for name, (v, _) in found.items() if v in kept}
    kept -= {v for v in kept if len({kind for name, kind in kinds if name == v} - {"none"}) > 1}
    return {name: (variable or VALUE, time) for name, (variable, time) in found.items() if variable in kept}


def _kind(dtype: pl.DataType) -> str:
    return "none" if dtype == pl.Null else "number" if dtype.is_numeric() else str(dtype)


def _unit(name: str) -> str | None:
    """day_1 -> day, t1 -> "": what is counted, which is no variable; None where something else is named."""
    match = re.fullmatch(r"([A-Za-z]*)[ _.:-]?\d+", name)
    if match is None or (match[1].lower() not in _UNITS and match[1]):
        return None
    return match[1].lower() if len(match[1]) > 1 else ""


def _long_form(frame: pl.DataFrame, told: Form) -> Form:
    """Values by variable, at a time and perhaps of a key."""
    if not (told.variable and told.value):
        raise ArgumentError("of long data both columns are wanted: `variable` and `value`.")
    return replace(_told_apart(frame, told), shape=LONG)


def _keyed(frame: pl.DataFrame, found: Form) -> Form:
    """Key and time of rows, as they are said, or found as those of sequences, or seen by what tells rows apart."""
    if found.key and found.time:
        return found
    if said := infer({"table": frame})["table"].sequence:
        found = replace(found, key=found.key or said.key, time=found.time or said.time)
    found = found if found.time else _told_apart(frame, found)
    if found.time is None:
        raise ArgumentError("which columns are the key and the time is not found: say `key` and `time`.")
    return found


def _told_apart(frame: pl.DataFrame, told: Form) -> Form:
    """The time is a column of times, the key what tells apart rows of one time (and variable)."""
    kinds = {c.name: c.kind for c in infer({"table": frame})["table"].columns}
    others = [n for n in frame.columns if n not in (told.variable, told.value, told.key)]
    time = told.time or next((n for n in others if kinds[n] in ("date", "datetime")), None)
    time = time or next((n for n in others if n.lower() in _UNITS), None)
    if time is None or told.key:
        return replace(told, time=time)
    at, others = [n for n in (time, told.variable) if n], [n for n in others if n != time]
    if not frame.select(at).is_duplicated().any():
        return replace(told, time=time)
    apart = (n for n in others if not frame.select(n, *at).is_duplicated().any())
    return replace(told, time=time, key=next(apart, None) or next(iter(others), None))


# ------------------------------------------------------------------------------------------------- to rows


def _to_rows(frame: pl.DataFrame, found: Form) -> tuple[pl.DataFrame, Form]:
    if found.shape == WIDE:
        return _of_wide(frame, found)
    return (_of_long(frame, found), found) if found.shape == LONG else (frame, found)


def _of_wide(frame: pl.DataFrame, found: Form) -> tuple[pl.DataFrame, Form]:
    """A row for each key and time at which there is a value; one for a key that has none at all."""
    others, n = [c for c in frame.columns if c not in found.wide], frame.height
    key, time = found.key or _free("key", frame.columns), _free(found.time or "time", others)
    own = frame.select(others) if found.key else frame.select(pl.Series(key, np.arange(1, n + 1)), *others)
    times = sorted({t for _, t in found.wide.values()})
    sort = np.argsort(np.tile(np.arange(n), len(times)), kind="stable")
    variables = dict.fromkeys(variable for variable, _ in found.wide.values())
    values = [_stacked(frame, found, variable, times)[sort] for variable in variables]
    out = own[np.repeat(np.arange(n), len(times))]
    stamps = pl.Series(time, times).gather(np.tile(np.arange(len(times)), n))
    out = out.with_columns(stamps, *values)
    there = ~out.select(pl.all_horizontal(pl.col(list(variables)).is_null())).to_series()
    number = pl.Series(np.repeat(np.arange(n), len(times)))
    first = pl.DataFrame({"key": number, "there": there}).select(
        (pl.int_range(pl.len()).over("key") == 0) & ~pl.col("there").any().over("key")
    )
    return out.filter(there | first.to_series()), replace(found, shape=ROWS, key=key, time=time)


def _stacked(frame: pl.DataFrame, found: Form, variable: str, times: Sequence[Any]) -> pl.Series:
    """One variable at all times (t * n,), time by time."""
    names = {time: name for name, (own, time) in found.wide.items() if own == variable}
    parts = [frame.select(pl.col(names[time]).alias(variable)) for time in times]
    return pl.concat(parts, how="vertical_relaxed").to_series()


def _of_long(frame: pl.DataFrame, found: Form) -> pl.DataFrame:
    """A row for each key and time, a column for each variable."""
    variable, value = str(found.variable), str(found.value)
    index = [n for n in frame.columns if n not in (variable, value)]
    told = [n for n in (found.key, found.time, variable) if n]
    _no_doubles(frame, told, f"two values of one {' and '.join(told)}")
    missing = frame[variable].is_null().arg_true()
    if len(missing):
        raise DataError("no variable is named.", table="table", column=variable, row=int(missing[0]), fix="Name it.")
    keys = [n for n in (found.key, found.time) if n] or index
    for name in index:
        off = frame.select((pl.col(name).n_unique().over(keys) > 1).arg_true()).to_series()
        if name not in keys and len(off):
            reason, fix = "it is not the same for all variables.", "Leave it out, or make it a part of the variable."
            raise DataError(reason, table="table", column=name, row=int(off[0]), fix=fix)
    out = frame.pivot(on=variable, index=index, values=value, maintain_order=True)
    return out.with_columns(_typed(out[name]) for name in out.columns if name not in index)


def _typed(series: pl.Series) -> pl.Series:
    """Text of which every value is a number, as numbers."""
    if series.dtype != pl.String:
        return series
    for dtype in (pl.Int64, pl.Float64):
        found = series.cast(dtype, strict=False)
        if found.null_count() == series.null_count():
            return found
    return series


# ------------------------------------------------------------------------------------------------- from rows


def _lengthened(frame: pl.DataFrame, found: Form) -> pl.DataFrame:
    """A row for each value that there is."""
    same, variables = _parts(frame, found)
    names = _free(found.variable or "variable", same), _free(found.value or VALUE, same)
    number = all(frame.schema[n].is_numeric() for n in variables)
    if not number:
        frame = frame.with_columns(pl.col(variables).cast(pl.String))
    rows = frame.with_row_index("its row")
    out = rows.unpivot(variables, index=["its row", *same], variable_name="its name", value_name="its value")
    out = out.sort("its row", maintain_order=True).drop("its row").drop_nulls("its value")
    return out.rename({"its name": names[0], "its value": names[1]})


def _widened(frame: pl.DataFrame, found: Form) -> pl.DataFrame:
    """A row for each key, a column for each variable and time."""
    same, variables = _parts(frame, found)
    time, statics = str(found.time), [n for n in same if n != found.time]
    said = [n for n in (found.key, time) if n]
    _no_doubles(frame, said, f"two rows of one {' and '.join(said)}")
    stamps = frame[time].unique().sort()
    written = dict(zip(stamps.to_list(), _written(stamps), strict=True))
    owners = frame.select(statics).unique(maintain_order=True) if statics else pl.DataFrame({"": [0]})
    at = {t: i for i, t in enumerate(written)}
    place = frame[time].replace_strict(at, return_dtype=pl.Int64).to_numpy()
    number = _numbers(frame, found)
    columns = list[pl.Series]()
    for variable in variables:
        cells = np.full((owners.height, len(at)), -1)
        cells[number, place] = np.arange(frame.height)
        for j, text in enumerate(written.values()):
            rows = pl.Series(cells[:, j])
            own = frame[variable].gather(rows.set(rows < 0, None))
            columns.append(own.alias(text if variable == VALUE else f"{variable}_{text}"))
    return owners.select(statics).hstack(columns) if statics else pl.DataFrame(columns)


def _numbers(frame: pl.DataFrame, found: Form) -> Ints:
    """(n,) which key each row is of, in the order in which they come."""
    if not found.key:
        return np.zeros(frame.height, np.int64)
    first = frame.with_row_index("i").select(pl.col("i").min().over(found.key)).to_series()
    return np.asarray(first.rank("dense").cast(pl.Int64).to_numpy() - 1)


def _parts(frame: pl.DataFrame, found: Form) -> tuple[list[str], list[str]]:
    """The columns that are the same in each key, key and time among them; and those that change."""
    others = [n for n in frame.columns if n not in (found.key, found.time)]
    same = set[str]()
    if found.key and others:
        counts = frame.group_by(found.key).agg(pl.col(others).n_unique()).select(pl.col(others).max()).row(0)
        same = {n for n, most in zip(others, counts, strict=True) if most == 1}
    same -= {VALUE, found.value}
    variables = [n for n in others if n not in same] or [n for n in others if frame.schema[n].is_numeric()]
    if not variables:
        raise DataError("no column changes within a key.", table="table", column=found.key, fix="Say another `key`.")
    return [n for n in frame.columns if n not in variables], variables


def _written(times: pl.Series) -> Iterator[str]:
    if isinstance(times.dtype, pl.Datetime):
        seconds = bool((times.dt.second() != 0).any())
        return iter(times.dt.to_string("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M").to_list())
    return iter(times.cast(pl.String).to_list())


def _no_doubles(frame: pl.DataFrame, names: list[str], what: str) -> None:
    doubled = frame.select((~pl.struct(names).is_first_distinct()).arg_true()).to_series() if names else pl.Series([])
    if len(doubled):
        row = int(doubled[0])
        said = ", ".join(str(frame[n][row]) for n in names)
        raise DataError(f"{what}: {said}.", table="table", column=tuple(names), row=row, fix="Leave one of them out.")


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name
