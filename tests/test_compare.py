"""Engines side by side: what is told, what is advised, and the page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import verosim as vs
from verosim.cli import main
from verosim.comparing import Candidate, Comparison, compare
from verosim.draws import stream
from verosim.errors import ArgumentError, DataError
from verosim.evaluation import Measure


def linked(n: int = 1_500) -> pl.DataFrame:
    """Two numbers that go together, and a class that they tell."""
    rng = stream(31)
    a = rng.normal(size=n)
    b = a + rng.normal(size=n) * 0.3
    return pl.DataFrame({"a": a.round(3), "b": b.round(3), "c": np.where(a + b > 0, "yes", "no")})


def test_the_engine_that_knows_relations_is_advised() -> None:
    found = compare(linked(), ["independent", "copula"], seed=1)
    assert found.best is not None
    assert found.best.model == "copula"
    assert "'copula'" in found.advice()
    independent, copula = found.candidates
    assert copula.measures["trend"].value < independent.measures["trend"].value  # type: ignore[operator]
    assert (found.target, found.metric) == ("c", "auc")
    useful = [found.real or 0.0, copula.useful or 0.0, independent.useful or 1.0]
    assert useful[0] > 0.97
    assert useful[1] > 0.95
    assert useful[2] < 0.7


def test_training_ends_in_time_and_tells_how_it_went() -> None:
    found = compare(linked(), ["network"], minutes=0.002, seed=1)
    (network,) = found.candidates
    assert "minutes are over" in network.how


def candidate(model: str, auc: float, seconds: float, copies: float = 0.0) -> Candidate:
    measures = {
        "auc_unseen": Measure("auc_unseen", "lower").found(auc, 0.01, 0.5, ""),
        "copies": Measure("copies", "lower", "%").found(copies, 0.1, 0.1, ""),
        "dcr": Measure("dcr", "floor").found(0.5, 0.01, 0.5, ""),
    }
    return Candidate(model, measures, fit_seconds=seconds)


@pytest.mark.parametrize(
    ("candidates", "best"),
    [
        ([candidate("a", 0.55, 1), candidate("b", 0.52, 9)], "b"),  # nearer by more than an error
        ([candidate("a", 0.525, 1), candidate("b", 0.52, 9)], "a"),  # as near, and quicker
        ([candidate("a", 0.50, 1, copies=5.0), candidate("b", 0.60, 9)], "b"),  # a copier is never advised
        ([candidate("a", 0.50, 1, copies=5.0)], None),
        ([Candidate("a", {}, failed="it broke")], None),
    ],
)
def test_the_advice(candidates: list[Candidate], best: str | None) -> None:
    found = Comparison("t", 100, None, "", None, tuple(candidates))
    assert (found.best.model if found.best else None) == best
    assert (best is None) == found.advice().startswith("no engine")


def test_an_engine_that_fails_is_shown_with_its_reason() -> None:
    frame = linked(300)
    rules = vs.inspect(frame)
    found = compare(frame, ["copula"], schema=rules)
    assert found.candidates[0].failed == ""
    with pytest.raises(ArgumentError, match="did you mean 'chain'"):
        compare(frame, ["chian"])
    with pytest.raises(ArgumentError, match="no column 'C'"):
        compare(frame, ["copula"], target="C")
    with pytest.raises(ArgumentError, match="minutes"):
        compare(frame, ["copula"], minutes=0)
    with pytest.raises(DataError, match="one table"):
        compare({"x": frame, "y": frame}, ["copula"])


def test_the_command_writes_a_page_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    linked().write_csv(tmp_path / "t.csv")
    page, numbers = tmp_path / "engines.html", tmp_path / "engines.json"
    for out in (page, numbers):
        call = ["compare", str(tmp_path / "t.csv"), "--models", "copula,independent", "--out", str(out)]
        with pytest.raises(SystemExit, match="0"):
            main(call)
    assert "take 'copula'" in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert text.count('<svg class="chart strip"') == 2 * 7  # five measures, usefulness and cost, of two engines
    assert "src=" not in text
    assert "http" not in text.replace("http-equiv", "")
    told = json.loads(numbers.read_text(encoding="utf-8"))
    assert [c["model"] for c in told["candidates"]] == ["copula", "independent"]


def test_the_function_stays_a_function_once_its_module_is_loaded() -> None:
    """A module of the same name would take its place in the package."""
    assert vs.compare is compare
    assert callable(vs.augment)
