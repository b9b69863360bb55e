"""Currencies of today, and how many digits they have: ISO 4217, list one, as the package `iso4217` keeps it.

What nobody can pay with is left out: funds and units of account (CLF, CHE, XDR), metals (XAU), XTS and XXX.
"""

from collections.abc import Mapping
from functools import cache

_OF_ACCOUNT = frozenset({"UYW", "XAD"})
"""Units of account that have minor units, and no mark in the list that they are some."""


def minor_digits(currency: str) -> int:
    """How many digits of an amount come after the point: two for EUR, none for JPY; two for any that has ended."""
    return _list().get(currency, (2, False))[0]


def check_currency(code: str) -> None:
    """Raises ValueError, with words for whoever sent it, for what is no currency of today that money is paid in."""
    if code not in _current():
        raise ValueError(f"{code[:10]!r} is not a currency in use (ISO 4217)")


@cache
def _current() -> frozenset[str]:
    return frozenset(code for code, (_, is_fund) in _list().items() if not is_fund) - _OF_ACCOUNT


@cache
def _list() -> Mapping[str, tuple[int, bool]]:
    """Code → digits, and whether it is a fund; what has no minor units at all ("N.A.") is left out."""
    from iso4217 import raw_xml  # noqa: PLC0415 - it parses its table, which `cludale --help` can do without

    listed = {}
    for entry in raw_xml.iter("CcyNtry"):
        code, digits, name = entry.findtext("Ccy"), entry.findtext("CcyMnrUnts"), entry.find("CcyNm")
        if code and digits and digits.isdecimal() and name is not None:
            listed[code] = int(digits), name.get("IsFund") == "true"
    return listed
