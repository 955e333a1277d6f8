"""A form is found only where a whole column fits without loss; then text and values are two sides of one thing."""

import datetime as dt
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verosim.errors import ArgumentError, SchemaError
from verosim.forms import Form, default_form


def texts(*values: str | None) -> pl.Series:
    return pl.Series("x", values, dtype=pl.String)


@pytest.mark.parametrize(
    ("values", "form", "dtype"),
    [
        (["1", "-2", "0"], "int", pl.Int64),
        (["18446744073709551615", "1"], "int", pl.UInt64),
        (["9007199254740993"], "int", pl.Int64),
        (["3.0", "0.5", "-0.0"], "float", pl.Float64),
        (["3", "0.5"], "float:short", pl.Float64),
        (["1e-05", "1.0"], "float:py", pl.Float64),
        (["1e-05", "2", "1e+16"], "float:g", pl.Float64),
        (["1.50", "2.25", "-0.00"], "fixed:2", pl.Float64),
        (["12345678901234567890.12", "0.10"], "decimal:2", pl.Decimal(38, 2)),
        (["1.50e+05", "2.25e-03"], "sci:2", pl.Float64),
        (["1.50E+05"], "sci:2E", pl.Float64),
        (["1,5", "2"], "number:0,#", pl.Float64),
        (["1,50", "2,25"], "number:0,00", pl.Float64),
        (["0,123", "1,234"], "number:0,#", pl.Float64),
        (["1,234", "12"], "number:#,##0", pl.Int64),
        (["1,234,567.5", "-2"], "number:#,##0.#", pl.Float64),
        (["1.234,50", "0,10"], "number:#.##0,00", pl.Float64),
        (["1'234'567"], "number:#'##0", pl.Int64),
        (["1\u00a0234,5", "7"], "number:#\u00a0##0,#", pl.Float64),
        (["$1,234.50", "-$3.00"], "number:$#,##0.00", pl.Float64),
        (["5%", "12%"], "number:0%", pl.Int64),
        (["5,5 €", "12 €"], "number:0,# €", pl.Float64),
        (["true", "false"], "bool:true/false", pl.Boolean),
        (["True"], "bool:True/False", pl.Boolean),
        (["FALSE", "TRUE"], "bool:TRUE/FALSE", pl.Boolean),
        (["2020-01-31", "0001-01-01", "9999-12-31"], "%Y-%m-%d", pl.Date),
        (["31/01/2020"], "%d/%m/%Y", pl.Date),
        (["1/31/2020"], "%-m/%-d/%Y", pl.Date),
        (["31.1.2020"], "%-d.%-m.%Y", pl.Date),
        (["02-JAN-20"], "%d-%^b-%y", pl.Date),
        (["January 2, 2020"], "%B %-d, %Y", pl.Date),
        (["20200131", "19991231"], "%Y%m%d", pl.Date),
        (["20200131235959"], "%Y%m%d%H%M%S", pl.Datetime("us")),
        (["2020-01", "2020-12"], "%Y-%m", pl.Date),
        (["2020-01-31 03:04"], "%Y-%m-%d %H:%M", pl.Datetime("us")),
        (["2020-01-31T03:04:05"], "%Y-%m-%dT%H:%M:%S", pl.Datetime("us")),
        (["2020-01-31T03:04:05.120"], "%Y-%m-%dT%H:%M:%S%.3f", pl.Datetime("us")),
        (["2020-01-31 03:04:05.000001"], "%Y-%m-%d %H:%M:%S%.6f", pl.Datetime("us")),
        (["2020-01-31T03:04:05Z"], "%Y-%m-%dT%H:%M:%SZ", pl.Datetime("us", "UTC")),
        (["2020-01-31 03:04:05+05:30"], "%Y-%m-%d %H:%M:%S+05:30", pl.Datetime("us", "UTC")),
        (
            ["2020-01-31 03:04:05+01:00", "2020-07-31 03:04:05+02:00"],
            "%Y-%m-%d %H:%M:%S%:z@Europe/Paris",
            pl.Datetime("us", "Europe/Paris"),
        ),
        (["1/31/2020 3:04 PM"], "%-m/%-d/%Y %-I:%M %p", pl.Datetime("us")),
        (["03:04:05", "23:59:59"], "%H:%M:%S", pl.Time),
        (["03:04", "23:59"], "%H:%M", pl.Time),
        (["03:04:05", "131:59:59"], "duration", pl.Duration("us")),
        (["-25:00:00.500"], "duration:3", pl.Duration("us")),
    ],
)
def test_the_form_of_a_column(values: list[str], form: str, dtype: pl.DataType) -> None:
    series = texts(*values, None)
    found = Form.detect(series)
    assert found is not None
    assert str(found) == form
    assert found.parse(series).dtype == dtype
    assert found.format(found.parse(series)).to_list() == [*values, None]
    assert Form.of(form) == found


@pytest.mark.parametrize(
    "values",
    [
        ["00123", "00456"],
        ["+5", "+7"],
        [" 1", "2"],
        ["1 ", "2"],
        ["2020-01-01 ", "2020-01-02"],
        ["1", "2", "x"],
        ["1.0", "1"],
        ["0.1", "0.10"],
        ["1e5", "1E5"],
        ["yes", "no"],
        ["true", "TRUE"],
        ["4111111111111111", "5500005555555559"],
        ["600 111 222", "600 333 444"],
        ["+34 600 111 222"],
        ["192.168.1.1"],
        ["2020-02-30"],
        ["0000-01-01"],
        ["2020-01-01", "01/01/2020"],
        ["99999999999999999999"],
        ["1,2,3"],
        ["٣"],
        ["", "1"],
        ["-", "--"],
        ["1_000"],
        ["0x10"],
        ["24:00", "25:00"],
    ],
)
def test_what_fits_no_form_stays_text(values: list[str]) -> None:
    assert Form.detect(texts(*values)) is None


def test_no_value_no_form() -> None:
    assert Form.detect(texts()) is None
    assert Form.detect(texts(None, None)) is None


def test_eight_digits_are_dates_only_if_all_are_likely_days() -> None:
    assert str(Form.detect(texts("20200131", "33333333"))) == "int"
    assert str(Form.detect(texts("20200131", "00010203", "18000101"))) == "None"  # a leading zero: text
    assert str(Form.detect(texts("20200131", "18000101"))) == "int"


def test_day_or_month_first() -> None:
    decided = Form.detect(texts("01/02/2020", "13/02/2020"))
    assert (str(decided), decided.note) == ("%d/%m/%Y", "")
    decided = Form.detect(texts("02/01/2020", "02/13/2020"))
    assert (str(decided), decided.note) == ("%m/%d/%Y", "")
    open_ = Form.detect(texts("01/02/2020", "03/04/2020"))
    assert str(open_) == "%d/%m/%Y"
    assert "day first" in open_.note
    monthly = Form.detect(texts("01/01/2020", "02/01/2020", "03/01/2020"))
    assert str(monthly) == "%m/%d/%Y"
    assert "same day of several months" in monthly.note


def test_thousands_or_three_decimals_is_said() -> None:
    form = Form.detect(texts("1,234", "5,678"))
    assert str(form) == "number:#,##0"
    assert form.parse(texts("5,678")).to_list() == [5678]
    assert "thousands" in form.note


def test_the_whole_column_is_looked_at() -> None:
    column = texts(*["7"] * 5000, "x", *["7"] * 5000)
    assert Form.detect(column) is None
    column = texts(*["7"] * 5000, "1,234", *["7"] * 5000)
    assert str(Form.detect(column)) == "number:#,##0"


@pytest.mark.parametrize(
    ("form", "values", "written"),
    [
        ("fixed:2", [1.005, 2.5, -0.001, float("inf")], ["1.00", "2.50", "0.00", "inf"]),
        ("float:short", [1.0, 1e16, 0.1], ["1", "1e+16", "0.1"]),
        ("number:$#,##0.00", [1234567.891, -0.5], ["$1,234,567.89", "-$0.50"]),
        ("number:#.##0,#", [-1234.5, 12.0], ["-1.234,5", "12"]),
        ("decimal:3", [Decimal("1.5")], ["1.500"]),
        ("%d/%m/%Y", [dt.date(1, 2, 3)], ["03/02/0001"]),
        ("%Y-%m-%dT%H:%M:%S+02:00", [dt.datetime(2020, 1, 1, tzinfo=dt.UTC)], ["2020-01-01T02:00:00+02:00"]),
        ("%H:%M:%S.%f", [dt.time(1, 2, 3, 4)], ["01:02:03.000004"]),
        ("duration", [dt.timedelta(hours=-30, seconds=-5)], ["-30:00:05"]),
    ],
)
def test_new_values_are_written_in_the_form(form: str, values: list[object], written: list[str]) -> None:
    assert Form.of(form).format(pl.Series(values)).to_list() == written


def test_a_value_that_does_not_fit_is_null() -> None:
    assert Form.of("int").parse(texts("1", "x")).to_list() == [1, None]
    assert Form.of("bool:true/false").parse(texts("true", "TRUE", None)).to_list() == [True, None, None]
    assert Form.of("%d/%m/%Y").parse(texts("31/02/2020", "01/02/2020")).to_list() == [None, dt.date(2020, 2, 1)]


@pytest.mark.parametrize(
    "wrong",
    [
        "integer",
        "fixed",
        "fixed:x",
        "number:abc#",
        "bool:yes",
        "float:long",
        "int:2",
        "%Q",
        "%d/%Q",
        "%H:%M%",
        "%Y-%m-%d %H:%M%:z@Mars/Base",
    ],
)
def test_a_wrong_form_is_refused(wrong: str) -> None:
    with pytest.raises(SchemaError):
        Form.of(wrong)


def test_a_misspelt_form_has_a_hint() -> None:
    with pytest.raises(SchemaError, match="did you mean 'float'"):
        Form.of("floot")


@pytest.mark.parametrize(
    "series",
    [
        pl.Series([1, None]),
        pl.Series([1.5, 1e300]),
        pl.Series([True, None]),
        pl.Series([Decimal("1.20")]),
        pl.Series([dt.date(2020, 1, 2)]),
        pl.Series([dt.datetime(2020, 1, 2, 3, 4, 5, 6)]),
        pl.Series([dt.datetime(2020, 7, 2)]).dt.replace_time_zone("America/New_York"),
        pl.Series([dt.time(1, 2, 3, 4)]),
        pl.Series([dt.timedelta(days=40, microseconds=1)]),
        pl.Series([dt.timedelta(days=-1)]).cast(pl.Duration("ns")),
    ],
    ids=lambda s: str(s.dtype),
)
def test_the_plain_form_of_a_type_loses_nothing(series: pl.Series) -> None:
    form = default_form(series.dtype)
    assert form.takes(series.dtype)
    assert form.parse(form.format(series)).to_list() == series.to_list()


def test_bytes_and_lists_have_no_text() -> None:
    for dtype in (pl.Binary(), pl.List(pl.Int64), pl.Struct({"a": pl.Int64})):
        with pytest.raises(ArgumentError):
            default_form(dtype)


# A column of one style, or of any text: either no form, or one that gives every value back. Never another error.
cells = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"\A-?[$€]?[0-9 .,']{1,12}%?\Z"),
    st.from_regex(
        r"\A[0-9]{1,4}[-/. ][0-9]{1,2}[-/. ][0-9]{1,4}([ T][0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?Z?)?\Z"
    ),
    st.integers().map(str),
    st.floats().map(repr),
    st.dates().map(str),
    st.datetimes().map(str),
    st.times().map(str),
)


@settings(deadline=None)
@given(st.lists(st.none() | cells, max_size=4))
def test_a_form_never_loses_a_letter(values: list[str | None]) -> None:
    series = texts(*values)
    form = Form.detect(series)
    if form is not None:
        assert form.format(form.parse(series)).to_list() == values
        assert Form.of(str(form)) == form


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_python_floats_have_a_form(values: list[float]) -> None:
    form = Form.detect(texts(*map(repr, values)))
    assert form is not None
    assert form.parse(texts(*map(repr, values))).to_list() == values


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_whole_numbers_are_exact(values: list[int]) -> None:
    series = texts(*map(str, values))
    form = Form.detect(series)
    if form is not None and str(form) == "int":  # else digits that look like a date or a card
        assert form.parse(series).to_list() == values


@settings(deadline=None)
@given(st.lists(st.datetimes(), min_size=1), st.sampled_from(["%Y-%m-%d %H:%M:%S%.6f", "%d.%m.%Y %H:%M", "%b %-d, %Y"]))
def test_dates_of_any_year(values: list[dt.datetime], pattern: str) -> None:
    form = Form.of(pattern)
    series = pl.Series(values, dtype=pl.Datetime("us"))
    written = form.format(series.dt.date() if "%H" not in pattern else series)
    assert form.fits(written)
