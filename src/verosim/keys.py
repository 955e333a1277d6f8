"""Keys as numbers: which row of the parent each foreign key names.

A key may be held in other types on its two sides (7, "7" and 7.0 name one row): what is compared is its text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.errors import DataError
from verosim.schema import ForeignKey

Ints = npt.NDArray[np.int64]

NONE: Final = -1  # the key has no value
DANGLING: Final = -2  # it has one that no parent has


def comparable(series: pl.Series) -> pl.Series:
    """The values of a key as text, the same whatever the type: 7, 7.0 and "7" are one; NaN is no value.

    >>> comparable(pl.Series([7.0, None])).to_list()
    ['7', None]
    """
    if series.dtype.is_float():
        series = series.fill_nan(None)
        whole = bool((series.drop_nulls() % 1 == 0).all()) and bool((series.drop_nulls().abs() < 2**63).all())
        series = series.cast(pl.Int64) if whole else series
    elif series.dtype.is_decimal() and bool((series.drop_nulls() % 1 == 0).all()):
        series = series.cast(pl.Int128)
    return series.cast(pl.String)


def parts(frame: pl.DataFrame, columns: Sequence[str], beside: pl.DataFrame, others: Sequence[str]) -> list[pl.Series]:
    """The columns of a key, to be compared with those `others` of the frame `beside`: as text where types differ."""
    pairs = zip(columns, others, strict=True)
    return [
        frame[a].alias(f"key{i}")
        if frame[a].dtype == beside[b].dtype and not frame[a].dtype.is_float()
        else comparable(frame[a]).alias(f"key{i}")
        for i, (a, b) in enumerate(pairs)
    ]


def parent_rows(child: pl.DataFrame, parent: pl.DataFrame, key: ForeignKey, table: str) -> Ints:
    """(n,) the number of the parent's row that each child names; NONE where a part is missing, DANGLING where none is.

    Raises DataError where the parent's key is not unique.
    """
    own = pl.DataFrame(parts(child, key.columns, parent, key.parent_columns))
    known = pl.DataFrame(parts(parent, key.parent_columns, child, key.columns)).with_row_index("row").drop_nulls()
    doubles = known.filter(pl.struct(own.columns).is_duplicated())
    if doubles.height:
        shown = ", ".join(str(r[1:] if len(r) > 2 else r[1]) for r in doubles.unique(own.columns).head(5).rows())
        reason = f"the key {key} of table {table!r} names rows by values that stand twice, such as {shown}."
        where = key.parent_columns[0] if len(key.parent_columns) == 1 else key.parent_columns
        fix = "Remove the doubles, or take the key out of the schema."
        raise DataError(reason, table=key.parent, column=where, row=int(doubles["row"][0]), fix=fix)
    joined = own.join(known, on=own.columns, how="left", maintain_order="left")["row"]
    missing = own.select(pl.any_horizontal(pl.all().is_null())).to_series().to_numpy()
    rows = joined.cast(pl.Int64).fill_null(DANGLING).to_numpy()
    return np.where(missing, NONE, rows)
