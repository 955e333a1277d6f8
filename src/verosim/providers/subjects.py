"""The chance behind providers: one subject (a person, a company, a device) a row, of whom each fact is drawn once.

A maker asks for facts by topic: `subjects.pick("last", 100)`. A topic has a stream of its own, so a person's e-mail
address has the same last name in it as the column of last names, whatever other columns are made, and the first n rows
are the same however many are made. For a unique column the topics that tell its values apart are not drawn but counted
through: they are the digits, in mixed radix, of a permutation of the row numbers.
"""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.draws import permutation, stream
from verosim.errors import ArgumentError
from verosim.providers.packs import LOTS, Pack, Pool, taken
from verosim.providers.patterns import ROOM, Bytes, Ints, Pattern

OTHERS = 1000  # above the number of columns of one provider in a table
Noise = npt.NDArray[np.uint64]


class Subjects:
    """The subjects of these rows: (n,) row numbers, facts drawn under `key`."""

    def __init__(self, rows: Ints, pack: Pack, key: int, number: int = 0) -> None:
        self.rows, self.pack = rows, pack
        self.numbered = False  # whether a tag must tell the rows apart
        self._key = (key, number)
        self._facts: dict[str, Ints] = {}
        self.sizes: dict[str, int] = {}  # topic: of how many values one was picked

    def __len__(self) -> int:
        return len(self.rows)

    def pick(self, topic: str, size: int) -> Ints:
        """A number (n,) in [0, size), all alike likely."""
        if topic not in self._facts:
            self.sizes[topic] = size
            dtype = np.uint16 if size <= LOTS else np.int64  # what is quick to draw
            self._facts[topic] = self._stream(topic).integers(0, size, len(self), dtype=dtype).astype(np.int64)
        return self._facts[topic]

    def choose(self, topic: str, pool: Pool) -> Ints:
        """The place (n,) of one of the pool's values, by their weights."""
        if topic not in self._facts:
            self.sizes[topic] = len(pool)
            self._facts[topic] = pool.find(self._stream(topic).integers(0, LOTS, len(self), dtype=np.uint16))
        return self._facts[topic]

    def noise(self, topic: str) -> Noise:
        """64 random bits (n,)."""
        return self._stream(topic, "noise").integers(0, 2**64 - 1, len(self), dtype=np.uint64, endpoint=True)

    def take(self, topic: str, pool: Pool) -> pl.Series:
        """A text (n,) of the pool."""
        return taken(pool.values, self.choose(topic, pool))

    def write(self, topic: str, pattern: Pattern) -> pl.Series:
        """A text (n,) of the pattern."""
        is_wide = pattern.capacity > pattern.room
        noise = self.noise(topic) if is_wide else np.zeros(len(self), np.uint64)
        return pattern.write(self.pick(topic, pattern.room), noise)

    def spell(self, topic: str, pattern: Pattern) -> Bytes:
        """The same as bytes (n, length), of a pattern with one length and no alternatives."""
        shape = pattern.shapes[0]
        return shape.spell(self.pick(topic, shape.room), self.noise(topic))

    def tag(self, topic: str, pool: Pool) -> pl.Series:
        """What sets namesakes apart: a text of the pool, or the row number where rows must differ."""
        return pl.Series(self.rows).cast(pl.String) if self.numbered else self.take(topic, pool)

    def count_through(self, sizes: dict[str, int], seed: int, what: str) -> None:
        """Fix these topics so that no two rows agree in all of them.

        Raises ArgumentError where there are fewer combinations than rows.
        """
        total = 1
        used: list[tuple[str, int]] = []
        for topic, size in sizes.items():
            if total * size <= ROOM:
                total, used = total * size, [*used, (topic, size)]
        wanted = int(self.rows.max()) + 1 if len(self) else 0
        if wanted > total:
            raise ArgumentError(
                f"{what} has {total:,} different values in {self.pack.locale}, and {wanted:,} are asked: "
                "do without `unique`, or give the column kind id and a `pattern`."
            )
        rest = permutation(self.rows, total, seed, "unique", what)
        for topic, size in used:
            rest, self._facts[topic] = np.divmod(rest, size)

    def twin(self) -> Subjects:
        """The same subjects, whose tags tell the rows apart."""
        other = Subjects(self.rows, self.pack, *self._key)
        other._facts, other.numbered = self._facts, True
        return other

    def others(self) -> Subjects:
        """Other subjects of the same rows, who share no fact with these."""
        return Subjects(self.rows, self.pack, self._key[0], self._key[1] + OTHERS)

    def knows(self, topics: tuple[str, ...]) -> bool:
        """Whether any of these topics is settled."""
        return any(topic in self._facts for topic in topics)

    def _stream(self, *topic: str) -> np.random.Generator:
        return stream(self._key[0], self._key[1], *topic)


def joined(*parts: pl.Series | str) -> pl.Series:
    """Texts (n,) side by side, a plain text in all of them; two at a time, which polars does faster than many."""
    return pl.Series(reduce(add, parts))
