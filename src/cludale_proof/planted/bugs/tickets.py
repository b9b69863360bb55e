"""Tickets and the door."""

import asyncio
from contextlib import ExitStack
from typing import Any

from msgspec.structs import replace

from cludale.services.tickets import domain as tickets_domain
from cludale.services.tickets import door, merging, offline
from cludale.services.tickets import door_service as tickets_door_service
from cludale_proof.planted.planting import bug, swap


@bug("tickets: a cancelled order keeps them")
def _(stack: ExitStack) -> None:
    swap(stack, tickets_domain, "cancel", lambda state, **_: None)


@bug("tickets: who cancels before they are issued gets them all the same", theme="bad delivery")
def _(stack: ExitStack) -> None:
    right = tickets_domain.cancel
    swap(stack, tickets_domain, "cancel", lambda state, **kw: None if state is None else right(state, **kw))


@bug("tickets: an order that is told as paid again gets them again", theme="at the door")
def _(stack: ExitStack) -> None:
    right = tickets_domain.issue
    swap(stack, tickets_domain, "issue", lambda state, **kw: right(None, **kw))


@bug("tickets: one fewer than the order has seats")
def _(stack: ExitStack) -> None:
    right = tickets_domain.issue

    def wrong(state: Any, *, allocation: Any, **kwargs: Any) -> Any:
        return right(state, allocation=replace(allocation, quantity=allocation.quantity - 1), **kwargs)

    swap(stack, tickets_domain, "issue", wrong)


@bug("door: a ticket lets in as often as it is shown", theme="at the door")
def _(stack: ExitStack) -> None:
    right = door.judged
    swap(stack, door, "judged", lambda ticket, **kw: right(replace(ticket, moves=()), **kw))


@bug("door: the code of before a transfer lets in", theme="at the door")
def _(stack: ExitStack) -> None:
    right = door.judged

    def wrong(ticket: Any, *, generation: int, **kwargs: Any) -> Any:
        return right(ticket, generation=ticket.generation, **kwargs)

    swap(stack, door, "judged", wrong)


@bug("door: says that a ticket is good before that is written down", theme="at the door")
def _(stack: ExitStack) -> None:
    right = tickets_door_service.Doors.scan

    async def wrong(self: Any, scan: Any, *args: Any) -> Any:
        answering = asyncio.ensure_future(right(self, scan, *args))
        await asyncio.sleep(0)
        claims = self.read(scan.code, self.now())
        return (
            tickets_door_service.DoorAnswer(door.Scanned(door.Result.VALID), claims, None)
            if claims
            else await answering
        )

    swap(stack, tickets_door_service.Doors, "scan", wrong)


@bug("door: of two that one ticket let in the later is not written down", theme="doors offline")
def _(stack: ExitStack) -> None:
    right = merging.told

    def wrong(state: Any, scan: Any) -> Any:
        return () if state.ticket(scan.number).is_inside else right(state, scan)

    swap(stack, merging, "told", wrong)


@bug("door: a double entry is not named", theme="doors offline")
def _(stack: ExitStack) -> None:
    right = merging.conflicts_of
    double = merging.ConflictKind.DOUBLE_ENTRY
    swap(stack, merging, "conflicts_of", lambda ticket: [each for each in right(ticket) if each[0] is not double])


@bug("door: who was moved meanwhile is said to be a stranger", theme="numbered seats + doors offline")
def _(stack: ExitStack) -> None:
    right = merging.conflicts_of
    other = {merging.ConflictKind.MOVED: merging.ConflictKind.REPLACED}
    swap(
        stack,
        merging,
        "conflicts_of",
        lambda ticket: [(other.get(kind, kind), *rest) for kind, *rest in right(ticket)],
    )


@bug("door: what is told again is written down again", theme="doors offline")
def _(stack: ExitStack) -> None:
    swap(stack, tickets_domain.Ticket, "scan", lambda self, scan_id: None)


@bug("door: what was told later goes to the end, whenever it was", theme="doors offline")
def _(stack: ExitStack) -> None:
    swap(stack, tickets_domain.Ticket, "moved", lambda self, movement: (*self.moves, movement))


@bug("door: a device goes by the clock that it has", theme="doors offline")
def _(stack: ExitStack) -> None:
    swap(stack, offline, "put_right", lambda reading, anchors: reading.clock)
