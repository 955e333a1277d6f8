"""Whether text holds JSON documents of one shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from verosim.errors import DataError, FileError
from verosim.files.nested import Field
from verosim.files.objects import in_cells

WIDEST: Final = 200  # parts that documents may have: those of more have keys that are values
LONGEST: Final = 10_000  # items that a list may have


def documents_in(series: pl.Series, sample: pl.Series) -> str:
    """Why text is taken for documents; empty where it is none, or where their parts are of several kinds.

    sample: some of the values, by which most text is told at once.
    """
    if not len(sample) or not sample.str.contains(r"^\s*[\[{][\s\S]*[\]}]\s*$").all():
        return ""
    try:
        if _parts(in_cells(sample)[1]) > WIDEST:
            return ""
        frames, shape = in_cells(series)
    except (DataError, FileError):
        return ""
    parts, most = _parts(shape), longest(frames, shape, series.name)
    if not 0 < parts <= WIDEST or most > LONGEST:
        return ""
    return f"JSON in all {len(series) - series.null_count():,} values, of {parts} part{'s' * (parts > 1)}"


def _parts(shape: Field) -> int:
    """The columns that the values of documents of a shape fill."""
    within = [*shape.fields.values(), *([shape.item] if shape.item else [])]
    return (shape.kind == "value") + sum(map(_parts, within))


def longest(frames: Mapping[str, pl.DataFrame], shape: Field, table: str) -> int:
    """The most items that one list of documents of a shape has."""
    inside = [longest(frames, part, table) for part in shape.fields.values()]
    if shape.kind == "list" and shape.item and shape.table and shape.position:
        places = frames[shape.table][shape.position]
        inside += [int(places.max() or 0) + 1 if len(places) else 0]  # type: ignore[arg-type]
        inside += [longest(frames, shape.item, shape.table)]
    return max(inside, default=0)
