"""Health insurance: plans, who may have them, and the yearly choice of one.

Every year, and with every patient's own chance: of the plans that they may have and can pay for, the plan of the best
priority; the plan of the year before where it is among those; any of the rest by chance. Ours are Medicare, Medicaid
and invented private insurers, with the federal amounts of 2022; the user's `payers/*.csv` come in their place.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from verosim.errors import FileError
from verosim.patients.hooks import NOT_AGAIN
from verosim.patients.life.resources import Resources
from verosim.patients.names import NONE
from verosim.patients.population import WEEK, Array, Attributes, civil
from verosim.patients.record import COMMON, Rows

if TYPE_CHECKING:
    from verosim.patients.world import World

AFFORDABLE: Final = 0.034  # of income a year
EMPLOYER: Final = 0.83  # of the premium, for those whose work insures them
EMPLOYED: Final = 0.2  # occupation level from which it does
MANDATE: Final = 2006  # year since when it does
SUPPLEMENTED: Final = 0.9  # of people with Medicare
ACCEPTED: Final = {"dual": 0.85, "subsidy": 0.75, "disability": 0.85}  # chance that one who may have it gets it
MEDICAID: Final = (2.0, 1.5, 1.5, 2.0, 1.33)  # times the poverty line: to 1 year, to 5, to 18, pregnant, grown
MEDICAID_COLUMNS: Final = ("0-1", "2-5", "6-18", "pregnant", "adult")
INPUTS: Final = "payers/eligibility_input_files/"
SENIOR: Final = 65
COVERAGE: Final = {**COMMON, "plan": int, "secondary": int, "premium": float}
NOBODY: Final = "NO_INSURANCE"
STATUS: Final = {"medicare": "medicare", "medicaid": "medicaid", "dual": "dual eligible", "none": "none"}  # or private
PUBLIC: Final = ("medicare", "medicaid", "dual")


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans on offer, as columns (plans,)."""

    payers: tuple[str, ...]  # their names, each once
    payer: Array  # place in `payers`
    name: tuple[str, ...]
    deductible: Array  # US dollars a year
    coinsurance: Array  # share that the payer bears beyond the deductible; 0: all
    copay: Array  # US dollars a claim
    premium: Array  # US dollars a month; or a share of income, a year
    income_based: Array
    cap: Array  # the most that the patient pays a year
    supplement: Array  # beside Medicare only
    rule: tuple[str, ...]  # who may have it: any, medicare, medicaid, dual, `subsidy 1.5`
    priority: Array  # the least first


def plans(resources: Resources) -> Plans:
    """The user's `payers/insurance_plans.csv`, or our own."""
    given = resources.table("payers/insurance_plans.csv", ("Payer Id", "Name", "Deductible", "Eligibility Policy"))
    if given is None:
        text = (files("verosim.patients.life") / "data" / "plans.csv").read_bytes()
        return _columns(pl.read_csv(io.BytesIO(text), infer_schema=False))
    companies = resources.table("payers/insurance_companies.csv", ("Id", "Name"))
    if companies is None:
        raise FileError("payers/insurance_plans.csv needs payers/insurance_companies.csv beside it.")
    names = dict(zip(companies["Id"], companies["Name"], strict=True))
    columns = {
        "plan": "Name", "deductible": "Deductible", "coinsurance": "Default Coinsurance", "copay": "Default Copay",
        "premium": "Monthly Premium", "cap": "Max Out of Pocket", "supplement": "Medicare Supplement",
        "income_based": "Income Based Premium", "eligibility": "Eligibility Policy", "priority": "Priority Level",
    }  # fmt: skip
    rules = {
        "MedicareEligible": "medicare", "MedicaidEligible": "medicaid", "DualEligible": "dual",
        **{f"ACASubsidy{percent}": f"subsidy {percent / 100}" for percent in (150, 200, 300, 400)},
    }  # fmt: skip
    payer = pl.col("Payer Id").replace_strict(names, default="unknown").alias("payer")
    rows = given.select(payer, *(pl.col(theirs).alias(ours) for ours, theirs in columns.items()))
    rule, priority = pl.col("eligibility").replace_strict(rules, default="any"), pl.col("priority").fill_null("9")
    return _columns(rows.with_columns(rule, priority))


def _columns(rows: pl.DataFrame) -> Plans:
    payers = tuple(dict.fromkeys(rows["payer"]))

    def number(name: str) -> Array:
        return rows[name].cast(pl.Float64).fill_null(0).to_numpy()

    def flag(name: str) -> Array:
        return (rows[name].str.to_lowercase() == "true").to_numpy()

    place = np.array([payers.index(p) for p in rows["payer"]])
    return Plans(
        payers, place, tuple(rows["plan"]), number("deductible"), number("coinsurance"), number("copay"),
        number("premium"), flag("income_based"), number("cap"), flag("supplement"), tuple(rows["eligibility"]),
        number("priority"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Insured:
    """What the choice depends on, of k people at one year's start."""

    age: Array  # whole years
    income: Array  # a year
    poverty: float  # the line
    disabled: Array  # by what entitles to Medicare
    blind: Array
    medicaid: Array  # times the poverty line, up to which an income may have Medicaid
    helped: Array  # whose work pays a part of the premium
    previous: Array  # plan, or NONE


def medicaid_limit(age: Array, pregnant: Array, shares: Array) -> Array:
    """Times the poverty line (k,), by age and pregnancy; shares (k, 5), as MEDICAID.

    >>> medicaid_limit(np.array([1, 10, 30, 30]), np.array([0, 0, 0, 1], bool), np.array([MEDICAID] * 4))
    array([2.  , 1.5 , 1.33, 2.  ])
    """
    group = np.select([age < 2, age < 6, age < 19], [0, 1, 2], 4)
    own = shares[np.arange(len(age)), group]
    return np.where(pregnant, np.maximum(own, shares[:, 3]), own)


def eligible(offer: Plans, who: Insured, luck: Array) -> Array:
    """(k, plans) who may have which plan; luck (k,) uniforms: of those who apply, whom a rule with a chance takes."""
    medicare = (who.age >= SENIOR) | (who.disabled & (luck < ACCEPTED["disability"]))
    medicaid = (who.income <= who.medicaid * who.poverty) | who.blind
    known = {"any": np.ones(len(who.age), bool), "medicare": medicare, "medicaid": medicaid,
             "dual": medicare & medicaid & (luck < ACCEPTED["dual"])}  # fmt: skip
    out = np.zeros((len(who.age), len(offer.rule)), bool)
    for place, rule in enumerate(offer.rule):
        if rule.startswith("subsidy "):
            out[:, place] = (who.income <= float(rule.split()[1]) * who.poverty) & (luck < ACCEPTED["subsidy"])
        else:
            out[:, place] = known[rule]
    return out & ~offer.supplement


def choose(offer: Plans, who: Insured, luck: Array, u: Array) -> Array:
    """The plan (k,) of the year, NONE for those who can have or pay none. luck, u: (k,) uniforms."""
    yearly = np.where(offer.income_based, offer.premium * who.income[:, None], offer.premium * 12)
    helped = who.helped[:, None] & (offer.priority >= 9)
    own = yearly * np.where(helped, 1 - EMPLOYER, 1.0)
    public = np.isin(offer.rule, PUBLIC)
    may = eligible(offer, who, luck) & (public | (own <= AFFORDABLE * who.income[:, None]))
    rank = np.where(may, offer.priority, np.inf)
    best = may & (rank == rank.min(axis=1)[:, None])
    count = best.sum(axis=1)
    nth = np.minimum((u * count).astype(np.int64), count - 1)
    drawn = (np.cumsum(best, axis=1) > nth[:, None]).argmax(axis=1)
    kept = (who.previous != NONE) & best[np.arange(len(u)), who.previous]
    return np.where(count == 0, NONE, np.where(kept, who.previous, drawn))


class Insurance:
    """The `Builtin` "Health Insurance": a row of the table `coverage` for each patient and year."""

    name = "Health Insurance"
    attributes: Sequence[str] = (
        "insurance_payer", "insurance_status", "insurance plan", "state", "income", "occupation_level",
        "end_stage_renal_disease", "blindness", "pregnant",
    )  # fmt: skip

    def __init__(self, resources: Resources, poverty: float) -> None:
        """poverty: the line, in income a year."""
        self.plans, self.poverty = plans(resources), poverty
        self.disabling = _disabling(resources)
        self.medicaid = _medicaid(resources)

    def begin(self, world: World, patients: Array) -> Array:
        world.record.tables.setdefault("coverage", Rows(COVERAGE))
        return np.zeros(len(patients), np.int32)

    def run(self, world: World, patients: Array) -> Array:
        people, attributes, now = world.people, world.attributes, world.people.now[patients]
        plan = choose(self.plans, self._facts(world, patients), world.uniform(patients), world.uniform(patients))
        seniors = np.array([rule in ("medicare",) for rule in self.plans.rule])[plan] & (plan != NONE)
        more = np.flatnonzero(self.plans.supplement)
        beside = seniors & (len(more) > 0) & (world.uniform(patients) < SUPPLEMENTED)
        secondary = np.where(beside, more[0] if len(more) else NONE, NONE)
        attributes.set_numbers(patients, "insurance plan", plan.astype(np.float64))
        names = np.array([attributes.texts(p) for p in (*self.plans.payers, NOBODY)])
        payer = np.where(plan == NONE, len(self.plans.payers), self.plans.payer[plan])
        attributes.set_texts(patients, "insurance_payer", names[payer])
        statuses = np.array([attributes.texts(STATUS.get(rule, "private")) for rule in (*self.plans.rule, "none")])
        attributes.set_texts(patients, "insurance_status", statuses[plan])  # NONE is the last
        birthday = people.birthdays[patients, people.age(patients, now) + 1]
        year = ((birthday - people.birth[patients] + WEEK - 1) // WEEK).astype(np.int32)  # the first step from then on
        yearly = np.where(
            plan == NONE,
            0.0,
            np.where(
                self.plans.income_based[plan],
                self.plans.premium[plan] * attributes.numbers(patients, "income", 0.0) / 12,
                self.plans.premium[plan],
            ),
        )
        extra = np.where(secondary == NONE, 0.0, self.plans.premium[secondary])
        world.record["coverage"].append(
            len(patients), patient=patients, seq=people.step[patients], encounter=NONE, item=NONE, start=now,
            stop=people.birth[patients] + year.astype(np.int64) * WEEK, reason=NONE, plan=plan, secondary=secondary,
            premium=yearly + extra,
        )  # fmt: skip
        return np.where(people.age(patients, now) < 115, year, NOT_AGAIN).astype(np.int32)

    def _facts(self, world: World, patients: Array) -> Insured:
        attributes, now = world.attributes, world.people.now[patients]
        working = (attributes.numbers(patients, "occupation_level", 0.0) >= EMPLOYED) & (civil(now)[0] >= MANDATE)
        age = world.people.age(patients, now)
        return Insured(
            age=age,
            income=attributes.numbers(patients, "income", 0.0),
            poverty=self.poverty,
            disabled=self._disabled(world, patients, age),
            blind=attributes.flags(patients, "blindness"),
            medicaid=medicaid_limit(age, attributes.flags(patients, "pregnant"), self._shares(attributes, patients)),
            helped=working,
            previous=attributes.numbers(patients, "insurance plan", NONE).astype(np.int64),
        )

    def _shares(self, attributes: Attributes, patients: Array) -> Array:
        """MEDICAID (k, 5) of each patient's state."""
        table = np.tile(np.array(MEDICAID), (len(attributes.texts) + 1, 1))
        for state, own in self.medicaid.items():
            table[attributes.texts.find(state)] = own  # the last row is of states that nobody lives in
        table[-1] = MEDICAID
        return table[attributes.value[attributes.number["state"], patients].astype(np.int64)]

    def _disabled(self, world: World, patients: Array, age: Array) -> Array:
        """Whose kidneys failed, or who has a condition of the user's list."""
        out = world.attributes.flags(patients, "end_stage_renal_disease")
        young = np.flatnonzero((age < SENIOR) & ~out)
        for code in self.disabling:
            out[young] |= world.active(patients[young], code)
        return out


def _disabling(resources: Resources) -> tuple[str, ...]:
    """The codes of conditions that entitle to Medicare, of the user's `ssd_eligibility.csv`."""
    rows = resources.table(INPUTS + "ssd_eligibility.csv", ("codes",))
    texts = [] if rows is None else rows["codes"].drop_nulls().to_list()
    return tuple(dict.fromkeys(code for text in texts for code in text.split("|")))


def _medicaid(resources: Resources) -> dict[str, tuple[float, ...]]:
    """What MEDICAID says, by state, of the user's `medicaid_income_eligibilities.csv`."""
    rows = resources.table(INPUTS + "medicaid_income_eligibilities.csv", ("state", *MEDICAID_COLUMNS))
    if rows is None:
        return {}
    shares = rows.select("state", *(pl.col(c).cast(pl.Float64) for c in MEDICAID_COLUMNS))
    return {state: tuple(own) for state, *own in shares.iter_rows()}
