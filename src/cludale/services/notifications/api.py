"""Notifications over HTTP: shapes, routes, refusal → status. Decides nothing."""

from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, NotFound
from cludale.services.notifications.domain import AlreadySent, Notification, Status
from cludale.services.notifications.events import Channel, NotificationKind
from cludale.services.notifications.service import Notifications
from cludale.services.notifications.store import listed
from cludale.web.ownership import Ownership
from cludale.web.problems import Statuses
from cludale.web.queries import Page, Paged
from cludale.web.responses import Response, json_response
from cludale.web.routing import Credential, Owned, Reply, Request, asking, route

STATUS: Statuses = {AlreadySent: 409}

RETRY_LIMIT = 50


class NotificationStatus(StrEnum):
    """The status of a notification."""

    PENDING = "Pending"
    SENT = "Sent"
    LOGGED = "Logged"
    """It stands in the log only: there was no address, or no server to send it to."""
    FAILED = "Failed"

    @classmethod
    def of(cls, notification: Notification) -> "NotificationStatus":
        """`Sent` is what was handed to somebody who brings it."""
        if notification.status is Status.SENT and notification.channel is Channel.LOG:
            return cls.LOGGED
        return cls(notification.status.value)

    @property
    def stored(self) -> Status:
        """What is stored of it."""
        return Status.SENT if self is NotificationStatus.LOGGED else Status(self.value)


class NotificationView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a buyer was told, or is going to be; the address is not kept."""

    id: str
    order_id: str
    kind: NotificationKind
    channel: Annotated[Channel | None, Meta(description="unknown until it was tried")]
    status: Annotated[
        NotificationStatus, Meta(description="Logged: it stands in the log only, for want of an address or a server")
    ]
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
            status=NotificationStatus.of(notification),
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


class FindNotifications(Paged, frozen=True, kw_only=True, rename="camel"):
    """Which notifications to list."""

    order_id: str | None = None
    status: NotificationStatus | None = None


class NotificationsApi:
    """The routes of notifications."""

    def __init__(self, notifications: Notifications, ownership: Ownership) -> None:
        self._ownership = ownership
        self._notifications = notifications

    @route(
        "GET",
        "/notifications",
        credential=Credential.ORGANIZER,
        scope=Scope.READ,
        owned=Owned.FILTERED,
        summary="List what buyers were told",
        description=(
            "With `status`, or where several organizers sell, a page may have fewer of them than `limit`, or none, and "
            "a `next` all the same."
        ),
        replies={200: Reply(Page[NotificationView])},
    )
    async def list_notifications(self, request: Request, query: FindNotifications) -> Response:
        """A page of them."""
        wanted, status = listed(order_id=query.order_id, after=query.after, limit=query.limit), query.status
        found, following = await self._notifications.find(wanted, None if status is None else status.stored)
        found = await self._ownership.of(asking(request), found, attrgetter("concert_id"))
        shown = [NotificationView.of(each) for each in found if status is None or NotificationStatus.of(each) is status]
        return json_response(Page(shown, following))

    @route(
        "POST",
        "/notifications/retry",
        credential=Credential.ORGANIZER,
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        summary="Send those again that were given up",
        description="One that is to be sent anyway stays as it is. One that was sent is refused, and none is retried.",
        replies={200: Reply(Retried)},
        refusals=(NotFound, AlreadySent, Busy),
    )
    async def retry_notifications(self, request: Request, body: NotificationsToRetry) -> Response:
        """How each stands now."""
        ids = list(dict.fromkeys(body.ids))
        principal = asking(request)
        if not self._ownership.sees_all(principal):
            among = await self._notifications.named(ids)
            owned = await self._ownership.of(principal, among, attrgetter("concert_id"))
            for id in ids:
                if all(each.id != id for each in owned):
                    raise NotFound("notification", id)
        retried = await self._notifications.retry(ids)
        return json_response(Retried([NotificationView.of(each) for each in retried]))
