"""A concert: what it is, when and how it is sold. No I/O, clock or HTTP."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

import msgspec
from msgspec import UNSET, UnsetType

from cludale.kernel import dates
from cludale.kernel.decision import Decision
from cludale.kernel.money import Money
from cludale.kernel.principals import DEFAULT_ORGANIZER
from cludale.kernel.refusals import Refusal
from cludale.kernel.tills import MOST_AT_OFFICE, Till
from cludale.ports.prices import UnderTheMinimum
from cludale.ports.seats import (
    CalledOff,
    ConcertNotFound,
    ConcertOver,
    NotOnSale,
    OtherCurrency,
    OverTheLimit,
    PriceTooHigh,
    SaleEnded,
    SalePaused,
    SectionNotFound,
)
from cludale.services.concerts.events import ConcertScheduled, ConcertStatus, Particulars, SectionPlan


class ConcertExists(Refusal):
    """The id is taken by another concert."""

    def __init__(self, concert_id: str) -> None:
        super().__init__(f"There is a concert {concert_id!r} already.", id=concert_id)


_NOTHING_MORE = Particulars()


class Postponement(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What buyers were told when a concert was moved."""

    revision: int
    """The concert's, by that."""
    reason: str
    cancel_until: datetime


class Concert(msgspec.Struct, frozen=True, kw_only=True, rename="camel", dict=True):
    """A scheduled concert. Its seats are elsewhere, one aggregate a section.

    What it becomes is in changes/domain.py. `sections` stay as they were scheduled: how many seats a section has now,
    and at what price, it says itself.
    """

    id: str
    artist: str
    date: str
    venue: str | None
    sections: tuple[SectionPlan, ...]
    on_sale_at: datetime | None
    max_per_order: int
    listed: bool = True
    """Is it among those that can be found? Who knows the id of another can look at it and buy."""
    ends_at: str | None = None
    """When it is over, where it goes on after `date`: the last day of a festival, or a time."""
    cancel_until: datetime | None = None
    """When buyers can no longer cancel, if it is not when it begins."""
    organizer_id: str | UnsetType = msgspec.field(default=UNSET, name="organizer")
    """Whose it is; unset, as in concerts written before this field existed: the default organizer's."""
    max_per_buyer: int | UnsetType = UNSET
    """The most tickets of one buyer; unset, as in concerts written before this field existed: any number."""
    particulars: Particulars | UnsetType = UNSET
    said: ConcertStatus | UnsetType = msgspec.field(default=UNSET, name="status")
    """Its status; unset, as in concerts written before this field existed: `listed` says it."""
    changed: int | UnsetType = msgspec.field(default=UNSET, name="revision")
    """How often it was changed; unset: never."""
    why: str | UnsetType = msgspec.field(default=UNSET, name="reason")
    """Why it is postponed or cancelled, if it is."""
    moved: Postponement | UnsetType = UNSET
    """How it was moved last; unset, as in concerts written before this field existed: that is not known."""

    @property
    def more(self) -> Particulars:
        """What else is said of it."""
        return _NOTHING_MORE if self.particulars is UNSET else self.particulars

    @property
    def zone(self) -> str | None:
        """Its time zone, if it is known."""
        return None if self.particulars is UNSET else self.particulars.zone

    @property
    def status(self) -> ConcertStatus:
        """Where it is in its life."""
        if self.said is not UNSET:
            return self.said
        return ConcertStatus.LISTED if self.listed else ConcertStatus.UNLISTED

    @property
    def revision(self) -> int:
        """How often it was changed."""
        return 0 if self.changed is UNSET else self.changed

    @property
    def reason(self) -> str | None:
        """Why it is postponed or cancelled, if it is."""
        return None if self.why is UNSET else self.why

    @property
    def organizer(self) -> str:
        """Whose it is."""
        return DEFAULT_ORGANIZER if self.organizer_id is UNSET else self.organizer_id

    @cached_property
    def over_at(self) -> datetime:
        """From when on nothing is sold."""
        return dates.over(self.date, self.ends_at, self.zone)

    @cached_property
    def begins(self) -> datetime:
        """When it begins: the time, or the day there."""
        return dates.begins(self.date, self.zone)

    @property
    def last_day(self) -> str:
        """The last day of it, there where it is."""
        return dates.local_day(self.ends_at or self.date)

    def is_on_from(self, since: str) -> bool:
        """Is it on at this time or later, or on this day there or later?"""
        if dates.is_day(since):
            return self.last_day >= since
        moment = dates.begins(since)
        return self.over_at > moment or self.begins >= moment

    def is_on_until(self, until: str) -> bool:
        """Does it begin by this time, or by the end of this day there?"""
        if dates.is_day(until):
            return dates.local_day(self.date) <= until
        return self.begins <= dates.begins(until)

    @cached_property
    def cancellable_until(self) -> datetime:
        """From when on only the organizer can cancel an order."""
        if self.status is ConcertStatus.POSTPONED and self.moved is not UNSET:
            return self.moved.cancel_until
        return self.begins if self.cancel_until is None else self.cancel_until

    def plan(self, section: str) -> SectionPlan:
        """The section's plan. Raises SectionNotFound."""
        for plan in self.sections:
            if plan.id == section:
                return plan
        raise SectionNotFound(self.id, section)

    def offered(self, prices: Mapping[str, Money]) -> tuple[SectionPlan, ...]:
        """The sections that an order which names none can get: the cheapest first, of equal ones that listed first.

        `prices` are those that differ by now from what was scheduled. A section that is free of charge is had only by
        name, unless all of them are: nobody gets free tickets by chance.
        """
        amounts = {plan.id: prices.get(plan.id, plan.price).amount for plan in self.sections}
        paid = [plan for plan in self.sections if amounts[plan.id]]
        return tuple(sorted(paid or self.sections, key=lambda plan: amounts[plan.id]))


def schedule(concert: Concert) -> Decision[Concert]:
    """Put a concert on."""
    scheduled = ConcertScheduled(
        concert_id=concert.id,
        artist=concert.artist,
        date=concert.date,
        venue=concert.venue,
        sections=concert.sections,
        on_sale_at=concert.on_sale_at,
        max_per_order=concert.max_per_order,
        listed=concert.listed,
        ends_at=concert.ends_at,
        cancel_until=concert.cancel_until,
        organizer_id=concert.organizer_id,
        particulars=concert.particulars,
        status=concert.said,
        max_per_buyer=concert.max_per_buyer,
    )
    return Decision(as_scheduled(scheduled), (scheduled,))


def as_scheduled(event: ConcertScheduled) -> Concert:
    """The concert as it was put on."""
    return Concert(
        id=event.concert_id,
        artist=event.artist,
        date=event.date,
        venue=event.venue,
        sections=event.sections,
        on_sale_at=event.on_sale_at,
        max_per_order=event.max_per_order,
        listed=event.listed,
        ends_at=event.ends_at,
        cancel_until=event.cancel_until,
        organizer_id=event.organizer_id,
        particulars=event.particulars,
        said=event.status,
        max_per_buyer=event.max_per_buyer,
    )


def check_currency(concert: Concert, most: Money, *, field: str = "maxPrice.currency") -> None:
    """Is the most that a seat, or all, may cost in the currency of the prices? Raises OtherCurrency."""
    currency = concert.sections[0].price.currency
    if currency != most.currency:
        raise OtherCurrency(concert.id, currency, field=field)


def check_price(concert: Concert, max_price: Money, price: Money) -> None:
    """May a seat cost this? Raises OtherCurrency, PriceTooHigh."""
    check_currency(concert, max_price)
    if price.amount > max_price.amount:
        raise PriceTooHigh(concert.id, max_price=max_price, price_from=price)


def check_on_sale(concert: Concert, *, quantity: int, now: datetime, till: Till | None = None) -> None:
    """May this be ordered at all? At the box office (`till`) the limits of an order are not those of buyers, nor is the
    time of the sale, if that is said.

    Raises ConcertNotFound for a draft, CalledOff, SalePaused, ConcertOver, NotOnSale, SaleEnded, UnderTheMinimum,
    OverTheLimit.
    """
    if concert.said is not UNSET:
        _check_status(concert)
    if now >= concert.over_at:
        raise ConcertOver(concert.id, concert.over_at)
    if till is not None:
        _check_at_office(concert, till, quantity=quantity, now=now)
        return
    _check_time(concert, now)
    more = concert.more
    if more.min_per_order is not None and quantity < more.min_per_order:
        raise UnderTheMinimum(concert.id, wanted=quantity, least=more.min_per_order)
    if quantity > concert.max_per_order:
        raise OverTheLimit(concert.id, wanted=quantity, limit=concert.max_per_order)


def _check_time(concert: Concert, now: datetime) -> None:
    if concert.on_sale_at is not None and now < concert.on_sale_at:
        raise NotOnSale(concert.id, concert.on_sale_at)
    off_sale_at = concert.more.off_sale_at
    if off_sale_at is not None and now >= off_sale_at:
        raise SaleEnded(concert.id, off_sale_at)


def _check_at_office(concert: Concert, till: Till, *, quantity: int, now: datetime) -> None:
    if not till.any_time:
        _check_time(concert, now)
    if quantity > MOST_AT_OFFICE:
        raise OverTheLimit(concert.id, wanted=quantity, limit=MOST_AT_OFFICE)


def _check_status(concert: Concert) -> None:
    match concert.status:
        case ConcertStatus.DRAFT:
            raise ConcertNotFound(concert.id)
        case ConcertStatus.CANCELLED:
            raise CalledOff(concert.id, concert.reason)
        case ConcertStatus.POSTPONED:
            raise SalePaused(concert.id)
