"""XES (IEEE 1849): the event log as process mining tools read it, written in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import polars as pl

HEAD: Final = """<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1.0" xes.features="" xmlns="http://www.xes-standard.org/">
  <extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
  <extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
  <extension name="Lifecycle" prefix="lifecycle" uri="http://www.xes-standard.org/lifecycle.xesext"/>
  <extension name="Organizational" prefix="org" uri="http://www.xes-standard.org/org.xesext"/>
  <classifier name="activity" keys="concept:name lifecycle:transition"/>
"""
TAIL: Final = "</log>\n"
_STEPS: Final = {"enqueue": "schedule", "start": "start", "complete": "complete"}  # XES's words for them
_SIGNS: Final = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("\n", "&#10;"))


def document(chunks: Iterable[tuple[pl.DataFrame, pl.DataFrame]]) -> Iterator[str]:
    """The text of an XES file: of cases with their log, chunk by chunk; one event a step of a visit."""
    yield HEAD
    for cases, log in chunks:
        yield from _traces(cases, log)
    yield TAIL


def _traces(cases: pl.DataFrame, log: pl.DataFrame) -> Iterator[str]:
    events = pl.concat([_events(log, step, word) for step, word in _STEPS.items()])
    events = events.sort("case", "time", "turn", maintain_order=True)
    together = events.group_by("case", maintain_order=True).agg(pl.col("text").str.join(""))
    heads = cases.select("case", text=_head(cases)).join(together, on="case", how="left", maintain_order="left")
    text = heads.select(
        "  <trace>\n" + pl.col("text") + pl.col("text_right").fill_null("") + "  </trace>\n"
    ).to_series()
    yield "".join(text.to_list())


def _events(log: pl.DataFrame, step: str, word: str) -> pl.DataFrame:
    """One event for each visit that got so far."""
    there = log.filter(pl.col(step).is_not_null()).with_row_index("turn")
    by = _string("org:resource", pl.col("resource").cast(pl.String)) if "resource" in log.columns else pl.lit("")
    if word == "schedule":
        by = pl.lit("")
    served = pl.col("outcome") == "served"
    transition = pl.when(served).then(pl.lit(word)).otherwise(pl.lit("ate_abort" if word == "complete" else word))
    text = pl.concat_str(
        pl.lit("    <event>\n"), _string("concept:name", pl.col("activity").cast(pl.String)), by.fill_null(""),
        _string("lifecycle:transition", transition), _string("outcome", pl.col("outcome").cast(pl.String)),
        pl.format('      <date key="time:timestamp" value="{}"/>\n', _iso(pl.col(step))), pl.lit("    </event>\n"),
    )  # fmt: skip
    return there.select("case", time=step, turn=pl.col("turn") * 3 + list(_STEPS).index(step), text=text)


def _head(cases: pl.DataFrame) -> pl.Expr:
    """A trace's own attributes: its name, and those of the case."""
    parts = [_attribute("concept:name", pl.col("case").cast(pl.String), pl.String(), "    ")]
    for name, dtype in cases.schema.items():
        if name != "case":
            parts.append(_attribute(name, pl.col(name), dtype, "    ").fill_null(""))
    return pl.concat_str(parts)


def _attribute(key: str, value: pl.Expr, dtype: pl.DataType, indent: str) -> pl.Expr:
    if dtype.is_integer():
        kind, text = "int", value.cast(pl.String)
    elif dtype.is_float():
        kind, text = "float", value.cast(pl.String)
    elif dtype == pl.Boolean:
        kind, text = "boolean", value.cast(pl.String)
    elif isinstance(dtype, pl.Datetime):
        kind, text = "date", _iso(value)
    else:
        kind, text = "string", _escaped(value.cast(pl.String))
    return pl.format(f'{indent}<{kind} key="{_plain(key)}" value="{{}}"/>\n', text)


def _string(key: str, value: pl.Expr) -> pl.Expr:
    return pl.format(f'      <string key="{key}" value="{{}}"/>\n', _escaped(value))


def _escaped(text: pl.Expr) -> pl.Expr:
    for sign, written in _SIGNS:
        text = text.str.replace_all(sign, written, literal=True)
    return text.str.replace_all("[\x00-\x08\x0b\x0c\x0e-\x1f]", "\ufffd")  # what XML cannot hold


def _plain(key: str) -> str:
    for sign, written in _SIGNS:
        key = key.replace(sign, written)
    return key.replace("{", "{{").replace("}", "}}")


def _iso(time: pl.Expr) -> pl.Expr:
    """2025-01-06T09:00:00.000000+00:00: in UTC."""
    return time.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00")
