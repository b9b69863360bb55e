"""How a concert's sale stands, in the words that its page has for it. Pure."""

from datetime import datetime
from enum import StrEnum
from math import inf

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
    ENDED = "ended"
    """The concert is yet to come, and nothing is sold any more."""
    POSTPONED = "postponed"
    CALLED_OFF = "called-off"
    OVER = "over"

    @property
    def sells(self) -> bool:
        """Can seats be had, or waited for?"""
        return self in (Sale.OPEN, Sale.HELD, Sale.SOLD_OUT)


def sale(concert: Summary, now: datetime) -> Sale:
    """How it stands now."""
    if concert.status == "cancelled":
        return Sale.CALLED_OFF
    if now >= concert.over_at:
        return Sale.OVER
    if concert.status == "postponed":
        return Sale.POSTPONED
    return _on_sale(concert, now)


def _on_sale(concert: Summary, now: datetime) -> Sale:
    if concert.off_sale_at is not None and now >= concert.off_sale_at:
        return Sale.ENDED
    if concert.on_sale_at is not None and now < concert.on_sale_at:
        return Sale.BEFORE
    if concert.available_seats > 0:
        return Sale.OPEN
    return Sale.HELD if concert.held_seats > 0 else Sale.SOLD_OUT


def holds_seconds(concert: Summary, now: datetime) -> float:
    """For how many seconds the state that `sale` tells stays true, unless something but the time changes it."""
    ends = (concert.on_sale_at, concert.off_sale_at, concert.over_at)
    return min(((each - now).total_seconds() for each in ends if each is not None and each > now), default=inf)


def level(section: Section) -> str:
    """`many`, `few`, `held` or `none`: what is said of a section's seats. An exact count only where few are left."""
    if section.available_seats > FEW:
        return "many"
    if section.available_seats > 0:
        return "few"
    return "held" if section.held_seats > 0 else "none"
