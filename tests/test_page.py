"""The page of a report: what it says, that it is whole and closed, and how it stands in a real browser."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import verosim as vs
from browser import CHROMIUM, Browser
from report_sample import HOSTILE, NOISE, report
from verosim.draws import stream
from verosim.evaluation import Measure, Report, TableReport
from verosim.evaluation.words import number, standings

ROWS = {"train": 90, "holdout": 10, "synthetic": 100}


def bare(*measures: Measure, name: str = "t", **details: Any) -> Report:
    return Report({name: TableReport(name, ROWS, 0, measures, details, ())})


def words_of(page: str) -> str:
    """What a reader reads: the text between the tags of the body."""
    body = page.split("<main", 1)[1].split("</main>")[0]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1]) if found else None


# ------------------------------------------------------------------------------------------------- what it says


def test_the_summary_names_the_worst_first_and_counts_all() -> None:
    measures = (
        Measure("shape", "lower", "%").found(0.5, 0.1, 0.5, NOISE),
        Measure("trend", "lower", "%").found(2.0, 0.1, 1.5, "mostly a x b", "near"),
        Measure("auc", "higher", section="usefulness").absent("no target"),
        Measure("copies", "lower", "%", "privacy").found(4.0, 0.1, 0.0, "copying", "far"),
        Measure("dcr", "floor", "", "privacy").found(0.9, 0.01, 0.5, "copying too", "far"),
    )
    said = standings([("t", measures)])
    assert [(s.section, s.grade) for s in said] == [("privacy", "far"), ("fidelity", "near"), ("usefulness", "none")]
    assert said[0].sentence == "2 of 2 measures show clear risks; first copies: copying."
    assert said[1].sentence == "One of 2 measures shows a small difference; it is trend: mostly a x b."
    assert said[2].sentence == "Nothing could be judged: no target."
    assert said[1].counted == "1 small difference, 1 within noise"
    unseen = [Measure(f"attack {i}", "lower", section="privacy").absent("no hold-out rows") for i in range(2)]
    little = standings([("t", (Measure("copies", "lower", "%", "privacy").found(0.0, 0.0, 0.0, NOISE), *unseen))])[0]
    assert little.grade == "none"  # no calm word for what was hardly looked at
    assert little.sentence == "Most could not be judged: no hold-out rows. Within noise of real: 1 measure of 3."
    two = standings([("one", measures[:1]), ("two", measures[1:2])])
    assert "it is two: trend" in two[0].sentence


def test_every_measure_stands_on_the_page_as_in_the_json() -> None:
    found = report()
    page = found.page()
    text = words_of(page)
    for measure in found.tables["adult"].measures:
        stands_out = not measure.of or measure.grade in ("near", "far")
        assert measure.label in text or not stands_out
        assert number(measure.value, measure.unit) in text
    data = data_of(page)
    assert data["tables"]["adult"]["measures"] == found.to_dict()["tables"]["adult"]["measures"]
    assert Report.from_dict(data).tables["adult"].measures == found.tables["adult"].measures
    assert "Internal: computed from real data" in page


@pytest.mark.parametrize(
    ("measures", "said"),
    [
        ((), "Fidelity is no part of this report."),
        ((Measure("shape", "lower").absent("no synthetic rows"),), "No column can be drawn: no synthetic rows."),
        (
            (Measure("dcr", "floor", section="privacy").absent("no hold-out rows"),),
            "No attack was made: no hold-out rows.",
        ),
        ((Measure("s", "lower").found(1.0, None, None, "not judged: too few real rows", "none"),), "too few real rows"),
    ],
)
def test_what_is_absent_says_why(measures: tuple[Measure, ...], said: str) -> None:
    found = bare(*measures)
    page = found.page()
    assert said in words_of(page)
    assert not re.search(r">\s*(nan|None|inf)\b", page)
    for card in re.findall(r'<div class="card".*?</div>', page, re.DOTALL):
        assert re.sub(r"<[^>]+>|\s", "", card), "an empty box"
    assert "nan" not in found.summary().replace("synthetic", "")


def test_details_that_are_empty_or_none_are_as_good_as_absent() -> None:
    names = ("columns", "pairs", "pair_table", "correlations", "detector", "projection", "usefulness", "regression")
    empty: dict[str, Any] = dict.fromkeys((*names, "risks", "membership", "disclosure"))
    assert words_of(bare(**empty).page()) == words_of(bare().page())
    blank = {"kind": "ordered", "edges": [], "labels": [], "levels": [], "train": [], "holdout": None, "synthetic": []}
    rest = {"missing": {"train": 1.0, "holdout": None, "synthetic": 1.0}, "shape": 0.0, "floor": None, "moments": None}
    page = bare(columns={"all null": {**blank, **rest}}).page()
    assert "100.00 % real, 100.00 % synthetic" in words_of(page)


def test_several_tables_have_their_own_parts_and_a_place_for_relations() -> None:
    found = report(6, ("customers", "orders"))
    page = found.page()
    for part in (
        "t0-fidelity",
        "t0-usefulness",
        "t0-privacy",
        "t1-fidelity",
        "relations",
        "summary",
        "reading",
        "notes",
    ):
        assert f'id="{part}"' in page
        assert f'href="#{part}"' in page
    assert "no measure across tables" in words_of(page)
    linked = replace(found, relations=(Measure("children", "lower").found(0.2, 0.1, 0.2, NOISE),))
    assert "children" in words_of(linked.page())
    assert 'id="relations"' not in report(6).page()


# ------------------------------------------------------------------------------------------------- whole and closed


def test_a_page_loads_nothing_and_allows_only_its_own_script() -> None:
    page = report(hostile=True).page()
    assert "default-src 'none'" in page
    assert len(re.findall(r"sha256-[\w+/=]{44}", page)) == 1
    assert page.count("<script") == 2  # its own, and the data
    markup = page.split("</style>", 1)[1].split('<script type="application/json"')[0]
    assert not re.search(r'<[^>]*\s(?:src|href)="(?!#|data:)', markup)
    assert not re.search(r"<img|<iframe|<link|\son\w+", re.sub(r">[^<]*<|=\"[^\"]*\"", "><", markup))


def test_names_from_data_are_only_text() -> None:
    page = report(20, hostile=True).page()
    assert "<script>document" not in page
    assert "49" not in re.findall(r"<bdi>([^<]*)</bdi>", page)  # of {{ 7 * 7 }}
    assert not re.search("[\x00-\x08\x0b-\x1f]", page)
    assert set(data_of(page)["tables"]["adult"]["details"]["columns"]) >= set(HOSTILE)
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("n_columns", "n_tables"), [(200, 1), (40, 15)])
def test_a_page_stays_below_three_megabytes(n_columns: int, n_tables: int) -> None:
    page = report(n_columns, tuple(f"table {i}" for i in range(n_tables))).page()
    assert len(page.encode()) < 3_000_000
    assert page.count('class="item"') > 40
    if n_tables == 1:
        assert data_of(page) is not None
        assert len(set(re.findall(r'<details class="item"', page))) == 1
        assert page.count("data-worst=") == 200


def test_save_goes_by_the_suffix(tmp_path: Path) -> None:
    found = report(3)
    found.save(tmp_path / "r.html")
    found.save(tmp_path / "r.json")
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == found.page()
    assert Report.from_dict(json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))) == found


def test_a_notebook_shows_the_same_numbers_in_short() -> None:
    found = report(20, hostile=True)
    text = found._repr_html_()
    assert "<script" not in text
    assert len(text) < 30_000
    for measure in found.tables["adult"].measures:
        assert measure.of or number(measure.value, measure.unit) in text


def test_the_terminal_says_the_same_by_section() -> None:
    found = report()
    lines = found.summary().splitlines()
    assert lines[0] == "adult: synthetic 32,561, train 32,561, hold-out 16,281 rows"
    heads = [line for line in lines if re.match(r" [!~=-] (fidelity|usefulness|privacy): ", line)]
    assert len(heads) == 3
    for measure in found.tables["adult"].measures:
        if not measure.of or measure.grade in ("near", "far"):
            assert any(measure.label in line and number(measure.value, measure.unit) in line for line in lines)


# ------------------------------------------------------------------------------------------------- in a browser

CUT = """(() => {
  const wide = document.documentElement.clientWidth, out = [];
  const told = (e) => `${e.tagName} ${e.className?.baseVal ?? e.className} ${(e.textContent || "").slice(0, 40)}`;
  for (const e of document.querySelectorAll("body *")) {
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (!box.width || style.visibility === "hidden" || e.closest(".unseen-text, .skip, thead, script, style")) continue;
    if (box.right > wide + 1 || box.left < -1) out.push(`beyond the page: ${told(e)}`);
    const clips = /hidden|clip/.test(style.overflowX) && style.textOverflow !== "ellipsis";
    if (clips && e.scrollWidth > e.clientWidth + 1) out.push(`cut: ${told(e)}`);
    const card = e.closest(".card");
    if (card && box.right > card.getBoundingClientRect().right + 1) out.push(`beyond its card: ${told(e)}`);
  }
  return out.slice(0, 5);
})()"""
CONTRAST = """(() => {
  const shade = ([r, g, b]) => {
    const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
  };
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const back = (e) => {
    for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; }
    return [255, 255, 255];
  };
  const out = [];
  for (const e of document.querySelectorAll("h1, h2, h3, p, td, th, a, .grade, .soft, dt, dd, text, button")) {
    const svg = e.tagName === "text", style = getComputedStyle(e);
    const [a, b] = [shade(rgba(svg ? style.fill : style.color)), shade(back(svg ? e.ownerSVGElement : e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) out.push(`${ratio.toFixed(2)} ${e.tagName} ${e.className?.baseVal ?? e.className}`);
  }
  return [...new Set(out)].slice(0, 5);
})()"""
SECTIONS = (
    "summary", "t0-fidelity", "t0-columns", "t0-pairs", "t0-detector", "t0-rows", "t0-usefulness", "t0-privacy",
    "reading", "notes",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs chromium: apt-get install chromium")
    opened = Browser(tmp_path_factory.mktemp("chromium"))
    yield opened
    opened.close()


def measured(holdout: bool = True) -> Report:
    """A real report: of rows like the real ones but for one column, which is shifted."""

    def rows(n: int, seed: int) -> pl.DataFrame:
        rng = stream(70, seed)
        a, b = rng.normal(size=n), rng.choice(["x", "y <i>", "z"], n)
        days = [dt.date(2020, 1, 1) + dt.timedelta(days=int(d)) for d in rng.integers(0, 900, n)]
        odd = {"null": [None] * n, "same": [1] * n, "inf": np.where(rng.random(n) < 0.1, np.inf, a)}
        return pl.DataFrame({"a": a, "b": b, "c": np.where(a > 0, "yes", "no"), "when": days, **odd})

    shifted = rows(300, 3).with_columns(pl.col("a") + 1)
    return vs.evaluate(rows(300, 1), shifted, rows(150, 2) if holdout else None, target="c", seed=1)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    found = {
        "usual": report(),
        "hostile": report(20, hostile=True),
        "wide": report(200),
        "several": report(6, ("customers", "orders")),
        "bare": bare(),
        "measured": measured(),
        "no hold-out": measured(holdout=False),
    }
    for name, each in found.items():
        each.save(folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in found}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("name", ["usual", "hostile", "several", "bare", "measured", "no hold-out"])
def test_a_page_stands_in_a_browser(
    browser: Browser, pages: dict[str, Path], name: str, width: int, dark: bool
) -> None:
    browser.open(pages[name], width, dark=dark)
    browser.tell("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    browser.tell("document.querySelectorAll('.more > input').forEach((i) => { i.checked = true })")
    assert browser.errors == []
    assert browser.tell("document.documentElement.scrollWidth") == width
    assert browser.tell(CUT) == []
    assert browser.tell(CONTRAST) == []
    assert browser.tell("document.title").endswith("synthetic rows beside real ones")
    assert browser.tell("document.images.length") == 0
    missing = [s for s in SECTIONS if not browser.tell(f"document.getElementById('{s}')?.checkVisibility()")]
    assert missing == []


def test_a_page_is_told_to_those_who_do_not_see_it(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["usual"], 1400)
    untold = "[...document.querySelectorAll('svg')].filter((s) => !s.querySelector('title') && s.ariaHidden !== 'true')"
    assert browser.tell(f"{untold}.length") == 0
    levels = browser.tell("[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert browser.tell(
        "[...document.querySelectorAll('table')].every((t) => t.caption && t.querySelector('th[scope]'))"
    )
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert browser.tell("document.activeElement.textContent") == "To the content"


def test_many_columns_are_found_by_name_and_put_in_order(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["wide"], 390)
    assert browser.tell("document.documentElement.scrollWidth") == 390
    shown = (
        "[...document.querySelectorAll('#t0-list > li')].filter((li) => li.checkVisibility())"
        ".map((li) => li.dataset.name)"
    )
    assert len(browser.tell(shown)) == 10

    def after(part: str, value: str, event: str) -> list[str]:
        """The names that are shown once a part of the tools has this value."""
        control = f"document.querySelector('.tools {part}')"
        browser.tell(f"{control}.value = {value!r}; {control}.dispatchEvent(new Event('{event}'))")
        return browser.tell(shown)

    found = after("input", "MEASURED_19", "input")
    assert sorted(found) == sorted(f"measured_{i}" for i in (19, *range(190, 200)))
    assert after("input", "nothing has this name", "input") == []
    assert len(after("input", "", "input")) == 200
    assert after("select", "place", "change")[:2] == ["age", "workclass"]
    assert browser.errors == []


def test_the_numbers_can_be_saved_from_the_page(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    browser.open(pages["hostile"], 1400)
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path), eventsEnabled=True)
    browser.tell("document.getElementById('save').click()")
    browser.wait("Browser.downloadProgress", state="completed")
    (saved,) = tmp_path.iterdir()
    assert saved.name == "adult.report.json"
    assert Report.from_dict(json.loads(saved.read_text(encoding="utf-8"))).tables["adult"].rows["train"] == 32_561


def test_a_cell_says_its_number_and_the_theme_can_be_changed(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["hostile"], 1400)
    point = (
        "(() => { const map = document.querySelector('#t0-pairs > figure svg'), box = map.getBoundingClientRect();"
        "map.dispatchEvent(new PointerEvent('pointermove', { clientX: box.right - 60, clientY: box.bottom - 60 }));"
        "return map.parentElement.querySelector('.pointer').textContent })()"
    )
    assert re.fullmatch(r".* × .*: [\d.]+", browser.tell(point), re.DOTALL)
    before = browser.tell("getComputedStyle(document.body).backgroundColor")
    browser.tell("document.getElementById('theme').click()")
    assert browser.tell("getComputedStyle(document.body).backgroundColor") != before
    assert browser.errors == []


def test_paper_is_light_and_has_no_buttons(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["usual"], 1000, dark=True, media="print")
    assert browser.tell("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.tell("[...document.querySelectorAll('button, .tools')].every((e) => !e.checkVisibility())")
    assert browser.tell(CONTRAST) == []


def test_without_its_script_the_page_says_the_same(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    text = pages["usual"].read_text(encoding="utf-8")
    browser.open(pages["usual"], 1400)
    with_script = browser.tell("document.querySelector('main').textContent")
    (tmp_path / "still.html").write_text(text.rpartition("<script>")[0] + "</body></html>", encoding="utf-8")
    browser.open(tmp_path / "still.html", 1400)
    assert browser.tell("document.querySelector('main').textContent") == with_script
    assert browser.tell("[...document.querySelectorAll('button, .tools')].every((e) => !e.checkVisibility())")
