"""Audit over HTTP: shapes, routes, refusal → status. Decides nothing."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from msgspec import Meta

from cludale.http.access import Access
from cludale.http.answers import json_answer
from cludale.http.fields import Time, moment
from cludale.http.paging import DEFAULT_LIMIT, After, Limit, Page
from cludale.http.problems import Statuses, Unauthorized
from cludale.http.routing import ORGANIZER, JsonBody, organizer_only, refusals, respond
from cludale.kernel.refusals import Invalid, NotFound
from cludale.kernel.times import LONGEST_TIME
from cludale.ports.records import UnusableCursor
from cludale.services.audit.replay import Redelivered, Redelivery
from cludale.services.audit.service import Audit, Verdict
from cludale.services.audit.store import Filter, Listed

STATUS: Statuses = {}

_TIME = {"format": "date-time"}

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


def routes(audit: Audit, redelivery: Redelivery, access: Access) -> list[HTTPRouteHandler]:
    """The routes of audit."""
    organizer = organizer_only(access)

    @get(
        "/audit/events",
        guards=[organizer],
        security=ORGANIZER,
        tags=["audit"],
        summary="List events",
        description="As they were recorded; with `since` or `until` (`since <= timestamp < until`) by time.",
        responses=refusals(STATUS, Unauthorized, Invalid, UnusableCursor),
    )
    async def list_events(
        type: Annotated[str | None, QueryParameter(name="type", description="`OrderPaid`, for example")] = None,
        order_id: Annotated[str | None, QueryParameter(name="orderId")] = None,
        concert_id: Annotated[str | None, QueryParameter(name="concertId")] = None,
        since: Annotated[str | None, QueryParameter(name="since", max_length=LONGEST_TIME, schema_extra=_TIME)] = None,
        until: Annotated[str | None, QueryParameter(name="until", max_length=LONGEST_TIME, schema_extra=_TIME)] = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Response[Page[Listed]]:
        wanted = Filter(
            type=type,
            order_id=order_id,
            concert_id=concert_id,
            since=None if since is None else moment("since", since),
            until=None if until is None else moment("until", until),
        )
        items, page = await audit.events(wanted, after=after, limit=limit)
        return respond(json_answer(Page(items, page.next)))

    @get(
        "/audit/orders/{order_id:str}",
        guards=[organizer],
        security=ORGANIZER,
        tags=["audit"],
        summary="Tell an order's story",
        description="Every event of the order, causes before effects, then by time.",
        responses=refusals(STATUS, Unauthorized, NotFound),
    )
    async def tell_story(order_id: str) -> Response[Story]:
        return respond(json_answer(Story(await audit.story(order_id))))

    @get(
        "/audit/verify",
        guards=[organizer],
        security=ORGANIZER,
        tags=["audit"],
        summary="Verify the chain of hashes",
        description=(
            "With `head`, a hash that was noted elsewhere, also says at which entry it stands; `ok` is false if it is "
            "not in the chain."
        ),
        responses=refusals(STATUS, Unauthorized, Invalid),
    )
    async def verify_chain(
        head: Annotated[str | None, QueryParameter(name="head", max_length=64)] = None,
    ) -> Response[Verdict]:
        return respond(json_answer(await audit.verify(noted=head)))

    @post(
        "/audit/replay",
        dto=JsonBody[Replay],
        return_dto=None,
        status_code=202,
        guards=[organizer],
        security=ORGANIZER,
        tags=["audit"],
        summary="Deliver events again",
        response_description="What was delivered, and what each service answered.",
        description="Services know what they have handled: what was applied is not applied twice.",
        responses=refusals(STATUS, Unauthorized, NotFound, Invalid, UnusableCursor),
    )
    async def replay_events(data: Replay) -> Response[Redelivered]:
        filters = (data.type, data.order_id, data.concert_id, data.since, data.until)
        if data.event_ids is not None:
            if any(each is not None for each in (*filters, data.after)):
                raise Invalid(("eventIds", "goes without filters"))
            return respond(json_answer(await redelivery.by_ids(data.event_ids, data.to), 202))
        if all(each is None for each in filters):
            raise Invalid(("eventIds", "is required where there is no filter"))
        wanted = Filter(
            type=data.type,
            order_id=data.order_id,
            concert_id=data.concert_id,
            since=None if data.since is None else moment("since", data.since),
            until=None if data.until is None else moment("until", data.until),
        )
        return respond(json_answer(await redelivery.by_filter(wanted, data.to, after=data.after), 202))

    return [list_events, tell_story, verify_chain, replay_events]
