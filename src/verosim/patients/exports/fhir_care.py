"""FHIR: what was found, done, given, and billed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from verosim.patients.exports.block import CLAIM, Block
from verosim.patients.exports.fhir_base import HL7, SYSTEMS, Fhir, concept_of, only_with
from verosim.patients.exports.images import instances
from verosim.patients.exports.json import Part, constant, listed, number, plain, record, text
from verosim.patients.exports.tables import identifiers
from verosim.patients.names import NONE
from verosim.patients.population import Array
from verosim.patients.record import CODE, FLAG, NUMBER, PANEL, TEXT


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


def observation(f: Fhir) -> pl.DataFrame:
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


def report(f: Fhir) -> pl.DataFrame:
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
        "status": constant("final"), "category": f"[{concept_of('v2-0074', 'LAB')}]", "code": pl.col("code"),
        "subject": f.refer("Patient"), "encounter": f.refer("Encounter"), "effectiveDateTime": plain("start"),
        "issued": plain("start"), "result": pl.col("result"),
    })  # fmt: skip


# ------------------------------------------------------------------------------------------------- what was done


def procedure(f: Fhir) -> pl.DataFrame:
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


def request(f: Fhir) -> pl.DataFrame:
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


def administration(f: Fhir) -> pl.DataFrame:
    block = f.block
    frame = f.frame("medications", block.rows("medications", also=block["medications"]["administered"]))
    return f.made("MedicationAdministration", frame, {
        "status": constant("completed"), "medicationCodeableConcept": pl.col("code"), "subject": f.refer("Patient"),
        "context": f.refer("Encounter"), "effectiveDateTime": plain("start"), "reasonCode": listed(pl.col("reason")),
    })  # fmt: skip


def immunization(f: Fhir) -> pl.DataFrame:
    frame = f.frame("immunizations", f.block.rows("immunizations"))
    return f.made("Immunization", frame, {
        "status": constant("completed"), "vaccineCode": pl.col("code"), "patient": f.refer("Patient"),
        "encounter": f.refer("Encounter"), "occurrenceDateTime": plain("start"), "primarySource": "true",
    })  # fmt: skip


def device(f: Fhir) -> pl.DataFrame:
    rows = f.block.rows("devices")
    frame = f.frame("devices", rows, udi=identifiers(f.block, rows)).with_columns(
        article=pl.col("udi").str.extract(r"^\(01\)(\d+)"), serial=pl.col("udi").str.extract(r"\(21\)(\d+)$")
    )
    return f.made("Device", frame, {
        "udiCarrier": listed(record({"deviceIdentifier": plain("article"), "carrierHRF": plain("udi")})),
        "status": constant("active"), "distinctIdentifier": plain("article"), "serialNumber": plain("serial"),
        "type": pl.col("code"), "patient": f.refer("Patient"),
    })  # fmt: skip


def supply(f: Fhir) -> pl.DataFrame:
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


def imaging(f: Fhir) -> pl.DataFrame:
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
        site_json=only_with("site_code", {"display": text("site")}) if not _is_snomed(block) else site,
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


def bill(f: Fhir) -> pl.DataFrame:
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
        claim=block.made_ids(CLAIM, chosen["patient"].to_numpy(), block["encounters"]["seq"][encounter]),
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
            "type": concept_of("claim-type", "institutional"),
            "use": constant("claim"),
            "patient": f.refer("Patient"),
            "billablePeriod": record({"start": plain("start"), "end": plain("stop")}),
            "created": plain(pl.coalesce("stop", "start")),
            "provider": provider,
            "priority": concept_of("processpriority", "normal"),
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
