"""Audit rules: the chain of hashes, causes before effects, and what a broken chain looks like. No I/O, clock or HTTP.

Each entry's hash is the SHA-256 of the hash before it (as 64 hexadecimal digits) and of the event's bytes as they
came; the first entry's predecessor is 64 zeros. Anyone with the log can compute the chain again.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from heapq import heapify, heappop, heappush
from typing import NamedTuple

import msgspec

GENESIS = "0" * 64
"""The hash before the first entry."""


class Head(msgspec.Struct, frozen=True, gc=False):
    """The end of the chain: how many entries it has, and the hash of the last."""

    sequence: int = 0
    hash: str = GENESIS


def link(previous: str, event: bytes) -> str:
    """The hash of the entry that holds `event` and follows the entry with the hash `previous`."""
    return sha256(previous.encode() + event).hexdigest()


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
    orphans = [at for at in left if not batch[at][2]]
    for position in orphans:
        place(position)
    waiting = [at for at in left if batch[at][0] not in placed and not is_recorded(batch[at][0])]
    return Order(ready, frozenset(orphans), waiting)


class Told(NamedTuple):
    """An entry as far as its place in a story is concerned."""

    sequence: int
    event_id: str
    causation_id: str | None
    time: datetime


def story(entries: Sequence[Told]) -> list[int]:
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
    if at.sequence <= head.sequence:
        return f"out of order: here stands entry {at.sequence}"
    if at.id != at.event_id:
        return f"the entry {at.id} holds another event, {at.event_id}"
    if at.hash != link(head.hash, at.event):
        return "the hash does not follow from the entry before it and this event"
    return None
