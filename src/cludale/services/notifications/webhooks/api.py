"""Webhooks over HTTP: shapes, routes, refusal → status. Decides nothing.

An endpoint belongs to the organizer of the key that made it; what is another's is not there.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.ids import Id
from cludale.kernel.principals import Principal, Scope
from cludale.kernel.refusals import Busy, Invalid, NotFound
from cludale.ports.records import Query
from cludale.services.notifications.events import WebhookStopReason
from cludale.services.notifications.webhooks import deliveries, endpoints
from cludale.services.notifications.webhooks.catalogue import FACTS, NAMES
from cludale.services.notifications.webhooks.deliveries import Delivery
from cludale.services.notifications.webhooks.endpoints import (
    LONGEST_OVERLAP,
    Endpoint,
    EndpointChange,
    TooManyWebhooks,
    WebhookOff,
)
from cludale.services.notifications.webhooks.service import Asked, Made, Webhooks
from cludale.services.notifications.webhooks.signing import Scheme
from cludale.web.fields import Email, Text
from cludale.web.ownership import Ownership
from cludale.web.problems import ScopeMissing, Statuses
from cludale.web.queries import Page, Paged
from cludale.web.responses import Response, json_response
from cludale.web.routing import Owned, Reply, Request, asking, route

STATUS: Statuses = {TooManyWebhooks: 409, WebhookOff: 409}

AT_ONCE = 200
"""Deliveries that one request sends again."""
DAY_SECONDS = 86_400.0

_Url = Annotated[
    str,
    Meta(
        min_length=10,
        max_length=2_000,
        pattern=r"^https?://[!-~]+$(?!\n)",
        description="where events are posted; https, to a public address",
    ),
]
_EventTypes = Annotated[
    list[Annotated[str, Meta(max_length=64)]],
    Meta(max_length=len(NAMES), description="as GET /notifications/webhook-event-types lists them; empty: all"),
]


class WebhookView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An endpoint, without its secrets."""

    id: str
    url: str
    status: endpoints.Status
    stopped: Annotated[WebhookStopReason | None, Meta(description="why it is off")]
    stopped_at: datetime | None
    failing_since: Annotated[
        datetime | None, Meta(description="since when no attempt was answered with 2xx; null: the last one was")
    ]
    event_types: list[str]
    concert_id: Annotated[str | None, Meta(description="the one concert that it is told of; null: all of yours")]
    about: str | None
    tells_by_email: Annotated[bool, Meta(description="somebody is told by e-mail if it is switched off for failing")]
    signatures: list[Scheme]
    public_key: Annotated[str | None, Meta(description="`whpk_…`, to verify `v1a` with")]
    former_secrets_until: Annotated[
        datetime | None, Meta(description="until then deliveries are signed with secrets of before, too")
    ]
    created_at: datetime
    sure_from: Annotated[
        datetime, Meta(description="it gets every event it wants that happens from then on; of those before, some")
    ]


class MadeWebhook(WebhookView, frozen=True, kw_only=True, rename="camel"):
    """An endpoint with secrets that were just made."""

    secret: Annotated[
        str | None, Meta(description="`whsec_…`, to verify `v1` with; shown only here. null: it signs by `v1a` alone")
    ]


class CreateWebhook(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An endpoint to be."""

    SHOWN_AS: ClassVar = WebhookView

    url: _Url
    event_types: _EventTypes = []
    concert_id: Id | None = None
    about: Text | None = None
    email: Annotated[Email | None, Meta(description="who is told if it is switched off for failing")] = None
    signatures: Annotated[
        list[Scheme], Meta(min_length=1, max_length=2, description="v1: HMAC-SHA256; v1a: Ed25519")
    ] = msgspec.field(default_factory=lambda: [Scheme.HMAC])


class ChangeWebhook(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is to be another from now on; what is left out stays."""

    url: _Url | UnsetType = UNSET
    event_types: _EventTypes | UnsetType = UNSET
    concert_id: Id | UnsetType | None = UNSET
    about: Text | UnsetType | None = UNSET
    email: Email | UnsetType | None = UNSET
    on: Annotated[bool | UnsetType, Meta(description="true switches it on again, false off")] = UNSET


class RotateWebhook(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """For how long deliveries are signed with the old secrets, too."""

    overlap_seconds: Annotated[float, Meta(ge=0, le=LONGEST_OVERLAP.total_seconds())] = DAY_SECONDS


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an endpoint is told of one event."""

    id: str
    webhook_id: str
    message_id: Annotated[str, Meta(description="the `webhook-id`, the same in each attempt and at each endpoint")]
    type: str
    concert_id: Annotated[str | None, Meta(description="of the concert that the event is about")]
    status: deliveries.Status
    created_at: datetime | None
    attempts: Annotated[int, Meta(description="since it was created, or sent again")]
    due_at: Annotated[datetime | None, Meta(description="when it is tried, or tried again")]
    ended_at: datetime | None
    answer: Annotated[int | None, Meta(description="the status of the last answer; null: there was none")]
    detail: Annotated[str | None, Meta(description="why the last attempt came to nothing")]


class WholeDelivery(DeliveryView, frozen=True, kw_only=True, rename="camel"):
    """A delivery with what is posted."""

    body: Annotated[str, Meta(description="the body, as it is posted and signed")]


class FindDeliveries(Paged, frozen=True, kw_only=True, rename="camel"):
    """Which deliveries to list."""

    webhook_id: Annotated[str, Meta(max_length=128)] | None = None
    status: deliveries.Status | None = None


class Resend(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which deliveries to send again: those named, or all of an endpoint that failed."""

    ids: (
        Annotated[list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(min_length=1, max_length=AT_ONCE)]
        | None
    ) = None
    webhook_id: Annotated[str, Meta(max_length=128)] | None = None


class Resent(msgspec.Struct, frozen=True, kw_only=True):
    """How each stands now."""

    items: list[DeliveryView]
    more: Annotated[bool, Meta(description="there are others of this endpoint that failed: ask again")]


class EventTypeView(msgspec.Struct, frozen=True):
    """A type of event that endpoints can be told of."""

    type: str
    about: str


class EventTypes(msgspec.Struct, frozen=True):
    """All of them."""

    items: list[EventTypeView]


class WebhooksApi:
    """The routes of webhooks."""

    def __init__(self, webhooks: Webhooks, ownership: Ownership) -> None:
        self._webhooks = webhooks
        self._ownership = ownership

    @route(
        "GET",
        "/notifications/webhook-event-types",
        scope=Scope.READ,
        summary="List the types of events that webhooks can be told of",
        replies={200: Reply(EventTypes)},
    )
    async def list_event_types(self, _: Request) -> Response:
        """All of them."""
        return json_response(EventTypes([EventTypeView(each.name, each.about) for each in FACTS]))

    @route(
        "POST",
        "/notifications/webhooks",
        scope=Scope.CATALOGUE,
        owned=Owned.HIDDEN,
        summary="Have events posted to a server of yours",
        description=(
            "By the Standard Webhooks specification. The key needs the scope `read`, too: an endpoint learns what it "
            "opens. The secret is in this answer alone."
        ),
        replies={201: Reply(MadeWebhook, "The webhook.")},
        refusals=(NotFound, TooManyWebhooks, Busy),
    )
    async def create_webhook(self, request: Request, body: CreateWebhook) -> Response:
        """201 the webhook."""
        principal = _reading(request)
        types = _event_types(body.event_types)
        concert_id = await self._concert(principal, body.concert_id)
        schemes = tuple(dict.fromkeys(body.signatures))
        asked = Asked(body.url, schemes, types, concert_id, body.about, body.email)
        return _made(await self._webhooks.create(principal.organizer, asked, by=principal.id), 201)

    @route(
        "GET",
        "/notifications/webhooks",
        scope=Scope.READ,
        owned=Owned.FILTERED,
        summary="List webhooks",
        description="All of yours, the newest first.",
        replies={200: Reply(Page[WebhookView])},
    )
    async def list_webhooks(self, request: Request) -> Response:
        """All of them."""
        found = await self._webhooks.all(asking(request))
        return json_response(Page([_view(each) for each in found], None))

    @route(
        "GET",
        "/notifications/webhooks/{webhook_id}",
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="Show a webhook",
        replies={200: Reply(WebhookView)},
        refusals=(NotFound,),
    )
    async def show_webhook(self, request: Request) -> Response:
        """200 the webhook."""
        return json_response(_view(await self._webhooks.one(asking(request), request.segment)))

    @route(
        "PATCH",
        "/notifications/webhooks/{webhook_id}",
        scope=Scope.CATALOGUE,
        owned=Owned.HIDDEN,
        summary="Change a webhook, or switch it on or off",
        description="While it is off, nothing is sent to it and nothing is kept for it. The key needs `read`, too.",
        replies={200: Reply(WebhookView)},
        refusals=(NotFound, Busy),
    )
    async def change_webhook(self, request: Request, body: ChangeWebhook) -> Response:
        """200 the webhook."""
        principal = _reading(request)
        concert_id = body.concert_id
        if not isinstance(concert_id, UnsetType):
            concert_id = await self._concert(principal, concert_id)
        wanted = EndpointChange(
            url=body.url,
            event_types=UNSET if isinstance(body.event_types, UnsetType) else _event_types(body.event_types),
            concert_id=concert_id,
            about=body.about,
            is_on=body.on,
        )
        email = None if isinstance(body.email, UnsetType) else [body.email]
        return json_response(_view(await self._webhooks.change(principal, request.segment, wanted, email)))

    @route(
        "DELETE",
        "/notifications/webhooks/{webhook_id}",
        scope=Scope.CATALOGUE,
        owned=Owned.HIDDEN,
        summary="Delete a webhook",
        description="With its URL and its secrets. What is still to be delivered to it fails.",
        replies={200: Reply(WebhookView, "What is left of it.")},
        refusals=(NotFound, Busy),
    )
    async def delete_webhook(self, request: Request) -> Response:
        """200 what is left of it."""
        return json_response(_view(await self._webhooks.delete(asking(request), request.segment)))

    @route(
        "POST",
        "/notifications/webhooks/{webhook_id}/rotate",
        scope=Scope.CATALOGUE,
        owned=Owned.HIDDEN,
        summary="Give a webhook new secrets",
        description="For `overlapSeconds` deliveries are signed with the old ones, too. The key needs `read`, too.",
        replies={200: Reply(MadeWebhook)},
        refusals=(NotFound, Busy),
    )
    async def rotate_webhook(self, request: Request, body: RotateWebhook) -> Response:
        """200 the webhook, with its secret."""
        overlap = timedelta(seconds=body.overlap_seconds)
        return _made(await self._webhooks.rotate(_reading(request), request.segment, overlap=overlap), 200)

    @route(
        "POST",
        "/notifications/webhooks/{webhook_id}/ping",
        scope=Scope.CATALOGUE,
        owned=Owned.HIDDEN,
        summary="Send a webhook a test",
        description="An event of the type `webhook.ping`, like any other; what came of it, the delivery says.",
        replies={202: Reply(DeliveryView, "It is sent.")},
        refusals=(NotFound, WebhookOff, Busy),
    )
    async def ping_webhook(self, request: Request) -> Response:
        """202 the delivery."""
        return json_response(_delivery(await self._webhooks.ping(asking(request), request.segment)), 202)

    @route(
        "GET",
        "/notifications/webhook-deliveries",
        scope=Scope.READ,
        owned=Owned.FILTERED,
        summary="List deliveries to webhooks",
        description="The newest first. They are kept for a number of days after they came to an end.",
        replies={200: Reply(Page[DeliveryView])},
    )
    async def list_deliveries(self, request: Request, query: FindDeliveries) -> Response:
        """A page of them."""
        found, following = await self._webhooks.deliveries(
            asking(request),
            webhook_id=query.webhook_id,
            status=query.status,
            query=Query(after=query.after, limit=query.limit),
        )
        return json_response(Page([_delivery(each) for each in found], following))

    @route(
        "GET",
        "/notifications/webhook-deliveries/{delivery_id}",
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="Show a delivery, with what is posted",
        replies={200: Reply(WholeDelivery)},
        refusals=(NotFound,),
    )
    async def show_delivery(self, request: Request) -> Response:
        """200 the delivery."""
        found = await self._webhooks.delivery(asking(request), request.segment)
        return json_response(WholeDelivery(**_shown(found), body=found.body))

    @route(
        "POST",
        "/notifications/webhook-deliveries/resend",
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        summary="Send deliveries again",
        description=(
            "Those named by `ids`, delivered or failed; or, with `webhookId`, those of this endpoint that failed: up "
            f"to {AT_ONCE}, and `more` says whether there are others. They keep their `webhook-id`."
        ),
        replies={200: Reply(Resent)},
        refusals=(NotFound, WebhookOff, Busy),
    )
    async def resend_deliveries(self, request: Request, body: Resend) -> Response:
        """How each stands now."""
        principal = asking(request)
        if (body.ids is None) is (body.webhook_id is None):
            raise Invalid(("ids", "or `webhookId` is wanted, and not both"))
        ids, more = body.ids, False
        if ids is None:
            await self._webhooks.one(principal, body.webhook_id or "")
            failed, following = await self._webhooks.deliveries(
                principal, webhook_id=body.webhook_id, status=deliveries.Status.FAILED, query=Query(limit=AT_ONCE)
            )
            ids, more = [each.id for each in failed if each.can_be_sent_again], following is not None
        resent = await self._webhooks.resend(principal, list(dict.fromkeys(ids))) if ids else []
        return json_response(Resent(items=[_delivery(each) for each in resent], more=more and bool(resent)))

    async def _concert(self, principal: Principal, concert_id: str | None) -> str | None:
        """The concert that an endpoint is for, if it is the key's own. Raises NotFound."""
        wanted = principal.concert_id if concert_id is None else concert_id
        if wanted is not None and not await self._ownership.owns(principal, wanted):
            raise NotFound("concert", wanted)
        return wanted


def _reading(request: Request) -> Principal:
    """Who asks, if they may read what an endpoint is told. Raises ScopeMissing."""
    principal = asking(request)
    if Scope.READ not in principal.scopes:
        raise ScopeMissing(Scope.READ)
    return principal


def _event_types(given: list[str]) -> tuple[str, ...]:
    for at, each in enumerate(given):
        if each not in NAMES:
            raise Invalid((f"eventTypes[{at}]", f"is no event type (known: {', '.join(sorted(NAMES))})"))
    return tuple(dict.fromkeys(given))


def _view(endpoint: Endpoint) -> WebhookView:
    return WebhookView(**_fields_shown(endpoint))


def _made(made: Made, status: int) -> Response:
    return json_response(MadeWebhook(**_fields_shown(made.endpoint), secret=made.secrets.hmac), status)


def _fields_shown(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "status": endpoint.status,
        "stopped": endpoint.stopped,
        "stopped_at": endpoint.stopped_at,
        "failing_since": endpoint.failing_since,
        "event_types": list(endpoint.event_types),
        "concert_id": endpoint.concert_id,
        "about": endpoint.about,
        "tells_by_email": endpoint.has_email,
        "signatures": list(endpoint.schemes),
        "public_key": endpoint.public_key,
        "former_secrets_until": max((each.ends_at for each in endpoint.former), default=None),
        "created_at": endpoint.created_at,
        "sure_from": endpoint.sure_from,
    }


def _delivery(delivery: Delivery) -> DeliveryView:
    return DeliveryView(**_shown(delivery))


def _shown(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "webhook_id": delivery.webhook_id,
        "message_id": delivery.message_id,
        "type": delivery.type,
        "concert_id": delivery.concert_id,
        "status": delivery.status,
        "created_at": delivery.created_at,
        "attempts": delivery.attempts,
        "due_at": delivery.due_at if delivery.status is deliveries.Status.PENDING else None,
        "ended_at": delivery.ended_at,
        "answer": delivery.answer,
        "detail": delivery.detail,
    }
