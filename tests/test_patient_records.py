"""Patients on paper: our modules, modules looked over, tables and documents, patients of a kind, pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from verosim.errors import ArgumentError, DataError, FileError, SchemaError
from verosim.patients import Patients
from verosim.patients.checking import check
from verosim.patients.choosing import Choice
from verosim.patients.exports import omop, writing
from verosim.patients.exports.block import Block
from verosim.patients.exports.tables import COLUMNS, tables
from verosim.patients.module import load
from verosim.patients.page import save_pages
from verosim.patients.plain import PlainLife
from verosim.patients.simulating import OWN
from verosim.patients.telling import condition, told
from verosim.patients.world import World

SHARED = Path(__file__).parents[2] / "shared" / "data" / "patients"
SAMPLE = SHARED / "reference" / "csv_sample"
COUGH = {"system": "ICD10-CM", "code": "R05", "display": 'Cough, "dry"'}
FEVER = {"system": "LOINC", "code": "8310-5", "display": "Body temperature"}
SYRUP = {"system": "RxNorm", "code": "1", "display": "Syrup"}
VISIT = {"system": "HL7-ActCode", "code": "AMB", "display": "ambulatory"}


def module(states: dict[str, Any]) -> dict[str, Any]:
    return {"name": "Cough", "remarks": ["A cough at ten."], "states": {"Terminal": {"type": "Terminal"}, **states}}


COUGHS = module({
    "Initial": {"type": "Initial", "direct_transition": "Childhood"},
    "Childhood": {"type": "Delay", "exact": {"quantity": 10, "unit": "years"}, "distributed_transition": [
        {"distribution": 0.5, "transition": "Cough"}, {"distribution": 0.5, "transition": "Terminal"}]},
    "Cough": {"type": "ConditionOnset", "codes": [COUGH], "target_encounter": "Visit", "direct_transition": "Visit"},
    "Visit": {"type": "Encounter", "encounter_class": "ambulatory", "codes": [VISIT], "reason": "Cough",
              "direct_transition": "Fever"},
    "Fever": {"type": "Observation", "category": "vital-signs", "unit": "Cel", "codes": [FEVER],
              "exact": {"quantity": 38.25}, "direct_transition": "Syrup"},
    "Syrup": {"type": "MedicationOrder", "codes": [SYRUP], "reason": "Cough", "direct_transition": "Leave"},
    "Leave": {"type": "EncounterEnd", "direct_transition": "Days"},
    "Days": {"type": "Delay", "exact": {"quantity": 6, "unit": "days"}, "direct_transition": "Well"},
    "Well": {"type": "ConditionEnd", "condition_onset": "Cough", "direct_transition": "No_Syrup"},
    "No_Syrup": {"type": "MedicationEnd", "medication_order": "Syrup", "direct_transition": "Terminal"},
})  # fmt: skip


def folder_of(path: Path, modules: dict[str, Any], tables: dict[str, str] | None = None) -> Path:
    for name, content in modules.items():
        file = path / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
    for name, text in (tables or {}).items():
        (path / "lookup_tables").mkdir(parents=True, exist_ok=True)
        (path / "lookup_tables" / name).write_text(text)
    return path


def coughing(path: Path) -> Patients:
    return Patients(folder_of(path, {"cough": COUGHS}), life=PlainLife(), history=None)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


SCAN: dict[str, Any] = {
    "type": "ImagingStudy", "procedure_code": VISIT, "direct_transition": "Terminal", "series": [
        {"modality": {"code": "CT"}, "min_number_instances": 3, "max_number_instances": 5, "instances": [{}]},
        {"modality": {"code": "DX"}, "instances": [{}, {}]},
    ],
}  # fmt: skip


def test_a_series_has_as_many_images_as_chance_gives_or_as_it_names(tmp_path: Path) -> None:
    scan = module({"Initial": {"type": "Initial", "direct_transition": "Scan"}, "Scan": SCAN})
    world = next(Patients(folder_of(tmp_path, {"scan": scan}), life=PlainLife(), history=None).blocks(90, seed=4))
    images = tables(Block(world, world.lived))["imaging_studies"]
    assert images["INSTANCE_UID"].n_unique() == images.height
    counts = images.group_by("Id", "MODALITY_CODE").len()
    of = {code: counts.filter(pl.col("MODALITY_CODE") == code)["len"].value_counts().rows() for code in ("CT", "DX")}
    assert of["DX"] == [(2, world.lived.sum())]
    assert {n for n, _ in of["CT"]} == {3, 4, 5}
    assert all(studies > 15 for _, studies in of["CT"])  # 30 each, with a standard deviation of 4.5


# ----------------------------------------------------------------------------------------------------- our modules


def test_our_modules_are_many_and_right() -> None:
    library = load(OWN)
    assert len(library.top) >= 10
    assert check(OWN) == []
    assert all(module.remarks for module in library.modules.values())


def test_our_modules_use_free_vocabularies_only() -> None:
    text = "".join(p.read_text() for p in OWN.rglob("*.json"))
    assert "SNOMED" not in text
    assert (OWN / "NOTICE.md").is_file()


# --------------------------------------------------------------------------------------------- modules looked over

ONWARD: dict[str, Any] = {"direct_transition": "Terminal"}


def found_in(path: Path, states: dict[str, Any], tables: dict[str, str] | None = None) -> list[str]:
    initial = {"Initial": {"type": "Initial", "direct_transition": next(iter(states), "Terminal")}}
    folder_of(path, {"m": module({**initial, **states})}, tables)
    return [f"{finding.severity}: {finding}" for finding in check(path)]


AGE = {"condition_type": "Age", "unit": "years"}
CHECKED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown state": (
        {"type": "Simple", "direct_transition": "Terminl"},
        "error: m.json: state 'A': the state 'Terminl' does not exist; did you mean 'Terminal'?",
    ),
    "unknown type": (
        {"type": "Delai", **ONWARD},
        "error: m.json: state 'A': the state type 'Delai' does not exist; did you mean 'Delay'?",
    ),
    "missing submodule": (
        {"type": "CallSubmodule", "submodule": "x/y", **ONWARD},
        "error: m.json: state 'A': the submodule 'x/y' does not exist; there are none.",
    ),
    "missing table": (
        {
            "type": "Simple",
            "lookup_table_transition": [
                {"transition": "Terminal", "default_probability": 1, "lookup_table_name": "no.csv"}
            ],
        },
        "error: m.json: state 'A': the lookup table 'no.csv' is not in lookup_tables/.",
    ),
    "sum": (
        {
            "type": "Simple",
            "distributed_transition": [
                {"distribution": 0.3, "transition": "Terminal"},
                {"distribution": 0.5, "transition": "A"},
            ],
        },
        "warning: m.json: state 'A': probabilities add up to 0.8, not 1: the last option takes the rest.",
    ),
    "probability": (
        {"type": "Simple", "distributed_transition": [{"distribution": 1.5, "transition": "Terminal"}]},
        "error: m.json: state 'A': a probability must be a number from 0 to 1, not 1.5.",
    ),
    "negative time": (
        {"type": "Delay", "range": {"low": -2, "high": 3, "unit": "days"}, **ONWARD},
        "error: m.json: state 'A': range: a time of -2 is negative.",
    ),
    "unit": (
        {"type": "Delay", "exact": {"quantity": 2, "unit": "day"}, **ONWARD},
        "error: m.json: state 'A': the unit of time 'day' does not exist; did you mean 'days'?",
    ),
    "loop": (
        {"type": "Simple", "direct_transition": "A"},
        "error: m.json: state 'A': an endless loop without delay: A > A.",
    ),
    "impossible ages": (
        {
            "type": "Guard",
            **ONWARD,
            "allow": {
                "condition_type": "And",
                "conditions": [{**AGE, "operator": "<", "quantity": 5}, {**AGE, "operator": ">=", "quantity": 10}],
            },
        },
        "error: m.json: state 'A': the condition cannot hold: age < 5 and >= 10.",
    ),
    "two genders": (
        {
            "type": "Guard",
            **ONWARD,
            "allow": {
                "condition_type": "And",
                "conditions": [
                    {"condition_type": "Gender", "gender": "F"},
                    {"condition_type": "Gender", "gender": "M"},
                ],
            },
        },
        "error: m.json: state 'A': the condition cannot hold: two genders at once.",
    ),
    "condition type": (
        {"type": "Guard", **ONWARD, "allow": {"condition_type": "Agee"}},
        "error: m.json: state 'A': the condition type 'Agee' does not exist; did you mean 'Age'?",
    ),
    "target": (
        {"type": "ConditionOnset", "codes": [COUGH], "target_encounter": "B", **ONWARD},
        "error: m.json: state 'A': `target_encounter`: the state 'B' does not exist; "
        "there are 'Terminal', 'Initial', 'A'.",
    ),
    "codes": (
        {"type": "ConditionOnset", **ONWARD},
        "error: m.json: state 'A': `codes` is missing: a ConditionOnset state needs it.",
    ),
    "nowhere": (
        {"type": "Simple"},
        "error: m.json: state 'A': no transition leads on from here, and it is not Terminal.",
    ),
}


@pytest.mark.parametrize("case", CHECKED, ids=str)
def test_check_says_what_is_wrong_where(case: str, tmp_path: Path) -> None:
    spec, wanted = CHECKED[case]
    assert wanted in found_in(tmp_path, {"A": spec})


def test_check_names_all_there_is_and_goes_on_after_a_broken_file(tmp_path: Path) -> None:
    two = {"type": "Simple", "direct_transition": "Q"}
    folder_of(tmp_path, {"a": "{", "b": module({"Initial": {"type": "Initial", "direct_transition": "R"}, "X": two})})
    found = [str(finding) for finding in check(tmp_path)]
    assert found[0].startswith("a.json: line 1: this is not JSON") or found[0].startswith("a.json: 1: this is not JSON")
    assert sum("does not exist" in f for f in found) == 2


def test_check_looks_into_lookup_tables(tmp_path: Path) -> None:
    options = [{"transition": t, "default_probability": 0.5, "lookup_table_name": "t.csv"} for t in ("Terminal", "A")]
    spec = {"type": "Delay", "exact": {"quantity": 1, "unit": "days"}, "lookup_table_transition": options}
    assert found_in(tmp_path / "1", {"A": spec}, {"t.csv": "age,Terminal,A\n0-9,0.5,0.5\n"}) == []
    found = found_in(tmp_path / "2", {"A": spec}, {"t.csv": "age,Terminal,B\n0-9,0.5,0.5\n"})
    assert "the column 'B' is no state of this transition" in found[0]
    found = found_in(tmp_path / "3", {"A": spec}, {"t.csv": "age,Terminal,A\n0-9,0.5,0.2\n"})
    assert found == ["warning: m.json: state 'A': lookup table t.csv: in 1 of 1 rows probabilities do not add up to 1."]


def test_check_finds_submodules_that_call_each_other(tmp_path: Path) -> None:
    def calls(key: str) -> dict[str, Any]:
        return module({"Initial": {"type": "Initial", "direct_transition": "A"},
                       "A": {"type": "CallSubmodule", "submodule": key, **ONWARD}})  # fmt: skip

    folder_of(tmp_path, {"top": calls("x/a"), "x/a": calls("x/b"), "x/b": calls("x/a")})
    assert any("call each other in a circle" in str(f) for f in check(tmp_path))


def test_no_modules_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there are none"):
        check(tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the public modules are not here")
def test_the_public_modules_have_no_errors() -> None:
    assert [str(f) for f in check(SHARED / "modules") if f.severity == "error"] == []


# ----------------------------------------------------------------------------------------------------- exports


@pytest.fixture(scope="module")
def coughs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 patients of the module above, in all forms."""
    path = tmp_path_factory.mktemp("coughs")
    writing.save(coughing(path / "modules"), path / "out", 40, seed=3, forms=writing.FORMS)
    return path / "out"


def csv(folder: Path, table: str) -> pl.DataFrame:
    return pl.read_csv(folder / f"{table}.csv", infer_schema=False)


def test_what_the_module_says_stands_in_the_tables(coughs: Path) -> None:
    conditions, visits = csv(coughs, "conditions"), csv(coughs, "encounters")
    assert 0 < conditions.height < 40
    assert set(conditions["CODE"]) == {"R05"}
    assert set(conditions["DESCRIPTION"]) == {'Cough  "dry"'}  # no commas, as in Synthea's files
    own = visits.filter(pl.col("ENCOUNTERCLASS") == "ambulatory")
    assert own.height == conditions.height
    assert set(own["REASONCODE"]) == {"R05"}
    assert set(conditions["ENCOUNTER"]) == set(own["Id"])
    days = (conditions["STOP"].str.to_date() - conditions["START"].str.to_date()).dt.total_days().drop_nulls()
    assert set(days) <= {6, 7}
    observations = csv(coughs, "observations")
    assert observations.select("VALUE", "UNITS", "TYPE").unique().rows() == [("38.3", "Cel", "numeric")]  # half up
    assert csv(coughs, "medications")["REASONCODE"].unique().to_list() == ["R05"]
    born = dict(csv(coughs, "patients").select("Id", "BIRTHDATE").rows())
    ages = [int(start[:4]) - int(born[who][:4]) for who, start in conditions.select("PATIENT", "START").rows()]
    assert set(ages) <= {9, 10}  # ten years of 365 days, and the visit in the week after


def test_ids_lead_somewhere_and_are_unique(coughs: Path) -> None:
    people, visits = csv(coughs, "patients")["Id"], csv(coughs, "encounters")["Id"]
    assert people.n_unique() == len(people) == 40
    assert visits.n_unique() == len(visits)
    for table in ("conditions", "medications", "observations"):
        frame = csv(coughs, table)
        assert set(frame["PATIENT"]) <= set(people)
        assert set(frame["ENCOUNTER"]) <= set(visits)


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="Synthea's files are not here")
def test_the_columns_are_syntheas() -> None:
    for path in SAMPLE.glob("*.csv"):
        assert COLUMNS[path.stem] == path.read_text(encoding="utf-8").splitlines()[0].split(","), path.stem


def test_parquet_holds_the_same_rows_typed(coughs: Path) -> None:
    for path in coughs.glob("*.parquet"):
        frame = pl.read_parquet(path)
        assert frame.columns == COLUMNS[path.stem]
        assert frame.height == csv(coughs, path.stem).height
    assert pl.read_parquet(coughs / "encounters.parquet")["START"].dtype == pl.Datetime("ms", "UTC")


def resources(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((folder / "ndjson").glob("*.ndjson")):
        for line in path.read_text(encoding="utf-8").splitlines():
            found = json.loads(line)
            assert found["resourceType"] == path.stem
            yield found


def valid(found: dict[str, Any]) -> None:
    """Raise where a resource is not as FHIR R4 (4.3.0, the same for these resources) wants it."""
    from fhir.resources.R4B import get_fhir_model_class

    get_fhir_model_class(found["resourceType"]).model_validate(found)


def test_fhir_is_valid_and_its_references_lead_somewhere(coughs: Path) -> None:
    found = list(resources(coughs))
    there = {f"{r['resourceType']}/{r['id']}" for r in found}
    for resource in found:
        valid(resource)
        assert resource.get("subject", {"reference": next(iter(there))})["reference"] in there
        assert resource.get("encounter", {"reference": next(iter(there))})["reference"] in there
    conditions = [r for r in found if r["resourceType"] == "Condition"]
    assert {c["code"]["coding"][0]["system"] for c in conditions} == {"http://hl7.org/fhir/sid/icd-10-cm"}
    assert {c["code"]["text"] for c in conditions} == {'Cough, "dry"'}
    quantity = next(r["valueQuantity"] for r in found if r["resourceType"] == "Observation")
    assert quantity == {"value": 38.25, "unit": "Cel", "system": "http://unitsofmeasure.org", "code": "Cel"}


def test_a_bundle_a_patient(coughs: Path) -> None:
    bundles = list((coughs / "fhir").glob("*.json"))
    assert len(bundles) == 40
    for path in bundles[:5]:
        bundle = json.loads(path.read_text(encoding="utf-8"))
        valid(bundle)
        assert bundle["entry"][0]["resource"]["id"] == path.stem
        known = {entry["fullUrl"] for entry in bundle["entry"]}
        subjects = [e["resource"]["subject"]["reference"] for e in bundle["entry"] if "subject" in e["resource"]]
        assert set(subjects) <= known


def test_omop_has_its_columns_and_keys_hold(coughs: Path) -> None:
    frames = {name: pl.read_csv(coughs / "omop" / f"{name}.csv") for name in omop.COLUMNS}
    assert all(frame.columns == omop.COLUMNS[name] for name, frame in frames.items())
    people, visits = set(frames["person"]["person_id"]), set(frames["visit_occurrence"]["visit_occurrence_id"])
    assert len(people) == 40
    for name, frame in frames.items():
        assert set(frame["person_id"]) <= people, name
        if "visit_occurrence_id" in frame.columns:
            assert set(frame["visit_occurrence_id"].drop_nulls()) <= visits, name
        if f"{name}_id" in frame.columns:
            assert frame[f"{name}_id"].is_unique().all(), name
    assert frames["condition_occurrence"]["condition_source_value"].unique().to_list() == ["R05"]
    assert frames["measurement"]["value_as_number"].unique().to_list() == [38.25]


def test_omops_vocabularies_make_standard_concepts(tmp_path: Path) -> None:
    (tmp_path / "CONCEPT.csv").write_text(
        "concept_id\tconcept_name\tvocabulary_id\tconcept_code\n45601038\tCough\tICD10CM\tR05\n254761\tCough\tSNOMED\t49727002\n"
    )
    (tmp_path / "CONCEPT_RELATIONSHIP.csv").write_text(
        "concept_id_1\tconcept_id_2\trelationship_id\tinvalid_reason\n"
        "45601038\t254761\tMaps to\t\n254761\t254761\tMaps to\t\n"
    )
    writing.save(coughing(tmp_path / "m"), tmp_path / "out", 10, seed=3, forms=["omop"], vocabulary=tmp_path)
    found = pl.read_csv(tmp_path / "out" / "omop" / "condition_occurrence.csv")
    assert found["condition_concept_id"].unique().to_list() == [254761]
    assert found["condition_source_concept_id"].unique().to_list() == [45601038]
    with pytest.raises(FileError, match="athena"):
        writing.save(coughing(tmp_path / "m"), tmp_path / "out", 10, forms=["omop"], vocabulary=tmp_path / "m")


@pytest.mark.parametrize("part", [(17, 5), (40, 500)])
def test_the_same_bytes_for_any_parts(
    part: tuple[int, int], coughs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "PART", part[0])
    monkeypatch.setattr(writing, "SLICE", part[1])
    writing.save(coughing(tmp_path / "modules"), tmp_path / "out", 40, seed=3, forms=["csv", "ndjson", "fhir", "omop"])
    wanted = {name: data for name, data in bytes_of(coughs).items() if not name.endswith(".parquet")}
    assert bytes_of(tmp_path / "out") == wanted


class Broken(Patients):
    """A run that is stopped after its first part."""

    def blocks(self, n: int, seed: int = 0, first: int = 0) -> Iterator[World]:
        if first:
            raise KeyboardInterrupt
        yield from super().blocks(n, seed, first)


def test_a_run_that_was_stopped_goes_on(coughs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PART", 20)
    modules = folder_of(tmp_path / "modules", {"cough": COUGHS})
    with pytest.raises(KeyboardInterrupt):
        writing.save(Broken(modules, life=PlainLife(), history=None), tmp_path / "out", 40, seed=3)
    assert not (tmp_path / "out" / "patients.csv").exists()
    done = writing.save(coughing(tmp_path / "modules"), tmp_path / "out", 40, seed=3)
    assert (done.resumed, done.patients) == (1, 40)
    assert not (tmp_path / "out" / ".parts").exists()
    csvs = {name: data for name, data in bytes_of(coughs).items() if name.endswith(".csv") and "/" not in name}
    assert bytes_of(tmp_path / "out") == csvs


# ----------------------------------------------------------------------------------------------------- money

MONEY = ["wellness", "respiratory_infections"]


@pytest.fixture(scope="module")
def billed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("billed")
    writing.save(Patients(only=MONEY, history=4), path, 30, seed=1, forms=["csv", "ndjson"])
    return path


def test_every_charge_is_paid(billed: Path) -> None:
    steps = csv(billed, "claims_transactions").with_columns(
        pl.col("AMOUNT", "PAYMENTS", "TRANSFERS", "OUTSTANDING").cast(pl.Float64)
    )
    charged = steps.filter(pl.col("TYPE") == "CHARGE").group_by("CLAIMID").agg(pl.sum("AMOUNT"))
    paid = steps.group_by("CLAIMID").agg(pl.sum("PAYMENTS"))
    both = charged.join(paid, on="CLAIMID")
    assert both.height == csv(billed, "claims").height
    assert (both["AMOUNT"] - both["PAYMENTS"]).abs().max() < 0.05  # type: ignore[operator]
    assert steps["ID"].is_unique().all()


def test_money_tables_lead_somewhere(billed: Path) -> None:
    people, visits = set(csv(billed, "patients")["Id"]), set(csv(billed, "encounters")["Id"])
    payers = set(csv(billed, "payers")["Id"])
    claims = csv(billed, "claims")
    assert set(claims["PATIENTID"]) <= people
    assert set(claims["APPOINTMENTID"]) <= visits
    assert set(claims["PRIMARYPATIENTINSURANCEID"].drop_nulls()) <= payers
    assert set(csv(billed, "encounters")["ORGANIZATION"]) <= set(csv(billed, "organizations")["Id"])
    assert set(csv(billed, "encounters")["PROVIDER"]) <= set(csv(billed, "providers")["Id"])
    insured = csv(billed, "payer_transitions")
    assert set(insured["PAYER"]) <= payers
    lines = csv(billed, "claims_transactions").select("PATIENTID", MEMBERID="PATIENTINSURANCEID").drop_nulls()
    owners = lines.join(insured.select("MEMBERID", "PATIENT"), on="MEMBERID", how="left")
    assert (owners["PATIENT"] == owners["PATIENTID"]).all(), "the insurance of somebody else"


def test_fhir_of_our_own_modules_is_valid(billed: Path) -> None:
    kinds = set()
    for number, resource in enumerate(resources(billed)):
        if resource["resourceType"] not in kinds or number % 40 == 0:
            valid(resource)
            kinds.add(resource["resourceType"])
    assert {"Patient", "Encounter", "Observation", "DiagnosticReport", "Claim", "Organization", "Practitioner"} <= kinds


# --------------------------------------------------------------------------------------------- patients of a kind


def test_only_those_who_fit_are_written(tmp_path: Path) -> None:
    done = writing.save(
        coughing(tmp_path / "m"),
        tmp_path / "out",
        25,
        seed=3,
        only="condition = 'R05' and age >= 12",
    )
    assert done.patients == 25
    assert done.lived > 25
    assert set(csv(tmp_path / "out", "conditions")["PATIENT"]) == set(csv(tmp_path / "out", "patients")["Id"])


def test_a_code_that_no_module_has_ends_the_search_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nobody fits 'condition = 44054006'.*no module has"):
        writing.save(coughing(tmp_path / "m"), tmp_path / "out", 5, only="condition = 44054006")
    assert not (tmp_path / "out").exists()


def test_a_search_without_luck_ends_with_what_it_found(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nobody fits"):
        writing.save(coughing(tmp_path / "m"), tmp_path / "none", 5, only="age > 129", most=300)
    with pytest.raises(ArgumentError, match="say what is looked for with `only`"):
        writing.save(coughing(tmp_path / "m"), tmp_path / "none", 5, most=300)
    done = writing.save(coughing(tmp_path / "m"), tmp_path / "out", 400, only="medication ilike 'syr%'", most=500)
    assert 0 < done.patients < 400
    assert "fit" in done.notes[-1]


def test_the_language_of_a_choice(tmp_path: Path) -> None:
    world = next(iter(coughing(tmp_path).blocks(60, seed=3)))
    have = Choice("condition = 'R05'").keep(world)
    assert have.sum() > 5
    people = world.lived
    for same in ("condition in ('R05', 'X')", "condition ilike 'cough%'", "medication = 1", "not (condition <> 'R05')",
                 "condition = 'R05' or condition = 'Q'", "encounter = 'ambulatory'"):  # fmt: skip
        assert (Choice(same).keep(world) & people).tolist() == (have & people).tolist(), same
    assert not Choice("active_condition = 'R05' and age >= 12").keep(world)[people].any()
    assert (Choice("not condition = 'R05'").keep(world) & people).sum() == people.sum() - have.sum()
    assert (Choice("sex = 'F'").keep(world) & people).sum() + (Choice("sex = 'M'").keep(world) & people).sum() == 60


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("conditon = 1", "did you mean 'condition'"), ("condition > 5", "by =, <>, in or like"),
     ("age + 1", "true or false"),
     ("condition = medication", "by =, <>, in or like"), ("age >", "missing")],
)  # fmt: skip
def test_a_choice_that_is_not_understood(text: str, wrong: str) -> None:
    with pytest.raises(SchemaError, match=wrong):
        Choice(text)


# ----------------------------------------------------------------------------------------------------- pages


def test_a_page_shows_each_state_with_its_count(tmp_path: Path) -> None:
    library = load(folder_of(tmp_path / "m", {"cough": COUGHS}))
    save_pages(library, tmp_path / "pages", {("cough", "Cough"): 1234}, 5000)
    page = (tmp_path / "pages" / "cough.html").read_text(encoding="utf-8")
    for name in library.modules["cough"].states:
        assert page.count(f'<th scope="row"><bdi>{name}</bdi>') == 1
    assert page.count('<rect class="state ') - 7 == len(library.modules["cough"].states)  # and 7 in the legend
    assert "1,234" in page
    assert "A cough at ten." in page
    assert "10 years" in page
    assert 'href="cough.html"' in (tmp_path / "pages" / "index.html").read_text(encoding="utf-8")


def test_states_and_conditions_in_words() -> None:
    assert told({"type": "Delay", "range": {"low": 1, "high": 2, "unit": "years"}}) == "1 to 2 years"
    assert told({"type": "SetAttribute", "attribute": "smoker", "value": True}) == "smoker = true"
    both = {"condition_type": "And", "conditions": [{**AGE, "operator": "<", "quantity": 18},
            {"condition_type": "Attribute", "attribute": "x", "operator": "is nil"}]}  # fmt: skip
    assert condition(both) == "age < 18 and x not set"
