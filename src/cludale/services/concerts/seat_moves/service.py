"""Moves of seats at work: finds where an order's seats are, asks the door, and has the section decide."""

from collections.abc import Awaitable, Callable, Sequence

from cludale.kernel.events import Cause
from cludale.kernel.refusals import Busy, Invalid, NotFound
from cludale.ports.entrance import AlreadyAdmitted, Entrance, EntranceUnreachable
from cludale.ports.records import Key, Records
from cludale.services.concerts.commands import MoveDone, QueuedCommand, Result
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.seat_moves.domain import (
    MoveCommand,
    MoveSeats,
    NothingToMove,
    OtherSection,
    SeatsOf,
    SwapSeats,
)
from cludale.services.concerts.seat_plans.service import SeatPlans
from cludale.services.concerts.stock import Reservation
from cludale.services.concerts.store import RESERVATIONS, SectionKey

Submit = Callable[[SectionKey, Sequence[QueuedCommand]], Awaitable[Sequence[Result]]]
"""Into a section's command queue."""

_OURS = "order-"
"""What the ids of orders begin with; a hold that somebody made for an order of their own is theirs to see to."""


class SeatMoves:
    """The moves of all concerts."""

    def __init__(self, records: Records, submit: Submit, seat_plans: SeatPlans, entrance: Entrance | None) -> None:
        """`entrance`: who knows whom the door let in; None: nobody does."""
        self._records = records
        self._submit = submit
        self._seat_plans = seat_plans
        self._entrance = entrance

    async def move(
        self, concert: Concert, command: MoveSeats, *, even_if_admitted: bool, cause: Cause
    ) -> Sequence[Reservation]:
        """Give an order other seats; what it has then. Again under the same id, nothing changes.

        Raises NotFound, Busy, AlreadyAdmitted, OtherSection, and what `seat_moves.decide` raises.
        """
        section = await self._section_of(concert, command.of)
        for i, id in enumerate(command.to):
            named = await self._seat_plans.section_with(concert, id)
            if named is None:
                raise Invalid((f"to[{i}]", f"concert {concert.id!r} has no such seat"))
            if named != section:
                raise OtherSection(command.of.order_id, section=section, named=named)
        return await self._decided(concert, section, command, even_if_admitted=even_if_admitted, cause=cause)

    async def swap(
        self, concert: Concert, command: SwapSeats, *, even_if_admitted: bool, cause: Cause
    ) -> Sequence[Reservation]:
        """Have two orders swap seats. Raises as `move` does."""
        section, other = [await self._section_of(concert, each) for each in command.parties]
        if section != other:
            raise OtherSection(command.first.order_id, section=section, named=other)
        return await self._decided(concert, section, command, even_if_admitted=even_if_admitted, cause=cause)

    async def _decided(
        self, concert: Concert, section: str, command: MoveCommand, *, even_if_admitted: bool, cause: Cause
    ) -> Sequence[Reservation]:
        if not even_if_admitted:
            await self._check_door(concert, command)
        (result,) = await self._submit(SectionKey(concert.id, section), (QueuedCommand(command, cause),))
        if not isinstance(result, MoveDone):
            raise result if isinstance(result, Exception) else TypeError(f"another answer than was asked for: {result}")
        return result.reservations

    async def _check_door(self, concert: Concert, command: MoveCommand) -> None:
        """Raises AlreadyAdmitted, Busy."""
        if self._entrance is None:
            return
        for of in command.parties:
            try:
                admitted = await self._entrance.admitted(of.order_id)
            except EntranceUnreachable as error:
                raise Busy("It can't be asked whom the door let in; try again in a moment.") from error
            if not admitted:
                continue
            known = await self._reservation(concert, of)
            ids = [seat.id for seat in (known.numbered_seats or ())] if known is not None else []
            moving = {number for number, id in enumerate(ids, 1) if not of.seats or id in of.seats}
            is_repeated = known is not None and command.move_id in (known.moved or ())
            if not is_repeated and (wrong := sorted(moving & admitted)):
                raise AlreadyAdmitted(of.order_id, wrong, but="move them all the same with `evenIfAdmitted`")

    async def _section_of(self, concert: Concert, of: SeatsOf) -> str:
        """Where an order's seats are. Raises NotFound, NothingToMove."""
        if not of.order_id.startswith(_OURS):
            raise NotFound("order", of.order_id)
        known = await self._reservation(concert, of)
        if known is None:
            raise NothingToMove(of.order_id, f"it has none at concert {concert.id!r}")
        return known.section

    async def _reservation(self, concert: Concert, of: SeatsOf) -> Reservation | None:
        """What the order has here, or had last; None: nothing."""
        id: str | None = of.reservation_id
        known: Reservation | None = None
        while id is not None:
            sections = [known.section] if known is not None else [plan.id for plan in concert.sections]
            keys = [Key(SectionKey(concert.id, section).partition, id) for section in sections]
            found = await self._records.get(RESERVATIONS.kind, keys)
            if id not in found:
                break
            known = RESERVATIONS.decode(found[id].body)
            id = known.successor
        return known if known is not None and known.concert_id == concert.id else None
