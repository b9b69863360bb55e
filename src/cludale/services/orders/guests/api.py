"""Guest lists over HTTP: shapes, routes. Decides nothing."""

from enum import StrEnum
from typing import Annotated, Self

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.ids import Id
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, Invalid, NotFound
from cludale.ports.records import Query
from cludale.ports.seats import ConcertNotFound
from cludale.services.orders.guests import domain as guests
from cludale.services.orders.guests.domain import MOST_GUESTS, GuestLine, GuestsRefused, NewGuest
from cludale.services.orders.guests.service import Added, GuestLists, Listed
from cludale.services.orders.order import Order, Status
from cludale.services.orders.privacy.domain import NOTHING, Particulars
from cludale.web.ownership import Ownership
from cludale.web.problems import Statuses
from cludale.web.queries import Page, Paged
from cludale.web.responses import Response, json_response
from cludale.web.routing import TRACEPARENT, Owned, Reply, Request, asking, route

BODY_BYTES = 512 * 1024
"""The largest request with guests."""
_PREVIEW = "nobody is put on: the answer says what would become of each, as far as there are seats"
_CSV = (
    f"a file with a line of column names ({', '.join(guests.COLUMNS)}), then a line for each guest; commas or `;`. "
    "`seats` are the ids of numbered seats with `;` between them"
)


class AddGuests(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Who is to be on a concert's guest list: either `guests` or a file."""

    concert_id: Id
    guests: Annotated[list[NewGuest], Meta(min_length=1, max_length=MOST_GUESTS)] | None = None
    csv: Annotated[str, Meta(max_length=BODY_BYTES, description=_CSV)] | None = None
    preview: Annotated[bool, Meta(description=_PREVIEW)] = False

    def wanted(self) -> list[GuestLine]:
        """All of them. Raises Invalid, which names the lines that are wrong."""
        if self.csv is not None and self.guests is None:
            wanted = guests.from_csv(self.csv)
        elif self.guests is not None and self.csv is None:
            wanted = [GuestLine(f"guests[{number}]", guest) for number, guest in enumerate(self.guests)]
        else:
            raise Invalid(("guests", "give either `guests` or `csv`"))
        guests.check_seats(wanted)
        return wanted


STATUS: Statuses = {GuestsRefused: 409}


class Outcome(StrEnum):
    """What came of a guest."""

    ADDED = "added"
    THERE = "there"
    """They were on the list before."""


class GuestView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A guest. Their `id` is that of their order."""

    id: str | None
    name: str | None
    tickets: int
    note: str | None
    email: str | None
    section: str | None
    status: Status | None
    outcome: Annotated[Outcome | UnsetType, Meta(description="of a guest who was to be put on")] = UNSET

    @classmethod
    def of(cls, order: Order, left: Particulars) -> Self:
        """The view of a guest on the list."""
        return cls(
            id=order.id,
            name=left.name,
            tickets=order.seats.quantity,
            note=left.comment,
            email=left.email,
            section=order.seats.section,
            status=order.status,
        )

    @classmethod
    def of_new(cls, added: Added) -> Self:
        """The view of what came of one."""
        guest, order = added.guest, added.order
        return cls(
            id=None if order is None else order.id,
            name=guest.name,
            tickets=guest.tickets,
            note=guest.note,
            email=guest.email,
            section=guest.section if order is None else order.seats.section,
            status=None if order is None else order.status,
            outcome=Outcome.ADDED if added.is_new else Outcome.THERE,
        )


class AddedGuests(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of all."""

    added: int
    there: int
    items: list[GuestView]


class FindGuests(Paged, frozen=True, kw_only=True, rename="camel"):
    """Whom to list."""

    concert_id: Id
    search: Annotated[str, Meta(min_length=1, max_length=200, description="in name, note or e-mail address")] | None = (
        None
    )


class GuestsApi:
    """The routes of guest lists."""

    def __init__(self, lists: GuestLists, ownership: Ownership) -> None:
        self._lists = lists
        self._ownership = ownership

    @route(
        "POST",
        "/orders/guests",
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        headers=(TRACEPARENT,),
        summary="Put guests on a concert's list",
        description=(
            f"Up to {MOST_GUESTS}, as `guests` or as a file: all of them or none. Lines that are wrong, and those for "
            "whom there are no seats, are named with the reason, and nobody is put on. Each guest gets complimentary "
            "tickets in their name, also before the sale begins. Who is on the list already, in the same words, stays "
            "as they are: so it can be asked again, also where no answer came."
        ),
        replies={200: Reply(AddedGuests)},
        refusals=(ConcertNotFound, GuestsRefused, Busy),
        max_body_bytes=BODY_BYTES,
    )
    async def add_guests(self, request: Request, body: AddGuests) -> Response:
        """200 what came of each, in their order."""
        who = asking(request)
        await self._ownership.check(who, body.concert_id)
        if body.preview:
            found = await self._lists.preview(body.concert_id, body.wanted())
        else:
            found = await self._lists.add(body.concert_id, body.wanted(), seller=who.id, cause=request.cause)
        new = sum(each.is_new for each in found)
        return json_response(
            AddedGuests(added=new, there=len(found) - new, items=[GuestView.of_new(each) for each in found])
        )

    @route(
        "GET",
        "/orders/guests",
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="List a concert's guests",
        description="As they were put on. With a `search` there may be a `next` after few items or none.",
        replies={200: Reply(Page[GuestView])},
        refusals=(ConcertNotFound, Busy),
    )
    async def list_guests(self, request: Request, query: FindGuests) -> Response:
        """A page of them."""
        await self._ownership.check(asking(request), query.concert_id)
        asked = Query(after=query.after, limit=query.limit)
        found, following = await self._lists.listed(query.concert_id, query.search, asked)
        return json_response(Page([_view(each) for each in found], following))

    @route(
        "POST",
        "/orders/guests/{order_id}/remove",
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        headers=(TRACEPARENT,),
        summary="Take a guest off the list",
        description="Their tickets let nobody in any more; others can have their seats. Again changes nothing.",
        replies={200: Reply(GuestView)},
        refusals=(NotFound, Busy),
    )
    async def remove_guest(self, request: Request) -> Response:
        """200 the guest, their order Cancelled."""
        who, order_id = asking(request), request.segment
        order = await self._lists.guest(order_id)
        if not await self._ownership.owns(who, order.seats.concert_id):
            raise NotFound("guest", order_id)
        order = await self._lists.remove(order_id, seller=who.id, cause=request.cause)
        return json_response(GuestView.of(order, NOTHING))


def _view(listed: Listed) -> GuestView:
    return GuestView.of(listed.order, listed.left)
