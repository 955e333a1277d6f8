"""Synthetic data of every kind, with proof of how good and how private it is.

import verosim as vs

synthesizer = vs.fit(frame, seed=7)       # polars, pandas or pyarrow; a path; or {"name": frame}
new = synthesizer.sample(1_000_000)       # the same kind of frame that came in
synthesizer.save("adult.verosim")
vs.load("adult.verosim")

vs.simulate("bank", 100_000, seed=7).log  # a process, played through
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verosim.errors import (
    ArgumentError,
    DatabaseError,
    DataError,
    FileError,
    MissingExtraError,
    ModelFileError,
    NotFittedError,
    RuleError,
    SchemaError,
    TrainingError,
    VerosimError,
)

if TYPE_CHECKING:
    from verosim.augmenting import augment
    from verosim.comparing import compare
    from verosim.databases import Pick
    from verosim.evaluation import Report
    from verosim.evaluation.combining import combine
    from verosim.generating import generate
    from verosim.judging import evaluate
    from verosim.patients import Patients
    from verosim.recipe import Recipe
    from verosim.reshaping import reshape
    from verosim.run import fit, inspect, load, synth
    from verosim.schema import Column, ForeignKey, Schema, Sequence, Table
    from verosim.sequences import Anomaly, Course
    from verosim.simulation import Scenario, Simulated, simulate
    from verosim.simulation.processes import Recorder
    from verosim.synthesizer import Synthesizer
    from verosim.table_model import Options

__version__ = "0.1.0"
_LAZY = {  # imported when first asked for: `import verosim` is quick
    **dict.fromkeys(("fit", "inspect", "load", "synth"), "verosim.run"),
    "augment": "verosim.augmenting",
    "Pick": "verosim.databases",
    "compare": "verosim.comparing",
    "combine": "verosim.evaluation.combining",
    "evaluate": "verosim.judging",
    "generate": "verosim.generating",
    "Patients": "verosim.patients",
    "Recipe": "verosim.recipe",
    "Report": "verosim.evaluation",
    "reshape": "verosim.reshaping",
    **dict.fromkeys(("Column", "ForeignKey", "Schema", "Sequence", "Table"), "verosim.schema"),
    **dict.fromkeys(("Scenario", "Simulated", "simulate"), "verosim.simulation"),
    "Recorder": "verosim.simulation.processes",
    "Anomaly": "verosim.sequences",
    "Course": "verosim.sequences",
    "Options": "verosim.table_model",
    "Synthesizer": "verosim.synthesizer",
}

__all__ = [
    "Anomaly",
    "ArgumentError",
    "Column",
    "Course",
    "DataError",
    "DatabaseError",
    "FileError",
    "ForeignKey",
    "MissingExtraError",
    "ModelFileError",
    "NotFittedError",
    "Options",
    "Patients",
    "Pick",
    "Recipe",
    "Recorder",
    "Report",
    "RuleError",
    "Scenario",
    "Schema",
    "SchemaError",
    "Sequence",
    "Simulated",
    "Synthesizer",
    "Table",
    "TrainingError",
    "VerosimError",
    "augment",
    "combine",
    "compare",
    "evaluate",
    "fit",
    "generate",
    "inspect",
    "load",
    "reshape",
    "simulate",
    "synth",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'verosim' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
