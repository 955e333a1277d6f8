"""The tables over all patients: organizations, providers and payers, with what the blocks add up to."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from verosim.files import disk
from verosim.patients.exports.block import Block, place_ids
from verosim.patients.exports.tables import shaped
from verosim.patients.names import NONE
from verosim.patients.population import Array

COUNTED: Final = ("encounters", "medications", "procedures", "immunizations")
PARTS: Final = {"encounters": 0, "medications": 1, "procedures": 2, "immunizations": 4}  # a claim line's table
GRAIN: Final = 2.0**20  # amounts are summed up in such parts of one: exactly, and so alike in any order


class Totals:
    """Sums by organization, clinician and insurer over whole lives, block by block."""

    def __init__(self) -> None:
        self.frames: dict[str, pl.DataFrame] = {}
        self.sums: dict[str, Array] = {}

    def add(self, block: Block) -> None:
        self.frames = {
            name: block.extra[name] for name in ("organizations", "providers", "payers") if name in block.extra
        }
        if "organizations" in self.frames:
            self._care(block)
        if "payers" in self.frames:
            self._money(block)

    def _sum(self, name: str, numbers: Array, frame: str, weights: Array | None = None) -> None:
        known = numbers != NONE
        height = self.frames[frame].height
        weights = None if weights is None else np.round(weights[known] * GRAIN) / GRAIN
        found = np.bincount(numbers[known], weights, height)[:height].astype(np.float64)
        self.sums[name] = self.sums.get(name, 0.0) + found

    def _care(self, block: Block) -> None:
        rows = np.flatnonzero(block.kept[block["encounters"]["patient"]])
        organization = block.own("encounters", "organization", rows, NONE)
        self._sum("utilization", organization, "organizations")
        self._sum("revenue", organization, "organizations", block.own("encounters", "total_cost", rows, 0.0))
        self._sum("visits", block.own("encounters", "provider", rows, NONE), "providers")
        at = block["procedures"]["encounter"][np.flatnonzero(block.kept[block["procedures"]["patient"]])]
        self._sum("procedures", block.own("encounters", "provider", at[at != NONE], NONE), "providers")

    def _money(self, block: Block) -> None:
        lines = block.extra.get("claim_lines")
        if lines is not None and lines.height:
            lines = lines.filter(pl.Series(block.kept[lines["patient"].to_numpy()]))
            payer = lines["payer"].to_numpy()
            covered = lines["covered"].to_numpy()
            self._sum("covered", payer, "payers", covered)
            self._sum("uncovered", payer, "payers", lines["cost"].to_numpy() - covered)
            for name in COUNTED:
                mine = lines["table"].to_numpy() == PARTS[name]
                paid = covered > 0
                self._sum(f"covered {name}", payer[mine & paid], "payers")
                self._sum(f"uncovered {name}", payer[mine & ~paid], "payers")
        self._members(block)

    def _members(self, block: Block) -> None:
        coverage, plans = block.record.tables.get("coverage"), block.extra.get("plans")
        if coverage is None or plans is None or not len(coverage):
            return
        rows = np.flatnonzero(block.kept[coverage["patient"]])
        patient, plan = coverage["patient"][rows], coverage["plan"][rows]
        payer = np.append(plans["payer"].to_numpy(), self.frames["payers"].height - 1)[plan]
        people = block.people
        end = np.minimum(np.minimum(coverage["stop"][rows], people.stop[patient]), people.death[patient])
        months = np.maximum(end - coverage["start"][rows], 0) / (30.4375 * 86_400_000)
        self._sum("months", payer, "payers", np.round(months))
        self._sum("premiums", payer, "payers", months * coverage["premium"][rows])
        pairs = np.unique(patient.astype(np.int64) * 2**20 + payer) % 2**20
        self._sum("customers", pairs, "payers")
        quality = block.extra.get("quality")
        if quality is not None and quality.height:
            year = ((coverage["start"][rows] - people.birth[patient]) // (365.25 * 86_400_000)).astype(np.int64)
            asked = pl.DataFrame({"patient": patient.astype(np.int64), "year": year, "payer": payer})
            joined = asked.join(quality.select(pl.col("patient").cast(pl.Int64), pl.col("year").cast(pl.Int64), "qols"),
                                on=["patient", "year"], how="inner")  # fmt: skip
            self._sum("quality", joined["payer"].to_numpy(), "payers", joined["qols"].to_numpy())
            self._sum("quality years", joined["payer"].to_numpy(), "payers")

    def save(self, folder: Path) -> None:
        """Write the sums into `totals.json` of a part."""
        kept = {name: frame.write_json() for name, frame in self.frames.items()}
        text = json.dumps(
            {"sums": {name: list(map(float, total)) for name, total in self.sums.items()}, "frames": kept}
        )
        with disk.atomic(folder / ".totals.json") as sink:
            sink.write(text.encode())

    def load(self, folder: Path) -> None:
        """Add the sums of a part."""
        told = json.loads((folder / ".totals.json").read_text(encoding="utf-8"))
        for name, text in told["frames"].items():
            self.frames.setdefault(name, pl.read_json(io.StringIO(text)))
        for name, total in told["sums"].items():
            self.sums[name] = self.sums.get(name, 0.0) + np.array(total)

    # ------------------------------------------------------------------------------------------ the tables

    def tables(self) -> dict[str, pl.DataFrame]:
        """organizations and providers that cared for somebody, and all payers."""
        out = {}
        if "organizations" in self.frames:
            out["organizations"] = self._organizations()
        if "providers" in self.frames:
            out["providers"] = self._providers()
        if "payers" in self.frames:
            out["payers"] = self._payers()
        return out

    def _fact(self, frame: str, name: str, dtype: Any = pl.String) -> pl.Series:
        found = self.frames[frame]
        if name in found.columns:
            return found[name].cast(dtype)
        return pl.Series([None], dtype=dtype).new_from_index(0, found.height)

    def _total(self, name: str, frame: str) -> Array:
        return self.sums.get(name, np.zeros(self.frames[frame].height))

    def _organizations(self) -> pl.DataFrame:
        used = self._total("utilization", "organizations")
        columns = {
            name: self._fact("organizations", name.lower())
            for name in ("NAME", "ADDRESS", "CITY", "STATE", "ZIP", "PHONE")
        }
        where = {name: self._fact("organizations", name.lower(), pl.Float64) for name in ("LAT", "LON")}
        ids = place_ids("organizations", len(used))
        found = shaped("organizations", columns | where | {
            "Id": ids, "REVENUE": self._total("revenue", "organizations"), "UTILIZATION": used.astype(np.int64),
        })  # fmt: skip
        return found.filter(pl.col("UTILIZATION") > 0)

    def _providers(self) -> pl.DataFrame:
        own = self._fact("providers", "organization", pl.Int64).to_numpy()
        at = {name: self._fact("organizations", name.lower())[own] for name in ("ADDRESS", "CITY", "STATE", "ZIP")}
        where = {name: self._fact("organizations", name.lower(), pl.Float64)[own] for name in ("LAT", "LON")}
        columns = {name: self._fact("providers", name.lower()) for name in ("NAME", "GENDER", "SPECIALITY")}
        found = shaped("providers", columns | at | where | {
            "Id": place_ids("providers", len(own)),
            "ORGANIZATION": place_ids("organizations", self.frames["organizations"].height)[own],
            "ENCOUNTERS": self._total("visits", "providers").astype(np.int64),
            "PROCEDURES": self._total("procedures", "providers").astype(np.int64),
        })  # fmt: skip
        return found.filter(pl.col("ENCOUNTERS") > 0)

    def _payers(self) -> pl.DataFrame:
        total = {
            name: self._total(name, "payers")
            for name in ("covered", "uncovered", "premiums", "quality", "quality years")
        }
        empty = dict.fromkeys(
            ("ADDRESS", "CITY", "STATE_HEADQUARTERED", "ZIP", "PHONE"), self._fact("payers", "address")
        )
        counts = {f"{kind.upper()}_{name.upper()}": self._total(f"{kind} {name}", "payers").astype(np.int64)
                  for name in COUNTED for kind in ("covered", "uncovered")}  # fmt: skip
        return shaped("payers", empty | counts | {
            "Id": place_ids("payers", len(total["covered"])), "NAME": self._fact("payers", "name"),
            "OWNERSHIP": self._fact("payers", "ownership"),
            "AMOUNT_COVERED": total["covered"], "AMOUNT_UNCOVERED": total["uncovered"], "REVENUE": total["premiums"],
            "UNIQUE_CUSTOMERS": self._total("customers", "payers").astype(np.int64),
            "QOLS_AVG": total["quality"] / np.maximum(total["quality years"], 1),
            "MEMBER_MONTHS": self._total("months", "payers").astype(np.int64),
        })  # fmt: skip
