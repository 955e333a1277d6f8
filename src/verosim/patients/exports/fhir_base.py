"""What FHIR resources are made of: references, codes, and what resources of most tables share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from verosim.patients.exports.block import Block
from verosim.patients.exports.json import Part, constant, plain, record
from verosim.patients.names import NONE, Coding
from verosim.patients.population import Array

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


def concept_of(system: str, code: str) -> str:
    return constant({"coding": [{"system": f"{HL7}/{system}", "code": code}]})


class Fhir:
    """The resources of one block. bundled: references are made for bundles."""

    def __init__(self, block: Block, bundled: bool) -> None:
        self.block, self.bundled = block, bundled
        self.items = pl.Series([coded(*i.codes) if i.codes else None for i in block.catalogue.items], dtype=pl.String)
        self.codes = pl.Series([*(coded(c) for c in block.catalogue.codes.codings), None], dtype=pl.String)

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


def only_with(column: str, members: Mapping[str, Part], first: str = "") -> pl.Expr:
    """An object that is there only where a column is not null."""
    ordered = {first: members[first], **members} if first else members
    return pl.when(pl.col(column).is_not_null()).then(record(ordered))


def coded_as(code: Mapping[str, Any]) -> dict[str, Any]:
    display = str(code.get("display", ""))
    system = SYSTEMS.get(str(code.get("system")), f"urn:vocabulary:{code.get('system')}")
    return {"coding": [{"system": system, "code": str(code.get("code")), "display": display}], "text": display}
