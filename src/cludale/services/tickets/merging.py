"""What doors without network tell later: merged in whatever order and however often, to the same end. Pure.

A device let somebody through and says so afterwards. Nothing of that can be refused, for they are inside: it is written
down as it was, at its own time among the ticket's movements, once for each scan id. What two devices let in with one
ticket follows from the movements (`conflicts`), so it is the same whichever device told first.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from cludale.kernel.decision import Decision
from cludale.kernel.events import Event
from cludale.services.tickets.domain import Movement, OrderTickets, Ticket, evolve, ticket_id
from cludale.services.tickets.events import AdmissionUndone, Direction, ScanMerged, UndoReason


class MergeResult(StrEnum):
    """What became of a scan that a device told."""

    RECORDED = "recorded"
    KNOWN = "known"
    """It was written down before."""
    FORGED = "forged"
    """Its code is none of ours, or its key had ended by then. Like the ones below it is not written down."""
    UNKNOWN = "unknown"
    WRONG_CONCERT = "wrong-concert"


class MergedScan(NamedTuple):
    """Somebody whom a device let through with ticket `number`."""

    number: int
    generation: int
    door: str
    direction: Direction
    device: str
    sequence: int
    scan_id: str
    at: datetime
    undone: UndoReason | None = None
    """It did not count after all."""


def scan_id_of(device: str, sequence: int) -> str:
    """The id of this scan of a device: the same, however often it is told."""
    return f"{device}.{sequence}"


def merge(
    state: OrderTickets, scans: Sequence[MergedScan], *, now: datetime
) -> tuple[Decision[OrderTickets], list[MergeResult]]:
    """The order's tickets with these scans, and what became of each; those that are known change nothing."""
    events: list[Event] = []
    results: list[MergeResult] = []
    for scan in scans:
        if scan.number not in state.numbers:
            results.append(MergeResult.UNKNOWN)
            continue
        before = len(events)
        for event in told(state, scan):
            events.append(event)
            state = evolve(state, event, at=now)
        results.append(MergeResult.RECORDED if len(events) > before else MergeResult.KNOWN)
    return Decision(state, tuple(events), now), results


def told(state: OrderTickets, scan: MergedScan) -> Iterator[Event]:
    """What this scan adds; nothing, where it is known."""
    ticket = state.ticket(scan.number)
    step = state.step
    known = ticket.scan(scan.scan_id)
    if known is None:
        step += 1
        yield ScanMerged(
            order_id=state.order_id,
            concert_id=state.concert_id,
            number=scan.number,
            generation=scan.generation,
            door=scan.door,
            direction=scan.direction,
            device=scan.device,
            sequence=scan.sequence,
            scan_id=scan.scan_id,
            scanned_at=scan.at,
            step=step,
        )
    if scan.undone is not None and known not in ticket.undone:
        yield AdmissionUndone(
            order_id=state.order_id,
            concert_id=state.concert_id,
            number=scan.number,
            door=scan.door,
            reason=scan.undone,
            step=step + 1,
            scan_id=scan.scan_id,
        )


class ConflictKind(StrEnum):
    """What doors without network could not know."""

    DOUBLE_ENTRY = "double-entry"
    """Two were let in with one ticket, and nobody had left in between."""
    VOID = "void"
    """The ticket was void already."""
    REPLACED = "replaced"
    """It was somebody else's already: an older code was shown."""
    MOVED = "moved"
    """Somebody was let in with a code from before a move of their seat, and may sit where somebody else should."""


class Passage(msgspec.Struct, frozen=True, rename="camel"):
    """Somebody was let in."""

    at: datetime
    door: str
    scan_id: str

    @classmethod
    def of(cls, move: Movement) -> "Passage":
        """The passage that this movement tells of."""
        return cls(move.at, move.door, move.scan_id)


class SeatNow(msgspec.Struct, frozen=True, rename="camel"):
    """Where a ticket's seat is now."""

    id: str
    row: str
    number: str


class Conflict(msgspec.Struct, frozen=True, rename="camel"):
    """Somebody was let in who should not have been, or who does not know of their seat."""

    kind: ConflictKind
    ticket_id: str
    section: str
    entered: Passage
    earlier: Passage | None = None
    """Who was let in with the same ticket before; only of a double entry."""
    moved_to: SeatNow | None = None
    """The seat that is theirs now; only of one that was moved."""


def conflicts_of(ticket: Ticket) -> Iterator[tuple[ConflictKind, Movement, Movement | None]]:
    """What is wrong with a ticket's movements, in their order. It hangs on nothing but them and the ticket."""
    inside: list[Movement] = []
    for move in ticket.moves:
        if move.direction is Direction.OUT:
            del inside[-1:]
            continue
        if inside:
            yield ConflictKind.DOUBLE_ENTRY, move, inside[-1]
        if move.device and ticket.revoked_at is not None and move.at >= ticket.revoked_at:
            yield ConflictKind.VOID, move, None
        if move.device and move.generation < ticket.generation:
            is_theirs = ticket.is_of_holder(move.generation)
            yield ConflictKind.MOVED if is_theirs else ConflictKind.REPLACED, move, None
        inside.append(move)


def conflicts(orders: Iterable[OrderTickets]) -> list[Conflict]:
    """The conflicts of all these orders, in order of time."""
    found = [
        Conflict(
            kind,
            ticket_id(order.order_id, number),
            "" if order.allocation is None else order.allocation.section,
            Passage.of(entered),
            None if earlier is None else Passage.of(earlier),
            _seat_now(order, number) if kind is ConflictKind.MOVED else None,
        )
        for order in orders
        for number, ticket in order.changed.items()
        if ticket.moves
        for kind, entered, earlier in conflicts_of(ticket)
    ]
    return sorted(found, key=lambda each: (each.entered.at, each.ticket_id, each.entered.scan_id, each.kind))


def _seat_now(order: OrderTickets, number: int) -> SeatNow | None:
    seat = order.seat(number)
    return None if seat is None else SeatNow(seat.id, seat.row, seat.number)
