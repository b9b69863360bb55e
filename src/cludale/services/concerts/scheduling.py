"""A concert that is to be put on, over HTTP: what is asked for, and the concert that comes of it. Decides nothing."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.ids import Id
from cludale.kernel.money import MAX_PRICE, Money
from cludale.kernel.principals import DEFAULT_ORGANIZER
from cludale.kernel.refusals import Invalid
from cludale.services.concerts.changes.domain import check_times
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.events import ConcertStatus, Particulars, SectionPlan
from cludale.services.concerts.prices.api import PricingRequest
from cludale.services.concerts.seat_plans.api import (
    SEAT_PLAN,
    SeatPlanRequest,
    SectionParts,
)
from cludale.services.concerts.views import MAX_PER_BUYER, PRICING, ZONE_OF, ConcertView, OfferMinutes, SectionView
from cludale.services.concerts.zoned_fields import moment, when
from cludale.web.fields import LocalDateOrTime, Picture, Prose, Text, Zone

GENERAL = "general"
"""The one section of a concert that names none."""


FREE_OF_CHARGE = Money(0, "EUR")
"""The price of a concert that names none."""


_ENDS_AT = (
    "where it goes on after its `date`: the last day, or a time; at most 31 days later. Until then it is on sale. "
    "Without it the sale ends at the time of `date`, or with that day"
)


_ZONE = (
    "the IANA name of its time zone: Europe/Berlin. With it, times may be written without an offset, as they are read "
    "there, and a day is a day there; a time that does not exist there is refused, and one that exists twice has to "
    "say its offset"
)


_OFF_SALE_AT = "from then on nothing is sold; a day: from its end on, there. Without it, from when the concert is over"


_CANCEL_UNTIL = "from then on only the organizer can cancel an order; without it from when the concert begins"


_MIN_PER_ORDER = "the fewest seats in one order; without it 1"


_TOO_DEAR = f"must be at most {MAX_PRICE}"


Seats = Annotated[int, Meta(ge=1, le=1_000_000)]


class SectionRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A section of a concert to be."""

    SHOWN_AS: ClassVar = SectionView

    id: Id
    name: Text | None = None
    total_seats: Annotated[Seats | None, Meta(description="said by the plan where there is a `zone`")] = None
    price: Money
    zone: Annotated[Text | UnsetType | None, Meta(description=ZONE_OF)] = UNSET


class ScheduleConcert(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A concert to be: with `totalSeats`, or with `sections`."""

    SHOWN_AS: ClassVar = ConcertView

    id: Id | None = None
    artist: Text
    title: Text | None = None
    date: LocalDateOrTime
    zone: Annotated[Zone | None, Meta(description=_ZONE)] = None
    doors_at: LocalDateOrTime | None = None
    venue: Text | None = None
    place: Text | None = None
    description: Prose | None = None
    picture: Picture | None = None
    total_seats: Seats | None = None
    price: Annotated[
        Money | None, Meta(description="of one seat, where there are no sections; without it, seats are free of charge")
    ] = None
    sections: Annotated[list[SectionRequest], Meta(min_length=1, max_length=500)] | None = None
    on_sale_at: LocalDateOrTime | None = None
    off_sale_at: Annotated[LocalDateOrTime | None, Meta(description=_OFF_SALE_AT)] = None
    ends_at: Annotated[LocalDateOrTime | UnsetType | None, Meta(description=_ENDS_AT)] = UNSET
    cancel_until: Annotated[LocalDateOrTime | UnsetType | None, Meta(description=_CANCEL_UNTIL)] = UNSET
    max_per_order: (
        Annotated[
            int,
            Meta(
                ge=1, le=1_000, description="the most seats in one order; without it, what CLUDALE_MAX_PER_ORDER says"
            ),
        ]
        | None
    ) = None
    max_per_buyer: Annotated[int, Meta(ge=1, le=100_000, description=MAX_PER_BUYER)] | UnsetType | None = UNSET
    min_per_order: Annotated[int, Meta(ge=1, le=1_000, description=_MIN_PER_ORDER)] | UnsetType | None = UNSET
    offer_minutes: OfferMinutes | UnsetType | None = UNSET
    pricing: Annotated[PricingRequest | UnsetType | None, Meta(description=PRICING)] = UNSET
    listed: Annotated[bool, Meta(description="false: found by its id only")] = True
    status: Annotated[ConcertStatus | None, Meta(description="draft, listed or unlisted; instead of `listed`")] = None
    seat_plan: Annotated[SeatPlanRequest | UnsetType | None, Meta(description=SEAT_PLAN)] = UNSET


def concert_of(
    request: ScheduleConcert, parts: SectionParts, new_id: str, max_per_order: int, organizer: str
) -> Concert:
    """The concert that is asked for. Raises Invalid."""
    zone, status = request.zone, request.status
    if status in (ConcertStatus.POSTPONED, ConcertStatus.CANCELLED):
        raise Invalid(("status", "must be draft, listed or unlisted"))
    off, plans = request.off_sale_at, tuple(_plans(request, parts))
    particulars = Particulars(
        title=request.title,
        place=request.place,
        zone=zone,
        doors_at=None if request.doors_at is None else when("doorsAt", request.doors_at, zone),
        description=request.description,
        picture=request.picture,
        off_sale_at=None if off is None else moment("offSaleAt", off, zone, is_end=True),
        pricing=request.pricing.pricing(zone, [plan.id for plan in plans]) if request.pricing else None,
        min_per_order=request.min_per_order or None,
        offer_minutes=request.offer_minutes or None,
    )
    concert = Concert(
        id=request.id or new_id,
        artist=request.artist,
        date=when("date", request.date, zone),
        venue=request.venue,
        sections=plans,
        on_sale_at=None if request.on_sale_at is None else moment("onSaleAt", request.on_sale_at, zone),
        max_per_order=request.max_per_order or max_per_order,
        listed=request.listed if status is None else status is ConcertStatus.LISTED,
        ends_at=when("endsAt", request.ends_at, zone) if request.ends_at else None,
        cancel_until=moment("cancelUntil", request.cancel_until, zone) if request.cancel_until else None,
        organizer_id=UNSET if organizer == DEFAULT_ORGANIZER else organizer,
        particulars=UNSET if particulars == Particulars() else particulars,
        said=ConcertStatus.DRAFT if status is ConcertStatus.DRAFT else UNSET,
        max_per_buyer=request.max_per_buyer or UNSET,
    )
    check_times(concert)
    return concert


def _plans(request: ScheduleConcert, parts: SectionParts) -> Sequence[SectionPlan]:
    if request.sections is None:
        if request.total_seats is None:
            raise Invalid(("totalSeats", "is required where there are no sections"))
        price = request.price or FREE_OF_CHARGE
        if price.amount > MAX_PRICE:
            raise Invalid(("price.amount", _TOO_DEAR))
        return [SectionPlan(id=GENERAL, name="General", total_seats=request.total_seats, price=price)]
    # What the sections say is said again by whoever posts back what a GET answered.
    counts = {each.id: parts[each.id][1] if each.id in parts else each.total_seats for each in request.sections}
    seats, prices = sum(count or 0 for count in counts.values()), {each.price for each in request.sections}
    wrong: list[tuple[str, str]] = [
        (f"sections[{i}].totalSeats", "is required where there is no `zone`")
        for i, each in enumerate(request.sections)
        if counts[each.id] is None
    ]
    if request.total_seats not in (None, seats):
        wrong.append(("totalSeats", f"is said by the sections: they have {seats}"))
    if request.price is not None and prices != {request.price}:
        wrong.append(("price", "is said by the sections"))
    seen: set[str] = set()
    for i, section in enumerate(request.sections):
        if section.id in seen:
            wrong.append((f"sections[{i}].id", f"{section.id!r} is there already"))
        if section.price.currency != request.sections[0].price.currency:
            wrong.append((f"sections[{i}].price.currency", "all sections have one currency"))
        if section.price.amount > MAX_PRICE:
            wrong.append((f"sections[{i}].price.amount", _TOO_DEAR))
        seen.add(section.id)
    if wrong:
        raise Invalid(*wrong)
    return [
        SectionPlan(
            id=each.id,
            name=each.name or each.id,
            total_seats=counts[each.id] or 0,
            price=each.price,
            plan=parts[each.id][0] if each.id in parts else UNSET,
        )
        for each in request.sections
    ]
