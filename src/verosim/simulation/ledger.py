"""Ledgers: accounts that pay each other, honestly and not. Amounts are whole cents, so that no money is lost.

Payments are drawn by whole columns, put in the order of time, and settled one after the other: nobody pays more than is
there. The schemes are those of the literature on money laundering (AMLSim; Altman et al., Realistic synthetic financial
transactions, NeurIPS 2023), and the takeover of an account (PaySim: Lopez-Rojas et al., 2016).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from verosim.draws import BLOCK, stream
from verosim.errors import DataError
from verosim.recipe.nouns import Column, Floats, Ints, PlacedError, Table, Where
from verosim.recipe.planning import Plan
from verosim.recipe.running import Run
from verosim.simulation.arrivals import Rows
from verosim.simulation.clock import Clock
from verosim.simulation.nouns import MOST_ROWS, Ledger

OUTSIDE: Final = -1  # where cash comes from, and goes to
ALL: Final = -1  # an amount: whatever is there
_FLOW: Final = {"in": (True, False), "out": (False, True), "transfer": (False, False)}  # from outside, to outside


@dataclass(frozen=True)
class Payments:
    """Payments (p,): when, of which kind, from and to which account, how many cents, and of which scheme (0: none)."""

    time: Floats
    kind: Ints
    payer: Ints
    payee: Ints
    cents: Ints
    scheme: Ints


class Accounts:
    """A ledger, planned. Raises PlacedError."""

    def __init__(self, name: str, noun: Ledger, clock: Clock, folder: Path, locale: str = "en_US") -> None:
        self.name, self.noun, self.clock = name, noun, clock
        where: Where = ("ledgers", name)
        if noun.accounts < 2 or noun.until <= 0 or noun.merchants < 0:
            raise PlacedError("two accounts or more were wanted, and `until` over 0.", where)
        if any(p.rate < 0 for p in noun.payments.values()):
            raise PlacedError("a rate is 0 or more.", (*where, "payments"))
        expected = noun.accounts * (1 + noun.until * sum(p.rate for p in noun.payments.values()))
        if expected > MOST_ROWS:
            raise PlacedError(f"at most {MOST_ROWS:,} accounts and payments, not {expected:,.0f}.", where)
        if any(p.to == "merchant" for p in noun.payments.values()) and not noun.merchants:
            raise PlacedError("payments to merchants need `merchants`: how many are there?", (*where, "payments"))
        said = f"`accounts` are two numbers from 2 to {noun.accounts:,}, `count` is 0 or more, `lasts` over 0."
        for i, crime in enumerate(noun.crimes):
            if not 2 <= crime.accounts[0] <= crime.accounts[1] <= noun.accounts or crime.count < 0 or crime.lasts <= 0:
                raise PlacedError(said, (*where, "crimes", i))
        columns = {**noun.columns, "\0balance": Column(noun.balance.kind)}
        columns |= {f"\0pays {k}": Column(p.amount.kind, hidden=True) for k, p in noun.payments.items()}
        columns |= {f"\0crime {i}": Column(c.amount.kind, hidden=True) for i, c in enumerate(noun.crimes) if c.amount}
        try:
            self.plan = Plan({name: Table(columns)}, locale, folder)
        except PlacedError as error:
            raise PlacedError(str(error).partition(": ")[2] or str(error), where) from error
        self.kinds = [*noun.payments, *(["transfer", "cash out"] if noun.crimes else [])]

    blocks = 1  # whose payments depend on all accounts

    def block(self, seed: int, number: int) -> dict[str, pl.DataFrame]:
        """Payments in the order of time, and accounts."""
        run = Run(self.plan, {self.name: self.noun.accounts}, seed)
        blocks = [
            Rows(run, i, 0, np.arange(s, min(s + BLOCK, self.noun.accounts)), table=self.name)
            for i, s in enumerate(range(0, self.noun.accounts, BLOCK))
        ]
        values = {n: pl.concat([b[n] for b in blocks]) for n in self.noun.columns}
        opening = np.append(
            np.concatenate([_cents(b.numbers("\0balance"), "balance") for b in blocks]),
            np.zeros(self.noun.merchants, np.int64),
        )
        drawn = [self._usual(run, i, values) for i in range(len(self.noun.payments))]
        schemes: list[tuple[int, str]] = []
        drawn += [self._scheme(run, i, n, schemes) for i, c in enumerate(self.noun.crimes) for n in range(c.count)]
        paid = _in_order(drawn)
        balance, moved = opening.copy(), np.empty((4, len(paid.time)), np.int64)
        settled = settle(paid.payer, paid.payee, paid.cents, balance, moved)
        return self._tables(paid, settled, moved, opening, balance, values, schemes)

    def _usual(self, run: Run, number: int, values: dict[str, pl.Series]) -> Payments:
        """All payments of one kind."""
        kind, payment = list(self.noun.payments.items())[number]
        rng = stream(run.seed, "ledger", self.name, kind)
        n = int(rng.poisson(payment.rate * self.noun.accounts * self.noun.until))
        time, who = np.sort(rng.random(n)) * self.noun.until, rng.integers(0, self.noun.accounts, n)
        if payment.to == "merchant":
            other = self.noun.accounts + rng.integers(0, self.noun.merchants, n)
        else:
            other = (who + rng.integers(1, self.noun.accounts, n)) % self.noun.accounts
        cents = _cents(
            Rows(run, number, 1, who, values, who, table=self.name).numbers(f"\0pays {kind}"), f"amount of {kind}"
        )
        from_outside, to_outside = _FLOW[payment.direction]
        outside = np.full(n, OUTSIDE)
        payer, payee = (outside, who) if from_outside else (who, outside if to_outside else other)
        return Payments(time, np.full(n, number), payer, payee, cents, np.zeros(n, np.int64))

    def _scheme(self, run: Run, crime: int, number: int, schemes: list[tuple[int, str]]) -> Payments:
        """The payments of one scheme."""
        noun = self.noun.crimes[crime]
        rng = stream(run.seed, "ledger", self.name, "crime", crime, number)
        size = int(rng.integers(noun.accounts[0], noun.accounts[1], endpoint=True))
        who = rng.choice(self.noun.accounts, size, replace=False)
        edges = [e for e in SHAPES[noun.kind](who.tolist()) if e[1] != e[2]]
        begin, lasts = rng.random() * self.noun.until, min(noun.lasts, self.noun.until)
        begin = min(begin, self.noun.until - lasts)
        layers = np.array([layer for layer, _, _ in edges])
        time = begin + lasts * (layers + rng.random(len(edges))) / (layers.max() + 1)
        payer, payee = (np.array([e[i] for e in edges]) for i in (1, 2))
        if noun.amount is None:
            cents = np.full(len(edges), ALL)
        else:
            rows = Rows(run, number, 2 + crime, np.arange(len(edges)), table=self.name)
            cents = _cents(rows.numbers(f"\0crime {crime}"), "amount of a crime")
        schemes.append((len(schemes) + 1, noun.kind))
        kinds = np.where(payee == OUTSIDE, len(self.kinds) - 1, len(self.kinds) - 2)
        return Payments(time, kinds, payer, payee, cents, np.full(len(edges), len(schemes)))

    def _tables(
        self, paid: Payments, settled: np.ndarray, moved: Ints, opening: Ints, closing: Ints,
        values: dict[str, pl.Series], schemes: list[tuple[int, str]],
    ) -> dict[str, pl.DataFrame]:  # fmt: skip
        order = np.flatnonzero(settled > 0)
        names = pl.Series(
            [
                *(f"C{i + 1}" for i in range(self.noun.accounts)),
                *(f"M{i + 1}" for i in range(self.noun.merchants)),
                None,
            ]
        )
        kind_of = pl.Series([None, *(k for _, k in schemes)], dtype=pl.String)
        scheme = paid.scheme[order]
        columns = {
            "time": self.clock.dates(paid.time[order]),
            "step": np.floor(paid.time[order]).astype(np.int64) + 1,
            "type": pl.Series(self.kinds, dtype=pl.String).gather(paid.kind[order]),
            "amount": settled[order] / 100,
            "payer": names.gather(_place(paid.payer[order], len(names))),
            "payer_before": _money(moved[0][order], paid.payer[order]),
            "payer_after": _money(moved[1][order], paid.payer[order]),
            "payee": names.gather(_place(paid.payee[order], len(names))),
            "payee_before": _money(moved[2][order], paid.payee[order]),
            "payee_after": _money(moved[3][order], paid.payee[order]),
            "crime": kind_of.gather(scheme),
            "scheme": pl.Series(scheme).replace(0, None),
        }
        n = self.noun.accounts
        suspects = np.zeros(len(opening) + 1, bool)
        for side in (paid.payer, paid.payee):
            suspects[side[(paid.scheme > 0) & (settled > 0)]] = True
        accounts = {
            "account": names[:-1],
            "opening": opening / 100,
            "closing": closing / 100,
            "in_scheme": suspects[: len(opening)],
        }
        accounts |= {k: v.extend_constant(None, len(opening) - n) for k, v in values.items()}
        return {self.name: pl.DataFrame(columns), f"{self.name}_accounts": pl.DataFrame(accounts)}


def settle(payer: Ints, payee: Ints, cents: Ints, balance: Ints, moved: Ints) -> Ints:
    """Pay one after the other; -> what was paid (p,): no more than is there, and nothing where that is nothing.

    balance (a,) is changed; moved (4, p) gets the balances of payer and payee, before and after.
    """
    left = balance.tolist()
    paid, rows = [], []
    for a, b, x in zip(payer.tolist(), payee.tolist(), cents.tolist(), strict=True):
        before, other = (left[a] if a >= 0 else 0), (left[b] if b >= 0 else 0)
        amount = x if a < 0 else before if x == ALL else min(x, before)
        if a >= 0:
            left[a] = before - amount
        if b >= 0:
            left[b] = other + amount
        paid.append(amount)
        rows.append((before, before - amount, other, other + amount))
    balance[:] = left
    moved[:] = np.array(rows, np.int64).reshape(-1, 4).T
    return np.array(paid, np.int64)


# ----------------------------------------------------------------------------------------------- shapes of schemes

Edges = list[tuple[int, int, int]]  # layer (in the order of time), payer, payee


def _cycle(who: list[int]) -> Edges:
    return [(i, a, b) for i, (a, b) in enumerate(pairwise([*who, who[0]]))]


def _takeover(who: list[int]) -> Edges:
    """The first loses all to the second, who takes it out as cash."""
    return [(0, who[0], who[1]), (1, who[1], OUTSIDE)]


def _layers(*layers: list[int]) -> Edges:
    """Everyone of a layer pays everyone of the next."""
    pairs = enumerate(pairwise(layers))
    return [(i, a, b) for i, (one, two) in pairs for a in one for b in two]


def _thirds(who: list[int]) -> tuple[list[int], list[int], list[int]]:
    n = max(1, len(who) // 3)
    return who[:n], who[n : 2 * n], who[2 * n :] or who[:1]


SHAPES: Final[dict[str, Callable[[list[int]], Edges]]] = {
    "takeover": _takeover,
    "fan_in": lambda who: _layers(who[1:], who[:1]),
    "fan_out": lambda who: _layers(who[:1], who[1:]),
    "cycle": _cycle,
    "scatter_gather": lambda who: _layers(who[:1], who[2:] or who[:1], who[1:2]),
    "gather_scatter": lambda who: _layers(who[2::2] or who[:1], who[1:2], who[3::2] or who[:1]),
    "bipartite": lambda who: _layers(who[: len(who) // 2], who[len(who) // 2 :]),
    "stack": lambda who: _layers(*_thirds(who)),
    "random": lambda who: [(i, a, b) for i, (a, b) in enumerate(pairwise(who))],
}


def _cents(amounts: Floats, what: str) -> Ints:
    if not (np.isfinite(amounts) & (amounts >= 0)).all():
        raise DataError(f"the {what} is negative or missing.", fix="Correct it, for example by `min: 0`.")
    return np.rint(amounts * 100).astype(np.int64)


def _in_order(parts: list[Payments]) -> Payments:
    order = np.argsort(np.concatenate([p.time for p in parts]), kind="stable")
    return Payments(*(np.concatenate([getattr(p, f) for p in parts])[order] for f in Payments.__dataclass_fields__))


def _place(accounts: Ints, n: int) -> Ints:
    return np.where(accounts < 0, n - 1, accounts)


def _money(cents: Ints, accounts: Ints) -> pl.Series:
    """Cents as money; of the world outside, nothing is known."""
    return pl.Series(np.where(accounts < 0, np.nan, cents / 100)).fill_nan(None)
