"""What is shown of a concert and its sections over HTTP."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, Meta

from cludale.kernel.money import Money
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.directory import ConcertSnapshot
from cludale.services.concerts.events import ConcertStatus
from cludale.services.concerts.prices.api import CategoryPrice, prices_now, shown
from cludale.services.concerts.prices.price_list import Pricing
from cludale.services.concerts.stock import Section
from cludale.web.responses import Response, json_response

_PRICE_FROM = (
    "of one seat in the cheapest section that has one left: the section that an order for it gets which names none. "
    "A section that is free of charge counts only where all are"
)


_STATUS = (
    "draft: only its organizer sees it, and nothing is sold. listed: it is found. unlisted: found by its id. "
    "postponed: tickets stay valid, nothing is sold until its new time is known. cancelled: called off, all money goes "
    "back"
)


MAX_PER_BUYER = (
    "the most tickets of one buyer, known by userId, e-mail address and phone number, over all of their orders that "
    "are not cancelled; without it any number"
)


_OFFER = "how many minutes seats are held for who waited for them on the waiting list"


OfferMinutes = Annotated[int, Meta(ge=1, le=10_080, description=_OFFER)]


PRICING = (
    "categories, tiers, fees and tax; null where a seat costs what its section says and nothing is added. Hidden "
    "categories are shown to the organizer only"
)


_HELD_BACK = "kept for a purpose until an end: GET /concerts/{id}/blocks"


_WAITING = "how many orders wait for seats of it: while any does, what comes back is theirs, the first first"


ZONE_OF = (
    "the zone of the seating plan that is this section: its seats have numbers. Without one they are sold by quantity"
)


_ACCESSIBLE = "of those that are available: wheelchair and companion places, which nobody gets who doesn't ask for them"


class SectionView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A section as it stands now."""

    id: str
    name: str
    total_seats: int
    available_seats: int
    held_seats: Annotated[int, Meta(description="held for orders that are not paid yet")]
    held_until: Annotated[datetime | None, Meta(description="when the next of these come back, if they are not paid")]
    held_back_seats: Annotated[int, Meta(description=_HELD_BACK)] = 0
    waiting: Annotated[int, Meta(description=_WAITING)] = 0
    price: Money
    zone: Annotated[str | None, Meta(description=ZONE_OF)] = None
    accessible_seats: Annotated[int, Meta(description=_ACCESSIBLE)] = 0
    prices: Annotated[
        list[CategoryPrice], Meta(description="what the next ticket costs, by category, where there is a price list")
    ] = []


class ConcertSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A concert as it stands now; its seat counts are the sums over its sections."""

    id: str
    organizer: Annotated[str, Meta(description="whose it is")]
    artist: str
    title: Annotated[str | None, Meta(description="what it is called, if not by its artist")]
    date: Annotated[str, Meta(description="as the organizer wrote it: a day, or a time in its offset")]
    zone: Annotated[str | None, Meta(description="the IANA name of its time zone")]
    doors_at: str | None
    venue: str | None
    place: Annotated[str | None, Meta(description="the town or address of its venue")]
    status: Annotated[ConcertStatus, Meta(description=_STATUS)]
    reason: Annotated[str | None, Meta(description="why it is postponed or cancelled, if it is")]
    total_seats: int
    available_seats: int
    held_seats: int
    sold_seats: int
    held_back_seats: Annotated[int, Meta(description=_HELD_BACK)] = 0
    price_from: Annotated[Money, Meta(description=_PRICE_FROM)]
    price: Annotated[Money | None, Meta(description="of one seat, where all sections cost the same")]
    free: Annotated[bool, Meta(description="every seat is free of charge")]
    on_sale_at: datetime | None
    off_sale_at: Annotated[datetime | None, Meta(description="from then on nothing is sold, if not until it is over")]
    ends_at: Annotated[str | None, Meta(description="where it goes on after its `date`: the last day, or a time")]
    cancel_until: Annotated[datetime, Meta(description="from then on only the organizer can cancel an order")]
    max_per_order: Annotated[int, Meta(description="the most seats in one order")]
    max_per_buyer: Annotated[int | None, Meta(description=MAX_PER_BUYER)]
    min_per_order: Annotated[int, Meta(description="the fewest seats in one order")] = 1
    offer_minutes: Annotated[int | None, Meta(description=f"{_OFFER}; null: as the platform says")] = None
    listed: Annotated[bool, Meta(description="false: found by its id, or by its organizer")]
    section_count: Annotated[int, Meta(description="how many sections; GET /concerts/{id} has them all")]


class ConcertView(ConcertSummary, frozen=True, kw_only=True, rename="camel"):
    """A concert with all of its sections."""

    description: str | None
    picture: str | None
    pricing: Annotated[Pricing | None, Meta(description=PRICING)] = None
    seat_plan: Annotated[str | None, Meta(description="the digest of its seating plan, where it has one")] = None
    sections: list[SectionView]


def summary(standing: ConcertSnapshot) -> dict[str, Any]:
    """The fields that a concert has in every answer."""
    concert, sections, now = standing
    held = [section.held_seats(now) for section in sections]
    left = [section.available(now) for section in sections]
    prices = {section.price for section in sections}
    more = concert.more
    return {
        "id": concert.id,
        "organizer": concert.organizer,
        "artist": concert.artist,
        "title": more.title,
        "date": concert.date,
        "zone": more.zone,
        "doors_at": more.doors_at,
        "venue": concert.venue,
        "place": more.place,
        "status": concert.status,
        "reason": concert.reason,
        "total_seats": sum(section.total for section in sections),
        "available_seats": sum(left),
        "held_seats": sum(held),
        "sold_seats": sum(section.sold for section in sections),
        "held_back_seats": sum(section.held_back(now) for section in sections),
        "price_from": _price_from(
            concert,
            {section.id: section.price for section in sections},
            {section.id for section, seats in zip(sections, left, strict=True) if seats > 0},
        ),
        "price": next(iter(prices)) if len(prices) == 1 else None,
        "free": all(price.amount == 0 for price in prices),
        "on_sale_at": _there(concert.on_sale_at, more.zone),
        "off_sale_at": _there(more.off_sale_at, more.zone),
        "ends_at": concert.ends_at,
        "cancel_until": _there(concert.cancellable_until, more.zone),
        "max_per_order": concert.max_per_order,
        "max_per_buyer": None if concert.max_per_buyer is UNSET else concert.max_per_buyer,
        "min_per_order": more.min_per_order or 1,
        "offer_minutes": more.offer_minutes,
        "listed": concert.listed,
        "section_count": len(sections),
    }


def _there(moment: datetime | None, zone: str | None) -> datetime | None:
    """The moment by the clocks of the concert's zone, as it can be sent back; what can't be written so, stays."""
    if moment is None or zone is None:
        return moment
    try:
        there = moment.astimezone(ZoneInfo(zone))
    except OverflowError:
        return moment
    seconds = (there.utcoffset() or timedelta()).total_seconds()
    return moment if seconds % 60 else there  # before there were time zones, clocks went by the sun


def view_response(standing: ConcertSnapshot, status: int = 200, *, whole: bool = True) -> Response:
    """A concert with its sections, and the ETag that a change of it wants; the `whole` of it is its organizer's."""
    answer = json_response(view_of(standing, whole=whole), status)
    return answer._replace(headers=(*answer.headers, ("etag", f'"{standing.tag}"'), ("cache-control", "no-store")))


def view_of(standing: ConcertSnapshot, *, whole: bool = True) -> ConcertView:
    """The concert with its sections; the `whole` of it is its organizer's."""
    concert, sections, now = standing
    names = {plan.id: plan.name for plan in concert.sections}
    views = []
    for section in sections:
        held, back = section.held_seats(now), section.next_back(now)
        views.append(
            SectionView(
                id=section.id,
                name=names[section.id],
                total_seats=section.total,
                available_seats=section.available(now),
                held_seats=held,
                held_until=back,
                held_back_seats=section.held_back(now),
                waiting=section.waiting or 0,
                price=section.price,
                zone=None if section.numbered is UNSET else section.numbered.zone,
                accessible_seats=0 if section.numbered is UNSET else _accessible(section, now),
                prices=prices_now(concert, section, now),
            )
        )
    more = concert.more
    return ConcertView(
        **summary(standing),
        description=more.description,
        picture=more.picture,
        pricing=shown(more.pricing, whole=whole),
        seat_plan=next((each.numbered.plan for each in sections if each.numbered is not UNSET), None),
        sections=views,
    )


def _accessible(section: Section, now: datetime) -> int:
    return section.available(now) - section.available_to_all(now)


def _price_from(concert: Concert, prices: Mapping[str, Money], with_room: AbstractSet[str]) -> Money:
    """The price in the section that an order for one seat gets now which names none; of the cheapest, if none is left.

    An order for more seats gets the cheapest section that has room for all of them.
    """
    offered = [plan.id for plan in concert.offered(prices)]
    return prices[next((id for id in offered if id in with_room), offered[0])]
