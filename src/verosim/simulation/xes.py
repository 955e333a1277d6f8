"""The visits of a simulation as XES: one event for each step of a visit (queued, started, completed or given up)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import polars as pl

from verosim.files.xes import HEAD, TAIL, event, trace_head

_STEPS: Final = {"enqueue": "schedule", "start": "start", "complete": "complete"}  # XES's words for them
_KEYS: Final = {
    key: key for key in ("concept:name", "org:resource", "lifecycle:transition", "outcome", "time:timestamp")
}


def document(chunks: Iterable[tuple[pl.DataFrame, pl.DataFrame]]) -> Iterator[str]:
    """The text of an XES file: of cases with their log, chunk by chunk; one event a step of a visit."""
    yield HEAD
    for cases, log in chunks:
        yield from _traces(cases, log)
    yield TAIL


def _traces(cases: pl.DataFrame, log: pl.DataFrame) -> Iterator[str]:
    events = pl.concat([_events(log, step, word) for step, word in _STEPS.items()])
    events = events.sort("case", "time:timestamp", "turn", maintain_order=True)
    text = events.select("case", text=event(events, _KEYS))
    together = text.group_by("case", maintain_order=True).agg(pl.col("text").str.join(""))
    columns = {"concept:name": "name", **{name: name for name in cases.columns if name != "case"}}
    named = cases.with_columns(name=pl.col("case").cast(pl.String))
    heads = named.select("case", head=trace_head(named, columns))
    found = heads.join(together, on="case", how="left", maintain_order="left")
    traces = found.select(pl.format("  <trace>\n{}{}  </trace>\n", "head", pl.col("text").fill_null("")))
    yield "".join(traces.to_series().to_list())


def _events(log: pl.DataFrame, step: str, word: str) -> pl.DataFrame:
    """One event for each visit that got so far."""
    there = log.filter(pl.col(step).is_not_null()).with_row_index("turn")
    resource = pl.col("resource").cast(pl.String) if "resource" in log.columns else pl.lit(None, pl.String)
    served = pl.col("outcome") == "served"
    return there.select(
        "case",
        turn=pl.col("turn") * 3 + list(_STEPS).index(step),
        **{
            "concept:name": pl.col("activity").cast(pl.String),
            "org:resource": pl.lit(None, pl.String) if word == "schedule" else resource,
            "lifecycle:transition": pl.when(served)
            .then(pl.lit(word))
            .otherwise(pl.lit("ate_abort" if word == "complete" else word)),
            "outcome": pl.col("outcome").cast(pl.String),
            "time:timestamp": pl.col(step).dt.convert_time_zone("UTC"),
        },
    )
