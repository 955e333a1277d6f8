"""What a scenario is made of: frozen dataclasses, one to one with the YAML file.

    sources:
      customers: {every: {exponential: 5}, to: tellers}
    stations:
      tellers: {servers: 3, service: {exponential: 10}}

Here that is `Source(every=Column(Distribution("exponential", 5)), to="tellers")` and `Station(servers=3, ...)`. What
differs from case to case is a recipe column (`Column`): a number, a distribution, or an expression over the attributes
of the case. Times are numbers of the scenario's `unit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from verosim.recipe.nouns import Column

VERSION: Final = "scenario 1"
EXIT: Final = "exit"  # where a case goes that leaves
MOST_ROWS: Final = 100_000_000  # that are held in memory at once

Unit = Literal["seconds", "minutes", "hours", "days"]
Chance = float | str  # a probability, or an expression that gives one


@dataclass(frozen=True)
class Source:
    """Where cases come from: give `every`, `rate`, `at` or `file`."""

    every: Column | None = None  # the time from one arrival to the next
    rate: float | None = None  # arrivals a unit of time, at random (Poisson)
    hours: tuple[float, ...] = ()  # 24 factors of the rate, by hour of the day
    weekdays: tuple[float, ...] = ()  # 7 factors of the rate, from Monday
    at: tuple[float | str, ...] = ()  # a schedule: times, or dates and times
    file: str | None = None  # replay: a file whose column `time` says when; its other columns are attributes
    population: int | None = None  # so many are there at the start
    batch: Column | None = None  # how many cases arrive together
    to: str | None = None  # the station that cases go to first; by default the first one
    start: float = 0.0
    until: float | None = None
    cases: int | None = None  # at most so many


@dataclass(frozen=True)
class Shift:
    """Servers that are there at some hours."""

    servers: int
    hours: tuple[float, float] = (0.0, 24.0)  # from, to; over midnight where to is less
    weekdays: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)  # 1 is Monday


@dataclass(frozen=True)
class Breaks:
    """Servers that fail: time from repair to failure, and time that the repair takes."""

    up: Column
    down: Column


@dataclass(frozen=True)
class Batch:
    """Cases that are served together."""

    size: int
    wait: float | None = None  # after so long, fewer will do


@dataclass(frozen=True)
class Branch:
    """A way that is taken where its condition holds, or always."""

    to: str
    when: str | None = None


@dataclass(frozen=True)
class Station:
    """A place where cases wait and are served."""

    service: Column | None = None  # how long; by default no time
    servers: int | str | tuple[Shift, ...] | None = None  # how many, or the parameter that says it; by default no limit
    queue: Literal["fifo", "lifo", "priority"] = "fifo"
    priority: Column | None = None  # of a case: the smallest number is served first
    preempt: Literal["no", "resume", "restart"] = "no"  # whether a better priority interrupts
    capacity: int | str | None = None  # places, those of servers included
    full: Literal["leave", "skip", "wait"] = "leave"  # when all places are taken; wait: it blocks the server before
    balk: Column | None = None  # goes away where so many wait already, or more
    patience: Column | None = None  # goes away after waiting so long
    lost: Literal["leave", "skip"] = "leave"  # what becomes of those that go away: they leave, or skip this station
    batch: Batch | None = None
    needs: Mapping[str, int] = field(default_factory=dict)  # resources that are taken for the service
    holds: bool = False  # the resources stay with the case until a station frees them, or it leaves
    frees: tuple[str, ...] = ()  # resources given back after the service
    takes: Mapping[str, Column] = field(default_factory=dict)  # how much of a stock; waits for it
    breaks: Breaks | None = None
    interrupted: Literal["finish", "resume", "restart"] = "finish"  # a service at the end of a shift, or at a failure
    sets: Mapping[str, Column] = field(default_factory=dict)  # attributes that the service changes
    next: str | Mapping[str, Chance] | tuple[Branch, ...] | None = None  # by default the case leaves


@dataclass(frozen=True)
class Stock:
    """Goods that run out and are ordered: (s, S) with `upto`, (r, Q) with `quantity`."""

    start: float
    at: float  # an order goes out when what is there and on its way falls to this
    upto: float | None = None
    quantity: float | None = None
    lead: Column | None = None  # the time until the goods come
    short: Literal["wait", "leave"] = "wait"  # what those do who come when there is too little


@dataclass(frozen=True)
class Move:
    """A change of state: its rate (a unit of time, each), or the time spent before."""

    to: str
    rate: str | float


@dataclass(frozen=True)
class Population:
    """Entities that change their state step by step, at rates that may depend on how many are in which state."""

    size: int
    states: Mapping[str, tuple[Move, ...]]
    start: Mapping[str, float]  # shares or numbers in each state; the rest is in the first state
    until: float
    step: float = 1.0
    columns: Mapping[str, Column] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """What goes wrong in a channel, with a label: how often, how long, and how it looks."""

    kind: Literal["spike", "shift", "drift", "noise", "stuck", "gap", "season"]
    every: float  # mean time from one to the next
    lasts: float = 0.0  # mean duration; 0 is a single reading
    size: float = 3.0  # in standard deviations of the noise
    label: str | None = None


@dataclass(frozen=True)
class Season:
    """A wave: period and height, and when it is at its top."""

    period: float
    height: float
    top: float = 0.0


@dataclass(frozen=True)
class Channel:
    """One reading of a sensor."""

    level: float = 0.0
    spread: float = 0.0  # of the level, from sensor to sensor
    trend: float = 0.0  # a unit of time
    seasons: tuple[Season, ...] = ()
    noise: float = 1.0  # standard deviation
    memory: float = 0.0  # of the noise: the correlation of one reading with the next
    follows: Mapping[str, float] = field(default_factory=dict)  # other channels, each with a factor
    wear: float = 0.0  # what full wear adds (see Wear)
    faults: tuple[Fault, ...] = ()
    digits: int | None = None


@dataclass(frozen=True)
class Wear:
    """A machine that wears until it fails and is renewed: remaining life is known at every reading."""

    life: Column  # from renewal to failure
    shape: float = 2.0  # wear is (age / life) ** shape
    warn: float = 0.0  # so long before a failure the label `fails soon` is set


@dataclass(frozen=True)
class Sensors:
    """Sensors that are read at regular times."""

    count: int
    every: float
    until: float
    channels: Mapping[str, Channel]
    wear: Wear | None = None


@dataclass(frozen=True)
class Payment:
    """A kind of payment: who pays whom, how often and how much."""

    rate: float  # a unit of time, each account
    amount: Column
    direction: Literal["transfer", "in", "out"] = "transfer"  # in: cash comes from outside, out: it goes there
    to: Literal["account", "merchant"] = "account"


@dataclass(frozen=True)
class Crime:
    """Payments that belong to a scheme, labelled."""

    kind: Literal[
        "takeover", "fan_in", "fan_out", "cycle", "scatter_gather", "gather_scatter", "bipartite", "stack", "random"
    ]
    count: int  # schemes in all
    accounts: tuple[int, int] = (3, 8)  # how many take part, from, to
    amount: Column | None = None
    lasts: float = 24.0  # how long a scheme takes


@dataclass(frozen=True)
class Ledger:
    """Accounts that pay each other; no balance falls below zero, and no money is lost."""

    accounts: int
    until: float
    balance: Column
    payments: Mapping[str, Payment]
    merchants: int = 0
    crimes: tuple[Crime, ...] = ()
    columns: Mapping[str, Column] = field(default_factory=dict)


@dataclass(frozen=True)
class ScenarioFile:
    """The whole file."""

    verosim: str = VERSION
    unit: Unit = "minutes"
    start: str = "2025-01-06T00:00:00"  # a Monday
    zone: str | None = None
    seed: int = 0
    cases: int | None = None  # how many come by default
    until: float | None = None  # when the simulation stops
    warmup: float = 0.0  # what comes before does not count for the indicators
    within: float | None = None  # the waiting time that the service level asks for
    sources: Mapping[str, Source] = field(default_factory=dict)
    attributes: Mapping[str, Column] = field(default_factory=dict)  # of cases
    stations: Mapping[str, Station] = field(default_factory=dict)
    resources: Mapping[str, int | str] = field(default_factory=dict)
    stocks: Mapping[str, Stock] = field(default_factory=dict)
    parameters: Mapping[str, int | float] = field(default_factory=dict)
    populations: Mapping[str, Population] = field(default_factory=dict)
    sensors: Mapping[str, Sensors] = field(default_factory=dict)
    ledgers: Mapping[str, Ledger] = field(default_factory=dict)
    locale: str = "en_US"
    about: str = ""
