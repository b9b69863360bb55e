"""Waiting lists over HTTP, as an organizer sees them. Who joins one, orders (`POST /orders`)."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from cludale.kernel.ids import Id
from cludale.kernel.principals import Scope
from cludale.ports.seats import ConcertNotFound, SectionNotFound
from cludale.services.concerts.blocks.service import page
from cludale.services.concerts.service import Concerts
from cludale.web.queries import Page, Paged
from cludale.web.responses import Response, json_response
from cludale.web.routing import Owned, Reply, Request, asking, route


class WaitsView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order that waits."""

    order_id: str
    section: str
    position: Annotated[int, Meta(description="on its section's list: how many are served before it, with itself")]
    quantity: int
    joined_at: datetime


class FindWaits(Paged, frozen=True, kw_only=True):
    """Whom to list."""

    section: Annotated[Id, Meta(description="only of this section")] | None = None


class WaitingApi:
    """The route of waiting lists."""

    def __init__(self, concerts: Concerts) -> None:
        self._concerts = concerts

    @route(
        "GET",
        "/concerts/{concert_id}/waiting-list",
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="List who waits for seats of a concert",
        description=(
            "Section by section, the first first. Buyers join with `waitingList` in `POST /orders`; while anybody "
            "waits for seats of a section, nobody else gets them. Who is offered seats is not on the list any more."
        ),
        replies={200: Reply(Page[WaitsView])},
        refusals=(ConcertNotFound, SectionNotFound),
    )
    async def list_waiting(self, request: Request, query: FindWaits) -> Response:
        """A page of them."""
        concert = await self._concerts.directory.own(request.segment, asking(request))
        found, following = page(
            await self._concerts.waiting.all_of(concert, query.section), after=query.after, limit=query.limit
        )
        items = [
            WaitsView(
                order_id=each.entry.order_id,
                section=each.section,
                position=each.position,
                quantity=each.entry.quantity,
                joined_at=each.entry.joined_at,
            )
            for each in found
        ]
        return json_response(Page(items, following))
