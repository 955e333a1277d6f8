"""Ids that never stand twice: a pattern learned from values, and ids made from row numbers by a one-to-one function.

    sequence:1000:5     1000, 1005, 1010 ...                               as long as the type holds
    int:1000:9999       whole numbers of a range, scattered                9,000 ids
    uuid                random uuids (version 4)
    AB-[0-9]{6}         a character pattern, see `patterns`                1,000,000 ids

Row i's id depends on the seed and on i only: not on how many are made, nor on the ids that were there. A learned
pattern leaves room for ten times the rows it was learned from: ranges are rounded outwards to powers of ten, and a run
of digits that is fuller than that is left open (`{4,}`). Past its capacity a pattern is refused, with the
count that it holds.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import polars as pl

from verosim.draws import permutation, scattered, stream
from verosim.errors import ArgumentError
from verosim.providers.patterns import ROOM, Ints, Pattern, Shape, parse, to_text

UUID: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
LARGEST: Final = 2**64 - 1

# ------------------------------------------------------------------------------------------------- making


def make_ids(pattern: str, rows: Ints, seed: int, *key: str | int, dtype: pl.DataType | None = None) -> pl.Series:
    """The ids (n,) of these row numbers: different rows, different ids.

    rows: (n,) int64, from 0. `key` (table, column) sets columns of the same pattern apart. dtype: the type wanted: by
    default Int64 (UInt64 for larger numbers) for `sequence` and `int`, String for the others. Raises ArgumentError
    where a row number is past the capacity, or an id does not fit the type.

    >>> make_ids("sequence:10:5", np.arange(3), seed=1).to_list()
    [10, 15, 20]
    """
    count = int(rows.max()) + 1 if len(rows) else 0
    if len(rows) and int(rows.min()) < 0:
        raise ArgumentError(f"row numbers start at 0, not {int(rows.min())}.")
    if (room := capacity(pattern)) < count:
        raise ArgumentError(
            f"pattern {pattern!r} holds {room:,} different ids, and {count:,} are asked: widen the pattern."
        )
    if match := _numeric(pattern):
        kind, first, second = match
        ids = _sequence(first, second, rows) if kind == "sequence" else _scattered(first, second, rows, seed, key)
    elif pattern == "uuid":
        ids = uuids(permutation(rows, ROOM, seed, *key, "uuid"), _noise(rows, seed, key))
    else:
        ids = _written(parse(pattern), rows, seed, key)
    return _as_type(ids, dtype, pattern)


def capacity(pattern: str, dtype: pl.DataType | None = None) -> int:
    """How many different ids a pattern holds, as values of a type; by default of 64 bits.

    Raises ArgumentError for what is no pattern, and numbers that the type does not hold exactly.

    >>> capacity("int:1000:9999"), capacity("[A-Z]{2}|[0-9]{2}"), capacity("sequence:1:1", pl.Int8())
    (9000, 776, 127)
    """
    if match := _numeric(pattern):
        kind, first, second = match
        low, high = whole_ends(dtype)
        if not low <= first <= high or (kind == "int" and second > high):
            raise ArgumentError(f"pattern {pattern!r}: its ids do not all fit the type {dtype}; narrow it.")
        if kind == "int":
            return second - first + 1
        return (high - first) // second + 1 if second > 0 else (first - low) // -second + 1
    return 2**122 if pattern == "uuid" else parse(pattern).capacity


def whole_ends(dtype: pl.DataType | None) -> tuple[int, int]:
    """The ends of the whole numbers that a type holds exactly, within 64 bits.

    >>> whole_ends(pl.Int8()), whole_ends(pl.Float32())
    ((-128, 127), (-16777216, 16777216))
    """
    if dtype is not None and dtype.is_float():
        end = 2 ** (53 if dtype == pl.Float64 else 24)
        return -end, end
    if dtype is None or not dtype.is_integer():
        return -(2**63), LARGEST
    low, high = pl.select(low=dtype.min(), high=dtype.max()).row(0)  # type: ignore[attr-defined]
    return max(low, -(2**63)), min(high, LARGEST)


def uuids(index: Ints, noise: np.ndarray) -> pl.Series:
    """Version 4 uuids (n,): 62 of the 122 free bits are the index, one to one; the others are noise (n,) uint64."""
    high = scattered(noise) & np.uint64(0xFFFFFFFFFFFF0FFF) | np.uint64(0x4000)
    low = index.astype(np.uint64) | np.uint64(1 << 63)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    octets = np.stack([high, low], axis=1).astype(">u8").view(np.uint8).reshape(len(index), 16)
    out = np.full((len(index), 36), ord("-"), np.uint8)
    at = [i for i in range(36) if i not in (8, 13, 18, 23)]
    out[:, at[0::2]], out[:, at[1::2]] = digits[octets >> 4], digits[octets & 15]
    return to_text(out)


def _numeric(pattern: str) -> tuple[str, int, int] | None:
    """The parts of `sequence:START:STEP` (`sequence` alone is 1:1) and `int:LOW:HIGH`, checked."""
    kind, *rest = pattern.split(":")
    if kind not in ("sequence", "int"):
        return None
    if kind == "sequence" and not rest:
        return kind, 1, 1
    if len(rest) != 2 or not all(re.fullmatch(r"-?\d{1,20}", r) for r in rest):
        raise ArgumentError(f"pattern {pattern!r}: sequence:START:STEP or int:LOW:HIGH was wanted, with whole numbers.")
    first, second = int(rest[0]), int(rest[1])
    if kind == "sequence" and second == 0:
        raise ArgumentError(f"pattern {pattern!r}: the step is 0, so all ids would be the same.")
    if kind == "int" and second < first:
        raise ArgumentError(f"pattern {pattern!r}: the range runs backwards.")
    if min(first, second) < -(2**63) or max(first, second) > LARGEST:
        raise ArgumentError(f"pattern {pattern!r}: whole numbers go from -2**63 to 2**64 - 1.")
    return kind, first, second


def _sequence(start: int, step: int, rows: Ints) -> pl.Series:
    return _offset(start, rows, step)


def _scattered(low: int, high: int, rows: Ints, seed: int, key: tuple[str | int, ...]) -> pl.Series:
    return _offset(low, permutation(rows, min(high - low + 1, ROOM), seed, *key, "int"), 1)


def _offset(start: int, index: Ints, step: int) -> pl.Series:
    """start + step * index, exact: Int64, or UInt64 where the largest is beyond it."""
    ends = [start + step * int(i) for i in (index.min(), index.max())] if len(index) else [start]
    if max(ends) <= 2**63 - 1 and min(ends) >= -(2**63):
        # Wraps on the way where `start` is large, and back again: arithmetic is modulo 2**64.
        base = np.uint64(start % 2**64)
        return pl.Series((base + index.astype(np.uint64) * np.uint64(step % 2**64)).astype(np.int64))
    if min(ends) < 0:
        raise ArgumentError(f"ids from {min(ends):,} to {max(ends):,} fit no 64-bit type: use a smaller range.")
    return pl.Series(np.uint64(start) + index.astype(np.uint64) * np.uint64(step % 2**64))


def _written(pattern: Pattern, rows: Ints, seed: int, key: tuple[str | int, ...]) -> pl.Series:
    """Rows are dealt to the alternatives, then fill their groups in order, each by its own permutation."""
    if not len(rows):
        return pl.Series([], dtype=pl.String)
    turn, local = _deal(rows, [min(sum(_rooms(g) for g in a), ROOM) for a in pattern.alternatives])
    which, index = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    first_shape = number = 0
    for a, alternative in enumerate(pattern.alternatives):
        start = 0
        for group in alternative:
            room = _rooms(group)
            mine = np.flatnonzero((turn == a) & (local >= start) & (local - start < room))
            mixed = permutation(local[mine] - start, room, seed, *key, pattern.text, number)
            which[mine], index[mine] = _shape_of(group, mixed)
            which[mine] += first_shape
            start, first_shape, number = min(start + room, ROOM), first_shape + len(group), number + 1
    return pattern.write_shapes(which, index, _noise(rows, seed, key))


def _rooms(group: tuple[Shape, ...]) -> int:
    return min(sum(s.room for s in group), ROOM)


def _shape_of(group: tuple[Shape, ...], index: Ints) -> tuple[Ints, Ints]:
    """Which shape of a group each number falls in, and its number there."""
    starts = np.array([min(sum(s.room for s in group[:i]), ROOM) for i in range(len(group))], np.int64)
    which = np.searchsorted(starts, index, side="right") - 1
    return which, index - starts[which]


def _deal(rows: Ints, rooms: list[int]) -> tuple[Ints, Ints]:
    """Row numbers dealt in turn to the alternatives that still have room: which one (n,), and its how-manieth (n,)."""
    which, local = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    order = sorted(range(len(rooms)), key=lambda a: rooms[a])
    start = filled = 0
    for step, smallest in enumerate(order):
        live = np.array(sorted(order[step:]))
        span = (rooms[smallest] - filled) * len(live)
        mine = np.flatnonzero((rows >= start) & (rows - start < min(span, 2**63 - 1)))
        which[mine] = live[(rows[mine] - start) % len(live)]
        local[mine] = filled + (rows[mine] - start) // len(live)
        start, filled = min(start + span, 2**63 - 1), rooms[smallest]
    return which, local


def _noise(rows: Ints, seed: int, key: tuple[str | int, ...]) -> np.ndarray:
    """64 random bits (n,) of each row, by its number."""
    salt = stream(seed, *key, "noise").integers(2**64 - 1, dtype=np.uint64)
    return scattered(scattered(rows.astype(np.uint64)) ^ salt)


def _as_type(ids: pl.Series, dtype: pl.DataType | None, pattern: str) -> pl.Series:
    if dtype is None or ids.dtype == dtype:
        return ids
    try:
        cast = ids.cast(dtype)
        if dtype.is_float() and not (cast.cast(pl.Int128) == ids.cast(pl.Int128)).all():
            raise ArgumentError(f"pattern {pattern!r}: ids above 2**53 are not exact as {dtype}; use an integer type.")
    except pl.exceptions.PolarsError as error:
        raise ArgumentError(f"pattern {pattern!r}: its ids do not all fit the type {dtype}; narrow it.") from error
    return cast


# ------------------------------------------------------------------------------------------------- learning

ENOUGH: Final = 10  # times the rows learned from that a pattern must hold
SAMPLE: Final = 20_000  # distinct values that a character pattern is learned from
STYLES: Final = 6  # different looks of an id that become alternatives
PARTS: Final = 8  # different texts of one part of an id (a year, a country) that become alternatives ...
HOLDERS: Final = 5  # ... each in so many ids at least, and in twenty on average

_CLASSES: Final = (
    "0-9", "A-Z", "a-z", "0-9a-f", "0-9A-F", "0-9A-Z", "0-9a-z", "A-Za-z", "0-9A-Za-z",
)  # fmt: skip
_MEMBERS: Final = {name: frozenset(parse(f"[{name}]").shapes[0].places[0].decode()) for name in _CLASSES}


def learn_pattern(series: pl.Series) -> str:
    """The pattern of ids: whole numbers, whole floats, or text (n,); missing values aside.

    Raises ArgumentError where there is no value, or the type is another.

    >>> learn_pattern(pl.Series([3, 1, 2])), learn_pattern(pl.Series(["AB-1042", "AB-7731", "AB-0158"]))
    ('sequence:1:1', 'AB-[0-9]{4}')
    """
    values = series.drop_nulls()
    if values.is_empty():
        raise ArgumentError(f"no id to learn from in {series.name!r}: every value is missing.")
    if values.dtype.is_integer():
        return _learn_numbers(values, *whole_ends(values.dtype))
    if values.dtype.is_float() and bool((values == values.floor()).all()) and float(values.abs().max()) < 2**63:  # type: ignore[arg-type]
        return _learn_numbers(values.cast(pl.Int64), *whole_ends(values.dtype))
    if values.dtype != pl.String:
        raise ArgumentError(f"ids are whole numbers or text, not {values.dtype} ({series.name!r}).")
    if bool(values.str.contains(UUID).all()):
        return "uuid"
    if bool(values.str.contains(r"^(0|[1-9][0-9]{0,17})$").all()):
        return _learn_numbers(values.cast(pl.Int64), *whole_ends(pl.Int64()))
    return _learn_text(values)


def _learn_numbers(values: pl.Series, lowest: int, highest: int) -> str:
    """A sequence where the numbers are evenly spaced or fill half of their range; else a range rounded outwards.

    lowest, highest: the ends of the type.
    """
    values = values.unique().sort()
    n, low, high = len(values), int(values[0]), int(values[-1])
    step = (high - low) // (n - 1) if n > 1 else 1
    if n != 2 and (high - low) == step * (n - 1) and bool((values.diff().drop_nulls() == step).all()):
        return f"sequence:{low}:{step}"
    if 2 * n >= high - low + 1:
        return f"sequence:{low}:1"
    least = 10 ** (len(str(low)) - 1) if low > 0 else 0 if low == 0 else -(10 ** len(str(-low)) - 1)
    most = 10 ** len(str(abs(high))) - 1
    while most - least + 1 < ENOUGH * n:
        most = most * 10 + 9
    limit = 2**63 - 1 if high < 2**63 else LARGEST
    return f"int:{max(least, lowest)}:{min(most, highest, limit)}"


def _learn_text(values: pl.Series) -> str:
    """Alternatives by look; where there are too many looks, or they overlap, one class with the range of lengths."""
    distinct = values.unique(maintain_order=True)
    sample = distinct.gather_every(max(1, len(distinct) // SAMPLE))
    for runs, mark, most in (("0-9|A-Z|a-z", None, PARTS), ("0-9|A-Z|a-z", None, 1), ("0-9A-Za-z", "X", 1)):
        styles = _styles(sample, runs.split("|"), mark)
        if styles:
            text = "|".join(_learn_style(style, part, runs, most, len(distinct)) for style, part in styles)
            if _sound(text, len(distinct)):
                return text
    lengths = sample.str.len_chars()
    return _class_text(set("".join(sample)), int(lengths.min()), int(lengths.max()) + 2)  # type: ignore[arg-type]


def _styles(sample: pl.Series, runs: list[str], mark: str | None) -> list[tuple[str, pl.Series]]:
    """The looks of the values, runs of one class written as one character, with their values: none if over `STYLES`.

    Looks of less than one value in a hundred are left out, as long as they are five in a hundred together at most.
    """
    look = sample
    for run in runs:
        look = look.str.replace_all(f"[{run}]+", mark or run[0])
    frame = pl.DataFrame({"value": sample, "look": look})
    counts = frame.group_by("look").len().sort(["len", "look"], descending=[True, False])
    common = counts.filter(pl.col("len") * 100 >= len(sample))
    too_many = len(common) > STYLES or (len(common) > 1 and 2 * len(common) > len(sample))
    if too_many or int(common["len"].sum()) * 100 < 95 * len(sample):
        return []
    return [(style, frame.filter(pl.col("look") == style)["value"]) for style in common["look"].to_list()]


def _learn_style(style: str, values: pl.Series, runs: str, most: int, n: int) -> str:
    """One alternative: literals as they stand, each run by its class, lengths and constant characters."""
    run = "|".join(f"[{r}]+" for r in runs.split("|"))
    pieces = values.str.extract_all(run)
    parts, at = [], 0
    for char in style:
        if char.isascii() and char.isalnum():
            parts.append(_learn_run(pieces.list.get(at), most))
            at += 1
        else:
            parts.append(_escaped(char))
    return _opened(parts, n)


def _learn_run(run: pl.Series, most: int) -> str:
    """A run of letters and digits: itself if always the same, one of at most so many texts, or classes.

    Letters that all share stand as they are. Digits of a run count as one: the zeros of C0001, C0002 are places of a
    counter, no constants.
    """
    several = len(run) > 1
    if several and run.n_unique() == 1:
        return _escaped(str(run[0]))
    texts = run.value_counts(name="ids").sort(run.name) if most > 1 and run.n_unique() <= most else None
    if texts is not None and int(texts["ids"].min()) >= HOLDERS and len(run) >= 20 * len(texts):  # type: ignore[arg-type]
        return f"({'|'.join(map(_escaped, texts[run.name]))})"
    low, high = (int(v) for v in (run.str.len_bytes().min(), run.str.len_bytes().max()))  # type: ignore[arg-type]
    chars = set("".join(run.unique()))
    if chars <= _MEMBERS["0-9"]:
        if len(run) >= ENOUGH and not run.str.starts_with("0").any() and high > 1:
            return "[1-9]" + _class_text(set("0"), low - 1, high - 1)
        return _class_text(chars, low, high)
    if low != high or not several:
        return _class_text(chars, low, high)
    prefix = re.match(r"[A-Za-z]*", _common_prefix(run))
    fixed = prefix[0] if prefix else ""
    rest = set("".join(run.str.slice(len(fixed)).unique()))
    return _escaped(fixed) + _class_text(rest, low - len(fixed), high - len(fixed))


def _common_prefix(run: pl.Series) -> str:
    first, last = str(run.min()), str(run.max())
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:same]


def _class_text(chars: set[str], low: int, high: int) -> str:
    """The smallest known class that holds these characters, with its count: `[0-9a-f]{32}`."""
    known = (name for name in _CLASSES if chars <= _MEMBERS[name])
    name = next(known, "0-9A-Za-z")
    if high < 1:
        return ""
    return f"[{name}]" + ("" if low == high == 1 else f"{{{low}}}" if low == high else f"{{{low},{high}}}")


def _opened(parts: list[str], n: int) -> str:
    """The parts joined; where they hold less than ten times `n`, the longest run of digits is left open."""
    text = "".join(parts)
    if not _sound(text, 0) or parse(text).capacity >= ENOUGH * n:
        return text
    runs = [(re.search(r"\[0-9\](?:\{(\d+)(?:,\d+)?\})?$", part), i) for i, part in enumerate(parts)]
    counts = [(int(run[1] or 1), i) for run, i in runs if run]
    if not counts:
        return text
    least, widest = max(counts)
    parts[widest] = re.sub(r"\[0-9\](\{[^}]*\})?$", f"[0-9]{{{least},}}", parts[widest])
    return "".join(parts)


def _sound(text: str, n: int) -> bool:
    """Whether a learned text is a pattern that holds at least `n` ids."""
    try:
        return bool(text) and parse(text).capacity >= max(n, 2)
    except ArgumentError:
        return False


def _escaped(text: str) -> str:
    return re.sub(r"([\\\[\](){}|*+?.^$])", r"\\\1", text)
