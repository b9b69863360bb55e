"""Organizers who move seats: to the best, to named ones, one with another's, at any moment of an order's life.

They know orders from what they see happen, remember whose seats are where, and show the door the codes of before.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial

from msgspec import UNSET

from cludale.kernel.allocation import Allocation, seats_named
from cludale.kernel.events import Envelope
from cludale.services.concerts.seat_moves.api import MoveSeatsRequest, SwappedSeats, SwapSeatsRequest
from cludale_proof.simulator.client import RequestOutcome, SimulatedClient
from cludale_proof.simulator.faults import Chaos

_WORTH_A_MOVE: Mapping[str, float] = {
    "SeatsOffered": 0.4,
    "TicketReserved": 0.25,
    "SeatsSold": 0.2,
    "OrderPaid": 0.3,
    "TicketIssued": 0.3,
}
"""How often somebody is moved once this happened."""

Later = Callable[[float, Callable[[], Coroutine[None, None, None]]], None]
"""Does something after so many seconds."""
Enter = Callable[[str, str, str], Coroutine[None, None, None]]
"""Somebody shows a code at a door."""


class Movers:
    """Those who move seats, if any do in this run."""

    def __init__(
        self,
        client: SimulatedClient,
        chaos: Chaos,
        seats: Mapping[tuple[str, str], Sequence[str]],
        *,
        later: Later,
        enter: Enter,
        seed: str,
    ) -> None:
        """`seats`: the ids of the numbered seats by concert and section; none: nobody moves any."""
        self._client = client
        self._chaos = chaos
        self._seats = seats
        self._later = later
        self._enter = enter
        # Of their own, so that a seed stays what it was in all else.
        self._choices = random.Random(f"movers {seed}")  # noqa: S311 - a scene, not a secret
        self._known: dict[tuple[str, str], dict[str, Allocation]] = {}
        self._moves = 0

    def happened(self, event: Envelope) -> None:
        """An event became true in this very moment."""
        chance = _WORTH_A_MOVE.get(event.type)
        if chance is None or not self._seats or not self._chaos.active:
            return
        seats: Allocation = event.data.allocation
        if not seats_named(seats):
            return
        key, order_id = (seats.concert_id, seats.section), event.data.order_id
        self._known.setdefault(key, {})[order_id] = seats
        if self._choices.random() < chance:
            after = self._choices.choice((0.0, 0.0, 0.05, 0.5, 3.0))
            self._later(after, partial(self._move, order_id, seats, is_issued=event.type == "TicketIssued"))

    async def _move(self, order_id: str, seats: Allocation, *, is_issued: bool) -> None:
        """One move, asked for again where there is no answer; and the door is shown the codes of before and of now."""
        choose, key = self._choices, f"move-{self._moves}"
        self._moves += 1
        number = choose.randint(1, seats.quantity)
        before = await self._client.code(order_id, number) if is_issued else None
        others = [each for each in self._known[seats.concert_id, seats.section] if each != order_id]
        act: Callable[[], Awaitable[RequestOutcome]]
        if others and choose.random() < 0.4:
            act = partial(self._swapped, key, order_id, seats, choose.choice(others))
        else:
            act = partial(self._moved, key, self._move_request(order_id, seats), seats.concert_id)
        await self._client.insist(act, attempts=4)
        if before is None:
            return
        await asyncio.sleep(choose.choice((0.0, 0.5, 2.0)))
        after = await self._client.code(order_id, number)
        await self._enter("guest", before, "north")
        if after is not None:
            await self._enter("guest", after, "south")

    def _move_request(self, order_id: str, seats: Allocation) -> MoveSeatsRequest:
        choose, own = self._choices, [seat.id for seat in seats_named(seats)]
        some = own[: choose.randint(1, len(own))] if choose.random() < 0.4 else own
        every = self._seats.get((seats.concert_id, seats.section), ())
        is_named = len(every) >= len(some) and choose.random() < 0.5
        return MoveSeatsRequest(
            order=order_id,
            seats=some if some is not own else UNSET,
            to=choose.sample(every, len(some)) if is_named else UNSET,
            reason="a pillar",
            even_if_admitted=choose.random() < 0.3,
        )

    async def _moved(self, key: str, wanted: MoveSeatsRequest, concert_id: str) -> RequestOutcome:
        path = "/concerts/{concert_id}/seats/move"
        return await self._client.ask("organizer", "POST", path, wanted, key, of=concert_id)

    async def _swapped(self, key: str, order_id: str, seats: Allocation, other_id: str) -> RequestOutcome:
        other = self._known[seats.concert_id, seats.section][other_id]
        one, two = [[seat.id for seat in seats_named(each)] for each in (seats, other)]
        is_all = len(one) == len(two)
        wanted = SwapSeatsRequest(
            first=SwappedSeats(order=order_id, seats=UNSET if is_all else one[:1]),
            second=SwappedSeats(order=other_id, seats=UNSET if is_all else two[:1]),
            reason="as they asked",
        )
        path = "/concerts/{concert_id}/seats/swap"
        return await self._client.ask("organizer", "POST", path, wanted, key, of=seats.concert_id)
