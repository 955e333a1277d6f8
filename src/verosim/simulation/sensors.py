"""Sensors: readings at regular times, of level, trend, seasons, noise with memory and wear; faults have labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from verosim.draws import stream
from verosim.errors import DataError, did_you_mean
from verosim.faults import moved
from verosim.recipe.nouns import Column, Floats, Ints, PlacedError, Table, Where
from verosim.recipe.planning import Plan
from verosim.recipe.running import Run
from verosim.simulation.arrivals import Rows
from verosim.simulation.clock import Clock
from verosim.simulation.nouns import MOST_ROWS, Channel, Fault, Sensors

READINGS: Final = 1_000_000  # that are made together, or those of one sensor
LIVES: Final = 64  # lives of a machine that are drawn at a time


@dataclass(frozen=True)
class Life:
    """The wear of one machine at each reading (t,): its age, what remains, and when it failed."""

    age: Floats
    remaining: Floats
    wear: Floats
    failures: Floats  # times


class SensorField:
    """Sensors of one kind, planned. Raises PlacedError."""

    def __init__(self, name: str, noun: Sensors, clock: Clock, folder: Path) -> None:
        self.name, self.noun, self.clock = name, noun, clock
        self.where: Where = ("sensors", name)
        self.plan: Plan | None = None
        if noun.count < 1 or noun.every <= 0 or noun.until < noun.every:
            raise PlacedError("`count` and `every` are over 0, and `until` is one reading or more.", self.where)
        if noun.until / noun.every > MOST_ROWS:
            said = f"at most {MOST_ROWS:,} readings of a sensor, not {noun.until / noun.every:,.0f}."
            raise PlacedError(said, self.where)
        self.order = self._in_order()
        for channel, c in noun.channels.items():
            self._check(channel, c)
        if noun.wear is not None:
            try:
                self.plan = Plan({name: Table({"life": Column(noun.wear.life.kind)})}, folder=folder)
            except PlacedError as error:
                raise PlacedError(str(error).partition(": ")[2], (*self.where, "wear", "life")) from error

    def _check(self, name: str, channel: Channel) -> None:
        where: Where = (*self.where, "channels", name)
        if channel.noise < 0 or not -1 < channel.memory < 1:
            raise PlacedError("`noise` is 0 or more, `memory` between -1 and 1.", where)
        if any(s.period <= 0 for s in channel.seasons):
            raise PlacedError("a period is over 0.", (*where, "seasons"))
        for i, fault in enumerate(channel.faults):
            if fault.every <= 0 or fault.lasts < 0:
                raise PlacedError("`every` is over 0, and `lasts` 0 or more.", (*where, "faults", i))

    def _in_order(self) -> list[str]:
        """Channels so that each stands behind those that it follows."""
        out: list[str] = []
        todo = dict(self.noun.channels)
        if not todo:
            raise PlacedError("there are no channels.", (*self.where, "channels"))
        for name, channel in todo.items():
            for other in channel.follows:
                if other not in self.noun.channels:
                    hint = did_you_mean(other, self.noun.channels)
                    raise PlacedError(f"no channel {other!r}; {hint}", (*self.where, "channels", name, "follows"))
        while todo:
            ready = [n for n, c in todo.items() if all(o in out for o in c.follows)]
            if not ready:
                raise PlacedError(
                    f"channels follow each other in a circle: {', '.join(todo)}.", (*self.where, "channels")
                )
            out += ready
            for name in ready:
                del todo[name]
        return out

    @property
    def _together(self) -> int:
        """Sensors of a block."""
        return max(1, int(READINGS * self.noun.every / self.noun.until))

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return -(-self.noun.count // self._together)

    def block(self, seed: int, number: int) -> dict[str, pl.DataFrame]:
        """Readings and faults of some sensors."""
        times, first = np.arange(0.0, self.noun.until, self.noun.every), number * self._together
        made = [self._sensor(seed, k, times) for k in range(first, min(first + self._together, self.noun.count))]
        return {key: pl.concat([m[key] for m in made]) for key in made[0]}

    def _sensor(self, seed: int, k: int, times: Floats) -> dict[str, pl.DataFrame]:
        life = self._life(seed, k, times)
        readings: dict[str, Floats] = {}
        labels = np.full(len(times), -1)
        found: list[tuple[str, str, float, float, str]] = []
        for name in self.order:
            readings[name] = self._channel(seed, k, name, times, readings, life, labels, found)
        names = sorted({f.label or f.kind for c in self.noun.channels.values() for f in c.faults})
        columns = {
            "sensor": np.full(len(times), k + 1),
            "time": self.clock.dates(times),
            **{n: _rounded(readings[n], self.noun.channels[n].digits) for n in self.noun.channels},
        }
        if names:
            columns["label"] = pl.Series([*names, None], dtype=pl.Enum(names)).gather(
                np.where(labels < 0, len(names), labels)
            )
        if life is not None and self.noun.wear is not None:
            columns |= {"age": life.age, "remaining_life": life.remaining}
            columns["fails_soon"] = life.remaining <= self.noun.wear.warn
        tables = {self.name: pl.DataFrame(columns)}
        if names:
            tables[f"{self.name}_faults"] = self._faults(k, found)
        if life is not None:
            when = {"sensor": np.full(len(life.failures), k + 1), "time": self.clock.dates(life.failures)}
            tables[f"{self.name}_failures"] = pl.DataFrame(when)
        return tables

    def _faults(self, k: int, found: list[tuple[str, str, float, float, str]]) -> pl.DataFrame:
        channel, kind, begin, end, label = ([f[i] for f in found] for i in range(5))
        columns = {
            "sensor": pl.Series([k + 1] * len(found), dtype=pl.Int64),
            "channel": pl.Series(channel, dtype=pl.String),
            "kind": pl.Series(kind, dtype=pl.String),
            "begin": self.clock.dates(np.array(begin, float)),
            "end": self.clock.dates(np.array(end, float)),
            "label": pl.Series(label, dtype=pl.String),
        }
        return pl.DataFrame(columns)

    def _life(self, seed: int, k: int, times: Floats) -> Life | None:
        wear = self.noun.wear
        if wear is None or self.plan is None:
            return None
        run = Run(self.plan, {self.name: LIVES}, seed)
        ends, number = np.zeros(1), 0
        while ends[-1] <= times[-1]:
            lives = Rows(run, number, k, np.arange(LIVES), table=self.name).numbers("life")
            if not (np.isfinite(lives) & (lives > 0)).all():
                raise DataError("a life is a time over 0.", table=self.name, fix="Correct `wear.life`.")
            ends, number = np.concatenate([ends, ends[-1] + np.cumsum(lives)]), number + 1
        place = np.searchsorted(ends, times, side="right")
        age, whole = times - ends[place - 1], ends[place] - ends[place - 1]
        failures = ends[1:][ends[1:] <= times[-1]]
        return Life(age, whole - age, (age / whole) ** wear.shape, failures)

    def _channel(
        self, seed: int, k: int, name: str, times: Floats, readings: dict[str, Floats], life: Life | None,
        labels: Ints, found: list[tuple[str, str, float, float, str]],
    ) -> Floats:  # fmt: skip
        """The readings (t,) of one channel; faults are noted in `labels` and `found`."""
        channel = self.noun.channels[name]
        rng = stream(seed, "sensor", self.name, k, name)
        season = sum(
            (s.height * np.cos(2 * np.pi * (times - s.top) / s.period) for s in channel.seasons), np.zeros(len(times))
        )
        value = channel.level + channel.spread * rng.standard_normal() + channel.trend * times + season
        for other, factor in channel.follows.items():
            value = value + factor * readings[other]
        if life is not None:
            value = value + channel.wear * life.wear
        noise = channel.noise * _with_memory(rng.standard_normal(len(times)), channel.memory)
        for number, fault in enumerate(channel.faults):
            own = stream(seed, "sensor", self.name, k, name, "fault", number)
            for begin, end in _windows(own, fault, self.noun):
                part = slice(
                    int(np.ceil(begin / self.noun.every)),
                    max(int(np.ceil(end / self.noun.every)), int(np.ceil(begin / self.noun.every)) + 1),
                )
                if part.start >= len(times):
                    continue
                _spoil(own, fault, value, noise, season, part, channel.noise or 1.0)
                labels[part] = self._label(fault)
                found.append((name, fault.kind, begin, max(end, begin), fault.label or fault.kind))
        return value + noise

    def _label(self, fault: Fault) -> int:
        names = sorted({f.label or f.kind for c in self.noun.channels.values() for f in c.faults})
        return names.index(fault.label or fault.kind)


def _with_memory(noise: Floats, memory: float) -> Floats:
    """Noise (t,) of variance 1 in which each value goes with the one before: an AR(1) process."""
    if memory == 0:
        return noise
    out, last, fresh = noise.tolist(), float(noise[0]), (1 - memory**2) ** 0.5
    for i in range(1, len(out)):
        last = out[i] = memory * last + fresh * out[i]
    return np.array(out)


def _windows(rng: np.random.Generator, fault: Fault, noun: Sensors) -> list[tuple[float, float]]:
    """When a fault begins and ends: at random, a mean time apart."""
    n = int(rng.poisson(noun.until / fault.every))
    begin = np.sort(rng.random(n)) * noun.until
    lasts = fault.lasts * rng.standard_exponential(n, method="inv")
    return list(zip(begin.tolist(), (begin + lasts).tolist(), strict=True))


def _spoil(
    rng: np.random.Generator, fault: Fault, value: Floats, noise: Floats, season: Floats, part: slice, sd: float
) -> None:
    """Put a fault into these readings, in place."""
    if fault.kind in ("spike", "shift", "drift"):
        sign = rng.choice([-1.0, 1.0]) if fault.kind == "spike" else 1.0
        value[part] += sign * fault.size * sd * moved(fault.kind, np.linspace(0, 1, len(value[part])))
    elif fault.kind == "noise":
        noise[part] *= fault.size
    elif fault.kind == "stuck":
        value[part], noise[part] = value[part.start] + noise[part.start], 0.0
    elif fault.kind == "season":
        value[part] -= 2 * season[part]  # right in size, wrong for the time of day
    else:
        value[part] = np.nan


def _rounded(values: Floats, digits: int | None) -> pl.Series:
    series = pl.Series(values).fill_nan(None)
    return series if digits is None else series.round(digits)
