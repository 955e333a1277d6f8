"""The learned source, through the public door: the same rows for the same seed, rules held, rare values kept back."""

from __future__ import annotations

import datetime as dt
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

import verosim as vs
from verosim.draws import BLOCK
from verosim.synthesizer import split

MODELS = ["chain", "copula", "independent"]
SRC = str(Path(vs.__file__).parents[1])


def visits(n: int = 200, seed: int = 0) -> pl.DataFrame:
    """Ids, a person's data, numbers, dates and levels; `end` is never before `start`, and `total` a sum."""
    rng = np.random.default_rng(seed)
    start = [dt.date(2024, 1, 1) + dt.timedelta(days=int(d)) for d in rng.integers(0, 300, n)]
    a, b = rng.integers(0, 40, n), rng.integers(0, 40, n)
    return pl.DataFrame(
        {
            "visit_id": [f"V-{i:06d}" for i in range(n)],
            "email": [f"someone{i}@mail.org" for i in range(n)],
            "age": rng.integers(18, 80, n),
            "cost": rng.gamma(2, 100, n).round(2),
            "ward": rng.choice(["north", "south", "east"], n),
            "start": start,
            "end": [day + dt.timedelta(days=int(k)) for day, k in zip(start, rng.integers(0, 20, n), strict=True)],
            "a": a,
            "b": b,
            "total": a + b,
        }
    )


def schema_of(frame: pl.DataFrame, *rules: Any, **changes: dict[str, Any]) -> vs.Schema:
    """The schema of a frame with these rules, and these changes of its columns."""
    table = vs.inspect(frame)["table"]
    columns = [replace(table[name], **change) for name, change in changes.items()]
    return vs.Schema({"table": replace(table.with_columns(*columns), rules=rules)})


REDRAWN = "a + b < 60 or ward = 'north'"  # no other column can be made of it: rows are drawn again
UNIQUE = {"rule": "unique", "columns": ["age", "ward", "a"]}
VISITS = schema_of(visits().filter(pl.col("a") + pl.col("b") < 60), "start <= end", REDRAWN, UNIQUE)


def clean(n: int = 300) -> pl.DataFrame:
    """Visits in which the rules of VISITS hold."""
    return visits(n).filter(pl.col("a") + pl.col("b") < 60).unique(["age", "ward", "a"], maintain_order=True)


@pytest.fixture(scope="module", params=MODELS)
def learned(request: pytest.FixtureRequest) -> vs.Synthesizer:
    return vs.fit(clean(), VISITS, seed=3, model=request.param)


@pytest.fixture(scope="module")
def plain() -> vs.Synthesizer:
    return vs.fit(visits(), seed=3, model="independent")


# ---------------------------------------------------------------------------------------------------- same seed


def test_fewer_rows_are_the_head_of_more(learned: vs.Synthesizer) -> None:
    """Over three blocks, with ids, people, redrawn rows and unique rules."""
    most = learned.sample(1200)
    for rows in (0, 1, 2, 100, 1000):
        assert_frame_equal(learned.sample(rows), most.head(rows))


def test_fewer_rows_are_the_head_of_several_blocks() -> None:
    synthesizer = vs.fit(visits(), schema_of(visits(), "start <= end", "a + b < 90", "a < 39 or b < 39"), seed=1)
    most = synthesizer.sample(20_000)
    assert most.height == 20_000 > 2 * BLOCK
    for rows in (100, 1000, BLOCK - 1, BLOCK, BLOCK + 1):
        assert_frame_equal(synthesizer.sample(rows), most.head(rows))


def test_workers_and_blocks_change_nothing(plain: vs.Synthesizer) -> None:
    rows = 3 * BLOCK + 5
    one = plain.sample(rows)
    assert_frame_equal(plain.sample(rows, workers=3), one)
    blocks = list(plain.blocks("table", rows, workers=2))
    assert [b.height for b in blocks] == [BLOCK, BLOCK, BLOCK, 5]
    assert_frame_equal(pl.concat(blocks), one)


def test_unique_rows_are_the_same_for_any_workers() -> None:
    frame = visits(400)
    synthesizer = vs.fit(frame, schema_of(frame, {"rule": "unique", "columns": ["cost", "age", "a"]}), seed=1)
    drawn = synthesizer.sample(BLOCK + 500, workers=2)
    assert drawn.select("cost", "age", "a").is_unique().all()
    assert_frame_equal(synthesizer.sample(BLOCK + 500), drawn)


def test_values_of_every_type_come_from_other_processes_as_they_are() -> None:
    n = 60
    ages = pl.Series([i % 20 for i in range(n)])
    frame = pl.DataFrame(
        {
            "whole": ages.cast(pl.Int128) * pl.Series([10**20], dtype=pl.Int128),
            "money": ages.cast(pl.Decimal(10, 2)),
            "grade": pl.Series(["low", "high"] * 30, dtype=pl.Enum(["low", "high"])),
            "colour": pl.Series(["red", "blue", None] * 20, dtype=pl.Categorical),
            "day": pl.Series([dt.date(2020, 1, 1 + i % 20) for i in range(n)]),
            "time": pl.Series([dt.time(i % 20) for i in range(n)]),
            "length": pl.Series([dt.timedelta(hours=i % 20) for i in range(n)]),
            "moment": pl.Series([dt.datetime(2020, 1, 1 + i % 20) for i in range(n)]).dt.replace_time_zone("UTC"),
            "yes": pl.Series([True, False] * 30),
        }
    )
    synthesizer = vs.fit(frame, seed=1, model="independent")
    assert_frame_equal(synthesizer.sample(BLOCK + 9, workers=2), synthesizer.sample(BLOCK + 9))


def test_an_error_in_another_process_is_the_error_here() -> None:
    frame = pl.DataFrame({"x": range(2_000), "y": [x * x for x in range(2_000)]})
    never = vs.fit(frame, schema_of(frame, "y = x * x"), seed=1, model="independent")
    for workers in (1, 2):
        with pytest.raises(vs.RuleError, match="cannot be held"):
            never.sample(BLOCK + 1, workers=workers)


def test_blocks_left_early_leave_nothing_running(plain: vs.Synthesizer) -> None:
    blocks = plain.blocks("table", 900_000, workers=2)
    assert next(blocks).height == BLOCK
    blocks.close()  # type: ignore[attr-defined]


def test_another_seed_gives_other_rows(plain: vs.Synthesizer) -> None:
    assert_frame_equal(plain.sample(50), plain.sample(50, seed=3))
    assert not plain.sample(50, seed=4).equals(plain.sample(50))


def test_fit_forgets_the_fit_before() -> None:
    frame = visits(60).select("age", "ward")
    synthesizer = vs.Synthesizer().fit({"t": visits(100)}, vs.inspect({"t": visits(100)}), seed=1)
    again = synthesizer.fit({"table": frame}, vs.inspect(frame), seed=2)
    assert again is synthesizer
    assert_frame_equal(synthesizer.sample(20), vs.fit(frame, seed=2).sample(20))


PROCESS = f"""
import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}, {SRC!r}]
import hashlib, test_synthesizer as t, verosim as vs
for model in t.MODELS:
    s = vs.fit(t.clean(), t.VISITS, seed=3, model=model)
    print(hashlib.sha256(s.sample(1000, workers=int(sys.argv[1])).write_csv().encode()).hexdigest())
"""


@pytest.mark.parametrize(("hashes", "threads", "workers"), [("1", "1", "1"), ("77", "3", "2")])
def test_the_same_rows_in_any_process(hashes: str, threads: str, workers: str) -> None:
    env = {"PYTHONHASHSEED": hashes, "POLARS_MAX_THREADS": threads, "OMP_NUM_THREADS": threads}
    call = [sys.executable, "-c", PROCESS, workers]
    printed = subprocess.run(call, env=env, check=True, capture_output=True, text=True).stdout
    here = [vs.fit(clean(), VISITS, seed=3, model=m).sample(1000).write_csv() for m in MODELS]
    assert printed.split() == [hashlib.sha256(text.encode()).hexdigest() for text in here]


# -------------------------------------------------------------------------------------------------------- rules


@pytest.mark.parametrize("rows", [1, 500])
def test_rules_hold_in_every_row(learned: vs.Synthesizer, rows: int) -> None:
    new = learned.sample(rows, seed=11)
    assert new.height == rows
    assert (new["start"] <= new["end"]).all()
    assert ((new["a"] + new["b"] < 60) | (new["ward"] == "north")).all()
    assert new.select("age", "ward", "a").is_unique().all()
    assert new["visit_id"].is_unique().all()
    assert new["email"].is_unique().all()


def test_a_rule_that_one_row_in_a_hundred_holds() -> None:
    """Learned apart, the columns hold it seldom: the rows are drawn until they do."""
    x = np.arange(400) % 100
    frame = pl.DataFrame({"x": x, "y": x})
    schema = schema_of(frame, "(x - y) * (x - y) < 1", x={"kind": "category"}, y={"kind": "category"})
    schema = vs.Schema({"table": replace(schema["table"], rules=("case when x = y then true else false end",))})
    new = vs.fit(frame, schema, seed=1, model="independent", k=1, holdout=0.0).sample(100)
    assert (new["x"] == new["y"]).all()


def test_a_rule_that_no_row_holds_is_named() -> None:
    """It holds in all real rows, but each of its values is one person's, and not given out."""
    x, y = [f"p{i}" for i in range(60)], [f"q{i}" for i in range(60)]
    frame = pl.DataFrame({"x": x, "y": y, "both": [a + b for a, b in zip(x, y, strict=True)], "z": [1, 2] * 30})
    levels: Any = {name: {"kind": "category"} for name in ("x", "y", "both")}
    synthesizer = vs.fit(frame, schema_of(frame, "z < 9", "concat(x, y) = both", **levels), seed=1, model="independent")
    with pytest.raises(vs.RuleError, match=r"table 'table': the rule `concat\(x, y\) = both` cannot be held: 100"):
        synthesizer.sample(10)
    assert "cannot be held" in synthesizer.report["tables"]["table"]["notes"][0]


def test_only_the_rows_asked_must_hold() -> None:
    """The ids go on where the real ones end: of the block's 8192, the first thousand hold the rule."""
    frame = pl.DataFrame({"id": range(60), "x": [1, 2, 3] * 20})
    synthesizer = vs.fit(frame, schema_of(frame, "id < 1000", "x <> 2 or id > 0"), seed=1)
    assert_frame_equal(synthesizer.sample(100), synthesizer.sample(1000).head(100))
    with pytest.raises(vs.RuleError, match="id < 1000"):
        synthesizer.sample(1001)


def test_unique_values_come_as_long_as_there_are_some() -> None:
    frame = pl.DataFrame({"x": [i % 20 for i in range(100)], "y": [i // 20 for i in range(100)]})
    rules = [{"rule": "unique", "columns": ["x", "y"]}]
    schema = schema_of(frame, *rules, x={"kind": "category"}, y={"kind": "category"})
    synthesizer = vs.fit(frame, schema, seed=1, model="independent", holdout=0.0)
    everything = synthesizer.sample(100)
    assert everything.is_unique().all()
    assert_frame_equal(synthesizer.sample(60), everything.head(60))
    with pytest.raises(vs.RuleError, match=r"no new values are left for the rule `.*x, y` after 100 rows"):
        synthesizer.sample(101)


def test_unique_columns_and_keys_stay_so() -> None:
    """As the schema says it: a column, or a key of two columns, that no rule names."""
    n = 200
    badge, shop, day = ([f(i) for i in range(n)] for f in (lambda i: i * 3 % 601, lambda i: i % 8, lambda i: i // 4))
    frame = pl.DataFrame({"badge": badge, "shop": shop, "day": day})
    table = schema_of(frame, badge={"kind": "number", "unique": True, "pattern": None})["table"]
    schema = vs.Schema({"table": replace(table, primary_key=("shop", "day"))})
    new = vs.fit(frame, schema, seed=1).sample(120)
    assert new["badge"].is_unique().all()
    assert new.select("shop", "day").is_unique().all()
    with pytest.raises(vs.DataError, match="badge"):
        vs.fit(frame.with_columns(badge=pl.lit(1, pl.Int64)), schema)


def test_missing_values_may_stand_twice_in_a_unique_column() -> None:
    frame = pl.DataFrame({"x": [None, *range(5)] * 1 + [None] * 94, "y": range(100)})
    schema = schema_of(frame, {"rule": "unique", "columns": ["x"]}, x={"kind": "number"}, y={"kind": "number"})
    new = vs.fit(frame, schema, seed=1, k=1, model="independent").sample(5)
    assert new["x"].null_count() >= 3


def test_data_that_break_a_rule_are_refused_with_their_row() -> None:
    """Also where the row would lie in the hold-out; the row is counted in the data as they came."""
    frame = pl.DataFrame({"x": range(100), "y": range(1, 101)})
    for row in (0, 57, 99):
        broken = frame.with_columns(y=pl.when(pl.col("x") == row).then(-1).otherwise("y"))
        with pytest.raises(vs.DataError) as caught:
            vs.fit(broken, schema_of(frame, "x < y"), holdout=0.5)
        assert (caught.value.table, caught.value.row) == ("table", row)


# -------------------------------------------------------------------------------------------- schema and options


def test_edited_kinds_are_followed() -> None:
    frame = visits().with_columns(code=pl.Series(np.arange(200) % 50), size=pl.Series(["S", "M", "L", "M"] * 50))
    schema = schema_of(
        frame,
        ward={"kind": "ordinal", "levels": ("north", "east", "south")},
        code={"kind": "category"},
        age={"minimum": 30, "maximum": 40},
        size={"kind": "personal", "provider": "city:de_DE"},
        email={"kind": "id", "pattern": r"user-[a-z]{4}@here\.example"},
    )
    frame = frame.with_columns(age=pl.col("age").clip(30, 40))
    new = vs.fit(frame, schema, seed=1).sample(300)
    assert set(new["code"]) <= set(range(50))
    assert new["age"].min() >= 30
    assert new["age"].max() <= 40
    assert not set(new["size"]) & {"S", "M", "L"}
    assert new["email"].str.contains(r"^user-[a-z]{4}@here\.example$").all()
    assert new["email"].is_unique().all()


def test_columns_are_drawn_first_that_the_order_names() -> None:
    schema = schema_of(visits())
    ordered = vs.Schema({"table": replace(schema["table"], order=("cost", "age"))})
    told = vs.fit(visits(), ordered, seed=1).explain()["table"]
    assert list(told)[:2] == ["cost", "age"]


def test_rows_and_scale() -> None:
    synthesizer = vs.fit(visits(100).select("age", "ward"), seed=1)
    assert synthesizer.sample().height == 100
    assert synthesizer.sample(scale=2.5).height == 250
    assert synthesizer.sample(scale=0).height == 0
    assert synthesizer.sample(np.int64(7)).height == 7
    assert synthesizer.sample(0).schema == {"age": pl.Int64, "ward": pl.String}
    assert synthesizer.sizes(scale=1.5) == {"table": 150}
    for wrong in (-1, 1.5, "5", True, {}, {"table": -1}, {"other": 5}):
        with pytest.raises(vs.ArgumentError):
            synthesizer.sample(wrong)
    for scale in (-1, float("nan"), float("inf"), "2", True):
        with pytest.raises(vs.ArgumentError, match="scale"):
            synthesizer.sample(scale=scale)
    with pytest.raises(vs.ArgumentError, match="not both"):
        synthesizer.sample(5, scale=2)
    for how in ({"seed": -1}, {"seed": 1.0}, {"workers": 0}, {"workers": None}):
        with pytest.raises(vs.ArgumentError):
            synthesizer.sample(5, **how)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"model": "chian"}, "did you mean 'chain'"),
        ({"k": 0}, "k: a whole number of 1 or more"),
        ({"k": 2.5}, "k: a whole number"),
        ({"holdout": 1.0}, "holdout is a share"),
        ({"holdout": float("nan")}, "holdout is a share"),
        ({"holdout": "0.1"}, "holdout is a share"),
        ({"unit": "agee"}, "did you mean 'age'"),
        ({"unit": 5}, "unit: the name of a column"),
        ({"seed": -1}, "seed: a whole number of 0 or more"),
        ({"seed": None}, "seed: a whole number"),
    ],
)
def test_options_are_checked(how: dict[str, Any], message: str) -> None:
    with pytest.raises(vs.ArgumentError, match=message):
        vs.fit(visits(30), **how)


def test_before_fit_there_is_nothing() -> None:
    for call in ("sample", "sizes", "explain"):
        with pytest.raises(vs.NotFittedError, match="call `fit` first"):
            getattr(vs.Synthesizer(), call)()
    with pytest.raises(vs.NotFittedError):
        vs.Synthesizer().notes  # noqa: B018


def test_notes_and_explanations_name_the_columns(plain: vs.Synthesizer) -> None:
    assert any(note.startswith("visit_id: ids are made by the pattern 'V-[0-9]{6}'") for note in plain.notes)
    assert any(note.startswith("email: made by the provider 'email'") for note in plain.notes)
    assert {"age", "ward"} <= set(plain.explain()["table"])
    assert {"email", "visit_id"}.isdisjoint(plain.explain()["table"])  # not learned
    assert plain.report["tables"]["table"]["measures"]["shape"]["value"] is not None


# ------------------------------------------------------------------------------------------------ several tables


def test_several_tables() -> None:
    frames = {"a": visits(80), "b": pl.DataFrame({"x": [1, 2, 3] * 20})}
    synthesizer = vs.fit(frames, seed=5)
    assert {name: f.height for name, f in synthesizer.sample().items()} == {"a": 80, "b": 60}
    assert synthesizer.sizes(scale=2) == {"a": 160, "b": 120}
    new = synthesizer.sample({"a": 10, "b": 4})
    assert_frame_equal(synthesizer.sample({"b": 4})["b"], new["b"])
    with pytest.raises(vs.ArgumentError, match="there are 2 tables"):
        synthesizer.sample(5)
    with pytest.raises(vs.ArgumentError, match="did you mean 'a'"):
        list(synthesizer.blocks("aa", 5))
    assert all(note.startswith(("a: ", "b: ", "no key ties a, b ")) for note in synthesizer.notes)
    assert set(synthesizer.report["tables"]) == {"a", "b"}


def test_one_table_in_a_mapping_stays_a_mapping() -> None:
    assert list(vs.fit({"only": visits(40)}, seed=1).sample(3)) == ["only"]


KINDS: list[tuple[str, Callable[[pl.DataFrame], Any]]] = [
    ("polars", lambda f: f),
    ("lazy", lambda f: f.lazy()),
    ("pandas", lambda f: pd.DataFrame(f.to_dict(as_series=False))),
    ("pyarrow", lambda f: f.to_arrow()),
]


@pytest.mark.parametrize(("kind", "make"), KINDS, ids=[k for k, _ in KINDS])
def test_what_came_in_comes_out(kind: str, make: Callable[[pl.DataFrame], Any]) -> None:
    frame = visits(60).drop("start", "end")
    new = vs.fit(make(frame), seed=1).sample(25)
    assert type(new) is type(make(frame))
    if kind == "pandas":
        assert new.dtypes.equals(make(frame).dtypes)
        new = pl.from_pandas(new)
    elif kind == "pyarrow":
        assert isinstance(new, pa.Table)
        assert new.schema == make(frame).schema
        new = pl.from_arrow(new)
    new = new.collect() if kind == "lazy" else new
    assert new.columns == frame.columns
    assert_frame_equal(new, vs.fit(frame, seed=1).sample(25), check_dtypes=False)


# --------------------------------------------------------------------------------------------- what is not learned


@pytest.mark.parametrize("model", MODELS)
def test_the_hold_out_changes_nothing(model: str) -> None:
    """Other values in the rows of the hold-out, where the schema is the same: the same model."""
    frame, schema = visits(300), schema_of(visits(300), "start <= end")
    _, held = split({"table": frame}, vs.Options(model=model), seed=4)
    assert held["table"].height == 30
    out = pl.col("visit_id").is_in(held["table"]["visit_id"].implode())
    other = frame.with_columns(
        age=pl.when(out).then(50).otherwise("age"),
        cost=pl.when(out).then(-1e6).otherwise("cost"),
        ward=pl.when(out).then(pl.lit("elsewhere")).otherwise("ward"),
        end=pl.when(out).then(dt.date(2999, 1, 1)).otherwise("end"),
    )
    assert other.filter(pl.col("ward") == "elsewhere").height == 30
    one, two = (vs.fit(f, schema, seed=4, model=model).sample(500) for f in (frame, other))
    assert_frame_equal(one, two)


def test_the_hold_out_is_of_other_people() -> None:
    frame = pl.DataFrame({"who": [f"p{i // 5}" for i in range(300)], "x": np.arange(300) % 7})
    train, held = split({"t": frame}, vs.Options(unit="who"), seed=1)
    assert held["t"]["who"].n_unique() == 6
    assert held["t"].height == 30
    assert not set(train["t"]["who"]) & set(held["t"]["who"])
    few = frame.head(60)  # 12 people
    assert split({"t": few}, vs.Options(unit="who"), seed=1)[1]["t"].height == 0
    who = pl.col("who")
    for whom, learned in ((who.cast(pl.Categorical), 270), (who.str.slice(1).cast(pl.Int8), 270), (pl.lit(1), 300)):
        assert split({"t": frame.with_columns(who=whom)}, vs.Options(unit="who"), 1)[0]["t"].height == learned


def secrets(n: int = 300) -> pl.DataFrame:
    """Each column with a value, or many, that one person alone holds."""
    rng = np.random.default_rng(1)
    alone = np.arange(n) == 77
    return pl.DataFrame(
        {
            "id": [f"ZQ{91_000_017 + i * 13}" for i in range(n)],
            "name": [f"Quentin{i} Zyzzyva{i}" for i in range(n)],
            "email": [f"quentin.zyzzyva{i}@hush{i}.org" for i in range(n)],
            "disease": np.where(alone, "Kuru-Secret", rng.choice(["flu", "cold"], n)),
            "income": np.where(alone, 98_765_432.1, rng.normal(40_000, 9000, n).round(2)),
            "children": np.where(alone, 87, rng.integers(0, 4, n)),
            "born": [dt.date(1871, 2, 3) if i == 77 else dt.date(1980, 1, 1 + i % 28) for i in range(n)],
            "remark": np.where(alone, "knows Xylophonia Malkovich", rng.choice(["all is well", "all ill"], n)),
            "shift": pl.Series(np.where(alone, "Graveyardish", rng.choice(["day", "night"], n)), dtype=pl.Categorical),
        }
    )  # fmt: skip


WHISPERS = [
    "Quentin", "Zyzzyva", "hush", "ZQ91000017", "91000017", "Kuru", "98765432", "1871-02-03", "Xylophonia", "Malkovich",
    "Graveyardish",
]  # fmt: skip


def written(path: Path) -> bytes:
    """All that a model file holds, unpacked, and its arrays as text as well: what a search would find."""
    from safetensors.numpy import load as load_arrays

    with zipfile.ZipFile(path) as file:
        parts = [file.read(name) for name in file.namelist()]
        arrays = load_arrays(file.read("arrays.safetensors"))
    return b"\n".join([*parts, *(str(array.tolist()).encode() for array in arrays.values())])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("rules", [(), ("children < 60 or income > 1000",)], ids=["plain", "with a rule"])
def test_what_one_person_holds_is_not_told(model: str, rules: tuple[Any, ...], tmp_path: Path) -> None:
    frame = secrets()
    schema = schema_of(frame, *rules) if rules else None
    synthesizer = vs.fit(frame, schema, seed=2, model=model, holdout=0.0)
    new = synthesizer.sample(3000)
    text = new.write_csv()
    assert not [w for w in WHISPERS if w in text]
    assert new["income"].max() < frame["income"].top_k(5).mean()  # whom it may tell of are five
    assert new["children"].max() < 20
    assert new["born"].min() > dt.date(1950, 1, 1)
    real = set(frame["income"])
    assert len(real & set(new["income"])) < 60  # by chance, as cents are few
    synthesizer.save(tmp_path / "s.verosim")
    found = written(tmp_path / "s.verosim")
    assert not [w for w in WHISPERS if w.encode() in found]
    days = str((dt.date(1871, 2, 3) - dt.date(1970, 1, 1)).days)
    assert days.encode() not in found


@pytest.mark.parametrize("kind", ["pandas", "pyarrow", "polars"])
def test_levels_of_a_category_are_not_told_either(kind: str, tmp_path: Path) -> None:
    """A category type made from the data lists all values that there are."""
    n = 200
    mails = [f"hush{i}@whisper.org" for i in range(n)]
    wards = ["north", "south"] * 99 + ["Secretward"] * 2
    frame: Any = pd.DataFrame({"mail": pd.Categorical(mails), "ward": pd.Categorical(wards), "x": np.arange(n) % 9})
    if kind == "pyarrow":
        frame = pa.table({"mail": pa.array(mails).dictionary_encode(), "ward": pa.array(wards).dictionary_encode()})
    elif kind == "polars":
        frame = pl.DataFrame({"mail": mails, "ward": wards}).cast(pl.Categorical)
    synthesizer = vs.fit(frame, seed=1)
    new = synthesizer.sample(100)
    if kind == "pandas":
        assert isinstance(new["mail"].dtype, pd.CategoricalDtype)
        assert set(new["ward"].cat.categories) == {"north", "south"}
        assert not set(new["mail"].cat.categories) & set(mails)
    text = (pl.from_pandas(new) if kind == "pandas" else pl.DataFrame(new)).write_csv()
    assert "hush" not in text
    assert "Secretward" not in text
    synthesizer.save(tmp_path / "s.verosim")
    assert b"hush" not in written(tmp_path / "s.verosim")
    assert b"Secretward" not in written(tmp_path / "s.verosim")


def test_a_unit_is_one_person() -> None:
    """A level in twenty rows of one person is rare; the same level in rows of five people is not."""
    frame = pl.DataFrame(
        {
            "who": [f"w{i // 20}" for i in range(400)],
            "level": ["mine"] * 20 + ["ours" if i % 4 == 0 else "any" for i in range(380)],
        }
    )
    schema = schema_of(frame, who={"kind": "category"}, level={"kind": "category"})
    with_unit = vs.fit(frame, schema, seed=1, unit="who", holdout=0.0).sample(2000)
    without = vs.fit(frame, schema, seed=1, holdout=0.0).sample(2000)
    assert set(with_unit["level"]) == {"ours", "any"}
    assert set(without["level"]) == {"mine", "ours", "any"}
    assert not {*with_unit["who"]} & {*frame["who"]}


def test_protection_can_be_waived() -> None:
    frame = secrets()
    schema = schema_of(frame, disease={"protect": False}, children={"protect": False})
    new = vs.fit(frame, schema, seed=2, model="independent", holdout=0.0).sample(5000)
    assert "Kuru-Secret" in set(new["disease"])
