"""Databases come back as they were: types, keys, constraints, every value; real SQLite, DuckDB, PostgreSQL, MariaDB.

`.ci/databases pytest tests/test_databases.py` starts the two servers; without them their tests skip.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import verosim as vs
from verosim import databases, files
from verosim.databases import Pick
from verosim.errors import ArgumentError, DatabaseError, DataError, FileError, MissingExtraError
from verosim.files import Layout

sa = pytest.importorskip("sqlalchemy", reason="the extra `sql` is not installed")

from verosim.databases.places import url_of  # noqa: E402
from verosim.databases.structure import SqlColumn, SqlTable, Structure, check_for  # noqa: E402
from verosim.schema import ForeignKey  # noqa: E402

KINDS = ("sqlite", "duckdb", "postgresql", "mariadb")
EMBEDDED = ("sqlite", "duckdb")
NUMBER = itertools.count()
shared = Path(__file__).parents[2] / "shared" / "data" / "relational"


def run_sql(place: str, *statements: str) -> list[tuple[object, ...]]:
    """Statements in one transaction; -> the rows of the last."""
    engine = sa.create_engine(url_of(place), poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            result = connection.exec_driver_sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []


@pytest.fixture
def make(tmp_path: Path) -> Iterator[object]:
    """A new, empty database of a kind."""
    made = []

    def new(kind: str) -> str:
        name = f"verosim_test_{os.getpid()}_{next(NUMBER)}"
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / name}.db"
        if kind == "duckdb":
            pytest.importorskip("duckdb_engine", reason="the extra `duckdb` is not installed")
            return f"duckdb:///{tmp_path / name}.duckdb"
        server = os.environ.get(f"VEROSIM_TEST_{kind.upper()}")
        if not server:
            pytest.skip(f"no {kind} server: run the tests by .ci/databases")
        engine = sa.create_engine(url_of(server), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(f"create database {name}")
        made.append((engine, name))
        return f"{server.rpartition('/')[0]}/{name}"

    yield new
    for engine, name in made:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"drop database {name}")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


TYPES = {  # every type that a kind of database has and we claim to carry: of the column, and a value of it
    "sqlite": {
        "i": ("INTEGER", "9007199254740993"), "f": ("REAL", "0.1"), "d": ("DECIMAL(10, 2)", "12.30"),
        "t": ("VARCHAR(20)", "'it''s \"x\"; naïve 😀'"), "b": ("BLOB", "x'0001FF'"), "o": ("BOOLEAN", "1"),
        "day": ("DATE", "'2024-02-29'"), "at": ("DATETIME", "'2024-02-29 23:59:59.000001'"),
        "hour": ("TIME", "'23:59:59'"),
    },
    "duckdb": {
        "i": ("bigint", "9007199254740993"), "h": ("hugeint", "12345678901234567890123456789012345678"),
        "s": ("smallint", "-7"), "f": ("double", "0.1"), "d": ("decimal(10,2)", "12.30"),
        "t": ("varchar", "'it''s \"x\"; naïve 😀'"), "b": ("blob", r"'\x00\x01\xFF'::blob"), "o": ("boolean", "true"),
        "day": ("date", "'2024-02-29'"), '"at"': ("timestamp", "'2024-02-29 23:59:59.000001'"),
        "zone": ("timestamptz", "'2024-02-29 12:00+02'"), "hour": ("time", "'23:59:59'"),
        "long": ("interval", "'2 days 1 second'"), "u": ("uuid", "'12345678-1234-5678-1234-567812345678'"),
        "e": ("enum('low','high')", "'high'"),
    },
    "postgresql": {
        "i": ("bigint", "9007199254740993"), "s": ("smallint", "-7"), "f": ("double precision", "0.1"),
        "d": ("numeric(10,2)", "12.30"), "n": ("numeric", "12.345"), "t": ("varchar(20)", "'it''s \"x\"; naïve 😀'"),
        "c": ("char(3)", "'ab'"), "b": ("bytea", r"'\x0001FF'"), "o": ("boolean", "true"),
        "day": ("date", "'2024-02-29'"),
        "at": ("timestamp", "'2024-02-29 23:59:59.000001'"), "zone": ("timestamptz", "'2024-02-29 12:00+02'"),
        "hour": ("time", "'23:59:59.5'"), "long": ("interval", "'2 days 1 second'"),
        "u": ("uuid", "'12345678-1234-5678-1234-567812345678'"),
    },
    "mariadb": {
        "i": ("bigint", "-9007199254740993"), "u": ("bigint unsigned", "18446744073709551615"),
        "s": ("smallint", "-7"),
        "f": ("double", "0.1"), "d": ("decimal(10,2)", "12.30"), "t": ("varchar(20)", "'it''s \"x\"; naïve 😀'"),
        "b": ("blob", "x'0001FF'"), "o": ("tinyint(1)", "1"), "bits": ("bit(1)", "b'1'"),
        "day": ("date", "'2024-02-29'"),
        "at": ("datetime(6)", "'2024-02-29 23:59:59.000001'"), "hour": ("time", "'23:59:59'"), "y": ("year", "2024"),
        "e": ("enum('low','high')", "'high'"),
    },
}  # fmt: skip
VALUES = {
    "i": 9007199254740993, "f": 0.1, "d": Decimal("12.30"), "t": "it's \"x\"; naïve 😀", "b": b"\x00\x01\xff",
    "o": True,
    "day": dt.date(2024, 2, 29), "at": dt.datetime(2024, 2, 29, 23, 59, 59, 1), "s": -7, "n": Decimal("12.345"),
    "c": "ab ", "zone": dt.datetime(2024, 2, 29, 10, tzinfo=dt.UTC), "long": dt.timedelta(days=2, seconds=1),
    "h": 12345678901234567890123456789012345678, "bits": True, "y": 2024, "e": "high", "hour": dt.time(23, 59, 59),
}  # fmt: skip
OTHERWISE = {
    ("postgresql", "hour"): dt.time(23, 59, 59, 500_000), ("mariadb", "i"): -9007199254740993,
    ("postgresql", "u"): "12345678-1234-5678-1234-567812345678", ("mariadb", "u"): 18446744073709551615,
    ("duckdb", "u"): "12345678-1234-5678-1234-567812345678",
}  # fmt: skip


def typed(place: str, kind: str) -> None:
    """A table of all types, with a row of values, one of missing values, and one of empty text."""
    columns = ", ".join(f"{name} {sql.replace('%', '%%')}" for name, (sql, _) in TYPES[kind].items())
    values = ", ".join(value for _, value in TYPES[kind].values())
    run_sql(
        place,
        f"create table typed (id integer primary key, {columns})",
        f"insert into typed values (1, {values})",
        "insert into typed (id) values (2)",
        "insert into typed (id, t) values (3, '')",
    )


def copied(source: str, target: str, **options: object) -> list[str]:
    read = databases.read(source)
    return databases.write(read.dataset, target, read.layout.structure, **options)  # type: ignore[arg-type]


def structure(place: str) -> Structure:
    return Structure.from_dict(databases.read(place).layout.structure)


def assert_same(one: str, other: str) -> None:
    """Same tables, same types, keys and constraints, same rows."""
    first, second = databases.read(one), databases.read(other)
    assert list(first.dataset) == list(second.dataset)
    for name, frame in first.dataset.items():
        assert_frame_equal(frame, second.dataset[name])
    for name, table in structure(one).tables.items():
        there = structure(other).tables[name]
        assert (table.columns, table.primary_key) == (there.columns, there.primary_key)
        assert {*table.foreign_keys} == {*there.foreign_keys}
        assert {*table.unique} == {*there.unique}
        assert [c.replace('"', "").lower() for c in table.checks] == [c.replace('"', "").lower() for c in there.checks]


# ------------------------------------------------------------------------------------------------- types


def test_every_type_is_read_exactly(make, kind: str) -> None:
    place = make(kind)
    typed(place, kind)
    frame = databases.read(place).dataset["typed"]
    for name in TYPES[kind]:
        plain = name.strip('"')
        assert frame[plain][0] == OTHERWISE.get((kind, plain), VALUES.get(plain))
        assert frame[plain][1] is None
    assert frame["t"].to_list()[1:] == [None, ""]
    assert frame.schema["d"] == pl.Decimal(10, 2)


def test_every_type_is_written_as_it_was(make, kind: str) -> None:
    source, target = make(kind), make(kind)
    typed(source, kind)
    assert copied(source, target) == []
    assert_same(source, target)


@pytest.mark.parametrize("other", KINDS)
def test_values_survive_another_kind_of_database(make, kind: str, other: str) -> None:
    source, between, back = make(kind), make(other), make(kind)
    typed(source, kind)
    copied(source, between)
    copied(between, back)
    before, after = (databases.read(place).dataset["typed"] for place in (source, back))
    if other == "sqlite" and "long" in before.columns:  # which has no lengths of time: microseconds
        before = before.with_columns(pl.col("long").cast(pl.Int64))
    for name in before.columns:
        same = before[name].cast(pl.String) if before[name].dtype != after[name].dtype else before[name]
        shown = after[name].cast(same.dtype) if name != "zone" or other in ("postgresql", "duckdb") else None
        if shown is not None:
            assert shown.to_list() == same.to_list(), name


def test_a_column_of_sqlite_that_holds_anything_is_text(make) -> None:
    place = make("sqlite")
    run_sql(
        place, "create table t (n integer, d date, x)", "insert into t values (1, '2024-01-01', 5), ('', 'soon', 6)"
    )
    source = databases.read(place)
    assert source.dataset["t"].rows() == [("1", "2024-01-01", 5), ("", "soon", 6)]
    assert source.notes == ("table 't', column 'n': declared INTEGER, but holds other text too: read as text",)
    copied(place, target := make("sqlite"))
    assert run_sql(target, "select typeof(n), typeof(d), typeof(x) from t") == [
        ("integer", "text", "integer"), ("text", "text", "integer"),
    ]  # fmt: skip


def test_values_that_cannot_be_carried_are_named(make) -> None:
    place = make("sqlite")
    run_sql(place, "create table t (a)", "insert into t values (1), (x'00')")
    with pytest.raises(DataError, match=r"table 't', column 'a', row 0: cannot be carried .*bytes and int"):
        databases.read(place)


def test_types_of_their_own_are_carried_as_text(make) -> None:
    place = make("postgresql")
    run_sql(
        place,
        "create type mood as enum ('sad', 'ok')",
        "create table t (id int primary key, j jsonb, a int[], ip inet, m mood)",
        """insert into t values (1, '{"a": [1]}', '{1,2}', '10.0.0.1', 'ok')""",
    )
    frame = databases.read(place).dataset["t"]
    assert frame.rows() == [(1, '{"a": [1]}', "{1,2}", "10.0.0.1/32", "ok")]
    assert frame.schema["m"] == pl.Enum(["sad", "ok"])
    copied(place, target := make("postgresql"))
    assert_frame_equal(databases.read(target).dataset["t"], frame)
    assert run_sql(target, "select m from t where m > 'sad'") == [("ok",)]  # still an enum, in order


# ------------------------------------------------------------------------------------------------- structure

SCHOOL = [
    "create table teacher (id integer primary key, name varchar(40) not null, boss integer"
    " references teacher (id), unique (name))",
    "create table class (level integer not null, letter varchar(2) not null, teacher_id integer not null,"
    " primary key (level, letter), foreign key (teacher_id) references teacher (id), check (level between 1 and 13))",
    "create table pupil (id integer primary key, level integer, letter varchar(2), fee numeric(8,2), mentor integer,"
    " foreign key (level, letter) references class (level, letter), foreign key (mentor) references pupil (id),"
    " check (fee >= 0 and fee < 10000))",
    "insert into teacher values (1, 'Ada', null), (2, 'Bo', 1)",
    "insert into class values (1, 'a', 1), (1, 'b', 2)",
    "insert into pupil values (1, 1, 'a', 10.50, null), (2, 1, 'b', 0, 1), (3, null, null, null, 2)",
]


def school(kind: str) -> list[str]:
    """The school; DuckDB checks each key at once, and so cannot be given rows of a tree together."""
    trees = (" references teacher (id), unique", ", unique"), (", foreign key (mentor) references pupil (id)", "")
    return [s.replace(*trees[0]).replace(*trees[1]) if kind == "duckdb" else s for s in SCHOOL]


CIRCLE = [
    "create table ship (id integer primary key, captain integer)",
    "create table sailor (id integer primary key, ship integer not null references ship (id))",
    "insert into ship values (1, null), (2, null)",
    "insert into sailor values (1, 1), (2, 2)",
    "update ship set captain = id",
]


@pytest.mark.parametrize("other", KINDS)
def test_keys_and_constraints_are_kept(make, kind: str, other: str) -> None:
    source, target = make(kind), make(other)
    run_sql(source, *school(kind))
    lost = [] if other != "duckdb" or kind == other else ["teacher", "pupil"]  # keys that DuckDB would not take
    assert [note.split("'")[1] for note in copied(source, target)] == lost
    there = structure(target).tables
    assert list(there) == ["teacher", "class", "pupil"]
    assert there["class"].primary_key == ("level", "letter")
    assert {(k.columns, k.parent, k.parent_columns) for k in there["pupil"].foreign_keys} == {
        (("level", "letter"), "class", ("level", "letter")),
        *([] if "duckdb" in (kind, other) else [(("mentor",), "pupil", ("id",))]),
    }
    assert there["teacher"].unique == (("name",),)
    assert [c.nullable for c in there["teacher"].columns[1:]] == [False, True]
    for refused in (
        "insert into pupil values (9, 1, 'a', -1, null)",
        "insert into teacher values (9, 'Ada', null)",
        "insert into class values (14, 'c', 1)",
    ):
        with pytest.raises(sa.exc.DBAPIError):
            run_sql(target, refused)
    if kind == other:
        assert_same(source, target)


def test_tables_may_refer_to_each_other_in_a_circle(make, kind: str) -> None:
    source, target = make(kind), make(kind)
    if kind == "duckdb":
        pytest.skip("DuckDB has no keys in a circle")
    if kind == "sqlite":
        run_sql(source, CIRCLE[0].replace("captain integer", "captain integer references sailor (id)"), *CIRCLE[1:])
    else:
        run_sql(source, *CIRCLE[:2], "alter table ship add foreign key (captain) references sailor (id)", *CIRCLE[2:])
    assert copied(source, target) == []
    assert_same(source, target)


def test_names_may_be_anything(make, kind: str) -> None:
    odd = 'a "b"; drop table `x`, [y] %s :z ü'
    frame = pl.DataFrame({odd: [1, 2], "select": ["x", None], "%(a)s": [1.5, 2.5]})
    place = make(kind)
    databases.write({odd: frame, "order": frame}, place)
    read = databases.read(place).dataset
    assert {*read} == {odd, "order"}
    for table in read.values():
        assert_frame_equal(table, frame, check_row_order=False)


def test_tables_can_be_named(make, kind: str) -> None:
    place = make(kind)
    run_sql(place, *school(kind))
    source = databases.read(place, Pick(tables=("pupil",)))
    assert list(source.dataset) == ["pupil"]
    assert any("class" in note and "not asked for" in note for note in source.notes)
    with pytest.raises(DatabaseError, match="no table 'pupils'; did you mean 'pupil'"):
        databases.read(place, Pick(tables=("pupils",)))


def test_another_schema_can_be_read(make) -> None:
    place = make("postgresql")
    run_sql(place, "create schema sales", "create table sales.orders (id int)", "insert into sales.orders values (5)")
    assert databases.read(place, Pick(schema_name="sales")).dataset["orders"].rows() == [(5,)]
    with pytest.raises(DatabaseError, match="no schema 'sale'; did you mean 'sales'"):
        databases.read(place, Pick(schema_name="sale"))
    with pytest.raises(DatabaseError, match="no tables that this user can see"):
        databases.read(place)


def test_sampled_rows_refer_to_sampled_rows(make) -> None:
    place = make("sqlite")
    n = 2_000
    frames = {
        "parent": pl.DataFrame({"id": range(n)}),
        "child": pl.DataFrame({"id": range(5 * n), "parent": [i % n if i % 7 else None for i in range(5 * n)]}),
    }
    child = SqlTable(
        "child", (SqlColumn("id", "int64"), SqlColumn("parent", "int64")), ("id",),
        (ForeignKey(("parent",), "parent", ("id",)),),
    )  # fmt: skip
    known = Structure("", {"parent": SqlTable("parent", (SqlColumn("id", "int64"),), ("id",)), "child": child})
    databases.write(frames, place, known.to_dict())
    first, again = (databases.read(place, Pick(sample_rows=300)) for _ in range(2))
    parent, children = first.dataset["parent"], first.dataset["child"]
    assert parent.height == 300
    assert children.height == 300
    assert children["parent"].drop_nulls().is_in(parent["id"].implode()).all()
    assert any("300 of 2,000 rows drawn" in note for note in first.notes)
    for name, frame in again.dataset.items():
        assert_frame_equal(frame, first.dataset[name])


def test_sampled_rows_of_a_tree_keep_the_boss_that_was_drawn_too(make) -> None:
    place = make("sqlite")
    run_sql(place, "create table staff (id integer primary key, boss integer references staff (id))")
    run_sql(place, "insert into staff values " + ", ".join(f"({i}, {i // 2 or 'null'})" for i in range(1, 400)))
    frame = databases.read(place, Pick(sample_rows=100)).dataset["staff"]
    assert frame.height == 100
    assert 0 < frame["boss"].drop_nulls().len() < 100
    assert frame["boss"].drop_nulls().is_in(frame["id"].implode()).all()


# ------------------------------------------------------------------------------------------------- checks


@pytest.mark.parametrize(
    "check",
    [
        "a > 0); drop table t; --", "a in (select a from t)", "my_function(a)", "b > 0", "a > :x", "",
        "pragma foreign_keys", "a > 0; delete from t",
    ],
)  # fmt: skip
def test_a_check_is_a_condition_on_its_columns_and_nothing_more(check: str) -> None:
    assert check_for(check, SqlTable("t", (SqlColumn("a", "int64"),)), "sqlite", "sqlite") is None


def test_checks_of_postgresql_are_understood_elsewhere() -> None:
    table = SqlTable("t", (SqlColumn("status", "str"), SqlColumn("price", "decimal[10, 2]")))
    text = "(status)::text = ANY (ARRAY['a'::character varying, 'b'::character varying]::text[])"
    assert check_for(text, table, "postgresql", "sqlite") == "\"status\" IN ('a', 'b')"
    assert check_for("(price > (0)::numeric)", table, "postgresql", "mysql") == "(`price` > 0)"


def test_a_check_is_a_rule_of_the_schema(make) -> None:
    place = make("sqlite")
    run_sql(place, *school(kind))
    assert any("level" in str(rule) for rule in vs.inspect(place)["class"].rules)


# ------------------------------------------------------------------------------------------------- all or nothing


def failing() -> Iterator[pl.DataFrame]:
    yield pl.DataFrame({"id": [1, 2]})
    raise KeyboardInterrupt


def test_nothing_is_left_of_a_run_that_ends_early(make, kind: str) -> None:
    place = make(kind)
    with pytest.raises(KeyboardInterrupt):
        databases.write({"done": pl.DataFrame({"id": [1]}), "broken": failing()}, place)
    if kind in EMBEDDED:
        assert not databases.file_of(place).exists()
    else:
        with pytest.raises(DatabaseError, match="no tables"):
            databases.read(place)


def test_a_database_with_tables_is_refused(make, kind: str) -> None:
    place, frame = make(kind), pl.DataFrame({"id": [1]})
    databases.write({"t": frame, "other": frame}, place)
    for refused in (lambda: databases.check_target(place), lambda: databases.write({"t": frame}, place)):
        with pytest.raises(DatabaseError, match=r"holds tables already .*--replace"):
            refused()
    new = pl.DataFrame({"name": ["a", "b"]})
    databases.check_target(place, replace=True)
    databases.write({"t": new}, place, replace=True)
    read = databases.read(place).dataset
    assert_frame_equal(read["t"], new)
    assert_frame_equal(read["other"], frame)


def test_what_is_replaced_stays_until_all_is_written(make, kind: str) -> None:
    place = make(kind)
    run_sql(place, *school(kind))
    before = databases.read(place)
    with pytest.raises(KeyboardInterrupt):
        databases.write(
            {"pupil": failing(), "teacher": pl.DataFrame({"id": [7]}), "class": failing()}, place, replace=True
        )
    after = databases.read(place)
    assert before.layout.structure == after.layout.structure
    for name, frame in before.dataset.items():
        assert_frame_equal(frame, after.dataset[name])
    copied(place, place, replace=True)
    assert [frame.height for frame in databases.read(place).dataset.values()] == [2, 2, 3]


def test_rows_that_break_a_key_are_refused(make, kind: str) -> None:
    source, target = make(kind), make(kind)
    run_sql(source, *school(kind))
    read = databases.read(source)
    wrong = read.dataset["class"].with_columns(teacher_id=pl.lit(99))
    with pytest.raises(DataError, match="table 'class'"):
        databases.write(dict(read.dataset) | {"class": wrong}, target, read.layout.structure)
    twice = pl.concat([read.dataset["class"]] * 2)
    with pytest.raises(DataError, match="table 'class'"):
        databases.write(dict(read.dataset) | {"class": twice}, target, read.layout.structure)
    if kind not in EMBEDDED:
        with pytest.raises(DatabaseError, match="no tables"):
            databases.read(target)


def test_the_source_is_only_read(make, kind: str) -> None:
    from verosim.databases.places import opened

    place = make(kind)
    run_sql(place, *school(kind))
    with pytest.raises(DatabaseError, match=r"(?i)read.?only"), opened(place) as connection:
        connection.exec_driver_sql("insert into teacher values (9, 'Eve', null)")
    assert databases.read(place).dataset["teacher"].height == 2


# ------------------------------------------------------------------------------------------------- the path


@pytest.fixture
def people(make) -> str:
    """A table of 300 people, with a picture and a check."""
    place = make("sqlite")
    run_sql(
        place,
        "create table people (id integer primary key, age integer not null check (age >= 18), fee decimal(8, 2),"
        " city varchar(20), born date, photo blob)",
    )
    with sqlite3.connect(databases.file_of(place)) as connection:
        rows = [
            (i, 18 + i * 7 % 60, i % 40 + 0.25, f"city {i % 5}", f"19{50 + i % 50}-01-01", b"\xff") for i in range(300)
        ]
        connection.executemany("insert into people values (?, ?, ?, ?, ?, ?)", rows)
    connection.close()
    return place


def test_a_database_becomes_a_synthetic_one(people: str, tmp_path: Path) -> None:
    before = databases.file_of(people).read_bytes()
    done = vs.synth(people, f"sqlite:///{tmp_path}/new.db", seed=1, options=vs.Options(model="chain"))
    assert done.rows == {"people": 300}
    assert structure(people).tables["people"].columns == structure(f"{tmp_path}/new.db").tables["people"].columns
    frame = databases.read(f"{tmp_path}/new.db").dataset["people"]
    assert frame["id"].n_unique() == 300
    assert frame["age"].min() >= 18
    assert frame["photo"].null_count() == 300
    assert databases.file_of(people).read_bytes() == before
    assert Path(done.report_path) == tmp_path / f"{databases.file_of(people).stem}.report.html"


def test_a_model_remembers_the_database(make, people: str, tmp_path: Path, kind: str) -> None:
    vs.fit(people, model="chain").save(tmp_path / "people.verosim")
    again = vs.load(tmp_path / "people.verosim")
    place = make(kind)
    from verosim import run

    assert run.write(again, place, {"people": 50}) == []
    table = structure(place).tables["people"]
    assert table.primary_key == ("id",)
    assert next(c for c in table.columns if c.name == "fee").dtype == "decimal[8, 2]"
    assert Layout.from_dict(again.layout.to_dict()) == again.layout


def test_data_from_files_go_into_a_database(make, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where the report goes if the rows go to a server
    (tmp_path / "t.csv").write_text("id,name\n" + "".join(f"{i},n{i % 3}\n" for i in range(60)))
    place = make(kind)
    vs.synth(tmp_path / "t.csv", place, options=vs.Options(model="chain"))
    assert structure(place).tables["t"].primary_key == ("id",)
    assert databases.read(place).dataset["t"].height == 60
    with pytest.raises(DatabaseError, match="holds tables already"):
        vs.synth(tmp_path / "t.csv", place)


def test_picking_is_for_databases(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n")
    with pytest.raises(ArgumentError, match="from a database alone"):
        vs.inspect(tmp_path / "t.csv", pick=Pick(tables=("t",)))


# ------------------------------------------------------------------------------------------------- places


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("postgress://ann:secret@host/clinic", "did you mean 'postgresql'"),
        ("ftp://ann:secret@host/clinic", "no database is called 'ftp'; there are 'sqlite'"),
        ("sqlite://clinic.db", "sqlite:///clinic.db"),
        ("sqlite:/clinic.db", "sqlite:///clinic.db"),
        ("sqlite:///:memory:", "a file was wanted"),
        ("postgresql://ann:secret@host", "names no database"),
        ("postgresql://ann:secret@host:port/clinic", "not a URL that can be read"),
        ("postgresql://ann:secret@127.0.0.1:1/clinic", "Is the server running"),
        ("mysql://ann:secret@127.0.0.1:1/clinic", "Is the server running"),
    ],
)
def test_a_wrong_url_is_explained_without_its_password(place: str, message: str) -> None:
    with pytest.raises(DatabaseError) as raised:
        databases.read(place)
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "clinic.db").write_bytes(b"this is not SQLite, however long it is" * 50)
    with pytest.raises(FileError, match=r"no such file; did you mean 'clinic.db'"):
        databases.read(tmp_path / "clinik.db")
    assert [p.name for p in tmp_path.iterdir()] == ["clinic.db"]
    with pytest.raises(DatabaseError, match="not a database"):
        databases.read(tmp_path / "clinic.db")


def test_a_missing_driver_says_what_to_install() -> None:
    with pytest.raises(MissingExtraError, match="pip install 'pyodbc'"):
        databases.read("mssql://ann:secret@host/clinic")


def test_passwords_are_not_shown_and_may_stand_in_the_environment(
    make, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = make(kind)
    if kind in EMBEDDED:
        pytest.skip("a file has no users")
    wrong = place.replace("secret", "wr/on@g:pw")
    with pytest.raises(DatabaseError) as raised:
        databases.read(wrong)
    assert "on@g" not in str(raised.value)
    with pytest.raises(
        DatabaseError, match=r"(?i)(password authentication|access denied).*Check user and password"
    ) as raised:
        databases.read(place.replace("secret", "wrong"))
    assert "wrong" not in str(raised.value)
    run_sql(place, "create table t (a int)", "insert into t values (1)")
    monkeypatch.setenv("VEROSIM_DB_PASSWORD", "secret")
    assert databases.read(place.replace(":secret", "")).dataset["t"].height == 1


def test_no_rights_are_said(make) -> None:
    place = make("postgresql")
    run_sql(place, "create table t (a int)", "create role guest login password 'guest'")
    try:
        with pytest.raises(DatabaseError, match=r"'t' cannot be read: permission denied .*needs SELECT"):
            databases.read(place.replace("verosim:secret", "guest:guest"))
    finally:
        run_sql(place, "drop role guest")


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("sqlite:///data/clinic.db", "data/clinic.synthetic.db"),
        ("clinic.sqlite", "clinic.synthetic.sqlite"),
        ("postgresql://ann:secret@host/clinic", "clinic.synthetic.db"),
    ],
)
def test_what_comes_of_a_database_lies_beside_it_and_has_its_name(place: str, name: str) -> None:
    from verosim import targets

    assert targets.beside(place, "synthetic") == Path(name)
    assert targets.beside(place, "report", ".json").name == "clinic.report.json"


def test_one_database_has_many_names(tmp_path: Path) -> None:
    assert databases.same(f"sqlite:///{tmp_path}/a.db", tmp_path / "." / "a.db")
    assert databases.same("postgresql://ann@localhost/x", "postgres://bob:secret@127.0.0.1:5432/x")
    assert not databases.same("postgresql://ann@host/x", "postgresql://ann@host/y")
    assert not databases.same("postgresql://ann@host/x", tmp_path / "x.db")


# ------------------------------------------------------------------------------------------------- known schemas


@pytest.mark.parametrize("name", ["chinook", "northwind", "sakila", "clinic"])
def test_known_schemas_come_and_go(make, kind: str, name: str) -> None:
    if not shared.is_dir():
        pytest.skip(f"no {shared}")
    dataset = {t: f for p in sorted((shared / name).glob("*.csv")) for t, f in files.read(p).dataset.items()}
    place = make(kind)
    databases.write(dataset, place)
    back = databases.read(place).dataset
    for table, frame in dataset.items():
        assert_frame_equal(frame, back[table], check_row_order=False)
