"""What the data means: `Column`, `Table`, `Schema`, frozen, and to YAML or JSON and back.

A schema file is meant to be edited by a person and fed back:

    verosim: schema 1
    tables:
      adult:
        columns:
          age:
            kind: number
            dtype: int64
            minimum: 17
            reason: whole numbers, 73 different ones
        rules:
        - {rule: range, column: age, low: 17, high: 90}
        - hired <= left
        foreign_keys:
        - {columns: [city_id], parent: cities, parent_columns: [city_id]}
        sequence: {time: at, key: sensor, step: 10m, statics: [room]}

To change a schema, make another: `schema.with_column("adult", replace(column, kind="category"))`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

import polars as pl
import yaml

from verosim.errors import FileError, SchemaError, did_you_mean

VERSION: Final = 1

KINDS: Final[dict[str, str]] = {
    "number": "a measure or count: integer, float or decimal",
    "category": "one of some levels, without order",
    "ordinal": "one of some levels, in the order of `levels`",
    "boolean": "true or false",
    "datetime": "a point in time",
    "date": "a calendar day",
    "time": "a time of day",
    "duration": "a length of time",
    "id": "a key that names the row: made anew, never learned",
    "text": "free text",
    "json": "documents: text of JSON objects or lists, whose parts are columns of their own",
    "geo": "a place: `format` is latitude, longitude, or the text form of a pair",
    "personal": "data about a person, made by `provider`, never learned",
    "constant": "the same value in every row",
    "empty": "no value in any row",
}


@dataclass(frozen=True, slots=True)
class Column:
    """What one column means. Only `name`, `kind` and `dtype` are needed; the rest refines."""

    name: str
    kind: str  # one of KINDS
    dtype: str  # how the column is held in memory: see `dtype_name`
    minimum: Any = None  # lowest value allowed in the output: a number, or ISO text for times
    maximum: Any = None  # highest value allowed in the output
    digits: int | None = None  # decimals of a float
    step: int | None = None  # whole numbers and times (in units of the dtype) are multiples of it
    unit: str | None = None  # for people: "kg", "EUR"
    levels: tuple[Any, ...] | None = None  # ordinal: in order. Enum and categorical dtypes: all levels declared
    format: str | None = None  # text that holds another kind: its form, such as "%d/%m/%Y"; for `geo` the part
    provider: str | None = None  # personal: which provider makes it, such as "email"
    pattern: str | None = None  # id: "sequence", "uuid", or a character pattern such as "AB-[0-9]{6}"
    unique: bool = False  # no value twice (missing values aside)
    protect: bool = True  # rare values and extremes are not reproduced
    reason: str = field(default="", compare=False)  # why this kind was guessed: a remark, not a part of the meaning

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SchemaError(f"column {self.name!r}: unknown kind {self.kind!r}; {did_you_mean(self.kind, KINDS)}")
        parse_dtype(self.dtype)
        if self.kind == "ordinal" and not self.levels:
            raise SchemaError(f"column {self.name!r}: an ordinal needs `levels`, lowest first.")
        if self.kind == "personal" and not self.provider:
            raise SchemaError(f"column {self.name!r}: a personal column needs a `provider`, such as email.")


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns whose values are the key of a row of another table, or of the same one; a missing value is of no row."""

    columns: tuple[str, ...]
    parent: str  # a table's name
    parent_columns: tuple[str, ...] = ()  # by default the parent's primary key
    reason: str = field(default="", compare=False)  # why it was guessed: a remark

    def __post_init__(self) -> None:
        if not self.columns or len(self.parent_columns) not in (0, len(self.columns)):
            raise SchemaError(f"foreign key {self}: as many `columns` as `parent_columns` are wanted, one or more.")

    def __str__(self) -> str:
        return f"{', '.join(self.columns)} -> {self.parent}({', '.join(self.parent_columns)})"


STEPS: Final = ("ns", "us", "ms", "s", "m", "h", "d", "bd", "w", "mo", "q", "y")  # units of a `Sequence.step`


@dataclass(frozen=True, slots=True)
class Sequence:
    """How the rows of a table follow each other: one long series, or one sequence for each value of `key`."""

    time: str | None = None  # the column that orders the rows: a time, a day or a number. None: the rows stand in order
    key: str | None = None  # the column that says which sequence a row belongs to. None: all rows are one series
    step: str | None = None  # of a regular grid: "10m", "1d", "1bd" (Monday to Friday), "1mo", or "1" for numbers
    statics: tuple[str, ...] = ()  # columns that are the same in all rows of a key
    activity: str | None = None  # event logs: the column that says what happened
    resource: str | None = None  # event logs: who or what did it
    reason: str = field(default="", compare=False)  # why it was guessed: a remark

    def __post_init__(self) -> None:
        if self.step is not None and not re.fullmatch(rf"[1-9]\d*({'|'.join(STEPS)})?", self.step):
            raise SchemaError(f"sequence: step {self.step!r} is no number and unit such as 10m, 1d, 1bd, 1mo or 5.")
        if self.step is not None and self.time is None:
            raise SchemaError("sequence: a `step` is one of the `time` column: name it.")
        if self.key is None and (self.statics or self.activity):
            raise SchemaError("sequence: `statics` and `activity` are of keyed sequences: name the `key`.")
        if self.activity is not None and self.time is None:
            raise SchemaError("sequence: an `activity` happens at a `time`: name the column.")
        twice = sorted({n for n in self.columns if self.columns.count(n) > 1})
        if twice:
            raise SchemaError(f"sequence: column {twice[0]!r} has two parts in it; give it one.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that have a part in it."""
        named = (self.key, self.time, self.activity, self.resource, *self.statics)
        return tuple(name for name in named if name is not None)


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns in order, its keys, and the rules that hold in it."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    rules: tuple[Mapping[str, Any] | str, ...] = ()  # as written in the file; `rules.parse` reads them
    order: tuple[str, ...] = ()  # columns to be modelled first, in this order; the others follow by choice
    foreign_keys: tuple[ForeignKey, ...] = ()
    keep: bool = False  # a reference table, such as countries: its rows come out as they are, and lie in model files
    sequence: Sequence | None = None  # where order matters: how rows follow each other

    def __post_init__(self) -> None:
        names = [c.name for c in self.columns]
        twice = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise SchemaError(f"table {self.name!r}: column names stand twice: {', '.join(map(repr, twice))}.")
        known = set(names)
        keys = [("foreign_keys", key.columns) for key in self.foreign_keys]
        parts = self.sequence.columns if self.sequence else ()
        for part, used in (("primary_key", self.primary_key), ("order", self.order), *keys, ("sequence", parts)):
            for name in used:
                if name not in known:
                    raise SchemaError(f"table {self.name!r}, {part}: no column {name!r}; {did_you_mean(name, names)}")

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise SchemaError(f"table {self.name!r} has no column {name!r}; {did_you_mean(name, self.names)}")

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.columns]

    def with_columns(self, *columns: Column) -> Table:
        """The same table with these columns in place of those of the same names."""
        new = {c.name: c for c in columns}
        for name in new:
            self[name]
        return replace(self, columns=tuple(new.get(c.name, c) for c in self.columns))


@dataclass(frozen=True, slots=True)
class Schema(Mapping[str, Table]):
    """Table name -> `Table`, immutable."""

    tables: Mapping[str, Table] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Table:
        if name not in self.tables:
            raise SchemaError(f"no table {name!r}; {did_you_mean(name, self.tables)}")
        return self.tables[name]

    def __contains__(self, name: object) -> bool:
        return name in self.tables

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    def __str__(self) -> str:
        return self.to_yaml()

    def with_table(self, table: Table) -> Schema:
        """The same schema with this table added, or in place of the one of its name."""
        return Schema({**self.tables, table.name: table})

    # ------------------------------------------------------------------------------------------- files

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and scalars, as in the file; what has its default value is left out."""
        return {"verosim": f"schema {VERSION}", "tables": {t.name: _table_dict(t) for t in self.tables.values()}}

    @classmethod
    def from_dict(cls, data: object) -> Schema:
        """Raises SchemaError that names the place for anything unknown or of the wrong type."""
        top = _mapping(data, "the schema")
        _known(top, {"verosim", "tables"}, "the schema")
        version = str(top.get("verosim", f"schema {VERSION}"))
        if version != f"schema {VERSION}":
            raise SchemaError(f"the schema says {version!r}; this verosim reads 'schema {VERSION}'.")
        tables = _mapping(top.get("tables"), "`tables`")
        return cls({str(name): _table(str(name), spec) for name, spec in tables.items()})

    def to_text(self, suffix: str = ".yaml") -> str:
        """The content of a schema file of this suffix: JSON where it is `.json`, else YAML."""
        return (
            json.dumps(self.to_dict(), indent=2, ensure_ascii=False, default=str)
            if suffix == ".json"
            else self.to_yaml()
        )

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)

    def save(self, path: str | Path) -> None:
        """Write as YAML, or as JSON where the name ends in `.json`. Raises FileError."""
        try:
            Path(path).write_text(self.to_text(Path(path).suffix), encoding="utf-8")
        except OSError as error:
            raise FileError(f"{path}: cannot be written ({error.strerror or error}).") from error

    @classmethod
    def load(cls, path: str | Path) -> Schema:
        """Read what `save` wrote, or a person edited. Errors name the file and the place."""
        text = read_text(path, "schema", "; `verosim inspect` writes one.")
        try:
            return cls.from_dict(parse_yaml(text))
        except SchemaError as error:
            raise SchemaError(f"{path}: {error}") from error


class Loader(yaml.SafeLoader):
    """SafeLoader without aliases (which can blow up a small file) and keys that stand twice; dates stay ISO text."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:timestamp"]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise SchemaError(f"line {event.start_mark.line + 1}: aliases (*name) are not allowed here; write it out.")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str | int | float | bool) and key in seen:
                raise SchemaError(f"line {key_node.start_mark.line + 1}: {key!r} stands twice.")
            seen.add(key) if isinstance(key, str | int | float | bool) else None
        return super().construct_mapping(node, deep)


def read_text(path: str | Path, kind: str, otherwise: str = ".") -> str:
    """The text of a file that a person wrote. otherwise: what is said besides where there is none. Raises FileError."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise FileError(f"{path}: there is no such {kind} file{otherwise}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: not a readable {kind} file ({error}).") from error


def not_yaml(error: yaml.YAMLError) -> SchemaError:
    """What is wrong with a text that is no YAML, and where."""
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return SchemaError(f"{place}not valid YAML: {getattr(error, 'problem', None) or error}.")


def parse_yaml(text: str) -> Any:
    """YAML (JSON is a part of it) to plain values; a SchemaError with the line otherwise. At most 10 MB."""
    if len(text) > 10_000_000:
        raise SchemaError(f"the file has {len(text):,} characters; at most 10,000,000 are read.")
    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506  (a SafeLoader)
    except yaml.YAMLError as error:
        raise not_yaml(error) from error
    except RecursionError as error:
        raise SchemaError("not valid YAML: nested too deeply.") from error


def _table_dict(table: Table) -> dict[str, Any]:
    out: dict[str, Any] = {"columns": {c.name: _column_dict(c) for c in table.columns}}
    for part in ("primary_key", "order"):
        if getattr(table, part):
            out[part] = list(getattr(table, part))
    if table.rules:
        out["rules"] = [r if isinstance(r, str) else dict(r) for r in table.rules]
    if table.foreign_keys:
        out["foreign_keys"] = [_key_dict(key) for key in table.foreign_keys]
    if table.keep:
        out["keep"] = True
    if table.sequence:
        out["sequence"] = _sequence_dict(table.sequence)
    return out


def _sequence_dict(sequence: Sequence) -> dict[str, Any]:
    out = {k: v for k, v in asdict(sequence).items() if v}
    return out | ({"statics": list(sequence.statics)} if sequence.statics else {})


def _key_dict(key: ForeignKey) -> dict[str, Any]:
    out: dict[str, Any] = {"columns": list(key.columns), "parent": key.parent}
    out |= {"parent_columns": list(key.parent_columns)} if key.parent_columns else {}
    return out | ({"reason": key.reason} if key.reason else {})


def _column_dict(column: Column) -> dict[str, Any]:
    defaults = {f.name: f.default for f in fields(Column)}
    out = {k: v for k, v in asdict(column).items() if k != "name" and v != defaults[k]}
    if "levels" in out:
        out["levels"] = list(out["levels"])
    return out


def _table(name: str, spec: object) -> Table:
    where = f"table {name!r}"
    data = _mapping(spec, where)
    _known(data, {"columns", "primary_key", "rules", "order", "foreign_keys", "keep", "sequence"}, where)
    columns = _mapping(data.get("columns"), f"{where}, `columns`")
    rules = data.get("rules") or []
    keys, keep = data.get("foreign_keys") or [], data.get("keep") or False
    for part, value in (("rules", rules), ("foreign_keys", keys)):
        if not isinstance(value, list):
            raise SchemaError(f"{where}, `{part}`: a list was wanted, not {value!r}.")
    if not isinstance(keep, bool):
        raise SchemaError(f"{where}, `keep`: true or false was wanted, not {keep!r}.")
    return Table(
        name,
        tuple(_column(str(n), c, where) for n, c in columns.items()),
        primary_key=_names(data.get("primary_key"), f"{where}, `primary_key`"),
        rules=tuple(r if isinstance(r, str) else _mapping(r, f"{where}, a rule") for r in rules),
        order=_names(data.get("order"), f"{where}, `order`"),
        foreign_keys=tuple(_foreign_key(key, f"{where}, a foreign key") for key in keys),
        keep=keep,
        sequence=_sequence(data["sequence"], f"{where}, `sequence`") if data.get("sequence") is not None else None,
    )


def _sequence(spec: object, where: str) -> Sequence:
    data = _mapping(spec, where)
    parts = [f.name for f in fields(Sequence) if f.name != "statics"]
    _known(data, {*parts, "statics"}, where)
    for part in parts:
        if data.get(part) is not None and not isinstance(data[part], str | int):
            raise SchemaError(f"{where}: `{part}` must be text, not {data[part]!r}.")
    texts = {part: str(data[part]) for part in parts if data.get(part) is not None}
    try:
        return Sequence(**texts, statics=_names(data.get("statics"), f"{where}, `statics`"))
    except SchemaError as error:
        raise SchemaError(f"{where.rsplit(', ', 1)[0]}, {error}") from error


def _foreign_key(spec: object, where: str) -> ForeignKey:
    data = _mapping(spec, where)
    _known(data, {"columns", "parent", "parent_columns", "reason"}, where)
    if not isinstance(data.get("parent"), str):
        raise SchemaError(f"{where}: `parent` must be the name of a table, not {data.get('parent')!r}.")
    columns, parent_columns = (_names(data.get(part), f"{where}, `{part}`") for part in ("columns", "parent_columns"))
    return ForeignKey(columns, data["parent"], parent_columns, str(data.get("reason") or ""))


def _column(name: str, spec: object, where: str) -> Column:
    where = f"{where}, column {name!r}"
    data = dict(_mapping(spec, where))
    _known(data, {f.name for f in fields(Column)} - {"name"}, where)
    for part in ("kind", "dtype"):
        if part not in data:
            raise SchemaError(f"{where}: `{part}` is missing.")
    for part, wanted in (("digits", int), ("step", int), ("unique", bool), ("protect", bool)):
        if data.get(part) is not None and (
            not isinstance(data[part], wanted) or (wanted is int and isinstance(data[part], bool))
        ):
            raise SchemaError(f"{where}: `{part}` must be {wanted.__name__}, not {data[part]!r}.")
    if data.get("levels") is not None:
        if not isinstance(data["levels"], list):
            raise SchemaError(f"{where}: `levels` must be a list, not {data['levels']!r}.")
        data["levels"] = tuple(data["levels"])
    try:
        return Column(name, **data)
    except SchemaError as error:
        raise SchemaError(f"{where.rsplit(', ', 1)[0]}, {error}") from error


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SchemaError(f"{where}: a mapping (`name: value`) was wanted, not {value!r}.")
    return value


def _known(data: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in data:
        if key not in known:
            raise SchemaError(f"{where}: unknown key {key!r}; {did_you_mean(key, sorted(known))}")


def _names(value: object, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise SchemaError(f"{where}: a list of column names was wanted, not {value!r}.")
    return tuple(value)


# ------------------------------------------------------------------------------------------------- dtypes

_PLAIN: Final[dict[str, pl.DataType]] = {
    "int8": pl.Int8(), "int16": pl.Int16(), "int32": pl.Int32(), "int64": pl.Int64(), "int128": pl.Int128(),
    "uint8": pl.UInt8(), "uint16": pl.UInt16(), "uint32": pl.UInt32(), "uint64": pl.UInt64(),
    "float32": pl.Float32(), "float64": pl.Float64(),
    "str": pl.String(), "bool": pl.Boolean(), "date": pl.Date(), "time": pl.Time(), "binary": pl.Binary(),
    "null": pl.Null(), "categorical": pl.Categorical(), "enum": pl.Enum([]),
}  # fmt: skip


def dtype_name(dtype: pl.DataType) -> str:
    """A polars type as short text: int64, str, datetime[us, Europe/Madrid], duration[ms], decimal[10, 2] ...

    The levels of an enum stand in `Column.levels`.

    >>> dtype_name(pl.Datetime("us", "UTC"))
    'datetime[us, UTC]'
    """
    if isinstance(dtype, pl.Datetime):
        return f"datetime[{dtype.time_unit}{f', {dtype.time_zone}' if dtype.time_zone else ''}]"
    if isinstance(dtype, pl.Duration):
        return f"duration[{dtype.time_unit}]"
    if isinstance(dtype, pl.Decimal):
        return f"decimal[{dtype.precision}, {dtype.scale}]"
    for name, plain in _PLAIN.items():
        if type(dtype) is type(plain):
            return name
    raise SchemaError(f"type {dtype} has no place in a schema.")


def parse_dtype(text: str, levels: tuple[Any, ...] | None = None) -> pl.DataType:
    """The polars type that `dtype_name` wrote; `levels` are those of an enum."""
    if text == "enum":
        return pl.Enum([str(v) for v in levels or ()])
    if text in _PLAIN:
        return _PLAIN[text]
    if match := re.fullmatch(r"datetime\[(ms|us|ns)(?:, *(.+))?\]", text):
        return pl.Datetime(match[1], match[2])  # type: ignore[arg-type]
    if match := re.fullmatch(r"duration\[(ms|us|ns)\]", text):
        return pl.Duration(match[1])  # type: ignore[arg-type]
    if match := re.fullmatch(r"decimal\[(\d{1,2}), *(\d{1,2})\]", text):
        precision, scale = int(match[1]), int(match[2])
        if not 1 <= precision <= 38 or scale > precision:
            raise SchemaError(f"dtype {text!r}: a decimal has 1 to 38 digits, and no more decimals than digits.")
        return pl.Decimal(precision, scale)
    raise SchemaError(f"unknown dtype {text!r}; {did_you_mean(text, [*_PLAIN, 'datetime[us]', 'duration[us]'])}")
