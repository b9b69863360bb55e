"""Commands for a section, run together: loaded once, decided for all who wait, committed once."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime

from msgspec import UNSET

from cludale.kernel.events import Envelope
from cludale.kernel.refusals import Busy
from cludale.ports.records import (
    Commit,
    Committed,
    Outcome,
    Put,
    StoreUnavailable,
)
from cludale.runtime.aggregates import CONFLICT_RETRIES, Updates, Versioned, until_committed
from cludale.services.concerts.blocks import block as blocks
from cludale.services.concerts.blocks.block import BlockList
from cludale.services.concerts.blocks.domain import BlockCommand
from cludale.services.concerts.commands import QueuedCommand, Result
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.domain import (
    Command,
    Hold,
)
from cludale.services.concerts.events import SeatsHeldBack, SeatsLetGo
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.folding import Folding, OfSection
from cludale.services.concerts.numbered import Hall
from cludale.services.concerts.seat_moves.domain import MoveCommand
from cludale.services.concerts.stock import Reservation, Section, empty_section
from cludale.services.concerts.store import BLOCKS, RESERVATIONS, SECTIONS, WAITING, SectionKey
from cludale.services.concerts.waiting import domain as waiting
from cludale.services.concerts.waiting.domain import Join, Leave, ListCommand, WaitingList


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
        records that the store takes in one commit; None: any number.
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
        self.needed = {id for each in asked for id in _needed_by(each.command)}
        self.results: list[Result] = []
        self.commit: Commit | None = None
        self.section: Versioned[Section]
        """As `commit` leaves it."""
        others = [each.command for each in asked if not isinstance(each.command, Command)]
        self._are_blocks_asked = any(isinstance(each, BlockCommand) for each in others)
        self._blocks: Versioned[BlockList] | None = None
        """The blocks of a section that has some, or is to get some; None for the others."""
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

    def fold(
        self,
        section: Versioned[Section],
        loaded: dict[str, Versioned[Reservation]],
        now: datetime,
        hall: Hall | None = None,
    ) -> None:
        """Decide every waiting command in order, each on what the ones before it left, and plan the commit."""
        seating = Seating(section.state, {id: each.state for id, each in loaded.items()}, hall)
        in_line = None if self._waiting is None else self._waiting.state
        made = () if self._blocks is None else [each.id for each in self._blocks.state.entries]
        folding = Folding(seating, in_line, now, self._of.updates.envelopes, blocks=made)
        self.results = [folding.decide(asked) for asked in self._asked]
        self._plan(section, loaded, folding)

    def _plan(self, section: Versioned[Section], loaded: dict[str, Versioned[Reservation]], folded: Folding) -> None:
        """What is to be committed: the records that are others now, and the events."""
        self.commit = None
        self.section = section
        in_line = None if self._waiting is None or folded.in_line is self._waiting.state else folded.in_line
        if not (folded.changed or folded.events or in_line) and folded.section is section.state:
            return
        versions = {id: each.version for id, each in loaded.items()}
        puts = [RESERVATIONS.put(folded.reservations[id], versions.get(id, 0)) for id in folded.changed]
        if folded.section is not section.state:
            puts.append(SECTIONS.put(folded.section, section.version))
            self.section = Versioned(folded.section, section.version + 1)
        puts += _listed(self._blocks, folded.events)
        if self._waiting is not None and in_line is not None:
            puts.append(WAITING.put(in_line, self._waiting.version))
        self.commit = Commit(self._key.partition, puts, folded.events)

    def learn(self, outcomes: Sequence[Outcome]) -> int:
        """Take from a failed commit what to load."""
        (outcome,) = outcomes
        if isinstance(outcome, Committed):
            return 0
        for asked in self._asked:
            if isinstance(asked.command, Command) and asked.command.reservation_id in outcome.ids:
                self.needed.add(asked.command.reservation_id)
        return 1


def _needed_by(command: Command | OfSection | ListCommand | MoveCommand) -> Sequence[str]:
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


def _too_many(key: SectionKey) -> Busy:
    return Busy(f"Section {key.partition} is being changed by too many requests at once.")


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
