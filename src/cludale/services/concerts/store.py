"""How concerts are stored: concerts, sections and reservations as records. The only place that knows the form."""

import re
from operator import attrgetter
from typing import NamedTuple
from unicodedata import normalize

import msgspec

from cludale.kernel.allocation import Allocation
from cludale.kernel.times import rfc3339
from cludale.ports.records import IndexValue, Kind, Query, Range
from cludale.runtime.aggregates import DUE, AggregateStore
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.concerts.blocks.block import BlockList
from cludale.services.concerts.buyers.domain import Allowance
from cludale.services.concerts.codes.domain import Code
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.domain import Choice
from cludale.services.concerts.keys import Keys, KeyUse
from cludale.services.concerts.pairings import Pairings
from cludale.services.concerts.sessions import Sessions, Staff
from cludale.services.concerts.stock import Reservation, Section, Status
from cludale.services.concerts.waiting.domain import WaitingList

_ACCENTS = re.compile("[\u0300-\u036f]")
"""Those that combine with the letter before. Other scripts have blocks of their own: there they are letters."""


ALL_KEYS = "keys"


class SectionKey(NamedTuple):
    """A section: what commits together with its reservations."""

    concert_id: str
    section: str

    @classmethod
    def of(cls, allocation: Allocation) -> "SectionKey":
        """The section in which these seats are."""
        return cls(allocation.concert_id, allocation.section)

    @property
    def partition(self) -> str:
        """The partition, and the section record's id."""
        return f"{self.concert_id}/{self.section}"


def folded(text: str) -> str:
    """Text as it is searched and sorted: neither case matters, nor space around it, nor accents of Latin letters."""
    return normalize("NFC", _ACCENTS.sub("", normalize("NFD", text.strip().casefold())))


def _index(concert: Concert) -> tuple[str | None, ...]:
    """What it is searched by; nothing if it is not listed, and so no search, which is always by date, finds it."""
    if not concert.listed:
        return (None, None, None)
    return (folded(concert.artist), folded(concert.venue or ""), concert.date)


CONCERTS = AggregateStore(
    Kind("concerts", "concert", ("artist", "venue", "date"), ("artist", "date")),
    Concert,
    identity=lambda concert: concert.id,
    index=_index,
)

SECTIONS = AggregateStore(
    Kind("concerts", "section"),
    Section,
    identity=lambda section: SectionKey(section.concert_id, section.id).partition,
)

RESERVATIONS = AggregateStore(
    Kind("concerts", "reservation", (DUE,), (DUE,)),
    Reservation,
    identity=attrgetter("id"),
    index=lambda r: (rfc3339(r.expires_at) if r.status is Status.HELD else None,),
)
"""DUE is when a held one expires; nothing else is due."""

BLOCKS = AggregateStore(
    Kind("concerts", "block_list", (DUE,), (DUE,), may_lack=True),
    BlockList,
    identity=lambda blocks: SectionKey(blocks.concert_id, blocks.section).partition,
    index=lambda blocks: (None if blocks.due_at is None else rfc3339(blocks.due_at),),
)
"""The blocks of a section, in its partition."""

WAITING = AggregateStore(
    Kind("concerts", "waiting_list", (DUE,), (DUE,), may_lack=True),
    WaitingList,
    identity=lambda waiting: SectionKey(waiting.concert_id, waiting.section).partition,
    index=lambda waiting: (rfc3339(waiting.entries[0].joined_at) if waiting.entries else None,),
)
"""Who waits for seats of a section, in its partition. DUE while anybody waits: each sweep looks whether seats are back,
or nothing is sold any more."""

CHOICES = AggregateStore(
    Kind("concerts", "choice"),
    Choice,
    identity=lambda choice: choice.reservation_id,
)

ALLOWANCES = AggregateStore(
    Kind("concerts", "allowance", may_lack=True), Allowance, identity=lambda allowance: allowance.id
)
"""What buyers may have yet, each in a partition of its own; `allowance_id` says which."""

EVERYWHERE = "*"
"""Where unpaid orders are counted: at all concerts together. No concert has this id."""


def allowance_id(buyer_key: str, concert_id: str = EVERYWHERE) -> str:
    """The allowance of whoever has this key, at a concert or everywhere. No id has a colon."""
    return f"{concert_id}:{buyer_key}"


CODES = AggregateStore(
    Kind("concerts", "code", ("concertId",), may_lack=True),
    Code,
    identity=lambda code: code.id,
    index=lambda code: (code.concert_id,),
)
"""Discount codes, each in a partition of its own."""

KEYS = AggregateStore(Kind("concerts", "keys", may_lack=True), Keys, identity=lambda _: ALL_KEYS)
"""All keys in one record: who checks them reads one, and sees by its version whether anything has changed."""

KEY_USES = AggregateStore(Kind("concerts", "keyuse", may_lack=True), KeyUse, identity=lambda use: use.key_id)

ALL_SESSIONS = "sessions"
SESSIONS = AggregateStore(Kind("concerts", "sessions", may_lack=True), Sessions, identity=lambda _: ALL_SESSIONS)

ALL_STAFF = "staff"
STAFF = AggregateStore(Kind("concerts", "staff", may_lack=True), Staff, identity=lambda _: ALL_STAFF)
"""Beside the sessions, which every replica reads each second."""

ALL_PAIRINGS = "pairings"
PAIRINGS = AggregateStore(Kind("concerts", "pairings", may_lack=True), Pairings, identity=lambda _: ALL_PAIRINGS)


class KeptPlan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A seating plan: its JSON, compressed by zlib, and the SHA-256 of that JSON."""

    digest: str
    body: bytes


SEAT_PLANS = AggregateStore(Kind("concerts", "seatplan", may_lack=True), KeptPlan, identity=lambda plan: plan.digest)

KINDS = (
    CONCERTS.kind,
    SECTIONS.kind,
    RESERVATIONS.kind,
    BLOCKS.kind,
    WAITING.kind,
    CHOICES.kind,
    ALLOWANCES.kind,
    CODES.kind,
    KEYS.kind,
    KEY_USES.kind,
    SESSIONS.kind,
    STAFF.kind,
    PAIRINGS.kind,
    SEAT_PLANS.kind,
    IdempotencyKeys.kind_for("concerts"),
)

BY_ID = (
    CHOICES.kind,
    ALLOWANCES.kind,
    KEY_USES.kind,
    SESSIONS.kind,
    STAFF.kind,
    PAIRINGS.kind,
    SEAT_PLANS.kind,
    IdempotencyKeys.kind_for("concerts"),
)
"""Those that are read by their ids alone and committed by themselves, without events: a store of keys and values will
do for them."""


def searched(
    *,
    artist: str | None,
    venue: str | None,
    days: tuple[IndexValue, IndexValue] | None,
    order_by: str,
    descending: bool,
    after: str | None,
    limit: int,
) -> Query:
    """What the store can narrow down: it has the date as it was written, so whole days, and of listed ones only."""
    sought = {"artist": folded(artist or ""), "venue": folded(venue or "")}
    return Query(
        contains={field: text for field, text in sought.items() if text},
        within=() if days is None else (Range("date", *days),),
        order_by=order_by,
        descending=descending,
        after=after,
        limit=limit,
    )
