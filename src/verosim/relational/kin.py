"""Keys that stay in the family: both atoms of a bond lie in one molecule, an order goes to an address of its customer.

Where in the real rows the row that a key names and the row's owner have one ancestor, so they have in what is drawn.
Where their lines do not meet, all rows of one owner may still name rows of one ancestor: the atoms of a ring.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from verosim.keys import NONE, Ints
from verosim.relational.graph import REFERENCE, SURE, Graph, Link
from verosim.relational.links import again, among, set_apart
from verosim.relational.real import Real

LEAST: Final = 20  # rows by which such a law is found
COMMON: Final = 0.5  # chance of any two rows to have one ancestor, from which the law says nothing
TRIES: Final = 30  # times that rows which an owner names twice are drawn again within the family


@dataclass(frozen=True, slots=True)
class Kin:
    """The bond of a key."""

    top: str  # the table of the ancestor
    own: bool  # it is the row's own; else one for all rows of an owner
    other: bool  # a row names another one than its owner, of the same table


def kin_of(name: str, real: Real) -> dict[str, Kin]:
    """The keys of a table that stay in the family."""
    found = {link.name: _kin(link, real) for link in real.graph.of(name, REFERENCE)}
    return {key: kin for key, kin in found.items() if kin}


def _kin(link: Link, real: Real) -> Kin | None:
    graph, owner = real.graph, real.graph.owner(link.child)
    tops = graph.line(link.parent)[1:]
    if owner is None or any(real.schema[n].keep for n in (*graph.line(link.parent), *graph.line(owner.parent))):
        return None
    owners, named = real.rows[owner.name], real.rows[link.name]
    rows = real.rows.__getitem__
    for top in tops:
        if top in graph.line(owner.parent):
            own = climbed(owners, owner.parent, top, graph, rows)
            other = link.parent == owner.parent and not bool((owners == named)[named >= 0].any())
            return Kin(top, True, other) if _holds(own, climbed(named, link.parent, top, graph, rows)) else None
    if not tops:
        return None
    theirs = climbed(named, link.parent, tops[0], graph, rows)
    firsts = first_of(owners)
    later = firsts != np.arange(len(firsts))
    return Kin(tops[0], False, False) if _holds(theirs[firsts][later], theirs[later]) else None


def _holds(one: Ints, other: Ints) -> bool:
    both = (one >= 0) & (other >= 0)
    if both.sum() < LEAST:
        return False
    shares = np.bincount(other[both]) / both.sum()
    return bool((one[both] == other[both]).mean() >= SURE and (shares**2).sum() < COMMON)


def climbed(rows: Ints, table: str, top: str, graph: Graph, named: Callable[[str], Ints]) -> Ints:
    """(n,) the ancestor in `top` of each of these rows of a table. named: whom the rows of a table name, by its key."""
    while table != top:
        owner = graph.owner(table)
        assert owner is not None
        above = named(owner.name)
        rows = np.where(rows >= 0, above[np.maximum(rows, 0)], NONE) if len(above) else np.full(len(rows), NONE)
        table = owner.parent
    return rows


def first_of(owners: Ints) -> Ints:
    """(n,) for each row the first one of its owner."""
    _, first, owner = np.unique(owners, return_index=True, return_inverse=True)
    return first[owner]


@dataclass(slots=True)
class Family:
    """The rows that a key may name, by their ancestor, and how often each still is to be named."""

    ancestor: Ints  # (rows,)
    group: Ints  # (rows,) those who name rows of one group are alike
    counts: Ints  # (rows,) how often each is to be named
    left: Ints  # (rows,) ... and still is

    def bound(
        self, named: Ints, wanted: Ints, groups: Ints, owners: Ints, apart: bool, other: bool, rng: np.random.Generator
    ) -> Ints:
        """`named` (n,) so that each names a row of the wanted ancestor, of its group where there is one left.

        owners: (n,); apart: whose rows must name no row twice; other: nor the owner itself. A row whose family has
        nobody to be named keeps what it has.
        """
        out, mine = named.copy(), np.flatnonzero((named >= 0) & (wanted >= 0))
        width = int(max(self.group.max(initial=0), groups.max(initial=0))) + 1
        found = self._taken(wanted[mine] * width + np.maximum(groups[mine], 0), self.ancestor * width + self.group, rng)
        for draw in (self._taken, self._any):
            lost = np.flatnonzero(found < 0)
            found[lost] = draw(wanted[mine][lost], self.ancestor, rng)
        out[mine] = np.where(found >= 0, found, named[mine])
        for _ in range(TRIES):
            itself = np.flatnonzero((out == owners) & (out >= 0)) if other else np.zeros(0, np.int64)
            bad = np.union1d(again(owners, out), itself) if apart else itself
            if not len(bad):
                return out
            spare = among(wanted[bad], self.ancestor, self.counts + 1, rng)
            out[bad] = np.where(spare >= 0, spare, out[bad])
        return set_apart(owners, out, self.counts, rng) if apart else out

    def homes(self, owners: Ints, rng: np.random.Generator) -> Ints:
        """(n,) a family for all rows of each owner: of those with as many rows left to be named as the owner names,
        else the one with most. Large owners choose first."""
        _, owner, sizes = np.unique(owners, return_inverse=True, return_counts=True)
        known = self.ancestor >= 0
        room = np.bincount(self.ancestor[known], self.left[known]).astype(np.int64)
        by: defaultdict[int, list[int]] = defaultdict(list)
        for family in rng.permutation(np.unique(self.ancestor[known])).tolist():
            by[int(room[family])].append(family)
        homes = np.full(len(sizes), NONE)
        for one in np.argsort(-sizes, kind="stable").tolist() if by else []:
            fitting = [r for r, there in by.items() if there and r >= sizes[one]]
            fitting = fitting or [max(r for r, there in by.items() if there)]
            chances = np.cumsum([max(r, 1) * len(by[r]) for r in fitting])
            r = fitting[int(np.searchsorted(chances, rng.random() * chances[-1], "right"))]
            homes[one] = by[r].pop()
            by[max(0, r - int(sizes[one]))].append(int(homes[one]))
        return homes[owner]

    def _taken(self, wanted: Ints, offered: Ints, rng: np.random.Generator) -> Ints:
        """(m,) for each row one that offers what it wants, as often as it still is to be named; NONE where none is."""
        stubs = np.repeat(np.arange(len(offered)), np.where(np.isin(offered, wanted), self.left, 0))
        stubs = stubs[np.lexsort((rng.random(len(stubs)), offered[stubs]))]
        order = np.lexsort((rng.random(len(wanted)), wanted))
        asked, there = wanted[order], offered[stubs]
        place = np.searchsorted(there, asked) + np.arange(len(asked)) - np.searchsorted(asked, asked)
        found = place < np.searchsorted(there, asked, "right")
        out = np.full(len(wanted), NONE)
        out[order[found]] = stubs[place[found]]
        self.left -= np.bincount(out[out >= 0], minlength=len(self.left))
        return out

    def _any(self, wanted: Ints, offered: Ints, rng: np.random.Generator) -> Ints:
        return among(wanted, offered, self.counts, rng)
