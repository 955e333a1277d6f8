"""Long runs in parts, which go on where they were broken off: they lie in a folder `.parts` beside what is made.

A part is a folder with a file of each table, and `done.json`, written last: it says that the part is whole, and what
its maker wants to know of it again. When all parts are there, their files are put together, and the parts go. Names
that begin with a dot are the maker's own, and are not put together; visits.000000.parquet and visits.000001.parquet
are slices of one table.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import polars as pl

from verosim import files
from verosim.files import columnar, disk, xes

FOLDER: Final = ".parts"
DONE: Final = "done.json"
_RUN: Final = "run.json"
_SLICE: Final = re.compile(r"\.\d{6}\.parquet$")
_COLUMNAR: Final = {".parquet": "parquet", ".arrow": "arrow"}
_ENDS: Final = {".xes": (len(xes.HEAD.encode()), len(xes.TAIL.encode()))}  # bytes that only whole files begin, end with


class Parts:
    """The parts of one run. settings: what decides its bytes; parts of another run that lie here are removed."""

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        """Raises FileError where the folder cannot be made."""
        self.out, self.folder = out, out / FOLDER
        text, note = json.dumps(settings, sort_keys=True, default=str), self.folder / _RUN
        if self.folder.is_dir() and not (note.is_file() and note.read_text(encoding="utf-8") == text):
            shutil.rmtree(self.folder)
        for folder in (out, self.folder):
            if not folder.is_dir():
                disk.make_folder(folder)
        with disk.atomic(note) as sink:
            sink.write(text.encode())

    def place(self, number: int) -> Path:
        """The folder of a part."""
        return self.folder / f"{number:06}"

    def told(self, number: int) -> dict[str, Any] | None:
        """What a part that is whole says of itself; None where there is none."""
        done = self.place(number) / DONE
        return json.loads(done.read_text(encoding="utf-8")) if done.is_file() else None

    @contextmanager
    def part(self, number: int) -> Iterator[tuple[Path, dict[str, Any]]]:
        """A new part, while it is made: its folder, and what it will say of itself, to be filled in."""
        folder, told = self.place(number), dict[str, Any]()
        if folder.is_dir():
            shutil.rmtree(folder)
        disk.make_folder(folder)
        yield folder, told
        with disk.atomic(folder / DONE) as sink:
            sink.write(json.dumps(told).encode())

    def put_together(self) -> None:
        """Put the files of all parts together, each as a whole; then the parts are gone."""
        places = sorted(p for p in self.folder.iterdir() if p.is_dir())
        found: dict[Path, list[Path]] = {}
        for place in places:
            for path in sorted(p for p in place.rglob("*") if p.is_file()):
                name = path.relative_to(place)
                if name != Path(DONE) and not any(part.startswith(".") for part in name.parts):
                    found.setdefault(name.with_name(_SLICE.sub(".parquet", name.name)), []).append(path)
        for name, paths in found.items():
            together(paths, self.out / name)
        self.drop()

    def drop(self) -> None:
        """Remove the parts."""
        shutil.rmtree(self.folder, ignore_errors=True)


def together(parts: Sequence[Path], out: Path) -> None:
    """Make one file of its parts: delimited text with one header, Parquet and Arrow by rows, others as they are."""
    if not out.parent.is_dir():
        disk.make_folder(out.parent)
    if len(parts) == 1:
        disk.move(parts[0], out)
    elif out.suffix in _COLUMNAR:
        files.write((_frame(part) for part in parts), out)
    else:
        with disk.atomic(out) as sink:
            for place, part in enumerate(parts):
                _append(part, sink, place == 0, place == len(parts) - 1)


def _frame(part: Path) -> pl.DataFrame:
    return columnar.read(disk.load(part), str(part), _COLUMNAR[part.suffix])


def _append(part: Path, sink: BinaryIO, first: bool, last: bool) -> None:
    """The bytes of a text file, without what only the first one begins and the last one ends with."""
    head, tail = _ENDS.get(part.suffix, (0, 0))
    with part.open("rb") as source:
        if not first:
            source.seek(head)
            _skip_header(source, part.suffix)
        left = part.stat().st_size - source.tell() - (0 if last else tail)
        while left > 0:
            left -= sink.write(source.read(min(left, 1 << 20)))


def _skip_header(source: BinaryIO, suffix: str) -> None:
    """Names of columns may hold line ends, within quotes."""
    if suffix in (".csv", ".tsv"):
        header = source.readline()
        while header.count(b'"') % 2:
            header += source.readline()
