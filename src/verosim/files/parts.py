"""A table in part files: part-0.parquet, part-1.parquet ..., also in folders whose names hold a key, year=2024/month=1.

These are the forms that Spark, Hive, Dask, DuckDB and polars write; new rows are written so too.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

import polars as pl

from verosim.errors import DataError, FileError, did_you_mean
from verosim.files import columnar, disk

MISSING: Final = "__HIVE_DEFAULT_PARTITION__"  # how a folder's name says that there is no value
_PART: Final = re.compile(
    r"((part|chunk|block|shard|data|file)[-_.]?)?\d+([-_][0-9a-z-]+)*|(part|data)-[0-9a-f-]{36}.*", re.I
)
_KEY: Final = re.compile(r"([^=/]+)=(.*)")
_DEEPEST: Final = 8  # folders within folders


def files_of(folder: Path, suffixes: Container[str]) -> list[Path]:
    """The part files of a folder, in order; none where it does not hold a single table in parts.

    Its folders are all of one key, or else its data files are numbered parts of one kind, two at least.
    """
    shown = sorted(p for p in folder.iterdir() if not p.name.startswith((".", "_")))
    if any(p.is_dir() and _KEY.fullmatch(p.name) for p in shown):
        return _within(folder, suffixes, 0)
    data = [p for p in shown if p.is_file() and _suffix(p) in suffixes]
    parts = len(data) > 1 and all(_PART.fullmatch(p.name.split(".")[0]) for p in data)
    return data if parts and len({_suffix(p) for p in data}) == 1 else []


def _within(folder: Path, suffixes: Container[str], depth: int) -> list[Path]:
    shown = sorted(p for p in folder.iterdir() if not p.name.startswith((".", "_")))
    keys = [_KEY.fullmatch(p.name) for p in shown if p.is_dir()]
    names = {match[1] for match in keys if match}
    if len(names) > 1 or None in keys or depth > _DEEPEST:
        raise FileError(f"{folder}: folders of one key were wanted, such as year=2023 and year=2024, and no others.")
    files = [p for p in shown if p.is_file() and _suffix(p) in suffixes]
    if keys and files:
        raise FileError(
            f"{folder}: {files[0].name!r} lies beside folders of the key {names.pop()!r}; move it into one."
        )
    found = [path for p in shown if p.is_dir() for path in _within(p, suffixes, depth + 1)]
    return found or files


def _suffix(path: Path) -> str:
    """The suffix that tells the format, in small letters."""
    *_, before, last = ["", "", *path.name.lower().split(".")[1:]]
    return before if last in ("gz", "zst") else last


def keys_of(path: Path, folder: Path) -> dict[str, str | None]:
    """year=2024/month=1/part-0.parquet -> {"year": "2024", "month": "1"}"""
    matches = [_KEY.fullmatch(part) for part in path.relative_to(folder).parts[:-1]]
    found = {unquote(m[1]): unquote(m[2]) for m in matches if m}
    return {name: None if value == MISSING else value for name, value in found.items()}


def together(
    frames: Sequence[pl.DataFrame], keys: Sequence[Mapping[str, str | None]], names: Sequence[str], table: str
) -> pl.DataFrame:
    """The rows of all parts, with the keys of their folders as columns behind; whole numbers and days become such.

    A key that stands in the files too must say the same. Raises DataError where parts differ, and names them.
    """
    first, order = frames[0].columns, list(keys[0])
    for frame, own, name in zip(frames, keys, names, strict=True):
        if lost := [*({*first} ^ {*frame.columns}), *({*order} ^ {*own})]:
            raise DataError(f"the parts {names[0]} and {name} differ in this column.", table=table, column=lost[0])
        _agrees(frame, own, name, table)
    for column in first:
        _alike(column, [f.schema[column] for f in frames], names, table)
    rows = pl.concat([f.select(first) for f in frames], how="vertical_relaxed", rechunk=True)
    part = pl.Series(range(len(frames)), dtype=pl.UInt32).repeat_by(pl.Series([f.height for f in frames]))
    part = part.explode(empty_as_null=False)
    columns = [_typed(key, [own[key] for own in keys]) for key in order if key not in first]
    return rows.with_columns(column.gather(part) for column in columns)


def asked(path: str | Path) -> tuple[Path, tuple[str, ...]]:
    """A path whose end names columns, each for folders of its values: sales/{year}/{month} -> sales, (year, month)."""
    path, keys = Path(path), list[str]()
    while match := re.fullmatch(r"\{([^{}]+)\}", path.name):
        keys.insert(0, match[1])
        path = path.parent
    return path, tuple(keys)


def check_free(folder: Path) -> None:
    """Raise FileError for a folder that holds anything: other parts in it would be of the same table."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileError(f"{folder}: is not empty; part files go into a folder of their own.")


def write(
    chunks: Iterator[pl.DataFrame], folder: Path, keys: Sequence[str], suffix: str, put: Callable[..., None], table: str
) -> None:
    """The rows in parts, in folders that hold their keys: year=2024/part-0.parquet. All is there, or nothing.

    put(frames, out): writes one file. Raises DataError for a column that is not there, or rows without any other.
    """
    check_free(folder)
    hidden = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(hidden, ignore_errors=True)
    disk.make_folder(hidden)
    try:
        first = next(chunks)
        _check_keys(first, keys, table)
        for number, chunk in zip(count(), columnar.regrouped(first, chunks), strict=False):
            for values, rows in chunk.partition_by(keys, as_dict=True, include_key=False, maintain_order=True).items():
                within = hidden.joinpath(*(_named(k, v) for k, v in zip(keys, values, strict=True)))
                within.mkdir(parents=True, exist_ok=True)
                with disk.atomic(within / f"part-{number}.{suffix}") as out:
                    put(iter([rows]), out)
        if folder.exists():
            folder.rmdir()
        disk.move(hidden, folder)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _check_keys(frame: pl.DataFrame, keys: Sequence[str], table: str) -> None:
    for key in keys:
        if key not in frame.columns:
            hint = did_you_mean(key, frame.columns)
            raise DataError(f"no such column to name folders by; {hint}", table=table, column=key)
    if frame.width == len(keys):
        raise DataError("all columns would be names of folders.", table=table, column=keys[0], fix="Leave one of them.")


def _named(key: str, value: object) -> str:
    """month=1"""
    return f"{quote(key, safe=' ')}={MISSING if value is None else quote(str(value), safe=' ')}"


def _agrees(frame: pl.DataFrame, own: Mapping[str, str | None], name: str, table: str) -> None:
    """What a part file says of its folder's key is what the folder says."""
    for key, value in own.items():
        if key in frame.columns and not frame.get_column(key).cast(pl.String).eq_missing(pl.Series([value])).all():
            said = f"{value!r} by the folder of {name}, but {frame.get_column(key).cast(pl.String)[0]!r} in it."
            raise DataError(said, table=table, column=key)


def _alike(column: str, dtypes: Sequence[pl.DataType], names: Sequence[str], table: str) -> None:
    """All of one type, or numbers; a part may have no value at all."""
    known = [(d, n) for d, n in zip(dtypes, names, strict=True) if d != pl.Null]
    for dtype, name in known:
        if dtype != known[0][0] and not (dtype.is_numeric() and known[0][0].is_numeric()):
            raise DataError(
                f"{known[0][0]} in {known[0][1]}, but {dtype} in {name};", table=table, column=column,
                fix="write all parts in one way.",
            )  # fmt: skip


def _typed(name: str, values: Sequence[str | None]) -> pl.Series:
    """Text as whole numbers or days, where every value is one and is written so; 01 stays text."""
    text = pl.Series(name, values, dtype=pl.String)
    for dtype in (pl.Int64, pl.Date):
        typed = text.cast(dtype, strict=False) if dtype == pl.Int64 else text.str.to_date("%Y-%m-%d", strict=False)
        if typed.cast(pl.String).eq_missing(text).all():
            return typed
    return text
