"""Documents of objects and lists as related tables, and back: what JSON nests, a key links.

    {"id": 7, "to": {"city": "Ulm"}, "items": [{"sku": "a"}, {"sku": "b"}]}

    orders         orders_key  id  to_city          an object's fields are columns of their own
    orders_items   orders_key  position  sku        a list is a table: a row an item, in order, with its parent's key

A field that is missing in several ways (left out, null, an empty list) gets a column that says which: here, null or
absent. So documents come back as they were, but for the order of the fields. `Field` remembers the shape.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

import polars as pl

from verosim.errors import ArgumentError, DataError

ABSENT: Final[Any] = object()  # the document has no such field
_NOWHERE: Final[Any] = object()  # nor has it the object that would hold the field
HERE: Final = "here"  # the state of what is there
MISSING: Final = {"absent": ABSENT, "null": None}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of documents, or the documents themselves: where its values lie in the tables."""

    kind: str  # value, object or list
    column: str | None = None  # value: its column
    state: str | None = None  # the column that says here, null or absent, where the values themselves do not
    missing: str = "null"  # what a missing value stands for, or a list without items: null, absent or empty
    fields: Mapping[str, Field] = field(default_factory=dict)  # object: its fields
    table: str | None = None  # list: the table of its items
    key: str | None = None  # list: the column of the parent's key, in both tables
    position: str | None = None  # list: the column that orders the items
    item: Field | None = None  # list: what its items are

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and scalars; what has its default value is left out."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) not in (None, {}, "null")}
        if self.fields:
            plain["fields"] = {name: part.to_dict() for name, part in self.fields.items()}
        return plain | ({"item": self.item.to_dict()} if self.item else {})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """What `to_dict` gave; ArgumentError for anything else."""
        try:
            parts = {name: cls.from_dict(part) for name, part in data.get("fields", {}).items()}
            item = cls.from_dict(data["item"]) if "item" in data else None
            shape = cls(**{**data, "fields": parts, "item": item})
            names = (shape.column, shape.state, shape.table, shape.key, shape.position)
            if any(name is not None and not isinstance(name, str) for name in names):
                raise ValueError("a name is no text")
            if shape.kind not in ("value", "object", "list") or shape.missing not in ("null", "absent", "empty"):
                raise ValueError(f"{shape.kind!r}, {shape.missing!r}")
        except (TypeError, AttributeError, ValueError, RecursionError) as error:
            raise ArgumentError(f"the shape of nested JSON is damaged ({error}).") from error
        return shape

    def tables(self) -> list[str]:
        """The tables of all lists within, parents first."""
        within = [self.item] if self.item else list(self.fields.values())
        return [*([self.table] if self.table else []), *(name for part in within for name in part.tables())]


# ------------------------------------------------------------------------------------------------- documents -> tables

Make = Callable[[str, list[Any], str], pl.Series]  # (column, values, table) -> a column of one type


@dataclass
class _Table:
    """A table that is being filled, column by column."""

    name: str
    rows: int
    columns: dict[str, list[Any]] = field(default_factory=dict)
    parent: tuple[str, str, str] | None = None  # the key's column, the parent's table, the position's column
    key: str | None = None  # the column that children refer to

    def add(self, name: str, values: Sequence[Any]) -> str:
        """A new column by this name, or the nearest free one."""
        while name in self.columns:
            name += "_"
        self.columns[name] = list(values)
        return name


def split(documents: list[Any], table: str, make: Make) -> tuple[dict[str, pl.DataFrame], Field, dict[str, Any]]:
    """Tables, parents first, the shape of the documents, and the keys, as a database's structure has them.

    Raises DataError for a field that is an object here and a value or list there.
    """
    tables = {table: _Table(table, len(documents))}
    shape = _split(documents, "", tables[table], tables)
    frames = {
        t.name: pl.DataFrame(height=t.rows).with_columns(make(n, v, t.name) for n, v in t.columns.items())
        for t in tables.values()
    }
    return frames, shape, {"dialect": "", "tables": [_keys(t) for t in tables.values()]}


def _keys(table: _Table) -> dict[str, Any]:
    """A table's own key and that of its parent."""
    if table.parent is None:
        return {"name": table.name, "primary_key": [table.key] if table.key else []}
    column, parent, position = table.parent
    foreign = {"columns": [column], "parent": parent, "parent_columns": [column]}
    place = [column, position]
    own = {"primary_key": [table.key], "unique": [place]} if table.key else {"primary_key": place}
    return {"name": table.name, "foreign_keys": [foreign], **own}


def _split(values: list[Any], path: str, table: _Table, tables: dict[str, _Table]) -> Field:
    """Put the values of a field, one a row of the table, into columns and tables of their own."""
    kinds = {_kind(v) for v in values} - {None}
    if len(kinds) > 1:
        at = next(i for i, v in enumerate(values) if _kind(v) not in (None, _kind(_first(values))))
        reason = f"holds both {' and '.join(sorted(map(str, kinds)))}."
        raise DataError(reason, table=table.name, column=path or None, row=at, fix="Write them as one kind.")
    absent, null = any(v is ABSENT for v in values), any(v is None for v in values)
    missing = "absent" if absent else "null"
    kind = kinds.pop() if kinds else "value"
    if kind == "value":
        column = table.add(path or "value", [None if v is ABSENT or v is _NOWHERE else v for v in values])
        return Field("value", column, _state(values, path, table) if absent and null else None, missing)
    if kind == "object":
        state = _state(values, path, table) if absent or null else None
        return Field("object", state=state, missing=missing, fields=_split_objects(values, path, table, tables))
    empty = any(v == [] for v in values)
    state = _state(values, path, table) if absent + null + empty > 1 else None
    return _split_lists(values, path, table, tables, state, missing if absent or null else "empty")


def _kind(value: Any) -> str | None:
    if value is None or value is ABSENT or value is _NOWHERE:
        return None
    return "object" if isinstance(value, dict) else "list" if isinstance(value, list) else "value"


def _first(values: list[Any]) -> Any:
    return next(v for v in values if _kind(v))


def _state(values: list[Any], path: str, table: _Table) -> str:
    words = [None if v is _NOWHERE else "absent" if v is ABSENT else "null" if v is None else HERE for v in values]
    return table.add(f"{path}_is" if path else "is", words)


def _split_objects(values: list[Any], path: str, table: _Table, tables: dict[str, _Table]) -> dict[str, Field]:
    names = dict.fromkeys(name for v in values if isinstance(v, dict) for name in v)
    return {
        name: _split(
            [v.get(name, ABSENT) if isinstance(v, dict) else _NOWHERE for v in values],
            f"{path}_{name}" if path else name,
            table,
            tables,
        )
        for name in names
    }


def _split_lists(
    values: list[Any], path: str, table: _Table, tables: dict[str, _Table], state: str | None, missing: str
) -> Field:
    if table.key is None:
        table.key = table.add(f"{table.name}_key", range(table.rows))
        table.columns = {table.key: table.columns.pop(table.key), **table.columns}  # keys stand first
    name = f"{table.name}_{path or 'value'}"
    while name in tables:
        name += "_"
    lists = [v if isinstance(v, list) else [] for v in values]
    child = tables[name] = _Table(name, sum(map(len, lists)))
    keys = table.columns[table.key]
    key = child.add(table.key, [k for k, items in zip(keys, lists, strict=True) for _ in items])
    position = child.add("position", [i for items in lists for i in range(len(items))])
    child.parent = (key, table.name, position)
    item = _split([item for items in lists for item in items], "", child, tables)
    return Field("list", state=state, missing=missing, table=name, key=key, position=position, item=item)


# ------------------------------------------------------------------------------------------------- tables -> documents


def join(frames: Mapping[str, pl.DataFrame], table: str, shape: Field) -> list[Any]:
    """The documents that tables of this shape stand for. Rows of no parent are of no document.

    Raises DataError for a table or column that the shape names and that is not there.
    """
    return _join(shape, table, frames)


def _join(part: Field, table: str, frames: Mapping[str, pl.DataFrame]) -> list[Any]:
    """The values of a field, one a row of the table; ABSENT where there is none."""
    if part.kind == "value":
        gone = MISSING.get(part.missing)
        values = [gone if v is None else v for v in _column(frames, table, part.column)]
    elif part.kind == "object":
        inner = {name: _join(sub, table, frames) for name, sub in part.fields.items()}
        rows = zip(*inner.values(), strict=True) if inner else ((),) * _frame(frames, table).height
        values = [{name: v for name, v in zip(inner, row, strict=True) if v is not ABSENT} for row in rows]
    else:
        values = _join_lists(part, table, frames)
    if part.state is None:
        return values
    states = _column(frames, table, part.state)
    filled = part.kind == "list"  # items that are there are never lost, whatever the state says
    return [v if s not in MISSING or (filled and v) else MISSING[s] for v, s in zip(values, states, strict=True)]


def _join_lists(part: Field, table: str, frames: Mapping[str, pl.DataFrame]) -> list[Any]:
    if part.item is None or part.table is None:
        raise ArgumentError("the shape of nested JSON is damaged: a list without items.")
    items = _join(part.item, part.table, frames)
    order = _frame(frames, part.table).select(part.key or "", pl.col(part.position or "")).with_row_index("row_")
    lists: dict[Any, list[Any]] = defaultdict(list)
    for row, parent in order.sort(part.position or "", maintain_order=True).select("row_", part.key or "").iter_rows():
        lists[parent].append(items[row])
    gone: Callable[[], Any] = list if part.missing == "empty" or part.state else lambda: MISSING[part.missing]
    return [lists[key] if key in lists else gone() for key in _column(frames, table, part.key)]


def _frame(frames: Mapping[str, pl.DataFrame], table: str) -> pl.DataFrame:
    if table not in frames:
        raise DataError("is not there, and the documents need it.", table=table, fix="Draw all tables, or write CSV.")
    return frames[table]


def _column(frames: Mapping[str, pl.DataFrame], table: str, column: str | None) -> list[Any]:
    frame = _frame(frames, table)
    if column not in frame.columns:
        raise DataError("is not there, and the documents need it.", table=table, column=column)
    return frame[column].to_list()
