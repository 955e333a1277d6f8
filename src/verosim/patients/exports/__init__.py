"""A finished block of patients as tables and documents: Synthea's CSV files, FHIR R4, OMOP CDM 5.4.

block.py      who and what is shown, in which order, under which ids
tables.py     the CSV tables; claims.py: those about money; totals.py: those over all patients
json.py       JSON as text, by expressions over columns
fhir.py       FHIR resources, as a column of texts
omop.py       the tables of OMOP CDM
writing.py    blocks to files, one after the other
"""
