"""The languages of the pages: which one a person reads, its words, and how it writes money and times."""

import gettext
from collections.abc import Mapping
from datetime import date, datetime
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, get_timezone_gmt
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal

from cludale.kernel.currencies import minor_digits
from cludale.kernel.money import Money
from cludale.kernel.times import parse_time

FOLDER = Path(__file__).parent / "locale"
COOKIE = "language"
NAMES: Mapping[str, str] = {"en": "English", "de": "Deutsch", "fr": "Français", "es": "Español"}
"""Those that there are; the first where a person reads none of them."""
DEFAULT = next(iter(NAMES))


class Language:
    """One of them."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.name = NAMES[code]
        self._locale = Locale(code)

    @cached_property
    def words(self) -> gettext.NullTranslations:
        """What pages say in it; English is what the templates say themselves."""
        if self.code == DEFAULT:
            return gettext.NullTranslations()
        with (FOLDER / f"{self.code}.po").open("rb") as file:
            catalogue, compiled = read_po(file, locale=self.code, abort_invalid=True), BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        return gettext.GNUTranslations(compiled)

    def money(self, amount: Money) -> str:
        """45,00 € or €45.00."""
        return format_currency(
            amount.amount / 10 ** minor_digits(amount.currency), amount.currency, locale=self._locale
        )

    def number(self, value: int) -> str:
        """1,234."""
        return format_decimal(value, locale=self._locale)

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
        written = format_datetime(shown, "d MMMM y, HH:mm", locale=self._locale)
        mark = get_timezone_gmt(shown, width="short", locale=self._locale)
        return f"{written} {'UTC' if not shown.utcoffset() else mark}"


@lru_cache
def language(code: str) -> Language:
    """One of NAMES. Raises KeyError."""
    return Language(code)


def wanted(asked: str | None, cookie: str | None, accept: str | None) -> Language:
    """What the address asks for, else what was chosen before, else what the browser says, else English."""
    for code in (asked, cookie):
        if code in NAMES:
            return language(code)
    return language(_accepted(accept or ""))


@lru_cache(maxsize=256)
def _accepted(header: str) -> str:
    """The best of an Accept-Language header (RFC 9110, section 12.5.4)."""
    best, quality = DEFAULT, 0.0
    for each in header.split(",")[:20]:
        tag, _, parameter = each.strip().partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        code = tag.strip().lower().partition("-")[0]
        if code in NAMES and weight > quality:
            best, quality = code, weight
    return best
