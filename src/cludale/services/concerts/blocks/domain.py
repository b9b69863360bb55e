"""What becomes of a section's blocks: made, changed, let go by whoever made them or by their rules. No I/O or HTTP."""

from collections.abc import Container
from datetime import datetime, timedelta

import msgspec
from msgspec import UNSET, UnsetType

from cludale.kernel.decision import Decision
from cludale.kernel.events import Event
from cludale.kernel.refusals import Invalid
from cludale.ports.seats import BlockNotFound, BlockTooSmall, CalledOff
from cludale.services.concerts.blocks import block as blocks
from cludale.services.concerts.blocks.block import MOST_LIVE, Block
from cludale.services.concerts.domain import as_of, blocks_let_go
from cludale.services.concerts.events import LetGoReason, SeatsHeldBack, SeatsLetGo
from cludale.services.concerts.evolution import Seating, evolve, evolve_all
from cludale.services.concerts.stock import Section, unavailable


class HoldBack(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Command: hold seats back, for a purpose, until an end."""

    block: str
    purpose: str
    seats: int
    ends_at: datetime
    by: str
    hours_before: float | None = None
    few_left: int | None = None


class ChangeBlock(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Command: the block has so many seats, or such an end, from now on; what is unset stays."""

    block: str
    by: str
    seats: int | UnsetType = UNSET
    purpose: str | UnsetType = UNSET
    ends_at: datetime | UnsetType = UNSET
    hours_before: float | UnsetType | None = UNSET
    few_left: int | UnsetType | None = UNSET
    said: "blocks.BlockEntry | None" = None
    """What was said of it before."""


class LetBlockGo(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Command: everybody can have its seats."""

    block: str
    by: str


class EndBlocks(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Command: publish which blocks have come to their end by time."""


BlockCommand = HoldBack | ChangeBlock | LetBlockGo | EndBlocks


def decide(seating: Seating, command: BlockCommand, now: datetime, *, made: Container[str] = ()) -> Decision[Seating]:
    """What a command does; `made`: blocks that there were before, also those that were let go.

    Raises CalledOff, SeatsUnavailable, BlockNotFound, BlockTooSmall, Invalid.
    """
    now = seating.section.moment(now)
    match command:
        case HoldBack():
            return Decision(seating) if command.block in made else _hold_back(seating, command, now)
        case ChangeBlock():
            return _change(seating, command, now)
        case LetBlockGo():
            return _let_go(seating, command, now)
        case EndBlocks():
            return _end(seating, now)


def ends_before(begins: datetime, hours: float) -> datetime:
    """When a block ends that ends so many hours before the concert begins."""
    return begins - timedelta(hours=hours)


def _hold_back(seating: Seating, wanted: HoldBack, now: datetime) -> Decision[Seating]:
    section = seating.section
    if section.closed is True:
        raise CalledOff(section.concert_id)
    known = section.its_blocks
    if section.numbered is not UNSET:
        raise Invalid(("section", f"{section.id!r} has numbered seats: block them one by one, with `/seats/block`"))
    if len(known) >= MOST_LIVE:
        raise Invalid(("section", f"has {len(known)} blocks already, the most that it can have at once"))
    if wanted.seats > section.available(now):
        raise unavailable(section.concert_id, (section,), wanted=wanted.seats, now=now)
    _check_end(wanted.ends_at, wanted.hours_before, now)
    _check_few(section, wanted.few_left, available=section.available(now) - wanted.seats)
    return _held_back(
        seating,
        SeatsHeldBack(
            concert_id=section.concert_id,
            section=section.id,
            change=section.changes + 1,
            changed_by=wanted.by,
            block=wanted.block,
            purpose=wanted.purpose,
            seats=wanted.seats,
            ends_at=wanted.ends_at,
            hours_before=wanted.hours_before,
            few_left=wanted.few_left,
        ),
        now,
    )


def _change(seating: Seating, wanted: ChangeBlock, now: datetime) -> Decision[Seating]:
    section, said = seating.section, wanted.said
    before = _live(section, wanted.block, now)
    if said is None:
        raise BlockNotFound(wanted.block)
    if section.closed is True:
        raise CalledOff(section.concert_id)
    seats = before.seats if wanted.seats is UNSET else wanted.seats
    if seats < before.drawn:
        raise BlockTooSmall(wanted.block, wanted=seats, left=before.drawn)
    more, available = seats - before.seats, section.available(now)
    if more > available:
        raise unavailable(section.concert_id, (section,), wanted=more, now=now)
    ends_at = before.ends_at if wanted.ends_at is UNSET else wanted.ends_at
    hours = said.hours_before if wanted.hours_before is UNSET else wanted.hours_before
    few = before.few_left if wanted.few_left is UNSET else wanted.few_left
    if wanted.ends_at is not UNSET:
        _check_end(ends_at, hours, now)
    if wanted.few_left is not UNSET or more > 0:
        _check_few(section, few, available=available - more)
    purpose = said.purpose if wanted.purpose is UNSET else wanted.purpose
    changed = SeatsHeldBack(
        concert_id=section.concert_id,
        section=section.id,
        change=section.changes + 1,
        changed_by=wanted.by,
        block=wanted.block,
        purpose=purpose,
        seats=seats,
        ends_at=ends_at,
        hours_before=hours,
        few_left=few,
    )
    same = Block(seats=seats, ends_at=ends_at, drawn=before.drawn, few_left=few) == before
    if same and (purpose, hours) == (said.purpose, said.hours_before):
        return Decision(seating)
    return _held_back(seating, changed, now)


def _held_back(seating: Seating, event: SeatsHeldBack, now: datetime) -> Decision[Seating]:
    """Seats are kept from others by what is held at `now`; others' rules may let their own go by that."""
    after = as_of(now, evolve(seating, event))
    gone = blocks_let_go(after.section, now)
    return Decision(evolve_all(after, gone), (event, *gone))


def _let_go(seating: Seating, wanted: LetBlockGo, now: datetime) -> Decision[Seating]:
    section = seating.section
    block = _live(section, wanted.block, now)
    gone = SeatsLetGo(
        concert_id=section.concert_id,
        section=section.id,
        change=section.changes + 1,
        changed_by=wanted.by,
        block=wanted.block,
        seats=block.left,
        reason=LetGoReason.RELEASED,
    )
    return Decision(evolve(seating, gone), (gone,))


def _end(seating: Seating, now: datetime) -> Decision[Seating]:
    events: list[Event] = []
    after = seating
    for id, block in seating.section.its_blocks.items():
        if block.is_live(now):
            continue
        gone = SeatsLetGo(
            concert_id=seating.section.concert_id,
            section=seating.section.id,
            change=after.section.changes + 1,
            changed_by=blocks.BY_RULE,
            block=id,
            seats=block.left,
            reason=LetGoReason.ENDED,
        )
        after = evolve(after, gone)
        events.append(gone)
    return Decision(after, events)


def _live(section: Section, block: str, now: datetime) -> Block:
    found = section.its_blocks.get(block)
    if found is None or not found.is_live(now):
        raise BlockNotFound(block)
    return found


def _check_end(ends_at: datetime, hours_before: float | None, now: datetime) -> None:
    if ends_at <= now:
        raise Invalid(("endsAt" if hours_before is None else "hoursBefore", "the block would have ended already"))


def _check_few(section: Section, few_left: int | None, *, available: int) -> None:
    if few_left is not None and available < few_left:
        detail = f"section {section.id!r} would have {available} seats left: it would be let go at once"
        raise Invalid(("fewLeft", detail))
