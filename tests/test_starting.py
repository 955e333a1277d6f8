"""A warm start: what another table tells of the relations of columns, and that nothing else of it comes out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import verosim as vs

pytest.importorskip("torch")
QUICK: dict[str, Any] = {"model": "network", "settings": {"epochs": 12}, "k": 2, "holdout": 0.0}
WORDS = [f"w{i}" for i in range(12)]


def pairs(n: int, seed: int) -> pl.DataFrame:
    """The second word follows from the first in 19 of 20 rows; a number that tells nothing stands beside them."""
    rng = np.random.default_rng(seed)
    first = rng.integers(12, size=n)
    second = np.where(rng.random(n) < 0.95, (5 * first + 3) % 12, rng.integers(12, size=n))
    words = np.array(WORDS)
    return pl.DataFrame({"a": words[first], "b": words[second], "x": rng.normal(size=n).round(2)})


def follows(frame: pl.DataFrame) -> float:
    """The share of rows whose second word follows from the first."""
    first, second = (frame[c].str.strip_prefix("w").cast(pl.Int64) for c in "ab")
    return float(((5 * first + 3) % 12 == second).mean())  # type: ignore[arg-type]


SMALL, OTHER = pairs(120, 1), pairs(4000, 2)


@pytest.fixture(scope="module")
def warm() -> vs.Synthesizer:
    return vs.fit(SMALL, start=OTHER.drop("x"), seed=3, **QUICK)


def test_relations_come_from_the_other_table(warm: vs.Synthesizer) -> None:
    cold = vs.fit(SMALL, seed=3, **QUICK)
    new = warm.sample(2000)
    assert follows(new) > 0.85 > follows(cold.sample(2000)) + 0.1
    assert any("learned 4,000 rows of another table first" in note for note in warm.notes)


def test_the_same_seed_gives_the_same_rows(warm: vs.Synthesizer) -> None:
    again = vs.fit(SMALL, start=OTHER.drop("x"), seed=3, **QUICK)
    assert again.sample(50).equals(warm.sample(50))


def test_a_model_or_its_file_stands_for_its_rows(tmp_path: Path) -> None:
    big = vs.fit(OTHER, model="chain", seed=1)
    OTHER.write_csv(tmp_path / "other.csv")
    big.save(tmp_path / "big.verosim")
    from_model, from_file = (vs.fit(SMALL, start=s, seed=3, **QUICK) for s in (big, tmp_path / "big.verosim"))
    assert from_model.sample(50).equals(from_file.sample(50))
    assert follows(from_model.sample(2000)) > 0.8
    assert follows(vs.fit(SMALL, start=tmp_path / "other.csv", seed=3, **QUICK).sample(2000)) > 0.8


def test_auto_starts_too_however_few_rows_follow() -> None:
    warm = vs.fit(SMALL, start=OTHER, seed=3, settings={"epochs": 12}, k=2, holdout=0.0)
    assert follows(warm.sample(2000)) > follows(vs.fit(SMALL, seed=3, k=2, holdout=0.0).sample(2000))


def test_values_of_the_other_table_do_not_come_out(tmp_path: Path) -> None:
    strange = OTHER.with_columns(
        a=pl.when(pl.int_range(pl.len()) % 7 == 0).then(pl.lit("secretword")).otherwise("a"),
        x=pl.when(pl.int_range(pl.len()) % 5 == 0).then(98765.4321).otherwise("x"),
    )
    warm = vs.fit(SMALL, start=strange, seed=3, **QUICK)
    new = warm.sample(2000)
    assert set(new["a"]) <= set(SMALL["a"])
    assert new["x"].max() < 100  # type: ignore[operator]
    warm.save(tmp_path / "warm.verosim")
    assert b"secretword" not in (tmp_path / "warm.verosim").read_bytes()


def test_rules_hold_whatever_the_other_table_does() -> None:
    rng = np.random.default_rng(1)
    low = rng.integers(0, 50, 150)
    small = pl.DataFrame({"low": low, "high": low + rng.integers(1, 9, 150), "kind": rng.choice(["p", "q"], 150)})
    other = pl.DataFrame(
        {"low": rng.integers(0, 50, 900), "high": rng.integers(0, 60, 900), "kind": ["p", "q", "r"] * 300}
    )
    for start in (other, other.drop("high"), other.with_columns(high=pl.lit(None, pl.Int64))):
        new = vs.fit(small, start=start, seed=2, **QUICK).sample(500)
        assert (new["low"] < new["high"]).all()


def test_gaps_and_infinities_of_the_other_table_are_unknown() -> None:
    other = OTHER.with_columns(
        x=pl.when(pl.int_range(pl.len()) % 3 == 0).then(float("nan")).otherwise(float("inf")),
        a=pl.when(pl.int_range(pl.len()) % 4 == 0).then(None).otherwise("a"),
    )
    new = vs.fit(SMALL, start=other, seed=3, **QUICK).sample(500)
    assert new.null_count().sum_horizontal().item() == 0
    assert new["x"].is_finite().all()


@pytest.mark.parametrize(
    ("start", "asked", "error", "said"),
    [
        (OTHER, {"model": "chain", "settings": {}}, vs.ArgumentError, "cannot start from other rows; auto and network"),
        (OTHER.select("a"), {}, vs.ArgumentError, "share no two columns; it has 'a'"),
        (OTHER.rename({"a": "c", "b": "d"}), {}, vs.ArgumentError, "share no two columns; it has 'c', 'd', 'x'"),
        (OTHER.with_columns(x=pl.lit("much")), {}, vs.DataError, "Float64, but String in the table to start"),
        ({"p": OTHER, "q": OTHER}, {}, vs.ArgumentError, "start: there is no table 'p'"),
        ("nowhere.verosim", {}, vs.FileError, "nowhere.verosim"),
    ],
    ids=["a tree", "one column", "no column", "another type", "two tables", "no file"],
)  # fmt: skip
def test_what_cannot_be_started_from(start: Any, asked: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error) as raised:
        vs.fit(SMALL, start=start, **{**QUICK, **asked})
    assert said in str(raised.value)


def test_without_pytorch_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n == "torch" or n.startswith(("torch.", "verosim.models.network_fit"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(vs.MissingExtraError, match=r"verosim\[deep\]"):
        vs.fit(SMALL, start=OTHER)
