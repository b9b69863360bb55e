"""Folding: the commands for a section decided one after the other, each on what the ones before it left. No I/O."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope
from cludale.kernel.refusals import Refusal
from cludale.services.concerts import domain
from cludale.services.concerts.blocks import domain as block_rules
from cludale.services.concerts.blocks.domain import BlockCommand, HoldBack
from cludale.services.concerts.changes import domain as changes
from cludale.services.concerts.commands import Done, ListDone, MoveDone, QueuedCommand, Result, SectionDone
from cludale.services.concerts.domain import (
    BlockSeats,
    Close,
    Command,
    LateSeatsUnclaimed,
    SectionCommand,
    UnknownReservation,
)
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.seat_moves import domain as seat_moves
from cludale.services.concerts.seat_moves.domain import MoveCommand
from cludale.services.concerts.seat_plans import domain as plan_changes
from cludale.services.concerts.seat_plans.domain import ChangePlan
from cludale.services.concerts.stock import Reservation
from cludale.services.concerts.waiting import domain as waiting
from cludale.services.concerts.waiting.domain import Join, Leave, ListCommand, ListedSection, WaitingList

OfSection = SectionCommand | BlockCommand | ChangePlan
"""About the section, not about a reservation. Made once: a union that is written where it is asked for is made anew."""

Envelopes = Callable[[Decision[Any], Cause, datetime], list[Envelope]]
"""The events of a decision, with ids and what caused them."""


class Folding:
    """How a section, its reservations and its waiting list are after the commands that were decided so far."""

    def __init__(
        self,
        seating: Seating,
        in_line: WaitingList | None,
        now: datetime,
        envelopes: Envelopes,
        *,
        blocks: Iterable[str] = (),
    ) -> None:
        """`seating`, `in_line`: as they are stored; `in_line` is None if no command asks for it. `blocks`: those that
        there were before, also those that were let go.
        """
        self.section = seating.section
        self.reservations = dict(seating.reservations)
        self.in_line = in_line
        self.changed: dict[str, None] = {}
        """Ids of reservations, as they were changed: the order of a set differs from process to process."""
        self.events: list[Envelope] = []
        self._hall = seating.hall
        self._blocks = set(blocks)
        self._now = now
        self._envelopes = envelopes

    def decide(self, asked: QueuedCommand) -> Result:
        """What the next command is answered."""
        command = asked.command
        if isinstance(command, Command):
            return self._of_reservation(command, asked)
        if isinstance(command, ListCommand):
            return self._of_list(command, asked)
        if isinstance(command, MoveCommand):
            return self._of_move(command, asked)
        return self._of_section(command, asked)

    def _of_reservation(self, command: Command, asked: QueuedCommand) -> Result:
        id = command.reservation_id
        close = near(self.reservations, id)
        try:
            decision = domain.decide(Seating(self.section, close, self._hall), command, self._now)
        except (Refusal, UnknownReservation, LateSeatsUnclaimed) as refusal:
            return refusal
        after = decision.state
        self.section = after.section
        envelopes = self._publish(decision, asked)
        moved = [other for other, each in after.reservations.items() if each is not close.get(other)]
        for other in moved:
            self.reservations[other] = after.reservations[other]
            self.changed[other] = None
        return Done(after.reservations[id], envelopes[0].id if envelopes else None)

    def _of_section(self, command: OfSection, asked: QueuedCommand) -> Result:
        try:
            decision = self._changed(Seating(self.section, {}, self._hall), command)
        except Refusal as refusal:
            return refusal
        if isinstance(command, HoldBack):
            self._blocks.add(command.block)
        self._publish(decision, asked)
        self.section = decision.state.section
        if isinstance(command, ChangePlan) and decision.events:
            self._hall = command.hall
        return SectionDone(self.section)

    def _changed(self, seating: Seating, command: OfSection) -> Decision[Seating]:
        if isinstance(command, Close):
            return changes.close(seating)
        if isinstance(command, BlockCommand):
            return block_rules.decide(seating, command, self._now, made=self._blocks)
        if isinstance(command, ChangePlan):
            return plan_changes.decide(seating, command, self._now)
        if isinstance(command, BlockSeats):
            return changes.block_seats(seating, command, self._now)
        return changes.change_section(seating, command, self._now)

    def _of_list(self, command: ListCommand, asked: QueuedCommand) -> Result:
        section = self.section
        self.in_line = self.in_line or WaitingList(concert_id=section.concert_id, section=section.id)
        line = ListedSection(Seating(section, self.reservations, self._hall), self.in_line)
        try:
            after, told = waiting.decide(line, command, self._now)
        except Refusal as refusal:
            return refusal
        self._publish(Decision(after, told), asked)
        self._learn(after.seating)
        self.in_line = after.waiting
        its = None
        if isinstance(command, Join | Leave):
            its = self.reservations.get(waiting.reservation_of(command.order_id))
        return ListDone(self.section, after.waiting, its, bool(told))

    def _of_move(self, command: MoveCommand, asked: QueuedCommand) -> Result:
        try:
            decision = seat_moves.decide(Seating(self.section, self.reservations, self._hall), command, self._now)
        except Refusal as refusal:
            return refusal
        self._publish(decision, asked)
        self._learn(decision.state)
        known = [seat_moves.latest(decision.state, each) for each in command.parties]
        return MoveDone(tuple(each for each in known if each is not None))

    def _publish(self, decision: Decision[Any], asked: QueuedCommand) -> list[Envelope]:
        envelopes = self._envelopes(decision, asked.cause, self._now)
        self.events += envelopes
        return envelopes

    def _learn(self, after: Seating) -> None:
        before, self.reservations = self.reservations, dict(after.reservations)
        self.section = after.section
        for id, each in self.reservations.items():
            if each != before.get(id):
                self.changed[id] = None


def near(reservations: dict[str, Reservation], id: str) -> dict[str, Reservation]:
    """The reservation and its successor, as far as they exist: all that a command about it looks at."""
    reservation = reservations.get(id)
    if reservation is None:
        return {}
    if reservation.successor is None:
        return {id: reservation}
    return {id: reservation, reservation.successor: reservations[reservation.successor]}
