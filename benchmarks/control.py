"""What does control cost, and how good is what it gives? Conditions on 1 % of rows, balance, parity, imputation.

python -m benchmarks.control                 # about ten minutes; writes results/control-DATE.json and .md
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

import verosim as vs
from verosim.control.conditions import parse

DATA = Path(__file__).parents[2] / "shared" / "benchmark" / "data"
RESULTS = Path(__file__).parent / "results"
CONDITIONS: list[Any] = [
    {"education": "Doctorate"},
    {"income": ">50K", "age": (60, 80)},
    {"capital.gain": (10_000, None)},
    {"native.country": "Mexico"},
    "income = '>50K' and \"hours.per.week\" < 35",
]


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, and what came of it."""
    start = time.process_time()
    out = work()
    return time.process_time() - start, out


def detected(real: pl.DataFrame, drawn: pl.DataFrame, seeds: int = 3) -> float:
    """How well gradient boosting tells unseen real rows from as many drawn ones: AUC, five folds, .5 is not at all."""
    n, found = min(len(real), len(drawn)), []
    for seed in range(seeds):
        both = pl.concat([real.sample(n, seed=seed), drawn.sample(n, seed=seed)])
        numbers = [c.rank("dense").fill_null(0) if c.dtype == pl.String else c for c in both.get_columns()]
        x, y, odds = (
            np.stack([c.cast(pl.Float64).to_numpy() for c in numbers], 1),
            np.repeat([0, 1], n),
            np.zeros(2 * n),
        )
        for train, test in StratifiedKFold(5, shuffle=True, random_state=seed).split(x, y):
            trees = HistGradientBoostingClassifier(max_iter=60, min_samples_leaf=10, random_state=seed)
            odds[test] = trees.fit(x[train], y[train]).predict_proba(x[test])[:, 1]
        found.append(roc_auc_score(y, odds))
    return float(np.mean(found))


def conditions(model: str) -> list[dict[str, Any]]:
    """For each condition: its share, times beside those of rows without one, and what a detector sees."""
    train, test = (pl.read_csv(DATA / f"adult_{part}.csv") for part in ("train", "test"))
    synthesizer = vs.fit(train, seed=0, model=model)
    plain = {n: spent(lambda n=n: synthesizer.sample(n, seed=1))[0] for n in (10_000, 100_000)}
    pool, _ = spent(lambda: synthesizer.sample(5, where={"sex": "Male"}))  # draws the pool, which all conditions share
    many = synthesizer.sample(200_000, seed=3)
    out = []
    for where in CONDITIONS:
        condition = parse(where, synthesizer.schema_["table"])
        unseen = test.filter(pl.Series(condition.mask(test)))
        first, _ = spent(lambda where=where: synthesizer.sample(10_000, where=where))
        again = {n: spent(lambda n=n, where=where: synthesizer.sample(n, where=where, seed=2)) for n in plain}
        drawn = again[10_000][1]
        assert condition.mask(drawn).all()
        out.append(
            {
                "where": condition.text,
                "share": float(condition.mask(train).mean()),
                "unseen_rows": len(unseen),
                "auc": detected(unseen, drawn),
                "auc_engine": detected(unseen, many.filter(pl.Series(condition.mask(many)))),
                "auc_train": detected(unseen, train.filter(pl.Series(condition.mask(train)))),
                "first_10k": first / plain[10_000],
                "first_100k": (first + again[100_000][0]) / plain[100_000],
                "again_10k": again[10_000][0] / plain[10_000],
                "again_100k": again[100_000][0] / plain[100_000],
            }
        )
        print(out[-1], flush=True)
    return [{"plain_cpu_s": plain, "pool_cpu_s": pool}, *out]


def balanced(model: str) -> dict[str, Any]:
    """Shoppers' buyers and Adult's rich brought to the size of the others: learned from that, tested on real rows."""
    out = {}
    for name, target in (("shoppers", "Revenue"), ("adult", "income")):
        done = vs.augment(pl.read_csv(DATA / f"{name}_train.csv"), target, options=vs.Options(model=model), splits=3)
        out[name] = [gain.to_dict() for gain in done.gains]
        print(done.summary(), flush=True)
    return out


def parity(model: str) -> dict[str, float]:
    """Adult's income made independent of sex and race: the largest difference between groups, and what it costs."""
    synthesizer = vs.fit(pl.read_csv(DATA / "adult_train.csv"), seed=0, model=model)
    seconds, _ = spent(lambda: synthesizer.sample(30_000, fair={"income": ["sex", "race"]}))
    print(synthesizer.effects, flush=True)
    return {"cpu_s": seconds, "effect": synthesizer.effects[0]}  # type: ignore[dict-item]


def table(found: list[dict[str, Any]]) -> str:
    """The conditions as a table in Markdown."""
    head = "| where | share | unseen rows | auc (bar .56) | engine's rows | real train rows | again, 10k | 100k "
    lines = [head + "| first, 10k | 100k |\n", "|---|---|---|---|---|---|---|---|---|---|\n"]
    for row in found[1:]:
        cells = [f"`{row['where']}`", f"{row['share']:.2%}", str(row["unseen_rows"]), f"{row['auc']:.3f}"]
        cells += [f"{row['auc_engine']:.3f}", f"{row['auc_train']:.3f}"]
        cells += [f"{row[part]:.1f}" for part in ("again_10k", "again_100k", "first_10k", "first_100k")]
        lines.append(f"| {' | '.join(cells)} |\n")
    return "".join(lines)


def main(model: str = "chain") -> None:
    found = {"model": model, "conditions": conditions(model), "balanced": balanced(model), "parity": parity(model)}
    stem = RESULTS / f"control-{date.today().isoformat()}"
    stem.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    stem.with_suffix(".md").write_text(
        f"Engine {model}. Times are multiples of unconditioned rows' CPU time.\n\n" + table(found["conditions"])
    )  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
