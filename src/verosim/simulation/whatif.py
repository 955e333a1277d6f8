"""And if? The same customers under other settings, side by side: common random numbers make differences sharp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import polars as pl

from verosim.draws import stream
from verosim.errors import ArgumentError
from verosim.simulation import indicators

if TYPE_CHECKING:
    from verosim.simulation import Scenario


def replication_seed(seed: int, number: int) -> int:
    """The seed of a replication: the first is the run itself."""
    return seed if number == 0 else int(stream(seed, "replication", number).integers(2**62))


def sweep(
    scenario: Scenario, values: Mapping[str, Sequence[Any]], cases: int | None = None, *,
    seed: int = 0, replications: int = 10, engine: str = "auto",
) -> pl.DataFrame:  # fmt: skip
    """Run a scenario under all combinations of settings: {"tellers.servers": [3, 4, 5]}.

    -> a row for each combination, station and indicator: its value with a 95 % interval over the replications, and its
    difference from the first combination, with the interval of the differences: replication for replication the same
    cases come with the same needs. Raises ArgumentError.
    """
    if replications < 2:
        raise ArgumentError(f"replications: 2 or more were wanted, for an interval, not {replications}.")
    if not scenario.model.file.stations:
        raise ArgumentError("a sweep compares what is measured at stations: this scenario has none.")
    if not values or not all(len(v) for v in values.values()):
        raise ArgumentError("values: settings with the values to try were wanted, such as {'tellers.servers': [3, 4]}.")
    seeds = [replication_seed(seed, r) for r in range(replications)]
    parts, base = [], None
    for setting in product(*values.values()):
        chosen = dict(zip(values, setting, strict=True))
        changed = scenario.having(chosen)
        runs = [changed.run(cases, own, engine).measured() for own in seeds]
        base = base or runs
        parts.append(
            _beside(indicators.table(runs), runs, base).select(
                *(pl.lit(v).alias(k) for k, v in chosen.items()), pl.all()
            )
        )
    return pl.concat(parts, how="vertical_relaxed")


def _beside(table: pl.DataFrame, runs: list[Any], base: list[Any]) -> pl.DataFrame:
    """The table with the differences from the first combination."""
    keys = [k for k in runs[0] if k in base[0]]
    apart = [{k: mine[k] - first[k] for k in keys} for mine, first in zip(runs, base, strict=True)]
    difference = indicators.intervals(apart).rename(
        {"value": "difference", "low": "difference_low", "high": "difference_high"}
    )
    return table.join(difference, on=["station", "indicator"], how="left", maintain_order="left")
