"""FHIR: who patients are, their visits, and their problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from verosim.patients.exports.fhir_base import (
    CLASSES,
    HL7,
    INSTANT,
    LEVELS,
    RACES,
    US_CORE,
    Fhir,
    coded_as,
    concept_of,
    only_with,
)
from verosim.patients.exports.json import Part, constant, listed, plain, record, several, text
from verosim.patients.names import NONE
from verosim.patients.record import KINDS

FACTS: Final = (
    "first", "middle", "last", "maiden", "prefix", "ssn", "drivers", "passport", "address", "city", "state", "zip",
    "phone", "marital", "race", "ethnicity",
)  # fmt: skip
DOCUMENTS: Final = (  # column, kind of identifier, its system
    ("ssn", "SS", "http://hl7.org/fhir/sid/us-ssn"),
    ("drivers", "DL", "urn:oid:2.16.840.1.113883.4.3.25"),
    ("passport", "PPN", "http://hl7.org/fhir/sid/passport-USA"),
)


def patient(f: Fhir) -> pl.DataFrame:
    address: dict[str, Part] = {
        "line": listed(text("address")), "city": text("city"), "state": text("state"),
        "postalCode": text(pl.col("zip").replace("", None)), "country": constant("US"),
    }  # fmt: skip
    marital = {"coding": listed(record({"system": constant(f"{HL7}/v3-MaritalStatus"), "code": plain("marital")}))}
    return f.made("Patient", _persons(f), {
        "extension": several([_race(), _ethnicity()]),
        "identifier": several([
            record({"system": constant("urn:verosim"), "value": plain("id")}),
            *(_identifier(*document) for document in DOCUMENTS),
        ]),
        "name": listed(only_with("last", {
            "use": constant("official"), "family": text("last"), "given": several([text("first"), text("middle")]),
            "prefix": listed(text("prefix")),
        })),
        "telecom": listed(only_with("phone", {"system": constant("phone"), "value": text("phone")})),
        "gender": plain("sex"), "birthDate": plain("birth"), "deceasedDateTime": plain("death"),
        "address": listed(only_with("city", address, first="city")), "maritalStatus": only_with("marital", marital),
    })  # fmt: skip


def _persons(f: Fhir) -> pl.DataFrame:
    """A row a patient that is shown: owner, id, sex, birth, death and FACTS, null where nobody knows them."""
    block, who = f.block, f.block.patients
    people, died = block.people, block.died[who]
    facts = block.extra.get("people", pl.DataFrame())
    known = {n: facts[n].cast(pl.String)[who] for n in FACTS if n in facts.columns}
    death = pl.Series(np.where(died, people.death[who], 0)).cast(pl.Datetime("ms")).dt.strftime(INSTANT)
    frame = pl.DataFrame({
        "owner": who, "id": block.person_ids.gather(who), "sex": np.where(people.male[who], "male", "female"),
        "birth": pl.Series(people.birth[who]).cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%d"),
        "death": death.set(pl.Series(~died), None),
    } | known)  # fmt: skip
    return frame.with_columns(pl.lit(None, pl.String).alias(n) for n in FACTS if n not in known)


def _race() -> pl.Expr:
    """US Core's extension, where the race is known."""
    code, name = (
        pl.col("race").replace_strict({k: v[i] for k, v in RACES.items()}, default=None, return_dtype=pl.String)
        for i in (0, 1)
    )
    return only_with("race", {"url": constant(f"{US_CORE}/us-core-race"), "extension": _group(code, name)})


def _ethnicity() -> pl.Expr:
    """US Core's extension, where the ethnicity is known."""
    hispanic = pl.col("ethnicity") == "hispanic"
    code = pl.when(hispanic).then(pl.lit("2135-2")).otherwise(pl.lit("2186-5"))
    name = pl.when(hispanic).then(pl.lit("")).otherwise(pl.lit("Not ")) + pl.lit("Hispanic or Latino")
    return only_with("ethnicity", {"url": constant(f"{US_CORE}/us-core-ethnicity"), "extension": _group(code, name)})


def _group(code: pl.Expr, display: pl.Expr) -> pl.Expr:
    """US Core's parts of race and ethnicity."""
    coding = record(
        {"system": constant("urn:oid:2.16.840.1.113883.6.238"), "code": plain(code), "display": plain(display)}
    )
    parts = [record({"url": constant("ombCategory"), "valueCoding": coding}),
             record({"url": constant("text"), "valueString": plain(display)})]  # fmt: skip
    return pl.lit("[") + pl.concat_str(*parts, separator=",") + pl.lit("]")


def _identifier(column: str, kind: str, system: str) -> pl.Expr:
    return only_with(column, {"type": concept_of("v2-0203", kind), "system": constant(system), "value": text(column)})


def encounter(f: Fhir) -> pl.DataFrame:
    block, rows = f.block, f.block.rows("encounters")
    found = block["encounters"]
    frame = f.frame(
        "encounters",
        rows,
        **{
            "class": pl.Series([CLASSES.get(k, "AMB") for k in KINDS]).gather(found["kind"][rows].astype(np.int64)),
            "organization": block.linked("organizations", block.own("encounters", "organization", rows, NONE)),
            "practitioner": block.linked("providers", block.own("encounters", "provider", rows, NONE)),
            "discharge": f.concept(found["discharge"][rows]),
        },
    )
    practitioner = pl.when(pl.col("practitioner").is_not_null()).then(record({"individual": f.refer("Practitioner")}))
    return f.made("Encounter", frame, {
        "status": constant("finished"),
        "class": record({"system": constant(f"{HL7}/v3-ActCode"), "code": plain("class")}),
        "type": listed(pl.col("code")), "subject": f.refer("Patient"), "participant": listed(practitioner),
        "period": record({"start": plain("start"), "end": plain("stop")}),
        "reasonCode": listed(pl.col("reason")),
        "hospitalization": record({"dischargeDisposition": pl.col("discharge")}),
        "serviceProvider": f.refer("Organization"),
    })  # fmt: skip


# ------------------------------------------------------------------------------------------------- problems


def condition(f: Fhir) -> pl.DataFrame:
    frame = f.frame("conditions", f.block.rows("conditions"))
    over = pl.col("stop").is_not_null()
    status = (
        pl.when(over)
        .then(pl.lit(concept_of("condition-clinical", "resolved")))
        .otherwise(pl.lit(concept_of("condition-clinical", "active")))
    )
    return f.made("Condition", frame, {
        "clinicalStatus": status, "verificationStatus": concept_of("condition-ver-status", "confirmed"),
        "category": f"[{concept_of('condition-category', 'encounter-diagnosis')}]",
        "code": pl.col("code"), "subject": f.refer("Patient"), "encounter": f.refer("Encounter"),
        "onsetDateTime": plain("start"), "abatementDateTime": plain("stop"), "recordedDate": plain("start"),
    })  # fmt: skip


def allergy(f: Fhir) -> pl.DataFrame:
    block, rows = f.block, f.block.rows("allergies")
    found = block["allergies"]
    specs = [item.spec for item in block.catalogue.items]
    kinds = pl.Series(
        [s.get("allergy_type") if s.get("allergy_type") in ("allergy", "intolerance") else None for s in specs],
        dtype=pl.String,
    )
    groups = pl.Series(
        [
            s.get("category") if s.get("category") in ("food", "medication", "environment", "biologic") else None
            for s in specs
        ],
        dtype=pl.String,
    )
    reactions = [
        _reactions(specs[i], level)
        for i, level in zip(found["item"][rows].tolist(), found["severity"][rows].tolist(), strict=True)
    ]
    frame = f.frame(
        "allergies",
        rows,
        kind=kinds.gather(found["item"][rows]),
        category=groups.gather(found["item"][rows]),
        reactions=pl.Series(reactions, dtype=pl.String),
    )
    over = pl.col("stop").is_not_null()
    status = pl.when(over).then(pl.lit(concept_of("allergyintolerance-clinical", "resolved"))).otherwise(
        pl.lit(concept_of("allergyintolerance-clinical", "active")))  # fmt: skip
    return f.made(
        "AllergyIntolerance",
        frame,
        {
            "clinicalStatus": status,
            "verificationStatus": concept_of("allergyintolerance-verification", "confirmed"),
            "type": plain("kind"),
            "category": listed(plain("category")),
            "code": pl.col("code"),
            "patient": f.refer("Patient"),
            "encounter": f.refer("Encounter"),
            "recordedDate": plain("start"),
            "reaction": pl.col("reactions"),
        },
    )


def _reactions(spec: Mapping[str, Any], level: int) -> str | None:
    given = spec.get("reactions") or ()
    had = [{"manifestation": [coded_as(r["reaction"])], "severity": LEVELS[level >> 3 * i & 3]}
           for i, r in enumerate(given) if level >> 3 * i & 3]  # fmt: skip
    return constant(had) if had else None


def careplan(f: Fhir) -> pl.DataFrame:
    rows = f.block.rows("careplans")
    frame = f.frame(
        "careplans",
        rows,
        activities=f.spec(
            "careplans",
            rows,
            lambda spec: [
                {"detail": {"code": coded_as(a), "status": "in-progress"}} for a in spec.get("activities") or ()
            ],
        ),
    )
    over = pl.col("stop").is_not_null()
    return f.made("CarePlan", frame, {
        "status": pl.when(over).then(pl.lit('"completed"')).otherwise(pl.lit('"active"')), "intent": constant("order"),
        "category": listed(pl.col("code")), "subject": f.refer("Patient"), "encounter": f.refer("Encounter"),
        "period": record({"start": plain("start"), "end": plain("stop")}), "activity": pl.col("activities"),
    })  # fmt: skip
