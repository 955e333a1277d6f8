"""OMOP Common Data Model 5.4 of a block: its clinical tables, with numbers as ids.

Ids are fixed by the patient's place in the run and the row's place in the record. Concepts of gender, race, ethnicity,
visits and types are OMOP's own. Others need its vocabularies, which their holders hand out (athena.ohdsi.org): with
them (`Vocabulary.load`) codes become standard concepts, without they stand as source values beside concept 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from verosim.errors import FileError
from verosim.patients.exports.block import Block
from verosim.patients.exports.tables import values
from verosim.patients.names import NONE
from verosim.patients.population import Array
from verosim.patients.record import CODE, KINDS, NUMBER, PANEL

EHR: Final = 32817  # type concept: from an electronic health record
GENDERS: Final = (8532, 8507)  # female, male
RACES: Final = {"white": 8527, "black": 8516, "asian": 8515, "native": 8657, "hawaiian": 8557}
ETHNICITIES: Final = {"hispanic": 38003563, "nonhispanic": 38003564}
VISITS: Final = {
    "inpatient": 9201,
    "emergency": 9203,
    "urgentcare": 8782,
    "hospice": 8546,
    "home": 581476,
    "snf": 8863,
    "virtual": 5083,
}  # fmt: skip  (others: 9202, an outpatient visit)
VOCABULARIES: Final = {"SNOMED-CT": "SNOMED", "LOINC": "LOINC", "RxNorm": "RxNorm", "ICD10-CM": "ICD10CM",
                       "ICD10-PCS": "ICD10PCS", "CVX": "CVX", "UCUM": "UCUM"}  # fmt: skip
MEASURED: Final = ("laboratory", "vital-signs", "procedure", "imaging", "exam")  # categories that are measurements
USUAL_DAYS: Final = 30  # of a medication that has no end yet
_COLUMNS: Final = """
person: person_id gender_concept_id year_of_birth month_of_birth day_of_birth birth_datetime race_concept_id
 ethnicity_concept_id location_id provider_id care_site_id person_source_value gender_source_value
 gender_source_concept_id race_source_value race_source_concept_id ethnicity_source_value ethnicity_source_concept_id
observation_period: observation_period_id person_id observation_period_start_date observation_period_end_date
 period_type_concept_id
visit_occurrence: visit_occurrence_id person_id visit_concept_id visit_start_date visit_start_datetime visit_end_date
 visit_end_datetime visit_type_concept_id provider_id care_site_id visit_source_value visit_source_concept_id
 admitted_from_concept_id admitted_from_source_value discharged_to_concept_id discharged_to_source_value
 preceding_visit_occurrence_id
condition_occurrence: condition_occurrence_id person_id condition_concept_id condition_start_date
 condition_start_datetime condition_end_date condition_end_datetime condition_type_concept_id
 condition_status_concept_id
 stop_reason provider_id visit_occurrence_id visit_detail_id condition_source_value condition_source_concept_id
 condition_status_source_value
drug_exposure: drug_exposure_id person_id drug_concept_id drug_exposure_start_date drug_exposure_start_datetime
 drug_exposure_end_date drug_exposure_end_datetime verbatim_end_date drug_type_concept_id stop_reason refills quantity
 days_supply sig route_concept_id lot_number provider_id visit_occurrence_id visit_detail_id drug_source_value
 drug_source_concept_id route_source_value dose_unit_source_value
procedure_occurrence: procedure_occurrence_id person_id procedure_concept_id procedure_date procedure_datetime
 procedure_end_date procedure_end_datetime procedure_type_concept_id modifier_concept_id quantity provider_id
 visit_occurrence_id visit_detail_id procedure_source_value procedure_source_concept_id modifier_source_value
device_exposure: device_exposure_id person_id device_concept_id device_exposure_start_date
 device_exposure_start_datetime
 device_exposure_end_date device_exposure_end_datetime device_type_concept_id unique_device_id production_id quantity
 provider_id visit_occurrence_id visit_detail_id device_source_value device_source_concept_id unit_concept_id
 unit_source_value unit_source_concept_id
measurement: measurement_id person_id measurement_concept_id measurement_date measurement_datetime measurement_time
 measurement_type_concept_id operator_concept_id value_as_number value_as_concept_id unit_concept_id range_low
 range_high
 provider_id visit_occurrence_id visit_detail_id measurement_source_value measurement_source_concept_id
 unit_source_value unit_source_concept_id value_source_value measurement_event_id meas_event_field_concept_id
observation: observation_id person_id observation_concept_id observation_date observation_datetime
 observation_type_concept_id value_as_number value_as_string value_as_concept_id qualifier_concept_id unit_concept_id
 provider_id visit_occurrence_id visit_detail_id observation_source_value observation_source_concept_id
 unit_source_value qualifier_source_value value_source_value observation_event_id obs_event_field_concept_id
death: person_id death_date death_datetime death_type_concept_id cause_concept_id cause_source_value
 cause_source_concept_id
"""
COLUMNS: Final[Mapping[str, list[str]]] = {
    name: names.split()
    for name, names in (line.split(":") for line in _COLUMNS.replace("\n ", " ").strip().split("\n"))
}
_TEXTS: Final = ("_value", "stop_reason", "sig", "lot_number", "unique_device_id", "production_id", "value_as_string")


class Vocabulary:
    """Concepts by code: `source` and `standard` map (vocabulary, code) to the numbers of concepts."""

    def __init__(self, concepts: pl.DataFrame | None = None) -> None:
        """concepts: columns vocabulary_id, concept_code, source, standard."""
        schema = {"vocabulary_id": pl.String, "concept_code": pl.String, "source": pl.Int64, "standard": pl.Int64}
        self.concepts = pl.DataFrame(schema=schema) if concepts is None else concepts

    @classmethod
    def load(cls, folder: str | Path) -> Vocabulary:
        """Read CONCEPT.csv and CONCEPT_RELATIONSHIP.csv as Athena hands them out. Raises FileError."""
        root = Path(folder)
        for name in ("CONCEPT.csv", "CONCEPT_RELATIONSHIP.csv"):
            if not (root / name).is_file():
                raise FileError(f"{root / name}: there is no such file; get the vocabularies from athena.ohdsi.org.")
        known = list(VOCABULARIES.values())
        concepts = _athena(root / "CONCEPT.csv").filter(pl.col("vocabulary_id").is_in(known))
        maps = _athena(root / "CONCEPT_RELATIONSHIP.csv").filter(
            (pl.col("relationship_id") == "Maps to") & (pl.col("invalid_reason").fill_null("") == "")
        )
        both = concepts.select("vocabulary_id", "concept_code", source=pl.col("concept_id").cast(pl.Int64)).join(
            maps.select(source=pl.col("concept_id_1").cast(pl.Int64), standard=pl.col("concept_id_2").cast(pl.Int64)),
            on="source", how="left",
        )  # fmt: skip
        first = both.group_by("vocabulary_id", "concept_code").agg(pl.all().sort_by("standard").first())
        return cls(first.with_columns(pl.col("standard").fill_null(0)).collect())

    def find(self, system: pl.Series, code: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Source and standard concepts (k,) of codes of systems, as modules name them; 0 where there is none."""
        asked = pl.DataFrame(
            {
                "vocabulary_id": system.replace_strict(VOCABULARIES, default=None, return_dtype=pl.String),
                "concept_code": code,
            }
        )
        found = asked.join(self.concepts, on=["vocabulary_id", "concept_code"], how="left", maintain_order="left")
        return found["source"].fill_null(0), found["standard"].fill_null(0)


def _athena(path: Path) -> pl.LazyFrame:
    return pl.scan_csv(path, separator="\t", quote_char=None, infer_schema=False)


class Omop:
    """The tables of one block."""

    def __init__(self, block: Block, vocabulary: Vocabulary | None = None) -> None:
        self.block, vocabulary = block, vocabulary or Vocabulary()
        source, standard = vocabulary.find(block.items["system"], block.items["code"])
        self.source, self.standard = source, standard
        self.code_source, self.code_standard = vocabulary.find(block.codes["system"], block.codes["code"])
        units = block.items["unit"]
        _, self.units = vocabulary.find(pl.Series(["UCUM"], dtype=pl.String).new_from_index(0, len(units)), units)
        people = block.people
        self.person = people.slot * 1024 + people.attempt + 1  # (n,) as a patient who died is followed by others

    def tables(self) -> dict[str, pl.DataFrame]:
        measured, observed = self._observed(True), self._observed(False)
        return {
            "person": self._person(), "observation_period": self._period(), "visit_occurrence": self._visits(),
            "condition_occurrence": self._conditions(), "drug_exposure": self._drugs(),
            "procedure_occurrence": self._procedures(), "device_exposure": self._devices(), "measurement": measured,
            "observation": observed, "death": self._death(),
        }  # fmt: skip

    # ------------------------------------------------------------------------------------------ pieces

    def shaped(self, table: str, height: int, columns: Mapping[str, Any]) -> pl.DataFrame:
        """A frame with all columns of the table: those that are not given are null, or 0 for concepts."""

        def empty(name: str) -> pl.Series:
            dtype: Any = pl.String if name.endswith(_TEXTS) else pl.Int64
            return pl.Series(name, [0 if name.endswith("concept_id") else None], dtype=dtype).new_from_index(0, height)

        unknown = set(columns) - set(COLUMNS[table])
        assert not unknown, f"{table} has no columns {unknown}"
        return pl.DataFrame({name: columns[name] if name in columns else empty(name) for name in COLUMNS[table]})

    def number(self, table: str, rows: Array) -> Array:
        """Ids (k,) of rows of the record."""
        found = self.block[table]
        return self.person[found["patient"][rows]] * 2**20 + found["seq"][rows]

    def visit(self, table: str, rows: Array) -> pl.Series:
        encounters = self.block[table]["encounter"][rows]
        shown = (encounters != NONE) & np.append(self.block.shown("encounters"), False)[encounters]
        safe = np.where(shown, encounters, 0)
        numbers = self.number("encounters", safe) if len(self.block["encounters"]) else safe
        return pl.Series(numbers).set(pl.Series(~shown), None)

    def event(self, table: str, prefix: str, rows: Array, dates: Iterable[str], id_name: str = "") -> dict[str, Any]:
        """What all tables of events have. dates: names of the columns of the start, and of the end, without `_date`."""
        block, items = self.block, self.block[table]["item"][rows]
        start, *end = dates
        began, over = block.start(table, rows), block.stop(table, rows)
        ended = {f"{end[0]}_date": over.cast(pl.Date), f"{end[0]}_datetime": over} if end else {}
        return ended | {
            id_name or f"{prefix}_occurrence_id": self.number(table, rows),
            "person_id": self.person[block[table]["patient"][rows]],
            f"{prefix}_concept_id": self.standard.gather(items),
            f"{prefix}_type_concept_id": np.full(len(rows), EHR),
            f"{prefix}_source_value": block.items["code"].gather(items),
            f"{prefix}_source_concept_id": self.source.gather(items),
            f"{start}_date": began.cast(pl.Date), f"{start}_datetime": began,
            "visit_occurrence_id": self.visit(table, rows),
        }  # fmt: skip

    # ------------------------------------------------------------------------------------------ tables

    def _person(self) -> pl.DataFrame:
        block, who = self.block, self.block.patients
        people = block.people
        born = pl.Series(people.birth[who]).cast(pl.Datetime("ms"))
        race = pl.Series(block.catalogue.texts.texts, dtype=pl.String).gather(people.race[who])
        facts = block.extra.get("people", pl.DataFrame())
        none = pl.Series([None], dtype=pl.String).new_from_index(0, len(who))
        latin = facts["ethnicity"].cast(pl.String)[who] if "ethnicity" in facts.columns else none
        return self.shaped("person", len(who), {
            "person_id": self.person[who], "gender_concept_id": np.array(GENDERS)[people.male[who].astype(int)],
            "year_of_birth": born.dt.year(), "month_of_birth": born.dt.month(), "day_of_birth": born.dt.day(),
            "birth_datetime": born, "person_source_value": block.person_ids.gather(who),
            "race_concept_id": race.replace_strict(RACES, default=0, return_dtype=pl.Int64), "race_source_value": race,
            "ethnicity_concept_id": latin.replace_strict(ETHNICITIES, default=0, return_dtype=pl.Int64),
            "ethnicity_source_value": latin,
            "gender_source_value": pl.Series(np.where(people.male[who], "M", "F"), dtype=pl.String),
        })  # fmt: skip

    def _period(self) -> pl.DataFrame:
        people, who = self.block.people, self.block.patients
        first = np.maximum(self.block.record.since[who], people.birth[who])
        last = np.maximum(np.where(self.block.died[who], people.death[who], people.stop[who]), first)
        return self.shaped("observation_period", len(who), {
            "observation_period_id": self.person[who], "person_id": self.person[who],
            "observation_period_start_date": pl.Series(first).cast(pl.Datetime("ms")).cast(pl.Date),
            "observation_period_end_date": pl.Series(last).cast(pl.Datetime("ms")).cast(pl.Date),
            "period_type_concept_id": np.full(len(who), EHR),
        })  # fmt: skip

    def _visits(self) -> pl.DataFrame:
        block = self.block
        rows = block.rows("encounters")
        kind = block["encounters"]["kind"][rows]
        found = self.event("encounters", "visit", rows, ("visit_start", "visit_end"))
        ended = found["visit_end_datetime"].zip_with(
            found["visit_end_datetime"].is_not_null(), found["visit_start_datetime"]
        )
        provider, site = (block.own("encounters", name, rows, NONE) for name in ("provider", "organization"))
        return self.shaped("visit_occurrence", len(rows), found | {
            "visit_occurrence_id": self.number("encounters", rows), "visit_end_datetime": ended,
            "visit_end_date": ended.cast(pl.Date),
            "visit_concept_id": np.array([VISITS.get(k, 9202) for k in KINDS])[kind],
            "visit_source_value": pl.Series(KINDS, dtype=pl.String).gather(kind.astype(np.int64)),
            "visit_source_concept_id": np.zeros(len(rows), np.int64),
            "provider_id": _known(provider), "care_site_id": _known(site),
        })  # fmt: skip

    def _conditions(self) -> pl.DataFrame:
        rows = self.block.rows("conditions")
        found = self.event("conditions", "condition", rows, ("condition_start", "condition_end"))
        return self.shaped("condition_occurrence", len(rows), found)

    def _drugs(self) -> pl.DataFrame:
        """Medications and immunisations."""
        parts = []
        for table in ("medications", "immunizations"):
            rows = self.block.rows(table)
            names = ("drug_exposure_start", "drug_exposure_end")
            found = self.event(table, "drug", rows, names, id_name="drug_exposure_id")
            start, end = found["drug_exposure_start_datetime"], found["drug_exposure_end_datetime"]
            once = (
                self.block["medications"]["administered"][rows] if table == "medications" else np.ones(len(rows), bool)
            )
            usual = start.dt.offset_by(f"{USUAL_DAYS}d").zip_with(pl.Series(~once), start)
            known = end.is_not_null() & pl.Series(~once)
            closed = end.zip_with(known, usual)
            parts.append(self.shaped("drug_exposure", len(rows), found | {
                "drug_exposure_end_datetime": closed, "drug_exposure_end_date": closed.cast(pl.Date),
                "verbatim_end_date": found["drug_exposure_end_date"],
            }))  # fmt: skip
        return pl.concat(parts).sort("person_id", "drug_exposure_id")

    def _procedures(self) -> pl.DataFrame:
        rows = self.block.rows("procedures")
        found = self.event("procedures", "procedure", rows, ("procedure", "procedure_end"))
        return self.shaped("procedure_occurrence", len(rows), found | {"quantity": np.ones(len(rows), np.int64)})

    def _devices(self) -> pl.DataFrame:
        rows = self.block.rows("devices")
        names = ("device_exposure_start", "device_exposure_end")
        found = self.event("devices", "device", rows, names, id_name="device_exposure_id")
        return self.shaped("device_exposure", len(rows), found | {"quantity": np.ones(len(rows), np.int64)})

    def _observed(self, measured: bool) -> pl.DataFrame:
        """Observations as measurements, or the others."""
        block = self.block
        table = "measurement" if measured else "observation"
        kinds, items = block["observations"]["kind"], block["observations"]["item"]
        is_measured = np.isin(np.array([i.category for i in block.catalogue.items] or [""]), MEASURED)[items]
        rows = block.rows("observations", also=(kinds != PANEL) & (is_measured == measured))
        kind, value = kinds[rows], block["observations"]["value"][rows]
        is_number = pl.Series((kind == NUMBER) & np.isfinite(value))
        said = values(block, rows)
        coded = np.where(kind == CODE, np.nan_to_num(value), NONE).astype(np.int64)
        last = len(self.code_standard) - 1
        found = self.event("observations", table, rows, (table,), id_name=f"{table}_id") | {
            "value_as_number": pl.Series(value).set(~is_number, None),
            "value_as_concept_id": self.code_standard.gather(np.where(coded == NONE, last, coded)),
            "value_source_value": said, "unit_source_value": block.items["unit"].gather(items[rows]),
            "unit_concept_id": self.units.gather(items[rows]),
        }  # fmt: skip
        return self.shaped(table, len(rows), found if measured else found | {"value_as_string": said})

    def _death(self) -> pl.DataFrame:
        block = self.block
        who = block.patients[block.died[block.patients]]
        when = pl.Series(block.people.death[who]).cast(pl.Datetime("ms", "UTC"))
        cause = block.people.cause[who]
        known = np.where(cause == NONE, block.codes.height - 1, cause)
        return self.shaped("death", len(who), {
            "person_id": self.person[who], "death_date": when.cast(pl.Date), "death_datetime": when,
            "death_type_concept_id": np.full(len(who), EHR), "cause_concept_id": self.code_standard.gather(known),
            "cause_source_value": block.code(cause, "code"), "cause_source_concept_id": self.code_source.gather(known),
        })  # fmt: skip


def _known(numbers: Array) -> pl.Series:
    return pl.Series(numbers + 1).cast(pl.Int64).set(pl.Series(numbers == NONE), None)
