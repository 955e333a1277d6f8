"""What draws the steps of sequences: trees, a network that remembers, or both. Truths through the public door."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import verosim as vs
from verosim.archive import read, write
from verosim.models.recurrent import LONG, WARM, Pieces

LATE = 4
SMALL = {"width": 32, "hidden": 32, "embedding": 8}


def echoes(sequences: int = 300, length: int = 20) -> pl.DataFrame:
    """Each state is nearly always that of four steps before: to say it, one must remember further than two steps."""
    rng = np.random.default_rng(7)
    state = rng.integers(0, 2, (sequences, length))
    for i in range(LATE, length):
        state[:, i] = state[:, i - LATE] ^ (rng.random(sequences) < 0.03)
    columns = {"key": np.repeat([f"k{i:03d}" for i in range(sequences)], length)}
    columns |= {"step": np.tile(np.arange(length), sequences), "state": np.array(["low", "high"])[state.ravel()]}
    return pl.DataFrame(columns)


def sized(frame: pl.DataFrame) -> pl.DataFrame:
    """With a size that follows from the state, of which a tenth is missing."""
    rng = np.random.default_rng(8)
    size = (pl.col("state") == "high").cast(pl.Float64) * 10 + pl.Series(rng.normal(size=frame.height))
    return frame.with_columns(size=pl.when(pl.Series(rng.random(frame.height) > 0.1)).then(size.round(1)))


def echoed(frame: pl.DataFrame) -> float:
    same = pl.col("state") == pl.col("state").shift(LATE).over("key")
    return float(frame.select(same.mean()).item())


@pytest.fixture(scope="module")
def network() -> vs.Synthesizer:
    return vs.fit(echoes(), model="network", settings={"epochs": 6})


def test_a_network_remembers_what_trees_do_not(network: vs.Synthesizer) -> None:
    drawn, trees = network.sample(), vs.fit(echoes(), model="chain").sample()
    assert echoed(echoes()) == pytest.approx(0.97, abs=0.01)
    assert echoed(drawn) == pytest.approx(0.97, abs=0.04)
    assert echoed(trees) < 0.8
    assert "remembers all steps before" in network.explain()["table"]["state"]


def test_a_network_draws_columns_of_all_kinds() -> None:
    real = sized(echoes(80))
    drawn = vs.fit(real, model="network", settings={**SMALL, "epochs": 3}).sample()
    assert drawn.schema == real.schema
    assert drawn["size"].null_count() / drawn.height == pytest.approx(0.1, abs=0.04)
    means = drawn.drop_nulls().group_by("state").agg(pl.col("size").mean()).sort("state")["size"].to_list()
    assert means == pytest.approx([10, 0], abs=1.5)


def test_a_network_of_sequences_is_saved_and_draws_the_same(network: vs.Synthesizer, tmp_path: Path) -> None:
    network.save(tmp_path / "n.verosim")
    again = vs.load(tmp_path / "n.verosim")
    assert again.sample(500, seed=3).equals(network.sample(500, seed=3))
    begin = echoes().filter(pl.col("key") == "k001").head(12)
    later = again.sample(course=vs.Course(begin=begin, length=4))
    assert later["step"].to_list() == [12, 13, 14, 15]
    agrees = [again.sample(course=vs.Course(begin=begin, length=4), seed=s)["state"] for s in range(8)]
    assert np.mean([(a == begin["state"].tail(4)).mean() for a in agrees]) > 0.85  # what came before is remembered


def test_a_damaged_memory_is_refused(network: vs.Synthesizer, tmp_path: Path) -> None:
    network.save(tmp_path / "n.verosim")
    meta, arrays = read(tmp_path / "n.verosim")
    name = next(n for n in arrays if n.endswith("memory.hold"))
    write(tmp_path / "bad.verosim", meta, {**arrays, name: arrays[name][:-1]})
    with pytest.raises(vs.ModelFileError):
        vs.load(tmp_path / "bad.verosim")


def test_auto_takes_what_unseen_sequences_choose_and_says_why() -> None:
    learned = vs.fit(echoes(), settings={"epochs": 6})
    told = learned.explain()["table"]["state"]
    assert "remembers all steps before" in told
    assert "told from unseen ones with an AUC of" in told
    assert echoed(learned.sample()) > 0.85
    few = vs.fit(echoes(40))
    assert "too few for a network" in few.explain()["table"]["state"]


def test_pieces_count_each_step_of_short_sequences_once() -> None:
    new = np.zeros(3 * LONG, bool)
    new[[0, 10, LONG]] = True
    pieces = Pieces.of(new, new)
    counted = np.sort(pieces.rows[pieces.counted])
    assert np.array_equal(counted, np.arange(3 * LONG))
    assert pieces.counted[-1, :WARM].sum() == 0
