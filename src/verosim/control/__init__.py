"""Control over what a fitted table draws, whatever its engine: `Control` says what is asked, `Controlled` does it.

conditions.py   what a row must be
strata.py       kinds of rows and their shares: conditions, balance, edges
pool.py         rows that the model drew itself, from which all else is learned
kinds.py        rows of the kinds asked for
filling.py      cells drawn given others: complete, impute
parity.py       a target independent of sensitive columns
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import polars as pl

from verosim.control import conditions, parity, strata
from verosim.control.filling import Gaps, completed, conform, filled_in, known_of, rest_of, whole_rows
from verosim.control.kinds import KindsOfRows
from verosim.control.parity import Parity
from verosim.control.pool import Pool, derived
from verosim.control.strata import Balance, Strata
from verosim.draws import BLOCK
from verosim.errors import ArgumentError
from verosim.table_model import TableModel, blocks

__all__ = ["Balance", "Control", "Controlled", "derived"]

T = TypeVar("T")
COLDEST: Final = 0.05
HOTTEST: Final = 20.0


@dataclass(frozen=True, slots=True)
class Control:
    """What a call asks of the rows it draws. Raises ArgumentError for a value that cannot be."""

    where: Mapping[str, Any] | str | None = None  # what each row must be
    balance: Balance | None = None  # a column whose levels come equally often, or {column: {level: share}}
    edges: float | None = None  # the share of rows at the borders of what there is
    fair: Mapping[str, Any] | None = None  # {target: [columns that it is independent of]}
    temperature: float = 1.0  # below 1 more typical rows, above 1 more variety

    def __post_init__(self) -> None:
        warm = self.temperature
        if isinstance(warm, bool) or not isinstance(warm, int | float) or not COLDEST <= warm <= HOTTEST:
            raise ArgumentError(f"temperature: from {COLDEST} to {HOTTEST:g} was wanted, 1 as learned, not {warm!r}.")

    @classmethod
    def of_text(
        cls,
        where: str | None = None,
        balance: str | None = None,
        edges: float | None = None,
        fair: str | None = None,
        temperature: float = 1.0,
    ) -> Control:
        """What a command line says: a balance as `fraud` or `fraud: yes=0.3, no=0.7`, parity as `income: sex, race`.

        >>> asked = Control.of_text(balance="fraud: yes=0.3", fair="income: sex, race")
        >>> asked.balance, asked.fair
        ({'fraud': {'yes': 0.3}}, {'income': ['sex', 'race']})
        """
        target, sensitive = _listed(fair) if fair else ("", [])
        if fair and not sensitive:
            raise ArgumentError(f"fair: a target and its columns were wanted, as in income: sex, race, not {fair!r}.")
        column, levels = _listed(balance) if balance else ("", [])
        pairs = [level.rpartition("=") for level in levels]
        shares: Balance | None = {column: {level.strip(): _share(share) for level, _, share in pairs}}
        return cls(where, shares if pairs else balance, edges, {target: sensitive} if fair else None, temperature)

    @property
    def kinds(self) -> bool:
        """Whether rows of some kinds are asked for."""
        return self.where is not None or self.balance is not None or self.edges is not None

    @property
    def any(self) -> bool:
        """Whether more than plain rows, at any temperature, are asked for."""
        return self.kinds or self.fair is not None


def _listed(text: str) -> tuple[str, list[str]]:
    """`income: sex, race` -> a name, and those after it."""
    name, _, rest = text.partition(":")
    return name.strip(), [part.strip() for part in rest.split(",") if part.strip()]


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ArgumentError(f"balance: a share was wanted, as in fraud: yes=0.3, not {text!r}.") from error


class Controlled:
    """A fitted table, drawn as asked. What is learned for one call is kept for the next that asks the same."""

    def __init__(self, model: TableModel, seed: int) -> None:
        self.model, self.pool = model, Pool(model, seed)
        self._effects: dict[str, str] = {}  # of the last call: target -> what was done
        self._kept: dict[object, Any] = {}

    def _keep(self, key: object, make: Callable[[], T]) -> T:
        if key not in self._kept:
            self._kept[key] = make()
        kept: T = self._kept[key]
        return kept

    @property
    def effects(self) -> tuple[str, ...]:
        """What the last call did to the rows drawn so far, a sentence each."""
        return tuple(self._effects.values())

    # ---------------------------------------------------------------------------------------------- drawing rows

    def blocks(self, control: Control, rows: int, seed: int) -> Iterator[pl.DataFrame]:
        """The first `rows` rows as asked, block by block; fewer rows are the head of more."""
        self._effects = {}
        fair = parity.parse(control.fair, self.model.table) if control.fair is not None else []
        kinds = self._kinds(control) if control.kinds else None
        drawn = self._plain(kinds, control.temperature, rows if not fair else -(-rows // BLOCK) * BLOCK, seed)
        for target, sensitive in fair:
            drawn = self._fair(drawn, control, kinds, target, sensitive, seed)
        return (frame.head(rows - number * BLOCK) for number, frame in enumerate(drawn)) if fair else drawn

    def _plain(self, kinds: KindsOfRows | None, temperature: float, rows: int, seed: int) -> Iterator[pl.DataFrame]:
        if kinds is None:
            return self.model.directed(temperature=temperature).blocks(rows, seed)
        kinds.first  # noqa: B018  (what cannot be is said now, not with the first row)
        return blocks(lambda number: kinds.model(number, temperature), rows, seed, given=lambda _: kinds.labels)

    def _kinds(self, control: Control) -> KindsOfRows:
        wanted = self._strata(control)
        return self._keep(("kinds", wanted.text), lambda: KindsOfRows(self.pool, wanted))

    def _strata(self, control: Control) -> Strata:
        table, parts, asked = self.pool.table, list[Strata](), None
        if control.where is not None:
            asked = conditions.parse(control.where, table)
            parts.append(strata.meeting(asked))
        if control.edges is not None:
            strata.check_edges(control.edges)
        rows = self.pool.rows
        if asked is not None:
            asked.refuse_unknown(rows)
        if control.balance is not None:
            parts.append(strata.balanced(control.balance, table, rows))
        if control.edges is not None:
            parts.append(strata.edged(control.edges, table, rows))
        out, *others = parts
        for part in others:
            out = strata.crossed(out, part, rows)
        return out

    def _fair(
        self,
        drawn: Iterator[pl.DataFrame],
        control: Control,
        kinds: KindsOfRows | None,
        target: str,
        sensitive: tuple[str, ...],
        seed: int,
    ) -> Iterator[pl.DataFrame]:
        if kinds is not None and target in kinds.strata.columns:
            raise ArgumentError(
                f"fair: {target!r} is drawn again, so `where`, `balance` and `edges` cannot ask for it."
            )

        def base() -> pl.DataFrame:
            """Rows like those that the target is drawn again in."""
            if kinds is None and control.temperature == 1:
                return self.pool.rows
            return pl.concat(self._plain(kinds, control.temperature, 3 * BLOCK, self.pool.seed))

        key = ("fair", target, sensitive, control.temperature, kinds.strata.text if kinds else "")
        made = self._keep(key, lambda: Parity(self.pool, target, sensitive, base()))
        made.before[:], made.after[:] = 0, 0
        for number, frame in enumerate(drawn):
            out = made.apply(frame, number, seed)
            self._effects[target] = made.effect
            yield out

    # ---------------------------------------------------------------------------------------------- filling cells

    def complete(self, frame: pl.DataFrame, seed: int) -> pl.DataFrame:
        """The rows of a frame that has some of the columns, with the others drawn given them. Raises DataError."""
        known = conform(frame, self.pool.table)
        names = known_of(known, self.pool.table)
        model = self._keep(("complete", *names), lambda: rest_of(self.pool, names))
        drawn = completed(model, known.select(names), seed)
        return drawn.with_columns(frame.get_columns())

    def impute(self, frame: pl.DataFrame, seed: int, m: int) -> list[pl.DataFrame]:
        """The frame with its missing cells filled, m times. Raises DataError."""
        gaps = Gaps(self.pool, whole_rows(frame, self.pool.table))
        out = []
        for number in range(m):
            filled = gaps.filled(derived(seed, "impute", number))
            out.append(frame.with_columns(filled_in(frame[name], filled[name], g) for name, g in gaps.gaps.items()))
        return out
