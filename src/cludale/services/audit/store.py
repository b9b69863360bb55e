"""How the audit log is stored: one record an entry, one for the head of the chain, and what is shown of an entry."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from cludale.kernel.events import Envelope
from cludale.kernel.principals import DEFAULT_ORGANIZER
from cludale.kernel.times import rfc3339
from cludale.ports.programme import ConcertDetails
from cludale.ports.records import IndexValue, Kind, Put, Query, Range, Stored
from cludale.services.audit.domain import Head, Link, StoryEntry

ENTRY = Kind("audit", "event", ("type", "orderId", "concertId", "time"), ("time",), is_append_only=True)
"""Entries come in the order of the chain, so the order in which the records came is that of their numbers."""

HEAD = Kind("audit", "head")
WAITING = Kind("audit", "waiting", ("dueAt",), ("dueAt",))
"""A record for each cause that events wait for; its id is the cause's."""
KINDS = (ENTRY, HEAD, WAITING)


def partition_of(segment: int) -> str:
    """Where a segment of the log is: one partition each, for a partition may have a bound (20 GB in Cosmos DB)."""
    return "log" if segment == 0 else f"log-{segment}"


def head_id(segment: int) -> str:
    """The id of a segment's head."""
    return "head" if segment == 0 else f"head-{segment}"


class Entry(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """An entry as stored. The hash covers `event`, byte for byte, and all entries before it."""

    sequence: int
    received_at: datetime
    hash: str
    event: msgspec.Raw
    """The CloudEvent as it was on the wire."""
    late: bool = False
    """Recorded without its cause, which had not come when the time to wait for it was over. The hash covers this."""
    cause_missing: bool = False
    """The same mark in logs of older versions, whose hashes don't cover it."""


class _Header(msgspec.Struct, frozen=True, gc=False):
    """What is read of a stored event, without knowing its type."""

    id: str
    type: str
    source: str
    subject: str
    time: datetime
    data: msgspec.Raw
    correlationid: str | None = None
    causationid: str | None = None
    repeated: bool = False


class _About(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What is read of an event's data."""

    concert_id: str | None = None


class _Concert(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What is read of ConcertScheduled."""

    artist: str
    date: str
    venue: str | None = None
    organizer: str = DEFAULT_ORGANIZER


class Arrived(msgspec.Struct, frozen=True, gc=False):
    """An event as it is recorded, or kept until it can be."""

    id: str
    body: bytes
    indexed: tuple[IndexValue, ...]


class Waiting(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """The events that wait for one cause, until `due_at` at most. None: once there were some."""

    ids: tuple[str, ...] = ()
    events: tuple[msgspec.Raw, ...] = ()
    due_at: datetime | None = None


class Listed(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """An entry as it is shown: the shape of the answers of `GET /audit/events` and `GET /audit/orders/{id}`."""

    sequence: int
    event_id: str
    event_type: str
    timestamp: datetime
    source: str
    subject: str
    correlation_id: str | None
    causation_id: str | None
    payload: msgspec.Raw
    """The event's data, as it was on the wire."""
    hash: str
    received_at: datetime
    cause_missing: bool
    """It was recorded without its cause."""
    late: bool
    """It was recorded without its cause, and the hash covers this mark; false in logs of older versions."""
    repeated: bool
    """It tells a fact again, for somebody who seems not to have heard it."""


_encode = msgspec.json.Encoder().encode
_entries = msgspec.json.Decoder(Entry)
_headers = msgspec.json.Decoder(_Header)
_heads = msgspec.json.Decoder(Head)
_waiting = msgspec.json.Decoder(Waiting)
_abouts = msgspec.json.Decoder(_About)
_concerts = msgspec.json.Decoder(_Concert)


class StoredHead(NamedTuple):
    """The head and the version of its record; 0 for none yet."""

    head: Head
    version: int


NO_HEAD = StoredHead(Head(), 0)


def arrived(event: Envelope, body: bytes) -> Arrived:
    """An event that has just come."""
    concert_id = getattr(event.data, "concert_id", None)
    return Arrived(event.id, body, (event.type, event.correlationid, concert_id, rfc3339(event.time)))


def put_entry(entry: Entry, event: Arrived) -> Put:
    """Write a new entry for `event`."""
    return Put(ENTRY, event.id, _encode(entry), 0, event.indexed)


class StoredWaiting(NamedTuple):
    """What waits for a cause, and the version of its record; 0 for none yet."""

    waiting: Waiting
    version: int


NO_WAITING = StoredWaiting(Waiting(), 0)


def put_waiting(cause: str, waiting: Waiting, expected: int) -> Put:
    """Write what waits for `cause` over version `expected`."""
    due = None if waiting.due_at is None else rfc3339(waiting.due_at)
    return Put(WAITING, cause, _encode(waiting), expected, (due,))


def waiting_of(stored: Stored) -> StoredWaiting:
    """What waits, by its record."""
    return StoredWaiting(_waiting.decode(stored.body), stored.version)


def kept(body: bytes) -> Arrived:
    """An event that waited."""
    event = _headers.decode(body)
    concert_id = _abouts.decode(event.data).concert_id
    return Arrived(event.id, body, (event.type, event.correlationid, concert_id, rfc3339(event.time)))


def due(until: datetime, after: str | None, limit: int) -> Query:
    """A page of what waits no longer than until then."""
    return Query(within=(Range("dueAt", None, rfc3339(until)),), order_by="dueAt", after=after, limit=limit)


def is_due(stored: Stored, now: datetime) -> bool:
    """Is the time over that a group of `due` waits at most?"""
    due_at = waiting_of(stored).waiting.due_at
    return due_at is not None and due_at <= now


def put_head(head: Head, expected: int) -> Put:
    """Write the head over version `expected`."""
    return Put(HEAD, head_id(head.segment), _encode(head), expected)


def head_of(stored: Stored) -> StoredHead:
    """The head that a record holds."""
    return StoredHead(_heads.decode(stored.body), stored.version)


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are wanted; what is None doesn't matter. `since <= time < until`."""

    type: str | None = None
    order_id: str | None = None
    concert_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def query(self, *, after: str | None, limit: int, descending: bool = False) -> Query:
        """A page of these entries: by sequence, or by time where times are asked for; `descending`: the last first."""
        wanted = {"type": self.type, "orderId": self.order_id, "concertId": self.concert_id}
        since = None if self.since is None else rfc3339(self.since)
        until = None if self.until is None else rfc3339(self.until)
        is_timed = since is not None or until is not None
        return Query(
            equal={field: value for field, value in wanted.items() if value is not None},
            within=(Range("time", since, until),) if is_timed else (),
            order_by="time" if is_timed else None,
            descending=descending,
            after=after,
            limit=limit,
        )


def of_order(order_id: str, limit: int) -> Query:
    """The entries of one order, by sequence."""
    return Filter(order_id=order_id).query(after=None, limit=limit)


def scheduled(concert_id: str) -> Query:
    """The entry that tells what a concert is."""
    return Filter(type="ConcertScheduled", concert_id=concert_id).query(after=None, limit=1)


def concert_told(stored: Stored) -> ConcertDetails:
    """What such an entry tells. Raises msgspec.MsgspecError."""
    told = _concerts.decode(_headers.decode(_entries.decode(stored.body).event).data)
    return ConcertDetails(told.artist, told.date, told.venue, organizer=told.organizer)


def walk(after: str | None, limit: int, segment: int | None = None) -> Query:
    """A page of all entries, by sequence; where a store has partitions, of those in this segment."""
    return Query(after=after, limit=limit, partition=None if segment is None else partition_of(segment))


LAST = Query(descending=True, limit=1)
"""The entry that came last."""


def numbered_event(stored: Stored) -> tuple[int, bytes]:
    """Sequence number and event of an entry, as it was on the wire. Raises msgspec.MsgspecError."""
    entry = _entries.decode(stored.body)
    return entry.sequence, bytes(entry.event)


def listed(stored: Stored) -> Listed:
    """An entry as it is shown. Raises msgspec.MsgspecError if somebody has been at it."""
    entry = _entries.decode(stored.body)
    event = _headers.decode(entry.event)
    return Listed(
        sequence=entry.sequence,
        event_id=event.id,
        event_type=event.type,
        timestamp=event.time,
        source=event.source,
        subject=event.subject,
        correlation_id=event.correlationid,
        causation_id=event.causationid,
        payload=event.data,
        hash=entry.hash,
        received_at=entry.received_at,
        cause_missing=entry.cause_missing or entry.late,
        late=entry.late,
        repeated=event.repeated,
    )


def concert_of(entry: Listed) -> str | None:
    """The concert that an entry is about."""
    return _abouts.decode(entry.payload).concert_id


def told(entry: Listed) -> StoryEntry:
    """Its place in a story."""
    return StoryEntry(entry.sequence, entry.event_id, entry.causation_id, entry.timestamp)


def entry_of(stored: Stored) -> Entry:
    """The entry in a record. Raises msgspec.MsgspecError."""
    return _entries.decode(stored.body)


def id_of(event: bytes) -> str:
    """The id that an event has. Raises msgspec.MsgspecError."""
    return _headers.decode(event).id


def link_of(stored: Stored) -> Link:
    """An entry to be verified. Raises msgspec.MsgspecError."""
    entry = _entries.decode(stored.body)
    event = bytes(entry.event)
    return Link(entry.sequence, stored.id, id_of(event), event, entry.hash, entry.late)


def links_of(items: Sequence[Stored]) -> tuple[list[Link], Exception | None]:
    """The entries up to the first that can't be read, and what is wrong with that one."""
    links: list[Link] = []
    for stored in items:
        try:
            links.append(link_of(stored))
        except msgspec.MsgspecError as error:
            return links, error
    return links, None
