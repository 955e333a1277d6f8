"""Combining rules worked by hand, augmenting, and control from the command line."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import verosim as vs

SRC = str(Path(vs.__file__).parents[1])


# -------------------------------------------------------------------------------------------------- combine


@pytest.mark.parametrize(
    ("method", "variance"),
    [
        ("plain", 4.0 * 1.5 * (1 + (2 / 3) / 2)),  # v k/n (1 + (n/k)/m): v = 4, k/n = 1.5, m = 2
        ("proper", 4.0 * 1.5 * (1 + (2 / 3 + 1) / 2)),
        ("partial", 4.0 + 2.0 / 2),  # v + b/m: the estimates 10 and 12 vary by 2
        ("imputed", 4.0 + 1.5 * 2.0),
    ],
)
def test_variances_worked_by_hand(method: str, variance: float) -> None:
    found = vs.combine([10.0, 12.0], [3.0, 5.0], real_rows=200, synthetic_rows=300, method=method)
    assert found.estimate == 11.0
    assert math.isclose(found.error**2, variance)
    assert found.interval[0] < 11.0 < found.interval[1]


def test_degrees_of_freedom_worked_by_hand() -> None:
    partial = vs.combine([10.0, 12.0], [3.0, 5.0], method="partial")
    assert math.isclose(partial.freedom, (1 + 4.0 / 1.0) ** 2)  # (m - 1) (1 + v / (b/m))**2
    assert math.isclose(partial.interval[1] - 11.0, 2.0595 * partial.error, rel_tol=1e-4)  # t of 25 degrees
    imputed = vs.combine([10.0, 12.0], [3.0, 5.0], method="imputed")
    assert math.isclose(imputed.freedom, (1 + 4.0 / 3.0) ** 2)
    assert vs.combine([1.0, 1.0], [1.0, 1.0], method="imputed").freedom == math.inf


def test_a_set_as_large_as_the_real_one_doubles_the_variance() -> None:
    """One plain synthetic set tells half of what the real rows do."""
    assert math.isclose(vs.combine([0.0], [1.0], 100, 100).error ** 2, 2.0)


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    rng, held = np.random.default_rng(1), 0
    for _ in range(400):
        real = rng.normal(0, 1, 100)
        sets = [rng.normal(real.mean(), real.std(ddof=1), 100) for _ in range(3)]
        found = vs.combine([float(s.mean()) for s in sets], [float(s.var(ddof=1)) / 100 for s in sets], 100, 100)
        held += found.interval[0] < 0 < found.interval[1]
    assert 0.91 < held / 400 < 0.98


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"estimates": [], "variances": []}, "one or more"),
        ({"estimates": [1.0], "variances": [1.0, 2.0]}, "as many"),
        ({"estimates": [1.0], "variances": [-1.0]}, "below 0"),
        ({"estimates": [1.0], "variances": [1.0]}, "real_rows"),
        ({"estimates": [1.0], "variances": [1.0], "method": "imputed"}, "two sets"),
        ({"estimates": [1.0], "variances": [1.0], "method": "rubin"}, "there are"),
        ({"estimates": [1.0], "variances": [1.0], "real_rows": 1, "synthetic_rows": 1, "level": 95}, "level"),
    ],
)
def test_what_cannot_be_combined_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(vs.ArgumentError, match=said):
        vs.combine(**asked)


# -------------------------------------------------------------------------------------------------- augment


def claims(n: int = 600) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    fraud = rng.random(n) < 0.15
    return pl.DataFrame(
        {
            "amount": np.round(rng.gamma(2, np.where(fraud, 300, 100)), 2),
            "days": rng.integers(0, 30, n),
            "kind": rng.choice(["car", "home"], n),
            "fraud": np.where(fraud, "yes", "no"),
        }
    )


def test_classes_are_brought_to_one_size() -> None:
    frame = claims()
    done = vs.augment(frame, "fraud", splits=2, options=vs.Options(model="copula"))
    assert done.frame.head(600).equals(frame)
    assert done.rows == {"real": 600, "synthetic": done.frame.height - 600}
    counts = done.frame["fraud"].value_counts()["count"]
    assert counts.max() - counts.min() <= 1
    auc, balanced = done.gains
    assert auc.measure == "auc"
    assert 0.6 < min(auc.real) <= max(auc.augmented) < 1
    assert balanced.gain > 0
    assert "real rows" in done.summary()


def test_a_set_grows_to_a_size() -> None:
    done = vs.augment(claims(300), "amount", rows=450, splits=2, options=vs.Options(model="independent"))
    assert done.frame.height == 450
    assert [gain.measure for gain in done.gains] == ["R2"]
    assert done.gains[0].verdict != "better with the synthetic rows"  # columns drawn apart can teach nothing


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"target": "fraude"}, "did you mean 'fraud'"), ({"rows": 10}, "more than the 300"), ({"splits": -1}, "splits")],
)
def test_what_cannot_be_augmented_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(vs.ArgumentError, match=said):
        vs.augment(claims(300), **({"target": "fraud"} | asked))


# ---------------------------------------------------------------------------------------------- command line


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """claims.csv, its model, a file with some columns, and one with gaps."""
    path = tmp_path_factory.mktemp("control")
    frame = claims(400)
    frame.write_csv(path / "claims.csv")
    frame.select("kind", "fraud").head(30).write_csv(path / "some.csv")
    gaps = frame.with_columns(days=pl.when(pl.int_range(400) % 3 > 0).then(pl.col("days")))
    gaps.write_csv(path / "gaps.csv")
    run(path, "fit", "claims.csv", "--model", "copula")
    return path


def run(path: Path, *words: str) -> str:
    """What a command prints. A process of its own, as a user has it."""
    code = "from verosim.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=path, capture_output=True, text=True, env={"PYTHONPATH": SRC}
    )
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


def test_conditions_on_the_command_line(folder: Path) -> None:
    asked = ("--where", "fraud = 'yes' and days < 10", "--temperature", "0.9")
    assert run(folder, "sample", "claims.verosim", "--rows", "40", *asked).startswith("0")
    new = pl.read_csv(folder / "claims.synthetic.csv")
    assert new.height == 40
    assert (new["fraud"] == "yes").all()
    assert (new["days"] < 10).all()


def test_several_samples_balanced_and_fair(folder: Path) -> None:
    asked = ("--balance", "fraud: yes=0.25", "--fair", "days: kind", "-m", "2", "--out", "out.csv")
    said = run(folder, "sample", "claims.verosim", "--rows", "200", *asked)
    assert "days by kind" in said
    frames = [pl.read_csv(folder / f"out.{number}.csv") for number in (1, 2)]
    assert [(f["fraud"] == "yes").sum() for f in frames] == [50, 50]
    assert not frames[0].equals(frames[1])


def test_files_are_completed_and_imputed(folder: Path) -> None:
    assert run(folder, "complete", "claims.verosim", "some.csv").startswith("0")
    full, some = pl.read_csv(folder / "some.completed.csv"), pl.read_csv(folder / "some.csv")
    assert full.columns == claims(1).columns
    assert full.select(some.columns).equals(some)
    assert "filled 134 cells" in run(folder, "impute", "gaps.csv", "--model", "copula")
    assert pl.read_csv(folder / "gaps.imputed.csv")["days"].null_count() == 0
    assert "filled 134 cells" in run(folder, "impute", "gaps.csv", "--model-file", "claims.verosim", "-m", "2")
    one, other = (pl.read_csv(folder / f"gaps.imputed.{number}.csv") for number in (1, 2))
    assert not one.equals(other)
    assert one.drop("days").equals(other.drop("days"))


def test_a_file_is_augmented(folder: Path) -> None:
    said = run(folder, "augment", "claims.csv", "--target", "fraud", "--splits", "0", "--model", "copula")
    assert said.startswith("0\n400 real rows")
    counts = pl.read_csv(folder / "claims.augmented.csv")["fraud"].value_counts()["count"]
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(
    "words",
    [
        ("sample", "claims.verosim", "--where", "frau = 'yes'"),
        ("sample", "claims.verosim", "--balance", "fraud: yes"),
        ("sample", "claims.verosim", "--fair", "fraud"),
        ("sample", "claims.verosim", "-m", "2", "--out", "-"),
        ("complete", "claims.verosim", "claims.csv"),
        ("augment", "claims.csv", "--target", "frau"),
    ],
)
def test_mistakes_end_in_one_line(folder: Path, words: tuple[str, ...]) -> None:
    said = run(folder, *words)
    assert said.startswith("2\n")
    assert said.count("\n") == 2
