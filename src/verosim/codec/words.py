"""`Text`: free text, of which the length is learned by the model and the words by a chain of word pairs.

Only words, and pairs of words, that at least k people use are kept; a word after one whose followers are rarer is drawn
by how common it is. So the text reads like the column without repeating anybody's sentence. All rows of a block grow
together, one word at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

import numpy as np
import polars as pl

from verosim.codec.axis import Axis, Limits
from verosim.codec.column import Draw, Guard
from verosim.codec.grid import Ints
from verosim.codec.saved import Saved, nest, pack
from verosim.models import Array, Floats, State
from verosim.schema import Column, parse_dtype

CHARS: Final = 2_000  # characters of a text that are looked at: a cell may have a million
SEEN: Final = 20_000_000  # about so many characters of the column are learned from
VOCABULARY: Final = 50_000  # most words kept
FILLER: Final = (
    "lorem", "ipsum", "dolor", "sit", "amet", "consectetur", "adipiscing", "elit", "sed", "do", "eiusmod", "tempor",
    "incididunt", "ut", "labore", "et", "dolore", "magna", "aliqua",
)  # fmt: skip


class Text:
    """Texts <-> their number of words, and a chain that writes so many.

    words: (v,). usual: (v,) rows of each word. The pairs, sorted: state (p,) the word before, or v at the start of a
    text; follower (p,); rows (p,). other: (v + 1,) how often a rarer pair follows each state.
    """

    def __init__(self, column: Column, length: Axis, words: pl.Series, chain: dict[str, Ints]) -> None:
        self.column, self.length, self.words, self.chain = column, length, words, chain
        self.dtype = parse_dtype(column.dtype, column.levels)
        self.fields = (length.field(column.name),)
        self.note = ""
        self._usual = np.cumsum(chain["usual"]) / chain["usual"].sum()
        self._steps = _steps(chain, len(words))

    @classmethod
    def fit(cls, column: Column, series: pl.Series, guard: Guard) -> Self:
        k = guard.k if column.protect else 1
        texts = series.cast(pl.String).str.slice(0, CHARS)
        length = Axis.fit(_word_count(texts), guard.people, guard.k, Limits(low=0), column.protect)
        tokens = _tokens(texts, guard.people)
        words, chain = _learn(tokens, k)
        note = f"texts are made of {len(words):,} words that {k} people or more use, chained by pairs."
        if words.is_empty():
            note = f"no word is used by {k} people: texts are made of filler words."
            words = pl.Series(FILLER)
            one, none = np.ones(len(FILLER), dtype=np.int64), np.zeros(0, dtype=np.int64)
            chain = {"usual": one, "state": none, "follower": none, "rows": none, "other": np.append(one, 1)}
        codec = cls(column, length, words, chain)
        codec.note = note
        return codec

    def encode(self, series: pl.Series) -> list[Array]:
        return [self.length.encode(_word_count(series.cast(pl.String).str.slice(0, CHARS)))]

    def decode(self, arrays: Sequence[Array], draw: Draw) -> pl.Series:
        lengths = self.length.decode(arrays[0])
        counts = np.clip(lengths.fill_null(0).to_numpy(), 0, CHARS)
        ids = self._write(counts, draw.rng)
        rows = pl.DataFrame({"row": np.repeat(np.arange(len(counts)), counts), "word": self.words.gather(ids)})
        texts = rows.group_by("row", maintain_order=True).agg(pl.col("word").str.join(" "))
        where = np.full(len(counts), len(texts))
        where[texts["row"].to_numpy()] = np.arange(len(texts))
        written = pl.concat([texts["word"], pl.Series([""])]).gather(where)
        return written.zip_with(lengths.is_not_null(), pl.Series([None], dtype=pl.String)).cast(self.dtype)

    def _write(self, counts: Ints, rng: np.random.Generator) -> Ints:
        """Word numbers of all texts, one text after the other: (sum of counts,)."""
        starts = np.cumsum(counts) - counts
        out = np.zeros(int(counts.sum()), dtype=np.int64)
        state = np.full(len(counts), len(self.words))
        for step in range(int(counts.max(initial=0))):
            rows = np.flatnonzero(counts > step)
            state[rows] = self._next(state[rows], rng)
            out[starts[rows] + step] = state[rows]
        return out

    def _next(self, state: Ints, rng: np.random.Generator) -> Ints:
        """The word after each state: a known follower, or any word by how common it is."""
        ends, followers = self._steps
        found = np.searchsorted(ends, state + rng.random(len(state)), side="right")
        word = followers[found]
        free = np.flatnonzero(word < 0)
        drawn = np.searchsorted(self._usual, rng.random(len(free)), side="right")
        word[free] = np.minimum(drawn, len(self.words) - 1)
        return word

    def state(self) -> State:
        meta, arrays = nest(length=self.length.state())
        return meta, {**arrays, **pack(self.words), **self.chain}

    @classmethod
    def restore(cls, column: Column, saved: Saved) -> Self:
        length = Axis.restore(saved.part("length"))
        saved.need(length.ticks.way == "signed", "lengths must be whole numbers")
        words = saved.packed()
        saved.need(len(words) > 0, "there are no words")
        state = saved.indices("state", len(words) + 1)
        saved.need(bool((np.diff(state) >= 0).all()), "word pairs are not in order")
        chain = {
            "usual": saved.counts("usual", len(words)),
            "state": state,
            "follower": saved.indices("follower", len(words), len(state)),
            "rows": saved.counts("rows", len(state)),
            "other": saved.indices("other", 2**40, len(words) + 1),
        }
        return cls(column, length, pl.Series(words, dtype=pl.String), chain)


def _steps(chain: dict[str, Ints], v: int) -> tuple[Floats, Ints]:
    """Where each follower's share of [state, state + 1) ends, for state + u; and the follower, -1 for any word."""
    state = np.concatenate([chain["state"], np.arange(v + 1)])
    follower = np.concatenate([chain["follower"], np.full(v + 1, -1)])
    rows = np.concatenate([chain["rows"], chain["other"]]).astype(np.float64)
    order = np.argsort(state, kind="stable")
    state, follower, rows = state[order], follower[order], rows[order]
    total = np.bincount(state, rows, minlength=v + 1)
    rows = np.where(total[state] > 0, rows, 1.0)  # a state that nothing ever followed: any word
    cumulated = np.cumsum(rows)
    before = np.concatenate([[0.0], cumulated])[np.searchsorted(state, state)]
    ends = state + (cumulated - before) / np.maximum(total, 1)[state]
    ends[np.searchsorted(state, np.arange(v + 1), side="right") - 1] = np.arange(1, v + 2)
    return ends, follower


def _word_count(texts: pl.Series) -> pl.Series:
    return texts.str.count_matches(r"\S+").cast(pl.Int64)


def _tokens(texts: pl.Series, people: Ints | None) -> pl.DataFrame:
    """The words of an even sample of the texts, in their order: `row`, `word`, `person`."""
    rows = np.arange(len(texts))
    frame = pl.DataFrame({"row": rows, "text": texts, "person": rows if people is None else people}).drop_nulls("text")
    seen = int(frame["text"].str.len_bytes().sum() or 0)
    frame = frame.gather_every(max(1, seen // SEEN))
    words = frame.select("row", "person", word=pl.col("text").str.extract_all(r"\S+"))
    return words.filter(pl.col("word").list.len() > 0).explode("word")


def _learn(tokens: pl.DataFrame, k: int) -> tuple[pl.Series, dict[str, Ints]]:
    """The words that k people use, and the chain of their pairs."""
    held = pl.col("person").n_unique() >= k
    words = tokens.group_by("word").agg(usual=pl.len(), held=held).filter("held")
    words = words.sort("usual", "word", descending=[True, False]).head(VOCABULARY).with_row_index("id")
    v = len(words)
    ids = tokens.join(words.select("word", "id"), on="word", how="left", maintain_order="left")
    ids = ids.with_columns(pl.col("id").cast(pl.Int64).fill_null(-1))
    before = pl.col("id").shift(1)
    first = (pl.col("row") != pl.col("row").shift(1)).fill_null(True)
    pairs = ids.select("person", state=pl.when(first).then(v).otherwise(before), follower="id").filter(
        pl.col("state") >= 0
    )
    counts = pairs.group_by("state", "follower").agg(rows=pl.len(), held=held)
    counts = counts.with_columns(pl.col("rows").cast(pl.Int64), held=pl.col("held") & (pl.col("follower") >= 0))
    kept = counts.filter("held").sort("state", "follower")
    rare = counts.filter(~pl.col("held")).group_by("state").agg(pl.col("rows").sum())
    other = np.zeros(v + 1, dtype=np.int64)
    other[rare["state"].to_numpy()] = rare["rows"].to_numpy()
    chain = {name: kept[name].to_numpy().astype(np.int64) for name in ("state", "follower", "rows")}
    return words["word"], {**chain, "usual": words["usual"].to_numpy().astype(np.int64), "other": other}
