"""The codec: what comes back exactly, what is made up, what is never kept, and what a forged file does."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal
from polars.testing.parametric import dataframes

from verosim.codec import TableCodec
from verosim.errors import ArgumentError, DataError, ModelFileError, NotFittedError, SchemaError
from verosim.infer import infer
from verosim.models import Codes
from verosim.schema import Column, Table, dtype_name

RNG = np.random.default_rng


def column_of(series: pl.Series, kind: str | None = None, **more: Any) -> Column:
    levels = tuple(series.dtype.categories) if isinstance(series.dtype, pl.Enum) else None
    return Column(series.name, kind or kind_of(series.dtype), dtype_name(series.dtype), **{"levels": levels, **more})


def kind_of(dtype: pl.DataType) -> str:
    for plain, kind in ((pl.Boolean, "boolean"), (pl.Date, "date"), (pl.Datetime, "datetime"), (pl.Time, "time")):
        if dtype == plain:
            return kind
    if dtype == pl.Duration:
        return "duration"
    return "number" if dtype.is_numeric() else "category"


def fitted(
    values: Any, kind: str | None = None, *, k: int = 5, dtype: Any = None, unit: Any = None, **more: Any
) -> TableCodec:
    """A codec of one column, `x`."""
    series = pl.Series("x", values, dtype=dtype)
    return TableCodec(Table("t", (column_of(series, kind, **more),)), k=k).fit(series.to_frame(), unit)


def decoded(codec: TableCodec, codes: Codes, seed: int = 0) -> pl.DataFrame:
    return codec.decode(codes, np.arange(codes.n), RNG(seed), seed)


def back(codec: TableCodec, values: Any, dtype: Any = None) -> list[Any]:
    """Values encoded and decoded."""
    frame = pl.Series("x", values, dtype=dtype).to_frame()
    return decoded(codec, codec.encode(frame))["x"].to_list()


def drawn(codec: TableCodec, n: int = 2000, seed: int = 1) -> pl.Series:
    """Values of codes that know nothing of the data: even over all positions, levels and marks."""
    rng, arrays = RNG(seed), []
    for field in codec.fields:
        if field.ordered:
            marks = rng.random(n) < 0.1 * bool(field.marks)
            arrays.append(np.where(marks, -1.0 - rng.integers(0, max(field.marks, 1), n), rng.random(n)))
        else:
            arrays.append(rng.integers(0, field.levels, n).astype(np.int32))
    return decoded(codec, Codes(codec.fields, tuple(arrays), n))["x"]


def restored(codec: TableCodec) -> TableCodec:
    meta, arrays = codec.state()
    return TableCodec.restore(json.loads(json.dumps(meta)), arrays)


# -------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (pl.Int64, [2**53, 2**53 + 1, 2**63 - 1, -(2**63), 0]),
        (pl.UInt64, [2**63 + 1, 2**64 - 1, 0]),
        (pl.Int128, [2**100 + 1, -(2**100) - 3, 7]),
        (pl.Int8, [-128, 127]),
        (pl.Float64, [0.1, 1e-300, 1e300, 5e-324, -1.7976931348623157e308]),
        (pl.Float32, [0.5, 3.4028234663852886e38]),
        (pl.Decimal(38, 18), [Decimal("0.10"), Decimal("123456789.01"), Decimal("-5")]),
        (pl.Decimal(10, 2), [Decimal("0.10"), Decimal("-99999999.99")]),
        (pl.Duration("ns"), [timedelta(0), timedelta(days=1, microseconds=1)]),
        (pl.Time, [time(0), time(23, 59, 59, 999999)]),
        (pl.Date, [date(1, 1, 1), date(1582, 10, 5), date(9999, 12, 31)]),
        (pl.Datetime("us"), [datetime(1, 1, 1), datetime(2024, 2, 29, 12, 30, 1, 7), datetime(9999, 12, 31)]),
        (pl.Datetime("ms", "Europe/Madrid"), [datetime(2024, 7, 1, 9), datetime(1900, 1, 1, 10)]),
    ],
)
def test_values_that_enough_people_hold_come_back_exactly(dtype: Any, values: list[Any]) -> None:
    column = pl.Series(values * 5 + [None], dtype=dtype)
    codec = fitted(column)
    frame = column.alias("x").to_frame()
    assert_frame_equal(decoded(codec, codec.encode(frame)), frame)
    assert_frame_equal(decoded(restored(codec), codec.encode(frame)), frame)


def test_a_grid_worked_by_hand() -> None:
    # 6 of 10 rows are 0: an atom on [0, .6). Of 1 2 3 4, pairs have the means 1.5 and 3.5: a piece on [.6, 1).
    codec = fitted([0.0] * 6 + [1.0, 2.0, 3.0, 4.0], k=2)
    (field,) = codec.fields
    assert field.ordered
    assert field.marks == 0
    assert field.atoms.tolist() == [[0.0, 0.6]]
    frame = pl.DataFrame({"x": [0.0, 0.2, 1.5, 2.5, 3.5, 99.0, -5.0]})
    positions = codec.encode(frame).arrays[0]
    np.testing.assert_allclose(positions, [0.3, 0.6, 0.6, 0.8, 1.0, 1.0, 0.3])
    assert positions.max() < 1
    assert back(codec, [0.0, 1.0, 2.5, 4.0]) == pytest.approx([0.0, 1.5, 2.5, 3.5])


def test_marks_are_those_that_occur_and_unseen_ones_take_the_nearest() -> None:
    inf, nan = float("inf"), float("nan")
    codec = fitted([1.0] * 5 + [2.0] * 5 + [nan, None, inf], k=1)
    assert codec.fields[0].marks == 3
    codes = codec.encode(pl.DataFrame({"x": [None, nan, inf, -inf, 2.0]})).arrays[0]
    assert codes[:3].tolist() == [-1, -2, -3]
    assert codes[3] == codec.encode(pl.DataFrame({"x": [1.0]})).arrays[0][0]
    np.testing.assert_equal(back(codec, [None, nan, inf, 2.0]), [None, nan, inf, 2.0])
    without = fitted([1.0, 2.0, 3.0], k=1)
    assert without.encode(pl.DataFrame({"x": [None, nan]})).arrays[0].tolist() == [0.5, 0.5]


def test_minus_zero_is_zero() -> None:
    assert str(back(fitted([-0.0] * 5), [-0.0])[0]) == "0.0"


NUMBERS = st.one_of(
    st.lists(st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1.5, -2.0])), max_size=60).map(
        lambda v: pl.Series(v, dtype=pl.Float64)
    ),
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-3, 3)), max_size=60).map(
        lambda v: pl.Series(v, dtype=pl.Int64)
    ),
    st.lists(st.one_of(st.none(), st.integers(0, 2**64 - 1)), max_size=60).map(lambda v: pl.Series(v, dtype=pl.UInt64)),
    st.lists(st.one_of(st.none(), st.integers(-(2**120), 2**120), st.integers(-3, 3)), max_size=60).map(
        lambda v: pl.Series(v, dtype=pl.Int128)
    ),
    st.lists(st.one_of(st.none(), st.floats(width=32)), max_size=60).map(lambda v: pl.Series(v, dtype=pl.Float32)),
)


@given(NUMBERS, st.integers(1, 6), st.booleans(), st.data())
@settings(deadline=None, max_examples=150)
def test_any_numbers(series: pl.Series, k: int, with_unit: bool, data: st.DataObject) -> None:
    people = st.lists(st.integers(0, 8), min_size=len(series), max_size=len(series))
    unit = pl.Series(data.draw(people), dtype=pl.Int64) if with_unit else None
    codec = fitted(series, "number", k=k, unit=unit)
    frame = series.alias("x").to_frame()
    codes = codec.encode(frame)
    new = decoded(codec, codes)["x"]
    assert new.dtype == series.dtype
    assert_series_equal(new.is_null(), series.is_null(), check_names=False)
    real = series.is_not_null() & (series.is_finite() if series.dtype.is_float() else True)
    x, p, y = series.filter(real), codes.arrays[0][real.to_numpy()], new.filter(real)
    assert ((p >= 0) & (p < 1)).all()
    order = x.arg_sort()
    assert (np.diff(p[order.to_numpy()]) >= 0).all()
    assert y.gather(order).is_sorted()
    holders = pl.DataFrame({"x": x, "u": range(len(x)) if unit is None else unit.filter(real)})
    common = holders.group_by("x").agg(pl.col("u").n_unique()).filter(pl.col("u") >= k)["x"]
    if series.dtype != pl.Int128 or len(common) == common.cast(pl.Float64).n_unique():
        atoms = x.is_in(common.implode())
        assert y.filter(atoms).to_list() == x.filter(atoms).to_list()
    if len(set(holders["u"])) >= k and len(x):
        values = drawn(codec, 200)
        values = values.drop_nulls().filter(values.drop_nulls().is_finite()) if series.dtype.is_float() else values
        assert values.is_empty() or values.drop_nulls().is_between(x.min(), x.max()).all()
    assert_frame_equal(decoded(restored(codec), codes), decoded(codec, codes))


def test_digits_steps_and_dtypes_hold_in_what_is_made_up() -> None:
    rng = RNG(3)
    prices = rng.lognormal(3, 1, 3000).round(2)
    new = drawn(fitted(prices, digits=2))
    assert (new == new.round(2)).all()
    assert new.n_unique() > 1000
    assert (drawn(fitted((rng.normal(size=500) * 1000).astype(int) * 25, step=25)) % 25 == 0).all()
    assert drawn(fitted(rng.normal(size=500).astype(np.float32))).dtype == pl.Float32
    minutes = pl.Series([time(h % 24, h % 60) for h in range(500)])
    assert all(t.second == 0 and t.microsecond == 0 for t in drawn(fitted(minutes)))


def test_limits_hold_and_nothing_piles_up_there() -> None:
    values = RNG(0).normal(size=5000)
    new = drawn(fitted(values, minimum=-0.5, maximum=1.0), 5000)
    assert new.is_between(-0.5, 1.0).all()
    assert (new == 1.0).mean() < 0.01
    assert (new == -0.5).mean() < 0.01


def test_a_piece_does_not_reach_over_a_huge_gap() -> None:
    values = [*RNG(0).normal(size=500), *(1e9 + RNG(1).normal(size=50))]
    assert not drawn(fitted(values)).is_between(10, 1e9 - 10).any()
    days = pl.Series([date(2020, 1, 1) + timedelta(days=i % 300) for i in range(400)] + [date(9999, 12, 31)] * 50)
    new = drawn(fitted(days, "date"))
    assert ((new < date(2021, 1, 1)) | (new == date(9999, 12, 31))).all()


def test_tails_are_pulled_in() -> None:
    values = RNG(0).lognormal(10, 2, 10_000)
    new = drawn(fitted(values), 50_000)
    top = np.sort(values)[-5:]
    assert new.max() <= top.mean()
    assert new.max() > np.sort(values)[-6]


def test_without_protection_values_stay_real() -> None:
    values = RNG(0).integers(0, 10**12, 300)
    codec = fitted(values, protect=False)
    assert back(codec, values) == values.tolist()
    assert set(drawn(codec)) <= set(values.tolist())
    many = RNG(0).normal(size=5000)
    codec = fitted(many, protect=False)
    assert back(codec, [many.min(), many.max()]) == pytest.approx([many.min(), many.max()])
    assert codec.notes == []


@pytest.mark.parametrize("values", [[42], [42, None], [3.5], [None], [1, 2], [7, 7, 7], []])
def test_a_column_that_few_people_hold_still_works(values: list[Any]) -> None:
    series = pl.Series(values, dtype=pl.Float64)
    assert_series_equal(
        pl.Series(back(fitted(series), series), dtype=pl.Float64).is_null(), series.is_null(), check_names=False
    )


def test_numbers_between_two_atoms_that_few_hold_stay_between_them() -> None:
    codec = fitted([10] * 50 + [20] * 50 + [14, 15] + [30] * 50)
    between = [v for v in drawn(codec, 5000) if v not in (10, 20, 30)]
    assert between
    assert all(10 < v < 20 for v in between)


def test_wide_decimals_count_in_the_last_digit_used() -> None:
    codec = fitted([Decimal(i) / 100 for i in range(1, 2000)], "number", dtype=pl.Decimal(38, 18))
    new = drawn(codec)
    assert new.dtype == pl.Decimal(38, 18)
    assert all(v == round(v, 2) for v in new)


# ---------------------------------------------------------------------------------------- days and times of day


def test_office_hours_and_weekdays_are_fields_of_their_own() -> None:
    rng = RNG(0)
    days = [date(2024, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 365, 4000)]
    times = [
        datetime.combine(d, time(9)) + timedelta(minutes=int(m))
        for d, m in zip(days, rng.integers(0, 480, 4000), strict=True)
    ]
    work = pl.Series([t for t in times if t.weekday() < 5])
    codec = fitted(work)
    assert [f.levels for f in codec.fields] == [0, 7, 0]
    assert codec.owners == ("x", "x", "x")
    codes = codec.encode(work.alias("x").to_frame())
    assert codes.arrays[1].tolist() == [t.weekday() for t in work]
    mixed = Codes(codes.fields, tuple(rng.permutation(a) for a in codes.arrays), codes.n)
    new = decoded(codec, mixed)["x"]
    assert (new.dt.weekday() <= 5).all()
    assert new.dt.hour().is_between(9, 16).all()
    assert (new.dt.second() == 0).all()
    even = fitted(pl.Series(days))
    assert [f.levels for f in even.fields] == [0]


def test_days_without_times_get_none() -> None:
    days = pl.Series([datetime(2024, 1, 1) + timedelta(days=i % 90) for i in range(900)])
    codec = fitted(days)
    assert len(codec.fields) == 1
    assert (drawn(codec).dt.time() == time(0)).all()


def test_a_sentinel_comes_back_whatever_the_other_codes_say() -> None:
    end = datetime(9999, 12, 31)
    rng = RNG(0)
    some = [datetime(2020, 1, 6) + timedelta(days=7 * (i % 100) + int(rng.integers(5)), seconds=i) for i in range(1000)]
    codec = fitted(pl.Series(some + [end] * 300))
    assert [f.levels for f in codec.fields] == [0, 7, 0]
    new = drawn(codec)
    assert (new == end).sum() > 100
    assert ((new == end) | (new < datetime(2023, 1, 1))).all()


@pytest.mark.parametrize("zone", ["Europe/Madrid", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_zones(zone: str, unit: Any) -> None:
    start = datetime(2011, 1, 1)
    points = pl.Series([start + timedelta(hours=7 * i, minutes=11 * i) for i in range(2000)])
    utc = points.dt.replace_time_zone("UTC").dt.cast_time_unit(unit)
    local = utc.dt.convert_time_zone(zone)
    codec = fitted(local, protect=False)
    new = drawn(codec)
    assert new.dtype == local.dtype
    assert new.null_count() == 0
    assert new.is_between(local.min() - timedelta(days=2), local.max() + timedelta(days=2)).all()


def test_a_time_that_the_clock_skips_falls_after_the_gap() -> None:
    madrid = pl.Series([datetime(2024, 3, 31, h) for h in (0, 1, 3, 4)] * 5 + [datetime(2024, 3, 30, 2, 30)] * 5)
    codec = fitted(madrid.dt.replace_time_zone("Europe/Madrid"))
    half_past_two = codec.encode(pl.DataFrame({"x": madrid.dt.replace_time_zone("Europe/Madrid")}))
    day, clock = half_past_two.arrays[0][:1], half_past_two.arrays[1][-1:]
    new = decoded(codec, Codes(codec.fields, (day, clock), 1))["x"]
    assert new.dt.replace_time_zone(None).to_list() == [datetime(2024, 3, 31, 3, 30)]


def test_the_ends_of_nanoseconds() -> None:
    ends = pl.Series([-(2**63), 2**63 - 1, 0] * 5).cast(pl.Datetime("ns"))
    assert fitted(ends).fields
    assert drawn(fitted(ends)).null_count() == 0


# --------------------------------------------------------------------------------------------------- categories


def test_levels_are_sorted_by_count_then_name_and_rare_ones_are_not_kept() -> None:
    values = ["b"] * 7 + ["a"] * 7 + ["c"] * 9 + ["rare", "odd"] + [None] * 2
    codec = fitted(values)
    frame = pl.DataFrame({"x": ["c", "a", "b", None, "rare", "odd", "unseen"]})
    assert codec.encode(frame).arrays[0].tolist() == [0, 1, 2, 3, 4, 4, 4]
    assert codec.fields[0].levels == 5
    assert set(drawn(codec)) == {"a", "b", "c", None}
    assert "2 of 5 levels" in codec.notes[0]


def test_rare_levels_are_drawn_by_frequency() -> None:
    codec = fitted(["a"] * 300 + ["b"] * 100 + ["x1", "x2"])
    rare = np.full(4000, 2, dtype=np.int32)
    new = decoded(codec, Codes(codec.fields, (rare,), len(rare)))["x"]
    assert 0.70 < (new == "a").mean() < 0.80


def test_where_rare_levels_are_many_the_kept_ones_do_not_stand_in_for_them() -> None:
    codes = [f"P{n:04d}" for n in range(200)]
    found = drawn(fitted(["common"] * 100 + codes, "category"), 3_000)
    made = [level for level in found if level != "common"]
    assert made
    assert np.mean([level[0] == "P" and level[1:].isdecimal() for level in made]) > 0.9
    assert not set(made) & set(codes)


def test_few_rare_levels_are_replaced_by_kept_ones() -> None:
    assert set(drawn(fitted(["a"] * 50 + ["b"] * 45 + ["rare"], "category"), 3_000)) == {"a", "b"}


def test_levels_of_a_tiny_table_are_made_up_in_their_shape() -> None:
    real = ["Ana-17", "Bob-22", "Łéo-31"]
    codec = fitted(real)
    new = drawn(codec)
    assert not set(new) & set(real)
    assert new.str.contains(r"^\p{L}{3}-\d{2}$").all()
    assert "made up" in codec.notes[0]


@pytest.mark.parametrize(
    "series",
    [
        pl.Series([12345, 6, 2**63 - 1]),
        pl.Series([250], dtype=pl.UInt8),
        pl.Series([12.5, float("nan"), float("inf")]),
        pl.Series([True, False]),
        pl.Series([b"\xff\x00"]),
        pl.Series([date(2024, 1, 1)]),
        pl.Series([datetime(2024, 1, 1)]),
        pl.Series([time(12)]),
        pl.Series([Decimal("1.25")]),
        pl.Series(["a", "b"], dtype=pl.Enum(["a", "b", "unused"])),
        pl.Series(["a", "b"], dtype=pl.Categorical),
        pl.Series([""]),
    ],
)
@pytest.mark.parametrize("copies", [1, 5])
def test_categories_of_any_dtype(series: pl.Series, copies: int) -> None:
    series = pl.concat([series] * copies).extend(pl.Series([None], dtype=series.dtype))
    codec = fitted(series, "category")
    new = drawn(codec)
    assert new.dtype == series.dtype
    assert new.null_count() > 0
    assert "unused" not in new.to_list()
    if copies == 5:
        np.testing.assert_equal(back(codec, series), series.to_list())
    assert_series_equal(drawn(restored(codec)), new)


def test_none_nan_and_empty_text_are_three_things() -> None:
    values = ["", "nan", "None", "NULL", None, "\x1f_RARE_", "e\u0301", "\u00e9", "\U0001f600"] * 5
    assert back(fitted(values), values) == values


def test_a_hundred_thousand_levels() -> None:
    names = pl.Series("x", [f"level {i}" for i in range(100_000)])
    codec = TableCodec(Table("t", (column_of(names, "category"),)), k=1).fit(names.to_frame())
    codes = codec.encode(names.to_frame())
    assert codec.fields[0].levels == 100_000
    assert_series_equal(decoded(restored(codec), codes)["x"], names)


def test_constants() -> None:
    assert fitted(["v"] * 9, "constant").fields == ()
    assert back(fitted(["v"] * 9, "constant"), ["v"] * 3) == ["v"] * 3
    some = fitted([8] * 9 + [None], "constant")
    assert [f.levels for f in some.fields] == [2]
    assert back(some, [8, None]) == [8, None]
    assert back(fitted(["secret"], "constant"), ["secret"]) != ["secret"]
    assert back(fitted(["secret"], "constant", protect=False), ["secret"]) == ["secret"]


def test_empty_columns() -> None:
    codec = fitted([None, None], "empty", dtype=pl.Int16)
    assert codec.fields == ()
    assert drawn(codec, 3).to_list() == [None] * 3
    assert back(codec, [None, None], pl.Int16) == [None, None]
    with pytest.raises(DataError, match="row 1"):
        fitted([None, 5], "empty")


def test_ordinals_keep_their_order_and_only_common_levels() -> None:
    levels = ("low", "middle", "high", "highest")
    values = ["low"] * 6 + ["high"] * 6 + ["middle"] * 7 + ["highest"] + [None]
    codec = fitted(values, "ordinal", levels=levels)
    codes = codec.encode(pl.DataFrame({"x": ["low", "middle", "high", "highest", None]})).arrays[0]
    assert (np.diff(codes[:3]) > 0).all()
    assert codes[3] == codes[2]
    assert codes[4] == -1
    assert back(codec, ["low", "middle", "high", "highest", None]) == ["low", "middle", "high", "high", None]
    numbers = fitted([1, 2, 3] * 5, "ordinal", levels=(3, 2, 1))
    assert back(numbers, [3, 2, 1]) == [3, 2, 1]
    with pytest.raises(DataError, match="'odd'"):
        fitted(["odd"], "ordinal", levels=levels)


# ----------------------------------------------------------------------------------- what is made, not learned


def test_ids_are_unique_over_blocks_and_follow_their_pattern() -> None:
    codec = fitted([f"C-{i:05}" for i in range(100)], "id")
    assert codec.fields == ()
    blocks = [codec.decode(Codes((), (), 50), np.arange(s, s + 50), RNG(0), 7)["x"] for s in (0, 50, 100)]
    ids = pl.concat(blocks)
    assert ids.n_unique() == 150
    assert ids.str.contains(r"^C-\d{5,}$").all()
    some = fitted([10, 11, None, 13], "id")
    assert [f.levels for f in some.fields] == [2]
    assert pl.Series(back(some, [10, None])).is_null().to_list() == [False, True]


def test_personal_columns_are_one_person_and_never_learned() -> None:
    real = pl.DataFrame({"name": ["Zyx Qwv", "Vut Srq"], "mail": ["zyx@qwv.example", None], "n": [1, 2]})
    columns = (
        Column("name", "personal", "str", provider="name"),
        Column("mail", "personal", "str", provider="email", unique=True),
        Column("n", "number", "int64"),
    )
    codec = TableCodec(Table("t", columns)).fit(real)
    new = decoded(codec, codec.encode(real))
    assert new["mail"].is_null().to_list() == [False, True]
    assert not set(new["name"]) & set(real["name"])
    assert "Zyx" not in json.dumps(codec.state()[0])
    with pytest.raises(SchemaError, match="no_such"):
        TableCodec(Table("t", (Column("x", "personal", "str", provider="no_such"),))).fit(pl.DataFrame({"x": ["a"]}))


def test_texts_are_chained_from_words_that_many_use() -> None:
    texts = ["the cat sat on the mat", "the dog sat on the log", ""] * 6 + ["the spy hid under the mat", None]
    codec = fitted(texts, "text")
    new = drawn(codec)
    words = set(" ".join(new.drop_nulls()).split())
    assert words <= {"the", "cat", "sat", "on", "mat", "dog", "log"}
    assert new.drop_nulls().filter(new.drop_nulls() != "").str.starts_with("the").all()
    assert (new.drop_nulls() == "").any()
    assert new.null_count() > 0
    lengths = [None if t is None else len(t.split()) for t in back(codec, texts)]
    assert lengths == [None if t is None else len(t.split()) for t in texts]
    assert_series_equal(drawn(restored(codec)), new)


def test_texts_that_nobody_shares_become_filler_and_huge_cells_are_bounded() -> None:
    codec = fitted(["x" * 1_000_000, "one two three", "日本語"], "text")
    assert max(len(t) for t in drawn(codec)) < 100
    assert "filler" in codec.notes[0]
    long = fitted(["word " * 200_000] * 5, "text")
    assert max(len(t) for t in drawn(long, 5)) <= 2000


def test_places() -> None:
    rng = RNG(0)
    pairs = pl.Series(
        [f"{a:.4f}, {b:.4f}" for a, b in zip(rng.uniform(36, 43, 500), rng.uniform(-9, 3, 500), strict=True)]
    )
    codec = fitted(pairs, "geo")
    assert [f.ordered for f in codec.fields] == [True, True]
    new = drawn(codec)
    assert new.str.contains(r"^\d\d\.\d{4}, -?\d\.\d{4}$").all()
    numbers = new.str.split(", ").list.eval(pl.element().cast(pl.Float64))
    assert numbers.list.get(0).is_between(36, 43).all()
    point = fitted(["POINT(-3.7 40.4)"] * 5 + [None], "geo")
    assert back(point, ["POINT(-3.7 40.4)", None]) == ["POINT(-3.7 40.4)", None]
    north = drawn(fitted(rng.uniform(80, 90, 200), "geo", format="latitude", digits=0))
    assert (north <= 90).all()
    mixed = ["40.0; -3.75", "41.5; 0.0"] * 5
    assert back(fitted(mixed, "geo"), mixed) == mixed
    with pytest.raises(DataError, match="row 5"):
        fitted(["1.0, 2.0"] * 5 + ["here"], "geo")


def test_numbers_and_dates_in_text_keep_their_form() -> None:
    days = [(date(2024, 1, 1) + timedelta(days=i % 50)).strftime("%d/%m/%Y") for i in range(500)]
    codec = fitted(days, "date", format="%d/%m/%Y")
    assert back(codec, days) == days
    assert drawn(codec).str.contains(r"^\d\d/\d\d/2024$").all()
    prices = [f"{v:.2f}" for v in RNG(0).lognormal(3, 1, 500)]
    new = drawn(fitted([*prices, None], "number", format="fixed:2"))
    assert new.drop_nulls().str.contains(r"^\d+\.\d\d$").all()
    assert_series_equal(drawn(restored(codec)), drawn(codec))
    with pytest.raises(DataError, match="row 1"):
        fitted(["1", "one"], "number", format="int")


# ---------------------------------------------------------------------------------------------------- frames

DTYPES = [
    pl.Int8, pl.Int64, pl.UInt64, pl.Float32, pl.Float64, pl.Boolean, pl.String, pl.Categorical, pl.Date, pl.Time,
    pl.Datetime("us"), pl.Datetime("ms"), pl.Duration("us"), pl.Decimal(20, 3),
]  # fmt: skip


@given(
    dataframes(allowed_dtypes=DTYPES, max_cols=5, max_size=40, allow_null=True, allow_chunks=False), st.integers(1, 6)
)
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@example(pl.DataFrame({"x": [Decimal("99499999999999991.808")]}, schema={"x": pl.Decimal(20, 3)}), 2)
@example(pl.DataFrame({"x": [Decimal("-99999999999999999.999")] * 3}, schema={"x": pl.Decimal(20, 3)}), 5)
def test_any_frame_comes_back_in_its_own_shape(frame: pl.DataFrame, k: int) -> None:
    table = Table("t", tuple(column_of(s) for s in frame))
    codec = TableCodec(table, k=k).fit(frame)
    codes = codec.encode(frame)
    new = decoded(codec, codes)
    assert new.schema == frame.schema
    assert new.height == (frame.height if frame.width else 0)
    assert_frame_equal(new.select(pl.all().is_null()), frame.select(pl.all().is_null()))
    assert_frame_equal(decoded(restored(codec), codes), new)
    assert codec.fields == codes.fields
    for field, array in zip(codes.fields, codes.arrays, strict=True):
        assert array.dtype == (np.float64 if field.ordered else np.int32)
        assert len(array) == frame.height
        assert array.min(initial=0) >= -field.marks
        assert array.max(initial=0) < (1 if field.ordered else field.levels)


@given(dataframes(allowed_dtypes=DTYPES, max_cols=4, min_cols=1, min_size=1, max_size=30, allow_null=True))
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
def test_any_frame_with_the_schema_that_is_inferred(frame: pl.DataFrame) -> None:
    codec = TableCodec(infer({"t": frame})["t"]).fit(frame)
    codes = codec.encode(frame)
    new = decoded(codec, codes)
    assert new.schema == frame.schema
    assert_frame_equal(new.select(pl.all().is_null()), frame.select(pl.all().is_null()))
    assert_frame_equal(decoded(restored(codec), codes), new)


def test_columns_may_come_in_any_order_and_field_names_are_unique() -> None:
    when = [datetime(2024, 1, 1, i % 24) for i in range(30)]
    frame = pl.DataFrame({"x": when, "x (time)": range(30)})
    codec = TableCodec(Table("t", tuple(column_of(s) for s in frame))).fit(frame[:, ::-1])
    assert len({f.name for f in codec.fields}) == len(codec.fields) == 3
    assert codec.decode(codec.encode(frame), np.arange(30), RNG(0), 0).columns == frame.columns


def test_rows_decode_the_same_alone_or_together() -> None:
    values = RNG(0).normal(size=1000)
    codec = fitted(values)
    codes = codec.encode(pl.DataFrame({"x": values}))
    whole = decoded(codec, codes)["x"]
    halves = [decoded(codec, codes.take(slice(a, a + 500)))["x"] for a in (0, 500)]
    assert_series_equal(pl.concat(halves), whole)


def test_what_the_door_refuses() -> None:
    table = Table("people", (Column("age", "number", "int64"),))
    with pytest.raises(NotFittedError):
        TableCodec(table).encode(pl.DataFrame({"age": [1]}))
    with pytest.raises(DataError, match=r"people.*age.*missing"):
        TableCodec(table).fit(pl.DataFrame())
    with pytest.raises(DataError, match=r"age.*Int64 was wanted, not String"):
        TableCodec(table).fit(pl.DataFrame({"age": ["1"]}))
    with pytest.raises(DataError, match="no such column"):
        TableCodec(table).fit(pl.DataFrame({"age": [1], "other": [2]}))
    for kind in ("number", "date"):
        with pytest.raises(SchemaError, match="format"):
            fitted(["1"], kind)
    with pytest.raises(SchemaError, match="minimum"):
        fitted([date(2024, 1, 1)], minimum="first of May")


# ---------------------------------------------------------------------------------------------------- privacy


def everything(codec: TableCodec) -> tuple[str, np.ndarray]:
    """All that a codec holds: its JSON and byte arrays as text, its numbers as floats."""
    meta, arrays = codec.state()
    texts = [a.tobytes().decode("utf-8") for n, a in arrays.items() if n.endswith("bytes")]
    numbers = [a.astype(float) for n, a in arrays.items() if not n.endswith(("bytes", "edges"))]
    signed = [(a ^ np.uint64(2**63)).view(np.int64).astype(float) for a in arrays.values() if a.dtype == np.uint64]
    return json.dumps(meta) + "".join(texts), np.concatenate([*numbers, *signed])


def test_nothing_rare_is_kept() -> None:
    rng = RNG(0)
    n = 3000
    frame = pl.DataFrame(
        {
            "salary": np.append(rng.integers(20_000, 90_000, n - 1), 9_876_543),
            "weight": np.append(rng.normal(70, 10, n - 1).round(6), 313.131313),
            "zero": np.append(np.zeros(n - 1), 777.777),
            "city": np.append(rng.choice(["Lyon", "Oslo"], n - 1), "Zyxville").tolist(),
            "born": [date(1990, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 5000, n - 1)]
            + [date(1899, 5, 6)],
            "said": ["good morning all"] * (n - 1) + ["my secret is Qwertz"],
        }
    )
    table = Table("t", (*(column_of(s) for s in frame.drop("said")), Column("said", "text", "str")))
    codec = TableCodec(table).fit(frame)
    text, numbers = everything(codec)
    for word in ("Zyxville", "Qwertz", "secret", "1899", "9876543", "777.777"):
        assert word not in text
    born = (date(1899, 5, 6) - date(1970, 1, 1)).days
    for value in (9_876_543, 313.131313, 777.777, born):
        assert not (numbers == value).any()
    weights = frame["weight"].to_numpy()
    held = np.array([(frame["weight"] == w).sum() for w in np.intersect1d(numbers, weights)])
    assert (held >= 5).all()
    new = pl.concat([decoded(codec, codec.encode(frame), seed) for seed in range(3)])
    assert new["salary"].max() < 3_000_000
    assert "Zyxville" not in new["city"]


def test_a_person_with_many_rows_counts_once() -> None:
    values = [100] * 50 + [200] * 50
    people = pl.Series(["one person"] * 50 + [str(i) for i in range(50)])
    codec = fitted(values, unit=people)
    assert 100 not in set(drawn(codec))
    assert 200 in set(drawn(codec))
    levels = fitted(["a"] * 50 + ["b"] * 50, "category", unit=people)
    assert "a" not in set(drawn(levels))
    words = fitted(["mine"] * 50 + ["ours"] * 50, "text", unit=people)
    assert set(drawn(words)) == {"ours"}


def test_an_exact_time_is_only_kept_with_a_day_that_many_hold() -> None:
    moments = [datetime(2024, 1, d, 3, 33, 33) for d in (1, 2, 3)]
    _, numbers = everything(fitted(pl.Series(moments)))
    assert not (numbers == (3 * 60 + 33) * 60e6 + 33e6).any()


# ------------------------------------------------------------------------------------------------ forged files


DOCUMENTS = (
    {"size": 1, "to": {"town": "Ulm", "at": [1.5, 2.5]}, "lines": [{"sku": "A", "tags": ["x", "y"]}, {"sku": "B"}]},
    {"size": 2, "to": None, "lines": []},
    {"size": 3, "to": {"town": None, "at": []}},
)


def many_kinds() -> pl.DataFrame:
    n = 60
    return pl.DataFrame(
        {
            "number": [None, *RNG(0).normal(size=n - 1)],
            "whole": RNG(0).integers(0, 20, n),
            "wide": pl.Series([2**100 + i % 3 for i in range(n)], dtype=pl.Int128),
            "when": [datetime(2024, 1, 1 + i % 20, i % 24) for i in range(n)],
            "level": ["a", "b", "c"] * 20,
            "rank": ["low", "high"] * 30,
            "said": ["good morning", "good night"] * 30,
            "place": [f"{i % 7}.5, {i % 3}.5" for i in range(n)],
            "key": range(n),
            "mail": ["a@b.example", None] * 30,
            "noted": [json.dumps(DOCUMENTS[i % len(DOCUMENTS)]) if i % 9 else None for i in range(n)],
        }
    )


def many_kinds_codec() -> TableCodec:
    frame = many_kinds()
    kinds = {"rank": ("ordinal", {"levels": ("low", "high")}), "said": ("text", {}), "place": ("geo", {})}
    kinds |= {"key": ("id", {}), "mail": ("personal", {"provider": "email"}), "noted": ("json", {})}
    columns = [column_of(s, *kinds.get(s.name, (None, {}))[:1], **kinds.get(s.name, (None, {}))[1]) for s in frame]
    return TableCodec(Table("t", tuple(columns))).fit(frame)


CODEC = many_kinds_codec()


def test_every_kind_is_restored_as_it_was() -> None:
    frame = many_kinds()
    codes = CODEC.encode(frame)
    again = restored(CODEC)
    assert_frame_equal(decoded(again, again.encode(frame)), decoded(CODEC, codes))
    assert again.notes == CODEC.notes
    assert [f.name for f in again.fields] == [f.name for f in CODEC.fields]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything inside nested dicts and lists."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [p for key, v in inside for p in places(v, (*path, key))]


META, ARRAYS = CODEC.state()
FORGED = st.sampled_from([None, -1, 0, 1, 2**70, 1.5, float("nan"), "", "x", [], {}, True, ["null"], "sequence:1:0"])


@given(st.sampled_from(places(META)), FORGED, st.booleans())
@settings(deadline=None, max_examples=300)
def test_forged_json_is_refused_or_harmless(path: tuple[Any, ...], value: Any, remove: bool) -> None:
    meta = json.loads(json.dumps(META))
    inside = meta
    for key in path[:-1]:
        inside = inside[key]
    if remove:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    refused_or_harmless(meta, ARRAYS)


@given(
    st.sampled_from(sorted(ARRAYS)),
    st.sampled_from(["cut", "gone", "dtype", "shape", "flip", "swap", "huge"]),
    st.data(),
)
@settings(deadline=None, max_examples=300)
def test_forged_arrays_are_refused_or_harmless(name: str, how: str, data: st.DataObject) -> None:
    array = ARRAYS[name].copy()
    if how == "flip" and array.nbytes:
        raw = array.view(np.uint8)
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= np.uint8(data.draw(st.integers(1, 255)))
    largest = 1e308 if array.dtype.kind == "f" else np.iinfo(array.dtype).max
    changed = {"cut": array[: len(array) // 2], "shape": array[:, None], "flip": array, "swap": array[::-1]}
    changed |= {"dtype": np.zeros(len(array), np.float32), "huge": np.full_like(array, largest)}
    arrays = {key: changed.get(how, array) if key == name else value for key, value in ARRAYS.items()}
    if how == "gone":
        del arrays[name]
    refused_or_harmless(META, arrays)


def refused_or_harmless(meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Either a ModelFileError, or a codec that decodes and encodes whatever it is given."""
    try:
        codec = TableCodec.restore(meta, arrays)
        rng, n = RNG(0), 50
        drawn_codes = [
            rng.uniform(-1.5, 1, n) if f.ordered else rng.integers(0, f.levels, n).astype(np.int32)
            for f in codec.fields
        ]
        decoded(codec, Codes(codec.fields, tuple(drawn_codes), n))
        codec.encode(many_kinds())
    except (ModelFileError, DataError, ArgumentError):
        pass


def test_a_newer_file_says_so() -> None:
    with pytest.raises(ModelFileError, match="newer"):
        TableCodec.restore({**META, "version": 2}, ARRAYS)
