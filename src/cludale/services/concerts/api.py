"""Concerts over HTTP: shapes, routes, refusal → status. Decides nothing."""

import secrets
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.allocation import NumberedSeat
from cludale.kernel.bills import Bill, PriceWish
from cludale.kernel.buyers import BUYER_KEY, BuyerKeys
from cludale.kernel.ids import Id, from_key
from cludale.kernel.money import Money
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
from cludale.services.concerts.concert import Concert, ConcertExists
from cludale.services.concerts.directory import Search
from cludale.services.concerts.events import ConcertStatus
from cludale.services.concerts.scheduling import ScheduleConcert, concert_of
from cludale.services.concerts.seat_plans.api import (
    PLAN_BODY_BYTES,
    parts_wanted,
)
from cludale.services.concerts.service import Concerts
from cludale.services.concerts.views import (
    ConcertSummary,
    ConcertView,
    summary,
    view_of,
    view_response,
)
from cludale.services.concerts.zoned_fields import when
from cludale.web.access import Access
from cludale.web.fields import Quantity, offset_hint
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


PROBLEMS = _PROBLEMS = Problems(STATUS, {OtherOrganizer: 422})
"""The answers to what is refused here."""

_encode = msgspec.json.Encoder().encode


_MAX_PRICE = "the most that one seat may cost; where it costs more, the answer is 409 price-too-high"


_SEE_UNLISTED = (Scope.CATALOGUE, Scope.READ)

Name = Annotated[str, Meta(max_length=200, description="text within the name")]


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
            concert = concert_of(body, parts, from_key("concert", secrets.token_hex(16)), most, principal.organizer)
            return view_response(await self._concerts.directory.schedule(concert, cause), 201)

        async def schedule() -> Response:
            named = from_key("concert", *_own(principal, key), _encode(body).decode())
            concert = concert_of(body, parts, named, most, principal.organizer)
            try:
                standing = await self._concerts.directory.schedule(concert, cause)
            except ConcertExists:
                # Safe to repeat: a crash may have come between the concert and its answer.
                if await self._concerts.directory.concert(concert.id) != concert:
                    raise
                standing = await self._concerts.directory.standing(concert.id)
            return json_response(view_of(standing), 201)

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
        return json_response(Page([ConcertSummary(**summary(each)) for each in standings], following))

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
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        callers=("orders",),
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

    @route("GET", "/concerts/{concert_id}/sale-outlook", credential=Credential.SERVICE, callers=("orders", "payments"))
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


def _when(field: str, text: str) -> str:
    """A day as it stands, or a time to the second in its offset: text order is the order of days. Raises Invalid."""
    try:
        check_date_or_time(text)
    except ValueError as error:
        raise Invalid((field, f"{error}{offset_hint(text)}")) from error
    return when(field, text, None)
