"""A report of made-up numbers in the shapes that docs/report.md describes: what the tests of the page draw."""

from __future__ import annotations

from typing import Any

import numpy as np

from verosim.draws import stream
from verosim.evaluation import Measure, Report, TableReport

NOISE = "within noise of real"
KINDS = ("mean", "spread", "missing", "range_coverage")
HOSTILE = (
    "</script><script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "الدخل السنوي \u202e(reversed)",
    "family 👨‍👩‍👧‍👦 & friends",
    "a" * 300,
    "",
    "tab\tnew\nline \x00\x1b[31m",
    "{{ 7 * 7 }}{% raw %}",
    "__proto__",
)


def report(n_columns: int = 14, tables: tuple[str, ...] = ("adult",), hostile: bool = False) -> Report:
    return Report(
        {name: table(name, n_columns, hostile, i) for i, name in enumerate(tables)}, notes=("seeds are kept",)
    )


def names_of(n: int, hostile: bool) -> list[str]:
    usual = [
        "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship",
        "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income",
    ]  # fmt: skip
    known = [*(HOSTILE if hostile else ()), *usual]
    return [known[i] if i < len(known) else f"measured_{i}" for i in range(n)]


def table(name: str, n_columns: int, hostile: bool, seed: int) -> TableReport:
    rng = stream(40 + seed)
    columns = names_of(n_columns, hostile)
    details = {
        "columns": {c: column(i, rng, hostile) for i, c in enumerate(columns)},
        "pairs": pairs(columns, rng),
        "pair_table": {
            "columns": columns,
            "measure": "S_pMSE",
            "values": symmetric(rng.gamma(2, 1.2, (n_columns,) * 2)),
        },
        "correlations": correlations(columns[:40], rng),
        "detector": {
            "roc": roc(0.08),
            "roc_floor": roc(0.01),
            "gains": dict(zip(columns, np.sort(rng.dirichlet(np.ones(n_columns)))[::-1].tolist(), strict=True)),
            "pairs": [[columns[0], columns[1], 0.31], [columns[1], columns[2], 0.12]],
        },
        "projection": projection(rng),
        "usefulness": usefulness(columns, rng),
        "regression": regression(columns, rng),
        **privacy(columns),
    }
    rows = {"train": 32_561, "holdout": 16_281, "synthetic": 32_561}
    return TableReport(name, rows, 7, measures(columns), details, ("sampled 20,000 of 32,561 train rows",))


def measures(columns: list[str]) -> tuple[Measure, ...]:
    a, b = columns[:2]
    return (
        Measure("shape", "lower", "%", about="distance of each column's distribution, their mean").found(
            0.71, 0.05, 0.66, NOISE
        ),
        Measure("trend", "lower", "%", about="distance of each two columns' relation, their mean").found(
            2.4, 0.11, 1.41, f"1.7 times the noise of real: mostly {a} x {b}", "near"
        ),
        Measure("auc_unseen", "lower", about="how well boosted trees tell synthetic from unseen real rows").found(
            0.587, 0.009, 0.503, f"a detector hardly finds it: mostly column {a}", "near"
        ),
        Measure("mean", "floor", of=(a,)).found(40.9, 0.08, 38.6, "the mean is higher", "far"),
        *(Measure(kind, "floor", of=(c,)).found(10.07, 0.02, 10.08, NOISE) for kind in KINDS for c in columns[1:]),
        Measure("auc", "higher", section="usefulness", about="of boosted trees on unseen real rows").found(
            0.914, 0.003, 0.927, "a little less than from real rows", "near", (0.908, 0.92)
        ),
        Measure("dcr", "floor", "", "privacy", about="nearer to train than to unseen rows, a share").found(
            0.503, 0.011, 0.5, NOISE
        ),
        Measure("copies", "lower", "%", "privacy", about="synthetic rows that are rows of train").found(
            4.01, 0.1, 0.04, "copying: 4 % are rows of train; of unseen real rows 0.04 % are"
        ),
        Measure("membership", "lower", "", "privacy").absent("no hold-out rows"),
    )


def column(i: int, rng: np.random.Generator, hostile: bool) -> dict[str, Any]:
    missing = {"train": 0.021 * (i % 3), "holdout": 0.02 * (i % 3), "synthetic": 0.023 * (i % 3)}
    rest = {"shape": float(rng.gamma(2, 0.4)), "floor": 0.62, "missing": missing, "coverage": {"range_coverage": 98.0}}
    if i % 2 == 0:
        edges = np.linspace(17, 90, 21)
        real = np.exp(-(((edges[:-1] - 38) / 16) ** 2)) + 0.02
        moments = {"mean": 38.6, "sd": 13.7, "min": 17.0, "q25": 28.0, "median": 37.0, "q75": 48.0, "max": 90.0}
        times = {"labels": [f"{1990 + k}-01-01T00:00:00" for k in range(21)]} if i == 4 else {}
        drawn = {
            "kind": "ordered",
            "edges": edges.tolist(),
            "open": [False, True],
            **times,
            "moments": {"train": moments, "synthetic": moments},
        }
    else:
        levels = ["Married-civ-spouse", "Never-married", "Divorced", "Separated", "Widowed", "other"]
        levels = [*HOSTILE, *levels] if hostile else levels[: 2 + i % 5]
        real = np.sort(rng.dirichlet(np.ones(len(levels))))[::-1]
        drawn = {"kind": "levels", "levels": levels, "edges": [], "labels": [], "moments": None}
    shares = {role: noisy(real, rng) for role in ("train", "holdout", "synthetic")}
    return {**drawn, **shares, **rest}


def noisy(shares: np.ndarray, rng: np.random.Generator) -> list[float]:
    out = shares * rng.uniform(0.85, 1.15, len(shares))
    return (out / out.sum()).tolist()


def symmetric(values: np.ndarray) -> list[list[float | None]]:
    values = (values + values.T) / 2
    return [[None if i == j else v for j, v in enumerate(row)] for i, row in enumerate(values.tolist())]


def pairs(columns: list[str], rng: np.random.Generator) -> list[dict[str, Any]]:
    found = []
    for k in range(min(30, len(columns) - 1)):
        x, y = ["Married", "Never-married", "Divorced", "Widowed"], [f"{10 * i} to {10 * i + 10}" for i in range(10)]
        cells = {role: rng.dirichlet(np.ones(40) / 2).reshape(4, 10).tolist() for role in ("train", "synthetic")}
        of = [columns[k], columns[k + 1]]
        found.append(
            {
                "columns": of,
                "trend": 9 / (k + 1),
                "floor": 1.4,
                "x": x,
                "y": y,
                **cells,
                "utility": {"pMSE": 0.001, "S_pMSE": 2.1},
            }
        )
    return found


def correlations(columns: list[str], rng: np.random.Generator) -> dict[str, Any]:
    basis = rng.normal(size=(len(columns), 4))
    real = np.corrcoef(basis)
    new = np.clip(real + rng.normal(size=real.shape) * 0.05, -1, 1)
    return {"columns": columns, "train": real.tolist(), "synthetic": new.tolist()}


def roc(bend: float) -> list[list[float]]:
    x = np.linspace(0, 1, 101)
    return np.stack([x, x ** (1 - 2 * bend)], axis=1).round(4).tolist()


def projection(rng: np.random.Generator) -> dict[str, Any]:
    clouds = {
        role: (rng.normal(size=(1000, 2)) * [2, 1] + rng.choice([-3, 2], (1000, 1)))
        for role in ("train", "synthetic", "holdout")
    }
    return {**{role: points.round(3).tolist() for role, points in clouds.items()}, "explained": [0.31, 0.17]}


def usefulness(columns: list[str], rng: np.random.Generator) -> dict[str, Any]:
    scores = [
        ("linear", "auc", 0.904, 0.899),
        ("forest", "auc", 0.915, 0.906),
        ("boosted", "auc", 0.927, 0.914),
        ("boosted", "accuracy", 0.871, 0.862),
    ]
    learners = [
        {
            "learner": learner, "metric": metric, "real": real, "real_error": 0.003, "synthetic": new,
            "synthetic_error": 0.003, "both": real + 0.001, "both_error": 0.003,
        }
        for learner, metric, real, new in scores
    ]  # fmt: skip
    ranks = np.sort(rng.dirichlet(np.ones(len(columns))))[::-1]
    importance = {"columns": columns, "real": ranks.tolist(), "synthetic": noisy(ranks, rng), "agreement": 0.94}
    return {"target": "income", "kind": "classes", "learners": learners, "importance": {"boosted": importance}}


def regression(columns: list[str], rng: np.random.Generator) -> dict[str, Any]:
    rows = []
    for i, term in enumerate(columns[:9]):
        real, new = (float(v) for v in rng.normal(size=2) * 0.1 + 0.5 * (i % 3))
        rows.append({
            "term": term, "real": real, "real_low": real - 0.1, "real_high": real + 0.1, "synthetic": new,
            "synthetic_low": new - 0.12, "synthetic_high": new + 0.12, "overlap": 1 - 4 * abs(real - new),
            "z": (new - real) / 0.06,
        })  # fmt: skip
    return {"target": "income", "formula_note": "Logistic regression on all columns.", "rows": rows}


def privacy(columns: list[str]) -> dict[str, Any]:
    keys = columns[:3]
    attacks = [
        ("singling out", "one column", [], 0.041, 0.038, 0.012, 0.003, 0.0, 0.014),
        ("linkability", "nearest row", keys, 0.09, 0.08, 0.001, 0.011, 0.0, 0.028),
        ("inference", "nearest synthetic row", keys, 0.62, 0.55, 0.5, 0.156, 0.118, 0.193),
    ]
    names = ("risk", "attack", "keys", "success", "control", "naive", "value", "low", "high")
    risks = [{**dict(zip(names, a, strict=True)), "attacks": 2000, "verdict": NOISE} for a in attacks]
    risks[2] |= {"verdict": "more is inferred of people learned from"}
    outliers = {"auc": 0.56, "auc_error": 0.02, **caught(0.034, 0.15)}
    membership = {"auc": 0.512, "auc_error": 0.006, **caught(0.012, 0.108), "roc": roc(0.02), "outliers": outliers}
    told = {"repU": 0.41, "DiSCO": 6.2, "DCAP": 48.1, "TCAP": 31.0}
    disclosure = {"keys": keys, "target": columns[-1], **told, "unseen": told}
    return {"risks": risks, "membership": membership, "disclosure": disclosure}


def caught(*shares: float) -> dict[str, Any]:
    told = dict(zip(("0.01", "0.1"), shares, strict=True))
    return {"tpr": told, "tpr_interval": {rate: [0.8 * v, 1.2 * v] for rate, v in told.items()}}
