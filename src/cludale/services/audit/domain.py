"""Audit rules: the chain of hashes, causes before effects, and what a broken chain looks like. No I/O, clock or HTTP.

Each entry's hash is the SHA-256 of the hash before it (as 64 hexadecimal digits), of the event's bytes as they came
and, where the entry is marked late, of the four letters `late`; the first entry's predecessor is 64 zeros. Anyone with
the log can compute the chain again.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import msgspec

from cludale.kernel.refusals import Invalid

_HASH = re.compile("[0-9a-fA-F]{64}")

GENESIS = "0" * 64
"""The hash before the first entry."""


class Head(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The end of the chain: how many entries it has, and the hash of the last."""

    sequence: int = 0
    hash: str = GENESIS
    waiting: int = 0
    """How many events are kept outside the log until their causes are in it. Heads of older logs: none."""
    segment: int = 0
    """Which segment of the log this is the end of. Heads of older logs: the first, which was the only one."""
    before: int = 0
    """How many entries the segments before this one have."""
    since: datetime | None = None
    """When the segment before this one was sealed."""
    sealed_at: datetime | None = None
    """When the segment was sealed: nothing follows in it, the chain goes on in the next. None: it is open."""


def sealed(head: Head, *, limit: int, now: datetime) -> Head:
    """The head, sealed if its segment has `limit` entries and no event waits in it for its cause."""
    is_over = is_full(head, limit=limit) and not head.waiting
    return msgspec.structs.replace(head, sealed_at=now) if is_over else head


def is_full(head: Head, *, limit: int) -> bool:
    """Has the segment so many entries, or more?"""
    return head.sequence - head.before >= limit


def following(head: Head) -> Head:
    """The head of the segment after a sealed one, before it has entries of its own: the chain goes on from there."""
    return Head(head.sequence, head.hash, segment=head.segment + 1, before=head.sequence, since=head.sealed_at)


def link(previous: str, event: bytes, *, late: bool = False) -> str:
    """The hash of the entry that holds `event` and follows the entry with the hash `previous`."""
    return sha256(previous.encode() + event + (b"late" if late else b"")).hexdigest()


Arrival = tuple[str, str | None, bool]
"""An event on its way into the log: its id, the id of the event that must be there before it, and whether it still
waits for that; False when it has waited long enough. A plain tuple, because there is one for each event there is."""


class Order(NamedTuple):
    """In what order a batch is recorded, as positions in the batch."""

    ready: list[int]
    orphans: frozenset[int]
    """Those whose cause is missing still, and which are ready all the same."""
    waiting: list[int]
    """Too early: their cause is neither recorded nor ready."""


def causes_first(batch: Sequence[Arrival], is_recorded: Callable[[str], bool]) -> Order:
    """Put a batch in an order in which every cause precedes its effects, otherwise as it came.

    What `is_recorded` knows already, and what comes twice, is in none of the lists.
    """
    ready: list[int] = []
    placed: set[str] = set()
    blocked: dict[str, list[int]] = {}

    def place(position: int) -> None:
        """Take one, and whatever waited for it."""
        stack = [position]
        while stack:
            at = stack.pop()
            own = batch[at][0]
            if own not in placed and not is_recorded(own):
                placed.add(own)
                ready.append(at)
                stack.extend(reversed(blocked.pop(own, ())))

    for position, (event, cause, _) in enumerate(batch):
        if cause is not None and cause not in placed and not is_recorded(cause):
            blocked.setdefault(cause, []).append(position)
        elif event in blocked:
            place(position)
        elif event not in placed and not is_recorded(event):
            placed.add(event)
            ready.append(position)
    if not blocked:
        return Order(ready, frozenset(), [])
    left = sorted(position for positions in blocked.values() for position in positions)
    among = {batch[at][0] for at in left}
    orphans: set[int] = set()
    # Those whose cause is left, too, may follow it in time; then they are not late.
    for position in sorted((at for at in left if not batch[at][2]), key=lambda at: batch[at][1] in among):
        if batch[position][0] not in placed:
            orphans.add(position)
            place(position)
    waiting = [at for at in left if batch[at][0] not in placed and not is_recorded(batch[at][0])]
    return Order(ready, frozenset(orphans), waiting)


class Early(NamedTuple):
    """An event that came before its cause: its position in the batch, and the delivery that this was."""

    at: int
    event: str
    cause: str
    attempt: int


class Room(NamedTuple):
    """How many events may be kept until their causes come, and when that begins."""

    limit: int
    limit_each: int
    """How many may wait for one cause."""
    patience: int
    """From which delivery on an event is kept; before that it is left to the bus, which is cheaper."""
    attempts: int
    """From which delivery on an event is recorded late where there is no room for it: below the bus's own limit."""


class Kept(NamedTuple):
    """What becomes of events that came too early, as positions in the batch. All others are left to the bus."""

    kept: dict[str, list[int]]
    """By cause: those that are kept from now on."""
    again: frozenset[int]
    """Which of the events were kept before and still wait."""
    overdue: frozenset[int]
    """Those that can neither be kept nor left to the bus any longer."""


def keep(early: Sequence[Early], room: Room, *, held: int, groups: Mapping[str, Collection[str]]) -> Kept:
    """Which events are kept. `held` are kept by now, `groups` has their ids by cause, for each cause that is asked."""
    kept: dict[str, list[int]] = {}
    news: set[str] = set()
    again: set[int] = set()
    overdue: set[int] = set()
    for each in early:
        group = groups.get(each.cause, ())
        if each.event in group or each.event in news:
            again.add(each.at)
        elif each.attempt < room.patience:
            continue
        elif held + len(news) < room.limit and len(group) + len(kept.get(each.cause, ())) < room.limit_each:
            kept.setdefault(each.cause, []).append(each.at)
            news.add(each.event)
        elif each.attempt >= room.attempts:
            overdue.add(each.at)
    return Kept(kept, frozenset(again), frozenset(overdue))


class Group(NamedTuple):
    """Kept events that have one cause in common."""

    cause: str
    due_at: datetime
    events: Collection[str]


def let_go(groups: Sequence[Group], is_recorded: Callable[[str], bool], *, now: datetime) -> dict[str, bool]:
    """The groups that are recorded now, by cause, and whether that is late; the others wait on.

    A group whose cause is itself in one of these groups follows that, and so is not late. Events that cause each other
    are forged; one of them goes first.
    """
    going = {group.cause: False for group in groups if is_recorded(group.cause)}
    overdue = [group.cause for group in groups if group.cause not in going and group.due_at <= now]
    among = {event for group in groups for event in group.events}
    first = [cause for cause in overdue if cause not in among] or (overdue[:1] if not going else [])
    return going | dict.fromkeys(first, True)


class StoryEntry(NamedTuple):
    """The fields of an entry that decide its place in a story."""

    sequence: int
    event_id: str
    causation_id: str | None
    time: datetime


def story(entries: Sequence[StoryEntry]) -> list[int]:
    """The positions of `entries` in the order of the story: causes before effects, then by time, then by sequence."""
    by_id = {entry.event_id: position for position, entry in enumerate(entries)}
    effects: dict[int, list[int]] = {}
    roots: list[int] = []
    for position, entry in enumerate(entries):
        cause = by_id.get(entry.causation_id) if entry.causation_id is not None else None
        if cause is None or cause == position:
            roots.append(position)
        else:
            effects.setdefault(cause, []).append(position)
    told: list[int] = []
    tellable = [(entries[at].time, entries[at].sequence, at) for at in roots]
    heapify(tellable)
    while tellable:
        _, _, earliest = heappop(tellable)
        told.append(earliest)
        for at in effects.get(earliest, ()):
            heappush(tellable, (entries[at].time, entries[at].sequence, at))
    untold = set(range(len(entries))).difference(told)  # their causes go in a circle, so somebody forged them
    return told + sorted(untold, key=lambda at: entries[at].sequence)


class Link(NamedTuple):
    """An entry as it stands in the log, to be verified."""

    sequence: int
    id: str
    """The record's id."""
    event_id: str
    event: bytes
    hash: str
    late: bool = False


class Noted(msgspec.Struct, frozen=True, gc=False):
    """A head that somebody noted elsewhere, and the entry that has this hash. None: there is none in the chain."""

    head: str
    sequence: int | None


def noted_head(text: str) -> str:
    """A hash as somebody noted it. Raises Invalid."""
    if not _HASH.fullmatch(text):
        raise Invalid(
            ("head", f"is no hash of this log: 64 hexadecimal digits are wanted, {len(text)} characters came")
        )
    return text.lower()


class Broken(msgspec.Struct, frozen=True, gc=False):
    """Where the chain breaks first, and what is wrong there."""

    sequence: int
    what: str


def follow(head: Head, links: Sequence[Link]) -> tuple[Head, Broken | None]:
    """The head after those `links` that follow `head` as they must, and what is wrong with the first that doesn't."""
    for at in links:
        what = _wrong(head, at)
        if what is not None:
            return head, Broken(head.sequence + 1, what)
        head = Head(at.sequence, at.hash)
    return head, None


def _wrong(head: Head, at: Link) -> str | None:
    if at.sequence > head.sequence + 1:
        return f"missing: the next entry is {at.sequence}"
    if at.sequence == head.sequence:
        return f"sequence number repeated: here stands a second entry {at.sequence}"
    if at.sequence < head.sequence:
        return f"out of order: here stands entry {at.sequence}"
    if at.id != at.event_id:
        return f"the entry {at.id} holds another event, {at.event_id}"
    if at.hash != link(head.hash, at.event, late=at.late):
        return "the hash does not follow from the entry before it and this event"
    return None
