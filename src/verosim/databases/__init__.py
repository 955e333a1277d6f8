"""Databases as sources and targets: wherever a file's path goes, a URL or the file of an embedded database goes too.

    places.py      what a URL says; drivers, passwords, connections, errors
    structure.py   tables, types, keys and constraints, kept as plain data
    reflecting.py  a database -> its structure; duckdb.py  the same for one that SQLAlchemy cannot ask
    values.py      values of a database <-> polars columns, exactly
    reading.py     rows out, of one moment; the source is never written to
    types.py       structure -> the tables of another database
    writing.py     rows in, parents first, all or nothing

SQLAlchemy, the extra `sql`, is imported when a database is opened, and not by `places` and `structure`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from verosim.databases.places import SUFFIXES, Pick, file_of, is_database, named, same, shown, url_of
from verosim.databases.structure import Structure, condition
from verosim.files import Source
from verosim.schema import Schema

__all__ = [
    "SUFFIXES",
    "Pick",
    "check_target",
    "condition",
    "described",
    "file_of",
    "is_database",
    "known",
    "named",
    "read",
    "same",
    "shown",
    "write",
]


def read(place: str | Path, pick: Pick | None = None) -> Source:
    """The tables of a database, parents first; what they are made of lies in the layout. The database is only read.

    Raises DatabaseError where it cannot be reached or read, DataError for values that cannot be carried,
    MissingExtraError where a driver is not installed.
    """
    url_of(place)  # says what is to be installed
    from verosim.databases import reading

    return reading.read(place, pick or Pick())


def described(place: str | Path, pick: Pick | None = None) -> Structure:
    """What the tables of a database are made of, parents first. No row is read.

    Raises DatabaseError where it cannot be reached, MissingExtraError where a driver is not installed.
    """
    url_of(place)
    from verosim.databases import reading

    return reading.described(place, pick or Pick())


def check_target(place: str | Path, replace: bool = False) -> None:
    """Raise DatabaseError where `write` could not write to this place: call it before long work. Changes nothing."""
    url_of(place)
    from verosim.databases import writing

    writing.check_target(place, replace)


def write(
    frames: Mapping[str, pl.DataFrame | Iterable[pl.DataFrame]],
    place: str | Path,
    structure: Mapping[str, Any] | None = None,
    *,
    schema: Schema | None = None,
    replace: bool = False,
) -> list[str]:
    """Make tables and fill them, all or none; -> notes on what the database cannot hold.

    structure: that of a database that was read (`Layout.structure`); without it the keys of `schema` are set. A
    database that holds tables is refused, or those of the same names are replaced. Raises DatabaseError and DataError.
    """
    url_of(place)
    from verosim.databases import writing

    chunks = {n: iter([part] if isinstance(part, pl.DataFrame) else part) for n, part in frames.items()}
    made_of = Structure.from_dict(structure) if structure else Structure.of_schema(schema or Schema())
    return writing.write(chunks, place, made_of, replace)


def known(schema: Schema, structure: Mapping[str, Any]) -> Schema:
    """A schema with what a database knows for certain: keys, and columns without doubles."""
    return Structure.from_dict(structure).tell(schema)
