"""Drawing a database: tables in order, each row given its owner's, block by block.

Tables whose rows others name are held while they are needed; those that nobody names go out block by block and are
never held. A block has whole families, as far as it can, so what is drawn for one row does not depend on what is asked
beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from verosim.draws import BLOCK, stream
from verosim.errors import DataError, RuleError
from verosim.keys import NONE, Ints, comparable
from verosim.providers import learn_pattern, make_ids
from verosim.relational.context import befores, count_name, gathered, said, source, together
from verosim.relational.counts import Counts
from verosim.relational.families import Families, bare
from verosim.relational.graph import COPIED, LATE, OWNER, REFERENCE, Graph, Link
from verosim.relational.kin import Family, Kin, climbed, first_of
from verosim.relational.learned import Learned
from verosim.relational.links import Places, above, agreeing, rooted, set_apart
from verosim.relational.real import looked_up
from verosim.relational.totals import Sums, put
from verosim.schema import parse_dtype

Rows = Callable[[str, int, int], Iterator[pl.DataFrame]]  # table, rows, seed -> its rows, for tables without an owner


@dataclass(slots=True)
class Drawn:
    """A table that is drawn, but for keys to tables that are drawn later."""

    frame: pl.DataFrame
    named: dict[str, Ints]  # of each of its keys that is assigned: the parent's rows
    wanted: dict[str, Ints]  # of each late key: the groups
    profile: pl.DataFrame  # the columns that say something, as they were drawn
    over: pl.DataFrame  # the profiles of the owners
    summaries: pl.DataFrame = field(default_factory=pl.DataFrame)
    counts: dict[str, Ints] = field(default_factory=dict)  # of each key that names its rows: how often
    finished: bool = False


class Drawing:
    """One sample of a database.

    sizes: the rows of each table. free: tables that have as many rows as come of their owners, for these are of a kind
    that was asked for, not as the real ones are.
    """

    def __init__(
        self,
        graph: Graph,
        tables: Mapping[str, Learned],
        sizes: Mapping[str, int],
        seed: int,
        rows: Rows,
        free: Collection[str] = (),
    ) -> None:
        self.graph, self.tables, self.sizes, self.seed, self._rows = graph, tables, dict(sizes), seed, rows
        self.free = free
        self._drawn: dict[str, Drawn] = {}
        self._places: dict[str, Places] = {}
        self._kin: dict[str, Family] = {}

    def blocks(self, name: str) -> Iterator[pl.DataFrame]:
        """The rows of one table; for none one frame without any."""
        if self._alone(name):
            yield from (self._with_keys(name, *block) for block in self._blocks(name))
            return
        frame = self._finished(name).frame
        yield from (frame[i : i + BLOCK] for i in range(0, max(frame.height, 1), BLOCK))

    # ------------------------------------------------------------------------------------------- whole tables

    def held(self, name: str) -> Drawn:
        """A table whose rows are named by others, drawn."""
        if name not in self._drawn:
            learned = self.tables[name]
            self._drawn[name] = self._kept(name) if learned.kept is not None else self._all(name)
            self._sum_up(name)
        return self._drawn[name]

    def _kept(self, name: str) -> Drawn:
        frame = self.tables[name].kept
        assert frame is not None
        owner = self.graph.owner(name)
        over = looked_up(owner, pl.DataFrame(), np.zeros(0, np.int64)) if owner else pl.DataFrame()
        return Drawn(frame, {}, {}, frame.select(self._said(name)), over, finished=True)

    def _all(self, name: str) -> Drawn:
        blocks = list(self._blocks(name))
        frames = [self._with_keys(name, *block) for block in blocks]
        named = {key: np.concatenate([b[1][key] for b in blocks]) for key in blocks[0][1]}
        wanted = {key: np.concatenate([b[2][key] for b in blocks]) for key in blocks[0][2]}
        owner = self.graph.owner(name)
        over = looked_up(owner, self._profile(owner.parent), named[owner.name]) if owner else pl.DataFrame()
        frame = pl.concat(frames)
        return Drawn(frame, named, wanted, frame.select(self._said(name)), over)

    def _said(self, name: str) -> list[str]:
        return [c.name for c in said(self.tables[name].table)]

    def _profile(self, name: str) -> pl.DataFrame:
        """What children are drawn given: as the rows were drawn, for what children come to is known after them."""
        return self.held(name).profile

    def _sum_up(self, name: str) -> None:
        """Draw how often each row is named, and what its children have in common."""
        learned, drawn = self.tables[name], self._drawn[name]
        links = self.graph.into(name, OWNER, REFERENCE, LATE)
        n = drawn.frame.height
        if learned.summary is not None:
            seen = together(self._profile(name), drawn.over)
            blocks = range(0, max(n, 1), BLOCK)
            parts = [
                learned.summary.block(
                    i // BLOCK, self.seed, min(BLOCK, n - i), seen[i : i + BLOCK] if seen.width else None
                )
                for i in blocks
            ]
            drawn.summaries = pl.concat(parts)[:n]
        for link in links:
            total = self._named(link)
            rng = stream(self.seed, link.name, "counts")
            if learned.kept is not None:
                counts = learned.kept_counts[link.name]
            else:
                wanted = drawn.summaries[count_name(link)].to_numpy() if learned.summary else np.zeros(n, np.int64)
                free = link.role == OWNER and link.child in self.free
                counts = wanted if free else learned.counts[link.name].like(wanted, rng)
                if free:
                    self.sizes[link.child] = total = int(counts.sum())
            drawn.counts[link.name] = _summing(learned, link, counts, total, rng)
            if drawn.summaries.width:
                drawn.summaries = drawn.summaries.with_columns(pl.Series(count_name(link), drawn.counts[link.name]))

    def _named(self, link: Link) -> int:
        """How many rows of the child name one by this key."""
        return round(self.sizes.get(link.child, 0) * self.tables[link.child].named[link.name])

    def _finished(self, name: str) -> Drawn:
        """A table with its late keys, and what its children come to."""
        drawn = self.held(name)
        if not drawn.finished:
            drawn.finished = True
            for link in self.graph.of(name, LATE):
                parent, rng = self.held(link.parent), stream(self.seed, link.name, "late")
                wanted = drawn.wanted[link.name]
                if link.acyclic:
                    depth = rooted(np.maximum(wanted, 0), 1 - self.tables[name].named[link.name], rng)
                    rows = above(depth, parent.counts[link.name], rng)
                else:
                    rows = self._place(link).take(wanted, rng)
                others = {n for other in self.graph.of(name) if other != link for n in other.key.columns}
                keys = {n: drawn.frame[n] for n in others if drawn.frame[n].null_count() < drawn.frame.height}
                rows = self._agreeing(link, rows, keys, rng)
                drawn.named[link.name] = rows
                drawn.frame = self._put(drawn.frame, link, rows)
            self._add_up(name, drawn)
        return drawn

    def _add_up(self, name: str, drawn: Drawn) -> None:
        """Put what the children of each row come to in place of what was drawn for it."""
        table = self.tables[name].table
        for rule, key in self.tables[name].totals.items():
            sums = Sums(rule, drawn.frame.height)
            for children, rows in self._naming(rule.table, key):
                sums.add(children, rows)
            drawn.frame = put(drawn.frame, rule, sums, table)

    def _naming(self, name: str, key: str) -> Iterator[tuple[pl.DataFrame, Ints]]:
        """A table's rows, and whom they name by a key. A table that is not held is drawn twice: here, and to go out."""
        if self._alone(name):
            yield from ((frame, named[key]) for frame, named, _ in self._blocks(name))
        else:
            drawn = self._finished(name)
            yield drawn.frame, drawn.named[key]

    def _alone(self, name: str) -> bool:
        """Whether a table goes out block by block, for nobody names its rows."""
        return not self.graph.into(name) and not self.graph.of(name, LATE) and self.tables[name].kept is None

    # ------------------------------------------------------------------------------------------- blocks

    def _blocks(self, name: str) -> Iterator[tuple[pl.DataFrame, dict[str, Ints], dict[str, Ints]]]:
        """A table's drawn columns, the parents' rows of each key, and the groups wanted of late keys."""
        learned, owner = self.tables[name], self.graph.owner(name)
        for link in self.graph.of(name):
            self._places.pop(link.name, None)  # as if nothing had been drawn before
            self._kin.pop(link.name, None)
        if owner:
            self.held(owner.parent)  # by which the number of rows may be known
        n = self.sizes[name]
        if not n or (learned.model is None and not learned.bare):
            if n:
                raise RuleError(f"table {name!r}: {n:,} rows are asked, but there were none to learn from.")
            yield self._none(name)
        elif owner is None:
            first = 0
            for frame in bare(n) if learned.bare else self._rows(name, n, self.seed):
                yield self._named_rows(name, frame, {}, first)
                first += frame.height
        else:
            yield from self._children(name, learned, owner, n)

    def _none(self, name: str) -> tuple[pl.DataFrame, dict[str, Ints], dict[str, Ints]]:
        empty = np.zeros(0, np.int64)
        table = self.tables[name].table
        frame = pl.DataFrame(schema={c.name: parse_dtype(c.dtype, c.levels) for c in table.columns})
        named = {link.name: empty for link in self.graph.of(name, OWNER, REFERENCE, COPIED)}
        return frame, named, {link.name: empty for link in self.graph.of(name, LATE)}

    def _children(
        self, name: str, learned: Learned, owner: Link, n: int
    ) -> Iterator[tuple[pl.DataFrame, dict[str, Ints], dict[str, Ints]]]:
        parent = self.held(owner.parent)
        counts = parent.counts[owner.name]
        owners = np.repeat(np.arange(len(counts)), counts)
        owners = np.concatenate([owners, np.full(n - len(owners), NONE)])
        families = Families(learned, owners, self._profile(owner.parent), parent.over, parent.summaries)
        for first, mine, place, frame in families.blocks(self.seed):
            yield self._named_rows(name, frame, {owner.name: mine}, first, place)

    def _named_rows(
        self, name: str, frame: pl.DataFrame, named: dict[str, Ints], first: int, place: Ints | None = None
    ) -> tuple[pl.DataFrame, dict[str, Ints], dict[str, Ints]]:
        """A block's rows, and whom they name."""
        learned, wanted = self.tables[name], dict[str, Ints]()
        rng = stream(self.seed, name, first, "links")
        owner = self.graph.owner(name)
        keys = self._key(owner, named[owner.name]) if owner else {}
        for link in self.graph.of(name, REFERENCE, LATE):
            groups = self._wanted(learned, link, frame)
            if link.role == LATE:
                wanted[link.name] = groups
                continue
            rows = self._place(link).take(groups, rng)
            if link.name in learned.kin and owner:
                rows = self._in_family(link, learned.kin[link.name], owner, named[owner.name], rows, groups, rng)
            elif link.apart and owner:
                rows = set_apart(named[owner.name], rows, self.held(link.parent).counts[link.name], rng)
            if link.name in learned.steady and owner:
                rows = rows[first_of(named[owner.name])]
            named[link.name] = self._agreeing(link, rows, keys, rng)
            keys = self._key(link, named[link.name]) | keys
        if owner:
            parent = self.held(owner.parent)
            mine = named[owner.name]
            for link in self.graph.of(name, COPIED):
                theirs = parent.named.get(link.via)
                some = rng.integers(0, max(1, self.held(link.parent).frame.height), len(mine))
                named[link.name] = (
                    np.where(mine >= 0, theirs[np.maximum(mine, 0)], some) if theirs is not None else some
                )
            if learned.serial and place is not None:
                own, begin = learned.serial
                column = learned.table[own]
                frame = frame.with_columns(pl.Series(own, place + begin).cast(parse_dtype(column.dtype)))
        return self._copied(name, frame, named), named, wanted

    def _copied(self, name: str, frame: pl.DataFrame, named: Mapping[str, Ints]) -> pl.DataFrame:
        """The rows with the columns that repeat one of the row that a key names, or of the row before."""
        owner = self.graph.owner(name)
        owners = named[owner.name] if owner else np.full(frame.height, NONE)
        before = befores(owners, np.arange(frame.height))
        for copy in self.tables[name].copies:
            marked = (frame[copy.mark] == 1).fill_null(False).to_numpy() if copy.mark else np.ones(frame.height, bool)
            if copy.steady:
                marked = marked[source(before, before >= 0)]
            if copy.key:
                rows = named[copy.key]
                values = gathered(self._column(self.graph.named(copy.key).parent, copy.other), rows)
                values = values.zip_with(pl.Series(marked & (rows >= 0)), frame[copy.column]) if copy.mark else values
            else:
                values = frame[copy.column].gather(source(before, marked))
            frame = frame.with_columns(values.alias(copy.column))
        return frame

    def _column(self, name: str, column: str) -> pl.Series:
        """A column of a table that is held, with what its children come to."""
        totals = any(rule.column == column for rule in self.tables[name].totals)
        return (self._finished(name) if totals else self.held(name)).frame[column]

    def _key(self, link: Link, rows: Ints) -> dict[str, pl.Series]:
        """The columns of a key that names these rows (n,)."""
        parent, pairs = self.held(link.parent).frame, zip(link.key.columns, link.key.parent_columns, strict=True)
        return {own: gathered(parent[theirs], rows) for own, theirs in pairs}

    def _agreeing(self, link: Link, rows: Ints, keys: Mapping[str, pl.Series], rng: np.random.Generator) -> Ints:
        """The rows (n,) that a key names, so that columns that it shares with `keys` say the same."""
        pairs = [p for p in zip(link.key.columns, link.key.parent_columns, strict=True) if p[0] in keys]
        if not pairs or not len(rows):
            return rows
        parent = self.held(link.parent)
        sides = [pl.DataFrame({own: comparable(keys[own]) for own, _ in pairs})]
        sides.append(pl.DataFrame({own: comparable(parent.frame[theirs]) for own, theirs in pairs}))
        codes = pl.concat(sides).select(pl.struct(pl.all()).rank("dense")).to_series().to_numpy().astype(np.int64)
        return agreeing(rows, codes[: len(rows)], codes[len(rows) :], parent.counts[link.name], rng)

    def _in_family(
        self, link: Link, kin: Kin, owner: Link, owners: Ints, rows: Ints, groups: Ints, rng: np.random.Generator
    ) -> Ints:
        """The rows (n,) that a key names, so that they have the ancestor that they should have."""
        parent = self.held(link.parent)
        if link.name not in self._kin:
            ancestor = climbed(np.arange(parent.frame.height), link.parent, kin.top, self.graph, self._whom)
            group = self.tables[link.parent].group(link, self._profile(link.parent), parent.summaries)
            counts = parent.counts[link.name]
            self._kin[link.name] = Family(ancestor, group, counts, counts.copy())
        family = self._kin[link.name]
        if kin.own:
            wanted = climbed(owners, owner.parent, kin.top, self.graph, self._whom)
        else:
            wanted = family.homes(owners, rng)
        return family.bound(rows, wanted, groups, owners, link.apart, kin.other, rng)

    def _whom(self, key: str) -> Ints:
        """Whom the rows of a table that is held name by a key."""
        return self.held(self.graph.named(key).child).named[key]

    def _wanted(self, learned: Learned, link: Link, frame: pl.DataFrame) -> Ints:
        """(n,) the group that each row names by a key, NONE for none."""
        if link.name in learned.labels:
            return frame[learned.labels[link.name]].fill_null(NONE).to_numpy().astype(np.int64)
        return np.full(frame.height, learned.constant.get(link.name, NONE))

    def _place(self, link: Link) -> Places:
        if link.name not in self._places:
            parent = self.held(link.parent)
            groups = self.tables[link.parent].group(link, self._profile(link.parent), parent.summaries)
            self._places[link.name] = Places.of(
                parent.counts[link.name], groups, stream(self.seed, link.name, "places")
            )
        return self._places[link.name]

    # ------------------------------------------------------------------------------------------- keys

    def _with_keys(
        self, name: str, frame: pl.DataFrame, named: Mapping[str, Ints], wanted: Mapping[str, Ints]
    ) -> pl.DataFrame:
        """The table's columns in their order, with the keys of the rows that are named."""
        links = [link for link in self.graph.of(name) if link.name in named]
        for link in sorted(links, key=lambda one: one.role == OWNER):  # where keys share a column, the owner's stands
            frame = self._put(frame, link, named[link.name])
        table = self.tables[name].table
        missing = [
            pl.lit(None).cast(parse_dtype(c.dtype, c.levels)).alias(c.name)
            for c in table.columns
            if c.name not in frame.columns
        ]
        return frame.with_columns(missing).select(table.names)

    def _put(self, frame: pl.DataFrame, link: Link, rows: Ints) -> pl.DataFrame:
        """The frame with the key of the parent's rows (n,); null for NONE."""
        parent, table = self.held(link.parent).frame, self.tables[link.child].table
        columns = []
        for own, theirs in zip(link.key.columns, link.key.parent_columns, strict=True):
            wanted = parse_dtype(table[own].dtype, table[own].levels)
            try:
                columns.append(gathered(parent[theirs], rows).cast(wanted).alias(own))
            except pl.exceptions.PolarsError as error:
                fix = f"Give {link.parent}.{theirs} and {link.child}.{own} one type."
                raise DataError(
                    f"keys of {link.parent!r} are no {wanted}.", table=link.child, column=own, fix=fix
                ) from error
        return self._stray(frame.with_columns(columns), link, rows)

    def _stray(self, frame: pl.DataFrame, link: Link, rows: Ints) -> pl.DataFrame:
        """Of the rows (n,) that name nobody, some get keys that nobody has, where the real ones had such."""
        learned, none = self.tables[link.child], np.flatnonzero(rows == NONE)
        lost = learned.dangling.get(link.name, 0.0)
        n = round(len(none) * lost / (1 - learned.named[link.name])) if lost else 0
        if not n:
            return frame
        rng, parent, columns = stream(self.seed, link.name, frame.height, "strays"), self.held(link.parent).frame, []
        some = np.sort(rng.choice(none, n, replace=False))
        for own, theirs in zip(link.key.columns, link.key.parent_columns, strict=True):
            made = _unused(parent[theirs], n, self.seed).cast(frame[own].dtype)
            columns.append(frame[own].clone().scatter(some, made))
        return frame.with_columns(columns)


def _unused(keys: pl.Series, n: int, seed: int) -> pl.Series:
    """n values like these keys that are none of them."""
    if keys.dtype.is_integer():
        return pl.Series(int(keys.max() or 0) + 1 + np.arange(n))  # type: ignore[arg-type]
    made = make_ids(learn_pattern(keys), np.arange(len(keys) + n), seed, "strays", dtype=keys.dtype)
    return made.filter(~made.is_in(keys.implode())).head(n)


def _summing(learned: Learned, link: Link, counts: Ints, total: int, rng: np.random.Generator) -> Ints:
    one = Counts.fit(np.zeros(0, np.int64), 1, link.alone) if learned.kept is not None else learned.counts[link.name]
    return one.summing(counts, total, f"table {link.child!r}, key {link.key}", rng)
