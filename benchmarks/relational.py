"""How good are related tables, and how long do they take? Written to results/relational-DATE.json and .md.

    python benchmarks/relational.py [clinic chinook northwind sakila made]

Every set is learned by `model="chain"`, but for a third of its families, by which C2ST-Agg judges (accuracy, .5
ideal); keys, children per parent (1 - KS) and trends over one and two keys (of 100) are those of whole sets.
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
from verosim.evaluation import relations
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
    synthesizer = vs.fit(dataset, model="chain", seed=1)
    middle = time.process_time()
    synthesizer.sample()
    return middle - begin, time.process_time() - middle, synthesizer


def judge(dataset: dict[str, pl.DataFrame]) -> dict[str, object]:
    fit, sample, plain = seconds(dataset)
    synthesizer = vs.fit(dataset, model="chain", seed=1, holdout=HELD)
    schema = synthesizer.schema_
    train, held = split(dataset, synthesizer.options, 1, schema)
    drawn = synthesizer.sample()
    rng = stream(1, "relational benchmark")
    detected = {}
    for name in dataset:
        if (
            any(key.parent == name for table in schema.values() for key in table.foreign_keys)
            and held[name].height >= 15
        ):
            real, new, seen = (
                _families(d, part, schema, name) for d, part in ((dataset, held), (drawn, drawn), (dataset, train))
            )
            found, floor = relations.detection(real, new, rng), relations.detection(real, seen, rng)
            detected[name] = {
                "accuracy": round(found.accuracy, 3),
                "error": round(found.error, 3),
                "floor": round(floor.accuracy, 3),
            }
    large = {str(name) for name, table in schema.items() if dataset[name].height >= LEAST}
    cards = {k: round(v, 3) for k, v in relations.cardinality(dataset, plain.sample(), schema).items()}
    trends = {hops: relations.trends(dataset, drawn, schema, hops) for hops in (1, 2)}
    return {
        "seconds": {"fit": round(fit, 1), "sample": round(sample, 1)},
        "broken keys": sum(relations.broken_keys(drawn, schema).values()),
        "cardinality": {k: v for k, v in cards.items() if k.split(" -> ")[1].split("(")[0] in large},
        "trends": {f"{hops} hop": round(100 * t, 1) for hops, t in trends.items() if t is not None},
        "c2st-agg": detected,
    }


def _families(dataset, part, schema, name):
    """The rows of a part of a table, with the children that they have in the whole."""
    frame = relations.with_children(dataset, schema, name)
    if dataset is part:
        return frame
    own = list(schema[name].primary_key)
    place = dataset[name].with_row_index("row").join(part[name].select(own), on=own, how="semi")["row"]
    return frame[place.to_numpy()]


def main(names: list[str]) -> None:
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
