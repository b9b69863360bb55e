"""Commands for a section, run together: loaded once, decided for all who wait, committed once."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime

from msgspec import UNSET

from cludale.kernel.decision import Decision
from cludale.kernel.events import Envelope
from cludale.kernel.refusals import Busy, Refusal
from cludale.ports.records import (
    AlreadyHandled,
    Commit,
    Committed,
    Handled,
    Outcome,
    Put,
    StoreUnavailable,
    VersionConflict,
)
from cludale.runtime.aggregates import CONFLICT_RETRIES, Updates, Versioned, until_committed
from cludale.services.concerts import domain
from cludale.services.concerts.blocks import block as blocks
from cludale.services.concerts.blocks import domain as block_rules
from cludale.services.concerts.blocks.block import BlockList
from cludale.services.concerts.blocks.domain import BlockCommand
from cludale.services.concerts.changes import domain as changes
from cludale.services.concerts.commands import Done, ListDone, MoveDone, QueuedCommand, Result, SectionDone
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.domain import (
    BlockSeats,
    Close,
    Command,
    Hold,
    LateSeatsUnclaimed,
    SectionCommand,
    UnknownReservation,
)
from cludale.services.concerts.events import SeatsHeldBack, SeatsLetGo
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.numbered import Hall
from cludale.services.concerts.seat_moves import domain as seat_moves
from cludale.services.concerts.seat_moves.domain import MoveCommand
from cludale.services.concerts.seat_plans import domain as plan_changes
from cludale.services.concerts.seat_plans.domain import ChangePlan
from cludale.services.concerts.stock import Reservation, Section, empty_section
from cludale.services.concerts.store import BLOCKS, RESERVATIONS, SECTIONS, WAITING, SectionKey
from cludale.services.concerts.waiting import domain as waiting
from cludale.services.concerts.waiting.domain import Join, Leave, Line, ListCommand, WaitingList

_OfSection = SectionCommand | BlockCommand | ChangePlan
"""About the section, not about a reservation. Made once: a union that is written where it is asked for is made anew."""


class Sections:
    """The sections of all concerts."""

    def __init__(
        self,
        updates: Updates,
        concert: Callable[[str], Awaitable[Concert]],
        *,
        hall_of: Callable[[Section], Awaitable[Hall | None]],
        commit_limit: int | None,
    ) -> None:
        """`concert(id)` gives the concert, `hall_of(section)` where its numbered seats are. `commit_limit` is the most
        records and inbox entries that the store takes in one commit; None: any number.
        """
        self.updates = updates
        self._concert = concert
        self.learn: Callable[[Versioned[Section]], None] = lambda _: None
        """Hears how a batch of commands left a section."""
        self._commit_limit = commit_limit
        self._hall_of = hall_of

    async def hall_of(self, section: Section) -> Hall | None:
        """Where the seats of the section are; None: they have no numbers."""
        return None if section.numbered is UNSET else await self._hall_of(section)

    async def run_commands(self, key: SectionKey, asked: Sequence[QueuedCommand]) -> Sequence[Result]:
        """Decide for everyone who waits, in as few commits as the store allows."""
        if self._commit_limit is None:
            return await self._run_part(key, asked)
        results: list[Result] = []
        for part in _parts(asked, self._commit_limit):
            try:
                results += await self._run_part(key, part)
            except (Busy, StoreUnavailable) as trouble:
                if not results:
                    raise
                results += [trouble] * (len(asked) - len(results))  # what was committed before stands
                break
        return results

    async def _run_part(self, key: SectionKey, asked: Sequence[QueuedCommand]) -> Sequence[Result]:
        batch = CommandBatch(key, asked, self)
        if not await until_committed(self.updates.records, batch.draft, batch.learn):
            raise _too_many(key)
        self.learn(batch.section)
        return batch.results

    async def load(
        self, key: SectionKey, needed: Iterable[str]
    ) -> tuple[Versioned[Section], dict[str, Versioned[Reservation]]]:
        """The section, and those of the reservations that exist, with what has taken their place. Raises Busy.

        Two looks at the store: a reservation may be newer than its section. That is found out when they are committed;
        but seats that were moved in between are none that the section knows of, so it is looked at again.
        """
        needed = list(needed)
        section = await self._section(key)
        for _ in range(CONFLICT_RETRIES):
            reservations = await self._reservations(key, needed)
            if all(each.state.moved is UNSET for each in reservations.values()):
                return section, reservations
            before, section = section, await self._section(key)
            if section.version == before.version:
                return section, reservations
        raise _too_many(key)

    async def _section(self, key: SectionKey) -> Versioned[Section]:
        found = await SECTIONS.load(self.updates.records, (key.partition,))
        section = found.get(key.partition)
        if section is None:
            section = Versioned(empty_section(await self._concert(key.concert_id), key.section), 0)
        return section

    async def _reservations(self, key: SectionKey, needed: Iterable[str]) -> dict[str, Versioned[Reservation]]:
        reservations: dict[str, Versioned[Reservation]] = {}
        wanted = list(needed)
        while wanted:
            reservations |= await RESERVATIONS.load(self.updates.records, wanted, partition=key.partition)
            successors = {each.state.successor for each in reservations.values() if each.state.successor}
            wanted = [] if successors <= reservations.keys() else list(successors - reservations.keys())
        return reservations

    async def load_waiting(self, key: SectionKey) -> Versioned[WaitingList]:
        """Who waits for seats of the section."""
        found = await WAITING.load(self.updates.records, (key.partition,))
        return found.get(key.partition) or Versioned(WaitingList(concert_id=key.concert_id, section=key.section), 0)

    async def load_blocks(self, key: SectionKey) -> Versioned[BlockList]:
        """What is said of the section's blocks."""
        found = await BLOCKS.load(self.updates.records, (key.partition,))
        return found.get(key.partition) or Versioned(BlockList(concert_id=key.concert_id, section=key.section), 0)


class CommandBatch:
    """Commands decided together: what waits, what it needs loaded, what is to be committed, what each is answered."""

    def __init__(self, key: SectionKey, asked: Sequence[QueuedCommand], of: "Sections") -> None:
        self._key = key
        self._asked = asked
        self._of = of
        self._settled: dict[int, Result] = {}
        self.needed = {id for each in asked for id in _needed_by(each.command)}
        self.results: list[Result] = []
        self.commit: Commit | None = None
        self.section: Versioned[Section]
        """As `commit` leaves it."""
        others = [each.command for each in asked if not isinstance(each.command, Command)]
        self._are_blocks_asked = any(isinstance(each, BlockCommand) for each in others)
        self._blocks: Versioned[BlockList] | None = None
        """Of a section that has some, or is to have."""
        self._is_list_asked = any(isinstance(each, ListCommand) for each in others)
        self._waiting: Versioned[WaitingList] | None = None
        """Where it is asked for."""

    async def draft(self) -> Sequence[Commit]:
        """Load the section once, decide for all of these, commit once."""
        section, reservations = await self._of.load(self._key, self.needed)
        if section.state.blocks is not UNSET or self._are_blocks_asked:
            self._blocks = await self._of.load_blocks(self._key)
        while self._is_list_asked:
            self._waiting = await self._of.load_waiting(self._key)
            # An offer may have been made between these looks; what belongs together has one version of the section.
            before, (section, reservations) = section, await self._of.load(self._key, self.needed)
            if section.version == before.version:
                break
        hall = await self._of.hall_of(section.state)
        self.fold(section, reservations, self._of.updates.clock.now(), hall)
        return () if self.commit is None else (self.commit,)

    def fold(  # noqa: PLR0912, PLR0915 - one command after the other, each on what the ones before it left
        self,
        section: Versioned[Section],
        loaded: dict[str, Versioned[Reservation]],
        now: datetime,
        hall: Hall | None = None,
    ) -> None:
        """Decide every waiting command in order, each on what the ones before it left."""
        current = section.state
        reservations = {id: each.state for id, each in loaded.items()}
        changed: dict[str, None] = {}  # as they came: the order of a set differs from process to process
        events: list[Envelope] = []
        handled: dict[Handled, Done] = {}
        in_line = None if self._waiting is None else self._waiting.state
        self.results = []
        for i, asked in enumerate(self._asked):
            if i in self._settled:
                self.results.append(self._settled[i])
                continue
            if asked.handled is not None and asked.handled in handled:
                self.results.append(handled[asked.handled])  # delivered twice, and both are in this batch
                continue
            if not isinstance(asked.command, Command):
                if isinstance(asked.command, ListCommand):
                    in_line = in_line or WaitingList(concert_id=self._key.concert_id, section=self._key.section)
                    line = Line(Seating(current, reservations, hall), in_line)
                    done_list, line = self._of_list(line, asked, events, changed, now)
                    current, reservations = line.seating.section, dict(line.seating.reservations)
                    in_line = line.waiting
                    self.results.append(done_list)
                elif isinstance(asked.command, MoveCommand):
                    done_move, seated = self._of_move(Seating(current, reservations, hall), asked, events, changed, now)
                    current, reservations = seated.section, dict(seated.reservations)
                    self.results.append(done_move)
                else:
                    done_section, current, hall = self._of_section(Seating(current, {}, hall), asked, events, now)
                    self.results.append(done_section)
                continue
            id = asked.command.reservation_id
            close = near(reservations, id)
            try:
                decision = domain.decide(Seating(current, close, hall), asked.command, now)
            except (Refusal, UnknownReservation, LateSeatsUnclaimed) as refusal:
                self.results.append(refusal)
                continue
            current = decision.state.section
            envelopes = self._of.updates.envelopes(decision, asked.cause, now)
            moved = [other for other, each in decision.state.reservations.items() if each is not close.get(other)]
            for other in moved:
                reservations[other] = decision.state.reservations[other]
            changed.update(dict.fromkeys(moved))
            events.extend(envelopes)
            reservation = decision.state.reservations[id]
            done = Done(reservation, envelopes[0].id if envelopes else None)
            if asked.handled is not None and (moved or envelopes):
                handled[asked.handled] = done
            self.results.append(done)
        self.commit = None
        self.section = section
        if not (changed or events) and current is section.state:
            return
        puts = [RESERVATIONS.put(reservations[id], loaded[id].version if id in loaded else 0) for id in changed]
        if current is not section.state:
            puts.append(SECTIONS.put(current, section.version))
            self.section = Versioned(current, section.version + 1)
        puts += _listed(self._blocks, events)
        if self._waiting is not None and in_line is not None and in_line is not self._waiting.state:
            puts.append(WAITING.put(in_line, self._waiting.version))
        self.commit = Commit(self._key.partition, puts, events, tuple(handled))

    def _of_section(
        self, seating: Seating, asked: QueuedCommand, events: list[Envelope], now: datetime
    ) -> tuple[Result, Section, Hall | None]:
        """What a command about the section itself is answered, and how it leaves that, and where its seats are."""
        try:
            decision = _changed(seating, asked.command, now)  # type: ignore[arg-type]
        except Refusal as refusal:
            return refusal, seating.section, seating.hall
        events.extend(self._of.updates.envelopes(decision, asked.cause, now))
        hall = _hall_after(asked.command, decision, seating.hall)
        return SectionDone(decision.state.section), decision.state.section, hall

    def _of_list(
        self, line: Line, asked: QueuedCommand, events: list[Envelope], changed: dict[str, None], now: datetime
    ) -> tuple[Result, Line]:
        """What a command about the waiting list is answered, and how it leaves section and list."""
        command = asked.command
        try:
            after, told = waiting.decide(line, command, now)  # type: ignore[arg-type]
        except Refusal as refusal:
            return refusal, line
        events.extend(self._of.updates.envelopes(Decision(after, told), asked.cause, now))
        before = line.seating.reservations
        changed.update(dict.fromkeys(id for id, each in after.seating.reservations.items() if each != before.get(id)))
        its = None
        if isinstance(command, Join | Leave):
            its = after.seating.reservations.get(waiting.reservation_of(command.order_id))
        return ListDone(after.seating.section, after.waiting, its, bool(told)), after

    def _of_move(
        self, seating: Seating, asked: QueuedCommand, events: list[Envelope], changed: dict[str, None], now: datetime
    ) -> tuple[Result, Seating]:
        """What is answered to who moves seats, and how that leaves them."""
        command: MoveCommand = asked.command  # type: ignore[assignment]
        try:
            decision = seat_moves.decide(seating, command, now)
        except Refusal as refusal:
            return refusal, seating
        events.extend(self._of.updates.envelopes(decision, asked.cause, now))
        after = decision.state
        changed.update(dict.fromkeys(id for id, each in after.reservations.items() if each != seating.reservations[id]))
        known = [seat_moves.latest(after, each) for each in command.parties]
        return MoveDone(tuple(each for each in known if each is not None)), after

    def learn(self, outcomes: Sequence[Outcome]) -> int:
        """Take from a failed commit what to load, and what needs no deciding any more."""
        (outcome,) = outcomes
        if isinstance(outcome, Committed):
            return 0
        for i, asked in enumerate(self._asked):
            match outcome:
                case AlreadyHandled(event_ids) if asked.handled and asked.handled.event_id in event_ids:
                    result = self.results[i]
                    self._settled[i] = result if isinstance(result, Done) else RuntimeError("handled, yet refused")
                case VersionConflict(ids) if isinstance(asked.command, Command):
                    if asked.command.reservation_id in ids:
                        self.needed.add(asked.command.reservation_id)
        return 1


def _needed_by(command: Command | _OfSection | ListCommand | MoveCommand) -> Sequence[str]:
    """The reservations to be looked up. A hold is taken for new until its id turns out to be there: the common case
    costs no look.
    """
    if isinstance(command, Hold):
        return ()
    if isinstance(command, Command):
        return (command.reservation_id,)
    if isinstance(command, Join | Leave):
        return (waiting.reservation_of(command.order_id),)
    if isinstance(command, MoveCommand):
        return [of.reservation_id for of in command.parties]
    return ()


def _listed(before: Versioned[BlockList] | None, events: Sequence[Envelope]) -> list[Put]:
    """The list of blocks to be written, if it is another after these events."""
    if before is None:
        return []
    after = before.state
    for event in events:
        if isinstance(event.data, SeatsHeldBack | SeatsLetGo):
            after = blocks.listed(after, event.data, at=event.time)
    return [] if after is before.state else [BLOCKS.put(after, before.version)]


def _hall_after(command: object, done: Decision[Seating], hall: Hall | None) -> Hall | None:
    """Where the seats are for the commands that follow."""
    return command.hall if isinstance(command, ChangePlan) and done.events else hall


def _changed(seating: Seating, command: _OfSection, now: datetime) -> Decision[Seating]:
    if isinstance(command, Close):
        return changes.close(seating)
    if isinstance(command, BlockCommand):
        return block_rules.decide(seating, command, now)
    if isinstance(command, ChangePlan):
        return plan_changes.decide(seating, command, now)
    if isinstance(command, BlockSeats):
        return changes.block_seats(seating, command, now)
    return changes.change_section(seating, command, now)


def _too_many(key: SectionKey) -> Busy:
    return Busy(f"Section {key.partition} is being changed by too many at once.")


def _parts(asked: Sequence[QueuedCommand], limit: int) -> Iterable[Sequence[QueuedCommand]]:
    """What is decided and committed at once."""
    parts: list[list[QueuedCommand]] = [[]]
    room = limit - 1  # one is the section
    for each in asked:
        if each.writes > room and parts[-1]:
            parts.append([])
            room = limit - 1
        parts[-1].append(each)
        room -= each.writes
    return parts


def near(reservations: dict[str, Reservation], id: str) -> dict[str, Reservation]:
    """The reservation and its successor, as far as they exist: all that a command about it looks at."""
    reservation = reservations.get(id)
    if reservation is None:
        return {}
    if reservation.successor is None:
        return {id: reservation}
    return {id: reservation, reservation.successor: reservations[reservation.successor]}
