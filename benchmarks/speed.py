"""How much time and memory does the work take? Each case runs in a process of its own.

    python benchmarks/speed.py [--cases adult import] [--out FILE.json]

CPU seconds are user and system time of the process and its children; memory is the peak of the largest process. Only
the public interface is used. All data but Adult, which comes with the project, is made here, the same each time.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spent import Spent, machine, spent

ADULT = Path(__file__).resolve().parents[1] / "examples" / "data" / "adult.parquet"
N = 1_000_000


@dataclass(frozen=True, slots=True)
class Case:
    what: str
    run: Callable[[Path], Spent]  # given an empty folder
    max_cpu_s: float | None = None
    max_mb: float | None = None
    rows: int | None = None  # that many are made: CPU seconds are also told as rows per second

    def bar(self) -> str:
        parts = []
        if self.max_cpu_s:
            fast = f"at least {self.rows / self.max_cpu_s:,.0f} rows/s" if self.rows else ""
            parts.append(fast or f"at most {self.max_cpu_s:g} s")
        if self.max_mb:
            parts.append(f"under {self.max_mb:,.0f} MB")
        return ", ".join(parts)

    def result(self, cost: Spent) -> dict[str, Any]:
        late = self.max_cpu_s is not None and cost.cpu_s > self.max_cpu_s
        large = self.max_mb is not None and cost.peak_mb > self.max_mb
        spent_on_it = {"cpu_s": round(cost.cpu_s, 2), "wall_s": round(cost.wall_s, 2), "peak_mb": round(cost.peak_mb)}
        rows = self.rows
        per_second = {f"rows_per_{of}": round(rows / spent_on_it[of]) for of in ("cpu_s", "wall_s")} if rows else {}
        return {"what": self.what, "bar": self.bar(), **spent_on_it, **per_second, "met": not (late or large)}


def python(code: str, *arguments: str | Path) -> Spent:
    """The cost of Python code that finds its arguments in `a`."""
    return spent(sys.executable, "-c", f"import sys; a = sys.argv[1:]\n{code}", *arguments)


def fit(model: str = "auto") -> str:
    """Code that learns the file a[0]."""
    return f"import verosim as vs; s = vs.fit(a[0], seed=0, model={model!r})"


def importing(folder: Path) -> Spent:
    python("import verosim")  # so that the files are in memory
    return python("import verosim")


def adult(folder: Path, model: str = "auto") -> Spent:
    return python(f"{fit(model)}; s.sample(32561)", ADULT)


def million(folder: Path, engine: str = "auto") -> Spent:
    model, new = folder / "adult.verosim", folder / "new.parquet"
    python(f"{fit(engine)}; s.save(a[1])", ADULT, model)
    options = ["--rows", str(N), "--out", str(new), "--quiet"]
    return spent(sys.executable, "-c", "from verosim.cli import main; main()", "sample", model, *options)


def long(folder: Path, model: str = "auto") -> Spent:
    return python(fit(model), mixed(folder, rows=N, columns=20))


def wide(folder: Path) -> Spent:
    return python(f"{fit()}; s.sample(5000)", mixed(folder, rows=5000, columns=1000))


def levels(folder: Path) -> Spent:
    """City, about 100,000 of them with a long tail, and two columns that go with it."""
    import numpy as np
    import polars as pl

    rng = np.random.Generator(np.random.Philox(1))
    city = np.concatenate([np.arange(100_000), (100_000 * rng.random(N - 100_000) ** 3).astype(np.int64)])
    pl.DataFrame(
        {
            "city": pl.Series(city).cast(pl.String).str.zfill(6).str.replace("^", "city "),
            "height": (city % 97) + rng.normal(size=N),
            "coast": pl.Series(city % 3 == 0).cast(pl.String),
        }
    ).write_parquet(folder / "levels.parquet")
    return python(f"{fit('chain')}; s.sample(int(a[1]))", folder / "levels.parquet", str(N))


def mixed(folder: Path, rows: int, columns: int) -> Path:
    """Numbers, counts and categories in turn, held together by five hidden factors; some values are missing."""
    import numpy as np
    import polars as pl

    rng = np.random.Generator(np.random.Philox(0))
    factors = rng.normal(size=(rows, 5))
    data = {}
    for i in range(columns):
        x = factors @ rng.normal(size=5) / 2 + rng.normal(size=rows)
        kinds = (x.round(3), np.floor(np.exp(x / 2)).astype(np.int64), pl.Series(np.floor(x + 8).astype(np.int64)))
        values = pl.Series(f"c{i}", kinds[i % 3])
        values = values.cast(pl.String).str.replace("^", "level ") if i % 3 == 2 else values
        data[f"c{i}"] = values.set(pl.Series(rng.random(rows) < 0.02), None) if i % 4 == 0 else values
    path = folder / f"{rows}x{columns}.parquet"
    pl.DataFrame(data).write_parquet(path)
    return path


CASES = {
    "import": Case("`import verosim`", importing, max_cpu_s=0.5),
    "adult": Case("Adult, 32,561 x 15: fit and sample as many", adult, max_cpu_s=60),
    "adult-chain": Case("the same, `chain`", lambda f: adult(f, "chain"), max_cpu_s=10, max_mb=700),
    "million": Case("sample 1,000,000 Adult rows to Parquet", million, rows=N),
    "million-network": Case("the same, `network`", lambda f: million(f, "network"), max_cpu_s=25, rows=N),
    "million-chain": Case("the same, `chain`", lambda f: million(f, "chain"), max_cpu_s=10, max_mb=1000, rows=N),
    "long": Case("fit 1,000,000 x 20", long),
    "long-chain": Case("the same, `chain`", lambda f: long(f, "chain"), max_cpu_s=120),
    "wide": Case("5,000 x 1,000 columns: fit and sample as many", wide, max_cpu_s=180),
    "levels": Case("100,000 levels in 1,000,000 rows, `chain`: fit and sample as many", levels, max_mb=2000),
}


def measure(names: list[str]) -> dict[str, dict[str, Any]]:
    """Case -> its result; a case that fails says how."""
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        case = CASES[name]
        with tempfile.TemporaryDirectory() as folder:
            try:
                results[name] = case.result(case.run(Path(folder)))
            except RuntimeError as error:
                results[name] = {"what": case.what, "bar": case.bar(), "met": False, "error": str(error)}
        print(json.dumps(results[name]), flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    results = measure(given.cases)
    if given.out:
        given.out.write_text(json.dumps({"machine": machine(), "speed": results}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
