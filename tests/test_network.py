"""`network` and `auto`: what they learn that others do not, what they tell, and life without PyTorch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import verosim as vs
from verosim.draws import stream
from verosim.errors import ArgumentError
from verosim.models import Array, Codes, Field, build
from verosim.models.tokens import BINS, OWN, WIDE, Tokens

RNG = stream(21)


def table(**columns: Array) -> Codes:
    """Positions where floats, levels where integers."""
    fields = tuple(
        Field(name, 0 if a.dtype.kind == "f" else int(a.max()) + 1) for name, a in columns.items()
    )  # fmt: skip
    return Codes(fields, tuple(columns.values()), len(next(iter(columns.values()))))


def learned(name: str, rows: Codes, **settings: Any) -> Any:
    return build(name, settings).fit(rows, None, stream(1, "fit"))


# ------------------------------------------------------------------------------------------------------- tokens


def test_each_small_category_has_a_token_a_level() -> None:
    levels = np.array([0, 2, 1, 2], np.int32)
    tokens = Tokens.of(Field("x", 3), levels)
    assert [c.size for c in tokens.columns] == [3]
    assert tokens.decode(tokens.encode(levels), RNG).tolist() == levels.tolist()


def test_a_wide_category_comes_back_from_two_columns() -> None:
    levels = stream(2).integers(0, 50_000, 80_000).astype(np.int32)
    tokens = Tokens.of(Field("x", 50_000), levels)
    assert max(c.size for c in tokens.columns) < OWN + 300
    assert (tokens.decode(tokens.encode(levels), RNG) == levels).all()
    assert WIDE < 50_000


def test_a_position_comes_back_in_its_stretch_an_atom_and_a_mark_as_they_are() -> None:
    atoms = np.array([[0.1, 0.3], [0.6, 0.6005]])  # the second is too small for a token of its own
    position = stream(3).random(5_000)
    field = Field("x", marks=2, atoms=atoms)
    position = np.where(field.atom(position) >= 0, atoms.mean(1)[field.atom(position)], position)
    position[:10], position[10:20] = -1.0, -2.0
    tokens = Tokens.of(field, position)
    back = tokens.decode(tokens.encode(position), RNG)
    assert (back[:20] == position[:20]).all()
    assert (back[position == 0.2] == 0.2).all()
    assert np.abs(back - position).max() < 1.5 / BINS
    assert len(np.unique(back[np.abs(position - 0.6) < 0.01])) > 50  # its neighbours are not drawn into it


def test_a_token_holds_ten_rows_or_more() -> None:
    position = np.arange(300) / 300
    (column,) = Tokens.of(Field("x"), position).columns
    assert column.size <= 30


# ------------------------------------------------------------------------------------------------------ network


def test_a_network_learns_exclusive_or() -> None:
    a, b = stream(13).integers(0, 2, (2, 4_000)).astype(np.int32)
    x, y, z = learned("network", table(a=a, b=b, c=a ^ b), epochs=25).sample(4_000, None, stream(2)).arrays
    assert (z == x ^ y).mean() > 0.97


def test_temperature_makes_the_common_commoner() -> None:
    level = (stream(4).random(4_000) < 0.2).astype(np.int32)
    model = learned("network", table(x=level), epochs=5)
    low, one, high = (model.sample(20_000, None, stream(5), t).arrays[0].mean() for t in (0.5, 1.0, 2.0))
    assert low == pytest.approx(0.04 / 0.68, abs=0.015)  # .2 ** 2 / (.2 ** 2 + .8 ** 2)
    assert one == pytest.approx(level.mean(), abs=0.015)
    assert high == pytest.approx(1 / 3, abs=0.02)


def test_densities_of_both_experts_sum_to_one() -> None:
    rng = stream(6)
    a = rng.random(3_000)
    rows = table(a=a, b=np.clip(a * 0.5 + rng.random(3_000) * 0.5, 0, 0.999), c=(a * 4).astype(np.int32))
    model = learned("auto", rows, epochs=3)
    grid = (np.arange(4_000) + 0.5) / 4_000
    at = Codes(rows.fields, (np.full(4_000, 0.3), grid, np.ones(4_000, np.int32)), 4_000)
    walk = model.network_.walk(4_000)
    walk.put(0, at.arrays[0])
    arrays = dict(enumerate(at.arrays))
    assert walk.density(1, grid).mean() == pytest.approx(1, abs=1e-3)
    assert model.chain_.columns_[1].density(rows.fields, arrays, 4_000).mean() == pytest.approx(1, abs=0.05)


# --------------------------------------------------------------------------------------------------------- auto


def test_auto_tells_the_shares_of_its_experts() -> None:
    rng = stream(7)
    a = rng.random(1_500)
    told = learned("auto", table(a=a, b=(a > 0.5).astype(np.int32)), epochs=3).explain()
    assert set(told) == {"a", "b"}
    assert "trees" in told["b"]
    assert "network" in told["b"]


def test_auto_leaves_small_and_wide_tables_to_the_trees_and_says_so() -> None:
    few = learned("auto", table(a=stream(8).random(200), b=stream(9).random(200)))
    assert "too few for a network" in few.explain()["b"]
    wide = table(**{f"c{i}": column for i, column in enumerate(stream(8).random((6, 1_200)))})
    assert "takes long" in learned("auto", wide, most_columns=5).explain()["c5"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"epochs": "many"}, "it cannot be 'many'"),
        ({"epochs": True}, "it cannot be True"),
        ({"rate": -1.0}, "a number of 0 or more"),
    ],
)
def test_a_wrong_setting_is_refused_before_any_work(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        vs.fit(pl.DataFrame({"x": [1, 2]}), settings=settings)


# ---------------------------------------------------------------------------------------------- without PyTorch

WITHOUT = """
import sys
sys.modules["torch"] = None
import polars as pl, verosim as vs
frame = pl.DataFrame({"x": range(2000), "y": ["a", "b"] * 1000})
try:
    vs.fit(frame, model="gan")
except vs.MissingExtraError as error:
    print(error)
try:
    vs.fit(frame, model="network")
except vs.MissingExtraError as error:
    print(error)
print(vs.fit(frame).explain()["table"]["y"])
print(vs.load(sys.argv[1]).sample(5).to_dict(as_series=False))
"""


def test_without_pytorch(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": range(2_000), "y": ["a", "b"] * 1_000})
    model = vs.fit(frame, model="network", settings={"epochs": 2})
    model.save(tmp_path / "m.verosim")
    call = [sys.executable, "-c", WITHOUT, str(tmp_path / "m.verosim")]
    told = subprocess.run(call, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[0] == "the model 'gan' needs PyTorch: pip install 'verosim[deep]'"
    assert told[1] == "the model 'network' needs PyTorch: pip install 'verosim[deep]'"
    assert "PyTorch is not installed" in told[2]
    assert told[3] == str(model.sample(5).to_dict(as_series=False))
