"""HL7 FHIR R4 of a block: resources as texts, for NDJSON (a file a type) or transaction bundles (a file a patient).

All is written by expressions over the record's columns. References within a bundle are `urn:uuid:...`, else `Type/id`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from verosim.patients.exports.block import CLAIM, Block
from verosim.patients.exports.json import Part, constant, listed, number, plain, record, several, text
from verosim.patients.exports.tables import identifiers, instances
from verosim.patients.names import NONE, Coding
from verosim.patients.population import Array
from verosim.patients.record import CODE, FLAG, KINDS, NUMBER, PANEL, TEXT

SYSTEMS: Final[Mapping[str, str]] = {
    "SNOMED-CT": "http://snomed.info/sct", "LOINC": "http://loinc.org", "CVX": "http://hl7.org/fhir/sid/cvx",
    "RxNorm": "http://www.nlm.nih.gov/research/umls/rxnorm", "ICD10-CM": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD10-PCS": "http://www.cms.gov/Medicare/Coding/ICD10", "UNII": "http://fdasis.nlm.nih.gov",
    "HL7-ActCode": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "CDT": "http://www.ada.org/cdt",
    "DICOM-DCM": "http://dicom.nema.org/resources/ontology/DCM", "DICOM-SOP": "urn:ietf:rfc:3986",
    "NUBC": "http://www.nubc.org/patient-discharge", "NullFlavor": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
}  # fmt: skip
HL7: Final = "http://terminology.hl7.org/CodeSystem"
US_CORE: Final = "http://hl7.org/fhir/us/core/StructureDefinition"
CLASSES: Final = {"inpatient": "IMP", "snf": "IMP", "emergency": "EMER", "home": "HH", "hospice": "HH", "virtual": "VR"}
RACES: Final = {  # CDC race and ethnicity codes
    "white": ("2106-3", "White"),
    "black": ("2054-5", "Black or African American"),
    "asian": ("2028-9", "Asian"),
    "native": ("1002-5", "American Indian or Alaska Native"),
    "hawaiian": ("2076-8", "Native Hawaiian or Other Pacific Islander"),
    "other": ("2131-1", "Other Race"),
}
LEVELS: Final = ("", "mild", "moderate", "severe")
INSTANT: Final = "%Y-%m-%dT%H:%M:%S%.3f+00:00"


def coded(*codings: Coding) -> str:
    """A CodeableConcept."""
    parts = [{k: v for k, v in {"system": SYSTEMS.get(c.system, f"urn:vocabulary:{c.system}"), "code": _code(c),
                                "display": " ".join(c.display.split())}.items() if v} for c in codings]  # fmt: skip
    first = parts[0].get("display") if parts else None
    return constant({"coding": parts} | ({"text": first} if first else {}))


def _code(coding: Coding) -> str:
    return f"urn:oid:{coding.code}" if coding.system == "DICOM-SOP" else coding.code.strip()


def _concept(system: str, code: str) -> str:
    return constant({"coding": [{"system": f"{HL7}/{system}", "code": code}]})


class Fhir:
    """The resources of one block. bundled: references are made for bundles."""

    def __init__(self, block: Block, bundled: bool) -> None:
        self.block, self.bundled = block, bundled
        self.items = pl.Series([coded(*i.codes) if i.codes else None for i in block.catalogue.items], dtype=pl.String)
        self.codes = pl.Series([*(coded(c) for c in block.catalogue.codes.codings), None], dtype=pl.String)

    def resources(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """Type and frame (patient, a row of the block; id; text) of each kind of resource."""
        for kind, build in _BUILDS.items():
            yield kind, build(self)

    # ------------------------------------------------------------------------------------------ pieces

    def refer(self, kind: str, column: str = "") -> pl.Expr:
        """A reference to a resource whose id stands in a column, by default that of the kind's name."""
        head = "urn:uuid:" if self.bundled else f"{kind}/"
        if self.bundled and kind in ("Organization", "Practitioner"):
            head = f"{kind}?identifier=urn:verosim|"  # they stand in a bundle of their own
        return record({"reference": plain(pl.lit(head) + pl.col(column or kind.lower()))})

    def frame(self, table: str, rows: Array, **more: Any) -> pl.DataFrame:
        """What the resources of most tables share: id, patient, encounter, code, times, reason."""
        block = self.block
        found = block[table]
        return pl.DataFrame(
            {
                "owner": found["patient"][rows],
                "id": block.ids(table, rows),
                "patient": block.person_of(table, rows),
                "encounter": block.encounter_of(table, rows),
                "code": self.items.gather(found["item"][rows]),
                "start": block.start(table, rows).dt.strftime(INSTANT),
                "stop": block.stop(table, rows).dt.strftime(INSTANT),
                "reason": self.concept(found["reason"][rows]),
                **more,
            }
        )

    def concept(self, numbers: Array) -> pl.Series:
        """CodeableConcepts (k,) of codes by their numbers; null for NONE."""
        return self.codes.gather(np.where(numbers == NONE, len(self.codes) - 1, numbers))

    def spec(self, table: str, rows: Array, made: Callable[[Mapping[str, Any]], object]) -> pl.Series:
        """JSON (k,) of what the items of rows declare, as `made` puts it; null where it gives nothing."""
        found = [made(item.spec) if item.table == table else None for item in self.block.catalogue.items]
        texts = pl.Series([constant(f) if f else None for f in found], dtype=pl.String)
        return texts.gather(self.block[table]["item"][rows])

    def made(self, kind: str, frame: pl.DataFrame, members: Mapping[str, Part]) -> pl.DataFrame:
        """The frame's rows as resources."""
        head: dict[str, Part] = {"resourceType": constant(kind), "id": plain("id")}
        return frame.select(patient="owner", id="id", text=record({**head, **members}))


# ------------------------------------------------------------------------------------------------- people and visits


def _patient(f: Fhir) -> pl.DataFrame:
    block, who = f.block, f.block.patients
    people = block.people
    facts = block.extra.get("people", pl.DataFrame())
    names = ("first", "middle", "last", "maiden", "prefix", "ssn", "drivers", "passport", "address", "city", "state",
             "zip", "phone", "marital", "race", "ethnicity")  # fmt: skip
    known = {n: facts[n].cast(pl.String)[who] for n in names if n in facts.columns}
    died = block.died[who]
    death = pl.Series(np.where(died, people.death[who], 0)).cast(pl.Datetime("ms")).dt.strftime(INSTANT)
    frame = pl.DataFrame({
        "owner": who, "id": block.person_ids.gather(who), "sex": np.where(people.male[who], "male", "female"),
        "birth": pl.Series(people.birth[who]).cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%d"),
        "death": death.set(pl.Series(~died), None),
    } | known)  # fmt: skip
    empty = pl.lit(None, pl.String)
    frame = frame.with_columns(**{n: empty for n in names if n not in known})
    race = pl.col("race").replace_strict({k: v[0] for k, v in RACES.items()}, default=None, return_dtype=pl.String)
    race_name = pl.col("race").replace_strict({k: v[1] for k, v in RACES.items()}, default=None, return_dtype=pl.String)
    given = several([text("first"), text("middle")])
    hispanic = pl.when(pl.col("ethnicity").is_not_null()).then(pl.col("ethnicity") == "hispanic")
    latin = pl.when(hispanic).then(pl.lit("2135-2")).when(hispanic.not_()).then(pl.lit("2186-5"))
    named = pl.when(hispanic).then(pl.lit("")).when(hispanic.not_()).then(pl.lit("Not "))
    return f.made(
        "Patient",
        frame,
        {
            "extension": several(
                [
                    record({"url": constant(f"{US_CORE}/us-core-race"), "extension": _group(race, race_name)}),
                    record(
                        {
                            "url": constant(f"{US_CORE}/us-core-ethnicity"),
                            "extension": _group(latin, named + pl.lit("Hispanic or Latino")),
                        }
                    ),
                ]
            )
            if "race" in known
            else empty,
            "identifier": several(
                [
                    record({"system": constant("urn:verosim"), "value": plain("id")}),
                    _identifier("ssn", "SS", "http://hl7.org/fhir/sid/us-ssn"),
                    _identifier("drivers", "DL", "urn:oid:2.16.840.1.113883.4.3.25"),
                    _identifier("passport", "PPN", "http://hl7.org/fhir/sid/passport-USA"),
                ]
            ),
            "name": listed(
                record(
                    {
                        "use": constant("official"),
                        "family": text("last"),
                        "given": given,
                        "prefix": listed(text("prefix")),
                    }
                )
            )
            if "last" in known
            else empty,
            "telecom": listed(_after("phone", {"system": constant("phone"), "value": text("phone")})),
            "gender": plain("sex"),
            "birthDate": plain("birth"),
            "deceasedDateTime": plain("death"),
            "address": listed(
                _after(
                    "city",
                    {
                        "line": listed(text("address")),
                        "city": text("city"),
                        "state": text("state"),
                        "postalCode": text(pl.col("zip").replace("", None)),
                        "country": constant("US"),
                    },
                    first="city",
                )
            ),
            "maritalStatus": _after(
                "marital",
                {"coding": listed(record({"system": constant(f"{HL7}/v3-MaritalStatus"), "code": plain("marital")}))},
            ),
        },
    )


def _after(column: str, members: Mapping[str, Part], first: str = "") -> pl.Expr:
    """An object that is there only where a column is not null."""
    ordered = {first: members[first], **members} if first else members
    return pl.when(pl.col(column).is_not_null()).then(record(ordered))


def _group(code: pl.Expr, display: pl.Expr) -> pl.Expr:
    """US Core's parts of race and ethnicity."""
    coding = record(
        {"system": constant("urn:oid:2.16.840.1.113883.6.238"), "code": plain(code), "display": plain(display)}
    )
    parts = [record({"url": constant("ombCategory"), "valueCoding": coding}),
             record({"url": constant("text"), "valueString": plain(display)})]  # fmt: skip
    return pl.lit("[") + pl.concat_str(*parts, separator=",") + pl.lit("]")


def _identifier(column: str, kind: str, system: str) -> pl.Expr:
    return _after(column, {"type": _concept("v2-0203", kind), "system": constant(system), "value": text(column)})


def _encounter(f: Fhir) -> pl.DataFrame:
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


def _condition(f: Fhir) -> pl.DataFrame:
    frame = f.frame("conditions", f.block.rows("conditions"))
    over = pl.col("stop").is_not_null()
    status = (
        pl.when(over)
        .then(pl.lit(_concept("condition-clinical", "resolved")))
        .otherwise(pl.lit(_concept("condition-clinical", "active")))
    )
    return f.made("Condition", frame, {
        "clinicalStatus": status, "verificationStatus": _concept("condition-ver-status", "confirmed"),
        "category": f"[{_concept('condition-category', 'encounter-diagnosis')}]",
        "code": pl.col("code"), "subject": f.refer("Patient"), "encounter": f.refer("Encounter"),
        "onsetDateTime": plain("start"), "abatementDateTime": plain("stop"), "recordedDate": plain("start"),
    })  # fmt: skip


def _allergy(f: Fhir) -> pl.DataFrame:
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
    status = pl.when(over).then(pl.lit(_concept("allergyintolerance-clinical", "resolved"))).otherwise(
        pl.lit(_concept("allergyintolerance-clinical", "active")))  # fmt: skip
    return f.made(
        "AllergyIntolerance",
        frame,
        {
            "clinicalStatus": status,
            "verificationStatus": _concept("allergyintolerance-verification", "confirmed"),
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
    had = [{"manifestation": [_plain_coded(r["reaction"])], "severity": LEVELS[level >> 3 * i & 3]}
           for i, r in enumerate(given) if level >> 3 * i & 3]  # fmt: skip
    return constant(had) if had else None


def _plain_coded(code: Mapping[str, Any]) -> dict[str, Any]:
    display = str(code.get("display", ""))
    system = SYSTEMS.get(str(code.get("system")), f"urn:vocabulary:{code.get('system')}")
    return {"coding": [{"system": system, "code": str(code.get("code")), "display": display}], "text": display}


def _careplan(f: Fhir) -> pl.DataFrame:
    rows = f.block.rows("careplans")
    frame = f.frame(
        "careplans",
        rows,
        activities=f.spec(
            "careplans",
            rows,
            lambda spec: [
                {"detail": {"code": _plain_coded(a), "status": "in-progress"}} for a in spec.get("activities") or ()
            ],
        ),
    )
    over = pl.col("stop").is_not_null()
    return f.made("CarePlan", frame, {
        "status": pl.when(over).then(pl.lit('"completed"')).otherwise(pl.lit('"active"')), "intent": constant("order"),
        "category": listed(pl.col("code")), "subject": f.refer("Patient"), "encounter": f.refer("Encounter"),
        "period": record({"start": plain("start"), "end": plain("stop")}), "activity": pl.col("activities"),
    })  # fmt: skip


# ------------------------------------------------------------------------------------------------- observations


def _value(f: Fhir, rows: Array) -> pl.DataFrame:
    """What observations say, as JSON: a column for each of FHIR's forms, of which one is not null."""
    found = f.block["observations"]
    kind, value = found["kind"][rows], found["value"][rows]
    is_number = (kind == NUMBER) & np.isfinite(value)
    whole = np.where((kind == NUMBER) | ~np.isfinite(value), 0, value).astype(np.int64)
    texts = pl.Series([*f.block.catalogue.texts.texts, ""], dtype=pl.String)
    frame = pl.DataFrame(
        {
            "number": pl.Series(np.where(is_number, value, 0.0)).round(4),
            "unit": f.block.item("observations", rows, "unit"),
            "concept": f.concept(np.where(kind == CODE, whole, NONE)),
            "text": texts.gather(np.where(kind == TEXT, whole, len(texts) - 1)),
            "flag": np.where(whole != 0, "true", "false"),
            "is_number": is_number,
            "kind": kind,
        }
    )
    has_unit = pl.col("unit").str.len_chars() > 0
    unit = pl.when(has_unit).then(text("unit"))
    system = pl.when(has_unit).then(pl.lit(constant("http://unitsofmeasure.org")))
    quantity = record({"value": number("number"), "unit": unit, "system": system, "code": unit})
    return frame.select(
        quantity=pl.when("is_number").then(quantity), concept="concept",
        text=pl.when(pl.col("kind") == TEXT).then(text("text")), flag=pl.when(pl.col("kind") == FLAG).then("flag"),
    )  # fmt: skip


_VALUES: Final[Mapping[str, Part]] = {
    "valueQuantity": pl.col("quantity"), "valueCodeableConcept": pl.col("concept"), "valueString": pl.col("text"),
    "valueBoolean": pl.col("flag"),
}  # fmt: skip


def _observation(f: Fhir) -> pl.DataFrame:
    """Observations; those of a panel are its components."""
    block = f.block
    found = block["observations"]
    rows = block.rows("observations", also=found["panel"] == NONE)
    categories = block.item("observations", rows, "category")
    frame = pl.concat([f.frame("observations", rows, row=rows, category=categories), _value(f, rows)], how="horizontal")
    frame = frame.join(_components(f), on="row", how="left", maintain_order="left")
    category = record(
        {"coding": listed(record({"system": constant(f"{HL7}/observation-category"), "code": plain("category")}))}
    )
    return f.made("Observation", frame, {
        "status": constant("final"),
        "category": listed(pl.when(pl.col("category").str.len_chars() > 0).then(category)),
        "code": pl.col("code"), "subject": f.refer("Patient"), "encounter": f.refer("Encounter"),
        "effectiveDateTime": plain("start"), "issued": plain("start"), **_VALUES, "component": pl.col("component"),
    })  # fmt: skip


def _components(f: Fhir) -> pl.DataFrame:
    """The parts (JSON) of each panel, by its row."""
    found = f.block["observations"]
    rows = f.block.rows("observations", also=(found["panel"] != NONE) & (found["kind"] != PANEL))
    codes = f.items.gather(found["item"][rows])
    frame = _value(f, rows).with_columns(row=pl.Series(found["panel"][rows].astype(np.int64)), code=codes)
    parts = frame.select("row", part=record({"code": pl.col("code"), **_VALUES}))
    return parts.group_by("row", maintain_order=True).agg(
        component=pl.lit("[") + pl.col("part").str.join(",") + pl.lit("]")
    )


def _report(f: Fhir) -> pl.DataFrame:
    block, rows = f.block, f.block.rows("reports")
    found = block["observations"]
    parts = block.rows("observations", also=(found["report"] != NONE) & (found["panel"] == NONE))
    results = pl.DataFrame(
        {"row": found["report"][parts].astype(np.int64), "observation": block.ids("observations", parts)}
    )
    results = results.select("row", one=f.refer("Observation"))
    joined = results.group_by("row", maintain_order=True).agg(
        result=pl.lit("[") + pl.col("one").str.join(",") + pl.lit("]")
    )
    frame = f.frame("reports", rows, row=rows).join(joined, on="row", how="left", maintain_order="left")
    return f.made("DiagnosticReport", frame, {
        "status": constant("final"), "category": f"[{_concept('v2-0074', 'LAB')}]", "code": pl.col("code"),
        "subject": f.refer("Patient"), "encounter": f.refer("Encounter"), "effectiveDateTime": plain("start"),
        "issued": plain("start"), "result": pl.col("result"),
    })  # fmt: skip


# ------------------------------------------------------------------------------------------------- what was done


def _procedure(f: Fhir) -> pl.DataFrame:
    frame = f.frame("procedures", f.block.rows("procedures"))
    return f.made("Procedure", frame, {
        "status": constant("completed"), "code": pl.col("code"), "subject": f.refer("Patient"),
        "encounter": f.refer("Encounter"), "performedPeriod": record({"start": plain("start"), "end": plain("stop")}),
        "reasonCode": listed(pl.col("reason")),
    })  # fmt: skip


def _dosage(spec: Mapping[str, Any]) -> object:
    given = spec.get("prescription")
    dose = given.get("dosage") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or not (isinstance(dose, Mapping) or given.get("as_needed")):
        return None
    out: dict[str, Any] = {"sequence": 1, "asNeededBoolean": bool(given.get("as_needed"))}
    if isinstance(dose, Mapping):
        unit = {"years": "a", "months": "mo", "weeks": "wk", "days": "d", "hours": "h", "minutes": "min"}.get(
            str(dose.get("unit"))
        )
        repeat = {"frequency": int(dose.get("frequency", 1)), "period": dose.get("period", 1), "periodUnit": unit}
        out |= {"timing": {"repeat": repeat}} if unit else {}
        out |= {"doseAndRate": [{"doseQuantity": {"value": dose.get("amount", 1)}}]}
    return [out]


def _request(f: Fhir) -> pl.DataFrame:
    block = f.block
    rows = block.rows("medications", also=~block["medications"]["administered"])
    frame = f.frame("medications", rows, dosage=f.spec("medications", rows, _dosage),
                    practitioner=_practitioner(f, "medications", rows))  # fmt: skip
    over = pl.col("stop").is_not_null()
    return f.made("MedicationRequest", frame, {
        "status": pl.when(over).then(pl.lit('"stopped"')).otherwise(pl.lit('"active"')), "intent": constant("order"),
        "medicationCodeableConcept": pl.col("code"), "subject": f.refer("Patient"), "encounter": f.refer("Encounter"),
        "authoredOn": plain("start"), "requester": f.refer("Practitioner"), "reasonCode": listed(pl.col("reason")),
        "dosageInstruction": pl.col("dosage"),
    })  # fmt: skip


def _practitioner(f: Fhir, table: str, rows: Array) -> pl.Series:
    encounters = f.block[table]["encounter"][rows]
    numbers = np.where(encounters == NONE, NONE, f.block.own("encounters", "provider", encounters, NONE))
    return f.block.linked("providers", numbers)


def _administration(f: Fhir) -> pl.DataFrame:
    block = f.block
    frame = f.frame("medications", block.rows("medications", also=block["medications"]["administered"]))
    return f.made("MedicationAdministration", frame, {
        "status": constant("completed"), "medicationCodeableConcept": pl.col("code"), "subject": f.refer("Patient"),
        "context": f.refer("Encounter"), "effectiveDateTime": plain("start"), "reasonCode": listed(pl.col("reason")),
    })  # fmt: skip


def _immunization(f: Fhir) -> pl.DataFrame:
    frame = f.frame("immunizations", f.block.rows("immunizations"))
    return f.made("Immunization", frame, {
        "status": constant("completed"), "vaccineCode": pl.col("code"), "patient": f.refer("Patient"),
        "encounter": f.refer("Encounter"), "occurrenceDateTime": plain("start"), "primarySource": "true",
    })  # fmt: skip


def _device(f: Fhir) -> pl.DataFrame:
    rows = f.block.rows("devices")
    frame = f.frame("devices", rows, udi=identifiers(f.block, rows)).with_columns(
        article=pl.col("udi").str.extract(r"^\(01\)(\d+)"), serial=pl.col("udi").str.extract(r"\(21\)(\d+)$")
    )
    return f.made("Device", frame, {
        "udiCarrier": listed(record({"deviceIdentifier": plain("article"), "carrierHRF": plain("udi")})),
        "status": constant("active"), "distinctIdentifier": plain("article"), "serialNumber": plain("serial"),
        "type": pl.col("code"), "patient": f.refer("Patient"),
    })  # fmt: skip


def _supply(f: Fhir) -> pl.DataFrame:
    rows = f.block.rows("supplies")
    frame = f.frame("supplies", rows, quantity=f.block["supplies"]["quantity"][rows])
    return f.made(
        "SupplyDelivery",
        frame,
        {
            "status": constant("completed"),
            "patient": f.refer("Patient"),
            "suppliedItem": record(
                {"quantity": record({"value": number("quantity")}), "itemCodeableConcept": pl.col("code")}
            ),
            "occurrenceDateTime": plain("start"),
        },
    )


def _imaging(f: Fhir) -> pl.DataFrame:
    block = f.block
    images = instances(block)
    sop = record({"system": constant(SYSTEMS["DICOM-SOP"]), "code": plain(pl.lit("urn:oid:") + pl.col("sop_code"))})
    image = record(
        {"uid": plain("instance_uid"), "sopClass": sop, "number": number("instance"), "title": text("title")}
    )
    modality = record(
        {"system": constant(SYSTEMS["DICOM-DCM"]), "code": plain("modality_code"), "display": text("modality")}
    )
    site = record({"system": constant(SYSTEMS["SNOMED-CT"]), "code": plain("site_code"), "display": text("site")})
    one = images.with_columns(
        image=image,
        modality_json=modality,
        site_json=_after("site_code", {"display": text("site")}) if not _is_snomed(block) else site,
    )
    by_series = one.group_by("row", "series", maintain_order=True).agg(
        pl.first("series_uid", "modality_json", "site_json"),
        n=pl.len(),
        images=pl.lit("[") + pl.col("image").str.join(",") + pl.lit("]"),
    )
    series = record(
        {
            "uid": plain("series_uid"),
            "number": number("series"),
            "modality": pl.col("modality_json"),
            "numberOfInstances": number("n"),
            "bodySite": pl.col("site_json"),
            "instance": pl.col("images"),
        }
    )
    studies = (
        by_series.with_columns(json=series)
        .group_by("row", maintain_order=True)
        .agg(
            n_series=pl.len(),
            n_images=pl.col("n").sum(),
            series=pl.lit("[") + pl.col("json").str.join(",") + pl.lit("]"),
        )
    )
    frame = pl.concat([f.frame("imaging", studies["row"].to_numpy()), studies.drop("row")], how="horizontal")
    return f.made("ImagingStudy", frame, {
        "status": constant("available"), "subject": f.refer("Patient"), "encounter": f.refer("Encounter"),
        "started": plain("start"), "procedureCode": listed(pl.col("code")), "numberOfSeries": number("n_series"),
        "numberOfInstances": number("n_images"), "series": pl.col("series"),
    })  # fmt: skip


def _is_snomed(block: Block) -> bool:
    sites = [
        s.get("body_site") or {}
        for i in block.catalogue.items
        if i.table == "imaging"
        for s in i.spec.get("series") or ()
    ]
    return all(site.get("system", "SNOMED-CT") == "SNOMED-CT" for site in sites)


# ------------------------------------------------------------------------------------------------- money


def _bill(f: Fhir) -> pl.DataFrame:
    """Claims: what each visit or prescription cost."""
    block = f.block
    claims = block.extra.get("claims")
    if claims is None or not claims.height:
        return pl.DataFrame(schema={"patient": pl.Int64, "id": pl.String, "text": pl.String})
    table, row = claims["claim_table"].to_numpy(), claims["claim_row"].to_numpy()
    visits = np.flatnonzero(table == 0)
    visits = visits[block.shown("encounters")[row[visits]]]
    chosen, encounter = claims[visits], row[visits]
    order = np.lexsort((block["encounters"]["seq"][encounter], block.rank[block["encounters"]["patient"][encounter]]))
    chosen, encounter = chosen[order], encounter[order]
    frame = f.frame(
        "encounters",
        encounter,
        total=chosen["cost"].round(2),
        claim=block.made_ids(CLAIM, chosen["patient"].to_numpy(), chosen["claim"].to_numpy()),
        payer=pl.Series(_payer_names(block), dtype=pl.String).gather(chosen["payer"].to_numpy()),
        organization=block.linked("organizations", block.own("encounters", "organization", encounter, NONE)),
    )
    money = record({"value": number("total"), "currency": constant("USD")})
    at = record({"reference": plain(pl.lit("urn:uuid:" if f.bundled else "Encounter/") + pl.col("id"))})
    item = record({"sequence": "1", "productOrService": pl.col("code"), "encounter": listed(at)})
    provider = pl.coalesce(f.refer("Organization"), pl.lit('{"display":"unknown"}'))
    frame = frame.with_columns(item=item).with_columns(id="claim")
    return f.made(
        "Claim",
        frame,
        {
            "status": constant("active"),
            "type": _concept("claim-type", "institutional"),
            "use": constant("claim"),
            "patient": f.refer("Patient"),
            "billablePeriod": record({"start": plain("start"), "end": plain("stop")}),
            "created": plain(pl.coalesce("stop", "start")),
            "provider": provider,
            "priority": _concept("processpriority", "normal"),
            "insurance": listed(
                record({"sequence": "1", "focal": "true", "coverage": record({"display": text("payer")})})
            ),
            "item": listed(pl.col("item")),
            "total": money,
        },
    )


def _payer_names(block: Block) -> list[str]:
    frame = block.extra.get("payers")
    return [] if frame is None else [str(name) for name in frame["name"]]


_BUILDS: Final[Mapping[str, Callable[[Fhir], pl.DataFrame]]] = {
    "Patient": _patient, "Encounter": _encounter, "Condition": _condition, "AllergyIntolerance": _allergy,
    "CarePlan": _careplan, "Observation": _observation, "DiagnosticReport": _report, "Procedure": _procedure,
    "MedicationRequest": _request, "MedicationAdministration": _administration, "Immunization": _immunization,
    "Device": _device, "SupplyDelivery": _supply, "ImagingStudy": _imaging, "Claim": _bill,
}  # fmt: skip


# ------------------------------------------------------------------------------------------------- whole files


def ndjson(block: Block) -> dict[str, pl.Series]:
    """The lines of each type's file."""
    return {kind: frame["text"] for kind, frame in Fhir(block, bundled=False).resources() if frame.height}


def bundles(block: Block) -> pl.DataFrame:
    """A row a patient, in order: id and text of a transaction bundle of all that is shown of them."""
    parts = []
    for place, (kind, frame) in enumerate(Fhir(block, bundled=True).resources()):
        entry = record({
            "fullUrl": plain(pl.lit("urn:uuid:") + pl.col("id")), "resource": pl.col("text"),
            "request": constant({"method": "POST", "url": kind}),
        })  # fmt: skip
        parts.append(frame.select(pl.col("patient").cast(pl.Int64), pl.lit(place).alias("place"), entry=entry))
    joined = (
        pl.concat(parts)
        .sort("patient", "place", maintain_order=True)
        .group_by("patient", maintain_order=True)
        .agg(pl.col("entry").str.join(","))
    )
    head = '{"resourceType":"Bundle","type":"transaction","entry":['
    who = pl.DataFrame({"patient": block.patients.astype(np.int64), "id": block.person_ids.gather(block.patients)})
    found = who.join(joined, on="patient", how="left", maintain_order="left")
    return found.select("id", text=pl.lit(head) + pl.col("entry") + pl.lit("]}"))


def people_and_places(frames: Mapping[str, pl.DataFrame]) -> dict[str, pl.Series]:
    """Organization and Practitioner resources (lines) from the tables `organizations` and `providers`."""
    out = {}
    if "organizations" in frames:
        out["Organization"] = (
            frames["organizations"]
            .select(
                text=record(
                    {
                        "resourceType": constant("Organization"),
                        "id": plain("Id"),
                        "identifier": listed(record({"system": constant("urn:verosim"), "value": plain("Id")})),
                        "active": "true",
                        "name": text("NAME"),
                        "address": listed(
                            _after(
                                "CITY",
                                {
                                    "city": text("CITY"),
                                    "state": text("STATE"),
                                    "postalCode": text(pl.col("ZIP").replace("", None)),
                                },
                            )
                        ),
                    }
                )
            )
            .to_series()
        )
    if "providers" in frames:
        family = pl.col("NAME").str.split(" ").list.last()
        out["Practitioner"] = (
            frames["providers"]
            .select(
                text=record(
                    {
                        "resourceType": constant("Practitioner"),
                        "id": plain("Id"),
                        "identifier": listed(record({"system": constant("urn:verosim"), "value": plain("Id")})),
                        "active": "true",
                        "name": listed(
                            record(
                                {
                                    "family": text(family),
                                    "given": listed(text(pl.col("NAME").str.split(" ").list.first())),
                                }
                            )
                        ),
                        "gender": plain(pl.col("GENDER").replace({"F": "female", "M": "male"})),
                    }
                )
            )
            .to_series()
        )
    return out


__all__ = ["Fhir", "bundles", "ndjson", "people_and_places"]
