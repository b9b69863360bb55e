"""The rules of blocks, seats that are held back: kept from all others until their end, counted as told, let go once."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from cludale_proof.checker.concert_rules import ConcertTold
from cludale_proof.checker.documents import Section
from cludale_proof.checker.events import Fact
from cludale_proof.checker.findings import Invariant, Violation
from cludale_proof.checker.section_rules import Occupancy, SectionKey, broken

HELD_BACK = "SeatsHeldBack"


class BlockTold(NamedTuple):
    """A block as its events tell of it."""

    held_back: tuple[Fact, ...] = ()
    """One after the other: the last says how it is."""
    let_go: tuple[Fact, ...] = ()

    @property
    def seats(self) -> int:
        """In all, with those that are sold out of it."""
        return (self.held_back[-1].event.data.seats or 0) if self.held_back else 0

    @property
    def ends_at(self) -> datetime | None:
        """When it ends by time."""
        return _end(self.held_back[-1]) if self.held_back else None


def _end(fact: Fact) -> datetime | None:
    text = fact.event.data.ends_at
    return None if text is None else datetime.fromisoformat(text)


def blocks_of(told: ConcertTold | None, section: str) -> Mapping[str, BlockTold]:
    """The blocks of a section, by id."""
    found: dict[str, BlockTold] = {}
    changes = {} if told is None else told.sections.get(section, {})
    for _, fact in sorted(changes.items()):
        id = fact.event.data.block
        if id is None:
            continue
        block = found.get(id, BlockTold())
        if fact.event.type == HELD_BACK:
            found[id] = block._replace(held_back=(*block.held_back, fact))
        else:
            found[id] = block._replace(let_go=(*block.let_go, fact))
    return found


def as_told(
    key: SectionKey,
    section: Section | None,
    told: ConcertTold | None,
    drawn: Mapping[str, int],
    *,
    now: datetime,
    skew: timedelta = timedelta(),
) -> Iterator[Violation]:
    """Do the section's blocks agree with what is told of them? `drawn`: seats that were held out of each."""
    blocks = blocks_of(told, key[1])
    for id, seats in drawn.items():
        if id not in blocks:
            yield broken(key, "block-unknown", f"{seats} seats were held out of block {id}, of which nothing is told")
    for id, block in blocks.items():
        yield from _ends(key, id, block, drawn.get(id, 0), skew)
        counted = None if section is None else section.blocks.get(id)
        left = (block.seats, drawn.get(id, 0))
        if block.let_go:
            if counted is not None:
                yield broken(key, "block-kept", f"block {id} was let go, and it counts it yet")
        elif counted is None or (counted.seats, counted.drawn) != left:
            detail = f"of block {id} it counts {counted}, and {left[0]} seats were held back, {left[1]} sold out of it"
            yield broken(key, "block-differs", detail)
    if section is not None:
        yield from _few_left(key, section, now)


def _ends(key: SectionKey, id: str, block: BlockTold, drawn: int, skew: timedelta) -> Iterator[Violation]:
    if len(block.let_go) > 1:
        first, second, *_ = block.let_go
        detail = f"block {id} was let go by {first.event.id}, and again by {second.event.id}"
        yield broken(key, "let-go-twice", detail, invariant=Invariant.ONE_END)
    if drawn > block.seats:
        yield broken(key, "block-overdrawn", f"{drawn} seats were held out of block {id}, which has {block.seats}")
    for fact in block.let_go[:1]:
        data = fact.event.data
        if data.seats != block.seats - drawn:
            detail = f"{data.seats} seats of block {id} were let go, of {block.seats}, of which {drawn} were sold"
            yield broken(key, "let-go-other-seats", detail)
        if data.reason == "ended" and block.ends_at is not None and fact.event.time < block.ends_at - skew:
            detail = f"block {id} ended at {fact.event.time}, and was to end at {block.ends_at}"
            yield broken(key, "let-go-early", detail)


def _few_left(key: SectionKey, section: Section, now: datetime) -> Iterator[Violation]:
    available = section.available(now)
    moment = section.moment(now)
    for id, block in section.blocks.items():
        if block.few_left is not None and moment < block.ends_at and available < block.few_left:
            detail = f"{available} seats can be had, and block {id} was to be let go with fewer than {block.few_left}"
            yield broken(key, "few-left-kept", detail)


def drawn_in_time(key: SectionKey, fact: Fact, told: ConcertTold | None) -> Iterator[Violation]:
    """Were seats held out of a block while it was there?"""
    id = fact.event.data.block or ""
    block = blocks_of(told, key[1]).get(id)
    if block is None or block.let_go or (block.ends_at is not None and fact.event.time >= block.ends_at):
        detail = f"{fact.event.id}: seats were held out of block {id}, which has ended or is not there"
        yield broken(key, "drawn-after-end", detail, invariant=Invariant.LEGAL_STEPS)


def occupy(
    key: SectionKey, occupancy: Occupancy, told: ConcertTold | None, draws: Iterable[tuple[str, datetime, int]]
) -> None:
    """Count the seats that blocks kept from others; `draws`: out of which, when, and how many were held."""
    by_block: dict[str, list[tuple[datetime, int]]] = {}
    for id, at, quantity in draws:
        by_block.setdefault(id, []).append((at, quantity))
    for id, block in blocks_of(told, key[1]).items():
        gone = block.let_go[0].event.time if block.let_go else None
        moments: list[tuple[datetime, int | None, int, datetime | None]] = [
            (fact.event.time, fact.event.data.seats or 0, 0, _end(fact)) for fact in block.held_back
        ]
        moments += [(at, None, quantity, None) for at, quantity in by_block.get(id, ())]
        moments.sort(key=lambda each: each[0])
        seats = drawn = 0
        end: datetime | None = None
        for number, (at, size, quantity, until) in enumerate(moments):
            if size is not None:
                seats, end = size, until
            drawn += quantity
            following = moments[number + 1][0] if number + 1 < len(moments) else None
            ends = [each for each in (following, end, gone) if each is not None]
            if seats > drawn and (not ends or min(ends) > at):
                occupancy.add(at, min(ends, default=None), seats - drawn)
