"""How fast are recipes? People beside Faker and mimesis, an expression, ten million rows to Parquet, a shop of tables.

    python benchmarks/recipes.py [--small]

Needs `faker` and `mimesis`. Rows a second of wall time and of processor time: on a machine with other work to do, the
second is the one to compare. Results go to results/recipes.json.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

import verosim as vs
from verosim import Recipe, expressions
from verosim.generating import generate_file
from verosim.recipe.nouns import BLOCK
from verosim.recipe.planning import RANDOM

HERE = Path(__file__).parent
NAMES = ["first_name", "last_name", "email", "address", "birth_date", "phone"]
PERSON = Recipe({"people": {"columns": {name: {"provider": name} for name in NAMES}}})
EXPRESSION = "greatest(300, least(850, 600 + age / 80 * 100 + income / 100000 * 100 + normal(0, 50)))"
BANK = Recipe({"t": {"columns": {"age": {"constant": 40.0}, "income": {"constant": 30_000.0}, "score": EXPRESSION}}})
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def timed(work: Callable[[], Any], rows: int) -> dict[str, float]:
    """Rows a second, of wall time and of processor time (of this process and of those it started)."""
    wall, cpu = time.perf_counter(), _cpu()
    work()
    wall, cpu = time.perf_counter() - wall, _cpu() - cpu
    return {"rows": rows, "wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "rows_per_wall_s": round(rows / wall),
            "rows_per_cpu_s": round(rows / cpu)}  # fmt: skip


def _cpu() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def faker_people(rows: int) -> None:
    from faker import Faker

    fake = Faker("en_US")
    for _ in range(rows):
        first, last = fake.first_name(), fake.last_name()
        (first, last, f"{first}.{last}@example.com", fake.address(), fake.date_of_birth(), fake.phone_number())


def mimesis_people(rows: int) -> None:
    from mimesis import Address, Datetime, Locale, Person

    person, address, when = Person(Locale.EN), Address(Locale.EN), Datetime(Locale.EN)
    for _ in range(rows):
        first, last = person.first_name(), person.last_name()
        place = f"{address.address()}, {address.city()}, {address.state()} {address.postal_code()}"
        (first, last, f"{first}.{last}@example.com", place, when.date(), person.phone_number())


def expression(rows: int) -> None:
    """The expression alone, its draw with it, over columns that are there."""
    run = BANK.run(rows, 1)
    frame = pl.DataFrame({"age": [40.0] * BLOCK, "income": [30_000.0] * BLOCK})
    compiled = expressions.compile(EXPRESSION, frame.schema, RANDOM)
    for number in range(rows // BLOCK):
        block = run.block("t", number)
        block._values.update({"age": frame["age"], "income": frame["income"]})
        block.evaluate(compiled, "score")


def to_parquet(rows: int) -> dict[str, Any]:
    """In a process of its own, for its peak of memory."""
    code = (
        "import sys; sys.path.insert(0, 'benchmarks'); import recipes, resource\n"
        f"recipes.generate_file(recipes.PERSON, sys.argv[1], {rows})\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    with tempfile.TemporaryDirectory() as folder:
        target, out = Path(folder, "people.parquet"), {}
        out.update(timed(lambda: out.setdefault("peak", _peak(code, target)), rows))
        return {**out, "peak_mb": out.pop("peak"), "file_mb": target.stat().st_size // 1_000_000}


def _peak(code: str, target: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=True, cwd=HERE.parent
    )
    return int(done.stdout) // 1000


def shop(rows: int) -> dict[str, Any]:
    """The five tables of examples/recipes/shop.yaml, all together about `rows`, to Parquet."""
    recipe = Recipe.load(HERE.parent / "examples" / "recipes" / "shop.yaml")
    trial = recipe.run(20_000, 1)
    customers = round(20_000 * rows / sum(trial.rows(name) for name in trial.plan))
    with tempfile.TemporaryDirectory() as folder:
        made: dict[str, Any] = {}
        spent = timed(
            lambda: made.update(generate_file(recipe, folder, customers, seed=1, format="parquet").rows), rows
        )
        return {**spent, "tables": made, "rows": sum(made.values())}


def main(small: bool) -> None:
    size = 1 if small else 10
    PERSON.sample(10_000)
    result: dict[str, Any] = {"cores": CORES, "verosim": vs.__version__, "polars": pl.__version__}
    result["load before"] = round(os.getloadavg()[0], 1)  # of what else runs on the machine: near 0 on a quiet one
    result["faker"] = timed(lambda: faker_people(2000), 2000)
    result["mimesis"] = timed(lambda: mimesis_people(20_000), 20_000)
    result["person"] = timed(lambda: PERSON.sample(200_000 * size, seed=1), 200_000 * size)
    result["person, all cores"] = timed(lambda: PERSON.sample(400_000 * size, seed=1, workers=CORES), 400_000 * size)
    for name in ("faker", "mimesis"):
        for what in ("wall", "cpu"):
            best = max(result[p][f"rows_per_{what}_s"] for p in ("person", "person, all cores"))
            result[f"times {name}, {what}"] = round(best / result[name][f"rows_per_{what}_s"])
    result["expression"] = timed(lambda: expression(25 * BLOCK * size), 25 * BLOCK * size)
    result["person to parquet"] = to_parquet(1_000_000 * size)
    result["shop to parquet"] = shop(1_000_000 * size)
    text = json.dumps(result, indent=2)
    print(text)
    if not small:
        (HERE / "results" / "recipes.json").write_text(text + "\n")


if __name__ == "__main__":
    main("--small" in sys.argv)
