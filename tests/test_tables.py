"""Tables of counts: synthpop's and NIST's formulas, sdmetrics' similarities, and relations that only tables show."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from test_evaluate import NOISE, table_of
from test_marginals import by_label
from verosim.evaluation import Case, Findings, Limits
from verosim.evaluation.cells import s_pmse, utility
from verosim.evaluation.fidelity import assess as fidelity
from verosim.evaluation.fidelity import pairs_of, shape_errors, trend_errors
from verosim.evaluation.tables import assess

SHARED = Path(__file__).parents[2] / "shared"


def found(train: pl.DataFrame, new: pl.DataFrame, holdout: pl.DataFrame | None = None, **asked: Any) -> Findings:
    return assess(Case.of(train, train if holdout is None else holdout, new, table_of(train), **asked))


# ------------------------------------------------------------------------------------------------- two tables of counts


def by_cells(real: list[int], new: list[int]) -> dict[str, float]:
    """synthpop's formulas as they are written down, cell by cell."""
    n, m = sum(real), sum(new)
    c, total = m / (n + m), n + m
    cells = [(d, s) for d, s in zip(real, new, strict=True) if d + s]
    df = len(cells) - 1
    share = [(d / n, s / m) for d, s in cells]
    vw = sum((s - d * c / (1 - c)) ** 2 / ((s + d) * c) for d, s in cells)
    ft = 4 * sum((math.sqrt(s) - math.sqrt(c / (1 - c) * d)) ** 2 for d, s in cells)
    jsd = sum(
        (p * math.log2(2 * p / (p + q)) if p else 0) / 2 + (q * math.log2(2 * q / (p + q)) if q else 0) / 2
        for p, q in share
    )
    g = 2 * sum(s * math.log((s / m) / (d / n)) for d, s in cells if s and d)
    scores = sorted({s / (s + d) for d, s in cells})
    specks = max(abs(sum(d / n - s / m for d, s in cells if s / (s + d) <= score)) for score in scores)
    u = sum(
        s * e * ((s / (s + d) > t / (t + e)) + (s / (s + d) == t / (t + e)) / 2) for d, s in cells for e, t in cells
    )
    difference = [abs(s - d * c / (1 - c)) for d, s in cells]
    w = sum(x / math.sqrt((s + d) * c) for x, (d, s) in zip(difference, cells, strict=True)) / math.sqrt(2 / math.pi)
    return {
        "VW": vw, "FT": ft, "JSD": jsd, "G": g, "SPECKS": specks, "U": u,
        "PO50": 100 * sum(s if s / m > d / n else d for d, s in cells) / total - 50,
        "pMSE": sum((s + d) * (s / (s + d) - c) ** 2 for d, s in cells) / total,
        "MabsDD": sum(difference) / m, "WMabsDD": w,
        "dBhatt": math.sqrt(max(0, 1 - sum(math.sqrt(p * q) for p, q in share))), "df": df,
        "S_VW": vw / df, "S_FT": ft / df, "S_JSD": jsd * 2 * total / (df * math.log(2)),
        "S_G": g / (sum(1 for d, s in cells if d and s) - 1), "S_WMabsDD": w / df, "S_pMSE": vw / df,
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_all_measures_are_synthpops_to_nine_digits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    real, new = (rng.poisson(rng.gamma(0.7, 6, 25)) for _ in range(2))
    got = utility(real.astype(float), new.astype(float))
    assert got == pytest.approx(by_cells(real.tolist(), new.tolist()), rel=1e-9, abs=1e-9)
    assert s_pmse(real.astype(float), new.astype(float)) == got["S_pMSE"]


def test_ratios_are_1_for_draws_from_the_real_proportions_and_2_for_other_real_rows() -> None:
    rng = np.random.default_rng(7)
    chances = rng.dirichlet(np.full(20, 5.0))
    one, two = [], []
    for _ in range(1500):
        real = rng.multinomial(5000, chances)
        one.append(s_pmse(real.astype(float), rng.multinomial(5000, real / 5000).astype(float)))
        two.append(s_pmse(real.astype(float), rng.multinomial(5000, chances).astype(float)))
    error = math.sqrt(2 / 19 / 1500)  # of the mean of chi-squared variables over their 19 degrees of freedom
    assert np.mean(one) == pytest.approx(1, abs=4 * error)
    assert np.mean(two) == pytest.approx(2, abs=8 * error)


def test_a_table_of_one_cell_has_no_ratio() -> None:
    got = utility(np.array([5.0, 0.0]), np.array([3.0, 0.0]))
    assert (got["VW"], got["df"]) == (0, 0)
    assert math.isnan(got["S_pMSE"])


# ------------------------------------------------------------------------------------------------ tables of columns


def test_nists_score_of_four_rows() -> None:
    train = pl.DataFrame({"a": list("xxyy"), "b": list("pqpq")})
    new = pl.DataFrame({"a": list("xxxy"), "b": list("pqpq")})
    # cells xp xq yp yq: 1/4 each against 2/4 1/4 0 1/4: the sum of differences is 1/2
    assert by_label(found(train, new))["k_marginal"].value == pytest.approx((2 - 0.5) * 500)
    assert by_label(found(train, train))["k_marginal"].value == 1000


def test_three_columns_show_what_no_two_do() -> None:
    """The third column is the parity of the others: every pair is independent, in real and in synthetic rows."""
    rng = np.random.default_rng(1)
    a, b, c = rng.integers(0, 2, (3, 4000))

    def rows(third: Any) -> pl.DataFrame:
        return pl.DataFrame({"a": a, "b": b, "c": third}).cast(pl.String)

    got = by_label(found(rows(a ^ b), rows(c)))
    assert got["three_way"].value == pytest.approx(50, abs=2)
    assert got["three_way"].verdict.endswith("mostly a x b x c")
    assert got["k_marginal"].verdict == got["s_pmse"].verdict == NOISE


def test_lost_relations_are_found_and_drawn_worst_first() -> None:
    rng = np.random.default_rng(2)

    def rows(n: int, together: bool) -> pl.DataFrame:
        group, x = rng.choice(["p", "q", "r"], n), rng.normal(size=n)
        y = (x if together else rng.normal(size=n)) + 0.5 * rng.normal(size=n)
        return pl.DataFrame({"group": group, "x": x, "y": y, "z": rng.normal(size=n)})

    got = found(rows(2000, True), rows(2000, False), rows(1000, True))
    measures = by_label(got)
    assert "mostly x x y" in measures["k_marginal"].verdict
    assert measures["s_pmse"].grade == "far"
    worst = got.details["pairs"][0]
    assert worst["columns"] == ["x", "y"]
    assert worst["trend"] == pytest.approx(50 * 1 / math.sqrt(1.25), abs=3)
    assert np.sum(worst["train"]) == pytest.approx(1, abs=1e-3)
    assert np.shape(worst["train"]) == np.shape(worst["synthetic"]) == (len(worst["x"]), len(worst["y"]))
    table, correlations = got.details["pair_table"], got.details["correlations"]
    values = np.array(table["values"])
    assert np.unravel_index(values.argmax(), values.shape) == (1, 2)
    assert np.array_equal(values, values.T)
    assert correlations["columns"] == ["x", "y", "z"]
    assert correlations["train"][0][1] == pytest.approx(1 / math.sqrt(1.25), abs=0.03)
    assert correlations["synthetic"][0][1] == pytest.approx(0, abs=0.08)


def test_the_detector_names_the_pair_that_gives_rows_away() -> None:
    rng = np.random.default_rng(3)

    def rows(n: int, related: bool) -> pl.DataFrame:
        a, b, c, d = rng.normal(size=(4, n))
        return pl.DataFrame({"a": a, "b": np.where(a > 0, 1, -1) * np.abs(b) if related else b, "c": c, "d": d})

    train, holdout = rows(900, True), rows(900, True)
    got = fidelity(Case.of(train, holdout, rows(900, False), table_of(train), limits=Limits(splits=2)))
    clues, measure = got.details["detector"], by_label(got)["auc_unseen"]
    assert set(clues["pairs"][0][:2]) == {"a", "b"}
    assert clues["gains"]["a"] + clues["gains"]["b"] > 0.9
    assert sum(clues["gains"].values()) == pytest.approx(1)
    fpr, tpr = np.array(clues["roc"]).T
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(tpr, fpr) == pytest.approx(measure.value, abs=0.05)


# -------------------------------------------------------------------------------------------------- another's numbers


def test_shape_and_trend_are_sdmetrics_similarities() -> None:
    """KSComplement, TVComplement, CorrelationSimilarity and ContingencySimilarity, written out over sorted values.

    sdmetrics 0.32 itself gave the same on these rows, to 5e-11; it asks for pandas 2, and so is no test dependency.
    """
    path = SHARED / "benchmark" / "data" / "adult_train.csv"
    if not path.exists():
        pytest.skip("needs shared/benchmark, which is not here")
    kinds = {c["name"]: c["kind"] for c in json.loads((path.parent / "adult.json").read_text("utf-8"))["columns"]}
    rows = pl.read_csv(path, n_rows=7000).select(*kinds)
    real, new = rows[:4000], rows[4000:].select(pl.col(n).shuffle(i // 2) for i, n in enumerate(rows.columns))
    c = Case.of(real, real, new, table_of(real)).arrays
    names, pairs = [column.name for column in c.columns], pairs_of(len(kinds), 1000, c.chance(""))
    shapes = shape_errors(c.columns, c.train, c.synthetic)
    trends = trend_errors(c.columns, pairs, c.train, c.synthetic)

    def variation(a: pl.Series, b: pl.Series) -> float:
        shares = [
            dict(zip(*(s / len(x) if s.dtype.is_integer() else s for s in x.value_counts(name="k")), strict=True))
            for x in (a, b)
        ]
        return sum(abs(shares[0].get(k, 0) - shares[1].get(k, 0)) for k in {*shares[0], *shares[1]}) / 2

    for name, shape in zip(names, shapes, strict=True):
        a, b = real[name], new[name]
        if kinds[name] == "numeric":
            every = np.union1d(a, b)
            steps = [np.searchsorted(np.sort(x), every, "right") / len(x) for x in (a, b)]
            assert shape == pytest.approx(np.abs(steps[0] - steps[1]).max(), abs=1e-9)
        else:
            assert shape == pytest.approx(variation(a, b), abs=1e-9)
    edges = {n: np.histogram_bin_edges(real[n], 10)[1:-1] for n in names if kinds[n] == "numeric"}
    for (i, j), trend in zip(pairs.tolist(), trends, strict=True):
        two = [names[i], names[j]]
        if all(n in edges for n in two):
            r, s = (np.corrcoef(x[two[0]], x[two[1]])[0, 1] for x in (real, new))
            assert trend == pytest.approx(abs(r - s) / 2, abs=1e-9)
        else:
            cells = [
                pl.concat_str(
                    [pl.Series(np.digitize(x[n], edges[n])) if n in edges else x[n] for n in two], separator="|"
                )
                for x in (real, new)
            ]
            assert trend == pytest.approx(variation(*(pl.select(cell).to_series() for cell in cells)), abs=1e-9)


# ------------------------------------------------------------------------------------------------------ odd tables


def test_few_columns_say_what_cannot_be_measured() -> None:
    frame = pl.DataFrame({"a": [1.0, 2, 3, 4] * 5, "b": list("xyxy") * 5})
    assert by_label(found(frame, frame))["three_way"].verdict == "not measured: only two columns are compared"
    alone = frame.select("a")
    assert {m.verdict for m in found(alone, alone).measures} == {"not measured: only one column is compared"}
    same = pl.DataFrame({"a": ["x"] * 20, "b": ["y"] * 20})
    assert by_label(found(same, same))["s_pmse"].verdict == "not measured: no column varies"


def test_two_hundred_columns_stay_small_and_say_what_was_looked_at() -> None:
    rng = np.random.default_rng(5)
    frame = pl.DataFrame(
        {f"n{k}": rng.normal(size=300) for k in range(100)}
        | {f"c{k}": rng.choice(list("abc"), 300) for k in range(100)}
    )
    got = found(frame, frame[::-1], limits=Limits(splits=2))
    assert len(json.dumps(got.details, allow_nan=False)) < 1_000_000
    assert len(got.details["pair_table"]["columns"]) == len(got.details["correlations"]["columns"]) == 40
    assert "three_way looks at 200 of 1,313,400 triples of columns" in got.notes
