"""How money is written in the four languages: what is shown is what is charged."""

from pathlib import Path

import pytest

from cludale.kernel.languages import NAMES
from cludale.kernel.money import Money
from cludale.runtime.languages import Language

AS_WRITTEN = [
    ("en", Money(4500, "EUR"), "€45.00"),
    ("de", Money(450_005, "EUR"), "4.500,05 €"),
    ("fr", Money(-320, "EUR"), "-3,20 €"),
    ("es", Money(1_000, "JPY"), "1.000 JPY"),
    ("en", Money(1_234_567, "KWD"), "KWD1,234.567"),
]
NOT_ROUNDED = [
    ("en", Money(1_045, "HUF"), "HUF10.45"),
    ("de", Money(104_500, "HUF"), "1.045 HUF"),
    ("en", Money(1_250, "IQD"), "IQD1.250"),
    ("en", Money(25_000, "IQD"), "IQD25"),
    ("es", Money(12_345_678_901_234_567, "COP"), "123.456.789.012.345,67 COP"),
]


@pytest.mark.parametrize(("code", "amount", "text"), AS_WRITTEN)
def test_money_is_written_as_the_language_has_it(code: str, amount: Money, text: str) -> None:
    assert plain(Language(code, Path()).money(amount)) == text


@pytest.mark.parametrize(("code", "amount", "text"), NOT_ROUNDED)
def test_no_minor_unit_is_rounded_away_where_people_mostly_leave_them_out(code: str, amount: Money, text: str) -> None:
    """CLDR, which Babel 2.19 goes by, has no digits for HUF, COP, IQD; ISO 4217, by which is charged, has 2, 2, 3."""
    assert plain(Language(code, Path()).money(amount)) == text


@pytest.mark.parametrize("code", NAMES)
def test_every_digit_of_an_amount_is_there_in_every_language(code: str) -> None:
    for currency in ("HUF", "IQD", "COP", "ALL", "RSD", "EUR", "JPY", "KWD"):
        written = Language(code, Path()).money(Money(123_456_789, currency))
        assert "".join(each for each in written if each.isdigit()) == "123456789"


def plain(text: str) -> str:
    """With plain spaces: which kind of space there is, is the language's own matter."""
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")
