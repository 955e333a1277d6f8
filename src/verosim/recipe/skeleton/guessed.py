"""What is known of a column, from wherever, and the guess at what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from verosim.errors import SchemaError
from verosim.providers import PROVIDERS
from verosim.recipe.kinds import Regex
from verosim.recipe.reading import VERSION

GAPS: Final = 0.05  # share of missing values where there may be some


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


def recipe_of(tables: Mapping[str, Iterable[Field]]) -> dict[str, Any]:
    """The recipe of tables of which each column is known so far."""
    return {
        "verosim": VERSION,
        "tables": {bare(name): {"columns": {f.name: _column(f) for f in fields}} for name, fields in tables.items()},
    }


def bare(name: str) -> str:
    """A name without what a table's may not have."""
    return name.replace(".", "_").replace("/", "_")


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
