"""Events as they stand in the outbox and in the log, read from outside: the CloudEvents as they are written.

Written down a second time on purpose, as the documents are.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from cludale_proof.checker.documents import (
    Body,
    Money,
    NumberedSeat,
    Part,
    PlannedSection,
    PlanPart,
    Priced,
    Till,
    Unreadable,
    as_bytes,
)


class EventData(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """The data of any of the platform's events: each has some of these."""

    order_id: str | None = None
    cart_id: str | None = None
    concert_id: str | None = None
    reservation_id: str | None = None
    payment_id: str | None = None
    notification_id: str | None = None
    user_id: str | None = None
    section: str | None = None
    quantity: int | None = None
    expires_at: datetime | None = None
    reason: str | None = None
    was_paid: bool | None = None
    total: Money | None = None
    amount: Money | None = None
    round: int | None = None
    payment_round: int | None = None
    attempts: int | None = None
    retry_until: datetime | None = None
    returned: bool | None = None
    kind: str | None = None
    step: int | None = None
    number: int | None = None
    numbers: tuple[int, ...] | None = None
    part_number: int | None = None
    generation: int | None = None
    key_id: str | None = None
    door: str | None = None
    scan_id: str | None = None
    direction: str | None = None
    device: str | None = None
    sequence: int | None = None
    scanned_at: datetime | None = None
    payment_method: str | None = None
    channel: str | None = None
    sections: tuple[PlannedSection, ...] | None = None
    artist: str | None = None
    date: str | None = None
    venue: str | None = None
    on_sale_at: datetime | None = None
    max_per_order: int | None = None
    ends_at: str | None = None
    cancel_until: datetime | None = None
    part: Part | None = None
    part_refunds: tuple[Part, ...] = ()
    tickets: int | None = None
    revision: int | None = None
    change: int | None = None
    seats: int | None = None
    total_seats: int | None = None
    price: Money | None = None
    fields: Mapping[str, Any] | tuple[str, ...] | None = None
    """Of a concert that was changed, with what they are now; of an order that was amended, their names alone."""
    particulars: Mapping[str, Any] | None = None
    returned_at: datetime | None = None
    max_per_buyer: int | None = None
    difference_id: str | None = None
    key: str | None = None
    """The provider's, of a charge."""
    mends_itself: bool | None = None
    bill: Mapping[str, Any] | None = None
    priced: Priced | None = None
    till: Till | None = None
    seller: str | None = None
    code: str | None = None
    percent: float | None = None
    less: int | None = None
    unlocks: str | None = None
    limits: Mapping[str, Any] | None = None
    paid_at: datetime | None = None
    organizer: str | None = None
    document_id: str | None = None
    document_number: str | None = None
    year: int | None = None
    tax: int | None = None
    lines: tuple[Mapping[str, Any], ...] | None = None
    invoice_id: str | None = None
    refund: int | None = None
    is_on: bool | None = None
    since: datetime | None = None
    block: str | None = None
    few_left: int | None = None
    place: int | None = None
    waited: bool | None = None
    numbered_seats: tuple[NumberedSeat, ...] | None = None
    moves: int = 0
    move_id: str | None = None
    seats_before: tuple[NumberedSeat, ...] | None = None
    plan: PlanPart | None = None
    added: int | None = None
    back: bytes | None = None
    gone: bytes | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A CloudEvent of the platform."""

    id: str
    type: str
    source: str
    subject: str
    time: datetime
    data: EventData
    specversion: str = "1.0"
    correlationid: str | None = None
    causationid: str | None = None
    repeated: bool = False
    """It tells again, under another id, what was told before."""


class Fact(msgspec.Struct, frozen=True, kw_only=True, tag_field="_", tag="fact", omit_defaults=True, gc=False):
    """An event and where it was found: in the audit log, at `sequence`, or (0) still on its way there."""

    event: Event
    sequence: int = 0
    cause_missing: bool = False
    """The log marks that it took this event in without having its cause."""
    late: bool = False
    """It does so under its hash, as it must where there was a time to wait for the cause."""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """An entry of the audit log as stored. The hash covers `event` byte for byte, and then `late`, if it is that."""

    sequence: int
    hash: str
    event: msgspec.Raw
    late: bool = False
    """Recorded without its cause; the hash covers this."""
    cause_missing: bool = False
    """The same mark in older logs, which the hash does not cover."""


_entries = msgspec.json.Decoder(AuditEntry)


_events = msgspec.json.Decoder(Event)


def entry(body: Body) -> AuditEntry:
    """An entry of the audit log. Raises Unreadable."""
    try:
        return _entries.decode(as_bytes(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from error


def event(body: Body) -> Event:
    """An event from the wire. Raises Unreadable."""
    try:
        return _events.decode(as_bytes(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from error
