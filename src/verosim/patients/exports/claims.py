"""The tables about money: claims, what happened to each of their lines, and who insured whom when."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from verosim.patients.exports.block import CHARGE, CLAIM, MEMBER, MOMENT, Block
from verosim.patients.exports.tables import COLUMNS, shaped
from verosim.patients.names import NONE
from verosim.patients.population import Array
from verosim.patients.record import KINDS

PARTS: Final = ("encounters", "medications", "procedures", "reports", "immunizations", "devices", "supplies")
DEPARTMENTS: Final = np.array([{"wellness": 10, "ambulatory": 1, "outpatient": 2, "inpatient": 3, "emergency": 4,
                                "urgentcare": 5}.get(kind, 20) for kind in KINDS])  # fmt: skip
METHODS: Final = ("CASH", "CC", "CHECK", "ECHECK")
STEPS: Final = ("charge", "copay", "payer", "out_secondary", "in_secondary", "secondary", "out", "in", "paid")


def money_tables(block: Block) -> dict[str, pl.DataFrame]:
    """payer_transitions, claims and claims_transactions of a block; empty where nobody is insured or billed."""
    claims = _shown_claims(block)
    return {
        "payer_transitions": _transitions(block),
        "claims": _claims(block, claims),
        "claims_transactions": _transactions(block, claims),
    }


# ------------------------------------------------------------------------------------------------- claims


def _shown_claims(block: Block) -> pl.DataFrame:
    """The claims of what is shown, in the order of the patients and their time, with all that their tables need."""
    claims = block.extra.get("claims")
    if claims is None or not claims.height:
        return pl.DataFrame(schema=_CLAIMS)
    table, row = claims["claim_table"].to_numpy(), claims["claim_row"].to_numpy()
    encounters = np.where(table == 0, row, _encounter_of_medication(block, table, row))
    seq = np.where(table == 0, block["encounters"]["seq"][encounters], 0)
    medications = table == 1
    seq[medications] = block["medications"]["seq"][row[medications]]
    shown = np.zeros(len(row), bool)
    for number, name in enumerate(("encounters", "medications")):
        some = table == number
        shown[some] = block.shown(name)[row[some]]
    found = claims.with_columns(
        pl.Series("encounter", encounters),
        pl.Series("seq", seq),
        pl.Series("rank", block.rank[claims["patient"].to_numpy()]),
    )
    return found.filter(pl.Series(shown)).sort("rank", "start", "seq")


_CLAIMS: Final = dict.fromkeys(
    ("claim", "patient", "start", "payer", "secondary", "claim_table", "claim_row", "encounter", "seq", "rank"),
    pl.Int64,
)


def _encounter_of_medication(block: Block, table: Array, row: Array) -> Array:
    rows = np.where(table == 1, row, 0)
    found = block["medications"]["encounter"]
    return found[rows] if len(found) else np.full(len(row), NONE)


def _claims(block: Block, claims: pl.DataFrame) -> pl.DataFrame:
    if not claims.height:
        return _nothing("claims")
    patient, encounter = claims["patient"].to_numpy(), claims["encounter"].to_numpy()
    kind = block["encounters"]["kind"][encounter]
    provider = block.linked("providers", block.own("encounters", "provider", encounter, NONE))
    secondary = claims["secondary"].to_numpy()
    billed = pl.Series(block["encounters"]["stop"][encounter]).cast(MOMENT)
    served = claims["start"].cast(MOMENT)
    twice = pl.Series(secondary != NONE)
    zero, closed = (
        pl.Series([0]).new_from_index(0, claims.height),
        pl.Series(["CLOSED"]).new_from_index(0, claims.height),
    )
    no_text, no_number = closed.clear(claims.height), zero.clear(claims.height)
    kind_of_claim = np.where(kind == 0, 1, 2)  # HIPAA: professional, institutional
    department = DEPARTMENTS[kind]
    return shaped(
        "claims",
        _diagnoses(block, claims)
        | {
            "Id": block.made_ids(CLAIM, patient, claims["seq"].to_numpy()),
            "PATIENTID": block.person_ids.gather(patient),
            "PROVIDERID": provider,
            "SUPERVISINGPROVIDERID": provider,
            "REFERRINGPROVIDERID": no_text,
            "PRIMARYPATIENTINSURANCEID": block.linked("payers", claims["payer"].to_numpy()),
            "SECONDARYPATIENTINSURANCEID": block.linked("payers", secondary),
            "DEPARTMENTID": department,
            "PATIENTDEPARTMENTID": department,
            "APPOINTMENTID": block.encounter_ids(encounter),
            "CURRENTILLNESSDATE": served,
            "SERVICEDATE": served,
            "STATUS1": closed,
            "STATUS2": closed.zip_with(twice, no_text),
            "STATUSP": closed,
            "OUTSTANDING1": zero,
            "OUTSTANDING2": zero.zip_with(twice, no_number),
            "OUTSTANDINGP": zero,
            "LASTBILLEDDATE1": billed,
            "LASTBILLEDDATE2": billed.zip_with(twice, billed.clear(claims.height)),
            "LASTBILLEDDATEP": billed,
            "HEALTHCARECLAIMTYPEID1": kind_of_claim,
            "HEALTHCARECLAIMTYPEID2": np.where(secondary != NONE, kind_of_claim, 0),
        },
    )


def _diagnoses(block: Block, claims: pl.DataFrame) -> dict[str, pl.Series]:
    """DIAGNOSIS1 to 8: the reason of the claim, and then the conditions that were found at its encounter."""
    row, table = claims["claim_row"].to_numpy(), claims["claim_table"].to_numpy()
    reason = np.full(claims.height, NONE, np.int64)
    for number, name in enumerate(("encounters", "medications")):
        some = table == number
        reason[some] = block[name]["reason"][row[some]]
    rows = block.rows("conditions")
    items = block["conditions"]["item"][rows]
    leading = block.catalogue.leading()[items] if len(items) else items
    found = pl.DataFrame({"encounter": block["conditions"]["encounter"][rows].astype(np.int64), "code": leading})
    wide = found.with_columns(n=pl.int_range(pl.len()).over("encounter")).filter(pl.col("n") < 8)
    by_place = {place: wide.filter(pl.col("n") == place).select("encounter", pl.col("code").alias(f"c{place}"))
                for place in range(8)}  # fmt: skip
    asked = claims.select("encounter")
    for part in by_place.values():
        asked = asked.join(part, on="encounter", how="left", maintain_order="left")
    given = pl.Series(reason != NONE)
    first = pl.Series(reason).cast(pl.Int64)
    codes = [asked[f"c{place}"].cast(pl.Int64) for place in range(8)]
    shifted = [first, *codes[:7]]
    out = [a.zip_with(given, b) for a, b in zip(shifted, codes, strict=True)]
    return {f"DIAGNOSIS{i + 1}": block.code(c.fill_null(NONE).to_numpy(), "code") for i, c in enumerate(out)}


# ------------------------------------------------------------------------------------------------- transactions


def _transactions(block: Block, claims: pl.DataFrame) -> pl.DataFrame:
    """What happened to each line: charged, paid by insurers, handed on to the patient, paid."""
    lines = _shown_lines(block, claims)
    if not lines.height:
        return _nothing("claims_transactions")
    steps = _steps(lines)
    line = lines[steps["line"].to_numpy()]
    patient, encounter = line["patient"].to_numpy(), line["encounter"].to_numpy()
    start, stop, code, display = _what(block, lines)
    take = steps["line"].to_numpy()
    provider = block.linked("providers", block.own("encounters", "provider", encounter, NONE))
    empty = pl.Series([None], dtype=pl.String).new_from_index(0, steps.height)
    ones = np.ones(steps.height, np.int64)
    return shaped("claims_transactions", dict.fromkeys(COLUMNS["claims_transactions"], empty) | {
        "ID": block.made_ids(CHARGE, patient, steps["number"].to_numpy()),
        "CLAIMID": block.made_ids(CLAIM, patient, line["claim_seq"].to_numpy()),
        "CHARGEID": steps["number"], "PATIENTID": block.person_ids.gather(patient),
        "TYPE": steps["type"], "AMOUNT": steps["amount"], "METHOD": steps["method"],
        "FROMDATE": start.gather(take), "TODATE": stop.gather(take),
        "PLACEOFSERVICE": block.linked("organizations", block.own("encounters", "organization", encounter, NONE)),
        "PROCEDURECODE": code.gather(take), "DIAGNOSISREF1": ones, "UNITS": ones,
        "DEPARTMENTID": DEPARTMENTS[block["encounters"]["kind"][encounter]], "NOTES": display.gather(take),
        "UNITAMOUNT": steps["unit_amount"], "TRANSFEROUTID": steps["from"], "TRANSFERTYPE": steps["to"],
        "PAYMENTS": steps["payments"], "ADJUSTMENTS": np.zeros(steps.height), "TRANSFERS": steps["transfers"],
        "OUTSTANDING": steps["outstanding"], "APPOINTMENTID": block.encounter_ids(encounter),
        "PATIENTINSURANCEID": _members(block, lines).gather(take), "FEESCHEDULEID": ones,
        "PROVIDERID": provider, "SUPERVISINGPROVIDERID": provider,
    })  # fmt: skip


def _shown_lines(block: Block, claims: pl.DataFrame) -> pl.DataFrame:
    lines = block.extra.get("claim_lines")
    if lines is None or not claims.height:
        return pl.DataFrame(schema=_CLAIMS)
    table, row = lines["table"].to_numpy(), lines["row"].to_numpy()
    shown = np.zeros(len(row), bool)
    for number, name in enumerate(PARTS):
        some = table == number
        shown[some] = block.shown(name)[row[some]]
    order = claims.select("claim", "encounter", claim_seq="seq", turn=pl.int_range(claims.height))
    found = lines.filter(pl.Series(shown)).join(order, on="claim", how="inner")
    return found.sort("turn", "table", "row")


def _steps(lines: pl.DataFrame) -> pl.DataFrame:
    """The transactions of lines, in order: line (its place), number (within a patient, from 0), type, and the sums."""
    rest = (pl.col("patient_paid") - pl.col("copay")).round(2)
    base = lines.with_row_index("line").with_columns(
        pl.col("line").cast(pl.Int64), rest=rest, after_copay=pl.col("cost") - pl.col("copay")
    )
    base = base.with_columns(after_payer=pl.col("after_copay") - pl.col("covered"))
    zero, none = pl.lit(0.0), pl.lit(None, pl.Float64)
    method = pl.Series("m", METHODS).gather((lines["seq"].to_numpy() * 7 + lines["table"].to_numpy()) % len(METHODS))
    base = base.with_columns(cash=method)

    def step(
        name: str, has: pl.Expr, kind: str, *, amount: pl.Expr = none, paid: pl.Expr = zero, moved: pl.Expr = none,
        outstanding: pl.Expr = zero, to: str | None = None, how: pl.Expr | None = None,
    ) -> pl.DataFrame:  # fmt: skip
        return base.filter(has).select(
            "line", "patient", step=pl.lit(STEPS.index(name)), type=pl.lit(kind), amount=amount, payments=paid,
            transfers=moved, outstanding=outstanding, to=pl.lit(to, pl.String),
            method=pl.lit(None, pl.String) if how is None else how,
            unit_amount=pl.col("cost") if kind == "CHARGE" else zero,
        )  # fmt: skip

    more, left = pl.col("secondary_paid"), pl.col("rest")
    parts = [
        step("charge", pl.lit(True), "CHARGE", amount=pl.col("cost"), to="1"),
        step(
            "copay",
            pl.col("copay") > 0,
            "PAYMENT",
            paid=pl.col("copay"),
            outstanding=pl.col("after_copay"),
            how=pl.lit("COPAY"),
        ),
        step(
            "payer",
            pl.col("covered") > 0,
            "PAYMENT",
            paid=pl.col("covered"),
            outstanding=pl.col("after_payer"),
            how=pl.lit("ECHECK"),
        ),
        step("out_secondary", more > 0, "TRANSFEROUT", paid=zero, moved=more, outstanding=more),
        step("in_secondary", more > 0, "TRANSFERIN", amount=more, moved=more, outstanding=more, to="2"),
        step("secondary", more > 0, "PAYMENT", paid=more, outstanding=left.clip(0), how=pl.lit("ECHECK")),
        step("out", left > 0, "TRANSFEROUT", moved=left, outstanding=left),
        step("in", left > 0, "TRANSFERIN", amount=left, moved=left, outstanding=left, to="p"),
        step("paid", left > 0, "PAYMENT", paid=left, how=pl.col("cash")),
    ]
    found = pl.concat(parts).sort("line", "step").with_columns(number=pl.int_range(pl.len()).over("patient"))
    before = pl.when(pl.col("type") == "TRANSFERIN").then(pl.col("number") - 1)
    return found.with_columns(before.alias("from"))


def _what(block: Block, lines: pl.DataFrame) -> tuple[pl.Series, pl.Series, pl.Series, pl.Series]:
    """From when to when (k,), code and name of what each line is for."""
    table, row = lines["table"].to_numpy(), lines["row"].to_numpy()
    items, encounter = np.zeros(len(row), np.int64), lines["encounter"].to_numpy()
    for number, name in enumerate(PARTS):
        some = table == number
        items[some] = block[name]["item"][row[some]]
    start = lines["start"].cast(MOMENT)
    stop = pl.Series(np.maximum(block["encounters"]["stop"][encounter], lines["start"].to_numpy())).cast(MOMENT)
    return start, stop, block.items["code"].gather(items), block.items["display"].gather(items)


# ------------------------------------------------------------------------------------------------- insurance


def _coverage(block: Block) -> tuple[Array, Array, Array]:
    """Rows of the insurance years that are shown, in order, and for searching: their patients' ranks and starts."""
    coverage = block.record.tables.get("coverage")
    if coverage is None:
        none = np.zeros(0, np.int64)
        return none, none, none
    rows = np.flatnonzero(block.rank[coverage["patient"]] != NONE)
    rank, start = block.rank[coverage["patient"][rows]], coverage["start"][rows]
    order = np.lexsort((start, rank))
    return rows[order], rank[order], start[order]


def _members(block: Block, lines: pl.DataFrame) -> pl.Series:
    """Ids (k,) of the insurance years that lines fall in; none for what came before the first that is told."""
    rows, rank, start = _coverage(block)
    patient = lines["patient"].to_numpy()
    if not len(rows):
        return pl.Series([None], dtype=pl.String).new_from_index(0, lines.height)
    first = int(start.min())
    key, asked = rank * 2**43 + (start - first), block.rank[patient] * 2**43 + (lines["start"].to_numpy() - first)
    found = rows[np.maximum(np.searchsorted(key, asked, side="right") - 1, 0)]
    own = pl.Series(block.record.tables["coverage"]["patient"][found] == patient)
    ids = _member_ids(block, found)
    return ids.zip_with(own, pl.Series([None], dtype=ids.dtype).new_from_index(0, len(ids)))


def _member_ids(block: Block, rows: Array) -> pl.Series:
    coverage = block.record.tables["coverage"]
    patient = coverage["patient"][rows]
    return block.made_ids(MEMBER, patient, coverage["start"][rows] - block.people.birth[patient])


def _transitions(block: Block) -> pl.DataFrame:
    rows, _, _ = _coverage(block)
    if not len(rows):
        return _nothing("payer_transitions")
    coverage = block.record.tables["coverage"]
    patient, plan, secondary = (coverage[c][rows] for c in ("patient", "plan", "secondary"))
    end = np.minimum(np.minimum(coverage["stop"][rows], block.people.stop[patient]), block.people.death[patient])
    young = block.people.birthdays[patient, 18] > coverage["start"][rows]
    people = block.extra.get("people")
    name = pl.Series([None], dtype=pl.String).new_from_index(0, len(rows))
    if people is not None and {"first", "last"} <= set(people.columns):
        full = people.select(pl.concat_str("first", pl.lit(" "), "last")).to_series()
        name = full.gather(patient).zip_with(pl.Series(~young), name)
    return shaped(
        "payer_transitions",
        {
            "PATIENT": block.person_ids.gather(patient),
            "MEMBERID": _member_ids(block, rows),
            "START_DATE": pl.Series(coverage["start"][rows]).cast(MOMENT),
            "END_DATE": pl.Series(end).cast(MOMENT),
            "PAYER": block.linked("payers", _payers_of(block, plan, nobody=True)),
            "SECONDARY_PAYER": block.linked("payers", _payers_of(block, secondary, nobody=False)),
            "PLAN_OWNERSHIP": pl.Series(np.where(young, "Guardian", "Self"), dtype=pl.String),
            "OWNER_NAME": name,
        },
    )


def _payers_of(block: Block, plans: Array, nobody: bool) -> Array:
    """The payers (k,) of plans; of NONE, the last payer, which is no insurance, or NONE."""
    frame = block.extra.get("plans")
    if frame is None:
        return np.full(len(plans), NONE)
    without = block.extra["payers"].height - 1 if nobody else NONE
    return np.append(frame["payer"].to_numpy(), without)[plans]


def _nothing(table: str) -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys(COLUMNS[table], pl.String))
