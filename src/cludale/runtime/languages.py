"""A language at work: the words of a catalogue, and how it writes money and times.

A module of its own, for Babel takes long to load and most processes never need it.
"""

import gettext
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import get_global
from babel.dates import format_date, format_datetime, get_timezone_gmt, get_timezone_name
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent, get_currency_precision, parse_pattern

from cludale.kernel.currencies import minor_digits
from cludale.kernel.languages import DEFAULT, NAMES
from cludale.kernel.money import Money
from cludale.kernel.times import parse_time

_DIGITS_BEFORE_GROUPING = {"es": 2}
"""How many digits stand before the first separator at least; 1 elsewhere: Spanish has 1234 and 12.345.

CLDR 48 says so (`minimumGroupingDigits`), which Babel 2.19 passes over.
"""


_NOWHERE = "Etc/"
"""How the names begin of UTC and its like, which are no place's time."""

_HALF_A_YEAR = timedelta(days=182)


class Language:
    """One of `kernel.languages.NAMES`, with the words of the catalogue that lies in `folder`."""

    def __init__(self, code: str, folder: Path) -> None:
        """Raises KeyError for a language that there is not."""
        self.code = code
        self.name = NAMES[code]
        self._folder = folder
        self._locale = Locale(code)

    @cached_property
    def words(self) -> gettext.NullTranslations:
        """What is said in it; English is what templates and code say themselves."""
        if self.code == DEFAULT:
            return gettext.NullTranslations()
        with (self._folder / f"{self.code}.po").open("rb") as file:
            catalogue, compiled = read_po(file, locale=self.code, abort_invalid=True), BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        return gettext.GNUTranslations(compiled)

    def money(self, amount: Money) -> str:
        """45,00 € or €45.00, to the last minor unit.

        Babel alone would round: for some currencies CLDR has fewer digits than ISO 4217, such as none for HUF,
        COP and IQD, so Babel 2.19 makes `HUF10` of 10.45.
        """
        digits, usual = minor_digits(amount.currency), get_currency_precision(amount.currency)
        if amount.amount % 10 ** max(0, digits - usual) == 0:
            digits = min(digits, usual)
        pattern = parse_pattern(self._locale.currency_formats["standard"].pattern)
        pattern.frac_prec = (digits, digits)
        value = Decimal(amount.amount).scaleb(-minor_digits(amount.currency))
        written: str = pattern.apply(
            value,
            self._locale,
            currency=amount.currency,
            currency_digits=False,
            group_separator=self._is_grouped(value),
        )
        return written

    def country(self, code: str) -> str:
        """The name of a country, by its code of ISO 3166-1."""
        return str(self._locale.territories.get(code, code))

    def number(self, value: int) -> str:
        """1,234."""
        return format_decimal(value, locale=self._locale, group_separator=self._is_grouped(value))

    def percent(self, value: float) -> str:
        """7.5%, with all of its digits."""
        return format_percent(Decimal(str(value)) / 100, locale=self._locale, decimal_quantization=False)

    def day(self, text: str) -> str:
        """A day, or the day of a time in its own offset, with the day of the week."""
        if "T" not in text:
            return format_date(date.fromisoformat(text), "full", locale=self._locale)
        return format_date(parse_time(text).date(), "full", locale=self._locale)

    def hour(self, text: str) -> str:
        """The time of day in its own offset; empty where `text` is a day."""
        return format_datetime(parse_time(text), "HH:mm", locale=self._locale) if "T" in text else ""

    def when(self, moment: datetime, zone: ZoneInfo | None = None) -> str:
        """A time with its zone: pages can't know where somebody is, so it is said."""
        shown = moment if zone is None else moment.astimezone(zone)
        return f"{self._day_and_hour(shown)} {self._offset(shown, 'short')}"

    def moment(self, moment: datetime, zone: tzinfo | None) -> str:
        """A time in a sentence: `June 5, 2027, 19:30 (GMT+02:00)`."""
        shown = moment if zone is None else moment.astimezone(zone)
        return f"{self._day_and_hour(shown)} ({self._offset(shown, 'long')})"

    def _day_and_hour(self, shown: datetime) -> str:
        return f"{format_date(shown.date(), 'long', locale=self._locale)}, {shown:%H:%M}"

    def zone(self, moment: datetime, zone: ZoneInfo | None) -> str:
        """The zone of a moment for people: `Central European Summer Time, GMT+02:00`; the offset alone without one.

        A zone without a summer time of its own has its name alone: `Irish Time`, `Japan Time`.
        """
        shown = moment if zone is None else moment.astimezone(zone)
        offset = self._offset(shown, "long")
        if zone is None:
            return offset
        if get_global("zone_aliases").get(zone.key, zone.key).startswith(_NOWHERE):
            return offset
        name = get_timezone_name(shown, "long", locale=self._locale, zone_variant=_variant(shown))
        return f"{name}, {offset}"

    def _offset(self, moment: datetime, width: Literal["long", "short"]) -> str:
        return get_timezone_gmt(moment, width=width, locale=self._locale) if moment.utcoffset() else "UTC"

    def _is_grouped(self, value: Decimal | int) -> bool:
        """Is so large a number written with separators?"""
        digits = 3 + _DIGITS_BEFORE_GROUPING.get(self.code, 1)
        return len(str(abs(int(value)))) >= digits


def _variant(moment: datetime) -> Literal["daylight", "standard", "generic"]:
    """Is it the zone's summer time, or the time from which that differs half a year away? Else neither is its name.

    Babel 2.19 alone calls standard all that the time zone data do not call summer time. But in their words Ireland has
    it in winter, by minus one hour, so the Irish summer became Greenwich Mean Time; and Vancouver, which since 2026
    keeps what was its summer time, came to Pacific Standard Time, an hour behind.
    """
    if _ahead(moment) > timedelta():
        return "daylight"
    summers = [each for each in (moment - _HALF_A_YEAR, moment + _HALF_A_YEAR) if _ahead(each) > timedelta()]
    return "standard" if _offset(moment) in [_offset(each) - _ahead(each) for each in summers] else "generic"


def _ahead(moment: datetime) -> timedelta:
    return moment.dst() or timedelta()


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta()
