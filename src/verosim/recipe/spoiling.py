"""What is written of a block: its visible columns, and on demand dirt, edge cases and duplicates.

Only what is written is spoilt: other columns, and other tables, are made from the clean values.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import numpy as np
import polars as pl

from verosim.recipe.finishing import EDGE_CASE
from verosim.recipe.nouns import Dirt, Floats, Ints
from verosim.recipe.planning import TablePlan
from verosim.recipe.running import Block


def schema(planned: TablePlan) -> pl.Schema:
    """The columns of a table as they are written."""
    columns = {name: planned.makers[name].dtype for name in planned.visible}
    return pl.Schema({**columns, EDGE_CASE: pl.String()} if planned.table.edge_cases else columns)


def output(block: Block) -> pl.DataFrame:
    """The rows of a block as they are written."""
    planned = block.planned
    block.check_late()
    frame = block.frame(planned.visible)
    for name in planned.visible:
        dirt = planned.columns[name].dirt
        if dirt is not None:
            frame = frame.with_columns(spoilt(frame[name], dirt, block, name))
    if planned.table.duplicates:
        frame = _duplicated(frame, block)
    return _at_edges(frame, block) if planned.table.edge_cases else frame


# ------------------------------------------------------------------------------------------------- dirt


def spoilt(values: pl.Series, dirt: Dirt, block: Block, name: str) -> pl.Series:
    """The values with their share of dirt; each kind of it falls apart from the others."""
    for what, share in vars(dirt).items():
        if share:
            rows = np.flatnonzero(block.uniform(name, "dirt", what) < share)
            if len(rows):
                u = block.uniform(name, "dirt", what, "how")[rows]
                values = _put(values, rows, _DIRTS[what](values.gather(rows), u))
    return values


def _put(values: pl.Series, rows: Ints, new: pl.Series) -> pl.Series:
    return values.scatter(rows, new.cast(values.dtype))


def _typo(values: pl.Series, u: Floats) -> pl.Series:
    """A letter left out, doubled, or replaced by the one after it in the alphabet."""
    frame = _parts(values, u)
    way = pl.lit(pl.Series((u * 1000).astype(np.int64) % 3))
    at = pl.col("at")
    following = at.str.replace_many(_LETTERS, [*_LETTERS[1:], _LETTERS[0]])
    middle = pl.when(way == 0).then(pl.lit("")).when((way == 1) | (following == at)).then(at + at).otherwise(following)
    return frame.select(pl.col("before") + middle + pl.col("after")).to_series()


_LETTERS: Final = list("abcdefghijklmnopqrstuvwxyz")


def _swap(values: pl.Series, u: Floats) -> pl.Series:
    frame = _parts(values, u)
    rest = pl.col("after")
    return frame.select(pl.col("before") + rest.str.slice(0, 1) + pl.col("at") + rest.str.slice(1)).to_series()


def _parts(values: pl.Series, u: Floats) -> pl.DataFrame:
    """A letter of each text, what stands before it, and what after."""
    place = (values.str.len_chars().fill_null(0) * pl.Series(u)).cast(pl.Int64)
    frame = pl.DataFrame({"text": values, "place": place})
    return frame.select(
        pl.col("text").str.slice(0, pl.col("place")).alias("before"),
        pl.col("text").str.slice(pl.col("place"), 1).alias("at"),
        pl.col("text").str.slice(pl.col("place") + 1).alias("after"),
    )


def _case(values: pl.Series, u: Floats) -> pl.Series:
    return values.str.to_uppercase().zip_with(pl.Series(u < 0.5), values.str.to_lowercase())


def _space(values: pl.Series, u: Floats) -> pl.Series:
    return (" " + values).zip_with(pl.Series(u < 0.5), values + " ")


def _outlier(values: pl.Series, u: Floats) -> pl.Series:
    """Ten, a hundred or a thousand times as large, as when a point is lost."""
    factor = pl.Series(10 ** (1 + (u * 3).astype(np.int64)))
    return (values.cast(pl.Float64) * factor).cast(values.dtype, strict=False)


_DIRTS: Final = {
    "typo": _typo, "case": _case, "swap": _swap, "space": _space, "outlier": _outlier,
}  # fmt: skip


# ------------------------------------------------------------------------------------------------- duplicates


def _duplicated(frame: pl.DataFrame, block: Block) -> pl.DataFrame:
    """Some rows are an earlier one of the block once more, but for columns of unique values."""
    own = [n for n in frame.columns if block.planned.makers[n].capacity is not None]
    others = frame.drop(own)
    is_copy = (block.uniform("\0duplicates") < block.planned.table.duplicates) & (np.arange(block.n) > 0)
    earlier = (block.uniform("\0duplicates", "of") * np.arange(block.n)).astype(np.int64)
    copied = others[np.where(is_copy, earlier, np.arange(block.n))]
    return frame.with_columns(copied.get_columns())


# ------------------------------------------------------------------------------------------------- edge cases

EDGES: Final[dict[str, dict[str, Any]]] = {
    "text": {
        "empty": "", "blank": " ", "long": "x" * 1000, "unicode": "Žluťoučký 中文 مرحبا 😀", "quotes": "O'Brien \"x\"",
        "markup": "<b>&amp;</b>", "line break": "a\nb", "null as text": "NULL", "formula": "=1+1",
        "combined": "e\u0301", "right to left": "\u202eabc", "zero width": "a\u200bb", "sql": "'; drop table t; --",
    },
    "integer": {"zero": 0, "minus one": -1, "largest": None, "smallest": None},
    "float": {"zero": 0.0, "tiny": 5e-324, "large": 1.7976931348623157e308, "negative": -1.0, "third": 0.1 + 0.2},
    "date": {
        "leap day": dt.date(2024, 2, 29), "epoch": dt.date(1970, 1, 1), "last day": dt.date(9999, 12, 31),
        "century": dt.date(1900, 3, 1), "year end": dt.date(2024, 12, 31),
    },
    "datetime": {
        "leap day": dt.datetime(2024, 2, 29, 12), "epoch": dt.datetime(1970, 1, 1),
        "before midnight": dt.datetime(2024, 12, 31, 23, 59, 59), "2038": dt.datetime(2038, 1, 19, 3, 14, 8),
    },
}  # fmt: skip


def edges_of(planned: TablePlan) -> list[tuple[str, str, Any]]:
    """(column, what, value) for all edge values of the columns that may take them; None is a missing value."""
    out: list[tuple[str, str, Any]] = []
    for name in planned.visible:
        maker = planned.makers[name]
        if maker.capacity is not None or maker.fixed or name == "case":
            continue
        kind = _edge_kind(maker.dtype)
        for what, value in EDGES.get(kind, {}).items():
            if kind == "integer" and value is None:
                low, high = pl.select(low=maker.dtype.min(), high=maker.dtype.max()).row(0)  # type: ignore[attr-defined]
                value = high if what == "largest" else low
            if not (kind == "integer" and what == "minus one" and maker.dtype.is_unsigned_integer()):
                out.append((name, what, value))
        if kind:
            out.append((name, "missing", None))
    return out


def _edge_kind(dtype: pl.DataType) -> str:
    if dtype.is_integer():
        return "integer"
    if dtype.is_float():
        return "float"
    return {pl.String: "text", pl.Date: "date", pl.Datetime: "datetime"}.get(type(dtype), "")


def _at_edges(frame: pl.DataFrame, block: Block) -> pl.DataFrame:
    """Some rows with one value at the edge of what there is; `edge_case` says which column and what."""
    edges = edges_of(block.planned)
    label = pl.Series([None], dtype=pl.String).new_from_index(0, block.n)
    if not edges:
        return frame.with_columns(label.alias(EDGE_CASE))
    chosen = np.flatnonzero(block.uniform("\0edges") < block.planned.table.edge_cases)
    which = (block.uniform("\0edges", "which")[chosen] * len(edges)).astype(np.int64)
    names = pl.Series([f"{column}: {what}" for column, what, _ in edges])
    label = label.scatter(chosen, names.gather(which)) if len(chosen) else label
    for number, (column, _, value) in enumerate(edges):
        rows = chosen[which == number]
        if len(rows):
            dtype = frame.schema[column]
            zone = getattr(dtype, "time_zone", None)
            one = pl.Series([value], dtype=pl.Datetime("us") if zone else dtype)
            one = one.dt.replace_time_zone(zone).cast(dtype) if zone else one
            frame = frame.with_columns(frame[column].scatter(rows, one.new_from_index(0, len(rows))))
    return frame.with_columns(label.alias(EDGE_CASE))
