"""Bad inputs, one case or several for each known kind, numbered by the row of the reference that lists them.

Each goes the whole way, fit, sample, save and load, and comes out as what it was; or it is refused before any work, by
an error of ours that names table, column and the way out. What went in is never changed.

Where a row asks for what does not exist yet (batches, keys between tables, conditions, SQL), a comment says what stands
in its place.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.random import default_rng as RNG
from polars.testing import assert_frame_equal

import verosim as vs

Holds = Callable[[Any, Any], object]  # of the new rows and the real ones


def values(frame: Any, name: Any = "x") -> list[Any]:
    """One column of any frame as Python values."""
    column = frame[name]
    return column.to_pylist() if isinstance(frame, pa.Table) else column.to_list()


def shape_of(frame: Any) -> Any:
    """All that must come back besides the values: library, labels in order, types."""
    if isinstance(frame, Mapping):
        return {name: shape_of(table) for name, table in frame.items()}
    if isinstance(frame, pd.DataFrame):
        labels = [(type(label), repr(label)) for label in frame.columns]
        return pd.DataFrame, labels, list(frame.dtypes), frame.columns.dtype
    return (pl.DataFrame, frame.schema) if isinstance(frame, pl.DataFrame) else (pa.Table, frame.schema)


def height_of(frame: Any) -> Any:
    if isinstance(frame, Mapping):
        return {name: height_of(table) for name, table in frame.items()}
    return frame.num_rows if isinstance(frame, pa.Table) else len(frame)


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, Mapping):
        for name in one | other:
            assert_same(one[name], other[name])
    elif isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other)
    elif isinstance(one, pa.Table):
        assert repr(one.to_pylist()) == repr(other.to_pylist())  # as text: a NaN is not equal to itself
    elif isinstance(one, pl.DataFrame):
        assert_frame_equal(one, other)
    else:
        assert repr(one) == repr(other)


@dataclass
class Works:
    """Data that go the whole way. holds: what is true of (new rows, real rows)."""

    row: int
    what: str
    data: Any
    holds: Holds = lambda new, real: True
    rows: int | None = 200  # None: as many as the real data
    note: str = ""  # what the notes say, as a regular expression
    model: str = "independent"
    options: dict[str, Any] = field(default_factory=dict)

    def run(self, folder: Path) -> None:
        before = copy.deepcopy(self.data)
        synthesizer = vs.fit(self.data, model=self.model, seed=1, **self.options)
        assert_same(self.data, before)
        new = synthesizer.sample(self.rows)
        assert shape_of(new) == shape_of(self.data)
        assert height_of(new) == (self.rows if self.rows is not None else height_of(self.data))
        assert shape_of(synthesizer.sample(scale=0)) == shape_of(self.data)
        synthesizer.save(folder / "model.verosim")
        assert_same(vs.load(folder / "model.verosim").sample(self.rows), new)
        assert self.holds(new, self.data)
        assert re.search(self.note, " | ".join(synthesizer.notes)), synthesizer.notes
        json.dumps(synthesizer.report, allow_nan=False)


@dataclass
class Refused:
    """Data that cannot be learned. match: what the error says, of place and of the way out."""

    row: int
    what: str
    data: Any
    match: str
    error: type[vs.VerosimError] = vs.DataError
    options: dict[str, Any] = field(default_factory=dict)

    def run(self, folder: Path) -> None:
        before, shown = copy.deepcopy(self.data), []
        with pytest.raises(self.error, match=f"(?s){self.match}"):
            vs.fit(self.data, progress=lambda share, what: shown.append(what), **self.options)
        assert set(shown) <= {"looking at the columns"}
        assert_same(self.data, before)


@dataclass
class File:
    """A file that is learned, and one written like it. holds: what is true of (new bytes or frame, real ones)."""

    row: int
    what: str
    data: bytes
    holds: Holds = lambda new, real: True
    name: str = "t.csv"
    note: str = ""
    rows: int | None = None

    def run(self, folder: Path) -> None:
        source, out = folder / self.name, folder / f"out{Path(self.name).suffix}"
        source.write_bytes(self.data)
        done = vs.synth(source, out, rows=self.rows, options=vs.Options(model="independent"), seed=1)
        assert source.read_bytes() == self.data
        assert re.search(self.note, " | ".join(done.report.notes)), done.report.notes
        if self.name.endswith(".parquet"):
            new, real = pl.read_parquet(out), pl.read_parquet(source)
            assert new.schema == real.schema
            assert self.holds(new, real)
        else:
            lines = out.read_bytes().splitlines()
            assert lines[0] == self.data.splitlines()[0]
            assert self.holds(out.read_bytes(), self.data)


@dataclass
class RefusedFile:
    """A file that cannot be learned: nothing is written."""

    row: int
    what: str
    data: bytes
    match: str
    name: str = "t.csv"
    error: type[vs.VerosimError] = vs.VerosimError

    def run(self, folder: Path) -> None:
        (folder / self.name).write_bytes(self.data)
        with pytest.raises(self.error, match=f"(?s){self.match}"):
            vs.synth(folder / self.name)
        assert [path.name for path in folder.iterdir()] == [self.name]


# ------------------------------------------------------------------------------- what holds of the rows that come out


def alike(new: Any, real: Any) -> bool:
    """The new values of x are the real ones, type for type: all of them, and no others."""
    return set(map(repr, values(new))) == set(map(repr, values(real)))


def others(name: str) -> Holds:
    """No real value of the column comes back."""
    return lambda new, real: not {*values(new, name)} & {*values(real, name)}


def each(test: Callable[[Any], object]) -> Holds:
    """All new values of x pass, missing ones aside, and there are some."""
    return lambda new, _: (found := [v for v in values(new) if not pd.isna(v)]) and all(map(test, found))


def matching(pattern: str) -> Holds:
    return each(re.compile(pattern).fullmatch)


def of_type(kind: type) -> Holds:
    return each(lambda value: type(value) is kind)


def between(low: Any, high: Any) -> Holds:
    return each(lambda value: low <= value <= high)


def counted(value: Any, low: int, high: int) -> Holds:
    """So many of the new values of x are this one; None: are missing."""
    return lambda new, _: low <= sum(pd.isna(v) if value is None else v == value for v in values(new)) <= high


def both(*tests: Holds) -> Holds:
    return lambda new, real: all(test(new, real) for test in tests)


def same_cells(new: bytes, real: bytes) -> bool:
    """The first column of a file without line ends in cells has the cells that it had, and no others."""
    return set(column(new)) == set(column(real))


def column(data: bytes) -> list[str]:
    return [line.split(",")[0] for line in data.decode().splitlines()[1:]]


def no_column_missing(new: Any, real: Any) -> bool:
    """All missing in x, and nothing in y."""
    return all(pd.isna(v) for v in values(new)) and not any(pd.isna(v) for v in values(new, "y"))


def even(new: Any, real: Any) -> bool:
    """Chi-squared of the counts, three degrees of freedom: above 30 in one run of a million."""
    counts = Counter(values(new)).values()
    mean = sum(counts) / len(counts)
    return len(counts) == 4 and sum((n - mean) ** 2 / mean for n in counts) < 30


# ------------------------------------------------------------------------------------------------- what goes in


def x(*cells: Any, **options: Any) -> pl.DataFrame:
    """A polars frame of one column x, beside one of letters."""
    return pl.DataFrame([pl.Series("x", cells, strict=False, **options), pl.Series("y", letters(len(cells)))])


def px(*cells: Any, **options: Any) -> pd.DataFrame:
    """The same of pandas."""
    return pd.DataFrame({"x": pd.Series(list(cells), **options), "y": letters(len(cells))})


def letters(n: int) -> list[str]:
    return ["abc"[i % 3] for i in range(n)]


def named(*names: str) -> pl.DataFrame:
    return pl.DataFrame({name: [1, 2, 2, 3, None] * 8 for name in names})


def labelled(*labels: Any) -> pd.DataFrame:
    frame = pd.DataFrame(np.arange(20 * len(labels)).reshape(20, -1) % 3)
    frame.columns = pd.Index(list(labels), dtype=object, tupleize_cols=False)
    return frame


def csv(name: str, *cells: Any) -> bytes:
    """A column of cells beside one of row numbers."""
    return "".join([f"{name},n\n", *(f"{cell},{i}\n" for i, cell in enumerate(cells))]).encode()


def parquet(**columns: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def read_only() -> pd.DataFrame:
    array = np.arange(60.0).reshape(20, 3)
    array.flags.writeable = False
    return pd.DataFrame(array, columns=list("abc"), copy=False)


NAN, INF = float("nan"), float("inf")
OBJECT = {"dtype": object}
MODELS = ("independent", "copula", "chain")
MADRID = pl.Datetime("us", "Europe/Madrid")
DAYS = [date(2024, 1, 1) + timedelta(days=i % 50) for i in range(100)]
TIMES = [
    datetime(2024, 3, 30, 22) + timedelta(minutes=7 * i) for i in range(60)
]  # over a night without 02:00 in Madrid
LAST = date(9999, 12, 31)
HEAVY = np.exp(RNG(0).uniform(math.log(1e-9), math.log(1e12), 300)).tolist()
UNIFORM = RNG(1).uniform(0, 1, 300).tolist()
STRANGE_NANS = np.array([0x7FF8000000000001, 0xFFF8000000000000, 0x3FF0000000000000] * 10, np.uint64).view(float)
EMAILS = [f"{who}.{i}@example{i}.org" for i, who in enumerate(["ann", "bob", "eve"] * 7)]
PEOPLE = [f"{first} {last}" for first in ("Ann", "Mary", "James") for last in ("Smith", "Brown", "Zweig")]
ONE_ROW = pl.DataFrame({"n": [1.5], "t": ["a b"], "d": [date(2024, 1, 1)], "b": [True]})
WORDS = ["nan", "None", "NULL", "NA", "null"]
SCRIPT = ["é", "e\u0301", "👩‍👧", "\u200b", "a\0b", "ﬁ"]
TWO_LEVELS = vs.Schema({"table": vs.Table("table", (vs.Column("x", "ordinal", "str", levels=("a", "c")),))})
TWO_INDEX = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])

SHAPE = [
    Refused(1, "polars", pl.DataFrame(), "table 'table'.*no columns.*Give"),
    Refused(1, "pandas", pd.DataFrame(), "table 'table'.*no columns.*Give"),
    Refused(1, "pyarrow", pa.table({}), "table 'table'.*no columns.*Give"),
    Refused(1, "no tables", {}, "no tables.*Give"),
    RefusedFile(1, "0 bytes", b"", "t.csv: is empty"),
    Refused(2, "no rows", x().clear(), "table 'table'.*no rows.*Give"),
    Refused(2, "no rows in any table", {"a": x().clear(), "b": x().clear()}, "a, b.*no rows.*Give"),
    RefusedFile(2, "only a header", b"a,b\n", "t.csv.*no rows"),
    *(Works(2, f"one of two tables is empty, {m}", {"a": x(*"pqr" * 9), "b": x(1).clear()},
            lambda new, _: new["b"].is_empty(), rows=None, model=m) for m in MODELS),
    *(Works(3, f"one row, {m}", ONE_ROW, note="few", model=m) for m in MODELS),
    # 4, 5: there are no batches; few rows are few for trees, folds, grids and hold-outs
    *(Works(4, f"{n} rows, {m}", x(*range(n)), model=m) for n in (2, 3, 21) for m in ("chain", "copula")),
    *(Works(5, f"{3 * n} rows", x(*[1.5, 2.5, 4.0] * n), model="chain") for n in (9, 10, 11)),
    *(Works(6, f"one column, {m}", pl.DataFrame({"x": [3, 1, 4] * 20}), alike, model=m) for m in MODELS),
    Works(7, "only numbers", pl.DataFrame(RNG(0).normal(size=(100, 4)), list("abcd")), model="chain"),
    Works(8, "only categories", pl.DataFrame({c: [*"pqqrrr"] * 20 for c in "abcd"}), model="chain"),
    Works(9, "only keys", pl.DataFrame({"id": range(100, 150), "x": [f"AB-{i:04}" for i in range(50)]}),
          both(matching(r"AB-\d{4}"), lambda new, _: new["id"].n_unique() == new["x"].n_unique() == 200)),
    Works(9, "keys of one byte", pl.DataFrame({"id": pl.Series(range(-60, 60, 4), dtype=pl.Int8)}), rows=40),
    Works(9, "keys all over one byte", pl.DataFrame({"id": pl.Series(RNG(0).permutation(256)[:40], dtype=pl.UInt8)})),
    Works(9, "keys held as floats", px(*range(500, 540)).rename(columns={"x": "id"}).astype({"id": "float32"})),
    Works(10, "only text", pl.DataFrame({c: [f"{w} of {c} is {i}" for i, w in enumerate(WORDS * 8)] for c in "xy"})),
    Works(11, "500 columns", pl.DataFrame({f"c{i}": RNG(i).integers(0, 9, 20) for i in range(500)}), rows=20),
    Works(12, "30,000 levels", x(*[f"level {i % 30_000}" for i in range(60_000)]), rows=100, note="levels"),
    Works(13, "text index, twice the same", px(*range(20)).set_axis([*"ab"] * 10), note="index"),
    Works(13, "an index of numbers", px(*range(20)).set_axis([*range(5, 25)]),
          lambda new, _: list(new.index) == list(range(200)), note="index"),
    Refused(14, "MultiIndex of columns", px(1, 2).set_axis(TWO_INDEX, axis=1), "table 'table'.*MultiIndex.*Join the"),
    Works(14, "MultiIndex of rows", px(1, 2).set_axis(TWO_INDEX), note="index"),
    Works(15, "duplicate rows", pl.DataFrame({"x": [1] * 30 + [2] * 10, "y": ["p"] * 30 + ["q"] * 10}),
          both(counted(1, 120, 180), lambda new, _: set(new.rows()) == {(1, "p"), (2, "q")}), model="chain"),
    Refused(16, "ragged lists", {"a": [1, 2, 3], "b": [1]}, "table 'a'.*wanted.*list.*make a frame", vs.ArgumentError),
    Refused(16, "a list of rows", [{"a": 1}, {"b": 2}], "wanted.*list.*Make a frame", vs.ArgumentError),
    Refused(16, "a Series", pl.Series("x", [1, 2]), "wanted.*Series.*to_frame", vs.ArgumentError),
    RefusedFile(16, "ragged lines", b"a,b\n1,2\n3\n4,5\n", "table 't', row 1.*2"),
    Works(17, "arrays that cannot be written", read_only()),  # that nothing is changed is checked in every case
]  # fmt: skip

NAMES = [
    Refused(18, "pandas", labelled("a", "b", "a", "c", "b"), "table 'table'.*twice: 'a', 'b'.*name of its own"),
    Refused(18, "pyarrow", pa.Table.from_arrays([pa.array([1])] * 2, ["a", "a"]), "twice: 'a'.*name of its own"),
    RefusedFile(18, "CSV", b"a,b,a\n1,2,3\n", "table 't'.*twice.*'a'.*Rename"),
    Works(19, "0, 1, 2", pd.DataFrame(np.arange(60).reshape(20, 3) % 4)),
    Works(19, "7 and '7'", labelled(7, "7", 2.5, True)),
    Works(20, "None and empty", labelled(None, "", " ", "a")),
    Works(20, "empty, polars", named("", "a"), model="chain"),
    Works(20, "empty, in a rule", pl.DataFrame({"": [*"pqr"] * 20, "x": [1.5, 2.5, 4.0] * 20}), alike),
    Works(20, "NaN", labelled(NAN, "a")),
    Works(20, "times", labelled(pd.Timestamp("2024-01-01"), date(2024, 1, 1))),
    Refused(20, "tuple", labelled(("a", 1), "b"), r"table 'table', column \('a', 1\).*tuple.*Name columns by text"),
    Works(21, "index", named("index", "level_0", "columns")),
    Works(22, "tokens", model="chain",
          data=named("_RARE_", "__NULL__", "x", "x.value", "x_NaN", "x (time)", "x'", "value", "rows", "holders")),
    Works(22, "times beside what looks like their parts", model="chain",
          data=pl.DataFrame({"d": TIMES, "d (time)": range(60), "d (day)": range(60), "d'": range(60)})),
    Works(23, "operators", model="chain",
          data=named("a b", "a-b", "(a)", "a + b", "a > 1", "`a`", "'a'", '"a"', "a;b", "not", "null", "when")),
    *(Refused(23, f"pattern {name}", named(name, "a"), rf"table 'table', column '{re.escape(name)}'.*pattern.*Rename")
      for name in ("*", "^a.*$")),
    Works(24, "control characters", named("a\0b", "\0", "a\nb", "\x1b[31m", "\x7f")),
    Works(24, "null byte, pandas", labelled("a\0b", "\0")),
    Works(24, "null byte, pyarrow", pa.table({"a\0b": [1, 2] * 9, "\0": ["p", None] * 9})),
    File(24, "control characters, CSV", b'"a\x01\tb",c\x7fd\n' + b"1,2\n3,4\n" * 10),
    Works(25, "every script", named("🦉", "👩‍👧", "é", "e\u0301", "\u202eabc", "عمر", "數", "\u200b")),
    Refused(25, "lone surrogate", labelled("a\ud800", "b"), r"table 'table', column 'a\\ud800'.*surrogate.*Clean it"),
    Works(26, "case", named("name", "Name", "NAME")),
    # 27: below
    Works(28, "long names", named("a" * 1000, "a" * 999 + "b")),  # only SQL needs short ones: not written yet
]  # fmt: skip

NUMBERS = [
    Works(29, "infinite", x(*[INF, -INF, 1.5, 2.5, NAN, None] * 10), alike),
    Works(29, "infinite, chain", px(*[INF, -INF, 1.5, 2.5] * 10), alike, model="chain"),
    Works(29, "infinite float32", x(*[INF, -INF, 1.5] * 10, dtype=pl.Float32), alike),
    Works(29, "only infinite", x(*[INF] * 20), alike),
    Works(30, "all NaN, pandas", px(*[NAN] * 40), no_column_missing),
    Works(30, "all NaN, polars", x(*[NAN] * 40), alike, model="chain"),
    *(Works(30, f"all null {dtype}", x(*[None] * 40, dtype=dtype), no_column_missing, model="chain")
      for dtype in (pl.Int64, pl.Float32, pl.String, pl.Boolean, pl.Date, MADRID, pl.Decimal(9, 2), pl.Null)),
    Works(31, "one value among missing", x(*[None] * 39, 7), lambda new, _: new["y"].null_count() == 0),
    Works(31, "one category among missing", x(*[None] * 39, "a"), model="chain"),
    Works(31, "one missing among values", x(*[5] * 39, None), counted(5, 150, 200)),
    *(Works(32, f"constant {v!r}, {m}", x(*[v] * 40), alike, model=m) for m in MODELS
      for v in (7, 0.1, -1e308, "a", True, date(2024, 2, 29), Decimal("1.10"))),
    Works(33, "near-constant", x(*[1 + i * 2.3e-16 for i in range(40)]), between(1, 1 + 1e-14)),
    Works(33, "denormal", x(*[5e-324 * i for i in range(40)]), between(0, 2e-322)),
    Works(33, "spread of 1e-300", x(*[1e-300 * i for i in range(40)]), between(0, 4e-299), model="chain"),
    Works(33, "the ends of floats", x(*[-1.7e308, 1.7e308, 0.0] * 20), alike, model="chain"),
    Works(34, "beyond 2**53", x(*[2**53 + 1, 2**63 - 1, -(2**63), 2**53 + 3] * 10), alike, model="chain"),
    Works(34, "beyond 2**53, pandas", px(*[2**53 + 1, 2**63 - 1, -(2**63)] * 10), alike),
    Works(35, "beyond 2**63", x(*[2**63 + 1, 2**64 - 1, 0] * 10, dtype=pl.UInt64), alike, model="chain"),
    Works(35, "beyond 2**64", x(*[2**64 + 1, 2**100] * 10, dtype=pl.Int128), alike),
    Works(36, "Int64 with NA", px(*[1, 2**53 + 1, pd.NA] * 20, dtype="Int64"), alike),
    Works(37, "whole numbers and NaN", px(*[1, 2, 30, NAN] * 15), alike),
    Works(37, "many whole numbers and NaN", px(*range(300), NAN, NAN), each(float.is_integer)),
    Works(38, "bool", px(*[True, False, True] * 20), alike),
    Works(39, "bool and NaN", px(*[True, False, NAN] * 20, **OBJECT), alike),
    Works(39, "bool and None", px(*[True, False, None] * 20, **OBJECT), alike, model="chain"),
    Works(39, "boolean", px(*[True, False, pd.NA] * 20, dtype="boolean"), alike),
    Works(40, "categories of ints", px(*[1, 2, 5] * 20, dtype="category"), alike),
    Works(40, "ints for categories", x(*[1, 2, 5] * 40), alike, model="chain"),
    Works(41, "few floats", px(*[0.5, 1.0, 2.25] * 20), alike),
    Works(42, "Decimal objects", px(*[Decimal("1.10"), Decimal("2.50")] * 20, **OBJECT), alike),
    Works(42, "decimal128", pa.table({"x": pa.array([Decimal("1.10"), None] * 20, pa.decimal128(12, 2))}), alike),
    Works(42, "many decimals", x(*[Decimal(i) / 100 for i in range(200)], dtype=pl.Decimal(38, 2)), between(0, 2)),
    Works(43, "ints and texts", px(*[1, "1", "a", 2.5, None] * 10, **OBJECT), alike, note="different types"),
    Works(44, "1,234.5", x(*[f"{1000 + 37.5 * i:,.1f}" for i in range(100)]), matching(r"\d,\d{3}\.\d")),
    Works(44, "5%", x(*[f"{i % 30}%" for i in range(100)]), matching(r"\d+%")),
    *(Works(45, f"{d} decimals", x(*np.round(RNG(d).normal(50, 9, 300), d)), each(lambda v, d=d: round(v, d) == v))
      for d in (0, 1, 3, 9)),
    Works(45, "tenths of a float32", px(*[i / 10 for i in range(100)], dtype="float32"),
          lambda new, _: (new["x"].round(1) == new["x"]).all()),
    Works(46, "float16", px(*[0.5, 65504, -65504] * 10, dtype="float16"), alike),
    Works(46, "float16, polars", x(*[0.5, 65504, -65504] * 10, dtype=pl.Float16), alike),
    Works(46, "float32", px(*RNG(0).normal(0, 1e38, 60), dtype="float32"), each(math.isfinite)),
    Refused(47, "complex", px(1 + 2j, 3j), "table 'table', column 'x': type complex128.*two columns"),
    Refused(47, "complex objects", px(1 + 2j, "a", **OBJECT), "table 'table', column 'x', row 0.*complex.*two columns"),
    *(Works(48, f"heavy tails, {m}", x(*HEAVY), model=m, holds=both(
        between(min(HEAVY), max(HEAVY)),
        lambda new, _: 0 < new["x"].log10().mean() < 3 and Counter(values(new)).most_common(1)[0][1] < 20,
      )) for m in ("independent", "chain")),
    Works(49, "zero-inflated", x(*[0.0] * 150, *[i / 7 for i in range(1, 151)]), counted(0, 340, 460), rows=800),
    Works(50, "nothing out of range, no heap at its ends", x(*UNIFORM), both(
        between(min(UNIFORM), max(UNIFORM)),
        lambda new, _: new["x"].is_in([new["x"].min(), new["x"].max()]).sum() < 10,
    )),
    Works(51, "minus zero", x(*[-0.0, 0.0, 1.5] * 10), each(lambda v: math.copysign(1, v) == 1)),
    Works(51, "only minus zero", x(*[-0.0] * 30), each(lambda v: math.copysign(1, v) == 1)),
    Works(51, "NaNs of other bits", x(*STRANGE_NANS), counted(None, 90, 180)),
    Works(52, "nothing varies", pl.DataFrame({"a": [1] * 60, "b": ["x"] * 60}), model="chain"),
]  # fmt: skip

TEXT = [
    Works(53, "unused levels", px(*"abab" * 9, dtype=pd.CategoricalDtype(["z", "a", "b"])), alike),
    Works(53, "unused levels of an Enum", x(*"abab" * 9, dtype=pl.Enum(["z", "a", "b"])), alike, model="chain"),
    Works(53, "unused levels, pyarrow", holds=alike,
          data=pa.table({"x": pa.DictionaryArray.from_arrays([1, 2, None] * 9, ["z", "a", "b"])})),
    Works(54, "ordered", px(*["low", "high"] * 9, dtype=pd.CategoricalDtype(["low", "mid", "high"], True)), alike),
    Works(55, "one category", px(*["a"] * 30, dtype="category"), alike, model="chain"),
    Works(56, "a rare one of two", x(*["a"] * 190, *["b"] * 10), counted("b", 50, 160), rows=2000, model="chain"),
    *(Works(57, f"four alike, {m}", x(*[*"pqrs"] * 50), even, rows=2000, model=m) for m in MODELS),
    Works(58, "None, NaN and empty", px(*[None, NAN, "", "a"] * 15, **OBJECT), alike),
    Works(58, "null and empty", x(*[None, "", "a"] * 15), alike, model="chain"),
    Works(58, "null and NaN", x(*[None, NAN, 1.0] * 15), alike, model="chain"),
    File(58, "empty and quoted empty", csv("a", *["x", '""', ""] * 10), same_cells),
    Works(59, "texts that say nothing", x(*[*WORDS, ""] * 8), alike),
    Works(59, "texts that say nothing, pandas", px(*[*WORDS, None] * 8), alike),
    File(59, "NA, quoted and not", csv("a", *['"NA"', "NA", '"x"', '"None"'] * 10), same_cells),
    File(59, "quotes that tell nothing apart", csv("a", *['"NA"', "NA", "x", "None"] * 10),
         lambda new, _: set(column(new)) == {"NA", "x", "None"}),
    Works(60, "tokens", x(*["_RARE_", "__NULL__", "\x01", "int:1", "str:a", "NoneType:", "<unk>"] * 8), alike),
    Works(60, "tokens among objects", px(*["int:1", 1, "NoneType:", None, "str:x"] * 8, **OBJECT), alike),
    # 61: no more data are encoded after `fit`; a schema file may lack a level
    Refused(61, "a level that the schema lacks", x(*"ab" * 10), "table 'table', column 'x', row 1: 'b'.*levels",
            vs.DataError, {"schema": TWO_LEVELS}),
    File(62, "leading zeros", csv("zone", *[f"{i % 7:05}" for i in range(70)]), same_cells),
    Works(62, "leading zeros, polars", x(*[f"{i % 7:05}" for i in range(70)]), alike),
    Works(63, "card numbers", pl.DataFrame({"card": [4000000000000000 + 7 * i**5 for i in range(60)]}), others("card")),
    Works(64, "phone numbers as floats", pl.DataFrame({"phone": [617_000_000.0 + 7919 * i for i in range(60)]}),
          both(others("phone"), lambda new, _: (new["phone"] % 1 == 0).all())),
    Works(65, "a cell of 1 MB", x("word " * 200_000, *[f"some words {i}" for i in range(40)]),
          each(lambda v: len(v) < 100_000)),
    Works(66, "bytes of text", x(*SCRIPT * 8), alike, model="chain"),
    Works(66, "bytes of text, pandas", px(*SCRIPT * 8), alike),
    File(67, "lines, quotes and commas in cells", csv("a", *['"p\nq"', '"say ""hi"""', '"1,5"'] * 10),
         lambda new, _: all(part in new for part in (b'"p\nq"', b'"say ""hi"""', b'"1,5"'))),
    Refused(68, "polars", x(b"a", b"b"), "table 'table', column 'x'.*binary.*(Leave|Convert)"),
    Refused(68, "pandas", px(b"a", b"b", **OBJECT), "table 'table', column 'x'.*binary.*(Leave|Convert)"),
    Refused(68, "pyarrow", pa.table({"x": pa.array([b"a"])}), "table 'table', column 'x'.*binary.*(Leave|Convert)"),
    RefusedFile(68, "Parquet", parquet(x=[b"a", b"b"]), "table 't', column 'x'.*binary.*Leave", "t.parquet"),
    Refused(69, "lists", x([1], [2, 3]), "table 'table', column 'x'.*(JSON text|explode)"),
    Refused(69, "dicts", px({"a": 1}, {"a": 2}, **OBJECT), "table 'table', column 'x', row 0.*dict.*JSON text"),
    Refused(69, "arrays", px(np.arange(2), np.arange(3), **OBJECT), "table 'table', column 'x', row 0.*JSON text"),
    Refused(69, "structs", pa.table({"x": [{"a": 1}]}), "table 'table', column 'x'.*JSON text"),
    RefusedFile(69, "Parquet", parquet(x=[[1], [2]]), "table 't', column 'x'.*(JSON text|explode)", "t.parquet"),
    Works(70, "special characters", x(*["@a", "#b", "$c", "%d", "=1+1", "\\n", "a|b"] * 8), alike, model="chain"),
    Works(71, "10,000 levels", x(*[f"v{i % 10_000}x y" for i in range(20_000)]), rows=100, model="chain",
          options={"k": 2}),
    Works(72, "mail addresses", pl.DataFrame({"x": EMAILS * 5}), both(others("x"), matching(r"\S+@\S+"))),
    Works(72, "names", pl.DataFrame({"name": PEOPLE * 6}), lambda new, _: new["name"].n_unique() > 50, note="provider"),
]  # fmt: skip

DATES = [
    Works(73, "time zone", x(*TIMES).with_columns(pl.col("x").dt.replace_time_zone("UTC").cast(MADRID)), model="chain"),
    Works(73, "time zone, pandas", px(*pd.date_range("2024-03-09", periods=60, freq="h", tz="America/New_York"))),
    Works(73, "fixed offset", px(*pd.date_range("2024-03-30", periods=60, freq="h", tz="+05:30"))),
    Refused(74, "several zones", px(*(pd.Timestamp("2024-01-01", tz=z) for z in ("UTC", "Asia/Tokyo")), **OBJECT),
            "table 'table', column 'x'.*Asia/Tokyo.*Bring the column to one"),
    Refused(74, "some without zone", px(datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), **OBJECT),
            "table 'table', column 'x'.*zones.*Bring the column to one"),
    Works(75, "NaT", px(*pd.date_range("2024-01-01", periods=50), *[pd.NaT] * 50), counted(None, 60, 140)),
    Works(75, "all NaT", px(*[pd.NaT] * 50, dtype="datetime64[ns]"), no_column_missing),
    Works(76, "all None", px(*[None] * 50, **OBJECT), alike, model="chain"),
    Works(76, "all NaT, as objects", px(*[pd.NaT] * 50, **OBJECT), alike),
    Works(77, "any year", x(*[datetime(y, 10, 14) for y in (1, 1066, 2999, 9999)] * 9), alike, model="chain"),
    Works(77, "any year, pandas", px(*np.array(["1066-10-14", "2999-01-01"] * 9, "M8[s]")), alike),
    Works(77, "any year, objects", px(*[datetime(1066, 10, 14), datetime(2999, 1, 1)] * 9, **OBJECT), alike),
    Works(77, "the ends of nanoseconds", holds=alike,
          data=x(*[datetime(1677, 9, 22), datetime(2262, 4, 11)] * 9, dtype=pl.Datetime("ns"))),
    Works(78, "9999-12-31", x(*DAYS, *[LAST] * 50), rows=600, model="chain",
          holds=both(counted(LAST, 150, 250), each(lambda v: v == LAST or v < date(2024, 3, 1)))),
    Works(79, "date objects", px(*DAYS, **OBJECT), of_type(date)),
    Works(80, "timedelta", px(*pd.to_timedelta(range(60), "min")), between(pd.Timedelta(0), pd.Timedelta("59min"))),
    Works(80, "duration", x(*[timedelta(seconds=i) for i in range(-30, 30)]), of_type(timedelta), model="chain"),
    Refused(81, "period", px(*pd.period_range("2024-01", periods=5, freq="M")), "column 'x'.*period.*to_timestamp"),
    Works(81, "time of day", px(*[time(9, i) for i in range(60)], **OBJECT), of_type(time)),
    Works(81, "time of day, polars", x(*[time(9, i) for i in range(60)]), between(time(9), time(9, 59)), model="chain"),
    File(82, "datetime64 in Parquet", parquet(x=np.array([*TIMES, None] * 2, "M8[ns]"), y=[*range(61)] * 2),
         counted(None, 1, 9), name="t.parquet"),
    *(File(83, form, csv("when", *[d.strftime(form) for d in DAYS]),
           lambda new, _, form=form: all(datetime.strptime(v, form).strftime(form) == v for v in column(new)))
      for form in ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%Y%m%d", "%d %b %Y")),
    File(83, "day or month", csv("when", *[f"0{i % 9 + 1}/0{i % 7 + 1}/2024" for i in range(60)]),
         note="when.*(month|day)"),
    Works(84, "nanoseconds as objects", px(*[17 * 10**17 + i for i in range(50)], **OBJECT), of_type(int)),
    Works(84, "Timestamp objects", px(*map(pd.Timestamp, TIMES), **OBJECT), of_type(pd.Timestamp)),
    Works(85, "days as datetimes", x(*DAYS, dtype=pl.Datetime("us")), each(lambda v: v.time() == time())),
    File(85, "days in text", csv("when", *DAYS), lambda new, _: all(len(v) == 10 for v in column(new))),
    Works(86, "start and end", pl.DataFrame({"start": DAYS, "end": [d + timedelta(i % 9) for i, d in enumerate(DAYS)]}),
          lambda new, _: (new["start"] <= new["end"]).all()),
    Works(86, "some ends before their start", holds=lambda new, _: (new["start"] > new["end"]).any(),
          data=pl.DataFrame({"start": DAYS, "end": [d + timedelta(i % 9 - 4) for i, d in enumerate(DAYS)]})),
    Works(87, "timestamp[us, tz]", data=pa.table({
        "x": pa.array(TIMES, pa.timestamp("us", "Europe/Madrid")), "y": pa.array(TIMES, pa.timestamp("s")),
    })),
    Works(87, "pandas of Arrow", pd.DataFrame({"x": pd.Series(TIMES, dtype=pd.ArrowDtype(pa.timestamp("us", "UTC")))})),
]  # fmt: skip

CASES = [*SHAPE, *NAMES, *NUMBERS, *TEXT, *DATES]


@pytest.mark.parametrize("case", CASES, ids=[f"{case.row}-{case.what}" for case in CASES])
def test_row(case: Works | Refused | File | RefusedFile, tmp_path: Path) -> None:
    case.run(tmp_path)


# ------------------------------------------------------------------------------- what no single case can show


def test_every_row_has_a_case() -> None:
    assert {case.row for case in CASES} == set(range(1, 88)) - {27}
    assert [case.row for case in CASES] == sorted(case.row for case in CASES)


def test_27_a_schema_in_another_order_is_the_same_schema() -> None:
    frame = pl.DataFrame({"a": range(40), "b": [*"pq"] * 20, "c": [1.5, 2.5] * 20})
    table = vs.inspect(frame)["table"]
    turned = vs.Schema({"table": vs.Table("table", table.columns[::-1], table.primary_key, table.rules, table.order)})
    one, other = (vs.fit(frame, schema, model="independent", seed=1).sample(50) for schema in (None, turned))
    assert one.columns == other.columns == frame.columns
    assert_frame_equal(one, other)


def test_2_an_empty_table_in_a_folder_stays_empty(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "parents.csv").write_bytes(csv("x", *"pqr" * 9))
    (tmp_path / "real" / "children.csv").write_bytes(b"a,b\n")
    vs.synth(tmp_path / "real", tmp_path / "new", options=vs.Options(model="independent"))
    assert (tmp_path / "new" / "children.csv").read_bytes() == b"a,b\n"
    assert len((tmp_path / "new" / "parents.csv").read_bytes().splitlines()) == 28


def test_9_keys_that_run_out_are_counted() -> None:
    synthesizer = vs.fit(pl.DataFrame({"id": pl.Series(range(100, 120), dtype=pl.Int8)}), model="independent")
    assert synthesizer.sample(28)["id"].is_unique().all()
    with pytest.raises(vs.RuleError, match=r"table 'table', column 'id'.*28 different ids.*29 rows.*fewer"):
        synthesizer.sample(29)


@pytest.mark.parametrize("cells", [[f"{i:,}.5" for i in range(990, 1050)], ["5%", "7%"] * 20])
def test_44_numbers_in_text_are_reported(cells: list[str]) -> None:
    found = vs.inspect(x(*cells))["table"]["x"]
    assert (found.kind, found.dtype) == ("number", "str")
    assert "text in the form" in found.reason
