"""Moves of numbered seats: to others, of two orders with one another."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import msgspec

from cludale.kernel.allocation import Allocation, NumberedSeat
from cludale.kernel.decision import Decision
from cludale.services.concerts import numbered
from cludale.services.concerts.evolution import Seating, evolve
from cludale.services.concerts.numbered import SeatMap
from cludale.services.concerts.seat_moves import domain as seat_moves
from cludale.services.concerts.seat_moves.domain import MoveCommand
from cludale.services.notifications import domain as notifications_domain
from cludale.services.orders import domain as orders_domain
from cludale.services.orders import queueing
from cludale.services.orders.events import OrderReseated
from cludale.services.tickets import door
from cludale_proof.planted.planting import bug, swap

_NUMBERED = "numbered seats"
_Seats = Sequence[NumberedSeat]


@bug("moves: the seats of before stay taken", theme=_NUMBERED)
def _(stack: ExitStack) -> None:
    right = numbered.moved

    def wrong(seats: SeatMap, had: _Seats, has: _Seats, until: int | None) -> SeatMap:
        after, stay = right(seats, had, has, until), bytearray(right(seats, had, has, until).taken)
        for seat in had:
            stay[seat.at >> 3] |= 1 << (seat.at & 7)
        return msgspec.structs.replace(after, taken=bytes(stay))

    swap(stack, numbered, "moved", wrong)


@bug("moves: the bits of the seats of before are cleared, though others have them by now", theme=_NUMBERED)
def _(stack: ExitStack) -> None:
    right = numbered.moved

    def wrong(seats: SeatMap, had: _Seats, has: _Seats, until: int | None) -> SeatMap:
        after = right(seats, had, has, until)
        gone = [seat for seat in had if seat not in has and after.taken[seat.at >> 3] >> (seat.at & 7) & 1]
        return numbered.given_back(after, gone)

    swap(stack, numbered, "moved", wrong)


@bug("moves: of two orders that swap, the first alone gets other seats", theme=_NUMBERED)
def _(stack: ExitStack) -> None:
    right = seat_moves.decide

    def wrong(seating: Seating, command: MoveCommand, now: datetime) -> Decision[Seating]:
        decision = right(seating, command, now)
        if len(decision.events) < 2:
            return decision
        return Decision(evolve(seating, decision.events[0]), decision.events[:1])

    swap(stack, seat_moves, "decide", wrong)


@bug("moves: the code of before lets in", theme=_NUMBERED)
def _(stack: ExitStack) -> None:
    right = door.judged

    def wrong(ticket: Any, *, generation: int, **kwargs: Any) -> Any:
        shown = ticket.generation if ticket.is_of_holder(generation) else generation
        return right(ticket, generation=shown, **kwargs)

    swap(stack, door, "judged", wrong)


@bug("moves: what is offered to who waited stays what it was when it was offered", theme=f"{_NUMBERED} + waiting list")
def _(stack: ExitStack) -> None:
    def wrong(order: Any, told: Allocation) -> Any:
        is_of_it = order.waits and order.waits.offer and order.waits.offer.reservation_id == told.reservation_id
        return order if is_of_it else None

    swap(stack, queueing, "with_others", wrong)


@bug("moves: a sale that is told late takes the order back to the seats of before", theme=_NUMBERED)
def _(stack: ExitStack) -> None:
    def wrong(known: Any, told: Allocation) -> Allocation:
        return told

    swap(stack, orders_domain, "latest", wrong)


@bug("moves: a buyer is told of one move, and of no other", theme=_NUMBERED)
def _(stack: ExitStack) -> None:
    right = notifications_domain.id_for

    def wrong(fact: Any) -> str:
        return right(fact).rpartition(".")[0] if isinstance(fact, OrderReseated) else right(fact)

    swap(stack, notifications_domain, "id_for", wrong)
