"""Any frame goes the whole way, fit, sample, save, load, and comes out as the same kind of frame.

Frames are drawn by polars' own strategies: every type that we take, missing values, infinities, names that look like
something else, from no rows to 60, and rows that come back. What cannot be learned is refused with an error of ours.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from polars.testing.parametric import dataframes

import verosim as vs

TAKEN = [
    pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Float32, pl.Float64,
    pl.Decimal, pl.String, pl.Boolean, pl.Date, pl.Time, pl.Datetime, pl.Duration, pl.Categorical, pl.Enum, pl.Null,
]  # fmt: skip
REFUSED = [pl.Binary, pl.List(pl.Int8), pl.Array(pl.Int8, 2), pl.Struct({"a": pl.Int8})]
ODD = ["", " ", "index", "x", "x (time)", "x'", "x.value", "_RARE_", "__NULL__", "null", "1", "a,b", 'say "hi"', "🦉",
       "e\u0301", "\u202eabc", "\0", "=1+1", "id", "email", "date", "literal", "len", "a" * 300]  # fmt: skip
names = st.lists(
    st.sampled_from(ODD) | st.text(max_size=8).filter(lambda name: name != "*"), min_size=4, max_size=4, unique=True
)


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    """A frame of 0 to 60 rows; in some, values come back often, as only such are reproduced."""
    drawn = draw(dataframes(max_cols=4, max_size=30, allowed_dtypes=TAKEN, allow_null=True))
    frame = drawn.rename(dict(zip(drawn.columns, draw(names), strict=False)))
    if frame.height and draw(st.booleans()):
        rows = draw(st.lists(st.integers(0, frame.height - 1), min_size=1, max_size=60))
        frame = frame[rows]
    return frame


def learned(frame: pl.DataFrame, model: str, k: int) -> vs.Synthesizer | None:
    """The synthesizer; None where there is nothing to learn from, and just there."""
    before = frame.clone()
    if frame.height and frame.width:
        synthesizer = vs.fit(frame, model=model, k=k, seed=3)
        assert_frame_equal(frame, before, check_exact=True)
        return synthesizer
    with pytest.raises(vs.DataError, match=r"table 'table'.*Give a frame"):
        vs.fit(frame, model=model)
    return None


def sampled(synthesizer: vs.Synthesizer, rows: int) -> pl.DataFrame:
    """So many rows; half of them, where a small type has no more ids."""
    try:
        new = synthesizer.sample(rows)
    except vs.RuleError:
        assert any(column.kind == "id" for column in synthesizer.schema_["table"].columns)
        rows //= 2
        new = synthesizer.sample(rows)
    assert new.height == rows
    return new


def assert_in_the_domain(new: pl.DataFrame, real: pl.DataFrame, table: vs.Table, k: int) -> None:
    """Missing, infinite and far values come only where there were such; of fewer than k values none is kept."""
    for column, made, old in zip(table.columns, new, real, strict=True):
        assert old.null_count() or not made.null_count()
        assert made.null_count() == made.len() or old.null_count() < old.len()
        if made.dtype.is_float():
            assert old.is_nan().any() or not made.is_nan().any()
            assert old.is_infinite().any() or not made.is_infinite().any()
        known = measured(old)
        if (
            column.kind in {"number", "date", "datetime", "time", "duration"}
            and column.dtype != "str"
            and len(known) >= k
        ):
            assert measured(made).is_between(known.min(), known.max()).all()


def measured(values: pl.Series) -> pl.Series:
    """The finite values; of points in time their days, for which times are drawn."""
    if values.dtype.is_float():
        return values.filter(values.is_finite())
    return values.drop_nulls().dt.date() if isinstance(values.dtype, pl.Datetime) else values.drop_nulls()


@given(frames(), st.sampled_from(["independent", "copula", "chain"]), st.sampled_from([1, 2, 5]))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_frame_goes_the_whole_way(frame: pl.DataFrame, model: str, k: int) -> None:
    synthesizer = learned(frame, model, k)
    if synthesizer is None:
        return
    assert synthesizer.sample(0).schema == frame.schema
    new = sampled(synthesizer, 2 * frame.height)
    assert new.schema == frame.schema
    assert_in_the_domain(new, frame, synthesizer.schema_["table"], k)
    assert_frame_equal(synthesizer.sample(1), new.head(1), check_exact=True)
    with tempfile.TemporaryDirectory() as folder:
        synthesizer.save(Path(folder) / "model.verosim")
        again = vs.load(Path(folder) / "model.verosim").sample(new.height)
    assert_frame_equal(again, new, check_exact=True)


@given(frames().filter(lambda frame: frame.height and frame.width), st.sampled_from(REFUSED))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_column_that_cannot_be_learned_is_named(frame: pl.DataFrame, dtype: pl.DataType) -> None:
    frame = frame.with_columns(pl.Series("no place", [None] * frame.height, dtype=dtype))
    with pytest.raises(vs.DataError, match=r"table 'table', column 'no place': .*(Leave|Make|Convert|Cast)"):
        vs.fit(frame, model="independent")
