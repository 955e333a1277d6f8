"""The user's own files: a folder as Synthea lays it out, of which any file may be missing.

What stands there is used in place of our own values: `biometrics.yml`, `htn_drugs.csv`, `geography/demographics.csv`,
`immunization_schedule.json`, `gbd_disability_weights.csv`, `costs/*.csv`, `payers/*.csv`, `providers/*.csv`, ...
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import yaml

from verosim.errors import FileError
from verosim.normal import normal_quantile
from verosim.patients.life.growth import Growing, bmi_percentile
from verosim.patients.life.vitals import Ranges


@dataclass(frozen=True, slots=True)
class Resources:
    """A folder, or none: every reader answers None where the file is not there."""

    folder: Path | None = None

    def path(self, name: str) -> Path | None:
        found = None if self.folder is None else self.folder / name
        return found if found is not None and found.is_file() else None

    def table(self, name: str, columns: Iterable[str] = ()) -> pl.DataFrame | None:
        """A CSV file, every column as text, a byte order mark ignored; FileError where one of `columns` is missing."""
        path = self.path(name)
        if path is None:
            return None
        try:
            rows = pl.read_csv(path, infer_schema=False, encoding="utf8-lossy", truncate_ragged_lines=True)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise FileError(f"{path}: not a CSV file that can be read ({error}).") from error
        rows = rows.rename({c: c.lstrip("\ufeff").strip() for c in rows.columns})
        missing = [c for c in columns if c not in rows.columns]
        if missing:
            raise FileError(f"{path}: no column {', '.join(missing)}; it has {', '.join(rows.columns)}.")
        return rows

    def mapping(self, name: str) -> Mapping[str, Any] | None:
        """A JSON or YAML file whose top is a mapping."""
        path = self.path(name)
        if path is None:
            return None
        try:
            text = path.read_text(encoding="utf-8-sig")
            found = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        except (ValueError, yaml.YAMLError) as error:
            raise FileError(f"{path}: {' '.join(str(error).split())}") from error
        if not isinstance(found, dict):
            raise FileError(f"{path}: a mapping is wanted at the top, and there is a {type(found).__name__}.")
        return found


_RANGES: Final = {  # field of Ranges: where biometrics.yml has it, as many numbers as the field has
    "systolic": "metabolic.blood_pressure.normal.systolic",
    "diastolic": "metabolic.blood_pressure.normal.diastolic",
    "systolic_high": "metabolic.blood_pressure.hypertensive.systolic",
    "diastolic_high": "metabolic.blood_pressure.hypertensive.diastolic",
    "heart_rate": "cardiovascular.heart_rate.normal",
    "respiration": "respiratory.respiration_rate.normal",
    "oxygen": "cardiovascular.oxygen_saturation.normal",
    "oxygen_low": "cardiovascular.oxygen_saturation.hypoxemia",
    "cholesterol": "metabolic.lipid_panel.cholesterol",
    "triglycerides": "metabolic.lipid_panel.triglycerides",
    "hdl": "metabolic.lipid_panel.hdl",
    "glucose": "metabolic.basic_panel.glucose",
    "urea_nitrogen": "metabolic.basic_panel.normal.urea_nitrogen",
    "carbon_dioxide": "metabolic.basic_panel.normal.carbon_dioxide",
    "chloride": "metabolic.basic_panel.normal.chloride",
    "potassium": "metabolic.basic_panel.normal.potassium",
    "sodium": "metabolic.basic_panel.normal.sodium",
    "calcium": "metabolic.basic_panel.normal.calcium",
}


def ranges(resources: Resources) -> Ranges:
    """The ranges of vital signs: `biometrics.yml` over our own."""
    given = resources.mapping("biometrics.yml") or {}
    found = {field: _numbers(given, place) for field, place in _RANGES.items()}
    found["systolic_severe"] = found["systolic_high"][1:]  # one ladder: high, severe
    sizes = {f.name: len(f.default) for f in fields(Ranges) if isinstance(f.default, tuple)}
    return replace(Ranges(), **{k: tuple(v[: sizes[k]]) for k, v in found.items() if len(v) >= sizes[k]})  # type: ignore[arg-type]


def growing(resources: Resources) -> Growing:
    """How bodies change: `biometrics.yml` and `bmi_correlations.json` over our own."""
    given = resources.mapping("biometrics.yml") or {}
    own = Growing()
    gain, loss = (_numbers(given, f"lifecycle.{name}") for name in ("adult_weight_gain", "geriatric_weight_loss"))
    own = replace(own, gain=(gain[0], gain[1])) if len(gain) == 2 else own
    own = replace(own, loss=(loss[0], loss[1])) if len(loss) == 2 else own
    years = resources.mapping("bmi_correlations.json")
    if years is None:
        return own
    rows = [years.get(str(age), {}) for age in range(3, 21)]
    ties = tuple(float(row.get("correlation", own.ties[0])) for row in rows)
    own = replace(own, ties=ties, drift=tuple(float(row.get("diff", 0)) for row in rows))
    toddlers = resources.table("nhanes_two_year_olds_bmi.csv", ("sex", "agem", "bmi", "prob"))
    heavier, spread = (0.0, 1.0) if toddlers is None else toddlers_z(toddlers)
    return replace(own, heavier=heavier, spread=spread)


def toddlers_z(rows: pl.DataFrame) -> tuple[float, float]:
    """Mean and standard deviation of the BMI's z of a sample: sex (2: girls), agem (months), bmi, prob (weight)."""
    sex, months, bmi, weight = rows.select("sex", "agem", "bmi", "prob").cast(pl.Float64).to_numpy().T
    z = normal_quantile(np.clip(bmi_percentile(sex == 2, np.maximum(months, 24.0), bmi), 1e-6, 1 - 1e-6))
    mean = np.average(z, weights=weight)
    return float(mean), float(np.sqrt(np.average((z - mean) ** 2, weights=weight)))


def _numbers(given: Mapping[str, Any], place: str) -> list[float]:
    """The list of numbers at `a.b.c`, empty where there is none."""
    value: Any = given
    for key in place.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return [float(v) for v in value] if isinstance(value, list) else []
