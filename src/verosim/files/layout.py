"""How a file looked: `Layout`, all that is needed to write another one like it. Frozen, and to plain JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from verosim.errors import ArgumentError, did_you_mean
from verosim.forms import Form


@dataclass(frozen=True, slots=True)
class ColumnLayout:
    """How one column of a delimited file writes its cells."""

    form: str | None = None  # how its text is typed: see `verosim.forms`; None: text as it stands
    null: str = ""  # the raw cell of a missing value, with its quotes if it has any: `NA`, `""`
    quoted: bool = False  # every value in quotes; False: only where needed
    header_quoted: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file looked. What a format does not have keeps its default."""

    format: str = "csv"  # one of verosim.files.FORMATS, or "folder", or "database"
    compression: str | None = None  # gzip or zstd
    delimiter: str = ","  # csv, tsv, txt: this one and all below
    line_end: str = "\n"
    last_line_end: bool = True  # the last line has a line end too
    encoding: str = "utf-8"
    bom: bool = False  # a byte order mark stands first
    header: bool = True
    columns: Mapping[str, ColumnLayout] = field(default_factory=dict)
    tables: Mapping[str, Layout] = field(default_factory=dict)  # a folder's files or a workbook's sheets, by table
    file: str | None = None  # in a folder: the name of this table's file
    folders: str = ""  # of a table in parts: the columns in the names of their folders, year/month
    structure: Mapping[str, Any] = field(default_factory=dict)  # types and keys: see verosim.databases.structure
    keys: Mapping[str, str] = field(default_factory=dict)  # xes: the key of a column, where its name is not the key
    nested: Mapping[str, Any] = field(default_factory=dict)  # json, jsonl: shapes of documents (nested.py) by table

    def __post_init__(self) -> None:
        if (
            len(self.delimiter) != 1
            or not self.delimiter.isascii()
            or self.delimiter.isalnum()
            or self.delimiter in '"\r\n'
        ):
            raise ArgumentError(f"delimiter {self.delimiter!r}: one character was wanted, such as a comma or a tab.")

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and scalars; what has its default value is left out, save the format."""
        default = type(self)()
        plain = {
            f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != getattr(default, f.name)
        }
        for part in ("columns", "tables"):
            if part in plain:
                plain[part] = {k: v.to_dict() if part == "tables" else asdict(v) for k, v in plain[part].items()}
        return {"format": self.format, **plain}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """What `to_dict` gave; ArgumentError or SchemaError for anything else."""
        plain = _known(cls, data)
        columns = {k: ColumnLayout(**_known(ColumnLayout, v)) for k, v in plain.pop("columns", {}).items()}
        tables = {k: cls.from_dict(v) for k, v in plain.pop("tables", {}).items()}
        for form in {column.form for column in columns.values()} - {None}:
            Form.of(str(form))
        layout = cls(columns=columns, tables=tables, **plain)
        try:
            "".encode(layout.encoding)
        except LookupError as error:
            raise ArgumentError(f"a layout's encoding: {error}.") from error
        return layout


def _known(kind: type[Any], data: Any) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise ArgumentError(f"a layout: a mapping was wanted, not {data!r}.")
    types = {f.name: str(f.type) for f in fields(kind)}
    for key, value in data.items():
        if key not in types:
            raise ArgumentError(f"a layout has no {key!r}; {did_you_mean(key, types)}")
        wanted = {"str": (str,), "str | None": (str, type(None)), "bool": (bool,)}.get(types[key], (Mapping,))
        if not isinstance(value, wanted):
            raise ArgumentError(f"a layout's {key}: {types[key]} was wanted, not {value!r}.")
    return dict(data)
