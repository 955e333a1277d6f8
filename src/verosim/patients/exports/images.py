"""The images of imaging studies: as many as their series declare, or so many as chance gives between two numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from verosim.draws import scattered
from verosim.patients.exports.block import Block

_ROOT: Final = "1.2.840.99999999.1"
_ELEVEN: Final = np.uint64(11)  # bits off a hash leave the 53 of a float
_TEXTS: Final = ("site_code", "site", "modality_code", "modality", "title", "sop_code", "sop")
_SCHEMA: Final = {"item": pl.Int32, **dict.fromkeys(("series", "instance", "low", "high"), pl.Int64),
                  **dict.fromkeys(_TEXTS, pl.String)}  # fmt: skip


def instances(block: Block) -> pl.DataFrame:
    """A row an image: the study's row, its series and number, and the codes of what it shows.

    item, series, instance (numbers), site_code, site, modality_code, modality, title, sop_code, sop, and unique
    identifiers: series_uid, instance_uid.
    """
    rows = block.rows("imaging")
    found = block["imaging"]
    uid = found["uid"][rows]
    studies = pl.DataFrame({
        "row": rows, "item": found["item"][rows], "date": found["start"][rows], "uid": uid,
        "chance": (uid % np.uint64(10**8)).astype(np.int64),
    })  # fmt: skip
    images = studies.join(_declared(block), on="item", how="inner", maintain_order="left_right")
    return _repeated(images).with_columns(
        series_uid=pl.format(f"{_ROOT}.{{}}.{{}}.{{}}", "series", "chance", "date"),
        instance_uid=pl.format(f"{_ROOT}.{{}}.{{}}.{{}}.{{}}", "series", "instance", "chance", "date"),
    )


def _declared(block: Block) -> pl.DataFrame:
    """A row for each image that an item declares; low and high: how many there are of it, 0 for one."""
    found = []
    for number, item in enumerate(block.catalogue.items):
        if item.table == "imaging":
            for s, series in enumerate(item.spec.get("series") or ()):
                found += [(number, s + 1, *image) for image in _of_series(series)]
    return pl.DataFrame(found, schema=_SCHEMA, orient="row")


def _of_series(series: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Number, least, most and texts of images; of the first one alone where chance says how many there are."""
    low, high = (int(series.get(f"{end}_number_instances") or 0) for end in ("min", "max"))
    many = 0 < low <= high
    site, modality = series.get("body_site") or {}, series.get("modality") or {}
    for i, image in enumerate(series.get("instances") or ()):
        sop = image.get("sop_class") or {}
        texts = (site.get("code"), site.get("display"), modality.get("code"), modality.get("display"),
                 image.get("title"), sop.get("code"), sop.get("display"))  # fmt: skip
        if not many or i == 0:
            yield (i + 1, low * many, high * many, *(None if text is None else str(text) for text in texts))


def _repeated(images: pl.DataFrame) -> pl.DataFrame:
    """Each row as many times as the study's chance says, and instances numbered within their series."""
    low, high = images["low"].to_numpy(), images["high"].to_numpy()
    key = images["uid"].to_numpy() ^ images["series"].to_numpy().astype(np.uint64)
    u = (scattered(key) >> _ELEVEN) * 2.0**-53
    n = np.where(low > 0, low + (u * (high - low + 1)).astype(np.int64), 1)
    out = images[np.repeat(np.arange(len(n)), n)]
    place = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
    return out.with_columns(pl.col("instance") + pl.Series(place)).drop("low", "high", "uid")
