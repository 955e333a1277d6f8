"""HL7 FHIR R4 of a block: resources as texts, for NDJSON (a file a type) or transaction bundles (a file a patient).

All is written by expressions over the record's columns. References within a bundle are `urn:uuid:...`, else `Type/id`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
import polars as pl

from verosim.patients.exports import fhir_care as care
from verosim.patients.exports import fhir_people as people
from verosim.patients.exports.block import Block
from verosim.patients.exports.fhir_base import Fhir, only_with
from verosim.patients.exports.json import Part, constant, listed, plain, record, text

BUILDS: Final[Mapping[str, Callable[[Fhir], pl.DataFrame]]] = {
    "Patient": people.patient,
    "Encounter": people.encounter,
    "Condition": people.condition,
    "AllergyIntolerance": people.allergy,
    "CarePlan": people.careplan,
    "Observation": care.observation,
    "DiagnosticReport": care.report,
    "Procedure": care.procedure,
    "MedicationRequest": care.request,
    "MedicationAdministration": care.administration,
    "Immunization": care.immunization,
    "Device": care.device,
    "SupplyDelivery": care.supply,
    "ImagingStudy": care.imaging,
    "Claim": care.bill,
}


def resources(block: Block, bundled: bool) -> Iterator[tuple[str, pl.DataFrame]]:
    """Type and frame (patient, a row of the block; id; text) of each kind of resource."""
    found = Fhir(block, bundled)
    for kind, build in BUILDS.items():
        yield kind, build(found)


def ndjson(block: Block) -> dict[str, pl.Series]:
    """The lines of each type's file."""
    return {kind: frame["text"] for kind, frame in resources(block, bundled=False) if frame.height}


def bundles(block: Block) -> pl.DataFrame:
    """A row a patient, in order: id and text of a transaction bundle of all that is shown of them."""
    parts = []
    for place, (kind, frame) in enumerate(resources(block, bundled=True)):
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
    address: dict[str, Part] = {
        "city": text("CITY"), "state": text("STATE"), "postalCode": text(pl.col("ZIP").replace("", None)),
    }  # fmt: skip
    names = pl.col("NAME").str.split(" ").list
    name: dict[str, Part] = {"family": text(names.last()), "given": listed(text(names.first()))}
    own: dict[tuple[str, str], dict[str, Part]] = {  # by type and table, what either has beside its head
        ("Organization", "organizations"): {"name": text("NAME"), "address": listed(only_with("CITY", address))},
        ("Practitioner", "providers"): {
            "name": listed(record(name)), "gender": plain(pl.col("GENDER").replace({"F": "female", "M": "male"})),
        },
    }  # fmt: skip
    head: dict[str, Part] = {
        "id": plain("Id"), "active": "true",
        "identifier": listed(record({"system": constant("urn:verosim"), "value": plain("Id")})),
    }  # fmt: skip
    return {
        kind: frames[table].select(text=record({"resourceType": constant(kind), **head, **members})).to_series()
        for (kind, table), members in own.items()
        if table in frames
    }
