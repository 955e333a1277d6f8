"""What a report says of related tables: keys, children per parent, relations along keys, families; the picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import verosim as vs
from report_sample import HOSTILE
from verosim.cli import main
from verosim.evaluation import FULL_BETWEEN, Family, Findings, Measure, Report, measure_between, relations
from verosim.evaluation.families import children, keys_of, named, paths
from verosim.pages.layered import Arrow, Box, boxes

Frames = dict[str, pl.DataFrame]


def shop(n: int, seed: int, first: int = 0) -> Frames:
    """Customers with what they order; whoever is rich orders more, and dear things. Keys count from `first`."""
    rng = np.random.default_rng(seed)
    rich = rng.random(n) < 0.4
    owner = np.repeat(np.arange(n), np.where(rich, rng.integers(3, 7, n), rng.integers(0, 3, n)))
    return {
        "customers": pl.DataFrame(
            {"customer_id": first + np.arange(n), "rich": rich, "age": rng.integers(18, 80, n).astype(float)}
        ),
        "orders": pl.DataFrame(
            {
                "order_id": 10 * first + np.arange(len(owner)),
                "customer_id": first + owner,
                "total": np.where(rich[owner], 500, 50) * rng.uniform(0.8, 1.2, len(owner)),
                "kind": rng.choice(["a", "b", "c"], len(owner)),
            }
        ),
    }


SCHEMA = vs.inspect(shop(200, 0))


def found(real: Frames, synthetic: Frames, holdout: Frames | None = None) -> tuple[Findings, dict[str, Measure]]:
    unseen = holdout or {name: frame.clear() for name, frame in real.items()}
    got = measure_between(Family.of(real, unseen, synthetic, SCHEMA), FULL_BETWEEN)
    return got, {m.label: m for m in got.measures}


# ------------------------------------------------------------------------------------------------- what is found


@pytest.mark.parametrize("seed", range(6))
def test_real_rows_beside_real_rows_raise_no_alarm(seed: int) -> None:
    sides = [shop(n, 10 * seed + i, 10_000 * i) for i, n in enumerate((600, 600, 200))]
    got, by = found(sides[0], sides[1], sides[2])
    assert [m.label for m in got.measures if m.grade in ("near", "far")] == []
    assert {"broken keys", "cardinality", "c2st_agg", "trend over one key"} <= {
        m.label for m in got.measures if m.value is not None
    }
    assert by["c2st_agg of customers"].floor == pytest.approx(0.5, abs=0.15)


def test_children_of_other_parents_are_found_by_what_runs_along_the_key() -> None:
    real, new, unseen = (shop(n, i, 10_000 * i) for i, n in enumerate((600, 600, 200)))
    new["orders"] = new["orders"].with_columns(pl.col("customer_id").shuffle(1))
    _, by = found(real, new, unseen)
    assert by["trend over one key"].grade in ("near", "far")
    assert by["c2st_agg"].grade == "far"
    assert "orders.total x customers.rich" in by["trend over one key"].verdict
    assert "customers" in by["c2st_agg"].verdict
    assert by["broken keys"].grade == "noise"


def test_cardinality_is_that_of_sdmetrics_worked_by_hand() -> None:
    real, new = shop(4, 0), shop(4, 0)
    for data, owners in ((real, [0, 1, 1, 2]), (new, [0, 0, 0, 1])):
        data["orders"] = pl.DataFrame(
            {"order_id": range(4), "customer_id": owners, "total": [1.0] * 4, "kind": ["a"] * 4}
        )
    _, by = found(real, new)  # children 1, 2, 1, 0 and 3, 1, 0, 0: at most .25 apart
    assert by["cardinality"].value == pytest.approx(0.75)
    assert by["cardinality"].grade == "none"  # four parents are too few to judge by


def test_fewer_children_are_said_with_both_means() -> None:
    real, new = shop(600, 1), shop(600, 2, 5000)
    new["orders"] = new["orders"].gather_every(2)
    _, by = found(real, new)
    assert by["cardinality of orders(customer_id)"].grade in ("near", "far")
    assert re.search(r"1\.\d+ children on average, real rows have 2\.\d+", by["cardinality"].verdict)


def test_broken_and_double_keys_are_counted() -> None:
    real, new = shop(50, 1), shop(50, 1)
    n = new["orders"].height
    new["orders"] = new["orders"].with_columns(
        customer_id=pl.when(pl.col("order_id") < 3).then(999).otherwise("customer_id")
    )
    new["customers"] = pl.concat([new["customers"], new["customers"].head(2)])
    assert relations.broken_keys(new, SCHEMA) == {
        "orders: customer_id -> customers(customer_id)": 3, "customers: customer_id": 2, "orders: order_id": 0,
    }  # fmt: skip
    _, by = found(real, new)
    assert by["broken keys"].value == pytest.approx(100 * 5 / (2 * n + 52))
    assert by["broken keys"].verdict == f"3 of {n} rows of orders name nobody: customer_id -> customers(customer_id)"


def test_a_hold_out_whose_keys_start_over_is_a_database_of_its_own() -> None:
    real, unseen = shop(100, 1), shop(40, 2)
    family = Family.of(real, unseen, shop(100, 3), SCHEMA)
    ((name, key),) = keys_of(family.schema)
    assert children(family.holdout, name, key).sum() == unseen["orders"].height
    apart = shop(40, 2, 5000)
    together = Family.of(real, apart, shop(100, 3), SCHEMA)
    assert together.train.side is together.holdout.side
    assert children(together.holdout, name, key).sum() == apart["orders"].height


def test_of_rows_with_one_key_the_first_is_named() -> None:
    data = {"a": pl.DataFrame({"id": [7, 7, 8]}), "b": pl.DataFrame({"a_id": [8, 7, None, 9]})}
    assert named(data, "b", vs.ForeignKey(("a_id",), "a", ("id",))).tolist() == [2, 0, -1, -2]


def test_paths_run_upwards_and_through_a_table_itself() -> None:
    key = vs.ForeignKey(("boss",), "staff", ("id",))
    columns = (vs.Column("id", "id", "int64"), vs.Column("boss", "id", "int64"))
    schema = vs.Schema({"staff": vs.Table("staff", columns, ("id",), foreign_keys=(key,))})
    assert [len(paths(schema, hops)) for hops in (1, 2, 3)] == [1, 1, 1]


# ------------------------------------------------------------------------------------------------- the whole way


@pytest.fixture(scope="module")
def report() -> Report:
    got, _ = found(shop(200, 1), shop(200, 2, 5000), shop(60, 3, 9000))
    return Report({}, got.measures, got.notes, got.details)


def test_fit_says_whether_keys_and_children_went_well() -> None:
    report = Report.from_dict(vs.fit(shop(100, 1), model="independent", seed=1).report)
    assert report["broken keys"].value == 0
    assert report["cardinality"].value == pytest.approx(1, abs=0.1)
    assert "relations between tables" in report.summary()


def test_json_holds_what_the_picture_is_drawn_from(report: Report) -> None:
    again = Report.from_dict(report.to_dict())
    assert again.page() == report.page()
    (key,) = report.details["schema"]["keys"]
    assert key["name"] == "orders(customer_id)"
    assert key["role"] == "owner"
    assert report.details["schema"]["tables"]["customers"]["primary_key"] == ["customer_id"]
    assert sum(report.details["children"]["orders(customer_id)"]["train"]) == pytest.approx(1, abs=1e-5)


def test_the_page_draws_the_schema_and_tells_it_in_words(report: Report) -> None:
    page = report.page()
    drawn = re.search(r'<svg class="chart schema".*?</svg>', page, re.DOTALL)
    assert drawn is not None
    assert "2 tables and 1 keys" in drawn[0] or "2 tables and 1 key" in drawn[0]
    assert "orders (customer_id) names customers" in drawn[0]
    assert drawn[0].count("<rect") == 2
    assert "Children per parent" in page


# ------------------------------------------------------------------------------------------------- the picture


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


@pytest.mark.parametrize("seed", range(5))
def test_boxes_never_overlap_and_lie_within_the_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    some = [Box(f"table {i}", tuple("key" * 3 for _ in range(rng.integers(0, 5)))) for i in range(15)]
    arrows = [Arrow(int(a), -1, int(b)) for a, b in rng.integers(0, 15, (23, 2))]
    drawn = boxes(some, arrows, "a schema", "of tables")
    frames = [
        tuple(map(float, m))
        for m in re.findall(r'frame" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', drawn)
    ]
    assert len(frames) == 15
    assert not any(overlap(a, b) for i, a in enumerate(frames) for b in frames[:i])
    width, height = map(float, re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawn)[0])
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in frames)


def test_what_is_named_stands_to_the_left() -> None:
    chain: list[Any] = [Arrow(0, -1, 1), Arrow(1, -1, 2), Arrow(0, -1, 2)]
    drawn = boxes([Box("line"), Box("order"), Box("customer")], chain, "t", "a")
    x = [float(v) for v in re.findall(r'frame" x="([\d.]+)"', drawn)]
    assert x[0] > x[1] > x[2]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_any_kind_are_only_text(name: str) -> None:
    box, arrow = Box(name, (name,), about=name), Arrow(0, 0, 0, about=name)
    drawn = boxes([box], [arrow], name or "t", name)
    assert not {"<script", "<img", "<b>"} & set(re.findall(r"<\w+>?", drawn))
    assert set(re.findall(r"<(\w+)", drawn)) <= {"svg", "title", "desc", "g", "path", "rect", "text"}


# ------------------------------------------------------------------------------------------------- the shell


def verosim(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in arguments])
    return int(stopped.value.code or 0)


def test_the_shell_sets_sizes_keeps_tables_and_asks_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lands = pl.DataFrame({"land_id": [1, 2, 3], "land": ["Chile", "Peru", "Spain"]})
    tables = shop(80, 1)
    tables["customers"] = tables["customers"].with_columns(land_id=pl.col("customer_id") % 3 + 1)
    (tmp_path / "shop").mkdir()
    for name, frame in {**tables, "lands": lands}.items():
        frame.write_csv(f"shop/{name}.csv")
    assert verosim("inspect", "shop", "--out", "shop.yaml") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "foreign keys: customer_id -> customers(customer_id)" in printed
    assert "and the names agree" in printed
    assert verosim("fit", "shop", "--model", "independent", "--keep", "lands", "--out", "m.verosim") == 0
    asked = ("--rows", "customers=30", "--where", "age > 50", "--out", "new")
    assert verosim("sample", "m.verosim", *asked) == 0
    new = {name: pl.read_csv(f"new/{name}.csv") for name in ("customers", "orders", "lands")}
    assert new["lands"].equals(lands)
    assert new["customers"].height == 30
    assert new["customers"]["age"].min() > 50  # type: ignore[operator]
    assert new["orders"]["customer_id"].is_in(new["customers"]["customer_id"].implode()).all()
    capsys.readouterr()
    for wrong, said in [
        (("--rows", "customers=x"), "--rows: a number was wanted"),
        (("--rows", "customer=5"), "did you mean 'customers'?"),
        (("--where", "age > 50"), "name it with its rows"),
    ]:
        assert verosim("sample", "m.verosim", *wrong) == 2
        assert said in " ".join(capsys.readouterr().err.split())
