"""Inference: what a column means by name, type and values; what a person wrote wins; contradictions are refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing.parametric import dataframes

from verosim.draws import stream
from verosim.errors import DataError, SchemaError
from verosim.infer import explain, infer
from verosim.providers import IMPERSONAL, LOCALES, PROVIDERS, make, make_ids
from verosim.schema import Column, Schema, Table

SHARED = Path(__file__).parents[2] / "shared"
N = 200
RNG = stream(7, "infer")


def one(name: str, values: Iterable[object], dtype: pl.DataType | None = None) -> Column:
    """The column as guessed in a table of its own."""
    return infer({"t": pl.DataFrame([pl.Series(name, values, dtype=dtype, strict=False)])})["t"].columns[0]


def drawn(levels: Sequence[object], n: int = N) -> list[object]:
    """Each level, then more of them at random."""
    return [*levels, *(levels[int(i)] for i in RNG.integers(0, len(levels), n))]


def made(provider: str, n: int = N) -> list[str]:
    return make(provider, np.arange(n), stream(7, provider)).to_list()


def ids(pattern: str, n: int = N) -> list[object]:
    return make_ids(pattern, np.arange(n), 7).to_list()


def days(text: str, n: int = N) -> list[str]:
    return [(dt.date(2019, 1, 1) + dt.timedelta(int(d))).strftime(text) for d in RNG.integers(0, 2000, n)]


WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "was",
    "for",
    "on",
    "that",
    "with",
    "as",
    "his",
    "at",
    "by",
    "it",
    "they",
    "be",
]


def prose(n: int = N) -> list[str]:
    return [" ".join(WORDS[int(i)] for i in RNG.integers(0, len(WORDS), 12)) for _ in range(n)]


COLUMNS: list[tuple[str, list[object] | list[str], str, dict[str, object]]] = [
    # name, values, kind, and what else must hold
    ("age", [int(a) for a in RNG.integers(18, 80, N)], "number", {"dtype": "int64", "digits": None, "unique": False}),
    ("fnlwgt", [int(a) for a in RNG.permutation(10**6)[:N]], "number", {}),  # unique, but a measure
    ("hours", [0, 8, 16, 40] * 50, "number", {"step": 8}),
    ("price", [1.5, 2.25, 10.0] * 50, "number", {"digits": 2}),
    ("ratio", list(RNG.random(N)), "number", {"digits": None}),
    ("year", list(range(1990, 1990 + N)), "number", {}),
    ("day", list(range(1, N + 1)), "number", {}),
    ("customer_id", list(range(1, N + 1)), "id", {"pattern": "sequence:1:1", "unique": True}),
    ("CustomerID", ids("int:10000:99999"), "id", {"pattern": "int:10000:99999"}),
    ("unnamed", [int(i) for i in RNG.permutation(N)], "id", {"pattern": "sequence:0:1"}),  # counts the rows
    ("order_nr", ids("AB-[0-9]{6}"), "id", {"pattern": "AB-[0-9]{6}"}),
    ("reference", ids("uuid"), "id", {"pattern": "uuid"}),
    ("folio", ids("[A-Z]{2}[0-9]{4}"), "id", {"pattern": "[A-Z]{2}[0-9]{4}"}),
    ("customer_id", drawn(range(5)), "number", {}),  # comes back: no key of this table
    ("zip_leading", [f"{i:05d}" for i in RNG.permutation(10**5)[:N]], "personal", {"provider": "postcode"}),
    ("flag", [True, False] * 50, "boolean", {}),
    ("answer", ["True", "False"] * 50, "boolean", {"dtype": "str", "format": "bool:True/False"}),
    ("answer", ["yes", "no"] * 50, "category", {}),
    ("all_missing", [None] * 50, "empty", {}),
    ("same", ["x"] * 50, "constant", {}),
    ("same", [3, None] * 50, "constant", {}),
    ("colour", drawn(["red", "green", "blue"]), "category", {}),
    ("group", drawn(["A", "B", "C"]), "category", {}),
    ("income", drawn(["<=50K", ">50K"]), "category", {}),
    ("size", drawn(["S", "M", "L", "XL"]), "ordinal", {"levels": ("S", "M", "L", "XL")}),
    ("risk", drawn(["high", "low", "medium"]), "ordinal", {"levels": ("low", "medium", "high")}),
    ("riesgo", drawn(["Alto", "Bajo", "Medio"]), "ordinal", {"levels": ("Bajo", "Medio", "Alto")}),
    ("how_often", drawn(["always", "never", "sometimes"]), "ordinal", {"levels": ("never", "sometimes", "always")}),
    ("q7", drawn(["Agree", "Strongly agree"]), "ordinal", {"levels": ("Agree", "Strongly agree")}),
    ("month", drawn(["Feb", "June", "Jan", "Dec"]), "ordinal", {"levels": ("Jan", "Feb", "June", "Dec")}),
    ("weekday", drawn(["martes", "lunes", "domingo"]), "ordinal", {"levels": ("lunes", "martes", "domingo")}),
    ("age_band", drawn(["65+", "18-24", "25-64", "<18"]), "ordinal", {"levels": ("<18", "18-24", "25-64", "65+")}),
    ("pay", drawn(["$50k-$75k", "$0-$50k", "over $75k"]), "ordinal", {"levels": ("$0-$50k", "$50k-$75k", "over $75k")}),
    ("stage", drawn(["2. open", "1. new", "3. done"]), "ordinal", {"levels": ("1. new", "2. open", "3. done")}),
    ("quarter", drawn(["Q2", "Q1", "Q4", "Q3"]), "ordinal", {"levels": ("Q1", "Q2", "Q3", "Q4")}),
    ("store", drawn(["Store 2", "Store 1", "Store 3"]), "category", {}),
    ("joined", days("%Y-%m-%d"), "date", {"dtype": "str", "format": "%Y-%m-%d"}),
    ("joined", days("%d/%m/%Y"), "date", {"format": "%d/%m/%Y"}),
    ("seen", days("%Y-%m-%d 10:30:00"), "datetime", {"format": "%Y-%m-%d %H:%M:%S"}),
    ("at", [f"{int(h):02d}:30" for h in RNG.integers(0, 24, N)], "time", {"format": "%H:%M"}),
    ("amount", [f"{int(v) / 100:.2f}" for v in RNG.integers(0, 10**5, N)], "number", {"format": "fixed:2"}),
    ("price", ["$1,234.50", "$7.00", "$21,000.25"] * 40, "number", {"format": "number:$#,##0.00"}),
    ("notes", prose(), "text", {}),
    ("product", [f"{a} {b}" for a in WORDS for b in WORDS[:9]], "text", {}),
    ("lat", list(RNG.uniform(40, 41, N)), "geo", {"format": "latitude"}),
    ("longitude", [round(float(x), 4) for x in RNG.uniform(-4, 4, N)], "geo", {"format": "longitude", "digits": 4}),
    ("latitude", [int(x) for x in RNG.integers(0, 400, N)], "number", {}),
    ("place", [f"{x:.4f}, {x - 40:.4f}" for x in RNG.uniform(40, 41, N)], "geo", {"format": "fixed:4, fixed:4"}),
    ("contact", made("email"), "personal", {"provider": "email"}),
    ("first_name", made("first_name"), "personal", {"provider": "first_name"}),
    ("Apellidos", made("last_name:es_ES"), "personal", {"provider": "last_name:es_ES"}),
    ("name", made("name"), "personal", {"provider": "name"}),
    ("name", [f"{w} {v} {i}" for i, w in enumerate(WORDS) for v in WORDS], "text", {}),
    ("name", drawn(["Comedy", "Drama", "Horror"]), "category", {}),
    ("col7", made("name:de_DE"), "personal", {"provider": "name:de_DE"}),  # very plain values need no name
    ("phone", made("phone"), "personal", {"provider": "phone", "pattern": "+1-###-###-####"}),
    ("tel", made("phone:es_ES"), "personal", {"provider": "phone:es_ES", "pattern": "+34 ### ### ###"}),
    ("mobile", [float(600_000_000 + int(i)) for i in RNG.integers(0, 10**8, N)], "personal",
     {"provider": "phone", "pattern": "#" * 9}),
    ("card", [int(c) for c in made("card")], "personal", {"provider": "card", "pattern": "#" * 16}),
    ("x", made("card"), "personal", {"provider": "card"}),
    ("ssn", made("national_id"), "personal", {"provider": "national_id"}),
    ("documento", made("national_id:es_ES"), "personal", {"provider": "national_id:es_ES"}),
    ("col3", made("national_id:pt_BR"), "personal", {"provider": "national_id:pt_BR"}),
    ("home_address", made("street"), "personal", {"provider": "street"}),
    ("direccion", made("address:es_ES"), "personal", {"provider": "address"}),
    ("city", drawn(["Madrid", "Vigo", "Lugo"]), "category", {}),
    ("country", drawn(["Spain", "France"]), "category", {}),
    ("state", drawn(["NY", "CA", "TX"]), "category", {}),
    ("status", drawn(["open", "closed"]), "category", {}),
    ("origin", made("ip"), "personal", {"provider": "ip"}),
    ("device", made("mac"), "personal", {"provider": "mac"}),
    ("konto", made("iban:de_DE"), "personal", {"provider": "iban:de_DE"}),
    ("link", made("url"), "personal", {"provider": "url"}),
    ("login", made("user_name"), "personal", {"provider": "user_name"}),
    ("employer", made("company"), "personal", {"provider": "company"}),
    ("employer", drawn(["Acme Ltd", "Example plc"]), "category", {}),
    ("plate", made("license_plate:fr_FR"), "personal", {"provider": "license_plate"}),
    ("diagnosis", drawn([f"{c}{i:02d}.{j}" for c in "ABC" for i in range(9) for j in range(3)], 800), "category", {}),
    ("account", ["acc " + w for w in WORDS] * 9, "category", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "values", "kind", "more"), COLUMNS, ids=[f"{c[0]}-{c[2]}" for c in COLUMNS])
def test_the_kind_of_a_column(name: str, values: list[object], kind: str, more: dict[str, object]) -> None:
    column = one(name, values)
    assert column.kind == kind, column.reason
    assert {k: getattr(column, k) for k in more} == more
    assert column.reason


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(
    "provider", sorted({*PROVIDERS} - IMPERSONAL - {"region", "country", "uuid", "birth_date", "city", "job"})
)
def test_what_a_provider_makes_is_known_again_by_its_name(provider: str, locale: str) -> None:
    column = one(provider, made(f"{provider}:{locale}", 400))
    assert column.kind == "personal", column.reason
    found = str(column.provider).partition(":")[0]
    assert found == provider or {found, provider} == {"address", "street"} or {found, provider} == {"ip", "ipv6"}


NOON = dt.datetime(2024, 5, 1, 12)


@pytest.mark.parametrize(
    ("series", "kind", "step"),
    [
        (pl.Series("x", [dt.date(2024, 1, d) for d in (1, 5, 9)]), "date", None),
        (pl.Series("x", [NOON, NOON + dt.timedelta(days=2)]), "datetime", 43_200_000_000),
        (pl.Series("x", [NOON, NOON + dt.timedelta(minutes=7)], dtype=pl.Datetime("ms")), "datetime", 60_000),
        (pl.Series("x", [NOON, NOON + dt.timedelta(microseconds=7)]), "datetime", None),
        (pl.Series("x", [dt.time(1), dt.time(5, 15)]), "time", 900 * 10**9),
        (
            pl.Series("x", [dt.timedelta(hours=1), dt.timedelta(hours=5)], dtype=pl.Duration("us")),
            "duration",
            3600 * 10**6,
        ),
        (
            pl.Series("x", [NOON, None, NOON.replace(hour=1)], dtype=pl.Datetime("us", "Europe/Madrid")),
            "datetime",
            None,
        ),
    ],
)
def test_times_have_the_step_of_a_natural_unit(series: pl.Series, kind: str, step: int | None) -> None:
    column = infer({"t": series.to_frame()})["t"]["x"]
    assert column.kind == kind
    assert step is None or column.step == step


def test_categories_and_enums_keep_their_levels() -> None:
    grade = pl.Enum(["low", "medium", "high"])
    column = one("grade", ["high", "low"] * 9, grade)
    assert (column.kind, column.levels) == ("ordinal", ("low", "medium", "high"))
    colour = one("colour", ["red", "blue"] * 9, pl.Enum(["red", "green", "blue"]))
    assert (colour.kind, colour.levels) == ("category", ("red", "green", "blue"))
    assert one("colour", ["red", "blue"] * 9, pl.Categorical()).kind == "category"
    assert one("mail", made("email"), pl.Categorical()).provider == "email"
    assert one("size", drawn(["S", "L", "M"]), pl.Categorical()).levels == ("S", "M", "L")


@pytest.mark.parametrize("value", [10**20, -(2**63) - 1])
def test_an_id_past_64_bits_is_a_number(value: int) -> None:
    assert one("index", [value, value - 7], pl.Int128()).kind == "number"
    assert one("index", [7, 10**6], pl.Int128()).kind == "id"


def test_numbers_of_every_type_are_exact() -> None:
    big = one("bytes", [2**64 - 1, 2**63, 5], pl.UInt64())
    assert (big.minimum, big.maximum, big.step) == (None, None, None)  # extremes are a person's own
    assert "18,446,744,073,709,551,615" in big.reason
    assert one("x", [2**53 + 1, 2**54 + 2, 0]).step == 2**53 + 1
    assert one("x", [0.1, 0.25], pl.Float32()).digits == 2
    assert one("x", [1e300, 1.5]).digits is None
    assert one("x", [float("nan"), float("inf"), 0.5]).digits == 1
    assert one("x", [float("nan"), None, float("nan")]).kind == "constant"
    assert one("x", ["1.50", "2.25"], pl.Decimal(10, 2)).kind == "number"


@pytest.mark.parametrize(
    ("series", "words"),
    [
        (pl.Series("x", [b"a", b"b"]), "binary data cannot be learned. .*hex text"),
        (pl.Series("x", [[1], [2]]), "nested values .*explode"),
        (pl.Series("x", [{"a": 1}]), "nested values .*unnest"),
        (pl.Series("x", [object(), object()], dtype=pl.Object), "Python objects cannot be learned"),
    ],
)
def test_types_without_a_place_are_refused_with_a_way_out(series: pl.Series, words: str) -> None:
    with pytest.raises(DataError, match=f"table 't', column 'x': {words}"):
        infer({"t": series.to_frame()})


def test_the_key_is_the_first_column_of_unique_ids() -> None:
    frame = pl.DataFrame({"a": [1, 1, 2], "b_id": [7, 9, 8], "c_id": [1, 2, 3]})
    assert infer({"t": frame})["t"].primary_key == ("b_id",)
    assert infer({"t": frame.drop("b_id", "c_id")})["t"].primary_key == ()
    assert infer({"t": frame.with_columns(b_id=pl.Series([7, None, 8]))})["t"].primary_key == ("c_id",)


def test_small_and_empty_tables_have_a_schema_too() -> None:
    row = infer(
        {"t": pl.DataFrame({"id": [5], "email": ["a@b.org"], "city": ["Lugo"], "when": [dt.date(2024, 1, 1)]})}
    )["t"]
    assert [c.kind for c in row.columns] == ["id", "personal", "constant", "constant"]
    none = infer({"t": pl.DataFrame({"a": [1], "b": ["x"]}).clear()})["t"]
    assert [(c.kind, c.dtype, c.reason) for c in none.columns] == [
        ("empty", "int64", "no rows"),
        ("empty", "str", "no rows"),
    ]
    assert infer({"t": pl.DataFrame()})["t"].columns == ()


def test_people_of_one_table_have_one_locale() -> None:
    frame = pl.DataFrame({"telefono": made("phone:es_ES"), "correo": made("email"), "calle": made("street:es_ES")})
    assert [c.provider for c in infer({"t": frame})["t"].columns] == ["phone:es_ES", "email:es_ES", "street:es_ES"]


# ------------------------------------------------------------------------------------------------- what a person wrote

FRAME = pl.DataFrame({"k": [3, 1, 2], "size": ["s", "l", "s"], "day": ["01/02/2024", "03/04/2024", "31/12/2024"]})


def given_schema(*columns: Column, key: tuple[str, ...] = ()) -> Schema:
    return Schema({"t": Table("t", columns, primary_key=key)})


def test_given_columns_win_and_the_others_are_guessed() -> None:
    size = Column("size", "ordinal", "str", levels=("s", "m", "l"), reason="mine")
    schema = infer({"t": FRAME}, given_schema(size))["t"]
    assert schema["size"] == size
    assert schema.names == ["k", "size", "day"]
    assert schema["day"].format == "%d/%m/%Y"


def test_what_was_left_open_is_filled_in() -> None:
    schema = infer({"t": FRAME}, given_schema(Column("k", "id", "int64"), Column("day", "date", "str")))["t"]
    assert (schema["k"].pattern, schema["day"].format) == ("sequence:1:1", "%d/%m/%Y")
    assert schema["k"].reason == "given in the schema"


def test_an_inferred_schema_fed_back_changes_nothing() -> None:
    frame = pl.DataFrame({f"{i} {name}": values[:20] for i, (name, values, _, _) in enumerate(COLUMNS)}, strict=False)
    schema = infer({"t": frame})
    assert infer({"t": frame}, Schema.from_dict(schema.to_dict())) == schema


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        (
            [Column("sise", "category", "str")],
            SchemaError,
            "a column 'sise' that is not in the data; did you mean 'size'",
        ),
        (
            [Column("size", "category", "int64")],
            SchemaError,
            "table 't', column 'size': the schema says dtype int64.* str",
        ),
        ([Column("size", "number", "str")], DataError, "column 'size': the text has no one form of a number"),
        ([Column("k", "date", "int64")], DataError, "kind date needs dates.*Int64"),
        ([Column("k", "constant", "int64")], DataError, "one value, but there are 3"),
        ([Column("k", "empty", "int64")], DataError, "no value at all, but there are 3"),
        ([Column("size", "id", "str", unique=True)], DataError, "column 'size', row 2: 's' stands for the second time"),
        ([Column("size", "ordinal", "str", levels=("s", "m"))], DataError, "row 1: 'l' is not one of the `levels`"),
        ([Column("day", "date", "str", format="%m/%d/%Y")], DataError, "row 2: '31/12/2024' is not in the form"),
        ([Column("size", "personal", "str", provider="emal")], SchemaError, "no provider 'emal'; did you mean 'email'"),
        ([Column("k", "id", "int64", pattern="[0-9")], SchemaError, "column 'k': pattern '\\[0-9'"),
        ([Column("size", "geo", "str")], DataError, "no pair of latitude and longitude"),
    ],
)
def test_a_schema_that_contradicts_the_data_is_refused(columns: list[Column], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        infer({"t": FRAME}, given_schema(*columns))


def test_an_unknown_table_is_refused_with_a_hint() -> None:
    with pytest.raises(SchemaError, match="a table 'peple' that is not in the data; did you mean 'people'"):
        infer({"people": FRAME}, Schema({"peple": Table("peple", ())}))


def test_a_given_key_must_be_unique_and_complete() -> None:
    frame = pl.DataFrame({"a": [1, 1, 2, 2], "b": [1, 2, 1, 1], "c": [1, None, 2, 3]})
    columns = [Column(c, "number", "int64") for c in "abc"]
    pair = frame.with_columns(b=pl.Series([1, 2, 1, 2]))
    assert infer({"t": pair}, given_schema(*columns, key=("a", "b")))["t"].primary_key == ("a", "b")
    with pytest.raises(DataError, match=r"row 2: the primary key is not unique: 2 rows .*\(2, 1\), \(2, 1\)"):
        infer({"t": frame}, given_schema(*columns, key=("a", "b")))
    with pytest.raises(DataError, match="column 'c', row 1: a primary key has no value"):
        infer({"t": frame}, given_schema(*columns, key=("c",)))


# ------------------------------------------------------------------------------------------------- any data


KNOWN = [
    pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Float32, pl.Float64,
    pl.Decimal, pl.String, pl.Boolean, pl.Date, pl.Time, pl.Datetime, pl.Duration, pl.Categorical, pl.Enum, pl.Null,
]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(dataframes(max_cols=6, max_size=30, allowed_dtypes=KNOWN))
def test_any_frame_has_a_schema_that_it_satisfies(frame: pl.DataFrame) -> None:
    before = frame.clone()
    schema = infer({"t": frame})
    assert frame.equals(before, null_equal=True)
    assert schema["t"].names == frame.columns
    assert all(c.reason for c in schema["t"].columns)
    assert infer({"t": frame}) == schema
    assert infer({"t": frame}, schema) == schema
    assert [row.column for row in explain(schema)] == frame.columns


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=40))
def test_any_text_has_a_kind(values: list[str | None]) -> None:
    assert one("x", values, pl.String()).reason


def test_many_columns_and_many_rows_are_no_trouble() -> None:
    wide = pl.DataFrame({f"c{i}": RNG.integers(0, 9, 50) for i in range(2000)})
    assert {c.kind for c in infer({"t": wide})["t"].columns} == {"number"}
    n = 300_000
    long = pl.DataFrame({"id": np.arange(n), "x": RNG.random(n), "s": make_ids("[A-Z]{3}[0-9]{9}", np.arange(n), 7)})
    assert [c.kind for c in infer({"t": long})["t"].columns] == ["id", "number", "id"]


# ------------------------------------------------------------------------------------------------- real tables


def real(path: str) -> dict[str, Column]:
    file = SHARED / path
    if not file.exists():
        pytest.skip(f"{path} is not here: real tables are no part of the project")
    frame = pl.read_csv(file, try_parse_dates=True, infer_schema_length=10_000)
    return {c.name: c for c in infer({"t": frame})["t"].columns}


@pytest.mark.parametrize(
    ("path", "others"),
    [
        ("benchmark/data/adult_train.csv", {}),
        ("benchmark/data/beijing_train.csv", {}),
        ("benchmark/data/magic_train.csv", {}),
        ("benchmark/data/shoppers_train.csv", {"Month": "ordinal", "Weekend": "boolean", "Revenue": "boolean"}),
    ],
)
def test_benchmark_tables_are_numbers_and_categories(path: str, others: dict[str, str]) -> None:
    columns = real(path)
    for name, column in columns.items():
        assert column.kind == others.get(name, "category" if column.dtype == "str" else "number"), column


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        (
            "chinook/Customer",
            "CustomerId id, FirstName first_name, LastName last_name, Address street, City city, Country category, "
            "PostalCode postcode, Phone phone, Email email, SupportRepId number",
        ),
        (
            "northwind/Customers",
            "CustomerID id, CompanyName company, ContactName name, ContactTitle category, Fax phone, Country category",
        ),
        ("sakila/film", "film_id id, title text, description text, rating category"),
        ("sakila/category", "category_id id, name category"),
        ("clinic/patients", "patient_id id, bmi number, region category, registered date, smoker boolean"),
    ],
)
def test_database_tables(path: str, kinds: str) -> None:
    columns = real(f"data/relational/{path}.csv")
    for name, kind in (pair.split() for pair in kinds.split(", ")):
        assert (columns[name].provider or columns[name].kind).partition(":")[0] == kind, columns[name]


def test_explain_says_what_a_reader_needs() -> None:
    rows = explain(infer({"t": pl.DataFrame({"id": [1, 2, 3], "size": ["S", "M", "L"]})}))
    assert rows[0][:4] == ("t", "id", "id", "int64, sequence:1:1, unique, primary key")
    assert rows[1].detail == "str, S < M < L"
    assert rows[0].reason == "all 3 values are different, and the name has 'id'"


def test_a_column_keeps_its_own_country_beside_others() -> None:
    frame = pl.DataFrame(
        {
            "ssn": [f"{100 + i}-{10 + i % 80}-{1000 + 7 * i}" for i in range(60)],
            "phone": [f"+34 6{10_000_000 + 37 * i}" for i in range(60)],
        }
    )
    found = {c.name: c.provider for c in infer({"t": frame})["t"].columns}
    assert found == {"ssn": "national_id:en_US", "phone": "phone:es_ES"}


def test_american_names_stay_american_beside_spanish_numbers_and_machines_have_no_country() -> None:
    frame = pl.DataFrame({"name": made("name"), "phone": made("phone:es_ES"), "ip": made("ip")})
    found = {c.name: c.provider for c in infer({"t": frame})["t"].columns}
    assert found == {"name": "name:en_US", "phone": "phone:es_ES", "ip": "ip"}


def test_postcodes_of_four_digits_stay_so() -> None:
    frame = pl.DataFrame({"zip": [f"{v:04d}" for v in range(7, 4000, 7)]})
    column = infer({"t": frame})["t"]["zip"]
    assert (column.provider, column.pattern) == ("postcode", "####")
