"""Reading back what a codec saved, without trust: every part is checked, and a wrong one is a ModelFileError."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NoReturn, TypeVar

import numpy as np
import polars as pl

from verosim.errors import ModelFileError
from verosim.models import Array, State

T = TypeVar("T")


def nest(**parts: State) -> State:
    """Several states as one, each under its name: arrays are called `name/array`."""
    meta = {name: state[0] for name, state in parts.items()}
    arrays = {f"{name}/{key}": array for name, state in parts.items() for key, array in state[1].items()}
    return meta, arrays


def pack(texts: pl.Series) -> dict[str, Array]:
    """Texts (n,) without nulls as one array of UTF-8 bytes and n + 1 offsets; `Saved.packed` reads them back."""
    data = np.frombuffer("".join(texts).encode("utf-8"), dtype=np.uint8)
    offsets = np.concatenate([[0], np.cumsum(texts.str.len_bytes().to_numpy().astype(np.int64))])
    return {"bytes": data, "offsets": offsets.astype(np.int64)}


@dataclass(frozen=True, slots=True)
class Saved:
    """One saved part: JSON values and arrays by name, each taken out with a check. `where` stands in messages."""

    where: str
    meta: Mapping[str, Any]
    arrays: Mapping[str, Array]

    def refuse(self, what: str) -> NoReturn:
        raise ModelFileError(f"the model file is damaged ({self.where}: {what}); fit and save it again.")

    def need(self, holds: bool, what: str) -> None:
        if not holds:
            self.refuse(what)

    def part(self, name: str) -> Saved:
        """The part that `nest` put under `name`."""
        meta = self.meta.get(name)
        if not isinstance(meta, Mapping):
            self.refuse(f"{name} is missing")
        inside = {key[len(name) + 1 :]: a for key, a in self.arrays.items() if key.startswith(f"{name}/")}
        return Saved(f"{self.where}, {name}", meta, inside)

    def whole(self, name: str, low: int, high: int) -> int:
        value = self.meta.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.refuse(f"{name} must be a whole number from {low} to {high}, not {value!r}")
        return value

    def flag(self, name: str) -> bool:
        value = self.meta.get(name)
        if not isinstance(value, bool):
            self.refuse(f"{name} must be true or false, not {value!r}")
        return value

    def text(self, name: str) -> str:
        value = self.meta.get(name)
        if not isinstance(value, str):
            self.refuse(f"{name} must be text, not {value!r}")
        return value

    def texts(self, name: str) -> list[str]:
        value = self.meta.get(name)
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            self.refuse(f"{name} must be a list of texts")
        return value

    def pair(self, name: str, kind: type[T]) -> tuple[T, T]:
        value = self.meta.get(name)
        if not isinstance(value, list | tuple) or len(value) != 2 or any(type(v) is not kind for v in value):
            self.refuse(f"{name} must be two values of {kind.__name__}")
        return value[0], value[1]

    def number(self, name: str) -> int | float | None:
        """A finite number, or None where it is null."""
        value = self.meta.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        if not isinstance(value, float) or not np.isfinite(value):
            self.refuse(f"{name} must be a number, not {value!r}")
        return value

    def array(self, name: str, dtype: str, length: int | None = None) -> Array:
        """The array of that name: one-dimensional, of exactly this dtype and length, and finite."""
        value = self.arrays.get(name)
        if not isinstance(value, np.ndarray) or value.dtype != np.dtype(dtype) or value.ndim != 1:
            self.refuse(f"array {name} must be a row of {dtype}")
        self.need(length is None or len(value) == length, f"array {name} has {len(value)} values, not {length}")
        self.need(value.dtype.kind != "f" or bool(np.isfinite(value).all()), f"array {name} is not finite")
        return value

    def packed(self) -> list[str]:
        """The texts that `pack` wrote: all different."""
        data, offsets = self.array("bytes", "uint8").tobytes(), self.array("offsets", "int64")
        ends = len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == len(data)
        self.need(bool(ends and (np.diff(offsets) >= 0).all()), "offsets do not fit the bytes")
        try:
            texts = [data[a:b].decode("utf-8") for a, b in pairwise(offsets.tolist())]
        except UnicodeDecodeError:
            self.refuse("bytes are not UTF-8")
        self.need(len(set(texts)) == len(texts), "a text stands twice")
        return texts

    def counts(self, name: str, length: int) -> Array:
        """Whole numbers from 1, whose sum is no larger than int64 holds."""
        value = self.array(name, "int64", length)
        self.need(bool((value > 0).all() and value.sum(dtype=float) < 2**62), f"{name} are not counts")
        return value

    def indices(self, name: str, below: int, length: int | None = None) -> Array:
        """Whole numbers from 0 to `below` - 1."""
        value = self.array(name, "int64", length)
        self.need(bool(((value >= 0) & (value < below)).all()), f"{name} points outside")
        return value
