"""Concerts over HTTP: shapes, routes, refusal → status. Decides nothing."""

import secrets
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.allocation import NumberedSeat
from cludale.kernel.bills import Bill, PriceWish
from cludale.kernel.buyers import BUYER_KEY, BuyerKeys
from cludale.kernel.ids import Id, from_key
from cludale.kernel.money import MAX_PRICE, Money
from cludale.kernel.principals import DEFAULT_ORGANIZER, Principal, PrincipalKind, Scope
from cludale.kernel.refusals import Busy, Invalid
from cludale.kernel.tills import Till
from cludale.kernel.times import LONGEST_TIME, check_date_or_time
from cludale.ports.records import Records
from cludale.ports.seats import (
    BuyerLimitReached,
    CalledOff,
    ConcertNotFound,
    ConcertOver,
    HeldElsewhere,
    HeldOtherwise,
    HoldEnded,
    HoldRequest,
    HoldsLapsed,
    InLine,
    NotOnSale,
    OtherCurrency,
    OtherOrganizer,
    OverTheLimit,
    PriceTooHigh,
    SaleEnded,
    SalePaused,
    SeatsHeld,
    SeatsNotFree,
    SeatsUnavailable,
    SectionNotFound,
    TooManyHolds,
    WaitingListFull,
)
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.concerts.changes.domain import check_times
from cludale.services.concerts.concert import Concert, ConcertExists
from cludale.services.concerts.directory import ConcertSnapshot, Search
from cludale.services.concerts.events import ConcertStatus, Particulars, SectionPlan
from cludale.services.concerts.prices.api import CategoryPrice, PricingRequest, prices_now, shown
from cludale.services.concerts.prices.price_list import Pricing
from cludale.services.concerts.seat_plans.api import (
    PLAN_BODY_BYTES,
    SEAT_PLAN,
    SeatPlanRequest,
    SectionParts,
    parts_wanted,
)
from cludale.services.concerts.service import Concerts
from cludale.services.concerts.stock import Section
from cludale.services.concerts.zoned_fields import moment, when
from cludale.web.access import Access
from cludale.web.fields import LocalDateOrTime, Picture, Prose, Quantity, Text, Zone, offset_hint
from cludale.web.keyed import Keyed
from cludale.web.problems import Problems, ScopeMissing, Statuses
from cludale.web.queries import Page, Paged
from cludale.web.responses import Response, json_response
from cludale.web.routing import IDEMPOTENCY_KEY, TRACEPARENT, Credential, Owned, Reply, Request, asking, route
from cludale.web.seats import SeatIds, Wheelchairs, seats_wanted

STATUS: Statuses = {
    BuyerLimitReached: 409,
    TooManyHolds: 409,
    HoldsLapsed: 429,
    InLine: 409,
    WaitingListFull: 409,
    CalledOff: 409,
    ConcertExists: 409,
    ConcertNotFound: 404,
    ConcertOver: 409,
    HeldElsewhere: 409,
    HeldOtherwise: 409,
    HoldEnded: 409,
    NotOnSale: 409,
    OverTheLimit: 422,
    OtherCurrency: 422,
    PriceTooHigh: 409,
    SaleEnded: 409,
    SalePaused: 409,
    SeatsUnavailable: 409,
    SeatsNotFree: 409,
    SectionNotFound: 422,
}

BUYERS = b"cludale-buyers"
"""Header by which orders says who buys: `user-…,email-…`. Earlier versions of concerts pass over it."""
MOST_BUYER_KEYS = 8

GENERAL = "general"
"""The one section of a concert that names none."""

FREE_OF_CHARGE = Money(0, "EUR")
"""The price of a concert that names none."""

PROBLEMS = _PROBLEMS = Problems(STATUS, {OtherOrganizer: 422})
"""The answers to what is refused here."""

_encode = msgspec.json.Encoder().encode

_PRICE_FROM = (
    "of one seat in the cheapest section that has one left: the section that an order for it gets which names none. "
    "A section that is free of charge counts only where all are"
)

_MAX_PRICE = "the most that one seat may cost; where it costs more, the answer is 409 price-too-high"

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
_STATUS = (
    "draft: only its organizer sees it, and nothing is sold. listed: it is found. unlisted: found by its id. "
    "postponed: tickets stay valid, nothing is sold until its new time is known. cancelled: called off, all money goes "
    "back"
)
_CANCEL_UNTIL = "from then on only the organizer can cancel an order; without it from when the concert begins"

_MAX_PER_BUYER = (
    "the most tickets of one buyer, known by userId, e-mail address and phone number, over all of their orders that "
    "are not cancelled; without it any number"
)

_OFFER = "how many minutes seats are held for who waited for them on the waiting list"
OfferMinutes = Annotated[int, Meta(ge=1, le=10_080, description=_OFFER)]
_MIN_PER_ORDER = "the fewest seats in one order; without it 1"
_PRICING = (
    "categories, tiers, fees and tax; null where a seat costs what its section says and nothing is added. Hidden "
    "categories are shown to the organizer only"
)

_HELD_BACK = "kept for a purpose until an end: GET /concerts/{id}/blocks"

_WAITING = "how many orders wait for seats of it: while any does, what comes back is theirs, the first first"

_ZONE_OF = (
    "the zone of the seating plan that is this section: its seats have numbers. Without one they are sold by quantity"
)
_ACCESSIBLE = "of those that are available: wheelchair and companion places, which nobody gets who doesn't ask for them"

_TOO_DEAR = f"must be at most {MAX_PRICE}"

_SEE_UNLISTED = (Scope.CATALOGUE, Scope.READ)

Seats = Annotated[int, Meta(ge=1, le=1_000_000)]
Name = Annotated[str, Meta(max_length=200, description="text within the name")]


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
    zone: Annotated[str | None, Meta(description=_ZONE_OF)] = None
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
    max_per_buyer: Annotated[int | None, Meta(description=_MAX_PER_BUYER)]
    min_per_order: Annotated[int, Meta(description="the fewest seats in one order")] = 1
    offer_minutes: Annotated[int | None, Meta(description=f"{_OFFER}; null: as the platform says")] = None
    listed: Annotated[bool, Meta(description="false: found by its id, or by its organizer")]
    section_count: Annotated[int, Meta(description="how many sections; GET /concerts/{id} has them all")]


class ConcertView(ConcertSummary, frozen=True, kw_only=True, rename="camel"):
    """A concert with all of its sections."""

    description: str | None
    picture: str | None
    pricing: Annotated[Pricing | None, Meta(description=_PRICING)] = None
    seat_plan: Annotated[str | None, Meta(description="the digest of its seating plan, where it has one")] = None
    sections: list[SectionView]


class SectionRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A section of a concert to be."""

    SHOWN_AS: ClassVar = SectionView

    id: Id
    name: Text | None = None
    total_seats: Annotated[Seats | None, Meta(description="said by the plan where there is a `zone`")] = None
    price: Money
    zone: Annotated[Text | UnsetType | None, Meta(description=_ZONE_OF)] = UNSET


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
    max_per_buyer: Annotated[int, Meta(ge=1, le=100_000, description=_MAX_PER_BUYER)] | UnsetType | None = UNSET
    min_per_order: Annotated[int, Meta(ge=1, le=1_000, description=_MIN_PER_ORDER)] | UnsetType | None = UNSET
    offer_minutes: OfferMinutes | UnsetType | None = UNSET
    pricing: Annotated[PricingRequest | UnsetType | None, Meta(description=_PRICING)] = UNSET
    listed: Annotated[bool, Meta(description="false: found by its id only")] = True
    status: Annotated[ConcertStatus | None, Meta(description="draft, listed or unlisted; instead of `listed`")] = None
    seat_plan: Annotated[SeatPlanRequest | UnsetType | None, Meta(description=SEAT_PLAN)] = UNSET


class Reserve(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Seats to be held."""

    quantity: Annotated[Quantity | UnsetType, Meta(description="may be left out where `seats` are named")] = UNSET
    section: Id | None = None
    order_id: Id | None = None
    max_price: Annotated[Money | UnsetType | None, Meta(description=_MAX_PRICE)] = UNSET
    wish: Annotated[PriceWish | UnsetType, Meta(description="which tickets, by what code")] = UNSET
    till: Annotated[Till | UnsetType, Meta(description="for services alone: sold at the box office")] = UNSET
    waits: Annotated[bool | UnsetType, Meta(description="for services alone: on the waiting list")] = UNSET
    seats: SeatIds | UnsetType = UNSET
    wheelchairs: Wheelchairs | UnsetType = UNSET


class ReservationView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Seats that are held until `expiresAt`."""

    id: str
    concert_id: str
    section: str
    quantity: int
    status: str
    expires_at: datetime
    price: Annotated[Money, Meta(description="of one seat")]
    cancel_until: Annotated[datetime | None, Meta(description="until when the buyer may cancel the order")] = None
    event_id: Annotated[str | None, Meta(description="the SeatsReserved that says so, if it is new")] = None
    bill: Annotated[Bill | UnsetType, Meta(description="what they cost, where there is a price list or a code")] = UNSET
    seats: Annotated[tuple[NumberedSeat, ...] | UnsetType, Meta(description="which, where seats have numbers")] = UNSET
    moves: Annotated[int | UnsetType, Meta(description="how often some were moved to others, if ever")] = UNSET


class Sort(StrEnum):
    """In what order concerts are listed."""

    DATE = "date"
    DATE_DESCENDING = "-date"
    ARTIST = "artist"


class FindConcerts(Paged, frozen=True, kw_only=True):
    """Which concerts to list."""

    artist: Name | None = None
    venue: Name | None = None
    since: Annotated[str, Meta(max_length=LONGEST_TIME, description="the first date or time")] | None = msgspec.field(
        default=None, name="from"
    )
    until: Annotated[str, Meta(max_length=LONGEST_TIME, description="the last date or time")] | None = msgspec.field(
        default=None, name="to"
    )
    sort: Sort = Sort.DATE


class AskOutlook(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which seats would be paid for."""

    section: str
    reservation_id: str


class ConcertsApi:
    """The routes of concerts."""

    def __init__(self, concerts: Concerts, records: Records, access: Access) -> None:
        self._concerts = concerts
        self._access = access
        self._keyed = Keyed(IdempotencyKeys("concerts", records), _PROBLEMS)

    @route(
        "POST",
        "/concerts",
        credential=Credential.ORGANIZER,
        scope=Scope.CATALOGUE,
        owned=Owned.MADE,
        headers=(IDEMPOTENCY_KEY, TRACEPARENT),
        summary="Put a concert on",
        description=(
            "With a `seatPlan`, sections that say their `zone` of it have numbered seats; others are sold by quantity."
        ),
        replies={201: Reply(ConcertView, "The concert.")},
        refusals=(ConcertExists,),
        max_body_bytes=PLAN_BODY_BYTES,
    )
    async def schedule_concert(self, request: Request, body: ScheduleConcert) -> Response:
        """201 the concert; with the same key again, the same answer. With an `id` alone: 409 concert-exists."""
        cause, key, principal = request.cause, request.idempotency_key, asking(request)
        most = self._concerts.max_per_order
        if principal.concert_id not in (None, body.id):
            raise ScopeMissing(Scope.CATALOGUE)  # it is for one concert, which is not this one
        parts = await parts_wanted(self._concerts.seat_plans, body.seat_plan, body.sections or ())
        if key is None:
            concert = _concert(body, parts, from_key("concert", secrets.token_hex(16)), most, principal.organizer)
            return view_response(await self._concerts.directory.schedule(concert, cause), 201)

        async def schedule() -> Response:
            named = from_key("concert", *_own(principal, key), _encode(body).decode())
            concert = _concert(body, parts, named, most, principal.organizer)
            try:
                standing = await self._concerts.directory.schedule(concert, cause)
            except ConcertExists:
                # Safe to repeat: a crash may have come between the concert and its answer.
                if await self._concerts.directory.concert(concert.id) != concert:
                    raise
                standing = await self._concerts.directory.standing(concert.id)
            return json_response(_view(standing), 201)

        operation = "schedule" if principal.organizer == DEFAULT_ORGANIZER else f"schedule {principal.organizer}"
        return await self._keyed.once_across_partitions(operation, key, body, schedule)

    @route(
        "GET",
        "/concerts",
        summary="Find concerts",
        description=(
            "Those that are listed; with an organizer's key its unlisted ones, too, which come last. `from` and `to` "
            "take days, which are those of the concert's own offset, and times; what goes on for days is found by each "
            "of them. Sections are in `GET /concerts/{id}`. A page may have fewer than `limit`; it goes on while "
            "there is a `next`."
        ),
        replies={200: Reply(Page[ConcertSummary])},
    )
    async def find_concerts(self, request: Request, query: FindConcerts) -> Response:
        """A page of them."""
        standings, following = await self._concerts.directory.search(
            Search(
                artist=query.artist,
                venue=query.venue,
                since=None if query.since is None else _when("from", query.since),
                until=None if query.until is None else _when("to", query.until),
                order_by=query.sort.lstrip("-"),
                descending=query.sort.startswith("-"),
                after=query.after,
                limit=query.limit,
                unlisted_of=self._may_see_unlisted(request),
            )
        )
        return json_response(Page([ConcertSummary(**_summary(each)) for each in standings], following))

    def _may_see_unlisted(self, request: Request) -> Principal | None:
        if request.authorization is None:
            return None
        principal = self._access.principal(request.authorization)
        return None if principal is None or principal.scopes.isdisjoint(_SEE_UNLISTED) else principal

    @route(
        "GET",
        "/concerts/{concert_id}",
        summary="Look at a concert and its seats",
        description=(
            "Its `ETag` is what a change wants as `If-Match`. It changes with each change of the concert, of its seats "
            "or prices, and not with each sale: so it says nothing of how fresh the counts are."
        ),
        replies={200: Reply(ConcertView)},
        refusals=(ConcertNotFound,),
    )
    async def show_concert(self, request: Request) -> Response:
        """The concert with its sections."""
        standing = await self._concerts.directory.standing(request.segment)
        if standing.concert.status is ConcertStatus.DRAFT and not self._may_see(request, standing.concert):
            raise ConcertNotFound(request.segment)
        return view_response(standing, whole=self._may_see(request, standing.concert))

    def _may_see(self, request: Request, concert: Concert) -> bool:
        if request.authorization is None:
            return False
        if self._access.is_service(request.authorization):
            return True
        principal = self._may_see_unlisted(request)
        return principal is not None and principal.owns(concert.organizer, concert.id)

    @route(
        "POST",
        "/concerts/{concert_id}/reserve",
        credential=Credential.ORGANIZER,
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        is_for_services=True,
        headers=(IDEMPOTENCY_KEY, TRACEPARENT),
        summary="Hold seats",
        description="Holds all of the seats or none. What is not sold in time can be had again by others.",
        replies={201: Reply(ReservationView, "The reservation, Held.")},
        refusals=(
            ConcertNotFound,
            SeatsUnavailable,
            SeatsNotFree,
            PriceTooHigh,
            NotOnSale,
            SaleEnded,
            SalePaused,
            CalledOff,
            ConcertOver,
            HeldElsewhere,
            HeldOtherwise,
            HoldEnded,
            OverTheLimit,
            BuyerLimitReached,
            TooManyHolds,
            HoldsLapsed,
            OtherCurrency,
            SectionNotFound,
            Busy,
        ),
    )
    async def reserve_seats(self, request: Request, body: Reserve) -> Response:
        """201 the reservation; with the same key or the same order and request again, the same one."""
        concert_id, key, principal = request.segment, request.idempotency_key, asking(request)
        buyers: BuyerKeys = ()
        till = body.till or None
        if body.waits and principal.kind is not PrincipalKind.SERVICE:
            raise Invalid(("waits", "is for services alone: `POST /orders` with `waitingList` asks for it"))
        if till is not None and principal.kind is not PrincipalKind.SERVICE:
            raise Invalid(("till", "is for services alone: POST /orders/box-office sells at the box office"))
        if principal.kind is not PrincipalKind.SERVICE:
            concert = await self._concerts.directory.concert(concert_id)
            if not principal.owns(concert.organizer, concert.id):
                raise ConcertNotFound(concert_id)
        else:
            buyers = _buyers(request)
        hold = HoldRequest(
            concert_id,
            seats_wanted(body.quantity, body.seats, body.wheelchairs),
            body.order_id or "",
            body.section,
            request.cause.traceparent,
            body.max_price or None,
            buyers,
            None if body.wish is UNSET else body.wish,
            till,
            body.waits is True,
            () if body.seats is UNSET else tuple(body.seats),
            body.wheelchairs or 0,
        )
        if key is None:
            held = await self._concerts.holding.reserve(hold)
            return json_response(_reservation_view(concert_id, held, held.event_id), 201)

        async def reserve() -> Response:
            # Safe to repeat: the key's reservation, or the order's, is the same one again.
            own_id = None if body.order_id else from_key("reservation", concert_id, key, _encode(body).decode())
            held = await self._concerts.holding.reserve(hold, reservation_id=own_id)
            return json_response(_reservation_view(concert_id, held), 201)

        return await self._keyed.once_across_partitions(f"reserve {concert_id}", key, body, reserve)

    @route("GET", "/concerts/{concert_id}/sale-outlook", credential=Credential.SERVICE)
    async def show_sale_outlook(self, request: Request, query: AskOutlook) -> Response:
        """For payments in a process of its own, before it charges an order whose hold has ended."""
        outlook = await self._concerts.late_money.sale_outlook(request.segment, query.section, query.reservation_id)
        return json_response(outlook)


def _buyers(request: Request) -> BuyerKeys:
    """Who buys, as orders says. Raises Invalid."""
    said = request.header(BUYERS)
    if not said:
        return ()
    keys = tuple(each.strip() for each in said.split(","))
    if len(keys) > MOST_BUYER_KEYS or not all(map(BUYER_KEY.fullmatch, keys)):
        raise Invalid((BUYERS.decode(), "must be the keys that orders makes of a buyer"))
    return keys


def _own(principal: Principal, key: str) -> tuple[str, ...]:
    """An idempotency key of this organizer, which is another one than the same of another organizer."""
    return (key,) if principal.organizer == DEFAULT_ORGANIZER else (principal.organizer, key)


def _summary(standing: ConcertSnapshot) -> dict[str, Any]:
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
        "on_sale_at": concert.on_sale_at,
        "off_sale_at": more.off_sale_at,
        "ends_at": concert.ends_at,
        "cancel_until": concert.cancellable_until,
        "max_per_order": concert.max_per_order,
        "max_per_buyer": None if concert.max_per_buyer is UNSET else concert.max_per_buyer,
        "min_per_order": more.min_per_order or 1,
        "offer_minutes": more.offer_minutes,
        "listed": concert.listed,
        "section_count": len(sections),
    }


def view_response(standing: ConcertSnapshot, status: int = 200, *, whole: bool = True) -> Response:
    """A concert with its sections, and the ETag that a change of it wants; the `whole` of it is its organizer's."""
    answer = json_response(_view(standing, whole=whole), status)
    return answer._replace(headers=(*answer.headers, ("etag", f'"{standing.tag}"'), ("cache-control", "no-store")))


def _view(standing: ConcertSnapshot, *, whole: bool = True) -> ConcertView:
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
        **_summary(standing),
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


def _reservation_view(concert_id: str, held: SeatsHeld, event_id: str | None = None) -> ReservationView:
    return ReservationView(
        id=held.allocation.reservation_id,
        concert_id=concert_id,
        section=held.allocation.section,
        quantity=held.allocation.quantity,
        status="Held",
        expires_at=held.expires_at,
        price=held.price,
        cancel_until=held.cancel_until,
        event_id=event_id,
        bill=held.bill or UNSET,
        seats=held.allocation.numbered_seats,
        moves=held.allocation.moves,
    )


def _concert(request: ScheduleConcert, parts: SectionParts, new_id: str, max_per_order: int, organizer: str) -> Concert:
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


def _when(field: str, text: str) -> str:
    """A day as it stands, or a time to the second in its offset: text order is the order of days. Raises Invalid."""
    try:
        check_date_or_time(text)
    except ValueError as error:
        raise Invalid((field, f"{error}{offset_hint(text)}")) from error
    return when(field, text, None)
