"""Files to data and back: `read` gives a dataset and how the file looked, `write` makes another one that looks like it.

    csv tsv txt        delimited.py   all as text, then typed by whole columns; letter by letter the same when written
    parquet arrow      columnar.py    types as they are (also .feather, .ipc)
    xlsx               workbook.py    one sheet a table
    json jsonl         objects.py     one object a row (also .ndjson)
                       nested.py      documents of objects and lists, as related tables
    xes                xes.py         an event log, one row an event
    a folder           here           one file a table
                       parts.py       part files, also in folders such as year=2024: one table

Text formats may also be packed: `.csv.gz`, `.jsonl.zst`. `-` is standard input or output. What is written appears whole
or not at all, chunk by chunk in bounded memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl

from verosim.errors import ArgumentError, DataError, FileError, did_you_mean
from verosim.files import columnar, delimited, disk, objects, parts, workbook, xes
from verosim.files.disk import STANDARD
from verosim.files.layout import ColumnLayout, Layout

__all__ = ["FORMATS", "ColumnLayout", "Layout", "Source", "check_writable", "read", "write"]

FORMATS: Final = {
    "csv": "csv", "tsv": "tsv", "tab": "tsv", "txt": "csv", "parquet": "parquet", "pq": "parquet", "arrow": "arrow",
    "feather": "arrow", "ipc": "arrow", "xlsx": "xlsx", "json": "json", "jsonl": "jsonl", "ndjson": "jsonl",
    "xes": "xes",
}  # fmt: skip  # suffix -> format
_PACKED: Final = {"gz": "gzip", "zst": "zstd"}  # suffix -> compression
_METADATA: Final = 10_000_000  # bytes that a description of tables has at most
_TEXT: Final = ("csv", "tsv", "json", "jsonl", "xes")  # formats that may be packed
Frames = pl.DataFrame | Iterable[pl.DataFrame]  # a table, whole or chunk by chunk


@dataclass(frozen=True, slots=True)
class Source:
    """What was read: the tables, how the file looked, what was decided on the way, and which bytes were read."""

    dataset: dict[str, pl.DataFrame]
    layout: Layout
    notes: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)  # file name -> SHA-256 of its bytes
    about: tuple[str, ...] = ()  # files beside those of a folder that say what these mean


# ------------------------------------------------------------------------------------------------- names


def _format(path: str | Path, format: str | None = None) -> tuple[str, str | None]:
    """The format and compression that a name tells, or the format asked for; FileError for an unknown suffix."""
    known = sorted(set(FORMATS.values()))
    if format is not None and format not in known:
        raise ArgumentError(f"format {format!r}: {did_you_mean(format, known)}")
    *_, before, last = ["", "", *Path(path).name.lower().split(".")[1:]]
    compression = _PACKED.get(last)
    suffix = before if compression else last
    found = format or FORMATS.get(suffix) or ("csv" if str(path) == STANDARD else None)
    if found is None and suffix == "":
        raise FileError(f"{path}: a suffix was wanted that tells the format, such as .csv or .parquet.")
    if found is None:
        raise FileError(f"{path}: the suffix {'.' + suffix!r} is not known; {did_you_mean(suffix, FORMATS)}")
    if compression and found not in _TEXT:
        raise FileError(f"{path}: {found} files have their own compression; leave out .{last}.")
    return found, compression


def _table(path: Path) -> str:
    """A table's name: the file's, without its suffixes."""
    name = path.name
    for suffix in (*_PACKED, *FORMATS):
        name = name[: -len(suffix) - 1] if name.lower().endswith("." + suffix) else name
    return name or path.name


# ------------------------------------------------------------------------------------------------- reading


def read(path: str | Path, *, table: str | None = None, format: str | None = None, header: bool = True) -> Source:
    """The tables of a file or a folder of files; `-` reads standard input.

    `table` names the table (else the file's name does), `format` overrides the suffix, `header=False` says that a
    delimited file has no header row. Raises FileError where a file cannot be read as what it is, DataError where its
    rows or columns cannot be used.
    """
    if str(path) != STANDARD and Path(path).is_dir():
        return _read_folder(Path(path), format, header)
    source = _read_file(path, table, format, header)
    for name, frame in source.dataset.items():
        if len(source.dataset) == 1 and frame.is_empty():
            raise FileError(f"{path}: table {name!r} has no rows, only {frame.width} column names.")
    return source


def _read_file(path: str | Path, table: str | None, format: str | None, header: bool) -> Source:
    name = "standard input" if str(path) == STANDARD else str(path)
    table = table or ("table" if str(path) == STANDARD else _table(Path(path)))
    if str(path) != STANDARD and not Path(path).exists():
        disk.load(path)  # says which name is near, before the suffix is judged
    kind, _ = _format(path, format)
    data = disk.load(path)
    digest = {name: hashlib.sha256(data).hexdigest()}
    if not data:
        raise FileError(f"{name}: is empty (0 bytes).")
    data, compression = disk.unpack(data, name) if kind in _TEXT else (data, None)
    dataset, layout, notes = _tables(data, name, table, kind, header)
    return Source(dataset, replace(layout, compression=compression), tuple(notes), digest)


def _tables(
    data: bytes, name: str, table: str, kind: str, header: bool
) -> tuple[dict[str, pl.DataFrame], Layout, list[str]]:
    if kind in ("csv", "tsv"):
        frame, layout, notes = delimited.read(data, name, table, format=kind, header=header)
        return {table: frame}, layout, notes
    if kind in ("json", "jsonl"):
        return objects.read(data, name, table, kind)
    if kind == "xes":
        frame, notes = xes.read(data, name, table)
        return {table: frame}, Layout(kind), notes
    if kind == "xlsx":
        frames, sheets, notes = workbook.read(data, name, table)
        return frames, Layout(kind, tables={t: Layout(kind, file=s) for t, s in sheets.items()}), notes
    return {table: columnar.read(data, name, kind)}, Layout(kind), []


def _read_folder(folder: Path, format: str | None, header: bool) -> Source:
    """One table a file, in the order of their names; files of other kinds are left out, with a note."""
    if found := parts.files_of(folder, FORMATS):
        return _read_parts(folder, found, format, header)
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    data = [p for p in files if any(s in _PACKED or s in FORMATS for s in [p.name.lower().rpartition(".")[2]])]
    about = [p for p in data if _describes(p)]
    data = [p for p in data if p not in about]
    if not data:
        raise FileError(f"{folder}: no data files in this folder; wanted are {', '.join('.' + s for s in FORMATS)}.")
    tables: dict[str, pl.DataFrame] = {}
    layouts: dict[str, Layout] = {}
    notes = [f"{p.name}: not a data file, left out" for p in files if p not in data and p not in about]
    notes += [f"{p.name}: describes tables, and is none of them" for p in about]
    digests: dict[str, str] = {}
    for path in data:
        source = _read_file(path, None, format, header)
        for name, frame in source.dataset.items():
            if name in tables:
                raise FileError(f"{folder}: table {name!r} stands in both {layouts[name].file} and {path.name}.")
            tables[name] = frame
            layouts[name] = replace(source.layout, file=path.name)
        notes += [f"{path.name}: {note}" for note in source.notes]
        digests |= source.digests
    return Source(tables, Layout("folder", tables=layouts), tuple(notes), digests, tuple(map(str, about)))


def _read_parts(folder: Path, files: list[Path], format: str | None, header: bool) -> Source:
    """One table from its part files; the keys in the names of their folders are columns."""
    name, sources = _table(Path(folder.resolve().name)), [_read_file(path, "part", format, header) for path in files]
    keys = [parts.keys_of(path, folder) for path in files]
    frames = [next(iter(source.dataset.values())) for source in sources]
    frame = parts.together(frames, keys, [str(path.relative_to(folder)) for path in files], name)
    digests = {digest_of: digest for source in sources for digest_of, digest in source.digests.items()}
    said = f", with {', '.join(keys[0])} from the names of their folders" if keys[0] else ""
    notes = dict.fromkeys(note for source in sources for note in source.notes)
    own = sources[0].layout
    packed = next((f".{suffix}" for suffix, kind in _PACKED.items() if kind == own.compression), "")
    own = replace(own, file=f"part-0.{own.format}{packed}", folders="/".join(keys[0]))
    layout = Layout("folder", tables={name: own})
    return Source({name: frame}, layout, (f"{len(files):,} part files are one table{said}", *notes), digests)


def _describes(path: Path) -> bool:
    """Whether a file beside the tables says what they mean: a schema of ours, or metadata of another system."""
    if path.suffix.lower() != ".json" or path.stat().st_size > _METADATA:
        return False
    try:
        data = json.loads(path.read_bytes())
    except ValueError:
        return False  # read as data, it says where it is wrong
    return isinstance(data, dict) and (
        "METADATA_SPEC_VERSION" in data or {"verosim", "tables"} <= {*data} or {"tables", "relationships"} <= {*data}
    )


# ------------------------------------------------------------------------------------------------- writing


def check_writable(path: str | Path, *, format: str | None = None) -> None:
    """Raise FileError where `write` could not write to this path: call it before long work. Leaves nothing behind."""
    folder, keys = parts.asked(path)
    if keys:
        parts.check_free(folder)
        path = folder
    if str(path) != STANDARD and not _is_folder(path, format):
        _format(path, format)
    disk.check_writable(Path(path) / "any" if Path(path).is_dir() else path)


def write(
    frames: Frames | Mapping[str, Frames],
    path: str | Path,
    layout: Layout | None = None,
    *,
    table: str | None = None,
    format: str | None = None,
) -> None:
    """Write a table (a frame or chunks of one, at least one), or tables by name, looking as `layout` says.

    The path's suffix decides the format and compression, `layout` the rest; a path without suffix is a folder with one
    file a table. Files appear whole or not at all. Raises FileError where the path cannot be written, DataError where
    the format cannot hold the data.
    """
    if isinstance(frames, Mapping):
        tables = dict(frames)
    else:
        name = table or ("table" if str(path) == STANDARD else _table(Path(path)))
        tables = {name: frames}
    chunks = {name: _chunks(part, name) for name, part in tables.items()}
    layout = layout or Layout(format or "csv")
    folder, keys = parts.asked(path)
    own = layout.tables.get(next(iter(tables)), Layout("parquet"))
    if len(tables) == 1 and (keys or (own.folders and _is_folder(path, format))):
        _write_parts(chunks, folder, replace(own, folders="/".join(keys) or own.folders))
        return
    if keys:
        raise ArgumentError(f"{path}: {len(tables)} tables are not written in parts; name a folder.")
    if isinstance(frames, Mapping) and _is_folder(path, format):
        _write_folder(chunks, Path(path), layout, format)
        return
    kind, compression = _format(
        path, format or (layout.format if str(path) == STANDARD and layout.format in FORMATS.values() else None)
    )
    if len(chunks) != 1 and kind not in ("xlsx", "json") and not (kind == "jsonl" and layout.nested):
        raise ArgumentError(f"{path}: {len(chunks)} tables do not fit one {kind} file; name a folder, .xlsx or .json.")
    with disk.atomic(path) as out:
        _write_tables(chunks, out, _fitting(layout, kind, compression))


def _is_folder(path: str | Path, format: str | None) -> bool:
    return str(path) != STANDARD and (Path(path).is_dir() or (not Path(path).suffix and format is None))


def _fitting(layout: Layout, kind: str, compression: str | None) -> Layout:
    """The layout in another format: forms stay, and the delimiter where both are delimited text of one kind."""
    delimiter = layout.delimiter if layout.format == kind else "\t" if kind == "tsv" else ","
    return replace(layout, format=kind, compression=compression, delimiter=delimiter)


def _write_tables(chunks: Mapping[str, Iterator[pl.DataFrame]], out: BinaryIO, layout: Layout) -> None:
    name, first = next(iter(chunks.items()))
    if layout.format == "xlsx":
        workbook.write(chunks, out, {t: shape.file or "" for t, shape in layout.tables.items()})
    elif layout.format in ("parquet", "arrow"):
        columnar.write(first, out, layout.format)
    else:
        with disk.packed(out, layout.compression) as sink:
            if layout.format in ("json", "jsonl") and layout.nested:
                objects.write_documents(chunks, sink, layout)
            elif layout.format == "json":
                objects.write_json(chunks, sink, wrapped=len(chunks) > 1 or name in layout.tables)
            elif layout.format == "jsonl":
                objects.write_lines(first, sink, name)
            elif layout.format == "xes":
                xes.write(first, sink, name, layout.keys)
            else:
                delimited.write(first, sink, layout, name)


def _write_folder(
    chunks: Mapping[str, Iterator[pl.DataFrame]], folder: Path, layout: Layout, format: str | None
) -> None:
    """One file a table, all put in place at the end, together."""
    made = not folder.exists()
    if made:
        disk.make_folder(folder)
    together: dict[Path, tuple[Layout, dict[str, Iterator[pl.DataFrame]]]] = {}  # sheets, or the tables of documents
    for name, part in chunks.items():
        shape = layout.tables.get(name, Layout(layout.format if layout.format in FORMATS.values() else "csv"))
        path = _inside(folder, shape.file or f"{name}.{shape.format}")
        together.setdefault(path, (shape, {}))[1][name] = part
    try:
        with contextlib.ExitStack() as stack:  # closes, and so renames, only when all are written
            for path, (shape, parts) in together.items():
                kind, compression = _format(path, format)
                out = stack.enter_context(disk.atomic(path))
                _write_tables(parts, out, _fitting(shape, kind, compression))
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _write_parts(chunks: Mapping[str, Iterator[pl.DataFrame]], folder: Path, layout: Layout) -> None:
    """One table in part files, in folders by its keys."""
    ((name, rows),) = chunks.items()
    suffix = (layout.file or "").removeprefix("part-0.") or layout.format

    def put(frames: Iterator[pl.DataFrame], out: BinaryIO) -> None:
        _write_tables({name: frames}, out, layout)

    parts.write(rows, folder, layout.folders.split("/"), suffix, put, name)


def _inside(folder: Path, name: str) -> Path:
    """The file of that name in the folder; FileError for a name that leads elsewhere."""
    path = folder / name
    if path.parent != folder or path.name in ("", "..") or "\0" in name:
        raise FileError(f"{name!r} is no name for a file in {str(folder)!r}: rename the table.")
    return path


def _chunks(frames: Frames, table: str) -> Iterator[pl.DataFrame]:
    """The chunks, checked: at least one, all with the columns and types of the first."""
    schema = None
    for frame in [frames] if isinstance(frames, pl.DataFrame) else frames:
        if schema is not None and frame.schema != schema:
            other = next((n for n in schema if frame.schema.get(n) != schema[n]), None)
            raise DataError("a chunk has other columns or types than the first.", table=table, column=other)
        schema = frame.schema
        yield frame
    if schema is None:
        raise ArgumentError(f"table {table!r}: no chunk to write; give at least one frame, which may have no rows.")
