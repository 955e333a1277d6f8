"""Data of two makers made comparable: tables by name, columns by name, cells in the types of the real data."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from verosim.errors import DataError
from verosim.evaluation.columns import LEFT_OUT
from verosim.frames.casts import cast_exactly
from verosim.schema import Table

Tables = Mapping[str, pl.DataFrame]


def same_tables(real: Tables, other: Tables, role: str) -> dict[str, pl.DataFrame]:
    """The other's tables by the names of the real ones; a lone table needs no name. Raises DataError.

    >>> frame = pl.DataFrame({"x": [1]})
    >>> list(same_tables({"adult": frame}, {"adult.new": frame}, "synthetic"))
    ['adult']
    """
    if len(real) == len(other) == 1:
        return {next(iter(real)): next(iter(other.values()))}
    if lacking := [name for name in real if name not in other]:
        raise DataError(f"the {role} data lack the tables {', '.join(lacking)}; they have {', '.join(other)}.")
    return {name: other[name] for name in real}


def same_columns(real: pl.DataFrame, other: pl.DataFrame, table: Table, role: str) -> tuple[pl.DataFrame, list[str]]:
    """The columns of `table` from `other`, and what was left out on the way, a sentence each.

    A column that no measure looks at may lack, and is null then. Raises DataError where a compared one lacks.
    """
    notes, lacking = [], [c for c in table.columns if c.name not in other.columns]
    if compared := [c.name for c in lacking if c.kind not in LEFT_OUT]:
        others = [name for name in other.columns if name not in table.names]
        has = f"; they have {', '.join(map(repr, others[:8]))}, which the real data lack" if others else ""
        raise DataError(
            f"the {role} data lack {', '.join(map(repr, compared[:8]))}{has}.", table=table.name,
            fix="Rename them, or leave them out of the real data too.",
        )  # fmt: skip
    if lacking:
        notes.append(f"the {role} data lack {', '.join(c.name for c in lacking)}, which no measure looks at")
    if extra := [name for name in other.columns if name not in table.names]:
        notes.append(f"the {role} data have more columns, which are left out: {', '.join(extra[:8])}")
    nulls = [pl.lit(None, real.schema[c.name]).alias(c.name) for c in lacking]
    return other.with_columns(nulls).select(table.names), notes


def same_types(frames: Mapping[str, pl.DataFrame], table: Table) -> dict[str, pl.DataFrame]:
    """All frames with the types of the first, or of a type that holds the values of each. Raises DataError."""
    out = dict(frames)
    for name in table.names:
        dtypes = {frame.schema[name] for frame in out.values()}
        if len(dtypes) > 1:
            columns = _unified({role: frame[name] for role, frame in out.items()}, table)
            out = {role: frame.with_columns(columns[role]) for role, frame in out.items()}
    return out


def _unified(columns: Mapping[str, pl.Series], table: Table) -> dict[str, pl.Series]:
    (_, real), *others = columns.items()
    numbers = all(c.dtype.is_numeric() or c.dtype == pl.Null for c in columns.values())
    for dtype in (real.dtype, *((pl.Float64(),) if numbers else ())):
        cast = {role: cast_exactly(column, dtype) for role, column in columns.items()}
        if all(column is not None for column in cast.values()):
            return {role: column for role, column in cast.items() if column is not None}
    role, odd = next((role, column) for role, column in others if cast_exactly(column, real.dtype) is None)
    raise DataError(
        f"{real.dtype} in the real data, but {odd.dtype} in the {role} ones, such as {odd.drop_nulls()[0]!r};",
        table=table.name, column=real.name, fix="write both in one way.",
    )  # fmt: skip
