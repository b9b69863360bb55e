"""Notifications over HTTP: shapes, routes, refusal → status. Decides nothing."""

from datetime import datetime
from typing import Annotated, Self

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from msgspec import Meta

from cludale.http.access import Access
from cludale.http.answers import json_answer
from cludale.http.paging import DEFAULT_LIMIT, After, Limit, Page
from cludale.http.problems import Statuses, Unauthorized
from cludale.http.routing import ORGANIZER, organizer_only, refusals, respond
from cludale.kernel.refusals import Invalid
from cludale.ports.records import Query, UnusableCursor
from cludale.services.notifications.domain import Notification, Status
from cludale.services.notifications.events import Channel, NotificationKind
from cludale.services.notifications.service import Notifications

STATUS: Statuses = {}


class NotificationView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a buyer was told, or is going to be; the address is not kept."""

    id: str
    order_id: str
    kind: NotificationKind
    channel: Annotated[Channel | None, Meta(description="unknown until it was tried")]
    status: Status
    sent_at: datetime | None
    attempts: int
    detail: Annotated[str | None, Meta(description="why the last try came to nothing")]

    @classmethod
    def of(cls, notification: Notification) -> Self:
        """The view of a notification."""
        return cls(
            id=notification.id,
            order_id=notification.order_id,
            kind=notification.kind,
            channel=notification.channel,
            status=notification.status,
            sent_at=notification.sent_at,
            attempts=notification.attempts,
            detail=notification.detail,
        )


def routes(notifications: Notifications, access: Access) -> list[HTTPRouteHandler]:
    """The routes of notifications."""
    organizer = organizer_only(access)

    @get(
        "/notifications",
        guards=[organizer],
        security=ORGANIZER,
        tags=["notifications"],
        summary="List what buyers were told",
        responses=refusals(STATUS, Unauthorized, Invalid, UnusableCursor),
    )
    async def list_notifications(
        order_id: Annotated[str | None, QueryParameter(name="orderId")] = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Response[Page[NotificationView]]:
        equal = {} if order_id is None else {"orderId": order_id}
        found, following = await notifications.find(Query(equal=equal, after=after, limit=limit))
        return respond(json_answer(Page([NotificationView.of(each) for each in found], following)))

    return [list_notifications]
