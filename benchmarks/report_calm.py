"""How often does the report cry wolf? Real rows stand in for synthetic ones, so that every alarm is a false one.

    python benchmarks/report_calm.py [--runs 100] [--rows 6000] [--parts fidelity marginals] [--out FILE.json]

Each run splits Adult at random into train, hold-out (half as many) and "synthetic" rows, and takes the whole report of
them. The bar: at least 95 of 100 runs have no alarm in any measure of the table or of a column.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import polars as pl

from verosim import schema
from verosim.evaluation import FULL, Case, TableReport, measure
from verosim.evaluation.case import Part
from verosim.infer import infer

ADULT = Path(__file__).resolve().parents[1] / "examples" / "data" / "adult.parquet"
KEYS = ("age", "sex", "race", "marital_status")


def alarms(report: TableReport) -> list[str]:
    """The measures that say that something is wrong."""
    return [m.label for m in report.measures if m.grade in ("near", "far")]


def run(
    frame: pl.DataFrame, table: schema.Table, parts: Mapping[str, tuple[float, Part]], rows: int, seed: int
) -> list[str]:
    """The alarms of one random split."""
    order = np.random.default_rng([3, seed]).permutation(len(frame))
    train, new, holdout = (
        frame[order[a:b]] for a, b in ((0, rows), (rows, 2 * rows), (2 * rows, 2 * rows + rows // 2))
    )
    case = Case.of(train, holdout, new, table, target="income", keys=KEYS, seed=seed)
    return alarms(measure(case, parts))


def study(parts: Mapping[str, tuple[float, Part]], runs: int, rows: int) -> dict[str, Any]:
    """How many runs were calm, and which measures were not."""
    frame = pl.read_parquet(ADULT)
    table = infer({"adult": frame})["adult"]
    begin, found = process_time(), []
    for seed in range(runs):
        found.append(run(frame, table, parts, rows, seed))
        print(f"{seed + 1:4} {', '.join(found[-1]) or 'calm'}", flush=True)
    return {
        "runs": runs,
        "rows": {"train": rows, "holdout": rows // 2, "synthetic": rows},
        "parts": list(parts),
        "calm": sum(not names for names in found),
        "alarms": dict(Counter(name for names in found for name in names)),
        "cpu_s_a_run": round((process_time() - begin) / runs, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--rows", type=int, default=6000, help="of train; as many stand in for synthetic ones")
    parser.add_argument("--parts", nargs="+", choices=list(FULL), default=list(FULL))
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found = study({name: FULL[name] for name in asked.parts}, asked.runs, asked.rows)
    print(json.dumps(found, indent=2))
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
