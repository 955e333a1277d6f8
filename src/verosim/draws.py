"""Keyed random streams: chance is an argument, and the same key gives the same numbers on any machine.

Rows come in blocks of `BLOCK`; block *b* of table *t* draws from a stream keyed by (seed, t, b, purpose). So the same
seed gives the same rows for any chunk size and any number of workers, and `sample(100)` is the head of `sample(1000)`.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import numpy.typing as npt
from numpy.random.bit_generator import ISeedSequence

BLOCK = 8192  # rows that are drawn together: large enough for numpy, small enough for the processor's cache


class _Key(ISeedSequence):
    """The 16 bytes of a Philox key. `Philox(key=...)` takes them too, but asks the system for entropy first."""

    def __init__(self, digest: bytes) -> None:
        self.words = np.frombuffer(digest, "<u8")

    def generate_state(self, n_words: int, dtype: npt.DTypeLike = np.uint32) -> npt.NDArray[np.uint64]:
        return self.words


def stream(seed: int, *key: str | int) -> np.random.Generator:
    """The random generator for `key` under `seed`: counter-based (Philox), so streams of different keys never overlap.

    >>> int(stream(7, "adult", 0, "rows").integers(100)), int(stream(7, "adult", 0, "rows").integers(100))
    (18, 18)
    """
    text = "\x1f".join([str(seed), *(f"{type(k).__name__}:{k}" for k in key)])
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(_Key(digest)))  # type: ignore[arg-type]  # numpy takes any ISeedSequence


def permutation(index: np.ndarray, size: int, seed: int, *key: str | int, salt: np.ndarray | None = None) -> np.ndarray:
    """Where a keyed permutation of 0 .. size-1 sends each `index`: unique numbers, with no memory of the others.

    index: (n,) int64 in [0, size). A four-round Feistel network over the next even power of two, walked until it falls
    inside (Black and Rogaway, Ciphers with Arbitrary Finite Domains, 2002). `size` up to 2**62. salt: (n,) int64, a
    permutation of its own for each value.
    """
    half = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half) - 1)
    rounds = stream(seed, *key, "feistel").integers(1, 2**63, size=4, dtype=np.uint64) | np.uint64(1)
    now = np.asarray(index, dtype=np.uint64)
    salts = np.zeros(1, np.uint64) if salt is None else scattered(salt)
    out, todo = np.empty_like(now), np.arange(len(now))
    while len(todo):
        left, right = now >> np.uint64(half), now & mask
        for multiplier in rounds:
            mixed = (right + multiplier + salts) * multiplier  # wraps: arithmetic is modulo 2**64
            mixed ^= mixed >> np.uint64(29)
            mixed *= np.uint64(0xBF58476D1CE4E5B9)
            left, right = right, left ^ ((mixed >> np.uint64(64 - half)) & mask)
        now = (left << np.uint64(half)) | right
        out[todo] = now
        outside = np.flatnonzero(now >= size)
        todo, now = todo[outside], now[outside]
        salts = salts if salt is None else salts[outside]
    return out.astype(np.int64)


def scattered(numbers: np.ndarray) -> np.ndarray:
    """A one-to-one mix (n,) uint64 of whole numbers (the splitmix64 finaliser; Steele, Lea and Flood, 2014)."""
    z = np.asarray(numbers).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
