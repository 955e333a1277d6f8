"""How good are related tables, and how long do they take? Written to results/relational-DATE.json and .md.

    python benchmarks/relational.py [clinic chinook northwind sakila made]

Every set is learned by the default, trees, but for a third of its families, by which C2ST-Agg judges (accuracy, .5
ideal); keys, children per parent (1 - KS) and trends over one and two keys (100 less their distance in %) are those of
whole sets.
Definitions: verosim/evaluation/relations.py.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

import verosim as vs
from verosim import files
from verosim.draws import stream
from verosim.evaluation import Family, relations
from verosim.evaluation.families import keys_of
from verosim.relational.graph import name_of
from verosim.synthesizer import split

HERE = Path(__file__).parent
DATA = next(p for p in (HERE.parents[0], HERE.parents[1]) if (p / "shared").is_dir()) / "shared" / "data" / "relational"
HELD = 0.3
LEAST = 100  # parents that a relation must have to be judged


def read(name: str) -> dict[str, pl.DataFrame]:
    return {path.stem: files.read(path).dataset[path.stem] for path in sorted((DATA / name).glob("*.csv"))}


def made(rows: int, depth: int = 5, wide: int = 4) -> dict[str, pl.DataFrame]:
    """depth * wide tables of `rows` rows in all: each but the first ones has a parent, and one of another line."""
    per = rows // (depth * wide)
    tables = {}
    for level in range(depth):
        for line in range(wide):
            rng = stream(1, "made", level, line)
            x = rng.normal(size=per)
            columns: dict[str, object] = {f"t{level}{line}_id": np.arange(per)}
            if level:
                parents = np.sort(rng.integers(0, per, per))
                columns[f"t{level - 1}{line}_id"] = parents
                x = x + tables[f"t{level - 1}{line}"]["x"].to_numpy()[parents]
                columns[f"t{level - 1}{(line + 1) % wide}_id"] = rng.integers(0, per, per)
            columns |= {"x": x.round(3), "kind": np.array(["a", "b", "c"])[np.digitize(x, [-0.5, 1.0])]}
            columns["n"] = rng.poisson(3, per)
            tables[f"t{level}{line}"] = pl.DataFrame(columns)
    return tables


def seconds(dataset: dict[str, pl.DataFrame]) -> tuple[float, float, vs.Synthesizer]:
    begin = time.process_time()
    synthesizer = vs.fit(dataset, seed=1)
    middle = time.process_time()
    synthesizer.sample()
    return middle - begin, time.process_time() - middle, synthesizer


def judge(dataset: dict[str, pl.DataFrame]) -> dict[str, object]:
    fit, sample, plain = seconds(dataset)
    synthesizer = vs.fit(dataset, seed=1, holdout=HELD)
    schema = synthesizer.schema_
    train, held = split(dataset, synthesizer.options, 1, schema)
    found = {
        m.label: m for m in relations.families(Family.of(train, held, synthesizer.sample(), schema, seed=1)).measures
    }
    detected = {
        name: {"accuracy": round(m.value, 3), "error": round(m.error, 3), "floor": round(m.floor, 3)}
        for name in dataset
        if (m := found.get(f"c2st_agg of {name}")) and None not in (m.value, m.error, m.floor)
    }
    whole = Family.of(dataset, {n: f.clear() for n, f in dataset.items()}, plain.sample(), schema, seed=1)
    large = {name for name in schema if dataset[name].height >= LEAST}
    cards = {m.of[0]: m.value for m in relations.cardinality(whole).measures if m.of and m.value is not None}
    trends = {m.name: m.value for m in relations.trends(whole).measures if not m.of and m.value is not None}
    return {
        "seconds": {"fit": round(fit, 1), "sample": round(sample, 1)},
        "broken keys": sum(relations.broken_keys(plain.sample(), schema).values()),
        "cardinality": {
            name_of(*key): round(cards[name_of(*key)], 3)
            for key in keys_of(schema)
            if key[1].parent in large and name_of(*key) in cards
        },
        "trends": {name: round(100 - value, 1) for name, value in trends.items()},
        "c2st-agg": detected,
        "families nearer to train": {
            label: {"value": round(m.value, 3), "floor": round(m.floor, 3)}
            for label, m in found.items()
            if "dcr" in label and m.value is not None and m.floor is not None
        },
    }


def main(names: list[str]) -> dict[str, object]:
    results: dict[str, object] = {}
    for name in names:
        if name == "made":
            fit, sample, _ = seconds(made(1_000_000))
            peak = int(
                next(s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("VmHWM")).split()[1]
            )
            results[name] = {"seconds": {"fit": round(fit, 1), "sample": round(sample, 1)}, "peak MB": peak // 1024}
        else:
            results[name] = judge(read(name))
        print(name, json.dumps(results[name], indent=1))
    return results


if __name__ == "__main__":
    found = main(sys.argv[1:] or ["clinic", "chinook", "northwind", "sakila", "made"])
    if not sys.argv[1:]:
        path = HERE / "results" / f"relational-{date.today()}.json"
        path.write_text(json.dumps(found, indent=1) + "\n")
