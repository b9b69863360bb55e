"""Audit over HTTP: shapes, routes, refusal → status. Decides nothing."""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Invalid, NotFound
from cludale.ports.records import UnusableCursor
from cludale.services.audit.replay import Redelivered, Redelivery
from cludale.services.audit.sale import SaleThen
from cludale.services.audit.sales import Sales
from cludale.services.audit.service import Audit, Chain, Checked, Verdict
from cludale.services.audit.store import Filter, Listed, concert_of
from cludale.web.fields import Time, TimeParameter, moment
from cludale.web.ownership import Ownership
from cludale.web.problems import Statuses
from cludale.web.queries import Page, Paged
from cludale.web.responses import Response, json_response
from cludale.web.routing import Owned, Reply, Request, asking, route

STATUS: Statuses = {}

Name = Annotated[str, Meta(min_length=1, max_length=128)]


class Replay(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which events to deliver again, by id or by filter, and to which services: without `to`, all that hear them."""

    event_ids: Annotated[list[Name], Meta(min_length=1, max_length=1_000)] | None = None
    type: Name | None = None
    order_id: Name | None = None
    concert_id: Name | None = None
    since: Time | None = None
    until: Time | None = None
    after: Annotated[str, Meta(max_length=4_096)] | None = None
    to: Annotated[list[Name], Meta(min_length=1, max_length=20)] | None = None


class Story(msgspec.Struct, frozen=True):
    """Everything that happened to an order, causes before effects."""

    items: list[Listed]


class EventSort(StrEnum):
    """In which order events are listed."""

    FIRST = "time"
    LATEST = "-time"


class FindEvents(Paged, frozen=True, kw_only=True, rename="camel"):
    """Which events to list."""

    type: Annotated[str, Meta(description="`OrderPaid`, for example")] | None = None
    order_id: str | None = None
    concert_id: str | None = None
    since: TimeParameter | None = None
    until: TimeParameter | None = None
    sort: Annotated[EventSort, Meta(description="as they were recorded, or the latest first")] = EventSort.FIRST


class CheckOn(msgspec.Struct, frozen=True):
    """Where a check goes on."""

    after: Annotated[str, Meta(max_length=4_096, description="the `next` of the part before")] | None = None


class AtThen(msgspec.Struct, frozen=True):
    """Which moment is meant."""

    at: Annotated[TimeParameter, Meta(description="without it, now")] | None = None


class Verify(msgspec.Struct, frozen=True):
    """What to look for in the chain."""

    head: Annotated[str, Meta(max_length=64)] | None = None


class AuditApi:
    """The routes of audit."""

    def __init__(
        self, audit: Audit, redelivery: Redelivery, ownership: Ownership, sales: Sales, *, now: Callable[[], datetime]
    ) -> None:
        self._ownership = ownership
        self._audit = audit
        self._sales = sales
        self._now = now
        self._redelivery = redelivery

    @route(
        "GET",
        "/audit/events",
        scope=Scope.READ,
        owned=Owned.FILTERED,
        summary="List events",
        description=(
            "As they were recorded; with `since` or `until` (`since <= timestamp < until`) by time. Those about the "
            "organizer's own concerts; where several sell, a page may have fewer than `limit`, and a `next`."
        ),
        replies={200: Reply(Page[Listed])},
    )
    async def list_events(self, request: Request, query: FindEvents) -> Response:
        """A page of them."""
        items, page = await self._audit.events(
            _filter(query), after=query.after, limit=query.limit, descending=query.sort is EventSort.LATEST
        )
        return json_response(Page(await self._own(request, items), page.next))

    @route(
        "GET",
        "/audit/orders/{order_id}",
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="Tell an order's story",
        description="Every event of the order, causes before effects, then by time.",
        replies={200: Reply(Story)},
        refusals=(NotFound,),
    )
    async def tell_story(self, request: Request) -> Response:
        """Every event of an order."""
        told = await self._own(request, await self._audit.story(request.segment))
        if not told:
            raise NotFound("order", request.segment)
        return json_response(Story(told))

    @route(
        "GET",
        "/audit/concerts/{concert_id}",
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="Show a concert's sale as it stood",
        description=(
            "Seats, orders and money as the log tells them, at the end of the second that is asked for. The first look "
            "at a large sale reads for two seconds and says `complete: false`; asked again it goes on."
        ),
        replies={200: Reply(SaleThen)},
        refusals=(NotFound,),
    )
    async def show_sale(self, request: Request, query: AtThen) -> Response:
        """The sale at that moment."""
        if not await self._ownership.owns(asking(request), request.segment):
            raise NotFound("concert", request.segment)
        at = moment("at", query.at) or self._now()
        return json_response(await self._sales.at(request.segment, at))

    async def _own(self, request: Request, entries: Sequence[Listed]) -> list[Listed]:
        principal = asking(request)
        if self._ownership.sees_all(principal):
            return list(entries)
        # Of an event about no concert only who operates the platform is told: it is about keys.
        about = [(each, concert_of(each)) for each in entries]
        concerts = await self._ownership.owned(principal, [concert for _, concert in about if concert is not None])
        operates = principal.concert_id is None and Scope.OPERATE in principal.scopes
        return [each for each, concert in about if (operates if concert is None else concert in concerts)]

    @route(
        "GET",
        "/audit/verify",
        scope=Scope.OPERATE,
        summary="Verify the chain of hashes",
        description=(
            "With `head`, a hash that was noted elsewhere, also says at which entry it stands; `ok` is false if it is "
            "not in the chain."
        ),
        replies={200: Reply(Verdict)},
    )
    async def verify_chain(self, _: Request, query: Verify) -> Response:
        """Does it hold?"""
        return json_response(await self._audit.verify(noted=query.head))

    @route(
        "GET",
        "/audit/verify/parts",
        scope=Scope.OPERATE,
        summary="Verify the chain part by part",
        description="20,000 entries at a time; `next`, given as `after`, goes on. Nothing is kept between two parts.",
        replies={200: Reply(Checked)},
        refusals=(UnusableCursor,),
    )
    async def verify_part(self, _: Request, query: CheckOn) -> Response:
        """How far it holds."""
        return json_response(await self._audit.check(query.after))

    @route(
        "GET",
        "/audit/chain",
        scope=Scope.OPERATE,
        summary="Show where the chain of hashes ends",
        replies={200: Reply(Chain)},
    )
    async def show_chain(self, _: Request) -> Response:
        """Its end, unchecked."""
        return json_response(await self._audit.chain())

    @route(
        "POST",
        "/audit/replay",
        scope=Scope.OPERATE,
        summary="Deliver events again",
        description="Services know what they have handled: what was applied is not applied twice.",
        replies={202: Reply(Redelivered, "What was delivered, and what each service answered.")},
        refusals=(NotFound, UnusableCursor),
    )
    async def replay_events(self, _: Request, body: Replay) -> Response:
        """What each service answered."""
        is_filtered = any(
            each is not None for each in (body.type, body.order_id, body.concert_id, body.since, body.until)
        )
        if body.event_ids is not None:
            if is_filtered or body.after is not None:
                raise Invalid(("eventIds", "goes without filters"))
            return json_response(await self._redelivery.by_ids(body.event_ids, body.to), 202)
        if not is_filtered:
            raise Invalid(("eventIds", "is required where there is no filter"))
        return json_response(await self._redelivery.by_filter(_filter(body), body.to, after=body.after), 202)


def _filter(asked: FindEvents | Replay) -> Filter:
    return Filter(
        type=asked.type,
        order_id=asked.order_id,
        concert_id=asked.concert_id,
        since=moment("since", asked.since),
        until=moment("until", asked.until),
    )
