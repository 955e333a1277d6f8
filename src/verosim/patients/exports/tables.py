"""Synthea's CSV tables of a block: the columns as they are named there, typed; `as_text` is what the files hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from verosim.patients.exports.block import MOMENT, Block
from verosim.patients.exports.images import instances
from verosim.patients.names import NONE
from verosim.patients.population import DAY, Array
from verosim.patients.record import CODE, FLAG, KINDS, NUMBER, PANEL, TEXT

_COLUMNS: Final = """
patients: Id BIRTHDATE DEATHDATE SSN DRIVERS PASSPORT PREFIX FIRST MIDDLE LAST SUFFIX MAIDEN MARITAL RACE ETHNICITY
 GENDER BIRTHPLACE ADDRESS CITY STATE COUNTY FIPS ZIP LAT LON HEALTHCARE_EXPENSES HEALTHCARE_COVERAGE INCOME
allergies: START STOP PATIENT ENCOUNTER CODE SYSTEM DESCRIPTION TYPE CATEGORY REACTION1 DESCRIPTION1 SEVERITY1 REACTION2
 DESCRIPTION2 SEVERITY2
medications: START STOP PATIENT PAYER ENCOUNTER CODE DESCRIPTION BASE_COST PAYER_COVERAGE DISPENSES TOTALCOST REASONCODE
 REASONDESCRIPTION
conditions: START STOP PATIENT ENCOUNTER SYSTEM CODE DESCRIPTION
careplans: Id START STOP PATIENT ENCOUNTER CODE DESCRIPTION REASONCODE REASONDESCRIPTION
observations: DATE PATIENT ENCOUNTER CATEGORY CODE DESCRIPTION VALUE UNITS TYPE
procedures: START STOP PATIENT ENCOUNTER SYSTEM CODE DESCRIPTION BASE_COST REASONCODE REASONDESCRIPTION
immunizations: DATE PATIENT ENCOUNTER CODE DESCRIPTION BASE_COST
encounters: Id START STOP PATIENT ORGANIZATION PROVIDER PAYER ENCOUNTERCLASS CODE DESCRIPTION BASE_ENCOUNTER_COST
 TOTAL_CLAIM_COST PAYER_COVERAGE REASONCODE REASONDESCRIPTION
imaging_studies: Id DATE PATIENT ENCOUNTER SERIES_UID BODYSITE_CODE BODYSITE_DESCRIPTION MODALITY_CODE
 MODALITY_DESCRIPTION INSTANCE_UID SOP_CODE SOP_DESCRIPTION PROCEDURE_CODE
devices: START STOP PATIENT ENCOUNTER CODE DESCRIPTION UDI
supplies: DATE PATIENT ENCOUNTER CODE DESCRIPTION QUANTITY
organizations: Id NAME ADDRESS CITY STATE ZIP LAT LON PHONE REVENUE UTILIZATION
providers: Id ORGANIZATION NAME GENDER SPECIALITY ADDRESS CITY STATE ZIP LAT LON ENCOUNTERS PROCEDURES
payers: Id NAME OWNERSHIP ADDRESS CITY STATE_HEADQUARTERED ZIP PHONE AMOUNT_COVERED AMOUNT_UNCOVERED REVENUE
 COVERED_ENCOUNTERS UNCOVERED_ENCOUNTERS COVERED_MEDICATIONS UNCOVERED_MEDICATIONS COVERED_PROCEDURES
 UNCOVERED_PROCEDURES COVERED_IMMUNIZATIONS UNCOVERED_IMMUNIZATIONS UNIQUE_CUSTOMERS QOLS_AVG MEMBER_MONTHS
payer_transitions: PATIENT MEMBERID START_DATE END_DATE PAYER SECONDARY_PAYER PLAN_OWNERSHIP OWNER_NAME
claims: Id PATIENTID PROVIDERID PRIMARYPATIENTINSURANCEID SECONDARYPATIENTINSURANCEID DEPARTMENTID PATIENTDEPARTMENTID
 DIAGNOSIS1 DIAGNOSIS2 DIAGNOSIS3 DIAGNOSIS4 DIAGNOSIS5 DIAGNOSIS6 DIAGNOSIS7 DIAGNOSIS8 REFERRINGPROVIDERID
 APPOINTMENTID CURRENTILLNESSDATE SERVICEDATE SUPERVISINGPROVIDERID STATUS1 STATUS2 STATUSP OUTSTANDING1 OUTSTANDING2
 OUTSTANDINGP LASTBILLEDDATE1 LASTBILLEDDATE2 LASTBILLEDDATEP HEALTHCARECLAIMTYPEID1 HEALTHCARECLAIMTYPEID2
claims_transactions: ID CLAIMID CHARGEID PATIENTID TYPE AMOUNT METHOD FROMDATE TODATE PLACEOFSERVICE PROCEDURECODE
 MODIFIER1 MODIFIER2 DIAGNOSISREF1 DIAGNOSISREF2 DIAGNOSISREF3 DIAGNOSISREF4 UNITS DEPARTMENTID NOTES UNITAMOUNT
 TRANSFEROUTID TRANSFERTYPE PAYMENTS ADJUSTMENTS TRANSFERS OUTSTANDING APPOINTMENTID LINENOTE PATIENTINSURANCEID
 FEESCHEDULEID PROVIDERID SUPERVISINGPROVIDERID
patient_expenses: PATIENT_ID YEAR PAYER_ID HEALTHCARE_EXPENSES INSURANCE_COSTS COVERED_COSTS
"""
COLUMNS: Final[Mapping[str, list[str]]] = {
    name: names.split()
    for name, names in (line.split(":") for line in _COLUMNS.replace("\n ", " ").strip().split("\n"))
}
SEVERITIES: Final = ("", "MILD", "MODERATE", "SEVERE")


def shaped(table: str, columns: Mapping[str, Any]) -> pl.DataFrame:
    """A frame with the table's columns in its order."""
    return pl.DataFrame({name: columns[name] for name in COLUMNS[table]})


def tables(block: Block) -> dict[str, pl.DataFrame]:
    """The tables of one block that hold what happened to its patients; see claims.py and totals.py for the others."""
    return {name: build(block) for name, build in _TABLES.items()}


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame as Synthea's files have it: times and sums of money as texts, no commas within texts."""
    return frame.with_columns(
        _text(name, dtype).alias(name) for name, dtype in frame.schema.items() if not dtype.is_integer()
    )


def _text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype == MOMENT:
        return column.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    if dtype == pl.Date:
        return column.dt.strftime("%Y-%m-%d")
    if dtype.is_float():
        return column.cast(pl.String) if name in ("LAT", "LON", "QOLS_AVG") else money(column)
    text = column.str.replace_all("[\r\n,]", " ").str.strip_chars() if name in _WORDY else column
    return pl.when(text != "").then(text)  # an empty text is nothing


_WORDY: Final = {"DESCRIPTION", "REASONDESCRIPTION", "VALUE", "NOTES", "NAME", "ADDRESS", "BIRTHPLACE", "CITY", "UNITS",
                 "DESCRIPTION1", "DESCRIPTION2", "BODYSITE_DESCRIPTION", "MODALITY_DESCRIPTION", "SOP_DESCRIPTION",
                 "OWNER_NAME", "FIRST", "MIDDLE", "LAST", "MAIDEN", "PHONE"}  # fmt: skip


def money(column: pl.Expr) -> pl.Expr:
    """A number with two decimals, as text: 136.80."""
    cents = (column * 100).round(0).cast(pl.Int64)
    sign = pl.when(cents < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    low = (cents.abs() % 100).cast(pl.String).str.zfill(2)
    return pl.concat_str(sign, (cents.abs() // 100).cast(pl.String), pl.lit("."), low)


def one_decimal(values: Array) -> pl.Series:
    """Numbers with one decimal, rounded half up, as text: 16.0."""
    tenths = pl.Series(np.floor(np.abs(values) * 10 + 0.5 + 1e-9)).cast(pl.Int64)
    sign = pl.Series(np.where((values < 0) & (tenths.to_numpy() > 0), "-", ""))
    frame = pl.DataFrame({"t": tenths, "s": sign})
    return frame.select(
        pl.concat_str("s", (pl.col("t") // 10).cast(pl.String), pl.lit("."), (pl.col("t") % 10).cast(pl.String))
    ).to_series()


# ------------------------------------------------------------------------------------------------- people


def _patients(block: Block) -> pl.DataFrame:
    people, who = block.people, block.patients
    died = block.died[who]
    facts = block.extra.get("people")
    facts = None if facts is None else facts[who]

    def fact(name: str, dtype: Any = pl.String) -> pl.Series:
        if facts is None or name not in facts.columns:
            return pl.Series([None], dtype=dtype).new_from_index(0, len(who))
        return facts[name]

    race = (
        pl.Series(block.catalogue.texts.texts, dtype=pl.String).gather(people.race[who]) if len(who) else fact("race")
    )
    columns = {
        "Id": block.person_ids.gather(who),
        "BIRTHDATE": pl.Series(people.birth[who]).cast(pl.Datetime("ms")).cast(pl.Date),
        "DEATHDATE": pl.Series(np.where(died, people.death[who], 0))
        .cast(pl.Datetime("ms"))
        .cast(pl.Date)
        .set(pl.Series(~died), None),
        "SUFFIX": fact("suffix"),
        "GENDER": pl.Series(np.where(people.male[who], "M", "F"), dtype=pl.String),
        "RACE": race,
        "LAT": fact("lat", pl.Float64),
        "LON": fact("lon", pl.Float64),
        "INCOME": fact("income", pl.Int64),
        "HEALTHCARE_EXPENSES": fact("expenses", pl.Float64),
        "HEALTHCARE_COVERAGE": fact("coverage", pl.Float64),
    }
    plain = ("SSN", "DRIVERS", "PASSPORT", "PREFIX", "FIRST", "MIDDLE", "LAST", "MAIDEN", "MARITAL", "ETHNICITY",
             "BIRTHPLACE", "ADDRESS", "CITY", "STATE", "COUNTY", "FIPS", "ZIP")  # fmt: skip
    return shaped("patients", columns | {name: fact(name.lower()) for name in plain})


# ------------------------------------------------------------------------------------------------- what happened


def _when(block: Block, table: str, rows: Array, dates: bool = False) -> dict[str, pl.Series]:
    """START and STOP, PATIENT and ENCOUNTER, CODE and DESCRIPTION of rows."""
    start, stop = block.start(table, rows), block.stop(table, rows)
    return {
        "START": start.cast(pl.Date) if dates else start,
        "STOP": stop.cast(pl.Date) if dates else stop,
        "DATE": start,
        "PATIENT": block.person_of(table, rows),
        "ENCOUNTER": block.encounter_of(table, rows),
        "SYSTEM": block.item(table, rows, "system"),
        "CODE": block.item(table, rows, "code"),
        "DESCRIPTION": block.item(table, rows, "display"),
        "REASONCODE": block.reason(table, rows, "code"),
        "REASONDESCRIPTION": block.reason(table, rows, "display"),
    }


def _encounters(block: Block) -> pl.DataFrame:
    rows = block.rows("encounters")
    kinds = pl.Series(KINDS, dtype=pl.String).gather(block["encounters"]["kind"][rows].astype(np.int64))
    return shaped("encounters", _when(block, "encounters", rows) | {
        "Id": block.ids("encounters", rows),
        "ORGANIZATION": block.linked("organizations", block.own("encounters", "organization", rows, NONE)),
        "PROVIDER": block.linked("providers", block.own("encounters", "provider", rows, NONE)),
        "PAYER": block.linked("payers", block.own("encounters", "payer", rows, NONE)),
        "ENCOUNTERCLASS": kinds,
        "BASE_ENCOUNTER_COST": block.own("encounters", "cost", rows, 0.0),
        "TOTAL_CLAIM_COST": block.own("encounters", "total_cost", rows, 0.0),
        "PAYER_COVERAGE": block.own("encounters", "covered", rows, 0.0),
    })  # fmt: skip


def _conditions(block: Block) -> pl.DataFrame:
    return shaped("conditions", _when(block, "conditions", block.rows("conditions"), dates=True))


def _allergies(block: Block) -> pl.DataFrame:
    rows = block.rows("allergies")
    found = _when(block, "allergies", rows, dates=True)
    items = block["allergies"]["item"][rows]
    levels = block["allergies"]["severity"][rows]
    kinds = [str(item.spec.get("allergy_type", "")) for item in block.catalogue.items]
    groups = [str(item.spec.get("category", "")) for item in block.catalogue.items]
    found |= {"TYPE": pl.Series(kinds, dtype=pl.String).gather(items)}
    found |= {"CATEGORY": pl.Series(groups, dtype=pl.String).gather(items)}
    firsts = reactions(block, items, levels)
    for place, (code, display, level) in enumerate(firsts, 1):
        found |= {f"REACTION{place}": code, f"DESCRIPTION{place}": display, f"SEVERITY{place}": level}
    return shaped("allergies", found)


def reactions(block: Block, items: Array, levels: Array) -> list[tuple[pl.Series, pl.Series, pl.Series]]:
    """Of each allergy its first two reactions: code, display and severity (k,), null where there are fewer."""
    found: list[list[tuple[str | None, str | None, str | None]]] = [[], []]
    for item, level in zip(items.tolist(), levels.tolist(), strict=True):  # allergies are few
        given = block.catalogue.items[item].spec.get("reactions") or ()
        had = [(str(r["reaction"]["code"]), str(r["reaction"]["display"]), SEVERITIES[level >> 3 * i & 3])
               for i, r in enumerate(given) if level >> 3 * i & 3]  # fmt: skip
        for place in (0, 1):
            found[place].append(had[place] if len(had) > place else (None, None, None))
    columns = [pl.DataFrame(f, schema=["a", "b", "c"], orient="row", schema_overrides=dict.fromkeys("abc", pl.String))
               for f in found]  # fmt: skip
    return [(c["a"], c["b"], c["c"]) for c in columns]


def _medications(block: Block) -> pl.DataFrame:
    rows = block.rows("medications")
    cost = block.own("medications", "cost", rows, 0.0)
    dispenses = block.own("medications", "dispenses", rows, 1).astype(np.int64)
    encounters = block["medications"]["encounter"][rows]
    payer = np.where(encounters == NONE, NONE, block.own("encounters", "payer", encounters, NONE))
    return shaped("medications", _when(block, "medications", rows) | {
        "PAYER": block.linked("payers", payer),
        "BASE_COST": cost,
        "PAYER_COVERAGE": block.own("medications", "covered", rows, 0.0),
        "DISPENSES": dispenses,
        "TOTALCOST": cost * dispenses,
    })  # fmt: skip


def _careplans(block: Block) -> pl.DataFrame:
    rows = block.rows("careplans")
    return shaped("careplans", _when(block, "careplans", rows, dates=True) | {"Id": block.ids("careplans", rows)})


def _observations(block: Block) -> pl.DataFrame:
    kinds = block["observations"]["kind"]
    rows = block.rows("observations", also=kinds != PANEL)
    kind = kinds[rows]
    seen = shaped("observations", _when(block, "observations", rows) | {
        "CATEGORY": block.item("observations", rows, "category"),
        "VALUE": values(block, rows),
        "UNITS": block.item("observations", rows, "unit"),
        "TYPE": pl.Series(np.where(kind == NUMBER, "numeric", "text"), dtype=pl.String),
    })  # fmt: skip
    patient, lived = _quality(block)
    both = pl.concat([seen, lived]).with_columns(
        rank=pl.concat([pl.Series(block.rank[block["observations"]["patient"][rows]]), pl.Series(block.rank[patient])])
    )
    return both.sort("rank", maintain_order=True).drop("rank")


def _quality(block: Block) -> tuple[Array, pl.DataFrame]:
    """Whose (k,), and QALY, DALY and QOLS of each year of life that is shown: on birthdays, without a visit."""
    lines, people = block.extra.get("quality"), block.people
    patient = np.zeros(0, np.int64) if lines is None else lines["patient"].to_numpy()
    year = np.zeros(0, np.int64) if lines is None else lines["year"].to_numpy()
    when = people.birthdays[patient, np.minimum(year + 1, people.birthdays.shape[1] - 1)]
    end = np.minimum(people.stop[patient], people.death[patient])
    shown = (block.rank[patient] != NONE) & (when > block.record.since[patient]) & (when <= end)
    names = ("QALY", "DALY", "QOLS")
    each = np.repeat(np.flatnonzero(shown), len(names))
    name = pl.Series(names, dtype=pl.String).gather(np.tile(np.arange(len(names)), len(each) // len(names)))
    found = np.zeros(0) if lines is None else lines.select(n.lower() for n in names).to_numpy()[each[::3]].ravel()
    none = pl.Series([None], dtype=pl.String).new_from_index(0, len(each))
    units = name.replace_strict({"QALY": "a", "DALY": "a", "QOLS": "{score}"}, return_dtype=pl.String)
    return patient[each], shaped(
        "observations",
        {
            "DATE": pl.Series(when[each]).cast(MOMENT),
            "PATIENT": block.person_ids.gather(patient[each]),
            "ENCOUNTER": none,
            "CATEGORY": none,
            "CODE": name,
            "DESCRIPTION": name,
            "VALUE": one_decimal(found),
            "UNITS": units,
            "TYPE": none.fill_null("numeric"),
        },
    )


def values(block: Block, rows: Array) -> pl.Series:
    """What observations say, as text (k,): numbers with one decimal, codes by their names."""
    kind, value = block["observations"]["kind"][rows], block["observations"]["value"][rows]
    out = one_decimal(np.where(kind == NUMBER, np.nan_to_num(value), 0.0))
    whole = np.where((kind == NUMBER) | np.isnan(value), 0, value).astype(np.int64)
    for other in (CODE, TEXT, FLAG):
        some = np.flatnonzero(kind == other)
        if len(some):
            texts = (block.code(whole[some], "display") if other == CODE
                     else pl.Series(block.catalogue.texts.texts, dtype=pl.String).gather(whole[some]) if other == TEXT
                     else pl.Series(np.where(whole[some], "true", "false"), dtype=pl.String))  # fmt: skip
            out = out.scatter(some, texts)
    return out


def _procedures(block: Block) -> pl.DataFrame:
    rows = block.rows("procedures")
    cost = {"BASE_COST": block.own("procedures", "cost", rows, 0.0)}
    return shaped("procedures", _when(block, "procedures", rows) | cost)


def _immunizations(block: Block) -> pl.DataFrame:
    rows = block.rows("immunizations")
    cost = {"BASE_COST": block.own("immunizations", "cost", rows, 0.0)}
    return shaped("immunizations", _when(block, "immunizations", rows) | cost)


def _devices(block: Block) -> pl.DataFrame:
    rows = block.rows("devices")
    return shaped("devices", _when(block, "devices", rows) | {"UDI": identifiers(block, rows)})


def identifiers(block: Block, rows: Array) -> pl.Series:
    """Device identifiers (k,) as GS1 writes them: article, made 21 days before, good for 25 years, lot and serial."""
    chance = block["devices"]["udi"][rows]
    start = block["devices"]["start"][rows]
    frame = pl.DataFrame({
        "article": (chance % np.uint64(10**14)).astype(np.int64),
        "made": pl.Series(start - 21 * DAY).cast(pl.Datetime("ms")),
        "lot": (chance >> np.uint64(17)) % np.uint64(10**10),
        "serial": (chance >> np.uint64(29)) % np.uint64(10**10),
    })  # fmt: skip
    return frame.select(
        pl.format(
            "(01){}(11){}(17){}(10){}(21){}",
            pl.col("article").cast(pl.String).str.zfill(14),
            pl.col("made").dt.strftime("%y%m%d"),
            pl.col("made").dt.offset_by("25y").dt.strftime("%y%m%d"),
            "lot",
            "serial",
        )
    ).to_series()


def _supplies(block: Block) -> pl.DataFrame:
    rows = block.rows("supplies")
    found = _when(block, "supplies", rows)
    found["DATE"] = found["DATE"].cast(pl.Date)
    return shaped("supplies", found | {"QUANTITY": block["supplies"]["quantity"][rows]})


# ------------------------------------------------------------------------------------------------- images


def _imaging(block: Block) -> pl.DataFrame:
    images = instances(block)
    rows = images["row"].to_numpy()
    return shaped(
        "imaging_studies",
        _when(block, "imaging", rows)
        | {
            "Id": block.ids("imaging", rows),
            "SERIES_UID": images["series_uid"],
            "BODYSITE_CODE": images["site_code"],
            "BODYSITE_DESCRIPTION": images["site"],
            "MODALITY_CODE": images["modality_code"],
            "MODALITY_DESCRIPTION": images["modality"],
            "INSTANCE_UID": images["instance_uid"],
            "SOP_CODE": images["sop_code"],
            "SOP_DESCRIPTION": images["sop"],
            "PROCEDURE_CODE": block.item("imaging", rows, "code"),
        },
    )


_TABLES: Final[Mapping[str, Callable[[Block], pl.DataFrame]]] = {
    "patients": _patients, "encounters": _encounters, "conditions": _conditions, "allergies": _allergies,
    "medications": _medications, "careplans": _careplans, "observations": _observations, "procedures": _procedures,
    "immunizations": _immunizations, "devices": _devices, "supplies": _supplies, "imaging_studies": _imaging,
}  # fmt: skip
