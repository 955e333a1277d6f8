"""The details of privacy as pictures: attacks beside their control, membership, disclosure tables."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from verosim.evaluation.page.fidelity import Details, Facts
from verosim.evaluation.words import number
from verosim.pages.charts import curve
from verosim.pages.strips import Line, Mark, span, strip


def risks(details: Details) -> list[Line]:
    """Each attack's success beside its control, and the risk with its interval."""
    found = details.get("risks") or ()
    ends = span([0.0, *(x for r in found for x in (r["low"], r["high"]))])
    return [_attack(r, ends) for r in found]


def _attack(r: Details, ends: tuple[float, float]) -> Line:
    value, low, high = r["value"], r["low"], r["high"]
    marks = [] if value is None else [Mark(value, low, high)]
    risk = "-" if value is None else f"{number(value)} [{number(low)}, {number(high)}]"
    shares = (_percent(r[key]) for key in ("success", "control", "naive"))
    known = f"known: {', '.join(r['keys'])}; " if r["keys"] else ""
    return Line(
        f"{r['risk']}: {r['attack']}",
        (*shares, risk, f"{r['attacks']:,}"),
        strip(marks, ends, 0.0),
        known + r["verdict"],
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


@dataclass(frozen=True, slots=True)
class MembershipView:
    """How well an attacker tells who was learned from."""

    roc: Markup
    facts: Facts


def membership(details: Details) -> MembershipView | None:
    """The attack on all rows, and on the most outlying ones alone."""
    m = details.get("membership")
    if not m:
        return None
    title = "How well an attacker tells who was learned from"
    roc = curve([("synthetic", m["roc"])], title, "The nearer the line is to the dotted one, the less is given away.")
    alone = _found("The most outlying rows alone", m["outliers"]) if m.get("outliers") else ()
    return MembershipView(roc, (*_found("All rows", m), *alone))


def _found(whose: str, m: Details) -> Facts:
    if m["auc"] is None:
        return ()
    rates = [
        f"{_percent(told)} [{', '.join(map(_percent, m['tpr_interval'][alarms]))}] told "
        f"at {100 * float(alarms):g} % false alarms"
        for alarms, told in m["tpr"].items()
    ]
    return ((whose, "; ".join([f"AUC {number(m['auc'])} ± {number(m['auc_error'])}", *rates])),)


@dataclass(frozen=True, slots=True)
class DisclosureView:
    """synthpop's measures, for people learned from beside people never seen."""

    said: str  # what is known, and what is sought
    rows: list[tuple[str, str, str]]


def disclosure(details: Details) -> DisclosureView | None:
    """What quasi-identifiers disclose."""
    d = details.get("disclosure")
    if not d:
        return None
    unseen = d["unseen"] or {}
    told = {name: value for name, value in d.items() if isinstance(value, float)}
    rows = [(name, number(value, "%"), number(unseen.get(name), "%")) for name, value in told.items()]
    return DisclosureView(f"Known: {', '.join(d['keys'])}. Sought: {d['target']}.", rows)
