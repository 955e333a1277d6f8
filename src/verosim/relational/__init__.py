"""A whole database, learned: every table given those that own it, every key anew, and what tables have in common.

    with_personal(dataset, schema, names)  what repeats personal data of another table is personal
    with_totals(dataset, schema, names)  rules about sums of children that hold in data
    with_sequences(dataset, schema, names)  children whose order matters within their owner
    settled(dataset, schema, orphans)    keys checked and numbered; what to do with those that name nobody
    held_out(...)                        the hold-out, by families: whoever is held out takes along what it owns
    Database.fit(...).draw(...)          learned, and drawn: tables in order, children given their parents

Read in this order:

    graph.py      which key owns a row, which others it has, and in which order tables are drawn
    context.py    what a row is drawn given: its owner, its owner's owner, what siblings have in common, its place
    counts.py     how many children a parent has
    links.py      whom a row names besides: groups, places, bridges, trees
    copies.py     columns that repeat one of another row
    totals.py     columns that sum up the rows which name a row
    courses.py    whose rows follow each other: those are drawn by sequences/owned.py
    learned.py    one table, learned
    families.py   the rows of one table, drawn family by family
    drawing.py    all tables, drawn
"""

from __future__ import annotations

from verosim.relational.copies import with_personal
from verosim.relational.courses import with_sequences
from verosim.relational.database import Database, held_out
from verosim.relational.orphans import ORPHANS, Settled, settled
from verosim.relational.totals import with_totals

__all__ = ["ORPHANS", "Database", "Settled", "held_out", "settled", "with_personal", "with_sequences", "with_totals"]
