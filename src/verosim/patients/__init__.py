"""Patients: lives simulated by modules that are state machines, as records of care."""
