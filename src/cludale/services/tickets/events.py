"""What tickets tells the others. Whoever holds a ticket is in no event.

Each event says with `step` which change of its order's tickets it is, counted from 1: so their order is known, in
whatever order they come.
"""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from msgspec import UNSET, UnsetType

from cludale.kernel.allocation import Allocation, SeatsEvent
from cludale.kernel.events import Event, Topic


class Direction(StrEnum):
    """Which way through the door."""

    IN = "in"
    OUT = "out"


class RevokeReason(StrEnum):
    """Why tickets are void."""

    CANCELLED = "order-cancelled"
    GIVEN_BACK = "given-back"


class UndoReason(StrEnum):
    """Why an admission did not count."""

    MISTAKE = "mistake"
    """The wrong code was scanned, or one twice."""
    TURNED_AWAY = "turned-away"
    """The code was good, and whoever showed it did not go in."""
    TEST = "test"


class TicketIssued(SeatsEvent, frozen=True, kw_only=True):
    """An order has its tickets: as many as it has seats, numbered from 1."""

    data_version: ClassVar[str] = "1.1"

    order_id: str
    key_id: str
    """Their codes are signed with this key."""
    step: int
    allocation: Allocation


class TicketRevoked(Event, frozen=True, kw_only=True):
    """These tickets of the order let nobody in any more."""

    order_id: str
    concert_id: str
    numbers: tuple[int, ...]
    reason: RevokeReason
    step: int
    """1: they were revoked before they were issued, and never are."""
    part_number: int | UnsetType = UNSET
    """The part refund of the order with which they were given back; unset where the order was cancelled."""


class TicketTransferred(Event, frozen=True, kw_only=True):
    """A ticket is somebody else's: its code of before is void, and it has a new one."""

    order_id: str
    concert_id: str
    number: int
    generation: int
    """How many codes the ticket has had, with the new one."""
    step: int


class TicketReseated(SeatsEvent, frozen=True, kw_only=True):
    """These tickets are for other seats: their codes of before are void, and they have new ones.

    `allocation` are the seats of all of the order's tickets, from now on.
    """

    order_id: str
    numbers: tuple[int, ...]
    """Those that have a new code; not those that are void, or whose seat is the same again."""
    step: int
    allocation: Allocation


class TicketAdmitted(Event, frozen=True, kw_only=True):
    """Whoever showed the ticket's code was let in."""

    order_id: str
    concert_id: str
    number: int
    generation: int
    """Which of the ticket's codes was shown."""
    door: str
    scan_id: str
    step: int


class TicketLeft(Event, frozen=True, kw_only=True):
    """Whoever was let in with the ticket went out, and may come back with it."""

    order_id: str
    concert_id: str
    number: int
    door: str
    scan_id: str
    step: int


class AdmissionUndone(Event, frozen=True, kw_only=True):
    """An admission with the ticket did not count."""

    data_version: ClassVar[str] = "1.1"

    order_id: str
    concert_id: str
    number: int
    door: str
    """Where it was."""
    reason: UndoReason
    step: int
    scan_id: str | UnsetType = UNSET
    """Which one. Unset in events of before this field: the ticket's last."""


class ScanMerged(Event, frozen=True, kw_only=True):
    """A door without network let somebody through, and tells it now. Two doors may have let in with one ticket."""

    order_id: str
    concert_id: str
    number: int
    generation: int
    """Which of the ticket's codes was shown."""
    door: str
    direction: Direction
    device: str
    sequence: int
    """Which of the device's scans it is."""
    scan_id: str
    scanned_at: datetime
    """When, by the device's clock as it was put right."""
    step: int


TOPIC = Topic(
    "ticket-events",
    "tickets",
    (
        TicketIssued,
        TicketRevoked,
        TicketTransferred,
        TicketReseated,
        TicketAdmitted,
        TicketLeft,
        AdmissionUndone,
        ScanMerged,
    ),
)
