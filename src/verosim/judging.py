"""Judge synthetic data made by any tool: two data sets, and best a third that its maker never saw.

print(evaluate("adult.csv", "adult.synthetic.csv", "adult.unseen.csv", target="income").summary())
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from verosim.errors import ArgumentError, DataError, did_you_mean
from verosim.evaluation import FULL, FULL_BETWEEN, Case, Family, Report, measure, measure_between
from verosim.evaluation.matching import Tables, same_columns, same_tables, same_types
from verosim.infer import infer
from verosim.models import Progress, silent, stage
from verosim.run import SEED, briefed, open_data
from verosim.schema import Schema
from verosim.table_model import whole


def evaluate(
    real: Any,
    synthetic: Any,
    holdout: Any = None,
    *,
    target: str | None = None,
    keys: Sequence[str] = (),
    schema: Schema | str | Path | None = None,
    seed: int = SEED,
    progress: Progress = silent,
) -> Report:
    """How good, useful and private synthetic data are: frames, files, or {"name": frame}, made by any tool.

    real: what the synthetic data were made from. holdout: real rows that their maker never saw; without them no verdict
    on copying can be had. target: the column that will be predicted; by default a guess. keys: quasi-identifiers, what
    an attacker may know of a person. Raises DataError where the data differ in tables, columns or types, and says how.
    """
    whole("seed", seed, 0)
    progress(0.0, "looking at the columns")
    opened, given = briefed(open_data(real), schema)
    dataset = opened.dataset
    parts = {"synthetic": same_tables(dataset, open_data(synthetic).dataset, "synthetic")}
    if holdout is not None:
        parts["hold-out"] = same_tables(dataset, open_data(holdout).dataset, "hold-out")
    found = infer(dataset, given)
    _check_asked(dataset, target, keys)
    tables, notes = {}, []
    sides: dict[str, dict[str, pl.DataFrame]] = {"real": {}, "hold-out": {}, "synthetic": {}}
    for number, (name, frame) in enumerate(dataset.items()):
        frames = {"real": frame}
        for role, others in parts.items():
            frames[role], said = same_columns(frame, others[name], found[name], role)
            notes += said
        frames = {"hold-out": frame.clear(), **same_types(frames, found[name])}
        for role, side in sides.items():
            side[name] = frames[role]
        own_keys = tuple(key for key in keys if key in frame.columns)
        case = Case.of(
            frames["real"], frames["hold-out"], frames["synthetic"], found[name],
            target=target if target in frame.columns else None, keys=own_keys, seed=seed,
        )  # fmt: skip
        part = stage(progress, (number + 0.05) / (len(dataset) + 1), (number + 1) / (len(dataset) + 1))
        tables[name] = measure(case, FULL, part)
    if not any(table.foreign_keys for table in found.values()):
        return Report(tables, notes=tuple(notes))
    family = Family.of(sides["real"], sides["hold-out"], sides["synthetic"], found, seed=seed)
    between = measure_between(family, FULL_BETWEEN, stage(progress, len(dataset) / (len(dataset) + 1), 1.0))
    return Report(tables, between.measures, (*notes, *between.notes), between.details)


def _check_asked(dataset: Tables, target: str | None, keys: Sequence[str]) -> None:
    """Every column that was named is in a table."""
    if isinstance(keys, str):
        raise ArgumentError(f"keys: a list of columns was wanted, such as [{keys!r}].")
    names = list(dict.fromkeys(name for frame in dataset.values() for name in frame.columns))
    for what, name in [*((("target", target),) if target is not None else ()), *(("keys", key) for key in keys)]:
        if name not in names:
            raise ArgumentError(f"{what}: no column {name!r}; {did_you_mean(name, names)}")
    if target in keys:
        raise ArgumentError(f"{target!r} is the target, and so cannot be among the keys.")
    for name, frame in dataset.items():
        if not frame.width:
            raise DataError("no columns.", table=name)
