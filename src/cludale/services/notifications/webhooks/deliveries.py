"""Deliveries: what one endpoint is told of one event; when it is tried again, and when given up. No I/O or clock.

`webhook-id` belongs to the fact, so it is the same at every endpoint and in every attempt. A delivery is tried by a
schedule over days; what was given up is sent again when the organizer says so. N days after it came to an end nothing
is left of it but that it was there, so that an event that comes again is not sent again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.ids import from_key
from cludale.services.notifications.webhooks.catalogue import DISABLED, Message

LONGEST_RETRY_AFTER = timedelta(days=1)
LEASE_EXTRA_SECONDS = 4
"""What an attempt may take beside it: being scheduled, being written down."""
_JITTER = 0.2
"""A wait is longer by up to so much of it, at random."""


class Status(StrEnum):
    """Where a delivery is in its life."""

    PENDING = "Pending"
    DELIVERED = "Delivered"
    FAILED = "Failed"
    FORGOTTEN = "Forgotten"
    """It was Delivered or Failed, N days ago."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """What one endpoint is told of one event."""

    id: str
    status: Status
    message_id: str = ""
    webhook_id: str = ""
    organizer: str = ""
    concert_id: str | None = None
    type: str = ""
    body: str = ""
    created_at: datetime | None = None
    cause: Cause = Cause()
    due_at: datetime | None = None
    """When it is sent, or sent again if by then nothing is known of the last attempt; of one that came to an end: when
    it is forgotten."""
    attempts: int = 0
    """Since it was created, or sent again."""
    ended_at: datetime | None = None
    answer: int | None = None
    """The status of the last answer; None: there was none."""
    detail: str | None = None
    """Why the last attempt came to nothing."""

    @property
    def can_be_sent_again(self) -> bool:
        """It came to an end, and it is not about the endpoint itself."""
        return self.status in (Status.DELIVERED, Status.FAILED) and self.type != DISABLED


class DeliveryLimits(NamedTuple):
    """How deliveries are tried and kept."""

    schedule: Sequence[float]
    """Waits after each attempt, in seconds; after the last of them, one more attempt is made."""
    attempt_seconds: float
    """For one post."""
    send_seconds: float
    """For one e-mail."""
    stop_after: timedelta
    """For how long an endpoint may take nothing before it is switched off."""
    keep: timedelta

    @property
    def longest_seconds(self) -> float:
        """For one attempt of either sort."""
        return max(self.attempt_seconds, self.send_seconds) + 1


def delivery_id(message_id: str, webhook_id: str) -> str:
    """The id of the one delivery of this message to this endpoint."""
    return from_key("delivery", message_id, webhook_id)


def new(message: Message, webhook_id: str, organizer: str, *, cause: Cause, now: datetime) -> Delivery:
    """It is to be sent at once."""
    return Delivery(
        id=delivery_id(message.id, webhook_id),
        status=Status.PENDING,
        message_id=message.id,
        webhook_id=webhook_id,
        organizer=organizer,
        concert_id=message.concert_id or None,
        type=message.type,
        body=message.body,
        created_at=now,
        cause=cause,
        due_at=now,
    )


def take_up(delivery: Delivery, *, now: datetime, limits: DeliveryLimits) -> Delivery:
    """Claim it for one attempt, which is counted before it is made; or forget it, if that is what is due."""
    if delivery.due_at is None or delivery.due_at > now:
        return delivery
    if delivery.status is not Status.PENDING:
        return Delivery(id=delivery.id, status=Status.FORGOTTEN)
    return replace(
        delivery,
        due_at=now + timedelta(seconds=limits.longest_seconds + LEASE_EXTRA_SECONDS),
        attempts=delivery.attempts + 1,
    )


def wait(delivery: Delivery, *, until: datetime) -> Delivery:
    """Its endpoint has enough to do: no attempt is made."""
    return replace(delivery, due_at=until) if delivery.status is Status.PENDING else delivery


def delivered(delivery: Delivery, answer: int | None, *, now: datetime, limits: DeliveryLimits) -> Decision[Delivery]:
    """The endpoint has it."""
    if delivery.status is not Status.PENDING:
        return Decision(delivery)
    return Decision(
        replace(delivery, status=Status.DELIVERED, answer=answer, detail=None, ended_at=now, due_at=now + limits.keep)
    )


def not_delivered(
    delivery: Delivery,
    answer: int | None,
    why: str,
    *,
    now: datetime,
    limits: DeliveryLimits,
    jitter: float,
    not_before: datetime | None = None,
) -> Decision[Delivery]:
    """Try it again when the schedule says so, not before `not_before`; or give it up, if that was its last attempt."""
    if delivery.status is not Status.PENDING:
        return Decision(delivery)
    if delivery.attempts > len(limits.schedule):
        return give_up(delivery, answer, why, now=now, limits=limits)
    seconds = limits.schedule[max(delivery.attempts, 1) - 1] * (1 + _JITTER * jitter)
    due_at = now + timedelta(seconds=seconds)
    if not_before is not None:
        due_at = max(due_at, min(not_before, now + LONGEST_RETRY_AFTER))
    return Decision(replace(delivery, due_at=due_at, answer=answer, detail=why))


def give_up(
    delivery: Delivery, answer: int | None, why: str, *, now: datetime, limits: DeliveryLimits
) -> Decision[Delivery]:
    """It is not tried any more, until somebody has it sent again."""
    if delivery.status is not Status.PENDING:
        return Decision(delivery)
    return Decision(
        replace(delivery, status=Status.FAILED, answer=answer, detail=why, ended_at=now, due_at=now + limits.keep)
    )


def again(delivery: Delivery, *, now: datetime) -> Delivery:
    """Send it once more, and try it for as long as a new one. One that is to be sent anyway stays as it is."""
    if not delivery.can_be_sent_again:
        return delivery
    return replace(delivery, status=Status.PENDING, due_at=now, attempts=0, ended_at=None)
