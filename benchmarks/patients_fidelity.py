"""How near are patients' lives to those of another run of the same modules, such as one of Synthea itself?

    python benchmarks/patients_fidelity.py live MODULES OUT [--resources DIR] [--people FILE] [-n 1000] [--seed 7]
    python benchmarks/patients_fidelity.py compare OUT REFERENCE [--out FILE.json]

`live` writes CSV files and `states.csv`: how often each state of each module was entered. `compare` reads two folders
of Synthea's CSV files and says, with 95 % intervals, which conditions, visits, rows a patient and deaths are alike: the
difference is within sampling error (two standard errors), or within 10 % of the reference. Of forty differences between
two runs of one engine, two are expected beyond sampling error. Where both folders have a `states.csv` (columns module,
state, entered), the states that only one of them reached are told too. Give both runs the same people.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

COMMONEST = 40  # conditions that are compared
NEAR = 0.10  # of the reference
TABLES = (
    "encounters", "conditions", "observations", "procedures", "medications", "immunizations", "careplans", "allergies",
    "devices", "supplies", "imaging_studies",
)  # fmt: skip
AGES = (0, 20, 40, 60, 75, 90, 120)  # ends of the bands of age at death
EXPECTED = 5.0  # a state that was entered so often there, in as many lives as here, should be entered here


@dataclass(frozen=True)
class Measured:
    """One number here and in the reference, with the standard error of their difference."""

    what: str
    here: float
    reference: float
    error: float

    @property
    def verdict(self) -> str:
        gap = abs(self.here - self.reference)
        return "alike" if gap <= 2 * self.error else "near" if gap <= NEAR * self.reference else "differs"

    def row(self) -> dict[str, Any]:
        return {**{k: v if isinstance(v, str) else round(v, 4) for k, v in asdict(self).items()},
                "low": round(self.here - self.reference - 1.96 * self.error, 4),
                "high": round(self.here - self.reference + 1.96 * self.error, 4), "verdict": self.verdict}  # fmt: skip


class Run:
    """A folder of Synthea's CSV files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        dates = [pl.col(c).str.slice(0, 10).str.to_date(strict=False) for c in ("BIRTHDATE", "DEATHDATE")]
        self.patients = self.table("patients").select("Id", *dates)
        self.alive = self.patients.filter(pl.col("DEATHDATE").is_null()).select(PATIENT="Id")

    def table(self, name: str) -> pl.DataFrame:
        return pl.read_csv(self.folder / f"{name}.csv", infer_schema=False)

    def conditions(self) -> pl.DataFrame:
        """Columns code, display and n: so many of the living have the condition, commonest first."""
        rows = self.table("conditions").join(self.alive, on="PATIENT")
        counts = rows.group_by(code="CODE").agg(
            pl.col("DESCRIPTION").first().alias("display"), n=pl.n_unique("PATIENT")
        )
        return counts.sort("n", "code", descending=[True, False])

    def counts(self, rows: pl.DataFrame) -> np.ndarray:
        """How many of the rows (n,) each patient has, the dead included."""
        found = rows.group_by(Id="PATIENT").len()
        return self.patients.join(found, on="Id", how="left")["len"].fill_null(0).to_numpy()

    def deaths(self) -> np.ndarray:
        """Ages in years (k,) of those who died."""
        dead = self.patients.drop_nulls("DEATHDATE")
        return ((dead["DEATHDATE"] - dead["BIRTHDATE"]).dt.total_days() / 365.25).to_numpy()

    def states(self) -> dict[tuple[str, str], int] | None:
        path = self.folder / "states.csv"
        rows = pl.read_csv(path).select("module", "state", "entered").iter_rows() if path.is_file() else None
        return None if rows is None else {(module, state): entered for module, state, entered in rows}


def share(what: str, here: tuple[int, int], there: tuple[int, int]) -> Measured:
    """A share of patients, in percent: (those who have it, all)."""
    (a, n), (b, m) = here, there
    p, q = a / n, b / m
    both = (a + b) / (n + m)
    return Measured(what, 100 * p, 100 * q, 100 * float(np.sqrt(both * (1 - both) * (1 / n + 1 / m))))


def mean(what: str, here: np.ndarray, there: np.ndarray) -> Measured:
    """A mean over patients."""
    error = float(np.sqrt(here.var() / len(here) + there.var() / len(there)))
    return Measured(what, float(here.mean()), float(there.mean()), error)


def prevalences(here: Run, there: Run) -> Iterator[Measured]:
    counts = dict(here.conditions().select("code", "n").iter_rows())
    for code, display, n in there.conditions().head(COMMONEST).iter_rows():
        yield share(f"{code} {display}", (counts.get(code, 0), here.alive.height), (n, there.alive.height))


def volumes(here: Run, there: Run) -> Iterator[Measured]:
    """Rows a patient by table, and encounters a patient by class."""
    for name in TABLES:
        yield mean(name, here.counts(here.table(name)), there.counts(there.table(name)))
    mine, theirs = here.table("encounters"), there.table("encounters")
    kinds = theirs["ENCOUNTERCLASS"].value_counts(sort=True)["ENCOUNTERCLASS"]
    for kind in kinds:
        of_kind = pl.col("ENCOUNTERCLASS") == kind
        yield mean(f"encounters: {kind}", here.counts(mine.filter(of_kind)), there.counts(theirs.filter(of_kind)))


def deaths(here: Run, there: Run) -> Iterator[Measured]:
    """Lives that ended, in percent of all lives, by age at death."""
    mine, theirs = here.deaths(), there.deaths()
    n, m = here.patients.height, there.patients.height
    yield share("dead", (len(mine), n), (len(theirs), m))
    for low, high in pairwise(AGES):
        a, b = (int(((ages >= low) & (ages < high)).sum()) for ages in (mine, theirs))
        yield share(f"dead at {low} to {high}", (a, n), (b, m))


def coverage(here: Run, there: Run) -> dict[str, Any] | None:
    """Which states were reached, by module, and those that only one run reached too often for that to be chance."""
    mine, theirs = here.states(), there.states() or {}
    if mine is None:
        return None
    modules: dict[str, list[int]] = {}
    for module, state in mine:
        counts = modules.setdefault(module, [0, 0, 0])
        for i, n in enumerate((1, mine[module, state] > 0, theirs.get((module, state), 0) > 0)):
            counts[i] += n
    ratio = here.patients.height / there.patients.height
    total = [sum(counts[i] for counts in modules.values()) for i in range(3)]
    names = ("states", "here", "there")
    return {
        "states": total[0], "reached_here": total[1], "reached_there": total[2],
        "by_module": {module: dict(zip(names, counts, strict=True)) for module, counts in modules.items()},
        "only_there": _frequent(theirs, mine, ratio), "only_here": _frequent(mine, theirs, 1 / ratio) if theirs else [],
    }  # fmt: skip


def _frequent(of: Mapping[tuple[str, str], int], other: Mapping[tuple[str, str], int], ratio: float) -> list[str]:
    missed = [(n, key) for key, n in of.items() if n * ratio >= EXPECTED and not other.get(key)]
    return [f"{module}: {state} ({n})" for n, (module, state) in sorted(missed, reverse=True)]


def compared(here: Run, there: Run) -> dict[str, Any]:
    parts = {"conditions": prevalences, "rows": volumes, "deaths": deaths}
    found: dict[str, Any] = {name: [m.row() for m in part(here, there)] for name, part in parts.items()}
    lives = {"here": here.patients.height, "reference": there.patients.height}
    living = {"here": here.alive.height, "reference": there.alive.height}
    return {"lives": lives, "living": living, **found, "states": coverage(here, there)}


def told(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"lives {found['lives']}, living {found['living']}"
    for part in ("conditions", "rows", "deaths"):
        alike = sum(row["verdict"] != "differs" for row in found[part])
        yield f"\n{part}: {alike} of {len(found[part])} within sampling error or {NEAR:.0%}"
        for row in found[part]:
            mark = {"alike": " ", "near": "~", "differs": "!"}[row["verdict"]]
            gap = f"[{row['low']:+.2f}, {row['high']:+.2f}]"
            yield f"{mark} {row['here']:9.2f} {row['reference']:9.2f}  {gap:18}  {row['what'][:70]}"
    states = found["states"]
    if states is not None:
        yield "\n" + ", ".join(f"{k} {v}" for k, v in states.items() if isinstance(v, int))
        never = [name for name, counts in states["by_module"].items() if not counts["here"]]
        yield f"modules never entered here: {', '.join(never) or 'none'}"
        for side in ("only_there", "only_here"):
            yield from (f"{side}: {line}" for line in states[side])


def live(modules: Path, out: Path, resources: Path | None, people: Path | None, n: int, seed: int) -> None:
    """Live n patients and write their CSV files, and states.csv."""
    from verosim import Patients
    from verosim.patients.exports.writing import save
    from verosim.patients.life import Life
    from verosim.patients.life.roster import people_of
    from verosim.patients.population import instant

    given = None if people is None else people_of(people, n, seed)
    patients = Patients(modules, life=Life(resources, end=instant(2026, 6, 1), people=given))
    done = save(patients, out, n, seed=seed)
    rows = [(patients.library.modules[key].name, state, done.visits.get((key, state), 0))
            for key, module in patients.library.modules.items() for state in module.states]  # fmt: skip
    pl.DataFrame(rows, schema=["module", "state", "entered"], orient="row").write_csv(out / "states.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("live")
    for name in ("modules", "out"):
        run.add_argument(name, type=Path)
    for name in ("--resources", "--people"):
        run.add_argument(name, type=Path)
    run.add_argument("-n", type=int, default=1000)
    run.add_argument("--seed", type=int, default=7)
    compare = commands.add_parser("compare")
    for name in ("here", "reference"):
        compare.add_argument(name, type=Path)
    compare.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.command == "live":
        live(given.modules, given.out, given.resources, given.people, given.n, given.seed)
        return
    found = compared(Run(given.here), Run(given.reference))
    print("\n".join(told(found)))
    if given.out:
        given.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
