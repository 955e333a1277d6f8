"""A recipe from what programs say of their data: JSON schemas, dataclasses, pydantic models."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import types
import typing
import uuid
from collections.abc import Mapping
from typing import Any, Final

from verosim.errors import ArgumentError, SchemaError
from verosim.recipe.skeleton.guessed import Field, recipe_of


def from_json_schema(schema: Mapping[str, Any], name: str = "table") -> dict[str, Any]:
    """A recipe of one table, from the JSON schema of an object, or of a list of them."""
    known = {**schema.get("$defs", {}), **schema.get("definitions", {})}
    top = _resolved(schema, known)
    if top.get("type") == "array":
        top = _resolved(top.get("items", {}), known)
    if not isinstance(top.get("properties"), Mapping) or not top["properties"]:
        raise SchemaError("the JSON schema describes no object: `properties` are missing.")
    return recipe_of({str(schema.get("title", name)): _json_fields(top, known, 0)})


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
    return recipe_of({cls.__name__: _class_fields(cls, 0)})


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
