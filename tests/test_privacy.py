"""Attacks: risks known by construction are found within their interval, real rows raise no alarm, nothing leaks."""

from __future__ import annotations

import datetime as dt
import json
from math import comb
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verosim.evaluation import Case, Findings, Limits, Measure, copying, privacy
from verosim.evaluation.trials import Trial, surprise, wilson
from verosim.schema import Column, Table, dtype_name

ATTACKS = ("singling out by one column", "singling out", "linkability", "inference")
MEMBERSHIP = ("membership", "membership at 1% false alarms", "membership at 10% false alarms", "membership of outliers")
DISCLOSURE = ("repU", "DiSCO", "DCAP", "TCAP")


def case_of(train: pl.DataFrame, holdout: pl.DataFrame, new: pl.DataFrame, **asked: Any) -> Case:
    """Text is a category, days are dates, and all else is a number."""
    kinds = {pl.String: "category", pl.Date: "date"}
    table = Table("t", tuple(Column(n, kinds.get(type(d)) or "number", dtype_name(d)) for n, d in train.schema.items()))
    return Case.of(train, holdout, new, table, **asked)


def assess(train: pl.DataFrame, holdout: pl.DataFrame, new: pl.DataFrame, **asked: Any) -> Findings:
    return privacy.assess(case_of(train, holdout, new, **asked))


def of(found: Findings, name: str) -> Measure:
    return next(m for m in found.measures if m.label == name)


def risk(found: Findings, attack: str) -> dict[str, Any]:
    return next(entry for entry in found.details["risks"] if attack in entry["attack"])


def number(found: Findings, name: str) -> float:
    value = of(found, name).value
    assert value is not None
    return value


def alarms(found: Findings) -> list[str]:
    return [m.label for m in found.measures if m.grade in ("near", "far")]


def people(n: int, seed: int) -> pl.DataFrame:
    """Five related columns: heavy-tailed, discrete, correlated, categorical, with missing values."""
    rng = np.random.default_rng([12, seed])
    age = rng.integers(18, 80, n)
    income = np.exp(rng.normal(size=n) * 0.4 + age / 40)
    group = np.where(rng.random(n) < (age - 10) / 80, "old", "young")
    city = pl.Series(rng.choice(["Cork", "Galway", "Sligo", ""], n, p=[0.5, 0.3, 0.1, 0.1])).replace("", None)
    score = income + rng.normal(size=n) * 0.3
    return pl.DataFrame({"age": age, "income": income, "group": group, "city": city, "score": score})


def coded(n: int, seed: int, secrets: int = 5) -> pl.DataFrame:
    """Each person has a code and two measures of her own, and a secret that has nothing to do with either."""
    rng = np.random.default_rng([13, seed])
    return pl.DataFrame(
        {
            "code": [f"{seed}-{i}" for i in range(n)],
            "x": rng.normal(size=n),
            "y": rng.normal(size=n),
            "secret": rng.integers(0, secrets, n).astype(str),
        }
    )


def memorised(train: pl.DataFrame, fresh: pl.DataFrame, share: float) -> pl.DataFrame:
    """As many rows as `fresh`, of which a share are rows of train."""
    n = round(share * len(fresh))
    return pl.concat([train[:n], fresh[n:]])


# ------------------------------------------------------------------------------------------------- worked by hand


def test_wilsons_interval_of_a_rate() -> None:
    z, k, n = 1.96, 30, 100
    middle, half = wilson(k, n)
    p = k / n
    for end in (middle - half, middle + half):  # its ends lie z of their own standard errors from the rate
        assert abs(p - end) == pytest.approx(z * np.sqrt(end * (1 - end) / n))


@given(st.integers(1, 30), st.integers(1, 30), st.data())
@settings(max_examples=60, deadline=None)
def test_surprise_counts_the_ways(n: int, m: int, data: st.DataObject) -> None:
    k, b = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    ways = sum(comb(n, x) * comb(m, k + b - x) for x in range(k, min(n, k + b) + 1))
    assert surprise(k, n, b, m) == pytest.approx(ways / comb(n + m, k + b))


def test_risk_is_what_success_adds_to_that_of_the_control() -> None:
    trial = Trial.of(np.arange(100) < 50, np.arange(200) < 40)
    assert (trial.success, trial.control) == (0.5, 0.2)
    assert trial.risk == pytest.approx((0.5 - 0.2) / (1 - 0.2))
    low, high = trial.interval
    assert 0.2 < low < trial.risk < high < 0.55
    worse = Trial.of(np.arange(100) < 10, np.arange(200) < 40)
    assert (worse.risk, worse.interval[0]) == (0.0, 0.0)
    assert not worse.sure()
    uneven = Trial(60, 100, 5, 100, 0.5, scale=9)  # 65 successes are worth 58.5 of nine times as many records, and 6.5
    assert uneven.error == pytest.approx(np.sqrt(0.585 * 0.415 / 100 + 81 * 0.065 * 0.935 / 100) / (1 - 0.45))
    known = Trial.of(np.ones(9, np.bool_), np.ones(9, np.bool_))  # nothing is left to be learned
    assert (known.risk, known.sure()) == (0.0, False)


def test_disclosure_of_ten_rows() -> None:
    """q: a has 4 real and 2 synthetic rows, b 1 and 1, c 1 and 0, d 4 and 3."""
    real = pl.DataFrame({"q": list("aaaabcdddd"), "t": list("xxxyxyyyyy")})
    new = pl.DataFrame({"q": list("aabddd"), "t": list("xxyyyx")})
    found = assess(real, real[:0], new, keys=("q",), target="t").details["disclosure"]
    assert (found["keys"], found["target"], found["unseen"]) == (["q"], "t", None)
    by_hand = {
        "UiO": 2 / 10,  # b and c
        "UiS": 1 / 6,  # b
        "UiOiS": 1 / 10,
        "repU": 1 / 10,
        "Dorig": 6 / 10,  # b, c, d
        "Dsyn": 3 / 6,  # a, b
        "iS": 9 / 10,
        "DiSCO": 3 / 10,  # a is x in all synthetic rows: three real ones are; b is y there, and is not
        "DiSDiO": 0,
        "baseCAPd": 0.4**2 + 0.6**2,
        "CAPd": (4 * (0.75**2 + 0.25**2) + 1 + 1 + 4) / 10,
        "CAPs": (2 + 1 + 3 * ((2 / 3) ** 2 + (1 / 3) ** 2)) / 6,
        "DCAP": (3 + 4 * 2 / 3) / 10,
        "TCAP": 3 / 9,
    }
    assert {name: found[name] for name in by_hand} == {name: pytest.approx(100 * v) for name, v in by_hand.items()}


def test_missing_keys_and_targets_are_levels_of_disclosure() -> None:
    real = pl.DataFrame({"q": ["a", None, None], "t": ["x", None, None]})
    found = assess(real, real[:0], real, keys=("q",), target="t").details["disclosure"]
    assert (found["DiSCO"], found["repU"]) == (100, pytest.approx(100 / 3))


def test_keys_of_many_values_are_grouped_and_it_is_said() -> None:
    found = assess(people(400, 1), people(200, 2), people(400, 3), keys=("income", "age"), target="city")
    assert "disclosure: income in 20 groups of as many rows" in found.notes
    assert found.details["disclosure"]["iS"] > 20


def test_known_columns_are_guessed_and_it_is_said() -> None:
    found = assess(people(400, 1), people(200, 2), people(400, 3))
    said = found.details["disclosure"]
    assert said["target"] == "city"
    assert said["keys"][0] == "age"
    assert any("were guessed to be known" in note for note in found.notes)


# ---------------------------------------------------------------------------------------- risks known by construction


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_what_a_generator_memorised_is_found_within_the_interval(share: float) -> None:
    """Of 20 generators, the 95 % intervals miss the share that was memorised in at most 4, for each of the attacks."""
    misses = dict.fromkeys(("by several", "secret from", "halves", "caught"), 0)
    for seed in range(0, 60, 3):
        train, holdout, fresh = (coded(n, seed + k) for k, n in enumerate((400, 400, 400)))
        found = assess(train, holdout, memorised(train, fresh, share), seed=seed)
        for attack in ("by several", "secret from", "halves"):
            entry = risk(found, attack)
            misses[attack] += not entry["low"] <= share <= entry["high"]
        low, high = found.details["membership"]["tpr_interval"]["0.1"]
        misses["caught"] += not low <= share + 0.1 * (1 - share) <= high
    assert max(misses.values()) <= 4
    assert {"singling out", "linkability", "membership"} <= set(alarms(found)) or share < 0.1


def test_a_copier_is_found_by_every_attack() -> None:
    train = people(600, 1)
    found = assess(train, people(300, 2), train, target="city")
    assert set(alarms(found)) >= {*ATTACKS, *MEMBERSHIP, "DCAP"}
    assert number(found, "membership") == pytest.approx(1, abs=0.02)
    codes = coded(600, 1)
    assert number(assess(codes, coded(300, 2), codes), "linkability") == pytest.approx(100, abs=1)


def test_one_unique_person_is_singled_out() -> None:
    """A giant in train who is repeated: the end of one column fits her alone, and nobody unseen."""
    train, holdout, new = (people(300, s).select("age", "income", "city") for s in range(3))
    giant = pl.DataFrame({"age": [99], "income": [1e6], "city": ["Atlantis"]}, schema=train.schema)
    found = assess(pl.concat([train, giant]), holdout, pl.concat([new, giant]))
    entry = risk(found, "by one column")
    assert entry["success"] * entry["attacks"] >= 3  # her age, her income, her city
    assert entry["control"] * entry["attacks"] <= 3


def test_shuffled_columns_give_away_values_but_no_person() -> None:
    """Each column is copied, in an order of its own: whose value it is can be told, and no more."""
    train, rng = people(1500, 1), np.random.default_rng(0)
    new = train.with_columns(pl.col(c).gather(rng.permutation(len(train))) for c in train.columns)
    found = assess(train, people(1500, 2), new)
    assert alarms(found) == ["singling out by one column"]
    assert "mostly by" in of(found, "singling out by one column").verdict


def test_outlying_people_who_are_memorised_are_found_among_outliers() -> None:
    """The 4 % of train with the highest income are repeated: hardly seen in the mean, seen among outliers."""
    train, holdout, fresh = (people(2000, s).select("income", "score") for s in range(3))
    far = train.sort("income")[-80:]
    found = assess(train, holdout, pl.concat([fresh[80:], far]))
    assert number(found, "membership") < 0.54
    assert number(found, "membership of outliers") > 0.62
    assert of(found, "membership of outliers").grade != "noise"


def test_membership_of_a_few_shows_at_few_false_alarms() -> None:
    """An AUC of .54 looks like nothing, and is not: three in a hundred are told with hardly a false alarm."""
    train, holdout, fresh = (people(2000, s) for s in range(3))
    found = assess(train, holdout, memorised(train, fresh, 0.06))
    assert number(found, "membership") < 0.56
    assert number(found, "membership at 1% false alarms") == pytest.approx(100 * (0.06 + 0.94 * 0.01), abs=1.2)
    assert of(found, "membership at 1% false alarms").grade == "far"


def test_replicated_uniques_are_found_beside_what_is_to_be_expected() -> None:
    train, holdout, fresh = (people(1000, s) for s in range(3))
    found = assess(
        train, holdout, memorised(train, fresh, 0.5), keys=("age", "city", "group", "income"), target="score"
    )
    assert number(found, "repU") > 30
    assert of(found, "repU").grade == "far"


def test_near_copies_are_counted_beside_unseen_rows() -> None:
    train = people(1000, 1)
    near = train.with_columns(pl.col("income") * 1.001, pl.col("score") + 0.001)
    measure = copying.near_copies(case_of(train, people(500, 2), near).arrays)
    assert (measure.value, measure.grade) == (100, "far")
    fresh = copying.near_copies(case_of(train, people(500, 2), people(1000, 3)).arrays)
    assert fresh.grade == "noise"
    assert fresh.verdict == "within noise of real: no copying seen, which proves no privacy"


# ---------------------------------------------------------------------------------------------------------- calm


@pytest.mark.parametrize(("n", "n_holdout", "n_new", "draws"), [(200, 60, 200, 100), (60, 120, 90, 40)])
def test_real_rows_raise_no_alarm(n: int, n_holdout: int, n_new: int, draws: int) -> None:
    """Of 100 draws from one population, at most 5 have a verdict beyond the noise, all measures together."""
    raised = 0
    for seed in range(draws):
        train, holdout, new = people(n, 3 * seed), people(n_holdout, 3 * seed + 1), people(n_new, 3 * seed + 2)
        raised += bool(alarms(assess(train, holdout, new, seed=seed)))
    assert raised <= draws / 20


def test_few_unseen_rows_raise_no_alarm_about_single_people() -> None:
    """Train has ten times as many rows to be singled out of: the control group counts for its size."""
    raised = 0
    for seed in range(20):
        train, holdout, new = people(1000, 3 * seed), people(100, 3 * seed + 1), people(1000, 3 * seed + 2)
        raised += bool(alarms(assess(train, holdout, new, seed=seed, keys=("age", "city", "group", "income"))))
    assert raised <= 1


# ------------------------------------------------------------------- mistakes of others that make a risk look smaller


def test_who_is_copied_many_times_is_at_no_less_risk() -> None:
    """Descriptions that must fit one synthetic row find no one in a generator that repeats itself."""
    train, holdout = coded(200, 1), coded(200, 2)
    once, often = assess(train, holdout, train), assess(train, holdout, pl.concat([train] * 15))
    for attack in ("by one column", "by several", "halves"):
        assert risk(often, attack)["value"] == pytest.approx(risk(once, attack)["value"], abs=0.05)
        assert risk(often, attack)["value"] > 0.9


def test_a_negative_number_is_not_guessed_by_any_other() -> None:
    """Divided by the guess, and not by its size, every negative guess was a success."""
    rng = np.random.default_rng(3)
    rows = [pl.DataFrame({"x": rng.normal(size=300), "debt": -np.exp(3 * rng.normal(size=300))}) for _ in range(3)]
    entry = risk(assess(*rows), "debt from")
    assert entry["success"] < 0.1
    assert entry["naive"] < 0.1


def test_zero_is_guessed_by_zero_alone() -> None:
    rng = np.random.default_rng(3)
    train, holdout = (pl.DataFrame({"x": rng.normal(size=100), "gain": np.zeros(100)}) for _ in range(2))
    new = pl.DataFrame({"x": rng.normal(size=100), "gain": np.full(100, 1e-9)})
    assert risk(assess(train, holdout, new), "gain from")["success"] == 0
    assert risk(assess(train, holdout, train), "gain from")["success"] == 1


def test_a_missing_value_is_guessed_by_a_missing_one() -> None:
    train, holdout = (people(300, s).with_columns(gone=pl.lit(None, pl.Float64)) for s in range(2))
    entry = risk(assess(train, holdout, people(300, 3).with_columns(gone=pl.lit(None, pl.Float64))), "gone from")
    assert (entry["success"], entry["control"], entry["naive"], entry["value"]) == (1, 1, 1, 0)


@pytest.mark.parametrize("name", ["my column", "a`b", "x' or '1'='1", "@pd.compat.os.system('x')", "", "größe\n"])
def test_names_of_columns_are_only_names(name: str) -> None:
    """Descriptions that were made into query text failed for such names, without a word, and found no risk."""
    train, holdout = (coded(100, s).rename({"code": name}) for s in range(2))
    found = assess(train, holdout, train)
    assert risk(found, "by one column")["value"] > 0.9
    assert risk(found, "by several")["value"] > 0.9


def test_dates_are_attacked_like_numbers() -> None:
    def born(year: int) -> pl.DataFrame:
        days = [dt.date(year, 1, 1) + dt.timedelta(17 * i) for i in range(200)]
        return pl.DataFrame({"born": days, "x": np.random.default_rng(year).normal(size=200)})

    train, holdout = born(1950), born(1975)
    found = assess(train, holdout, train)
    assert risk(found, "by one column")["success"] > 0.9
    assert risk(found, "born from")["success"] == 1


def test_three_times_the_same_table_tells_nothing() -> None:
    """Identical sets raised domain errors: success and control are equal, and so is what is left to learn."""
    same = people(100, 1)
    assert alarms(assess(same, same, same)) == []


def test_a_skewed_column_is_no_risk_and_no_safety() -> None:
    """Against a uniform guess, 99 of 100 looks like disclosure: the control group and chance know it too."""
    rows = [
        coded(600, s).with_columns(secret=pl.Series(np.random.default_rng(s).random(600) < 0.99).cast(pl.String))
        for s in range(3)
    ]
    entry = risk(assess(*rows), "secret from")
    assert entry["success"] > 0.95
    assert entry["naive"] > 0.95
    assert (entry["low"], entry["verdict"]) == (0, "within noise of real")
    copied = assess(rows[0], rows[1], rows[0])
    assert risk(copied, "secret from")["value"] > 0.9


def test_the_same_seed_gives_the_same_findings_and_another_other_targets() -> None:
    train, holdout, new = (people(300, s) for s in range(3))
    case = {"limits": Limits(rows=200)}
    first, again, other = (assess(train, holdout, new, seed=s, **case) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_an_attack_no_better_than_guessing_is_said_to_prove_nothing() -> None:
    rows = [coded(300, s) for s in range(3)]
    new = rows[2].with_columns(secret=pl.lit("9"))
    assert any("no proof of safety" in note and "secret from" in note for note in assess(*rows[:2], new).notes)


# ------------------------------------------------------------------------------------------------------- odd tables


def test_no_cell_of_the_data_is_told() -> None:
    train = people(300, 1).with_columns(
        pl.col("city").replace("Sligo", "Zanzibar-77"), income=pl.col("income") + 77_000.125
    )
    found = assess(train, people(100, 2), train)
    said = json.dumps([found.details, found.notes, [m.verdict for m in found.measures]])
    assert "Zanzibar" not in said
    assert "Cork" not in said
    assert not any(str(v) in said for v in train["income"].to_list())


def test_without_hold_out_rows_there_is_no_control_and_it_is_said() -> None:
    found = assess(people(100, 1), people(0, 2), people(100, 3))
    for name in (*ATTACKS, *MEMBERSHIP):
        assert (of(found, name).value, of(found, name).verdict) == (None, "not measured: no hold-out rows")
    for name in DISCLOSURE:
        assert of(found, name).value is not None
        assert of(found, name).verdict == "not judged: no hold-out rows"


CELLS = st.tuples(
    st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
    st.one_of(st.none(), st.integers(-3, 3)),
    st.one_of(st.none(), st.sampled_from(["a", "b", "é"])),
)


def frame_of(rows: list[Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"x": pl.Float64, "n": pl.Int64, "c": pl.String}, orient="row")


@given(*(st.lists(CELLS, min_size=k, max_size=25) for k in (0, 0, 0)), st.sampled_from([(), ("c",), ("x", "n", "c")]))
@settings(max_examples=40, deadline=None)
def test_any_cells_give_numbers_or_a_reason(train: Any, holdout: Any, new: Any, keys: tuple[str, ...]) -> None:
    found = assess(frame_of(train), frame_of(holdout), frame_of(new), keys=keys)
    json.dumps(found.details, allow_nan=False)
    for m in found.measures:
        numbers = [x for x in (m.value, m.error, m.floor, *(m.interval or ())) if x is not None]
        assert np.isfinite(numbers).all()
        assert m.value is not None or m.verdict.startswith("not measured: ")
        if m.interval and m.value is not None:
            assert m.interval[0] <= m.value <= m.interval[1]


@pytest.mark.parametrize("column", [[1.0] * 40, [None] * 40, [float("inf")] * 40, ["same"] * 40])
def test_columns_of_one_value(column: list[Any]) -> None:
    frame = pl.DataFrame({"c": pl.Series(column, dtype=pl.String if "same" in column else pl.Float64)})
    assert alarms(assess(frame, frame, frame)) == []


def test_one_column_has_nothing_to_be_linked_or_inferred() -> None:
    rows = [people(50, s).select("age") for s in range(3)]
    found = assess(*rows)
    assert of(found, "linkability").verdict == "not measured: there are no two groups of columns to link"
    assert of(found, "inference").verdict == "not measured: there is no column to infer from others"


def test_two_hundred_columns() -> None:
    rng = np.random.default_rng(0)
    train, holdout, new = (
        pl.DataFrame(
            {f"c{i}": rng.normal(size=150) if i % 2 else rng.integers(0, 4, 150).astype(str) for i in range(200)}
        )
        for _ in range(3)
    )
    assert alarms(assess(train, holdout, new)) == []
    copied = assess(train, holdout, train)
    assert {"linkability", "membership"} <= set(alarms(copied))
    assert len(copied.details["risks"]) <= 33


def test_many_more_rows_than_there_are_people_are_warned_of() -> None:
    found = assess(people(50, 1), people(50, 2), people(101, 3))
    assert "more synthetic rows than real ones: the more are handed out, the more an attacker learns" in found.notes


def test_what_was_not_looked_at_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy, "CELLS", 500)
    found = assess(people(300, 1), people(90, 2), people(200, 3), limits=Limits(rows=50), keys=("age", "nobody"))
    assert (
        "attacks look at 100 of 300 train, 100 of 200 synthetic rows: those on copies find so much less than there is"
        in found.notes
    )
    assert "known columns that are not compared, and so not used by attacks: nobody" in found.notes
