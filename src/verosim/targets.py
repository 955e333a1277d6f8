"""Where results go: names beside the input, checks before long work, one way into a file, a folder or a database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from verosim import databases, files
from verosim.databases import is_database, named, shown
from verosim.errors import ArgumentError, FileError
from verosim.files import Layout, disk, xes
from verosim.files.disk import STANDARD, atomic, check_writable
from verosim.schema import Schema, Sequence


def check_targets(sources: Iterable[Any], out: str | Path, report: str | Path | None = None) -> None:
    """Raise FileError where an input is missing, an output would overwrite it, or the report cannot be written."""
    read = [s for s in sources if isinstance(s, str | Path) and str(s) != STANDARD]
    for source in read:
        path = databases.file_of(source) if is_database(source) else Path(source)
        if path is not None and not path.exists():
            disk.load(path)  # says which name is near
    for target in [out] if report is None else [out, report]:
        if str(target) != STANDARD and any(databases.same(target, source) for source in read):
            raise FileError(f"{shown(target)}: this is an input; write the output somewhere else.")
    if report is not None:
        if str(out) != STANDARD and databases.same(out, report):
            raise FileError(f"{report}: the output and the report cannot be one file.")
        check_writable(report)


def check_place(out: str | Path, replace_tables: bool = False) -> None:
    """Raise FileError where rows could not be written to this file or database: call it before long work."""
    if is_database(out):
        databases.check_target(out, replace_tables)
    else:
        files.check_writable(out)


def beside(source: str | Path, what: str, suffix: str | None = None, folder: Path | None = None) -> Path:
    """adult.csv.gz -> adult.synthetic.csv.gz, or adult.report.html; a folder adult -> adult-synthetic.

    What comes of a database on a server is called by its name: postgresql://host/clinic -> clinic.synthetic.db.
    """
    if str(source) == STANDARD:
        raise ArgumentError("data from standard input have no name: say where the output goes with --out.")
    path = named(source)
    folder = path.parent if folder is None else folder
    stem, (head, _, end) = path.name, path.name.rpartition(".")
    while head and end.lower() in (*files.FORMATS, *databases.SUFFIXES, "gz", "zst"):
        stem, (head, _, end) = head, head.rpartition(".")
    if suffix is None and path.is_dir():
        return folder / f"{path.name}-{what}"  # a dot would make it the name of a file
    return folder / f"{stem}.{what}{path.name[len(stem) :] if suffix is None else suffix}"


def numbered(out: str | Path, m: int) -> list[str | Path]:
    """The names of m files: out.csv -> out.1.csv, out.2.csv ..."""
    if str(out) == STANDARD:
        raise ArgumentError("several files cannot go to standard output: give --out a name.")
    if is_database(out) and databases.file_of(out) is None:
        raise ArgumentError(f"{shown(out)}: several samples do not go into one database: give --out a file.")
    return [beside(out, str(number)) for number in range(1, m + 1)]


def default_output(layout: Layout | None, model_file: str | Path) -> Path:
    """adult.verosim -> adult.synthetic.csv, in the format of the file that was learned; Parquet for data in memory."""
    stem = Path(model_file).with_suffix("")
    if layout is None:
        return stem.with_name(f"{stem.name}.synthetic.parquet")
    if layout.format == "folder":
        return stem.with_name(f"{stem.name}-synthetic")
    if layout.format == "database":
        return stem.with_name(f"{stem.name}.synthetic.db")
    packed = {"gzip": ".gz", "zstd": ".zst"}.get(layout.compression or "", "")
    return stem.with_name(f"{stem.name}.synthetic.{layout.format}{packed}")


def put(
    frames: Mapping[str, Any],
    out: str | Path,
    layout: Layout | None,
    schema: Schema | None = None,
    replace_tables: bool = False,
) -> list[str]:
    """Tables, whole or block by block, into a file, a folder or a database. -> notes on what a database cannot hold."""
    if is_database(out):
        structure = layout.structure if layout else None
        return databases.write(frames, out, structure, schema=schema, replace=replace_tables)
    if len(frames) == 1 and not (layout and layout.format == "folder"):
        (name,) = frames
        if schema and ".xes" in Path(out).suffixes:
            layout = with_keys(layout or Layout("xes"), schema[name].sequence)
        files.write(frames[name], out, layout, table=name)
    else:
        files.write(frames, out, layout)
    return []


def with_keys(layout: Layout, order: Sequence | None) -> Layout:
    """The layout with the XES keys of the columns that have a part in an event log."""
    if layout.format == "xes" or order is None:
        return layout
    found = {order.key: xes.CASE, order.activity: xes.ACTIVITY, order.time: xes.TIME, order.resource: xes.RESOURCE}
    found |= {name: f"{xes.OF_CASE}{name}" for name in order.statics}
    return replace(layout, keys={column: key for column, key in found.items() if column})


def save_schema(schema: Schema, path: str | Path) -> None:
    """Write a schema file as `Schema.save` does, whole or not at all."""
    with atomic(path) as out:
        out.write(schema.to_text(Path(path).suffix).encode())
