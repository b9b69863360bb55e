"""Blocks: seats of a section that are held back for a named purpose until an end. No I/O, clock or HTTP.

The section counts them, so that who asks for seats meets them where seats are given away; what else is said of them
stands in a record beside it. A block's seats can be had by everybody from its end on, whether anybody has swept or not,
as those of a hold. What becomes of a block is in domain.py.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from cludale.kernel.events import Event
from cludale.ports.seats import BlockNotFound, BlockTooSmall
from cludale.services.concerts.events import LetGoReason, SeatsHeldBack, SeatsLetGo

MOST_LIVE = 50
"""Blocks of one section at once."""
BY_RULE = "rule"
"""Who changed a section, where it was a block's own rule."""
MOST_KEPT = 200
"""Blocks of one section that are known, with those that were let go; the oldest of these are forgotten first."""


class Block(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """What a section counts of a block."""

    seats: int
    """With those that were sold out of it."""
    ends_at: datetime
    drawn: int = 0
    """Seats that were sold out of it. Given back later, they can be had by everybody."""
    few_left: int | None = None
    """It is let go once fewer seats than these can be had in the section."""

    @property
    def left(self) -> int:
        """Seats that are held back yet."""
        return self.seats - self.drawn

    def is_live(self, now: datetime) -> bool:
        """Does it keep its seats from others?"""
        return now < self.ends_at


Blocks = Mapping[str, Block]
"""Those of a section that were not let go, by id, in the order in which they were made."""


def held_back(blocks: Blocks, now: datetime) -> int:
    """Seats that are kept from others."""
    return sum(block.left for block in blocks.values() if block.is_live(now))


def check_room(blocks: Blocks, block: str, wanted: int, now: datetime) -> None:
    """Has the block so many seats yet? Raises BlockNotFound, BlockTooSmall."""
    found = blocks.get(block)
    if found is None or not found.is_live(now):
        raise BlockNotFound(block)
    if wanted > found.left:
        raise BlockTooSmall(block, wanted=wanted, left=found.left)


def with_drawn(blocks: Blocks, block: str, quantity: int) -> Blocks:
    """The blocks once so many seats are sold out of one; one that was let go meanwhile counts no more."""
    found = blocks.get(block)
    return blocks if found is None else {**blocks, block: replace(found, drawn=found.drawn + quantity)}


def evolve(blocks: Blocks, event: SeatsHeldBack | SeatsLetGo) -> Blocks:
    """The blocks after this fact."""
    if isinstance(event, SeatsLetGo):
        return {id: block for id, block in blocks.items() if id != event.block}
    before = blocks.get(event.block)
    drawn = 0 if before is None else before.drawn
    block = Block(seats=event.seats, ends_at=event.ends_at, drawn=drawn, few_left=event.few_left)
    return {**blocks, event.block: block}


def few_are_left(blocks: Blocks, *, available: int, now: datetime) -> Iterator[tuple[str, Block]]:
    """The blocks to let go because few seats are left beside them, one after the other until enough are available."""
    for id, block in blocks.items():
        if block.few_left is not None and block.is_live(now) and available < block.few_left:
            available += block.left
            yield id, block


class LetGo(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """That a block's seats were let go: so many, when and why."""

    seats: int
    at: datetime
    reason: LetGoReason


class BlockEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """What is said of a block."""

    id: str
    purpose: str
    seats: int
    ends_at: datetime
    made_at: datetime
    hours_before: float | None = None
    """It ends so long before the concert begins, whenever that is."""
    few_left: int | None = None
    let_go: LetGo | None = None


class BlockList(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """All blocks of a section, with those that were let go."""

    concert_id: str
    section: str
    entries: tuple[BlockEntry, ...] = ()

    @property
    def due_at(self) -> datetime | None:
        """When the next of them ends."""
        return min((each.ends_at for each in self.entries if each.let_go is None), default=None)


def listed(blocks: BlockList, event: Event, *, at: datetime) -> BlockList:
    """The list after this fact, which happened `at` this time; facts about anything else change nothing."""
    if isinstance(event, SeatsHeldBack):
        return replace(blocks, entries=_with(blocks.entries, event, at=at))
    if isinstance(event, SeatsLetGo):
        gone = LetGo(seats=event.seats, at=at, reason=event.reason)
        entries = tuple(replace(each, let_go=gone) if each.id == event.block else each for each in blocks.entries)
        return replace(blocks, entries=entries)
    return blocks


def _with(entries: tuple[BlockEntry, ...], event: SeatsHeldBack, *, at: datetime) -> tuple[BlockEntry, ...]:
    said: dict[str, Any] = {
        "purpose": event.purpose,
        "seats": event.seats,
        "ends_at": event.ends_at,
        "hours_before": event.hours_before,
        "few_left": event.few_left,
    }
    if any(each.id == event.block for each in entries):
        return tuple(replace(each, **said) if each.id == event.block else each for each in entries)
    kept = entries
    if len(kept) >= MOST_KEPT:
        oldest = next((each for each in kept if each.let_go is not None), None)
        kept = tuple(each for each in kept if each is not oldest)
    return (*kept, BlockEntry(id=event.block, made_at=at, **said))
