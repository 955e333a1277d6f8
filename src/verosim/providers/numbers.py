"""Numbers that offices and banks give out, with valid check digits: cards, accounts, taxes, people, cars.

Makers spell the body as bytes (n, length), and append check characters worked out for all rows at once. Where a range
exists that is given to no one (US 9xx, UK QQ, bank codes of zeros, test banks), numbers are taken from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from verosim.providers.patterns import Bytes, parse, to_text
from verosim.providers.subjects import Subjects

Values = npt.NDArray[np.int64]
ZERO: Final = ord("0")


def digits(body: Bytes) -> Values:
    """The values (n, length) of bytes: 0-9 of digits, 10-35 of capital letters."""
    numbers = body.astype(np.int64)
    return np.where(numbers >= ord("A"), numbers - ord("A") + 10, numbers - ZERO)


def whole(body: Bytes) -> Values:
    """The number (n,) that a body of at most 18 digits writes."""
    return np.asarray(digits(body) @ (10 ** np.arange(body.shape[1] - 1, -1, -1, dtype=np.int64)))


def glue(*parts: Bytes | Values | str) -> Bytes:
    """Bytes side by side: (n, length) as they are, (n,) single bytes, texts for every row."""
    n = next(len(p) for p in parts if not isinstance(p, str))
    blocks = []
    for part in parts:
        if isinstance(part, str):
            blocks.append(np.tile(np.frombuffer(part.encode(), np.uint8), (n, 1)))
        else:
            blocks.append((part if part.ndim == 2 else part[:, None]).astype(np.uint8))
    return np.concatenate(blocks, axis=1)


def padded(numbers: Values, length: int) -> Bytes:
    """Numbers (n,) as bytes (n, length) of decimal digits."""
    places = 10 ** np.arange(length - 1, -1, -1, dtype=np.int64)
    return (numbers[:, None] // places % 10 + ZERO).astype(np.uint8)


# ------------------------------------------------------------------------------------------------- check digits


def luhn(body: Bytes) -> Values:
    """The check digit (n,) of ISO/IEC 7812-1."""
    values = digits(body)
    values[:, ::-2] *= 2
    return -(values // 10 + values % 10).sum(axis=1) % 10 + ZERO


def mod97(body: Bytes) -> Values:
    """The rest (n,) of the number modulo 97, letters read as two digits (ISO 7064).

    Each place of the body is a letter in all rows, or a digit in all rows.
    """
    values = digits(body)
    weights, weight = [], 1
    for place in range(body.shape[1] - 1, -1, -1):
        weights.append(weight)
        weight = weight * (100 if len(values) and values[0, place] > 9 else 10) % 97
    return np.asarray((values.astype(np.float64) @ np.array(weights[::-1], np.float64)).astype(np.int64) % 97)


def mod11_10(body: Bytes) -> Values:
    """The check digit (n,) of ISO 7064 MOD 11,10, as in German tax numbers."""
    product = np.full(len(body), 10, np.int64)
    for value in digits(body).T:
        total = (value + product) % 10
        product = np.where(total == 0, 10, total) * 2 % 11
    return (11 - product) % 10 + ZERO


def mod11(body: Bytes, weights: list[int]) -> Values:
    """The Brazilian check digit (n,): 11 less the weighted sum modulo 11, with 10 and 11 as 0."""
    rest = digits(body) @ np.array(weights) % 11
    return np.where(rest < 2, 0, 11 - rest) + ZERO


# ------------------------------------------------------------------------------------------------- banks

IBANS: Final[Mapping[str, str]] = {  # country: account part; its bank code is one that is not given out
    "ES": "0000[0-9]{16}", "DE": "0[0-9]{17}", "FR": "00000[0-9]{18}", "IT": "[A-Z]00000[0-9]{17}",
    "GB": "TEST[0-9]{14}", "BR": "99999999[0-9]{15}[A-Z][0-9]",
}  # fmt: skip


def iban(s: Subjects) -> pl.Series:
    """An account number with valid check digits; a German one for countries that have none."""
    country = str(s.pack.facts["code"])
    country = country if country in IBANS else "DE"
    account = s.spell("iban", parse(IBANS[country]))
    check = 98 - mod97(glue(account, country, "00"))
    return to_text(glue(country, padded(check, 2), account))


def card(s: Subjects) -> pl.Series:
    """A 16-digit card number with a valid last digit, of two series that makers of cards keep for tests."""
    body = s.spell("card", parse("[45]00000[0-9]{9}"))
    return to_text(glue(body, luhn(body)))


def card_expiry(s: Subjects) -> pl.Series:
    """Month and year, 01/27 to 12/31."""
    return s.write("expiry", parse("(0[1-9]|1[0-2])/(2[7-9]|3[01])"))


def bic(s: Subjects) -> pl.Series:
    """A bank code whose eighth character, 0, says that it is for tests (ISO 9362)."""
    return s.write("bic", parse(f"[A-Z]{{4}}{s.pack.facts['code']}[A-Z2-9]0"))


# ------------------------------------------------------------------------------------------------- people

DNI_LETTERS: Final = np.frombuffer(b"TRWAGMYFPDXBNJZSQVHLCKE", np.uint8)
CURP_ORDER: Final = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
FISCAL_ODD: Final = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21]  # of 0-9 and A-J; then of K-Z
FISCAL_ODD_REST: Final = [2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]


def _dni(s: Subjects) -> Bytes:
    body = s.spell("national", parse("[0-9]{8}"))
    return glue(body, DNI_LETTERS[whole(body) % 23])


def _ssn(s: Subjects) -> Bytes:
    return s.spell("national", parse("9[0-9]{2}-[1-4][0-9]-[0-9]{4}"))


def _nino(s: Subjects) -> Bytes:
    return s.spell("national", parse("QQ[0-9]{6}[A-D]"))


def _nir(s: Subjects) -> Bytes:
    """Sex, year, month, department, place, order; then 97 less the rest modulo 97. Month 20 is of the unknown."""
    body = s.spell("national", parse("[12][0-9]{2}20[1-8][0-9][0-9]{3}[0-9]{3}"))
    return glue(body, padded(97 - whole(body) % 97, 2))


def _steuer_id(s: Subjects) -> Bytes:
    body = s.spell("national", parse("[1-9][0-9]{9}"))
    return glue(body, mod11_10(body))


def _codice_fiscale(s: Subjects) -> Bytes:
    consonants = "[BCDFGLMNPRSTVZ]"
    body = s.spell("national", parse(f"{consonants}{{6}}[0-9]{{2}}[ABCDEHLMPRST][0-2][1-8][A-M][0-9]{{3}}"))
    values = digits(body)
    odd = np.array([*FISCAL_ODD, *FISCAL_ODD, *FISCAL_ODD_REST])[values]
    even = np.where(values > 9, values - 10, values)
    total = odd[:, ::2].sum(axis=1) + even[:, 1::2].sum(axis=1)
    return glue(body, total % 26 + ord("A"))


def _cpf(s: Subjects) -> Bytes:
    body = s.spell("national", parse("[0-9]{9}"))
    first = mod11(body, list(range(10, 1, -1)))
    second = mod11(glue(body, first), list(range(11, 1, -1)))
    return glue(body[:, :3], ".", body[:, 3:6], ".", body[:, 6:], "-", first, second)


def _curp(s: Subjects) -> Bytes:
    states = "(AS|BC|CL|DF|GR|JC|MC|NL|OC|PL|QR|SL|SR|VZ|YN|ZS)"
    body = s.spell("national state", parse("[A-Z][AEIOU][A-Z]{2}[0-9]{2}0[1-9][12][0-8][HM]"))
    state = np.array([list(t.encode()) for t in states[1:-1].split("|")], np.uint8)[s.pick("state", 16)]
    rest = s.spell("national", parse("[BCDFGHJKLMNPQRSTVWXYZ]{3}[0-9]"))
    body = glue(body, state, rest)
    values = digits(body)
    values += values > CURP_ORDER.index("N")  # Ñ stands after N, and shifts what follows it
    return glue(body, -(values @ np.arange(18, 1, -1)) % 10 + ZERO)


_NATIONAL: Final[Mapping[str, Callable[[Subjects], Bytes]]] = {
    "US": _ssn, "GB": _nino, "ES": _dni, "MX": _curp, "FR": _nir, "DE": _steuer_id, "IT": _codice_fiscale, "BR": _cpf,
}  # fmt: skip


def national_id(s: Subjects) -> pl.Series:
    """SSN, NINO, DNI, CURP, NIR, Steuer-ID, codice fiscale or CPF, by country, with valid check characters."""
    return to_text(_NATIONAL[str(s.pack.facts["code"])](s))


# ------------------------------------------------------------------------------------------------- firms and cars


def _vat_us(s: Subjects) -> Bytes:
    return s.spell("vat", parse("0[07-9]-[0-9]{7}"))


def _vat_gb(s: Subjects) -> Bytes:
    body = s.spell("vat", parse("[1-9][0-9]{6}"))
    total = digits(body) @ np.arange(8, 1, -1)
    return glue("GB", body, padded(97 - total % 97, 2))


def _vat_es(s: Subjects) -> Bytes:
    body = s.spell("vat", parse("[0-9]{7}"))
    return glue("B", body, luhn(body))


def _vat_fr(s: Subjects) -> Bytes:
    body = s.spell("vat", parse("[1-9][0-9]{7}"))
    siren = glue(body, luhn(body))
    return glue("FR", padded((12 + 3 * (whole(siren) % 97)) % 97, 2), siren)


def _vat_de(s: Subjects) -> Bytes:
    body = s.spell("vat", parse("[1-9][0-9]{7}"))
    return glue("DE", body, mod11_10(body))


def _vat_it(s: Subjects) -> Bytes:
    body = s.spell("vat", parse("[0-9]{7}[01][0-9]{2}"))
    return glue("IT", body, luhn(body))


def _vat_br(s: Subjects) -> Bytes:
    body = s.spell("vat", parse("[0-9]{8}0001"))
    weights = [5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]
    first = mod11(body, weights)
    second = mod11(glue(body, first), [6, *weights])
    return glue(body[:, :2], ".", body[:, 2:5], ".", body[:, 5:8], "/", body[:, 8:], "-", first, second)


def _vat_mx(s: Subjects) -> Bytes:
    return s.spell("vat", parse("[A-Z]{3}[0-9]{2}0[1-9][12][0-8][A-Z0-9]{3}"))


_VAT: Final[Mapping[str, Callable[[Subjects], Bytes]]] = {
    "US": _vat_us, "GB": _vat_gb, "ES": _vat_es, "MX": _vat_mx, "FR": _vat_fr, "DE": _vat_de, "IT": _vat_it,
    "BR": _vat_br,
}  # fmt: skip


def vat(s: Subjects) -> pl.Series:
    """The tax number of a firm (EIN, VAT, CIF, CNPJ, RFC), by country, with valid check digits where it has them."""
    return to_text(_VAT[str(s.pack.facts["code"])](s))


def license_plate(s: Subjects) -> pl.Series:
    return s.write("plate", parse(s.pack.text("license_plate")))
