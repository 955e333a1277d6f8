"""The scenario file: YAML to dataclasses by the recipe's reader, with values put in from outside (`--set`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from verosim.errors import ArgumentError, did_you_mean
from verosim.recipe import reading
from verosim.recipe.nouns import PlacedError
from verosim.schema import read_text
from verosim.simulation.nouns import EXIT, VERSION, ScenarioFile

_LONE: Final = {"stations": "servers", "resources": None, "parameters": None, "populations": "size", "sensors": "count"}


def read(data: Any) -> ScenarioFile:
    """Plain values as a scenario. Raises PlacedError."""
    if not isinstance(data, Mapping):
        raise PlacedError(f"a scenario was wanted: `sources:` and `stations:`, not {data!r}."[:200], ())
    if str(data.get("verosim", VERSION)) != VERSION:
        raise PlacedError(f"the file says {data['verosim']!r}; this verosim reads {VERSION!r}.", ("verosim",))
    found: ScenarioFile = reading.value(data, ScenarioFile, ())
    if not (found.stations or found.populations or found.sensors or found.ledgers):
        raise PlacedError("nothing happens: there are no stations, populations, sensors or ledgers.", ())
    for part in ("stations", "sources", "resources", "stocks"):
        for name in getattr(found, part):
            if name == EXIT or not name or "\0" in name or "/" in name:
                raise PlacedError(f"{name!r} is no name here; `{EXIT}` is where cases leave.", (part, name))
    return found


def library() -> dict[str, str]:
    """The scenarios that come with verosim: name -> text."""
    folder = files("verosim.simulation").joinpath("library")
    found = {p.name.removesuffix(".yaml"): p for p in folder.iterdir() if p.name.endswith(".yaml")}
    return {name: found[name].read_text(encoding="utf-8") for name in sorted(found)}


def open_text(path: str | Path) -> tuple[str, str, Path]:
    """-> the text, name and folder of a scenario file, or of the library's scenario of that name. Raises FileError."""
    file, known = Path(path), library()
    if not file.exists() and str(path) in known:
        return known[str(path)], str(path), Path()
    text = read_text(path, "scenario", f", nor a scenario of that name; {did_you_mean(path, known)}")
    return text, str(path), file.parent


# ------------------------------------------------------------------------------------------------- values from outside


def with_values(data: Any, values: Mapping[str, Any]) -> Any:
    """The plain values with some replaced: by their path (`stations.tellers.servers`), by the end of it
    (`tellers.servers`), or by a station's name alone, which says how many servers it has. Raises ArgumentError.

    >>> with_values({"stations": {"desk": {"servers": 1}}}, {"desk": 4})
    {'stations': {'desk': {'servers': 4}}}
    """
    for name, value in values.items():
        data = _replaced(data, _path(data, name), value)
    return data


def _path(data: Any, name: str) -> tuple[str, ...]:
    steps = tuple(name.split("."))
    if len(steps) == 1 and steps[0] in reading.hints(ScenarioFile) and not isinstance(data.get(steps[0]), Mapping):
        return steps
    known = list(_paths(data))
    found = [p for p in known if p == steps] or [p for p in known if p[-len(steps) :] == steps]
    found = [p for p in found if len(p) == min(map(len, found))]
    if len(found) > 1:
        raise ArgumentError(f"{name!r} may be {' or '.join('.'.join(p) for p in found)}: say which.")
    if found:
        (path,) = found
        inner = _LONE.get(path[0]) if len(path) == 2 else None
        return (*path, inner) if inner else path
    parent = [p for p in known if p[-len(steps) + 1 :] == steps[:-1]] if len(steps) > 1 else []
    if len(parent) == 1 and len(parent[0]) == 2:  # a setting that the file leaves out
        return (*parent[0], steps[-1])
    raise ArgumentError(f"there is no {name!r} in the scenario; {did_you_mean(name, _names(known))}")


def _names(known: list[tuple[str, ...]]) -> list[str]:
    """Paths as they may be written, short ones first."""
    return list(dict.fromkeys([*(p[-1] for p in known if len(p) == 2), *(".".join(p[-2:]) for p in known)]))


def _paths(data: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield (*at, str(key))
            yield from _paths(value, (*at, str(key)))


def _replaced(data: Any, path: tuple[str, ...], value: Any) -> Any:
    if not path:
        return value
    inner = data if isinstance(data, Mapping) else {}
    return {**inner, path[0]: _replaced(inner.get(path[0]), path[1:], value)}
