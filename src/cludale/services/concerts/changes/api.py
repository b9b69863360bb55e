"""What becomes of a concert, over HTTP: changed, postponed, called off, and how far that has come."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.ids import Id
from cludale.kernel.money import MAX_PRICE, Money
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, Invalid, NotFound, Refusal
from cludale.ports.calling_off import Progress, ProgressUnknown
from cludale.ports.seats import CalledOff, ConcertNotFound, SectionNotFound
from cludale.services.concerts.changes import domain as changes
from cludale.services.concerts.changes.domain import MOST_SEATS, ChangedMeanwhile, SeatsInUse, StatusRefused
from cludale.services.concerts.changes.service import SectionWish
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.directory import ConcertSnapshot
from cludale.services.concerts.events import ConcertFields, ConcertStatus
from cludale.services.concerts.prices.api import PricingRequest
from cludale.services.concerts.seat_plans.api import PLAN_BODY_BYTES, SeatPlanRequest, plan_said
from cludale.services.concerts.seat_plans.domain import SeatsKept
from cludale.services.concerts.service import Concerts
from cludale.services.concerts.views import ConcertView, OfferMinutes, SectionView, summary, view_response
from cludale.services.concerts.zoned_fields import moment, when
from cludale.web.fields import LocalDateOrTime, Picture, Prose, Text, Zone
from cludale.web.problems import Statuses
from cludale.web.responses import Response, json_response
from cludale.web.routing import TRACEPARENT, Credential, Header, Owned, Reply, Request, asking, route


class TagMissing(Refusal):
    """A change has to say by `If-Match` what was seen: the ETag of GET /concerts/{id}, or `*` for whatever it is."""

    def __init__(self) -> None:
        super().__init__("Send If-Match with the ETag of GET /concerts/{id}, so that no other change is overwritten.")


STATUS: Statuses = {
    ChangedMeanwhile: 412,
    TagMissing: 428,
    SeatsInUse: 409,
    SeatsKept: 409,
    StatusRefused: 409,
}

IF_MATCH = Header(
    "If-Match",
    "The `ETag` of the concert as it was read, or several, of which one has to be that of now; `*`: whatever it is by "
    "now. If it was changed since, the answer is 412.",
    {"maxLength": 1_000},
)

_NULLABLE = ("title", "venue", "place", "description", "picture", "zone", "min_per_order", "offer_minutes")


_AS_SHOWN = "may stand here as it is shown, and can't be changed by that"
_FIXED = {
    "total_seats": ("totalSeats", "is the sum of the sections: change one of `sections`"),
    "price": ("price", "is that of the sections: change one of `sections`"),
    "max_per_buyer": ("maxPerBuyer", "stays as it was when the concert was put on"),
    "listed": ("listed", "follows from `status`: change that"),
}
"""What a concert is put on with and a change can't say: the field, and what to do instead."""


class ChangeConcertSection(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How many seats a section has from now on, and at what price for those who come later."""

    SHOWN_AS: ClassVar = SectionView

    id: Id
    total_seats: (
        Annotated[int, Meta(ge=0, le=MOST_SEATS, description="never fewer than are sold and held: 409 seats-in-use")]
        | UnsetType
    ) = UNSET
    price: Annotated[
        Money | UnsetType, Meta(description="of one seat; holds, orders and refunds keep the price that they had")
    ] = UNSET


class ChangeConcert(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is to be another from now on; what is left out stays."""

    SHOWN_AS: ClassVar = ConcertView

    artist: Text | UnsetType = UNSET
    title: Text | UnsetType | None = UNSET
    date: LocalDateOrTime | UnsetType = UNSET
    zone: Zone | UnsetType | None = UNSET
    doors_at: LocalDateOrTime | UnsetType | None = UNSET
    ends_at: LocalDateOrTime | UnsetType | None = UNSET
    venue: Text | UnsetType | None = UNSET
    place: Text | UnsetType | None = UNSET
    description: Prose | UnsetType | None = UNSET
    picture: Picture | UnsetType | None = UNSET
    on_sale_at: LocalDateOrTime | UnsetType | None = UNSET
    off_sale_at: LocalDateOrTime | UnsetType | None = UNSET
    cancel_until: LocalDateOrTime | UnsetType | None = UNSET
    max_per_order: Annotated[int, Meta(ge=1, le=1_000)] | UnsetType = UNSET
    min_per_order: Annotated[int, Meta(ge=1, le=1_000)] | UnsetType | None = UNSET
    offer_minutes: OfferMinutes | UnsetType | None = UNSET
    pricing: Annotated[
        PricingRequest | UnsetType | None,
        Meta(description="the whole price list anew; holds, orders and refunds keep the prices that they had"),
    ] = UNSET
    status: Annotated[
        ConcertStatus | UnsetType, Meta(description="draft → listed or unlisted; listed ↔ unlisted; postponed → listed")
    ] = UNSET
    sections: Annotated[list[ChangeConcertSection], Meta(max_length=500)] | UnsetType = UNSET
    seat_plan: Annotated[
        SeatPlanRequest | UnsetType | None,
        Meta(
            description="the whole seating plan of its numbered sections anew: pretix's JSON as an object, or CSV as a "
            "text, or a digest. Each section stays the zone that it is; seats are told by their ids. No seat that is "
            "sold, held or blocked goes, nor gets another row or number while it is sold or held: 409 seats-kept"
        ),
    ] = UNSET

    total_seats: Annotated[int, Meta(description=_AS_SHOWN)] | UnsetType = UNSET
    price: Annotated[Money, Meta(description=_AS_SHOWN)] | UnsetType | None = UNSET
    max_per_buyer: Annotated[int, Meta(description=_AS_SHOWN)] | UnsetType | None = UNSET
    listed: Annotated[bool, Meta(description=_AS_SHOWN)] | UnsetType = UNSET


class PostponeConcert(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A concert that is moved: to `date`, or to a time that is not known yet."""

    reason: Annotated[Text, Meta(description="what its buyers are told")]
    date: LocalDateOrTime | None = None
    doors_at: LocalDateOrTime | None = None
    ends_at: LocalDateOrTime | None = None
    cancel_until: Annotated[
        LocalDateOrTime | None,
        Meta(description="until then buyers may cancel; without it until the new `date`; required where there is none"),
    ] = None


class CancelConcert(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A concert that is called off."""

    reason: Annotated[Text, Meta(description="what its buyers are told")]


class ChangesApi:
    """The routes by which a concert changes."""

    def __init__(self, concerts: Concerts) -> None:
        self._concerts = concerts

    @route(
        "PATCH",
        "/concerts/{concert_id}",
        scope=Scope.CATALOGUE,
        owned=Owned.HIDDEN,
        headers=(IF_MATCH, TRACEPARENT),
        summary="Change a concert",
        description=(
            "What is left out stays as it is; null takes away what a concert need not have. Seats and prices are "
            "changed first, section by section, each in the section's own queue, so that it never has fewer than are "
            "sold and held; a refusal there ends the change. A `seatPlan` is looked over first, for all sections: "
            "where it can't be, nothing is changed."
        ),
        replies={200: Reply(ConcertView, "The concert as it is now.")},
        refusals=(
            ConcertNotFound, ChangedMeanwhile, TagMissing, SeatsInUse, SeatsKept, StatusRefused, CalledOff,
            SectionNotFound, Busy,
        ),
        max_body_bytes=PLAN_BODY_BYTES,
    )  # fmt: skip
    async def change_concert(self, request: Request, body: ChangeConcert) -> Response:
        """200 the concert, with its new ETag."""
        principal = asking(request)
        before = await self._concerts.directory.own(request.segment, principal)
        tags = _seen(request)
        if body.seat_plan is None or any(getattr(body, name) is not UNSET for name in _FIXED):
            standing = await self._concerts.directory.standing(request.segment)
            if tags is None or standing.tag in tags:  # else it was changed meanwhile, which the change says
                _check_fixed(standing, body)
        said = body.seat_plan
        plan = None if said is UNSET or said is None else await plan_said(self._concerts.seat_plans, said)
        wishes = [] if body.sections is UNSET else _wishes(before, body.sections)
        standing = await self._concerts.changes.change(
            request.segment,
            lambda concert: _fields(concert, body),
            wishes,
            tags=tags,
            by=principal.id,
            cause=request.cause,
            plan=plan,
        )
        return view_response(standing)

    @route(
        "POST",
        "/concerts/{concert_id}/postpone",
        scope=Scope.CATALOGUE,
        owned=Owned.HIDDEN,
        headers=(TRACEPARENT,),
        summary="Move a concert",
        description=(
            "To a new `date`, or, without one, until further notice: then nothing is sold until it has one. Tickets "
            "stay valid, each buyer is told once, and may cancel until `cancelUntil`."
        ),
        replies={200: Reply(ConcertView)},
        refusals=(ConcertNotFound, CalledOff, StatusRefused, Busy),
    )
    async def postpone_concert(self, request: Request, body: PostponeConcert) -> Response:
        """200 the concert."""
        principal = asking(request)
        await self._concerts.directory.own(request.segment, principal)

        def decide(concert: Concert, _: datetime) -> Any:
            zone = concert.zone
            if body.date is None and (body.doors_at or body.ends_at):
                raise Invalid(("date", "is required with `doorsAt` or `endsAt`"))
            until = None if body.cancel_until is None else moment("cancelUntil", body.cancel_until, zone)
            fields = ConcertFields(
                date=UNSET if body.date is None else when("date", body.date, zone),
                doors_at=UNSET if body.doors_at is None else when("doorsAt", body.doors_at, zone),
                ends_at=UNSET if body.ends_at is None else when("endsAt", body.ends_at, zone),
            )
            return changes.postpone(
                concert, fields, reason=body.reason, cancel_until=until, expected=None, by=principal.id
            )

        return view_response(await self._concerts.changes.postpone(request.segment, decide, request.cause))

    @route(
        "POST",
        "/concerts/{concert_id}/cancel",
        scope=Scope.REFUND,
        owned=Owned.HIDDEN,
        headers=(TRACEPARENT,),
        summary="Call a concert off",
        description=(
            "From the answer on nothing is sold. All orders are cancelled and their money goes back, at a bounded "
            "rate, and each buyer is told once; `GET /concerts/{id}/cancellation` says how far that has come. Called "
            "off again, it stays as it is."
        ),
        replies={200: Reply(ConcertView)},
        refusals=(ConcertNotFound, Busy),
    )
    async def cancel_concert(self, request: Request, body: CancelConcert) -> Response:
        """200 the concert."""
        principal = asking(request)
        await self._concerts.directory.own(request.segment, principal)
        called_off = self._concerts.changes.call_off(
            request.segment, reason=body.reason, by=principal.id, cause=request.cause
        )
        return view_response(await called_off)

    @route(
        "GET",
        "/concerts/{concert_id}/cancellation",
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="How far a cancellation or a postponement has come",
        description="Of the orders of a concert that is called off or was moved: how many are through and left.",
        replies={200: Reply(Progress)},
        refusals=(ConcertNotFound, NotFound, Busy),
    )
    async def show_cancellation(self, request: Request) -> Response:
        """200 the progress; 404 where nothing was called off or moved, or orders has yet to hear of it."""
        await self._concerts.directory.own(request.segment, asking(request))
        try:
            progress = await self._concerts.changes.progress(request.segment)
        except ProgressUnknown as error:
            raise Busy("Orders gives no answer how far it is; try again.") from error
        if progress is None:
            raise NotFound("cancellation of concert", request.segment)
        return json_response(progress)

    @route("POST", "/concerts/{concert_id}/close", credential=Credential.SERVICE, callers=("orders",))
    async def close_sections(self, request: Request) -> Response:
        """For orders in a process of its own, before it looks for the last order of a concert that is called off."""
        await self._concerts.changes.close(request.segment)
        return json_response({})


def _seen(request: Request) -> frozenset[str] | None:
    """The tags of what whoever asks has seen: one of them has to be that of now (RFC 9110, section 13.1.1). None:
    whatever it is. Raises TagMissing.
    """
    said = request.header(b"if-match")
    if said is None or not said.strip():
        raise TagMissing
    tags = [each.strip() for each in said.split(",")]
    if "*" in tags:
        return None
    return frozenset(each[1:-1] for each in tags if each[:1] == each[-1:] == '"')  # a weak one matches nothing here


def _check_fixed(standing: ConcertSnapshot, body: ChangeConcert) -> None:
    """Does what can't be said here stand there as it is shown? Beside `sections`, sums count for nothing. Raises
    Invalid.
    """
    shown = summary(standing)
    followed = ("total_seats", "price") if body.sections is not UNSET else ()
    wrong = [
        said
        for name, said in _FIXED.items()
        if name not in followed and getattr(body, name) is not UNSET and getattr(body, name) != shown[name]
    ]
    if body.seat_plan is None and any(section.numbered is not UNSET for section in standing.sections):
        wrong.append(("seatPlan", "can be another, and is never taken away"))
    if wrong:
        raise Invalid(*wrong)


def _wishes(concert: Concert, sections: list[ChangeConcertSection]) -> list[SectionWish]:
    """What is to become of each section. Raises Invalid."""
    currency = concert.sections[0].price.currency
    wrong: list[tuple[str, str]] = []
    wishes: list[SectionWish] = []
    known = {plan.id for plan in concert.sections}
    for i, each in enumerate(sections):
        price = None if each.price is UNSET else each.price
        if each.id not in known:
            wrong.append((f"sections[{i}].id", f"concert {concert.id!r} has no section {each.id!r}"))
        if any(each.id == wish.id for wish in wishes):
            wrong.append((f"sections[{i}].id", f"{each.id!r} is there already"))
        if price is not None and price.currency != currency:
            wrong.append((f"sections[{i}].price.currency", f"the prices of concert {concert.id!r} are in {currency}"))
        if price is not None and price.amount > MAX_PRICE:
            wrong.append((f"sections[{i}].price.amount", f"must be at most {MAX_PRICE}"))
        wishes.append(SectionWish(each.id, None if each.total_seats is UNSET else each.total_seats, price))
    if wrong:
        raise Invalid(*wrong)
    return wishes


def _fields(concert: Concert, body: ChangeConcert) -> ConcertFields:
    """What the body says of this concert, its times in the zone that it has or is to have. Raises Invalid."""
    zone = concert.zone if body.zone is UNSET else body.zone
    said: dict[str, Any] = {"status": body.status, "max_per_order": body.max_per_order, "artist": body.artist}
    said |= {name: getattr(body, name) for name in _NULLABLE}
    if isinstance(body.pricing, PricingRequest):
        said["pricing"] = body.pricing.pricing(zone, [plan.id for plan in concert.sections])
    else:
        said["pricing"] = body.pricing
    for name, field in (("date", "date"), ("doors_at", "doorsAt"), ("ends_at", "endsAt")):
        text = getattr(body, name)
        if text is UNSET and body.zone is not UNSET and (kept := _kept(concert, name)) is not None:
            when(field, kept, zone)  # a time that stays has to be one of the new zone
        said[name] = text if text is UNSET or text is None else when(field, text, zone)
    for name, field in (("on_sale_at", "onSaleAt"), ("off_sale_at", "offSaleAt"), ("cancel_until", "cancelUntil")):
        text = getattr(body, name)
        is_end = name == "off_sale_at"
        said[name] = text if text is UNSET or text is None else moment(field, text, zone, is_end=is_end)
    return ConcertFields(**said)


def _kept(concert: Concert, name: str) -> str | None:
    text: str | None = getattr(concert.more if name == "doors_at" else concert, name)
    return text
