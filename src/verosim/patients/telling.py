"""States, conditions and transitions in a few words, for pages and lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from verosim.pages.svg import short

Spec = Mapping[str, Any]
TESTS: Final = {"is nil": "not set", "is not nil": "set"}


def told(spec: Spec) -> str:
    """What a state does: `1 to 2 years`, `Asthma`, `smoker = true`."""
    kind = str(spec.get("type"))
    if kind in ("Delay", "Death") and (time := amount(spec)):
        return time
    if kind == "Encounter":
        codes = spec.get("codes") or [{}]
        return "check-up" if spec.get("wellness") else str(spec.get("encounter_class") or codes[0].get("display", ""))
    if kind == "SetAttribute":
        value = spec.get("value", amount(spec))
        return f"{spec.get('attribute')} = {str(value).lower() if isinstance(value, bool) else value}"
    if kind == "Counter":
        return f"{spec.get('attribute')} {'-' if spec.get('action') == 'decrement' else '+'} {spec.get('amount', 1)}"
    if kind == "Guard":
        return condition(spec.get("allow"))
    for field in ("submodule", "symptom", "vital_sign", "condition_onset", "medication_order", "careplan", "device"):
        if isinstance(spec.get(field), str):
            return str(spec[field])
    codes = spec.get("codes") or [spec.get("code") or spec.get("procedure_code") or {}]
    return str(codes[0].get("display", "")) if isinstance(codes[0], Mapping) else ""


def amount(spec: Spec) -> str:
    """A quantity, range or distribution: `1 to 2 years`, `about 3 days`."""
    if isinstance(exact := spec.get("exact"), Mapping):
        return f"{_number(exact.get('quantity'))} {exact.get('unit', '')}".strip()
    if isinstance(limits := spec.get("range"), Mapping):
        return f"{_number(limits.get('low'))} to {_number(limits.get('high'))} {limits.get('unit', '')}".strip()
    draw = spec.get("distribution")
    if not isinstance(draw, Mapping):
        return ""
    given, unit = draw.get("parameters") or {}, spec.get("unit", "")
    if draw.get("kind") == "UNIFORM":
        return f"{_number(given.get('low'))} to {_number(given.get('high'))} {unit}".strip()
    return f"about {_number(given.get('mean', given.get('value', given.get('mode'))))} {unit}".strip()


def _number(value: object) -> str:
    return short(float(value)) if isinstance(value, int | float) else str(value)


def condition(spec: object) -> str:
    """A condition: `age < 18 and smoker = true`."""
    if not isinstance(spec, Mapping):
        return ""
    kind, operator = str(spec.get("condition_type")), str(spec.get("operator", "="))
    operator = {"==": "=", "!=": "is not"}.get(operator, operator)
    codes = spec.get("codes") or [{}]
    parts = [condition(part) for part in spec.get("conditions") or ()]
    match kind.replace(" ", ""):
        case "And" | "Or":
            return f" {kind.lower()} ".join(f"({p})" if " and " in p or " or " in p else p for p in parts)
        case "Not":
            return f"not {condition(spec.get('condition'))}"
        case "AtLeast" | "AtMost":
            return f"{kind.lower()} {spec.get('minimum', spec.get('maximum'))} of: {', '.join(parts)}"
        case "Age":
            unit = "" if spec.get("unit") == "years" else f" {spec.get('unit')}"
            return f"age {operator} {_number(spec.get('quantity'))}{unit}"
        case "Gender":
            return {"F": "female", "M": "male"}.get(str(spec.get("gender")), "")
        case "Race" | "SocioeconomicStatus":
            return str(spec.get("race", spec.get("category")))
        case "Date":
            return f"year {operator} {spec.get('year', (spec.get('date') or {}).get('year'))}"
        case "Attribute":
            return _compared(str(spec.get("attribute")), operator, spec.get("value"))
        case "Symptom" | "VitalSign":
            return _compared(str(spec.get("symptom", spec.get("vital_sign"))), operator, spec.get("value"))
        case "Observation":
            return _compared(str(codes[0].get("display", "")), operator, spec.get("value", spec.get("value_code")))
        case "PriorState":
            return f"was in {spec.get('name')}"
        case "ActiveCondition" | "ActiveMedication" | "ActiveAllergy" | "ActiveCarePlan":
            return f"has {codes[0].get('display', spec.get('referenced_by_attribute', ''))}"
    return kind.lower()


def _compared(name: str, operator: str, value: object) -> str:
    if operator in TESTS:
        return f"{name} {TESTS[operator]}"
    said = (
        str(value).lower() if isinstance(value, bool) else value.get("display") if isinstance(value, Mapping) else value
    )
    return f"{name} {operator} {said}"


def ways(spec: Spec) -> Iterator[tuple[str, str]]:
    """The states that may follow, each with when: `12 %`, `age < 18`; some come twice."""
    for field in ("direct_transition", "alt_direct_transition"):
        if isinstance(spec.get(field), str):
            yield spec[field], ""
    for option in spec.get("distributed_transition") or ():
        yield str(option.get("transition")), share(option)
    for field in ("conditional_transition", "complex_transition"):
        for option in spec.get(field) or ():
            when = condition(option["condition"]) if option.get("condition") else "else"
            if isinstance(option.get("transition"), str):
                yield option["transition"], when
            for inner in option.get("distributions") or ():
                yield str(inner.get("transition")), f"{when}: {share(inner)}"
    for option in spec.get("lookup_table_transition") or ():
        yield str(option.get("transition")), f"by {option.get('lookup_table_name')}"
    for kind, target in (spec.get("type_of_care_transition") or {}).items():
        yield str(target), str(kind)


def share(option: Spec) -> str:
    value = option.get("distribution")
    if isinstance(value, Mapping):
        return f"by {value.get('attribute')}"
    return f"{short(100 * float(value))} %" if isinstance(value, int | float) else ""
