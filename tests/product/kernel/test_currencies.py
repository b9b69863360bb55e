"""Currencies: those that people pay with today, as ISO 4217 lists them."""

import msgspec
import pytest

from cludale.kernel.currencies import check_currency, minor_digits
from cludale.kernel.money import Money


@pytest.mark.parametrize(
    "code", ["EUR", "USD", "JPY", "KWD", "CHF", "GBP", "XCG", "ZWG", "SLE", "XAF", "XPF", "VED", "MRU"]
)
def test_a_currency_of_today_is_one(code: str) -> None:
    check_currency(code)


@pytest.mark.parametrize("code", ["EUE", "BTC", "ABC", "", "eur", "EUR ", "DEM"])
def test_what_no_list_has_is_no_currency(code: str) -> None:
    with pytest.raises(ValueError, match="not a currency in use"):
        check_currency(code)


@pytest.mark.parametrize("code", ["BGN", "HRK", "ANG", "SLL", "ZWL", "BYR", "MRO", "VEF", "CUC", "STD"])
def test_a_currency_that_has_ended_is_none_but_is_still_read_and_has_its_digits(code: str) -> None:
    with pytest.raises(ValueError, match="not a currency in use"):
        check_currency(code)
    stored = msgspec.json.decode(b'{"amount": 4500, "currency": "%s"}' % code.encode(), type=Money)
    assert str(stored) == f"45.00 {code}"


@pytest.mark.parametrize(
    "code",
    [
        "XXX",
        "XTS",
        "XAU",
        "XAG",
        "XPT",
        "XPD",
        "XDR",
        "XSU",
        "XUA",
        "XAD",
        "XBA",
        "XBB",
        "XBC",
        "XBD",
        "CHE",
        "CHW",
        "CLF",
        "UYI",
        "UYW",
        "BOV",
        "COU",
        "MXV",
        "USN",
    ],
)
def test_nobody_pays_with_funds_metals_or_codes_for_tests(code: str) -> None:
    with pytest.raises(ValueError, match="not a currency in use"):
        check_currency(code)


@pytest.mark.parametrize(
    ("code", "digits"),
    [("EUR", 2), ("JPY", 0), ("KWD", 3), ("ISK", 0), ("HUF", 2), ("IQD", 3), ("UGX", 0), ("XOF", 0), ("CLF", 4)],
)
def test_a_currency_has_the_digits_of_the_list(code: str, digits: int) -> None:
    assert minor_digits(code) == digits
