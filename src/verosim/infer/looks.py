"""What single values look like: mail addresses, telephone numbers, and numbers whose check digits hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

Test = Callable[[str], bool]


def look(pattern: str, flags: int = 0) -> Test:
    compiled = re.compile(pattern, flags)
    return lambda text: compiled.fullmatch(text) is not None


def is_card(text: str) -> bool:
    """13 to 19 digits of which the last is Luhn's check digit (ISO/IEC 7812-1).

    >>> is_card("4111 1111 1111 1111"), is_card("4111 1111 1111 1112")
    (True, False)
    """
    if not re.fullmatch(r"[2-6]\d{3}([ -]?\d){9,15}", text):
        return False
    digits = [int(c) for c in text if c.isdecimal()]
    return (sum(digits[-1::-2]) + sum(sum(divmod(2 * d, 10)) for d in digits[-2::-2])) % 10 == 0


def is_iban(text: str) -> bool:
    """An account number whose check digits hold (ISO 13616).

    >>> is_iban("GB82 WEST 1234 5698 7654 32"), is_iban("GB83 WEST 1234 5698 7654 32")
    (True, False)
    """
    bare = text.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", bare):
        return False
    return int("".join(str(int(c, 36)) for c in bare[4:] + bare[:4])) % 97 == 1


def is_dni(text: str) -> bool:
    """A Spanish DNI or NIE whose letter holds.

    >>> is_dni("12345678Z"), is_dni("X1234567L"), is_dni("12345678A")
    (True, True, False)
    """
    match = re.fullmatch(r"([XYZ]?)[- ]?(\d{7,8})[- ]?([A-Z])", text.upper())
    if not match or len(match[1]) + len(match[2]) != 8:
        return False
    number = int((str("XYZ".index(match[1])) if match[1] else "") + match[2])
    return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == match[3]


def is_cpf(text: str) -> bool:
    """A Brazilian CPF whose two check digits hold.

    >>> is_cpf("529.982.247-25"), is_cpf("529.982.247-26")
    (True, False)
    """
    if not re.fullmatch(r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}", text):
        return False
    digits = [int(c) for c in text if c.isdecimal()]
    for length in (9, 10):
        rest = sum(d * (length + 1 - i) for i, d in enumerate(digits[:length])) % 11
        if digits[length] != (0 if rest < 2 else 11 - rest):
            return False
    return True


def is_nir(text: str) -> bool:
    """A French social security number whose key holds.

    >>> is_nir("2 55 08 14 168 025 38"), is_nir("2 55 08 14 168 025 39")
    (True, False)
    """
    bare = text.replace(" ", "")
    return bool(re.fullmatch(r"[12]\d{14}", bare)) and 97 - int(bare[:13]) % 97 == int(bare[13:])


def is_steuer_id(text: str) -> bool:
    """A German tax number of persons whose last digit holds (ISO 7064 MOD 11,10).

    >>> is_steuer_id("86095742719"), is_steuer_id("86095742718")
    (True, False)
    """
    bare = text.replace(" ", "")
    if not re.fullmatch(r"[1-9]\d{10}", bare):
        return False
    product = 10
    for digit in bare[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(bare[10])


def is_codice_fiscale(text: str) -> bool:
    """An Italian codice fiscale whose last letter holds.

    >>> is_codice_fiscale("RSSMRA85T10A562S"), is_codice_fiscale("RSSMRA85T10A562T")
    (True, False)
    """
    if not re.fullmatch(r"[A-Z]{6}\d\d[A-EHLMPR-T]\d\d[A-Z]\d{3}[A-Z]", text):
        return False
    odd = "BAKPLCQDREVOSFTGUHMINJWZYX"  # the letter that counts 0, 1, 2 ... at odd places
    values = ["ABCDEFGHIJ"[int(c)] if c.isdecimal() else c for c in text[:15]]
    total = sum(odd.index(c) for c in values[::2]) + sum(ord(c) - ord("A") for c in values[1::2])
    return chr(ord("A") + total % 26) == text[15]


is_ssn = look(r"(?!000|666)\d{3}-(?!00)\d{2}-(?!0000)\d{4}")
is_nino = look(r"[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]")
is_curp = look(r"[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{5}[A-Z0-9]\d")
NATIONAL: Final[dict[str, Test]] = {
    "es_ES": is_dni, "it_IT": is_codice_fiscale, "es_MX": is_curp, "fr_FR": is_nir, "pt_BR": is_cpf, "en_US": is_ssn,
    "en_GB": is_nino, "de_DE": is_steuer_id,
}  # fmt: skip

is_email = look(r"[^\s@,;<>]+@[^\s@,;<>]+\.[^\s@,;<>]{2,}|[^\s@,;<>]+@localhost")
is_url = look(r"(?:https?|ftp)://\S+|www\.\S+\.\S+", re.IGNORECASE)
is_ip = look(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:/\d\d?)?")
is_ipv6 = look(r"(?=.*:.*:)(?=.*[0-9a-fA-F])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}")
is_mac = look(r"[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}|(?:[0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}")
is_world_phone = look(r"\+[1-9]\d{0,2}[ .\-(]*\d(?:[ .\-()/]*\d){5,13}(?:x\d+)?")
is_phone = look(
    r"(?:(?:\+|00)\d{1,3}[ .-]*)?\(?\d{1,5}\)?(?:[ .\-/()]*\d){4,12}(?: ?(?:x|ext\.?) ?\d+)?", re.IGNORECASE
)
is_word = look(r"[^\W\d_][^\W\d_'’ʼ.\- ]*(?:[ '’ʼ.\-]+[^\W\d_]+\.?)*")  # letters; one or several words
is_short = look(r".{1,60}")


def is_name(text: str) -> bool:
    return len(text) <= 60 and is_word(text.strip().replace(", ", " ")) and len(text.split()) <= 6


is_street = look(r"(?=.*[^\W\d_]{2}).*\d.*|.*[^\W\d_]{3}.* .*", re.DOTALL)
is_postcode = look(r"(?=.*\d)[A-Z0-9]{1,5}(?:[ -]?[A-Z0-9]{2,5})?", re.IGNORECASE)
is_handle = look(r"[\w.\-@]{2,40}")
is_host = look(r"(?:[\w-]+\.)+[a-z]{2,}", re.IGNORECASE)
is_plate = look(r"(?=.*\d)(?=.*[A-Z])[A-Z0-9]{1,4}(?:[ -]?[A-Z0-9]{1,4}){1,3}")
is_bic = look(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?")
is_tax_number = look(r"(?=(?:.*\d){5})[A-Z]{0,4}[ -]?[A-Z0-9](?:[ ./-]?[A-Z0-9]){5,15}", re.IGNORECASE)
is_expiry = look(r"(?:0?[1-9]|1[0-2])[/-](?:20)?\d\d")
is_digits = look(r"\d{12,19}|\d{4}(?:[ -]\d{4,6}){2,4}")


def share_of(values: list[str], test: Test) -> float:
    """The share of values that pass, between 0 and 1."""
    return sum(test(v.strip()) for v in values) / len(values)
