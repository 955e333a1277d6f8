"""Module files read: JSON to plain values, and the place of each: every error names file, state and what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from verosim.errors import FileError, SchemaError, did_you_mean

MISSHAPEN: Final = (
    TypeError,
    ValueError,
    AttributeError,
    KeyError,
    IndexError,
    OverflowError,
)  # of a wrong kind of JSON


@dataclass(frozen=True)
class Place:
    """Where in a library something stands."""

    file: str
    state: str = ""

    def fail(self, what: str) -> NoReturn:
        raise SchemaError(f"{self.file}: {f'state {self.state!r}: ' if self.state else ''}{what}")

    def check(self, holds: object, what: str) -> None:
        if not holds:
            self.fail(what)

    def known(self, name: object, names: Iterable[object], what: str) -> None:
        """Check that `name` is one of `names`. what: `the state`, `the operator` ..."""
        known = list(names)
        if name not in known:
            self.fail(f"{what} {name!r} does not exist; {did_you_mean(name, known)}")


def number_of(spec: object, key: str, place: Place) -> float:
    """A number that must be there."""
    value = spec.get(key) if isinstance(spec, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        place.fail(f"`{key}` must be a number, not {value!r}.")
    return float(value)


def mapping(spec: object, what: str, place: Place) -> Mapping[str, Any]:
    if not isinstance(spec, Mapping):
        place.fail(f"{what} must be an object, not {spec!r}.")
    return spec


def listing(spec: object, what: str, place: Place) -> list[Any]:
    if not isinstance(spec, list) or not spec:
        place.fail(f"{what} must be a list with something in it, not {spec!r}.")
    return spec


def read_json(path: Path, name: str) -> Mapping[str, Any]:
    """A JSON file's object. Raises FileError, SchemaError with the line."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not UTF-8 text: byte {error.start} cannot be read.") from error
    except json.JSONDecodeError as error:
        raise SchemaError(f"{name}, line {error.lineno}: this is not JSON: {error.msg}.") from error
    return mapping(content, "a module", Place(name))
