"""How money is written in the four languages: what is shown is what is charged."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cludale.kernel.languages import NAMES
from cludale.kernel.money import Money
from cludale.runtime.languages import Language

AS_WRITTEN = [
    ("en", Money(4500, "EUR"), "€45.00"),
    ("de", Money(450_005, "EUR"), "4.500,05 €"),
    ("fr", Money(-320, "EUR"), "-3,20 €"),
    ("es", Money(1_000, "JPY"), "1000 JPY"),
    ("es", Money(-999_999, "EUR"), "-9999,99 €"),
    ("es", Money(1_000_000, "EUR"), "10.000,00 €"),
    ("de", Money(100_000, "EUR"), "1.000,00 €"),
    ("fr", Money(99_999, "EUR"), "999,99 €"),
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


@pytest.mark.parametrize(("code", "text"), [("en", "1,234"), ("de", "1.234"), ("fr", "1 234"), ("es", "1234")])
def test_spanish_separates_no_group_of_a_number_with_four_digits(code: str, text: str) -> None:
    """CLDR 48 has `minimumGroupingDigits` 2 for Spanish, as browsers do it; Babel 2.19 does not go by it."""
    language = Language(code, Path())
    assert plain(language.number(1_234)) == text
    assert len(plain(language.number(12_345))) == 6


@pytest.mark.parametrize("code", NAMES)
def test_every_digit_of_an_amount_is_there_in_every_language(code: str) -> None:
    for currency in ("HUF", "IQD", "COP", "ALL", "RSD", "EUR", "JPY", "KWD"):
        written = Language(code, Path()).money(Money(123_456_789, currency))
        assert "".join(each for each in written if each.isdigit()) == "123456789"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "December 1, 2026, 19:05 UTC"),
        ("de", "1. Dezember 2026, 19:05 UTC"),
        ("fr", "1 décembre 2026, 19:05 UTC"),
        ("es", "1 de diciembre de 2026, 19:05 UTC"),
    ],
)
def test_a_moment_is_written_as_the_language_has_it(code: str, text: str) -> None:
    assert Language(code, Path()).when(datetime(2026, 12, 1, 19, 5, tzinfo=UTC)) == text


@pytest.mark.parametrize(
    ("code", "value", "text"),
    [("en", 7.5, "7.5%"), ("de", 7.5, "7,5 %"), ("fr", 8.875, "8,875 %"), ("es", 19.0, "19 %"), ("de", 19.6, "19,6 %")],
)
def test_a_rate_is_written_as_the_language_has_it(code: str, value: float, text: str) -> None:
    assert plain(Language(code, Path()).percent(value)) == text


NAMED = [
    ("Europe/Berlin", 7, "Central European Summer Time, GMT+02:00"),
    ("Europe/Berlin", 1, "Central European Standard Time, GMT+01:00"),
    ("Australia/Lord_Howe", 1, "Lord Howe Daylight Time, GMT+11:00"),
    ("Australia/Lord_Howe", 7, "Lord Howe Standard Time, GMT+10:30"),
    ("Europe/Dublin", 7, "Irish Time, GMT+01:00"),
    ("Europe/Dublin", 1, "Irish Time, UTC"),
    ("Eire", 7, "Irish Time, GMT+01:00"),
    ("Asia/Tokyo", 7, "Japan Time, GMT+09:00"),
    ("America/Vancouver", 1, "Pacific Time, GMT-07:00"),
    ("America/Los_Angeles", 1, "Pacific Standard Time, GMT-08:00"),
    ("UTC", 7, "UTC"),
    ("Etc/GMT+5", 7, "GMT-05:00"),
]


@pytest.mark.parametrize(("zone", "month", "text"), NAMED)
def test_a_zone_is_named_as_its_offset_has_it(zone: str, month: int, text: str) -> None:
    """By the zones of tzdata 2026f and the names of CLDR in Babel 2.19."""
    moment = datetime(2027, month, 15, 20, tzinfo=ZoneInfo(zone))
    assert Language("en", Path()).zone(moment, ZoneInfo(zone)) == text


def test_in_the_winter_in_which_a_zone_stays_on_its_summer_time_it_has_neither_name() -> None:
    moment = datetime(2026, 12, 15, 20, tzinfo=ZoneInfo("America/Vancouver"))
    assert Language("en", Path()).zone(moment, ZoneInfo("America/Vancouver")) == "Pacific Time, GMT-07:00"


def plain(text: str) -> str:
    """With plain spaces: which kind of space there is, is the language's own matter."""
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")
