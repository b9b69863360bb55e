"""Notifications over HTTP: shapes, routes, refusal → status. Decides nothing."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from msgspec import Meta

from cludale.http.access import Access
from cludale.http.answers import json_answer
from cludale.http.paging import DEFAULT_LIMIT, After, Limit, Page
from cludale.http.problems import Statuses, Unauthorized
from cludale.http.routing import ORGANIZER, JsonBody, organizer_only, refusals, respond
from cludale.kernel.refusals import Busy, Invalid, NotFound
from cludale.ports.records import Query, UnusableCursor
from cludale.services.notifications.domain import AlreadySent, Notification, Status
from cludale.services.notifications.events import Channel, NotificationKind
from cludale.services.notifications.service import Notifications

STATUS: Statuses = {AlreadySent: 409}

RETRY_LIMIT = 50


class Told(StrEnum):
    """How it stands with a notification."""

    PENDING = "Pending"
    SENT = "Sent"
    LOGGED = "Logged"
    """It stands in the log only: there was no address, or no server to send it to."""
    FAILED = "Failed"

    @classmethod
    def of(cls, notification: Notification) -> "Told":
        """`Sent` is what was handed to somebody who brings it."""
        if notification.status is Status.SENT and notification.channel is Channel.LOG:
            return cls.LOGGED
        return cls(notification.status.value)

    @property
    def stored(self) -> Status:
        """What is stored of it."""
        return Status.SENT if self is Told.LOGGED else Status(self.value)


class NotificationView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a buyer was told, or is going to be; the address is not kept."""

    id: str
    order_id: str
    kind: NotificationKind
    channel: Annotated[Channel | None, Meta(description="unknown until it was tried")]
    status: Annotated[Told, Meta(description="Logged: it stands in the log only, for want of an address or a server")]
    sent_at: datetime | None
    due_at: Annotated[datetime | None, Meta(description="when it is sent, or sent again")]
    attempts: int
    detail: Annotated[str | None, Meta(description="why the last try came to nothing")]
    payment_id: Annotated[str | None, Meta(description="the payment that it gives a receipt for")]

    @classmethod
    def of(cls, notification: Notification) -> Self:
        """The view of a notification."""
        return cls(
            id=notification.id,
            order_id=notification.order_id,
            kind=notification.kind,
            channel=notification.channel,
            status=Told.of(notification),
            sent_at=notification.sent_at,
            due_at=notification.due_at,
            attempts=notification.attempts,
            detail=notification.detail,
            payment_id=notification.payment_id,
        )


class NotificationsToRetry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which notifications to send again."""

    ids: Annotated[list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(min_length=1, max_length=RETRY_LIMIT)]


class Retried(msgspec.Struct, frozen=True):
    """How each stands now, in the order asked for."""

    items: list[NotificationView]


def routes(notifications: Notifications, access: Access) -> list[HTTPRouteHandler]:
    """The routes of notifications."""
    organizer = organizer_only(access)

    @get(
        "/notifications",
        guards=[organizer],
        security=ORGANIZER,
        tags=["notifications"],
        summary="List what buyers were told",
        description="With `status`, a page may have fewer of them than `limit`, or none, and a `next` all the same.",
        responses=refusals(STATUS, Unauthorized, Invalid, UnusableCursor),
    )
    async def list_notifications(
        order_id: Annotated[str | None, QueryParameter(name="orderId")] = None,
        in_status: Annotated[Told | None, QueryParameter(name="status")] = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Response[Page[NotificationView]]:
        equal = {} if order_id is None else {"orderId": order_id}
        query = Query(equal=equal, after=after, limit=limit)
        found, following = await notifications.find(query, in_status.stored if in_status is not None else None)
        shown = [NotificationView.of(each) for each in found if in_status is None or Told.of(each) is in_status]
        return respond(json_answer(Page(shown, following)))

    @post(
        "/notifications/retry",
        dto=JsonBody[NotificationsToRetry],
        return_dto=None,
        status_code=200,
        guards=[organizer],
        security=ORGANIZER,
        tags=["notifications"],
        summary="Send those again that were given up",
        description="One that is to be sent anyway stays as it is. One that was sent is refused, and none is retried.",
        responses=refusals(STATUS, Unauthorized, NotFound, Invalid, AlreadySent, Busy),
    )
    async def retry_notifications(data: NotificationsToRetry) -> Response[Retried]:
        retried = await notifications.retry(list(dict.fromkeys(data.ids)))
        return respond(json_answer(Retried([NotificationView.of(each) for each in retried])))

    return [list_notifications, retry_notifications]
