"""What one row alone holds is found nowhere: not in the rows drawn, not in the model file, not in the report."""

from __future__ import annotations

import datetime as dt
import json
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load as load_arrays

import verosim as vs
from verosim.models import MODELS

N = 600
BEFORE = dt.datetime(1966, 6, 6, 6, 6, 6)
SECRET: dict[str, object] = {  # one person's values, unlike all others, in row 0
    "key": "QX-777777/ZZ",
    "name": "Xaverius Plantagenet",
    "email": "xaverius.plantagenet@hush.example",
    "iban": "GB33BUKB20201555555555",
    "illness": "ZEBRAILLNESS",
    "part": "ZEBRAPART",
    "sort": "ZEBRASORT",
    "words": "he confessed XYZZYPLUGH to the neighbour of his uncle",
    "income": 123456.789,
    "count": 987654321,
    "exact": Decimal("54321.99"),
    "day": BEFORE.date(),
    "at": BEFORE,
    "clock": dt.time(3, 3, 3),
    "took": dt.timedelta(days=71, seconds=17),
    "where": "-77.12345, 101.54321",
    "written": "13/07/1931",
}
NUMBERS = (  # the same as numbers in the units in which they could be kept
    123456.789, 987654321, 5432199, 54321.99, -77.12345, 101.54321,
    BEFORE.date().toordinal() - 719163, int(BEFORE.timestamp() * 1e6), (3 * 3600 + 3 * 60 + 3) * 10**9,
    (71 * 86400 + 17) * 10**6, dt.date(1931, 7, 13).toordinal() - 719163,
)  # fmt: skip


def with_secrets() -> pl.DataFrame:
    """Each column is of another kind; row 0 holds the secrets."""
    rng = np.random.default_rng(5)
    day = [dt.date(2020, 1, 1) + dt.timedelta(days=int(d)) for d in rng.integers(0, 900, N)]
    illness = rng.choice(["flu", "cold", "gout"], N).tolist()
    names = [f"{a} {b}" for a in ("Ann", "Mary", "James", "Paul") for b in ("Smith", "Brown", "Jones")]
    columns: dict[str, list[object]] = {
        "key": [f"QX-{i:06d}" for i in rng.permutation(90_000)[:N]],
        "name": rng.choice(names, N).tolist(),
        "email": [f"someone{i}@mail.org" for i in range(N)],
        "iban": [f"GB82WEST123456{98765432 - i}" for i in range(N)],
        "illness": illness,
        "part": [{"flu": "nose", "cold": "throat", "gout": "toe"}[i] for i in illness],
        "sort": rng.choice(["a", "b"], N).tolist(),
        "words": [" ".join(rng.choice(["pain", "in", "the", "left", "arm", "since", "two", "days"], 9)) for _ in day],
        "income": rng.lognormal(10, 0.4, N).tolist(),
        "count": rng.integers(100_000, 900_000, N).tolist(),
        "exact": [Decimal(int(v)) / 100 for v in rng.integers(100, 99_999, N)],
        "day": list(day),
        "at": [dt.datetime(2020, 1, 1) + dt.timedelta(seconds=int(s)) for s in rng.integers(0, 10**8, N)],
        "clock": [dt.time(int(h), int(m)) for h, m in zip(rng.integers(8, 18, N), rng.integers(0, 60, N), strict=True)],
        "took": [dt.timedelta(seconds=int(s)) for s in rng.integers(0, 9_999, N)],
        "where": [f"{a:.5f}, {b:.5f}" for a, b in zip(rng.normal(40, 1, N), rng.normal(-3, 1, N), strict=True)],
        "written": [d.strftime("%d/%m/%Y") for d in day],
    }
    frame = pl.DataFrame({name: [SECRET[name], *values[1:]] for name, values in columns.items()})
    return frame.with_columns(pl.col("sort").cast(pl.Categorical), exact=pl.col("exact").cast(pl.Decimal(12, 2)))


def texts_of(name: str) -> list[str]:
    """What would give the secret away, word by word."""
    if name == "words":
        return ["confessed", "XYZZYPLUGH", "neighbour", "uncle"]
    return str(SECRET[name]).split() if name == "name" else [str(SECRET[name])]


@pytest.mark.parametrize("model", MODELS)
def test_what_one_row_holds_is_nowhere_to_be_found(model: str, tmp_path: Path) -> None:
    synthesizer = vs.fit(with_secrets(), model=model, holdout=0.0, seed=3)  # every row is learned
    synthesizer.save(tmp_path / "m.verosim")
    with zipfile.ZipFile(tmp_path / "m.verosim") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    rows = synthesizer.sample(3 * N, seed=9)
    parts["report"] = json.dumps(synthesizer.report).encode()
    parts["rows"] = rows.with_columns(pl.col("took").dt.total_microseconds()).write_csv().encode()
    told = [(n, part) for n in SECRET for t in texts_of(n) for part, data in parts.items() if t.encode() in data]
    assert not told
    for name, array in load_arrays(parts["arrays.safetensors"]).items():
        if array.dtype.itemsize == 8:
            assert not [v for v in NUMBERS if np.isclose(array.astype(float), v, rtol=1e-13, atol=0).any()], name
