"""What contradicts itself in a scenario, said before anything happens: with its place, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Final

import polars as pl

from verosim.errors import SchemaError, did_you_mean
from verosim.recipe.nouns import PlacedError, Where
from verosim.simulation.nouns import EXIT, MOST_ROWS, Shift, Source, Station, Stock
from verosim.simulation.plan import OUT, Model, term

OWN: Final = ("case", "source", "arrival", "left", "outcome", "waited", "stayed")  # columns of every table of cases
WAYS: Final = ("every", "rate", "at", "file", "population")


def check(model: Model) -> None:
    """Raises PlacedError."""
    _check_times(model)
    for name in model.names_of_cases():
        if name in OWN:
            said = f"{name!r} is a column that each case has anyway; give it another name."
            raise PlacedError(said, ("attributes", name) if name in model.file.attributes else ("sources",))
    for name, station in model.file.stations.items():
        _check_station(model, name, station)
    for name, stock in model.file.stocks.items():
        _check_stock(name, stock)
    for name, source in model.file.sources.items():
        _check_source(model, name, source)
    if model.file.stations and not model.file.sources:
        raise PlacedError("there are no sources: nobody comes.", ("sources",))
    _check_ends(model)


def _check_times(model: Model) -> None:
    """When it begins, counts and ends, and how many may come."""
    file = model.file
    if file.until is not None and file.until <= 0:
        raise PlacedError(f"a time over 0 was wanted, not {file.until:g}.", ("until",))
    if file.warmup < 0 or (file.until is not None and file.warmup >= file.until):
        raise PlacedError(f"a time from 0 up, and before `until`, was wanted, not {file.warmup:g}.", ("warmup",))
    if file.cases is not None and file.cases < 0:
        raise PlacedError(f"a whole number from 0 up was wanted, not {file.cases}.", ("cases",))


# ------------------------------------------------------------------------------------------------- one by one


def _check_station(model: Model, name: str, station: Station) -> None:
    where: Where = ("stations", name)
    servers, capacity = model.servers(name), model.capacity(name)
    if 0 <= capacity < servers:
        said = f"it has {servers} servers and {capacity} places: each server is a place."
        raise PlacedError(said, (*where, "capacity"))
    if station.full == "wait" and capacity < 0:
        raise PlacedError("`full: wait` is for stations with a `capacity`.", (*where, "full"))
    if (station.queue == "priority" or station.preempt != "no") and station.priority is None:
        raise PlacedError("`priority` is missing: which cases go first?", where)
    if station.preempt != "no" and station.queue != "priority":
        raise PlacedError("only a better priority interrupts: give `queue: priority` too.", (*where, "preempt"))
    if not servers and (station.breaks or station.preempt != "no"):
        raise PlacedError("without `servers` nobody waits, and nothing is interrupted.", where)
    if isinstance(station.servers, tuple):
        _check_shifts(station.servers, (*where, "servers"))
    _check_names(model, station, where)
    _check_batch(station, where)
    for part in ("service", "patience", "balk"):
        mean = model.mean(name, part)
        if mean is not None and mean < 0:
            what = "number" if part == "balk" else "time"
            raise PlacedError(f"a {what} is not negative; its mean is {mean:g}.", (*where, part))


def _check_shifts(shifts: tuple[Shift, ...], where: Where) -> None:
    if not shifts:
        raise PlacedError("there are no shifts: nobody would ever serve.", where)
    for i, shift in enumerate(shifts):
        begin, end = shift.hours
        if not (0 <= begin <= 24 and 0 <= end <= 24) or begin == end or (begin * 4) % 1 or (end * 4) % 1:
            said = f"two hours from 0 to 24, in quarters, were wanted, such as [8, 16.5], not [{begin:g}, {end:g}]."
            raise PlacedError(said, (*where, i, "hours"))
        if not shift.weekdays or not set(shift.weekdays) <= set(range(1, 8)):
            said = f"days from 1, Monday, to 7 were wanted, not {list(shift.weekdays)}."
            raise PlacedError(said, (*where, i, "weekdays"))


def _check_names(model: Model, station: Station, where: Where) -> None:
    """What a station names is there, and enough of it."""
    file = model.file
    for part, what, given, known in (
        ("needs", "resource", station.needs, file.resources), ("frees", "resource", station.frees, file.resources),
        ("takes", "stock", station.takes, file.stocks), ("sets", "attribute", station.sets, file.attributes),
    ):  # fmt: skip
        for key in given:
            if key not in known:
                raise PlacedError(f"no {what} {key!r}; {did_you_mean(key, known)}", (*where, part))
    for key in station.sets:
        _check_type(model, key, term(str(where[1]), f"sets {key}"), (*where, "sets", key))
    for key, amount in station.needs.items():
        if not 0 < amount <= model.count_of(file.resources[key], ("resources", key)):
            raise PlacedError(f"{amount} of {key!r} will never be free together.", (*where, "needs", key))
    if len(station.takes) > 1:
        raise PlacedError("a station takes from one stock; put a second station behind it.", (*where, "takes"))


def _check_batch(station: Station, where: Where) -> None:
    if station.batch is None:
        return
    if station.batch.size < 1:
        raise PlacedError(f"a batch has one case or more, not {station.batch.size}.", (*where, "batch"))
    if station.batch.wait is not None and station.batch.wait < 0:
        raise PlacedError(f"a time is not negative: {station.batch.wait:g}.", (*where, "batch", "wait"))
    if station.preempt != "no" or station.interrupted != "finish" or station.takes or station.holds:
        said = "batches go with neither `preempt`, `interrupted`, `takes` nor `holds`."
        raise PlacedError(said, (*where, "batch"))


def _check_type(model: Model, attribute: str, new_value: str, where: Where) -> None:
    """A new value fits the attribute: nothing is cut off."""
    old, new = model.dtype(attribute), model.dtype(new_value)
    if new in (old, pl.Null) or (old.is_float() and new.is_numeric()) or (old.is_integer() and new.is_integer()):
        return
    fix = "; begin with a decimal, such as 1.0" if old.is_integer() and new.is_float() else ""
    raise PlacedError(f"{attribute!r} holds {old}, and this gives {new}{fix}.", where)


def _check_stock(name: str, stock: Stock) -> None:
    if (stock.upto is None) == (stock.quantity is None):
        raise PlacedError("`upto` or `quantity` was wanted: how much is ordered?", ("stocks", name))
    if stock.start < 0:
        raise PlacedError(f"a stock begins with 0 or more, not {stock.start:g}.", ("stocks", name, "start"))
    if (stock.quantity is not None and stock.quantity <= 0) or (stock.upto is not None and stock.upto <= stock.at):
        raise PlacedError("an order is over 0: `quantity` over 0, `upto` over `at`.", ("stocks", name))


def _check_source(model: Model, name: str, source: Source) -> None:
    where: Where = ("sources", name)
    model.target(source.to, (*where, "to"))
    ways = [k for k in WAYS if getattr(source, k) is not None and getattr(source, k) != ()]
    if len(ways) != 1:
        raise PlacedError(f"one of {', '.join(WAYS)} was wanted, not {' and '.join(ways) or 'none'}.", where)
    mean = model.mean(name, "every")
    if mean is not None and mean <= 0:
        raise PlacedError(f"a time between arrivals is over 0; its mean is {mean:g}.", (*where, "every"))
    if source.rate is not None and not 0 < source.rate < inf:
        raise PlacedError(f"a rate is over 0, not {source.rate:g}.", (*where, "rate"))
    for key, n in (("hours", 24), ("weekdays", 7)):
        factors = getattr(source, key)
        if factors and (len(factors) != n or min(factors) < 0 or max(factors) == 0 or source.rate is None):
            raise PlacedError(f"`{key}` are {n} factors of a `rate`, from 0 up, not all 0.", (*where, key))
    _check_span(model, source, where)


def _check_span(model: Model, source: Source, where: Where) -> None:
    """From when until when cases come, and how many."""
    for key in ("start", "until"):
        if (getattr(source, key) or 0) < 0:
            raise PlacedError(f"a time is not negative: {getattr(source, key):g}.", (*where, key))
    if source.until is not None and source.until < source.start:
        raise PlacedError(f"it ends at {source.until:g}, before it starts at {source.start:g}.", (*where, "until"))
    if source.cases is not None and source.cases < 1:
        raise PlacedError(f"a whole number over 0 was wanted, not {source.cases}.", (*where, "cases"))
    if source.population is not None and not 1 <= source.population <= MOST_ROWS:
        said = f"a population has 1 to {MOST_ROWS:,}, not {source.population:,}."
        raise PlacedError(said, (*where, "population"))
    try:
        times = [model.clock.time_of(t) if isinstance(t, str) else t for t in source.at]
    except SchemaError as error:
        raise PlacedError(str(error), (*where, "at")) from error
    if min(times, default=0) < 0:
        raise PlacedError(f"the scenario starts at {model.file.start}; an arrival is before it.", (*where, "at"))


# ------------------------------------------------------------------------------------------------- ways


def _check_ends(model: Model) -> None:
    """Each case can leave, or else the end of time is known; and no circle takes no time."""
    timed = {i for i, name in enumerate(model.names) if model.has(name, "service") and model.mean(name, "service") != 0}
    if stuck := _away_from(model, {OUT, *timed}):
        path = " -> ".join(_circle(model, stuck[0]))
        raise PlacedError(f"an endless loop that takes no time: {path}.", ("stations", stuck[0], "next"))
    stuck = _away_from(model, {OUT})
    if stuck and model.file.until is None:
        said = f"cases never leave {' -> '.join(_circle(model, stuck[0]))}: say `until` when to stop, or add a way to"
        raise PlacedError(f"{said} {EXIT}.", ("stations", stuck[0], "next"))


def _ways(model: Model, i: int) -> Iterator[int]:
    route = model.routes[i]
    chances = route.terms or (1.0,) * len(route.targets)
    return (to for to, chance in zip(route.targets, chances, strict=True) if chance != 0)


def _away_from(model: Model, ends: set[int]) -> list[str]:
    """The stations from which none of these ends can be reached."""
    while True:
        rest = [i for i in range(len(model.names)) if i not in ends]
        more = {i for i in rest if any(to in ends for to in _ways(model, i))}
        if not more:
            return [model.names[i] for i in rest]
        ends |= more


def _circle(model: Model, name: str) -> list[str]:
    path = [model.number[name]]
    while path[-1] not in path[:-1]:
        path.append(next(_ways(model, path[-1])))
    return [model.names[i] for i in path[path.index(path[-1]) :]]
