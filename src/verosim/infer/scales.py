"""Ordered levels that are told by their words: low / medium / high, weekdays, agreement, and bands of numbers.

A column is ordinal only where *every* value stands on one known scale (scales.txt), or is a band such as `18-24`
or `65+`. Its levels are then the column's own values, in the scale's order.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

from verosim.providers.packs import fold


def _read_scales() -> list[tuple[int, dict[str, int]]]:
    """Each scale as the steps it needs, and the rank of every word."""
    out = []
    text = (files("verosim.infer") / "scales.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        needed, _, steps = line.partition(":")
        ranks = {word.strip(): rank for rank, step in enumerate(steps.split("|")) for word in step.split(",")}
        out.append((int(needed), ranks))
    return out


SCALES: Final = _read_scales()
LEVELS: Final = 60  # more different values than this are no scale
_AMOUNT: Final = r"[$€£]?\s*(\d+(?:[.,]\d{3})*(?:[.,]\d+)?)\s*([kKmM]?)\b\s*[$€£%]?"
_UNIT: Final = r"(?:\s*[A-Za-z$€£%²³/]{1,10}\.?)?"
_BETWEEN: Final = re.compile(rf"[\[(]?\s*{_AMOUNT}\s*(?:-|–|—|to|a|bis|,|<)\s*{_AMOUNT}{_UNIT}\s*[\])]?")
_BELOW: Final = re.compile(
    rf"(?:<=?|≤|under|below|less than|up to|menos de|hasta|unter|bis|moins de)\s*{_AMOUNT}{_UNIT}", re.I
)
_ABOVE: Final = re.compile(
    rf"(?:>=?|≥|over|above|more than|mas de|más de|uber|über|plus de)\s*{_AMOUNT}{_UNIT}|"
    rf"{_AMOUNT}\s*(?:\+|or more|and over|and above|o mas|o más|plus){_UNIT}",
    re.I,
)
_SINGLE: Final = re.compile(rf"{_AMOUNT}{_UNIT}")
_NUMBERED: Final = re.compile(r"(\d{1,2})\s*[.):=\-–]+\s*\D.*")
_COUNTED: Final = re.compile(
    r"(q|grade|level|stage|tier|phase|year|week|semester|grado|nivel|stufe|niveau|fase|t)[ .-]?(\d{1,2})"
)


def ordered(values: list[str]) -> tuple[list[str], str] | None:
    """The levels of a column, lowest first, and which scale they stand on; None where no one scale holds them all.

    >>> ordered(["high", "low", "medium"])
    (['low', 'medium', 'high'], 'low .. high')
    """
    if not 2 <= len(values) <= LEVELS:
        return None
    return _by_words(values) or _by_bands(values) or _by_numbers(values)


def _by_words(values: list[str]) -> tuple[list[str], str] | None:
    words = {v: re.sub(r"\s+", " ", fold(v).replace("_", " ")).strip() for v in values}
    for needed, ranks in SCALES:
        if all(w in ranks for w in words.values()):
            found = {v: ranks[w] for v, w in words.items()}
            if len(set(found.values())) >= needed:
                levels = sorted(values, key=lambda v: (found[v], v))
                return levels, f"{levels[0]} .. {levels[-1]}"
    return None


def _by_bands(values: list[str]) -> tuple[list[str], str] | None:
    """Bands of numbers: 0-17, 18-24, ..., 65+; at least three, of which two are real bands."""
    edges = {v: _edges(v.strip()) for v in values}
    bands = sum(e is not None and e[0] != e[1] for e in edges.values())
    if len(values) < 3 or bands < 2 or any(e is None for e in edges.values()):
        return None
    levels = sorted(values, key=lambda v: (edges[v], v))
    return levels, f"bands {levels[0]} .. {levels[-1]}"


def _edges(text: str) -> tuple[float, float] | None:
    """The lower and upper edge of a band."""
    if match := _BETWEEN.fullmatch(text):
        low, high = _amount(match[1], match[2] or match[4]), _amount(match[3], match[4])
        return (low, high) if low < high else None
    if match := _BELOW.fullmatch(text):
        return float("-inf"), _amount(match[1], match[2])
    if match := _ABOVE.fullmatch(text):
        return _amount(match[1] or match[3], match[2] or match[4] or ""), float("inf")
    if match := _SINGLE.fullmatch(text):
        return (_amount(match[1], match[2]),) * 2
    return None


def _amount(digits: str, thousands: str) -> float:
    bare = re.sub(r"[.,](?=\d{3}(?:\D|$))", "", digits).replace(",", ".")
    return float(bare) * {"": 1.0, "k": 1e3, "m": 1e6}[(thousands or "").lower()]


def _by_numbers(values: list[str]) -> tuple[list[str], str] | None:
    """Levels that carry their rank: "1. low", "2. high", or "Q1", "Q2"; ranks follow one another, three at least."""
    for pattern, at in ((_NUMBERED, 1), (_COUNTED, 2)):
        matches = [pattern.fullmatch(fold(v.strip())) for v in values]
        if all(matches):
            ranks = [int(m[at]) for m in matches if m]
            stems = {m[1] for m in matches if m} if at == 2 else {""}
            follow = (
                len(set(ranks)) == len(ranks) >= 3 and max(ranks) - min(ranks) == len(ranks) - 1 and min(ranks) <= 1
            )
            if follow and len(stems) == 1:
                levels = [v for _, v in sorted(zip(ranks, values, strict=True))]
                return levels, f"numbered {levels[0]} .. {levels[-1]}"
    return None
