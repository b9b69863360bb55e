"""Blocks at work: held back, changed, let go and listed. What is decided is in domain.py."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from cludale.kernel.events import Cause
from cludale.ports.records import UnusableCursor
from cludale.ports.seats import BlockNotFound, SectionNotFound
from cludale.runtime.aggregates import Updates
from cludale.services.concerts.blocks.block import BY_RULE, Block, BlockEntry, LetGo
from cludale.services.concerts.blocks.domain import (
    BlockCommand,
    ChangeBlock,
    EndBlocks,
    HoldBack,
    LetBlockGo,
    ends_before,
)
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.events import LetGoReason
from cludale.services.concerts.stock import Section
from cludale.services.concerts.store import BLOCKS, SECTIONS, SectionKey

T = TypeVar("T")
SWEEP_PAGE = 200
_MOMENT = timedelta(seconds=1)

Ask = Callable[[SectionKey, BlockCommand, Cause], Awaitable[Section]]
"""Has a section decide, in its queue; raises its refusals, Busy, StoreUnavailable."""


class NewBlock(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Seats to be held back: until `ends_at`, or until so many hours before the concert begins."""

    block: str
    section: str
    seats: int
    purpose: str
    ends_at: datetime | None = None
    hours_before: float | None = None
    few_left: int | None = None


class BlockWish(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is to be another about a block; what is unset stays."""

    seats: int | UnsetType = UNSET
    purpose: str | UnsetType = UNSET
    ends_at: datetime | UnsetType = UNSET
    hours_before: float | UnsetType = UNSET
    few_left: int | UnsetType | None = UNSET


class ShownBlock(NamedTuple):
    """A block as it is at the time `at`: what is said of it, and what its section counts, if it was not let go."""

    section: str
    entry: BlockEntry
    counted: Block | None
    at: datetime

    @property
    def let_go(self) -> LetGo | None:
        """How it ended; also where that was not swept yet."""
        if self.entry.let_go is not None:
            return self.entry.let_go
        if self.counted is None or self.counted.is_live(self.at):
            return None
        return LetGo(seats=self.counted.left, at=self.counted.ends_at, reason=LetGoReason.ENDED)

    @property
    def left(self) -> int:
        """Seats that are held back yet."""
        return 0 if self.counted is None or self.let_go is not None else self.counted.left

    @property
    def drawn(self) -> int:
        """Seats that were sold out of it."""
        if self.counted is not None:
            return self.counted.drawn
        return self.entry.seats - (0 if self.entry.let_go is None else self.entry.let_go.seats)


class BlockService:
    """The blocks of all concerts."""

    def __init__(self, updates: Updates, ask: Ask) -> None:
        self._updates = updates
        self._ask = ask

    async def hold_back(self, concert: Concert, wanted: NewBlock, *, by: str, cause: Cause) -> ShownBlock:
        """Hold seats back; asked for again under the same id, it stays as it is.

        Raises SectionNotFound, SeatsUnavailable, CalledOff, Invalid, Busy.
        """
        concert.plan(wanted.section)
        ends_at = wanted.ends_at
        if wanted.hours_before is not None:
            ends_at = ends_before(concert.begins, wanted.hours_before)
        if ends_at is None:
            raise ValueError("a block has an end")
        command = HoldBack(
            block=wanted.block,
            purpose=wanted.purpose,
            seats=wanted.seats,
            ends_at=ends_at,
            by=by,
            hours_before=wanted.hours_before,
            few_left=wanted.few_left,
        )
        await self._ask(SectionKey(concert.id, wanted.section), command, cause)
        return await self.show(concert, wanted.block)

    async def change(self, concert: Concert, block: str, wish: BlockWish, *, by: str, cause: Cause) -> ShownBlock:
        """Give a block more or fewer seats, another end or purpose.

        Raises BlockNotFound, BlockTooSmall, SeatsUnavailable, CalledOff, Invalid, Busy.
        """
        shown = await self.show(concert, block)
        ends_at, hours = wish.ends_at, wish.hours_before
        command = ChangeBlock(
            block=block,
            by=by,
            seats=wish.seats,
            purpose=wish.purpose,
            ends_at=ends_at if hours is UNSET else ends_before(concert.begins, hours),
            hours_before=None if ends_at is not UNSET and hours is UNSET else hours,
            few_left=wish.few_left,
            said=shown.entry,
        )
        await self._ask(SectionKey(concert.id, shown.section), command, cause)
        return await self.show(concert, block)

    async def let_go(self, concert: Concert, block: str, *, by: str, cause: Cause) -> ShownBlock:
        """Let its seats go; again changes nothing. Raises BlockNotFound, Busy."""
        shown = await self.show(concert, block)
        if shown.let_go is None:
            with suppress(BlockNotFound):  # somebody was faster, or its end came
                await self._ask(SectionKey(concert.id, shown.section), LetBlockGo(block=block, by=by), cause)
            shown = await self.show(concert, block)
        return shown

    async def show(self, concert: Concert, block: str) -> ShownBlock:
        """One block. Raises BlockNotFound."""
        for each in await self.all_of(concert):
            if each.entry.id == block:
                return each
        raise BlockNotFound(block)

    async def all_of(self, concert: Concert, section: str | None = None) -> list[ShownBlock]:
        """The blocks of a concert, or of one section, in the order in which they were made. Raises SectionNotFound."""
        ids = [plan.id for plan in concert.sections if section in (None, plan.id)]
        if not ids:
            raise SectionNotFound(concert.id, section or "")
        partitions = [SectionKey(concert.id, id).partition for id in ids]
        lists = await BLOCKS.load(self._updates.records, partitions)
        counts = await SECTIONS.load(self._updates.records, list(lists))
        now = self._updates.clock.now()
        found: list[ShownBlock] = []
        for partition, known in lists.items():
            counted = counts[partition].state if partition in counts else None
            for entry in known.state.entries:
                block = None if counted is None else counted.its_blocks.get(entry.id)
                at = now if counted is None else counted.moment(now)
                found.append(ShownBlock(known.state.section, entry, block, at))
        return sorted(found, key=lambda each: (each.entry.made_at, each.entry.id))

    async def retime(self, concert: Concert, cause: Cause) -> None:
        """The concert begins at another time, perhaps: blocks that end so long before it end by that. Raises Busy."""
        for each in await self.all_of(concert):
            hours = each.entry.hours_before
            if hours is None or each.let_go is not None:
                continue
            # What would have ended by the new time ends now, a moment from here.
            ends_at = max(ends_before(concert.begins, hours), each.at + _MOMENT)
            if ends_at == each.entry.ends_at:
                continue
            command = ChangeBlock(block=each.entry.id, by=BY_RULE, ends_at=ends_at, hours_before=hours, said=each.entry)
            try:
                await self._ask(SectionKey(concert.id, each.section), command, cause)
            except BlockNotFound:  # it was let go meanwhile
                continue

    async def sweep(self) -> int:
        """Publish which blocks have come to their end; returns in how many sections. Availability does not wait."""
        found, _ = await BLOCKS.find(
            self._updates.records, BLOCKS.due(until=self._updates.clock.now(), limit=SWEEP_PAGE)
        )
        for each in found:
            await self._ask(SectionKey(each.state.concert_id, each.state.section), EndBlocks(), Cause())
        return len(found)


def page(found: Sequence[T], *, after: str | None, limit: int) -> tuple[Sequence[T], str | None]:
    """A page of them, and the cursor of the next one: the number of those before it. Raises UnusableCursor."""
    start = 0
    if after is not None:
        if not (after.isascii() and after.isdecimal() and len(after) < 10):
            raise UnusableCursor(f"{after[:100]!r} is no cursor")
        start = int(after)
    end = start + limit
    return found[start:end], str(end) if end < len(found) else None
