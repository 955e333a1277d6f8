"""How bodies grow: the CDC's own printed values, and what follows from the method."""

from __future__ import annotations

import numpy as np
import pytest

from verosim.draws import stream
from verosim.patients.life.growth import (
    Bodies,
    Growing,
    bmi_of,
    bmi_percentile,
    chart,
    from_z,
    grow,
    to_z,
)

Z = {3: -1.880794, 50: 0.0, 97: 1.880794}


@pytest.mark.parametrize(  # percentiles 3, 50 and 97 as the CDC's tables print them
    ("name", "girl", "months", "printed"),
    [
        ("height", False, 24.5, (80.26037, 86.86161, 93.45923)),
        ("weight", False, 12.5, (8.534275, 10.458854, 12.916450)),
        ("head", True, 6.5, (40.433794, 42.710336, 45.265629)),
        ("bmi", True, 120.5, (13.740743, 16.862314, 24.603328)),
    ],
)
def test_charts_give_the_printed_percentiles(name: str, girl: bool, months: float, printed: tuple[float, ...]) -> None:
    z = np.array(list(Z.values()))
    values = chart(name).value(np.full(3, girl), np.full(3, months), z)
    assert values == pytest.approx(printed, rel=2e-5)
    assert chart(name).z(np.full(3, girl), np.full(3, months), values) == pytest.approx(z, abs=1e-9)


def test_a_power_of_zero_is_the_exponential() -> None:
    one = np.ones(1)
    assert from_z(0 * one, 10 * one, 0.1 * one, one) == pytest.approx(10 * np.exp(0.1))
    assert to_z(0 * one, 10 * one, 0.1 * one, 10 * np.exp(0.1 * one)) == pytest.approx(1.0)


def test_extended_bmi_has_its_inverse_and_meets_the_chart_at_the_95th_percentile() -> None:
    z = np.array([-1.0, 0.0, 1.5, 1.6, 1.7, 2.0, 3.0])
    girls, months = np.zeros(7, bool), np.full(7, 150.0)
    bmi = bmi_of(girls, months, z)
    assert (np.diff(bmi) > 0).all()
    share = bmi_percentile(girls, months, bmi)
    assert share == pytest.approx([0.158655, 0.5, 0.933193, 0.945201, 0.955435, 0.977250, 0.998650], abs=1e-6)
    # by hand: a boy of 12.5 years, sigma = .3728 + .5196 x 12.5 - .0091 x 12.5^2 = 5.4459; 2 sd is percentile 97.725,
    # which is the .7725 quantile of the half normal's whole: .7471 sigma above the 95th percentile's half-way point
    edge = chart("bmi").value(girls[:1], months[:1], np.array([1.644854]))
    assert bmi[5] - edge[0] == pytest.approx(5.4459 * 0.7471, abs=0.01)


def people(n: int, options: Growing | None = None) -> Bodies:
    rng = stream(7, "growth")
    return grow(rng.random(n) < 0.5, rng.standard_normal((n, 23)), options)


def test_a_life_of_growth_is_smooth_and_adds_up() -> None:
    bodies, who = people(500), np.arange(500)
    heights = np.array([bodies.height(who, np.full(500, float(m))) for m in range(0, 1200, 6)])
    weights = np.array([bodies.weight(who, np.full(500, float(m))) for m in range(0, 1200, 6)])
    assert (np.diff(heights[:40], axis=0) > -0.5).all()  # charts of lying and standing children meet at two years
    assert (heights[41:] == heights[41]).all()  # the charts' last point is 20 years and a half month
    assert (weights > 1.0).all()
    assert np.abs(np.diff(weights, axis=0)).max() < 30
    bmi = bodies.bmi(who, np.full(500, 360.0))
    assert bmi == pytest.approx(weights[60] / (heights[60] / 100) ** 2)


def test_neighbouring_birthdays_are_tied_as_asked_and_spread_no_wider() -> None:
    z = people(20_000).bmi_z
    ties = [np.corrcoef(z[:, i], z[:, i + 1])[0, 1] for i in range(18)]
    assert ties == pytest.approx(Growing().ties, abs=0.01)  # of 20,000 people: the error is below .003
    assert z.mean(axis=0) == pytest.approx([0.35] * 19, abs=0.03)
    assert z.std(axis=0) == pytest.approx([1.0] * 19, abs=0.02)


def test_the_grown_put_on_weight_until_49_and_lose_it_from_60() -> None:
    bodies, who = people(50, Growing(gain=(1, 1), loss=(0.5, 0.5))), np.arange(50)
    at = {years: bodies.weight(who, np.full(50, years * 12.0)) for years in (21, 31, 49, 55, 60, 70)}
    assert at[31] - at[21] == pytest.approx(10.0)
    assert at[49] - at[21] == pytest.approx(28.0)
    assert at[60] == pytest.approx(at[55])
    assert at[60] - at[70] == pytest.approx(5.0)
