r"""Character patterns: which texts there are, how many, and the text of each number.

    AB-[0-9]{6}          constant characters, and classes of characters with a count
    [A-Z]{2,3}|X[0-9]    two or three of a class; alternatives
    (AB|CD)-\d           alternatives inside; \ before a character means the character itself, \d any digit
    C[0-9]{4,}           four digits, and more once the shorter texts have run out

A pattern is expanded to **shapes** of fixed length, for each place of which the allowed bytes are known. So the
capacity is exact, two shapes are known to have no text in common, and a number below the capacity is turned into
a text by plain division, a million at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.draws import scattered
from verosim.errors import ArgumentError
from verosim.providers.packs import taken

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

ROOM: Final = 2**62  # numbers are below it: what one permutation can hold
SHAPES: Final = 512  # a pattern that expands to more is refused
LONGEST: Final = 200  # characters of a shape
SMALL: Final = 1 << 16  # texts of a pattern that are written once, and then looked up
MORE: Final = 12  # how many places an open count ({4,}) may add


@dataclass(frozen=True, slots=True)
class Shape:
    """The texts of one fixed length: for each place, the bytes that may stand there, ascending."""

    places: tuple[bytes, ...]

    @property
    def capacity(self) -> int:
        return prod(len(p) for p in self.places)

    @property
    def room(self) -> int:
        """How many numbers tell texts apart: the capacity, or what the last places hold if that is beyond `ROOM`."""
        room = 1
        for place in reversed(self.places):
            if room * len(place) > ROOM:
                break
            room *= len(place)
        return room

    def spell(self, index: Ints, noise: npt.NDArray[np.uint64]) -> Bytes:
        """The texts of numbers in [0, room), as bytes (n, length); places beyond the room are filled from `noise`."""
        out = np.empty((len(self.places), len(index)), np.uint8)
        rest, noise, room = index.astype(np.uint64), noise.copy(), 1
        for at in range(len(self.places) - 1, -1, -1):
            place = np.frombuffer(self.places[at], np.uint8)
            if len(place) == 1:
                out[at] = place[0]
                continue
            size = np.uint64(len(place))
            room *= len(place)
            if room <= ROOM:
                quotient = rest // size  # division by one number is fast in numpy, divmod is not
                rest, digit = quotient, rest - quotient * size
            else:
                noise = scattered(noise)
                digit = noise % size
            out[at] = place[digit]
        return out.T

    def within(self, other: Shape) -> bool:
        """Whether every text of this shape is one of the other's."""
        return all(set(a) <= set(b) for a, b in zip(self.places, other.places, strict=True))

    def meets(self, other: Shape) -> bool:
        """Whether some text is of both shapes."""
        return all(set(a) & set(b) for a, b in zip(self.places, other.places, strict=True))


Group = tuple[Shape, ...]  # shapes that share one permutation
Alternative = tuple[Group, ...]  # groups that are used one after the other


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern: alternatives, dealt in turn, of groups, used one after the other, of shapes, mixed."""

    text: str
    alternatives: tuple[Alternative, ...]

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        return tuple(s for alternative in self.alternatives for group in alternative for s in group)

    @property
    def capacity(self) -> int:
        """How many texts there are, exactly."""
        return sum(s.capacity for s in self.shapes)

    @cached_property
    def room(self) -> int:
        """How many numbers `write` tells apart: the capacity, up to `ROOM`."""
        return min(sum(s.room for s in self.shapes), ROOM)

    def write(self, index: Ints, noise: npt.NDArray[np.uint64]) -> pl.Series:
        """The texts (n,) of numbers in [0, room): different numbers, different texts.

        `noise` (n,) fills the places of shapes too wide for a number.
        """
        if self.capacity <= SMALL:
            return taken(self._texts, index)
        return self._spelt(index, noise)

    @cached_property
    def _texts(self) -> pl.Series:
        """All texts, where they are few."""
        every = np.arange(self.capacity)
        return self._spelt(every, every.astype(np.uint64))

    def _spelt(self, index: Ints, noise: npt.NDArray[np.uint64]) -> pl.Series:
        if len(self.shapes) == 1:
            return to_text(self.shapes[0].spell(index, noise))
        ends = np.array(_running_total([s.room for s in self.shapes]), dtype=np.int64)
        which = np.searchsorted(ends, index, side="right")
        starts = np.concatenate([[0], ends[:-1]])
        return self.write_shapes(which, index - starts[which], noise)

    def write_shapes(self, which: Ints, index: Ints, noise: npt.NDArray[np.uint64]) -> pl.Series:
        """The texts (n,) of number `index` of shape `which`."""
        if not len(which):
            return pl.Series([], dtype=pl.String)
        order = np.argsort(which, kind="stable")
        used, starts = np.unique(which[order], return_index=True)
        parts = [
            to_text(self.shapes[shape].spell(index[rows], noise[rows]))
            for shape, rows in zip(used, np.split(order, starts[1:]), strict=True)
        ]
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return taken(pl.concat(parts), back)


def to_text(letters: Bytes) -> pl.Series:
    """UTF-8 bytes (n, length), none of them zero, as a String series (n,)."""
    n, length = letters.shape
    if not n or not length:
        return pl.Series([""] * n, dtype=pl.String)
    return pl.Series(np.ascontiguousarray(letters)).cast(pl.List(pl.UInt8)).cast(pl.Binary).cast(pl.String)


def _running_total(rooms: list[int]) -> list[int]:
    """Where each shape's numbers end, held below `ROOM`."""
    out, total = [], 0
    for room in rooms:
        total = min(total + room, ROOM)
        out.append(total)
    return out


# ------------------------------------------------------------------------------------------------- reading


@lru_cache(maxsize=256)
def parse(text: str) -> Pattern:
    """Read a pattern. Raises ArgumentError that shows the place of what is not understood.

    >>> parse("AB-[0-9]{3}").capacity
    1000
    """
    alternatives = _Reader(text).read()
    return Pattern(text, _disjoint(text, alternatives))


Piece = list[tuple[tuple[bytes, ...], int]]  # a part of a pattern expanded: places, and how far an open count is used


class _Reader:
    """Recursive descent over one pattern text."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def read(self) -> tuple[Alternative, ...]:
        alternatives = [_grouped(self.sequence())]
        while self.peek() == "|":
            self.at += 1
            alternatives.append(_grouped(self.sequence()))
        if self.at < len(self.text):
            raise self.error(f"{self.peek()!r} has no partner; write \\{self.peek()} for the character itself")
        return tuple(alternatives)

    def sequence(self) -> Piece:
        shapes: Piece = [((), 0)]
        while self.peek() not in ("", "|", ")"):
            atom = self.counted(self.atom())
            if len(shapes) * len(atom) > SHAPES:
                raise self.error(f"the pattern has over {SHAPES:,} different lengths and alternatives; use fewer")
            shapes = [(a + b, more + extra) for a, more in shapes for b, extra in atom]
            if any(len(places) > LONGEST for places, _ in shapes):
                raise self.error(f"a text may have {LONGEST} characters at most")
        return shapes

    def atom(self) -> Piece:
        char = self.take()
        if char == "[":
            return [((self.char_class(),), 0)]
        if char == "(":
            shapes = self.sequence()
            while self.peek() == "|":
                self.at += 1
                shapes += self.sequence()
            self.expect(")")
            return _one_class(shapes)
        if char == "\\":
            char = self.take()
            if char == "d":
                return [((b"0123456789",), 0)]
        elif char in "*+?{}].^$":
            self.at -= 1
            raise self.error(f"write \\{char} for the character itself, and counts as {{2}}, {{1,3}} or {{4,}}")
        return [(tuple(bytes([b]) for b in char.encode()), 0)]

    def char_class(self) -> bytes:
        chars: set[int] = set()
        while self.peek() != "]":
            low = high = self.class_char()
            if self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self.class_char()
            if high < low:
                raise self.error(f"the range {low}-{high} runs backwards")
            chars.update(range(ord(low), ord(high) + 1))
        self.expect("]")
        if not chars or max(chars) > 126 or min(chars) < 32:
            raise self.error("a class needs one or more printable ASCII characters, such as [A-Z0-9]")
        return bytes(sorted(chars))

    def class_char(self) -> str:
        char = self.take()
        return self.take() if char == "\\" else char

    def counted(self, atom: Piece) -> Piece:
        if self.peek() != "{":
            return atom
        low, high, is_open = self.count()
        shapes: Piece = []
        for times in range(low, high + 1):
            extra = times - low if is_open else 0
            many: Piece = [((), extra)]
            for _ in range(times):
                many = [(a + b, more + inner) for a, more in many for b, inner in atom]
                if len(many) + len(shapes) > SHAPES or len(many[0][0]) > LONGEST:
                    raise self.error("the counted part is too large; use a smaller count")
            shapes += many
        return shapes

    def count(self) -> tuple[int, int, bool]:
        end = self.text.find("}", self.at)
        low, comma, high = self.text[self.at + 1 : end].partition(",") if end > 0 else ("", "", "")
        if not low.isdecimal() or (high and not high.isdecimal()) or len(low) > 4 or len(high) > 4:
            raise self.error("a count is written {2}, {1,3} or {4,}")
        self.at = end + 1
        is_open = bool(comma) and not high
        most = int(low) + MORE if is_open else int(high or low)
        if most < int(low):
            raise self.error(f"the count {{{low},{high}}} runs backwards")
        return int(low), most, is_open

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        char = self.peek()
        if not char:
            raise self.error("it ends too early")
        self.at += 1
        return char

    def expect(self, char: str) -> None:
        if self.take() != char:
            self.at -= 1
            raise self.error(f"{char!r} was wanted")

    def error(self, what: str) -> ArgumentError:
        return ArgumentError(f"pattern {self.text!r}, character {self.at + 1}: {what}.")


def _one_class(shapes: Piece) -> Piece:
    """Alternatives of one character each, (2|3|[5-9]), as a class: one shape is written faster than several."""
    if any(len(places) != 1 or more for places, more in shapes):
        return shapes
    chars = [char for places, _ in shapes for char in places[0]]
    return [((bytes(sorted(chars)),), 0)] if len(set(chars)) == len(chars) else shapes


def _grouped(piece: Piece) -> Alternative:
    """Shapes by how far they open: those that use no more than the least come first."""
    groups: dict[int, dict[Shape, None]] = {}
    for places, more in piece:
        groups.setdefault(more, {})[Shape(places)] = None
    return tuple(tuple(groups[more]) for more in sorted(groups))


def _disjoint(text: str, alternatives: tuple[Alternative, ...]) -> tuple[Alternative, ...]:
    """The alternatives without shapes that lie within others; ArgumentError where two overlap in part."""
    by_length: dict[int, list[Shape]] = {}
    for shape in (s for alternative in alternatives for group in alternative for s in group):
        by_length.setdefault(len(shape.places), []).append(shape)
    kept: set[Shape] = set()
    for shapes in by_length.values():
        kept.update(_maximal(text, list(dict.fromkeys(shapes))))
    out, seen = [], set[Shape]()
    for alternative in alternatives:
        groups = []
        for group in alternative:
            new = tuple(s for s in group if s in kept and s not in seen)
            seen.update(new)
            groups.append(new)
        out.append(tuple(g for g in groups if g))
    return tuple(a for a in out if a)


def _maximal(text: str, shapes: list[Shape]) -> list[Shape]:
    out: list[Shape] = []
    for shape in sorted(shapes, key=lambda s: -s.capacity):
        if any(shape.within(other) for other in out):
            continue
        if other := next((o for o in out if shape.meets(o)), None):
            both = "".join(chr(min(set(a) & set(b))) for a, b in zip(shape.places, other.places, strict=True))
            raise ArgumentError(
                f"pattern {text!r}: the text {both!r} can be made in two ways, so ids could stand twice; "
                "write alternatives and counts that share no text."
            )
        out.append(shape)
    return out
