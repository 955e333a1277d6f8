"""What is named once and then meant by a number: texts, codes of vocabularies, items that records are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

NONE: Final = -1  # no code, no item, no encounter


class Names:
    """Texts, numbered in the order in which they were first named.

    >>> names = Names()
    >>> names("F"), names("M"), names("F"), names.texts
    (0, 1, 0, ['F', 'M'])
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        number = self._numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        return number

    def __len__(self) -> int:
        return len(self.texts)

    def find(self, text: str) -> int:
        """The number of a text, or NONE."""
        return self._numbers.get(text, NONE)


@dataclass(frozen=True)
class Coding:
    """A code of a vocabulary: SNOMED-CT 44054006, Diabetes mellitus type 2."""

    system: str
    code: str
    display: str = ""


class Codes:
    """Codes, numbered; two are the same where system and code are. `codings[number]` is the code as first written."""

    def __init__(self) -> None:
        self.codings: list[Coding] = []
        self._numbers: dict[tuple[str, str], int] = {}

    def __call__(self, coding: Coding) -> int:
        number = self._numbers.setdefault((coding.system, coding.code), len(self.codings))
        if number == len(self.codings):
            self.codings.append(coding)
        return number


@dataclass(frozen=True)
class Item:
    """What a row of the record says, but for whom and when: its codes and whatever its state declares.

    table: the record's table. codes: the first one leads. spec: the state as written (prescription, series, goals,
    reactions, discharge ...), for those who export it.
    """

    table: str
    name: str
    module: str
    codes: tuple[Coding, ...]
    code: int = NONE  # number of the leading code
    unit: str = ""
    category: str = ""
    spec: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


class Catalogue:
    """All names of a run: `texts`, `codes`, `items`."""

    def __init__(self) -> None:
        self.texts, self.codes = Names(), Codes()
        self.items: list[Item] = []

    def item(
        self, table: str, codes: tuple[Coding, ...], *, name: str = "", module: str = "",
        unit: str = "", category: str = "", spec: Mapping[str, Any] | None = None,
    ) -> int:  # fmt: skip
        """Enter an item; its number."""
        code = self.codes(codes[0]) if codes else NONE
        self.items.append(Item(table, name, module, codes, code, unit, category, spec or {}))
        return len(self.items) - 1

    def leading(self) -> np.ndarray:
        """(items,) int32: the number of each item's leading code."""
        return np.array([item.code for item in self.items], np.int32)


def coding(spec: Mapping[str, Any]) -> Coding:
    """A code as a module writes it: numbers and texts alike. Raises TypeError for what is no object."""
    if not isinstance(spec, Mapping):
        raise TypeError(f"a code must be an object, not {spec!r}")
    return Coding(str(spec.get("system", "")), str(spec.get("code", "")), str(spec.get("display", "")))


def codings(specs: object) -> tuple[Coding, ...]:
    return tuple(coding(spec) for spec in specs) if isinstance(specs, list) else ()
