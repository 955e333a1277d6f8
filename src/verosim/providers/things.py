"""Things that people buy and use: products with their category and price, colours, browsers."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import polars as pl

from verosim.providers.packs import Pool, read_data, taken
from verosim.providers.subjects import Subjects

STYLES: Final = Pool.ranked(
    ["", "Classic ", "Compact ", "Eco ", "Premium ", "Light ", "Pro ", "Basic ", "Retro "], flat=2
)
FACTORS: Final = np.array([1.0, 1.0, 0.8, 1.15, 1.6, 0.9, 1.4, 0.6, 1.1])  # on the price, by style
COLOURS: Final = Pool.ranked(
    [
        "black",
        "white",
        "grey",
        "blue",
        "red",
        "green",
        "brown",
        "beige",
        "navy",
        "pink",
        "yellow",
        "orange",
        "purple",
        "turquoise",
    ],
    flat=4,
)
DEPARTMENTS: Final = Pool.ranked(
    [
        "Sales", "Operations", "Engineering", "Customer service", "Finance", "Marketing", "Human resources", "Research",
        "Purchasing", "Legal",
    ],
    flat=3,
)  # fmt: skip
SYSTEMS: Final = Pool.ranked(
    ["Windows NT 10.0; Win64; x64", "Linux; Android 15; K", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64"],
    flat=1,
)
ENGINE: Final = "AppleWebKit/537.36 (KHTML, like Gecko)"


@cache
def _products() -> tuple[pl.Series, pl.Series, np.ndarray]:
    rows = [line.split("|") for line in read_data("products.txt").splitlines()]
    categories, names, prices = zip(*rows, strict=True)
    return pl.Series(categories), pl.Series(names), np.array(prices, dtype=float)


def _which(s: Subjects) -> np.ndarray:
    return s.pick("product", len(_products()[1]))


def product(s: Subjects) -> pl.Series:
    """A product's name, such as `Compact table lamp`; English in every locale."""
    text = s.take("product style", STYLES) + taken(_products()[1], _which(s))
    return text.str.slice(0, 1).str.to_uppercase() + text.str.slice(1)


def category(s: Subjects) -> pl.Series:
    """The category that the product is of."""
    return taken(_products()[0], _which(s))


def list_price(s: Subjects) -> pl.Series:
    """About what such a product costs, ending in .99, .95, .49 or .00, as a number."""
    style = s.choose("product style", STYLES)
    around = 0.7 + 0.6 * s.pick("product price", 1000) / 1000
    whole = np.maximum(1, np.round(_products()[2][_which(s)] * FACTORS[style] * around))
    ending = np.array([-0.01, -0.05, -0.51, 0.0])[s.pick("product ending", 4)]
    return pl.Series(np.round(whole + ending, 2))


def price(s: Subjects) -> pl.Series:
    """About what such a product costs."""
    return list_price(s).cast(pl.String)


def colour(s: Subjects) -> pl.Series:
    return s.take("colour", COLOURS)


def department(s: Subjects) -> pl.Series:
    """A part of a company; English in every locale."""
    return s.take("department", DEPARTMENTS)


def user_agent(s: Subjects) -> pl.Series:
    """How a browser names itself."""
    system = s.take("system", SYSTEMS)
    version = pl.Series(120 + s.pick("browser version", 26)).cast(pl.String)
    chrome = "Mozilla/5.0 (" + system + f") {ENGINE} Chrome/" + version + ".0.0.0 Safari/537.36"
    firefox = "Mozilla/5.0 (" + system + "; rv:" + version + ".0) Gecko/20100101 Firefox/" + version + ".0"
    edge = chrome + " Edg/" + version + ".0.0.0"
    which = pl.Series(s.pick("browser", 10))
    return chrome.zip_with(which < 7, firefox.zip_with(which < 9, edge))
