"""Recipes: what each kind of column promises, determinism, and the examples' numbers."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

import verosim as vs
from verosim import Recipe
from verosim.normal import normal_quantile, normal_share
from verosim.recipe import reading
from verosim.recipe.kinds import KINDS, Regex
from verosim.recipe.nouns import BLOCK
from verosim.recipe.quantiles import FAMILIES, cut, truncated

EXAMPLES = Path(__file__).parents[1] / "examples" / "recipes"
ROWS = BLOCK + 5000  # more than a block


def column(spec: Any, rows: int = ROWS, seed: int = 1, **others: Any) -> pl.Series:
    """The values of one column, beside others."""
    return vs.generate(Recipe({"t": {"columns": {**others, "x": spec}}}), rows, seed=seed)["x"]


# ------------------------------------------------------------------------------------------------- distributions

U = np.concatenate([10.0 ** -np.arange(1, 10), 1 - 10.0 ** -np.arange(1, 10), np.linspace(0.001, 0.999, 999)])
SAME = [
    ("normal", (3, 2), stats.norm(3, 2)),
    ("lognormal", (1, 0.5), stats.lognorm(0.5, scale=np.e)),
    ("uniform", (2, 5), stats.uniform(2, 3)),
    ("exponential", (2,), stats.expon(scale=2)),
    ("gamma", (2.5, 3), stats.gamma(2.5, scale=3)),
    ("gamma", (0.2, 1), stats.gamma(0.2)),
    ("beta", (2, 5), stats.beta(2, 5)),
    ("beta", (0.5, 0.5), stats.beta(0.5, 0.5)),
    ("student_t", (3, 0, 1), stats.t(3)),
    ("pareto", (2, 3), stats.pareto(2, scale=3)),
    ("weibull", (1.5, 2), stats.weibull_min(1.5, scale=2)),
    ("triangular", (0, 1, 4), stats.triang(0.25, 0, 4)),
    ("logistic", (1, 2), stats.logistic(1, 2)),
    ("laplace", (1, 2), stats.laplace(1, 2)),
]
COUNTS = [
    ("poisson", (3.3,), stats.poisson(3.3)),
    ("poisson", (400.0,), stats.poisson(400)),
    ("binomial", (30, 0.2), stats.binom(30, 0.2)),
    ("geometric", (0.2,), stats.geom(0.2)),
    ("negative_binomial", (2.5, 0.3), stats.nbinom(2.5, 0.3)),
    ("zipf", (1.2, 1000), stats.zipfian(1.2, 1000)),
]


@pytest.mark.parametrize(("name", "parameters", "known"), SAME, ids=lambda v: str(v)[:20])
def test_quantiles_are_those_of_scipy(name: str, parameters: tuple[float, ...], known: Any) -> None:
    made = FAMILIES[name].quantile(U, *parameters)
    inside = (U > 1e-7) & (U < 1 - 1e-7)
    np.testing.assert_allclose(made[inside], known.ppf(U)[inside], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(("name", "parameters", "known"), COUNTS, ids=lambda v: str(v)[:20])
def test_counts_are_those_of_scipy(name: str, parameters: tuple[float, ...], known: Any) -> None:
    assert (FAMILIES[name].quantile(U, *parameters) == known.ppf(U)).all()


def test_ranks_beyond_the_head_of_a_zipf_distribution() -> None:
    u = np.linspace(0.0005, 0.9995, 1000)
    for s in (0.9, 1.0, 1.1):
        weights = np.cumsum(np.arange(1, 300_001) ** -s)
        exact = 1 + np.searchsorted(weights, u * weights[-1])
        np.testing.assert_allclose(FAMILIES["zipf"].quantile(u, s, 300_000.0), exact, rtol=1e-4, atol=1)


def test_normal_shares_and_quantiles_undo_each_other() -> None:
    z = np.linspace(-6, 6, 10_001)
    np.testing.assert_allclose(normal_share(z), stats.norm.cdf(z), atol=1e-8)
    np.testing.assert_allclose(normal_quantile(stats.norm.cdf(z)), z, atol=1e-7)


def test_truncated_means_cut_from_the_distribution_not_moved_to_its_ends() -> None:
    quantile = truncated(lambda u: FAMILIES["normal"].quantile(u, 0, 1), 1, 2)
    np.testing.assert_allclose(quantile(U), stats.truncnorm(1, 2).ppf(U), atol=1e-7)
    values = column({"normal": [40, 20], "min": 18, "max": 60})
    assert values.min() > 18
    assert values.max() < 60
    assert values.n_unique() == ROWS
    low, high = cut(lambda u: FAMILIES["poisson"].quantile(u, 3), 1, 2)
    assert high[0] - low[0] == pytest.approx(stats.poisson(3).pmf([1, 2]).sum())


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"bernoulli"}))
def test_every_family_is_a_column_a_function_and_takes_expressions(name: str) -> None:
    values = {"low": 1, "mode": 2, "high": 3, "p": 0.5, "n": 10, "s": 1.1, "df": 4}
    parameters = [values.get(p, 1.5) for p in FAMILIES[name].parameters]
    plain = column({name: parameters}, 3000)
    called = column(f"{name}({', '.join(map(str, parameters))})", 3000)
    spread = float(plain.std())  # type: ignore[arg-type]
    assert abs(plain.median() - called.median()) <= 0.15 * spread + 1e-9  # type: ignore[operator]
    if name != "zipf":  # whose ranks are tabled
        by_row = column({name: [f"one * {v}" for v in parameters]}, 3000, one={"choice": [1.0, 1.0]})
        assert abs(plain.median() - by_row.median()) <= 0.15 * spread + 1e-9  # type: ignore[operator]


def test_parameters_may_differ_from_row_to_row() -> None:
    frame = vs.generate(
        Recipe(
            {"t": {"columns": {"m": [0, 100], "x": {"normal": ["m", 1], "min": "m"}, "k": {"gamma": ["1 + m", 1]}}}}
        ),
        ROWS,
        seed=3,
    )
    low, high = frame.filter(pl.col("m") == 0), frame.filter(pl.col("m") == 100)
    half = np.sqrt(2 / np.pi)  # the mean of the upper half of a normal distribution
    assert low["x"].mean() == pytest.approx(half, abs=0.03)
    assert high["x"].min() >= 100
    assert low["k"].mean() == pytest.approx(1, abs=0.05)
    assert high["k"].mean() == pytest.approx(101, abs=0.5)


def test_mixtures_histograms_values_and_scipy() -> None:
    mixed = column({"mixture": [{"normal": [0, 1]}, {"normal": [50, 1]}], "weights": [3, 1]})
    assert (mixed > 25).mean() == pytest.approx(0.25, abs=0.015)
    binned = column({"histogram": [0, 1, 10], "weights": [1, 3]})
    assert (binned < 1).mean() == pytest.approx(0.25, abs=0.015)
    assert binned.max() < 10
    assert column({"empirical": [1, 1, 5]}).value_counts(sort=True)["x"].to_list() == [1, 5]
    assert column({"empirical": [0, 1], "smooth": True}).mean() == pytest.approx(0.5, abs=0.02)
    assert stats.kstest(column({"scipy": "gumbel_r", "parameters": {"loc": 3}}), stats.gumbel_r(3).cdf).pvalue > 0.001


def test_values_of_a_file(tmp_path: Path) -> None:
    pl.DataFrame({"price": [1.5, 2.5], "other": [0, 0]}).write_csv(tmp_path / "prices.csv")
    recipe = Recipe({"t": {"columns": {"x": {"empirical": "prices.csv", "column": "price"}}}}, folder=tmp_path)
    assert set(recipe.sample(100)["x"]) == {1.5, 2.5}


# ------------------------------------------------------------------------------------------------- choices


def test_choices_by_weight_and_by_another_column() -> None:
    frame = vs.generate(
        Recipe({
            "t": {
                "columns": {
                    "country": {"choice": {"FR": 3, "DE": 1}, "missing": 0.1},
                    "city": {"choice": {"FR": {"Paris": 4, "Lyon": 1}, "DE": ["Bonn"]}, "by": "country"},
                }
            }
        }),
        ROWS,
        seed=2,
    )  # fmt: skip
    assert (frame["country"].drop_nulls() == "FR").mean() == pytest.approx(0.75, abs=0.015)
    assert frame.filter(pl.col("country") == "DE")["city"].unique().to_list() == ["Bonn"]
    assert (frame.filter(pl.col("country") == "FR")["city"] == "Paris").mean() == pytest.approx(0.8, abs=0.02)
    assert frame.filter(pl.col("country").is_null())["city"].null_count() == frame["country"].null_count()


def test_a_unique_choice_gives_each_value_once() -> None:
    assert sorted(column({"choice": ["a", "b", "c"], "unique": True}, 3)) == ["a", "b", "c"]
    with pytest.raises(vs.ArgumentError, match="3 different values, and 4 rows"):
        column({"choice": ["a", "b", "c"], "unique": True}, 4)


@pytest.mark.parametrize(
    "regex", [r"[A-Z]\w{2,4}-\d+(foo|bar)?", r"^\d{3}-\d{4}$", r"[^a-z\s]{3}", r"(?:ab|c)d*", r"\S\.\W"]
)
def test_texts_of_a_regular_expression_match_it(regex: str) -> None:
    assert all(re.fullmatch(regex, text) for text in column({"regex": regex}, 300))
    assert Regex.written("a?", 3) == "a{0,1}"


def test_keys_are_unique_and_known_by_their_number() -> None:
    for spec in ({"sequence": 5, "step": 3}, {"id": "uuid"}, {"id": "A[0-9]{6}"}, {"permuted": [1, 50_000]}):
        keys = column(spec)
        assert keys.n_unique() == ROWS
        assert column(spec, 100).equals(keys.head(100))
    assert column({"sequence": 5, "step": 3}, 3).to_list() == [5, 8, 11]


# ------------------------------------------------------------------------------------------------- times


def test_times_follow_the_profile_of_day_and_week() -> None:
    spec = {"datetime": ["2024-01-01", "2025-01-01"], "hours": {9: 1, 17: 3}, "weekdays": {"mon": 1, "sunday": 1}}
    times = column(spec)
    assert set(times.dt.weekday().unique()) == {1, 7}
    assert set(times.dt.hour().unique()) == {9, 17}
    assert (times.dt.hour() == 17).mean() == pytest.approx(0.75, abs=0.015)


def test_times_of_a_zone_leap_over_the_hour_that_is_not_there() -> None:
    times = column({"datetime": ["2024-03-31", "2024-04-01"], "zone": "Europe/Berlin"})
    assert times.null_count() == 0
    assert 2 not in times.dt.hour().unique()
    assert times.dtype == pl.Datetime("us", "Europe/Berlin")


def test_business_days_and_waits() -> None:
    days = column({"date": ["2024-12-01", "2024-12-31"], "business": True, "holidays": ["2024-12-25"]})
    assert days.dt.weekday().max() == 5
    assert dt.date(2024, 12, 25) not in days
    assert days.min() == dt.date(2024, 12, 2)
    assert days.max() == dt.date(2024, 12, 31)
    start = {"date": ["2024-01-01", "2024-12-31"]}
    later = vs.generate(
        Recipe({"t": {"columns": {"a": start, "x": {"after": "a", "wait": {"integer": [1, 5]}, "business": True}}}}),
        2000,
    )
    assert (later["x"] > later["a"]).all()
    assert later["x"].dt.weekday().max() <= 5
    ticks = column({"ticks": "15m", "start": "2024-01-01"}, 3)
    assert ticks.to_list() == [dt.datetime(2024, 1, 1, 0, 15 * i) for i in range(3)]


# ------------------------------------------------------------------------------------------------- rows in order


def test_previous_running_and_rank_over_blocks() -> None:
    columns = {
        "n": {"integer": [0, 9]}, "before": {"previous": "n", "default": -1}, "sum": {"running": "n", "start": 100},
        "most": {"running": "n", "how": "max"}, "rank": {"rank": "n"},
    }  # fmt: skip
    frame = Recipe({"t": {"columns": columns}}).sample(ROWS, seed=1)
    n = frame["n"].to_numpy()
    assert frame["before"].to_list() == [-1, *n[:-1]]
    assert (frame["sum"].to_numpy() == 100 + np.cumsum(n)).all()
    assert (frame["most"].to_numpy() == np.maximum.accumulate(n)).all()
    assert sorted(frame["rank"]) == list(range(1, ROWS + 1))
    assert (np.diff(n[np.argsort(frame["rank"].to_numpy())]) >= 0).all()


def test_series_have_their_season_and_their_memory() -> None:
    noise = column({"series": {"ar": 0.8, "sd": 2}}, 50_000).to_numpy()
    assert np.corrcoef(noise[1:], noise[:-1])[0, 1] == pytest.approx(0.8, abs=0.02)
    assert noise.std() == pytest.approx(2 / np.sqrt(1 - 0.8**2), rel=0.03)
    two = column({"series": {"ar": [0.5, 0.3]}}, 50_000).to_numpy()
    assert np.corrcoef(two[1:], two[:-1])[0, 1] == pytest.approx(0.5 / 0.7, abs=0.02)  # Yule and Walker
    wave = column({"series": {"level": 5, "trend": 1, "seasons": [{"period": 4, "size": 2}], "sd": 0}}, 8)
    np.testing.assert_allclose(wave, np.arange(8) + [5, 7, 5, 3] * 2, atol=1e-12)


def test_states_move_as_their_chances_say() -> None:
    states = column({"states": {"a": {"a": 3, "b": 1}, "b": {"a": 1, "b": 1}}}, 50_000)
    frame = pl.DataFrame({"now": states, "next": states.shift(-1)}).head(-1)
    assert states[0] == "a"
    assert (frame.filter(pl.col("now") == "a")["next"] == "b").mean() == pytest.approx(0.25, abs=0.01)
    stays = column({"states": {"new": {"done": 1}}, "start": {"new": 1, "done": 1}}, 100)
    assert set(stays[1:]) == {"done"}


# ------------------------------------------------------------------------------------------------- people and texts


def test_a_person_agrees_with_itself() -> None:
    names = [
        "first_name",
        "last_name",
        "sex",
        "email",
        "city",
        "region",
        "postcode",
        "address",
        "latitude",
        "longitude",
    ]
    people = Recipe({"t": {"columns": {n: {"provider": n} for n in names}}}).sample(2000)
    assert people.filter(pl.col("first_name") == "Mary")["sex"].unique().to_list() == ["F"]
    assert people.filter(pl.col("first_name") == "John")["sex"].unique().to_list() == ["M"]
    for row in people.head(200).iter_rows(named=True):
        assert re.sub("[^a-z]", "", row["last_name"].lower()) in row["email"]
        assert row["address"].endswith(f", {row['city']}, {row['region']} {row['postcode']}")
    york = people.filter(pl.col("city") == "New York")
    assert york["latitude"].is_between(40.6, 40.8).all()
    assert york["longitude"].is_between(-74.1, -73.9).all()


def test_several_people_a_row_and_locales_by_column() -> None:
    columns = {
        "home": ["de_DE", "it_IT"], "buyer": {"provider": "name", "of": "buyer"},
        "seller": {"provider": "name", "of": "seller"}, "phone": {"provider": "phone", "locale": "home"},
        "mixed": {"provider": "phone", "of": "z", "locale": {"en_GB": 1, "fr_FR": 1}},
        "tax": {"provider": "iban", "locale": "home"},
    }  # fmt: skip
    frame = Recipe({"t": {"columns": columns}}).sample(500)
    assert (frame["buyer"] != frame["seller"]).mean() > 0.95
    assert frame.filter(pl.col("home") == "de_DE")["tax"].str.starts_with("DE").all()
    assert frame.filter(pl.col("home") == "it_IT")["tax"].str.starts_with("IT").all()
    assert frame["mixed"].str.slice(0, 3).n_unique() == 2


def test_unique_people_and_laid_out_digits() -> None:
    assert column({"provider": "email", "unique": True}).n_unique() == ROWS
    assert column({"provider": "phone", "pattern": "(###) ###"}, 50).str.contains(r"^\(\d{3}\) \d{3}$").all()
    with pytest.raises(vs.SchemaError, match="too few different values"):
        column({"provider": "region", "unique": True})


def test_products_agree_with_category_and_price() -> None:
    columns = {n: {"provider": n} for n in ("product", "category", "price")}
    goods = Recipe({"t": {"columns": columns}}).sample(3000)
    assert goods.filter(pl.col("product").str.contains("monitor"))["category"].unique().to_list() == ["Electronics"]
    assert goods.filter(pl.col("product").str.contains("(?i)soap$"))["price"].max() < 20  # type: ignore[operator]


def test_grammar_and_lorem() -> None:
    spec = {"grammar": "The {adj} {noun} of {n}.", "rules": {"adj": ["big", "very {b}"], "b": ["old"], "noun": ["cat"]}}
    made = column(spec, 200, n={"integer": [1, 2]})
    assert set(made) == {f"The {a} cat of {n}." for a in ("big", "very old") for n in (1, 2)}
    assert column({"lorem": [3, 5]}, 100).str.count_matches(" ").is_between(2, 4).all()


def test_pools_of_other_libraries() -> None:
    for spec in ({"faker": "color_name"}, {"mimesis": "person.full_name"}):
        pytest.importorskip(next(iter(spec)))
        made = column({**spec, "pool": 50}, 1000)
        assert made.n_unique() <= 50
        assert made.equals(column({**spec, "pool": 50}, 1000))


# ------------------------------------------------------------------------------------------------- any kind


def test_missing_values_by_share_condition_and_chance() -> None:
    assert column({"normal": [0, 1], "missing": 0.2}).null_count() == pytest.approx(0.2 * ROWS, rel=0.08)
    frame = Recipe({
        "t": {
            "columns": {
                "age": {"integer": [0, 9]}, "a": {"normal": [0, 1], "missing": "age < 5"},
                "b": {"normal": [0, 1], "missing": "case when age < 5 then 0.5 else 0 end"},
            }
        }
    }).sample(ROWS)  # fmt: skip
    assert (frame["a"].is_null() == (frame["age"] < 5)).all()
    assert frame.filter(pl.col("age") < 5)["b"].is_null().mean() == pytest.approx(0.5, abs=0.02)
    assert frame.filter(pl.col("age") >= 5)["b"].null_count() == 0


def test_decimals_types_and_hidden_columns() -> None:
    frame = Recipe({
        "t": {
            "columns": {
                "a": {"normal": [0, 1], "digits": 0}, "b": {"normal": [0, 1], "type": "float32"},
                "c": {"choice": ["x", "y"], "type": "enum"}, "h": {"normal": [0, 1], "hidden": True}, "d": "h * 2",
            }
        }
    }).sample(10)  # fmt: skip
    assert frame.schema == {"a": pl.Int64, "b": pl.Float32, "c": pl.Enum(["x", "y"]), "d": pl.Float64}


def test_correlated_columns_have_the_rank_correlation() -> None:
    columns = {"a": {"normal": [0, 1]}, "b": {"gamma": [2, 1]}, "c": {"exponential": 3}, "d": {"uniform": [0, 1]}}
    matrix = [[1, 0.7, -0.3], [0.7, 1, 0], [-0.3, 0, 1]]
    recipe = Recipe({"t": {"columns": columns, "correlate": [{"columns": ["a", "b", "c"], "matrix": matrix}]}})
    frame = recipe.sample(50_000)
    np.testing.assert_allclose(stats.spearmanr(frame[["a", "b", "c"]].to_numpy()).statistic, matrix, atol=0.02)
    assert abs(stats.spearmanr(frame["a"], frame["d"]).statistic) < 0.02
    assert stats.kstest(frame["b"], stats.gamma(2).cdf).pvalue > 0.001


def test_rules_hold_and_leave_what_they_do_not_read() -> None:
    columns = {"a": {"normal": [0, 1]}, "b": {"normal": [0, 1]}, "c": {"normal": [0, 1]}, "d": "a + 1"}
    plain = Recipe({"t": {"columns": columns}}).sample(ROWS, seed=4)
    ruled = Recipe({"t": {"columns": columns, "rules": ["a < b"]}}).sample(ROWS, seed=4)
    assert (ruled["a"] < ruled["b"]).all()
    assert (ruled["d"] == ruled["a"] + 1).all()
    assert ruled["c"].equals(plain["c"])


def test_shares_are_exact_for_any_number_of_rows() -> None:
    columns = {"amount": {"lognormal": [4, 1]}, "fraud": "amount > 200"}
    frame = Recipe({"t": {"columns": columns, "shares": {"fraud": 0.03}}}).sample(ROWS)
    assert frame["fraud"].sum() == pytest.approx(0.03 * ROWS, abs=1)
    assert frame["fraud"].head(1000).sum() == pytest.approx(30, abs=1)


def test_rules_that_cannot_be_held_are_named() -> None:
    recipe = Recipe({"t": {"columns": {"a": {"uniform": [0, 1]}}, "rules": ["a * 2 > 5"]}})
    with pytest.raises(vs.RuleError, match=r"20 of 20 rows do not hold the rule `a \* 2 > 5`"):
        recipe.sample(20)


def test_cases_set_columns_and_are_labelled() -> None:
    columns = {"amount": {"constant": 1.0}, "twice": "amount * 2"}
    cases = {"whale": {"share": 0.1, "set": {"amount": {"uniform": [1000, 2000]}}}}
    frame = Recipe({"t": {"columns": columns, "cases": cases}}).sample(ROWS)
    whales = frame["case"] == "whale"
    assert whales.sum() == pytest.approx(0.1 * ROWS, rel=0.1)
    assert ((frame["amount"] >= 1000) == whales.fill_null(False)).all()
    assert (frame["twice"] == frame["amount"] * 2).all()


def test_edge_cases_are_labelled_and_all_else_stays() -> None:
    columns = {
        "id": {"sequence": 1},
        "name": {"provider": "name"},
        "n": {"integer": [1, 5]},
        "d": {"date": ["2024-01-01", "2024-02-01"]},
    }
    clean = Recipe({"t": {"columns": columns}}).sample(ROWS)
    edged = Recipe({"t": {"columns": columns, "edge_cases": 0.02}}).sample(ROWS)
    same = edged.filter(pl.col("edge_case").is_null()).drop("edge_case")
    assert same.equals(clean.join(same.select("id"), on="id", maintain_order="left"))
    assert edged["edge_case"].count() == pytest.approx(0.02 * ROWS, rel=0.25)
    assert edged.filter(pl.col("edge_case") == "d: leap day")["d"].unique().to_list() == [dt.date(2024, 2, 29)]
    assert edged.filter(pl.col("edge_case") == "name: empty")["name"].unique().to_list() == [""]


def test_dirt_spoils_what_is_written_alone() -> None:
    columns = {"name": {"provider": "name"}, "copy": "name", "n": {"integer": [1, 5]}}
    clean = Recipe({"t": {"columns": columns}}).sample(ROWS)
    dirty = {
        **columns,
        "name": {"provider": "name", "dirt": {"typo": 0.1}},
        "n": {"integer": [1, 5], "dirt": {"outlier": 0.05}},
    }
    spoilt = Recipe({"t": {"columns": dirty}}).sample(ROWS)
    assert spoilt["copy"].equals(clean["name"])
    assert (spoilt["name"] != clean["name"]).mean() == pytest.approx(0.1, abs=0.015)
    assert (spoilt["n"] >= 10).mean() == pytest.approx(0.05, abs=0.01)
    for what in ("case", "swap", "space"):
        assert (column({"provider": "name", "dirt": {what: 1.0}}, 200) != clean["name"].head(200)).mean() > 0.9


def test_duplicates_repeat_all_but_the_key() -> None:
    columns = {"id": {"sequence": 1}, "a": {"normal": [0, 1]}}
    frame = Recipe({"t": {"columns": columns, "duplicates": 0.05}}).sample(ROWS)
    assert frame["id"].n_unique() == ROWS
    assert ROWS - frame["a"].n_unique() == pytest.approx(0.05 * ROWS, rel=0.15)


# ------------------------------------------------------------------------------------------------- determinism


def test_fewer_rows_are_the_head_of_more_and_columns_do_not_disturb_each_other() -> None:
    columns = {
        "a": {"normal": [0, 1]}, "g": {"gamma": ["1 + abs(a)", 1]}, "name": {"provider": "name"},
        "s": {"states": {"x": {"y": 1, "x": 1}, "y": {"x": 1}}}, "f": "a + normal(0, 1)", "l": {"lorem": [1, 3]},
    }  # fmt: skip
    recipe = Recipe({"t": {"columns": columns}})
    whole = recipe.sample(ROWS, seed=9)
    assert recipe.sample(100, seed=9).equals(whole.head(100))
    more = Recipe({"t": {"columns": {"new": {"exponential": 1}, **columns}}}).sample(ROWS, seed=9)
    assert more.drop("new").equals(whole)
    assert not recipe.sample(100, seed=10).equals(whole.head(100))
    assert pl.concat(recipe.blocks(rows=ROWS, seed=9, first=1)).equals(whole.slice(BLOCK))


def test_a_recipe_comes_back_from_its_plain_values() -> None:
    for path in EXAMPLES.glob("*.yaml"):
        file = Recipe.load(path).file
        assert reading.read(reading.plain(file)) == file


def test_every_kind_says_what_it_is() -> None:
    assert all(kind.ABOUT for kind in KINDS.values())


# ------------------------------------------------------------------------------------------------- the examples


def test_heights_and_weights() -> None:
    """Promised: 51 % women, means of 163 and 176.5 cm, a spread of 7, a mean index of 25, and that they go together."""
    people = vs.generate(EXAMPLES / "heights.yaml")
    for sex, mean, share in (("F", 163, 0.51), ("M", 176.5, 0.49)):
        own = people.filter(pl.col("sex") == sex)
        assert own.height / people.height == pytest.approx(share, abs=0.015)
        assert own["height"].mean() == pytest.approx(mean, abs=0.35)
        assert own["height"].std() == pytest.approx(7, abs=0.25)
    bmi = people["weight"] / (people["height"] / 100) ** 2
    assert bmi.mean() == pytest.approx(25, abs=0.15)
    assert 0.5 < stats.pearsonr(people["height"], people["weight"]).statistic < 0.7


def test_bank_customers() -> None:
    """Promised: scores of 600 + age / 80 * 100 + income / 1000, give or take 50, in 300 to 850; they decide loans."""
    bank = vs.generate(EXAMPLES / "bank.yaml")
    expected = 600 + bank["age"] / 80 * 100 + bank["income"] / 100_000 * 100
    inside = (bank["credit_score"] > 300) & (bank["credit_score"] < 850)
    rest = (bank["credit_score"] - expected).filter(inside & (expected < 700))
    assert bank["credit_score"].is_between(300, 850).all()
    assert rest.mean() == pytest.approx(0, abs=2)
    assert rest.std() == pytest.approx(50, abs=2)
    chances = [(700, 851, 0.8), (600, 700, 0.5), (300, 600, 0.0)]
    for low, high, share in chances:
        own = bank.filter(pl.col("credit_score").is_between(low, high, closed="left"))
        assert (own["loan_status"] == "approved").mean() == pytest.approx(share, abs=0.03)
    assert (bank["loan"].is_null() == (bank["loan_status"] == "refused")).all()
    assert (bank["loan"] / bank["income"]).drop_nulls().is_between(0.499, 3.001).all()


def test_a_random_function_without_arguments_is_drawn() -> None:
    x = Recipe({"t": {"columns": {"x": "random()"}}}).sample(4000, seed=1)["x"]
    assert x.is_between(0, 1).all()
    assert abs(x.mean() - 0.5) < 4.5 * (1 / 12 / 4000) ** 0.5  # type: ignore[operator]
