"""How a concert's sale stands, in the words that its page has for it. Pure."""

from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from math import inf

from cludale.kernel.times import parse_time
from cludale.pages.shop.views import Section, Summary

FEW = 20
"""So few seats left that it is worth saying how many."""


class Sale(StrEnum):
    """Where a concert's sale stands."""

    BEFORE = "before"
    OPEN = "open"
    HELD = "held"
    """All that is left is held for orders that are not paid yet; some of it may come back."""
    SOLD_OUT = "sold-out"
    OVER = "over"


def over_at(concert: Summary) -> datetime:
    """When its sale ends: at the time that it says, or with that day, wherever on earth that day still is."""
    return _end_of(concert.ends_at or concert.date)


@lru_cache(maxsize=1_024)
def _end_of(text: str) -> datetime:
    if "T" in text:
        return parse_time(text)
    return parse_time(f"{text}T00:00:00Z") + timedelta(days=1, hours=12)


def sale(concert: Summary, now: datetime) -> Sale:
    """How it stands now."""
    if now >= over_at(concert):
        return Sale.OVER
    if concert.on_sale_at is not None and now < concert.on_sale_at:
        return Sale.BEFORE
    if concert.available_seats > 0:
        return Sale.OPEN
    return Sale.HELD if concert.held_seats > 0 else Sale.SOLD_OUT


def holds_seconds(concert: Summary, now: datetime) -> float:
    """How long what `sale` says holds, as far as the time decides about it."""
    ends = [each for each in (concert.on_sale_at, over_at(concert)) if each is not None and each > now]
    return min(((each - now).total_seconds() for each in ends), default=inf)


def level(section: Section) -> str:
    """`many`, `few`, `held` or `none`: what is said of a section's seats. An exact count only where few are left."""
    if section.available_seats > FEW:
        return "many"
    if section.available_seats > 0:
        return "few"
    return "held" if section.held_seats > 0 else "none"
