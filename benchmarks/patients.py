"""How many patients a CPU second, how much memory, and how near to the reference are lives by a library of modules?

    python benchmarks/patients.py [MODULES] [--plain] [--resources DIR] [-n 10000] [--reference FILE] [--out FILE.json]

CPU seconds are of this process, with CSV files written; reading the modules, and numba's compiling or loading, count
apart (a run of three patients before). Without MODULES our own are lived; --plain: without numba. Also told: how
many states were entered, and, beside the reference, the share of the living who have each of its commonest conditions.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from verosim import Patients
from verosim.patients.exports.writing import save

CONDITIONS = 40  # so many of the commonest are compared
LINE = re.compile(r"^(\d{6,}) (.*) (\d+) ([\d.]+)$")  # of the statistics: code, display, patients, percent


def measured(
    modules: Path | None, resources: Path | None, n: int, seed: int, reference: Path | None, compiled: bool
) -> dict[str, Any]:
    began = time.process_time()
    patients = Patients(modules, resources=resources, compiled=compiled)
    for _ in patients.blocks(3, seed):
        pass
    started = time.process_time() - began
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        done = save(patients, folder, n, seed=seed)
        lived = time.process_time() - began
        out = Path(folder)
        size = sum(path.stat().st_size for path in out.glob("*.csv"))
        shares = [] if reference is None else compared(out, reference)
    entered = sum(count > 0 for count in done.visits.values())
    return {
        "modules": "own" if modules is None else modules.name, "numba": compiled,
        "patients": done.patients, "lived": done.patients + done.dead, "start_cpu_s": round(started, 2),
        "cpu_s": round(lived, 1), "patients_per_cpu_s": round(n / lived, 1), "csv_mb": round(size / 2**20, 1),
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "states": len(patients.plan.states), "states_entered": entered,
        "rows_per_patient": {k: round(v / max(done.patients + done.dead, 1), 2) for k, v in done.rows.items()},
        "prevalence": shares,
    }  # fmt: skip


def compared(out: Path, reference: Path) -> list[dict[str, Any]]:
    """The commonest conditions of the reference: percent of the living there, and here."""
    people = pl.scan_csv(out / "patients.csv", infer_schema=False)
    alive = people.filter(pl.col("DEATHDATE").is_null() | (pl.col("DEATHDATE") == "")).select(PATIENT="Id").collect()
    found = pl.scan_csv(out / "conditions.csv", infer_schema=False).select("PATIENT", "CODE").unique().collect()
    counts = dict(found.join(alive, on="PATIENT").group_by("CODE").len().iter_rows())
    lines = [m for m in map(LINE.match, reference.read_text(encoding="utf-8").splitlines()) if m][:CONDITIONS]
    return [
        {"code": m[1], "display": m[2], "reference": float(m[4]),
         "here": round(100 * counts.get(m[1], 0) / max(alive.height, 1), 1)} for m in lines
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", type=Path, nargs="?")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--resources", type=Path)
    parser.add_argument("-n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = measured(given.modules, given.resources, given.n, given.seed, given.reference, not given.plain)
    text = json.dumps(found, indent=2)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
