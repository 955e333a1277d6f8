"""SDV's metadata files, read and written.

    metadata = Metadata.load("metadata.json")
    schema = metadata.schema(dataset)             what it says of the columns of these data, and of their keys
    Metadata.of(schema, like=metadata).save("new.json")

A file of this kind says less than a schema of ours: what it leaves open is guessed from the data. Attributes that are
not known are kept, and written back; `notes` names them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import polars as pl

from verosim.errors import ArgumentError, FileError, SchemaError, did_you_mean
from verosim.files.disk import atomic
from verosim.infer import infer
from verosim.providers import capacity
from verosim.schema import Column, ForeignKey, Schema, Table, parse_dtype, parse_yaml, read_text

VERSION: Final = "V1"
VERSIONS: Final = (VERSION, "MULTI_TABLE_V1", "SINGLE_TABLE_V1")
ALONE: Final = "table"  # the name of the table of SINGLE_TABLE_V1
FAKED: Final[dict[str, str]] = {  # sdtype -> provider
    "address": "address", "administrative_unit": "region", "city": "city", "company": "company",
    "company_email": "email", "country": "country", "credit_card_expire": "card_expiry", "credit_card_number": "card",
    "date_of_birth": "birth_date", "domain_name": "domain", "email": "email", "first_name": "first_name",
    "free_email": "email", "iban": "iban", "ipv4": "ip", "ipv4_address": "ip", "ipv6": "ipv6", "ipv6_address": "ipv6",
    "job": "job", "last_name": "last_name", "license_plate": "license_plate", "mac_address": "mac", "name": "name",
    "phone_number": "phone", "postcode": "postcode", "safe_email": "email", "ssn": "national_id", "state": "region",
    "street_address": "street", "swift": "bic", "swift11": "bic", "swift8": "bic", "url": "url",
    "user_name": "user_name", "uuid4": "uuid", "zipcode": "postcode",
}  # fmt: skip
KNOWN: Final[dict[str, set[str]]] = {  # the attributes of each sdtype; of any other: pii
    "numerical": {"computer_representation"},
    "datetime": {"datetime_format", "strftime"},
    "categorical": {"order", "order_by"},
    "boolean": set(),
    "id": {"regex_format"},
}
OF_TABLE: Final = {
    "columns", "primary_key", "alternate_keys", "sequence_key", "sequence_index", "column_relationships",
    "METADATA_SPEC_VERSION",
}  # fmt: skip
OF_KEY: Final = {"parent_table_name", "child_table_name", "parent_primary_key", "child_foreign_key"}
UNUSED: Final = ("sequence_key", "sequence_index", "column_relationships")
REPRESENTED: Final = {
    "int8": "Int8", "int16": "Int16", "int32": "Int32", "int64": "Int64", "uint8": "UInt8", "uint16": "UInt16",
    "uint32": "UInt32", "uint64": "UInt64", "float32": "Float32", "float64": "Float",
}  # fmt: skip
TIMES: Final = ("date", "datetime", "time")
UNTOLD: Final = ("constant", "empty")  # what a column of the data is, whatever was said of it


def is_metadata(path: str | Path) -> bool:
    """Whether a file is metadata of SDV, whatever it says; not where it cannot be read."""
    if Path(path).suffix.lower() != ".json":
        return False
    try:
        content = parse_yaml(read_text(path, "metadata"))
    except (FileError, SchemaError):
        return False
    return isinstance(content, Mapping) and bool({"METADATA_SPEC_VERSION", "relationships"} & {*content})


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a metadata file says: plain values, as in the file, of version V1 whichever it was of."""

    tables: Mapping[str, Mapping[str, Any]]
    relationships: Sequence[Mapping[str, Any]] = ()
    kept: Mapping[str, Any] = field(default_factory=dict)  # what else stood at the top
    notes: tuple[str, ...] = ()  # what is not known, or not used: a sentence each

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a metadata file. Raises FileError where there is none, SchemaError where it says what cannot be."""
        content = parse_yaml(read_text(path, "metadata"))
        try:
            return cls.from_dict(content)
        except SchemaError as error:
            raise SchemaError(f"{path}: {error}") from error

    @classmethod
    def from_dict(cls, content: object) -> Self:
        """Of any version that is read: V1, MULTI_TABLE_V1, SINGLE_TABLE_V1. Raises SchemaError."""
        top = dict(mapping(content, "metadata"))
        version = top.pop("METADATA_SPEC_VERSION", VERSION)
        if version not in VERSIONS:
            raise SchemaError(f"METADATA_SPEC_VERSION {version!r}: {' or '.join(VERSIONS)} was wanted.")
        if version == "SINGLE_TABLE_V1":
            top = {"tables": {ALONE: top}}
        tables = mapping(top.pop("tables", None), "`tables`")
        keys = top.pop("relationships", None) or []
        if not isinstance(keys, list):
            raise SchemaError(f"`relationships`: a list was wanted, not {keys!r}.")
        for name, table in tables.items():
            _check_table(str(name), table)
        for key in keys:
            _check_key(mapping(key, "a relationship"), tables)
        made = cls(tables, tuple(keys), top)
        return replace(made, notes=tuple(made._unknown()))

    def _unknown(self) -> Iterator[str]:
        """Attributes that are not known, and known ones that are not used."""
        found: dict[str, int] = {}
        columns = [c for table in self.tables.values() for c in table["columns"].values()]
        others = [
            *self.kept,
            *(a for table in self.tables.values() for a in table if a not in OF_TABLE),
            *(a for c in columns for a in c if a not in {"sdtype", *KNOWN.get(c["sdtype"], {"pii"})}),
            *(a for key in self.relationships for a in key if a not in OF_KEY),
        ]
        for name in others:
            found[name] = found.get(name, 0) + 1
        if found:
            said = ", ".join(f"{name} ({n} times)" if n > 1 else name for name, n in found.items())
            yield f"metadata: attributes that are not known are kept and not used: {said}"
        if unused := [name for name in UNUSED if any(table.get(name) for table in self.tables.values())]:
            yield f"metadata: {', '.join(unused)} are kept and not used"

    # --------------------------------------------------------------------------------------------------- to a schema

    def schema(self, dataset: Mapping[str, pl.DataFrame]) -> Schema:
        """What it says of these data. What it leaves open, and whole tables that it does not name, are guessed.

        A lone table needs no name. Raises SchemaError where it names a table or column that is not in the data.
        """
        tables = self.tables
        if len(tables) == len(dataset) == 1:
            tables = {next(iter(dataset)): next(iter(tables.values()))}
        for name, said in tables.items():
            if name not in dataset:
                hint = did_you_mean(name, dataset)
                raise SchemaError(f"the metadata have a table {name!r} that is not in the data; {hint}")
            for column in said["columns"]:
                if column not in dataset[name].columns:
                    hint = did_you_mean(column, dataset[name].columns)
                    what = f"the metadata have a column {column!r} that is not in the data"
                    raise SchemaError(f"table {name!r}: {what}; {hint}")
        return Schema({name: self._table(name, said, dataset[name]) for name, said in tables.items()})

    def _table(self, name: str, said: Mapping[str, Any], frame: pl.DataFrame) -> Table:
        guessed = infer({name: frame})[name]
        primary, alternate = listed(said.get("primary_key")), listed(said.get("alternate_keys"))
        keys = tuple(self._keys(name))
        foreign = {column for key in keys for column in key.columns}
        unique = {*alternate, *(primary if len(primary) == 1 else ())}
        columns = []
        for column in guessed.columns:
            spec = said["columns"].get(column.name)
            read = column if spec is None else _column(column, spec, frame[column.name])
            if column.name in foreign or [column.name] == primary:  # a key is made anew, whatever it looks like
                read = read if read.kind == "id" else Column(read.name, "id", read.dtype)
            columns.append(replace(read, unique=column.name in unique) if read.kind in ("id", "personal") else read)
        return Table(name, tuple(columns), tuple(primary), foreign_keys=keys)

    def _keys(self, table: str) -> Iterator[ForeignKey]:
        for key in self.relationships:
            if key["child_table_name"] == table:
                own, theirs = listed(key["child_foreign_key"]), listed(key["parent_primary_key"])
                yield ForeignKey(tuple(own), key["parent_table_name"], tuple(theirs), "as the metadata say")

    # ------------------------------------------------------------------------------------------------- from a schema

    @classmethod
    def of(cls, schema: Schema, like: Metadata | None = None) -> Self:
        """What a schema says, as metadata. like: metadata that it came from, of which all is kept that still fits."""
        tables = {name: _said(table) for name, table in schema.items()}
        keys = [_relationship(name, key) for name, table in schema.items() for key in table.foreign_keys]
        if like is None:
            return cls(tables, tuple(keys))
        merged = {name: _merged(table, like.tables.get(name, {})) for name, table in tables.items()}
        before = [dict(key) for key in like.relationships]
        kept = [{**next((b for b in before if _same(b, key)), {}), **key} for key in keys]
        return cls(merged, tuple(kept), like.kept, like.notes)

    def to_dict(self) -> dict[str, Any]:
        """The content of a file of version V1."""
        top = {"METADATA_SPEC_VERSION": VERSION, "tables": {n: dict(t) for n, t in self.tables.items()}}
        for table in top["tables"].values():  # type: ignore[attr-defined]
            table.pop("METADATA_SPEC_VERSION", None)
        return {**top, "relationships": [dict(key) for key in self.relationships], **self.kept}

    def save(self, path: str | Path) -> None:
        """Write as a metadata file, whole or not at all. Raises FileError."""
        with atomic(path) as out:
            out.write((json.dumps(self.to_dict(), indent=4, ensure_ascii=False, default=str) + "\n").encode())


# ------------------------------------------------------------------------------------------------------- reading


def mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SchemaError(f"{where}: an object was wanted, not {value!r}.")
    return value


def listed(value: object) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)  # type: ignore[call-overload]


def _check_table(name: str, table: object) -> None:
    said = mapping(table, f"table {name!r}")
    columns = mapping(said.get("columns"), f"table {name!r}, `columns`")
    for column, spec in columns.items():
        where = f"table {name!r}, column {column!r}"
        if not isinstance(mapping(spec, where).get("sdtype"), str):
            raise SchemaError(f"{where}: `sdtype` is missing, such as numerical or categorical.")
    for part in ("primary_key", "alternate_keys"):
        for column in _names(said.get(part), f"table {name!r}, `{part}`"):
            if column not in columns:
                raise SchemaError(f"table {name!r}, {part}: no column {column!r}; {did_you_mean(column, columns)}")


def _names(value: object, where: str) -> list[str]:
    if value is None or isinstance(value, str):
        return listed(value)
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise SchemaError(f"{where}: a column, or a list of columns, was wanted, not {value!r}.")
    return value


def _check_key(key: Mapping[str, Any], tables: Mapping[str, Any]) -> None:
    for side, columns in (("parent", "parent_primary_key"), ("child", "child_foreign_key")):
        name = key.get(f"{side}_table_name")
        if not isinstance(name, str) or name not in tables:
            raise SchemaError(f"a relationship: no table {name!r}; {did_you_mean(name, tables)}")
        for column in _names(key.get(columns), f"a relationship of {name!r}, `{columns}`") or [""]:
            known = tables[name]["columns"]
            if column not in known:
                raise SchemaError(f"a relationship of {name!r}: no column {column!r}; {did_you_mean(column, known)}")


def _column(guess: Column, spec: Mapping[str, Any], series: pl.Series) -> Column:
    """One column: what was said of it, and for the rest what it looks like."""
    if guess.kind in UNTOLD:
        return guess
    sdtype, plain = spec["sdtype"], Column(guess.name, "category", guess.dtype, levels=_declared(guess))
    if sdtype == "numerical":
        return guess if guess.kind in ("number", "boolean", "duration") else replace(plain, kind="number")
    if sdtype == "boolean":
        return guess if guess.kind == "boolean" else replace(plain, kind="boolean")
    if sdtype == "categorical":
        levels = _order(spec, series)
        return replace(plain, kind="ordinal", levels=levels) if levels else plain
    if sdtype == "datetime":
        return guess if guess.kind in TIMES else replace(plain, kind=_time(spec))
    if sdtype == "id":
        return _id(guess, spec)
    if sdtype == "text":
        return guess
    return _personal(guess, sdtype, spec.get("pii", True))


def _declared(column: Column) -> tuple[Any, ...] | None:
    return column.levels if column.dtype in ("enum", "categorical") else None


def _order(spec: Mapping[str, Any], series: pl.Series) -> tuple[Any, ...]:
    """The levels of a category that has an order, else none."""
    if isinstance(spec.get("order"), list):
        return tuple(level for level in spec["order"] if level is not None)
    levels = series.drop_nulls().unique()
    if spec.get("order_by") == "alphabetical":
        return tuple(sorted(levels.to_list(), key=str))
    if spec.get("order_by") == "numerical_value":
        return tuple(levels.gather(levels.cast(pl.Float64, strict=False).arg_sort()).to_list())
    return ()


def _time(spec: Mapping[str, Any]) -> str:
    form = str(spec.get("datetime_format") or spec.get("strftime") or "%H")
    return "datetime" if any(sign in form for sign in ("%H", "%I", "%T", "%X", "%c")) else "date"


def _id(guess: Column, spec: Mapping[str, Any]) -> Column:
    made = guess if guess.kind == "id" else Column(guess.name, "id", guess.dtype)
    pattern = spec.get("regex_format")
    if isinstance(pattern, str) and guess.dtype == "str":
        try:
            capacity(pattern, parse_dtype(guess.dtype))
        except ArgumentError:  # a form that ids here cannot have: theirs is learned from the data
            return made
        return replace(made, pattern=pattern)
    return made


def _personal(guess: Column, sdtype: str, pii: object) -> Column:
    """What SDV lets Faker make: with a provider of ours where there is one, and never learned where it is personal."""
    provider = FAKED.get(sdtype)
    if pii is False or sdtype in ("latitude", "longitude"):
        return guess if guess.kind != "personal" else Column(guess.name, "category", guess.dtype)
    if guess.kind in ("personal", "id", "text") and (provider is None or (guess.provider or "").startswith(provider)):
        return guess
    if provider is not None and guess.kind not in ("boolean", "datetime", "time", "duration"):
        return Column(guess.name, "personal", guess.dtype, provider=provider)
    return Column(guess.name, "id", guess.dtype) if guess.dtype == "str" else guess


# ------------------------------------------------------------------------------------------------------- writing


def _said(table: Table) -> dict[str, Any]:
    out: dict[str, Any] = {"columns": {column.name: _spec(column) for column in table.columns}}
    if table.primary_key:
        out["primary_key"] = table.primary_key[0] if len(table.primary_key) == 1 else list(table.primary_key)
    keys = {*table.primary_key, *(name for key in table.foreign_keys for name in key.columns)}
    others = [c.name for c in table.columns if c.unique and c.kind in ("id", "personal") and c.name not in keys]
    return out | ({"alternate_keys": others} if others else {})


def _spec(column: Column) -> dict[str, Any]:
    kind = column.kind
    if kind == "number":
        shown = REPRESENTED.get(column.dtype)
        return {"sdtype": "numerical"} | ({"computer_representation": shown} if shown else {})
    if kind in TIMES:
        form = column.format or ""
        return {"sdtype": "datetime"} | ({"datetime_format": form} if form.startswith("%") else {})
    if kind == "ordinal":
        return {"sdtype": "categorical", "order": list(column.levels or ())}
    if kind == "id":
        plain = column.dtype != "str" or (column.pattern or "uuid").startswith(("sequence", "uuid"))
        return {"sdtype": "id"} | ({} if plain else {"regex_format": column.pattern})
    if kind == "personal":
        return {"sdtype": _faker((column.provider or "").partition(":")[0]), "pii": True}
    if kind == "geo" and column.format in ("latitude", "longitude"):
        return {"sdtype": column.format, "pii": False}
    if kind in ("category", "boolean", "constant"):
        return {"sdtype": "boolean" if kind == "boolean" else "categorical"}
    return {"sdtype": "text"} if kind in ("text", "json") else {"sdtype": "unknown", "pii": False}


def _faker(provider: str) -> str:
    """The sdtype of a provider: of its own name, or the plainest that it stands for."""
    return (
        provider
        if provider in FAKED
        else ([name for name, ours in FAKED.items() if ours == provider] or [provider])[-1]
    )


def _relationship(table: str, key: ForeignKey) -> dict[str, Any]:
    def one(names: Sequence[str]) -> str | list[str]:
        return names[0] if len(names) == 1 else list(names)

    return {
        "parent_table_name": key.parent, "child_table_name": table,
        "parent_primary_key": one(key.parent_columns), "child_foreign_key": one(key.columns),
    }  # fmt: skip


def _same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return all(a.get(name) == b.get(name) for name in OF_KEY)


def _kept(spec: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    old, new = before.get("sdtype"), spec["sdtype"]
    if old != new and (old not in FAKED or FAKED[old] != FAKED.get(new)):
        return dict(spec)
    both = {**before, **spec, "sdtype": old}
    return {name: value for name, value in both.items() if name != "order" or "order_by" not in both}  # one of the two


def _merged(table: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """A table, with what stood in the file besides; a column that is of the same sdtype keeps all that was said."""
    olds = before.get("columns", {})
    columns = {name: _kept(spec, olds.get(name, {})) for name, spec in table["columns"].items()}
    others = {name: value for name, value in before.items() if name not in ("columns", "primary_key", "alternate_keys")}
    return {**table, "columns": columns, **others}
