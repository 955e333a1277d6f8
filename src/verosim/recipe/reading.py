"""The recipe file: YAML to dataclasses, each error with its line, and the JSON schema that editors complete from.

Both follow from the dataclasses: what a field's type says is what the file may hold.
"""

from __future__ import annotations

import datetime as dt
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, Final

import yaml

from verosim.errors import SchemaError, did_you_mean
from verosim.recipe.kinds import KINDS, Choice, Constant, Distribution, Formula
from verosim.recipe.nouns import Column, Correlation, Kind, PlacedError, Table, Where
from verosim.schema import Loader, not_yaml

VERSION: Final = "recipe 1"
LARGEST: Final = 1_000_000  # characters of a file
DEEPEST: Final = 30  # mappings and lists inside each other


@dataclass(frozen=True)
class RecipeFile:
    """The whole file."""

    tables: Mapping[str, Table]
    verosim: str = VERSION
    seed: int = 0
    locale: str = "en_US"
    about: str = ""


# ------------------------------------------------------------------------------------------------- YAML


_PLAIN: Final = {  # yes, on and 12:30 are text here, and so is 00123
    "tag:yaml.org,2002:bool": re.compile("true|false"),
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(0|[1-9][0-9_]*)"),
    "tag:yaml.org,2002:float": re.compile(
        r"[-+]?([0-9][0-9_]*)?\.[0-9_]*([eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    ),
    "tag:yaml.org,2002:null": re.compile("null|~|"),
}


class _Reader(Loader):
    """The loader with a bound on depth, and with the plain words of YAML 1.2 (1.1 reads `no` as false)."""

    depth = 0

    def resolve(self, kind: Any, text: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            for tag, pattern in _PLAIN.items():
                if pattern.fullmatch(text) and (tag.endswith(("null", "bool")) or any(c.isdigit() for c in text)):
                    return tag
            return "tag:yaml.org,2002:str"
        return super().resolve(kind, text, implicit)  # type: ignore[no-untyped-call]

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > DEEPEST:
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise SchemaError(f"line {event.start_mark.line + 1}: nested over {DEEPEST} deep.")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def parse(text: str) -> tuple[Any, dict[Where, int]]:
    """The plain values of a YAML text, and the line (from 1) of each place in it. Raises SchemaError with the line."""
    if len(text) > LARGEST:
        raise SchemaError(f"the file has {len(text):,} characters; a recipe has at most {LARGEST:,}.")
    loader = _Reader(text)
    try:
        node = loader.get_single_node()
        lines: dict[Where, int] = {}
        if node is not None:
            _note_lines(node, (), lines)
        return (None if node is None else loader.construct_document(node)), lines
    except yaml.YAMLError as error:
        raise not_yaml(error) from error
    except RecursionError as error:
        raise SchemaError("line 1: not valid YAML: nested too deeply.") from error
    finally:
        loader.dispose()


def in_file(error: SchemaError, name: str) -> SchemaError:
    """The same error with the file's name before its line, if it has one."""
    return SchemaError(f"{name}, {error}" if str(error).startswith("line ") else f"{name}: {error}")


def _note_lines(node: yaml.Node, where: Where, lines: dict[Where, int]) -> None:
    lines.setdefault(where, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*where, str(key.value))
            lines[inner] = key.start_mark.line + 1
            _note_lines(value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            _note_lines(value, (*where, number), lines)


def line_of(where: Where, lines: Mapping[Where, int]) -> int | None:
    """The line of a place, or of the nearest place around it that is in the file."""
    for end in range(len(where), -1, -1):
        if where[:end] in lines:
            return lines[where[:end]]
    return None


# ------------------------------------------------------------------------------------------------- values to nouns


def read(data: Any) -> RecipeFile:
    """Plain values as a recipe. Raises PlacedError."""
    if not isinstance(data, Mapping):
        raise PlacedError(f"a recipe was wanted: `tables:` with their columns, not {_short(data)}.", ())
    if isinstance(data, Mapping) and str(data.get("verosim", VERSION)) != VERSION:
        raise PlacedError(f"the file says {data['verosim']!r}; this verosim reads {VERSION!r}.", ("verosim",))
    found = _dataclass(data, RecipeFile, ())
    if not found.tables:
        raise PlacedError("there are no tables.", ("tables",))
    for name in found.tables:
        if not name or "." in name or "/" in name or "\0" in name:
            raise PlacedError(f"table {name!r}: a name without dots and slashes was wanted.", ("tables", name))
    return found


def hints(cls: Any) -> dict[str, Any]:
    """The types of a dataclass's fields, by name."""
    found = typing.get_type_hints(cls)
    return {f.name: found[f.name] for f in fields(cls)}


def value(data: Any, hint: Any, where: Where) -> Any:
    """Plain values as what a type hint says. Raises PlacedError."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _one_of(data, inner, where)
    if hint is Column:
        return column(data, where)
    if hint is Correlation:
        return _correlation(data, where)
    if hasattr(hint, "__dataclass_fields__"):
        return _dataclass(data, hint, where)
    if origin in (list, tuple):
        return _sequence(data, origin, inner, where)
    if origin in (dict, Mapping):
        if not isinstance(data, Mapping):
            raise PlacedError(f"a mapping (`name: value`) was wanted, not {_short(data)}.", where)
        return {value(k, inner[0], where): value(v, inner[1], (*where, str(k))) for k, v in data.items()}
    if hint is Any:
        return data
    if origin is typing.Literal:
        if data not in inner:
            raise PlacedError(f"one of {', '.join(map(repr, inner))} was wanted, not {_short(data)}.", where)
        return data
    if _fits(data, hint):
        return data
    raise PlacedError(f"{_NAMES.get(hint, hint)} was wanted, not {_short(data)}.", where)


_NAMES: Final = {
    int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "nothing",
    dict: "a mapping", Mapping: "a mapping", list: "a list", tuple: "a list",
}  # fmt: skip


def _fits(data: Any, hint: Any) -> bool:
    if hint is float:
        return isinstance(data, int | float) and not isinstance(data, bool) and data == data
    if hint is int:
        return isinstance(data, int) and not isinstance(data, bool)
    return isinstance(data, hint)


def _one_of(data: Any, choices: tuple[Any, ...], where: Where) -> Any:
    """The first of several types that the values are of."""
    if data is None and type(None) in choices:
        return None
    if Column in choices:  # which is written in any form
        return column(data, where)
    shaped = [c for c in choices if _shape(c) is _shape_of(data)]
    if len(shaped) == 1:
        return value(data, shaped[0], where)
    for choice in shaped:
        if _fits(data, choice):
            return data
    wanted = dict.fromkeys(_NAMES.get(typing.get_origin(c) or c, "a column") for c in choices if c is not type(None))
    raise PlacedError(f"{' or '.join(wanted)} was wanted, not {_short(data)}.", where)


def _shape(hint: Any) -> type:
    origin = typing.get_origin(hint) or hint
    if origin in (list, tuple):
        return list
    if origin in (dict, Mapping) or hasattr(hint, "__dataclass_fields__"):
        return dict
    return object


def _shape_of(data: Any) -> type:
    return dict if isinstance(data, Mapping) else list if isinstance(data, list | tuple) else object


def _sequence(data: Any, origin: Any, inner: tuple[Any, ...], where: Where) -> Any:
    items = list(data) if isinstance(data, list | tuple) else [data]  # one stands for a list of one
    if isinstance(data, Mapping) and not (hasattr(inner[0], "__dataclass_fields__")):
        raise PlacedError(f"a list was wanted, not {_short(data)}.", where)
    if origin is tuple and inner[-1] is not Ellipsis:
        if len(items) != len(inner):
            raise PlacedError(f"a list of {len(inner)} was wanted, not {_short(data)}.", where)
        return tuple(value(v, h, (*where, i)) for i, (v, h) in enumerate(zip(items, inner, strict=True)))
    return origin(value(v, inner[0], (*where, i)) for i, v in enumerate(items))


def _dataclass(data: Any, cls: type, where: Where) -> Any:
    if not isinstance(data, Mapping):
        raise PlacedError(f"a mapping (`name: value`) was wanted, not {_short(data)}.", where)
    known = hints(cls)
    for key in data:
        if key not in known:
            raise PlacedError(f"unknown key {key!r}; {did_you_mean(key, known)}", (*where, str(key)))
    for f in fields(cls):
        if f.name not in data and _needed(f):
            raise PlacedError(f"`{f.name}` is missing.", where)
    return cls(**{str(key): value(v, known[key], (*where, str(key))) for key, v in data.items()})


def _needed(f: Field[Any]) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


def _correlation(data: Any, where: Where) -> Correlation:
    """`matrix`, or for two columns `rank: 0.6`."""
    if isinstance(data, Mapping) and "rank" in data:
        rank = value(data["rank"], float, (*where, "rank"))
        data = {**{k: v for k, v in data.items() if k != "rank"}, "matrix": [[1, rank], [rank, 1]]}
    found: Correlation = _dataclass(data, Correlation, where)
    return found


# ------------------------------------------------------------------------------------------------- columns

COMMON: Final = tuple(f.name for f in fields(Column) if f.name != "kind")


def column(data: Any, where: Where) -> Column:
    """A column as it is written: text is a formula, a list a choice, another plain value a constant."""
    if isinstance(data, str):
        return Column(Formula(data))
    if isinstance(data, list | tuple):
        return Column(value({"values": list(data)}, Choice, where))
    if not isinstance(data, Mapping):
        return Column(Constant(value(data, str | int | float | bool | None, where)))
    if None in data:
        raise PlacedError("`null` is YAML's word for nothing; missing values are asked for by `missing: 0.1`.", where)
    name = next((key for key in data if key in KINDS), None)
    if name is None:
        unknown = next((key for key in data if key not in COMMON), None)
        if unknown is None:
            raise PlacedError("it has no kind, such as `normal: [0, 1]`.", where)
        raise PlacedError(f"no kind {unknown!r}; {did_you_mean(unknown, [*KINDS, *COMMON])}", (*where, str(unknown)))
    common = {key: v for key, v in data.items() if key in COMMON and key != name}
    own = {key: v for key, v in data.items() if key not in common and key != name}
    kind = _kind(name, data[name], own, where)
    known = hints(Column)
    return Column(kind, **{str(k): value(v, known[k], (*where, str(k))) for k, v in common.items()})


def _kind(name: str, main: Any, own: dict[str, Any], where: Where) -> Kind:
    """The kind, from what stands behind its name and beside it."""
    cls = KINDS[name]
    known = hints(cls)
    order = [f for f in known if f not in _preset(cls)]
    for key in own:
        if key not in order[1:]:
            raise PlacedError(
                f"{name}: unknown key {key!r}; {did_you_mean(key, [*order[1:], *COMMON])}", (*where, str(key))
            )
    given = {key: value(v, known[key], (*where, str(key))) for key, v in own.items()}
    at = (*where, name)
    for key, v in _main(cls, name, main, order, known, at).items():
        if key in given:
            raise PlacedError(f"{name}: `{key}` is given twice.", (*where, key))
        given[key] = v
    missing = [f.name for f in fields(cls) if _needed(f) and f.name not in given and f.name not in _preset(cls)]
    if missing:
        raise PlacedError(f"{name}: `{missing[0]}` is missing.", at)
    return cls(**({"family": name} if cls is Distribution else {}), **given)


def _preset(cls: type[Kind]) -> tuple[str, ...]:
    return ("family",) if cls is Distribution else ()


def _main(
    cls: type[Kind], name: str, main: Any, order: list[str], known: dict[str, Any], where: Where
) -> dict[str, Any]:
    """What stands behind the name: the first field, or where that cannot be, several fields by place or by name."""
    shapes = {
        _shape(c) for c in (typing.get_args(known[order[0]]) if _is_union(known[order[0]]) else (known[order[0]],))
    }
    if main is None and all(not _needed(f) for f in fields(cls) if f.name in order):
        return {}
    if main is True and bool not in typing.get_args(known[order[0]]) and known[order[0]] is not bool:
        return {}
    shape = _shape_of(main)
    if known[order[0]] is Column:  # which is written in any form
        return {order[0]: column(main, where)}
    if shape is dict and dict not in shapes:
        for key in main:
            if key not in order:
                raise PlacedError(f"{name}: unknown key {key!r}; {did_you_mean(key, order)}", (*where, str(key)))
        return {str(k): value(v, known[k], (*where, str(k))) for k, v in main.items()}
    if shape is list and list not in shapes:
        if len(main) > len(order):
            raise PlacedError(f"{name}: at most {', '.join(order)} were wanted, not {len(main)} values.", where)
        return {key: value(v, known[key], (*where, i)) for i, (key, v) in enumerate(zip(order, main, strict=False))}
    return {order[0]: value(main, known[order[0]], where)}


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


# ------------------------------------------------------------------------------------------------- and back


def plain(file: RecipeFile) -> dict[str, Any]:
    """The recipe as plain values: what `read` makes the same recipe of. What has its default value is left out."""
    return {"verosim": file.verosim, **{k: v for k, v in _plain(file).items() if k != "verosim"}}


def _plain(thing: Any) -> Any:
    if isinstance(thing, Column):
        return _plain_column(thing)
    if hasattr(thing, "__dataclass_fields__"):
        return {name: _plain(v) for name, v in _set(thing).items()}
    if isinstance(thing, Mapping):
        return {key: _plain(v) for key, v in thing.items()}
    return [_plain(v) for v in thing] if isinstance(thing, list | tuple) else thing


def _set(thing: Any) -> dict[str, Any]:
    """The fields that have another value than their default."""
    out = {}
    for f in fields(thing):
        default = f.default_factory() if f.default_factory is not MISSING else f.default
        if getattr(thing, f.name) != default:
            out[f.name] = getattr(thing, f.name)
    return out


_WORDS: Final = {cls: name for name, cls in KINDS.items() if cls is not Distribution}


def _plain_column(thing: Column) -> Any:
    kind, common = thing.kind, {k: _plain(v) for k, v in _set(thing).items() if k != "kind"}
    if isinstance(kind, Formula) and not common:
        return kind.formula
    order = [f.name for f in fields(kind)]
    if isinstance(kind, Distribution):
        word, order = kind.family, order[1:]
    else:
        word = _WORDS[type(kind)]
    main = _plain(getattr(kind, order[0])) if order else True
    beside = {name: _plain(v) for name, v in _set(kind).items() if name in order[1:]}
    return {word: main, **beside, **common}


def _short(data: Any) -> str:
    text = data.isoformat() if isinstance(data, dt.date) else repr(data)
    return text if len(text) <= 60 else text[:57] + "..."
