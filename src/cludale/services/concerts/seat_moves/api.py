"""Moves of seats over HTTP: another seat for a buyer, two orders that swap. Decides nothing."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Self

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cludale.kernel.ids import Id, from_key
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, NotFound
from cludale.ports.entrance import AlreadyAdmitted
from cludale.ports.records import Records
from cludale.ports.seats import CalledOff, ConcertNotFound, ConcertOver, HoldEnded, SeatsNotFree, SeatsUnavailable
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.concerts.api import STATUS as CONCERTS_STATUS
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.seat_moves.domain import (
    MoveSeats,
    NothingToMove,
    OtherSection,
    SeatsOf,
    SwapSeats,
    TooManyMoves,
)
from cludale.services.concerts.service import Concerts
from cludale.services.concerts.stock import Reservation
from cludale.web.fields import Text
from cludale.web.keyed import Keyed
from cludale.web.problems import Problems, Statuses
from cludale.web.responses import Response, json_response
from cludale.web.routing import IDEMPOTENCY_KEY, TRACEPARENT, Owned, Reply, Request, asking, route
from cludale.web.seats import SeatIds, SeatView

STATUS: Statuses = {AlreadyAdmitted: 409, NothingToMove: 409, OtherSection: 409, TooManyMoves: 409}

_REFUSALS = (
    ConcertNotFound,
    NotFound,
    NothingToMove,
    AlreadyAdmitted,
    OtherSection,
    SeatsNotFree,
    SeatsUnavailable,
    HoldEnded,
    TooManyMoves,
    CalledOff,
    ConcertOver,
    Busy,
)
_WHICH = "which of its seats, by their ids; without it all that it has"
_TO = "the ids of as many other seats, in the same order; without it the best that are free"
_REASON = "why; the buyer reads it, and the log keeps it: no names"
_ADMITTED = "move seats, too, with whose tickets somebody was let in: who is inside has to be told by you"
_HOW = (
    "Within one section alone: what was paid stays what was paid. The tickets of these seats get new codes, and the "
    "codes of before let nobody in any more; who has paid is told by message, once. A buyer's seats are moved while "
    "they are held and after they were sold, by an organizer's key or session. All of it is one decision: everything "
    "moves, or nothing."
)

EvenIfAdmitted = Annotated[bool, Meta(description=_ADMITTED)]
Reason = Annotated[Text, Meta(description=_REASON)]


class MoveSeatsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An order that is to have other seats."""

    order: Id
    seats: Annotated[SeatIds, Meta(description=_WHICH)] | UnsetType = UNSET
    to: Annotated[SeatIds, Meta(description=_TO)] | UnsetType = UNSET
    reason: Reason
    even_if_admitted: EvenIfAdmitted = False


class SwappedSeats(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Seats of an order that swap with another's."""

    order: Id
    seats: Annotated[SeatIds, Meta(description=_WHICH)] | UnsetType = UNSET

    def of(self, field: str) -> SeatsOf:
        """The same; `field`: what it is called in the request."""
        return SeatsOf(order_id=self.order, seats=tuple(self.seats or ()), field=f"{field}.")


class SwapSeatsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Two orders that swap as many seats."""

    first: SwappedSeats
    second: SwappedSeats
    reason: Reason
    even_if_admitted: EvenIfAdmitted = False


class OrdersSeats(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The seats that an order has now."""

    order_id: str
    section: str
    seats: list[SeatView]

    @classmethod
    def of(cls, order_id: str, reservation: Reservation) -> Self:
        """Those that were not given back."""
        seats = [SeatView.of(seat) for seat in reservation.kept_seats]
        return cls(order_id=order_id, section=reservation.section, seats=seats)


class MovedView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What each order has after a move."""

    concert_id: str
    orders: list[OrdersSeats]


class SeatMovesApi:
    """The routes by which seats are moved."""

    def __init__(self, concerts: Concerts, records: Records) -> None:
        self._concerts = concerts
        self._keyed = Keyed(IdempotencyKeys("concerts", records), Problems(STATUS, CONCERTS_STATUS))

    @route(
        "POST",
        "/concerts/{concert_id}/seats/move",
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        headers=(IDEMPOTENCY_KEY, TRACEPARENT),
        summary="Move a buyer to other seats",
        description=f"To seats that are named, or to the best that are free. {_HOW}",
        replies={200: Reply(MovedView, "What the order has now.")},
        refusals=_REFUSALS,
    )
    async def move_seats(self, request: Request, body: MoveSeatsRequest) -> Response:
        """200 the order's seats; what is so already changes nothing."""
        concert = await self._concerts.directory.own(request.segment, asking(request))
        of = SeatsOf(order_id=body.order, seats=tuple(body.seats or ()))

        async def move(move_id: str) -> Sequence[Reservation]:
            command = MoveSeats(
                move_id=move_id,
                of=of,
                to=tuple(body.to or ()),
                moved_by=asking(request).id,
                reason=body.reason,
                over_at=concert.over_at,
            )
            return await self._concerts.seat_moves.move(
                concert, command, even_if_admitted=body.even_if_admitted, cause=request.cause
            )

        return await self._once(request, "move", body, concert, [body.order], move)

    @route(
        "POST",
        "/concerts/{concert_id}/seats/swap",
        scope=Scope.SELL,
        owned=Owned.HIDDEN,
        headers=(IDEMPOTENCY_KEY, TRACEPARENT),
        summary="Have two orders swap seats",
        description=f"All of theirs, or those that are named: as many of one as of the other. {_HOW}",
        replies={200: Reply(MovedView, "What both have now.")},
        refusals=_REFUSALS,
    )
    async def swap_seats(self, request: Request, body: SwapSeatsRequest) -> Response:
        """200 the seats of both."""
        concert = await self._concerts.directory.own(request.segment, asking(request))

        async def swap(move_id: str) -> Sequence[Reservation]:
            command = SwapSeats(
                move_id=move_id,
                first=body.first.of("first"),
                second=body.second.of("second"),
                moved_by=asking(request).id,
                reason=body.reason,
                over_at=concert.over_at,
            )
            return await self._concerts.seat_moves.swap(
                concert, command, even_if_admitted=body.even_if_admitted, cause=request.cause
            )

        return await self._once(request, "swap", body, concert, [body.first.order, body.second.order], swap)

    async def _once(
        self,
        request: Request,
        what: str,
        body: MoveSeatsRequest | SwapSeatsRequest,
        concert: Concert,
        orders: Sequence[str],
        act: Callable[[str], Awaitable[Sequence[Reservation]]],
    ) -> Response:
        """The answer; safe to repeat, for the key's move is the same one again."""
        key = request.idempotency_key
        told = (secrets.token_hex(16),) if key is None else (concert.id, key, msgspec.json.encode(body).decode())

        async def answer() -> Response:
            found = await act(from_key("move", what, *told))
            shown = [OrdersSeats.of(order, has) for order, has in zip(orders, found, strict=True)]
            return json_response(MovedView(concert_id=concert.id, orders=shown))

        return await self._keyed.once_across_partitions(f"seats {what} {concert.id}", key, body, answer)
