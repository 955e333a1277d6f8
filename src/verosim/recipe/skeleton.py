"""The skeleton of a recipe, from code and databases: a guess for each column, to be edited.

    from_json_schema(schema)      a JSON schema, as pydantic models give it
    from_sql(text)                CREATE TABLE statements
    from_class(cls)               a dataclass or a pydantic model
    from_database(url)            the tables of a live database (extra `sql`)
    from_frames(dataset, schema)  data, with a learned schema: levels and their shares, ranges

All give the plain values of a recipe file; `text` writes them as YAML. A `Field` is what they have in common: what is
known of a column, from which `_column` guesses.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import types
import typing
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import polars as pl
import yaml

from verosim.errors import ArgumentError, MissingExtraError, SchemaError
from verosim.providers import PROVIDERS
from verosim.recipe.kinds import Regex
from verosim.recipe.reading import VERSION
from verosim.schema import Schema

GAPS: Final = 0.05  # share of missing values where there may be some
CHILDREN: Final = 3  # rows a parent
PRIVATE: Final = 5  # levels that fewer rows hold do not go into a recipe


@dataclass(frozen=True, slots=True)
class Field:
    """What is known of a column."""

    name: str
    type: str = "text"  # integer, number, boolean, text, date, datetime, uuid, object, list
    nullable: bool = False
    key: bool = False  # it names the row
    unique: bool = False
    values: tuple[Any, ...] = ()  # all that there are
    low: float | None = None
    high: float | None = None
    pattern: str | None = None  # a regular expression
    ref: str | None = None  # table.column
    fields: tuple[Field, ...] = ()  # of an object; of a list its element alone


def text(recipe: Mapping[str, Any]) -> str:
    """The recipe as YAML, one column a line."""
    head = f"verosim: {VERSION}\ntables:\n"
    lines = []
    for name, table in recipe["tables"].items():
        lines.append(f"  {_yaml(name)}:")
        lines += [f"    {key}: {_yaml(value)}" for key, value in table.items() if key != "columns"]
        lines.append("    columns:")
        lines += [f"      {_yaml(column)}: {_yaml(spec)}" for column, spec in table["columns"].items()]
    return head + "\n".join(lines) + "\n"


def _yaml(value: Any) -> str:
    written = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9)
    return written.removesuffix("\n").removesuffix("\n...").strip()


def _recipe(tables: Mapping[str, Iterable[Field]]) -> dict[str, Any]:
    return {
        "verosim": VERSION,
        "tables": {_bare(name): {"columns": {f.name: _column(f) for f in fields}} for name, fields in tables.items()},
    }


def _bare(name: str) -> str:
    return name.replace(".", "_").replace("/", "_")


# ------------------------------------------------------------------------------------------------- guesses

_LIKELY: Final = {  # what a name says of a text
    "mail": "email", "firstname": "first_name", "givenname": "first_name", "lastname": "last_name",
    "surname": "last_name", "familyname": "last_name", "fullname": "name", "username": "user_name",
    "login": "user_name", "phone": "phone", "mobile": "phone", "street": "street", "address": "address", "city": "city",
    "town": "city", "postcode": "postcode", "zip": "postcode", "region": "region", "state": "region",
    "country": "country", "company": "company", "employer": "company", "job": "job", "occupation": "job", "url": "url",
    "website": "url", "domain": "domain", "ipaddress": "ip", "iban": "iban", "bic": "bic", "card": "card",
    "product": "product", "colour": "colour", "color": "colour", "department": "department", "useragent": "user_agent",
    "name": "name",
}  # fmt: skip
_NUMBERS: Final[dict[str, dict[str, Any]]] = {  # what a name says of a number
    "age": {"normal": [40, 15], "min": 18, "max": 95}, "price": {"lognormal": [3, 1], "digits": 2},
    "amount": {"lognormal": [3.5, 1], "digits": 2}, "total": {"lognormal": [4, 1], "digits": 2},
    "salary": {"lognormal": [10.5, 0.5]}, "income": {"lognormal": [10.5, 0.5]},
    "quantity": {"geometric": 0.5}, "latitude": {"provider": "latitude"}, "longitude": {"provider": "longitude"},
    "height": {"normal": [170, 9]}, "weight": {"normal": [72, 13], "min": 35},
}  # fmt: skip


def _column(field: Field) -> Any:
    spec = _spec(field)
    if field.unique and "id" not in spec and "sequence" not in spec and isinstance(spec.get("provider"), str):
        spec = {**spec, "unique": bool(PROVIDERS[spec["provider"]].topics)}
    return {**spec, "missing": GAPS} if field.nullable and not field.key else spec


def _spec(field: Field) -> dict[str, Any]:
    if field.ref is not None:
        return {"ref": field.ref}
    if field.values:
        return {"choice": list(field.values)}
    if field.type == "uuid":
        return {"id": "uuid"}
    if field.key:
        return {"sequence": 1} if field.type == "integer" else {"id": "[A-Z]{2}[0-9]{8}"}
    if field.type in ("integer", "number"):
        return _number(field)
    if field.type == "object":
        return {"object": {f.name: _column(f) for f in field.fields}}
    if field.type == "list":
        return {"list": _column(field.fields[0]), "length": {"poisson": 2}}
    return _plain(field)


def _plain(field: Field) -> dict[str, Any]:
    if field.type == "boolean":
        return {"choice": {True: 1, False: 1}}
    if field.type == "date":
        return {"provider": "birth_date"} if "birth" in field.name.lower() else {"date": ["2024-01-01", "2025-12-31"]}
    if field.type == "datetime":
        return {"datetime": ["2024-01-01", "2026-01-01"]}
    if field.pattern is not None and _is_known(field.pattern):
        return {"regex": field.pattern}
    word = "".join(c for c in field.name.lower() if c.isalnum())
    provider = next((p for part, p in _LIKELY.items() if part in word), None)
    return {"provider": provider} if provider else {"lorem": [2, 6]}


def _is_known(pattern: str) -> bool:
    try:
        Regex.written(pattern, 8)
    except SchemaError:
        return False
    return True


def _number(field: Field) -> dict[str, Any]:
    whole = {"digits": 0} if field.type == "integer" else {}
    if field.low is not None and field.high is not None:
        return {"integer" if whole else "uniform": [field.low, field.high]}
    word = "".join(c for c in field.name.lower() if c.isalpha())
    guess = next((g for part, g in _NUMBERS.items() if part in word), None)
    if guess is None:
        if field.low is not None:
            return {"exponential": 100, "min": field.low, **whole}
        return {"integer": [0, 1000]} if whole else {"normal": [0, 1]}
    ends = {end: v for end, v in (("min", field.low), ("max", field.high)) if v is not None}
    return {**guess, **({} if "provider" in guess else ends), **({} if "provider" in guess else whole)}


# ------------------------------------------------------------------------------------------------- JSON schema


def from_json_schema(schema: Mapping[str, Any], name: str = "table") -> dict[str, Any]:
    """A recipe of one table, from the JSON schema of an object, or of a list of them."""
    known = {**schema.get("$defs", {}), **schema.get("definitions", {})}
    top = _resolved(schema, known)
    if top.get("type") == "array":
        top = _resolved(top.get("items", {}), known)
    if not isinstance(top.get("properties"), Mapping) or not top["properties"]:
        raise SchemaError("the JSON schema describes no object: `properties` are missing.")
    return _recipe({str(schema.get("title", name)): _json_fields(top, known, 0)})


def _resolved(schema: Any, known: Mapping[str, Any]) -> Mapping[str, Any]:
    """A part of a schema with its reference followed."""
    for _ in range(20):
        if not isinstance(schema, Mapping):
            return {}
        if "$ref" not in schema:
            return schema
        schema = known.get(str(schema["$ref"]).rpartition("/")[2], {})
    raise SchemaError("the references of the JSON schema run in a circle.")


def _json_fields(schema: Mapping[str, Any], known: Mapping[str, Any], depth: int) -> list[Field]:
    if depth > 5:
        raise SchemaError("the JSON schema nests objects more than 5 deep; a recipe of it would never end.")
    needed = set(schema.get("required", ()))
    properties = schema.get("properties", {})
    return [_json_field(str(n), p, known, n in needed, depth) for n, p in properties.items()]


def _json_field(name: str, schema: Any, known: Mapping[str, Any], needed: bool, depth: int) -> Field:
    part = _resolved(schema, known)
    options = [_resolved(o, known) for o in part.get("anyOf", part.get("oneOf", ()))]
    real = [o for o in options if o.get("type") != "null"]
    nullable = len(real) < len(options) or not needed
    if real:
        part = {**part, **real[0]}
    kinds = part.get("type", "string")
    if isinstance(kinds, list):
        nullable, kinds = nullable or "null" in kinds, next((k for k in kinds if k != "null"), "string")
    kind = {"integer": "integer", "number": "number", "boolean": "boolean", "object": "object", "array": "list"}.get(
        kinds, "text"
    )
    kind = {"date": "date", "date-time": "datetime", "uuid": "uuid"}.get(part.get("format", ""), kind)
    values = tuple(part.get("enum", ())) or ((part["const"],) if "const" in part else ())
    inner: list[Field] = []
    if kind == "object":
        inner = _json_fields(part, known, depth + 1)
        kind = kind if inner else "text"
    elif kind == "list":
        inner = [_json_field("item", part.get("items", {}), known, True, depth + 1)]
    low, high = part.get("minimum", part.get("exclusiveMinimum")), part.get("maximum", part.get("exclusiveMaximum"))
    is_id = name == "id" and kind in ("integer", "text")
    return Field(
        "email" if part.get("format") == "email" and name == "" else name, kind, nullable and not is_id, is_id, False,
        tuple(v for v in values if v is not None), low, high, part.get("pattern"), None, tuple(inner),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------- Python classes

_PYTHON: Final = {
    int: "integer", float: "number", bool: "boolean", str: "text", dt.date: "date", dt.datetime: "datetime",
    uuid.UUID: "uuid", decimal.Decimal: "number",
}  # fmt: skip


def from_class(cls: Any) -> dict[str, Any]:
    """A recipe of one table, from a dataclass or a pydantic model."""
    if hasattr(cls, "model_json_schema"):
        return from_json_schema(cls.model_json_schema(), cls.__name__)
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise ArgumentError(f"a dataclass or a pydantic model was wanted, not {cls!r}.")
    return _recipe({cls.__name__: _class_fields(cls, 0)})


def _class_fields(cls: type, depth: int) -> list[Field]:
    hints = typing.get_type_hints(cls)
    return [_hinted(f.name, hints[f.name], depth) for f in dataclasses.fields(cls)]


def _hinted(name: str, hint: Any, depth: int) -> Field:
    if depth > 5:
        raise SchemaError("the classes nest more than 5 deep; a recipe of them would never end.")
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        real = [h for h in inner if h is not type(None)]
        return dataclasses.replace(_hinted(name, real[0], depth), nullable=len(real) < len(inner))
    if origin is typing.Literal:
        return Field(name, values=inner)
    if origin is typing.Annotated:
        return _hinted(name, inner[0], depth)
    if origin in (list, tuple, set):
        return Field(name, "list", fields=(_hinted("item", inner[0] if inner else str, depth + 1),))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return Field(name, values=tuple(member.value for member in hint))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return Field(name, "object", fields=tuple(_class_fields(hint, depth + 1)))
    kind = _PYTHON.get(hint, "text")
    return Field(name, kind, key=name == "id" and kind in ("integer", "text"))


# ------------------------------------------------------------------------------------------------- SQL


def from_sql(statements: str, dialect: str | None = None) -> dict[str, Any]:
    """A recipe of the tables that CREATE TABLE statements describe. Nothing is run."""
    import sqlglot
    from sqlglot import exp

    try:
        trees = sqlglot.parse(statements, read=dialect)
    except (sqlglot.errors.SqlglotError, ValueError) as error:
        raise SchemaError(f"the SQL is not understood: {str(error).splitlines()[0]}") from error
    tables = {}
    for tree in trees:
        if isinstance(tree, exp.Create) and isinstance(tree.this, exp.Schema):
            tables[_bare(tree.this.this.name)] = _sql_fields(tree.this)
    if not tables:
        raise SchemaError("there is no CREATE TABLE statement.")
    return _recipe(tables)


def _sql_fields(schema: Any) -> list[Field]:
    from sqlglot import exp

    keys = {c.name for key in schema.find_all(exp.PrimaryKey) for c in key.expressions}
    refs = {}
    for foreign in schema.find_all(exp.ForeignKey):
        target = foreign.args["reference"].this
        table = target.this.name if isinstance(target, exp.Schema) else target.name
        columns = [c.name for c in target.expressions] if isinstance(target, exp.Schema) else []
        for place, column in enumerate(foreign.expressions):
            refs[column.name] = f"{table}.{columns[place]}" if columns else table
    return [_sql_field(c, keys, refs) for c in schema.expressions if isinstance(c, exp.ColumnDef)]


def _sql_field(column: Any, keys: set[str], refs: Mapping[str, str]) -> Field:
    from sqlglot import exp

    kinds = [constraint.kind for constraint in column.constraints]
    ref = refs.get(column.name)
    for kind in kinds:
        if isinstance(kind, exp.Reference):
            target = kind.this
            named = isinstance(target, exp.Schema) and target.expressions
            ref = f"{target.this.name}.{target.expressions[0].name}" if named else target.this.name or target.name
    key = column.name in keys or any(isinstance(k, exp.PrimaryKeyColumnConstraint) for k in kinds)
    needed = key or any(isinstance(k, exp.NotNullColumnConstraint) and not k.args.get("allow_null") for k in kinds)
    values: tuple[Any, ...] = ()
    for check in (k for k in kinds if isinstance(k, exp.CheckColumnConstraint)):
        if isinstance(check.this, exp.In):
            values = tuple(v.name for v in check.this.expressions)
    unique = any(isinstance(k, exp.UniqueColumnConstraint) for k in kinds)
    composite = key and len(keys) > 1 and ref is None
    return Field(column.name, _sql_type(column.kind), not needed, key and not composite, unique, values, ref=ref)


_SQL: Final = {  # what the name of a type holds -> what it is; the first counts
    "SERIAL": "integer", "INT": "integer", "BOOL": "boolean", "UUID": "uuid", "TIMESTAMP": "datetime",
    "DATETIME": "datetime", "DATE": "date", "DEC": "number", "NUM": "number", "FLOAT": "number", "DOUBLE": "number",
    "REAL": "number", "MONEY": "number",
}  # fmt: skip


def _sql_type(kind: Any) -> str:
    name = "TEXT" if kind is None else str(kind.args.get("kind") or kind.this.name).upper()
    return next((found for part, found in _SQL.items() if part in name), "text")


def from_database(url: str) -> dict[str, Any]:
    """A recipe of the tables of a live database, by its URL. Only their description is read."""
    try:
        import sqlalchemy
    except ImportError as error:
        raise MissingExtraError("databases need the extra `sql`: pip install 'verosim[sql]'.") from error
    try:
        inspector = sqlalchemy.inspect(sqlalchemy.create_engine(url))
        tables = {name: _reflected(inspector, name) for name in inspector.get_table_names()}
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise ArgumentError(
            f"the database cannot be read: {type(error).__name__}."
        ) from error  # the text may tell a password
    if not tables:
        raise SchemaError("the database has no tables.")
    return _recipe(tables)


def _reflected(inspector: Any, name: str) -> list[Field]:
    keys = inspector.get_pk_constraint(name)["constrained_columns"]
    refs = {
        own: f"{key['referred_table']}.{other}"
        for key in inspector.get_foreign_keys(name)
        for own, other in zip(key["constrained_columns"], key["referred_columns"], strict=True)
    }
    return [
        Field(
            c["name"], _reflected_type(c["type"]), c["nullable"], keys == [c["name"]], ref=refs.get(c["name"]),
        )
        for c in inspector.get_columns(name)
    ]  # fmt: skip


def _reflected_type(kind: Any) -> str:
    try:
        return _PYTHON.get(kind.python_type, "text")
    except NotImplementedError:
        return "text"


# ------------------------------------------------------------------------------------------------- data


def from_frames(dataset: Mapping[str, pl.DataFrame], schema: Schema) -> dict[str, Any]:
    """A recipe of data like these: levels with their shares, ranges in tenths, gaps. Columns are drawn apart.

    Levels that fewer than five rows hold are left out, and so are the lowest and highest numbers.
    """
    tables = {}
    for name, frame in dataset.items():
        columns = {c.name: _like(frame[c.name], c.kind, c.provider, c.pattern) for c in schema[name].columns}
        tables[_bare(name)] = {"rows": frame.height, "columns": columns}
    return {"verosim": VERSION, "tables": tables}


def _like(values: pl.Series, kind: str, provider: str | None, pattern: str | None) -> dict[str, Any]:
    known = values.drop_nulls()
    gaps = {} if not values.null_count() else {"missing": round(values.null_count() / max(len(values), 1), 4)}
    if not len(known):
        return {"constant": None}
    if kind == "id":
        return {"id": pattern or "uuid"}
    if kind == "personal" and (provider or "").partition(":")[0] in PROVIDERS:
        name, _, locale = (provider or "").partition(":")
        return {"provider": name, **({"locale": locale} if locale else {}), **gaps}
    if kind in ("number", "geo") and known.dtype.is_numeric() and known.n_unique() > 20:
        return {**_histogram(known), **gaps}
    if isinstance(known.dtype, pl.Date | pl.Datetime):
        first, last = (str(known.quantile(q, "nearest"))[:10] for q in (0.05, 0.95))
        word = "date" if isinstance(known.dtype, pl.Date) else "datetime"
        return {word: [first, last if first < last or word == "date" else "2100-01-01"], **gaps}
    if kind == "text" or known.dtype.is_temporal() or known.dtype.is_nested():
        return {"lorem": [3, 10], **gaps}
    return {**_levels(known), **gaps}


def _histogram(known: pl.Series) -> dict[str, Any]:
    digits = None if known.dtype.is_integer() else 4  # rounded to None: a whole number
    edges = sorted({round(known.quantile(q / 20, "nearest") or 0, digits) for q in range(1, 20)})
    if len(edges) < 2:
        return {"constant": edges[0]}
    ends = known.cast(pl.Float64)
    weights = [int(ends.is_between(a, b, closed="left").sum()) for a, b in pairwise(edges)]
    return {"histogram": edges, "weights": [w or 1 for w in weights], **({"digits": 0} if digits is None else {})}


def _levels(known: pl.Series) -> dict[str, Any]:
    values = known if known.dtype in (pl.Boolean, pl.String) or known.dtype.is_numeric() else known.cast(pl.String)
    values = values.cast(pl.Float64) if isinstance(values.dtype, pl.Decimal) else values
    counts = values.value_counts(sort=True, name="\0rows").filter(pl.col("\0rows") >= PRIVATE).head(200)
    if counts.is_empty():
        return {"lorem": [1, 3]}
    levels, rows = counts.to_dict(as_series=False).values()
    return {"choice": dict(zip(levels, (round(r / len(known), 4) for r in rows), strict=True))}
