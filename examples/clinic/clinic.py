"""A clinic of three tables, made synthetic by the calls of Gretel's relational guide.

    python examples/clinic/clinic.py

Only the import line is verosim's; no key and no cloud is needed. The clinic itself is made up, 5,000 rows a table:
smokers and people with diabetes come more often, and their values and drugs tell what they have.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from verosim.compat.gretel import MultiTable, RelationalData

ROWS = 5_000


def clinic(rows: int = ROWS, seed: int = 1) -> dict[str, pl.DataFrame]:
    """Patients, their lab results and their treatments."""
    rng = np.random.default_rng(seed)
    age = np.clip(rng.normal(52, 17, rows), 18, 95).astype(int)
    smoker = rng.random(rows) < 0.25
    bmi = np.round(rng.normal(24.5 + 0.04 * (age - 50), 3.5), 1)
    diabetic = rng.random(rows) < 1 / (1 + np.exp(-(0.25 * (bmi - 30) + 0.04 * (age - 60))))
    patients = pl.DataFrame(
        {
            "patient_id": np.arange(1, rows + 1), "age": age, "sex": rng.choice(["F", "M"], rows), "smoker": smoker,
            "bmi": bmi, "diabetic": diabetic, "region": rng.choice(["north", "south", "east"], rows, p=[0.5, 0.3, 0.2]),
        }
    )  # fmt: skip
    often = 1 + 2.0 * diabetic + 0.8 * smoker
    tested, treated = (np.sort(rng.choice(rows, rows, p=often / often.sum())) for _ in range(2))
    test = rng.choice(["glucose", "hdl"], rows)
    value = np.where(test == "glucose", 90 + 55 * diabetic[tested], 62 - 10 * smoker[tested]) + rng.normal(0, 9, rows)
    lab_results = pl.DataFrame(
        {"lab_id": np.arange(1, rows + 1), "patient_id": tested + 1, "test": test, "value": np.round(value, 1)}
    )
    drug = np.where(
        diabetic[treated] & (rng.random(rows) < 0.7), "metformin", rng.choice(["statin", "ibuprofen"], rows)
    )
    treatments = pl.DataFrame(
        {
            "treatment_id": np.arange(1, rows + 1), "patient_id": treated + 1, "drug": drug,
            "cost": np.round(rng.lognormal(np.where(drug == "metformin", 3.6, 2.9), 0.4), 2),
        }
    )  # fmt: skip
    return {"patients": patients, "lab_results": lab_results, "treatments": treatments}


def main() -> dict[str, pl.DataFrame]:
    tables = clinic()
    data = RelationalData()
    data.add_table(name="patients", primary_key="patient_id", data=tables["patients"])
    data.add_table(name="lab_results", primary_key="lab_id", data=tables["lab_results"])
    data.add_table(name="treatments", primary_key="treatment_id", data=tables["treatments"])
    data.add_foreign_key(foreign_key="lab_results.patient_id", referencing="patients.patient_id")
    data.add_foreign_key(foreign_key="treatments.patient_id", referencing="patients.patient_id")

    model = MultiTable(data, project_display_name="clinic", gretel_model="amplify")
    model.train()
    model.generate(record_size_ratio=1)
    return model.synthetic_output_tables


if __name__ == "__main__":
    for name, frame in main().items():
        print(name, frame.head(3))
