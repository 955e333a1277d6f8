"""The compiled kernel lives the same lives as numpy does: the same bytes in every file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from verosim.patients import Patients, kernel
from verosim.patients.exports.writing import save
from verosim.patients.kernel import available
from verosim.patients.kernel.choices import cosine, log
from verosim.patients.steady import cosine as cosines
from verosim.patients.steady import log as logs

STOCK = Path(__file__).parents[2] / "shared" / "data" / "patients" / "modules"


def files(modules: Path | None, only: list[str] | None, n: int, compiled: bool, out: Path) -> dict[str, bytes]:
    save(Patients(modules, only=only, compiled=compiled), out, n, seed=5)
    return {path.name: path.read_bytes() for path in out.glob("*.csv")}


@pytest.mark.skipif(not available(), reason="numba is not installed")
def test_compiled_or_not_the_files_are_the_same(tmp_path: Path) -> None:
    assert files(None, None, 12, True, tmp_path / "a") == files(None, None, 12, False, tmp_path / "b")


@pytest.mark.skipif(not available() or not STOCK.is_dir(), reason="numba or the public modules are not here")
def test_compiled_or_not_public_modules_give_the_same_files(tmp_path: Path) -> None:
    some = ["myocardial_infarction", "covid19", "urinary_tract_infections", "gallstones", "allergies"]
    assert files(STOCK, some, 8, True, tmp_path / "a") == files(STOCK, some, 8, False, tmp_path / "b")


@pytest.mark.skipif(not available(), reason="numba is not installed")
def test_tables_that_grow_outside_of_the_kernel_are_seen_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        kernel, "MORE", 600
    )  # doses for a thousand children are more rows at once than it makes room for
    children, found = pl.DataFrame({"age": [2] * 1000}), []
    for compiled in (True, False):
        out = tmp_path / str(compiled)
        save(Patients(None, only=["allergies"], people=children, compiled=compiled), out, 1000, seed=5)
        found.append({path.name: path.read_bytes() for path in out.glob("*.csv")})
    assert found[0] == found[1]


def test_single_numbers_and_many_have_the_same_bits() -> None:
    u = np.random.Generator(np.random.Philox(3)).random(2000)
    assert np.array_equal(logs(1 - u), [log(1 - x) for x in u.tolist()])
    assert np.array_equal(cosines(u), [cosine(x) for x in u.tolist()])
    assert np.abs(logs(1 - u) - np.log1p(-u)).max() < 1e-14
    assert np.abs(cosines(u) - np.cos(2 * np.pi * u)).max() < 1e-14
