"""How good is what `fit` and `sample` make with default settings? Scored by the shared benchmark's own functions.

    python benchmarks/quality.py [--data FOLDER] [--sets adult magic] [--seeds 3] [--out FILE.json]

FOLDER holds NAME_train.csv, NAME_test.csv and NAME.json; score.py lies in the folder above it. Every fit runs in a
process of its own. Prints a line a fit and writes all as JSON. Needs pandas, scikit-learn and xgboost.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from spent import cpu_seconds, machine, spent

DATA = Path(__file__).resolve().parents[2] / "shared" / "benchmark" / "data"
SETS = ("adult", "magic", "shoppers", "beijing")
LIBRARIES = ("pandas", "sklearn", "xgboost")

# measure -> set -> the bar; a value at most that high is good, but for c2st and mle, where it is at least that high
BARS: dict[str, dict[str, float]] = {
    "c2st": dict.fromkeys(SETS, 0.95),
    "auc_unseen": dict.fromkeys(SETS, 0.53),
    "dcr": dict.fromkeys(SETS, 0.525),
    "dcr002": dict.fromkeys(SETS, 2.5),
    "copies": {"adult": 0.15, "magic": 1.5, "shoppers": 1.1, "beijing": 0.02},
    "trend": {"adult": 1.4, "magic": 0.9, "shoppers": 1.7, "beijing": 1.8},
    "mle_gap": {"adult": 0.006, "magic": 0.006, "shoppers": 0.006, "beijing": 0.04},
}
HIGHER_IS_BETTER = {"c2st"}


def reason_to_skip(data: Path) -> str | None:
    """Why nothing can be scored here; None where all is at hand."""
    if not (data.parent / "score.py").exists():
        return f"{data.parent / 'score.py'} is not here"
    lacking = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    return f"{', '.join(lacking)} not installed" if lacking else None


def measure(data: Path, sets: list[str], n_seeds: int) -> dict[str, list[dict[str, Any]]]:
    """Set -> one result a seed."""
    score = _score_module(data.parent / "score.py")
    results: dict[str, list[dict[str, Any]]] = {}
    for name in sets:
        if not (data / f"{name}_train.csv").exists():
            print(f"{name}: skipped, {data / f'{name}_train.csv'} is not here", flush=True)
            continue
        scored = [_one(score, data, name, seed) for seed in range(n_seeds)]
        results[name] = [result for result in scored if result]
    return {name: scored for name, scored in results.items() if scored}


def _one(score: ModuleType, data: Path, name: str, seed: int) -> dict[str, Any] | None:
    """The scores and the cost of one fit; None where it failed, which is printed."""
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder) / "new.csv"
        try:
            cost = spent(sys.executable, __file__, "--fit", data / f"{name}_train.csv", new, str(seed))
        except RuntimeError as error:
            print(f"{name}, seed {seed}: {error}", flush=True)
            return None
        result = score.score(str(data), name, str(new))
    regression = json.loads((data / f"{name}.json").read_text(encoding="utf-8"))["task"] == "regression"
    gap = result["mle"] - result["mle_real"] if regression else result["mle_real"] - result["mle"]
    times = json.loads(cost.output.splitlines()[-1])
    result |= {"seed": seed, "mle_gap": round(gap, 4), **times, "peak_mb": round(cost.peak_mb)}
    print(json.dumps(result), flush=True)
    return result


def _score_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("score", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def means(results: list[dict[str, Any]]) -> dict[str, float]:
    """The mean over seeds of every number."""
    numbers = [k for k, v in results[0].items() if isinstance(v, int | float) and k not in ("seed", "rows")]
    return {k: statistics.fmean(r[k] for r in results) for k in numbers}


def meets(measure: str, value: float, bar: float) -> bool:
    return value >= bar if measure in HIGHER_IS_BETTER else value <= bar


def fit_and_sample(train: str, new: str, seed: str) -> None:
    """The work of one process; prints its CPU seconds as JSON."""
    import verosim as vs

    start = cpu_seconds()
    synthesizer = vs.fit(train, seed=int(seed))
    fitted = cpu_seconds()
    with open(train, "rb") as lines:
        frame = synthesizer.sample(sum(1 for _ in lines) - 1)
    sampled = cpu_seconds()
    frame.write_csv(new)
    print(json.dumps({"fit_cpu_s": round(fitted - start, 2), "sample_cpu_s": round(sampled - fitted, 2)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if reason := reason_to_skip(given.data):
        print(f"quality: skipped, {reason}")
        return
    results = measure(given.data, given.sets, given.seeds)
    if given.out:
        given.out.write_text(json.dumps({"machine": machine(), "quality": results}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--fit"]:
        fit_and_sample(*sys.argv[2:])
    else:
        main()
