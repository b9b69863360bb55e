"""A command on its way through a section's command queue, and what it is answered. No I/O, no decisions."""

import msgspec

from cludale.kernel.events import Cause
from cludale.services.concerts.blocks.domain import BlockCommand
from cludale.services.concerts.domain import Command, Expire, Hold, SectionCommand
from cludale.services.concerts.seat_moves.domain import MoveCommand
from cludale.services.concerts.seat_plans.domain import ChangePlan
from cludale.services.concerts.stock import Reservation, Section
from cludale.services.concerts.waiting.domain import AT_ONCE, ListCommand, MakeOffers, WaitingList


class QueuedCommand(msgspec.Struct, frozen=True, gc=False):
    """A command that waits in its section's queue."""

    command: Command | SectionCommand | BlockCommand | ChangePlan | ListCommand | MoveCommand
    cause: Cause

    @property
    def writes(self) -> int:
        """The most records that come of it, beside the section."""
        if isinstance(self.command, MakeOffers):
            return AT_ONCE + 1
        if isinstance(self.command, MoveCommand):
            return len(self.command.parties)
        return 1 if isinstance(self.command, Hold | Expire) else 2


class Done(msgspec.Struct, frozen=True, gc=False):
    """The reservation as the command left it, and the event that says so, if anything happened."""

    reservation: Reservation
    event_id: str | None


class SectionDone(msgspec.Struct, frozen=True, gc=False):
    """The section as a command about itself left it."""

    section: Section


class ListDone(msgspec.Struct, frozen=True, gc=False):
    """The section and its waiting list as a command about that left them, and what the order has that it was about."""

    section: Section
    waiting: WaitingList
    reservation: Reservation | None
    changed: bool


class MoveDone(msgspec.Struct, frozen=True, gc=False):
    """What each of the orders has here after a move."""

    reservations: tuple[Reservation, ...]


Result = Done | SectionDone | ListDone | MoveDone | Exception


def not_done(result: Result) -> Exception:
    """What to raise for a result that is not the one that was asked for."""
    return result if isinstance(result, Exception) else TypeError(f"another answer than was asked for: {result}")
