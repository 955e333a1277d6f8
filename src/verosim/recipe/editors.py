"""The JSON schema of recipe files, from which editors complete, check and explain while a person types."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, Final

from verosim.errors import ArgumentError
from verosim.recipe.kinds import KINDS, Distribution
from verosim.recipe.nouns import Column, Correlation, Kind
from verosim.recipe.quantiles import FAMILIES
from verosim.recipe.reading import RecipeFile, hints

_PLAIN: Final = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}


def json_schema() -> dict[str, Any]:
    """A JSON schema (draft 2020-12) of the recipe file."""
    parts: dict[str, Any] = {"column": {}}
    parts["column"] = {
        "description": "text is a formula, a list a choice, another plain value a constant",
        "anyOf": [
            {"type": ["string", "number", "boolean", "null", "array"]},
            *({"$ref": f"#/$defs/{name}"} for name in KINDS),
        ],
    }
    for name, cls in KINDS.items():
        parts[name] = _kind(name, cls, parts)
    top = _object(RecipeFile, parts)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "verosim recipe", **top, "$defs": parts}


def _kind(name: str, cls: type[Kind], parts: dict[str, Any]) -> dict[str, Any]:
    known = {f: h for f, h in hints(cls).items() if cls is not Distribution or f != "family"}
    first, *beside = known
    about = f"{name}: {', '.join(FAMILIES[name].parameters)}" if cls is Distribution else cls.ABOUT
    by_name = {
        "type": "object",
        "properties": {f: _hint(h, parts) for f, h in known.items()},
        "additionalProperties": False,
    }
    main = {"anyOf": [_hint(known[first], parts), {"type": "array"}, {"type": ["boolean", "null"]}, by_name]}
    common = {f: _hint(h, parts) for f, h in hints(Column).items() if f != "kind"}
    return {
        "type": "object",
        "description": about,
        "properties": {**common, **{f: _hint(known[f], parts) for f in beside}, name: main},
        "required": [name],
        "additionalProperties": False,
    }


def _object(cls: type, parts: dict[str, Any]) -> dict[str, Any]:
    properties = {f: _hint(h, parts) for f, h in hints(cls).items()}
    needed = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]
    out = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**out, "required": needed} if needed else out


def _hint(hint: Any, parts: dict[str, Any]) -> dict[str, Any]:
    """What a type hint says, as a schema; dataclasses become parts of their own."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Column:
        return {"$ref": "#/$defs/column"}
    if hasattr(hint, "__dataclass_fields__"):
        name = hint.__name__
        if name not in parts:
            parts[name] = {}
            parts[name] = _object(hint, parts)
            if hint is Correlation:
                parts[name]["properties"]["rank"] = {"type": "number"}
                parts[name]["required"] = ["columns"]
        return {"$ref": f"#/$defs/{name}"}
    if origin in (list, tuple):
        items = _hint(inner[0], parts)
        return {"anyOf": [{"type": "array", "items": items}, items]}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _hint(inner[1], parts)}
    if inner:
        return {"anyOf": [_hint(h, parts) for h in inner]}
    if hint is Any:
        return {}
    if hint not in _PLAIN:
        raise ArgumentError(f"no JSON schema of {hint}.")
    return {"type": _PLAIN[hint]}
