"""People and what they are called by: names, mail addresses, telephone numbers, companies, jobs, and the internet.

Everything made here belongs to no one: domains are those reserved for examples (RFC 2606), IP addresses are private or
reserved for documentation (RFC 1918, RFC 3849), and telephone numbers come from ranges reserved for fiction where a
country has such (en_US, en_GB, fr_FR, de_DE; the others are drawn at random).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from verosim.providers import ids
from verosim.providers.packs import Pool, countries, crossed, taken
from verosim.providers.patterns import ROOM, parse
from verosim.providers.subjects import Subjects, joined

MAIL_ENDS: Final = Pool.ranked(["@example.com", "@example.org", "@example.net", "@mail.example.com"], flat=2)
WEB_DOMAINS: Final = Pool.ranked([".example.com", ".example", ".example.org", ".example.net"], flat=2)
PATHS: Final = Pool.ranked(["", "/about", "/contact", "/products", "/news", "/blog", "/services", "/team"], flat=2)
TAGS: Final = Pool.weighted([""] + [str(i) for i in range(1, 100)], np.array([150.0] + [1.0] * 99))
TAGGED_ENDS: Final = crossed(TAGS.values, MAIL_ENDS.values)
SEXES: Final = pl.Series(["M", "F"])
OCTETS: Final = pl.Series([str(i) for i in range(256)])


def first_name(s: Subjects) -> pl.Series:
    return s.take("first", s.pack.first)


def last_name(s: Subjects) -> pl.Series:
    return s.take("last", s.pack.last)


def name(s: Subjects) -> pl.Series:
    """First and last names; two of the latter where that is the custom."""
    both = [first_name(s), taken(s.pack.surnames, s.choose("last", s.pack.last))]
    if s.pack.facts["last_names"] == 2:
        both.append(taken(s.pack.surnames, s.choose("last2", s.pack.last)))
    return joined(*both)


def email(s: Subjects) -> pl.Series:
    if s.numbered:
        return joined(user_name(s), s.take("mail domain", MAIL_ENDS))
    end = s.choose("tag", TAGS) * len(MAIL_ENDS) + s.choose("mail domain", MAIL_ENDS)
    return joined(*_handle(s), taken(TAGGED_ENDS, end))


def user_name(s: Subjects) -> pl.Series:
    return joined(*_handle(s), s.tag("tag", TAGS))


def _handle(s: Subjects) -> list[pl.Series]:
    """The person's first name or initial, and last name, in ASCII."""
    first = s.choose("first", s.pack.first) + s.pick("style", 4) * len(s.pack.first)
    return [taken(s.pack.handles, first), taken(s.pack.last.slugs, s.choose("last", s.pack.last))]


def phone(s: Subjects) -> pl.Series:
    return s.write("phone", parse(s.pack.text("phone")))


def company(s: Subjects) -> pl.Series:
    owner, partner = s.take("owner", s.pack.last), s.take("partner", s.pack.partners)
    trade, form = s.take("trade", s.pack.trades), s.take("form", s.pack.company_forms)
    return joined(owner, partner, " ", trade, " ", form)


def job(s: Subjects) -> pl.Series:
    return s.take("job", s.pack.jobs)


def country(s: Subjects) -> pl.Series:
    """Any country: it does not follow the locale, of which all the other places are."""
    return s.take("country", countries())


def domain(s: Subjects) -> pl.Series:
    """The company's domain, under those reserved for examples."""
    owner = taken(s.pack.last.slugs, s.choose("owner", s.pack.last))
    trade = taken(s.pack.trades.slugs, s.choose("trade", s.pack.trades))
    return joined(owner, "-", trade, s.tag("tag", TAGS), s.take("web domain", WEB_DOMAINS))


def url(s: Subjects) -> pl.Series:
    return "https://www." + domain(s) + s.take("path", PATHS)


def ip(s: Subjects) -> pl.Series:
    """IPv4 of the private block 10.0.0.0/8."""
    number = s.pick("ip", 2**24)
    low, middle, high = (taken(OCTETS, number >> shift & 255) for shift in (0, 8, 16))
    return joined("10.", high, ".", middle, ".", low)


def ipv6(s: Subjects) -> pl.Series:
    """IPv6 of the documentation block 2001:db8::/32."""
    return s.write("ipv6", parse("2001:0db8" + ":[0-9a-f]{4}" * 6))


def mac(s: Subjects) -> pl.Series:
    """A locally administered hardware address, which no maker was given."""
    return s.write("mac", parse("02" + ":[0-9a-f]{2}" * 5))


def uuid(s: Subjects) -> pl.Series:
    return ids.uuids(s.pick("uuid", ROOM), s.noise("uuid"))


def birth_day(s: Subjects) -> pl.Series:
    """A day of 1940 to 2006."""
    days = s.pick("birth", 67 * 365) - 30 * 365
    return pl.Series(days.astype(np.int32)).cast(pl.Date)


def birth_date(s: Subjects) -> pl.Series:
    """A day of 1940 to 2006, as ISO text."""
    return birth_day(s).dt.to_string("%Y-%m-%d")


def sex(s: Subjects) -> pl.Series:
    """F or M, as the first name goes."""
    share = s.pack.female[s.choose("first", s.pack.first)]
    female = s.pick("sex", 2**32) < share * 2**32
    return taken(SEXES, female)
