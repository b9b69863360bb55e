"""Notifications over HTTP: shapes, routes, refusal → status. Decides nothing."""

from datetime import datetime
from enum import StrEnum
from functools import partial
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
from cludale.web.routing import Owned, Reply, Request, asking, route

STATUS: Statuses = {AlreadySent: 409}

RETRY_LIMIT = 50
BOUNCE_LIMIT = 200


class NotificationStatus(StrEnum):
    """The status of a notification."""

    PENDING = "Pending"
    SENT = "Sent"
    LOGGED = "Logged"
    """It stands in the log only: there was no address, or no server to send it to."""
    FAILED = "Failed"
    BOUNCED = "Bounced"
    """It was taken, and came back."""

    @classmethod
    def of(cls, notification: Notification) -> "NotificationStatus":
        """`Sent` is what was handed to somebody who brings it."""
        if notification.status is Status.SENT and notification.channel is Channel.LOG:
            return cls.LOGGED
        if notification.status is not Status.PENDING and notification.bounced_at is not None:
            return cls.BOUNCED
        return cls(notification.status.value)


class NotificationView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a buyer was told, or is going to be; the address is not kept."""

    id: str
    order_id: str
    kind: NotificationKind
    channel: Annotated[Channel | None, Meta(description="unknown until it was tried")]
    status: Annotated[
        NotificationStatus,
        Meta(
            description=(
                "Logged: it stands in the log only, for want of an address or a server; Bounced: a server took it, and "
                "it came back"
            )
        ),
    ]
    sent_at: datetime | None
    due_at: Annotated[datetime | None, Meta(description="when it is sent, or sent again")]
    attempts: int
    detail: Annotated[str | None, Meta(description="why the last try came to nothing")]
    payment_id: Annotated[str | None, Meta(description="the payment that it gives a receipt for")]
    bounced_at: Annotated[datetime | None, Meta(description="when it came back, since it was last sent")]
    bounce: Annotated[str | None, Meta(description="why, as a status code of RFC 3463: 5.1.1 is no such mailbox")]

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
            bounced_at=notification.bounced_at,
            bounce=notification.bounce,
        )


class NotificationsToRetry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which notifications to send again."""

    ids: Annotated[list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(min_length=1, max_length=RETRY_LIMIT)]


class Retried(msgspec.Struct, frozen=True):
    """How each stands now, in the order asked for."""

    items: list[NotificationView]


BounceStatus = Annotated[
    str,
    Meta(
        pattern=r"^[245]\.[0-9]{1,3}\.[0-9]{1,3}$(?!\n)",
        description="the status code of RFC 3463 in the report: 5.1.1 is no such mailbox",
    ),
]


class Bounce(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message that came back."""

    id: Annotated[str, Meta(min_length=1, max_length=128, description="the notification's, as its envelope bore it")]
    status: BounceStatus = "5.0.0"


class Bounces(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Messages that came back."""

    bounces: Annotated[list[Bounce], Meta(min_length=1, max_length=BOUNCE_LIMIT)]


class Bounced(msgspec.Struct, frozen=True, kw_only=True):
    """How each stands now, in the order told; those that there are not are in `unknown`."""

    items: list[NotificationView]
    unknown: list[str]


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
        fits = None if status is None else partial(_is, status)
        found, following = await self._notifications.find(wanted, fits)
        found = await self._ownership.of(asking(request), found, attrgetter("concert_id"))
        return json_response(Page([NotificationView.of(each) for each in found], following))

    @route(
        "POST",
        "/notifications/retry",
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        summary="Send those again that were given up or came back",
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

    @route(
        "POST",
        "/notifications/bounces",
        scope=Scope.OPERATE,
        summary="Say that messages came back",
        description=(
            "For whoever reads what mail servers send back; `cludale notifications bounce` does. The same again "
            "changes nothing, until the message is sent again."
        ),
        replies={200: Reply(Bounced)},
        refusals=(Busy,),
    )
    async def take_bounces(self, _: Request, body: Bounces) -> Response:
        """How each stands now."""
        known = await self._notifications.bounce({each.id: each.status for each in body.bounces})
        items = [NotificationView.of(each) for each in known.values() if each is not None]
        return json_response(Bounced(items=items, unknown=[id for id, each in known.items() if each is None]))


def _is(status: NotificationStatus, notification: Notification) -> bool:
    return NotificationStatus.of(notification) is status
