"""What contradicts itself in a scenario, said before anything happens: with its place, and what to do."""

from __future__ import annotations

from collections.abc import Iterator

from verosim.errors import did_you_mean
from verosim.recipe.nouns import PlacedError, Where
from verosim.simulation.nouns import EXIT, Source, Station, Stock
from verosim.simulation.plan import OUT, Model


def check(model: Model) -> None:
    """Raises PlacedError."""
    for name, station in model.file.stations.items():
        _check_station(model, name, station)
    for name, stock in model.file.stocks.items():
        _check_stock(name, stock)
    for name, source in model.file.sources.items():
        _check_source(model, name, source)
    if model.file.stations and not model.file.sources:
        raise PlacedError("there are no sources: nobody comes.", ("sources",))
    _check_ends(model)


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
    _check_names(model, station, where)
    _check_batch(station, where)
    for part in ("service", "patience"):
        _check_mean(model, name, part, (*where, part))


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
    if station.preempt != "no" or station.interrupted != "finish" or station.takes or station.holds:
        said = "batches go with neither `preempt`, `interrupted`, `takes` nor `holds`."
        raise PlacedError(said, (*where, "batch"))


def _check_mean(model: Model, owner: str, part: str, where: Where) -> None:
    mean = model.mean(owner, part)
    if mean is not None and mean < 0:
        raise PlacedError(f"a time is not negative; its mean is {mean:g}.", where)


def _check_stock(name: str, stock: Stock) -> None:
    if (stock.upto is None) == (stock.quantity is None):
        raise PlacedError("`upto` or `quantity` was wanted: how much is ordered?", ("stocks", name))
    if (stock.quantity is not None and stock.quantity <= 0) or (stock.upto is not None and stock.upto <= stock.at):
        raise PlacedError("an order is over 0: `quantity` over 0, `upto` over `at`.", ("stocks", name))


def _check_source(model: Model, name: str, source: Source) -> None:
    model.target(source.to, ("sources", name, "to"))
    mean = model.mean(name, "every")
    if mean is not None and mean <= 0:
        raise PlacedError(f"a time between arrivals is over 0; its mean is {mean:g}.", ("sources", name, "every"))


# ------------------------------------------------------------------------------------------------- ways


def _check_ends(model: Model) -> None:
    """Each case can leave, or else the end of time is known; and no circle takes no time."""
    stuck = _without_exit(model)
    if not stuck:
        return
    place: Where = ("stations", stuck[0], "next")
    path = " -> ".join(_circle(model, stuck[0]))
    if all(model.file.stations[name].service is None for name in stuck):
        raise PlacedError(f"an endless loop that takes no time: {path}.", place)
    if model.file.until is None:
        raise PlacedError(f"cases never leave {path}: say `until` when to stop, or add a way to {EXIT}.", place)


def _ways(model: Model, i: int) -> Iterator[int]:
    route = model.routes[i]
    chances = route.terms or (1.0,) * len(route.targets)
    return (to for to, chance in zip(route.targets, chances, strict=True) if chance != 0)


def _without_exit(model: Model) -> list[str]:
    ends = {OUT}
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
