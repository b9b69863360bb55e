"""What notifications tells the others."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from cludale.kernel.events import Event, Topic


class NotificationKind(StrEnum):
    """What the buyer was told."""

    CONFIRMATION = "confirmation"
    CANCELLATION = "cancellation"
    MOVED = "moved"
    """The concert is postponed; the tickets stay valid."""
    REFUND = "refund"
    """A part of the money went back."""
    COPY = "confirmation-copy"
    """The confirmation once more, as somebody asked for it."""
    RESEATED = "reseated"
    """Seats of the order were moved to others."""
    OFFER = "offer"
    """Seats are held for somebody who waited for them."""


class Channel(StrEnum):
    """How the buyer was told."""

    EMAIL = "email"
    SMS = "sms"
    LOG = "log"
    """It stands in the log and in the store only: there was no address, or no server to send it to."""


class NotificationSent(Event, frozen=True, kw_only=True):
    """The buyer was told, as far as we can know: the message was handed over, or (`log`) written to the log."""

    notification_id: str
    order_id: str
    concert_id: str
    kind: NotificationKind
    channel: Channel
    payment_id: str | None = None
    """The payment that it gives a receipt for. None, too, in events written before this field existed."""


class NotificationBounced(Event, frozen=True, kw_only=True):
    """A message came back: the mail server that had taken it, or one after it, could not bring it to its address."""

    notification_id: str
    order_id: str
    concert_id: str
    kind: NotificationKind
    status: str
    """Why, as a status code of RFC 3463: 5.1.1. The server's words are nowhere kept, for they name the address."""


class TemplateKind(StrEnum):
    """What an organizer can have said in words of their own. A confirmation's copy is said as the confirmation."""

    CONFIRMATION = "confirmation"
    CANCELLATION = "cancellation"
    MOVED = "moved"
    REFUND = "refund"
    RESEATED = "reseated"
    OFFER = "offer"


class TemplateChange(StrEnum):
    """What was done with a template."""

    STORED = "stored"
    RESET = "reset"
    """It is the platform's again."""


class TemplateChanged(Event, frozen=True, kw_only=True):
    """An organizer's messages of this kind and language are said in other words from now on."""

    subject_field: ClassVar[str] = "template_id"

    template_id: str
    organizer: str
    kind: TemplateKind
    language: str
    revision: int
    """Counts the changes from 1."""
    action: TemplateChange
    by: str
    """The id of the key, or of the person, that changed it."""


class WebhookEvent(Event, frozen=True, kw_only=True):
    """Base of what becomes of an organizer's endpoint. Its URL and its secrets are in no event."""

    subject_field: ClassVar[str] = "webhook_id"

    webhook_id: str
    organizer: str
    webhook_revision: int
    """The how manieth fact about this endpoint it is, counted from 1."""


class WebhookCreated(WebhookEvent, frozen=True, kw_only=True):
    """An organizer's server is told of events from now on."""

    event_types: tuple[str, ...]
    """Empty: all."""
    only_concert: str | None
    changed_by: str
    """The id of the key."""
    created_at: datetime


class WebhookChanged(WebhookEvent, frozen=True, kw_only=True):
    """What an endpoint is told, or whether it is, is said anew; or it has new secrets."""

    event_types: tuple[str, ...]
    only_concert: str | None
    is_on: bool
    is_rotated: bool = False
    changed_by: str


class WebhookStopReason(StrEnum):
    """Why nothing is sent to an endpoint any more."""

    ORGANIZER = "switched-off"
    GONE = "gone"
    """It answered 410."""
    FAILING = "failing"
    """It took nothing for days."""


class WebhookStopped(WebhookEvent, frozen=True, kw_only=True):
    """Nothing is sent to an endpoint any more, for how it answered."""

    reason: WebhookStopReason
    stops: int
    """How often that has happened to it."""


class WebhookDeleted(WebhookEvent, frozen=True, kw_only=True):
    """An endpoint is gone, with all that was kept of it."""

    changed_by: str


TOPIC = Topic(
    "notification-events",
    "notifications",
    (
        NotificationSent,
        NotificationBounced,
        TemplateChanged,
        WebhookCreated,
        WebhookChanged,
        WebhookStopped,
        WebhookDeleted,
    ),
)
