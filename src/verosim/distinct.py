"""Values of a key that no row has yet, for where chance finds them no longer: a key that uses up nearly all there are.

A school has a class of each level and letter: 13 levels and 3 letters for 39 rows. Drawn one by one they come to an end
long before the last; here the combinations that are left are listed, and handed out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.schema import Column, Table

MOST: Final = 1 << 20  # combinations that are listed, at most


def hashes(keys: pl.DataFrame) -> npt.NDArray[np.uint64]:
    """(n,) a number for each row of a key."""
    return keys.hash_rows(0).to_numpy()


def with_spare(
    frame: pl.DataFrame, names: Sequence[str], table: Table, taken: Collection[int], rng: np.random.Generator
) -> pl.DataFrame | None:
    """The frame with other keys in those rows that repeat one before them; None where so many are not left.

    taken: `hashes` of keys beyond this frame that others have.

    >>> from verosim.schema import Column, Table
    >>> table = Table("t", (Column("level", "number", "int64", 1, 2), Column("letter", "category", "str")))
    >>> frame = pl.DataFrame({"level": [1, 1, 2, 1], "letter": ["a", "b", "a", "b"]})
    >>> with_spare(frame, ["level", "letter"], table, (), np.random.default_rng(0)).row(3)
    (2, 'b')
    """
    own = hashes(frame.select(names)).tolist()
    every = _combinations(frame, names, table, len(own) - len({*own} - {*taken}))
    if every is None:
        return None
    order = rng.permutation(every.height)
    left = iter(zip(order.tolist(), hashes(every)[order].tolist(), strict=True))
    used, rows, keys = {*taken}, list[int](), list[int]()
    for row, key in enumerate(own):
        if key in used:
            place, key = next((pair for pair in left if pair[1] not in used), (-1, 0))
            if place < 0:
                return None
            rows.append(row)
            keys.append(place)
        used.add(key)
    return frame.with_columns(frame[name].clone().scatter(rows, every[name][keys]) for name in names)


def _combinations(frame: pl.DataFrame, names: Sequence[str], table: Table, more: int) -> pl.DataFrame | None:
    """All combinations of what may stand in the columns; None where they cannot be listed."""
    lists = [_values(frame[name], table[name], more) for name in names]
    known = [values for values in lists if values is not None]
    if len(known) < len(lists) or np.prod([float(len(values)) for values in known]) > MOST:
        return None
    every = pl.DataFrame(known[0])
    for values in known[1:]:
        every = every.join(pl.DataFrame(values), how="cross")
    return every


def _values(series: pl.Series, column: Column, more: int) -> pl.Series | None:
    """What may stand in a column: whole numbers and days from the lowest to the highest, and `more` beyond where no
    bound is set; the levels of others. None for what cannot be listed."""
    known = series.drop_nulls()
    if not len(known) or series.dtype.is_float() or series.dtype.is_decimal():
        return None
    if column.kind not in ("number", "date") or series.dtype == pl.String:
        return known.unique().sort()
    step = column.step or 1
    low, high = (int(end) for end in (known.to_physical().min(), known.to_physical().max()))  # type: ignore[arg-type]
    if series.dtype.is_integer():
        low = low if column.minimum is None else int(column.minimum)
        high = high + more * step if column.maximum is None else int(column.maximum)
    else:
        high += more * step
    if (high - low) // step >= MOST:
        return None
    return pl.Series(series.name, np.arange(low, high + 1, step)).cast(series.to_physical().dtype).cast(series.dtype)
